"""The linear model: rows to a frozen record by the QR of `qr`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import design, qr
from . import formula as formulas
from . import table as tables
from ._errors import FormulaError, SpecificationError
from ._types import FloatArray

if TYPE_CHECKING:
    from .design import Rows, Schema, Spec
    from .table import Table

__all__ = ["OlsRecord", "fit", "from_rows", "refit"]


@dataclass(frozen=True)
class OlsRecord:
    """A least-squares fit with n rows and r of p columns kept.

    Attributes
    ----------
    spec : Spec
    schema : Schema
    rows : Rows
    table : Table or None
        The user's data; left out of pickles.
    names : tuple of str
        All p columns.
    kept : (r,) int64
        Indices of the columns that are not combinations of earlier ones.
    beta : (r,) float64
    R : (r, r) float64
        Upper triangular, R'R = X'WX.
    root : (r, r) float64
        root root' = (X'WX)^-1.
    rss : float
        Weighted residual sum of squares.
    sigma : float
        sqrt(rss / df_resid), the standard deviation of a row of weight 1.
    df_resid : int
        n - r.
    aliases : tuple of (int, tuple of int)
        Each dropped column with the kept ones that it repeats.
    """

    spec: Spec
    schema: Schema
    rows: Rows
    table: Table | None
    names: tuple[str, ...]
    kept: npt.NDArray[np.int64]
    beta: FloatArray
    R: FloatArray
    root: FloatArray
    rss: float
    sigma: float
    df_resid: int
    aliases: tuple[tuple[int, tuple[int, ...]], ...]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"table": None}


def fit(
    formula: str,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: str = "drop",
) -> OlsRecord:
    """Fit y = X beta + e, var(e_i) = sigma^2 / w_i, by least squares.

    Parameters
    ----------
    formula : str
        Without bars.
    data : table
        Whatever `table.of` reads.
    weights, offset : str or (n,) array, optional
    contrasts : mapping, optional
    missing : "drop" or "raise"

    Returns
    -------
    OlsRecord

    Raises
    ------
    FormulaError
        If the formula has a bar.
    SpecificationError
        If the rank of X is not below the number of rows.
    """
    mf = formulas.parse(formula)
    if mf.bars:
        raise FormulaError(
            f"lm fits no random effects such as {mf.bars[0].text}; use pp.lmer.",
            formula,
            mf.bars[0].position,
        )
    table = tables.of(data)
    built = design.build(
        mf, table, weights=weights, offset=offset, contrasts=contrasts, missing=missing
    )
    spec = design.Spec(
        formula=mf.text,
        kind="lm",
        reml=None,
        weights=design.displayed(weights),
        offset=design.displayed(offset),
        contrasts=contrasts,
        missing=missing,
    )
    record = from_rows(built.rows, spec=spec, schema=built.schema, table=table)
    qr.warn_dropped(record.names, record.aliases)
    return record


def from_rows(rows: Rows, *, spec: Spec, schema: Schema, table: Table | None) -> OlsRecord:
    """The fit of rows that are already there."""
    f = qr.factor(rows)
    n, r = rows.nobs, len(f.kept)
    if r >= n:
        raise SpecificationError(
            f"The rank of X ({r}) is not below the number of rows ({n}), so nothing is left to "
            "estimate the residual variance from. Use fewer terms or more rows."
        )
    return OlsRecord(
        spec=spec,
        schema=schema,
        rows=rows,
        table=table,
        names=tuple(c.name for c in rows.fixed),
        kept=f.kept,
        beta=f.beta,
        R=f.R,
        root=f.root,
        rss=f.rss,
        sigma=math.sqrt(f.rss / (n - r)),
        df_resid=n - r,
        aliases=f.aliases,
    )


def refit(record: OlsRecord, y: Any) -> OlsRecord:
    """The same model for another response.

    Parameters
    ----------
    record : OlsRecord
    y : (nobs,) array
        One value a used row.

    Raises
    ------
    DataError
        As `design.response_of`.
    """
    rows = record.rows._replace(y=design.response_of(record.rows, y))
    return from_rows(rows, spec=record.spec, schema=record.schema, table=record.table)
