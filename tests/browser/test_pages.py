"""The pages in a real browser: the slider, the escapes, small screens, the keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp

MPG = "hwy ~ displ + year + (1 | class)"


@pytest.fixture(scope="module")
def comparison() -> Any:
    return pp.compare(MPG, pp.datasets.load("mpg"))


@pytest.fixture(scope="module")
def mpg(comparison: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "mpg.html"
    comparison.report(path)
    assert path.stat().st_size < 1_000_000
    return path


def now(page: Any) -> dict[str, float]:
    """The coefficients as the table shows them now."""
    rows = page.locator("#pp-table tbody tr")
    return {
        rows.nth(i).locator("th").inner_text(): float(
            rows.nth(i).locator("td.current").get_attribute("data-value")
        )
        for i in range(rows.count())
    }


def slide(page: Any, place: int) -> None:
    page.eval_on_selector(
        "#pp-slider",
        "(s, i) => { s.value = i; s.dispatchEvent(new Event('input', {bubbles: true})); }",
        str(place),
    )


def test_the_slider_moves_the_coefficients_to_both_ends(
    visit: Any, mpg: Path, comparison: Any
) -> None:
    page = visit(mpg)
    last = int(page.get_attribute("#pp-slider", "max"))
    assert last + 1 == len(comparison.path)
    path = comparison.path.iloc[:, 1:]
    start = int(page.input_value("#pp-slider"))
    fitted = dict(comparison.table["partial_pooling"])
    assert now(page) == pytest.approx(fitted, rel=1e-7)  # the page opens at lmer
    for place, row in ((0, 0), (last, -1), (start, start)):
        slide(page, place)
        assert now(page) == pytest.approx(dict(path.iloc[row]), rel=1e-7)
    slide(page, 0)
    assert now(page)["displ"] == pytest.approx(-3.6109862, rel=1e-7)  # lm
    slide(page, last)
    assert now(page)["displ"] == pytest.approx(-2.4033668, rel=1e-7)  # lm(... + class)


def test_the_three_pictures_move_together(visit: Any, mpg: Path) -> None:
    page = visit(mpg)
    state = (
        "() => [document.querySelector('#pp-paths .mark').getAttribute('cx'),"
        "[...document.querySelectorAll('#pp-lines .line')].map((l) => l.getAttribute('d')).join(),"
        "[...document.querySelectorAll('.pp-shrinkage .mark')]"
        ".map((m) => m.getAttribute('cx')).join()]"
    )
    seen = [page.evaluate(state)]
    for name in ("lm", "no pooling", "lmer (REML)"):
        page.get_by_role("button", name=name, exact=True).click()
        seen.append(page.evaluate(state))
    assert seen[0] == seen[3]
    for part in range(3):
        assert len({s[part] for s in seen[1:]}) == 3
    # At lm all levels share one line, and no level has an effect.
    slide(page, 0)
    effects = page.evaluate(state)[2].split(",")
    assert len(set(effects)) == 1


def test_the_keyboard_and_the_screen_reader(visit: Any, mpg: Path) -> None:
    page = visit(mpg)
    slider = page.get_by_role("slider", name="sd(class) / sd(residual)")
    assert "REML" in slider.get_attribute("aria-valuetext")
    slider.focus()
    page.keyboard.press("Home")
    assert "complete pooling" in slider.get_attribute("aria-valuetext")
    assert "complete pooling" in page.locator("#pp-now").inner_text()
    page.keyboard.press("End")
    assert slider.get_attribute("aria-valuetext") == "∞, no pooling"
    pressed = page.locator(".stops button[aria-pressed=true]")
    assert pressed.all_inner_texts() == ["no pooling"]
    images = page.get_by_role("img")
    assert images.count() >= 5
    assert all(images.nth(i).get_attribute("aria-label") for i in range(images.count()))
    assert page.locator("h1").count() == 1


def test_a_level_can_be_picked_out(visit: Any, mpg: Path) -> None:
    page = visit(mpg)
    page.get_by_label("Pick out a level of class:").select_option("suv")
    assert page.locator("#pp-lines .line.chosen").count() == 1
    assert page.locator("#pp-lines .point.chosen").count() == 62
    assert page.locator(".pp-shrinkage text.picked").all_text_contents() == ["suv"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(visit: Any, mpg: Path, scheme: str) -> None:
    page = visit(mpg, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    ink, paper = page.evaluate(
        "() => { const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]; }"
    )
    assert ink != paper
    assert ("255, 255, 255" in paper) == (scheme == "light")


def test_text_of_the_user_is_shown_and_not_run(visit: Any, tmp_path: Path) -> None:
    name, level = "<img src=x onerror=window.ran=1>", "<script>window.ran=1</script>"
    data = pp.datasets.load("mpg").rename(columns={"displ": name})
    data["class"] = data["class"].replace({"suv": level, "pickup": "</script><b>"})
    path = tmp_path / "evil.html"
    pp.compare(f"hwy ~ `{name}` + (1 | class)", data).report(path)
    page = visit(path)
    assert page.evaluate("window.ran") is None
    assert level in page.locator("#pp-level").inner_text()
    assert name in page.locator("#pp-table").inner_text()
    assert page.locator("b").count() == 0
    fit = tmp_path / "fit.html"
    pp.lmer(f"hwy ~ `{name}` + (1 | class)", data).report(fit)
    page = visit(fit)
    assert page.evaluate("window.ran") is None
    assert name in page.locator("#summary").inner_text()


@pytest.mark.parametrize(
    ("formula", "data"),
    [
        ("Reaction ~ Days + (Days | Subject)", "sleepstudy"),
        ("strength ~ 1 + (1 | batch/cask)", "Pastes"),
        ("angle ~ recipe * temperature + (1 | recipe:replicate)", "cake"),
        ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin"),
    ],
)
def test_other_models(visit: Any, tmp_path: Path, formula: str, data: str) -> None:
    path = tmp_path / "page.html"
    found = pp.compare(formula, pp.datasets.load(data))
    found.report(path)
    page = visit(path)
    slide(page, 0)
    assert now(page) == pytest.approx(dict(found.path.iloc[0, 1:]), rel=1e-7)


def test_a_fit_has_a_page(visit: Any, tmp_path: Path) -> None:
    sleep = pp.datasets.load("sleepstudy")
    for name, fit in (
        ("lm", pp.lm("Reaction ~ Days", sleep)),
        ("lmer", pp.lmer("Reaction ~ Days + (Days | Subject)", sleep)),
    ):
        path = tmp_path / f"{name}.html"
        fit.report(path)
        page = visit(path)
        assert "251.405" in page.locator("#summary").inner_text()
        assert page.locator("#diagnostics svg").count() == 2


def test_many_rows_are_sampled_and_it_says_so(visit: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    n, levels = 200_000, 3_000
    g, x = rng.integers(0, levels, n), rng.normal(size=n)
    y = x + rng.normal(size=levels)[g] + rng.normal(size=n)
    path = tmp_path / "big.html"
    pp.compare("y ~ x + (1 | g)", pd.DataFrame({"y": y, "x": x, "g": g})).report(path)
    assert path.stat().st_size < 1_000_000
    page = visit(path)
    shown = page.locator("#figure").inner_text()
    assert "40 of 3,000 levels of g" in shown
    assert "every number is of all rows" in shown
