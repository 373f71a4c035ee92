"""Work that is shared out gives the same results, to the last bit, on any number of cores, and without threads."""

import os
import threading
from itertools import chain

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from mlmath import cores
from mlmath.convolution import Conv2D
from mlmath.regression import least_squares


@pytest.fixture
def on(monkeypatch):
    """Set the number of cores; 0 means that there are no threads."""

    def refuse(_):
        raise RuntimeError("can't start new thread")

    def number(count):
        cores._pool.cache_clear()
        monkeypatch.setattr(os, "cpu_count", lambda: max(count, 1))
        if count == 0:
            monkeypatch.setattr(threading.Thread, "start", refuse)

    yield number
    monkeypatch.undo()
    cores._pool.cache_clear()


def convolved():
    rng = np.random.default_rng(0)
    layer = Conv2D(3, 8, 3, padding=1, rng=rng, dtype=np.float32)
    y, pullback = layer.forward(rng.normal(size=(64, 40, 40, 3)).astype(np.float32))
    dx, gradients = pullback(y)
    return [y, dx, *gradients.values()]


def fitted():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20_000, 10)), rng.normal(size=20_000)
    return [least_squares(X, y, solver=solver) for solver in ("normal", "qr")]


@pytest.mark.parametrize("work", [convolved, fitted])
def test_the_number_of_cores_changes_no_bit(work, on):
    results = []
    for count in (1, 2, 5, 0):
        on(count)
        results.append(work())
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def test_results_come_in_the_order_of_the_parts_and_errors_come_through(on):
    on(2)
    assert cores.share(lambda part: part**2, range(50)) == [part**2 for part in range(50)]
    assert cores.share(str, []) == []
    with pytest.raises(ZeroDivisionError):
        cores.share(lambda part: 1 / part, [1, 0, 2])


def test_blas_has_one_thread_for_each_part_and_all_of_them_again_afterwards():
    def threads():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before = threads()
    assert set(chain(*cores.share(lambda _: threads(), range(4)))) == {1}
    assert threads() == before
