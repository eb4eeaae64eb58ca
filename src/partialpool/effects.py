"""Random effects of a fit, labelled: modes, their covariances, coefficients a level, Z."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import frames
from ._core import fill
from ._errors import SpecificationError
from ._types import FloatArray
from .estimates import sigma

if TYPE_CHECKING:
    import pandas as pd
    import scipy.sparse

    from .lmm import LmmRecord

__all__ = ["RandomEffects", "coef", "model_matrix", "ngroups", "ranef"]


class RandomEffects(Mapping[str, Any]):
    """Predicted random effects: group to DataFrame (rows are levels, columns random effects).

    Attributes
    ----------
    cond_var : dict of str to (J, k, k) float64, or None
        Conditional covariances of each level's k effects given theta. Where several terms share a
        group, effects of different terms have NaN beside each other: only the blocks of a term are
        computed.
    """

    __slots__ = ("_frames", "cond_var")

    def __init__(
        self, frames: dict[str, pd.DataFrame], cond_var: dict[str, FloatArray] | None = None
    ) -> None:
        self._frames = frames
        self.cond_var = cond_var

    def __getitem__(self, group: str) -> pd.DataFrame:
        try:
            return self._frames[group]
        except KeyError:
            raise KeyError(f"{group!r}; the groups are: {', '.join(self._frames)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def __repr__(self) -> str:
        return "\n\n".join(f"{group}\n{frame}" for group, frame in self._frames.items())


def ngroups(record: LmmRecord) -> dict[str, int]:
    """Levels of each grouping factor, most levels first."""
    rows = record.rows
    order = dict.fromkeys(term.group for term in rows.terms)
    return {rows.groups[g].name: len(rows.groups[g].levels) for g in order}


def ranef(record: LmmRecord, *, cond_var: bool = False) -> RandomEffects:
    """The conditional modes b, labelled; with `cond_var` their conditional covariances too."""
    values = {name: _stack(record, terms) for name, terms in _by_group(record).items()}
    if not cond_var:
        return RandomEffects(values)
    from . import lmm

    theta = record.solution.theta
    blocks = lmm.problem(record).conditional_covariances(theta)
    scale = sigma(record) ** 2
    covariances = {
        name: scale * _join([blocks[t] for t in terms]) for name, terms in _by_group(record).items()
    }
    return RandomEffects(values, covariances)


def coef(record: LmmRecord) -> dict[str, pd.DataFrame]:
    """Fixed effects of each level: the population's plus the level's own."""
    import pandas as pd

    names = [record.names[i] for i in record.kept]
    out = {}
    for group, b in ranef(record).items():
        columns = names + [c for c in b.columns if c not in names]
        base = pd.DataFrame(0.0, index=b.index, columns=columns)
        base[names] = np.broadcast_to(record.solution.beta, (len(b), len(names)))
        for position, column in enumerate(b.columns):
            base[column] += b.iloc[:, position]
        out[group] = base
    return out


def model_matrix(record: LmmRecord, part: str) -> pd.DataFrame | scipy.sparse.csr_array:
    """X as a DataFrame, or Z (of a group) as a sparse matrix."""
    if part == "fixed":
        return frames.fixed_matrix(record)
    of_group = _by_group(record)
    if part == "random":
        return _sparse(record, range(len(record.rows.terms)))
    if part in of_group:
        return _sparse(record, of_group[part])
    raise SpecificationError(
        f"model_matrix({part!r}): ask for 'fixed', 'random' or a group: {', '.join(of_group)}."
    )


def _by_group(record: LmmRecord) -> dict[str, list[int]]:
    """Group to the positions of its terms, most levels first."""
    found: dict[str, list[int]] = {}
    for t, term in enumerate(record.rows.terms):
        found.setdefault(term.spec.group, []).append(t)
    return found


def _stack(record: LmmRecord, terms: list[int]) -> pd.DataFrame:
    """The effects of a group's terms side by side."""
    import pandas as pd

    rows, b = record.rows, record.solution.b
    columns = [c for t in terms for c in rows.terms[t].spec.columns]
    group = rows.groups[rows.terms[terms[0]].group]
    index = pd.Index(np.asarray(group.levels), name=group.name)
    values = np.concatenate([b[t] for t in terms], axis=1)
    return pd.DataFrame(values, index=index, columns=columns)


def _join(blocks: list[Any]) -> FloatArray:
    """(J, k, k) blocks of one group's terms along the diagonal, NaN beside them."""
    if len(blocks) == 1:
        return np.array(blocks[0])
    k = sum(block.shape[1] for block in blocks)
    out = np.full((len(blocks[0]), k, k), np.nan)
    at = 0
    for block in blocks:
        stop = at + block.shape[1]
        out[:, at:stop, at:stop] = block
        at = stop
    return out


def _sparse(record: LmmRecord, terms: Any) -> scipy.sparse.csr_array:
    """(n, q) columns of Z: for each term, for each level, the term's columns."""
    from scipy import sparse

    rows = record.rows
    parts = []
    for t in terms:
        term = rows.terms[t]
        group, k = rows.groups[term.group], len(term.columns)
        values = fill(term.columns, 0, rows.nobs)
        columns = group.codes[:, None].astype(np.int64) * k + np.arange(k)
        starts = np.arange(0, rows.nobs * k + 1, k)
        shape = (rows.nobs, len(group.levels) * k)
        parts.append(sparse.csr_array((values.ravel(), columns.ravel(), starts), shape=shape))
    return sparse.hstack(parts, format="csr")
