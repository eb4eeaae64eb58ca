"""Identities of marginal means, slopes and adjustments on random unbalanced designs."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import partialpool as pp
from partialpool.design import dense
from partialpool.inference import adjust
from partialpool.inference._max_t import MaxT

SEEDS = range(6)
FORMULA = "y ~ a * b + log(x) + poly(z, 2):c + flag + bs(z, df=4)"


def design(seed: int, n: int = 160) -> pd.DataFrame:
    """Unbalanced: levels are drawn, two values are missing."""
    rng = np.random.default_rng([seed, 31])
    frame = pd.DataFrame(
        {
            "a": pd.Categorical(rng.choice(["lo", "mid", "hi"], n), ["lo", "mid", "hi"]),
            "b": rng.choice(["p", "q"], n, p=[0.7, 0.3]),
            "c": rng.integers(1, 4, n).astype(str),
            "flag": rng.random(n) < 0.4,
            "x": rng.gamma(2.0, 2.0, n) + 0.1,
            "z": rng.standard_normal(n) + 5,
            "g": rng.integers(0, 12, n),
            "w": rng.choice([0.5, 1.0, 3.0], n),
        }
    )
    effect = rng.standard_normal(12)[frame["g"]]
    frame["y"] = (
        frame["a"].cat.codes * (frame["b"] == "p") + np.log(frame["x"]) + frame["z"] * 0.3
    ) + (effect + rng.standard_normal(n))
    frame.loc[[3, 77], "x"] = np.nan
    return frame


def used(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.dropna()


def levels(frame: pd.DataFrame) -> dict[str, list[Any]]:
    return {
        "a": ["lo", "mid", "hi"],
        "b": ["p", "q"],
        "c": ["1", "2", "3"],
        "flag": [False, True],
    }


def full_grid(frame: pd.DataFrame) -> pd.DataFrame:
    own = levels(frame)
    grid = pd.DataFrame(list(itertools.product(*own.values())), columns=list(own))
    return grid.assign(x=used(frame)["x"].mean(), z=used(frame)["z"].mean())


@pytest.fixture(params=SEEDS)
def fitted(request: pytest.FixtureRequest) -> Any:
    frame = design(request.param)
    mixed = request.param % 2 == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        if mixed:
            return frame, pp.lmer(f"{FORMULA} + (1 | g)", frame, weights="w")
        return frame, pp.lm(FORMULA, frame, weights="w")


def predicted(fit: Any, grid: pd.DataFrame) -> np.ndarray:
    options = {"random": "none"} if hasattr(fit, "varcorr") else {}
    return np.asarray(fit.predict(grid, **options))


@pytest.mark.parametrize("specs", [["a"], ["b"], ["flag"], ["a", "b"], ["c", "a"]])
@pytest.mark.parametrize("weights", ["equal", "proportional", "outer", "cells"])
def test_means_are_averages_of_predictions(fitted: Any, specs: list[str], weights: str) -> None:
    frame, fit = fitted
    grid = full_grid(frame)
    grid["fit"] = predicted(fit, grid)
    rows = used(frame)
    others = [f for f in levels(frame) if f not in specs]
    if weights == "equal":
        w = np.ones(len(grid))
    elif weights == "proportional":
        count = rows.groupby(others, observed=False).size()
        w = np.array([count[tuple(v)] for v in grid[others].to_numpy(dtype=object)])
    elif weights == "cells":
        count = rows.groupby(list(levels(frame)), observed=False).size()
        keys = grid[list(levels(frame))].to_numpy(dtype=object)
        w = np.array([count.get(tuple(v), 0) for v in keys])
    else:
        shares = [rows[f].value_counts() for f in others]
        keys = grid[others].to_numpy(dtype=object)
        w = np.array([math.prod(s[v] for s, v in zip(shares, k, strict=True)) for k in keys])
    grid["w"], grid["wf"] = w, w * grid["fit"]
    ours = fit.emmeans(specs, weights=weights).to_frame()
    for _, row in ours.iterrows():
        cells = grid[(grid[specs] == row[specs].to_list()).all(axis=1)]
        if cells["w"].sum() == 0:
            assert math.isnan(row["emmean"])
        else:
            expected = cells["wf"].sum() / cells["w"].sum()
            assert row["emmean"] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_rows_are_in_level_order_the_first_factor_fastest(fitted: Any) -> None:
    _, fit = fitted
    ours = fit.emmeans(["a", "flag"], by="b").to_frame()
    assert list(ours.columns[:3]) == ["a", "flag", "b"]
    expected = [
        (a, flag, b) for b in ("p", "q") for flag in (False, True) for a in ("lo", "mid", "hi")
    ]
    assert list(ours.iloc[:, :3].itertuples(index=False, name=None)) == expected


def test_standard_errors_are_those_of_the_averaged_rows(fitted: Any) -> None:
    """L cov L' with the covariance that the fit shows; an average is no worse than its parts."""
    frame, fit = fitted
    grid = full_grid(frame)
    for level, row in zip(
        ("lo", "mid", "hi"), fit.emmeans("a").to_frame().itertuples(), strict=True
    ):
        cells = grid[grid["a"] == level].reset_index(drop=True)
        options = {"random": "none"} if hasattr(fit, "varcorr") else {}
        single = fit.predict(cells, se=True, **options)
        assert row.std_error <= np.asarray(single["se"]).mean() + 1e-12
    one, two = grid.iloc[[0]], grid.iloc[[-1]]
    cov = fit.cov_params().to_numpy()
    means = fit.emmeans(list(levels(frame)))
    L = means.L[:, np.isfinite(fit.params.to_numpy())]
    assert_allclose(means.std_error, np.sqrt(np.diag(L @ cov @ L.T)), rtol=1e-8)
    assert_allclose(means.estimate[0], predicted(fit, one)[0], rtol=1e-9)
    assert_allclose(means.estimate[-1], predicted(fit, two)[0], rtol=1e-9)


