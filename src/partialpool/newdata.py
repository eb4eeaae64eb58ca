"""The columns of a fit for new data: same levels, same states, one row a row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._columns import FactorData, listed, plain_levels
from ._errors import DataError, FormulaError
from ._types import BoolArray, FloatArray, Group, IntArray, RandomTerm
from .coding import Categorical, Recipe
from .expression import Expression, apply, contrast_of
from .grouping import lookup, pack
from .reader import coded, missing_of, option_expression, require_finite, used_levels
from .schema import (
    GroupSchema,
    Plan,
    Rows,
    Schema,
    columns,
    plan_of,
    position_of,
)
from .table import Table, closest, of

__all__ = ["rebuild"]


def rebuild(
    schema: Schema,
    data: Any,
    *,
    random: bool = True,
    new_levels: str = "error",
    response: bool = False,
) -> Rows:
    """The rows of new data, as the fit would see them.

    Parameters
    ----------
    schema : Schema
        Of the fit.
    data : table
        Whatever `table.of` reads, n rows. Nothing is dropped.
    random : bool
        Whether the random effects are wanted; without, grouping factors need not be there.
    new_levels : "error" or "population"
        What to do about a level of a grouping factor that the fit has not seen: refuse, or give
        it the code -1 (as a missing one).
    response : bool
        Whether the response is wanted; without, it need not be there.

    Returns
    -------
    Rows
        `missing` flags rows with a missing predictor in the fixed part or the offset; their
        columns hold NaN there. Weights are there if they are a column of the data.

    Raises
    ------
    FormulaError
        For a column that is not there.
    DataError
        For new levels, infinite values, wrong types, and where the fit took weights or offset
        from an array.
    """
    return _NewData(schema, of(data)).rows(random, new_levels, response)


class _NewData:
    """One reading of new data."""

    def __init__(self, schema: Schema, table: Table) -> None:
        for option in schema.array_options:
            raise DataError(
                f"The fit took its {option} from an array, which says nothing about new rows. Fit "
                f"again with the {option} in a column of the data: {option}='column'."
            )
        self.schema = schema
        self.table = table
        self.plan: Plan = plan_of(schema.formula)
        self.numbers: dict[str, FloatArray] = {}
        self.factors: dict[str, FactorData] = {}
        self.flags: dict[str, BoolArray | None] = {}

    def rows(self, random: bool, new_levels: str, response: bool) -> Rows:
        schema, plan = self.schema, self.plan
        fixed = _keys(schema.fixed)
        wanted = [*fixed]
        if random:
            wanted += [key for term in schema.terms for key in _keys(term.recipes)]
        values: dict[str, tuple[FloatArray, ...]] = {}
        codes: dict[str, IntArray] = {}
        for key in dict.fromkeys(wanted):
            piece = schema.pieces[key]
            if isinstance(piece, Categorical):
                codes[key] = self._known_levels(plan.pieces[key], piece)
            else:
                result = self._result(plan.pieces[key])
                width = range(len(piece.names))
                values[key] = (
                    (result,)
                    if result.ndim == 1
                    else tuple([np.ascontiguousarray(result[:, j]) for j in width])
                )
        offset, shifts = self._offset()
        groups: list[Group] = []
        if random:
            groups = [self._group(group, new_levels) for group in schema.groups]
        y = None
        if response and plan.response is not None:
            y = self._result(plan.response)
        return Rows(
            nobs=self.table.nrows,
            y=y,
            weights=self._weights(),
            offset=offset,
            fixed=columns(schema.fixed, values, codes),
            constant=schema.constant,
            terms=tuple(
                [
                    RandomTerm(t.spec, t.group, columns(t.recipes, values, codes))
                    for t in (schema.terms if random else ())
                ]
            ),
            groups=tuple(groups),
            kept=None,
            missing=self._missing([*(plan.pieces[key] for key in fixed), *shifts]),
        )

    # -- numbers ----------------------------------------------------------------------------------

    def _number(self, name: str) -> FloatArray:
        found = self.numbers.get(name)
        if found is None:
            self._require(name)
            found = self.numbers[name] = self.table.numeric(name)
            self.flags[name] = missing_of(found)
            infinite = np.isinf(found)
            if infinite.any():
                at = int(np.flatnonzero(infinite)[0])
                raise DataError(
                    f"Column {name!r} is infinite ({found[at]}) in row {at} (counting from 0)."
                )
        return found

    def _result(self, expression: Expression) -> FloatArray:
        """Values, NaN in the rows where a column is missing."""
        state = self.schema.states.get(expression.source)
        numbers = {name: self._number(name) for name in expression.names}
        if expression.is_name:
            return numbers[expression.names[0]]
        incomplete = _union(self.flags[name] for name in expression.names)
        if incomplete is None:
            values = apply(expression, numbers.__getitem__, state)
            require_finite(values, expression, numbers, None)
            return values
        # A spline or a comparison need not pass NaN through: give it complete rows alone.
        complete = np.flatnonzero(~incomplete)
        present = {name: x[complete] for name, x in numbers.items()}
        shape = (incomplete.size, expression.width)[: 1 if expression.width == 1 else 2]
        out = np.full(shape, np.nan)
        if complete.size:
            values = apply(expression, present.__getitem__, state)
            require_finite(values, expression, present, complete.astype(np.int64))
            out[complete] = values.reshape(complete.size, *shape[1:])
        return out

    def _offset(self) -> tuple[FloatArray | None, list[Expression]]:
        shifts = [*self.plan.offsets]
        if self.schema.offset is not None:
            shifts.append(option_expression(self.schema.offset, self.table))
        if not shifts:
            return None, []
        total = self._result(shifts[0]).copy()
        for shift in shifts[1:]:
            total += self._result(shift)
        return total, shifts

    def _weights(self) -> FloatArray | None:
        """Weights of the new rows, NaN where missing; None if the data do not have them."""
        if self.schema.weights is None:
            return None
        expression = option_expression(self.schema.weights, self.table)
        if any(name not in self.table for name in expression.names):
            return None
        w = self._result(expression)
        if (w < 0).any():
            at = int(np.flatnonzero(w < 0)[0])
            raise DataError(
                f"The weights have the value {w[at]:g} in row {at} (counting from 0); they must "
                "not be negative."
            )
        return w

    # -- factors ----------------------------------------------------------------------------------

    def _factor(self, name: str) -> FactorData:
        found = self.factors.get(name)
        if found is None:
            self._require(name)
            found = self.factors[name] = used_levels(coded(self.table, name))
        return found

    def _known_levels(self, expression: Expression, piece: Categorical) -> IntArray:
        """Codes of a fixed factor; a level without a coefficient is always an error."""
        name, _ = contrast_of(expression)
        data = self._factor(name)
        codes, unseen = _recode(data, piece.levels)
        if unseen:
            raise DataError(
                f"Factor {piece.text!r} has {_levels(unseen)} in the new data, for which the fit "
                f"has no coefficient; it knows {listed(piece.levels)}."
            )
        return codes

    def _group(self, group: GroupSchema, new_levels: str) -> Group:
        """Codes of a grouping factor; unseen levels per `new_levels`, missing ones -1."""
        codes: IntArray | None = None
        absent = np.zeros(self.table.nrows, dtype=bool)
        unseen: list[Any] = []
        for i, (part, levels) in enumerate(zip(group.parts, group.part_levels, strict=True)):
            data = self._factor(part.names[0])
            absent |= data.codes < 0
            own, new = _recode(data, levels)
            unseen += new
            if codes is None:
                codes = own
                continue
            packed = pack(codes, own, len(levels))
            both = (codes >= 0) & (own >= 0)
            codes = np.where(both, lookup(group.keys[i - 1], packed), -1).astype(np.int32)
        assert codes is not None
        new_rows = np.flatnonzero((codes < 0) & ~absent)
        if new_rows.size and new_levels == "error":
            what = _levels(unseen) if unseen else f"a new combination of levels (row {new_rows[0]})"
            raise DataError(
                f"Grouping factor {group.name!r} has {what} in the new data, which the fit has "
                "not seen. Use new_levels='population' to predict them from the fixed part."
            )
        return Group(group.name, codes, group.levels)

    # -- rows -------------------------------------------------------------------------------------

    def _missing(self, used: list[Expression]) -> BoolArray:
        flags: list[BoolArray | None] = []
        for expression in used:
            for name in expression.names:
                if name in self.numbers:
                    flags.append(self.flags[name])
                if name in self.factors and self.factors[name].missing:
                    flags.append(self.factors[name].codes < 0)
        found = _union(flags)
        return np.zeros(self.table.nrows, dtype=bool) if found is None else found

    def _require(self, name: str) -> None:
        if name not in self.table:
            mf = self.schema.formula
            raise FormulaError(
                f"There is no column {name!r} in the new data.{closest(name, self.table.names)}",
                mf.text,
                position_of(name, mf),
            )


def _keys(recipes: Iterable[Recipe]) -> list[str]:
    return list(dict.fromkeys(part.key for recipe in recipes for part in recipe.parts))


def _union(flags: Iterable[BoolArray | None]) -> BoolArray | None:
    found = [flag for flag in flags if flag is not None]
    return np.logical_or.reduce(found) if found else None


def _recode(data: FactorData, levels: Any) -> tuple[IntArray, list[Any]]:
    """Codes with respect to the fit's levels, -1 for others; and which others there are."""
    old = data.levels
    if isinstance(levels, np.ndarray) and isinstance(old, np.ndarray) and _comparable(levels, old):
        place = lookup(levels, old)
        unseen = old[place < 0].tolist()
    else:
        code = {level: i for i, level in enumerate(plain_levels(levels))}
        names = plain_levels(old)
        place = np.array([code.get(level, -1) for level in names], dtype=np.int32)
        unseen = [level for level in names if level not in code]
    if not len(old):
        return np.full(data.codes.shape, -1, dtype=np.int32), unseen
    codes = place[data.codes]
    if data.missing:
        codes[data.codes < 0] = -1
    return codes, unseen


def _comparable(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    return a.dtype.kind == b.dtype.kind and a.dtype.kind in "iM"


def _levels(unseen: list[Any]) -> str:
    return f"the new level{'s' if len(unseen) > 1 else ''} {listed(unseen)}"
