"""Our side of a task of inference: reads commands, answers with times."""

from __future__ import annotations

import json
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import store
from inference_tasks import named


def fresh(fit: Any) -> Any:
    """The same fit with nothing kept of earlier inference."""
    record = fit._record
    for key in [k for k in record.workspace if k not in ("rows", "problem")]:
        del record.workspace[key]
    return fit


def main() -> int:
    import partialpool as pp

    warnings.simplefilter("ignore")
    task = named(sys.argv[1])
    frame = store.read_frame(Path(sys.argv[2]))
    fit = pp.lmer(task.formula, frame)
    task.run(fresh(fit))
    for line in sys.stdin:
        command = line.split()
        try:
            if command[0] == "run":
                answer = {"ok": True, "wall": _walls(task, fit, float(command[1]))}
            else:
                extra = None if task.extra is None else task.extra(fit, frame)
                answer = {"ok": True, "extra": extra}
        except Exception:
            answer = {"ok": False, "kind": "error", "message": traceback.format_exc()[-300:]}
        print(json.dumps(answer), flush=True)
    return 0


def _walls(task: Any, fit: Any, seconds: float) -> list[float]:
    walls: list[float] = []
    deadline = time.perf_counter() + seconds
    while len(walls) < 200 and (not walls or time.perf_counter() < deadline):
        fresh(fit)
        begin = time.perf_counter()
        task.run(fit)
        walls.append(time.perf_counter() - begin)
    return walls


if __name__ == "__main__":
    sys.exit(main())
