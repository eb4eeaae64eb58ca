"""Generalised variance inflation against ``vif`` of R's car (R 4.2.2, lme4 1.1-31)."""

from __future__ import annotations

import numpy as np
import pytest

import partialpool as pp
from partialpool.collinearity import inflation
from tests.reference import lme4

CASES = [
    ("hwy ~ displ + year + cyl + drv + class", 1e-9,
     [13.198691409, 1.039927127, 8.473659069, 5.808803299, 7.671882637]),
    ("hwy ~ displ + year + cty", 1e-8, [2.870349127, 1.041542022, 2.811507910]),
    ("hwy ~ displ + I(displ^2) + year", 1e-8, [38.352252284, 38.264953341, 1.023692738]),
    # theta enters: the reference ran with bobyqa at rhoend 1e-12
    ("hwy ~ displ + year + cyl + drv + (1 | class)", 1e-6,
     [5.701137190, 1.034563977, 4.916729644, 1.425648924]),
]  # fmt: skip


@pytest.mark.parametrize(("formula", "tolerance", "gvif"), CASES)
def test_gvif(formula, tolerance, gvif):
    fit = (pp.lmer if "|" in formula else pp.lm)(formula, lme4.data("mpg"))
    found = [i.gvif for i in inflation(fit._record)]
    np.testing.assert_allclose(found, gvif, rtol=tolerance)
