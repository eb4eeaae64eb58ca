"""Pickles of models: the same answers, without the data."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp

MIXED = "Reaction ~ Days + (Days | Subject)"


def fits(**options: Any) -> list[Any]:
    data = pp.datasets.load("sleepstudy")
    data.index = [f"row {i}" for i in range(180)]
    return [pp.lm("Reaction ~ Days", data, **options), pp.lmer(MIXED, data, **options)]


@pytest.mark.parametrize("fit", fits(weights="1 + Days"), ids=["lm", "lmer"])
def test_a_pickle_gives_the_same_answers(fit: Any) -> None:
    again = pickle.loads(pickle.dumps(fit))
    assert type(again) is type(fit)
    for name in ("params", "bse", "fittedvalues"):
        pd.testing.assert_series_equal(getattr(again, name), getattr(fit, name))
    pd.testing.assert_series_equal(again.hatvalues(), fit.hatvalues())
    pd.testing.assert_series_equal(again.resid("scaled"), fit.resid("scaled"))
    assert str(again.summary()) == str(fit.summary())
    new = pp.datasets.load("sleepstudy")[:5]
    pd.testing.assert_frame_equal(
        again.predict(new, interval="prediction"), fit.predict(new, interval="prediction")
    )
    np.testing.assert_array_equal(again.simulate(3, seed=1), fit.simulate(3, seed=1))
    y = np.linspace(0, 1, 180) ** 2
    assert again.refit(y).llf == fit.refit(y).llf
    pd.testing.assert_frame_equal(again.tidy(), fit.tidy())
    pd.testing.assert_frame_equal(again.glance(), fit.glance())
    twice = pickle.loads(pickle.dumps(again))
    pd.testing.assert_series_equal(twice.fittedvalues, fit.fittedvalues)


@pytest.mark.parametrize("fit", fits(), ids=["lm", "lmer"])
def test_what_needs_the_data_says_so(fit: Any) -> None:
    again = pickle.loads(pickle.dumps(fit))
    with pytest.raises(pp.UnavailableError, match="needs the data"):
        again.augment()
    with pytest.raises(pp.SpecificationError, match="data="):
        again.update(". ~ .")
    data = pp.datasets.load("sleepstudy")
    assert again.update(data=data).llf == pytest.approx(fit.llf, rel=1e-12)


def test_mixed_model_parts_survive() -> None:
    fit = fits()[1]
    again = pickle.loads(pickle.dumps(fit))
    pd.testing.assert_series_equal(again.theta, fit.theta)
    assert str(again.varcorr) == str(fit.varcorr)
    pd.testing.assert_frame_equal(again.ranef()["Subject"], fit.ranef()["Subject"])
    one, other = (f.ranef(cond_var=True).cond_var["Subject"] for f in (again, fit))
    np.testing.assert_array_equal(one, other)
    assert again.optimum.evaluations == fit.optimum.evaluations
    assert again.refit_ml().deviance == fit.refit_ml().deviance


@pytest.mark.parametrize("kind", ["lm", "lmer"])
def test_a_pickle_holds_the_used_columns_once(kind: str) -> None:
    n = 20_000
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.standard_normal((n, 12)), columns=[f"c{i}" for i in range(12)])
    data["g"] = np.arange(n) % 50
    effects = rng.standard_normal((50, 2))[data["g"]]
    data["c0"] += effects[:, 0] + effects[:, 1] * data["c2"]
    formula = "c0 ~ c1 + c2" if kind == "lm" else "c0 ~ c1 + (c2 | g)"
    fit = (pp.lm if kind == "lm" else pp.lmer)(formula, data)
    used = n * 8 * 3 + (n * 4 if kind == "lmer" else 0)
    assert len(pickle.dumps(fit)) < 1.1 * used + 50_000


def test_a_pickle_loads_in_a_fresh_process() -> None:
    import subprocess
    import sys

    text = pickle.dumps(fits()[1])
    code = "import sys, pickle; print(pickle.load(sys.stdin.buffer).llf)"
    run = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, check=True)
    assert float(run.stdout) == fits()[1].llf


def test_errors_and_varcorr_pickle() -> None:
    error = pp.FormulaError("message", "y ~ x", 2)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    varcorr = fits()[1].varcorr
    assert str(pickle.loads(pickle.dumps(varcorr))) == str(varcorr)
