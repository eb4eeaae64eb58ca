"""The data over a covariate, with the population's line and a line a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._errors import SpecificationError
from .._types import FloatArray, Group
from ..table import closest
from . import canvas, thinning, wording
from .canvas import ACCENT, COLOURS, MARKERS, MIDDLE
from .caterpillar import NAMED
from .settings import (
    Covariate,
    Setting,
    covariate,
    curve,
    is_straight,
    repeated,
    response,
    setting,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..lmm import LmmRecord

__all__ = ["columns_at", "fitted_by_group", "grid", "held", "nested_in", "place_of"]

TOLD_APART = len(MARKERS)  # groups with a marker and a name of their own
DRAWN = 60  # groups: above that, a sample of them
STEPS = 50  # points of a curve


class _Line(NamedTuple):
    """Predictions of one group over its own range of x."""

    code: int
    x: FloatArray
    y: FloatArray


def fitted_by_group(record: LmmRecord, x: str | None, group: str | None, ax: Any) -> Axes:
    """Data, population line and group lines over a covariate, or over the groups themselves."""
    chosen = place_of(record, group)
    itself = x is not None and x == record.rows.groups[chosen].name
    codes = record.rows.groups[chosen].codes
    found = setting(record, None if itself else x, over=not itself, codes=codes)
    if found.x is None:
        return _over_groups(record, chosen, found, ax)
    return _over_covariate(record, chosen, found, found.x, ax)


def place_of(record: LmmRecord, name: str | None) -> int:
    """Place of a grouping factor, the first if `name` is None.

    Raises
    ------
    SpecificationError
        If there is none of that name.
    """
    names = [group.name for group in record.rows.groups]
    if name is None:
        return record.rows.terms[0].group
    if name not in names:
        hint = closest(str(name), names).replace("The columns are", "The groups are")
        raise SpecificationError(f"group={name!r} is not a grouping factor of the fit.{hint}")
    return names.index(name)


# -- over a covariate -----------------------------------------------------------------------------


def _over_covariate(record: LmmRecord, place: int, found: Setting, x: Covariate, ax: Any) -> Axes:
    group = record.rows.groups[place]
    codes, thinned = _sampled_groups(group)
    population = _population(record, found, x)
    lines = _group_lines(record, place, found, x, codes)
    drawn = canvas.axes(ax, height=4.2)
    canvas.clean(drawn)
    apart = len(group.levels) <= TOLD_APART
    rows = _points(drawn, record, group, x, apart=apart)
    # In the order of what sets a group apart: its distance from the population at its line's end.
    lines.sort(key=lambda one: one.y[-1] - np.interp(one.x[-1], *population), reverse=True)
    if apart:
        _draw_apart(drawn, group, lines, own=ax is None)
    else:
        _draw_alike(drawn, group, lines)
    drawn.plot(*population, color=canvas.ink(), lw=2.2, ls=(0, (5, 2)), zorder=5, gid="population")
    name, of = wording.plain(x.name, 40), wording.plain(group.name, 24)
    if x.levels is not None:
        canvas.factor_ticks(drawn, x.levels)
    drawn.set(xlabel=name, ylabel=wording.plain(response(record), 40))
    notes = ["thick dashed: the population", thinned, *held(record, place, found), rows]
    canvas.headline(drawn, f"How far do the {of} lines lie from the population's?", notes)
    return drawn


def _population(record: LmmRecord, found: Setting, x: Covariate) -> tuple[FloatArray, FloatArray]:
    at = grid(record, x, np.ones(len(x.values), dtype=bool))
    return at, curve(record, found, _values(x, at), {}, random="none")


def _group_lines(
    record: LmmRecord, place: int, found: Setting, x: Covariate | None, codes: Any
) -> list[_Line]:
    """Predictions of each group over its own range of x, other groups' effects left out."""
    group = record.rows.groups[place]
    order = np.argsort(group.codes, kind="stable")
    starts = np.searchsorted(group.codes[order], np.append(codes, codes))
    stops = np.searchsorted(group.codes[order], codes, side="right")
    grids = []
    for start, stop in zip(starts, stops, strict=False):
        if x is None:
            grids.append(np.zeros(1))
        else:
            grids.append(grid(record, x, order[start:stop]))
    counts = [len(at) for at in grids]
    first = np.repeat(order[starts[: len(codes)]], counts)
    parts = {}
    for part in record.schema.groups[place].parts:
        c = covariate(record, part.names[0])
        values = c.values[first]
        parts[c.name] = values if c.levels is None else [c.levels[i] for i in values]
    flat = np.concatenate(grids)
    at = _values(x, flat) if x is not None else flat
    heights = curve(record, found, at, parts, random=_bars(record, place))
    ends = np.cumsum(counts)[:-1]
    return [
        _Line(int(code), a, h)
        for code, a, h in zip(codes, grids, np.split(heights, ends), strict=True)
    ]


