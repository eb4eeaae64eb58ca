"""The bundled data: what they contain, in every library, with a source each."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest

import partialpool.datasets as datasets
from partialpool._errors import DataError, SpecificationError

FOLDER = Path(datasets.__file__).parent
SHAPES = {
    "mpg": (234, 11),
    "sleepstudy": (180, 3),
    "Dyestuff": (30, 2),
    "Dyestuff2": (30, 2),
    "Penicillin": (144, 3),
    "Pastes": (60, 4),
    "cake": (270, 5),
    "cbpp": (56, 4),
}
# Column sums of the copies that R distributes, added up outside this library.
TOTALS = {
    ("mpg", "hwy"): 5485,
    ("mpg", "displ"): 812.4,
    ("sleepstudy", "Reaction"): 53731.4205,
    ("Dyestuff", "Yield"): 45825,
    ("Dyestuff2", "Yield"): 169.968,
    ("Penicillin", "diameter"): 3308,
    ("Pastes", "strength"): 3603.2,
    ("cake", "angle"): 8673,
    ("cbpp", "incidence"): 99,
}
OTHERS = ("polars", "pyarrow", "dict")


def test_names_lists_every_set() -> None:
    assert datasets.names() == tuple(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_shape_and_totals(name: str) -> None:
    frame = datasets.load(name)
    assert frame.shape == SHAPES[name]
    assert not frame.isna().any().any()
    for (dataset, column), total in TOTALS.items():
        if dataset == name:
            np.testing.assert_allclose(frame[column].sum(), total, rtol=1e-12)


@pytest.mark.parametrize("spelling", ["SLEEPSTUDY", "SleepStudy", "sleepstudy"])
def test_names_are_case_insensitive(spelling: str) -> None:
    assert datasets.load(spelling).shape == (180, 3)


def test_factor_levels_keep_their_order() -> None:
    cake = datasets.load("cake")
    assert list(cake["replicate"].cat.categories) == [str(i) for i in range(1, 16)]
    assert cake["temperature"].cat.ordered
    assert not cake["recipe"].cat.ordered
    pastes = datasets.load("pastes")
    assert pastes["sample"].cat.categories[4] == "B:b"
    subjects = datasets.load("sleepstudy")["Subject"]
    assert subjects.cat.categories[[0, -1]].tolist() == ["308", "372"]


def test_kinds_of_columns() -> None:
    mpg = datasets.load("mpg")
    assert mpg["displ"].dtype == np.float64
    assert mpg["year"].dtype == np.int64
    assert mpg["class"].iloc[0] == "compact"


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("name", SHAPES)
def test_backends_hold_the_same_values(name: str, backend: str) -> None:
    frame = datasets.load(name)
    other = datasets.load(name, backend=backend)
    columns = list(other) if backend == "dict" else list(other.columns)
    if backend == "pyarrow":
        columns = other.column_names
    assert columns == list(frame.columns)
    for column in columns:
        values = other[column]
        values = values.tolist() if backend == "dict" else _to_list(values)
        assert values == frame[column].tolist(), column


def _to_list(values: object) -> list[object]:
    return values.to_list() if hasattr(values, "to_list") else values.to_pylist()  # type: ignore[attr-defined]


def test_polars_and_pyarrow_keep_level_order() -> None:
    levels = [str(i) for i in range(1, 16)]
    polars = datasets.load("cake", backend="polars")
    assert polars["replicate"].dtype.categories.to_list() == levels
    arrow = datasets.load("cake", backend="pyarrow")
    assert arrow["replicate"].chunk(0).dictionary.to_pylist() == levels
    assert arrow["temperature"].type.ordered


def test_each_call_gives_a_fresh_frame() -> None:
    first = datasets.load("Dyestuff")
    first.loc[0, "Yield"] = -1
    assert datasets.load("Dyestuff")["Yield"].iloc[0] == 1545


def test_unknown_name_says_what_is_close() -> None:
    with pytest.raises(DataError, match=r"no data set 'sleepstdy'.*'sleepstudy'"):
        datasets.load("sleepstdy")
    with pytest.raises(DataError, match="There are: mpg, sleepstudy"):
        datasets.load("zzzzzz")
    with pytest.raises(DataError, match="no data set '\\.\\./mpg'"):
        datasets.load("../mpg")
    with pytest.raises(DataError, match="no data set None"):
        datasets.load(None)  # type: ignore[arg-type]


def test_unknown_backend_names_the_known_ones() -> None:
    with pytest.raises(SpecificationError, match=r"'spark'.*'pandas', 'polars'"):
        datasets.load("mpg", backend="spark")


def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(SpecificationError, match=r"partialpool\[engines\]"):
        datasets.load("mpg", backend="polars")


def test_provenance_describes_every_column() -> None:
    with open(FOLDER / "PROVENANCE.toml", "rb") as stream:
        provenance = tomllib.load(stream)
    assert list(provenance) == list(SHAPES)
    for name, entry in provenance.items():
        frame = datasets.load(name)
        assert entry["rows"] == len(frame)
        assert list(entry["columns"]) == list(frame.columns)
        assert all(c["meaning"] for c in entry["columns"].values())
        assert any(ch.isdigit() for ch in entry["source"])
    assert sorted(p.stem for p in (FOLDER / "data").glob("*.csv")) == sorted(SHAPES)


def test_dict_backend_imports_no_pandas() -> None:
    code = (
        "import sys, partialpool.datasets as d; d.load('mpg', backend='dict');"
        "assert 'pandas' not in sys.modules and 'polars' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_load_takes_a_few_milliseconds() -> None:
    datasets.load("mpg")
    best = min(_seconds() for _ in range(20))
    assert best < 0.02  # about 1.5 ms on an idle core; the rest is room for a busy machine


def _seconds() -> float:
    start = time.perf_counter()
    datasets.load("mpg")
    return time.perf_counter() - start
