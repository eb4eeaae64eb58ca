"""Kenward and Roger's method against its definition in n x n matrices, weights included.

pbkrtest ignores prior weights, so for those nothing else is a reference.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
import pytest

import partialpool as pp
from partialpool.inference import degrees
from tests.twin import inference
from tests.twin.designs import COUNT, make_design

AGREE = 1e-10  # relative to the largest element, times the condition of the information
SEEDS = range(0, COUNT, 5)


@lru_cache(maxsize=4)
def fitted(seed):
    design = make_design(seed)
    options = design.options | {"reml": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        record = pp.lmer(design.formula, design.frame, **options)._record
    design.options["reml"] = True
    terms = [term for _, _, term in design.terms]
    return design, record, inference.kenward_roger(design.dense(), terms, record.solution.theta)


def contrasts(p):
    """Each coefficient, all of them, and a few that depend on each other."""
    rng = np.random.default_rng(p)
    mixed = rng.normal(size=(min(p, 2), p))
    return np.eye(p), mixed, np.vstack([mixed, mixed.sum(axis=0)])


@pytest.mark.parametrize("seed", SEEDS)
def test_adjusted_covariance_matches_the_definition(seed):
    _, record, twin = fitted(seed)
    expected = twin.adjusted.astype(float)
    tolerance = AGREE * twin.condition * np.abs(expected).max()
    actual = degrees.covariance(record, "kenward-roger")
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("seed", SEEDS)
def test_degrees_of_freedom_and_scale_match_the_definition(seed):
    _, record, twin = fitted(seed)
    everything, mixed, dependent = contrasts(len(record.kept))
    for row in everything:
        _, expected, scale = inference.kenward_roger_f(twin, row[None])
        assert scale == pytest.approx(1, rel=1e-6)
        actual = degrees.df(record, row[None], "kenward-roger")
        assert actual == pytest.approx([expected], rel=1e-6)
    for L, rows in ((everything, everything), (mixed, mixed), (dependent, mixed)):
        F, den, scale = inference.kenward_roger_f(twin, rows)
        test = degrees.f_test(record, L, "kenward-roger")
        assert test.num_df == len(rows)
        if den > 0 and scale > 0:
            assert pytest.approx(F, rel=1e-6) == test.F
            assert test.den_df == pytest.approx(den, rel=1e-6)
            assert test.scale == pytest.approx(scale, rel=1e-6)


def test_the_designs_have_weights_nestings_crossings_slopes_and_boundaries():
    designs = [make_design(seed) for seed in SEEDS]
    structures = {design.structure for design in designs}
    assert {"nested", "crossed", "slopes", "diagonal", "crossed with slopes"} <= structures
    assert sum(design.weights is not None for design in designs) > 5
    assert sum(min(fitted(seed)[1].optimum.rank) == 0 for seed in SEEDS) > 2
