"""The predictors of a fit as variables: factors with levels, covariates with their used values.

A fit keeps columns of X, not the user's columns. A factor's codes and a plain covariate are found
in them; a covariate that the formula uses only inside a function, ``log(x)``, is read from the
data again, and the function of it compared with what the fit has kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import expression as expressions
from .._columns import plain_levels
from .._core import fill
from .._errors import DataError, SpecificationError, UnavailableError
from .._types import FloatArray, IntArray
from ..coding import Categorical
from ..expression import Expression, apply, contrast_of
from ..schema import columns, plan_of
from ..table import closest

if TYPE_CHECKING:
    from ..estimates import Record

__all__ = ["Variables", "rows_at", "variables_of"]


class Variables(NamedTuple):
    """What the fixed part reads.

    Attributes
    ----------
    record : OlsRecord or LmmRecord
    names : tuple of str
        In the order of the formula.
    levels : dict of str to list
        Of the factors, in level order.
    keys : tuple of str
        The pieces of the fixed part, keys of ``schema.pieces``.
    spellings : dict of str to str
        ``"C(year)"`` to ``"year"``.
    """

    record: Record
    names: tuple[str, ...]
    levels: dict[str, list[Any]]
    keys: tuple[str, ...]
    spellings: dict[str, str]

    def find(self, name: Any, where: str) -> str:
        """The variable that `name` means.

        Raises
        ------
        SpecificationError
            If the fixed part has none, with the closest names.
        """
        if isinstance(name, str):
            if name in self.names:
                return name
            if name in self.spellings:
                return self.spellings[name]
            for offset in self.offsets():
                if name in offset.names:
                    return name
        if not self.names:
            raise SpecificationError(
                f"{where} has {name!r}, but the fixed part has no predictors at all."
            )
        near = closest(str(name), self.names).replace("The columns are", "Its variables are")
        raise SpecificationError(
            f"{where} has {name!r}, which is no variable of the fixed part.{near}"
        )

    def codes(self, name: str) -> IntArray:
        """(nobs,) level of the factor in each used row."""
        for key, found in self._parts():
            if key in self.keys and self._is_factor(key, name):
                codes: IntArray = found
                return codes
        raise AssertionError(f"{name} has no codes")

    def values(self, name: str) -> FloatArray:
        """(nobs,) values of a covariate in the used rows.

        Raises
        ------
        UnavailableError
            If they are only in the data, and those are gone.
        DataError
            If the data have changed since the fit.
        """
        plain = expressions.of_column(name).source
        stored = {key: x for key, x in self._parts() if not isinstance(x, np.ndarray)}
        if plain in stored and 0 in stored[plain]:
            return np.asarray(stored[plain][0])
        table, rows = self.record.table, self.record.rows
        if table is None or not hasattr(table, "numeric"):
            raise UnavailableError(
                f"The values of {name!r} are not part of a pickled fit, which has functions of it "
                f"only. Give the value that you want: at={{{name!r}: ...}}."
            )
        if name not in table or table.nrows < rows.nobs:
            raise _changed(name)
        found = table.numeric(name)
        found = found if rows.kept is None else found[rows.kept]
        self._check(name, found, stored)
        return found

    def offsets(self) -> list[Expression]:
        """The offsets given as expressions: in the formula, and as text."""
        schema, table = self.record.schema, self.record.table
        found = list(plan_of(schema.formula).offsets)
        if schema.offset is not None:
            known = table is not None and schema.offset in table.names
            compiled = expressions.of_column if known else expressions.compile
            found.append(compiled(schema.offset))
        return found

    def _check(self, name: str, found: FloatArray, stored: Mapping[str, Any]) -> None:
        """Refuse values that do not give the columns of the fit."""
        plan, schema = plan_of(self.record.schema.formula), self.record.schema
        if len(found) != self.record.rows.nobs:
            raise _changed(name)
        for key, kept in stored.items():
            piece = plan.pieces[key]
            if piece.names != (name,):
                continue
            again = _split(apply(piece, lambda _: found, schema.states.get(piece.source)))
            for place, values in kept.items():
                if not np.allclose(again[place], values, rtol=1e-9, atol=0, equal_nan=True):
                    raise _changed(name)

    def _is_factor(self, key: str, name: str) -> bool:
        schema = self.record.schema
        if not isinstance(schema.pieces[key], Categorical):
            return False
        return contrast_of(plan_of(schema.formula).pieces[key])[0] == name

    def _parts(self) -> list[tuple[str, Any]]:
        """Each piece with its codes, or with its columns by place, as the rows hold them."""
        numeric: dict[str, dict[int, FloatArray]] = {}
        codes: dict[str, IntArray] = {}
        fixed = zip(self.record.schema.fixed, self.record.rows.fixed, strict=True)
        for (_, parts), column in fixed:
            left = iter(column.numeric)
            right = iter(column.lookups)
            for key, place, table in parts:
                if table is None:
                    numeric.setdefault(key, {})[place] = next(left)
                else:
                    codes[key] = next(right)[0]
        return [*numeric.items(), *codes.items()]


def variables_of(record: Record) -> Variables:
    """The variables of the fixed part."""
    plan, schema = plan_of(record.schema.formula), record.schema
    keys = tuple(dict.fromkeys(part.key for recipe in schema.fixed for part in recipe.parts))
    ordered = sorted(keys, key=list(plan.pieces).index)
    names: dict[str, None] = {}
    levels: dict[str, list[Any]] = {}
    spellings: dict[str, str] = {}
    for key in ordered:
        piece, expression = schema.pieces[key], plan.pieces[key]
        if isinstance(piece, Categorical):
            name, _ = contrast_of(expression)
            levels[name] = plain_levels(piece.levels)
            spellings[expression.text] = name
            names[name] = None
        else:
            names.update(dict.fromkeys(expression.names))
    return Variables(record, tuple(names), levels, tuple(ordered), spellings)


def rows_at(
    variables: Variables, places: Mapping[str, IntArray], numbers: Mapping[str, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Rows of X, and their offsets, for given values of the variables.

    Parameters
    ----------
    variables : Variables
    places : dict of str to (G,) int32
        The level of each factor, by its place.
    numbers : dict of str to (G,) float64
        Values of each covariate, and of factors that the formula also uses as numbers.

    Returns
    -------
    X : (G, p) float64
        Through what the fit has learnt: contrasts, knots, means and scales.
    offset : (G,) float64

    Raises
    ------
    SpecificationError
        If an expression has no finite value there.
    """
    record = variables.record
    schema, plan = record.schema, plan_of(record.schema.formula)
    values: dict[str, tuple[FloatArray, ...]] = {}
    codes: dict[str, IntArray] = {}
    for key in variables.keys:
        expression = plan.pieces[key]
        if isinstance(schema.pieces[key], Categorical):
            codes[key] = places[contrast_of(expression)[0]]
            continue
        state = schema.states.get(expression.source)
        values[key] = _split(_finite(expression, numbers, state))
    given: list[FloatArray | IntArray] = [*places.values(), *numbers.values()]
    size = len(given[0]) if given else 1
    X = fill(list(columns(schema.fixed, values, codes)), 0, size)
    return X, _offset(variables, numbers, size)


