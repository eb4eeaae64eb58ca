"""The functions that fit: formula and data to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import halfway, lmm, ols
from ._errors import SpecificationError
from .models import LinearMixedModel, LinearModel

if TYPE_CHECKING:
    import pandas as pd

    from .comparing import Comparison
    from .control import Control

__all__ = ["anova", "compare", "components", "lm", "lmer", "objective"]


def lm(
    formula: str,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: str = "drop",
) -> LinearModel:
    """Fit a linear model by least squares.

    Parameters
    ----------
    formula : str
        R's language: ``"hwy ~ displ * drv + log(cty)"``.
    data : table
        pandas, polars, pyarrow, a dict of arrays, a path to ``.csv`` or ``.parquet``, ...
    weights : str or (n,) array, optional
        A column, an expression or one value a row of `data`: the residual variance is sigma^2 / w.
    offset : str or (n,) array, optional
        Added to the linear predictor with coefficient one.
    contrasts : mapping of str to str or matrix, optional
        ``{"drv": "sum"}``: "treatment" (default), "sum", "helmert", "poly" or a matrix.
    missing : "drop" or "raise"
        Incomplete rows are left out with a warning that counts them, or refused.

    Returns
    -------
    LinearModel

    Raises
    ------
    FormulaError
        If the formula cannot be read, or has a bar (use `lmer`).
    DataError
        If the data cannot be used as they are.
    SpecificationError
        For options out of range, and if the rank of X is not below the number of rows.

    Notes
    -----
    Householder QR of the rows in blocks: 2 n p^2 flops, memory for one block. Columns that repeat
    earlier ones are dropped by R's rule, with a warning; their coefficients are NaN.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.lm("hwy ~ displ + year", pp.datasets.load("mpg"))
    >>> fit.params.round(4)
    Intercept   -276.1544
    displ         -3.6110
    year           0.1558
    Name: params, dtype: float64
    """
    return LinearModel(
        ols.fit(
            formula,
            data,
            weights=weights,
            offset=offset,
            contrasts=contrasts,
            missing=missing,
        )
    )


def lmer(
    formula: str,
    data: Any,
    *,
    reml: bool = True,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: str = "drop",
    control: Control | None = None,
) -> LinearMixedModel:
    """Fit a linear mixed model by REML or maximum likelihood.

    Parameters
    ----------
    formula : str
        lme4's language: ``"Reaction ~ Days + (Days | Subject)"``.
    data : table
        pandas, polars, pyarrow, a dict of arrays, a path to ``.csv`` or ``.parquet``, ...
    reml : bool, default True
        Restricted maximum likelihood, or maximum likelihood.
    weights : str or (n,) array, optional
        A column, an expression or one value a row of `data`: the residual variance is sigma^2 / w.
    offset : str or (n,) array, optional
        Added to the linear predictor with coefficient one.
    contrasts : mapping of str to str or matrix, optional
        ``{"drv": "sum"}``: "treatment" (default), "sum", "helmert", "poly" or a matrix.
    missing : "drop" or "raise"
        Incomplete rows are left out with a warning that counts them, or refused.
    control : Control, optional
        How the optimum is computed.

    Returns
    -------
    LinearMixedModel

    Raises
    ------
    FormulaError
        If the formula cannot be read, or has no bar (use `lm`).
    DataError
        If the data cannot be used as they are.
    SpecificationError
        For options out of range, and for models that the data cannot identify.

    Warns
    -----
    SingularFitWarning, ConvergenceWarning, MissingDataWarning, RankDeficientWarning

    Examples
    --------
    >>> import partialpool as pp
    >>> sleep = pp.datasets.load("sleepstudy")
    >>> fit = pp.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> round(fit.reml_criterion, 3)
    1743.628
    """
    return LinearMixedModel(
        lmm.fit(
            formula,
            data,
            reml=reml,
            weights=weights,
            offset=offset,
            contrasts=contrasts,
            missing=missing,
            control=control,
        )
    )


def objective(
    formula: str,
    data: Any,
    *,
    reml: bool = True,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: str = "drop",
    control: Control | None = None,
) -> halfway.Objective:
    """The fit of `lmer` stopped half-way: its objective as a function of theta.

    Parameters
    ----------
    formula, data, reml, weights, offset, contrasts, missing, control
        As for `lmer`.

    Returns
    -------
    Objective
        ``theta0, names, value(theta), gradient(theta), hessian(theta), solve(theta)``.

    Raises
    ------
    FormulaError, DataError, SpecificationError
        As `lmer`.

    Examples
    --------
    >>> import partialpool as pp
    >>> sleep = pp.datasets.load("sleepstudy")
    >>> d = pp.objective("Reaction ~ Days + (Days | Subject)", sleep)
    >>> round(d.value([1, 0, 1]), 6)
    1773.680331
    """
    return halfway.objective(
        formula,
        data,
        reml=reml,
        weights=weights,
        offset=offset,
        contrasts=contrasts,
        missing=missing,
        control=control,
    )


def anova(
    *models: LinearModel | LinearMixedModel,
    names: Sequence[str] | None = None,
    test: str = "chisq",
    n: int = 1000,
    seed: Any = None,
    n_jobs: int = 1,
    progress: bool = True,
    refit: bool = True,
) -> pd.DataFrame:
    """Compare two or more models of the same rows by likelihood-ratio tests.

    Fits by REML are refitted by maximum likelihood first.

    Parameters
    ----------
    *models : LinearModel or LinearMixedModel
        In any order; the table has the one with the fewest parameters first.
    names : sequence of str, optional
        A name a model; default ``m0, m1, ...`` in the order given.
    test : "chisq" or "bootstrap"
        The bootstrap simulates under the smaller of each pair and refits both.
    n, seed, n_jobs, progress
        Of the bootstrap.
    refit : bool
        Refit REML fits by maximum likelihood. Without, mixed models with the same fixed part are
        compared by their REML criteria.

    Returns
    -------
    DataFrame
        ``npar, aic, bic, llf, deviance, chisq, df, p_value``, a row a model; prints with notes of
        what was done. The bootstrap adds ``p_value_bootstrap, replicates, failures``.

    Raises
    ------
    SpecificationError
        For fewer than two models, and for options out of range.
    DataError
        For models of other rows, responses or weights.

    Examples
    --------
    >>> import partialpool as pp
    >>> sleep = pp.datasets.load("sleepstudy")
    >>> m0 = pp.lmer("Reaction ~ Days + (1 | Subject)", sleep, reml=False)
    >>> m1 = pp.lmer("Reaction ~ Days + (Days | Subject)", sleep, reml=False)
    >>> pp.anova(m0, m1)[["npar", "chisq", "df"]].round(3)
        npar   chisq   df
    m0     4     NaN  NaN
    m1     6  42.139  2.0
    """
    from .inference import comparison

    return comparison.compare_models(
        [_record_of(m, "anova") for m in models],
        names,
        test=test,
        n=n,
        seed=seed,
        n_jobs=n_jobs,
        progress=progress,
        refit=refit,
    )


def compare(first: Any, second: Any, **options: Any) -> Comparison:
    """Why `lm` and `lmer` differ: in numbers, words and pictures.

    Parameters
    ----------
    first, second : LinearModel and LinearMixedModel, or str and table
        A linear and a mixed model with the same fixed part on the same rows, or a formula with a
        bar and its data, from which both are fitted.
    **options
        With a formula: arguments of `lmer`.

    Returns
    -------
    Comparison
        Prints the answer; ``table, path, decomposition, contextual, same_when, plot``.

    Raises
    ------
    SpecificationError
        For models of other rows, responses or fixed parts.

    Examples
    --------
    >>> import partialpool as pp
    >>> found = pp.compare("hwy ~ displ + year + (1 | class)", pp.datasets.load("mpg"))
    >>> found.table[["complete_pooling", "partial_pooling", "no_pooling"]].round(3)
               complete_pooling  partial_pooling  no_pooling
    Intercept          -276.154         -214.290         NaN
    displ                -3.611           -2.391      -2.403
    year                  0.156            0.123       0.123
    """
    from . import comparing

    return comparing.compare(first, second, **options)


def components(model: LinearModel | LinearMixedModel, rows: Any) -> pd.DataFrame:
    """How the parts of a fit add up to the response in given rows.

    Parameters
    ----------
    model : LinearModel or LinearMixedModel
    rows : int, slice, list of int, labels or boolean mask
        Which of the used rows.

    Returns
    -------
    DataFrame
        A row a row: the intercept, each coefficient times its column, the offset, each group's
        effect, the residual, and the response, their sum.

    Raises
    ------
    SpecificationError
        For rows that the fit did not use.

    Examples
    --------
    >>> import partialpool as pp
    >>> mixed = pp.lmer("hwy ~ displ + (1 | class)", pp.datasets.load("mpg"))
    >>> pp.components(mixed, [0]).round(2).T
                           0
    Intercept          32.24
    displ              -4.12
    Intercept | class   1.36
    residual           -0.49
    hwy                29.00
    """
    from .pooling import components as parts

    return parts.components(_record_of(model, "components"), rows)


def _record_of(model: Any, function: str) -> Any:
    if not isinstance(model, LinearModel | LinearMixedModel):
        raise SpecificationError(
            f"{function}(...) takes fitted models; found {type(model).__name__}. Fit one with "
            "pp.lm or pp.lmer."
        )
    return model._record
