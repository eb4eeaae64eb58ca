"""A refit ends where a new fit to the same response ends, from whatever theta it starts."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool import lmm, stage


def simulated(levels: int, slope: float, seed: int) -> Any:
    generator = np.random.default_rng(seed)
    g = np.repeat(np.arange(levels), generator.integers(3, 9, levels))
    x = generator.standard_normal(len(g))
    u = generator.standard_normal((2, levels))
    y = u[0, g] + slope * u[1, g] * x + generator.standard_normal(len(g))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        return pp.lmer("y ~ x + (x | g)", {"y": y, "x": x, "g": g})


def new_fit(record: Any, y: np.ndarray) -> Any:
    rows = record.rows._replace(y=y)
    prepared = stage.of_rows(rows, spec=record.spec, schema=record.schema, table=None)
    return lmm.fit_stage(prepared, record.control)


@pytest.mark.parametrize(
    ("levels", "slope", "seed"), [(4, 0.7, 0), (6, 0.7, 0), (6, 0.0, 3), (15, 0.0, 1), (25, 0.7, 2)]
)
def test_refits_end_at_the_minimum_of_a_new_fit(levels: int, slope: float, seed: int) -> None:
    """From a singular theta too, where the factors have a saddle."""
    fit = simulated(levels, slope, seed)
    record = fit._record
    Y = np.ascontiguousarray(fit.simulate(150, seed=1).T)
    many = lmm.refit_many(record, Y)
    assert many["converged"].all()
    for y, value in zip(Y, many["objective"], strict=True):
        expected = new_fit(record, y).solution.objective
        again = lmm.refitted(record, y)
        assert again.optimum.converged
        assert again.solution.objective == pytest.approx(expected, abs=1e-6)
        assert value == pytest.approx(expected, abs=1e-6)


def test_some_of_these_start_from_a_singular_theta() -> None:
    singular = [simulated(*case)._record.optimum.rank for case in ((4, 0.7, 0), (15, 0.0, 1))]
    assert (1,) in singular
