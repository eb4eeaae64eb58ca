"""The estimated variances and correlations of the random effects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._types import FloatArray, TermSpec
from .estimates import sigma

if TYPE_CHECKING:
    import pandas as pd

    from .lmm import LmmRecord

__all__ = ["Component", "VarCorr", "of"]


class Component(NamedTuple):
    """The covariance of one random-effects term.

    Attributes
    ----------
    spec : TermSpec
        The term, of k columns; ``diagonal`` for ``||``, where covariances are zero by assumption
        and not by estimation.
    factor : (k, k) float64
        Lower-triangular relative factor lambda.
    covariance : (k, k) float64
        sigma^2 lambda lambda'.
    """

    spec: TermSpec
    factor: FloatArray
    covariance: FloatArray

    @property
    def group(self) -> str:
        """Name of the grouping factor."""
        return self.spec.group

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the k columns."""
        return self.spec.columns

    @property
    def std_dev(self) -> FloatArray:
        """(k,) standard deviations."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> FloatArray:
        """(k, k) correlations, NaN beside a variance of zero."""
        sd = self.std_dev
        with np.errstate(divide="ignore", invalid="ignore"):
            r = self.covariance / np.outer(sd, sd)
        return np.clip(r, -1.0, 1.0)


@dataclass(frozen=True, repr=False, eq=False)
class VarCorr:
    """Variances and correlations of the random effects, residual last; prints as in R.

    Attributes
    ----------
    components : tuple of Component
        One a term, most levels first.
    sigma : float
        Residual standard deviation.
    record : LmmRecord or None
        The fit that they are of.

    Examples
    --------
    >>> import partialpool as pp
    >>> print(pp.lmer("Yield ~ 1 + (1 | Batch)", pp.datasets.load("Dyestuff")).varcorr)
     Groups   Name      Std.Dev.
     Batch    Intercept 42.001
     Residual           49.510
    """

    components: tuple[Component, ...]
    sigma: float
    record: LmmRecord | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"record": None}  # the rows stay behind

    def to_frame(self) -> pd.DataFrame:
        """A row a variance, then the covariances of the term, as ``as.data.frame`` of R's.

        Returns
        -------
        DataFrame
            ``group, term1, term2, variance, std_dev``; where `term2` is given, the last two are
            covariance and correlation. The residual has neither term.
        """
        import pandas as pd

        rows = [row for c in self.components for row in _rows(c)]
        rows.append(("Residual", None, None, self.sigma**2, self.sigma))
        names = ("group", "term1", "term2", "variance", "std_dev")
        kinds = (object, object, object, float, float)
        columns = zip(names, zip(*rows, strict=True), kinds, strict=True)
        return pd.DataFrame({n: pd.Series(list(v), dtype=k) for n, v, k in columns})

    def conf_int(self, level: float = 0.95, *, method: str = "profile", **options: Any) -> Any:
        """Limits of the standard deviations and correlations.

        Parameters
        ----------
        level : float
        method : "profile" or "bootstrap"
        **options
            ``n`` and ``seed`` of the bootstrap.

        Returns
        -------
        DataFrame
            ``lower, upper``: ``sigma``, then ``sd(...)`` and ``cor(...)`` of each term.

        Raises
        ------
        SpecificationError
            For another method, or a level outside 0 to 1.
        UnavailableError
            If this does not come from a fit.
        """
        from ._errors import UnavailableError, one_of

        one_of("method", method, ("profile", "bootstrap"))
        if self.record is None:
            raise UnavailableError(
                "conf_int() needs the fit, which a pickle leaves behind: read it from fit.varcorr."
            )
        if method == "bootstrap":
            from .inference import bootstrap

            found = bootstrap.limits(self.record, level, **options)
            return found.loc[[name not in self.record.names for name in found.index]]
        from .inference import profile

        return profile.variance_limits(self.record, level, **options)

    def pca(self) -> dict[str, pd.DataFrame]:
        """Principal components of each term's covariance: is some direction without variance?

        Returns
        -------
        dict of str to DataFrame
            Term as written to a row a component: ``std_dev``, ``relative`` (over sigma), ``share``
            of the term's variance, and the loadings of its columns.
        """
        import pandas as pd

        found = {}
        for c in self.components:
            vectors, values, _ = np.linalg.svd(c.factor)
            total = float((values**2).sum())
            share = values**2 / total if total > 0 else np.full(len(values), math.nan)
            table = {"std_dev": self.sigma * values, "relative": values, "share": share}
            loadings = {name: vectors[i] for i, name in enumerate(c.columns)}
            index = [f"PC{i + 1}" for i in range(len(values))]
            found[c.spec.text] = pd.DataFrame(table | loadings, index=index)
        return found

    def __getitem__(self, group: str) -> pd.DataFrame:
        """Covariance matrix of a group's random effects (several terms: block-diagonal)."""
        import pandas as pd

        parts = [c for c in self.components if c.group == group]
        if not parts:
            have = ", ".join(dict.fromkeys(c.group for c in self.components))
            raise KeyError(f"{group!r}; the groups are: {have}")
        names = [name for c in parts for name in c.columns]
        out = np.zeros((len(names), len(names)))
        at = 0
        for c in parts:
            k = len(c.columns)
            out[at : at + k, at : at + k] = c.covariance
            at += k
        return pd.DataFrame(out, index=names, columns=names)

    def __str__(self) -> str:
        lines: list[tuple[str, str, float, list[float]]] = []
        for c in self.components:
            r = c.correlation
            for i, name in enumerate(c.columns):
                before = [] if c.spec.diagonal else [float(v) for v in r[i, :i]]
                lines.append((c.group if i == 0 else "", name, float(c.std_dev[i]), before))
        lines.append(("Residual", "", self.sigma, []))
        digits = _decimals([line[2] for line in lines])
        sds = [f"{line[2]:.{digits}f}" for line in lines]
        wide = [
            max(len(text) for text in ("Groups", *(line[0] for line in lines))),
            max(len(text) for text in ("Name", *(line[1] for line in lines))),
            max(len(text) for text in ("Std.Dev.", *sds)),
        ]
        some = any(line[3] for line in lines)
        head = f" {'Groups':<{wide[0]}} {'Name':<{wide[1]}} {'Std.Dev.':<{wide[2]}}"
        out = [head + (" Corr" if some else "")]
        number = max(map(len, sds))
        for (group, name, _, corr), sd in zip(lines, sds, strict=True):
            text = f" {group:<{wide[0]}} {name:<{wide[1]}} {sd:>{number}}"
            if corr:
                text = f"{text:<{len(head)}} " + " ".join(
                    f"{v:>6.3f}".replace("nan", "NaN") for v in corr
                )
            out.append(text)
        return "\n".join(line.rstrip() for line in out)

    __repr__ = __str__


