"""Tests of terms, contrasts, dropped terms and model comparisons against lmerTest, lme4 and lm.

`data/terms.json` was made by `data/terms.R`; the other values are those of `cases.json` and the
acceptance list. F and degrees of freedom of R carry the error of its optimiser and of numerical
derivatives, here about 1e-6 and 1e-4.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.inference.comparison import compare_models, drop1, ranova
from partialpool.inference.contrasts import contrast
from partialpool.inference.terms import anova
from tests.reference.lme4 import CASES, LM, LMER, data

_DATA = Path(__file__).parent / "data"
TERMS: dict[str, Any] = json.loads((_DATA / "terms.json").read_text())["cases"]
MIXED = [name for name, case in TERMS.items() if "type3" in case]
KR = [name for name in MIXED if "kr" in TERMS[name]]
OPTIONS: dict[str, dict[str, Any]] = {
    "sums": {"contrasts": {"a": "sum", "b": "helmert"}},
    "weighted": {"weights": "w"},
}

F_TOLERANCE = 2e-5  # relative; optimum of R to 1e-10 in theta, cases.json to 1e-9 in the criterion
DF_TOLERANCE = 1e-3  # relative; lmerTest differentiates numerically
P_TOLERANCE = 1e-3  # relative
EXACT = 1e-8  # relative; least squares, twelve digits stored

pytestmark = [
    pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning"),
    pytest.mark.filterwarnings("ignore::partialpool.RankDeficientWarning"),
    pytest.mark.filterwarnings("ignore::partialpool.ConvergenceWarning"),
]


def terms_data(name: str) -> pd.DataFrame:
    frame = pd.read_csv(_DATA / "terms.csv")
    return frame[frame["inside"] == 1] if "missing" in name else frame


def mixed(name: str, **options: Any) -> Any:
    fit = pp.lmer(TERMS[name]["formula"], terms_data(name), **OPTIONS.get(name, {}), **options)
    return fit._record


def check(found: pd.DataFrame, wanted: dict[str, Any], f: float, df: float, p: float) -> None:
    assert list(found.index) == wanted["term"]
    np.testing.assert_array_equal(found["num_df"], wanted["num_df"])
    np.testing.assert_allclose(found["F"], as_floats(wanted["F"]), rtol=f)
    np.testing.assert_allclose(found["sum_sq"], as_floats(wanted["sum_sq"]), rtol=f)
    np.testing.assert_allclose(found["mean_sq"], found["sum_sq"] / found["num_df"], rtol=1e-12)
    np.testing.assert_allclose(found["p_value"], as_floats(wanted["p_value"]), rtol=p, atol=1e-14)
    if "den_df" in wanted:
        np.testing.assert_allclose(found["den_df"], wanted["den_df"], rtol=df)


def as_floats(values: Any) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in np.atleast_1d(values)], dtype=float)


def in_r_names(table: dict[str, Any], den: bool = True) -> dict[str, Any]:
    """A table of cases.json by our names."""
    names = {
        "term": "term",
        "sum_sq": "Sum Sq",
        "num_df": "NumDF" if den else "Df",
        "F": "F value",
        "p_value": "Pr(>F)",
    } | ({"den_df": "DenDF"} if den else {})
    return {
        ours: table[r] if isinstance(table[r], list) else [table[r]] for ours, r in names.items()
    }


# -- anova ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", [1, 2, 3])
@pytest.mark.parametrize("name", MIXED)
def test_types_match_lmertest(name: str, type_: int) -> None:
    found = anova(mixed(name), type=type_)
    wanted = TERMS[name][f"type{type_}"]
    if (name, type_) == ("polynomial", 2):
        # lmerTest takes the matrix poly(x, 2) for a factor, so that `a:poly(x, 2)` contains `a`
        # there; beside a plain number it does not, nor does it here.
        found = found.drop(index="a")
        wanted = {column: values[1:] for column, values in wanted.items()}
    check(found, wanted, F_TOLERANCE, DF_TOLERANCE, P_TOLERANCE)


@pytest.mark.parametrize("name", KR)
def test_type_three_by_kenward_roger_matches_lmertest(name: str) -> None:
    found = anova(mixed(name), ddf="kenward-roger")
    check(found, TERMS[name]["kr"], 1e-5, DF_TOLERANCE, P_TOLERANCE)


@pytest.mark.parametrize("type_", [1, 2, 3])
@pytest.mark.parametrize("name", [n for n in LMER if "lmerTest" in CASES[n]])
def test_types_match_stored_cases(name: str, type_: int) -> None:
    case = CASES[name]
    options = {key: case[key] for key in ("weights", "offset") if isinstance(case.get(key), str)}
    if name in ("sleep_weights", "sleep_offset"):
        options = {"sleep_weights": {"weights": "w"}, "sleep_offset": {"offset": "o"}}[name]
    fit = pp.lmer(case["formula"], data(case["data"]), reml=case["REML"], **options)
    found = anova(fit._record, type=type_)
    wanted = in_r_names(case["lmerTest"][f"anova{type_}"])
    check(found, wanted, 1e-4, DF_TOLERANCE, P_TOLERANCE)


@pytest.mark.parametrize("name", [n for n in LMER if "kenward_roger" in CASES[n]])
def test_kenward_roger_matches_stored_cases(name: str) -> None:
    case = CASES[name]
    fit = pp.lmer(case["formula"], data(case["data"]), reml=case["REML"])
    found = anova(fit._record, ddf="kenward-roger")
    wanted = in_r_names(case["kenward_roger"]["anova3"])
    check(found, wanted, 1e-4, DF_TOLERANCE, P_TOLERANCE)


@pytest.mark.parametrize("name", LM)
def test_type_one_of_lm_is_the_sequential_anova_of_r(name: str) -> None:
    case = CASES[name]
    found = anova(pp.lm(case["formula"], data(case["data"]))._record, type=1)
    check(found, in_r_names(case["anova1"], den=False), EXACT, EXACT, 1e-6)


@pytest.mark.parametrize("name", TERMS["lm"])
def test_lm_with_weights_missing_cells_and_nesting_matches_r(name: str) -> None:
    case = TERMS["lm"][name]
    weights = "w" if name == "weighted" else None
    fit = pp.lm(case["formula"], terms_data(name), weights=weights)
    found = anova(fit._record, type=1)
    assert (found["den_df"][:-1].dropna() == fit.df_resid).all()
    check(found[found["num_df"] > 0], case, EXACT, EXACT, 1e-6)
    if name == "none":
        return  # R drops the columns of `a` and leaves `b` coded as if `a` were there
    single = case["drop1"]
    by_f = drop1(fit._record, test="F")
    assert list(by_f.index) == single["term"][1:]
    np.testing.assert_array_equal(by_f["num_df"], single["num_df"][1:])
    for ours in ("sum_sq", "F", "p_value"):
        np.testing.assert_allclose(by_f[ours], as_floats(single[ours][1:]), rtol=1e-7, atol=1e-12)


# -- acceptance rows ------------------------------------------------------------------------------


def test_acceptance_31_and_112_days() -> None:
    sleep = data("sleepstudy")
    record = pp.lmer("Reaction ~ Days + (Days | Subject)", sleep)._record
    row = anova(record).loc["Days"]
    np.testing.assert_allclose([row["sum_sq"], row["F"]], [30030.94, 45.85296], rtol=1e-4)
    record = pp.lmer("Reaction ~ Days + I(Days^2) + (Days | Subject)", sleep)._record
    both = contrast(record, ["Days", "I(Days^2)"]).loc["joint"]
    np.testing.assert_allclose([both["F"], both["den_df"]], [23.75435, 51.563], rtol=1e-4)


def test_acceptance_112_by_kenward_roger() -> None:
    sleep = data("sleepstudy")
    record = pp.lmer("Reaction ~ Days + I(Days^2) + (Days | Subject)", sleep)._record
    both = contrast(record, ["Days", "I(Days^2)"], ddf="kenward-roger").loc["joint"]
    np.testing.assert_allclose([both["F"], both["den_df"]], [23.36452, 39.81704], rtol=1e-4)


def test_acceptance_44_and_113_slopes_of_days() -> None:
    sleep = data("sleepstudy")
    m0 = pp.lmer("Reaction ~ Days + (1 | Subject)", sleep)._record
    m1 = pp.lmer("Reaction ~ Days + (Days | Subject)", sleep)._record
    by_ml = compare_models([m0, m1]).loc["m1"]
    np.testing.assert_allclose([by_ml["chisq"], by_ml["df"]], [42.1393, 2], rtol=1e-6)
    assert by_ml["p_value"] == pytest.approx(7.07e-10, rel=1e-3)
    by_reml = compare_models([m0, m1], refit=False).loc["m1"]
    assert by_reml["chisq"] == pytest.approx(42.83681, abs=1e-4)
    row = ranova(m1).loc["(Days | Subject)"]
    np.testing.assert_allclose([row["lrt"], row["df"]], [42.83681, 2], rtol=1e-6)
    # without reduction: all of the bar, against the linear model's REML criterion (150.03539, 3)
    whole = ranova(m0).loc["(1 | Subject)", "lrt"] + row["lrt"]
    assert whole == pytest.approx(150.03539, abs=1e-4)


def test_acceptance_45_drop_days() -> None:
    record = pp.lmer("Reaction ~ Days + (Days | Subject)", data("sleepstudy"))._record
    row = drop1(record).loc["Days"]
    wanted = [1785.4759, 23.536538, 1.2256e-6]
    np.testing.assert_allclose([row["aic"], row["lrt"], row["p_value"]], wanted, rtol=1e-4)


def test_acceptance_114_and_115_cake() -> None:
    cake = data("cake")
    rows = anova(pp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)._record)
    np.testing.assert_allclose(rows["F"], [0.248789, 20.51986, 1.006198], rtol=1e-5)
    np.testing.assert_allclose(rows["den_df"], [42, 210, 210], rtol=1e-6)
    if "temp" not in cake:
        cake["temp"] = cake["temperature"].astype(str).astype(float)
    rows = anova(pp.lmer("angle ~ recipe * temp + (1 | recipe:replicate)", cake)._record)
    np.testing.assert_allclose(rows["F"], [0.095678, 94.16323, 0.041692], rtol=1e-4)
    np.testing.assert_allclose(rows["den_df"], [254.0158, 222, 222], rtol=1e-4)


# -- contrasts ------------------------------------------------------------------------------------


def test_contrasts_match_contest_of_lmertest() -> None:
    case = TERMS["contest"]
    record = mixed("crossed")
    L = np.array(case["L"])
    found = contrast(record, L, joint=False, rhs=0.5)
    pairs = {
        "estimate": "Estimate",
        "std_error": "Std. Error",
        "df": "df",
        "t_ratio": "t value",
        "p_value": "Pr(>|t|)",
        "conf_low": "lower",
        "conf_high": "upper",
    }
    for ours, r in pairs.items():
        np.testing.assert_allclose(found[ours], case["one"][r], rtol=1e-4)
    joint = contrast(record, L[:2]).loc["joint"]
    for ours, r in {
        "num_df": "NumDF",
        "den_df": "DenDF",
        "F": "F value",
        "p_value": "Pr(>F)",
    }.items():
        assert joint[ours] == pytest.approx(case["joint"][r], rel=1e-4)


def test_contrasts_by_kenward_roger_match_contest_of_lmertest() -> None:
    case = TERMS["contest"]
    joint = contrast(mixed("crossed"), np.array(case["L"])[:2], ddf="kenward-roger").loc["joint"]
    for ours, r in {
        "num_df": "NumDF",
        "den_df": "DenDF",
        "F": "F value",
        "p_value": "Pr(>F)",
    }.items():
        assert joint[ours] == pytest.approx(case["kr"][r], rel=1e-4)


# -- dropped terms --------------------------------------------------------------------------------


def check_drop1(found: pd.DataFrame, wanted: dict[str, Any], aic: str, lrt: str, p: str) -> None:
    assert list(found.index) == wanted["term"]
    np.testing.assert_allclose(found["aic"], as_floats(wanted[aic]), rtol=1e-8)
    np.testing.assert_allclose(found["lrt"], as_floats(wanted[lrt]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["p_value"], as_floats(wanted[p]), rtol=1e-4)
    np.testing.assert_array_equal(found["df"], as_floats(wanted["npar"]))
    np.testing.assert_array_equal(found["npar"], found["npar"].iloc[0] - found["df"].fillna(0))


@pytest.mark.parametrize("name", KR)
def test_drop1_matches_lme4(name: str) -> None:
    check_drop1(drop1(mixed(name)), TERMS[name]["drop1"], "aic", "lrt", "p_value")


@pytest.mark.parametrize("name", [n for n in LMER if "drop1" in CASES[n]])
def test_drop1_matches_stored_cases(name: str) -> None:
    case = CASES[name]
    fit = pp.lmer(case["formula"], data(case["data"]), reml=case["REML"])
    check_drop1(drop1(fit._record), case["drop1"], "AIC", "LRT", "Pr(Chi)")


def our_bar(text: str) -> str:
    """lmerTest's label: a bar with one slope is `Days in (Days | Subject)` there."""
    part, found, bar = text.partition(" in ")
    return bar if found and part in (bar[1:].split(" |")[0]) and "+" not in bar else text


