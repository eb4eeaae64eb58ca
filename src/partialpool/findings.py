"""What `check` says of the random part: convergence, singular directions, sizes of groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import boundary, optimize
from .estimates import is_singular

if TYPE_CHECKING:
    from .boundary import Direction
    from .lmm import LmmRecord
    from .optimize import Optimum

__all__ = [
    "SEVERITIES",
    "Finding",
    "convergence",
    "group_sizes",
    "number",
    "singular",
]

SEVERITIES = ("ok", "note", "warning", "problem")
"""Fine; worth knowing; may change a conclusion; do not use the numbers."""

_DIGITS = 1e-10  # as the warning of the fit
_FEW = 5  # levels below which a variance between them is a guess (Gelman & Hill 2007, 12.9)
_SHARE = 0.5  # of the rows in one level, or of the levels with one row


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
