"""Is a fit to be trusted, and if not, what to do: one object with everything looked at."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from . import findings, findings_fixed, findings_influence
from .findings import SEVERITIES, Finding
from .frames import one_line
from .ols import OlsRecord

if TYPE_CHECKING:
    import pandas as pd

    from .estimates import Record

__all__ = ["Check", "check"]

_WIDTH = 100


@dataclass(frozen=True, repr=False)
class Check:
    """What was looked at in a fit, the worst first.

    Attributes
    ----------
    model : str
        The fit in one line.
    findings : tuple of Finding
        Each with ``kind, severity, text, numbers``; severities are ``"problem"`` (do not use the
        numbers), ``"warning"`` (may change a conclusion), ``"note"`` (worth knowing) and ``"ok"``.
    """

    model: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """True if there is neither a problem nor a warning."""
        return all(f.severity in ("ok", "note") for f in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, kind: str) -> tuple[Finding, ...]:
        """The findings of a kind: ``check["singular"]``."""
        found = tuple(f for f in self.findings if f.kind == kind)
        if not found:
            kinds = ", ".join(dict.fromkeys(f.kind for f in self.findings))
            raise KeyError(f"{kind!r}; this check looked at: {kinds}")
        return found

    def to_frame(self) -> pd.DataFrame:
        """``kind, severity, text``, a row a finding."""
        import pandas as pd

        rows = [(f.kind, f.severity, f.text) for f in self.findings]
        return pd.DataFrame(rows, columns=["kind", "severity", "text"])

    def __str__(self) -> str:
        lines = [f"Check of {self.model}", self._verdict(), ""]
        wide = max(len(f.kind) for f in self.findings)
        for f in self.findings:
            head = f"{f.severity:<7}  {f.kind:<{wide}}  "
            lines += textwrap.wrap(
                f.text,
                _WIDTH,
                initial_indent=head,
                subsequent_indent=" " * len(head),
                break_long_words=False,
                break_on_hyphens=False,
            )
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left">{f.severity}</th>'
            f'<td style="text-align:left">{escape(f.kind)}</td>'
            f'<td style="text-align:left;white-space:normal;max-width:46em">{escape(f.text)}</td>'
            "</tr>"
            for f in self.findings
        )
        return (
            f"<section><p><strong>Check of {escape(self.model)}</strong><br>"
            f"{escape(self._verdict())}</p><table><thead><tr>"
            '<th scope="col">severity</th><th scope="col">what</th><th scope="col">finding</th>'
            f"</tr></thead><tbody>{rows}</tbody></table></section>"
        )

    def _verdict(self) -> str:
        counts = [(sum(f.severity == s for f in self.findings), s) for s in SEVERITIES[:0:-1]]
        said = [f"{n} {s}{'' if n == 1 else 's'}" for n, s in counts if n]
        if self.ok:
            return f"Nothing to worry about{': ' if said else ''}{', '.join(said)}."
        return f"{', '.join(said)}."


def check(record: Record) -> Check:
    """Look at a fit: convergence, singular directions, influence, collinearity, scales, groups.

    Parameters
    ----------
    record : OlsRecord or LmmRecord

    Returns
    -------
    Check

    Notes
    -----
    Each level of a grouping factor is left out by an exact refit where all of them take less than
    about two seconds; the check says where it did not. The rest reads the rows a few times.

    Sources: Cook (1977); Fox & Monette (1992); Gelman & Hill (2007), section 12.9.
    """
    found: list[Finding] = []
    if isinstance(record, OlsRecord):
        found += findings_fixed.leverages(record)
    else:
        found += findings.convergence(record)
        found += findings.singular(record)
        found += findings_influence.influential(record)
    found += findings_fixed.collinearity(record)
    found += findings_fixed.scales(record)
    if not isinstance(record, OlsRecord):
        found += findings.group_sizes(record)
    found += findings_fixed.outliers(record)
    found.sort(key=lambda f: -SEVERITIES.index(f.severity))  # stable: the order above within each
    return Check(one_line(record), tuple(found))
