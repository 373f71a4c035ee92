"""Work that is shared out gives the same results, to the last bit, on any number of cores, and without threads."""

import os
import threading

import numpy as np
import pytest

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


@pytest.mark.parametrize(("length", "multiplications"), [(1664, 4608), (100, 9), (100, 10**9), (1, 1)])
def test_slices_are_small_or_whole_and_cover_the_axis(length, multiplications):
    slices = list(cores.small(length, multiplications))
    np.testing.assert_array_equal(np.concatenate([np.arange(length)[part] for part in slices]), np.arange(length))
    assert len(slices) == 1 or all((s.stop - s.start) * multiplications <= cores.SMALL for s in slices)


@pytest.mark.parametrize("shape", [(128, 784, 10), (300, 40, 128), (2, 800, 800), (0, 3, 4)])
def test_a_product_is_the_product(shape):
    rng, (n, d, k) = np.random.default_rng(0), shape
    A, B = rng.normal(size=(n, d)).astype(np.float32), rng.normal(size=(d, k)).astype(np.float32)
    assert cores.product(A, B).dtype == np.float32
    np.testing.assert_allclose(cores.product(A, B), A @ B, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(cores.product(B.T, A.T), B.T @ A.T, rtol=1e-4, atol=1e-4)
