"""theta, the relative covariance parameters, and the factors Lambda that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ._types import FloatArray, TermSpec

__all__ = ["Layout", "layout"]


@dataclass(frozen=True)
class Layout:
    """How theta is laid out over the terms.

    The random effects of one level of a term have covariance sigma^2 lambda lambda', with lambda
    (k x k) lower triangular; theta holds the lower triangles by columns, term after term (for an
    uncorrelated term, ``||``, the diagonals).

    Attributes
    ----------
    specs : tuple of TermSpec
        The terms in the order of theta: most levels first.
    """

    specs: tuple[TermSpec, ...]

    @property
    def size(self) -> int:
        """Elements of theta."""
        return sum(size(s) for s in self.specs)

    @property
    def names(self) -> tuple[str, ...]:
        """``Subject.Intercept, Subject.Days.Intercept, Subject.Days``: row before column."""
        return tuple(
            f"{s.group}.{s.columns[r]}" if r == c else f"{s.group}.{s.columns[r]}.{s.columns[c]}"
            for s in self.specs
            for r, c in elements(s)
        )

    def lambdas(self, theta: Sequence[float] | FloatArray) -> tuple[FloatArray, ...]:
        """The lower-triangular factor of each term.

        Parameters
        ----------
        theta : (size,) float64

        Returns
        -------
        tuple of (k, k) float64
        """
        out, at = [], 0
        for s in self.specs:
            k = len(s.columns)
            block = np.zeros((k, k))
            for r, c in elements(s):
                block[r, c] = theta[at]
                at += 1
            out.append(block)
        return tuple(out)


def layout(specs: Sequence[TermSpec]) -> Layout:
    """The layout of these terms."""
    return Layout(tuple(specs))


def size(spec: TermSpec) -> int:
    """Elements of theta that a term takes."""
    k = len(spec.columns)
    return k if spec.diagonal else k * (k + 1) // 2


def elements(spec: TermSpec) -> list[tuple[int, int]]:
    """(row, column) of each element of a term's theta."""
    k = len(spec.columns)
    if spec.diagonal:
        return [(i, i) for i in range(k)]
    return [(r, c) for c in range(k) for r in range(c, k)]
