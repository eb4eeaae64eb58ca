"""What the tables ask of a record beyond its estimates: counts, measures of fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import diagnostics, estimates
from ..ols import OlsRecord

if TYPE_CHECKING:
    from ..estimates import Record

__all__ = [
    "criteria",
    "dropped_columns",
    "residual_quantiles",
    "rows_used",
]


def criteria(record: Record) -> dict[str, Any]:
    """Measures of fit by name: the row of ``glance()``."""
    out: dict[str, Any] = {
        "nobs": int(record.rows.nobs),
        "sigma": estimates.sigma(record),
        "llf": estimates.llf(record),
        "aic": estimates.aic(record),
        "bic": estimates.bic(record),
    }
    if isinstance(record, OlsRecord):
        out["deviance"] = estimates.deviance(record)
        out["df_resid"] = estimates.df_resid(record)
        out["rsquared"], out["rsquared_adj"] = estimates.r_squared(record)
        out["fvalue"], out["f_pvalue"] = estimates.f_statistic(record)
        return out
    if record.spec.reml:
        out["reml_criterion"] = estimates.reml_criterion(record)
    else:
        out["deviance"] = estimates.deviance(record)
    out["df_resid"] = estimates.df_resid(record)
    return out


def rows_used(record: Record) -> tuple[int, int | None]:
    """Rows used, and rows of the data (None when no longer known)."""
    nobs = int(record.rows.nobs)
    if record.rows.kept is None:
        return nobs, nobs
    return nobs, None if record.table is None else int(record.table.nrows)


def dropped_columns(record: Record) -> dict[str, tuple[str, ...]]:
    """Each dropped column with the columns that it repeats."""
    kept = set(record.kept.tolist())
    aliases = dict(record.aliases)
    return {
        name: tuple(record.names[i] for i in aliases.get(j, ()))
        for j, name in enumerate(record.names)
        if j not in kept
    }


def residual_quantiles(record: Record) -> tuple[float, ...]:
    """Minimum, quartiles, maximum: scaled residuals of a mixed model, weighted ones of ``lm``."""
    with np.errstate(divide="ignore", invalid="ignore"):  # a perfect fit has sigma = 0
        values = diagnostics.residuals(
            record, "pearson" if isinstance(record, OlsRecord) else "scaled"
        )
        return tuple(np.quantile(values, (0.0, 0.25, 0.5, 0.75, 1.0)).tolist())
