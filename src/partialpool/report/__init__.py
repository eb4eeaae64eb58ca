"""One report of a fit, built once from its record (`tables`) and rendered in several ways.

``summary.build(record)`` is what prints; ``tidy.tidy``, ``tidy.glance`` and ``tidy.augment`` are
data frames; ``json.document`` is for programs.
"""
