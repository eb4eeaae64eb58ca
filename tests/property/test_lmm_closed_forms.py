"""Balanced layouts, whose REML estimates are the classical ANOVA ones when those are positive."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import partialpool as pp

ANOVA = 1e-6
"""Relative. The optimiser ends where the predicted gain is below 1e-9, and a Newton step from
there leaves a variance right to far more; the sums of squares themselves are good to 1e-12."""

EXACT = 1e-10
"""Relative, where the starting value already is the solution."""


def labels(prefix, codes):
    return np.array([f"{prefix}{c:02d}" for c in codes])


def sum_of_squares(y, *keys):
    """Of the cell means of a balanced layout around the general mean, each row counted."""
    means = pd.Series(y).groupby(list(keys) if len(keys) > 1 else keys[0]).transform("mean")
    return float(np.sum((means - y.mean()) ** 2))


def variances(model):
    table = model.varcorr.to_frame()
    return dict(zip(table["group"], table["variance"], strict=True))


def one_way(seed, a=8, r=5, between=2.0):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(a), r)
    y = 3 + between * rng.normal(size=a)[g] + rng.normal(size=a * r)
    ms_between = sum_of_squares(y, g) / (a - 1)
    ms_within = (np.sum((y - y.mean()) ** 2) - sum_of_squares(y, g)) / (a * (r - 1))
    return pd.DataFrame({"y": y, "g": labels("g", g)}), ms_between, ms_within


@pytest.mark.parametrize("seed", range(10))
def test_balanced_one_way_reml_is_anova(seed):
    data, between, within = one_way(seed)
    model = pp.lmer("y ~ 1 + (1 | g)", data)
    assert variances(model)["g"] == pytest.approx((between - within) / 5, rel=ANOVA)
    assert model.scale == pytest.approx(within, rel=ANOVA)
    assert model.params.iloc[0] == pytest.approx(data["y"].mean(), rel=1e-12)
    assert model.bse.iloc[0] == pytest.approx(np.sqrt(between / 40), rel=ANOVA)


@pytest.mark.parametrize("seed", range(10))
def test_balanced_one_way_ml_is_its_closed_form(seed):
    data, between, within = one_way(seed)
    model = pp.lmer("y ~ 1 + (1 | g)", data, reml=False)
    expected = ((1 - 1 / 8) * between - within) / 5
    assert variances(model)["g"] == pytest.approx(expected, rel=ANOVA)
    assert model.scale == pytest.approx(within, rel=ANOVA)


@pytest.mark.parametrize("seed", range(10))
def test_balanced_one_way_effects_are_shrunken_means(seed):
    data, between, within = one_way(seed)
    model = pp.lmer("y ~ 1 + (1 | g)", data)
    means = data.groupby("g")["y"].mean() - data["y"].mean()
    np.testing.assert_allclose(
        model.ranef()["g"].iloc[:, 0], means * (1 - within / between), rtol=ANOVA
    )


@pytest.mark.parametrize("seed", range(10))
def test_the_moment_start_is_the_optimum_of_balanced_one_way_reml(seed):
    """The Haseman-Elston equations are the REML equations there."""
    data, between, within = one_way(seed)
    objective = pp.objective("y ~ 1 + (1 | g)", data)
    theta = np.sqrt((between - within) / 5 / within)
    np.testing.assert_allclose(objective.theta0, [theta], rtol=EXACT)
    model = pp.lmer("y ~ 1 + (1 | g)", data)
    assert model.optimum.evaluations == 1
    np.testing.assert_allclose(model.optimum.theta, [theta], rtol=EXACT)


@pytest.mark.parametrize("seed", range(5))
def test_the_moment_start_is_the_optimum_of_balanced_slopes(seed):
    """The same holds for a vector-valued term when every group has the same Z, as long as the
    residual is not a small part of the whole (the start keeps it away from zero)."""
    rng = np.random.default_rng([seed, 1])
    x, g = np.tile(np.arange(8.0), 30), np.repeat(np.arange(30), 8)
    b = rng.normal(size=(30, 2)) * [1.5, 0.3]
    y = 1 + x + b[g, 0] + b[g, 1] * x + rng.normal(size=240)
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    model = pp.lmer("y ~ x + (x | g)", data)
    start = pp.objective("y ~ x + (x | g)", data).theta0
    assert not model.is_singular
    np.testing.assert_allclose(model.optimum.theta, start, rtol=1e-7)


def test_a_between_mean_square_below_the_within_one_gives_a_variance_of_zero():
    data, between, within = one_way(3, between=0.0)
    if between >= within:
        data["y"] -= 0.9 * (data.groupby("g")["y"].transform("mean") - data["y"].mean())
    with pytest.warns(pp.SingularFitWarning, match="g"):
        model = pp.lmer("y ~ 1 + (1 | g)", data)
    assert variances(model)["g"] == pytest.approx(0, abs=1e-9)
    assert model.scale == pytest.approx(data["y"].var(ddof=1), rel=ANOVA)
    assert model.is_singular


@pytest.mark.parametrize("seed", range(6))
def test_balanced_split_plot_reml_is_anova(seed):
    """Whole plots carry A, their parts carry B; the plot's variance is (MS plot - MS rest) / b."""
    rng = np.random.default_rng([seed, 2])
    a, r, b = 3, 6, 4
    A, plot, B = (v.ravel() for v in np.meshgrid(range(a), range(r), range(b), indexing="ij"))
    whole = A * r + plot
    y = A + 0.5 * B * A + 1.5 * rng.normal(size=a * r)[whole] + rng.normal(size=a * r * b)
    data = pd.DataFrame(
        {"y": y, "A": labels("A", A), "B": labels("B", B), "rep": labels("r", plot)}
    )
    in_plots = (sum_of_squares(y, whole) - sum_of_squares(y, A)) / (a * (r - 1))
    total = np.sum((y - y.mean()) ** 2)
    cells = sum_of_squares(y, A, B)
    rest = (total - cells - in_plots * a * (r - 1)) / (a * (r - 1) * (b - 1))
    model = pp.lmer("y ~ A * B + (1 | A:rep)", data)
    assert variances(model)["A:rep"] == pytest.approx((in_plots - rest) / b, rel=ANOVA)
    assert model.scale == pytest.approx(rest, rel=ANOVA)
    means = data.groupby(["A", "B"])["y"].mean()
    expected = means["A01", "B00"] - means["A00", "B00"]
    assert model.params.loc["A[T.A01]"] == pytest.approx(expected, rel=1e-9)
    # a difference of whole-plot treatments at one level of B: both strata
    se = np.sqrt(2 / r * (rest + (in_plots - rest) / b))
    assert model.bse.loc["A[T.A01]"] == pytest.approx(se, rel=ANOVA)
    # and of B within a whole plot: the rest alone
    assert model.bse.loc["B[T.B01]"] == pytest.approx(np.sqrt(2 / r * rest), rel=ANOVA)


