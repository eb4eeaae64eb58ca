"""What the pictures of a fit draw: the artists' data against the fit's own numbers."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

import partialpool as pp
from partialpool.plot import thinning, wording
from partialpool.plot.fitted import FitPlots

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _no_figure_stays_open() -> Iterator[None]:
    """Pictures without `ax` are pyplot's; a test closes what it opened, and nothing else is."""
    import matplotlib.pyplot as plt

    assert not plt.get_fignums()
    yield
    for number in plt.get_fignums():
        plt.figure(number).savefig(
            "/dev/null", format="png", dpi=50
        )  # warnings of drawing are errors
        plt.close(number)


def plots(fit: Any) -> FitPlots:
    return FitPlots(fit._record)


@pytest.fixture(scope="module")
def mpg() -> Any:
    return pp.lmer("hwy ~ displ + year + (1 | class)", pp.datasets.load("mpg"))


@pytest.fixture(scope="module")
def pooled() -> Any:
    return pp.lm("hwy ~ displ + year", pp.datasets.load("mpg"))


@pytest.fixture(scope="module")
def sleep() -> Any:
    return pp.lmer("Reaction ~ Days + (Days | Subject)", pp.datasets.load("sleepstudy"))


def points(ax: Any, gid: str | None = None) -> np.ndarray:
    """Offsets of the scatters, those of a gid or all."""
    found = [
        np.asarray(c.get_offsets())
        for c in ax.collections
        if isinstance(c, PathCollection) and gid in (None, c.get_gid())
    ]
    return np.concatenate(found)


def lines(ax: Any, gid: str) -> list[np.ndarray]:
    return [np.column_stack(line.get_data()) for line in ax.lines if line.get_gid() == gid]


def texts(ax: Any, gid: str) -> list[str]:
    return [text.get_text() for text in ax.findobj(Text) if text.get_gid() == gid]


def notes(ax: Any) -> str:
    return " ".join(texts(ax, "notes")).replace("\n", " ")


def bars(ax: Any) -> np.ndarray:
    """(m, 2) ends of horizontal bars, from the bottom up."""
    (found,) = [c for c in ax.collections if type(c).__name__ == "LineCollection"]
    return np.array([segment[:, 0] for segment in found.get_segments()])


# -- residuals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mpg", "pooled"])
def test_residuals_are_drawn_against_fitted_values(name: str, request: Any) -> None:
    fit = request.getfixturevalue(name)
    ax = plots(fit).residuals()
    expected = np.column_stack([fit.fittedvalues, fit.resid()])
    np.testing.assert_allclose(points(ax), expected, rtol=1e-12)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("fitted hwy", "residual of hwy")
    largest = fit.resid().abs().nlargest(3).index
    assert set(texts(ax, "row")) <= {str(i) for i in fit.resid().index}
    assert str(largest[0]) in texts(ax, "row")
    assert "medians of 10 bins" in notes(ax)


def test_the_smoother_is_medians_of_bins_of_all_rows() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=1000), rng.normal(size=1000)
    at, height = thinning.binned_medians(x, y)
    order = np.argsort(x)
    groups = np.array_split(order, len(at))
    np.testing.assert_allclose(at, [np.median(x[g]) for g in groups], atol=0.02)
    np.testing.assert_allclose(height, [np.median(y[g]) for g in groups], atol=0.15)
    # Values of a balanced design differ by rounding only: they share a bin.
    x = np.repeat([1.0, 2.0, 3.0], 20) + 1e-14 * rng.normal(size=60)
    y = np.arange(60.0)
    at, height = thinning.binned_medians(x, y)
    np.testing.assert_allclose(at, [1, 2, 3])
    np.testing.assert_allclose(height, [9.5, 29.5, 49.5])
    assert thinning.binned_medians(x[:19], y[:19])[0].size == 0
    assert thinning.binned_medians(np.ones(60), y)[0].size == 0


def test_weighted_residuals_are_pearsons() -> None:
    data = pp.datasets.load("sleepstudy").assign(w=np.arange(1.0, 181.0))
    fit = pp.lmer("log(Reaction) ~ Days + (1 | Subject)", data, weights="w")
    ax = plots(fit).residuals()
    np.testing.assert_allclose(points(ax)[:, 1], fit.resid("pearson"), rtol=1e-12)
    assert ax.get_ylabel() == "residual of log(Reaction) × √weight"


