"""The largest of several correlated t statistics: tail probabilities and quantiles.

T = root z / s with z standard normal in r dimensions and s^2 chi-square over its degrees of
freedom. With z = rho v, v on the unit sphere, and m(v) = max |root v|, the largest |T| exceeds t if
rho / s exceeds t / m(v); rho^2 / (r s^2) has an F distribution whatever v is, so

    P(max |T| > t) = mean over v of P(F(r, df) > t^2 / (r m(v)^2)).

The radial part is exact. Only the mean over directions is numerical, by importance sampling: the
larger t, the nearer v is to one of the rows a_j, so some of the directions are drawn with a density
proportional to sum_j (a_j'v)^(2k), for several k. Such a density is easy to draw from (pick j; then
(a_j'v)^2 has a Beta(k + 1/2, (r - 1)/2) distribution) and its constant is known, so p-values of
1e-12 have as good a relative error as those of 0.05. A correlation matrix of any rank will do.

Sources: spherical-radial transformation and shifted lattices, Genz and Bretz (2009), *Computation
of Multivariate Normal and t Probabilities*, sections 4.1 and 4.2; several densities at once, Veach
and Guibas (1995); calibrated weights, Deville and Sarndal (1992).
"""

from __future__ import annotations

import math

import numpy as np

from .._types import FloatArray

__all__ = ["MaxT"]

_SEED = 20_071_119  # any; fixed so that a p-value is the same on every call
_POINTS = (1024, 8192)  # directions of each density, at least and at most
_PRODUCTS = 30_000_000  # elements of rows times directions: half a second
_POWERS = (0, 0, 1, 2, 4, 8, 16, 32)  # the k of each; k = t^2 / 2 suits t, k = 0 is uniform
_NODES = 2048
_RANK = 1e-9  # of the largest singular value, squared lengths being 1


class MaxT:
    """The distribution of max |T| for the rows of `root`.

    Parameters
    ----------
    root : (m, r) float64
        Rows of unit length; root root' is the correlation matrix.

    Notes
    -----
    One dimension is exact. Two take an even grid over the half circle; more take a shifted lattice
    from a fixed seed for each density, so the number is the same on every call. The weights of the
    directions are calibrated to reproduce the known means of sum_j (a_j'v)^(2k).
    Measured on balanced pairs against the studentised range, p-values from 0.5 to 1e-14: a
    relative error of 1e-7 for three means, 2e-4 for five, 2e-3 for twelve, 6e-3 for sixty.
    Cost: 8192 to 65,536 directions x m x r once, then `_NODES` tails of F a probability.
    """

    def __init__(self, root: FloatArray) -> None:
        _, s, V = np.linalg.svd(root, full_matrices=False)
        self.rank = max(1, int(np.sum(s > _RANK * s.max(initial=0.0))))
        rows = root @ V[: self.rank].T
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = (rows / np.where(length > 0, length, 1.0))[length[:, 0] > 0]
        self.largest, self.weights = _nodes(rows)

    def sf(self, t: float, df: float) -> float:
        """P(max |T| > t); `df` may be infinite."""
        from scipy import special

        if t <= 0 or math.isinf(t):
            return float(t <= 0)
        square = (t / self.largest) ** 2
        if math.isinf(df):
            return float(self.weights @ special.chdtrc(self.rank, square))
        return float(self.weights @ special.fdtrc(self.rank, df, square / self.rank))

    def quantile(self, level: float, df: float) -> float:
        """The t that max |T| stays below with probability `level`."""
        from scipy import optimize

        def excess(log_t: float) -> float:
            return self.sf(math.exp(log_t), df) - (1 - level)

        top = 1.0
        while excess(top) > 0:
            top += 1.0
        return math.exp(float(optimize.brentq(excess, -30.0, top, xtol=1e-12, rtol=1e-12)))


