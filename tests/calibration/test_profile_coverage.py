"""95 % profile intervals hold the truth 95 times in a hundred. Simulations: slow.

With forty levels, since the profiles are those of maximum likelihood: with few levels its standard
deviations are too small and its intervals for coefficients too short, by design.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool import lmm
from partialpool.inference import profile

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning"),
]

COUNT = 1000
ERROR = 4 * np.sqrt(0.95 * 0.05 / COUNT)
"""Four standard errors of a share of 0.95, for a dozen parameters at once."""

SHORT = 0.012
"""What remains of maximum likelihood's bias at forty levels: t quantiles on 38 degrees of freedom
in place of normal ones, and variances short by a fortieth."""


def shares(formula, frame, draw, truth):
    """Share of the intervals of each parameter that hold it."""
    rng = np.random.default_rng(20)
    base = pp.lmer(formula, frame.assign(y=draw(rng)), reml=False)._record
    held = dict.fromkeys(truth, 0)
    for _ in range(COUNT):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            limits = profile.profile(lmm.refit(base, draw(rng)), level=0.95).conf_int()
        assert limits.notna().all(axis=None)
        for name, value in truth.items():
            held[name] += limits.loc[name, "lower"] <= value <= limits.loc[name, "upper"]
    return {name: count / COUNT for name, count in held.items()}


def check(found):
    for share in found.values():
        assert 0.95 - ERROR - SHORT <= share <= 0.95 + ERROR, found


def test_one_factor():
    J, n = 40, 5
    g, x = np.repeat(np.arange(J), n), np.tile(np.arange(n) - 2.0, J)

    def draw(rng):
        return 1 + 0.5 * x + 0.8 * rng.normal(size=J)[g] + rng.normal(size=J * n)

    truth = {"Intercept": 1, "x": 0.5, "sigma": 1, "sd(Intercept | g)": 0.8}
    check(shares("y ~ x + (1 | g)", pd.DataFrame({"x": x, "g": g}), draw, truth))


def test_slopes_and_their_correlation():
    J, n = 40, 8
    g, x = np.repeat(np.arange(J), n), np.tile(np.linspace(-1, 1, n), J)
    root = np.linalg.cholesky([[1, 0.4 * 0.8], [0.4 * 0.8, 0.64]])

    def draw(rng):
        b = rng.normal(size=(J, 2)) @ root.T
        return 2 - x + b[g, 0] + b[g, 1] * x + rng.normal(size=J * n)

    truth = {
        "Intercept": 2, "x": -1, "sigma": 1, "sd(Intercept | g)": 1, "sd(x | g)": 0.8,
        "cor(Intercept, x | g)": 0.4,
    }  # fmt: skip
    check(shares("y ~ x + (x | g)", pd.DataFrame({"x": x, "g": g}), draw, truth))


def test_crossed_factors():
    J, K = 40, 40
    g, h = (v.ravel() for v in np.meshgrid(np.arange(J), np.arange(K), indexing="ij"))
    keep = np.random.default_rng(1).permutation(len(g))[:400]
    g, h = g[keep], h[keep]

    def draw(rng):
        return 3 + 0.7 * rng.normal(size=J)[g] + 0.5 * rng.normal(size=K)[h] + rng.normal(size=400)

    truth = {"Intercept": 3, "sigma": 1, "sd(Intercept | g)": 0.7, "sd(Intercept | h)": 0.5}
    check(shares("y ~ 1 + (1 | g) + (1 | h)", pd.DataFrame({"g": g, "h": h}), draw, truth))


def test_a_variance_of_zero_is_missed_on_one_side_only():
    """zeta at zero is a normal variable cut off below: 97.5 % hold."""
    J, n = 40, 5
    g = np.repeat(np.arange(J), n)
    truth = {"sd(Intercept | g)": 0.0}
    frame = pd.DataFrame({"g": g})
    found = shares("y ~ 1 + (1 | g)", frame, lambda rng: rng.normal(size=J * n), truth)
    assert abs(found["sd(Intercept | g)"] - 0.975) < ERROR
