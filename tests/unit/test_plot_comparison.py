"""What the pictures of a comparison draw: the artists' data against the comparison's numbers."""

from __future__ import annotations

import math
import pickle
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

import partialpool as pp
from partialpool import comparing
from partialpool.plot import wording
from partialpool.plot.comparison import ComparisonPlots
from partialpool.pooling.components import components

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


def compared(formula: str, name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.SingularFitWarning)
        return comparing.compare(formula, pp.datasets.load(name))


@pytest.fixture(scope="module")
def mpg() -> Any:
    return compared("hwy ~ displ + year + (1 | class)", "mpg")


@pytest.fixture(scope="module")
def sleep() -> Any:
    return compared("Reaction ~ Days + (Days | Subject)", "sleepstudy")


def plots(c: Any) -> ComparisonPlots:
    return ComparisonPlots(c)


def line(ax: Any, gid: str) -> np.ndarray:
    (found,) = [one for one in ax.lines if one.get_gid() == gid]
    return np.column_stack(found.get_data())


def points(ax: Any, gid: str) -> np.ndarray:
    (found,) = [c for c in ax.collections if isinstance(c, PathCollection) and c.get_gid() == gid]
    return np.asarray(found.get_offsets())


def bar(ax: Any, gid: str) -> np.ndarray:
    (found,) = [c for c in ax.collections if isinstance(c, LineCollection) and c.get_gid() == gid]
    return found.get_segments()[0][:, 0]


def texts(owner: Any, gid: str) -> list[str]:
    return [text.get_text() for text in owner.findobj(Text) if text.get_gid() == gid]


def notes(ax: Any) -> str:
    return " ".join(texts(ax.figure, "notes")).replace("\n", " ")


# -- path -----------------------------------------------------------------------------------------


def test_the_path_runs_from_lm_through_lmer_to_no_pooling(mpg: Any) -> None:
    axes = plots(mpg).path()
    assert [ax.get_title(loc="left") for ax in axes] == ["Intercept", "displ", "year"]
    frame, table = mpg.path, mpg.table
    for ax, name in zip(axes, table.index, strict=True):
        curve = line(ax, "path")
        assert np.isin(frame[name], curve[:, 1]).all()
        assert np.diff(curve[:, 0]).max() < 0.031
        assert (curve[0, 0], curve[-1, 0]) == (0, 1)
        assert np.all(np.diff(curve[:, 0]) > 0)
        np.testing.assert_allclose(
            line(ax, "complete_pooling")[0], [0, table["complete_pooling"][name]]
        )
        at, height = line(ax, "partial_pooling")[0]
        assert height == table["partial_pooling"][name]
        assert height == pytest.approx(curve[curve[:, 0] == at, 1], rel=1e-8)
        for x, value in curve[1:-1:9]:
            ratio = mpg.ratio * x / (1 - x) * (1 - at) / at
            assert value == pytest.approx(mpg.coefficients_at(ratio)[name], rel=1e-9)
        np.testing.assert_allclose(line(ax, "no_pooling")[0], [1, frame[name].iloc[-1]])
    assert table["no_pooling"]["displ"] == pytest.approx(line(axes[1], "no_pooling")[0, 1])
    assert texts(axes[0], "value of partial_pooling") == ["lmer (REML) −214"]
    assert texts(axes[1], "value of complete_pooling") == ["−3.61"]
    markers = [
        next(one for one in ax.lines if one.get_gid() == "no_pooling").get_marker() for ax in axes
    ]
    assert markers == ["X", "s", "s"]  # the intercept has a limit only
    assert "cross: a limit, which no pooling cannot estimate" in notes(axes[0])


def test_ticks_are_ratios_between_named_ends(mpg: Any) -> None:
    *_, ax = plots(mpg).path()
    labels = [t.get_text() for t in ax.get_xticklabels()]
    assert labels[0] == "0\ncomplete\npooling"
    assert labels[-1] == "∞\nno\npooling"
    fitted = line(ax, "partial_pooling")[0, 0]
    middle = mpg.ratio * (1 - fitted) / fitted
    for label, at in zip(labels[1:-1], ax.get_xticks()[1:-1], strict=True):
        assert at == pytest.approx(float(label) / (float(label) + middle))
    assert ax.get_xlabel() == "sd(class) / sd(residual)"


