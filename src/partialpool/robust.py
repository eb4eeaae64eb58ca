"""Cluster-robust covariance of the coefficients: Bell and McCaffrey's CR2.

For `lm`, V = W^-1 is the working covariance of y (up to sigma^2). In the coordinates
Q = W^1/2 X R^-1 a cluster j with constant weights w has I - H_jj = I - Q_j Q_j', and

    Q_j' (I - Q_j Q_j')^{+1/2} e_j = (I - G_j)^{+1/2} Q_j' e_j,    G_j = Q_j' Q_j   (r x r),

so a cluster of a million rows costs no more than its cross-product. Where weights differ within a
cluster the root of W^-1 (I - H_jj) W^-1 is not the identity plus something of low rank; a rational
approximation (`_inverse_root`) needs r x r systems only, too.

Sources: Bell & McCaffrey (2002); Pustejovsky & Tipton (2018), equations 7 to 11 for A_j, and their
Satterthwaite degrees of freedom. docs/math.md, section on why the coefficients differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import clusters as cluster
from ._core import fill
from ._errors import SpecificationError
from ._types import FloatArray
from .diagnostics import residuals
from .ols import OlsRecord
from .predict import BLOCK

if TYPE_CHECKING:
    from .clusters import Clusters
    from .design import Rows

__all__ = ["ClusterRobust", "cr2", "cr2_df", "cross_products", "sums_of_ols"]

ABSORBED = 1e-10
"""1 - h below this is rounding: the cluster alone determines that combination of coefficients."""

_CLUSTERS = 1024  # at a time: 1024 matrices of 20 x 20 take 3 MB
_ERROR = 1e-13  # relative, of the rational approximation


class ClusterRobust(NamedTuple):
    """What the clusters contribute.

    Attributes
    ----------
    covariance : (r, r) float64
        CR2 covariance of the kept coefficients.
    df : (r,) float64
        Satterthwaite degrees of freedom of each coefficient under the working model.
    clusters : int
    """

    covariance: FloatArray
    df: FloatArray
    clusters: int


class Shares(NamedTuple):
    """Of each of J clusters, in coordinates where the working covariance of beta is I.

    Attributes
    ----------
    scores : (J, r) float64
        Their sum of squares is the meat.
    d : (J, q) float64
        u_j'V_jj u_j for each of q contrasts, u_j'e_j the cluster's part of the contrast.
    t : (J, r, q) float64
        Q_j'u_j.
    """

    scores: FloatArray
    d: FloatArray
    t: FloatArray


def cr2(record: OlsRecord, groups: Any) -> FloatArray:
    """CR2 covariance of the coefficients of `lm`: right under any correlation within clusters.

    Parameters
    ----------
    record : OlsRecord
    groups : str or array_like
        A column of the data, or a value for each used row or each row of the data.

    Returns
    -------
    (r, r) float64
        Of the kept coefficients. Singular where clusters are fewer than coefficients.

    Raises
    ------
    SpecificationError
        For an unknown column, or fewer than two clusters.
    DataError
        For values of the wrong length or with missing ones.

    Notes
    -----
    n r^2 + J r^3 flops, no matrix with a row for each observation. Clusters of one row each give
    the HC2 covariance. Where a cluster alone determines a combination of coefficients (a dummy of
    its own), its residuals say nothing of that combination: the pseudo-inverse leaves it out.
    """
    return sums_of_ols(record, groups).covariance


def cr2_df(record: OlsRecord, groups: Any) -> FloatArray:
    """(r,) degrees of freedom of t tests with `cr2` standard errors.

    Satterthwaite's, of the quadratic form that CR2 is under the working model (independent rows
    with variance sigma^2 / w). Parameters and errors as in `cr2`. NaN where the variance is zero.

    Source: Pustejovsky & Tipton (2018), section 3.
    """
    return sums_of_ols(record, groups).df


def sums_of_ols(record: OlsRecord, groups: Any) -> ClusterRobust:
    """Both at once."""
    found = cluster.of(record, groups)
    count = require_several(found)
    r = len(record.kept)
    order, starts = by_cluster(found)
    rows = cluster.take(record.rows, order)
    e = residuals(record, "pearson")[order]
    meat, total, squares, inner = np.zeros((r, r)), np.zeros(r), np.zeros(r), np.zeros((r, r, r))
    for shares in _shares(record, rows, e, starts):
        meat += shares.scores.T @ shares.scores
        own = np.einsum("jiq,jiq->jq", shares.t, shares.t)
        total += (shares.d - own).sum(axis=0)
        squares += (shares.d**2 - 2 * shares.d * own).sum(axis=0)
        inner += np.einsum("jiq,jkq->qik", shares.t, shares.t)
    root = record.root
    return ClusterRobust(root @ meat @ root.T, satterthwaite(total, squares, inner), count)


def require_several(found: Clusters) -> int:
    """The number of clusters.

    Raises
    ------
    SpecificationError
        If there is one.
    """
    count = len(found.levels)
    if count < 2:
        raise SpecificationError(
            f"groups={found.name!r} has one level, {found.levels[0]!r}, in the rows used: a "
            "covariance between clusters needs at least two. Give a finer grouping."
        )
    return count


def by_cluster(found: Clusters) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The rows sorted by cluster, and where each cluster starts in that order; the end last."""
    order = np.argsort(found.codes, kind="stable")
    sizes = np.bincount(found.codes, minlength=len(found.levels))
    return order, np.concatenate([[0], np.cumsum(sizes)])


