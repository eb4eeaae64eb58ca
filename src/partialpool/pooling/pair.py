"""Two fits that can be compared: the same rows, response, weights, offset and fixed part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import formula as formulas
from .. import lmm, ols
from .._core import fill
from .._errors import FormulaError, SpecificationError
from .._tokens import Token, scan
from ..frames import used_index
from ..lmm import LmmRecord
from ..ols import OlsRecord
from ..predict import BLOCK

if TYPE_CHECKING:
    from ..design import Rows
    from ..formula import ModelFormula

__all__ = ["fit_pair", "linear_model", "pair", "without_bars"]

_NAMED = 5  # rows or columns named in a message
_LIKE = 1e-12  # of the largest value: columns that differ by rounding alone are the same


def pair(first: Any, second: Any) -> tuple[OlsRecord, LmmRecord]:
    """A linear and a mixed model, in this order, that can be compared.

    Parameters
    ----------
    first, second : OlsRecord and LmmRecord, or models that wrap them, in either order

    Returns
    -------
    (OlsRecord, LmmRecord)
        With the columns in the order of the mixed model.

    Raises
    ------
    SpecificationError
        If they are not one of each, or differ in rows, response, weights, offset or fixed part.
    """
    a, b = _record(first), _record(second)
    if isinstance(a, LmmRecord) and isinstance(b, OlsRecord):
        a, b = b, a
    if not (isinstance(a, OlsRecord) and isinstance(b, LmmRecord)):
        raise SpecificationError(_wrong_kinds(a, b))
    _require_distinct_names(b)
    _require_same_rows(a, b)
    _require_same_values(a, b, "y", "response")
    _require_same_values(a, b, "weights", "weights")
    _require_same_values(a, b, "offset", "offset")
    return _same_fixed_part(a, b), b


def fit_pair(formula: str, data: Any, **options: Any) -> tuple[OlsRecord, LmmRecord]:
    """Fit a formula with bars by `lmer`, and what is left without them by `lm` on the same rows.

    Parameters
    ----------
    formula : str
    data : table
    **options
        As for `lmm.fit`.

    Raises
    ------
    FormulaError
        If the formula has no bar.
    DataError, SpecificationError
        As `lmm.fit`.
    """
    if not formulas.parse(formula).bars:
        raise FormulaError(
            "A comparison needs a random-effects term such as (1 | g): lmer fits the formula with "
            "it, lm without.",
            formula,
        )
    mixed = lmm.fit(formula, data, **options)
    _require_distinct_names(mixed)
    return linear_model(mixed), mixed


def linear_model(mixed: LmmRecord) -> OlsRecord:
    """The fixed part of a mixed model by least squares, on the rows that it used."""
    from dataclasses import replace

    mf = mixed.schema.formula
    spec = replace(mixed.spec, kind="lm", reml=None, formula=without_bars(mf))
    schema = mixed.schema._replace(
        formula=mf._replace(bars=(), text=spec.formula), terms=(), groups=()
    )
    rows = mixed.rows._replace(terms=(), groups=())
    return ols.from_rows(rows, spec=spec, schema=schema, table=mixed.table)


def without_bars(mf: ModelFormula) -> str:
    """The text of a formula without its random effects.

    Examples
    --------
    >>> from ..formula import parse
    >>> without_bars(parse("hwy ~ displ + (1 | class) + year"))
    'hwy ~ displ + year'
    >>> without_bars(parse("hwy ~ (1 | class)"))
    'hwy ~ 1'
    """
    tokens = scan(mf.text)
    text, right = mf.text, next(t.position for t in tokens if t.text == "~") + 1
    for start in sorted({bar.position for bar in mf.bars}, reverse=True):
        stop = _closing(tokens, start) + 1
        before, after = text[:start].rstrip(), text[stop:].lstrip()
        if before.endswith("+"):
            before = before[:-1].rstrip()
        elif after.startswith("+"):
            after = after[1:].lstrip()
        text = f"{before} {after}".strip()
    return text if text[right:].strip() else f"{text.strip()} 1"


def _closing(tokens: list[Token], start: int) -> int:
    """Where the parenthesis that opens at `start` closes."""
    depth = 0
    for token in tokens:
        if token.position < start or token.kind != "op":
            continue
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            return token.position
    raise AssertionError("a parsed formula has balanced parentheses")


def _record(model: Any) -> Any:
    return getattr(model, "_record", model)


def _wrong_kinds(a: Any, b: Any) -> str:
    both = "compare(ols, mixed) takes a linear model (pp.lm) and a linear mixed model (pp.lmer)"
    for kind, name, cure in (
        (OlsRecord, "linear models", "Fit one of them with a term such as (1 | g) by pp.lmer"),
        (LmmRecord, "mixed models", "Fit the fixed part alone by pp.lm"),
    ):
        if isinstance(a, kind) and isinstance(b, kind):
            return (
                f"{both}; these are two {name}, {a.spec.formula!r} and {b.spec.formula!r}. {cure}, "
                "or give compare a formula and the data; pp.anova(first, second) tests one against "
                "the other."
            )
    found = [x for x in (a, b) if not isinstance(x, OlsRecord | LmmRecord)]
    names = " and ".join(type(x).__name__ for x in found)
    return (
        f"{both}, or a formula and data; it got {names}. Generalised linear "
        "models are not compared."
    )


def _require_distinct_names(record: LmmRecord) -> None:
    twice = [name for i, name in enumerate(record.names) if name in record.names[:i]]
    if twice:
        raise SpecificationError(
            f"Two columns of the fixed part are named {twice[0]!r}; a comparison tells "
            "coefficients apart by their names. Rename the column of the data."
        )


def _require_same_rows(a: OlsRecord, b: LmmRecord) -> None:
    x, y = a.rows, b.rows
    if x.nobs == y.nobs and (
        x.kept is y.kept
        or (x.kept is not None and y.kept is not None and np.array_equal(x.kept, y.kept))
    ):
        return
    text = f"The models were fitted to different rows: lm used {x.nobs}, lmer {y.nobs}. "
    extra = _extra(x, y)
    if len(extra):
        named = ", ".join(map(str, used_index(a)[extra[:_NAMED]]))
        more = ", ..." if len(extra) > _NAMED else ""
        text += (
            f"{len(extra)} rows are in lm alone ({named}{more}), as where {_groups(b)} is missing. "
        )
    raise SpecificationError(
        f"{text}Drop the rows that either leaves out from the data first, or give compare the "
        "formula and the data: it fits both to the same rows."
    )


def _extra(x: Rows, y: Rows) -> Any:
    """Positions among lm's rows of those that lmer did not use; none if that cannot be told."""
    if y.kept is None:
        return np.empty(0, dtype=np.int64)
    mine = np.arange(x.nobs) if x.kept is None else x.kept
    return np.flatnonzero(~np.isin(mine, y.kept)) if x.nobs > y.nobs else np.empty(0, np.int64)


