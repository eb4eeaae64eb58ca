"""The algebra of model terms: R's `terms()` over sets of variables, with caps that act at once.

A term is an integer whose bit i says that variable i takes part; a set of terms is a dict, which
keeps the order of first appearance. R's rules are kept: ``a %in% b`` is ``a:b``, ``(a + b)/c`` adds
``a:b:c``, 1 and 0 set or clear the intercept wherever they stand, and the last one wins.
"""

from __future__ import annotations

from typing import NamedTuple, NoReturn

from ._grammar import ExpressionParser, Program, Step
from ._tokens import Token, fail, label, quote, render

__all__ = ["MAX_TERMS", "Budget", "Factor", "Part", "Term", "Terms", "factor_of", "read_terms"]

MAX_TERMS = 500  # after expansion
_MAX_VARIABLES = 1_000
_MAX_WORK = 20_000  # pairs of terms met on the way: about 10 ms
_MAX_POWER = 10

TermSet = dict[int, None]


class Factor(NamedTuple):
    """One factor of a term: a column or a call.

    Attributes
    ----------
    text : str
        Normalised spelling, for display: ``"displ"``, ``"log(displ)"``, ``"my col"``.
    position : int
        Where it first stands in the formula.
    source : str
        The same with back-ticks where a name needs them; `expression.compile` reads it.
    """

    text: str
    position: int
    source: str


Term = tuple[Factor, ...]


class Part(NamedTuple):
    """A bar or an offset, cut out of a sum: tokens start..stop-1, parentheses included."""

    start: int
    stop: int


class Terms(NamedTuple):
    """What a sum of terms comes to."""

    terms: tuple[Term, ...]  # by degree, then first appearance; () first if there is an intercept
    bars: tuple[Part, ...]
    offsets: tuple[tuple[Factor, Program], ...]
    dot: int | None  # where `.` stands and was not expanded


class Budget:
    """Work that one formula may cause; shared by its parts."""

    def __init__(self, formula: str) -> None:
        self.formula = formula
        self.left = _MAX_WORK

    def spend(self, pairs: int, position: int) -> None:
        self.left -= pairs
        if self.left < 0:
            fail("The formula takes too much work to expand.", self.formula, position)


def read_terms(
    tokens: list[Token],
    span: tuple[int, int],
    *,
    bars: dict[int, int],
    budget: Budget,
    dot: tuple[str, ...] | None = None,
    first: tuple[Factor, Program] | None = None,
) -> Terms:
    """Read tokens span[0]..span[1]-1 as a sum of terms.

    Parameters
    ----------
    tokens : list of Token
        Of the whole formula.
    span : (int, int)
    bars : dict
        Opening parenthesis of each random-effects bar to the token after its closing one.
    budget : Budget
    dot : tuple of str, optional
        The columns that `.` stands for; None leaves it out and reports it.
    first : (Factor, Program), optional
        The response: R counts it as the first variable, and drops it from the right side.

    Raises
    ------
    FormulaError
        With the caret under the place.
    """
    return _Reader(tokens, span, bars, budget, dot, first).read()


