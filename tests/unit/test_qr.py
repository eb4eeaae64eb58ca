"""The blocked QR against rational arithmetic, and R's rule for dropping columns."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from partialpool import qr
from partialpool._types import Column

EXACT = 1e-12  # well-conditioned problems: a few hundred units in the last place


def make_rows(X: Any, y: Any, constant: tuple[int, ...] = (), **extra: Any) -> Any:
    columns = tuple(
        Column(f"x{j}", (np.ascontiguousarray(X[:, j], dtype=float),), ())
        for j in range(X.shape[1])
    )
    fields: dict[str, Any] = {"weights": None, "offset": None} | extra
    return SimpleNamespace(
        nobs=len(y), y=np.asarray(y, dtype=float), fixed=columns, constant=constant, **fields
    )


def exact_least_squares(X: Any, y: Any, w: Any = None) -> tuple[list[float], list[float], float]:
    """Coefficients, diagonal of (X'WX)^-1 and RSS by the normal equations over the rationals."""
    rows = [[Fraction(float(v)) for v in row] for row in X]
    target = [Fraction(float(v)) for v in y]
    weight = [Fraction(1)] * len(target) if w is None else [Fraction(float(v)) for v in w]
    p = len(rows[0])
    A = [
        [sum(w * r[i] * r[j] for r, w in zip(rows, weight, strict=True)) for j in range(p)]
        + [sum(w * r[i] * t for r, t, w in zip(rows, target, weight, strict=True))]
        + [Fraction(int(i == j)) for j in range(p)]
        for i in range(p)
    ]
    for i in range(p):
        pivot = A[i][i]
        A[i] = [v / pivot for v in A[i]]
        for k in range(p):
            if k != i:
                A[k] = [v - A[k][i] * u for v, u in zip(A[k], A[i], strict=True)]
    beta = [A[i][p] for i in range(p)]
    rss = sum(
        w * (t - sum(b * v for b, v in zip(beta, r, strict=True))) ** 2
        for r, t, w in zip(rows, target, weight, strict=True)
    )
    return [float(b) for b in beta], [float(A[i][p + 1 + i]) for i in range(p)], float(rss)


# Longley (1967), as printed in the paper and by NIST.
LONGLEY = np.array(
    [
        [60323, 83.0, 234289, 2356, 1590, 107608, 1947],
        [61122, 88.5, 259426, 2325, 1456, 108632, 1948],
        [60171, 88.2, 258054, 3682, 1616, 109773, 1949],
        [61187, 89.5, 284599, 3351, 1650, 110929, 1950],
        [63221, 96.2, 328975, 2099, 3099, 112075, 1951],
        [63639, 98.1, 346999, 1932, 3594, 113270, 1952],
        [64989, 99.0, 365385, 1870, 3547, 115094, 1953],
        [63761, 100.0, 363112, 3578, 3350, 116219, 1954],
        [66019, 101.2, 397469, 2904, 3048, 117388, 1955],
        [67857, 104.6, 419180, 2822, 2857, 118734, 1956],
        [68169, 108.4, 442769, 2936, 2798, 120445, 1957],
        [66513, 110.8, 444546, 4681, 2637, 121950, 1958],
        [68655, 112.6, 482704, 3813, 2552, 123366, 1959],
        [69564, 114.2, 502601, 3931, 2514, 125368, 1960],
        [69331, 115.7, 518173, 4806, 2572, 127852, 1961],
        [70551, 116.9, 554894, 4007, 2827, 130081, 1962],
    ]
)


def test_longley_to_ten_digits() -> None:
    y, X = LONGLEY[:, 0], np.column_stack([np.ones(16), LONGLEY[:, 1:]])
    fit = qr.factor(make_rows(X, y, constant=(0,)))
    beta, variance, rss = exact_least_squares(X, y)
    np.testing.assert_allclose(fit.beta, beta, rtol=1e-10)
    np.testing.assert_allclose((fit.root**2).sum(axis=1), variance, rtol=1e-10)
    assert fit.rss == pytest.approx(rss, rel=1e-10)
    assert rss == pytest.approx(836424.055505915, rel=1e-12)  # certified by NIST


@pytest.mark.parametrize(
    "scale", [[1, 1, 1, 1, 1, 1], [1, 0.1, 0.01, 0.001, 0.0001, 0.00001]], ids=["1", "2"]
)
def test_wampler_polynomials_are_exact_fits(scale: list[float]) -> None:
    x = np.arange(21.0)
    X = np.column_stack([x**k for k in range(6)])
    y = X @ np.array(scale)
    fit = qr.factor(make_rows(X, y, constant=(0,)))
    beta, _, _ = exact_least_squares(X, y)
    np.testing.assert_allclose(fit.beta, beta, rtol=1e-8)
    assert np.sqrt(fit.rss) <= 1e-12 * np.linalg.norm(y)


@pytest.mark.parametrize("noise", [1, 100, 10000], ids=["Wampler3", "Wampler4", "Wampler5"])
def test_wampler_polynomials_with_noise(noise: int) -> None:
    x = np.arange(21.0)
    X = np.column_stack([x**k for k in range(6)])
    half = [759, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 1838, -2048]
    bump = np.array([*half, 2048, *reversed(half)], dtype=float)
    y = X.sum(axis=1) + noise * bump
    fit = qr.factor(make_rows(X, y, constant=(0,)))
    _, variance, rss = exact_least_squares(X, y)
    np.testing.assert_allclose(fit.beta, np.ones(6), rtol=1e-7 * max(1, noise / 10))
    np.testing.assert_allclose((fit.root**2).sum(axis=1), variance, rtol=1e-8)
    assert fit.rss == pytest.approx(rss, rel=1e-12)


def test_a_million_of_scale_and_weights_and_offset() -> None:
    rng = np.random.default_rng(3)
    n = 60
    X = np.column_stack([np.ones(n), 1e6 * rng.random(n), 1e-6 * rng.random(n)])
    y, w, offset = rng.random(n), rng.random(n) + 0.5, rng.random(n)
    fit = qr.factor(make_rows(X, y, (0,), weights=w, offset=offset))
    beta, variance, rss = exact_least_squares(X, y - offset, w)
    np.testing.assert_allclose(fit.beta, beta, rtol=EXACT)
    np.testing.assert_allclose((fit.root**2).sum(axis=1), variance, rtol=EXACT)
    assert fit.rss == pytest.approx(rss, rel=EXACT)
    np.testing.assert_allclose(fit.R.T @ fit.R, X.T @ (w[:, None] * X), rtol=EXACT)
    assert np.all(np.diag(fit.R) > 0)


def test_timestamps_keep_their_digits() -> None:
    rng = np.random.default_rng(4)
    t = 1.7e9 + np.sort(rng.integers(0, 1000, 50)).astype(float)
    X = np.column_stack([np.ones(50), t])
    y = 3.0 + 0.25 * (t - 1.7e9) + rng.standard_normal(50)
    fit = qr.factor(make_rows(X, y, (0,)))
    beta, variance, rss = exact_least_squares(X, y)
    np.testing.assert_allclose(fit.beta, beta, rtol=1e-12)
    np.testing.assert_allclose((fit.root**2).sum(axis=1), variance, rtol=1e-12)
    assert fit.rss == pytest.approx(rss, rel=1e-12)


def test_blocks_give_the_factor_of_all_rows() -> None:
    rng = np.random.default_rng(5)
    n = 3 * qr._BLOCK + 17
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 3)) + 5])
    y = rng.standard_normal(n)
    fit = qr.factor(make_rows(X, y, (0,)))
    expected = np.linalg.lstsq(X, y, rcond=None)[0]
    np.testing.assert_allclose(fit.beta, expected, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(fit.R.T @ fit.R, X.T @ X, rtol=1e-12)


def test_dummies_that_span_the_intercept() -> None:
    rng = np.random.default_rng(6)
    n = 40
    code = np.arange(n) % 3
    x = 1e8 + rng.standard_normal(n)
    X = np.column_stack([x, code == 0, code == 1, code == 2]).astype(float)
    y = 1e9 + 2 * (x - 1e8) + code + 0.1 * rng.standard_normal(n)
    fit = qr.factor(make_rows(X, y, (1, 2, 3)))
    beta, variance, rss = exact_least_squares(X, y)
    assert list(fit.kept) == [0, 1, 2, 3]
    np.testing.assert_allclose(fit.beta, beta, rtol=1e-10)
    np.testing.assert_allclose((fit.root**2).sum(axis=1), variance, rtol=1e-10)
    assert fit.rss == pytest.approx(rss, rel=1e-8)


def keeps(X: Any, constant: tuple[int, ...] = (0,)) -> tuple[list[int], Any]:
    X = np.asarray(X, dtype=float)
    y = np.sin(np.arange(len(X)))
    fit = qr.factor(make_rows(X, y, constant))
    expected, _, _ = exact_least_squares(X[:, fit.kept], y)
    np.testing.assert_allclose(fit.beta, expected, rtol=1e-7, atol=1e-9)
    return list(fit.kept), fit.aliases


X0 = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 1.5, 3.0])
ONE = np.ones(8)
F = np.arange(8) % 2


