"""Per group, the data and the lines of complete, partial and no pooling over a covariate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import linear
from .._core import random as random_sum
from .._errors import SpecificationError
from .._types import FloatArray
from ..design import rebuild
from ..table import of
from . import canvas, lines, thinning, wording
from .canvas import MIDDLE
from .path import FITS, fit_name
from .settings import Covariate, Setting, covariate, open_schema, response, setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..comparing import Comparison

__all__ = ["three_lines"]

PANELS = 12
ACROSS = (0, 1, 2, 3, 2, 3, 3, 4, 4, 3, 4, 4, 4)  # panels beside each other, by their number


def three_lines(c: Comparison, x: str | None, group: str | None, ax: Any) -> Any:
    """A panel a group."""
    record = c.mixed
    place = lines.place_of(record, group)
    chosen = record.rows.groups[place]
    found = setting(record, x, codes=chosen.codes)
    if found.x is None:
        raise SpecificationError(
            f"{record.spec.formula!r} has no covariate to draw lines over: look at shrinkage()."
        )
    own = _own(c, place, found)
    codes, thinned = _panels_of(c, place)
    axes = canvas.several(ax, len(codes), lambda: _facets(len(codes)))
    room = min(canvas.letters(drawn, canvas.small()) for drawn in axes)
    names = wording.labels((chosen.levels[i] for i in codes), max(room - 8, 8))
    for drawn, code, name in zip(axes, codes, names, strict=True):
        rows = np.flatnonzero(chosen.codes == code)
        count = _panel(drawn, c, place, found, found.x, rows, own)
        canvas.clean(drawn)
        canvas.headline(drawn, f"{name} ({count})", lines=1, size=canvas.small())
        if found.x.levels is not None:
            canvas.factor_ticks(drawn, found.x.levels)
    _frame(axes, found.x, wording.plain(response(record), 30), own=ax is None)
    of_group = wording.plain(chosen.name, 24)
    said = {name: text for name, text in found.said.items() if name not in {o.name for o in own}}
    owned = ", ".join(wording.plain(o.name, 24) for o in own[:3])
    notes = [
        thinned,
        *lines.held(record, place, found._replace(said=said)),
        f"{owned}{' and others' if len(own) > 3 else ''}: each {of_group}'s own" if own else "",
    ]
    _legend(axes, c, notes, own=ax is None)
    if ax is None:
        words = f"One line for all, lines that share, or a line a {of_group}?"
        canvas.overall(axes[0].figure, words)
    return np.array(axes, dtype=object) if len(axes) > 1 else axes[0]


def _own(c: Comparison, place: int, found: Setting) -> list[Covariate]:
    """Covariates held that are constant within the levels: a panel has its level's own value."""
    codes = c.mixed.rows.groups[place].codes
    first = np.zeros(int(codes.max()) + 1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)  # the last one written is the first row
    parts = {part.names[0] for part in c.mixed.schema.groups[place].parts}
    others = [covariate(c.mixed, name) for name in found.typical if name not in parts]
    return [one for one in others if np.array_equal(one.values, one.values[first][codes])]


def _panels_of(c: Comparison, place: int) -> tuple[Any, str]:
    """Levels to draw, evenly by the rank of their first effect."""
    group = c.mixed.rows.groups[place]
    count = len(group.levels)
    if count <= PANELS:
        return np.arange(count), ""
    term = next(t for t, one in enumerate(c.mixed.rows.terms) if one.group == place)
    order = np.argsort(c.mixed.solution.b[term][:, 0], kind="stable")
    ranks = np.round(np.linspace(0, count - 1, PANELS)).astype(np.int64)
    return order[ranks], (
        f"{PANELS} of {wording.thousands(count)} levels of {wording.plain(group.name, 24)}, evenly "
        "by rank of their effect in lmer"
    )


