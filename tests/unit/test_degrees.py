"""Degrees of freedom and F tests: exact cases, invariance, size, bad input."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import partialpool as pp
from partialpool._errors import SpecificationError
from partialpool.inference import degrees

METHODS = degrees.METHODS
RS = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def sleep():
    return pp.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def record(sleep):
    return pp.lmer(RS, sleep)._record


def nested(outer, inner, rows=2, seed=5):
    rng = np.random.default_rng(seed)
    a = np.repeat(np.arange(outer), inner * rows)
    b = np.repeat(np.arange(outer * inner), rows)
    y = rng.normal(size=outer)[a] + rng.normal(size=outer * inner)[b] + rng.normal(size=len(a))
    return pd.DataFrame({"y": y, "a": pd.Categorical(a), "b": pd.Categorical(b)})


@pytest.fixture(scope="module")
def wide():
    """More upper levels than the dense algebra takes."""
    return pp.lmer("y ~ 1 + (1 | a) + (1 | b)", nested(4500, 2))._record


@pytest.mark.parametrize("ddf", METHODS)
def test_linear_models_have_exact_tests(ddf):
    mpg = pp.datasets.load("mpg")
    small, large = (pp.lm(f, mpg)._record for f in ("hwy ~ displ", "hwy ~ displ + drv + year"))
    L = np.eye(5)[[i for i, name in enumerate(large.names) if name not in small.names]]
    test = degrees.f_test(large, L[: len(L)], ddf)
    drop = [n for n in large.names if n not in ("Intercept", "displ")]
    assert test.num_df == len(drop)
    F = (small.rss - large.rss) / test.num_df / large.sigma**2
    assert pytest.approx(F) == test.F
    assert test.den_df == large.df_resid
    assert test.p_value == pytest.approx(stats.f.sf(F, test.num_df, large.df_resid))
    assert test.scale == 1
    np.testing.assert_array_equal(degrees.df(large, L, ddf), large.df_resid)


@pytest.mark.parametrize("ddf", METHODS)
def test_a_balanced_nesting_gives_the_degrees_of_freedom_of_its_means(ddf):
    found = pp.lmer("y ~ 1 + (1 | a) + (1 | b)", nested(12, 3))._record
    assert found.optimum.rank == (1, 1)
    assert degrees.df(found, np.eye(1), ddf)[0] == pytest.approx(11, rel=1e-6)


def test_many_upper_levels_take_differences_of_the_gradient(wide):
    assert degrees.df(wide, np.eye(1))[0] == pytest.approx(4499, rel=1e-5)


def test_kenward_roger_refuses_what_would_not_fit_and_says_what_it_would_take(wide):
    with pytest.raises(SpecificationError, match=r"4,500 dense columns.*GB.*satterthwaite"):
        degrees.df(wide, np.eye(1), "kenward-roger")


@pytest.mark.parametrize("ddf", METHODS)
def test_units_and_origins_of_the_covariate_do_not_matter(sleep, record, ddf):
    moved = pp.lmer(RS, sleep.assign(Days=sleep.Days * 60 + 1.6e9))._record
    slope = np.array([[0.0, 1.0]])
    assert degrees.df(moved, slope, ddf) == pytest.approx(degrees.df(record, slope, ddf), rel=1e-4)


@pytest.mark.parametrize("ddf", METHODS)
def test_f_does_not_depend_on_the_rows_that_span_the_hypothesis(sleep, ddf):
    data = sleep.assign(third=[str(int(s) % 3) for s in sleep.Subject])
    found = pp.lmer("Reaction ~ Days * third + (Days | Subject)", data)._record
    L = np.eye(6)[3:]
    once = degrees.f_test(found, L, ddf)
    mix = np.array([[1.0, 2, 0], [0, 1, 3], [1, 0, 1], [2, 3, 4]])  # four rows of rank three
    again = degrees.f_test(found, mix @ L, ddf)
    assert again.num_df == once.num_df == 3
    assert pytest.approx(once.F, rel=1e-9) == again.F
    if ddf == "kenward-roger":
        assert again.den_df == pytest.approx(once.den_df, rel=1e-9)
        assert again.scale == pytest.approx(once.scale, rel=1e-9)
    else:
        assert again.den_df == pytest.approx(once.den_df, rel=0.05)


@pytest.mark.parametrize("ddf", METHODS)
def test_one_row_is_the_squared_t_test(record, ddf):
    L = np.array([[1.0, 4.5]])
    test = degrees.f_test(record, L, ddf, rhs=np.array([290.0]))
    miss = float(L[0] @ record.solution.beta) - 290
    variance = float(L[0] @ degrees.covariance(record, ddf) @ L[0])
    assert pytest.approx(miss**2 / variance) == test.F
    assert test.den_df == pytest.approx(degrees.df(record, L, ddf)[0])
    assert test.p_value == pytest.approx(2 * stats.t.sf(abs(miss) / variance**0.5, test.den_df))


def test_rows_of_very_different_units_keep_their_digits(record):
    L = np.eye(2)
    plain, scaled = (degrees.f_test(record, U) for U in (L, np.diag([1e9, 1e-9])))
    assert scaled.num_df == 2
    assert pytest.approx(plain.F, rel=1e-9) == scaled.F


def test_dependent_rows_with_one_value_are_one_hypothesis(record):
    L, rhs = np.array([[0.0, 1.0], [0.0, 2.0]]), np.array([10.0, 20.0])
    once = degrees.f_test(record, L[:1], rhs=rhs[:1])
    twice = degrees.f_test(record, L, rhs=rhs)
    assert twice.num_df == 1
    assert pytest.approx(once.F) == twice.F
    with pytest.raises(SpecificationError, match="contradict"):
        degrees.f_test(record, L, rhs=np.array([10.0, 21.0]))


@pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")
@pytest.mark.parametrize("ddf", METHODS)
def test_a_response_without_noise_has_the_degrees_of_freedom_of_least_squares(sleep, ddf):
    found = pp.lmer(RS, sleep.assign(Reaction=2.0 + sleep.Days))._record
    assert found.solution.sigma == 0
    np.testing.assert_array_equal(degrees.df(found, np.eye(2), ddf), 178)


@pytest.mark.parametrize("ddf", METHODS)
def test_models_without_fixed_effects_have_nothing_to_test(sleep, ddf):
    found = pp.lmer("Reaction ~ 0 + (1 | Subject)", sleep)._record
    assert degrees.df(found, np.empty((0, 0)), ddf).shape == (0,)
    assert degrees.covariance(found, ddf).shape == (0, 0)


@pytest.mark.parametrize("ddf", METHODS)
def test_a_row_of_zeros_has_no_degrees_of_freedom(record, ddf):
    assert np.isnan(degrees.df(record, np.zeros((1, 2)), ddf)).all()


def test_maximum_likelihood_has_satterthwaite_only(sleep):
    found = pp.lmer(RS, sleep, reml=False)._record
    # balanced, so exact: 18 subjects, whose covariance is estimated without loss for the mean
    np.testing.assert_allclose(degrees.df(found, np.eye(2)), 18, rtol=1e-6)
    with pytest.raises(SpecificationError, match="reml=True"):
        degrees.f_test(found, np.eye(2), "kenward-roger")


@pytest.mark.parametrize("L", [np.eye(3), np.ones(2), np.full((1, 2), np.nan), np.zeros((1, 2))])
def test_matrices_of_contrasts_that_cannot_be(record, L):
    with pytest.raises(SpecificationError, match="L "):
        degrees.f_test(record, L)


def test_options_that_do_not_exist(record):
    with pytest.raises(SpecificationError, match="ddf='kr' must be 'satterthwaite'"):
        degrees.df(record, np.eye(2), "kr")
    with pytest.raises(SpecificationError, match="rhs has shape"):
        degrees.f_test(record, np.eye(2), rhs=np.zeros(3))


def test_results_are_computed_once_frozen_and_picklable(sleep):
    found = pp.lmer(RS, sleep)._record
    for function in (degrees.satterthwaite, degrees.kenward_roger):
        first = function(found)
        assert function(found) is first
        again = pickle.loads(pickle.dumps(first))
        np.testing.assert_array_equal(again.covariance, first.covariance)
        with pytest.raises(ValueError, match="read-only"):
            first.covariance[0, 0] = 1


@pytest.mark.parametrize("ddf", METHODS)
def test_tests_keep_their_digits_where_a_covariate_is_far_from_zero(ddf):
    """Seconds since 1970: the elements of the covariance are huge and of opposite signs."""
    rng = np.random.default_rng(0)
    x = np.tile(np.arange(10.0), 12)
    data = pd.DataFrame({"g": np.repeat(list("abcdefghijkl"), 10), "a": np.tile(list("pqr"), 40)})
    data["y"] = 0.3 * x + np.repeat(rng.normal(size=12), 10) + rng.normal(size=120)
    found = []
    for start in (0.0, 1.7e9):
        fit = pp.lmer("y ~ a + t + (1 | g)", data.assign(t=start + 10 * x))
        L = np.array([[1, 0, 0, start], [0, 0, 0, 1], [1, 1, 0, start + 50]])
        joint, one = (degrees.f_test(fit._record, rows, ddf) for rows in (L, L[:1]))
        line = fit.contrast({"Intercept": 1, "t": start}, joint=False, ddf=ddf)
        limits = fit.predict(data.assign(t=start + 30), random="none", interval="confidence")
        found.append([*degrees.df(fit._record, L, ddf), *joint, *one, *line.to_numpy()[0]])
        found[-1] += np.asarray(limits)[:6].ravel().tolist()
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


def test_what_is_kept_with_a_fit_cannot_be_written_to(record):
    for found in (degrees.satterthwaite(record), degrees.kenward_roger(record)):
        for value in vars(found).values():
            for array in value if isinstance(value, tuple) else (value,):
                assert not isinstance(array, np.ndarray) or not array.flags.writeable
