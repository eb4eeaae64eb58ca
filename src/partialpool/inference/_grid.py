"""The reference grid: every combination of the factors' levels, covariates at their means.

The grid is made of variables, not of columns of X: a row has one value of each variable, and goes
through the formula as new data would. A spline or log(x) is evaluated at the mean of x, not
averaged itself. Means over the grid are then weighted averages of rows of X.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from .._columns import listed
from .._errors import SpecificationError, one_of
from .._types import BoolArray, FloatArray, IntArray
from ._variables import Variables, rows_at

__all__ = [
    "WEIGHTS",
    "Averages",
    "Axis",
    "Grid",
    "average",
    "combinations",
    "point",
    "reference",
    "spell",
]

WEIGHTS = ("equal", "proportional", "outer", "cells")
MAX_ELEMENTS = 50_000_000  # doubles of X on the grid: 400 MB


class Axis(NamedTuple):
    """One variable of the grid.

    Attributes
    ----------
    name : str
    factor : bool
    values : tuple
        Levels in level order, or numbers in the order given.
    places : tuple of int
        Places of the levels among all levels of a factor.
    chosen : bool
        The values are the user's, by ``at``.
    """

    name: str
    factor: bool
    values: tuple[Any, ...]
    places: tuple[int, ...]
    chosen: bool


class Grid(NamedTuple):
    """All combinations, an axis of the arrays for each variable.

    Attributes
    ----------
    axes : tuple of Axis
    X : (*sizes, p) float64
    offset : (*sizes) float64
    counts : (*sizes) float64
        Used rows with the factors' levels of the cell, whatever their covariates.
    """

    axes: tuple[Axis, ...]
    X: FloatArray
    offset: FloatArray
    counts: FloatArray

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the axes."""
        return tuple(axis.name for axis in self.axes)

    def axis(self, name: str) -> Axis:
        """The axis called `name`."""
        return self.axes[self.names.index(name)]


class Averages(NamedTuple):
    """Means over the cells of a grid that share the values of the variables shown.

    Attributes
    ----------
    labels : tuple of tuple
        A row a mean: the values shown, the first variable fastest.
    L : (k, p) float64
        NaN where all weights are zero.
    offset : (k,) float64
    order : tuple of int
        The axes of the grid as the cells below run through them, the last fastest.
    empty : (k, cells) bool
        Cells with a weight in each mean that no row of data is in.
    """

    labels: tuple[tuple[Any, ...], ...]
    L: FloatArray
    offset: FloatArray
    order: tuple[int, ...]
    empty: BoolArray


def reference(variables: Variables, at: Mapping[str, Any] | None, varied: Sequence[str]) -> Grid:
    """The grid of a fit.

    Parameters
    ----------
    variables : Variables
    at : mapping of str to value or list, optional
        Values of covariates, and which levels of factors are wanted.
    varied : sequence of str
        Variables that rows are asked for; a covariate among them must be in `at`.

    Raises
    ------
    SpecificationError
        For values that are not there or not numbers, and a grid too large for memory.
    """
    axes = _axes(variables, _read_at(variables, at), varied)
    sizes = tuple(len(axis.values) for axis in axes)
    p = len(variables.record.names)
    if math.prod(sizes) * p > MAX_ELEMENTS:
        shape = " x ".join(f"{len(a.values)} {a.name}" for a in axes if len(a.values) > 1)
        raise SpecificationError(
            f"The grid of {shape} combinations by {p} coefficients is too large. Restrict the "
            "levels by at={'factor': [levels]}."
        )
    places, numbers_at = point(axes)
    X, offset = rows_at(variables, places, numbers_at)
    return Grid(axes, X.reshape(*sizes, p), offset.reshape(sizes), _counts(variables, axes, sizes))


def point(axes: Sequence[Axis]) -> tuple[dict[str, IntArray], dict[str, FloatArray]]:
    """Levels and numbers of every combination, the last axis fastest."""
    sizes = [len(axis.values) for axis in axes]
    index = np.indices(sizes).reshape(len(sizes), -1)
    places: dict[str, IntArray] = {}
    found: dict[str, FloatArray] = {}
    for axis, i in zip(axes, index, strict=True):
        if axis.factor:
            places[axis.name] = np.array(axis.places, dtype=np.int32)[i]
        if all(isinstance(v, numbers.Real) for v in axis.values):
            found[axis.name] = np.array(axis.values, dtype=np.float64)[i]
    return places, found


