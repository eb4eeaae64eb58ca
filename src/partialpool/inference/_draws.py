"""Responses drawn from a fit: from the model, from its residuals, or from signs of them.

Every class below is a plain record of arrays, so that it can be sent to another process, with one
method, ``responses(generator, count)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import diagnostics, predict
from .._core import fill
from .._errors import SpecificationError
from .._types import FloatArray
from ..estimates import sigma
from ..ols import OlsRecord
from ..qr import factor

if TYPE_CHECKING:
    from .._types import RandomTerm
    from ..estimates import Record
    from ..lmm import LmmRecord

__all__ = ["Parametric", "Residual", "Wild", "parametric", "residual", "wild"]

_GOLDEN = (1 + math.sqrt(5)) / 2


class Term(NamedTuple):
    """One random-effects term: b of each level to Z b.

    Attributes
    ----------
    codes : (n,) intp
    levels : int
    columns : tuple of (n,) float64 or None
        None for the constant.
    """

    codes: npt.NDArray[np.intp]
    levels: int
    columns: tuple[FloatArray | None, ...]

    def add(self, effects: list[FloatArray], out: FloatArray) -> None:
        """out += Z b, for k effects of shape (count, levels) and out (count, n)."""
        for b, z in zip(effects, self.columns, strict=True):
            part = np.take(b, self.codes, axis=1, mode="clip")
            if z is not None:
                part *= z
            out += part


@dataclass(frozen=True)
class Parametric:
    """y = center + Z b + noise e, b = factor u, with u and e standard normal.

    Attributes
    ----------
    center : (n,) float64
    noise : float or (n,) float64
        sigma / sqrt(w).
    terms : tuple of Term
        None where the random effects are kept: `center` holds them.
    factors : tuple of (k, k) float64
        sigma lambda.
    """

    center: FloatArray
    noise: float | FloatArray
    terms: tuple[Term, ...]
    factors: tuple[FloatArray, ...]

    def responses(self, generator: np.random.Generator, count: int) -> FloatArray:
        """(count, n) new responses."""
        effects = []
        for term, root in zip(self.terms, self.factors, strict=True):
            u = generator.standard_normal((len(root), count, term.levels))
            effects.append([_combined(root[r, : r + 1], u) for r in range(len(root))])
        out = generator.standard_normal((count, len(self.center)))
        out *= self.noise
        out += self.center
        for term, b in zip(self.terms, effects, strict=True):
            term.add(b, out)
        return out


@dataclass(frozen=True)
class Residual:
    """y = center + Z b + e / sqrt(w), with levels of b and values of e drawn with replacement.

    Attributes
    ----------
    center : (n,) float64
    errors : (n,) float64
        Mean 0 and mean square sigma^2.
    root : float or (n,) float64
        1 / sqrt(w).
    terms : tuple of Term
    effects : tuple of (levels, k) float64
        Means 0 and covariance matrix sigma^2 lambda lambda'.
    """

    center: FloatArray
    errors: FloatArray
    root: float | FloatArray
    terms: tuple[Term, ...]
    effects: tuple[FloatArray, ...]

    def responses(self, generator: np.random.Generator, count: int) -> FloatArray:
        """(count, n) new responses."""
        drawn = []
        for term, pool in zip(self.terms, self.effects, strict=True):
            at = generator.integers(0, term.levels, (count, term.levels))
            drawn.append([pool[:, r][at] for r in range(pool.shape[1])])
        n = len(self.center)
        out = self.errors[generator.integers(0, n, (count, n))]
        out *= self.root
        out += self.center
        for term, b in zip(self.terms, drawn, strict=True):
            term.add(b, out)
        return out


@dataclass(frozen=True)
class Wild:
    """y = center + v s, with one random weight s a cluster.

    Attributes
    ----------
    center : (n,) float64
    residuals : (n,) float64
        v, adjusted for leverage.
    codes : (n,) intp
    clusters : int
    """

    center: FloatArray
    residuals: FloatArray
    codes: npt.NDArray[np.intp]
    clusters: int

    def responses(self, generator: np.random.Generator, count: int) -> FloatArray:
        """(count, n) new responses."""
        # Mammen's two points: mean 0, variance 1, third moment 1.
        likely = generator.random((count, self.clusters)) < _GOLDEN / math.sqrt(5)
        weight = np.where(likely, 1 - _GOLDEN, _GOLDEN)
        out = np.take(weight, self.codes, axis=1, mode="clip")
        out *= self.residuals
        out += self.center
        return out


def parametric(record: Record, random: str) -> Parametric:
    """The fitted model as a source of responses.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    random : "new" or "fitted"
        Draw random effects, or keep the predicted ones.
    """
    scale = sigma(record)
    noise = scale if record.rows.weights is None else scale / np.sqrt(record.rows.weights)
    if isinstance(record, OlsRecord) or random == "fitted":
        return Parametric(predict.fitted(record), noise, (), ())
    factors = tuple(scale * f for f in record.layout.lambdas(record.solution.theta))
    center = predict.fitted(record, random="none")
    return Parametric(center, noise, _terms(record), factors)


def residual(record: Record, random: str) -> Residual:
    """Level effects and residuals of the fit, reflated, as a source of responses.

    Predicted effects and residuals vary less than the model says, so both are centred and then
    transformed to have the estimated covariance matrix: effects by A' with A = L_R L_S^-1, where
    L_R L_R' is the estimated matrix and L_S L_S' that of the predictions.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    random : "new" or "fitted"
        Draw the effects too, or keep the predicted ones.

    Raises
    ------
    SpecificationError
        If a term has too few levels for its predictions to have a covariance matrix.

    Notes
    -----
    Source: Carpenter, Goldstein & Rasbash (2003), Applied Statistics 52, 431-443.
    """
    weights = record.rows.weights
    errors = diagnostics.residuals(record, "pearson")
    errors = errors - errors.mean()
    errors *= sigma(record) / np.sqrt(np.mean(errors**2))
    root = 1.0 if weights is None else 1 / np.sqrt(weights)
    if isinstance(record, OlsRecord) or random == "fitted":
        return Residual(predict.fitted(record), errors, root, (), ())
    center = predict.fitted(record, random="none")
    return Residual(center, errors, root, _terms(record), _reflated(record))


def wild(record: Record, codes: npt.NDArray[np.intp], clusters: int) -> Wild:
    """Residuals of whole clusters times random weights as a source of responses.

    y = X beta + v s, with v = (y - X beta) / sqrt(1 - h), h the leverage of the row in least
    squares (HC2), and s one weight a cluster by Mammen's two-point distribution: -0.618 with
    probability 0.724, else 1.618. (Signs alone would leave every v v' and so the variances of the
    random effects as they are.)

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    codes : (n,) intp
        Cluster of each row.
    clusters : int

    Raises
    ------
    SpecificationError
        If a row has a leverage of one.

    Notes
    -----
    Source: Modugno & Giannerini (2015), Communications in Statistics, Theory and Methods 44,
    4812-4825; Mammen (1993), Annals of Statistics 21, 255-285.
    """
    rows = record.rows
    assert rows.y is not None
    center = predict.fitted(record, random="none")
    root = record.root if isinstance(record, OlsRecord) else factor(rows).root
    leverage = predict.squared_lengths(record, rows, root)
    if rows.weights is not None:
        leverage = leverage * rows.weights
    left = 1 - leverage
    if (left <= 1e-10).any():
        row = int(np.argmin(left))
        raise SpecificationError(
            f"kind='wild': row {row} of the used rows has a leverage of 1: the fixed effects fit "
            "it exactly, so it has no residual to draw from. Use kind='parametric'."
        )
    residuals = (rows.y - center) / np.sqrt(left)
    return Wild(center, residuals, codes, clusters)


def _terms(record: LmmRecord) -> tuple[Term, ...]:
    return tuple(_term(record, term) for term in record.rows.terms)


def _term(record: LmmRecord, term: RandomTerm) -> Term:
    rows = record.rows
    group = rows.groups[term.group]
    columns = []
    for column in term.columns:
        constant = not column.numeric and not column.lookups
        columns.append(None if constant else fill((column,), 0, rows.nobs)[:, 0].copy())
    return Term(group.codes.astype(np.intp), len(group.levels), tuple(columns))


def _combined(weights: FloatArray, u: FloatArray) -> FloatArray:
    """sum_c weights[c] u[c], in this order whatever the number of BLAS threads."""
    out: FloatArray = weights[0] * u[0]
    for w, part in zip(weights[1:], u[1:], strict=False):
        if w:
            out += w * part
    return out


def _reflated(record: LmmRecord) -> tuple[FloatArray, ...]:
    """(levels, k) predicted effects of each term with the estimated covariance matrix."""
    scale = sigma(record)
    specs, rank = record.layout.specs, record.optimum.rank
    factors = record.layout.lambdas(record.solution.theta)
    out = []
    for spec, lam, b, r in zip(specs, factors, record.solution.b, rank, strict=True):
        root = _open_directions(scale * lam, r)
        if not root.shape[1]:
            out.append(np.zeros_like(b))
            continue
        centred = b - b.mean(axis=0)
        whitened = np.linalg.lstsq(root, centred.T, rcond=None)[0].T
        moments = whitened.T @ whitened / len(b)
        if len(b) <= root.shape[1] or np.linalg.cond(moments) > 1e12:
            raise SpecificationError(
                f"kind='residual': the predicted effects of {spec.text} ({len(b)} levels, "
                f"{len(spec.columns)} columns) have a singular covariance matrix, so they cannot "
                "be rescaled to the estimated one. Use kind='parametric'."
            )
        lower = np.linalg.cholesky(moments)
        out.append(np.linalg.solve(lower, whitened.T).T @ root.T)
    return tuple(out)


def _open_directions(root: FloatArray, rank: int) -> FloatArray:
    """(k, rank) F with F F' = root root': root itself where it is of full rank."""
    if rank == len(root):
        return root
    size = np.sqrt((root**2).sum(axis=1))
    scaled = root / np.where(size > 0, size, 1)[:, None]
    values, vectors = np.linalg.eigh(scaled @ scaled.T)
    kept = slice(len(root) - rank, None)
    return np.asarray(size[:, None] * vectors[:, kept] * np.sqrt(np.maximum(values[kept], 0)))
