"""Bridges to other packages: maketables and marginaleffects, where they are installed."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.interop import maketables as tables

MIXED = "hwy ~ displ + drv + (1 | class)"


@pytest.fixture(scope="module")
def fits() -> tuple[Any, Any]:
    mpg = pp.datasets.load("mpg")
    return pp.lm("hwy ~ displ + drv", mpg), pp.lmer(MIXED, mpg)


def test_the_protocol_of_maketables(fits: tuple[Any, Any]) -> None:
    for fit in fits:
        table = fit.__maketables_coef_table__
        assert table.index.name == "Coefficient"
        np.testing.assert_array_equal(table["b"], fit.params)
        np.testing.assert_array_equal(table["p"], fit.pvalues)
        limits = fit.conf_int(ddf="satterthwaite")
        np.testing.assert_array_equal(table[["ci95l", "ci95u"]], limits)
        assert fit.__maketables_depvar__ == "hwy"
        assert fit.__maketables_stat__("N") == 234
        assert fit.__maketables_stat__("pseudo_r2") is None
        assert fit.__maketables_stat__("rmse") == fit.glance()["rmse"][0]
        for key in fit.__maketables_default_stat_keys__:
            assert fit.__maketables_stat__(key) is not None
    line, mixed = fits
    assert line.__maketables_stat__("r2") == line.rsquared
    assert line.__maketables_stat__("groups:class") is None
    assert mixed.__maketables_stat__("groups:class") == 7
    assert mixed.__maketables_stat__("icc") == mixed.icc().adjusted
    assert mixed.__maketables_stat_labels__["groups:class"] == "Groups: class"
    assert mixed.__maketables_vcov_info__ == {"vcov_type": "REML", "clustervar": None}


def test_the_protocol_hides_no_message(fits: tuple[Any, Any]) -> None:
    with pytest.raises(pp.UnavailableError, match="reml_criterion"):
        _ = fits[1].deviance


def test_a_table_of_maketables(fits: tuple[Any, Any]) -> None:
    maketables = pytest.importorskip("maketables", reason="maketables is not installed")
    table = maketables.ETable([tables.wrap(fit) for fit in fits]).df
    slopes = [f"{fit.params['displ']:.3f}***" for fit in fits]
    for part in ("hwy", "class", *slopes):
        assert part in table.to_string()
    # Without the wrapper maketables 0.2 takes them for results of statsmodels: same coefficients.
    plain = maketables.ETable(list(fits)).df.to_string()
    assert all(part in plain for part in slopes)


def _marginaleffects() -> Any:
    """marginaleffects, where it runs: 0.6 does not with polars 2."""
    me = pytest.importorskip("marginaleffects", reason="marginaleffects is not installed")
    polars = pytest.importorskip("polars")
    if int(polars.__version__.split(".")[0]) >= 2:
        pytest.skip("marginaleffects does not run with polars 2")
    return me


def test_predictions_comparisons_and_slopes(fits: tuple[Any, Any]) -> None:
    me = _marginaleffects()
    from partialpool.interop.marginaleffects import adapter

    for fit in fits:
        wrapped = adapter(fit)
        found = me.predictions(wrapped)
        exact = fit.predict(random="none", se=True)
        np.testing.assert_allclose(np.array(found["estimate"]), exact["fit"], rtol=1e-10)
        np.testing.assert_allclose(np.array(found["std_error"]), exact["se"], rtol=1e-4)
        slope = me.avg_slopes(wrapped, variables="displ")
        assert slope["estimate"][0] == pytest.approx(fit.params["displ"], rel=1e-6)
        assert slope["std_error"][0] == pytest.approx(fit.bse["displ"], rel=1e-3)
        gap = me.avg_comparisons(wrapped, variables="drv")
        np.testing.assert_allclose(
            np.array(gap["estimate"]), fit.params[["drv[T.f]", "drv[T.r]"]], rtol=1e-8
        )


def test_interactions_offsets_and_dropped_columns() -> None:
    me = _marginaleffects()
    from partialpool.interop.marginaleffects import adapter

    mpg = pp.datasets.load("mpg").assign(half=lambda d: d["displ"] / 2)
    with pytest.warns(pp.RankDeficientWarning):
        fit = pp.lmer("hwy ~ displ * drv + half + offset(cty) + (1 | class)", mpg)
    found = me.predictions(adapter(fit))
    np.testing.assert_allclose(np.array(found["estimate"]), fit.predict(random="none"), rtol=1e-10)


def test_what_the_adapter_refuses(fits: tuple[Any, Any]) -> None:
    import pickle

    from partialpool.interop.marginaleffects import adapter

    with pytest.raises(pp.SpecificationError, match="found DataFrame"):
        adapter(pd.DataFrame())  # type: ignore[arg-type]
    if find_spec("marginaleffects") is None:
        with pytest.raises(pp.UnavailableError, match="pip install marginaleffects"):
            adapter(fits[0])
    else:
        with pytest.raises(pp.UnavailableError, match="pickled"):
            adapter(pickle.loads(pickle.dumps(fits[0])))


def test_bridges_are_imported_on_use_only() -> None:
    code = (
        "import sys, partialpool as pp; pp.lm('hwy ~ displ', pp.datasets.load('mpg'));"
        "print([m for m in sys.modules if m.split('.')[0] in ('marginaleffects', 'maketables')"
        " or m == 'partialpool.interop.marginaleffects'])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
