"""Columns of every kind of table: numbers, factors, refusals; nothing of the user's is changed."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import partialpool as pp
from partialpool import table
from partialpool._errors import DataError


def column(values: Any) -> table.Table:
    return table.of(pd.DataFrame({"v": values}))


def levels(t: table.Table, name: str = "v") -> list[Any]:
    return list(t.factor(name).levels)


def decoded(t: table.Table, name: str = "v") -> list[Any]:
    data = t.factor(name)
    return [None if code < 0 else data.levels[code] for code in data.codes]


NUMERIC = {
    "int64": np.array([3, 1, 2]),
    "int8": np.array([-100, 100, 3], dtype=np.int8),
    "uint64": np.array([3, 1, 2], dtype=np.uint64),
    "float32": np.array([1, 2, np.nan], dtype=np.float32),
    "Int64": pd.array([3, None, 1], dtype="Int64"),
    "Float64": pd.array([3.0, None, 1.5], dtype="Float64"),
    "arrow int": pd.array([3, None, 1], dtype=pd.ArrowDtype(pa.int64())),
    "arrow float": pd.array([3.0, None, 1.5], dtype=pd.ArrowDtype(pa.float64())),
    "arrow decimal": pd.array(
        [decimal.Decimal("1.5"), None, decimal.Decimal("2")],
        dtype=pd.ArrowDtype(pa.decimal128(5, 2)),
    ),
    "sparse": pd.arrays.SparseArray([0.0, 1.0, np.nan]),
}


@pytest.mark.parametrize("dtype", NUMERIC)
def test_numeric_columns_of_pandas(dtype: str) -> None:
    t = column(NUMERIC[dtype])
    expected = [np.nan if pd.isna(v) else float(v) for v in NUMERIC[dtype]]
    got = t.numeric("v")
    assert t.kind("v") == "numeric"
    assert got.dtype == np.float64
    assert got.flags.c_contiguous
    assert np.array_equal(got, expected, equal_nan=True)


@pytest.mark.parametrize(
    "values",
    [
        [True, None, False],
        np.array([True, False, True]),
        pd.array([True, None, False], dtype="boolean"),
        pd.array([True, None, False], dtype=pd.ArrowDtype(pa.bool_())),
    ],
)
def test_booleans_are_factors_and_zero_or_one(values: Any) -> None:
    t = column(values)
    assert t.kind("v") == "boolean"
    assert levels(t) == [False, True]
    expected = [None if pd.isna(v) else bool(v) for v in values]
    assert decoded(t) == expected
    numbers = [np.nan if v is None else float(v) for v in expected]
    assert np.array_equal(t.numeric("v"), numbers, equal_nan=True)


@pytest.mark.parametrize(
    "dtype", [object, "str", "string[python]", "string[pyarrow]", pd.ArrowDtype(pa.string())]
)
def test_text_is_sorted_by_code_point(dtype: Any) -> None:
    t = column(pd.Series(["é", "b", None, "B", "a10", "a9", "b"], dtype=dtype))
    assert t.kind("v") == "categorical"
    assert levels(t) == ["B", "a10", "a9", "b", "é"]
    assert decoded(t) == ["é", "b", None, "B", "a10", "a9", "b"]


def test_text_in_several_chunks_and_slices() -> None:
    values = ["z", None, "a", "m", "a", "z"]
    chunked = pa.chunked_array([values[:2], values[2:3], values[3:]])
    frame = pd.DataFrame({"v": pd.Series(chunked, dtype=pd.ArrowDtype(pa.string()))})
    assert decoded(table.of(frame)) == values
    assert decoded(table.of(frame.iloc[1:5])) == values[1:5]
    assert decoded(table.of(pa.table({"v": chunked}).slice(1, 4))) == values[1:5]
    assert table.of(pa.table({"v": pa.chunked_array([], pa.string())})).factor("v").codes.size == 0


def test_category_order_is_kept_unused_ones_too() -> None:
    t = column(pd.Categorical(["lo", None, "hi"], ["lo", "mid", "hi"], ordered=True))
    assert levels(t) == ["lo", "mid", "hi"]
    assert decoded(t) == ["lo", None, "hi"]
    assert not t.factor("v").occurring
    assert levels(column(pd.Categorical([3, 1], [5, 3, 1]))) == [5, 3, 1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([10, 9, 10, -1], [-1, 9, 10]),
        (np.array([-100, 100, 3], dtype=np.int8), [-100, 3, 100]),
        (np.array([2**62, -(2**62), 5]), [-(2**62), 5, 2**62]),
        (np.array([2**64 - 1, 0, 2**63], dtype=np.uint64), [0, 2**63, 2**64 - 1]),
        ([2.0, np.nan, 1.0], [1, 2]),
        (np.array([60000.0, 2.0], dtype=np.float16), [2, 60000]),
        (pd.array([10, None, 9], dtype="Int64"), [9, 10]),
        (pd.array([10, None, 9], dtype=pd.ArrowDtype(pa.int32())), [9, 10]),
        (np.array([10, 9, None], dtype=object), [9, 10]),
        (np.array([10.0, 9, None], dtype=object), [9, 10]),
    ],
)
def test_numbers_as_levels_are_sorted_by_size(values: Any, expected: list[int]) -> None:
    t = column(values)
    assert [int(v) for v in t.factor("v").levels] == expected
    assert [None if v is None else int(v) for v in decoded(t)] == [
        None if pd.isna(v) else int(v) for v in values
    ]


def test_a_million_integer_levels() -> None:
    values = np.random.default_rng(1).permutation(10**6) + 7
    data = column(values).factor("v")
    assert len(data.levels) == 10**6
    assert np.array_equal(np.asarray(data.levels)[data.codes], values)


@pytest.mark.parametrize("dtype", [object, "str"])
def test_long_text_columns(dtype: Any) -> None:
    distinct = np.array(["b", "a", "é", None], dtype=object)
    values = np.random.default_rng(1).choice(distinct, 5000)
    t = column(pd.Series(values, dtype=dtype))
    assert levels(t) == ["a", "b", "é"]
    assert decoded(t) == values.tolist()
    mixed = np.array([*values, 1], dtype=object)
    with pytest.raises(DataError, match="int, str"):
        column(mixed).factor("v")


def test_dates_and_other_sortable_things_can_be_levels() -> None:
    dates = pd.to_datetime(["2020-01-02", None, "2019-05-05"])
    assert [str(v)[:10] for v in levels(column(dates))] == ["2019-05-05", "2020-01-02"]
    assert column(dates).factor("v").codes.tolist() == [1, -1, 0]
    aware = pd.date_range("2020", periods=3, tz="Europe/Berlin")
    assert column(aware).factor("v").codes.tolist() == [0, 1, 2]
    assert levels(column([datetime.date(2020, 1, 1), datetime.date(2019, 1, 1)])) == [
        datetime.date(2019, 1, 1),
        datetime.date(2020, 1, 1),
    ]
    assert len(levels(column(pd.cut(np.arange(9.0), 3)))) == 3


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["a", "b"], "text or categories"),
        (pd.Categorical([1, 2]), "text or categories"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "dates or times"),
        (pd.to_timedelta([1, 2], unit="D"), "dates or times"),
        (pd.period_range("2020", periods=2, freq="D"), "dates or times"),
        (np.array([1j, 2]), "complex"),
        (np.array([1j, 2], dtype=object), "complex"),
        (np.array([1, 2], dtype=object), "to_numeric"),
        ([decimal.Decimal(1), decimal.Decimal(2)], "Decimal"),
        ([[1], [2]], "list"),
        ([b"a", b"b"], "bytes"),
        ([1, "a"], "int, str"),
        ([None, None], "no value that is not missing"),
        (pd.interval_range(0, 2), "neither numbers nor text"),
    ],
)
def test_not_numbers(values: Any, words: str) -> None:
    t = column(values)
    assert t.kind("v") not in ("numeric", "boolean")
    with pytest.raises(DataError, match=words) as error:
        t.numeric("v")
    assert "'v'" in str(error.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1.5, 2.0], "is 1.5 in row 0"),
        ([1.0, np.nan, np.inf], "is inf in row 2"),
        ([1, "a"], "int, str"),
        ([[1], [2]], "list"),
        (np.array([1j, 2]), "cannot be used as a factor"),
        ([2**70, 1], "64 bits"),
    ],
)
def test_not_levels(values: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        column(values).factor("v")


def test_duplicate_names_are_refused_only_where_used() -> None:
    frame = pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"])
    t = table.of(frame)
    assert t.numeric("b").tolist() == [2.0]
    with pytest.raises(DataError, match="several columns named 'a'"):
        t.numeric("a")


def test_column_labels_of_several_levels_are_refused() -> None:
    with pytest.raises(DataError, match="2 levels"):
        table.of(pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])))


def test_names_that_are_no_strings_are_out_of_reach() -> None:
    t = table.of(pd.DataFrame({0: [1], "x": [2]}))
    assert t.names == ("x",)
    assert "x" in t
    assert "0" not in t


def test_arrays_are_copies() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0], "g": [0, 1], "c": pd.Categorical(["a", "b"])})
    t = table.of(frame)
    for array in (t.numeric("x"), t.factor("g").codes, t.factor("c").codes):
        assert array.flags.owndata
        array[:] = 5
    assert frame["x"].tolist() == [1.0, 2.0]
    assert frame["g"].tolist() == [0, 1]
    assert frame["c"].tolist() == ["a", "b"]
    values = np.array([1.0, 2.0])
    table.of({"x": values}).numeric("x")[:] = 5
    assert values.tolist() == [1.0, 2.0]


def test_the_way_without_pandas_shortcut_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"x": [1, 2], "s": ["b", "a"], "c": pd.Categorical(["b", "a"])})
    direct = table.of(frame)
    monkeypatch.delattr(pd.DataFrame, "_get_column_array")
    public = table.of(frame)
    assert public._reach is None  # type: ignore[attr-defined]
    assert direct._reach is not None  # type: ignore[attr-defined]
    assert np.array_equal(public.numeric("x"), direct.numeric("x"))
    for name in ("s", "c", "x"):
        assert decoded(public, name) == decoded(direct, name)


# -- through narwhals -----------------------------------------------------------------------------


def sample() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "s": ["b", None, "a"],
            "e": pl.Series(["hi", None, "lo"], dtype=pl.Enum(["lo", "mid", "hi"])),
            "c": pl.Series(["z", "b", None], dtype=pl.Categorical),
            "i": [10, None, 9],
            "f": [1.5, 2.0, None],
            "t": [True, None, False],
            "d": pl.Series([1, 2, None]).cast(pl.Date),
            "m": pl.Series(["1.5", "2", None]).cast(pl.Decimal(10, 2)),
        }
    )


SOURCES = {
    "polars": sample,
    "lazy": lambda: sample().lazy(),
    "arrow": lambda: sample().to_arrow(),
    "dict of polars": lambda: {name: sample()[name] for name in sample().columns},
}


@pytest.mark.parametrize("source", SOURCES)
def test_other_libraries(source: str) -> None:
    t = table.of(SOURCES[source]())
    assert t.names == ("s", "e", "c", "i", "f", "t", "d", "m")
    assert t.nrows == 3
    assert t.index is None
    assert decoded(t, "s") == ["b", None, "a"]
    assert levels(t, "s") == ["a", "b"]
    assert decoded(t, "e") == ["hi", None, "lo"]
    # Arrow's dictionary of an Enum from polars holds all of its categories, in their order.
    assert levels(t, "e") == ["lo", "mid", "hi"]
    assert decoded(t, "c") == ["z", "b", None]
    # polars gives its Categorical no order, Arrow's dictionary has one.
    assert levels(t, "c") == (["z", "b"] if source == "arrow" else ["b", "z"])
    assert levels(t, "i") == [9, 10]
    assert np.array_equal(t.numeric("f"), [1.5, 2.0, np.nan], equal_nan=True)
    assert np.array_equal(t.numeric("m"), [1.5, 2.0, np.nan], equal_nan=True)
    assert decoded(t, "t") == [True, None, False]
    assert [t.kind(name) for name in t.names] == [
        *["categorical"] * 3,
        *["numeric"] * 2,
        "boolean",
        "datetime",
        "numeric",
    ]
    with pytest.raises(DataError, match="dates or times"):
        t.numeric("d")
    assert len(levels(t, "d")) == 2


def test_null_and_repeated_dictionary_entries() -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 3]), pa.array(["b", None, "b", "a"]))
    assert decoded(table.of(pa.table({"v": array}))) == ["b", None, "b", "a"]


# -- dict of arrays -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind", "factor"),
    [
        ([1, 2, 3], "numeric", [1, 2, 3]),
        ([1, None, 3], "numeric", [1, 3]),
        ((1.0, 2.0, float("nan")), "numeric", [1, 2]),
        (["b", "a", None], "categorical", ["a", "b"]),
        ([True, False, True], "boolean", [False, True]),
        ([True, None, False], "boolean", [False, True]),
        (np.array(["b", "a", "b"]), "categorical", ["a", "b"]),
        (np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]), "numeric", [1, 3]),
        (np.ma.array(["a", "b", "c"], mask=[0, 1, 0]), "categorical", ["a", "c"]),
        (pd.Series(["b", "a", "b"], dtype="category"), "categorical", ["a", "b"]),
        (pd.array([1, None, 3], dtype="Int64"), "numeric", [1, 3]),
        (pa.array(["b", None, "a"]), "categorical", ["a", "b"]),
        (range(3), "numeric", [0, 1, 2]),
    ],
)
def test_dict_of_arrays(values: Any, kind: str, factor: list[Any]) -> None:
    t = table.of({"v": values, "w": [1, 2, 3]})
    assert t.nrows == 3
    assert t.kind("v") == kind
    assert levels(t) == factor


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"x": [1, 2], "y": [1]}, "'x' has 2 values, 'y' has 1"),
        ({"x": 1.0}, "single float"),
        ({"x": "abc"}, "single str"),
        ({"x": np.float64(1)}, "single float64"),
        ({"x": np.ones((2, 2))}, r"shape \(2, 2\)"),
        ({"x": [[1, 2], [3, 4]]}, "nested list"),
        ({"x": [[1], [2, 3]]}, "nested list"),
        (
            {"x": pd.Series([1, 2]), "y": pd.Series([1, 2], index=[1, 0])},
            "different indexes",
        ),
    ],
)
def test_dicts_that_are_refused(data: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        table.of(data).numeric("x")


@pytest.mark.parametrize("data", [3, None, [1, 2], np.ones((3, 2)), object(), b"x"])
def test_what_is_no_table(data: Any) -> None:
    with pytest.raises(DataError, match="data is of type"):
        table.of(data)


# -- files ----------------------------------------------------------------------------------------


def test_csv_and_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.5, 2.5], "g": ["b", "a"]})
    frame.to_csv(tmp_path / "d.csv", index=False)
    frame.to_parquet(tmp_path / "d.parquet")
    for path in (tmp_path / "d.csv", str(tmp_path / "d.parquet")):
        t = table.of(path)
        assert t.numeric("x").tolist() == [1.5, 2.5]
        assert levels(t, "g") == ["a", "b"]


def test_files_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "sleep.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "bad.parquet").write_text("no")
    cases = {
        "slep.csv": "Did you mean 'sleep.csv'",
        "data.txt": "must end in .csv or .parquet",
        "empty.csv": "is empty",
        "bad.parquet": "could not be read",
        ".": "is a directory",
    }
    for name, words in cases.items():
        with pytest.raises(DataError, match=words):
            table.of(tmp_path / name)


def test_parquet_without_pyarrow_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Any) -> None:
        raise ImportError("no pyarrow")

    (tmp_path / "d.parquet").write_text("")
    monkeypatch.setattr(pd, "read_parquet", refuse)
    with pytest.raises(DataError, match=r"partialpool\[engines\]"):
        table.of(tmp_path / "d.parquet")


# -- frames for results ---------------------------------------------------------------------------


def test_like_and_augment_of_pandas() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3]}, index=list("abc"))
    t = table.of(frame)
    assert list(t.index) == list("abc")
    assert t.like({"fit": np.ones(2)}).index.tolist() == [0, 1]
    assert t.like({"fit": np.ones(3)}, by_row=True).index.tolist() == list("abc")
    some = t.augment({"fit": np.array([7.0, 8.0])}, np.array([0, 2]))
    assert some.to_dict("list") == {"x": [1, 3], "fit": [7.0, 8.0]}
    assert some.index.tolist() == ["a", "c"]
    assert list(frame.columns) == ["x"]


@pytest.mark.parametrize("source", ["polars", "lazy", "arrow"])
def test_like_and_augment_of_other_libraries(source: str) -> None:
    frame = SOURCES[source]()
    t = table.of(frame)
    kind = pa.Table if source == "arrow" else pl.DataFrame
    made = t.like({"term": ["a", "b"], "est": np.array([1.0, 2.0]), "none": [None, "z"]})
    assert isinstance(made, kind)
    some = t.augment({"fit": np.array([7.0, 8.0])}, np.array([0, 2]))
    assert isinstance(some, kind)
    assert list(map(str, some["s"].to_pylist() if source == "arrow" else some["s"])) == ["b", "a"]
    assert [float(v) for v in np.asarray(some["fit"])] == [7.0, 8.0]


def test_like_and_augment_of_a_dict() -> None:
    data = {"x": [1, 2, 3], "s": pd.Series(["a", "b", "c"], index=[5, 6, 7])}
    t = table.of(data)
    assert isinstance(t.like({"fit": np.ones(2)}), pd.DataFrame)
    some = t.augment({"fit": np.array([7.0, 8.0])}, np.array([0, 2]))
    assert some.to_dict("list") == {"x": [1, 3], "s": ["a", "c"], "fit": [7.0, 8.0]}


def test_a_table_comes_back_as_it_is() -> None:
    t = table.of({"x": [1.0]})
    assert table.of(t) is t


def test_a_file_of_semicolons_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "semi.csv"
    path.write_text("y;x\n1,5;2\n2;3\n3;4\n")
    with pytest.raises(pp.PartialPoolError, match="separated by semicolons, not commas"):
        pp.lm("y ~ x", path)
