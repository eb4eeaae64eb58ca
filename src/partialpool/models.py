"""Fitted models as users meet them: every attribute delegates to a function on the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self

from . import diagnostics, effects, estimates, frames, lmm, ols, options, varcorr
from . import predict as predictions
from . import simulate as simulation
from ._errors import one_of

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import scipy.sparse

    from ._types import FloatArray
    from .lmm import LmmRecord
    from .ols import OlsRecord
    from .optimize import Optimum
    from .report.summary import Summary

__all__ = ["LinearMixedModel", "LinearModel"]


class _Model:
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

    def conf_int(self, level: float = 0.95, *, method: str = "wald") -> pd.DataFrame:
        """Confidence limits of the fixed effects.

        Parameters
        ----------
        level : float, default 0.95
        method : "wald"
            Estimate plus and minus standard errors: t quantiles for `lm`, normal ones for `lmer`.

        Returns
        -------
        DataFrame
            ``lower, upper``, a row a coefficient.

        Raises
        ------
        SpecificationError
            For another method, or a level outside 0 to 1.
        """
        one_of("method", method, ("wald",))
        return frames.limits(self._record, estimates.conf_int(self._record, level))

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
        Limits use t quantiles for `lm` and normal ones for `lmer`.
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
        self, conf_int: bool = False, *, effects: str | list[str] = "fixed", level: float = 0.95
    ) -> Any:
        """A row a parameter, in the library of the data.

        Columns ``effect, group, term, estimate, std_error, statistic``; for `lm` also
        ``df, p_value``.

        Parameters
        ----------
        conf_int : bool
            Also ``conf_low, conf_high``: Wald limits, t for `lm`, normal for `lmer`.
        effects : "fixed", "ran_pars", "ran_vals" or a list of these
            Fixed effects; of mixed models also standard deviations and correlations, and
            conditional modes (with a column ``level``).
        level : float

        Raises
        ------
        SpecificationError
            For unknown effects, random effects of `lm`, or a level outside 0 to 1.
        """
        from .report import tidy

        return tidy.tidy(self._record, conf_int=conf_int, effects=effects, level=level)

    def glance(self) -> Any:
        """One row of criteria, in the library of the data."""
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


def _restore(kind: type[_Model], record: Any, labels: Any) -> _Model:
    return kind(frames.restored(record, labels))


class LinearModel(_Model):
    """A linear model fitted by least squares; made by `lm`.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.lm("hwy ~ displ + year", pp.datasets.load("mpg"))
    >>> fit
    LinearModel('hwy ~ displ + year', 234 rows, sigma=3.78)
    >>> round(fit.rsquared, 4)
    0.6004
    """

    __slots__ = ()
    _record: OlsRecord

    @property
    def pvalues(self) -> pd.Series[float]:
        """Two-sided p-values by Student's t."""
        return frames.by_term(self._record, estimates.t_p_values(self._record), "pvalues")

    @property
    def df(self) -> pd.Series[float]:
        """Degrees of freedom of each coefficient: df_resid."""
        return frames.by_term(self._record, estimates.residual_df(self._record), "df")

    def cov_params(self, kind: str = "classical") -> pd.DataFrame:
        """Covariance of the coefficients that were kept.

        Parameters
        ----------
        kind : "classical" or "HC3"
            sigma^2 (X'WX)^-1, or the sandwich that holds under unequal variances.

        Returns
        -------
        DataFrame, (r, r)

        Raises
        ------
        SpecificationError
            For another kind, and for HC3 where a row has a leverage of one.
        """
        return frames.square(self._record, diagnostics.sandwich(self._record, kind))

    @property
    def rsquared(self) -> float:
        """R^2, about the mean if the formula has an intercept."""
        return estimates.r_squared(self._record)[0]

    @property
    def rsquared_adj(self) -> float:
        """R^2 adjusted for the number of coefficients."""
        return estimates.r_squared(self._record)[1]

    @property
    def fvalue(self) -> float:
        """F statistic against the intercept alone."""
        return estimates.f_statistic(self._record)[0]

    @property
    def f_pvalue(self) -> float:
        """Its p-value."""
        return estimates.f_statistic(self._record)[1]

    def refit(self, y: npt.ArrayLike) -> LinearModel:
        """The same model for another response.

        Parameters
        ----------
        y : (nobs,) array_like
            One finite value a used row.

        Raises
        ------
        DataError
            If `y` has another length or a value that is not finite.
        """
        return LinearModel(ols.refit(self._record, y))

    def update(self, formula: str | None = None, **changes: Any) -> LinearModel:
        """Fit again with another formula or other options.

        Parameters
        ----------
        formula : str, optional
            ``.`` stands for the old response on the left and the old terms on the right:
            ``". ~ . + year"``.
        **changes
            Arguments of `lm`, `data` too.

        Raises
        ------
        SpecificationError
            For an unknown argument, and where the data, or an array of weights, are gone.
        """
        return LinearModel(ols.fit(**options.changed(self._record, formula, changes)))

    def model_matrix(self, part: str = "fixed") -> pd.DataFrame:
        """The columns of X that were kept, (nobs, r), in the used rows."""
        one_of("part", part, ("fixed",))
        return frames.fixed_matrix(self._record)


