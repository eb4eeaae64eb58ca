"""From formula and table to rows, and the same columns again for new data."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from partialpool import design, formula, table
from partialpool._errors import (
    DataError,
    FormulaError,
    MissingDataWarning,
    PartialPoolError,
    SpecificationError,
)

N = 12


def frame(**columns: Any) -> pd.DataFrame:
    data = pd.DataFrame(
        {
            "y": np.arange(N) * 1.0,
            "x": np.arange(N) + 1.0,
            "z": np.arange(N) % 5,
            "f": list("pqrs") * 3,
            "g": list("bca") * 4,
            "h": [10, 9] * 6,
            "b": [True, False, False] * 4,
            "one": ["q"] * N,
            "date": pd.date_range("2020", periods=N),
        }
    )
    return data.assign(**columns)


def hole(name: str, *rows: int) -> pd.DataFrame:
    data = frame()
    data[name] = data[name].astype(object)
    data.loc[list(rows), name] = None
    if name in ("x", "y"):
        data[name] = data[name].astype(float)
    return data


def build(text: str, data: Any = None, **options: Any) -> design.Design:
    return design.build(formula.parse(text), table.of(frame() if data is None else data), **options)


def names(columns: Any) -> list[str]:
    return [column.name for column in columns]


def dense(rows: design.Rows) -> np.ndarray:
    return design.dense(rows)


# -- columns --------------------------------------------------------------------------------------


def test_rows_of_a_mixed_model() -> None:
    data = frame()
    rows = build("y ~ x + f + (x | g) + (1 | h)", data).rows
    assert rows.nobs == N
    assert rows.y is not None
    assert rows.y.tolist() == data["y"].tolist()
    assert names(rows.fixed) == ["Intercept", "x", "f[T.q]", "f[T.r]", "f[T.s]"]
    assert rows.constant == (0,)
    assert rows.weights is None
    assert rows.offset is None
    assert rows.kept is None
    assert rows.missing is None
    assert [term.spec.text for term in rows.terms] == ["(x | g)", "(1 | h)"]
    assert [group.name for group in rows.groups] == ["g", "h"]
    assert list(rows.groups[0].levels) == ["a", "b", "c"]
    assert list(rows.groups[1].levels) == [9, 10]
    assert rows.groups[0].codes.tolist() == [1, 2, 0] * 4
    assert rows.terms[0].spec.columns == ("Intercept", "x")
    X = dense(rows)
    assert np.array_equal(X[:, 1], data["x"])
    assert np.array_equal(X[:, 2], data["f"] == "q")


def test_factor_columns_are_codes_and_tables_not_dummies() -> None:
    column = build("y ~ f").rows.fixed[1]
    assert column.numeric == ()
    ((codes, values),) = column.lookups
    assert codes.dtype == np.int32
    assert values.tolist() == [0, 1, 0, 0]


def test_terms_with_most_levels_first_ties_in_formula_order() -> None:
    rows = build("y ~ 1 + (1 | h) + (1 | g) + (0 + x | h) + (1 | f) + (0 + x | g)").rows
    assert [t.spec.text for t in rows.terms] == [
        *["(1 | f)", "(1 | g)", "(0 + x | g)", "(1 | h)", "(0 + x | h)"]
    ]
    assert [rows.groups[t.group].name for t in rows.terms] == ["f", "g", "g", "h", "h"]
    assert len(rows.groups) == 3


@pytest.mark.parametrize(
    ("bar", "columns"),
    [
        ("(f | g)", ("Intercept", "f[T.q]", "f[T.r]", "f[T.s]")),
        ("(0 + f | g)", ("f[p]", "f[q]", "f[r]", "f[s]")),
        ("(x + b | g)", ("Intercept", "x", "b[T.True]")),
        ("(x:b | g)", ("Intercept", "x:b[False]", "x:b[True]")),
        ("(0 + x | g)", ("x",)),
        ("(poly(x, 2) | g)", ("Intercept", "poly(x, 2)[1]", "poly(x, 2)[2]")),
        ("(b || g)", ("Intercept", "b[T.True]")),
    ],
)
def test_columns_of_bars_are_coded_like_fixed_ones(bar: str, columns: tuple[str, ...]) -> None:
    term = build(f"y ~ 1 + {bar}").rows.terms[0]
    assert term.spec.columns == columns
    assert term.spec.diagonal == ("||" in bar)


def test_interacting_groups_have_the_combinations_that_occur() -> None:
    data = frame(a=["z", "x", "y"] * 4, b2=[2, 2, 10, 10] * 3)
    data = data[(data.a != "x") | (data.b2 == 2)]
    rows = build("y ~ 1 + (1 | b2:a)", data).rows
    assert rows.groups[0].name == "b2:a"
    assert list(rows.groups[0].levels) == ["2:x", "2:y", "2:z", "10:y", "10:z"]
    expected = [f"{b}:{a}" for b, a in zip(data.b2, data.a, strict=True)]
    assert [rows.groups[0].levels[c] for c in rows.groups[0].codes] == expected
    three = build("y ~ 1 + (1 | a:b2:b)", data).rows.groups[0]
    expected = [f"{a}:{b2}:{b}" for a, b2, b in zip(data.a, data.b2, data.b, strict=True)]
    assert [three.levels[c] for c in three.codes] == expected


def test_labels_of_many_combinations_are_spelt_when_read() -> None:
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"y": rng.normal(size=20_000)})
    data["a"] = rng.integers(0, 300, 20_000)
    data["b"] = rng.integers(0, 200, 20_000).astype(str)
    group = build("y ~ 1 + (1 | a:b)", data).rows.groups[0]
    expected = [f"{a}:{b}" for a, b in zip(data.a, data.b, strict=True)]
    labels = list(group.levels)
    assert 5_000 < len(labels) == len(group.levels)
    assert [labels[code] for code in group.codes] == expected
    assert group.levels[7] == labels[7]
    assert group.levels[-1] == labels[-1]
    assert group.levels[3:6] == labels[3:6]
    assert pd.Index(group.levels).tolist() == labels
    assert np.asarray(group.levels).tolist() == labels
    assert list(pickle.loads(pickle.dumps(group.levels))) == labels
    with pytest.raises(IndexError):
        group.levels[len(labels)]


def test_nesting_gives_lme4s_groups() -> None:
    rows = build("y ~ 1 + (1 | h/g)").rows
    assert [group.name for group in rows.groups] == ["g:h", "h"]
    assert list(rows.groups[0].levels) == ["a:9", "a:10", "b:9", "b:10", "c:9", "c:10"]


def test_levels_left_without_rows_are_dropped() -> None:
    data = hole("y", 0, 4, 8)  # all of f == "p"
    data["f"] = pd.Categorical(data["f"], list("zsrqp"))
    with pytest.warns(MissingDataWarning):
        rows = build("y ~ f + (1 | f)", data).rows
    assert names(rows.fixed) == ["Intercept", "f[T.r]", "f[T.q]"]
    assert list(rows.groups[0].levels) == ["s", "r", "q"]


def test_booleans_integers_and_expressions() -> None:
    assert names(build("y ~ b + z + log(x)").rows.fixed) == [
        *["Intercept", "b[T.True]", "z", "log(x)"]
    ]
    y = build("b ~ x").rows.y
    assert y is not None
    assert y.tolist() == [1.0, 0.0, 0.0] * 4
    assert names(build("y ~ C(h)").rows.fixed) == ["Intercept", "C(h)[T.10]"]
    assert names(build("y ~ I(b + 1)").rows.fixed) == ["Intercept", "I(b + 1)"]


def test_fractions_are_levels_for_c_but_not_for_groups() -> None:
    data = frame(dose=[0.5, 1.0, 2.0] * 4)
    assert names(build("y ~ C(dose)", data).rows.fixed) == [
        *["Intercept", "C(dose)[T.1.0]", "C(dose)[T.2.0]"]
    ]
    with pytest.raises(DataError, match="must be whole"):
        build("y ~ C(dose) + (1 | dose)", data)
    new = design.rebuild(build("y ~ C(dose)", data).schema, {"dose": [2, 0.5]})
    assert dense(new).tolist() == [[1, 0, 1], [1, 0, 0]]


def test_contrasts_by_option_and_by_formula() -> None:
    assert names(build("y ~ f", contrasts={"f": "sum"}).rows.fixed)[1] == "f[S.p]"
    got = build("y ~ C(f, Treatment('r'))", contrasts={"f": "sum"}).rows
    assert names(got.fixed)[1] == "C(f, Treatment('r'))[T.p]"
    got = build("y ~ C(f) + (f | g)", contrasts={"f": "contr.helmert"}).rows
    assert names(got.fixed)[1] == "C(f)[H.q]"
    assert got.terms[0].spec.columns[1] == "f[H.q]"
    with pytest.raises(SpecificationError, match="'q', which the formula does not use"):
        build("y ~ f", contrasts={"q": "sum"})
    with pytest.raises(SpecificationError, match=r"Write C\(x\)"):
        build("y ~ x", contrasts={"x": "sum"})
    with pytest.raises(SpecificationError, match="must be a dict"):
        build("y ~ f", contrasts=["sum"])


def test_dot_is_all_columns_but_those_used_otherwise() -> None:
    data = frame()[["y", "x", "z", "g", "h"]].assign(w=1.0, o=2.0)
    mf = "y ~ . + (1 | g)"
    assert names(build(mf, data, weights="w", offset="log(o)").rows.fixed) == [
        *["Intercept", "x", "z", "h"]
    ]
    schema = build(mf, data, weights="w", offset="log(o)").schema
    new = data.iloc[:2].assign(more=[1, 2])
    assert names(design.rebuild(schema, new).fixed) == ["Intercept", "x", "z", "h"]


def test_awkward_names() -> None:
    data = frame().rename(columns={"x": "my col", "f": "class", "g": "a:b", "z": "log(x)"})
    data["x"] = np.exp(data["my col"])
    rows = build("y ~ `my col` + class + log(x) + `log(x)` + (1 | `a:b`)", data).rows
    assert names(rows.fixed) == [
        *["Intercept", "my col", "class[T.q]", "class[T.r]", "class[T.s]", "log(x)", "log(x)"]
    ]
    assert np.allclose(dense(rows)[:, 5], data["my col"])
    assert np.array_equal(dense(rows)[:, 6], data["log(x)"])
    assert rows.groups[0].name == "a:b"


def test_data_are_not_changed_and_not_shared() -> None:
    data = frame()
    before = data.copy(deep=True)
    built = build("y ~ x + scale(x) + f + (x | g)", data, weights="x", offset="z")
    pd.testing.assert_frame_equal(data, before)
    X = dense(built.rows).copy()
    data["x"] *= 2
    data.loc[:, "y"] = 0.0
    data.loc[0, "f"] = "s"
    assert np.array_equal(dense(built.rows), X)
    assert built.rows.y is not None
    assert built.rows.y.tolist() == before["y"].tolist()
    w = np.ones(N)
    rows = build("y ~ x", weights=w).rows
    w[:] = 3
    assert rows.weights is not None
    assert rows.weights.tolist() == [1.0] * N


def test_arrays_are_read_only() -> None:
    rows = build("y ~ x + log(x) + f + (x | g)", weights="x", offset="x").rows
    arrays = [rows.y, rows.weights, rows.offset, rows.groups[0].codes, rows.fixed[1].numeric[0]]
    for array in arrays:
        assert array is not None
        assert not array.flags.writeable


# -- missing --------------------------------------------------------------------------------------


def test_missing_rows_are_dropped_with_one_counted_warning() -> None:
    data = hole("y", 3)
    data.loc[[3, 5], "x"] = np.nan
    data.loc[[7], "g"] = None
    w = np.ones(N)
    w[9] = np.nan
    with pytest.warns(MissingDataWarning) as caught:
        rows = build("y ~ log(x) + (1 | g)", data, weights=w).rows
    assert [str(c.message) for c in caught] == [
        "4 of 12 rows have missing values and were left out: 'y' 1, 'x' 2, weights 1, 'g' 1."
    ]
    assert rows.nobs == 8
    assert rows.kept is not None
    assert rows.kept.tolist() == [0, 1, 2, 4, 6, 8, 10, 11]
    assert rows.weights is not None
    assert rows.weights.size == 8


@pytest.mark.parametrize("name", ["y", "x", "f", "g"])
def test_missing_raise_names_the_column_and_the_row(name: str) -> None:
    with pytest.raises(DataError, match=f"1 of 12 rows.*'{name}' 1.*row 4"):
        build("y ~ x + f + (1 | g)", hole(name, 4), missing="raise")


def test_unused_columns_may_be_missing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert build("y ~ x", hole("f", 1, 2)).rows.nobs == N


def test_states_are_learnt_from_the_used_rows() -> None:
    data = frame()
    data.loc[N - 1, "y"] = np.nan
    data.loc[N - 1, "x"] = 1e6
    with pytest.warns(MissingDataWarning):
        rows = build("y ~ center(x)", data).rows
    assert abs(dense(rows)[:, 1].sum()) < 1e-12


def test_zero_weights_are_dropped_and_counted() -> None:
    with pytest.warns(MissingDataWarning, match="2 of 12 rows have a weight of zero"):
        rows = build("y ~ x + (1 | g)", weights=np.r_[0, 0, np.ones(N - 2)]).rows
    assert rows.nobs == N - 2
    assert rows.kept is not None
    assert rows.kept.tolist() == list(range(2, N))


def test_missing_then_zero_weights() -> None:
    with pytest.warns(MissingDataWarning) as caught:
        rows = build("y ~ x", hole("y", 1), weights="x - 1").rows
    assert len(caught) == 2
    assert rows.kept is not None
    assert rows.kept.tolist() == list(range(2, N))
    assert rows.weights is not None
    assert rows.weights.tolist() == [float(v) for v in range(2, N)]


# -- weights and offset ---------------------------------------------------------------------------


def test_weights_as_column_expression_and_array() -> None:
    x = frame()["x"].to_numpy()
    cases: list[tuple[Any, Any]] = [
        ("x", x),
        ("1 / x", 1 / x),
        ("log(x + 1)", np.log(x + 1)),
        (x, x),
        (x.tolist(), x),
        (pd.Series(x), x),
        (pl.Series(x), x),
    ]
    for option, expected in cases:
        got = build("y ~ z", weights=option).rows.weights
        assert got is not None
        assert np.allclose(got, expected)


def test_offsets_add_up() -> None:
    x, z = frame()["x"], frame()["z"]
    got = build("y ~ z + offset(log(x)) + offset(z)", offset="x").rows.offset
    assert got is not None
    assert np.allclose(got, np.log(x) + z + x)


def test_a_column_whose_name_looks_like_an_expression_is_a_column() -> None:
    data = frame(**{"1/x": np.full(N, 7.0)})
    got = build("y ~ x", data, weights="1/x").rows.weights
    assert got is not None
    assert got.tolist() == [7.0] * N


@pytest.mark.parametrize(
    ("weights", "error", "words"),
    [
        (-np.ones(N), DataError, "value -1 in row 0"),
        (np.zeros(N), DataError, "All weights are zero"),
        (np.r_[np.inf, np.ones(N - 1)], DataError, "infinite"),
        (np.ones(3), DataError, r"shape \(3,\); the data have 12 rows"),
        (np.ones((N, 1)), DataError, r"shape \(12, 1\)"),
        (2, DataError, r"shape \(\)"),
        (list("abcdefghijkl"), DataError, "one number for each row"),
        (np.ones(N) * 1j, DataError, "complex"),
        ("f", DataError, "text or categories"),
        ("wieghts", FormulaError, "no column 'wieghts' for weights="),
        ("1/(x", FormulaError, "not closed"),
        ("poly(x, 2)", SpecificationError, "one number a row"),
        ("C(f)", SpecificationError, "one number a row"),
        (pd.Series(np.ones(N), index=range(1, N + 1)), DataError, "index differs"),
    ],
)
def test_weights_that_are_refused(weights: Any, error: type[PartialPoolError], words: str) -> None:
    with pytest.raises(error, match=words):
        build("y ~ x", weights=weights)


# -- data that no model can use -------------------------------------------------------------------

BAD: dict[str, tuple[str, pd.DataFrame, type[PartialPoolError], str]] = {
    "Inf in y": ("y ~ x", frame(y=np.r_[np.inf, np.ones(N - 1)]), DataError, "'y' is infinite"),
    "Inf in x": ("y ~ x", frame(x=np.r_[1, -np.inf, np.ones(N - 2)]), DataError, "in row 1"),
    "log of 0": ("y ~ log(x - 1)", frame(), DataError, r"log\(x - 1\) is -inf in row 0.*x = 1"),
    "root of -4": ("y ~ sqrt(x - 5)", frame(), DataError, "is nan in row 0"),
    "unknown column": ("y ~ xx", frame(), FormulaError, "Did you mean 'x'"),
    "unknown group": ("y ~ 1 + (1 | G)", frame(), FormulaError, "Did you mean 'g'"),
    "unknown response": ("Y ~ 1", frame(), FormulaError, "Did you mean 'y'"),
    "one-level group": (
        "y ~ 1 + (1 | one)",
        frame(),
        DataError,
        r"'one' has one level, q, in term \(1 | one\)",
    ),
    "one-level interaction": ("y ~ 1 + (1 | one:k)", frame(k=1), DataError, "q:1"),
    "one-level factor": ("y ~ one", frame(), DataError, "'one' has one level, 'q'"),
    "constant boolean": ("y ~ b", frame(b=True), DataError, "one level, True"),
    "empty data": ("y ~ x", frame().iloc[:0], DataError, "no rows"),
    "one row": ("y ~ x", frame().iloc[:1], DataError, "one row"),
    "text y": ("f ~ x", frame(), DataError, "'f' holds text.*response"),
    "date x": ("y ~ date", frame(), DataError, "dates or times"),
    "date y": ("date ~ x", frame(), DataError, "dates or times"),
    "complex x": ("y ~ c", frame(c=np.arange(N) * 1j), DataError, "complex"),
    "factor in a function": ("y ~ log(f)", frame(), DataError, r"It is used in log\(f\)"),
    "all missing": ("y ~ x", frame(x=np.nan), DataError, "'x' has no values"),
    "all missing factor": (
        "y ~ f",
        frame(f=pd.Categorical([None] * N, ["u"])),
        DataError,
        "'f' has no values",
    ),
    "no complete row": (
        "y ~ x + z",
        frame(x=np.r_[[np.nan] * 6, np.ones(6)], z=np.r_[np.ones(6), [np.nan] * 6]),
        DataError,
        "Each of the 12 rows",
    ),
    "one complete row": (
        "y ~ x",
        frame(x=np.r_[1, [np.nan] * (N - 1)]),
        DataError,
        "one row to use of 12",
    ),
    "duplicate names": (
        "y ~ x",
        pd.concat([frame(), frame()[["x"]]], axis=1),
        DataError,
        "several columns named 'x'",
    ),
    "counts": ("cbind(x, z) ~ f", frame(), SpecificationError, "binomial"),
    "base that is not there": ("y ~ C(f, Treatment('k'))", frame(), DataError, "'k'"),
    "levels that print alike": (
        "y ~ f",
        frame(f=pd.Categorical([1, "1", 2] * 4)),
        DataError,
        "both print as '1'",
    ),
    "too many columns": (
        "y ~ a",
        pd.DataFrame({"y": np.arange(25_000.0), "a": np.arange(25_000).astype(str)}),
        SpecificationError,
        r"belongs in a random-effects term: \(1 \| a\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data(case: str) -> None:
    text, data, error, words = BAD[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match=words):
            build(text, data)


def test_unknown_column_has_a_caret_under_it() -> None:
    with pytest.raises(FormulaError) as error:
        build("y ~ x + log(x + exp(wrongly) + wrong) + (1 | g)", frame(wrongly=1.0))
    formula_line, caret_line = str(error.value).split("\n")[1:]
    assert formula_line[caret_line.index("^") :].startswith("wrong")


def test_infinite_values_in_rows_left_out_do_no_harm() -> None:
    data = frame()
    data.loc[2, ["x", "y"]] = [np.inf, np.nan]
    with pytest.warns(MissingDataWarning):
        assert build("y ~ x", data).rows.nobs == N - 1


def test_missing_option_is_checked() -> None:
    with pytest.raises(SpecificationError, match="'drop' or 'raise'"):
        build("y ~ x", missing="keep")


# -- new data -------------------------------------------------------------------------------------


def test_new_data_need_no_response() -> None:
    built = build("y ~ scale(x) * f + (x | g)")
    new = frame().drop(columns="y").iloc[[4, 1]]
    rows = design.rebuild(built.schema, new)
    assert rows.y is None
    assert np.array_equal(dense(rows), dense(built.rows)[[4, 1]])
    assert rows.groups[0].codes.tolist() == built.rows.groups[0].codes[[4, 1]].tolist()
    assert rows.nobs == 2
    with_y = design.rebuild(built.schema, frame().iloc[:3], response=True)
    assert with_y.y is not None
    assert with_y.y.tolist() == [0, 1, 2]


def test_new_data_need_no_groups_without_random() -> None:
    built = build("y ~ x + (z | g)")
    rows = design.rebuild(built.schema, {"x": [1.0]}, random=False)
    assert rows.groups == ()
    assert rows.terms == ()
    with pytest.raises(FormulaError, match="no column 'z' in the new data"):
        design.rebuild(built.schema, {"x": [1.0]})


def test_new_data_of_another_library_and_type() -> None:
    built = build("y ~ f + b + (1 | g) + (1 | h)")
    new = {"f": ["s", "q"], "b": [0, 1], "g": ["c", "a"], "h": [10.0, 9.0]}
    for source in (new, pl.DataFrame(new), pd.DataFrame(new).astype({"f": "category"})):
        rows = design.rebuild(built.schema, source)
        assert dense(rows).tolist() == [[1, 0, 0, 1, 0], [1, 1, 0, 0, 1]]
        assert [group.codes.tolist() for group in rows.groups] == [[2, 0], [1, 0]]


def test_new_level_of_a_fixed_factor_is_always_an_error() -> None:
    built = build("y ~ f + (1 | g)")
    for option in ("error", "population"):
        with pytest.raises(DataError, match="'f' has the new level 'z'.*'p', 'q', 'r', 's'"):
            design.rebuild(built.schema, {"f": ["z"], "g": ["a"]}, new_levels=option)


def test_new_level_of_a_group() -> None:
    built = build("y ~ x + (1 | g) + (1 | g:h)")
    new = {"x": [1.0, 2.0, 3.0], "g": ["a", "z", None], "h": [9, 9, 9]}
    with pytest.raises(DataError, match="'g' has the new level 'z'.*new_levels='population'"):
        design.rebuild(built.schema, new)
    rows = design.rebuild(built.schema, new, new_levels="population")
    codes = {group.name: group.codes.tolist() for group in rows.groups}
    assert codes == {"g": [0, -1, -1], "g:h": [0, -1, -1]}
    assert rows.missing is not None
    assert not rows.missing.any()


def test_new_combination_of_known_levels() -> None:
    data = frame(a=["u", "v"] * 6, c=["s", "t"] * 6)
    built = build("y ~ 1 + (1 | a:c)", data)
    with pytest.raises(DataError, match=r"new combination of levels \(row 1\)"):
        design.rebuild(built.schema, {"a": ["u", "u"], "c": ["s", "t"]})
    rows = design.rebuild(built.schema, {"a": ["u", "u"], "c": ["s", "t"]}, new_levels="population")
    assert rows.groups[0].codes.tolist() == [0, -1]


def test_a_missing_group_is_not_a_new_level() -> None:
    built = build("y ~ x + (1 | g)")
    rows = design.rebuild(built.schema, {"x": [1.0, 2.0], "g": ["a", None]})
    assert rows.groups[0].codes.tolist() == [0, -1]


def test_missing_predictors_are_flagged() -> None:
    built = build("y ~ bs(x, df=4) + f + offset(z) + (b | g)")
    new = frame().astype({"b": object})
    new.loc[0, "x"] = np.nan
    new.loc[1, "f"] = None
    new.loc[2, "z"] = np.nan
    new.loc[3, "b"] = None
    rows = design.rebuild(built.schema, new)
    assert rows.missing is not None
    assert rows.missing.tolist() == [True, True, True] + [False] * (N - 3)
    assert np.array_equal(dense(rows)[3:], dense(built.rows)[3:])
    assert np.isnan(dense(rows)[0]).any()
    assert np.isnan(dense(rows)[1]).any()
    slope = rows.terms[0].columns[1]
    assert slope.lookups[0][0][3] == -1


def test_new_data_that_are_refused() -> None:
    built = build("y ~ log(x) + (1 | g)")
    with pytest.raises(DataError, match="-inf in row 0"):
        design.rebuild(built.schema, {"x": [0.0], "g": ["a"]})
    with pytest.raises(DataError, match="infinite"):
        design.rebuild(built.schema, {"x": [np.inf], "g": ["a"]})
    with pytest.raises(DataError, match="text or categories"):
        design.rebuild(built.schema, {"x": ["1"], "g": ["a"]})


def test_no_new_rows() -> None:
    built = build("y ~ log(x) + f + (x | g) + (1 | g:h)", offset="z")
    rows = design.rebuild(built.schema, frame().iloc[:0])
    assert rows.nobs == 0
    assert dense(rows).shape == (0, 5)


def test_weights_and_offset_of_new_data() -> None:
    built = build("y ~ x + offset(log(x))", weights="1 / z2", offset="z", data=frame(z2=2.0))
    rows = design.rebuild(built.schema, frame(z2=4.0))
    assert rows.weights is not None
    assert rows.weights.tolist() == [0.25] * N
    assert rows.offset is not None
    assert np.allclose(rows.offset, np.log(frame()["x"]) + frame()["z"])
    assert design.rebuild(built.schema, frame()).weights is None
    with pytest.raises(FormulaError, match="no column 'z'"):
        design.rebuild(built.schema, frame().drop(columns="z"))
    with pytest.raises(DataError, match="must not be negative"):
        design.rebuild(built.schema, frame(z2=-1.0))


@pytest.mark.parametrize("option", ["weights", "offset"])
def test_array_options_cannot_follow_new_data(option: str) -> None:
    built = build("y ~ x", **{option: np.ones(N)})
    with pytest.raises(DataError, match=f"{option}='column'"):
        design.rebuild(built.schema, frame())


def test_schema_travels() -> None:
    built = build(
        "y ~ scale(x) + poly(z, 2) + C(f, Sum) + (x | g/h)", weights="x", contrasts={"f": "sum"}
    )
    expected = dense(design.rebuild(built.schema, frame()))
    assert np.array_equal(expected, dense(built.rows))
    for schema in (pickle.loads(pickle.dumps(built.schema)), copy.deepcopy(built.schema)):
        assert np.array_equal(dense(design.rebuild(schema, frame())), expected)
    rows = pickle.loads(pickle.dumps(built.rows))
    assert np.array_equal(dense(rows), expected)


def test_schema_holds_no_data() -> None:
    data = pd.DataFrame(
        {"y": np.arange(50_000.0), "x": np.arange(50_000.0), "g": np.arange(50_000) % 7}
    )
    built = build("y ~ x + scale(x) + (x | g)", data)
    assert len(pickle.dumps(built.schema)) < 5000


def test_other_tables_give_the_same_rows() -> None:
    data = frame().drop(columns="date")
    expected = build("y ~ x * f + b + (x | g:h)", data).rows
    for other in (pl.from_pandas(data), pl.from_pandas(data).lazy(), data.to_dict("list")):
        rows = build("y ~ x * f + b + (x | g:h)", other).rows
        assert np.array_equal(dense(rows), dense(expected))
        assert list(rows.groups[0].levels) == list(expected.groups[0].levels)
        assert np.array_equal(rows.groups[0].codes, expected.groups[0].codes)


def test_an_integer_group_of_a_million_levels() -> None:
    n = 10**6
    g = np.random.default_rng(0).permutation(n) // 2
    rows = build("y ~ 1 + (1 | g)", pd.DataFrame({"y": np.arange(n) * 1.0, "g": g})).rows
    assert len(rows.groups[0].levels) == n // 2
    assert np.array_equal(rows.groups[0].codes, g)
