"""The user's data behind one small protocol: names, columns as numbers, columns as factors.

Nothing here changes the data, and every array that comes out is a copy.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ._columns import (
    FactorData,
    Kind,
    factor_of,
    factor_of_objects,
    kind_of,
    not_numeric,
    numeric_of,
)
from ._errors import DataError
from ._types import FloatArray

__all__ = ["DictTable", "FactorData", "Kind", "Table", "closest", "of"]


class Table(Protocol):
    """What a design needs of data, and what results need of it.

    Attributes
    ----------
    native : object
        The user's own frame (a path: the frame read from it).
    names : tuple of str
        Names of the columns; a column whose name is no string cannot stand in a formula.
    nrows : int
    index : pandas.Index or None
        Labels of the rows at the time of the fit; None where they are just numbered.
    moved : bool
        Were rows sorted, added, dropped or relabelled in place since then?
    """

    native: Any

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def nrows(self) -> int: ...
    @property
    def index(self) -> Any: ...
    @property
    def moved(self) -> bool: ...

    def __contains__(self, name: str) -> bool: ...

    def kind(self, name: str) -> Kind:
        """What the column is taken for where the formula does not say."""

    def numeric(self, name: str) -> FloatArray:
        """A contiguous float64 copy, NaN where missing; `DataError` if it holds no numbers."""

    def factor(self, name: str) -> FactorData:
        """Codes and levels, in level order; levels that do not occur may be among them."""

    def like(self, columns: Mapping[str, Any], *, by_row: bool = False) -> Any:
        """A new frame in the library of the data; `by_row`: with the labels of its rows."""

    def augment(self, columns: Mapping[str, Any], kept: npt.NDArray[np.int64] | None = None) -> Any:
        """The data's `kept` rows with `columns` put in (instead of columns of those names)."""


def of(data: Any) -> Table:
    """Read data as a `Table`.

    Parameters
    ----------
    data : pandas.DataFrame, mapping of str to (n,) arrays, path, or what narwhals reads
        polars (eager or lazy), pyarrow and so on; a path ends in ``.csv`` or ``.parquet``. A
        `Table` comes back as it is.

    Raises
    ------
    DataError
        If it is none of these, a file is missing, or the arrays differ in length.
    """
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        from ._pandas_table import PandasTable

        return PandasTable(data)
    if isinstance(data, str | os.PathLike):
        return of(_read(Path(data)))
    if isinstance(data, Mapping):
        return DictTable(data)
    if hasattr(data, "factor") and hasattr(data, "numeric") and hasattr(data, "native"):
        table: Table = data
        return table
    if data is None or isinstance(data, np.ndarray | list | tuple | int | float):
        raise _refusal(data)
    import narwhals as nw

    try:
        frame = nw.from_native(data)
    except TypeError:
        raise _refusal(data) from None
    from ._narwhals_table import NarwhalsTable

    return NarwhalsTable(frame)


def closest(name: str, names: Iterable[str]) -> str:
    """End of a message about an unknown column: the closest names, or all if there are few."""
    names = list(names)
    if len(names) == 1 and ";" in names[0]:
        return f" The only column is {names[0]!r}: is the file separated by semicolons, not commas?"
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if not near:
        folded = {known.casefold(): known for known in names}
        near = [
            folded[match]
            for match in difflib.get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.5)
        ]
    if near:
        return f" Did you mean {' or '.join(repr(known) for known in near)}?"
    listed = ", ".join(repr(known) for known in names[:12])
    return f" The columns are {listed}{', ...' if len(names) > 12 else ''}."


def _refusal(data: Any) -> DataError:
    return DataError(
        f"data is of type {type(data).__name__}. Give a pandas, polars or pyarrow table, a dict of "
        "arrays, or the path of a .csv or .parquet file."
    )


# -- files ----------------------------------------------------------------------------------------


def _read(path: Path) -> Any:
    suffix = path.suffix.lower()
    if path.is_dir():
        raise DataError(f"{str(path)!r} is a directory; give the path of one file.")
    if suffix not in (".csv", ".parquet"):
        raise DataError(
            f"data={str(path)!r}: the file name must end in .csv or .parquet, not {suffix!r}."
        )
    if not path.exists():
        near = ""
        if path.parent.is_dir():
            here = sorted(p.name for p in path.parent.iterdir() if p.suffix.lower() == suffix)
            near = closest(path.name, here).replace("columns", "files of this kind there")
            near = near if here else ""
        raise DataError(f"There is no file {str(path)!r}.{near}")
    import pandas as pd

    try:
        return pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    except ImportError:
        raise DataError(
            f"Reading {path.name!r} needs pyarrow. Install it with: pip install "
            "'partialpool[engines]'"
        ) from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{str(path)!r} is empty.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} could not be read: {error}") from error


# -- dict of arrays -------------------------------------------------------------------------------


