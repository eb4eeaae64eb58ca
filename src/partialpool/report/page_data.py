"""The numbers behind the page's figure: paths, lines, group effects at every stop of a slider."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import design
from .. import table as tables
from .._core import fill
from .._errors import PartialPoolError
from .._types import FloatArray, IntArray
from ..plot import settings
from .numbers import printable

if TYPE_CHECKING:
    from ..comparing import Comparison
    from ..lmm import LmmRecord

__all__ = ["LEVELS", "POINTS", "figure"]

LEVELS = 40  # levels drawn: more cannot be told apart
POINTS = 1500  # rows drawn
TERMS = 6  # coefficients with a picture of their own
PANELS = 4  # pictures of group effects
_STILL = 0.01  # of its standard error: a coefficient that moves less has no path to draw
_SEED = 20  # of the samples: the same page each time
_CURVE = 24  # points of a line that is not straight
_MARKS = 20  # levels of a factor that an axis bears
_WIDE = 0.35  # half the length of a level's line where the axis has levels only


class _Axis(NamedTuple):
    """What the lines are drawn over: a number, a factor (`marks`), or nothing but the levels.

    Attributes
    ----------
    setting : Setting
    place : (levels,) int32 or None
        Where there is no covariate: the place of each drawn level on the axis.
    """

    setting: settings.Setting
    place: IntArray | None

    @property
    def marks(self) -> list[str] | None:
        x = self.setting.x
        return None if x is None or x.levels is None else [printable(v) for v in x.levels]


def figure(c: Comparison) -> dict[str, Any]:
    """Everything that the figure draws, ready for JSON.

    Returns
    -------
    dict
        ``ratios`` (None for infinity), ``coefficients`` (a row a ratio), ``fitted`` (the place of
        `lmer` among them), ``panels`` of group effects, and ``lines`` or, in words, ``noLines``.
    """
    path = c.path
    ratios = path["ratio"].to_numpy(dtype=float)
    coefficients = path.iloc[:, 1:].to_numpy(dtype=float)
    names = [printable(name) for name in path.columns[1:]]
    se = np.array([row.partial_se for row in c.rows])
    fitted = int(np.argmin(np.abs(ratios - c.ratio)))
    term = c.mixed.rows.terms[0]
    found: dict[str, Any] = {
        "ratios": _plain(ratios),
        "ratioName": printable(c.ratio_name),
        "method": "REML" if c.mixed.spec.reml else "ML",
        "fitted": fitted,
        "terms": names,
        "se": _plain(se),
        "shown": _moving(coefficients, se, names),
        "coefficients": _plain(coefficients),
        "response": printable(settings.response(c.mixed)),
        "group": printable(term.spec.group),
        "sampled": {},
    }
    effects = np.stack([np.asarray(c.effects_at(r), dtype=float) for r in ratios])
    drawn = {g: _sample(len(group.levels), LEVELS) for g, group in enumerate(c.mixed.rows.groups)}
    found["panels"] = _panels(c, effects, drawn, found["sampled"])
    try:
        found["lines"] = _lines(c, effects, drawn[term.group], found["sampled"])
    except PartialPoolError as error:  # data gone, or an offset from an array
        found["noLines"] = str(error)
    else:
        found["kept"] = _plain(coefficients[:, c.mixed.kept])
    return found


def _moving(coefficients: FloatArray, se: FloatArray, names: list[str]) -> list[int]:
    """The coefficients to draw: those that move most, in the order of the table."""
    slopes = [j for j, name in enumerate(names) if name != "Intercept"] or [0]
    finite = [j for j in slopes if np.isfinite(coefficients[:, j]).all()]
    moves = {j: float(np.ptp(coefficients[:, j])) for j in finite}
    share = {j: m / se[j] if se[j] > 0 else m for j, m in moves.items()}
    most = sorted((j for j in finite if share[j] > _STILL), key=lambda j: -share[j])
    return sorted(most[:TERMS])


# -- group effects --------------------------------------------------------------------------------


def _panels(
    c: Comparison, effects: FloatArray, drawn: dict[int, list[int]], sampled: dict[str, Any]
) -> list[dict[str, Any]]:
    """A picture of group effects a random-effects column, the first few."""
    record = c.mixed
    found: list[dict[str, Any]] = []
    for place, name, first, width in _columns(record):
        group = record.rows.groups[place]
        if len(found) == PANELS:
            break
        own = drawn[place]
        if len(own) < len(group.levels):
            sampled["levels"] = {
                **sampled.get("levels", {}),
                printable(group.name): [len(own), len(group.levels)],
            }
        label = f"effect of {group.name}"
        label += "" if name == "Intercept" else f" on the coefficient of {name}"
        counts = np.bincount(group.codes, minlength=len(group.levels))
        found.append(
            {
                "group": printable(group.name),
                "label": printable(label),
                "levels": [printable(group.levels[g]) for g in own],
                "n": [int(counts[g]) for g in own],
                "values": _plain(effects[:, [first + g * width for g in own]]),
            }
        )
    return found


def _columns(record: LmmRecord) -> list[tuple[int, str, int, int]]:
    """Each random-effects column: its group, name, place of its first effect, and their distance.

    Effects are in the order of `Comparison.effects_at`: term by term, level by level.
    """
    found, start = [], 0
    for term in record.rows.terms:
        width, levels = len(term.spec.columns), len(record.rows.groups[term.group].levels)
        found += [(term.group, n, start + i, width) for i, n in enumerate(term.spec.columns)]
        start += width * levels
    return found


# -- lines over the data --------------------------------------------------------------------------


def _lines(
    c: Comparison, effects: FloatArray, drawn: list[int], sampled: dict[str, Any]
) -> dict[str, Any]:
    """Rows of the design at which the lines are drawn, their effects, and the data beneath."""
    record = c.mixed
    places = _nested(record)
    group = record.rows.groups[places[0]]
    first = [int(np.flatnonzero(group.codes == g)[0]) for g in drawn]
    columns = [column for column in _columns(record) if column[0] in places]
    levels = [[int(record.rows.groups[p].codes[row]) for p, *_ in columns] for row in first]
    own = np.array(
        [
            [start + g * width for g, (_, _, start, width) in zip(at, columns, strict=True)]
            for at in levels
        ]
    )
    main = next(k for k, column in enumerate(columns) if column[0] == places[0])
    axis = _axis(record, group.codes, drawn, effects[-1][own[:, main]])
    theirs = _theirs(record, places, axis.setting)
    grids, rows = _grid(record, axis, places, first, theirs)
    X = fill([rows.fixed[i] for i in record.kept], 0, rows.nobs)
    Z = np.concatenate([fill(term.columns, 0, rows.nobs) for term in rows.terms], axis=1)
    offset = np.zeros(rows.nobs) if rows.offset is None else rows.offset
    groups, start = [], 0
    for g, grid in zip(drawn, grids, strict=True):
        stop = start + len(grid)
        one = {"x": grid, "X": X[start:stop], "Z": Z[start:stop], "o": offset[start:stop]}
        groups.append(
            {"level": printable(group.levels[g])} | {k: _plain(v) for k, v in one.items()}
        )
        start = stop
    x = axis.setting.x
    others = [g.name for i, g in enumerate(record.rows.groups) if i not in places]
    return {
        "x": printable(group.name if x is None else x.name),
        "marks": axis.marks,
        "strips": x is None,
        "shared": not theirs & {*axis.setting.typical, "" if x is None else x.name},
        "held": [printable(v) for k, v in axis.setting.said.items() if k not in theirs],
        "own": [printable(name) for name in axis.setting.typical if name in theirs],
        "without": [printable(name) for name in others],
        "groups": groups,
        "effects": [_plain(row[own]) for row in effects],
        "points": _points(record, group.codes, axis, drawn, sampled),
    }


def _nested(record: LmmRecord) -> list[int]:
    """The first term's group, and the groups in which its levels are nested."""
    place = record.rows.terms[0].group
    codes = record.rows.groups[place].codes
    found = [place]
    for other, group in enumerate(record.rows.groups):
        of_level = np.empty(int(codes.max()) + 1, dtype=group.codes.dtype)
        of_level[codes] = group.codes
        if other != place and np.array_equal(of_level[codes], group.codes):
            found.append(other)
    return found


