"""What `check` says of the random part: convergence, singular directions, groups, influence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import boundary, optimize
from .deletion import held, refit_seconds
from .estimates import is_singular
from .influence import Influence, influence

if TYPE_CHECKING:
    from .boundary import Direction
    from .lmm import LmmRecord
    from .optimize import Optimum

__all__ = [
    "SEVERITIES",
    "Finding",
    "convergence",
    "group_sizes",
    "influential",
    "number",
    "singular",
]

SEVERITIES = ("ok", "note", "warning", "problem")
"""Fine; worth knowing; may change a conclusion; do not use the numbers."""

_DIGITS = 1e-10  # as the warning of the fit
_FEW = 5  # levels below which a variance between them is a guess (Gelman & Hill 2007, 12.9)
_SHARE = 0.5  # of the rows in one level, or of the levels with one row
_SECONDS = 2.0  # of refits that a check may take
_FAR = 1.0  # F distance: half-way into the confidence region of the coefficients (Cook 1977)
_NEAR = 0.5  # the same with theta held: worth a refit
_REFITS = 20
_T = 2.0  # a coefficient twice its standard error
_UNCLEAR = 1.5  # and one that is not near it


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    kind : str
        ``"convergence"``, ``"singular"``, ``"groups"``, ``"influence"``, ``"collinearity"``,
        ``"scale"``, ``"residuals"`` or ``"leverage"``.
    severity : "ok", "note", "warning" or "problem"
    text : str
        What was found, and what can be done.
    values : tuple of (str, float)
        The numbers behind it; `numbers` has them as a dict.
    """

    kind: str
    severity: str
    text: str
    values: tuple[tuple[str, float], ...] = ()

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers behind the text."""
        return dict(self.values)


def number(value: float) -> str:
    """Three significant digits, without an exponent where that is readable."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.3g}" if 1e-4 <= abs(value) < 1e3 else f"{value:.4g}"


def convergence(record: LmmRecord) -> list[Finding]:
    """Is this the optimum, and how is that known."""
    found, values = record.optimum, _numbers_of(record)
    what = "REML criterion" if record.spec.reml else "deviance"
    if record.solution.sigma == 0:
        return [
            Finding(
                "convergence",
                "problem",
                "The fixed effects fit the response exactly, so every variance is zero and there "
                "is nothing to test. Is the response constant, or computed from the predictors?",
                values,
            )
        ]
    if not found.converged:
        return [Finding("convergence", "problem", _not_converged(record, what), values)]
    out = [
        Finding(
            "convergence",
            "ok",
            f"Converged: the {what} can fall by less than {_bound(found)} by a further Newton "
            "step, and not by letting a variance of zero grow.",
            values,
        )
    ]
    left = record.solution.pwrss / record.products.native.rss0
    if left < _DIGITS:
        out.append(
            Finding(
                "convergence",
                "warning",
                f"The residual sum of squares is {left:.0e} of the response's, so theta and sigma "
                "have few correct digits. The response nearly repeats within levels: fit level "
                "means, or take these two as rough.",
                (("share", left),),
            )
        )
    return out


def _bound(found: Optimum) -> str:
    """What the criterion is within of its minimum, upwards to one digit; at least its rounding."""
    left = max(found.decrement / 2, 1e-13 * abs(found.objective), 1e-300)
    size = math.floor(math.log10(left))
    return f"{math.ceil(left / 10.0**size) * 10.0**size:.0e}"


def _numbers_of(record: LmmRecord) -> tuple[tuple[str, float], ...]:
    found = record.optimum
    return (
        ("decrement", float(found.decrement)),
        ("gradient_norm", float(found.gradient_norm)),
        ("kkt", float(found.kkt)),
        ("evaluations", float(found.evaluations)),
    )


def _not_converged(record: LmmRecord, what: str) -> str:
    found = record.optimum
    text = f"Not at a certified optimum: {found.message}."
    if math.isfinite(found.decrement):
        text += f" A Newton step promises to lower the {what} by about {found.decrement / 2:.1g}."
    if found.message == optimize.UNBOUNDED:
        return f"{text} Drop the term whose levels fit the response exactly."
    if found.evaluations >= record.control.max_evaluations:
        more = max(500, 4 * record.control.max_evaluations)
        return (
            f"{text} Fit again with control=pp.Control(max_evaluations={more}), or drop random "
            "slopes that the data cannot estimate."
        )
    if not found.kkt:
        return f"{text} Fit again from another start: control=pp.Control(start=...)."
    return (
        f"{text} Rescale the columns of the random part so that their values are near one; "
        "optimum.log has every step."
    )


# -- singular -------------------------------------------------------------------------------------


