"""What a bootstrap computes of each refit: the parameters, or a user's statistic."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import lmm, ols, predict
from .._core import fill
from .._errors import ConvergenceError, SpecificationError
from .._types import FloatArray
from ..ols import OlsRecord
from . import _moments, _parameters

if TYPE_CHECKING:
    from ..estimates import Record

__all__ = [
    "Statistic",
    "checked",
    "of_responses",
    "of_user",
    "parameters",
    "reason",
    "refit_checked",
]

_BLOCK = 8192  # rows of X at a time, as in `qr`


class Statistic(NamedTuple):
    """A function of a fit that gives one value a name.

    Attributes
    ----------
    names : tuple of str
    function : callable or None
        The user's; None for the parameters.
    model : callable or None
        Makes of a record what the function takes.
    label : str
        Of the function, for messages.
    """

    names: tuple[str, ...]
    function: Callable[[Any], Any] | None = None
    model: Callable[[Any], Any] | None = None
    label: str = "parameters"

    def __call__(self, record: Record) -> FloatArray:
        """(q,) values of a fit.

        Raises
        ------
        SpecificationError
            If the function returns another number of values, or other names, than it did on the
            original fit.
        """
        if self.function is None or self.model is None:
            return _parameters.values(record)
        names, values = _read(self.function(self.model(record)), self.label)
        if names != self.names:
            raise SpecificationError(
                f"{self.label} returned {_listed(names)}; of the original fit it returned "
                f"{_listed(self.names)}"
            )
        return values


def parameters(record: Record) -> tuple[Statistic, FloatArray]:
    """The parameters of a fit as a statistic, and their values."""
    return Statistic(_parameters.names(record)), _parameters.values(record)


def of_user(
    function: Callable[[Any], Any], model: Callable[[Any], Any] | None, record: Record
) -> tuple[Statistic, FloatArray]:
    """A user's statistic, named and tried on the original fit, and its values there.

    Raises
    ------
    SpecificationError
        If it cannot be called, raises, or returns what is no vector of numbers.
    """
    if not callable(function):
        raise SpecificationError(
            f"statistic={function!r} must be a function of a fitted model that returns numbers, "
            "such as lambda fit: fit.params['x']."
        )
    if model is None:
        raise SpecificationError(
            "bootstrap(record, statistic=...) needs model=..., which makes a model of a record."
        )
    label = getattr(function, "__name__", type(function).__name__)
    label = "statistic" if label == "<lambda>" else label
    try:
        value = function(model(record))
    except Exception as error:
        raise SpecificationError(
            f"{label} raised an error on the original fit, so no replicate was drawn: "
            f"{reason(error)}"
        ) from error
    names, values = _read(value, label)
    return Statistic(names, function, model, label), values


def reason(error: BaseException) -> str:
    """An exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def refit_checked(record: Record, y: FloatArray) -> Record:
    """The model for another response, if there is a certified optimum.

    Raises
    ------
    ConvergenceError
    """
    if isinstance(record, OlsRecord):
        return ols.refit(record, y)
    return checked(lmm.refitted(record, y))


def checked(record: Record) -> Record:
    """The fit itself, if its optimum is certified.

    Raises
    ------
    ConvergenceError
    """
    if not isinstance(record, OlsRecord) and not record.optimum.converged:
        raise ConvergenceError(f"the fit is not at a certified optimum: {record.optimum.message}")
    return record


def of_responses(record: Record, responses: FloatArray) -> FloatArray:
    """Parameters of the fits to many responses.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    responses : (count, nobs) float64

    Returns
    -------
    (count, q) float64
        In the order of ``parameters``; all NaN where the fit is not certified.
    """
    if isinstance(record, OlsRecord):
        return _least_squares(record, responses)
    return _named(record, lmm.refit_many(record, responses))


