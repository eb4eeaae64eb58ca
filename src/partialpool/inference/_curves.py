"""The curve of one profile: zeta as a function of the parameter, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._types import FloatArray

__all__ = [
    "BOUND",
    "COEFFICIENT",
    "CORRELATION",
    "FAILED",
    "NONE",
    "REACHED",
    "ROUNDING",
    "SD",
    "SIGMA",
    "Curve",
    "centre_rate",
    "decimals",
    "number",
    "per_u",
    "quantile",
    "to_value",
]

COEFFICIENT, SIGMA, SD, CORRELATION = range(4)  # Parameter of cpp/profile.hpp
REACHED, BOUND, NONE, FAILED = range(4)  # End of cpp/profile.hpp

_BOUNDS = {
    COEFFICIENT: (-math.inf, math.inf),
    SIGMA: (0.0, math.inf),
    SD: (0.0, math.inf),
    CORRELATION: (-1.0, 1.0),
}
_BISECTIONS = 50
ROUNDING = 1e-6
"""A fall of zeta that is none."""


@dataclass(frozen=True, eq=False)
class Curve:
    """The profile of one parameter, through m points.

    Attributes
    ----------
    name : str
    kind : int
        COEFFICIENT, SIGMA, SD or CORRELATION.
    estimate : float
        By maximum likelihood; NaN for a dropped column, and for a correlation beside a standard
        deviation of zero.
    ends : (int, int)
        How either side ended: REACHED the distance asked for; at the BOUND of the parameter before
        that; NONE, since the estimate lies on the bound; FAILED.
    centre : int
        Index of the estimate.
    u : (m,) float64
        The parameter on the scale of interpolation: log sigma, asin of a correlation, else itself.
    zeta, rate, deviance : (m,) float64
        Signed root of the deviance difference, its derivative with respect to u, the deviance.
    parameters : (m, q) float64
        All parameters at each point.
    failed : (f,) float64
        Values of the parameter at which no optimum was found.
    """

    name: str
    kind: int
    estimate: float
    ends: tuple[int, int]
    centre: int
    u: FloatArray
    zeta: FloatArray
    rate: FloatArray
    deviance: FloatArray
    parameters: FloatArray
    failed: FloatArray

    @property
    def value(self) -> FloatArray:
        """(m,) the parameter at the points."""
        return to_value(self.kind, self.u)

    @property
    def is_monotone(self) -> bool:
        """False where the deviance falls again further out."""
        return bool(np.all(np.diff(self.zeta) > -ROUNDING))

    def limit(self, side: int, distance: float) -> float:
        """The parameter where zeta first is `distance` from zero; the bound if it never is.

        Parameters
        ----------
        side : -1 or 1
        distance : float
            Positive.

        Returns
        -------
        float
            NaN where the profile could not be followed so far.
        """
        stop = len(self.u) if side > 0 else -1
        for i in range(self.centre + side, stop, side):
            if side * float(self.zeta[i]) >= distance:
                u = self._inverse(min(i, i - side), side * distance)
                return float(to_value(self.kind, np.array(u)))
        lost = self.ends[side > 0] in (REACHED, FAILED)
        return math.nan if lost else _BOUNDS[self.kind][side > 0]

    def at(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """zeta and its derivative with respect to u, within the points."""
        i = np.clip(np.searchsorted(self.u, u, side="right") - 1, 0, len(self.u) - 2)
        left, right = self._slopes()
        h = self.u[i + 1] - self.u[i]
        s = (u - self.u[i]) / h
        a, b, c, d = _cubic(self.zeta[i], self.zeta[i + 1], left[i] * h, right[i] * h)
        return a + s * (b + s * (c + s * d)), (b + s * (2 * c + 3 * s * d)) / h

    def _slopes(self) -> tuple[FloatArray, FloatArray]:
        """Slopes at both ends of each segment, less steep where the cubic would not be monotone."""
        step = np.diff(self.zeta) / np.diff(self.u)
        left, right = np.maximum(self.rate[:-1], 0.0), np.maximum(self.rate[1:], 0.0)
        steepest = np.hypot(left, right)
        shrink = np.ones(len(step))  # Fritsch and Carlson 1980
        over = steepest > 3 * np.maximum(step, 0.0)
        shrink[over] = 3 * np.maximum(step[over], 0.0) / steepest[over]
        return left * shrink, right * shrink

    def _inverse(self, i: int, wanted: float) -> float:
        """u between points i and i + 1 where zeta is `wanted`, by bisection."""
        left, right = self._slopes()
        h = float(self.u[i + 1] - self.u[i])
        ends = float(self.zeta[i]), float(self.zeta[i + 1])
        a, b, c, d = _cubic(*ends, float(left[i]) * h, float(right[i]) * h)
        low, high = (0.0, 1.0) if ends[1] > ends[0] else (1.0, 0.0)
        for _ in range(_BISECTIONS):
            s = 0.5 * (low + high)
            if a + s * (b + s * (c + s * d)) < wanted:
                low = s
            else:
                high = s
        return float(self.u[i]) + 0.5 * (low + high) * h


def to_value(kind: int, u: FloatArray) -> FloatArray:
    """The parameter itself from the scale of interpolation."""
    if kind == SIGMA:
        return np.exp(u)
    return np.sin(u) if kind == CORRELATION else u


def per_u(kind: int, u: FloatArray) -> FloatArray:
    """The derivative of the parameter with respect to u."""
    if kind == SIGMA:
        return np.exp(u)
    return np.cos(u) if kind == CORRELATION else np.ones(len(u))


def quantile(level: float) -> float:
    """Distance of zeta from zero at the limits."""
    from scipy import special

    return float(special.ndtri((1 + level) / 2))


def decimals(estimate: float, lower: float, upper: float) -> int:
    """Decimals that show the width of an interval with three digits."""
    sizes = [abs(v) for v in (upper - lower, upper - estimate) if math.isfinite(v) and v != 0]
    if not sizes:
        return 3
    return min(max(2 - math.floor(math.log10(sizes[0])), 0), 12)


def number(value: float, digits: int) -> str:
    """A number of the printed table; nothing for NaN."""
    if math.isnan(value):
        return ""
    return f"{value:.4g}" if digits > 8 and abs(value) < 1e-3 else f"{value:.{digits}f}"


def centre_rate(
    u: FloatArray, zeta: FloatArray, rate: FloatArray, centre: int, known: float
) -> float:
    """d zeta / du at the estimate, where deviances say nothing of it.

    Of the quartic without a constant through the nearest two points and their slopes: zeta is
    smooth. `known` where there are fewer points, or its sign is wrong.
    """
    order = np.argsort(np.abs(u - u[centre]))[1:3]
    if len(order) < 2:
        return known
    t = u[order] - u[centre]
    h = float(np.abs(t).max())
    powers = np.arange(1, 5)
    values = (t / h)[:, None] ** powers
    slopes = powers * (t / h)[:, None] ** (powers - 1)
    right = np.concatenate([zeta[order], rate[order] * h])
    found = float(np.linalg.solve(np.concatenate([values, slopes]), right)[0]) / h
    return found if found > 0 else known


def _cubic(y0: Any, y1: Any, m0: Any, m1: Any) -> tuple[Any, Any, Any, Any]:
    """Coefficients of the cubic on [0, 1] with these ends and slopes; floats or arrays."""
    return y0, m0, 3 * (y1 - y0) - 2 * m0 - m1, 2 * (y0 - y1) + m0 + m1
