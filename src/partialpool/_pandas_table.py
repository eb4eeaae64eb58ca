"""pandas, talked to directly: a column costs about a microsecond to reach, not fifteen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._columns import (
    FactorData,
    Kind,
    factor_of,
    factor_of_integers,
    factor_of_objects,
    kind_of,
    not_numeric,
    numeric_of,
    with_missing,
)
from ._errors import DataError
from ._types import FloatArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PandasTable", "array_factor", "array_kind", "array_numeric"]

_MASKED = frozenset(
    f"{sign}{kind}{bits}"
    for sign, kind, sizes in (
        ("", "Int", (8, 16, 32, 64)),
        ("U", "Int", (8, 16, 32, 64)),
        ("", "Float", (32, 64)),
    )
    for bits in sizes
) | {"boolean"}


# From about this length pandas' hash table beats a dict (calibrated on a 2-core EPYC).
_LARGE = 2_000


class PandasTable:
    """A `pandas.DataFrame` as a `Table`."""

    __slots__ = ("_last", "_names", "_reach", "index", "native")

    def __init__(self, frame: pd.DataFrame) -> None:
        self.native = frame
        # Kept: rows that are sorted or dropped in place later must not relabel the results.
        self.index: pd.Index[Any] = frame.index
        # `frame[name]` builds a Series, most of the cost of a small fit. The accessor that
        # pandas' own exchange protocol uses gives the array itself; where a version of pandas
        # has it no longer, the Series serves.
        self._reach = getattr(frame, "_get_column_array", None)
        self._last: tuple[str | None, Any] = (None, None)  # each column is asked for in a row
        self._names: tuple[str, ...] | None = None
        if frame.columns.nlevels > 1:
            raise DataError(
                f"The data have column labels of {frame.columns.nlevels} levels; a formula needs "
                "plain names. Flatten them first: data.columns = ['_'.join(c) for c in "
                "data.columns]."
            )

    @property
    def names(self) -> tuple[str, ...]:
        if self._names is None:
            self._names = tuple([c for c in self.native.columns if isinstance(c, str)])
        return self._names

    @property
    def nrows(self) -> int:
        return len(self.index)

    @property
    def moved(self) -> bool:
        return self.native.index is not self.index

    def __contains__(self, name: str) -> bool:
        try:
            self._array(name)
        except KeyError:
            return False
        return True

    def kind(self, name: str) -> Kind:
        return array_kind(self._array(name))

    def numeric(self, name: str) -> FloatArray:
        return array_numeric(self._array(name), name)

    def factor(self, name: str) -> FactorData:
        return array_factor(self._array(name), name)

    def like(self, columns: Mapping[str, Any], *, by_row: bool = False) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(dict(columns), index=self.index if by_row else None)

    def augment(
        self, columns: Mapping[str, Any], kept: npt.NDArray[np.int64] | None = None
    ) -> pd.DataFrame:
        if self.moved:
            raise DataError(
                "augment(): rows of the data frame were sorted, added, dropped or relabelled in "
                "place since the fit, so that its results are no longer beside their rows. Fit "
                "again."
            )
        frame = self.native if kept is None else self.native.iloc[kept]
        return frame.assign(**dict(columns))

    def _array(self, name: str) -> Any:
        if self._last[0] == name:
            return self._last[1]
        place = self.native.columns.get_loc(name)
        if not isinstance(place, int):
            raise DataError(
                f"The data have several columns named {name!r}; the formula uses that name. "
                "Rename or drop all but one."
            )
        if self._reach is not None:
            array = self._reach(place)
        else:
            array = self.native.iloc[:, place].array
            if type(array).__name__ == "NumpyExtensionArray":
                array = array.to_numpy()
        self._last = (name, array)
        return array


def array_kind(array: Any) -> Kind:
    """What a column is taken for, of a NumPy array or a pandas extension array."""
    if isinstance(array, np.ndarray):
        return kind_of(array)
    dtype = array.dtype
    name = type(dtype).__name__
    if name in ("CategoricalDtype", "StringDtype"):
        return "categorical"
    if name == "ArrowDtype":
        from ._arrow_columns import arrow_kind

        return arrow_kind(dtype.pyarrow_dtype)
    if dtype.name in _MASKED:
        return "boolean" if dtype.name == "boolean" else "numeric"
    if dtype.kind in "Mm" or name == "PeriodDtype":
        return "datetime"
    if name == "SparseDtype":
        return kind_of(np.empty(0, dtype=dtype.subtype))
    return "other"


def array_numeric(array: Any, name: str) -> FloatArray:
    """A contiguous float64 copy, NaN where missing.

    Raises
    ------
    DataError
        If the array holds no numbers.
    """
    if isinstance(array, np.ndarray):
        return numeric_of(array, name)
    dtype = array.dtype
    if type(dtype).__name__ == "ArrowDtype":
        from ._arrow_columns import arrow_numeric

        return arrow_numeric(array.__arrow_array__(), name)
    if dtype.name in _MASKED:
        return np.array(array.to_numpy(dtype=np.float64, na_value=np.nan))
    kind = array_kind(array)
    if kind in ("numeric", "boolean"):
        return np.array(array, dtype=np.float64)
    raise not_numeric(name, kind, str(dtype))


def array_factor(array: Any, name: str) -> FactorData:
    """The column as a factor: in the order of its categories, else sorted.

    Raises
    ------
    DataError
        If the values cannot be told apart or sorted.
    """
    if isinstance(array, np.ndarray):
        if array.dtype.kind == "O" and array.size > _LARGE:
            return _large_text_factor(array, name)
        return factor_of(array, name)
    dtype = array.dtype
    kind = type(dtype).__name__
    if kind == "CategoricalDtype":
        codes = array.codes.astype(np.int32)
        missing = bool(codes.size) and int(codes.min()) < 0
        return FactorData(codes, _categories(array.categories), missing, False)
    if kind == "StringDtype":
        if dtype.storage == "python":
            return factor_of_objects(array.tolist(), name)
        from ._arrow_columns import text_factor

        return text_factor(array.__arrow_array__())
    if kind == "ArrowDtype":
        from ._arrow_columns import arrow_factor

        return arrow_factor(array.__arrow_array__(), name)
    if dtype.name in _MASKED:
        return _masked_factor(array, name)
    if dtype.kind in "Mm":
        return factor_of(np.asarray(array, dtype=f"{dtype.kind}8[ns]"), name)
    if kind == "SparseDtype":
        return factor_of(np.asarray(array), name)
    return factor_of_objects(array.astype(object).tolist(), name)


def _large_text_factor(array: npt.NDArray[Any], name: str) -> FactorData:
    """A long object column: by pandas' hash table if it is text, else like a short one."""
    import pandas as pd

    if pd.api.types.infer_dtype(array, skipna=True) != "string":
        return factor_of(array, name)
    codes, found = pd.factorize(array)
    levels = sorted(found.tolist())
    rank = dict(zip(levels, range(len(levels)), strict=True))
    # One element more, which the code -1 of a missing value picks.
    table = np.array([*[rank[level] for level in found.tolist()], -1], dtype=np.int32)
    return FactorData(table[codes], levels, bool(codes.min() < 0), True)


def _categories(index: Any) -> list[Any]:
    dtype = index.dtype
    if type(dtype).__name__ == "StringDtype" and dtype.storage == "pyarrow":
        # Index.tolist() goes through an object array, 25 us for five categories.
        values: list[Any] = index.array.__arrow_array__().to_pylist()
        return values
    plain: list[Any] = index.tolist()
    return plain


def _masked_factor(array: Any, name: str) -> FactorData:
    missing = np.asarray(array.isna())
    if not missing.any():
        return factor_of(array.to_numpy(dtype=array.dtype.numpy_dtype), name)
    if array.dtype.kind == "f":
        return factor_of(array_numeric(array, name), name)
    present = array[~missing]
    values = present.to_numpy(dtype=array.dtype.numpy_dtype)
    data = factor_of(values, name) if values.dtype.kind == "b" else factor_of_integers(values)
    return with_missing(data, missing)
