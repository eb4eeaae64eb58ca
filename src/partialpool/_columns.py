"""One column of a table, as numbers or as a factor, from a NumPy array or a list of objects.

Every kind of table ends here; what pandas, Arrow and narwhals add is how they get here.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ._core import factorize_list
from ._errors import DataError
from ._types import BoolArray, FloatArray, IntArray

__all__ = [
    "FactorData",
    "Kind",
    "factor_of",
    "factor_of_floats",
    "factor_of_integers",
    "factor_of_objects",
    "kind_of",
    "listed",
    "not_numeric",
    "numeric_of",
    "plain_levels",
    "with_missing",
]

Kind: TypeAlias = Literal["numeric", "boolean", "categorical", "datetime", "complex", "other"]

_KINDS: dict[str, Kind] = {
    "f": "numeric",
    "i": "numeric",
    "u": "numeric",
    "b": "boolean",
    "U": "categorical",
    "T": "categorical",
    "M": "datetime",
    "m": "datetime",
    "c": "complex",
}

_INT64_MAX = np.iinfo(np.int64).max


class FactorData(NamedTuple):
    """A column as a factor.

    Attributes
    ----------
    codes : (n,) int32
        Index into `levels`, -1 where missing; never a view of the user's data.
    levels : sequence
        In order: a list, or an integer array.
    missing : bool
        True if a code is -1.
    occurring : bool
        True if every level is known to occur.
    """

    codes: IntArray
    levels: Sequence[Any] | npt.NDArray[Any]
    missing: bool
    occurring: bool


def kind_of(array: npt.NDArray[Any]) -> Kind:
    """What a column of this array is taken for where the formula does not say."""
    kind = array.dtype.kind
    if kind == "O":
        return _kind_of_objects(array.tolist())
    return _KINDS.get(kind, "other")


def numeric_of(array: npt.NDArray[Any], name: str) -> FloatArray:
    """A contiguous float64 copy, NaN where missing.

    Raises
    ------
    DataError
        If the array holds no numbers (booleans count as 0 and 1).
    """
    kind = array.dtype.kind
    if kind in "fiub":
        return array.astype(np.float64)
    if kind == "O":
        values = array.tolist()
        if _kind_of_objects(values) == "boolean":
            return np.array([np.nan if _is_missing(v) else float(v) for v in values])
        raise not_numeric(name, "other", str(array.dtype), values)
    raise not_numeric(name, _KINDS.get(kind, "other"), str(array.dtype))


def factor_of(array: npt.NDArray[Any], name: str) -> FactorData:
    """The column as a factor: levels sorted, numbers by size, strings by code point.

    Raises
    ------
    DataError
        If the values cannot be told apart or sorted, or are fractions.
    """
    kind = array.dtype.kind
    if kind in "iu":
        return factor_of_integers(array)
    if kind == "f":
        return factor_of_floats(array, name)
    if kind == "b":
        return FactorData(array.astype(np.int32), [False, True], False, False)
    if kind in "OUT":
        return factor_of_objects(array.tolist(), name)
    if kind in "Mm":
        return _factor_of_dates(array)
    raise DataError(f"Column {name!r} ({array.dtype}) cannot be used as a factor.")


def factor_of_integers(array: npt.NDArray[Any]) -> FactorData:
    """Sorted factorisation of integers: by a counting table where the range is small.

    O(n + range) if the range is below 8 n + 1024, else O(n log n).
    """
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    if high - low > 8 * array.size + 1024 or high > _INT64_MAX:
        levels, inverse = np.unique(array, return_inverse=True)
        return FactorData(inverse.astype(np.int32), levels, False, True)
    place = array.astype(np.int64)  # small types would overflow in the subtraction
    if low:
        place -= low
    seen = np.zeros(high - low + 1, dtype=bool)
    seen[place] = True
    used = seen.nonzero()[0]
    if used.size == high - low + 1:
        return FactorData(place.astype(np.int32), used + low, False, True)
    rank = np.empty(high - low + 1, dtype=np.int32)
    rank[used] = np.arange(used.size, dtype=np.int32)
    return FactorData(rank[place], used + low, False, True)


def factor_of_floats(array: npt.NDArray[Any], name: str) -> FactorData:
    """Floating-point numbers as a factor: only if they are whole; NaN is missing."""
    array = array.astype(np.float64, copy=False)
    missing = np.isnan(array)
    some = bool(missing.any())
    present = array[~missing] if some else array
    wrong = np.flatnonzero(~(np.abs(present) < float(_INT64_MAX)) | (present != np.floor(present)))
    if wrong.size:
        row = int(np.flatnonzero(~missing)[wrong[0]])
        raise DataError(
            f"{name!r} is used as a grouping factor but is {float(array[row])!r} in row {row} "
            "(counting from 0); floating-point numbers must be whole to be levels. Bin or round "
            "the column, or convert it to strings."
        )
    return with_missing(factor_of_integers(present.astype(np.int64)), missing if some else None)


def factor_of_objects(values: list[Any], name: str) -> FactorData:
    """A list of Python objects as a factor; None, NaN, NA and NaT are missing."""
    found = factorize_list(values)  # None unless all are str or None
    if found is not None and len(found[1]):
        codes, levels, some = found
        return FactorData(codes, levels, some, True)
    types = set(map(type, values))
    if types == {str}:
        return _factor_of_hashables(values, sorted(set(values)), missing=False)
    present = [value for value in values if not _is_missing(value)]
    types = set(map(type, present))
    some = len(present) < len(values)
    if all(issubclass(t, str) for t in types):
        return _factor_of_hashables(values, sorted(set(map(str, present))), missing=some)
    if all(issubclass(t, bool | np.bool_) for t in types):
        return _factor_of_hashables(values, [False, True], missing=some)._replace(occurring=False)
    if all(issubclass(t, numbers.Real) and not issubclass(t, bool) for t in types):
        flags = np.array([_is_missing(value) for value in values]) if some else None
        if all(issubclass(t, numbers.Integral) for t in types):
            try:
                integers = np.array(present, dtype=np.int64)
            except OverflowError:
                raise DataError(
                    f"Column {name!r} holds integers beyond 64 bits; convert it to strings."
                ) from None
            return with_missing(factor_of_integers(integers), flags)
        filled = np.array([np.nan if _is_missing(v) else float(v) for v in values])
        return factor_of_floats(filled, name)
    try:
        return _factor_of_hashables(values, sorted(set(present)), missing=some)
    except (TypeError, ValueError):
        if len(types) == 1:
            raise DataError(
                f"Column {name!r} holds values of type {_type_names(types)}, which cannot be "
                "levels of a factor. Convert it to strings or numbers."
            ) from None
        raise DataError(
            f"Column {name!r} mixes values of the types {_type_names(types)}, which have no order "
            "and so no level order. Convert it to strings or to a categorical."
        ) from None


def with_missing(data: FactorData, missing: BoolArray | None) -> FactorData:
    """Spread the codes of the present rows over all rows, -1 where `missing`."""
    if missing is None:
        return data
    codes = np.full(missing.size, -1, dtype=np.int32)
    codes[~missing] = data.codes
    return FactorData(codes, data.levels, True, data.occurring)


def plain_levels(levels: Sequence[Any] | npt.NDArray[Any]) -> list[Any]:
    """Levels as a list, of Python's own numbers where they were an array."""
    return levels.tolist() if isinstance(levels, np.ndarray) else list(levels)