def satterthwaite(total: FloatArray, squares: FloatArray, inner: FloatArray) -> FloatArray:
    """(q,) (tr Omega)^2 / tr(Omega^2), Omega_jk = delta_jk d_j - t_j't_k over the clusters.

    Parameters
    ----------
    total : (q,) float64
        Sum of d_j - t_j't_j.
    squares : (q,) float64
        Sum of d_j^2 - 2 d_j t_j't_j.
    inner : (q, r, r) float64
        Sum of t_j t_j'.
    """
    below = squares + np.einsum("qik,qik->q", inner, inner)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(total**2 / below)


def _shares(
    record: OlsRecord, rows: Rows, e: FloatArray, starts: npt.NDArray[np.intp]
) -> Iterator[Shares]:
    """`Shares` of the clusters, some at a time; the rows sorted by cluster."""
    columns = [rows.fixed[i] for i in record.kept]
    contrasts = np.ascontiguousarray(record.root.T)  # a = root'c for each coefficient
    for first in range(0, len(starts) - 1, _CLUSTERS):
        bounds = starts[first : first + _CLUSTERS + 1]
        mixed = _mixed_weights(rows, bounds)
        G, q = cross_products(columns, rows, record.root, e, bounds)
        values, vectors = np.linalg.eigh(G)
        left = 1 - values
        f = np.where(left > ABSORBED, 1 / np.sqrt(np.maximum(left, ABSORBED)), 0.0)
        scores = np.einsum("jik,jk,jlk,jl->ji", vectors, f, vectors, q, optimize=True)
        x = np.einsum("jik,iq->jkq", vectors, contrasts, optimize=True)
        d = np.einsum("jk,jkq->jq", values * f**2, x**2)
        t = np.einsum("jik,jkq->jiq", vectors, (values * f)[:, :, None] * x, optimize=True)
        for j in np.flatnonzero(mixed).tolist():
            at = slice(int(bounds[j]), int(bounds[j + 1]))
            assert rows.weights is not None
            w = rows.weights[at]
            Q = (fill(columns, at.start, at.stop) @ record.root) * np.sqrt(w)[:, None]
            scores[j], d[j], t[j] = _weighted(Q, w, e[at], contrasts, (values[j], vectors[j]))
        yield Shares(scores, d, t)


