"""The coefficients of the three fits with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import canvas, wording
from .canvas import MIDDLE
from .caterpillar import Z95
from .path import FITS, chosen_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..comparing import Comparison
    from ..pooling.table import Row

__all__ = ["forest"]

_FEW = 20  # groups: fewer, and normal intervals are too short (DESIGN: Satterthwaite's are used)
_NAMES = ("lm", "lmer", "no pooling")


def forest(c: Comparison, terms: str | Sequence[str] | None, ax: Any) -> Any:
    """The three fits of each coefficient with intervals of 1.96 standard errors."""
    chosen, left = chosen_rows(c, terms)
    axes = canvas.several(ax, len(chosen), lambda: canvas.column(len(chosen), 1.2, 0.75))
    for i, (drawn, row) in enumerate(zip(axes, chosen, strict=True)):
        named = ax is not None or canvas.leftmost(i, len(axes))
        _panel(drawn, row, named=named)
    smallest = min(c.mixed.rows.groups, key=lambda group: len(group.levels))
    few = f"{len(smallest.levels)} levels of {wording.plain(smallest.name, 24)} are few: "
    notes = [
        "bars: ±1.96 standard errors",
        "thin: CR2, when rows depend" if any(math.isfinite(r.complete_cr2) for r in chosen) else "",
        few + "95 % intervals are wider than these" if len(smallest.levels) < _FEW else "",
        left,
    ]
    names = [row.name for row in chosen]
    words = "Do the three fits differ by more than their errors?"
    return canvas.titled(axes, names, words, notes, own=ax is None)


def _panel(ax: Axes, row: Row, *, named: bool) -> None:
    canvas.clean(ax)
    fits = (
        (row.complete, row.complete_se, row.complete_cr2),
        (row.partial, row.partial_se, math.nan),
        (row.within, row.within_se, math.nan),
    )
    for height, (fit, (value, error, clustered)) in enumerate(zip(FITS, fits, strict=True)):
        if not math.isfinite(value):
            at = row.partial if math.isfinite(row.partial) else 0.0
            ax.text(
                at,
                -height,
                "no estimate",
                ha="center",
                va="center",
                fontsize=canvas.small(),
                color=MIDDLE,
                gid="none",
            )
            continue
        colour = FITS[fit]["color"]
        for se, wide, kind in ((clustered, 1.0, "cr2"), (error, 3.0, fit)):
            if math.isfinite(se):
                ends = value - Z95 * se, value + Z95 * se
                ax.hlines(-height, *ends, color=colour, lw=wide, gid=kind)
        marker = FITS[fit]["marker"]
        ax.plot(value, -height, marker=marker, ms=6.5, color=colour, mec=canvas.ink(), gid=fit)
    ax.set_yticks([0, -1, -2], _NAMES, fontsize=canvas.small())
    ax.tick_params(axis="y", length=0, labelleft=named)
    ax.set_ylim(-2.6, 0.6)
    ax.margins(x=0.07)
    low, high = ax.get_xlim()
    if low < 0 < high:
        ax.axvline(0, color=MIDDLE, lw=0.9, ls=(0, (4, 3)), zorder=0)
