"""Rows to cross-products: after this, n has left the stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import _core
from ._errors import SpecificationError
from ._types import FloatArray

if TYPE_CHECKING:
    from .design import Rows

__all__ = ["CrossProducts", "accumulate", "constant_places", "random_columns", "row_set"]

# Below this share of its own squared length left after projection on earlier columns, a column of X
# is looked at again by QR of the rows: the condition number passes 1e3 there, and cross-products in
# double precision lose more than six digits (docs/math.md, M8).
_ILL_CONDITIONED = 1e-6
_QR_ROWS = 8192


@dataclass(frozen=True)
class CrossProducts:
    """[Z X y]'W[Z X y] of some rows, in shifted and scaled columns.

    ``a + b`` are the products of both sets of rows together; both must have been accumulated with
    the same columns, levels and transform (``accumulate(rows, like=a)``).

    Attributes
    ----------
    native : Products
        Per grouping factor Z_j'WZ_j and Z_j'W[X y]; per pair of factors the blocks that occur;
        [X y]'W[X y]; the shifts and scales that are undone in every result.
    kept : tuple of int
        The columns of the fixed part that are in use.
    """

    native: _core.Products
    kept: tuple[int, ...]

    @property
    def nobs(self) -> int:
        """Rows that went in."""
        return int(self.native.n)

    def __add__(self, other: CrossProducts) -> CrossProducts:
        if self.kept != other.kept:
            raise SpecificationError(
                f"Cross-products of different columns cannot be added: {self.kept} and "
                f"{other.kept}. Accumulate the second with accumulate(rows, like=first)."
            )
        try:
            return CrossProducts(self.native + other.native, self.kept)
        except ValueError:
            raise SpecificationError(
                "Cross-products of other levels, or with other shifts and scales, cannot be added. "
                "Accumulate the second with accumulate(rows, like=first)."
            ) from None


class GroupColumns(NamedTuple):
    """The columns of all terms on one grouping factor, side by side."""

    columns: tuple[Any, ...]
    shiftable: list[bool]  # its term is unstructured and has the intercept beside it
    intercepts: list[int]  # the intercept's place, or -1, for each column
    offsets: dict[int, int]  # term to its first column


def random_columns(rows: Rows) -> list[GroupColumns]:
    """The columns of each grouping factor, in the order of the terms."""
    found = [GroupColumns((), [], [], {}) for _ in rows.groups]
    for i, term in enumerate(rows.terms):
        group = found[term.group]
        first = len(group.columns)
        group.offsets[i] = first
        constant = [not c.numeric and not c.lookups for c in term.columns]
        at = first + constant.index(True) if any(constant) else -1
        for is_constant in constant:
            group.shiftable.append(at >= 0 and not is_constant and not term.spec.diagonal)
            group.intercepts.append(at)
        found[term.group] = group._replace(columns=group.columns + tuple(term.columns))
    return found


def row_set(rows: Rows, kept: tuple[int, ...], groups: list[GroupColumns]) -> _core.RowSet:
    """The native view of the rows."""
    assert rows.y is not None
    fixed = rows.fixed if len(kept) == len(rows.fixed) else tuple(rows.fixed[i] for i in kept)
    return _core.RowSet(
        rows.nobs,
        rows.y,
        rows.weights,
        rows.offset,
        fixed,
        [(g.codes, len(g.levels), c.columns) for g, c in zip(rows.groups, groups, strict=True)],
    )


def accumulate(
    rows: Rows,
    *,
    kept: tuple[int, ...] | None = None,
    like: CrossProducts | None = None,
) -> CrossProducts:
    """Cross-products of rows, read once in blocks.

    Parameters
    ----------
    rows : Rows
    kept : tuple of int, optional
        Columns of the fixed part to use; default all.
    like : CrossProducts, optional
        Products to be added to: their columns, shifts and scales are used.

    Returns
    -------
    CrossProducts

    Notes
    -----
    n (k + p)^2 flops, and memory for one block of rows beside the products. Where the fixed part is
    ill-conditioned, the rows are read twice more: for a QR of X and with the columns X R^-1.
    """
    if kept is None:
        kept = tuple(range(len(rows.fixed))) if like is None else like.kept
    groups = random_columns(rows)
    native = row_set(rows, kept, groups)
    if like is not None:
        return CrossProducts(_core.accumulate_like(native, like.native), kept)
    return CrossProducts(accumulate_native(rows, kept, groups, native), kept)


def accumulate_native(
    rows: Rows, kept: tuple[int, ...], groups: list[GroupColumns], native: _core.RowSet
) -> _core.Products:
    """The same from a native view, for those who keep it."""
    products = first_pass(rows, kept, groups, native)
    return second_pass(rows, kept, groups, native, products)


def first_pass(
    rows: Rows, kept: tuple[int, ...], groups: list[GroupColumns], native: _core.RowSet
) -> _core.Products:
    """Products of the shifted and scaled columns."""
    return _core.accumulate(native, constant_places(rows, kept), [g.shiftable for g in groups])


def second_pass(
    rows: Rows,
    kept: tuple[int, ...],
    groups: list[GroupColumns],
    native: _core.RowSet,
    products: _core.Products,
) -> _core.Products:
    """Where the fixed part is ill-conditioned, products of X R^-1; else those of the first pass."""
    if not is_ill_conditioned(products):
        return products
    mix = _orthogonal_basis(rows, kept, products.fixed_transform())
    return _core.accumulate(native, constant_places(rows, kept), [g.shiftable for g in groups], mix)


def is_ill_conditioned(products: _core.Products) -> bool:
    """Do the columns of X repeat each other, nearly or wholly?"""
    return bool(products.p) and products.smallest_pivot() < _ILL_CONDITIONED


def constant_places(rows: Rows, kept: tuple[int, ...]) -> list[int]:
    """Places in `kept` of columns that add up to the constant; none if one of them is left out."""
    place = {column: i for i, column in enumerate(kept)}
    if not rows.constant or any(c not in place for c in rows.constant):
        return []
    return [place[c] for c in rows.constant]


def _orthogonal_basis(
    rows: Rows, kept: tuple[int, ...], transform: tuple[FloatArray, FloatArray]
) -> list[float]:
    """sqrt(n) R^-1 of the shifted and scaled X, column after column."""
    shift, scale = transform
    columns = tuple(rows.fixed[i] for i in kept)
    p = len(kept)
    R: FloatArray = np.zeros((0, p))
    for start in range(0, rows.nobs, _QR_ROWS):
        stop = min(rows.nobs, start + _QR_ROWS)
        block = (_core.fill(columns, start, stop) - shift) / scale
        if rows.weights is not None:
            block *= np.sqrt(rows.weights[start:stop])[:, None]
        R = np.asarray(np.linalg.qr(np.vstack([R, block]), mode="r"))
    mix = np.sqrt(rows.nobs) * np.linalg.inv(R)
    return [float(v) for v in np.triu(mix).ravel(order="F")]
