"""Inference on simulated designs with holes against lmerTest, pbkrtest and emmeans.

Data, calls and versions: data/simulated.R, which made data/simulated.json.
"""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import partialpool as pp

DATA = Path(__file__).parent / "data"
STORED: dict[str, Any] = json.loads((DATA / "simulated.json").read_text(encoding="utf-8"))
MODELS: list[dict[str, Any]] = STORED["models"]
ADJUSTED = [i for i, model in enumerate(MODELS) if "coefficients_kr" in model]

# lme4's optimum is known to 1e-6 of theta, and R differentiates numerically.
ESTIMATE, DF, F, P_VALUE = 1e-5, 1e-3, 1e-4, 1e-5


@cache
def fit(i: int) -> Any:
    model = MODELS[i]
    frame = pd.read_csv(DATA / f"simulated_{model['data']}.csv")
    if model["data"] == "slopes":
        frame["w"] = frame["r"]
    weights = "w" if model["weighted"] else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.SingularFitWarning)
        return pp.lmer(model["formula"], frame, reml=model["reml"], weights=weights)


def values(table: dict[str, Any], column: str) -> Any:
    return np.array(table[column], dtype=float)


def check_coefficients(found: Any, stored: dict[str, Any]) -> None:
    se = values(stored, "Std. Error")
    assert_allclose(found["estimate"] / se, values(stored, "Estimate") / se, atol=ESTIMATE * 10)
    assert_allclose(found["std_error"], se, rtol=ESTIMATE)
    assert_allclose(found["df"], values(stored, "df"), rtol=DF)
    assert_allclose(found["p_value"], values(stored, "Pr(>|t|)"), atol=P_VALUE)


def check_terms(found: Any, stored: dict[str, Any]) -> None:
    assert found.index.tolist() == stored["row"]
    assert_allclose(found["num_df"], values(stored, "NumDF"))
    assert_allclose(found["den_df"], values(stored, "DenDF"), rtol=DF)
    assert_allclose(found["F"], values(stored, "F value"), rtol=F)
    assert_allclose(found["sum_sq"], values(stored, "Sum Sq"), rtol=F)
    assert_allclose(found["p_value"], values(stored, "Pr(>F)"), atol=P_VALUE)


@pytest.mark.parametrize("i", range(len(MODELS)))
def test_coefficients(i: int) -> None:
    check_coefficients(fit(i).tidy(), MODELS[i]["coefficients"])


@pytest.mark.parametrize("i", ADJUSTED)
def test_coefficients_by_kenward_and_roger(i: int) -> None:
    check_coefficients(fit(i).tidy(ddf="kenward-roger"), MODELS[i]["coefficients_kr"])


@pytest.mark.parametrize("type", [1, 2, 3])
@pytest.mark.parametrize("i", range(len(MODELS)))
def test_terms(i: int, type: int) -> None:
    check_terms(fit(i).anova(type=type), MODELS[i][f"anova{type}"])


@pytest.mark.parametrize("i", ADJUSTED)
def test_terms_by_kenward_and_roger(i: int) -> None:
    check_terms(fit(i).anova(ddf="kenward-roger"), MODELS[i]["anova3_kr"])


@pytest.mark.parametrize("i", range(len(MODELS)))
def test_means_and_their_differences(i: int) -> None:
    model = MODELS[i]
    means = fit(i).emmeans(model["factor"])
    found, stored = means.to_frame(), model["means"]
    assert found[model["factor"]].tolist() == stored[model["factor"]]
    se = values(stored, "SE")
    assert_allclose(found["emmean"] / se, values(stored, "emmean") / se, atol=ESTIMATE * 10)
    assert_allclose(found["std_error"], se, rtol=ESTIMATE)
    assert_allclose(found["df"], values(stored, "df"), rtol=DF)
    found, stored = means.pairs().to_frame(), model["pairs"]
    assert found["contrast"].tolist() == stored["contrast"]
    assert_allclose(found["t_ratio"], values(stored, "t.ratio"), atol=ESTIMATE * 10)
    assert_allclose(found["df"], values(stored, "df"), rtol=DF)
    assert_allclose(found["p_value"], values(stored, "p.value"), atol=P_VALUE)
