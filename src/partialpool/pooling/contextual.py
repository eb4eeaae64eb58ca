"""Are the group effects related to the covariates? Mundlak's test.

A mixed model takes the group effects to be unrelated to the covariates. If the group means of all
covariates that vary within groups are added, their coefficients (the contextual effects) say by how
much the slope between groups differs from the slope within; with one random intercept the other
coefficients become the within estimates exactly. The test that they are zero is equivalent to
Hausman's (Mundlak 1978).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import estimates, lmm, stage
from .._errors import PartialPoolError
from .._types import Column
from ..inference import degrees
from .groups import GroupSums, group_sums

if TYPE_CHECKING:
    import pandas as pd

    from ..lmm import LmmRecord

__all__ = ["ALPHA", "Contextual", "Effect", "contextual"]

ALPHA = 0.05
"""Below this p-value the text calls the assumption in doubt (the usual convention)."""


class Effect(NamedTuple):
    """The contextual effect of one covariate by one grouping factor; NaN where `note` says why.

    Attributes
    ----------
    name, group : str
    estimate, std_error, df, p_value, low, high : float
        `df` by Satterthwaite; `low` and `high` are the 95 % limits.
    note : str
        A sentence's worth of why.
    reason : "", "few", "flat" or "failed"
        The same for programs: too few levels, the same mean in all levels, no fit.
    """

    name: str
    group: str
    estimate: float = math.nan
    std_error: float = math.nan
    df: float = math.nan
    p_value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    note: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Contextual:
    """Mundlak's test of a mixed model.

    Attributes
    ----------
    effects : tuple of Effect
        One a covariate that varies within the levels of a grouping factor.
    F, num_df, den_df, p_value : float
        All of them together; NaN if there is nothing to test.
    singular : bool
        With the means in, the variance of some random effect is estimated as zero.
    """

    effects: tuple[Effect, ...] = ()
    F: float = math.nan
    num_df: int = 0
    den_df: float = math.nan
    p_value: float = math.nan
    singular: bool = False

    @property
    def is_tested(self) -> bool:
        """True if at least one contextual effect could be estimated."""
        return self.num_df > 0 and math.isfinite(self.p_value)

    @property
    def in_doubt(self) -> bool:
        """True if the test rejects: group effects and covariates are related."""
        return self.is_tested and self.p_value < ALPHA

    def of(self, name: str) -> Effect | None:
        """The effect of a covariate, the best determined one if several factors have it."""
        found = [e for e in self.effects if e.name == name and math.isfinite(e.estimate)]
        return min(found, key=lambda e: e.std_error, default=None)

    def to_frame(self) -> pd.DataFrame:
        """A row an effect.

        Returns
        -------
        DataFrame
            ``group, estimate, std_error, df, t_ratio, p_value, conf_low, conf_high, note``, indexed
            by the covariate.
        """
        import pandas as pd

        e = self.effects
        columns = {
            "group": [x.group for x in e],
            "estimate": [x.estimate for x in e],
            "std_error": [x.std_error for x in e],
            "df": [x.df for x in e],
            "t_ratio": [x.estimate / x.std_error if x.std_error > 0 else math.nan for x in e],
            "p_value": [x.p_value for x in e],
            "conf_low": [x.low for x in e],
            "conf_high": [x.high for x in e],
            "note": [x.note for x in e],
        }
        index = pd.Index([x.name for x in e], name="term", dtype=object)
        return pd.DataFrame(columns, index=index)

    def __str__(self) -> str:
        joint = ""
        if self.is_tested:
            joint = (
                f"\nAll together: F({self.num_df}, {self.den_df:.1f}) = {self.F:.3g}, "
                f"p = {self.p_value:.3g}"
            )
        return f"{self.to_frame().to_string()}{joint}"

    __repr__ = __str__


class _Mean(NamedTuple):
    """A column of group means that goes in, or the reason why it does not."""

    effect: Effect
    column: Column | None


def contextual(mixed: LmmRecord, sums: GroupSums | None = None) -> Contextual:
    """Add the group means of all covariates that vary within groups, and test them.

    Parameters
    ----------
    mixed : LmmRecord
    sums : GroupSums, optional
        Of its first grouping factor, if they are there already.

    Returns
    -------
    Contextual

    Notes
    -----
    The cost of one more fit, by REML whatever the fit. Means are weighted as the rows are.

    Source: Mundlak (1978); Satterthwaite degrees of freedom as for the fit itself.
    """
    means = [m for g in range(len(mixed.rows.groups)) for m in _means(mixed, g, sums)]
    new = [m.column for m in means if m.column is not None]
    if not new or mixed.solution.sigma == 0:
        return Contextual(tuple(m.effect for m in means))
    try:
        fit = _fit_with(mixed, new)
    except PartialPoolError as error:
        note = f"not estimated: {str(error).splitlines()[0]}"
        failed = (e if e.note else e._replace(note=note, reason="failed") for e, _ in means)
        return Contextual(tuple(failed))
    return _tested(fit, means, len(mixed.rows.fixed))


def _means(mixed: LmmRecord, g: int, sums: GroupSums | None) -> list[_Mean]:
    """The group means of one grouping factor's covariates."""
    rows = mixed.rows
    group = rows.groups[g]
    found = sums if sums is not None and g == 0 else group_sums(mixed, g)
    J = len(group.levels)
    free = J - found.between_rank()
    out = []
    for k in np.flatnonzero(found.varies_within):
        name = mixed.names[mixed.kept[k]]
        if free < 1:
            note = f"{J} levels of {group.name} are too few: the means and the covariates that are "
            note += "constant within levels leave no level to spare"
            out.append(_Mean(Effect(name, group.name, note=note, reason="few"), None))
            continue
        values = found.level_means[group.codes, k]
        label = f"mean of {name} by {group.name}"
        out.append(
            _Mean(Effect(name, group.name), Column(label, (np.ascontiguousarray(values),), ()))
        )
    return out


