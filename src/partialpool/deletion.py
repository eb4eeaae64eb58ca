"""Estimates without each of some sets of rows: closed form for `lm`, refits for `lmer`.

In the coordinates Q = W^1/2 X R^-1 of all rows, leaving out the set j changes the coefficients of
least squares by

    R (beta - beta_(j)) = (I - G_j)^+ Q_j'e_j,    G_j = Q_j'Q_j,

and the residual sum of squares by -e_j'e_j - (Q_j'e_j)'(I - G_j)^+ Q_j'e_j. An eigenvector v of G_j
with eigenvalue 1 is a combination that only these rows tell of: a coefficient is still estimable if
its row of R^-1 is orthogonal to all of them. That is a property of X, so it holds for mixed models,
too; without it, the columns that a refit happens to drop would change what the others mean.

Source: Belsley, Kuh & Welsch (1980), chapter 2; Cook & Weisberg (1982), section 3.6, for sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import lmm, qr, roots, stage
from ._errors import PartialPoolError, SpecificationError
from ._types import BoolArray, FloatArray, Group
from .clusters import Clusters, take
from .diagnostics import residuals
from .estimates import covariance
from .ols import OlsRecord
from .predict import fitted
from .robust import ABSORBED, by_cluster, cross_products

if TYPE_CHECKING:
    from .design import Rows
    from .estimates import Record
    from .lmm import LmmRecord

__all__ = ["Deletion", "held", "refit_seconds", "without"]

_CHUNK = 1024  # sets at a time
_NULL = 1e-6  # of a row of R^-1: what rounding leaves of an inner product that is zero
_MAX_SECONDS = 3 * 3600.0
_SLOW = 1.0  # seconds from which on there is a progress bar


class Deletion(NamedTuple):
    """What m sets of rows change when each is left out.

    Attributes
    ----------
    beta : (m, r) float64
        Kept coefficients without the set; NaN where the other rows do not determine them.
    std_errors : (m, r) float64
        Standard errors without the set.
    sigma : (m,) float64
    theta : (m, q) float64
        Of mixed models; (m, 0) for `lm`.
    f_distance : (m,) float64
        (beta - beta_(j))' cov(beta)^-1 (beta - beta_(j)) / r, with the covariance of all rows: the
        F statistic of the hypothesis that the coefficients are those found without the set.
    converged : (m,) bool
    failures : tuple of (int, str)
        Sets without which there is no estimate, or not of every coefficient, and why.
    """

    beta: FloatArray
    std_errors: FloatArray
    sigma: FloatArray
    theta: FloatArray
    f_distance: FloatArray
    converged: BoolArray
    failures: tuple[tuple[int, str], ...]


def without(
    record: Record,
    sets: Clusters,
    *,
    only: Sequence[int] | None = None,
    progress: bool = False,
) -> Deletion:
    """The estimates without each set of rows.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    sets : Clusters
        m sets, each level one.
    only : sequence of int, optional
        Of mixed models: sets to leave out; the others stay NaN.
    progress : bool
        A bar on standard error, where refits take longer than about a second.

    Raises
    ------
    SpecificationError
        If the refits of a mixed model would take hours.

    Notes
    -----
    `lm`: n r^2 + m r^3 flops. `lmer`: m refits from the optimum of all rows, n (p + k)^2 each for
    the cross-products and then as a fit.
    """
    if isinstance(record, OlsRecord):
        return _least_squares(record, sets)
    return _refits(record, sets, range(len(sets.levels)) if only is None else only, progress)


def refit_seconds(record: LmmRecord, m: int) -> float:
    """Seconds that m refits take, roughly: to decide what is affordable.

    Calibrated on one core of a 2-core EPYC, 180 to 10^6 rows and 1,145 dense columns: a millisecond
    a refit, 10 ns a row and product of two columns, 4 ns the cube of the dense columns.
    """
    width = len(record.kept) + sum(len(t.columns) for t in record.rows.terms) + 2
    dense = record.products.native.dense_columns() if len(record.rows.groups) > 1 else 0
    return m * (1e-3 + 1e-8 * record.rows.nobs * width**2 + 4e-9 * float(dense) ** 3)


def held(record: LmmRecord) -> FloatArray | None:
    """(J,) F distances of the levels of a single grouping factor, theta held as with all rows.

    With S_j = X_j'V_j^-1 X_j, the change is (A^-1 - S_j)^-1 X_j'V_j^-1 e_j: cross-products of
    [Z Lambda, X H, e] by level, H H' = A, n (k + r)^2 flops, whatever J. Infinite for a level
    without which a coefficient is not determined. None for models with several grouping factors.
    """
    rows = record.rows
    if len(rows.groups) != 1:
        return None
    found = Clusters(rows.groups[0].name, rows.groups[0].codes, rows.groups[0].levels)
    order, starts = by_cluster(found)
    assert rows.y is not None
    e = rows.y - fitted(record, random="none")
    if rows.weights is not None:
        e = e * np.sqrt(rows.weights)
    rows, e = take(rows, order), e[order]
    columns = [c for term in rows.terms for c in term.columns]
    columns += [rows.fixed[i] for i in record.kept]
    k, r = len(columns) - len(record.kept), len(record.kept)
    factor = np.eye(k + r)
    at = 0
    for block in record.layout.lambdas(record.solution.theta):
        factor[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    # Columns X H with H H' = A, so that nothing is lost where a covariate is far from zero.
    factor[k:, k:] = roots.root(record).of(np.eye(r)) / record.solution.sigma
    distance = np.empty(len(starts) - 1)
    for first in range(0, len(distance), _CHUNK):
        bounds = starts[first : first + _CHUNK + 1]
        G, q = cross_products(columns, rows, factor, e, bounds)
        M = np.eye(k) + G[:, :k, :k]
        both = np.concatenate([G[:, :k, k:], q[:, :k, None]], axis=2)
        left = np.linalg.solve(M, both)
        S = G[:, k:, k:] - np.swapaxes(G[:, :k, k:], 1, 2) @ left[:, :, :r]
        score = q[:, k:] - np.einsum("jki,jk->ji", G[:, :k, k:], left[:, :, r])
        values, vectors = np.linalg.eigh(S)
        x = np.einsum("jik,ji->jk", vectors, score)
        lost = 1 - values <= ABSORBED
        step = np.where(lost, np.inf, x / np.where(lost, 1.0, 1 - values))
        distance[first : first + len(bounds) - 1] = (step**2).sum(axis=1)
    return np.asarray(distance / (r * record.solution.sigma**2))


def _least_squares(record: OlsRecord, sets: Clusters) -> Deletion:
    r, m = len(record.kept), len(sets.levels)
    order, starts = by_cluster(sets)
    rows = take(record.rows, order)
    e = residuals(record, "pearson")[order]
    columns = [rows.fixed[i] for i in record.kept]
    step, spread, sigma = np.empty((m, r)), np.empty((m, r)), np.empty(m)
    lost: list[tuple[int, FloatArray]] = []
    for first in range(0, m, _CHUNK):
        bounds = starts[first : first + _CHUNK + 1]
        at = slice(first, first + len(bounds) - 1)
        G, q = cross_products(columns, rows, record.root, e, bounds)
        values, vectors = np.linalg.eigh(G)
        null = 1 - values <= ABSORBED
        f = np.where(null, 0.0, 1 / np.where(null, 1.0, 1 - values))
        x = np.einsum("jik,ji->jk", vectors, q)
        step[at] = np.einsum("jik,jk->ji", vectors, f * x)
        half = np.einsum("ci,jik->jck", record.root, vectors)
        spread[at] = np.sqrt(np.einsum("jck,jk->jc", half**2, f))
        rss = record.rss - np.add.reduceat(e[bounds[0] : bounds[-1]] ** 2, bounds[:-1] - bounds[0])
        left = record.df_resid - np.diff(bounds) + null.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.sqrt(np.maximum(rss - (f * x**2).sum(axis=1), 0.0) / left)
        sigma[at] = np.where(left > 0, found, np.nan)
        lost += [
            (first + j, vectors[j][:, null[j]]) for j in np.flatnonzero(null.any(axis=1)).tolist()
        ]
    beta = record.beta - step @ record.root.T
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = (step**2).sum(axis=1) / (r * record.sigma**2)
        se = spread * sigma[:, None]
    failures = _inestimable(record, record.root, lost, (beta, se), distance)
    return Deletion(beta, se, sigma, np.empty((m, 0)), distance, np.ones(m, np.bool_), failures)


def _inestimable(
    record: Record,
    root: FloatArray,
    lost: list[tuple[int, FloatArray]],
    estimates: tuple[FloatArray, ...],
    distance: FloatArray,
) -> tuple[tuple[int, str], ...]:
    """Put NaN where the other rows do not determine a coefficient, and say of which."""
    scale = np.sqrt((root**2).sum(axis=1))
    failures = []
    for j, null in lost:
        gone = (np.abs(root @ null) > _NULL * scale[:, None]).any(axis=1)
        for values in estimates:
            values[j, gone] = np.nan
        distance[j] = np.nan
        names = ", ".join(record.names[record.kept[i]] for i in np.flatnonzero(gone))
        failures.append((j, f"the other rows do not determine {names}"))
    return tuple(failures)


def _refits(record: LmmRecord, sets: Clusters, only: Sequence[int], progress: bool) -> Deletion:
    r, m = len(record.kept), len(sets.levels)
    seconds = refit_seconds(record, len(only))
    if seconds > _MAX_SECONDS:
        raise SpecificationError(
            f"influence: {len(only)} refits of {record.rows.nobs} rows each would take about "
            f"{seconds / 3600:.0f} hours. Give a grouping factor with fewer levels; "
            "cooks_distance() gives the rows' with theta taken as known, without refits."
        )
    q = len(record.solution.theta)
    beta, se = np.full((m, r), np.nan), np.full((m, r), np.nan)
    sigma, theta = np.full(m, np.nan), np.full((m, q), np.nan)
    converged = np.zeros(m, dtype=np.bool_)
    failures: list[tuple[int, str]] = []
    place = {int(column): i for i, column in enumerate(record.kept)}
    order, starts = by_cluster(sets)
    keep = np.ones(record.rows.nobs, dtype=np.bool_)
    control = replace(record.control, start=tuple(record.solution.theta.tolist()))
    for j in _bar(only, progress and seconds > _SLOW):
        out = order[starts[j] : starts[j + 1]]
        keep[out] = False
        try:
            prepared = stage.of_rows(
                _fewer(record.rows, np.flatnonzero(keep)),
                spec=record.spec,
                schema=record.schema,
                table=None,
            )
            found = lmm.fit_stage(prepared, control)
        except PartialPoolError as error:
            failures.append((j, str(error)))
        else:
            at = [place[int(column)] for column in found.kept]
            beta[j, at] = found.solution.beta
            se[j, at] = np.sqrt(np.diag(covariance(found)))
            sigma[j], theta[j] = found.solution.sigma, found.solution.theta
            converged[j] = found.optimum.converged
        keep[out] = True
    step = record.solution.beta - beta
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = (roots.root(record).standardised(step) ** 2).sum(axis=1) / r
    failures += _only_here(record, sets, (beta, se), distance)
    return Deletion(beta, se, sigma, theta, distance, converged, tuple(sorted(failures)))


def _bar(sets: Sequence[int], shown: bool) -> Any:
    if not shown:
        return sets
    from tqdm.auto import tqdm

    return tqdm(sets, desc="refits", leave=False)


def _fewer(rows: Rows, at: npt.NDArray[np.intp]) -> Rows:
    """The rows `at`, with only the levels that occur in them.

    Raises
    ------
    SpecificationError
        If one level of a grouping factor is left.
    """
    left = take(rows, at)
    groups = []
    for group in left.groups:
        occurs = np.bincount(group.codes, minlength=len(group.levels)) > 0
        count = int(occurs.sum())
        if count < 2:
            raise SpecificationError(f"one level of {group.name!r} is left without it")
        codes = (np.cumsum(occurs, dtype=np.int32) - 1).astype(np.int32)[group.codes]
        groups.append(Group(group.name, codes, range(count)))
    return left._replace(groups=tuple(groups))


def _only_here(
    record: LmmRecord, sets: Clusters, estimates: tuple[FloatArray, ...], distance: FloatArray
) -> list[tuple[int, str]]:
    """The same for mixed models: sets of rows that alone determine a combination of X."""
    found = qr.factor(record.rows)
    if not np.array_equal(found.kept, record.kept):
        return []
    order, starts = by_cluster(sets)
    rows = take(record.rows, order)
    columns = [rows.fixed[i] for i in record.kept]
    nothing = np.zeros(rows.nobs)
    lost: list[tuple[int, FloatArray]] = []
    for first in range(0, len(starts) - 1, _CHUNK):
        bounds = starts[first : first + _CHUNK + 1]
        G, _ = cross_products(columns, rows, found.root, nothing, bounds)
        values, vectors = np.linalg.eigh(G)
        null = 1 - values <= ABSORBED
        lost += [
            (first + j, vectors[j][:, null[j]]) for j in np.flatnonzero(null.any(axis=1)).tolist()
        ]
    return list(_inestimable(record, found.root, lost, estimates, distance))
