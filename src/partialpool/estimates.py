"""What a fit says about its parameters: free functions on the records of `lm` and `lmer`.

Vectors over the fixed effects have an element for every column of the design, dropped columns NaN;
matrices have the kept columns only.
"""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ._core import linear
from ._errors import SpecificationError, UnavailableError
from ._types import FloatArray
from .ols import OlsRecord

if TYPE_CHECKING:
    from .lmm import LmmRecord

    Record: TypeAlias = OlsRecord | LmmRecord

__all__ = [
    "SINGULAR",
    "aic",
    "bic",
    "check_level",
    "coefficients",
    "conf_int",
    "covariance",
    "deviance",
    "df_model",
    "df_resid",
    "f_statistic",
    "is_singular",
    "llf",
    "parameters",
    "quantile",
    "r_squared",
    "reml_criterion",
    "residual_df",
    "sigma",
    "singular_terms",
    "standard_errors",
    "t_values",
]

SINGULAR = 1e-4
"""A diagonal element of a relative factor below this counts as zero (inherited from lme4)."""


def coefficients(record: Record) -> FloatArray:
    """(p,) fixed effects."""
    beta = record.beta if isinstance(record, OlsRecord) else record.solution.beta
    return _expand(record, beta)


def standard_errors(record: Record) -> FloatArray:
    """(p,) standard errors of the fixed effects."""
    return _expand(record, np.sqrt(np.diag(covariance(record))))


def sigma(record: Record) -> float:
    """Residual standard deviation (of a row with weight 1)."""
    return float(record.sigma if isinstance(record, OlsRecord) else record.solution.sigma)


def covariance(record: Record) -> FloatArray:
    """(r, r) covariance of the kept coefficients: sigma^2 (X'V^-1 X)^-1."""
    if isinstance(record, OlsRecord):
        return record.sigma**2 * (record.root @ record.root.T)
    return record.solution.sigma**2 * record.solution.cov_unscaled


