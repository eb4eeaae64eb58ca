"""Models with fewer terms on the rows of a fit: no data are read again.

The columns of the fit hold everything that its terms need, so a submodel has the very rows of its
model, also where a term left out had missing values of its own, and the bases (``poly``, ``scale``)
that the model has learnt.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from .. import lmm, ols, stage
from .._errors import ConvergenceWarning, SingularFitWarning, warn
from .._types import FloatArray, IntArray, RandomTerm
from ..coding import Categorical, expand
from ..ols import OlsRecord
from ..schema import columns, plan_of

if TYPE_CHECKING:
    from ..design import Rows, Schema
    from ..estimates import Record
    from ..formula import Bar
    from ..lmm import LmmRecord
    from ..schema import TermSchema

__all__ = [
    "Sources",
    "by_ml",
    "contains",
    "fixed_terms",
    "part_text",
    "random_parts",
    "sources",
    "term_texts",
    "with_fixed",
    "with_random",
]

Keys = tuple[str, ...]


class Sources(NamedTuple):
    """What columns are made of: values of numeric pieces and codes of factors, by key."""

    values: dict[str, tuple[FloatArray, ...]]
    codes: dict[str, IntArray]


def fixed_terms(record: Record) -> tuple[Keys, ...]:
    """The terms of the fixed part as keys of their factors; () is the intercept."""
    return plan_of(record.schema.formula).fixed


def term_texts(record: Record) -> list[str]:
    """The same as the formula has them; ``"1"`` for the intercept."""
    return [":".join(f.text for f in term) or "1" for term in record.schema.formula.fixed]


def contains(record: Record, big: Keys, small: Keys) -> bool:
    """Has `big` the numeric variables of `small`, all of its factors, and more factors?"""
    extra = set(big) - set(small)
    return set(small) < set(big) and all(
        isinstance(record.schema.pieces[key], Categorical) for key in extra
    )


def sources(record: Record) -> Sources:
    """The pieces that the columns of a fit are made of."""
    values: dict[str, dict[int, FloatArray]] = {}
    codes: dict[str, IntArray] = {}
    schema, rows = record.schema, record.rows
    pairs = list(zip(schema.fixed, rows.fixed, strict=True))
    for of_schema, of_rows in zip(schema.terms, rows.terms, strict=True):
        pairs += zip(of_schema.recipes, of_rows.columns, strict=True)
    for recipe, column in pairs:
        numeric, lookups = iter(column.numeric), iter(column.lookups)
        for key, place, table in recipe.parts:
            if table is None:
                values.setdefault(key, {})[place] = next(numeric)
            else:
                codes[key] = next(lookups)[0]
    found = {key: tuple([parts[j] for j in sorted(parts)]) for key, parts in values.items()}
    return Sources(found, codes)


def with_fixed(record: Record, keep: Sequence[int]) -> Record:
    """The model with some terms of its fixed part only, fitted by the same criterion.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    keep : sequence of int
        Places in `fixed_terms`, ascending.
    """
    mf = record.schema.formula
    terms = [fixed_terms(record)[i] for i in keep]
    recipes, constant = expand(terms, record.schema.pieces)
    found = sources(record)
    rows = record.rows._replace(
        fixed=columns(recipes, found.values, found.codes), constant=constant
    )
    mf = mf._replace(fixed=tuple([mf.fixed[i] for i in keep]))
    schema = record.schema._replace(formula=mf, fixed=recipes, constant=constant)
    return _fitted(record, rows, schema)


def by_ml(record: Record) -> Record:
    """The same model by maximum likelihood; `lm` and ML fits as they are.

    That it is singular has been said when it was fitted.
    """
    if isinstance(record, OlsRecord):
        return record
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return lmm.refit_ml(record)


def random_parts(term: TermSchema) -> tuple[Keys, ...]:
    """The terms left of a bar as keys of their factors; () is the intercept."""
    return tuple(dict.fromkeys(tuple([p.key for p in r.parts]) for r in term.recipes))


def part_text(record: Record, part: Keys) -> str:
    """A term of a bar as it is written; ``"1"`` for the intercept."""
    pieces = plan_of(record.schema.formula).pieces
    return ":".join(pieces[key].text for key in part) or "1"


def with_random(record: LmmRecord, place: int, parts: Sequence[Keys]) -> LmmRecord | None:
    """The model with fewer columns in one random-effects term, fitted by the same criterion.

    Parameters
    ----------
    record : LmmRecord
    place : int
        The term, in the order of ``rows.terms``.
    parts : sequence of tuple of str
        What is left of it; () leaves the whole term out.

    Returns
    -------
    LmmRecord, or None if no random effects remain
    """
    schema, rows = record.schema, record.rows
    terms, data = list(schema.terms), list(rows.terms)
    bars = list(schema.formula.bars)
    at = next(i for i, bar in enumerate(bars) if bar.text == terms[place].spec.text)
    if not parts:
        del terms[place], data[place], bars[at]
    else:
        recipes, _ = expand(parts, schema.pieces)
        bars[at] = _reduced(record, bars[at], parts)
        names = tuple([r.name for r in recipes])
        spec = terms[place].spec._replace(columns=names, text=bars[at].text)
        found = sources(record)
        made = columns(recipes, found.values, found.codes)
        terms[place] = terms[place]._replace(spec=spec, recipes=recipes)
        data[place] = RandomTerm(spec, data[place].group, made)
    if not terms:
        return None
    used = sorted({term.group for term in terms})
    again = {old: new for new, old in enumerate(used)}
    schema = schema._replace(
        formula=schema.formula._replace(bars=tuple(bars)),
        terms=tuple([t._replace(group=again[t.group]) for t in terms]),
        groups=tuple([schema.groups[i] for i in used]),
    )
    rows = rows._replace(
        terms=tuple([t._replace(group=again[t.group]) for t in data]),
        groups=tuple([rows.groups[i] for i in used]),
    )
    fitted = _fitted(record, rows, schema)
    assert not isinstance(fitted, OlsRecord)
    return fitted


def _reduced(record: LmmRecord, bar: Bar, parts: Sequence[Keys]) -> Bar:
    kept = [t for t in bar.terms if tuple([f.source for f in t]) in set(parts)]
    texts = [":".join(f.source for f in t) for t in kept if t]
    head = " + ".join(texts) if texts else "1"
    if texts and () not in parts:
        head = f"0 + {head}"
    _, _, group = bar.text.rpartition("|")
    text = f"({head} {'||' if bar.diagonal and len(parts) > 1 else '|'}{group}"
    return bar._replace(terms=tuple(kept), text=text)


def _fitted(record: Record, rows: Rows, schema: Schema) -> Record:
    text = _text(schema)
    schema = schema._replace(formula=schema.formula._replace(text=text))
    spec = replace(record.spec, formula=text)
    if isinstance(record, OlsRecord):
        return ols.from_rows(rows, spec=spec, schema=schema, table=None)
    ready = stage.of_rows(rows, spec=spec, schema=schema, table=None)
    found = lmm.fit_stage(ready, replace(record.control, start=None))
    if not found.optimum.converged:
        warn(
            f"The fit of {text!r} is not at a certified optimum: {found.optimum.message}. Its row "
            "of the table may be wrong.",
            ConvergenceWarning,
        )
    return found


def _text(schema: Schema) -> str:
    """A formula as it could have been typed."""
    mf = schema.formula
    fixed = [":".join(f.source for f in term) for term in mf.fixed if term]
    if () not in mf.fixed:
        fixed.insert(0, "0")
    elif not fixed:
        fixed = ["1"]
    shifts = [f"offset({f.source})" for f in mf.offsets]
    right = " + ".join([*fixed, *shifts, *(bar.text for bar in mf.bars)])
    return f"{''.join(f.source for f in mf.response)} ~ {right}"
