"""The parameters of a fit as one named vector: fixed effects, sigma, standard deviations,
correlations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import estimates
from .._types import FloatArray
from ..covariance import elements
from ..ols import OlsRecord

if TYPE_CHECKING:
    from ..covariance import Layout
    from ..estimates import Record

__all__ = ["names", "values", "variances"]


def names(record: Record) -> tuple[str, ...]:
    """Fixed effects as in ``params``, ``sigma``, then term after term its ``sd(Days | Subject)``
    and, lower triangle by columns, ``cor(Intercept, Days | Subject)``.
    """
    found = [*record.names, "sigma"]
    if isinstance(record, OlsRecord):
        return tuple(found)
    for spec in record.layout.specs:
        columns = spec.columns
        found += [f"sd({c} | {spec.group})" for c in columns]
        pairs = [(r, c) for r, c in elements(spec) if r != c]
        found += [f"cor({columns[c]}, {columns[r]} | {spec.group})" for r, c in pairs]
    return tuple(found)


def values(record: Record) -> FloatArray:
    """(q,) the estimates; NaN for dropped columns, and correlations beside a variance of zero."""
    sigma = np.array([estimates.sigma(record)])
    parts = [estimates.coefficients(record), sigma]
    if not isinstance(record, OlsRecord):
        parts.append(variances(record.layout, record.solution.theta[None], sigma)[0])
    return np.concatenate(parts)


def variances(layout: Layout, theta: FloatArray, sigma: FloatArray) -> FloatArray:
    """Standard deviations and correlations of many fits, a row a fit.

    Parameters
    ----------
    layout : Layout
    theta : (count, m) float64
    sigma : (count,) float64

    Returns
    -------
    (count, .) float64
        In the order of `names`.
    """
    out, at = [], 0
    for spec in layout.specs:
        k = len(spec.columns)
        factor = np.zeros((len(theta), k, k))
        for r, c in elements(spec):
            factor[:, r, c] = theta[:, at]
            at += 1
        # Row r of the factor has the standard deviation as its length over sigma.
        length = np.sqrt((factor**2).sum(axis=2))
        out += [sigma * length[:, r] for r in range(k)]
        with np.errstate(divide="ignore", invalid="ignore"):
            for r, c in elements(spec):
                if r != c:
                    inner = (factor[:, r] * factor[:, c]).sum(axis=1)
                    cosine = inner / (length[:, r] * length[:, c])
                    out.append(np.clip(cosine, -1.0, 1.0))
    return np.stack(out, axis=1) if out else np.zeros((len(theta), 0))
