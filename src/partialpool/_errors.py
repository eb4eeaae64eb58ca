"""The tree of errors and warnings.

::

    PartialPoolError
    ├── FormulaError        (ValueError)      the formula, with a caret under the place
    ├── DataError           (ValueError)      the table: a column, a row, a level
    ├── SpecificationError  (ValueError)      an option, or a model that the data cannot identify
    ├── ConvergenceError                      no optimum could be reached at all
    └── UnavailableError    (AttributeError)  an attribute that this fit does not have
    PartialPoolWarning      (UserWarning)
    ├── SingularFitWarning                    a variance of zero or a correlation of one
    ├── ConvergenceWarning                    the optimum is not certified
    ├── MissingDataWarning                    rows were dropped
    └── RankDeficientWarning                  columns were dropped

A message says what was found, where, and what to do.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

__all__ = [
    "ConvergenceError",
    "ConvergenceWarning",
    "DataError",
    "FormulaError",
    "MissingDataWarning",
    "PartialPoolError",
    "PartialPoolWarning",
    "RankDeficientWarning",
    "SingularFitWarning",
    "SpecificationError",
    "UnavailableError",
    "one_of",
    "warn",
]

_HERE = os.path.dirname(os.path.abspath(__file__))

_CONTEXT = 60  # characters of a long formula shown on each side of the caret


class PartialPoolError(Exception):
    """Base of every error that partialpool raises on purpose."""


class FormulaError(PartialPoolError, ValueError):
    """A formula that cannot be read, or that names what is not there.

    Parameters
    ----------
    message : str
        What was found and what to do.
    formula : str, optional
        The whole formula; shown below the message.
    position : int, optional
        Index into `formula` of the first offending character; a caret marks it.
    """

    def __init__(
        self, message: str, formula: str | None = None, position: int | None = None
    ) -> None:
        self.message = message
        self.formula = formula
        self.position = position
        super().__init__(message)

    def __reduce__(self) -> tuple[type[FormulaError], tuple[str, str | None, int | None]]:
        return type(self), (self.message, self.formula, self.position)

    def __str__(self) -> str:
        if self.formula is None:
            return self.message
        text, position = _excerpt(self.formula, self.position)
        lines = [self.message, f"    {text}"]
        if position is not None:
            lines.append(f"    {' ' * position}^")
        return "\n".join(lines)


class DataError(PartialPoolError, ValueError):
    """Data that the model cannot use as they are."""


class SpecificationError(PartialPoolError, ValueError):
    """An option out of range, or a model that these data cannot identify."""


class ConvergenceError(PartialPoolError):
    """The objective could not be minimised at all."""


class UnavailableError(PartialPoolError, AttributeError):
    """An attribute that does not exist for this fit; the message names what does."""


class PartialPoolWarning(UserWarning):
    """Base of every warning that partialpool gives."""


class SingularFitWarning(PartialPoolWarning):
    """The fit lies on the boundary: a variance of zero or a correlation of plus or minus one."""


class ConvergenceWarning(PartialPoolWarning):
    """The optimiser stopped without a certificate of optimality."""


class MissingDataWarning(PartialPoolWarning):
    """Rows with missing values, or with a weight of zero, were left out."""


class RankDeficientWarning(PartialPoolWarning):
    """Columns of the fixed part that repeat others were dropped."""


def one_of(name: str, value: object, allowed: Sequence[object]) -> None:
    """Refuse a value of the option `name` that is not among the `allowed` ones.

    Raises
    ------
    SpecificationError
    """
    if value not in allowed:
        *most, last = map(repr, allowed)
        listed = f"{', '.join(most)} or {last}" if most else last
        raise SpecificationError(f"{name}={value!r} must be {listed}.")


def _excerpt(formula: str, position: int | None) -> tuple[str, int | None]:
    """One line of the formula, at most 2 * _CONTEXT wide, and the caret's place in it."""
    flat = "".join(" " if c.isspace() or not c.isprintable() else c for c in formula[:100_000])
    if position is None:
        return (flat if len(flat) <= 2 * _CONTEXT else flat[: 2 * _CONTEXT] + "..."), None
    position = min(max(position, 0), len(flat))
    start = max(0, position - _CONTEXT)
    stop = min(len(flat), position + _CONTEXT)
    head = "..." if start else ""
    tail = "..." if stop < len(flat) else ""
    return head + flat[start:stop] + tail, len(head) + position - start


def warn(message: str, category: type[PartialPoolWarning]) -> None:
    """Warn at the line of the user's own code that led here, however deep we are."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)
