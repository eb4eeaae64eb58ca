"""What `check` says of the fixed part and the rows: collinearity, scales, residuals, leverages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from . import frames
from ._core import fill
from ._types import Column, FloatArray
from .collinearity import Inflation, inflation
from .diagnostics import cooks_distance, hatvalues, residuals, rstudent, standardized_residuals
from .estimates import df_resid, sigma
from .findings import Finding, number
from .ols import OlsRecord
from .predict import BLOCK
from .robust import ABSORBED

if TYPE_CHECKING:
    from .estimates import Record

__all__ = ["collinearity", "leverages", "outliers", "scales"]

_VIF = 10.0  # custom: the standard error is more than three times as large (Marquardt 1970)
_NAMED = 5  # terms, columns or rows named one by one
_RANGE = 1e4  # standard deviations of columns this far apart print badly; the fit is indifferent
_FAR = 1e4  # a mean this many standard deviations from zero
_CHANCE = 0.05  # of an outlier among all rows if errors are normal
_GROSS = 8.0  # calibrated: fits of the bundled data sets have residuals up to 6.5
_DENSE = 5e7  # rows times dense columns squared up to which leverages are quick
_EXACT = 8 * 2.0**-52  # rounding of y: residuals below this share of it are none
_COOK = 1.0  # half-way into the confidence region of the coefficients (Cook 1977)


def collinearity(record: Record) -> list[Finding]:
    """Columns left out, and terms whose standard errors others inflate."""
    out = []
    for j, of in record.aliases[:_NAMED]:
        name = record.names[j]
        what = f"repeats {', '.join(record.names[i] for i in of)}" if of else "is zero"
        out.append(
            Finding(
                "collinearity",
                "warning",
                f"{name} {what} and was left out: its coefficient is NaN, and the others mean what "
                f"they mean without it. Take it out of the formula, or what it repeats.",
            )
        )
    found = inflation(record, limit=_VIF)
    high = [i for i in found if i.vif > _VIF]
    built = [i for i in high if i.by_construction]
    out += [_inflated(i) for i in high if not i.by_construction][:_NAMED]
    if built:
        names = ", ".join(i.term for i in built)
        out.append(
            Finding(
                "collinearity",
                "note",
                f"{names}: VIF up to {number(max(i.vif for i in built))} by construction (powers, "
                "or main effects beside their interaction). The fit and the test of the highest "
                "term are not affected; centre numeric variables to make the lower ones readable.",
                tuple((f"vif.{i.term}", i.vif) for i in built),
            )
        )
    if not out and found:
        most = max(found, key=lambda i: i.vif)
        out.append(
            Finding(
                "collinearity",
                "ok",
                f"No term's standard error is inflated by the others: the largest VIF is "
                f"{number(most.vif)}, of {most.term} (above {_VIF:g} it is named).",
                tuple((f"vif.{i.term}", i.vif) for i in found),
            )
        )
    return out


def _inflated(i: Inflation) -> Finding:
    values = [("gvif", i.gvif), ("vif", i.vif), ("df", float(i.df))]
    values += [(f"vif without {name}", vif) for name, vif in i.partners]
    how = "its standard error is" if i.df == 1 else f"the standard errors of its {i.df} columns are"
    on_average = "" if i.df == 1 else " on average"
    names = " and ".join(name for name, _ in i.partners)
    text = (
        f"{i.term} has a VIF of {number(i.vif)}: {how}{on_average} {number(math.sqrt(i.vif))} "
        f"times as large as if the other terms were unrelated to it; without {names} the VIF would "
        f"be {number(i.partners[-1][1])}. The estimates are right, but these data hardly tell the "
        "effects apart: drop or combine terms, or interpret them together."
    )
    return Finding("collinearity", "warning", text, tuple(values))


# -- scales ---------------------------------------------------------------------------------------


def scales(record: Record) -> list[Finding]:
    """Columns of X and Z in very different units, or far from zero."""
    columns: dict[str, Column] = {}
    for column in [record.rows.fixed[i] for i in record.kept]:
        columns.setdefault(column.name, column)
    for term in record.rows.terms:
        for column in term.columns:
            columns.setdefault(column.name, column)
    numeric = [c for c in columns.values() if c.numeric]
    if not numeric:
        return []
    mean, sd = _moments(numeric, record.rows.nobs)
    varies = sd > 1e-14 * np.abs(mean)
    names = [c.name for c, v in zip(numeric, varies, strict=True) if v]
    mean, sd = mean[varies], sd[varies]
    if not names:
        return []
    out = []
    low, high = int(sd.argmin()), int(sd.argmax())
    if sd[high] > _RANGE * sd[low]:
        out.append(
            Finding(
                "scale",
                "note",
                f"Columns differ in scale: standard deviations from {number(sd[low])} "
                f"({names[low]}) to {number(sd[high])} ({names[high]}). The fit does not depend on "
                "it, since columns are centred and scaled inside; other units make the "
                "coefficients easier to read.",
                (("smallest", float(sd[low])), ("largest", float(sd[high]))),
            )
        )
    far = [i for i in range(len(names)) if abs(mean[i]) > _FAR * sd[i]]
    out += [_far_from_zero(names[i], float(mean[i]), float(sd[i])) for i in far[:_NAMED]]
    if not out:
        text = (
            f"Scales are no issue: the standard deviation of {names[low]} is {number(sd[low])}."
            if len(names) == 1
            else f"Columns are on similar scales: standard deviations from {number(sd[low])} "
            f"({names[low]}) to {number(sd[high])} ({names[high]})."
        )
        out.append(Finding("scale", "ok", text))
    return out


def _far_from_zero(name: str, mean: float, sd: float) -> Finding:
    return Finding(
        "scale",
        "note",
        f"{name} is {number(abs(mean) / sd)} standard deviations from zero (mean {number(mean)}, "
        f"standard deviation {number(sd)}), so the intercept is an extrapolation. The fit does not "
        "depend on it; with the covariate centred, intercept and variances are those at its mean.",
        (("mean", mean), ("std_dev", sd)),
    )


def _moments(columns: list[Column], n: int) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of each column, about its first value."""
    pilot = fill(columns, 0, 1)[0]
    total, square = np.zeros(len(columns)), np.zeros(len(columns))
    for start in range(0, n, BLOCK):
        block = fill(columns, start, min(start + BLOCK, n)) - pilot
        total += block.sum(axis=0)
        square += (block**2).sum(axis=0)
    return pilot + total / n, np.sqrt(np.maximum(square - total**2 / n, 0.0) / max(n - 1, 1))


