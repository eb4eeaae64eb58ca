"""ICC and R^2 of the stored fits."""

from __future__ import annotations

import numpy as np
import pytest

import partialpool as pp
from partialpool import quality
from tests.reference import lme4

STORED = 2e-6
"""Relative: the variances are known to 1e-6 of themselves (the reference optimiser's tolerance),
and the shares are smooth in them."""

WITH_R2 = [name for name in lme4.LMER if "r2" in lme4.CASES[name]]


def fitted(name):
    case = lme4.CASES[name]
    return pp.lmer(case["formula"], lme4.data(case["data"]), reml=case["REML"])._record


def test_there_are_stored_values():
    assert len(WITH_R2) == 5


@pytest.mark.parametrize("name", WITH_R2)
def test_r2_and_icc(name):
    expected, record = lme4.CASES[name]["r2"], fitted(name)
    shares, correlation = quality.r2(record), quality.icc(record)
    actual = [*shares, *correlation]
    keys = ("marginal", "conditional", "icc_adjusted", "icc_unadjusted")
    np.testing.assert_allclose(actual, [expected[k] for k in keys], rtol=STORED, atol=1e-12)
