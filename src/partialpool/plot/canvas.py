"""Where pictures are drawn and how they look: axes, headlines, labels, colours.

A picture without `ax` is a pyplot figure, so that notebooks show it and ``plt.show()`` and
``plt.savefig`` find it, as with pandas and seaborn. With `ax` given pyplot is not imported and
nothing outside those Axes is touched. Colours always go with a line style, a marker or a name:
the pictures must read in grey.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._errors import SpecificationError, UnavailableError
from . import wording

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ACCENT",
    "COLOURS",
    "FAINT",
    "MARKERS",
    "MIDDLE",
    "SECOND",
    "WIDTH",
    "across",
    "axes",
    "clean",
    "column",
    "factor_ticks",
    "folded",
    "grid",
    "headline",
    "horizontal",
    "inches",
    "ink",
    "leftmost",
    "letters",
    "lowest",
    "name",
    "overall",
    "require",
    "several",
    "small",
    "titled",
]

WIDTH = 6.0  # inches: 600 pixels at matplotlib's 100 dots an inch, the narrowest that must read

MIDDLE = "#757575"  # 4.6 to 1 on white and on black
FAINT = "#c4c4c4"
ACCENT = "#005a9c"  # darker than the second, so that the two differ in grey
SECOND = "#d55e00"  # of Okabe and Ito's palette, as most below: for colour-blind readers too
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#7f3c8d", "#56b4e9", "#b8860b", "#cc79a7", "#757575")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

_HEADLINE = 1.08  # of the base font size
_NOTE = 0.86
_GLYPH = 0.53  # mean width of a letter of DejaVu Sans, in font sizes: measured on our headlines


def require() -> None:
    """Check that matplotlib is there.

    Raises
    ------
    UnavailableError
        If it is not.
    """
    try:
        import matplotlib  # noqa: F401 - is it there?
    except ImportError:
        raise UnavailableError(
            "Pictures are drawn by matplotlib, which is not installed: "
            "pip install partialpool[plot]"
        ) from None


def axes(ax: Any, *, height: float = 4.0) -> Axes:
    """The Axes to draw in: the user's, or those of a new pyplot figure `height` inches high.

    Raises
    ------
    SpecificationError
        If `ax` is something else, such as a Figure.
    """
    found: Axes = several(ax, 1, lambda: grid([1], [height])[1])[0]
    return found


def several(ax: Any, count: int, make: Callable[[], list[Axes]]) -> list[Axes]:
    """`count` Axes: the user's in their order, or those that `make` returns.

    Raises
    ------
    SpecificationError
        If `ax` are not that many Axes.
    """
    require()
    if ax is None:
        return make()
    from matplotlib.axes import Axes

    given = list(np.ravel(np.asarray(ax, dtype=object)))
    wrong = next((type(a).__name__ for a in given if not isinstance(a, Axes)), None)
    if wrong is not None:
        raise SpecificationError(
            f"ax must be matplotlib Axes, not {wrong}: such as the second of plt.subplots()."
        )
    if len(given) != count:
        raise SpecificationError(
            f"ax holds {len(given)} Axes; this picture has {count} panel{'s'[: count > 1]}. "
            f"Give plt.subplots(ncols={count})[1], or leave ax out."
        )
    return given


def grid(
    counts: Sequence[int], heights: Sequence[float], *, share: bool = False, width: float = WIDTH
) -> tuple[Figure, list[Axes]]:
    """A new pyplot figure with rows of panels.

    Parameters
    ----------
    counts : sequence of int
        Panels of each row.
    heights : sequence of float
        Height of each row in inches.
    share : bool
        Panels of a row share the vertical axis.

    Returns
    -------
    figure
    list of Axes
        Row after row.
    """
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(width, float(sum(heights))), layout="constrained")
    layout = figure.add_gridspec(len(counts), 1, height_ratios=list(heights))
    out: list[Axes] = []
    for row, count in enumerate(counts):
        cells = layout[row].subgridspec(1, count)
        first: Axes | None = None
        for column in range(count):
            panel = figure.add_subplot(cells[column], sharey=first if share else None)
            first = first or panel
            out.append(panel)
    return figure, out


def column(count: int, height: float, extra: float) -> list[Axes]:
    """Panels below each other, in two columns if more than four; `extra` inches for the rest."""
    import matplotlib.pyplot as plt

    down = -(-count // across(count))
    size = (WIDTH, height * down + extra)
    _, axes = plt.subplots(down, across(count), figsize=size, layout="constrained", squeeze=False)
    # What is left over stays empty at the end of the first row: the last row has the ticks.
    first = across(count) - (across(count) * down - count)
    for spare in axes[0, first:]:
        spare.remove()
    return [*axes[0, :first], *axes[1:].ravel()]


def lowest(axes: list[Axes]) -> list[Axes]:
    """Those of the panels of `column` with none below."""
    return axes[-across(len(axes)) :]


def leftmost(place: int, count: int) -> bool:
    """Does the panel at this place of `column` begin a row?"""
    return place == 0 or (place - count) % across(count) == 0


def across(count: int) -> int:
    """Columns of the panels of `column`."""
    return 1 if count <= 4 else 2


def titled(
    axes: list[Axes], names: Sequence[str], words: str, notes: Iterable[str], *, own: bool
) -> Any:
    """A headline for panels of coefficients; the Axes, or an array of them where there are more."""
    if len(axes) == 1:
        headline(axes[0], f"{wording.plain(names[0], 30)}: {words[0].lower()}{words[1:]}", notes)
        return axes[0]
    for ax, text in zip(axes, names, strict=True):
        headline(ax, wording.plain(text, 40), lines=1)
    if own:
        overall(axes[0].figure, words, notes)
    return np.array(axes, dtype=object)


def clean(ax: Axes) -> None:
    """Only the two axes that are read, with numbers that are whole in themselves.

    matplotlib would write large numbers as a difference from an offset, which is easily missed and
    stands where the notes are.
    """
    from matplotlib import ticker

    ax.spines[["top", "right"]].set_visible(False)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(ticker.FuncFormatter(wording.numbers))


def ink() -> str:
    """Colour of what matters most: that of the user's text, light in dark styles."""
    import matplotlib

    return str(matplotlib.rcParams["text.color"])


