"""The fit stopped half-way: the objective as a function of theta, for users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._errors import SpecificationError, one_of
from ._types import FloatArray
from .control import Control
from .pls import Problem, Solution
from .stage import checked, prepare

__all__ = ["Objective", "objective"]


class Objective:
    """The fit stopped half-way: REML criterion or ML deviance as a function of theta.

    theta holds the lower triangles of the terms' relative covariance factors by columns; any sign
    is allowed, since the objective depends on lambda lambda' only.

    Attributes
    ----------
    theta0 : (m,) float64
        The moment estimate that a fit starts from.
    names : tuple of str
        ``Subject.Intercept, Subject.Days.Intercept, Subject.Days``.
    """

    def __init__(self, found: Problem) -> None:
        self._problem = found
        self.names = found.layout.names
        self.theta0: FloatArray = found.native.start()

    def value(self, theta: Sequence[float] | FloatArray) -> float:
        """The objective at theta."""
        return self._problem.evaluate(self._theta(theta)).value

    def gradient(self, theta: Sequence[float] | FloatArray) -> FloatArray:
        """Its exact gradient, (m,)."""
        found = self._problem.evaluate(self._theta(theta), "gradient").gradient
        assert found is not None
        return found

    def hessian(self, theta: Sequence[float] | FloatArray, *, kind: str = "exact") -> FloatArray:
        """Its Hessian, (m, m).

        Parameters
        ----------
        theta : (m,) float64
        kind : "exact" or "average"
            "average": the average-information curvature that the optimiser uses.

        Notes
        -----
        O(q^3) for crossed factors with q levels in all but the largest. Nested factors with more
        than 4,000 levels above the innermost: fourth-order differences of the exact gradient, good
        to about nine digits.

        Raises
        ------
        SpecificationError
            For another kind, or a theta of another length.
        """
        one_of("kind", kind, ("exact", "average"))
        found = self._problem.evaluate(self._theta(theta), kind).hessian
        assert found is not None
        return found

    def solve(self, theta: Sequence[float] | FloatArray) -> Solution:
        """beta, u, b, sigma, logdet_L, logdet_RX, wrss, ussq at theta."""
        return self._problem.solve(self._theta(theta))

    def __repr__(self) -> str:
        kind = "REML criterion" if self._problem.reml else "ML deviance"
        return f"Objective({kind} of theta = ({', '.join(self.names)}))"

    def _theta(self, theta: Sequence[float] | FloatArray) -> FloatArray:
        try:
            at = np.array(theta, dtype=np.float64)
        except (TypeError, ValueError):
            raise SpecificationError(
                f"theta must be {len(self.names)} numbers: {', '.join(self.names)}."
            ) from None
        if at.shape != (len(self.names),) or not np.isfinite(at).all():
            raise SpecificationError(
                f"theta must be {len(self.names)} finite numbers ({', '.join(self.names)}); "
                f"found an array of shape {at.shape}."
            )
        return at


def objective(
    formula: str,
    data: Any,
    *,
    reml: bool = True,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: str = "drop",
    control: Control | None = None,
) -> Objective:
    """All of a fit up to its first evaluation; see `api.objective`."""
    control = checked(reml, control)
    stage = prepare(formula, data, reml, weights, offset, contrasts, missing)
    return Objective(
        Problem(
            stage.products, stage.layout, reml=reml, groups=stage.groups, threads=control.threads
        )
    )
