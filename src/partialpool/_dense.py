"""LAPACK for the dense blocks of the native kernels, and the threads that it may use."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import _core

__all__ = ["limited", "load_lapack"]

_SIGNATURES = {
    "dpotrf": "void (char *, int *, d *, int *, int *)",
    "dpotri": "void (char *, int *, d *, int *, int *)",
    "dsyrk": "void (char *, char *, int *, int *, d *, d *, int *, d *, d *, int *)",
    "dtrsm": "void (char *, char *, char *, char *, int *, int *, d *, d *, int *, d *, int *)",
    "dgemm": (
        "void (char *, char *, int *, int *, int *, d *, d *, int *, d *, int *, d *, d *, int *)"
    ),
}
_loaded: list[bool] = []


def load_lapack() -> None:
    """SciPy's LAPACK for the dense blocks; our own kernels serve if its signatures have changed."""
    if _loaded:
        return
    import re

    from scipy.linalg import cython_blas, cython_lapack

    capsules = {}
    for name, signature in _SIGNATURES.items():
        module = cython_lapack if name.startswith("dpo") else cython_blas
        capsule = module.__pyx_capi__.get(name)
        if capsule is None:
            break
        shown = re.sub(r"__pyx_t_\w+_d\b", "d", _core.capsule_name(capsule))
        if shown != signature:
            break
        capsules[name] = capsule
    if len(capsules) == len(_SIGNATURES):
        _core.set_lapack(capsules)
    _loaded.append(len(capsules) == len(_SIGNATURES))


class _Limits:
    """The smallest of the limits asked for at the moment, by whichever threads of Python.

    With POSIX threads the number is one of the process: who put back what was there on entry would,
    with overlapping calls, put back the limit of another call, for good. (So does threadpoolctl;
    from 3.8 on the calls of all threads but one do nothing instead, and our results would depend
    on which.) With OpenMP it is one of the calling thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[int] = []
        self._libraries: list[Any] | None = None
        self._before: list[int] = []

    def enter(self, threads: int) -> list[int]:
        """Returns what `leave` needs."""
        with self._lock:
            libraries = self._found()
            own = [lib.num_threads for lib in libraries]
            if not self._active:
                self._before = own
            self._active.append(threads)
            for lib in libraries:
                _set(lib, threads if _is_local(lib) else min(self._active))
            return own

    def leave(self, threads: int, own: list[int]) -> None:
        with self._lock:
            self._active.remove(threads)
            left = min(self._active, default=0)
            for lib, mine, before in zip(self._found(), own, self._before, strict=True):
                _set(lib, mine if _is_local(lib) else left or before)

    def _found(self) -> list[Any]:
        if self._libraries is None:
            from threadpoolctl import ThreadpoolController

            load_lapack()  # a controller sees the libraries that are loaded
            controllers = ThreadpoolController().lib_controllers
            self._libraries = [lib for lib in controllers if lib.user_api == "blas"]
        return self._libraries


def _is_local(lib: Any) -> bool:
    return getattr(lib, "threading_layer", None) == "openmp"


def _set(lib: Any, threads: int) -> None:
    if lib.num_threads != threads:
        getattr(lib, "_real_set_num_threads", lib.set_num_threads)(threads)


_limits = _Limits()


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """At most so many threads of BLAS, until the last of those who ask for it has finished."""
    own = _limits.enter(threads)
    try:
        yield
    finally:
        _limits.leave(threads, own)
