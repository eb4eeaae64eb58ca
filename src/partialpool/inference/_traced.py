"""Curves from the native code: which parameters there are, where points are wanted, what to say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import lmm
from .._errors import ConvergenceError, SpecificationError
from .._types import FloatArray
from ..covariance import elements
from . import _parameters
from ._curves import (
    BOUND,
    COEFFICIENT,
    CORRELATION,
    FAILED,
    ROUNDING,
    SD,
    SIGMA,
    Curve,
    centre_rate,
    quantile,
    to_value,
)

if TYPE_CHECKING:
    from ..lmm import LmmRecord

__all__ = ["Target", "curves", "remarks", "targets"]

Target = tuple[int, int, int, int]
"""Kind, term, and one or two columns."""

_USUAL = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 0.9999)  # levels that get points of their own
_WIDEST = 0.45  # of zeta, between points
_WIDE = 0.7  # ... where a point costs a second: there likelihoods are nearly quadratic
_MANY = 400  # dense columns of such models
_LOOSE = 1e-7  # ... and the decrement of theirs, 1e-7 of zeta at the limits
_LEAST = 0.6  # of zeta: how far a profile goes at least
_BETTER = 1e-5  # deviance below the fit's that is no rounding
_SHARE = 1e-10  # ... as a share of the deviance


def curves(
    record: LmmRecord, names: Sequence[str], z: float, *, progress: bool = False
) -> list[Curve]:
    """The profiles of some parameters.

    Parameters
    ----------
    record : LmmRecord
        By maximum likelihood.
    names : sequence of str
    z : float
        The distance of zeta from zero that is wanted on both sides.
    progress : bool
        A tqdm bar.
    """
    every = targets(record)
    size = len(every)
    problem = lmm.problem(record)
    at = np.ascontiguousarray(record.optimum.scaled)
    large = problem.native.dense_size() > _MANY
    distances = _distances(z, _WIDE if large else _WIDEST)
    tolerance = max(record.control.tolerance, _LOOSE if large else 0.0)
    out = []
    with problem.dense_algebra():
        for name in _watched(names, progress):
            target = every[name]
            if target is None:  # a dropped column
                out.append(_without_points(name, COEFFICIENT, size, FAILED))
                continue
            found = problem.native.profile(
                at, *target, distances, tolerance, record.control.max_evaluations
            )
            out.append(_curve(name, target[0], found, record, size))
    return out


def targets(record: LmmRecord) -> dict[str, Target | None]:
    """What the native code calls each parameter; None for a dropped column.

    Raises
    ------
    SpecificationError
        If two parameters have one name.
    """
    every = _parameters.names(record)
    twice = [name for i, name in enumerate(every) if name in every[:i]]
    if twice:
        raise SpecificationError(
            f"profile: two parameters are called {twice[0]!r}. Rename the column of the data."
        )
    out: dict[str, Target | None] = dict.fromkeys(record.names)
    for i, column in enumerate(record.kept):
        out[record.names[column]] = (COEFFICIENT, 0, i, 0)
    out["sigma"] = (SIGMA, 0, 0, 0)
    places: list[Target] = []
    for t, spec in enumerate(record.layout.specs):
        places += [(SD, t, i, 0) for i in range(len(spec.columns))]
        places += [(CORRELATION, t, c, r) for r, c in elements(spec) if r != c]
    return out | dict(zip(every[len(record.names) + 1 :], places, strict=True))


def _distances(z: float, widest: float) -> list[float]:
    """Distances of zeta from zero near which a profile has points: the last is z, or enough for
    the deviances not to be rounding.
    """
    z = max(z, _LEAST)
    inner = [q for q in map(quantile, _USUAL) if q < 0.95 * z]
    out: list[float] = []
    for wanted in [*inner, z]:
        before = out[-1] if out else 0.0
        pieces = math.ceil((wanted - before) / widest - 1e-9)
        out += [before + (wanted - before) * (i + 1) / pieces for i in range(pieces)]
    return out


def _curve(name: str, kind: int, found: dict[str, Any], record: LmmRecord, size: int) -> Curve:
    """From what the native code returns."""
    if found["undefined"]:
        return _without_points(name, kind, size, BOUND)
    u, deviance, slope = found["u"], found["deviance"], found["slope"]
    if len(u) == 0:
        raise ConvergenceError(
            f"profile: the deviance cannot be evaluated at the estimates of {record.spec.formula!r}"
            ". Refit by ML first."
        )
    centre = int(np.flatnonzero(u == found["estimate"])[0])
    zeta = np.sqrt(np.maximum(deviance - found["minimum"], 0.0))
    zeta[:centre] *= -1
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(np.abs(zeta) > 1e-4, slope / (2 * zeta), 0.0)
    rate[centre] = centre_rate(u, zeta, rate, centre, float(found["rate"]))
    parameters = np.full((len(u), size), np.nan)
    p = len(record.kept)
    parameters[:, record.kept] = found["parameters"][:, :p]
    parameters[:, len(record.names) :] = found["parameters"][:, p:]
    parameters[:, list(targets(record)).index(name)] = to_value(kind, u)
    return Curve(
        name=name,
        kind=kind,
        estimate=float(to_value(kind, u[centre])),
        ends=found["ends"],
        centre=centre,
        u=_frozen(u),
        zeta=_frozen(zeta),
        rate=_frozen(rate),
        deviance=_frozen(deviance),
        parameters=_frozen(parameters),
        failed=_frozen(to_value(kind, found["failed"])),
    )


def _without_points(name: str, kind: int, size: int, end: int) -> Curve:
    nothing = _frozen(np.empty(0))
    points = _frozen(np.empty((0, size)))
    return Curve(name, kind, math.nan, (end, end), 0, *(nothing,) * 4, points, nothing)


def _frozen(values: FloatArray) -> FloatArray:
    values.flags.writeable = False
    return values


def _watched(names: Sequence[str], progress: bool) -> Iterable[str]:
    if not progress:
        return names
    from tqdm.auto import tqdm

    return tqdm(names, desc="profile", unit="parameter")  # type: ignore[no-any-return]  # no stubs


def remarks(record: LmmRecord, found: Sequence[Curve]) -> tuple[list[str], list[str]]:
    """What is to be said of the profiles, and what is also worth a warning."""
    notes, warnings = [], []
    if not record.optimum.converged:
        notes.append(f"The fit is not at a certified optimum: {record.optimum.message}.")
    lowest = _lowest(found)
    if lowest is not None:
        curve, i = lowest
        gap = record.solution.objective - float(curve.deviance[i])
        if gap > max(_BETTER, _SHARE * abs(record.solution.objective)):
            warnings.append(
                f"Profiling found a deviance {gap:.4g} below that of the fit, at {curve.name} = "
                f"{curve.value[i]:.6g}: the fit is at a local minimum, and these profiles are not "
                "from the best one. Fit again with Control(start=...) near it."
            )
    for curve in found:
        _remark(curve, notes, warnings)
    return notes, warnings


def _lowest(found: Sequence[Curve]) -> tuple[Curve, int] | None:
    places = [(c, int(np.argmin(c.deviance))) for c in found if len(c.u)]
    return min(places, key=lambda place: float(place[0].deviance[place[1]]), default=None)


def _remark(curve: Curve, notes: list[str], warnings: list[str]) -> None:
    if len(curve.u) == 0:
        if curve.kind == CORRELATION:
            notes.append(
                f"{curve.name} has no estimate, since a standard deviation beside it is zero; no "
                "value of it is excluded."
            )
        return
    falls = np.flatnonzero(np.diff(curve.zeta) < -ROUNDING)
    if len(falls):
        where = curve.value[falls if falls[0] >= curve.centre else falls + 1]
        notes.append(
            f"The profile of {curve.name} is not monotone: the deviance falls again beyond "
            f"{where[0]:.6g}. Its limits are where it first rises so far."
        )
    for end, side, at in zip(curve.ends, ("below", "above"), (0, -1), strict=True):
        if end == FAILED:
            warnings.append(
                f"The profile of {curve.name} could not be followed {side} "
                f"{curve.value[at]:.6g}: no optimum was found beyond. A limit there is NaN."
            )
    if len(curve.failed) and FAILED not in curve.ends:
        values = ", ".join(f"{v:.6g}" for v in curve.failed)
        notes.append(f"{curve.name}: no optimum was found at {values}; nearer points served.")
