"""Bad input: a typed error with the place and the cure, or a warning and the right answer."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp

LM, LMER = "y ~ x", "y ~ x + (1 | g)"


def frame(n: int = 24) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    g = np.repeat(np.arange(n // 4), 4)
    x = rng.standard_normal(n)
    y = 2 + x + rng.standard_normal(n // 4)[g] + 0.3 * rng.standard_normal(n)
    return pd.DataFrame({"y": y, "x": x, "z": rng.random(n), "g": g, "w": rng.random(n) + 0.5})


def fit(formula: str, data: Any, **options: Any) -> Any:
    return (pp.lmer if "|" in formula else pp.lm)(formula, data, **options)


both = pytest.mark.parametrize("formula", [LM, LMER], ids=["lm", "lmer"])


# -- missing values: dropped, counted, or refused -------------------------------------------------


@both
@pytest.mark.parametrize("column", ["y", "x", "g", "w"])
def test_missing_values_are_dropped_counted_and_named(formula: str, column: str) -> None:
    if column == "g" and formula == LM:
        pytest.skip("lm does not use g")
    data = frame()
    data[column] = data[column].astype(float)
    data.loc[[2, 5], column] = np.nan
    with pytest.warns(pp.MissingDataWarning, match=rf"2 .*rows.*'?{column}"):
        got = fit(formula, data, weights="w")
    clean = fit(formula, data.drop(index=[2, 5]), weights="w")
    assert got.nobs == 22
    assert got.llf == pytest.approx(clean.llf, rel=1e-12)
    assert list(got.fittedvalues.index) == [i for i in range(24) if i not in (2, 5)]
    with pytest.raises(pp.DataError, match=rf"{column}"):
        fit(formula, data, weights="w", missing="raise")


@both
def test_missing_must_be_drop_or_raise(formula: str) -> None:
    with pytest.raises(pp.SpecificationError, match="missing='omit'"):
        fit(formula, frame(), missing="omit")


@both
def test_a_column_without_any_value(formula: str) -> None:
    with pytest.raises(pp.DataError, match="'x'.*missing"):
        fit(formula, frame().assign(x=np.nan))


@both
def test_no_complete_row(formula: str) -> None:
    data = frame()
    data.loc[::2, "x"] = np.nan
    data.loc[1::2, "y"] = np.nan
    with pytest.raises(pp.DataError, match="row"):
        fit(formula, data)


# -- infinite values ------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("column", ["y", "x"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values(formula: str, column: str, value: float) -> None:
    data = frame()
    data.loc[3, column] = value
    with pytest.raises(pp.DataError, match=rf"(?s)'?{column}'?.*inf|inf.*'?{column}"):
        fit(formula, data)


@both
def test_infinity_made_by_the_formula(formula: str) -> None:
    data = frame().assign(x=np.arange(24.0))
    with pytest.raises(pp.DataError, match=r"log\(x\)"):
        fit(formula.replace("x", "log(x)", 1), data)


@both
def test_an_infinite_value_that_is_not_used(formula: str) -> None:
    data = frame()
    data.loc[3, "z"] = np.inf
    assert fit(formula, data).nobs == 24


# -- columns --------------------------------------------------------------------------------------


@both
def test_an_unknown_column_names_the_closest(formula: str) -> None:
    data = frame().rename(columns={"x": "height"})
    with pytest.raises(pp.FormulaError, match="'heigth'.*'height'") as caught:
        fit(formula.replace("x", "heigth", 1), data)
    assert "^" in str(caught.value)


def test_an_unknown_group_names_the_closest() -> None:
    with pytest.raises(pp.FormulaError, match="(?s)'batsh'.*'batch'"):
        pp.lmer("y ~ x + (1 | batsh)", frame().rename(columns={"g": "batch"}))


@both
@pytest.mark.parametrize("formula_of", ["y ~", "~", "", "y", "y ~ x +", "y ~ (x", "y ~ x | g"])
def test_bad_syntax(formula: str, formula_of: str) -> None:
    function = pp.lm if formula == LM else pp.lmer
    with pytest.raises(pp.FormulaError):
        function(formula_of, frame())


def test_bad_syntax_in_bars() -> None:
    for bad in ("y ~ x + (1 | )", "y ~ x + ( | g)", "y ~ x + (1 | g", "y ~ (1 | (1 | g))"):
        with pytest.raises(pp.FormulaError) as caught:
            pp.lmer(bad, frame())
        assert "^" in str(caught.value)


@both
def test_text_dates_and_complex_numbers_as_response(formula: str) -> None:
    data = frame()
    for values, what in [
        (data["y"].map(str), "y"),
        (pd.date_range("2020", periods=24), "y"),
        (data["y"] + 1j, "y"),
        (pd.Categorical(["a", "b"] * 12), "y"),
    ]:
        with pytest.raises(pp.DataError, match=what):
            fit(formula, data.assign(y=values))


@both
def test_dates_and_complex_numbers_as_predictor(formula: str) -> None:
    data = frame()
    for values in (pd.date_range("2020", periods=24), data["y"] + 1j):
        with pytest.raises(pp.DataError, match="x"):
            fit(formula, data.assign(x=values))


@both
def test_duplicate_names_among_the_columns_used(formula: str) -> None:
    data = frame()
    doubled = pd.concat([data, data[["x"]]], axis=1)
    with pytest.raises(pp.DataError, match="'x'"):
        fit(formula, doubled)
    harmless = pd.concat([data, data[["z"]]], axis=1)
    assert fit(formula, harmless).nobs == 24


# -- sizes ----------------------------------------------------------------------------------------


@both
def test_empty_and_one_row_data(formula: str) -> None:
    for n, match in [(0, "row"), (1, "row")]:
        with pytest.raises(pp.PartialPoolError, match=match):
            fit(formula, frame()[:n])


@both
def test_fewer_rows_than_coefficients(formula: str) -> None:
    data = frame()[:4].assign(g=[0, 0, 1, 1])
    with pytest.raises(pp.SpecificationError, match=r"rank of X.*\(4\).*rows \(4\)"):
        fit(formula.replace("x", "x + z + w", 1), data)


@both
@pytest.mark.parametrize("data", [None, 3, "nothing.csv", "data.xlsx", [1, 2], np.ones((3, 3))])
def test_data_that_is_no_table(formula: str, data: Any) -> None:
    with pytest.raises(pp.DataError):
        fit(formula, data)


@pytest.mark.parametrize("formula", [3, None, b"y ~ x", ["y ~ x"]])
def test_a_formula_that_is_no_string(formula: Any) -> None:
    for function in (pp.lm, pp.lmer):
        with pytest.raises(pp.FormulaError, match="string"):
            function(formula, frame())


# -- groups ---------------------------------------------------------------------------------------


def test_a_group_with_one_level() -> None:
    with pytest.raises(pp.DataError, match="'g'.*one level|1 level.*'g'|'g'.*1 level"):
        pp.lmer(LMER, frame().assign(g="a"))


def test_a_group_with_one_level_left_after_missing_rows() -> None:
    data = frame()
    data.loc[4:, "x"] = np.nan
    with (
        pytest.warns(pp.MissingDataWarning),
        pytest.raises(pp.DataError, match="'g'.*one level|1 level.*'g'|'g'.*1 level"),
    ):
        pp.lmer(LMER, data)


def test_as_many_levels_as_rows() -> None:
    with pytest.raises(pp.SpecificationError, match=r"'g' has 24 levels for 24 rows.*\(1 \| g\)"):
        pp.lmer(LMER, frame().assign(g=np.arange(24)))


def test_as_many_random_effects_as_rows() -> None:
    data = frame().assign(g=np.arange(24) // 2)
    with pytest.raises(pp.SpecificationError, match=r"\(x \| g\) has 12 levels x 2.*24 rows"):
        pp.lmer("y ~ x + (x | g)", data)


def test_groups_with_fewer_rows_than_random_effects_are_legal() -> None:
    rng = np.random.default_rng(8)
    g = np.concatenate([np.repeat(np.arange(12), 4), np.arange(12, 20)])  # eight groups of one row
    x = rng.standard_normal(len(g))
    y = 1 + x + rng.standard_normal(20)[g] + rng.standard_normal(20)[g] * x
    data = pd.DataFrame({"y": y + rng.standard_normal(len(g)), "x": x, "g": g})
    fit = pp.lmer("y ~ x + (x | g)", data)
    assert fit.optimum.converged
    X = fit.model_matrix().to_numpy()
    Z = fit.model_matrix("random").toarray()
    V = Z @ np.kron(np.eye(20), fit.varcorr["g"]) @ Z.T + fit.scale * np.eye(len(g))
    information = X.T @ np.linalg.solve(V, X)
    beta = np.linalg.solve(information, X.T @ np.linalg.solve(V, data["y"]))
    np.testing.assert_allclose(fit.params, beta, rtol=1e-9)
    r = data["y"] - X @ beta
    criterion = (
        (len(g) - 2) * np.log(2 * np.pi)
        + np.linalg.slogdet(V)[1]
        + np.linalg.slogdet(information)[1]
        + r @ np.linalg.solve(V, r)
    )
    assert fit.reml_criterion == pytest.approx(criterion, rel=1e-10)


def test_an_integer_group_with_a_million_levels() -> None:
    n, levels = 2_000_000, 1_000_000
    rng = np.random.default_rng(9)
    g = np.arange(n) // 2
    y = 3 + rng.standard_normal(levels)[g] + rng.standard_normal(n)
    fit = pp.lmer("y ~ 1 + (1 | g)", {"y": y, "g": g * 1009 - 5 * 10**8})
    assert fit.ngroups == {"g": levels}
    means = y.reshape(-1, 2).mean(axis=1)
    within = ((y.reshape(-1, 2) - means[:, None]) ** 2).sum() / levels
    between = 2 * ((means - means.mean()) ** 2).sum() / (levels - 1)
    assert fit.params.iloc[0] == pytest.approx(y.mean(), rel=1e-10)
    assert fit.scale == pytest.approx(within, rel=1e-7)
    variance = fit.varcorr.components[0].covariance[0, 0]
    assert variance == pytest.approx((between - within) / 2, rel=1e-6)


def test_a_group_of_fractions_is_no_group() -> None:
    with pytest.raises(pp.DataError, match="'g'"):
        pp.lmer(LMER, frame().assign(g=np.arange(24) // 4 / 7))


def test_a_group_may_be_whole_floats_text_booleans_or_dates() -> None:
    data = frame()
    plain = pp.lmer(LMER, data)
    days = pd.date_range("2020", periods=6)[data["g"]]
    for g in (data["g"].astype(float), data["g"].map("level {}".format), days):
        assert pp.lmer(LMER, data.assign(g=g)).llf == pytest.approx(plain.llf, rel=1e-12)
    two = pp.lmer(LMER, data.assign(g=data["g"] > 2)).ranef()["g"]
    assert two.index.tolist() == [False, True]


def test_levels_that_do_not_occur_do_not_count() -> None:
    data = frame()
    g = pd.Categorical(data["g"], categories=range(40))
    one, other = pp.lmer(LMER, data), pp.lmer(LMER, data.assign(g=g))
    assert other.ngroups == one.ngroups
    assert other.llf == pytest.approx(one.llf, rel=1e-12)


# -- degenerate but legal -------------------------------------------------------------------------


@both
def test_collinear_columns_are_dropped_with_a_warning(formula: str) -> None:
    data = frame().assign(x2=lambda d: 3 * d["x"] - 1)
    with pytest.warns(pp.RankDeficientWarning, match="x2.*x"):
        got = fit(formula.replace("x", "x + x2", 1), data)
    plain = fit(formula, data)
    assert np.isnan(got.params["x2"])
    assert np.isnan(got.bse["x2"])
    assert list(got.cov_params().columns) == ["Intercept", "x"]
    assert got.llf == pytest.approx(plain.llf, rel=1e-10)
    np.testing.assert_allclose(got.params[["Intercept", "x"]], plain.params, rtol=1e-8)
    assert "nan" in str(got.summary()).lower() or "NaN" in str(got.summary())


def test_constant_response_of_lm() -> None:
    fit = pp.lm(LM, frame().assign(y=5.0))
    np.testing.assert_allclose(fit.params, [5, 0], atol=1e-14)
    assert fit.sigma == pytest.approx(0, abs=1e-14)


def test_constant_response_of_lmer() -> None:
    with pytest.warns(pp.SingularFitWarning):
        fit = pp.lmer(LMER, frame().assign(y=5.0))
    np.testing.assert_allclose(fit.params, [5, 0], atol=1e-12)
    assert fit.is_singular
    assert fit.varcorr.components[0].covariance[0, 0] == pytest.approx(0, abs=1e-20)


@both
def test_a_fit_without_residuals_can_be_read(formula: str) -> None:
    data = frame().assign(y=5.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", pp.SingularFitWarning)
        got = fit(formula, data)
        assert "nan" not in str(got.params)
        for read in (got.summary, got.glance, got.augment, got.tidy, got.hatvalues, got.rstudent):
            assert str(read())
        np.testing.assert_allclose(got.predict(data, interval="prediction")["fit"], 5)
        np.testing.assert_allclose(got.simulate(2, seed=1), 5)


def test_no_variance_between_groups_is_a_singular_fit() -> None:
    data = frame()
    data["y"] = np.tile([1.0, 2.0, 3.0, 4.0], 6) + data["x"]
    with pytest.warns(pp.SingularFitWarning, match=r"\(1 \| g\)|g"):
        got = pp.lmer(LMER, data)
    plain = pp.lm(LM, data)
    np.testing.assert_allclose(got.params, plain.params, rtol=1e-8)
    assert got.sigma == pytest.approx(plain.sigma, rel=1e-8)


@both
def test_a_boolean_response_is_zeros_and_ones(formula: str) -> None:
    data = frame().assign(y=lambda d: d["y"] > 2)
    got, number = fit(formula, data), fit(formula, data.assign(y=data["y"].astype(float)))
    assert got.llf == number.llf


@both
def test_columns_twelve_orders_of_magnitude_apart(formula: str) -> None:
    data = frame()
    plain = fit(formula.replace("x", "x + z", 1), data)
    scaled = fit(
        formula.replace("x", "x + z", 1),
        data.assign(x=data["x"] * 1e6, z=data["z"] * 1e-6),
    )
    by = [1, 1e6, 1e-6]
    np.testing.assert_allclose(scaled.params * by, plain.params, rtol=1e-8)
    np.testing.assert_allclose(scaled.bse * by, plain.bse, rtol=1e-8)
    np.testing.assert_allclose(scaled.fittedvalues, plain.fittedvalues, rtol=1e-8)


# -- weights and offsets --------------------------------------------------------------------------


@both
@pytest.mark.parametrize("value", [-1.0, np.inf])
def test_negative_and_infinite_weights(formula: str, value: float) -> None:
    data = frame()
    data.loc[3, "w"] = value
    for weights in ("w", data["w"].to_numpy()):
        with pytest.raises(pp.DataError, match=r"weight|'w'"):
            fit(formula, data, weights=weights)


@both
def test_rows_with_a_weight_of_zero_are_dropped_and_counted(formula: str) -> None:
    data = frame()
    data.loc[[3, 9], "w"] = 0
    with pytest.warns(pp.MissingDataWarning, match="2 of 24 rows.*zero"):
        got = fit(formula, data, weights="w")
    clean = fit(formula, data.drop(index=[3, 9]), weights="w")
    assert got.nobs == 22
    assert got.llf == pytest.approx(clean.llf, rel=1e-12)


@both
@pytest.mark.parametrize("option", ["weights", "offset"])
def test_arrays_of_the_wrong_length(formula: str, option: str) -> None:
    with pytest.raises(pp.PartialPoolError, match=rf"{option}.*(23|24)"):
        fit(formula, frame(), **{option: np.ones(23)})
    with pytest.raises(pp.PartialPoolError, match="'ww'"):
        fit(formula, frame(), **{option: "ww"})


@both
def test_an_infinite_offset(formula: str) -> None:
    with pytest.raises(pp.DataError, match="offset"):
        fit(formula, frame(), offset=np.full(24, np.inf))


# -- contrasts and control ------------------------------------------------------------------------


@both
def test_unknown_contrasts(formula: str) -> None:
    data = frame().assign(f=["a", "b"] * 12)
    text = formula.replace("x", "x + f", 1)
    with pytest.raises(pp.SpecificationError, match="summ"):
        fit(text, data, contrasts={"f": "summ"})
    with pytest.raises(pp.SpecificationError, match="'k'"):
        fit(text, data, contrasts={"k": "sum"})


def test_control_must_be_a_control() -> None:
    with pytest.raises(pp.SpecificationError, match="control must be"):
        pp.lmer(LMER, frame(), control={"tolerance": 1e-8})  # type: ignore[arg-type]
    with pytest.raises(pp.SpecificationError, match="start"):
        pp.lmer(LMER, frame(), control=pp.Control(start=[1.0, 2.0, 3.0]))


@pytest.mark.parametrize("reml", [None, 1, "ML"])
def test_reml_must_be_true_or_false(reml: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="reml="):
        pp.lmer(LMER, frame(), reml=reml)


# -- new data -------------------------------------------------------------------------------------


@both
def test_new_levels_of_a_fixed_factor_always_raise(formula: str) -> None:
    data = frame().assign(f=["a", "b"] * 12)
    got = fit(formula.replace("x", "x + f", 1), data)
    new = data[:2].assign(f=["a", "zz"])
    for option in ("error", "population"):
        with pytest.raises(pp.DataError, match="'zz'|zz"):
            got.predict(new, new_levels=option)


def test_a_clean_fit_gives_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pp.lm(LM, frame()).summary()
        pp.lmer(LMER, frame()).summary()


def test_text_as_weights_is_refused_with_the_option() -> None:
    data = {"y": [1.0, 2.0, 4.0], "x": [1.0, 2.0, 3.0], "w": ["a", "b", "c"]}
    with pytest.raises(pp.DataError, match=r"'w' holds text .* \(Given as weights='w'\.\)"):
        pp.lm("y ~ x", data, weights="w")
