"""Marginal means: what is printed and kept, and what bad input is told."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import partialpool as pp


@pytest.fixture(scope="module")
def cake() -> Any:
    data = pp.datasets.load("cake")
    return pp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", data)


@pytest.fixture(scope="module")
def mpg() -> Any:
    return pp.lm("log(hwy) ~ drv * log(displ) + C(year) + cyl", pp.datasets.load("mpg"))


def quietly(call: Any, *args: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        return call(*args, **options)


@pytest.fixture(scope="module")
def holes() -> Any:
    """No rows with recipe C at 225 degrees."""
    data = pp.datasets.load("cake")
    data = data[~((data["recipe"] == "C") & (data["temperature"].astype(str) == "225"))]
    return quietly(pp.lmer, "angle ~ recipe * temperature + (1 | recipe:replicate)", data)


# -- the table ------------------------------------------------------------------------------------


def test_columns_are_those_of_the_documentation(cake: Any) -> None:
    means = cake.emmeans("recipe", by="temperature")
    assert list(means.to_frame()) == [
        *("recipe", "temperature", "emmean", "std_error", "df", "conf_low", "conf_high")
    ]
    assert list(means.pairs().to_frame()) == [
        *("contrast", "temperature", "estimate", "std_error", "df", "t_ratio", "p_value")
    ]
    assert list(means.pairs().conf_int()) == [
        *("contrast", "temperature", "estimate", "conf_low", "conf_high")
    ]
    tests = means.joint_tests()
    assert list(tests) == ["temperature", "num_df", "den_df", "F", "p_value"]
    assert tests.index.name == "term"
    assert len(means) == 18
    assert means["emmean"].equals(means.to_frame()["emmean"])


def test_printed_means_say_what_was_done(cake: Any) -> None:
    text = str(cake.emmeans("recipe", level=0.9))
    assert text.startswith("Marginal means of angle\nrecipe")
    assert "Averaged over temperature with equal weights." in text
    assert "recipe interacts with temperature" in text
    assert "Degrees of freedom: by Satterthwaite's method. Confidence level: 0.9." in text


def test_printed_contrasts_name_adjustment_and_family(cake: Any) -> None:
    means = cake.emmeans("recipe")
    assert "by Tukey's method for a family of 3 means" in str(means.pairs())
    assert "by Holm's method for a family of 3 tests" in str(means.contrast("eff"))
    assert "not adjusted" in str(means.pairs("none"))
    inner = cake.emmeans("recipe", by="temperature")
    expected = "for families of 3 means, one for each level of temperature"
    assert expected in " ".join(str(inner.pairs()).split())


def test_held_covariates_are_named(mpg: Any) -> None:
    text = " ".join(str(mpg.emmeans("drv")).split())
    assert "Averaged over year with equal weights." in text
    assert "Held at the mean of the used rows: displ=3.47179, cyl=5.88889." in text
    assert "The scale is that of log(hwy)." in text
    assert "Degrees of freedom: residual." in text
    text = " ".join(str(mpg.emmeans("drv", at={"displ": 2, "cyl": [4, 6]})).split())
    assert "Averaged over cyl and year" in text or "Averaged over year and cyl" in text
    assert "Held: displ=2." in text


def test_html_is_escaped() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"f": np.tile(["<b>", "a & b"], 10), "y": rng.standard_normal(20)})
    means = pp.lm("y ~ f", data).emmeans("f")
    for page in (means._repr_html_(), means.pairs()._repr_html_()):
        assert "<b>" not in page
        assert "&lt;b&gt;" in page
        assert page.count("<table>") == page.count("</table>") == 1


def test_results_are_frozen(cake: Any) -> None:
    means = cake.emmeans("recipe")
    for result in (means, means.pairs()):
        with pytest.raises(AttributeError):
            result.level = 0.5  # type: ignore[misc]
        with pytest.raises(ValueError, match="read-only"):
            result.estimate[0] = 0.0
        with pytest.raises(ValueError, match="read-only"):
            result.L[0, 0] = 0.0


def test_results_survive_a_pickle(cake: Any) -> None:
    means = pickle.loads(pickle.dumps(cake.emmeans("recipe", by="temperature")))
    pairs = pickle.loads(pickle.dumps(means.pairs(adjust="mvt")))
    assert str(means) == str(cake.emmeans("recipe", by="temperature"))
    assert str(pairs) == str(cake.emmeans("recipe", by="temperature").pairs(adjust="mvt"))
    assert_allclose(pairs.conf_int().iloc[:, -2:], pairs.conf_int(0.95).iloc[:, -2:])


def test_a_pickled_fit_has_means_of_plain_covariates() -> None:
    data = pp.datasets.load("mpg")
    fit = pp.lm("hwy ~ drv + displ", data)
    back = pickle.loads(pickle.dumps(fit))
    assert_allclose(back.emmeans("drv")["emmean"], fit.emmeans("drv")["emmean"])


def test_a_pickled_fit_says_what_it_lacks() -> None:
    data = pp.datasets.load("mpg")
    back = pickle.loads(pickle.dumps(pp.lm("hwy ~ drv + log(displ)", data)))
    with pytest.raises(pp.UnavailableError, match="at={'displ': ...}"):
        back.emmeans("drv")
    fit = pp.lm("hwy ~ drv + log(displ)", data)
    at = {"displ": 3}
    assert_allclose(back.emmeans("drv", at=at)["emmean"], fit.emmeans("drv", at=at)["emmean"])


def test_data_changed_since_the_fit_are_refused() -> None:
    frame = pp.datasets.load("mpg")
    data = {name: frame[name].to_numpy(copy=True) for name in ("hwy", "drv", "displ")}
    fit = pp.lm("hwy ~ drv + log(displ)", data)
    before = fit.emmeans("drv")["emmean"]
    data["displ"] *= 2
    assert before.notna().all()
    with pytest.raises(pp.DataError, match="no longer what the model was fitted to"):
        fit.emmeans("drv")


def test_importing_means_does_not_import_scipy_stats() -> None:
    code = (
        "import sys, partialpool as pp\n"
        "fit = pp.lm('hwy ~ drv + displ', pp.datasets.load('mpg'))\n"
        "str(fit.emmeans('drv').pairs()), str(fit.emmeans('drv').pairs('mvt'))\n"
        "assert 'scipy.stats' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- variables ------------------------------------------------------------------------------------


def test_a_factor_may_be_named_as_in_the_formula(mpg: Any) -> None:
    assert mpg.emmeans("C(year)")["year"].tolist() == [1999, 2008]
    assert mpg.emmeans("year")["emmean"].equals(mpg.emmeans("C(year)")["emmean"])


def test_numbers_and_booleans_are_named_with_their_variable(mpg: Any) -> None:
    assert mpg.emmeans("year").pairs()["contrast"].tolist() == ["year=1999 - year=2008"]
    data = pp.datasets.load("mpg").assign(big=lambda d: d["displ"] > 3)
    pairs = pp.lm("hwy ~ big", data).emmeans("big").pairs()
    assert pairs["contrast"].tolist() == ["big=False - big=True"]


def test_a_covariate_with_two_values_is_still_a_covariate() -> None:
    data = pp.datasets.load("mpg")
    fit = pp.lm("hwy ~ drv + year", data)
    row = pd.DataFrame({"drv": ["4"], "year": [data["year"].mean()]})
    assert fit.emmeans("drv")["emmean"][0] == pytest.approx(fit.predict(row)[0])
    found = fit.emmeans("year", at={"year": [2008, 1999]})
    assert found["year"].tolist() == [2008, 1999]


def test_levels_at_come_in_level_order(cake: Any) -> None:
    found = cake.emmeans("temperature", at={"temperature": ["215", "185"]})
    assert found["temperature"].tolist() == ["185", "215"]


def test_levels_of_any_kind() -> None:
    rng = np.random.default_rng(3)
    n = 60
    data = pd.DataFrame(
        {
            "cut": pd.cut(rng.random(n), [0, 0.3, 0.6, 1]),
            "dose": rng.choice([0.5, 1.0, 2.5], n),
            "day": rng.choice(pd.date_range("2020-01-01", periods=3), n).astype("datetime64[D]"),
            "y": rng.standard_normal(n),
        }
    )
    data["day"] = pd.Categorical(data["day"])
    fit = pp.lm("y ~ cut + C(dose) + day", data)
    assert len(fit.emmeans("cut")) == len(fit.emmeans("dose")) == len(fit.emmeans("day")) == 3
    assert fit.emmeans("dose", at={"dose": 2.5})["dose"].tolist() == [2.5]
    assert math.isfinite(fit.emmeans("cut").pairs()["p_value"][0])


def test_a_number_that_is_also_a_factor() -> None:
    data = pp.datasets.load("mpg")
    fit = quietly(pp.lm, "hwy ~ cyl + C(cyl) + displ", data)
    plain = pp.lm("hwy ~ C(cyl) + displ", data)
    assert_allclose(fit.emmeans("cyl")["emmean"], plain.emmeans("cyl")["emmean"], rtol=1e-8)


def test_offsets_are_at_their_mean() -> None:
    data = pp.datasets.load("mpg").assign(o=lambda d: d["cty"] / 2)
    fit = pp.lm("hwy ~ drv + displ", data, offset="o")
    shifted = pp.lm("I(hwy - o) ~ drv + displ", data)
    expected = shifted.emmeans("drv")["emmean"] + data["o"].mean()
    assert_allclose(fit.emmeans("drv")["emmean"], expected)
    assert "offset is at its mean, 8.42949" in str(fit.emmeans("drv"))
    array = pp.lm("hwy ~ drv + displ", data, offset=data["o"].to_numpy())
    assert_allclose(array.emmeans("drv")["emmean"], expected)
    assert_allclose(
        fit.emmeans("drv").pairs()["estimate"], shifted.emmeans("drv").pairs()["estimate"]
    )


def test_offsets_that_read_a_variable_of_the_grid_follow_it() -> None:
    data = pp.datasets.load("mpg")
    fit = pp.lm("hwy ~ drv + displ + offset(-2 * displ)", data)
    plain = pp.lm("hwy ~ drv + displ", data)
    at = {"displ": [2, 5]}
    for call in (lambda m: m.emmeans(["drv", "displ"], at=at), lambda m: m.emmeans("drv")):
        assert_allclose(call(fit)["emmean"], call(plain)["emmean"])
    assert_allclose(fit.emtrends("displ")["trend"], plain.emtrends("displ")["trend"])
    assert "The offset is taken at the values of displ." in str(fit.emmeans("drv"))
    pairs = [m.emmeans("displ", at=at).pairs()["estimate"] for m in (fit, plain)]
    assert_allclose(*pairs)
    tests = [m.emmeans("displ", at=at).joint_tests() for m in (fit, plain)]
    assert_allclose(tests[0]["F"], tests[1]["F"])


def test_weights_given_by_level(cake: Any) -> None:
    cells = cake.emmeans(["recipe", "temperature"]).to_frame()
    w = [1, 0, 0, 0, 0, 3]
    expected = [
        np.average(cells.loc[cells["recipe"] == r, "emmean"], weights=w) for r in ("A", "B", "C")
    ]
    given = cake.emmeans("recipe", weights={"temperature": w})
    assert_allclose(given["emmean"], expected)
    levels = ["175", "185", "195", "205", "215", "225"]
    named = cake.emmeans("recipe", weights={"temperature": dict(zip(levels, w, strict=True))})
    assert_allclose(named["emmean"], expected)
    assert "with the weights given" in str(named)


@pytest.mark.parametrize("name", ["emmean", "df", "contrast", "estimate", "p_value"])
def test_factors_called_like_a_column_keep_theirs(name: str) -> None:
    fit = pp.lm(f"hwy ~ {name} + fl", pp.datasets.load("mpg").rename(columns={"drv": name}))
    means = fit.emmeans(name, by="fl", at={"fl": ["p", "r"]})
    for frame in (means.to_frame(), means.pairs().to_frame()):
        assert frame.columns.is_unique
        assert frame.shape[1] == 7
    assert means.to_frame().iloc[:3, 0].tolist() == ["4", "f", "r"]
    swapped = fit.emmeans("fl", by=name, at={"fl": ["p", "r"]}).pairs().to_frame()
    assert swapped.iloc[:, 1].tolist() == ["4", "f", "r"]
    assert swapped.columns[0] == "contrast"


# -- contrasts ------------------------------------------------------------------------------------


def test_reverse_changes_the_sign(cake: Any) -> None:
    means = cake.emmeans("recipe")
    first, second = means.pairs(), means.pairs(reverse=True)
    assert second["contrast"].tolist() == ["B - A", "C - A", "C - B"]
    assert_allclose(second["estimate"], -first["estimate"])
    assert_allclose(second["p_value"], first["p_value"])


def test_contrasts_of_ones_own(cake: Any) -> None:
    means = cake.emmeans("recipe")
    named = means.contrast({"A - others": [1, -0.5, -0.5], "B - C": [0, 1, -1]})
    assert named["contrast"].tolist() == ["A - others", "B - C"]
    e = means["emmean"]
    assert_allclose(named["estimate"], [e[0] - (e[1] + e[2]) / 2, e[1] - e[2]], atol=1e-12)
    matrix = means.contrast(np.array([[1, -0.5, -0.5], [0, 1, -1]]), adjust="mvt")
    assert_allclose(matrix["estimate"], named["estimate"])
    assert (matrix["p_value"] >= named["p_value"]).all()
    one = means.contrast([1, 0, -1])
    assert_allclose(one["estimate"], e[0] - e[2])


def test_a_control_may_be_chosen(cake: Any) -> None:
    found = cake.emmeans("recipe").contrast("trt.vs.ctrl", reference="B")
    assert found["contrast"].tolist() == ["A - B", "C - B"]
    assert found.adjust == "mvt"
    found = cake.emmeans(["recipe", "temperature"]).contrast("trt.vs.ctrl", reference=("C", "175"))
    assert len(found) == 17
    assert found.names[0] == "A 175 - C 175"


def test_polynomials_are_those_of_tables(cake: Any) -> None:
    from partialpool.inference._families import family

    table = {
        3: [[-1, 0, 1], [1, -2, 1]],
        4: [[-3, -1, 1, 3], [1, -1, -1, 1], [-1, 3, -3, 1]],
        5: [[-2, -1, 0, 1, 2], [2, -1, -2, -1, 2], [-1, 2, 0, -2, 1], [1, -4, 6, -4, 1]],
    }
    for k, expected in table.items():
        found = family("poly", ["m"] * k, reverse=False, reference=0)
        assert found.C.tolist() == expected


# -- what cannot be estimated ---------------------------------------------------------------------


def test_empty_cells_are_nan_with_a_reason(holes: Any) -> None:
    means = holes.emmeans(["recipe", "temperature"])
    frame = means.to_frame()
    bad = (frame["recipe"] == "C") & (frame["temperature"] == "225")
    assert frame["emmean"].isna().equals(bad)
    assert frame["std_error"].isna().equals(bad)
    reason = means.reasons[int(np.flatnonzero(bad)[0])]
    assert reason.startswith("no data with recipe=C, temperature=225")
    assert "recipe[T.C]:temperature[T.225]" in reason
    assert "NaN at recipe=C, temperature=225: no data" in str(means)


def test_averages_over_an_empty_cell_are_nan(holes: Any) -> None:
    means = holes.emmeans("recipe")
    assert np.isnan(means["emmean"]).tolist() == [False, False, True]
    assert np.isfinite(holes.emmeans("recipe", weights="cells")["emmean"]).all()
    pairs = means.pairs()
    assert np.isnan(pairs["p_value"]).tolist() == [False, True, True]
    assert "NaN at A - C; B - C: no data with recipe=C" in str(pairs)


def test_what_is_not_estimable_does_not_count_in_the_family(holes: Any) -> None:
    pairs = holes.emmeans("recipe").pairs(adjust="bonferroni")
    assert pairs.sizes == (1,)
    assert "for a family of 1 test." in str(pairs)
    none = holes.emmeans("recipe").pairs(adjust="none")
    assert_allclose(pairs["p_value"][0], none["p_value"][0])
    limits = pairs.conf_int()
    assert np.isnan(limits["conf_low"]).tolist() == [False, True, True]


def test_all_methods_bear_a_table_without_any_estimate(holes: Any) -> None:
    means = holes.emmeans("temperature", at={"temperature": "225", "recipe": "C"}, by="recipe")
    assert np.isnan(means["emmean"]).all()
    with pytest.raises(pp.SpecificationError, match="one mean"):
        means.pairs()
    both = holes.emmeans("recipe", at={"temperature": "225", "recipe": ["B", "C"]})
    for method in ("tukey", "sidak", "holm", "bonferroni", "mvt", "none"):
        pairs = both.pairs(adjust=method)
        assert np.isnan(pairs["p_value"]).all()
        assert np.isnan(pairs.conf_int()["conf_low"]).all()
    assert both.joint_tests()["num_df"].tolist() == [0]
    assert np.isnan(both.joint_tests()["F"]).all()


def test_cells_without_any_row_have_no_weights(holes: Any) -> None:
    means = holes.emmeans(["recipe", "temperature"], weights="cells")
    assert int(np.isnan(means["emmean"]).sum()) == 1
    pairs = means.pairs(adjust="none").to_frame()
    assert int(pairs["estimate"].isna().sum()) == 17


def test_differences_may_be_estimable_where_means_are_not() -> None:
    """Without the columns of b the level of the means is open, but a's differences are not."""
    data = pd.DataFrame(
        {"a": list("ppqqpq") * 2, "b": list("uvuvuv") * 2, "y": np.arange(12.0) ** 1.5}
    )
    data["z"] = (data["b"] == "v") * 1.0
    fit = quietly(pp.lm, "y ~ a + b + z", data)
    means = fit.emmeans("a", at={"z": 0.2})
    assert np.isnan(means["emmean"]).all()
    assert "repeats" in means.reasons[0]
    pair = means.pairs(reverse=True).to_frame().iloc[0]
    assert_allclose(pair["estimate"], fit.params["a[T.q]"])


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger"])
def test_means_keep_their_digits_where_a_covariate_is_far_from_zero(ddf: str) -> None:
    """The elements of the covariance, at an intercept 1e7 spreads away, hold no mean any more."""
    rng = np.random.default_rng(2)
    n = 120
    data = pd.DataFrame({"x": rng.standard_normal(n), "f": rng.choice(list("abc"), n)})
    data["g"] = rng.integers(0, 10, n)
    data["y"] = data["x"] + rng.standard_normal(10)[data["g"]] + rng.standard_normal(n)
    near = pp.lmer("y ~ f + x + (1 | g)", data)
    far = pp.lmer("y ~ f + x + (1 | g)", data.assign(x=data["x"] + 1e7))
    means, expected = (fit.emmeans("f", ddf=ddf) for fit in (far, near))
    for name in ("emmean", "std_error", "df"):
        assert_allclose(means[name], expected[name], rtol=1e-6)
    for method in ("tukey", "mvt"):
        expected = near.emmeans("f", ddf=ddf).pairs(method)
        assert_allclose(means.pairs(method)["p_value"], expected["p_value"], rtol=1e-5)
    line = pp.lm("y ~ f + x", data.assign(x=data["x"] + 1e7)).emmeans("f")
    assert_allclose(
        line["std_error"], pp.lm("y ~ f + x", data).emmeans("f")["std_error"], rtol=1e-6
    )


