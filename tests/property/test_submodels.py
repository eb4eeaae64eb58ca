"""Dropped terms and compared models against models fitted anew, and against a plain loop."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.inference import lr_bootstrap
from partialpool.inference._draws import parametric
from partialpool.inference.comparison import compare_models, drop1, ranova
from partialpool.inference.dropping import mixture_tail
from tests.property.test_terms import holes, unbalanced

LLF = 1e-7  # absolute; two certified optima of one objective

pytestmark = [
    pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning"),
    pytest.mark.filterwarnings("ignore::partialpool.RankDeficientWarning"),
    pytest.mark.filterwarnings("ignore::partialpool.MissingDataWarning"),
]


def data(seed: int = 1, n: int = 240) -> pd.DataFrame:
    frame = unbalanced(seed, n=n, groups=12)
    rng = np.random.default_rng(seed + 100)
    frame["h2"] = frame["g"] % 4
    frame["o"] = rng.normal(size=n)
    frame["y"] += rng.normal(size=12)[frame["g"]] * frame["x"] * 0.7
    frame["y"] += rng.normal(size=12)[frame["g"]] * (frame["b"] == "v")
    frame["y"] += rng.normal(size=3)[frame["h"].map({"k": 0, "l": 1, "m": 2})]
    return frame


def llf(formula: str, frame: Any, **options: Any) -> tuple[float, int]:
    fit = (pp.lmer if "|" in formula else pp.lm)(formula, frame, **options)
    return fit.llf, fit.nobs


# -- drop1 ----------------------------------------------------------------------------------------

DROPS: dict[str, dict[str, str]] = {
    "y ~ a * b + x + (1 | g)": {
        "x": "y ~ a * b + (1 | g)",
        "a:b": "y ~ a + b + x + (1 | g)",
    },
    "y ~ 0 + a + b + (1 | g)": {"a": "y ~ 0 + b + (1 | g)", "b": "y ~ 0 + a + (1 | g)"},
    "y ~ x + a:b + (x || g)": {"x": "y ~ a:b + (x || g)", "a:b": "y ~ x + (x || g)"},
    "y ~ x * z + (1 | g / b)": {"x:z": "y ~ x + z + (1 | g / b)"},
    "y ~ poly(x, 2) + scale(z) + (1 | g) + (0 + x | g)": {
        "poly(x, 2)": "y ~ scale(z) + (1 | g) + (0 + x | g)",
        "scale(z)": "y ~ poly(x, 2) + (1 | g) + (0 + x | g)",
    },
    "y ~ x + offset(o) + (1 | g)": {"x": "y ~ offset(o) + (1 | g)"},
    "y ~ a * b + x": {"x": "y ~ a * b", "a:b": "y ~ a + b + x"},
    "y ~ 0 + x": {"x": "y ~ 0"},
    "y ~ 1 + (1 | g)": {},
}


@pytest.mark.parametrize("formula", DROPS)
def test_drop1_is_a_fit_of_the_smaller_formula(formula: str) -> None:
    frame = data()
    mixed = "|" in formula
    options: dict[str, Any] = {"reml": False} if mixed else {}
    fit = (pp.lmer if mixed else pp.lm)(formula, frame)  # by REML: refitted
    found = drop1(fit._record)
    full, _ = llf(formula, frame, **options)
    assert list(found.index) == ["<none>", *DROPS[formula]]
    assert ("refitted" in found.attrs["note"]) == mixed
    for name, smaller in DROPS[formula].items():
        value, _ = llf(smaller, frame, **options)
        assert found.loc[name, "lrt"] == pytest.approx(2 * (full - value), abs=4 * LLF)


@pytest.mark.parametrize("kind", ["lm", "lmer"])
def test_drop1_gains_no_rows(kind: str) -> None:
    """The classic error: the model without a term has the rows in which that term was missing."""
    frame = data()
    frame.loc[::7, "x"] = np.nan
    frame.loc[3, "a"] = None
    complete = frame.dropna()
    bar, options = (" + (1 | g)", {"reml": False}) if kind == "lmer" else ("", {})
    fit = (pp.lmer if bar else pp.lm)(f"y ~ x + a{bar}", frame, **options)
    found = drop1(fit._record)
    for name, smaller in {"x": f"y ~ a{bar}", "a": f"y ~ x{bar}"}.items():
        value, nobs = llf(smaller, complete, **options)
        assert nobs == fit.nobs
        assert found.loc[name, "lrt"] == pytest.approx(2 * (fit.llf - value), abs=4 * LLF)


def test_drop1_keeps_arrays_of_weights_and_offset() -> None:
    frame = data()
    w, o = frame["w"].to_numpy(), frame["o"].to_numpy()
    fit = pp.lmer("y ~ x + a + (1 | g)", frame, weights=w, offset=o, reml=False)
    value, _ = llf("y ~ a + (1 | g)", frame, weights=w, offset=o, reml=False)
    found = drop1(fit._record)
    assert found.loc["x", "lrt"] == pytest.approx(2 * (fit.llf - value), abs=4 * LLF)


def test_drop1_of_a_dot_and_of_a_pickle() -> None:
    frame = data()[["y", "x", "a", "g"]]
    fit = pp.lmer("y ~ . + (1 | g)", frame, reml=False)
    found = drop1(fit._record)
    assert list(found.index) == ["<none>", "x", "a"]
    value, _ = llf("y ~ a + (1 | g)", frame, reml=False)
    assert found.loc["x", "lrt"] == pytest.approx(2 * (fit.llf - value), abs=4 * LLF)
    again = pickle.loads(pickle.dumps(fit))  # the data stay behind, the rows do not
    pd.testing.assert_frame_equal(drop1(again._record), found)
    pd.testing.assert_frame_equal(ranova(again._record), ranova(fit._record))


def test_drop1_changes_nothing_of_its_model() -> None:
    fit = pp.lmer("y ~ x + a + (x | g)", data(), control=pp.Control(start=(1.0, 0.1, 1.0)))
    before = fit.theta.to_numpy().copy()
    drop1(fit._record)
    ranova(fit._record)
    np.testing.assert_array_equal(fit.theta, before)
    assert fit.reml


def test_drop1_by_f_is_the_change_of_the_residual_sum_of_squares() -> None:
    frame = holes(data())
    for formula, drops in DROPS.items():
        if "|" in formula or "0 + x" in formula:
            continue
        fit = pp.lm(formula, frame)
        found = drop1(fit._record, test="F")
        for name, smaller in drops.items():
            without = pp.lm(smaller, frame)
            gain = without.deviance - fit.deviance
            df = without.df_resid - fit.df_resid
            row = found.loc[name]
            assert [row["sum_sq"], row["num_df"]] == pytest.approx([gain, df], rel=1e-8)
            assert row["F"] == pytest.approx(gain / df / fit.scale, rel=1e-8)


# -- ranova ---------------------------------------------------------------------------------------

RANDOM: dict[str, dict[str, tuple[str | None, int | None]]] = {
    "(1 | g)": {"(1 | g)": (None, 0)},
    "(x | g)": {"(x | g)": ("(1 | g)", 1)},
    "(0 + x | g)": {"(0 + x | g)": (None, 0)},
    "(x || g)": {"1 in (x || g)": ("(0 + x | g)", 0), "x in (x || g)": ("(1 | g)", 0)},
    "(b | g)": {"(b | g)": ("(1 | g)", 1)},
    "(x + z | g)": {"x in (x + z | g)": ("(z | g)", 2), "z in (x + z | g)": ("(x | g)", 2)},
    "(x * z | g)": {"(x * z | g)": ("(x + z | g)", 3)},
    "(1 | g) + (0 + x | g)": {
        "(1 | g)": ("(0 + x | g)", 0),
        "(0 + x | g)": ("(1 | g)", 0),
    },
    "(1 | h) + (x | g)": {"(1 | h)": ("(x | g)", 0), "(x | g)": ("(1 | h) + (1 | g)", 1)},
    "(1 | h2 / h)": {"(1 | h:h2)": ("(1 | h2)", 0), "(1 | h2)": ("(1 | h:h2)", 0)},
    "(a | g)": {"(a | g)": ("(1 | g)", None)},
}


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("bars", RANDOM)
def test_ranova_is_a_fit_of_the_smaller_formula(bars: str, reml: bool) -> None:
    frame = data()
    fit = pp.lmer(f"y ~ x + {bars}", frame, reml=reml)
    found = ranova(fit._record)
    assert set(found.index) == {"<none>", *RANDOM[bars]}
    for name, (left, covariances) in RANDOM[bars].items():
        row = found.loc[name]
        if left is None:
            value = linear_criterion(frame, reml)
            npar = 3
        else:
            other = pp.lmer(f"y ~ x + {left}", frame, reml=reml)
            value, npar = other.llf, 3 + len(other.theta)
        assert row["llf"] == pytest.approx(value, abs=LLF)
        assert row["npar"] == npar
        assert row["df"] == found.loc["<none>", "npar"] - npar
        wanted = mixture_tail(row["lrt"], covariances)
        np.testing.assert_equal(row["p_value_mixture"], wanted)


def linear_criterion(frame: pd.DataFrame, reml: bool) -> float:
    """Log-likelihood of the linear model, restricted or not, from its definition."""
    X = np.column_stack([np.ones(len(frame)), frame["x"]])
    n, p = X.shape
    _, rss, *_ = np.linalg.lstsq(X, frame["y"].to_numpy(), rcond=None)
    if not reml:
        return float(-0.5 * n * (np.log(2 * np.pi * rss[0] / n) + 1))
    logdet = np.linalg.slogdet(X.T @ X)[1]
    v = n - p
    return float(-0.5 * (v * (np.log(2 * np.pi * rss[0] / v) + 1) + logdet))


def test_the_mixture_is_the_law_of_a_variance_on_the_boundary() -> None:
    assert mixture_tail(0.0, 0) == 1.0
    assert mixture_tail(2.705543, 0) == pytest.approx(0.05, abs=1e-6)  # half of chi2_1
    assert mixture_tail(5.138, 1) == pytest.approx(0.05, abs=1e-4)  # Stram and Lee (1994)
    assert np.isnan(mixture_tail(1.0, None))
    assert mixture_tail(0.0, None) == mixture_tail(0.0, 2) == 1.0


def test_ranova_of_a_singular_fit_tests_nothing_away() -> None:
    frame = data()
    frame["y"] = np.random.default_rng(4).normal(size=len(frame))
    frame["y"] -= frame.groupby("g")["y"].transform("mean")
    row = ranova(pp.lmer("y ~ x + (1 | g)", frame)._record).loc["(1 | g)"]
    assert [row["lrt"], row["p_value"], row["p_value_mixture"]] == [0.0, 1.0, 1.0]


# -- comparison -----------------------------------------------------------------------------------


def ml(formula: str, frame: pd.DataFrame, **options: Any) -> Any:
    return pp.lmer(formula, frame, reml=False, **options)._record


def pair(frame: pd.DataFrame, weights: Any = None) -> list[Any]:
    return [
        pp.lm("y ~ a + offset(o)", frame, weights=weights)._record,
        ml("y ~ a + offset(o) + (1 | g)", frame, weights=weights),
        ml("y ~ a + x + offset(o) + (x | g)", frame, weights=weights),
    ]


@pytest.mark.parametrize("weights", [None, "w"])
def test_bootstrap_is_a_plain_loop_of_refits(weights: str | None) -> None:
    frame = data(3, n=60)
    records = pair(frame, weights)
    n = 40
    found = compare_models(records, test="bootstrap", n=n, seed=5)
    roots = np.random.SeedSequence(5).spawn(2)
    for k, (small, large) in enumerate([(records[0], records[1]), (records[1], records[2])]):
        (stream,) = roots[k].spawn(1)
        Y = parametric(small, "new").responses(np.random.default_rng(stream), n)
        observed = 2 * (value(large) - value(small))
        drawn = [2 * (value(large, y) - value(small, y)) for y in Y]
        wanted = (1 + sum(t >= observed - 1e-8 for t in drawn)) / (1 + n)
        row = found.iloc[k + 1]
        assert row["p_value_bootstrap"] == pytest.approx(wanted)
        assert [row["replicates"], row["failures"]] == [n, 0]
        ratios = lr_bootstrap.ratios(small, large, stream, n)
        np.testing.assert_allclose(ratios, np.maximum(drawn, 0), atol=1e-5)


def value(record: Any, y: Any = None) -> float:
    from partialpool.models import LinearMixedModel, LinearModel
    from partialpool.ols import OlsRecord

    model = (LinearModel if isinstance(record, OlsRecord) else LinearMixedModel)(record)
    return float((model if y is None else model.refit(y)).llf)


def test_bootstrap_does_not_depend_on_the_workers() -> None:
    records = pair(data(3, n=60))
    one = compare_models(records, test="bootstrap", n=600, seed=9)
    two = compare_models(records, test="bootstrap", n=600, seed=9, n_jobs=2)
    pd.testing.assert_frame_equal(one, two)
    sequence = np.random.SeedSequence(9)
    for _ in range(2):
        again = compare_models(records, test="bootstrap", n=600, seed=sequence)
        pd.testing.assert_frame_equal(one, again)


def test_bootstrap_has_the_exact_law_of_one_variance() -> None:
    """Which is known for any n (Crainiceanu and Ruppert 2004); chi2_1 / 2 is far from it here."""
    frame = data(3, n=60)
    frame["y"] = np.random.default_rng(8).normal(size=60)
    frame["y"] += 0.4 * np.random.default_rng(1).normal(size=12)[frame["g"]]
    records = [pp.lm("y ~ x", frame)._record, ml("y ~ x + (1 | g)", frame)]
    found = compare_models(records, test="bootstrap", n=4000, seed=1).iloc[1]
    X = np.column_stack([np.ones(60), frame["x"]])
    Z = pd.get_dummies(frame["g"]).to_numpy(dtype=float)
    drawn = exact_ratios(X, Z, 4000, np.random.default_rng(2))
    wanted = np.mean(drawn >= found["chisq"])
    assert 0.01 < wanted < 0.3
    error = np.sqrt(2 * wanted * (1 - wanted) / 4000)
    assert abs(found["p_value_bootstrap"] - wanted) < 4 * error


def exact_ratios(X: np.ndarray, Z: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Their theorem 1 for ML, both models with the same fixed part, on a grid of lambda."""
    n, p = X.shape
    Q = np.linalg.qr(X)[0]
    mu = np.linalg.eigvalsh(Z.T @ Z - Z.T @ Q @ (Q.T @ Z)).clip(0)
    xi = np.linalg.eigvalsh(Z.T @ Z)
    scale = np.concatenate([[0.0], np.exp(np.linspace(-12, 4, 400))])[:, None]
    w = rng.normal(size=(count, len(mu))) ** 2
    rest = rng.chisquare(n - p - len(mu), count)
    N = (scale * mu / (1 + scale * mu)) @ w.T
    D = (1 / (1 + scale * mu)) @ w.T + rest
    value = n * np.log1p(N / D) - np.log1p(scale * xi).sum(axis=1)[:, None]
    return np.asarray(value.max(axis=0))


