"""Every stored `lmer` fit, quantity by quantity."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from tests.reference import lme4

FIXED_THETA = 1e-11
"""Relative, objective at the reference's theta: two closed forms, double precision."""

CRITERION = 1e-9
"""Relative: ours may be lower by any amount that FLOOR allows, higher by this."""

FLOOR = 1e-8
"""Relative: how far the reference itself may be above the minimum. A criterion still lower is
another objective, not a better optimum."""

BETA = 1e-6  # relative; flat directions of theta move beta by less
SE = 1e-6
THETA = 1e-4  # absolute: theta is of order one, and known to sqrt(2 * criterion gap / curvature)
VARIANCE = 1e-4  # relative
EFFECTS = 1e-5  # of the largest in the table: b moves with theta
DIAGNOSTIC = 1e-4  # relative; hat and Cook's distance move with theta
RESIDUAL = 1e-5  # of sigma

VARS = ("var1", "var2")

ZERO_THETA = 1e-6  # where the reference says that a variance is zero


@cache
def case_frame(name):
    return lme4.data(lme4.CASES[name]["data"])


@cache
def fitted(name):
    """One fit a case; singular ones warn, which `test_singular_fits_are_said_to_be` looks at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.SingularFitWarning)
        return pp.lmer(lme4.CASES[name]["formula"], case_frame(name), **options(name))


def options(name):
    case = lme4.CASES[name]
    return {
        "reml": case.get("REML", False),
        "weights": case.get("weights"),
        "offset": case.get("offset"),
    }


def close(actual, expected, tolerance, size=None):
    """|actual - expected| <= tolerance * size; size defaults to |expected|."""
    actual, expected = np.asarray(actual, float), np.asarray(expected, float)
    size = abs(expected) if size is None else size
    worst = np.max(abs(actual - expected) / size)
    assert np.all(abs(actual - expected) <= tolerance * size), f"off by {worst:.3g}"


@pytest.mark.parametrize("name", lme4.LMER)
def test_objective_at_the_theta_of_lme4_is_that_of_lme4(name):
    case = lme4.CASES[name]
    objective = pp.objective(case["formula"], case_frame(name), **options(name))
    assert tuple(objective.names) == tuple(
        key.replace("(Intercept)", "Intercept") for key in case["theta"]
    )
    value = objective.value(np.array(list(case["theta"].values())))
    assert value == pytest.approx(-2 * case["loglik"], rel=FIXED_THETA)


@pytest.mark.parametrize("name", lme4.LMER)
def test_estimates_at_the_theta_of_lme4_are_those_of_lme4(name):
    """At the same theta nothing is left but rounding."""
    case = lme4.CASES[name]
    objective = pp.objective(case["formula"], case_frame(name), **options(name))
    solution = objective.solve(np.array(list(case["theta"].values())))
    close(solution.beta, list(case["fixef"].values()), 1e-9)
    assert solution.sigma == pytest.approx(case["sigma"], rel=1e-10)
    cov = solution.sigma**2 * solution.cov_unscaled
    close(cov, np.array(case["vcov"]).reshape(cov.shape), 1e-8, size=np.diag(cov).max())


@pytest.mark.parametrize("name", lme4.LMER)
def test_criterion_is_as_low_as_the_lowest_of_three_optimisers(name):
    best = -2 * lme4.CASES[name]["loglik"]
    fit = fitted(name)
    assert fit.objective <= best + CRITERION * abs(best)
    assert fit.objective >= best - FLOOR * abs(best)
    assert fit.optimum.converged
    assert fit.optimum.kkt
    assert min(lme4.CASES[name]["objectives_tried"]) >= fit.objective - CRITERION * abs(best)


@pytest.mark.parametrize("name", lme4.LMER)
def test_theta_sigma_and_variances(name):
    case, fit = lme4.CASES[name], fitted(name)
    theta = pd.Series(fit.theta)
    expected = {key.replace("(Intercept)", "Intercept"): v for key, v in case["theta"].items()}
    assert list(theta.index) == list(expected)
    close(theta, list(expected.values()), THETA, size=1.0)
    assert fit.sigma == pytest.approx(case["sigma"], rel=VARIANCE)
    assert fit.scale == pytest.approx(case["sigma"] ** 2, rel=VARIANCE)
    table = fit.varcorr.to_frame()
    assert list(table["group"])[-1] == "Residual"
    for i in range(len(case["varcorr"]["grp"])):
        row = {key: column[i] for key, column in case["varcorr"].items()}
        # R calls the second term of one group Subject.1
        group = row["grp"] if row["grp"] in set(table["group"]) else row["grp"].rsplit(".", 1)[0]
        one = table[table["group"] == group]
        terms = [row[key] and row[key].replace("(Intercept)", "Intercept") for key in VARS]
        if terms[0] is not None:
            one = one[one["term1"] == terms[0]]
        one = one[one["term2"].isna()] if terms[1] is None else one[one["term2"] == terms[1]]
        assert len(one) == 1, row
        size = max(abs(row["vcov"]), 1e-6)
        close(one["variance"].iloc[0], row["vcov"], VARIANCE, size=size)
        close(one["std_dev"].iloc[0], row["sdcor"], VARIANCE, size=max(abs(row["sdcor"]), 1e-2))


@pytest.mark.parametrize("name", lme4.LMER)
def test_fixed_effects_standard_errors_and_wald_intervals(name):
    case, fit, frame = lme4.CASES[name], fitted(name), case_frame(name)
    beta = lme4.named(case["fixef"], frame)
    assert list(fit.params.index) == list(beta.index)
    cov = np.array(case["vcov"]).reshape(len(beta), -1)
    se = np.sqrt(np.diag(cov))
    # A coefficient near zero is as well known as its standard error says
    close(fit.params, beta, BETA, size=np.maximum(abs(beta), se))
    # the references' own theta is known to 1e-5 there: at it, the covariances agree to 1e-9
    loose = 5 if name in ("mpg_slope", "insteval") else 1
    close(fit.bse, se, SE * loose)
    close(fit.cov_params(), cov, 2 * SE * loose, size=np.outer(se, se))
    close(fit.tvalues, beta / se, 2 * SE * loose, size=np.maximum(abs(beta / se), 1))
    interval = fit.conf_int(level=0.95, method="wald")
    assert list(interval.columns) == ["lower", "upper"]
    for term, ends in lme4.named(case["confint_wald"], frame).items():
        close(interval.loc[term], ends, BETA, size=np.abs(ends).max())


@pytest.mark.parametrize("name", lme4.LMER)
def test_log_likelihood_and_information_criteria(name):
    case, fit = lme4.CASES[name], fitted(name)
    for ours, theirs in ((fit.llf, "loglik"), (fit.aic, "aic"), (fit.bic, "bic")):
        close(ours, case[theirs], FLOOR)
    assert fit.nobs == case["n"]
    assert fit.df_resid == case["n"] - case["df"]
    assert dict(fit.ngroups) == case["ngrps"]
    assert list(fit.ngroups) == list(case["ngrps"])
    assert fit.reml == case.get("REML", False)
    if fit.reml:
        close(fit.reml_criterion, case["reml_criterion"], FLOOR)
        with pytest.raises(pp.UnavailableError, match="reml_criterion"):
            _ = fit.deviance
    else:
        close(fit.deviance, -2 * case["loglik"], FLOOR)
        with pytest.raises(pp.UnavailableError, match="deviance"):
            _ = fit.reml_criterion


@pytest.mark.parametrize("name", lme4.LMER)
def test_random_effects_and_their_conditional_covariances(name):
    case, fit = lme4.CASES[name], fitted(name)
    effects = fit.ranef()
    assert list(effects) == [table["group"] for table in case["ranef"]]
    for expected in case["ranef"]:
        table = effects[expected["group"]]
        columns = [column.replace("(Intercept)", "Intercept") for column in expected["columns"]]
        assert list(table.columns) == columns
        levels = expected["levels"]
        assert [str(level) for level in table.index[: len(levels)]] == levels
        values = np.array(expected["values"], float).reshape(len(levels), -1)
        size = np.maximum(abs(values).max(axis=0), 1e-6)
        close(table.iloc[: len(levels)], values, EFFECTS, size=size)


@pytest.mark.parametrize("name", lme4.LMER)
def test_conditional_covariances(name):
    case, fit = lme4.CASES[name], fitted(name)
    with_covariances = fit.ranef(cond_var=True)
    for expected in case["ranef"]:
        if expected["cond_var"] is None:
            continue
        k = len(expected["columns"])
        theirs = np.array(expected["cond_var"], float).reshape(-1, k, k)
        ours = np.asarray(with_covariances.cond_var[expected["group"]])[: len(theirs)]
        spread = np.sqrt(np.diagonal(theirs, axis1=1, axis2=2))
        size = np.maximum(spread[:, :, None] * spread[:, None, :], 1e-6)
        close(ours, theirs, VARIANCE, size=size)


@pytest.mark.parametrize("name", lme4.LMER)
def test_fitted_values_residuals_and_population_predictions(name):
    case, fit = lme4.CASES[name], fitted(name)
    size = case["sigma"]
    close(fit.fittedvalues[:10], case["fitted"], RESIDUAL, size=size)
    close(fit.resid()[:10], case["residuals_response"], RESIDUAL, size=size)
    close(fit.resid("pearson")[:10], case["residuals_pearson"], RESIDUAL, size=size)
    scaled = np.array(case["residuals_pearson"]) / case["sigma"]
    close(fit.resid("scaled")[:10], scaled, 10 * RESIDUAL, size=1.0)
    close(fit.predict(random="none")[:10], case["predict_population"], RESIDUAL, size=size)
    close(fit.predict()[:10], case["fitted"], RESIDUAL, size=size)


@pytest.mark.parametrize("name", [n for n in lme4.LMER if "hat" in lme4.CASES[n]])
def test_leverages_and_cooks_distances(name):
    case, fit = lme4.CASES[name], fitted(name)
    close(fit.hatvalues()[:10], case["hat"], DIAGNOSTIC)
    close(fit.cooks_distance()[:10], case["cooks"], 3 * DIAGNOSTIC, size=max(case["cooks"]))


@pytest.mark.parametrize("name", lme4.LMER)
def test_singular_fits_are_said_to_be(name):
    assert fitted(name).is_singular == lme4.CASES[name]["singular"]


def test_a_singular_fit_has_exactly_zero_variance_and_warns():
    case = lme4.CASES["dyestuff2_singular"]
    with pytest.warns(pp.SingularFitWarning, match="Batch"):
        fit = pp.lmer(case["formula"], lme4.data("Dyestuff2"))
    assert abs(float(pd.Series(fit.theta).iloc[0])) <= ZERO_THETA
    close(fit.params, [5.6656], BETA)
