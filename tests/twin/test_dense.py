"""The dense twin itself: against another program at a fixed theta, and against differences."""

import numpy as np
import pytest

from tests.reference import lme4
from tests.twin.dense import Dense, Term
from tests.twin.designs import make_design, make_scaled

FIXED_THETA = 1e-11  # relative; both sides are closed forms, lme4's in double precision
DIFFERENCES = 1e-8  # relative; fourth-order differences with a step of 1e-3, extended precision


@pytest.mark.parametrize("name", ["sleep_reml", "sleep_ml", "sleep_weights", "sleep_offset"])
def test_dense_twin_at_the_theta_of_lme4_gives_the_estimates_of_lme4(name):
    case, data = lme4.CASES[name], lme4.data("sleepstudy")
    X = np.column_stack([np.ones(len(data)), data["Days"]])
    twin = Dense(
        data["Reaction"].to_numpy(),
        X,
        [Term(X, data["Subject"].cat.codes.to_numpy())],
        weights=data[case["weights"]] if "weights" in case else None,
        offset=data[case["offset"]] if "offset" in case else None,
        reml=case.get("REML", False),
    )
    theta = list(case["theta"].values())
    at = twin.solve(theta)
    assert float(at.value) == pytest.approx(-2 * case["loglik"], rel=FIXED_THETA)
    assert float(at.sigma) == pytest.approx(case["sigma"], rel=FIXED_THETA)
    np.testing.assert_allclose(at.beta.astype(float), list(case["fixef"].values()), rtol=1e-10)
    cov = (at.sigma**2 * at.cov_unscaled).astype(float)
    np.testing.assert_allclose(cov, case["vcov"], rtol=1e-10)
    ranef = case["ranef"][0]
    b = twin.split(at.b)[0].astype(float)
    np.testing.assert_allclose(b[: len(ranef["values"])], ranef["values"], rtol=1e-9)
    if ranef["cond_var"]:
        blocks = twin.conditional_covariances(theta)[0] * at.sigma**2
        expected = np.reshape(ranef["cond_var"], (-1, 2, 2))
        np.testing.assert_allclose(blocks[: len(expected)].astype(float), expected, rtol=1e-10)
    if "hat" in case:
        np.testing.assert_allclose(
            twin.leverages(theta)[:10].astype(float), case["hat"], rtol=1e-10
        )


def differences(function, theta, scale):
    """Fourth-order central differences of a scalar or vector function."""
    out = []
    for k, size in enumerate(scale):
        step = np.zeros(len(theta), np.longdouble)
        step[k] = h = np.longdouble(size) * np.longdouble(1e-3)
        near = function(theta + step) - function(theta - step)
        far = function(theta + 2 * step) - function(theta - 2 * step)
        out.append((8 * near - far) / (12 * h))
    return np.array(out)


@pytest.mark.parametrize("seed", range(0, 48, 5))
def test_derivatives_of_the_dense_twin_are_its_difference_quotients(seed):
    design = make_design(seed)
    twin = design.dense()
    for theta in design.thetas[::2]:
        at = twin.derivatives(theta)
        size = np.full(len(theta), 0.1)
        quotient = differences(lambda t: twin.solve(t).value, theta, size)
        assert np.all(abs(quotient - at.gradient) <= DIFFERENCES * (1 + at.gradient_scale))
        quotient = differences(lambda t: twin.derivatives(t).gradient, theta, size)
        assert np.all(abs(quotient - at.hessian) <= DIFFERENCES * (1 + at.hessian_scale))


@pytest.mark.parametrize("seed", range(0, 128, 16))
def test_at_theta_zero_average_information_and_exact_hessian_agree(seed):
    """Where lambda is zero, both are the matrix 2 Q."""
    at = make_design(seed).dense().derivatives([0.0])  # one factor, random intercepts
    np.testing.assert_allclose(float(at.average_information[0, 0]), float(at.hessian[0, 0]))


def test_change_of_scale_is_undone_by_theta():
    """A scaled design at the scaled theta has the same log|M| and ratios of variances."""
    for seed in range(6):
        plain, scaled = make_design(seed * 7 + 2), make_scaled(seed)
        for theta, other in zip(plain.thetas, scaled.thetas, strict=True):
            a, b = plain.dense().solve(theta), scaled.dense().solve(other)
            assert float(b.logdet_M) == pytest.approx(float(a.logdet_M), rel=1e-9, abs=1e-9)
            assert float(b.ussq / b.pwrss) == pytest.approx(float(a.ussq / a.pwrss), rel=1e-6)