# -- slopes ---------------------------------------------------------------------------------------


def test_slopes_say_how_they_were_found(mpg: Any) -> None:
    assert "The model is linear in cyl: exact slopes." in str(mpg.emtrends("cyl"))
    text = str(mpg.emtrends("displ", "drv"))
    assert text.startswith("Slopes of log(hwy) in displ\ndrv")
    assert "Slopes at displ = 3.47179, by differences" in text
    assert "trend" in mpg.emtrends("displ", "drv").to_frame()


def test_slopes_at_several_values() -> None:
    data = pp.datasets.load("mpg")
    fit = pp.lm("hwy ~ displ + I(displ^2)", data)
    found = fit.emtrends("displ", "displ", at={"displ": [2, 4]})
    b = fit.params
    expected = [b["displ"] + 2 * v * b["I(displ^2)"] for v in (2, 4)]
    assert_allclose(found["trend"], expected, rtol=1e-9)
    assert_allclose(fit.emtrends("displ", at={"displ": [2, 4]})["trend"], np.mean(expected))


def test_slopes_at_the_ends_of_a_spline() -> None:
    data = pp.datasets.load("mpg")
    fit = pp.lm("hwy ~ bs(displ, df=5)", data)
    low, high = data["displ"].min(), data["displ"].max()
    for x, inside in ((low, low + 1e-4), (high, high - 1e-4)):
        ends = fit.predict(pd.DataFrame({"displ": [x, inside]}))
        slope = (ends[1] - ends[0]) / (inside - x)
        assert fit.emtrends("displ", at={"displ": x})["trend"][0] == pytest.approx(slope, rel=1e-3)


