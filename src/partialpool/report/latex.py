"""A report as LaTeX: one ``tabular`` a table, with booktabs rules, all user text escaped."""

from __future__ import annotations

import re

from .numbers import printable
from .structure import Block, Note, Report, Table

__all__ = ["escape", "render"]

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    # A bracket after a line's end would be read as an option of \\.
    "[": "{[}",
    "]": "{]}",
}
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?")


def render(report: Report) -> str:
    """The report as LaTeX source; needs ``\\usepackage{booktabs}`` and ``[T1]{fontenc}``."""
    head = "% needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}"
    parts = [head, f"\\paragraph{{{escape(report.title)}}}", *map(_block, report.visible)]
    return "\n\n".join(parts) + "\n"


def escape(text: object) -> str:
    """User text with every character that LaTeX would interpret written out.

    Examples
    --------
    >>> print(escape("50%_{of} $x"))
    50\\%\\_\\{of\\} \\$x
    """
    return "".join(_SPECIAL.get(c, c) for c in printable(text))


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Note):
        text = escape(block.text)
        return f"\\noindent\\textbf{{{text}}}" if block.kind == "warning" else f"\\noindent {text}"
    lines = [f"{escape(f.label)}: {escape(f.shown)}" for f in block.visible]
    return "\\noindent " + (", ".join(lines) if block.inline else " \\\\\n".join(lines))


def _table(table: Table) -> str:
    kinds = "".join("r" if f.numeric else "l" for f in table.visible)
    caption = (
        f"\\noindent\\textbf{{{escape(table.title)}}}\\par\\smallskip\n" if table.title else ""
    )
    head = " & ".join(escape(f.label) for f in table.visible)
    body = "\n".join(f"{' & '.join(map(_cell, row))} \\\\" for row in table.rows())
    legend = f"\n\n{{\\footnotesize {escape(table.legend)}}}" if table.legend else ""
    return (
        f"{caption}\\begin{{tabular}}{{{kinds}}}\n\\toprule\n{head} \\\\\n\\midrule\n{body}\n"
        f"\\bottomrule\n\\end{{tabular}}{legend}"
    )


def _cell(text: str) -> str:
    """A number in mathematics (so that its minus is one); anything else as text."""
    bound, digits = ("<", text[1:]) if text.startswith("<") else ("", text)
    if not _NUMBER.fullmatch(digits):
        return escape(text)
    mantissa, e, exponent = digits.partition("e")
    power = rf" \times 10^{{{int(exponent)}}}" if e else ""
    return f"${bound}{mantissa}{power}$"
