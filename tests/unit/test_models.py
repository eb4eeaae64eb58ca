"""The model classes: attributes, labels, updates, what is refused."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool import options
from partialpool._types import TermSpec
from partialpool.varcorr import Component, VarCorr

EXACT = 1e-12


@pytest.fixture(scope="module")
def mpg() -> pd.DataFrame:
    return pp.datasets.load("mpg")


@pytest.fixture(scope="module")
def sleep() -> pd.DataFrame:
    return pp.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def line(mpg: pd.DataFrame) -> Any:
    return pp.lm("hwy ~ displ + drv", mpg)


@pytest.fixture(scope="module")
def slopes(sleep: pd.DataFrame) -> Any:
    return pp.lmer("Reaction ~ Days + (Days | Subject)", sleep)


def test_each_model_has_its_own_names(line: Any, slopes: Any) -> None:
    assert not [name for name in ("theta", "varcorr", "ranef", "reml") if hasattr(line, name)]
    assert not [name for name in ("rsquared", "fvalue") if hasattr(slopes, name)]


def test_models_are_frozen(line: Any, slopes: Any) -> None:
    for fit in (line, slopes):
        for name in ("params", "_record", "note"):
            with pytest.raises(AttributeError, match=f"frozen: '{name}'"):
                setattr(fit, name, 1)
        with pytest.raises(AttributeError, match="frozen"):
            del fit._record


def test_what_is_read_can_be_changed_without_changing_the_model(line: Any, slopes: Any) -> None:
    for fit in (line, slopes):
        for read in ("params", "bse", "fittedvalues"):
            before = getattr(fit, read).copy()
            values = getattr(fit, read)
            values.iloc[:] = 0
            pd.testing.assert_series_equal(getattr(fit, read), before)
        matrix = fit.cov_params()
        matrix.iloc[:, :] = 0
        assert (np.diag(fit.cov_params()) > 0).all()
        frame = fit.model_matrix()
        frame.iloc[:, :] = 0
        assert fit.model_matrix().to_numpy().any()
    theta, effects = slopes.theta, slopes.ranef()["Subject"]
    theta.iloc[:] = 0
    effects.iloc[:, :] = 0
    assert slopes.theta.all()
    assert slopes.ranef()["Subject"].to_numpy().all()


def test_vectors_are_labelled(line: Any, slopes: Any) -> None:
    names = ["Intercept", "displ", "drv[T.f]", "drv[T.r]"]
    for values in (line.params, line.bse, line.tvalues, line.pvalues, line.df):
        assert isinstance(values, pd.Series)
        assert list(values.index) == names
    assert list(line.conf_int().index) == names
    assert list(line.conf_int().columns) == ["lower", "upper"]
    assert list(line.cov_params().index) == list(line.cov_params().columns) == names
    assert list(slopes.theta.index) == [
        "Subject.Intercept",
        "Subject.Days.Intercept",
        "Subject.Days",
    ]
    assert line.df.tolist() == [230.0] * 4


def test_identities_between_attributes(line: Any, slopes: Any) -> None:
    for fit in (line, slopes):
        np.testing.assert_allclose(fit.bse**2, np.diag(fit.cov_params()), rtol=EXACT)
        np.testing.assert_allclose(fit.tvalues, fit.params / fit.bse, rtol=EXACT)
        assert fit.scale == pytest.approx(fit.sigma**2, rel=EXACT)
        total = fit.fittedvalues + fit.resid()
        response = fit.formula.split()[0]
        data = pp.datasets.load("mpg" if response == "hwy" else "sleepstudy")
        np.testing.assert_allclose(total, data[response], rtol=EXACT)
    assert slopes.objective == slopes.reml_criterion == -2 * slopes.llf
    assert slopes.df_resid == 180 - 6
    assert slopes.df_model == 1
    assert slopes.reml is True
    assert slopes.ngroups == {"Subject": 18}


def test_wald_limits(line: Any, slopes: Any) -> None:
    half = slopes.conf_int(0.9)["upper"] - slopes.params
    np.testing.assert_allclose(half / slopes.bse, 1.6448536269514722, rtol=EXACT)
    half = line.conf_int(level=0.95)["upper"] - line.params
    np.testing.assert_allclose(half / line.bse, 1.9703317, rtol=1e-7)  # t, 230 df
    with pytest.raises(pp.SpecificationError, match="limits of a linear model are exact"):
        line.conf_int(method="profile")
    with pytest.raises(pp.SpecificationError, match="method='score' must be"):
        slopes.conf_int(method="score")
    with pytest.raises(pp.SpecificationError, match="level=95"):
        line.conf_int(95)


def test_deviance_and_reml_criterion_name_each_other(slopes: Any) -> None:
    with pytest.raises(pp.UnavailableError, match="reml_criterion"):
        _ = slopes.deviance
    assert not hasattr(slopes, "deviance")
    ml = slopes.refit_ml()
    assert ml.reml is False
    assert ml.deviance == ml.objective == -2 * ml.llf
    with pytest.raises(pp.UnavailableError, match="deviance"):
        _ = ml.reml_criterion


def test_refit_ml_is_the_fit_by_maximum_likelihood(slopes: Any, sleep: pd.DataFrame) -> None:
    fresh = pp.lmer(slopes.formula, sleep, reml=False)
    assert slopes.refit_ml().deviance == pytest.approx(fresh.deviance, rel=1e-11)
    np.testing.assert_allclose(slopes.refit_ml().theta, fresh.theta, atol=1e-5)


def test_refit_with_the_same_response_changes_nothing(slopes: Any, sleep: pd.DataFrame) -> None:
    again = slopes.refit(sleep["Reaction"].to_numpy())
    assert again.objective == pytest.approx(slopes.objective, rel=1e-12)
    np.testing.assert_allclose(again.params, slopes.params, rtol=1e-9)
    assert type(again) is type(slopes)


def test_refit_takes_series_lists_and_refuses_the_rest(slopes: Any, sleep: pd.DataFrame) -> None:
    y = sleep["Reaction"] + 10
    one, other = slopes.refit(y), slopes.refit(y.tolist())
    assert one.objective == other.objective
    assert one.params.iloc[0] == pytest.approx(slopes.params.iloc[0] + 10, abs=1e-4)
    with pytest.raises(pp.DataError, match="180"):
        slopes.refit(y[:5])
    with pytest.raises(pp.DataError, match=r"nan|finite"):
        slopes.refit(y.where(y > y.min()))


def test_ranef_coef_and_ngroups() -> None:
    data = pp.datasets.load("Pastes")
    fit = pp.lmer("strength ~ 1 + (1 | batch/cask)", data)
    effects = fit.ranef()
    assert list(effects) == ["cask:batch", "batch"] == list(fit.ngroups)
    assert len(effects) == 2
    assert effects["cask:batch"].index[0] == "a:A"
    assert effects["batch"].index.name == "batch"
    assert list(effects["batch"].columns) == ["Intercept"]
    np.testing.assert_allclose(
        fit.coef()["batch"], effects["batch"] + fit.params.iloc[0], rtol=EXACT
    )
    with pytest.raises(KeyError, match="cask:batch, batch"):
        effects["cask"]
    assert "Intercept" in repr(effects)


def test_terms_on_one_group_share_a_frame(sleep: pd.DataFrame) -> None:
    fit = pp.lmer("Reaction ~ 1 + (1 | Subject) + (0 + Days | Subject)", sleep)
    effects = fit.ranef(cond_var=True)
    assert list(effects["Subject"].columns) == ["Intercept", "Days"]
    blocks = effects.cond_var["Subject"]
    assert blocks.shape == (18, 2, 2)
    assert np.isnan(blocks[:, 0, 1]).all()
    assert (np.einsum("jkk->jk", blocks) > 0).all()
    assert list(fit.coef()["Subject"].columns) == ["Intercept", "Days"]
    assert fit.ngroups == {"Subject": 18}
    assert fit.ranef().cond_var is None


def test_conditional_covariances_against_dense_algebra(slopes: Any) -> None:
    Z = slopes.model_matrix("Subject").toarray()
    psi = np.linalg.inv(slopes.varcorr["Subject"].to_numpy())
    inverse = np.linalg.inv(Z.T @ Z / slopes.scale + np.kron(np.eye(18), psi))
    blocks = slopes.ranef(cond_var=True).cond_var["Subject"]
    for j in (0, 17):
        np.testing.assert_allclose(blocks[j], inverse[2 * j : 2 * j + 2, 2 * j : 2 * j + 2])


def test_model_matrices(slopes: Any, line: Any) -> None:
    Z = slopes.model_matrix("random")
    assert Z.shape == (180, 36)
    assert Z.nnz == 360
    np.testing.assert_array_equal(Z.toarray(), slopes.model_matrix("Subject").toarray())
    assert list(slopes.model_matrix().columns) == ["Intercept", "Days"]
    with pytest.raises(pp.SpecificationError, match=r"'batch'.*Subject"):
        slopes.model_matrix("batch")
    with pytest.raises(pp.SpecificationError, match="part='random'"):
        line.model_matrix("random")
    crossed = pp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", pp.datasets.load("Penicillin"))
    assert crossed.model_matrix("random").shape == (144, 30)
    assert crossed.model_matrix("sample").shape == (144, 6)


VARCORR = """\
 Groups   Name      Std.Dev. Corr
 Subject  Intercept 24.7407
          Days       5.9221   0.066
 Residual           25.5918
