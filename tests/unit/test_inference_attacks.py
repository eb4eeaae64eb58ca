"""Inference where data are awkward: far and tiny units, empty cells, exact fits, odd names."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import partialpool as pp
from partialpool import estimates
from partialpool.roots import root


def data(n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "a": pd.Categorical(rng.choice(list("pqr"), n)),
            "b": pd.Categorical(rng.choice(["u", "v"], n)),
            "g": pd.Categorical(rng.choice([f"g{i}" for i in range(10)], n)),
            "h": rng.integers(0, 6, n),
            "x": rng.normal(3, 2, n),
            "w": rng.uniform(0.5, 2, n),
        }
    )
    effects = dict(zip(frame["g"].cat.categories, rng.normal(size=10), strict=True))
    shift = frame["g"].map(effects).astype(float)
    frame["y"] = frame["x"] * 0.4 + frame["a"].cat.codes + shift + rng.normal(size=n)
    return frame


def far(spread: float) -> tuple[Any, Any, pd.DataFrame]:
    """The same model with a covariate in seconds since 1970, and counted from its own epoch."""
    frame = data()
    frame["t"] = 1.7e9 + np.round(frame["x"] * spread, 6)
    frame["t0"] = frame["t"] - 1.7e9
    return (
        pp.lmer("y ~ a + t + (1 | g)", frame),
        pp.lmer("y ~ a + t0 + (1 | g)", frame),
        frame,
    )


# -- far covariates -------------------------------------------------------------------------------


@pytest.mark.parametrize("spread", [1000, 10, 1, 0.1])
def test_errors_of_predictions_do_not_depend_on_the_origin_of_a_covariate(spread: float) -> None:
    fit, near, frame = far(spread)
    for options in ({"data": frame, "random": "none"}, {"random": "none"}, {}):
        there, here = fit.predict(se=True, **options), near.predict(se=True, **options)
        assert_allclose(there["se"], here["se"], rtol=1e-12)


@pytest.mark.parametrize("spread", [1000, 10])
def test_influence_does_not_depend_on_the_origin_of_a_covariate(spread: float) -> None:
    fit, near, _ = far(spread)
    for group in (None, "g"):
        there, here = fit.influence(group, progress=False), near.influence(group, progress=False)
        assert_allclose(there.f_distance, here.f_distance, rtol=1e-4)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_influence_does_not_depend_on_units(unit: float) -> None:
    frame = data()
    frame["x2"], frame["y2"] = frame["x"] * unit, frame["y"] / unit
    fit = pp.lmer("y ~ a + x + (1 | g)", frame).influence(progress=False)
    other = pp.lmer("y2 ~ a + x2 + (1 | g)", frame).influence(progress=False)
    assert_allclose(other.f_distance, fit.f_distance, rtol=1e-6)


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ a * b + x + (1 | g)",
        "y ~ 0 + a + x + (1 | g)",
        "y ~ a * t + (1 | g)",
        "y ~ 1 + (1 | g)",
    ],
)
def test_root_gives_the_covariance_and_its_inverse(formula: str) -> None:
    frame = data()
    frame["t"] = 1e5 + frame["x"]
    record = pp.lmer(formula, frame)._record
    found = root(record)
    r = len(record.kept)
    covariance = estimates.covariance(record)
    M = found.of(np.eye(r))
    size = np.sqrt(np.diag(covariance))
    scale = np.outer(size, size)
    assert_allclose(M @ M.T / scale, covariance / scale, atol=1e-6)
    z = found.standardised(M.T)  # rows of M' have the covariance's own root: z'z = I
    assert_allclose(z @ z.T, np.eye(r), atol=1e-6)


# -- exact fits and empty fixed parts -------------------------------------------------------------


def test_interval_of_an_exact_fit_has_no_width() -> None:
    frame = data()
    frame["y"] = 3.0 + 2 * frame["x"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        fit = pp.lmer("y ~ x + (1 | g)", frame)
    for random in ("none", "all"):
        found = fit.predict(random=random, interval="confidence")
        assert_allclose(found[["lower", "upper"]].to_numpy().T, [found["fit"], found["fit"]])


def test_interval_of_a_model_without_fixed_part_is_zero_for_the_population() -> None:
    fit = pp.lmer("y ~ 0 + (1 | g)", data())
    found = fit.predict(random="none", interval="confidence")
    assert (found == 0).all(axis=None)


def test_joint_tests_with_an_empty_cell_raise_no_warning() -> None:
    frame = data()
    frame = frame[~((frame["a"] == "r") & (frame["b"] == "v"))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.RankDeficientWarning)
        fit = pp.lmer("y ~ a * b + (1 | g)", frame)
    found = fit.emmeans(["a", "b"]).joint_tests()
    assert found["num_df"].tolist() == [1, 0, 1]  # b is confounded with the empty cell
    # What is left of the interaction is the one contrast of four full cells.
    interaction = fit.contrast("a[T.q]:b[T.v]")
    assert_allclose(found["F"].iloc[2], interaction["F"].iloc[0], rtol=1e-8)


# -- two ways to the same number ------------------------------------------------------------------


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
def test_joint_tests_are_the_tests_of_type_three(ddf: str) -> None:
    fit = pp.lmer("y ~ a * b + x + (1 | g)", data())
    joint = fit.emmeans(["a", "b"], ddf=ddf).joint_tests()
    terms = fit.anova(ddf=ddf).loc[["a", "b", "a:b"]]
    for column in ("num_df", "den_df", "F", "p_value"):
        assert_allclose(joint[column], terms[column], rtol=1e-8)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_printed_means_show_digits_in_any_unit(unit: float) -> None:
    frame = data()
    frame["y"] *= unit
    text = str(pp.lmer("y ~ a + (1 | g)", frame).emmeans("a")).splitlines()
    first = text[2].split()
    found = pp.lmer("y ~ a + (1 | g)", frame).emmeans("a").to_frame().iloc[0]
    assert_allclose(float(first[1]), found["emmean"], rtol=2e-3)
    assert_allclose(float(first[2]), found["std_error"], rtol=2e-3)


def test_printed_means_far_from_zero_show_their_differences() -> None:
    frame = data()
    frame["y"] += 1e9
    means = pp.lmer("y ~ a + (1 | g)", frame).emmeans("a")
    shown = [float(line.split()[1]) for line in str(means).splitlines()[2:5]]
    assert_allclose(shown, means.to_frame()["emmean"], atol=1e-3, rtol=0)


# -- names and numbers as they print --------------------------------------------------------------


def test_a_name_of_two_coefficients_is_refused() -> None:
    fit = pp.lmer("y ~ Intercept + a + (1 | g)", data().rename(columns={"x": "Intercept"}))
    with pytest.raises(pp.SpecificationError, match="2 coefficients are called 'Intercept'"):
        fit.contrast("Intercept")


@pytest.mark.parametrize("name", ["sigma", "Intercept"])
def test_profiles_refuse_a_covariate_called_like_a_parameter(name: str) -> None:
    frame = data().rename(columns={"x": name})
    fit = pp.lmer(f"y ~ {name} + a + (1 | g)", frame)
    with pytest.raises(pp.SpecificationError, match=f"two parameters are called '{name}'"):
        fit.profile()


def test_printed_contrasts_show_the_digits_of_small_ones_beside_large_ones() -> None:
    fit, _, _ = far(1000)
    table = fit.contrast(list(fit.params.index), joint=False)
    lines = [line.split() for line in str(table).splitlines()]
    shown = {line[0]: line[1:3] for line in lines[1:]}
    for name in fit.params.index:
        expected = table.loc[name, ["estimate", "std_error"]]
        assert_allclose([float(v) for v in shown[name]], expected, rtol=5e-3)


def test_influence_prints_names_with_line_breaks_on_one_line() -> None:
    frame = data()
    frame["a"] = frame["a"].cat.rename_categories({"r": "two\nlines"})
    text = str(pp.lmer("y ~ a + (1 | g)", frame).influence("g", progress=False))
    assert len(text.splitlines()) == 11


def test_cooks_distance_without_fixed_effects_is_missing() -> None:
    assert pp.lmer("y ~ 0 + (1 | g)", data()).cooks_distance().isna().all()
