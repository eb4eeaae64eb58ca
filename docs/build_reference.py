"""Write docs/reference from the docstrings: a page for the functions, one a class, one for errors.

Run it after a docstring has changed (`make docs`); `--check` writes nothing and fails if a page is
out of date.
"""

from __future__ import annotations

import enum
import inspect
import re
import sys
from dataclasses import is_dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import partialpool as pp

# Classes of results: nobody makes one, everybody gets one.
RESULTS = {
    "LinearModel": "models",
    "LinearMixedModel": "models",
    "VarCorr": "varcorr",
    "RandomEffects": "effects",
    "Summary": "report.summary",
    "Optimum": "optimize",
    "Objective": "halfway",
    "Bootstrap": "inference.bootstrap",
    "Profile": "inference.profile",
    "MarginalMeans": "inference.means",
    "Contrasts": "inference.means",
    "Check": "check",
    "Influence": "influence",
    "Comparison": "comparing",
    "FitPlots": "plot.fitted",
    "ComparisonPlots": "plot.comparison",
}
TARGET = Path(__file__).parent / "reference"
HEADING = re.compile(r"^(\S[^\n]*)\n-{3,}$", re.MULTILINE)
NOTE = "<!-- Made by docs/build_reference.py from the docstrings: edit those. -->\n\n"


def main() -> int:
    made = pages()
    if "--check" in sys.argv[1:]:
        stale = [n for n, text in made.items() if _read(TARGET / n) != text]
        stale += [p.name for p in TARGET.glob("*.md") if p.name not in made]
        if stale:
            print(f"docs/reference is out of date ({', '.join(sorted(stale))}): run `make docs`.")
        return bool(stale)
    TARGET.mkdir(exist_ok=True)
    for page in TARGET.glob("*.md"):
        if page.name not in made:
            page.unlink()
    for name, text in made.items():
        (TARGET / name).write_text(text, encoding="utf-8")
    return 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def pages() -> dict[str, str]:
    """File name -> text of every page."""
    public = {name: getattr(pp, name) for name in pp.__all__ if not name.startswith("__")}
    functions = {n: v for n, v in public.items() if inspect.isroutine(v)}
    errors = {n: v for n, v in public.items() if _is_error(v)}
    classes = {n: v for n, v in public.items() if inspect.isclass(v) and n not in errors}
    classes |= {n: getattr(import_module(f"partialpool.{m}"), n) for n, m in RESULTS.items()}
    modules = {n: v for n, v in public.items() if inspect.ismodule(v)}
    made = {"functions.md": _functions_page(functions, modules), "errors.md": _errors_page(errors)}
    for name, cls in classes.items():
        made[f"{name}.md"] = _class_page(name, cls)
    made["index.md"] = _index(functions, modules, classes, errors)
    return {name: NOTE + text.rstrip() + "\n" for name, text in made.items()}


def _is_error(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, BaseException)


def _index(
    functions: dict[str, Any], modules: dict[str, Any], classes: dict[str, Any], errors: Any
) -> str:
    lines = ["# Reference", "", "| name | what it is |", "|---|---|"]
    for name, value in functions.items():
        lines.append(f"| [`pp.{name}`](functions.md#pp{name.lower()}) | {_first_line(value)} |")
    for module_name, module in modules.items():
        for name in module.__all__:
            value, label = getattr(module, name), f"{module_name}.{name}"
            anchor = f"pp{label}".replace(".", "").lower()
            lines.append(f"| [`pp.{label}`](functions.md#{anchor}) | {_first_line(value)} |")
    for name, value in classes.items():
        label = name if name in RESULTS else f"pp.{name}"
        lines.append(f"| [`{label}`]({name}.md) | {_first_line(value)} |")
    lines.append(f"| [errors and warnings](errors.md) | {', '.join(f'`{n}`' for n in errors)} |")
    return "\n".join(lines)


def _functions_page(functions: dict[str, Any], modules: dict[str, Any]) -> str:
    parts = ["# Functions", "`import partialpool as pp`"]
    parts += [_entry(f"pp.{name}", value, level=2) for name, value in functions.items()]
    for module_name, module in modules.items():
        for name in module.__all__:
            parts.append(_entry(f"pp.{module_name}.{name}", getattr(module, name), level=2))
    return "\n\n".join(parts)


def _errors_page(errors: dict[str, Any]) -> str:
    tree = inspect.getdoc(sys.modules["partialpool._errors"]) or ""
    parts = ["# Errors and warnings", _rst_to_markdown(tree)]
    for name, cls in errors.items():
        bases = ", ".join(f"`{b.__name__}`" for b in cls.__bases__)
        parts.append(f"## {name}\n\nA kind of {bases}.\n\n{_first_line(cls)}")
    return "\n\n".join(parts)


