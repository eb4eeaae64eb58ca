"""What hostile use found: each test is an attack that once gave a wrong answer, or could."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp

SLOPES = "y ~ x + f + (x | g)"


def made(n: int = 120, levels: int = 8, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g, x = np.arange(n) % levels, rng.normal(size=n)
    b = rng.normal(size=(levels, 2)) * [1, 0.5]
    f = np.array(list("abc"))[rng.integers(0, 3, n)]
    y = 1 + 2 * x + b[g, 0] + b[g, 1] * x + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "f": f, "g": g, "w": rng.uniform(0.5, 2, n)})


# -- updates that change the kind of model --------------------------------------------------------


def test_an_update_cannot_take_all_bars_from_a_mixed_model() -> None:
    """It ended the process with a segmentation fault."""
    fit = pp.lmer("y ~ x + (1 | g)", made())
    with pytest.raises(pp.FormulaError, match=r"needs a random-effects term.*pp\.lm"):
        fit.update("y ~ x")


def test_an_update_cannot_add_a_bar_to_a_linear_model() -> None:
    """It left the bar out, without a word, and showed it in the formula."""
    fit = pp.lm("y ~ x", made())
    with pytest.raises(pp.FormulaError, match=r"\(1 \| g\).*use pp\.lmer"):
        fit.update(". ~ . + (1 | g)")


@pytest.mark.parametrize("formula", [3, ["y ~ x"], b"y ~ x"])
def test_an_update_takes_a_string(formula: Any) -> None:
    with pytest.raises(pp.FormulaError, match="A formula is a string"):
        pp.lm("y ~ x", made()).update(formula)


# -- data frames that change after the fit --------------------------------------------------------


def changed_in_place(frame: pd.DataFrame, how: str) -> None:
    """As `sort_values(inplace=True)` and the like do, which newer versions of pandas deprecate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if how == "sort":
            frame.sort_values("x", inplace=True)
        elif how == "sort and number":
            frame.sort_values("x", inplace=True, ignore_index=True)
        else:
            frame.drop(frame.index[:60], inplace=True)


@pytest.mark.parametrize("how", ["sort", "sort and number", "drop"])
@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + (x | g)"])
def test_rows_moved_in_place_leave_residuals_with_their_labels(formula: str, how: str) -> None:
    """Residuals went to the labels of other rows; `augment` put them beside other rows."""
    frame = made()
    fit = (pp.lmer if "|" in formula else pp.lm)(formula, frame)
    before, text = fit.resid(), str(fit.summary())
    changed_in_place(frame, how)
    pd.testing.assert_series_equal(fit.resid(), before)
    assert str(fit.summary()) == text
    with pytest.raises(pp.DataError, match=r"augment\(\).*since the fit"):
        fit.augment()


def test_rows_moved_in_place_do_not_take_an_array_of_weights_along() -> None:
    frame = made()
    fit = pp.lm("y ~ x", frame, weights=frame["w"].to_numpy())
    changed_in_place(frame, "sort")
    with pytest.raises(pp.SpecificationError, match=r"Give update\(weights=\.\.\.\) again"):
        fit.update("y ~ x + f")


def test_an_update_does_not_count_an_offset_twice() -> None:
    frame = made()
    fit = pp.lm("y ~ x + offset(w)", frame, offset=frame["g"].to_numpy(dtype=float))
    with pytest.raises(pp.SpecificationError, match=r"Give update\(offset=\.\.\.\) again"):
        fit.update()


def test_a_new_column_does_not_keep_a_model_from_its_data() -> None:
    frame = made()
    fit = pp.lm("y ~ x", frame)
    frame["r"] = fit.resid()
    assert np.array_equal(fit.augment()["r"], fit.augment()["resid"])


def test_values_changed_after_the_fit_change_nothing() -> None:
    frame = made()
    fit = pp.lmer(SLOPES, frame, weights="w")
    new, response = made(seed=1), 2 * frame["y"].to_numpy()

    def all_of_it() -> list[Any]:
        return [
            fit.hatvalues().to_numpy(),
            fit.refit(response).params.to_numpy(),
            fit.predict(new, se=True).to_numpy(),
            fit.simulate(1, seed=0),
            fit.resid("scaled").to_numpy(),
        ]

    before = all_of_it()
    frame[["y", "x", "w"]] = 0.0
    frame["g"], frame["f"] = 0, "a"
    assert all(np.array_equal(a, b) for a, b in zip(all_of_it(), before, strict=True))


# -- responses of refits --------------------------------------------------------------------------


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + (1 | g)"])
def test_a_refit_does_not_take_values_for_those_of_other_rows(formula: str) -> None:
    """A Series in another order was taken by position."""
    frame = made()
    fit = (pp.lmer if "|" in formula else pp.lm)(formula, frame)
    again = fit.refit(frame["y"])
    np.testing.assert_allclose(again.params, fit.params, rtol=1e-6)
    with pytest.raises(pp.DataError, match=r"index differs.*y\.to_numpy\(\)"):
        fit.refit(frame["y"].sample(frac=1, random_state=0))


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + (1 | g)"])
def test_a_refit_refuses_complex_values(formula: str) -> None:
    """Their imaginary parts were dropped."""
    fit = (pp.lmer if "|" in formula else pp.lm)(formula, made())
    with pytest.raises(pp.DataError, match="complex"):
        fit.refit(np.full(120, 1 + 1j))


# -- numbers beyond what can be computed with -----------------------------------------------------


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_units_of_the_response_do_not_matter(scale: float) -> None:
    frame = made()
    fit = pp.lmer("y ~ x + (1 | g)", frame)
    other = pp.lmer("y ~ x + (1 | g)", frame.assign(y=scale * frame["y"]))
    np.testing.assert_allclose(other.params / scale, fit.params, rtol=1e-9)
    np.testing.assert_allclose(other.theta, fit.theta, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_a_response_too_large_or_small_to_square_is_refused_or_right(scale: float) -> None:
    """It ended in a ValueError of zip()."""
    frame = made()
    try:
        other = pp.lmer("y ~ x + (x | g)", frame.assign(y=scale * frame["y"]))
    except pp.ConvergenceError:
        return
    np.testing.assert_allclose(
        other.params / scale, pp.lmer("y ~ x + (x | g)", frame).params, rtol=1e-6
    )


def test_more_parameters_than_there_is_memory_for_are_refused() -> None:
    """The Hessian of 180,300 parameters would take 260 GB; it was a bare MemoryError."""
    frame = pd.DataFrame({"y": np.arange(9000.0) % 13, "k": np.arange(9000) % 600})
    frame["g"] = np.arange(9000) % 7
    with pytest.raises(pp.SpecificationError, match=r"\(C\(k\) \| g\).*180300 parameters"):
        pp.lmer("y ~ 1 + (C(k) | g)", frame)
