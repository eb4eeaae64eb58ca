"""Types I, II and III against brute force on unbalanced designs, and what they must not depend on.

The dense matrices here have one dummy a level for every term and are made by NumPy alone.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.inference.contrasts import contrast
from partialpool.inference.dropping import drop1
from partialpool.inference.terms import anova, term_contrasts

RELATIVE = 1e-7  # sums of squares by different routes, in double precision

FACTORS = {"a": "pqrs", "b": "uv", "h": "klm"}
NUMBERS = ("x", "z")

pytestmark = [
    pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning"),
    pytest.mark.filterwarnings("ignore::partialpool.RankDeficientWarning"),
]


def unbalanced(seed: int, n: int = 90, groups: int = 9) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            name: rng.choice(list(levels), n, p=rng.dirichlet(np.full(len(levels), 8.0)))
            for name, levels in FACTORS.items()
        }
    )
    frame["x"], frame["z"] = rng.normal(1, 2, n), rng.uniform(0, 3, n)
    frame["g"] = rng.integers(0, groups, n)
    frame["w"] = rng.uniform(0.5, 2, n)
    frame["y"] = (
        rng.normal(size=n)
        + rng.normal(size=groups)[frame["g"]]
        + frame["x"] * (frame["a"] == "q")
        + (frame["b"] == "v") * (frame["a"] == "p")
    )
    return frame


def hierarchy(*variables: str) -> list[tuple[str, ...]]:
    return [c for k in range(1, len(variables) + 1) for c in combinations(variables, k)]


DESIGNS: dict[str, list[tuple[str, ...]]] = {
    "a * b": hierarchy("a", "b"),
    "a * b * h": hierarchy("a", "b", "h"),
    "a * b + x": [("a",), ("b",), ("x",), ("a", "b")],
    "a * x": hierarchy("a", "x"),
    "a * b * x": hierarchy("a", "b", "x"),
    "x * z + a": [("x",), ("z",), ("a",), ("x", "z")],
    "a + a:b": [("a",), ("a", "b")],
    "x + a:b": [("x",), ("a", "b")],
}
AT = [(formula, seed) for formula in DESIGNS for seed in (1, 2)]


def block(frame: pd.DataFrame, term: tuple[str, ...]) -> np.ndarray:
    """(n, cells) one dummy a cell, times the numbers."""
    out = np.ones((len(frame), 1))
    for name in term:
        if name in FACTORS:
            part = np.column_stack([frame[name] == level for level in FACTORS[name]])
        else:
            part = frame[[name]].to_numpy()
        out = np.einsum("ij,ik->ijk", out, part).reshape(len(frame), -1)
    return out


def spanned(frame: pd.DataFrame, terms: list[tuple[str, ...]]) -> np.ndarray:
    return np.column_stack([block(frame, term) for term in terms])


def fitted(X: np.ndarray, y: np.ndarray) -> tuple[float, int]:
    """Residual sum of squares and rank."""
    beta, _, rank, _ = np.linalg.lstsq(X, y, rcond=1e-10)
    return float(((y - X @ beta) ** 2).sum()), int(rank)


def contains(big: tuple[str, ...], small: tuple[str, ...]) -> bool:
    return set(small) < set(big) and all(v in FACTORS for v in set(big) - set(small))


def compared(
    frame: pd.DataFrame, small: list[tuple[str, ...]], term: tuple[str, ...], weighted: bool
) -> tuple[float, int]:
    """What adding a term to others explains, and its degrees of freedom."""
    root = np.sqrt(frame["w"].to_numpy()) if weighted else np.ones(len(frame))
    y = frame["y"].to_numpy() * root
    without = fitted(spanned(frame, small) * root[:, None], y) if small else (y @ y, 0)
    within = fitted(spanned(frame, [*small, term]) * root[:, None], y)
    return without[0] - within[0], within[1] - without[1]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("formula", "seed"), AT)
def test_types_one_and_two_of_lm_are_comparisons_of_models(
    formula: str, seed: int, weighted: bool
) -> None:
    frame = unbalanced(seed)
    terms = [(), *DESIGNS[formula]]
    record = pp.lm(f"y ~ {formula}", frame, weights="w" if weighted else None)._record
    one, two = anova(record, type=1), anova(record, type=2)
    for t, term in enumerate(terms[1:], start=1):
        name = ":".join(term)
        square, df = compared(frame, terms[:t], term, weighted)
        assert one.loc[name, "sum_sq"] == pytest.approx(square, rel=RELATIVE)
        assert one.loc[name, "num_df"] == df
        others = [s for s in terms if s != term and not contains(s, term)]
        square, df = compared(frame, others, term, weighted)
        assert two.loc[name, "sum_sq"] == pytest.approx(square, rel=RELATIVE)
        assert two.loc[name, "num_df"] == df
    total = (frame["w"] if weighted else 1.0) * (frame["y"] - center(frame, weighted)) ** 2
    assert one["sum_sq"].sum() == pytest.approx(total.sum(), rel=RELATIVE)


def center(frame: pd.DataFrame, weighted: bool) -> float:
    return float(np.average(frame["y"], weights=frame["w"] if weighted else None))


# -- type III -------------------------------------------------------------------------------------


def own_functions(
    frame: pd.DataFrame, terms: list[tuple[str, ...]], term: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The estimable functions of a term (SAS's type III), and the dense dummies they refer to."""
    F = spanned(frame, terms)
    owner = np.repeat(range(len(terms)), [block(frame, s).shape[1] for s in terms])
    _, s, V = np.linalg.svd(F, full_matrices=False)
    rows = V[s > 1e-9 * s[0]]
    ours = [i for i, s in enumerate(terms) if s == term or contains(s, term)]
    foreign = ~np.isin(owner, ours)
    mine = null(rows[:, foreign].T) @ rows
    above = null(mine[:, owner == terms.index(term)].T) @ mine
    return null(above @ mine.T) @ mine if len(above) else mine, F


