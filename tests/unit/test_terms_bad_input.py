"""What tests of terms, contrasts and comparisons refuse, and how their tables read."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.inference.comparison import compare_models, drop1, ranova
from partialpool.inference.contrasts import contrast
from partialpool.inference.terms import anova, check_type


@pytest.fixture(scope="module")
def sleep() -> pd.DataFrame:
    return pp.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def mixed(sleep: pd.DataFrame) -> Any:
    return pp.lmer("Reaction ~ Days + (Days | Subject)", sleep)._record


@pytest.fixture(scope="module")
def linear(sleep: pd.DataFrame) -> Any:
    return pp.lm("Reaction ~ Days", sleep)._record


@pytest.fixture(scope="module")
def repeated(sleep: pd.DataFrame) -> Any:
    frame = sleep.assign(Hours=24.0 * sleep["Days"] + 1, none=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pp.lm("Reaction ~ Days + Hours + none", frame)._record


# -- anova ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", [1, "1", "I", "i", np.int64(1)])
def test_types_have_several_spellings(mixed: Any, spelling: Any) -> None:
    pd.testing.assert_frame_equal(anova(mixed, type=spelling), anova(mixed, type=1))


@pytest.mark.parametrize("wrong", [4, 0, "IV", True, None, 3.0, "three", [3]])
def test_other_types_are_refused(mixed: Any, wrong: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="must be 1, 2 or 3"):
        anova(mixed, type=wrong)
    with pytest.raises(pp.SpecificationError):
        check_type(wrong)


def test_other_methods_are_refused(mixed: Any, linear: Any, sleep: pd.DataFrame) -> None:
    for record in (mixed, linear):
        with pytest.raises(pp.SpecificationError, match="ddf='kr'"):
            anova(record, ddf="kr")
        with pytest.raises(pp.SpecificationError, match="ddf='kr'"):
            contrast(record, "Days", ddf="kr")
        with pytest.raises(pp.SpecificationError, match="ddf='kr'"):
            drop1(record, test="F", ddf="kr")
    by_ml = pp.lmer("Reaction ~ Days + (1 | Subject)", sleep, reml=False)._record
    for test in (
        lambda: anova(by_ml, ddf="kenward-roger"),
        lambda: contrast(by_ml, "Days", ddf="kenward-roger"),
        lambda: drop1(by_ml, test="F", ddf="kenward-roger"),
    ):
        with pytest.raises(pp.SpecificationError, match="REML"):
            test()


def test_residuals_of_lm_have_a_row(linear: Any, mixed: Any) -> None:
    table = anova(linear, type=1)
    assert list(table.index) == ["Days", "Residuals"]
    assert table.loc["Residuals", "num_df"] == 178
    assert table.loc["Residuals", "mean_sq"] == pytest.approx(linear.sigma**2)
    assert table.loc["Days", "den_df"] == 178
    assert np.isnan(table.loc["Residuals", "F"])
    assert list(anova(mixed).index) == ["Days"]


def test_a_model_of_its_intercept_has_no_terms(sleep: pd.DataFrame) -> None:
    columns = ["sum_sq", "mean_sq", "num_df", "den_df", "F", "p_value"]
    empty = anova(pp.lmer("Reaction ~ 1 + (1 | Subject)", sleep)._record)
    assert list(empty.columns) == columns
    assert len(empty) == 0
    assert "Empty" in str(empty) or "sum_sq" in str(empty)
    assert list(anova(pp.lm("Reaction ~ 1", sleep)._record).index) == ["Residuals"]
    assert list(drop1(pp.lm("Reaction ~ 1", sleep)._record).index) == ["<none>"]
    assert len(drop1(pp.lm("Reaction ~ 1", sleep)._record, test="F")) == 0


@pytest.mark.filterwarnings("ignore::partialpool.PartialPoolWarning")
def test_exact_fits_have_no_f(sleep: pd.DataFrame) -> None:
    frame = sleep.assign(y=2.0 + 3.0 * sleep["Days"])
    mixed = pp.lmer("y ~ Days + (1 | Subject)", frame)._record
    table = anova(mixed)
    assert np.isnan(table.loc["Days", "F"])
    assert "exact" in table.attrs["note"]
    for test in (drop1, ranova, lambda r: compare_models([r, r]), lambda r: contrast(r, "Days")):
        with pytest.raises(pp.SpecificationError, match="exact"):
            test(mixed)


# -- contrast -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("L", "match"),
    [
        ("Dais", "Did you mean 'Days'"),
        (["Days", "nothing"], "no coefficient 'nothing'"),
        ({"Days": "much"}, "not a number"),
        ({"Days": np.nan}, "value nan in row 1"),
        ([1.0, 2.0, 3.0], "3 columns; there are 2 coefficients"),
        ([[1.0], [2.0]], "1 columns; there are 2"),
        ([[0.0, 1.0], [0.0, 0.0]], "Row 2 of L is zero"),
        ([0.0, np.inf], "inf"),
        ([], "at least one row"),
        ({}, "Row 1 of L is zero"),
        (np.zeros((0, 2)), "at least one row"),
        (np.zeros((1, 1, 2)), "shape"),
        (5.0, "shape"),
        (object(), "must hold numbers"),
        (["Days", 3], "of type int beside names"),
        ([["Days"]], "must hold numbers"),
        (pd.DataFrame({"Days": [1.0], "x": [1.0]}), "no coefficient 'x'"),
        (pd.DataFrame({"Days": ["one"]}), "not all numbers"),
        (pd.DataFrame({"Days": []}), "without rows"),
        (pd.DataFrame([[1.0, 1.0]], columns=["Days", "Days"]), "two columns"),
        (None, "L must hold numbers|shape|at least one row"),
    ],
)
def test_bad_weights_are_refused(mixed: Any, linear: Any, L: Any, match: str) -> None:
    for record in (mixed, linear):
        with pytest.raises(pp.SpecificationError, match=match):
            contrast(record, L)


@pytest.mark.parametrize("rhs", [[1.0, 2.0], np.nan, "one", [[1.0]], [np.inf], None])
def test_bad_right_sides_are_refused(mixed: Any, rhs: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="rhs"):
        contrast(mixed, "Days", rhs=rhs)


def test_contradictions_are_refused(mixed: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="contradict"):
        contrast(mixed, [{"Days": 1}, {"Days": 2}], rhs=[1.0, 5.0])
    joint = contrast(mixed, [{"Days": 1}, {"Days": 2}], rhs=[1.0, 2.0])
    assert joint.loc["joint", "num_df"] == 1
    assert "1 of them" in joint.attrs["note"]
    alone = contrast(mixed, "Days", rhs=1.0)
    assert joint.loc["joint", "F"] == pytest.approx(alone.loc["joint", "F"])


@pytest.mark.parametrize("level", [0, 1, 95, True, "0.9"])
def test_bad_levels_are_refused(mixed: Any, level: Any) -> None:
    for joint in (True, False):
        with pytest.raises(pp.SpecificationError, match="level"):
            contrast(mixed, "Days", level=level, joint=joint)


def test_joint_is_yes_or_no(mixed: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="joint"):
        contrast(mixed, "Days", joint="no")  # type: ignore[arg-type]


def test_forms_of_weights_agree(mixed: Any) -> None:
    wanted = contrast(mixed, np.array([[1.0, 2.0]]), joint=False)
    forms = [
        [1.0, 2.0],
        {"Intercept": 1, "Days": 2},
        [{"Intercept": 1, "Days": 2}],
        pd.Series({"Days": 2.0, "Intercept": 1.0}),
        pd.DataFrame({"Days": [2.0], "Intercept": [1.0]}),
        np.array([1, 2]),
    ]
    for form in forms:
        pd.testing.assert_frame_equal(contrast(mixed, form, joint=False), wanted)
    assert list(wanted.index) == ["Intercept + 2 Days"]
    named = contrast(mixed, pd.DataFrame({"Days": [10.0]}, index=["ten days"]), joint=False)
    assert list(named.index) == ["ten days"]
    twice = contrast(mixed, ["Days", "Days"], joint=False)
    assert list(twice.index) == ["Days (1)", "Days (2)"]


def test_what_cannot_be_estimated_is_refused_with_the_reason(repeated: Any) -> None:
    with pytest.raises(
        pp.SpecificationError, match=r"column of X is Intercept \+ 24 Days and.*weight of 0 is"
    ):
        contrast(repeated, "Hours")
    with pytest.raises(pp.SpecificationError, match="weight of 48 is"):
        contrast(repeated, {"Days": 2, "Hours": 1})
    with pytest.raises(pp.SpecificationError, match="column of X is zero"):
        contrast(repeated, {"Days": 1, "none": 1})
    assert contrast(repeated, "Days").loc["joint", "num_df"] == 1
    with pytest.raises(pp.SpecificationError, match="'Hours' the weight 1.*weight of 49 is"):
        contrast(repeated, {"Intercept": 1, "Days": 2, "Hours": 1})
    whole = contrast(repeated, {"Intercept": 1, "Days": 2, "Hours": 49}, joint=False)
    plain = contrast(repeated, {"Intercept": 1, "Days": 2}, joint=False)
    np.testing.assert_array_equal(whole.to_numpy(), plain.to_numpy())


# -- drop1, ranova, comparison --------------------------------------------------------------------


def test_bad_tests_are_refused(mixed: Any, linear: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="test='LRT' must be"):
        drop1(mixed, test="LRT")
    with pytest.raises(pp.SpecificationError, match="test='F' must be"):
        compare_models([linear, mixed], test="F")
    with pytest.raises(pp.UnavailableError, match="no random effects"):
        ranova(linear)


@pytest.mark.parametrize(
    ("names", "match"),
    [(["a"], "2 different names"), (["a", "a"], "2 different names"), ("ab", "2 different names")],
)
def test_bad_names_are_refused(mixed: Any, linear: Any, names: Any, match: str) -> None:
    with pytest.raises(pp.SpecificationError, match=match):
        compare_models([mixed, linear], names)


def test_one_model_is_not_compared(mixed: Any) -> None:
    for records in ([], [mixed]):
        with pytest.raises(pp.SpecificationError, match="two or more"):
            compare_models(records)


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "many", None])
def test_bad_numbers_of_replicates_are_refused(mixed: Any, linear: Any, n: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="n="):
        compare_models([mixed, linear], test="bootstrap", n=n)


@pytest.mark.parametrize("seed", [-1, "seed", 1.5])
def test_bad_seeds_are_refused(mixed: Any, linear: Any, seed: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="seed="):
        compare_models([mixed, linear], test="bootstrap", n=5, seed=seed)


@pytest.mark.parametrize("n_jobs", [0, "two", 1.5, None, True])
def test_bad_numbers_of_workers_are_refused(mixed: Any, linear: Any, n_jobs: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="n_jobs="):
        compare_models([mixed, linear], test="bootstrap", n=5, seed=1, n_jobs=n_jobs)


def test_criteria_that_are_not_comparable_are_refused(sleep: pd.DataFrame, linear: Any) -> None:
    m0 = pp.lmer("Reaction ~ 1 + (1 | Subject)", sleep)._record
    m1 = pp.lmer("Reaction ~ Days + (1 | Subject)", sleep)._record
    m2 = pp.lmer("Reaction ~ Days + (1 | Subject)", sleep, reml=False)._record
    with pytest.raises(pp.SpecificationError, match="different fixed parts"):
        compare_models([m0, m1], refit=False)
    for other in (linear, m2):
        with pytest.raises(pp.SpecificationError, match="only m0 were fitted by REML"):
            compare_models([m1, other], refit=False)
    with pytest.raises(pp.SpecificationError, match="refit=True"):
        compare_models([m1, m1], refit=False, test="bootstrap", n=2)


# -- how tables read ------------------------------------------------------------------------------


def test_tables_print_title_and_notes_and_are_frames(mixed: Any, linear: Any) -> None:
    table = compare_models([linear, mixed])
    text = str(table)
    assert text.startswith("Comparison of models by maximum likelihood")
    assert "refitted by maximum likelihood" in text
    assert "boundary" in text
    assert "<p>" in table._repr_html_()
    assert isinstance(table, pd.DataFrame)
    assert type(table[["aic"]]) is pd.DataFrame
    assert type(table.round(2)) is pd.DataFrame
    assert table.loc["m1", "df"] == 3
    again = pickle.loads(pickle.dumps(table))
    pd.testing.assert_frame_equal(again, table)
    assert str(again) == text


def test_small_p_values_and_large_numbers_print_in_full(mixed: Any) -> None:
    lines = str(drop1(mixed)).splitlines()
    assert lines[1].split() == ["npar", "aic", "lrt", "df", "p_value"]
    assert lines[3].split() == ["Days", "5", "1785.48", "23.5365", "1", "1.226e-06"]
    big = pp.lm("y ~ x", {"x": np.arange(9.0), "y": 1e5 * np.arange(9.0) ** 2})._record
    assert "e+" not in str(anova(big)).splitlines()[2].split()[1]
