"""The pages as text: complete in themselves, escaped, small; the browser tests look at the rest."""

from __future__ import annotations

import html
import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp


def written(found: Any, path: Path) -> str:
    found.report(path)
    return path.read_text(encoding="utf-8")


def data_of(text: str) -> dict[str, Any]:
    match = re.search(r'id="pp-data">(.*?)</script>', text, re.DOTALL)
    assert match is not None
    found: dict[str, Any] = json.loads(match.group(1))
    return found


def test_a_comparison_is_complete_in_itself(tmp_path: Path) -> None:
    found = pp.compare("hwy ~ displ + year + (1 | class)", pp.datasets.load("mpg"))
    text = written(found, tmp_path / "mpg.html")
    assert len(text) < 1_000_000
    assert not re.findall(r'(?:src|href)="(?!#|data:)', text)
    assert "@import" not in text
    assert "url(" not in text
    plain = html.unescape(text).replace("\u00a0", " ")
    for sentence in found.sentences():
        assert f"<p>{sentence}</p>" in plain
    order = "answer numbers figure assumptions diagnostics models cite reproduce".split()
    assert re.findall(r'<section id="(\w+)"', text) == order
    assert re.findall(r'<a href="#(\w+)"', text) == order


def test_the_data_of_the_figure_are_those_of_the_comparison(tmp_path: Path) -> None:
    found = pp.compare("Reaction ~ Days + (Days | Subject)", pp.datasets.load("sleepstudy"))
    data = data_of(written(found, tmp_path / "sleep.html"))
    assert data["ratios"][-1] is None
    np.testing.assert_allclose(data["coefficients"], found.path.iloc[:, 1:], rtol=1e-8)
    assert data["ratios"][data["fitted"]] == pytest.approx(found.ratio)
    lines, at = data["lines"], data["fitted"]
    mixed = pp.lmer("Reaction ~ Days + (Days | Subject)", pp.datasets.load("sleepstudy"))
    for g, one in enumerate(lines["groups"]):
        height = np.array(one["X"]) @ data["kept"][at]
        height += np.array(one["Z"]) @ lines["effects"][at][g] + one["o"]
        new = {"Days": one["x"], "Subject": [one["level"]] * len(one["x"])}
        np.testing.assert_allclose(height, mixed.predict(new), rtol=1e-6)


def test_offsets_and_weights_move_the_lines_as_they_should(tmp_path: Path) -> None:
    data = pp.datasets.load("sleepstudy").assign(w=lambda d: 1 + d["Days"], base=100.0)
    formula = "Reaction ~ Days + offset(base) + (1 | Subject)"
    found = pp.compare(formula, data, weights="w")
    drawn = data_of(written(found, tmp_path / "x.html"))
    one, at = drawn["lines"]["groups"][0], drawn["fitted"]
    height = np.array(one["X"]) @ drawn["kept"][at] + one["o"]
    height += np.array(one["Z"]) @ drawn["lines"]["effects"][at][0]
    mixed = pp.lmer(formula, data, weights="w")
    new = {"Days": one["x"], "Subject": [one["level"]] * 2, "base": [100.0, 100.0]}
    np.testing.assert_allclose(height, mixed.predict(new), rtol=1e-6)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    mpg = pp.datasets.load("mpg").rename(columns={"displ": "</script><script>alert(1)"})
    mpg["class"] = mpg["class"].replace({"suv": "<script>alert(2)</script>"})
    found = pp.compare("hwy ~ `</script><script>alert(1)` + (1 | class)", mpg)
    text = written(found, tmp_path / "evil.html")
    assert len(re.findall(r"<script", text)) == 3  # the data and two programs
    assert "alert(1)<" not in text.replace("alert(1)</", "")
    assert "<script>alert(2)</script>" in data_of(text)["panels"][0]["levels"]


def test_without_a_covariate_each_level_has_its_mean(tmp_path: Path) -> None:
    pastes = pp.datasets.load("Pastes")
    formula = "strength ~ 1 + (1 | batch/cask)"
    data = data_of(written(pp.compare(formula, pastes), tmp_path / "a.html"))
    lines, at = data["lines"], data["fitted"]
    assert lines["strips"]
    assert lines["shared"]
    assert lines["without"] == []  # the batches, in which casks are nested, are in the means
    mixed = pp.lmer(formula, pastes)
    labels = pastes["cask"].astype(str) + ":" + pastes["batch"].astype(str)
    fitted = dict(zip(labels, mixed.fittedvalues, strict=True))
    for g, one in enumerate(lines["groups"]):
        height = (
            np.array(one["X"]) @ data["kept"][at] + np.array(one["Z"]) @ lines["effects"][at][g]
        )
        np.testing.assert_allclose(height, fitted[one["level"]], rtol=1e-7)
    assert [p["label"] for p in data["panels"]] == ["effect of cask:batch", "effect of batch"]


