"""RESULTS.md from the figures of a run."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cases import named

OURS = "partialpool"
MISSES = Path(__file__).with_name("misses.toml")
SHORT = {
    "over limit": "over limit",
    "not supported": "–",
    "not installed": "absent",
    "out of memory": "out of memory",
    "failed": "failed",
    "died": "died",
}
MEMORY_TARGET = 3.0
TARGETS = {"refit": 20e-6, "refit-many": 2e-6, "sessions": 1.0, "imports": 0.15}


def markdown(figures: dict[str, Any], note: str = "", clock: str = "wall") -> str:
    """The whole report; `clock` "processor" shows processor seconds, for a machine in use."""
    if clock == "processor":
        figures = _by_processor(figures)
    parts = [
        "# Results\n\nWritten by `benchmarks/run.py`; see README.md for what is measured and how. "
        "Figures of one machine: the ratios travel, the milliseconds do not.\n",
        f"**{note}**\n" if note else "",
        _machine(figures, clock),
        _fits(figures),
        _refits(figures),
        _memory(figures),
        _processes(figures),
        _misses(figures),
    ]
    return "\n".join(part for part in parts if part)


def _by_processor(figures: dict[str, Any]) -> dict[str, Any]:
    """The figures with processor seconds in place of wall seconds, of fits and refits."""

    def swapped(parts: dict[str, Any]) -> dict[str, Any]:
        return {
            name: {
                package: {**r, "median": r.get("processor", r.get("median"))}
                for package, r in results.items()
            }
            for name, results in parts.items()
        }

    return {**figures, "fits": swapped(figures["fits"]), "refits": swapped(figures["refits"])}


def one_line(results: dict[str, Any]) -> str:
    """A case on one line, for the terminal."""
    return "  " + "; ".join(f"{package} {_cell(r)}" for package, r in results.items())


# ------------------------------------------------------------------------------------- sections


def _machine(figures: dict[str, Any], clock: str) -> str:
    machine, settings = figures["machine"], figures["settings"]
    lines = [
        "## Machine and versions\n",
        f"- {machine['processor']}, {machine['cores']} cores, {machine['memory']}, "
        f"{machine['system']}; one BLAS thread"
        + (", all packages on the same processor" if settings["pinned"] else ""),
    ]
    for label, key in (("Python", "versions"), ("Rivals' Python", "rivals_versions")):
        if key in machine:
            versions = ", ".join(f"{name} {value}" for name, value in machine[key].items())
            lines.append(f"- {label}: {versions}")
    for results in figures["fits"].values():
        if results.get("lme4", {}).get("version"):
            lines.append(f"- lme4 {results['lme4']['version']}")
            break
    loads = [
        r["load"] for results in figures["fits"].values() for r in results.values() if r.get("load")
    ]
    if loads and min(loads) < 0.9:
        lines.append(
            f"- The machine was not quiet: a package had as little as {min(loads):.0%} of its "
            "processor."
        )
    lines.append(
        f"- Medians of {clock} seconds over {settings['rounds']} interleaved turns; a fit may take "
        f"{settings['limit']:.0f} s; * marks a single fit, without warm-up"
    )
    return "\n".join(lines) + "\n"


def _fits(figures: dict[str, Any]) -> str:
    if not figures["fits"]:
        return ""
    packages = figures["packages"]
    rivals = [package for package in packages if package != OURS]
    rows = []
    for name, results in figures["fits"].items():
        best = _best(results, rivals)
        ours = results.get(OURS, {})
        ratio = f"{ours['median'] / best:.2f}" if ours.get("ok") and best else ""
        rows.append(
            [name, _cell(ours), _milliseconds(named(name).target)]
            + [_cell(results[package]) for package in rivals]
            + [ratio]
        )
    text = (
        "## From a data frame and a formula to a fitted model (REML), ms\n\n"
        + _table(["case", "partialpool", "target", *rivals, "ours / best rival"], rows)
        + "\n"
        + "\n".join(
            f"- {name}: {named(name).about}; `{named(name).formula}`" for name in figures["fits"]
        )
        + "\n"
    )
    return text + _evaluations(figures, packages) + _optima(figures, packages) + _notes(figures)


def _evaluations(figures: dict[str, Any], packages: list[str]) -> str:
    def cell(result: dict[str, Any]) -> str:
        return str(result["evaluations"]) if result.get("evaluations") is not None else ""

    return "\n### Evaluations, as each package counts them\n\n" + _by_package(
        figures["fits"], packages, cell
    )


def _optima(figures: dict[str, Any], packages: list[str]) -> str:
    """Criterion of each package above the lowest of all."""
    fits = {name: _with_gaps(results) for name, results in figures["fits"].items()}

    def cell(result: dict[str, Any]) -> str:
        if "gap" not in result:
            return ""
        text = "lowest" if result["gap"] == 0 else f"{result['gap']:.1e}"
        return text if result.get("converged") in (True, None) else f"{text} (not converged)"

    return (
        "\n### Same optimum? REML criterion above the lowest found\n\n"
        "Differences below 1e-13 of the criterion are rounding.\n\n"
        + _by_package(fits, packages, cell)
    )


def _with_gaps(results: dict[str, Any]) -> dict[str, Any]:
    values = [
        r["objective"] for r in results.values() if r.get("ok") and math.isfinite(r["objective"])
    ]
    if not values:
        return results
    lowest = min(values)
    return {
        package: {**r, "gap": r["objective"] - lowest} if r.get("ok") else r
        for package, r in results.items()
    }


def _notes(figures: dict[str, Any]) -> str:
    lines = [
        f"- {name}, {package}: {result['kind']}: {result['message']}"
        for name, results in figures["fits"].items()
        for package, result in results.items()
        if not result["ok"] and result["kind"] != "not installed"
    ]
    return "\n### What did not end in a fit\n\n" + "\n".join(lines) + "\n" if lines else ""


def _refits(figures: dict[str, Any]) -> str:
    if not figures["refits"]:
        return ""
    packages = figures["packages"]
    titles = {"refit": "`refit(y)`", "refit-many": "many responses in one native call"}
    rows = []
    for command, results in figures["refits"].items():
        found = [results[package] for package in packages]
        cells = [f"{1e6 * _per_response(r):.3g}" if r["ok"] else SHORT[r["kind"]] for r in found]
        rows.append([titles[command], *cells, f"{1e6 * TARGETS[command]:g}"])
        gaps = [f"{r['check']:.1e}" if r["ok"] else "" for r in found]
        rows.append(["criterion against a fit from the frame", *gaps, ""])
    return "## Refits of sleepstudy, microseconds a response\n\n" + _table(
        ["", *packages, "target"], rows
    )


def _memory(figures: dict[str, Any]) -> str:
    if not figures["memory"]:
        return ""

    def cell(result: dict[str, Any]) -> str:
        if not result["ok"]:
            return SHORT[result["kind"]]
        return f"{result['extra'] / result['columns']:.1f} x ({result['extra'] / 2**20:.0f} MiB)"

    return (
        "## Peak memory of a fit, beyond the data frame, as a multiple of the columns used\n\n"
        f"Target: {MEMORY_TARGET:g} x, plus blocks.\n\n"
        + _by_package(figures["memory"], figures["packages"], cell)
    )


def _processes(figures: dict[str, Any]) -> str:
    processes = figures["processes"]
    if not processes:
        return ""
    packages = figures["packages"]
    bare = processes["bare"]

    def cells(part: str, own: Callable[[str], float]) -> list[str]:
        return [
            f"{max(0.0, r['median'] - own(p)):.2f}"
            if (r := processes[part][p])["ok"]
            else SHORT[r["kind"]]
            for p in packages
        ]

    def start(package: str) -> float:
        return float(bare["R" if package == "lme4" else "python"]["median"])

    rows = [
        ["start, import, read, fit, print", *cells("sessions", lambda _: 0.0), "1.0"],
        ["import alone, less the interpreter's start", *cells("imports", start), "0.15"],
    ]
    interpreters = ", ".join(f"{name} {result['median']:.2f} s" for name, result in bare.items())
    return (
        "## A new process on sleepstudy, seconds\n\n"
        + _table(["", *packages, "target"], rows)
        + f"\nThe interpreters alone: {interpreters}.\n"
    )


def _misses(figures: dict[str, Any]) -> str:
    """Targets that were missed, each with the reason written in misses.toml."""
    missed = missed_targets(figures)
    if not missed:
        return ""
    reasons = tomllib.loads(MISSES.read_text()) if MISSES.exists() else {}
    lines = [
        f"- **{name}**: {figure}. {reasons.get(name, {}).get('reason', 'No reason written yet.')}"
        for name, figure in missed.items()
    ]
    return "## Targets missed\n\n" + "\n".join(lines) + "\n"


def missed_targets(figures: dict[str, Any]) -> dict[str, str]:
    """Name of what was missed to figure against target."""
    missed = {}
    for name, results in figures["fits"].items():
        ours, target = results.get(OURS, {}), named(name).target
        if ours.get("ok") and ours["median"] > target:
            missed[name] = f"{_milliseconds(ours['median'])} ms for {_milliseconds(target)} ms"
    for command, results in figures["refits"].items():
        ours = results.get(OURS, {})
        if ours.get("ok") and _per_response(ours) > TARGETS[command]:
            missed[command] = (
                f"{1e6 * _per_response(ours):.3g} us for {1e6 * TARGETS[command]:g} us"
            )
    for name, results in figures["memory"].items():
        ours = results.get(OURS, {})
        if ours.get("ok") and ours["extra"] > MEMORY_TARGET * ours["columns"]:
            times = ours["extra"] / ours["columns"]
            missed[f"memory, {name}"] = f"{times:.1f} x the columns for {MEMORY_TARGET:g} x"
    processes = figures["processes"]
    for part in ("sessions", "imports"):
        ours = processes.get(part, {}).get(OURS, {})
        if ours.get("ok"):
            seconds = ours["median"]
            if part == "imports":
                seconds -= processes["bare"]["python"]["median"]
            if seconds > TARGETS[part]:
                missed[part] = f"{seconds:.2f} s for {TARGETS[part]:g} s"
    return missed


# ---------------------------------------------------------------------------------------- cells


def _best(results: dict[str, Any], rivals: list[str]) -> float | None:
    return min((results[p]["median"] for p in rivals if results[p].get("ok")), default=None)


def _per_response(result: dict[str, Any]) -> float:
    return float(result["median"]) / int(result.get("responses", 1))


def _cell(result: dict[str, Any]) -> str:
    if not result:
        return ""
    if not result["ok"]:
        return SHORT[result["kind"]]
    return _milliseconds(result["median"]) + ("*" if result["once"] else "")


def _milliseconds(seconds: float) -> str:
    value = 1e3 * seconds
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.3g}"


def _by_package(
    results: dict[str, dict[str, Any]], packages: list[str], cell: Callable[[dict[str, Any]], str]
) -> str:
    rows = [[name, *(cell(r[package]) for package in packages)] for name, r in results.items()]
    return _table(["case", *packages], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
