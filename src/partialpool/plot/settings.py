"""Rows to predict at: a covariate runs over a grid, the others are held at typical values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import predict
from .._errors import SpecificationError, UnavailableError
from .._types import FloatArray, IntArray
from ..coding import Categorical
from ..frames import PickledTable
from ..reader import coded, option_expression
from ..schema import plan_of
from ..table import closest
from . import wording

if TYPE_CHECKING:
    from ..estimates import Record
    from ..schema import Schema

__all__ = [
    "Covariate",
    "Setting",
    "covariate",
    "curve",
    "is_straight",
    "open_schema",
    "repeated",
    "response",
    "setting",
]


class Covariate(NamedTuple):
    """A column of the data in the used rows.

    Attributes
    ----------
    name : str
    values : (nobs,) float64 or int32
        Numbers, or codes into `levels`.
    levels : sequence or None
        Of a factor.
    """

    name: str
    values: FloatArray | IntArray
    levels: Any


class Setting(NamedTuple):
    """What a picture over a covariate needs of the data.

    Attributes
    ----------
    x : Covariate or None
        None if the model has no covariates.
    typical : dict of str to object
        The values at which the other columns of the fixed part are held.
    said : dict of str to str
        The same in words.
    """

    x: Covariate | None
    typical: dict[str, Any]
    said: dict[str, str]


def response(record: Record) -> str:
    """The response as the formula names it."""
    named = record.schema.formula.response
    return named[0].text if named else "response"


def setting(
    record: Record, x: str | None, *, over: bool = True, codes: IntArray | None = None
) -> Setting:
    """The covariate to draw over (the first numeric one if `x` is None) and the others' values.

    With `over` False there is none to draw over, and all are held. Covariates that vary within the
    groups of `codes` go first.

    Raises
    ------
    SpecificationError
        If `x` is not a column of the fixed or random part.
    UnavailableError
        If the data are gone, or were changed in place.
    """
    names = covariates(record)
    if x is not None and x not in names:
        raise SpecificationError(_unknown(x, names, record))
    found = {name: covariate(record, name) for name in names}
    chosen = x if x is not None else _first(found, codes) if over else None
    others = {name: c for name, c in found.items() if name != chosen}
    typical = {name: _typical(c) for name, c in others.items()}
    said = {name: _said(c, typical[name]) for name, c in others.items()}
    return Setting(
        found[chosen] if chosen else None,
        typical,
        said,
    )


def covariates(record: Record) -> list[str]:
    """Columns of the data that the fixed part, the bars and the offset read; groups left out."""
    plan = plan_of(record.schema.formula)
    names = [name for piece in plan.pieces.values() for name in piece.names]
    names += [name for piece in plan.offsets for name in piece.names]
    if record.schema.offset is not None and record.table is not None:
        names += option_expression(record.schema.offset, record.table).names
    return list(dict.fromkeys(names))


def covariate(record: Record, name: str) -> Covariate:
    """A column of the data in the used rows, as the formula uses it.

    Raises
    ------
    UnavailableError
        If the data are gone, or were changed in place.
    """
    table, rows = record.table, record.rows
    if table is None or isinstance(table, PickledTable):
        raise UnavailableError(
            "This picture draws the data, which a pickled model leaves behind. Fit again."
        )
    if table.moved:
        raise UnavailableError(
            "This picture draws the data, but rows of the data frame were sorted, added, dropped "
            "or relabelled in place since the fit. Fit again."
        )
    kept: Any = slice(None) if rows.kept is None else rows.kept
    if _is_factor(record, name):
        codes, levels, *_ = coded(table, name)
        return Covariate(name, codes[kept], levels)
    return Covariate(name, table.numeric(name)[kept], None)


def is_straight(record: Record, name: str) -> bool:
    """True if predictions are straight lines in a numeric column: it stands by itself."""
    plan = plan_of(record.schema.formula)
    pieces = [*plan.pieces.values(), *plan.offsets]
    terms = [*plan.fixed, *(term for bar in plan.bars for term in bar)]
    once = all(term.count(key) <= 1 for term in terms for key in term)
    return once and all(piece.is_name for piece in pieces if name in piece.names)


def curve(
    record: Record, found: Setting, grid: Any, fixed: Mapping[str, Any], *, random: str
) -> FloatArray:
    """(m,) predictions with x on `grid`, the columns of `fixed` held, the others typical.

    Parameters
    ----------
    record : Record
    found : Setting
    grid : (m,) values of the covariate
    fixed : dict of str to (m,) values
        Columns that go before the typical values and the grid.
    random : "none" or a formula of bars

    Raises
    ------
    UnavailableError
        If the fit took its offset from an array.
    """
    held = {**found.typical, **fixed}
    columns = {
        name: value if name in fixed else repeated(value, len(grid)) for name, value in held.items()
    }
    if found.x is not None:
        columns.setdefault(found.x.name, grid)
    if not columns:
        columns = {"row": np.zeros(len(grid))}
    asked = replace(record, schema=open_schema(record))
    return predict.predict(asked, columns, random=random).fit


def open_schema(record: Record) -> Schema:
    """The schema for rows of our own: an array of weights does not move a line, an offset does.

    Raises
    ------
    UnavailableError
        If the fit took its offset from an array.
    """
    schema = record.schema
    if "offset" in schema.array_options:
        raise UnavailableError(
            "No lines can be drawn: the fit took its offset from an array, which says nothing of "
            "other rows. Fit again with the offset in a column of the data."
        )
    return schema._replace(array_options=())


def repeated(value: Any, count: int) -> Any:
    return [value] * count if isinstance(value, str) else np.repeat(np.asarray(value), count)


def _is_factor(record: Record, name: str) -> bool:
    pieces = record.schema.pieces
    plan = plan_of(record.schema.formula)
    if any(
        isinstance(pieces.get(k), Categorical) for k, p in plan.pieces.items() if name in p.names
    ):
        return True
    if any(name in p.names for p in plan.pieces.values()):
        return False
    return any(name in part.names for group in record.schema.groups for part in group.parts)


def _first(found: dict[str, Covariate], codes: IntArray | None) -> str | None:
    """The first covariate that varies within groups, numbers before factors; else that varies."""
    varying = [name for name, c in found.items() if float(np.ptp(c.values)) > 0]
    within = [] if codes is None else [n for n in varying if _within(found[n], codes)]
    for names in (within, varying):
        for name in sorted(names, key=lambda n: found[n].levels is not None):
            return name
    return None


def _within(c: Covariate, codes: IntArray) -> bool:
    """True if the covariate has two values in one group."""
    first = np.zeros(int(codes.max()) + 1, dtype=c.values.dtype)
    first[codes] = c.values
    return bool(np.any(first[codes] != c.values))


def _typical(c: Covariate) -> Any:
    if c.levels is None:
        return float(np.mean(c.values))
    return c.levels[int(np.bincount(c.values[c.values >= 0]).argmax())]


def _said(c: Covariate, value: Any) -> str:
    """Where a covariate is held, in words."""
    if c.levels is not None:
        return wording.plain(f"{c.name} = {value}", 40)
    return wording.plain(f"{c.name} = {wording.numbers(float(format(value, '.5g')))} (mean)", 40)


def _unknown(x: str, names: list[str], record: Record) -> str:
    if not names:
        return f"x={x!r}: {record.spec.formula!r} has no covariates; leave x out."
    hint = closest(str(x), names).replace("The columns are", "The covariates are")
    return f"x={x!r} is not a covariate of {record.spec.formula!r}.{hint}"
