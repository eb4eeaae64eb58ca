"""Contrasts against dense generalised least squares; estimability against the row space of X."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import partialpool as pp
from partialpool import design
from partialpool.inference import degrees
from partialpool.inference.contrasts import contrast
from partialpool.inference.spans import relations
from tests.property.test_terms import holes, unbalanced

pytestmark = [
    pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning"),
    pytest.mark.filterwarnings("ignore::partialpool.RankDeficientWarning"),
]

FORMULAS = ["y ~ a + x", "y ~ a * b + x", "y ~ 0 + a + z * x", "y ~ a * b * h"]


def dense(record: Any) -> tuple[np.ndarray, np.ndarray]:
    """X of the kept columns and the covariance of y at the estimated parameters."""
    rows = record.rows
    X = design.dense(rows)[:, record.kept]
    w = np.ones(rows.nobs) if rows.weights is None else rows.weights
    if not hasattr(record, "layout"):
        return X, record.sigma**2 * np.diag(1 / w)
    V = np.diag(1 / w)
    lambdas = record.layout.lambdas(record.solution.theta)
    for term, factor in zip(rows.terms, lambdas, strict=True):
        codes = rows.groups[term.group].codes
        z = np.column_stack(
            [np.prod([np.ones(rows.nobs), *c.numeric], axis=0) for c in term.columns]
        )
        same = codes[:, None] == codes[None, :]
        V += same * (z @ factor @ factor.T @ z.T)
    return X, record.solution.sigma**2 * V


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("kind", ["lm", "lmer"])
@pytest.mark.parametrize("formula", FORMULAS)
def test_contrasts_are_those_of_dense_generalised_least_squares(
    formula: str, kind: str, weights: str | None
) -> None:
    frame = unbalanced(41)
    record = (
        pp.lm(formula, frame, weights=weights)
        if kind == "lm"
        else pp.lmer(f"{formula} + (x | g)", frame, weights=weights)
    )._record
    X, V = dense(record)
    inverse = np.linalg.inv(V)
    cov = np.linalg.inv(X.T @ inverse @ X)
    offset = 0.0 if record.rows.offset is None else record.rows.offset
    beta = cov @ X.T @ inverse @ (record.rows.y - offset)
    rng = np.random.default_rng(1)
    L, rhs = rng.normal(size=(3, X.shape[1])), rng.normal(size=3)
    each = contrast(record, L, rhs=rhs, joint=False, level=0.9)
    error = np.sqrt(np.diag(L @ cov @ L.T))
    np.testing.assert_allclose(each["estimate"], L @ beta, rtol=1e-6)
    np.testing.assert_allclose(each["std_error"], error, rtol=1e-6)
    t = (L @ beta - rhs) / error
    np.testing.assert_allclose(each["t_ratio"], t, rtol=1e-6)
    df = degrees.df(record, L)
    np.testing.assert_allclose(each["p_value"], 2 * stats.t.sf(abs(t), df), rtol=1e-5)
    half = stats.t.ppf(0.95, df) * error
    np.testing.assert_allclose(each["conf_low"], L @ beta - half, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(each["conf_high"], L @ beta + half, rtol=1e-6, atol=1e-9)
    miss = L @ beta - rhs
    F = miss @ np.linalg.solve(L @ cov @ L.T, miss) / 3
    joint = contrast(record, L, rhs=rhs).loc["joint"]
    assert joint["F"] == pytest.approx(F, rel=1e-6)
    assert joint["p_value"] == pytest.approx(stats.f.sf(F, 3, joint["den_df"]), rel=1e-6)


@pytest.mark.parametrize("kind", ["lm", "lmer"])
def test_estimable_is_the_row_space_of_x(kind: str) -> None:
    frame = holes(unbalanced(43))
    frame["x2"], frame["far"] = 4 - 3 * frame["x"], 1e6 + 50 * frame["z"]
    formula = "y ~ a * b + x + z + x2 + far"
    bar = "" if kind == "lm" else " + (1 | g)"
    record = (pp.lm if kind == "lm" else pp.lmer)(formula + bar, frame)._record
    X = design.dense(record.rows)
    rng = np.random.default_rng(2)
    dropped = np.setdiff1d(np.arange(X.shape[1]), record.kept)
    assert len(dropped) == 4
    found = contrast(record, rng.normal(size=(2, len(X))) @ X, joint=False)
    assert found["estimate"].notna().all()
    beta, *_ = np.linalg.lstsq(X, record.rows.y, rcond=1e-12)
    if kind == "lm":
        rows = X[:3]
        found = contrast(record, rows, joint=False)
        np.testing.assert_allclose(found["estimate"], rows @ beta, rtol=1e-6)
    for j in dropped:
        L = X[0] / np.abs(X[0]).max()
        L[j] += 0.5
        with pytest.raises(pp.SpecificationError, match="was left out|is zero"):
            contrast(record, L)


def test_relations_rebuild_x() -> None:
    frame = holes(unbalanced(47))
    frame["x2"], frame["far"] = 4 - 3 * frame["x"], 1e6 + 50 * frame["z"]
    for formula in ("y ~ a * b * x + x2 + z + far", "y ~ 0 + a * b + x + x2"):
        record = pp.lm(formula, frame)._record
        X, G = design.dense(record.rows), relations(record)
        error = np.abs(X[:, record.kept] @ G - X).max(axis=0)
        assert (error < 1e-8 * np.abs(X).max(axis=0).clip(1e-300)).all()


def test_the_intercept_and_slope_of_a_repeated_column_are_exact() -> None:
    frame = pd.DataFrame({"x": np.arange(20.0)})
    frame["x2"] = 2 * frame["x"] + 3
    frame["y"] = np.random.default_rng(1).normal(size=20)
    record = pp.lm("y ~ x + x2", frame)._record
    np.testing.assert_array_equal(relations(record), [[1, 0, 3], [0, 1, 2]])
