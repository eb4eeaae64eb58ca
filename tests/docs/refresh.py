"""Write what the examples print into their pages: python -m tests.docs.refresh PAGE.md ...

For writing and editing pages; read the difference before committing it, since it takes whatever
the code prints. An empty `text` or `console` block is filled, an existing one replaced; a block
with a line of `...` is left alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.docs.test_documents import FENCE, commands, examples, run_command, run_python


def refreshed(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": page.stem}
    edits: list[tuple[int, int, str]] = []
    fences = list(FENCE.finditer(text))
    for fence, example in zip(fences, examples(page), strict=True):
        if example.language == "python":
            printed = run_python(example, namespace, f"{page}, line {example.line}")
            if example.shown is not None and "\n...\n" not in f"\n{example.shown}":
                follower = fences[fences.index(fence) + 1]
                edits.append((*follower.span(2), _clean(printed)))
        elif example.language == "console":
            runs = [(c, run_command(c)) for c, shown in commands(example.source)]
            body = "".join(f"$ {c}\n{_clean(printed)}" for c, printed in runs)
            edits.append((*fence.span(2), body))
    for start, stop, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[stop:]
    return text


def _clean(printed: str) -> str:
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(refreshed(Path(name)), encoding="utf-8")
