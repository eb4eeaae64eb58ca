"""Linear functions of the fixed effects: estimates, standard errors, degrees of freedom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import estimates
from .._columns import listed
from .._types import BoolArray, FloatArray
from ..ols import OlsRecord
from . import degrees
from ._estimable import null_space

if TYPE_CHECKING:
    from ..estimates import Record

__all__ = ["Estimates", "estimate", "frozen", "roots", "why_not"]

_CANCELLED = 1e-14  # of its terms: below, rounding is more than a hundredth of a standard error


class Estimates(NamedTuple):
    """l'beta + offset for q rows l; NaN where it has no single value.

    Attributes
    ----------
    value, std_error, df : (q,) float64
    estimable : (q,) bool
    """

    value: FloatArray
    std_error: FloatArray
    df: FloatArray
    estimable: BoolArray


def estimate(record: Record, L: FloatArray, offset: FloatArray, ddf: str) -> Estimates:
    """Estimates of L beta + offset.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    L : (q, p) float64
        Over all columns; a row with NaN is not estimable.
    offset : (q,) float64
    ddf : one of `degrees.METHODS`

    Raises
    ------
    SpecificationError
        From `degrees`: Kenward and Roger's method needs a REML fit.
    """
    finite: BoolArray = ~np.isnan(L.sum(axis=1))
    rows = np.where(finite[:, None], L, 0.0)
    good = finite & null_space(record).estimable(rows)
    kept = rows[:, record.kept]
    beta = record.beta if isinstance(record, OlsRecord) else record.solution.beta
    std_error = np.linalg.norm(degrees.root(record, ddf).of(kept), axis=1)
    # An estimate far from the data is a small difference of large terms.
    digits = std_error >= _CANCELLED * (np.abs(kept) @ np.abs(beta))
    good &= digits | (estimates.sigma(record) == 0) | isinstance(record, OlsRecord)
    df = np.full(len(L), np.nan)
    if good.any():
        df[good] = degrees.df(record, kept[good], ddf)
    return Estimates(
        value=frozen(np.where(good, kept @ beta + np.where(good, offset, 0.0), np.nan)),
        std_error=frozen(np.where(good, std_error, np.nan)),
        df=frozen(df),
        estimable=good,
    )


def roots(record: Record, L: FloatArray, ddf: str) -> FloatArray:
    """(q, .) rows of unit length, root root' the correlation of the estimates L beta."""
    root = degrees.root(record, ddf).of(L[:, record.kept])
    length = np.linalg.norm(root, axis=1, keepdims=True)
    return np.asarray(root / np.where(length > 0, length, 1.0))


def why_not(record: Record, row: FloatArray, empty: Sequence[str]) -> str:
    """Why a linear function, (p,), is not estimable; `empty`: cells without data that it needs."""
    null = null_space(record)
    wrong = null.dropped[null.violated(np.nan_to_num(row)[None, :])[0]]
    if not len(wrong) and np.isfinite(row).all():
        return (
            "its estimate has lost its digits, because a covariate lies far from 0 for its spread; "
            "fit with the covariate less its mean"
        )
    if empty:
        more = f" and {len(empty) - 3} more combinations" if len(empty) > 3 else ""
        columns = listed([record.names[d] for d in wrong], most=3)
        lacking = f", so the data do not determine {columns}" if len(wrong) else ""
        return f"no data with {'; '.join(empty[:3])}{more}{lacking}"
    aliases = dict(record.aliases)
    texts = []
    for d in wrong[:3].tolist():
        kept = [record.names[j] for j in aliases.get(d, ())]
        texts.append(f"{record.names[d]} repeats {', '.join(kept[:4]) or 'nothing: it is zero'}")
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return f"the data cannot tell columns of X apart ({'; '.join(texts)}{more})"


def frozen(values: FloatArray) -> FloatArray:
    """The array, read-only."""
    values.flags.writeable = False
    return values