def grid(record: LmmRecord, x: Covariate, rows: Any) -> FloatArray:
    """Places on the horizontal axis between the least and the largest x of some rows."""
    values = x.values[rows]
    if x.levels is not None:
        return np.unique(values).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.array([low])
    return np.linspace(low, high, 2 if is_straight(record, x.name) else STEPS)


def _values(x: Covariate, at: FloatArray) -> Any:
    """The values of x at places on the axis."""
    return at if x.levels is None else [x.levels[int(i)] for i in at]


def columns_at(
    record: LmmRecord, place: int, found: Setting, x: Covariate, at: FloatArray, row: int
) -> dict[str, Any]:
    """Columns of data in which one group goes along x, the other covariates at typical values.

    Every grouping factor has its level of the used row `row`, so that all terms can be built.
    """
    columns = {name: repeated(value, len(at)) for name, value in found.typical.items()}
    for g, group in enumerate(record.schema.groups):
        for part in group.parts:
            c = covariate(record, part.names[0])
            value = c.values[row] if c.levels is None else c.levels[c.values[row]]
            if g == place or c.name not in columns:
                columns[c.name] = repeated(value, len(at))
    return {**columns, x.name: _values(x, at)}


def nested_in(record: LmmRecord, place: int) -> set[int]:
    """A grouping factor and those that it is nested in."""
    groups = record.schema.groups
    names = {part.source for part in groups[place].parts}
    return {g for g, one in enumerate(groups) if {part.source for part in one.parts} <= names}


def _bars(record: LmmRecord, place: int) -> str:
    """The bars of a group and of those that it is nested in, as ``predict(random=)`` reads."""
    names = {part.source for part in record.schema.groups[place].parts}
    bars = []
    for bar in record.schema.formula.bars:
        if {factor.source for factor in bar.group} <= names:
            terms = [":".join(f.source for f in term) for term in bar.terms if term]
            columns = " + ".join(["1" if () in bar.terms else "0", *terms])
            bars.append(f"({columns} | {':'.join(f.source for f in bar.group)})")
    return "~ " + " + ".join(bars)


def held(record: LmmRecord, place: int, found: Setting) -> list[str]:
    """Where the other covariates are; those that make the group are each group's own."""
    own = {part.names[0] for part in record.schema.groups[place].parts}
    parts = [at for name, at in found.said.items() if name in own]
    others = [at for name, at in found.said.items() if name not in own]
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return [
        f"predicted at {', '.join(others[:3])}{more}" if others else "",
        f"the population at {', '.join(parts)}" if parts else "",
    ]


def _sampled_groups(group: Group) -> tuple[Any, str]:
    count = len(group.levels)
    name = wording.plain(group.name, 24)
    if count <= DRAWN:
        return np.arange(count), f"{count} levels of {name}, each over its own range"
    drawn = np.random.default_rng(thinning.SEED).choice(count, DRAWN, replace=False)
    return np.sort(drawn), (
        f"{DRAWN} of {wording.thousands(count)} levels of {name} drawn at random "
        f"(seed {thinning.SEED}), each over its own range"
    )


def _points(ax: Axes, record: LmmRecord, group: Group, x: Covariate, *, apart: bool) -> str:
    """The data; returns what was left out."""
    y = record.rows.y
    assert y is not None
    rows, thinned = thinning.sample(len(y), np.zeros(len(y)), extremes=0)
    at = x.values[rows].astype(np.float64)
    if x.levels is not None:
        at = at + thinning.jitter(len(rows), 0.09)
    size = float(np.clip(400 / np.sqrt(len(rows)), 5, 22))
    shade = float(np.clip(14 / np.sqrt(len(rows)), 0.2, 0.5))
    if not apart:
        ax.scatter(at, y[rows], s=size, color=MIDDLE, alpha=shade, lw=0, gid="data")
        return thinned
    codes = group.codes[rows]
    for code in range(len(group.levels)):
        of = codes == code
        ax.scatter(
            at[of],
            y[rows][of],
            s=size,
            color=COLOURS[code],
            marker=MARKERS[code],
            alpha=shade,
            lw=0,
            gid="data",
        )
    return thinned


