"""What each term is worth: the model without it, on the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import estimates, lmm
from .._errors import SpecificationError, UnavailableError, one_of
from ..coding import expand
from ..ols import OlsRecord
from . import degrees, submodels
from .terms import FRow, f_row, hypothesis_without

if TYPE_CHECKING:
    from ..estimates import Record
    from ..lmm import LmmRecord
    from ..schema import TermSchema
    from .noted import Table

__all__ = ["chi_square_tail", "drop1", "likelihood_ratio", "mixture_tail", "ranova"]

Keys = tuple[str, ...]

_NONE = "<none>"
_LEVEL = 1e-6  # a likelihood ratio below this is rounding of the optimum: zero


def drop1(record: Record, *, test: str = "chisq", ddf: str = "satterthwaite") -> Table:
    """Compare a model with each model that has one term of the fixed part less.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    test : "chisq" or "F"
        Likelihood-ratio tests, both models fitted by maximum likelihood; or F tests of the same
        hypotheses without refitting.
    ddf : {"satterthwaite", "kenward-roger"}
        Of the F tests of mixed models.

    Returns
    -------
    DataFrame
        ``npar, aic, lrt, df, p_value``: the first row, ``<none>``, is the model itself, and `npar`
        counts the parameters of each row's model. With ``test="F"``: ``sum_sq, mean_sq, num_df,
        den_df, F, p_value``, a row a term.

    Raises
    ------
    SpecificationError
        For another test or method, and as `degrees.f_test`.

    Notes
    -----
    Terms whose variables all take part in another term stay, as in R. Every model is fitted to the
    rows of the model given, also where the term left out had missing values of its own.
    """
    one_of("test", test, ("chisq", "F"))
    degrees.check_ddf(ddf)
    terms, texts = submodels.fixed_terms(record), submodels.term_texts(record)
    droppable = _droppable(terms)
    if test == "F":
        return _drop_by_f(record, [(t, texts[t]) for t in droppable], ddf)
    from .noted import Table

    _require_variance(record)
    full = submodels.by_ml(record)
    rows: dict[str, Sequence[float]] = {
        _NONE: (estimates.parameters(full), estimates.aic(full), math.nan, math.nan, math.nan)
    }
    for t in droppable:
        without = submodels.with_fixed(full, [s for s in range(len(terms)) if s != t])
        npar = estimates.parameters(without)
        df = estimates.parameters(full) - npar
        lrt = likelihood_ratio(estimates.llf(without), estimates.llf(full))
        rows[texts[t]] = (npar, estimates.aic(without), lrt, df, chi_square_tail(lrt, df))
    notes = []
    if full is not record:
        notes.append("Fitted by REML; every model here was refitted by maximum likelihood.")
    notes += _idle([text for text, row in rows.items() if row[3] == 0])
    return Table.of(
        ("npar", "aic", "lrt", "df", "p_value"), rows, "Models without one term each", notes
    )


def _drop_by_f(record: Record, dropped: list[tuple[int, str]], ddf: str) -> Table:
    from .noted import Table

    rows = {text: f_row(record, hypothesis_without(record, t), ddf) for t, text in dropped}
    notes = _idle([text for text, row in rows.items() if not row.num_df])
    return Table.of(FRow._fields, rows, "Models without one term each, F tests", notes)


def _idle(texts: list[str]) -> list[str]:
    if not texts:
        return []
    return [f"{', '.join(texts)}: the model without it is the same model; other terms span it."]


def _droppable(terms: Sequence[tuple[str, ...]]) -> list[int]:
    """Terms that lie in no other."""
    return [
        t
        for t, term in enumerate(terms)
        if term and not any(set(term) < set(other) for other in terms)
    ]


def ranova(record: Record) -> Table:
    """Compare a mixed model with each model that has one random effect less.

    Parameters
    ----------
    record : LmmRecord

    Returns
    -------
    DataFrame
        ``npar, llf, aic, lrt, df, p_value, p_value_mixture``. The index is the bar as written,
        ``x in (x + z | g)`` where a bar has several terms that can go; the first row, ``<none>``,
        is the model itself.

    Raises
    ------
    UnavailableError
        For `lm`.
    SpecificationError
        If the fit is exact.

    Notes
    -----
    A bar with slopes loses a slope and keeps the rest; a bar of one term is left out. The criterion
    (REML or ML) stays; where no random effect remains it is that of the linear model. Under the
    null hypothesis a variance lies on the boundary, where the likelihood ratio of a column with r
    covariances is an equal mixture of chi-squares with r and r + 1 degrees of freedom (Self & Liang
    1987; Stram & Lee 1994): `p_value_mixture`. The chi-square of `p_value` is conservative there.
    """
    from .noted import Table

    if isinstance(record, OlsRecord):
        raise UnavailableError(
            "lm has no random effects to drop; drop1() and anova() test its terms."
        )
    _require_variance(record)
    full, npar = estimates.llf(record), estimates.parameters(record)
    nan = math.nan
    rows: dict[str, Sequence[float]] = {
        _NONE: (npar, full, estimates.aic(record), nan, nan, nan, nan)
    }
    notes = []
    for drop in _drops(record):
        llf, size = _without(record, drop)
        lrt = likelihood_ratio(llf, full)
        df = npar - size
        chi, mixed = chi_square_tail(lrt, df), mixture_tail(lrt, drop.covariances)
        rows[drop.text] = (size, llf, -2 * llf + 2 * size, lrt, df, chi, mixed)
        if drop.note:
            notes.append(drop.note)
    criterion = "REML" if record.spec.reml else "ML"
    names = ("npar", "llf", "aic", "lrt", "df", "p_value", "p_value_mixture")
    return Table.of(names, rows, f"Models without one random effect each, by {criterion}", notes)


class Drop(NamedTuple):
    """One way to simplify the random part.

    Attributes
    ----------
    text : str
    place : int
        Of the bar, in the order of ``rows.terms``.
    parts : tuple
        What is left of the bar.
    covariances : int or None
        Covariances that one column loses with its variance; None if it is more than one column.
    note : str
    """

    text: str
    place: int
    parts: tuple[Keys, ...]
    covariances: int | None
    note: str


def _drops(record: LmmRecord) -> list[Drop]:
    """All of them, in the order of the formula."""
    order = [bar.text for bar in record.schema.formula.bars]
    found = [drop for place in range(len(record.schema.terms)) for drop in _of_bar(record, place)]
    return sorted(found, key=lambda d: order.index(record.schema.terms[d.place].spec.text))


def _of_bar(record: LmmRecord, place: int) -> list[Drop]:
    term = record.schema.terms[place]
    parts = submodels.random_parts(term)
    ways = [
        (part, left, columns)
        for part in parts
        if (left := _left(record, term, parts, part)) is not None
        for columns in [expand(left, record.schema.pieces)[0] if left else ()]
        if not term.spec.diagonal or {c.name for c in columns} <= set(term.spec.columns)
    ]
    out = []
    for part, left, columns in ways:
        text, name = term.spec.text, submodels.part_text(record, part)
        note = f"In {text} {name} was dropped and the rest kept." if left else ""
        if len(ways) > 1:
            text, note = f"{name} in {text}", ""
        gone = len(term.recipes) - len(columns)
        if gone != 1:
            note = f"{note} {text} loses {gone} variances at once: there is no p_value_mixture."
        covariances = 0 if term.spec.diagonal else len(columns)
        out.append(Drop(text, place, left, covariances if gone == 1 else None, note.strip()))
    return out


def _left(
    record: LmmRecord, term: TermSchema, parts: Sequence[Keys], part: Keys
) -> tuple[Keys, ...] | None:
    """What is left of a bar without one of its terms; None if that one must stay.

    Terms that lie in others stay, and the intercept beside correlated slopes.
    """
    if any(set(part) < set(other) for other in parts if part):
        return None
    if not part and len(parts) > 1 and not term.spec.diagonal:
        return None
    return tuple([other for other in parts if other != part])


def _without(record: LmmRecord, drop: Drop) -> tuple[float, int]:
    """Log-likelihood and number of parameters of the simpler model."""
    left = submodels.with_random(record, drop.place, drop.parts)
    if left is not None:
        return estimates.llf(left), estimates.parameters(left)
    # The criterion at theta = 0 is that of the linear model.
    value = lmm.problem(record).evaluate(np.zeros(record.layout.size)).value
    return -0.5 * value, len(record.kept) + 1


def _require_variance(record: Record) -> None:
    if estimates.sigma(record) == 0:
        raise SpecificationError(
            "The fit is exact: without residual variance the likelihood has no bound, and there is "
            "nothing to compare."
        )


# -- tails ----------------------------------------------------------------------------------------


def likelihood_ratio(small: float, large: float) -> float:
    """Twice the difference of the log-likelihoods; zero where rounding made it less."""
    found = 2.0 * (large - small)
    return found if found > _LEVEL else 0.0


def chi_square_tail(x: float, df: int) -> float:
    """P(chi-square with df degrees of freedom >= x); NaN without degrees of freedom."""
    from scipy import special

    return float(special.chdtrc(df, x)) if df > 0 else math.nan


def mixture_tail(x: float, covariances: int | None) -> float:
    """The tail of (chi2_r + chi2_{r+1}) / 2, where chi2_0 is zero; NaN for None unless x is 0."""
    from scipy import special

    if x <= 0:
        return 1.0
    if covariances is None:
        return math.nan
    first = float(special.chdtrc(covariances, x)) if covariances else 0.0
    return 0.5 * (first + float(special.chdtrc(covariances + 1, x)))
