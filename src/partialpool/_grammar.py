"""The grammar of one factor: tokens to a flat program, by an operator-precedence parser.

A program is a tuple of steps in postfix order, so that no interpreter recurses and two spellings
of one expression (`log(x)`, ``np.log( `x` )``) compare equal. Everything that is not on the
allow-list of `_functions` is a `FormulaError` that points into the formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ._arguments import ArgumentReader
from ._bases import MULTIPLE, check
from ._errors import FormulaError
from ._functions import ELEMENTWISE, OPERATORS, PRECEDENCE, R_ONLY, SPECIAL, suggest
from ._tokens import Token, fail, label, render
from ._types import Contrast

__all__ = ["ExpressionParser", "Program", "Step"]

MAX_EXPONENT = 100.0  # of a constant exponent


class Step(NamedTuple):
    """One instruction of a postfix program.

    Attributes
    ----------
    op : "name", "number", "call", "basis", "cbind" or "categorical"
    arg : object
        Column name; number; function or operator; (kind, options); labels; (column, contrast).
    operands : int
        Operands that it takes from the stack.
    """

    op: str
    arg: Any
    operands: int


class Program(NamedTuple):
    """A compiled factor: its steps and the columns that it reads, in order of appearance."""

    steps: tuple[Step, ...]
    names: tuple[str, ...]

    @property
    def is_single(self) -> bool:
        """Whether its value is one number a row: not a factor, a basis or a pair."""
        op, arg, _ = self.steps[-1]
        return op not in ("categorical", "cbind") and (op != "basis" or arg[0] not in MULTIPLE)


class ExpressionParser(ArgumentReader):
    """Reads expressions from a list of tokens.

    Parameters
    ----------
    tokens : list of Token
        Of the whole formula, closed by an ``end`` token.
    formula : str
        For error messages.
    """

    def __init__(self, tokens: list[Token], formula: str) -> None:
        super().__init__(tokens, formula)
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
        if not program.is_single:
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
            self._categorical(name)
            return False
        constant = self._expression()
        if constant:
            fail(f"{name}() needs a column of the data.", self.formula, token.position)
        options = self._options(name)
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

    def _categorical(self, name: str) -> None:
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


def _names(steps: tuple[Step, ...]) -> list[str]:
    return [
        step.arg if step.op == "name" else step.arg[0]
        for step in steps
        if step.op in ("name", "categorical")
    ]
