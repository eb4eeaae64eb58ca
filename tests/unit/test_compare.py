"""Comparisons: what they refuse, how they adapt, what they look like."""

from __future__ import annotations

import dataclasses
import math
import pickle

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool import comparing
from tests import comparisons

MIXED = "hwy ~ displ + year + (1 | class)"
FIXED = "hwy ~ displ + year"


@pytest.fixture(scope="module")
def mpg():
    return pp.datasets.load("mpg")


@pytest.fixture(scope="module")
def fits(mpg):
    return pp.lm(FIXED, mpg), pp.lmer(MIXED, mpg)


@pytest.fixture(scope="module")
def c(fits):
    return pp.compare(*fits)


def equal(a, b):
    pd.testing.assert_frame_equal(a.table, b.table)
    pd.testing.assert_frame_equal(a.path, b.path)
    assert a.text() == b.text()


# -- ways to ask ----------------------------------------------------------------------------------


def test_fits_in_either_order_records_and_a_formula_give_the_same(fits, mpg, c):
    lm, lmer = fits
    equal(pp.compare(lmer, lm), c)
    equal(comparing.compare(lm._record, lmer._record), c)
    equal(pp.compare(MIXED, mpg), c)
    equal(comparing.compare_formula(MIXED, mpg), c)
    equal(pp.compare(mpg, MIXED), c)


def test_a_formula_takes_the_options_of_lmer(mpg):
    c = pp.compare(MIXED, mpg, reml=False, weights="cty")
    assert not c.mixed.spec.reml
    expected = pp.lm(FIXED, mpg, weights="cty").params
    assert np.allclose(c.table["complete_pooling"], expected, rtol=1e-12)


def test_the_linear_model_of_a_formula_is_whole(mpg):
    c = pp.compare("hwy ~ displ + (1 | class) + year", mpg)
    assert c.ols.spec.formula == FIXED
    model = type(pp.lm(FIXED, mpg))(c.ols)
    assert np.allclose(model.predict(mpg.head(3)), pp.lm(FIXED, mpg).predict(mpg.head(3)))


def test_columns_in_another_order_are_put_in_order(mpg, c):
    other = pp.compare(pp.lm("hwy ~ year + displ", mpg), pp.lmer(MIXED, mpg))
    assert np.allclose(
        other.table["complete_pooling"], c.table["complete_pooling"], rtol=1e-9, atol=0
    )


def test_formula_and_fits_leave_the_data_alone(mpg):
    before = mpg.copy()
    pp.compare(MIXED, mpg).text()
    pd.testing.assert_frame_equal(mpg, before)


# -- what is refused ------------------------------------------------------------------------------


def refused(first, second, match, error=pp.SpecificationError, **options):
    with pytest.raises(error, match=match):
        pp.compare(first, second, **options)


def test_two_models_of_one_kind(fits, mpg):
    lm, lmer = fits
    refused(lm, pp.lm("hwy ~ displ", mpg), r"two linear models, 'hwy ~ displ \+ year' and")
    refused(lmer, lmer, "two mixed models.*pp.anova")


def test_other_objects(fits):
    refused(fits[0], 3, "it got int")
    refused(fits[0], None, "it got NoneType")
    refused(object(), fits[1], "it got object")


def test_options_with_fits(fits):
    refused(*fits, "reml go with a formula", reml=False)


def test_a_formula_without_a_bar_or_without_data(mpg):
    refused(FIXED, mpg, "comparison needs a random-effects term", pp.FormulaError)
    refused(MIXED, None, "needs the data too")


def test_different_rows(mpg):
    holes = mpg.copy()
    holes["class"] = holes["class"].astype(object)
    holes.loc[[3, 8], "class"] = None
    lm = pp.lm(FIXED, holes)
    with pytest.warns(pp.MissingDataWarning):
        lmer = pp.lmer(MIXED, holes)
    refused(lm, lmer, r"lm used 234, lmer 232. 2 rows are in lm alone \(3, 8\).*'class' is missing")
    with pytest.warns(pp.MissingDataWarning):
        assert pp.compare(MIXED, holes).ols.rows.nobs == 232
    refused(pp.lm(FIXED, mpg.tail(100)), pp.lmer(MIXED, mpg), "lm used 100, lmer 234")


def test_different_responses(mpg, fits):
    refused(
        pp.lm("log(hwy) ~ displ + year", mpg), fits[1], r"The response differs.*in used row 0 it is"
    )


def test_different_fixed_parts(mpg, fits):
    refused(pp.lm("hwy ~ displ", mpg), fits[1], "fixed parts differ: 'year' only in lmer")
    refused(
        pp.lm("hwy ~ displ + cty", mpg), fits[1], "'cty' only in lm; 'year' only in lmer.*pp.lm"
    )


