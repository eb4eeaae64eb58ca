"""Summaries of real fits: the numbers that R prints, and the remarks that a reader needs."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool._types import TermSpec
from partialpool.report import notes, summary, tables
from partialpool.report.tables import abbreviate
from partialpool.varcorr import Component, VarCorr

# Printed by lme4 1.1-31 with a tight optimiser (bobyqa, rhoend=1e-10; the default one stops
# earlier and prints 612.10 and 24.741). In its words only the title, "Intercept" and the
# abbreviated names differ.
SLEEP_MIXED = """\
Linear mixed model fit by REML
Formula: Reaction ~ Days + (Days | Subject)
Data: 180 rows

REML criterion at convergence: 1743.6

Scaled residuals:
    Min      1Q  Median      3Q     Max
-3.9536 -0.4634  0.0231  0.4634  5.1793

Random effects:
Groups   Name      Variance Std.Dev. Corr
Subject  Intercept   612.09   24.740
         Days         35.07    5.922 0.07
Residual             654.94   25.592
Number of obs: 180, groups: Subject, 18

Fixed effects:
          Estimate Std. Error df t value Pr(>|t|)
Intercept  251.405      6.825 17  36.838 <2.2e-16 ***
Days        10.467      1.546 17   6.771 3.26e-06 ***
---
Signif. codes: *** below 0.001, ** below 0.01, * below 0.05, . below 0.1

Correlation of fixed effects:
     Intrcp
Days -0.138

df and p-values: Satterthwaite's method."""


@pytest.fixture(scope="module")
def mpg() -> pd.DataFrame:
    frame: pd.DataFrame = pp.datasets.load("mpg")
    return frame


@pytest.fixture(scope="module")
def sleep() -> pd.DataFrame:
    frame: pd.DataFrame = pp.datasets.load("sleepstudy")
    return frame


def test_a_mixed_model_prints_the_numbers_of_lme4(sleep: pd.DataFrame) -> None:
    fit = pp.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    assert str(fit.summary()) == SLEEP_MIXED
    assert repr(fit.summary()) == fit.summary().as_text() == SLEEP_MIXED


def test_maximum_likelihood_prints_the_numbers_of_lme4(sleep: pd.DataFrame) -> None:
    # As above, with REML = FALSE.
    text = str(pp.lmer("Reaction ~ Days + (Days | Subject)", sleep, reml=False).summary())
    assert text.startswith("Linear mixed model fit by maximum likelihood\n")
    for line in (
        "     AIC      BIC   logLik deviance df.resid",
        "  1763.9   1783.1   -876.0   1751.9      174",
        "-3.9416 -0.4656  0.0289  0.4636  5.1793",
        "Subject  Intercept   565.52   23.781",
        "         Days         32.68    5.717 0.08",
        "Residual             654.94   25.592",
        "Intercept  251.405      6.632 18  37.906 <2.2e-16 ***",
        "Days        10.467      1.502 18   6.968 1.65e-06 ***",
    ):
        assert line in text.splitlines()


def test_several_magnitudes_in_a_column_print_as_in_lme4(mpg: pd.DataFrame) -> None:
    # summary(lmer(hwy ~ displ + year + (1 | class), mpg)); -214.28953 there: ours ends in ..9535.
    text = str(pp.lmer("hwy ~ displ + year + (1 | class)", mpg).summary())
    rows = {w[0]: w[1:] for line in text.splitlines() if len(w := line.split()) >= 4}
    assert rows["displ"] == ["-2.39122", "0.20905", "231.0", "-11.438", "<2.2e-16", "***"]
    assert rows["year"] == ["0.12324", "0.03975", "225.0", "3.101", "0.00218", "**"]
    assert rows["class"] == ["Intercept", "15.755", "3.969"]
    assert rows["Intercept"][0] in ("-214.28953", "-214.28954")


def test_a_linear_model_prints_the_numbers_of_r(mpg: pd.DataFrame) -> None:
    # summary(lm(hwy ~ displ + year + drv, mpg)), which prints -271.9413 for -271.941352 though.
    lines = str(pp.lm("hwy ~ displ + year + drv", mpg).summary()).splitlines()
    assert lines[0] == "Linear model fit by least squares"
    for line in (
        "-9.6570 -1.6941 -0.2147  1.5793 14.4838",
        "Intercept -271.9414    88.6423  -3.068 0.002416  **",
        "displ       -3.0150     0.2154 -13.998 <2.2e-16 ***",
        "drv[T.r]     5.3281     0.7174   7.427 2.18e-12 ***",
        "Residual standard error: 3.013 on 229 degrees of freedom",
        "R-squared: 0.7484, adjusted: 0.7440",
        "F-statistic: 170.3 on 4 and 229 DF, p-value: <2.2e-16",
    ):
        assert [w for row in lines for w in [row.split()] if w == line.split()], line


