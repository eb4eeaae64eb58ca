"""What the check of a fit says: no alarm where there is no reason, and every number right."""

from __future__ import annotations

import math
import pickle
import re
import time

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool import boundary, deletion
from partialpool.check import check
from partialpool.collinearity import inflation
from partialpool.findings import SEVERITIES, number
from partialpool.influence import influence

pytestmark = [
    pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning"),
    pytest.mark.filterwarnings("ignore::partialpool.RankDeficientWarning"),
    pytest.mark.filterwarnings("ignore::partialpool.ConvergenceWarning"),
]


def fitted(formula, data, **options):
    data = pp.datasets.load(data) if isinstance(data, str) else data
    return (pp.lmer if "|" in formula else pp.lm)(formula, data, **options)


def checked(formula, data, **options):
    return check(fitted(formula, data, **options)._record)


def severities(found):
    return {f.kind: f.severity for f in reversed(found.findings)}


FINE = [
    ("Reaction ~ Days + (Days | Subject)", "sleepstudy"),
    ("Reaction ~ Days + (Days || Subject)", "sleepstudy"),
    ("Reaction ~ Days + (1 | Subject)", "sleepstudy"),
    ("Yield ~ 1 + (1 | Batch)", "Dyestuff"),
    ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin"),
    ("strength ~ 1 + (1 | batch/cask)", "Pastes"),
    ("angle ~ recipe * temperature + (1 | recipe:replicate)", "cake"),
    ("angle ~ recipe + temp + (1 | recipe:replicate)", "cake"),
    ("hwy ~ displ + year + (1 | class)", "mpg"),
    ("hwy ~ displ + year + (1 | class) + (1 | manufacturer)", "mpg"),
    ("hwy ~ displ + (displ | class)", "mpg"),
    ("hwy ~ displ + year", "mpg"),
    ("hwy ~ displ * drv + cty + class", "mpg"),
    ("hwy ~ poly(displ, 2) + drv", "mpg"),
    ("hwy ~ displ + I(displ^2)", "mpg"),
]


@pytest.mark.parametrize(("formula", "data"), FINE)
def test_no_alarm_on_data_that_are_fine(formula, data):
    found = checked(formula, data)
    assert found.ok, str(found)
    assert "Nothing to worry about" in str(found)


@pytest.mark.parametrize("seed", range(20))
def test_no_alarm_on_simulated_data_of_the_model(seed):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(20), 10)
    x = rng.normal(size=200)
    effects = rng.normal(size=(20, 2))
    y = 1 + 2 * x + effects[g, 0] + effects[g, 1] * x + rng.normal(size=200)
    assert checked("y ~ x + (x | g)", pd.DataFrame({"y": y, "x": x, "g": g})).ok


# -- convergence ----------------------------------------------------------------------------------


def test_a_fit_that_did_not_converge_is_a_problem():
    found = checked("hwy ~ displ + (displ | class)", "mpg", control=pp.Control(max_evaluations=2))
    assert not found.ok
    first = found.findings[0]
    assert (first.kind, first.severity) == ("convergence", "problem")
    assert "limit of evaluations" in first.text
    assert "pp.Control(max_evaluations=500)" in first.text


def test_the_bound_of_a_converged_fit_is_true():
    fit = fitted("Reaction ~ Days + (Days | Subject)", "sleepstudy")
    text = check(fit._record)["convergence"][0].text
    bound = float(re.search(r"less than (\S+) by", text)[1])
    assert fit.optimum.decrement / 2 <= bound < 1e-8
    assert "REML criterion" in text
    ml = check(fit.refit_ml()._record)["convergence"][0].text
    assert "deviance" in ml


def test_an_exact_fit_is_a_problem():
    data = pd.DataFrame({"x": np.arange(12.0), "g": np.repeat(list("abc"), 4)})
    data["y"] = 2 * data["x"]
    found = checked("y ~ x + (1 | g)", data)
    assert found.findings[0].severity == "problem"
    assert "exactly" in found.findings[0].text


# -- singular -------------------------------------------------------------------------------------


