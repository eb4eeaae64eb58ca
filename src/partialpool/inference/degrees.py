"""Denominator degrees of freedom and F tests of linear hypotheses about the coefficients.

L has a row a hypothesis and a column a *kept* coefficient.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import estimates
from .._errors import SpecificationError, one_of
from .._types import FloatArray
from ..ols import OlsRecord
from ..roots import Root
from ..roots import root as root_of
from .kenward_roger import KenwardRoger, kenward_roger
from .satterthwaite import Satterthwaite, satterthwaite

if TYPE_CHECKING:
    from ..estimates import Record

__all__ = [
    "METHODS",
    "FTest",
    "KenwardRoger",
    "Satterthwaite",
    "check_ddf",
    "covariance",
    "df",
    "f_test",
    "kenward_roger",
    "root",
    "satterthwaite",
]

METHODS = ("satterthwaite", "kenward-roger")
_RANK = 1e-10  # of the largest: a direction of the unit rows of L that repeats others
_ALIKE = 1e-8  # degrees of freedom that agree to this are one
_SPREAD = 1e-8  # eigenvalues of L cov L' further apart have lost their digits


class FTest(NamedTuple):
    """A Wald F test.

    Attributes
    ----------
    F : float
        With the scale already in it.
    num_df : int
        Rank of L.
    den_df : float
    p_value : float
    scale : float
        Kenward and Roger's factor; 1 for the others.
    """

    F: float
    num_df: int
    den_df: float
    p_value: float
    scale: float


def check_ddf(ddf: str) -> str:
    """The method itself, if it is one.

    Raises
    ------
    SpecificationError
    """
    one_of("ddf", ddf, METHODS)
    return ddf


def covariance(record: Record, ddf: str = "satterthwaite") -> FloatArray:
    """(r, r) covariance of the kept coefficients that goes with a method.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    ddf : {"satterthwaite", "kenward-roger"}
        Kenward and Roger's is adjusted for small samples. For `lm` both are the classical one.

    Raises
    ------
    SpecificationError
        As `df`.
    """
    check_ddf(ddf)
    if ddf == "kenward-roger" and not isinstance(record, OlsRecord):
        return kenward_roger(record).covariance
    return estimates.covariance(record)


def root(record: Record, ddf: str = "satterthwaite") -> Root:
    """The same as a root, which keeps the digits of L cov L' where covariates are far from zero.

    Raises
    ------
    SpecificationError
        As `df`.
    """
    check_ddf(ddf)
    if ddf == "kenward-roger" and not isinstance(record, OlsRecord):
        return kenward_roger(record).root
    return root_of(record)


def df(record: Record, L: FloatArray, ddf: str = "satterthwaite") -> FloatArray:
    """Denominator degrees of freedom of each row of L.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    L : (q, r) float64
    ddf : {"satterthwaite", "kenward-roger"}
        For `lm` both are n - r, exactly.

    Returns
    -------
    (q,) float64
        NaN for a row of zeros.

    Raises
    ------
    SpecificationError
        If `ddf` or the shape of `L` is wrong, or Kenward and Roger's method cannot be had: the
        fit is by maximum likelihood, or too large for it.
    """
    check_ddf(ddf)
    L = _contrasts(record, L)
    if isinstance(record, OlsRecord):
        nonzero = np.abs(L).sum(axis=1) > 0
        return np.where(nonzero, float(record.df_resid), math.nan)
    found: Satterthwaite | KenwardRoger = (
        kenward_roger(record) if ddf == "kenward-roger" else satterthwaite(record)
    )
    return found.df(L)


def f_test(
    record: Record, L: FloatArray, ddf: str = "satterthwaite", rhs: FloatArray | None = None
) -> FTest:
    """F test of L beta = rhs.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    L : (q, r) float64
        Its rows may depend on each other.
    ddf : {"satterthwaite", "kenward-roger"}
        For `lm` the test is exact.
    rhs : (q,) float64, optional
        Default zero.

    Returns
    -------
    FTest

    Raises
    ------
    SpecificationError
        As `df`; or if L is zero, or `rhs` contradicts itself where rows of L depend.

    Notes
    -----
    Satterthwaite with several rows: Fai and Cornelius (1996), on the eigenvectors of L cov L'
    as lmerTest does (the degrees of freedom depend slightly on the rows that span the
    hypothesis; F does not). Kenward and Roger (1997). docs/math.md, M16 and M17.
    """
    check_ddf(ddf)
    L = _contrasts(record, L)
    target = np.zeros(len(L)) if rhs is None else np.asarray(rhs, dtype=np.float64)
    if target.shape != (len(L),):
        raise SpecificationError(f"rhs has shape {target.shape}; L has {len(L)} rows.")
    L, target = _independent(L, target)
    beta = record.beta if isinstance(record, OlsRecord) else record.solution.beta
    miss, half = L @ beta - target, root(record, ddf).of(L)
    rank, scale = len(L), 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        d, P = _principal(half @ half.T)
        rows, z = P.T @ L, P.T @ miss
        F = float(np.sum(z * z / d) / rank)
    if isinstance(record, OlsRecord):
        den = float(record.df_resid)
    elif ddf == "kenward-roger":
        den, scale = kenward_roger(record).joint(L)
    else:
        den = _combined(satterthwaite(record).df(rows))
    return FTest(F * scale, rank, den, _p_value(rank, den, F * scale), scale)


def _contrasts(record: Record, L: FloatArray) -> FloatArray:
    L = np.asarray(L, dtype=np.float64)
    r = len(record.kept)
    if L.ndim != 2 or L.shape[1] != r:
        raise SpecificationError(f"L has shape {L.shape}; it must be (rows, {r} coefficients).")
    if not np.isfinite(L).all():
        raise SpecificationError("L has values that are not finite.")
    return L


def _independent(L: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray]:
    """L itself if its rows are independent, else an orthonormal basis of them."""
    size = np.sqrt(np.einsum("ij,ij->i", L, L))
    if not size.any():
        raise SpecificationError("L is zero: there is no hypothesis to test.")
    size = np.where(size > 0, size, 1.0)
    U, s, V = np.linalg.svd(L / size[:, None], full_matrices=False)
    rank = int(np.sum(s > _RANK * s[0]))
    if rank == len(L):
        return L, target
    U, s, V = U[:, :rank], s[:rank], V[:rank]
    unit = target / size
    inside = U.T @ unit
    if np.abs(unit - U @ inside).max() > 1e-8 * max(np.abs(unit).max(), 1e-300):
        raise SpecificationError(
            f"The {len(L)} rows of L span {rank} hypotheses, and rhs={target.tolist()} gives "
            "dependent rows values that contradict each other."
        )
    return V, inside / s


def _principal(V: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues and the columns p of V = sum d p p', or of the correlation that V is.

    Where rows are in units so different that the small eigenvalues would be rounding, the rows
    are brought to unit variance first.
    """
    d, P = np.linalg.eigh(V)
    if d[0] > _SPREAD * d[-1] or not d[-1] > 0:
        return d, P
    unit = 1 / np.sqrt(np.diag(V))
    d, P = np.linalg.eigh(V * np.outer(unit, unit))
    return d, unit[:, None] * P


def _combined(nu: FloatArray) -> float:
    """Fai and Cornelius: the denominator whose F has the mean of a sum of squared t's."""
    if np.ptp(nu) <= _ALIKE * np.abs(nu).max():
        return float(nu.mean())
    if not (nu > 2).all():
        return 2.0
    q, total = len(nu), float(np.sum(nu / (nu - 2)))
    return 2 * total / (total - q)


def _p_value(num: int, den: float, F: float) -> float:
    from scipy import special

    return float(special.fdtrc(num, den, F))
