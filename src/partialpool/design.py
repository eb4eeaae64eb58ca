"""Formula and table to `Rows`: the data that a fit reads, and the schema that new data follow.

The order: read the columns used, drop incomplete rows, drop rows of weight zero, evaluate the
expressions (which learn from the used rows alone), code the factors, group the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from . import expression as expressions
from . import formula as formulas
from ._columns import listed, plain_levels
from ._core import scan
from ._errors import DataError, MissingDataWarning, SpecificationError, one_of, warn
from ._types import Contrast, FloatArray, Group, IntArray, RandomTerm, TermSpec
from .coding import Basis, Categorical, Piece, expand
from .contrasts import TREATMENT, read_contrast
from .expression import Expression
from .formula import ModelFormula
from .grouping import group
from .newdata import rebuild
from .reader import FINITE, Reader
from .schema import GroupSchema, Plan, Rows, Schema, TermSchema, columns, plan_of
from .table import Table

__all__ = [
    "Design",
    "Rows",
    "Schema",
    "Spec",
    "build",
    "dense",
    "displayed",
    "rebuild",
    "response_of",
]

# X'X of more columns than this would take 3 GB (p^2 doubles); a factor of so many levels belongs
# in a random-effects term.
MAX_COLUMNS = 20_000


@dataclass(frozen=True)
class Spec:
    """What was asked for: formula and options, for display and for fitting again."""

    formula: str
    kind: str
    reml: bool | None
    weights: str | None
    offset: str | None
    contrasts: Mapping[str, Any] | None
    missing: str


class Design(NamedTuple):
    """The outcome of `build`."""

    rows: Rows
    schema: Schema
    table: Table


def build(
    mf: ModelFormula,
    table: Table,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: str = "drop",
) -> Design:
    """Turn a formula and a table into rows.

    Parameters
    ----------
    mf : ModelFormula
    table : Table
        n rows; not changed, and no array of the result is a view of it.
    weights, offset : str or (n,) array_like, optional
        A column, an expression, or a value for each row of the data.
    contrasts : mapping of str to str or matrix, optional
        Coding of factors by column name; see `coding.read_contrast`.
    missing : "drop" or "raise"
        Incomplete rows are left out with one `MissingDataWarning`, or refused.

    Returns
    -------
    Design

    Raises
    ------
    FormulaError
        For a column that does not exist.
    DataError
        For data that no model can use: see each message.
    SpecificationError
        For options that make no sense.
    """
    one_of("missing", missing, ("drop", "raise"))
    read = Reader(table, mf)
    if mf.dot:
        mf = read.mf = _expand_dot(mf, table, weights, offset)
    plan = plan_of(mf)
    asked = _read_contrasts(contrasts, plan)
    _read_columns(read, plan, asked)
    weighting = read.option("weights", weights)
    shifting = read.option("offset", offset)
    read.drop_incomplete(missing)
    w = _weights(read, weighting)
    rows, schema = _assemble(read, plan, asked)
    given = (("weights", weights), ("offset", offset))
    return Design(
        rows._replace(weights=w, offset=_offset(read, plan, shifting), kept=read.kept),
        schema._replace(
            weights=weights if isinstance(weights, str) else None,
            offset=offset if isinstance(offset, str) else None,
            array_options=tuple([n for n, v in given if not isinstance(v, str | None)]),
        ),
        table,
    )


def displayed(option: Any) -> str | None:
    """Weights or offset as a `Spec` shows them: their text, or that they were an array."""
    return option if option is None or isinstance(option, str) else "(array)"


def response_of(rows: Rows, y: Any) -> FloatArray:
    """Another response for the same rows, a read-only copy.

    Parameters
    ----------
    rows : Rows
    y : (nobs,) array_like

    Returns
    -------
    (nobs,) float64

    Raises
    ------
    DataError
        If `y` has another length or a value that is not a finite number.
    """
    if np.iscomplexobj(y):
        raise DataError("refit(y): y holds complex numbers; real ones are needed.")
    try:
        response = np.array(y, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError("refit(y): y must hold numbers, one for each used row.") from None
    if response.shape != (rows.nobs,):
        raise DataError(
            f"refit(y): y has shape {response.shape}; this fit used {rows.nobs} rows and needs one "
            "value for each."
        )
    if scan(response) != FINITE:
        row = int(np.flatnonzero(~np.isfinite(response))[0])
        raise DataError(f"refit(y): y[{row}] is {response[row]}; every value must be finite.")
    return _frozen(response)


def dense(rows: Rows, start: int = 0, stop: int | None = None) -> FloatArray:
    """Rows start..stop-1 of X as a dense (stop - start, p) matrix; for tests and small data."""
    stop = rows.nobs if stop is None else stop
    out = np.ones((stop - start, len(rows.fixed)))
    for j, column in enumerate(rows.fixed):
        for x in column.numeric:
            out[:, j] *= x[start:stop]
        for codes, table in column.lookups:
            code = codes[start:stop]
            out[:, j] *= np.where(code < 0, np.nan, table[code])
    return out


def _expand_dot(mf: ModelFormula, table: Table, weights: Any, offset: Any) -> ModelFormula:
    """``.`` as all columns but those of the response, the bars, the weights and the offset."""
    taken: set[str] = set()
    for option in (weights, offset):
        if isinstance(option, str):
            taken.update((option,) if option in table else expressions.compile(option).names)
    left = tuple([name for name in table.names if name not in taken])
    expanded = formulas.parse(mf.text, left, response=bool(mf.response))
    return expanded._replace(dot=False)


def _read_contrasts(contrasts: Mapping[str, Any] | None, plan: Plan) -> dict[str, Contrast]:
    if not contrasts:
        return {}
    if not isinstance(contrasts, Mapping):
        raise SpecificationError(
            f"contrasts must be a dict such as {{'drv': 'sum'}}, not {type(contrasts).__name__}."
        )
    used = {name for piece in plan.pieces.values() for name in piece.names}
    for name in contrasts:
        if name not in used:
            raise SpecificationError(
                f"contrasts names {name!r}, which the formula does not use as a predictor; it uses "
                f"{', '.join(map(repr, sorted(used))) or 'none'}."
            )
    return {name: read_contrast(value, name) for name, value in contrasts.items()}


def _read_columns(read: Reader, plan: Plan, asked: Mapping[str, Contrast]) -> None:
    """Fetch every column that the formula uses, as numbers or as a factor."""
    response = plan.response
    if response is not None:
        if response.is_pair:
            raise SpecificationError(
                f"The response {response.text} is a pair of counts, which only a binomial model "
                "has."
            )
        try:
            read.numbers_of(response)
        except DataError as error:
            raise DataError(f"{error} (The response.)") from None
    for key, piece in plan.pieces.items():
        if piece.is_categorical or (piece.is_name and read.is_factor(piece.names[0])):
            read.factor(piece.names[0])
            read.categorical.add(key)
        else:
            read.numbers_of(piece)
    factors = {plan.pieces[key].names[0] for key in read.categorical}
    for name in asked:
        if name not in factors:
            raise SpecificationError(
                f"contrasts names {name!r}, which is a number in this formula. Write C({name}) to "
                "use it as a factor."
            )
    for parts in plan.groups:
        for part in parts:
            read.grouping(part.names[0])
    for shift in plan.offsets:
        read.numbers_of(shift)


def _weights(read: Reader, weighting: Expression | None) -> FloatArray | None:
    """Weights of the used rows; rows of weight zero are dropped."""
    if weighting is None:
        w = read.options.get("weights")
    else:
        w = read.result(weighting)
    if w is None:
        return None
    # scan() has seen to NaN and Inf already.
    if (w <= 0).any():
        if (w < 0).any():
            at = int(np.flatnonzero(w < 0)[0])
            raise DataError(
                f"The weights have the value {w[at]:g} in row {read.row(at)} (counting from 0); "
                "they must not be negative."
            )
        positive = w > 0
        count = int(w.size - positive.sum())
        if count == w.size:
            raise DataError("All weights are zero.")
        warn(
            f"{count} of {w.size} rows have a weight of zero and were left out.",
            MissingDataWarning,
        )
        read.take(np.flatnonzero(positive))
        w = w[positive]
        read.require_rows()
    return _frozen(w)


def _offset(read: Reader, plan: Plan, shifting: Expression | None) -> FloatArray | None:
    """Sum of the formula's offsets and the option."""
    parts = [read.result(shift) for shift in plan.offsets]
    if shifting is not None:
        parts.append(read.result(shifting))
    elif "offset" in read.options:
        parts.append(read.options["offset"])
    if not parts:
        return None
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return _frozen(total)