def conf_int(record: Record, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Wald limits of the fixed effects: t quantiles for `lm`, normal ones for `lmer`."""
    beta = coefficients(record)
    half = quantile(record, level) * standard_errors(record)
    return beta - half, beta + half


def quantile(record: Record, level: float) -> float:
    """Half-width of a two-sided interval in standard errors."""
    from scipy import special

    upper = (1 + check_level(level)) / 2
    if isinstance(record, OlsRecord):
        return float(special.stdtrit(record.df_resid, upper))
    return float(special.ndtri(upper))


def t_values(record: Record) -> FloatArray:
    """(p,) estimates over standard errors."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return coefficients(record) / standard_errors(record)


def residual_df(record: OlsRecord) -> FloatArray:
    """(p,) degrees of freedom of each coefficient of `lm`."""
    return _expand(record, np.full(len(record.kept), float(record.df_resid)))


def df_resid(record: Record) -> int:
    """n - rank(X) for `lm`, n - number of parameters for `lmer`, as in lme4."""
    if isinstance(record, OlsRecord):
        return int(record.df_resid)
    return int(record.rows.nobs) - parameters(record)


def df_model(record: Record) -> int:
    """rank(X), less one for an intercept."""
    return len(record.kept) - int(has_intercept(record))


def has_intercept(record: Record) -> bool:
    """True if the formula has an intercept; dummies that span it do not count, as in R."""
    return any(not c.numeric and not c.lookups for c in record.rows.fixed)


def parameters(record: Record) -> int:
    """Number of estimated parameters: fixed effects, theta, sigma."""
    theta = 0 if isinstance(record, OlsRecord) else len(record.solution.theta)
    return len(record.kept) + theta + 1


def llf(record: Record) -> float:
    """Log-likelihood (the restricted one of a REML fit), with its constants, as R's ``logLik``."""
    if not isinstance(record, OlsRecord):
        return -0.5 * float(record.solution.objective)
    n = record.rows.nobs
    logs = 0.0 if record.rows.weights is None else float(np.log(record.rows.weights).sum())
    if record.rss == 0:
        return math.inf
    return 0.5 * (logs - n * (math.log(2 * math.pi * record.rss / n) + 1))


def aic(record: Record) -> float:
    """Akaike's criterion."""
    return -2 * llf(record) + 2 * parameters(record)


def bic(record: Record) -> float:
    """Schwarz's criterion, with log(nobs) under REML too."""
    return -2 * llf(record) + math.log(record.rows.nobs) * parameters(record)


def deviance(record: Record) -> float:
    """Residual sum of squares of `lm`; -2 log-likelihood of `lmer` fitted by ML."""
    if isinstance(record, OlsRecord):
        return float(record.rss)
    if record.spec.reml:
        raise UnavailableError(
            "A REML fit has no deviance: its criterion is not comparable between fixed parts. "
            "Read reml_criterion, or fit by maximum likelihood with refit_ml()."
        )
    return float(record.solution.objective)


def reml_criterion(record: LmmRecord) -> float:
    """-2 restricted log-likelihood of a REML fit."""
    if not record.spec.reml:
        raise UnavailableError(
            "A fit by maximum likelihood has no reml_criterion. Read deviance, or fit with "
            "reml=True."
        )
    return float(record.solution.objective)


def r_squared(record: OlsRecord) -> tuple[float, float]:
    """R^2 and adjusted R^2 of `lm`, about the mean if the formula has an intercept."""
    model = _model_ss(record)
    share = model / (model + record.rss) if model + record.rss > 0 else math.nan
    free = record.rows.nobs - int(has_intercept(record))
    return share, 1 - (1 - share) * free / record.df_resid


def f_statistic(record: OlsRecord) -> tuple[float, float]:
    """F statistic of `lm` against the intercept alone and its p-value; NaN if there is no more."""
    from scipy import special

    k = df_model(record)
    if k == 0:
        return math.nan, math.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        f = float(np.float64(_model_ss(record) / k) / record.sigma**2)
    return f, float(special.fdtrc(k, record.df_resid, f))


def _lowest_scales(record: LmmRecord) -> tuple[float, ...]:
    """The smallest diagonal element of each term's relative factor."""
    return tuple(float(np.diag(f).min()) for f in record.layout.lambdas(record.solution.theta))


def is_singular(record: LmmRecord) -> bool:
    """True if some relative factor has a diagonal element below 1e-4."""
    return min(_lowest_scales(record), default=1.0) < SINGULAR


def singular_terms(record: LmmRecord) -> tuple[str, ...]:
    """The bars, as written, with such an element."""
    scales = zip(record.rows.terms, _lowest_scales(record), strict=True)
    return tuple(term.spec.text for term, scale in scales if scale < SINGULAR)


def check_level(level: float) -> float:
    """The level itself, if it is one.

    Raises
    ------
    SpecificationError
        Unless 0 < level < 1.
    """
    if isinstance(level, bool) or not isinstance(level, numbers.Real) or not 0 < level < 1:
        raise SpecificationError(f"level={level!r} must be a number between 0 and 1, such as 0.95.")
    return float(level)


def _model_ss(record: OlsRecord) -> float:
    """Weighted sum of squares of X beta, about its mean if the formula has an intercept."""
    rows = record.rows
    centred = has_intercept(record)
    # The intercept drops out of the deviations; with y at 1e12 it would take their digits along.
    used = [
        (column, b)
        for column, b in zip((rows.fixed[i] for i in record.kept), record.beta, strict=True)
        if not centred or column.numeric or column.lookups
    ]
    if not used:
        return 0.0
    fit = linear([c for c, _ in used], np.array([b for _, b in used]), rows.nobs)
    w = rows.weights if rows.weights is not None else np.ones(len(fit))
    center = float(w @ fit / w.sum()) if centred else 0.0
    return float(w @ (fit - center) ** 2)


def _expand(record: Record, values: FloatArray) -> FloatArray:
    out = np.full(len(record.names), np.nan)
    out[record.kept] = values
    return out
