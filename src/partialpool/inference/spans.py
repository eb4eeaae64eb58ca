"""Spans of columns of X, in the coordinates of a QR of the rows.

Vectors of n rows are replaced by vectors of as many coordinates as there are columns: the columns
of the triangular factor have the same inner products as the columns of the rows. Every question
about spans is answered there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .._core import fill
from .._types import Column, FloatArray
from ..ols import OlsRecord

if TYPE_CHECKING:
    from ..estimates import Record

__all__ = ["Span", "relations", "span_of"]

_BLOCK = 8192  # rows at a time, as in `qr`
_TOLERANCE = 1e-7  # of the centred norm: less is left of a column that repeats others (R's lm)
_ROUNDING = 1e-13  # of the norm: what rounding leaves of a constant column (derived; see `qr`)
_ILL_CONDITIONED = 1e-4  # of a column's square left after earlier ones; below, squares lose digits
_NOTHING = 1e-9  # share of a dropped column that no kept column has: rounding
_CONSTANT = Column("", (), ())


class Span:
    """Columns of the rows as vectors of coordinates.

    Attributes
    ----------
    vectors : (k, p) float64
        Inner products of these are the (weighted) inner products of the columns, less their
        shifts.
    shift : (p,) float64
        What was subtracted from each column; zero where a constant is not among the columns.
    least : (p,) float64
        Norm of what must be left of a column that other columns do not repeat.
    rounding : (p,) float64
        Norm of what rounding leaves of one that they do.
    """

    def __init__(
        self, vectors: FloatArray, shift: FloatArray, least: FloatArray, rounding: FloatArray
    ) -> None:
        self.vectors, self.shift = vectors, shift
        self.least, self.rounding = least, rounding

    def trust(self, columns: Sequence[int]) -> None:
        """These are known to be independent of each other: tell them apart down to rounding."""
        self.least[columns] = self.rounding[columns]

    def beyond(self, outside: Sequence[int], inside: Sequence[int]) -> tuple[FloatArray, list[int]]:
        """What the columns `inside` have that the columns `outside` do not span.

        Returns
        -------
        basis : (k, d) float64
            Orthonormal; its first j columns, with `outside`, span the first j of `places`.
        places : list of int
            The d columns of `inside` that are not combinations of `outside` and earlier ones.
        """
        known = self._extend(np.zeros((len(self.vectors), 0)), outside)[0]
        both, places = self._extend(known, inside)
        return both[:, known.shape[1] :], places

    def _extend(self, known: FloatArray, columns: Sequence[int]) -> tuple[FloatArray, list[int]]:
        k, d = known.shape
        Q = np.empty((k, d + len(columns)), order="F")
        Q[:, :d] = known
        places: list[int] = []
        for j in columns:
            v = self.vectors[:, j].copy()
            for _ in range(2):  # twice is enough (Kahan and Parlett)
                v -= Q[:, :d] @ (Q[:, :d].T @ v)
            rest = float(np.linalg.norm(v))
            if rest > 0 and rest >= self.least[j] and d < k:
                Q[:, d] = v / rest
                d += 1
                places.append(j)
        return Q[:, :d], places


def span_of(
    columns: Sequence[Column], n: int, *, weights: FloatArray | None = None, centred: bool = False
) -> Span:
    """The coordinates of columns.

    Parameters
    ----------
    columns : sequence of Column
    n : int
        Rows.
    weights : (n,) float64, optional
    centred : bool
        The first column is constant, and only what is orthogonal to it is asked for: the others
        may be shifted, which keeps the digits of columns with large means.

    Notes
    -----
    n p^2 flops where the columns are far from dependent, else n p^2 and 2 n p^2 for a QR; one
    block of rows in memory.
    """
    p = len(columns)
    every = list(columns) if centred else [*columns, _CONSTANT]
    shift = np.zeros(len(every))
    if centred:
        stop = min(n, _BLOCK)
        shift[1:] = fill([_part(c, 0, stop) for c in every[1:]], 0, stop).mean(axis=0)
    S = _from_products(every, n, weights, shift)
    if S is None:
        S = _from_rows(every, n, weights, shift)
    one = S[:, 0 if centred else p].copy()
    V, shift = S[:, :p], shift[:p]
    own = np.linalg.norm(V + shift * one[:, None], axis=0)
    around = V - np.outer(one, one @ V / (one @ one))
    least = np.maximum(_TOLERANCE * np.linalg.norm(around, axis=0), _ROUNDING * own)
    return Span(V, shift, least, _ROUNDING * own)


def _blocks(
    columns: Sequence[Column], n: int, weights: FloatArray | None, shift: FloatArray
) -> Iterator[FloatArray]:
    for start in range(0, n, _BLOCK):
        stop = min(n, start + _BLOCK)
        # Of whole columns `fill` would check the codes of all rows, once a block.
        block = fill([_part(column, start, stop) for column in columns], 0, stop - start)
        block -= shift
        if weights is not None:
            block *= np.sqrt(weights[start:stop])[:, None]
        yield block


def _part(column: Column, start: int, stop: int) -> Column:
    numeric = tuple([x[start:stop] for x in column.numeric])
    lookups = tuple([(codes[start:stop], table) for codes, table in column.lookups])
    return Column(column.name, numeric, lookups)


def _from_products(
    columns: Sequence[Column], n: int, weights: FloatArray | None, shift: FloatArray
) -> FloatArray | None:
    """The triangular factor by cross-products, seven times faster; None where digits are lost."""
    A = np.zeros((len(columns), len(columns)))
    for block in _blocks(columns, n, weights, shift):
        A += block.T @ block
    scale = np.sqrt(np.diag(A))
    if not scale.all():
        return None
    try:
        S = np.linalg.cholesky(A / np.outer(scale, scale)).T
    except np.linalg.LinAlgError:
        return None
    return S * scale if np.diag(S).min() ** 2 > _ILL_CONDITIONED else None


def _from_rows(
    columns: Sequence[Column], n: int, weights: FloatArray | None, shift: FloatArray
) -> FloatArray:
    S = np.zeros((0, len(columns)))
    for block in _blocks(columns, n, weights, shift):
        S = np.asarray(np.linalg.qr(np.concatenate([S, block]), mode="r"))
    return S


def relations(record: Record) -> FloatArray:
    """(r, p) matrix G with X = X_kept G: the identity in the kept columns.

    The columns of G of dropped columns say of which kept columns they are combinations.
    """
    if isinstance(record, OlsRecord):
        return relation(record.rows.fixed, record.rows.nobs, list(record.kept))
    found = record.workspace.get("relations")
    if found is None:
        found = relation(record.rows.fixed, record.rows.nobs, list(record.kept))
        record.workspace["relations"] = found
    return np.asarray(found)


def relation(columns: Sequence[Column], n: int, kept: Sequence[int]) -> FloatArray:
    """The same of any columns."""
    p = len(columns)
    G = np.zeros((len(kept), p))
    G[np.arange(len(kept)), kept] = 1.0
    dropped = sorted(set(range(p)) - set(kept))
    if not dropped or not len(kept):
        return G
    centred = kept[0] == 0 and not columns[0].numeric and not columns[0].lookups
    span = span_of(columns, n, centred=centred)
    V = span.vectors
    norm = np.linalg.norm(V, axis=0)
    scale = np.where(norm > 0, norm, 1.0)
    found = np.linalg.lstsq(V[:, kept] / scale[kept], V[:, dropped] / scale[dropped], rcond=1e-15)[
        0
    ]
    found[np.abs(found) < _NOTHING] = 0.0
    found *= scale[dropped] / scale[kept][:, None]
    whole = np.round(found)
    near = np.abs(found - whole) <= _NOTHING * np.maximum(np.abs(whole), 1.0)
    found = np.where(near & (whole != 0), whole, found)
    if centred:
        found[0] += span.shift[dropped] - span.shift[kept] @ found
        size = np.abs(span.shift[dropped]) + np.abs(span.shift[kept] * found.T).sum(axis=1)
        found[0, np.abs(found[0]) < _NOTHING * np.maximum(size, scale[dropped] / scale[0])] = 0.0
    G[:, dropped] = found
    return G
