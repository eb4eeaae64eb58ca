"""Least squares that may not determine every coefficient, and what it does determine.

The within-group regression says nothing about a covariate that is constant within groups, the
regression of group means nothing when there are fewer groups than coefficients. Both solutions here
are generalised-inverse ones, with the directions that they leave open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._core import fill
from .._types import BoolArray, FloatArray

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..design import Rows

__all__ = [
    "COLLINEAR",
    "ROUNDING",
    "LeastSquares",
    "Origin",
    "block",
    "least_squares",
    "origin",
    "two_stage",
    "upper",
]

COLLINEAR = 1e-7  # inherited from R's lm: a column of which less than this is left repeats others
ROUNDING = 1e-11  # calibrated: what rounding leaves of a column that is a combination of others
_PILOT = 8192  # rows whose means are the origin


class LeastSquares(NamedTuple):
    """A least-squares solution over r columns, of which k are determined one after the other.

    Attributes
    ----------
    beta : (r,) float64
        Zero where a column repeats earlier ones.
    root : (r, r) float64
        root root' is a generalised inverse of the cross-product, zero outside the kept columns.
    null : (r, r - k) float64
        Directions along which the fit does not change.
    estimable : (r,) bool
        Coefficients that are the same in every solution.
    rank : int
        k.
    rss : float
    """

    beta: FloatArray
    root: FloatArray
    null: FloatArray
    estimable: BoolArray
    rank: int
    rss: float


def least_squares(
    A: FloatArray, y: FloatArray, size: FloatArray, *, tolerance: float = COLLINEAR
) -> LeastSquares:
    """Minimise |y - A beta|; columns are taken left to right.

    Parameters
    ----------
    A : (m, r) float64
    y : (m,) float64
    size : (r,) float64
        Norm of each column in the whole of the data: what is left of it is measured against that.
    tolerance : float
        A column of which less than this share of its size is left repeats earlier ones.
    """
    r = A.shape[1]
    unit = np.where(size > 0, size, 1.0)
    T = upper(np.column_stack([A / unit, y]))
    kept = _greedy(T[:, :r], tolerance)
    open_ = [j for j in range(r) if j not in kept]
    beta, null, root = np.zeros(r), np.zeros((r, len(open_))), np.zeros((r, r))
    R = upper(T[:, [*kept, *open_, r]])
    k = len(kept)
    triangle = R[:k, :k]
    solved = np.linalg.solve(triangle, R[:k, k:]) if k else np.zeros((0, len(open_) + 1))
    beta[kept] = solved[:, -1]
    null[kept] = -solved[:, :-1]
    null[open_, range(len(open_))] = 1.0
    if k:
        root[np.ix_(kept, kept)] = np.linalg.solve(triangle, np.eye(k))
    estimable = np.asarray((np.abs(null) < COLLINEAR).all(axis=1))
    left = T[:, r] - T[:, :r] @ beta
    scale = unit[:, None]
    return LeastSquares(beta / unit, root / scale, null / scale, estimable, k, float(left @ left))


def two_stage(
    first: FloatArray, second: FloatArray, size: FloatArray
) -> tuple[FloatArray, LeastSquares]:
    """Minimise the first sum of squares, then the second along what the first leaves open.

    This is the limit of |first|^2 + epsilon |second|^2 as epsilon goes to zero.

    Parameters
    ----------
    first, second : (., r + 1) float64
        [A y] of each.
    size : (r,) float64

    Returns
    -------
    beta : (r,) float64
    found : LeastSquares
        Of the first alone.
    """
    r = first.shape[1] - 1
    found = least_squares(first[:, :r], first[:, r], size)
    if not found.null.shape[1]:
        return found.beta, found
    A = second[:, :r] @ found.null
    rest = second[:, r] - second[:, :r] @ found.beta
    norms = np.sqrt((A**2).sum(axis=0))
    again = least_squares(A, rest, norms, tolerance=ROUNDING)
    return found.beta + found.null @ again.beta, found


class Origin(NamedTuple):
    """Where columns and response are measured from, so that timestamps keep their digits.

    With x = x~ + c and y = y~ + d, and columns D that add up to one, the coefficients on x~, y~
    are those on x, y but on D: beta_D = beta~_D + d - sum_j c_j beta~_j. Every weighted least
    squares is equivariant under it.

    Attributes
    ----------
    shift : (r + 1,) float64
        c, zero on D, and d; all zero where no columns add up to one.
    constant : (r,) bool
        Which columns are D.
    """

    shift: FloatArray
    constant: BoolArray

    def coefficients(self, beta: FloatArray) -> FloatArray:
        """On the user's columns, from those on shifted ones."""
        c, d = self.shift[:-1], self.shift[-1]
        return np.asarray(beta + self.constant * (d - c @ beta))

    def matrix(self, W: FloatArray) -> FloatArray:
        """A matrix that maps coefficients to coefficients, T W T^-1."""
        D = self.constant[:, None].astype(float)
        left = W - D * (self.shift[:-1] @ W)
        return np.asarray(left + (left @ D) * self.shift[:-1])

    def covariance(self, M: FloatArray) -> FloatArray:
        """A covariance, T M T'."""
        D = self.constant[:, None].astype(float)
        left = M - D * (self.shift[:-1] @ M)
        return np.asarray(left - (left @ self.shift[:-1])[:, None] * D.T)

    def estimable(self, found: LeastSquares, size: FloatArray) -> BoolArray:
        """(r,) coefficients on the user's columns that are the same in every solution.

        An intercept may be determined where the covariate has its origin and not where its mean is,
        as with slopes of each level's own, or the other way round, as where all means are the same.

        Parameters
        ----------
        found : LeastSquares
            On shifted columns.
        size : (r,) float64
            Norm of each shifted column.
        """
        unit = np.where(size > 0, size, 1.0)[:, None]
        D, c = self.constant[:, None], self.shift[:-1]
        moved = np.abs(found.null - D * (c @ found.null)) * unit
        terms = (np.abs(found.null) + D * (np.abs(c) @ np.abs(found.null))) * unit
        return np.asarray((moved <= COLLINEAR * np.maximum(1.0, terms)).all(axis=1))

    def root(self, root: FloatArray) -> FloatArray:
        """A square root of a covariance, T root."""
        return np.asarray(root - self.constant[:, None] * (self.shift[:-1] @ root))


