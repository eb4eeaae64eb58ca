"""One grouping factor with a random intercept: every fit between pooling all and nothing.

With theta = sigma_g / sigma, N_j the sum of the weights of group j and a_j = 1 / (1 + N_j theta^2),
generalised least squares minimises

    sum_ij w_ij (d_ij)^2  +  sum_j a_j N_j (ybar_j - xbar_j'beta)^2,

d the residual of the deviations from the group means. a_j = 1 is `lm`; as theta grows, a_j N_j
becomes 1 / theta^2 for every group, so that in the limit the first sum is minimised first and the
second, unweighted, along what it leaves open. Both sums are triangular factors here, so after two
readings of the rows n has left the stage.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._types import FloatArray
from .squares import (
    COLLINEAR,
    ROUNDING,
    LeastSquares,
    Origin,
    block,
    least_squares,
    origin,
    two_stage,
    upper,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..lmm import LmmRecord

__all__ = ["GroupSums", "Weighted", "group_sums", "is_one_intercept"]

_ROWS = 65_536  # rows a block; more where there are more groups, for the sums of a block have J


class Weighted(NamedTuple):
    """Generalised least squares as a matrix-weighted average.

    Attributes
    ----------
    beta : (r,) float64
    W : (r, r) float64
        beta = W between + (I - W) within.
    between : (r,) float64
        Regression of the group means with weights a_j N_j, one of its solutions.
    between_estimable : (r,) bool
        Coefficients that all its solutions share.
    """

    beta: FloatArray
    W: FloatArray
    between: FloatArray
    between_estimable: npt.NDArray[np.bool_]


class GroupSums(NamedTuple):
    """What the rows say, by group, over the r kept columns and the response.

    Attributes
    ----------
    origin : Origin
    size : (r,) float64
        Norm of each column about the origin.
    sizes : (J,) int64
        Rows of each group.
    weight : (J,) float64
        Sums of the weights; the counts where there are none.
    means : (J, r + 1) float64
        Weighted means of the shifted [X y].
    within : (r + 1, r + 1) float64
        Triangular factor of the weighted deviations from the group means.
    stacked : (m, r + 1) float64
        Rows that stand for the means: triangular factors over the groups of one weight, or the
        means themselves.
    stacked_weight : (m,) float64
        The N_j of each.
    nobs : int
    """

    origin: Origin
    size: FloatArray
    sizes: npt.NDArray[np.int64]
    weight: FloatArray
    means: FloatArray
    within: FloatArray
    stacked: FloatArray
    stacked_weight: FloatArray
    nobs: int

    def coefficients(self, ratio: float) -> FloatArray:
        """(r,) coefficients at sigma_g / sigma = ratio, infinity included."""
        return self.origin.coefficients(self._shifted(ratio))

    def effects(self, ratio: float) -> FloatArray:
        """(J,) effects of the groups at that ratio; at infinity the deviations of no pooling."""
        if ratio == 0:
            return np.zeros(len(self.weight))
        deviation = self.means[:, -1] - self.means[:, :-1] @ self._shifted(ratio)
        return np.asarray(self.kept_share(ratio) * deviation)

    def kept_share(self, ratio: float) -> FloatArray:
        """(J,) share of a group's own deviation that its effect keeps, N theta^2 / (1 + ...)."""
        if math.isinf(ratio):
            return np.ones(len(self.weight))
        s = self.weight * ratio**2
        return np.asarray(s / (1 + s))

    def limit(self) -> tuple[FloatArray, LeastSquares]:
        """Coefficients as the ratio goes to infinity, and the within regression.

        Its numbers are those of shifted columns; `estimable` is about the user's.
        """
        beta, found = two_stage(self.within, self.means, self.size)
        known = self.origin.estimable(found, self.size)
        return self.origin.coefficients(beta), found._replace(estimable=known)

    def weighted(self, ratio: float) -> Weighted:
        """Generalised least squares at a finite ratio as an average of between and within."""
        r = len(self.size)
        between = self._between(ratio)
        stack = np.concatenate([self.within, between])
        found = least_squares(stack[:, :r], stack[:, r], self.size, tolerance=0.0)
        Q = between[:, :r] @ found.root
        W = found.root @ (Q.T @ between[:, :r])
        size = self.size * math.sqrt(float(np.max(1 / (1 + self.weight * ratio**2))))
        means = least_squares(between[:, :r], between[:, r], size, tolerance=ROUNDING)
        c = self.origin.coefficients
        known = self.origin.estimable(means, size)
        return Weighted(c(found.beta), self.origin.matrix(W), c(means.beta), known)

    def between_share(self, ratio: float) -> FloatArray:
        """(r,) share of the information on each coefficient that lies between groups.

        One less the variance of the estimate over that of the within estimate, at the same sigma;
        1 where the rows within groups say nothing.
        """
        r = len(self.size)
        stack = np.concatenate([self.within, self._between(ratio)])
        both = least_squares(stack[:, :r], stack[:, r], self.size, tolerance=0.0)
        alone = self.limit()[1]
        move = self.origin.root
        with np.errstate(divide="ignore", invalid="ignore"):
            share = 1 - (move(both.root) ** 2).sum(axis=1) / (move(alone.root) ** 2).sum(axis=1)
        return np.where(alone.estimable, np.clip(share, 0.0, 1.0), 1.0)

    @property
    def varies_within(self) -> npt.NDArray[np.bool_]:
        """(r,) columns that differ between rows of one group."""
        inside = np.sqrt((self.within[:, :-1] ** 2).sum(axis=0))
        return np.asarray(inside > COLLINEAR * self.size)

    @property
    def level_means(self) -> FloatArray:
        """(J, r + 1) weighted means of [X y - offset] as they are."""
        return np.asarray(self.means + self.origin.shift)

    def between_rank(self) -> int:
        """Rank of the group means of X."""
        size = self.size * math.sqrt(1 / float(self.weight.min()))
        r = len(self.size)
        means = upper(self.means)
        found = least_squares(means[:, :r], means[:, r], size, tolerance=ROUNDING)
        return found.rank

    def within_solution(self) -> FloatArray:
        """(r,) a solution of the within regression, zero about the origin where it is silent."""
        r = len(self.size)
        found = least_squares(self.within[:, :r], self.within[:, r], self.size, tolerance=ROUNDING)
        return self.origin.coefficients(found.beta)

    def _between(self, ratio: float) -> FloatArray:
        """Rows of the group means, times sqrt(a_j N_j)."""
        N = self.stacked_weight
        return np.asarray(self.stacked * np.sqrt(N / (1 + N * ratio**2))[:, None])

    def _shifted(self, ratio: float) -> FloatArray:
        """Coefficients on shifted columns, which keep the digits that a far origin costs."""
        if math.isinf(ratio):
            return two_stage(self.within, self.means, self.size)[0]
        stack = np.concatenate([self.within, self._between(ratio)])
        r = len(self.size)
        return least_squares(stack[:, :r], stack[:, r], self.size, tolerance=0.0).beta


