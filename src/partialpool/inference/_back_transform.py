"""From the scale of a transformed response back to its column, by the inverse function."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .._errors import SpecificationError
from .._types import FloatArray
from ..schema import plan_of

if TYPE_CHECKING:
    from ..estimates import Record
    from ..expression import Expression

__all__ = ["back"]

# The inverse and its derivative, at the transformed value; sqrt(y) is not below 0.
_INVERSE: dict[str, tuple[Callable[[FloatArray], Any], Callable[[FloatArray], Any]]] = {
    "log": (np.exp, np.exp),
    "log2": (np.exp2, lambda v: np.log(2) * np.exp2(v)),
    "log10": (lambda v: 10.0**v, lambda v: np.log(10) * 10.0**v),
    "log1p": (np.expm1, np.exp),
    "exp": (np.log, lambda v: 1 / v),
    "sqrt": (lambda v: np.maximum(v, 0.0) ** 2, lambda v: 2 * np.maximum(v, 0.0)),
    "cbrt": (lambda v: v**3, lambda v: 3 * v**2),
}


def back(record: Record, quantity: str, columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The columns of a table of means on the scale of the response's column."""
    response = plan_of(record.schema.formula).response
    if quantity != "emmean":
        raise SpecificationError("Slopes have no scale of their own to go back to.")
    if response is None or response.is_name:
        raise SpecificationError("The response is not transformed: the means are on its scale.")
    value, slope = _inverse(response, np.array(columns["emmean"]))
    low, _ = _inverse(response, np.array(columns["conf_low"]))
    high, _ = _inverse(response, np.array(columns["conf_high"]))
    names = list(columns)
    out = {name: columns[name] for name in names[: names.index("emmean")]}
    return out | {
        "response": value.tolist(),
        "std_error": (np.abs(slope) * np.array(columns["std_error"])).tolist(),
        "df": columns["df"],
        "conf_low": np.minimum(low, high).tolist(),
        "conf_high": np.maximum(low, high).tolist(),
    }


def _inverse(response: Expression, value: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The inverse of the response's expression and its derivative."""
    slope = np.ones_like(value)
    steps = list(response.program.steps)
    with np.errstate(all="ignore"):
        while len(steps) > 1:
            op, name, count = steps.pop()
            if op == "call" and count == 1 and name in _INVERSE:
                inverse, derivative = _INVERSE[str(name)]
                slope = slope * derivative(value)
                value = np.asarray(inverse(value))
                continue
            constant = steps.pop()
            known = name in ("+", "-", "*", "/") and constant.op == "number" and len(steps) > 0
            if op != "call" or count != 2 or not known:
                raise SpecificationError(
                    f"{response.text} cannot be inverted here. It can if it is a column to which "
                    f"{', '.join(_INVERSE)} and constants (y + 1, y / 2) were applied."
                )
            c = float(constant.arg)
            value = {"+": value - c, "-": value + c, "*": value / c, "/": value * c}[str(name)]
            slope = slope * {"+": 1.0, "-": 1.0, "*": 1 / c, "/": c}[str(name)]
    return value, slope
