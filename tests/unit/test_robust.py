"""Cluster-robust covariances: special cases, how clusters can be given, bad input."""

from __future__ import annotations

import pickle
import time

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool import robust, robust_mixed

SAME = 1e-11  # relative


def linear(**options):
    return pp.lm("hwy ~ displ + drv", pp.datasets.load("mpg"), **options)


def test_clusters_of_one_row_give_hc2():
    fit = linear(weights="cyl")
    X, w = fit.model_matrix().to_numpy(), pp.datasets.load("mpg")["cyl"].to_numpy()
    bread = np.linalg.inv(X.T * w @ X)
    scores = X * (w * fit.resid() / np.sqrt(1 - fit.hatvalues())).to_numpy()[:, None]
    expected = bread @ scores.T @ scores @ bread
    np.testing.assert_allclose(robust.cr2(fit._record, np.arange(fit.nobs)), expected, rtol=SAME)


def test_balanced_clusters_have_a_closed_form():
    """The mean of J equal clusters: the variance of the cluster means over J, on J - 1 df."""
    data = pp.datasets.load("Dyestuff")
    record = pp.lm("Yield ~ 1", data)._record
    means = data.groupby("Batch", observed=True)["Yield"].mean()
    assert robust.cr2(record, "Batch")[0, 0] == pytest.approx(means.var() / 6, rel=SAME)
    assert robust.cr2_df(record, "Batch")[0] == pytest.approx(5, rel=SAME)


def test_clusters_by_name_array_and_series_agree():
    data = pp.datasets.load("mpg")
    data.loc[data.index[::17], "displ"] = np.nan
    with pytest.warns(pp.MissingDataWarning):
        fit = pp.lm("hwy ~ displ", data)
    expected = robust.cr2(fit._record, "class")
    used = data.loc[data["displ"].notna(), "class"]
    for groups in (data["class"], data["class"].tolist(), used, used.to_numpy(object)):
        np.testing.assert_array_equal(robust.cr2(fit._record, groups), expected)


def test_the_order_of_rows_and_the_names_of_clusters_do_not_matter():
    data = pp.datasets.load("mpg")
    mixed = data.sample(frac=1, random_state=1)
    a = robust.cr2(pp.lm("hwy ~ displ", data)._record, "class")
    b = robust.cr2(pp.lm("hwy ~ displ", mixed)._record, mixed["class"].str[::-1])
    np.testing.assert_allclose(a, b, rtol=1e-9)


def test_grouping_factors_of_the_model_are_found_by_their_names():
    fit = pp.lmer("strength ~ 1 + (1 | batch/cask)", pp.datasets.load("Pastes"))
    with pytest.raises(pp.SpecificationError, match="cut through levels of .*'batch'"):
        robust_mixed.cr2(fit._record, "cask:batch")
    assert robust_mixed.cr2(fit._record, "batch") == robust_mixed.cr2(fit._record)


def test_crossed_factors_have_no_clusters():
    fit = pp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", pp.datasets.load("Penicillin"))
    with pytest.raises(pp.SpecificationError, match="cut through"):
        robust_mixed.cr2(fit._record)


def test_a_cluster_of_every_row_is_refused():
    with pytest.raises(pp.SpecificationError, match="one level, 'a'"):
        robust.cr2(linear()._record, ["a"] * 234)


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        ("clas", pp.SpecificationError, "Did you mean 'class'"),
        (["a", "b"], pp.DataError, "has 2 values; this fit used 234 rows"),
        (3, pp.SpecificationError, "name of a column, or one value a row"),
        (None, pp.SpecificationError, "name of a column, or one value a row"),
        (np.ones((234, 2)), pp.SpecificationError, "one value a row"),
        ([None, *"ab" * 116, "b"], pp.DataError, "missing in 1 of the 234 rows"),
    ],
)
def test_bad_clusters(groups, error, message):
    with pytest.raises(error, match=message):
        robust.cr2(linear()._record, groups)


def test_a_series_with_other_labels_is_refused():
    groups = pp.datasets.load("mpg")["class"].sort_index(ascending=False)
    with pytest.raises(pp.DataError, match="index differs from that of the used rows"):
        robust.cr2(linear()._record, groups)


def test_a_pickled_model_takes_values_only():
    record = pickle.loads(pickle.dumps(linear()))._record
    with pytest.raises(pp.SpecificationError, match="no longer has its data"):
        robust.cr2(record, "class")
    values = pp.datasets.load("mpg")["class"].to_numpy()
    np.testing.assert_array_equal(robust.cr2(record, values), robust.cr2(linear()._record, "class"))


def test_data_sorted_in_place_is_refused_by_name():
    data = pp.datasets.load("mpg")
    fit = pp.lm("hwy ~ displ", data)
    data.index = data.index[::-1]
    with pytest.raises(pp.SpecificationError, match="in place"):
        robust.cr2(fit._record, "class")


def test_dropped_columns_have_no_row():
    data = pp.datasets.load("mpg").assign(again=lambda d: 2 * d["displ"])
    with pytest.warns(pp.RankDeficientWarning):
        fit = pp.lm("hwy ~ displ + again", data)
    assert robust.cr2(fit._record, "class").shape == (2, 2)


def test_large_clusters_are_never_square():
    """Two hundred thousand rows in two clusters, weights that differ: nothing of order n^2."""
    rng = np.random.default_rng(1)
    n = 200_000
    data = pd.DataFrame({"x": rng.normal(size=n), "g": rng.integers(0, 3, n)})
    data["y"], data["w"] = data["x"] + rng.normal(size=n), rng.uniform(0.5, 2, n)
    start = time.perf_counter()
    for weights in (None, "w"):
        assert np.isfinite(robust.cr2(pp.lm("y ~ x", data, weights=weights)._record, "g")).all()
    assert time.perf_counter() - start < 20
