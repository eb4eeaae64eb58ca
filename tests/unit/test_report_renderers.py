"""Text, HTML, LaTeX and JSON of a report made by hand, with hostile and awkward content."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser

import numpy as np
import pytest

from partialpool.report import html, latex, text
from partialpool.report import json as as_json
from partialpool.report.structure import Fact, Facts, Field, Note, Report, Table

EVIL = "<script>alert('x')</script>"


def a_report(term: str = EVIL) -> Report:
    table = Table(
        "fixed_effects",
        "Fixed effects",
        (
            Field("term", "", ("Intercept", term), ("Intercept", term), numeric=False),
            Field("estimate", "Estimate", (1.5, math.nan), ("1.50", "NaN")),
            Field("df", "df", (3.0, 4.0), ("3", "4"), hidden=True),
            Field("p_value", "Pr(>|t|)", (1e-20, math.inf), ("<2.2e-16", "inf")),
        ),
        legend="codes < & >",
    )
    one = Table("residuals", "Residuals", (Field("min", "Min", (-1.0,), ("-1",)),), 0, single=True)
    facts = Facts(
        "about",
        (
            Fact("formula", "Formula", f"y ~ {term}", f"y ~ {term}"),
            Fact("sigma", "", "", np.float64(2.5)),
        ),
    )
    size = Facts(
        "size", (Fact("nobs", "n", "5", 5), Fact("groups", "groups", "g, 2", {"g": 2})), True
    )
    notes = (Note("warning", "optimum", f"NOT certified: {term}"), Note("info", "singular", "x"))
    return Report("A title", "lmer", (notes[0], facts, one, table, size, notes[1]))


class Tags(HTMLParser):
    """Collects tags; complains about unbalanced ones."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_text_is_aligned_and_in_order() -> None:
    lines = text.render(a_report("x")).splitlines()
    assert lines == [
        "A title",
        "!! NOT certified: x",
        "",
        "Formula: y ~ x",
        "",
        "Residuals:",
        "Min",
        " -1",
        "",
        "Fixed effects:",
        "          Estimate Pr(>|t|)",
        "Intercept     1.50 <2.2e-16",
        "x              NaN      inf",
        "---",
        "codes < & >",
        "n: 5, groups: g, 2",
        "",
        "x",
    ]


def test_text_keeps_wide_letters_in_line() -> None:
    lines = text.render(a_report("年度")).splitlines()
    row = next(line for line in lines if line.startswith("年度"))
    assert row == "年度           NaN      inf"


def test_html_is_balanced_and_escapes_user_text() -> None:
    parser = Tags()
    out = html.render(a_report())
    parser.feed(out)
    assert parser.open == []
    tags = [tag for tag, _ in parser.seen]
    assert "script" not in tags
    assert EVIL in parser.text
    assert tags[0] == "section"
    assert EVIL not in out


def test_html_tables_name_their_rows_and_columns() -> None:
    parser = Tags()
    parser.feed(html.render(a_report("x")))
    scopes = [attrs["scope"] for tag, attrs in parser.seen if tag == "th"]
    assert scopes.count("row") == 2
    assert scopes.count("col") == 3  # Min; Estimate, Pr: df is hidden
    assert [tag for tag, _ in parser.seen].count("caption") == 2


def test_html_fetches_nothing_and_follows_the_scheme() -> None:
    out = html.render(a_report("x"))
    assert "prefers-color-scheme:dark" in out
    for word in ("http:", "https:", "src=", "@import", "url("):
        assert word not in out
    assert "<style>" not in html.render(a_report("x"), style=False)


def test_latex_escapes_everything() -> None:
    out = latex.render(a_report(r"50%_{x} $y$ & #1 \foo ^~ [a]"))
    assert r"50\%\_\{x\} \$y\$ \& \#1 \textbackslash{}foo \textasciicircum{}" in out
    assert r"\textasciitilde{} {[}a{]}" in out
    assert r"$<2.2 \times 10^{-16}$" in out
    assert out.count(r"\toprule") == out.count(r"\bottomrule") == 2
    for opening in ("{", "["):
        closing = {"{": "}", "[": "]"}[opening]
        plain = out.replace("\\" + opening, "").replace("\\" + closing, "")
        assert plain.count(opening) == plain.count(closing)


def test_json_is_strict_and_exact() -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    out = json.loads(as_json.render(a_report()), parse_constant=refuse)
    assert out["model"] == "lmer"
    assert out["about"] == {"formula": f"y ~ {EVIL}", "sigma": 2.5}
    assert out["residuals"] == {"min": -1.0}
    assert out["fixed_effects"][1] == {"term": EVIL, "estimate": None, "df": 4.0, "p_value": None}
    assert out["size"]["groups"] == {"g": 2}
    assert out["notes"][0]["topic"] == "optimum"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.int32(3), 3),
        (np.bool_(True), True),
        (np.float32(0.5), 0.5),
        (math.nan, None),
        ((1, math.inf), [1, None]),
        ({1: np.nan}, {"1": None}),
    ],
)
def test_json_knows_numpy(value: object, plain: object) -> None:
    assert as_json.plain(value) == plain
