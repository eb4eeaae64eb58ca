"""The stored fits of lme4 and lm, their data, and R's names for coefficients in ours."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

_DATA = Path(__file__).parent / "data"

CASES: dict[str, dict[str, Any]] = json.loads((_DATA / "cases.json").read_text())["cases"]
LMER = [name for name, case in CASES.items() if case["kind"] == "lmer"]
LM = [name for name, case in CASES.items() if case["kind"] == "lm"]


@cache
def _data(name: str) -> pd.DataFrame:
    if name == "InstEval":
        return _insteval()
    kinds = json.loads((_DATA / f"{name}.json").read_text())["columns"]
    text = {c: str for c, kind in kinds.items() if kind["kind"] != "numeric"}
    # "None" is a level of Alfalfa, and no file has missing values.
    frame = pd.read_csv(_DATA / f"{name}.csv", dtype=text, keep_default_na=False)
    for column, kind in kinds.items():
        if kind["kind"] == "factor":
            frame[column] = pd.Categorical(frame[column], categories=kind["levels"])
    return frame


def _insteval() -> pd.DataFrame:
    with np.load(_DATA / "InstEval.npz") as stored:
        columns = {}
        for name in stored.files:
            if f"{name}.levels" in stored.files:
                levels = stored[f"{name}.levels"]
                columns[name] = pd.Categorical.from_codes(stored[name], levels)
            elif not name.endswith(".levels"):
                columns[name] = stored[name].astype(float)
    return pd.DataFrame(columns)


def data(name: str) -> pd.DataFrame:
    """A fresh frame; factors are categorical with R's level order."""
    return _data(name).copy()


def our_name(name: str, frame: pd.DataFrame) -> str:
    """``"displ:drvf"`` to ``"displ:drv[T.f]"``, ``"(Intercept)"`` to ``"Intercept"``."""
    factors = {
        f"{column}{level}": f"{column}[T.{level}]"
        for column in frame
        if not pd.api.types.is_numeric_dtype(frame[column])
        for level in frame[column].unique()
    }
    parts = [factors.get(part, part) for part in name.split(":")]
    return ":".join(parts).replace("(Intercept)", "Intercept")


def named(values: dict[str, float], frame: pd.DataFrame) -> pd.Series:
    return pd.Series({our_name(name, frame): value for name, value in values.items()})
