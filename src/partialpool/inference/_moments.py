"""Parametric draws of the moments that a refit needs, without drawing rows.

For one grouping factor, y - X beta = Z b + e enters a refit through Z_j'W(.) of each level, X'W(.)
and the square (.)'W(.). Given b these are G_j b_j + a_j, sum_j C_j'b_j + c and
sum_j b_j'(G_j b_j + 2 a_j) + e'We, with G_j = Z_j'WZ_j, C_j = Z_j'WX and

    a_j = Z_j'We ~ N(0, sigma^2 G_j), independent over j,
    c = X'We = sum_j C_j'G_j^- a_j + r,  r ~ N(0, sigma^2 (X'WX - sum_j C_j'G_j^- C_j)),
    e'We / sigma^2 = chi^2(n): the squares of the normals behind a and r, and a chi^2 of the rest.

So k normals a level for b, as many for a, p for r and one chi^2 replace n normals
(docs/math.md, M19).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .. import lmm
from .._types import FloatArray
from ..estimates import sigma
from ..ols import OlsRecord

if TYPE_CHECKING:
    from ..estimates import Record
    from ..lmm import LmmRecord

__all__ = ["LeastSquares", "Moments", "is_cheaper", "moments", "refit"]

_ROWS = 4096  # below, drawing rows is cheap, and a statistic gets the same replicates
_RATIO = 4  # rows a moment; measured: twice as fast at 20, as fast as rows at 3
_ROUNDING = 1e-12  # share of the largest eigenvalue below which a direction is none


@dataclass(frozen=True)
class Moments:
    """What the draws need, in the transformed columns of the cross-products.

    Attributes
    ----------
    n : int
    sigma : float
    effect : (k, k) float64
        b_j = effect u_j with u_j standard normal.
    G : (k, k, levels) float64
    C : (k, p, levels) float64
        Z_j'WX.
    root : (k, k, levels) float64
        root root' = G_j.
    slope : (k, p, levels) float64
        C_j'G_j^- a_j = slope_j'w_j where a_j = root_j w_j.
    rest : (p, p) float64
        The root of what is left of X'WX.
    """

    n: int
    sigma: float
    effect: FloatArray
    G: FloatArray
    C: FloatArray
    root: FloatArray
    slope: FloatArray
    rest: FloatArray

    @property
    def size(self) -> int:
        """Numbers a replicate."""
        k, p, levels = self.C.shape
        return int(2 * k * levels + p)

    def draw(
        self, generator: np.random.Generator, count: int
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(count, levels * k) Z'W(y - X beta), (count, p) the same with X', (count,) its square."""
        k, p, levels = self.C.shape
        u = generator.standard_normal((k, count, levels))
        w = generator.standard_normal((k, count, levels))
        v = generator.standard_normal((count, p))
        left = self.n - levels * k - p
        square = generator.chisquare(left, count) if left > 0 else np.zeros(count)
        square += (v**2).sum(axis=1)
        for part in w:
            square += np.einsum("cj,cj->c", part, part)
        w *= self.sigma
        square *= self.sigma**2
        b = _product(self.effect[:, :, None], u)
        a = _product(self.root, w)
        Zy = _product(self.G, b)
        Xy = self.sigma * np.einsum("xy,cy->cx", self.rest, v)
        for r in range(k):
            Zy[r] += a[r]
            # b'(G b + 2 a)
            square += np.einsum("cj,cj->c", b[r], Zy[r] + a[r])
            Xy += np.einsum("cj,xj->cx", b[r], self.C[r])
            Xy += np.einsum("cj,xj->cx", w[r], self.slope[r])
        return np.ascontiguousarray(Zy.transpose(1, 2, 0)).reshape(count, -1), Xy, square


@dataclass(frozen=True)
class LeastSquares:
    """The distribution of the estimates of `lm`: normal coefficients, a chi-square beside them.

    Attributes
    ----------
    beta : (r,) float64
    spread : (r, r) float64
        spread spread' is the covariance of beta.
    sigma : float
    df : int
    """

    beta: FloatArray
    spread: FloatArray
    sigma: float
    df: int

    @property
    def size(self) -> int:
        """Numbers a replicate."""
        return len(self.beta) + 1

    def draw(self, generator: np.random.Generator, count: int) -> tuple[FloatArray, FloatArray]:
        """(count, r) coefficients and (count,) sigma."""
        z = generator.standard_normal((count, len(self.beta)))
        square = generator.chisquare(self.df, count) / self.df
        return self.beta + np.einsum("xy,cy->cx", self.spread, z), self.sigma * np.sqrt(square)