def of_moments(record: Record, drawn: Sequence[FloatArray]) -> FloatArray:
    """The same from moments of responses, as `Moments.draw` returns them."""
    if isinstance(record, OlsRecord):
        beta, scale = drawn
        return _named(record, {"beta": beta, "sigma": scale})
    return _named(record, _moments.refit(record, *drawn))


def _named(record: Record, found: Mapping[str, FloatArray]) -> FloatArray:
    """Many fits in the order of ``parameters``."""
    beta = np.full((len(found["sigma"]), len(record.names)), np.nan)
    beta[:, record.kept] = found["beta"]
    parts = [beta, found["sigma"][:, None]]
    if not isinstance(record, OlsRecord):
        parts.append(_parameters.variances(record.layout, found["theta"], found["sigma"]))
    out = np.concatenate(parts, axis=1)
    if "converged" in found:
        out[np.logical_not(found["converged"])] = np.nan
    return out


def _least_squares(record: OlsRecord, responses: FloatArray) -> FloatArray:
    """Coefficients and sigma of many responses, from what they add to the fitted values.

    With Q = W^(1/2) X root and E what the responses differ from the fitted values, the
    coefficients move by root Q'E; errors are those of E, which is small beside y.
    """
    rows = record.rows
    E = responses - predict.fitted(record)
    if rows.weights is not None:
        E *= np.sqrt(rows.weights)
    inner = np.zeros((len(E), len(record.kept)))
    blocks = [(i, min(i + _BLOCK, rows.nobs)) for i in range(0, rows.nobs, _BLOCK)]
    for start, stop in blocks:
        inner += E[:, start:stop] @ _orthogonal(record, start, stop)
    for start, stop in blocks:
        E[:, start:stop] -= inner @ _orthogonal(record, start, stop).T
    scale = np.sqrt((E**2).sum(axis=1) / record.df_resid)
    return _named(record, {"beta": record.beta + inner @ record.root.T, "sigma": scale})


def _orthogonal(record: OlsRecord, start: int, stop: int) -> FloatArray:
    columns = [record.rows.fixed[i] for i in record.kept]
    Q: FloatArray = fill(columns, start, stop) @ record.root
    if record.rows.weights is not None:
        Q *= np.sqrt(record.rows.weights[start:stop])[:, None]
    return Q


def _read(value: Any, label: str) -> tuple[tuple[str, ...], FloatArray]:
    """Names and numbers of what a statistic returned.

    Raises
    ------
    SpecificationError
        For what is not a number, a mapping or a one-dimensional array of numbers.
    """
    names: tuple[str, ...] | None = None
    if isinstance(value, Mapping):
        names, value = tuple(map(str, value)), list(value.values())
    elif hasattr(value, "_fields"):
        names = tuple(value._fields)
    elif hasattr(value, "index") and hasattr(value, "to_numpy") and np.ndim(value) == 1:
        names, value = tuple(map(_name, value.index)), value.to_numpy()
    elif isinstance(value, numbers.Real) or (isinstance(value, np.ndarray) and not value.ndim):
        names, value = (label,), [value]
    try:
        if np.iscomplexobj(value) or np.ndim(value) != 1:
            raise TypeError
        values = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise SpecificationError(
            f"{label} returned {_what(value)}; a statistic returns a number, a dict or Series of "
            "numbers, or a one-dimensional array."
        ) from None
    if names is None:
        names = tuple(f"{label}[{i}]" for i in range(len(values)))
    if not len(values):
        raise SpecificationError(f"{label} returned no values.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SpecificationError(f"{label} returned the name {twice!r} more than once.")
    return names, values


def _name(label: Any) -> str:
    return ", ".join(map(str, label)) if isinstance(label, tuple) else str(label)


def _what(value: Any) -> str:
    kind = type(value).__name__
    shape = np.shape(value) if isinstance(value, np.ndarray) or hasattr(value, "shape") else ()
    return f"{kind} of shape {shape}" if shape else f"a value of type {kind}"


def _listed(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return f"one value ({names[0]})"
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return f"{len(names)} values ({shown})"
