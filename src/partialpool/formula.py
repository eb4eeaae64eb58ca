"""lme4's formula language: text to `ModelFormula`, without data.

The order of work: tokens, with their places and the caps on length and nesting (`_tokens`); the
random-effects bars are found; the response and every call are compiled (`_grammar`); what is left
is the algebra of terms (`_algebra`). No text of a formula is ever executed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from ._algebra import MAX_TERMS, Budget, Factor, Part, Term, factor_of, read_terms
from ._errors import FormulaError
from ._grammar import ExpressionParser, Program
from ._groups import read_groups
from ._tokens import Token, fail, render, scan

__all__ = ["Bar", "Factor", "ModelFormula", "Term", "parse", "parse_random"]


class Bar(NamedTuple):
    """One random-effects term.

    Attributes
    ----------
    terms : tuple of Term
        Columns before the bar; the intercept () first when there is one.
    group : tuple of Factor
        The grouping factors that interact, as named: ``(1 | a/b)`` gives two bars, with groups
        (b, a) and (a,).
    diagonal : bool
        True for ``||``.
    text : str
        ``"(Days | Subject)"``; of a nesting, one text a part: ``"(1 | b:a)"``, ``"(1 | a)"``.
    position : int
        Of its opening parenthesis in the formula.
    """

    terms: tuple[Term, ...]
    group: tuple[Factor, ...]
    diagonal: bool
    text: str
    position: int


class ModelFormula(NamedTuple):
    """A formula, read.

    Attributes
    ----------
    text : str
        As typed.
    response : tuple of Factor
        One factor (``cbind(a, b)`` is one factor of two columns); () if there is none.
    fixed : tuple of Term
        By degree, then by first appearance; the intercept () first when there is one.
    bars : tuple of Bar
        In the order of the formula.
    offsets : tuple of Factor
        What stands inside each ``offset()``.
    dot : bool
        ``.`` was used and is still to be expanded: `parse` again with the columns.
    """

    text: str
    response: tuple[Factor, ...]
    fixed: tuple[Term, ...]
    bars: tuple[Bar, ...]
    offsets: tuple[Factor, ...]
    dot: bool


def parse(
    text: str, columns: Iterable[str] | None = None, *, response: bool = True
) -> ModelFormula:
    """Read a formula.

    Parameters
    ----------
    text : str
        ``"y ~ x + (1 | g)"``.
    columns : iterable of str, optional
        Names of the columns that ``.`` may stand for; those of the response, of the bars and of
        the offsets are left out of them.
    response : bool
        Whether a response is required; ``~ x`` is legal without.

    Raises
    ------
    FormulaError
        With the formula and a caret under the place.

    Examples
    --------
    >>> mf = parse("hwy ~ displ * year + (1 | class)")
    >>> [":".join(factor.text for factor in term) for term in mf.fixed]
    ['', 'displ', 'year', 'displ:year']
    """
    if not isinstance(text, str):
        raise FormulaError(f"A formula is a string, such as 'y ~ x', not {type(text).__name__}.")
    return _parse(str(text), None if columns is None else tuple(columns), response)


def parse_random(text: str) -> ModelFormula:
    """Read the random effects alone, as ``predict(random="~ (1 | Subject)")`` takes them.

    Raises
    ------
    FormulaError
        If there is a response, a fixed term or an offset in it.
    """
    mf = parse(text, response=False)
    extra = [factor for term in mf.fixed for factor in term] + [*mf.response, *mf.offsets]
    if extra or mf.dot:
        fail(
            "Only random-effects bars can stand here, as in ~ (1 | g).",
            text,
            extra[0].position if extra else None,
        )
    return mf._replace(fixed=())


@lru_cache(maxsize=512)
def _parse(text: str, columns: tuple[str, ...] | None, required: bool) -> ModelFormula:
    tokens = scan(text)
    tilde = _tilde(tokens, text, required)
    end = len(tokens) - 1
    places = _find_bars(tokens, text, tilde)
    budget = Budget(text)
    left = _response(tokens, tilde, text)
    right = (tilde + 1, end)
    bars = {start: stop for start, (_, stop) in places.items()}
    found = read_terms(tokens, right, bars=bars, budget=budget, first=left)
    random = _random(tokens, found.bars, places, budget)
    if found.dot is not None and columns is not None:
        used = set(left[1].names if left else ())
        used.update(name for _, program in found.offsets for name in program.names)
        used.update(name for part in found.bars for name in _names(tokens, part))
        rest = tuple(name for name in columns if name not in used)
        found = read_terms(tokens, right, bars=bars, budget=budget, first=left, dot=rest)
    return ModelFormula(
        text=text,
        response=(left[0],) if left else (),
        fixed=found.terms,
        bars=random,
        offsets=tuple(factor for factor, _ in found.offsets),
        dot=found.dot is not None,
    )


def _tilde(tokens: list[Token], text: str, required: bool) -> int:
    """Index of the one '~', with something on its sides."""
    end = len(tokens) - 1
    if not end:
        fail("The formula is empty. Write response ~ terms.", text, 0)
    at = [i for i, token in enumerate(tokens) if token.text == "~" and token.kind == "op"]
    if not at:
        fail("There is no '~' in the formula. Write response ~ terms.", text)
    if len(at) > 1:
        fail("There is a second '~' in the formula.", text, tokens[at[1]].position)
    depth = 0
    for token in tokens[: at[0]]:
        if token.kind == "op":
            depth += (token.text == "(") - (token.text == ")")
    if depth:
        fail("'~' cannot stand inside parentheses.", text, tokens[at[0]].position)
    if required and not at[0]:
        fail("There is no response on the left of '~'.", text, tokens[0].position)
    if at[0] == end - 1:
        fail(
            "There is nothing on the right of '~'; write 1 for the intercept alone.",
            text,
            tokens[end].position,
        )
    return at[0]


def _response(tokens: list[Token], tilde: int, text: str) -> tuple[Factor, Program] | None:
    if not tilde:
        return None
    if tokens[0].kind == "dot" and tilde == 1:
        fail("'.' cannot be the response.", text, tokens[0].position)
    program = ExpressionParser(tokens, text).whole(0, tilde)
    if not program.is_single and program.steps[-1].op != "cbind":
        fail("This cannot be a response.", text, tokens[0].position)
    return factor_of(tokens, 0, tilde, program), program


# -- random effects -------------------------------------------------------------------------------


def _find_bars(tokens: list[Token], text: str, tilde: int) -> dict[int, tuple[int, int]]:
    """Opening parenthesis of each bar to (its bar token, the token after its closing one)."""
    found: dict[int, tuple[int, int]] = {}
    stack: list[_Open] = []
    for i in range(tilde + 1, len(tokens) - 1):
        token = tokens[i]
        if token.kind != "op":
            continue
        if token.text == "(":
            inside = stack[-1].of_call if stack else False
            stack.append(_Open(i, inside or tokens[i - 1].kind == "name"))
        elif token.text == ")":
            closed = stack.pop()
            if closed.bar is not None:
                _check_sides(tokens, closed.start, closed.bar, i, text)
                found[closed.start] = (closed.bar, i + 1)
            if stack and (closed.bar is not None or closed.has_bar):
                stack[-1].has_bar = True
        elif token.text in ("|", "||"):
            if not stack:
                fail(
                    "A random-effects term stands in parentheses: write (x | g).",
                    text,
                    token.position,
                )
            if stack[-1].of_call:
                continue
            if stack[-1].has_bar or any(other.bar is not None for other in stack):
                fail("A bar cannot stand inside another bar.", text, token.position)
            stack[-1].bar = i
    return found


class _Open:
    """A parenthesis that is still open."""

    __slots__ = ("bar", "has_bar", "of_call", "start")

    def __init__(self, start: int, of_call: bool) -> None:
        self.start = start
        self.of_call = of_call  # it, or one around it, belongs to a call: `|` is a logical or
        self.bar: int | None = None
        self.has_bar = False  # somewhere inside


def _check_sides(tokens: list[Token], start: int, bar: int, end: int, text: str) -> None:
    if bar == start + 1:
        fail(
            "There is nothing before this bar; write (1 | g) for an intercept a group.",
            text,
            tokens[bar].position,
        )
    if bar == end - 1:
        fail("There is no grouping factor after this bar.", text, tokens[end].position)


def _random(
    tokens: list[Token],
    parts: tuple[Part, ...],
    places: dict[int, tuple[int, int]],
    budget: Budget,
) -> tuple[Bar, ...]:
    out: list[Bar] = []
    seen: dict[tuple[frozenset[str], frozenset[frozenset[str]]], Bar] = {}
    for part in parts:
        for bar in _bar(tokens, part, places[part.start][0], budget):
            key = (
                frozenset(f.text for f in bar.group),
                frozenset(frozenset(f.source for f in term) for term in bar.terms),
            )
            if key in seen:
                fail(
                    f"The random-effects term {bar.text} is there twice; its variance cannot be "
                    "shared out between the two. Drop one.",
                    budget.formula,
                    bar.position,
                )
            seen[key] = bar
            out.append(bar)
            if len(out) > MAX_TERMS:
                fail(
                    f"The formula has more than {MAX_TERMS} random-effects terms.",
                    budget.formula,
                    bar.position,
                )
    return tuple(out)


def _bar(tokens: list[Token], part: Part, bar: int, budget: Budget) -> list[Bar]:
    """The bars that one parenthesis stands for: several when its groups are nested."""
    position = tokens[part.start].position
    inside = read_terms(tokens, (part.start + 1, bar), bars={}, budget=budget)
    if inside.dot is not None:
        fail("'.' cannot stand in a random-effects term.", budget.formula, inside.dot)
    if inside.offsets:
        fail(
            "An offset cannot stand in a random-effects term.",
            budget.formula,
            inside.offsets[0][0].position,
        )
    if not inside.terms:
        fail(
            "There is no column before this bar; write (1 | g) for an intercept a group.",
            budget.formula,
            tokens[bar].position,
        )
    symbol = tokens[bar].text
    columns = render(tokens[part.start + 1 : bar])
    groups = read_groups(tokens, (bar + 1, part.stop - 1), budget.formula)
    nested = len(groups) > 1
    typed = render(tokens[bar + 1 : part.stop - 1])
    out: list[Bar] = []
    for group in reversed(groups):
        name = ":".join(f.source for f in group) if nested else typed
        out.append(
            Bar(inside.terms, group, symbol == "||", f"({columns} {symbol} {name})", position)
        )
    return out


def _names(tokens: list[Token], part: Part) -> list[str]:
    """Columns that a bar reads (function names among them do no harm)."""
    return [token.value for token in tokens[part.start : part.stop] if token.kind == "name"]
