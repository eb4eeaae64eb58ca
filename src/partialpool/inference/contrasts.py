"""Tests of linear combinations of the fixed effects, L beta = rhs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import estimates
from .._errors import SpecificationError
from .._types import FloatArray
from ..ols import OlsRecord
from ..table import closest
from . import degrees, spans

if TYPE_CHECKING:
    from ..estimates import Record
    from .noted import Table

__all__ = ["contrast"]

_ESTIMABLE = 1e-8  # of the weights: what a combination may miss the row space of X by
_RANK = 1e-10  # of the largest: a row that repeats others (as in `degrees`)
_LABEL = 60  # characters of a row's label


class Rows(NamedTuple):
    """Weights of all p coefficients, and what to call each row."""

    L: FloatArray
    labels: list[str]


def contrast(
    record: Record,
    L: Any,
    *,
    rhs: Any = 0.0,
    joint: bool = True,
    ddf: str = "satterthwaite",
    level: float = 0.95,
) -> Table:
    """Test L beta = rhs.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    L : (q, p) or (p,) array, str, mapping, list of str or mappings, or DataFrame
        Weights of the coefficients: all of them in the order of ``params``, dropped ones too; or by
        name, in a mapping or in the columns of a frame. A name alone stands for that coefficient.
    rhs : float or (q,) array
    joint : bool
        One F test of all rows, or a t test a row.
    ddf : {"satterthwaite", "kenward-roger"}
    level : float
        Of the limits, where ``joint=False``.

    Returns
    -------
    DataFrame
        Jointly one row ``num_df, den_df, F, p_value``, where `num_df` is the rank of L; else a row
        a row of L, ``estimate, std_error, df, t_ratio, p_value, conf_low, conf_high``. Estimates
        and limits are of L beta, tests against rhs.

    Raises
    ------
    SpecificationError
        For weights of another width, unknown names, values that are not finite or all zero; a
        `rhs` of another length, or one that contradicts itself where rows of L depend; combinations
        that touch a dropped coefficient and are not estimable; another method; and a level outside
        0 to 1.

    Notes
    -----
    A row l is estimable if l = l_kept G, X = X_kept G: the value is then l_kept beta_kept whatever
    coefficients are taken for dropped columns.
    """
    degrees.check_ddf(ddf)
    estimates.check_level(level)
    if not isinstance(joint, bool | np.bool_):
        raise SpecificationError(f"joint={joint!r} must be True or False.")
    given = _read(L, record.names)
    _check_values(given)
    target = _right_side(rhs, len(given.L))
    _check_estimable(record, given)
    own = np.ascontiguousarray(given.L[:, record.kept])
    if estimates.sigma(record) == 0 and not isinstance(record, OlsRecord):
        raise SpecificationError(
            "The fit is exact, so there is no residual variance to test against."
        )
    if joint:
        return _jointly(record, given, own, target, ddf)
    return _each(record, given, own, target, ddf, level)


def _jointly(record: Record, given: Rows, L: FloatArray, target: FloatArray, ddf: str) -> Table:
    from .noted import Table

    test = degrees.f_test(record, L, ddf, target)
    notes = []
    if test.num_df < len(L):
        notes.append(
            f"The {len(L)} rows of L depend on each other: {test.num_df} of them are independent, "
            "which is num_df."
        )
    names = ("num_df", "den_df", "F", "p_value")
    row = (test.num_df, test.den_df, test.F, test.p_value)
    what = [
        f"{label} = {value:g}"
        for label, value in zip(given.labels, target, strict=True)
        if len(label) <= _LABEL
    ]
    return Table.of(names, {"joint": row}, f"F test of {', '.join(what)}" if what else "", notes)


def _each(
    record: Record, given: Rows, L: FloatArray, target: FloatArray, ddf: str, level: float
) -> Table:
    from scipy import special

    from .noted import Table

    beta = record.beta if isinstance(record, OlsRecord) else record.solution.beta
    estimate = L @ beta
    error = np.linalg.norm(degrees.root(record, ddf).of(L), axis=1)
    df = degrees.df(record, L, ddf)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (estimate - target) / error
    p = 2.0 * special.stdtr(df, -np.abs(t))
    half = special.stdtrit(df, (1 + level) / 2) * error
    numbers = np.column_stack([estimate, error, df, t, p, estimate - half, estimate + half])
    names = ("estimate", "std_error", "df", "t_ratio", "p_value", "conf_low", "conf_high")
    notes = []
    if target.any():
        notes.append(f"Tested against {', '.join(f'{value:g}' for value in target)}.")
    labels = _unique(given.labels)
    return Table.of(names, dict(zip(labels, numbers.tolist(), strict=True)), "", notes)


def _unique(labels: Sequence[str]) -> list[str]:
    twice = {label for label in labels if list(labels).count(label) > 1}
    return [f"{label} ({i + 1})" if label in twice else label for i, label in enumerate(labels)]


# -- reading --------------------------------------------------------------------------------------


def _read(L: Any, names: tuple[str, ...]) -> Rows:
    """Weights in any of their forms."""
    if isinstance(L, str | Mapping):
        L = [L]
    elif hasattr(L, "columns") and hasattr(L, "to_numpy"):
        return _read_frame(L, names)
    elif hasattr(L, "index") and hasattr(L, "to_numpy"):
        L = [dict(zip(map(str, L.index), L.to_numpy().tolist(), strict=True))]
    if isinstance(L, list | tuple) and any(isinstance(row, str | Mapping) for row in L):
        return _read_names(L, names)
    try:
        weights = np.array(L, dtype=np.float64)
    except (TypeError, ValueError):
        raise SpecificationError(
            "L must hold numbers, a row a combination, or be names of coefficients, or dicts of "
            f"name and weight; it is {type(L).__name__} of something else."
        ) from None
    if weights.ndim == 1 and weights.size:
        weights = weights[None, :]
    if weights.ndim != 2 or not len(weights):
        raise SpecificationError(
            f"L has shape {weights.shape}; it must have at least one row of {len(names)} weights."
        )
    if weights.shape[1] != len(names):
        raise SpecificationError(
            f"L has {weights.shape[1]} columns; there are {len(names)} coefficients (dropped ones "
            f"count): {_listed(names)}."
        )
    return Rows(weights, [_label(row, names, i) for i, row in enumerate(weights)])


def _read_names(L: Sequence[Any], names: tuple[str, ...]) -> Rows:
    weights = np.zeros((len(L), len(names)))
    for i, row in enumerate(L):
        if not isinstance(row, str | Mapping):
            raise SpecificationError(
                f"Row {i + 1} of L is of type {type(row).__name__} beside names; every row must be "
                "a name or a dict of name and weight."
            )
        for name, weight in ({row: 1.0} if isinstance(row, str) else row).items():
            weights[i, _place(name, names)] = _number(weight, name)
    return Rows(weights, [_label(row, names, i) for i, row in enumerate(weights)])


def _read_frame(L: Any, names: tuple[str, ...]) -> Rows:
    """A frame with a column a coefficient; those that it does not have weigh nothing."""
    columns = list(L.columns)
    places = [_place(name, names) for name in columns]
    if len(set(places)) < len(places):
        raise SpecificationError("L has two columns of the same name.")
    try:
        values = np.asarray(L.to_numpy(), dtype=np.float64).reshape(len(L), len(columns))
    except (TypeError, ValueError):
        raise SpecificationError("L is a frame whose columns are not all numbers.") from None
    if not len(L):
        raise SpecificationError("L is a frame without rows; give a row a combination.")
    weights = np.zeros((len(L), len(names)))
    weights[:, places] = values
    labels = [_label(row, names, i) for i, row in enumerate(weights)]
    index = getattr(L, "index", None)
    if index is not None and all(isinstance(label, str) for label in index):
        labels = list(index)
    return Rows(weights, labels)


def _place(name: Any, names: tuple[str, ...]) -> int:
    if name not in names:
        near = closest(str(name), names).replace("The columns are", "The coefficients are")
        raise SpecificationError(f"There is no coefficient {name!r}.{near}")
    if names.count(name) > 1:
        raise SpecificationError(
            f"{names.count(name)} coefficients are called {name!r}. Rename the column of the data, "
            "or give the weights as an array."
        )
    return names.index(name)


def _number(weight: Any, name: str) -> float:
    try:
        return float(weight)
    except (TypeError, ValueError):
        raise SpecificationError(f"The weight of {name!r} is {weight!r}, not a number.") from None


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(map(repr, names[:most]))
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _label(weights: FloatArray, names: tuple[str, ...], row: int) -> str:
    """A combination as one would write it, ``a - 0.5 b``; ``row 1`` if that is long."""
    text = ""
    for j in np.flatnonzero(weights):
        w = float(weights[j])
        sign = ("-" if w < 0 else "") if not text else (" - " if w < 0 else " + ")
        size = "" if abs(w) == 1 else f"{abs(w):.4g} "
        text += f"{sign}{size}{names[j]}"
        if len(text) > _LABEL:
            return f"row {row + 1}"
    return text or f"row {row + 1}"


# -- checking -------------------------------------------------------------------------------------


def _check_values(given: Rows) -> None:
    bad = np.argwhere(~np.isfinite(given.L))
    if len(bad):
        i, j = bad[0]
        raise SpecificationError(
            f"L has the value {given.L[i, j]} in row {i + 1}, column {j + 1}; weights are finite."
        )
    empty = np.flatnonzero(~given.L.any(axis=1))
    if empty.size:
        raise SpecificationError(
            f"Row {empty[0] + 1} of L is zero: there is nothing to estimate or test in it."
        )


def _right_side(rhs: Any, rows: int) -> FloatArray:
    try:
        values = np.array(rhs, dtype=np.float64)
    except (TypeError, ValueError):
        raise SpecificationError(f"rhs={rhs!r} must be a number, or one for each row.") from None
    if values.ndim == 0:
        values = np.full(rows, float(values))
    if values.shape != (rows,):
        raise SpecificationError(
            f"rhs has shape {values.shape}; L has {rows} row{'s' if rows > 1 else ''}."
        )
    if not np.isfinite(values).all():
        raise SpecificationError("rhs has a value that is not finite.")
    return values


def _check_estimable(record: Record, given: Rows) -> None:
    """Refuse rows that weigh a dropped coefficient by something that X does not determine."""
    dropped = np.setdiff1d(np.arange(len(record.names)), record.kept)
    if not given.L[:, dropped].any():
        return
    G = spans.relations(record)
    for i, row in enumerate(given.L):
        if not row[dropped].any():
            continue
        needed = row[record.kept] @ G[:, dropped]
        size = np.abs(row[record.kept]) @ np.abs(G[:, dropped]) + np.abs(row[dropped])
        wrong = np.flatnonzero(np.abs(row[dropped] - needed) > _ESTIMABLE * size)
        if wrong.size:
            touched = [k for k in wrong if row[dropped[k]]]
            k = int((touched or wrong.tolist())[0])
            raise SpecificationError(_why(record, G, row, int(dropped[k]), float(needed[k]), i))


def _why(record: Record, G: FloatArray, row: FloatArray, j: int, needed: float, i: int) -> str:
    names = record.names
    name = names[j]
    kept = [names[k] for k in record.kept]
    parts = np.flatnonzero(G[:, j])
    if not parts.size:
        return (
            f"Row {i + 1} of L gives {name!r} the weight {row[j]:g}, but its column of X is zero "
            "in every row (an empty cell), so nothing is known of it. Give it no weight."
        )
    of = np.zeros(len(kept))
    of[parts] = G[parts, j]
    relation = _label(of, tuple(kept), 0)
    if relation.startswith("row "):
        relation = f"a combination of {_listed([kept[k] for k in parts], 5)}"
    return (
        f"Row {i + 1} of L gives {name!r} the weight {row[j]:g}, but that column of X is "
        f"{relation} and was left out: the data cannot tell them apart. Beside the other weights "
        f"of this row only a weight of {needed:g} is estimable. Give no weight to columns that "
        "were left out to test coefficients as the fit reports them, with those at zero."
    )
