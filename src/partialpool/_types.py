"""Array aliases and the small records that every layer shares."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "BoolArray",
    "Column",
    "Contrast",
    "FloatArray",
    "Group",
    "IntArray",
    "RandomTerm",
    "TermSpec",
]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int32]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


class Column(NamedTuple):
    """One design column as a product of parts, never stored as such for a factor.

    The value at row i is ``prod(x[i] for x in numeric) * prod(t[c[i]] for c, t in lookups)``;
    the empty product is the intercept.

    Attributes
    ----------
    name : str
        As in ``params``: ``"Intercept"``, ``"displ:drv[T.f]"``.
    numeric : tuple of (n,) float64 arrays
    lookups : tuple of (codes (n,) int32, table (levels,) float64)
        A code of -1 gives NaN.
    """

    name: str
    numeric: tuple[FloatArray, ...]
    lookups: tuple[tuple[IntArray, FloatArray], ...]


class Contrast(NamedTuple):
    """How a factor is coded where it is not coded by one dummy a level.

    Attributes
    ----------
    kind : str
        ``"treatment"``, ``"sum"``, ``"helmert"``, ``"poly"`` or ``"matrix"``.
    base : str, int, float, bool or None
        The reference level of treatment contrasts by its value, ``Treatment('r')``; None for the
        first.
    position : int, optional
        The same by its place, counted from 0: 1 for ``contr.treatment(base=2)``.
    matrix : tuple of tuple of float, optional
        For ``"matrix"``: a row a level, a column a contrast.
    names : tuple of str, optional
        Names of the matrix' columns; ``"1", "2", ...`` when left out.
    labels : tuple, optional
        The level of each row of the matrix; None for level order.
    """

    kind: str = "treatment"
    base: Any = None
    position: int | None = None
    matrix: tuple[tuple[float, ...], ...] | None = None
    names: tuple[str, ...] | None = None
    labels: tuple[Any, ...] | None = None


class TermSpec(NamedTuple):
    """One random-effects term, without data.

    Attributes
    ----------
    group : str
        Name of the grouping factor: ``"Subject"``, ``"cask:batch"``.
    columns : tuple of str
        Names of its k columns: ``("Intercept", "Days")``.
    diagonal : bool
        True for ``||``: the k columns are uncorrelated.
    text : str
        The bar as written, ``"(Days | Subject)"``; an expanded nesting gives one text a part.
    """

    group: str
    columns: tuple[str, ...]
    diagonal: bool
    text: str


class Group(NamedTuple):
    """A grouping factor.

    Attributes
    ----------
    name : str
    codes : (n,) int32
        Level of each row; -1 for a level that the fit has not seen, or a missing one.
    levels : sequence
        The labels, one a level: of a plain factor in level order, of an interaction strings
        ``"b1:a1"``; only levels that occur.
    """

    name: str
    codes: IntArray
    levels: Any


class RandomTerm(NamedTuple):
    """A random-effects term with its data: ``group`` indexes ``Rows.groups``."""

    spec: TermSpec
    group: int
    columns: tuple[Column, ...]
