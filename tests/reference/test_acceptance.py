"""Single figures with a source each: lme4's own test suite (S) or lme4 1.1-31 run with optimiser
tolerances of 1e-12 (C). A criterion below the figure would be better, not wrong."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from tests.reference import lme4

pytestmark = pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")

PRINTED = 2e-6
"""Relative: the figures have seven digits, and a theta that is known to 1e-6 behind them."""

LIST = 5e-5
"""Relative, for standard errors that move with theta: the figures of rows 3, 14, 21 and 50 were
read off optima 2e-5 away from the minimum (row 3 has the closed form 11271.5 / 30 = 375.716667; the
others are 6.6322768 and 0.80857340 at the tighter optima of `cases.json`)."""

THETA = 1e-4  # absolute; lme4's theta is known to sqrt(2 * criterion gap / curvature)
VARIANCE = 1e-4  # relative
CRITERION = 1e-6  # absolute; six decimals are printed
LOOSE = 1e-3  # relative; from suites that were run at lme4's default tolerances

RS = "Reaction ~ Days + (Days | Subject)"
RI = "Reaction ~ Days + (1 | Subject)"
ZERO = "Reaction ~ Days + (Days || Subject)"
PEN = "diameter ~ 1 + (1 | plate) + (1 | sample)"
DYE = "Yield ~ 1 + (1 | Batch)"
NESTED = "strength ~ 1 + (1 | batch/cask)"


@cache
def fit(formula: str, name: str = "sleepstudy", reml: bool = True) -> Any:
    return pp.lmer(formula, lme4.data(name), reml=reml)


def close(actual, expected, *, rel=0.0, abs_=0.0):
    actual = np.asarray(actual, dtype=float)
    np.testing.assert_allclose(actual, expected, rtol=rel, atol=abs_)


def variances(model):
    """Variances and covariances of the random terms, by (group, term1, term2)."""
    table = model.varcorr.to_frame()
    second = table["term2"].where(table["term2"].notna(), None)
    return dict(zip(zip(table["group"], table["term1"], second, strict=True),
                    table["variance"], strict=True))  # fmt: skip


CRITERIA = [  # row of the list, formula, data, REML, criterion, its tolerance
    (1, DYE, "Dyestuff", True, 319.654276842, 1e-8),
    (5, DYE, "Dyestuff", False, 327.327059881, 1e-8),
    (9, DYE, "Dyestuff2", True, 161.828278, CRITERION),
    (10, DYE, "Dyestuff2", False, 2 * 81.4365183, CRITERION),
    (13, RS, "sleepstudy", True, 1743.62827196, 1e-7),
    (19, RS, "sleepstudy", False, 1751.939344, 2 * CRITERION),
    (37, ZERO, "sleepstudy", True, 1743.669294, CRITERION),
    (38, ZERO, "sleepstudy", False, 2 * 876.0016276, CRITERION),
    (39, RI, "sleepstudy", True, 1786.465085, CRITERION),
    (50, PEN, "Penicillin", True, 330.860589, CRITERION),
    (51, PEN, "Penicillin", False, 2 * 166.094174, 2 * CRITERION),
    (54, NESTED, "Pastes", True, 246.990746, CRITERION),
    (55, NESTED, "Pastes", False, 2 * 123.997233, 2 * CRITERION),
    (55, "strength ~ 1 + (1 | sample)", "Pastes", False, 2 * 124.200850, 2 * CRITERION),
    (58, "angle ~ recipe + temp + (1 | recipe:replicate)", "cake", True, 1693.844312, CRITERION),
    (76, RS, "sleepstudy", False, 2 * 875.969672, 2 * CRITERION),
]


@pytest.mark.parametrize(("row", "formula", "name", "reml", "criterion", "tolerance"), CRITERIA)
def test_criterion(row, formula, name, reml, criterion, tolerance):
    model = fit(formula, name, reml)
    close(model.objective, criterion, abs_=tolerance)
    close(-2 * model.llf, criterion, abs_=tolerance)
    close(model.reml_criterion if reml else model.deviance, criterion, abs_=tolerance)


THETAS = [  # row, formula, data, REML, theta, sigma
    (2, DYE, "Dyestuff", True, [0.84832378], 49.510100),
    (5, DYE, "Dyestuff", False, [0.7525807], None),
    (9, DYE, "Dyestuff2", True, [0.0], 3.715684),
    (10, DYE, "Dyestuff2", False, [0.0], 3.653231),
    (15, RS, "sleepstudy", True, [0.966742, 0.015169, 0.230910], 25.591796),
    (21, RS, "sleepstudy", False, [0.929191, 0.018166, 0.222643], 25.591907),
    (37, ZERO, "sleepstudy", True, [0.979897, 0.234231], 25.565279),
    (39, RI, "sleepstudy", True, [1.197882], 30.991234),
    (50, PEN, "Penicillin", True, [1.539676, 3.512519], 0.549923),
    (51, PEN, "Penicillin", False, [1.537594, 3.219756], None),
    (54, NESTED, "Pastes", True, [3.526902, 1.563461], 0.823408),
]


@pytest.mark.parametrize(("row", "formula", "name", "reml", "theta", "sigma"), THETAS)
def test_theta_and_sigma(row, formula, name, reml, theta, sigma):
    model = fit(formula, name, reml)
    # the figures of Penicillin's sample are 3e-5 from the optimum: its curvature is small
    close(model.theta, theta, abs_=THETA * max(1.0, max(theta)))
    if sigma is not None:
        close(model.sigma, sigma, rel=1e-5)


FIXED = [  # row, formula, data, REML, beta, standard errors
    (3, DYE, "Dyestuff", True, [1527.5], [19.383412]),
    (5, DYE, "Dyestuff", False, [1527.5], [17.694554]),
    (9, DYE, "Dyestuff2", True, [5.6656], [0.678388]),
    (14, RS, "sleepstudy", True, [251.405105, 10.467286], [6.824597, 1.545790]),
    (21, RS, "sleepstudy", False, [251.405105, 10.467286], [6.632123, 1.502230]),
    (39, RI, "sleepstudy", True, [251.405105, 10.467286], [9.746716, 0.804221]),
    (50, PEN, "Penicillin", True, [22.972222], [0.808595]),
]


@pytest.mark.parametrize(("row", "formula", "name", "reml", "beta", "se"), FIXED)
def test_fixed_effects_and_standard_errors(row, formula, name, reml, beta, se):
    model = fit(formula, name, reml)
    close(model.params, beta, rel=PRINTED)
    close(model.bse, se, rel=LIST if row in (14, 21, 50) else PRINTED)


def test_variances_of_dyestuff():
    model = fit(DYE, "Dyestuff")
    close(variances(model)["Batch", "Intercept", None], 1764.0500, rel=1e-5)
    close(model.cov_params(), [[375.7147]], rel=LIST)
    close(model.cov_params(), [[11271.5 / 30]], rel=1e-9)


@pytest.mark.parametrize(
    ("formula", "name", "reml", "theta", "expected", "tolerance"),
    [
        (DYE, "Dyestuff", True, [1.0], 319.792389042, 1e-8),
        (DYE, "Dyestuff", True, [0.0], 326.023232156, 1e-8),
        (RS, "sleepstudy", True, [1.0, 0.0, 1.0], 1773.680331, CRITERION),
        (RS, "sleepstudy", True, [0.0, 0.0, 0.0], 1893.663663, CRITERION),
        (RS, "sleepstudy", False, [1.0, 0.0, 1.0], 1784.642296, CRITERION),
    ],
)
def test_objective_at_round_values_of_theta(formula, name, reml, theta, expected, tolerance):
    """Rows 4, 17, 20."""
    objective = pp.objective(formula, lme4.data(name), reml=reml)
    close(objective.value(np.array(theta)), expected, abs_=tolerance)


def test_conditional_variances_of_balanced_batches_are_all_the_same():
    """Row 6."""
    model = fit(DYE, "Dyestuff", False)
    blocks = np.ravel(model.ranef(cond_var=True).cond_var["Batch"])
    close(blocks, np.full(6, 362.3583), rel=LOOSE)
    close(blocks, np.full(6, blocks[0]), rel=1e-12)


def test_refit_with_the_response_of_another_data_set():
    """Row 12: lme4's suite refits the fit of Dyestuff with Dyestuff2's yields."""
    model = fit(DYE, "Dyestuff").refit(lme4.data("Dyestuff2")["Yield"].to_numpy())
    close(model.params, [5.6656], rel=1e-6)
    close(variances(model)["Batch", "Intercept", None], 0.0, abs_=1e-6)


def test_variances_covariance_and_correlation_of_sleepstudy():
    """Row 16."""
    table = variances(fit(RS))
    first, second = table["Subject", "Intercept", None], table["Subject", "Days", None]
    close([first, second], [612.10016, 35.07171], rel=VARIANCE)
    close(table["Subject", "Intercept", "Days"], 9.60441, rel=VARIANCE)
    frame = fit(RS).varcorr.to_frame()
    close(frame.loc[frame["term2"].notna(), "std_dev"], [0.065551], rel=VARIANCE)


def test_ml_deviance_at_the_reml_estimates():
    """Row 18."""
    objective = pp.objective(RS, lme4.data("sleepstudy"), reml=False)
    close(objective.value(fit(RS).optimum.theta), 1751.985866, abs_=1e-4)  # at a theta 1e-5 away


def test_information_criteria_and_degrees_of_freedom():
    """Rows 5, 19, 38."""
    model = fit(RS, reml=False)
    close([model.aic, model.bic], [1763.9393, 1783.0971], abs_=5.1e-5)
    assert model.nobs - model.df_resid == 6
    model = fit(ZERO, reml=False)
    close([model.llf, model.aic, model.bic], [-876.0016276, 1762.0033, 1777.9680], abs_=5.1e-5)
    close(fit(DYE, "Dyestuff", False).aic, 333.327059881, abs_=1e-8)


def test_pieces_of_the_criterion():
    """Row 22: log|L|^2, log|RX|^2, weighted residual sum of squares, sum of squares of u."""
    objective = pp.objective(RS, lme4.data("sleepstudy"))
    at = objective.solve(fit(RS).optimum.theta)
    pieces = [at.logdet_L, at.logdet_RX, at.wrss, at.ussq]
    close(pieces, [75.96133, 8.276053, 98881.57, 17697.75], rel=VARIANCE)


def test_effects_of_two_subjects():
    """Rows 23, 24."""
    effects = fit(RS).ranef(cond_var=True)
    close(effects["Subject"].loc["308"], [2.258551, 9.198976], abs_=1e-4)
    close(effects["Subject"].loc["372"], [12.314592, 1.284022], abs_=1e-4)
    block = np.asarray(effects.cond_var["Subject"])[0]
    close(block, [[145.7056, -21.4445], [-21.4445, 5.31228]], rel=VARIANCE)


def test_leverages_and_cooks_distances():
    """Rows 25, 40, 41; the random-intercept figures are from lme4's suite."""
    model = fit(RS)
    hat = model.hatvalues()
    close(np.asarray(hat)[0], 0.229304, rel=VARIANCE)
    close(np.sum(hat), 29.02212, rel=VARIANCE)
    close(model.cooks_distance()[:3], [0.004963, 0.040206, 0.226099], rel=2e-4)
    model = fit(RI)
    close(model.hatvalues()[:3], [0.107483, 0.102096, 0.098056], rel=1e-5)
    close(model.cooks_distance()[:3], [0.127646, 0.127347, 0.243725], rel=1e-5)
    close(model.rstudent()[:3], [-1.45598, -1.49664, -2.11747], rel=1e-5)