def test_quantiles_of_standardised_residuals(mpg: Any) -> None:
    ax = plots(mpg).qq()
    drawn = points(ax)
    np.testing.assert_allclose(drawn[:, 1], np.sort(mpg.rstudent()), rtol=1e-12)
    from scipy import special

    n = len(drawn)
    np.testing.assert_allclose(drawn[:, 0], special.ndtri((np.arange(n) + 0.5) / n))
    dashed = np.column_stack(ax.lines[0].get_data())
    np.testing.assert_allclose(dashed[:, 0], dashed[:, 1])
    assert set(texts(ax, "row")) == {"212", "221", "222"}
    assert ax.get_ylabel() == "standardised residual of hwy"


def test_the_band_covers_normal_samples_point_by_point() -> None:
    from partialpool.plot.residuals import _band

    rng = np.random.default_rng(5)
    samples = np.sort(rng.normal(size=(4000, 25)), axis=1)
    lower, upper = _band(25, np.arange(25))
    covered = ((lower < samples) & (samples < upper)).mean(axis=0)
    assert np.all(np.abs(covered - 0.95) < 4.5 * np.sqrt(0.95 * 0.05 / 4000))


def test_scale_location(pooled: Any) -> None:
    ax = plots(pooled).scale_location()
    h = pooled.hatvalues()
    standard = pooled.resid() / (pooled.sigma * np.sqrt(1 - h))
    expected = np.column_stack([pooled.fittedvalues, np.sqrt(standard.abs())])
    np.testing.assert_allclose(points(ax), expected, rtol=1e-12)
    assert ax.get_ylim()[0] == 0
    assert "0.82" in notes(ax)


def test_many_rows_are_thinned_and_it_says_so() -> None:
    n = 20_000
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"x": rng.normal(size=n)})
    data["y"] = data["x"] + rng.standard_t(3, n)
    fit = pp.lm("y ~ x", data)
    ax = plots(fit).residuals()
    drawn = points(ax)
    assert 5_000 <= len(drawn) <= 5_050
    largest = fit.resid().abs().nlargest(50)
    assert np.isin(largest.round(9), np.abs(drawn[:, 1]).round(9)).all()
    assert "5,000 of 20,000 rows drawn at random (seed 1)" in notes(ax)
    assert "medians of all 20,000 rows in 24 bins" in notes(ax)
    np.testing.assert_array_equal(drawn, points(plots(fit).residuals()))
    ax = plots(fit).qq()
    drawn = points(ax)[:, 1]
    ordered = np.sort(fit.resid() / (fit.sigma * np.sqrt(1 - fit.hatvalues())))
    np.testing.assert_allclose(drawn[:250], ordered[:250])
    np.testing.assert_allclose(drawn[-250:], ordered[-250:])
    assert "of 20,000 points drawn" in notes(ax)


def test_three_rows() -> None:
    fit = pp.lm("y ~ x", pd.DataFrame({"y": [1.0, 2.0, 4.0], "x": [0.0, 1.0, 2.5]}))
    for picture in ("residuals", "qq", "scale_location"):
        assert len(points(getattr(plots(fit), picture)())) == 3


def test_rows_of_leverage_one_are_left_out_and_counted() -> None:
    data = pd.DataFrame({"y": [1.0, 2, 4, 3, 7], "x": [0.0, 1, 2, 3, 4], "own": [1.0, 0, 0, 0, 0]})
    fit = pp.lm("y ~ x + own", data)
    for picture in ("qq", "scale_location"):
        ax = getattr(plots(fit), picture)()
        assert len(points(ax)) == 4
        assert "1 row of leverage 1 left out" in notes(ax)
    with pytest.warns(pp.SingularFitWarning):
        exact = pp.lmer(
            "y ~ x + (1 | g)", {"y": np.arange(9.0), "x": np.arange(9.0), "g": [0, 1, 2] * 3}
        )
    with pytest.raises(pp.SpecificationError, match="fits the response exactly"):
        plots(exact).qq()
    assert len(points(plots(exact).residuals())) == 9


# -- random effects -------------------------------------------------------------------------------


