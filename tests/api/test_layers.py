"""The layer rule: a module imports from lower layers, or from its own without a cycle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "partialpool"

# The first part of a module's name below `partialpool` decides its layer.
LAYERS: dict[int, str] = {
    0: "_errors _types _version control",
    1: "formula expression _algebra _arguments _bases _functions _grammar _groups _tokens "
    "covariance _core _dense",
    2: "table coding contrasts _columns _arrow_columns _narwhals_table _pandas_table",
    3: "design schema reader grouping newdata datasets",
    4: "products qr",
    5: "pls optimize",
    7: "ols stage lmm halfway verdict",
    8: "predict simulate diagnostics effects estimates coefficients frames options varcorr "
    "inference quality clusters robust robust_mixed influence deletion check collinearity boundary "
    "findings findings_fixed findings_influence pooling roots",
    9: "report plot comparing",
    10: "_inference _model models api cli interop",
    11: "__init__ __main__",
}
LAYER = {name: layer for layer, names in LAYERS.items() for name in names.split()}
# `cli` is a caller of the library like any other: it may use the package itself.
MAY_IMPORT_PACKAGE = {"cli", "__main__"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


def modules() -> dict[str, Path]:
    """Dotted name below `partialpool` -> file; `report` stands for `report/__init__.py`."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if parts[-1] == "__init__" and len(parts) > 1:
            parts = parts[:-1]
        found[".".join(parts)] = path
    return found


MODULES = modules()


def layer(module: str) -> int:
    return LAYER[module.split(".")[0]]


def own_imports(module: str, path: Path) -> Iterator[tuple[str, int, bool]]:
    """(module of ours, line, under TYPE_CHECKING) for each import anywhere in the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for child in ast.walk(statement)
    }
    package = module if path.name == "__init__.py" and module != "__init__" else ""
    if not package:
        package = module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.split(".")[0] == "partialpool"]
            targets = [resolve(name.partition(".")[2], ()) for name in names]
        elif isinstance(node, ast.ImportFrom):
            base = absolute(package, node)
            if base is None:
                continue
            targets = [resolve(base, (alias.name,)) for alias in node.names]
        else:
            continue
        for target in dict.fromkeys(targets):
            yield target, node.lineno, id(node) in typing_only


def absolute(package: str, node: ast.ImportFrom) -> str | None:
    """The module named by a from-import, below `partialpool`; None if it is not ours."""
    if node.level == 0:
        head, _, rest = (node.module or "").partition(".")
        return rest if head == "partialpool" else None
    parts = package.split(".") if package else []
    parts = parts[: len(parts) - (node.level - 1)]
    return ".".join([*parts, *([node.module] if node.module else [])])


def resolve(base: str, names: tuple[str, ...]) -> str:
    """`from base import name` is the module `base.name` where there is one, else `base`."""
    for name in names:
        inner = f"{base}.{name}" if base else name
        if inner in MODULES or inner == "_core":
            return inner
    return base or "__init__"


def test_every_module_has_a_layer() -> None:
    unknown = sorted({m.split(".")[0] for m in MODULES} - LAYER.keys())
    assert not unknown, f"no layer for {unknown}: add them to LAYERS and to ARCHITECTURE.md"


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards(module: str) -> None:
    wrong = []
    for target, line, _ in own_imports(module, MODULES[module]):
        if target == "__init__" and module.split(".")[0] in MAY_IMPORT_PACKAGE:
            continue
        if layer(target) > layer(module):
            wrong.append(f"line {line}: {module} ({layer(module)}) -> {target} ({layer(target)})")
    assert not wrong, "\n".join(wrong)


def test_no_cycles() -> None:
    graph = {
        module: {
            target
            for target, _, typing_only in own_imports(module, path)
            if not typing_only and target != module and target in MODULES
        }
        for module, path in MODULES.items()
    }
    graph["__init__"] = set()  # its imports are lazy, made on the first use of a name
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("module", MODULES)
def test_no_text_is_executed(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    calls = [
        f"line {node.lineno}: {node.func.id}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in FORBIDDEN_CALLS
        and not defined_here(tree, node.func.id)
    ]
    assert not calls, calls


def defined_here(tree: ast.Module, name: str) -> bool:
    """Our own function of a builtin's name, such as `expression.compile`."""
    return any(isinstance(n, ast.FunctionDef) and n.name == name for n in tree.body)


# `models` is one class a kind of model, each method a docstring and one delegating line.
LONGER = {"models": 650}


@pytest.mark.parametrize("module", MODULES)
def test_modules_tell_one_story(module: str) -> None:
    lines = MODULES[module].read_text(encoding="utf-8").count("\n")
    limit = LONGER.get(module, 420)
    assert lines <= limit, f"{module} has {lines} lines; a module has about 400 at most"
