"""The coefficients between complete and no pooling, and how the three fits look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._errors import SpecificationError
from .._types import FloatArray
from ..table import closest
from . import canvas, wording
from .canvas import ACCENT, FAINT, MIDDLE, SECOND

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..comparing import Comparison
    from ..pooling.table import Row

__all__ = ["FITS", "chosen_rows", "fit_name", "path"]

_NARROW = 4.0  # inches of a panel: below, there is no room for names beside the numbers
_GAP = 0.03  # of the axis: chords this long look like a curve
PANELS = 12  # coefficients: above that, the first of them unless they are named

FITS: dict[str, dict[str, Any]] = {
    "complete_pooling": {"color": MIDDLE, "marker": "o", "ls": (0, (5, 2))},
    "partial_pooling": {"color": ACCENT, "marker": "D", "ls": "-"},
    "no_pooling": {"color": SECOND, "marker": "s", "ls": (0, (1, 1.2))},
}
"""How the three fits look wherever they meet; the first is a little lighter than the text."""


def fit_name(c: Comparison, fit: str) -> str:
    """A fit in words."""
    return {
        "complete_pooling": "complete pooling (lm)",
        "partial_pooling": f"partial pooling (lmer, {_method(c)})",
        "no_pooling": "no pooling",
    }[fit]


def _method(c: Comparison) -> str:
    return "REML" if c.mixed.spec.reml else "ML"


def chosen_rows(c: Comparison, terms: str | Sequence[str] | None) -> tuple[list[Row], str]:
    """Coefficients to draw, and what was left out.

    Raises
    ------
    SpecificationError
        For one that the models do not have.
    """
    rows = {row.name: row for row in c.rows if math.isfinite(row.partial)}
    if terms is None:
        left = f"{PANELS} of {len(rows)} coefficients; name others by terms="
        return list(rows.values())[:PANELS], left if len(rows) > PANELS else ""
    asked = [terms] if isinstance(terms, str) else list(terms)
    for name in asked:
        if name not in rows:
            hint = closest(str(name), rows).replace("The columns are", "The coefficients are")
            raise SpecificationError(f"terms={name!r} is not a coefficient of both models.{hint}")
    if not asked:
        raise SpecificationError("terms=[] names no coefficient to draw.")
    return [rows[name] for name in asked], ""


def path(c: Comparison, terms: str | Sequence[str] | None, ax: Any) -> Any:
    """Each coefficient over the ratio, from 0 to infinity."""
    chosen, left = chosen_rows(c, terms)
    axis, x, coefficients = _sampled(c)
    axes = canvas.several(ax, len(chosen), lambda: canvas.column(len(chosen), 1.5, 1.2))
    bottom = axes if ax is not None else canvas.lowest(axes)
    narrow = canvas.inches(axes[0])[0] < _NARROW
    for i, (drawn, row) in enumerate(zip(axes, chosen, strict=True)):
        values = coefficients[:, c.mixed.names.index(row.name)]
        points = _points(row, float(axis.place(c.ratio)), values)
        _curve(drawn, row, x, values, points)
        axis.draw(drawn, named=drawn in bottom)
        _values(drawn, c, x, values, points, named=i == 0 and not narrow)
        if drawn in bottom:
            canvas.horizontal(drawn, wording.plain(c.ratio_name))
    crosses = _crosses(chosen, [coefficients[-1, c.mixed.names.index(r.name)] for r in chosen])
    notes = [
        "grey: lmer ± 1 standard error",
        f"circle: lm · diamond: lmer ({_method(c)}) · square: no pooling" if narrow else "",
        crosses,
        left,
    ]
    names = [row.name for row in chosen]
    words = "Where a curve is flat, pooling does not matter"
    return canvas.titled(axes, names, words, notes, own=ax is None)


def _sampled(c: Comparison) -> tuple[_Axis, FloatArray, FloatArray]:
    """The axis, (m,) places on it and (m, p) coefficients: the path's rows, and some in gaps."""
    frame = c.path.to_numpy(dtype=np.float64)  # by position: a column may be called "ratio" too
    ratio, values = frame[:, 0], frame[:, 1:]
    axis = _Axis(ratio, c.ratio, scaled=not c.is_one_intercept)
    x = axis.place(ratio)
    counts = np.ceil(np.diff(x) / _GAP).astype(np.int64)
    gaps = [np.linspace(x[i], x[i + 1], k + 1)[1:-1] for i, k in enumerate(counts) if k > 1]
    if gaps:
        more = np.concatenate(gaps)
        found = [c.coefficients_at(float(r)).to_numpy() for r in axis.middle * more / (1 - more)]
        order = np.argsort(np.concatenate([x, more]), kind="stable")
        x, values = np.concatenate([x, more])[order], np.concatenate([values, found])[order]
    return axis, x, values


def _points(row: Row, fitted: float, values: FloatArray) -> list[tuple[str, float, float]]:
    """The three fits: name, place, value."""
    return [
        ("complete_pooling", 0.0, row.complete),
        ("partial_pooling", fitted, row.partial),
        ("no_pooling", 1.0, float(values[-1])),
    ]