def test_one_name_with_other_values(mpg, fits):
    other = mpg.assign(displ=mpg["displ"] + (np.arange(len(mpg)) == 5))
    refused(pp.lm(FIXED, other), fits[1], "'displ' has other values in lm.*used row 5")
    lm = pp.lm("hwy ~ drv", mpg, contrasts={"drv": np.array([[1, 0], [0, 1], [1, 1.0]])})
    lmer = pp.lmer("hwy ~ drv + (1 | class)", mpg)
    with pytest.raises(pp.SpecificationError):
        pp.compare(lm, lmer)


def test_different_weights_and_offsets(mpg, fits):
    lm, lmer = fits
    refused(pp.lm(FIXED, mpg, weights="cty"), lmer, "lm was fitted with weights and lmer without")
    refused(lm, pp.lmer(MIXED, mpg, weights="cty"), "lmer was fitted with weights and lm without")
    refused(
        pp.lm(FIXED, mpg, weights="cty"), pp.lmer(MIXED, mpg, weights="cyl"), "The weights differ"
    )
    refused(
        pp.lm(FIXED, mpg, offset="cty"), pp.lmer(MIXED, mpg, offset="cyl"), "The offset differs"
    )


def test_one_group(mpg):
    with pytest.raises(pp.DataError, match="one level|1 level"):
        pp.compare(MIXED, mpg[mpg["class"] == "suv"])


def test_ratios_that_are_none(c):
    for wrong in (-1, math.nan, "high", None):
        with pytest.raises(pp.SpecificationError, match="from 0"):
            c.coefficients_at(wrong)


# -- what is adapted ------------------------------------------------------------------------------


def compared(name):
    s = comparisons.SITUATIONS[name]
    return pp.compare(s.formula, s.data, **s.options)


@pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")
def test_a_variance_of_zero():
    c = compared("zero")
    assert c.ratio == 0
    assert c.conditions.is_zero
    assert c.conditions.coincide
    assert c.same_when.loc["Lambda is zero", "holds"]
    assert (c.path["ratio"] == 0).sum() == 1
    assert len(c.path) >= 60
    assert math.isinf(c.path["ratio"].iloc[-1])
    assert (c.groups["partial_pooling"] == 0).all()
    assert (c.groups["shrinkage"] == 0).all()
    assert np.abs(c.groups["no_pooling"]).max() > 0


@pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")
def test_slopes_of_no_variance_at_all_take_equal_variances_as_direction():
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(6), 8)
    x = np.tile(np.arange(8.0), 6)
    noise = rng.normal(size=48)
    Z = np.kron(np.eye(6), np.column_stack([np.ones(8), np.arange(8.0)]))
    noise -= Z @ np.linalg.lstsq(Z, noise, rcond=None)[0]
    d = pd.DataFrame({"y": x + noise, "x": x, "g": g, "z": rng.normal(size=48)})
    c = pp.compare("y ~ x + z + (x | g)", d)
    assert c.ratio == 0
    assert not c._path.has_own_direction
    assert "all random effects" in c.ratio_name
    near, end = c.coefficients_at(1e4), c.coefficients_at(math.inf)
    assert np.allclose(near, end, atol=1e-6)
    free = pp.lm("y ~ z + C(g) + C(g):x", d)
    assert np.isclose(end["z"], free.params["z"], rtol=1e-8)


def test_a_covariate_that_is_constant_within_groups():
    c = compared("constant within")
    row = c.table.loc["z"]
    assert math.isnan(row["no_pooling"])
    assert math.isnan(row["no_pooling_se"])
    assert row["note"] == "constant within the levels of site: no pooling says nothing about it"
    assert row["weight_between"] == 1
    assert np.isclose(row["between"], row["partial_pooling"], rtol=1e-10)
    assert np.isfinite(c.path["z"]).all()
    assert c.contextual.effects == ()
    assert not c.contextual.is_tested


def test_three_groups_say_that_nothing_can_be_tested():
    c = compared("few levels")
    frame = c.contextual.to_frame()
    assert frame["estimate"].isna().all()
    assert frame["note"].str.contains("3 levels of site are too few").all()


def test_ten_thousand_groups():
    rng = np.random.default_rng(1)
    n, J = 50_000, 10_000
    g = np.concatenate([np.arange(J), rng.integers(0, J, n - J)])
    x = rng.normal(size=n) + rng.normal(size=J)[g]
    d = {"y": x + rng.normal(size=J)[g] + rng.normal(size=n), "x": x, "g": g}
    c = pp.compare("y ~ x + (1 | g)", d)
    assert len(c.groups) == J
    lmer = pp.lmer("y ~ x + (1 | g)", d)
    assert np.allclose(c.coefficients_at(c.ratio), lmer.params, rtol=1e-10)
    assert np.allclose(c.groups["partial_pooling"], lmer.ranef()["g"]["Intercept"], atol=1e-9)
    assert 600 <= len(c.text()) <= 3000


@pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")
@pytest.mark.parametrize("y", [lambda d: 2 * d["x"] + 1, lambda d: 0 * d["x"] + 4])
def test_nothing_varies(y):
    d = comparisons.simulated(6, 5)
    c = pp.compare("y ~ x + (1 | site)", d.assign(y=y(d)))
    assert "fits the response exactly" in c.text()
    assert (c.table["partial_pooling_se"] == 0).all()
    assert np.isfinite(c.path.drop(columns="ratio").to_numpy()).all()
    assert str(c)
    assert len(c.groups) == 6


def test_dropped_columns_stay_as_nan(mpg):
    data = mpg.assign(twice=2 * mpg["displ"])
    with pytest.warns(pp.RankDeficientWarning):
        c = pp.compare("hwy ~ displ + twice + year + (1 | class)", data)
    row = c.table.loc["twice"]
    assert row.drop("note").isna().all()
    assert row["note"] == "left out: it repeats displ"
    assert c.path["twice"].isna().all()
    assert math.isnan(c.coefficients_at(1.0)["twice"])
    assert np.isclose(c.table.loc["displ", "partial_pooling"], -2.391224, atol=1e-6)
    assert "displ" in c.text()


def test_columns_that_repeat_within_groups_only():
    d = comparisons.simulated(8, 6)
    d["u"] = d["x"] + np.random.default_rng(2).normal(size=8)[d["site"]]
    c = pp.compare("y ~ x + u + (1 | site)", d)
    assert c.table.loc[["x", "u"], "no_pooling"].isna().all()
    assert "repeats other columns" in c.table.loc["u", "note"]
    near = c.coefficients_at(1e5)
    assert np.allclose(c.path.iloc[-1, 1:].astype(float), near, atol=1e-6)


@pytest.mark.filterwarnings("ignore::partialpool.PartialPoolWarning")
def test_no_pooling_may_leave_nothing_for_a_standard_error():
    rng = np.random.default_rng(4)
    g = np.array([0, 0, 1, 1, 2, 3, 4])
    d = pd.DataFrame(rng.normal(size=(7, 3)), columns=["y", "a", "b"]).assign(g=g)
    c = pp.compare("y ~ a + b + (1 | g)", d)
    assert c.table["no_pooling"].notna().tolist() == [False, True, True]
    assert c.table["no_pooling_se"].isna().all()
    assert "no residual degrees of freedom" in c.table.loc["a", "note"]
    assert "SE nan" not in c.text()
    assert "SE unknown" not in c.text()


def test_factors_and_interactions_have_their_own_rows(mpg):
    c = pp.compare("hwy ~ displ * drv + (1 | class)", mpg)
    assert list(c.table.index) == list(pp.lm("hwy ~ displ * drv", mpg).params.index)
    assert np.isfinite(c.table["no_pooling"].iloc[1:]).all()
    assert set(c.contextual.to_frame().index) <= set(c.table.index)


def test_a_fixed_part_without_an_intercept(mpg):
    c = pp.compare("hwy ~ 0 + displ + (1 | class)", mpg)
    assert np.isclose(c.path.iloc[0, 1], pp.lm("hwy ~ 0 + displ", mpg).params.iloc[0], rtol=1e-10)
    free = pp.lm("hwy ~ 0 + displ + class", mpg).params["displ"]
    assert np.isclose(c.table.loc["displ", "no_pooling"], free, rtol=1e-8)
    d = pp.compare("hwy ~ 0 + drv + displ + (1 | class)", mpg)
    assert np.allclose(d.path.iloc[0, 1:].astype(float), pp.lm("hwy ~ 0 + drv + displ", mpg).params)


def test_crossed_factors_have_no_cr2_and_nested_ones_cluster_by_the_outer(mpg):
    crossed = pp.compare("hwy ~ displ + (1 | class) + (1 | manufacturer)", mpg)
    assert crossed.table["complete_pooling_cr2_se"].isna().all()
    assert crossed.table["note"].str.contains("crossed").all()
    pastes = pp.datasets.load("Pastes")
    nested = pp.compare("strength ~ 1 + (1 | batch/cask)", pastes)
    lm = pp.lm("strength ~ 1", pastes)
    expected = np.sqrt(np.diag(lm.cov_params(kind="CR2", groups="batch")))
    assert np.allclose(nested.table["complete_pooling_cr2_se"], expected)


