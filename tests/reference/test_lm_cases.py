"""Every stored `lm` fit, quantity by quantity."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import partialpool as pp
from tests.reference import lme4

EXACT = 1e-9
"""Relative. Both sides factor the rows by Householder reflections; condition below 1e6."""


@cache
def fitted(name):
    return pp.lm(lme4.CASES[name]["formula"], lme4.data(lme4.CASES[name]["data"]))


def close(actual, expected):
    np.testing.assert_allclose(np.asarray(actual, float), np.asarray(expected, float), rtol=EXACT)


@pytest.mark.parametrize("name", lme4.LM)
def test_coefficient_table(name):
    case, fit, frame = lme4.CASES[name], fitted(name), lme4.data(lme4.CASES[name]["data"])
    expected = lme4.named(case["coef"], frame)
    assert list(fit.params.index) == list(expected.index)
    close(fit.params, expected)
    close(fit.bse, list(case["se"].values()))
    close(fit.tvalues, list(case["t"].values()))
    # R's pt loses digits where p is near 1e-16
    np.testing.assert_allclose(fit.pvalues, list(case["p"].values()), rtol=1e-7)
    interval = fit.conf_int()
    for term, ends in lme4.named(case["confint"], frame).items():
        close(interval.loc[term], ends)


@pytest.mark.parametrize("name", lme4.LM)
def test_summary_statistics(name):
    case, fit = lme4.CASES[name], fitted(name)
    close(fit.sigma, case["sigma"])
    assert fit.df_resid == case["df_residual"]
    assert fit.df_model == case["f"]["numdf"]
    close(fit.rsquared, case["r2"])
    close(fit.rsquared_adj, case["adj_r2"])
    close(fit.fvalue, case["f"]["value"])
    close(fit.llf, case["loglik"])
    close(fit.aic, case["aic"])
    close(fit.bic, case["bic"])


@pytest.mark.parametrize("name", lme4.LM)
def test_leverages_cooks_distances_and_deleted_residuals(name):
    case, fit = lme4.CASES[name], fitted(name)
    close(fit.hatvalues()[:10], case["hat"])
    np.testing.assert_allclose(fit.cooks_distance()[:10], case["cooks"], rtol=1e-7)
    np.testing.assert_allclose(fit.rstudent()[:10], case["rstudent"], rtol=1e-8)
