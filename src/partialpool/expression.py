"""One factor of a formula: compiled once, learnt from a column, applied to any data.

`compile` turns ``log(x)``, ``I(a/b)``, ``poly(x, 2)`` into a flat program over an allow-list of
functions; nothing in a formula is ever executed by Python. `apply` interprets the program with
NumPy. A function with a memory (scale, poly, a spline) is split in two: `learn` keeps what it has
to know of the column of the fit in a `State`, `apply` uses that alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias, cast

import numpy as np

from . import _bases
from ._errors import FormulaError
from ._functions import ELEMENTWISE, OPERATORS
from ._grammar import ExpressionParser, Program
from ._tokens import fail, quote, render, scan
from ._types import Contrast, FloatArray

__all__ = [
    "Contrast",
    "Expression",
    "State",
    "apply",
    "column_names",
    "compile",
    "contrast_of",
    "learn",
    "of_column",
]

State: TypeAlias = tuple[_bases.BasisState, ...] | None
Columns: TypeAlias = Callable[[str], FloatArray]


class Expression:
    """A compiled factor; immutable, hashable, compared by what it computes.

    Attributes
    ----------
    text : str
        Normalised spelling, for display: ``"log(x)"``, ``"my col"``.
    source : str
        The same with back-ticks where a name needs them: `compile` reads it back.
    names : tuple of str
        The columns that it reads, in order of appearance.
    is_name : bool
        It is a plain column, numeric or categorical.
    is_categorical : bool
        It is ``C(x, ...)`` or ``factor(x)``.
    is_pair : bool
        It is ``cbind(a, b)``.
    stateful : bool
        It has to learn from the data of the fit.
    width : int
        Number of its columns; 1 unless it is a basis or a pair.
    """

    __slots__ = (
        "is_categorical",
        "is_name",
        "is_pair",
        "names",
        "program",
        "source",
        "stateful",
        "text",
        "width",
    )

    def __init__(self, program: Program, source: str) -> None:
        last = program.steps[-1]
        self.program = program
        self.source = source
        self.names = program.names
        self.is_name = last.op == "name" and len(program.steps) == 1
        self.is_categorical = last.op == "categorical"
        self.is_pair = last.op == "cbind"
        self.stateful = any(step.op == "basis" for step in program.steps)
        self.width = 2 if self.is_pair else 1
        if last.op == "basis":
            self.width = _bases.width(*last.arg)
        self.text = program.names[0] if self.is_name else source

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.program == other.program

    def __hash__(self) -> int:
        return hash(self.program)

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def __reduce__(self) -> tuple[Callable[[str], Expression], tuple[str]]:
        return compile, (self.source,)


def compile(text: str) -> Expression:
    """Compile one factor.

    Parameters
    ----------
    text : str
        A column name (between back-ticks where it is not a plain word) or an expression.

    Raises
    ------
    FormulaError
        For anything that is not on the allow-list, with a caret under the place.

    Examples
    --------
    >>> compile("log( displ+1 )").text
    'log(displ + 1)'
    """
    if not isinstance(text, str):
        raise FormulaError(f"An expression is a string, not {type(text).__name__}.")
    return _compile(text)


@lru_cache(maxsize=1024)
def _compile(text: str) -> Expression:
    tokens = scan(text)
    if len(tokens) == 1:
        fail("The expression is empty.", text, 0)
    for token in tokens:
        if token.text == "~" and token.kind == "op":
            fail("An expression has no '~'.", text, token.position)
    program = ExpressionParser(tokens, text).whole(0, len(tokens) - 1)
    return Expression(program, render(tokens[:-1]))


@lru_cache(maxsize=1024)
def of_column(name: str) -> Expression:
    """The expression that is the column `name` itself, whatever signs are in it."""
    return _compile(quote(name))


def learn(expression: Expression, column: Columns) -> State:
    """What the expression has to remember of the data of the fit; None for most.

    Parameters
    ----------
    expression : Expression
    column : callable
        Name to values, (n,) float64 with NaN for missing. It is the one to refuse a column that
        is not numeric.

    Raises
    ------
    DataError
        If a column cannot carry a function: ``poly(x, 3)`` of a column with three values.
    """
    if not expression.stateful:
        return None
    states: list[_bases.BasisState] = []
    _run(expression, column, states, learning=True)
    return tuple(states)


def apply(expression: Expression, column: Columns, state: State) -> FloatArray:
    """Values of the expression: (n,), or (n, width) for a basis or a pair of width > 1.

    Parameters
    ----------
    expression : Expression
    column : callable
        As in `learn`, of any data.
    state : State
        From `learn`.
    """
    if expression.is_name:
        return column(expression.names[0])
    return _run(expression, column, list(state or ()), learning=False)


def _run(
    expression: Expression, column: Columns, states: list[_bases.BasisState], *, learning: bool
) -> FloatArray:
    """Interpret the program with NumPy; each basis adds its state, or uses the next one."""
    stack: list[Any] = []
    used = 0
    with np.errstate(all="ignore"):  # log(0) and 0/0 are reported by the design, with the column
        for op, arg, count in expression.program.steps:
            if op == "name":
                stack.append(column(arg))
            elif op == "number":
                stack.append(np.float64(arg))
            elif op == "call":
                operator = OPERATORS.get(arg)
                function = operator[0] if operator else ELEMENTWISE[arg][0]
                stack[-count:] = [function(*stack[-count:])]
            elif op == "basis":
                kind, options = arg
                if learning:
                    states.append(_bases.learn(kind, options, stack[-1], expression.text))
                values = _bases.apply(kind, options, stack[-1], states[used])
                stack[-1] = values[:, 0] if values.shape[1:] == (1,) else values
                used += 1
            elif op == "cbind":
                stack[-2:] = [np.stack(stack[-2:], axis=1)]
            else:
                raise TypeError(f"{expression.text} is categorical; it has no numeric value.")
    return cast(FloatArray, stack[0])


def column_names(expression: Expression) -> tuple[str, ...]:
    """Names of the columns of an expression: ``("poly(x, 2)[1]", "poly(x, 2)[2]")``."""
    last = expression.program.steps[-1]
    if expression.is_pair:
        return cast(tuple[str, ...], last.arg)
    if expression.width > 1:
        return tuple(f"{expression.text}[{k}]" for k in range(1, expression.width + 1))
    return (expression.text,)


def contrast_of(expression: Expression) -> tuple[str, Contrast | None]:
    """The column of a categorical expression or plain name, and the contrast that it asks for."""
    last = expression.program.steps[-1]
    if expression.is_categorical:
        return cast(tuple[str, Contrast | None], last.arg)
    if expression.is_name:
        return expression.names[0], None
    raise TypeError(f"{expression.text} is not categorical.")