def test_a_caterpillar_is_the_sorted_modes_with_their_intervals(mpg: Any) -> None:
    ax = plots(mpg).ranef()
    found = mpg.ranef(cond_var=True)
    modes = found["class"]["Intercept"]
    sd = pd.Series(np.sqrt(found.cond_var["class"][:, 0, 0]), index=modes.index)
    order = modes.sort_values().index
    assert [t.get_text() for t in ax.get_yticklabels()] == list(order)
    np.testing.assert_allclose(points(ax)[:, 0], modes[order], rtol=1e-12)
    z = 1.959963984540054
    expected = np.column_stack([modes - z * sd, modes + z * sd])
    np.testing.assert_allclose(bars(ax), expected[modes.argsort()], rtol=1e-12)
    assert ax.get_xlabel() == "class: difference in hwy"
    assert "95 % intervals" in notes(ax)


def test_filled_points_are_those_whose_interval_leaves_zero_out(sleep: Any) -> None:
    left, right = plots(sleep).ranef()
    for ax in (left, right):
        (dots,) = [c for c in ax.collections if isinstance(c, PathCollection)]
        filled = dots.get_facecolors()[:, :3].sum(axis=1) < 1
        ends = bars(ax)
        np.testing.assert_array_equal(filled, (ends[:, 0] > 0) | (ends[:, 1] < 0))
        assert 0 < filled.sum() < 18
    # Both panels are sorted by the first.
    np.testing.assert_allclose(points(left)[:, 0], np.sort(sleep.ranef()["Subject"]["Intercept"]))
    b = sleep.ranef()["Subject"].sort_values("Intercept")
    np.testing.assert_allclose(points(right)[:, 0], b["Days"])
    assert [ax.get_title(loc="left") for ax in (left, right)] == [
        "Subject: Intercept",
        "Subject: Days",
    ]
    alone = plots(sleep).ranef(term="Days")
    np.testing.assert_allclose(points(alone)[:, 0], np.sort(b["Days"]))
    assert alone.get_xlabel() == "Subject: difference in the coefficient of Days"


def test_a_row_of_panels_a_group() -> None:
    fit = pp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", pp.datasets.load("Penicillin"))
    both = plots(fit).ranef()
    assert [len(points(ax)) for ax in both] == [24, 6]
    one = plots(fit).ranef("sample")
    np.testing.assert_allclose(points(one)[:, 0], np.sort(fit.ranef()["sample"]["Intercept"]))
    both = plots(fit).ranef_qq()
    np.testing.assert_allclose(points(both[1])[:, 1], np.sort(fit.ranef()["sample"]["Intercept"]))


def test_many_levels_are_thinned_by_rank_and_only_the_ends_named() -> None:
    rng = np.random.default_rng(4)
    n, g = 2_000, np.arange(2_000) % 500
    y = rng.normal(size=500)[g] + rng.normal(size=n)
    fit = pp.lmer("y ~ 1 + (1 | g)", {"y": y, "g": g})
    ax = plots(fit).ranef()
    b = fit.ranef()["g"]["Intercept"].sort_values()
    drawn = points(ax)[:, 0]
    assert len(drawn) == 300
    assert (drawn[0], drawn[-1]) == (b.iloc[0], b.iloc[-1])
    assert np.isin(drawn, b).all()
    assert "300 of 500 levels of g drawn, evenly by rank" in notes(ax)
    assert ax.get_ylabel() == "g: 500 levels, sorted"
    assert texts(ax, "level") == [str(b.index[0]), str(b.index[-1])]
    assert len(points(plots(fit).ranef_qq())) == 500


def test_effects_of_a_zero_variance_are_drawn_and_said_to_be_zero() -> None:
    with pytest.warns(pp.SingularFitWarning):
        fit = pp.lmer("Yield ~ 1 + (1 | Batch)", pp.datasets.load("Dyestuff2"))
    for ax in (plots(fit).ranef(), plots(fit).ranef_qq()):
        assert "estimated variance is 0" in notes(ax)
        assert len(points(ax)) == 6


def test_the_line_of_ranef_qq_passes_the_quartiles(sleep: Any) -> None:
    ax = plots(sleep).ranef_qq(term="Days")
    b = sleep.ranef()["Subject"]["Days"]
    np.testing.assert_allclose(points(ax)[:, 1], np.sort(b))
    (x0, x1), (y0, y1) = ax.lines[0].get_data()
    slope = (y1 - y0) / (x1 - x0)
    q = 0.6744897501960817
    lower = y0 + slope * (-q - x0)
    assert [lower, lower + 2 * q * slope] == pytest.approx(list(b.quantile([0.25, 0.75])))
    assert ax.get_ylabel() == "Subject: difference in the coefficient of Days"
    assert (ax.get_xlabel(), texts(ax, "level")) == ("normal quantile", ["335", "308"])


