"""Numbers in reports: shared decimals, no digit that matters lost."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partialpool.report.numbers import (
    align,
    column,
    joint,
    p_value,
    printable,
    signif_code,
    width,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)


def test_estimates_and_errors_share_decimals_as_in_r() -> None:
    # R: summary(lm(hwy ~ displ, mpg))
    assert joint([[35.69765, -3.53059], [0.72041, 0.19451]]) == [
        ("35.6977", "-3.5306"),
        ("0.7204", "0.1945"),
    ]
    # lme4: hwy ~ displ + year + (1 | class)
    assert joint([[-214.289531, -2.391219, 0.123239], [79.528449, 0.209052, 0.039747]]) == [
        ("-214.28953", "-2.39122", "0.12324"),
        ("79.52845", "0.20905", "0.03975"),
    ]


def test_a_tiny_coefficient_beside_a_huge_one_keeps_its_digits() -> None:
    assert column([1234567.8, 1.2346e-8, 0.0, -3.5]) == ("1234567.8", "1.235e-08", "0.0", "-3.5")
    assert column([1e6, 1e-8]) == ("1000000", "1.000e-08")
    # The one that does not fit gives way, not the many.
    assert column([114977212.5, 0.497, 0.85, 2.5]) == ("1.150e+08", "0.497", "0.850", "2.500")
    assert column([8.359e-7, 0.632379]) == ("8.359e-07", "0.6324")
    assert column([3e12, 2.5]) == ("3.000e+12", "2.5")


def test_zeros_that_no_value_needs_are_left_out() -> None:
    assert column([1.5, 2.25, 3.0]) == ("1.50", "2.25", "3.00")
    assert column([1.0, 200.0]) == ("1", "200")


def test_no_minus_before_a_zero() -> None:
    assert column([-1e-9, 12.5], decimals=2) == ("0.00", "12.50")
    assert align([-1e-17, 2.5, -3.0]) == ("0.0", "2.5", "-3.0")


@pytest.mark.parametrize(
    ("value", "shown"), [(math.nan, "NaN"), (math.inf, "inf"), (-math.inf, "-inf")]
)
def test_what_is_not_finite_is_named(value: float, shown: str) -> None:
    assert column([value, 1.25]) == (shown, "1.25")
    assert p_value(math.nan) == "NaN"


@given(st.lists(FINITE, min_size=1, max_size=6))
def test_every_value_is_read_back_to_three_digits(values: list[float]) -> None:
    for value, shown in zip(values, column(values), strict=True):
        assert float(shown) == pytest.approx(value, rel=5.1e-3, abs=0)
        assert len(shown) <= 16


@given(st.lists(FINITE, min_size=1, max_size=6))
def test_quantiles_are_right_to_the_size_of_the_largest(values: list[float]) -> None:
    top = max(abs(v) for v in values)
    for value, shown in zip(values, align(values), strict=True):
        assert abs(float(shown) - value) <= 1e-3 * top


def test_p_values() -> None:
    assert p_value(0.0) == "<2.2e-16"
    assert p_value(1.0) == "1.000"
    assert p_value(0.000752) == "0.000752"
    assert p_value(2.18e-12) == "2.18e-12"
    assert [signif_code(p) for p in (0.0, 0.005, 0.03, 0.07, 0.5, math.nan)] == [
        "***",
        "**",
        "*",
        ".",
        "",
        "",
    ]


def test_text_stays_on_its_line() -> None:
    assert printable("a\nb\tc") == "a\\nb\\tc"
    assert "\u202e" not in printable("a\u202eb")
    assert printable("Größe café") == "Größe café"


def test_width_counts_terminal_columns() -> None:
    assert width("abc") == 3
    assert width("年度") == 4
    assert width("e\u0301") == 1
