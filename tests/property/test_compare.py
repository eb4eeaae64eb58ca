"""Identities that a comparison satisfies on any data: ends of the path, averages, dense twins."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import partialpool as pp

pytestmark = pytest.mark.filterwarnings("ignore::partialpool.PartialPoolWarning")

LM = 1e-10  # relative: row 0 of the path against lm
LMER = 1e-8  # relative: the fitted row against lmer
DIGITS = 1e-8  # relative: other ways to the same number, in double precision
IDENTITY = 1e-10  # relative to the largest term added


@st.composite
def designs(draw):
    """One random intercept: covariates within, between and of the group; weights, offset, a factor.

    Sizes of groups are unequal, some groups have one row; timestamps and large responses occur.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    J = draw(st.integers(5, 12))
    sizes = rng.integers(1, draw(st.integers(3, 9)), J) + (np.arange(J) < 3)
    g = np.repeat(np.arange(J), sizes)
    n = len(g)
    x = rng.normal(size=n) + rng.normal(size=J)[g]
    z = rng.normal(size=J)[g]
    y = x - z + draw(st.sampled_from([0.0, 1.0, 3.0])) * rng.normal(size=J)[g] + rng.normal(size=n)
    data = pd.DataFrame({"y": y, "x": x, "z": z, "g": [f"g{v}" for v in g]})
    data["f"] = rng.choice(list("abc"), n)
    data.loc[:2, "f"] = list("abc")
    data["w"] = rng.uniform(0.2, 4.0, n)
    data["o"] = rng.normal(size=n)
    fixed, options = "x + z", {}
    if draw(st.booleans()):
        fixed += " + f"
    if draw(st.booleans()):
        data["x"] = 1.7e9 + 1e5 * data["x"]
    if draw(st.booleans()):
        data["y"] += 1e9
    if draw(st.booleans()):
        options["weights"] = "w"
    if draw(st.booleans()):
        options["offset"] = "o"
    return f"y ~ {fixed}", data, options


def close(actual, expected, tolerance, scale=None):
    actual, expected = np.asarray(actual, float), np.asarray(expected, float)
    scale = np.abs(expected) if scale is None else scale
    assert np.all(np.abs(actual - expected) <= tolerance * scale + 1e-300), (actual, expected)


def whitened(formula, data, options):
    """Centred columns, times sqrt(w), their group dummies, and the way back to the user's."""
    fit = pp.lm(formula, data, **options)
    X = fit.model_matrix().to_numpy()
    y = data["y"].to_numpy() - (data["o"].to_numpy() if "offset" in options else 0.0)
    c = np.append(0.0, X[:, 1:].mean(axis=0))
    d = y.mean()
    w = data["w"].to_numpy() if "weights" in options else np.ones(len(y))
    g = pd.factorize(data["g"], sort=True)[0]
    Z = np.eye(g.max() + 1)[g]

    def back(beta):
        out = np.array(beta, float)
        out[0] += d - c @ out
        return out

    root = np.sqrt(w)[:, None]
    return root * (X - c), root[:, 0] * (y - d), root * Z, back


def gls(X, y, Z, ratio):
    V = np.eye(len(y)) + ratio**2 * Z @ Z.T
    L = np.linalg.cholesky(V)
    A, b = np.linalg.solve(L, X), np.linalg.solve(L, y)
    return np.linalg.lstsq(A, b, rcond=None)[0]


@settings(max_examples=30)
@given(designs())
def test_the_path_has_lm_and_lmer_on_it(case):
    formula, data, options = case
    c = pp.compare(f"{formula} + (1 | g)", data, **options)
    path = c.path
    assert path.columns[0] == "ratio"
    assert list(path.columns[1:]) == list(c.mixed.names)
    ratio = path["ratio"].to_numpy()
    assert len(path) >= 60
    assert ratio[0] == 0
    assert math.isinf(ratio[-1])
    assert np.all(np.diff(ratio) > 0)
    assert np.isfinite(path.drop(columns="ratio").to_numpy()).all()
    lm = pp.lm(formula, data, **options)
    lmer = pp.lmer(f"{formula} + (1 | g)", data, **options)
    close(path.iloc[0, 1:], lm.params, LM)
    close(c.table["complete_pooling"], lm.params, LM)
    fitted = path[ratio == c.ratio]
    assert len(fitted) == 1
    close(fitted.iloc[0, 1:], lmer.params, LMER)