def is_one_intercept(record: LmmRecord) -> bool:
    """True for one random intercept on one grouping factor."""
    terms = record.rows.terms
    if len(terms) != 1 or len(terms[0].columns) != 1:
        return False
    column = terms[0].columns[0]
    return not column.numeric and not column.lookups


def group_sums(record: LmmRecord, group: int = 0) -> GroupSums:
    """Read the rows of a model by the levels of one of its grouping factors.

    Notes
    -----
    Two readings in blocks, O(n r^2) flops, J (r + 1) + r^2 doubles. The first takes means as
    distances from each group's first row, so that a covariate that is constant within groups has
    deviations of exactly zero; the second factors the deviations, whose squares would lose half of
    the digits.
    """
    rows, kept = record.rows, record.kept
    found = rows.groups[group]
    codes, J, n = found.codes, len(found.levels), rows.nobs
    first = np.zeros(J, dtype=np.int64)
    first[codes[::-1]] = np.arange(n - 1, -1, -1)  # the last one written is the first row
    start = origin(rows, kept)
    c = len(kept) + 1
    w = rows.weights
    weight = np.bincount(codes, weights=w, minlength=J).astype(float)
    step = max(_ROWS, J)
    pivot, local = np.empty((J, c)), np.zeros((J, c))
    for at in range(0, n, step):
        stop = min(at + step, n)
        code = codes[at:stop]
        X = block(rows, kept, at, stop)
        new = np.flatnonzero((first >= at) & (first < stop))
        pivot[new] = X[first[new] - at]
        X -= pivot[code]
        if w is not None:
            X *= w[at:stop, None]
        for k in range(c):
            local[:, k] += np.bincount(code, weights=X[:, k], minlength=J)
    local /= weight[:, None]
    within = np.zeros((0, c))
    for at in range(0, n, step):
        stop = min(at + step, n)
        code = codes[at:stop]
        X = block(rows, kept, at, stop) - pivot[code] - local[code]
        if w is not None:
            X *= np.sqrt(w[at:stop])[:, None]
        within = upper(np.concatenate([within, X]))
    means = pivot - start.shift + local
    totals = (within**2).sum(axis=0) + weight @ means**2
    stacked, stacked_weight = _stacked(means, weight)
    return GroupSums(
        start,
        np.sqrt(totals[:-1]),
        np.bincount(codes, minlength=J),
        weight,
        means,
        within,
        stacked,
        stacked_weight,
        n,
    )


def _stacked(means: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The means, those of groups of one weight as one triangular factor where that is shorter."""
    c = means.shape[1]
    distinct, place = np.unique(weight, return_inverse=True)
    if len(distinct) * c >= len(weight):
        return means, weight
    order = np.argsort(place, kind="stable")
    parts = np.split(means[order], np.cumsum(np.bincount(place))[:-1])
    return np.concatenate([upper(part) for part in parts]), np.repeat(distinct, c)
