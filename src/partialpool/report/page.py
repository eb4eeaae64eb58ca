"""Reports as one self-contained page of HTML: of a fit, and of a comparison of two.

Nothing is fetched: style, script and data are in the page. All text of the user is escaped, in the
data for the script too.
"""

from __future__ import annotations

import json
import math
import os
import platform
from importlib import metadata
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import check as checks
from .. import diagnostics, frames, predict
from .._version import __version__
from ..ols import OlsRecord
from ..plot import settings
from . import html, page_data, svg, tables
from .html import escape
from .numbers import column
from .structure import Report

if TYPE_CHECKING:
    from ..comparing import Comparison
    from ..estimates import Record

__all__ = ["comparison", "fit"]

_POINTS = 1500  # rows in a diagnostic picture
_SEED = 20


def comparison(c: Comparison, path: str | os.PathLike[str]) -> None:
    """Write the report of a comparison: the answer, the tables, the figure, the assumptions.

    Parameters
    ----------
    c : Comparison
    path : str or path-like

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    figure = page_data.figure(c)
    answer = "\n".join(f"<p>{escape(sentence)}</p>" for sentence in c.sentences())
    numbers = html.render(Report("", "comparison", c.blocks()))
    response, group = settings.response(c.mixed), _groups(c)
    body = [
        _section("answer", "The answer", f'<div class="answer">{answer}</div>'),
        _section("numbers", "The numbers", numbers),
        _section("figure", "From lm to no pooling", _figure(figure)),
        _section("assumptions", "What each model assumes", _assumptions(c)),
        _section("diagnostics", "Is the mixed model all right?", _diagnostics(c.mixed)),
        _section("models", "The mixed model in full", html.render(tables.report(c.mixed))),
        _section("reproduce", "To make this again, and to cite it", _reproduce(c.mixed, True)),
    ]
    lead = (
        f"{escape(response)} in {c.mixed.rows.nobs:,} rows, grouped by {escape(group)}: the same "
        "fixed part fitted by least squares (lm) and by a mixed model (lmer)."
    )
    _write(path, "Why do lm and lmer differ?", lead, body, data=figure)


def fit(record: Record, path: str | os.PathLike[str]) -> None:
    """Write the report of a fit: summary, checks, pictures of its residuals.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    path : str or path-like

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    body = [
        _section("summary", "Summary", html.render(tables.report(record))),
        _section("diagnostics", "Is it all right?", _diagnostics(record)),
        _section("reproduce", "To make this again, and to cite it", _reproduce(record, False)),
    ]
    _write(path, frames.one_line(record).partition("(")[0], escape(record.spec.formula), body)


# -- sections -------------------------------------------------------------------------------------


def _section(key: str, title: str, body: str) -> tuple[str, str, str]:
    return key, title, f'<section id="{key}"><h2>{title}</h2>\n{body}\n</section>'


def _figure(figure: dict[str, Any]) -> str:
    last, fitted = len(figure["ratios"]) - 1, figure["fitted"]
    method, group = figure["method"], escape(figure["group"])
    stops = ((0, "lm"), (fitted, f"lmer ({method})"), (last, "no pooling"))
    buttons = "".join(
        f'<button type="button" data-at="{i}" aria-pressed="false">{name}</button>'
        for i, name in stops
    )
    sampled = _sampled(figure)
    return f"""<p>How alike are rows of one level of {group}? The slider answers for the data: at its left end
not at all (lm), at its right end as alike as can be (no pooling); {method} chose the stop in the middle. It
moves everything below.</p>
<div class="controls"><label for="pp-slider">{escape(figure["ratioName"])}</label>
<input id="pp-slider" type="range" min="0" max="{last}" step="1" value="{fitted}">
<div class="stops" role="group" aria-label="Stops of the slider">{buttons}</div>
<p class="now" id="pp-now" role="status" aria-live="polite"></p></div>
{_current_table(figure)}
<div class="panels">
<figure class="wide"><h3>Coefficients on their path</h3><div id="pp-paths" class="small"></div>
<figcaption>Each coefficient between complete pooling (lm, left) and no pooling (right). The horizontal axis
squeezes 0 to infinity into one line. A path need not be straight, nor {method}'s point lie between its
ends.</figcaption></figure>
{_lines_panel(figure)}
<figure><h3>Shrinkage</h3><div id="pp-shrinkage"></div>
<figcaption>Hollow: the effect of a level of {group} without pooling. Filled: its effect now, drawn larger for
levels with more rows; towards zero it is pulled to the common mean.</figcaption></figure>
</div>
{sampled}
<noscript><p>The slider needs JavaScript; the table above holds the values at its stops.</p></noscript>"""


