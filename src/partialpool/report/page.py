"""Reports as one self-contained page of HTML: of a fit, and of a comparison of two.

Nothing is fetched: style, script and data are in the page. All text of the user is escaped, in the
data for the script too.
"""

from __future__ import annotations

import json
import os
import platform
import re
from importlib import metadata
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from .._version import __version__
from ..control import Control
from ..ols import OlsRecord
from ..plot import settings
from . import html, page_checks, page_data, page_figure, tables
from .html import escape
from .structure import Report

if TYPE_CHECKING:
    from ..comparing import Comparison
    from ..estimates import Record

__all__ = ["comparison", "fit"]

# Spaces at which a line may not break: 58 %, 4.0 df, p = 0.47, SE 2.90.
_KEPT = re.compile(
    r"(?<=\d) (?=(?:%|df\b))|(?<=\bp) (?==|&lt;)|(?<=\bp =) |(?<=\bp &lt;) |(?<=\bSE) (?=\d)"
)


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
    answer = "\n".join(f"<p>{_prose(sentence)}</p>" for sentence in c.sentences())
    body = [
        _section("answer", "The answer", f'<div class="answer">{answer}</div>'),
        _section("numbers", "The numbers", _report(Report("", "comparison", c.blocks()))),
        _section(
            "figure",
            "From lm to no pooling",
            page_figure.figure(figure, one_intercept=c.is_one_intercept),
        ),
        _section("assumptions", "What each model assumes", _assumptions(c)),
        _section("diagnostics", "Is the mixed model all right?", page_checks.diagnose(c.mixed)),
        _section("models", "The mixed model in full", _report(tables.report(c.mixed))),
        _section("cite", "How to cite", _cite(c.mixed)),
        _section("reproduce", "How to make this again", _reproduce(c.mixed, "compare")),
    ]
    same = c.conditions.is_zero or c.conditions.coincide
    title = "Why do lm and lmer agree here?" if same else "Why do lm and lmer differ?"
    lead = (
        f"{escape(settings.response(c.mixed))} in {c.mixed.rows.nobs:,} rows, grouped by "
        f"{escape(c.group_names)}: the same fixed part fitted by least squares (lm) and by a mixed "
        "model (lmer)."
    )
    _write(path, title, lead, body, data=figure)


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
    summary = tables.report(record)
    body = [
        _section("summary", "Summary", _report(summary._replace(title=""))),
        _section("diagnostics", "Is it all right?", page_checks.diagnose(record)),
        _section("cite", "How to cite", _cite(record)),
        _section("reproduce", "How to make this again", _reproduce(record, record.spec.kind)),
    ]
    lead = f"<code>{escape(record.spec.formula)}</code>"
    _write(path, summary.title, lead, body)


# -- sections -------------------------------------------------------------------------------------


def _section(key: str, title: str, body: str) -> tuple[str, str, str]:
    heading = f'<h2 id="{key}-title">{title}</h2>'
    return (
        key,
        title,
        f'<section id="{key}" aria-labelledby="{key}-title">{heading}\n{body}\n</section>',
    )


def _report(report: Report) -> str:
    """Tables and notes, in a page that has their style."""
    return html.render(report, style=False)


def _prose(sentence: str) -> str:
    """A sentence whose numbers keep their units and signs beside them when lines break."""
    return _KEPT.sub("\u00a0", escape(sentence))


def _assumptions(c: Comparison) -> str:
    group = escape(c.group_names)
    return f"""<ul>
<li><strong>lm</strong> (complete pooling) takes rows with the same covariates as independent, with one variance.
Its coefficients blend comparisons within and between levels of {group}; its standard errors are wrong where rows
of one level resemble each other.</li>
<li><strong>lmer</strong> (partial pooling) gives the levels of {group} effects of their own, drawn from a normal
distribution and unrelated to the covariates. Residuals are independent, normal, with one variance. How alike rows
of one level are is estimated.</li>
<li><strong>No pooling</strong> (lm with {group} in the formula) assumes nothing of the levels. It can say nothing
of covariates that are constant within them, nor of levels not seen.</li>
</ul>"""


def _cite(record: Record) -> str:
    spec = record.spec
    if isinstance(record, OlsRecord):
        what = "Linear models were fitted by least squares"
        tests = "p-values are from the t distribution"
    else:
        method = "REML" if spec.reml else "maximum likelihood"
        what = f"Linear mixed models were fitted by {method}"
        tests = "degrees of freedom are Satterthwaite's"
    version = escape(__version__)
    return f"""<p>In the methods section, for example: “{what} with partialpool {version} in Python
{platform.python_version()}; the formula was <code>{escape(spec.formula)}</code>; {tests}.”</p>
<p>In the references: partialpool developers (2026). <cite>partialpool: linear models and mixed-effects models for
Python</cite>, version {version} [computer software].</p>"""


def _reproduce(record: Record, call: str) -> str:
    """Code that fits the same again, and versions."""
    options, arrays = _options(record)
    extra = "".join(f", {o}" for o in options)
    lines = [
        "import partialpool as pp",
        f"found = pp.{call}({record.spec.formula!r}, data{extra})",
        "found.report('report.html')",
    ]
    versions = {"partialpool": __version__, "Python": platform.python_version()}
    for name in ("numpy", "scipy", "pandas"):
        versions[name] = metadata.version(name)
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    needs = " and ".join(
        ["<code>data</code>, the table", *(f"<code>{a}</code>, the array" for a in arrays)]
    )
    return f"""<p>Given {needs} that this report was made from:</p>
<pre><code>{chr(10).join(map(escape, lines))}</code></pre>
<p>Made with {escape(said)}.</p>"""


def _options(record: Record) -> tuple[list[str], list[str]]:
    """The arguments beside formula and data that were not left at their defaults; arrays by name."""
    spec = record.spec
    found: list[str] = []
    arrays: list[str] = []
    for name in ("weights", "offset"):
        if name in record.schema.array_options:
            found.append(f"{name}={name}")
            arrays.append(name)
        elif getattr(spec, name) is not None:
            found.append(f"{name}={getattr(spec, name)!r}")
    if spec.reml is False:
        found.append("reml=False")
    if spec.contrasts:
        found.append(f"contrasts={dict(spec.contrasts)!r}")
    if spec.missing != "drop":
        found.append(f"missing={spec.missing!r}")
    if not isinstance(record, OlsRecord) and record.control != Control():
        found.append(f"control=pp.{record.control!r}")
    return found, arrays


# -- the page -------------------------------------------------------------------------------------


def _write(
    path: str | os.PathLike[str],
    title: str,
    lead: str,
    sections: list[tuple[str, str, str]],
    *,
    data: dict[str, Any] | None = None,
) -> None:
    style = html.STYLE + _asset("page.css")
    script = f"<script>\n{_asset('page.js')}</script>"
    if data is not None:
        script += (
            f'\n<script type="application/json" id="pp-data">{_embedded(data)}</script>\n'
            f"<script>\n{_asset('figure.js')}</script>"
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
{style}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p class="lead">{lead}</p>
<nav aria-label="Sections of this page"><ul>{links}</ul></nav>
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


def _asset(name: str) -> str:
    return files("partialpool.report").joinpath("assets", name).read_text(encoding="utf-8")


def _embedded(data: dict[str, Any]) -> str:
    """JSON that no text of the user can end: <, >, & and line separators as escapes."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
