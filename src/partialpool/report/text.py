"""A report as plain text, in the order and the shape that readers of R know."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .numbers import printable, width
from .structure import Block, Facts, Note, Report, Table

__all__ = ["render"]

_LINE = 88  # columns of a wrapped note, and of a part of a wide table
_FEW = 10  # a table of so many columns is never cut into parts


def render(report: Report) -> str:
    """The whole report; no trailing newline.

    Examples
    --------
    >>> from .structure import Fact
    >>> print(render(Report("A title", "lm", (Facts("f", (Fact("n", "Rows", "3", 3),)),))))
    A title
    Rows: 3
    """
    lines = [printable(report.title)]
    for before, block in pairwise((None, *report.visible)):
        assert block is not None
        if before is not None and _apart(before, block):
            lines.append("")
        lines += _block(block)
    return "\n".join(line.rstrip() for line in lines)


def _apart(before: Block, block: Block) -> bool:
    """Whether an empty line separates two blocks."""
    return not (isinstance(block, Facts) and block.inline and isinstance(before, Table))


def _block(block: Block) -> list[str]:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Note):
        return _note(block)
    lines = [f"{printable(f.label)}: {printable(f.shown)}" for f in block.visible]
    return [", ".join(lines)] if block.inline else lines


def _table(table: Table) -> list[str]:
    columns = []
    for field in table.visible:
        cells = [printable(field.label), *map(printable, field.shown)]
        columns.append(_pad(cells, right=field.numeric))
    if table.single:
        edge = max(width(c[0]) for c in columns)
        columns = [[" " * (edge - width(cell)) + cell for cell in c] for c in columns]
    lines = []
    for part in _parts(columns, table.headers):
        rows = [" ".join(row) for row in zip(*part, strict=True)]
        # The second part of a triangle has no cells in its first rows.
        bare = part[table.headers :] if len(part) < len(columns) else part
        lines += [
            row
            for row, cells in zip(rows, zip(*bare, strict=True), strict=True)
            if "".join(cells).strip()
        ]
    head = [f"{printable(table.title)}:"] if table.title else []
    tail = ["---", *_wrapped(table.legend)] if table.legend else []
    return head + lines + tail


def _parts(columns: list[list[str]], headers: int) -> list[list[list[str]]]:
    """Columns in parts that fit a line, each with the row headings; most tables are one part."""
    edges = [width(c[0]) + 1 for c in columns]
    if len(columns) <= _FEW or sum(edges) <= _LINE + 12:
        return [columns]
    start = sum(edges[:headers])
    parts, used = [columns[:headers]], start
    for c, edge in zip(columns[headers:], edges[headers:], strict=True):
        if used + edge > _LINE and len(parts[-1]) > headers:
            parts.append(columns[:headers])
            used = start
        parts[-1] = [*parts[-1], c]
        used += edge
    return parts


def _pad(cells: Sequence[str], *, right: bool) -> list[str]:
    edge = max(map(width, cells))
    if right:
        return [" " * (edge - width(c)) + c for c in cells]
    return [c + " " * (edge - width(c)) for c in cells]


def _note(note: Note) -> list[str]:
    """A paragraph, wrapped; warnings stand out by a mark that no terminal can lose."""
    return _wrapped(note.text, "!! " if note.kind == "warning" else "")


def _wrapped(text: str, mark: str = "") -> list[str]:
    lines, line = [], mark
    for word in printable(text).split():
        if line.strip() and width(line) + width(word) > _LINE:
            lines.append(line.rstrip())
            line = " " * len(mark)
        line += word + " "
    return [*lines, line.rstrip()]