def null(A: np.ndarray) -> np.ndarray:
    """Rows c with A c = 0."""
    if not A.size:
        return np.eye(A.shape[1])
    _, s, V = np.linalg.svd(A)
    return V[int((s > 1e-9).sum()) :]


def dense_test(F: np.ndarray, y: np.ndarray, L: np.ndarray) -> tuple[float, int]:
    """Sum of squares of L beta = 0 in least squares, whatever the generalised inverse."""
    if not len(L):
        return 0.0, 0
    inverse = np.linalg.pinv(F.T @ F, rcond=1e-11, hermitian=True)
    miss = L @ (inverse @ F.T @ y)
    return float(miss @ np.linalg.solve(L @ inverse @ L.T, miss)), len(L)


def holes(frame: pd.DataFrame) -> pd.DataFrame:
    """Without two cells of a and b."""
    empty = (frame["a"] == "s") & (frame["b"] == "v") | (frame["a"] == "q") & (frame["b"] == "u")
    return frame[~empty].reset_index(drop=True)


TYPE_THREE: dict[str, list[tuple[str, ...]]] = DESIGNS | {
    "a + b + h + a:b + a:h + b:h": hierarchy("a", "b", "h")[:-1],
}


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("formula", TYPE_THREE)
def test_type_three_of_lm_tests_estimable_functions(
    formula: str, intercept: bool, missing: bool
) -> None:
    frame = unbalanced(5)
    frame = holes(frame) if missing else frame
    terms = [(), *TYPE_THREE[formula]] if intercept else TYPE_THREE[formula]
    found = anova(pp.lm(f"y ~ {'' if intercept else '0 + '}{formula}", frame)._record)
    for term in [t for t in terms if t]:
        L, F = own_functions(frame, terms, term)
        square, df = dense_test(F, frame["y"].to_numpy(), L)
        row = found.loc[":".join(term)]
        assert row["num_df"] == df
        assert row["sum_sq"] == pytest.approx(square, rel=RELATIVE)


@pytest.mark.parametrize("formula", ["a * b", "a * b * h", "a * b + x", "a * b * x"])
def test_type_three_drops_columns_of_sum_coding(formula: str) -> None:
    """Where all cells are filled it is what R's `drop1(~ ., ...)` gives under contr.sum."""
    frame = unbalanced(7, n=200)
    used = {v: "sum" for v in FACTORS if v in formula}
    linear = pp.lm(f"y ~ {formula}", frame, contrasts=used)
    mixed = pp.lmer(f"y ~ {formula} + (1 | g)", frame, contrasts=used)
    for fit in (linear, mixed):
        treated = fit.update(contrasts=None)
        table = anova(treated._record)
        for term in DESIGNS[formula]:
            own = [n for n in fit.params.index if parts(n) == set(term)]
            by_columns = contrast(fit._record, own).loc["joint"]
            assert table.loc[":".join(term), "F"] == pytest.approx(by_columns["F"], rel=1e-6)
            assert table.loc[":".join(term), "num_df"] == by_columns["num_df"]


