"""Moments drawn without rows, against rows and against their dense distribution."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool import lmm
from partialpool._core import fill
from partialpool.inference import _draws, _moments
from partialpool.inference.bootstrap import bootstrap
from partialpool.products import random_columns

DRAWS = 20_000


def grouped(seed: int, levels: int = 25, most: int = 9) -> pd.DataFrame:
    """Unbalanced, levels of one row among them, a covariate far from zero."""
    generator = np.random.default_rng(seed)
    g = np.repeat(np.arange(levels), generator.integers(1, most, levels))
    n = len(g)
    x = generator.standard_normal(n) + 30
    u = generator.standard_normal((2, levels))
    y = 3 + u[0, g] + 0.7 * u[1, g] * (x - 30) + generator.standard_normal(n)
    return pd.DataFrame(
        {
            "y": y,
            "x": x,
            "z": generator.standard_normal(n),
            "f": generator.choice(list("abc"), n),
            "v": generator.standard_normal(levels)[g],
            "w": generator.uniform(0.5, 2, n),
            "g": g,
        }
    )


MODELS: list[tuple[str, dict[str, Any]]] = [
    ("y ~ x + z + (x | g)", {}),
    ("y ~ x + f + v + (1 | g)", {"weights": "w", "reml": False}),
    ("y ~ x + (1 | g) + (0 + x | g)", {"weights": "w"}),
    ("y ~ 0 + f + (0 + f || g)", {}),
    ("y ~ x + I(x + 1e-5 * z) + (1 | g)", {"offset": "z"}),
]


def fitted(formula: str, options: dict[str, Any], seed: int = 1) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        return pp.lmer(formula, grouped(seed), **options)


def columns(fit: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X and Z in the columns of the cross-products, and the weights."""
    record = fit._record
    rows = record.rows
    shift, scale, mix, ((zshift, zscale),) = lmm.problem(record).native.transform()
    X = (fill(tuple(rows.fixed[i] for i in record.kept), 0, rows.nobs) - shift) / scale
    if len(mix):
        X = X @ mix.reshape(len(shift), -1, order="F")
    (own,) = random_columns(rows)
    Z = fill(own.columns, 0, rows.nobs)
    at = np.array(own.intercepts)
    Z = (Z - np.where(at >= 0, Z[:, at], 0) * zshift) / zscale
    return X, Z, np.ones(rows.nobs) if rows.weights is None else rows.weights


@pytest.mark.parametrize(("formula", "options"), MODELS)
def test_refits_from_moments_are_refits_from_rows(formula: str, options: dict[str, Any]) -> None:
    fit = fitted(formula, options)
    record = fit._record
    X, Z, w = columns(fit)
    Y = np.ascontiguousarray(fit.simulate(8, seed=3).T)
    E = Y - fit.predict(random="none")
    codes = record.rows.groups[0].codes
    Zy = np.zeros((8, len(record.rows.groups[0].levels), Z.shape[1]))
    for i in range(8):
        np.add.at(Zy[i], codes, Z * (w * E[i])[:, None])
    moments = (Zy.reshape(8, -1), (E * w) @ X, (E**2 * w).sum(axis=1))
    rows, ours = lmm.refit_many(record, Y), _moments.refit(record, *moments)
    assert rows["converged"].all()
    assert ours["converged"].all()
    np.testing.assert_allclose(ours["objective"], rows["objective"], atol=1e-7)
    np.testing.assert_allclose(ours["sigma"], rows["sigma"], rtol=1e-6)
    np.testing.assert_allclose(ours["theta"], rows["theta"], rtol=1e-4, atol=1e-4)
    X_user = fill(tuple(record.rows.fixed[i] for i in record.kept), 0, record.rows.nobs)
    np.testing.assert_allclose(ours["beta"] @ X_user.T, rows["beta"] @ X_user.T, atol=1e-5)


@pytest.mark.parametrize(("formula", "options"), MODELS)
def test_moments_have_the_distribution_of_those_of_rows(
    formula: str, options: dict[str, Any]
) -> None:
    """First two moments against B'W(Z Psi Z' + sigma^2 W^-1)WB with dense B = [Z X]."""
    fit = fitted(formula, options)
    record = fit._record
    source = _moments.moments(record)
    assert isinstance(source, _moments.Moments)
    Zy, Xy, square = source.draw(np.random.default_rng(1), DRAWS)
    X, Z, w = columns(fit)
    codes, levels, k = record.rows.groups[0].codes, len(record.rows.groups[0].levels), Z.shape[1]
    B = np.zeros((len(w), levels * k + X.shape[1]))
    for c in range(k):
        B[np.arange(len(w)), codes * k + c] = Z[:, c]
    B[:, levels * k :] = X
    user = fit.model_matrix("random").toarray()
    lambdas = record.layout.lambdas(record.solution.theta)
    psi = [np.kron(np.eye(levels), fit.scale * lam @ lam.T) for lam in lambdas]
    order = np.cumsum([0, *(len(p) for p in psi)])
    V = fit.scale * np.diag(1 / w)
    for p, start, stop in zip(psi, order[:-1], order[1:], strict=True):
        V += user[:, start:stop] @ p @ user[:, start:stop].T
    M = (w[:, None] * B).T @ V @ (w[:, None] * B)
    drawn = np.hstack([Zy, Xy])
    sd = np.sqrt(np.diag(M))
    assert (np.abs(drawn.mean(axis=0)) <= 5 * sd / np.sqrt(DRAWS)).all()
    error = np.sqrt((np.outer(sd**2, sd**2) + M**2) / DRAWS)
    floor = 1e-9 * np.outer(sd, sd)
    assert (np.abs(drawn.T @ drawn / DRAWS - M) <= 5.5 * error + floor).all()
    WV = w[:, None] * V
    mean, variance = np.trace(WV), 2 * np.trace(WV @ WV)
    assert abs(square.mean() - mean) < 5 * np.sqrt(variance / DRAWS)
    assert square.var() == pytest.approx(variance, rel=0.1)
    # what is left of the square on B has the chi-square of n - rank(B)
    root = np.sqrt(w)[:, None] * B
    G = np.linalg.pinv(root.T @ root, rcond=1e-10)
    rest = square - np.einsum("ci,ij,cj->c", drawn, G, drawn)
    df = len(w) - np.linalg.matrix_rank(root, tol=1e-6 * np.linalg.norm(root, 2))
    assert rest.mean() == pytest.approx(df * fit.scale, rel=5 * np.sqrt(2 / df / DRAWS))
    assert rest.var() == pytest.approx(2 * df * fit.scale**2, rel=0.1)


