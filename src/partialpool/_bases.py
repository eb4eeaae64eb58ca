"""Functions with a memory: what they learn from a column, and what they make of it and of new data.

`learn` sees the column of the fit once and returns a small state; `apply` uses the state only, so
a prediction reuses the centre, the knots and the polynomials of the fit. Missing values (NaN) are
skipped by `learn` and stay missing in `apply`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import numpy as np

from ._errors import DataError, FormulaError
from ._types import FloatArray

__all__ = ["MAX_COLUMNS", "MULTIPLE", "BasisState", "apply", "check", "learn", "width"]

MAX_COLUMNS: Final = 50  # degree of poly(), df and knots of bs() and cr()
MULTIPLE: Final = frozenset({"poly", "bs", "cr"})  # these give several columns
_ORTHOGONAL = 1e-6  # largest inner product of two columns of poly(); calibrated: R's own is 1e-8

Options: TypeAlias = tuple[tuple[str, Any], ...]
# scale, center: (centre, divisor); poly: (centre, spread, p0, alphas, norms); splines: sorted pairs
BasisState: TypeAlias = tuple[Any, ...]


def width(kind: str, options: Options) -> int:
    """Number of columns of a basis."""
    if kind not in MULTIPLE:
        return 1
    chosen = dict(options)
    if kind == "poly":
        return int(chosen["degree"])
    if chosen["df"] is not None:
        return int(chosen["df"])
    knots = len(chosen["knots"] or ())
    return knots + 1 if kind == "cr" else knots + int(chosen["degree"] + chosen["intercept"])


def learn(kind: str, options: Options, x: FloatArray, text: str) -> BasisState:
    """What a function has to remember of the column `x` (n,) of the fit.

    Raises
    ------
    DataError
        If the column cannot carry the function: too few distinct values, no spread, Inf.
    """
    x = x[~np.isnan(x)]
    if not x.size:
        raise DataError(f"{text} has no value to learn from: its column is all missing.")
    if not np.isfinite(x).all():
        raise DataError(f"{text} meets an infinite value. Remove or recode it.")
    chosen = dict(options)
    if kind in ("scale", "center"):
        return _learn_scale(kind, chosen, x, text)
    # With the intercept, the columns are independent only on so many points.
    least = width(kind, options) + (not chosen.get("intercept", False))
    distinct = np.unique(x).size
    if distinct < least:
        raise DataError(
            f"{text} needs at least {least} distinct values; its column has {distinct}."
        )
    if kind == "poly":
        return () if chosen["raw"] else _learn_poly(int(chosen["degree"]), x, text)
    return _learn_spline(kind, chosen, x, text)


def apply(kind: str, options: Options, x: FloatArray, state: BasisState) -> FloatArray:
    """The columns, (n,) or (n, width), that a learnt function makes of `x` (n,)."""
    if kind in ("scale", "center"):
        centre, divisor = state
        centred: FloatArray = x - centre
        return centred if divisor == 1.0 else centred / divisor
    if kind == "poly":
        if not state:
            degree = int(dict(options)["degree"])
            return np.stack([x**k for k in range(1, degree + 1)], axis=1)
        return _poly(x, *state)
    return _spline(kind, dict(options), x, state)


def _learn_scale(kind: str, chosen: Mapping[str, Any], x: FloatArray, text: str) -> BasisState:
    centre = float(x.mean()) if chosen.get("center", True) else 0.0
    if kind == "center" or not chosen["scale"]:
        return (_finite(centre, text), 1.0)
    if x.size < 2:
        raise DataError(f"{text} needs at least two values.")
    # R's rule: the root mean square about the centre, which is zero if not centred; ddof = 1.
    # Relative to the largest, so that no square overflows or vanishes.
    away = x - centre
    largest = float(np.abs(away).max())
    if largest == 0.0 or (centre != 0.0 and np.ptp(x) == 0.0):
        raise DataError(f"{text} cannot scale a column that is constant ({x[0]:g}).")
    divisor = largest * float(np.sqrt(np.sum((away / largest) ** 2) / (x.size - 1)))
    return (_finite(centre, text), _finite(divisor, text))


def _finite(number: float, text: str) -> float:
    if not np.isfinite(number):
        raise DataError(f"{text} overflows: its column has values up to the end of the range.")
    return number


def _learn_poly(degree: int, x: FloatArray, text: str) -> BasisState:
    # Stieltjes' procedure on the normalised polynomials of x brought to [-1, 1]: neither the
    # scale of x nor the degree can overflow. R's columns, with R's signs.
    centre = _finite(float(x.mean()), text)
    spread = _finite(float(np.abs(x - centre).max()), text)
    x = (x - centre) / spread
    before, now = np.zeros_like(x), np.full_like(x, x.size**-0.5)
    alphas: list[float] = []
    norms: list[float] = []
    columns = [now]
    for _ in range(degree):
        alphas.append(float(np.sum(x * now * now)))
        column = (x - alphas[-1]) * now - (norms[-1] * before if norms else 0.0)
        norms.append(float(np.sqrt(np.sum(column**2))))
        before, now = now, column / norms[-1]
        columns.append(now)
    P = np.stack(columns, axis=1)
    if not np.abs(P.T @ P - np.eye(degree + 1)).max() < _ORTHOGONAL:
        raise DataError(
            f"{text}: polynomials of degree {degree} cannot be told apart on these values. "
            "Take a lower degree, or a spline: bs(x, df=k)."
        )
    return (centre, spread, x.size**-0.5, tuple(alphas), tuple(norms))


def _poly(
    x: FloatArray,
    centre: float,
    spread: float,
    first: float,
    alphas: tuple[float, ...],
    norms: tuple[float, ...],
) -> FloatArray:
    x = (x - centre) / spread
    out = np.empty((x.size, len(alphas)))
    before: FloatArray | float = 0.0
    now: FloatArray | float = first
    for k, (alpha, norm) in enumerate(zip(alphas, norms, strict=True)):
        out[:, k] = ((x - alpha) * now - (norms[k - 1] * before if k else 0.0)) / norm
        before, now = now, out[:, k]
    return out


def _learn_spline(kind: str, chosen: Mapping[str, Any], x: FloatArray, text: str) -> BasisState:
    _check_bounds(chosen, x, text)
    state: dict[str, Any] = {}
    try:
        _formulaic(kind, x, chosen, state)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise DataError(f"{text} cannot be built on these values: {error}") from None
    if kind == "bs":
        _check_knots(state, int(chosen["degree"]), text)
    return tuple(sorted((key, _frozen(value)) for key, value in state.items()))


def _check_bounds(chosen: Mapping[str, Any], x: FloatArray, text: str) -> None:
    lower, upper = chosen["lower_bound"], chosen["upper_bound"]
    lower = float(x.min()) if lower is None else lower
    upper = float(x.max()) if upper is None else upper
    if not lower < upper:
        raise DataError(
            f"{text}: its lower bound {lower:g} is not below its upper bound {upper:g}."
        )


def _check_knots(state: Mapping[str, Any], degree: int, text: str) -> None:
    """Refuse knots that leave a column of zeros, and wrong values beyond the data."""
    lower, upper = state["lower_bound"], state["upper_bound"]
    inner = state["knots"][degree + 1 : -degree - 1]
    for knot in inner:
        if not lower < knot < upper:
            raise DataError(
                f"{text} has a knot at {knot:g}, which is not inside its bounds {lower:g} and "
                f"{upper:g}. Where many values tie there, take a lower df or give knots=c(...)."
            )
        if inner.count(knot) > max(degree, 1):
            raise DataError(
                f"{text} has {inner.count(knot)} knots at {knot:g}; degree {degree} allows "
                f"{max(degree, 1)}. Where many values tie there, take a lower df or give "
                "knots=c(...)."
            )


def _spline(kind: str, chosen: Mapping[str, Any], x: FloatArray, state: BasisState) -> FloatArray:
    known = dict(state)
    if kind == "cr":
        known["constraints"] = np.array(known["constraints"])
    return _formulaic(kind, x, chosen, known)


def _formulaic(
    kind: str, x: FloatArray, chosen: Mapping[str, Any], state: dict[str, Any]
) -> FloatArray:
    """The basis by formulaic; it fills an empty `state` and obeys a full one."""
    common = {k: chosen[k] for k in ("df", "knots", "lower_bound", "upper_bound")}
    # formulaic lets values beyond the bounds continue the polynomials, as R does, if asked to.
    if kind == "bs":
        from formulaic.transforms.basis_spline import basis_spline

        fields = basis_spline(
            x,
            degree=chosen["degree"],
            include_intercept=chosen["intercept"],
            extrapolation="extend",
            _state=state,
            **common,
        )
    else:
        from formulaic.transforms.cubic_spline import natural_cubic_spline

        fields = natural_cubic_spline(
            x, constraints="center", extrapolation="extend", _state=state, **common
        )
    out = np.stack([np.asarray(fields[key], dtype=np.float64) for key in sorted(fields)], axis=1)
    out[np.isnan(x)] = np.nan
    return out


def _frozen(value: Any) -> Any:
    """A list or an array as nested tuples, so that states compare, hash and pickle small."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return tuple(_frozen(v) for v in value)
    return value


