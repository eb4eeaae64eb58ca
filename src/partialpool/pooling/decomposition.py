"""Generalised least squares as an average: beta = W between + (I - W) within."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._types import BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from .groups import GroupSums

__all__ = ["Decomposition", "decomposition"]


@dataclass(frozen=True, eq=False, repr=False)
class Decomposition:
    """The coefficients at one ratio as a matrix-weighted average of two regressions.

    The identity is exact whichever solutions of the two regressions are taken: where one of them
    leaves a coefficient open, W gives it no weight.

    Attributes
    ----------
    names : tuple of str
        The r coefficients.
    ratio : float
        sigma_g / sigma.
    beta, between, within : (r,) float64
        Generalised least squares, the regression of the group means (weights a_j N_j) and the
        regression within groups. Means and deviations that do not determine a coefficient leave one
        of many solutions here; the two flags say which.
    between_estimable, within_estimable : (r,) bool
    matrix : (r, r) float64
        W. Its eigenvalues lie between 0 and 1; its elements need not.
    """

    names: tuple[str, ...]
    ratio: float
    beta: FloatArray
    between: FloatArray
    within: FloatArray
    between_estimable: BoolArray
    within_estimable: BoolArray
    matrix: FloatArray

    @property
    def W(self) -> pd.DataFrame:
        """The weight matrix with its names."""
        import pandas as pd

        return pd.DataFrame(self.matrix.copy(), index=list(self.names), columns=list(self.names))

    @property
    def recombined(self) -> FloatArray:
        """W between + (I - W) within."""
        return np.asarray(self.within + self.matrix @ (self.between - self.within))

    def to_frame(self) -> pd.DataFrame:
        """A row a coefficient: ``between, within, recombined, beta``."""
        import pandas as pd

        columns = {
            "between": np.where(self.between_estimable, self.between, np.nan),
            "within": np.where(self.within_estimable, self.within, np.nan),
            "recombined": self.recombined,
            "beta": self.beta,
        }
        return pd.DataFrame(columns, index=list(self.names))

    def __str__(self) -> str:
        return f"{self.to_frame().to_string()}\nW\n{self.W.to_string()}"

    __repr__ = __str__


def decomposition(sums: GroupSums, names: tuple[str, ...], ratio: float) -> Decomposition:
    """Decompose the fit at a finite ratio.

    Parameters
    ----------
    sums : GroupSums
    names : tuple of str
        Of the r kept columns.
    ratio : float

    Returns
    -------
    Decomposition

    Source: Maddala (1971) for one covariate; docs/math.md, section on why the coefficients differ.
    """
    found = sums.weighted(ratio)
    parts = (
        found.beta,
        found.between,
        sums.within_solution(),
        found.between_estimable,
        sums.limit()[1].estimable,
        found.W,
    )
    for part in parts:
        part.flags.writeable = False
    return Decomposition(names, ratio, *parts)
