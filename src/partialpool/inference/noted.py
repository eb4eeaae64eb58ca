"""Tables that say how they were made. This module imports pandas: import it where it is used."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

__all__ = ["Table"]

_DIGITS = 6  # significant, of the printed numbers


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
        return {
            name: _p_value if str(name).startswith("p_value") else _aligned(self[name])
            for name in self.columns
            if pd.api.types.is_numeric_dtype(self[name])
        }


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(table)


def _aligned(column: pd.Series[Any]) -> Callable[[Any], str]:
    """Six digits of the largest number of a column, and as many decimals of all others."""
    values = [float(v) for v in column if math.isfinite(v)]
    decimals = 0
    if any(v != round(v) for v in values):
        largest = max(abs(v) for v in values)
        decimals = min(max(_DIGITS - 1 - math.floor(math.log10(largest)), 0), 9)

    def text(value: Any) -> str:
        return "" if math.isnan(value) else f"{value:.{decimals}f}"

    return text


def _p_value(value: Any) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"
