"""Confidence limits from bootstrap replicates."""

from __future__ import annotations

import math

import numpy as np

from .._errors import PartialPoolWarning, SpecificationError, warn
from .._types import FloatArray
from ..estimates import check_level

__all__ = [
    "KINDS",
    "acceleration",
    "basic",
    "bca",
    "needed",
    "normal",
    "percentile",
    "require_enough",
]

KINDS = ("percentile", "basic", "normal", "bca")


def percentile(replicates: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Quantiles of the replicates.

    Parameters
    ----------
    replicates : (count, q) float64
        NaN values are left out, column by column.
    level : float

    Returns
    -------
    lower, upper : (q,) float64

    Notes
    -----
    The quantile at p is the (count + 1) p-th value in order, interpolated.
    Source: Davison & Hinkley (1997), Bootstrap Methods and their Application, section 5.3.
    """
    tail = (1 - check_level(level)) / 2
    found = [(_quantile(column, tail), _quantile(column, 1 - tail)) for column in replicates.T]
    return _pair(found)


def basic(
    estimate: FloatArray, replicates: FloatArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """2 estimate - quantile: the error of a replicate as the error of the estimate.

    Source: Davison & Hinkley (1997), equation 5.6.
    """
    lower, upper = percentile(replicates, level)
    return 2 * estimate - upper, 2 * estimate - lower


def normal(
    estimate: FloatArray, replicates: FloatArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """Estimate less its bias, plus and minus normal quantiles of the standard error.

    Source: Davison & Hinkley (1997), equation 5.5.
    """
    from scipy import special

    z = float(special.ndtri((1 + check_level(level)) / 2))
    center = np.array([_mean(column) for column in replicates.T])
    error = np.array([_deviation(column) for column in replicates.T])
    return 2 * estimate - center - z * error, 2 * estimate - center + z * error


def bca(
    estimate: FloatArray,
    replicates: FloatArray,
    level: float,
    accelerations: FloatArray,
    names: tuple[str, ...],
) -> tuple[FloatArray, FloatArray]:
    """Quantiles moved for median bias and for a standard error that changes with the parameter.

    Parameters
    ----------
    estimate : (q,) float64
    replicates : (count, q) float64
    level : float
    accelerations : (q,) float64
        From `acceleration`.
    names : tuple of str
        For warnings: where all replicates lie on one side of the estimate there is no limit (NaN),
        and beyond the outermost replicates the limit is the outermost one.

    Notes
    -----
    Replicates equal to the estimate, as variances of zero are, count half in the median bias.
    Source: Efron (1987), Journal of the American Statistical Association 82, 171-185;
    DiCiccio & Efron (1996), Statistical Science 11, 189-228, equations 2.2 and 2.3.
    """
    from scipy import special

    tail = (1 - check_level(level)) / 2
    z = special.ndtri(np.array([tail, 1 - tail]))
    found, one_sided, outermost = [], [], []
    columns = zip(names, estimate, replicates.T, accelerations, strict=True)
    for name, value, column, a in columns:
        used = column[~np.isnan(column)]
        if math.isnan(value) or not len(used):
            found.append((math.nan, math.nan))
            continue
        below = (np.mean(used < value) + np.mean(used <= value)) / 2
        if not 0 < below < 1:
            one_sided.append(name)
            found.append((math.nan, math.nan))
            continue
        z0 = float(special.ndtri(below))
        at = special.ndtr(z0 + (z0 + z) / (1 - a * (z0 + z)))
        if (at * (len(used) + 1) < 1).any() or (at * (len(used) + 1) > len(used)).any():
            outermost.append(name)
        found.append((_quantile(column, at[0]), _quantile(column, at[1])))
    _warn_bca(one_sided, outermost, len(replicates))
    return _pair(found)


def acceleration(jackknife: FloatArray) -> FloatArray:
    """Acceleration of each parameter from estimates with one unit left out at a time.

    Parameters
    ----------
    jackknife : (units, q) float64

    Returns
    -------
    (q,) float64
        sum d^3 / (6 (sum d^2)^(3/2)), with d the mean less the value; 0 where nothing varies.

    Notes
    -----
    Source: Efron & Tibshirani (1993), An Introduction to the Bootstrap, equation 14.15.
    """
    out = np.zeros(jackknife.shape[1])
    for j, column in enumerate(jackknife.T):
        used = column[~np.isnan(column)]
        if not len(used):
            continue
        d = used.mean() - used
        size = np.abs(d).max()
        if size > 0:
            d = d / size
            out[j] = float((d**3).sum() / (6 * (d**2).sum() ** 1.5))
    return out


def needed(level: float, kind: str) -> int:
    """The fewest replicates whose quantiles lie within them."""
    if kind == "normal":
        return 2
    return math.ceil(2 / (1 - check_level(level)) - 1e-9) - 1


def require_enough(count: int, level: float, kind: str) -> int:
    """Refuse limits beyond the outermost replicates; returns how many are needed.

    Raises
    ------
    SpecificationError
    """
    least = needed(level, kind)
    if count < least:
        raise SpecificationError(
            f"{count} replicates are too few for {kind} limits at level={level:g}, which need at "
            f"least {least} (and many more to be steady). Draw more."
        )
    return least


def _pair(found: list[tuple[float, float]]) -> tuple[FloatArray, FloatArray]:
    both = np.array(found, dtype=np.float64).reshape(-1, 2)
    return both[:, 0].copy(), both[:, 1].copy()


def _quantile(column: FloatArray, p: float) -> float:
    used = column[~np.isnan(column)]
    return float(np.quantile(used, p, method="weibull")) if len(used) else math.nan


def _mean(column: FloatArray) -> float:
    used = column[~np.isnan(column)]
    return float(used.mean()) if len(used) else math.nan


def _deviation(column: FloatArray) -> float:
    used = column[~np.isnan(column)]
    return float(used.std(ddof=1)) if len(used) > 1 else math.nan


def _warn_bca(one_sided: list[str], outermost: list[str], count: int) -> None:
    if one_sided:
        warn(
            f"All replicates of {', '.join(one_sided[:5])} lie on one side of the estimate, so "
            "BCa has no limits for it (NaN). Use kind='percentile', or draw more replicates.",
            PartialPoolWarning,
        )
    if outermost:
        warn(
            f"The BCa limits of {', '.join(outermost[:5])} are the outermost of {count} "
            "replicates. Draw more.",
            PartialPoolWarning,
        )
