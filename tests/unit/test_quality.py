"""ICC, R^2, AICc and RMSE against dense definitions and special cases."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool import quality

SAME = 1e-12  # relative; the same sums in another order


def slopes(**options):
    data = pp.datasets.load("sleepstudy")
    return pp.lmer("Reaction ~ Days + (Days | Subject)", data, **options)


def test_random_variance_is_the_mean_diagonal_of_z_sigma_z():
    fit = slopes()
    Z = fit.model_matrix("random").toarray()
    sigma = np.kron(np.eye(18), fit.varcorr["Subject"].to_numpy())
    expected = np.diag(Z @ sigma @ Z.T).mean()
    assert quality.parts(fit._record).random == pytest.approx(expected, rel=SAME)


def test_fixed_variance_leaves_the_offset_out_and_divides_by_n_less_one():
    fit = slopes(offset="3 * Days")
    linear = fit.model_matrix("fixed").to_numpy() @ fit.params.to_numpy()
    assert quality.parts(fit._record).fixed == pytest.approx(np.var(linear, ddof=1), rel=1e-10)


def test_terms_of_several_groups_add_up():
    fit = pp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", pp.datasets.load("Penicillin"))
    variances = fit.varcorr.to_frame()["variance"]
    f, a, d = quality.parts(fit._record)
    assert (f, a, d) == pytest.approx((0.0, variances[:2].sum(), variances.iloc[-1]), rel=SAME)


def test_shares_are_consistent():
    f, a, d = quality.parts(slopes()._record)
    icc, r2 = quality.icc(slopes()._record), quality.r2(slopes()._record)
    assert icc == pytest.approx((a / (a + d), a / (f + a + d)))
    assert r2 == pytest.approx((f / (f + a + d), (f + a) / (f + a + d)))
    assert r2.conditional == pytest.approx(r2.marginal + icc.unadjusted)


def test_scaling_the_weights_scales_sigma_and_so_the_shares():
    """The residual variance that enters is that of a row of weight 1."""
    data = pp.datasets.load("sleepstudy").assign(w=4.0)
    plain, weighted = slopes(), pp.lmer("Reaction ~ Days + (Days | Subject)", data, weights="w")
    f, a, d = quality.parts(plain._record)
    assert quality.parts(weighted._record) == pytest.approx((f, a, 4 * d), rel=1e-6)


def test_a_singular_fit_has_an_icc_of_zero():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.SingularFitWarning)
        fit = pp.lmer("Yield ~ 1 + (1 | Batch)", pp.datasets.load("Dyestuff2"))
    assert quality.icc(fit._record) == (0.0, 0.0)
    assert quality.r2(fit._record) == (0.0, 0.0)


def test_a_constant_response_has_no_shares():
    data = pd.DataFrame({"y": np.ones(12), "g": np.repeat(list("abcd"), 3)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        fit = pp.lmer("y ~ 1 + (1 | g)", data)
    assert all(map(math.isnan, [*quality.icc(fit._record), *quality.r2(fit._record)]))


def test_linear_models_are_told_where_to_look():
    record = pp.lm("hwy ~ displ", pp.datasets.load("mpg"))._record
    with pytest.raises(pp.UnavailableError, match="no groups"):
        quality.icc(record)
    with pytest.raises(pp.UnavailableError, match="rsquared"):
        quality.r2(record)


def test_aicc_of_a_linear_model():
    fit = pp.lm("hwy ~ displ + year", pp.datasets.load("mpg"))
    expected = fit.aic + 2 * 4 * 5 / (234 - 4 - 1)
    assert quality.aicc(fit._record) == pytest.approx(expected, rel=SAME)


def test_aicc_counts_theta_and_sigma():
    fit = slopes(reml=False)
    assert quality.aicc(fit._record) == pytest.approx(fit.aic + 2 * 6 * 7 / (180 - 7), rel=SAME)


def test_aicc_is_infinite_where_parameters_are_as_many_as_rows():
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0], "x": [0.0, 1.0, 2.0]})
    assert quality.aicc(pp.lm("y ~ x", data)._record) == math.inf


def test_rmse_is_of_the_conditional_residuals():
    fit = slopes()
    expected = math.sqrt((fit.resid() ** 2).mean())
    assert quality.rmse(fit._record) == pytest.approx(expected, rel=SAME)
