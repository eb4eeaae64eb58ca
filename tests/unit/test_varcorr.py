"""Limits and principal components of the random effects' covariance."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp


@pytest.fixture(scope="module")
def fit() -> Any:
    return pp.lmer("Reaction ~ Days + (Days | Subject)", pp.datasets.load("sleepstudy"))


def test_limits_are_those_of_the_fit(fit: Any) -> None:
    names = ["sigma", "sd(Intercept | Subject)", "sd(Days | Subject)"]
    names.append("cor(Intercept, Days | Subject)")
    for method, options in (("profile", {}), ("bootstrap", {"n": 200, "seed": 1})):
        found = fit.varcorr.conf_int(0.9, method=method, **options)
        assert list(found.index) == names
        all_limits = fit.conf_int(0.9, method=method, **options)
        pd.testing.assert_frame_equal(found, all_limits.loc[names], rtol=1e-8)


def test_limits_need_the_fit(fit: Any) -> None:
    again = pickle.loads(pickle.dumps(fit.varcorr))
    assert str(again) == str(fit.varcorr)
    with pytest.raises(pp.UnavailableError, match="fit.varcorr"):
        again.conf_int()
    with pytest.raises(pp.SpecificationError, match="method='wald'"):
        fit.varcorr.conf_int(method="wald")


def test_principal_components(fit: Any) -> None:
    found = fit.varcorr.pca()["(Days | Subject)"]
    np.testing.assert_allclose(found["relative"], [0.966868, 0.230880], rtol=1e-4)  # lme4's rePCA
    loadings = found[["Intercept", "Days"]].to_numpy()
    np.testing.assert_allclose(loadings @ loadings.T, np.eye(2), atol=1e-12)
    rebuilt = loadings.T @ np.diag(found["std_dev"] ** 2) @ loadings
    np.testing.assert_allclose(rebuilt, fit.varcorr["Subject"], rtol=1e-10)
    assert found["share"].sum() == pytest.approx(1)


def test_a_singular_term_has_a_component_of_zero() -> None:
    data = pp.datasets.load("Dyestuff2")
    with pytest.warns(pp.SingularFitWarning):
        fit = pp.lmer("Yield ~ 1 + (1 | Batch)", data)
    found = fit.varcorr.pca()["(1 | Batch)"]
    assert found["std_dev"].iloc[0] == 0
    assert np.isnan(found["share"].iloc[0])
