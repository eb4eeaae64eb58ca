"""Replicates in tasks that any worker can run, with results that do not depend on the workers.

Replicates come in streams of up to 256, with one random stream each (spawning one a replicate costs
14 us); how many a stream depends on the rows alone. A task is a part of a stream.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from .. import frames
from .._dense import limited
from .._errors import PartialPoolError, SpecificationError
from .._types import FloatArray
from ..ols import OlsRecord
from ._moments import LeastSquares, Moments
from ._resampling import Clusters, refit_clusters
from ._statistic import Statistic, checked, of_moments, of_responses, reason, refit_checked

if TYPE_CHECKING:
    from ..estimates import Record

__all__ = ["Failure", "Run", "Workers", "one_thread", "run", "standalone"]

_STREAM = 256
_VALUES = 2**18  # responses drawn at once: 2 MB, which stay in the cache
_TASK = 32  # replicates a task where each takes long
_WAIT = 0.5  # seconds before a bar appears


class Failure(NamedTuple):
    """A replicate without an estimate.

    Attributes
    ----------
    replicate : int
        Its row in ``to_frame()``.
    reason : str
    """

    replicate: int
    reason: str


class Source(Protocol):
    """Something that draws responses."""

    def responses(self, generator: np.random.Generator, count: int) -> FloatArray: ...


class Task(NamedTuple):
    """Replicates `first` to `first + size`, which are those from `skip` on in their stream."""

    stream: np.random.SeedSequence
    skip: int
    size: int
    first: int


class Workers(NamedTuple):
    """How many workers, of which kind; as joblib takes them."""

    n_jobs: int | None
    backend: str | None


@dataclass(frozen=True)
class Run:
    """All that a worker needs beside the statistic.

    Attributes
    ----------
    record : OlsRecord or LmmRecord
        From `standalone`.
    source : Source, Moments, LeastSquares or Clusters
        What is drawn.
    """

    record: Record
    source: Source | Moments | LeastSquares | Clusters

    def replicates(
        self, statistic: Statistic, task: Task
    ) -> tuple[FloatArray, list[tuple[int, str]]]:
        """(size, q) values, and the failures among them."""
        generator = np.random.Generator(np.random.PCG64(task.stream))
        mine = slice(task.skip, task.skip + task.size)
        if isinstance(self.source, Clusters):
            units = self.source
            draws = generator.integers(0, units.count, (self.stream, units.count))
            return _each(
                statistic, lambda d: checked(refit_clusters(self.record, units, d)), draws[mine]
            )
        if isinstance(self.source, Moments | LeastSquares):
            drawn = [part[mine] for part in self.source.draw(generator, self.stream)]
            values = of_moments(self.record, drawn)
            lost = np.flatnonzero(np.isnan(values[:, len(self.record.names)]))
            return values, [(int(i), "the fit is not at a certified optimum") for i in lost]
        Y = self.source.responses(generator, self.stream)[mine]
        if statistic.function is not None:
            return _each(statistic, lambda y: refit_checked(self.record, y), Y)
        values = of_responses(self.record, Y)
        # sigma is a number wherever there is a fit: those without are tried with more care.
        lost = np.flatnonzero(np.isnan(values[:, len(self.record.names)]))
        again, failures = _each(statistic, lambda y: refit_checked(self.record, y), Y[lost])
        values[lost] = again
        return values, [(int(lost[i]), why) for i, why in failures]

    @property
    def stream(self) -> int:
        """Replicates a stream."""
        one = self.record.rows.nobs
        if isinstance(self.source, Moments | LeastSquares):
            one = self.source.size
        return max(1, min(_STREAM, _VALUES // one))

    def tasks(self, statistic: Statistic, n: int, root: np.random.SeedSequence) -> list[Task]:
        """n replicates in tasks."""
        quick = statistic.function is None and not isinstance(self.source, Clusters)
        quick = quick and len(self.record.rows.groups) < 2
        stream = self.stream
        part = stream if quick else min(stream, _TASK)
        out: list[Task] = []
        for k, seed in enumerate(root.spawn(-(-n // stream))):
            last = min(stream, n - k * stream)
            out += [
                Task(seed, skip, min(part, last - skip), k * stream + skip)
                for skip in range(0, last, part)
            ]
        return out


def _each(
    statistic: Statistic, fit: Callable[[Any], Record], draws: npt.NDArray[Any]
) -> tuple[FloatArray, list[tuple[int, str]]]:
    """Fit by fit; what raises is a failure with its message."""
    out = np.full((len(draws), len(statistic.names)), np.nan)
    failures = []
    for i, draw in enumerate(draws):
        try:
            out[i] = statistic(fit(draw))
        except PartialPoolError as error:
            failures.append((i, str(error)))
        except Exception as error:
            failures.append((i, reason(error)))
    return out, failures


def standalone(record: Record) -> Record:
    """The record as workers have it: without the data, with one thread, its own work space.

    The data stay behind with n_jobs=1 too, so that a statistic that needs them fails on the
    original fit and not in some of the workers.
    """
    without, labels = frames.without_data(record)
    kept = frames.restored(without, labels)
    if isinstance(kept, OlsRecord):
        return kept
    return replace(kept, control=replace(kept.control, threads=1), workspace={})


def run(
    work: Run,
    statistic: Statistic,
    n: int,
    root: np.random.SeedSequence,
    workers: Workers,
    *,
    progress: bool,
) -> tuple[FloatArray, tuple[Failure, ...]]:
    """Values of the replicates that were finished, fewer than n after Ctrl-C, and the failures.

    Raises
    ------
    KeyboardInterrupt
        If there are none.
    """
    tasks = work.tasks(statistic, n, root)
    values = np.full((n, len(statistic.names)), np.nan)
    failures: list[Failure] = []
    done = 0
    results = _serial(work, statistic, tasks) if workers.n_jobs == 1 else None
    results = _parallel(work, statistic, tasks, workers) if results is None else results
    bar = _Bar(n, progress)
    try:
        with bar, one_thread(work, statistic):
            for task, (found, lost) in zip(tasks, results, strict=True):
                values[task.first : task.first + task.size] = found
                failures += [Failure(task.first + i, why) for i, why in lost]
                done = task.first + task.size
                bar.move(done)
    except KeyboardInterrupt:
        _close(results)
        if not done:
            raise
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if "pickle" not in str(error):
            raise
        why = str(error.__cause__ or error).strip('\n" ').splitlines()[-1]
        raise SpecificationError(
            f"The statistic cannot be sent to worker processes ({why}). Use backend='threading' or "
            "n_jobs=1."
        ) from error
    return values[:done], tuple(f for f in failures if f.replicate < done)


def _serial(work: Run, statistic: Statistic, tasks: list[Task]) -> Iterator[Any]:
    for task in tasks:
        yield work.replicates(statistic, task)


def _parallel(
    work: Run, statistic: Statistic, tasks: list[Task], workers: Workers
) -> Iterator[Any]:
    """The same from joblib's workers, in order."""
    import joblib

    # As an array: joblib maps large ones into the memory of its workers, and dask scatters them.
    packed = np.frombuffer(pickle.dumps(work, protocol=5), dtype=np.uint8)
    key = (id(work), time.monotonic_ns())
    job = joblib.delayed(_in_worker)
    calls = [job(packed, key, statistic, task) for task in tasks]
    # As a configuration: joblib 1.6 cannot make its dask backend from an argument of Parallel.
    named = {} if workers.backend is None else {"backend": workers.backend}
    try:
        with joblib.parallel_config(**named):
            try:
                pool = joblib.Parallel(n_jobs=workers.n_jobs, return_as="generator")
            except ValueError as error:
                if "return_as" not in str(error):
                    raise
                return _in_waves(joblib.Parallel(n_jobs=workers.n_jobs), calls)
    except ValueError as error:
        raise SpecificationError(
            f"bootstrap(n_jobs={workers.n_jobs!r}, backend={workers.backend!r}): {error}"
        ) from None
    return pool(calls)  # type: ignore[no-any-return]  # joblib has no stubs


