"""Work shared out over the cores, where BLAS would do it worse.

BLAS cuts a large matrix product in as many parts as there are cores, and is done when the last of its threads is. Each
of many products then wakes all of them, and where other programs want the cores, too, waits for its turn on all of
them at once. Here the parts are larger than a product, and each consists of products so small that BLAS leaves them
to the thread that asks. How work is cut does not depend on the number of cores, and so neither do the results.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import numpy as np

Part = TypeVar("Part")
Result = TypeVar("Result")

SMALL = 500_000
"""Multiplications in a matrix product that OpenBLAS leaves to one core: it starts a thread for every 2¹⁸ of them."""


def share(work: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
    """Return the results of the work on each part, in their order; no part waits for another.

    The work must not share out work itself. Where no thread can be started, as in a browser, one part is done after
    the other.
    """
    parts = list(parts)
    pool = _pool() if len(parts) > 1 else None
    return list((pool.map if pool else map)(work, parts))


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


def small(length: int, multiplications: int) -> Iterator[slice]:
    """Cut an axis into slices whose products are small, where one entry takes so many multiplications.

    Slices of a few entries would cost more than they save: the axis then stays whole.
    """
    size = SMALL // max(multiplications, 1)
    size = size if size >= 8 else max(length, 1)
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def product(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return AB for two matrices, some rows at a time if the whole is too large for one core and the parts are not."""
    C = np.empty((len(A), B.shape[1]), np.result_type(A, B))
    for rows in small(len(A), B.size):
        np.matmul(A[rows], B, out=C[rows])
    return C
