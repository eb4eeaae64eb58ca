"""The linear mixed model: formula and data to a frozen record, one stage a line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _core, design, optimize, products, qr, verdict
from ._errors import ConvergenceError, DataError
from ._types import FloatArray
from .control import Control
from .covariance import Layout
from .optimize import Optimum
from .pls import Problem, Solution
from .stage import Stage, checked, prepare

if TYPE_CHECKING:
    from .design import Rows, Schema, Spec
    from .products import CrossProducts
    from .table import Table

__all__ = [
    "LmmRecord",
    "Optimum",
    "fit",
    "fit_stage",
    "problem",
    "refit",
    "refit_many",
    "refit_ml",
    "refitted",
]

_EXACT = 8 * 2.0**-52  # rounding of y: residuals below this share of it are none


@dataclass(frozen=True)
class LmmRecord:
    """A fitted linear mixed model.

    Attributes
    ----------
    spec : Spec
    schema : Schema
    rows : Rows
        The used rows.
    table : Table or None
        The user's data; left out of pickles.
    products : CrossProducts
    layout : Layout
    control : Control
    optimum : Optimum
    solution : Solution
    names : tuple of str
        All columns of the fixed part.
    kept : (p,) int64
        Those that are not combinations of earlier ones.
    aliases : tuple of (int, tuple of int)
        Each dropped column with the kept ones that it repeats.
    """

    spec: Spec
    schema: Schema
    rows: Rows
    table: Table | None
    products: CrossProducts
    layout: Layout
    control: Control
    optimum: Optimum
    solution: Solution
    names: tuple[str, ...]
    kept: npt.NDArray[np.int64]
    aliases: tuple[tuple[int, tuple[int, ...]], ...] = ()
    workspace: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"table": None, "workspace": {}}


def fit(
    formula: str,
    data: Any,
    *,
    reml: bool = True,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: str = "drop",
    control: Control | None = None,
) -> LmmRecord:
    """Fit y = X beta + Z b + e, b ~ N(0, sigma^2 Lambda Lambda'), e_i ~ N(0, sigma^2 / w_i).

    Parameters
    ----------
    formula : str
    data : table
        Whatever `table.of` reads.
    reml : bool
    weights, offset : str or (n,) array, optional
    contrasts : mapping, optional
    missing : "drop" or "raise"
    control : Control, optional

    Returns
    -------
    LmmRecord

    Raises
    ------
    SpecificationError
        If the rank of X is not below the number of rows, or a term has as many random effects as
        there are rows.
    ConvergenceError
        If the objective cannot be evaluated at the start.
    """
    control = checked(reml, control)
    stage = prepare(formula, data, reml, weights, offset, contrasts, missing)
    record = fit_stage(stage, control)
    verdict.warn_of(record)
    return record


def fit_stage(stage: Stage, control: Control) -> LmmRecord:
    """The fit of what is already prepared, without its warnings."""
    optimum, solution, workspace = _minimised(stage, bool(stage.spec.reml), control)
    return _record(stage, control, optimum, solution, workspace)


def problem(record: LmmRecord) -> Problem:
    """The objective of a fitted model: native work space, made once and not pickled."""
    found = record.workspace.get("problem")
    if found is None:
        groups = products.random_columns(record.rows)
        found = record.workspace["problem"] = Problem(
            record.products,
            record.layout,
            reml=bool(record.spec.reml),
            groups=groups,
            threads=record.control.threads,
        )
        found.native.set_anchor(record.optimum.theta, record.optimum.scaled)
    return found


def refit(record: LmmRecord, y: Any) -> LmmRecord:
    """The same model for another response, from this theta on.

    Parameters
    ----------
    record : LmmRecord
    y : (nobs,) array
        One value a used row.

    Returns
    -------
    LmmRecord

    Raises
    ------
    DataError
        If `y` has another length or a value that is not finite.
    """
    fitted = refitted(record, y)
    verdict.warn_of(fitted)
    return fitted


def refitted(record: LmmRecord, y: Any) -> LmmRecord:
    """`refit` without its warnings: for thousands of responses, a few of them singular."""
    response = design.response_of(record.rows, y)
    groups, native_rows = _native_rows(record)
    old = problem(record)
    start = record.control.start or record.solution.theta.tolist()
    with old.dense_algebra():
        native, plan, found, solved = old.native.refit(
            native_rows, response, start, record.control.tolerance, record.control.max_evaluations
        )
    rows = record.rows._replace(y=response)
    changes: dict[str, Any] = {
        "rows": rows,
        "products": products.CrossProducts(native, record.products.kept),
        "workspace": {"rows": (groups, native_rows)},
    }
    if found is None or _is_exact(native):
        changes["optimum"], changes["solution"] = _degenerate(rows, record.layout)
    else:
        optimum = changes["optimum"] = optimize.record(found)
        _require_optimum(optimum, rows)
        new = changes["workspace"]["problem"] = old.with_response(changes["products"], plan)
        changes["solution"] = new.solution(optimum.theta, solved)
    return _changed(record, changes)


def refit_many(record: LmmRecord, responses: npt.ArrayLike) -> dict[str, FloatArray]:
    """The same model for many responses; no warnings, a row a response.

    Parameters
    ----------
    record : LmmRecord
    responses : (count, nobs) array

    Returns
    -------
    dict
        ``theta`` (count, m), ``beta`` (count, p), ``sigma``, ``objective`` and ``converged``
        (count,); NaN where a fit failed.

    Raises
    ------
    DataError
        If the responses have another length or a value that is not finite.
    """
    Y = np.ascontiguousarray(responses, dtype=np.float64)
    if Y.ndim != 2 or Y.shape[1] != record.rows.nobs:
        raise DataError(
            f"refit_many: the responses have shape {Y.shape}; a row of {record.rows.nobs} values "
            "a response is needed."
        )
    if _core.scan(Y.ravel()):
        raise DataError("refit_many: every value must be finite.")
    _, native_rows = _native_rows(record)
    found = problem(record)
    with found.dense_algebra():
        theta, beta, sigma, value, converged = found.native.refit_many(
            native_rows,
            Y,
            [float(v) for v in record.solution.theta],
            record.control.tolerance,
            record.control.max_evaluations,
        )
    return {
        "theta": theta,
        "beta": beta,
        "sigma": sigma,
        "objective": value,
        "converged": converged == 1,
    }


def refit_ml(record: LmmRecord) -> LmmRecord:
    """The same model by maximum likelihood; an ML fit as it is."""
    if not record.spec.reml:
        return record
    groups, native_rows = _native_rows(record)
    workspace: dict[str, Any] = {"rows": (groups, native_rows)}
    changes: dict[str, Any] = {"spec": replace(record.spec, reml=False), "workspace": workspace}
    if record.solution.sigma > 0:
        found = workspace["problem"] = Problem(
            record.products,
            record.layout,
            reml=False,
            groups=groups,
            threads=record.control.threads,
        )
        start = record.solution.theta.tolist()
        optimum = changes["optimum"] = optimize.minimize(found, record.control, start=start)
        _require_optimum(optimum, record.rows)
        changes["solution"] = found.solve(optimum.theta)
    fitted = _changed(record, changes)
    verdict.warn_of(fitted)
    return fitted


def _record(
    stage: Stage,
    control: Control,
    optimum: Optimum,
    solution: Solution,
    workspace: dict[str, Any],
) -> LmmRecord:
    return LmmRecord(
        stage.spec,
        stage.schema,
        stage.rows,
        stage.table,
        stage.products,
        stage.layout,
        control,
        optimum,
        solution,
        stage.names,
        stage.kept,
        stage.aliases,
        workspace,
    )


def _changed(record: LmmRecord, changes: dict[str, Any]) -> LmmRecord:
    """A copy with changes: `dataclasses.replace` without its cost, half of a small refit."""
    new = object.__new__(LmmRecord)
    new.__dict__.update(record.__dict__)
    new.__dict__.update(changes)
    return new


def _minimised(
    stage: Stage, reml: bool, control: Control
) -> tuple[Optimum, Solution, dict[str, Any]]:
    """The optimum, its solution, and the work space worth keeping."""
    workspace: dict[str, Any] = {"rows": (stage.groups, stage.native_rows)}
    if _is_exact(stage.products.native):
        return (*_degenerate(stage.rows, stage.layout), workspace)
    found = Problem(
        stage.products, stage.layout, reml=reml, groups=stage.groups, threads=control.threads
    )
    optimum = optimize.minimize(found, control)
    _require_optimum(optimum, stage.rows)
    workspace["problem"] = found
    return optimum, found.solve(optimum.theta), workspace


def _require_optimum(optimum: Optimum, rows: Rows) -> None:
    if optimum.message == optimize.UNBOUNDED:
        raise ConvergenceError(
            f"{optimum.message[0].upper()}{optimum.message[1:]}, so there is no optimum. Is the "
            "response constant within the levels of a grouping factor "
            f"({', '.join(g.name for g in rows.groups)})? Drop that term, or fit level means."
        )
    if not math.isfinite(optimum.objective) or not optimum.rank:
        raise ConvergenceError(
            "The objective could not be evaluated at the starting value "
            f"theta={optimum.theta.tolist()}: {optimum.message}. Is the response, or are "
            "columns of the random part, many orders of magnitude from one? Rescale them, or give "
            "Control(start=...)."
        )


def _is_exact(native: _core.Products) -> bool:
    """Is y, to rounding, a combination of the fixed columns? Then all variances are zero."""
    return math.sqrt(native.rss0 / native.n) <= _EXACT * native.response_size


def _degenerate(rows: Rows, layout: Layout) -> tuple[Optimum, Solution]:
    """Zero variances: least squares fits y exactly."""
    found = qr.factor(rows)
    theta = np.zeros(layout.size)
    theta.flags.writeable = False
    b = tuple(np.zeros((len(rows.groups[t.group].levels), len(t.columns))) for t in rows.terms)
    solution = Solution(
        theta=theta,
        beta=found.beta,
        cov_unscaled=found.root @ found.root.T,
        sigma=0.0,
        b=b,
        u=b,
        objective=-math.inf,
        logdet_L=0.0,
        logdet_RX=float(2 * np.log(np.abs(np.diag(found.R))).sum()),
        wrss=0.0,
        ussq=0.0,
        pwrss=0.0,
    )
    optimum = Optimum(
        converged=True,
        theta=theta,
        scaled=theta,
        objective=-math.inf,
        decrement=0.0,
        gradient_norm=0.0,
        min_hessian_eigenvalue=0.0,
        kkt=True,
        rank=(0,) * len(rows.terms),
        evaluations=0,
        message="the fixed effects fit the response exactly: every variance is zero",
        log=(),
    )
    return optimum, solution


def _native_rows(record: LmmRecord) -> tuple[list[products.GroupColumns], Any]:
    found = record.workspace.get("rows")
    if found is None:
        groups = products.random_columns(record.rows)
        kept = tuple(int(i) for i in record.kept)
        found = record.workspace["rows"] = (
            groups,
            products.row_set(record.rows, kept, groups),
        )
    return found
