"""The functions that fit: formula and data to a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import halfway, lmm, ols
from .models import LinearMixedModel, LinearModel

if TYPE_CHECKING:
    from .control import Control

__all__ = ["lm", "lmer", "objective"]


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
