"""Whole groups of rows, with replacement or left out, and the model fitted to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from .. import clusters as clustering
from .. import lmm, ols, stage
from .._errors import SpecificationError
from .._types import IntArray
from ..ols import OlsRecord

if TYPE_CHECKING:
    from ..design import Rows, Schema
    from ..estimates import Record
    from ..lmm import LmmRecord

__all__ = ["Clusters", "clusters", "refit_clusters", "top_level"]

Places = npt.NDArray[np.intp]


class Inner(NamedTuple):
    """A grouping factor nested in the clusters: each row's level, counted within its cluster.

    Attributes
    ----------
    local : (n,) intp
    size : (clusters,) intp
        Levels in each cluster.
    """

    local: Places
    size: Places


class Drawn(Sequence[str]):
    """Labels that no level of the data has, for a level drawn twice is two levels."""

    def __init__(self, name: str, count: int) -> None:
        self._name, self._count = name, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        found = range(self._count)[at]
        if isinstance(found, range):
            return [f"{self._name} drawn {i}" for i in found]
        return f"{self._name} drawn {found}"


@dataclass(frozen=True)
class Clusters:
    """Rows by cluster, the units that are drawn or left out.

    Attributes
    ----------
    name : str
        Of the grouping factor; ``"row"`` where each row is a cluster.
    codes : (n,) intp
        Cluster of each row.
    order : (n,) intp
        Rows, cluster after cluster.
    start : (count + 1,) intp
        Where each cluster begins in `order`.
    inner : tuple of Inner
        One a grouping factor of the model.
    """

    name: str
    codes: Places
    order: Places
    start: Places
    inner: tuple[Inner, ...]

    @property
    def count(self) -> int:
        """Number of clusters."""
        return len(self.start) - 1

    def rows_of(self, drawn: Places) -> tuple[Places, Places]:
        """Rows of the clusters drawn, one after the other, and which draw each belongs to."""
        sizes = np.diff(self.start)[drawn]
        owner = np.repeat(np.arange(len(drawn)), sizes)
        first = np.repeat(self.start[drawn] - np.cumsum(sizes) + sizes, sizes)
        return self.order[first + np.arange(len(owner))], owner


def top_level(record: LmmRecord) -> int | None:
    """The grouping factor in which all others are nested; None if they are crossed."""
    groups = record.rows.groups
    order = sorted(range(len(groups)), key=lambda g: len(groups[g].levels))
    top = order[0]
    upper, size = groups[top].codes.astype(np.int64), len(groups[top].levels)
    for g in order[1:]:
        pairs = np.unique(groups[g].codes * np.int64(size) + upper)
        if len(pairs) > len(groups[g].levels):
            return None
    return top


def clusters(record: Record, what: str) -> Clusters:
    """The independent units of a fit: levels of the top-level grouping factor; rows of `lm`.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    what : str
        What they are for, at the head of the message.

    Raises
    ------
    SpecificationError
        For crossed grouping factors: no part of the rows is independent of the others.
    """
    n = record.rows.nobs
    if isinstance(record, OlsRecord):
        each = np.arange(n)
        return Clusters("row", each, each, np.arange(n + 1), ())
    top = top_level(record)
    groups = record.rows.groups
    if top is None:
        listed = ", ".join(f"{g.name!r} ({len(g.levels)} levels)" for g in groups)
        raise SpecificationError(
            f"{what} takes whole levels of a grouping factor in which all others are nested, and "
            f"{listed} are crossed: no group of rows is independent of the rest. Use "
            "kind='parametric' or kind='residual', with percentile, basic or normal intervals."
        )
    codes = groups[top].codes.astype(np.intp)
    count = len(groups[top].levels)
    order = np.argsort(codes, kind="stable")
    start = np.searchsorted(codes[order], np.arange(count + 1))
    inner = tuple(_inner(g.codes, len(g.levels), codes, count) for g in groups)
    return Clusters(groups[top].name, codes, order, start, inner)


def refit_clusters(record: Record, units: Clusters, drawn: Places) -> Record:
    """The model of the clusters drawn, each draw a cluster of its own.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    units : Clusters
    drawn : (.,) intp
        Clusters, any number of times each.

    Raises
    ------
    SpecificationError
        If the rows leave a coefficient without an estimate.
    ConvergenceError
        If the objective has no minimum.
    """
    at, owner = units.rows_of(drawn)
    rows = clustering.take(record.rows, at)
    kept = record.rows.kept
    rows = rows._replace(kept=at if kept is None else kept[at])
    if isinstance(record, OlsRecord):
        fitted = ols.from_rows(rows, spec=record.spec, schema=record.schema, table=record.table)
        _require_columns(record, fitted.kept)
        return fitted
    groups = []
    for group, part in zip(rows.groups, units.inner, strict=True):
        first = np.concatenate([[0], np.cumsum(part.size[drawn])])
        codes = (first[owner] + part.local[at]).astype(np.int32)
        groups.append(group._replace(codes=codes, levels=Drawn(group.name, int(first[-1]))))
    return _fitted(record, rows._replace(groups=tuple(groups)))


def _inner(codes: IntArray, levels: int, upper: Places, count: int) -> Inner:
    """Levels of a factor counted within the clusters that they lie in."""
    owner = np.zeros(levels, dtype=np.intp)
    owner[codes] = upper
    size = np.bincount(owner, minlength=count)
    rank = np.empty(levels, dtype=np.intp)
    by_owner = np.argsort(owner, kind="stable")
    first = np.cumsum(size) - size
    rank[by_owner] = np.arange(levels) - first[owner[by_owner]]
    return Inner(rank[codes], size)


def _require_columns(record: Record, kept: npt.NDArray[np.int64]) -> None:
    lost = sorted(set(record.kept.tolist()) - set(kept.tolist()))
    if lost:
        names = ", ".join(record.names[i] for i in lost[:5])
        raise SpecificationError(f"the rows drawn leave {names} without an estimate")


def _fitted(record: LmmRecord, rows: Rows) -> LmmRecord:
    """The model on other rows, as a new fit."""
    schema = _schema(record.schema, rows)
    prepared = stage.of_rows(rows, spec=record.spec, schema=schema, table=record.table)
    _require_columns(record, prepared.kept)
    return lmm.fit_stage(prepared, record.control)


def _schema(schema: Schema, rows: Rows) -> Schema:
    """The schema with the groups drawn: new data know none of their levels."""
    groups = []
    for old, group in zip(schema.groups, rows.groups, strict=True):
        labels: tuple[Any, ...] = (group.levels,)
        keys = tuple(np.zeros(0, dtype=np.int64) for _ in old.keys)
        groups.append(
            old._replace(part_levels=labels * len(old.parts), keys=keys, levels=group.levels)
        )
    return schema._replace(groups=tuple(groups))