def _assemble(read: Reader, plan: Plan, asked: Mapping[str, Contrast]) -> tuple[Rows, Schema]:
    """Everything but the weights and the offset."""
    y = None if plan.response is None else _frozen(_response(read, plan.response))
    pieces: dict[str, Piece] = {}
    values: dict[str, tuple[FloatArray, ...]] = {}
    codes: dict[str, IntArray] = {}
    for key, piece in plan.pieces.items():
        if key in read.categorical:
            codes[key], pieces[key] = _categorical(read, piece, asked)
            continue
        values[key] = _split(read.result(piece))
        pieces[key] = Basis(expressions.column_names(piece))
    _check_width(plan, pieces)
    recipes, constant = expand(plan.fixed, pieces)
    groups: dict[tuple[Expression, ...], int] = {}
    found: list[tuple[Group, GroupSchema]] = []
    terms: list[tuple[TermSchema, RandomTerm]] = []
    for bar, parts, name, inside in zip(
        read.mf.bars, plan.groups, plan.group_names, plan.bars, strict=True
    ):
        if parts not in groups:
            groups[parts] = len(found)
            found.append(group(read, name, parts, bar.text))
        own, _ = expand(inside, pieces)
        spec = TermSpec(name, tuple([r.name for r in own]), bar.diagonal, bar.text)
        place = groups[parts]
        terms.append(
            (
                TermSchema(spec, place, own),
                RandomTerm(spec, place, columns(own, values, codes)),
            )
        )
    if len(terms) > 1:
        terms.sort(key=lambda term: -len(found[term[1].group][0].levels))
    rows = Rows(
        nobs=read.nobs,
        y=y,
        weights=None,
        offset=None,
        fixed=columns(recipes, values, codes),
        constant=constant,
        terms=tuple([term for _, term in terms]),
        groups=tuple([group for group, _ in found]),
        kept=None,
        missing=None,
    )
    schema = Schema(
        formula=read.mf,
        pieces=pieces,
        states=read.states,
        fixed=recipes,
        constant=constant,
        terms=tuple([term for term, _ in terms]),
        groups=tuple([group for _, group in found]),
        weights=None,
        offset=None,
        array_options=(),
    )
    return rows, schema


