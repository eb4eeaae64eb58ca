"""How much of the variance a model explains: ICC, R^2, AICc, RMSE."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ._core import fill, linear
from ._errors import UnavailableError
from ._types import FloatArray
from .diagnostics import residuals
from .estimates import aic, parameters, sigma
from .ols import OlsRecord
from .predict import BLOCK

if TYPE_CHECKING:
    from .estimates import Record
    from .lmm import LmmRecord

__all__ = ["ICC", "R2", "Parts", "aicc", "icc", "parts", "r2", "rmse"]


class ICC(NamedTuple):
    """Intraclass correlation: the share of the variance that lies between groups.

    Attributes
    ----------
    adjusted : float
        Of the variance that the fixed effects leave: a / (a + d).
    unadjusted : float
        Of all variance: a / (f + a + d).
    """

    adjusted: float
    unadjusted: float


class R2(NamedTuple):
    """Share of the variance that is explained.

    Attributes
    ----------
    marginal : float
        By the fixed effects: f / (f + a + d).
    conditional : float
        By fixed and random effects: (f + a) / (f + a + d).
    """

    marginal: float
    conditional: float


class Parts(NamedTuple):
    """The variance of y in three parts.

    Attributes
    ----------
    fixed : float
        f: the variance of X beta over the used rows, with n - 1; the offset is not part of it.
    random : float
        a: the sum over the terms of the mean over rows of z' Sigma z.
    residual : float
        d: sigma^2, with weights the variance of a row of weight 1.
    """

    fixed: float
    random: float
    residual: float


def parts(record: LmmRecord) -> Parts:
    """The variance of y in three parts.

    Parameters
    ----------
    record : LmmRecord

    Returns
    -------
    Parts

    Notes
    -----
    Rows are read in blocks and Z is never formed: n (p + sum k^2) flops, n doubles.

    Source: Nakagawa, Johnson & Schielzeth (2017); Johnson (2014) for random slopes.
    """
    scale = sigma(record) ** 2
    random = 0.0
    factors = record.layout.lambdas(record.solution.theta)
    for term, factor in zip(record.rows.terms, factors, strict=True):
        square = 0.0
        for start in range(0, record.rows.nobs, BLOCK):
            stop = min(start + BLOCK, record.rows.nobs)
            # z' Sigma z = sigma^2 |lambda' z|^2
            square += float(np.sum((fill(term.columns, start, stop) @ factor) ** 2))
        random += scale * square / record.rows.nobs
    return Parts(_fixed_variance(record), random, scale)


def icc(record: Record) -> ICC:
    """Intraclass correlation of a mixed model.

    Parameters
    ----------
    record : LmmRecord

    Returns
    -------
    ICC
        NaN where the response has no variance.

    Raises
    ------
    UnavailableError
        For `lm`, which has no groups.

    Notes
    -----
    Cost and source as in `parts`. With weights, the residual variance that enters is that of a row
    of weight 1. A term of variance zero (a singular fit) counts as zero.
    """
    if isinstance(record, OlsRecord):
        raise UnavailableError(
            "A linear model has no groups, so no intraclass correlation. Fit pp.lmer with a term "
            "such as (1 | g)."
        )
    f, a, d = parts(record)
    return ICC(_share(a, a + d), _share(a, f + a + d))


def r2(record: Record) -> R2:
    """Nakagawa's R^2 of a mixed model.

    Parameters
    ----------
    record : LmmRecord

    Returns
    -------
    R2
        NaN where the response has no variance.

    Raises
    ------
    UnavailableError
        For `lm`, whose R^2 is ``rsquared``.

    Notes
    -----
    Cost and source as in `parts`; weights as in `icc`.
    """
    if isinstance(record, OlsRecord):
        raise UnavailableError(
            "Marginal and conditional R^2 are for models with random effects. Read rsquared, or "
            "rsquared_adj."
        )
    f, a, d = parts(record)
    return R2(_share(f, f + a + d), _share(f + a, f + a + d))


def aicc(record: Record) -> float:
    """Akaike's criterion with the correction for small samples.

    AIC + 2 k (k + 1) / (n - k - 1), k parameters (fixed effects, theta, sigma) and n rows; under
    REML of the restricted likelihood, as `aic`. Infinite where n <= k + 1.

    Source: Hurvich & Tsai (1989).
    """
    k, n = parameters(record), record.rows.nobs
    if n <= k + 1:
        return math.inf
    return aic(record) + 2 * k * (k + 1) / (n - k - 1)


def rmse(record: Record) -> float:
    """Root mean square of the response residuals y - fitted; of `lmer` the conditional ones.

    Weights do not enter, and the divisor is n: it is in units of y and describes these rows, where
    sigma estimates the residual standard deviation of the population.
    """
    r = residuals(record)
    return math.sqrt(float(r @ r) / len(r))


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan


def _fixed_variance(record: LmmRecord) -> float:
    """Sample variance of X beta over the rows."""
    rows = record.rows
    # The intercept adds nothing but rounding.
    used = [
        (rows.fixed[i], b)
        for i, b in zip(record.kept, record.solution.beta, strict=True)
        if rows.fixed[i].numeric or rows.fixed[i].lookups
    ]
    if not used:
        return 0.0
    fit: FloatArray = linear([c for c, _ in used], np.array([b for _, b in used]), rows.nobs)
    return float(np.var(fit, ddof=1))
