"""The models that are timed: data, formula, target.

Every case is a :class:`Case`. The data come from a bundled table or from a seeded simulator, as
plain columns (:class:`Columns`), so that Python and R are given the same numbers bit for bit.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent

TABLES = ROOT / "src" / "partialpool" / "datasets" / "data"


@dataclass(frozen=True)
class Labels:
    """A column of labels: row i is ``levels[codes[i]]``.

    Attributes
    ----------
    codes : (n,) int32 array
    levels : tuple of str
    dtype : str
        What the column is in the pandas frame: ``"category"`` or ``"str"``. R gets a factor.
    """

    codes: npt.NDArray[np.int32]
    levels: tuple[str, ...]
    dtype: str


# Arrays are float64 or int64.
Columns = dict[str, npt.NDArray[Any] | Labels]


@dataclass(frozen=True)
class Case:
    """One model on one data set.

    Attributes
    ----------
    name : str
        Also the key in the results and in ``misses.toml``.
    make : callable
        Returns the columns of the formula, and no others.
    formula : str
        For every package but statsmodels, which has no syntax for bars.
    target : float
        Seconds, from a data frame and the formula to a fitted model.
    statsmodels : dict or str
        Arguments of ``MixedLM.from_formula``, or why the model cannot be written.
    groups : tuple of str
        Grouping columns (factors in R whatever they are in pandas).
    memory : bool
        Whether peak memory is measured too.
    """

    name: str
    make: Callable[[], Columns]
    formula: str
    target: float
    statsmodels: dict[str, Any] | str
    groups: tuple[str, ...]
    memory: bool = False
    about: str = ""

    @property
    def response(self) -> str:
        """Name of the response column."""
        return self.formula.split("~")[0].strip()


# ------------------------------------------------------------------------------ bundled tables


def read_table(name: str, **kinds: str) -> Columns:
    """Read columns of a bundled table.

    Parameters
    ----------
    name : str
    **kinds : str
        Column name (``class_`` for ``class``) to ``"float"``, ``"int"``, ``"category"``, ``"str"``.

    Raises
    ------
    FileNotFoundError
        When there is no such table.
    """
    with open(TABLES / f"{name}.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns: Columns = {}
    for keyword, kind in kinds.items():
        column = keyword.rstrip("_")
        columns[column] = _column([row[column] for row in rows], kind)
    return columns


def _column(text: list[str], kind: str) -> npt.NDArray[Any] | Labels:
    if kind == "float":
        return np.array([float(item) for item in text])
    if kind == "int":
        return np.array([int(item) for item in text], dtype=np.int64)
    levels = sorted(set(text))
    place = {level: i for i, level in enumerate(levels)}
    codes = np.array([place[item] for item in text], dtype=np.int32)
    return Labels(codes, tuple(levels), kind)


def mpg_strings() -> Columns:
    return read_table("mpg", hwy="int", displ="float", year="int", class_="str")


def mpg_categorical() -> Columns:
    return read_table("mpg", hwy="int", displ="float", year="int", class_="category")


def sleepstudy_categorical() -> Columns:
    return read_table("sleepstudy", Reaction="float", Days="int", Subject="category")


def sleepstudy_integers() -> Columns:
    return read_table("sleepstudy", Reaction="float", Days="int", Subject="int")


def penicillin() -> Columns:
    return read_table("Penicillin", diameter="float", plate="category", sample="category")


def pastes() -> Columns:
    return read_table("Pastes", strength="float", batch="category", cask="category")


def inst_eval() -> Columns:
    """Ratings as a CSV reader gives them: every column integers."""
    path = ROOT / "tests" / "reference" / "data" / "InstEval.npz"
    with np.load(path) as stored:
        columns: Columns = {"y": stored["y"].astype(np.int64)}
        for name in ("service", "s", "d", "dept"):
            columns[name] = stored[f"{name}.levels"].astype(np.int64)[stored[name]]
    return columns


# ---------------------------------------------------------------------------- seeded simulators


def slopes(rows: int = 1_000_000, groups: int = 20_000, seed: int = 20_000) -> Columns:
    """One grouping factor with unequal group sizes, correlated intercepts and slopes."""
    rng = np.random.default_rng(seed)
    g = rng.integers(0, groups, rows)
    x = rng.standard_normal(rows)
    b = rng.standard_normal((groups, 2)) @ np.array([[1.0, 0.3], [0.0, 0.4]])
    y = 1.0 + 0.5 * x + b[g, 0] + b[g, 1] * x + rng.standard_normal(rows)
    return {"y": y, "x": x, "g": g}


def crossed(
    rows: int = 1_000_000, first: int = 10_000, second: int = 1_000, seed: int = 10_000
) -> Columns:
    """Two crossed random intercepts; every row picks its two levels independently."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, first, rows)
    b = rng.integers(0, second, rows)
    x = rng.standard_normal(rows)
    effect_a = 0.7 * rng.standard_normal(first)
    effect_b = 0.5 * rng.standard_normal(second)
    y = 2.0 + 0.5 * x + effect_a[a] + effect_b[b] + rng.standard_normal(rows)
    return {"y": y, "x": x, "a": a, "b": b}


