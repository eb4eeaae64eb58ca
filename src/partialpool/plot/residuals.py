"""Pictures of residuals: against fitted values, against normal quantiles, their size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import diagnostics, frames, predict
from .._errors import SpecificationError
from .._types import FloatArray
from . import canvas, thinning, wording
from .canvas import ACCENT, FAINT, MIDDLE
from .settings import response

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..estimates import Record

__all__ = ["normal_quantiles", "qq", "residuals", "scale_location"]

_LABELLED = 3  # extreme rows that get their names, as in R's pictures of a fit
_EVEN = 0.8212
"""Median of sqrt |z| for a standard normal z: sqrt(0.6745)."""


def residuals(record: Record, ax: Any) -> Axes:
    """Residuals against fitted values, with medians of bins."""
    weighted = record.rows.weights is not None
    values = diagnostics.residuals(record, "pearson" if weighted else "response")
    name = wording.plain(response(record), 40)
    word = f"residual of {name}" + (" × √weight" if weighted else "")
    drawn = canvas.axes(ax)
    notes = _scatter(drawn, record, predict.fitted(record), values, np.abs(values))
    drawn.axhline(0, color=MIDDLE, lw=1, ls=(0, (4, 3)), zorder=1)
    drawn.set(xlabel=f"fitted {name}", ylabel=word)
    canvas.headline(drawn, "Residuals: an even band about zero, no bend, no funnel?", notes)
    return drawn


def scale_location(record: Record, ax: Any) -> Axes:
    """Square roots of absolute standardised residuals against fitted values."""
    standard, left = _standardised(record)
    size = np.sqrt(np.abs(standard))
    name = wording.plain(response(record), 40)
    drawn = canvas.axes(ax)
    notes = _scatter(drawn, record, predict.fitted(record), size, size)
    drawn.axhline(_EVEN, color=MIDDLE, lw=1, ls=(0, (4, 3)), zorder=1)
    notes.append(f"dashed: {_EVEN:.2f}, the median if normal with one variance")
    drawn.set(xlabel=f"fitted {name}", ylabel="√ |standardised residual|")
    drawn.set_ylim(bottom=0)
    canvas.headline(drawn, "Spread: is the line level, or does it climb?", [*notes, left])
    return drawn


def qq(record: Record, ax: Any) -> Axes:
    """Sorted standardised residuals against normal quantiles, with a pointwise band."""
    standard, left = _standardised(record)
    usable = np.flatnonzero(np.isfinite(standard))
    order = usable[np.argsort(standard[usable], kind="stable")]
    rank, thinned = thinning.order_statistics(len(order))
    x = normal_quantiles(len(order))[rank]
    y = standard[order][rank]
    lower, upper = _band(len(order), rank)
    name = wording.plain(response(record), 40)
    drawn = canvas.axes(ax)
    canvas.clean(drawn)
    drawn.fill_between(x, lower, upper, color=FAINT, alpha=0.5, lw=0, zorder=1)
    reach = np.array([x[0], x[-1]])
    drawn.plot(reach, reach, color=MIDDLE, lw=1, ls=(0, (4, 3)), zorder=2)
    drawn.scatter(x, y, s=_size(len(x)), color=canvas.ink(), alpha=0.75, lw=0, zorder=3)
    ends = np.argsort(-np.abs(y), kind="stable")[:_LABELLED]
    # The points climb to the right: above them on the left, below them on the right, is room.
    _name(drawn, x[ends], y[ends], _row_names(record, order[rank[ends]]), climbing=True)
    drawn.set(xlabel="normal quantile", ylabel=f"standardised residual of {name}")
    notes = ["dashed: normal", "band: 95 % of normal samples, point by point", thinned, left]
    canvas.headline(drawn, "Normal residuals? Look at the tails, not the middle", notes)
    return drawn


def normal_quantiles(count: int) -> FloatArray:
    """(count,) quantiles of a standard normal at (i - 1/2) / n, R's plotting positions."""
    from scipy import special

    shift = 0.375 if count <= 10 else 0.5
    return np.asarray(special.ndtri((np.arange(1, count + 1) - shift) / (count + 1 - 2 * shift)))


