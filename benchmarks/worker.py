"""One package on one case in a process of its own; ``run.py`` starts it and sends commands.

    python worker.py PACKAGE CASE FOLDER

Commands come as lines on standard input, answers go as lines of JSON to standard output:

- ``start``: import the package, read the data, fit once (the warm-up).
- ``fit COUNT SECONDS``: fit until COUNT fits are done or SECONDS have passed.
- ``refit COUNT SECONDS``, ``refit-many COUNT SECONDS``: the same with new responses; the first
  few are checked against fits from the frame.
- ``memory FOLDER``: peak memory of one fit in a process that has done nothing but fit the small
  case ``WARM`` of that folder, so that libraries are loaded and nothing else is.

Whatever a package prints goes to standard error, where it cannot be taken for an answer.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import rivals
import store
from cases import Case, named

RESPONSES = 64  # different responses that refits take in turn
MANY = 4096  # responses in one call of refit_many
WARM = "sleepstudy"
CHECKED = 5  # of them, compared with fits from the frame
SEED = 64


class Session:
    """State between commands: the package, its data, the last fit."""

    def __init__(self, package: str, case: Case, folder: Path) -> None:
        self.adapter = rivals.ADAPTERS[package]
        self.case = case
        self.folder = folder
        self.data: Any = None
        self.again: dict[str, Callable[[], Any]] = {}
        self.check = 0.0

    def start(self) -> dict[str, Any]:
        frame = store.read_frame(self.folder)
        self.data = self.adapter.prepare(self.case, frame)
        begin = time.perf_counter()
        fitted = self.adapter.fit(self.case, self.data)
        seconds = time.perf_counter() - begin
        return {
            "first": seconds,
            "version": self.adapter.version(),
            **self.adapter.outcome(fitted)._asdict(),
        }

    def time_fits(self, count: int, seconds: float) -> dict[str, Any]:
        return measure(lambda: self.adapter.fit(self.case, self.data), count, seconds)

    def time_refits(self, count: int, seconds: float) -> dict[str, Any]:
        if "one" not in self.again:
            refit = self.adapter.refit(self.case, self.data)
            responses = self._responses(RESPONSES)
            found = [self.adapter.outcome(refit(y)).objective for y in responses[:CHECKED]]
            self.check = self._against_fresh_fits(responses, found)
            turn = cycle(responses)
            self.again["one"] = lambda: refit(next(turn))
        return {**measure(self.again["one"], count, seconds), "check": self.check}

    def time_refit_many(self, count: int, seconds: float) -> dict[str, Any]:
        if "many" not in self.again:
            refit_many = self.adapter.refit_many(self.case, self.data)
            responses = self._responses(MANY)
            found = refit_many(responses[:CHECKED])["objective"]
            self.check = self._against_fresh_fits(responses, found)
            self.again["many"] = lambda: refit_many(responses)
        timed = measure(self.again["many"], count, seconds)
        return {**timed, "check": self.check, "responses": MANY}

    def _responses(self, count: int) -> np.ndarray:
        """(count, n): the observed response plus noise of a quarter of its standard deviation."""
        rng = np.random.default_rng(SEED)
        y = store.read_frame(self.folder)[self.case.response].to_numpy(dtype=float)
        return y + 0.25 * y.std() * rng.standard_normal((count, y.size))

    def _against_fresh_fits(self, responses: np.ndarray, found: Sequence[float]) -> float:
        """Greatest difference between criteria of refits and of fits from the frame."""
        frame = store.read_frame(self.folder)
        fresh = []
        for y in responses[: len(found)]:
            data = self.adapter.prepare(self.case, frame.assign(**{self.case.response: y}))
            fresh.append(self.adapter.outcome(self.adapter.fit(self.case, data)).objective)
        return float(np.abs(np.subtract(found, fresh)).max())

    def memory(self, warm: Path) -> dict[str, Any]:
        """Peak of resident memory during one fit, less what was resident before it."""
        case = named(WARM)
        self.adapter.fit(case, self.adapter.prepare(case, store.read_frame(warm)))
        data = self.adapter.prepare(self.case, store.read_frame(self.folder))
        gc.collect()
        before, exact = reset_peak()
        fitted = self.adapter.fit(self.case, data)
        extra = peak_memory(exact=exact) - before
        del fitted
        return {"extra": extra, "exact": exact}


def measure(action: Callable[[], Any], count: int, seconds: float) -> dict[str, Any]:
    """Wall and processor seconds of each of up to `count` calls (one at least)."""
    wall, processor = [], []
    deadline = time.perf_counter() + seconds
    while len(wall) < count:
        cpu, begin = time.process_time(), time.perf_counter()
        action()
        end = time.perf_counter()
        wall.append(end - begin)
        processor.append(time.process_time() - cpu)
        if end > deadline:
            break
    return {"wall": wall, "processor": processor}


def reset_peak() -> tuple[int, bool]:
    """Resident bytes now, and whether the kernel let us forget the earlier peak."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return peak_memory(exact=False), False
    return _status("VmRSS"), True


def peak_memory(*, exact: bool) -> int:
    """Peak resident bytes; since `reset_peak` when `exact`, else since the process began."""
    if exact:
        return _status("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {key}")


def answer(session: Session, command: list[str]) -> dict[str, Any]:
    """Do one command; a failure of the package is an answer too."""
    try:
        match command:
            case ["start"]:
                return {"ok": True, **session.start()}
            case ["fit", count, seconds]:
                return {"ok": True, **session.time_fits(int(count), float(seconds))}
            case ["refit", count, seconds]:
                return {"ok": True, **session.time_refits(int(count), float(seconds))}
            case ["refit-many", count, seconds]:
                return {"ok": True, **session.time_refit_many(int(count), float(seconds))}
            case ["memory", warm]:
                return {"ok": True, **session.memory(Path(warm))}
    except rivals.NotSupported as error:
        return {"ok": False, "kind": "not supported", "message": str(error)}
    except ModuleNotFoundError as error:
        return {"ok": False, "kind": "not installed", "message": str(error)}
    except MemoryError:
        return {"ok": False, "kind": "out of memory", "message": "MemoryError"}
    except BaseException as error:  # a Rust panic is not an Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return {"ok": False, "kind": "failed", "message": f"{type(error).__name__}: {error}"}
    raise SystemExit(f"unknown command: {' '.join(command)}")


def private_output() -> TextIO:
    """Keep the real standard output for answers; packages print to standard error."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def main() -> None:
    package, case, folder = sys.argv[1:4]
    channel = private_output()
    rivals.quiet()
    session = Session(package, named(case), Path(folder))
    for line in sys.stdin:
        print(json.dumps(answer(session, line.split())), file=channel, flush=True)


if __name__ == "__main__":
    main()