def _in_waves(pool: Any, calls: list[Any]) -> Iterator[Any]:
    """For backends that return everything at once: a few tasks a worker at a time."""
    size = 8 * pool.n_jobs if pool.n_jobs > 0 else 64
    for start in range(0, len(calls), size):
        yield from pool(calls[start : start + size])


_held = threading.local()


def _in_worker(
    packed: npt.NDArray[np.uint8], key: tuple[int, int], statistic: Statistic, task: Task
) -> Any:
    """One task, with the work unpacked once a worker: threads share no work space."""
    if getattr(_held, "key", None) != key:
        _held.work = pickle.loads(packed.data)
        _held.key = key
    work: Run = _held.work
    with one_thread(work, statistic):
        return work.replicates(statistic, task)


def one_thread(work: Run, statistic: Statistic) -> AbstractContextManager[Any]:
    """One BLAS thread where BLAS is used: another number could change the last digits."""
    record = work.record
    needed = statistic.function is not None or isinstance(record, OlsRecord)
    if not needed and len(record.rows.groups) < 2:
        return nullcontext()
    return limited(1)


class _Bar:
    """A bar on standard error, if there is something to wait for."""

    def __init__(self, total: int, wanted: bool) -> None:
        self._total, self._wanted = total, wanted
        self._begin = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *details: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def move(self, done: int) -> None:
        if not self._wanted:
            return
        if self._bar is None:
            spent = time.monotonic() - self._begin
            if spent < _WAIT or done == self._total:
                return
            from tqdm import tqdm

            self._bar = tqdm(total=self._total, initial=0, desc="bootstrap", unit="fit")
            self._bar.start_t -= spent
        self._bar.update(done - self._bar.n)


def _close(results: Any) -> None:
    """Stop the workers; what they were at is lost, which the caller says."""
    import warnings

    close = getattr(results, "close", None)
    if close is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            close()
