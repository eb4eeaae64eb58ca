"""The grouping side of a random-effects bar: names, ``:``, ``/`` and parentheses."""

from __future__ import annotations

from typing import NoReturn

from ._algebra import Factor
from ._tokens import Token, fail, label, quote

__all__ = ["read_groups"]

_MAX_NESTED = 20  # levels of (1 | a/b/c/...)


def read_groups(
    tokens: list[Token], span: tuple[int, int], formula: str
) -> list[tuple[Factor, ...]]:
    """Groups that tokens span[0]..span[1]-1 name, outermost first: ``a/b`` gives (a,), (b, a).

    Raises
    ------
    FormulaError
        If they are not names joined by ``:`` and ``/``.
    """
    return _Groups(tokens, *span, formula).read()


class _Groups:
    """The grouping side of a bar: recursive in parentheses, whose nesting `scan` caps."""

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
