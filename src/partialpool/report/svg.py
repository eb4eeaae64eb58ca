"""Small static pictures for pages, as SVG that takes the page's colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._types import FloatArray
from .html import escape

__all__ = ["Axis", "scatter"]

_WIDTH, _HEIGHT = 360.0, 270.0  # small, so that letters stay readable on a phone
_CROWD = 500  # points that hide each other unless they are pale
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 10.0, 24.0, 40.0


class Axis(NamedTuple):
    """A linear axis: data to places."""

    low: float
    high: float
    first: float
    last: float

    @classmethod
    def over(cls, values: FloatArray, first: float, last: float) -> Axis:
        """An axis that holds all values, with a margin."""
        low, high = float(np.min(values)), float(np.max(values))
        margin = 0.04 * (high - low) if high > low else (abs(low) * 0.05 or 1.0)
        return cls(low - margin, high + margin, first, last)

    def place(self, value: float) -> float:
        return self.first + (value - self.low) / (self.high - self.low) * (self.last - self.first)

    def ticks(self) -> list[tuple[float, str]]:
        """Round numbers within, and how they are written."""
        raw = (self.high - self.low) / 6
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
        count = range(math.ceil(self.low / step), math.floor(self.high / step) + 1)
        size = max(abs(self.low), abs(self.high))
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        plain = 1e-4 <= size < 1e6 and decimals <= 8
        shown = [
            "0" if k == 0 else f"{k * step:.{decimals}f}" if plain else f"{k * step:.6g}"
            for k in count
        ]
        return [(k * step, t.replace("-", "−")) for k, t in zip(count, shown, strict=True)]


def scatter(
    x: FloatArray,
    y: FloatArray,
    *,
    labels: tuple[str, str],
    about: str,
    lines: Sequence[tuple[FloatArray, FloatArray, str]] = (),
) -> str:
    """Points with lines beneath them.

    Parameters
    ----------
    x, y : (n,) float64
    labels : tuple of str
        Of the axes.
    about : str
        What a screen reader says.
    lines : sequence of (x, y, class)

    Returns
    -------
    str
        An ``svg`` element.
    """
    across = Axis.over(x, _LEFT, _WIDTH - _RIGHT)
    up = Axis.over(y, _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg class="static" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" '
        f'aria-label="{escape(about)}">',
        *_grid(across, up, labels),
        *(_line(across, up, *line) for line in lines),
    ]
    kind = "point many" if len(x) > _CROWD else "point"
    parts += [
        f'<circle class="{kind}" cx="{across.place(a):.1f}" cy="{up.place(b):.1f}" r="2.4"/>'
        for a, b in zip(x.tolist(), y.tolist(), strict=True)
    ]
    return "\n".join([*parts, "</svg>"])


def _grid(across: Axis, up: Axis, labels: tuple[str, str]) -> list[str]:
    bottom = _HEIGHT - _BOTTOM
    parts = []
    for v, text in up.ticks():
        place = up.place(v)
        parts.append(
            f'<line class="grid" x1="{_LEFT:g}" x2="{_WIDTH - _RIGHT:g}" y1="{place:.1f}" '
            f'y2="{place:.1f}"/><text class="soft" x="{_LEFT - 6:g}" y="{place + 4:.1f}" '
            f'text-anchor="end">{text}</text>'
        )
    for v, text in across.ticks():
        place = across.place(v)
        parts.append(
            f'<line class="tick" x1="{place:.1f}" x2="{place:.1f}" y1="{bottom:g}" '
            f'y2="{bottom + 4:g}"/><text class="soft" x="{place:.1f}" y="{bottom + 17:g}" '
            f'text-anchor="middle">{text}</text>'
        )
    parts.append(
        f'<line class="axis" x1="{_LEFT:g}" x2="{_WIDTH - _RIGHT:g}" y1="{bottom:g}" '
        f'y2="{bottom:g}"/>'
    )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle:g}" y="{_HEIGHT - 4:g}" text-anchor="middle">{escape(labels[0])}</text>'
        f'<text x="0" y="13">{escape(labels[1])}</text>'
    )
    return parts


def _line(across: Axis, up: Axis, x: FloatArray, y: FloatArray, kind: str) -> str:
    places = " ".join(
        f"{across.place(a):.1f},{up.place(b):.1f}"
        for a, b in zip(x.tolist(), y.tolist(), strict=True)
    )
    return f'<polyline class="{kind}" points="{places}"/>'