def test_a_variance_of_zero():
    found = checked("Yield ~ 1 + (1 | Batch)", "Dyestuff2")
    (finding,) = found["singular"]
    assert finding.severity == "warning"
    assert "The variance of (1 | Batch) is zero" in finding.text
    assert finding.numbers == {"rank": 0.0, "columns": 1.0}


def test_a_slope_of_zero_is_named():
    found = checked("hwy ~ displ + (cty + displ || class)", "mpg")
    assert "the variance of displ is zero" in found["singular"][0].text


def crossing(sign, at=3.0, seed=1):
    """Lines of 15 groups that all meet at x = `at`."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(15), 30)
    x = rng.uniform(0, 10, 450)
    slope = rng.normal(size=15)
    y = 1 + x + sign * slope[g] * (x - at) + 0.3 * rng.normal(size=450)
    return pd.DataFrame({"y": y, "x": x, "g": g})


def test_lines_that_meet_in_a_point():
    fit = fitted("y ~ x + (x | g)", crossing(1.0))
    assert fit.optimum.rank == (1,)
    (d,) = boundary.directions(fit._record)
    assert (d.kind, d.columns, d.weights) == ("correlation", ("Intercept", "x"), (-1.0,))
    assert d.meeting == pytest.approx(3.0, abs=0.1)
    text = check(fit._record)["singular"][0].text
    assert "Intercept and x vary together: their correlation is -1" in text
    assert f"meet at x = {number(d.meeting)}" in text
    effects = fit.ranef()["g"]
    np.testing.assert_allclose(effects["Intercept"] + effects["x"] * d.meeting, 0, atol=1e-9)


def test_directions_do_not_depend_on_units():
    data = crossing(1.0)
    data["x"] *= 1e6
    (d,) = boundary.directions(fitted("y ~ x + (x | g)", data)._record)
    assert (d.kind, d.weights) == ("correlation", (-1.0,))
    assert d.meeting == pytest.approx(3e6, rel=0.05)


def test_a_combination_of_three_effects_holds_in_every_level():
    fit = fitted("hwy ~ displ + (cty + displ | class)", "mpg")
    (d,) = boundary.directions(fit._record)
    assert d.kind == "combination"
    effects = fit.ranef()["class"]
    rebuilt = sum(w * effects[c] for c, w in zip(d.columns[1:], d.weights, strict=True))
    np.testing.assert_allclose(effects[d.columns[0]], rebuilt, rtol=1e-8)
    text = check(fit._record)["singular"][0].text
    assert "Rank 2 of 3" in text
    assert all(number(w).lstrip("-") in text for w in d.weights)


def test_a_rank_of_one_out_of_three_names_every_direction():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(25), 20)
    x, z, b = rng.normal(size=500), rng.normal(size=500), rng.normal(size=25)
    y = b[g] * (1 + 0.5 * x - 2 * z) + 0.2 * rng.normal(size=500)
    fit = fitted("y ~ x + z + (x + z | g)", pd.DataFrame({"y": y, "x": x, "z": z, "g": g}))
    assert fit.optimum.rank == (1,)
    found = boundary.directions(fit._record)
    assert len(found) == 2
    effects = fit.ranef()["g"]
    for d in found:
        assert d.kind == "correlation"
        r = np.corrcoef(effects[d.columns[0]], effects[d.columns[1]])[0, 1]
        assert r == pytest.approx(d.weights[0], abs=1e-9)


def test_a_small_theta_because_of_units_is_not_singular():
    data = pp.datasets.load("sleepstudy").assign(Days=lambda d: d["Days"] * 1e6)
    fit = fitted("Reaction ~ Days + (Days | Subject)", data)
    assert fit.is_singular  # by lme4's rule
    found = check(fit._record)
    assert found.ok
    assert "because of the units" in found["singular"][0].text


# -- influence ------------------------------------------------------------------------------------


def dependent():
    """One group carries the whole effect of x."""
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(10), 20)
    x = rng.normal(size=200)
    y = np.where(g == 3, 3 * x, 0 * x) + rng.normal(size=10)[g] + rng.normal(size=200)
    x = np.where(g == 3, 3 * x, x)
    return pd.DataFrame({"y": y, "x": x, "g": g})


def test_a_conclusion_that_rests_on_one_group():
    fit = fitted("y ~ x + (1 | g)", dependent())
    found = check(fit._record)
    (finding,) = found["influence"]
    assert finding.severity == "warning"
    assert "x depends on 3 of g" in finding.text
    without = fitted("y ~ x + (1 | g)", dependent().query("g != 3"))
    for value in (fit.params["x"], fit.bse["x"], without.params["x"], without.bse["x"]):
        assert number(value) in finding.text


def test_distances_with_theta_held_against_the_definition():
    """Generalised least squares without the level, V as with all rows."""
    data = pp.datasets.load("sleepstudy").assign(w=1 + np.arange(180) % 3)
    fit = fitted("Reaction ~ Days + (Days | Subject)", data, weights="w")
    X, Z = fit.model_matrix().to_numpy(), fit.model_matrix("random").toarray()
    factor = fit._record.layout.lambdas(fit.theta.to_numpy())[0]
    V = np.diag(1 / data["w"]) + Z @ np.kron(np.eye(18), factor @ factor.T) @ Z.T
    y = data["Reaction"].to_numpy()
    expected = []
    for level in fit.ranef()["Subject"].index:
        at = np.flatnonzero(data["Subject"] != level)
        Vi = np.linalg.inv(V[np.ix_(at, at)])
        beta = np.linalg.solve(X[at].T @ Vi @ X[at], X[at].T @ Vi @ y[at])
        step = fit.params.to_numpy() - beta
        expected.append(step @ np.linalg.solve(fit.cov_params().to_numpy(), step) / 2)
    np.testing.assert_allclose(deletion.held(fit._record), expected, rtol=1e-8)


def test_many_levels_are_screened_and_the_far_ones_refitted():
    rng = np.random.default_rng(0)
    n, J = 60_000, 4_000
    g = rng.integers(0, J, n)
    x = rng.normal(size=n) * np.where(g == 7, 300, 1)
    y = x * rng.normal(size=J)[g] + rng.normal(size=J)[g] + rng.normal(size=n)
    start = time.perf_counter()
    fit = fitted("y ~ x + (1 | g)", pd.DataFrame({"y": y, "x": x, "g": g}))
    finding = check(fit._record)["influence"][0]
    assert time.perf_counter() - start < 30
    assert "x depends on 7 of g" in finding.text
    one = influence(fit._record, "g", only=[7])
    assert finding.numbers["largest"] == pytest.approx(one.f_distance[7])
    assert np.isnan(np.delete(one.f_distance, 7)).all()


def test_crossed_factors_too_large_to_refit_are_said_to_be():
    rng = np.random.default_rng(0)
    n = 20_000
    data = pd.DataFrame({"a": rng.integers(0, 3000, n), "b": rng.integers(0, 400, n)})
    data["y"] = rng.normal(size=3000)[data["a"]] + rng.normal(size=400)[data["b"]]
    data["y"] += rng.normal(size=n)
    found = checked("y ~ 1 + (1 | a) + (1 | b)", data)
    assert found.ok
    assert "was not looked at" in found["influence"][0].text
    assert "fit.influence('a')" in found["influence"][0].text


def test_a_row_that_pulls_a_linear_model():
    data = pp.datasets.load("mpg").reset_index(drop=True)
    data.loc[11, ["displ", "hwy"]] = [40.0, 44.0]
    fit = fitted("hwy ~ displ", data)
    found = check(fit._record)
    assert severities(found)["influence"] == "warning"
    assert f"11 ({number(fit.cooks_distance()[11])})" in found["influence"][0].text


def test_a_row_with_a_coefficient_of_its_own():
    data = pp.datasets.load("mpg").assign(own=lambda d: (np.arange(len(d)) == 7) * 1.0)
    found = checked("hwy ~ displ + own", data)
    assert found["leverage"][0].severity == "note"
    assert "1 row determines a coefficient alone" in found["leverage"][0].text


# -- collinearity ---------------------------------------------------------------------------------


def test_inflation_of_one_coefficient_is_one_over_one_less_r_squared():
    data = pp.datasets.load("mpg")
    found = {i.term: i for i in inflation(fitted("hwy ~ displ + cyl + year + drv", data)._record)}
    for term, others in {"displ": "cyl + year + drv", "cyl": "displ + year + drv"}.items():
        r2 = fitted(f"{term} ~ {others}", data).rsquared
        assert found[term].vif == pytest.approx(1 / (1 - r2), rel=1e-9)


def test_inflation_does_not_depend_on_coding_or_on_how_the_intercept_is_spelt():
    base = inflation(fitted("hwy ~ displ + cyl + drv + class", "mpg")._record)
    for formula, options in [
        ("hwy ~ 0 + class + displ + cyl + drv", {}),
        ("hwy ~ displ + cyl + drv + class", {"contrasts": {"drv": "sum", "class": "helmert"}}),
        ("hwy ~ I(displ - 3) + cyl + drv + class", {}),
    ]:
        other = inflation(fitted(formula, "mpg", **options)._record)
        np.testing.assert_allclose(
            sorted(i.gvif for i in base), sorted(i.gvif for i in other), rtol=1e-8
        )


def test_collinear_terms_are_named_with_their_partner():
    fit = fitted("hwy ~ displ + cyl + year + drv + class", "mpg")
    found = check(fit._record)["collinearity"]
    (finding,) = [f for f in found if f.severity == "warning"]
    by_term = {i.term: i for i in inflation(fit._record)}
    assert finding.text.startswith(f"displ has a VIF of {number(by_term['displ'].vif)}")
    less = fitted("hwy ~ displ + year + drv + class", "mpg")
    alone = {i.term: i for i in inflation(less._record)}["displ"].vif
    assert f"without cyl the VIF would be {number(alone)}" in finding.text
    assert f"{number(math.sqrt(by_term['displ'].vif))} times as large" in finding.text


def test_powers_and_interactions_are_no_alarm():
    for formula in ("hwy ~ displ + I(displ^2) + year", "hwy ~ displ * drv + cty + class"):
        finding = checked(formula, "mpg")["collinearity"][0]
        assert finding.severity == "note"
        assert "by construction" in finding.text


def test_columns_that_were_left_out():
    data = pp.datasets.load("mpg").assign(again=lambda d: 2 * d["displ"])
    for formula in ("hwy ~ displ + again", "hwy ~ displ + again + (1 | class)"):
        finding = checked(formula, data)["collinearity"][0]
        assert finding.severity == "warning"
        assert "again repeats displ" in finding.text


# -- scales, groups, residuals --------------------------------------------------------------------


def test_scales_are_a_note_and_the_fit_is_the_same():
    data = pp.datasets.load("sleepstudy").assign(income=lambda d: 1e7 * (d["Days"] % 3))
    found = checked("Reaction ~ Days + income + (1 | Subject)", data)
    assert found.ok
    (finding,) = found["scale"]
    assert finding.severity == "note"
    assert number(data["income"].std()) in finding.text
    assert number(data["Days"].std()) in finding.text


def test_a_covariate_far_from_zero():
    data = pp.datasets.load("sleepstudy").assign(when=lambda d: 1.7e9 + d["Days"])
    (finding,) = checked("Reaction ~ when + (1 | Subject)", data)["scale"]
    assert finding.severity == "note"
    assert "extrapolation" in finding.text
    assert finding.numbers["std_dev"] == pytest.approx(data["when"].std(), rel=1e-6)


def test_few_levels():
    found = checked("hwy ~ displ + (1 | drv)", "mpg")
    assert found.ok
    assert "drv has 3 levels, so its variance rests on 2 differences" in found["groups"][0].text
    data = pp.datasets.load("mpg").assign(new=lambda d: d["year"] > 2000)
    assert checked("hwy ~ displ + (1 | new)", data)["groups"][0].severity == "warning"


def test_imbalance():
    rng = np.random.default_rng(2)
    g = np.concatenate([np.zeros(200, int), np.arange(1, 31), np.arange(1, 11)])
    y = rng.normal(size=31)[g] + rng.normal(size=len(g))
    text = checked("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": g}))["groups"][0].text
    assert "200 of 240 rows are in one level of g, 0" in text
    assert "20 of the 31 levels of g have one row" in text


def test_a_slip_in_the_data():
    data = pp.datasets.load("sleepstudy").reset_index(drop=True)
    data.loc[57, "Reaction"] *= 10
    for formula in ("Reaction ~ Days + (1 | Subject)", "Reaction ~ Days"):
        found = checked(formula, data)
        (finding,) = found["residuals"]
        assert finding.severity == "warning"
        assert ": 57 (+" in finding.text


def test_outliers_are_counted_and_named():
    fit = fitted("Reaction ~ Days + (Days | Subject)", "sleepstudy")
    (finding,) = check(fit._record)["residuals"]
    assert finding.severity == "note"
    r = fit.rstudent()
    far = r[r.abs() > finding.numbers["limit"]]
    assert finding.text.startswith(f"{len(far)} rows have residuals beyond")
    for label, value in far.items():
        assert f"{label} ({value:+.1f})" in finding.text


# -- the object -----------------------------------------------------------------------------------


def test_the_worst_comes_first():
    found = checked("Yield ~ 1 + (1 | Batch)", "Dyestuff2")
    order = [SEVERITIES.index(f.severity) for f in found]
    assert order == sorted(order, reverse=True)
    assert len(found) == len(found.findings) == len(found.to_frame())
    assert "1 warning" in str(found).splitlines()[1]


def test_an_unknown_kind_lists_the_known_ones():
    with pytest.raises(KeyError, match="convergence, singular"):
        checked("Reaction ~ Days + (Days | Subject)", "sleepstudy")["nothing"]


def test_frozen_picklable_and_safe_in_html():
    data = pp.datasets.load("mpg").rename(columns={"class": "a<b"})
    found = checked("hwy ~ displ + (1 | `a<b`)", data)
    assert pickle.loads(pickle.dumps(found)) == found
    with pytest.raises(AttributeError):
        found.findings = ()
    found.findings[0].numbers["x"] = 1.0
    assert "x" not in found.findings[0].numbers
    html = found._repr_html_()
    assert "a&lt;b" in html
    assert "a<b" not in html


def test_linear_models_have_no_groups():
    found = checked("hwy ~ displ + year", "mpg")
    assert set(severities(found)) == {"influence", "collinearity", "scale", "residuals"}


@pytest.mark.parametrize("formula", ["hwy ~ 1", "hwy ~ 0 + displ", "hwy ~ 0 + drv", "hwy ~ drv"])
def test_small_models(formula):
    assert checked(formula, "mpg").ok
    assert checked(f"{formula} + (1 | class)", "mpg").ok


def test_an_exact_linear_fit_is_a_problem():
    data = pd.DataFrame({"x": np.arange(12.0)}).assign(y=lambda d: 2 + 0.1 * d["x"])
    found = checked("y ~ x", data)
    assert found.findings[0].severity == "problem"
    assert checked("y ~ 0", data).ok


def test_a_pickled_model_can_be_checked():
    fit = fitted("Reaction ~ Days + (Days | Subject)", "sleepstudy")
    assert check(pickle.loads(pickle.dumps(fit))._record) == check(fit._record)


@pytest.mark.parametrize(("scale", "shift"), [(1e12, 1e15), (1e-12, 0.0)])
def test_units_of_the_response_do_not_matter(scale, shift):
    data = pp.datasets.load("sleepstudy")
    plain = checked("Reaction ~ Days + (Days | Subject)", data)
    data["Reaction"] = scale * data["Reaction"] + shift
    other = checked("Reaction ~ Days + (Days | Subject)", data)
    assert [(f.kind, f.severity) for f in plain] == [(f.kind, f.severity) for f in other]
