"""Limits from replicates, against direct computations on numbers and on a mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special

import partialpool as pp
from partialpool.inference import _intervals


def order_statistic(values: np.ndarray, p: float) -> float:
    """The (count + 1) p-th value in order, interpolated, spelt out."""
    x = np.sort(values)
    h = (len(x) + 1) * p
    k = min(max(int(np.floor(h)), 1), len(x) - 1)
    return float(x[k - 1] + min(max(h - k, 0), 1) * (x[k] - x[k - 1]))


@pytest.fixture(scope="module")
def skewed() -> Any:
    generator = np.random.default_rng(7)
    data = pd.DataFrame({"y": generator.gamma(0.8, 3, 40)})
    return pp.lm("y ~ 1", data), data["y"].to_numpy()


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_limits_against_their_definitions(skewed: Any, level: float) -> None:
    fit, y = skewed
    found = fit.bootstrap(999, kind="cases", seed=1, statistic=lambda f: f.params)
    values = found.to_frame()["Intercept"].to_numpy()
    mean, tail = y.mean(), (1 - level) / 2
    low, high = order_statistic(values, tail), order_statistic(values, 1 - tail)

    def limits(kind: str) -> list[float]:
        return [float(v) for v in found.conf_int(level, kind=kind).loc["Intercept"]]

    assert limits("percentile") == pytest.approx([low, high], rel=1e-12)
    assert limits("basic") == pytest.approx([2 * mean - high, 2 * mean - low], rel=1e-12)
    center, error = 2 * mean - values.mean(), values.std(ddof=1)
    z = special.ndtri(1 - tail)
    assert limits("normal") == pytest.approx([center - z * error, center + z * error], rel=1e-12)

    # BCa of a mean: the jackknife's deviations are those of the observations.
    d = y - mean
    a = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    z0 = special.ndtri((values < mean).mean())
    at = [special.ndtr(z0 + (z0 + q) / (1 - a * (z0 + q))) for q in (-z, z)]
    expected = [order_statistic(values, p) for p in at]
    assert limits("bca") == pytest.approx(expected, rel=1e-9)
    assert a > 0.05  # the adjustment is not nothing here
    assert limits("bca")[1] > high


def test_acceleration_of_groups_takes_out_whole_groups() -> None:
    """BCa of a fit with groups: the acceleration from fits to the data without each group."""
    data = pp.datasets.load("sleepstudy")
    fit = pp.lmer("Reaction ~ Days + (1 | Subject)", data)
    found = fit.bootstrap(200, seed=1)
    jackknife = []
    for subject in data["Subject"].unique():
        rest = pp.lmer("Reaction ~ Days + (1 | Subject)", data[data["Subject"] != subject])
        jackknife.append([*rest.params, rest.sigma, rest.varcorr.to_frame()["std_dev"][0]])
    d = np.mean(jackknife, axis=0) - np.array(jackknife)
    expected = (d**3).sum(axis=0) / (6 * (d**2).sum(axis=0) ** 1.5)
    got = _intervals.acceleration(found._jackknife())
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-7)


def test_more_than_256_groups_are_left_out_in_sets() -> None:
    generator = np.random.default_rng(3)
    g = np.repeat(np.arange(700), 3)
    data = pd.DataFrame({"g": g, "y": generator.exponential(1, 700)[g]})
    data["y"] += generator.standard_normal(2100)
    fit = pp.lmer("y ~ 1 + (1 | g)", data)
    found = fit.bootstrap(100, seed=1)
    assert found._jackknife().shape == (256, 3)
    means = data.groupby("g")["y"].mean().to_numpy()
    d = means - means.mean()
    exact = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    assert _intervals.acceleration(found._jackknife())[0] == pytest.approx(exact, abs=0.01)


def test_bca_of_a_balanced_normal_mean_is_the_percentile_interval() -> None:
    """No bias and no acceleration: nothing is adjusted."""
    replicates = special.ndtri(np.arange(1, 1000) / 1000)[:, None]
    found = _intervals.bca(np.zeros(1), replicates, 0.9, np.zeros(1), ("x",))
    expected = _intervals.percentile(replicates, 0.9)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_bca_without_limits_says_so() -> None:
    values = np.linspace(1, 2, 99)[:, None]
    with pytest.warns(pp.PartialPoolWarning, match="All replicates of x lie on one side"):
        low, high = _intervals.bca(np.zeros(1), values, 0.9, np.zeros(1), ("x",))
    assert np.isnan([low[0], high[0]]).all()
    with pytest.warns(pp.PartialPoolWarning, match="outermost of 99"):
        low, _ = _intervals.bca(np.full(1, 1.01), values, 0.9, np.zeros(1), ("x",))
    assert low[0] == 1.0


def test_values_that_are_not_there_are_left_out_column_by_column() -> None:
    generator = np.random.default_rng(1)
    values = generator.standard_normal((200, 2))
    values[::4, 1] = np.nan
    low, high = _intervals.percentile(values, 0.9)
    assert low[1] == pytest.approx(order_statistic(values[~np.isnan(values[:, 1]), 1], 0.05))
    assert np.isfinite(_intervals.normal(np.zeros(2), values, 0.9)).all()
    assert high[0] == pytest.approx(order_statistic(values[:, 0], 0.95))


def test_acceleration_does_not_overflow_and_is_zero_for_constants() -> None:
    values = np.column_stack([np.arange(5.0) ** 2 * 1e200, np.full(5, 3.0), np.full(5, np.nan)])
    a = _intervals.acceleration(values)
    assert a[0] == pytest.approx(_intervals.acceleration(np.arange(5.0)[:, None] ** 2)[0])
    assert a[1] == a[2] == 0


@pytest.mark.parametrize(("level", "least"), [(0.95, 39), (0.9, 19), (0.99, 199), (0.5, 3)])
def test_too_few_replicates_for_a_level_are_refused(level: float, least: int) -> None:
    for kind in ("percentile", "basic", "bca"):
        assert _intervals.require_enough(least, level, kind) == least
        with pytest.raises(pp.SpecificationError, match=f"which need at least {least}"):
            _intervals.require_enough(least - 1, level, kind)
    assert _intervals.require_enough(2, level, "normal") == 2
    with pytest.raises(pp.SpecificationError, match="1 replicates are too few"):
        _intervals.require_enough(1, level, "normal")


def test_bad_levels_and_kinds_are_refused(skewed: Any) -> None:
    found = skewed[0].bootstrap(50, seed=1)
    for level in (0, 1, 1.5, -0.1, "0.95", True):
        with pytest.raises(pp.SpecificationError, match="between 0 and 1"):
            found.conf_int(level)
    with pytest.raises(pp.SpecificationError, match="kind='student' must be"):
        found.conf_int(kind="student")


def test_parameters_with_few_values_have_no_limits(skewed: Any) -> None:
    fit, _ = skewed
    center = fit.params["Intercept"]
    found = fit.bootstrap(
        100,
        seed=1,
        statistic=lambda f: {"a": 1.0 if abs(f.params["Intercept"] - center) < 0.1 else np.nan},
    )
    assert not found.failures
    with pytest.warns(pp.PartialPoolWarning, match="a: fewer than 39 of 100"):
        limits = found.conf_int()
    assert limits.isna().all().all()
    assert "a is undefined in" in str(found)


def test_summary_has_bias_and_standard_error(skewed: Any) -> None:
    fit, _ = skewed
    found = fit.bootstrap(200, seed=1)
    table = found.summary(0.9, kind="basic")
    assert list(table.columns) == ["estimate", "bias", "std_error", "lower", "upper"]
    frame = found.to_frame()
    np.testing.assert_allclose(table["std_error"], frame.std(ddof=1))
    np.testing.assert_allclose(table["bias"], frame.mean() - table["estimate"])
    pd.testing.assert_frame_equal(
        table[["lower", "upper"]], found.conf_int(0.9, kind="basic"), check_names=False
    )