def test_a_kink_has_no_slope() -> None:
    data = pp.datasets.load("mpg")
    fit = pp.lm("hwy ~ pmax(displ, 3) + displ", data)
    step = fit.params["pmax(displ, 3)"]
    found = fit.emtrends("displ", "displ", at={"displ": [2, 4]})["trend"]
    assert_allclose(found[1] - found[0], step, rtol=1e-9)
    with pytest.raises(pp.SpecificationError, match="jump or a kink"):
        fit.emtrends("displ", at={"displ": 3 + 1e-3 * data["displ"].std()})


# -- back-transformation --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "inverse"),
    [
        ("log(hwy)", np.exp),
        ("log10(hwy)", lambda v: 10**v),
        ("sqrt(hwy)", np.square),
        ("log(hwy + 1)", np.expm1),
        ("I(log(hwy) / 2)", lambda v: np.exp(2 * v)),
        ("log1p(hwy)", np.expm1),
    ],
)
def test_back_transformation(response: str, inverse: Any) -> None:
    means = pp.lm(f"{response} ~ drv + displ", pp.datasets.load("mpg")).emmeans("drv")
    frame, back = means.to_frame(), means.back_transform()
    assert list(back) == ["drv", "response", "std_error", "df", "conf_low", "conf_high"]
    assert_allclose(back["response"], inverse(frame["emmean"]))
    assert_allclose(back["conf_low"], inverse(frame["conf_low"]))
    h = 1e-6
    slope = (inverse(frame["emmean"] + h) - inverse(frame["emmean"] - h)) / (2 * h)
    assert_allclose(back["std_error"], slope * frame["std_error"], rtol=1e-6)


