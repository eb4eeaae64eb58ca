"""Simulated responses: moments, streams, options."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp

MANY = 4000
SIGMAS = 5.0  # standard errors of a Monte Carlo mean; a false alarm is one in a million


@pytest.fixture(scope="module")
def fit() -> Any:
    data = pp.datasets.load("sleepstudy")
    return pp.lmer("Reaction ~ Days + (Days | Subject)", data, weights="1 + Days")


def test_mean_and_covariance_of_new_responses(fit: Any) -> None:
    draws = fit.simulate(MANY, seed=1)
    assert draws.shape == (180, MANY)
    mean = fit.predict(random="none")
    Z = fit.model_matrix("random").toarray()
    psi = np.kron(np.eye(18), fit.varcorr["Subject"].to_numpy())
    V = Z @ psi @ Z.T + fit.scale * np.diag(1 / fit._record.rows.weights)
    sd = np.sqrt(np.diag(V))
    z = (draws.mean(axis=1) - mean) / sd * np.sqrt(MANY)
    assert np.abs(z).max() < SIGMAS
    C = np.cov(draws)
    error = np.sqrt((np.outer(sd**2, sd**2) + V**2) / MANY)
    assert (np.abs(C - V) / error).max() < SIGMAS + 1  # 16,000 entries


def test_fitted_random_effects_leave_residual_noise_only(fit: Any) -> None:
    draws = fit.simulate(MANY, seed=2, random="fitted")
    sd = fit.sigma / np.sqrt(fit._record.rows.weights)
    z = (draws.mean(axis=1) - fit.fittedvalues.to_numpy()) / sd * np.sqrt(MANY)
    assert np.abs(z).max() < SIGMAS
    np.testing.assert_allclose(draws.std(axis=1) / sd, 1, atol=SIGMAS / np.sqrt(2 * MANY))


def test_linear_model() -> None:
    data = pd.DataFrame({"x": np.arange(10.0), "y": np.sin(np.arange(10.0))})
    fit = pp.lm("y ~ x", data)
    draws = fit.simulate(MANY, seed=3)
    np.testing.assert_allclose(
        draws.mean(axis=1), fit.fittedvalues, atol=SIGMAS * fit.sigma / np.sqrt(MANY)
    )


def test_the_first_replicates_do_not_depend_on_how_many_follow(fit: Any) -> None:
    many = fit.simulate(600, seed=4)
    np.testing.assert_array_equal(fit.simulate(3, seed=4), many[:, :3])
    np.testing.assert_array_equal(fit.simulate(300, seed=4), many[:, :300])
    assert len(np.unique(many[0])) == 600


def test_seeds(fit: Any) -> None:
    one = fit.simulate(2, seed=5)
    np.testing.assert_array_equal(one, fit.simulate(2, seed=np.random.SeedSequence(5)))
    assert not np.array_equal(one, fit.simulate(2, seed=6))
    assert not np.array_equal(fit.simulate(), fit.simulate())
    generator = np.random.default_rng(5)
    first, second = fit.simulate(2, seed=generator), fit.simulate(2, seed=generator)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, fit.simulate(2, seed=np.random.default_rng(5)))


def test_a_seed_sequence_is_not_used_up(fit: Any) -> None:
    seed = np.random.SeedSequence(7)
    np.testing.assert_array_equal(fit.simulate(1, seed=seed), fit.simulate(1, seed=seed))


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_number_of_replicates_is_checked(fit: Any, n: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="whole number"):
        fit.simulate(n)


def test_options_are_checked(fit: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="random='none'"):
        fit.simulate(random="none")
    for seed in (-1, "a", 1.5):
        with pytest.raises(pp.SpecificationError, match="seed="):
            fit.simulate(seed=seed)