def crossed(seed, r=1, interaction=0.0):
    rng = np.random.default_rng([seed, 3])
    a, b = 9, 7
    g, h, _ = (v.ravel() for v in np.meshgrid(range(a), range(b), range(r), indexing="ij"))
    y = 2 * rng.normal(size=a)[g] + 1.5 * rng.normal(size=b)[h] + rng.normal(size=len(g))
    y += interaction * rng.normal(size=(a, b))[g, h]
    return y, g, h, a, b, pd.DataFrame({"y": y, "g": labels("g", g), "h": labels("h", h)})


@pytest.mark.parametrize("seed", range(6))
def test_balanced_two_way_crossed_reml_is_anova(seed):
    y, g, h, a, b, data = crossed(seed)
    ms_g, ms_h = sum_of_squares(y, g) / (a - 1), sum_of_squares(y, h) / (b - 1)
    total = np.sum((y - y.mean()) ** 2)
    rest = (total - ms_g * (a - 1) - ms_h * (b - 1)) / ((a - 1) * (b - 1))
    model = pp.lmer("y ~ 1 + (1 | g) + (1 | h)", data)
    got = variances(model)
    assert got["g"] == pytest.approx((ms_g - rest) / b, rel=ANOVA)
    assert got["h"] == pytest.approx((ms_h - rest) / a, rel=ANOVA)
    assert got["Residual"] == pytest.approx(rest, rel=ANOVA)