def parts(name: str) -> set[str]:
    return {part.partition("[")[0] for part in name.split(":")} - {"Intercept"}


CODINGS: list[Any] = [
    {"a": "sum", "b": "sum"},
    {"a": "helmert", "b": "treatment"},
    {"a": "poly", "b": "helmert"},
    {"a": [[1, 0, 2], [0, 1, 0], [3, 1, 1], [0, 0, 1]], "b": [[2.5], [-1.0]]},
]


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(
    "formula",
    [
        "a * b",
        "0 + a * b",
        "0 + a + b",
        "a * x + b",
        "a * b * x",
        "a * poly(x, 2) + h",
        "a + bs(x, df=4) * b",
        "a + a:b",
    ],
)
def test_no_type_depends_on_the_coding(formula: str, missing: bool) -> None:
    frame = unbalanced(11)
    frame = holes(frame) if missing else frame
    for model in ("lm", "lmer"):
        fit = pp.lm if model == "lm" else pp.lmer
        text = f"y ~ {formula}" + ("" if model == "lm" else " + (1 | g)")
        plain = [anova(fit(text, frame)._record, type=t) for t in (1, 2, 3)]
        based = text.replace("a", "C(a, Treatment('q'))", 1) if text.count("a") == 1 else text
        codings = [{k: v for k, v in c.items() if k in formula} for c in CODINGS]
        frames = [(text, c) for c in codings] + ([(based, None)] if based != text else [])
        for used, coding in frames:
            for t, wanted in zip((1, 2, 3), plain, strict=True):
                found = anova(fit(used, frame, contrasts=coding)._record, type=t)
                for column in ("num_df", "sum_sq", "F"):
                    np.testing.assert_allclose(
                        found[column].to_numpy(), wanted[column].to_numpy(), rtol=1e-5, atol=1e-9
                    )


def test_reference_levels_do_not_matter() -> None:
    frame = holes(unbalanced(13))
    wanted = anova(pp.lm("y ~ a * b + x:a", frame)._record)
    based = "y ~ C(a, Treatment('r')) * C(b, Treatment('v')) + x:C(a, Treatment('r'))"
    found = anova(pp.lm(based, frame)._record)
    np.testing.assert_allclose(found["sum_sq"].to_numpy(), wanted["sum_sq"].to_numpy(), rtol=1e-9)
    np.testing.assert_array_equal(found["num_df"].to_numpy(), wanted["num_df"].to_numpy())


@pytest.mark.parametrize("shift", [0.0, 2000.0, 1e6])
def test_large_means_do_not_matter_for_main_effects(shift: float) -> None:
    """A covariate of its own: its origin changes no test."""
    frame = unbalanced(17)
    moved = frame.assign(x=frame["x"] + shift)
    for t in (1, 2, 3):
        wanted = anova(pp.lm("y ~ a * b + x", frame)._record, type=t)
        found = anova(pp.lm("y ~ a * b + x", moved)._record, type=t)
        np.testing.assert_allclose(found["sum_sq"], wanted["sum_sq"], rtol=1e-6)


def test_a_fit_that_tells_columns_apart_has_them_in_its_tests() -> None:
    """Without an intercept t is nearly constant, and the fit keeps all columns nevertheless."""
    frame = unbalanced(17)
    frame["t"] = frame["x"] + 1e9
    one = anova(pp.lm("y ~ 0 + t + a", frame)._record, type=1)
    assert one["num_df"].tolist()[:2] == [1, 4]
    assert one["sum_sq"].sum() == pytest.approx((frame["y"] ** 2).sum(), rel=1e-6)


