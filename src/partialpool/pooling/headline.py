"""The first sentence of the answer: which way the coefficient moved, before why."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .prose import clipped, numbers
from .warning import is_small

if TYPE_CHECKING:
    from .findings import Findings

__all__ = ["headline", "is_doubtful", "method", "moved"]

_STILL = 0.1  # of a standard error: a coefficient that moves less has hardly moved


def headline(c: Findings) -> str:
    """Which way the coefficient moved, before why."""
    doubt = ""
    if not c.mixed.optimum.converged:
        doubt = "; lmer's optimum is not certified, so its numbers are provisional"
    if c.conditions.is_zero:
        return (
            f"lm and lmer agree here: {method(c)} estimates the variance of the effects of "
            f"{c.group_names} as zero, which turns lmer into lm, so that all coefficients are the "
            f"same{doubt}."
        )
    if c.conditions.coincide:
        return f"{_coincide(c)}{doubt}."
    row = c.focus
    a, b = numbers(row.complete, row.partial)
    if not moved(c):
        return (
            f"lm and lmer nearly agree here: {_which(c)} hardly moves, from {a} (lm) to {b} "
            f"(lmer){doubt}."
        )
    fine = "" if doubt or is_doubtful(c) else "Neither fit is broken: "
    return (
        f"{fine}lm and lmer weigh the same {c.mixed.rows.nobs:,} rows differently, and {_which(c)} "
        f"goes from {a} (lm) to {b} (lmer){doubt}."
    )


def _coincide(c: Findings) -> str:
    cond = c.conditions
    why = "to the last digits"
    if cond.is_balanced:
        why = (
            "because of the design alone (it is balanced: weighing rows as lmer does would move no "
            "coefficient, whatever the response)"
        )
    elif cond.agrees:
        why = "because comparisons within and between levels happen to agree"
    return (
        f"lm and lmer have the same coefficients here {why}, although the effects of "
        f"{c.group_names} do vary; what can differ are the standard errors"
    )


def _which(c: Findings) -> str:
    row = c.focus
    if row.name == "Intercept":
        return "the intercept"
    others = sum(math.isfinite(r.difference) for r in c.rows if r.name != "Intercept") > 1
    return f"the coefficient of {clipped(row.name)}{', which differs most,' if others else ''}"


def moved(c: Findings) -> bool:
    """Does the coefficient in focus move by more than a small part of its standard error?"""
    return abs(c.focus.difference) >= _STILL * c.focus.partial_se


def is_doubtful(c: Findings) -> bool:
    """Is there evidence of some size against lmer's assumption?"""
    return c.contextual.in_doubt and not is_small(c)


def method(c: Findings) -> str:
    """The estimation method, for a sentence."""
    return "REML" if c.mixed.spec.reml else "maximum likelihood"
