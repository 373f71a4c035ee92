"""Chapter 5's convolution beside its peers: PyTorch in eager mode, JAX, and numpy-ml, a library written to teach.

`PYTHONPATH=. python benchmarks/convolution.py` prints three Markdown tables, all in float32 on all cores:

1. One layer, forward and backward (dW, db and dx): 64 images of 28 x 28, from 16 to 32 channels, kernels 3 x 3. Beside
   it the definition with its four loops (`correlate`, forward only), and the memory that it takes at its peak.
2. One epoch of conv8, pool, conv16, pool, dense over 60 000 random images of 28 x 28, batches of 128, plain SGD.
3. The chapter's network on three quarters of the digits, with the copies that are moved by a pixel, and how many of
   the rest it reads; with `--folds` also ten-fold cross-validation.

Runs are interleaved with a pause before each, since the threads of one library go on spinning for a moment after its
last product; a time is the median. JAX is compiled beforehand. JAX and numpy-ml are left out where they are missing.
"""

import collections.abc
import importlib.util
import os
import platform
import sys
import time
import tracemalloc
from functools import partial
from statistics import median

import numpy as np
from sklearn.model_selection import StratifiedKFold

from mlmath import data
from mlmath.convolution import Conv2D, Flatten, MaxPool2D, correlate, shifted
from mlmath.descent import Adam, GradientDescent
from mlmath.network import Dense, Dropout, ReLU, Sequential, softmax_cross_entropy
from mlmath.training import accuracy, evaluate, train

try:
    import torch
    from torch import nn
except ImportError:
    sys.exit(
        "This benchmark needs PyTorch, and takes JAX and numpy-ml along. Give them an environment of their own:\n"
        "  python3 -m venv ../torch\n"
        "  ../torch/bin/pip install torch==2.13.0 jax -c requirements.txt numpy scikit-learn\n"
        "  ../torch/bin/pip install --no-deps numpy-ml\n"
        "  PYTHONPATH=. ../torch/bin/python benchmarks/convolution.py"
    )
try:
    import jax
    import jax.numpy as jnp
except ImportError:
    jax = None
try:  # numpy-ml is older than Python 3.10, and its first module loads everything that it can do
    collections.Hashable = collections.abc.Hashable
    for package in ("numpy_ml", "numpy_ml.neural_nets"):
        sys.modules[package] = importlib.util.module_from_spec(importlib.util.find_spec(package))
    from numpy_ml.neural_nets.layers import layers as numpy_ml
except (ImportError, AttributeError):
    numpy_ml = None

FLOAT = {"dtype": np.float32}
CHANNELS_LAST = torch.channels_last
RUNS = 9
DIGITS_PLAN = [(7, 0.004), (3, 0.0005)]
# Memory that is freed is kept, as `mlmath.training.train` has it, and as it is for PyTorch and JAX, too.
np.empty(2**25 - 2**16, np.uint8)


# --- One layer --------------------------------------------------------------------------------------------------------


def inside_a_network(x):
    """x (n, h, w, c) as it comes from a layer before: the batch last in memory."""
    return np.ascontiguousarray(x.transpose(1, 3, 2, 0)).transpose(3, 0, 2, 1)


def mlmath_layer(x, W, dy):
    layer = Conv2D(16, 32, 3, padding=1, rng=np.random.default_rng(0), **FLOAT)
    layer.parameters["W"] = W
    x, dy = inside_a_network(x), inside_a_network(dy)

    def run():
        y, pullback = layer.forward(x)
        return (y, *pullback(dy))

    return run


def torch_layer(x, W, dy):
    layer = nn.Conv2d(16, 32, 3, padding=1).to(memory_format=CHANNELS_LAST)
    x, dy = (torch.from_numpy(a.transpose(0, 3, 1, 2).copy()).to(memory_format=CHANNELS_LAST) for a in (x, dy))
    x.requires_grad_()

    def run():
        x.grad = None
        layer.zero_grad()
        layer(x).backward(dy)

    return run


def jax_layer(x, W, dy):
    x, W, dy = map(jnp.asarray, (x, W, dy))

    @jax.jit
    def forward_and_backward(x, W, b, dy):
        y, pullback = jax.vjp(lambda x, W, b: jax_convolve(x, W) + b, x, W, b)
        return y, pullback(dy)

    return lambda: jax.block_until_ready(forward_and_backward(x, W, jnp.zeros(32), dy))


