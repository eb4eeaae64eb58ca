"""Type III hypotheses: which functions of the mean a term can call its own.

With one dummy a level in every term (the columns F), the mean is F b with b not unique; the
functions of b that the data determine are the rows of L where F = X L, X of full rank. The
functions of a term are those rows that involve it and the terms containing it alone, orthogonal to
those that involve the containing terms alone (SAS Institute 1978, technical report R-101; Searle
1987; docs/math.md, M20). They do not depend on how the factors are coded.

F = T M with T the columns under treatment contrasts is pure bookkeeping, exact in small integers
(`_Dummies`): a base level is its margin less the other levels. The rows of the data are needed only
where columns of X were dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from .. import qr
from .._types import FloatArray
from ..coding import Categorical, expand
from ..contrasts import TREATMENT
from ..schema import columns
from . import spans, submodels

if TYPE_CHECKING:
    from ..coding import Part, Piece, Recipe
    from ..estimates import Record

__all__ = ["hypotheses"]

_ZERO = 1e-8  # what counts as zero among coefficients of order one

Keys = tuple[str, ...]
Cell = tuple[int, ...]
Sparse = dict[int, float]


def hypotheses(record: Record, tested: Sequence[int]) -> dict[int, FloatArray]:
    """Type III hypotheses, L beta = 0 over the kept coefficients.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    tested : sequence of int
        Terms of the fixed part, by place.

    Returns
    -------
    dict of int to (q, r) float64
        q = 0 where a term has no function of its own.
    """
    terms = submodels.fixed_terms(record)
    dummies = _Dummies(terms, record.schema.pieces)
    L = dummies.all_dummies()
    coding = dummies.coding(record.schema.fixed)  # model columns from treatment columns
    owner = dummies.owner
    scale = np.ones(len(owner))
    if len(record.kept) < len(record.names) or coding.shape[0] != coding.shape[1]:
        kept, G, scale = _reduced(record, dummies)
        L, coding, owner, scale = G @ L, G @ coding, owner[kept], scale[kept]
    coding = coding[:, record.kept]
    found = {}
    for t in tested:
        over = [s for s in range(len(terms)) if submodels.contains(record, terms[s], terms[t])]
        C = _functions(L, owner, dummies.full_owner, t, over)
        found[t] = _cleaned(C @ (coding / scale[:, None])) if len(C) else C[:, : len(record.kept)]
    return found


def _functions(
    L: FloatArray, owner: FloatArray, full_owner: FloatArray, term: int, over: Sequence[int]
) -> FloatArray:
    """(q, r) combinations of the rows of L that are the term's own."""
    own, above = np.flatnonzero(owner == term), np.flatnonzero(np.isin(owner, over))
    if not len(own) and not len(above):
        return np.zeros((0, len(L)))
    both = np.concatenate([own, above])
    foreign = ~np.isin(full_owner, [term, *over])
    if not np.abs(L[np.ix_(both, foreign)]).max(initial=0.0) > _ZERO:
        # The usual case; by the rows that lmerTest takes, as degrees of freedom depend on them.
        C = np.zeros((len(own), len(L)))
        C[np.arange(len(own)), own] = 1.0
        if len(above) and len(own):
            C[:, above] = -np.linalg.lstsq(L[above].T, L[own].T, rcond=_ZERO)[0].T
        return np.asarray(C[np.linalg.norm(C @ L, axis=1) > _ZERO])
    Z = _null(L[np.ix_(both, foreign)].T)  # involve the term and those above it alone
    F = Z.T @ L[both]
    Z0 = _null(F[:, full_owner == term].T)  # those above it alone
    Y = _null((Z0.T @ F) @ F.T) if Z0.shape[1] else np.eye(len(F))
    C = np.zeros((Y.shape[1], len(L)))
    C[:, both] = (Z @ Y).T
    return C


def _null(A: FloatArray) -> FloatArray:
    """Orthonormal basis of {c: A c = 0}, in columns."""
    if not A.size or not np.abs(A).max() > _ZERO:
        return np.eye(A.shape[1])
    _, s, V = np.linalg.svd(A, full_matrices=True)
    return np.asarray(V[int(np.sum(s > _ZERO * s[0])) :].T)


def _cleaned(L: FloatArray) -> FloatArray:
    """Rounding set to zero, rows without anything left out."""
    L = np.where(np.abs(L) > 1e-13 * np.abs(L).max(initial=0.0), L, 0.0)
    return np.asarray(L[np.abs(L).max(axis=1, initial=0.0) > _ZERO])


def _reduced(record: Record, dummies: _Dummies) -> tuple[list[int], FloatArray, FloatArray]:
    """Columns under treatment contrasts that are kept; all from those; and units of each.

    In these units coefficients are of order one, so that zeros can be told.
    """
    found = submodels.sources(record)
    data = columns(dummies.recipes, found.values, found.codes)
    rows = record.rows._replace(fixed=data, constant=dummies.constant)
    kept = [int(j) for j in qr.factor(rows).kept]
    scale = np.array([_size(column.numeric) for column in data])
    G = spans.relation(data, rows.nobs, kept)
    return kept, G * scale[kept][:, None] / scale, scale