def name(
    ax: Axes,
    text: str,
    at: tuple[float, float],
    shift: tuple[float, float],
    *,
    kind: str,
    color: str = MIDDLE,
) -> None:
    """A name beside a point, legible over what lies below it.

    Parameters
    ----------
    ax : Axes
    text : str
    at : (x, y) in data
    shift : (x, y) in points
        To the right if the first is positive, else to the left.
    kind : str
        What is named, for those who look for the artist by its gid.
    color : str
    """
    from matplotlib import patheffects

    ax.annotate(
        text,
        at,
        shift,
        textcoords="offset points",
        ha="left" if shift[0] > 0 else "right",
        va="center",
        fontsize=small(),
        color=color,
        annotation_clip=False,
        zorder=6,
        gid=kind,
        path_effects=[patheffects.withStroke(linewidth=2.5, foreground=ax.get_facecolor())],
    )


def headline(
    ax: Axes, text: str, notes: Iterable[str] = (), *, lines: int = 3, size: float | None = None
) -> None:
    """The title, in words that say what to look for, and below it what is drawn, in small type.

    Parameters
    ----------
    ax : Axes
    text : str
    notes : iterable of str
        Sentences; empty ones are left out.
    lines : int
        At most so many lines of title; on one, what is too long loses its middle.
    size : float, optional
        Of the title, in points.
    """
    _thin_ticks(ax)
    below = textwrap.wrap(" · ".join(n for n in notes if n), letters(ax, small(), labelled=True))
    pad = 6.0 + 1.25 * small() * len(below)
    size = size or _HEADLINE * _base_size()
    wide = letters(ax, size, labelled=True)
    title = (
        wording.clipped(text, int(0.9 * wide))
        if lines == 1
        else "\n".join(textwrap.wrap(text, wide)[:lines])
    )
    ax.set_title(title, loc="left", fontsize=size, pad=pad, color=ink())
    if below:
        ax.annotate(
            "\n".join(below),
            (0, 1),
            (0, 5),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=small(),
            color=MIDDLE,
            ha="left",
            va="bottom",
            linespacing=1.2,
            annotation_clip=False,
            gid="notes",
        )


