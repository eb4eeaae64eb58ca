"""Minimise the objective, and say how good the minimum is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ._errors import SpecificationError
from ._types import FloatArray
from .control import Control
from .pls import Problem

__all__ = ["UNBOUNDED", "LogEntry", "Optimum", "minimize"]

UNBOUNDED = (
    "the residual variance is zero, or below 1e-11 of the response's: the random effects fit the "
    "response exactly"
)
_MESSAGES = (
    "converged",
    "reached the limit of evaluations",
    "no further decrease could be found",
    "the objective could not be evaluated at the start",
    UNBOUNDED,
)


class LogEntry(NamedTuple):
    """One evaluation of the optimiser.

    Attributes
    ----------
    evaluation : int
    objective : float
    decrement : float
        g'H^-1 g at the point that the step left (NaN where no Newton step led here).
    radius : float
        Of the trust region.
    accepted : bool
    """

    evaluation: int
    objective: float
    decrement: float
    radius: float
    accepted: bool


class Optimum(NamedTuple):
    """Where the optimiser ended, and the evidence that it is a minimum.

    Attributes
    ----------
    converged : bool
        The decrement is below the tolerance, and the KKT conditions hold.
    theta : (m,) float64
    scaled : (m,) float64
        The same in the shifted and scaled columns of the optimiser. Where a covariate's mean is
        far from zero (a timestamp), theta cannot hold the optimum to the last digits.
    objective : float
    decrement : float
        g'H^-1 g, about twice what the objective still lies above its minimum.
    gradient_norm : float
        In the scaled coordinates of the optimiser.
    min_hessian_eigenvalue : float
        Of the average-information Hessian, in the same coordinates; zero or slightly negative in
        directions that a singular fit has closed.
    kkt : bool
        Karush-Kuhn-Tucker conditions over covariance matrices: no variance that is zero would
        lower the objective by growing.
    rank : tuple of int
        Rank of each term's covariance matrix.
    evaluations : int
        Evaluations of the objective.
    message : str
    log : tuple of LogEntry
    """

    converged: bool
    theta: FloatArray
    scaled: FloatArray
    objective: float
    decrement: float
    gradient_norm: float
    min_hessian_eigenvalue: float
    kkt: bool
    rank: tuple[int, ...]
    evaluations: int
    message: str
    log: tuple[LogEntry, ...]


def minimize(
    problem: Problem, control: Control, *, start: Sequence[float] | None = None
) -> Optimum:
    """Trust-region Newton with average-information-plus-Q curvature, from a moment estimate.

    Parameters
    ----------
    problem : Problem
    control : Control
    start : sequence of float, optional
        Where to start if `control` does not say; default the moment estimate.

    Returns
    -------
    Optimum

    Raises
    ------
    SpecificationError
        If ``control.start`` has the wrong length.

    Notes
    -----
    docs/math.md, M7 and M9. The decrement is measured against max(tolerance, 1e-13 |objective|):
    nearer than rounding nothing can be said.
    """
    if control.start is not None:
        start = list(control.start)
    if start is not None and len(start) != problem.layout.size:
        raise SpecificationError(
            f"Control(start=...) has {len(start)} values; theta has {problem.layout.size}: "
            f"{', '.join(problem.layout.names)}."
        )
    with problem.dense_algebra():
        found = problem.native.minimise(start, control.tolerance, control.max_evaluations)
    return record(found)


def record(found: Any) -> Optimum:
    """The record of what the native optimiser returns."""
    (
        outcome,
        theta,
        scaled,
        value,
        decrement,
        gradient_norm,
        smallest,
        kkt,
        rank,
        evaluations,
        log,
    ) = found
    converged = outcome == 0 and bool(kkt)
    message = _MESSAGES[outcome]
    if outcome == 0 and not kkt:
        message = "stationary, but a variance of zero would lower the objective by growing"
    return Optimum(
        converged,
        theta,
        scaled,
        value,
        decrement,
        gradient_norm,
        smallest,
        kkt,
        tuple(rank),
        evaluations,
        message,
        tuple(LogEntry(*entry) for entry in log),
    )