def _groups(record: LmmRecord) -> str:
    return " or ".join(repr(g.name) for g in record.rows.groups)


def _require_same_values(a: OlsRecord, b: LmmRecord, name: str, called: str) -> None:
    x, y = getattr(a.rows, name), getattr(b.rows, name)
    if x is y or (x is not None and y is not None and np.array_equal(x, y)):
        return
    if x is None or y is None:
        has, lacks = ("lmer", "lm") if x is None else ("lm", "lmer")
        raise SpecificationError(
            f"{has} was fitted with {called} and {lacks} without. Give both the same {called}."
        )
    row = int(np.flatnonzero(x != y)[0])
    responses = f" ({a.spec.formula!r} and {b.spec.formula!r})" if name == "y" else ""
    verb = "differ" if name == "weights" else "differs"
    raise SpecificationError(
        f"The {called} {verb} between the models{responses}: "
        f"in used row {row} it is {x[row]:.6g} in lm and {y[row]:.6g} in lmer. A comparison needs "
        f"the same {called}."
    )


def _same_fixed_part(a: OlsRecord, b: LmmRecord) -> OlsRecord:
    """The linear model, its columns in the order of the mixed model's.

    Raises
    ------
    SpecificationError
    """
    if set(a.names) != set(b.names):
        parts = []
        for kind, names in (
            ("lm", [n for n in a.names if n not in b.names]),
            ("lmer", [n for n in b.names if n not in a.names]),
        ):
            if names:
                more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
                parts.append(f"{', '.join(map(repr, names[:_NAMED]))}{more} only in {kind}")
        raise SpecificationError(
            f"The fixed parts differ: {'; '.join(parts)}. Their coefficients mean different things "
            f"then; compare with pp.lm({without_bars(b.schema.formula)!r}, ...)."
        )
    order = [a.names.index(n) for n in b.names]
    for name, i, j in zip(b.names, order, range(len(b.names)), strict=True):
        row = _first_difference(a.rows, i, b.rows, j)
        if row is not None:
            raise SpecificationError(
                f"The column {name!r} has other values in lm than in lmer, first in used row "
                f"{row}: other data, or another coding. Fit both to the same data."
            )
    if order == list(range(len(order))) and np.array_equal(a.kept, b.kept):
        return a
    return linear_model(b)


def _first_difference(x: Rows, i: int, y: Rows, j: int) -> int | None:
    """First row in which column i of x is not column j of y, but for rounding."""
    if x.fixed[i] is y.fixed[j] or _identical(x, i, y, j):
        return None
    for start in range(0, x.nobs, BLOCK):
        stop = min(start + BLOCK, x.nobs)
        one = fill([x.fixed[i]], start, stop)[:, 0]
        other = fill([y.fixed[j]], start, stop)[:, 0]
        wrong = np.abs(one - other) > _LIKE * np.abs(one)
        if wrong.any():
            return start + int(np.argmax(wrong))
    return None


def _identical(x: Rows, i: int, y: Rows, j: int) -> bool:
    """Both columns are the intercept."""
    one, other = x.fixed[i], y.fixed[j]
    return not (one.numeric or one.lookups or other.numeric or other.lookups)