"""


def test_varcorr_prints_like_r(slopes: Any) -> None:
    # R prints these digits of variances 612.1002 and 35.0717, covariance 9.6044
    psi = np.array([[612.1002, 9.6044], [9.6044, 35.0717]])
    spec = TermSpec("Subject", ("Intercept", "Days"), False, "(Days | Subject)")
    made = VarCorr((Component(spec, np.linalg.cholesky(psi) / 25.5918, psi),), 25.5918)
    assert f"{made}\n" == VARCORR
    assert repr(made) == str(made)
    shape = [line.split()[:2] for line in str(slopes.varcorr).splitlines()]
    assert shape[1:3] == [["Subject", "Intercept"], ["Days", "5.9221"]]


def test_varcorr_of_zero_variances_prints() -> None:
    psi = np.zeros((2, 2))
    spec = TermSpec("g", ("Intercept", "x"), False, "(x | g)")
    made = VarCorr((Component(spec, psi, psi),), 3.71568)
    assert str(made).splitlines()[1:] == [
        " g        Intercept 0.0000",
        "          x         0.0000      NaN",
        " Residual           3.7157",
    ]


def test_varcorr_as_a_frame(slopes: Any) -> None:
    frame = slopes.varcorr.to_frame()
    assert list(frame.columns) == ["group", "term1", "term2", "variance", "std_dev"]
    assert frame["group"].tolist() == ["Subject"] * 3 + ["Residual"]
    assert frame["term1"].tolist() == ["Intercept", "Days", "Intercept", None]
    assert frame["term2"].tolist() == [None, None, "Days", None]
    psi = slopes.varcorr["Subject"].to_numpy()
    np.testing.assert_allclose(frame["variance"][:3], [psi[0, 0], psi[1, 1], psi[1, 0]])
    assert frame["std_dev"][2] == pytest.approx(psi[1, 0] / np.sqrt(psi[0, 0] * psi[1, 1]))
    with pytest.raises(KeyError):
        slopes.varcorr["Batch"]
    with pytest.raises(AttributeError):
        slopes.varcorr.sigma = 1


def test_uncorrelated_terms_have_no_covariance_rows(sleep: pd.DataFrame) -> None:
    fit = pp.lmer("Reaction ~ Days + (Days || Subject)", sleep)
    frame = fit.varcorr.to_frame()
    assert frame["term1"].tolist() == ["Intercept", "Days", None]
    assert "Corr" not in str(fit.varcorr)


def test_singular_fits_say_so() -> None:
    with pytest.warns(pp.SingularFitWarning, match="Batch"):
        fit = pp.lmer("Yield ~ 1 + (1 | Batch)", pp.datasets.load("Dyestuff2"))
    assert fit.is_singular is True
    assert fit.singular_terms == ("(1 | Batch)",)
    assert fit.theta.iloc[0] == 0
    assert np.isnan(fit.varcorr.components[0].correlation[0, 0])
    fine = pp.lmer("Yield ~ 1 + (1 | Batch)", pp.datasets.load("Dyestuff"))
    assert fine.is_singular is False
    assert fine.singular_terms == ()


def test_repr_is_one_line(line: Any, slopes: Any) -> None:
    assert repr(line) == "LinearModel('hwy ~ displ + drv', 234 rows, sigma=3.082)"
    assert repr(slopes) == (
        "LinearMixedModel('Reaction ~ Days + (Days | Subject)', 180 rows, REML, sigma=25.59)"
    )
    assert "ML" in repr(slopes.refit_ml())
    assert str(line) == str(line.summary())
    assert line._repr_html_().strip().startswith("<")


def test_copies_are_the_model_itself(slopes: Any) -> None:
    assert copy.copy(slopes) is slopes
    assert copy.deepcopy(slopes) is slopes


def test_update_changes_formula_or_options(line: Any, slopes: Any, mpg: pd.DataFrame) -> None:
    more = line.update(". ~ . + year")
    assert more.formula == "hwy ~ displ + drv + year"
    assert list(more.params.index)[-1] == "year"
    assert line.update("log(.) ~ displ").formula == "log(hwy) ~ displ"
    assert line.update().params.equals(line.params)
    some = line.update(data=mpg[mpg["year"] == 1999])
    assert some.nobs == 117
    ml = slopes.update(reml=False)
    assert ml.deviance == pytest.approx(slopes.refit_ml().deviance, rel=1e-11)
    smaller = slopes.update(". ~ 1 + (1 | Subject)")
    assert smaller.formula == "Reaction ~ 1 + (1 | Subject)"
    with pytest.raises(pp.SpecificationError, match=r"famliy.*data.*reml"):
        slopes.update(famliy=1)
    with pytest.raises(pp.SpecificationError, match="reml"):
        line.update(reml=False)


def test_update_forgets_contrasts_of_factors_that_left(mpg: pd.DataFrame) -> None:
    fit = pp.lm("hwy ~ displ + drv + fl", mpg, contrasts={"drv": "sum", "fl": "helmert"})
    smaller = fit.update(". ~ . - fl")
    assert smaller.params.equals(pp.lm("hwy ~ displ + drv", mpg, contrasts={"drv": "sum"}).params)


def test_update_keeps_options(sleep: pd.DataFrame) -> None:
    data = sleep.assign(w=1 + sleep["Days"])
    for weights in ("w", data["w"].to_numpy()):
        fit = pp.lmer("Reaction ~ Days + (1 | Subject)", data, weights=weights, reml=False)
        again = fit.update(". ~ . + I(Days^2)")
        fresh = pp.lmer(
            "Reaction ~ Days + I(Days^2) + (1 | Subject)", data, weights=weights, reml=False
        )
        assert again.objective == pytest.approx(fresh.objective, rel=1e-12)
    data.loc[0, "Days"] = np.nan
    with pytest.warns(pp.MissingDataWarning):
        fit = pp.lm("Reaction ~ Days", data, weights=np.ones(180))
    with pytest.raises(pp.SpecificationError, match="weights from an array"):
        fit.update(". ~ 1")


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (". ~ . + z", "y ~ x + (1 | g) + z"),
        (". ~ . - x", "y ~ x + (1 | g) - x"),
        (". ~ z * .", "y ~ z * (x + (1 | g))"),
        ("log(.) ~ .", "log(y) ~ x + (1 | g)"),
        (". ~ `a.b` + a.b + .5 * z + .", "y ~ `a.b` + a.b + .5 * z + x + (1 | g)"),
        ("u ~ v", "u ~ v"),
    ],
)
def test_dots_of_an_update(new: str, expected: str) -> None:
    put = options._filled
    left, right = new.split(" ~ ")
    assert f"{put(left, 'y')} ~ {put(right, 'x + (1 | g)')}" == expected


def test_lm_and_lmer_name_each_other(mpg: pd.DataFrame) -> None:
    with pytest.raises(pp.FormulaError, match=r"pp\.lmer") as caught:
        pp.lm("hwy ~ displ + (1 | class)", mpg)
    assert str(caught.value).splitlines()[2].index("^") == 4 + len("hwy ~ displ + ")
    with pytest.raises(pp.FormulaError, match=r"pp\.lm\b"):
        pp.lmer("hwy ~ displ", mpg)


def test_a_column_may_be_called_like_a_keyword(mpg: pd.DataFrame) -> None:
    fit = pp.lmer("hwy ~ displ + year + (1 | class)", mpg)
    assert fit.ngroups == {"class": 7}


def test_nothing_the_user_gave_is_changed(sleep: pd.DataFrame) -> None:
    data = sleep.copy()
    fit = pp.lmer("Reaction ~ Days + (Days | Subject)", data)
    fit.summary(), fit.augment(), fit.predict(data), fit.hatvalues()
    pd.testing.assert_frame_equal(data, sleep)
    before = fit.fittedvalues
    data["Days"] = -1.0
    data.loc[:, "Reaction"] = 0.0
    pd.testing.assert_series_equal(fit.fittedvalues, before)
    pd.testing.assert_series_equal(fit.resid(), sleep["Reaction"] - before, check_names=False)