def _standardised(record: Record) -> tuple[FloatArray, str]:
    """Standardised residuals and how many rows have none.

    Raises
    ------
    SpecificationError
        If none has.
    """
    left = 1 - diagnostics.hatvalues(record)
    # A leverage of one leaves a residual of rounding over a variance of rounding.
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(np.where(left > 1e-10, left, np.nan))
        values = diagnostics.residuals(record, "scaled") / root
    lost = int(np.count_nonzero(~np.isfinite(values)))
    if lost == len(values):
        raise SpecificationError(
            f"All {lost} residuals of {record.spec.formula!r} are zero or have leverage 1, so none "
            "can be standardised: the model fits the response exactly. Look at plot.residuals()."
        )
    rows = "row" if lost == 1 else "rows"
    return values, f"{wording.thousands(lost)} {rows} of leverage 1 left out" if lost else ""


def _scatter(
    ax: Axes, record: Record, x: FloatArray, y: FloatArray, sizes: FloatArray
) -> list[str]:
    """Points, medians of bins of all rows, names of the extreme rows; returns what to say."""
    usable = np.isfinite(y)
    rows = np.flatnonzero(usable)
    places, thinned = thinning.sample(len(rows), sizes[rows])
    shown = rows[places]
    canvas.clean(ax)
    ax.scatter(
        x[shown], y[shown], s=_size(len(shown)), color=canvas.ink(), alpha=_shade(len(shown)), lw=0
    )
    mid, heights = thinning.binned_medians(x[rows], y[rows])
    notes = []
    if mid.size:
        ax.plot(mid, heights, color=ACCENT, lw=2, marker="s", ms=4, zorder=3)
        of = f"all {wording.thousands(len(rows))} rows in" if thinned else ""
        notes.append(
            f"line: medians of {of} {mid.size} bins of the fitted values".replace("  ", " ")
        )
    ends = rows[np.argsort(-sizes[rows], kind="stable")[:_LABELLED]]
    _name(ax, x[ends], y[ends], _row_names(record, ends))
    return [*notes, thinned]


def _size(count: int) -> float:
    """Area of a point in square points: smaller where there are many."""
    return float(np.clip(400 / np.sqrt(max(count, 1)), 6, 26))


def _shade(count: int) -> float:
    """Opacity of a point: less where there are many."""
    return float(np.clip(14 / np.sqrt(max(count, 1)), 0.25, 0.5))


def _row_names(record: Record, places: Any) -> list[str]:
    index = frames.used_index(record)
    return [wording.plain(index[int(i)], 16) for i in places]


def _name(
    ax: Axes, x: FloatArray, y: FloatArray, names: list[str], *, climbing: bool = False
) -> None:
    """Names beside points, those at nearly the same place above each other."""
    ax.margins(y=0.09)
    low, high = ax.get_ylim()
    left, right = ax.get_xlim()
    points = canvas.inches(ax)[1] * 72
    gap = 1.15 * canvas.small() / points * (high - low)
    heights = wording.spread([float(v) for v in y], gap)
    for at, height, text in zip(x, heights, names, strict=True):
        inner = at > (0 if climbing else left + 0.8 * (right - left))
        rise = (6 if inner else -6) if climbing else 0
        canvas.name(ax, text, (float(at), height), (-4 if inner else 4, rise), kind="row")


def _band(count: int, rank: Any) -> tuple[FloatArray, FloatArray]:
    """2.5 % and 97.5 % points of the order statistics of `count` standard normals.

    Source: the i-th of n uniform order statistics is Beta(i, n + 1 - i).
    """
    from scipy import special

    i = rank + 1.0
    low, high = (special.betaincinv(i, count + 1 - i, p) for p in (0.025, 0.975))
    return np.asarray(special.ndtri(low)), np.asarray(special.ndtri(high))