def test_ranges_of_residuals():
    """Row 26, from lme4's suite."""
    model = fit(RS)
    for kind, ends in (("response", (-101.1789, 132.5466)), ("scaled", (-3.95357, 5.17926))):
        values = np.asarray(model.resid(kind))
        close([values.min(), values.max()], ends, rel=1e-5)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (RS, [[238.02914, 264.78107], [7.43759, 13.49698]]),
        (RI, [[232.301892, 270.508318], [8.891041, 12.043531]]),
    ],
)
def test_wald_intervals(formula, expected):
    """Rows 27, 43."""
    close(fit(formula).conf_int(), expected, rel=2e-6)


def new_days(subject, days):
    return pd.DataFrame({"Subject": [subject] * len(days), "Days": days})


def test_predictions_for_a_known_and_for_the_average_subject():
    """Rows 32, 33, 34."""
    model = fit(RS)
    close(model.predict(new_days("308", [0, 9])), [253.66366, 430.6600], rel=1e-5)
    for new in (new_days("308", [0, 9]), pd.DataFrame({"Days": [0, 9]})):
        close(model.predict(new, random="none"), [251.405105, 345.610679], rel=1e-6)
    at_nine = new_days("308", [9])
    close(model.predict(at_nine, random="~ (0 + Days | Subject)"), [428.40147], rel=1e-5)
    close(model.predict(at_nine, random="~ (1 | Subject)"), [347.86923], rel=1e-5)


