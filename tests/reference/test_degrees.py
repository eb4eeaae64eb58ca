"""Degrees of freedom, adjusted covariances and F tests of lmerTest 3.1-3 and pbkrtest 0.5.2."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import partialpool as pp
from partialpool.inference import degrees
from tests.reference import lme4
from tests.reference.test_lmer_cases import fitted

pytestmark = pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")

NUMERICAL = 1e-4  # relative: lmerTest's derivatives are difference quotients, its optimum lme4's
KR = 1e-5  # relative; pbkrtest's formulas are exact, at lme4's optimum
BALANCED = ("dyestuff", "sleep_reml", "sleep_intercept", "penicillin", "pastes_nested", "cake")

TESTED = [name for name in lme4.LMER if "lmerTest" in lme4.CASES[name]]
ADJUSTED = [name for name in lme4.LMER if "kenward_roger" in lme4.CASES[name]]


def ordered(table, key, record, frame):
    """A column of R's table of coefficients, in the order of ours."""
    terms, values = np.atleast_1d(table["term"]), np.atleast_1d(table[key])
    by_name = lme4.named(dict(zip(terms, values, strict=True)), frame)
    return np.array([by_name[record.names[i]] for i in record.kept])


def case(name):
    return lme4.CASES[name], fitted(name)._record, lme4.data(lme4.CASES[name]["data"])


def compare_coefficients(found, record, frame, ddf, tolerance):
    L = np.eye(len(record.kept))
    df = degrees.df(record, L, ddf)
    np.testing.assert_allclose(df, ordered(found, "df", record, frame), rtol=tolerance)
    t = record.solution.beta / np.sqrt(np.diag(degrees.covariance(record, ddf)))
    np.testing.assert_allclose(t, ordered(found, "t", record, frame), rtol=1e-5, atol=1e-6)
    p = 2 * special.stdtr(df, -np.abs(t))
    np.testing.assert_allclose(p, ordered(found, "p", record, frame), rtol=1e-3)


@pytest.mark.parametrize("name", TESTED)
def test_satterthwaite_of_each_coefficient(name):
    stored, record, frame = case(name)
    found = stored["lmerTest"]["coefficients"]
    compare_coefficients(found, record, frame, "satterthwaite", NUMERICAL)


@pytest.mark.parametrize("name", ADJUSTED)
def test_kenward_roger_of_each_coefficient(name):
    stored, record, frame = case(name)
    tolerance = 1e-6 if name in BALANCED else KR
    found = stored["kenward_roger"]["coefficients"]
    compare_coefficients(found, record, frame, "kenward-roger", tolerance)


@pytest.mark.parametrize("name", ADJUSTED)
def test_adjusted_covariance(name):
    stored, record, _ = case(name)
    expected = np.array(stored["kenward_roger"]["vcov_adjusted"], dtype=float)
    actual = degrees.covariance(record, "kenward-roger")
    np.testing.assert_allclose(actual, expected.reshape(actual.shape), rtol=KR)


def interaction_rows(record):
    return np.eye(len(record.kept))[[i for i, n in enumerate(record.names) if ":" in n]]


@pytest.mark.parametrize("ddf", degrees.METHODS)
def test_the_interaction_of_the_cakes(ddf):
    stored, record, _ = case("cake")
    table = stored["kenward_roger"]["anova3"]  # balanced: both methods agree
    row = table["term"].index("recipe:temperature")
    test = degrees.f_test(record, interaction_rows(record), ddf)
    assert test.num_df == table["NumDF"][row]
    assert pytest.approx(table["F value"][row], rel=1e-6) == test.F
    assert test.den_df == pytest.approx(table["DenDF"][row], rel=1e-6)
    assert test.p_value == pytest.approx(table["Pr(>F)"][row], rel=1e-5)


@pytest.fixture(scope="module")
def quadratic():
    """Rows 111 and 112 of the list of acceptance values, printed to 1e-6."""
    formula = "Reaction ~ Days + I(Days**2) + (Days | Subject)"
    return pp.lmer(formula, lme4.data("sleepstudy"))._record


