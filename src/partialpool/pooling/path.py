"""The fits between complete and no pooling, as functions of how much the groups may differ.

For one random intercept the path runs over ratio = sigma_g / sigma; otherwise Lambda is multiplied
by ratio, and 1 is the fit. 0 is `lm` in both; infinity is a limit, computed as one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import lmm
from .._errors import SpecificationError
from .._types import FloatArray
from ..covariance import elements
from ..pls import term_places
from ..products import random_columns
from .groups import GroupSums, group_sums, is_one_intercept
from .limit import Limit, is_singular, limit, transforms
from .threads import threads_for

if TYPE_CHECKING:
    from ..lmm import LmmRecord
    from ..ols import OlsRecord

__all__ = ["Path", "path"]

_FAR = 1e3  # beyond, rounding grows with the square of the ratio; what is left to go falls with it
_KEPT = 64e6  # bytes of solutions kept for the effects at the points of the path


@dataclass(frozen=True, eq=False)
class Path:
    """Coefficients and effects at any ratio.

    Attributes
    ----------
    ols : OlsRecord
    mixed : LmmRecord
    sums : GroupSums or None
        For one random intercept.
    ratio : float
        Of the fit.
    end : Limit or None
        Otherwise.
    free : Limit or None
        No pooling, every effect of every level free: `end`, unless Lambda is singular, for what has
        a variance of zero stays zero along the path.
    theta : (m,) float64
        The direction in which Lambda is scaled: the fit's, or equal variances if that is zero.
    """

    ols: OlsRecord
    mixed: LmmRecord
    sums: GroupSums | None
    ratio: float
    end: Limit | None
    free: Limit | None
    theta: FloatArray
    _found: dict[float, Any] = field(default_factory=dict)

    @property
    def has_own_direction(self) -> bool:
        """False where the fitted Lambda is zero, so that there is nothing to scale."""
        return self.sums is not None or self.ratio > 0

    def coefficients(self, ratio: float) -> FloatArray:
        """(r,) kept coefficients at a ratio between 0 and infinity, both included."""
        ratio = _checked(ratio)
        if self.sums is not None:
            return self.sums.coefficients(ratio)
        if ratio == 0:
            return self.ols.beta
        share, end = _left(ratio), self._end().beta
        if share == 1:
            return np.asarray(self._solution(ratio).beta)
        return end if share == 0 else end + share * (self._solution(_FAR).beta - end)

    def effects(self, ratio: float) -> tuple[FloatArray, ...]:
        """(levels, k) effects of each term at that ratio."""
        ratio = _checked(ratio)
        if self.sums is not None:
            return (self.sums.effects(ratio)[:, None],)
        if ratio == 0:
            return tuple(np.zeros_like(b) for b in self.mixed.solution.b)
        share, ends = _left(ratio), self._end().b
        if share == 1:
            return tuple(self._solution(ratio).b)
        if share == 0:
            return ends
        near = self._solution(_FAR).b
        return tuple(end + share * (b - end) for end, b in zip(ends, near, strict=True))

    def ratios(self) -> FloatArray:
        """Where the path is worth a look: 0, the fit and infinity among them, ascending.

        Evenly spaced in the share of a typical group's own deviation that is kept, with tails.
        """
        if self.sums is None:
            # Each point is a penalised least squares, which large crossed factors make dear.
            inner, center = np.geomspace(0.02, 50.0, 59), self.ratio
        else:
            typical = 1 / math.sqrt(float(np.mean(self.sums.weight)))
            share = np.arange(1, 48) / 48
            center = self.ratio
            inner = np.concatenate(
                [
                    typical * np.sqrt(share / (1 - share)),
                    np.geomspace(0.01, 0.1, 5) * typical,
                    np.geomspace(8.0, 300.0, 12) * max(typical, center),
                ]
            )
        inner = inner[np.abs(inner - center) > 1e-6 * center]
        return np.concatenate([np.unique([0.0, center, *inner]), [math.inf]])

    def _solution(self, ratio: float) -> Any:
        """The penalised least squares at a ratio, kept: the effects are asked for next."""
        if ratio == 1.0 and self.ratio == 1.0:
            return self.mixed.solution
        found = self._found.get(ratio)
        if found is None:
            with threads_for(self.mixed):
                found = lmm.problem(self.mixed).solve(self.theta * ratio)
            # b and u are of one size.
            size = 16 * sum(b.size for b in found.b)
            if (len(self._found) + 1) * size <= _KEPT:
                self._found[ratio] = found
        return found

    def _end(self) -> Limit:
        assert self.end is not None
        return self.end


def path(ols: OlsRecord, mixed: LmmRecord) -> Path:
    """What the path of a pair needs of the rows, read here."""
    theta = mixed.solution.theta
    if is_one_intercept(mixed):
        return Path(ols, mixed, group_sums(mixed), abs(float(theta[0])), None, None, theta)
    factors = mixed.layout.lambdas(mixed.optimum.scaled)
    ratio = 1.0
    if not theta.any():
        ratio = 0.0
        theta, factors = _equal_variances(mixed)
    end = free = limit(mixed, factors)
    if is_singular(factors):
        free = limit(mixed, [np.eye(len(factor)) for factor in factors])
    return Path(ols, mixed, None, ratio, end, free, theta)


def _equal_variances(mixed: LmmRecord) -> tuple[FloatArray, tuple[FloatArray, ...]]:
    """Lambda = I on the optimiser's shifted and scaled columns; theta, and the factors there."""
    groups = random_columns(mixed.rows)
    moves = transforms(mixed)
    theta, factors = [], []
    for spec, (g, first, k) in zip(mixed.layout.specs, term_places(groups), strict=True):
        shift, scale = (v[first : first + k] for v in moves[g])
        T = np.diag(1 / scale)
        for j, intercept in enumerate(groups[g].intercepts[first : first + k]):
            if intercept >= 0 and shift[j] != 0:
                T[intercept - first, j] -= shift[j] / scale[j]
        root = np.linalg.cholesky(T @ T.T)
        theta += [root[a, b] for a, b in elements(spec)]
        factors.append(np.eye(k))
    return np.array(theta), tuple(factors)


def _left(ratio: float) -> float:
    """Of the way from `_FAR` to infinity, what is left at a ratio: the rest is in its square."""
    return 1.0 if ratio <= _FAR else (_FAR / ratio) ** 2


def _checked(ratio: float) -> float:
    try:
        value = float(ratio)
    except (TypeError, ValueError):
        value = math.nan
    if not value >= 0:
        raise SpecificationError(
            f"ratio={ratio!r} must be a number from 0 (complete pooling) to math.inf (no pooling)."
        )
    return value