def _theirs(record: LmmRecord, places: list[int], setting: settings.Setting) -> set[str]:
    """Columns of which each level has a value of its own: those that make up its name, and held
    covariates that are constant within it.
    """
    parts = {part.names[0] for p in places for part in record.schema.groups[p].parts}
    codes = record.rows.groups[places[0]].codes
    first = np.zeros(int(codes.max()) + 1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)  # the last one written is the first row
    held = [settings.covariate(record, name) for name in setting.typical if name not in parts]
    constant = [c for c in held if float(np.ptp(c.values)) > 0]
    own = {c.name for c in constant if np.array_equal(c.values, c.values[first][codes])}
    return parts | own


def _axis(record: LmmRecord, codes: Any, drawn: list[int], none: FloatArray) -> _Axis:
    """The first covariate that an axis can bear; otherwise the levels, by their effects."""
    found = settings.setting(record, None, codes=codes)
    x = found.x
    if x is not None and (x.levels is None or len(x.levels) <= _MARKS):
        return _Axis(found, None)
    place = np.empty(len(drawn), dtype=np.int32)
    place[np.argsort(-none, kind="stable")] = np.arange(len(drawn))
    return _Axis(settings.setting(record, None, over=False), place)


def _grid(
    record: LmmRecord, axis: _Axis, places: list[int], first: list[int], theirs: set[str]
) -> tuple[list[FloatArray], Any]:
    """For each level the places of its line, and all of them as rows of the design."""
    codes, x = record.rows.groups[places[0]].codes, axis.setting.x
    straight = x is None or x.levels is not None or settings.is_straight(record, x.name)
    grids, rows = [], []
    for i, row in enumerate(first):
        own = np.flatnonzero(codes == codes[row])
        if axis.place is not None:
            grid = axis.place[i] + np.array([-_WIDE, _WIDE])
        elif axis.marks is not None:
            assert x is not None
            grid = np.unique(x.values[own]).astype(float)
        else:
            assert x is not None
            low, high = x.values[own].min(), x.values[own].max()
            grid = np.linspace(low, high, 1 if low == high else 2 if straight else _CURVE)
        grids.append(grid)
        rows += [row] * len(grid)
    data: dict[str, Any] = {
        name: settings.repeated(value, len(rows)) for name, value in axis.setting.typical.items()
    }
    if x is not None:
        at = np.concatenate(grids)
        data[x.name] = at if x.levels is None else [x.levels[int(i)] for i in at]
    return grids, _rows(record, data, places, np.array(rows), theirs)


