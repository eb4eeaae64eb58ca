"""The bootstrap: refits to data drawn from the model, from its residuals, or group by group."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import estimates
from .._errors import ConvergenceWarning, PartialPoolWarning, SpecificationError, one_of, warn
from . import _draws, _intervals, _moments, _resampling, _statistic
from ._bootstrapped import Bootstrap
from ._replicates import Run, Workers, run, standalone

if TYPE_CHECKING:
    import pandas as pd

    from ..estimates import Record

__all__ = ["KINDS", "Bootstrap", "bootstrap", "limits"]

KINDS = ("parametric", "residual", "cases", "wild")


def bootstrap(
    record: Record,
    n: int,
    *,
    statistic: Callable[[Any], Any] | None = None,
    kind: str = "parametric",
    random: str = "new",
    seed: Any = None,
    n_jobs: int | None = 1,
    backend: str | None = None,
    progress: bool = True,
    model: Callable[[Any], Any] | None = None,
) -> Bootstrap:
    """Refit a model n times to data drawn in its likeness.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    n : int
        Replicates.
    statistic : callable, optional
        Of a fitted model: returns a number, a dict or Series of numbers, or a one-dimensional
        array. Default: the parameters, named as in ``Bootstrap.names``.
    kind : "parametric", "residual", "cases" or "wild"
        Draw random effects and residuals from their normal distributions; from the fit's own,
        rescaled to the estimated variances; draw whole levels of the grouping factor in which all
        others are nested (rows of `lm`), with replacement and each draw a level of its own; or
        multiply each such level's residuals from X beta by a random weight.
    random : "new" or "fitted"
        For parametric and residual: draw random effects too, or keep the predicted ones.
    seed : None, int, SeedSequence or numpy Generator
    n_jobs : int or None
        Workers, as in joblib; None takes them from ``joblib.parallel_config``.
    backend : str, optional
        Of joblib: ``"loky"``, ``"threading"``, ``"dask"``. The replicates are the same, bit for
        bit, for any of them and any number of workers.
    progress : bool
        A bar on standard error where it takes more than half a second.
    model : callable, optional
        Makes of a record what `statistic` takes.

    Returns
    -------
    Bootstrap
        Replicates whose fit failed are NaN and listed in ``failures``; a singular fit is none of
        these. After Ctrl-C, the replicates made until then.

    Raises
    ------
    SpecificationError
        For options out of range, a fit without residual variance, a statistic that raises on the
        original fit, and crossed grouping factors with ``kind="cases"`` or ``"wild"``.

    Notes
    -----
    Where there is one grouping factor, or none, and four rows for every moment that a refit needs
    of them, the parametric bootstrap of the parameters draws the moments and not the rows
    (docs/math.md, M19); a statistic of the user's then sees other draws than these.

    Sources: Davison & Hinkley (1997), Bootstrap Methods and their Application; residual: Carpenter,
    Goldstein & Rasbash (2003); cases: van der Leeden, Meijer & Busing (2008), Handbook of
    Multilevel Analysis, chapter 11; wild: Modugno & Giannerini (2015).
    """
    _check(n, kind, random, n_jobs, backend, progress)
    root = _seed_sequence(seed)
    own = standalone(record)
    if estimates.sigma(own) == 0:
        raise SpecificationError(
            "bootstrap(): the fixed effects fit the response exactly, so there is nothing to draw."
        )
    if statistic is None:
        chosen, original = _statistic.parameters(own)
    else:
        chosen, original = _statistic.of_user(statistic, model, own)
    work = Run(own, _source(own, kind, random, rows=statistic is not None))
    values, failures = run(
        work, chosen, int(n), root, Workers(n_jobs, backend), progress=bool(progress)
    )
    for array in (original, values):
        array.flags.writeable = False
    found = Bootstrap(
        chosen.names,
        original,
        values,
        failures,
        kind,
        random,
        int(n),
        root.entropy,
        record.spec.formula,
        chosen.label,
        {"source": (own, chosen)},
    )
    _say(found)
    return found


def limits(
    record: Record,
    level: float = 0.95,
    *,
    n: int = 1000,
    seed: Any = None,
    kind: str = "percentile",
) -> pd.DataFrame:
    """Limits of all parameters by the parametric bootstrap.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    level : float
    n : int
        Replicates.
    seed : None, int, SeedSequence or numpy Generator
    kind : "percentile", "basic", "normal" or "bca"
        Of the limits, as in `Bootstrap.conf_int`.

    Returns
    -------
    DataFrame
        ``lower, upper``, a row a parameter.
    """
    one_of("kind", kind, _intervals.KINDS)
    estimates.check_level(level)
    _check(n, "parametric", "new", 1, None, False)
    _intervals.require_enough(int(n), level, kind)
    return bootstrap(record, n, seed=seed, progress=False).conf_int(level, kind=kind)


def _source(record: Record, kind: str, random: str, *, rows: bool) -> Any:
    """What the replicates are drawn from; `rows` says that a statistic needs them."""
    if kind == "parametric":
        if random == "new" and not rows and _moments.is_cheaper(record):
            return _moments.moments(record)
        return _draws.parametric(record, random)
    if kind == "residual":
        return _draws.residual(record, random)
    units = _resampling.clusters(record, f"kind={kind!r}")
    if kind == "cases":
        return units
    return _draws.wild(record, units.codes, units.count)


def _check(n: Any, kind: Any, random: Any, n_jobs: Any, backend: Any, progress: Any) -> None:
    if isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 1:
        raise SpecificationError(f"bootstrap(n={n!r}): n must be a whole number of at least 1.")
    one_of("kind", kind, KINDS)
    one_of("random", random, ("new", "fitted"))
    if random == "fitted" and kind in ("cases", "wild"):
        raise SpecificationError(
            f"random='fitted' goes with kind='parametric' or kind='residual'; kind={kind!r} draws "
            "random effects and residuals together."
        )
    whole = isinstance(n_jobs, numbers.Integral) and not isinstance(n_jobs, bool)
    if n_jobs is not None and not (whole and n_jobs != 0):
        raise SpecificationError(
            f"n_jobs={n_jobs!r} must be a whole number other than 0 (-1: all cores), or None."
        )
    if backend is not None and not isinstance(backend, str):
        raise SpecificationError(
            f"backend={backend!r} must be a name that joblib knows, such as 'loky'."
        )
    if not isinstance(progress, bool | np.bool_):
        raise SpecificationError(f"progress={progress!r} must be True or False.")


def _seed_sequence(seed: Any) -> np.random.SeedSequence:
    """A sequence that has spawned nothing, and that its entropy alone gives again.

    Raises
    ------
    SpecificationError
    """
    if isinstance(seed, np.random.Generator):
        return _from_words(seed.integers(0, 2**32, 4, dtype=np.uint32))
    if isinstance(seed, np.random.SeedSequence):
        if not seed.spawn_key and seed.pool_size == 4:
            return np.random.SeedSequence(seed.entropy)
        return _from_words(seed.generate_state(4))
    try:
        if isinstance(seed, bool | np.bool_):
            raise TypeError
        return np.random.SeedSequence(seed)
    except (TypeError, ValueError):
        raise SpecificationError(
            f"bootstrap(seed={seed!r}): seed is None, a non-negative integer, a SeedSequence or a "
            "numpy Generator."
        ) from None


def _from_words(words: Any) -> np.random.SeedSequence:
    return np.random.SeedSequence(sum(int(w) << (32 * i) for i, w in enumerate(words)))


def _say(found: Bootstrap) -> None:
    """Warn of what is missing."""
    if found.n < found.requested:
        warn(
            f"The bootstrap was interrupted after {found.n} of {found.requested} replicates, which "
            "are kept.",
            PartialPoolWarning,
        )
    if found.failures:
        first = found.failures[0]
        warn(
            f"{len(found.failures)} of {found.n} replicates failed and are NaN; the reasons are in "
            f".failures, the first, of replicate {first.replicate}: {first.reason}",
            ConvergenceWarning,
        )
