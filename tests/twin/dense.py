"""Penalised least squares the slow way: n x n matrices, extended precision, nothing of ours.

Every formula is written with V = W^-1 + Z Lambda Lambda' Z' and the projection P, never with the
cross-products and block eliminations of the library, so the two can agree only by both being
right. ``longdouble`` (80 bits on x86) leaves the rounding of a comparison to the library.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

REAL = np.longdouble


class Term(NamedTuple):
    """One random-effects term: its k columns, the level of each row, and whether it is ``||``."""

    columns: np.ndarray  # (n, k)
    codes: np.ndarray  # (n,) in 0..J-1
    diagonal: bool = False


def cholesky(A):
    """NumPy has no linear algebra for longdouble."""
    L = np.zeros_like(A)
    for j in range(len(A)):
        column = A[j:, j] - L[j:, :j] @ L[j, :j]
        if not column[0] > 0:
            raise np.linalg.LinAlgError(f"pivot {j} is {column[0]}")
        L[j:, j] = column / np.sqrt(column[0])
    return L


def inverse(A):
    """The inverse and the log-determinant of a positive definite matrix."""
    L, R = cholesky(A), np.eye(len(A), dtype=REAL)
    for j in range(len(A)):
        R[j] = (R[j] - L[j, :j] @ R[:j]) / L[j, j]
    return R.T @ R, 2 * np.log(np.diag(L)).sum()


class Dense:
    """y = X beta + Z Lambda u + e at a theta: the lower triangles of the terms, by columns."""

    def __init__(self, y, X, terms, *, weights=None, offset=None, reml=True):
        n = len(y)
        self.w = np.ones(n, REAL) if weights is None else np.asarray(weights, REAL)
        self.y = np.asarray(y, REAL) - (0 if offset is None else np.asarray(offset, REAL))
        self.X, self.reml = np.asarray(X, REAL), reml
        self.nu = n - self.X.shape[1] if reml else n
        self.sizes = [(int(t.codes.max()) + 1, t.columns.shape[1]) for t in terms]
        blocks, places, start = [], [], 0
        for term, (J, k) in zip(terms, self.sizes, strict=True):
            block = np.zeros((n, J, k), REAL)
            block[np.arange(n), term.codes] = term.columns
            blocks.append(block.reshape(n, J * k))
            lower = [(a, b) for b in range(k) for a in range(b, k) if a == b or not term.diagonal]
            places += [(start + np.arange(J) * k, a, b) for a, b in lower]
            start += J * k
        self.Z = np.hstack(blocks)
        self.E = np.zeros((len(places), start, start), REAL)  # Lambda = sum_k theta_k E_k
        for E, (first, a, b) in zip(self.E, places, strict=True):
            E[first + a, first + b] = 1

    def Lambda(self, theta):
        return np.tensordot(np.asarray(theta, REAL), self.E, axes=1)

    def solve(self, theta):
        """The objective and the estimates; ``value_scale`` is the sum of the magnitudes added."""
        X, y, L = self.X, self.y, self.Lambda(theta)
        ZL = self.Z @ L
        Vi, log_V = inverse(np.diag(1 / self.w) + ZL @ ZL.T)
        C, log_XVX = inverse(X.T @ Vi @ X)
        P = Vi - Vi @ X @ C @ X.T @ Vi
        r2 = y @ P @ y
        tail = self.nu * (1 + np.log(2 * np.pi * r2 / self.nu))
        beta, u = C @ X.T @ Vi @ y, ZL.T @ P @ y
        log_M = log_V + np.log(self.w).sum()
        return SimpleNamespace(
            value=log_V + tail + self.reml * log_XVX,
            value_scale=abs(log_M) + abs(log_V) + abs(tail) + self.nu + abs(log_XVX),
            beta=beta, u=u, b=L @ u, sigma=np.sqrt(r2 / self.nu), cov_unscaled=C,
            logdet_M=log_M, logdet_XVX=log_XVX, ussq=u @ u, pwrss=r2,
            wrss=np.sum(self.w * (y - X @ beta - ZL @ u) ** 2), Vi=Vi, P=P, L=L,
        )  # fmt: skip

    def derivatives(self, theta):
        """Gradient, exact and AI+Q Hessian; each ``*_scale`` sums the magnitudes added."""
        at, Z, E, nu = self.solve(theta), self.Z, self.E, self.nu
        L, s, s2 = at.L, Z.T @ at.P @ self.y, at.pwrss / nu
        A, Abar = Z.T @ at.P @ Z, Z.T @ (at.P if self.reml else at.Vi) @ Z
        G = [e @ L.T + L @ e.T for e in E]  # dV/dtheta_k = Z G_k Z'
        B, g = [Abar @ d for d in G], np.array([d @ s for d in G])
        trace, quad = np.array([np.trace(b) for b in B]), g @ s
        F = [[e @ f.T + f @ e.T for f in E] for e in E]  # d2V/dtheta_k dtheta_l = Z F_kl Z'
        information, product = g @ A @ g.T / s2, np.outer(quad, quad) / (nu * s2**2)
        traces = np.array([[np.sum(b * c.T) for c in B] for b in B])
        second = np.array([[np.sum(Abar * f) for f in row] for row in F])
        data = np.array([[s @ f @ s for f in row] for row in F]) / s2
        sizes = 2 * abs(information) + abs(traces) + abs(product) + abs(second) + abs(data)
        return SimpleNamespace(
            gradient=trace - quad / s2,
            gradient_scale=abs(trace) + abs(quad) / s2,
            hessian=2 * information - traces - product + second - data,
            average_information=information - product + second - data,
            hessian_scale=sizes,
        )

    def split(self, effects):
        """(q,) to one (J, k) array a term."""
        parts = np.split(effects, np.cumsum([J * k for J, k in self.sizes])[:-1])
        return tuple(part.reshape(size) for part, size in zip(parts, self.sizes, strict=True))

    def conditional_covariances(self, theta):
        """The (k, k) diagonal blocks of Lambda M^-1 Lambda', (J, k, k) a term."""
        L = self.Lambda(theta)
        M = L.T @ self.Z.T @ (self.w[:, None] * self.Z) @ L + np.eye(len(L), dtype=REAL)
        full, at = L @ inverse(M)[0] @ L.T, self.split(np.arange(len(L)))
        return tuple(full[i[:, :, None], i[:, None, :]] for i in at)

    def row_variances(self, theta, terms=None):
        """g' Omega^-1 g a row; g has the random effects of ``terms`` (indices; None: all) and x."""
        L = self.Lambda(theta)
        full = np.hstack([self.Z @ L, self.X])
        Omega = full.T @ (self.w[:, None] * full)
        Omega[: len(L), : len(L)] += np.eye(len(L), dtype=REAL)
        chosen = [terms is None or i in terms for i in range(len(self.sizes))]
        chosen = np.repeat(chosen, [J * k for J, k in self.sizes])
        G = np.hstack([(self.Z * chosen) @ L, self.X])
        return np.sum((G @ inverse(Omega)[0]) * G, axis=1)

    def leverages(self, theta):
        return self.w * self.row_variances(theta)
