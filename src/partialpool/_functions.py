"""The allow-list: every function and operator that a formula may use, and what NumPy does for it.

Numbers are float64 throughout. Comparisons and logical operators give 0 and 1, and NaN where an
operand is missing, so that a row with a missing predictor is never taken for a "no".
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

__all__ = ["ELEMENTWISE", "OPERATORS", "PRECEDENCE", "R_ONLY", "SPECIAL", "suggest"]

Numeric = Any  # a float or an (n,) float64 array


def _power(base: Numeric, exponent: Numeric) -> Numeric:
    # NumPy squares by multiplication, which is exact where pow() may be off by one rounding.
    return np.power(base, exponent) if np.ndim(exponent) or exponent != 2.0 else base * base


def _log(x: Numeric, base: Numeric = None) -> Numeric:
    if base is None:
        return np.log(x)
    if np.ndim(base) == 0 and base in (2.0, 10.0):  # exact at powers of the base, as in R
        return np.log2(x) if base == 2.0 else np.log10(x)
    return np.log(x) / np.log(base)


def _truth(result: Numeric, *operands: Numeric) -> Numeric:
    missing = np.isnan(operands[0])
    for operand in operands[1:]:
        missing = missing | np.isnan(operand)
    return np.where(missing, np.nan, result)


def _comparison(ufunc: Callable[..., Any]) -> Callable[..., Numeric]:
    return lambda a, b: _truth(ufunc(a, b), a, b)


_UNARY: Final = (
    *("log2", "log10", "log1p", "exp", "exp2", "expm1", "sqrt", "cbrt", "abs", "sign"),
    *("floor", "ceil", "round", "sin", "cos", "tan", "arcsin", "arccos", "arctan"),
    *("sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
)

# Names usable bare, and (where NumPy has the function under the same name) as `np.name`.
# Value: (function, fewest arguments, most arguments).
ELEMENTWISE: Final[Mapping[str, tuple[Callable[..., Numeric], int, int]]] = {
    **{name: (getattr(np, name), 1, 1) for name in _UNARY},
    "log": (_log, 1, 2),
    "square": (np.square, 1, 1),
    "minimum": (np.minimum, 2, 2),
    "maximum": (np.maximum, 2, 2),
    # R's names
    "pmin": (np.minimum, 2, 2),
    "pmax": (np.maximum, 2, 2),
    "ceiling": (np.ceil, 1, 1),
    "asin": (np.arcsin, 1, 1),
    "acos": (np.arccos, 1, 1),
    "atan": (np.arctan, 1, 1),
}

R_ONLY: Final = frozenset({"pmin", "pmax", "ceiling", "asin", "acos", "atan"})  # not after `np.`

OPERATORS: Final[Mapping[str, tuple[Callable[..., Numeric], int]]] = {
    "+": (np.add, 2),
    "-": (np.subtract, 2),
    "*": (np.multiply, 2),
    "/": (np.divide, 2),
    "^": (_power, 2),
    "%%": (np.mod, 2),  # sign of the divisor, as in R
    "%/%": (np.floor_divide, 2),
    "<": (_comparison(np.less), 2),
    "<=": (_comparison(np.less_equal), 2),
    ">": (_comparison(np.greater), 2),
    ">=": (_comparison(np.greater_equal), 2),
    "==": (_comparison(np.equal), 2),
    "!=": (_comparison(np.not_equal), 2),
    "&": (_comparison(np.logical_and), 2),
    "|": (_comparison(np.logical_or), 2),
    "u-": (np.negative, 1),
    "u+": (np.positive, 1),
    "u!": (lambda a: _truth(np.logical_not(a), a), 1),
}

# R's table: (binding strength, right-associative). `x^2` binds tighter than the sign in `-x^2`.
PRECEDENCE: Final[Mapping[str, tuple[int, bool]]] = {
    "|": (1, False),
    "&": (2, False),
    "u!": (3, True),
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), (4, False)),
    "+": (5, False),
    "-": (5, False),
    "*": (6, False),
    "/": (6, False),
    "%%": (7, False),
    "%/%": (7, False),
    "u-": (8, True),
    "u+": (8, True),
    "^": (9, True),
}

# Functions with a grammar or a memory of their own, and the arguments after the first.
SPECIAL: Final[Mapping[str, tuple[str, ...]]] = {
    "I": (),
    "C": ("contrasts",),
    "factor": (),
    "as.factor": (),
    "cbind": (),
    "offset": (),
    "poly": ("degree", "raw"),
    "scale": ("center", "scale"),
    "center": (),
    "bs": ("df", "knots", "degree", "intercept", "lower_bound", "upper_bound"),
    "cr": ("df", "knots", "lower_bound", "upper_bound", "constraints"),
}

_INSTEAD = {
    "ns": "cr(x, df=k) is the natural cubic spline here.",
    "s": "Penalised smooths are not part of this library; bs(x, df=k) and cr(x, df=k) are splines.",
    "te": "Penalised smooths are not part of this library.",
    "cc": "cr(x, df=k) and bs(x, df=k) are the splines known here.",
    "standardize": "Write scale(x).",
    "zscore": "Write scale(x).",
    "min": "pmin(x, c) is the elementwise minimum.",
    "max": "pmax(x, c) is the elementwise maximum.",
    "power": "Write I(x^2).",
    "pow": "Write I(x^2).",
    "ifelse": "Make the column in the data first.",
    "where": "Make the column in the data first.",
    "cut": "Make the column in the data first.",
    "Q": "Put the name between back-ticks.",
    "interaction": "Write a:b.",
    "lag": "Make the column in the data first.",
    "Treatment": "It stands inside C(), as in C(x, Treatment('a')).",
    "Sum": "It stands inside C(), as in C(x, Sum).",
    "Helmert": "It stands inside C(), as in C(x, Helmert).",
    "Poly": "It stands inside C(), as in C(x, Poly).",
}


def suggest(name: str) -> str:
    """What to write instead of an unknown function, with the list of the known ones."""
    bare = name.rpartition(".")[2] if name.startswith(("np.", "numpy.", "pd.", "math.")) else name
    known = sorted({*ELEMENTWISE, *SPECIAL}, key=str.lower)
    if bare in _INSTEAD:
        hint = f" {_INSTEAD[bare]}"
    else:
        close = difflib.get_close_matches(bare[:40], known, n=1)
        hint = f" Did you mean {close[0]}()?" if close else ""
    return f"{hint} Known functions: {', '.join(known)}."
