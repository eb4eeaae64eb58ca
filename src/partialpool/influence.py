"""What changes when a row, or a level of a group, is left out: exact deletion, labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import clusters as cluster
from . import frames
from ._errors import SpecificationError
from ._types import BoolArray, FloatArray
from .clusters import Clusters
from .deletion import Deletion, without
from .estimates import coefficients, sigma, standard_errors
from .ols import OlsRecord

if TYPE_CHECKING:
    import pandas as pd

    from .estimates import Record

__all__ = ["Influence", "influence"]

_SHOWN = 8  # lines of the printed table


@dataclass(frozen=True, repr=False, eq=False)
class Influence:
    """Estimates without each row, or without each level of a group.

    m rows or levels are left out in turn; p columns of X. Arrays are read-only.

    Attributes
    ----------
    group : str or None
        Whose levels were left out; None for rows.
    labels : tuple
        The m levels, or labels of the used rows.
    names : tuple of str
        The p coefficients.
    theta_names : tuple of str
        The elements of theta; () for `lm`.
    rows : (m,) int64
        Rows left out.
    params, bse : (p,) float64
        Coefficients and standard errors with all rows.
    estimates, std_errors : (m, p) float64
        The same without each; NaN where the other rows do not determine a coefficient.
    sigma_all : float
    sigma : (m,) float64
    theta_all : (q,) float64
    theta : (m, q) float64
    f_distance : (m,) float64
        (beta - beta_(j))' cov(beta)^-1 (beta - beta_(j)) / r: the F statistic of the hypothesis
        that the coefficients are those found without j.
    scale : float
        Cook's distance over `f_distance`.
    std_error_of_dfbetas : (m, p) float64
        What `dfbeta` is divided by to give `dfbetas`.
    converged : (m,) bool
        Of the refits.
    failures : dict
        Label to reason, where some or all estimates are NaN.
    """

    group: str | None
    labels: tuple[Any, ...]
    names: tuple[str, ...]
    theta_names: tuple[str, ...]
    rows: Any
    params: FloatArray
    bse: FloatArray
    estimates: FloatArray
    std_errors: FloatArray
    sigma_all: float
    sigma: FloatArray
    theta_all: FloatArray
    theta: FloatArray
    f_distance: FloatArray
    scale: float
    std_error_of_dfbetas: FloatArray
    converged: BoolArray
    failures: dict[Any, str]

    @property
    def cooks_distance(self) -> pd.Series[float]:
        """Cook's distance by exact refit, on the scale of R.

        `lm`: `f_distance`. `lmer`: that times (m - r) / m for m deletions and r coefficients, as
        lme4 has it; NaN where m <= r, see `f_distance` then.
        """
        import pandas as pd

        return pd.Series(self.scale * self.f_distance, index=self._index(), name="cooks_distance")

    @property
    def dfbeta(self) -> pd.DataFrame:
        """(m, p) the coefficients with all rows less those without (lme4: the other way round)."""
        return self._by_coefficient(self.params - self.estimates)

    @property
    def dfbetas(self) -> pd.DataFrame:
        """(m, p) `dfbeta` in standard errors.

        `lm`: of all rows, with sigma as estimated without the deleted ones (Belsley, Kuh & Welsch
        1980). `lmer`: the standard error of the refit (Nieuwenhuis, te Grotenhuis & Pelzer 2012).
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._by_coefficient((self.params - self.estimates) / self.std_error_of_dfbetas)

    def to_frame(self) -> pd.DataFrame:
        """A row a deletion, indexed by what was left out.

        Returns
        -------
        DataFrame
            ``rows, cooks_distance, sigma``, the elements of theta, the coefficients (all of these
            as estimated without the rows), and ``dfbetas.<coefficient>``.
        """
        import pandas as pd

        columns: dict[str, Any] = {
            "rows": self.rows,
            "cooks_distance": self.scale * self.f_distance,
            "sigma": self.sigma,
        }
        columns |= {n: self.theta[:, i] for i, n in enumerate(self.theta_names)}
        columns |= {n: self.estimates[:, i] for i, n in enumerate(self.names)}
        scaled = self.dfbetas.to_numpy()
        columns |= {f"dfbetas.{n}": scaled[:, i] for i, n in enumerate(self.names)}
        return pd.DataFrame(columns, index=self._index())

    def __str__(self) -> str:
        return _text(self)

    __repr__ = __str__

    def _index(self) -> Any:
        import pandas as pd

        return pd.Index(list(self.labels), name=self.group)

    def _by_coefficient(self, values: FloatArray) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(values, index=self._index(), columns=list(self.names))


def influence(
    record: Record,
    group: Any = None,
    *,
    progress: bool = True,
    only: Sequence[int] | None = None,
) -> Influence:
    """What each row, or each level of a group, does to the estimates: refits without it.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    group : str or array_like, optional
        A grouping factor of the model, a column of the data, or a value a row; all rows of a level
        are left out together. Default: row by row.
    progress : bool
        A bar, where refits take longer than about a second.
    only : sequence of int, optional
        Of mixed models: places of the levels to leave out; the others stay NaN.

    Returns
    -------
    Influence

    Raises
    ------
    SpecificationError
        For an unknown name, a single level, and refits that would take hours.
    DataError
        For an array of the wrong length or with missing values.

    Notes
    -----
    `lm`: closed form, n r^2 flops for all together. `lmer`: a refit each, started from the optimum
    of all rows: of sleepstudy about 1 ms, of 10^4 rows and one grouping factor about 5 ms each.
    Columns keep what they learnt from all rows (the base of ``poly``, the mean of ``center``), so
    that the coefficients stay comparable.

    Unlike `cooks_distance`, which takes theta as known and, of mixed models, measures a row's pull
    on its fitted value, this is how far the fixed effects move.
    """
    sets = _sets(record, group)
    found = without(record, sets, only=only, progress=progress)
    labels = tuple(sets.levels) if group is not None else tuple(frames.used_index(record))
    return _labelled(record, sets, found, labels, None if group is None else sets.name)