def _size(numeric: Sequence[FloatArray]) -> float:
    size = 1.0
    for x in numeric:
        size *= float(np.abs(x).max()) or 1.0
    return size


class _Dummies:
    """All dummies of every term as combinations of the columns under treatment contrasts."""

    def __init__(self, terms: Sequence[Keys], pieces: dict[str, Piece]) -> None:
        self.terms = list(terms)
        self.pieces = {
            key: piece._replace(contrast=TREATMENT) if isinstance(piece, Categorical) else piece
            for key, piece in pieces.items()
        }
        self.recipes, self.constant = expand(terms, self.pieces)
        place = {term: t for t, term in enumerate(self.terms)}
        self.index: dict[tuple[int, Cell], int] = {}
        owner = []
        for i, recipe in enumerate(self.recipes):
            t = place[tuple([part.key for part in recipe.parts])]
            cell = tuple([_level(part) for part in recipe.parts])
            self.index[t, cell] = i
            owner.append(t)
        self.owner = np.array(owner, dtype=int)
        self.reduced = [self._reduced(t) for t in range(len(self.terms))]
        self.known: dict[tuple[int, Cell], Sparse] = {}
        self.full = [(t, c) for t in range(len(self.terms)) for c in self._cells(self.terms[t])]
        self.full_owner = np.array([t for t, _ in self.full], dtype=int)

    def all_dummies(self) -> FloatArray:
        """(treatment columns, all dummies) M with F = T M."""
        return self._dense([self.express(t, cell) for t, cell in self.full])

    def coding(self, recipes: Sequence[Recipe]) -> FloatArray:
        """(treatment columns, p) matrix that makes the model's own columns."""
        place = {term: t for t, term in enumerate(self.terms)}
        made = []
        for recipe in recipes:
            t = place[tuple([part.key for part in recipe.parts])]
            choices = []
            for part in recipe.parts:
                if part.table is None:
                    choices.append([(part.column, 1.0)])
                else:
                    used = np.flatnonzero(part.table)
                    choices.append([(int(level), float(part.table[level])) for level in used])
            total: Sparse = {}
            for chosen in product(*choices):
                weight = float(np.prod([w for _, w in chosen]))
                _add(total, self.express(t, tuple([c for c, _ in chosen])), weight)
            made.append(total)
        return self._dense(made)

    def express(self, t: int, cell: Cell) -> Sparse:
        """The dummy of a cell of a term as a combination of columns."""
        key = (t, cell)
        if key in self.index:
            return {self.index[key]: 1.0}
        if key not in self.known:
            # Some factor is coded by contrasts and stands at its base level: margin less others.
            k = next(k for k, low in enumerate(self.reduced[t]) if low and cell[k] == 0)
            total = dict(self._margin(t, k, cell))
            for level in range(1, self._width(self.terms[t][k])):
                _add(total, self.express(t, (*cell[:k], level, *cell[k + 1 :])), -1.0)
            self.known[key] = total
        return self.known[key]

    def _margin(self, t: int, k: int, cell: Cell) -> Sparse:
        """The sum over the levels of factor k of a term, from an earlier term that spans it."""
        wanted = dict(zip(self.terms[t], cell, strict=True))
        del wanted[self.terms[t][k]]
        for s, term in enumerate(self.terms[:t]):
            extra = set(term) - set(wanted)
            if len(term) - len(extra) < len(wanted) or not all(map(self._is_factor, extra)):
                continue
            total: Sparse = {}
            for levels in product(
                *[[wanted[x]] if x in wanted else range(self._width(x)) for x in term]
            ):
                _add(total, self.express(s, levels), 1.0)
            return total
        raise AssertionError("a factor coded by contrasts has its margin in an earlier term")

    def _reduced(self, t: int) -> list[bool]:
        """Which factors of a term are coded by contrasts: no column has their base level."""
        cells = [cell for s, cell in self.index if s == t]
        return [
            self._is_factor(key) and all(cell[k] for cell in cells)
            for k, key in enumerate(self.terms[t])
        ]

    def _cells(self, term: Keys) -> list[Cell]:
        return list(product(*[range(self._width(key)) for key in term]))

    def _is_factor(self, key: str) -> bool:
        return isinstance(self.pieces[key], Categorical)

    def _width(self, key: str) -> int:
        piece = self.pieces[key]
        return len(piece.levels) if isinstance(piece, Categorical) else len(piece.names)

    def _dense(self, found: Sequence[Sparse]) -> FloatArray:
        out = np.zeros((len(self.recipes), len(found)))
        for j, combination in enumerate(found):
            for i, weight in combination.items():
                out[i, j] = weight
        return out


def _level(part: Part) -> int:
    """The level of a dummy, or the column of a basis."""
    return part.column if part.table is None else int(np.argmax(part.table))


def _add(total: Sparse, more: Sparse, weight: float) -> None:
    for i, w in more.items():
        value = total.get(i, 0.0) + weight * w
        if value:
            total[i] = value
        else:
            total.pop(i, None)
