"""Joint F tests of the factors of a table of marginal means."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from .._types import BoolArray, FloatArray
from . import degrees
from ._contrast_table import combine
from ._estimable import null_space

if TYPE_CHECKING:
    import pandas as pd

    from .means import MarginalMeans

__all__ = ["joint_tests"]

_RANK = 1e-6  # as in `_estimable`
_COLUMNS = ("num_df", "den_df", "F", "p_value")
_REDUCED = "num_df is smaller than the contrasts of the term where some are not estimable."


def joint_tests(means: MarginalMeans) -> pd.DataFrame:
    """See `MarginalMeans.joint_tests`."""
    import pandas as pd

    from .noted import Table

    factors = [name for name in means.factors if len(_levels(means, name)) > 1]
    by = [f"{name}_" if name in _COLUMNS else name for name in means.by]
    k = means._per_group()
    rows: list[dict[str, Any]] = []
    terms: list[str] = []
    reduced = False
    for start in range(0, len(means), k):
        group = means.labels[start][len(means.factors) :]
        for size in range(1, len(factors) + 1):
            for chosen in combinations(factors, size):
                C = _contrasts(means, chosen)
                tested = _test(means, C, slice(start, start + k))
                if tested is None:
                    continue
                terms.append(":".join(chosen))
                reduced = reduced or tested["num_df"] < len(C)
                rows.append(dict(zip(by, group, strict=True)) | tested)
    names = [*by, *_COLUMNS]
    table = Table(rows, index=pd.Index(terms, name="term"), columns=names)
    table.attrs["title"] = f"Joint tests of {means.title[0].lower()}{means.title[1:]}"
    table.attrs["notes"] = (*means.notes, *([_REDUCED] if reduced else []))
    return table


def _levels(means: MarginalMeans, name: str) -> list[Any]:
    place = means.factors.index(name)
    return list(dict.fromkeys(label[place] for label in means.labels))


def _contrasts(means: MarginalMeans, chosen: tuple[str, ...]) -> FloatArray:
    """Levels of the chosen factors less their first, means over the others.

    The rows that `terms.anova` has for type III, on which degrees of freedom depend slightly.
    """
    C = np.ones((1, 1))
    for name in means.factors:  # the first is the fastest, so it is the right factor of the product
        n = len(_levels(means, name))
        own = np.eye(n)[1:] - np.eye(n)[0] if name in chosen else np.full((1, n), 1 / n)
        C = np.kron(own, C)
    return C


def _test(means: MarginalMeans, C: FloatArray, rows: slice) -> dict[str, Any] | None:
    """The F test of what is estimable in C; None for a hypothesis that the model makes true."""
    record = means._record
    L, offset = means.L[rows], means.offset[rows]
    C = _estimable_part(C, L, null_space(record).basis, null_space(record).size)
    if not len(C):
        return {"num_df": 0, "den_df": math.nan, "F": math.nan, "p_value": math.nan}
    combined = combine(C, L)
    shift = combine(C, offset[:, None])[:, 0]
    some = (combined != 0).any(axis=1) | (shift != 0)
    if not some.any():
        return None
    kept = combined[some][:, record.kept]
    found = degrees.f_test(record, kept, means.ddf, rhs=-shift[some])
    return {
        "num_df": found.num_df,
        "den_df": found.den_df,
        "F": found.F,
        "p_value": found.p_value,
    }


def _estimable_part(C: FloatArray, L: FloatArray, null: FloatArray, size: FloatArray) -> FloatArray:
    """Combinations of the rows of C whose contrasts of the means L have one value."""
    bad: BoolArray = np.isnan(L.sum(axis=1))
    if not null.shape[1] and not bad.any():
        return C
    finite = np.where(bad[:, None], 0.0, L)
    scale = np.maximum((np.abs(finite) @ np.abs(null)).max(axis=0), size)
    scale[scale == 0] = 1.0  # an empty cell, whose column is zero, in rows that are NaN only
    depends = np.concatenate([finite @ null / scale, np.eye(len(L))[:, bad]], axis=1)
    U, s, _ = np.linalg.svd(C @ depends)
    rank = int(np.sum(s > _RANK))
    return C if rank == 0 else np.asarray(U[:, rank:].T @ C)