def test_no_back_transformation_of_what_has_none(mpg: Any) -> None:
    data = pp.datasets.load("mpg")
    with pytest.raises(pp.SpecificationError, match="is not transformed"):
        pp.lm("hwy ~ drv", data).emmeans("drv").back_transform()
    with pytest.raises(pp.SpecificationError, match="cannot be inverted"):
        pp.lm("I(hwy / cty) ~ drv", data).emmeans("drv").back_transform()
    with pytest.raises(pp.SpecificationError, match="Slopes"):
        mpg.emtrends("displ").back_transform()


# -- bad input ------------------------------------------------------------------------------------

BAD = [
    ({"specs": "recpie"}, "'recpie', which is no variable .* Did you mean 'recipe'"),
    ({"specs": "replicate"}, "'replicate', which is no variable of the fixed part"),
    ({"specs": []}, "specs is empty"),
    ({"specs": ""}, "specs is empty"),
    ({"specs": None}, "specs is empty"),
    ({"specs": 3}, "specs is of type int"),
    ({"specs": ["recipe", "recipe"]}, "'recipe' is named twice"),
    ({"specs": "recipe", "by": "recipe"}, "'recipe' is named twice"),
    ({"specs": "recipe", "by": "temp"}, "by has 'temp'.*'temperature'"),
    ({"specs": "recipe", "at": {"recipe": "D"}}, "level 'D' of 'recipe'.*'A', 'B', 'C'"),
    ({"specs": "recipe", "at": {"temperature": [175]}}, "level 175 of 'temperature'"),
    ({"specs": "recipe", "at": {"temperature": []}}, "at has no value for 'temperature'"),
    ({"specs": "recipe", "at": {"temp": 1}}, "at has 'temp'"),
    ({"specs": "recipe", "at": ["A"]}, "at must be a dict"),
    ({"specs": "recipe", "weights": "even"}, "weights='even' must be 'equal', 'proportional'"),
    ({"specs": "recipe", "weights": None}, "weights is of type NoneType"),
    ({"specs": "recipe", "weights": {"recipe": [1, 2, 3]}}, "'recipe', which is not averaged over"),
    ({"specs": "recipe", "weights": {"temperature": [1, 2]}}, "must be 6 numbers"),
    ({"specs": "recipe", "weights": {"temperature": {"175": 1}}}, "no weight for '185'"),
    ({"specs": "recipe", "weights": {"temperature": [-1] * 6}}, "not negative"),
    ({"specs": "recipe", "ddf": "kr"}, "ddf='kr' must be 'satterthwaite' or 'kenward-roger'"),
    ({"specs": "recipe", "level": 1.0}, "level=1.0 must be a number between 0 and 1"),
    ({"specs": "recipe", "level": 95}, "level=95 must be"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_input_is_explained(cake: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(pp.SpecificationError, match=message):
        cake.emmeans(**options)


def test_covariates_need_values(mpg: Any) -> None:
    with pytest.raises(
        pp.SpecificationError, match=r"'displ' is a covariate.*at=\{'displ': \[...\]"
    ):
        mpg.emmeans("displ")
    with pytest.raises(pp.SpecificationError, match="covariate 'displ'; it must be a finite"):
        mpg.emmeans("drv", at={"displ": math.nan})
    with pytest.raises(pp.SpecificationError, match="covariate 'displ'"):
        mpg.emmeans("drv", at={"displ": "big"})
    with pytest.raises(pp.SpecificationError, match="twice"):
        mpg.emmeans("drv", at={"displ": [1, 1]})
    with pytest.raises(pp.SpecificationError, match=r"log\(displ\) is not finite at displ = -1"):
        mpg.emmeans("drv", at={"displ": -1})


def test_contrasts_explain_bad_input(cake: Any) -> None:
    means = cake.emmeans("recipe")
    with pytest.raises(pp.SpecificationError, match="adjust='tuckey' must be 'tukey'"):
        means.pairs(adjust="tuckey")
    with pytest.raises(pp.SpecificationError, match="method='dunnett' must be 'pairwise'"):
        means.contrast("dunnett")
    with pytest.raises(pp.SpecificationError, match="adjust='tukey' is for all pairs"):
        means.contrast("eff", adjust="tukey")
    with pytest.raises(pp.SpecificationError, match=r"3 finite weights.*\(1, 2\)"):
        means.contrast([[1, -1]])
    with pytest.raises(pp.SpecificationError, match="3 finite weights"):
        means.contrast({"x": [1, math.nan, 0]})
    with pytest.raises(pp.SpecificationError, match="3 finite weights"):
        means.contrast({})
    with pytest.raises(pp.SpecificationError, match="3 finite weights.*different lengths"):
        means.contrast([[1, -1], [1]])
    with pytest.raises(pp.SpecificationError, match="reference='D' is none of the means"):
        means.contrast("trt.vs.ctrl", reference="D")
    with pytest.raises(pp.SpecificationError, match="level=2 must be"):
        means.pairs().conf_int(2)


def test_slopes_explain_bad_input(cake: Any, mpg: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="var='recipe' is a factor"):
        cake.emtrends("recipe")
    with pytest.raises(pp.SpecificationError, match="var has 'disp'.*'displ'"):
        mpg.emtrends("disp", "drv")
    with pytest.raises(pp.SpecificationError, match="no variable of the fixed part"):
        mpg.emtrends("displ", "drive")


def test_a_model_of_the_intercept_alone() -> None:
    fit = pp.lmer("Yield ~ 1 + (1 | Batch)", pp.datasets.load("Dyestuff"))
    with pytest.raises(pp.SpecificationError, match="no predictors"):
        fit.emmeans("Batch")
    with pytest.raises(pp.SpecificationError, match="specs is empty"):
        fit.emmeans([])


def test_a_grid_that_no_memory_holds_is_refused() -> None:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({f"f{i}": rng.integers(0, 40, 4000).astype(str) for i in range(4)})
    data["y"] = rng.standard_normal(4000)
    fit = pp.lm("y ~ f0 + f1 + f2 + f3", data)
    with pytest.raises(pp.SpecificationError, match="40 f0 x 40 f1 x 40 f2 x 40 f3"):
        fit.emmeans("f0")
    assert len(fit.emmeans("f0", at={"f2": "1", "f3": "2"})) == 40


def test_kenward_roger_of_a_fit_by_maximum_likelihood_is_refused(cake: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="REML"):
        cake.refit_ml().emmeans("recipe", ddf="kenward-roger")


def test_an_exact_fit_gives_no_nonsense() -> None:
    data = pd.DataFrame({"f": list("aabbcc"), "y": [1.0, 1.0, 2.0, 2.0, 4.0, 4.0]})
    means = pp.lm("y ~ f", data).emmeans("f")
    assert_allclose(means["emmean"], [1, 2, 4])
    for method in ("tukey", "sidak", "holm", "bonferroni", "mvt", "none"):
        pairs = means.pairs(adjust=method)
        assert ((pairs["p_value"] < 1e-10) | np.isnan(pairs["p_value"])).all()
        pairs.conf_int()
