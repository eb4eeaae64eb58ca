"""What a report is made of: facts, tables and notes, each number both exact and as shown.

A `Report` is built once from a record (`tables`) and only read afterwards: text, HTML, LaTeX, JSON
and tidy frames are five renderings of the same object, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

__all__ = ["Block", "Fact", "Facts", "Field", "Note", "Report", "Table"]


class Fact(NamedTuple):
    """A labelled value: ``Formula: hwy ~ displ``.

    Attributes
    ----------
    key : str
        Its name in JSON.
    label, shown : str
        As people read it; without a label it is for programs only.
    value : str, int, float, dict or None
        As programs read it.
    """

    key: str
    label: str
    shown: str
    value: Any


class Facts(NamedTuple):
    """A list of facts; `inline` facts share one line of text."""

    key: str
    items: tuple[Fact, ...]
    inline: bool = False

    @property
    def visible(self) -> tuple[Fact, ...]:
        """The facts that people see."""
        return tuple(f for f in self.items if f.label)


class Field(NamedTuple):
    """One column of a table.

    Attributes
    ----------
    key : str
        Its name in JSON and in tidy frames.
    label : str
        Its heading.
    values : tuple
        Exact values.
    shown : tuple of str
        The same for people, formatted together.
    numeric : bool
        Right-aligned.
    hidden : bool
        In JSON and tidy frames only.
    """

    key: str
    label: str
    values: tuple[Any, ...]
    shown: tuple[str, ...]
    numeric: bool = True
    hidden: bool = False


class Table(NamedTuple):
    """A table whose first `headers` columns name the rows.

    Attributes
    ----------
    key, title : str
    fields : tuple of Field
    headers : int
        Number of leading columns that are row headings.
    legend : str
        A line below the table.
    single : bool
        True for a table of one row, which JSON shows as an object.
    """

    key: str
    title: str
    fields: tuple[Field, ...]
    headers: int = 1
    legend: str = ""
    single: bool = False

    def exact(self, key: str) -> tuple[Any, ...]:
        """Exact values of the column called `key`."""
        return next(f.values for f in self.fields if f.key == key)

    @property
    def visible(self) -> tuple[Field, ...]:
        """The columns that people see."""
        return tuple(f for f in self.fields if not f.hidden)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Rows as people see them."""
        return zip(*(f.shown for f in self.visible), strict=True)


class Note(NamedTuple):
    """A remark below the tables; `kind` is ``"warning"`` or ``"info"``, `topic` its name."""

    kind: str
    topic: str
    text: str


Block: TypeAlias = Facts | Table | Note


class Report(NamedTuple):
    """A titled sequence of blocks, in the order in which they are read."""

    title: str
    model: str
    blocks: tuple[Block, ...]

    def table(self, key: str) -> Table:
        """The table called `key`."""
        return next(b for b in self.blocks if isinstance(b, Table) and b.key == key)

    @property
    def visible(self) -> tuple[Block, ...]:
        """The blocks that people see."""
        return tuple(b for b in self.blocks if not isinstance(b, Facts) or b.visible)

    @property
    def notes(self) -> tuple[Note, ...]:
        """Remarks: singular fit, dropped columns, ..."""
        return tuple(b for b in self.blocks if isinstance(b, Note))
