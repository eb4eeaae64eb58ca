"""Leverages and residuals against their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp


def frame(n: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    g = np.arange(n) % 5
    x = rng.standard_normal(n)
    b = 2 * rng.standard_normal((5, 2))
    y = 1 + x + b[g, 0] + b[g, 1] * x + 2 * np.array([-1, 0, 1])[np.arange(n) % 3]
    y = y + 0.5 * rng.standard_normal(n)
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": np.arange(n) % 3, "w": rng.random(n) + 0.5})


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + (x | g)", "y ~ x + (1 | g) + (1 | h)"])
def test_leverage_is_the_derivative_of_a_fitted_value(formula: str) -> None:
    data = frame()
    if "|" in formula:
        objective = pp.objective(formula, data, weights="w")
        fit: Any = pp.lmer(formula, data, weights="w")
        theta = fit.optimum.theta

        def fitted(y: Any) -> Any:
            at = pp.objective(formula, data.assign(y=y), weights="w").solve(theta)
            total = fit.model_matrix("fixed").to_numpy() @ at.beta
            b = np.concatenate([np.ravel(part) for part in at.b])
            return total + fit.model_matrix("random") @ b

        del objective
    else:
        fit = pp.lm(formula, data, weights="w")

        def fitted(y: Any) -> Any:
            return pp.lm(formula, data.assign(y=y), weights="w").fittedvalues.to_numpy()

    y = data["y"].to_numpy()
    base = fitted(y)
    for i in (0, 13, 29):
        moved = y.copy()
        moved[i] += 1  # linear in y, so any step is exact
        slope = (fitted(moved) - base)[i]
        assert fit.hatvalues().iloc[i] == pytest.approx(slope, rel=1e-9)


def test_kinds_of_residuals() -> None:
    data = frame()
    for fit in (pp.lm("y ~ x", data, weights="w"), pp.lmer("y ~ x + (1 | g)", data, weights="w")):
        response = data["y"] - fit.fittedvalues
        np.testing.assert_allclose(fit.resid(), response, rtol=1e-12)
        np.testing.assert_allclose(fit.resid("working"), response, rtol=1e-12)
        pearson = np.sqrt(data["w"]) * response
        np.testing.assert_allclose(fit.resid("pearson"), pearson, rtol=1e-12)
        np.testing.assert_allclose(fit.resid("deviance"), pearson, rtol=1e-12)
        np.testing.assert_allclose(fit.resid("scaled"), pearson / fit.sigma, rtol=1e-12)
        with pytest.raises(pp.SpecificationError, match="kind='std'.*scaled"):
            fit.resid("std")


def test_hc3_is_the_sandwich_with_deleted_residuals() -> None:
    data = frame()
    fit = pp.lm("y ~ x", data, weights="w")
    X, w = fit.model_matrix().to_numpy(), data["w"].to_numpy()
    bread = np.linalg.inv(X.T @ (w[:, None] * X))
    h = w * np.einsum("ij,jk,ik->i", X, bread, X)
    U = X * (w * fit.resid().to_numpy() / (1 - h))[:, None]
    np.testing.assert_allclose(fit.cov_params("HC3"), bread @ U.T @ U @ bread, rtol=1e-10)
    np.testing.assert_allclose(fit.cov_params(kind="classical"), bread * fit.scale, rtol=1e-10)
    with pytest.raises(pp.SpecificationError, match="'HC1'.*'classical', 'HC3' or 'CR2'"):
        fit.cov_params("HC1")
    for call in ({"kind": "CR2"}, {"groups": "g"}):
        with pytest.raises(pp.SpecificationError, match="`groups` goes with kind='CR2'"):
            fit.cov_params(**call)


def test_a_row_with_a_coefficient_of_its_own() -> None:
    data = frame(10).assign(only=[1.0] + [0.0] * 9)
    fit = pp.lm("y ~ x + only", data)
    assert fit.hatvalues().iloc[0] == pytest.approx(1.0)
    with pytest.raises(pp.SpecificationError, match="row 0 has leverage 1"):
        fit.cov_params("HC3")


def test_values_are_indexed_like_the_used_rows() -> None:
    data = frame().set_axis([f"r{i}" for i in range(30)])
    data.loc["r3", "x"] = np.nan
    with pytest.warns(pp.MissingDataWarning, match="1 of 30 rows"):
        fit = pp.lmer("y ~ x + (1 | g)", data)
    used = [f"r{i}" for i in range(30) if i != 3]
    for values in (fit.fittedvalues, fit.resid(), fit.hatvalues(), fit.cooks_distance()):
        assert list(values.index) == used
    assert list(fit.model_matrix().index) == used