@settings(max_examples=30)
@given(designs())
def test_no_pooling_is_lm_with_the_group_as_a_factor(case):
    formula, data, options = case
    assume(len(data) > data["g"].nunique() + 4)
    c = pp.compare(f"{formula} + (1 | g)", data, **options)
    free = pp.lm(f"{formula} + g", data, **options)
    X, y, Z, back = whitened(formula, data, options)
    M = np.eye(len(y)) - Z @ np.linalg.pinv(Z)
    inside = M @ X
    varying = np.linalg.norm(inside, axis=0) > 1e-9 * np.linalg.norm(X, axis=0)
    names = np.array(c.mixed.names)
    assert list(c.table.index[c.table["no_pooling"].notna()]) == list(names[varying])
    close(c.table["no_pooling"][varying], free.params[names[varying]], DIGITS)
    close(c.table["no_pooling_se"][varying], free.bse[names[varying]], DIGITS)
    assert (c.table["note"][~varying] != "").all()
    # The others: unweighted regression of the group means given the within slopes.
    beta = np.zeros(len(names))
    beta[varying] = np.linalg.lstsq(inside[:, varying], M @ y, rcond=None)[0]
    means = np.linalg.pinv(Z)
    rest = means @ (y - X @ beta)
    beta[~varying] = np.linalg.lstsq(means @ X[:, ~varying], rest, rcond=None)[0]
    expected = back(beta)
    close(c.path.iloc[-1, 1:], expected, DIGITS, np.maximum(np.abs(expected), np.abs(expected[-1])))
    close(c.coefficients_at(1e6), c.path.iloc[-1, 1:], 1e-6, np.abs(expected).max())


@settings(max_examples=20)
@given(designs(), st.sampled_from([0.05, 0.7, 3.0, 40.0]))
def test_any_point_is_dense_generalised_least_squares(case, ratio):
    formula, data, options = case
    c = pp.compare(f"{formula} + (1 | g)", data, **options)
    X, y, Z, back = whitened(formula, data, options)
    beta = gls(X, y, Z, ratio)
    expected = back(beta)
    close(c.coefficients_at(ratio), expected, DIGITS)
    # b = theta^2 Z'V^-1 (y - X beta)
    V = np.eye(len(y)) + ratio**2 * Z @ Z.T
    b = ratio**2 * Z.T @ np.linalg.solve(V, y - X @ beta)
    close(c.effects_at(ratio), b, 1e-9, np.abs(y).max())


@settings(max_examples=30)
@given(designs())
def test_the_estimate_is_the_average_of_between_and_within(case):
    formula, data, options = case
    c = pp.compare(f"{formula} + (1 | g)", data, **options)
    for d, beta in (
        (c.decomposition, c.path[c.path["ratio"] == c.ratio].iloc[0, 1:]),
        (c.decomposition_lm, c.path.iloc[0, 1:]),
    ):
        size = np.abs(d.matrix) @ (np.abs(d.between) + np.abs(d.within)) + np.abs(d.within)
        close(d.recombined, d.beta, IDENTITY, size)
        close(d.beta, beta, 1e-12, np.abs(d.beta))
        values = np.linalg.eigvals(d.matrix)
        assert np.all(values.real > -1e-6)
        assert np.all(values.real < 1 + 1e-6)