# -- rows -----------------------------------------------------------------------------------------


def outliers(record: Record) -> list[Finding]:
    """Residuals larger than chance allows among so many normal ones."""
    from scipy import special

    assert record.rows.y is not None
    if sigma(record) <= _EXACT * float(np.linalg.norm(record.rows.y)) / record.rows.nobs**0.5:
        return []
    n = record.rows.nobs
    if isinstance(record, OlsRecord):
        r = rstudent(record)
        if df_resid(record) < 3:
            return []
        limit = -float(special.stdtrit(df_resid(record) - 1, _CHANCE / (2 * n)))
    else:
        dense = record.products.native.dense_columns() if len(record.rows.groups) > 1 else 1
        quick = n * float(dense) ** 2 <= _DENSE
        r = standardized_residuals(record) if quick else residuals(record, "scaled")
        limit = -float(special.ndtri(_CHANCE / (2 * n)))
    size = np.abs(np.where(np.isfinite(r), r, 0.0))
    worst = np.argsort(-size)[:_NAMED]
    values = (
        ("largest", float(size[worst[0]])),
        ("limit", limit),
        ("beyond", float((size > limit).sum())),
    )
    labels = frames.used_index(record)
    count = int((size > limit).sum())
    if not count:
        return [
            Finding(
                "residuals",
                "ok",
                f"No residual stands out: the largest standardised one is {number(size[worst[0]])} "
                f"(row {labels[worst[0]]}), and of {n} normal ones one in twenty times some pass "
                f"{number(limit)}.",
                values,
            )
        ]
    listed = ", ".join(f"{labels[i]} ({r[i]:+.1f})" for i in worst if size[i] > limit)
    more = f" and {count - _NAMED} more" if count > _NAMED else ""
    gross = size[worst[0]] > _GROSS
    what = "row has a residual" if count == 1 else "rows have residuals"
    advice = (
        "So large a one is seldom chance: look for a slip in the data."
        if gross
        else "The fixed effects bear a few of these; fit.influence() has what each does to them."
    )
    text = (
        f"{count} {what} beyond {number(limit)} standard deviations, which {n} normal ones pass "
        f"one time in twenty: {listed}{more}. {advice}"
    )
    return [Finding("residuals", "warning" if gross else "note", text, values)]


def leverages(record: OlsRecord) -> list[Finding]:
    """Rows that alone determine a coefficient, and rows that move the coefficients far."""
    h, labels = hatvalues(record), frames.used_index(record)
    out = []
    alone = np.flatnonzero(1 - h <= ABSORBED)
    if len(alone):
        out.append(
            Finding(
                "leverage",
                "note",
                f"{len(alone)} {'row determines' if len(alone) == 1 else 'rows determine'} a "
                f"coefficient alone and are fitted exactly: {_listed(labels, alone)}.",
                (("rows", float(len(alone))),),
            )
        )
    if not len(record.kept):
        return out
    assert record.rows.y is not None
    if math.sqrt(record.rss) <= _EXACT * float(np.linalg.norm(record.rows.y)):
        out.append(
            Finding(
                "residuals",
                "problem",
                "The predictors fit the response exactly, so there is nothing to test. Is the "
                "response constant, or computed from the predictors?",
                (("rss", record.rss),),
            )
        )
        return out
    cook = np.where(1 - h <= ABSORBED, 0.0, np.nan_to_num(cooks_distance(record)))
    far = np.argsort(-cook)[: int((cook >= _COOK).sum())]
    first = int(np.argmax(cook))
    if len(far):
        shown = ", ".join(f"{labels[i]} ({number(cook[i])})" for i in far[:_NAMED])
        rows, each = ("row", "it") if len(far) == 1 else ("rows", "each")
        out.append(
            Finding(
                "influence",
                "warning",
                f"Cook's distance is 1 or more for {len(far)} {rows}: {shown}. The coefficients "
                f"without {each} are in fit.influence(); report both.",
                (("largest", float(cook[first])),),
            )
        )
    else:
        out.append(
            Finding(
                "influence",
                "ok",
                f"No row moves the coefficients far: the largest Cook's distance is "
                f"{number(cook[first])}, of row {labels[first]} (from 1 on it is called far).",
                (("largest", float(cook[first])),),
            )
        )
    return out


def _listed(labels: Any, at: Any) -> str:
    more = f" and {len(at) - _NAMED} more" if len(at) > _NAMED else ""
    return ", ".join(str(labels[i]) for i in at[:_NAMED]) + more
