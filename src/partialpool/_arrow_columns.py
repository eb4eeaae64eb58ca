"""One column of a table from an Arrow array: pyarrow's own, and pandas' columns backed by it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._columns import (
    FactorData,
    Kind,
    factor_of,
    factor_of_floats,
    factor_of_integers,
    factor_of_objects,
    not_numeric,
    with_missing,
)
from ._core import factorize_arrow
from ._errors import DataError
from ._types import BoolArray, FloatArray

__all__ = ["arrow_factor", "arrow_kind", "arrow_numeric", "text_factor"]

# Up to this length our own hash table beats dictionary_encode(), which costs 10 us before its first
# row (calibrated on a 2-core EPYC).
_LARGE = 50_000


def arrow_kind(dtype: Any) -> Kind:
    """What a column of this pyarrow type is taken for where the formula does not say."""
    from pyarrow import types

    if types.is_boolean(dtype):
        return "boolean"
    if types.is_integer(dtype) or types.is_floating(dtype) or types.is_decimal(dtype):
        return "numeric"
    if types.is_dictionary(dtype):
        return "categorical"
    if types.is_string(dtype) or types.is_large_string(dtype) or types.is_string_view(dtype):
        return "categorical"
    if types.is_temporal(dtype):
        return "datetime"
    return "other"


def arrow_numeric(array: Any, name: str) -> FloatArray:
    """A contiguous float64 copy of a pyarrow (chunked) array, NaN where null.

    Raises
    ------
    DataError
        If it holds no numbers.
    """
    kind = arrow_kind(array.type)
    if kind not in ("numeric", "boolean"):
        raise not_numeric(name, kind, str(array.type))
    if kind == "boolean":
        array = array.cast("uint8")
    return np.array(array.cast("float64", safe=False).to_numpy(), dtype=np.float64)


def arrow_factor(array: Any, name: str) -> FactorData:
    """A pyarrow (chunked) array as a factor: the order of its dictionary, else sorted.

    Raises
    ------
    DataError
        If its type has no levels.
    """
    import pyarrow as pa

    dtype = array.type
    kind = arrow_kind(dtype)
    if pa.types.is_dictionary(dtype):
        return _dictionary_factor(array)
    if kind == "categorical":
        return text_factor(array)
    missing = _missing(array)
    if kind == "boolean":
        codes = arrow_numeric(array.drop_null(), name).astype(np.int32)
        return with_missing(FactorData(codes, [False, True], False, False), missing)
    if pa.types.is_integer(dtype):
        return with_missing(factor_of_integers(array.drop_null().to_numpy()), missing)
    if kind == "numeric":
        return factor_of_floats(arrow_numeric(array, name), name)
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype) or pa.types.is_duration(dtype):
        return factor_of(np.asarray(array.to_numpy()), name)
    if kind == "datetime":
        return factor_of_objects(array.to_pylist(), name)
    raise DataError(f"Column {name!r} ({dtype}) cannot be used as a factor.")


def text_factor(array: Any) -> FactorData:
    """Sorted factorisation of an Arrow array of text."""
    array = _one_chunk(array)
    if len(array) <= _LARGE:
        buffers = array.buffers()
        if len(buffers) == 3:  # not a string view
            wide = str(array.type) == "large_string"
            validity, offsets, data = buffers
            codes, levels, some = factorize_arrow(
                validity, offsets, data, array.offset, len(array), wide
            )
            return FactorData(codes, levels, some, True)
    array = array.dictionary_encode()
    found = array.dictionary.to_pylist()
    codes = _indices(array)
    levels = sorted(found)
    if levels != found:
        rank = dict(zip(levels, range(len(levels)), strict=True))
        # One element more, which the code -1 of a missing value picks.
        table = np.array([*[rank[level] for level in found], -1], dtype=np.int32)
        codes = table[codes]
    return FactorData(codes, levels, array.null_count > 0, True)


def _dictionary_factor(array: Any) -> FactorData:
    array = _one_chunk(array)
    levels = array.dictionary.to_pylist()
    codes = _indices(array)
    if None in levels or len(set(levels)) < len(levels):
        # Arrow allows a null, and the same value twice, in a dictionary.
        distinct = list(dict.fromkeys(level for level in levels if level is not None))
        place = {level: i for i, level in enumerate(distinct)}
        table = np.array([*[place.get(level, -1) for level in levels], -1], dtype=np.int32)
        return FactorData(table[codes], distinct, bool((table[codes] < 0).any()), False)
    return FactorData(codes, levels, array.null_count > 0, False)


def _indices(array: Any) -> Any:
    indices = array.indices
    if indices.null_count:
        indices = indices.cast("int32").fill_null(-1)
    return indices.to_numpy().astype(np.int32)


def _one_chunk(array: Any) -> Any:
    import pyarrow as pa

    if not isinstance(array, pa.ChunkedArray):
        return array
    if array.num_chunks == 1:
        return array.chunk(0)
    if pa.types.is_dictionary(array.type):
        array = array.unify_dictionaries()
    return array.combine_chunks() if array.num_chunks else pa.array([], array.type)


def _missing(array: Any) -> BoolArray | None:
    if not array.null_count:
        return None
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False))
