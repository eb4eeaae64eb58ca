"""A report as one self-contained fragment of HTML, for notebooks and pages.

Semantic tables (`caption`, `th scope`), all user text escaped, one scoped style that follows the
reader's light or dark scheme; no scripts, no fonts, nothing fetched.
"""

from __future__ import annotations

from html import escape as _escape

from .numbers import printable, width
from .structure import Block, Fact, Facts, Note, Report, Table

__all__ = ["STYLE", "render"]

_NAME = 26  # letters of a row's name that stay on one line

# JupyterLab and VS Code set their own theme, which may differ from the system's: their classes win.
# Other hosts stay white in a dark system, so the report brings its own paper.
_LIGHT = """--pp-paper:#fff;--pp-ink:#1c1e21;--pp-soft:#5c636b;--pp-rule:#9aa1a9;\
--pp-faint:#e3e6ea;--pp-warn-ink:#6b3a00;--pp-warn:#fff3e0;--pp-warn-edge:#e08a2e"""
_DARK = """--pp-paper:#17191c;--pp-ink:#e6e6e6;--pp-soft:#a3a8b0;--pp-rule:#4a4f57;\
--pp-faint:#33373d;--pp-warn-ink:#ffd7a8;--pp-warn:#4a3116;--pp-warn-edge:#e08a2e"""
STYLE = f"""\
.pp-report{{{_LIGHT};\
color:var(--pp-ink);background:var(--pp-paper);font:14px/1.45 system-ui,sans-serif;\
padding:.6em .8em;border-radius:4px;box-sizing:border-box;max-width:100%}}
@media (prefers-color-scheme:dark){{.pp-report{{{_DARK}}}}}
[data-jp-theme-light="true"] .pp-report,.vscode-light .pp-report{{{_LIGHT}}}
[data-jp-theme-light="false"] .pp-report,.vscode-dark .pp-report{{{_DARK}}}
.pp-report .pp-title{{font-size:1.15em;font-weight:600;margin:0 0 .4em}}
.pp-report .pp-scroll{{overflow-x:auto;margin:.9em 0}}
.pp-report table{{border-collapse:collapse;border:0;margin:0;font-size:1em;color:inherit;\
background:transparent;font-variant-numeric:tabular-nums}}
.pp-report caption{{caption-side:top;text-align:left;font-weight:600;padding:0 0 .25em;\
color:inherit;white-space:nowrap}}
.pp-report th,.pp-report td{{padding:.16em .75em;border:0;text-align:right;vertical-align:top;\
white-space:nowrap;background:transparent;color:inherit;max-width:none}}
.pp-report th.pp-text,.pp-report td.pp-text{{text-align:left}}
.pp-report th:first-child,.pp-report td:first-child{{padding-left:.1em}}
.pp-report thead>tr>*{{font-weight:500;color:var(--pp-soft);border-bottom:1px solid var(--pp-rule);\
vertical-align:bottom}}
.pp-report tbody th{{font-weight:500;text-align:left;white-space:normal;overflow-wrap:anywhere;\
max-width:28em}}
.pp-report tbody tr{{background:transparent}}
.pp-report tbody tr+tr>*{{border-top:1px solid var(--pp-faint)}}
.pp-report tbody:last-child tr:last-child>*{{border-bottom:1px solid var(--pp-rule)}}
.pp-report dl{{display:grid;grid-template-columns:fit-content(45%) minmax(0,1fr);\
gap:.1em .9em;margin:.5em 0}}
.pp-report dt{{color:var(--pp-soft);font-weight:400;margin:0}}
.pp-report dd{{margin:0;overflow-wrap:anywhere}}
.pp-report .pp-legend{{color:var(--pp-soft);font-size:.88em;margin:.25em 0 0}}
.pp-report .pp-note{{margin:.5em 0;max-width:46em}}
.pp-report .pp-warning{{color:var(--pp-warn-ink);background:var(--pp-warn);\
border-left:4px solid var(--pp-warn-edge);padding:.45em .8em}}
"""


def render(report: Report, *, style: bool = True) -> str:
    """The report as an HTML fragment: one ``section`` element.

    Parameters
    ----------
    report : Report
    style : bool
        False leaves the `STYLE` sheet out, for a page that has it already.
    """
    sheet = f"<style>\n{STYLE}</style>\n" if style else ""
    body = "\n".join(map(_block, report.visible))
    title = f'<p class="pp-title">{escape(report.title)}</p>\n' if report.title else ""
    return f'<section class="pp-report">\n{sheet}{title}{body}\n</section>'


def escape(text: object) -> str:
    """User text, safe inside an element and inside a quoted attribute."""
    return _escape(printable(text), quote=True)


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Note):
        role = ' role="alert"' if block.kind == "warning" else ""
        kind = "pp-note pp-warning" if block.kind == "warning" else "pp-note"
        return f'<p class="{kind}"{role}>{escape(block.text)}</p>'
    return _facts(block)


def _facts(block: Facts) -> str:
    def item(fact: Fact) -> str:
        # Facts of one line of text begin small after a comma.
        label = fact.label[:1].upper() + fact.label[1:] if block.inline else fact.label
        return f"<dt>{escape(label)}</dt><dd>{escape(fact.shown)}</dd>"

    return f"<dl>\n{''.join(map(item, block.visible))}\n</dl>"


def _table(table: Table) -> str:
    caption = f"<caption>{escape(table.title)}</caption>" if table.title else ""
    legend = f'\n<p class="pp-legend">{escape(table.legend)}</p>' if table.legend else ""
    body = "\n".join(_row(table, row) for row in table.rows())
    # Names may break anywhere, but not to a sliver on a narrow page: then the table scrolls.
    names = table.fields[0].shown if table.headers == 1 else ()
    least = f' style="min-width:{min(max(map(width, names)), _NAME)}ch"' if names else ""
    return (
        f'<div class="pp-scroll"><table>{caption}\n'
        f"<thead><tr>{_heading(table, least)}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table>{legend}</div>"
    )


def _heading(table: Table, least: str) -> str:
    """Column headings; a nameless column of numbers shares its left neighbour's heading.

    `least` is an attribute of the first.
    """
    spans: list[tuple[str, bool, int]] = []
    for field in table.visible:
        if spans and not field.label and field.numeric:
            label, text, count = spans.pop()
            spans.append((label, text, count + 1))
        else:
            spans.append((field.label, not field.numeric, 1))
    cells: list[str] = []
    for label, text, count in spans:
        kind = ' class="pp-text"' if text else ""
        wide = f' colspan="{count}"' if count > 1 else ""
        more = kind + wide + (least if not cells else "")
        cells.append(f'<th scope="col"{more}>{escape(label)}</th>' if label else f"<td{more}></td>")
    return "".join(cells)


def _row(table: Table, row: tuple[str, ...]) -> str:
    cells = []
    for i, (field, text) in enumerate(zip(table.visible, row, strict=True)):
        kind = "" if field.numeric else ' class="pp-text"'
        if i < table.headers and text:
            cells.append(f'<th scope="row"{kind}>{escape(text)}</th>')
        else:
            cells.append(f"<td{kind}>{escape(text)}</td>")
    return f"<tr>{''.join(cells)}</tr>"
