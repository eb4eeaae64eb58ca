"""The summary of a fit: an object that prints, and knows its renderings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import html, json, latex, tables, text
from .structure import Report

if TYPE_CHECKING:
    from ..estimates import Record

__all__ = ["Summary", "build"]


@dataclass(frozen=True, repr=False)
class Summary:
    """What ``fit.summary()`` returns: printed as text, shown as HTML in a notebook.

    Attributes
    ----------
    report : Report
        Facts, tables and notes, each number exact and as shown.
    """

    report: Report

    def as_text(self) -> str:
        """The summary as plain text, laid out like R's; what ``print`` shows."""
        return text.render(self.report)

    def as_html(self) -> str:
        """The summary as one self-contained HTML fragment, light or dark as the reader's page."""
        return html.render(self.report)

    def as_latex(self) -> str:
        """The summary as LaTeX tables; needs the packages booktabs and fontenc with T1."""
        return latex.render(self.report)

    def as_dict(self) -> dict[str, Any]:
        """The summary as nested dicts and lists, ready for JSON (None for what is not finite).

        Keys: ``model, title, about, residuals, fixed_effects, notes``; for ``lm`` also ``fit``, for
        ``lmer`` ``criteria, random_effects, size, correlation, optimum``.
        """
        return json.document(self.report)

    def as_json(self) -> str:
        """The summary as strict JSON with exact numbers; keys as `as_dict`."""
        return json.render(self.report)

    def __str__(self) -> str:
        return self.as_text()

    def __repr__(self) -> str:
        return self.as_text()

    def _repr_html_(self) -> str:
        return self.as_html()


def build(record: Record) -> Summary:
    """Summarise a fit.

    Parameters
    ----------
    record : OlsRecord or LmmRecord

    Returns
    -------
    Summary
    """
    return Summary(tables.report(record))
