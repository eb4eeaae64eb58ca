"""Any random part as Lambda grows without bound: the end of the path, exactly.

With A = W^(1/2) Z Lambda and V_f = I + f^2 A A', V_f^-1 tends to the projection off the columns of
A plus (A A')^+ / f^2. So the limit of generalised least squares minimises the residuals off the
columns of A first (every effect free, no pooling), and then |A^+ (y - X beta)|^2 along what that
leaves open; for one random intercept the second is the unweighted regression of group means. The
limit of the effects is Lambda A^+ (y - X beta).

Z and Lambda are taken in the optimiser's shifted and scaled columns, which leave A A' as it is and
keep the digits of a timestamp.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import lmm, products
from .._core import fill
from .._types import FloatArray
from ..pls import term_places
from .squares import LeastSquares, Origin, block, origin, two_stage, upper
from .threads import one_thread

if TYPE_CHECKING:
    from ..lmm import LmmRecord

__all__ = ["Limit", "is_singular", "limit", "no_pooling_df", "transforms"]

_RANK = 1e-10  # of the largest singular value: directions below are rounding
_DENSE = 2e9  # flops n q^2 up to which the columns of A are factored as they are
_STEPS = 2_000  # iterations of LSMR; connected designs take some dozens


class Limit(NamedTuple):
    """The end of the path.

    Attributes
    ----------
    beta : (r,) float64
    within : LeastSquares
        The regression with every effect free, on shifted columns; `estimable` on the user's.
    b : tuple of (levels, k) float64
        Effects of each term.
    origin : Origin
        Where the columns of `within` are measured from.
    rank : int or None
        Rank of A; None where the way of computing does not tell.
    method : str
        How it was computed.
    """

    beta: FloatArray
    within: LeastSquares
    b: tuple[FloatArray, ...]
    origin: Origin
    rank: int | None
    method: str


class _Split(NamedTuple):
    """[X y] seen from the columns of A: what is left off them, and A^+ [X y]."""

    off: FloatArray  # (m, c), of the same cross-product as the rows
    on: FloatArray  # (q, c)
    rank: int | None
    method: str


def limit(record: LmmRecord, factors: Sequence[FloatArray]) -> Limit:
    """The limit of the fits at Lambda * f as f goes to infinity.

    Parameters
    ----------
    record : LmmRecord
    factors : sequence of (k, k) float64
        Relative factor of each term, for the optimiser's scaled columns.

    Returns
    -------
    Limit

    Notes
    -----
    One grouping factor: singular values of each level's rows, O(n k^2). Several: singular values of
    all columns together where n q^2 is small, otherwise LSMR (Fong and Saunders 2011), whose
    solutions of minimal norm are A^+ [X y]; O(n) a step, no dense Z.
    """
    rows, kept = record.rows, record.kept
    start = origin(rows, kept)
    V = block(rows, kept, 0, rows.nobs) - start.shift
    if rows.weights is not None:
        V *= np.sqrt(rows.weights)[:, None]
    groups = products.random_columns(rows)
    columns = _scaled_columns(record, groups)
    places = term_places(groups)
    used = sorted({g for g, _, _ in places})
    whole = {
        g: _joined([m for m, p in zip(factors, places, strict=True) if p[0] == g]) for g in used
    }
    if len(used) == 1:
        g = used[0]
        split = _by_level(
            columns[g] @ whole[g], rows.groups[g].codes, len(rows.groups[g].levels), V
        )
    else:
        split = _together(record, columns, whole, V)
    size = np.sqrt((V[:, :-1] ** 2).sum(axis=0))
    beta, within = two_stage(split.off, split.on, size)
    within = within._replace(estimable=start.estimable(within, size))
    u = split.on[:, -1] - split.on[:, :-1] @ beta
    b = _effects(record, u, whole, places)
    return Limit(start.coefficients(beta), within, b, start, split.rank, split.method)


def is_singular(factors: Sequence[FloatArray]) -> bool:
    """True if some combination of effects has a variance of zero."""
    values = np.concatenate([np.linalg.svd(factor, compute_uv=False) for factor in factors])
    return bool(values.min() <= _RANK * values.max())


def _scaled_columns(record: LmmRecord, groups: list[Any]) -> list[FloatArray]:
    """(n, k) weighted columns of each grouping factor, shifted and scaled as the optimiser's."""
    rows = record.rows
    out = []
    for group, (shift, scale) in zip(groups, transforms(record), strict=True):
        z = fill(group.columns, 0, rows.nobs)
        at = np.array(group.intercepts)
        z = (z - np.where(at >= 0, z[:, at], 0.0) * shift) / scale
        if rows.weights is not None:
            z = z * np.sqrt(rows.weights)[:, None]
        out.append(np.asarray(z))
    return out


def transforms(record: LmmRecord) -> list[tuple[FloatArray, FloatArray]]:
    """Shift and scale of the random columns of each grouping factor in the optimiser."""
    return list(lmm.problem(record).native.transform()[3])