def jax_convolve(x, W):
    return jax.lax.conv_general_dilated(x, W, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def taught_layer(x, W, dy):
    """numpy-ml's: all patches gathered by index, one product, the gradient scattered back by `np.add.at`, as courses
    and most from-scratch libraries have it. It computes in float64: float32 weights would make it slower."""
    layer = numpy_ml.Conv2D(32, (3, 3), pad=1, act_fn="Affine(slope=1, intercept=0)")
    layer.forward(x)
    layer.parameters["W"] = W.astype(float)

    def run():
        layer.flush_gradients()
        y = layer.forward(x)
        return y, layer.backward(dy), layer.gradients

    return run


def one_layer():
    rng = np.random.default_rng(0)
    x, dy = rng.random((64, 28, 28, 16), dtype=np.float32), rng.random((64, 28, 28, 32), dtype=np.float32)
    W = rng.normal(size=(3, 3, 16, 32)).astype(np.float32)
    makers = {
        "mlmath": mlmath_layer,
        "PyTorch, channels last": torch_layer,
        "JAX": jax_layer,
        "numpy-ml": taught_layer,
    }
    for name, library in (("JAX", jax), ("numpy-ml", numpy_ml)):
        if library is None:
            del makers[name]
    runs = {name: make(x, W, dy) for name, make in makers.items()}
    y, dx, gradients = runs["mlmath"]()
    if numpy_ml is not None:
        y_taught, dx_taught, gradients_taught = runs["numpy-ml"]()
        np.testing.assert_allclose(y, y_taught, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(dx, dx_taught, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(gradients["W"], gradients_taught["W"], rtol=1e-3)
    runs["four loops, forward only"] = partial(correlate, x, W, padding=1)
    repeated = {"mlmath": 20, "PyTorch, channels last": 20, "JAX": 20}
    table("One layer, forward and backward", *interleaved(runs, repeated))
    print(f"\nx and y take {x.nbytes / 2**20:.1f} and {y.nbytes / 2**20:.1f} MB, ", end="")
    print(
        f"all patches of 3 x 3 pixels would take {9 * x.nbytes / 2**20:.1f} MB. At its peak, y and dx included, ",
        end="",
    )
    peaks = [f"{name} takes {peak(runs[name]) / 2**20:.1f} MB" for name in ("mlmath", "numpy-ml") if name in runs]
    print(" and ".join(peaks) + ".\n")


def peak(run):
    """The most memory that NumPy held at a time, beyond what was there before."""
    tracemalloc.start()
    run()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


# --- One epoch --------------------------------------------------------------------------------------------------------


def mlmath_epoch(X, y):
    rng = np.random.default_rng(0)
    network = Sequential(
        Conv2D(1, 8, 3, padding=1, rng=rng, **FLOAT),
        ReLU(),
        MaxPool2D(),
        Conv2D(8, 16, 3, padding=1, rng=rng, **FLOAT),
        ReLU(),
        MaxPool2D(),
        Flatten(),
        Dense(784, 10, rng=rng, **FLOAT),
    )
    train(network, X, y, softmax_cross_entropy, GradientDescent(0.01), epochs=1, batch_size=128, rng=rng)


def torch_epoch(X, y):
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(784, 10),
    )
    torch_train(network, X, y, partial(torch.optim.SGD, lr=0.01), epochs=1, batch_size=128)


def torch_train(network, X, y, optimizer_of, *, epochs, batch_size):
    X, y = torch.from_numpy(X.transpose(0, 3, 1, 2)), torch.from_numpy(y)
    network = network.to(memory_format=CHANNELS_LAST)
    optimizer = optimizer_of(network.parameters())
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(batch_size):
            outputs = network(X[rows].contiguous(memory_format=CHANNELS_LAST))
            loss = nn.functional.cross_entropy(outputs, y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network


def jax_epoch(step, X, y):
    rng = np.random.default_rng(0)
    shapes = [(3, 3, 1, 8), (8,), (3, 3, 8, 16), (16,), (784, 10), (10,)]
    weights = [jnp.asarray(0.1 * rng.normal(size=shape), jnp.float32) for shape in shapes]
    order = rng.permutation(len(X))
    for start in range(0, len(X), 128):
        rows = order[start : start + 128]
        weights = step(weights, X[rows], y[rows])
    jax.block_until_ready(weights)


def jax_step():
    def pool(x):
        n, h, w, c = x.shape
        return x.reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))

    def loss(weights, X, y):
        W1, b1, W2, b2, W3, b3 = weights
        a = pool(jax.nn.relu(jax_convolve(X, W1) + b1))
        a = pool(jax.nn.relu(jax_convolve(a, W2) + b2))
        z = a.reshape(len(X), -1) @ W3 + b3
        return -jnp.mean(jax.nn.log_softmax(z)[jnp.arange(len(y)), y])

    @jax.jit
    def step(weights, X, y):
        return [w - 0.01 * g for w, g in zip(weights, jax.grad(loss)(weights, X, y), strict=True)]

    return step


def one_epoch():
    rng = np.random.default_rng(0)
    X, y = rng.random((60_000, 28, 28, 1), dtype=np.float32), rng.integers(10, size=60_000)
    runs = {"mlmath": partial(mlmath_epoch, X, y), "PyTorch, eager": partial(torch_epoch, X, y)}
    if jax is not None:
        step = jax_step()
        jax_epoch(step, X[:224], y[:224])  # compiles the step for full batches and for the last one
        runs["JAX"] = partial(jax_epoch, step, X, y)
    table("One epoch of conv8, pool, conv16, pool, dense over 60 000 images", *interleaved(runs, {}, runs_of_each=3))
    print()


# --- The digits -------------------------------------------------------------------------------------------------------


def mlmath_digits(X, y, seed=0):
    rng = np.random.default_rng(seed)
    network = Sequential(
        Conv2D(1, 16, 3, padding=1, rng=rng, **FLOAT),
        ReLU(),
        MaxPool2D(),
        Conv2D(16, 32, 3, padding=1, rng=rng, **FLOAT),
        ReLU(),
        Flatten(),
        Dropout(0.5),
        Dense(512, 10, rng=rng, **FLOAT),
    )
    X, y = with_copies(X, y)
    for epochs, rate in DIGITS_PLAN:
        train(network, X, y, softmax_cross_entropy, Adam(rate), epochs=epochs, batch_size=64, rng=rng, alpha=1e-4)
    return network


def torch_digits(X, y):
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(512, 10),
    )
    X, y = with_copies(X, y)
    for epochs, rate in DIGITS_PLAN:
        adam = partial(torch.optim.Adam, lr=rate, weight_decay=1e-4)
        torch_train(network, X, y, adam, epochs=epochs, batch_size=64)
    return network


