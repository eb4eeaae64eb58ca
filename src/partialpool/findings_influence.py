"""What `check` says of influence: levels without which the fixed effects are others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .deletion import held, refit_seconds
from .findings import Finding, number
from .influence import Influence, influence

if TYPE_CHECKING:
    from .lmm import LmmRecord

__all__ = ["influential"]

_SECONDS = 2.0  # of refits that a check may take
_FAR = 1.0  # F distance: half-way into the confidence region of the coefficients (Cook 1977)
_NEAR = 0.5  # the same with theta held: worth a refit
_REFITS = 20
_T = 2.0  # a coefficient twice its standard error
_UNCLEAR = 1.5  # and one that is not near it


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
