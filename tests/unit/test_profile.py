"""`profile`: what it returns, prints, draws and refuses."""

from __future__ import annotations

import pickle
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.inference import profile
from partialpool.inference._curves import Curve

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

RS = "Reaction ~ Days + (Days | Subject)"
NAMES = [
    "Intercept",
    "Days",
    "sigma",
    "sd(Intercept | Subject)",
    "sd(Days | Subject)",
    "cor(Intercept, Days | Subject)",
]


@cache
def fit(formula=RS, data="sleepstudy", reml=True):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.SingularFitWarning)
        return pp.lmer(formula, pp.datasets.load(data), reml=reml)


@cache
def profiled(formula=RS, data="sleepstudy", level=0.99):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.SingularFitWarning)
        return profile.profile(fit(formula, data, False)._record, level=level)


def test_frame_has_a_row_a_point_and_all_parameters_as_columns():
    frame = profiled().to_frame()
    assert list(frame.columns) == ["parameter", "value", "zeta", "deviance", *NAMES]
    assert list(dict.fromkeys(frame["parameter"])) == NAMES
    for name, rows in frame.groupby("parameter"):
        np.testing.assert_array_equal(rows[name], rows["value"])
        assert rows["value"].is_monotonic_increasing
        assert rows["zeta"].is_monotonic_increasing
        centre = rows[rows["zeta"] == 0].iloc[0]
        assert centre["deviance"] == rows["deviance"].min()
    np.testing.assert_allclose(
        frame["zeta"] ** 2, frame["deviance"] - frame["deviance"].min(), atol=1e-9
    )


def test_limits_are_where_zeta_has_the_quantile():
    limits = profiled().conf_int()
    assert list(limits.index) == NAMES
    assert list(limits.columns) == ["lower", "upper"]
    for curve in profiled().curves:
        for side, limit in zip((-1, 1), limits.loc[curve.name], strict=True):
            u = {1: np.log, 3: np.arcsin}.get(curve.kind, np.asarray)(limit)
            assert curve.at(np.array([u]))[0][0] == pytest.approx(side * 1.959964, abs=1e-6)


def test_a_subset_keeps_the_order_of_the_model():
    found = profile.profile(fit()._record, parameters=["sigma", "Days"])
    assert list(found.conf_int().index) == ["Days", "sigma"]
    one = profile.profile(fit()._record, parameters="sigma")
    pd.testing.assert_frame_equal(one.conf_int(), found.conf_int().loc[["sigma"]])


def test_variance_limits_are_those_of_the_profile():
    limits = profile.variance_limits(fit()._record, 0.9)
    pd.testing.assert_frame_equal(limits, profiled().conf_int(0.9).iloc[2:], rtol=1e-5)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("day", "no parameter 'day'. The parameters are: Intercept, Days, sigma, sd(Int"),
        (["Days", "x"], "no parameter 'x'"),
        ([], "nothing to profile"),
        (3, "no parameter 3"),
    ],
)
def test_unknown_parameters_are_refused_with_the_list_of_those_there_are(asked, said):
    with pytest.raises(pp.SpecificationError, match="profile") as error:
        profile.profile(fit()._record, parameters=asked)
    assert said in str(error.value)


@pytest.mark.parametrize("level", [0, 1, -0.5, 2, True, "0.9", None])
def test_levels_outside_0_to_1_are_refused(level):
    with pytest.raises(pp.SpecificationError, match="between 0 and 1"):
        profile.profile(fit()._record, level=level)
    with pytest.raises(pp.SpecificationError, match="between 0 and 1"):
        profiled().conf_int(level)


def test_a_level_beyond_the_curves_says_how_to_get_there():
    with pytest.raises(pp.SpecificationError, match=r"profile\(level=0.995\)"):
        profiled().conf_int(0.995)


def test_dropped_columns_have_no_limits_and_no_profile():
    data = pp.datasets.load("sleepstudy")
    with pytest.warns(pp.RankDeficientWarning):
        model = pp.lmer("Reaction ~ Days + I(2 * Days) + (1 | Subject)", data, reml=False)
    found = profile.profile(model._record)
    assert found.conf_int().loc["I(2 * Days)"].isna().all()
    assert found.to_frame()["I(2 * Days)"].isna().all()
    with pytest.raises(pp.SpecificationError, match="was dropped"):
        profile.profile(model._record, parameters="I(2 * Days)")


def test_a_response_without_residuals_has_no_likelihood():
    x = np.arange(20.0)
    data = pd.DataFrame({"y": 2 * x + 1, "x": x, "g": np.repeat(np.arange(5), 4)})
    with pytest.warns(pp.SingularFitWarning):
        model = pp.lmer("y ~ x + (1 | g)", data)
    with pytest.raises(pp.SpecificationError, match="residual variance is zero"):
        profile.profile(model._record)


def test_a_reml_fit_is_refitted_and_the_result_says_so():
    found = profile.profile(fit()._record)
    assert found.refitted
    assert "the REML fit was refitted" in str(found)
    assert "refitted" not in str(profiled())


def test_printed_limits_show_the_width_with_three_digits():
    lines = str(profiled()).splitlines()
    assert lines[0] == f"Likelihood profiles of {RS}"
    assert lines[1].split() == ["estimate", "lower", "95", "%", "upper", "95", "%"]
    assert lines[3].split() == ["Days", "10.47", "7.36", "13.58"]
    assert lines[-1] == "Estimates by maximum likelihood."
    page = profiled()._repr_html_()
    assert page.count("<tr>") == 7
    assert "cor(Intercept, Days | Subject)" in page