def test_a_factor_is_an_axis_of_its_levels(tmp_path: Path) -> None:
    cake = pp.datasets.load("cake")
    formula = "angle ~ recipe * temperature + (1 | recipe:replicate)"
    text = written(pp.compare(formula, cake), tmp_path / "cake.html")
    data = data_of(text)
    lines, at = data["lines"], data["fitted"]
    assert lines["x"] == "temperature"
    assert lines["marks"] == [str(t) for t in sorted(cake["temperature"].unique())]
    assert not lines["shared"]  # a cake has its own recipe, and lm a line a recipe
    assert lines["held"] == []
    mixed = pp.lmer(formula, cake)
    for g, one in enumerate(lines["groups"]):
        height = (
            np.array(one["X"]) @ data["kept"][at] + np.array(one["Z"]) @ lines["effects"][at][g]
        )
        recipe, replicate = one["level"].split(":")
        own = (cake["recipe"].astype(str) == recipe) & (cake["replicate"].astype(str) == replicate)
        np.testing.assert_allclose(height, mixed.fittedvalues[own.to_numpy()], rtol=1e-7)
    # Balanced: no coefficient moves, and no eighteen flat lines are drawn.
    assert data["shown"] == []
    assert "No coefficient moves" in text


def test_numbers_taken_as_levels_are_an_axis_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    data = {
        "nitro": np.tile([0.0, 0.2, 0.4, 0.6], 18),
        "block": np.repeat(list("abcdef"), 12),
        "y": rng.normal(size=72) + np.repeat(rng.normal(size=6), 12),
    }
    found = pp.compare("y ~ C(nitro) + (1 | block)", data)
    lines = data_of(written(found, tmp_path / "a.html"))["lines"]
    assert lines["marks"] == ["0.0", "0.2", "0.4", "0.6"]
    assert lines["x"] == "nitro"


@pytest.mark.parametrize(("size", "shown"), [(1e-10, ">2e−11<"), (1e9, ">1e+09<"), (1.0, ">0.2<")])
def test_ticks_are_written_for_numbers_of_any_size(size: float, shown: str) -> None:
    from partialpool.report import svg

    x = size * np.linspace(0.05, 1.02, 9)
    text = svg.scatter(x, x, labels=("x", "y"), about="a line")
    written_ticks = re.findall(r">([^<>]+)</text>", text)
    assert shown in text
    assert len(set(written_ticks) - {"x", "y"}) == 5  # those of both axes are the same


def test_a_level_has_its_own_value_of_what_is_constant_within_it(tmp_path: Path) -> None:
    mpg = pp.datasets.load("mpg")
    mpg["heavy"] = mpg["class"].isin(["suv", "pickup"]).map({True: "yes", False: "no"})
    mpg["doors"] = mpg["class"].map(len)  # a number
    formula = "hwy ~ displ + heavy + doors + year + (1 | class)"
    found = pp.compare(formula, mpg)
    text = written(found, tmp_path / "a.html")
    data = data_of(text)
    lines, at = data["lines"], data["fitted"]
    assert lines["own"] == ["heavy", "doors"]
    assert lines["held"] == ["year = 2003.5 (mean)"]
    assert not lines["shared"]
    assert "Each level has its own heavy and doors." in text
    mixed = pp.lmer(formula, mpg)
    for g, one in enumerate(lines["groups"]):
        own = mpg[mpg["class"] == one["level"]].iloc[0]
        new = pd.DataFrame({"displ": one["x"], "year": 2003.5, "class": one["level"]})
        new = new.assign(heavy=own["heavy"], doors=own["doors"])
        height = (
            np.array(one["X"]) @ data["kept"][at] + np.array(one["Z"]) @ lines["effects"][at][g]
        )
        np.testing.assert_allclose(height, mixed.predict(new), rtol=1e-6)


def test_every_random_effect_has_its_shrinkage(tmp_path: Path) -> None:
    sleep = pp.datasets.load("sleepstudy")
    found = pp.compare("Reaction ~ Days + (Days | Subject)", sleep)
    data = data_of(written(found, tmp_path / "a.html"))
    for panel, term in zip(data["panels"], ("Intercept", "Days"), strict=True):
        own = found.groups[found.groups["term"] == term]
        assert panel["levels"] == [str(v) for v in own["level"]]
        values = panel["values"]
        np.testing.assert_allclose(values[0], 0, atol=1e-12)
        np.testing.assert_allclose(values[data["fitted"]], own["partial_pooling"], rtol=1e-7)
        np.testing.assert_allclose(values[-1], own["no_pooling"], rtol=1e-6)