def test_a_model_without_slopes_has_no_f_test(mpg: pd.DataFrame) -> None:
    text = str(pp.lm("hwy ~ 1", mpg).summary())
    assert "F-statistic" not in text
    assert "Residual standard error: 5.955 on 233 degrees of freedom" in text


def test_a_model_without_fixed_effects_prints(sleep: pd.DataFrame) -> None:
    text = str(pp.lmer("Reaction ~ 0 + (1 | Subject)", sleep).summary())
    assert "Fixed effects" not in text
    assert "Subject" in text


def test_correlations_of_three_columns_form_a_triangle(mpg: pd.DataFrame) -> None:
    with pytest.warns(pp.SingularFitWarning):
        fit = pp.lmer("hwy ~ displ + (1 + displ + cyl | manufacturer)", mpg)
    table = tables.random_effects(fit._record)
    assert table.exact("corr_1")[0] is None
    assert -1 <= table.exact("corr_1")[2] <= 1
    assert -1 <= table.exact("corr_2")[2] <= 1
    assert table.exact("corr_2")[1] is None


def test_uncorrelated_columns_show_no_correlation(sleep: pd.DataFrame) -> None:
    fit = pp.lmer("Reaction ~ Days + (Days || Subject)", sleep)
    assert "Corr " not in str(fit.summary())
    keys = [f.key for f in tables.random_effects(fit._record).fields]
    assert keys == ["group", "term", "variance", "std_dev"]


def test_a_variance_of_zero_is_explained() -> None:
    with pytest.warns(pp.SingularFitWarning):
        fit = pp.lmer("Yield ~ 1 + (1 | Batch)", pp.datasets.load("Dyestuff2"))
    text = " ".join(str(fit.summary()).split())
    assert "Singular fit: in (1 | Batch) the variance of Intercept is estimated as zero" in text
    assert "levels of Batch" in text


def estimated(factor: list[list[float]], *, diagonal: bool = False) -> VarCorr:
    """The estimates of one term with this relative factor."""
    f = np.array(factor)
    names = ("Intercept", "a", "b", "c")[: len(f)]
    return VarCorr((Component(TermSpec("g", names, diagonal, "(a | g)"), f, f @ f.T),), 1.0)


