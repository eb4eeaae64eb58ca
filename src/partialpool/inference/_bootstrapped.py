"""What a bootstrap found: replicates, their limits, how they print."""

from __future__ import annotations

import html
import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import estimates
from .._errors import (
    PartialPoolError,
    PartialPoolWarning,
    SpecificationError,
    UnavailableError,
    one_of,
    warn,
)
from .._types import FloatArray
from . import _intervals, _resampling
from ._replicates import Failure, Run, one_thread
from ._statistic import reason

if TYPE_CHECKING:
    import pandas as pd

    from ..estimates import Record
    from ._statistic import Statistic

__all__ = ["Bootstrap"]

_LEVEL = 0.95  # of the limits in what is printed
_UNITS = 256  # units left out for BCa; more are taken together, which moves a by about 0.002
_TEXT = 60  # characters of a formula in what is printed


@dataclass(frozen=True, repr=False, eq=False)
class Bootstrap:
    """Replicates of the parameters of a fit, or of a statistic; prints, and pickles without data.

    Attributes
    ----------
    names : tuple of str
        Of the q parameters: the fixed effects, ``sigma``, ``sd(Days | Subject)``, ...,
        ``cor(Intercept, Days | Subject)``; or of the statistic's values.
    original : (q,) float64
        Their values in the fit.
    values : (n, q) float64
        A row a replicate, NaN where it failed; a correlation beside a variance of zero is NaN too.
    failures : tuple of Failure
        Which replicates failed, and why.
    kind, random : str
        As asked for.
    requested : int
        Replicates asked for; more than n after an interrupt.
    seed_entropy : int or sequence of int
        The seed that gives these replicates again.
    formula : str
    label : str
        Name of the statistic, or ``"parameters"``.
    """

    names: tuple[str, ...]
    original: FloatArray
    values: FloatArray
    failures: tuple[Failure, ...]
    kind: str
    random: str
    requested: int
    seed_entropy: Any
    formula: str
    label: str
    _workspace: dict[str, Any] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        kept = {k: v for k, v in self._workspace.items() if k == "jackknife"}
        return self.__dict__ | {"_workspace": kept}

    @property
    def n(self) -> int:
        """Replicates made, the failed ones among them."""
        return len(self.values)

    def to_frame(self) -> pd.DataFrame:
        """(n, q) a row a replicate, failed ones NaN."""
        import pandas as pd

        index = pd.RangeIndex(self.n, name="replicate")
        return pd.DataFrame(self.values.copy(), columns=list(self.names), index=index)

    def conf_int(self, level: float = 0.95, *, kind: str = "percentile") -> pd.DataFrame:
        """Confidence limits.

        Parameters
        ----------
        level : float
        kind : "percentile", "basic", "normal" or "bca"
            Quantiles of the replicates; the same mirrored at the estimate; estimate less bias with
            normal quantiles; quantiles adjusted for bias and acceleration. BCa takes its
            acceleration from fits without one group at a time (all in one factor nested; rows of
            `lm`), made when it is first asked for.

        Returns
        -------
        DataFrame
            ``lower, upper``, a row a parameter; from the replicates that did not fail.

        Raises
        ------
        SpecificationError
            For another kind, a level outside 0 to 1, too few replicates for it; for BCa where
            grouping factors are crossed, or the model cannot be fitted without some group.
        UnavailableError
            For BCa of an object that was pickled before BCa limits were asked for.

        Notes
        -----
        Sources: Davison & Hinkley (1997), chapter 5; Efron (1987); DiCiccio & Efron (1996).
        """
        import pandas as pd

        one_of("kind", kind, _intervals.KINDS)
        estimates.check_level(level)
        lower, upper = self._limits(level, kind)
        return pd.DataFrame({"lower": lower, "upper": upper}, index=list(self.names))

    def summary(self, level: float = 0.95, *, kind: str = "percentile") -> pd.DataFrame:
        """``estimate, bias, std_error, lower, upper``, a row a parameter."""
        import pandas as pd

        bias, error = self._moments()
        table = pd.DataFrame(
            {"estimate": self.original, "bias": bias, "std_error": error}, index=list(self.names)
        )
        return table.join(self.conf_int(level, kind=kind))

    def to_arviz(self) -> Any:
        """The replicates that did not fail as ArviZ' InferenceData, one chain of draws.

        Raises
        ------
        ImportError
            If arviz is not installed.
        """
        try:
            import arviz
        except ImportError:
            raise ImportError("to_arviz() needs arviz: pip install arviz") from None
        used = self._used()
        draws = {name: used[None, :, j] for j, name in enumerate(self.names)}
        if int(arviz.__version__.split(".")[0]) >= 1:
            return arviz.from_dict({"posterior": draws})
        return arviz.from_dict(posterior=draws)

    def __str__(self) -> str:
        head, cells = self._table()
        wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(
                [row[0].ljust(wide[0])]
                + [c.rjust(w) for c, w in zip(row[1:], wide[1:], strict=True)]
            )
            for row in cells
        ]
        return "\n".join([head, "", *(line.rstrip() for line in lines), *self._notes()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, cells = self._table()
        body = [
            "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in row) + "</tr>"
            for tag, row in zip(["th"] + ["td"] * (len(cells) - 1), cells, strict=True)
        ]
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self._notes() if note)
        return f"<p>{html.escape(head)}</p><table>{''.join(body)}</table>{notes}"

    def _used(self) -> FloatArray:
        """The replicates that did not fail."""
        failed = np.zeros(self.n, dtype=bool)
        failed[[f.replicate for f in self.failures]] = True
        return self.values[~failed]

    def _moments(self) -> tuple[FloatArray, FloatArray]:
        """(q,) bias and standard error, over the replicates that have a value."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # columns without two values: NaN
            used = self._used()
            error = np.nanstd(used, axis=0, ddof=1)
            return np.nanmean(used, axis=0) - self.original, error

    def _limits(self, level: float, kind: str) -> tuple[FloatArray, FloatArray]:
        used = self._used()
        needed = _intervals.require_enough(len(used), level, kind)
        if kind == "percentile":
            found = _intervals.percentile(used, level)
        elif kind == "basic":
            found = _intervals.basic(self.original, used, level)
        elif kind == "normal":
            found = _intervals.normal(self.original, used, level)
        else:
            a = _intervals.acceleration(self._jackknife())
            found = _intervals.bca(self.original, used, level, a, self.names)
        lower, upper = found
        defined = np.isfinite(used).sum(axis=0)
        few = (defined < needed) | np.isnan(self.original)
        lower[few] = upper[few] = np.nan
        short = [self.names[j] for j in np.flatnonzero((defined < needed) & (defined > 0))]
        if short:
            warn(
                f"{', '.join(short[:5])}: fewer than {needed} of {len(used)} replicates have a "
                "value, too few for limits (NaN).",
                PartialPoolWarning,
            )
        return lower, upper

    def _jackknife(self) -> FloatArray:
        """(units, q) values with one unit left out at a time."""
        found = self._workspace.get("jackknife")
        if found is None:
            if "source" not in self._workspace:
                raise UnavailableError(
                    "kind='bca' needs fits without one group at a time, and a pickled bootstrap "
                    "has left its rows behind. Ask for the BCa limits before pickling, which keeps "
                    "what they need, or use kind='percentile'."
                )
            found = self._workspace["jackknife"] = _jackknife(*self._workspace["source"])
        return np.asarray(found)

    def _table(self) -> tuple[str, list[list[str]]]:
        """The heading, and a table of texts with its own heading."""
        formula = self.formula
        formula = formula if len(formula) <= _TEXT else formula[: _TEXT - 3] + "..."
        kept = ", random effects kept" if self.random == "fitted" else ""
        done = f"{self.n} replicates"
        if self.n < self.requested:
            done = f"{self.n} of {self.requested} replicates (interrupted)"
        head = f"Bootstrap ({self.kind}{kept}) of {formula}: {done}"
        bias, error = self._moments()
        columns = [self.original, bias, error]
        labels = ["", "estimate", "bias", "std_error"]
        if len(self._used()) >= _intervals.needed(_LEVEL, "percentile"):
            columns += list(_intervals.percentile(self._used(), _LEVEL))
            labels += ["lower", "upper"]
        rows = [
            [name, *_shown([float(c[j]) for c in columns], float(error[j]))]
            for j, name in enumerate(self.names)
        ]
        return head, [labels, *rows]

    def _notes(self) -> list[str]:
        notes = []
        used = self._used()
        if len(used) >= _intervals.needed(_LEVEL, "percentile"):
            notes.append("Limits: percentile, level 0.95.")
        if self.failures:
            first = self.failures[0]
            why = first.reason if len(first.reason) <= 3 * _TEXT else first.reason[: 3 * _TEXT]
            notes.append(
                f"{len(self.failures)} of {self.n} replicates failed and are left out (see "
                f".failures), the first, {first.replicate}: {why}"
            )
        missing = np.isnan(used).sum(axis=0)
        notes += [
            f"{self.names[j]} is undefined in {missing[j]} replicates."
            for j in np.flatnonzero((missing > 0) & ~np.isnan(self.original))[:5]
        ]
        return ["", *notes] if notes else []


def _jackknife(record: Record, statistic: Statistic) -> FloatArray:
    """(units, q) the statistic without each cluster; of many clusters, 256 sets of them."""
    clusters = _resampling.clusters(record, "kind='bca'")
    sets = min(clusters.count, _UNITS)
    out = np.empty((sets, len(statistic.names)))
    everyone = np.arange(clusters.count)
    with one_thread(Run(record, clusters), statistic):
        for i in range(sets):
            rest = everyone[everyone % sets != i]
            try:
                out[i] = statistic(_resampling.refit_clusters(record, clusters, rest))
            except Exception as error:
                own = isinstance(error, PartialPoolError)
                raise SpecificationError(
                    f"kind='bca' needs the fit without each {clusters.name}, and without number "
                    f"{i} (counting from 0) there is none: "
                    f"{error if own else reason(error)}. Use kind='percentile'."
                ) from error
    out.flags.writeable = False
    return out


def _shown(values: list[float], error: float) -> list[str]:
    """Numbers of one row, to three significant digits of its standard error."""
    size = error if error > 0 and math.isfinite(error) else max(abs(values[0]), 1e-300) / 1e3
    digits = min(max(2 - math.floor(math.log10(size)), 0), 12) if math.isfinite(size) else 4
    return ["NaN" if math.isnan(v) else f"{v:.{digits}f}" for v in values]
