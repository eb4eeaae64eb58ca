"""Satterthwaite's degrees of freedom: how well the variance of a contrast is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .. import lmm
from .._errors import PartialPoolError
from .._types import FloatArray
from ..estimates import covariance
from ..roots import Root, root

if TYPE_CHECKING:
    from ..lmm import LmmRecord

__all__ = ["Satterthwaite", "nothing", "satterthwaite", "scaled_inverse"]

_FLAT = 1e-8  # of the largest eigenvalue of the scaled information: directions without any


@dataclass(frozen=True)
class Satterthwaite:
    """The covariance of the coefficients, and how it depends on the variance parameters.

    Attributes
    ----------
    covariance : (r, r) float64
        Of the kept coefficients.
    root : Root
        Of the same, with all digits where a covariate is far from zero.
    gradients : (m + 1, r, r) float64
        Derivatives of the covariance, in the transformed columns of `root`, by m relative
        covariance parameters (elements of the factors, in the scaled columns of the optimiser) and
        by log sigma^2.
    parameter_covariance : (m + 1, m + 1) float64
        Asymptotic covariance of those estimates.
    boundary : tuple of str
        Terms, as written, with directions that were left out: their covariance is singular, so
        that it can move within its rank only.
    df_resid : float
        n - r by REML, n by ML: the degrees of freedom of sigma^2 alone.
    """

    covariance: FloatArray
    root: Root
    gradients: FloatArray
    parameter_covariance: FloatArray
    boundary: tuple[str, ...]
    df_resid: float

    def __post_init__(self) -> None:
        arrays = (self.covariance, self.gradients, self.parameter_covariance, *self.root)
        for array in arrays:
            if array is not None:
                array.flags.writeable = False

    def df(self, L: FloatArray) -> FloatArray:
        """(q,) degrees of freedom of the rows of L (q, r); NaN for a row of zeros.

        Source: Giesbrecht and Burns (1985); docs/math.md, M16.
        """
        if not self.covariance.any():  # sigma is zero; the ratio does not depend on it
            return np.where(np.abs(L).sum(axis=1) > 0, self.df_resid, math.nan)
        L = self.root.transformed(L)
        variance = np.einsum("ij,ij->i", L @ self.root.half, L @ self.root.half)
        gradient = np.einsum("ij,mjk,ik->im", L, self.gradients, L)
        with np.errstate(divide="ignore", invalid="ignore"):
            g = gradient / variance[:, None]
            return np.asarray(2 / np.einsum("im,mn,in->i", g, self.parameter_covariance, g))


def satterthwaite(record: LmmRecord) -> Satterthwaite:
    """What Satterthwaite's degrees of freedom need, computed once a fit.

    Parameters
    ----------
    record : LmmRecord
        By REML or ML.

    Returns
    -------
    Satterthwaite
    """
    found = record.workspace.get("satterthwaite")
    if found is None:
        found = record.workspace["satterthwaite"] = _compute(record)
    return found


def _compute(record: LmmRecord) -> Satterthwaite:
    cov = covariance(record)
    nu = float(record.rows.nobs - (len(record.kept) if record.spec.reml else 0))
    if record.solution.sigma == 0:
        return Satterthwaite(cov, nothing(len(cov)), cov[None], np.array([[2 / nu]]), (), nu)
    found = lmm.problem(record).derivatives(record.solution.theta)
    if found is None:
        raise PartialPoolError("The model cannot be factored at its optimum.")
    scale, slopes, d, H, of_term, rank = found
    known = root(record)
    gradients = np.concatenate([scale * slopes, (known.half @ known.half.T)[None]])
    information = np.block([[H + np.outer(d, d) / nu, -d[:, None]], [-d[None], np.array([[nu]])]])
    inverse, flat = scaled_inverse(information)
    specs = record.layout.specs
    out = {t for t, spec in enumerate(specs) if rank[t] < len(spec.columns)}
    out |= {of_term[k] for k in flat if k < len(of_term)}
    boundary = tuple(specs[t].text for t in sorted(out))
    return Satterthwaite(cov, known, gradients, 2 * inverse, boundary, nu)


def nothing(r: int) -> Root:
    """The root of a covariance of zeros."""
    return Root(np.zeros(r), np.zeros(r), np.ones(r), None, np.zeros((r, r)))


def scaled_inverse(H: FloatArray) -> tuple[FloatArray, set[int]]:
    """Pseudo-inverse after scaling to a unit diagonal, and the elements that directions left out
    lie along.

    At the boundary the covariance does not depend on them to first order (a rotation of the factor
    of a singular covariance, for one); the data say nothing about others.
    """
    diagonal = np.diag(H)
    unit = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    w, V = np.linalg.eigh(H * np.outer(unit, unit))
    keep = w > _FLAT * w[-1]
    half = unit[:, None] * V[:, keep] / np.sqrt(w[keep])
    return half @ half.T, {int(np.abs(v).argmax()) for v in V[:, ~keep].T}