def test_predictions_for_an_unseen_subject():
    """Row 35."""
    model, new = fit(RS), new_days("999", [9])
    close(model.predict(new, new_levels="population"), [345.610679], rel=1e-6)
    with pytest.raises(pp.DataError, match="999"):
        model.predict(new)


def test_standard_errors_of_predictions():
    """Row 36."""
    model, data = fit(RS), lme4.data("sleepstudy")[:3]
    se = model.predict(data, se=True)["se"]
    close(se, [12.254811, 10.543385, 9.113832], rel=1e-5)
    se = model.predict(data, random="none", se=True)["se"]
    close(se, [6.824597, 6.786929, 7.094267], rel=1e-5)


def test_fit_without_the_first_row():
    """Row 42, from lme4's suite: exact deletion of a case."""
    model = pp.lmer(RI, lme4.data("sleepstudy")[1:])
    close(model.params, [252.323536, 10.322270], rel=1e-6)


def test_weights_and_offset():
    """Rows 46, 47, 48."""
    data = lme4.data("sleepstudy")
    data["two"] = np.tile([1.0, 2.0], 90)
    for weights in ("two", data["two"].to_numpy()):
        model = pp.lmer(RS, data, weights=weights)
        close(model.params, [251.844405, 10.471727], rel=1e-6)
        close(model.sigma, 30.877703, rel=1e-5)
        close(model.reml_criterion, 1750.556609, abs_=CRITERION)
    model = pp.lmer(RS, data, reml=False, weights=np.full(180, 5.0))
    close(model.llf, -875.969672, abs_=CRITERION)
    close(model.sigma, 57.224917, rel=1e-5)
    for model in (
        pp.lmer(RS, data, offset=3 * data["Days"].to_numpy()),
        pp.lmer(RS, data, offset="3 * Days"),
        pp.lmer("Reaction ~ Days + offset(3 * Days) + (Days | Subject)", data),
    ):
        close(model.params.loc["Days"], 7.467286, abs_=1e-6)
        close(model.reml_criterion, 1743.628272, abs_=CRITERION)


