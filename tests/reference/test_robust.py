"""CR2 against clubSandwich 0.5.8 (R 4.2.2, lme4 1.1-31 with bobyqa at rhoend 1e-12).

``V <- vcovCR(fit, cluster, type = "CR2"); ct <- coef_test(fit, V); ct$SE; ct$df_Satt``. With
weights w: ``target = 1 / w, inverse_var = FALSE``, which makes 1 / w the working variances.
"""

from __future__ import annotations

import numpy as np
import pytest

import partialpool as pp
from partialpool import robust, robust_mixed
from tests.reference import lme4

PRINTED = 1e-9
"""Relative: ten to twelve digits were printed, and X'X, which the reference inverts, has a
condition number of 1e12 with `year` in it."""
THETA = 1e-6  # relative; mixed models move with theta

LINEAR = [
    (
        "Reaction ~ Days", "sleepstudy", None, "Subject",
        [np.sqrt(46.57457185941), np.sqrt(2.38946331191)], [17, 17],
    ),
    (
        "hwy ~ displ + year", "mpg", None, "class",
        [96.7663905097576, 0.4996353107828, 0.0482128868439],
        [4.36477068439, 3.81655046570, 4.36333189053],
    ),
    (
        "hwy ~ displ + drv", "mpg", "cyl", "class",
        [2.788449696902, 0.594801850508, 1.325739007192, 2.459690359042],
        [3.99923342634, 4.09072346491, 4.17019900362, 2.15000190194],
    ),
]  # fmt: skip

MIXED = [
    (
        "Reaction ~ Days + (Days | Subject)", "sleepstudy",
        [6.82455653207, 1.54578889629], [17, 17],
    ),
    (
        "hwy ~ displ + year + (1 | class)", "mpg",
        [83.0484239652909, 0.4232182834858, 0.0411006144729],
        [4.33874315137, 2.93585409590, 4.33204128198],
    ),
    ("strength ~ 1 + (1 | batch/cask)", "Pastes", [0.676870066128], [9]),
]  # fmt: skip


@pytest.mark.parametrize(("formula", "data", "weights", "group", "se", "df"), LINEAR)
def test_linear_models(formula, data, weights, group, se, df):
    record = pp.lm(formula, lme4.data(data), weights=weights)._record
    np.testing.assert_allclose(np.sqrt(np.diag(robust.cr2(record, group))), se, rtol=PRINTED)
    np.testing.assert_allclose(robust.cr2_df(record, group), df, rtol=PRINTED)


def test_the_covariance_of_two_coefficients():
    record = pp.lm("Reaction ~ Days", lme4.data("sleepstudy"))._record
    assert robust.cr2(record, "Subject")[0, 1] == pytest.approx(-1.45109570585, rel=PRINTED)


@pytest.mark.parametrize(("formula", "data", "se", "df"), MIXED)
def test_mixed_models_clustered_by_the_coarsest_factor(formula, data, se, df):
    record = pp.lmer(formula, lme4.data(data))._record
    np.testing.assert_allclose(np.sqrt(np.diag(robust_mixed.cr2(record))), se, rtol=THETA)
    np.testing.assert_allclose(robust_mixed.cr2_df(record), df, rtol=THETA)
