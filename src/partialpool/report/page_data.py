"""The numbers behind the page's figure: paths, lines, group effects at every stop of a slider."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import design
from .. import table as tables
from .._core import fill
from .._errors import PartialPoolError
from .._types import FloatArray
from ..plot import settings

if TYPE_CHECKING:
    from ..comparing import Comparison
    from ..lmm import LmmRecord

__all__ = ["LEVELS", "POINTS", "figure"]

LEVELS = 40  # levels drawn: more cannot be told apart
POINTS = 1500  # rows drawn
TERMS = 12  # coefficients with a picture of their own
_SEED = 20  # of the samples: the same page each time
_CURVE = 24  # points of a line that is not straight


def figure(c: Comparison) -> dict[str, Any]:
    """Everything that the figure draws, ready for JSON.

    Returns
    -------
    dict
        ``ratios`` (None for infinity), ``coefficients`` (a row a ratio), ``fitted`` (the place of
        `lmer` among them), and, where there are data and a covariate, ``lines`` and ``effects``.
    """
    path = c.path
    ratios = path["ratio"].to_numpy(dtype=float)
    coefficients = path.iloc[:, 1:].to_numpy(dtype=float)
    names = [str(name) for name in path.columns[1:]]
    fitted = int(np.argmin(np.abs(ratios - c.ratio)))
    shown = [j for j, name in enumerate(names) if np.isfinite(coefficients[:, j]).all()]
    slopes = [j for j in shown if names[j] != "Intercept"] or shown
    group = c.mixed.rows.terms[0].spec.group
    found: dict[str, Any] = {
        "ratios": _plain(ratios),
        "ratioName": c.ratio_name,
        "ratioShort": c.ratio_name if len(c.ratio_name) < 34 else "scale of the random effects",
        "method": "REML" if c.mixed.spec.reml else "ML",
        "fitted": fitted,
        "terms": names,
        "shown": slopes[:TERMS],
        "coefficients": _plain(coefficients),
        "response": settings.response(c.mixed),
        "group": group,
        "sampled": {},
    }
    levels, effects, columns = _effects(c, group, ratios)
    drawn = _sample(len(levels), LEVELS)
    if len(drawn) < len(levels):
        found["sampled"]["levels"] = [len(drawn), len(levels)]
    texts = [str(levels[g]) for g in drawn]
    counts = np.bincount(c.mixed.rows.groups[c.mixed.rows.terms[0].group].codes)
    found["effects"] = {
        "levels": texts,
        "n": [int(counts[g]) for g in drawn],
        "values": _plain(effects[:, drawn, 0]),
        "label": f"effect of {group}" + ("" if columns[0] == "Intercept" else f" on {columns[0]}"),
    }
    lines = _lines(c.mixed, drawn, texts, columns, found)
    if lines is not None:
        lines["effects"] = _plain(effects[:, drawn])
        found["kept"] = _plain(coefficients[:, c.mixed.kept])
        found["lines"] = lines
    return found


def _effects(
    c: Comparison, group: str, ratios: FloatArray
) -> tuple[list[Any], FloatArray, list[str]]:
    """Levels of a group, their effects (ratios, levels, columns), and the columns' names."""
    frame = c.groups
    own = frame["group"].to_numpy() == group
    columns = list(dict.fromkeys(frame["term"][own]))
    levels = list(frame["level"][own])[:: len(columns)]
    values = np.stack([np.asarray(c.effects_at(r), dtype=float)[own] for r in ratios])
    return levels, values.reshape(len(ratios), len(levels), len(columns)), columns


