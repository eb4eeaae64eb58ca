"""The three fits of every coefficient side by side, and the condition for them to agree."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import estimates, robust
from .._errors import PartialPoolError
from .._types import FloatArray
from .groups import group_sums
from .limit import no_pooling_df

if TYPE_CHECKING:
    import pandas as pd

    from .groups import GroupSums
    from .path import Path
    from .precision import Precision

__all__ = ["Conditions", "Row", "conditions", "frame", "rows"]

_EQUAL = 1e-8  # of a standard error: the rounding of two ways to the same estimate
_COMMUTES = 1e-8  # calibrated: rounding leaves 1e-15 where V X lies in the columns of X
_ZERO = "no pooling frees all effects, the end of the path only those of a variance above zero"
_NO_DF = "no standard error without pooling: no residual degrees of freedom are left"
_NO_RANK = "no standard error without pooling: the rank of so many levels was not computed"


class Row(NamedTuple):
    """One coefficient in the three fits; NaN where `note` says why.

    Attributes
    ----------
    name : str
    complete, complete_se, complete_cr2 : float
        `lm`: estimate, its own standard error, and one that holds when rows of a group depend.
    partial, partial_se : float
        `lmer`.
    within, within_se : float
        No pooling.
    between, between_lm : float
        The regression of group means, weighted as in `lmer` and as in `lm`.
    weight_between : float
        Share of the information on it in `lmer` that lies between groups, 0 to 1.
    weight_between_lm : float
        The same share in `lm`.
    note : str
    """

    name: str
    complete: float
    complete_se: float
    complete_cr2: float
    partial: float
    partial_se: float
    within: float
    within_se: float
    between: float
    between_lm: float
    weight_between: float
    weight_between_lm: float
    note: str

    @property
    def difference(self) -> float:
        """`lmer`'s estimate less `lm`'s."""
        return self.partial - self.complete


class Conditions(NamedTuple):
    """What could make both fits the same, in numbers.

    Attributes
    ----------
    ratio : float
        Largest relative standard deviation of a random effect: 0 if Lambda is.
    commutes : float
        Distance of V X from the columns of X, 0 to 1.
    between_within : float
        Largest gap between the between and the within estimate, in standard errors of `lmer`, over
        both weightings; NaN where that is not defined.
    moved : float
        Largest difference of a coefficient, in standard errors of `lmer`.
    """

    ratio: float
    commutes: float
    between_within: float
    moved: float

    @property
    def is_zero(self) -> bool:
        """Lambda = 0: the mixed model is the linear model."""
        return self.ratio == 0

    @property
    def is_balanced(self) -> bool:
        """V X lies in the columns of X: the same estimates for every response."""
        return not self.is_zero and self.commutes < _COMMUTES

    @property
    def agrees(self) -> bool:
        """Between and within estimates are the same under both weightings."""
        return self.between_within < 1e-6

    @property
    def coincide(self) -> bool:
        """No coefficient differs by more than rounding."""
        return self.moved < 1e-6


def rows(path: Path) -> tuple[Row, ...]:
    """A row a column of the fixed part, dropped ones NaN."""
    ols, mixed = path.ols, path.mixed
    names, kept = mixed.names, mixed.kept
    within, within_se, reasons = _within(path)
    between, between_lm = _between(path, path.ratio), _between(path, 0.0)
    cr2, why = _clustered(path)
    of_kept = {
        "complete_cr2": cr2,
        "partial": mixed.solution.beta,
        "partial_se": np.sqrt(np.diag(estimates.covariance(mixed))),
        "within": within,
        "within_se": within_se,
        "between": between[0],
        "between_lm": between_lm[0],
        "weight_between": between[1],
        "weight_between_lm": between_lm[1],
    }
    columns = {name: _all(len(names), kept, values) for name, values in of_kept.items()}
    columns["complete"] = estimates.coefficients(ols)
    columns["complete_se"] = estimates.standard_errors(ols)
    notes = dict(zip(kept.tolist(), reasons, strict=True))
    aliases = {j: _repeats(names, of) for j, of in mixed.aliases}
    out = []
    for j, name in enumerate(names):
        values = {key: float(column[j]) for key, column in columns.items()}
        parts = [notes.get(j, aliases.get(j, ""))]
        if j in notes:
            parts += [why, _no_between(path) if math.isnan(values["between"]) else ""]
        out.append(Row(name=name, note="; ".join(p for p in parts if p), **values))
    return tuple(out)


def frame(found: tuple[Row, ...]) -> pd.DataFrame:
    """The rows as a DataFrame."""
    import pandas as pd

    columns = {
        "complete_pooling": [r.complete for r in found],
        "complete_pooling_se": [r.complete_se for r in found],
        "complete_pooling_cr2_se": [r.complete_cr2 for r in found],
        "partial_pooling": [r.partial for r in found],
        "partial_pooling_se": [r.partial_se for r in found],
        "no_pooling": [r.within for r in found],
        "no_pooling_se": [r.within_se for r in found],
        "between": [r.between for r in found],
        "difference": [r.difference for r in found],
        "weight_between": [r.weight_between for r in found],
        "note": [r.note for r in found],
    }
    return pd.DataFrame(columns, index=pd.Index([r.name for r in found], dtype=object))


def conditions(path: Path, found: tuple[Row, ...], dependence: Precision) -> Conditions:
    """The numbers behind `same_when`."""
    factors = path.mixed.layout.lambdas(path.mixed.solution.theta)
    ratio = max(float(np.sqrt((f**2).sum(axis=1)).max()) for f in factors)
    moved = [
        abs(r.difference) / r.partial_se if r.partial_se > 0 else _gap(r.difference, r.complete)
        for r in found
        if math.isfinite(r.difference)
    ]
    gap = math.nan if path.sums is None else _between_gap(path, path.sums)
    return Conditions(ratio, dependence.commutes, gap, max(moved, default=0.0))


def _gap(difference: float, scale: float) -> float:
    """A difference where there are no standard errors."""
    return 0.0 if abs(difference) <= _EQUAL * max(abs(scale), 1.0) else math.inf


def _between_gap(path: Path, sums: GroupSums) -> float:
    """Between less within, in standard errors, where both are defined."""
    se = np.sqrt(np.diag(estimates.covariance(path.mixed)))
    within = sums.limit()[1]
    varying = within.estimable
    gaps = [0.0]
    for ratio in (path.ratio, 0.0):
        w = sums.weighted(ratio)
        both = varying & w.between_estimable
        if not both.any() or not np.all(se > 0):
            return math.nan
        gaps += (np.abs(w.between - sums.limit()[0]) / se)[both].tolist()
    return max(gaps)


def _within(path: Path) -> tuple[FloatArray, FloatArray, list[str]]:
    """Estimates and standard errors of no pooling, and why some are missing."""
    n = path.mixed.rows.nobs
    if path.sums is not None:
        beta, found = path.sums.limit()
        df = float(n - len(path.sums.weight) - found.rank)
        move = path.sums.origin.root
    else:
        assert path.free is not None
        beta, found = path.free.beta, path.free.within
        df, move = no_pooling_df(path.free, n), path.free.origin.root
    root = move(found.root)
    variance = found.rss / df if df > 0 else math.nan
    if math.isinf(path.mixed.solution.objective):
        variance = 0.0
    open_ = ~found.estimable
    beta = np.where(open_, np.nan, beta)
    se = np.where(open_, np.nan, np.sqrt(variance * (root**2).sum(axis=1)))
    flat = _constant_within(path) if open_.any() else []
    left = "" if df > 0 else _NO_DF if df <= 0 else _NO_RANK
    reasons = [_reason(path, k, flat[k]) if open_[k] else left for k in range(len(open_))]
    if path.end is not path.free and path.end is not None:
        apart = np.abs(path.end.beta - beta) > _EQUAL * (np.abs(beta) + np.where(se > 0, se, 0.0))
        for k in np.flatnonzero(apart):
            reasons[k] = "; ".join(part for part in (reasons[k], _ZERO) if part)
    return beta, se, reasons


def _constant_within(path: Path) -> list[list[str]]:
    """For each kept column, the grouping factors within whose levels it is constant."""
    out: list[list[str]] = [[] for _ in path.mixed.kept]
    for g, group in enumerate(path.mixed.rows.groups):
        sums = path.sums if path.sums is not None else group_sums(path.mixed, g)
        for k in np.flatnonzero(~sums.varies_within):
            out[k].append(group.name)
    return out


def _reason(path: Path, k: int, flat: list[str]) -> str:
    """Why no pooling has no estimate of a coefficient."""
    mixed = path.mixed
    name = mixed.names[mixed.kept[k]]
    column = mixed.rows.fixed[mixed.kept[k]]
    terms = mixed.rows.terms
    owners = [t.spec.group for t in terms if name in t.spec.columns]
    groups = " and ".join(dict.fromkeys(t.spec.group for t in terms))
    if not column.numeric and not column.lookups:
        return f"no pooling gives each level of {groups} an intercept of its own"
    if owners:
        return f"no pooling gives each level of {owners[0]} a coefficient of its own"
    if flat:
        return f"constant within the levels of {flat[0]}: no pooling says nothing about it"
    return f"within the levels of {groups} it repeats other columns"


def _between(path: Path, ratio: float) -> tuple[FloatArray, FloatArray]:
    """Between estimates, and the share of the information between groups, at a ratio."""
    if path.sums is None:
        nothing = np.full(len(path.mixed.kept), np.nan)
        return nothing, nothing
    found = path.sums.weighted(ratio)
    between = np.where(found.between_estimable, found.between, np.nan)
    return between, path.sums.between_share(ratio)


def _no_between(path: Path) -> str:
    """Why the means of the levels have no estimate of a coefficient."""
    if path.sums is None:
        return ""
    group = path.mixed.rows.groups[0]
    return f"no between estimate: the means of the levels of {group.name} do not determine it"


def _clustered(path: Path) -> tuple[FloatArray, str]:
    """CR2 standard errors of lm, clustered by the outermost grouping factor."""
    r = len(path.ols.kept)
    outer = _outermost(path)
    if outer is None:
        return np.full(r, np.nan), "no CR2 standard error for crossed grouping factors"
    try:
        found = robust.cr2(path.ols, outer)
    except PartialPoolError as error:
        return np.full(r, np.nan), f"no CR2 standard error: {str(error).splitlines()[0]}"
    with np.errstate(invalid="ignore"):
        return np.sqrt(np.diag(found)), ""


def _outermost(path: Path) -> npt.NDArray[np.int32] | None:
    """Codes of the factor that all others are nested in; None for crossed factors."""
    groups = sorted(path.mixed.rows.groups, key=lambda g: len(g.levels))
    outer = groups[0]
    for inner in groups[1:]:
        of = np.zeros(len(inner.levels), dtype=outer.codes.dtype)
        of[inner.codes] = outer.codes
        if not np.array_equal(of[inner.codes], outer.codes):
            return None
    return np.asarray(outer.codes)


def _all(p: int, kept: npt.NDArray[np.int64], values: FloatArray) -> FloatArray:
    out = np.full(p, np.nan)
    out[kept] = values
    return out


def _repeats(names: tuple[str, ...], of: tuple[int, ...]) -> str:
    if not of:
        return "left out: the column is zero"
    return f"left out: it repeats {', '.join(names[i] for i in of)}"
