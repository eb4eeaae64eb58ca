"""Slopes of a covariate, averaged over the reference grid as marginal means are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import estimates
from .._core import fill
from .._errors import DataError, SpecificationError
from .._types import FloatArray
from ..predict import BLOCK
from ..schema import plan_of
from . import _grid, degrees
from ._grid import Grid
from ._variables import Variables, rows_at, variables_of
from .means import MarginalMeans, assemble, shown_in

if TYPE_CHECKING:
    from ..estimates import Record

__all__ = ["emtrends"]

_STEP = 1e-3
"""Of the standard deviation of the covariate: the error of the five-point formula, step^4, and that
of rounding, 1e-16 / step, are then both about 1e-12 (derived)."""

_NOISE = 1e-11  # of a column's largest value a standard deviation: a slope of rounding alone
_AGREE = 1e-5  # slopes by two steps further apart than this, relative, mean a kink

# Places, in steps, and weights of the first derivative's five-point formulas.
_CENTRAL = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))
_FORWARD = ((0, -25 / 12), (1, 4.0), (2, -3.0), (3, 16 / 12), (4, -3 / 12))
_BACKWARD = tuple((-at, -weight) for at, weight in _FORWARD)


def emtrends(
    record: Record,
    var: str,
    specs: str | Sequence[str] | None = None,
    *,
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    weights: str | Mapping[str, Any] = "equal",
    ddf: str = "satterthwaite",
    level: float = 0.95,
) -> MarginalMeans:
    """Slopes of the response in a covariate, for the levels of factors.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    var : str
        The covariate.
    specs : str or sequence of str, optional
        As in `emmeans`; one average slope when left out. It may have `var` itself, with values in
        `at`.
    by, at, weights, ddf, level
        As in `emmeans`. The slope is taken at the mean of `var`, or at the values in `at`.

    Returns
    -------
    MarginalMeans
        With the column ``trend``.

    Raises
    ------
    SpecificationError
        As `emmeans`; if `var` is no covariate; and where the slope jumps.
    UnavailableError
        If `var` stands inside a function only and a pickle left the data behind.

    Notes
    -----
    Where the model is linear in `var` the slope is exact, a difference of rows of X. Else it is a
    five-point difference of the rows of X, steps of 0.001 standard deviations of `var` (or of its
    value, where all values are positive and it is smaller), checked against steps of half the
    size. The notes of the result say which.
    """
    variables = variables_of(record)
    name = variables.find(var, "var")
    if name in variables.levels:
        raise SpecificationError(
            f"var={var!r} is a factor, which has no slope. Compare its levels: "
            f"emmeans({name!r}).pairs()."
        )
    shown, inner = shown_in(variables, specs, by, empty=True)
    degrees.check_ddf(ddf)
    estimates.check_level(level)
    grid = _grid.reference(variables, at, (*shown, *inner))
    slopes, how = _slopes(variables, grid, name)
    found = _grid.average(slopes, (*shown, *inner), weights)
    return assemble(
        variables,
        slopes,
        found,
        shown,
        inner,
        weights=weights,
        ddf=ddf,
        level=level,
        slope=(name, how),
    )


def _slopes(variables: Variables, grid: Grid, name: str) -> tuple[Grid, str]:
    """The grid with derivatives of the rows of X, and how they were found."""
    if _is_linear(variables, name):
        value = np.array(grid.axis(name).values)
        step = np.full(len(value), max(1.0, float(np.abs(value).max())))
        X, offset = _difference(variables, grid, name, ((-1, -0.5), (1, 0.5)), step, origin=0.0)
        return grid._replace(X=X, offset=offset), f"The model is linear in {name}: exact slopes."
    step = _steps(variables, grid, name)
    X, offset = _stencil(variables, grid, name, step)
    again, _ = _stencil(variables, grid, name, step / 2)
    typical = _largest(variables.record) / float(variables.values(name).std())
    size = np.maximum(np.abs(X).max(axis=tuple(range(X.ndim - 1))), typical)
    if (np.abs(X - again) > _AGREE * size).any():
        where = ", ".join(f"{v:g}" for v in grid.axis(name).values)
        raise SpecificationError(
            f"The slope in {name!r} cannot be told at {where}: a function of it in the formula has "
            f"a jump or a kink there. Choose another value: at={{{name!r}: ...}}."
        )
    X[np.abs(X) <= _NOISE * typical] = 0.0
    return grid._replace(X=X, offset=offset), (
        f"Slopes at {name} = {', '.join(f'{v:.6g}' for v in grid.axis(name).values)}, by "
        "differences of the columns of X."
    )


def _largest(record: Record) -> FloatArray:
    """(p,) the largest size of each column of X in the used rows."""
    out = np.zeros(len(record.names))
    for start in range(0, record.rows.nobs, BLOCK):
        block = fill(record.rows.fixed, start, min(start + BLOCK, record.rows.nobs))
        out = np.maximum(out, np.abs(block).max(axis=0))
    return out


def _is_linear(variables: Variables, name: str) -> bool:
    """Does every column have the covariate at most once, and as it is?"""
    record = variables.record
    pieces = plan_of(record.schema.formula).pieces
    for recipe in record.schema.fixed:
        reading = [pieces[part.key] for part in recipe.parts if name in pieces[part.key].names]
        if len(reading) > 1 or not all(e.is_name for e in reading):
            return False
    return all(e.is_name for e in variables.offsets() if name in e.names)


def _steps(variables: Variables, grid: Grid, name: str) -> FloatArray:
    """(values,) step at each value of the covariate."""
    data = variables.values(name)
    value = np.array(grid.axis(name).values)
    spread = np.full(len(value), float(data.std()))
    if data.min() > 0:  # log(x) ends at zero
        spread = np.where(value > 0, np.minimum(spread, value), spread)
    return _STEP * spread


def _stencil(
    variables: Variables, grid: Grid, name: str, step: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Central differences, or one-sided ones where a spline or a function ends."""
    try:
        return _difference(variables, grid, name, _CENTRAL, step)
    except (DataError, SpecificationError):
        pass
    try:
        return _difference(variables, grid, name, _FORWARD, step)
    except (DataError, SpecificationError):
        return _difference(variables, grid, name, _BACKWARD, step)


def _difference(
    variables: Variables,
    grid: Grid,
    name: str,
    formula: Sequence[tuple[int, float]],
    step: FloatArray,
    origin: float | None = None,
) -> tuple[FloatArray, FloatArray]:
    """sum of weight * X(x + place * step) / step; around `origin` instead of x if it is given."""
    places, numbers = _grid.point(grid.axes)
    sizes = grid.offset.shape
    shape = [1] * len(sizes)
    shape[grid.names.index(name)] = len(step)
    h = np.broadcast_to(step.reshape(shape), sizes).ravel()
    x = numbers[name] if origin is None else np.full(len(h), origin)
    X, offset = np.zeros((len(h), grid.X.shape[-1])), np.zeros(len(h))
    for place, weight in formula:
        rows, shift = rows_at(variables, places, numbers | {name: x + place * h})
        X += weight / h[:, None] * rows
        offset += weight / h * shift
    return X.reshape(grid.X.shape), offset.reshape(sizes)