class _Reader:
    """Recursive in parentheses only (whose nesting `scan` caps); operators run on a stack."""

    def __init__(
        self,
        tokens: list[Token],
        span: tuple[int, int],
        bars: dict[int, int],
        budget: Budget,
        dot: tuple[str, ...] | None,
        first: tuple[Factor, Program] | None,
    ) -> None:
        self.tokens = tokens
        self.at, self.stop = span
        self.bars = bars
        self.budget = budget
        self.formula = budget.formula
        self.columns = dot
        self.intercept = True
        self.parity = True  # False on the right of an odd number of minus signs
        self.factors: list[Factor] = []
        self.index: dict[Program, int] = {}
        self.parts: list[Part] = []
        self.offsets: list[tuple[Factor, Program]] = []
        self.dot: int | None = None
        self.response = 0
        if first is not None:
            self.response = self._variable(*first)

    def read(self) -> Terms:
        terms, _ = self._sum()
        if self.at != self.stop:
            self._unexpected()
        terms.pop(self.response, None)
        if len(terms) > MAX_TERMS:
            self._too_many(self.tokens[self.stop - 1].position)
        intercept: list[Term] = [()] if self.intercept else []
        ordered = [
            tuple(self.factors[i] for i in _bits(term)) for term in sorted(terms, key=int.bit_count)
        ]
        return Terms((*intercept, *ordered), tuple(self.parts), tuple(self.offsets), self.dot)

    # Each of these returns its terms, and the first place of a bar or an offset among them (which
    # can be added and nothing else) or None.

    def _sum(self) -> tuple[TermSet, int | None]:
        total: TermSet = {}
        special: int | None = None
        started = False
        while True:
            minus, sign = False, None
            while (token := self._peek()).kind == "op" and token.text in ("+", "-"):
                minus ^= token.text == "-"
                sign = token if token.text == "-" else sign
                self.at += 1
            outer, self.parity = self.parity, self.parity ^ minus
            place = self._peek().position
            terms, inner = self._product()
            self.parity = outer
            if minus:
                if inner is not None:
                    fail("Bars and offsets can be added, not taken away.", self.formula, inner)
                if terms and not started:
                    fail(
                        "There is nothing here to take this from; to turn the sign of a column "
                        "write I(-x).",
                        self.formula,
                        sign.position if sign else place,
                    )
                for term in terms:
                    total.pop(term, None)
            else:
                total.update(terms)
                special = inner if special is None else special
                if len(total) > MAX_TERMS:
                    self._too_many(place)
            started = True
            token = self._peek()
            if token.kind != "op" or token.text not in ("+", "-"):
                return total, special

    def _product(self) -> tuple[TermSet, int | None]:
        pending: list[Token] = []
        operands: list[tuple[TermSet, int | None]] = []
        while True:
            operands.append(self._power())
            token = self._peek()
            strength = _STRENGTH.get(token.text) if token.kind == "op" else None
            while pending and (strength is None or _STRENGTH[pending[-1].text] >= strength):
                self._combine(pending.pop(), operands)
            if strength is None:
                return operands[0]
            pending.append(token)
            self.at += 1

    def _combine(self, token: Token, operands: list[tuple[TermSet, int | None]]) -> None:
        right, right_special = operands.pop()
        left, left_special = operands.pop()
        special = left_special if right_special is None else right_special
        if special is not None:
            self._only_added(special)
        place = token.position
        empty = {":": not (left and right), "%in%": not (left and right), "/": not left}
        if empty.get(token.text) and self.dot is None:
            fail(f"One side of '{token.text}' has no column in it.", self.formula, place)
        if token.text == ":":
            out = self._pairs(left, right, place)
        elif token.text == "*":
            out = {**left, **right, **self._pairs(left, right, place)}
        elif token.text == "/":
            out = {**left, **self._pairs({_union(left): None}, right, place)}
        else:  # %in%
            out = self._pairs(left, {_union(right): None}, place)
        if len(out) > MAX_TERMS:
            self._too_many(place)
        operands.append((out, None))

    def _pairs(self, left: TermSet, right: TermSet, place: int) -> TermSet:
        self.budget.spend(len(left) * len(right) + len(left) + len(right), place)
        out: TermSet = {}
        for a in left:
            for b in right:
                out[a | b] = None
            if len(out) > MAX_TERMS:
                self._too_many(place)
        return out

    def _power(self) -> tuple[TermSet, int | None]:
        base, special = self._primary()
        token = self._peek()
        if token.kind != "op" or token.text not in ("^", "**"):
            return base, special
        if special is not None:
            self._only_added(special)
        self.at += 1
        exponent = self._peek()
        digits = exponent.text
        if (
            exponent.kind != "number"
            or not digits.isdecimal()
            or not 1 <= float(digits) <= _MAX_POWER
        ):
            fail(
                f"A power of terms needs a whole number from 1 to {_MAX_POWER} here; a power of a "
                "column is written I(x^2).",
                self.formula,
                exponent.position,
            )
        self.at += 1
        out = base
        for _ in range(int(digits) - 1):
            out = self._pairs(out, base, token.position)
        after = self._peek()
        if after.kind == "op" and after.text in ("^", "**"):
            fail("Powers of terms cannot be chained.", self.formula, after.position)
        return out, None

    def _primary(self) -> tuple[TermSet, int | None]:
        token = self._peek()
        if token.kind == "name":
            return self._named(token)
        if token.kind == "number" and token.text in ("0", "1"):
            self.at += 1
            self.intercept = (token.text == "1") == self.parity
            return {}, None
        if token.kind == "dot":
            return self._everything(token), None
        if token.text == "(" and token.kind == "op":
            if self.at in self.bars:
                self.parts.append(Part(self.at, self.bars[self.at]))
                if len(self.parts) > MAX_TERMS:
                    self._too_many(token.position)
                self.at = self.bars[self.at]
                return {}, token.position
            self.at += 1
            inside = self._sum()
            if self._peek().text != ")":
                self._unexpected()
            self.at += 1
            return inside
        return self._unexpected()

    def _named(self, token: Token) -> tuple[TermSet, int | None]:
        start = self.at
        after = self.tokens[start + 1]
        if after.text != "(" or after.kind != "op" or start + 1 >= self.stop:
            self.at += 1
            program = Program((Step("name", token.value, 0),), (token.value,))
            factor = Factor(token.value, token.position, quote(token.value))
            return {self._variable(factor, program): None}, None
        parser = ExpressionParser(self.tokens, self.formula)
        if token.text == "offset":
            program, self.at = parser.argument(start)
            self.offsets.append((factor_of(self.tokens, start + 2, self.at - 1, program), program))
            return {}, token.position
        program, self.at = parser.call(start)
        if program.steps[-1].op == "cbind":
            fail(
                "cbind() makes a response; it can only stand on the left of '~'.",
                self.formula,
                token.position,
            )
        factor = factor_of(self.tokens, start, self.at, program)
        return {self._variable(factor, program): None}, None

    def _everything(self, token: Token) -> TermSet:
        self.at += 1
        if self.columns is None:
            self.dot = token.position if self.dot is None else self.dot
            return {}
        out: TermSet = {}
        for name in self.columns:
            program = Program((Step("name", name, 0),), (name,))
            out[self._variable(Factor(name, token.position, quote(name)), program)] = None
            if len(out) > MAX_TERMS:
                self._too_many(token.position)
        return out

    def _variable(self, factor: Factor, program: Program) -> int:
        known = self.index.get(program)
        if known is None:
            known = len(self.factors)
            if known >= _MAX_VARIABLES:
                self._too_many(factor.position)
            self.index[program] = known
            self.factors.append(factor)
        return 1 << known

    def _peek(self) -> Token:
        if self.at >= self.stop:
            return Token("end", "", self.tokens[self.stop].position, self.tokens[self.stop].text)
        return self.tokens[self.at]

    def _only_added(self, position: int) -> NoReturn:
        fail(
            "A random-effects bar or an offset can only be added; it cannot take part in another "
            "operation.",
            self.formula,
            position,
        )

    def _too_many(self, position: int) -> NoReturn:
        fail(f"The formula expands to more than {MAX_TERMS} terms.", self.formula, position)

    def _unexpected(self) -> NoReturn:
        token = self._peek()
        before = self.tokens[self.at - 1] if self.at else None
        name = label(token)
        if token.kind == "end" and token.value:
            name = f"'{token.value}'"
        if token.kind == "number" and token.text not in ("0", "1"):
            message = f"The number {token.text} is no term; write arithmetic in I(), as I(2*x)."
        elif token.text in _ARITHMETIC:
            message = f"{name} is no operator of terms; write I(...) around a comparison."
        elif token.kind == "string":
            message = f"A string is no term: {name}."
        elif before is not None and before.kind == "op" and before.text != ")":
            message = f"'{before.text}' needs something after it, before {name}."
        elif token.kind in ("name", "number", "dot") or token.text == "(":
            message = f"An operator is missing before {name}."
        else:
            message = f"Did not expect {name} here."
        fail(message, self.formula, token.position)


_STRENGTH = {"*": 1, "/": 1, "%in%": 2, ":": 3}  # R's precedence, above + and -
_ARITHMETIC = frozenset({"<", ">", "<=", ">=", "==", "!=", "&", "!", "%%", "%/%"})


def factor_of(tokens: list[Token], start: int, stop: int, program: Program) -> Factor:
    source = render(tokens[start:stop])
    plain = len(program.steps) == 1 and program.steps[0].op == "name"
    return Factor(program.names[0] if plain else source, tokens[start].position, source)


def _union(terms: TermSet) -> int:
    out = 0
    for term in terms:
        out |= term
    return out


def _bits(term: int) -> list[int]:
    out = []
    while term:
        low = term & -term
        out.append(low.bit_length() - 1)
        term ^= low
    return out