def singular(record: LmmRecord) -> list[Finding]:
    """Which variances are zero, or which effects repeat each other, and what to do."""
    if record.solution.sigma == 0:
        return []
    found = boundary.directions(record)
    if found:
        return [_singular(record, d) for d in found]
    k = sum(len(s.columns) for s in record.layout.specs)
    what = (
        "variance is positive"
        if k == len(record.layout.specs)
        else ("variance is positive and no correlation is plus or minus one")
    )
    text = f"Not singular: every {what}."
    if is_singular(record):
        text += (
            " An element of theta is below 1e-4, which lme4 would call singular; it is small "
            "because of the units of its column only."
        )
    return [Finding("singular", "ok", text)]


def _singular(record: LmmRecord, d: Direction) -> Finding:
    spec = record.layout.specs[d.term]
    values = (("rank", float(record.optimum.rank[d.term])), ("columns", float(len(spec.columns))))
    bar, group = spec.text, spec.group
    if d.kind == "variance":
        return Finding(
            "singular", "warning", _no_variance(d.columns[0], bar, group, spec.columns), values
        )
    if d.kind == "correlation":
        a, b = d.columns
        text = f"In {bar}, {a} and {b} vary together: their correlation is {d.weights[0]:+.0f}."
        if d.meeting is not None:
            x = b if a == "Intercept" else a
            text += f" The lines of all levels of {group} meet at {x} = {number(d.meeting)}."
        text += (
            f" The data do not tell the two apart between levels of {group}: || for | sets the "
            f"correlation to zero (centre a covariate first), and a term without {b} has one "
            "variance. If neither is plausible, keep the term; the estimates are right."
        )
        return Finding("singular", "warning", text, values)
    sum_of = _combination(d.columns[1:], d.weights)
    return Finding(
        "singular",
        "warning",
        f"In {bar}, {d.columns[0]} is a combination of the others: in every level of {group} its "
        f"effect is {sum_of}. Rank {record.optimum.rank[d.term]} of {len(spec.columns)} columns: "
        "the data support fewer. Take a column out, or write || for |, which sets correlations to "
        "zero. The estimates are right.",
        values,
    )


def _no_variance(column: str, bar: str, group: str, columns: tuple[str, ...]) -> str:
    if columns == ("Intercept",):
        return (
            f"The variance of {bar} is zero: levels of {group} differ no more than rows within a "
            "level do. Without the term the fit is the same; keep it if the design asks for it. If "
            f"levels should differ, look at the coding of {group}."
        )
    if column == "Intercept":
        return (
            f"In {bar} the variance of the intercept is zero: levels of {group} agree where the "
            "other columns are zero. Is that where a covariate begins? Then leave the intercept "
            "out (0 + ...); else centre the covariates."
        )
    return (
        f"In {bar} the variance of {column} is zero: its effect is the same in all levels of "
        f"{group}. Without {column} in the term the fit is the same; keep it if the design asks "
        "for it."
    )


def _combination(columns: tuple[str, ...], weights: tuple[float, ...]) -> str:
    parts = [f"{number(w)} {c}" for c, w in zip(columns, weights, strict=True)]
    return " + ".join(parts).replace("+ -", "- ")


# -- groups ---------------------------------------------------------------------------------------


def group_sizes(record: LmmRecord) -> list[Finding]:
    """Few levels, one level with most rows, levels of one row."""
    out = []
    for group in record.rows.groups:
        J, n = len(group.levels), record.rows.nobs
        counts = np.bincount(group.codes, minlength=J)
        largest, single = int(counts.argmax()), int((counts == 1).sum())
        values = (
            ("levels", float(J)),
            ("smallest", float(counts.min())),
            ("largest", float(counts.max())),
        )
        texts, severity = [], "ok"
        if J < _FEW:
            severity = "warning" if J == 2 else "note"
            texts.append(
                f"{group.name} has {J} levels, so its variance rests on {J - 1} "
                f"{'difference' if J == 2 else 'differences'} and is very uncertain: look at its "
                f"profile interval, test with ddf='kenward-roger', or make {group.name} a fixed "
                "effect."
            )
        if J > 2 and counts.max() > _SHARE * n:
            severity = "note" if severity == "ok" else severity
            texts.append(
                f"{counts.max()} of {n} rows are in one level of {group.name}, "
                f"{group.levels[largest]}; what the others have in common counts for less."
            )
        if single > _SHARE * J:
            severity = "note" if severity == "ok" else severity
            texts.append(
                f"{single} of the {J} levels of {group.name} have one row, which says nothing of "
                "the variance within levels."
            )
        if not texts:
            rows = (
                str(counts.min())
                if counts.min() == counts.max()
                else (f"{counts.min()} to {counts.max()}")
            )
            texts.append(f"{group.name} has {J} levels of {rows} rows.")
        out.append(Finding("groups", severity, " ".join(texts), values))
    return out


