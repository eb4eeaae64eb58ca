"""The columns that one formula uses, read from a table, with incomplete rows dropped."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from . import expression as expressions
from ._columns import FactorData, with_missing
from ._core import scan
from ._errors import DataError, FormulaError, MissingDataWarning, SpecificationError, warn
from ._types import BoolArray, FloatArray
from .expression import Expression, State
from .formula import ModelFormula
from .schema import position_of
from .table import Table, closest

__all__ = [
    "FINITE",
    "Reader",
    "coded",
    "missing_of",
    "option_expression",
    "require_finite",
    "used_levels",
]

FINITE, INFINITE = 0, 2  # what scan() returns; 1: NaN, but no Inf


class Reader:
    """Columns by name, as numbers and as factors, of the rows used so far.

    Attributes
    ----------
    numbers : dict of str to (nobs,) float64
    factors : dict of str to FactorData
    options : dict of str to (nobs,) float64
        ``weights`` and ``offset`` given as arrays.
    categorical : set of str
        Keys of the pieces that are factors; the caller's to fill.
    states : dict of str to State
        What the expressions evaluated so far have learnt, by their source.
    kept : (nobs,) int64 or None
        Place in the data of each row; None for all of them.
    """

    def __init__(self, table: Table, mf: ModelFormula) -> None:
        self.table = table
        self.mf = mf
        self.nobs = table.nrows
        self.numbers: dict[str, FloatArray] = {}
        self.factors: dict[str, FactorData] = {}
        self.options: dict[str, FloatArray] = {}
        self.categorical: set[str] = set()
        self.states: dict[str, State] = {}
        self.kept: npt.NDArray[np.int64] | None = None
        self.require_rows()

    def require_rows(self) -> None:
        if self.nobs < 2:
            rows = self.table.nrows
            had = f" of {rows} rows" if rows != self.nobs else ""
            raise DataError(
                f"The data have {'no rows' if not self.nobs else 'one row'} to use{had}; a model "
                "needs more."
            )

    def row(self, at: int) -> int:
        """Place in the data of a used row."""
        return at if self.kept is None else int(self.kept[at])

    # -- reading ----------------------------------------------------------------------------------

    def is_factor(self, name: str) -> bool:
        """Whether a plain name in the formula means a factor."""
        self._known(name, name)
        return self.table.kind(name) in ("categorical", "boolean")

    def factor(self, name: str) -> None:
        """Read a factor of the fixed part or of the columns of a bar."""
        if name not in self.factors:
            self._known(name, name)
            self.factors[name] = coded(self.table, name)

    def grouping(self, name: str) -> None:
        """Read a grouping factor, which must not be fractions."""
        self._known(name, name)
        data = self.factors.get(name)
        if data is None or getattr(data.levels, "dtype", None) == np.float64:
            self.factors[name] = self.table.factor(name)

    def numbers_of(self, expression: Expression) -> None:
        for name in expression.names:
            if name in self.numbers:
                continue
            self._known(name, expression.text)
            try:
                self.numbers[name] = self.table.numeric(name)
            except DataError as error:
                if expression.is_name:
                    raise
                raise DataError(f"{error} It is used in {expression.text}.") from None

    def option(self, name: str, value: Any) -> Expression | None:
        """Read ``weights`` or ``offset``: an expression to evaluate later, or `options` filled."""
        if value is None:
            return None
        if isinstance(value, str):
            expression = option_expression(value, self.table)
            if expression.is_pair or expression.is_categorical or expression.width != 1:
                raise SpecificationError(f"{name}={value!r} must be one number a row.")
            for column in expression.names:
                if column not in self.table:
                    raise FormulaError(
                        f"There is no column {column!r} for {name}={value!r}."
                        f"{closest(column, self.table.names)}"
                    )
            try:
                self.numbers_of(expression)
            except DataError as error:
                raise DataError(f"{error} (Given as {name}={value!r}.)") from None
            return expression
        self.options[name] = self._option_array(name, value)
        return None

    def _option_array(self, name: str, value: Any) -> FloatArray:
        if hasattr(value, "index") and hasattr(value, "to_numpy"):
            own, labels = value.index, self.table.index
            if labels is not None and len(own) == len(labels) and not own.equals(labels):
                raise DataError(
                    f"{name} is a Series whose index differs from that of the data. Pass "
                    f"{name}.to_numpy() if its values are in the order of the rows."
                )
        try:
            if hasattr(value, "to_numpy"):
                value = value.to_numpy()
            array = np.array(np.real(value), dtype=np.float64)
        except (TypeError, ValueError):
            raise DataError(
                f"{name} must be a column name, an expression, or one number for each row of the "
                f"data, not {type(value).__name__}."
            ) from None
        if np.iscomplexobj(value):
            raise DataError(f"{name} holds complex numbers; real ones are needed.")
        if np.ma.is_masked(value):
            array[np.ma.getmaskarray(value)] = np.nan
        if array.shape != (self.table.nrows,):
            raise DataError(
                f"{name} has shape {array.shape}; the data have {self.table.nrows} rows, and it "
                "needs one value for each (before rows are dropped)."
            )
        return array

    def _known(self, name: str, where: str) -> None:
        if name not in self.table:
            used = "" if where == name else f" (used in {where})"
            place = position_of(name, self.mf)
            raise FormulaError(
                f"There is no column {name!r} in the data{used}.{closest(name, self.table.names)}",
                self.mf.text,
                place,
            )

    # -- dropping ---------------------------------------------------------------------------------

    def drop_incomplete(self, missing: str) -> None:
        """Leave out the rows with a missing value, or refuse; then refuse Inf.

        Raises
        ------
        DataError
            If a column has no value at all, no row is complete, or a used value is infinite.
        """
        suspect = False
        for _, x in self._arrays():
            if scan(x) != FINITE:
                suspect = True
                break
        if not suspect and not any(data.missing for data in self.factors.values()):
            return
        incomplete: dict[str, BoolArray] = {}
        for name, x in self._arrays():
            if scan(x) != FINITE and (flags := np.isnan(x)).any():
                incomplete[name] = flags
        for name, data in self.factors.items():
            if data.missing:
                incomplete[name] = data.codes < 0
        if incomplete:
            self._drop(incomplete, missing)
        for name, x in self._arrays():
            if scan(x) == INFINITE:
                at = int(np.flatnonzero(np.isinf(x))[0])
                raise DataError(
                    f"{_titled(name)} is infinite ({x[at]}) in row {self.row(at)} (counting from "
                    "0). Make it finite, or missing to leave the row out."
                )

    def _drop(self, incomplete: dict[str, BoolArray], missing: str) -> None:
        n = self.nobs
        counts = {name: int(flags.sum()) for name, flags in incomplete.items()}
        for name, count in counts.items():
            if count == n:
                raise DataError(f"{_titled(name)} has no values: all {n} rows are missing.")
        any_missing = np.logical_or.reduce(list(incomplete.values()))
        dropped = int(any_missing.sum())
        listed = ", ".join(f"{_shown(name)} {count}" for name, count in counts.items())
        if missing == "raise":
            name = next(iter(incomplete))
            raise DataError(
                f"{dropped} of {n} rows have missing values ({listed}); the first of "
                f"{_shown(name)} is row {int(np.flatnonzero(incomplete[name])[0])} (counting from "
                "0). Fill them in, or use missing='drop' to leave those rows out."
            )
        if dropped == n:
            raise DataError(f"Each of the {n} rows has a missing value ({listed}).")
        self.take(np.flatnonzero(~any_missing))
        self.require_rows()
        warn(
            f"{dropped} of {n} rows have missing values and were left out: {listed}.",
            MissingDataWarning,
        )

    def take(self, rows: npt.NDArray[np.intp]) -> None:
        """Keep the given ones of the rows used so far."""
        for arrays in (self.numbers, self.options):
            for name, x in arrays.items():
                arrays[name] = x[rows]
        for name, data in self.factors.items():
            codes = data.codes[rows]
            self.factors[name] = FactorData(codes, data.levels, False, False)
        kept = rows.astype(np.int64)
        self.kept = kept if self.kept is None else self.kept[kept]
        self.nobs = int(rows.size)

    def _arrays(self) -> Iterator[tuple[str, FloatArray]]:
        named = ((f"{name}=", x) for name, x in self.options.items())
        return chain(self.numbers.items(), named)

    # -- evaluating -------------------------------------------------------------------------------

    def result(self, expression: Expression) -> FloatArray:
        """Values of an expression in the used rows, all finite; it learns from these rows."""
        if expression.is_name:
            return self.numbers[expression.names[0]]
        state = None
        if expression.stateful:
            state = expressions.learn(expression, self.numbers.__getitem__)
            self.states[expression.source] = state
        values = expressions.apply(expression, self.numbers.__getitem__, state)
        require_finite(values, expression, self.numbers, self.kept)
        return values

    def used_levels(self, name: str) -> FactorData:
        """The factor with the levels that do not occur taken out."""
        data = self.factors[name]
        if not data.occurring:
            data = self.factors[name] = used_levels(data)
        return data


def coded(table: Table, name: str) -> FactorData:
    """A column as a factor of the fixed part, where ``C(dose)`` may hold fractions."""
    if table.kind(name) != "numeric":
        return table.factor(name)
    x = table.numeric(name)
    missing = np.isnan(x)
    present = x[~missing]
    if np.array_equal(present, np.floor(present)):
        return table.factor(name)
    if np.isinf(present).any():
        at = int(np.flatnonzero(np.isinf(x))[0])
        raise DataError(f"Column {name!r} is infinite ({x[at]}) in row {at} (counting from 0).")
    levels, inverse = np.unique(present, return_inverse=True)
    data = FactorData(inverse.astype(np.int32), levels, False, True)
    return with_missing(data, missing if missing.any() else None)


def option_expression(value: str, table: Table) -> Expression:
    """Weights or offset given as text: a column of that very name, else an expression."""
    return expressions.of_column(value) if value in table else expressions.compile(value)


def used_levels(data: FactorData) -> FactorData:
    """A factor with the levels that do not occur taken out; missing codes stay -1."""
    codes, levels, missing, _ = data
    present = codes[codes >= 0] if missing else codes
    used = np.bincount(present, minlength=len(levels)).nonzero()[0]
    if used.size == len(levels):
        return FactorData(codes, levels, missing, True)
    rank = np.full(len(levels) + 1, -1, dtype=np.int32)  # the last one for the code -1
    rank[used] = np.arange(used.size, dtype=np.int32)
    kept = levels[used] if isinstance(levels, np.ndarray) else [levels[i] for i in used.tolist()]
    return FactorData(rank[codes], kept, missing, True)


def require_finite(
    values: FloatArray,
    expression: Expression,
    numbers: dict[str, FloatArray],
    kept: npt.NDArray[np.int64] | None,
) -> None:
    """Refuse an expression that has no finite value where its columns have one.

    Raises
    ------
    DataError
        Naming the row and the values of the columns there.
    """
    if scan(values if values.ndim == 1 else np.ravel(values)) == FINITE:
        return
    bad = ~np.isfinite(values)
    at = int(np.flatnonzero(bad if bad.ndim == 1 else bad.any(axis=1))[0])
    value = values[at] if values.ndim == 1 else values[at][~np.isfinite(values[at])][0]
    where = ", ".join(f"{name} = {numbers[name][at]:g}" for name in expression.names)
    row = at if kept is None else int(kept[at])
    raise DataError(
        f"{expression.text} is {value} in row {row} (counting from 0), where {where}. Change the "
        "expression, or leave such rows out."
    )


def missing_of(values: FloatArray) -> BoolArray | None:
    """Flags of the missing values; None if there are none."""
    if scan(values) == FINITE:
        return None
    flags: BoolArray = np.isnan(values)
    return flags if flags.any() else None


def _shown(name: str) -> str:
    return name[:-1] if name in ("weights=", "offset=") else repr(name)


def _titled(name: str) -> str:
    return name[:-1] if name in ("weights=", "offset=") else f"Column {name!r}"