def listed(levels: Sequence[Any] | npt.NDArray[Any], most: int = 8) -> str:
    """Levels as a message shows them: the first few, and how many there are."""
    few = [v.item() if isinstance(v, np.generic) else v for v in plain_levels(levels[:most])]
    shown = ", ".join(map(repr, few))
    return shown if len(levels) <= most else f"{shown}, ... ({len(levels)} in all)"


def not_numeric(name: str, kind: Kind, dtype: str, values: Iterable[Any] = ()) -> DataError:
    """The error about a column where numbers are needed, with what it holds and the cure."""
    if kind == "datetime":
        return DataError(
            f"Column {name!r} holds dates or times ({dtype}) where numbers are needed. Take a "
            "difference in the unit that matters first, for instance days since the first date."
        )
    if kind == "complex":
        return DataError(f"Column {name!r} holds complex numbers ({dtype}); real ones are needed.")
    if kind == "categorical":
        return DataError(
            f"Column {name!r} holds text or categories ({dtype}) where numbers are needed."
        )
    present = [value for value in values if not _is_missing(value)]
    types = set(map(type, present))
    if types and all(_is_number(t) for t in types):
        return DataError(
            f"Column {name!r} has dtype object but holds numbers ({_type_names(types)}). Say which "
            f"is meant: pandas.to_numeric(data[{name!r}]) for numbers, .astype('category') for a "
            "factor."
        )
    if dtype == "object" and not present:
        return DataError(f"Column {name!r} (dtype object) has no value that is not missing.")
    held = f" holding {_type_names(types)}" if types else ""
    return DataError(
        f"Column {name!r} ({dtype}{held}) is neither numbers nor text nor categories. Convert it "
        "to one of these."
    )


def _factor_of_hashables(values: list[Any], levels: list[Any], *, missing: bool) -> FactorData:
    code = {level: i for i, level in enumerate(levels)}
    if not missing:
        codes = np.fromiter(map(code.__getitem__, values), np.int32, len(values))
    else:
        codes = np.array([code.get(value, -1) for value in values], dtype=np.int32)
    return FactorData(codes, levels, missing, True)


def _factor_of_dates(array: npt.NDArray[Any]) -> FactorData:
    missing = np.isnat(array)
    some = bool(missing.any())
    levels, inverse = np.unique(array[~missing] if some else array, return_inverse=True)
    data = FactorData(inverse.astype(np.int32), levels, False, True)
    return with_missing(data, missing if some else None)


def _kind_of_objects(values: list[Any]) -> Kind:
    types = set(map(type, values))
    if types == {str}:
        return "categorical"
    types = {type(value) for value in values if not _is_missing(value)}
    if types and all(issubclass(t, str) for t in types):
        return "categorical"
    if types and all(issubclass(t, bool | np.bool_) for t in types):
        return "boolean"
    if types and all(issubclass(t, complex | np.complexfloating) for t in types):
        return "complex"
    return "other"


def _is_number(t: type) -> bool:
    return issubclass(t, numbers.Number) and not issubclass(t, bool | np.bool_)


def _is_missing(value: Any) -> bool:
    """None, NaN, pandas' NA and NaT (by name: pandas need not be loaded), NaN of Decimal."""
    if value is None:
        return True
    if isinstance(value, str):
        return False
    if type(value).__name__ in ("NAType", "NaTType"):
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError, ArithmeticError):
        return False


def _type_names(types: Iterable[type]) -> str:
    return ", ".join(sorted(t.__name__ for t in types))
