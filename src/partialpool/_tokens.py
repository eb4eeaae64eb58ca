"""Formula text to tokens that keep their place, and tokens back to normalised text.

The caps that protect everything behind act here, before any structure is built: length, nesting,
and the character set. Python's own tokenizer and parser never see a formula.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from ._errors import FormulaError

__all__ = ["Token", "fail", "is_plain", "label", "quote", "render", "scan"]

MAX_LENGTH = 20_000  # characters
MAX_TOKENS = 5_000  # keeps the longest formula under a few hundredths of a second
MAX_NESTING = 50  # brackets; also bounds the recursion of the parsers

_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_OPERATOR = re.compile(r"%in%|%%|%/%|\*\*|\|\||<=|>=|==|!=|[-+*/^:|~()<>=,&!]")
_QUOTED = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)
_STRING = re.compile(r"'[^'\\]*'|\"[^\"\\]*\"")
_ASCII_NAME = re.compile(r"(?:[A-Za-z_]|\.(?=[A-Za-z_.]))[A-Za-z0-9_.]*")
_DUNDER = re.compile(r"(?:^|\.)__")

_REFUSED = {
    "[": "Subscripts and lists are not part of a formula; make the column in the data first.",
    "]": "Subscripts and lists are not part of a formula; make the column in the data first.",
    "{": "Braces are not part of a formula; put a column name with odd signs between back-ticks.",
    "}": "Braces are not part of a formula; put a column name with odd signs between back-ticks.",
    "`": "This back-tick is not closed.",
    "'": "This string is not closed, or has a backslash or a line end in it.",
    '"': "This string is not closed, or has a backslash or a line end in it.",
    "%": "Only %in%, %% and %/% are known operators with a percent sign.",
    "@": "'@' is not an operator of formulas; put a name that has it between back-ticks.",
    "$": "'$' is not an operator of formulas; name the column alone.",
    ";": "A formula is one expression; ';' cannot stand in it.",
    "#": "'#' has no meaning in a formula; put a name that has it between back-ticks.",
    "\\": "A backslash has no meaning in a formula.",
    "?": "'?' has no meaning in a formula; put a name that has it between back-ticks.",
}


class Token(NamedTuple):
    """A piece of a formula.

    Attributes
    ----------
    kind : "name", "number", "string", "dot", "op" or "end"
    text : str
        As typed, back-ticks and quotes included.
    position : int
        Index of its first character in the formula.
    value : str
        The column name of a name (back-ticks undone), the content of a string.
    """

    kind: str
    text: str
    position: int
    value: str = ""


def fail(message: str, formula: str, position: int | None = None) -> NoReturn:
    """Raise a `FormulaError` with the caret at `position`."""
    raise FormulaError(message, formula, position)


def scan(formula: str) -> list[Token]:
    """Tokens of a formula, closed by an ``end`` token.

    Raises
    ------
    FormulaError
        If the text is too long, nests too deeply, has unbalanced parentheses, or has a character
        that no formula has.
    """
    if len(formula) > MAX_LENGTH:
        fail(f"The formula has {len(formula):,} characters; the limit is {MAX_LENGTH:,}.", formula)
    tokens: list[Token] = []
    open_at: list[int] = []
    place, size = 0, len(formula)
    while place < size:
        space = _SPACE.match(formula, place)
        if space:
            place = space.end()
            continue
        token = _next(formula, place)
        if token.text == "(" and token.kind == "op":
            open_at.append(place)
            if len(open_at) > MAX_NESTING:
                fail(f"Parentheses nest more than {MAX_NESTING} deep.", formula, place)
        elif token.text == ")" and token.kind == "op":
            if not open_at:
                fail("This parenthesis closes nothing.", formula, place)
            open_at.pop()
        tokens.append(token)
        if len(tokens) > MAX_TOKENS:
            fail(f"The formula has more than {MAX_TOKENS:,} words and signs.", formula, place)
        place += len(token.text)
    if open_at:
        fail("This parenthesis is not closed.", formula, open_at[-1])
    tokens.append(Token("end", "", size))
    return tokens


def _next(formula: str, place: int) -> Token:
    char = formula[place]
    if char == ".":
        number = _NUMBER.match(formula, place)
        after = formula[place + 1] if place + 1 < len(formula) else " "
        if number is None and not (after == "." or _continues(after)):
            return Token("dot", ".", place)
    if (char.isdecimal() and char.isascii()) or (char == "." and _NUMBER.match(formula, place)):
        return _number(formula, place)
    if char == "." or char == "_" or char.isidentifier():
        return _name(formula, place)
    operator = _OPERATOR.match(formula, place)
    if operator:
        return Token("op", operator.group(), place)
    if char == "`":
        quoted = _QUOTED.match(formula, place)
        if quoted:
            return _back_ticked(formula, place, quoted)
    if char in "'\"":
        string = _STRING.match(formula, place)
        if string and "\n" not in string.group():
            _check_content(string.group(), formula, place)
            return Token("string", string.group(), place, string.group()[1:-1])
    if char in _REFUSED:
        fail(_REFUSED[char], formula, place)
    shown = repr(char) if char.isprintable() else f"U+{ord(char):04X}"
    fail(
        f"The character {shown} has no meaning in a formula; put a column name that has it between "
        "back-ticks.",
        formula,
        place,
    )


def _number(formula: str, place: int) -> Token:
    match = _NUMBER.match(formula, place)
    assert match is not None
    stop = match.end()
    if stop < len(formula) and (formula[stop] == "." or _continues(formula[stop])):
        fail(
            "A number runs into a name here; put a column name that starts with a digit between "
            "back-ticks.",
            formula,
            place,
        )
    if not math.isfinite(float(match.group())):
        fail("This number is too large for double precision.", formula, place)
    return Token("number", match.group(), place)


def _name(formula: str, place: int) -> Token:
    match = _ASCII_NAME.match(formula, place)
    stop = match.end() if match else place + 1
    while stop < len(formula) and (formula[stop] == "." or _continues(formula[stop])):
        stop += 1
    name = formula[place:stop]
    if _DUNDER.search(name):
        fail(
            f"'{name[:80]}' looks like Python's inside and is not evaluated; put a column of this "
            "name between back-ticks.",
            formula,
            place,
        )
    return Token("name", name, place, name)


def _back_ticked(formula: str, place: int, match: re.Match[str]) -> Token:
    name = re.sub(r"\\(.)", r"\1", match.group(1), flags=re.DOTALL)
    if not name:
        fail("There is no name between these back-ticks.", formula, place)
    _check_content(match.group(), formula, place)
    return Token("name", match.group(), place, name)


def _check_content(text: str, formula: str, place: int) -> None:
    for i, char in enumerate(text):
        if char == "\0" or unicodedata.category(char) == "Cs":
            fail(
                f"The character U+{ord(char):04X} cannot stand in a name or a string.",
                formula,
                place + i,
            )


def _continues(char: str) -> bool:
    return char == "_" or ("a" + char).isidentifier()


def is_plain(name: str) -> bool:
    """Whether a column name can be written without back-ticks."""
    if not name or len(name) > MAX_LENGTH or name == ".":
        return False
    try:
        tokens = scan(name)
    except FormulaError:
        return False
    return len(tokens) == 2 and tokens[0].kind == "name" and tokens[0].text == name


def quote(name: str) -> str:
    """A column name as it has to be written in a formula."""
    if is_plain(name):
        return name
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def label(token: Token) -> str:
    """A token as an error message names it."""
    if token.kind == "end":
        return "the end of the formula"
    text = token.text if len(token.text) <= 40 else token.text[:37] + "..."
    return f"'{text}'" if "'" not in text else text


# Binary operators that are printed with a space on each side, as R does; the others go without.
_SPACED = frozenset({"+", "-", "*", "%in%", "%%", "%/%", "|", "||", "&", "~"}) | frozenset(
    {"<", ">", "<=", ">=", "==", "!="}
)


def render(tokens: Sequence[Token]) -> str:
    """Tokens as normalised text: ``log( x )`` gives ``log(x)``, ``I(a+b ^ 2)`` ``I(a + b^2)``."""
    out: list[str] = []
    operand = False  # whether the last token ended an operand: a sign after it is binary
    for token in tokens:
        text = token.text
        if token.kind == "name":
            out.append(quote(token.value) if text[0] == "`" else text)
            operand = True
        elif token.kind != "op":
            out.append(text)
            operand = True
        elif text == ",":
            out.append(", ")
            operand = False
        elif text in _SPACED and operand:
            out.append(f" {text} ")
            operand = False
        else:
            out.append(text)
            operand = text == ")"
    return "".join(out)
