"""Predictions against dense formulas, and their rules for new data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special

import partialpool as pp

DENSE = 1e-8  # two inversions of a 40 x 40 matrix


@pytest.fixture(scope="module")
def sleep() -> pd.DataFrame:
    return pp.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def slopes(sleep: pd.DataFrame) -> Any:
    return pp.lmer("Reaction ~ Days + (Days | Subject)", sleep)


def joint(fit: Any) -> tuple[Any, Any, Any]:
    """[Z X], the joint covariance of (b - b_hat, beta_hat - beta), and the prior covariance."""
    X = fit.model_matrix("fixed").to_numpy()
    Z = fit.model_matrix("random").toarray()
    psi = []
    for component in fit.varcorr.components:
        psi.append(np.kron(np.eye(fit.ngroups[component.group]), component.covariance))
    prior = np.zeros((Z.shape[1], Z.shape[1]))
    at = 0
    for block in psi:
        prior[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    A = np.column_stack([Z, X])
    weights = fit._record.rows.weights
    w = np.ones(len(A)) if weights is None else weights
    information = A.T @ (w[:, None] * A) / fit.scale
    information[: Z.shape[1], : Z.shape[1]] += np.linalg.inv(prior)
    return A, np.linalg.inv(information), prior


def test_fitted_values_are_x_beta_plus_z_b(slopes: Any, sleep: pd.DataFrame) -> None:
    X = slopes.model_matrix("fixed")
    Z = slopes.model_matrix("random")
    b = slopes.ranef()["Subject"].to_numpy().ravel()
    mean = X.to_numpy() @ slopes.params.to_numpy() + Z @ b
    np.testing.assert_allclose(slopes.fittedvalues, mean, rtol=1e-12)
    np.testing.assert_allclose(slopes.predict(), mean, rtol=1e-12)
    np.testing.assert_allclose(slopes.predict(sleep), mean, rtol=1e-12)
    np.testing.assert_allclose(
        slopes.predict(sleep.drop(columns="Reaction").iloc[::-1]), mean[::-1], rtol=1e-12
    )


@pytest.mark.parametrize(
    "formula",
    [
        "Reaction ~ Days + (Days | Subject)",
        "Reaction ~ 1 + (1 | Subject) + (1 | Days)",
        "Reaction ~ Days + (Days || Subject)",
    ],
)
def test_standard_errors_against_dense_algebra(formula: str, sleep: pd.DataFrame) -> None:
    fit = pp.lmer(formula, sleep, weights="1 + Days / 10")
    A, covariance, _ = joint(fit)
    expected = np.sqrt(np.einsum("ij,jk,ik->i", A, covariance, A))
    np.testing.assert_allclose(fit.predict(se=True)["se"], expected, rtol=DENSE)
    np.testing.assert_allclose(fit.predict(sleep, se=True)["se"], expected, rtol=DENSE)
    q = A.shape[1] - len(fit.params)
    X = A[:, q:]
    population = np.sqrt(np.einsum("ij,jk,ik->i", X, covariance[q:, q:], X))
    np.testing.assert_allclose(fit.predict(random="none", se=True)["se"], population, rtol=DENSE)
    weights = 1 + sleep["Days"].to_numpy() / 10
    frame = fit.predict(sleep, interval="prediction", level=0.9)
    half = 1.6448536269514722 * np.sqrt(expected**2 + fit.scale / weights)
    np.testing.assert_allclose(frame["upper"] - frame["fit"], half, rtol=DENSE)
    np.testing.assert_allclose(frame["fit"] - frame["lower"], half, rtol=DENSE)


def test_standard_error_of_part_of_the_random_effects(slopes: Any) -> None:
    A, covariance, _ = joint(slopes)
    q = A.shape[1] - 2
    A[:, 1:q:2] = 0  # no slopes of subjects
    expected = np.sqrt(np.einsum("ij,jk,ik->i", A, covariance, A))
    frame = slopes.predict(random="~ (1 | Subject)", se=True)
    np.testing.assert_allclose(frame["se"], expected, rtol=DENSE)


def test_an_unseen_group_adds_its_prior_variance(slopes: Any) -> None:
    new = pd.DataFrame({"Days": [0.0, 4.0], "Subject": ["999", "999"]})
    frame = slopes.predict(new, new_levels="population", se=True)
    x = np.column_stack([np.ones(2), new["Days"]])
    psi = slopes.varcorr["Subject"].to_numpy()
    variance = np.einsum("ij,jk,ik->i", x, slopes.cov_params().to_numpy() + psi, x)
    np.testing.assert_allclose(frame["se"], np.sqrt(variance), rtol=1e-10)
    np.testing.assert_allclose(frame["fit"], x @ slopes.params.to_numpy(), rtol=1e-12)
    population = slopes.predict(new, random="none", se=True)
    np.testing.assert_array_equal(population["fit"], frame["fit"])
    assert (population["se"] < frame["se"]).all()


def test_an_unseen_group_is_an_error_by_default(slopes: Any) -> None:
    new = pd.DataFrame({"Days": [0.0], "Subject": ["999"]})
    with pytest.raises(pp.DataError, match="999"):
        slopes.predict(new)
    assert np.isfinite(slopes.predict(new, random="none")).all()


def test_missing_predictors_and_groups_give_nan(slopes: Any) -> None:
    new = pd.DataFrame({"Days": [1.0, np.nan, 2.0], "Subject": ["308", "308", None]})
    everything = slopes.predict(new, interval="prediction")
    assert list(np.isnan(everything["fit"])) == [False, True, True]
    assert list(np.isnan(everything["se"])) == [False, True, True]
    assert list(np.isnan(everything["upper"])) == [False, True, True]
    assert list(np.isnan(slopes.predict(new, new_levels="population"))) == [False, True, True]
    assert list(np.isnan(slopes.predict(new, random="none"))) == [False, True, False]


def test_population_needs_no_group_column(slopes: Any) -> None:
    np.testing.assert_allclose(
        slopes.predict({"Days": np.array([0.0, 9.0])}, random="none"),
        [251.405105, 345.610679],
        rtol=1e-7,
    )


def test_lm_intervals_use_student_t(sleep: pd.DataFrame) -> None:
    fit = pp.lm("Reaction ~ Days", sleep)
    new = pd.DataFrame({"Days": [0.0, 12.0]})
    frame = fit.predict(new, interval="confidence")
    assert list(frame.columns) == ["fit", "se", "lower", "upper"]
    x = np.array([[1, 0], [1, 12]])
    se = np.sqrt(np.einsum("ij,jk,ik->i", x, fit.cov_params().to_numpy(), x))
    np.testing.assert_allclose(frame["se"], se, rtol=1e-12)
    t = special.stdtrit(178, 0.975)
    np.testing.assert_allclose(frame["upper"] - frame["fit"], t * se, rtol=1e-8)
    wide = fit.predict(new, interval="prediction")
    half = t * np.sqrt(se**2 + fit.scale)
    np.testing.assert_allclose(wide["upper"] - wide["fit"], half, rtol=1e-8)


def test_only_se_gives_two_columns(slopes: Any, sleep: pd.DataFrame) -> None:
    assert list(slopes.predict(sleep, se=True).columns) == ["fit", "se"]
    assert isinstance(slopes.predict(sleep), np.ndarray)


def test_frames_come_back_in_the_library_of_the_data(sleep: pd.DataFrame) -> None:
    polars = pytest.importorskip("polars")
    new = polars.from_pandas(sleep)
    fit = pp.lmer("Reaction ~ Days + (Days | Subject)", new)
    assert isinstance(fit.predict(new, se=True), polars.DataFrame)
    assert isinstance(fit.predict(sleep, se=True), pd.DataFrame)


def test_columns_and_terms_of_offsets_and_weights_follow_the_data(sleep: pd.DataFrame) -> None:
    data = sleep.assign(o=np.arange(180.0), w=1.0)
    array = pp.lmer("Reaction ~ Days + (1 | Subject)", data, offset=data["o"].to_numpy())
    column = pp.lmer("Reaction ~ Days + (1 | Subject)", data, offset="o")
    term = pp.lmer("Reaction ~ Days + offset(o) + (1 | Subject)", data)
    half = data[90:]
    np.testing.assert_allclose(column.predict(half), column.fittedvalues[90:], rtol=1e-12)
    np.testing.assert_allclose(term.predict(half), column.predict(half), rtol=1e-10)
    population = column.predict(half, random="none")
    np.testing.assert_allclose(
        population, half["o"] + column.params.iloc[0] + column.params.iloc[1] * half["Days"]
    )
    np.testing.assert_allclose(array.predict(), column.predict(), rtol=1e-10)
    with pytest.raises(pp.DataError, match="offset.*column"):
        array.predict(half)
    weighted = pp.lmer("Reaction ~ Days + (1 | Subject)", data, weights=data["w"].to_numpy())
    with pytest.raises(pp.DataError, match="weights.*column"):
        weighted.predict(half)


def test_random_formula_must_be_part_of_the_fit(slopes: Any, sleep: pd.DataFrame) -> None:
    for bad, message in [
        ("~ (1 | Batch)", "Batch.*Subject"),
        ("~ (0 + age | Subject)", "age.*Intercept, Days"),
        ("~ 1", "no bar"),
        ("~ Days + (1 | Subject)", "bars"),
    ]:
        with pytest.raises(pp.FormulaError, match=message):
            slopes.predict(random=bad)
    for bad in (True, 3):
        with pytest.raises(pp.SpecificationError, match="random="):
            slopes.predict(random=bad)
    with pytest.raises(pp.SpecificationError, match="no random effects"):
        pp.lm("Reaction ~ Days", sleep).predict(random="~ (1 | Subject)")
    none, both = slopes.predict(random=None), slopes.predict(random="~ (Days | Subject)")
    np.testing.assert_array_equal(none, slopes.predict(random="none"))
    np.testing.assert_array_equal(both, slopes.predict())


def test_options_are_checked(slopes: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="new_levels='skip'"):
        slopes.predict(new_levels="skip")
    with pytest.raises(pp.SpecificationError, match="interval='both'"):
        slopes.predict(interval="both")
    with pytest.raises(pp.SpecificationError, match="kind='terms'"):
        slopes.predict(kind="terms")
    for level in (0, 1, 95, True, "0.95"):
        with pytest.raises(pp.SpecificationError, match="level="):
            slopes.predict(interval="confidence", level=level)


def test_missing_predictor_column_is_named(slopes: Any) -> None:
    with pytest.raises(pp.PartialPoolError, match="Days"):
        slopes.predict(pd.DataFrame({"Subject": ["308"], "days": [1.0]}))


def test_nested_groups_and_their_parts() -> None:
    data = pp.datasets.load("Pastes")
    fit = pp.lmer("strength ~ 1 + (1 | batch/cask)", data)
    outer = fit.predict(random="~ (1 | batch)")
    inner = fit.predict(random="~ (1 | cask:batch)")
    both = fit.predict(random="~ (1 | batch/cask)")
    center = fit.params.iloc[0]
    new = data[:1].assign(cask="unseen")
    np.testing.assert_allclose(fit.predict(new, random="~ (1 | batch)"), outer[:1], rtol=1e-12)
    with pytest.raises(pp.DataError, match="cask:batch.*unseen"):
        fit.predict(new)
    se = fit.predict(data, random="~ (1 | batch)", se=True)["se"]
    np.testing.assert_allclose(se, fit.predict(random="~ (1 | batch)", se=True)["se"], rtol=1e-10)
    np.testing.assert_allclose(outer + inner - center, both, rtol=1e-12)
    np.testing.assert_allclose(both, fit.fittedvalues, rtol=1e-12)


def test_parts_of_a_term_with_a_factor() -> None:
    data = pp.datasets.load("mpg")
    with pytest.warns(pp.SingularFitWarning):
        fit = pp.lmer("cty ~ drv + (drv | manufacturer)", data)
    whole = fit.predict(random="~ (1 + drv | manufacturer)")
    np.testing.assert_allclose(whole, fit.fittedvalues, rtol=1e-12)
    intercepts = fit.predict(random="~ (1 | manufacturer)")
    b = fit.ranef()["manufacturer"]["Intercept"].loc[data["manufacturer"]].to_numpy()
    np.testing.assert_allclose(intercepts - fit.predict(random="none"), b, atol=1e-9)
    # drv alone would be coded by a column a level, which was not fitted
    with pytest.raises(pp.FormulaError, match=r"drv\[4\].*Intercept, drv\[T.f\]"):
        fit.predict(random="~ (0 + drv | manufacturer)")
