"""Types of the native module (cpp/module.cpp). Not public."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._types import Column, FloatArray, IntArray

VALUE: int
SOLUTION: int
GRADIENT: int
AVERAGE: int
EXACT: int

class RowSet:
    def __init__(
        self,
        n: int,
        y: FloatArray,
        weights: FloatArray | None,
        offset: FloatArray | None,
        fixed: Sequence[Column],
        groups: Sequence[tuple[IntArray, int, Sequence[Column]]],
    ) -> None: ...

class Products:
    n: int
    p: int
    rss0: float
    response_size: float
    def __add__(self, other: Products) -> Products: ...
    def state(self) -> tuple[Any, ...]: ...
    def dense_columns(self) -> int: ...
    def smallest_pivot(self) -> float: ...
    def fixed_transform(self) -> tuple[FloatArray, FloatArray]: ...

class Plan:
    def __init__(
        self,
        products: Products,
        terms: Sequence[tuple[int, int, int, bool]],
        reml: bool,
        intercepts: Sequence[Sequence[int]],
    ) -> None: ...
    def evaluate(
        self, theta: FloatArray, order: int
    ) -> tuple[int, float, FloatArray | None, FloatArray | None]: ...
    def solve(self, theta: FloatArray) -> tuple[Any, ...] | None: ...
    def minimise(
        self, start: Sequence[float] | None, tolerance: float, max_evaluations: int
    ) -> tuple[Any, ...]: ...
    def set_anchor(self, user: FloatArray, scaled: FloatArray) -> None: ...
    def start(self) -> FloatArray: ...
    def conditional_covariances(self, theta: FloatArray) -> list[FloatArray]: ...
    def row_variances(
        self,
        theta: FloatArray,
        include: Sequence[bool],
        levels: Sequence[IntArray],
        z: Sequence[FloatArray],
        x: FloatArray,
    ) -> FloatArray: ...
    def profile(
        self,
        scaled: FloatArray,
        kind: int,
        term: int,
        i: int,
        j: int,
        distances: Sequence[float],
        tolerance: float,
        max_evaluations: int,
    ) -> dict[str, Any]: ...
    def refit(
        self,
        rows: RowSet,
        y: FloatArray,
        start: Sequence[float],
        tolerance: float,
        max_evaluations: int,
    ) -> tuple[Products, Plan, tuple[Any, ...] | None, tuple[Any, ...] | None]: ...
    def refit_many(
        self,
        rows: RowSet,
        responses: FloatArray,
        start: Sequence[float],
        tolerance: float,
        max_evaluations: int,
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]: ...
    def derivatives(self, theta: FloatArray) -> tuple[Any, ...] | None: ...
    def kenward_roger(self, theta: FloatArray) -> tuple[Any, ...] | None: ...
    def exact_cost(self) -> tuple[float, float, float]: ...
    def refit_moments(
        self,
        Zy: FloatArray,
        Xy: FloatArray,
        yy: FloatArray,
        start: Sequence[float],
        tolerance: float,
        max_evaluations: int,
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]: ...
    def transform(
        self,
    ) -> tuple[FloatArray, FloatArray, FloatArray, list[tuple[FloatArray, FloatArray]]]: ...
    def dense_size(self) -> int: ...

def accumulate(
    rows: RowSet,
    constant: Sequence[int],
    shiftable: Sequence[Sequence[bool]],
    mix: Sequence[float] | None = None,
) -> Products: ...
def accumulate_like(rows: RowSet, like: Products) -> Products: ...
def scan(x: FloatArray) -> int: ...
def fill(columns: Sequence[Column], start: int, stop: int) -> FloatArray: ...
def linear(columns: Sequence[Column], beta: FloatArray, n: int) -> FloatArray: ...
def random(
    columns: Sequence[Column], codes: npt.NDArray[np.int32], b: FloatArray, n: int
) -> FloatArray: ...
def set_lapack(capsules: dict[str, Any]) -> None: ...
def capsule_name(capsule: Any) -> str: ...
def factorize_arrow(
    validity: Any, offsets: Any, data: Any, first: int, length: int, wide: bool
) -> tuple[IntArray, list[str], bool]: ...
def factorize_list(values: list[Any]) -> tuple[IntArray, list[str], bool] | None: ...
