"""Time partialpool beside other packages, in one run, and write RESULTS.md.

    python benchmarks/run.py                          # everything
    python benchmarks/run.py --cases mpg,sleepstudy --packages partialpool,glmm
    python benchmarks/run.py --rivals-python PATH     # rivals installed in another environment

A package on a case is a process of its own; the processes of a case stay alive and take turns, so
that a machine that slows down slows all of them down. Times are from a data frame and a formula to
a fitted object, after a warm-up; the figure is the median over turns of the median within a turn.
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
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import report
import rivals
import store
from cases import CASES, Case, named
from process import Limits, Worker

HERE = Path(__file__).resolve().parent
OURS = "partialpool"
LME4 = "lme4"
PACKAGES = (*rivals.ADAPTERS, LME4)
REFIT_CASE = "sleepstudy"
LOADING = 30.0  # seconds allowed beside the limit for start-up and reading
ONCE = 0.25  # a warm-up longer than this part of the limit is the only fit
LME4_SESSION = (
    "suppressMessages(library(lme4)); d <- read.csv('{path}'); d$Subject <- factor(d$Subject); "
    "print(summary(lmer(Reaction ~ Days + (Days | Subject), d)))"
)


@dataclass(frozen=True)
class Plan:
    """How this run is made; see the options of the command."""

    python: str
    rivals_python: str
    rscript: str | None
    r_environment: dict[str, str]
    packages: tuple[str, ...]
    cases: tuple[Case, ...]
    limit: float
    rounds: int
    turn: float
    limits: Limits

    def interpreter(self, package: str) -> str:
        return self.python if package == OURS else self.rivals_python

    def worker(self, package: str, case: Case, folder: Path) -> Worker:
        """A worker for a package, not yet asked anything."""
        if package == LME4:
            assert self.rscript is not None
            program = [self.rscript, "--vanilla", str(HERE / "worker.R")]
            arguments = [case.formula, str(folder), ",".join(case.groups)]
        else:
            program = [self.interpreter(package), str(HERE / "worker.py")]
            arguments = [package, case.name, str(folder)]
        environment = self.r_environment if package == LME4 else {}
        return Worker([*program, *arguments], self.limits, environment)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------------- timing


def time_case(plan: Plan, case: Case, folder: Path) -> dict[str, Any]:
    """All packages on one case, taking turns."""
    results: dict[str, Any] = {}
    workers: dict[str, Worker] = {}
    try:
        for package in plan.packages:
            worker = plan.worker(package, case, folder)
            workers[package] = worker
            results[package] = start(worker, plan)
        ready = [package for package in plan.packages if results[package]["ok"]]
        take_turns(plan, {p: workers[p] for p in ready}, results, "fit")
    finally:
        for worker in workers.values():
            worker.__exit__(None, None, None)
    return results


def start(worker: Worker, plan: Plan) -> dict[str, Any]:
    """Warm a worker up; a first fit over the limit counts as a failure."""
    result = worker.ask("start", plan.limit + LOADING)
    if result["ok"] and result["first"] > plan.limit:
        message = f"{result['first']:.0f} s"
        result = {**result, "ok": False, "kind": "over limit", "message": message}
    elif not result["ok"] and result["kind"] == "over limit":
        result["message"] = f"ended after {plan.limit:.0f} s"
    if not result["ok"]:
        worker.end()
    return result


def take_turns(
    plan: Plan, workers: dict[str, Worker], results: dict[str, Any], command: str
) -> None:
    """Fill in ``wall`` and ``processor`` (a list a turn) of each package, in turns."""
    turns = {package: number_of_turns(plan, results[package]) for package in workers}
    samples: dict[str, list[dict[str, Any]]] = {package: [] for package in workers}
    order = list(workers)
    for i in range(max(turns.values(), default=0)):
        for package in order[i % len(order) :] + order[: i % len(order)]:
            if i >= turns[package] or not results[package]["ok"]:
                continue
            answer = workers[package].ask(f"{command} 100000 {plan.turn}", plan.limit + plan.turn)
            if answer["ok"]:
                samples[package].append(answer)
            else:
                results[package] = answer
    for package, turn in samples.items():
        result = results[package]
        if result["ok"]:
            result.update(summarise(turn) if turn else once(result["first"]))


def number_of_turns(plan: Plan, result: dict[str, Any]) -> int:
    """All of them for quick fits, three for slow ones, none when the warm-up is the figure."""
    first = float(result.get("first", 0.0))
    if first > ONCE * plan.limit:
        return 0
    return max(
        min(3, plan.rounds), min(plan.rounds, int(plan.rounds * plan.turn / max(first, 1e-9)))
    )


def summarise(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """Median, extremes over turns; processor seconds a wall second."""
    medians = [statistics.median(turn["wall"]) for turn in turns]
    wall = sum(sum(turn["wall"]) for turn in turns)
    processor = sum(sum(turn["processor"]) for turn in turns)
    return {
        "median": statistics.median(medians),
        "least": min(min(turn["wall"]) for turn in turns),
        "low": min(medians),
        "high": max(medians),
        "fits": sum(len(turn["wall"]) for turn in turns),
        "processor": statistics.median(statistics.median(turn["processor"]) for turn in turns),
        "load": processor / wall,
        "once": False,
        **{key: turns[0][key] for key in ("responses", "check") if key in turns[0]},
    }


def once(seconds: float) -> dict[str, Any]:
    return {
        "median": seconds, "least": seconds, "low": seconds, "high": seconds,
        "fits": 1, "load": None, "once": True,
    }  # fmt: skip


def time_refits(plan: Plan, folder: Path, command: str) -> dict[str, Any]:
    """``refit`` or ``refit-many`` on sleepstudy, packages taking turns."""
    case = named(REFIT_CASE)
    results: dict[str, Any] = {}
    workers: dict[str, Worker] = {}
    try:
        for package in plan.packages:
            workers[package] = plan.worker(package, case, folder)
            results[package] = start(workers[package], plan)
            if results[package]["ok"]:  # warm-up, and whether it can do this at all
                answer = workers[package].ask(f"{command} 1 0", plan.limit)
                results[package] = {**answer, "first": (answer.get("wall") or [0.0])[0]}
        ready = {p: workers[p] for p in plan.packages if results[p]["ok"]}
        take_turns(plan, ready, results, command)
    finally:
        for worker in workers.values():
            worker.__exit__(None, None, None)
    return results


# ------------------------------------------------------------------------ memory, new processes


def measure_memory(plan: Plan, case: Case, folder: Path, warm: Path) -> dict[str, Any]:
    """Peak memory of one fit in a fresh process of each package."""
    columns = sum(path.stat().st_size for path in folder.glob("*.bin"))
    results: dict[str, Any] = {}
    for package in plan.packages:
        with plan.worker(package, case, folder) as worker:
            result = worker.ask(f"memory {warm}", plan.limit + LOADING)
        results[package] = {**result, "columns": columns}
    return results


def time_processes(plan: Plan, csv: Path, repeats: int = 7) -> dict[str, dict[str, Any]]:
    """Whole sessions: start, import, read sleepstudy, fit, print; and the import alone."""
    sessions: dict[str, list[str]] = {}
    imports: dict[str, list[str]] = {}
    for package in plan.packages:
        if package == LME4:
            assert plan.rscript is not None
            text = LME4_SESSION.format(path=csv)
            sessions[package] = [plan.rscript, "--vanilla", "-e", text]
            imports[package] = [plan.rscript, "--vanilla", "-e", "suppressMessages(library(lme4))"]
        else:
            code = f"path = {str(csv)!r}\n{rivals.ADAPTERS[package].session}"
            sessions[package] = [plan.interpreter(package), "-c", code]
            imports[package] = [
                plan.interpreter(package),
                "-c",
                f"import {rivals.ADAPTERS[package].module}",
            ]
    bare = {"python": [plan.python, "-c", "pass"]}
    if plan.rscript is not None and LME4 in plan.packages:
        bare["R"] = [plan.rscript, "--vanilla", "-e", "invisible()"]
    return {
        "sessions": run_in_turn(plan, sessions, repeats),
        "imports": run_in_turn(plan, imports, repeats),
        "bare": run_in_turn(plan, bare, repeats),
    }


def run_in_turn(plan: Plan, commands: dict[str, list[str]], repeats: int) -> dict[str, Any]:
    """Median wall seconds of each command from start to end, one warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    failed: dict[str, Any] = {}
    for i in range(repeats + 1):
        for name, command in commands.items():
            if name in failed:
                continue
            begin = time.perf_counter()
            environment = plan.r_environment if command[0] == plan.rscript else {}
            process = plan.limits.popen(
                command, environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                code = process.wait(plan.limit)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                code = None
            if code != 0:
                message = "over the limit" if code is None else f"exit code {code}"
                failed[name] = {"ok": False, "kind": "failed", "message": message}
            elif i > 0:
                seconds[name].append(time.perf_counter() - begin)
    return {
        name: failed.get(name) or {"ok": True, "median": statistics.median(times)}
        for name, times in seconds.items()
    }


# ---------------------------------------------------------------------------------- the command


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.py", description="Time partialpool beside other packages."
    )
    names = ",".join(case.name.replace(",", "") for case in CASES)
    parser.add_argument("--cases", help=f"names without commas, of: {names}")
    parser.add_argument("--packages", help=f"of: {','.join(PACKAGES)}")
    parser.add_argument("--rivals-python", default=sys.executable, metavar="PATH")
    parser.add_argument("--rscript", default=shutil.which("Rscript"), metavar="PATH")
    parser.add_argument(
        "--r-preload", default="", metavar="LIBRARIES", help="a faster BLAS for R (LD_PRELOAD)"
    )
    parser.add_argument("--limit", type=float, default=60.0, help="seconds a fit may take")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each package")
    parser.add_argument("--turn", type=float, default=0.25, help="seconds a turn")
    parser.add_argument("--memory-limit", type=float, default=12.0, help="GiB a process may use")
    parser.add_argument("--no-pin", action="store_true", help="do not pin to one processor")
    parser.add_argument("--skip", default="", help="of: fits,refits,memory,processes")
    parser.add_argument("--note", default="", help="a sentence for the head of the report")
    parser.add_argument(
        "--clock", choices=("wall", "processor"), default="wall", help="what the report shows"
    )
    parser.add_argument("--json", type=Path, help="also keep the raw figures here")
    parser.add_argument("--from-json", type=Path, help="only write the report from these figures")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md")
    return parser.parse_args(arguments)


