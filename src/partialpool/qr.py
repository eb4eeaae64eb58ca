"""The triangular factor of the rows: Householder QR in blocks, and R's rule for what to drop.

The rows of W^(1/2) [X y] are stacked under the factor so far, a block at a time, so X is never
whole and the factor is the one of a QR of all rows (the loss of a cross-product, the squared
condition number, does not occur).

Where some columns of X add up to one (`Rows.constant`, D below), every other column and y are
shifted by a pilot mean first: x = x~ + c 1 with 1 = sum of D, so with beta~ the coefficients on
shifted columns

    beta_j = beta~_j  (j not in D),    beta_k = beta~_k + c_y - sum_j c_j beta~_j  (k in D).

After the factorisation everything happens on p + 1 vectors in the coordinates of Q, where the
unshifted column is the shifted one plus c times the sum of D's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ._core import fill
from ._errors import RankDeficientWarning, warn
from ._types import FloatArray

if TYPE_CHECKING:
    from .design import Rows

__all__ = ["RowQR", "factor", "warn_dropped"]

_BLOCK = 8192
"""Rows a block: a block of ten columns stays in the second-level cache (calibrated by DESIGN)."""

_TOLERANCE = 1e-7
"""What must be left of a column after projection on the kept earlier ones, relative to its own
norm (inherited from R's lm; R does not centre)."""

_ROUNDING = 1e-14
"""The same relative to the norm before centring: a constant column is left with rounding, about
one unit in 2^53, of what it was (derived, with a margin of 50)."""

_ALIAS = 1e-7
"""A kept column has part in a dropped one if it explains more than this share of its norm."""

_NAMED = 5  # columns named in a warning before "and so many more"


class RowQR(NamedTuple):
    """The least-squares fit of the rows, and its triangular factor.

    Attributes
    ----------
    kept : (p,) int64
        Indices into `Rows.fixed` of the columns kept.
    R : (p, p) float64
        Upper triangular with R'R = X'WX over the kept columns, diagonal not negative.
    beta : (p,) float64
        Least-squares coefficients of the kept columns.
    rss : float
        Weighted residual sum of squares.
    aliases : tuple of (int, tuple of int)
        Every dropped column with the kept columns that it repeats (none: it is zero).
    root : (p, p) float64
        root root' = (X'WX)^-1, accurate where the columns have large means and R is not.
    """

    kept: npt.NDArray[np.int64]
    R: FloatArray
    beta: FloatArray
    rss: float
    aliases: tuple[tuple[int, tuple[int, ...]], ...]
    root: FloatArray


def factor(rows: Rows) -> RowQR:
    """Factor W^(1/2) [X y - offset] and solve for the coefficients.

    Parameters
    ----------
    rows : Rows
        n rows with p fixed columns; `y` must be there.

    Returns
    -------
    RowQR
        With p - r columns kept when X has r columns that repeat earlier ones.

    Notes
    -----
    One refinement step on the rows (corrected semi-normal equations, Bjorck 1987) follows, which
    also takes the residual sum of squares from the residuals and not from the last pivot: exact
    fits come out as exact as the data are.

    Cost: 2 n p^2 flops and one block of p + 1 columns of memory.
    """
    shift = _pilot(rows)
    S = _triangular(rows, shift)
    p = len(rows.fixed)
    one = S[:, list(rows.constant)].sum(axis=1) if rows.constant else np.zeros(p + 1)
    raw = S + one[:, None] * shift  # unshifted columns in the coordinates of Q
    kept = _keep(S, raw, one, rows.constant, p)
    spanned = bool(rows.constant) and set(rows.constant) <= set(kept)
    V = S if spanned else raw
    T = _upper(V[:, [*kept, p]])
    k = len(kept)
    back = _inverse(T[:k, :k])
    beta, center = back @ T[:k, k], np.zeros(k)
    if spanned:
        center = shift[kept]  # zero on the columns of D
    used = shift if spanned else np.zeros(p + 1)
    beta, rss = _refine(rows, used, kept, beta, back)
    in_constant = np.array([spanned and j in rows.constant for j in kept], dtype=bool)
    root = back.copy()
    root[in_constant] -= center @ back
    beta[in_constant] += used[p] - center @ beta
    R = _upper(raw[:, kept])
    R = R * np.where(np.diag(R) < 0, -1.0, 1.0)[:, None]
    aliases = _aliases(raw, kept, p) if k < p else ()
    return RowQR(np.asarray(kept, dtype=np.int64), R, beta, rss, aliases, root)


def _upper(A: FloatArray) -> FloatArray:
    """The triangular factor of a dense matrix; of either sign."""
    if len(A) <= A.shape[1] + 1 and not np.tril(A, -1).any():
        return A[: A.shape[1]]  # it is one already, as it is when nothing was dropped
    return np.asarray(np.linalg.qr(A, mode="r"))


def _pilot(rows: Rows) -> FloatArray:
    """(p + 1,) shifts of the columns and y: means of the first block, 0 where 1 is not spanned."""
    p = len(rows.fixed)
    shift = np.zeros(p + 1)
    if rows.constant and rows.nobs:
        shift[:] = _block(rows, 0, min(rows.nobs, _BLOCK), None, weighted=False).mean(axis=0)
        shift[list(rows.constant)] = 0.0
    return shift


def _block(
    rows: Rows, start: int, stop: int, shift: FloatArray | None, *, weighted: bool = True
) -> FloatArray:
    """Rows start to stop of W^(1/2) ([X y - offset] - shift)."""
    assert rows.y is not None
    p = len(rows.fixed)
    block = np.empty((stop - start, p + 1))
    block[:, :p] = fill(rows.fixed, start, stop)
    block[:, p] = rows.y[start:stop]
    if rows.offset is not None:
        block[:, p] -= rows.offset[start:stop]
    if shift is not None:
        block -= shift
    if weighted and rows.weights is not None:
        block *= np.sqrt(rows.weights[start:stop])[:, None]
    return block


def _triangular(rows: Rows, shift: FloatArray) -> FloatArray:
    """(p + 1, p + 1) triangular factor of all rows, in blocks."""
    p = len(rows.fixed)
    S = np.zeros((0, p + 1))
    for start in range(0, rows.nobs, _BLOCK):
        block = _block(rows, start, min(start + _BLOCK, rows.nobs), shift)
        S = _upper(np.concatenate([S, block]) if len(S) else block)
    if len(S) < p + 1:  # fewer rows than columns
        S = np.concatenate([S, np.zeros((p + 1 - len(S), p + 1))])
    return S


def _keep(
    S: FloatArray, raw: FloatArray, one: FloatArray, constant: tuple[int, ...], p: int
) -> list[int]:
    """Indices of the columns that R's rule keeps, ascending.

    Columns are taken left to right. Columns in front of the ones that span the intercept
    (``0 + x + f``) cannot be centred where they stand, so the spanning ones are tried first: if
    then nothing in front of them is dropped, left to right would have kept the same set.
    """
    spanning = set(constant)
    order = list(constant) + [j for j in range(p) if j not in spanning]
    norm = np.sqrt((raw[:, :p] ** 2).sum(axis=0))
    if constant:
        unit = one / np.linalg.norm(one)
        own = np.sqrt(((S[:, :p] - unit[:, None] * (unit @ S[:, :p])) ** 2).sum(axis=0))
        own[list(constant)] = norm[list(constant)]
        kept = _greedy(S, order, np.maximum(_TOLERANCE * own, _ROUNDING * norm))
        lost = set(range(p)) - set(kept)
        if not lost or order == list(range(p)) or min(lost) > max(constant):
            return sorted(kept)
    return sorted(_greedy(raw, list(range(p)), np.maximum(_TOLERANCE * norm, 1e-300)))


def _greedy(V: FloatArray, order: list[int], least: FloatArray) -> list[int]:
    """Columns of V, in `order`, of which at least `least` is left after the kept earlier ones."""
    left = np.abs(np.diag(_upper(V[:, order])))
    if len(left) == len(order) and np.all(left >= least[order]) and np.all(left > 0):
        return order
    kept: list[int] = []
    basis = np.empty((len(V), len(order)))
    for j in order:
        v = V[:, j].copy()
        Q = basis[:, : len(kept)]
        for _ in range(2):  # twice is enough (Kahan and Parlett)
            v -= Q @ (Q.T @ v)
        rest = float(np.linalg.norm(v))
        if rest > 0 and rest >= least[j] and len(kept) < len(V):
            basis[:, len(kept)] = v / rest
            kept.append(j)
    return kept


def _refine(
    rows: Rows, shift: FloatArray, kept: list[int], beta: FloatArray, back: FloatArray
) -> tuple[FloatArray, float]:
    """One corrected semi-normal step; the coefficients on shifted columns, and the RSS."""
    p = len(rows.fixed)
    score, square = np.zeros(len(kept)), 0.0
    for start in range(0, rows.nobs, _BLOCK):
        block = _block(rows, start, min(start + _BLOCK, rows.nobs), shift)
        X = block[:, kept]
        r = block[:, p] - X @ beta
        score += X.T @ r
        square += float(r @ r)
    half = back.T @ score
    # |r - X delta|^2 = |r|^2 - |R^-T X'r|^2
    return beta + back @ half, max(square - float(half @ half), 0.0)


def _inverse(R: FloatArray) -> FloatArray:
    """Inverse of an upper triangular matrix whose columns may differ in scale by any power."""
    if not len(R):
        return np.zeros((0, 0))
    scale = np.abs(np.diag(R))
    inverse: FloatArray = np.linalg.solve(R / scale, np.eye(len(R))) / scale[:, None]
    return np.triu(inverse)


def _aliases(raw: FloatArray, kept: list[int], p: int) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Each dropped column with the kept columns of which it is a combination."""
    norm = np.sqrt((raw[:, :p] ** 2).sum(axis=0))
    scale = np.where(norm > 0, norm, 1.0)
    solution = np.linalg.lstsq(raw[:, kept] / scale[kept], raw[:, :p] / scale, rcond=1e-15)[0]
    found = []
    for j in sorted(set(range(p)) - set(kept)):
        parts = tuple(k for k, c in zip(kept, solution[:, j], strict=True) if abs(c) > _ALIAS)
        found.append((j, parts if norm[j] > 0 else ()))
    return tuple(found)


def warn_dropped(names: Sequence[str], aliases: Sequence[tuple[int, tuple[int, ...]]]) -> None:
    """Say which columns were dropped, and which ones each repeats."""
    if not aliases:
        return
    parts = []
    for j, of in aliases[:_NAMED]:
        why = f"repeats {', '.join(names[k] for k in of[:_NAMED])}" if of else "is zero"
        parts.append(f"{names[j]!r} ({why}{', ...' if len(of) > _NAMED else ''})")
    more = f" and {len(aliases) - _NAMED} more" if len(aliases) > _NAMED else ""
    if len(aliases) == 1:
        head = "1 column of X is a combination of earlier ones and was left out"
    else:
        head = f"{len(aliases)} columns of X are combinations of earlier ones and were left out"
    warn(
        f"X has rank {len(names) - len(aliases)} with {len(names)} columns. {head}: "
        f"{', '.join(parts)}{more}. Left-out coefficients are NaN. "
        "Beyond the columns that it repeats, less than 1e-7 of each was left.",
        RankDeficientWarning,
    )
