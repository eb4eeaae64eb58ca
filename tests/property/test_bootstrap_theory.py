"""Replicates against what theory says of them, with fixed seeds; calibration is slow."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special

import partialpool as pp

N = 20_000
SIGMAS = 4.5  # Monte Carlo standard errors: a false alarm is one in 100,000


def balanced(groups: int = 12, rows: int = 5, sd: float = 2.0, seed: int = 1) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rows)
    y = 10 + sd * generator.standard_normal(groups)[g] + generator.standard_normal(len(g))
    return pd.DataFrame({"g": g, "y": y})


@pytest.fixture(scope="module")
def one_way() -> Any:
    return pp.lmer("y ~ 1 + (1 | g)", balanced())


def z_of_mean(values: np.ndarray, expected: float) -> float:
    return float((values.mean() - expected) / values.std(ddof=1) * math.sqrt(len(values)))


def test_balanced_one_way_has_the_distributions_of_the_anova(one_way: Any) -> None:
    """REML there is the ANOVA: sigma^2 df / scale and MSA are chi-squares, the mean is normal."""
    J, n = 12, 5
    frame = one_way.bootstrap(N, seed=11).to_frame()
    sigma = one_way.sigma
    sd = float(one_way.varcorr.to_frame()["std_dev"][0])
    mean_variance = (n * sd**2 + sigma**2) / (J * n)
    mean = frame["Intercept"].to_numpy()
    assert abs(z_of_mean(mean, one_way.params["Intercept"])) < SIGMAS
    assert mean.var() == pytest.approx(mean_variance, rel=SIGMAS * math.sqrt(2 / N))
    inside = frame["sd(Intercept | g)"].to_numpy() > 0
    assert inside.mean() > 0.999  # the variance is far from zero, so that the ANOVA's is REML's
    s2 = frame["sigma"].to_numpy() ** 2
    df = J * (n - 1)
    assert abs(z_of_mean(s2, sigma**2)) < SIGMAS
    assert s2.var() == pytest.approx(2 * sigma**4 / df, rel=6 * math.sqrt(5 / N))
    between = n * frame["sd(Intercept | g)"].to_numpy() ** 2 + s2
    expected = n * sd**2 + sigma**2
    assert abs(z_of_mean(between, expected)) < SIGMAS
    assert between.var() == pytest.approx(2 * expected**2 / (J - 1), rel=6 * math.sqrt(8 / N))
    assert abs(np.corrcoef(between, s2)[0, 1]) < SIGMAS / math.sqrt(N)


def test_quantiles_of_the_residual_variance_are_those_of_chi_square(one_way: Any) -> None:
    s2 = one_way.bootstrap(N, seed=12).to_frame()["sigma"].to_numpy() ** 2
    p = np.array([0.01, 0.1, 0.5, 0.9, 0.99])
    exact = one_way.scale * special.chdtri(48, 1 - p) / 48
    share = (s2[:, None] <= exact).mean(axis=0)
    assert (np.abs(share - p) < SIGMAS * np.sqrt(p * (1 - p) / N)).all()


def test_fixed_effects_vary_as_their_covariance_says() -> None:
    fit = pp.lmer("Reaction ~ Days + (Days | Subject)", pp.datasets.load("sleepstudy"))
    frame = fit.bootstrap(N, seed=13).to_frame()[["Intercept", "Days"]]
    V = fit.cov_params().to_numpy()  # exact here: in balanced data beta does not depend on theta
    C = np.cov(frame.to_numpy().T)
    error = np.sqrt((np.outer(np.diag(V), np.diag(V)) + V**2) / N)
    assert (np.abs(C - V) < SIGMAS * error).all()


def test_kept_random_effects_leave_the_noise_of_the_rows(one_way: Any) -> None:
    frame = one_way.bootstrap(N, seed=14, random="fitted").to_frame()
    mean = frame["Intercept"].to_numpy()
    expected = one_way.fittedvalues.mean()
    assert abs(z_of_mean(mean, expected)) < SIGMAS
    assert mean.var() == pytest.approx(one_way.scale / 60, rel=SIGMAS * math.sqrt(2 / N))


@pytest.mark.parametrize("random", ["new", "fitted"])
def test_residual_bootstrap_of_a_mean_has_the_variance_of_the_model(
    one_way: Any, random: str
) -> None:
    """Effects and residuals have been rescaled to it."""
    mean = one_way.bootstrap(N, seed=15, kind="residual", random=random).to_frame()["Intercept"]
    sd = float(one_way.varcorr.to_frame()["std_dev"][0])
    variance = one_way.scale / 60 + (sd**2 / 12 if random == "new" else 0)
    assert mean.var() == pytest.approx(variance, rel=6 * math.sqrt(2 / N))
    center = one_way.params["Intercept"] if random == "new" else one_way.fittedvalues.mean()
    assert abs(z_of_mean(mean.to_numpy(), center)) < SIGMAS


def test_cases_of_a_balanced_mean_have_the_variance_of_group_means(one_way: Any) -> None:
    """The mean of all is that of 12 group means drawn with replacement."""
    groups = balanced().groupby("g")["y"].mean().to_numpy()
    mean = one_way.bootstrap(3000, seed=16, kind="cases").to_frame()["Intercept"]
    assert mean.var() == pytest.approx(groups.var() / 12, rel=6 * math.sqrt(2 / 3000))
    assert abs(z_of_mean(mean.to_numpy(), groups.mean())) < SIGMAS


def test_wild_bootstrap_of_a_mean_has_the_sandwich_variance(one_way: Any) -> None:
    """sum_j (sum of the group's adjusted residuals)^2 / n^2: weights have mean 0, variance 1."""
    data = balanced()
    v = (data["y"] - one_way.params["Intercept"]) / math.sqrt(1 - 1 / 60)
    sums = v.groupby(data["g"]).sum().to_numpy()
    mean = one_way.bootstrap(N, seed=17, kind="wild").to_frame()["Intercept"].to_numpy()
    assert abs(z_of_mean(mean, one_way.params["Intercept"])) < SIGMAS
    assert mean.var() == pytest.approx((sums**2).sum() / 60**2, rel=6 * math.sqrt(3 / N))


def test_parametric_bootstrap_of_lm_has_the_t_theory() -> None:
    data = balanced().assign(x=np.tile(np.arange(5.0), 12), w=np.linspace(0.5, 2, 60))
    fit = pp.lm("y ~ x", data, weights="w")
    frame = fit.bootstrap(N, seed=18).to_frame()
    V = fit.cov_params().to_numpy()
    C = np.cov(frame[["Intercept", "x"]].to_numpy().T)
    error = np.sqrt((np.outer(np.diag(V), np.diag(V)) + V**2) / N)
    assert (np.abs(C - V) < SIGMAS * error).all()
    s2 = frame["sigma"].to_numpy() ** 2
    assert abs(z_of_mean(s2, fit.scale)) < SIGMAS
    assert s2.var() == pytest.approx(2 * fit.scale**2 / 58, rel=6 * math.sqrt(5 / N))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "interval", "lowest"),
    [
        ("parametric", "percentile", 0.90),
        ("parametric", "basic", 0.90),
        ("parametric", "normal", 0.90),
        ("residual", "percentile", 0.88),
        ("cases", "percentile", 0.86),  # few groups: too short, as the literature has it
        ("wild", "percentile", 0.86),
    ],
)
def test_intervals_of_a_slope_cover(kind: str, interval: str, lowest: float) -> None:
    """95 % limits of a within-group slope, 20 groups of 4 to 8 rows, 400 data sets."""
    generator = np.random.default_rng(99)
    sets, hits = 400, 0
    sizes = generator.integers(4, 9, 20)
    g = np.repeat(np.arange(20), sizes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        for k in range(sets):
            x = generator.standard_normal(len(g))
            y = 1 + 0.5 * x + generator.normal(0, 1, 20)[g] + generator.standard_normal(len(g))
            fit = pp.lmer("y ~ x + (1 | g)", {"y": y, "x": x, "g": g})
            found = fit.bootstrap(299, kind=kind, seed=k)
            low, high = found.conf_int(kind=interval).loc["x"]
            hits += low <= 0.5 <= high
    assert lowest < hits / sets < 0.985
