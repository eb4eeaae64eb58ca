"""Contrasts: the numbers that stand for a factor's levels, and the names of their columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ._columns import listed
from ._errors import DataError, SpecificationError
from ._types import Contrast, FloatArray

__all__ = ["TREATMENT", "Categorical", "Coding", "Contrast", "code", "read_contrast"]

KINDS = ("treatment", "sum", "helmert", "poly")

# Orthogonal polynomials of higher degree than this have lost their digits (inherited from R's
# contr.poly, which refuses more levels).
MAX_POLY_LEVELS = 95


TREATMENT = Contrast()


class Coding(NamedTuple):
    """Columns of one coded factor: ``suffixes[j]`` is its name's end, ``tables[j]`` its values.

    ``tables[j][level]`` is the value of column j at a level; (levels,) float64, read-only.
    """

    suffixes: tuple[str, ...]
    tables: tuple[FloatArray, ...]


class Categorical(NamedTuple):
    """A categorical piece of a formula: its name, its levels in order, its contrast."""

    text: str
    levels: Sequence[Any]
    contrast: Contrast


def read_contrast(value: Any, column: str) -> Contrast:
    """Read one value of the argument ``contrasts={column: value}``.

    Parameters
    ----------
    value : str, array_like or pandas.DataFrame
        ``"treatment"``, ``"sum"``, ``"helmert"``, ``"poly"`` (R's ``"contr.sum"`` and so on are
        read too), or a matrix with a row a level and a column a contrast. The index of a frame,
        where it holds the levels, says which row belongs to which level; its columns give names.
    column : str
        The factor, for messages.

    Raises
    ------
    SpecificationError
        If the value is none of these, or the matrix is not a finite two-dimensional one.
    """
    if isinstance(value, Contrast):
        return value
    if isinstance(value, str):
        kind = value.strip().lower().removeprefix("contr.").removesuffix("()")
        if kind in KINDS:
            return Contrast(kind)
        raise SpecificationError(
            f"contrasts={{{column!r}: {value!r}}} is not known; choose 'treatment', 'sum', "
            f"'helmert', 'poly' or a matrix. A base level is set in the formula: "
            f"C({column}, Treatment('level'))."
        )
    labels = names = None
    if hasattr(value, "index") and hasattr(value, "columns") and hasattr(value, "to_numpy"):
        names = tuple(str(name) for name in value.columns)
        if list(value.index) != list(range(len(value.index))):
            labels = tuple(value.index)
    try:
        matrix = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        matrix = np.zeros(())
    if matrix.ndim == 0:
        raise SpecificationError(
            f"contrasts={{{column!r}: ...}} must be 'treatment', 'sum', 'helmert', 'poly' or a "
            f"matrix of numbers, not a value of type {type(value).__name__}."
        )
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise SpecificationError(
            f"The contrast matrix of {column!r} has shape {matrix.shape}; it must have two "
            "dimensions (a row a level, a column a contrast) and finite values."
        )
    return Contrast(
        "matrix", matrix=tuple(tuple(row) for row in matrix.tolist()), names=names, labels=labels
    )


def code(categorical: Categorical, *, full: bool) -> Coding:
    """Code a factor by one dummy a level (`full`) or by its contrast.

    Parameters
    ----------
    categorical : Categorical
    full : bool
        One column a level, named ``[level]``, whatever the contrast.

    Raises
    ------
    DataError
        If the reference level does not occur.
    SpecificationError
        If a contrast matrix does not fit the levels.
    """
    column, levels, contrast = categorical
    if full:
        return Coding(tuple([f"[{level}]" for level in levels]), _units(len(levels)))
    if contrast.kind == "treatment":
        base = _base(levels, contrast, column)
        units = _units(len(levels))
        suffixes = [f"[T.{level}]" for level in levels]
        del suffixes[base]
        return Coding(tuple(suffixes), units[:base] + units[base + 1 :])
    if contrast.kind == "sum":
        return Coding(tuple([f"[S.{level}]" for level in levels[:-1]]), _sums(len(levels)))
    if contrast.kind == "helmert":
        return Coding(tuple([f"[H.{level}]" for level in levels[1:]]), _helmert(len(levels)))
    if contrast.kind == "poly":
        return _poly_coding(levels, column)
    return _matrix_coding(levels, contrast, column)


def _base(levels: Sequence[Any], contrast: Contrast, column: str) -> int:
    if contrast.position is not None:
        if 0 <= contrast.position < len(levels):
            return contrast.position
        raise DataError(
            f"{column} asks for level number {contrast.position + 1} as the reference, but there "
            f"are {len(levels)} levels in the rows used: {listed(levels)}."
        )
    if contrast.base is None:
        return 0
    for i, level in enumerate(levels):
        if level == contrast.base and isinstance(level, bool) == isinstance(contrast.base, bool):
            return i
    for i, level in enumerate(levels):
        if str(level) == str(contrast.base):
            return i
    raise DataError(
        f"The reference level {contrast.base!r} of {column} does not occur in the rows used; the "
        f"levels are {listed(levels)}."
    )


@lru_cache(maxsize=64)
def _units(size: int) -> tuple[FloatArray, ...]:
    """The rows of the unit matrix, as overlapping views of one vector: O(size) memory."""
    line = np.zeros(2 * size - 1 if size else 0)
    line[size - 1 : size] = 1.0
    line.flags.writeable = False
    return tuple([line[size - 1 - j : 2 * size - 1 - j] for j in range(size)])


@lru_cache(maxsize=32)
def _sums(size: int) -> tuple[FloatArray, ...]:
    matrix = np.eye(size)[:-1]
    matrix[:, -1] = -1.0
    return _frozen(matrix)


@lru_cache(maxsize=32)
def _helmert(size: int) -> tuple[FloatArray, ...]:
    """Row j: -1 at the levels before j + 1, j + 1 there, 0 after (R's contr.helmert)."""
    matrix = np.diag(np.arange(1.0, size), 1)[:-1]
    matrix[np.tril_indices(size - 1)] = -1.0
    return _frozen(matrix)


@lru_cache(maxsize=32)
def _polynomials(size: int) -> tuple[FloatArray, ...]:
    """Orthonormal polynomials on equal steps, degrees 1 to levels - 1, leading coefficient > 0.

    By the three-term recurrence with each new column orthogonalised twice: a Vandermonde matrix
    would lose its digits from about 20 levels on.
    """
    x = np.linspace(-1.0, 1.0, size)
    basis = [np.full(size, 1.0 / math.sqrt(size))]
    for _ in range(size - 1):
        new = x * basis[-1]
        for _ in range(2):
            for old in basis:
                new = new - old * np.dot(old, new)
        basis.append(new / math.sqrt(np.dot(new, new)))
    return _frozen(np.array(basis[1:]))


def _poly_coding(levels: Sequence[Any], column: str) -> Coding:
    size = len(levels)
    if size > MAX_POLY_LEVELS:
        raise SpecificationError(
            f"{column} has {size} levels; polynomial contrasts are limited to {MAX_POLY_LEVELS}. "
            "Use poly(x, degree) of a number instead."
        )
    names = [".L", ".Q", ".C", *(f"^{degree}" for degree in range(4, size))][: size - 1]
    return Coding(tuple([f"[{name}]" for name in names]), _polynomials(size))


def _matrix_coding(levels: Sequence[Any], contrast: Contrast, column: str) -> Coding:
    assert contrast.matrix is not None
    matrix = np.array(contrast.matrix, dtype=float, ndmin=2)
    rows, size = matrix.shape[0], len(levels)
    if contrast.labels is not None:
        place = {label: i for i, label in enumerate(contrast.labels)}
        absent = [level for level in levels if level not in place]
        if absent:
            raise SpecificationError(
                f"The contrast matrix of {column} has no row for the level {absent[0]!r}; its "
                f"index has {listed(contrast.labels)}."
            )
        matrix = matrix[[place[level] for level in levels]]
    elif rows != size:
        raise SpecificationError(
            f"The contrast matrix of {column} has {rows} rows, but there are {size} levels in "
            f"the rows used: {listed(levels)}."
        )
    width = matrix.shape[1]
    with_one = np.column_stack([np.ones(size), matrix])
    if width == 0 or np.linalg.matrix_rank(with_one) <= width:
        raise SpecificationError(
            f"The contrast matrix of {column} ({size} x {width}) has columns that depend on each "
            f"other or on a constant; at most {size - 1} independent contrasts exist."
        )
    names = contrast.names or tuple(str(j + 1) for j in range(width))
    if len(names) != width:
        raise SpecificationError(
            f"The contrast matrix of {column} has {width} columns but {len(names)} names."
        )
    return Coding(tuple([f"[{name}]" for name in names]), _frozen(matrix.T.copy()))


def _frozen(matrix: FloatArray) -> tuple[FloatArray, ...]:
    matrix.flags.writeable = False
    return tuple(matrix)