def average(
    grid: Grid, shown: Sequence[str], weights: str | Mapping[str, Any] = "equal"
) -> Averages:
    """Means over everything that is not shown.

    Parameters
    ----------
    grid : Grid
    shown : sequence of str
        The first varies fastest.
    weights : one of `WEIGHTS`, or a mapping of factor to its levels' weights
        "proportional": how often the combination of the factors averaged over occurs in the used
        rows; "outer": the product of each factor's own frequencies; "cells": how often it occurs
        together with the values shown. Values of covariates count alike.

    Raises
    ------
    SpecificationError
        For other weights.
    """
    names = list(grid.names)
    rest = [name for name in names if name not in shown]
    order = [names.index(name) for name in (*reversed(shown), *rest)]
    rows = math.prod(len(grid.axis(name).values) for name in shown)
    p = grid.X.shape[-1]
    X = grid.X.transpose([*order, len(names)]).reshape(rows, -1, p)
    w = _weights(grid, shown, rest, weights).transpose(order).reshape(rows, -1)
    counts = grid.counts.transpose(order).reshape(rows, -1)
    with np.errstate(invalid="ignore"):
        w = w / w.sum(axis=1, keepdims=True)
    labels = product(*(grid.axis(name).values for name in reversed(shown)))
    return Averages(
        labels=tuple(tuple(reversed(label)) for label in labels),
        L=np.einsum("rc,rcp->rp", w, X),
        offset=np.einsum("rc,rc->r", w, grid.offset.transpose(order).reshape(rows, -1)),
        order=tuple(order),
        empty=(counts == 0) & ~(w == 0),
    )


def spell(name: str, value: Any) -> str:
    """``drv=4``: a value of a variable as messages show it."""
    return f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}"


def _weights(
    grid: Grid, shown: Sequence[str], rest: Sequence[str], weights: str | Mapping[str, Any]
) -> FloatArray:
    """(*sizes) weights, not normalised."""
    sizes = grid.counts.shape
    if isinstance(weights, Mapping):
        return _given_weights(grid, rest, weights)
    if not isinstance(weights, str):
        raise SpecificationError(
            f"weights is of type {type(weights).__name__}; it must be one of "
            f"{', '.join(map(repr, WEIGHTS))}, or a dict such as {{'factor': [1, 2]}}."
        )
    one_of("weights", weights, WEIGHTS)
    if weights == "equal":
        return np.ones(sizes)
    if weights == "cells":
        return grid.counts
    over = [i for i, axis in enumerate(grid.axes) if axis.name in rest]
    held = tuple(i for i in range(len(sizes)) if i not in over)
    if weights == "proportional":
        return np.broadcast_to(grid.counts.sum(axis=held, keepdims=True), sizes)
    out = np.ones(sizes)
    for i in over:
        others = tuple(j for j in range(len(sizes)) if j != i)
        out = out * grid.counts.sum(axis=others, keepdims=True)
    return out


def _given_weights(grid: Grid, rest: Sequence[str], weights: Mapping[str, Any]) -> FloatArray:
    """The product of each factor's weights; factors not named count their levels alike."""
    out = np.ones(grid.counts.shape)
    for name, given in weights.items():
        if name not in rest or len(grid.axis(name).values) < 2:
            averaged = [n for n in rest if len(grid.axis(n).values) > 1]
            raise SpecificationError(
                f"weights has {name!r}, which is not averaged over; "
                f"{', '.join(map(repr, averaged)) or 'nothing'} is."
            )
        axis = grid.axis(name)
        if isinstance(given, Mapping):
            absent = [v for v in axis.values if v not in given]
            extra = [v for v in given if v not in axis.values]
            if absent or extra:
                what = f"no weight for {absent[0]!r}" if absent else f"no level {extra[0]!r}"
                raise SpecificationError(
                    f"weights of {name!r}: there is {what}; its levels are {listed(axis.values)}."
                )
            given = [given[v] for v in axis.values]
        try:
            w = np.array(given, dtype=np.float64)
        except (TypeError, ValueError):
            w = np.zeros(0)
        if (
            w.shape != (len(axis.values),)
            or not np.isfinite(w).all()
            or (w < 0).any()
            or not w.any()
        ):
            raise SpecificationError(
                f"weights of {name!r} must be {len(axis.values)} numbers, not negative and not "
                f"all zero, for the levels {listed(axis.values)}."
            )
        shape = [1] * out.ndim
        shape[grid.names.index(name)] = len(w)
        out = out * w.reshape(shape)
    return out