def _joined(blocks: list[FloatArray]) -> FloatArray:
    """Block-diagonal factor of all terms on one group."""
    k = sum(len(b) for b in blocks)
    out, at = np.zeros((k, k)), 0
    for b in blocks:
        out[at : at + len(b), at : at + len(b)] = b
        at += len(b)
    return out


def _by_level(A: FloatArray, codes: Any, levels: int, V: FloatArray) -> _Split:
    """One grouping factor: each level on its own, levels of one size together."""
    k, c = A.shape[1], V.shape[1]
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes, minlength=levels)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    on, parts, rank = np.zeros((levels, k, c)), [], 0
    for size in np.unique(sizes):
        which = np.flatnonzero(sizes == size)
        place = order[starts[which][:, None] + np.arange(size)]
        own, v = A[place], V[place]
        left, values, right = np.linalg.svd(own, full_matrices=False)
        good = values > _RANK * np.maximum(values[:, :1], 1e-300)
        rank += int(good.sum())
        along = np.einsum("jis,jic->jsc", left * good[:, None, :], v)
        parts.append(upper((v - left @ along).reshape(-1, c)))
        inverse = np.where(good, 1.0 / np.where(good, values, 1.0), 0.0)
        on[which] = np.einsum("jsk,jsc->jkc", right, along * inverse[:, :, None])
    off = upper(np.concatenate(parts))
    return _Split(off, on.reshape(-1, c), rank, "least squares within each level")


def _together(
    record: LmmRecord, columns: list[FloatArray], whole: dict[int, FloatArray], V: FloatArray
) -> _Split:
    """Several grouping factors: all columns of A at once."""
    from scipy import sparse

    rows, n = record.rows, record.rows.nobs
    parts = []
    for g, factor in whole.items():
        values, group = columns[g] @ factor, rows.groups[g]
        k = values.shape[1]
        place = group.codes[:, None].astype(np.int64) * k + np.arange(k)
        starts = np.arange(0, n * k + 1, k)
        shape = (n, len(group.levels) * k)
        parts.append(sparse.csr_array((values.ravel(), place.ravel(), starts), shape=shape))
    A = sparse.hstack(parts, format="csr")
    if float(n) * A.shape[1] ** 2 <= _DENSE:
        left, values, right = np.linalg.svd(A.toarray(), full_matrices=False)
        good = values > _RANK * values[0]
        along = left[:, good].T @ V
        on = right[good].T @ (along / values[good, None])
        text = "least squares on the columns of all levels"
        return _Split(upper(V - left[:, good] @ along), on, int(good.sum()), text)
    return _iterated(A, V, record)


def _iterated(A: Any, V: FloatArray, record: LmmRecord) -> _Split:
    """The same by LSMR, column after column of V."""
    from scipy.sparse.linalg import lsmr

    on = np.empty((A.shape[1], V.shape[1]))
    with one_thread():
        for j, v in enumerate(V.T):
            on[:, j] = lsmr(A, v, atol=1e-15, btol=1e-15, conlim=0, maxiter=_STEPS)[0]
    text = "the columns of all levels absorbed by iteration (LSMR)"
    return _Split(upper(V - A @ on), on, _rank(record), text)


def _rank(record: LmmRecord) -> int | None:
    """Levels less connected components, for two random intercepts."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    terms, theta = record.rows.terms, record.solution.theta
    plain = [len(t.columns) == 1 and not t.columns[0].numeric for t in terms]
    if len(terms) != 2 or not all(plain) or not (theta > 0).all():
        return None
    first, second = (record.rows.groups[t.group] for t in terms)
    J, K = len(first.levels), len(second.levels)
    ones = np.ones(record.rows.nobs)
    edges = sparse.coo_array((ones, (first.codes, second.codes + J)), shape=(J + K, J + K))
    return J + K - int(connected_components(edges, directed=False)[0])


def _effects(
    record: LmmRecord, u: FloatArray, whole: dict[int, FloatArray], places: list[Any]
) -> tuple[FloatArray, ...]:
    """Lambda u of each term, on the user's columns."""
    rows, moves = record.rows, transforms(record)
    groups = products.random_columns(rows)
    of_group, at = {}, 0
    for g, factor in whole.items():
        J, k = len(rows.groups[g].levels), len(factor)
        b = (u[at : at + J * k].reshape(J, k) @ factor.T) / moves[g][1]
        at += J * k
        for column, intercept in enumerate(groups[g].intercepts):
            if intercept >= 0 and moves[g][0][column] != 0:
                b[:, intercept] -= moves[g][0][column] * b[:, column]
        of_group[g] = b
    return tuple(np.ascontiguousarray(of_group[g][:, o : o + k]) for g, o, k in places)


def no_pooling_df(found: Limit, nobs: int) -> float:
    """Residual degrees of freedom with every effect free; NaN where the rank is not known."""
    return math.nan if found.rank is None else float(nobs - found.rank - found.within.rank)
