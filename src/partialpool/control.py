"""How a fit is computed, as opposed to what is fitted."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass

from ._errors import SpecificationError

__all__ = ["Control"]


@dataclass(frozen=True)
class Control:
    """Options of the optimiser; frozen, validated, printable.

    Parameters
    ----------
    max_evaluations : int, default 500
        Evaluations of the objective (with its derivatives) before the fit gives up and says so.
    tolerance : float, default 1e-9
        The fit ends when the Newton decrement, g' H^-1 g, is below this (or below 1e-13 of the
        objective's size, its rounding level): the objective is then that close to its minimum.
    start : sequence of float, optional
        Starting value of theta; the moment estimate when left out.
    threads : int, optional
        Threads of the dense linear algebra. Default: the cores that the process may use for
        large blocks, one for small ones.

    Raises
    ------
    SpecificationError
        If a value is out of range.

    Examples
    --------
    >>> Control(tolerance=1e-8)
    Control(max_evaluations=500, tolerance=1e-08, start=None, threads=None)
    """

    max_evaluations: int = 500
    tolerance: float = 1e-9
    start: Sequence[float] | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        _require_count("max_evaluations", self.max_evaluations)
        if self.threads is not None:
            _require_count("threads", self.threads)
        if (
            isinstance(self.tolerance, bool)
            or not isinstance(self.tolerance, numbers.Real)
            or not 0 < self.tolerance < 1
        ):
            raise SpecificationError(
                f"Control(tolerance={self.tolerance!r}) must be a number between 0 and 1, "
                "for instance 1e-9."
            )
        if self.start is not None:
            try:
                start = tuple(float(v) for v in self.start)
            except (TypeError, ValueError):
                raise SpecificationError(
                    f"Control(start={self.start!r}) must be a sequence of numbers, one an element "
                    "of theta."
                ) from None
            if not all(math.isfinite(v) for v in start):
                raise SpecificationError(f"Control(start={start!r}): every value must be finite.")
            object.__setattr__(self, "start", start)


def _require_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise SpecificationError(f"Control({name}={value!r}) must be a whole number of at least 1.")
