"""Penalised least squares: the objective, its derivatives and its solution at any theta."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import _core
from ._dense import limited, load_lapack
from ._errors import PartialPoolError
from ._types import FloatArray
from .products import CrossProducts, GroupColumns

if TYPE_CHECKING:
    from .covariance import Layout
    from .design import Rows

__all__ = ["Evaluation", "Problem", "Solution"]

_ORDERS = {
    "value": _core.VALUE,
    "gradient": _core.GRADIENT,
    "average": _core.AVERAGE,
    "exact": _core.EXACT,
}
_SMALL = 48  # columns of the dense complement up to which our own kernels serve (cpp/lapack.hpp)
_THREADED = 400  # from here on threads of the dense algebra pay (measured: 2 threads, potrf, potri)
_ROWS = 8192
_NOTHING = nullcontext()


class Evaluation(NamedTuple):
    """The objective at one theta.

    Attributes
    ----------
    value : float
        REML criterion or ML deviance; inf where the factorisation fails.
    gradient : (m,) float64 or None
    hessian : (m, m) float64 or None
    """

    value: float
    gradient: FloatArray | None
    hessian: FloatArray | None


class Solution(NamedTuple):
    """Penalised least squares at one theta.

    Attributes
    ----------
    theta : (m,) float64
    beta : (p,) float64
        Fixed effects of the columns kept.
    cov_unscaled : (p, p) float64
        (X'V^-1 X)^-1; the covariance of beta is sigma^2 times this.
    sigma : float
        Residual standard deviation: sqrt(pwrss / (n - p)) by REML, sqrt(pwrss / n) by ML.
    b, u : tuple of (levels, k) float64
        Random effects of each term, and the same on the spherical scale, b = lambda u.
    objective : float
        REML criterion or ML deviance.
    logdet_L : float
        log |Lambda'Z'WZ Lambda + I|.
    logdet_RX : float
        log |X'V^-1 X|, with sigma^2 V the covariance of y.
    wrss, ussq, pwrss : float
        Weighted residual sum of squares, u'u, and their sum.
    """

    theta: FloatArray
    beta: FloatArray
    cov_unscaled: FloatArray
    sigma: float
    b: tuple[FloatArray, ...]
    u: tuple[FloatArray, ...]
    objective: float
    logdet_L: float
    logdet_RX: float
    wrss: float
    ussq: float
    pwrss: float


class Problem:
    """Cross-products and a layout, ready to be evaluated; holds a native workspace, no rows.

    Parameters
    ----------
    products : CrossProducts
    layout : Layout
    reml : bool
    groups : list of GroupColumns
        The columns of each grouping factor, from `products.random_columns`.
    threads : int, optional
        Of the dense linear algebra.
    """

    def __init__(
        self,
        products: CrossProducts,
        layout: Layout,
        *,
        reml: bool,
        groups: list[GroupColumns],
        threads: int | None = None,
    ) -> None:
        self.layout = layout
        self.reml = reml
        self.products = products
        self._groups = groups
        self._threads = threads
        self._place = term_places(groups)
        self.native = native_plan(products.native, layout, groups, self._place, reml)

    def evaluate(self, theta: Sequence[float] | FloatArray, order: str = "value") -> Evaluation:
        """The objective at theta.

        Parameters
        ----------
        theta : (m,) float64
        order : {"value", "gradient", "average", "exact"}
            How much to compute: the last two add the average-information and the exact Hessian.
        """
        if order == "exact" and len(self._groups) > 1:
            load_lapack()
        with self.dense_algebra():
            _, value, gradient, hessian = self.native.evaluate(
                np.ascontiguousarray(theta, dtype=np.float64), _ORDERS[order]
            )
        return Evaluation(value, gradient, hessian)

    def derivatives(self, theta: Sequence[float] | FloatArray) -> tuple[Any, ...] | None:
        """What Satterthwaite's method needs (cpp/inference.hpp); None where nothing factors."""
        return self._exactly(self.native.derivatives, theta)

    def kenward_roger(self, theta: Sequence[float] | FloatArray) -> tuple[Any, ...] | None:
        """What Kenward and Roger's needs; the matrices are in transformed columns of X."""
        return self._exactly(self.native.kenward_roger, theta)

    def _exactly(
        self,
        function: Callable[[FloatArray], tuple[Any, ...] | None],
        theta: Sequence[float] | FloatArray,
    ) -> tuple[Any, ...] | None:
        if len(self._groups) > 1:
            load_lapack()
        with self.dense_algebra():
            return function(np.ascontiguousarray(theta, dtype=np.float64))

    def solve(self, theta: Sequence[float] | FloatArray) -> Solution:
        """beta, b, u, sigma and the parts of the objective at theta.

        Raises
        ------
        PartialPoolError
            If the factorisation fails at this theta.
        """
        at = np.array(theta, dtype=np.float64)
        with self.dense_algebra():
            found = self.native.solve(at)
        return self.solution(at, found)

    def solution(self, theta: FloatArray, found: tuple[Any, ...] | None) -> Solution:
        """The record of what the native solver found at theta."""
        if found is None:
            raise PartialPoolError(
                f"The penalised least squares cannot be factored at theta={theta}."
            )
        return solution(theta, found, self._place)

    def with_response(self, products: CrossProducts, native: _core.Plan) -> Problem:
        """The same problem for another response, from its products and its native plan."""
        new = object.__new__(Problem)
        new.__dict__.update(self.__dict__)
        new.products, new.native = products, native
        return new

    def conditional_covariances(
        self, theta: Sequence[float] | FloatArray
    ) -> tuple[FloatArray, ...]:
        """Covariance of b given y, beta and theta, over sigma^2, a term.

        Returns
        -------
        tuple of (levels, k, k) float64
        """
        with self.dense_algebra():
            blocks = self.native.conditional_covariances(
                np.ascontiguousarray(theta, dtype=np.float64)
            )
        return tuple(
            np.ascontiguousarray(blocks[g][:, first : first + k, first : first + k])
            for g, first, k in self._place
        )

    def row_variances(
        self,
        theta: Sequence[float] | FloatArray,
        rows: Rows,
        terms: Sequence[bool] | None = None,
    ) -> FloatArray:
        """g'Omega^-1 g of each row: sigma^2 times it is the variance of x'beta + z'(b - b_hat).

        Parameters
        ----------
        theta : (m,) float64
        rows : Rows
            The rows of the fit, or of new data. A level of -1 adds its prior variance.
        terms : sequence of bool, optional
            Which terms take part; default all.

        Returns
        -------
        (n,) float64
        """
        at = np.ascontiguousarray(theta, dtype=np.float64)
        chosen = [True] * len(rows.terms) if terms is None else list(terms)
        xshift, xscale, mix, zs = self.native.transform()
        p = len(xshift)
        mixing = mix.reshape(p, p, order="F") if len(mix) else None
        fixed = tuple(rows.fixed[i] for i in self.products.kept)
        out = np.empty(rows.nobs)
        with self.dense_algebra():
            for start in range(0, rows.nobs, _ROWS):
                stop = min(rows.nobs, start + _ROWS)
                x = (_core.fill(fixed, start, stop).reshape(stop - start, p) - xshift) / xscale
                if mixing is not None:
                    x = x @ mixing
                levels, z, include = [], [], []
                for g, group in enumerate(self._groups):
                    levels.append(np.ascontiguousarray(rows.groups[g].codes[start:stop]))
                    z.append(self._random_block(rows, g, zs[g], chosen, start, stop))
                    include.append(any(chosen[t] for t in group.offsets))
                out[start:stop] = self.native.row_variances(
                    at, include, levels, z, np.ascontiguousarray(x)
                )
        return out

    def fixed_variances(self, theta: Sequence[float] | FloatArray, rows: FloatArray) -> FloatArray:
        """l~'(X~'V^-1 X~)^-1 l~ of rows (n, p) in the transformed columns X~."""
        n, groups = len(rows), self._groups
        codes = [np.zeros(n, dtype=np.int32)] * len(groups)
        z = [np.zeros((n, len(group.columns))) for group in groups]
        with self.dense_algebra():
            return np.asarray(
                self.native.row_variances(
                    np.ascontiguousarray(theta, dtype=np.float64),
                    [False] * len(groups),
                    codes,
                    z,
                    np.ascontiguousarray(rows),
                )
            )

    def _random_block(
        self,
        rows: Rows,
        g: int,
        transform: tuple[FloatArray, FloatArray],
        chosen: list[bool],
        start: int,
        stop: int,
    ) -> FloatArray:
        """Transformed columns of one grouping factor, zero for terms that take no part."""
        group = self._groups[g]
        columns: list[Any] = [None] * len(group.columns)
        for t, first in group.offsets.items():
            columns[first : first + len(rows.terms[t].columns)] = rows.terms[t].columns
        z = _core.fill(tuple(columns), start, stop)
        for t, first in group.offsets.items():
            if not chosen[t]:
                z[:, first : first + len(rows.terms[t].columns)] = 0
        shift, scale = transform
        at = np.array(group.intercepts)
        beside = np.where(at >= 0, z[:, at], 0.0)
        return np.ascontiguousarray((z - beside * shift) / scale)

    def dense_algebra(self) -> AbstractContextManager[Any]:
        """LAPACK at hand, with the threads asked for, where the dense complement is large."""
        size = self.native.dense_size()
        if size <= _SMALL:
            return _NOTHING
        load_lapack()
        threads = self._threads if self._threads is not None else (None if size >= _THREADED else 1)
        if threads is None:
            return _NOTHING
        return limited(threads)


def term_places(groups: list[GroupColumns]) -> list[tuple[int, int, int]]:
    """For each term its group, its first column there, and its number of columns."""
    found: dict[int, tuple[int, int, int]] = {}
    for g, group in enumerate(groups):
        starts = [*group.offsets.values(), len(group.columns)]
        for (term, first), stop in zip(group.offsets.items(), starts[1:], strict=True):
            found[term] = (g, first, stop - first)
    return [found[t] for t in range(len(found))]


def native_plan(
    products: Any,
    layout: Layout,
    groups: list[GroupColumns],
    place: list[tuple[int, int, int]],
    reml: bool,
) -> _core.Plan:
    """The native workspace."""
    terms = [(g, o, k, s.diagonal) for (g, o, k), s in zip(place, layout.specs, strict=True)]
    return _core.Plan(products, terms, reml, [g.intercepts for g in groups])


def solution(theta: FloatArray, found: Any, place: list[tuple[int, int, int]]) -> Solution:
    """The record of what the native solver returns."""
    beta, cov, scale, value, logdet_L, logdet_RX, pwrss, ussq, b, u = found
    theta.flags.writeable = False
    return Solution(
        theta=theta,
        beta=beta,
        cov_unscaled=cov,
        sigma=scale**0.5,
        b=tuple(_columns(b[g], o, k) for g, o, k in place),
        u=tuple(_columns(u[g], o, k) for g, o, k in place),
        objective=value,
        logdet_L=logdet_L,
        logdet_RX=logdet_RX,
        wrss=pwrss - ussq,
        ussq=ussq,
        pwrss=pwrss,
    )


def _columns(block: FloatArray, first: int, k: int) -> FloatArray:
    return block if block.shape[1] == k else np.ascontiguousarray(block[:, first : first + k])