def check(name: str, options: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Options of a stateful function, complete, typed and within their caps."""
    if name == "poly":
        degree = _count(name, "degree", options.get("degree", 1.0), least=1)
        return (("degree", degree), ("raw", _flag(name, "raw", options.get("raw", False))))
    if name == "scale":
        return tuple((k, _flag(name, k, options.get(k, True))) for k in ("center", "scale"))
    if name == "center":
        return ()
    return _check_spline(name, options)


def _check_spline(name: str, options: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    knots = options.get("knots")
    if isinstance(knots, float):
        knots = (knots,)
    if knots is not None and not isinstance(knots, tuple):
        raise FormulaError(f"{name}(knots=) is a number or numbers in c(1, 2).")
    df = options.get("df")
    bounds = tuple((k, options.get(k)) for k in ("lower_bound", "upper_bound"))
    for key, value in bounds:
        if value is not None and not isinstance(value, float):
            raise FormulaError(f"{name}({key}=) must be a number.")
    if (df is None) == (knots is None) and not (name == "bs" and df is None):
        raise FormulaError(f"{name}() takes one of df= and knots=.")
    knots = None if knots is None else tuple(sorted(knots))
    if name == "cr":
        if options.get("constraints") not in (None, "center"):
            raise FormulaError("cr() is centred; constraints='center' is the only choice.")
        count = None if df is None else _count(name, "df", df, least=2)
        return (("df", count), ("knots", knots), *bounds)
    degree = _count(name, "degree", options.get("degree", 3.0), least=0)
    intercept = _flag(name, "intercept", options.get("intercept", False))
    least = max(degree + intercept, 1)
    count = None if df is None else _count(name, "df", df, least=least)
    if degree + intercept + len(knots or ()) < 1 and df is None:
        raise FormulaError("bs() of degree 0 without knots has no column.")
    return (
        ("df", count),
        ("knots", knots),
        ("degree", degree),
        ("intercept", intercept),
        *bounds,
    )


def _count(name: str, key: str, value: object, *, least: int) -> int:
    if isinstance(value, float) and value.is_integer() and least <= value <= MAX_COLUMNS:
        return int(value)
    shown = f"{value:g}" if isinstance(value, float) else repr(value)
    raise FormulaError(
        f"{name}({key}={shown}) must be a whole number from {least} to {MAX_COLUMNS}."
    )


def _flag(name: str, key: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise FormulaError(f"{name}({key}=) must be True or False.")