@pytest.mark.parametrize("model", ["lm", "lmer"])
def test_types_agree_when_balanced(model: str) -> None:
    cells = pd.MultiIndex.from_product([list("pqr"), list("uv"), range(6)], names=["a", "b", "g"])
    frame = cells.to_frame(index=False)
    rng = np.random.default_rng(3)
    frame["y"] = rng.normal(size=len(frame)) + rng.normal(size=6)[frame["g"]]
    record = (
        pp.lm("y ~ a * b", frame) if model == "lm" else pp.lmer("y ~ a * b + (1 | g)", frame)
    )._record
    one, two, three = (anova(record, type=t) for t in (1, 2, 3))
    for other in (two, three):
        np.testing.assert_allclose(other["sum_sq"], one["sum_sq"], rtol=1e-8)
        np.testing.assert_allclose(other["den_df"], one["den_df"], rtol=1e-8)


@pytest.mark.parametrize("formula", DESIGNS)
def test_mixed_models_test_the_functions_that_lm_tests(formula: str) -> None:
    """The rows of L span the same for `lm` and for `lmer` of the same columns."""
    frame = unbalanced(19)
    linear = pp.lm(f"y ~ {formula}", frame)._record
    mixed = pp.lmer(f"y ~ {formula} + (1 | g)", frame)._record
    for t in (1, 2, 3):
        for name, L in term_contrasts(linear, t).items():
            both = np.vstack([L, term_contrasts(mixed, t)[name]])
            size = np.linalg.norm(both, axis=1, keepdims=True)
            assert np.linalg.matrix_rank(both / size, tol=1e-8) == len(L)


# -- collinear columns ----------------------------------------------------------------------------


def test_terms_that_repeat_each_other_have_nothing_of_their_own() -> None:
    frame = unbalanced(23)
    frame["x2"] = 3 - 2 * frame["x"]
    record = pp.lm("y ~ x + x2 + a", frame)._record
    one, two, three = (anova(record, type=t) for t in (1, 2, 3))
    assert one["num_df"].tolist() == [1, 0, 3, len(frame) - 5]
    assert two["num_df"].tolist()[:3] == three["num_df"].tolist()[:3] == [0, 0, 3]
    assert three["F"].isna().tolist() == [True, True, False, True]
    assert "x, x2: nothing to test beside other terms" in three.attrs["note"]
    wanted = anova(pp.lm("y ~ x + a", frame)._record).loc["a", "F"]
    assert three.loc["a", "F"] == pytest.approx(wanted, rel=1e-9)
    assert drop1(record).loc["x", "lrt"] == 0
    assert np.isnan(drop1(record).loc["x", "p_value"])


def test_a_factor_nested_in_another() -> None:
    """`part` says all that `a` says: nothing of `a` is left beside it."""
    frame = unbalanced(29)
    frame["part"] = frame["a"] + frame["h"]
    record = pp.lm("y ~ a + part", frame)._record
    three = anova(record)
    assert three["num_df"].tolist()[:2] == [0, 8]
    for t in (1, 2, 3):
        found = anova(record, type=t).loc["part"]
        square, df = compared(frame, [(), ("a",)], ("a", "h"), False)
        assert found["num_df"] == df
        assert found["sum_sq"] == pytest.approx(square, rel=RELATIVE)


def test_an_age_period_cohort_identity_leaves_no_linear_test() -> None:
    frame = unbalanced(31)
    frame["age"], frame["period"] = frame["x"].round(1), frame["z"].round(1)
    frame["cohort"] = frame["period"] - frame["age"]
    record = pp.lm("y ~ age + period + cohort + b", frame)._record
    assert anova(record)["num_df"].tolist()[:4] == [0, 0, 0, 1]
    assert anova(record, type=1)["num_df"].tolist()[:4] == [1, 1, 0, 1]


def test_fewer_contrasts_than_levels_allow() -> None:
    """A trend alone for `a`: type III asks for equal means of that smaller model."""
    frame = unbalanced(37)
    record = pp.lm("y ~ a + b", frame, contrasts={"a": [[-3.0], [-1.0], [1.0], [3.0]]})._record
    found = anova(record)
    assert found["num_df"].tolist()[:2] == [1, 1]
    t = np.asarray(record.beta) / np.sqrt(np.diag(record.sigma**2 * record.root @ record.root.T))
    np.testing.assert_allclose(found["F"].iloc[:2], t[1:] ** 2, rtol=1e-9)