def latin_square(columns: int, subjects: int = 56, items: int = 32, seed: int = 56) -> Columns:
    """A 2 x 2 x 2 experiment within subjects and within items.

    Subject i sees item j once, in condition (i + j) mod 8 of the eight combinations of S, P, L
    (coded -1, +1): a Latin square repeated. Subjects and items each have ``columns`` correlated
    random effects of full rank. Products are columns of their own (SP, SL, PL, SPL), since not
    every package takes interactions before a bar.

    Parameters
    ----------
    columns : int
        4: intercept, S, P, L. 8: their interactions too.
    """
    rng = np.random.default_rng(seed + columns)
    subject = np.repeat(np.arange(subjects), items)
    item = np.tile(np.arange(items), subjects)
    condition = (subject + item) % 8
    s, p, ell = (2.0 * (condition >> bit & 1) - 1.0 for bit in range(3))
    design = np.column_stack((np.ones(s.size), s, p, ell, s * p, s * ell, p * ell, s * p * ell))
    y = design @ np.array([5.0, 0.3, -0.4, 0.2, 0.1, 0.0, -0.1, 0.05])
    for codes, levels in ((subject, subjects), (item, items)):
        factor = 0.5 * np.eye(columns) + 0.15 * np.tril(rng.standard_normal((columns, columns)), -1)
        effects = rng.standard_normal((levels, columns)) @ factor.T
        y += np.einsum("ij,ij->i", design[:, :columns], effects[codes])
    y += rng.standard_normal(s.size)
    labels = {
        "subj": Labels(subject.astype(np.int32), _names("s", subjects), "category"),
        "item": Labels(item.astype(np.int32), _names("i", items), "category"),
    }
    names = ("S", "P", "L", "SP", "SL", "PL", "SPL")
    return {"y": y, **dict(zip(names, design[:, 1:].T.copy(), strict=True)), **labels}


def _names(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{i:02d}" for i in range(count))


# ------------------------------------------------------------------------------------ the list

SLEEPSTUDY = {"formula": "Reaction ~ Days", "groups": "Subject", "re_formula": "~Days"}
MPG = {"formula": "hwy ~ displ + year", "groups": "class"}
PRODUCTS = "S + P + L + SP + SL + PL + SPL"
NO_CROSSED_SLOPES = "no correlated effects in crossed terms"

CASES = (
    Case(
        "mpg",
        mpg_strings,
        "hwy ~ displ + year + (1 | class)",
        0.25e-3,
        MPG,
        ("class",),
        about="234 rows, 7 groups; the group is a column of strings",
    ),
    Case(
        "mpg, categorical",
        mpg_categorical,
        "hwy ~ displ + year + (1 | class)",
        0.25e-3,
        MPG,
        ("class",),
        about="the same with a categorical column",
    ),
    Case(
        "sleepstudy",
        sleepstudy_categorical,
        "Reaction ~ Days + (Days | Subject)",
        0.25e-3,
        SLEEPSTUDY,
        ("Subject",),
        about="180 rows, 18 groups, correlated intercepts and slopes; categorical group",
    ),
    Case(
        "sleepstudy, integers",
        sleepstudy_integers,
        "Reaction ~ Days + (Days | Subject)",
        0.25e-3,
        SLEEPSTUDY,
        ("Subject",),
        about="the same with an integer group, as read from a CSV file",
    ),
    Case(
        "Penicillin",
        penicillin,
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        0.25e-3,
        {
            "formula": "diameter ~ 1",
            "groups": "one",
            "vc_formula": {"plate": "0 + C(plate)", "sample": "0 + C(sample)"},
        },
        ("plate", "sample"),
        about="144 rows, 24 plates crossed with 6 samples",
    ),
    Case(
        "Pastes",
        pastes,
        "strength ~ 1 + (1 | batch/cask)",
        0.25e-3,
        {
            "formula": "strength ~ 1",
            "groups": "batch",
            "re_formula": "1",
            "vc_formula": {"cask": "0 + C(cask)"},
        },
        ("batch", "cask"),
        about="60 rows, 30 casks nested in 10 batches",
    ),
    Case(
        "InstEval",
        inst_eval,
        "y ~ service + (1 | s) + (1 | d) + (1 | dept)",
        0.35,
        {
            "formula": "y ~ service",
            "groups": "one",
            "vc_formula": {"s": "0 + C(s)", "d": "0 + C(d)", "dept": "0 + C(dept)"},
        },
        ("s", "d", "dept"),
        memory=True,
        about="73,421 rows; 2,972, 1,128 and 14 levels, crossed",
    ),
    Case(
        "slopes 1e6",
        slopes,
        "y ~ x + (x | g)",
        0.12,
        {"formula": "y ~ x", "groups": "g", "re_formula": "~x"},
        ("g",),
        memory=True,
        about="1,000,000 rows, 20,000 groups of unequal size, correlated intercepts and slopes",
    ),
    Case(
        "crossed 1e6",
        crossed,
        "y ~ x + (1 | a) + (1 | b)",
        1.2,
        {
            "formula": "y ~ x",
            "groups": "one",
            "vc_formula": {"a": "0 + C(a)", "b": "0 + C(b)"},
        },
        ("a", "b"),
        memory=True,
        about="1,000,000 rows, intercepts of 10,000 and 1,000 levels",
    ),
    Case(
        "two 4 x 4",
        lambda: latin_square(4),
        f"y ~ {PRODUCTS} + (S + P + L | subj) + (S + P + L | item)",
        40e-3,
        NO_CROSSED_SLOPES,
        ("subj", "item"),
        about="1,792 rows, 56 subjects crossed with 32 items, 20 covariance parameters",
    ),
    Case(
        "two 8 x 8",
        lambda: latin_square(8),
        f"y ~ {PRODUCTS} + ({PRODUCTS} | subj) + ({PRODUCTS} | item)",
        0.3,
        NO_CROSSED_SLOPES,
        ("subj", "item"),
        about="the same layout with interactions, 72 covariance parameters",
    ),
)


def named(name: str) -> Case:
    """The case of that name; KeyError with the list when there is none."""
    for case in CASES:
        if case.name == name:
            return case
    raise KeyError(f"No case {name!r}; there are: {', '.join(case.name for case in CASES)}.")
