"""The machine and the versions of a run, described without naming the machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from process import Limits

# Runs in each interpreter, so that versions are those that were timed.
PROBE = """
import importlib.metadata as metadata, json, sys
found = {"python": sys.version.split()[0]}
for name in sys.argv[1].split(","):
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
try:
    import scipy.linalg, threadpoolctl
    for pool in threadpoolctl.threadpool_info():
        if pool["user_api"] == "blas":
            found["blas"] = (f"{pool['internal_api']} {pool['version']}, kernels for "
                             f"{pool.get('architecture')}, {pool['num_threads']} thread")
except ImportError:
    pass
print(json.dumps(found))
"""
DISTRIBUTIONS = (
    "numpy", "scipy", "pandas", "polars", "partialpool", "glmm", "lme-python", "mixedlm",
    "statsmodels",
)  # fmt: skip


def describe(python: str, rivals_python: str, limits: Limits) -> dict[str, Any]:
    """Processor, memory, system, and the versions that each interpreter holds."""
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": _versions(python, limits),
    }
    if rivals_python != python:
        found["rivals_versions"] = _versions(rivals_python, limits)
    return found


def _versions(python: str, limits: Limits) -> dict[str, str]:
    command = [python, "-c", PROBE, ",".join(DISTRIBUTIONS)]
    process = limits.popen(command, stdout=subprocess.PIPE)
    output, _ = process.communicate(timeout=60)
    versions: dict[str, str] = json.loads(output)
    return versions


def _processor() -> str:
    """Family of the processor, with its widest vectors where the kernel tells."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or "unknown"
    values = dict(
        (part.strip() for part in line.split(":", 1)) for line in text.splitlines() if ":" in line
    )
    flags = values.get("flags", "").split()
    vectors = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    return f"{values.get('model name', 'unknown')} ({vectors})"


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (ValueError, OSError):
        return "unknown"
