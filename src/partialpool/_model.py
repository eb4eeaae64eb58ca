"""What all fitted models share: every attribute delegates to a function on the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self

from . import coefficients as tests
from . import diagnostics, estimates, frames
from . import predict as predictions
from . import simulate as simulation
from ._errors import SpecificationError, one_of
from ._inference import Inference

if TYPE_CHECKING:
    import pandas as pd

    from ._types import FloatArray
    from .report.summary import Summary

__all__ = ["Model"]

METHODS = ("wald", "profile", "bootstrap")


class Model(Inference):
    """What the fitted models share. Frozen: nothing can be set.

    Named vectors are pandas Series and tables DataFrames, made when they are read.
    """

    __slots__ = ("__weakref__", "_record")
    _record: Any

    def __init__(self, record: Any) -> None:
        object.__setattr__(self, "_record", record)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"A fitted model is frozen: {name!r} cannot be set. Use update() or refit()."
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"A fitted model is frozen: {name!r} cannot be deleted.")

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), *frames.without_data(self._record))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # frozen, and its arrays are its own

    def __repr__(self) -> str:
        return frames.one_line(self._record)

    def _repr_html_(self) -> str:
        return self.summary().as_html()

    def __str__(self) -> str:
        return str(self.summary())

    # -- the fixed effects ------------------------------------------------------------------------

    @property
    def params(self) -> pd.Series[float]:
        """Fixed effects; NaN for columns that were dropped."""
        return frames.by_term(self._record, estimates.coefficients(self._record), "params")

    @property
    def bse(self) -> pd.Series[float]:
        """Standard errors of the fixed effects."""
        return frames.by_term(self._record, estimates.standard_errors(self._record), "bse")

    @property
    def tvalues(self) -> pd.Series[float]:
        """Fixed effects over their standard errors."""
        return frames.by_term(self._record, estimates.t_values(self._record), "tvalues")

    @property
    def pvalues(self) -> pd.Series[float]:
        """Two-sided p-values by Student's t; for `lmer` with Satterthwaite's df."""
        return frames.by_term(self._record, tests.p_values(self._record), "pvalues")

    @property
    def df(self) -> pd.Series[float]:
        """Degrees of freedom of each coefficient: df_resid, for `lmer` Satterthwaite's."""
        return frames.by_term(self._record, tests.dfs(self._record), "df")

    def conf_int(
        self,
        level: float = 0.95,
        method: str = "wald",
        *,
        ddf: str | None = None,
        n: int = 1000,
        seed: Any = None,
    ) -> pd.DataFrame:
        """Confidence limits.

        Parameters
        ----------
        level : float, default 0.95
        method : "wald", "profile" or "bootstrap"
            Estimate plus and minus standard errors; likelihood profiles, also of ``sigma``,
            standard deviations and correlations (of `lmer`); percentiles of a parametric bootstrap.
        ddf : "satterthwaite" or "kenward-roger", optional
            Wald limits of `lmer` by Student's t with these degrees of freedom (and Kenward and
            Roger's standard errors). Default: normal quantiles, as in lme4; `lm`: always t.
        n, seed
            Replicates and seed of the bootstrap.

        Returns
        -------
        DataFrame
            ``lower, upper``, a row a coefficient, then a row a variance parameter.

        Raises
        ------
        SpecificationError
            For another method, or a level outside 0 to 1.
        """
        one_of("method", method, METHODS)
        if method == "profile" and self._record.spec.kind == "lm":
            raise SpecificationError(
                "conf_int(method='profile'): the t limits of a linear model are exact; use "
                "method='wald'. Profiles are for mixed models."
            )
        estimates.check_level(level)
        if method == "profile":
            from .inference import profile

            return profile.profile(self._record, level=level).conf_int(level=level)
        if method == "bootstrap":
            return self.bootstrap(n, seed=seed, progress=False).conf_int(level=level)
        return frames.limits(self._record, tests.wald_limits(self._record, level, ddf))

    @property
    def sigma(self) -> float:
        """Residual standard deviation (of a row with weight 1)."""
        return estimates.sigma(self._record)

    @property
    def scale(self) -> float:
        """sigma^2."""
        return estimates.sigma(self._record) ** 2

    # -- criteria and counts ----------------------------------------------------------------------

    @property
    def llf(self) -> float:
        """Log-likelihood; the restricted one of a REML fit."""
        return estimates.llf(self._record)

    @property
    def aic(self) -> float:
        """Akaike's criterion; counts fixed effects, theta and sigma."""
        return estimates.aic(self._record)

    @property
    def bic(self) -> float:
        """Schwarz's criterion, with log(nobs)."""
        return estimates.bic(self._record)

    @property
    def deviance(self) -> float:
        """Residual sum of squares of `lm`; -2 llf of `lmer` by ML (REML: UnavailableError)."""
        return estimates.deviance(self._record)

    @property
    def nobs(self) -> int:
        """Number of rows used."""
        return int(self._record.rows.nobs)

    @property
    def df_resid(self) -> int:
        """n - rank(X) for `lm`, n - number of parameters for `lmer`."""
        return estimates.df_resid(self._record)

    @property
    def df_model(self) -> int:
        """rank(X), less one for the intercept."""
        return estimates.df_model(self._record)

    @property
    def formula(self) -> str:
        """The formula as typed."""
        return str(self._record.spec.formula)

    # -- the rows ---------------------------------------------------------------------------------

    @property
    def fittedvalues(self) -> pd.Series[float]:
        """Fitted values of the used rows, indexed like the data; random effects included."""
        return frames.by_row(self._record, predictions.fitted(self._record), "fittedvalues")

    def resid(self, kind: str = "response") -> pd.Series[float]:
        """Residuals of the used rows.

        Parameters
        ----------
        kind : {"response", "pearson", "deviance", "working", "scaled"}
            response and working: y - mu; pearson and deviance: sqrt(w) (y - mu); scaled:
            pearson / sigma.

        Returns
        -------
        Series, (nobs,)
            Indexed like the data.

        Raises
        ------
        SpecificationError
            For another kind.
        """
        return frames.by_row(self._record, diagnostics.residuals(self._record, kind), "resid")

    def hatvalues(self) -> pd.Series[float]:
        """Leverages of the used rows; of mixed models with theta held fixed."""
        return frames.by_row(self._record, diagnostics.hatvalues(self._record), "hatvalues")

    def cooks_distance(self) -> pd.Series[float]:
        """Cook's distances of the used rows."""
        values = diagnostics.cooks_distance(self._record)
        return frames.by_row(self._record, values, "cooks_distance")

    def rstudent(self) -> pd.Series[float]:
        """Studentised residuals of the used rows; `lm`'s sigma leaves the row out."""
        return frames.by_row(self._record, diagnostics.rstudent(self._record), "rstudent")

    def predict(
        self,
        data: Any = None,
        *,
        random: str | None = "all",
        kind: str = "response",
        new_levels: str = "error",
        se: bool = False,
        interval: str | None = None,
        level: float = 0.95,
    ) -> FloatArray | Any:
        """Predictions in the rows of `data`.

        Parameters
        ----------
        data : table, optional
            Any table that a fit reads, without the response; default: the used rows.
        random : "all", "none" or a formula of bars, default "all"
            Random effects that take part: ``"~ (1 | Subject)"``, a subset of the fitted ones.
        kind : "response" or "link"
            The same for these models.
        new_levels : "error" or "population"
            For levels that the fit has not seen: refuse, or take their random effects as zero.
        se : bool
            Standard errors too, theta taken as known.
        interval : None, "confidence" or "prediction"
            Limits of the mean, or of a new observation (sigma^2 / w more).
        level : float

        Returns
        -------
        (n,) array, or with `se` or `interval` a frame ``fit, se, lower, upper`` in the library of
        the data. A missing predictor gives NaN, and so does a missing group unless
        ``random="none"``.

        Raises
        ------
        FormulaError
            For a column that is not there, and if `random` names what was not fitted.
        DataError
            For new levels, infinite values, and where the fit took weights or offset from an array.
        SpecificationError
            For options out of range.

        Notes
        -----
        Limits use t quantiles for `lm`, and for `lmer` with ``random="none"`` (Satterthwaite's
        degrees of freedom, a row), normal ones where random effects take part.
        """
        one_of("kind", kind, ("response", "link"))
        found = predictions.predict(
            self._record,
            data,
            random=random,
            new_levels=new_levels,
            se=se,
            interval=interval,
            level=level,
        )
        return frames.prediction(self._record, found, data)

    def simulate(self, n: int = 1, *, seed: Any = None, random: str = "new") -> FloatArray:
        """New responses from the fitted model.

        Parameters
        ----------
        n : int
        seed : None, int, SeedSequence or numpy Generator
        random : "new" or "fitted"
            Draw random effects anew, or keep the predicted ones.

        Returns
        -------
        (nobs, n) float64

        Raises
        ------
        SpecificationError
            For options out of range.
        """
        return simulation.simulate(self._record, n, seed=seed, random=random)

    # -- tables -----------------------------------------------------------------------------------

    def summary(self) -> Summary:
        """Prints like R's summary; ``as_text(), as_html(), as_latex()``."""
        from .report import summary

        return summary.build(self._record)

    def tidy(
        self,
        conf_int: bool = False,
        *,
        effects: str | list[str] = "fixed",
        level: float = 0.95,
        ddf: str = "satterthwaite",
    ) -> Any:
        """A row a parameter, in the library of the data.

        Columns ``effect, group, term, estimate, std_error, statistic, df, p_value``.

        Parameters
        ----------
        conf_int : bool
            Also ``conf_low, conf_high``: estimate plus and minus standard errors by Student's t
            with the `df` of the row, in keeping with its p-value (normal for conditional modes).
        effects : "fixed", "ran_pars", "ran_vals" or a list of these
            Fixed effects; of mixed models also standard deviations and correlations, and
            conditional modes (with a column ``level``).
        level : float
        ddf : "satterthwaite" or "kenward-roger"
            Degrees of freedom of `lmer`; the second also adjusts the standard errors.

        Raises
        ------
        SpecificationError
            For unknown effects, random effects of `lm`, a level outside 0 to 1, another method,
            and for Kenward-Roger with a fit by maximum likelihood.
        """
        from .report import tidy

        return tidy.tidy(self._record, conf_int=conf_int, effects=effects, level=level, ddf=ddf)

    def glance(self) -> Any:
        """One row of criteria, in the library of the data: AIC, BIC, AICc, RMSE and others."""
        from .report import tidy

        return tidy.glance(self._record)

    def augment(self) -> Any:
        """The used rows of the data with fitted values and diagnostics, in the library of the data.

        Adds ``fitted, resid, hat, cooksd, std_resid``; for `lmer` also ``fitted_population``.

        Raises
        ------
        UnavailableError
            If the model was unpickled, which leaves the data behind.
        """
        from .report import tidy

        return tidy.augment(self._record)


def _restore(kind: type[Model], record: Any, labels: Any) -> Model:
    return kind(frames.restored(record, labels))
