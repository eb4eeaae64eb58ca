"""Comparisons at the edges of what can be estimated: what is known, what is not, and how far."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool import pls

pytestmark = pytest.mark.filterwarnings("ignore::partialpool.PartialPoolWarning")


def data(seed=1, groups=14):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rng.integers(3, 12, groups))
    n = len(g)
    x = 5 + rng.normal(size=n) + rng.normal(size=groups)[g]
    z = rng.normal(size=groups)[g]
    h = rng.integers(0, 6, n)
    y = x - z + (1 + x) * rng.normal(size=groups)[g] + rng.normal(size=6)[h] + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "z": z, "g": g, "h": h})


def test_slopes_of_their_own_leave_a_common_intercept():
    d = data()
    c = pp.compare("y ~ x + z + (0 + x | g)", d)
    own = (np.arange(14) == d["g"].to_numpy()[:, None]) * d["x"].to_numpy()[:, None]
    X = np.column_stack([np.ones(len(d)), d["z"], own])
    beta, rss, *_ = np.linalg.lstsq(X, d["y"], rcond=None)
    variance = rss[0] / (len(d) - X.shape[1]) * np.linalg.inv(X.T @ X)
    table = c.table
    for name, k in (("Intercept", 0), ("z", 1)):
        assert table["no_pooling"][name] == pytest.approx(beta[k], rel=1e-9)
        assert table["no_pooling_se"][name] == pytest.approx(math.sqrt(variance[k, k]), rel=1e-9)
        assert table["note"][name] == ""
    assert math.isnan(table["no_pooling"]["x"])
    assert "a coefficient of its own" in table["note"]["x"]


def test_equal_means_have_no_between_intercept():
    # Every level has the mean 3 of x: the means tell of intercept + 3 slope alone.
    d = data()
    d["x"] = 3 + d["x"] - d.groupby("g")["x"].transform("mean")
    c = pp.compare("y ~ x + z + (1 | g)", d)
    assert c.table["between"].isna().tolist() == [True, True, False]
    assert c.table["note"]["x"].startswith("no between estimate: the means of the levels of g")
    assert c.decomposition.between_estimable.tolist() == [False, False, True]
    assert np.allclose(c.decomposition.recombined, c.mixed.solution.beta, rtol=1e-10)
    d["x"] -= 3
    known = pp.compare("y ~ x + z + (1 | g)", d)
    assert known.table["between"].isna().tolist() == [False, True, False]


def test_two_columns_of_one_name_are_refused():
    d = data().rename(columns={"x": "Intercept"})
    formula = "y ~ Intercept + (1 | g)"
    fits = pp.lm("y ~ Intercept", d), pp.lmer(formula, d)
    with pytest.raises(pp.SpecificationError, match="Two columns .* named 'Intercept'"):
        pp.compare(formula, d)
    with pytest.raises(pp.SpecificationError, match="Two columns .* named 'Intercept'"):
        pp.compare(*fits)


@pytest.mark.parametrize("random", ["(x | g) + (1 | h)", "(x | g)", "(0 + x | g)"])
def test_the_limit_is_approached_as_the_square_of_the_ratio(random):
    c = pp.compare(f"y ~ x + z + {random}", data(2))
    end, b_end = c.coefficients_at(math.inf), c.effects_at(math.inf)
    at, b_at = c.coefficients_at(1e3) - end, c.effects_at(1e3) - b_end
    for ratio in (1e4, 1e6, 1e8, 1e200):
        left = (1e3 / ratio) ** 2
        size = 1e-12 * (1 + end.abs().max())
        assert np.abs(c.coefficients_at(ratio) - end - left * at).max() < size
        assert np.abs(c.effects_at(ratio) - b_end - left * b_at).max() < 1e-11
    # What is left to go at 1000 is what a plain solution at 900 says, but for its rounding.
    near = (c.coefficients_at(900.0) - end) * 0.81
    assert np.allclose(near, at, rtol=1e-3, atol=1e-7)


def test_effects_at_the_points_of_the_path_are_not_solved_for_again(monkeypatch):
    c = pp.compare("y ~ x + (1 | g) + (1 | h)", data(3))
    path = c.path
    monkeypatch.setattr(pls.Problem, "solve", lambda *_: pytest.fail("solved again"))
    for ratio in path["ratio"]:
        assert np.isfinite(c.effects_at(ratio)).all()
        assert (
            c.coefficients_at(ratio).tolist() == path[path["ratio"] == ratio].iloc[0, 1:].tolist()
        )


@pytest.mark.parametrize(
    ("random", "free"),
    [
        ("(1 | g) + (1 | h)", "C(g) + C(h)"),
        ("(1 | h) + (1 | g)", "C(g) + C(h)"),
        ("(w | g)", "C(g) + w:C(g)"),
    ],
)
def test_no_pooling_frees_effects_whose_variance_is_estimated_as_zero(random, free):
    rng = np.random.default_rng(7)
    d = data(5)
    d["w"] = rng.normal(size=len(d))
    d["y"] = d["x"] + rng.normal(size=14)[d["g"]] + rng.normal(size=len(d))
    # Levels of h more alike than chance, and slopes of w alike.
    noise = d["y"] - pp.lm("y ~ x + C(g)", d).fittedvalues
    d["y"] -= noise.groupby(d["h"]).transform("mean")
    c = pp.compare(f"y ~ x + z + {random}", d)
    assert (c.mixed.solution.theta == 0).any()
    lm = pp.lm(f"y ~ x + {free}", d)
    row = c.table.loc["x"]
    assert row["no_pooling"] == pytest.approx(lm.params["x"], rel=1e-8)
    assert row["no_pooling_se"] == pytest.approx(lm.bse["x"], rel=1e-8)
    assert c.path["x"].iloc[-1] != pytest.approx(lm.params["x"], rel=1e-5)
    assert "a variance above zero" in row["note"]
    # What is zero stays zero along the path.
    near, end = c.coefficients_at(900.0), c.coefficients_at(math.inf)
    assert np.allclose(near, end, atol=1e-3)


def test_panels_of_lines_are_at_each_level_s_own_covariates():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    d = data(6)
    d["k"] = np.where(d["g"] % 2 == 0, "even", "odd")
    d["y"] += 40 * (d["k"] == "odd") + 5 * d["z"]
    c = pp.compare("y ~ x + z + k + (1 | g)", d)
    axes = c.plot.lines()
    beta, b = c.coefficients_at(math.inf), c.effects_at(math.inf)
    for ax in axes:
        level = int(ax.get_title(loc="left").split(" (")[0])
        rows = d[d["g"] == level]
        line = next(one for one in ax.lines if one.get_gid() == "no_pooling")
        x, y = line.get_data()
        expected = beta["Intercept"] + beta["x"] * x + beta["z"] * rows["z"].iloc[0]
        expected = expected + beta["k[T.odd]"] * (level % 2) + b[level]
        assert np.allclose(y, expected, atol=1e-8)
        # No pooling goes through the mean of each level.
        at = np.interp(rows["x"].mean(), x, y) if len(x) > 1 else y[0]
        assert at == pytest.approx(rows["y"].mean(), abs=1e-6)
    assert any("z, k: each g's own" in one.get_text().replace("\n", " ") for one in _texts(axes))
    plt.close("all")


def _texts(axes):
    from matplotlib.text import Text

    return axes[0].figure.findobj(Text)


def test_steps_beside_a_large_mean_keep_their_digits():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    d = data(6)
    d["y"] += 1e9
    c = pp.compare("y ~ x + z + (1 | g)", d)
    ax = c.plot.components(0)
    shown = [one.get_text() for one in _texts([ax]) if one.get_text()[:1] in "+\N{MINUS SIGN}"]
    steps = [one for one in shown if one[1:] and "," not in one]
    assert steps
    assert all(set(one[1:]) - set("0.") for one in steps)
    plt.close("all")