def _sets(record: Record, group: Any) -> Clusters:
    if group is None:
        n = record.rows.nobs
        return Clusters("row", np.arange(n, dtype=np.int32), range(n))
    found = cluster.of(record, group, option="group")
    if len(found.levels) < 2:
        raise SpecificationError(
            f"group={found.name!r} has one level, {found.levels[0]!r}: nothing is left without it."
        )
    return found


def _labelled(
    record: Record, sets: Clusters, found: Deletion, labels: tuple[Any, ...], group: str | None
) -> Influence:
    m, r = found.beta.shape
    linear = isinstance(record, OlsRecord)
    bse = standard_errors(record)
    if linear:
        with np.errstate(divide="ignore", invalid="ignore"):
            unit = bse[None, :] * (found.sigma / sigma(record))[:, None]
    else:
        unit = _expand(record, found.std_errors)
    reasons: dict[Any, str] = {}
    for j, why in found.failures:
        reasons.setdefault(labels[j], why)
    return Influence(
        group=group,
        labels=labels,
        names=record.names,
        theta_names=() if isinstance(record, OlsRecord) else record.layout.names,
        rows=_frozen(np.bincount(sets.codes, minlength=m)),
        params=_frozen(coefficients(record)),
        bse=_frozen(bse),
        estimates=_frozen(_expand(record, found.beta)),
        std_errors=_frozen(_expand(record, found.std_errors)),
        sigma_all=sigma(record),
        sigma=_frozen(found.sigma),
        theta_all=_frozen(
            np.empty(0) if isinstance(record, OlsRecord) else record.solution.theta.copy()
        ),
        theta=_frozen(found.theta),
        f_distance=_frozen(found.f_distance),
        scale=1.0 if linear else ((m - r) / m if m > r else float("nan")),
        std_error_of_dfbetas=_frozen(unit),
        converged=_frozen(found.converged),
        failures=reasons,
    )


def _expand(record: Record, values: FloatArray) -> FloatArray:
    out = np.full((len(values), len(record.names)), np.nan)
    out[:, record.kept] = values
    return out


def _frozen(values: Any) -> Any:
    values.flags.writeable = False
    return values


def _text(found: Influence) -> str:
    """The most influential ones, a line each."""
    m = len(found.labels)
    what = "row" if found.group is None else f"level of {found.group}"
    order = np.argsort(np.where(np.isnan(found.f_distance), -np.inf, -found.f_distance))
    shown = order[:_SHOWN]
    scaled = found.dfbetas.to_numpy()
    one = found.group is None
    scale, measure = (1.0, "F") if np.isnan(found.scale) else (found.scale, "Cook's D")
    head = [found.group or "row", "rows", measure, "moves most", "without", "with", "in SE"]
    head.append("sigma")
    cooks = scale * found.f_distance
    lines = []
    for j in shown:
        label = _flat(found.labels[j])
        sd = "" if np.isnan(found.sigma[j]) else f"{found.sigma[j]:.4g}"
        k = _most_moved(scaled[j], found.params - found.estimates[j])
        if k is None:
            lines.append([label, str(found.rows[j]), "", "", "", "", "", sd])
            continue
        lines.append(
            [
                label,
                str(found.rows[j]),
                "" if np.isnan(cooks[j]) else f"{cooks[j]:.3f}",
                _flat(found.names[k]),
                f"{found.estimates[j, k]:.5g}",
                f"{found.params[k]:.5g}",
                "" if np.isnan(scaled[j, k]) else f"{scaled[j, k]:+.2f}",
                sd,
            ]
        )
    title = f"Influence: the estimates without each {what}, exactly"
    more = f" ({m} in all; the first {len(shown)} by Cook's distance)" if m > len(shown) else ""
    out = [f"{title}{more}.", *_table(head, lines, skip=1 if one else None)]
    out.append(f"sigma of all rows: {found.sigma_all:.4g}")
    for label, why in list(found.failures.items())[:_SHOWN]:
        out.append(f"Without {label}: {why}.")
    bad = int((~found.converged & ~np.isnan(found.sigma)).sum())
    if bad:
        out.append(f"{bad} of the refits are not at a certified optimum; see .converged.")
    return "\n".join(out)


def _flat(name: object) -> str:
    """One line of text: characters that would break it are written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(name))


def _most_moved(scaled: FloatArray, change: FloatArray) -> int | None:
    """The coefficient that moves most, in standard errors where there are any."""
    for sizes in (np.abs(scaled), np.abs(change)):
        if np.isfinite(sizes).any():
            return int(np.argmax(np.where(np.isfinite(sizes), sizes, -1.0)))
    return None


def _table(head: list[str], lines: list[list[str]], *, skip: int | None) -> list[str]:
    """Text columns to the left (the first and the fourth), numbers to the right."""
    widths = [max(len(row[i]) for row in [head, *lines]) for i in range(len(head))]
    return [
        "  ".join(
            cell.ljust(w) if i in (0, 3) else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            if i != skip
        ).rstrip()
        for row in [head, *lines]
    ]
