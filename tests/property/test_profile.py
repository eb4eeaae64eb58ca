"""What must hold of profiles whatever the data: units, levels, and the interpolation between."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.inference import profile

BETWEEN = 1e-3
"""Of the interval's width: limits read off a curve between its points, against a curve that has a
point there. The worst is 3e-4, near a variance of zero."""

FITS = [
    ("Reaction ~ Days + (Days | Subject)", "sleepstudy"),
    ("Reaction ~ Days + (Days || Subject)", "sleepstudy"),
    ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin"),
    ("strength ~ 1 + (1 | batch/cask)", "Pastes"),
    ("hwy ~ displ + year + (1 | class)", "mpg"),
]


def record(formula, frame, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.SingularFitWarning)
        return pp.lmer(formula, frame, reml=False, **options)._record


@pytest.mark.parametrize(("formula", "data"), FITS)
def test_limits_between_the_points_are_those_with_a_point_there(formula, data):
    fit = record(formula, pp.datasets.load(data))
    curves = profile.profile(fit, level=0.995)
    for level in (0.3, 0.6, 0.7, 0.93, 0.97, 0.985, 0.992):
        read, exact = curves.conf_int(level), profile.profile(fit, level=level).conf_int(level)
        width = (exact["upper"] - exact["lower"]).to_numpy()[:, None]
        np.testing.assert_array_less(abs(read - exact).to_numpy() / width, BETWEEN)


@pytest.mark.parametrize(("formula", "data"), FITS)
def test_intervals_of_higher_levels_hold_those_of_lower_ones(formula, data):
    found = profile.profile(record(formula, pp.datasets.load(data)), level=0.999)
    inner = found.conf_int(0.01)
    for level in (0.1, 0.5, 0.9, 0.95, 0.99, 0.999):
        outer = found.conf_int(level)
        assert (outer["lower"] <= inner["lower"]).all()
        assert (outer["upper"] >= inner["upper"]).all()
        inner = outer


def test_limits_follow_the_units():
    frame = pp.datasets.load("sleepstudy")
    plain = profile.profile(record(FITS[0][0], frame)).conf_int()
    other = frame.assign(Reaction=frame["Reaction"] * 1e-6, Days=frame["Days"] * 1e4)
    scaled = profile.profile(record(FITS[0][0], other)).conf_int()
    units = pd.Series([1e-6, 1e-10, 1e-6, 1e-6, 1e-10, 1], index=plain.index)
    pd.testing.assert_frame_equal(scaled, plain.mul(units, axis=0), rtol=1e-6)


def test_limits_of_slopes_do_not_move_with_the_origin_of_their_covariate():
    frame = pp.datasets.load("sleepstudy")
    plain = profile.profile(record(FITS[0][0], frame)).conf_int()
    moved = frame.assign(Days=frame["Days"] + 1990)
    limits = profile.profile(record(FITS[0][0], moved)).conf_int()
    for name in ("Days", "sigma", "sd(Days | Subject)"):
        np.testing.assert_allclose(limits.loc[name], plain.loc[name], rtol=1e-6)


def test_offsets_and_weights_take_part():
    rng = np.random.default_rng(5)
    frame = pp.datasets.load("sleepstudy")
    weights, shift = rng.uniform(0.5, 2, len(frame)), rng.normal(size=len(frame)) * 50
    plain = profile.profile(record(FITS[0][0], frame, weights=weights)).conf_int()
    moved = frame.assign(Reaction=frame["Reaction"] + shift)
    limits = profile.profile(record(FITS[0][0], moved, weights=weights, offset=shift)).conf_int()
    pd.testing.assert_frame_equal(limits, plain, rtol=1e-7)
    four = profile.profile(record(FITS[0][0], frame, weights=4 * weights)).conf_int()
    pd.testing.assert_frame_equal(four.drop("sigma"), plain.drop("sigma"), rtol=1e-6)
    np.testing.assert_allclose(four.loc["sigma"], 2 * plain.loc["sigma"], rtol=1e-6)


def test_a_model_without_fixed_effects_is_profiled():
    fit = record("Reaction ~ 0 + (1 | Subject)", pp.datasets.load("sleepstudy"))
    limits = profile.profile(fit).conf_int()
    assert list(limits.index) == ["sigma", "sd(Intercept | Subject)"]
    assert (limits["lower"] > 0).all()