@pytest.mark.parametrize("name", KR)
def test_ranova_matches_lmertest(name: str) -> None:
    found, wanted = ranova(mixed(name)), TERMS[name]["ranova"]
    assert list(found.index) == [our_bar(text) for text in wanted["term"]]
    np.testing.assert_array_equal(found["npar"], wanted["npar"])
    np.testing.assert_allclose(found["llf"], wanted["llf"], rtol=1e-8)
    np.testing.assert_allclose(found["lrt"], as_floats(wanted["lrt"]), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["df"], as_floats(wanted["df"]))
    np.testing.assert_allclose(found["p_value"], as_floats(wanted["p_value"]), rtol=1e-4)


@pytest.mark.parametrize("name", [n for n in LMER if "ranova" in CASES[n]])
def test_ranova_matches_stored_cases(name: str) -> None:
    case = CASES[name]
    wanted = case["ranova"]
    fit = pp.lmer(case["formula"], data(case["data"]), reml=case["REML"])
    found = ranova(fit._record)
    labels = {
        "(1 | Subject)": "1 in (Days || Subject)",
        "Days in (0 + Days | Subject)": "Days in (Days || Subject)",
        "Days in (Days | Subject)": "(Days | Subject)",
    }
    assert list(found.index) == [labels.get(text, text) for text in wanted["term"]]
    np.testing.assert_array_equal(found["npar"], wanted["npar"])
    np.testing.assert_allclose(found["llf"], wanted["logLik"], rtol=1e-8)
    np.testing.assert_allclose(found["aic"], wanted["AIC"], rtol=1e-8)
    np.testing.assert_allclose(found["lrt"], as_floats(wanted["LRT"]), rtol=1e-5)
    np.testing.assert_allclose(found["p_value"], as_floats(wanted["Pr(>Chisq)"]), rtol=1e-4)