def make_plan(options: argparse.Namespace) -> Plan:
    packages = tuple(options.packages.split(",")) if options.packages else PACKAGES
    unknown = [package for package in packages if package not in PACKAGES]
    if unknown:
        raise SystemExit(f"No package {unknown[0]!r}; there are: {', '.join(PACKAGES)}.")
    if options.rscript is None:
        packages = tuple(package for package in packages if package != LME4)
    by_name = {case.name.replace(",", ""): case for case in CASES}
    wanted = options.cases.split(",") if options.cases else list(by_name)
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise SystemExit(f"No case {unknown[0]!r}; there are: {', '.join(by_name)}.")
    pin = hasattr(os, "sched_setaffinity") and not options.no_pin
    return Plan(
        python=sys.executable,
        rivals_python=options.rivals_python,
        rscript=options.rscript,
        r_environment={"LD_PRELOAD": options.r_preload} if options.r_preload else {},
        packages=packages,
        cases=tuple(by_name[name] for name in wanted),
        limit=options.limit,
        rounds=options.rounds,
        turn=options.turn,
        limits=Limits(
            cpu=max(os.sched_getaffinity(0)) if pin else None,
            memory=int(options.memory_limit * 2**30),
        ),
    )


def write_data(cases: Iterable[Case], folder: Path) -> dict[str, Path]:
    """Data of each case on disk; a case whose data are not there is left out, aloud."""
    folders = {}
    for i, case in enumerate(cases):
        try:
            columns = case.make()
        except FileNotFoundError as error:
            say(f"{case.name}: left out. {error}")
            continue
        folders[case.name] = folder / f"{i:02d}"
        store.write(folders[case.name], columns)
    return folders


