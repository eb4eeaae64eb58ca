"""Factors to design columns: contrasts, full or reduced rank, names.

A formula's terms become `Recipe`s: which evaluated pieces are multiplied, and by which lookup
table a factor's codes turn into numbers. A recipe holds no data, so the same recipes serve the
fit and every later prediction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import NamedTuple, TypeAlias

from ._types import FloatArray
from .contrasts import Categorical, code

__all__ = ["Basis", "Categorical", "Part", "Piece", "Recipe", "expand"]


class Basis(NamedTuple):
    """A numeric piece of a formula: the names of its columns (one, but for ``poly`` and such)."""

    names: tuple[str, ...]


Piece: TypeAlias = Categorical | Basis


class Part(NamedTuple):
    """One part of a product: column `column` of numeric piece `key`, or `table` at its codes."""

    key: str
    column: int
    table: FloatArray | None


class Recipe(NamedTuple):
    """A design column as a product of parts; the empty product is the intercept."""

    name: str
    parts: tuple[Part, ...]


INTERCEPT = Recipe("Intercept", ())


def expand(
    terms: Sequence[tuple[str, ...]], pieces: Mapping[str, Piece]
) -> tuple[tuple[Recipe, ...], tuple[int, ...]]:
    """Turn terms into column recipes, in R's order: the first factor of a term varies fastest.

    Parameters
    ----------
    terms : sequence of tuple of str
        Keys into `pieces`, sorted by degree; ``()`` is the intercept.
    pieces : mapping of str to Categorical or Basis

    Returns
    -------
    recipes : tuple of Recipe
    constant : tuple of int
        Indices of columns that add up to 1 in every row, whatever the data; () if none do.

    Notes
    -----
    A factor of a term is coded by contrasts where the rest of the term (its margin) is in the
    span of earlier columns already, else by one dummy a level. The margin is spanned if an
    earlier term contains it and has nothing else but factors, whose dummies add up to 1. This is
    the rule of R's ``model.matrix`` wherever that one gives the right column space (R forgets
    the proviso, so it loses columns in ``x:b + a:b``).
    """
    if all(len(term) == 1 and isinstance(pieces[term[0]], Basis) for term in terms[1:]) and (
        terms and terms[0] == ()
    ):
        return _numeric_recipes(terms[1:], pieces), (0,)
    categorical = {key for term in terms for key in term if isinstance(pieces[key], Categorical)}
    recipes: list[Recipe] = []
    constant: tuple[int, ...] = ()
    seen: list[frozenset[str]] = []
    for term in terms:
        columns: list[list[tuple[str, Part]]] = []
        all_full = True
        for key in term:
            piece = pieces[key]
            if isinstance(piece, Basis):
                all_full = False
                columns.append([(n, Part(key, j, None)) for j, n in enumerate(piece.names)])
                continue
            reduced = _spanned(frozenset(term) - {key}, seen, categorical)
            all_full = all_full and not reduced
            coding = code(piece, full=not reduced)
            columns.append(
                [
                    (piece.text + suffix, Part(key, -1, table))
                    for suffix, table in zip(coding.suffixes, coding.tables, strict=True)
                ]
            )
        start = len(recipes)
        if not term:
            recipes.append(INTERCEPT)
        elif len(columns) == 1:
            recipes += [Recipe(name, (part,)) for name, part in columns[0]]
        else:
            for chosen in product(*reversed(columns)):
                ordered = chosen[::-1]
                name = ":".join([name for name, _ in ordered])
                recipes.append(Recipe(name, tuple([part for _, part in ordered])))
        if all_full and not constant:
            constant = tuple(range(start, len(recipes)))
        seen.append(frozenset(term))
    return tuple(recipes), constant


def _numeric_recipes(
    terms: Sequence[tuple[str, ...]], pieces: Mapping[str, Piece]
) -> tuple[Recipe, ...]:
    """An intercept and main effects of numeric pieces: the common case, kept short."""
    recipes = [INTERCEPT]
    for (key,) in terms:
        piece = pieces[key]
        assert isinstance(piece, Basis)
        recipes += [Recipe(name, (Part(key, j, None),)) for j, name in enumerate(piece.names)]
    return tuple(recipes)


def _spanned(
    margin: frozenset[str], seen: Sequence[frozenset[str]], categorical: Collection[str]
) -> bool:
    return any(margin <= term and all(key in categorical for key in term - margin) for term in seen)
