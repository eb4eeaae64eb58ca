"""The columns of bar-free formulas against formulaic's on random formulas and data."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partialpool import design, formula, table

# Both sides are sums of a few products of numbers of size 1: only rounding is between them.
TOLERANCE = 1e-9

NUMBERS = ("x", "z")
FACTORS = ("a", "b", "c")
CODED = (
    "C(a, Sum)",
    "C(b, Helmert)",
    "C(c, Treatment('c2'))",
    "C(a, Poly)",
)
FORMULAIC = {
    "C(a, Sum)": "C(a, contr.sum)",
    "C(b, Helmert)": "C(b, contr.helmert)",
    "C(c, Treatment('c2'))": "C(c, contr.treatment('c2'))",
    "C(a, Poly)": "C(a, contr.poly)",
}


def frame(seed: int, rows: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "y": rng.normal(size=rows),
            "x": rng.normal(size=rows),
            "z": rng.normal(size=rows),
            "a": rng.choice(["a1", "a2"], rows),
            "b": pd.Categorical(rng.choice(["b3", "b1", "b2"], rows), ["b3", "b1", "b2"]),
            "c": rng.choice(["c1", "c2", "c3"], rows),
        }
    )


def ours(text: str, data: pd.DataFrame) -> pd.DataFrame:
    rows = design.build(formula.parse(text), table.of(data)).rows
    return pd.DataFrame(design.dense(rows), columns=[column.name for column in rows.fixed])


def theirs(text: str, data: pd.DataFrame) -> pd.DataFrame:
    import formulaic

    for spelt, other in FORMULAIC.items():
        text = text.replace(spelt, other)
    return pd.DataFrame(formulaic.model_matrix(text, data))


def span(matrix: Any) -> np.ndarray:
    """The projector on the column space."""
    u, s, _ = np.linalg.svd(np.asarray(matrix, dtype=float), full_matrices=False)
    u = u[:, s > 1e-9 * s[0]]
    return u @ u.T


terms = st.lists(
    st.lists(st.sampled_from(NUMBERS + FACTORS + CODED), min_size=1, max_size=3, unique=True).map(
        ":".join
    ),
    min_size=1,
    max_size=4,
    unique=True,
)


@settings(max_examples=200)
@given(terms, st.sampled_from(["1", "0"]), st.integers(0, 5))
def test_column_space_is_that_of_formulaic(parts: list[str], intercept: str, seed: int) -> None:
    text = " + ".join([intercept, *parts])
    data = frame(seed)
    got = ours("y ~ " + text, data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs(text, data)
    assert np.allclose(span(got), span(expected), atol=TOLERANCE), list(got)


@pytest.mark.parametrize(
    "text",
    [
        "1 + x",
        "0 + x",
        "1 + a",
        "0 + a",
        "0 + a + b",
        "1 + b + x + b:x",
        "1 + x + z:b",
        "0 + x + x:b",
        "a * b",
        "a * b * c",
        "a * b * x",
        "0 + a * b",
        "1 + a + a:b",
        "1 + x + C(a, Sum)",
        "1 + C(b, Helmert) * x",
        "1 + C(c, Treatment('c2')) + C(a, Poly)",
        "C(a, Sum) * C(b, Helmert)",
        "0 + C(b, Helmert)",
    ],
)
def test_same_columns_and_names_as_formulaic(text: str) -> None:
    data = frame(1)
    got = ours("y ~ " + text, data)
    expected = theirs(text, data)
    names = list(expected)
    for spelt, other in FORMULAIC.items():
        names = [name.replace(other, spelt) for name in names]
    assert list(got) == names
    assert np.allclose(got, expected, atol=TOLERANCE)


@settings(max_examples=60)
@given(terms, st.sampled_from(["1", "0"]), st.integers(0, 5))
def test_constant_columns_add_up_to_one(parts: list[str], intercept: str, seed: int) -> None:
    data = frame(seed)
    rows = design.build(
        formula.parse("y ~ " + " + ".join([intercept, *parts])), table.of(data)
    ).rows
    if intercept == "1":
        assert rows.constant == (0,)
    if rows.constant:
        total = design.dense(rows)[:, list(rows.constant)].sum(axis=1)
        assert np.array_equal(total, np.ones(rows.nobs))


@settings(max_examples=60)
@given(terms, st.sampled_from(["1", "0"]), st.integers(0, 5))
def test_new_data_give_the_columns_of_the_fit(parts: list[str], intercept: str, seed: int) -> None:
    data = frame(seed)
    built = design.build(
        formula.parse("y ~ " + " + ".join([intercept, *parts]) + " + (x + a | c)"), table.of(data)
    )
    some = np.random.default_rng(seed).permutation(len(data))[:7]
    new = data.iloc[some].drop(columns="y")
    rows = design.rebuild(built.schema, new)
    assert np.array_equal(design.dense(rows), design.dense(built.rows)[some])
    assert np.array_equal(rows.groups[0].codes, built.rows.groups[0].codes[some])
    assert rows.missing is not None
    assert not rows.missing.any()


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_dropping_rows_equals_giving_complete_rows(seed: int) -> None:
    data = frame(seed)
    holes = np.random.default_rng(seed).random((len(data), 5)) < 0.05
    for j, name in enumerate(["y", "x", "a", "b", "c"]):
        data.loc[holes[:, j], name] = None
    mf = formula.parse("y ~ scale(x) + poly(x, 2) + a:b + (x | c) + (1 | a:c)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = design.build(mf, table.of(data)).rows
    complete = data[~holes.any(axis=1)]
    expected = design.build(mf, table.of(complete)).rows
    assert np.array_equal(design.dense(got), design.dense(expected))
    assert got.y is not None
    assert np.array_equal(got.y, expected.y)  # type: ignore[arg-type]
    for one, other in zip(got.groups, expected.groups, strict=True):
        assert np.array_equal(one.codes, other.codes)
        assert list(one.levels) == list(other.levels)
    if holes.any():
        assert got.kept is not None
        assert np.array_equal(got.kept, np.flatnonzero(~holes.any(axis=1)))
