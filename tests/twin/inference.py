"""Satterthwaite and Kenward-Roger the slow way: n x n matrices and the definitions.

The parameters are the elements of the covariance matrices themselves (Kenward and Roger), or all
elements of any factor of them (Satterthwaite), with the directions that repeat others left out by
a pseudo-inverse; the library has triangular factors in other columns.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from tests.twin.dense import Dense


def elements(twin: Dense, terms) -> list[np.ndarray]:
    """The directions S of the random effects' covariance, (q, q): one a free element."""
    out, start = [], 0
    for term, (J, k) in zip(terms, twin.sizes, strict=True):
        first = start + np.arange(J) * k
        for b in range(k):
            for a in range(b, k):
                if term.diagonal and a != b:
                    continue
                S = np.zeros((twin.Z.shape[1],) * 2, twin.Z.dtype)
                S[first + a, first + b] = S[first + b, first + a] = 1
                out.append(S)
        start += J * k
    return out


def kenward_roger(twin: Dense, terms, theta):
    """Everything of the method, parameters: covariance elements, then sigma^2."""
    at, X = twin.solve(theta), twin.X
    s2 = at.pwrss / twin.nu
    Vi = at.Vi / s2
    G = [twin.Z @ S @ twin.Z.T for S in elements(twin, terms)] + [np.diag(1 / twin.w)]
    Phi = s2 * at.cov_unscaled
    VG = [Vi @ g for g in G]
    P = [-X.T @ v @ Vi @ X for v in VG]
    Q = [[X.T @ v @ u @ Vi @ X for u in VG] for v in VG]
    information = np.empty((len(G), len(G)), twin.Z.dtype)
    for i, v in enumerate(VG):
        for j, u in enumerate(VG):
            trace = np.sum(v * u.T) - 2 * np.sum(Phi * Q[i][j])
            information[i, j] = (trace + np.sum((Phi @ P[i]) * (Phi @ P[j]).T)) / 2
    W = np.linalg.inv(information.astype(float))
    middle = sum(
        W[i, j] * (Q[i][j] - P[i] @ Phi @ P[j]) for i in range(len(G)) for j in range(len(G))
    )
    return SimpleNamespace(
        Phi=Phi, adjusted=Phi + 2 * Phi @ middle @ Phi, P=P, W=W, beta=at.beta,
        condition=np.linalg.cond(correlation(information)),
    )  # fmt: skip


def correlation(A):
    unit = np.sqrt(np.diag(A).astype(float))
    return A.astype(float) / np.outer(unit, unit)


def kenward_roger_f(found, L):
    """F, its denominator degrees of freedom and its scale (Kenward and Roger 1997, section 3)."""
    L = np.asarray(L, float)
    q, Phi = len(L), found.Phi.astype(float)
    Theta = L.T @ np.linalg.inv(L @ Phi @ L.T) @ L
    M = [Theta @ Phi @ p.astype(float) @ Phi for p in found.P]
    pairs = [(i, j) for i in range(len(M)) for j in range(len(M))]
    A1 = sum(found.W[i, j] * np.trace(M[i]) * np.trace(M[j]) for i, j in pairs)
    A2 = sum(found.W[i, j] * np.trace(M[i] @ M[j]) for i, j in pairs)
    B = (A1 + 6 * A2) / (2 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    den = 3 * q + 2 * (1 - g)
    c1, c2, c3 = g / den, (q - g) / den, (q + 2 - g) / den
    mean = 1 / (1 - A2 / q)
    variance = 2 / q * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
    rho = variance / (2 * mean**2)
    m = 4 + (q + 2) / (q * rho - 1)
    scale = m / (mean * (m - 2))
    miss = L @ found.beta.astype(float)
    wald = miss @ np.linalg.solve(L @ found.adjusted.astype(float) @ L.T, miss) / q
    return scale * wald, m, scale


def satterthwaite(twin: Dense, terms, theta):
    """Covariance of beta, its gradients, and the covariance of the parameters: all elements of
    k x rank factors, then log sigma^2."""
    at, Z, X = twin.solve(theta), twin.Z, twin.X
    s2, n = at.pwrss / twin.nu, len(twin.y)
    total = twin.Lambda(theta) @ twin.Lambda(theta).T
    factors, directions, start = np.zeros((total.shape[0], 0)), [], 0
    for term, (J, k) in zip(terms, twin.sizes, strict=True):
        psi = total[start : start + k, start : start + k].astype(float)
        w, V = np.linalg.eigh(psi)
        keep = w > 1e-9 * max(w[-1], 1e-300)
        own = V[:, keep] * np.sqrt(w[keep]) if psi.any() else np.zeros((k, 0))
        if term.diagonal:
            own = np.diag(np.sqrt(np.diag(psi)))[:, np.diag(psi) > 0]
        r = own.shape[1]
        block = np.zeros((total.shape[0], J * r))
        for j in range(J):
            block[start + j * k : start + (j + 1) * k, j * r : (j + 1) * r] = own
        base = factors.shape[1]
        factors = np.hstack([factors, block])
        for c in range(r):
            for a in range(k):
                if term.diagonal and own[a, c] == 0:
                    continue
                directions.append((start + np.arange(J) * k + a, base + np.arange(J) * r + c))
        start += J * k
    E = np.zeros((len(directions), *factors.shape))
    for e, (rows, cols) in zip(E, directions, strict=True):
        e[rows, cols] = 1
    projected = (at.P if twin.reml else at.Vi).astype(float)
    P, Vi, y = at.P.astype(float), at.Vi.astype(float), twin.y.astype(float)
    Z, C, s2 = Z.astype(float), at.cov_unscaled.astype(float), float(s2)
    V1 = [Z @ (e @ factors.T + factors @ e.T) @ Z.T for e in E]
    H = np.zeros((len(E) + 1, len(E) + 1))  # of 2 x minus the log-likelihood, sigma^2 not profiled
    for i, v in enumerate(V1):
        H[i, -1] = H[-1, i] = y @ P @ v @ P @ y / s2
        for j, u in enumerate(V1):
            second = Z @ (E[i] @ E[j].T + E[j] @ E[i].T) @ Z.T
            H[i, j] = (
                np.sum(projected * second) - np.trace(projected @ v @ projected @ u)
                + (2 * y @ P @ v @ P @ u @ P @ y - y @ P @ second @ P @ y) / s2
            )  # fmt: skip
    H[-1, -1] = n - (X.shape[1] if twin.reml else 0)
    X = X.astype(float)
    slopes = [C @ X.T @ Vi @ v @ Vi @ X @ C for v in V1]
    unit = 1 / np.sqrt(np.maximum(np.diag(H), 1e-8))
    inverse = np.linalg.pinv(H * np.outer(unit, unit), rcond=1e-6, hermitian=True)
    return SimpleNamespace(
        covariance=s2 * C,
        gradients=np.array([*(s2 * s for s in slopes), s2 * C]),
        parameter_covariance=2 * inverse * np.outer(unit, unit),
    )


def satterthwaite_df(found, L):
    L = np.asarray(L, float)
    phi = np.einsum("ij,jk,ik->i", L, found.covariance, L)
    g = np.einsum("ij,mjk,ik->im", L, found.gradients, L)
    return 2 * phi**2 / np.einsum("im,mn,in->i", g, found.parameter_covariance, g)
