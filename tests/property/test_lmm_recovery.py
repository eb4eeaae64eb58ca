"""Simulated data give back, on average, what they were simulated from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import partialpool as pp

ERRORS = 4.0
"""Monte Carlo standard errors of the mean; four of them are crossed once in 16,000."""


def estimates(model):
    table = model.varcorr.to_frame()
    return np.array([*model.params, *table["variance"]])


def off(draws, truth):
    """How many Monte Carlo standard errors the mean is from the truth."""
    draws = np.array(draws)
    return (draws.mean(axis=0) - truth) / (draws.std(axis=0, ddof=1) / np.sqrt(len(draws)))


@pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")
def test_reml_is_unbiased_for_slopes_and_its_standard_errors_are_right():
    rng = np.random.default_rng(10)
    J, r = 40, 6
    g, x = np.repeat(np.arange(J), r), rng.normal(size=J * r)
    psi = np.array([[1.2, 0.5], [0.5, 0.9]])
    root = np.linalg.cholesky(psi)
    data = pd.DataFrame({"x": x, "g": g, "y": 0.0})
    draws, se = [], []
    for _ in range(200):
        b = rng.normal(size=(J, 2)) @ root.T
        data["y"] = 1 - 2 * x + b[g, 0] + b[g, 1] * x + 0.8 * rng.normal(size=J * r)
        model = pp.lmer("y ~ x + (x | g)", data)
        draws.append(estimates(model))
        se.append(model.bse)
    truth = [1.0, -2.0, 1.2, 0.9, 0.5, 0.64]  # fixed, variances, covariance, residual
    assert np.all(abs(off(draws, truth)) < ERRORS)
    spread = np.std(np.array(draws)[:, :2], axis=0, ddof=1)
    np.testing.assert_allclose(np.mean(se, axis=0), spread, rtol=ERRORS / np.sqrt(2 * 200))


@pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")
def test_reml_is_unbiased_for_crossed_factors_with_weights():
    rng = np.random.default_rng(11)
    a, b = 20, 15
    g, h = (v.ravel() for v in np.meshgrid(range(a), range(b), indexing="ij"))
    w = rng.uniform(0.3, 3, a * b)
    data = pd.DataFrame({"g": g, "h": h, "w": w, "y": 0.0})
    draws = []
    for _ in range(200):
        data["y"] = (
            5
            + 1.0 * rng.normal(size=a)[g]
            + 1.5 * rng.normal(size=b)[h]
            + 0.7 * rng.normal(size=a * b) / np.sqrt(w)
        )
        draws.append(estimates(pp.lmer("y ~ 1 + (1 | g) + (1 | h)", data, weights="w")))
    assert np.all(abs(off(draws, [5.0, 1.0, 2.25, 0.49])) < ERRORS)


@pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")
def test_responses_simulated_from_a_fit_give_the_fit_back():
    rng = np.random.default_rng(12)
    J, r = 30, 6
    g, x = np.repeat(np.arange(J), r), rng.normal(size=J * r)
    y = 1 + x + 1.1 * rng.normal(size=J)[g] + rng.normal(size=J * r)
    model = pp.lmer("y ~ x + (1 | g)", pd.DataFrame({"x": x, "g": g, "y": y}))
    responses = model.simulate(200, seed=13)
    assert responses.shape == (J * r, 200)
    draws = [estimates(model.refit(one)) for one in responses.T]
    assert np.all(abs(off(draws, estimates(model))) < ERRORS)
    again = model.simulate(200, seed=13)
    np.testing.assert_array_equal(responses, again)