@pytest.mark.parametrize(
    ("factor", "diagonal", "words"),
    [
        ([[1.0, 0.0], [0.5, 0.0]], False, "correlation of Intercept and a is estimated as 1:"),
        ([[1.0, 0.0], [-0.5, 0.0]], False, "correlation of Intercept and a is estimated as -1:"),
        ([[0.0, 0.0], [0.0, 0.5]], True, "variance of Intercept is estimated as zero"),
        ([[0.0, 0.0], [0.0, 0.0]], True, "variances of Intercept and a are estimated as zero"),
        ([[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.5, 0.3, 0.0]], False, "lower rank than its size"),
        ([[1.0, 0.0], [0.5, 3e-7]], False, "correlation of Intercept and a is estimated as 1:"),
        ([[1.0, 0.0], [0.0, 3e-7]], False, "is only 3.0e-07 residual standard deviations"),
    ],
)
def test_each_kind_of_singular_term_has_its_words(
    factor: list[list[float]], diagonal: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = estimated(factor, diagonal=diagonal)
    monkeypatch.setattr(notes.varcorr, "of", lambda record: found)
    (note,) = notes.singular(None)  # type: ignore[arg-type]
    assert words in note.text


def test_the_direction_without_variance_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = estimated([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    monkeypatch.setattr(notes.varcorr, "of", lambda record: found)
    (note,) = notes.singular(None)  # type: ignore[arg-type]
    # c = a + b with standard deviations 1, 1 and sqrt(2).
    assert "one direction has no variance" in note.text
    assert "0.71 b" in note.text
    assert "- 0.50 Intercept - 0.50 a" in note.text


def test_a_fit_that_is_not_certified_says_so_first(sleep: pd.DataFrame) -> None:
    fit = pp.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    record = fit._record
    bad = replace(record, optimum=record.optimum._replace(converged=False, message="stopped"))
    lines = str(summary.build(bad)).splitlines()
    assert lines[1].startswith("!! NOT AT A CERTIFIED OPTIMUM: stopped")
    assert 'role="alert"' in summary.build(bad).as_html()


def test_dropped_columns_are_named(mpg: pd.DataFrame) -> None:
    frame = mpg.assign(twice=2 * mpg["displ"])
    with pytest.warns(pp.RankDeficientWarning):
        fit = pp.lm("hwy ~ displ + twice + year", frame)
    text = " ".join(str(fit.summary()).split())
    assert "twice NaN NaN NaN NaN" in text
    assert "Dropped columns" in text
    assert "twice (from displ)" in text


def test_rows_left_out_are_counted(mpg: pd.DataFrame) -> None:
    frame = mpg.copy()
    frame.loc[[3, 5], "displ"] = np.nan
    with pytest.warns(pp.MissingDataWarning):
        fit = pp.lm("hwy ~ displ", frame)
    assert "Data: 232 of 234 rows (2 left out: missing values)" in str(fit.summary())


def test_weights_and_offset_are_shown(mpg: pd.DataFrame) -> None:
    fit = pp.lm("hwy ~ displ", mpg, weights="cyl", offset="cty")
    text = str(fit.summary())
    assert "Weights: cyl\nOffset: cty\n" in text
    assert "Weighted residuals:" in text


def test_more_than_twenty_coefficients_have_no_correlation_matrix(mpg: pd.DataFrame) -> None:
    fit = pp.lmer("hwy ~ manufacturer + trans + (1 | model)", mpg)
    assert len(fit.params) > 20
    text = " ".join(str(fit.summary()).split())
    assert "Correlation of fixed effects: not shown for" in text
    assert "correlation" not in json.loads(fit.summary().as_json())


def test_a_perfect_fit_prints_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = str(pp.lm("y ~ x", {"x": [1.0, 2, 3, 4], "y": [2.0, 4, 6, 8]}).summary())
    assert "Coefficients" in text


def test_json_holds_the_exact_numbers(sleep: pd.DataFrame) -> None:
    fit = pp.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    out = json.loads(fit.summary().as_json())
    assert out["model"] == "lmer"
    assert out["fixed_effects"][1]["estimate"] == fit.params["Days"]
    assert out["criteria"]["reml_criterion"] == fit.reml_criterion
    optimum = {"converged": True, "certified": True, "singular": False}
    assert out["optimum"] == optimum | {"evaluations": fit.optimum.evaluations}
    assert out["size"] == {"nobs": 180, "groups": {"Subject": 18}}
    assert out["random_effects"][1]["corr_1"] == pytest.approx(0.0655, abs=1e-3)
    plain = json.loads(pp.lm("Reaction ~ Days", sleep).summary().as_json())
    assert plain["fixed_effects"][0]["df"] == 178
    assert math.isclose(plain["fit"]["rsquared"], pp.lm("Reaction ~ Days", sleep).rsquared)


def test_a_hostile_column_name_is_escaped(sleep: pd.DataFrame) -> None:
    frame = sleep.rename(columns={"Days": "<script>alert(1)</script>"})
    fit = pp.lmer("Reaction ~ `<script>alert(1)</script>` + (1 | Subject)", frame)
    out = fit.summary()._repr_html_()
    assert "<script" not in out
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in out


def test_abbreviations_are_short_and_distinct() -> None:
    names = ["Intercept", "displ", "drv[T.f]", "drv[T.r]", "drv[T.r]:displ", "x" * 50, "x" * 51]
    names += [f"manufacturer[T.{x}]" for x in ("audi", "audio", "auditor")]
    short = abbreviate(names)
    assert len(set(short)) == len(names)
    assert all(0 < len(s) <= 6 for s in short)
    assert abbreviate(["trans[T.auto(l3)]", "trans[T.auto(l4)]"])[1] == "traol4"
    assert short[:4] == ("Intrcp", "displ", "drvf", "drvr")


def test_an_exact_fit_is_explained_once() -> None:
    with pytest.warns(pp.SingularFitWarning):
        fit = pp.lmer("y ~ displ + (displ | class)", pp.datasets.load("mpg").assign(y=1.0))
    text = " ".join(str(fit.summary()).split())
    assert text.endswith("Is the response constant, or computed from the predictors?")
    assert "Singular fit: in" not in text
    assert "nan" not in text
