"""How dependent rows change precision: design effect, effective number of rows, standard errors.

All of it is about V = W^-1 + Z Lambda Lambda' Z' as fitted, sigma^2 V the covariance of y. With
A = W^(1/2) Z Lambda and X, y as the weighted ones, W^(1/2) V W^(1/2) = I + A A'; the rows are read
twice in blocks, and A'X has q rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import products, stage
from .._core import fill
from .._types import Column, FloatArray
from ..pls import Problem, term_places
from .limit import transforms
from .squares import Origin, block, least_squares, origin, upper

if TYPE_CHECKING:
    from ..lmm import LmmRecord
    from .groups import GroupSums

__all__ = ["Precision", "precision"]

_ROWS = 32_768


class Precision(NamedTuple):
    """What the dependence of the rows does.

    Attributes
    ----------
    icc : float
        Correlation of two rows of one group: a / (a + sigma^2), a the mean random variance.
    design_effect : float
        Variance of the plain (weighted) mean of y over what it would be with independent rows of
        the same variances.
    effective_n : float
        Number of independent rows that would tell as much of the mean as these rows do.
    independent_se : (r,) float64
        Standard errors of least squares, had the rows these variances and no covariances.
    lm_se : (r,) float64
        Standard errors of least squares under the mixed model's covariance: what those that `lm`
        prints should have been, if the mixed model is right.
    commutes : float
        How far V X is from the columns of X, 0 to 1: at 0 the estimates of both are the same
        whatever y is (Zyskind 1967).
    """

    icc: float
    design_effect: float
    effective_n: float
    independent_se: FloatArray
    lm_se: FloatArray
    commutes: float


class _Rows(NamedTuple):
    """A block of weighted rows."""

    X: FloatArray  # (m, r)
    A: dict[int, FloatArray]  # group to (m, k)
    one: FloatArray  # (m,) square roots of the weights
    codes: dict[int, Any]


def precision(mixed: LmmRecord, sums: GroupSums | None = None) -> Precision:
    """Measure what the fitted dependence of the rows does.

    Parameters
    ----------
    mixed : LmmRecord
    sums : GroupSums, optional
        For one random intercept: with them and without weights no row is read.

    Notes
    -----
    O(n (r^2 + k r)) flops; memory for one block, and q r doubles.

    Source: Kish (1965) for the design effect.
    """
    if sums is not None and mixed.rows.weights is None:
        return _measured(_Totals.from_sums(sums, float(mixed.solution.theta[0])), mixed, sums)
    totals = _Totals(len(mixed.kept), mixed)
    start = origin(mixed.rows, mixed.kept)
    for rows in _blocks(mixed, start):
        totals.add(rows)
    totals.outside = _outside(mixed, start, totals)
    totals.mean_information = _information(mixed)
    return _measured(totals, mixed, start)


def _measured(t: _Totals, mixed: LmmRecord, place: Origin | GroupSums) -> Precision:
    start = place if isinstance(place, Origin) else place.origin
    sigma, n, r = float(mixed.solution.sigma), mixed.rows.nobs, t.R.shape[1]
    size = np.sqrt((t.R**2).sum(axis=0))
    solved = least_squares(t.R, np.zeros(len(t.R)), size, tolerance=0.0)
    C = solved.root @ solved.root.T
    plain = start.root(solved.root @ _factor(solved.root.T @ t.independent @ solved.root))
    spread = sum((a[:, :r].T @ a[:, :r] for a in t.across.values()), np.zeros((r, r)))
    sampling = start.covariance(C) + start.covariance(C @ spread @ C)
    ones = sum(float((a[:, r] ** 2).sum()) for a in t.across.values())
    variance = t.random_variance / n
    return Precision(
        icc=variance / (1 + variance) if sigma > 0 else math.nan,
        design_effect=(t.weight + ones) / (t.weight + t.weighted_variance),
        effective_n=n * t.mean_information / t.information,
        independent_se=sigma * np.sqrt((plain**2).sum(axis=1)),
        lm_se=sigma * np.sqrt(np.maximum(np.diag(sampling), 0.0)),
        commutes=t.outside,
    )


class _Totals:
    """Sums over the rows."""

    def __init__(self, r: int, mixed: LmmRecord) -> None:
        self.R = np.zeros((0, r))
        self.independent = np.zeros((r, r))  # X'(I + diag(A A'))X
        self.random_variance = 0.0  # sum of z'Psi z
        self.weight = 0.0
        self.weighted_variance = 0.0
        self.information = 0.0  # sum of 1 / var(y_i), sigma^2 = 1
        self.levels = [len(g.levels) for g in mixed.rows.groups]
        self.across: dict[int, FloatArray] = {}  # group to A'[X 1], (J k, r + 1)
        self.mean_information = 0.0  # 1'V^-1 1
        self.outside = 0.0

    @classmethod
    def from_sums(cls, sums: GroupSums, theta: float) -> _Totals:
        """One random intercept, no weights: everything follows from the group sums."""
        t = cls.__new__(cls)
        N, n, square = sums.weight, float(sums.nobs), theta**2
        r = len(sums.size)
        between = sums.means[:, :r] * np.sqrt(N)[:, None]
        t.R = upper(np.concatenate([sums.within[:, :r], between]))
        t.independent = (1 + square) * t.R.T @ t.R
        t.random_variance = t.weighted_variance = n * square
        t.weight, t.information = n, n / (1 + square)
        t.mean_information = float((N / (1 + N * square)).sum())
        t.across = {0: theta * N[:, None] * np.column_stack([sums.means[:, :r], np.ones(len(N))])}
        spread = np.concatenate([np.zeros((r + 1, r)), square * N[:, None] * between])
        X = np.concatenate([sums.within[:, :r], between])
        t.outside = _left_over(upper(np.column_stack([X, spread])), r)
        return t

    def add(self, rows: _Rows) -> None:
        """A block more."""
        self.R = upper(np.concatenate([self.R, rows.X]))
        own = sum(((A**2).sum(axis=1) for A in rows.A.values()), np.zeros(len(rows.one)))
        w = rows.one**2
        self.independent += rows.X.T @ (rows.X * (1 + own)[:, None])
        self.random_variance += float((own / w).sum())
        self.weight += float(w.sum())
        self.weighted_variance += float((own * w).sum())
        self.information += float((w / (1 + own)).sum())
        joined = np.column_stack([rows.X, rows.one])
        for g, A in rows.A.items():
            k, c, J = A.shape[1], joined.shape[1], self.levels[g]
            total = self.across.setdefault(g, np.zeros((J * k, c)))
            place = rows.codes[g].astype(np.int64) * k
            for i in range(k):
                for j in range(c):
                    value = A[:, i] * joined[:, j]
                    total[i::k, j] += np.bincount(place // k, weights=value, minlength=J)


def _blocks(mixed: LmmRecord, start: Origin) -> Iterator[_Rows]:
    """Weighted rows of X (shifted) and A, in blocks."""
    rows, kept = mixed.rows, mixed.kept
    groups, moves = products.random_columns(rows), transforms(mixed)
    factors = _group_factors(mixed)
    largest = max(len(g.levels) for g in rows.groups)
    step = max(_ROWS, largest)
    for at in range(0, rows.nobs, step):
        stop = min(at + step, rows.nobs)
        one = np.ones(stop - at) if rows.weights is None else np.sqrt(rows.weights[at:stop])
        X = (block(rows, kept, at, stop) - start.shift)[:, :-1] * one[:, None]
        A = {}
        for g, group in enumerate(groups):
            shift, scale = moves[g]
            z = fill(group.columns, at, stop)
            beside = np.array(group.intercepts)
            z = (z - np.where(beside >= 0, z[:, beside], 0.0) * shift) / scale
            A[g] = (z * one[:, None]) @ factors[g]
        yield _Rows(X, A, one, {g: rows.groups[g].codes[at:stop] for g in A})


def _group_factors(mixed: LmmRecord) -> dict[int, FloatArray]:
    """Relative factor of all terms on one group, for the optimiser's columns."""
    places = term_places(products.random_columns(mixed.rows))
    blocks = mixed.layout.lambdas(mixed.optimum.scaled)
    out: dict[int, FloatArray] = {}
    for g, group in enumerate(products.random_columns(mixed.rows)):
        k = len(group.columns)
        out[g] = np.zeros((k, k))
        for (place, first, width), factor in zip(places, blocks, strict=True):
            if place == g:
                out[g][first : first + width, first : first + width] = factor
    return out