def _thin_ticks(ax: Axes) -> None:
    """Fewer numbers on the horizontal axis where they are so long that they would touch."""
    from matplotlib import ticker

    if not isinstance(ax.xaxis.get_major_locator(), ticker.MaxNLocator):
        return
    letters = max((len(wording.numbers(float(v))) for v in ax.get_xticks()), default=0)
    room = inches(ax)[0] * 72 / (_GLYPH * 1.15 * _base_size() * (letters + 2))
    if len(ax.get_xticks()) > room:
        ax.xaxis.set_major_locator(ticker.MaxNLocator(max(int(room) - 1, 2), steps=[1, 2, 5, 10]))


def overall(figure: Any, text: str, notes: Iterable[str] = ()) -> None:
    """The same for a figure of several panels."""
    wide = float(figure.get_size_inches()[0])
    size = _HEADLINE * _base_size()
    title = "\n".join(textwrap.wrap(text, int(wide * 72 * 0.97 / (_GLYPH * size))))
    figure.suptitle(title, x=0.015, ha="left", fontsize=size, color=ink())
    below = folded(notes, wide)
    if below:
        figure.supxlabel(below, x=0.015, ha="left", fontsize=small(), color=MIDDLE, gid="notes")


def folded(notes: Iterable[str], wide: float) -> str:
    """Notes in lines of small type over `wide` inches."""
    letters = int(wide * 72 * 0.97 / (_GLYPH * small()))
    return "\n".join(textwrap.wrap(" · ".join(n for n in notes if n), letters))


def small() -> float:
    """Size of small type in points."""
    return _NOTE * _base_size()


def _base_size() -> float:
    import matplotlib

    return float(matplotlib.rcParams["font.size"])


def factor_ticks(ax: Axes, levels: Iterable[object]) -> None:
    """Levels along the horizontal axis, slanted where they are many or long."""
    names = wording.labels(levels, 14)
    step = -(-len(names) // 40)
    ax.set_xticks(range(0, len(names), step), names[::step])
    if sum(len(name) + 2 for name in names[::step]) > letters(ax, _base_size()):
        ax.tick_params(axis="x", labelrotation=40)
        for label in ax.get_xticklabels():
            label.set_horizontalalignment("right")
            label.set_rotation_mode("anchor")


def inches(ax: Axes) -> tuple[float, float]:
    """Width and height of the Axes, as they will about be when the layout is worked out."""
    figure: Any = ax.figure
    place = ax.get_position()
    # Axes alone have 0.775 of the width before that, and about 0.88 after it.
    return (
        0.88 / 0.775 * float(place.width * figure.bbox.width / figure.dpi),
        float(place.height * figure.bbox.height / figure.dpi),
    )


def horizontal(ax: Axes, text: str) -> None:
    """The label of the horizontal axis, in as many lines as it needs."""
    ax.set_xlabel("\n".join(textwrap.wrap(text, letters(ax, _base_size()))))


def letters(ax: Axes, size: float, *, labelled: bool = False) -> int:
    """Letters of `size` points that fit on a line above the Axes.

    Long names of levels beside the vertical axis, once they are there, take room from it.
    """
    from matplotlib import ticker

    room = inches(ax)[0] * 72
    if labelled and isinstance(ax.yaxis.get_major_locator(), ticker.FixedLocator):
        longest = max((len(label.get_text()) for label in ax.get_yticklabels()), default=0)
        room -= max(_GLYPH * small() * longest - 30, 0)
    return max(int(room / (_GLYPH * size)), 16)
