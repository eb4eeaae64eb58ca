"""The library's objective, derivatives and estimates against the dense twin, at fixed theta.

No optimiser takes part, so a failure here is a fault of the kernels, of the design, or of the
twin; `test_dense.py` holds the twin to another program and to its own difference quotients.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

import partialpool as pp
from partialpool import lmm
from tests.twin.designs import COUNT, SCALED, make_design, make_scaled

RELATIVE = 1e-10
"""Of the sum of the magnitudes that a quantity is made of: double precision with room for a
condition of 1e5; the twin's own rounding is far below."""

SCALED_RELATIVE = 1e-9
"""Columns, response and weights over twelve orders of magnitude."""

DIFFERENCES = 1e-7
"""Fourth-order differences in double precision, step 1e-3: rounding 1e-13 / 1e-3, and as much
again for the truncation."""


@lru_cache(maxsize=8)
def prepared(seed, scaled=False):
    """The design, its dense twin, and the library's objective."""
    design = make_scaled(seed) if scaled else make_design(seed)
    objective = pp.objective(design.formula, design.frame, **design.options)
    return design, design.dense(), objective


def agree(actual, expected, scale, tolerance=RELATIVE):
    """|actual - expected| <= tolerance * scale, element by element."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    scale = np.broadcast_to(scale, actual.shape)
    bad = ~(abs(actual - expected) <= tolerance * scale)
    if bad.any():
        worst = np.unravel_index(np.argmax(abs(actual - expected) / (scale + 1e-300)), bad.shape)
        error = float(abs(actual - expected)[worst] / (scale[worst] + 1e-300))
        pytest.fail(
            f"{bad.sum()} of {bad.size} elements; worst at {tuple(map(int, worst))}: "
            f"{actual[worst]} and not {expected[worst]}, relative {error:.2g}"
        )


def compare_objective(design, twin, objective, tolerance):
    for theta in design.thetas:
        expected = twin.solve(theta)
        agree(objective.value(theta), expected.value, expected.value_scale, tolerance)


def compare_derivatives(design, twin, objective, tolerance):
    for theta in design.thetas:
        expected = twin.derivatives(theta)
        scale = expected.gradient_scale
        agree(objective.gradient(theta), expected.gradient, scale, tolerance)
        # an element that is a sum of zeros still carries the rounding of its row and column
        diagonal = np.sqrt(np.diag(expected.hessian_scale))
        scale = expected.hessian_scale + np.outer(diagonal, diagonal)
        agree(objective.hessian(theta), expected.hessian, scale, tolerance)
        average = objective.hessian(theta, kind="average")
        agree(average, expected.average_information, scale, tolerance)


def effect_sizes(design, twin, theta):
    """Prior standard deviations over sigma, (J, k) a term; a bound on what is known of b.

    Columns of a term are worked on together (a covariate may be centred against the intercept),
    so each has at least the size of the others, in its own unit.
    """
    prior = np.sqrt(np.sum(np.asarray(twin.Lambda(theta), float) ** 2, axis=1))
    out = []
    for (_, _, term), own in zip(design.terms, twin.split(prior), strict=True):
        unit = np.sqrt(np.mean(term.columns**2, axis=0))
        out.append(np.max(own * unit, axis=1, keepdims=True) / unit)
    return out


def compare_solution(design, twin, objective, tolerance):
    for theta in design.thetas:
        expected, got = twin.solve(theta), objective.solve(theta)
        size = np.sqrt(twin.y @ expected.Vi @ twin.y)  # of y in the metric of V
        beta_scale = np.sqrt(np.diag(expected.cov_unscaled)) * size  # Cauchy-Schwarz bounds
        agree(got.beta, expected.beta, beta_scale, tolerance)
        b_scale = [size * spread for spread in effect_sizes(design, twin, theta)]
        u_scale = twin.split(np.full(len(expected.u), size))
        assert len(got.u) == len(got.b) == len(design.terms)
        for t, (u, b) in enumerate(zip(got.u, got.b, strict=True)):
            agree(u, twin.split(expected.u)[t], u_scale[t], tolerance)
            agree(b, twin.split(expected.b)[t], b_scale[t], tolerance)
        agree(got.sigma, expected.sigma, expected.sigma, tolerance)
        agree(got.logdet_L, expected.logdet_M, expected.value_scale, tolerance)
        agree(got.logdet_RX, expected.logdet_XVX, expected.value_scale, tolerance)
        agree(got.wrss, expected.wrss, expected.pwrss, tolerance)
        agree(got.ussq, expected.ussq, expected.pwrss, tolerance)


@pytest.mark.parametrize("seed", range(COUNT))
def test_names_of_theta_follow_the_order_of_the_terms(seed):
    design, _, objective = prepared(seed)
    assert tuple(objective.names) == design.theta_names
    assert np.shape(objective.theta0) == (len(design.theta_names),)


@pytest.mark.parametrize("seed", range(COUNT))
def test_objective_at_fixed_theta_matches_the_dense_twin(seed):
    compare_objective(*prepared(seed), RELATIVE)


@pytest.mark.parametrize("seed", range(COUNT))
def test_gradient_and_hessian_match_the_dense_twin(seed):
    compare_derivatives(*prepared(seed), RELATIVE)


@pytest.mark.parametrize("seed", range(COUNT))
def test_estimates_and_effects_at_fixed_theta_match_the_dense_twin(seed):
    compare_solution(*prepared(seed), RELATIVE)


@pytest.mark.parametrize("seed", range(SCALED))
def test_columns_of_tiny_and_huge_scale_match_the_dense_twin(seed):
    everything = prepared(seed, scaled=True)
    compare_objective(*everything, SCALED_RELATIVE)
    compare_derivatives(*everything, SCALED_RELATIVE)
    compare_solution(*everything, SCALED_RELATIVE)


def differences(function, theta, step=1e-3):
    out = []
    for direction in step * np.eye(len(theta)):
        near = function(theta + direction) - function(theta - direction)
        far = function(theta + 2 * direction) - function(theta - 2 * direction)
        out.append((8 * near - far) / (12 * step))
    return np.array(out)


@pytest.mark.parametrize("seed", range(COUNT))
def test_gradient_and_hessian_are_the_difference_quotients_of_the_objective(seed):
    design, twin, objective = prepared(seed)
    for theta in design.thetas[::2]:  # the wide theta would want a step of its own
        scale = twin.derivatives(theta)
        quotient = differences(objective.value, theta)
        gradient_scale = scale.gradient_scale + float(twin.solve(theta).value_scale)
        agree(quotient, objective.gradient(theta), gradient_scale, DIFFERENCES)
        quotient = differences(objective.gradient, theta)
        agree(quotient, objective.hessian(theta), scale.hessian_scale + 1, DIFFERENCES)


@pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")
@pytest.mark.parametrize("seed", range(0, COUNT, 2))
def test_conditional_covariances_and_row_variances_match_the_dense_twin(seed):
    design, twin, _ = prepared(seed)
    problem, rows = problem_of(design)
    for theta in design.thetas:
        spread = effect_sizes(design, twin, theta)
        scale = [s[:, :, None] * s[:, None, :] for s in spread]
        got = problem.conditional_covariances(theta)
        for t, expected in enumerate(twin.conditional_covariances(theta)):
            agree(got[t], expected, scale[t])
        choices = [None, (), *((t,) for t in range(len(design.terms)))]
        for chosen in choices:
            expected = twin.row_variances(theta, chosen)
            include = None if chosen is None else [t in chosen for t in range(len(rows.terms))]
            agree(problem.row_variances(theta, rows, terms=include), expected, expected)


def problem_of(design):
    """The layer below the public one: (pls.Problem, Rows)."""
    options = design.options | {"contrasts": None, "missing": "drop", "control": None}
    record = lmm.fit(design.formula, design.frame, **options)
    return lmm.problem(record), record.rows


def test_the_designs_are_as_varied_as_promised():
    designs = [make_design(seed) for seed in range(COUNT)]
    assert len(designs) >= 200
    assert {len(columns) for d in designs for _, columns, _ in d.terms} == {1, 2, 3, 4}
    assert {len(d.names) for d in designs} == {1, 2, 3, 4, 5, 6}
    assert {d.options["reml"] for d in designs} == {True, False}
    assert sum(d.weights is not None for d in designs) > 50
    assert sum(d.offset is not None for d in designs) > 50
    assert all((d.thetas[-1] == 0).any() for d in designs)
