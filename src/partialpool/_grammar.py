"""The grammar of one factor: tokens to a flat program, by an operator-precedence parser.

A program is a tuple of steps in postfix order, so that no interpreter recurses and two spellings
of one expression (`log(x)`, ``np.log( `x` )``) compare equal. Everything that is not on the
allow-list of `_functions` is a `FormulaError` that points into the formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ._bases import MAX_COLUMNS, MULTIPLE, check
from ._errors import FormulaError
from ._functions import ELEMENTWISE, OPERATORS, PRECEDENCE, R_ONLY, SPECIAL, suggest
from ._tokens import Token, fail, label, render

__all__ = ["Contrast", "ExpressionParser", "Program", "Step"]

MAX_EXPONENT = 100.0  # of a constant exponent


class Step(NamedTuple):
    """One instruction of a postfix program.

    Attributes
    ----------
    op : "name", "number", "call", "basis", "cbind" or "categorical"
    arg : object
        Column name; number; function or operator; (kind, options); labels; (column, contrast).
    count : int
        Operands that it takes from the stack.
    """

    op: str
    arg: Any
    count: int


class Contrast(NamedTuple):
    """How `C(x, ...)` wants its factor coded.

    Attributes
    ----------
    kind : "treatment", "sum", "helmert" or "poly"
    level : str, int, float, bool or None
        The base level by its value: ``Treatment('r')``.
    position : int or None
        The base level by its place, counted from 1: ``contr.treatment(base=2)``.
    """

    kind: str
    level: str | int | float | bool | None = None
    position: int | None = None


class Program(NamedTuple):
    """A compiled factor: its steps and the columns that it reads, in order of appearance."""

    steps: tuple[Step, ...]
    names: tuple[str, ...]


_TRUE = frozenset({"True", "TRUE"})
_FALSE = frozenset({"False", "FALSE"})
_CONTRASTS = {
    "Treatment": "treatment",
    "Sum": "sum",
    "Helmert": "helmert",
    "Poly": "poly",
    **{f"contr.{kind}": kind for kind in ("treatment", "sum", "helmert", "poly")},
    **{kind: kind for kind in ("treatment", "sum", "helmert", "poly")},
}


class ExpressionParser:
    """Reads expressions from a list of tokens.

    Parameters
    ----------
    tokens : list of Token
        Of the whole formula, closed by an ``end`` token.
    formula : str
        For error messages.
    """

    def __init__(self, tokens: list[Token], formula: str) -> None:
        self.tokens = tokens
        self.formula = formula
        self.at = 0
        self.steps: list[Step] = []

    def whole(self, start: int, stop: int) -> Program:
        """The expression that tokens start..stop-1 are, all of them."""
        self.at, self.steps = start, []
        self._expression()
        if self.at != stop:
            self._unexpected()
        return self._finish(start)

    def call(self, start: int) -> tuple[Program, int]:
        """The function call that begins at token `start`, and the token after it."""
        self.at, self.steps = start, []
        self._operand()
        return self._finish(start), self.at

    def argument(self, start: int) -> tuple[Program, int]:
        """The one argument of the call that begins at token `start`, and the token after it."""
        self.at, self.steps = start + 2, []
        self._expression()
        self._expect(")")
        program = self._finish(start + 2)
        if program.steps[-1].op in ("categorical", "cbind"):
            fail("An offset is a number a row.", self.formula, self.tokens[start].position)
        return program, self.at

    def _finish(self, start: int) -> Program:
        steps = tuple(self.steps)
        names = tuple(dict.fromkeys(_names(steps)))
        place = self.tokens[start].position
        if not names:
            fail("This uses no column of the data.", self.formula, place)
        for step in steps[:-1]:
            if step.op in ("categorical", "cbind"):
                what = "C()" if step.op == "categorical" else "cbind()"
                fail(f"{what} cannot stand inside another expression.", self.formula, place)
            if step.op == "basis" and step.arg[0] in MULTIPLE:
                fail(
                    f"{step.arg[0]}() gives several columns and cannot stand inside another "
                    "expression.",
                    self.formula,
                    place,
                )
        return Program(steps, names)

    # -- operators: Dijkstra's shunting yard, so a chain of any length takes no recursion ---------

    def _expression(self) -> bool:
        """Read one expression, append its steps; whether it is a constant."""
        pending: list[tuple[str, int]] = []  # operators that wait for their right operand
        operands: list[tuple[int, bool]] = []  # where each operand's steps start, constant or not
        while True:
            while self._peek().text in ("+", "-", "!") and self._peek().kind == "op":
                token = self._next()
                pending.append(("u" + token.text, token.position))
            start = len(self.steps)
            operands.append((start, self._operand()))
            token = self._peek()
            symbol = "^" if token.text == "**" else token.text
            if token.kind != "op" or symbol not in PRECEDENCE:
                break
            strength, right = PRECEDENCE[symbol]
            while pending:
                above = PRECEDENCE[pending[-1][0]][0]
                if above < strength or (above == strength and right):
                    break
                if above == strength == PRECEDENCE["<"][0]:
                    fail(
                        "Comparisons cannot be chained; write (a < b) & (b < c).",
                        self.formula,
                        token.position,
                    )
                self._reduce(pending, operands)
            pending.append((symbol, token.position))
            self.at += 1
        while pending:
            self._reduce(pending, operands)
        return operands[0][1]

    def _reduce(self, pending: list[tuple[str, int]], operands: list[tuple[int, bool]]) -> None:
        symbol, position = pending.pop()
        function, count = OPERATORS[symbol]
        _, constant = operands[-1]
        if symbol == "^" and constant and abs(self.steps[-1].arg) > MAX_EXPONENT:
            fail(f"An exponent must lie within {MAX_EXPONENT:.0f}.", self.formula, position)
        if count == 2:
            operands.pop()
        start, left = operands.pop()
        constant = constant and left
        self._emit(symbol, function, count, constant=constant, position=position)
        operands.append((start, constant))

    def _emit(
        self,
        name: str,
        function: Callable[..., Any],
        count: int,
        *,
        constant: bool,
        position: int,
    ) -> None:
        """Append a call, or its value when all of its operands are numbers."""
        if not constant:
            self.steps.append(Step("call", name, count))
            return
        values = [step.arg for step in self.steps[-count:]]
        with np.errstate(all="ignore"):
            value = float(function(*(np.float64(v) for v in values)))
        if not math.isfinite(value):
            fail("This constant is not a finite number.", self.formula, position)
        self.steps[-count:] = [Step("number", value, 0)]

    # -- operands ---------------------------------------------------------------------------------

    def _operand(self) -> bool:
        token = self._next()
        if token.kind == "number":
            self.steps.append(Step("number", float(token.text), 0))
            return True
        if token.kind == "name":
            if self._peek().text == "(" and self._peek().kind == "op":
                if token.text[0] == "`":
                    fail(
                        "A back-ticked name is a column, not a function.",
                        self.formula,
                        token.position,
                    )
                return self._function(token)
            self.steps.append(Step("name", token.value, 0))
            return False
        if token.text == "(" and token.kind == "op":
            constant = self._expression()
            self._expect(")")
            return constant
        if token.kind == "string":
            fail(
                "A string has no place in arithmetic; make the column in the data first.",
                self.formula,
                token.position,
            )
        if token.kind == "dot":
            fail("'.' cannot stand inside an expression.", self.formula, token.position)
        self.at -= 1
        return self._unexpected()

    def _function(self, token: Token) -> bool:
        name = token.value
        self._expect("(")
        if name in SPECIAL:
            return self._special(name, token)
        prefix, _, key = name.rpartition(".")
        if (
            prefix not in ("", "np", "numpy")
            or key not in ELEMENTWISE
            or (prefix and key in R_ONLY)
        ):
            fail(f"Unknown function {label(token)}.{suggest(name)}", self.formula, token.position)
        function, fewest, most = ELEMENTWISE[key]
        most = 1 if prefix and key == "log" else most
        count, constant = 0, True
        while True:
            if count == 1 and key == "log" and self._peek().text == "base":
                self._skip_keyword()
            constant = self._expression() and constant
            count += 1
            if not self._accept(","):
                break
        self._expect(")")
        if not fewest <= count <= most:
            wants = f"{fewest}" if fewest == most else f"{fewest} or {most}"
            fail(
                f"{name}() takes {wants} argument{'s' if most > 1 else ''}, not {count}.",
                self.formula,
                token.position,
            )
        # One key a function, so that `ceiling(x)` and `np.ceil(x)` are the same program.
        key = next(k for k, v in ELEMENTWISE.items() if v[0] is function)
        self._emit(key, function, count, constant=constant, position=token.position)
        return constant

    def _special(self, name: str, token: Token) -> bool:
        if name == "offset":
            fail(
                "offset() is a term of its own: it can only be added, on the right of '~'.",
                self.formula,
                token.position,
            )
        if name == "I":
            constant = self._expression()
            self._expect(")")
            return constant
        if name == "cbind":
            self._cbind(token)
            return False
        if name in ("C", "factor", "as.factor"):
            self._categorical(name, token)
            return False
        constant = self._expression()
        if constant:
            fail(f"{name}() needs a column of the data.", self.formula, token.position)
        options = self._options(name, token)
        try:
            checked = check(name, options)
        except FormulaError as error:
            fail(error.message, self.formula, token.position)
        self.steps.append(Step("basis", (name, checked), 1))
        return False

    def _cbind(self, token: Token) -> None:
        labels: list[str] = []
        while True:
            start = self.at
            self._expression()
            labels.append(render(self.tokens[start : self.at]))
            if not self._accept(","):
                break
        self._expect(")")
        if len(labels) != 2:
            fail(
                f"cbind() takes two columns, the successes and the failures, not {len(labels)}.",
                self.formula,
                token.position,
            )
        self.steps.append(Step("cbind", tuple(labels), 2))

    def _categorical(self, name: str, token: Token) -> None:
        column = self._next()
        contrast: Contrast | None = None
        if column.kind != "name" or self._peek().text not in (",", ")"):
            fail(f"{name}() takes the name of a column first.", self.formula, column.position)
        if name == "C" and self._accept(","):
            if self._peek().text in ("contr", "contrasts"):
                self._skip_keyword()
            contrast = self._contrast()
        self._expect(")")
        self.steps.append(Step("categorical", (column.value, contrast), 0))

    def _contrast(self) -> Contrast:
        token = self._next()
        kind = _CONTRASTS.get(token.value) if token.kind in ("name", "string") else None
        if kind is None:
            fail(
                f"{label(token)} is no contrast. Known: Treatment('level'), Sum, Helmert, Poly, "
                "contr.treatment(base=k), contr.sum, contr.helmert, contr.poly.",
                self.formula,
                token.position,
            )
        if token.kind == "string" or not self._accept("("):
            return Contrast(kind)
        if self._accept(")"):
            return Contrast(kind)
        if kind != "treatment":
            fail(f"{token.value} takes no argument here.", self.formula, self._peek().position)
        key = self._peek().text
        if key in ("base", "reference", "ref"):
            self._skip_keyword()
        place = self._peek().position
        value = self._constant()
        self._expect(")")
        if value is None or isinstance(value, tuple):
            fail("The base of a contrast is a level.", self.formula, place)
        number = isinstance(value, float)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if token.value.startswith("contr.") and number:
            if key != "base" or not isinstance(value, int) or value < 1:
                fail(
                    "A number in contr.treatment() is the place of the base level: write "
                    "contr.treatment(base=2), or Treatment(level) for a level by its value.",
                    self.formula,
                    place,
                )
            return Contrast(kind, position=value)
        return Contrast(kind, level=value)

    # -- constant arguments -----------------------------------------------------------------------

    def _options(self, name: str, token: Token) -> dict[str, Any]:
        """The arguments after the first, up to the closing parenthesis."""
        parameters = SPECIAL[name]
        options: dict[str, Any] = {}
        while self._accept(","):
            argument = self._peek()
            if argument.kind == "name" and self.tokens[self.at + 1].text == "=":
                key = {"include_intercept": "intercept"}.get(argument.value, argument.value)
                self.at += 2
            elif len(options) < len(parameters):
                key = parameters[len(options)]
            else:
                key = ""
            if key not in parameters or key in options:
                known = ", ".join(parameters) or "none"
                fail(
                    f"{name}() cannot use this argument; after the column it takes: {known}.",
                    self.formula,
                    argument.position,
                )
            options[key] = self._constant()
        self._expect(")")
        return options

    def _constant(self) -> str | float | bool | tuple[float, ...] | None:
        token = self._next()
        sign = 1.0
        while token.kind == "op" and token.text in ("-", "+"):
            sign = -sign if token.text == "-" else sign
            token = self._next()
            if token.kind != "number":
                break
        if token.kind == "number":
            return sign * float(token.text)
        if token.kind == "string":
            return token.value
        if token.text in _TRUE or token.text in _FALSE:
            return token.text in _TRUE
        if token.text in ("None", "NULL"):
            return None
        if token.text == "c" and self._accept("("):
            values: list[float] = []
            while True:
                value = self._constant()
                if not isinstance(value, float) or len(values) >= MAX_COLUMNS:
                    break
                values.append(value)
                if not self._accept(","):
                    self._expect(")")
                    return tuple(values)
        return fail(
            f"{label(token)} is not a constant: a number, True, False, a string, or at most "
            f"{MAX_COLUMNS} numbers in c(1, 2) can stand here.",
            self.formula,
            token.position,
        )

    # -- tokens -----------------------------------------------------------------------------------

    def _peek(self) -> Token:
        return self.tokens[self.at]

    def _next(self) -> Token:
        token = self.tokens[self.at]
        if token.kind == "end":
            self._unexpected()
        self.at += 1
        return token

    def _accept(self, text: str) -> bool:
        token = self.tokens[self.at]
        if token.kind == "op" and token.text == text:
            self.at += 1
            return True
        return False

    def _skip_keyword(self) -> None:
        """Step over ``key =`` where the token after the name is an equals sign."""
        if self.tokens[self.at + 1].text == "=":
            self.at += 2

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            self._unexpected()

    def _unexpected(self) -> NoReturn:
        token = self._peek()
        before = self.tokens[self.at - 1] if self.at else None
        if token.text == ":" or token.text == "%in%":
            hint = " Inside a function ':' is no interaction."
        elif token.text == "=":
            hint = " Only constants can be named arguments; to compare, write '=='."
        elif before is not None and before.kind == "op" and before.text not in (")",):
            hint = f" {label(before)} needs something after it."
        else:
            hint = ""
        fail(f"Did not expect {label(token)} here.{hint}", self.formula, token.position)


def _names(steps: tuple[Step, ...]) -> list[str]:
    return [
        step.arg if step.op == "name" else step.arg[0]
        for step in steps
        if step.op in ("name", "categorical")
    ]