def _draw_apart(ax: Axes, group: Group, lines: list[_Line], *, own: bool) -> None:
    """Few groups: each with its colour and marker, named in the order of `lines`."""
    from matplotlib.lines import Line2D

    counts = np.bincount(group.codes, minlength=len(group.levels))
    handles = []
    names = wording.labels((group.levels[line.code] for line in lines), 16)
    for line, name in zip(lines, names, strict=True):
        style: dict[str, Any] = {"color": COLOURS[line.code], "marker": MARKERS[line.code], "ms": 5}
        ax.plot(line.x, line.y, lw=2, zorder=4, gid="group", **style)
        label = f"{name} ({wording.thousands(int(counts[line.code]))})"
        handles.append(Line2D([], [], lw=2, label=label, **style))
    place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if own else {"loc": "best"}
    ax.legend(
        handles=handles,
        title=f"{wording.plain(group.name, 16)} (rows)",
        alignment="left",
        frameon=False,
        fontsize=canvas.small(),
        title_fontsize=canvas.small(),
        handlelength=1.4,
        **place,
    )


def _draw_alike(ax: Axes, group: Group, lines: list[_Line]) -> None:
    """Many groups: thin lines, the first and the last of them named."""
    for line in lines:
        alone = len(line.x) == 1
        ax.plot(
            line.x,
            line.y,
            color=ACCENT,
            lw=1.1 if len(lines) <= 20 else 0.8,
            alpha=0.75,
            marker="_" if alone else "",
            ms=11,
            zorder=3,
            gid="group",
        )
    ends = (lines[0], lines[-1])
    names = wording.labels((group.levels[line.code] for line in ends), 18)
    for line, text in zip(ends, names, strict=True):
        end = float(line.x[-1]), float(line.y[-1])
        canvas.name(ax, text, end, (5, 0), kind="level", color=ACCENT)


# -- over the groups themselves -------------------------------------------------------------------


def _over_groups(record: LmmRecord, place: int, found: Setting, ax: Any) -> Axes:
    """A row a level: its data, its prediction, and the population's for all."""
    group = record.rows.groups[place]
    count = len(group.levels)
    codes, thinned = np.arange(count), ""
    lines = _group_lines(record, place, found, None, codes)
    heights = np.array([line.y[0] for line in lines])
    order = np.argsort(heights, kind="stable")
    if count > NAMED:
        order = order[np.unique(np.round(np.linspace(0, count - 1, NAMED)).astype(np.int64))]
        thinned = f"{NAMED} of {wording.thousands(count)} levels drawn, evenly by rank"
    population = float(curve(record, found, np.zeros(1), {}, random="none")[0])
    rank = np.full(count, -1)
    rank[order] = np.arange(len(order))
    y = record.rows.y
    assert y is not None
    rows = np.flatnonzero(rank[group.codes] >= 0)
    shown, some = thinning.sample(len(rows), np.zeros(len(rows)), extremes=0)
    rows = rows[shown]
    drawn = canvas.axes(ax, height=1.2 + 0.17 * max(len(order), 8))
    canvas.clean(drawn)
    drawn.scatter(y[rows], rank[group.codes[rows]], s=16, color=MIDDLE, alpha=0.5, lw=0, gid="data")
    drawn.axvline(
        population, color=canvas.ink(), lw=1.8, ls=(0, (5, 2)), zorder=1, gid="population"
    )
    at = np.arange(len(order))
    drawn.scatter(heights[order], at, s=38, marker="D", color=ACCENT, zorder=3, gid="group")
    names = wording.labels((group.levels[i] for i in order), 22)
    drawn.set_yticks(at, names, fontsize=canvas.small())
    drawn.tick_params(axis="y", length=0)
    drawn.set_ylim(-0.8, len(order) - 0.2)
    drawn.set(xlabel=wording.plain(response(record), 40), ylabel=wording.plain(group.name, 24))
    notes = [
        "diamonds: predictions",
        "dashed: the population",
        thinned,
        *held(record, place, found),
        some,
    ]
    canvas.headline(drawn, "How far does each level lie from the population?", notes)
    return drawn