# -- lines over a covariate -----------------------------------------------------------------------


def test_lines_are_predictions_over_each_groups_range(mpg: Any) -> None:
    data = pp.datasets.load("mpg")
    ax = plots(mpg).fitted_by_group()
    year = data["year"].mean()
    (population,) = lines(ax, "population")
    ends = [data["displ"].min(), data["displ"].max()]
    np.testing.assert_allclose(population[:, 0], ends)
    expected = mpg.predict({"displ": ends, "year": [year] * 2}, random="none")
    np.testing.assert_allclose(population[:, 1], expected)
    drawn = lines(ax, "group")
    order = mpg.ranef()["class"]["Intercept"].sort_values(ascending=False).index
    assert len(drawn) == 7
    for line, level in zip(drawn, order, strict=True):
        own = data.loc[data["class"] == level, "displ"]
        np.testing.assert_allclose(line[:, 0], [own.min(), own.max()])
        new = {"displ": line[:, 0], "year": [year] * 2, "class": [level] * 2}
        np.testing.assert_allclose(line[:, 1], mpg.predict(new))
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == [f"{level} ({(data['class'] == level).sum()})" for level in order]
    assert len(points(ax, "data")) == 234
    assert "predicted at year = 2003.5 (mean)" in notes(ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("displ", "hwy")


def test_many_groups_share_a_colour_and_the_outer_ones_are_named(sleep: Any) -> None:
    ax = plots(sleep).fitted_by_group(group="Subject")
    drawn = lines(ax, "group")
    assert len(drawn) == 18
    assert texts(ax, "level") == ["337", "309"]
    slopes = sorted((line[1, 1] - line[0, 1]) / 9 for line in drawn)
    np.testing.assert_allclose(slopes, np.sort(sleep.coef()["Subject"]["Days"]))
    assert ax.get_legend() is None
    assert "18 levels of Subject, each over its own range" in notes(ax)


def test_a_factor_as_covariate_and_a_nested_group() -> None:
    data = pp.datasets.load("cake")
    fit = pp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", data)
    ax = plots(fit).fitted_by_group()
    assert ax.get_xlabel() == "temperature"  # varies within groups, the recipe does not
    assert [t.get_text() for t in ax.get_xticklabels()] == list(
        data["temperature"].cat.categories.astype(str)
    )
    drawn = lines(ax, "group")
    assert len(drawn) == 45
    predicted = data.assign(fit=fit.fittedvalues).groupby(["recipe", "replicate"], observed=True)
    rows = {tuple(np.round(g.sort_values("temp")["fit"], 9)) for _, g in predicted}
    assert {tuple(np.round(line[:, 1], 9)) for line in drawn} == rows
    assert "the population at recipe = A" in notes(ax)
    over = plots(fit).fitted_by_group("recipe")
    assert all(len(line) == 1 for line in lines(over, "group"))


def test_other_groups_are_left_out_and_outer_groups_kept() -> None:
    fit = pp.lmer("strength ~ 1 + (1 | batch/cask)", pp.datasets.load("Pastes"))
    mean = fit.params["Intercept"]
    b = fit.ranef()
    ax = plots(fit).fitted_by_group()
    expected = np.sort(
        [
            mean + v + b["batch"].loc[k.split(":")[1], "Intercept"]
            for k, v in b["cask:batch"]["Intercept"].items()
        ]
    )
    np.testing.assert_allclose(points(ax, "group")[:, 0], expected)
    assert ax.lines[0].get_xdata()[0] == pytest.approx(mean)
    ax = plots(fit).fitted_by_group(group="batch")
    np.testing.assert_allclose(points(ax, "group")[:, 0], np.sort(mean + b["batch"]["Intercept"]))
    assert len(points(ax, "data")) == 60
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("strength", "batch")


def test_the_group_itself_as_covariate(mpg: Any) -> None:
    ax = plots(mpg).fitted_by_group("class")
    order = mpg.ranef()["class"]["Intercept"].sort_values().index
    assert [t.get_text() for t in ax.get_yticklabels()] == list(order)
    assert "displ = 3.4718 (mean)" in notes(ax)


def test_curves_offsets_weights_and_missing_rows() -> None:
    data = pp.datasets.load("sleepstudy").assign(w=np.arange(180) % 3 + 1.0, o=1.0, k=2)
    data.loc[5, "Days"] = np.nan
    with pytest.warns(pp.MissingDataWarning):
        fit = pp.lmer("Reaction ~ poly(Days, 2) + (1 | Subject)", data, weights="w", offset="o * k")
    (population,) = lines(plots(fit).fitted_by_group(), "population")
    assert len(population) == 50
    at = {"Days": population[:, 0], "o": [1.0] * 50, "k": [2.0] * 50}
    np.testing.assert_allclose(population[:, 1], fit.predict(at, random="none"))
    array = pp.lmer("Reaction ~ Days + (1 | Subject)", data.dropna(), weights=np.ones(179))
    assert lines(plots(array).fitted_by_group(), "group")
    array = pp.lmer("Reaction ~ Days + (1 | Subject)", data.dropna(), offset=np.ones(179))
    with pytest.raises(pp.UnavailableError, match="offset from an array"):
        plots(array).fitted_by_group()


def test_more_than_sixty_groups_are_sampled() -> None:
    rng = np.random.default_rng(6)
    g = np.arange(900) % 90
    x = rng.normal(size=900)
    fit = pp.lmer(
        "y ~ x + (x | g)", {"y": x * (g % 7) + rng.normal(size=900) + g / 9, "x": x, "g": g}
    )
    ax = plots(fit).fitted_by_group()
    assert len(lines(ax, "group")) == 60
    assert "60 of 90 levels of g drawn at random (seed 1)" in notes(ax)


# -- where they are drawn -------------------------------------------------------------------------

ALL = ("residuals", "qq", "scale_location", "ranef", "ranef_qq", "fitted_by_group")


@pytest.mark.parametrize("picture", ALL)
def test_in_axes_of_the_user_without_pyplot(picture: str, mpg: Any, monkeypatch: Any) -> None:
    ax = Figure(figsize=(6, 4)).subplots()
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "figure", None)  # an error if it is asked for one
    assert getattr(plots(mpg), picture)(ax=ax) is ax
    ax.figure.savefig("/dev/null", format="png")
    assert ax.get_title(loc="left")


