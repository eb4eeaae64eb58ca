"""Tables that say how they were made. This module imports pandas: import it where it is used."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

__all__ = ["Table"]

_DIGITS = 6  # significant, of the printed numbers
_ROOM = 11  # digits before and after the point together
_LARGEST = 1e15  # more digits than a double has: an exponent
_OF_ESTIMATES = ("estimate", "std_error", "conf_low", "conf_high")


class Table(pd.DataFrame):
    """A DataFrame that prints a title above and notes below.

    They are in ``attrs["title"]`` and ``attrs["notes"]`` (and, joined, ``attrs["note"]``). Whatever
    is taken out of a table or computed from it is a plain DataFrame.
    """

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    @classmethod
    def of(
        cls,
        columns: Sequence[str],
        rows: Mapping[str, Sequence[Any]],
        title: str,
        notes: Sequence[str] = (),
    ) -> Table:
        """A table from its rows; the keys are the index."""
        data = {name: [row[j] for row in rows.values()] for j, name in enumerate(columns)}
        table = cls(data, index=pd.Index(list(rows), dtype=object), columns=list(columns))
        table.attrs["title"] = title
        table.attrs["notes"] = tuple(notes)
        table.attrs["note"] = " ".join(notes)
        return table

    def __repr__(self) -> str:
        body = _plain(self).to_string(formatters=self._formatters(), na_rep="", justify="right")
        parts = [self.attrs.get("title", ""), body, *self.attrs.get("notes", ())]
        return "\n".join([part for part in parts if part])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        body = _plain(self).to_html(formatters=self._formatters(), na_rep="", border=0)
        title = self.attrs.get("title", "")
        head = f"<p><strong>{escape(title)}</strong></p>" if title else ""
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.attrs.get("notes", ()))
        return f"<div>{head}{body}{notes}</div>"

    def _formatters(self) -> dict[Any, Callable[[Any], str]]:
        errors = [abs(v) for v in self.get("std_error", ()) if math.isfinite(v) and v != 0]
        return {
            name: _p_value
            if str(name).startswith("p_value")
            else _aligned(self[name], min(errors) if errors and name in _OF_ESTIMATES else None)
            for name in self.columns
            if pd.api.types.is_numeric_dtype(self[name])
        }


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(table)


def _aligned(column: pd.Series[Any], error: float | None) -> Callable[[Any], str]:
    """Six digits of the largest number of a column, and as many decimals of all others.

    Beside a standard error, decimals enough for three digits of the smallest one while the largest
    number leaves them room; what is too small then, or too large, is written with an exponent.
    """
    sizes = [abs(float(v)) for v in column if math.isfinite(v) and v != 0]
    largest = max(sizes, default=0.0)
    decimals, least = 0, 0.0
    if any(v != round(v) for v in sizes):
        decimals = max(_DIGITS - 1 - _exponent(largest), 0)
        if error is not None:
            wanted = max(decimals, 2 - _exponent(error))
            decimals = min(wanted, max(_ROOM - 1 - max(_exponent(largest), 0), 0))
            least = 10.0 ** (2 - decimals) if decimals < wanted else 0.0
    if decimals > _ROOM or largest >= _LARGEST:
        least = math.inf

    def text(value: Any) -> str:
        if math.isnan(value):
            return ""
        if value != 0 and math.isfinite(value) and abs(value) < least:
            return f"{value:.{_DIGITS - 2}e}"
        return f"{value:.{min(decimals, _ROOM)}f}"

    return text


def _exponent(size: float) -> int:
    return math.floor(math.log10(size))


def _p_value(value: Any) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"
