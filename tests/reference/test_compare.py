"""The comparison on mpg against R 4.2.2: lm, lme4 1.1-31, lmerTest 3.1-3, clubSandwich 0.5.8."""

from __future__ import annotations

import math

import numpy as np
import pytest

import partialpool as pp

PRINTED = 1e-8  # relative: ten digits of lm
OPTIMUM = 1e-5  # relative: what lme4's optimum leaves of lmer's, with tolerances of 1e-12


@pytest.fixture(scope="module")
def c():
    return pp.compare("hwy ~ displ + year + (1 | class)", pp.datasets.load("mpg"))


# Each row: lm(hwy ~ displ + year) with standard errors and those of vcovCR(type = "CR2") by class;
# lmer(hwy ~ displ + year + (1 | class)); lm(hwy ~ displ + year + class).
LM = {
    "Intercept": (-276.1544137699, 111.15443781302, 96.7663905098),
    "displ": (-3.6109861657, 0.19382548654, 0.4996353108),
    "year": (0.1557929563, 0.05552865356, 0.0482128868),
}
LMER = {
    "Intercept": (-214.2895349642, 79.52844683601),
    "displ": (-2.3912235868, 0.20905306398),
    "year": (0.1232423307, 0.03974727965),
}
WITHIN = {
    "displ": (-2.4033667948, 0.21198329288),
    "year": (0.1232479266, 0.03974536497),
}


def test_the_three_fits(c):
    for name, row in c.table.iterrows():
        estimate, se, cr2 = LM[name]
        assert row["complete_pooling"] == pytest.approx(estimate, rel=PRINTED)
        assert row["complete_pooling_se"] == pytest.approx(se, rel=PRINTED)
        assert row["complete_pooling_cr2_se"] == pytest.approx(cr2, rel=PRINTED)
        estimate, se = LMER[name]
        assert row["partial_pooling"] == pytest.approx(estimate, rel=OPTIMUM)
        assert row["partial_pooling_se"] == pytest.approx(se, rel=OPTIMUM)
        estimate, se = WITHIN.get(name, (math.nan, math.nan))
        assert row["no_pooling"] == pytest.approx(estimate, rel=PRINTED, nan_ok=True)
        assert row["no_pooling_se"] == pytest.approx(se, rel=PRINTED, nan_ok=True)


def test_the_between_estimates(c):
    """lm of the seven class means, with weights n / (1 + n theta^2), and n."""
    assert c.table.loc["displ", "between"] == pytest.approx(-4.747216745, rel=OPTIMUM)
    assert c.table.loc["year", "between"] == pytest.approx(9.153552357, rel=OPTIMUM)
    lm = c.decomposition_lm.to_frame()["between"]
    assert lm["displ"] == pytest.approx(-5.918444907, rel=PRINTED)
    assert lm["year"] == pytest.approx(5.620270573, rel=PRINTED)


@pytest.mark.parametrize(
    ("ratio", "displ", "year"),
    [
        (0.1, -3.3065151475, 0.1481983472),
        (1.0, -2.3850283415, 0.1233692551),
        (10.0, -2.403019158, 0.123246382),
    ],
)
def test_points_of_the_path(c, ratio, displ, year):
    """solve(t(X) %*% Vi %*% X, t(X) %*% Vi %*% y) with V = I + ratio^2 Z Z'."""
    found = c.coefficients_at(ratio)
    assert found["displ"] == pytest.approx(displ, rel=PRINTED)
    assert found["year"] == pytest.approx(year, rel=PRINTED)


def test_crossed_factors_without_pooling():
    """lm(hwy ~ displ + year + class + manufacturer)."""
    mpg = pp.datasets.load("mpg")
    t = pp.compare("hwy ~ displ + year + (1 | class) + (1 | manufacturer)", mpg).table
    assert t.loc["displ", "no_pooling"] == pytest.approx(-2.4029666359, rel=PRINTED)
    assert t.loc["displ", "no_pooling_se"] == pytest.approx(0.29141043738, rel=PRINTED)
    assert t.loc["year", "no_pooling"] == pytest.approx(0.1384536052, rel=PRINTED)
    assert t.loc["year", "no_pooling_se"] == pytest.approx(0.03921491126, rel=PRINTED)


def test_weights():
    """The same with weights = cty."""
    c = pp.compare("hwy ~ displ + (1 | class)", pp.datasets.load("mpg"), weights="cty")
    row = c.table.loc["displ"]
    assert c.ratio == pytest.approx(0.3111496876, rel=1e-4)
    assert row["partial_pooling"] == pytest.approx(-2.561279522, rel=OPTIMUM)
    assert row["no_pooling"] == pytest.approx(-2.581323726, rel=PRINTED)
    assert row["no_pooling_se"] == pytest.approx(0.2490225952, rel=PRINTED)


def test_reml_sits_beyond_no_pooling(c):
    """The path is not monotone: it passes its own end."""
    displ = c.path["displ"].to_numpy()
    assert displ[0] == pytest.approx(-3.6109861657, rel=PRINTED)
    assert displ[-1] == pytest.approx(-2.4033667948, rel=PRINTED)
    at = int(np.argmin(np.abs(c.path["ratio"] - c.ratio)))
    assert c.ratio == pytest.approx(1.4729438, abs=1e-5)
    assert displ[at] > displ[-1]
    assert displ.max() > displ[-1] + 0.005


def test_the_contextual_effect(c):
    """lmerTest 3.1-3 with displ - 3 and year - 2000; with year as it is, its numerical Hessian
    loses digits and prints 4.13 degrees of freedom."""
    effect = c.contextual.of("displ")
    assert effect.estimate == pytest.approx(-2.33800661, abs=1e-6)
    assert effect.std_error == pytest.approx(2.898982277, rel=1e-5)
    assert effect.df == pytest.approx(3.9621639, abs=1e-4)
    assert effect.p_value == pytest.approx(0.46558092, abs=1e-5)
    assert abs(c.contextual.F - 0.64547779) < 1e-5
    assert c.contextual.num_df == 2
    assert not c.contextual.in_doubt


def test_the_average_is_exact(c):
    d = c.decomposition
    np.testing.assert_allclose(d.recombined, d.beta, rtol=1e-10)
    assert d.matrix[1, 1] == pytest.approx(0.0281282, rel=1e-4)


def test_dependence(c):
    """Closed forms of MATH 13 from the class sizes."""
    n = np.array([5, 47, 41, 11, 33, 35, 62])
    icc = c.ratio**2 / (1 + c.ratio**2)
    assert c.icc == pytest.approx(icc, rel=1e-12)
    assert c.design_effect == pytest.approx(1 + ((n**2).sum() / 234 - 1) * icc, rel=1e-12)
    assert c.effective_n == pytest.approx((n / (1 + (n - 1) * icc)).sum(), rel=1e-12)