class LinearMixedModel(_Model):
    """A linear mixed model fitted by REML or maximum likelihood; made by `lmer`.

    Examples
    --------
    >>> import partialpool as pp
    >>> sleep = pp.datasets.load("sleepstudy")
    >>> fit = pp.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> fit
    LinearMixedModel('Reaction ~ Days + (Days | Subject)', 180 rows, REML, sigma=25.59)
    >>> fit.params.round(3)
    Intercept    251.405
    Days          10.467
    Name: params, dtype: float64
    """

    __slots__ = ()
    _record: LmmRecord

    def cov_params(self) -> pd.DataFrame:
        """Covariance of the fixed effects that were kept, theta taken as known."""
        return frames.square(self._record, estimates.covariance(self._record))

    @property
    def theta(self) -> pd.Series[float]:
        """Relative covariance parameters, named as in lme4."""
        return frames.theta(self._record)

    @property
    def varcorr(self) -> varcorr.VarCorr:
        """Variances and correlations of the random effects; prints like R's."""
        return varcorr.of(self._record)

    def ranef(self, *, cond_var: bool = False) -> effects.RandomEffects:
        """Predicted random effects (conditional modes).

        Parameters
        ----------
        cond_var : bool
            Also their conditional covariances given theta, in ``.cond_var``.

        Returns
        -------
        RandomEffects
            dict-like: group to DataFrame, a row a level, a column a random effect.
        """
        return effects.ranef(self._record, cond_var=cond_var)

    def coef(self) -> dict[str, pd.DataFrame]:
        """Fixed plus random effects: group to DataFrame, a row a level."""
        return effects.coef(self._record)

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        return effects.ngroups(self._record)

    @property
    def reml(self) -> bool:
        """True if fitted by REML."""
        return bool(self._record.spec.reml)

    @property
    def reml_criterion(self) -> float:
        """-2 restricted log-likelihood (ML fits: UnavailableError)."""
        return estimates.reml_criterion(self._record)

    @property
    def objective(self) -> float:
        """What was minimised: the REML criterion, or the deviance of an ML fit."""
        return float(self._record.solution.objective)

    @property
    def optimum(self) -> Optimum:
        """How the optimiser ended: gradient, curvature, certificate, log."""
        return self._record.optimum

    @property
    def is_singular(self) -> bool:
        """True if a relative factor has a diagonal element below 1e-4 (lme4's rule)."""
        return estimates.is_singular(self._record)

    @property
    def singular_terms(self) -> tuple[str, ...]:
        """The bars whose covariance is singular."""
        return estimates.singular_terms(self._record)

    def refit(self, y: npt.ArrayLike) -> LinearMixedModel:
        """The same model for another response; starts at this theta.

        Parameters
        ----------
        y : (nobs,) array_like
            One finite value a used row.

        Raises
        ------
        DataError
            If `y` has another length or a value that is not finite.
        """
        return LinearMixedModel(lmm.refit(self._record, y))

    def refit_ml(self) -> LinearMixedModel:
        """The same model by maximum likelihood."""
        return LinearMixedModel(lmm.refit_ml(self._record))

    def update(self, formula: str | None = None, **changes: Any) -> LinearMixedModel:
        """Fit again with another formula or other options.

        Parameters
        ----------
        formula : str, optional
            ``.`` stands for the old response on the left and the old terms on the right:
            ``". ~ . + (1 | manufacturer)"``.
        **changes
            Arguments of `lmer`, `data` too.

        Raises
        ------
        SpecificationError
            For an unknown argument, and where the data, or an array of weights, are gone.
        """
        return LinearMixedModel(lmm.fit(**options.changed(self._record, formula, changes)))

    def model_matrix(self, part: str = "fixed") -> pd.DataFrame | scipy.sparse.csr_array:
        """A design matrix in the used rows.

        Parameters
        ----------
        part : "fixed", "random" or the name of a group
            Random: sparse; for each term, for each level, its columns.

        Returns
        -------
        DataFrame (nobs, p) or scipy.sparse.csr_array (nobs, q)

        Raises
        ------
        SpecificationError
            For another part.
        """
        return effects.model_matrix(self._record, part)
