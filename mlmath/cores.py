"""Work shared out over the cores, where BLAS would do it worse.

BLAS cuts a large matrix product in as many parts as there are cores, and is done when the last of its threads is. Each
of many products then wakes all of them, and where other programs want the cores, too, waits for its turn on all of
them at once. Here the parts are larger than a product, and BLAS has one thread for each. How work is cut does not
depend on the number of cores, and so neither do the results.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Part = TypeVar("Part")
Result = TypeVar("Result")


def share(work: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
    """Return the results of the work on each part, in their order.

    Whoever is free takes the next part, and the caller takes part itself: it never waits for a thread that has not
    begun. The work must not share out work itself. Where no thread can be started, as in a browser, one part is done
    after the other.
    """
    parts = list(parts)
    results: list[Any] = [None] * len(parts)
    left = iter(range(len(parts)))

    def take() -> None:
        for k in left:
            results[k] = work(parts[k])

    with one_blas_thread():
        pool = _pool() if len(parts) > 1 else None
        others = [pool.submit(take) for _ in range(min(len(parts), os.cpu_count() or 1) - 1)] if pool else []
        try:
            take()
        finally:
            begun = [other for other in others if not other.cancel()]
            for other in begun:
                other.result()
    return results


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Have BLAS, and LAPACK upon it, work in the thread that asks: for many products that are not large."""
    libraries = _blas()
    before = [library.num_threads for library in libraries]
    try:
        for library in libraries:
            library.set_num_threads(1)
        yield
    finally:
        for library, threads in zip(libraries, before, strict=True):
            library.set_num_threads(threads)


@cache
def _blas() -> list[Any]:
    return ThreadpoolController().select(user_api="blas").lib_controllers


@cache
def _pool() -> ThreadPoolExecutor | None:
    """A thread for each core, all of which stay; None if there cannot be any."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        pool.submit(int)
    except RuntimeError:
        return None
    return pool


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not come along into a forked process
