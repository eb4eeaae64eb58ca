"""Contrasts, their names, and which factor of a term is coded in full."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from partialpool._errors import DataError, SpecificationError
from partialpool.coding import Basis, Categorical, expand
from partialpool.contrasts import TREATMENT, Coding, Contrast, code, read_contrast

LEVELS = ("w", "x", "y", "z")

# contr.helmert(4), contr.sum(4), contr.poly(4) of R, as printed in its documentation's form.
HELMERT = [[-1, -1, -1], [1, -1, -1], [0, 2, -1], [0, 0, 3]]
SUM = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1]]
POLY = np.array([[-3, 1, -1], [-1, -1, 3], [1, -1, -3], [3, 1, 1]]) / np.sqrt([20, 4, 20])


def coded(contrast: Contrast, *, full: bool = False) -> Coding:
    return code(Categorical("f", LEVELS, contrast), full=full)


def matrix(coding: Coding) -> np.ndarray:
    return np.array(coding.tables).T


@pytest.mark.parametrize(
    ("contrast", "suffixes", "expected"),
    [
        (TREATMENT, ["[T.x]", "[T.y]", "[T.z]"], np.eye(4)[:, 1:]),
        (Contrast("treatment", "y"), ["[T.w]", "[T.x]", "[T.z]"], np.eye(4)[:, [0, 1, 3]]),
        (Contrast("treatment", position=3), ["[T.w]", "[T.x]", "[T.y]"], np.eye(4)[:, :3]),
        (Contrast("sum"), ["[S.w]", "[S.x]", "[S.y]"], SUM),
        (Contrast("helmert"), ["[H.x]", "[H.y]", "[H.z]"], HELMERT),
        (Contrast("poly"), ["[.L]", "[.Q]", "[.C]"], POLY),
    ],
)
def test_contrasts(contrast: Contrast, suffixes: list[str], expected: np.ndarray) -> None:
    got = coded(contrast)
    assert list(got.suffixes) == suffixes
    assert np.allclose(matrix(got), expected, atol=1e-15)


@pytest.mark.parametrize("kind", ["treatment", "sum", "helmert", "poly"])
def test_full_coding_is_one_dummy_a_level_whatever_the_contrast(kind: str) -> None:
    got = coded(Contrast(kind), full=True)
    assert list(got.suffixes) == ["[w]", "[x]", "[y]", "[z]"]
    assert np.array_equal(matrix(got), np.eye(4))


def test_polynomials_of_many_levels_stay_orthonormal() -> None:
    got = matrix(code(Categorical("f", range(60), Contrast("poly")), full=False))
    assert np.allclose(got.T @ got, np.eye(59), atol=1e-12)
    assert np.allclose(got.sum(axis=0), 0, atol=1e-12)
    assert (got[-1] > 0).all()
    with pytest.raises(SpecificationError, match="limited to 95"):
        code(Categorical("f", range(96), Contrast("poly")), full=False)


def test_tables_of_dummies_share_memory_and_cannot_be_written() -> None:
    tables = code(Categorical("f", range(1000), TREATMENT), full=True).tables
    assert len({id(table.base) for table in tables}) == 1
    with pytest.raises(ValueError, match="read-only"):
        tables[0][0] = 2.0


def test_base_is_found_by_value_then_by_text() -> None:
    numbers = Categorical("f", (1, 2, 10), Contrast("treatment", "10"))
    assert code(numbers, full=False).suffixes == ("[T.1]", "[T.2]")
    booleans = Categorical("f", (False, True), Contrast("treatment", True))
    assert code(booleans, full=False).suffixes == ("[T.False]",)
    with pytest.raises(DataError, match=r"'q' of f does not occur.*'w', 'x', 'y', 'z'"):
        coded(Contrast("treatment", "q"))
    with pytest.raises(DataError, match="level number 9"):
        coded(Contrast("treatment", position=8))


def test_matrix_of_the_user() -> None:
    frame = pd.DataFrame(np.eye(4)[:, 1:], index=list("zyxw"), columns=["p", "q", "r"])
    got = coded(read_contrast(frame, "f"))
    assert got.suffixes == ("[p]", "[q]", "[r]")
    assert np.array_equal(matrix(got), np.eye(4)[::-1, 1:])
    assert coded(read_contrast(SUM, "f")).suffixes == ("[1]", "[2]", "[3]")
    fewer = coded(read_contrast([[1, 0], [-1, 0], [0, 1], [0, -1]], "f"))
    assert fewer.suffixes == ("[1]", "[2]")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("simple", "is not known"),
        (None, "NoneType"),
        (3, "type int"),
        (["a", "b"], "type list"),
        (np.ones(3), "two dimensions"),
        ([[1.0, np.nan], [0, 1]], "finite"),
    ],
)
def test_contrasts_that_are_refused(value: object, words: str) -> None:
    with pytest.raises(SpecificationError, match=words):
        read_contrast(value, "f")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.eye(3), "3 rows, but there are 4 levels"),
        (np.ones((4, 3)), "depend on each other"),
        (np.eye(4), "at most 3"),
        (pd.DataFrame(np.eye(4)[:, 1:], index=list("wxyq")), "no row for the level 'z'"),
    ],
)
def test_matrices_that_do_not_fit_the_levels(value: object, words: str) -> None:
    with pytest.raises(SpecificationError, match=words):
        coded(read_contrast(value, "f"))


@pytest.mark.parametrize("spelling", ["sum", "Sum", "contr.sum", "contr.sum()", " SUM "])
def test_spellings(spelling: str) -> None:
    assert read_contrast(spelling, "f").kind == "sum"


# -- full or reduced ------------------------------------------------------------------------------

PIECES = {
    "x": Basis(("x",)),
    "p": Basis(("p[1]", "p[2]")),
    "a": Categorical("a", ("1", "2"), TREATMENT),
    "b": Categorical("b", ("u", "v", "w"), TREATMENT),
}


def names(*terms: tuple[str, ...]) -> list[str]:
    return [recipe.name for recipe in expand(terms, PIECES)[0]]


def test_first_factor_of_a_term_varies_fastest() -> None:
    assert names((), ("a", "b")) == [
        "Intercept",
        *["a[1]:b[u]", "a[2]:b[u]", "a[1]:b[v]", "a[2]:b[v]", "a[1]:b[w]", "a[2]:b[w]"],
    ]


def test_main_effects_and_interactions() -> None:
    assert names((), ("a",), ("b",), ("a", "b")) == [
        *["Intercept", "a[T.2]", "b[T.v]", "b[T.w]", "a[T.2]:b[T.v]", "a[T.2]:b[T.w]"]
    ]
    assert names(("a",), ("b",)) == ["a[1]", "a[2]", "b[T.v]", "b[T.w]"]
    assert names(("x",), ("a",)) == ["x", "a[1]", "a[2]"]
    assert names(("x",), ("x", "a")) == ["x", "x:a[T.2]"]
    assert names((), ("x", "a")) == ["Intercept", "x:a[1]", "x:a[2]"]
    assert names((), ("p",), ("p", "a")) == [
        "Intercept",
        "p[1]",
        "p[2]",
        "p[1]:a[T.2]",
        "p[2]:a[T.2]",
    ]
    assert names((), ("a",), ("a", "b")) == [
        *["Intercept", "a[T.2]", "a[1]:b[T.v]", "a[2]:b[T.v]", "a[1]:b[T.w]", "a[2]:b[T.w]"]
    ]


def test_a_margin_inside_a_term_with_a_number_is_not_spanned() -> None:
    # R codes a by contrasts in a:b here and so loses a column.
    assert "a[1]:b[u]" in names(("x", "b"), ("a", "b"))


@pytest.mark.parametrize(
    ("terms", "constant"),
    [
        (((), ("a",)), (0,)),
        ((("a",), ("b",)), (0, 1)),
        ((("x",), ("a",)), (1, 2)),
        ((("x",), ("a", "b")), tuple(range(1, 7))),
        ((("x",),), ()),
        ((("x", "a"),), ()),
        ((("x",), ("x", "a")), ()),
    ],
)
def test_columns_that_add_up_to_one(
    terms: tuple[tuple[str, ...], ...], constant: tuple[int, ...]
) -> None:
    assert expand(terms, PIECES)[1] == constant
