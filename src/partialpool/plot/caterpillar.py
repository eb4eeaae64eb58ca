"""Pictures of random effects: sorted with intervals, against normal quantiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import effects
from .._errors import SpecificationError
from .._types import FloatArray
from ..table import closest
from . import canvas, thinning, wording
from .canvas import ACCENT, MIDDLE
from .residuals import normal_quantiles
from .settings import response

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..lmm import LmmRecord

__all__ = ["ranef", "ranef_qq"]

NAMED = 45  # levels: above that, no names
DRAWN = 300  # levels: above that, a part of them


Z95 = 1.959963984540054
"""Standard normal quantile at 97.5 %."""

_QUARTILE = 0.6744897501960817
"""Standard normal quantile at 75 %."""

_RANEF = "Which random effects are clear of zero (filled)?"
_QQ = "Normal random effects? Look for strays from the line"
_INTERVAL = "bars: 95 % intervals, the variances taken as known"
_QUARTILES = "dashed: through the quartiles"


class _Panel(NamedTuple):
    """One random effect: a value and a standard deviation a level."""

    group: str
    term: str
    levels: Any
    values: FloatArray
    sd: FloatArray | None


def ranef(record: LmmRecord, group: str | None, term: str | None, ax: Any) -> Any:
    """Random effects of each level with 95 % intervals, sorted."""
    rows = _panels(record, group, term, spread=True)
    orders = [np.argsort(row[0].values, kind="stable") for row in rows]
    heights = [_height(len(order)) for order in orders]
    axes = _axes(ax, rows, heights, share=True)
    at = 0
    for row, order in zip(rows, orders, strict=True):
        places, thinned = _thin(row[0].group, order)
        for i, panel in enumerate(row):
            named = i == 0 or ax is not None
            _caterpillar(axes[at], panel, places, len(order), named=named)
            _explain(axes, at, panel, record, _RANEF, [_INTERVAL, thinned if named else ""])
            at += 1
    return _finished(axes, _RANEF, [_INTERVAL], own=ax is None)


def ranef_qq(record: LmmRecord, group: str | None, term: str | None, ax: Any) -> Any:
    """Random effects against normal quantiles, with a line through the quartiles."""
    rows = _panels(record, group, term, spread=False)
    axes = _axes(ax, rows, [3.3 + 0.5 * (len(rows) == 1)] * len(rows), share=False)
    panels = [panel for row in rows for panel in row]
    for at, panel in enumerate(panels):
        thinned = _quantiles(axes[at], panel)
        _explain(axes, at, panel, record, _QQ, [_QUARTILES, thinned])
        axes[at].set_ylabel(axes[at].get_xlabel())
        axes[at].set_xlabel("normal quantile")
    return _finished(axes, _QQ, [_QUARTILES], own=ax is None)


def _panels(
    record: LmmRecord, group: str | None, term: str | None, *, spread: bool
) -> list[list[_Panel]]:
    """The random effects asked for: a row a group, a panel a column of it.

    Raises
    ------
    SpecificationError
        For a group or a term that was not fitted.
    """
    found = effects.ranef(record, cond_var=spread)
    if group is not None and group not in found:
        hint = closest(str(group), found).replace("The columns are", "The groups are")
        raise SpecificationError(f"group={group!r} is not a grouping factor of the fit.{hint}")
    groups = list(found) if group is None else [group]
    terms = list(dict.fromkeys(c for g in groups for c in found[g].columns))
    if term is not None and term not in terms:
        hint = closest(str(term), terms).replace("The columns are", "The random effects are")
        of = "the fit" if group is None else repr(group)
        raise SpecificationError(f"term={term!r} is not a random effect of {of}.{hint}")
    rows = []
    for g in groups:
        frame = found[g]
        sd = None
        if found.cond_var is not None:
            sd = np.sqrt(np.diagonal(found.cond_var[g], axis1=1, axis2=2))
        row = [
            _Panel(g, c, frame.index, frame.iloc[:, k].to_numpy(), None if sd is None else sd[:, k])
            for k, c in enumerate(frame.columns)
            if term is None or c == term
        ]
        if row:
            rows.append(row)
    return rows


def _thin(group: str, order: Any) -> tuple[Any, str]:
    """Ranks to draw of the sorted levels, and what was left out."""
    count = len(order)
    if count <= DRAWN:
        return order, ""
    ranks = np.unique(np.round(np.linspace(0, count - 1, DRAWN)).astype(np.int64))
    return order[ranks], (
        f"{DRAWN} of {wording.thousands(count)} levels of {wording.plain(group, 24)} drawn, evenly "
        "by rank"
    )


def _height(count: int) -> float:
    """Inches for a row of panels: a line of small type a level where they are named."""
    return 4.6 if count > NAMED else 1.1 + max(0.15 * count, 0.9)


def _caterpillar(ax: Axes, panel: _Panel, places: Any, count: int, *, named: bool) -> None:
    assert panel.sd is not None
    values, half = panel.values[places], Z95 * panel.sd[places]
    y = np.arange(len(places))
    clear = np.abs(values) > half
    canvas.clean(ax)
    ax.axvline(0, color=MIDDLE, lw=1, ls=(0, (4, 3)), zorder=1)
    many = len(places) > NAMED
    ax.hlines(y, values - half, values + half, color=ACCENT, lw=0.7 if many else 1.3, zorder=2)
    ax.scatter(
        values,
        y,
        s=7 if many else 20,
        c=[canvas.ink() if far else ax.get_facecolor() for far in clear],
        edgecolors=canvas.ink(),
        linewidths=0.5 if many else 0.9,
        zorder=3,
    )
    outer = 0.03 * len(places) if many else 0.8  # room for the names of the ends
    ax.set_ylim(-outer, len(places) - 1 + outer)
    ax.margins(x=0.1 if many else 0.05)
    if not many:
        names = wording.labels((panel.levels[i] for i in places), 22)
        ax.set_yticks(y, names, fontsize=canvas.small())
        ax.tick_params(axis="y", length=0, labelleft=named)
        return
    ax.tick_params(axis="y", labelleft=False, length=0)
    if named:
        ax.set_ylabel(
            f"{wording.plain(panel.group, 24)}: {wording.thousands(count)} levels, sorted"
        )
    _name_ends(ax, panel, places, values, half)


def _name_ends(ax: Axes, panel: _Panel, places: Any, values: FloatArray, half: FloatArray) -> None:
    """The names of the lowest and the highest level, on the outer side of their bars."""
    ends = (int(np.argmin(values)), int(np.argmax(values)))
    names = wording.labels((panel.levels[places[at]] for at in ends), 14)
    for at, side, text in zip(ends, (-1, 1), names, strict=True):
        end = float(values[at] + side * half[at])
        canvas.name(ax, text, (end, at), (4 * side, 0), kind="level")


def _quantiles(ax: Axes, panel: _Panel) -> str:
    order = np.argsort(panel.values, kind="stable")
    rank, thinned = thinning.order_statistics(len(order))
    x, y = normal_quantiles(len(order))[rank], panel.values[order][rank]
    canvas.clean(ax)
    below, above = np.quantile(panel.values, (0.25, 0.75))
    slope = (above - below) / (2 * _QUARTILE)
    reach = np.array([x[0], x[-1]])
    centre = (below + above) / 2
    ax.plot(reach, centre + slope * reach, color=MIDDLE, lw=1, ls=(0, (4, 3)), zorder=1)
    ax.scatter(x, y, s=26 if len(x) <= 100 else 10, color=canvas.ink(), alpha=0.75, lw=0, zorder=2)
    ends = (0, len(x) - 1)
    names = wording.labels((panel.levels[order[rank[at]]] for at in ends), 18)
    for at, side, text in zip(ends, (1, -1), names, strict=True):
        canvas.name(ax, text, (float(x[at]), float(y[at])), (5 * side, -6 * side), kind="level")
    ax.margins(y=0.09)
    return thinned


def _axes(ax: Any, rows: list[list[_Panel]], heights: list[float], *, share: bool) -> list[Axes]:
    counts = [len(row) for row in rows]
    return canvas.several(
        ax, sum(counts), lambda: canvas.grid(counts, heights, share=share, width=_width(counts))[1]
    )


def _width(counts: list[int]) -> float:
    """Inches: more than three panels beside each other need more than the usual width."""
    return max(canvas.WIDTH, 2.0 * max(counts))


def _explain(
    axes: list[Axes], at: int, panel: _Panel, record: LmmRecord, words: str, notes: list[str]
) -> None:
    """Headline and horizontal label of one panel; the first of `notes` goes for all panels."""
    group, term = wording.plain(panel.group, 24), wording.plain(panel.term, 28)
    about = wording.plain(response(record), 28)
    if not panel.values.any():
        notes = [*notes, "the estimated variance is 0, and so is each effect"]
    alone = len(axes) == 1
    of = f"{group}: difference in " if alone else "difference in "
    what = about if panel.term == "Intercept" else "the coefficient" + f" of {term}" * alone
    axes[at].set_xlabel(of + what)
    if alone:
        canvas.headline(axes[at], words, notes)
    else:
        canvas.headline(axes[at], f"{wording.plain(panel.group, 14)}: {term}", notes[1:], lines=1)


def _finished(axes: list[Axes], words: str, notes: list[str], *, own: bool) -> Any:
    if len(axes) == 1:
        return axes[0]
    if own:
        canvas.overall(axes[0].figure, words, notes)
    return np.array(axes, dtype=object)
