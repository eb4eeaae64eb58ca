"""Least squares: identities, and digits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import partialpool as pp

ROUNDING = 1e-10


def data(seed=0, n=60):
    rng = np.random.default_rng([seed, 14])
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=["x", "z", "v"])
    frame["f"] = rng.permutation(np.array(["p", "q", "r"])[np.arange(n) % 3])
    frame["w"] = rng.uniform(0.3, 3, n)
    frame["y"] = 1 + frame["x"] - 2 * frame["z"] + (frame["f"] == "q") + rng.normal(size=n)
    return frame


def matrix(frame):
    f = frame["f"]
    columns = [np.ones(len(frame)), frame["x"], frame["z"], f == "q", f == "r"]
    return np.column_stack(columns).astype(float)


FORMULA = "y ~ x + z + f"


@pytest.mark.parametrize("weights", [None, "w"])
def test_estimates_are_the_normal_equations(weights):
    frame = data()
    X, y = matrix(frame), frame["y"].to_numpy()
    w = frame["w"].to_numpy() if weights else np.ones(len(y))
    model = pp.lm(FORMULA, frame, weights=weights)
    inverse = np.linalg.inv(X.T @ (w[:, None] * X))
    beta = inverse @ X.T @ (w * y)
    residual = y - X @ beta
    rss = np.sum(w * residual**2)
    assert list(model.params.index) == ["Intercept", "x", "z", "f[T.q]", "f[T.r]"]
    np.testing.assert_allclose(model.params, beta, rtol=ROUNDING)
    np.testing.assert_allclose(model.scale, rss / 55, rtol=ROUNDING)
    np.testing.assert_allclose(model.cov_params(), inverse * rss / 55, rtol=1e-9)
    np.testing.assert_allclose(model.fittedvalues, X @ beta, rtol=ROUNDING)
    np.testing.assert_allclose(model.resid(), residual, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(X.T @ (w * np.asarray(model.resid())), 0, atol=1e-10)
    llf = -0.5 * (60 * (np.log(2 * np.pi * rss / 60) + 1) - np.log(w).sum())
    assert model.llf == pytest.approx(llf, rel=ROUNDING)
    hat = w * np.sum((X @ inverse) * X, axis=1)
    np.testing.assert_allclose(model.hatvalues(), hat, rtol=1e-9)
    assert np.sum(model.hatvalues()) == pytest.approx(5, rel=ROUNDING)


@pytest.mark.parametrize("weights", [None, "w"])
def test_cooks_distance_and_rstudent_are_exact_deletions(weights):
    frame = data()
    model = pp.lm(FORMULA, frame, weights=weights)
    XWX = np.linalg.inv(np.asarray(model.cov_params())) * model.scale
    w = frame["w"].to_numpy() if weights else np.ones(len(frame))
    for i in (0, 17, 59):
        other = pp.lm(FORMULA, frame.drop(index=i), weights=weights)
        change = np.asarray(other.params) - np.asarray(model.params)
        expected = change @ XWX @ change / (5 * model.scale)
        assert np.asarray(model.cooks_distance())[i] == pytest.approx(expected, rel=1e-8)
        hat = np.asarray(model.hatvalues())[i]
        residual = np.sqrt(w[i]) * np.asarray(model.resid())[i]
        expected = residual / (other.sigma * np.sqrt(1 - hat))
        assert np.asarray(model.rstudent())[i] == pytest.approx(expected, rel=1e-8)


def test_order_of_rows_does_not_matter():
    frame = data()
    order = np.random.default_rng(15).permutation(len(frame))
    one, other = pp.lm(FORMULA, frame), pp.lm(FORMULA, frame.iloc[order])
    np.testing.assert_allclose(other.params, one.params, rtol=ROUNDING)
    np.testing.assert_allclose(other.bse, one.bse, rtol=ROUNDING)


def test_shifting_y_by_1e12_changes_only_the_intercept():
    frame = data()
    stored = frame["y"] + 1e12
    frame["y"] = stored - 1e12  # exact
    one, other = pp.lm(FORMULA, frame), pp.lm(FORMULA, frame.assign(y=stored))
    assert other.params.iloc[0] - 1e12 == pytest.approx(one.params.iloc[0], abs=2.5e-4)
    np.testing.assert_allclose(other.params.iloc[1:], one.params.iloc[1:], rtol=1e-8)
    assert other.sigma == pytest.approx(one.sigma, rel=1e-9)
    assert other.rsquared == pytest.approx(one.rsquared, rel=1e-8)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_scaling_a_column_scales_its_coefficient(scale):
    frame = data()
    one, other = pp.lm(FORMULA, frame), pp.lm(FORMULA, frame.assign(x=frame["x"] * scale))
    np.testing.assert_allclose(other.params, one.params / [1, scale, 1, 1, 1], rtol=ROUNDING)
    np.testing.assert_allclose(other.bse, one.bse / [1, scale, 1, 1, 1], rtol=ROUNDING)
    assert other.llf == pytest.approx(one.llf, rel=ROUNDING)


def test_longley_to_eleven_digits():
    """Longley (1967), J. Am. Statist. Assoc. 62, 819-841; certified values of NIST's StRD."""
    rows = """60323 83.0 234289 2356 1590 107608 1947
    61122 88.5 259426 2325 1456 108632 1948
    60171 88.2 258054 3682 1616 109773 1949
    61187 89.5 284599 3351 1650 110929 1950
    63221 96.2 328975 2099 3099 112075 1951
    63639 98.1 346999 1932 3594 113270 1952
    64989 99.0 365385 1870 3547 115094 1953
    63761 100.0 363112 3578 3350 116219 1954
    66019 101.2 397469 2904 3048 117388 1955
    67857 104.6 419180 2822 2857 118734 1956
    68169 108.4 442769 2936 2798 120445 1957
    66513 110.8 444546 4681 2637 121950 1958
    68655 112.6 482704 3813 2552 123366 1959
    69564 114.2 502601 3931 2514 125368 1960
    69331 115.7 518173 4806 2572 127852 1961
    70551 116.9 554894 4007 2827 130081 1962"""
    table = np.array([line.split() for line in rows.splitlines()], dtype=float)
    frame = pd.DataFrame(table, columns=["y", "x1", "x2", "x3", "x4", "x5", "x6"])
    model = pp.lm("y ~ x1 + x2 + x3 + x4 + x5 + x6", frame)
    certified = [
        -3482258.63459582, 15.0618722713733, -0.358191792925910e-01, -2.02022980381683,
        -1.03322686717359, -0.511041056535807e-01, 1829.15146461355,
    ]  # fmt: skip
    deviations = [
        890420.383607373, 84.9149257747669, 0.334910077722432e-01, 0.488399681651699,
        0.214274163161675, 0.226073200069370, 455.478499142212,
    ]  # fmt: skip
    np.testing.assert_allclose(model.params, certified, rtol=1e-11)
    np.testing.assert_allclose(model.bse, deviations, rtol=1e-10)
    assert model.sigma == pytest.approx(304.854073561965, rel=1e-11)


def test_repeated_columns_are_dropped_left_to_right():
    frame = data().assign(x2=lambda d: 2 * d["x"])
    for formula, dropped, kept in (
        ("y ~ x + x2 + z", "x2", ["Intercept", "x", "z"]),
        ("y ~ x2 + z + x", "x", ["Intercept", "x2", "z"]),
    ):
        with pytest.warns(pp.RankDeficientWarning, match=dropped):
            model = pp.lm(formula, frame)
        assert np.isnan(model.params.loc[dropped])
        assert list(model.cov_params().columns) == kept
        assert model.df_resid == 57
        plain = pp.lm("y ~ x + z", frame)
        assert model.llf == pytest.approx(plain.llf, rel=ROUNDING)


def test_refit_is_a_fresh_fit():
    frame = data()
    y = data(seed=1)["y"].to_numpy()
    again, fresh = pp.lm(FORMULA, frame).refit(y), pp.lm(FORMULA, frame.assign(y=y))
    np.testing.assert_allclose(again.params, fresh.params, rtol=ROUNDING)
    np.testing.assert_allclose(again.bse, fresh.bse, rtol=ROUNDING)
