"""Families of contrasts between k means: coefficients and names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from .._errors import SpecificationError, one_of
from .._types import FloatArray

__all__ = ["METHODS", "Family", "family"]

METHODS = ("pairwise", "trt.vs.ctrl", "eff", "consec", "poly")

_ADJUST = {
    "pairwise": "tukey",
    "trt.vs.ctrl": "mvt",
    "consec": "mvt",
    "eff": "holm",
    "poly": "none",
}
_DEGREES = ("linear", "quadratic", "cubic", "quartic")
_HIGHEST = 6  # degree of polynomial contrasts


class Family(NamedTuple):
    """Contrasts of k means.

    Attributes
    ----------
    method : str
        One of `METHODS`, or ``"custom"``.
    names : tuple of str
    C : (m, k) float64
    adjust : str
        The method of adjustment that suits it.
    """

    method: str
    names: tuple[str, ...]
    C: FloatArray
    adjust: str


def family(method: Any, labels: Sequence[str], *, reverse: bool, reference: int) -> Family:
    """The contrasts that `method` asks for.

    Parameters
    ----------
    method : one of `METHODS`, mapping of name to k weights, or (m, k) array_like
    labels : sequence of str
        Of the k means.
    reverse : bool
        The second mean less the first, for "pairwise" and "consec".
    reference : int
        The control, for "trt.vs.ctrl".

    Raises
    ------
    SpecificationError
        For other methods, fewer than two means, and weights of the wrong shape.
    """
    k = len(labels)
    if not isinstance(method, str):
        return _custom(method, k)
    one_of("method", method, METHODS)
    if k < 2:
        raise SpecificationError(
            f"There is one mean ({labels[0]}), so there is nothing to compare it with. Contrasts "
            "are formed within the levels of 'by'."
        )
    unit = np.eye(k)
    pairs: list[tuple[int, int]] = []
    if method == "pairwise":
        pairs = [(i, j) for i in range(k) for j in range(i + 1, k)]
    elif method == "consec":
        pairs = [(i + 1, i) for i in range(k - 1)]
    elif method == "trt.vs.ctrl":
        pairs = [(i, reference) for i in range(k) if i != reference]
    if pairs:
        pairs = [(j, i) for i, j in pairs] if reverse else pairs
        texts = [label if " - " not in label else f"({label})" for label in labels]
        names = tuple(f"{texts[i]} - {texts[j]}" for i, j in pairs)
        C = np.array([unit[i] - unit[j] for i, j in pairs])
    elif method == "eff":
        names, C = tuple(f"{label} effect" for label in labels), unit - 1 / k
    else:
        names, C = _polynomials(k)
    return Family(method, names, C, _ADJUST[method])


def _custom(method: Any, k: int) -> Family:
    named = isinstance(method, Mapping)
    rows = list(method.values()) if named else method
    try:
        C = np.array(rows, dtype=np.float64, ndmin=2)
    except (TypeError, ValueError):
        C = np.zeros((0, 0))
    if C.ndim != 2 or C.shape[1:] != (k,) or not len(C) or not np.isfinite(C).all():
        raise SpecificationError(
            f"A contrast needs {k} finite weights, one a mean; {_found(rows)}. Give one of "
            f"{', '.join(map(repr, METHODS))}, a dict of name to weights, or a matrix with a row a "
            "contrast."
        )
    names = tuple(map(str, method)) if named else tuple(f"c{i + 1}" for i in range(len(C)))
    return Family("custom", names, C, "none")


def _found(rows: Any) -> str:
    try:
        return f"the shape found is {np.shape(rows)}"
    except ValueError:
        return "the rows found have different lengths"


def _dot(a: Sequence[Fraction], b: Sequence[Fraction]) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def _polynomials(k: int) -> tuple[tuple[str, ...], FloatArray]:
    """Orthogonal polynomials on equal steps, in the smallest whole numbers."""
    basis: list[list[Fraction]] = [[Fraction(1)] * k]
    for degree in range(1, min(k - 1, _HIGHEST) + 1):
        new = [Fraction(2 * i - k + 1) ** degree for i in range(k)]
        for old in basis:
            share = _dot(new, old) / _dot(old, old)
            new = [a - share * b for a, b in zip(new, old, strict=True)]
        basis.append(new)
    rows = []
    for row in basis[1:]:
        common = math.lcm(*(a.denominator for a in row))
        whole = [int(a * common) for a in row]
        rows.append([a // math.gcd(*whole) for a in whole])
    names = [_DEGREES[d] if d < len(_DEGREES) else f"degree {d + 1}" for d in range(len(rows))]
    return tuple(names), np.array(rows, dtype=np.float64)
