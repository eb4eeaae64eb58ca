"""Data frames of a fit in the library of its data: coefficients, one line, one row a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import diagnostics, estimates, predict, quality, varcorr
from .._errors import SpecificationError, UnavailableError, one_of
from ..ols import OlsRecord
from . import quantities, tables

if TYPE_CHECKING:
    from ..estimates import Record
    from ..lmm import LmmRecord

__all__ = ["augment", "glance", "tidy", "tidy_columns"]

EFFECTS = ("fixed", "ran_pars", "ran_vals")
DDF = ("satterthwaite", "kenward-roger")
_TEXT = ("effect", "group", "level", "term")


def tidy(
    record: Record,
    *,
    effects: str | Sequence[str] = "fixed",
    conf_int: bool = False,
    level: float = 0.95,
    ddf: str = "satterthwaite",
) -> Any:
    """Coefficients as a data frame, a row each; names of rows as in R's broom.mixed.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    effects : {"fixed", "ran_pars", "ran_vals"} or a list of them
        Fixed effects; standard deviations and correlations, ``sd(Intercept)``,
        ``cor(Intercept, Days)``, ``sd(Observation)`` in group ``Residual``; conditional modes with
        their conditional standard deviations (adds a column ``level``).
    conf_int : bool
        Adds ``conf_low`` and ``conf_high``: estimate plus and minus standard errors, by Student's t
        with the `df` of the row (normal for conditional modes; none for ``ran_pars``).
    level : float
        Level of the limits.
    ddf : "satterthwaite" or "kenward-roger"
        Degrees of freedom of ``lmer``, and the standard errors that go with them.

    Returns
    -------
    data frame
        Columns ``effect, group, term, estimate, std_error, statistic, df, p_value``.

    Raises
    ------
    SpecificationError
        For unknown effects, random effects of a linear model, or a level outside 0 to 1.
    """
    columns = tidy_columns(record, effects=effects, conf_int=conf_int, level=level, ddf=ddf)
    return _frame(record, columns)


def tidy_columns(
    record: Record,
    *,
    effects: str | Sequence[str],
    conf_int: bool,
    level: float,
    ddf: str = "satterthwaite",
) -> dict[str, list[Any]]:
    """The columns of `tidy` as lists."""
    asked = _check_effects(record, effects)
    one_of("ddf", ddf, DDF)
    upper = (1 + estimates.check_level(level)) / 2
    keys = ["effect", "group", "term", "estimate", "std_error", "statistic", "df", "p_value"]
    if "ran_vals" in asked:
        keys.insert(2, "level")
    if conf_int:
        keys += ["conf_low", "conf_high"]
    columns: dict[str, list[Any]] = {key: [] for key in keys}
    for name in asked:
        part = _part(record, name, ddf)
        part["effect"] = [name] * len(part["term"])
        if conf_int and "std_error" in part:
            part["conf_low"], part["conf_high"] = _limits(part, upper)
        for key in keys:
            absent = None if key in _TEXT else math.nan
            columns[key] += part.get(key, [absent] * len(part["term"]))
    return columns


def glance(record: Record) -> Any:
    """Measures of fit as a data frame of one row.

    Returns
    -------
    data frame
        Columns ``nobs, sigma, llf, aic, bic``, then ``deviance`` (or ``reml_criterion`` under
        REML), ``df_resid``; ``lm`` adds ``rsquared, rsquared_adj, fvalue, f_pvalue``; then ``aicc``
        (Hurvich & Tsai's) and ``rmse``, of the conditional residuals.
    """
    row = quantities.criteria(record)
    row |= {"aicc": quality.aicc(record), "rmse": quality.rmse(record)}
    return _frame(record, {k: [v] for k, v in row.items()})


def _check_effects(record: Record, effects: str | Sequence[str]) -> tuple[str, ...]:
    asked = (effects,) if isinstance(effects, str) else tuple(effects)
    for name in asked:
        if name not in EFFECTS:
            raise SpecificationError(
                f"tidy(effects={effects!r}): there are no effects {name!r}. "
                f"Use {', '.join(map(repr, EFFECTS))}, or a list of these."
            )
        if name != "fixed" and isinstance(record, OlsRecord):
            raise SpecificationError(
                f"tidy(effects={effects!r}): a linear model has no random effects. "
                "Use effects='fixed'."
            )
    return tuple(dict.fromkeys(asked))


def _limits(part: dict[str, list[Any]], upper: float) -> tuple[list[float], list[float]]:
    """Estimates plus and minus t (where there are df) or normal quantiles of standard errors."""
    from scipy import special

    estimate, error = np.array(part["estimate"]), np.array(part["std_error"])
    quantile = special.stdtrit(part["df"], upper) if "df" in part else special.ndtri(upper)
    return (estimate - quantile * error).tolist(), (estimate + quantile * error).tolist()


def _part(record: Record, effects: str, ddf: str) -> dict[str, list[Any]]:
    """Columns of one kind of effects."""
    if effects == "fixed" or isinstance(record, OlsRecord):
        table = tables.coefficients(record, ddf)
        return {f.key: list(f.values) for f in table.fields}
    return _ran_pars(record) if effects == "ran_pars" else _ran_vals(record)


def _ran_pars(record: LmmRecord) -> dict[str, list[Any]]:
    """Standard deviations of each term, its correlations, and the residual last."""
    groups: list[str] = []
    terms: list[str] = []
    values: list[float] = []
    for component in varcorr.of(record).components:
        sds, r = component.std_dev.tolist(), component.correlation
        names = [f"sd({c})" for c in component.columns]
        if not component.spec.diagonal:
            for j, left in enumerate(component.columns):
                for i in range(j + 1, len(component.columns)):
                    names.append(f"cor({left}, {component.columns[i]})")
                    sds.append(float(r[i, j]))
        groups += [component.group] * len(names)
        terms += names
        values += sds
    return {
        "group": [*groups, "Residual"],
        "term": [*terms, "sd(Observation)"],
        "estimate": [*values, estimates.sigma(record)],
    }


def _ran_vals(record: LmmRecord) -> dict[str, list[Any]]:
    """Conditional modes of every term, level by level, with conditional standard deviations."""
    from .. import lmm

    theta = record.solution.theta
    scale = estimates.sigma(record)
    covariances = lmm.problem(record).conditional_covariances(theta)
    out: dict[str, list[Any]] = {k: [] for k in ("group", "level", "term", "estimate", "std_error")}
    for term, b, cov in zip(record.rows.terms, record.solution.b, covariances, strict=True):
        group = record.rows.groups[term.group]
        levels = [str(level) for level in group.levels]
        sds = scale * np.sqrt(np.einsum("jkk->jk", cov))
        for k, name in enumerate(term.spec.columns):
            out["group"] += [group.name] * len(levels)
            out["level"] += levels
            out["term"] += [name] * len(levels)
            out["estimate"] += b[:, k].tolist()
            out["std_error"] += sds[:, k].tolist()
    return out


def augment(record: Record) -> Any:
    """The used rows of the data with what the fit says of them.

    Returns
    -------
    data frame
        The data's columns, then ``fitted, resid, hat, cooksd, std_resid``; for mixed models also
        ``fitted_population``, the fitted values without random effects. One row a used row.

    Raises
    ------
    UnavailableError
        If the fit was unpickled, which leaves the data behind.
    """
    if record.table is None:
        raise UnavailableError(
            "augment() needs the data, which a pickled model leaves behind. Fit again, or put "
            "fittedvalues and resid() beside the data yourself."
        )
    columns = {
        "fitted": predict.fitted(record),
        "resid": diagnostics.residuals(record),
        "hat": diagnostics.hatvalues(record),
        "cooksd": diagnostics.cooks_distance(record),
        "std_resid": diagnostics.standardized_residuals(record),
    }
    if not isinstance(record, OlsRecord):
        columns["fitted_population"] = predict.fitted(record, random="none")
    return record.table.augment(columns, record.rows.kept)


def _frame(record: Record, columns: dict[str, list[Any]]) -> Any:
    """A frame in the library of the data; pandas when the data are gone."""
    arrays = {k: _array(k, v) for k, v in columns.items()}
    if record.table is not None:
        return record.table.like(arrays)
    import pandas as pd

    return pd.DataFrame(arrays)


def _array(key: str, values: list[Any]) -> Any:
    return values if key in _TEXT else np.array(values)
