"""Numbers, names and lists inside a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["all_of", "clipped", "count", "number", "numbers", "p_value", "percent"]

_LONGEST = 24  # characters of a name in a sentence
_DIGITS = 3
_WORDS = "no one two three four five six seven eight nine ten eleven twelve".split()


def number(value: float) -> str:
    """One number with three significant digits.

    Examples
    --------
    >>> number(-2.40337), number(0.00001234), number(123456.7), number(0.0)
    ('-2.40', '1.23e-05', '123,457', '0')
    """
    return numbers(value)[0]


def numbers(*values: float) -> tuple[str, ...]:
    """Numbers that stand in one sentence: as many digits as tell them apart, up to six.

    Examples
    --------
    >>> numbers(-3.611, -2.391, -2.403)
    ('-3.61', '-2.39', '-2.40')
    >>> numbers(10.4671, 10.4673)
    ('10.4671', '10.4673')
    """
    for digits in range(_DIGITS, 7):
        shown = tuple(_one(v, digits) for v in values)
        if len(set(shown)) == len(set(values)):
            return shown
    return tuple(_one(v, _DIGITS) for v in values)


def percent(share: float) -> str:
    """A share.

    Examples
    --------
    >>> percent(0.5754), percent(0.0279), percent(0.00033), percent(1.0), percent(0.9996)
    ('58 %', '2.8 %', 'less than 0.1 %', '100 %', 'more than 99.9 %')
    """
    p = 100 * share
    if 0 < p < 0.1:
        return "less than 0.1 %"
    if 99.9 < p < 100:
        return "more than 99.9 %"
    return f"{p:.0f} %" if p >= 9.95 or p == 0 else f"{p:.1f} %"


def p_value(p: float) -> str:
    """A p-value with its letter.

    Examples
    --------
    >>> p_value(0.4656), p_value(0.0312), p_value(3e-9)
    ('p = 0.47', 'p = 0.031', 'p < 0.001')
    """
    if math.isnan(p):
        return "p unknown"
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.2f}" if p >= 0.0995 else f"p = {p:.3f}"


def count(n: int, noun: str) -> str:
    """A number of things.

    Examples
    --------
    >>> count(7, "level"), count(1, "level"), count(10000, "level")
    ('seven levels', 'one level', '10,000 levels')
    """
    shown = _WORDS[n] if 0 < n < len(_WORDS) else f"{n:,}"
    return f"{shown} {noun}{'' if n == 1 else 's'}"


def all_of(parts: Sequence[str]) -> str:
    """A list in words: ``a, b and c``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def clipped(name: object) -> str:
    """A name on one line, not longer than a sentence bears."""
    text = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(name)
    )
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _one(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else ("infinity" if value > 0 else "-infinity")
    if value == 0:
        return "0"
    exponent = int(f"{abs(value):.{digits - 1}e}".split("e")[1])
    if not -5 < exponent < 9:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(0, digits - 1 - exponent)}f}"