@pytest.mark.parametrize("coding", ["sum", "helmert", "poly"])
def test_the_coding_of_factors_does_not_matter(fitted: Any, coding: str) -> None:
    _, fit = fitted
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        other = fit.update(contrasts=dict.fromkeys(("a", "b", "c", "flag"), coding))
    for options in ({}, {"by": "b"}, {"weights": "proportional"}):
        first = fit.emmeans("a", **options)
        second = other.emmeans("a", **options)
        close = {"rtol": 1e-6, "atol": 1e-7}
        assert_allclose(first["emmean"], second["emmean"], **close)
        assert_allclose(first["std_error"], second["std_error"], **close)
        assert_allclose(first["df"], second["df"], rtol=1e-4)
        assert_allclose(first.pairs()["p_value"], second.pairs()["p_value"], rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_pair_of_a_factor_with_two_levels_is_its_coefficient(seed: int) -> None:
    frame = design(seed).dropna()
    fit = pp.lmer("y ~ b + x + (1 | g)", frame)
    pair = fit.emmeans("b").pairs(reverse=True).to_frame().iloc[0]
    assert pair["contrast"] == "q - p"
    name = "b[T.q]"
    assert_allclose(pair["estimate"], fit.params[name], rtol=1e-10)
    assert_allclose(pair["std_error"], fit.bse[name], rtol=1e-10)
    assert_allclose(pair["df"], fit.df[name], rtol=1e-8)
    assert_allclose(pair["p_value"], fit.pvalues[name], rtol=1e-8)


@pytest.mark.parametrize("seed", SEEDS)
def test_means_are_coefficients_of_the_cell_means_model(seed: int) -> None:
    frame = design(seed).dropna()
    frame["centred"] = frame["x"] - frame["x"].mean()
    plain = pp.lmer("y ~ a + x + (1 | g)", frame)
    cells = pp.lmer("y ~ 0 + a + centred + (1 | g)", frame)
    means = plain.emmeans("a")
    names = ["a[lo]", "a[mid]", "a[hi]"]
    assert_allclose(means["emmean"], cells.params[names], rtol=1e-7)
    assert_allclose(means["std_error"], cells.bse[names], rtol=1e-6)
    assert_allclose(means["df"], cells.df[names], rtol=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_slopes_are_derivatives_of_predictions(seed: int) -> None:
    frame = design(seed)
    with pytest.warns(pp.MissingDataWarning):
        fit = pp.lm("y ~ a * log(x) + b + poly(z, 3):b", frame)
    grid = full_grid(frame).drop(columns=["c", "flag"]).drop_duplicates()
    for name in ("x", "z"):
        h = 1e-5
        up, down = (predicted(fit, grid.assign(**{name: grid[name] + s * h})) for s in (1, -1))
        slope = pd.Series((up - down) / (2 * h)).groupby(grid["a"].to_numpy()).mean()
        ours = fit.emtrends(name, "a").to_frame().set_index("a")["trend"]
        assert_allclose(ours[["lo", "mid", "hi"]], slope[["lo", "mid", "hi"]], rtol=1e-6, atol=1e-8)


def test_slopes_of_a_linear_model_are_its_coefficients() -> None:
    frame = design(1).dropna()
    fit = pp.lm("y ~ a * x", frame)
    slopes = fit.emtrends("x", "a")
    b = fit.params
    assert_allclose(
        slopes["trend"], [b["x"], b["x"] + b["a[T.mid]:x"], b["x"] + b["a[T.hi]:x"]], rtol=1e-12
    )
    assert_allclose(slopes["std_error"][0], fit.bse["x"], rtol=1e-12)
    assert_allclose(fit.emtrends("x")["trend"][0], slopes["trend"].mean(), rtol=1e-12)


def test_joint_tests_of_a_balanced_design_are_its_anova() -> None:
    cake = pp.datasets.load("cake")
    fit = pp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
    ours, anova = fit.emmeans(["recipe", "temperature"]).joint_tests(), fit.anova()
    assert list(ours.index) == list(anova.index)
    for column in ("num_df", "den_df", "F", "p_value"):
        assert_allclose(ours[column], anova[column], rtol=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_estimability_is_that_of_the_null_space(seed: int) -> None:
    """Cells taken out at random; the null space of X by a singular value decomposition."""
    rng = np.random.default_rng([seed, 5])
    frame = design(seed).dropna()
    drop = {(rng.choice(["lo", "mid", "hi"]), str(rng.integers(1, 4))) for _ in range(3)}
    frame = frame[[pair not in drop for pair in zip(frame["a"], frame["c"], strict=True)]]
    frame["twice"] = 2 * frame["x"] - 3
    formula = "y ~ a * c * b + x + twice" if seed % 2 else "y ~ c / a + b + twice + x"
    if frame["a"].nunique() < 3 or frame["c"].nunique() < 3:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        fit = pp.lm(formula, frame)
    X = dense(fit._record.rows)
    length = np.linalg.norm(X, axis=0)
    length = np.where(length > 0, length, 1.0)
    _, s, V = np.linalg.svd(X / length)
    null = V[int(np.sum(s > 1e-9 * s[0])) :].T / length[:, None]
    assert len(fit._record.kept) < X.shape[1]
    results = [fit.emmeans(f) for f in ("a", "b", ["a", "c"], ["a", "c", "b"])]
    results += [fit.emtrends("x"), *(r.pairs() for r in results)]
    some = 0
    for result in results:
        expected = (np.abs(result.L @ null) <= 1e-9).all(axis=1)
        assert (np.isfinite(result.estimate) == expected).all()
        assert [not reason for reason in result.reasons] == expected.tolist()
        some += int((~expected).sum())
    assert some


# -- adjustments ----------------------------------------------------------------------------------

P = np.array([0.011, 0.02, 0.0004, 0.3, 0.02, 0.9])
NO_ROOT = np.zeros((0, 0))


def test_sidak_holm_and_bonferroni_by_their_formulas() -> None:
    m = len(P)
    assert_allclose(adjust.sidak(P), 1 - (1 - P) ** m, rtol=1e-12)
    assert_allclose(adjust.bonferroni(P), np.minimum(1, m * P))
    expected = np.empty(m)
    running = 0.0
    for rank, i in enumerate(np.argsort(P, kind="stable")):
        running = max(running, min(1.0, (m - rank) * P[i]))
        expected[i] = running
    assert_allclose(adjust.holm(P), expected)
    assert adjust.sidak(np.array([1e-18, 0.5]))[0] == pytest.approx(2e-18, rel=1e-12)


@pytest.mark.parametrize(
    ("means", "df", "q"),
    [
        *((2, 3.5, 2.0), (3, 42.0, 0.85), (3, 5.5, 3.4), (10, 20.0, 5.0), (50, 100.0, 6.0)),
        *((3, 0.7, 30.0), (4, 1e4, 3.6), (4, math.inf, 3.6), (100, 7.0, 12.0), (3, 2.0, 100.0)),
        *((6, 13.0, 0.05), (6, 13.0, 9.0)),
    ],
)
def test_studentized_range_matches_scipy(means: int, df: float, q: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = stats.studentized_range.sf(q, means, df)
    assert adjust.studentized_range_sf(q, means, df) == pytest.approx(expected, rel=1e-8, abs=1e-14)
    level = 1 - expected
    if 1e-6 < level < 1 - 1e-6:
        assert adjust.studentized_range_quantile(level, means, df) == pytest.approx(q, rel=1e-7)


@pytest.mark.parametrize("t", [0.3, 2.0, 5.0, 30.0])
@pytest.mark.parametrize("df", [1.0, 6.3, 200.0])
def test_range_of_two_means_is_the_t_test(t: float, df: float) -> None:
    expected = 2 * stats.t.sf(t, df)
    found = adjust.studentized_range_sf(t * math.sqrt(2), 2, df)
    assert found == pytest.approx(expected, rel=1e-10)


def pairs_of(k: int) -> np.ndarray:
    unit = np.eye(k)
    return np.array([unit[i] - unit[j] for i in range(k) for j in range(i + 1, k)]) / math.sqrt(2)


@pytest.mark.parametrize("k", [2, 3, 4, 6, 12])
@pytest.mark.parametrize("df", [4.0, 30.0, math.inf])
def test_multivariate_t_of_balanced_pairs_is_tukey(k: int, df: float) -> None:
    found = MaxT(pairs_of(k))
    for t in (1.0, 2.3, 3.5, 5.0, 7.0):
        expected = adjust.studentized_range_sf(t * math.sqrt(2), k, df)
        assert found.sf(t, df) == pytest.approx(expected, rel=2e-3, abs=0)
    q = adjust.studentized_range_quantile(0.95, k, df) / math.sqrt(2)
    assert found.quantile(0.95, df) == pytest.approx(q, rel=5e-4)


@pytest.mark.parametrize("seed", range(4))
def test_multivariate_t_against_simulation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((5, 4))
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    n, df = 400_000, 9.0
    scale = np.sqrt(rng.chisquare(df, n) / df)
    largest = np.abs(rng.standard_normal((n, 4)) @ root.T).max(axis=1) / scale
    for t in (1.5, 2.5, 3.5):
        p = (largest > t).mean()
        error = 4 * math.sqrt(p * (1 - p) / n) + 1e-4
        assert MaxT(root).sf(t, df) == pytest.approx(p, abs=error)


def test_multivariate_t_of_independent_normals_is_sidak() -> None:
    for t in (1.0, 2.5, 4.0):
        one = 2 * stats.norm.sf(t)
        assert MaxT(np.eye(4)).sf(t, math.inf) == pytest.approx(1 - (1 - one) ** 4, rel=1e-3)


def test_multivariate_t_of_many_pairs_keeps_its_tail() -> None:
    found = MaxT(pairs_of(40))
    for t in (3.0, 5.0, 7.0):
        expected = adjust.studentized_range_sf(t * math.sqrt(2), 40, math.inf)
        assert found.sf(t, math.inf) == pytest.approx(expected, rel=1e-2, abs=0)


def test_multivariate_t_is_the_same_on_every_call() -> None:
    root = pairs_of(7)
    assert MaxT(root).sf(2.2, 17.0) == MaxT(root).sf(2.2, 17.0)


@pytest.mark.parametrize("seed", range(4))
def test_multivariate_t_lies_between_none_and_sidak(seed: int) -> None:
    frame = design(seed).dropna()
    means = pp.lm("y ~ c * a + x", frame).emmeans(["a", "c"])
    none, mvt, sidak, bonferroni, tukey = (
        means.pairs(adjust=name)["p_value"].to_numpy()
        for name in ("none", "mvt", "sidak", "bonferroni", "tukey")
    )
    assert (none <= mvt).all()
    assert (mvt <= sidak).all()
    assert (sidak <= bonferroni).all()
    # Tukey and Kramer's use of the range is conservative where variances differ (Hayter 1984).
    assert (mvt <= tukey * (1 + 3e-3)).all()


@pytest.mark.parametrize("method", ["tukey", "sidak", "bonferroni", "mvt", "none"])
def test_limits_touch_zero_where_the_p_value_is_the_level(method: str) -> None:
    frame = design(2).dropna()
    pairs = pp.lmer("y ~ c + x + (1 | g)", frame).emmeans("c").pairs(adjust=method)
    for i, p in enumerate(pairs["p_value"]):
        if 1e-6 < p < 1 - 1e-6:
            limits = pairs.conf_int(1 - p).iloc[i]
            nearest = min(abs(limits["conf_low"]), abs(limits["conf_high"]))
            assert nearest < 2e-4 * pairs["std_error"][i]
