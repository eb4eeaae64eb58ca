"""Tests of the terms of a fixed part: types I, II and III.

Each test is of the hypothesis that a set of linear functions of the mean is zero. Types I and II
compare spans of columns, that of some other terms without and with the term; type III takes the
functions that the term and the terms containing it determine alone (`type3`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import estimates
from .._errors import SpecificationError
from .._types import Column, FloatArray
from ..coding import expand
from ..ols import OlsRecord
from ..schema import columns
from . import degrees, submodels, type3
from .spans import Span, span_of

if TYPE_CHECKING:
    from ..coding import Recipe
    from ..estimates import Record
    from .noted import Table

__all__ = ["FRow", "anova", "check_type", "f_row", "hypothesis_without", "term_contrasts"]

_RANK = 1e-10  # of the largest: a row of L that repeats others (as in `degrees`)
_ALIKE = 1e-9  # of the largest: what counts as zero in a row of L
_TYPES = {"1": 1, "2": 2, "3": 3, "I": 1, "II": 2, "III": 3}
_ROMAN = {1: "I", 2: "II", 3: "III"}


def anova(record: Record, *, type: int | str = 3, ddf: str = "satterthwaite") -> Table:
    """F tests of the terms of the fixed part.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    type : 1, 2, 3 (or "I", "II", "III")
        I: each term after those before it. II: after all terms that do not contain it. III: in the
        presence of all terms, whatever the coding of the factors. A term contains another if it has
        the same numeric variables and more factors.
    ddf : {"satterthwaite", "kenward-roger"}
        For `lm` the tests are exact.

    Returns
    -------
    DataFrame
        ``sum_sq, mean_sq, num_df, den_df, F, p_value``, a row a term; `lm` has the row
        ``Residuals`` below. A term without a degree of freedom of its own, because others repeat
        it, has no F. Mixed models: ``mean_sq`` is F sigma^2
        (of Kenward and Roger's F before its scale, as in lmerTest).

    Raises
    ------
    SpecificationError
        For another type or method, and as `degrees.f_test`.

    Notes
    -----
    Types I and II of `lm` are comparisons of models. Those of mixed models test the same functions
    of the mean that they test in an unweighted `lm`, as lmerTest's do (Kuznetsova, Brockhoff &
    Christensen 2017).
    """
    from .noted import Table

    kind = check_type(type)
    degrees.check_ddf(ddf)
    rows = term_contrasts(record, kind)
    linear = isinstance(record, OlsRecord)
    if not linear and rows and ddf == "kenward-roger":
        degrees.covariance(record, ddf)  # refuses fits by maximum likelihood
    found = {text: f_row(record, L, ddf) for text, L in rows.items()}
    if isinstance(record, OlsRecord):
        rest = (record.rss, record.rss / record.df_resid, record.df_resid)
        found["Residuals"] = FRow(*rest, math.nan, math.nan, math.nan)
    method = {"satterthwaite": "Satterthwaite", "kenward-roger": "Kenward and Roger"}[ddf]
    title = f"Tests of terms, type {_ROMAN[kind]}"
    return Table.of(
        FRow._fields,
        found,
        title if linear else f"{title}, degrees of freedom by {method}",
        _notes(record, rows, ddf),
    )


class FRow(NamedTuple):
    """A row of the table."""

    sum_sq: float
    mean_sq: float
    num_df: int
    den_df: float
    F: float
    p_value: float


def check_type(type: object) -> int:
    """The type as a number.

    Raises
    ------
    SpecificationError
        Unless it is 1, 2 or 3, in any usual spelling.
    """
    key = str(type).strip().upper()
    if isinstance(type, bool | float) or key not in _TYPES:
        raise SpecificationError(
            f"type={type!r} must be 1, 2 or 3 (also 'I', 'II', 'III'). Type IV depends on which "
            "cells happen to be missing and is not offered; ask contrast() for the comparison "
            "that you mean."
        )
    return _TYPES[key]


def f_row(record: Record, L: FloatArray, ddf: str) -> FRow:
    """The F test of L beta = 0 as a row; L without rows has no mean square and no F."""
    if not len(L):
        return FRow(0.0, math.nan, 0, math.nan, math.nan, math.nan)
    if isinstance(record, OlsRecord):
        return _exact_row(record, L)
    scale = estimates.sigma(record) ** 2
    if scale == 0:
        return FRow(math.nan, math.nan, len(L), math.nan, math.nan, math.nan)
    test = degrees.f_test(record, L, ddf)
    mean = (
        test.F / test.scale * scale
    )  # as lmerTest: the statistic before Kenward and Roger's factor
    return FRow(test.num_df * mean, mean, test.num_df, test.den_df, test.F, test.p_value)


def _exact_row(record: OlsRecord, L: FloatArray) -> FRow:
    """The test of least squares: what the residual sum of squares gains when L beta is zero."""
    from scipy import special

    A = L @ record.root  # A A' = L (X'WX)^-1 L'
    size = np.linalg.norm(A, axis=1)
    U, s, _ = np.linalg.svd(A / size[:, None], full_matrices=False)
    own = s > _RANK * s[0]
    z = (U.T @ (L @ record.beta / size))[own] / s[own]
    q, square = int(own.sum()), float(z @ z)
    with np.errstate(divide="ignore", invalid="ignore"):
        F = float(np.float64(square / q) / np.float64(record.sigma**2))
    p = float(special.fdtrc(q, record.df_resid, F))
    return FRow(square, square / q, q, float(record.df_resid), F, p)


def term_contrasts(record: Record, type: int | str) -> dict[str, FloatArray]:
    """The hypothesis L beta = 0 of each term.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    type : 1, 2 or 3

    Returns
    -------
    dict of str to (q, r) float64
        Term to L over the kept coefficients; q = 0 where nothing of the term can be tested.
    """
    kind = check_type(type)
    terms = submodels.fixed_terms(record)
    texts = submodels.term_texts(record)
    tested = [t for t in range(len(terms)) if terms[t]]
    if not tested:
        return {}
    if kind == 3:
        return {texts[t]: L for t, L in type3.hypotheses(record, tested).items()}
    found = {}
    spans = _Spans(record)
    for t in tested:
        if kind == 1:
            others, containing = list(range(t)), True
        else:
            over = [s for s in range(len(terms)) if submodels.contains(record, terms[s], terms[t])]
            others = [s for s in range(len(terms)) if s != t and s not in over]
            containing = bool(over)
        L, places = spans.beyond(others, t)
        found[texts[t]] = _rows(L, places, unit=containing)
    return found


def hypothesis_without(record: Record, term: int) -> FloatArray:
    """(q, r) L such that L beta = 0 is the model without a term of the fixed part."""
    spans = _Spans(record)
    others = [s for s in range(len(submodels.fixed_terms(record))) if s != term]
    L, places = spans.beyond(others, term)
    return _rows(L, places, unit=False)


class _Spans:
    """The spans of sets of terms, each set coded as a formula with those terms alone would be."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.terms = submodels.fixed_terms(record)
        self.sources = submodels.sources(record)
        self.places: dict[object, int] = {}
        self.columns: list[Column] = []
        self.model = self._add(record.schema.fixed, record.rows.fixed)
        self.kept = [self.model[i] for i in record.kept]
        self.span: Span | None = None
        self.sets: dict[tuple[int, ...], list[int]] = {}

    def beyond(self, others: Sequence[int], term: int) -> tuple[FloatArray, list[int]]:
        """(q, r) what the model without and with the term differ by, and the columns that do.

        The columns are places among the kept ones, -1 for columns that the model does not have.
        """
        small = self._of(tuple(others))
        large = self._of(tuple(sorted([*others, term])))
        inside = [j for j in large if j not in set(small)]
        basis, places = self._span().beyond(small, inside)
        L = basis.T @ self._span().vectors[:, self.kept]
        L[:, [i for i, j in enumerate(self.kept) if j in set(small)]] = 0.0
        at = {j: i for i, j in enumerate(self.kept)}
        return L, [at.get(j, -1) for j in places]

    def _of(self, terms: tuple[int, ...]) -> list[int]:
        if terms not in self.sets:
            recipes, _ = expand([self.terms[t] for t in terms], self.record.schema.pieces)
            data = columns(recipes, self.sources.values, self.sources.codes)
            self.sets[terms] = self._add(recipes, data)
        return self.sets[terms]

    def _add(self, recipes: Sequence[Recipe], data: Sequence[Column]) -> list[int]:
        found = []
        for recipe, column in zip(recipes, data, strict=True):
            key = tuple(
                (part.key, part.column, None if part.table is None else part.table.tobytes())
                for part in recipe.parts
            )
            if key not in self.places:
                self.places[key] = len(self.columns)
                self.columns.append(column)
                self.span = None
            found.append(self.places[key])
        return found

    def _span(self) -> Span:
        if self.span is None:
            rows = self.record.rows
            weights = rows.weights if isinstance(self.record, OlsRecord) else None
            centred = () in self.terms
            self.span = span_of(self.columns, rows.nobs, weights=weights, centred=centred)
            if len(self.kept) == len(self.model):
                self.span.trust(self.kept)
        return self.span