def large() -> Any:
    generator = np.random.default_rng(5)
    g = generator.integers(0, 30, 4500)
    x = generator.standard_normal(4500)
    u = generator.standard_normal((2, 30))
    y = 1 + x + 0.3 * u[0, g] + 0.2 * u[1, g] * x + generator.standard_normal(4500)
    return pp.lmer("y ~ x + (x | g)", {"y": y, "x": x, "g": g})


def test_replicates_from_moments_are_distributed_as_those_from_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit = large()
    assert _moments.is_cheaper(fit._record)
    quick = fit.bootstrap(20_000, seed=1).values
    monkeypatch.setattr(_moments, "is_cheaper", lambda record: False)
    slow = fit.bootstrap(1500, seed=2).values
    se = slow.std(axis=0, ddof=1) / np.sqrt(1500)
    assert (np.abs(slow.mean(axis=0) - quick.mean(axis=0)) < 4.5 * se).all()
    np.testing.assert_allclose(slow.std(axis=0), quick.std(axis=0), rtol=0.1)
    cut = np.quantile(quick, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
    share = (slow[None] < cut[:, None]).mean(axis=1)
    p = np.array([[0.05], [0.25], [0.5], [0.75], [0.95]])
    assert (np.abs(share - p) < 4.5 * np.sqrt(p * (1 - p) / 1500)).all()
    r = np.corrcoef(quick.T) - np.corrcoef(slow.T)
    assert np.abs(r).max() < 4.5 / np.sqrt(1500)


def test_moments_are_drawn_where_rows_are_many() -> None:
    fit = large()
    kinds = {rows: type(bootstrap_source(fit, rows=rows)) for rows in (False, True)}
    assert kinds == {False: _moments.Moments, True: _draws.Parametric}
    assert not _moments.is_cheaper(
        pp.lmer("Reaction ~ Days + (Days | Subject)", pp.datasets.load("sleepstudy"))._record
    )
    assert not _moments.is_cheaper(
        pp.lmer("diameter ~ 1 + (1|plate) + (1|sample)", pp.datasets.load("Penicillin"))._record
    )


def bootstrap_source(fit: Any, *, rows: bool) -> Any:
    from partialpool.inference import bootstrap as module

    return module._source(fit._record, "parametric", "new", rows=rows)


def test_workers_change_no_bit_of_moments() -> None:
    fit = large()
    one = bootstrap(fit._record, 700, seed=4)
    for backend in ("threading", "loky"):
        two = bootstrap(fit._record, 700, seed=4, n_jobs=2, backend=backend)
        np.testing.assert_array_equal(one.values, two.values)
    np.testing.assert_array_equal(one.values[:50], bootstrap(fit._record, 50, seed=4).values)


def test_estimates_of_lm_are_drawn_where_rows_are_many() -> None:
    generator = np.random.default_rng(6)
    x = generator.standard_normal(5000)
    data = {"y": 2 + x + generator.standard_normal(5000), "x": x, "twice": 2 * x}
    with pytest.warns(pp.RankDeficientWarning):
        fit = pp.lm("y ~ x + twice", data)
    found = fit.bootstrap(20_000, seed=1)
    rows = fit.bootstrap(1000, seed=1, statistic=lambda f: [*f.params, f.sigma])
    frame = found.to_frame()
    assert frame["twice"].isna().all()
    used = [0, 1, 3]
    V = fit.cov_params().to_numpy()
    np.testing.assert_allclose(np.cov(found.values[:, [0, 1]].T), V, atol=0.05 * V.max())
    assert frame["sigma"].std() == pytest.approx(fit.sigma / np.sqrt(2 * fit.df_resid), rel=0.03)
    np.testing.assert_allclose(frame.mean().dropna(), [*fit.params.dropna(), fit.sigma], rtol=1e-3)
    spread = found.values.std(axis=0)[used] / rows.values.std(axis=0)[used]
    np.testing.assert_allclose(spread, 1, atol=0.1)
    again = fit.bootstrap(700, seed=1, n_jobs=2, backend="threading")
    np.testing.assert_array_equal(again.values, found.values[:700])
