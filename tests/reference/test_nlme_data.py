"""Fits of lme4 to data sets of nlme: factor slopes, nesting, weights, a singular fit, curves."""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from tests.reference import lme4

CASES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "nlme.json").read_text()
)

CRITERION = 1e-9
"""Relative, both ways: the two optimisers of the reference agree to 1e-10 where they end well."""

BETA = 1e-6  # of the largest
THETA = 1e-5  # of the largest: lme4 stops where the criterion is within 1e-10 of the lowest
EFFECTS = 1e-5  # of the largest; theta moves them, and covariances and leverages too


@cache
def fitted(name: str) -> pp.LinearMixedModel:
    case = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.SingularFitWarning)
        return pp.lmer(
            case["formula"], lme4.data(case["data"]), reml=case["reml"], weights=case["weights"]
        )


def close(actual: Any, expected: Any, tolerance: float) -> None:
    expected = np.asarray(expected, dtype=float)
    atol = tolerance * np.abs(expected).max()
    np.testing.assert_allclose(np.asarray(actual, dtype=float), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("name", CASES)
def test_criterion_and_estimates(name: str) -> None:
    fit, case = fitted(name), CASES[name]
    assert fit.optimum.converged
    close(fit.objective, case["criterion"], CRITERION)
    close([fit.aic, fit.bic], [case["aic"], case["bic"]], CRITERION)
    close(fit.theta, case["theta"], THETA)
    close(fit.params, case["beta"], BETA)
    close(fit.bse / case["se"], np.ones(len(case["se"])), THETA)
    close(fit.sigma, case["sigma"], BETA)


@pytest.mark.parametrize("name", CASES)
def test_objective_at_the_theta_of_lme4(name: str) -> None:
    case = CASES[name]
    objective = pp.objective(
        case["formula"], lme4.data(case["data"]), reml=case["reml"], weights=case["weights"]
    )
    close(objective.value(case["theta"]), case["criterion"], 1e-10)  # twelve digits are stored


@pytest.mark.parametrize("name", CASES)
def test_random_effects_and_their_covariances(name: str) -> None:
    effects = fitted(name).ranef(cond_var=True)
    for group, rows in CASES[name]["ranef"].items():
        table = effects[group]
        places = [[str(level) for level in table.index].index(level) for level in rows]
        close(table.to_numpy()[places], list(rows.values()), EFFECTS)
        blocks = np.asarray(effects.cond_var[group])[places]
        close(blocks, CASES[name]["cond_var"][group], EFFECTS)


@pytest.mark.parametrize("name", CASES)
def test_rows(name: str) -> None:
    fit, case = fitted(name), CASES[name]
    close(fit.fittedvalues[:10], case["fitted"], EFFECTS)
    close(fit.predict(random="none")[:10], case["population"], EFFECTS)
    close(fit.hatvalues()[:10], case["hat"], EFFECTS)
    close(fit.cooks_distance()[:10], case["cook"], EFFECTS)
    frame = lme4.data(case["data"])
    close(fit.predict(frame.drop(columns=case["formula"].split()[0]))[:10], case["fitted"], EFFECTS)
