"""A test and limits for each coefficient: Student's t with the right degrees of freedom."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from . import estimates
from ._types import FloatArray
from .ols import OlsRecord

if TYPE_CHECKING:
    from .estimates import Record

__all__ = ["covariance", "dfs", "p_values", "standard_errors", "t_values", "wald_limits"]


def covariance(record: Record, ddf: str | None = None) -> FloatArray:
    """(r, r) covariance of the kept coefficients, by Kenward and Roger if `ddf` says so."""
    if ddf is None or isinstance(record, OlsRecord):
        return estimates.covariance(record)
    from .inference import degrees

    return degrees.covariance(record, ddf)


def standard_errors(record: Record, ddf: str | None = None) -> FloatArray:
    """(p,) standard errors that go with `ddf`."""
    return expand(record, np.sqrt(np.diag(covariance(record, ddf))))


def t_values(record: Record, ddf: str | None = None) -> FloatArray:
    """(p,) estimates over standard errors."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return estimates.coefficients(record) / standard_errors(record, ddf)


def dfs(record: Record, ddf: str = "satterthwaite") -> FloatArray:
    """(p,) degrees of freedom of each coefficient; NaN for dropped columns.

    A fit without residual variance has none: NaN.
    """
    if isinstance(record, OlsRecord):
        return estimates.residual_df(record)
    if estimates.sigma(record) == 0 or not len(record.kept):
        return np.full(len(record.names), math.nan)
    from .inference import degrees

    return expand(record, degrees.df(record, np.eye(len(record.kept)), ddf))


def p_values(record: Record, ddf: str = "satterthwaite") -> FloatArray:
    """(p,) two-sided p-values of the coefficients."""
    from scipy import special

    return np.asarray(2.0 * special.stdtr(dfs(record, ddf), -np.abs(t_values(record, ddf))))


def wald_limits(
    record: Record, level: float = 0.95, ddf: str | None = None
) -> tuple[FloatArray, FloatArray]:
    """Estimates plus and minus standard errors: t for `lm` and where `ddf` is given, else normal.

    Raises
    ------
    SpecificationError
        For a level outside 0 to 1, or another method.
    """
    if isinstance(record, OlsRecord) or ddf is None:
        return estimates.conf_int(record, level)
    from scipy import special

    upper = (1 + estimates.check_level(level)) / 2
    beta = estimates.coefficients(record)
    half = special.stdtrit(dfs(record, ddf), upper) * standard_errors(record, ddf)
    return beta - half, beta + half


def expand(record: Record, values: FloatArray) -> FloatArray:
    """A value a kept column to a value a column, NaN for dropped ones."""
    out = np.full(len(record.names), np.nan)
    out[record.kept] = values
    return out
