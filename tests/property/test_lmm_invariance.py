"""What must not change, and what must change by a known amount, when the data are rewritten."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import partialpool as pp

ROUNDING = 1e-9
"""Relative: the same model, summed in another order."""

OPTIMUM = 1e-6
"""Relative: two fits that may stop at different points of the last Newton step."""


UNITS = pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")
"""theta has the unit of y over x, and lme4's rule for a singular fit is absolute."""


def slopes(seed=0, J=15, r=8):
    rng = np.random.default_rng([seed, 6])
    g = rng.permutation(np.repeat(np.arange(J), r))
    x, z = rng.normal(size=(2, J * r))
    b = rng.normal(size=(J, 2)) @ np.array([[1.5, 0.4], [0.0, 0.8]])
    y = 2 + x - 0.5 * z + b[g, 0] + b[g, 1] * x + rng.normal(size=J * r)
    h = rng.integers(0, 6, J * r)
    y += rng.normal(size=6)[h]
    return pd.DataFrame({"y": y, "x": x, "z": z, "g": g, "h": h, "w": rng.uniform(0.5, 2, J * r)})


MODELS = ["y ~ x + z + (x | g)", "y ~ x + z + (x || g)", "y ~ x + z + (x | g) + (1 | h)"]


def agree(one, other, tolerance=OPTIMUM):
    np.testing.assert_allclose(one.objective, other.objective, rtol=ROUNDING)
    np.testing.assert_allclose(one.params, other.params, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(one.bse, other.bse, rtol=tolerance)
    np.testing.assert_allclose(one.theta, other.theta, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(one.sigma, other.sigma, rtol=tolerance)


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("formula", MODELS)
def test_order_of_rows_does_not_matter(formula, weights):
    data = slopes()
    one = pp.lmer(formula, data, weights=weights)
    order = np.random.default_rng(1).permutation(len(data))
    other = pp.lmer(formula, data.iloc[order], weights=weights)
    agree(one, other)
    np.testing.assert_allclose(
        np.asarray(one.fittedvalues)[order], other.fittedvalues, rtol=OPTIMUM
    )


@pytest.mark.parametrize("formula", MODELS)
def test_names_and_kinds_of_levels_do_not_matter(formula):
    data = slopes()
    one = pp.lmer(formula, data)
    effects = np.asarray(one.ranef()["g"])
    rng = np.random.default_rng(2)
    shuffled = rng.permutation(15)
    renamings = {
        "strings": (np.array([f"g{c:02d}" for c in range(15)]), np.arange(15)),
        "shuffled strings": (np.array([f"s{c:02d}" for c in shuffled]), np.argsort(shuffled)),
        "negative integers": (-7 * np.arange(15), np.arange(15)[::-1]),
        "integral floats": (np.arange(15) * 2.0, np.arange(15)),
    }
    for names, order in renamings.values():
        other = pp.lmer(formula, data.assign(g=names[data["g"]]))
        agree(one, other)
        table = other.ranef()["g"]
        assert list(table.index) == list(names[order])
        np.testing.assert_allclose(table, effects[order], rtol=1e-5, atol=1e-6)


def test_nested_notation_is_two_terms():
    rng = np.random.default_rng(7)
    a, b = np.repeat(np.arange(8), 12), np.tile(np.repeat(np.arange(3), 4), 8)
    y = 2 * rng.normal(size=8)[a] + rng.normal(size=(8, 3))[a, b] + rng.normal(size=96)
    data = pd.DataFrame({"y": y, "a": a, "b": b, "ba": 3 * a + b})
    nested = pp.lmer("y ~ 1 + (1 | a/b)", data)
    for formula in ("y ~ 1 + (1 | b:a) + (1 | a)", "y ~ 1 + (1 | a) + (1 | b:a)"):
        other = pp.lmer(formula, data)
        agree(nested, other)
        assert list(other.ngroups) == list(nested.ngroups) == ["b:a", "a"]
        assert list(nested.ranef()["b:a"].index) == list(other.ranef()["b:a"].index)
    agree(nested, pp.lmer("y ~ 1 + (1 | ba) + (1 | a)", data))  # nested by its labels alone


def test_correlated_and_uncorrelated_slopes_written_in_two_ways():
    data = slopes()
    agree(pp.lmer("y ~ x + (x || g)", data), pp.lmer("y ~ x + (1 | g) + (0 + x | g)", data))
    agree(pp.lmer("y ~ x + (x | g)", data), pp.lmer("y ~ x + (1 + x | g)", data))


@pytest.mark.parametrize("formula", MODELS)
@pytest.mark.parametrize("reml", [True, False])
def test_at_theta_zero_the_solution_is_least_squares(formula, reml):
    data = slopes()
    objective = pp.objective(formula, data, reml=reml, weights="w")
    at = objective.solve(np.zeros(len(objective.names)))
    X = np.column_stack([np.ones(len(data)), data["x"], data["z"]])
    root = np.sqrt(data["w"].to_numpy())
    beta, (rss,), *_ = np.linalg.lstsq(root[:, None] * X, root * data["y"].to_numpy(), rcond=None)
    np.testing.assert_allclose(at.beta, beta, rtol=ROUNDING)
    divisor = len(data) - 3 if reml else len(data)
    assert at.sigma == pytest.approx(np.sqrt(rss / divisor), rel=ROUNDING)
    assert at.logdet_L == pytest.approx(0, abs=1e-12)
    for u, b in zip(at.u, at.b, strict=True):
        assert not u.any()
        assert not b.any()
    ols = pp.lm("y ~ x + z", data, weights="w")
    np.testing.assert_allclose(at.beta, ols.params, rtol=ROUNDING)
    if not reml:
        assert objective.value(np.zeros(len(objective.names))) == pytest.approx(
            -2 * ols.llf, rel=ROUNDING
        )


@pytest.mark.parametrize("formula", MODELS)
def test_shifting_y_by_1e12_changes_only_the_intercept(formula):
    """The doubles near 1e12 are 1.2e-4 apart; y is first rounded to what they hold."""
    data = slopes()
    stored = data["y"] + 1e12
    data["y"] = stored - 1e12  # exact
    one, other = pp.lmer(formula, data), pp.lmer(formula, data.assign(y=stored))
    assert other.params.iloc[0] - 1e12 == pytest.approx(one.params.iloc[0], abs=2.5e-4)
    np.testing.assert_allclose(other.params.iloc[1:], one.params.iloc[1:], rtol=1e-7)
    np.testing.assert_allclose(other.bse, one.bse, rtol=1e-7)
    np.testing.assert_allclose(other.theta, one.theta, rtol=OPTIMUM, atol=OPTIMUM)
    assert other.objective == pytest.approx(one.objective, rel=ROUNDING)
    assert other.sigma == pytest.approx(one.sigma, rel=1e-8)


@UNITS
@pytest.mark.parametrize("shift", [1e6, 1.7e9])
def test_shifting_a_covariate_changes_only_the_intercept(shift):
    """A timestamp beside an intercept, fixed and random; correlated slopes absorb the shift."""
    data = slopes()
    stored = data["x"] + shift
    data["x"] = stored - shift  # exact
    one = pp.lmer("y ~ x + z + (x | g)", data)
    other = pp.lmer("y ~ x + z + (x | g)", data.assign(x=stored))
    assert other.objective == pytest.approx(one.objective, rel=ROUNDING)
    np.testing.assert_allclose(other.params.iloc[1:], one.params.iloc[1:], rtol=1e-6)
    np.testing.assert_allclose(other.bse.iloc[1:], one.bse.iloc[1:], rtol=1e-6)
    assert other.sigma == pytest.approx(one.sigma, rel=1e-8)
    expected = one.params.iloc[0] - shift * one.params.iloc[1]
    assert other.params.iloc[0] == pytest.approx(expected, rel=1e-7)
    np.testing.assert_allclose(other.fittedvalues, one.fittedvalues, atol=1e-6)


@UNITS
@pytest.mark.parametrize("scale", [1e-6, 3.0, 1e8])
@pytest.mark.parametrize("formula", MODELS)
def test_scaling_a_column_scales_its_coefficient_and_shifts_remls_criterion(formula, scale):
    """With X A for X, REML's criterion rises by 2 log|det A|; ML's stays."""
    data = slopes()
    other_data = data.assign(x=data["x"] * scale)
    for reml in (True, False):
        one, other = (pp.lmer(formula, d, reml=reml) for d in (data, other_data))
        expected = one.params.to_numpy() / [1, scale, 1]
        np.testing.assert_allclose(other.params, expected, rtol=OPTIMUM)
        np.testing.assert_allclose(other.bse, one.bse / [1, scale, 1], rtol=OPTIMUM)
        constant = 2 * np.log(scale) if reml else 0.0
        assert other.objective == pytest.approx(one.objective + constant, rel=ROUNDING)
        assert other.sigma == pytest.approx(one.sigma, rel=OPTIMUM)
        factors = [scale if ".x" in name else 1.0 for name in pd.Series(one.theta).index]
        np.testing.assert_allclose(np.array(other.theta) * factors, one.theta, rtol=1e-5)


def test_scaling_y_scales_everything_with_it():
    data = slopes()
    for formula in MODELS:
        one = pp.lmer(formula, data)
        for scale in (1e-9, 1e9):
            other = pp.lmer(formula, data.assign(y=data["y"] * scale))
            np.testing.assert_allclose(other.params, one.params * scale, rtol=OPTIMUM)
            np.testing.assert_allclose(other.theta, one.theta, rtol=1e-5)
            assert other.sigma == pytest.approx(one.sigma * scale, rel=OPTIMUM)
            expected = one.objective + 2 * (len(data) - 3) * np.log(scale)
            assert other.objective == pytest.approx(expected, rel=ROUNDING)


@UNITS
def test_columns_1e12_apart_in_scale():
    data = slopes()
    one = pp.lmer("y ~ x + z + (x | g)", data)
    other = pp.lmer("y ~ x + z + (x | g)", data.assign(x=data["x"] * 1e6, z=data["z"] * 1e-6))
    np.testing.assert_allclose(other.params, one.params / [1, 1e6, 1e-6], rtol=OPTIMUM)
    np.testing.assert_allclose(other.bse, one.bse / [1, 1e6, 1e-6], rtol=OPTIMUM)
    assert other.objective == pytest.approx(one.objective, rel=ROUNDING)
    assert other.sigma == pytest.approx(one.sigma, rel=OPTIMUM)


@pytest.mark.parametrize("formula", MODELS)
def test_a_signal_of_a_million_times_the_noise_leaves_the_variances_right(formula):
    """R-square is 1 - 1e-12; rounding y costs 1e-10 of the noise."""
    data = slopes()
    one = pp.lmer(formula, data)
    other = pp.lmer(formula, data.assign(y=data["y"] + 1e6 * data["x"]))
    assert other.sigma == pytest.approx(one.sigma, rel=OPTIMUM)
    np.testing.assert_allclose(other.theta, one.theta, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(other.bse, one.bse, rtol=1e-5)
    np.testing.assert_allclose(other.params - [0, 1e6, 0], one.params, atol=1e-8)


@pytest.mark.parametrize("formula", MODELS)
def test_an_offset_is_taken_from_the_response(formula):
    data = slopes()
    o = np.round(data["z"] * 7 + 1, 2).to_numpy()
    one = pp.lmer(formula, data)
    for other in (
        pp.lmer(formula, data.assign(y=data["y"] + o), offset=o),
        pp.lmer(formula + " + offset(o)", data.assign(y=data["y"] + o, o=o)),
        pp.lmer(formula, data.assign(y=data["y"] + o, o=o), offset="o"),
    ):
        agree(one, other)
        np.testing.assert_allclose(other.fittedvalues, np.asarray(one.fittedvalues) + o, rtol=1e-6)


@pytest.mark.parametrize("formula", MODELS)
def test_multiplying_the_weights_changes_sigma_and_theta_and_nothing_else(formula):
    """d has -sum log w, and sigma^2 / w is what the data speak of."""
    data = slopes()
    one = pp.lmer(formula, data, weights="w")
    other = pp.lmer(formula, data.assign(w=data["w"] * 100), weights="w")
    assert other.objective == pytest.approx(one.objective, rel=ROUNDING)
    np.testing.assert_allclose(other.params, one.params, rtol=OPTIMUM)
    np.testing.assert_allclose(other.bse, one.bse, rtol=OPTIMUM)
    assert other.sigma == pytest.approx(10 * one.sigma, rel=OPTIMUM)
    np.testing.assert_allclose(np.array(other.theta) * 10, one.theta, rtol=1e-5, atol=1e-6)


def test_a_whole_weight_is_that_many_rows_at_the_same_theta():
    """Not the same criterion (n counts), but the same beta, b and cross-products."""
    data = slopes().assign(w=np.tile([1.0, 2.0, 3.0], 40))
    long = data.loc[data.index.repeat(data["w"].astype(int))]
    theta = [0.8, -0.2, 0.5]
    one = pp.objective("y ~ x + (x | g)", data, weights="w").solve(theta)
    other = pp.objective("y ~ x + (x | g)", long).solve(theta)
    np.testing.assert_allclose(one.beta, other.beta, rtol=ROUNDING)
    np.testing.assert_allclose(one.b[0], other.b[0], rtol=ROUNDING, atol=ROUNDING)
    assert one.logdet_L == pytest.approx(other.logdet_L, rel=ROUNDING)


@pytest.mark.parametrize("formula", MODELS)
@pytest.mark.parametrize("reml", [True, False])
def test_refit_is_a_fresh_fit(formula, reml):
    data = slopes()
    model = pp.lmer(formula, data, reml=reml, weights="w")
    y = 3 * data["y"].to_numpy() + np.random.default_rng(5).normal(size=len(data))
    fresh = pp.lmer(formula, data.assign(y=y), reml=reml, weights="w")
    again = model.refit(y)
    agree(again, fresh)
    np.testing.assert_allclose(again.fittedvalues, fresh.fittedvalues, atol=1e-5)
    agree(again.refit(data["y"].to_numpy()), model)


def test_sign_of_a_column_of_lambda_does_not_matter():
    for formula in MODELS:
        objective = pp.objective(formula, slopes())
        for theta in np.random.default_rng(3).normal(size=(5, len(objective.names))):
            assert objective.value(-theta) == pytest.approx(objective.value(theta), rel=1e-12)
            np.testing.assert_allclose(objective.gradient(-theta), -objective.gradient(theta))


@pytest.mark.parametrize("formula", MODELS)
def test_gradient_vanishes_and_hessian_is_positive_at_the_optimum(formula):
    data = slopes()
    model = pp.lmer(formula, data)
    objective = pp.objective(formula, data)
    gradient, hessian = (f(model.optimum.theta) for f in (objective.gradient, objective.hessian))
    assert np.linalg.eigvalsh(hessian).min() > 0
    assert gradient @ np.linalg.solve(hessian, gradient) < 1e-8
    assert objective.value(model.optimum.theta) == pytest.approx(model.objective, rel=1e-12)
    around = model.optimum.theta + 1e-3 * np.random.default_rng(4).normal(size=(20, len(gradient)))
    assert all(objective.value(theta) > model.objective for theta in around)
