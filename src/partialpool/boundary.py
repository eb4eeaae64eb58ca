"""Singular covariance matrices in words: which combination of effects has no variance."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ._core import fill
from ._types import FloatArray, RandomTerm
from .predict import BLOCK

if TYPE_CHECKING:
    from .lmm import LmmRecord

__all__ = ["Direction", "directions", "sizes"]

_ZERO = (
    1e-10  # of the term's largest variance; the optimiser sets to zero exactly what does not pay
)
_ONE = 1e-6  # a correlation this near to one is one
_PART = 1e-3  # share of a combination below which a column has no part in it


class Direction(NamedTuple):
    """A combination of a term's columns whose variance is zero.

    Attributes
    ----------
    term : int
        Place among the terms of the model.
    kind : "variance", "correlation" or "combination"
    columns : tuple of str
        One, two or more columns.
    weights : tuple of float
        For a combination: the effect of the first column is the sum of these times the effects of
        the others, in every level. For a correlation: its sign. For a variance: ().
    meeting : float or None
        For a correlation between the intercept and a numeric column: the value of the latter at
        which all levels agree.
    """

    term: int
    kind: str
    columns: tuple[str, ...]
    weights: tuple[float, ...]
    meeting: float | None


def directions(record: LmmRecord) -> tuple[Direction, ...]:
    """The null directions of each term's covariance matrix, in the user's columns.

    Parameters
    ----------
    record : LmmRecord

    Returns
    -------
    tuple of Direction
        () where all are of full rank. First variances of zero; of the rest, pairs with a
        correlation of plus or minus one, else one combination a missing rank.
    """
    out: list[Direction] = []
    factors = record.layout.lambdas(record.solution.theta)
    for t, (term, factor, rank) in enumerate(
        zip(record.rows.terms, factors, record.optimum.rank, strict=True)
    ):
        if rank < len(term.columns):
            out += _of_term(t, term, factor, rank, sizes(record, term))
    return tuple(out)


def sizes(record: LmmRecord, term: RandomTerm) -> FloatArray:
    """(k,) root mean squares of a term's columns: what makes its variances comparable."""
    square = np.zeros(len(term.columns))
    for start in range(0, record.rows.nobs, BLOCK):
        stop = min(start + BLOCK, record.rows.nobs)
        square += (fill(term.columns, start, stop) ** 2).sum(axis=0)
    found = np.sqrt(square / record.rows.nobs)
    return np.where(found > 0, found, 1.0)


def _of_term(
    t: int, term: RandomTerm, factor: FloatArray, rank: int, size: FloatArray
) -> list[Direction]:
    names = term.spec.columns
    scaled = (size[:, None] * factor) @ (size[:, None] * factor).T
    variances = np.diag(scaled)
    zero = variances <= _ZERO * variances.max()
    out = [Direction(t, "variance", (names[i],), (), None) for i in np.flatnonzero(zero)]
    left = np.flatnonzero(~zero)
    missing = len(left) - rank
    if missing <= 0 or term.spec.diagonal:
        return out
    sd = np.sqrt(variances[left])
    correlation = scaled[np.ix_(left, left)] / np.outer(sd, sd)
    if len(left) == 2 or (missing == 1 and _pair(correlation) is not None):
        a, b = (0, 1) if len(left) == 2 else _pair(correlation) or (0, 1)
        pair = (int(left[a]), int(left[b]))
        return [*out, _perfect(t, term, factor, pair, float(np.sign(correlation[a, b])))]
    vectors = np.linalg.eigh(correlation)[1][:, :missing]
    for v in _sparse(vectors).T:
        weights = v / sd * size[left]  # of the effects as they are
        share = np.abs(v) / np.abs(v).max()
        first = int(np.argmax(np.abs(v)))
        others = [i for i in range(len(left)) if i != first and share[i] > _PART]
        if len(others) == 1:
            a, b = sorted((first, others[0]))
            pair = (int(left[a]), int(left[b]))
            out.append(_perfect(t, term, factor, pair, float(np.sign(correlation[a, b]))))
            continue
        columns = (names[left[first]], *(names[left[i]] for i in others))
        ratios = tuple(float(-weights[i] / weights[first]) for i in others)
        out.append(Direction(t, "combination", columns, ratios, None))
    return out


def _pair(correlation: FloatArray) -> tuple[int, int] | None:
    """The two columns whose correlation is plus or minus one, if there are such."""
    k = len(correlation)
    for a in range(k):
        for b in range(a + 1, k):
            if 1 - abs(correlation[a, b]) < _ONE:
                return a, b
    return None


def _sparse(vectors: FloatArray) -> FloatArray:
    """The same span in reduced echelon form: each vector has a column of its own."""
    V = vectors.copy()
    used: list[int] = []
    for m in range(V.shape[1]):
        size = np.abs(V[:, m])
        size[used] = 0
        pivot = int(np.argmax(size))
        V[:, m] /= V[pivot, m]
        for other in range(V.shape[1]):
            if other != m:
                V[:, other] -= V[pivot, other] * V[:, m]
        used.append(pivot)
    return V


def _perfect(
    t: int, term: RandomTerm, factor: FloatArray, pair: tuple[int, int], sign: float
) -> Direction:
    names = (term.spec.columns[pair[0]], term.spec.columns[pair[1]])
    return Direction(t, "correlation", names, (sign,), _meeting(term, pair, factor, sign))


def _meeting(
    term: RandomTerm, pair: tuple[int, int], factor: FloatArray, sign: float
) -> float | None:
    """Where intercept + slope x has no variance."""
    constant = [i for i in pair if not term.columns[i].numeric and not term.columns[i].lookups]
    numeric = [i for i in pair if len(term.columns[i].numeric) == 1 and not term.columns[i].lookups]
    if len(constant) != 1 or len(numeric) != 1:
        return None
    sd = np.sqrt((factor**2).sum(axis=1))
    return float(-sign * sd[constant[0]] / sd[numeric[0]])
