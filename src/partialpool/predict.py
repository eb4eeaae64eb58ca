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
from . import table as tables
from ._core import fill, linear
from ._core import random as random_sum
from ._errors import FormulaError, SpecificationError, one_of
from ._types import BoolArray, Column, FloatArray, Group, RandomTerm
from .coding import expand
from .estimates import check_level, quantile, sigma
from .ols import OlsRecord
from .schema import plan_of

if TYPE_CHECKING:
    from .design import Rows
    from .estimates import Record
    from .formula import Bar
    from .lmm import LmmRecord
    from .schema import GroupSchema
    from .table import Table

__all__ = ["BLOCK", "Prediction", "fitted", "predict", "squared_lengths"]

BLOCK = 8192  # rows of X at a time, as in `qr`

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
    return _mean(record, record.rows, _chosen_columns(record, random))


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
    Quantiles: Student's t for `lm`, and for `lmer` with ``random="none"``, with Satterthwaite's
    degrees of freedom a row; normal where random effects take part.

    Raises
    ------
    FormulaError
        If `random` names what was not fitted.
    DataError
        For unseen levels and missing columns.
    """
    one_of("new_levels", new_levels, ("error", "population"))
    one_of("interval", interval, (None, "confidence", "prediction"))
    check_level(level)
    chosen = _chosen_columns(record, random)
    if data is None:
        rows = record.rows
    else:
        rows = _new_rows(record, data, chosen=chosen, new_levels=new_levels)
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
    if isinstance(record, OlsRecord) or any(map(any, chosen)):
        half = quantile(record, level) * spread
    else:
        half = _t_quantiles(record, rows, level, variance, spread**2 - variance) * spread
    half[spread == 0] = 0.0
    return Prediction(fit, error, fit - half, fit + half)


def _t_quantiles(
    record: LmmRecord, rows: Rows, level: float, variance: FloatArray, extra: FloatArray
) -> FloatArray:
    """(n,) quantiles of Student's t with Satterthwaite's df of x'C x + `extra`, a share of sigma^2.

    docs/math.md, M11: df = 2 v^2 / (g'A g) with g the gradient of the variance v.
    """
    from scipy import special

    from .inference import degrees

    found = degrees.satterthwaite(record)
    columns = [rows.fixed[i] for i in record.kept]
    out = np.empty(rows.nobs)
    for start in range(0, rows.nobs, BLOCK):
        stop = min(start + BLOCK, rows.nobs)
        X = found.root.transformed(fill(columns, start, stop))
        g = np.stack([((X @ G) * X).sum(axis=1) for G in found.gradients])
        v = variance[start:stop] + extra[start:stop]
        g[-1] += extra[start:stop]
        with np.errstate(divide="ignore", invalid="ignore"):
            df = 2 * v**2 / np.einsum("kn,kl,ln->n", g, found.parameter_covariance, g)
        out[start:stop] = df
    return np.asarray(special.stdtrit(out, (1 + level) / 2))


def _fixed_part(record: Record, rows: Rows) -> FloatArray:
    """(n,) X beta over the kept columns, offset not included."""
    beta = record.beta if isinstance(record, OlsRecord) else record.solution.beta
    value: FloatArray = linear([rows.fixed[i] for i in record.kept], beta, rows.nobs)
    return value


def _random_part(record: LmmRecord, rows: Rows, chosen: Chosen) -> FloatArray:
    """(n,) Z b over the chosen columns; rows without a level of a term get 0 from it."""
    total = np.zeros(rows.nobs)
    for term, b, use in zip(rows.terms, record.solution.b, chosen, strict=True):
        if any(use):
            columns = [c for c, u in zip(term.columns, use, strict=True) if u]
            part = np.ascontiguousarray(b[:, np.asarray(use)])
            total += random_sum(columns, rows.groups[term.group].codes, part, rows.nobs)
    return total


def _chosen_columns(record: Record, random: str | None) -> Chosen:
    """Which columns of each term `random` asks for.

    Raises
    ------
    FormulaError
        If a bar is not part of the fitted terms.
    SpecificationError
        If it is no formula, or the model has no random effects.
    """
    terms = record.rows.terms
    if random == "all":
        return tuple((True,) * len(t.columns) for t in terms)
    if random is None or random == "none":
        return tuple((False,) * len(t.columns) for t in terms)
    if not isinstance(random, str) or "~" not in random:
        raise SpecificationError(
            f"random={random!r} must be 'all', 'none' or a formula such as '~ (1 | g)'."
        )
    if isinstance(record, OlsRecord):
        raise SpecificationError(f"random={random!r}: a linear model has no random effects.")
    chosen = [[False] * len(t.columns) for t in terms]
    parsed = formulas.parse_random(random)
    if not parsed.bars:
        raise FormulaError(
            "There is no bar such as (1 | g) in it; random='none' asks for the population.", random
        )
    for bar, keys in zip(parsed.bars, plan_of(parsed).bars, strict=True):
        _choose(bar, keys, record, chosen, random)
    return tuple(tuple(c) for c in chosen)


def _choose(
    bar: Bar,
    keys: tuple[tuple[str, ...], ...],
    record: LmmRecord,
    chosen: list[list[bool]],
    random: str,
) -> None:
    """Mark the columns of one bar, coded as in the fit, in the fitted terms."""
    terms = record.rows.terms
    group = ":".join(f.text for f in bar.group)
    of_group = [k for k, t in enumerate(terms) if t.spec.group == group]
    if not of_group:
        have = ", ".join(dict.fromkeys(t.spec.group for t in terms))
        raise FormulaError(
            f"No fitted term has the group {group!r}; there are: {have}.", random, bar.position
        )
    fitted_columns = {
        column: (k, i) for k in of_group for i, column in enumerate(terms[k].spec.columns)
    }
    pieces = record.schema.pieces
    unknown = [key for term in keys for key in term if key not in pieces]
    asked = unknown or [recipe.name for recipe in expand(keys, pieces)[0]]
    for column in asked:
        if column not in fitted_columns:
            raise FormulaError(
                f"{bar.text} asks for {column!r}, which was not fitted; the columns of {group!r} "
                f"are: {', '.join(fitted_columns)}.",
                random,
                bar.position,
            )
        k, i = fitted_columns[column]
        chosen[k][i] = True


def _mean(record: Record, rows: Rows, chosen: Chosen) -> FloatArray:
    fit = _fixed_part(record, rows)
    if rows.offset is not None:
        fit = fit + rows.offset
    if not isinstance(record, OlsRecord) and any(map(any, chosen)):
        fit = fit + _random_part(record, rows, chosen)
    if rows.missing is not None:
        fit[rows.missing] = np.nan
    return fit


def _new_rows(record: Record, data: Any, *, chosen: Chosen, new_levels: str) -> Rows:
    """The rows of new data; groups whose effects take no part need not be there."""
    table = tables.of(data)
    schema = record.schema
    used = [t for t, use in enumerate(chosen) if any(use)]
    groups = sorted({schema.terms[t].group for t in used})
    part = schema._replace(
        terms=tuple(
            schema.terms[t]._replace(group=groups.index(schema.terms[t].group)) for t in used
        ),
        groups=tuple(schema.groups[g] for g in groups),
    )
    rows = design.rebuild(part, table, random=bool(used), new_levels=new_levels)
    absent = [_absent(schema.groups[g], table) for g in groups]
    if absent:
        missing = np.logical_or.reduce(absent)
        rows = rows._replace(missing=missing if rows.missing is None else rows.missing | missing)
    if isinstance(record, OlsRecord) or not used:
        return rows
    return _completed(rows, record, used, groups)


def _absent(group: GroupSchema, table: Table) -> BoolArray:
    """(n,) rows in which a grouping factor is missing, as opposed to new."""
    flags = [table.factor(part.names[0]).codes < 0 for part in group.parts]
    return np.asarray(np.logical_or.reduce(flags))


def _completed(rows: Rows, record: LmmRecord, used: list[int], groups: list[int]) -> Rows:
    """The rows with all terms of the fit, the ones that take no part with columns of zeros."""
    own = dict(zip(used, rows.terms, strict=True))
    place = dict(zip(groups, rows.groups, strict=True))
    zeros, first = np.zeros(rows.nobs), np.zeros(rows.nobs, dtype=np.int32)
    terms = tuple(
        own[t]._replace(group=term.group)
        if t in own
        else _masked(term, (False,) * len(term.columns), zeros)
        for t, term in enumerate(record.rows.terms)
    )
    full = tuple(
        place.get(g, Group(group.name, first, group.levels))
        for g, group in enumerate(record.rows.groups)
    )
    return rows._replace(terms=terms, groups=full)


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
    from .roots import root

    columns = [rows.fixed[i] for i in record.kept]
    found = root(record)
    out = np.empty(rows.nobs)
    for start in range(0, rows.nobs, BLOCK):
        stop = min(start + BLOCK, rows.nobs)
        out[start:stop] = (found.of(fill(columns, start, stop)) ** 2).sum(axis=1)
    return out


def squared_lengths(record: Record, rows: Rows, root: FloatArray) -> FloatArray:
    """(n,) x' root root' x of each row, over the r kept columns of X; `root` is (r, r)."""
    columns = [rows.fixed[i] for i in record.kept]
    out = np.empty(rows.nobs)
    for start in range(0, rows.nobs, BLOCK):
        stop = min(start + BLOCK, rows.nobs)
        out[start:stop] = ((fill(columns, start, stop) @ root) ** 2).sum(axis=1)
    return out


def _without(rows: Rows, chosen: Chosen) -> Rows:
    """The rows with zeros in the random-effects columns that do not take part."""
    zeros = np.zeros(rows.nobs)
    terms = zip(rows.terms, chosen, strict=True)
    return rows._replace(terms=tuple(_masked(term, use, zeros) for term, use in terms))


def _masked(term: RandomTerm, use: tuple[bool, ...], zeros: FloatArray) -> RandomTerm:
    """A term with `zeros` in the columns not used."""
    pairs = zip(term.columns, use, strict=True)
    return term._replace(columns=tuple(c if u else Column(c.name, (zeros,), ()) for c, u in pairs))