def _is_within(row: Row, end: float) -> bool:
    """Is the end of the path the estimate without pooling? Not where Lambda is singular."""
    return math.isfinite(row.within) and math.isclose(row.within, end, rel_tol=1e-6, abs_tol=1e-300)


def _crosses(rows: Sequence[Row], ends: Sequence[float]) -> str:
    """What crosses at the end of the path mean, "" where there are none."""
    if any(not math.isfinite(row.within) for row in rows):
        return "cross: a limit, which no pooling cannot estimate"
    if not all(_is_within(row, end) for row, end in zip(rows, ends, strict=True)):
        return "cross: a limit at which variances of zero stay zero"
    return ""


class _Axis:
    """Places of ratios on an axis that shows 0 and infinity: ratio / (ratio + middle)."""

    def __init__(self, ratio: FloatArray, fitted: float, *, scaled: bool) -> None:
        inner = ratio[(ratio > 0) & np.isfinite(ratio)]
        middle = float(np.median(inner))
        # Half way between where the path bends and the fit, so that both are away from the ends.
        self.middle = math.sqrt(middle * fitted) if fitted > 0 else middle
        self.fitted = fitted
        self.known = [1.0] if scaled and fitted > 0 else []  # where the fit is

    def place(self, ratio: Any) -> FloatArray:
        """0 to 1."""
        r = np.asarray(ratio, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            return np.where(np.isinf(r), 1.0, r / (r + self.middle))

    def ticks(self, shares: Sequence[float]) -> list[float]:
        """0, a few round numbers, infinity; where Lambda is scaled, 1 too."""
        found = []
        for share in shares:
            value = self.middle * share / (1 - share)
            power = 10.0 ** math.floor(math.log10(value))
            found.append(
                float(min((1, 2, 5, 10), key=lambda m: abs(math.log(m * power / value)))) * power
            )
        return [0.0, *sorted({*found, *self.known}), math.inf]

    def draw(self, ax: Axes, *, named: bool) -> None:
        """Ticks, the names of the ends, and the line of the fit."""
        narrow = canvas.inches(ax)[0] < _NARROW
        ratios = self.ticks((1 / 3, 2 / 3) if narrow else (0.2, 0.4, 0.6, 0.8))
        labels = ["∞" if math.isinf(r) else f"{r:.12g}" for r in ratios]
        if named:
            labels[0] += "\ncomplete\npooling"
            labels[-1] += "\nno\npooling"
        ax.set_xticks(self.place(ratios), labels)
        ax.tick_params(axis="x", labelbottom=named)
        ax.set_xlim(-0.03, 1.03)
        fitted = float(self.place(self.fitted))
        ax.axvline(fitted, color=MIDDLE, lw=0.9, ls=(0, (4, 3)), zorder=1, gid="fitted")


def _curve(ax: Axes, row: Row, x: FloatArray, values: FloatArray, points: list[Any]) -> None:
    """One coefficient: the curve, the three fits, and how well lmer knows it."""
    canvas.clean(ax)
    # With its standard error in the picture no curve is steeper than it matters.
    if row.partial_se > 0:
        ax.axhspan(
            row.partial - row.partial_se,
            row.partial + row.partial_se,
            color=FAINT,
            alpha=0.45,
            lw=0,
            zorder=0,
        )
    ax.plot(x, values, color=canvas.ink(), lw=1.6, zorder=2, gid="path")
    for fit, at, value in points:
        style = FITS[fit]
        given = fit != "no_pooling" or _is_within(row, value)
        ax.plot(
            at,
            value,
            marker=style["marker"] if given else "X",
            ms=7.5,
            color=style["color"],
            mec=canvas.ink(),
            zorder=4,
            clip_on=False,
            gid=fit,
        )
    heights = [*values, row.partial - row.partial_se, row.partial + row.partial_se]
    low, high = float(np.nanmin(heights)), float(np.nanmax(heights))
    least = 1e-6 * max(abs(low), abs(high), 1e-300)
    room = max(0.28 * (high - low), least)
    ax.set_ylim(low - room, high + room)


def _values(
    ax: Axes, c: Comparison, x: FloatArray, values: FloatArray, points: list[Any], *, named: bool
) -> None:
    """The three numbers, on the side that the curve leaves free; in the first panel with names."""
    numbers = wording.significant([value for *_, value in points])
    middle = sum(ax.get_ylim()) / 2
    names = {
        "complete_pooling": "lm ",
        "partial_pooling": f"lmer ({_method(c)}) ",
        "no_pooling": "no pooling ",
    }
    if c.ratio == 0:
        names["complete_pooling"] = f"lm = lmer ({_method(c)}) "
        points, numbers = [points[0], points[2]], [numbers[0], numbers[2]]
    for (fit, at, value), text in zip(points, numbers, strict=True):
        inner = 0.1 if at < 0.5 else -0.1
        near = float(np.interp(at + inner, x, values))
        above = value > near if abs(value - near) > 0.05 * abs(middle - value) else value <= middle
        shift = (6 if at < 0.5 else -6, 9 if above else -9)
        words = names[fit] + text if named else text
        canvas.name(ax, words, (at, value), shift, kind=f"value of {fit}", color=canvas.ink())
