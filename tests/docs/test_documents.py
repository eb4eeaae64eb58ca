"""Every example in README.md and docs/ runs, and prints what the page shows.

A page is one session: its ``python`` blocks run in order in one namespace. A ``text`` block right
after one is what it printed, warnings of ours among it as ``Category: message``. A ``console``
block holds ``$ partialpool ...`` commands with their output.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.docs.comparison import difference

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"  # made of docstrings, which test_docstrings.py runs
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [p for p in PAGES if REFERENCE not in p.parents]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    line: int
    language: str
    source: str
    shown: str | None


def examples(page: Path) -> list[Example]:
    text = page.read_text(encoding="utf-8")
    fences = list(FENCE.finditer(text))
    found = []
    for i, fence in enumerate(fences):
        language, source = fence.groups()
        shown = None
        if i + 1 < len(fences) and fences[i + 1].group(1) == "text":
            between = text[fence.end() : fences[i + 1].start()]
            shown = fences[i + 1].group(2) if not between.strip() else None
        line = text.count("\n", 0, fence.start()) + 1
        found.append(Example(line, language, source, shown))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_page_runs_and_prints_what_it_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": page.stem}
    for example in examples(page):
        where = f"{page.relative_to(ROOT)}, line {example.line}"
        if example.language == "python":
            printed = run_python(example, namespace, where)
            if example.shown is not None:
                problem = difference(example.shown, printed)
                assert problem is None, f"{where}:\n{problem}\n--- all it printed:\n{printed}"
        elif example.language == "console":
            for command, shown in commands(example.source):
                printed = run_command(command)
                problem = difference(shown, printed)
                assert problem is None, f"{where}: {command}\n{problem}\n---\n{printed}"


def run_python(example: Example, namespace: dict[str, Any], where: str) -> str:
    code = compile(example.source, where, "exec")
    out = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(out):
        from partialpool._errors import PartialPoolWarning

        warnings.simplefilter("always", PartialPoolWarning)
        monkey = warnings.showwarning
        warnings.showwarning = lambda message, category, *rest: print(
            f"{category.__name__}: {message}"
        )
        try:
            exec(code, namespace)
        finally:
            warnings.showwarning = monkey
    return out.getvalue()


def commands(source: str) -> list[tuple[str, str]]:
    """(command, output) pairs; a command may go on after a backslash."""
    parts = re.split(r"^\$ ", source.replace("\\\n", " "), flags=re.MULTILINE)[1:]
    return [(c, shown) for c, _, shown in (p.partition("\n") for p in parts)]


def run_command(command: str) -> str:
    """Standard output, then standard error, then the exit code if it is not 0."""
    program, *arguments = shlex.split(command)
    assert program == "partialpool", command
    from partialpool.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = stop.code
    status = f"exit code {code}\n" if code else ""
    return out.getvalue() + err.getvalue() + status


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    local = [t for t in targets if "://" not in t and not t.startswith("mailto:")]
    missing = [t for t in local if not (page.parent / t).exists()]
    assert not missing, f"{page.name}: {missing}"