def _class_page(name: str, cls: type) -> str:
    parts = [f"# {name}", _docstring(cls, level=2)]
    if is_dataclass(cls):
        parts.insert(1, f"```python\npp.{name}{inspect.signature(cls)}\n```")
    fields = getattr(cls, "_fields", ())  # of a named tuple: the docstring of the class has them
    members = [m for m in _members(cls) if m[0] not in fields and inspect.getdoc(_function(m[1]))]
    attributes = [
        m for m in members if not inspect.isroutine(_function(m[1])) or _is_property(m[1])
    ]
    methods = [m for m in members if m not in attributes]
    if attributes:
        rows = [f"| `{n}` | {_first_line(_function(v))} |" for n, v in attributes]
        parts.append("\n".join(["## Attributes", "", "| name | what it is |", "|---|---|", *rows]))
        long = [(n, v) for n, v in attributes if "\n" in (inspect.getdoc(_function(v)) or "")]
        parts += [_entry(n, _function(v), level=3, signature=False) for n, v in long]
    if methods:
        parts.append("## Methods")
        parts += [_entry(n, _function(v), level=3) for n, v in methods]
    return "\n\n".join(parts)


def _members(cls: type) -> list[tuple[str, Any]]:
    """Public members in the order of definition, bases first."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__[:-1]):
        if base.__module__.split(".")[0] != "partialpool":
            continue
        found.update({n: v for n, v in vars(base).items() if not n.startswith("_")})
    return list(found.items())


def _is_property(value: Any) -> bool:
    return isinstance(value, property | cached_property)


def _function(value: Any) -> Any:
    if isinstance(value, property):
        return value.fget
    if isinstance(value, cached_property):
        return value.func
    return getattr(value, "__func__", value)


def _entry(label: str, value: Any, *, level: int, signature: bool = True) -> str:
    parts = [f"{'#' * level} {label}"]
    if signature and callable(value) and not isinstance(value, enum.EnumMeta):
        parts.append(f"```python\n{label}{_signature(value)}\n```")
    parts.append(_docstring(value, level=level + 1))
    return "\n\n".join(parts)


def _signature(value: Any) -> str:
    """Names and defaults; the types stand in the text."""
    signature = inspect.signature(value)
    bare = [
        p.replace(annotation=inspect.Parameter.empty)
        for n, p in signature.parameters.items()
        if n not in ("self", "cls")
    ]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def _first_line(value: Any) -> str:
    paragraph = (inspect.getdoc(value) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|").replace("``", "`")


def _docstring(value: Any, *, level: int) -> str:
    """A numpydoc docstring as Markdown."""
    pieces = HEADING.split(inspect.getdoc(value) or "")
    parts = [_rst_to_markdown(pieces[0].strip())]
    for title, body in zip(pieces[1::2], pieces[2::2], strict=True):
        parts.append(f"**{title}**\n\n{_section(title, body.strip(chr(10)))}")
    return "\n\n".join(p for p in parts if p)


def _section(title: str, body: str) -> str:
    if title == "Examples":
        return _examples(body)
    if title in ("Parameters", "Returns", "Raises", "Warns", "Attributes", "Yields"):
        return _definitions(body)
    return _rst_to_markdown(body)


def _definitions(body: str) -> str:
    """`name : type` lines with an indented text under each, as a list."""
    items: list[tuple[str, list[str]]] = []
    for line in body.splitlines():
        if line and not line.startswith(" "):
            name, colon, kind = line.partition(" : ")
            items.append((f"`{name}`" + (f" ({_ticks(kind)})" if colon else ""), []))
        elif line.strip() and items:
            items[-1][1].append(_ticks(line.strip()))
    return "\n".join(f"- {head}" + (f": {' '.join(t)}" if t else "") for head, t in items)


def _examples(body: str) -> str:
    parts: list[str] = []
    for block in re.split(r"\n\s*\n", body):
        if block.lstrip().startswith(">>>"):
            parts.append(f"```pycon\n{inspect.cleandoc(block)}\n```")
        else:
            parts.append(_rst_to_markdown(block))
    return "\n\n".join(parts)


def _rst_to_markdown(text: str) -> str:
    """The little reStructuredText that the docstrings use: literals, and blocks after `::`."""
    pieces = re.split(r"(?m)^([^\n]*)::\n\n((?:(?: {4}[^\n]*)?\n)+)", text + "\n")
    parts = [_ticks(pieces[0])]
    for lead, block, rest in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        parts.append(_ticks(f"{lead}:") if lead.strip() else "")
        parts.append(f"```text\n{_dedent(block)}\n```")
        parts.append(_ticks(rest))
    return "\n\n".join(p for p in parts if p)


def _dedent(text: str) -> str:
    return "\n".join(line[4:] for line in text.rstrip().splitlines())


def _ticks(text: str) -> str:
    """Double back-ticks to single ones, fences left alone."""
    return re.sub(r"(?<!`)``(?!`)", "`", text).strip()


if __name__ == "__main__":
    raise SystemExit(main())
