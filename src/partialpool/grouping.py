"""Grouping factors: codes and labels, of interactions for the combinations that occur."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from ._columns import factor_of_integers, listed
from ._errors import DataError
from ._types import Group, IntArray
from .expression import Expression
from .reader import Reader
from .schema import GroupSchema

__all__ = ["Labels", "group", "lookup", "pack"]

_MANY = 5_000  # labels of more combinations than this are spelt out only when read


def group(
    read: Reader, name: str, parts: tuple[Expression, ...], text: str
) -> tuple[Group, GroupSchema]:
    """Codes and levels of a grouping factor, of an interaction those that occur."""
    data = [read.used_levels(part.names[0]) for part in parts]
    codes, levels = data[0].codes, data[0].levels
    keys: list[npt.NDArray[np.int64]] = []
    for part in data[1:]:
        packed = pack(codes, part.codes, len(part.levels))
        codes, occurring, _, _ = factor_of_integers(packed)
        keys.append(np.asarray(occurring))
    if keys:
        levels = Labels(tuple(keys), tuple([part.levels for part in data]))
        if len(levels) <= _MANY:
            levels = tuple(levels)
    if len(levels) < 2:
        raise DataError(
            f"Grouping factor {name!r} has one level, {listed(levels)}, in term {text}: a variance "
            "between groups needs at least two. Drop the term."
        )
    codes.flags.writeable = False
    schema = GroupSchema(name, parts, tuple([p.levels for p in data]), tuple(keys), levels)
    return Group(name, codes, levels), schema


class Labels(Sequence[str]):
    """``"b1:a1"`` for each combination that occurs, spelt out when read.

    A million labels take a second and 80 MB, and most fits never show them.

    Parameters
    ----------
    keys : tuple of (.,) int64
        As in `GroupSchema`.
    levels : tuple of sequence
        Of each part.
    """

    def __init__(self, keys: tuple[npt.NDArray[np.int64], ...], levels: tuple[Any, ...]) -> None:
        self._keys = keys
        self._levels = levels

    def __len__(self) -> int:
        return int(self._keys[-1].size)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return self._spelt(np.arange(len(self))[at])
        if not -len(self) <= at < len(self):
            raise IndexError(f"there are {len(self)} levels")
        return self._spelt(np.array([at % len(self)]))[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self[:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self[:], dtype=object if dtype is None else dtype)

    def _spelt(self, place: npt.NDArray[np.int64]) -> list[str]:
        """Labels of the groups at `place`, each part's code unpacked from the last backwards."""
        texts: list[list[str]] = []
        for key, part in zip(reversed(self._keys), reversed(self._levels[1:]), strict=True):
            place, last = np.divmod(key[place], len(part))
            texts.append(_texts(part, last))
        texts.append(_texts(self._levels[0], place))
        return [":".join(label) for label in zip(*reversed(texts), strict=True)]


def _texts(levels: Sequence[Any], codes: npt.NDArray[np.int64]) -> list[str]:
    if len(codes) < len(levels):
        return [str(levels[i]) for i in codes.tolist()]
    names = [str(level) for level in levels]
    return [names[i] for i in codes.tolist()]


def pack(first: IntArray, second: IntArray, size: int) -> npt.NDArray[np.int64]:
    """One number a pair of codes: first * size + second; sorted as the pairs are."""
    return first.astype(np.int64) * size + second


def lookup(keys: npt.NDArray[np.int64], packed: npt.NDArray[np.int64]) -> IntArray:
    """Place of each number in the sorted `keys`, -1 if it is not there."""
    if not keys.size:
        return np.full(packed.shape, -1, dtype=np.int32)
    place = np.minimum(np.searchsorted(keys, packed), keys.size - 1)
    return np.where(keys[place] == packed, place, -1).astype(np.int32)