def is_cheaper(record: Record) -> bool:
    """Are there many more rows than moments? For one grouping factor, or none."""
    rows = record.rows
    if len(rows.groups) > 1 or rows.nobs < _ROWS:
        return False
    effects = sum(len(term.columns) * len(rows.groups[term.group].levels) for term in rows.terms)
    return bool(rows.nobs >= _RATIO * (effects + len(record.kept)))


def moments(record: Record) -> Moments | LeastSquares:
    """The distribution of the moments under the fitted model; of the estimates for `lm`."""
    if isinstance(record, OlsRecord):
        spread = record.sigma * record.root
        return LeastSquares(record.beta, spread, record.sigma, record.df_resid)
    state = record.products.native.state()
    n, p, D = state[0], state[1], state[3]
    ((k, levels, G, C),) = state[4]
    XX = D.reshape(p + 1, p + 1)[:p, :p]
    G = G.reshape(levels, k, k)
    C = C.reshape(levels, p + 1, k)[:, :p].transpose(0, 2, 1)
    values, vectors = np.linalg.eigh(G)
    values = np.where(values > _ROUNDING * values[:, -1:], values, 0)
    size = np.sqrt(values)
    root = vectors * size[:, None, :]
    with np.errstate(divide="ignore"):
        inverse = np.where(size > 0, 1 / size, 0)
    slope = inverse[:, :, None] * np.einsum("jac,jax->jcx", vectors, C)
    left = XX - np.einsum("jcx,jcy->xy", slope, slope)
    return Moments(
        n=n,
        sigma=sigma(record),
        effect=_effect(record, k),
        G=np.ascontiguousarray(G.transpose(1, 2, 0)),
        C=np.ascontiguousarray(C.transpose(1, 2, 0)),
        root=np.ascontiguousarray(root.transpose(1, 2, 0)),
        slope=np.ascontiguousarray(slope.transpose(1, 2, 0)),
        rest=_root(left, np.sqrt(np.diag(XX))),
    )


def refit(
    record: LmmRecord, Zy: FloatArray, Xy: FloatArray, square: FloatArray
) -> dict[str, FloatArray]:
    """Fits to responses of which only the moments of y - X beta are known.

    Parameters
    ----------
    record : LmmRecord
    Zy, Xy, square : (count, levels * k), (count, p), (count,) float64
        From `Moments.draw`.

    Returns
    -------
    dict
        As `lmm.refit_many`.
    """
    found = lmm.problem(record)
    with found.dense_algebra():
        theta, beta, scale, value, converged = found.native.refit_moments(
            Zy,
            Xy,
            square,
            [float(v) for v in record.solution.theta],
            record.control.tolerance,
            record.control.max_evaluations,
        )
    return {
        "theta": theta,
        "beta": beta + record.solution.beta,
        "sigma": scale,
        "objective": value,
        "converged": converged == 1,
    }


def _effect(record: LmmRecord, k: int) -> FloatArray:
    """(k, k) sigma T^-1 Lambda of one level, with T the transform of its columns, Z~ = Z T."""
    from ..products import random_columns

    (columns,) = random_columns(record.rows)
    shift, scale = lmm.problem(record).native.transform()[3][0]
    T = np.diag(1 / scale)
    for c, at in enumerate(columns.intercepts):
        if at >= 0 and shift[c]:
            T[at, c] -= shift[c] / scale[c]
    factor = np.zeros((k, k))
    lambdas = record.layout.lambdas(record.solution.theta)
    for term, lam in enumerate(lambdas):
        first = columns.offsets[term]
        factor[first : first + len(lam), first : first + len(lam)] = lam
    return np.asarray(sigma(record) * np.linalg.solve(T, factor))


def _root(left: FloatArray, size: FloatArray) -> FloatArray:
    """A root of a semidefinite matrix, whose rounding is relative to `size` squared."""
    scaled = left / np.outer(size, size)
    values, vectors = np.linalg.eigh((scaled + scaled.T) / 2)
    values = np.where(values > _ROUNDING, values, 0)
    return np.asarray(size[:, None] * vectors * np.sqrt(values))


def _product(M: FloatArray, x: FloatArray) -> FloatArray:
    """out[r] = sum_c M[r, c] x[c] of each level, in this order whatever the threads of BLAS."""
    out = np.empty((len(M), *x.shape[1:]))
    for r in range(len(M)):
        np.multiply(x[0], M[r, 0], out=out[r])
        for c in range(1, len(x)):
            out[r] += x[c] * M[r, c]
    return out
