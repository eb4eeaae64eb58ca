"""Fitted models as users meet them: every attribute delegates to a function on the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import coefficients as tests
from . import diagnostics, effects, estimates, frames, lmm, ols, options, varcorr
from ._errors import SpecificationError, one_of
from ._model import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd
    import scipy.sparse

    from .inference.profile import Profile
    from .lmm import LmmRecord
    from .ols import OlsRecord
    from .optimize import Optimum
    from .quality import ICC

__all__ = ["LinearMixedModel", "LinearModel"]


class LinearModel(Model):
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

    def cov_params(self, kind: str = "classical", *, groups: Any = None) -> pd.DataFrame:
        """Covariance of the coefficients that were kept.

        Parameters
        ----------
        kind : "classical", "HC3" or "CR2"
            sigma^2 (X'WX)^-1; the sandwich that holds under unequal variances; the one that holds
            under any dependence within `groups` (Bell & McCaffrey 2002).
        groups : str or (n,) array
            For CR2: a column of the data, or a value a row.

        Returns
        -------
        DataFrame, (r, r)

        Raises
        ------
        SpecificationError
            For another kind, for HC3 where a row has a leverage of one, and for CR2 without
            `groups`.
        """
        one_of("kind", kind, ("classical", "HC3", "CR2"))
        if (groups is None) != (kind != "CR2"):
            raise SpecificationError(
                f"cov_params(kind={kind!r}): `groups` goes with kind='CR2', and only with it; give "
                "a column of the data or a value a row."
            )
        if kind == "CR2":
            from . import robust

            return frames.square(self._record, robust.cr2(self._record, groups))
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
            If `y` has another length or a value that is not finite, or is a Series with other
            labels than the used rows.
        """
        frames.check_labels(self._record, y)
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


class LinearMixedModel(Model):
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

    def cov_params(self, *, adjust: str | None = None) -> pd.DataFrame:
        """Covariance of the fixed effects that were kept.

        Parameters
        ----------
        adjust : None or "kenward-roger"
            None takes theta as known; Kenward and Roger's adds what its estimation costs.

        Returns
        -------
        DataFrame, (r, r)

        Raises
        ------
        SpecificationError
            For another adjustment, and for Kenward-Roger with a fit by maximum likelihood.
        """
        one_of("adjust", adjust, (None, "kenward-roger"))
        return frames.square(self._record, tests.covariance(self._record, adjust))

    # -- inference --------------------------------------------------------------------------------

    def icc(self) -> ICC:
        """Intraclass correlation: the random effects' share of the variance.

        Returns
        -------
        ICC
            ``adjusted``: of random and residual variance; ``unadjusted``: of all variance, that of
            the fixed part too (Nakagawa, Johnson & Schielzeth 2017).
        """
        from . import quality

        return quality.icc(self._record)

    def ranova(self) -> pd.DataFrame:
        """What each random-effects term is worth: likelihood-ratio tests of models without it.

        A term with slopes is reduced to its intercept first. REML fits stay REML.

        Returns
        -------
        DataFrame
            ``npar, llf, aic, lrt, df, p_value, p_value_mixture``; a variance of zero lies on the
            boundary, where the chi-square p-value is too large and the mixture's is right.
        """
        from .inference import comparison

        return comparison.ranova(self._record)

    def profile(
        self, *, parameters: str | Sequence[str] | None = None, level: float = 0.99
    ) -> Profile:
        """Likelihood profiles: the signed root of the deviance along each parameter.

        REML fits are profiled by maximum likelihood.

        Parameters
        ----------
        parameters : str or list of str, optional
            Default all: the fixed effects, ``sigma``, ``sd(...)``, ``cor(...)``.
        level : float
            The largest level of confidence that the profiles must serve.

        Returns
        -------
        Profile
            ``conf_int()``, ``to_frame()``, ``plot.zeta()``, ``plot.density()``.

        Raises
        ------
        SpecificationError
            For unknown parameters, or a level outside 0 to 1.
        """
        from .inference import profile

        return profile.profile(self._record, parameters=parameters, level=level)

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
            If `y` has another length or a value that is not finite, or is a Series with other
            labels than the used rows.
        """
        frames.check_labels(self._record, y)
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
