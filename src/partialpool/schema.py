"""What a fit keeps of a formula and its data's types, so that new data can follow it.

A `Plan` depends on the formula alone, a `Schema` also on levels, contrasts and learnt states;
neither holds data. `Rows` is the data in the form that fitting needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import expression as expressions
from ._types import BoolArray, Column, FloatArray, Group, IntArray, RandomTerm, TermSpec
from .coding import Piece, Recipe
from .expression import Expression, State
from .formula import ModelFormula

__all__ = [
    "GroupSchema",
    "Plan",
    "Rows",
    "Schema",
    "TermSchema",
    "columns",
    "plan_of",
    "position_of",
]


class Rows(NamedTuple):
    """The data of a fit, or of a prediction, row by row; columns as recipes, never dense.

    Attributes
    ----------
    nobs : int
        n.
    y : (n,) float64 or None
        The response as it is, the offset not removed.
    weights, offset : (n,) float64 or None
        Weights are positive.
    fixed : tuple of Column
        All p columns of X, before any is dropped for rank.
    constant : tuple of int
        Columns of X that add up to 1 in every row; () if none are known to.
    terms : tuple of RandomTerm
        Most levels first, ties in the order of the formula.
    groups : tuple of Group
        Each grouping factor once.
    kept : (n,) int64 or None
        Place in the data of each row; None if they are all there.
    missing : (n,) bool or None
        Only in new data: rows with a missing predictor in the fixed part or the offset.
    """

    nobs: int
    y: FloatArray | None
    weights: FloatArray | None
    offset: FloatArray | None
    fixed: tuple[Column, ...]
    constant: tuple[int, ...]
    terms: tuple[RandomTerm, ...]
    groups: tuple[Group, ...]
    kept: npt.NDArray[np.int64] | None
    missing: BoolArray | None


class Plan(NamedTuple):
    """What a formula needs, worked out once a formula.

    Attributes
    ----------
    response : Expression or None
    pieces : dict of str to Expression
        Every factor of the columns by its key (the spelling that compiles), in order.
    fixed : tuple of tuple of str
        Terms of the fixed part as keys into `pieces`.
    bars : tuple of tuple of tuple of str
        The same for the columns of each bar.
    groups : tuple of tuple of Expression
        The grouping factors of each bar.
    group_names : tuple of str
    offsets : tuple of Expression
    """

    response: Expression | None
    pieces: dict[str, Expression]
    fixed: tuple[tuple[str, ...], ...]
    bars: tuple[tuple[tuple[str, ...], ...], ...]
    groups: tuple[tuple[Expression, ...], ...]
    group_names: tuple[str, ...]
    offsets: tuple[Expression, ...]


class GroupSchema(NamedTuple):
    """A grouping factor without data.

    Attributes
    ----------
    name : str
    parts : tuple of Expression
        The factors that interact; one for a plain grouping factor.
    part_levels : tuple of sequence
        Levels of each part.
    keys : tuple of (.,) int64
        For each part after the first, the sorted codes (so far * levels of the part + code of the
        part) that occur; the places in the last one are the group's codes.
    levels : sequence
        Labels of the group.
    """

    name: str
    parts: tuple[Expression, ...]
    part_levels: tuple[Any, ...]
    keys: tuple[npt.NDArray[np.int64], ...]
    levels: Any


class TermSchema(NamedTuple):
    """A random-effects term without data: `group` indexes ``Schema.groups``."""

    spec: TermSpec
    group: int
    recipes: tuple[Recipe, ...]


class Schema(NamedTuple):
    """Everything that turns new data into the columns of the fit; picklable, without data.

    Attributes
    ----------
    formula : ModelFormula
        With its ``.`` expanded.
    pieces : dict of str to Categorical or Basis
        What each factor of the columns is, by its key.
    states : dict of str to State
        What stateful expressions have learnt, by their source.
    fixed : tuple of Recipe
    constant : tuple of int
    terms : tuple of TermSchema
        In the order of ``Rows.terms``.
    groups : tuple of GroupSchema
    weights, offset : str or None
        The options as given, where they were text.
    array_options : tuple of str
        Which of the two were arrays.
    """

    formula: ModelFormula
    pieces: dict[str, Piece]
    states: dict[str, State]
    fixed: tuple[Recipe, ...]
    constant: tuple[int, ...]
    terms: tuple[TermSchema, ...]
    groups: tuple[GroupSchema, ...]
    weights: str | None
    offset: str | None
    array_options: tuple[str, ...]


@lru_cache(maxsize=256)
def plan_of(mf: ModelFormula) -> Plan:
    """The `Plan` of a formula; cached."""
    pieces: dict[str, Expression] = {}
    terms = [*mf.fixed, *(term for bar in mf.bars for term in bar.terms)]
    for term in terms:
        for factor in term:
            if factor.source not in pieces:
                pieces[factor.source] = expressions.compile(factor.source)
    return Plan(
        response=expressions.compile(mf.response[0].source) if mf.response else None,
        pieces=pieces,
        fixed=tuple(tuple(f.source for f in term) for term in mf.fixed),
        bars=tuple(tuple(tuple(f.source for f in term) for term in bar.terms) for bar in mf.bars),
        groups=tuple(tuple(expressions.compile(f.source) for f in bar.group) for bar in mf.bars),
        group_names=tuple(":".join(f.text for f in bar.group) for bar in mf.bars),
        offsets=tuple(expressions.compile(f.source) for f in mf.offsets),
    )


def position_of(name: str, mf: ModelFormula) -> int | None:
    """Where the formula first uses a column; None if it does so through a ``.``."""
    factors = [*mf.response, *(f for term in mf.fixed for f in term), *mf.offsets]
    for bar in mf.bars:
        factors += [f for term in bar.terms for f in term] + list(bar.group)
    for factor in factors:
        if name in expressions.compile(factor.source).names:
            found = re.compile(rf"(?<![\w.]){re.escape(name)}(?![\w.])").search(
                mf.text, factor.position
            )
            return found.start() if found else None
    return None


def columns(
    recipes: tuple[Recipe, ...],
    values: Mapping[str, tuple[FloatArray, ...]],
    codes: Mapping[str, IntArray],
) -> tuple[Column, ...]:
    """Recipes with their data: each part's values or codes put in."""
    out = []
    for name, parts in recipes:
        if not parts:
            out.append(Column(name, (), ()))
        elif len(parts) == 1:
            key, place, table = parts[0]
            if table is None:
                out.append(Column(name, (values[key][place],), ()))
            else:
                out.append(Column(name, (), ((codes[key], table),)))
        else:
            numeric = tuple([values[key][place] for key, place, table in parts if table is None])
            lookups = tuple([(codes[key], table) for key, _, table in parts if table is not None])
            out.append(Column(name, numeric, lookups))
    return tuple(out)
