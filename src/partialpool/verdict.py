"""Warnings that a fit deserves: no optimum, no digits, singular."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._errors import ConvergenceWarning, SingularFitWarning, warn

if TYPE_CHECKING:
    from .lmm import LmmRecord

__all__ = ["warn_of"]

_DIGITS = 1e-10  # calibrated on balanced groups: sigma has six digits there, and one fewer a decade


def warn_of(record: LmmRecord) -> None:
    """Warn of what is to be known before the numbers are used."""
    optimum = record.optimum
    if not optimum.converged:
        warn(
            f"The fit of {record.spec.formula!r} is not at a certified optimum: {optimum.message} "
            f"(evaluations {optimum.evaluations}, decrement {optimum.decrement:.2g}, gradient norm "
            f"{optimum.gradient_norm:.2g}). Look at fit.optimum.log; raise "
            "Control(max_evaluations=...) or rescale the columns of the random part.",
            ConvergenceWarning,
        )
    if record.solution.sigma == 0:
        warn(
            f"{record.optimum.message[0].upper()}{record.optimum.message[1:]}. Is the response "
            "constant, or computed from the predictors?",
            SingularFitWarning,
        )
        return
    left = record.solution.pwrss / record.products.native.rss0
    if left < _DIGITS:
        warn(
            f"The residual sum of squares is {left:.0e} of the response's, so that cross-products "
            "in double precision leave few digits of theta and sigma. The response nearly repeats "
            "within levels: fit level means, or take these two as rough.",
            ConvergenceWarning,
        )
    # By rank, which does not depend on units; `is_singular` is lme4's rule on theta.
    specs = record.layout.specs
    singular = [s.text for s, r in zip(specs, optimum.rank, strict=True) if r < len(s.columns)]
    if singular:
        right = "The estimates are right; the data say no more about that direction. "
        warn(
            f"Singular fit: in {', '.join(singular)} a variance is zero or a correlation is plus "
            f"or minus one. {right if optimum.converged else ''}"
            "See fit.varcorr; a simpler term gives the same fit.",
            SingularFitWarning,
        )
