"""Everything that is found when a linear model is compared with a mixed one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import lmm
from .._errors import UnavailableError
from .._types import FloatArray
from ..lmm import LmmRecord
from ..ols import OlsRecord
from . import contextual, decomposition, path, precision, table
from .contextual import Contextual
from .decomposition import Decomposition
from .path import Path
from .precision import Precision
from .prose import all_of, clipped
from .table import Conditions, Row
from .threads import threads_for

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Findings"]


@dataclass(frozen=True, eq=False, repr=False)
class Findings:
    """Numbers of a comparison, each computed when it is first asked for.

    Attributes
    ----------
    ols : OlsRecord
        The linear model: complete pooling.
    mixed : LmmRecord
        The mixed model: partial pooling.
    """

    ols: OlsRecord
    mixed: LmmRecord

    def __getstate__(self) -> dict[str, Any]:
        return {"ols": self.ols, "mixed": self.mixed}

    # -- what the numbers rest on -----------------------------------------------------------------

    @cached_property
    def _path(self) -> Path:
        with threads_for(self.mixed):
            return path.path(self.ols, self.mixed)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """A `Row` a coefficient: what `table` shows."""
        with threads_for(self.mixed):
            return table.rows(self._path)

    @cached_property
    def precision(self) -> Precision:
        """What the dependence of the rows does to precision."""
        with threads_for(self.mixed):
            return precision.precision(self.mixed, self._path.sums)

    @cached_property
    def conditions(self) -> Conditions:
        """The numbers behind `same_when`."""
        return table.conditions(self._path, self.rows, self.precision)

    @cached_property
    def contextual(self) -> Contextual:
        """Mundlak's test: are the group effects related to the covariates?"""
        with threads_for(self.mixed):
            return contextual.contextual(self.mixed, self._path.sums)

    @cached_property
    def focus(self) -> Row:
        """The coefficient that moves most, in standard errors; the intercept only if alone."""
        found = [r for r in self.rows if math.isfinite(r.difference)]
        slopes = [r for r in found if r.name != "Intercept"] or found
        return max(slopes, key=lambda r: _moved(r.difference, r.partial_se))

    @property
    def group_name(self) -> str:
        """The grouping factor of the first term, for a sentence."""
        return clipped(self.mixed.rows.terms[0].spec.group)

    @property
    def group_names(self) -> str:
        """All grouping factors, for a sentence."""
        found = dict.fromkeys(t.spec.group for t in self.mixed.rows.terms)
        names = [clipped(name) for name in found]
        return all_of(names if len(names) < 4 else [*names[:2], f"{len(names) - 2} more factors"])

    # -- tables -----------------------------------------------------------------------------------

    @property
    def table(self) -> pd.DataFrame:
        """A row a coefficient in the three fits.

        Returns
        -------
        DataFrame
            ``complete_pooling, complete_pooling_se, complete_pooling_cr2_se, partial_pooling,
            partial_pooling_se, no_pooling, no_pooling_se, between, difference, weight_between,
            note``. Complete pooling is `lm`, partial pooling `lmer`, no pooling the regression
            within groups, between the regression of group means. `difference` is `lmer` less `lm`;
            `weight_between` the share of `lmer`'s information that lies between groups. NaN where
            `note` says why; the last three numbers for one random intercept only.
        """
        return table.frame(self.rows)

    @cached_property
    def _path_values(self) -> tuple[FloatArray, FloatArray]:
        with threads_for(self.mixed):
            ratios = self._path.ratios()
            return ratios, np.array([self._all(self._path.coefficients(r)) for r in ratios])

    @property
    def path(self) -> pd.DataFrame:
        """The coefficients from complete to no pooling.

        Returns
        -------
        DataFrame
            First column ``ratio``: `lm` at 0, `lmer` at `ratio`, the limit at infinity; then a
            column a coefficient. A coefficient that no pooling cannot estimate has a finite limit,
            the unweighted regression of group means given the others, and NaN in `table`.
        """
        import pandas as pd

        ratios, values = self._path_values
        found = pd.DataFrame(values, columns=list(self.mixed.names))
        found.insert(0, "ratio", ratios, allow_duplicates=True)
        return found

    @cached_property
    def _group_values(self) -> dict[str, Any]:
        with threads_for(self.mixed):
            return _groups(self.mixed, self._path)

    @property
    def groups(self) -> pd.DataFrame:
        """A row a random effect.

        Returns
        -------
        DataFrame
            ``group, level, term, n, mean, partial_pooling, no_pooling, cond_sd, shrinkage``: rows
            of the level and their mean response; the effect in `lmer` and its limit when nothing is
            pooled; its conditional standard deviation; the share of a level's own deviation that
            its effect keeps (0: pooled wholly, 1: not at all; for one random intercept
            n theta^2 / (1 + n theta^2)).
        """
        import pandas as pd

        return pd.DataFrame(self._group_values)

    @property
    def decomposition(self) -> Decomposition:
        """`lmer`'s coefficients as W between + (I - W) within.

        Raises
        ------
        UnavailableError
            Unless the random part is one intercept for one grouping factor.
        """
        return self._decomposed(self.ratio)

    @property
    def decomposition_lm(self) -> Decomposition:
        """The same for `lm`, whose weights are those of ratio 0."""
        return self._decomposed(0.0)

    @property
    def same_when(self) -> pd.DataFrame:
        """The conditions under which both fits agree, which of them hold, and by what number.

        Returns
        -------
        DataFrame
            ``holds, value, meaning``, indexed by the condition.
        """
        import pandas as pd

        c = self.conditions
        rows = {
            "Lambda is zero": (c.is_zero, c.ratio, "largest sd of a random effect over sigma"),
            "design is balanced": (
                c.is_balanced,
                c.commutes,
                "distance of V X from the columns of X, 0 to 1: at 0 both agree for every response",
            ),
            "between equals within": (
                c.agrees,
                c.between_within,
                "largest gap between the two, in standard errors of lmer",
            ),
            "estimates coincide": (
                c.coincide,
                c.moved,
                "largest difference of a coefficient, in standard errors of lmer",
            ),
        }
        columns = ["holds", "value", "meaning"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns)

    # -- numbers ----------------------------------------------------------------------------------

    @property
    def is_one_intercept(self) -> bool:
        """True for one random intercept on one grouping factor, where all is in closed form."""
        return self._path.sums is not None

    @property
    def ratio(self) -> float:
        """Where `lmer` sits on the path: sigma_g / sigma, or 1 where Lambda is scaled."""
        return self._path.ratio

    @property
    def ratio_name(self) -> str:
        """What the path runs over, for an axis."""
        if self.is_one_intercept:
            return f"sd({self.mixed.rows.groups[0].name}) / sd(residual)"
        if self._path.has_own_direction:
            return "scale of the random effects (1 = fitted)"
        return "sd of all random effects / sd(residual)"

    @property
    def icc(self) -> float:
        """Correlation of two rows of one group, given the covariates."""
        return self.precision.icc

    @property
    def design_effect(self) -> float:
        """By how much dependence inflates the variance of the plain mean."""
        return self.precision.design_effect

    @property
    def effective_n(self) -> float:
        """Independent rows that would tell as much of the mean."""
        return self.precision.effective_n

    @property
    def standard_errors(self) -> pd.DataFrame:
        """Standard errors under different views of the rows.

        Returns
        -------
        DataFrame
            ``lm`` as printed; ``lm_cr2`` cluster-robust; ``lm_under_lmer`` those of `lm`'s
            estimates if the mixed model is right; ``independent`` those of `lm`'s estimates had the
            rows the variances of the mixed model and no covariances; ``lmer``.
        """
        import pandas as pd

        columns = {
            "lm": [r.complete_se for r in self.rows],
            "lm_cr2": [r.complete_cr2 for r in self.rows],
            "lm_under_lmer": self._all(self.precision.lm_se),
            "independent": self._all(self.precision.independent_se),
            "lmer": [r.partial_se for r in self.rows],
        }
        return pd.DataFrame(columns, index=list(self.mixed.names))

    def coefficients_at(self, ratio: float) -> pd.Series[float]:
        """Coefficients at any ratio from 0 to ``math.inf``, as in `path`.

        Raises
        ------
        SpecificationError
            For a ratio that is not a number from 0 to infinity.
        """
        import pandas as pd

        values = self._all(self._path.coefficients(ratio))
        return pd.Series(values, index=list(self.mixed.names), name=f"ratio {ratio:g}")

    def effects_at(self, ratio: float) -> pd.Series[float]:
        """Random effects at any ratio from 0 to ``math.inf``, in the rows of `groups`.

        Raises
        ------
        SpecificationError
            For a ratio that is not a number from 0 to infinity.
        """
        import pandas as pd

        values = np.concatenate([b.ravel() for b in self._path.effects(ratio)])
        return pd.Series(values, name=f"ratio {ratio:g}")

    def _all(self, kept: FloatArray) -> FloatArray:
        """Values of the kept coefficients in the places of all."""
        out = np.full(len(self.mixed.names), math.nan)
        out[self.mixed.kept] = kept
        return out

    def _decomposed(self, ratio: float) -> Decomposition:
        if self._path.sums is None:
            terms = ", ".join(t.spec.text for t in self.mixed.rows.terms)
            raise UnavailableError(
                "The decomposition into a between and a within regression exists for one random "
                f"intercept on one grouping factor; this model has {terms}. See path and table."
            )
        names = tuple(self.mixed.names[i] for i in self.mixed.kept)
        return decomposition.decomposition(self._path.sums, names, ratio)