def test_models_are_sorted_and_named() -> None:
    records = pair(data())
    found = compare_models(records[::-1], ["large", "middle", "small"])
    assert list(found.index) == ["small", "middle", "large"]
    np.testing.assert_allclose(found["deviance"], -2 * found["llf"])
    steps = np.diff(found["deviance"])
    np.testing.assert_allclose(found["chisq"].iloc[1:], -steps)
    assert list(found["df"].iloc[1:]) == list(np.diff(found["npar"]))


def test_comparison_recognises_the_same_rows_behind_other_missing_values() -> None:
    frame = data()
    frame.loc[[2, 5], "x"] = np.nan
    whole = pp.lmer("y ~ a + x + (1 | g)", frame)._record
    part = pp.lmer("y ~ a + (1 | g)", frame)._record
    with pytest.raises(pp.DataError, match="240 and 238 rows|238 and 240 rows"):
        compare_models([whole, part])
    other = frame.copy()
    other.loc[[2, 5], "x"] = 0.0
    other.loc[[3, 6], "x"] = np.nan
    moved = pp.lmer("y ~ a + x + (1 | g)", other)._record
    with pytest.raises(pp.DataError, match="different rows"):
        compare_models([whole, moved])


@pytest.mark.parametrize(
    ("formula", "options", "match"),
    [
        ("I(2 * y) ~ a + (1 | g)", {}, "different responses"),
        ("y ~ a + (1 | g)", {"weights": "w"}, "different weights"),
    ],
)
def test_comparison_refuses_other_data(formula: str, options: Any, match: str) -> None:
    frame = data()
    with pytest.raises(pp.DataError, match=match):
        compare_models([ml("y ~ x + a + (1 | g)", frame), ml(formula, frame, **options)])


def test_comparison_says_what_a_reader_must_know() -> None:
    frame = data()

    def note(*formulas: str, **options: Any) -> str:
        records = [(ml if "|" in f else lm)(f, frame) for f in formulas]
        return str(compare_models(records, **options).attrs["note"])

    def lm(formula: str, frame: pd.DataFrame) -> Any:
        return pp.lm(formula, frame)._record

    assert note("y ~ x + (1 | g)", "y ~ x + a + (1 | g)") == ""
    assert "boundary" in note("y ~ x", "y ~ x + (1 | g)")
    assert "not contained" in note("y ~ x + (1 | g)", "y ~ a + (1 | g)")
    assert "random part of m0 is not contained" in note("y ~ x + (1 | g)", "y ~ x + a + (1 | h)")
    assert "as many parameters" in note("y ~ x + (1 | g)", "y ~ z + (1 | g)")
    assert note("y ~ x + I(x^2) + (1 | g)", "y ~ poly(x, 3) + (1 | g)") == ""
    assert "offsets" in note("y ~ offset(x) + (1 | g)", "y ~ x + (1 | g)")
    assert "not contained" in note("y ~ x + z", "y ~ x + (x | g)")
