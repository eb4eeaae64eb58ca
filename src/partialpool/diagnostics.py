"""Residuals, leverages and what follows from them, one value a used row.

For mixed models the leverage is the diagonal of d y_hat / d y given theta, w_i g_i' Omega^-1 g_i;
case deletion by exact refit is a different quantity and is not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._core import fill
from ._errors import SpecificationError, one_of
from ._types import FloatArray
from .estimates import covariance, sigma
from .ols import OlsRecord
from .predict import BLOCK, fitted, squared_lengths

if TYPE_CHECKING:
    from .estimates import Record

__all__ = [
    "cooks_distance",
    "hatvalues",
    "residuals",
    "rstudent",
    "sandwich",
    "standardized_residuals",
]

_KINDS = ("response", "pearson", "deviance", "working", "scaled")


def residuals(record: Record, kind: str = "response") -> FloatArray:
    """(nobs,) residuals.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    kind : {"response", "pearson", "deviance", "working", "scaled"}
        response and working: y - mu; pearson and deviance: sqrt(w) (y - mu), not divided by sigma;
        scaled: pearson / sigma.

    Raises
    ------
    SpecificationError
        For another kind.
    """
    one_of("kind", kind, _KINDS)
    assert record.rows.y is not None
    r = record.rows.y - fitted(record)
    if kind in ("response", "working"):
        return np.asarray(r)
    if record.rows.weights is not None:
        r = r * np.sqrt(record.rows.weights)
    if kind == "scaled":
        with np.errstate(divide="ignore", invalid="ignore"):  # sigma is 0 where X beta is y
            r = r / sigma(record)
    return np.asarray(r)


def hatvalues(record: Record) -> FloatArray:
    """(nobs,) leverages: d y_hat_i / d y_i, theta held fixed."""
    if isinstance(record, OlsRecord):
        h = squared_lengths(record, record.rows, record.root)
    else:
        from . import lmm

        problem = lmm.problem(record)
        h = np.asarray(problem.row_variances(record.solution.theta, record.rows))
    return h if record.rows.weights is None else h * record.rows.weights


def cooks_distance(record: Record) -> FloatArray:
    """(nobs,) Cook's distances, (r / (1 - h))^2 h / (sigma^2 p), r the Pearson residual.

    NaN without fixed effects.
    """
    h = hatvalues(record)
    r = residuals(record, "pearson")
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (r / (1 - h)) ** 2 * h / (sigma(record) ** 2 * len(record.kept))
    return np.asarray(found if len(record.kept) else np.full_like(h, np.nan))


def standardized_residuals(record: Record) -> FloatArray:
    """(nobs,) Pearson residuals over sigma sqrt(1 - h)."""
    h = hatvalues(record)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(residuals(record, "scaled") / np.sqrt(1 - h))


def rstudent(record: Record) -> FloatArray:
    """(nobs,) studentised residuals.

    For `lm` sigma is estimated without the row (the externally studentised residual); for `lmer`
    sigma is the model's, as in lme4.
    """
    if not isinstance(record, OlsRecord):
        return standardized_residuals(record)
    h = hatvalues(record)
    r = residuals(record, "pearson")
    with np.errstate(divide="ignore", invalid="ignore"):
        left = (record.rss - r**2 / (1 - h)) / (record.df_resid - 1)
        return np.asarray(r / np.sqrt(left * (1 - h)))


def sandwich(record: OlsRecord, kind: str) -> FloatArray:
    """(r, r) covariance of the coefficients of `lm`.

    Parameters
    ----------
    record : OlsRecord
    kind : "classical" or "HC3"
        HC3: squared residuals over (1 - h)^2 in the meat (MacKinnon and White 1985).

    Raises
    ------
    SpecificationError
        For another kind, and for HC3 where a row has a leverage of one.
    """
    one_of("kind", kind, ("classical", "HC3"))
    if kind == "classical":
        return covariance(record)
    h = hatvalues(record)
    if np.any(1 - h < 1e-10):  # calibrated: the rounding of a leverage that is one exactly
        row = int(np.argmax(h))
        raise SpecificationError(
            f"cov_params(kind='HC3'): used row {row} has leverage 1 (a coefficient of its own), so "
            "its residual says nothing of its variance. Use kind='classical' or drop the row."
        )
    rows = record.rows
    scale = residuals(record) / (1 - h)
    if rows.weights is not None:
        scale = scale * rows.weights
    columns = [rows.fixed[i] for i in record.kept]
    meat = np.zeros_like(record.R)
    for start in range(0, rows.nobs, BLOCK):
        stop = min(start + BLOCK, rows.nobs)
        scores = (fill(columns, start, stop) @ record.root) * scale[start:stop, None]
        meat += scores.T @ scores
    return np.asarray(record.root @ meat @ record.root.T)
