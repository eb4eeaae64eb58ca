"""What a reader has to know of marginal means: what was averaged, held, assumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ols import OlsRecord
from ..schema import plan_of
from . import _grid
from ._grid import Grid
from ._variables import Variables

__all__ = ["joined", "remarks"]


def remarks(
    variables: Variables,
    grid: Grid,
    shown: tuple[str, ...],
    weights: str | Mapping[str, Any],
    ddf: str,
    level: float,
    slope: tuple[str, str] | None,
) -> list[str]:
    """What a reader has to know of the means."""
    rest = [axis for axis in grid.axes if axis.name not in shown]
    over = [axis.name for axis in rest if len(axis.values) > 1]
    notes = []
    if over:
        notes.append(f"Averaged over {joined(over)} {_weighting(weights)}.")
    own = slope[0] if slope is not None else None  # the note on the slope says where it is taken
    rest = [axis for axis in rest if axis.name != own]
    means = [_grid.spell(a.name, a.values[0]) for a in rest if not a.factor and not a.chosen]
    if means:
        notes.append(f"Held at the mean of the used rows: {', '.join(means)}.")
    held = [_grid.spell(a.name, a.values[0]) for a in rest if a.chosen and len(a.values) == 1]
    if held:
        notes.append(f"Held: {', '.join(held)}.")
    notes += _cautions(
        variables,
        shown,
        over + [a.name for a in rest if a.name not in over],
        slope,
        list(_grid.point(grid.axes)[1]),
    )
    methods = {"satterthwaite": "Satterthwaite", "kenward-roger": "Kenward-Roger"}
    linear = isinstance(variables.record, OlsRecord)
    df = "residual" if linear else f"by {methods[ddf]}'s method"
    notes.append(f"Degrees of freedom: {df}. Confidence level: {level:g}.")
    return notes


def _cautions(
    variables: Variables,
    shown: tuple[str, ...],
    rest: list[str],
    slope: tuple[str, str] | None,
    numeric: list[str],
) -> list[str]:
    record = variables.record
    plan = plan_of(record.schema.formula)
    notes = []
    if slope is not None:
        notes.append(slope[1])
    if record.rows.offset is not None and slope is None:
        follows = {name for e in variables.offsets() for name in e.names} & {*numeric}
        notes.append(
            f"The offset is taken at the values of {joined(sorted(follows))}."
            if follows
            else f"The offset is at its mean, {record.rows.offset.mean():.6g}, in every mean."
        )
    response = plan.response
    if response is not None and not response.is_name:
        notes.append(f"The scale is that of {response.text}.")
    subject = shown if slope is None else (slope[0], *shown)
    mixed = [
        name
        for name in rest
        if name not in subject
        and any(
            {name} & reads and set(subject) & reads
            for reads in (
                {n for key in term for n in plan.pieces[key].names} for term in plan.fixed
            )
        )
    ]
    if mixed:
        verb = "interact" if len(subject) > 1 else "interacts"
        held = "they were" if len(mixed) > 1 else "it was"
        notes.append(
            f"{joined(list(subject))} {verb} with {joined(mixed)}: these results depend on how "
            f"{held} averaged or held."
        )
    return notes


def _weighting(weights: str | Mapping[str, Any]) -> str:
    if isinstance(weights, str):
        return {
            "equal": "with equal weights",
            "proportional": "in proportion to their frequencies",
            "outer": "in proportion to the product of their frequencies",
            "cells": "in proportion to the frequencies of the cells",
        }[weights]
    given = "; ".join(
        f"{name}: {list(w.values()) if isinstance(w, Mapping) else list(w)}"
        for name, w in weights.items()
    )
    return f"with the weights given ({given})"


def joined(names: list[str]) -> str:
    """``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