def test_the_later_of_two_collinear_columns_goes() -> None:
    kept, aliases = keeps(np.column_stack([ONE, X0, 2 * X0]))
    assert (kept, aliases) == ([0, 1], ((2, (1,)),))
    kept, aliases = keeps(np.column_stack([ONE, 2 * X0, X0, X0**2]))
    assert (kept, aliases) == ([0, 1, 3], ((2, (1,)),))
    kept, aliases = keeps(np.column_stack([ONE, X0, 3 - 2 * X0]))
    assert (kept, aliases) == ([0, 1], ((2, (0, 1)),))
    kept, aliases = keeps(np.column_stack([ONE, X0, X0**2, X0 - X0**2]))
    assert (kept, aliases) == ([0, 1, 2], ((3, (1, 2)),))


def test_constant_and_zero_columns_go() -> None:
    assert keeps(np.column_stack([ONE, 5 * ONE, X0])) == ([0, 2], ((1, (0,)),))
    assert keeps(np.column_stack([ONE, 0.1 * ONE, X0])) == ([0, 2], ((1, (0,)),))
    wobble = 0.1 * ONE + 1e-17 * np.arange(8)
    assert keeps(np.column_stack([ONE, wobble, X0]))[0] == [0, 2]
    assert keeps(np.column_stack([ONE, 0 * ONE, X0])) == ([0, 2], ((1, ()),))
    assert keeps(np.column_stack([X0, 0 * ONE]), ()) == ([0], ((1, ()),))


