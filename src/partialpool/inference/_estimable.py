"""Which linear functions of the coefficients the data can tell, where columns of X repeat others.

X n = 0 has a solution for every dropped column d: x_d = sum_k c_kd x_k over the kept columns, so
n = (1 at d, -c_kd at k). Of all coefficient vectors that fit equally well, l'beta has one value
if and only if l'n = 0 for all of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._core import fill
from .._types import BoolArray, FloatArray

if TYPE_CHECKING:
    from ..estimates import Record

__all__ = ["NullSpace", "null_space"]

_TOLERANCE = 1e-6
"""Of the size of the terms of l'n; the columns themselves repeat others to 1e-7 of their norm."""

_BLOCK = 4096  # rows of X at a time


class NullSpace(NamedTuple):
    """The null space of X, (n, p) of rank r.

    Attributes
    ----------
    basis : (p, p - r) float64
        A column a dropped column of X, in their order.
    dropped : (p - r,) int64
        Their places.
    size : (p - r,) float64
        Root mean square of each dropped column.
    """

    basis: FloatArray
    dropped: npt.NDArray[np.int64]
    size: FloatArray

    def violated(self, L: FloatArray) -> BoolArray:
        """(q, p - r): does the row of L (q, p) depend on what the dropped column leaves open?"""
        miss = np.abs(L @ self.basis)
        terms = np.abs(L) @ np.abs(self.basis)
        found: BoolArray = np.greater(miss, _TOLERANCE * np.maximum(terms, self.size))
        return found

    def estimable(self, L: FloatArray) -> BoolArray:
        """(q,): has each row of L (q, p) one value for all solutions?"""
        return np.asarray(~self.violated(L).any(axis=1), dtype=bool)


def null_space(record: Record) -> NullSpace:
    """The null space of X in the used rows.

    Parameters
    ----------
    record : OlsRecord or LmmRecord

    Notes
    -----
    By the triangular factor of all columns, rows in blocks; free if no column was dropped, else
    2 n p^2 flops.
    """
    p, r = len(record.names), len(record.kept)
    dropped = np.setdiff1d(np.arange(p), record.kept)
    basis = np.zeros((p, p - r))
    if p == r:
        return NullSpace(basis, dropped, np.zeros(0))
    workspace: dict[str, Any] = getattr(record, "workspace", {})
    if "null_space" in workspace:
        found: NullSpace = workspace["null_space"]
        return found
    order = np.concatenate([record.kept, dropped])
    rows = record.rows
    columns = [rows.fixed[j] for j in order]
    R: FloatArray = np.zeros((0, p))
    for start in range(0, rows.nobs, _BLOCK):
        block = fill(columns, start, min(start + _BLOCK, rows.nobs))
        R = np.asarray(np.linalg.qr(np.concatenate([R, block]), mode="r"))
    scale = np.linalg.norm(R[:r, :r], axis=0)
    basis[record.kept] = -np.linalg.solve(R[:r, :r] / scale, R[:r, r:]) / scale[:, None]
    basis[dropped, np.arange(p - r)] = 1.0
    size = np.linalg.norm(R[:, r:], axis=0) / np.sqrt(rows.nobs)
    workspace["null_space"] = NullSpace(basis, dropped, size)
    return NullSpace(basis, dropped, size)
