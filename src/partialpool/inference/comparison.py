"""Comparison of models of the same rows by their likelihoods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import estimates
from .._errors import DataError, SpecificationError, one_of
from .._types import FloatArray
from ..ols import OlsRecord
from . import lr_bootstrap, submodels
from .dropping import chi_square_tail, drop1, likelihood_ratio, ranova
from .spans import span_of

if TYPE_CHECKING:
    from ..estimates import Record
    from .noted import Table

__all__ = ["check_same_rows", "compare_models", "drop1", "ranova"]

_FALL = 1e-4  # a log-likelihood lower by more than this is no rounding of an optimum


def compare_models(
    records: Sequence[Record],
    names: Sequence[str] | None = None,
    *,
    test: str = "chisq",
    n: int = 1000,
    seed: Any = None,
    n_jobs: int = 1,
    progress: bool = False,
    refit: bool = True,
) -> Table:
    """Likelihood-ratio tests of models, each against the next smaller one.

    Parameters
    ----------
    records : sequence of OlsRecord or LmmRecord
        Two or more, of the same rows, responses and weights; in any order.
    names : sequence of str, optional
        One a model; default ``m0, m1, ...``.
    test : "chisq" or "bootstrap"
        The bootstrap simulates under the smaller model of each pair and refits both: right also
        where variances of zero lie on the boundary, and in small samples.
    n : int
        Replicates of the bootstrap.
    seed : None, int, SeedSequence or Generator
    n_jobs : int
        The p-values do not depend on it.
    progress : bool
    refit : bool
        Refit REML fits by maximum likelihood. Without, mixed models with the same fixed part are
        compared by their REML criteria.

    Returns
    -------
    DataFrame
        ``npar, aic, bic, llf, deviance, chisq, df, p_value``, a row a model, fewest parameters
        first; `deviance` is -2 llf. The bootstrap adds ``p_value_bootstrap, replicates, failures``.

    Raises
    ------
    SpecificationError
        For fewer than two models, other names than models, unknown options, and ``refit=False``
        where the criteria cannot be compared.
    DataError
        For models of other rows, responses or weights.

    Notes
    -----
    p_bootstrap = (1 + #{t* >= t}) / (1 + replicates) (Davison & Hinkley 1997, 4.2.1).
    """
    from .noted import Table

    one_of("test", test, ("chisq", "bootstrap"))
    labels = _names(records, names)
    check_same_rows(records, labels)
    for record, label in zip(records, labels, strict=True):
        if estimates.sigma(record) == 0:
            raise SpecificationError(
                f"{label} fits the response exactly: its likelihood has no bound to compare."
            )
    notes, fitted = _refitted(records, labels, refit)
    order = sorted(range(len(fitted)), key=lambda i: estimates.parameters(fitted[i]))
    models = [fitted[i] for i in order]
    labels = [labels[i] for i in order]
    rows = _table(models, labels)
    notes += [note for note in map(_doubts, pairwise(models), pairwise(labels)) if note]
    columns: tuple[str, ...] = ("npar", "aic", "bic", "llf", "deviance", "chisq", "df", "p_value")
    if test == "bootstrap":
        if not refit and any(getattr(m.spec, "reml", None) for m in models):
            raise SpecificationError("test='bootstrap' compares maximum likelihoods: refit=True.")
        found = lr_bootstrap.p_values(models, n=n, seed=seed, n_jobs=n_jobs, progress=progress)
        columns += ("p_value_bootstrap", "replicates", "failures")
        for label, (p, used, failures) in zip(labels, [(math.nan, 0, 0), *found], strict=True):
            rows[label] += (p, used, failures)
            if failures:
                notes.append(f"{label}: {failures} replicates could not be fitted.")
    elif _differ_in_random(models):
        notes.append(
            "Models differ in random effects: a variance of zero lies on the boundary, where "
            "p_value is too large. test='bootstrap' and ranova() allow for it."
        )
    title = "Comparison of models by maximum likelihood" if refit else "Comparison of models"
    return Table.of(columns, rows, title, notes)


def _names(records: Sequence[Record], names: Sequence[str] | None) -> list[str]:
    if len(records) < 2:
        raise SpecificationError(
            f"anova() compares two or more models; it got {len(records)}. The terms of one model "
            "are tested by its own method, fit.anova()."
        )
    if names is None:
        return [f"m{i}" for i in range(len(records))]
    labels = [names] if isinstance(names, str) else [str(name) for name in names]
    if len(labels) != len(records) or len(set(labels)) < len(labels):
        raise SpecificationError(
            f"names={list(labels)!r} must be {len(records)} different names, one for each model."
        )
    return labels


def check_same_rows(records: Sequence[Record], names: Sequence[str]) -> None:
    """Refuse models that were not fitted to the same rows, responses and weights.

    Raises
    ------
    DataError
        Saying which two differ, and in what.
    """
    first = records[0].rows
    for record, name in zip(records[1:], names[1:], strict=True):
        rows = record.rows
        pair = f"{names[0]} and {name}"
        if rows.nobs != first.nobs:
            raise DataError(
                f"{pair} were fitted to {first.nobs} and {rows.nobs} rows, so their likelihoods "
                "cannot be compared. Were rows with missing values dropped? Fit both to the rows "
                "that are complete in all columns."
            )
        if not np.array_equal(_places(first.kept, rows.nobs), _places(rows.kept, rows.nobs)):
            raise DataError(
                f"{pair} were fitted to different rows of the data ({rows.nobs} each). Fit both to "
                "the rows that are complete in all columns."
            )
        assert first.y is not None
        assert rows.y is not None
        if not np.array_equal(first.y, rows.y):
            raise DataError(
                f"{pair} have different responses ({_response(records[0])} and "
                f"{_response(record)}, or other values or another order of the rows), so their "
                "likelihoods cannot be compared."
            )
        if not np.array_equal(_ones(first.weights, rows.nobs), _ones(rows.weights, rows.nobs)):
            raise DataError(f"{pair} have different weights, so neither contains the other.")


def _places(kept: Any, n: int) -> Any:
    return np.arange(n) if kept is None else kept


def _ones(weights: FloatArray | None, n: int) -> FloatArray:
    return np.ones(n) if weights is None else weights


def _response(record: Record) -> str:
    return "".join(f.text for f in record.schema.formula.response)


def _refitted(
    records: Sequence[Record], labels: Sequence[str], refit: bool
) -> tuple[list[str], list[Record]]:
    """What was done, and the fits that can be compared."""
    reml = [label for r, label in zip(records, labels, strict=True) if r.spec.reml]
    if not reml:
        return [], list(records)
    if refit:
        who = f"{', '.join(reml)} {'were' if len(reml) > 1 else 'was'}"
        note = f"{who} fitted by REML and refitted by maximum likelihood for this table."
        return [note], [submodels.by_ml(r) for r in records]
    if len(reml) < len(records):
        raise SpecificationError(
            f"refit=False: only {', '.join(reml)} were fitted by REML, and a REML criterion cannot "
            "be compared with a likelihood."
        )
    for record, label in zip(records[1:], labels[1:], strict=True):
        if not _same_columns(records[0], record):
            raise SpecificationError(
                f"refit=False: {labels[0]} and {label} have different fixed parts, so their REML "
                "criteria are not comparable. Leave refit=True."
            )
    return ["Compared by their REML criteria; the fixed parts are the same."], list(records)


def _same_columns(a: Record, b: Record) -> bool:
    if [a.names[i] for i in a.kept] != [b.names[i] for i in b.kept]:
        return False
    if len(a.kept) == 0:
        return True
    return not _beyond(a, b)


def _beyond(small: Record, large: Record) -> bool:
    """Has the fixed part of `small` something that the columns of `large` do not span?"""
    columns = [large.rows.fixed[i] for i in large.kept]
    own = [small.rows.fixed[i] for i in small.kept]
    first = columns[0] if columns else None
    centred = first is not None and not first.numeric and not first.lookups
    span = span_of([*columns, *own], small.rows.nobs, centred=centred)
    inside = range(len(columns), len(columns) + len(own))
    return bool(span.beyond(range(len(columns)), inside)[1])


def _table(models: Sequence[Record], labels: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    rows: dict[str, tuple[Any, ...]] = {}
    for i, (model, label) in enumerate(zip(models, labels, strict=True)):
        llf, npar = estimates.llf(model), estimates.parameters(model)
        ratio: tuple[float, float, float] = (math.nan, math.nan, math.nan)
        if i:
            df = npar - estimates.parameters(models[i - 1])
            t = likelihood_ratio(estimates.llf(models[i - 1]), llf)
            ratio = (t, df, chi_square_tail(t, df))
        criteria = (npar, estimates.aic(model), estimates.bic(model), llf, -2 * llf)
        rows[label] = criteria + ratio
    return rows


# -- what a reader must know ----------------------------------------------------------------------


def _doubts(pair: tuple[Record, Record], labels: tuple[str, str]) -> str:
    """Why the test of a pair may mean nothing; empty if there is no reason."""
    (small, large), (a, b) = pair, labels
    if estimates.parameters(small) == estimates.parameters(large):
        return f"{a} and {b} have as many parameters: there is no test between them; compare aic."
    reasons = []
    if not _has_columns(small, large):
        reasons.append("fixed part")
    if not _has_effects(small, large):
        reasons.append("random part")
    if reasons:
        return (
            f"The {' and the '.join(reasons)} of {a} is not contained in that of {b}: their test "
            "has no chi-square distribution; compare aic."
        )
    if estimates.llf(large) < estimates.llf(small) - _FALL:
        return f"{b} has a lower log-likelihood than {a}, which it should contain."
    if not _same_offset(small, large):
        return f"{a} and {b} have different offsets; the test is right only if {b} spans both."
    return ""


def _has_columns(small: Record, large: Record) -> bool:
    wanted = {small.names[i] for i in small.kept}
    return wanted <= {large.names[i] for i in large.kept} or not _beyond(small, large)


def _has_effects(small: Record, large: Record) -> bool:
    """Is every random effect of `small` one of `large`, by the names of groups and columns?"""
    if isinstance(small, OlsRecord):
        return True
    if isinstance(large, OlsRecord):
        return False
    for term in small.layout.specs:
        wanted = set(term.columns)
        same = [t for t in large.layout.specs if t.group == term.group]
        whole = any(wanted <= set(t.columns) and not t.diagonal for t in same)
        if not whole and not (
            (term.diagonal or len(wanted) == 1)
            and wanted <= {column for t in same for column in t.columns}
        ):
            return False
    return True


def _same_offset(a: Record, b: Record) -> bool:
    zero = np.zeros(a.rows.nobs)
    first = zero if a.rows.offset is None else a.rows.offset
    second = zero if b.rows.offset is None else b.rows.offset
    return bool(np.array_equal(first, second))


def _differ_in_random(models: Sequence[Record]) -> bool:
    parts = {
        ()
        if isinstance(m, OlsRecord)
        else tuple(sorted((t.group, t.columns, t.diagonal) for t in m.layout.specs))
        for m in models
    }
    return len(parts) > 1