def test_a_profile_is_pickled_with_its_curves_and_frozen():
    found = profiled()
    copy = pickle.loads(pickle.dumps(found))
    pd.testing.assert_frame_equal(copy.to_frame(), found.to_frame())
    pd.testing.assert_frame_equal(copy.conf_int(0.8), found.conf_int(0.8))
    with pytest.raises(AttributeError):
        found.level = 0.5
    with pytest.raises(ValueError, match="read-only"):
        found.curves[0].zeta[0] = 0


def test_profiling_leaves_the_fit_as_it_was():
    model = fit(RS, "sleepstudy", False)
    before = model.params.copy(), model.theta.copy(), model.ranef()["Subject"].copy()
    first = profile.profile(model._record).to_frame()
    pd.testing.assert_series_equal(model.params, before[0])
    pd.testing.assert_series_equal(model.theta, before[1])
    pd.testing.assert_frame_equal(model.ranef()["Subject"], before[2])
    pd.testing.assert_frame_equal(profile.profile(model._record).to_frame(), first)


def test_progress_is_shown_on_request(capsys):
    profile.profile(fit()._record, parameters="sigma")
    assert capsys.readouterr().err == ""
    profile.profile(fit()._record, parameters="sigma", progress=True)
    assert "profile" in capsys.readouterr().err


def test_a_standard_deviation_of_zero_has_an_upper_branch_only():
    curve = profiled("Yield ~ 1 + (1 | Batch)", "Dyestuff2").curves[2]
    assert curve.estimate == 0
    assert curve.value[0] == 0
    limits = profiled("Yield ~ 1 + (1 | Batch)", "Dyestuff2").conf_int()
    assert limits.loc[curve.name, "lower"] == 0
    assert limits.loc[curve.name, "upper"] == pytest.approx(2.084048, abs=1e-5)


def test_a_lower_end_of_zero_where_zeta_does_not_reach_the_quantile():
    found = profiled("strength ~ 1 + (1 | batch/cask)", "Pastes")
    curve = found.curves[3]
    assert curve.value[0] == 0
    assert curve.zeta[0] == pytest.approx(-0.638, abs=1e-3)
    assert found.conf_int(0.95).loc[curve.name, "lower"] == 0
    assert found.conf_int(0.4).loc[curve.name, "lower"] > 0


def crooked():
    """A curve that falls again on its right: 0, 1, 0.5, 3."""
    u = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
    zeta = np.array([-3.0, -1.0, 0.0, 1.0, 0.5, 3.0])
    rate = np.array([2.0, 1.5, 1.0, 0.5, 0.5, 3.0])
    nothing = np.empty((6, 1))
    return Curve("x", 0, 0.0, (0, 0), 2, u, zeta, rate, zeta**2, nothing, np.empty(0))


def test_a_curve_that_falls_again_is_said_to_and_ends_where_it_first_gets():
    from partialpool.inference._traced import remarks

    curve = crooked()
    assert not curve.is_monotone
    assert curve.limit(1, 0.8) < 1
    assert 2 < curve.limit(1, 2.0) < 3
    record = fit(RS, "sleepstudy", False)._record
    notes, warned = remarks(record, [curve])
    assert any("not monotone" in note and "beyond 1" in note for note in notes)
    assert any("local minimum" in text for text in warned)  # its deviance is below the fit's


def test_a_side_that_could_not_be_followed_has_no_limit():
    curve = crooked()
    cut = Curve(*(getattr(curve, name) for name in curve.__dataclass_fields__))
    object.__setattr__(cut, "ends", (0, 3))
    assert np.isnan(cut.limit(1, 5.0))
    assert cut.limit(-1, 2.0) == pytest.approx(curve.limit(-1, 2.0))


# -- pictures -------------------------------------------------------------------------------------


@pytest.fixture
def plt():
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.mark.parametrize("kind", ["zeta", "density"])
def test_a_picture_has_a_panel_a_parameter_named_as_it_is(kind, plt):
    axes = getattr(profiled().plot, kind)()
    assert [ax.get_title(loc="left").replace("\n", " ") for ax in axes] == NAMES
    for ax in axes:
        texts = [t.get_text() for t in ax.texts]
        assert any("95 %" in text for text in texts)
        assert ax.get_ylabel() == {"zeta": "ζ", "density": "density"}[kind]
    one = getattr(profiled().plot, kind)("sigma", level=0.9)
    assert one.get_title(loc="left") == "sigma"
    assert any("90 %" in t.get_text() for t in one.texts)
    one.figure.canvas.draw()


def test_a_picture_is_drawn_where_it_is_asked_to_be(plt):
    figure, given = plt.subplots(ncols=2)
    axes = profiled().plot.zeta(["Days", "sigma"], ax=given)
    assert list(axes) == list(given)
    assert figure.texts == []
    with pytest.raises(pp.SpecificationError, match="2 matplotlib Axes"):
        profiled().plot.zeta(["Days", "sigma"], ax=given[0])
    with pytest.raises(pp.SpecificationError, match="was not profiled"):
        profiled().plot.density("x")
    with pytest.raises(pp.SpecificationError, match=r"profile\(level=0.999\)"):
        profiled().plot.density(level=0.999)


def test_the_density_integrates_to_the_level_of_its_curve(plt):
    ax = profiled().plot.density("sd(Days | Subject)")
    (line,) = [line for line in ax.lines if line.get_gid() == "density"]
    x, y = line.get_data()
    assert np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) == pytest.approx(0.99, abs=2e-3)


def test_a_boundary_is_drawn_without_warnings(plt):
    found = profiled("Yield ~ 1 + (1 | Batch)", "Dyestuff2")
    for picture in (found.plot.zeta, found.plot.density):
        picture()[0].figure.canvas.draw()