def _split(result: FloatArray) -> tuple[FloatArray, ...]:
    """The columns of a result, each contiguous and read-only."""
    if result.ndim == 1:
        return (_frozen(result),)
    return tuple([_frozen(np.ascontiguousarray(result[:, j])) for j in range(result.shape[1])])


def _frozen(values: FloatArray) -> FloatArray:
    values.flags.writeable = False
    return values


def _response(read: Reader, response: Expression) -> FloatArray:
    y = read.result(response)
    if y.ndim != 1:
        raise DataError(f"The response {response.text} has {y.shape[1]} columns; it must have one.")
    return y


def _categorical(
    read: Reader, piece: Expression, asked: Mapping[str, Contrast]
) -> tuple[IntArray, Categorical]:
    column, wanted = expressions.contrast_of(piece)
    data = read.used_levels(column)
    if len(data.levels) < 2:
        raise DataError(
            f"Factor {piece.text!r} has one level, {listed(data.levels)}, in the rows used, so it "
            "has no effect to estimate. Drop it from the formula."
        )
    levels = tuple(plain_levels(data.levels))
    texts = list(map(str, levels))
    if len(set(texts)) < len(texts):
        twice = next(text for text in texts if texts.count(text) > 1)
        raise DataError(
            f"Factor {piece.text!r} has different levels that both print as {twice!r}, so their "
            "coefficients could not be told apart. Rename one."
        )
    contrast = asked.get(column, TREATMENT) if wanted is None else wanted
    data.codes.flags.writeable = False
    return data.codes, Categorical(piece.text, levels, contrast)


def _check_width(plan: Plan, pieces: Mapping[str, Piece]) -> None:
    """Refuse a fixed part that no memory holds before its columns are named."""
    total = 0
    for term in plan.fixed:
        width = 1
        for key in term:
            piece = pieces[key]
            width *= len(piece.names) if isinstance(piece, Basis) else len(piece.levels)
        total += width
        if total > MAX_COLUMNS:
            text = ":".join(plan.pieces[key].text for key in term)
            raise SpecificationError(
                f"The term {text} makes more than {MAX_COLUMNS} columns ({width} of its own). A "
                f"factor with so many levels belongs in a random-effects term: (1 | {text})."
            )
