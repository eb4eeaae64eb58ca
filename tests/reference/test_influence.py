"""Deletion diagnostics of lme4 1.1-31: ``influence(fit, "Subject")``, ``cooks.distance``, and rows
25 and 40 to 42 of the list of acceptance values."""

from __future__ import annotations

import numpy as np
import pytest

import partialpool as pp
from partialpool.influence import influence
from tests.reference import lme4

TIGHT = 1e-6  # relative; the reference ran with bobyqa at rhoend 1e-12
LIST = 1e-4  # relative; of the list


@pytest.fixture(scope="module")
def intercepts():
    return pp.lmer("Reaction ~ Days + (1 | Subject)", lme4.data("sleepstudy"))


def test_rows_25_and_40_and_41_take_theta_as_known(intercepts):
    slopes = pp.lmer("Reaction ~ Days + (Days | Subject)", lme4.data("sleepstudy"))
    assert slopes.hatvalues().iloc[0] == pytest.approx(0.229304, rel=LIST)
    assert slopes.hatvalues().sum() == pytest.approx(29.02212, rel=LIST)
    np.testing.assert_allclose(
        slopes.cooks_distance()[:3], [0.004963, 0.040206, 0.226099], rtol=LIST
    )
    np.testing.assert_allclose(
        intercepts.hatvalues()[:3], [0.107483, 0.102096, 0.098056], rtol=1e-5
    )
    np.testing.assert_allclose(
        intercepts.cooks_distance()[:3], [0.127646, 0.127347, 0.243725], rtol=1e-5
    )
    np.testing.assert_allclose(intercepts.rstudent()[:3], [-1.45598, -1.49664, -2.11747], rtol=1e-5)


def test_row_42(intercepts):
    cooks = influence(intercepts._record, "Subject").cooks_distance
    np.testing.assert_allclose(cooks[["308", "309"]], [0.339215, 0.290309], rtol=LIST)
    first = influence(intercepts._record).estimates[0]
    np.testing.assert_allclose(first, [252.323536, 10.322270], rtol=1e-7)


def test_levels(intercepts):
    found = influence(intercepts._record, "Subject")
    cooks = [
        0.339214602794, 0.290309061035, 0.130612560547, 0.132715519784, 0.066568469224,
        0.003380380757, 0.010025741391, 0.007776326150, 0.467719327400, 0.286120337888,
        0.031434712768, 0.198452408609, 0.040017743940, 0.051273072998, 0.002908544464,
        0.137807194800, 0.004121839261, 0.008692254671,
    ]  # fmt: skip
    np.testing.assert_allclose(found.cooks_distance, cooks, rtol=TIGHT)
    # lme4's dfbeta is the estimate without less the one with all rows: the other sign.
    theirs = [[0.4242609269, -0.66455390969], [2.7264799644, 0.48267650030]]
    np.testing.assert_allclose(-found.dfbeta[:2], theirs, rtol=TIGHT)
    theirs = [[0.04316066481, -0.86709024747], [0.30633802525, 0.57905485902]]
    np.testing.assert_allclose(-found.dfbetas[:2], theirs, rtol=TIGHT)


def test_rows(intercepts):
    found = influence(intercepts._record)
    cooks = [1.650334418e-02, 1.066340535e-02, 1.129307670e-02, 5.392487130e-06, 1.732773127e-04]
    np.testing.assert_allclose(found.cooks_distance[:5], cooks, rtol=1e-5)
    np.testing.assert_allclose(
        -found.dfbetas.iloc[0], [0.093376400114, -0.179757657243], rtol=TIGHT
    )