def test_a_far_but_varying_column_stays() -> None:
    kept, _ = keeps(np.column_stack([ONE, 1e9 + X0]))
    assert kept == [0, 1]
    kept, _ = keeps(np.column_stack([ONE, X0, 1e-12 * X0**2, 1e12 * np.sqrt(X0)]))
    assert kept == [0, 1, 2, 3]


def test_the_tolerance_is_the_documented_one() -> None:
    noise = np.array([1.0, -1, -1, 1, 1, -1, -1, 1])
    for size, expected in [(3e-7, [0, 1, 2]), (3e-8, [0, 1])]:
        left = np.std(X0) * size
        kept, _ = keeps(np.column_stack([ONE, X0, X0 + left * noise]))
        assert kept == expected


def test_left_to_right_also_in_front_of_the_dummies() -> None:
    # 0 + x + f: x repeats f only when it is constant within levels; then the last dummy goes.
    level = np.column_stack([F == 0, F == 1])
    kept, aliases = keeps(np.column_stack([3 + 2 * F, level]), (1, 2))
    assert (kept, aliases) == ([0, 1], ((2, (0, 1)),))
    kept, aliases = keeps(np.column_stack([5 * ONE, level]), (1, 2))
    assert (kept, aliases) == ([0, 1], ((2, (0, 1)),))
    kept, aliases = keeps(np.column_stack([X0, level, 2 * X0 + 1]), (1, 2))
    assert (kept, aliases) == ([0, 1, 2], ((3, (0, 1, 2)),))


def test_more_columns_than_rows_keep_at_most_n() -> None:
    rng = np.random.default_rng(8)
    X = np.column_stack([np.ones(3), rng.standard_normal((3, 5))])
    fit = qr.factor(make_rows(X, rng.standard_normal(3), (0,)))
    assert list(fit.kept) == [0, 1, 2]
    assert fit.rss == pytest.approx(0.0, abs=1e-20)


def test_no_columns_at_all() -> None:
    y = np.arange(4.0)
    fit = qr.factor(make_rows(np.zeros((4, 0)), y))
    assert fit.beta.shape == (0,)
    assert fit.R.shape == fit.root.shape == (0, 0)
    assert fit.rss == 14.0