def _mixed_weights(rows: Rows, bounds: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Clusters whose rows differ in weight."""
    if rows.weights is None:
        return np.zeros(len(bounds) - 1, dtype=np.bool_)
    w = rows.weights[: bounds[-1]]
    low, high = np.minimum.reduceat(w, bounds[:-1]), np.maximum.reduceat(w, bounds[:-1])
    return np.asarray(low != high)


def cross_products(
    columns: list[Any],
    rows: Rows,
    root: FloatArray,
    e: FloatArray,
    bounds: npt.NDArray[np.intp],
) -> tuple[FloatArray, FloatArray]:
    """(J, r, r) Q_j'Q_j and (J, r) Q_j'e_j of consecutive clusters, rows read in blocks."""
    r, count = len(root), len(bounds) - 1
    G, q = np.zeros((count, r, r)), np.zeros((count, r))
    begin, end = int(bounds[0]), int(bounds[-1])
    for start in range(begin, end, BLOCK):
        stop = min(start + BLOCK, end)
        Q = fill(columns, start, stop) @ root
        if rows.weights is not None:
            Q *= np.sqrt(rows.weights[start:stop])[:, None]
        first = int(np.searchsorted(bounds, start, side="right")) - 1
        last = int(np.searchsorted(bounds, stop, side="left"))
        inside = np.clip(bounds[first : last + 1], start, stop) - start
        q[first:last] += np.add.reduceat(Q * e[start:stop, None], inside[:-1], axis=0)
        for j, a, b in zip(range(first, last), inside, inside[1:], strict=False):
            block = Q[a:b]
            G[j] += block.T @ block
    return G, q


def _weighted(
    Q: FloatArray,
    w: FloatArray,
    e: FloatArray,
    contrasts: FloatArray,
    eigen: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Scores, d and t of a cluster whose weights differ.

    With B = W^-1 (I - QQ') W^-1 the score is Q' B^{+1/2} W^-1 e and W^1/2 u = W^-1 B^{+1/2} Q a.
    """
    w = w / w.mean()  # both are the same for any multiple of w
    values, vectors = eigen
    absorbed = 1 - values <= ABSORBED
    null = np.linalg.qr(w[:, None] * (Q @ vectors[:, absorbed]))[0]
    least = float(1 - values[~absorbed].max()) if (~absorbed).any() else 1.0
    inner = Q @ contrasts
    rooted = _inverse_root(1 / w**2, Q / w[:, None], null, np.column_stack([e / w, inner]), least)
    u = rooted[:, 1:] / w[:, None]
    return Q.T @ rooted[:, 0], np.einsum("iq,iq->q", u, u), Q.T @ u


def _inverse_root(
    d: FloatArray, U: FloatArray, null: FloatArray, x: FloatArray, least: float
) -> FloatArray:
    """B^{+1/2} x for B = diag(d) - UU', whose null space `null` spans.

    Parameters
    ----------
    d : (n,) float64
        Positive.
    U : (n, r) float64
    null : (n, m) float64
        Orthonormal.
    x : (n, q) float64
    least : float
        A lower bound of the positive eigenvalues of B is `least` times the smallest of d.

    Notes
    -----
    The integral (2 / pi) int (B + t^2 I)^-1 dt after the substitution by elliptic functions of
    Hale, Higham & Trefethen (2008, method 3): the error falls as exp(-2 pi^2 N / (log(M / m) + 3))
    in the number of nodes, each a solve with a diagonal plus a matrix of low rank.
    """
    from scipy import special

    x = x - null @ (null.T @ x)
    m, M = least * float(d.min()), float(d.max())
    # On the null space B is raised to M, where the projection of x has nothing.
    F = np.column_stack([U, null])
    sign = np.diag(np.concatenate([np.full(U.shape[1], -1.0), np.full(null.shape[1], 1 / M)]))
    ratio = min(m / M, 1.0)
    quarter = special.ellipkm1(ratio)  # K of the parameter 1 - m / M
    nodes = int(np.ceil(-np.log(_ERROR) * (np.log(1 / ratio) + 3) / (2 * np.pi**2))) + 2
    t = (np.arange(nodes) + 0.5) * quarter / nodes
    sn, cn, dn, _ = special.ellipj(t, 1 - ratio)
    out = np.zeros_like(x)
    for shift, weight in zip(m * (sn / cn) ** 2, dn / cn**2, strict=True):
        inverse = 1 / (d + shift)
        scaled = inverse[:, None] * F
        plain = inverse[:, None] * x
        out += weight * (plain - scaled @ np.linalg.solve(sign + F.T @ scaled, F.T @ plain))
    out *= 2 * quarter * np.sqrt(m) / (np.pi * nodes)
    return np.asarray(out - null @ (null.T @ out))
