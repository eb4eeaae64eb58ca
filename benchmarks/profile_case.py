"""Where our own time goes on one case: python benchmarks/profile_case.py CASE [FITS].

Prints the functions of a profile of repeated warm fits by their own time. The profiler's cost a
call inflates small functions; take shares from here and times from run.py.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path

import rivals
import store
from cases import named


def main() -> None:
    case = named(sys.argv[1])
    adapter = rivals.PartialPool()
    with tempfile.TemporaryDirectory() as folder:
        store.write(Path(folder), case.make())
        data = store.read_frame(Path(folder))
    adapter.fit(case, data)
    begin = time.perf_counter()
    adapter.fit(case, data)
    seconds = time.perf_counter() - begin
    fits = int(sys.argv[2]) if len(sys.argv) > 2 else max(1, int(1.0 / seconds))
    profile = cProfile.Profile()
    with profile:
        for _ in range(fits):
            adapter.fit(case, data)
    print(f"{case.name}: {1e3 * seconds:.3g} ms a fit without the profiler, {fits} fits profiled")
    pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
