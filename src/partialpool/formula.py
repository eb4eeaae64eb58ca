"""lme4's formula language: text to `ModelFormula`, without data.

The order of work: tokens, with their places and the caps on length and nesting (`_tokens`); the
random-effects bars are found; the response and every call are compiled (`_grammar`); what is left
is the algebra of terms (`_algebra`). No text of a formula is ever executed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, NoReturn

from ._algebra import MAX_TERMS, Budget, Factor, Part, Term, factor_of, read_terms
from ._errors import FormulaError
from ._grammar import ExpressionParser, Program
from ._tokens import Token, fail, label, quote, render, scan

__all__ = ["Bar", "Factor", "ModelFormula", "Term", "parse", "parse_random"]

_MAX_NESTED = 20  # levels of (1 | a/b/c/...)


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
    return _parse(text, None if columns is None else tuple(columns), response)


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
        fail("There is nothing on the right of '~'; write 1 for the intercept alone.", text, end)
    return at[0]


def _response(tokens: list[Token], tilde: int, text: str) -> tuple[Factor, Program] | None:
    if not tilde:
        return None
    if tokens[0].kind == "dot" and tilde == 1:
        fail("'.' cannot be the response.", text, tokens[0].position)
    program = ExpressionParser(tokens, text).whole(0, tilde)
    last = program.steps[-1]
    if last.op == "categorical" or (last.op == "basis" and last.arg[0] in ("poly", "bs", "cr")):
        fail("This cannot be a response.", text, tokens[0].position)
    return factor_of(tokens, 0, tilde, program), program


# -- random effects -------------------------------------------------------------------------------


def _find_bars(tokens: list[Token], text: str, tilde: int) -> dict[int, tuple[int, int]]:
    """Opening parenthesis of each bar to (its bar token, the token after its closing one)."""
    found: dict[int, tuple[int, int]] = {}
    stack: list[tuple[int, bool, int]] = []  # (opening token, of a call, its bar token or -1)
    for i in range(tilde + 1, len(tokens) - 1):
        token = tokens[i]
        if token.kind != "op":
            continue
        if token.text == "(":
            of_call = tokens[i - 1].kind == "name" or bool(stack and stack[-1][1])
            stack.append((i, of_call, -1))
        elif token.text == ")":
            start, _, bar = stack.pop()
            if bar >= 0:
                found[start] = (bar, i + 1)
        elif token.text in ("|", "||"):
            if not stack:
                fail(
                    "A random-effects term stands in parentheses: write (x | g).",
                    text,
                    token.position,
                )
            start, of_call, bar = stack[-1]
            if of_call:
                continue
            if bar >= 0 or any(other[2] >= 0 for other in stack):
                fail("A bar cannot stand inside another bar.", text, token.position)
            stack[-1] = (start, False, i)
    for start, (bar, stop) in found.items():
        nested = next((s for s in found if start < s < stop), None)
        if nested is not None:
            fail("A bar cannot stand inside another bar.", text, tokens[found[nested][0]].position)
        if bar == start + 1:
            fail(
                "There is nothing before this bar; write (1 | g) for an intercept a group.",
                text,
                tokens[bar].position,
            )
        if bar == stop - 2:
            fail("There is no grouping factor after this bar.", text, tokens[stop - 1].position)
    return found


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
    groups = _Groups(tokens, bar + 1, part.stop - 1, budget.formula).read()
    nested = len(groups) > 1
    typed = render(tokens[bar + 1 : part.stop - 1])
    out: list[Bar] = []
    for group in reversed(groups):
        name = ":".join(f.source for f in group) if nested else typed
        out.append(
            Bar(inside.terms, group, symbol == "||", f"({columns} {symbol} {name})", position)
        )
    return out


class _Groups:
    """The grouping side of a bar: names, ``:``, ``/`` and parentheses; outermost group first."""

    def __init__(self, tokens: list[Token], start: int, stop: int, formula: str) -> None:
        self.tokens, self.at, self.stop, self.formula = tokens, start, stop, formula

    def read(self) -> list[tuple[Factor, ...]]:
        groups = self._nested()
        if self.at != self.stop:
            self._unexpected()
        return groups

    def _nested(self) -> list[tuple[Factor, ...]]:
        groups = self._crossed()
        while self._accept("/"):
            outer = groups[-1]
            groups = groups + [_join(inner, outer) for inner in self._crossed()]
            if len(groups) > _MAX_NESTED:
                fail(
                    f"Groups nest more than {_MAX_NESTED} deep.",
                    self.formula,
                    self.tokens[self.at - 1].position,
                )
        return groups

    def _crossed(self) -> list[tuple[Factor, ...]]:
        groups = self._single()
        while self._accept(":") or self._accept("%in%"):
            place = self.tokens[self.at - 1].position
            other = self._single()
            if len(groups) > 1 or len(other) > 1:
                fail("A nesting cannot take part in an interaction.", self.formula, place)
            groups = [_join(groups[0], other[0])]
            if len(groups[0]) > _MAX_NESTED:
                fail(
                    f"More than {_MAX_NESTED} grouping factors interact here.", self.formula, place
                )
        return groups

    def _single(self) -> list[tuple[Factor, ...]]:
        if self.at >= self.stop:
            self._unexpected()
        token = self.tokens[self.at]
        if self._accept("("):
            groups = self._nested()
            if not self._accept(")"):
                self._unexpected()
            return groups
        after = self.tokens[self.at + 1].text
        if token.kind != "name" or (after == "(" and self.at + 1 < self.stop):
            self._unexpected()
        self.at += 1
        return [(Factor(token.value, token.position, quote(token.value)),)]

    def _accept(self, text: str) -> bool:
        if self.at < self.stop:
            token = self.tokens[self.at]
            if token.kind == "op" and token.text == text:
                self.at += 1
                return True
        return False

    def _unexpected(self) -> NoReturn:
        token = self.tokens[self.at]
        if self.at < self.stop and token.kind == "name":
            message = (
                "A grouping factor is a column, not a call (it is categorical whatever its type): "
                "write (1 | g)."
            )
        elif self.at < self.stop and token.text in ("+", "*", "-"):
            message = (
                f"'{token.text}' cannot stand in a grouping factor; write one bar each, as in "
                "(1 | a) + (1 | b) + (1 | a:b)."
            )
        elif self.at < self.stop:
            message = f"Did not expect {label(token)} in a grouping factor: it is a column's name."
        else:
            message = "A grouping factor is missing here."
        fail(message, self.formula, token.position)


def _join(inner: tuple[Factor, ...], outer: tuple[Factor, ...]) -> tuple[Factor, ...]:
    known = {factor.text for factor in inner}
    return inner + tuple(factor for factor in outer if factor.text not in known)


def _names(tokens: list[Token], part: Part) -> list[str]:
    """Columns that a bar reads (function names among them do no harm)."""
    return [token.value for token in tokens[part.start : part.stop] if token.kind == "name"]
