"""Remarks below (or, when they are alarming, above) the tables of a report.

Each says what was found, in which term or column, and what it means for the reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .. import estimates, varcorr
from ..estimates import SINGULAR
from ..ols import OlsRecord
from . import quantities
from .structure import Note

if TYPE_CHECKING:
    from ..estimates import Record
    from ..lmm import LmmRecord
    from ..varcorr import Component

__all__ = ["degrees", "loud", "many_correlations", "quiet", "singular", "why_left_out"]

_SAME = 1e-6  # derived: eigenvalues of a correlation matrix below this are rounding of zero


def loud(record: LmmRecord) -> tuple[Note, ...]:
    """What must be read before any number: the optimum is not certified."""
    optimum = record.optimum
    if optimum.converged and optimum.kkt:
        return ()
    reason = str(optimum.message).strip().rstrip(".") or "the optimiser stopped early"
    text = (
        f"NOT AT A CERTIFIED OPTIMUM: {reason} (after {optimum.evaluations} evaluations; "
        f"gradient norm {optimum.gradient_norm:.1e}, predicted remaining decrease "
        f"{optimum.decrement:.1e}). Do not trust the numbers below as they are: rescale "
        "predictors, simplify the random effects, or raise Control(max_evaluations=...)."
    )
    return (Note("warning", "optimum", text),)


def quiet(record: Record) -> tuple[Note, ...]:
    """Remarks at the end: singular terms, dropped columns."""
    found = [] if isinstance(record, OlsRecord) else [*singular(record), *degrees(record)]
    dropped = quantities.dropped_columns(record)
    if dropped:
        parts = "; ".join(
            f"{name} (from {', '.join(of)})" if of else name for name, of in dropped.items()
        )
        text = (
            f"Dropped columns (zero, or combinations of columns before them): {parts}. Fitted "
            "values are the same without them, but the coefficients of their partners now stand "
            "for both."
        )
        found.append(Note("info", "dropped_columns", text))
    return tuple(found)


def singular(record: LmmRecord) -> tuple[Note, ...]:
    """A note for each term without variance in some direction; one for all if nothing varies."""
    found = varcorr.of(record)
    if found.sigma == 0:
        text = (
            "The fixed effects fit the response exactly, so every variance is zero. Is the "
            "response constant, or computed from the predictors?"
        )
        return (Note("info", "singular", text),)
    texts = (_singular_term(term) for term in found.components)
    return tuple(Note("info", "singular", text) for text in texts if text)


def degrees(record: LmmRecord) -> tuple[Note, ...]:
    """How the df of the t tests come about."""
    if estimates.sigma(record) == 0 or not len(record.kept):
        return ()
    from ..inference.degrees import satterthwaite

    text = "df and p-values: Satterthwaite's method."
    boundary = satterthwaite(record).boundary
    if boundary:
        text += (
            f" They take the closed directions of {_and(boundary)} as known: a variance estimated "
            "as zero has no sampling error in this method."
        )
    return (Note("info", "degrees_of_freedom", text),)


def many_correlations(p: int, limit: int) -> Note:
    """Stands for the correlation matrix of very many coefficients."""
    text = (
        f"Correlation of fixed effects: not shown for {p} coefficients (more than {limit}); "
        "cov_params() has the whole matrix."
    )
    return Note("info", "correlation", text)


def why_left_out(record: Record) -> str:
    """Reason for which rows are missing from a fit."""
    return "missing values or zero weight" if record.spec.weights else "missing values"


def _singular_term(term: Component) -> str:
    """What is degenerate in one term, and what that means; empty if nothing is."""
    factor = term.factor
    k = len(term.columns)
    if k == 0 or float(np.min(np.diag(factor))) >= SINGULAR:
        return ""
    sizes = np.sqrt(np.sum(factor**2, axis=1))
    head = f"Singular fit: in {term.spec.text} the "
    levels = f"levels of {term.group}"
    zero = [c for c, size in zip(term.columns, sizes.tolist(), strict=True) if size == 0]
    if zero:
        plural = len(zero) > 1
        return (
            f"{head}variance{'s' if plural else ''} of {_and(zero)} {'are' if plural else 'is'} "
            f"estimated as zero: the {levels} differ by no more than the residual variance alone "
            "would make them, or there are too few data to tell. Leaving "
            f"{'them' if plural else 'it'} out of the term gives the same fit."
        )
    if not term.spec.diagonal and k == 2 and 1 - abs(term.correlation[1, 0]) < _SAME:
        sign = "1" if term.correlation[1, 0] > 0 else "-1"
        return (
            f"{head}correlation of {_and(term.columns)} is estimated as {sign}: over the {levels}, "
            "one is an exact linear function of the other. The data do not support a separate "
            "variance for each; a term without the correlation (||) or without one of the columns "
            "is worth a look."
        )
    lost = _null_directions(term)
    if lost:
        count = f"{len(lost)} of {k} directions have" if len(lost) > 1 else "one direction has"
        return (
            f"{head}covariance of {_and(term.columns)} has lower rank than its size: {count} no "
            f"variance over the {levels} (in units of standard deviations: {'; '.join(lost)}). "
            "The data do not support so many separate variances and correlations; a smaller term, "
            "or one without correlations (||), is worth a look."
        )
    i = int(np.argmin(np.diag(factor)))
    return (
        f"Nearly singular fit: in {term.spec.text} the standard deviation of {term.columns[i]}, as "
        f"far as the columns before it do not account for it, is only {factor[i, i]:.1e} residual "
        "standard deviations. If its unit is very small, rescale the column; otherwise treat its "
        "variance as zero."
    )


def _null_directions(term: Component) -> list[str]:
    """Combinations of the columns, each in its standard deviations, that do not vary."""
    if term.spec.diagonal:
        return []
    values, vectors = np.linalg.eigh(term.correlation)
    lost = []
    for v in vectors.T[values < _SAME]:
        v = v * np.sign(v[np.argmax(np.abs(v))])
        parts = [
            f"{'-' if x < 0 else '+'} {abs(x):.2f} {c}"
            for x, c in zip(v.tolist(), term.columns, strict=True)
            if abs(x) >= 0.005
        ]
        lost.append(" ".join(parts).removeprefix("+ "))
    return lost


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
