"""Resampling of groups and of residuals, against loops that are spelt out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.inference import _draws, _resampling

REFIT = 2e-6  # two fits to the same rows in another order end within the optimiser's tolerance


def nested(seed: int) -> pd.DataFrame:
    """Unbalanced: 7 schools, 2 to 4 classes in each, 2 to 6 rows a class."""
    generator = np.random.default_rng(seed)
    rows = []
    for school in range(7):
        up = generator.normal(0, 2)
        for k in range(generator.integers(2, 5)):
            mid = generator.normal(0, 1.5)
            rows += [
                (f"s{school}", f"c{k}", generator.normal(), up + mid)
                for _ in range(generator.integers(2, 7))
            ]
    data = pd.DataFrame(rows, columns=["school", "room", "x", "y"])
    data["y"] += 1 + 0.5 * data["x"] + generator.standard_normal(len(data))
    data["w"] = generator.uniform(0.5, 2, len(data))
    return data.sample(frac=1, random_state=seed).reset_index(drop=True)


@pytest.mark.parametrize(
    ("formula", "weights"),
    [
        ("y ~ x + (x | school)", None),
        ("y ~ x + (1 | school/room)", None),
        ("y ~ x + (1 | school/room)", "w"),
    ],
)
def test_cases_equal_a_loop_over_rebuilt_frames(formula: str, weights: Any) -> None:

    data = nested(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        fit = pp.lmer(formula, data, weights=weights)
        found = fit.bootstrap(12, kind="cases", seed=9)
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(9).spawn(1)[0]))
        labels = sorted(data["school"].unique())
        draws = generator.integers(0, 7, (256, 7))[:12]
        for values, drawn in zip(found.values, draws, strict=True):
            pieces = [
                data[data["school"] == labels[s]].assign(school=f"new{i}")
                for i, s in enumerate(drawn)
            ]
            again = pp.lmer(formula, pd.concat(pieces, ignore_index=True), weights=weights)
            sds = again.varcorr.to_frame()
            sds = sds[sds["term2"].isna() & (sds["group"] != "Residual")]["std_dev"]
            np.testing.assert_allclose(values[:2], again.params, rtol=REFIT, atol=REFIT)
            assert values[2] == pytest.approx(again.sigma, rel=REFIT)
            np.testing.assert_allclose(values[3 : 3 + len(sds)], sds, rtol=1e-4, atol=1e-3)


def test_cases_of_lm_draw_rows() -> None:
    data = nested(1)
    fit = pp.lm("y ~ x", data, weights="w")
    found = fit.bootstrap(5, kind="cases", seed=2)
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(2).spawn(1)[0]))
    n = len(data)
    draws = generator.integers(0, n, (256, n))[:5]
    for values, drawn in zip(found.values, draws, strict=True):
        again = pp.lm("y ~ x", data.iloc[drawn], weights="w")
        np.testing.assert_allclose(values, [*again.params, again.sigma], rtol=1e-10)


def test_the_top_level_is_the_factor_that_holds_the_others() -> None:
    data = nested(2)
    fit = pp.lmer("y ~ x + (1 | school/room)", data)
    record = fit._record
    top = _resampling.top_level(record)
    assert record.rows.groups[top].name == "school"
    crossed = pp.lmer("diameter ~ 1 + (1|plate) + (1|sample)", pp.datasets.load("Penicillin"))
    assert _resampling.top_level(crossed._record) is None


def test_every_draw_of_a_group_is_a_group_of_its_own() -> None:
    data = nested(3)
    record = pp.lmer("y ~ x + (1 | school/room)", data)._record
    units = _resampling.clusters(record, "test")
    again = _resampling.refit_clusters(record, units, np.array([2, 2, 5, 2]))
    sizes = {g.name: len(g.levels) for g in again.rows.groups}
    rooms = data.groupby("school")["room"].nunique()
    labels = sorted(data["school"].unique())
    assert sizes["school"] == 4
    assert sizes["room:school"] == 3 * rooms[labels[2]] + rooms[labels[5]]
    for group in again.rows.groups:
        assert sorted(set(group.codes)) == list(range(len(group.levels)))
    counts = data["school"].value_counts()
    assert again.rows.nobs == 3 * counts[labels[2]] + counts[labels[5]]
    kept = again.rows.kept
    np.testing.assert_array_equal(again.rows.y, data["y"].to_numpy()[kept])
    # rows of a school together, each draw with its own code
    school = next(g for g in again.rows.groups if g.name == "school").codes
    assert set(data["school"].iloc[kept[school == 3]]) == {labels[2]}


@pytest.mark.parametrize(
    "formula",
    [
        "Reaction ~ Days + (Days | Subject)",
        "Reaction ~ Days + (Days || Subject)",
        "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)",
    ],
)
@pytest.mark.parametrize("weights", [None, "1 + Days"])
def test_residuals_are_reflated_to_the_estimates(formula: str, weights: Any) -> None:
    fit = pp.lmer(formula, pp.datasets.load("sleepstudy"), weights=weights)
    source = _draws.residual(fit._record, "new")
    assert abs(source.errors.mean()) < 1e-10
    assert np.mean(source.errors**2) == pytest.approx(fit.scale, rel=1e-12)
    factors = fit._record.layout.lambdas(fit._record.solution.theta)
    for U, lam in zip(source.effects, factors, strict=True):
        np.testing.assert_allclose(U.mean(axis=0), 0, atol=1e-10)
        np.testing.assert_allclose(U.T @ U / len(U), fit.scale * lam @ lam.T, rtol=1e-10, atol=1e-8)


def test_reflation_is_the_map_of_carpenter_goldstein_and_rasbash() -> None:
    """A = (L_R L_S^-1)', from the two Cholesky factors."""
    fit = pp.lmer("Reaction ~ Days + (Days | Subject)", pp.datasets.load("sleepstudy"))
    b = fit.ranef()["Subject"].to_numpy()
    b = b - b.mean(axis=0)
    L_S = np.linalg.cholesky(b.T @ b / len(b))
    L_R = np.linalg.cholesky(fit.varcorr["Subject"].to_numpy())
    A = (L_R @ np.linalg.inv(L_S)).T
    np.testing.assert_allclose(_draws.residual(fit._record, "new").effects[0], b @ A, rtol=1e-8)


@pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")
def test_reflation_of_a_singular_term_keeps_its_closed_direction() -> None:
    generator = np.random.default_rng(5)
    g = np.repeat(np.arange(12), 6)
    data = pd.DataFrame({"g": g, "x": np.tile(np.arange(6.0), 12)})
    u = generator.standard_normal(12)
    data["y"] = 3 * u[g] * (1 + 0.5 * data["x"]) + generator.standard_normal(72)
    fit = pp.lmer("y ~ x + (x | g)", data)
    assert fit._record.optimum.rank == (1,)
    (U,) = _draws.residual(fit._record, "new").effects
    expected = fit.varcorr["g"].to_numpy()
    np.testing.assert_allclose(U.T @ U / 12, expected, rtol=1e-6)
    assert np.linalg.matrix_rank(U, tol=1e-4) == 1


@pytest.mark.parametrize("weights", [None, "w"])
def test_wild_residuals_are_adjusted_for_leverage(weights: Any) -> None:
    data = nested(6)
    fit = pp.lmer("y ~ x + (1 | school)", data, weights=weights)
    source = _draws.wild(fit._record, np.arange(len(data)), len(data))
    X = np.column_stack([np.ones(len(data)), data["x"]])
    w = np.ones(len(data)) if weights is None else data["w"].to_numpy()
    root = np.sqrt(w)[:, None] * X
    h = np.diag(root @ np.linalg.solve(root.T @ root, root.T))
    v = data["y"].to_numpy() - X @ fit.params.to_numpy()
    np.testing.assert_allclose(source.residuals, v / np.sqrt(1 - h), rtol=1e-10)


@pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")
def test_parametric_draws_are_exactly_z_b_and_noise() -> None:
    """One stream, spelt out: standard normals for every term, then for the rows."""
    data = nested(8)
    fit = pp.lmer("y ~ x + (x | school) + (1 | school:room)", data, weights="w")
    record = fit._record
    source = _draws.parametric(record, "new")
    Y = source.responses(np.random.default_rng(1), 4)
    generator = np.random.default_rng(1)
    us = [generator.standard_normal((t[1].shape[1], 4, t[0])) for t in sizes(fit)]
    e = generator.standard_normal((4, len(data)))
    for i in range(4):
        y = fit.predict(random="none") + fit.sigma * e[i] / np.sqrt(data["w"].to_numpy())
        for u, (levels, lam, codes, Z) in zip(us, sizes(fit), strict=True):
            b = fit.sigma * u[:, i].T @ lam.T
            assert b.shape[0] == levels
            y = y + (Z * b[codes]).sum(axis=1)
        np.testing.assert_allclose(Y[i], y, rtol=1e-12)


def sizes(fit: Any) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    record = fit._record
    factors = record.layout.lambdas(record.solution.theta)
    out = []
    for term, lam in zip(record.rows.terms, factors, strict=True):
        group = record.rows.groups[term.group]
        columns = [c.numeric[0] if c.numeric else np.ones(record.rows.nobs) for c in term.columns]
        out.append((len(group.levels), lam, group.codes, np.column_stack(columns)))
    return out