def _rows(L: FloatArray, places: list[int], *, unit: bool) -> FloatArray:
    """The same hypothesis by the rows that lmerTest takes.

    F does not depend on the rows, Satterthwaite's degrees of freedom slightly do: with `unit`, the
    rows of the unit upper factor of X'X, else those of the identity, where they span the same.
    """
    if -1 in places or not len(L):
        return L
    if unit:
        return np.asarray(L / L[np.arange(len(L)), places][:, None])
    rest = np.delete(L, places, axis=1)
    if rest.size and np.abs(rest).max() > _ALIKE * np.abs(L).max():
        return L
    out = np.zeros_like(L)
    out[np.arange(len(L)), places] = 1.0
    return out


def _notes(record: Record, rows: dict[str, FloatArray], ddf: str) -> list[str]:
    notes = []
    lost = [text for text, L in rows.items() if not len(L)]
    if lost:
        notes.append(
            f"{', '.join(lost)}: nothing to test beside other terms that span the same columns."
        )
    if len(record.kept) < len(record.names):
        dropped = [record.names[j] for j, _ in record.aliases]
        shown = ", ".join(dropped[:5]) + (", ..." if len(dropped) > 5 else "")
        notes.append(
            f"X has dropped columns ({shown}): terms that they belong to have fewer degrees of "
            "freedom, and test what the data can estimate."
        )
    if isinstance(record, OlsRecord) or not rows:
        return notes
    if estimates.sigma(record) == 0:
        notes.append("The fit is exact: there is no residual variance to test against.")
    elif ddf == "satterthwaite":
        closed = degrees.satterthwaite(record).boundary
        if closed:
            notes.append(
                f"Singular fit: degrees of freedom leave out the directions of {', '.join(closed)} "
                "in which the variance is zero."
            )
    return notes