def with_copies(X, y):
    moves = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
    return np.concatenate([shifted(X, *move) for move in moves]), np.tile(y, len(moves))


def digits():
    images, y = (data.digits().X / 16).astype(np.float32).reshape(-1, 8, 8, 1), data.digits().y
    X_train, X_test, y_train, y_test = data.hold_out(images, y, rng=np.random.default_rng(0))
    runs = {
        "mlmath": partial(mlmath_digits, X_train, y_train),
        "PyTorch, eager": partial(torch_digits, X_train, y_train),
    }
    table("The chapter's network, trained on the digits", *interleaved(runs, {}, runs_of_each=5))
    read = [accuracy(evaluate(mlmath_digits(X_train, y_train, seed), X_test), y_test) for seed in range(5)]
    network = torch_digits(X_train, y_train).eval()
    with torch.no_grad():
        theirs = accuracy(network(torch.from_numpy(X_test.transpose(0, 3, 1, 2))).numpy(), y_test)
    print(f"\nOf the quarter held out, mlmath reads {', '.join(f'{100 * share:.1f}' for share in read)} % ", end="")
    print(f"(seeds 0 to 4), PyTorch's network {100 * theirs:.1f} %.")
    if "--folds" in sys.argv:
        folds = StratifiedKFold(10, shuffle=True, random_state=0).split(images, y)
        read = [accuracy(evaluate(mlmath_digits(images[a], y[a]), images[b]), y[b]) for a, b in folds]
        print(f"Ten-fold cross-validation: {100 * np.mean(read):.2f} %, from {100 * min(read):.1f} to ", end="")
        print(f"{100 * max(read):.1f} % in a fold.")


# --- What they share --------------------------------------------------------------------------------------------------


def interleaved(runs, repeated, *, runs_of_each=RUNS):
    """The median seconds of each run, `repeated` so often at a time."""
    for run in runs.values():
        run()
    rounds = [{name: seconds(run, repeated.get(name, 1)) for name, run in runs.items()} for _ in range(runs_of_each)]
    return {name: median(each[name] for each in rounds) for name in runs}, runs_of_each


def seconds(run, times):
    time.sleep(0.5)
    start = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - start) / times


def table(title, times, runs_of_each):
    print(f"{title} (median of {runs_of_each} interleaved runs)\n")
    print("| | time | of mlmath's, times |\n|---|---:|---:|")
    for name, elapsed in times.items():
        print(f"| {name} | {1e3 * elapsed:.1f} ms | {elapsed / times['mlmath']:.2f} |", flush=True)


def main():
    print(f"float32 on {os.cpu_count()} cores ({platform.machine()}, Python {platform.python_version()}, ", end="")
    print(f"NumPy {np.__version__}, PyTorch {torch.__version__}", end="")
    print(f", JAX {jax.__version__})\n" if jax is not None else ")\n")
    one_layer()
    one_epoch()
    digits()


if __name__ == "__main__":
    main()
