"""Is the gap between `lm` and `lmer` a warning? The sentence about Mundlak's test.

A test that does not reject is no proof: the sentence says what the interval rules out, and where it
rules out little, that these data cannot tell.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .compare_contextual import ALPHA
from .compare_prose import clipped, count, number, numbers, p_value

if TYPE_CHECKING:
    from .compare_contextual import Effect
    from .compare_findings import Findings
    from .compare_table import Row

__all__ = ["warning"]

_PART = 0.5  # of the coefficient: contextual effects below this leave the answer much as it is


def warning(c: Findings) -> str:
    """The sentence; empty where there are no covariates."""
    found = c.contextual
    row = c.focus
    if row.name == "Intercept":
        return ""
    effect = _telling(found.effects, row, in_doubt=found.in_doubt)
    if effect is None or not found.is_tested:
        return _untested(c)
    evidence, start = _evidence(c, effect), _start(c)
    if found.in_doubt:
        return (
            f"{start}, and {evidence}, is evidence against that: coefficients between and within "
            "levels differ, and those of lmer mix the two."
        )
    if effect.p_value < ALPHA:
        return (
            f"{start}, and {evidence}, speaks against that for one covariate but not for all "
            "together, which is weak evidence: treat lmer's coefficient with reserve."
        )
    if _is_vague(effect, row):
        levels = next(len(g.levels) for g in c.mixed.rows.groups if g.name == effect.group)
        return (
            f"{start}, and {evidence}, leaves that open: {count(levels, 'level')} cannot tell, "
            "which is neither an alarm nor an all-clear."
        )
    return (
        f"{start}, and {evidence}, shows no sign against that: the data speak against effects "
        "outside this interval, but cannot exclude smaller ones."
    )


def _telling(effects: tuple[Effect, ...], row: Row, *, in_doubt: bool) -> Effect | None:
    """The effect to report: of the covariate in focus, and the one that decides the verdict."""
    found = [e for e in effects if math.isfinite(e.estimate)]
    own = [e for e in found if e.name == row.name]
    if in_doubt:
        own = [e for e in own if e.p_value < ALPHA]
        return min(own or found, key=lambda e: e.p_value, default=None)
    significant = [e for e in own if e.p_value < ALPHA]
    # The least certain one: a factor with many levels must not speak for one with few.
    return max(significant or own or found, key=lambda e: e.high - e.low, default=None)


def _start(c: Findings) -> str:
    """The assumption, and what it has to do with the gap."""
    assumption = f"assumes that the effects of {c.group_names} are unrelated to the covariates"
    if c.conditions.coincide or c.conditions.is_zero:
        return f"lmer also {assumption}"
    return f"Whether the gap is a warning depends on this: lmer {assumption}"


def _evidence(c: Findings, effect: Effect) -> str:
    """The test in numbers."""
    found, name = c.contextual, clipped(effect.name)
    low, high = numbers(effect.low, effect.high)
    together = ""
    if found.num_df > 1:
        together = f"; all means together: {p_value(found.p_value)}"
    variance = ""
    if found.singular and not c.conditions.is_zero:
        variance = ", and leaves a random effect without variance"
    return (
        "Mundlak's test of it, which adds the means of the levels as covariates and gives "
        f"{name} a contextual effect (its coefficient between levels of {clipped(effect.group)} "
        f"less that within) of {number(effect.estimate)} (SE {number(effect.std_error)}, "
        f"{effect.df:.1f} df, {p_value(effect.p_value)}, 95 % interval {low} to {high}"
        f"{together}){variance}"
    )


def _is_vague(effect: Effect, row: Row) -> bool:
    """Does the interval hold contextual effects that would change the answer?"""
    slope = abs(row.within if not math.isnan(row.within) else row.partial)
    return max(abs(effect.low), abs(effect.high)) >= _PART * slope


def _untested(c: Findings) -> str:
    effects = c.contextual.effects
    start = _start(c)
    if not effects:
        return (
            f"{start}; no covariate varies within levels here, so these data cannot test it, and "
            "knowledge from outside has to decide."
        )
    reasons = {e.reason for e in effects}
    if reasons == {"flat"}:
        return (
            f"{start}, and as far as means go that holds by design, because every level has the "
            "same mean of each covariate that varies within levels."
        )
    if "few" in reasons:
        few = min(len(g.levels) for g in c.mixed.rows.groups)
        return (
            f"{start}; {count(few, 'level')} are too few to test it, so these data give neither an "
            "alarm nor an all-clear."
        )
    return f"{start}, which could not be tested here ({effects[0].note})."
