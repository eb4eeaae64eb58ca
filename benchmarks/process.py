"""Worker processes: started alike, asked one at a time, ended when they take too long."""

from __future__ import annotations

import json
import os
import re
import resource
import selectors
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

# Every library that brings threads of its own is told to use one.
THREADS = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)
ONE_THREAD = dict.fromkeys(THREADS, "1")


@dataclass(frozen=True)
class Limits:
    """What a worker may use.

    Attributes
    ----------
    cpu : int or None
        The one processor that all workers share (they never work at the same time), so that a
        package that starts threads in spite of ``ONE_THREAD`` gains nothing; None: no pinning.
    memory : int
        Bytes of address space; a package that asks for more gets its error, not the machine's.
    """

    cpu: int | None
    memory: int

    def apply(self) -> None:
        """In the new process, before the program."""
        if self.cpu is not None:
            os.sched_setaffinity(0, {self.cpu})
        resource.setrlimit(resource.RLIMIT_AS, (self.memory, self.memory))

    def popen(
        self, command: list[str], environment: dict[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a program under these limits; `environment` is added to ours."""
        environment = {**os.environ, **ONE_THREAD, **(environment or {})}
        return subprocess.Popen(command, env=environment, preexec_fn=self.apply, **options)


class Worker:
    """A running worker.

    Parameters
    ----------
    command : list of str
    limits : Limits
    environment : dict
        Variables added to those of this process.
    """

    def __init__(self, command: list[str], limits: Limits, environment: dict[str, str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process = limits.popen(
            command,
            environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._buffer = b""

    def ask(self, command: str, seconds: float) -> dict[str, Any]:
        """Send a command, wait for its answer.

        Returns
        -------
        dict
            The worker's answer, with ``ok`` false and a ``kind`` when it failed, died, or was
            ended because it took more than `seconds`.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(command.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return self._died()
        line = self._line(time.monotonic() + seconds)
        if line is None:
            self.end()
            return {"ok": False, "kind": "over limit", "message": f"more than {seconds:.0f} s"}
        if not line:
            return self._died()
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            answer["message"] = without_paths(answer["message"])
        return answer

    def _line(self, deadline: float) -> bytes | None:
        """The next line; empty at the end of the stream, None at the deadline."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                chunk = os.read(self._process.stdout.fileno(), 1 << 16)
                if not chunk:
                    return b""
                self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def _died(self) -> dict[str, Any]:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        last = lines[-1] if lines else ""
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return {"ok": False, "kind": "died", "message": without_paths(f"{how}: {last}")}

    def end(self) -> None:
        """End this process and wait for it."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()


def without_paths(message: str, longest: int = 160) -> str:
    """The message on one line, without the folders of this machine."""
    message = re.sub(r"(/[\w.+-]+){2,}", lambda path: path.group(0).rsplit("/", 1)[1], message)
    message = " ".join(message.split())
    return message if len(message) <= longest else message[: longest - 3] + "..."
