"""Satterthwaite's degrees of freedom: how well the variance of a contrast is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .. import lmm
from .._types import FloatArray
from ..estimates import covariance

if TYPE_CHECKING:
    from ..lmm import LmmRecord

__all__ = ["Satterthwaite", "satterthwaite"]

_FLAT = 1e-8  # of the largest eigenvalue of the scaled information: directions without any


@dataclass(frozen=True)
class Satterthwaite:
    """The covariance of the coefficients, and how it depends on the variance parameters.

    Attributes
    ----------
    covariance : (r, r) float64
        Of the kept coefficients.
    gradients : (m + 1, r, r) float64
        Its derivatives by the m relative covariance parameters and by log sigma^2.
    parameter_covariance : (m + 1, m + 1) float64
        Asymptotic covariance of those estimates.
    boundary : tuple of str
        Terms, as written, some of whose directions the data say nothing about: left out.
    df_resid : float
        n - r by REML, n by ML: the degrees of freedom of sigma^2 alone.
    """

    covariance: FloatArray
    gradients: FloatArray
    parameter_covariance: FloatArray
    boundary: tuple[str, ...]
    df_resid: float

    def df(self, L: FloatArray) -> FloatArray:
        """(q,) degrees of freedom of the rows of L (q, r); NaN for a row of zeros.

        Source: Giesbrecht and Burns (1985); docs/math.md, M16.
        """
        variance = np.einsum("ij,jk,ik->i", L, self.covariance, L)
        if not self.covariance.any():  # sigma is zero; the ratio does not depend on it
            return np.where(np.abs(L).sum(axis=1) > 0, self.df_resid, math.nan)
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
    return found  # type: ignore[no-any-return]


def _compute(record: LmmRecord) -> Satterthwaite:
    cov = covariance(record)
    nu = float(record.rows.nobs - (len(record.kept) if record.spec.reml else 0))
    if record.solution.sigma == 0:
        return Satterthwaite(cov, cov[None], np.array([[2 / nu]]), (), nu)
    unscaled, d, H = _differences(record)
    gradients = np.concatenate([record.solution.sigma**2 * unscaled, cov[None]])
    full = np.block([[H + np.outer(d, d) / nu, -d[:, None]], [-d[None], np.array([[nu]])]])
    return Satterthwaite(cov, gradients, 2 * _inverse(full), (), nu)


def _inverse(H: FloatArray) -> FloatArray:
    scale = 1 / np.sqrt(np.where(np.diag(H) > 0, np.diag(H), 1.0))
    w, V = np.linalg.eigh(H * np.outer(scale, scale))
    keep = w > _FLAT * w[-1]
    half = scale[:, None] * V[:, keep] / np.sqrt(w[keep])
    return np.asarray(half @ half.T)


def _differences(record: LmmRecord) -> tuple[FloatArray, FloatArray, FloatArray]:
    found, theta = lmm.problem(record), record.solution.theta
    H = found.evaluate(theta, "exact").hessian
    assert H is not None
    C, d = [], []
    for k in range(len(theta)):
        h = 1e-3 * max(abs(float(theta[k])), 0.1)
        slope, rise = np.zeros_like(record.solution.cov_unscaled), 0.0
        for weight, place in ((1, -2), (-8, -1), (8, 1), (-1, 2)):
            at = np.array(theta)
            at[k] += place * h
            solved = found.solve(at)
            slope += weight / (12 * h) * solved.cov_unscaled
            rise += weight / (12 * h) * solved.pwrss
        C.append(slope)
        d.append(rise / record.solution.sigma**2)
    return np.array(C), np.array(d), H
