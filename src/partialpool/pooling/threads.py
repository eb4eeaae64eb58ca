"""One thread for linear algebra that more of them would slow down.

Threads of BLAS wait for each other by spinning. Where every product is short, as in an iterative
method or the factorisation of a thousand columns, or where other programs have the processors, the
waiting costs more than the work: ten times as much was measured on two busy cores.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from .. import lmm

if TYPE_CHECKING:
    from ..lmm import LmmRecord

__all__ = ["one_thread", "threads_for"]

_LARGE = 2_000  # columns of a dense factorisation from which threads pay in any case


def one_thread() -> AbstractContextManager[Any]:
    """One thread of BLAS inside."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="blas")  # type: ignore[no-any-return]  # no stubs


def threads_for(record: LmmRecord) -> AbstractContextManager[Any]:
    """One thread of BLAS inside, unless the model's dense factorisations are large."""
    large = lmm.problem(record).native.dense_size() >= _LARGE
    return nullcontext() if large else one_thread()