def collect(plan: Plan, skip: set[str], keep: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Measure everything; `keep` is called with the figures so far after each part."""
    figures: dict[str, Any] = {
        "machine": machine.describe(plan.python, plan.rivals_python, plan.limits),
        "settings": {
            "limit": plan.limit, "rounds": plan.rounds, "pinned": plan.limits.cpu is not None,
        },
        "packages": list(plan.packages),
        "fits": {}, "refits": {}, "memory": {}, "processes": {},
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        folder = Path(name)
        small = named(REFIT_CASE)
        folders = write_data([c for c in plan.cases if c != small] + [small], folder)
        warm = folders[REFIT_CASE]
        for case in plan.cases:
            if case.name not in folders:
                continue
            if "fits" not in skip:
                say(f"{case.name}: time")
                figures["fits"][case.name] = time_case(plan, case, folders[case.name])
                say(report.one_line(figures["fits"][case.name]))
                keep(figures)
            if case.memory and "memory" not in skip:
                say(f"{case.name}: memory")
                figures["memory"][case.name] = measure_memory(plan, case, folders[case.name], warm)
                keep(figures)
        if "refits" not in skip:
            for command in ("refit", "refit-many"):
                say(f"{REFIT_CASE}: {command}")
                figures["refits"][command] = time_refits(plan, warm, command)
                keep(figures)
        if "processes" not in skip:
            say("new processes")
            csv = folder / "sleepstudy.csv"
            store.read_frame(warm).to_csv(csv, index=False)
            figures["processes"] = time_processes(plan, csv)
            keep(figures)
    return figures


def main(arguments: list[str] | None = None) -> None:
    options = parse_arguments(arguments)

    def keep(figures: dict[str, Any]) -> None:
        if options.json is not None:
            options.json.write_text(json.dumps(figures, indent=1))

    if options.from_json is not None:
        figures = json.loads(options.from_json.read_text())
    else:
        figures = collect(make_plan(options), set(options.skip.split(",")), keep)
    options.output.write_text(report.markdown(figures, options.note, options.clock))
    say(f"wrote {options.output.name}")


if __name__ == "__main__":
    main()
