"""Contrasts between marginal means: t tests, adjusted for how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import estimates
from .._errors import SpecificationError, one_of
from .._types import BoolArray, FloatArray
from . import _grid, _printed, adjust
from ._families import Family
from ._linear import estimate, frozen, roots, why_not

if TYPE_CHECKING:
    import pandas as pd

    from ..estimates import Record
    from .means import MarginalMeans

__all__ = ["Contrasts", "combine", "compare"]

_NAMES = {
    "tukey": "Tukey's method",
    "sidak": "Sidak's method",
    "holm": "Holm's method",
    "bonferroni": "Bonferroni's method",
    "mvt": "the multivariate t distribution",
}
_NO_ROOT = np.zeros((0, 0))
_ROUNDING = 1e-12  # of the terms of a sum: what is left of a coefficient that cancels


@dataclass(frozen=True, eq=False, repr=False)
class Contrasts:
    """Contrasts of marginal means; made by `MarginalMeans.pairs` and `MarginalMeans.contrast`.

    Attributes
    ----------
    names : tuple of str
        Of the m contrasts of each family.
    by : tuple of str
        Variables whose levels each have a family of their own.
    groups : tuple of tuple
        Their values; one empty tuple without `by`.
    L : (q, p) float64
        A row a contrast, family after family; over all coefficients.
    estimate, std_error, df, t_ratio, p_value : (q,) float64
        NaN where a contrast is not estimable.
    adjust : str
        How `p_value` is adjusted.
    sizes : tuple of int
        Means (for Tukey) or tests in each family; what cannot be estimated does not count.
    reasons : tuple of str
        Why a row is not estimable; "" where it is.
    notes : tuple of str
    """

    title: str
    names: tuple[str, ...]
    by: tuple[str, ...]
    groups: tuple[tuple[Any, ...], ...]
    L: FloatArray
    estimate: FloatArray
    std_error: FloatArray
    df: FloatArray
    t_ratio: FloatArray
    p_value: FloatArray
    adjust: str
    sizes: tuple[int, ...]
    level: float
    ddf: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    _record: Record

    def to_frame(self) -> pd.DataFrame:
        """A row a contrast.

        Returns
        -------
        DataFrame
            ``contrast``, the variables of `by`, ``estimate, std_error, df, t_ratio, p_value``.
        """
        import pandas as pd

        return pd.DataFrame({c.name: list(c.values) for c in self._columns()})

    def conf_int(self, level: float | None = None) -> pd.DataFrame:
        """Simultaneous confidence limits that go with the adjustment.

        Parameters
        ----------
        level : float, optional
            For each family as a whole; that of the means when left out. Holm's method has no limits
            of its own: they are Bonferroni's.

        Returns
        -------
        DataFrame
            ``contrast``, the variables of `by`, ``estimate, conf_low, conf_high``.

        Raises
        ------
        SpecificationError
            Unless 0 < level < 1.
        """
        import pandas as pd

        level = self.level if level is None else estimates.check_level(level)
        half = np.full(len(self.df), np.nan)
        for size, rows in zip(self.sizes, self._families(), strict=True):
            root = roots(self._record, self.L[rows], self.ddf) if self.adjust == "mvt" else _NO_ROOT
            width = adjust.critical(self.adjust, level, self.df[rows], means=size, root=root)
            half[rows] = width * self.std_error[rows]
        columns = {c.name: list(c.values) for c in self._columns()[: 2 + len(self.by)]}
        columns |= {
            "conf_low": (self.estimate - half).tolist(),
            "conf_high": (self.estimate + half).tolist(),
        }
        return pd.DataFrame(columns)

    def __getitem__(self, column: str) -> pd.Series[Any]:
        """A column of `to_frame`."""
        return self.to_frame()[column]

    def __len__(self) -> int:
        return len(self.estimate)

    def _families(self) -> list[Any]:
        """Places of the tests of each family."""
        return _families(len(self.names), len(self.groups), self.df, self.t_ratio)

    def _columns(self) -> list[_printed.Column]:
        m = len(self.names)
        labels = [group for group in self.groups for _ in range(m)]
        columns = [
            _printed.Column("contrast", list(self.names) * len(self.groups), "text"),
            *(
                _printed.Column(name, [label[i] for label in labels], "text")
                for i, name in enumerate(self.by)
            ),
            _printed.Column("estimate", self.estimate.tolist(), "value"),
            _printed.Column("std_error", self.std_error.tolist(), "value"),
            _printed.Column("df", self.df.tolist(), "df"),
            _printed.Column("t_ratio", self.t_ratio.tolist(), "t"),
            _printed.Column("p_value", self.p_value.tolist(), "p"),
        ]
        return _printed.apart(columns)

    def _notes(self) -> list[str]:
        m = len(self.names)
        rows = [self._row_text(i // m, i % m) for i in range(len(self))]
        return [*self.notes, _adjustment(self), *_printed.gaps(rows, self.reasons)]

    def _row_text(self, group: int, row: int) -> str:
        pairs = zip(self.by, self.groups[group], strict=True)
        return ", ".join([self.names[row], *(_grid.spell(n, v) for n, v in pairs)])

    def __str__(self) -> str:
        return _printed.text(self.title, self._columns(), self._notes())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _printed.html(self.title, self._columns(), self._notes())


def compare(means: MarginalMeans, family: Family, method: str | None) -> Contrasts:
    """The contrasts of `family`, within each group of `means`.

    Raises
    ------
    SpecificationError
        For an unknown adjustment, and Tukey's of anything but pairs.
    """
    method = family.adjust if method is None else method
    one_of("adjust", method, adjust.METHODS)
    if method == "tukey" and family.method != "pairwise":
        raise SpecificationError(
            f"adjust='tukey' is for all pairs of means, not for {family.method!r} contrasts. Use "
            "'mvt', which takes the correlations of any set of contrasts into account."
        )
    k, record = family.C.shape[1], means._record
    groups = tuple(label[len(means.factors) :] for label in means.labels[::k])
    parts = [combine(family.C, means.L[g * k : (g + 1) * k]) for g in range(len(groups))]
    L = np.concatenate(parts)
    offset = np.concatenate(
        [
            combine(family.C, means.offset[g * k : (g + 1) * k, None])[:, 0]
            for g in range(len(groups))
        ]
    )
    found = estimate(record, L, offset, means.ddf)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = found.value / found.std_error
    p, sizes = _adjusted(means, family, method, L, found.df, t)
    m = len(family.names)
    reasons = tuple(
        "" if good else _reason(means, family.C[i % m], i // m, L[i])
        for i, good in enumerate(found.estimable)
    )
    return Contrasts(
        title=f"Contrasts of {means.title[0].lower()}{means.title[1:]}",
        names=family.names,
        by=means.by,
        groups=groups,
        L=frozen(L),
        estimate=found.value,
        std_error=found.std_error,
        df=found.df,
        t_ratio=frozen(t),
        p_value=frozen(p),
        adjust=method,
        sizes=tuple(sizes),
        level=means.level,
        ddf=means.ddf,
        reasons=reasons,
        notes=means.notes,
        _record=record,
    )


def combine(C: FloatArray, L: FloatArray) -> FloatArray:
    """C L, rows of L that are NaN felt only where they have a weight; what cancels is zero."""
    bad: BoolArray = np.isnan(L.sum(axis=1))
    rows = np.where(bad[:, None], 0.0, L)
    out = C @ rows
    out[np.abs(out) <= _ROUNDING * (np.abs(C) @ np.abs(rows))] = 0.0
    out[(C[:, bad] != 0).any(axis=1)] = np.nan
    return np.asarray(out)


def _families(m: int, groups: int, df: FloatArray, t: FloatArray) -> list[Any]:
    """Places of the tests of each family that exist."""
    exists = np.isfinite(t) | np.isinf(t)
    exists &= df > 0
    return [g * m + np.flatnonzero(exists[g * m : (g + 1) * m]) for g in range(groups)]


def _adjusted(
    means: MarginalMeans,
    family: Family,
    method: str,
    L: FloatArray,
    df: FloatArray,
    t: FloatArray,
) -> tuple[FloatArray, list[int]]:
    """p-values, and the size of each family."""
    m = len(family.C)
    p = np.full(len(t), np.nan)
    sizes = []
    for rows in _families(m, len(t) // m, df, t):
        compared = int((family.C[rows % m] != 0).any(axis=0).sum())
        root = (
            roots(means._record, L[rows], means.ddf) if method == "mvt" and len(rows) else _NO_ROOT
        )
        p[rows] = adjust.p_values(method, t[rows], df[rows], means=max(2, compared), root=root)
        sizes.append(compared if method == "tukey" else len(rows))
    return p, sizes


def _reason(means: MarginalMeans, c: FloatArray, group: int, row: FloatArray) -> str:
    """Why a contrast is not estimable: its means are not, or only their difference."""
    k = len(c)
    own = [means.reasons[group * k + i] for i in np.flatnonzero(c) if means.reasons[group * k + i]]
    return "; ".join(dict.fromkeys(own)) or why_not(means._record, row, ())


def _adjustment(found: Contrasts) -> str:
    """The sentence about the adjustment."""
    if found.adjust == "none":
        return "P values are not adjusted for the number of tests."
    sizes = sorted(set(found.sizes))
    what = ("mean" if found.adjust == "tukey" else "test") + ("" if sizes == [1] else "s")
    if found.by:
        size = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        family = f"families of {size} {what}, one for each level of {' x '.join(found.by)}"
    else:
        family = f"a family of {sizes[0]} {what}"
    return f"P values are adjusted by {_NAMES[found.adjust]} for {family}."
