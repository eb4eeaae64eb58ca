"""Spans of columns of X, in the coordinates of a QR of the rows.

Vectors of n rows are replaced by vectors of as many coordinates as there are columns: the columns
of the triangular factor have the same inner products as the columns of the rows. Every question
about spans is answered there.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """

    def __init__(self, vectors: FloatArray, shift: FloatArray, least: FloatArray) -> None:
        self.vectors, self.shift, self.least = vectors, shift, least

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
    2 n p^2 flops; one block of rows in memory.
    """
    p = len(columns)
    every = (*columns, _CONSTANT)
    shift = np.zeros(p + 1)
    if centred:
        shift[1:p] = fill(columns[1:], 0, min(n, _BLOCK)).mean(axis=0)
    S = np.zeros((0, p + 1))
    for start in range(0, n, _BLOCK):
        stop = min(n, start + _BLOCK)
        block = fill(every, start, stop) - shift
        if weights is not None:
            block *= np.sqrt(weights[start:stop])[:, None]
        S = np.asarray(np.linalg.qr(np.concatenate([S, block]), mode="r"))
    one = S[:, p] / np.linalg.norm(S[:, p])
    V, shift = S[:, :p], shift[:p]
    around = V - one[:, None] * (one @ V)
    own = np.linalg.norm(V + shift * S[:, p:], axis=0)
    least = np.maximum(_TOLERANCE * np.linalg.norm(around, axis=0), _ROUNDING * own)
    return Span(V, shift, least)


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
