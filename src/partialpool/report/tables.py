"""Builds the report of a record: every table and remark, once, exact and formatted.

`report` puts together what R's ``summary`` shows, in its order; the parts are public too, so that
`tidy` and later pages read the same tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .. import coefficients as tests
from .. import effects, estimates, varcorr
from ..ols import OlsRecord
from . import notes, quantities
from .numbers import SIGNIF_LEGEND, align, column, fixed, joint, p_value, p_values, signif_code
from .structure import Block, Fact, Facts, Field, Report, Table

if TYPE_CHECKING:
    from ..estimates import Record
    from ..lmm import LmmRecord

__all__ = [
    "MAX_CORRELATIONS",
    "abbreviate",
    "coefficients",
    "correlation",
    "criteria",
    "fit_facts",
    "optimum",
    "random_effects",
    "report",
    "residuals",
    "size",
]

MAX_CORRELATIONS = 20  # inherited from lme4's print: a wider triangle helps nobody
_SHORT = 6  # letters of an abbreviated name


def report(record: Record) -> Report:
    """The whole report of a fit.

    Parameters
    ----------
    record : OlsRecord or LmmRecord

    Returns
    -------
    Report
    """
    fixed = [coefficients(record)] if record.names else []
    if isinstance(record, OlsRecord):
        blocks: tuple[Block, ...] = (about(record), residuals(record), *fixed, fit_facts(record))
        return Report("Linear model fit by least squares", "lm", (*blocks, *notes.quiet(record)))
    head = (*notes.loud(record), about(record), criteria(record), residuals(record))
    body = (random_effects(record), size(record), *fixed, *_correlation_or_note(record))
    title = f"Linear mixed model fit by {'REML' if record.spec.reml else 'maximum likelihood'}"
    return Report(title, "lmer", (*head, *body, optimum(record), *notes.quiet(record)))


def about(record: Record) -> Facts:
    """What was fitted to what: formula, rows used and left out, weights, offset."""
    spec = record.spec
    used, total = quantities.rows_used(record)
    shown = f"{used} rows"
    if total is not None and total != used:
        shown = f"{used} of {total} rows ({total - used} left out: {notes.why_left_out(record)})"
    items = [
        Fact("formula", "Formula", spec.formula, spec.formula),
        Fact("data", "Data", shown, {"rows_used": used, "rows": total}),
    ]
    if spec.weights is not None:
        items.append(Fact("weights", "Weights", spec.weights, spec.weights))
    if spec.offset is not None:
        items.append(Fact("offset", "Offset", spec.offset, spec.offset))
    return Facts("about", tuple(items))


def coefficients(record: Record, ddf: str = "satterthwaite") -> Table:
    """Fixed effects, a row each: estimate, standard error, df, t and p.

    Dropped columns keep their row, with NaN; `lm` shows no df, which are all the same.
    """
    linear = isinstance(record, OlsRecord)
    kind = None if ddf == "satterthwaite" else ddf  # whose standard errors theta does not adjust
    beta, se = estimates.coefficients(record), tests.standard_errors(record, kind)
    t = tests.t_values(record, kind)
    dfs = tuple(tests.dfs(record, ddf).tolist())
    p = tests.p_values(record, ddf).tolist()
    shown_estimate, shown_se = joint([beta.tolist(), se.tolist()])
    codes = tuple(map(signif_code, p))
    shown_df = column(dfs) if linear else column(dfs, decimals=2)
    fields = (
        Field("term", "", tuple(record.names), tuple(record.names), numeric=False),
        Field("estimate", "Estimate", tuple(beta.tolist()), shown_estimate),
        Field("std_error", "Std. Error", tuple(se.tolist()), shown_se),
        Field("df", "df", dfs, shown_df, hidden=linear),
        Field("statistic", "t value", tuple(t.tolist()), column(t.tolist(), decimals=3)),
        Field("p_value", "Pr(>|t|)", tuple(p), p_values(p)),
        Field("significance", "", codes, codes, numeric=False),
    )
    title = "Coefficients" if linear else "Fixed effects"
    legend = SIGNIF_LEGEND if any(codes) else ""
    return Table("fixed_effects", title, fields, legend=legend)


def random_effects(record: LmmRecord) -> Table:
    """Variances and standard deviations of the random effects and of the residual.

    A row a term's column, most levels first, the residual last; ``corr_1``, ``corr_2``, ... are the
    correlations with the first, second, ... column of the same term.
    """
    groups: list[str] = []
    names: list[str] = []
    sds: list[float] = []
    correlations: list[tuple[float, ...]] = []  # with the columns before, of the same term
    first: list[bool] = []
    for term in varcorr.of(record).components:
        std_dev, r = term.std_dev, term.correlation
        for i, name in enumerate(term.columns):
            groups.append(term.group)
            names.append(name)
            sds.append(float(std_dev[i]))
            correlations.append(() if term.spec.diagonal else tuple(r[i, :i].tolist()))
            first.append(i == 0)
    groups.append("Residual")
    names.append("")
    sds.append(estimates.sigma(record))
    correlations.append(())
    first.append(True)
    variances = [sd**2 for sd in sds]
    shown_groups = tuple(g if show else "" for g, show in zip(groups, first, strict=True))
    fields = [
        Field("group", "Groups", tuple(groups), shown_groups, numeric=False),
        Field("term", "Name", tuple(names), tuple(names), numeric=False),
        Field("variance", "Variance", tuple(variances), column(variances)),
        Field("std_dev", "Std.Dev.", tuple(sds), column(sds)),
    ]
    for j in range(max(map(len, correlations))):
        values = tuple(row[j] if j < len(row) else None for row in correlations)
        shown = tuple("" if v is None else fixed(v, 2) for v in values)
        fields.append(Field(f"corr_{j + 1}", "Corr" if j == 0 else "", values, shown))
    return Table("random_effects", "Random effects", tuple(fields), headers=2)


def residuals(record: Record) -> Table:
    """Least, quartiles and greatest of the residuals (mixed models: divided by sigma)."""
    values = quantities.residual_quantiles(record)
    labels = ("Min", "1Q", "Median", "3Q", "Max")
    keys = ("min", "q1", "median", "q3", "max")
    shown = align(values, digits=7 if isinstance(record, OlsRecord) else 5)
    fields = tuple(
        Field(k, label, (v,), (text,))
        for k, label, v, text in zip(keys, labels, values, shown, strict=True)
    )
    if not isinstance(record, OlsRecord):
        title = "Scaled residuals"
    else:
        title = "Residuals" if record.rows.weights is None else "Weighted residuals"
    return Table("residuals", title, fields, headers=0, single=True)


def criteria(record: LmmRecord) -> Block:
    """REML criterion, or AIC, BIC, log-likelihood and deviance of a fit by maximum likelihood."""
    c = quantities.criteria(record)
    if record.spec.reml:
        value = c["reml_criterion"]
        label = "REML criterion at convergence"
        rest = (Fact(k, "", "", c[k]) for k in ("aic", "bic", "llf", "df_resid"))
        return Facts("criteria", (Fact("reml_criterion", label, _one(value), value), *rest))
    labels = ("AIC", "BIC", "logLik", "deviance", "df.resid")
    keys = ("aic", "bic", "llf", "deviance", "df_resid")
    shown = (*(_one(c[k]) for k in keys[:4]), str(c["df_resid"]))
    fields = tuple(
        Field(k, label, (c[k],), (text,))
        for k, label, text in zip(keys, labels, shown, strict=True)
    )
    return Table("criteria", "", fields, headers=0, single=True)


def size(record: LmmRecord) -> Facts:
    """Observations, and levels of each grouping factor, most levels first."""
    nobs = int(record.rows.nobs)
    levels = effects.ngroups(record)
    shown = "; ".join(f"{name}, {n}" for name, n in levels.items())
    items = (
        Fact("nobs", "Number of obs", str(nobs), nobs),
        Fact("groups", "groups", shown, levels),
    )
    return Facts("size", items, inline=True)


def optimum(record: LmmRecord) -> Facts:
    """How the fit ended, for programs: people read the notes."""
    found = record.optimum
    values = {
        "converged": bool(found.converged),
        "certified": bool(found.converged and found.kkt),
        "singular": bool(estimates.is_singular(record)),
        "evaluations": int(found.evaluations),
    }
    return Facts("optimum", tuple(Fact(k, "", "", v) for k, v in values.items()))


def fit_facts(record: OlsRecord) -> Facts:
    """Residual standard error, R-squared and F-test of a linear model."""
    c = quantities.criteria(record)
    df = int(record.df_resid)
    sigma = estimates.sigma(record)
    items = [
        Fact(
            "sigma",
            "Residual standard error",
            f"{column([sigma])[0]} on {df} degrees of freedom",
            sigma,
        ),
        Fact("df_resid", "", "", df),
    ]
    if estimates.df_model(record) > 0:
        share = ", adjusted: ".join(column([c["rsquared"], c["rsquared_adj"]]))
        test = (
            f"{column([c['fvalue']])[0]} on {estimates.df_model(record)} and {df} DF, "
            f"p-value: {p_value(c['f_pvalue'])}"
        )
        items += [
            Fact("rsquared", "R-squared", share, c["rsquared"]),
            Fact("rsquared_adj", "", "", c["rsquared_adj"]),
            Fact("fvalue", "F-statistic", test, c["fvalue"]),
            Fact("f_pvalue", "", "", c["f_pvalue"]),
        ]
    items += [Fact(k, "", "", c[k]) for k in ("nobs", "llf", "aic", "bic", "deviance")]
    return Facts("fit", tuple(items))


def correlation(record: Record) -> Table:
    """Correlations of the fixed effects' estimates: the lower triangle, names abbreviated."""
    names = [record.names[i] for i in record.kept]
    short = abbreviate(names)
    cov = estimates.covariance(record)
    sd = np.sqrt(np.diag(cov))
    with np.errstate(divide="ignore", invalid="ignore"):
        corr = cov / np.outer(sd, sd)
    p = len(names)
    fields = [Field("term", "", tuple(names[1:]), tuple(short[1:]), numeric=False)]
    for j in range(p - 1):
        values = tuple(float(corr[i, j]) if i > j else None for i in range(1, p))
        shown = tuple("" if v is None else fixed(v, 3) for v in values)
        fields.append(Field(names[j], short[j], values, shown))
    return Table("correlation", "Correlation of fixed effects", tuple(fields))


