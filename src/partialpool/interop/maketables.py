"""What maketables asks of a model: the answers to its ``__maketables_*__`` names.

maketables itself is not imported; it finds the names on the models. Version 0.2 of it takes every
object with ``params``, ``bse`` and ``pvalues`` for a result of statsmodels before it looks for the
protocol: its tables of our models then have the right numbers, but call the response ``y`` and lack
what statsmodels does not have. `wrap` shows it nothing but the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import coefficients as tests
from .. import effects, estimates, quality
from ..ols import OlsRecord

if TYPE_CHECKING:
    import pandas as pd

    from ..estimates import Record

__all__ = ["Tabled", "coef_table", "default_keys", "depvar", "labels", "stat", "vcov_info", "wrap"]


def coef_table(record: Record) -> pd.DataFrame:
    """Coefficients, a row each: ``b, se, t, p`` and 90 and 95 % limits by Student's t."""
    import pandas as pd

    columns = {
        "b": estimates.coefficients(record),
        "se": estimates.standard_errors(record),
        "t": tests.t_values(record),
        "p": tests.p_values(record),
    }
    for level in (95, 90):
        low, high = tests.wald_limits(record, level / 100, "satterthwaite")
        columns |= {f"ci{level}l": low, f"ci{level}u": high}
    return pd.DataFrame(columns, index=pd.Index(record.names, name="Coefficient"))


def depvar(record: Record) -> str:
    """The response as it stands in the formula."""
    return str(record.spec.formula).split("~")[0].strip()


def stat(record: Record, key: str) -> Any:
    """A figure by maketables' key; None for one that the model does not have.

    ``N, aic, bic, ll, rmse, df_resid, sigma``; ``lm``: ``r2, adj_r2, fvalue``; ``lmer``: ``icc,
    r2_marginal, r2_conditional`` and ``groups:NAME``.
    """
    plain: dict[str, Callable[[], Any]] = {
        "N": lambda: int(record.rows.nobs),
        "aic": lambda: estimates.aic(record),
        "bic": lambda: estimates.bic(record),
        "ll": lambda: estimates.llf(record),
        "rmse": lambda: quality.rmse(record),
        "sigma": lambda: estimates.sigma(record),
        "df_resid": lambda: estimates.df_resid(record),
    }
    if isinstance(record, OlsRecord):
        plain |= {
            "r2": lambda: estimates.r_squared(record)[0],
            "adj_r2": lambda: estimates.r_squared(record)[1],
            "fvalue": lambda: estimates.f_statistic(record)[0],
            "se_type": lambda: "iid",
        }
        return plain[key]() if key in plain else None
    plain |= {
        "icc": lambda: quality.icc(record).adjusted,
        "r2_marginal": lambda: quality.r2(record).marginal,
        "r2_conditional": lambda: quality.r2(record).conditional,
        "se_type": lambda: "REML" if record.spec.reml else "ML",
    }
    if key.startswith("groups:"):
        return effects.ngroups(record).get(key.removeprefix("groups:"))
    return plain[key]() if key in plain else None


def default_keys(record: Record) -> list[str]:
    """What a table shows when nobody asks."""
    if isinstance(record, OlsRecord):
        return ["N", "r2", "adj_r2"]
    return ["N", *(f"groups:{g}" for g in effects.ngroups(record)), "r2_marginal", "icc"]


def labels(record: Record) -> dict[str, str]:
    """How the keys read."""
    found = {
        "icc": "ICC",
        "r2_marginal": "Marginal R²",
        "r2_conditional": "Conditional R²",
        "sigma": "Residual SD",
        "df_resid": "Residual df",
    }
    if not isinstance(record, OlsRecord):
        found |= {f"groups:{g}": f"Groups: {g}" for g in effects.ngroups(record)}
    return found


def vcov_info(record: Record) -> dict[str, Any]:
    """Where the standard errors come from."""
    return {"vcov_type": stat(record, "se_type"), "clustervar": None}


class Tabled:
    """The protocol's names, for what holds a record."""

    __slots__ = ()
    _record: Any

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        return coef_table(self._record)

    @property
    def __maketables_depvar__(self) -> str:
        return depvar(self._record)

    @property
    def __maketables_vcov_info__(self) -> dict[str, Any]:
        return vcov_info(self._record)

    @property
    def __maketables_stat_labels__(self) -> dict[str, str]:
        return labels(self._record)

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return default_keys(self._record)

    def __maketables_stat__(self, key: str) -> Any:
        return stat(self._record, key)


class Wrapped(Tabled):
    """A model that has the protocol's names and no others."""

    __slots__ = ("_record",)

    def __init__(self, record: Record) -> None:
        self._record = record


def wrap(model: Any) -> Wrapped:
    """The model for ``maketables.ETable([wrap(fit), ...])``: response named, groups counted.

    Parameters
    ----------
    model : LinearModel or LinearMixedModel

    Returns
    -------
    Wrapped
    """
    return Wrapped(model._record)