def of(record: LmmRecord) -> VarCorr:
    """The variances and correlations of a fit."""
    scale = sigma(record)
    factors = record.layout.lambdas(record.solution.theta)
    return VarCorr(
        tuple(
            Component(spec, factor, scale**2 * (factor @ factor.T))
            for spec, factor in zip(record.layout.specs, factors, strict=True)
        ),
        scale,
        record,
    )


def _rows(c: Component) -> list[tuple[Any, ...]]:
    """Variances of a component, then its covariances, lower triangle by columns."""
    k = len(c.columns)
    sd, r = c.std_dev, c.correlation
    rows: list[tuple[Any, ...]] = [
        (c.group, c.columns[i], None, float(c.covariance[i, i]), float(sd[i])) for i in range(k)
    ]
    if not c.spec.diagonal:
        rows += [
            (c.group, c.columns[j], c.columns[i], float(c.covariance[i, j]), float(r[i, j]))
            for j in range(k)
            for i in range(j + 1, k)
        ]
    return rows


def _decimals(values: list[float], *, digits: int = 5) -> int:
    """Decimals that show the smallest of the values with `digits` significant digits, as R does.

    Zeros do not count; at most ten.
    """
    sizes = [math.floor(math.log10(v)) for v in values if v > 0]
    return min(max(digits - 1 - min(sizes, default=0), 0), 10)