@settings(max_examples=20)
@given(designs())
def test_groups_and_precision_against_dense_matrices(case):
    formula, data, options = case
    c = pp.compare(f"{formula} + (1 | g)", data, **options)
    X, y, Z, _ = whitened(formula, data, options)
    theta, sigma = c.ratio, c.mixed.solution.sigma
    groups = c.groups
    assert list(groups["level"]) == sorted(set(data["g"]))
    assert list(groups["n"]) == data.groupby("g").size().tolist()
    close(groups["mean"], data.groupby("g")["y"].mean(), 1e-12, data["y"].abs().max())
    lmer = pp.lmer(f"{formula} + (1 | g)", data, **options)
    close(groups["partial_pooling"], lmer.ranef()["g"]["Intercept"], 1e-8, 1 + np.abs(y).max())
    close(groups["no_pooling"], c.effects_at(math.inf), 1e-12, np.abs(y).max())
    N = (Z**2).sum(axis=0)
    close(groups["shrinkage"], N * theta**2 / (1 + N * theta**2), 1e-8, 1.0)
    close(groups["cond_sd"], sigma * theta / np.sqrt(1 + N * theta**2), 1e-7, sigma)
    w = (Z**2).sum(axis=1)
    V = np.diag(1 / w) + theta**2 * ((Z @ Z.T) / np.sqrt(np.outer(w, w)))
    one = np.ones(len(w))
    information = one @ np.linalg.solve(V, one)
    close(c.effective_n, len(w) * information / (1 / np.diag(V)).sum(), 1e-7)
    close(c.design_effect, (w @ V @ w) / (w**2 @ np.diag(V)), 1e-8)
    close(c.icc, theta**2 / (1 + theta**2), 1e-12, 1.0)
    C = np.linalg.inv(X.T @ X)
    G = np.eye(len(w)) + theta**2 * Z @ Z.T
    se = sigma * np.sqrt(np.diag(C @ X.T @ G @ X @ C))
    plain = sigma * np.sqrt(np.diag(C @ (X.T * np.diag(G)) @ X @ C))
    M = np.eye(len(w)) - Z @ np.linalg.pinv(Z)
    unit = X / np.linalg.norm(X, axis=0)  # the share does not depend on units
    inside = np.linalg.pinv((M @ unit).T @ (M @ unit), rcond=1e-10, hermitian=True)
    GX = np.linalg.inv(unit.T @ np.linalg.solve(G, unit))
    for row, shared, alone in zip(c.rows, np.diag(GX), np.diag(inside), strict=True):
        if not math.isnan(row.within):
            close(row.weight_between, 1 - shared / alone, 1e-6, 1.0)
    slopes = slice(1, None)  # the intercept is measured from another origin
    close(c.standard_errors["lm_under_lmer"][slopes], se[slopes], 1e-6)
    close(c.standard_errors["independent"][slopes], plain[slopes], 1e-6)


@settings(max_examples=15)
@given(designs())
def test_the_contextual_fit_is_lmer_with_the_means_as_columns(case):
    formula, data, options = case
    c = pp.compare(f"{formula} + (1 | g)", data, **options)
    if "+ f" in formula or not c.contextual.is_tested:
        return
    w = data["w"] if "weights" in options else pd.Series(np.ones(len(data)))
    total = (w * (data["x"] - data["x"].mean())).groupby(data["g"]).transform("sum")
    data["mx"] = total / w.groupby(data["g"]).transform("sum")
    fit = pp.lmer(f"{formula} + mx + (1 | g)", data, **options)
    effect = c.contextual.of("x")
    close(effect.estimate, fit.params["mx"], 1e-6, fit.bse["mx"])
    close(effect.std_error, fit.bse["mx"], 1e-6)
    close(effect.p_value, fit.pvalues["mx"], 1e-5, 1.0)
    # With the means in, the coefficients of what varies within are the within estimates.
    close(fit.params["x"], c.table["no_pooling"]["x"], 1e-7, np.abs(fit.bse["x"]))


RANDOM = {
    "crossed": "(1 | g) + (1 | h)",
    "slope": "(x | g)",
    "slope and intercept apart": "(x || g)",
    "slope alone": "(0 + x | g)",
    "nested": "(1 | h/g)",
    "slope beside a crossed factor": "(x | g) + (1 | h)",
    "factor": "(f | h)",
}


def crossed(seed, shift=0.0):
    rng = np.random.default_rng(seed)
    n = 180
    g, h = rng.integers(0, 14, n), rng.integers(0, 9, n)
    x = rng.normal(size=n) + rng.normal(size=14)[g]
    z = rng.normal(size=9)[h]
    y = x + z + (1 + x) * rng.normal(size=14)[g] + rng.normal(size=9)[h] + rng.normal(size=n)
    f = rng.choice(["a", "b"], n)
    w = rng.uniform(0.5, 2.0, n)
    return pd.DataFrame({"y": y, "x": x + shift, "z": z, "g": g, "h": h, "f": f, "w": w})


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("options", [{}, {"weights": "w"}], ids=["", "weights"])
def test_any_other_random_part_scales_lambda(name, options):
    data = crossed(1)
    c = pp.compare(f"y ~ x + z + {RANDOM[name]}", data, **options)
    lm = pp.lm("y ~ x + z", data, **options)
    lmer = pp.lmer(f"y ~ x + z + {RANDOM[name]}", data, **options)
    path = c.path
    assert len(path) >= 60
    assert c.ratio in path["ratio"].to_numpy()
    close(path.iloc[0, 1:], lm.params, LM)
    close(path[path["ratio"] == c.ratio].iloc[0, 1:], lmer.params, LMER)
    end, near = c.coefficients_at(math.inf), c.coefficients_at(3e3)
    close(near, end, 1e-5, np.abs(end).max())
    b, b_near = c.effects_at(math.inf), c.effects_at(3e3)
    close(b_near, b, 1e-4, np.abs(b).max())
    assert len(b) == len(c.groups)
    close(c.effects_at(c.ratio), c.groups["partial_pooling"], 1e-9, 1.0)


