"""What fitted models say beyond their estimates: tests, intervals, means, checks, pictures.

Every method delegates to a free function on the record; its module is imported when it is asked
for, so that a fit and its summary stay quick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .interop.maketables import Tabled

if TYPE_CHECKING:
    import pandas as pd

    from .check import Check
    from .inference.bootstrap import Bootstrap
    from .inference.means import MarginalMeans
    from .influence import Influence
    from .plot.fitted import FitPlots
    from .quality import R2

__all__ = ["Inference"]


class Inference(Tabled):
    """The part of a model that needs more than its estimates."""

    __slots__ = ()
    _record: Any

    # -- tests ------------------------------------------------------------------------------------

    def anova(self, *, type: int = 3, ddf: str = "satterthwaite") -> pd.DataFrame:
        """F tests of the terms of the fixed part.

        Parameters
        ----------
        type : 1, 2 or 3
            1: each term after those before it; 2: after all that do not contain it; 3: after all
            others, whatever the coding of the factors.
        ddf : "satterthwaite" or "kenward-roger"
            Denominator degrees of freedom of `lmer`; those of `lm` are exact.

        Returns
        -------
        DataFrame
            ``sum_sq, mean_sq, num_df, den_df, F, p_value``, a row a term.

        Raises
        ------
        SpecificationError
            For another type or method, and for Kenward-Roger with a fit by maximum likelihood.
        """
        from .inference import terms

        return terms.anova(self._record, type=type, ddf=ddf)

    def contrast(
        self,
        L: Any,
        *,
        rhs: Any = 0.0,
        joint: bool = True,
        ddf: str = "satterthwaite",
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Test linear combinations of the fixed effects, L beta = rhs.

        Parameters
        ----------
        L : (q, p) or (p,) array, name, dict, or list of names or dicts
            Weights of the coefficients: of all of them in the order of ``params``, or by name,
            ``{"drv[T.f]": 1, "drv[T.r]": -1}``. A name alone stands for that coefficient.
        rhs : float or (q,) array
        joint : bool
            One F test of all rows, or a t test a row.
        ddf : "satterthwaite" or "kenward-roger"
        level : float
            Of the limits where ``joint=False``.

        Returns
        -------
        DataFrame
            Jointly ``num_df, den_df, F, p_value``; otherwise ``estimate, std_error, df, t_ratio,
            p_value, conf_low, conf_high``, a row a combination.

        Raises
        ------
        SpecificationError
            For weights of another width or of unknown coefficients, and for combinations that the
            data cannot estimate because columns were dropped.
        """
        from .inference import contrasts

        return contrasts.contrast(self._record, L, rhs=rhs, joint=joint, ddf=ddf, level=level)

    def wald_test(
        self,
        L: Any,
        *,
        rhs: Any = 0.0,
        joint: bool = True,
        ddf: str = "satterthwaite",
        level: float = 0.95,
    ) -> pd.DataFrame:
        """The same as `contrast`, by the name that statsmodels gives it."""
        return self.contrast(L, rhs=rhs, joint=joint, ddf=ddf, level=level)

    def drop1(self, *, test: str = "chisq", ddf: str = "satterthwaite") -> pd.DataFrame:
        """What each term of the fixed part is worth: the model without it, on the same rows.

        Terms contained in others stay. REML fits are compared by maximum likelihood.

        Parameters
        ----------
        test : "chisq" or "F"
            Likelihood ratio, or F test of the term's coefficients.
        ddf : "satterthwaite" or "kenward-roger"
            Of the F test.

        Returns
        -------
        DataFrame
            ``npar, aic, lrt, df, p_value``; the first row, ``<none>``, is the model itself.

        Raises
        ------
        SpecificationError
            For another test.
        """
        from .inference import comparison

        return comparison.drop1(self._record, test=test, ddf=ddf)

    # -- means ------------------------------------------------------------------------------------

    def emmeans(
        self,
        specs: str | Sequence[str],
        *,
        by: str | Sequence[str] | None = None,
        at: Mapping[str, Any] | None = None,
        weights: str | Mapping[str, Any] = "equal",
        ddf: str = "satterthwaite",
        level: float = 0.95,
    ) -> MarginalMeans:
        """Estimated marginal means: predictions on a grid of factor levels, averaged.

        Covariates are held at their means, factors not named are averaged out.

        Parameters
        ----------
        specs : str or list of str
            The factors (or covariates with values in `at`) whose means are wanted.
        by : str or list of str, optional
            Factors within whose levels comparisons are made.
        at : mapping, optional
            Values of covariates, ``{"temp": [175, 225]}``, or a choice of levels.
        weights : "equal", "proportional", "outer", "cells" or mapping
            Of the levels averaged out; a mapping gives them for each factor.
        ddf : "satterthwaite" or "kenward-roger"
        level : float
            Of the confidence limits.

        Returns
        -------
        MarginalMeans
            ``to_frame()``, ``pairs()``, ``contrast()``, ``joint_tests()``; prints.

        Raises
        ------
        SpecificationError
            For names that the model does not have, and options out of range.
        """
        from .inference import means

        return means.emmeans(
            self._record, specs, by=by, at=at, weights=weights, ddf=ddf, level=level
        )

    def emtrends(
        self,
        var: str,
        specs: str | Sequence[str] | None = None,
        *,
        by: str | Sequence[str] | None = None,
        at: Mapping[str, Any] | None = None,
        weights: str | Mapping[str, Any] = "equal",
        ddf: str = "satterthwaite",
        level: float = 0.95,
    ) -> MarginalMeans:
        """Slopes of a covariate, averaged as the means of `emmeans` are.

        Parameters
        ----------
        var : str
            The covariate.
        specs, by, at, weights, ddf, level
            As in `emmeans`.

        Returns
        -------
        MarginalMeans
        """
        from .inference import trends

        return trends.emtrends(
            self._record, var, specs, by=by, at=at, weights=weights, ddf=ddf, level=level
        )

    # -- resampling -------------------------------------------------------------------------------

    def bootstrap(
        self,
        n: int,
        *,
        statistic: Callable[[Any], Any] | None = None,
        kind: str = "parametric",
        random: str = "new",
        seed: Any = None,
        n_jobs: int = 1,
        backend: str | None = None,
        progress: bool = True,
    ) -> Bootstrap:
        """Refit the model to data drawn from it, or from its residuals or groups.

        Parameters
        ----------
        n : int
            Replicates.
        statistic : callable, optional
            Of a fitted model: a number, a dict, a Series or a 1-D array. Default: the fixed
            effects, ``sigma``, ``sd(...)`` and ``cor(...)``.
        kind : "parametric", "residual", "cases" or "wild"
            Draw from the fitted model; resample random effects and residuals; resample whole
            groups; residuals times random signs.
        random : "new" or "fitted"
            Parametric: draw the random effects anew, or keep the predicted ones.
        seed : None, int, SeedSequence or numpy Generator
            Equal seeds give equal replicates, whatever `n_jobs` and `backend`.
        n_jobs : int
            Workers, as in joblib.
        backend : str, optional
            ``"loky"``, ``"threading"``, ``"dask"``: joblib's; default its own choice.
        progress : bool
            A bar on standard error.

        Returns
        -------
        Bootstrap
            ``to_frame()``, ``conf_int()``, ``failures``; prints and pickles.

        Raises
        ------
        SpecificationError
            For options out of range.
        """
        from .inference import bootstrap

        return bootstrap.bootstrap(
            self._record,
            n,
            statistic=statistic,
            kind=kind,
            random=random,
            seed=seed,
            n_jobs=n_jobs,
            backend=backend,
            progress=progress,
            model=type(self),
        )

    # -- quality ----------------------------------------------------------------------------------

    def r2(self) -> R2:
        """Shares of variance explained: ``marginal`` (fixed part) and ``conditional`` (all).

        Source: Nakagawa, Johnson & Schielzeth (2017).
        """
        from . import quality

        return quality.r2(self._record)

    def check(self) -> Check:
        """Is the fit to be trusted, and if not, what to do: convergence, singular directions,
        influential groups, collinearity, scales.

        Returns
        -------
        Check
            Prints; ``ok``, ``findings``.
        """
        from . import check

        return check.check(self._record)

    def influence(self, group: Any = None, *, progress: bool = True) -> Influence:
        """What changes when a row, or a level of a group, is left out: exact refits.

        Parameters
        ----------
        group : str or (n,) array, optional
            A grouping factor, a column of the data, or a value a row; default: row by row.
        progress : bool
            A bar on standard error where the refits take long.

        Returns
        -------
        Influence
        """
        from . import influence

        return influence.influence(self._record, group, progress=progress)

    # -- pictures ---------------------------------------------------------------------------------

    @property
    def plot(self) -> FitPlots:
        """Pictures: ``plot.residuals()``, ``plot.qq()``, ...; each returns its Axes."""
        from .plot import fitted

        return fitted.FitPlots(self._record)

    def report(self, path: Any) -> None:
        """Write one self-contained page of HTML: summary, checks, pictures of the residuals.

        Parameters
        ----------
        path : str or path-like

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        from .report import page

        page.fit(self._record, path)