def _offset(variables: Variables, numbers: Mapping[str, FloatArray], size: int) -> FloatArray:
    """(G,) the mean offset of the used rows, but offsets that read the grid's covariates there."""
    record = variables.record
    if record.rows.offset is None:
        return np.zeros(size)
    total = np.full(size, record.rows.offset.mean())
    for expression in variables.offsets():
        if not any(name in numbers for name in expression.names):
            continue
        data = {name: variables.values(name) for name in expression.names}
        held = {n: numbers.get(n, np.full(size, x.mean())) for n, x in data.items()}
        total += _finite(expression, held, None) - apply(expression, data.__getitem__, None).mean()
    return total


def _finite(expression: Expression, numbers: Mapping[str, FloatArray], state: Any) -> FloatArray:
    found = apply(expression, numbers.__getitem__, state)
    if not np.isfinite(found).all():
        bad = ~np.isfinite(found)
        i = int(np.flatnonzero(bad if bad.ndim == 1 else bad.any(axis=1))[0])
        where = ", ".join(f"{name} = {numbers[name][i]:g}" for name in expression.names)
        raise SpecificationError(
            f"{expression.text} is not finite at {where}. Choose other values by at=."
        )
    return found


def _split(result: FloatArray) -> tuple[FloatArray, ...]:
    if result.ndim == 1:
        return (np.ascontiguousarray(result),)
    return tuple([np.ascontiguousarray(result[:, j]) for j in range(result.shape[1])])


def _changed(name: str) -> DataError:
    return DataError(
        f"Column {name!r} of the data is no longer what the model was fitted to, so its mean would "
        f"be wrong. Fit again, or give the value that you want: at={{{name!r}: ...}}."
    )
