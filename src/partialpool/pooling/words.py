"""The answer in words: why `lm` and `lmer` differ here, every claim tied to a number found.

`sentences` picks one wording for each point that a reader needs, what happened first; a point that
has nothing to say in this comparison is left out. Tests hold each situation to what it must and
must not say.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .. import varcorr
from .headline import headline, is_doubtful, method, moved
from .prose import all_of, clipped, count, number, numbers, percent
from .warning import warning

if TYPE_CHECKING:
    from .findings import Findings
    from .table import Row

__all__ = ["sentences"]

_ALIKE = 0.1  # relative: standard errors that differ by less say the same
_FEW = 20  # clusters below which CR2 itself is rough (Pustejovsky and Tipton 2018)


def sentences(c: Findings) -> tuple[str, ...]:
    """Four to eight sentences on a comparison.

    Parameters
    ----------
    c : Findings

    Returns
    -------
    tuple of str
    """
    if c.mixed.solution.sigma == 0:
        return _nothing_varies(c)
    points = (
        headline(c),
        _models(c),
        _weights(c),
        _move(c),
        warning(c),
        _errors(c),
        _advice(c),
        _no_option(c),
    )
    return tuple(p for p in points if p)


# -- what each model assumes ----------------------------------------------------------------------


def _models(c: Findings) -> str:
    known = _covariates(c)
    given = f" once {known} {'are' if ' and ' in known else 'is'} known" if known else ""
    may = "may " if c.conditions.is_zero else ""
    alike = f"so that rows of one level {may}resemble each other"
    if not c.conditions.is_zero and c.is_one_intercept:
        beyond = " beyond the covariates" if known else ""
        if c.mixed.rows.weights is not None:
            beyond += " for rows of weight 1"
        alike = (
            f"so that rows of one {c.group_name} are alike (correlation {number(c.icc)}{beyond})"
        )
    unrelated = " unrelated to the covariates" if known else ""
    return (
        f"lm (complete pooling) takes the {c.mixed.rows.nobs:,} rows as independent{given}, while "
        f"lmer (partial pooling) lets {_parts(c)}, drawn from a normal distribution{unrelated}"
        f"{_flat(c)}, {alike}."
    )


def _covariates(c: Findings) -> str:
    """The terms of the fixed part."""
    terms = [":".join(f.text for f in term) for term in c.mixed.schema.formula.fixed if term]
    if len(terms) > 3:
        return "the covariates and factors"
    return all_of([clipped(t) for t in terms])


def _parts(c: Findings) -> str:
    """Which levels have which effects of their own."""
    rows = c.mixed.rows
    columns: dict[int, list[str]] = {}
    for term in rows.terms:
        columns.setdefault(term.group, []).extend(term.spec.columns)
    alike: dict[str, list[str]] = {}
    for g, names in columns.items():
        group = rows.groups[g]
        level = f"each of the {len(group.levels):,} levels of {clipped(group.name)}"
        alike.setdefault(_own(names), []).append(level)
    if len(columns) > 3:
        return f"the levels of {c.group_names} have effects of their own"
    return all_of([f"{all_of(levels)} have {own} of its own" for own, levels in alike.items()])


def _flat(c: Findings) -> str:
    """Which of several effects are estimated as constant."""
    if c.conditions.is_zero:
        return ""
    flat = [
        f"{clipped(column)} by {clipped(component.group)}"
        for component in varcorr.of(c.mixed).components
        for column, sd in zip(component.columns, component.std_dev, strict=True)
        if sd == 0
    ]
    return f" (with an estimated variance of zero for {all_of(flat[:3])})" if flat else ""


def _own(names: list[str]) -> str:
    """The effects of a level."""
    own = ["an intercept" if n == "Intercept" else f"a coefficient of {clipped(n)}" for n in names]
    return all_of(own if len(own) <= 3 else [*own[:2], f"{len(own) - 2} more coefficients"])


# -- why rows are weighed differently -------------------------------------------------------------


def _weights(c: Findings) -> str:
    if c.conditions.is_zero:
        few = min(len(g.levels) for g in c.mixed.rows.groups)
        return (
            f"From {count(few, 'level')} that does not prove the true variance to be zero, only "
            "that these data ask for none."
        )
    if c.conditions.coincide:
        return ""
    if any(len(t.columns) > 1 or t.spec.columns != ("Intercept",) for t in c.mixed.rows.terms):
        say = "counts every row alike"
        if c.mixed.rows.weights is not None:
            say = "goes by the weights of the rows alone"
        return (
            f"lm {say}; lmer, by generalized least squares, takes into account that rows of one "
            f"level of {c.group_names} share its effects, so that what they have in common is "
            "counted once and not with every row."
        )
    either = c.group_names.replace(" and ", " or ")
    alike = "counts both kinds of comparison alike"
    if c.mixed.rows.weights is not None:
        alike = "goes by the weights of the rows alone"
    text = (
        f"What sets a level of {either} apart cancels when its rows are compared with each other, "
        f"but not when levels are compared: lm {alike}, while lmer, by generalized least squares, "
        "trusts the first more"
    )
    row = c.focus
    shares = (row.weight_between_lm, row.weight_between)
    if math.isnan(row.within) or math.isnan(shares[0]) or max(shares) < 1e-6:
        return f"{text}."
    return (
        f"{text} (of the information on {clipped(row.name)}, {percent(row.weight_between_lm)} "
        f"comes from differences between levels in lm and {percent(row.weight_between)} in lmer)."
    )


# -- where the coefficient moved to ---------------------------------------------------------------


def _move(c: Findings) -> str:
    if c.conditions.is_zero or c.conditions.coincide:
        return ""
    row = c.focus
    name = "the intercept" if row.name == "Intercept" else clipped(row.name)
    if not math.isnan(row.within):
        return _move_varying(c, row)
    if c.is_one_intercept and row.name != "Intercept":
        counts = "rows" if c.mixed.rows.weights is None else "weight"
        return (
            f"Because {name} is constant within the levels of {c.group_name}, only the "
            f"{len(c.mixed.rows.groups[0].levels):,} levels tell of it, and where lm counts a "
            f"level by its {counts}, lmer counts levels more equally; no pooling has no estimate."
        )
    end = number(float(c.coefficients_at(math.inf)[row.name]))
    what = "The intercept" if row.name == "Intercept" else f"The coefficient of {name}"
    return (
        f"{what} would tend to {end} if the levels were left entirely free; no pooling as such "
        f"does not estimate it, because {_clause(row)}."
    )


def _clause(row: Row) -> str:
    """Why no pooling has no estimate, as part of a sentence."""
    reason = row.note.split(";")[0]
    if reason.startswith("constant within"):
        return f"it is {reason.split(':')[0]}"
    gives = "no pooling gives each level of "
    if reason.startswith(gives):
        group, _, own = reason.removeprefix(gives).partition(" an intercept ")
        if own:
            return f"each level of {group} has an intercept of its own there"
        group = reason.removeprefix(gives).removesuffix(" a coefficient of its own")
        return f"each level of {group} has a coefficient of its own there"
    return reason


def _move_varying(c: Findings, row: Row) -> str:
    """A coefficient that all three fits estimate."""
    few = any(e.reason == "few" for e in c.contextual.effects)
    means = [] if math.isnan(row.between) or few else [row.between_lm, row.between]
    within, *between = numbers(row.within, *means)
    same = f"one {c.group_name}" if c.is_one_intercept else f"the same levels of {c.group_names}"
    text = f"Rows of {same} alone (no pooling) give {within}"
    if between:
        text += f", the means of the levels {between[0]}"
        if between[0] != between[1]:
            text += f" (weighed as in lm; {between[1]} as in lmer)"
    ends = []
    if between and min(row.within, row.between_lm) < row.complete < max(row.within, row.between_lm):
        ends.append("lm blends the two")
    if moved(c):
        nearer = abs(row.partial - row.within) < abs(row.complete - row.within)
        first = "the first" if between else "that"
        ends.append(f"lmer moves {'towards' if nearer else 'away from'} {first}")
    return f"{text}{': ' if ends else ''}{', and '.join(ends)}{_outside(c, row)}."


def _outside(c: Findings, row: Row) -> str:
    """The estimate need not lie between its ends; where a reader can see that it does not."""
    low, high = sorted((row.complete, row.within))
    if low <= row.partial <= high:
        return ""
    passed = high if row.partial > high else low
    if number(passed) == number(row.partial):
        return ""
    reason = "coefficients are averaged jointly, not one by one"
    if len([r for r in c.rows if r.name != "Intercept"]) < 2:
        reason = "the weights of the levels change along the way"
    return f" (that its value does not lie between lm's and no pooling's is no error: {reason})"


# -- standard errors ------------------------------------------------------------------------------


def _errors(c: Findings) -> str:
    if c.conditions.is_zero:
        return ""
    row = c.focus
    k = [r.name for r in c.rows].index(row.name)
    under = float(c.standard_errors["lm_under_lmer"].iloc[k])
    if not row.complete_se > 0 or not under > 0:
        return ""
    own, right = numbers(row.complete_se, under)
    verdict = f"is about right here ({right} if the mixed model holds)"
    if abs(row.complete_se / under - 1) > _ALIKE:
        verdict = f"is too {'small' if row.complete_se < under else 'large'} for its estimate: "
        verdict += f"{right} if the mixed model holds"
    robust = ""
    if row.complete_cr2 > 0:
        levels = min(len(g.levels) for g in c.mixed.rows.groups)
        rough = f", rough with {count(levels, 'level')}" if levels < _FEW else ""
        robust = f"; cluster-robust (CR2{rough}): {number(row.complete_cr2)}"
    name = "the intercept" if row.name == "Intercept" else clipped(row.name)
    n, effective = c.mixed.rows.nobs, c.effective_n
    about = f"{effective:,.0f}" if effective >= 9.5 else f"{effective:.1f}"
    return (
        f"Because rows resemble each other, {n:,} of them tell as much about the overall mean as "
        f"{about} independent ones, and lm's standard error of {name}, {own}, which takes them as "
        f"independent, {verdict}{robust}."
    )


# -- what to use when -----------------------------------------------------------------------------


def _advice(c: Findings) -> str:
    row = c.focus
    name, groups = clipped(row.name), c.group_names
    response = c.mixed.schema.formula.response
    y = clipped(response[0].text) if response else "the response"
    if c.conditions.is_zero:
        return (
            f"Report either; if {groups} is part of the design, keep lmer or give lm "
            "cluster-robust standard errors, because an estimate of zero does not prove the rows "
            "independent."
        )
    if row.name == "Intercept":
        return (
            f"For the mean of {y} over levels use lmer with its standard error; for the mean over "
            "rows like these use lm with a cluster-robust standard error."
        )
    if c.conditions.coincide:
        return (
            "The estimates being the same, only precision is at stake: for the coefficient of "
            f"{name} report lmer with its standard error ({number(row.partial_se)}), or lm with a "
            "cluster-robust one."
        )
    marginal = (
        f"to describe how {y} goes with {name} over rows like these, whatever their {groups}, use "
        "lm, with cluster-robust standard errors"
    )
    if math.isnan(row.within):
        return (
            f"For how {y} goes with {name} in a typical level use lmer; {marginal}, since its own "
            "ones take the rows as independent."
        )
    factors = "a factor" if len(c.mixed.rows.groups) == 1 else "factors"
    within = f"lm with {groups} as {factors} ({_with_se(row.within, row.within_se)})"
    same = f"rows of one {c.group_name}" if c.is_one_intercept else "rows of the same levels"
    if is_doubtful(c):
        return (
            f"For how {y} changes with {name} among {same} use {within}, or lmer with the means of "
            f"the levels added, rather than the lmer fitted here; {marginal}."
        )
    return (
        f"For how {y} changes with {name} among {same} use lmer or, without its assumption, "
        f"{within}; {marginal}."
    )


def _with_se(value: float, se: float) -> str:
    return f"{number(value)}, SE {number(se)}" if se > 0 else number(value)


def _no_option(c: Findings) -> str:
    zero = "that is, with all variances of random effects at zero"
    if c.is_one_intercept:
        zero = f"that is, with the standard deviation of {c.group_name} at zero"
    if c.conditions.is_zero:
        here = "which is where this fit ended"
    elif c.is_one_intercept:
        here = f"and {method(c)} puts it at {number(c.ratio)} residual standard deviations"
    else:
        here = f"which is not what {method(c)} finds"
    return (
        "There is no OLS option for a mixed model, because least squares is what lmer becomes "
        f"with Lambda = 0, {zero}, {here}."
    )


def _nothing_varies(c: Findings) -> tuple[str, ...]:
    return (
        "lm and lmer agree here: the fixed part fits the response exactly, so that nothing is left "
        "over for either, and the residual variance and those of all random effects are zero.",
        "lm (complete pooling) takes the rows as independent, while lmer (partial pooling) would "
        f"let the levels of {c.group_names} have effects of their own.",
        "Both models have the same coefficients, and standard errors of zero, which mean nothing "
        "here, and no test of lmer's assumption is possible.",
        "Check whether the response is constant, or was computed from the covariates, before using "
        "either fit.",
        "There is no OLS option for a mixed model, because least squares is what lmer becomes with "
        "Lambda = 0, and that is where this fit ended.",
    )
