"""What a fit supports beyond its estimates: degrees of freedom, tests, intervals, means."""
