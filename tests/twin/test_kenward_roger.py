"""Kenward and Roger's method against its definition in n x n matrices, weights included.

pbkrtest ignores prior weights, so for those nothing else is a reference.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.inference import degrees
from tests.twin import inference
from tests.twin.designs import COUNT, make_design

AGREE = 1e-10  # relative to the largest element, times the condition of the information
SEEDS = range(0, COUNT, 5)


@lru_cache(maxsize=4)
def fitted(seed):
    design = make_design(seed)
    options = design.options | {"reml": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        record = pp.lmer(design.formula, design.frame, **options)._record
    design.options["reml"] = True
    terms = [term for _, _, term in design.terms]
    return design, record, inference.kenward_roger(design.dense(), terms, record.solution.theta)


def contrasts(p):
    """Each coefficient, all of them, and a few that depend on each other."""
    rng = np.random.default_rng(p)
    mixed = rng.normal(size=(min(p, 2), p))
    return np.eye(p), mixed, np.vstack([mixed, mixed.sum(axis=0)])


@pytest.mark.parametrize("seed", SEEDS)
def test_adjusted_covariance_matches_the_definition(seed):
    _, record, twin = fitted(seed)
    expected = twin.adjusted.astype(float)
    tolerance = AGREE * twin.condition * np.abs(expected).max()
    actual = degrees.covariance(record, "kenward-roger")
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("seed", SEEDS)
def test_degrees_of_freedom_and_scale_match_the_definition(seed):
    _, record, twin = fitted(seed)
    everything, mixed, dependent = contrasts(len(record.kept))
    for row in everything:
        _, expected, scale = inference.kenward_roger_f(twin, row[None])
        assert scale == pytest.approx(1, rel=1e-6)
        actual = degrees.df(record, row[None], "kenward-roger")
        assert actual == pytest.approx([expected], rel=1e-6)
    for L, rows in ((everything, everything), (mixed, mixed), (dependent, mixed)):
        F, den, scale = inference.kenward_roger_f(twin, rows)
        test = degrees.f_test(record, L, "kenward-roger")
        assert test.num_df == len(rows)
        if den > 0 and scale > 0:
            assert pytest.approx(F, rel=1e-6) == test.F
            assert test.den_df == pytest.approx(den, rel=1e-6)
            assert test.scale == pytest.approx(scale, rel=1e-6)


def test_the_designs_have_weights_nestings_crossings_slopes_and_boundaries():
    designs = [make_design(seed) for seed in SEEDS]
    structures = {design.structure for design in designs}
    assert {"nested", "crossed", "slopes", "diagonal", "crossed with slopes"} <= structures
    assert sum(design.weights is not None for design in designs) > 5
    assert sum(min(fitted(seed)[1].optimum.rank) == 0 for seed in SEEDS) > 2


def crossed(dense):
    """Two crossed factors with slopes, so many levels that LAPACK takes the dense columns; every
    subject meets every item, or few of them."""
    rng = np.random.default_rng(8)
    n = 30 * 28 if dense else 420
    s = np.arange(n) % 30 if dense else rng.integers(0, 60, n)
    i = np.arange(n) // 30 if dense else rng.integers(0, 35, n)
    x = rng.normal(size=n)
    y = 1 + x + rng.normal(size=60)[s] + rng.normal(size=60)[s] * x + rng.normal(size=n)
    y = y + rng.normal(size=35)[i] + 0.7 * rng.normal(size=35)[i] * x
    data = pd.DataFrame({"y": y, "x": x, "s": s.astype(str), "i": i.astype(str)})
    return data.assign(w=np.round(rng.uniform(0.5, 2, n), 2))


@pytest.mark.parametrize("dense", [False, True])
def test_dense_columns_that_lapack_takes(dense):
    data = crossed(dense)
    record = pp.lmer("y ~ x + (x | s) + (x | i)", data, weights="w")._record
    X = np.column_stack([np.ones(len(data)), data.x])
    codes = [np.unique(data[g], return_inverse=True)[1] for g in ("s", "i")]
    Z = np.zeros((len(data), sum(2 * (c.max() + 1) for c in codes)))
    Psi, start, sizes = np.zeros((Z.shape[1],) * 2), 0, []
    for code, factor in zip(codes, record.layout.lambdas(record.solution.theta), strict=True):
        J = int(code.max()) + 1
        sizes.append((J, 2))
        Z[np.arange(len(data)), start + 2 * code] = 1
        Z[np.arange(len(data)), start + 2 * code + 1] = data.x
        stop = start + 2 * J
        Psi[start:stop, start:stop] = np.kron(np.eye(J), factor @ factor.T)
        start = stop
    Vi = np.linalg.inv(np.diag(1 / data.w) + Z @ Psi @ Z.T)
    C = np.linalg.inv(X.T @ Vi @ X)
    beta = C @ X.T @ Vi @ data.y
    pwrss = float((data.y - X @ beta) @ Vi @ (data.y - X @ beta))
    solved = SimpleNamespace(Vi=Vi, cov_unscaled=C, beta=beta, pwrss=pwrss)
    twin = SimpleNamespace(
        solve=lambda theta: solved, X=X, Z=Z, w=data.w, nu=len(data) - 2, sizes=sizes
    )
    terms = [SimpleNamespace(diagonal=False)] * 2
    found = inference.kenward_roger(twin, terms, record.solution.theta)
    np.testing.assert_allclose(
        degrees.covariance(record, "kenward-roger"), found.adjusted.astype(float), rtol=1e-8
    )
    F, den, scale = inference.kenward_roger_f(found, np.eye(2))
    test = degrees.f_test(record, np.eye(2), "kenward-roger")
    np.testing.assert_allclose([test.F, test.den_df, test.scale], [F, den, scale], rtol=1e-8)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("dense", [False, True])
def test_the_exact_hessian_there_is_the_difference_quotient_of_the_gradient(dense, reml):
    objective = pp.objective("y ~ x + (x | s) + (x | i)", crossed(dense), weights="w", reml=reml)
    thetas = [[0.9, 0.1, 0.8, 1.1, -0.2, 0.6], [0.9, 0.1, 0.8, 1.1, 0.5, 0], [0, 0, 0, 1, 0, 0]]
    for theta in np.array(thetas):
        expected = np.zeros((6, 6))
        for k, h in enumerate(1e-3 * np.eye(6)):
            for weight, place in ((1, -2), (-8, -1), (8, 1), (-1, 2)):
                expected[k] += weight * objective.gradient(theta + place * h) / 0.012
        size = np.abs(expected).max()
        np.testing.assert_allclose(objective.hessian(theta), expected, rtol=0, atol=1e-7 * size)
