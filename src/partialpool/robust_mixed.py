"""CR2 for mixed models: fixed effects whose standard errors do not rest on the random part.

V = W^-1 + Z Psi Z' is the working covariance, and the clusters must hold whole levels of every
grouping factor, so that V is block-diagonal over them. With V_j = L L' of a cluster,
A = (X'V^-1 X)^-1 and Y = L^-1 X_j,

    B_j = L'(V_j - X_j A X_j') L = (L'L)^2 - (L'X_j) A (L'X_j)',
    score_j = Y' B_j^{+1/2} L'e_j,    covariance = A (sum score_j score_j') A.

Where the weights of a cluster are all w, V_j is I / w off the span of [Z_j X_j], so rows are first
reduced by QR to as many as that has columns: a cluster of any size costs n_j (k + r)^2.

Sources: as in `robust`; docs/math.md, section on why the coefficients differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import clusters as cluster
from ._core import fill
from ._errors import SpecificationError, UnavailableError
from ._types import FloatArray
from .predict import fitted
from .robust import ABSORBED, ClusterRobust, by_cluster, require_several, satterthwaite

if TYPE_CHECKING:
    from .clusters import Clusters
    from .design import Rows
    from .lmm import LmmRecord

__all__ = ["cr2", "cr2_df", "sums"]

_ROWS = 2_000
"""Rows of a cluster whose weights differ: an eigendecomposition of this order takes two seconds."""


class _Block(NamedTuple):
    """A cluster, or what its rows come to in coordinates of the span of [Z X].

    Attributes
    ----------
    X : (m, r) float64
    e : (m,) float64
    V : (m, m) float64
    """

    X: FloatArray
    e: FloatArray
    V: FloatArray


def cr2(record: LmmRecord, groups: Any = None) -> FloatArray:
    """CR2 covariance of the fixed effects of `lmer`: right whatever the random part leaves out.

    Parameters
    ----------
    record : LmmRecord
    groups : str or array_like, optional
        As in `robust.cr2`; default the grouping factor with the fewest levels.

    Returns
    -------
    (r, r) float64

    Raises
    ------
    SpecificationError
        If the clusters cut through levels of a grouping factor (crossed factors), for fewer than
        two clusters, and for clusters of more than 2,000 rows whose weights differ.
    UnavailableError
        Where the residual variance is zero.
    DataError
        As in `clusters.of`.

    Notes
    -----
    Sum of n_j (k_j + r)^2 flops, k_j the random effects within cluster j; theta taken as known.
    """
    return sums(record, groups).covariance


def cr2_df(record: LmmRecord, groups: Any = None) -> FloatArray:
    """(r,) Satterthwaite degrees of freedom of t tests with `cr2` standard errors; as there."""
    return sums(record, groups).df


def sums(record: LmmRecord, groups: Any = None) -> ClusterRobust:
    """Both at once."""
    if record.solution.sigma == 0:
        raise UnavailableError(
            "The fixed effects fit the response exactly, so there are no residuals to estimate a "
            "covariance from."
        )
    found = _coarsest(record) if groups is None else cluster.of(record, groups)
    count = require_several(found)
    _require_whole_levels(record, found)
    order, starts = by_cluster(found)
    rows = cluster.take(record.rows, order)
    assert record.rows.y is not None
    e = (record.rows.y - fitted(record, random="none"))[order]
    A = record.solution.cov_unscaled
    root = np.asarray(np.linalg.cholesky(A), dtype=np.float64)
    r = len(A)
    meat, total, squares, inner = np.zeros((r, r)), np.zeros(r), np.zeros(r), np.zeros((r, r, r))
    for start, stop in zip(starts.tolist(), starts[1:].tolist(), strict=False):
        score, d, t = _shares(_block(record, rows, e, start, stop), root)
        meat += np.outer(score, score)
        own = np.einsum("iq,iq->q", t, t)
        total += d - own
        squares += d**2 - 2 * d * own
        inner += np.einsum("iq,kq->qik", t, t)
    return ClusterRobust(A @ meat @ A, satterthwaite(total, squares, inner), count)


def _coarsest(record: LmmRecord) -> Clusters:
    group = min(record.rows.groups, key=lambda g: len(g.levels))
    return cluster.Clusters(group.name, group.codes, group.levels)


def _require_whole_levels(record: LmmRecord, found: Clusters) -> None:
    for group in record.rows.groups:
        pairs = found.codes.astype(np.int64) * len(group.levels) + group.codes
        if len(np.unique(pairs)) > len(np.unique(group.codes)):
            raise SpecificationError(
                f"The clusters {found.name!r} cut through levels of the grouping factor "
                f"{group.name!r}: rows of different clusters are correlated, which CR2 takes them "
                "not to be. Give clusters that hold whole levels of every grouping factor; with "
                "crossed factors there are none."
            )


def _block(record: LmmRecord, rows: Rows, e: FloatArray, start: int, stop: int) -> _Block:
    """Rows start to stop, reduced where their weights allow it."""
    X = fill([rows.fixed[i] for i in record.kept], start, stop)
    parts = []
    for term, factor in zip(rows.terms, record.layout.lambdas(record.solution.theta), strict=True):
        codes = rows.groups[term.group].codes[start:stop]
        z = fill(term.columns, start, stop) @ factor
        parts.append(_spread(z, codes))
    ZL = np.hstack(parts)
    e = e[start:stop]
    variance = np.ones(stop - start) if rows.weights is None else 1 / rows.weights[start:stop]
    if variance.min() == variance.max():
        S = np.hstack([ZL, X])
        if stop - start > S.shape[1]:
            Q, R = np.linalg.qr(S)
            ZL, X, e = R[:, : ZL.shape[1]], R[:, ZL.shape[1] :], Q.T @ e
            variance = np.full(len(R), variance[0])
    elif stop - start > _ROWS:
        raise SpecificationError(
            f"A cluster has {stop - start} rows of different weights; CR2 of a mixed model then "
            f"needs a decomposition of that order, and the limit is {_ROWS}. Give finer clusters, "
            "or weights that are constant within them."
        )
    return _Block(X, e, np.diag(variance) + ZL @ ZL.T)


def _spread(z: FloatArray, codes: npt.NDArray[np.int32]) -> FloatArray:
    """Columns for each level that occurs: z in its rows, zero elsewhere."""
    levels, place = np.unique(codes, return_inverse=True)
    out = np.zeros((len(z), len(levels), z.shape[1]))
    out[np.arange(len(z)), place] = z
    return out.reshape(len(z), -1)


def _shares(block: _Block, root: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(r,) score, (r,) d and (r, r) t of a cluster, as `robust.Shares`; root root' = A."""
    L = np.linalg.cholesky(block.V)
    Y = np.linalg.solve(L, block.X)
    inside = (L.T @ block.X) @ root
    values, vectors = np.linalg.eigh((L.T @ L) @ (L.T @ L) - inside @ inside.T)
    h = np.linalg.eigvalsh((Y @ root).T @ (Y @ root))
    absorbed = int((1 - h <= ABSORBED).sum())
    rooted = vectors[:, absorbed:] / np.sqrt(values[absorbed:])
    score = Y.T @ (rooted @ (vectors[:, absorbed:].T @ (L.T @ block.e)))
    # u = L B^{+1/2} Y A c, its variance under the working model u'Vu less (root'X'u)'(root'X'u)
    u = L @ (rooted @ (vectors[:, absorbed:].T @ (Y @ root @ root.T)))
    half = L.T @ u
    return score, np.einsum("iq,iq->q", half, half), root.T @ (block.X.T @ u)