def _outside(mixed: LmmRecord, start: Origin, totals: _Totals) -> float:
    """Largest share of a column of A A'X that the columns of X do not explain."""
    r = totals.R.shape[1]
    T = np.zeros((0, 2 * r))
    for rows in _blocks(mixed, start):
        F = np.zeros_like(rows.X)
        for g, A in rows.A.items():
            k = A.shape[1]
            own = totals.across[g][:, :r].reshape(-1, k, r)
            F += np.einsum("mk,mkr->mr", A, own[rows.codes[g]])
        T = upper(np.concatenate([T, np.column_stack([rows.X, F])]))
    return _left_over(T, r)


def _left_over(T: FloatArray, r: int) -> float:
    """Of the triangular factor of [X F]: the largest share of a column of F off those of X."""
    whole = np.sqrt((T[:, r:] ** 2).sum(axis=0))
    left = np.sqrt((T[r:, r:] ** 2).sum(axis=0))
    largest = float(whole.max(initial=0.0))
    if largest == 0:
        return 0.0
    # A column that hardly occurs is measured against the rounding of the largest.
    return float(np.max(left / np.maximum(whole, 1e-8 * largest)))


def _factor(M: FloatArray) -> FloatArray:
    """A square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(M)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _information(mixed: LmmRecord) -> float:
    """1'V^-1 1: the information on a common mean, sigma^2 = 1."""
    rows = mixed.rows._replace(fixed=(Column("Intercept", (), ()),), constant=(0,))
    made = stage.of_rows(rows, spec=mixed.spec, schema=mixed.schema, table=None)
    found = Problem(made.products, made.layout, reml=False, groups=made.groups)
    return 1 / float(found.solve(mixed.solution.theta).cov_unscaled[0, 0])
