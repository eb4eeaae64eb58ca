"""The page's interactive figure: its words, its controls and the table that it moves."""

from __future__ import annotations

import math
from typing import Any

from .html import escape
from .numbers import column

__all__ = ["figure"]


def figure(data: dict[str, Any], *, one_intercept: bool) -> str:
    """The section's body; the pictures are drawn by the script, from `data`.

    Parameters
    ----------
    data : dict
        Of `page_data.figure`.
    one_intercept : bool
        Is the slider's number a ratio of two standard deviations?
    """
    return "\n".join(
        [
            _about(data, one_intercept),
            '<noscript><p class="notice">The slider and the pictures need JavaScript, which is off. '
            "The table has the coefficients at the slider's three stops.</p></noscript>",
            _controls(data),
            _table(data),
            '<div class="panels" hidden>',
            _paths(data),
            _lines(data),
            *(_shrinkage(data, k) for k in range(len(data["panels"]))),
            "</div>",
            _sampled(data),
        ]
    )


def _about(data: dict[str, Any], one_intercept: bool) -> str:
    groups = escape(_and(list(dict.fromkeys(panel["group"] for panel in data["panels"]))))
    fitted, method = data["fitted"], data["method"]
    if one_intercept or not fitted:
        what = (
            f"The slider sets how much the levels of {groups} may differ beyond the covariates: "
            "their standard deviation, as a multiple of the standard deviation within a level."
        )
        found = (
            f"lmer stops in between, at {data['ratios'][fitted]:.4g}, which {method} finds best."
        )
    else:
        what = (
            f"The slider multiplies the standard deviations that lmer found for the effects of "
            f"{groups}."
        )
        found = f"lmer itself is at 1, the best by {method}."
    if not fitted:
        found = f"Here {method} finds 0 best, so that lmer is lm."
    return (
        f"<p>{what} At 0 the levels do not differ: that is lm. At infinity each level stands for "
        f"itself and tells nothing of the others: no pooling. {found} Everything below moves with "
        "the slider.</p>"
    )


def _controls(data: dict[str, Any]) -> str:
    last, fitted, method = len(data["ratios"]) - 1, data["fitted"], data["method"]
    stops = [(0, "lm"), (fitted, f"lmer ({method})"), (last, "no pooling")]
    if fitted == 0:
        stops = [(0, f"lm = lmer ({method})"), (last, "no pooling")]
    buttons = "".join(
        f'<button type="button" data-at="{i}" aria-pressed="false">{name}</button>'
        for i, name in stops
    )
    marks = "".join(f'<option value="{i}"></option>' for i, _ in stops)
    return f"""<div class="controls" hidden><p class="now"><label for="pp-slider">{escape(data["ratioName"])}</label>
<span id="pp-now"></span></p>
<input id="pp-slider" type="range" min="0" max="{last}" step="1" value="{fitted}" list="pp-stops">
<datalist id="pp-stops">{marks}</datalist>
<div class="stops" role="group" aria-label="Stops of the slider">{buttons}</div>
<p class="unseen" id="pp-said" role="status"></p></div>"""


def _table(data: dict[str, Any]) -> str:
    ends = (0, data["fitted"], len(data["ratios"]) - 1)
    rows = []
    for j, name in enumerate(data["terms"]):
        values = [data["coefficients"][i][j] for i in ends]
        shown = column([math.nan if v is None else v for v in values])
        shown = tuple(text.strip().replace("NaN", "–") for text in shown)
        # Decimals of the row, for the script.
        digits = "" if "e" in "".join(shown) else len(shown[1].partition(".")[2])
        cells = [f'<td class="current" data-term="{j}" data-digits="{digits}" hidden></td>']
        cells += [f"<td>{escape(text)}</td>" for text in shown]
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    return (
        '<div class="scroll"><table id="pp-table" class="now-table"><caption>Coefficients'
        '</caption><thead><tr><td></td><th scope="col" class="current" hidden>now</th>'
        f'<th scope="col">lm</th><th scope="col">lmer ({data["method"]})</th>'
        '<th scope="col">no pooling<br>(limit)</th>'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _paths(data: dict[str, Any]) -> str:
    slopes = sum(name != "Intercept" for name in data["terms"]) or 1
    shown, method = len(data["shown"]), data["method"]
    if not shown:
        return (
            '<figure class="wide"><h3>Coefficients on their path</h3><p>No coefficient moves on '
            "the way from lm to no pooling, or by less than a hundredth of its standard error. "
            "There is no path to draw; see the standard errors above.</p></figure>"
        )
    some = f" The {shown} that move most of {slopes}." if shown < slopes else ""
    end = " A path need not be straight, nor lmer's point lie between its ends."
    bar = " The bar is its standard error to either side."
    return f"""<figure class="wide"><h3>Coefficients on their path</h3><div id="pp-paths" class="small"></div>
<figcaption>From complete pooling (lm, left) to no pooling (right); {method} marks lmer's estimate.{bar}{end}
The horizontal axis is squeezed so that infinity fits on it.{some}</figcaption></figure>"""


def _lines(data: dict[str, Any]) -> str:
    if "lines" not in data:
        return (
            '<figure><h3>The data</h3><p class="notice">No picture of the data: '
            f"{escape(data['noLines'])}</p></figure>"
        )
    lines, group = data["lines"], escape(data["group"])
    strips = lines["strips"]
    title = "The data and a mean a level" if strips else "The data and a line a level"
    what = "mean" if strips else "line"
    lm = "lm's, the same for all" if lines["shared"] else "lm's, which differ by covariates only"
    said = (
        f"Points: rows. Blue: the {what} of each level of {group} now. Dashed: {lm}. The further "
        f"right the slider, the more each {what} goes its own way."
    )
    if lines["held"]:
        said += f" Other covariates are held at {escape(', '.join(lines['held']))}."
    if lines["own"]:
        said += f" Each level has its own {escape(_and(lines['own']))}."
    if lines["without"]:
        said += f" The effects of {escape(_and(lines['without']))} are left out."
    return f"""<figure><h3>{title}</h3><div id="pp-lines"></div>
<p class="pick"><label for="pp-level">Pick out a level of {group}: </label><select id="pp-level">
<option value="-1">none</option></select></p>
<figcaption>{said}</figcaption></figure>"""


def _shrinkage(data: dict[str, Any], k: int) -> str:
    panel = data["panels"][k]
    title = "Shrinkage" if len(data["panels"]) == 1 else f"Shrinkage: {escape(panel['label'])}"
    said = (
        f"Hollow: the effect of a level of {escape(panel['group'])} without pooling. Filled: its "
        "effect now, pulled towards the common mean at zero. Larger points have more rows."
        if k == 0
        else f"As before, for the {escape(panel['label'])}."
    )
    return f"""<figure><h3>{title}</h3><div class="pp-shrinkage" data-panel="{k}"></div>
<figcaption>{said}</figcaption></figure>"""


def _sampled(data: dict[str, Any]) -> str:
    parts = [
        f"{drawn} of {count:,} levels of {escape(group)}"
        for group, (drawn, count) in data["sampled"].get("levels", {}).items()
    ]
    if "rows" in data["sampled"]:
        drawn, count = data["sampled"]["rows"]
        parts.append(f"{drawn:,} of {count:,} rows")
    if not parts:
        return ""
    return (
        f'<p class="notice">The pictures show a random sample, {_and(parts)}; every number is of '
        "all rows.</p>"
    )


def _and(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
