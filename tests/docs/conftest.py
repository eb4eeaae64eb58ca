"""What the pages and examples leave behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_figure_is_left_open() -> Iterator[None]:
    """Pages draw as users do, who close no figures; other tests count them."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
