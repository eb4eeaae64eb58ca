"""The claims of the page on when the models differ, by its own code and other seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.docs.test_documents import examples

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "when-they-differ.md"
N = 300


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """The functions that the page defines, without its studies."""
    namespace: dict[str, Any] = {}
    for example in examples(PAGE):
        if example.language == "python" and "def " in example.source:
            source = example.source.split("\n\n\naccident =")[0].split("\n\n\ndropout =")[0]
            exec(compile(source, PAGE.name, "exec"), namespace)
    return namespace


def away(values: Any, truth: float) -> float:
    """Distance of the mean from the truth, in Monte Carlo standard errors."""
    return float(abs(values.mean() - truth) / (values.std() / np.sqrt(len(values))))


def test_missing_completely_at_random(page: dict[str, Any]) -> None:
    found = page["study"](N, 11, drop=page["by_accident"])
    assert away(found["lm, slope"], 1.0) < 3.5
    assert away(found["lmer, slope"], 1.0) < 3.5
    assert found["lm, slope"].std() > 1.3 * found["lmer, slope"].std()


def test_missing_given_what_was_seen(page: dict[str, Any]) -> None:
    found = page["study"](N, 12, drop=page["after_bad_visits"])
    assert away(found["lm, slope"], 1.0) > 20
    assert found["lm, slope"].mean() > 1.3
    assert away(found["lmer, slope"], 1.0) < 3.5


def test_little_correlation(page: dict[str, Any]) -> None:
    gaps = []
    for between in (2.0, 0.5, 0.1):
        found = page["study"](N // 3, 13, drop=page["by_accident"], between=between)
        gaps.append((found["lm, slope"] - found["lmer, slope"]).abs().mean())
    assert gaps[0] > 4 * gaps[1] > 8 * gaps[2]
    assert gaps[2] < 0.1 * found["lmer, slope"].std()


def test_standard_errors_are_wrong_in_both_directions(page: dict[str, Any]) -> None:
    found = page["study"](N, 14)
    np.testing.assert_allclose(found["lm, slope"], found["lmer, slope"], rtol=1e-9)
    error = 1 / np.sqrt(2 * N)  # of a standard deviation, relative
    for part in ("slope", "effect"):
        truth = found[f"lmer, {part}"].std()
        assert abs(found[f"lmer, {part} se"].mean() / truth - 1) < 3.5 * error
    assert found["lm, slope se"].mean() > 1.8 * found["lm, slope"].std()
    assert found["lm, effect se"].mean() < 0.6 * found["lm, effect"].std()
