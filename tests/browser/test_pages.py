"""The pages in a real browser: the slider, the escapes, small screens, the keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp

MPG = "hwy ~ displ + year + (1 | class)"


# Text that leaves its picture, covers other text, is too small or too pale; what sticks out of the
# page. Contrast as WCAG 2 defines it.
FAULTS = """() => {
  const found = [];
  for (const svg of document.querySelectorAll('main svg')) {
    const r = svg.getBoundingClientRect(), about = svg.getAttribute('aria-label');
    const texts = [...svg.querySelectorAll('text')].filter((t) => t.textContent.trim());
    const boxes = texts.map((t) => [t.textContent, t.getBoundingClientRect()]);
    boxes.forEach(([text, a], i) => {
      if (a.left < r.left - 2 || a.right > r.right + 2) found.push(['outside', about, text]);
      for (const [other, b] of boxes.slice(i + 1)) {
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 1 && high > 3) found.push(['overlap', about, text, other]);
      }
    });
    const scale = r.width / svg.viewBox.baseVal.width;
    for (const t of texts) {
      if (parseFloat(getComputedStyle(t).fontSize) * scale < 10.5) found.push(['small', about]);
    }
  }
  const linear = (v) => (v / 255 <= 0.03928 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = (c) => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const colour = (text) => (text.match(/[0-9.]+/g) || [0, 0, 0, 0]).map(Number);
  const paper = (node) => {
    for (; node; node = node.parentElement) {
      const c = colour(getComputedStyle(node).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  for (const node of document.querySelectorAll('main *')) {
    const style = getComputedStyle(node), svg = node.closest('svg');
    if (style.display === 'none' || node.closest('option, title, noscript')) continue;
    const inside = node.closest('.scroll, .pp-scroll, pre, .unseen, svg');
    const box = node.getBoundingClientRect();
    if (!inside && box.right > innerWidth + 1) found.push(['wide', node.tagName, node.className]);
    if (![...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim())) continue;
    const ink = colour(svg ? style.fill : style.color);
    const back = paper(svg ? svg.parentElement : node);
    const pair = [light(ink), light(back)];
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (contrast < 4.5) found.push(['pale', node.tagName, node.textContent.slice(0, 30), contrast]);
  }
  return found;
}"""
SCREENS = [(360, "light"), (768, "dark"), (1200, "light"), (1200, "dark")]


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


def test_a_picked_stop_is_told_once_the_slider_rests(visit: Any, mpg: Path) -> None:
    page = visit(mpg)
    said = page.get_by_role("status")
    assert said.inner_text() == ""  # silent until something moves
    page.evaluate(
        "() => { window.said = []; new MutationObserver(() => window.said.push(1))"
        ".observe(document.getElementById('pp-said'), {childList: true, subtree: true}); }"
    )
    for place in range(40, 20, -1):
        slide(page, place)
    slide(page, 0)
    page.wait_for_function("document.getElementById('pp-said').textContent !== ''")
    assert said.inner_text() == "displ −3.611, year 0.1558"
    assert page.evaluate("window.said.length") == 1


def test_everything_is_reached_by_the_keyboard(visit: Any, mpg: Path) -> None:
    page = visit(mpg, viewport={"width": 360, "height": 740})
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.id || document.activeElement.textContent")
        )
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        if seen[-1].startswith("import partialpool"):
            break
        assert outline == "solid", seen[-1]
    wanted = ["The answer", "pp-slider", "lm", "lmer (REML)", "no pooling", "pp-level"]
    places = [seen.index(name) for name in wanted]
    assert places == sorted(places)
    # Tables wider than the screen scroll inside themselves, and the keyboard gets there.
    assert any(text.startswith("Coefficients") for text in seen)
    assert seen[-1].startswith("import partialpool")


def test_without_scripts_the_words_and_the_numbers_are_there(browser: Any, mpg: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(mpg.as_uri())
    shown = page.locator("#figure").inner_text()
    assert "which is off" in shown
    assert "now" not in page.locator("#pp-table thead").inner_text()
    assert "-2.403" in page.locator("#pp-table").inner_text()
    assert not page.locator("#pp-slider").is_visible()
    assert not page.get_by_text("Shrinkage", exact=True).is_visible()  # no empty pictures
    context.close()


def test_pictures_are_drawn_again_for_another_width(visit: Any, mpg: Path) -> None:
    page = visit(mpg, viewport={"width": 1200, "height": 800}, reduced_motion="reduce")
    slide(page, 5)
    before = now(page)
    page.set_viewport_size({"width": 360, "height": 740})
    page.wait_for_function("document.querySelector('#pp-lines svg').clientWidth < 340")
    assert page.evaluate(FAULTS) == []
    assert now(page) == before
    # Nothing moves by itself.
    assert page.evaluate("document.getAnimations().length") == 0


@pytest.mark.parametrize(("wide", "scheme"), SCREENS)
def test_it_fits_the_screen(visit: Any, mpg: Path, wide: int, scheme: str) -> None:
    page = visit(mpg, viewport={"width": wide, "height": 740}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= wide
    assert page.evaluate(FAULTS) == []
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ("255, 255, 255" in paper) == (scheme == "light")


def test_it_prints_light_and_whole(visit: Any, mpg: Path) -> None:
    page = visit(mpg, color_scheme="dark", viewport={"width": 680, "height": 900})
    page.emulate_media(media="print", color_scheme="dark")
    assert "255, 255, 255" in page.evaluate("getComputedStyle(document.body).backgroundColor")
    for name in ("#pp-slider", "nav", ".stops", "#pp-level"):
        assert not page.locator(name).first.is_visible()
    for box in page.locator(".pp-scroll").all():
        assert box.evaluate("(b) => b.scrollWidth <= b.clientWidth + 1")


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
    page = visit(path, viewport={"width": 360, "height": 740})
    assert page.evaluate(FAULTS) == []
    slide(page, 0)
    assert now(page) == pytest.approx(dict(found.path.iloc[0, 1:]), rel=1e-7)
    assert page.locator("#pp-lines .line").count() > 0


def test_long_names_are_cut_in_pictures_and_whole_in_their_titles(
    visit: Any, tmp_path: Path
) -> None:
    long = "Klasse nach der Umweltschutzbehörde, 非常に長い名前, in der Fassung von 1999"
    level = "Überlängengeländewagen mit Ladefläche, Anhängerkupplung und Dachgepäckträger"
    data = pp.datasets.load("mpg").rename(columns={"class": long})
    data[long] = data[long].replace(
        {"suv": level, "pickup": "\u202epu\u0000", "2seater": "日本" * 20}
    )
    path = tmp_path / "long.html"
    pp.compare(f"hwy ~ displ + (1 | `{long}`)", data).report(path)
    for wide in (360, 1200):
        page = visit(path, viewport={"width": wide, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= wide
        assert page.evaluate(FAULTS) == []
        assert level in page.locator(".pp-shrinkage text title").all_text_contents()
        assert "\\u202epu\\x00" in page.locator(".pp-shrinkage").inner_text()


def test_a_fit_has_a_page(visit: Any, tmp_path: Path) -> None:
    sleep = pp.datasets.load("sleepstudy")
    for name, fit in (
        ("lm", pp.lm("Reaction ~ Days", sleep)),
        ("lmer", pp.lmer("Reaction ~ Days + (Days | Subject)", sleep)),
    ):
        path = tmp_path / f"{name}.html"
        fit.report(path)
        page = visit(path, viewport={"width": 360, "height": 740}, color_scheme="dark")
        assert page.evaluate(FAULTS) == []
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