def _moved(difference: float, se: float) -> float:
    return abs(difference) / se if se > 0 else abs(difference)


def _groups(mixed: LmmRecord, path: Path) -> dict[str, Any]:
    """The columns of `Findings.groups`."""
    rows, solution = mixed.rows, mixed.solution
    assert rows.y is not None
    variances = lmm.problem(mixed).conditional_covariances(solution.theta)
    priors = mixed.layout.lambdas(solution.theta)
    parts: dict[str, list[Any]] = {}
    for t, term in enumerate(rows.terms):
        group, k = rows.groups[term.group], len(term.columns)
        J = len(group.levels)
        n = np.bincount(group.codes, minlength=J)
        pilot = float(rows.y[0])
        mean = np.bincount(group.codes, weights=rows.y - pilot, minlength=J) / n + pilot
        conditional = np.diagonal(variances[t], axis1=1, axis2=2)
        prior = (priors[t] ** 2).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            kept = np.where(prior > 0, 1 - conditional / prior, 0.0)
        levels = np.empty(J, dtype=object)
        levels[:] = list(group.levels)
        for name, values in (
            ("group", np.full(J * k, group.name, dtype=object)),
            ("level", np.repeat(levels, k)),
            ("term", np.tile(np.array(term.spec.columns, dtype=object), J)),
            ("n", np.repeat(n, k)),
            ("mean", np.repeat(mean, k)),
            ("partial_pooling", solution.b[t].ravel()),
            ("no_pooling", path.effects(math.inf)[t].ravel()),
            ("cond_sd", solution.sigma * np.sqrt(conditional).ravel()),
            ("shrinkage", np.clip(kept, 0.0, 1.0).ravel()),
        ):
            parts.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}
