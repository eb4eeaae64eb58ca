"""Fitted values, predictions for new data, and their standard errors.

With g = (Lambda'z, x) and Omega the penalised normal equations, the error of x'beta + z'b has the
variance sigma^2 g' Omega^-1 g; a level that the fit has not seen adds z' Psi z; the population's
line has x' cov(beta) x. theta is taken as known throughout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from . import design
from . import formula as formulas
from ._core import fill, linear
from ._core import random as random_sum
from ._errors import FormulaError, SpecificationError
from ._types import BoolArray, Column, FloatArray, RandomTerm
from .estimates import check_level, covariance, quantile, sigma
from .ols import OlsRecord

if TYPE_CHECKING:
    from .design import Rows
    from .formula import Bar
    from .lmm import LmmRecord

    Record: TypeAlias = OlsRecord | LmmRecord

__all__ = ["Prediction", "chosen_columns", "fitted", "fixed_part", "predict", "random_part"]

_BLOCK = 8192

Chosen: TypeAlias = tuple[tuple[bool, ...], ...]
"""For each random-effects term, which of its columns take part."""


class Prediction(NamedTuple):
    """Predictions for n rows; the last three only on request.

    Attributes
    ----------
    fit, se, lower, upper : (n,) float64 or None
    """

    fit: FloatArray
    se: FloatArray | None = None
    lower: FloatArray | None = None
    upper: FloatArray | None = None


def fitted(record: Record, *, random: Any = "all") -> FloatArray:
    """(nobs,) fitted values of the used rows, offset included."""
    return _mean(record, record.rows, chosen_columns(record, random))


def predict(
    record: Record,
    data: Any = None,
    *,
    random: str | None = "all",
    new_levels: str = "error",
    se: bool = False,
    interval: str | None = None,
    level: float = 0.95,
) -> Prediction:
    """Predict the mean of y, or y, in the rows of `data`.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    data : table, optional
        n rows; the used rows of the fit when left out.
    random : "all", "none" or a formula of bars
        Which random effects take part; bars must be a subset of the fitted terms and columns.
    new_levels : "error" or "population"
        What a level that the fit has not seen means: an error, or a random effect of zero.
    se : bool
        Also standard errors, with theta taken as known.
    interval : None, "confidence" or "prediction"
        Limits for the mean, or for a new observation (sigma^2 / w is added).
    level : float

    Returns
    -------
    Prediction
        A missing predictor, or a missing group whose effect takes part, gives NaN.

    Notes
    -----
    Quantiles: Student's t for `lm`, normal for `lmer`.

    Raises
    ------
    FormulaError
        If `random` names what was not fitted.
    DataError
        For unseen levels and missing columns.
    """
    _check(new_levels, interval)
    check_level(level)
    chosen = chosen_columns(record, random)
    if data is None:
        rows = record.rows
    else:
        rows = _new_rows(record, data, chosen=chosen, new_levels=new_levels, interval=interval)
    fit = _mean(record, rows, chosen)
    if not se and interval is None:
        return Prediction(fit)
    variance = _variance(record, rows, chosen)
    variance[np.isnan(fit)] = np.nan
    error = np.sqrt(variance)
    if interval is None:
        return Prediction(fit, error)
    spread = error
    if interval == "prediction":
        residual = sigma(record) ** 2
        spread = np.sqrt(variance + (residual if rows.weights is None else residual / rows.weights))
    half = quantile(record, level) * spread
    return Prediction(fit, error, fit - half, fit + half)


def fixed_part(record: Record, rows: Rows) -> FloatArray:
    """(n,) X beta over the kept columns, offset not included."""
    beta = record.beta if isinstance(record, OlsRecord) else record.solution.beta
    value: FloatArray = linear([rows.fixed[i] for i in record.kept], beta, rows.nobs)
    return value


def random_part(record: LmmRecord, rows: Rows, chosen: Chosen) -> FloatArray:
    """(n,) Z b over the chosen columns; rows without a level of a term get 0 from it."""
    total = np.zeros(rows.nobs)
    for term, b, use in zip(rows.terms, record.solution.b, chosen, strict=True):
        if any(use):
            columns = [c for c, u in zip(term.columns, use, strict=True) if u]
            part = np.ascontiguousarray(b[:, np.asarray(use)])
            total += random_sum(columns, rows.groups[term.group].codes, part, rows.nobs)
    return total


def chosen_columns(record: Record, random: str | None) -> Chosen:
    """Which columns of each term `random` asks for.

    Raises
    ------
    FormulaError
        If a bar is not part of the fitted terms.
    """
    terms = record.rows.terms
    if not isinstance(random, (str, type(None))):
        raise SpecificationError(
            f"random={random!r} must be 'all', 'none' or a formula such as '~ (1 | g)'."
        )
    if random == "all":
        return tuple((True,) * len(t.columns) for t in terms)
    if random is None or random == "none":
        return tuple((False,) * len(t.columns) for t in terms)
    if isinstance(record, OlsRecord):
        raise SpecificationError(f"random={random!r}: a linear model has no random effects.")
    chosen = [[False] * len(t.columns) for t in terms]
    parsed = formulas.parse_random(random)
    for bar in parsed.bars:
        _choose(bar, terms, chosen, random)
    return tuple(tuple(c) for c in chosen)


def _choose(bar: Bar, terms: tuple[RandomTerm, ...], chosen: list[list[bool]], random: str) -> None:
    """Mark the columns of one bar in the fitted terms."""
    group = ":".join(f.text for f in bar.group)
    of_group = [k for k, t in enumerate(terms) if t.spec.group == group]
    if not of_group:
        have = ", ".join(dict.fromkeys(t.spec.group for t in terms))
        raise FormulaError(
            f"random={random!r}: no fitted term has the group {group!r}; there are: {have}.",
            random,
            bar.position,
        )
    for term in bar.terms:
        texts = tuple(f.text for f in term)
        hits = [
            (k, i)
            for k in of_group
            for i, column in enumerate(terms[k].spec.columns)
            if _belongs(column, texts)
        ]
        name = ":".join(texts) or "1"
        have = ", ".join(c for k in of_group for c in terms[k].spec.columns)
        if not hits:
            raise FormulaError(
                f"random={random!r}: {name!r} was not fitted for {group!r}; its columns are: "
                f"{have}.",
                random,
                bar.position,
            )
        for k, i in hits:
            column = terms[k].spec.columns[i]
            if "[T." in column and () not in bar.terms and "Intercept" in terms[k].spec.columns:
                raise FormulaError(
                    f"random={random!r}: {column!r} was fitted as a difference from the intercept "
                    "of its term and means nothing without it. Ask for the whole term.",
                    random,
                    bar.position,
                )
            chosen[k][i] = True


def _belongs(column: str, texts: tuple[str, ...]) -> bool:
    """True if a column called `column` came from the term with these factors."""
    if not texts:
        return column == "Intercept"
    if column == ":".join(texts):
        return True
    rest = column
    for k, text in enumerate(texts):
        if not rest.startswith(text):
            return False
        rest = rest[len(text) :]
        if rest.startswith("["):
            stop = rest.find("]:") if k + 1 < len(texts) else len(rest) - 1
            if stop < 0 or rest[stop] != "]":
                return False
            rest = rest[stop + 1 :]
        if k + 1 < len(texts):
            if not rest.startswith(":"):
                return False
            rest = rest[1:]
    return not rest


def _mean(record: Record, rows: Rows, chosen: Chosen) -> FloatArray:
    fit = fixed_part(record, rows)
    if rows.offset is not None:
        fit = fit + rows.offset
    if not isinstance(record, OlsRecord) and any(map(any, chosen)):
        fit = fit + random_part(record, rows, chosen)
    missing = _missing(rows)
    if missing is not None:
        fit[missing] = np.nan
    return fit


def _missing(rows: Rows) -> BoolArray | None:
    return rows.missing


def _new_rows(
    record: Record, data: Any, *, chosen: Chosen, new_levels: str, interval: str | None
) -> Rows:
    if interval == "prediction" and record.rows.weights is not None:
        _require_column(record.spec.weights, "weights", record)
    if record.rows.offset is not None:
        _require_column(record.spec.offset, "offset", record)
    used = any(map(any, chosen))
    return design.rebuild(record.schema, data, random=used, new_levels=new_levels)


def _require_column(shown: str | None, option: str, record: Record) -> None:
    if shown == "(array)":
        raise SpecificationError(
            f"The fit took {option} from an array, which says nothing about new rows. Put the "
            f"{option} in a column of the data and fit again with {option}='that column'."
        )


def _variance(record: Record, rows: Rows, chosen: Chosen) -> FloatArray:
    """(n,) variance of the predicted mean (minus the random effects that take part)."""
    if isinstance(record, OlsRecord) or not any(map(any, chosen)):
        return _fixed_variance(record, rows)
    from . import lmm

    problem = lmm.problem(record)
    if not all(map(all, chosen)):
        rows = _without(rows, chosen)
    unscaled = problem.row_variances(record.solution.theta, rows)
    return np.array(sigma(record) ** 2 * unscaled)


def _fixed_variance(record: Record, rows: Rows) -> FloatArray:
    """(n,) x' cov(beta) x."""
    columns = [rows.fixed[i] for i in record.kept]
    factor = record.sigma * record.root if isinstance(record, OlsRecord) else _root(record)
    out = np.empty(rows.nobs)
    for start in range(0, rows.nobs, _BLOCK):
        stop = min(start + _BLOCK, rows.nobs)
        out[start:stop] = ((fill(columns, start, stop) @ factor) ** 2).sum(axis=1)
    return out


def _root(record: LmmRecord) -> FloatArray:
    """A root of cov(beta)."""
    return np.linalg.cholesky(covariance(record))


def _without(rows: Rows, chosen: Chosen) -> Rows:
    """The rows with zeros in the random-effects columns that do not take part."""
    zeros = np.zeros(rows.nobs)
    terms = tuple(
        term._replace(
            columns=tuple(
                c if u else Column(c.name, (zeros,), ())
                for c, u in zip(term.columns, use, strict=True)
            )
        )
        for term, use in zip(rows.terms, chosen, strict=True)
    )
    return design.with_terms(rows, terms)


def _check(new_levels: str, interval: str | None) -> None:
    if new_levels not in ("error", "population"):
        raise SpecificationError(f"new_levels={new_levels!r} must be 'error' or 'population'.")
    if interval not in (None, "confidence", "prediction"):
        raise SpecificationError(
            f"interval={interval!r} must be None, 'confidence' or 'prediction'."
        )
