"""tidy, glance and augment: columns, names of rows, the library of the data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import partialpool as pp

FORMULA = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def sleep() -> pd.DataFrame:
    frame: pd.DataFrame = pp.datasets.load("sleepstudy")
    return frame


@pytest.fixture(scope="module")
def mixed(sleep: pd.DataFrame) -> Any:
    return pp.lmer(FORMULA, sleep)


@pytest.fixture(scope="module")
def plain(sleep: pd.DataFrame) -> Any:
    return pp.lm("Reaction ~ Days", sleep)


def test_fixed_effects_of_a_linear_model_have_p_values(plain: Any) -> None:
    tidy = plain.tidy()
    assert list(tidy.columns) == [
        "effect",
        "group",
        "term",
        "estimate",
        "std_error",
        "statistic",
        "df",
        "p_value",
    ]
    assert list(tidy["term"]) == ["Intercept", "Days"]
    assert tidy["group"].isna().all()
    np.testing.assert_array_equal(tidy["estimate"], plain.params)
    np.testing.assert_array_equal(tidy["p_value"], plain.pvalues)
    assert list(tidy["df"]) == [178.0, 178.0]


def test_fixed_effects_of_a_mixed_model(mixed: Any) -> None:
    tidy = mixed.tidy()
    assert list(tidy.columns) == [
        *("effect", "group", "term", "estimate", "std_error", "statistic", "df", "p_value")
    ]
    np.testing.assert_array_equal(tidy["statistic"], mixed.tvalues)
    np.testing.assert_array_equal(tidy["df"], mixed.df)
    np.testing.assert_array_equal(tidy["p_value"], mixed.pvalues)
    np.testing.assert_allclose(tidy["df"], [17, 17], atol=1e-3)  # lmerTest


def test_kenward_roger_goes_through_all_columns(mixed: Any) -> None:
    tidy = mixed.tidy(conf_int=True, ddf="kenward-roger")
    error = np.sqrt(np.diag(mixed.cov_params(adjust="kenward-roger")))
    np.testing.assert_allclose(tidy["std_error"], error, rtol=1e-14)
    np.testing.assert_allclose(tidy["statistic"], mixed.params / error, rtol=1e-13)
    limits = mixed.conf_int(ddf="kenward-roger")
    np.testing.assert_allclose(tidy["conf_low"], limits["lower"], rtol=1e-14)
    with pytest.raises(pp.SpecificationError, match="ddf='exact'"):
        mixed.tidy(ddf="exact")


def test_limits_agree_with_conf_int(plain: Any, mixed: Any) -> None:
    for fit, ddf in ((plain, None), (mixed, "satterthwaite")):
        tidy = fit.tidy(conf_int=True, level=0.9)
        limits = fit.conf_int(0.9, ddf=ddf)
        np.testing.assert_allclose(tidy["conf_low"], limits["lower"], rtol=1e-14)
        np.testing.assert_allclose(tidy["conf_high"], limits["upper"], rtol=1e-14)


def test_parameters_of_the_random_effects_are_named_as_in_broom(mixed: Any) -> None:
    tidy = mixed.tidy(effects="ran_pars", conf_int=True)
    assert list(zip(tidy["group"], tidy["term"], strict=True)) == [
        ("Subject", "sd(Intercept)"),
        ("Subject", "sd(Days)"),
        ("Subject", "cor(Intercept, Days)"),
        ("Residual", "sd(Observation)"),
    ]
    frame = mixed.varcorr.to_frame()
    np.testing.assert_allclose(sorted(tidy["estimate"]), sorted(frame["std_dev"]), rtol=1e-14)
    assert tidy[["std_error", "statistic", "conf_low", "conf_high"]].isna().all().all()


def test_uncorrelated_terms_have_no_correlations(sleep: pd.DataFrame) -> None:
    tidy = pp.lmer("Reaction ~ Days + (Days || Subject)", sleep).tidy(effects="ran_pars")
    assert list(tidy["term"]) == ["sd(Intercept)", "sd(Days)", "sd(Observation)"]


def test_conditional_modes_agree_with_ranef(mixed: Any) -> None:
    tidy = mixed.tidy(effects="ran_vals", conf_int=True)
    assert list(tidy.columns[:4]) == ["effect", "group", "level", "term"]
    ranef = mixed.ranef(cond_var=True)
    days = tidy[tidy["term"] == "Days"]
    np.testing.assert_array_equal(days["estimate"], ranef["Subject"]["Days"])
    assert list(days["level"]) == [str(v) for v in ranef["Subject"].index]
    sds = np.sqrt(ranef.cond_var["Subject"][:, 1, 1])
    np.testing.assert_allclose(days["std_error"], sds, rtol=1e-12)
    assert (tidy["conf_low"] < tidy["estimate"]).all()


def test_effects_come_in_the_order_asked(mixed: Any) -> None:
    tidy = mixed.tidy(effects=["ran_pars", "fixed"])
    assert list(tidy["effect"]) == ["ran_pars"] * 4 + ["fixed"] * 2
    assert list(tidy.index) == list(range(6))


@pytest.mark.parametrize("effects", ["random", ["fixed", "ran_coefs"]])
def test_unknown_effects_are_refused(mixed: Any, effects: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="'fixed', 'ran_pars', 'ran_vals'"):
        mixed.tidy(effects=effects)


def test_a_level_out_of_range_is_refused(mixed: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="level=95"):
        mixed.tidy(conf_int=True, level=95)


def test_glance_has_one_row_of_the_models_own_numbers(plain: Any, mixed: Any) -> None:
    row = plain.glance()
    assert list(row.columns) == [
        *("nobs", "sigma", "llf", "aic", "bic", "deviance", "df_resid"),
        *("rsquared", "rsquared_adj", "fvalue", "f_pvalue", "aicc", "rmse"),
    ]
    assert len(row) == 1
    for name in row.columns[:-2]:
        assert row[name][0] == getattr(plain, name)
    k, n = 3, plain.nobs
    assert row["aicc"][0] == pytest.approx(plain.aic + 2 * k * (k + 1) / (n - k - 1), rel=1e-14)
    assert row["rmse"][0] == pytest.approx(np.sqrt(np.mean(plain.resid() ** 2)), rel=1e-14)
    row = mixed.glance()
    names = ["nobs", "sigma", "llf", "aic", "bic", "reml_criterion", "df_resid"]
    assert list(row.columns) == [*names, "aicc", "rmse"]
    assert all(row[name][0] == getattr(mixed, name) for name in names)
    assert "deviance" in mixed.update(reml=False).glance().columns


def test_augment_keeps_the_used_rows_and_their_labels(sleep: pd.DataFrame) -> None:
    frame = sleep.set_index(pd.Index([f"r{i}" for i in range(len(sleep))]))
    frame.loc[["r2", "r7"], "Days"] = np.nan
    with pytest.warns(pp.MissingDataWarning):
        fit = pp.lmer("Reaction ~ Days + (1 | Subject)", frame)
    out = fit.augment()
    assert len(out) == fit.nobs == len(sleep) - 2
    assert list(out.index) == list(fit.fittedvalues.index)
    assert "r2" not in out.index
    added = ["fitted", "resid", "hat", "cooksd", "std_resid", "fitted_population"]
    assert list(out.columns) == [*frame.columns, *added]
    np.testing.assert_allclose(out["fitted"] + out["resid"], out["Reaction"], rtol=1e-14)
    np.testing.assert_array_equal(out["hat"], fit.hatvalues())
    np.testing.assert_array_equal(out["fitted_population"], fit.predict(random="none"))
    assert "fitted" not in frame.columns


def test_augment_of_a_linear_model_has_no_population_column(plain: Any) -> None:
    out = plain.augment()
    assert "fitted_population" not in out.columns
    np.testing.assert_allclose(
        out["std_resid"], out["resid"] / (plain.sigma * np.sqrt(1 - out["hat"])), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("convert", "kind"),
    [
        (pl.from_pandas, pl.DataFrame),
        (lambda f: pl.from_pandas(f).lazy(), pl.DataFrame),
        (pa.Table.from_pandas, pa.Table),
        (lambda f: {c: f[c].to_numpy() for c in f}, pd.DataFrame),
    ],
)
def test_frames_come_back_in_the_library_of_the_data(
    sleep: pd.DataFrame, convert: Any, kind: type
) -> None:
    fit = pp.lmer(FORMULA, convert(sleep.astype({"Subject": str})))
    for frame in (fit.tidy(effects=["fixed", "ran_pars", "ran_vals"]), fit.glance(), fit.augment()):
        assert isinstance(frame, kind)
    tidy = fit.tidy(effects=["fixed", "ran_pars"])
    terms = tidy["term"].to_pylist() if kind is pa.Table else list(tidy["term"])
    assert terms[:3] == ["Intercept", "Days", "sd(Intercept)"]


def test_an_unpickled_fit_is_tidy_in_pandas_and_refuses_to_augment(mixed: Any) -> None:
    import pickle

    fit = pickle.loads(pickle.dumps(mixed))
    assert math.isclose(fit.tidy()["estimate"][1], mixed.params["Days"])
    assert fit.glance()["nobs"][0] == 180
    assert str(fit.summary()) == str(mixed.summary())
    with pytest.raises(pp.UnavailableError, match="pickle"):
        fit.augment()