def _facets(count: int) -> list[Axes]:
    import matplotlib.pyplot as plt

    across = ACROSS[count]
    down = -(-count // across)
    _, axes = plt.subplots(
        down,
        across,
        figsize=(canvas.WIDTH, 1.0 + 1.55 * down if down > 1 else 3.4),
        layout="constrained",
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    # What is left over stays empty at the end of the first row, so that the last row has the ticks.
    first = across - (across * down - count)
    for spare in axes[0, first:]:
        spare.remove()
    return [*axes[0, :first], *axes[1:].ravel()]


def _panel(
    ax: Axes,
    c: Comparison,
    place: int,
    found: Setting,
    x: Covariate,
    rows: Any,
    own: list[Covariate],
) -> str:
    """Data and lines of one group; returns its size in words."""
    y = c.mixed.rows.y
    assert y is not None
    shown, thinned = thinning.sample(len(rows), np.zeros(len(rows)), most=1_000, extremes=0)
    at = x.values[rows[shown]].astype(np.float64)
    if x.levels is not None:
        at = at + thinning.jitter(len(at), 0.09)
    ax.scatter(at, y[rows[shown]], s=12, color=MIDDLE, alpha=0.45, lw=0, gid="data")
    grid = lines.grid(c.mixed, x, rows)
    row = int(rows[0])
    typical = dict(found.typical)
    for one in own:
        value = one.values[row]
        typical[one.name] = value if one.levels is None else one.levels[value]
    heights = _heights(c, place, found._replace(typical=typical), x, grid, row)
    widths = {"complete_pooling": 1.8, "partial_pooling": 2.2, "no_pooling": 2.0}
    order = {"complete_pooling": 3, "partial_pooling": 4, "no_pooling": 5}
    for fit, values in heights.items():
        style = FITS[fit]
        ends = {"marker": style["marker"], "ms": 5} if len(grid) == 1 else {}
        colour = canvas.ink() if fit == "complete_pooling" else style["color"]
        ax.plot(
            grid,
            values,
            color=colour,
            ls=style["ls"],
            lw=widths[fit],
            zorder=order[fit],
            gid=fit,
            **ends,
        )
    count = wording.thousands(len(rows))
    return f"{wording.thousands(1000)} of {count}" if thinned else count


def _heights(
    c: Comparison, place: int, found: Setting, x: Covariate, grid: FloatArray, row: int
) -> dict[str, FloatArray]:
    """The three lines of one group, other groups' effects left out."""
    record = c.mixed
    columns = lines.columns_at(record, place, found, x, grid, row)
    rows = rebuild(open_schema(record), of(columns), random=True)
    fixed = [rows.fixed[i] for i in record.kept]
    outer = lines.nested_in(record, place)
    out = {}
    for fit, ratio in (
        ("complete_pooling", 0.0),
        ("partial_pooling", c.ratio),
        ("no_pooling", math.inf),
    ):
        beta = c.coefficients_at(ratio).to_numpy(dtype=np.float64)[record.kept]
        total: Any = linear(fixed, np.ascontiguousarray(beta), len(grid))
        if rows.offset is not None:
            total += rows.offset
        effects: Any = c.effects_at(ratio).to_numpy(dtype=np.float64)
        start = 0
        for term, b in zip(rows.terms, record.solution.b, strict=True):
            block: Any = np.ascontiguousarray(effects[start : start + b.size].reshape(b.shape))
            start += b.size
            if ratio > 0 and term.group in outer:
                codes = rows.groups[term.group].codes
                total += random_sum(term.columns, codes, block, len(grid))
        out[fit] = total
    return out


def _frame(axes: list[Axes], x: Covariate, about: str, *, own: bool) -> None:
    """Labels at the left and at the bottom of the facets only."""
    across = ACROSS[len(axes)]
    for i, ax in enumerate(axes):
        if not own or i >= len(axes) - across:
            ax.set_xlabel(wording.plain(x.name, 30))
        if not own or (i - len(axes)) % across == 0 or i == 0:
            ax.set_ylabel(about)


def _legend(axes: list[Axes], c: Comparison, notes: list[str], *, own: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=canvas.ink() if fit == "complete_pooling" else style["color"],
            ls=style["ls"],
            lw=2.2,
            label=fit_name(c, fit),
        )
        for fit, style in FITS.items()
    ]
    options: dict[str, Any] = {"handles": handles, "frameon": False, "fontsize": canvas.small()}
    if own:
        figure: Any = axes[0].figure
        figure.legend(
            loc="outside lower left",
            ncols=3,
            handlelength=2.6,
            title=canvas.folded(notes, canvas.WIDTH),
            alignment="left",
            title_fontproperties={"size": canvas.small()},
            columnspacing=1.2,
            **options,
        ).get_title().set_color(MIDDLE)
    else:
        axes[0].legend(loc="best", handlelength=2.6, **options)
