"""Time inference beside R (lme4, lmerTest, pbkrtest, emmeans), in one run; write INFERENCE.md.

    python benchmarks/inference.py                      # everything that is installed
    python benchmarks/inference.py --tasks "profile, sleepstudy;bootstrap, sleepstudy" --no-r

Each task is timed in a process of ours and one of R's that take turns, one thread, one processor;
the figure is the median over turns of the median within a turn. The fitted model is there already,
except where a task says otherwise; what a fit has kept of earlier work is thrown away first.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import machine
import store
from inference_tasks import TASKS, Task
from process import Limits, Worker

HERE = Path(__file__).resolve().parent
R_PACKAGES = ("lme4", "lmerTest", "pbkrtest", "emmeans")


def main() -> int:
    options = _options()
    cpu = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    limits = Limits(cpu=cpu, memory=12 * 2**30)
    wanted = options.tasks.split(";") if options.tasks else [t.name for t in TASKS]
    tasks = [t for t in TASKS if t.name in wanted]
    rscript = None if options.no_r else shutil.which("Rscript")
    environment = {"LD_PRELOAD": options.r_preload} if options.r_preload else {}
    found = {t.name: _measure(t, rscript, limits, environment, options) for t in tasks}
    about = machine.describe(sys.executable, sys.executable, limits)
    versions = _r_versions(rscript, environment)
    text = _report(tasks, found, about, versions, options)
    options.output.write_text(text, encoding="utf-8")
    print(text)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time inference beside R.")
    parser.add_argument("--tasks", default="", help="names, with ; between them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn", type=float, default=1.0, help="seconds a turn")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds a single run may take")
    parser.add_argument("--no-r", action="store_true")
    parser.add_argument("--r-preload", default="", help="libraries put before R's own")
    parser.add_argument("--note", default="")
    parser.add_argument("--output", type=Path, default=HERE / "INFERENCE.md")
    return parser.parse_args()


def _measure(
    task: Task, rscript: str | None, limits: Limits, environment: dict[str, str], options: Any
) -> dict[str, Any]:
    """Seconds by package, or why there are none."""
    print(task.name, file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        store.write(Path(folder), task.data())
        ours = [sys.executable, str(HERE / "inference_worker.py"), task.name, folder]
        commands: dict[str, tuple[list[str], dict[str, str]]] = {"ours": (ours, {})}
        if rscript and task.r:
            program = [rscript, "--vanilla", str(HERE / "inference_worker.R"), task.name, folder]
            commands["r"] = (program, environment)
        turns: dict[str, list[float]] = {name: [] for name in commands}
        failed: dict[str, str] = {}
        workers = {n: Worker(c, limits, e) for n, (c, e) in commands.items()}
        for _ in range(options.rounds):
            for name, worker in workers.items():
                if name in failed:
                    continue
                answer = worker.ask(f"run {options.turn}", options.limit)
                if answer["ok"]:
                    turns[name].append(statistics.median(answer["wall"]))
                else:
                    failed[name] = answer.get("kind", "failed") + ": " + answer.get("message", "")
        extra = {n: workers[n].ask("extra", 60).get("extra") for n in workers if n not in failed}
        for worker in workers.values():
            worker.end()
    seconds = {name: statistics.median(v) for name, v in turns.items() if v}
    return {"seconds": seconds, "failed": failed, "extra": extra}


def _r_versions(rscript: str | None, environment: dict[str, str]) -> str:
    if rscript is None:
        return "R was not measured"
    code = "; ".join(
        f'cat("{p}", if (requireNamespace("{p}", quietly=TRUE)) as.character(packageVersion("{p}"))'
        f' else "absent", "\\n")'
        for p in R_PACKAGES
    )
    run = subprocess.run(
        [rscript, "--vanilla", "-e", f'cat(R.version.string, "\\n"); {code}'],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    return ", ".join(" ".join(line.split()) for line in run.stdout.splitlines())


def _report(
    tasks: list[Task], found: dict[str, Any], about: dict[str, Any], versions: str, options: Any
) -> str:
    lines = [
        "# Inference, beside R",
        "",
        "Written by `benchmarks/inference.py`. Figures of one machine: the ratios travel, the "
        "milliseconds do not.",
        "",
        f"- {about['processor']}, {about['cores']} cores, {about['memory']}, {about['system']}; one"
        " thread, both programs on the same processor",
        f"- Python {about['versions']['python']}, numpy {about['versions'].get('numpy')}, scipy "
        f"{about['versions'].get('scipy')}; {versions}",
        f"- Medians of wall seconds over {options.rounds} interleaved turns",
        *([f"- {options.note}"] if options.note else []),
        "",
        "| task | partialpool | target | R | R / ours |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    missed = []
    for task in tasks:
        result = found[task.name]
        ours, theirs = result["seconds"].get("ours"), result["seconds"].get("r")
        target = task.target
        if target is None and task.target_of is not None and result["extra"].get("ours"):
            target = result["extra"]["ours"][task.target_of]
        ratio = f"{theirs / ours:.0f}" if ours and theirs else "–"
        shown = _show(theirs) if theirs else result["failed"].get("r", "–")[:40]
        lines.append(f"| {task.name} | {_show(ours)} | {_show(target)} | {shown} | {ratio} |")
        if ours is not None and target is not None and ours > target:
            missed.append(f"- {task.name}: {_show(ours)} for {_show(target)}")
    lines.append("")
    lines += [f"- {t.name}: {t.about}" for t in tasks]
    rates = [(t, found[t.name]["extra"].get("ours")) for t in tasks]
    told = [f"- {t.name}: {json.dumps(e)}" for t, e in rates if e]
    if told:
        lines += ["", "## Beside the times", "", *told]
    lines += ["", "## Targets missed", "", *(missed or ["None."]), ""]
    return "\n".join(lines)


def _show(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{1e3 * seconds:,.3g} ms" if seconds < 1 else f"{seconds:,.3g} s"


if __name__ == "__main__":
    sys.exit(main())
