"""Eight small data sets with a printed source each; see ``PROVENANCE.toml`` beside this file."""

from __future__ import annotations

import csv
import json
import os
from typing import Any

import numpy as np

from .._errors import DataError, SpecificationError

__all__ = ["load", "names"]

_DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
_BACKENDS = ("pandas", "polars", "pyarrow", "dict")


def names() -> tuple[str, ...]:
    """Names of the bundled data sets, as `load` takes them.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> names()
    ('mpg', 'sleepstudy', 'Dyestuff', 'Dyestuff2', 'Penicillin', 'Pastes', 'cake', 'cbpp')
    """
    return tuple(_schemas())


def load(name: str, backend: str = "pandas") -> Any:
    """One bundled data set as a data frame.

    Parameters
    ----------
    name : str
        One of `names`, in any case.
    backend : {"pandas", "polars", "pyarrow", "dict"}
        The library of the result; ``"dict"`` gives NumPy arrays by column name.

    Returns
    -------
    data frame, or dict of (n,) arrays
        A fresh one at each call. Whole numbers are int64, others float64, text stays text. Factors
        keep the order of their levels: a pandas ``Categorical``, a polars ``Enum``, a pyarrow
        dictionary; in a dict they are arrays of strings, which carry no order.

    Raises
    ------
    DataError
        If there is no data set of that name; the message has the closest names.
    SpecificationError
        If the backend is unknown, or its library is not installed.

    Examples
    --------
    >>> frame = load("sleepstudy")
    >>> frame.shape
    (180, 3)
    >>> list(frame.columns)
    ['Reaction', 'Days', 'Subject']
    """
    if backend not in _BACKENDS:
        raise SpecificationError(
            f"datasets.load(backend={backend!r}): there is no such backend. "
            f"Use one of {', '.join(map(repr, _BACKENDS))}."
        )
    schemas = _schemas()
    key = _canonical(name, tuple(schemas))
    columns = schemas[key]["columns"]
    texts = _texts(key)
    if backend == "dict":
        return {c: _plain(texts[c], spec) for c, spec in columns.items()}
    build = {"pandas": _pandas, "polars": _polars, "pyarrow": _pyarrow}[backend]
    try:
        return build(texts, columns)
    except ImportError as error:
        raise SpecificationError(
            f"datasets.load({name!r}, backend={backend!r}) needs {error.name or backend}, which is "
            "not installed. Run: pip install 'partialpool[engines]'."
        ) from error


def _schemas() -> dict[str, Any]:
    with open(os.path.join(_DATA, "schema.json"), encoding="utf-8") as stream:
        schemas: dict[str, Any] = json.load(stream)
    return schemas


def _texts(key: str) -> dict[str, list[str]]:
    """The cells of each column as they stand in the file."""
    with open(os.path.join(_DATA, f"{key}.csv"), encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream)
        head = next(rows)
        return dict(zip(head, map(list, zip(*rows, strict=True)), strict=True))


def _canonical(name: str, known: tuple[str, ...]) -> str:
    by_lower = {k.lower(): k for k in known}
    found = by_lower.get(name.lower()) if isinstance(name, str) else None
    if found is not None:
        return found
    import difflib

    close = difflib.get_close_matches(str(name).lower(), by_lower, n=3)
    hint = f" Did you mean {' or '.join(repr(by_lower[c]) for c in close)}?" if close else ""
    raise DataError(f"There is no data set {name!r}.{hint} There are: {', '.join(known)}.")


def _plain(texts: list[str], spec: dict[str, Any]) -> Any:
    """One column as a NumPy array; text and factors as objects, one `str` a row."""
    kind = spec["kind"]
    if kind == "integer":
        return np.array([int(t) for t in texts], dtype=np.int64)
    if kind == "number":
        return np.array([float(t) for t in texts], dtype=np.float64)
    return np.array(texts, dtype=object)


def _codes(texts: list[str], levels: list[str]) -> list[int]:
    place = {level: i for i, level in enumerate(levels)}
    return [place[t] for t in texts]


def _pandas(texts: dict[str, list[str]], columns: dict[str, Any]) -> Any:
    import pandas as pd

    data: dict[str, Any] = {}
    for name, spec in columns.items():
        if spec["kind"] == "factor":
            levels, ordered = spec["levels"], spec.get("ordered", False)
            codes = _codes(texts[name], levels)
            data[name] = pd.Categorical.from_codes(codes, categories=levels, ordered=ordered)
        else:
            data[name] = _plain(texts[name], spec)
    return pd.DataFrame(data)


def _polars(texts: dict[str, list[str]], columns: dict[str, Any]) -> Any:
    import polars as pl

    data: dict[str, Any] = {}
    for name, spec in columns.items():
        if spec["kind"] == "factor":
            data[name] = pl.Series(name, texts[name], dtype=pl.Enum(spec["levels"]))
        elif spec["kind"] == "string":
            data[name] = pl.Series(name, texts[name], dtype=pl.String)
        else:
            data[name] = pl.Series(name, _plain(texts[name], spec))
    return pl.DataFrame(data)


def _pyarrow(texts: dict[str, list[str]], columns: dict[str, Any]) -> Any:
    import pyarrow as pa

    data: dict[str, Any] = {}
    for name, spec in columns.items():
        if spec["kind"] == "factor":
            codes = pa.array(_codes(texts[name], spec["levels"]), type=pa.int32())
            data[name] = pa.DictionaryArray.from_arrays(
                codes, pa.array(spec["levels"]), ordered=spec.get("ordered", False)
            )
        elif spec["kind"] == "string":
            data[name] = pa.array(texts[name], type=pa.string())
        else:
            data[name] = pa.array(_plain(texts[name], spec))
    return pa.table(data)
