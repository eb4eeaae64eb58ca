"""Is the gap between `lm` and `lmer` a warning? The words about Mundlak's test.

A test that does not reject is no proof: the words say what the interval rules out, and where it
rules out little, that these data cannot tell.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .contextual import ALPHA
from .prose import clipped, count, number, numbers, p_value, percent

if TYPE_CHECKING:
    from .contextual import Effect
    from .findings import Findings
    from .table import Row

__all__ = ["is_small", "warning"]

_PART = 0.5  # of the coefficient: contextual effects below this leave the answer much as it is
_SMALL = 0.1  # of the coefficient: nobody would act on a difference below this


def warning(c: Findings) -> str:
    """What the test of lmer's assumption says; nothing where there are no covariates."""
    if c.focus.name == "Intercept":
        return ""
    effect = _reported(c)
    if effect is None or not c.contextual.is_tested:
        return f"{_untested(c)}."
    return f"{_evidence(c, effect)}: {_verdict(c, effect)}."


def is_small(c: Findings) -> bool:
    """Is the contextual effect certain to be small beside the coefficient?"""
    effect = _reported(c)
    return effect is not None and _largest(effect) < _SMALL * _slope(c)


def _verdict(c: Findings, effect: Effect) -> str:
    differ = not (c.conditions.coincide or c.conditions.is_zero)
    if c.contextual.in_doubt:
        if is_small(c):
            return (
                "evidence that they are not, but of a small difference, at most "
                f"{percent(_largest(effect) / _slope(c))} of the coefficient"
            )
        gap = "the gap is a warning, as " if differ else ""
        return (
            f"evidence that they are not, so that {gap}coefficients between and within levels "
            "differ and those of lmer mix the two"
        )
    if effect.p_value < ALPHA:
        return (
            "evidence against that for one covariate but not for all together, which is weak: "
            "treat lmer's coefficient with reserve"
        )
    if _largest(effect) >= _PART * _slope(c):
        levels = next(len(g.levels) for g in c.mixed.rows.groups if g.name == effect.group)
        gap = " whether the gap is a warning" if differ else ""
        return (
            f"{count(levels, 'level')} cannot tell{gap}, which is neither an alarm nor an all-clear"
        )
    return (
        "no sign against that, as the data speak against effects outside this interval, but they "
        "cannot exclude smaller ones"
    )


def _largest(effect: Effect) -> float:
    """The largest contextual effect that the interval holds."""
    return max(abs(effect.low), abs(effect.high))


def _slope(c: Findings) -> float:
    """Size of the coefficient that the contextual effect is measured against."""
    row = c.focus
    return abs(row.within if not math.isnan(row.within) else row.partial)


def _reported(c: Findings) -> Effect | None:
    return _telling(c.contextual.effects, c.focus, in_doubt=c.contextual.in_doubt)


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


def _evidence(c: Findings, effect: Effect) -> str:
    """The test in numbers."""
    found, name = c.contextual, clipped(effect.name)
    low, high = numbers(effect.low, effect.high)
    together = f"; all means together: {p_value(found.p_value)}" if found.num_df > 1 else ""
    variance = ""
    if found.singular:
        variance = "; a variance is estimated as zero there, which can make this overconfident"
    of = f" of {clipped(effect.group)}" if len(c.mixed.rows.groups) > 1 else ""
    return (
        f"Mundlak's test of whether the effects of {c.group_names} are unrelated to the covariates "
        f"adds each level's means of them and gives {name} a contextual effect (its coefficient "
        f"between levels{of} less that within) of {number(effect.estimate)} (SE "
        f"{number(effect.std_error)}, {effect.df:.1f} df, {p_value(effect.p_value)}, 95 % interval "
        f"{low} to {high}{together}{variance})"
    )


def _untested(c: Findings) -> str:
    """Why there is no test."""
    effects = c.contextual.effects
    what = f"the effects of {c.group_names} are unrelated to the covariates"
    if not effects:
        return (
            f"Whether {what} cannot be tested here, because no covariate varies within levels: "
            "knowledge from outside has to decide"
        )
    reasons = {e.reason for e in effects}
    if reasons == {"flat"}:
        return (
            f"That {what} holds by design as far as means go, because every level has the same "
            "mean of each covariate that varies within levels"
        )
    if "few" in reasons:
        few = min(len(g.levels) for g in c.mixed.rows.groups)
        return (
            f"Whether {what} cannot be tested here, because {count(few, 'level')} are too few: "
            "neither an alarm nor an all-clear"
        )
    return f"Whether {what} could not be tested here ({effects[0].note})"
