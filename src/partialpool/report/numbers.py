"""Numbers as a reader wants them: one number of decimals a column, no digit that matters lost.

The rule of a column: enough decimals that every value shows its leading significant digits, zeros
that no value needs left out. A value so small beside the others that it would lose its digits, or
too large to be printed in full, is written with an exponent; its neighbours stay as they are.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

__all__ = [
    "SIGNIF_LEGEND",
    "align",
    "column",
    "fixed",
    "joint",
    "p_value",
    "p_values",
    "printable",
    "signif_code",
    "width",
]

_LARGEST = 1e9  # calibrated: a population or a price in full, a date in nanoseconds not
_SMALLEST = 1e-5  # calibrated: below this, zeros after the point are hard to count
_ROOM = 11  # calibrated: digits of the largest value, before and after the point together
_SMALL_P = 1e-4  # inherited from R's print: below this, an exponent
_SMALLEST_P = 2.2e-16  # derived: the spacing of doubles at 1
SIGNIF_LEGEND = "Signif. codes: *** below 0.001, ** below 0.01, * below 0.05, . below 0.1"


def joint(
    columns: Sequence[Sequence[float]], *, digits: int = 4, decimals: int | None = None
) -> list[tuple[str, ...]]:
    """Format several columns with one common number of decimals.

    Parameters
    ----------
    columns : sequence of sequence of float
        NaN is shown as ``NaN``, infinities as ``inf``.
    digits : int
        Significant digits that the smallest value shows.
    decimals : int, optional
        The most decimals allowed; smaller values then show fewer digits instead of an exponent.

    Returns
    -------
    list of tuple of str
        Same shape as `columns`; not padded.

    Examples
    --------
    >>> joint([[35.69765, -3.53059], [0.72041, 0.19451]])
    [('35.6977', '-3.5306'), ('0.7204', '0.1945')]
    """
    sizes = [abs(v) for c in columns for v in c if math.isfinite(v) and v != 0]
    low, high = (0.0, _LARGEST) if decimals is not None else _window(sizes, digits)
    plain = [v for v in sizes if low <= v < high]
    room = decimals if decimals is not None else _ROOM - max(map(_left, plain), default=1)
    shared = min(room, max((_needed(v, digits) for v in plain), default=0))
    return [tuple(_show(v, shared, (low, high), digits) for v in c) for c in columns]


def _window(sizes: Sequence[float], digits: int) -> tuple[float, float]:
    """Least and greatest size printed in full: the window that holds most of the values.

    With L digits before the point, `_ROOM` - L are left after it, and what shows `digits` - 1 of
    its digits there is in.
    """
    best, count = (_SMALLEST, _LARGEST), -1
    for left in range(round(math.log10(_LARGEST)), 0, -1):
        low = max(_SMALLEST, 10.0 ** (digits - 2 - (_ROOM - left)))
        high = 10.0**left
        held = sum(low <= v < high for v in sizes)
        if held > count:
            best, count = (low, high), held
    return best


def column(
    values: Sequence[float], *, digits: int = 4, decimals: int | None = None
) -> tuple[str, ...]:
    """Format one column; see `joint`."""
    return joint([values], digits=digits, decimals=decimals)[0]


def fixed(value: float, decimals: int) -> str:
    """One number with so many decimals, as a correlation is shown; no minus before a zero."""
    return _show(value, decimals, (0.0, math.inf), decimals)


def align(values: Sequence[float], *, digits: int = 5) -> tuple[str, ...]:
    """Format quantiles: four significant digits of the smallest, within `digits` of the largest.

    Examples
    --------
    >>> align([-2.32692, -0.05987, 1e-17, 5.64652])
    ('-2.3269', '-0.0599', '0.0000', '5.6465')
    """
    top = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    if not 1e-4 <= top < _LARGEST:
        return column(values)
    most = max(0, digits - 1 - _exponent(top))
    rounded = [round(v, most) + 0.0 if math.isfinite(v) else v for v in values]
    return column(rounded, decimals=most)


def p_value(p: float) -> str:
    """Show a single p-value; see `p_values`."""
    return p_values([p])[0]


def p_values(values: Sequence[float], *, digits: int = 3) -> tuple[str, ...]:
    """Show p-values: three digits of the smallest, an exponent below 1e-4, then a bound.

    Examples
    --------
    >>> p_values([0.5, 0.0123456, 3.21e-5, 1e-40, float("nan")])
    ('0.5000', '0.0123', '3.21e-05', '<2.2e-16', 'NaN')
    """
    plain = [p for p in values if math.isfinite(p) and p >= _SMALL_P]
    decimals = max((digits - 1 - _exponent(p) for p in plain), default=digits)
    decimals = max(digits, decimals)

    def show(p: float) -> str:
        if not math.isfinite(p):
            return _plain(p)
        if p >= _SMALL_P:
            return f"{p:.{decimals}f}"
        return f"<{_SMALLEST_P}" if p < _SMALLEST_P else f"{p:.{digits - 1}e}"

    return tuple(map(show, values))


def signif_code(p: float) -> str:
    """Stars, as explained by `SIGNIF_LEGEND`."""
    bounds = ((0.001, "***"), (0.01, "**"), (0.05, "*"), (0.1, "."))
    return next((code for bound, code in bounds if p < bound), "")


def printable(text: object) -> str:
    """One line of text: characters that would break the line or reorder it are written out."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text)
    )


def width(text: str) -> int:
    """Columns that a terminal gives to `text`: two for wide letters, none for combining marks."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _show(value: float, decimals: int, window: tuple[float, float], digits: int) -> str:
    if not math.isfinite(value):
        return _plain(value)
    if value != 0 and not window[0] <= abs(value) < window[1]:
        return f"{value:.{digits - 1}e}"
    text = f"{value:.{decimals}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def _plain(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "0" if value == 0 else ("inf" if value > 0 else "-inf")


def _exponent(size: float) -> int:
    """Power of ten of the leading digit, after rounding to the digits shown."""
    return int(f"{size:.3e}"[6:])


def _left(size: float) -> int:
    """Digits before the decimal point."""
    return max(1, _exponent(size) + 1)


def _needed(size: float, digits: int) -> int:
    """Decimals that show `digits` significant digits of `size`, without zeros at the end."""
    mantissa, exponent = f"{size:.{digits - 1}e}".split("e")
    return max(0, len(mantissa.replace(".", "").rstrip("0")) - 1 - int(exponent))