def test_a_flat_path_looks_flat(sleep: Any) -> None:
    """The same covariates in every group: the coefficients move by rounding only."""
    axes = plots(sleep).path()
    for ax, se in zip(axes, sleep.table["partial_pooling_se"], strict=True):
        low, high = ax.get_ylim()
        assert high - low > 2 * se
        assert np.ptp(line(ax, "path")[:, 1]) < 1e-6 * (high - low)
    assert "1" in [t.get_text() for t in axes[-1].get_xticklabels()]


def test_where_the_variance_is_zero_lmer_is_lm() -> None:
    c = compared("Yield ~ 1 + (1 | Batch)", "Dyestuff2")
    ax = plots(c).path()
    assert line(ax, "partial_pooling")[0, 0] == 0
    assert texts(ax, "value of complete_pooling") == ["lm = lmer (REML) 5.67"]
    assert ax.get_title(loc="left").startswith("Intercept: where a curve is flat")


def test_chosen_coefficients_and_many(mpg: Any) -> None:
    ax = plots(mpg).path("displ")
    assert np.isin(mpg.path["displ"], line(ax, "path")[:, 1]).all()
    assert len(plots(mpg).path(["year", "displ"])) == 2
    cake = compared("angle ~ recipe * temperature + (1 | recipe:replicate)", "cake")
    axes = plots(cake).path()
    assert len(axes) == 12
    assert "12 of 18 coefficients; name others by terms=" in notes(axes[0])
    assert "diamond: lmer (REML)" in notes(axes[0])


# -- lines ----------------------------------------------------------------------------------------


def test_each_group_has_its_data_and_three_lines(mpg: Any) -> None:
    data = pp.datasets.load("mpg")
    axes = plots(mpg).lines("displ")
    levels = sorted(data["class"].unique())
    assert [ax.get_title(loc="left") for ax in axes] == [
        f"{level} ({(data['class'] == level).sum()})" for level in levels
    ]
    year = data["year"].mean()
    groups = mpg.groups.set_index("level")
    mixed = pp.lmer("hwy ~ displ + year + (1 | class)", data)
    pooled = pp.lm("hwy ~ displ + year", data)
    limit = mpg.coefficients_at(math.inf)
    for ax, level in zip(axes, levels, strict=True):
        own = data[data["class"] == level]
        np.testing.assert_array_equal(points(ax, "data"), own[["displ", "hwy"]])
        x = line(ax, "complete_pooling")[:, 0]
        np.testing.assert_allclose(x, [own["displ"].min(), own["displ"].max()])
        new = {"displ": x, "year": [year] * 2, "class": [level] * 2}
        np.testing.assert_allclose(line(ax, "complete_pooling")[:, 1], pooled.predict(new))
        np.testing.assert_allclose(line(ax, "partial_pooling")[:, 1], mixed.predict(new), rtol=1e-9)
        alone = limit["Intercept"] + limit["displ"] * x + limit["year"] * year
        alone = alone + groups.loc[level, "no_pooling"]
        np.testing.assert_allclose(line(ax, "no_pooling")[:, 1], alone)
    (legend,) = axes[0].figure.legends
    assert [t.get_text() for t in legend.get_texts()] == [
        "complete pooling (lm)",
        "partial pooling (lmer, REML)",
        "no pooling",
    ]
    assert "year = 2003.5 (mean)" in legend.get_title().get_text()


def test_no_pooling_lines_of_random_slopes_are_each_groups_own_fit(sleep: Any) -> None:
    data = pp.datasets.load("sleepstudy")
    axes = plots(sleep).lines()
    assert len(axes) == 12
    styles = set()
    for ax in axes:
        subject = ax.get_title(loc="left").split()[0]
        own = pp.lm("Reaction ~ Days", data[data["Subject"] == subject])
        drawn = line(ax, "no_pooling")
        np.testing.assert_allclose(drawn[:, 1], own.predict({"Days": drawn[:, 0]}), rtol=1e-7)
        styles.add(tuple(str(one._dash_pattern) for one in ax.lines))
    assert all(len(set(style)) == 3 for style in styles)  # told apart without colour
    (legend,) = axes[0].figure.legends
    assert "12 of 18 levels of Subject" in legend.get_title().get_text()


