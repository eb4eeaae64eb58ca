"""Group effects without pooling and with partial pooling, joined by arrows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._errors import SpecificationError
from ..table import closest
from . import canvas, wording
from .canvas import ACCENT, MIDDLE, SECOND
from .path import fit_name
from .settings import response

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ..comparing import Comparison

__all__ = ["shrinkage"]

NAMED = 40
BESIDE = 3  # panels beside each other that have room for more than a word below


def shrinkage(c: Comparison, group: str | None, term: str | None, ax: Any) -> Any:
    """A row a level: from its own estimate (hollow) to that of the mixed model (filled)."""
    panels = _panels(c, group, term)
    rows: dict[str, list[pd.DataFrame]] = {}
    for panel in panels:
        rows.setdefault(str(panel["group"].iloc[0]), []).append(panel)
    orders = {name: _order(found[0]) for name, found in rows.items()}
    counts = [len(found) for found in rows.values()]
    heights = [1.2 + max(0.17 * min(len(orders[name]), NAMED), 0.9) for name in rows]
    axes = canvas.several(ax, len(panels), lambda: canvas.grid(counts, heights, share=True)[1])
    left = []
    at = 0
    for name, found in rows.items():
        places, thinned = _thin(name, orders[name])
        left.append(thinned)
        for i, panel in enumerate(found):
            _draw(axes[at], panel.iloc[places], named=i == 0 or ax is not None)
            about = _meaning(c, panel, alone=len(panels) == 1)
            axes[at].set_xlabel(about if len(found) <= BESIDE else "difference")
            at += 1
    uneven = any(panel["n"].nunique() > 1 for panel in panels)
    none = any(panel["no_pooling"].isna().any() for panel in panels)
    notes = [
        f"hollow: no pooling · filled: {fit_name(c, 'partial_pooling')}",
        "in brackets: rows" + (", larger points have more" if uneven else ""),
        "no hollow point: no estimate without pooling" if none else "",
        *left,
    ]
    names = [f"{panel['group'].iloc[0]}: {panel['term'].iloc[0]}" for panel in panels]
    words = "How far does pooling pull each level?"
    if len(axes) == 1:
        canvas.headline(axes[0], words, notes)
        return axes[0]
    return canvas.titled(axes, names, words, notes, own=ax is None)


def _panels(c: Comparison, group: str | None, term: str | None) -> list[pd.DataFrame]:
    """The rows of ``Comparison.groups`` for each random effect.

    Raises
    ------
    SpecificationError
        For a group or a term that was not fitted.
    """
    frame = c.groups
    for option, value in (("group", group), ("term", term)):
        names = list(dict.fromkeys(frame[option]))
        if value is not None and value not in names:
            what = {"group": "groups", "term": "random effects"}[option]
            hint = closest(str(value), names).replace("The columns are", f"The {what} are")
            raise SpecificationError(
                f"{option}={value!r} is not among the {what} of the fit.{hint}"
            )
        if value is not None:
            frame = frame[frame[option] == value]
    return [part for _, part in frame.groupby(["group", "term"], sort=False)]


def _order(panel: pd.DataFrame) -> Any:
    """Levels sorted by their own estimates, by the mixed model's where there are none."""
    own = panel["no_pooling"].to_numpy(dtype=np.float64)
    own = np.where(np.isfinite(own), own, panel["partial_pooling"].to_numpy(dtype=np.float64))
    return np.argsort(own, kind="stable")


def _thin(name: str, order: Any) -> tuple[Any, str]:
    count = len(order)
    if count <= NAMED:
        return order, ""
    ranks = np.round(np.linspace(0, count - 1, NAMED)).astype(np.int64)
    return order[ranks], (
        f"{NAMED} of {wording.thousands(count)} levels of {wording.plain(name, 24)}, evenly by rank"
    )


def _draw(ax: Axes, shown: pd.DataFrame, *, named: bool) -> None:
    canvas.clean(ax)
    own = shown["no_pooling"].to_numpy(dtype=np.float64)
    pooled = shown["partial_pooling"].to_numpy(dtype=np.float64)
    n = shown["n"].to_numpy(dtype=np.float64)
    y = np.arange(len(shown))
    size = 14 + 66 * n / n.max()
    ax.axvline(0, color=MIDDLE, lw=1, ls=(0, (4, 3)), zorder=1)
    face = ax.get_facecolor()
    ax.scatter(
        own, y, s=size, facecolors=[face], edgecolors=SECOND, lw=1.3, zorder=2, gid="no_pooling"
    )
    ax.scatter(pooled, y, s=size, color=ACCENT, lw=0, zorder=3, gid="partial_pooling")
    ax.margins(x=0.06)
    low, high = ax.get_xlim()
    visible = 0.012 * (high - low)  # shorter arrows would be heads alone
    for at, a, b in zip(y, own, pooled, strict=True):
        if abs(a - b) > visible:
            ax.annotate(
                "",
                (b, at),
                (a, at),
                arrowprops={
                    "arrowstyle": "->",
                    "color": canvas.ink(),
                    "lw": 1.0,
                    "shrinkA": 0,
                    "shrinkB": 0,
                },
                zorder=4,
                gid="arrow",
            )
    ax.set_ylim(-0.8, len(shown) - 0.2)
    ax.tick_params(axis="y", length=0, labelleft=named)
    names = wording.labels(shown["level"], 20)
    ticks = [f"{name} ({wording.thousands(int(k))})" for name, k in zip(names, n, strict=True)]
    ax.set_yticks(y, ticks, fontsize=canvas.small())


def _meaning(c: Comparison, panel: pd.DataFrame, *, alone: bool) -> str:
    group, term = (wording.plain(panel[name].iloc[0], 24) for name in ("group", "term"))
    about = wording.plain(response(c.mixed), 28)
    of = f"{group}: difference in " if alone else "difference in "
    return of + (about if term == "Intercept" else "the coefficient" + f" of {term}" * alone)