def test_panels_in_axes_of_the_user(sleep: Any) -> None:
    axes = Figure().subplots(ncols=2)
    drawn = plots(sleep).ranef(ax=axes)
    assert list(drawn) == list(axes)
    assert all(ax.get_yticklabels()[0].get_text() == "309" for ax in axes)
    with pytest.raises(pp.SpecificationError, match="holds 1 Axes; this picture has 2 panels"):
        plots(sleep).ranef_qq(ax=axes[0])
    with pytest.raises(pp.SpecificationError, match="must be matplotlib Axes, not Figure"):
        plots(sleep).qq(ax=axes[0].figure)


@pytest.mark.parametrize("picture", ALL)
def test_at_600_pixels_nothing_leaves_the_figure(picture: str, sleep: Any) -> None:
    drawn = getattr(plots(sleep), picture)()
    ax = np.ravel(np.asarray(drawn, dtype=object))[0]
    figure = ax.figure
    assert figure.get_size_inches()[0] * 100 == 600
    figure.set_dpi(100)
    figure.draw_without_rendering()
    for panel in figure.axes:
        box = panel.get_tightbbox()
        assert box.x0 >= -1
        assert box.x1 <= 601
        assert box.y1 <= figure.bbox.height + 1


def test_every_picture_of_a_fit_pickles_and_is_plain_text(mpg: Any) -> None:
    ax = plots(mpg).residuals()
    pickle.loads(pickle.dumps(ax.figure))
    import matplotlib.pyplot as plt

    plt.close("all")
    text = repr(plots(mpg))
    assert text.startswith("Pictures of 'hwy ~ displ + year + (1 | class)': residuals(), qq()")