def _axes(
    variables: Variables, given: Mapping[str, list[Any]], varied: Sequence[str]
) -> tuple[Axis, ...]:
    axes = []
    for name in dict.fromkeys((*variables.names, *given)):
        values = given.get(name)
        levels = variables.levels.get(name)
        if levels is not None:
            places = tuple(range(len(levels))) if values is None else _places(name, values, levels)
            chosen = tuple(levels[i] for i in places)
            axes.append(Axis(name, True, chosen, places, values is not None))
        elif values is not None:
            axes.append(Axis(name, False, tuple(map(float, values)), (), True))
        elif name in varied:
            raise SpecificationError(
                f"{name!r} is a covariate, a number, so it has no levels to give means for. Say at "
                f"which values: at={{{name!r}: [...]}}, or make it a factor in the formula: "
                f"C({name})."
            )
        else:
            axes.append(Axis(name, False, (float(variables.values(name).mean()),), (), False))
    return tuple(axes)


def _places(name: str, values: list[Any], levels: list[Any]) -> tuple[int, ...]:
    """Places of the levels asked for, in level order."""
    found = set()
    for value in values:
        place = next((i for i, level in enumerate(levels) if _same(level, value)), None)
        if place is None:
            raise SpecificationError(
                f"at has the level {value!r} of {name!r}, which does not occur in the used rows; "
                f"its levels are {listed(levels)}."
            )
        found.add(place)
    return tuple(sorted(found))


def _same(level: Any, value: Any) -> bool:
    if isinstance(level, bool | np.bool_) != isinstance(value, bool | np.bool_):
        return False
    return bool(level == value)


def _read_at(variables: Variables, at: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    if at is None:
        return {}
    if not isinstance(at, Mapping):
        raise SpecificationError(
            f"at must be a dict such as {{'x': [0, 1]}}, not {type(at).__name__}."
        )
    out: dict[str, list[Any]] = {}
    for given, value in at.items():
        name = variables.find(given, "at")
        several = isinstance(value, Iterable) and not isinstance(value, str)
        values = (
            list(np.atleast_1d(value) if isinstance(value, np.ndarray) else value)
            if several
            else [value]
        )
        values = [v.item() if isinstance(v, np.generic) else v for v in values]
        if not values:
            raise SpecificationError(f"at has no value for {name!r}.")
        if name not in variables.levels:
            _check_numbers(name, values)
        out[name] = values
    return out


def _check_numbers(name: str, values: list[Any]) -> None:
    for value in values:
        good = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not good or not math.isfinite(value):
            raise SpecificationError(
                f"at has {value!r} for the covariate {name!r}; it must be a finite number."
            )
    if len(set(values)) < len(values):
        raise SpecificationError(f"at has a value of {name!r} twice: {values}.")


def _counts(variables: Variables, axes: Sequence[Axis], sizes: tuple[int, ...]) -> FloatArray:
    """(*sizes) used rows in each cell of the factors."""
    factors = [axis for axis in axes if axis.factor]
    packed = np.zeros(variables.record.rows.nobs, dtype=np.int64)
    inside = np.ones(len(packed), dtype=bool)
    total = 1
    for axis in factors:
        place = np.full(len(variables.levels[axis.name]), -1, dtype=np.int64)
        place[list(axis.places)] = np.arange(len(axis.places))
        own = place[variables.codes(axis.name)]
        inside &= own >= 0
        packed = packed * len(axis.places) + own
        total *= len(axis.places)
    counts = np.bincount(packed[inside], minlength=total).astype(np.float64)
    shape = [len(axis.values) if axis.factor else 1 for axis in axes]
    return np.array(np.broadcast_to(counts.reshape(shape), sizes))


def combinations(grid: Grid, found: Averages, row: int) -> list[str]:
    """The combinations of factors without a row of data that have a weight in one mean."""
    axes = [grid.axes[i] for i in found.order]
    sizes = [len(axis.values) for axis in axes]
    flags = found.empty[row]
    cells = np.unravel_index(row * len(flags) + np.flatnonzero(flags), sizes)
    texts: dict[str, None] = {}
    for cell in zip(*cells, strict=True):
        pairs = {a.name: spell(a.name, a.values[i]) for a, i in zip(axes, cell, strict=True)}
        texts[", ".join(pairs[axis.name] for axis in grid.axes if axis.factor)] = None
    return list(texts)
