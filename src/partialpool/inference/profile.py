"""Likelihood profiles of all parameters: limits that need no symmetry, and the curves behind them.

zeta is the signed square root of the difference in ML deviance from the minimum, all other
parameters re-optimised at every point; a straight line where the likelihood is quadratic.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import lmm
from .._errors import ConvergenceWarning, SpecificationError, warn
from ..estimates import check_level
from . import _parameters
from ._curves import Curve, decimals, number, quantile
from ._traced import Target, curves, remarks, targets

if TYPE_CHECKING:
    import pandas as pd

    from .._types import FloatArray
    from ..lmm import LmmRecord
    from ._profile_plots import ProfilePlots

__all__ = ["Profile", "profile", "variance_limits"]


@dataclass(frozen=True, eq=False)
class Profile:
    """Likelihood profiles; prints their limits.

    Attributes
    ----------
    curves : tuple of Curve
        One a parameter.
    names : tuple of str
        All parameters of the model, the columns of `to_frame`.
    level : float
        How far the profiles reach: the largest level of `conf_int`.
    deviance : float
        At the ML estimates.
    refitted : bool
        True if a REML fit was refitted by ML.
    formula : str
    notes : tuple of str
        What is to be known about single profiles.
    """

    curves: tuple[Curve, ...]
    names: tuple[str, ...]
    level: float
    deviance: float
    refitted: bool
    formula: str
    notes: tuple[str, ...]

    @property
    def plot(self) -> ProfilePlots:
        """Pictures: ``.zeta()``, ``.density()``."""
        from ._profile_plots import ProfilePlots

        return ProfilePlots(self)

    @property
    def failures(self) -> tuple[tuple[str, float], ...]:
        """(parameter, value) where no optimum was found."""
        return tuple((c.name, float(v)) for c in self.curves for v in c.failed)

    def to_frame(self) -> pd.DataFrame:
        """The points of all profiles.

        Returns
        -------
        DataFrame
            ``parameter, value, zeta, deviance``, and all parameters at that point.
        """
        import pandas as pd

        out = {
            "parameter": [c.name for c in self.curves for _ in c.u],
            "value": _joined([c.value for c in self.curves]),
            "zeta": _joined([c.zeta for c in self.curves]),
            "deviance": _joined([c.deviance for c in self.curves]),
        }
        points = [c.parameters for c in self.curves if len(c.u)]
        values = np.concatenate(points) if points else np.empty((0, len(self.names)))
        columns = pd.DataFrame(values, columns=list(self.names))
        return pd.concat([pd.DataFrame(out), columns], axis=1)

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Limits: where zeta is plus and minus the normal quantile.

        Parameters
        ----------
        level : float
            Up to `level` of the profile.

        Returns
        -------
        DataFrame
            ``lower, upper``, a row a parameter. A bound (0, or a correlation of 1) where zeta never
            comes so far; NaN for a coefficient whose column was dropped, and where the profile
            could not be followed, which `notes` says.

        Raises
        ------
        SpecificationError
            If the profiles do not reach that level, or it is no level.
        """
        import pandas as pd

        limits = self._limits(level)
        return pd.DataFrame(
            np.array(list(limits.values())).reshape(-1, 2),
            index=pd.Index(list(limits), dtype=object),
            columns=["lower", "upper"],
        )

    def _limits(self, level: float) -> dict[str, tuple[float, float]]:
        """The limits of each parameter."""
        if check_level(level) > self.level:
            raise SpecificationError(
                f"conf_int(level={level!r}): these profiles reach level={self.level!r}. "
                f"Ask for them further out: profile(level={level!r})."
            )
        z = quantile(level)
        return {c.name: (c.limit(-1, z), c.limit(1, z)) for c in self.curves}

    def __str__(self) -> str:
        head, rows = self._table()
        cells = [head, *rows]
        wide = [max(len(row[i]) for row in cells) for i in range(4)]
        lines = [
            "  ".join([row[0].ljust(wide[0])] + [row[i].rjust(wide[i]) for i in (1, 2, 3)]).rstrip()
            for row in cells
        ]
        return "\n".join([self._title(), *lines, *self._remarks()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, rows = self._table()
        top = "".join(f"<th>{escape(text)}</th>" for text in head)
        body = "".join(
            f"<tr><th>{escape(name)}</th>" + "".join(f"<td>{v}</td>" for v in values) + "</tr>"
            for name, *values in rows
        )
        notes = "".join(f"<p>{escape(text)}</p>" for text in self._remarks())
        return (
            f"<div><p><strong>{escape(self._title())}</strong></p><table><thead><tr>{top}</tr>"
            f"</thead><tbody>{body}</tbody></table>{notes}</div>"
        )

    def _title(self) -> str:
        return f"Likelihood profiles of {self.formula}"

    def _remarks(self) -> tuple[str, ...]:
        method = "Estimates by maximum likelihood"
        if self.refitted:
            method += ": the REML fit was refitted, since profiles compare ML deviances"
        return (f"{method}.", *self.notes)

    def _table(self) -> tuple[list[str], list[list[str]]]:
        level = min(0.95, self.level)
        share = f"{100 * level:.6g} %"
        rows = []
        for c, (lower, upper) in zip(self.curves, self._limits(level).values(), strict=True):
            digits = decimals(c.estimate, lower, upper)
            rows.append([c.name, *(number(v, digits) for v in (c.estimate, lower, upper))])
        return ["", "estimate", f"lower {share}", f"upper {share}"], rows


def profile(
    record: LmmRecord,
    *,
    parameters: str | Sequence[str] | None = None,
    level: float = 0.99,
    progress: bool = False,
) -> Profile:
    """Likelihood profiles of the parameters of a linear mixed model.

    Parameters
    ----------
    record : LmmRecord
        A REML fit is refitted by maximum likelihood.
    parameters : str or list of str, optional
        Names as in `Profile.names`; default all.
    level : float
        How far the profiles go: the largest level of `Profile.conf_int`.
    progress : bool
        A tqdm bar over the parameters.

    Returns
    -------
    Profile

    Raises
    ------
    SpecificationError
        For unknown parameters, those of dropped columns, a level outside 0 to 1, and a fit whose
        residual variance is zero.

    Notes
    -----
    docs/math.md, M21. About sixteen points a parameter, each an optimisation over all others by
    Newton's method from the points beside it: two to six evaluations of the objective, none of
    which looks at a row. Slopes are exact by the envelope theorem, and the curves monotone cubic
    Hermite interpolants in log sigma and asin of correlations. Points lie within 0.03 of the zeta
    of the usual levels and of `level`, so that limits there are exact to about 1e-6 standard
    errors. The way goes on through variances of zero; what the data cannot exclude ends at a bound,
    0 or a correlation of plus or minus one.

    Examples
    --------
    >>> import partialpool as pp
    >>> print(pp.lmer("Yield ~ 1 + (1 | Batch)", pp.datasets.load("Dyestuff")).profile())
    Likelihood profiles of Yield ~ 1 + (1 | Batch)
                           estimate  lower 95 %  upper 95 %
    Intercept                1527.5      1486.5      1568.5
    sigma                      49.5        38.2        67.7
    sd(Intercept | Batch)      37.3        12.2        84.1
    Estimates by maximum likelihood: the REML fit was refitted, since profiles compare ML deviances.
    """
    z = quantile(check_level(level))
    _require_likelihood(record)
    ml = lmm.refit_ml(record)
    names = _parameters.names(ml)
    chosen = _chosen(parameters, names, targets(ml))
    found = curves(ml, chosen, z, progress=progress)
    notes, warnings = remarks(ml, found)
    for text in warnings:
        warn(text, ConvergenceWarning)
    return Profile(
        curves=tuple(found),
        names=names,
        level=float(level),
        deviance=float(ml.solution.objective),
        refitted=bool(record.spec.reml),
        formula=str(record.spec.formula),
        notes=(*notes, *warnings),
    )


def variance_limits(record: LmmRecord, level: float = 0.95) -> pd.DataFrame:
    """Profile limits of sigma, the standard deviations and the correlations.

    Parameters
    ----------
    record : LmmRecord
    level : float

    Returns
    -------
    DataFrame
        ``lower, upper``, a row a parameter.

    Raises
    ------
    SpecificationError
        As `profile`.
    """
    names = _parameters.names(record)[len(record.names) :]
    return profile(record, parameters=names, level=level).conf_int(level)


def _chosen(
    parameters: str | Sequence[str] | None,
    names: tuple[str, ...],
    every: dict[str, Target | None],
) -> list[str]:
    """The parameters asked for, in the order of the model."""
    if parameters is None:
        return list(names)
    one = isinstance(parameters, str) or not isinstance(parameters, Iterable)
    asked: list[Any] = [parameters] if one else list(parameters)
    unknown = [name for name in asked if name not in every]
    if unknown or not asked:
        what = f"no parameter {unknown[0]!r}" if unknown else "nothing to profile"
        raise SpecificationError(
            f"profile(parameters={parameters!r}): {what}. The parameters are: {', '.join(names)}."
        )
    for name in asked:
        if every[name] is None:
            raise SpecificationError(
                f"profile(parameters={parameters!r}): the column of {name!r} was dropped, since it "
                "is a combination of others; it has no estimate."
            )
    return [name for name in names if name in asked]


def _require_likelihood(record: LmmRecord) -> None:
    if record.solution.sigma > 0:
        return
    raise SpecificationError(
        "The fixed effects fit the response exactly: the residual variance is zero, the likelihood "
        "has no maximum, and nothing can be profiled. Is the response computed from the predictors?"
    )


def _joined(parts: list[FloatArray]) -> FloatArray:
    return np.concatenate(parts) if parts else np.empty(0)
