"""Multiplicity: p-values and critical values for a family of t tests.

Five methods keep the chance of any false rejection in the family at the level: Tukey's for all
pairs of k means, the multivariate t for any set of contrasts (from their correlations, so it is
the sharpest of the single-step ones), Sidak's and Bonferroni's from the size of the family alone,
and Holm's step-down one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .._types import FloatArray
from ._max_t import MaxT

__all__ = [
    "METHODS",
    "bonferroni",
    "critical",
    "holm",
    "p_values",
    "quantile",
    "sidak",
    "studentized_range_quantile",
    "studentized_range_sf",
    "t_p_values",
]

METHODS = ("tukey", "sidak", "holm", "bonferroni", "mvt", "none")

_NORMAL = 1e6  # degrees of freedom: the range's distribution is the normal one to 1e-6 from here on
_EFOLDS = 38.0  # derived: exp(-38) is 3e-17, what a double no longer sees


def p_values(
    method: str, t: FloatArray, df: FloatArray, *, means: int, root: FloatArray
) -> FloatArray:
    """Adjusted two-sided p-values of a family of m tests.

    Parameters
    ----------
    method : one of `METHODS`
    t, df : (m,) float64
        Statistics and degrees of freedom; `df` may be infinite. No NaN.
    means : int
        Number of means compared, for Tukey's method.
    root : (m, r) float64
        Rows of unit length with root root' the correlation of the estimates, for ``"mvt"``.

    Returns
    -------
    (m,) float64
        At least the unadjusted ones, at most 1.
    """
    raw = t_p_values(t, df)
    if not len(raw) or method == "none":
        return raw
    if method == "tukey":
        return np.clip(_by_pair(studentized_range_sf, math.sqrt(2) * np.abs(t), means, df), raw, 1)
    if method == "mvt":
        return np.clip(_by_pair(MaxT(root).sf, np.abs(t), df), raw, sidak(raw))
    return {"sidak": sidak, "holm": holm, "bonferroni": bonferroni}[method](raw)


def critical(
    method: str, level: float, df: FloatArray, *, means: int, root: FloatArray
) -> FloatArray:
    """Half-widths of simultaneous intervals in standard errors.

    Parameters
    ----------
    method : one of `METHODS`
        ``"holm"`` has no intervals of its own; its are Bonferroni's, which it is never wider than.
    level : float
    df, means, root
        As in `p_values`.

    Returns
    -------
    (m,) float64
    """
    m = len(df)
    if method == "tukey":
        return _by_pair(studentized_range_quantile, level, means, df) / math.sqrt(2)
    plain = quantile(df, level)
    if method == "none" or m == 0:
        return plain
    if method == "sidak":
        return quantile(df, math.exp(math.log(level) / m))
    wide = quantile(df, 1 - (1 - level) / m)
    if method == "mvt":
        return np.clip(_by_pair(MaxT(root).quantile, level, df), plain, wide)
    return wide


def sidak(p: FloatArray) -> FloatArray:
    """1 - (1 - p)^m, without loss of digits at small p."""
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(len(p) * np.log1p(-p)))


def bonferroni(p: FloatArray) -> FloatArray:
    """m p, at most 1."""
    return np.minimum(len(p) * p, 1.0)


def holm(p: FloatArray) -> FloatArray:
    """The running maximum of (m - i) p_(i) over the sorted p-values, i = 0, ..., m - 1."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    out = np.empty_like(p)
    out[order] = np.minimum(steps, 1.0)
    return out


def t_p_values(t: FloatArray, df: FloatArray) -> FloatArray:
    """(m,) two-sided p-values of Student's t; the normal ones where `df` is infinite."""
    from scipy import special

    size = -np.abs(t)
    return np.asarray(2.0 * np.where(np.isinf(df), special.ndtr(size), special.stdtr(df, size)))


def quantile(df: FloatArray, level: float) -> FloatArray:
    """(m,) half-width of a two-sided t interval in standard errors."""
    from scipy import special

    upper = (1 + level) / 2
    finite = np.where(np.isinf(df), 1.0, df)
    return np.where(np.isinf(df), special.ndtri(upper), special.stdtrit(finite, upper))


def studentized_range_sf(q: float, means: int, df: float) -> float:
    """P(Q > q), Q the range of k independent standard normals over an independent chi scale.

    Parameters
    ----------
    q : float
    means : int
        k, at least 2.
    df : float
        Degrees of freedom of the scale; may be infinite.

    Notes
    -----
    With S(w) the upper tail of the range of k normals and u the logarithm of the scale,
    P = integral of f(u) S(q exp(u)). Both integrals are sums on an even grid, which converge
    faster than any power of the step for integrands that are analytic and vanish at both ends;
    S is computed as a tail, so small probabilities keep their digits (measured against scipy and
    R: 1e-10 of the value and better).
    """
    if math.isnan(q) or math.isnan(df):
        return math.nan
    if q <= 0 or math.isinf(q):
        return float(q <= 0)
    if df > _NORMAL:
        return float(_range_tail(np.array([q]), means)[0])
    from scipy import special

    half, spread = df / 2, 1 / math.sqrt(2 * df)
    low = min(math.log(3 / q), 0.0) - _EFOLDS / df - 9 * spread
    step = min(0.08, 0.5 * spread)
    u = np.arange(low, 9 * spread + 1.0, step)
    constant = math.log(2) + half * math.log(half) - float(special.gammaln(half))
    log_density = constant + df * u - half * np.exp(2 * u)
    used = log_density > -745.0
    tail = _range_tail(q * np.exp(u[used]), means)
    return float(min(1.0, step * (np.exp(log_density[used]) @ tail)))


def studentized_range_quantile(level: float, means: int, df: float) -> float:
    """The q that Q stays below with probability `level`."""
    from scipy import optimize

    def excess(log_q: float) -> float:
        return studentized_range_sf(math.exp(log_q), means, df) - (1 - level)

    top = 1.0
    while excess(top) > 0:
        top += 1.0
    return math.exp(float(optimize.brentq(excess, -20.0, top, xtol=1e-12, rtol=1e-12)))


def _range_tail(w: FloatArray, means: int) -> FloatArray:
    """P(range of k standard normals > w), for each w > 0.

    k integral phi(z) Phi(z)^(k-1) [1 - (1 - Phi(z - w) / Phi(z))^(k-1)] dz, z the largest.
    """
    from scipy import special

    # Up to w = 60 the mass sits near z = w / 2; beyond, the tail is below the smallest double.
    step = 0.2
    z = np.arange(-9.0, 9.0 + min(60.0, float(w.max(initial=0.0))) / 2, step)
    log_cdf = special.log_ndtr(z)
    weight = means * step * np.exp((means - 1) * log_cdf - z * z / 2) / math.sqrt(2 * math.pi)
    out = np.empty_like(w)
    for start in range(0, len(w), 256):
        part = w[start : start + 256, None]
        ratio = np.exp(np.minimum(special.log_ndtr(z - part) - log_cdf, 0.0))
        with np.errstate(divide="ignore"):
            inner = -np.expm1((means - 1) * np.log1p(-ratio))
        out[start : start + 256] = inner @ weight
    return np.minimum(out, 1.0)


def _by_pair(function: Callable[..., float], *arguments: float | FloatArray) -> FloatArray:
    """The function of each row of arguments, once for rows that repeat."""
    rows = list(zip(*(np.ravel(a).tolist() for a in np.broadcast_arrays(*arguments)), strict=True))
    found = {row: function(*row) for row in dict.fromkeys(rows)}
    return np.array([found[row] for row in rows], dtype=np.float64)