@pytest.mark.parametrize("seed", range(6))
def test_balanced_two_way_crossed_with_interaction_reml_is_anova(seed):
    r = 3
    y, g, h, a, b, data = crossed(seed, r, interaction=1.0)
    ss_g, ss_h, ss_cells = sum_of_squares(y, g), sum_of_squares(y, h), sum_of_squares(y, g, h)
    ms_g, ms_h = ss_g / (a - 1), ss_h / (b - 1)
    ms_gh = (ss_cells - ss_g - ss_h) / ((a - 1) * (b - 1))
    rest = (np.sum((y - y.mean()) ** 2) - ss_cells) / (a * b * (r - 1))
    got = variances(pp.lmer("y ~ 1 + (1 | g) + (1 | h) + (1 | g:h)", data))
    assert got["g:h"] == pytest.approx((ms_gh - rest) / r, rel=ANOVA)
    assert got["g"] == pytest.approx((ms_g - ms_gh) / (b * r), rel=ANOVA)
    assert got["h"] == pytest.approx((ms_h - ms_gh) / (a * r), rel=ANOVA)
    assert got["Residual"] == pytest.approx(rest, rel=ANOVA)


@pytest.mark.parametrize("seed", range(6))
def test_balanced_nested_reml_is_anova(seed):
    rng = np.random.default_rng([seed, 4])
    a, b, r = 10, 4, 3
    A, B, _ = (v.ravel() for v in np.meshgrid(range(a), range(b), range(r), indexing="ij"))
    inner = A * b + B
    y = 3 * rng.normal(size=a)[A] + 1.5 * rng.normal(size=a * b)[inner] + rng.normal(size=len(A))
    ss_a, ss_ab = sum_of_squares(y, A), sum_of_squares(y, inner)
    ms_a, ms_b = ss_a / (a - 1), (ss_ab - ss_a) / (a * (b - 1))
    rest = (np.sum((y - y.mean()) ** 2) - ss_ab) / (a * b * (r - 1))
    got = variances(pp.lmer("y ~ 1 + (1 | a/b)", pd.DataFrame({"y": y, "a": A, "b": B})))
    assert got["b:a"] == pytest.approx((ms_b - rest) / r, rel=ANOVA)
    assert got["a"] == pytest.approx((ms_a - ms_b) / (b * r), rel=ANOVA)
    assert got["Residual"] == pytest.approx(rest, rel=ANOVA)


def test_thirteen_constant_leading_digits_cost_none_of_the_others():
    """As in NIST's SmLs09, with what the doubles hold taken as the truth."""
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(9), 21)
    stored = 1e12 + np.round(0.4 + 0.3 * rng.normal(size=9)[g] + 0.1 * rng.normal(size=189), 1)
    y = stored - 1e12  # exact
    between = sum_of_squares(y, g) / 8
    within = (np.sum((y - y.mean()) ** 2) - sum_of_squares(y, g)) / (9 * 20)
    model = pp.lmer("y ~ 1 + (1 | g)", pd.DataFrame({"y": stored, "g": g}))
    assert variances(model)["g"] == pytest.approx((between - within) / 21, rel=1e-8)
    assert model.scale == pytest.approx(within, rel=1e-9)
    assert model.params.iloc[0] - 1e12 == pytest.approx(y.mean(), abs=2.5e-4)  # spacing 1.2e-4
