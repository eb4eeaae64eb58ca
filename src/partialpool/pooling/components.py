"""How the parts of a fit add up to the response, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._errors import SpecificationError
from .._types import Column, FloatArray
from ..frames import used_index
from ..ols import OlsRecord

if TYPE_CHECKING:
    import pandas as pd

    from ..estimates import Record

__all__ = ["components"]


def components(record: Record, rows: Any) -> pd.DataFrame:
    """Intercept + covariate x coefficient + ... + effects of the groups + residual = response.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
        Or a model that wraps one.
    rows : int, label, slice, boolean mask, or a sequence of them
        Which of the used rows. A whole number is a label where the index of the data holds whole
        numbers (its row number, for most data), otherwise a position among the used rows; slices
        count positions; a mask has a value for each used row or each row of the data.

    Returns
    -------
    DataFrame
        A row a row, indexed like the data. A column for each coefficient that was kept (named as in
        ``params``), ``offset`` if there is one, for each random effect ``"Intercept | class"`` (its
        column and its group), ``residual``, and the response, which is their sum to rounding: the
        residual is what the other parts leave.

    Raises
    ------
    SpecificationError
        For rows that are not there.
    """
    import pandas as pd

    record = getattr(record, "_record", record)
    data = record.rows
    assert data.y is not None
    index = used_index(record)
    at = _positions(rows, index, record)
    beta = record.beta if isinstance(record, OlsRecord) else record.solution.beta
    names, parts = [], []
    for b, j in zip(beta, record.kept, strict=True):
        names.append(record.names[j])
        parts.append(float(b) * _values(data.fixed[j], at))
    if data.offset is not None:
        names.append("offset")
        parts.append(data.offset[at])
    if not isinstance(record, OlsRecord):
        for term, effects in zip(data.terms, record.solution.b, strict=True):
            codes = data.groups[term.group].codes[at]
            for k, column in enumerate(term.columns):
                names.append(f"{column.name} | {term.spec.group}")
                parts.append(effects[codes, k] * _values(column, at))
    y = data.y[at]
    residual = y.copy()
    for part in parts:
        residual -= part
    response = record.schema.formula.response
    names += ["residual", response[0].text if response else "response"]
    values = np.column_stack([*parts, residual, y])
    return pd.DataFrame(values, index=index[at], columns=names)


def _values(column: Column, at: npt.NDArray[np.int64]) -> FloatArray:
    """A design column in some rows."""
    out = np.ones(len(at))
    for x in column.numeric:
        out *= x[at]
    for codes, table in column.lookups:
        out *= table[codes[at]]
    return out


def _positions(rows: Any, index: Any, record: Record) -> npt.NDArray[np.int64]:
    """Positions among the used rows."""
    n = len(index)
    if isinstance(rows, slice):
        return np.arange(n)[rows]
    wanted = np.asarray([rows] if np.ndim(rows) == 0 else rows)
    if wanted.dtype == bool:
        return _masked(wanted, record)
    if wanted.size == 0:
        return np.empty(0, dtype=np.int64)
    numbers = index.dtype.kind in "iu"
    if wanted.dtype.kind in "iu" and not numbers:
        wrong = wanted[(wanted < -n) | (wanted >= n)]
        if wrong.size:
            raise SpecificationError(
                f"components: there is no used row at position {wrong[0]}; the fit used {n} rows."
            )
        return np.asarray(np.arange(n)[wanted])
    at, missing = index.get_indexer_non_unique(wanted)
    if len(missing):
        label = wanted[missing[0]]
        why = ""
        if record.table is not None and record.rows.kept is not None:
            why = " (it may have been left out for missing values or a weight of zero)"
        shown = label.item() if hasattr(label, "item") else label
        raise SpecificationError(f"components: no used row has the label {shown!r}{why}.")
    return np.asarray(at, dtype=np.int64)


def _masked(mask: npt.NDArray[np.bool_], record: Record) -> npt.NDArray[np.int64]:
    n, kept = record.rows.nobs, record.rows.kept
    if len(mask) == n:
        return np.flatnonzero(mask)
    total = n if record.table is None else int(record.table.nrows)
    if kept is not None and len(mask) == total:
        return np.flatnonzero(mask[kept])
    either = f"{n} used rows" if total == n else f"{n} used rows or the {total} rows of the data"
    raise SpecificationError(
        f"components: the mask has {len(mask)} values; it needs one for each of the {either}."
    )
