"""Shown output against real output: text as it is, numbers to the digits that are shown."""

from __future__ import annotations

import re

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]*\w)")

# One unit in the last digit shown: another BLAS moves an estimate by about 1e-9 of itself, which
# can turn the rounding of the last digit, never more.
UNITS = 1.0001
RELATIVE = 1e-7  # for numbers shown with all their digits


def difference(shown: str, got: str) -> str | None:
    """None when the two agree, else a line that says where they part.

    Runs of blanks count as one; `...` alone on a line stands for any lines.
    """
    expected = [line.split() for line in shown.strip().splitlines()]
    actual = [line.split() for line in got.strip().splitlines()]
    return _lines([e for e in expected if e], [a for a in actual if a])


def _lines(expected: list[list[str]], actual: list[list[str]]) -> str | None:
    for i, line in enumerate(expected):
        if line == ["..."]:
            rest = expected[i + 1 :]
            if any(_lines(rest, actual[j:]) is None for j in range(i, len(actual) + 1)):
                return None
            return f"nothing after the dots matches {' '.join(rest[0])!r}"
        if i >= len(actual):
            return f"shown but not printed: {' '.join(line)!r}"
        if not _same(" ".join(line), " ".join(actual[i])):
            return f"shown   {' '.join(line)!r}\nprinted {' '.join(actual[i])!r}"
    if len(actual) > len(expected):
        return f"printed but not shown: {' '.join(actual[len(expected)])!r}"
    return None


def _same(shown: str, got: str) -> bool:
    if shown == got:
        return True
    if NUMBER.split(shown) != NUMBER.split(got):
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(got), strict=True)
    return all(abs(float(s) - float(g)) <= _tolerance(s) for s, g in pairs)


def _tolerance(shown: str) -> float:
    unit = _unit(shown)
    return max(UNITS * unit, RELATIVE * abs(float(shown))) if unit else 0.0


def _unit(number: str) -> float:
    """The value of one unit in a number's last digit; whole numbers must agree exactly."""
    mantissa, _, exponent = number.lower().partition("e")
    _, point, decimals = mantissa.partition(".")
    if not point and not exponent:
        return 0.0
    return float(10.0 ** (int(exponent or 0) - len(decimals)))
