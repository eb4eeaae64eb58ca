"""Every other table, through narwhals: polars, pyarrow, modin, DuckDB relations and so on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ._columns import FactorData, Kind, factor_of_objects, not_numeric
from ._errors import DataError
from ._types import FloatArray

__all__ = ["NarwhalsTable", "series_factor", "series_kind", "series_numeric"]


class NarwhalsTable:
    """A table that narwhals reads; a lazy one is collected once, here.

    Attributes
    ----------
    native : object
        The frame itself; of a lazy one, what it was collected to.
    """

    __slots__ = ("_frame", "_names", "native")

    index = None  # no labels: rows are numbered
    moved = False

    def __init__(self, frame: Any) -> None:
        import narwhals as nw

        if isinstance(frame, nw.LazyFrame):
            frame = frame.collect()
        self._frame = frame
        self.native = frame.to_native()
        self._names = tuple(frame.columns)

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    @property
    def nrows(self) -> int:
        return len(self._frame)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def kind(self, name: str) -> Kind:
        return series_kind(self._series(name))

    def numeric(self, name: str) -> FloatArray:
        return series_numeric(self._series(name), name)

    def factor(self, name: str) -> FactorData:
        return series_factor(self._series(name), name)

    def like(self, columns: Mapping[str, Any], *, by_row: bool = False) -> Any:
        import narwhals as nw

        return nw.from_dict(dict(columns), backend=self._frame.implementation).to_native()

    def augment(self, columns: Mapping[str, Any], kept: npt.NDArray[np.int64] | None = None) -> Any:
        import narwhals as nw

        frame = self._frame if kept is None else self._frame[kept.tolist()]
        backend = self._frame.implementation
        new = [nw.new_series(n, np.asarray(v), backend=backend) for n, v in columns.items()]
        return frame.with_columns(*new).to_native()

    def _series(self, name: str) -> Any:
        return self._frame[name]


def series_kind(series: Any) -> Kind:
    """What a narwhals Series is taken for where the formula does not say."""
    arrow = _arrow(series)
    if arrow is not None:
        from ._arrow_columns import arrow_kind

        return arrow_kind(arrow.type)
    dtype = series.dtype
    name = type(dtype).__name__ if not isinstance(dtype, type) else dtype.__name__
    if dtype.is_numeric():
        return "numeric"
    if name == "Boolean":
        return "boolean"
    if name in ("String", "Enum", "Categorical"):
        return "categorical"
    if dtype.is_temporal():
        return "datetime"
    return "other"


def series_numeric(series: Any, name: str) -> FloatArray:
    """A contiguous float64 copy of a narwhals Series, NaN where null.

    Raises
    ------
    DataError
        If it holds no numbers.
    """
    arrow = _arrow(series)
    if arrow is not None:
        from ._arrow_columns import arrow_numeric

        return arrow_numeric(arrow, name)
    import narwhals as nw

    kind = series_kind(series)
    if kind not in ("numeric", "boolean"):
        raise not_numeric(name, kind, str(series.dtype))
    return np.array(series.cast(nw.Float64).to_numpy(), dtype=np.float64)


def series_factor(series: Any, name: str) -> FactorData:
    """A narwhals Series as a factor: an Enum in its order, everything else sorted.

    A polars Categorical has no order of its own (its categories may be shared by all columns of
    the process), so it is sorted like text.
    """
    arrow = _arrow(series)
    if arrow is not None:
        from ._arrow_columns import arrow_factor

        return arrow_factor(arrow, name)
    import narwhals as nw

    from ._columns import factor_of, factor_of_integers, with_missing

    dtype = series.dtype
    kind = series_kind(series)
    if kind == "other":
        raise DataError(f"Column {name!r} ({dtype}) cannot be used as a factor.")
    missing = series.is_null().to_numpy() if series.null_count() else None
    if dtype.is_integer():
        present = series if missing is None else series.drop_nulls()
        return with_missing(factor_of_integers(present.to_numpy()), missing)
    if kind == "numeric":
        return factor_of(series_numeric(series, name), name)
    if isinstance(dtype, nw.Enum):
        levels = list(dtype.categories)
        place = {level: i for i, level in enumerate(levels)}
        codes = np.array([place.get(v, -1) for v in series.to_list()], dtype=np.int32)
        return FactorData(codes, levels, missing is not None, False)
    return factor_of_objects(series.to_list(), name)


def _arrow(series: Any) -> Any:
    """The pyarrow array behind a narwhals Series, if that is what it is."""
    return series.to_native() if series.implementation.is_pyarrow() else None