# -- influence ------------------------------------------------------------------------------------


def influential(record: LmmRecord) -> list[Finding]:
    """Levels without which the fixed effects are others; by refits, where they are quick."""
    if record.solution.sigma == 0 or not len(record.kept):
        return []
    out = []
    for group in record.rows.groups:
        J = len(group.levels)
        if J < 3:
            continue
        seconds = refit_seconds(record, J)
        if seconds > _SECONDS:
            screened = _screened(record, group.name)
            if screened is not None:
                out.append(screened)
                continue
            out.append(
                Finding(
                    "influence",
                    "ok",
                    f"The influence of the {J} levels of {group.name} was not looked at: {J} "
                    f"refits take about {_duration(seconds)}. fit.influence({group.name!r}) does.",
                    (("levels", float(J)),),
                )
            )
            continue
        out.append(_of_group(influence(record, group.name, progress=False)))
    return out


def _screened(record: LmmRecord, name: str) -> Finding | None:
    """By distances at the same theta, and refits of the levels that are far there."""
    distance = held(record)
    if distance is None:
        return None
    largest = int(np.argmax(distance))
    far = np.argsort(-distance)[: int((distance >= _NEAR).sum())][:_REFITS].tolist()
    if far and refit_seconds(record, len(far)) <= 10 * _SECONDS:
        return _of_group(influence(record, name, progress=False, only=far))
    label = record.rows.groups[0].levels[largest]
    severity = "note" if distance[largest] >= _FAR else "ok"
    text = (
        f"{label} of {name} moves the fixed effects far"
        if severity == "note"
        else f"No level of {name} moves the fixed effects far"
    )
    return Finding(
        "influence",
        severity,
        f"{text}: the largest F distance, with theta held, is {number(distance[largest])}, of "
        f"{label} (from 1 on it is called far).",
        (("largest", float(distance[largest])), ("levels", float(len(distance)))),
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _of_group(found: Influence) -> Finding:
    distance = np.where(np.isnan(found.f_distance), -1.0, found.f_distance)
    order = np.argsort(-distance)
    first = int(order[0])
    name, label = found.group, found.labels[first]
    if distance[first] < 0:
        return Finding(
            "influence", "ok", f"No refit without a level of {name} has all coefficients."
        )
    values = (("largest", float(distance[first])), ("levels", float(len(order))))
    how = f"fit.influence({name!r})"
    if distance[first] < _FAR:
        return Finding(
            "influence",
            "ok",
            f"No level of {name} moves the fixed effects far: the largest F distance is "
            f"{number(distance[first])}, of {label} (from 1 on it is called far).",
            values,
        )
    far = [int(j) for j in order if distance[j] >= _FAR]
    turned = [(j, k) for j in far for k in _turned(found, j)]
    if not turned:
        k = int(np.nanargmax(np.abs(found.dfbetas.to_numpy()[first])))
        return Finding(
            "influence",
            "note",
            f"Without {label} the fixed effects move far (F distance {number(distance[first])}): "
            f"{found.names[k]} goes from {number(found.params[k])} to "
            f"{number(found.estimates[first, k])}. No effect passes |t| = 2 by that, or only just. "
            f"{_others(far, found)}See {how}.",
            values,
        )
    j, k = turned[0]
    return Finding(
        "influence",
        "warning",
        f"{found.names[k]} depends on {found.labels[j]} of {name}: without it the estimate goes "
        f"from {number(found.params[k])} (SE {number(found.bse[k])}) to "
        f"{number(found.estimates[j, k])} (SE {number(found.std_errors[j, k])}). Look at that "
        f"level's rows, and report both. {_others(far, found)}See {how}.",
        values,
    )


def _others(far: list[int], found: Influence) -> str:
    more = len(far) - 1
    if not more:
        return ""
    return f"{more} other {'levels move' if more > 1 else 'level moves'} them far, too. "


def _turned(found: Influence, j: int) -> list[int]:
    """Effects that pass |t| = 2, and not just so, or change a clear sign; not the intercept."""
    with np.errstate(divide="ignore", invalid="ignore"):
        before, after = found.params / found.bse, found.estimates[j] / found.std_errors[j]
    clear, still = np.abs(before) >= _T, np.abs(after) >= _T
    moved = np.abs(found.params - found.estimates[j]) >= _T * found.bse
    by_much = moved | (np.minimum(np.abs(before), np.abs(after)) <= _UNCLEAR)
    reversed_ = clear & still & (np.sign(before) != np.sign(after))
    changed = ((clear != still) & by_much) | reversed_
    return [k for k in np.flatnonzero(changed).tolist() if found.names[k] != "Intercept"]
