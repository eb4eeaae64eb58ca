"""Kenward and Roger's adjusted covariance and degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._errors import SpecificationError, UnavailableError
from .._types import FloatArray

if TYPE_CHECKING:
    from ..lmm import LmmRecord

__all__ = ["KenwardRoger", "kenward_roger"]


@dataclass(frozen=True)
class KenwardRoger:
    """The covariance of the coefficients adjusted for small samples, and what its tests need.

    Attributes
    ----------
    covariance : (r, r) float64
        Adjusted.
    """

    covariance: FloatArray

    def df(self, L: FloatArray) -> FloatArray:
        """(q,) degrees of freedom of the rows of L (q, r)."""
        raise NotImplementedError

    def joint(self, L: FloatArray) -> tuple[float, float]:
        """Denominator degrees of freedom and scale of F for L (l, r) of full row rank."""
        raise NotImplementedError


def kenward_roger(record: LmmRecord) -> KenwardRoger:
    """Kenward and Roger's quantities, computed once a fit.

    Raises
    ------
    SpecificationError
        If the fit is by maximum likelihood.
    """
    if not record.spec.reml:
        raise SpecificationError(
            "ddf='kenward-roger' needs a fit by REML and this one is by maximum likelihood. Fit "
            "with reml=True, or use ddf='satterthwaite'."
        )
    raise UnavailableError("ddf='kenward-roger' is not available yet; use ddf='satterthwaite'.")