def _lines(
    record: LmmRecord, drawn: list[int], texts: list[str], columns: list[str], found: dict[str, Any]
) -> dict[str, Any] | None:
    """Rows at which the lines are drawn, and the data beneath; None where there is no covariate."""
    place = record.rows.terms[0].group
    group = record.rows.groups[place]
    try:
        setting = settings.setting(record, None, codes=group.codes)
        x = setting.x
        if x is None or x.levels is not None:
            return None
        grids, rows = _grid(record, setting, drawn)
    except PartialPoolError:  # data gone, or an offset from an array: a page without lines
        return None
    X = fill([rows.fixed[i] for i in record.kept], 0, rows.nobs)
    Z = _random_columns(rows, record, place, columns)
    offset = np.zeros(rows.nobs) if rows.offset is None else rows.offset
    groups, start = [], 0
    for text, grid in zip(texts, grids, strict=True):
        stop = start + len(grid)
        groups.append(
            {
                "level": text,
                "x": _plain(grid),
                "X": _plain(X[start:stop]),
                "Z": _plain(Z[start:stop]),
                "o": _plain(offset[start:stop]),
            }
        )
        start = stop
    held = ", ".join(setting.said.values())
    return {
        "x": x.name,
        "held": held,
        "groups": groups,
        "points": _points(record, group.codes, x.values, drawn, found),
    }


def _grid(
    record: LmmRecord, setting: settings.Setting, drawn: list[int]
) -> tuple[list[FloatArray], Any]:
    """For each level the places of its line, and all of them as rows of the design."""
    assert setting.x is not None
    place = record.rows.terms[0].group
    codes = record.rows.groups[place].codes
    straight = settings.is_straight(record, setting.x.name)
    grids, first = [], []
    for g in drawn:
        own = np.flatnonzero(codes == g)
        low, high = setting.x.values[own].min(), setting.x.values[own].max()
        count = 1 if low == high else 2 if straight else _CURVE
        grids.append(np.linspace(low, high, count))
        first += [int(own[0])] * count
    data: dict[str, Any] = {
        name: settings.repeated(value, len(first)) for name, value in setting.typical.items()
    }
    data[setting.x.name] = np.concatenate(grids)
    for part in record.schema.groups[place].parts:
        one = settings.covariate(record, part.names[0])
        values = one.values[first]
        data[one.name] = values if one.levels is None else [one.levels[i] for i in values]
    schema = settings.open_schema(record)
    terms = tuple(t._replace(group=0) for t in schema.terms if t.group == place)
    own_schema = schema._replace(terms=terms, groups=(schema.groups[place],))
    return grids, design.rebuild(own_schema, tables.of(data), random=True)


def _random_columns(rows: Any, record: LmmRecord, place: int, columns: list[str]) -> FloatArray:
    """(m, k) the random-effects columns of a group, in the order of `columns`."""
    found: dict[str, FloatArray] = {}
    names = [t.spec.columns for t in record.rows.terms if t.group == place]
    for term, own in zip(rows.terms, names, strict=True):
        values = fill(term.columns, 0, rows.nobs)
        found |= {name: values[:, i] for i, name in enumerate(own)}
    return np.column_stack([found[name] for name in columns])


def _points(
    record: LmmRecord, codes: Any, x: Any, drawn: list[int], found: dict[str, Any]
) -> dict[str, Any]:
    """The used rows of the drawn levels, or a sample of them."""
    assert record.rows.y is not None
    own = np.full(int(codes.max()) + 1, -1)
    own[drawn] = np.arange(len(drawn))
    rows = np.flatnonzero(own[codes] >= 0)
    if len(rows) > POINTS:
        found["sampled"]["rows"] = [POINTS, int(record.rows.nobs)]
        rows = np.sort(np.random.default_rng(_SEED).choice(rows, POINTS, replace=False))
    return {
        "x": _plain(x[rows]),
        "y": _plain(record.rows.y[rows]),
        "g": [int(v) for v in own[codes[rows]]],
    }


def _sample(count: int, most: int) -> list[int]:
    if count <= most:
        return list(range(count))
    chosen = np.random.default_rng(_SEED).choice(count, most, replace=False)
    return sorted(int(g) for g in chosen)


def _plain(values: Any) -> Any:
    """Nested lists of numbers with seven digits; None for what is not finite."""
    if isinstance(values, np.ndarray) and values.ndim > 1:
        return [_plain(row) for row in values]
    return [_number(float(v)) for v in np.asarray(values)]


def _number(v: float) -> float | int | None:
    if not math.isfinite(v):
        return None
    rounded = float(f"{v:.9g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded
