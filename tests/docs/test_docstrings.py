"""Every example in a docstring runs and prints what it shows."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import inspect
import pkgutil
import warnings
from functools import cached_property
from types import ModuleType
from typing import Any

import pytest

import partialpool
from partialpool._errors import PartialPoolWarning
from tests.docs.comparison import difference

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


class Checker(doctest.OutputChecker):
    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(want, got, optionflags) or difference(want, got) is None


def module_names() -> list[str]:
    found = pkgutil.walk_packages(partialpool.__path__, "partialpool.")
    names = [m.name for m in found if not m.name.endswith(("._core", ".__main__"))]
    return ["partialpool", *names]


def examples_of(module: ModuleType) -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    scope: dict[str, Any] = {**vars(module), "pp": partialpool}
    found = finder.find(module, module.__name__, globs=scope)
    for owner in vars(module).values():  # the finder passes cached properties by
        if inspect.isclass(owner) and owner.__module__ == module.__name__:
            for name, value in vars(owner).items():
                if isinstance(value, cached_property) and value.func.__doc__:
                    label = f"{module.__name__}.{owner.__name__}.{name}"
                    found += finder.find(value.func, label, module=module, globs=scope)
    return [t for t in found if t.examples]


@pytest.mark.parametrize("name", module_names())
def test_docstring_examples(name: str) -> None:
    runner = doctest.DocTestRunner(Checker(), optionflags=FLAGS, verbose=False)
    report: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PartialPoolWarning)  # on standard error, not shown
        for test in examples_of(importlib.import_module(name)):
            runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def public_functions() -> list[str]:
    return [n for n in partialpool.__all__ if inspect.isroutine(getattr(partialpool, n))]


@pytest.mark.parametrize("name", public_functions())
def test_public_functions_are_documented(name: str) -> None:
    text = inspect.getdoc(getattr(partialpool, name)) or ""
    for section in ("Parameters", "Returns", "Raises", "Examples"):
        assert f"{section}\n---" in text, f"pp.{name} has no section {section!r}"


@pytest.mark.parametrize("name", partialpool.__all__)
def test_public_classes_document_their_members(name: str) -> None:
    value = getattr(partialpool, name)
    if not inspect.isclass(value) or issubclass(value, BaseException | Warning):
        return
    assert inspect.getdoc(value)
    undocumented = [
        member
        for member, item in inspect.getmembers_static(value)
        if not member.startswith("_") and not _described(value, member, item)
    ]
    assert not undocumented, f"pp.{name}: {undocumented}"


def _described(owner: type, member: str, item: object) -> bool:
    """A docstring of its own, or a mention in the class's (fields of records)."""
    with contextlib.suppress(AttributeError):
        if inspect.isroutine(item) or isinstance(item, property | cached_property):
            return bool(inspect.getdoc(item))
    return member in (inspect.getdoc(owner) or "")