def abbreviate(names: Sequence[str], *, letters: int = _SHORT) -> tuple[str, ...]:
    """Short, distinct names: brackets of dummies left out, then vowels, then letters.

    Examples
    --------
    >>> abbreviate(["Intercept", "displ", "drv[T.f]", "drv[T.r]"])
    ('Intrcp', 'displ', 'drvf', 'drvr')
    """
    short: list[str] = []
    for name in names:
        base, _, level = name.rpartition("[")
        level = level.removeprefix("T.").rstrip("]")
        if base:
            stem = _shorten(base, max(letters - len(level), letters // 2))
            text = stem + _shorten(level, letters - min(len(stem), letters // 2))
        else:
            text = _shorten(name, letters)
        if text in short:  # auto(l3), auto(l4): what differs is at the end
            core = "".join(filter(str.isalnum, name))
            text = core[: letters // 2] + core[-(letters // 2) :]
        trial, count = text, 1
        while trial in short:
            count += 1
            trial = f"{text[: letters - len(str(count))]}{count}"
        short.append(trial)
    return tuple(short)


def _shorten(text: str, letters: int) -> str:
    """Drop lower-case vowels from the end on, then cut."""
    for i in range(len(text) - 1, 0, -1):
        if len(text) <= letters:
            break
        if text[i] in "aeiou":
            text = text[:i] + text[i + 1 :]
    return text[:letters]


def _one(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 1e12 else f"{value:.6e}"


def _correlation_or_note(record: LmmRecord) -> list[Block]:
    p = len(record.kept)
    if p < 2:
        return []
    if p > MAX_CORRELATIONS:
        return [notes.many_correlations(p, MAX_CORRELATIONS)]
    return [correlation(record)]