def test_names_of_the_data_are_no_mathematics() -> None:
    n = 120
    rng = np.random.default_rng(8)
    group = np.array([f"a level with a long name that costs ${i} or ${i + 1}" for i in range(3)])
    data = {"price $": rng.normal(size=n), "_x": rng.normal(size=n), "g_$": group[np.arange(n) % 3]}
    data["price $"] += 5 * (np.arange(n) % 3)
    fit = pp.lmer("`price $` ~ `_x` + (1 | `g_$`)", data)
    ax = plots(fit).fitted_by_group()
    ax.figure.draw_without_rendering()
    assert ax.get_ylabel() == r"price \$"
    named = [t.get_text() for t in ax.get_legend().get_texts()]
    assert len(set(named)) == 3
    assert all(len(name) < 30 for name in named)
    ax = plots(fit).residuals()
    assert ax.get_xlabel() == r"fitted price \$"


def test_names_that_begin_alike_keep_what_tells_them_apart() -> None:
    names = [f"experiment at the northern station, plot {i}" for i in range(12)]
    short = wording.labels(names, 16)
    assert len(set(short)) == 12
    assert max(map(len, short)) <= 16
    assert short[11].endswith("…11")
    assert wording.labels(["a", "b"], 16) == ["a", "b"]
    assert wording.clipped("abcdefghij", 6) == "abc…ij"


def test_labels_are_spread_as_little_as_may_be() -> None:
    assert wording.spread([0.0, 5.0], 1) == [0, 5]
    assert wording.spread([1.0, 1.0, 9.0], 1) == pytest.approx([0.5, 1.5, 9])
    assert wording.spread([2.0, 1.0, 1.5], 1) == pytest.approx([2.5, 0.5, 1.5])


def test_ticks_are_whole_numbers_without_an_offset() -> None:
    assert wording.numbers(1_000_200.0) == "1000200"
    assert wording.numbers(-0.1 - 0.2) == "−0.3"


# -- bad input ------------------------------------------------------------------------------------


def test_unknown_names_are_refused_with_the_closest(sleep: Any, mpg: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="'Subjct'.*Did you mean 'Subject'"):
        plots(sleep).ranef("Subjct")
    with pytest.raises(pp.SpecificationError, match="'Day'.*Did you mean 'Days'"):
        plots(sleep).ranef_qq(term="Day")
    with pytest.raises(pp.SpecificationError, match="'dspl'.*Did you mean 'displ'"):
        plots(mpg).fitted_by_group("dspl")
    with pytest.raises(pp.SpecificationError, match="'drv'.*The covariates are 'displ', 'year'"):
        plots(mpg).fitted_by_group("drv")
    with pytest.raises(pp.SpecificationError, match="'clas'.*Did you mean 'class'"):
        plots(mpg).fitted_by_group(group="clas")
    dye = pp.lmer("Yield ~ 1 + (1 | Batch)", pp.datasets.load("Dyestuff"))
    with pytest.raises(pp.SpecificationError, match="has no covariates; leave x out"):
        plots(dye).fitted_by_group("Yield")


def test_a_linear_model_has_no_pictures_of_groups(pooled: Any) -> None:
    for picture in ("ranef", "ranef_qq", "fitted_by_group"):
        with pytest.raises(pp.UnavailableError, match=f"{picture}.*residuals.*qq.*scale_location"):
            getattr(plots(pooled), picture)()
    assert "ranef" not in repr(plots(pooled))


def test_an_unpickled_fit_has_residuals_but_no_data(mpg: Any) -> None:
    again = pickle.loads(pickle.dumps(mpg))
    np.testing.assert_allclose(points(plots(again).residuals()), points(plots(mpg).residuals()))
    with pytest.raises(pp.UnavailableError, match="pickled model leaves behind"):
        plots(again).fitted_by_group()


def test_data_changed_in_place_are_not_drawn() -> None:
    data = pp.datasets.load("sleepstudy")
    fit = pp.lmer("Reaction ~ Days + (1 | Subject)", data)
    data.index = data.index[::-1]
    with pytest.raises(pp.UnavailableError, match="in place since the fit"):
        plots(fit).fitted_by_group()


@pytest.mark.parametrize("picture", ALL)
def test_without_matplotlib(picture: str, mpg: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(pp.UnavailableError, match=r"pip install partialpool\[plot\]"):
        getattr(plots(mpg), picture)()


def test_polars_data(sleep: Any) -> None:
    pytest.importorskip("polars")
    data = pp.datasets.load("sleepstudy", backend="polars")
    fit = pp.lmer("Reaction ~ Days + (Days | Subject)", data)
    ours = lines(plots(fit).fitted_by_group(), "group")
    theirs = lines(plots(sleep).fitted_by_group(), "group")
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