class DictTable:
    """A mapping of names to lists, NumPy arrays or Series as a `Table`."""

    __slots__ = ("_columns", "_names", "_nrows", "native")

    index = None
    moved = False

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.native = data
        self._names = tuple([name for name in data if isinstance(name, str)])
        self._columns: dict[str, Any] = {}
        self._nrows = -1
        first = ""
        for name in self._names:
            size = _length(data[name], name)
            if self._nrows < 0:
                self._nrows, first = size, name
            elif size != self._nrows:
                raise DataError(
                    f"The arrays of the dict differ in length: {first!r} has {self._nrows} values, "
                    f"{name!r} has {size}."
                )
        if len(self._names) > 1:
            _same_labels(data, self._names)

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    @property
    def nrows(self) -> int:
        return max(self._nrows, 0)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def kind(self, name: str) -> Kind:
        column = self._column(name)
        if isinstance(column, np.ndarray):
            return kind_of(column)
        if isinstance(column, list):
            return "categorical" if _is_text(column) else kind_of(_object_array(column))
        return column.kind(name)  # type: ignore[no-any-return]  # of any library

    def numeric(self, name: str) -> FloatArray:
        column = self._column(name)
        if isinstance(column, np.ndarray):
            return numeric_of(column, name)
        if isinstance(column, list):
            if _is_text(column):
                raise not_numeric(name, "categorical", "list of str")
            return numeric_of(_object_array(column), name)
        return column.numeric(name)  # type: ignore[no-any-return]  # of any library

    def factor(self, name: str) -> FactorData:
        column = self._column(name)
        if isinstance(column, np.ndarray):
            return factor_of(column, name)
        if isinstance(column, list):
            return factor_of_objects(column, name)
        return column.factor(name)  # type: ignore[no-any-return]  # of any library

    def like(self, columns: Mapping[str, Any], *, by_row: bool = False) -> Any:
        import pandas as pd

        return pd.DataFrame(dict(columns))

    def augment(self, columns: Mapping[str, Any], kept: npt.NDArray[np.int64] | None = None) -> Any:
        import pandas as pd

        frame = pd.DataFrame({name: _series(self.native[name]) for name in self._names})
        return (frame if kept is None else frame.iloc[kept]).assign(**dict(columns))

    def _column(self, name: str) -> Any:
        """An array, a list of objects, or a one-column `Table` of another library's Series."""
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = _plain_column(self.native[name], name)
        return column


def _plain_column(value: Any, name: str) -> Any:
    if isinstance(value, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(value)
        if not mask.any():
            return np.asarray(value)
        if value.dtype.kind in "fiu":
            return np.where(mask, np.nan, np.asarray(value.data, float))
        return [None if m else v for v, m in zip(value.tolist(), mask.tolist(), strict=True)]
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, list | tuple | range):
        values = list(value)
        if set(map(type, values)) <= {str, type(None)}:
            return values
        if all(v is None or type(v) in (int, float) for v in values):
            # A list has no dtype, so None among numbers can only mean a missing number.
            if all(type(v) is int for v in values):
                try:
                    return np.array(values, dtype=np.int64)
                except OverflowError:
                    return np.array(values, dtype=np.float64)
            return np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        return _numpy(values, name)
    return _foreign_column(value, name)


def _numpy(values: list[Any], name: str) -> Any:
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.empty((0, 0))
    if array.ndim != 1:
        raise DataError(f"Column {name!r} of the dict is a nested list; give one value a row.")
    # NumPy turns [1, 'a'] into text without a word; keep what the user gave.
    return array if array.dtype.kind in "fiubcMm" else values


def _foreign_column(value: Any, name: str) -> Any:
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.Series | pandas.Index):
        return of(pandas.DataFrame({name: value}))
    if pandas is not None and isinstance(value, pandas.api.extensions.ExtensionArray):
        return of(pandas.DataFrame({name: value}))
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is not None and isinstance(value, pyarrow.Array | pyarrow.ChunkedArray):
        return of(pyarrow.table({name: value}))
    import narwhals as nw

    try:
        series = nw.from_native(value, series_only=True)
    except TypeError:
        return _numpy(list(value), name)
    return of(series.alias(name).to_frame().to_native())


def _length(value: Any, name: str) -> int:
    shape = getattr(value, "shape", None)
    if isinstance(value, str | bytes | dict | set) or not hasattr(value, "__len__") or shape == ():
        raise DataError(
            f"Column {name!r} of the dict is a single {type(value).__name__}, not an array; give "
            "one value a row."
        )
    if shape is not None and len(shape) != 1:
        raise DataError(
            f"Column {name!r} of the dict has shape {tuple(shape)}; give one value a row, (n,)."
        )
    return len(value)


def _same_labels(data: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse pandas Series whose labels differ: by position is not what they mean."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return
    series = [(name, data[name]) for name in names if isinstance(data[name], pandas.Series)]
    for name, other in series[1:]:
        if not other.index.equals(series[0][1].index):
            raise DataError(
                f"The Series {series[0][0]!r} and {name!r} of the dict have different indexes, so "
                "their rows may not belong together. Put them in one frame, or pass .to_numpy()."
            )


def _is_text(values: list[Any]) -> bool:
    return set(map(type, values)) <= {str, type(None)} and any(v is not None for v in values)


def _object_array(values: list[Any]) -> npt.NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _series(value: Any) -> Any:
    """A column that pandas puts in a frame by position."""
    return value.to_numpy() if hasattr(value, "to_numpy") else value