def test_the_decomposition_is_for_one_random_intercept(mpg):
    c = pp.compare("hwy ~ displ + (displ | class)", mpg)
    with pytest.raises(pp.UnavailableError, match=r"this model has \(displ \| class\)"):
        _ = c.decomposition
    assert not c.is_one_intercept
    assert c.table["between"].isna().all()


def test_balance_and_agreement_are_recognised():
    c = compared("balanced")
    assert c.conditions.is_balanced
    assert c.conditions.coincide
    assert c.same_when.loc["design is balanced", "value"] < 1e-12
    assert not compared("mpg").conditions.is_balanced
    assert "because of the design alone" in c.text()


def test_between_and_within_may_agree_by_the_data():
    """Groups of one size, effects unrelated to the group means of x, slope 2 within."""
    d = comparisons.simulated(9, 5, seed=2)
    rng = np.random.default_rng(3)
    mean = d.groupby("site")["x"].transform("mean")
    X = np.column_stack([np.ones(9), d.groupby("site")["x"].mean()])
    effect = 2 * rng.normal(size=9)
    effect -= X @ np.linalg.lstsq(X, effect, rcond=None)[0]
    noise = rng.normal(size=len(d))
    noise -= pd.Series(noise).groupby(d["site"]).transform("mean").to_numpy()
    inside = (d["x"] - mean).to_numpy()
    noise -= inside * (noise @ inside) / (inside @ inside)
    c = pp.compare("y ~ x + (1 | site)", d.assign(y=2 * d["x"] + effect[d["site"]] + noise))
    assert c.ratio > 0.5
    assert c.conditions.agrees
    assert not c.conditions.is_balanced
    assert c.conditions.coincide
    assert np.isclose(c.table.loc["x", "partial_pooling"], 2, rtol=1e-12)
    assert "happen to agree" in c.text()


# -- how it looks ---------------------------------------------------------------------------------


def test_it_prints_words_then_numbers(c):
    text = c.as_text()
    assert str(c) == repr(c) == text
    assert text.index("There is no OLS option") < text.index("Coefficients:")
    for part in ("Standard errors:", "Intraclass correlation", "-3.611", "-2.391", "-2.403"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 140


def test_it_shows_html(c):
    html = c.as_html()
    assert c._repr_html_() == html
    assert html.count("<table") == 2
    assert "<script" not in html


def test_hostile_names_are_escaped(mpg):
    data = mpg.rename(columns={"displ": "<script>alert(1)</script>", "class": "a\nb"})
    c = pp.compare("hwy ~ `<script>alert(1)</script>` + (1 | `a\nb`)", data)
    assert "<script" not in c.as_html()
    assert "\nb" not in c.text()


def test_long_names_leave_the_text_readable(mpg):
    x, g = "a_covariate_whose_name_goes_on_and_on" * 3, "a_grouping_factor_of_many_words" * 3
    c = pp.compare(f"hwy ~ {x} + year + (1 | {g})", mpg.rename(columns={"displ": x, "class": g}))
    assert 600 <= len(c.text()) <= 3000


def test_it_pickles_and_is_frozen(c):
    again = pickle.loads(pickle.dumps(c))
    equal(again, c)
    with pytest.raises(dataclasses.FrozenInstanceError):
        c.ols = None


def test_frames_are_copies(c):
    for frame in (c.table, c.path, c.groups, c.standard_errors):
        frame[frame.columns[-2]] = 0
    for frame in (c.table, c.path, c.groups, c.standard_errors):
        assert (frame[frame.columns[-2]] != 0).all()
    with pytest.raises(ValueError, match="read-only"):
        c.decomposition.matrix[0, 0] = 3


def test_small_tables_print(c):
    assert "displ" in str(c.decomposition)
    assert "All together" in str(c.contextual)
    assert list(c.same_when.columns) == ["holds", "value", "meaning"]
    assert list(c.standard_errors.columns) == [
        "lm",
        "lm_cr2",
        "lm_under_lmer",
        "independent",
        "lmer",
    ]
    assert c.ratio_name == "sd(class) / sd(residual)"


def test_groups_of_slopes_have_a_row_a_random_effect():
    c = compared("slopes, balanced")
    groups = c.groups
    assert len(groups) == 36
    assert set(groups["term"]) == {"Intercept", "Days"}
    assert ((groups["shrinkage"] > 0) & (groups["shrinkage"] < 1)).all()
    sleep = pp.datasets.load("sleepstudy")
    own = sleep.groupby("Subject").apply(
        lambda d: np.polyfit(d["Days"], d["Reaction"], 1)[0], include_groups=False
    )
    slopes = groups[groups["term"] == "Days"]
    expected = own - own.mean()
    assert np.allclose(slopes["no_pooling"], expected.to_numpy(), atol=1e-9)