def _sampled(figure: dict[str, Any]) -> str:
    parts = []
    if "levels" in figure["sampled"]:
        drawn, count = figure["sampled"]["levels"]
        parts.append(f"{drawn} of {count:,} levels of {escape(figure['group'])}")
    if "rows" in figure["sampled"]:
        drawn, count = figure["sampled"]["rows"]
        parts.append(f"{drawn:,} of {count:,} rows")
    if not parts:
        return ""
    return (
        f"<p>The pictures show a random sample, {' and '.join(parts)}; every number is of all "
        "rows.</p>"
    )


def _current_table(figure: dict[str, Any]) -> str:
    ends = (0, figure["fitted"], len(figure["ratios"]) - 1)
    rows = []
    for j, name in enumerate(figure["terms"]):
        values = [figure["coefficients"][i][j] for i in ends]
        shown = [_minus(text) for text in column([math.nan if v is None else v for v in values])]
        cells = [f"<td>{escape(text)}</td>" for text in shown]
        cells.insert(0, f'<td class="current" data-term="{j}">{escape(shown[1])}</td>')
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    return (
        '<div class="scroll"><table id="pp-table" class="now-table"><caption>Coefficients'
        '</caption><thead><tr><td></td><th scope="col">now</th><th scope="col">lm</th>'
        f'<th scope="col">lmer ({figure["method"]})</th><th scope="col">no pooling (limit)</th>'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _minus(text: str) -> str:
    return text.strip().replace("-", "−").replace("NaN", "–")


def _lines_panel(figure: dict[str, Any]) -> str:
    lines = figure.get("lines")
    if lines is None:
        return ""
    held = f" Other covariates are held at {escape(lines['held'])}." if lines["held"] else ""
    group = escape(figure["group"])
    return f"""<figure><h3>The data and a line a level</h3><div id="pp-lines"></div>
<p><label for="pp-level">Show a level of {group}: </label><select id="pp-level"><option value="-1">none</option>
</select></p>
<figcaption>At lm all levels share one line; the further right the slider, the more each goes its own
way.{held}</figcaption></figure>"""


def _assumptions(c: Comparison) -> str:
    group = escape(_groups(c))
    return f"""<ul>
<li><strong>lm</strong> (complete pooling): given the covariates, rows are independent with one variance. Its
coefficients also describe comparisons between levels of {group}; its standard errors are wrong where rows of a
level resemble each other.</li>
<li><strong>lmer</strong> (partial pooling): levels of {group} have effects of their own, drawn from a normal
distribution and unrelated to the covariates; rows of a level are alike to the degree that the data show.</li>
<li><strong>No pooling</strong> (a coefficient a level): nothing is assumed of the levels, and nothing can be
said of covariates that are constant within them, nor of levels not seen.</li>
</ul>"""


def _groups(c: Comparison) -> str:
    """The grouping factors' names."""
    return ", ".join(dict.fromkeys(t.spec.group for t in c.mixed.rows.terms))


def _diagnostics(record: Record) -> str:
    found = checks.check(record)
    items = "\n".join(
        f'<p class="finding {f.severity}"><strong>{escape(f.kind)}.</strong> {escape(f.text)}</p>'
        for f in found
    )
    return items + _residual_pictures(record)


def _residual_pictures(record: Record) -> str:
    """Residuals over fitted values and against normal quantiles; a sample where there are many."""
    sigma = record.sigma if isinstance(record, OlsRecord) else record.solution.sigma
    if sigma == 0:
        return ""
    from scipy import special

    residuals = diagnostics.residuals(record, "scaled")
    fitted = predict.fitted(record)
    n = len(residuals)
    order = np.sort(residuals)
    quantiles = special.ndtri((np.arange(1, n + 1) - 0.5) / n)
    if n > _POINTS:
        rows = np.sort(np.random.default_rng(_SEED).choice(n, _POINTS, replace=False))
        # All of both tails, evenly between.
        shown = np.unique(np.r_[0:100, np.linspace(0, n - 1, 800).astype(int), n - 100 : n])
    else:
        rows, shown = np.arange(n), np.arange(n)
    ends = np.array([fitted[rows].min(), fitted[rows].max()])
    line = np.array([max(quantiles[0], order[0]), min(quantiles[-1], order[-1])])
    first = svg.scatter(
        fitted[rows],
        residuals[rows],
        labels=("fitted value", "residual, in sigma"),
        about="Scaled residuals over fitted values",
        lines=[(ends, np.zeros(2), "reference")],
    )
    second = svg.scatter(
        quantiles[shown],
        order[shown],
        labels=("normal quantile", "residual, in sigma"),
        about="Ordered residuals against normal quantiles",
        lines=[(line, line, "reference")],
    )
    some = f" A random sample of {_POINTS:,} of {n:,} rows." if n > _POINTS else ""
    return (
        f'<div class="panels"><figure>{first}<figcaption>A level band around zero is what the '
        f"model expects.{some}</figcaption></figure><figure>{second}<figcaption>Points on the line "
        "are normal; ends that bend away are heavier or lighter tails.</figcaption></figure></div>"
    )


def _reproduce(record: Record, compared: bool) -> str:
    spec = record.spec
    options = [f"weights={spec.weights!r}"] if spec.weights else []
    options += [f"offset={spec.offset!r}"] if spec.offset else []
    options += ["reml=False"] if spec.reml is False else []
    extra = "".join(f", {o}" for o in options)
    call = "compare" if compared else spec.kind
    lines = [
        "import partialpool as pp",
        f"found = pp.{call}({spec.formula!r}, data{extra})",
        "found.report('report.html')",
    ]
    versions = {"partialpool": __version__, "Python": platform.python_version()}
    for name in ("numpy", "scipy", "pandas"):
        versions[name] = metadata.version(name)
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"<pre><code>{chr(10).join(map(escape, lines))}</code></pre>\n<p>Made with {escape(said)}.</p>\n"
        f"<p>To cite: partialpool developers (2026). partialpool: linear models and mixed-effects "
        f"models for Python, version {escape(__version__)}. Name the formula, the method "
        f"({'REML' if spec.reml else 'maximum likelihood' if spec.kind == 'lmer' else 'least squares'}) "
        "and, for p-values of mixed models, Satterthwaite's degrees of freedom.</p>"
    )


# -- the page -------------------------------------------------------------------------------------


def _write(
    path: str | os.PathLike[str],
    title: str,
    lead: str,
    sections: list[tuple[str, str, str]],
    *,
    data: dict[str, Any] | None = None,
) -> None:
    assets = files("partialpool.report").joinpath("assets")
    style = assets.joinpath("page.css").read_text(encoding="utf-8")
    script = ""
    if data is not None:
        code = assets.joinpath("figure.js").read_text(encoding="utf-8")
        script = (
            f'<script type="application/json" id="pp-data">{_embedded(data)}</script>\n'
            f"<script>\n{code}</script>"
        )
    links = "".join(f'<li><a href="#{key}">{name}</a></li>' for key, name, _ in sections)
    body = "\n".join(text for _, _, text in sections)
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{style}{html.STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p class="lead">{lead}</p>
<nav aria-label="Sections"><ul>{links}</ul></nav>
{body}
<footer><p>Written by partialpool {escape(__version__)}. This page is complete in itself: it works from disk and
loads nothing.</p></footer>
</main>
{script}
</body>
</html>
"""
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(page)


def _embedded(data: dict[str, Any]) -> str:
    """JSON that no text of the user can end: <, >, & and line separators as escapes."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
