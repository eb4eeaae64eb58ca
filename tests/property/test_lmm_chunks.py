"""Cross-products add up over rows: a fit from chunks is the fit."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest

import partialpool as pp
from partialpool import lmm, products
from partialpool._types import Column
from tests.twin.designs import make_design

ROUNDING = 1e-11
"""Relative: the same sums in another order."""


def part(rows, start, stop):
    """Some of the rows, with all the levels."""

    def cut(values):
        return None if values is None else np.ascontiguousarray(values[start:stop])

    def column(c):
        numeric = tuple(cut(x) for x in c.numeric)
        return Column(c.name, numeric, tuple((cut(codes), table) for codes, table in c.lookups))

    terms = tuple(t._replace(columns=tuple(map(column, t.columns))) for t in rows.terms)
    changes = {
        "nobs": stop - start,
        "y": cut(rows.y),
        "weights": cut(rows.weights),
        "offset": cut(rows.offset),
        "fixed": tuple(map(column, rows.fixed)),
        "terms": terms,
        "groups": tuple(g._replace(codes=cut(g.codes)) for g in rows.groups),
    }
    if hasattr(rows, "_replace"):
        return rows._replace(**changes)
    from dataclasses import replace

    return replace(rows, **changes)


@pytest.mark.parametrize("seed", range(0, 224, 5))
def test_products_of_chunks_add_up_to_the_products_of_all_rows(seed):
    design = make_design(seed)
    options = {"contrasts": None, "missing": "drop", "control": None} | design.options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.SingularFitWarning)
        record = lmm.fit(design.formula, design.frame, **options)
    whole, rows, n = lmm.problem(record), record.rows, record.rows.nobs
    cuts = [0, n // 4, n // 4 + 1, 2 * n // 3, n]
    parts = [part(rows, a, b) for a, b in pairwise(cuts)]
    like = products.accumulate(rows)  # for its shifts and scales
    chunks = [products.accumulate(rows, like=like) for rows in parts]
    for order in (chunks, chunks[::-1]):
        total = order[0]
        for chunk in order[1:]:
            total = total + chunk
        assert total.nobs == n
        groups = products.random_columns(rows)
        problem = type(whole)(total, record.layout, reml=record.spec.reml, groups=groups)
        for theta in design.thetas:
            one, other = whole.evaluate(theta, "exact"), problem.evaluate(theta, "exact")
            assert other.value == pytest.approx(one.value, rel=ROUNDING, abs=1e-9)
            size = 1 + abs(one.gradient).max()
            np.testing.assert_allclose(other.gradient, one.gradient, atol=1e-10 * size)
            size = 1 + abs(one.hessian).max()
            np.testing.assert_allclose(other.hessian, one.hessian, atol=1e-10 * size)


def test_products_with_other_shifts_are_refused():
    design = make_design(2)
    record = lmm.fit(design.formula, design.frame, **design.options,
                     contrasts=None, missing="drop", control=None)  # fmt: skip
    half = record.rows.nobs // 2
    one = products.accumulate(part(record.rows, 0, half))
    other = products.accumulate(part(record.rows, half, record.rows.nobs))
    with pytest.raises(pp.SpecificationError, match="like=first"):
        _ = one + other
