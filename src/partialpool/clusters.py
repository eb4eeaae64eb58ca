"""Clusters of the used rows: a grouping factor of the model, a column, or an array; rows by place.

What sandwich covariances sum over and what deletion diagnostics leave out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import frames
from . import table as tables
from ._errors import DataError, SpecificationError
from ._types import Column, IntArray

if TYPE_CHECKING:
    from .design import Rows
    from .estimates import Record

__all__ = ["Clusters", "of", "take"]


class Clusters(NamedTuple):
    """A level for each of the n used rows.

    Attributes
    ----------
    name : str
        Of the column; ``"groups"`` for an array.
    codes : (n,) int32
        Index into `levels`, no -1.
    levels : sequence
        Only levels that occur.
    """

    name: str
    codes: IntArray
    levels: Any


def of(record: Record, groups: Any, *, option: str = "groups") -> Clusters:
    """The clusters that `groups` names or lists.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    groups : str or array_like
        A grouping factor of the model (``"cask:batch"`` too), a column of the data, or a value for
        each used row or each row of the data. A Series must have the labels of those rows.
    option : str
        How messages call it.

    Raises
    ------
    SpecificationError
        For a name that is neither a grouping factor nor a column, and where the data are gone.
    DataError
        For a wrong length, other labels, or missing values.
    """
    if isinstance(groups, str):
        return _named(record, groups, option)
    if groups is None or np.ndim(groups) != 1:
        raise SpecificationError(
            f"{option}={groups!r} must be the name of a column, or one value a row."
        )
    count = len(groups)
    used, all_rows = record.rows.nobs, _data_rows(record)
    if count != used and count != all_rows:
        data = "" if all_rows in (None, used) else f" (or {all_rows}, one a row of the data)"
        raise DataError(
            f"{option} has {count} values; this fit used {used} rows and needs one for each{data}."
        )
    whole = count != used
    _check_index(record, groups, whole, option)
    codes, levels = _factor({option: groups}, option)
    return _of_used(record, option, codes, levels, whole=whole, option=option)


def _named(record: Record, name: str, option: str) -> Clusters:
    for group in record.rows.groups:
        if group.name == name:
            return Clusters(name, group.codes, group.levels)
    table = record.table
    own = [group.name for group in record.rows.groups]
    if table is None or table.native is None:
        listed = f" The grouping factors are: {', '.join(own)}." if own else ""
        raise SpecificationError(
            f"{option}={name!r}: a pickled model no longer has its data, so columns cannot be "
            f"looked up by name. Give the values of the used rows.{listed}"
        )
    if name not in table:
        known = [*own, *(column for column in table.names if column not in own)]
        raise SpecificationError(
            f"There is no column {name!r} for {option}={name!r}.{tables.closest(name, known)}"
        )
    if table.moved:
        raise SpecificationError(
            f"{option}={name!r}: rows of the data were sorted, added or dropped in place since the "
            "fit, so that the column is no longer beside its rows. Fit again, or give the values "
            "of the used rows."
        )
    data = table.factor(name)
    return _of_used(record, name, data.codes, data.levels, whole=True, option=option)


def _data_rows(record: Record) -> int | None:
    """Rows of the user's data, where the fit still knows."""
    if record.table is not None:
        return int(record.table.nrows)
    return int(record.rows.nobs) if record.rows.kept is None else None


def _check_index(record: Record, groups: Any, whole: bool, option: str) -> None:
    """Refuse a Series whose labels are not those of its rows: it would go by position."""
    if not (hasattr(groups, "index") and hasattr(groups, "to_numpy")):
        return
    if record.table is None or record.table.index is None:
        return
    expected = record.table.index if whole else frames.used_index(record)
    if not groups.index.equals(expected):
        raise DataError(
            f"{option} is a Series whose index differs from that of the "
            f"{'data' if whole else 'used rows'}. Pass {option}.to_numpy() if its values are in "
            "the order of the rows."
        )


def _factor(data: dict[str, Any], name: str) -> tuple[IntArray, Any]:
    found = tables.of(data).factor(name)
    return found.codes, found.levels


def _of_used(
    record: Record,
    name: str,
    codes: IntArray,
    levels: Any,
    *,
    whole: bool,
    option: str,
) -> Clusters:
    """Codes of the used rows, and the levels that occur there."""
    if whole and record.rows.kept is not None:
        codes = codes[record.rows.kept]
    shown = option if name == option else f"{option}={name!r}"
    if (codes < 0).any():
        raise DataError(
            f"{shown} is missing in {int((codes < 0).sum())} of the {len(codes)} rows "
            "used. Every row must belong to a cluster."
        )
    used, dense = np.unique(codes, return_inverse=True)
    occurring = [_plain(levels[i]) for i in used.tolist()]
    return Clusters(name, dense.astype(np.int32), occurring)


def _plain(level: Any) -> Any:
    return level.item() if isinstance(level, np.generic) else level


def take(rows: Rows, at: npt.NDArray[np.intp]) -> Rows:
    """The rows `at`, in that order; columns and levels stay as they are.

    Levels that no longer occur keep their place, and what stateful columns have learnt (``poly``,
    ``center``) is what they learnt from all rows.
    """
    done: dict[int, Any] = {}

    def part(x: Any) -> Any:
        if x is None:
            return None
        if id(x) not in done:
            done[id(x)] = x[at]
        return done[id(x)]

    def column(c: Column) -> Column:
        return Column(
            c.name,
            tuple([part(x) for x in c.numeric]),
            tuple([(part(codes), table) for codes, table in c.lookups]),
        )

    return rows._replace(
        nobs=len(at),
        y=part(rows.y),
        weights=part(rows.weights),
        offset=part(rows.offset),
        fixed=tuple([column(c) for c in rows.fixed]),
        terms=tuple(
            [t._replace(columns=tuple([column(c) for c in t.columns])) for t in rows.terms]
        ),
        groups=tuple([g._replace(codes=part(g.codes)) for g in rows.groups]),
        kept=None,
    )