def test_quadratic_trend(quadratic):
    df = degrees.df(quadratic, np.eye(3))
    np.testing.assert_allclose(df, [24.8428, 114.4312, 143.0001], rtol=NUMERICAL)
    both = degrees.f_test(quadratic, np.eye(3)[1:])
    assert pytest.approx(23.75435, rel=2e-6) == both.F
    assert both.den_df == pytest.approx(51.563, rel=NUMERICAL)
    both = degrees.f_test(quadratic, np.eye(3)[1:], "kenward-roger")
    assert pytest.approx(23.36452, rel=2e-6) == both.F
    assert both.den_df == pytest.approx(39.81704, rel=2e-6)
    assert both.scale == pytest.approx(0.983589, rel=1e-6)


def test_rows_109_110_and_121():
    sleep = lme4.data("sleepstudy")
    slopes = pp.lmer("Reaction ~ Days + (Days | Subject)", sleep)._record
    for ddf in degrees.METHODS:
        np.testing.assert_allclose(degrees.df(slopes, np.eye(2), ddf), 17, rtol=1e-6)
    intercepts = pp.lmer("Reaction ~ Days + (1 | Subject)", sleep)._record
    np.testing.assert_allclose(degrees.df(intercepts, np.eye(2)), [22.8102, 161], rtol=1e-6)
    crossed = pp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", lme4.data("Penicillin"))._record
    assert degrees.df(crossed, np.eye(1))[0] == pytest.approx(5.48659, rel=1e-4)
    assert degrees.df(crossed, np.eye(1), "kenward-roger")[0] == pytest.approx(5.48706, rel=1e-4)


UNBALANCED = [  # coefficients, ddf, F, den_df, scale: R, at lme4's optimum
    (("grp[T.1]", "grp[T.2]"), "kenward-roger", 0.386117843, 14.903337810, 0.999985029629),
    (("grp[T.1]", "grp[T.2]"), "satterthwaite", 0.387530397, 15.3632913724, 1),
    (("Days:grp[T.1]", "Days:grp[T.2]"), "kenward-roger", 0.840480564, 14.8117087, 0.9999829865),
    (("Days:grp[T.1]", "Days:grp[T.2]"), "satterthwaite", 0.843494788, 15.3494302917, 1),
    (None, "kenward-roger", 8.23325488624, 16.9079672726, 0.920542954),
    (None, "satterthwaite", 8.96721032, 15.3403111166, 1),
]


@pytest.fixture(scope="module")
def unbalanced():
    data = lme4.data("sleepstudy")
    data["grp"] = ((data.Subject.cat.codes + 1) % 3).astype(str)
    lost = np.array([3, 4, 5, 17, 18, 41, 77, 78, 79, 80, 121, 122, 150]) - 1
    data = data.drop(index=data.index[lost])
    return pp.lmer("Reaction ~ Days * grp + (Days | Subject)", data)._record


@pytest.mark.parametrize(("names", "ddf", "F", "den_df", "scale"), UNBALANCED)
def test_several_coefficients_of_an_unbalanced_design(unbalanced, names, ddf, F, den_df, scale):
    chosen = [n in names if names else n != "Intercept" for n in unbalanced.names]
    test = degrees.f_test(unbalanced, np.eye(6)[chosen], ddf)
    assert test.num_df == sum(chosen)
    assert pytest.approx(F, rel=3e-5) == test.F
    assert test.den_df == pytest.approx(den_df, rel=3e-5)
    assert test.scale == pytest.approx(scale, rel=1e-7)


def test_a_variance_of_zero():
    """lmerTest counts as if there were no groups; Kenward and Roger's method keeps them."""
    record = fitted("dyestuff2_singular")._record
    assert degrees.df(record, np.eye(1))[0] == pytest.approx(29)
    test = degrees.f_test(record, np.eye(1), "kenward-roger")
    assert test.den_df == pytest.approx(5)
    assert pytest.approx(69.7485951551, rel=1e-8) == test.F
    assert degrees.satterthwaite(record).boundary == ("(1 | Batch)",)
    assert degrees.kenward_roger(record).boundary == ()