# -- comparison of models -------------------------------------------------------------------------


def test_comparison_with_lm_as_the_smallest_matches_lme4() -> None:
    frame, wanted = terms_data(""), TERMS["lrt"]
    models = {
        "a3": pp.lmer("y ~ a + x + (x | g)", frame),
        "a1": pp.lmer("y ~ a + (1 | g)", frame),
        "a2": pp.lmer("y ~ a + x + (1 | g)", frame),
        "a0": pp.lm("y ~ a", frame),
    }
    found = compare_models([m._record for m in models.values()], list(models))
    assert list(found.index) == wanted["term"]
    for column in ("npar", "aic", "bic", "llf", "deviance", "df"):
        np.testing.assert_allclose(found[column], as_floats(wanted[column]), rtol=1e-8)
    np.testing.assert_allclose(found["chisq"], as_floats(wanted["chisq"]), rtol=1e-6)
    np.testing.assert_allclose(found["p_value"], as_floats(wanted["p_value"]), rtol=1e-4)
    assert "a3, a1, a2 were fitted by REML" in found.attrs["note"]


@pytest.mark.parametrize("name", [n for n in LMER if "lrt" in CASES[n]])
def test_comparison_matches_stored_cases(name: str) -> None:
    case = CASES[name]
    frame, wanted = data(case["data"]), case["lrt"]["table"]
    m = pp.lmer(case["formula"], frame, reml=case["REML"])
    m2 = pp.lmer(case["lrt"]["other"], frame, reml=case["REML"])
    found = compare_models([m._record, m2._record], ["m", "m2"])
    assert list(found.index) == wanted["term"]
    for ours, r in {"npar": "npar", "aic": "AIC", "bic": "BIC", "llf": "logLik"}.items():
        np.testing.assert_allclose(found[ours], wanted[r], rtol=1e-8)
    np.testing.assert_allclose(found["chisq"], as_floats(wanted["Chisq"]), rtol=1e-6)
    np.testing.assert_allclose(found["p_value"], as_floats(wanted["Pr(>Chisq)"]), rtol=1e-4)
