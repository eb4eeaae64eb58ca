"""Exact deletion against fits of the data without the rows."""

from __future__ import annotations

import math
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.influence import influence

pytestmark = pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")

SAME = 1e-6  # relative; two optimisations end within 1e-9 of the minimum, theta within its root
CLOSED = 1e-9  # relative; closed forms against refits of least squares


def sleep(**options):
    data = pp.datasets.load("sleepstudy")
    return pp.lmer("Reaction ~ Days + (Days | Subject)", data, **options)


def assert_matches(found, label, refit):
    at = found.labels.index(label)
    np.testing.assert_allclose(found.estimates[at], refit.params, rtol=SAME)
    np.testing.assert_allclose(found.std_errors[at], refit.bse, rtol=SAME)
    np.testing.assert_allclose(found.sigma[at], refit.sigma, rtol=SAME)
    if found.theta_names:
        np.testing.assert_allclose(found.theta[at], refit.theta, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reml", [True, False])
def test_levels_against_fits_without_them(reml):
    found = influence(sleep(reml=reml)._record, "Subject")
    data = pp.datasets.load("sleepstudy")
    for level in found.labels[::5]:
        left = data[data["Subject"] != level]
        assert_matches(found, level, pp.lmer("Reaction ~ Days + (Days | Subject)", left, reml=reml))


def test_rows_against_fits_without_them():
    found = influence(sleep()._record)
    data = pp.datasets.load("sleepstudy")
    assert found.labels == tuple(data.index)
    for row in (0, 57, 179):
        refit = pp.lmer("Reaction ~ Days + (Days | Subject)", data.drop(index=data.index[row]))
        assert_matches(found, found.labels[row], refit)


@pytest.mark.parametrize("group", ["plate", "sample"])
def test_crossed_factors(group):
    data = pp.datasets.load("Penicillin")
    formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"
    found = influence(pp.lmer(formula, data)._record, group)
    for level in found.labels[:4]:
        assert_matches(found, level, pp.lmer(formula, data[data[group] != level]))


def test_nested_factors_with_weights_and_offset():
    data = pp.datasets.load("Pastes")
    data["w"], data["o"] = 1 + np.arange(60) % 3, np.arange(60) / 30
    formula, options = "strength ~ 1 + (1 | batch/cask)", {"weights": "w", "offset": "o"}
    found = influence(pp.lmer(formula, data, **options)._record, "batch")
    for level in found.labels[:4]:
        left = data[data["batch"] != level]
        assert_matches(found, level, pp.lmer(formula, left, **options))


def test_levels_of_any_column_and_of_an_array():
    fit = pp.lmer("hwy ~ displ + (1 | class)", pp.datasets.load("mpg"))
    data = pp.datasets.load("mpg")
    by_name, by_value = (influence(fit._record, g) for g in ("drv", data["drv"].to_numpy()))
    assert by_name.labels == by_value.labels == ("4", "f", "r")
    np.testing.assert_array_equal(by_name.estimates, by_value.estimates)
    assert_matches(by_name, "r", pp.lmer("hwy ~ displ + (1 | class)", data[data["drv"] != "r"]))


def test_the_data_with_missing_rows():
    data = pp.datasets.load("sleepstudy")
    data.loc[data.index[[3, 50]], "Days"] = np.nan
    with pytest.warns(pp.MissingDataWarning):
        fit = pp.lmer("Reaction ~ Days + (1 | Subject)", data)
    found = influence(fit._record)
    assert found.labels == tuple(data.index.delete([3, 50]))
    assert_matches(
        found,
        data.index[60],
        pp.lmer("Reaction ~ Days + (1 | Subject)", data.dropna().drop(index=data.index[60])),
    )


# -- linear models --------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, "cty"])
def test_linear_models_in_closed_form(weights):
    data = pp.datasets.load("mpg")
    formula = "hwy ~ displ * drv + year"
    record = pp.lm(formula, data, weights=weights)._record
    rows, levels = influence(record), influence(record, "class")
    for row in (0, 100, 233):
        refit = pp.lm(formula, data.drop(index=data.index[row]), weights=weights)
        np.testing.assert_allclose(rows.estimates[row], refit.params, rtol=CLOSED)
        np.testing.assert_allclose(rows.std_errors[row], refit.bse, rtol=CLOSED)
        np.testing.assert_allclose(rows.sigma[row], refit.sigma, rtol=CLOSED)
    for i in (0, 3, 6):
        refit = pp.lm(formula, data[data["class"] != levels.labels[i]], weights=weights)
        np.testing.assert_allclose(levels.estimates[i], refit.params, rtol=CLOSED)
        np.testing.assert_allclose(levels.std_errors[i], refit.bse, rtol=CLOSED)
        np.testing.assert_allclose(levels.sigma[i], refit.sigma, rtol=CLOSED)


def test_cooks_distances_of_rows_are_those_of_the_leverages():
    fit = pp.lm("hwy ~ displ + drv", pp.datasets.load("mpg"))
    found = influence(fit._record)
    np.testing.assert_allclose(found.cooks_distance, fit.cooks_distance(), rtol=CLOSED)


def test_dfbetas_of_linear_models_are_those_of_belsley_kuh_and_welsch():
    fit = pp.lm("hwy ~ displ", pp.datasets.load("mpg"))
    found = influence(fit._record)
    X = fit.model_matrix().to_numpy()
    unscaled = np.sqrt(np.diag(np.linalg.inv(X.T @ X)))
    expected = (fit.params.to_numpy() - found.estimates) / (found.sigma[:, None] * unscaled)
    np.testing.assert_allclose(found.dfbetas, expected, rtol=CLOSED)


def test_a_mixed_model_without_variance_between_groups_is_the_linear_one():
    data = pp.datasets.load("Dyestuff2")
    mixed = influence(pp.lmer("Yield ~ 1 + (1 | Batch)", data)._record)
    linear = influence(pp.lm("Yield ~ 1", data)._record)
    same = np.all(mixed.theta < 1e-6, axis=1)  # without some rows the variance is positive
    assert same.sum() > 10
    np.testing.assert_allclose(mixed.estimates[same], linear.estimates[same], rtol=1e-9)


# -- what the other rows do not determine ---------------------------------------------------------


@pytest.mark.parametrize("bars", ["", " + (1 | drv)"])
def test_coefficients_that_only_the_deleted_rows_determine_are_missing(bars):
    data = pp.datasets.load("mpg")
    fitter = pp.lmer if bars else pp.lm
    fit = fitter(f"hwy ~ displ + C(cyl){bars}", data)
    found = influence(fit._record, "cyl")
    of = dict(zip(found.labels, found.estimates, strict=True))
    names = list(found.names)
    assert [n for n, v in zip(names, of[5], strict=True) if math.isnan(v)] == ["C(cyl)[T.5]"]
    # Without the base level the dummies say nothing of Intercept, but displ still has its meaning.
    assert [n for n, v in zip(names, of[4], strict=True) if not math.isnan(v)] == ["displ"]
    left = data[data["cyl"] != 4]
    refit = fitter(f"hwy ~ displ + C(cyl){bars}", left)
    assert of[4][names.index("displ")] == pytest.approx(refit.params["displ"], rel=SAME)
    assert "do not determine C(cyl)[T.5]" in found.failures[5]
    assert math.isnan(found.cooks_distance[5])
    assert "Without 5:" in str(found)


def test_a_row_of_leverage_one():
    data = pp.datasets.load("mpg").assign(own=lambda d: (np.arange(len(d)) == 7) * 1.0)
    found = influence(pp.lm("hwy ~ displ + own", data)._record)
    assert math.isnan(found.estimates[7, 2])
    refit = pp.lm("hwy ~ displ", data.drop(index=data.index[7]))
    np.testing.assert_allclose(found.estimates[7, :2], refit.params, rtol=CLOSED)
    assert found.sigma[7] == pytest.approx(refit.sigma, rel=CLOSED)


def test_a_factor_that_is_left_with_one_level():
    data = pp.datasets.load("sleepstudy").query("Subject in ['308', '309']")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        fit = pp.lmer("Reaction ~ Days + (1 | Subject)", data)
    found = influence(fit._record, "Subject")
    assert np.isnan(found.estimates).all()
    assert "one level of 'Subject' is left" in next(iter(found.failures.values()))


# -- the object -----------------------------------------------------------------------------------


def test_the_table_and_its_parts():
    found = influence(sleep()._record, "Subject")
    table = found.to_frame()
    assert table.index.name == "Subject"
    assert list(table.columns) == [
        "rows", "cooks_distance", "sigma",
        "Subject.Intercept", "Subject.Days.Intercept", "Subject.Days",
        "Intercept", "Days", "dfbetas.Intercept", "dfbetas.Days",
    ]  # fmt: skip
    assert (table["rows"] == 10).all()
    change = found.params - found.estimates
    np.testing.assert_array_equal(found.dfbeta, change)
    np.testing.assert_allclose(found.dfbetas, change / found.std_errors)


def test_dropped_columns_stay_missing():
    data = pp.datasets.load("sleepstudy").assign(twice=lambda d: 2 * d["Days"])
    with pytest.warns(pp.RankDeficientWarning):
        fit = pp.lmer("Reaction ~ Days + twice + (1 | Subject)", data)
    found = influence(fit._record, "Subject")
    assert found.names == ("Intercept", "Days", "twice")
    assert np.isnan(found.estimates[:, 2]).all()
    assert np.isfinite(found.estimates[:, :2]).all()
    assert not found.failures


def test_the_most_influential_come_first_in_print():
    lines = str(influence(sleep()._record, "Subject")).splitlines()
    assert lines[1].split()[:2] == ["Subject", "rows"]
    found = influence(sleep()._record, "Subject")
    assert lines[2].split()[0] == found.cooks_distance.idxmax()


def test_few_levels_and_many_coefficients_have_no_distance_on_the_scale_of_lme4():
    fit = pp.lmer("hwy ~ displ + year + cty + (1 | drv)", pp.datasets.load("mpg"))
    found = influence(fit._record, "drv")
    assert np.isnan(found.cooks_distance).all()
    assert np.isfinite(found.f_distance).all()


def test_frozen_picklable_and_the_model_untouched():
    record = sleep()._record
    before = record.solution.beta.copy()
    found = influence(record, "Subject")
    with pytest.raises(ValueError, match="read-only"):
        found.estimates[0, 0] = 1.0
    with pytest.raises(AttributeError):
        found.group = "x"
    again = pickle.loads(pickle.dumps(found))
    pd.testing.assert_frame_equal(again.to_frame(), found.to_frame())
    assert str(again) == str(found)
    np.testing.assert_array_equal(record.solution.beta, before)


# -- bad input ------------------------------------------------------------------------------------


def test_an_unknown_group():
    with pytest.raises(pp.SpecificationError, match="no column 'Subjct'.* Did you mean 'Subject'"):
        influence(sleep()._record, "Subjct")


def test_an_array_of_the_wrong_length():
    with pytest.raises(pp.DataError, match="group has 3 values; this fit used 180 rows"):
        influence(sleep()._record, ["a", "b", "c"])


def test_a_single_level():
    with pytest.raises(pp.SpecificationError, match="nothing is left"):
        influence(sleep()._record, ["a"] * 180)


def test_refits_that_would_take_hours_are_refused():
    rng = np.random.default_rng(1)
    n = 1_000_000
    data = pd.DataFrame({"g": rng.integers(0, 1000, n), "x": rng.normal(size=n)})
    data["y"] = data["x"] + rng.normal(size=1000)[data["g"]] + rng.normal(size=n)
    fit = pp.lmer("y ~ x + (1 | g)", data)
    with pytest.raises(pp.SpecificationError, match=r"1000000 refits .* hours.*cooks_distance"):
        influence(fit._record)


@pytest.mark.parametrize("formula", ["Reaction ~ 0 + (1 | Subject)", "Reaction ~ 0"])
def test_models_without_coefficients_print(formula):
    fit = (pp.lmer if "|" in formula else pp.lm)(formula, pp.datasets.load("sleepstudy"))
    assert str(influence(fit._record, "Subject")).count("\n") >= 9


def test_data_in_other_libraries():
    data = pp.datasets.load("sleepstudy")
    expected = influence(pp.lm("Reaction ~ Days", data)._record, "Subject").to_frame()
    as_dict = {name: data[name].to_numpy() for name in data.columns}
    found = influence(pp.lm("Reaction ~ Days", as_dict)._record, "Subject").to_frame()
    np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())
