"""Tests reject and intervals cover as often as they say, within Monte Carlo error."""

from __future__ import annotations

import pytest

from .studies import DESIGNS, METHODS, Design, coverage, error, rejections

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: d.name)
def test_five_percent_tests_reject_five_percent(design: Design) -> None:
    n = 3000
    found = rejections(design, n, seed=77)
    for name in design.tested:
        for method in METHODS:
            assert abs(found[name, method] - 0.05) < 3.3 * error(0.05, n), (name, method)


def test_the_normal_quantile_rejects_too_often() -> None:
    found = rejections(DESIGNS[0], 1500, seed=78)
    assert found["treated", "normal"] > 0.07


def test_intervals_cover() -> None:
    n = 300
    found = coverage(n, seed=79)
    for (name, method), share in found.items():
        # Maximum likelihood and a bootstrap from it are a little short with 12 subjects.
        short = 0.03 if method != "Wald, Satterthwaite" else 0.0
        assert share > 0.95 - short - 3.3 * error(0.95, n), (name, method)
        assert share < 0.95 + 3.3 * error(0.95, n), (name, method)