def _rows(
    record: LmmRecord, data: dict[str, Any], places: list[int], first: IntArray, theirs: set[str]
) -> Any:
    """The design of rows in the groups of the rows `first`, with these columns and the levels'."""
    schema = settings.open_schema(record)
    for name in theirs:
        one = settings.covariate(record, name)
        values = one.values[first]
        data[name] = values if one.levels is None else [one.levels[i] for i in values]
    terms = tuple(
        t._replace(group=places.index(t.group)) for t in schema.terms if t.group in places
    )
    own = schema._replace(terms=terms, groups=tuple(schema.groups[p] for p in places))
    return design.rebuild(own, tables.of(data), random=True)


def _points(
    record: LmmRecord, codes: Any, axis: _Axis, drawn: list[int], sampled: dict[str, Any]
) -> dict[str, Any]:
    """The used rows of the drawn levels, or a sample of them."""
    assert record.rows.y is not None
    own = np.full(int(codes.max()) + 1, -1)
    own[drawn] = np.arange(len(drawn))
    rows = np.flatnonzero(own[codes] >= 0)
    random = np.random.default_rng(_SEED)
    if len(rows) > POINTS:
        sampled["rows"] = [POINTS, int(record.rows.nobs)]
        rows = np.sort(random.choice(rows, POINTS, replace=False))
    if axis.place is not None:
        x = axis.place[own[codes[rows]]].astype(float)
    else:
        assert axis.setting.x is not None
        x = axis.setting.x.values[rows].astype(float)
    if axis.place is not None or axis.marks is not None:
        x += random.uniform(-0.15, 0.15, len(rows))  # so that equal values do not hide each other
    return {
        "x": _plain(np.round(x, 3) if axis.marks or axis.place is not None else x),
        "y": _plain(record.rows.y[rows]),
        "g": [int(v) for v in own[codes[rows]]],
    }


def _sample(count: int, most: int) -> list[int]:
    if count <= most:
        return list(range(count))
    chosen = np.random.default_rng(_SEED).choice(count, most, replace=False)
    return sorted(int(g) for g in chosen)


def _plain(values: Any) -> Any:
    """Nested lists of numbers with nine digits; None for what is not finite."""
    if isinstance(values, np.ndarray) and values.ndim > 1:
        return [_plain(row) for row in values]
    return [_number(float(v)) for v in np.asarray(values)]


def _number(v: float) -> float | int | None:
    if not math.isfinite(v):
        return None
    rounded = float(f"{v:.9g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded
