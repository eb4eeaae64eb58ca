"""Tables of estimates with the notes that they cannot be read without, as text and as HTML."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

__all__ = ["Column", "apart", "gaps", "html", "text"]

_LINE = 88  # letters of a wrapped note
_DECIMALS = 10  # more are written with an exponent
_DIGITS = 15  # of a double
_LARGEST = 1e9  # a number without decimals that is printed in full


class Column(NamedTuple):
    """A column of a printed table.

    Attributes
    ----------
    name : str
    values : sequence
    kind : "text", "value", "df", "t" or "p"
        Columns of values share their decimals.
    """

    name: str
    values: Sequence[Any]
    kind: str


def apart(columns: Sequence[Column]) -> list[Column]:
    """The columns, an underscore after the name of a variable that is called like another one."""
    own = {column.name for column in columns if column.kind != "text"} | {"contrast"}
    out = []
    for i, column in enumerate(columns):
        name = column.name
        if column.kind == "text" and (i > 0 or name != "contrast"):
            while name in own:
                name += "_"
            own.add(name)
        out.append(column._replace(name=name))
    return out


def text(title: str, columns: Sequence[Column], notes: Sequence[str]) -> str:
    """The table under its title, the notes below; no trailing newline."""
    shown = [[column.name, *cells] for column, cells in zip(columns, _cells(columns), strict=True)]
    wide = [max(map(len, cells)) for cells in shown]
    lines = [title]
    for row in zip(*shown, strict=True):
        padded = [
            cell.ljust(w) if column.kind == "text" else cell.rjust(w)
            for cell, w, column in zip(row, wide, columns, strict=True)
        ]
        lines.append(" ".join(padded).rstrip())
    lines.append("")
    for note in notes:
        lines += textwrap.wrap(_flat(note), _LINE, break_long_words=False)
    return "\n".join(lines).rstrip()


def html(title: str, columns: Sequence[Column], notes: Sequence[str]) -> str:
    """The same as an HTML fragment, all text escaped."""
    cells = _cells(columns)
    head = "".join(f'<th scope="col"{_style(c)}>{escape(_flat(c.name))}</th>' for c in columns)
    rows = "\n".join(
        "<tr>"
        + "".join(
            f"<td{_style(c)}>{escape(cell)}</td>" for c, cell in zip(columns, row, strict=True)
        )
        + "</tr>"
        for row in zip(*cells, strict=True)
    )
    tail = "\n".join(f"<p>{escape(_flat(note))}</p>" for note in notes)
    return (
        f'<section class="pp-estimates">\n<table><caption>{escape(_flat(title))}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>\n{tail}\n</section>"
    )


def gaps(rows: Sequence[str], reasons: Sequence[str], most: int = 4) -> list[str]:
    """Which rows are NaN and why: a sentence a reason, of the first rows that have it."""
    found: dict[str, list[str]] = {}
    for row, reason in zip(rows, reasons, strict=True):
        if reason:
            found.setdefault(reason, []).append(row)
    out = []
    for reason, own in found.items():
        more = f" and {len(own) - most} more" if len(own) > most else ""
        out.append(f"NaN at {'; '.join(own[:most])}{more}: {reason}.")
    more = f"... and {len(out) - most} more reasons, see reasons."
    return [*out[:most], *([more] if len(out) > most else [])]


def _style(column: Column) -> str:
    side = "left" if column.kind == "text" else "right"
    return f' style="text-align:{side}"'


def _cells(columns: Sequence[Column]) -> list[list[str]]:
    errors = [v for c in columns if c.kind == "value" and "error" in c.name for v in c.values]
    last = _last_digit(errors)
    return [[_cell(v, column.kind, last) for v in column.values] for column in columns]


def _cell(value: Any, kind: str, last: int) -> str:
    if kind == "text":
        return f"{value:.6g}" if isinstance(value, float) else _flat(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if kind == "df":
        return f"{value:.1f}"
    if kind == "t":
        return f"{value:.3f}"
    if kind == "p":
        return (
            f"{value:.4f}" if value >= 1e-4 else "<2.2e-16" if value < 2.2e-16 else f"{value:.2e}"
        )
    return _value(value, last)


def _value(value: float, last: int) -> str:
    """A number down to the digit of 10^last; with an exponent where its zeros would be counted."""
    if value == 0:
        return f"{0:.{min(max(-last, 0), _DECIMALS)}f}"
    digits = math.floor(math.log10(abs(value))) - last + 1
    if last >= -_DECIMALS and digits <= _DIGITS and (last <= 0 or abs(value) < _LARGEST):
        return f"{value:.{max(-last, 0)}f}"
    return f"{value:.{min(max(digits, 4), _DIGITS) - 1}e}"


def _last_digit(errors: Sequence[float]) -> int:
    """Power of ten of the third digit of the smallest standard error."""
    sizes = [v for v in errors if v > 0 and math.isfinite(v)]
    return math.floor(math.log10(min(sizes))) - 2 if sizes else -4


def _flat(value: object) -> str:
    """One line of text: characters that would break it are written out."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(value)
    )
