"""Parametric bootstrap of the likelihood ratio of two models."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import estimates, lmm
from .._core import fill
from .._errors import SpecificationError
from .._types import FloatArray
from ..ols import OlsRecord
from ._draws import parametric
from ._replicates import standalone

if TYPE_CHECKING:
    from ..estimates import Record

__all__ = ["Found", "p_values", "ratios"]

_STREAM = 256  # replicates a random stream, as in `simulate`
_VALUES = 2**18  # responses drawn at once: 2 MB
_BLOCK = 8192  # rows of X at a time
_ROUNDING = 1e-8  # a ratio that is lower than the observed one by no more counts as equal


class Found(NamedTuple):
    """The outcome of one pair."""

    p_value: float
    replicates: int
    failures: int


def p_values(
    models: Sequence[Record], *, n: int, seed: Any, n_jobs: int, progress: bool
) -> list[Found]:
    """Each model against the one before it.

    Parameters
    ----------
    models : sequence of OlsRecord or LmmRecord
        Fitted by maximum likelihood, smallest first.
    n : int
        Replicates a pair.
    seed : None, int, SeedSequence or Generator
    n_jobs : int
        Processes, as joblib counts them; the outcome does not depend on it.
    progress : bool
        Show a bar.

    Raises
    ------
    SpecificationError
        If `n`, `n_jobs` or `seed` is of the wrong kind.

    Notes
    -----
    p = (1 + #{t* >= t}) / (1 + replicates that could be fitted).
    """
    if isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 1:
        raise SpecificationError(f"n={n!r} must be a whole number of replicates, at least 1.")
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, numbers.Integral) or n_jobs == 0:
        raise SpecificationError(
            f"n_jobs={n_jobs!r} must be a whole number of processes, or -1 for one a core."
        )
    roots = _root(seed).spawn(len(models) - 1)
    out = []
    with _Bar(int(n) * len(roots), progress) as bar:
        for (small, large), root in zip(pairwise(models), roots, strict=True):
            t = 2.0 * (estimates.llf(large) - estimates.llf(small))
            drawn = np.concatenate(list(bar.watch(_all(small, large, int(n), root, n_jobs))))
            good = drawn[np.isfinite(drawn)]
            p = (1 + int(np.sum(good >= t - _ROUNDING))) / (1 + good.size)
            out.append(Found(p if good.size else math.nan, good.size, drawn.size - good.size))
    return out


def _all(
    small: Record, large: Record, n: int, root: np.random.SeedSequence, n_jobs: int
) -> Iterator[FloatArray]:
    """Ratios of n replicates, a stream at a time."""
    each = max(1, min(_STREAM, _VALUES // small.rows.nobs))
    streams = root.spawn(-(-n // each))
    tasks = [(s, min(each, n - k * each)) for k, s in enumerate(streams)]
    small, large = standalone(small), standalone(large)
    if n_jobs == 1:
        for stream, count in tasks:
            yield ratios(small, large, stream, count)
        return
    import joblib

    pool = joblib.Parallel(n_jobs=int(n_jobs), return_as="generator")
    job = joblib.delayed(ratios)
    yield from pool(job(small, large, stream, count) for stream, count in tasks)


def ratios(small: Record, large: Record, stream: np.random.SeedSequence, count: int) -> FloatArray:
    """Likelihood ratios of responses drawn from the smaller model.

    Returns
    -------
    (count,) float64
        Zero where rounding made the larger model worse; NaN where a fit failed.
    """
    generator = np.random.default_rng(stream)
    Y = parametric(small, "new").responses(generator, count)
    found = _deviances(small, Y) - _deviances(large, Y)
    return np.asarray(np.where(found < 0, 0.0, found))


def _deviances(record: Record, Y: FloatArray) -> FloatArray:
    """-2 log-likelihood of each response, up to a constant of the rows."""
    if not isinstance(record, OlsRecord):
        found = lmm.refit_many(record, Y)
        logs = 0.0 if record.rows.weights is None else float(np.log(record.rows.weights).sum())
        return np.asarray(np.where(found["converged"], found["objective"] + logs, np.nan))
    n = record.rows.nobs
    with np.errstate(divide="ignore"):
        return np.asarray(n * (np.log(2 * math.pi * _squares(record, Y) / n) + 1))


def _squares(record: OlsRecord, Y: FloatArray) -> FloatArray:
    """Residual sum of squares of each response."""
    rows = record.rows
    columns = [rows.fixed[i] for i in record.kept]
    root = np.sqrt(rows.weights) if rows.weights is not None else np.ones(rows.nobs)
    Z = (Y if rows.offset is None else Y - rows.offset) * root
    blocks = [(i, min(rows.nobs, i + _BLOCK)) for i in range(0, rows.nobs, _BLOCK)]
    moments = np.zeros((len(Z), len(columns)))
    for start, stop in blocks:
        X = fill(columns, start, stop) * root[start:stop, None]
        moments += Z[:, start:stop] @ X
    beta = moments @ record.root @ record.root.T
    total = np.zeros(len(Z))
    for start, stop in blocks:
        X = fill(columns, start, stop) * root[start:stop, None]
        total += ((Z[:, start:stop] - beta @ X.T) ** 2).sum(axis=1)
    return total


def _root(seed: Any) -> np.random.SeedSequence:
    """A sequence of our own, so that the caller's gives the same draws again."""
    try:
        if isinstance(seed, np.random.Generator):
            return np.random.SeedSequence(int(seed.integers(2**63)))
        if isinstance(seed, np.random.SeedSequence):
            return np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)
        return np.random.SeedSequence(seed)
    except (TypeError, ValueError):
        raise SpecificationError(
            f"seed={seed!r} must be None, a whole number of at least 0, a SeedSequence or a numpy "
            "Generator."
        ) from None


class _Bar:
    """A bar over all replicates, or nothing."""

    def __init__(self, total: int, show: bool) -> None:
        self._bar: Any = None
        if show:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=total, desc="bootstrap", unit="replicate", delay=0.5)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def watch(self, parts: Iterable[FloatArray]) -> Iterator[FloatArray]:
        for part in parts:
            if self._bar is not None:
                self._bar.update(len(part))
            yield part
