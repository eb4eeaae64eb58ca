"""The linear model's record: constants, refits, what it refuses."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool import ols

LAST = 1e-12


def frame(n: int = 12, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {"y": rng.standard_normal(n), "x": rng.standard_normal(n), "w": rng.random(n) + 0.2}
    )


def test_log_likelihood_is_the_normal_density_at_the_estimates() -> None:
    data = frame()
    fit = pp.lm("y ~ x", data, weights="w")
    mean = np.asarray(fit.fittedvalues)
    variance = fit.resid("pearson") @ fit.resid("pearson") / 12 / data["w"].to_numpy()
    density = -0.5 * (np.log(2 * np.pi * variance) + (data["y"].to_numpy() - mean) ** 2 / variance)
    assert fit.llf == pytest.approx(density.sum(), rel=LAST)
    assert fit.aic == pytest.approx(-2 * fit.llf + 2 * 3, rel=LAST)
    assert fit.bic == pytest.approx(-2 * fit.llf + np.log(12) * 3, rel=LAST)
    assert fit.deviance == pytest.approx((data["w"] * fit.resid() ** 2).sum(), rel=LAST)


def test_offset_is_taken_from_y() -> None:
    data = frame()
    data["o"] = np.arange(12.0)
    moved = pp.lm("I(y - o) ~ x", data)
    for fit in (pp.lm("y ~ x", data, offset="o"), pp.lm("y ~ x + offset(o)", data)):
        np.testing.assert_allclose(fit.params, moved.params, rtol=LAST)
        np.testing.assert_allclose(fit.fittedvalues, moved.fittedvalues + data["o"], rtol=1e-10)
        assert fit.rsquared == pytest.approx(moved.rsquared, rel=1e-10)


def test_weights_are_inverse_variances_not_counts() -> None:
    data = frame()
    one, ten = pp.lm("y ~ x", data, weights="w"), pp.lm("y ~ x", data, weights="10 * w")
    np.testing.assert_allclose(ten.bse, one.bse, rtol=LAST)
    assert ten.sigma == pytest.approx(one.sigma * np.sqrt(10), rel=LAST)
    assert ten.llf == pytest.approx(one.llf, rel=LAST)
    assert ten.df_resid == one.df_resid == 10


def test_without_an_intercept_r_squared_is_about_zero_as_in_r() -> None:
    data = frame()
    fit = pp.lm("y ~ 0 + x", data)
    b = data["x"] @ data["y"] / (data["x"] @ data["x"])
    share = b**2 * (data["x"] @ data["x"]) / (data["y"] @ data["y"])
    assert fit.rsquared == pytest.approx(share, rel=LAST)
    assert fit.rsquared_adj == pytest.approx(1 - (1 - share) * 12 / 11, rel=LAST)
    assert fit.df_model == 1


def test_intercept_alone_has_no_f_statistic() -> None:
    fit = pp.lm("y ~ 1", frame())
    assert fit.rsquared == 0
    assert np.isnan(fit.fvalue)
    assert np.isnan(fit.f_pvalue)


def test_an_exact_fit_has_no_residual_variance() -> None:
    data = pd.DataFrame({"x": np.arange(6.0)}).assign(y=lambda d: 2 + 3 * d["x"])
    fit = pp.lm("y ~ x", data)
    np.testing.assert_allclose(fit.params, [2, 3], rtol=LAST)
    assert fit.sigma < 1e-12
    assert fit.rsquared == pytest.approx(1.0)


def test_rank_must_be_below_the_number_of_rows() -> None:
    data = frame(3)
    with pytest.raises(pp.SpecificationError, match=r"rank of X \(3\).*rows \(3\)"):
        pp.lm("y ~ x + w", data)


def test_dropped_columns_are_named_with_what_they_repeat() -> None:
    data = frame().assign(x2=lambda d: 2 * d["x"], k=7.0)
    with pytest.warns(
        pp.RankDeficientWarning, match=r"'k' \(repeats Intercept\).*'x2' \(repeats x\)"
    ):
        fit = pp.lm("y ~ x + k + x2", data)
    assert list(fit.params.index) == ["Intercept", "x", "k", "x2"]
    assert np.isnan(fit.params[["k", "x2"]]).all()
    assert np.isnan(fit.bse[["k", "x2"]]).all()
    assert np.isnan(fit.pvalues[["k", "x2"]]).all()
    assert fit.df_model == 1
    np.testing.assert_allclose(fit.predict(data), pp.lm("y ~ x", data).fittedvalues, rtol=LAST)


def test_refit_checks_length_and_values() -> None:
    fit = pp.lm("y ~ x", frame())
    with pytest.raises(pp.DataError, match=r"shape \(3,\).*12 rows"):
        fit.refit([1, 2, 3])
    with pytest.raises(pp.DataError, match=r"y\[1\] is nan"):
        fit.refit([0.0, np.nan, *range(10)])
    with pytest.raises(pp.DataError, match="numbers"):
        fit.refit(["a"] * 12)


def test_refit_copies_the_response() -> None:
    y = np.arange(12.0)
    fit = pp.lm("y ~ x", frame()).refit(y)
    before = np.asarray(fit.resid())
    y += 5
    np.testing.assert_array_equal(fit.resid(), before)


def test_a_record_pickles_without_the_table() -> None:
    record = ols.fit("y ~ x", frame())
    again = pickle.loads(pickle.dumps(record))
    assert again.table is None
    np.testing.assert_array_equal(again.beta, record.beta)


def test_boolean_response_and_predictor() -> None:
    data = frame().assign(b=lambda d: d["y"] > 0, t=lambda d: d["x"] > 0)
    fit = pp.lm("b ~ t", data)
    means = data.groupby("t")["b"].mean()
    np.testing.assert_allclose(fit.params, [means[False], means[True] - means[False]], rtol=1e-10)
    assert list(fit.params.index) == ["Intercept", "t[T.True]"]