def _nodes(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Values of max |rows v| and their weights, which add up to 1."""
    rank = rows.shape[1]
    if rank == 1 or not len(rows):
        return np.ones(1), np.ones(1)
    if rank == 2:
        count = _POINTS[1] * len(_POWERS)
        angle = (np.arange(count) + 0.5) * (math.pi / count)
        largest, _ = _sums(rows, np.stack([np.cos(angle), np.sin(angle)]))
        weights = np.full(count, 1 / count)
    else:
        largest, weights = _sampled(rows)
    # Neighbours in size are merged: the tail of F is nearly linear over so short a stretch.
    order = np.argsort(largest)
    w = weights[order].reshape(_NODES, -1)
    v = largest[order].reshape(_NODES, -1)
    total = w.sum(axis=1)
    return (w * v).sum(axis=1) / total, total


def _sampled(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """max |rows v| for directions of all densities, and their weights."""
    m, rank = rows.shape
    rng = np.random.default_rng(_SEED)
    steps = np.sqrt(_primes(rank + 2)) % 1.0
    share = _PRODUCTS // (m * len(_POWERS))
    points = min(max(1 << share.bit_length() >> 1, _POINTS[0]), _POINTS[1])
    found = [
        _sums(rows, _directions(rows, k, points, steps, rng.random(rank + 2))) for k in _POWERS
    ]
    largest = np.concatenate([one for one, _ in found])
    # Each column is sum_j (a_j'v)^(2k) over its mean under the uniform density: 1 on average.
    ratio = np.concatenate([two for _, two in found]) / (m * _moments(rank))
    raw = 1 / (points * ratio.sum(axis=1))  # over the mixture of the densities, drawn evenly
    share = raw[:, None] * ratio
    centred = share - share.mean(axis=0)
    # The shares add up to one, and a balanced set has a constant sum of squares: the pseudo-inverse
    # leaves such directions out.
    slope = np.linalg.pinv(centred.T @ centred, rcond=1e-9, hermitian=True)
    return largest, raw * (1 + centred @ (slope @ (1.0 - share.sum(axis=0))))


def _moments(rank: int) -> FloatArray:
    """Means of (a'v)^(2k), a and v of unit length and v uniform: (a'v)^2 is a beta variable."""
    from scipy import special

    k = np.array(_POWERS, dtype=np.float64)
    return np.asarray(
        np.exp(special.betaln(k + 0.5, (rank - 1) / 2) - special.betaln(0.5, (rank - 1) / 2))
    )


def _directions(
    rows: FloatArray, k: int, count: int, steps: FloatArray, shift: FloatArray
) -> FloatArray:
    """(r, points) unit vectors with a density proportional to sum_j (a_j'v)^(2k)."""
    from scipy import special

    m, rank = rows.shape
    points = (np.arange(1, count + 1) * steps[:, None] + shift[:, None]) % 1.0
    folded = np.abs(2 * points[:rank] - 1)
    z = special.ndtri(np.clip(folded, 1e-300, 1 - 1e-16))
    if k:
        pole = rows[np.minimum((points[rank] * m).astype(np.int64), m - 1)].T
        square = special.betaincinv(k + 0.5, (rank - 1) / 2, points[rank + 1])
        z -= pole * (pole * z).sum(axis=0)
        z *= np.sqrt(1 - square) / np.linalg.norm(z, axis=0)
        z += pole * np.sqrt(square)
    return np.asarray(z / np.linalg.norm(z, axis=0))


def _sums(rows: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
    """For each column of v, max |rows v| and sum (rows v)^(2k) for the `_POWERS`."""
    largest = np.empty(v.shape[1])
    sums = np.empty((v.shape[1], len(_POWERS)))
    for start in range(0, len(largest), 1024):
        part = slice(start, start + 1024)
        square = (rows @ v[:, part]) ** 2
        largest[part] = np.sqrt(square.max(axis=0))
        power, at = square, 1
        for i, k in enumerate(_POWERS):
            while k > at:
                power, at = power * power, 2 * at
            sums[part, i] = power.sum(axis=0) if k else len(rows)
    return largest, sums


def _primes(count: int) -> FloatArray:
    """The first `count` primes."""
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % p for p in found if p * p <= candidate):
            found.append(candidate)
        candidate += 1
    return np.array(found, dtype=np.float64)
