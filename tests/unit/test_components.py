"""How the parts of a fit add up, row by row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import partialpool as pp

MPG = "hwy ~ displ + year + (1 | class)"


@pytest.fixture(scope="module")
def mpg():
    return pp.datasets.load("mpg")


def check(fit, frame, rows=None):
    """The parts are the response, the residual is the model's."""
    parts = frame.iloc[:, :-1]
    size = parts.abs().to_numpy().sum(axis=1)
    assert (np.abs(parts.sum(axis=1) - frame.iloc[:, -1]) <= 1e-14 * size).all()
    resid = fit.resid() if rows is None else fit.resid().iloc[rows]
    assert frame.index.equals(resid.index)
    assert (np.abs(frame["residual"] - resid) <= 1e-13 * size).all()


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        (MPG, {}),
        ("hwy ~ displ * drv + offset(cyl) + (1 | class)", {"weights": "cty"}),
        ("log(hwy) ~ poly(displ, 2) + (year | class) + (1 | manufacturer)", {}),
        ("hwy ~ 0 + drv + (1 | class/drv)", {"offset": "cty"}),
    ],
)
@pytest.mark.filterwarnings("ignore::partialpool.PartialPoolWarning")
def test_the_parts_add_up_in_every_row(formula, options, mpg):
    fit = pp.lmer(formula, mpg, **options)
    check(fit, pp.components(fit, slice(None)))


def test_columns_are_named_in_the_words_of_the_model(mpg):
    frame = pp.components(pp.lmer(MPG, mpg), [0, 5])
    assert list(frame.columns) == [
        "Intercept", "displ", "year", "Intercept | class", "residual", "hwy",
    ]  # fmt: skip
    fit = pp.lmer("Reaction ~ Days + (Days | Subject)", pp.datasets.load("sleepstudy"))
    assert "Days | Subject" in pp.components(fit, 3)


def test_a_linear_model_has_no_group_effects(mpg):
    fit = pp.lm("hwy ~ displ + year", mpg)
    frame = pp.components(fit, [1, 2])
    assert list(frame.columns) == ["Intercept", "displ", "year", "residual", "hwy"]
    check(fit, frame, [1, 2])


def test_rows_by_position_label_slice_and_mask(mpg):
    data = mpg.set_index(pd.Index([f"car{i}" for i in range(len(mpg))]))
    fit = pp.lmer(MPG, data)
    expected = pp.components(fit, slice(2, 4))
    for rows in (
        [2, 3],
        ["car2", "car3"],
        np.arange(len(mpg))[2:4],
        data.index.isin(["car2", "car3"]),
    ):
        pd.testing.assert_frame_equal(pp.components(fit, rows), expected)
    assert list(pp.components(fit, "car7").index) == ["car7"]
    assert list(pp.components(fit, -1).index) == ["car233"]
    assert len(pp.components(fit, [])) == 0


def test_whole_numbers_are_labels_where_the_index_holds_whole_numbers(mpg):
    data = mpg.astype({"class": object})
    data.loc[0, "class"] = None
    with pytest.warns(pp.MissingDataWarning):
        fit = pp.lmer(MPG, data)
    frame = pp.components(fit, [1, 2])
    assert list(frame.index) == [1, 2]
    assert list(frame["hwy"]) == list(mpg["hwy"].iloc[[1, 2]])
    mask = np.zeros(len(data), dtype=bool)
    mask[[0, 5]] = True
    assert list(pp.components(fit, mask).index) == [5]
    with pytest.raises(pp.SpecificationError, match="label 0 .*left out"):
        pp.components(fit, 0)


def test_rows_that_are_not_there(mpg):
    fit = pp.lmer(MPG, mpg)
    with pytest.raises(pp.SpecificationError, match="label 234"):
        pp.components(fit, 234)
    with pytest.raises(pp.SpecificationError, match="mask has 3 values"):
        pp.components(fit, [True, False, True])
    named = pp.lm("hwy ~ displ", mpg.set_index("model"))
    with pytest.raises(pp.SpecificationError, match="position 500"):
        pp.components(named, 500)


def test_dropped_columns_have_no_part(mpg):
    with pytest.warns(pp.RankDeficientWarning):
        fit = pp.lmer("hwy ~ displ + I(2 * displ) + (1 | class)", mpg)
    frame = pp.components(fit, slice(0, 5))
    assert list(frame.columns) == ["Intercept", "displ", "Intercept | class", "residual", "hwy"]


def test_other_libraries_count_rows(mpg):
    fit = pp.lmer(MPG, mpg.to_dict("list"))
    assert list(pp.components(fit, [4]).index) == [4]
