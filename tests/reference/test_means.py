"""Marginal means, slopes and their contrasts against R's emmeans.

The values and the calls that made them are in data/emmeans.json, from data/emmeans.R; those of
`cases.json` and of the acceptance table were made separately.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import partialpool as pp
from tests.reference import lme4

STORED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "data" / "emmeans.json").read_text(encoding="utf-8")
)

# lme4's optimum is known to 1e-6 of theta, so means and their errors are to about the same.
MEAN = 1e-5
# R differentiates its covariances numerically, and a slope is flat in neither direction.
DF = 1e-3
P_VALUE = 1e-5
# R integrates the multivariate t by quasi-Monte Carlo to 1e-3.
MVT = 2e-3

HOLES = [3, 10, 11, 25, 48, 49, 77, 100, 131, 160, 161, 162, 200, 222, 223, 251]


def data(name: str) -> pd.DataFrame:
    frame = lme4.data(name)
    if name == "mpg":
        frame["w"] = np.resize([1.0, 2.0, 4.0], len(frame))
        frame["fl2"] = frame["fl"].where(frame["fl"].isin(["p", "r"]), "other").astype(str)
    return frame


@cache
def fit(name: str) -> Any:
    cake = data("cake")
    holes = cake.drop(index=[i - 1 for i in HOLES])
    mpg = data("mpg")
    return {
        "cake": lambda: pp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake),
        "holes": lambda: pp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", holes),
        "temp": lambda: pp.lmer(
            "angle ~ recipe * temp + I(temp^2) + (1 | recipe:replicate)", holes
        ),
        "additive": lambda: pp.lmer("angle ~ recipe + temperature + (1 | replicate)", holes),
        "mpg": lambda: pp.lmer("hwy ~ drv * displ + fl + year + (1 | manufacturer)", mpg),
        "logs": lambda: pp.lmer(
            "log(hwy) ~ drv * log(displ) + poly(cty, 2) + (1 | manufacturer)", mpg
        ),
        "weighted": lambda: pp.lmer(
            "hwy ~ drv + displ + class + (1 | manufacturer)", mpg, weights="w"
        ),
        "lm": lambda: pp.lm("hwy ~ drv * fl2 + displ", mpg),
        "offset": lambda: pp.lm("hwy ~ drv + year + offset(cty / 2)", mpg),
    }[name]()


KR = {"ddf": "kenward-roger"}
Call = Callable[[Any], Any]

# The call in R (m is the model) and the same here.
GRIDS: dict[str, Call] = {
    "emmeans(m, ~recipe)": lambda m: m.emmeans("recipe"),
    'emmeans(m, ~recipe, lmer.df = "kenward-roger")': lambda m: m.emmeans("recipe", **KR),
    "emmeans(m, ~recipe * temperature)": lambda m: m.emmeans(["recipe", "temperature"]),
    "emmeans(m, ~temperature | recipe)": lambda m: m.emmeans("temperature", by="recipe"),
    'emmeans(m, ~recipe, weights = "proportional")': lambda m: m.emmeans(
        "recipe", weights="proportional"
    ),
    'emmeans(m, ~recipe, weights = "cells")': lambda m: m.emmeans("recipe", weights="cells"),
    'emmeans(m, ~recipe, at = list(temperature = c("185", "225")))': lambda m: m.emmeans(
        "recipe", at={"temperature": ["185", "225"]}
    ),
    "emmeans(m, ~recipe | temp, at = list(temp = c(180, 220)))": lambda m: m.emmeans(
        "recipe", by="temp", at={"temp": [180, 220]}
    ),
    "emmeans(m, ~recipe, at = list(temp = c(180, 220)))": lambda m: m.emmeans(
        "recipe", at={"temp": [180, 220]}
    ),
    'emtrends(m, ~recipe, var = "temp", delta.var = 1e-04)': lambda m: m.emtrends("temp", "recipe"),
    'emtrends(m, ~recipe, var = "temp", delta.var = 1e-04, lmer.df = "kenward-roger")': (
        lambda m: m.emtrends("temp", "recipe", **KR)
    ),
    "emmeans(m, ~temperature)": lambda m: m.emmeans("temperature"),
    'emmeans(m, ~temperature, weights = "outer")': lambda m: m.emmeans(
        "temperature", weights="outer"
    ),
    "emmeans(m, ~drv)": lambda m: m.emmeans("drv"),
    'emmeans(m, ~drv, lmer.df = "kenward-roger")': lambda m: m.emmeans("drv", **KR),
    'emmeans(m, ~drv, weights = "proportional")': lambda m: m.emmeans(
        "drv", weights="proportional"
    ),
    'emmeans(m, ~drv, weights = "cells")': lambda m: m.emmeans("drv", weights="cells"),
    'emmeans(m, ~drv * fl, at = list(displ = 2, fl = c("p", "r")))': lambda m: m.emmeans(
        ["drv", "fl"], at={"displ": 2, "fl": ["p", "r"]}
    ),
    'emtrends(m, ~drv, var = "displ")': lambda m: m.emtrends("displ", "drv"),
    'emtrends(m, ~drv, var = "displ", delta.var = 1e-05)': lambda m: m.emtrends("displ", "drv"),
    'emtrends(m, ~1, var = "cty", delta.var = 1e-05)': lambda m: m.emtrends("cty"),
    "emmeans(m, ~drv | fl2)": lambda m: m.emmeans("drv", by="fl2"),
}


def temperatures(m: Any, method: Any = "pairwise", **options: Any) -> Any:
    return m.emmeans("temperature").contrast(method, **options)


TABLES: dict[str, Call] = {
    "pairs(emmeans(m, ~recipe))": lambda m: m.emmeans("recipe").pairs(),
    "confint(pairs(emmeans(m, ~recipe)))": lambda m: m.emmeans("recipe").pairs().conf_int(),
    "pairs(emmeans(m, ~temperature))": lambda m: m.emmeans("temperature").pairs(),
    'pairs(emmeans(m, ~temperature, lmer.df = "kenward-roger"))': lambda m: m.emmeans(
        "temperature", **KR
    ).pairs(),
    **{
        f'pairs(emmeans(m, ~temperature), adjust = "{name}")': (
            lambda m, name=name: m.emmeans("temperature").pairs(adjust=name)
        )
        for name in ("sidak", "holm", "bonferroni", "none", "mvt")
    },
    'confint(pairs(emmeans(m, ~temperature), adjust = "tukey"))': lambda m: temperatures(
        m, adjust="tukey"
    ).conf_int(),
    'confint(pairs(emmeans(m, ~temperature), adjust = "sidak"), level = 0.9)': lambda m: (
        temperatures(m, adjust="sidak").conf_int(0.9)
    ),
    'confint(pairs(emmeans(m, ~temperature), adjust = "bonferroni"))': lambda m: temperatures(
        m, adjust="bonferroni"
    ).conf_int(),
    "pairs(emmeans(m, ~recipe | temperature))": lambda m: m.emmeans(
        "recipe", by="temperature"
    ).pairs(),
    'contrast(emmeans(m, ~temperature), "poly")': lambda m: temperatures(m, "poly"),
    'contrast(emmeans(m, ~temperature), "eff", adjust = "holm")': lambda m: temperatures(
        m, "eff", adjust="holm"
    ),
    'contrast(emmeans(m, ~temperature), "consec", adjust = "none")': lambda m: temperatures(
        m, "consec", adjust="none"
    ),
    'contrast(emmeans(m, ~temperature), "trt.vs.ctrl", adjust = "mvt")': lambda m: temperatures(
        m, "trt.vs.ctrl", adjust="mvt"
    ),
    "pairs(emmeans(m, ~drv))": lambda m: m.emmeans("drv").pairs(),
    'pairs(emtrends(m, ~drv, var = "displ"))': lambda m: m.emtrends("displ", "drv").pairs(),
    "pairs(emmeans(m, ~drv | fl2))": lambda m: m.emmeans("drv", by="fl2").pairs(),
    "joint_tests(emmeans(m, ~recipe * temperature))": lambda m: m.emmeans(
        ["recipe", "temperature"]
    ).joint_tests(),
    'joint_tests(emmeans(m, ~recipe * temperature, lmer.df = "kenward-roger"))': lambda m: (
        m.emmeans(["recipe", "temperature"], **KR).joint_tests()
    ),
    "joint_tests(emmeans(m, ~drv * fl2))": lambda m: m.emmeans(["drv", "fl2"]).joint_tests(),
    'joint_tests(emmeans(m, ~drv * fl2), by = "fl2")': lambda m: m.emmeans(
        "drv", by="fl2"
    ).joint_tests(),
}


def entries(kind: str) -> list[Any]:
    return [pytest.param(e, id=f"{e['model']}: {e['call']}") for e in STORED[kind]]


@pytest.mark.parametrize("entry", entries("grids"))
def test_means_and_slopes_match_emmeans(entry: dict[str, Any]) -> None:
    theirs = entry["table"]
    ours = GRIDS[entry["call"]](fit(entry["model"])).to_frame()
    (value,) = {"emmean", "temp.trend", "displ.trend", "cty.trend"} & set(theirs)
    for name in set(theirs) & {"recipe", "temperature", "drv", "fl", "fl2", "temp"}:
        assert ours[name].tolist() == theirs[name]
    error = np.atleast_1d(theirs["SE"])
    assert_allclose(ours.iloc[:, -5], np.atleast_1d(theirs[value]), rtol=0, atol=MEAN * error.max())
    assert_allclose(ours["std_error"], error, rtol=MEAN)
    assert_allclose(ours["df"], np.atleast_1d(theirs["df"]), rtol=DF)
    assert_allclose(ours["conf_low"], np.atleast_1d(theirs["lower.CL"]), atol=1e-3 * error.max())
    assert_allclose(ours["conf_high"], np.atleast_1d(theirs["upper.CL"]), atol=1e-3 * error.max())


@pytest.mark.parametrize("entry", [e for e in entries("tables") if "joint" not in e.id])
def test_contrasts_match_emmeans(entry: dict[str, Any]) -> None:
    theirs = entry["table"]
    found = TABLES[entry["call"]](fit(entry["model"]))
    ours = found if isinstance(found, pd.DataFrame) else found.to_frame()
    error = np.array(theirs["SE"])
    if "trt.vs.ctrl" not in entry["call"]:
        names = [name.replace("temperature", "") for name in theirs["contrast"]]
        assert ours["contrast"].tolist() == names
    assert_allclose(ours["estimate"], theirs["estimate"], rtol=0, atol=MEAN * error.max())
    if "lower.CL" in theirs:
        assert_allclose(ours["conf_low"], theirs["lower.CL"], atol=1e-3 * error.max())
        assert_allclose(ours["conf_high"], theirs["upper.CL"], atol=1e-3 * error.max())
        return
    assert_allclose(ours["std_error"], error, rtol=MEAN)
    assert_allclose(ours["df"], theirs["df"], rtol=DF)
    assert_allclose(ours["t_ratio"], theirs["t.ratio"], rtol=0, atol=1e-4)
    mvt = "mvt" in entry["call"]
    assert_allclose(ours["p_value"], theirs["p.value"], rtol=0, atol=MVT if mvt else P_VALUE)


@pytest.mark.parametrize("entry", [e for e in entries("tables") if "joint" in e.id])
def test_joint_tests_match_emmeans(entry: dict[str, Any]) -> None:
    theirs = entry["table"]
    ours = TABLES[entry["call"]](fit(entry["model"]))
    assert list(ours.index) == theirs["model term"]
    assert ours["num_df"].tolist() == theirs["df1"]
    # R rounds these denominators, and has a rule of its own for several rows; see the next test.
    assert_allclose(ours["den_df"], theirs["df2"], rtol=2e-3)
    # R rounds these F to three decimals as well.
    assert_allclose(ours["F"], theirs["F.ratio"], atol=6e-4)
    assert_allclose(ours["p_value"], theirs["p.value"], atol=1e-4)


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
def test_joint_tests_match_contest_of_lmertest(ddf: str) -> None:
    ours = fit("holes").emmeans(["recipe", "temperature"], ddf=ddf).joint_tests()
    for term, row in STORED["contests"][ddf].items():
        assert ours.loc[term, "num_df"] == row["NumDF"]
        assert_allclose(ours.loc[term, "den_df"], row["DenDF"], rtol=DF)
        assert_allclose(ours.loc[term, "F"], row["F value"], rtol=1e-4)
        assert_allclose(ours.loc[term, "p_value"], row["Pr(>F)"], rtol=1e-2)


def test_every_stored_call_is_tested() -> None:
    assert {e["call"] for e in STORED["grids"]} == set(GRIDS)
    assert {e["call"] for e in STORED["tables"]} == set(TABLES)


def test_emmeans_of_the_stored_cases() -> None:
    """The entries of cases.json: cake by recipe, with Tukey's pairs."""
    cases = {name: case for name, case in lme4.CASES.items() if "emmeans" in case}
    assert set(cases) == {"cake"}
    stored = cases["cake"]["emmeans"]
    means = fit("cake").emmeans("recipe")
    ours, theirs = means.to_frame(), stored["means"]
    assert ours["recipe"].tolist() == theirs["recipe"]
    assert_allclose(ours["emmean"], theirs["emmean"], rtol=1e-8)
    assert_allclose(ours["std_error"], theirs["SE"], rtol=1e-6)
    assert_allclose(ours["df"], theirs["df"], rtol=1e-6)
    assert_allclose(ours["conf_low"], theirs["lower.CL"], rtol=1e-6)
    assert_allclose(ours["conf_high"], theirs["upper.CL"], rtol=1e-6)
    pairs, theirs = means.pairs().to_frame(), stored["pairs_tukey"]
    assert pairs["contrast"].tolist() == theirs["contrast"]
    assert_allclose(pairs["estimate"], theirs["estimate"], atol=1e-8)
    assert_allclose(pairs["std_error"], theirs["SE"], rtol=1e-6)
    assert_allclose(pairs["t_ratio"], theirs["t.ratio"], atol=1e-6)
    assert_allclose(pairs["p_value"], theirs["p.value"], atol=1e-6)


def test_row_128_of_the_acceptance_table() -> None:
    """lmerTest's ls_means of recipe, and the difference of A and B."""
    means = fit("cake").emmeans("recipe")
    assert_allclose(means["emmean"], [33.12222, 31.64444, 31.6], rtol=1e-6)
    assert_allclose(means["std_error"], 1.736833, rtol=1e-6)
    first = means.pairs(adjust="none").to_frame().iloc[0]
    assert_allclose([first["estimate"], first["std_error"]], [1.477778, 2.456253], rtol=1e-6)
    assert first["p_value"] == pytest.approx(0.550648, abs=1e-6)
