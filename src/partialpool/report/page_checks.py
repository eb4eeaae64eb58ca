"""The page's diagnostics: what was checked in words, and two pictures of residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import check as checks
from .. import diagnostics, predict
from ..ols import OlsRecord
from . import svg
from .html import escape

if TYPE_CHECKING:
    from ..estimates import Record
    from ..findings import Finding

__all__ = ["diagnose"]

_POINTS = 1500  # rows in a picture
_TAIL = 100  # of either end of the ordered residuals: all of them
_MIDDLE = 800
_SEED = 20
_KINDS = {"singular": "variances"}  # "Fine: singular" would frighten
_SEVERITIES = {"problem": "Problem", "warning": "Warning", "note": "Worth knowing", "ok": "Fine"}


def diagnose(record: Record) -> str:
    """The section's body: a verdict, the findings, residuals in pictures.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    """
    found = checks.check(record)
    items = "\n".join(map(_finding, found))
    return f"<p>{_verdict(found)}</p>\n{items}\n{_pictures(record)}"


def _verdict(found: checks.Check) -> str:
    if any(f.severity == "problem" for f in found):
        return "Do not use these numbers before the problem below is solved."
    if not found.ok:
        return "The warning below can change a conclusion; look at it first."
    if any(f.severity == "note" for f in found):
        return (
            "Nothing that was looked at speaks against using this fit; some of it is worth knowing."
        )
    return "Nothing that was looked at speaks against using this fit."


def _finding(f: Finding) -> str:
    return (
        f'<p class="finding {escape(f.severity)}"><strong>{_SEVERITIES[f.severity]}: '
        f"{escape(_KINDS.get(f.kind, f.kind))}.</strong> {escape(f.text)}</p>"
    )


def _pictures(record: Record) -> str:
    """Residuals over fitted values and against normal quantiles; a sample where there are many."""
    sigma = record.sigma if isinstance(record, OlsRecord) else record.solution.sigma
    if not sigma > 0:
        return ""
    from scipy import special

    residuals = diagnostics.residuals(record, "scaled")
    fitted = predict.fitted(record)
    n = len(residuals)
    order = np.sort(residuals)
    quantiles = special.ndtri((np.arange(1, n + 1) - 0.5) / n)
    if n > _POINTS:
        rows = np.sort(np.random.default_rng(_SEED).choice(n, _POINTS, replace=False))
        middle = np.linspace(0, n - 1, _MIDDLE).astype(int)
        shown = np.unique(np.r_[0:_TAIL, middle, n - _TAIL : n])
    else:
        rows, shown = np.arange(n), np.arange(n)
    ends = np.array([fitted[rows].min(), fitted[rows].max()])
    line = np.array([max(quantiles[0], order[0]), min(quantiles[-1], order[-1])])
    first = svg.scatter(
        fitted[rows],
        residuals[rows],
        labels=("fitted value", "residual, in residual standard deviations"),
        about=f"Scaled residuals over fitted values, {len(rows)} points",
        lines=[(ends, np.zeros(2), "reference")],
    )
    second = svg.scatter(
        quantiles[shown],
        order[shown],
        labels=("normal quantile", "residual, in residual standard deviations"),
        about=f"Ordered residuals against normal quantiles, {len(shown)} points",
        lines=[(line, line, "reference")],
    )
    some = f" A random sample of {_POINTS:,} of {n:,} rows." if n > _POINTS else ""
    return f"""<div class="panels"><figure><h3>Residuals over fitted values</h3>{first}
<figcaption>The model expects a band of even width around zero; a bend or a funnel speaks against it.{some}
</figcaption></figure><figure><h3>Are the residuals normal?</h3>{second}
<figcaption>Normal residuals lie on the line. Ends steeper than it are heavier tails than the normal's, which
coefficients bear well and predictions of single rows do not.</figcaption></figure></div>"""