# A shift of x leaves a model as it is where an intercept varies freely beside the slope.
SHIFTED = [(n, 1e6) for n in RANDOM if n not in ("slope and intercept apart", "slope alone")]


@pytest.mark.parametrize(("name", "shift"), [(n, 0.0) for n in RANDOM] + SHIFTED)
def test_the_end_of_any_path_is_the_dense_limit(name, shift):
    data = crossed(2, shift)
    fit = pp.lmer(f"y ~ x + z + {RANDOM[name]}", data)
    c = pp.compare(f"y ~ x + z + {RANDOM[name]}", data)
    # Lambda and Z in centred columns: A A' is the same, and keeps its digits.
    centred = crossed(2)
    same = pp.lmer(f"y ~ x + z + {RANDOM[name]}", centred)
    Z = same.model_matrix("random").toarray()
    parts = []
    record = same._record
    for term, factor in zip(
        record.rows.terms, record.layout.lambdas(same.theta.to_numpy()), strict=True
    ):
        parts += [factor] * len(record.rows.groups[term.group].levels)
    at, L = 0, np.zeros((Z.shape[1], Z.shape[1]))
    for part in parts:
        L[at : at + len(part), at : at + len(part)] = part
        at += len(part)
    A = Z @ L
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    good = s > 1e-10 * s[0]
    U, inverse = U[:, good], (Vt[good].T / s[good]) @ U[:, good].T
    X = np.column_stack([np.ones(len(data)), centred["x"], centred["z"]])
    y = data["y"].to_numpy()
    MX, My = X - U @ (U.T @ X), y - U @ (U.T @ y)
    T, t = inverse @ X, inverse @ y
    # The limit of the penalised problem, by its null space.
    u, d, v = np.linalg.svd(MX)
    rank = int((d > 1e-8 * np.linalg.norm(X)).sum())
    particular = v[:rank].T @ ((u.T @ My)[:rank] / d[:rank])
    null = v[rank:].T
    gamma = np.linalg.lstsq(T @ null, t - T @ particular, rcond=None)[0]
    beta = particular + null @ gamma
    beta[0] -= shift * beta[1]
    close(c.path.iloc[-1, 1:], beta, 1e-7, np.abs(beta).max())
    assert fit.params.index.tolist() == list(c.mixed.names)


def test_without_pooling_crossed_factors_are_both_absorbed():
    data = crossed(3)
    c = pp.compare("y ~ x + z + (1 | g) + (1 | h)", data)
    free = pp.lm("y ~ x + C(g) + C(h)", data)
    close(c.table.loc["x", "no_pooling"], free.params["x"], DIGITS)
    close(c.table.loc["x", "no_pooling_se"], free.bse["x"], DIGITS)
    assert math.isnan(c.table.loc["z", "no_pooling"])
    assert "constant within the levels of h" in c.table.loc["z", "note"]


def test_iteration_agrees_with_factoring(monkeypatch):
    data = crossed(4)
    c = pp.compare("y ~ x + z + (1 | g) + (1 | h)", data)
    monkeypatch.setattr("partialpool.pooling.limit._DENSE", 0.0)
    again = pp.compare("y ~ x + z + (1 | g) + (1 | h)", data)
    assert "LSMR" in again._path.end.method
    close(again.path.iloc[-1, 1:], c.path.iloc[-1, 1:], 1e-9, 1.0)
    close(again.table["no_pooling_se"]["x"], c.table["no_pooling_se"]["x"], 1e-9)
    close(again.groups["no_pooling"], c.groups["no_pooling"], 1e-8, 1.0)