def _fit_with(mixed: LmmRecord, new: list[Column]) -> LmmRecord:
    """The model with more columns, without warnings.

    By REML: ML takes the variance of few levels as too small, and the means look significant.
    """
    rows = mixed.rows._replace(fixed=(*mixed.rows.fixed, *new))
    spec = replace(mixed.spec, reml=True)
    made = stage.of_rows(rows, spec=spec, schema=mixed.schema, table=mixed.table)
    return lmm.fit_stage(made, mixed.control)


def _tested(fit: LmmRecord, means: list[_Mean], first: int) -> Contextual:
    """Estimates, degrees of freedom and p-values of the columns from `first` on."""
    from scipy import special

    place = {int(column): i for i, column in enumerate(fit.kept)}
    at = [i for i, m in enumerate(means) if m.column is not None]
    position = {i: place.get(first + j) for j, i in enumerate(at)}
    there = [p for p in position.values() if p is not None]
    L = np.eye(len(fit.kept))[there]
    effects = [m.effect for m in means]
    beta, cov = fit.solution.beta, degrees.covariance(fit)
    df = dict(zip(there, degrees.df(fit, L), strict=True)) if there else {}
    for i, p in position.items():
        if p is None:
            note = "the group means repeat other columns, as where all levels have the same mean"
            effects[i] = effects[i]._replace(note=note, reason="flat")
            continue
        estimate, se, nu = float(beta[p]), math.sqrt(float(cov[p, p])), float(df[p])
        half = float(special.stdtrit(nu, 0.975)) * se
        p_value = float(2 * special.stdtr(nu, -abs(estimate) / se)) if se > 0 else math.nan
        effects[i] = effects[i]._replace(
            estimate=estimate,
            std_error=se,
            df=nu,
            p_value=p_value,
            low=estimate - half,
            high=estimate + half,
        )
    if not there:
        return Contextual(tuple(effects))
    joint = degrees.f_test(fit, L)
    return Contextual(
        tuple(effects),
        joint.F,
        joint.num_df,
        joint.den_df,
        joint.p_value,
        estimates.is_singular(fit),
    )
