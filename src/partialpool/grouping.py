"""Grouping factors: codes and labels, of interactions for the combinations that occur."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._columns import FactorData, factor_of_floats
from ._errors import DataError
from ._types import Group, IntArray
from .expression import Expression
from .reader import Reader
from .schema import GroupSchema

__all__ = ["group", "lookup", "pack"]


def group(
    read: Reader, name: str, parts: tuple[Expression, ...], text: str
) -> tuple[Group, GroupSchema]:
    """Codes and levels of a grouping factor, of an interaction those that occur."""
    data = [_group_part(read, part) for part in parts]
    codes, levels = data[0].codes, data[0].levels
    keys: list[npt.NDArray[np.int64]] = []
    for part in data[1:]:
        packed = pack(codes, part.codes, len(part.levels))
        occurring, inverse = np.unique(packed, return_inverse=True)
        keys.append(occurring)
        codes = inverse.astype(np.int32)
    if keys:
        levels = _labels(keys, [part.levels for part in data])
    if len(levels) < 2:
        raise DataError(
            f"Grouping factor {name!r} has one level, {levels[0]!s}, in term {text}: a variance "
            "between groups needs at least two. Drop the term."
        )
    codes.flags.writeable = False
    schema = GroupSchema(name, parts, tuple([p.levels for p in data]), tuple(keys), levels)
    return Group(name, codes, levels), schema


def _group_part(read: Reader, part: Expression) -> FactorData:
    if part.is_name or part.is_categorical:
        return read.used_levels(part.names[0])
    return factor_of_floats(read.result(part), part.text, read.kept)


def _labels(keys: list[npt.NDArray[np.int64]], levels: list[Any]) -> tuple[str, ...]:
    """``"b1:a1"`` for each combination that occurs, from the packed codes of `group`."""
    place = np.arange(keys[-1].size)
    texts: list[list[str]] = []
    for key, part in zip(reversed(keys), reversed(levels[1:]), strict=True):
        place, last = np.divmod(key[place], len(part))
        texts.append([str(part[i]) for i in last.tolist()])
    texts.append([str(levels[0][i]) for i in place.tolist()])
    return tuple([":".join(label) for label in zip(*reversed(texts), strict=True)])


def pack(first: IntArray, second: IntArray, size: int) -> npt.NDArray[np.int64]:
    """One number a pair of codes: first * size + second; sorted as the pairs are."""
    return first.astype(np.int64) * size + second


def lookup(keys: npt.NDArray[np.int64], packed: npt.NDArray[np.int64]) -> IntArray:
    """Place of each number in the sorted `keys`, -1 if it is not there."""
    if not keys.size:
        return np.full(packed.shape, -1, dtype=np.int32)
    place = np.minimum(np.searchsorted(keys, packed), keys.size - 1)
    return np.where(keys[place] == packed, place, -1).astype(np.int32)
