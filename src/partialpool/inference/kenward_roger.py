"""Kenward and Roger's adjusted covariance, degrees of freedom and scale of F."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .. import lmm
from .._errors import PartialPoolError, SpecificationError
from .._types import FloatArray
from ..estimates import covariance
from ..roots import Root, root
from .satterthwaite import nothing, scaled_inverse

if TYPE_CHECKING:
    from ..lmm import LmmRecord

__all__ = ["KenwardRoger", "kenward_roger"]

_COLUMNS, _BYTES = 4000, 4e9  # of the dense algebra, up to which it is worth trying
_ZERO = 1e-10  # a factor of the variance of F that counts as zero
_TWO = 0.01  # denominator degrees of freedom this near to 2 leave F unscaled


@dataclass(frozen=True)
class KenwardRoger:
    """The covariance of the coefficients for small samples, and what its tests need.

    Attributes
    ----------
    covariance : (r, r) float64
        Adjusted, of the kept coefficients.
    unadjusted : (r, r) float64
        sigma^2 (X'V^-1 X)^-1.
    root, unadjusted_root : Root
        Of the two, with all digits where a covariate is far from zero.
    gradients : (m + 1, r, r) float64
        Minus the derivatives of `unadjusted`, in the transformed columns of its root, by the m
        elements of the random effects' covariances (in the scaled columns of the optimiser) and by
        sigma^2.
    parameter_covariance : (m + 1, m + 1) float64
        Inverse expected information about them.
    boundary : tuple of str
        Terms, as written, with variances that the data cannot tell from others: taken as known.
    df_resid : float
        n - r.
    """

    covariance: FloatArray
    unadjusted: FloatArray
    root: Root
    unadjusted_root: Root
    gradients: FloatArray
    parameter_covariance: FloatArray
    boundary: tuple[str, ...]
    df_resid: float

    def __post_init__(self) -> None:
        arrays = (self.covariance, self.unadjusted, self.gradients, self.parameter_covariance)
        for array in (*arrays, *self.root, *self.unadjusted_root):
            if array is not None:
                array.flags.writeable = False

    def df(self, L: FloatArray) -> FloatArray:
        """(q,) degrees of freedom of the rows of L (q, r); NaN for a row of zeros.

        For one row the scale of F is 1, and the degrees of freedom are twice the squared mean of
        its variance over the variance of that.
        """
        if not self.unadjusted.any():  # sigma is zero
            return np.where(np.abs(L).sum(axis=1) > 0, self.df_resid, math.nan)
        L = self.unadjusted_root.transformed(L)
        half = L @ self.unadjusted_root.half
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = np.einsum("ij,ij->i", half, half)
            a = np.einsum("ij,mjk,ik->im", L, self.gradients, L) / variance[:, None]
            return np.asarray(2 / np.einsum("im,mn,in->i", a, self.parameter_covariance, a))

    def joint(self, L: FloatArray) -> tuple[float, float]:
        """Denominator degrees of freedom and scale of F for L (q, r) of full row rank.

        NaN where the approximate moments of F are those of no F distribution (a handful of levels
        behind several rows).

        Source: Kenward and Roger (1997); docs/math.md, M17. Ratios of zero to zero, which
        balanced designs have, are taken in the limit.
        """
        q = len(L)
        if not self.unadjusted.any():
            return self.df_resid, 1.0
        if q == 1:
            return float(self.df(L)[0]), 1.0
        L = self.unadjusted_root.transformed(L)
        half = L @ self.unadjusted_root.half
        unit = np.linalg.inv(np.linalg.cholesky(half @ half.T)) @ L
        T = np.einsum("ij,mjk,lk->mil", unit, self.gradients, unit)
        traces, W = np.einsum("mii->m", T), self.parameter_covariance
        A1 = float(traces @ W @ traces)
        A2 = float(np.einsum("mn,mil,nli->", W, T, T))
        return _moments(q, A1, A2)


def _moments(q: int, A1: float, A2: float) -> tuple[float, float]:
    """The F distribution, and the scale, with the approximate mean and variance of F."""
    B = (A1 + 6 * A2) / (2 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    den = 3 * q + 2 * (1 - g)
    c1, c2, c3 = g / den, (q - g) / den, (q + 2 - g) / den
    V0, V1, V2 = (0.0 if abs(v) < _ZERO else v for v in (1 + c1 * B, 1 - c2 * B, 1 - c3 * B))
    inverse_mean = 0.0 if abs(1 - A2 / q) < _ZERO else 1 - A2 / q
    if V2 == 0 or (V1 == 0 and inverse_mean != 0):  # the variance of F is infinite
        m = 4.0
    else:
        ratio = inverse_mean / V1 if V1 != 0 else 1.0
        excess = ratio**2 * V0 / V2 - 1
        m = 4 + (q + 2) / excess if excess != 0 else math.inf
    if abs(m - 2) < _TWO or math.isinf(m):
        return m, 1.0
    scale = m * inverse_mean / (m - 2)
    # So few degrees of freedom that no F distribution has these moments.
    return (m, scale) if m > 0 and scale > 0 else (math.nan, 1.0)


def kenward_roger(record: LmmRecord) -> KenwardRoger:
    """Kenward and Roger's quantities, computed once a fit.

    Parameters
    ----------
    record : LmmRecord
        By REML.

    Returns
    -------
    KenwardRoger

    Raises
    ------
    SpecificationError
        If the fit is by maximum likelihood, or too large for the dense algebra that this takes.

    Notes
    -----
    The parameters are the elements of each term's covariance matrix (for ``||`` its diagonal) and
    sigma^2, all of them also where the estimate is singular: the expected information about them
    does not vanish there. With prior weights the residual covariance is sigma^2 W^-1.
    docs/math.md, M17.
    """
    found = record.workspace.get("kenward-roger")
    if found is None:
        _check(record)
        found = record.workspace["kenward-roger"] = _compute(record)
    return found


def _check(record: LmmRecord) -> None:
    if not record.spec.reml:
        raise SpecificationError(
            "ddf='kenward-roger' needs a fit by REML and this one is by maximum likelihood. Fit "
            "with reml=True, or use ddf='satterthwaite'."
        )
    if record.solution.sigma == 0:
        return
    columns, size, products = lmm.problem(record).native.exact_cost()
    size += 24.0 * (len(record.solution.theta) * len(record.kept)) ** 2
    if columns > _COLUMNS or size > _BYTES:
        raise SpecificationError(
            f"ddf='kenward-roger' would take {columns:,.0f} dense columns here (the random effects "
            f"of all grouping factors but the largest): {size / 1e9:,.1f} GB of memory and "
            f"{products:.1e} multiplications. Use ddf='satterthwaite': with so many levels the "
            "two hardly differ."
        )


def _compute(record: LmmRecord) -> KenwardRoger:
    cov, nu = covariance(record), float(record.rows.nobs - len(record.kept))
    if record.solution.sigma == 0:
        zero = nothing(len(cov))
        return KenwardRoger(cov, cov, zero, zero, cov[None], np.array([[2 / nu]]), (), nu)
    found = lmm.problem(record).kenward_roger(record.solution.theta)
    if found is None:
        raise PartialPoolError("The model cannot be factored at its optimum.")
    scale, basis, C, psi, B, Q, t1, t2, of_term = found
    # In units of sigma, V is the covariance; the residual's is W^-1 = V - sum psi_r Z S_r Z'.
    P, Q, T = _with_residual(C, psi, B, Q, t1, t2, record.rows.nobs)
    CP = C @ P
    information = T - 2 * np.einsum("ij,risj->rs", C, Q)
    information = 0.5 * (information + np.einsum("rij,sji->rs", CP, CP))
    W, flat = scaled_inverse(information)
    PCP = np.einsum("rs,rij,sjk->ik", W, P, CP, optimize=True)
    adjustment = C @ (np.einsum("rs,risj->ij", W, Q) - PCP) @ C
    adjustment = adjustment + adjustment.T
    A = basis.T  # column-major
    known = root(record)
    specs = record.layout.specs
    return KenwardRoger(
        covariance=cov + scale * A @ adjustment @ A.T,
        unadjusted=cov,
        root=known._replace(half=_half(known.half @ known.half.T + scale * adjustment)),
        unadjusted_root=known,
        gradients=scale * (CP @ C),
        parameter_covariance=W,
        boundary=tuple(specs[t].text for t in sorted({of_term[r] for r in flat if r < len(psi)})),
        df_resid=nu,
    )


def _half(V: FloatArray) -> FloatArray:
    """H with H H' = V; what rounding or the adjustment has made negative is zero."""
    unit = np.sqrt(np.abs(np.diag(V)))
    unit[unit == 0] = 1.0
    w, E = np.linalg.eigh(V / np.outer(unit, unit))
    return np.asarray(unit[:, None] * E * np.sqrt(np.maximum(w, 0.0)))


def _with_residual(
    C: FloatArray,
    psi: FloatArray,
    B: FloatArray,
    QQ: FloatArray,
    t1: FloatArray,
    t2: FloatArray,
    n: int,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """P (m + 1, r, r), Q (m + 1, r, m + 1, r) and T (m + 1, m + 1), sigma^2 last."""
    m, p = len(psi), len(C)
    total = np.einsum("r,rij->ij", psi, B)
    part = np.einsum("s,risj->rij", psi, QQ)
    A = np.linalg.inv(C)
    P = np.concatenate([-B, -(A - total)[None]])
    Q, T = np.empty((m + 1, p, m + 1, p)), np.empty((m + 1, m + 1))
    Q[:m, :, :m] = QQ
    Q[:m, :, m] = B - part
    Q[m, :, :m] = (B - part).transpose(2, 0, 1)
    Q[m, :, m] = A - 2 * total + np.einsum("r,rij->ij", psi, part)
    T[:m, :m] = t2
    T[:m, m] = T[m, :m] = t1 - t2 @ psi
    T[m, m] = n - 2 * psi @ t1 + psi @ t2 @ psi
    return P, Q, T
