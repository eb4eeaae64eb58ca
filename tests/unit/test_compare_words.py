"""What the text of a comparison must and must not say, situation by situation."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from tests import comparisons
from tests.comparisons import SITUATIONS

pytestmark = pytest.mark.filterwarnings("ignore::partialpool.PartialPoolWarning")


@cache
def compared(name):
    s = SITUATIONS[name]
    return pp.compare(s.formula, s.data, **s.options)


NEITHER = "neither an alarm nor an all-clear"
DOUBT = "evidence that they are not, "
NO_SIGN = "no sign against that"
OUTSIDE = "does not lie between lm's and no pooling's is no error"
BLEND = "lm blends the two"
FACTOR = "as a factor"

# name: (must say, must not say)
SAYS = {
    "mpg": (
        (
            "the 234 rows",
            "each of the 7 levels of class have an intercept of its own",
            "58 % comes from differences between levels in lm and 2.8 % in lmer",
            "Neither fit is broken: ",
            "displ, which differs most, goes from -3.61 (lm) to -2.39 (lmer)",
            "Rows of one class alone (no pooling) give -2.40",
            "lmer moves towards the first",
            "-5.92 (weighed as in lm; -4.75 as in lmer)",
            BLEND,
            OUTSIDE,
            "contextual effect",
            "-2.34 (SE 2.90, 4.0 df, p = 0.47",
            "seven levels cannot tell whether the gap is a warning",
            NEITHER,
            "as 10 independent ones",
            "0.194, which takes them as independent, is too small for its estimate: 0.994",
            "rough with seven levels",
            "lm with class as a factor (-2.40, SE 0.212)",
            "REML puts it at 1.47 residual standard deviations",
        ),
        (DOUBT, NO_SIGN, "coincide", "maximum likelihood"),
    ),
    "related": (
        (
            DOUBT,
            "p < 0.001",
            "so that the gap is a warning",
            "rather than the lmer fitted here",
            "or lmer with the means of the levels added",
        ),
        (NEITHER, NO_SIGN, "Neither fit is broken", "rough with", OUTSIDE),
    ),
    "unrelated": (
        (NO_SIGN, "cannot exclude smaller ones", "Neither fit is broken", "as a factor (3.01"),
        (NEITHER, DOUBT, "all-clear", "rough with"),
    ),
    "constant within": (
        (
            "constant within the levels of site",
            "only the 30 levels tell of it",
            "no pooling has no estimate",
            "knowledge from outside has to decide",
        ),
        (FACTOR, BLEND, NEITHER, DOUBT, NO_SIGN, "towards", "Mundlak"),
    ),
    "zero": (
        (
            "lm and lmer agree here: REML estimates the variance of the effects of site as zero",
            "does not prove the true variance to be zero",
            "does not prove the rows independent",
            "a variance is estimated as zero there, which can make this overconfident",
            "which is where this fit ended",
        ),
        ("goes from", "level resemble", "Because rows resemble", "too small", "the gap", FACTOR),
    ),
    "balanced": (
        (
            "have the same coefficients here because of the design alone",
            "every level has the same mean",
            "is too large for its estimate",
            "only precision is at stake",
        ),
        ("goes from", "the gap", NEITHER, DOUBT, "happen to agree", "0 %", "cancels"),
    ),
    "few levels": (
        ("three levels are too few", NEITHER, "rough with three levels"),
        (DOUBT, NO_SIGN, "contextual effect", BLEND),
    ),
    "small": (
        ("evidence that they are not, but of a small difference, at most", "Neither fit is broken"),
        (
            "the gap is a warning",
            "mix the two",
            "rather than the lmer fitted here",
            NEITHER,
            NO_SIGN,
        ),
    ),
    "partly zero": (
        ("with an estimated variance of zero for x by site", "share its effects"),
        ("which is where this fit ended", "agree here"),
    ),
    "crossed": (
        (
            "each of the 15 levels of manufacturer and each of the 7 levels of class",
            "the same levels of manufacturer and class",
            "lm with manufacturer and class as factors",
            "between levels of class less that within",
            NEITHER,
            "all variances of random effects at zero",
        ),
        (BLEND, "means of the levels gives", "correlation", "CR2", NO_SIGN),
    ),
    "nested": (
        (
            "have the same coefficients here because of the design alone",
            "cask:batch",
            "mean of strength",
        ),
        ("Mundlak", "covariate", "once", "the gap", "cancels"),
    ),
    "slopes, balanced": (
        (
            "an intercept and a coefficient of Days of its own",
            "have the same coefficients here because of the design alone",
            "every level has the same mean",
        ),
        (FACTOR, BLEND, "cancels", "goes from", "correlation", "share its effects"),
    ),
    "slopes, unbalanced": (
        (
            "would tend to",
            "because each level of Subject has a coefficient of its own there",
            "share its effects",
        ),
        (FACTOR, BLEND, "cancels", "coincide", "constant within"),
    ),
    "intercept only": (
        ("nearly agree here: the intercept hardly moves", "mean of Yield"),
        ("covariate", "Mundlak", "contextual", "once", "which differs most"),
    ),
    "weights": (
        ("goes by the weights of the rows alone", "for rows of weight 1"),
        ("counts both kinds of comparison alike", "counts every row alike"),
    ),
    "ml": (
        ("maximum likelihood puts it at", "drv[T.r]"),
        ("REML",),
    ),
    "exact": (
        ("fits the response exactly", "mean nothing", "Check whether the response is constant"),
        ("Mundlak", "nan", "goes from"),
    ),
}


def test_every_situation_is_held_to_something():
    assert SAYS.keys() == SITUATIONS.keys()


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_text_says_what_was_found_and_nothing_else(name):
    text = compared(name).text()
    must, must_not = SAYS[name]
    missing = [part for part in must if part not in text]
    assert not missing, text
    wrong = [part for part in must_not if part in text]
    assert not wrong, text


@pytest.mark.parametrize("name", SITUATIONS)
def test_four_to_eight_sentences_of_plain_text(name):
    c = compared(name)
    text, sentences = c.text(), c.sentences()
    assert text == " ".join(sentences)
    assert 4 <= len(sentences) <= 8
    assert len(re.findall(r"[.!?](?=\s|$)", text)) == len(sentences)
    assert 600 <= len(text) <= 3000
    assert "nan" not in text.lower().split()
    assert not re.search(r"\s\s|\(\)|\{|\}|;;|, ,", text)
    assert text.count("There is no OLS option for a mixed model") == 1
    assert "Lambda = 0" in text
    assert "(complete pooling)" in text
    assert "(partial pooling)" in text


def test_texts_differ_between_situations():
    assert len({compared(name).text() for name in SITUATIONS}) == len(SITUATIONS)


@pytest.mark.parametrize("name", SITUATIONS)
def test_numbers_in_the_text_are_those_of_the_tables(name):
    c = compared(name)
    if "goes from" not in c.text():
        return
    a, b = re.search(r"goes from (\S+) \(lm\) to (\S+) \(lmer\)", c.text()).groups()
    row = c.table.loc[c.focus.name]
    assert float(a.replace(",", "")) == pytest.approx(row["complete_pooling"], rel=6e-3)
    assert float(b.replace(",", "")) == pytest.approx(row["partial_pooling"], rel=6e-3)


def test_a_coefficient_that_moves_away_from_no_pooling_is_said_to():
    """Two related covariates can push each other."""
    for seed in range(200):
        rng = np.random.default_rng(seed)
        g = np.repeat(np.arange(6), rng.integers(2, 9, 6))
        n = len(g)
        x = rng.normal(size=n) + 2 * rng.normal(size=6)[g]
        u = 0.9 * x + rng.normal(size=n) + rng.normal(size=6)[g]
        y = x - u + rng.normal(size=6)[g] + rng.normal(size=n)
        d = pd.DataFrame({"y": y, "x": x, "u": u, "g": g})
        c = pp.compare("y ~ x + u + (1 | g)", d)
        row = c.focus
        if c.ratio > 0 and abs(row.partial - row.within) > abs(row.complete - row.within):
            away = ("lmer moves away from the first", "lmer moves away from that", "hardly moves")
            assert any(part in c.text() for part in away)
            assert "does not lie between" in c.text()
            return
    pytest.fail("no such data set was found")


def test_what_is_constant_within_one_of_several_factors_is_said_to_be():
    rng = np.random.default_rng(21)
    g, h = rng.integers(0, 20, 300), rng.integers(0, 8, 300)
    z = rng.normal(size=20)[g]
    y = z + rng.normal(size=20)[g] + rng.normal(size=8)[h] + rng.normal(size=300)
    c = pp.compare("y ~ z + (1 | g) + (1 | h)", pd.DataFrame({"y": y, "z": z, "g": g, "h": h}))
    assert "does not estimate it, because it is constant within the levels of g." in c.text()


def test_what_happened_comes_first():
    """The numbers that a reader came with, or that there is no difference."""
    for name in SITUATIONS:
        first = compared(name).sentences()[0]
        assert any(w in first for w in ("goes from", "hardly moves", "agree here", "the same coef"))


def test_weak_evidence_is_called_weak():
    """One covariate of several, alone below 0.05."""
    for seed in range(300):
        rng = np.random.default_rng(seed)
        g = np.repeat(np.arange(30), 6)
        d = pd.DataFrame(rng.normal(size=(180, 4)), columns=["y", "a", "b", "c"])
        d[["y", "b", "c"]] += rng.normal(size=(30, 3))[g]
        d["y"] += 0.5 * d["a"] + 0.3 * d.groupby(g)["a"].transform("mean")
        c = pp.compare("y ~ a + b + c + (1 | g)", d.assign(g=g))
        effect = c.contextual.of(c.focus.name)
        if c.contextual.p_value >= 0.05 > effect.p_value:
            assert "for one covariate but not for all together, which is weak" in c.text()
            return
    pytest.fail("no such data set was found")


def test_an_uncertified_optimum_is_said_to_be():
    s = comparisons.sleepstudy(drop=True)
    control = pp.Control(max_evaluations=1)
    c = pp.compare(s.formula, s.data, control=control)
    assert not c.mixed.optimum.converged
    assert "numbers are provisional" in c.text()


def test_the_verdict_follows_the_test():
    """Evidence, vagueness and no sign: by the p-value and the width of the interval alone."""
    seen = set()
    for seed in range(40):
        d = comparisons.simulated(15, 6, seed=seed, contextual=seed % 4 * 0.7)
        c = pp.compare("y ~ x + (1 | site)", d)
        found, text = c.contextual, c.text()
        effect = found.of("x")
        slope = abs(c.table.loc["x", "no_pooling"])
        if found.p_value < 0.05:
            verdict = DOUBT
        elif max(abs(effect.low), abs(effect.high)) >= 0.5 * slope:
            verdict = NEITHER
        else:
            verdict = NO_SIGN
        assert verdict in text
        assert sum(v in text for v in (DOUBT, NEITHER, NO_SIGN)) == 1
        seen.add(verdict)
    assert {DOUBT, NEITHER} <= seen