def test_the_coefficients_that_move_most_are_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    g = rng.integers(0, 12, 400)
    x = rng.normal(size=(400, 9)) + rng.normal(size=(12, 9))[g]
    data = {f"x{i}": x[:, i] for i in range(9)} | {"g": g}
    data["y"] = x.sum(axis=1) + rng.normal(size=12)[g] + rng.normal(size=400)
    formula = "y ~ " + " + ".join(f"x{i}" for i in range(9)) + " + (1 | g)"
    found = pp.compare(formula, data)
    text = written(found, tmp_path / "a.html")
    drawn = data_of(text)
    assert len(drawn["shown"]) == 6
    assert "6 that move most of 9" in text
    path, se = found.path.iloc[:, 1:], found.table["partial_pooling_se"]
    moves = (np.ptp(path.to_numpy(), axis=0) / se.to_numpy())[1:]
    assert set(drawn["shown"]) == {int(j) + 1 for j in np.argsort(-moves)[:6]}


def test_a_pickled_comparison_says_why_it_has_no_picture_of_the_data(tmp_path: Path) -> None:
    import pickle

    found = pp.compare("hwy ~ displ + (1 | class)", pp.datasets.load("mpg"))
    text = written(pickle.loads(pickle.dumps(found)), tmp_path / "b.html")
    data = data_of(text)
    assert data["ratios"]
    assert "lines" not in data
    assert "No picture of the data: This picture draws the data" in text


@pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")
def test_the_title_says_so_when_they_agree(tmp_path: Path) -> None:
    for formula, data, title in (
        ("Yield ~ 1 + (1 | Batch)", "Dyestuff2", "Why do lm and lmer agree here?"),
        ("Reaction ~ Days + (1 | Subject)", "sleepstudy", "Why do lm and lmer agree here?"),
        ("hwy ~ displ + (1 | class)", "mpg", "Why do lm and lmer differ?"),
    ):
        text = written(pp.compare(formula, pp.datasets.load(data)), tmp_path / "a.html")
        assert f"<h1>{title}</h1>" in text
        assert f"<title>{title}</title>" in text


def test_the_code_on_the_page_fits_the_same_again(tmp_path: Path) -> None:
    mpg = pp.datasets.load("mpg").assign(w=lambda d: d["cyl"] * 1.0)
    w = mpg["w"].to_numpy()
    for found, names in (
        (pp.compare("hwy ~ displ + drv + (1 | class)", mpg, weights="w", reml=False), {}),
        (pp.compare("hwy ~ displ + (1 | class)", mpg, weights=w), {"weights": w}),
        (pp.lmer("hwy ~ drv + (1 | class)", mpg, contrasts={"drv": "sum"}), {}),
        (pp.lm("hwy ~ displ", mpg, offset=w, missing="raise"), {"offset": w}),
        (pp.lmer("hwy ~ drv + (1 | class)", mpg, control=pp.Control(tolerance=1e-8)), {}),
    ):
        text = written(found, tmp_path / "a.html")
        match = re.search(r"<pre><code>(.*?)</code>", text, re.DOTALL)
        assert match is not None
        code = html.unescape(match.group(1)).replace("'report.html'", "path")
        space: dict[str, Any] = {"data": mpg, "path": tmp_path / "again.html"} | names
        exec(code, space)
        assert written(space["found"], tmp_path / "again.html") == text
        assert all(f"<code>{name}</code>, the array" in text for name in names)


def test_headings_go_down_a_level_at_a_time(tmp_path: Path) -> None:
    mpg = pp.datasets.load("mpg")
    for found in (pp.compare("hwy ~ displ + (1 | class)", mpg), pp.lm("hwy ~ displ", mpg)):
        text = written(found, tmp_path / "a.html")
        levels = [int(n) for n in re.findall(r"<h([1-6])", text)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_a_fit_and_an_exact_fit(tmp_path: Path) -> None:
    sleep = pp.datasets.load("sleepstudy")
    text = written(pp.lmer("Reaction ~ Days + (Days | Subject)", sleep), tmp_path / "a.html")
    assert text.count("<svg") == 2
    assert len(re.findall(r"<script", text)) == 1
    exact = pd.DataFrame({"y": np.arange(6.0), "x": np.arange(6.0)})
    assert "Summary" in written(pp.lm("y ~ x", exact), tmp_path / "b.html")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    fit = pp.lm("hwy ~ displ", pp.datasets.load("mpg"))
    with pytest.raises(FileNotFoundError):
        fit.report(tmp_path / "nowhere" / "x.html")
