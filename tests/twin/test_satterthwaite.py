"""Satterthwaite's ingredients against n x n matrices and difference quotients."""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool import lmm, roots
from partialpool.inference import degrees
from tests.twin import inference
from tests.twin.dense import REAL, Dense, Term
from tests.twin.designs import COUNT, make_design

SEEDS = range(1, COUNT, 4)


@lru_cache(maxsize=4)
def fitted(seed):
    design = make_design(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        return design, pp.lmer(design.formula, design.frame, **design.options)._record


def scaled(design, record, theta):
    """The design's terms with the columns that the optimiser works in, and theta for them."""
    problem = lmm.problem(record)
    _, _, _, zs = problem.native.transform()
    terms, out = [], []
    for (_, _, term), (g, first, k), factor in zip(
        design.terms, problem._place, record.layout.lambdas(theta), strict=True
    ):
        shift, scale = (np.asarray(a)[first : first + k] for a in zs[g])
        at = np.array(problem._groups[g].intercepts)[first : first + k] - first
        T = np.diag(1 / scale)  # Z~ = Z T
        T[at[at >= 0], np.flatnonzero(at >= 0)] -= (shift / scale)[at >= 0]
        terms.append(Term(term.columns @ T, term.codes, term.diagonal))
        R = np.linalg.qr(np.linalg.solve(T, factor).T)[1]
        lower = (np.sign(np.diag(R))[:, None] * R).T
        columns = [lower[c : c + 1 if term.diagonal else None, c] for c in range(k)]
        out.append(np.concatenate(columns))
    return terms, np.concatenate(out)


@pytest.mark.parametrize("seed", SEEDS)
def test_derivatives_are_the_difference_quotients_of_the_dense_twin(seed):
    design, record = fitted(seed)
    terms, theta = scaled(design, record, design.thetas[0])
    twin = Dense(
        design.frame["y"].to_numpy(), design.X, terms,
        weights=design.weights, offset=design.offset, reml=design.options["reml"],
    )  # fmt: skip
    theta, h = np.array(theta, REAL), REAL(1e-5)
    scale, slopes, d, H, _, rank = lmm.problem(record).derivatives(design.thetas[0])
    A = roots.root(record).transformed(np.eye(len(record.kept)))
    slopes = A @ slopes @ A.T
    assert list(rank) == [len(s.columns) for s in record.layout.specs]
    size = np.sqrt(np.diag(twin.solve(theta).cov_unscaled).astype(float))

    def full(at, tau):  # -2 log-likelihood, sigma^2 not profiled out
        found = twin.solve(at)
        profiled = twin.nu * (1 + np.log(found.pwrss / twin.nu))
        return found.value - profiled + twin.nu * tau + found.pwrss * np.exp(-tau)

    for k, direction in enumerate(np.eye(len(theta), dtype=REAL) * h):
        up, down = twin.solve(theta + direction), twin.solve(theta - direction)
        slope = (up.cov_unscaled - down.cov_unscaled) / (2 * h)
        assert np.all(np.abs(slopes[k] - slope) <= 1e-7 * np.outer(size, size))
        assert d[k] == pytest.approx(float((up.pwrss - down.pwrss) / (2 * h) / scale), abs=1e-6)
    tau, step = np.log(twin.solve(theta).pwrss / twin.nu), REAL(1e-3)
    information = np.block([[H + np.outer(d, d) / twin.nu, -d[:, None]], [-d, twin.nu]])
    point = np.append(theta, tau)
    for i, e in enumerate(np.eye(len(point), dtype=REAL) * step):
        for j, f in enumerate(np.eye(len(point), dtype=REAL) * step):
            corners = [point + e + f, point + e - f, point - e + f, point - e - f]
            values = [full(c[:-1], c[-1]) for c in corners]
            quotient = float((values[0] - values[1] - values[2] + values[3]) / (4 * step**2))
            assert abs(quotient - information[i, j]) <= 1e-4 * np.abs(information).max()


@pytest.mark.parametrize("seed", SEEDS)
def test_degrees_of_freedom_match_the_dense_twin_in_other_parameters(seed):
    design, record = fitted(seed)
    terms = [term for _, _, term in design.terms]
    expected = inference.satterthwaite(design.dense(), terms, record.solution.theta)
    L = np.eye(len(record.kept))
    actual = degrees.df(record, L)
    np.testing.assert_allclose(actual, inference.satterthwaite_df(expected, L), rtol=1e-6)
    singular = [
        spec.text
        for spec, rank in zip(record.layout.specs, record.optimum.rank, strict=True)
        if rank < len(spec.columns)
    ]
    assert degrees.satterthwaite(record).boundary == tuple(singular)


def frame(levels=8, rows=6, seed=3):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(levels), rows)
    x = np.tile(np.linspace(-1, 1, rows), levels)
    return pd.DataFrame({"g": g.astype(str), "x": x, "e": rng.normal(size=levels * rows)}), rng


@pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")
def test_a_variance_of_zero_leaves_the_degrees_of_freedom_of_the_model_without_it():
    data, _ = frame()
    # balanced: less variance between groups than the residuals give by chance
    data["y"] = data.e - data.groupby("g").e.transform("mean")
    record = pp.lmer("y ~ x + (1 | g)", data)._record
    assert record.optimum.rank == (0,)
    np.testing.assert_allclose(degrees.df(record, np.eye(2)), len(data) - 2, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")
def test_a_zero_intercept_variance_beside_a_slope_is_the_model_with_the_slope_alone():
    data, rng = frame(levels=10, rows=8)
    slopes = rng.normal(size=10)
    noise = data.e - data.groupby("g").e.transform("mean")
    data["y"] = data.x * slopes[data.g.astype(int)] + noise
    record = pp.lmer("y ~ x + (x || g)", data)._record
    alone = pp.lmer("y ~ x + (0 + x | g)", data)._record
    assert sum(record.optimum.rank) == 1
    actual, expected = (degrees.df(r, np.eye(2)) for r in (record, alone))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    assert degrees.satterthwaite(record).boundary
    assert not degrees.satterthwaite(alone).boundary