def test_a_column_that_repeats_another_is_dropped_and_named():
    """Row 49."""
    data = lme4.data("sleepstudy")
    data["D2"] = 2 * data["Days"]
    with pytest.warns(pp.RankDeficientWarning, match="D2"):
        model = pp.lmer("Reaction ~ Days + D2 + (1 | Subject)", data)
    assert np.isnan(model.params.loc["D2"])
    assert np.isnan(model.bse.loc["D2"])
    close(model.params.drop("D2"), [251.405105, 10.467286], rel=PRINTED)
    assert list(model.cov_params().index) == ["Intercept", "Days"]


def test_predictions_of_penicillin():
    """Row 52, from lme4's suite."""
    model = fit(PEN, "Penicillin")
    expected = [25.9638, 22.7663, 25.7147, 23.6799, 23.7629, 20.773]
    close(model.predict()[:6], expected, abs_=6e-5)
    close(model.predict(random="none")[:6], np.full(6, 22.972222), abs_=6e-7)


def test_cake_with_polynomial_contrasts():
    """Row 57: R codes the ordered temperatures by orthogonal polynomials; REML knows."""
    formula = "angle ~ recipe * temperature + (1 | recipe:replicate)"
    model = pp.lmer(formula, lme4.data("cake"), contrasts={"temperature": "poly"})
    close(model.reml_criterion, 1638.621460, abs_=CRITERION)
    close(model.theta, [1.429592], abs_=THETA)
    close(model.sigma, 4.524478, rel=1e-6)
    close(model.fittedvalues, fit(formula, "cake").fittedvalues, rel=1e-10)


def test_insteval_with_every_covariate():
    """Row 65: 73,421 ratings, three crossed terms; polynomial contrasts as in R."""
    formula = "y ~ service + lectage + studage + (1 | s) + (1 | d) + (1 | dept)"
    contrasts = {"lectage": "poly", "studage": "poly"}
    model = pp.lmer(formula, lme4.data("InstEval"), contrasts=contrasts)
    close(model.reml_criterion, 237618.958165, abs_=1e-4)
    close(model.theta, [0.277749, 0.434182, 0.070755], abs_=THETA)
    close(model.sigma, 1.176198, rel=1e-6)


def test_uncorrelated_variances():
    """Row 77, glmmTMB and lme4."""
    model = fit(ZERO, reml=False)
    table = variances(model)
    first, second = table["Subject", "Intercept", None], table["Subject", "Days", None]
    close([first, second], [584.250, 33.633], rel=5e-5)