def test_lines_of_nested_and_crossed_groups() -> None:
    data = pp.datasets.load("mpg")
    c = comparing.compare("hwy ~ displ + drv + (1 | class) + (1 | manufacturer)", data)
    fit = pp.lmer("hwy ~ displ + drv + (1 | class) + (1 | manufacturer)", data)
    axes = plots(c).lines("displ", "class")
    for ax in axes:
        level = ax.get_title(loc="left").split()[0]
        drawn = line(ax, "partial_pooling")
        x, drv = drawn[:, 0], data["drv"].mode()[0]
        new = {"displ": x, "drv": [drv] * len(x), "class": [level] * len(x)}
        expected = fit.predict(new, random="~ (1 | class)")
        np.testing.assert_allclose(drawn[:, 1], expected, rtol=1e-9)
    factor = plots(c).lines("drv", "class")
    assert factor[0].get_xlabel() == ""
    assert factor[-1].get_xlabel() == "drv"


# -- components -----------------------------------------------------------------------------------


def bars(ax: Any) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends of the steps in the order they are read."""
    found = [p for p in ax.patches if p.get_gid() == "part"]
    ends = np.array([[p.get_x(), p.get_x() + p.get_width()] for p in found])
    return ends[:, 0], ends[:, 1]


def test_steps_add_up_to_the_observation(mpg: Any) -> None:
    ax = plots(mpg).components(0)
    frame = components(mpg.mixed, [0])
    every = components(mpg.mixed, slice(None))
    starts, ends = bars(ax)
    np.testing.assert_allclose(starts[1:], ends[:-1])
    means = every[["Intercept", "displ", "year"]].mean()
    assert starts[0] == pytest.approx(means.sum())
    np.testing.assert_allclose(
        ends - starts,
        [
            *(frame[["displ", "year"]] - means[["displ", "year"]]).iloc[0],
            frame["Intercept | class"].iloc[0],
            frame["residual"].iloc[0],
        ],
        atol=1e-9,
    )
    assert ends[-1] == pytest.approx(29)
    assert line(ax, "total")[0, 0] == 29
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert labels == ["average row", "displ", "year", "class effect", "residual", "observed"]
    assert texts(ax, "size") == ["+4.00", "−0.55", "+1.26", "−0.02", "24.32", "29.00"]
    assert ax.get_xlabel() == "hwy"
    filled = [p.get_hatch() for p in ax.patches if p.get_gid() == "part"]
    assert [bool(h) for h in filled] == list(ends < starts)


def test_steps_from_zero_are_the_frame(mpg: Any) -> None:
    ax = plots(mpg).components(5, start="zero")
    starts, ends = bars(ax)
    frame = components(mpg.mixed, 5).to_numpy()[0]
    np.testing.assert_allclose(ends - starts, frame[:-1], atol=1e-9)
    assert (starts[0], ends[-1]) == (0, pytest.approx(frame[-1]))


def test_a_factor_is_one_step_and_a_row_a_panel() -> None:
    c = compared("angle ~ recipe * temperature + (1 | recipe:replicate)", "cake")
    axes = plots(c).components([3, 100])
    assert [ax.get_title(loc="left") for ax in axes] == ["row 3", "row 100"]
    y = pp.datasets.load("cake")["angle"]
    for ax, row in zip(axes, (3, 100), strict=True):
        labels = [t.get_text() for t in ax.get_yticklabels()][1:-1]
        assert labels == [
            "recipe",
            "temperature",
            "recipe:temperature",
            "recipe:replicate effect",
            "residual",
        ]
        assert bars(ax)[1][-1] == pytest.approx(y[row])


def test_small_parts_are_gathered_and_add_up_all_the_same() -> None:
    rng = np.random.default_rng(3)
    data = pd.DataFrame(rng.normal(size=(300, 15)), columns=[f"x{i}" for i in range(15)])
    data["g"] = np.arange(300) % 10
    data["y"] = data.sum(axis=1) + rng.normal(size=300)
    columns = " + ".join(f"x{i}" for i in range(15))
    c = comparing.compare(f"y ~ {columns} + (1 | g)", data)
    ax = plots(c).components(7)
    starts, ends = bars(ax)
    assert len(ends) == 12
    assert "6 smaller parts" in [t.get_text() for t in ax.get_yticklabels()]
    np.testing.assert_allclose(starts[1:], ends[:-1])
    assert ends[-1] == pytest.approx(data["y"][7])


# -- shrinkage ------------------------------------------------------------------------------------


def test_arrows_go_from_no_pooling_to_the_mixed_model(mpg: Any) -> None:
    ax = plots(mpg).shrinkage()
    groups = mpg.groups.sort_values("no_pooling")
    np.testing.assert_allclose(points(ax, "no_pooling")[:, 0], groups["no_pooling"])
    np.testing.assert_allclose(points(ax, "partial_pooling")[:, 0], groups["partial_pooling"])
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert labels == [f"{r.level} ({r.n})" for r in groups.itertuples()]
    arrows = [a for a in ax.texts if isinstance(a, Annotation) and a.get_gid() == "arrow"]
    assert arrows
    for arrow in arrows:
        row = groups.iloc[round(arrow.xy[1])]
        assert arrow.xyann[0] == row["no_pooling"]
        assert arrow.xy[0] == row["partial_pooling"]
    (dots,) = [c for c in ax.collections if c.get_gid() == "partial_pooling"]
    assert list(np.argsort(dots.get_sizes())) == list(np.argsort(groups["n"]))
    assert ax.get_xlabel() == "class: difference in hwy"


def test_shrinkage_of_intercepts_and_slopes(sleep: Any) -> None:
    left, right = plots(sleep).shrinkage()
    groups = sleep.groups
    intercept = groups[groups["term"] == "Intercept"].set_index("level")
    slope = groups[groups["term"] == "Days"].set_index("level")
    order = intercept["no_pooling"].sort_values().index
    np.testing.assert_allclose(points(right, "no_pooling")[:, 0], slope.loc[order, "no_pooling"])
    np.testing.assert_allclose(
        points(left, "partial_pooling")[:, 0], intercept.loc[order, "partial_pooling"]
    )
    alone = plots(sleep).shrinkage(term="Days")
    np.testing.assert_allclose(points(alone, "no_pooling")[:, 0], np.sort(slope["no_pooling"]))


def test_many_levels_are_thinned_by_rank() -> None:
    rng = np.random.default_rng(2)
    g = np.arange(1200) % 120
    data = {
        "y": rng.normal(size=120)[g] + rng.normal(size=1200),
        "g": g,
        "x": rng.normal(size=1200),
    }
    c = comparing.compare("y ~ x + (1 | g)", data)
    ax = plots(c).shrinkage()
    assert len(points(ax, "no_pooling")) == 40
    assert "40 of 120 levels of g, evenly by rank" in notes(ax)


# -- forest ---------------------------------------------------------------------------------------


def test_the_three_fits_and_their_intervals(mpg: Any) -> None:
    axes = plots(mpg).forest()
    z = 1.959963984540054
    for ax, (name, row) in zip(axes, mpg.table.iterrows(), strict=True):
        assert ax.get_title(loc="left") == name
        for at, fit in enumerate(("complete_pooling", "partial_pooling", "no_pooling")):
            value, se = row[fit], row[f"{fit}_se"]
            if math.isnan(value):
                assert texts(ax, "none") == ["no estimate"]
                continue
            np.testing.assert_allclose(line(ax, fit)[0], [value, -at])
            np.testing.assert_allclose(bar(ax, fit), [value - z * se, value + z * se])
        cr2 = row["complete_pooling"] + z * row["complete_pooling_cr2_se"] * np.array([-1, 1])
        np.testing.assert_allclose(bar(ax, "cr2"), cr2)
    assert "±1.96 standard errors" in notes(axes[0])
    assert "7 levels of class are few" in notes(axes[0])


# -- where they are drawn -------------------------------------------------------------------------

ALL = (
    ("path", (), 3),
    ("lines", ("displ",), 7),
    ("components", (0,), 1),
    ("shrinkage", (), 1),
    ("forest", (), 3),
)


@pytest.mark.parametrize(("picture", "given", "count"), ALL)
def test_in_axes_of_the_user(
    picture: str, given: Any, count: int, mpg: Any, monkeypatch: Any
) -> None:
    axes = Figure(figsize=(6, 4)).subplots(ncols=count)
    import matplotlib.pyplot as plt

    for name in ("figure", "subplots"):
        monkeypatch.setattr(plt, name, None)  # an error if it is asked for one
    drawn = getattr(plots(mpg), picture)(*given, ax=axes)
    assert list(np.ravel(drawn)) == list(np.ravel(axes))
    figure = np.ravel(axes)[0].figure
    figure.savefig("/dev/null", format="png")
    with pytest.raises(pp.SpecificationError, match=f"this picture has {count} panel"):
        getattr(plots(mpg), picture)(*given, ax=Figure().subplots(ncols=count + 1))


@pytest.mark.parametrize(("picture", "given", "count"), ALL)
def test_at_600_pixels_nothing_leaves_the_figure(
    picture: str, given: Any, count: int, mpg: Any
) -> None:
    drawn = getattr(plots(mpg), picture)(*given)
    assert len(np.ravel(np.asarray(drawn, dtype=object))) == count
    figure = np.ravel(np.asarray(drawn, dtype=object))[0].figure
    assert figure.get_size_inches()[0] * 100 == 600
    figure.draw_without_rendering()
    for ax in figure.axes:
        box = ax.get_tightbbox()
        assert box.x0 >= -1
        assert box.x1 <= 601
        assert box.y1 <= figure.bbox.height + 1
    pickle.loads(pickle.dumps(figure))


def test_numbers_are_written_with_the_digits_that_tell_them_apart() -> None:
    assert wording.significant([-3.611, -2.391, -2.403]) == ["−3.61", "−2.39", "−2.40"]
    assert wording.significant([0.155793, 0.123242, 0.123248]) == ["0.156", "0.123", "0.123"]
    assert wording.significant([12345.6, 12000.0]) == ["12,346", "12,000"]
    assert wording.significant([0.0, 0.0]) == ["0", "0"]
    assert wording.significant([math.nan, 2.0]) == ["", "2.00"]


# -- bad input ------------------------------------------------------------------------------------


def test_unknown_names_are_refused_with_the_closest(mpg: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="'dspl'.*Did you mean 'displ'"):
        plots(mpg).path("dspl")
    with pytest.raises(pp.SpecificationError, match="'cyl'.*'Intercept', 'displ', 'year'"):
        plots(mpg).forest(["displ", "cyl"])
    with pytest.raises(pp.SpecificationError, match="no coefficient"):
        plots(mpg).path([])
    with pytest.raises(pp.SpecificationError, match="'yeer'.*Did you mean 'year'"):
        plots(mpg).lines("yeer")
    with pytest.raises(pp.SpecificationError, match="'clas'.*Did you mean 'class'"):
        plots(mpg).shrinkage("clas")
    with pytest.raises(pp.SpecificationError, match="'displ' is not among the random effects"):
        plots(mpg).shrinkage(term="displ")
    with pytest.raises(pp.SpecificationError, match="5 rows were asked for; .* 1 to 4"):
        plots(mpg).components(slice(5))
    with pytest.raises(pp.SpecificationError, match="0 rows"):
        plots(mpg).components([])
    with pytest.raises(pp.SpecificationError, match="start='median'"):
        plots(mpg).components(0, start="median")
    flat = compared("Yield ~ 1 + (1 | Batch)", "Dyestuff")
    with pytest.raises(pp.SpecificationError, match="no covariate to draw lines over"):
        plots(flat).lines()


@pytest.mark.parametrize(("picture", "given", "count"), ALL)
def test_without_matplotlib(
    picture: str, given: Any, count: int, mpg: Any, monkeypatch: Any
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(pp.UnavailableError, match=r"pip install partialpool\[plot\]"):
        getattr(plots(mpg), picture)(*given)


def test_it_says_what_there_is(mpg: Any) -> None:
    assert "path(), lines(x), components(rows), shrinkage(), forest()" in repr(plots(mpg))