def origin(rows: Rows, kept: npt.NDArray[np.int64]) -> Origin:
    """Means of the first rows, where the columns kept span the constant."""
    places = {int(column): i for i, column in enumerate(kept)}
    shift = np.zeros(len(kept) + 1)
    constant = np.zeros(len(kept), dtype=bool)
    if rows.constant and all(c in places for c in rows.constant):
        constant[[places[c] for c in rows.constant]] = True
        shift[:] = block(rows, kept, 0, min(rows.nobs, _PILOT)).mean(axis=0)
        shift[:-1][constant] = 0.0
    return Origin(shift, constant)


def block(rows: Rows, kept: npt.NDArray[np.int64], start: int, stop: int) -> FloatArray:
    """(stop - start, r + 1) rows of [X y - offset]."""
    assert rows.y is not None
    out = np.empty((stop - start, len(kept) + 1))
    out[:, :-1] = fill([rows.fixed[i] for i in kept], start, stop)
    out[:, -1] = rows.y[start:stop]
    if rows.offset is not None:
        out[:, -1] -= rows.offset[start:stop]
    return out


def upper(A: FloatArray) -> FloatArray:
    """(c, c) triangular factor of a matrix of c columns; of either sign."""
    c = A.shape[1]
    R = np.asarray(np.linalg.qr(A, mode="r"))
    return R if len(R) == c else np.concatenate([R, np.zeros((c - len(R), c))])


def _greedy(T: FloatArray, tolerance: float) -> list[int]:
    """Columns of T of which at least `tolerance` is left after projection on earlier ones."""
    kept: list[int] = []
    basis = np.zeros((len(T), T.shape[1]))
    for j in range(T.shape[1]):
        v = T[:, j].copy()
        Q = basis[:, : len(kept)]
        for _ in range(2):  # twice is enough (Kahan and Parlett)
            v -= Q @ (Q.T @ v)
        rest = float(np.linalg.norm(v))
        if rest > tolerance and len(kept) < len(T):
            basis[:, len(kept)] = v / rest
            kept.append(j)
    return kept
