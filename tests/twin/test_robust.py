"""CR2 against its definition with n x n matrices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool import robust, robust_mixed

pytestmark = pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")

SAME = 1e-10  # relative; eigenvalues of matrices with condition up to 1e4
NULL = 1e-8  # an eigenvalue of I - H_jj below this is zero


def dense(X, V, e, codes):
    """Bell and McCaffrey's CR2 and the df of each coefficient, from the definition."""
    Vi = np.linalg.inv(V)
    A = np.linalg.inv(X.T @ Vi @ X)
    left = np.eye(len(X)) - X @ A @ X.T @ Vi
    C = left @ V @ left.T
    meat, parts = np.zeros((X.shape[1], X.shape[1])), []
    for j in np.unique(codes):
        i = np.flatnonzero(codes == j)
        Phi = V[np.ix_(i, i)]
        D = np.linalg.cholesky(Phi).T
        values, vectors = np.linalg.eigh(D @ C[np.ix_(i, i)] @ D.T)
        back = np.linalg.inv(D.T)
        zero = int((np.linalg.eigvalsh(back @ C[np.ix_(i, i)] @ back.T) < NULL).sum())
        vectors = vectors[:, zero:]
        Aj = D.T @ (vectors / np.sqrt(values[zero:])) @ vectors.T @ D
        weight = np.linalg.inv(Phi) @ Aj
        score = X[i].T @ weight @ e[i]
        meat += np.outer(score, score)
        u = np.zeros_like(X)
        u[i] = weight.T @ X[i] @ A
        parts.append(u)
    omegas = [U.T @ C @ U for U in np.stack(parts, axis=2).transpose(1, 0, 2)]
    df = [np.trace(omega) ** 2 / (omega**2).sum() for omega in omegas]
    return A @ meat @ A, np.array(df)


def frame(seed, n=90, clusters=8):
    rng = np.random.default_rng(seed)
    g = np.concatenate([np.arange(clusters), rng.integers(0, clusters - 1, n - clusters)])
    x = rng.normal(size=n) + 0.3 * g
    effect = rng.normal(size=clusters)[g]
    return pd.DataFrame(
        {
            "y": x + effect + rng.normal(size=n),
            "x": x,
            "z": rng.normal(size=n),
            "own": (g == 3) * 1.0,  # a coefficient that one cluster determines
            "g": g,  # the last cluster has one row
            "half": g * 2 + rng.integers(0, 2, n),
            "constant": 1 + 0.5 * g,
            "varied": rng.uniform(0.2, 5, n),
        }
    )


@pytest.mark.parametrize("weights", [None, "constant", "varied"])
@pytest.mark.parametrize("formula", ["y ~ x + z", "y ~ x + own", "y ~ 0 + x"])
@pytest.mark.parametrize("seed", range(3))
def test_linear_models(formula, weights, seed):
    data = frame(seed)
    fit = pp.lm(formula, data, weights=weights)
    w = np.ones(len(data)) if weights is None else data[weights].to_numpy()
    X = fit.model_matrix().to_numpy()
    covariance, df = dense(X, np.diag(1 / w), fit.resid().to_numpy(), data["g"])
    found = robust.sums_of_ols(fit._record, "g")
    np.testing.assert_allclose(
        found.covariance, covariance, rtol=SAME, atol=SAME * abs(covariance).max()
    )
    np.testing.assert_allclose(found.df, df, rtol=SAME)


def test_weights_that_span_four_powers_of_ten():
    """The rational approximation takes more nodes; the dense root itself has fewer digits left."""
    data = frame(5).assign(varied=lambda d: 10.0 ** np.random.default_rng(1).uniform(-2, 2, len(d)))
    fit = pp.lm("y ~ x + own", data, weights="varied")
    X = fit.model_matrix().to_numpy()
    covariance, df = dense(X, np.diag(1 / data["varied"]), fit.resid().to_numpy(), data["g"])
    found = robust.sums_of_ols(fit._record, "g")
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-6)
    np.testing.assert_allclose(found.df, df, rtol=1e-6)


@pytest.mark.parametrize("weights", [None, "constant", "varied"])
@pytest.mark.parametrize(
    "formula", ["y ~ x + z + (1 | g)", "y ~ x + (x | g)", "y ~ x + own + (1 | g) + (1 | half)"]
)
def test_mixed_models(formula, weights):
    data = frame(7, n=120)
    fit = pp.lmer(formula, data, weights=weights)
    w = np.ones(len(data)) if weights is None else data[weights].to_numpy()
    Z = fit.model_matrix("random").toarray()
    counts = [
        len(g.levels) for t in fit._record.rows.terms for g in [fit._record.rows.groups[t.group]]
    ]
    lambdas = fit._record.layout.lambdas(fit._record.solution.theta)
    blocks = [np.kron(np.eye(J), f @ f.T) for J, f in zip(counts, lambdas, strict=True)]
    V = np.diag(1 / w) + Z @ block_diagonal(blocks) @ Z.T
    X = fit.model_matrix().to_numpy()
    e = data["y"].to_numpy() - X @ fit.params.to_numpy()
    covariance, df = dense(X, V, e, data["g"])
    found = robust_mixed.sums(fit._record, "g")
    np.testing.assert_allclose(
        found.covariance, covariance, rtol=SAME, atol=SAME * abs(covariance).max()
    )
    np.testing.assert_allclose(found.df, df, rtol=SAME)


def block_diagonal(blocks):
    out = np.zeros((sum(map(len, blocks)),) * 2)
    at = 0
    for block in blocks:
        out[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return out
