"""A real browser, or a reason for which there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
REQUIRED = os.environ.get("PARTIALPOOL_BROWSER") == "required"


def absent(reason: str) -> None:
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("playwright is not installed")
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        absent(f"no browser: none of {', '.join(NAMES)} is installed")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as driver:
        launched = driver.chromium.launch(
            executable_path=path, args=["--no-sandbox"] if root else []
        )
        yield launched
        launched.close()


class Page:
    """An open page, and what its console complained of."""

    def __init__(self, page: Any, errors: list[str], requests: list[str]) -> None:
        self.page, self.errors, self.requests = page, errors, requests


@pytest.fixture
def visit(browser: Any) -> Iterator[Any]:
    """Open a file; no console error, and nothing fetched, is checked at the end."""
    opened: list[Page] = []

    def open_file(path: Any, **options: Any) -> Any:
        page = browser.new_page(**options)
        found = Page(page, [], [])
        page.on("console", lambda m: found.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: found.errors.append(str(e)))
        page.on("request", lambda r: found.requests.append(r.url))
        page.goto(path.as_uri())
        opened.append(found)
        return page

    yield open_file
    for found in opened:
        assert found.errors == []
        others = [u for u in found.requests if not u.startswith(("file:", "data:"))]
        assert others == []
        assert len([u for u in found.requests if u.startswith("file:")]) == 1
        found.page.close()
