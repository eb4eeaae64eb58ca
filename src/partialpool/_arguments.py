"""Reading tokens one by one, and the constant arguments of calls: numbers, flags, contrasts."""

from __future__ import annotations

from typing import Any, NoReturn

from ._bases import MAX_COLUMNS
from ._functions import SPECIAL
from ._tokens import Token, fail, label
from ._types import Contrast

__all__ = ["ArgumentReader"]


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


class ArgumentReader:
    """A place in a list of tokens, and what can be read there without arithmetic."""

    def __init__(self, tokens: list[Token], formula: str) -> None:
        self.tokens = tokens
        self.formula = formula
        self.at = 0

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
            return Contrast(kind, position=value - 1)
        return Contrast(kind, base=value)

    def _options(self, name: str) -> dict[str, Any]:
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
        elif token.text == "||" or (token.text == "&" and before and before.text == "&"):
            hint = " The logical operators are '&', '|' and '!'."
        elif token.text == "=":
            hint = " Only constants can be named arguments; to compare, write '=='."
        elif before is not None and before.kind == "op" and before.text not in (")",):
            hint = f" {label(before)} needs something after it."
        else:
            hint = ""
        fail(f"Did not expect {label(token)} here.{hint}", self.formula, token.position)
