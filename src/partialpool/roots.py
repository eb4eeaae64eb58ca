"""A root of the covariance of the coefficients that keeps its digits.

Far from its values' spread (a time in seconds since 1970), a covariate makes the intercept an
extrapolation: the elements of cov(beta) are huge, and x' cov(beta) x is the small difference of
huge numbers. In the shifted and scaled columns X~ = (X - 1 s') D^-1 M of the fit (docs/math.md, M8)
nothing cancels:

    beta = (I - c s') D^-1 M beta~,   l~ = M'D^-1 (l - s c'l),   l' cov(beta) l = |H'l~|^2,

with X c = 1 and H H' = cov(beta~).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import lmm, products
from ._types import FloatArray
from .ols import OlsRecord

if TYPE_CHECKING:
    from .estimates import Record
    from .lmm import LmmRecord

__all__ = ["Root", "root"]

_FAR = 1e3
"""Shifts of so many spreads lose six digits of a variance; nearer ones are transformed as such."""


class Root(NamedTuple):
    """What L cov(beta) L' = M M' needs, for r kept coefficients.

    Attributes
    ----------
    constant : (r,) float64
        c: ones at the columns that add up to the constant, or zeros.
    shift, scale : (r,) float64
    mix : (r, r) float64 or None
    half : (r, r) float64
        H.
    """

    constant: FloatArray
    shift: FloatArray
    scale: FloatArray
    mix: FloatArray | None
    half: FloatArray

    def transformed(self, L: FloatArray) -> FloatArray:
        """(q, r) rows l~ of the rows of L (q, r)."""
        out = (L - np.outer(L @ self.constant, self.shift)) / self.scale
        return out if self.mix is None else np.asarray(out @ self.mix)

    def of(self, L: FloatArray) -> FloatArray:
        """(q, r) M with M M' = L cov(beta) L', for L (q, r): rows of X, or any others."""
        return np.asarray(self.transformed(L) @ self.half)

    def standardised(self, beta: FloatArray) -> FloatArray:
        """(m, r) z with z'z = beta' cov(beta)^-1 beta, for each row beta (m, r); 0 if sigma is."""
        if not self.half.any():
            return np.zeros_like(beta)
        out: FloatArray = (beta + np.outer(beta @ self.shift, self.constant)) * self.scale
        if self.mix is not None:
            out = np.asarray(np.linalg.solve(self.mix, out.T).T)
        return np.asarray(np.linalg.solve(self.half, out.T).T)


def root(record: Record) -> Root:
    """The root of a fit's covariance (not of one adjusted for small samples).

    Parameters
    ----------
    record : OlsRecord or LmmRecord

    Notes
    -----
    r^3 flops; r^4 / 2 where a covariate is far from zero, whose covariance is read off the
    variances of r (r + 1) / 2 rows.
    """
    if isinstance(record, OlsRecord):
        r = len(record.kept)
        return Root(np.zeros(r), np.zeros(r), np.ones(r), None, record.sigma * record.root)
    found: Root | None = record.workspace.get("root")
    if found is None:
        found = record.workspace["root"] = _mixed(record)
    return found


def _mixed(record: LmmRecord) -> Root:
    problem = lmm.problem(record)
    shift, scale, mix, _ = problem.native.transform()
    r = len(shift)
    constant = np.zeros(r)
    constant[products.constant_places(record.rows, tuple(record.kept))] = 1.0
    mixing = mix.reshape(r, r, order="F") if len(mix) else None
    bare = Root(constant, shift, scale, mixing, np.eye(r))
    if mixing is None and (np.abs(shift) <= _FAR * scale).all():
        # l~ = B l, so cov(beta~) = B^-T cov(beta) B^-1, with B^-1 the transform undone.
        undo = np.linalg.inv(bare.transformed(np.eye(r)))
        C = undo @ record.solution.cov_unscaled @ undo.T
    else:
        C = _read_off(record, r)
    return bare._replace(half=record.solution.sigma * np.linalg.cholesky(C))


def _read_off(record: LmmRecord, r: int) -> FloatArray:
    """(r, r) C~ by 2 C~_ij = v(e_i + e_j) - v(e_i) - v(e_j), v the variances of rows."""
    i, j = np.tril_indices(r)
    rows = np.zeros((len(i), r))
    rows[np.arange(len(i)), i] = 1.0
    rows[np.arange(len(i)), j] = 1.0
    v = lmm.problem(record).fixed_variances(record.solution.theta, rows)
    own = np.empty(r)
    own[i[i == j]] = v[i == j]
    C = np.empty((r, r))
    C[i, j] = C[j, i] = np.where(i == j, v, 0.5 * (v - own[i] - own[j]))
    return C
