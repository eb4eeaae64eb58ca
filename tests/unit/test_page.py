"""The pages as text: complete in themselves, escaped, small; the browser tests look at the rest."""

from __future__ import annotations

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
    for sentence in found.sentences():
        assert sentence.split(",")[0].replace("'", "&#x27;") in text
    # The answer comes before the tables, the tables before the figure.
    places = [text.index(f'id="{key}"') for key in ("answer", "numbers", "figure", "assumptions")]
    assert places == sorted(places)


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
    assert len(re.findall(r"<script", text)) == 2  # the data and the program
    assert "alert(1)<" not in text.replace("alert(1)</", "")
    assert "<script>alert(2)</script>" in data_of(text)["effects"]["levels"]


def test_models_without_a_covariate_or_without_data(tmp_path: Path) -> None:
    found = pp.compare("diameter ~ 1 + (1 | plate)", pp.datasets.load("Penicillin"))
    assert "lines" not in data_of(written(found, tmp_path / "a.html"))
    import pickle

    again = pickle.loads(pickle.dumps(found))
    assert data_of(written(again, tmp_path / "b.html"))["ratios"]


def test_a_fit_and_an_exact_fit(tmp_path: Path) -> None:
    sleep = pp.datasets.load("sleepstudy")
    text = written(pp.lmer("Reaction ~ Days + (Days | Subject)", sleep), tmp_path / "a.html")
    assert text.count("<svg") == 2
    assert "<script" not in text
    exact = pd.DataFrame({"y": np.arange(6.0), "x": np.arange(6.0)})
    assert "Summary" in written(pp.lm("y ~ x", exact), tmp_path / "b.html")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    fit = pp.lm("hwy ~ displ", pp.datasets.load("mpg"))
    with pytest.raises(FileNotFoundError):
        fit.report(tmp_path / "nowhere" / "x.html")
