"""How much does a busy machine slow `mlmath` down? A matrix product that BLAS shares out over the cores is done when
the last of its threads is: where other programs want the cores too, many small products wait very long.

`python benchmarks/busy.py` prints a Markdown table: how long everything takes that takes long in `mlmath`, with
`OPENBLAS_NUM_THREADS=1` and without, while two other processes spin (`--quiet`: while none does). The two settings have
a process each, which take turns; a time is the median.
"""

import os
import platform
import subprocess
import sys
import time
import warnings
from contextlib import ExitStack
from functools import partial
from statistics import median

import numpy as np

from mlmath import data, regression
from mlmath.convolution import Conv1D, Conv2D, Flatten, MaxPool2D
from mlmath.descent import Adam
from mlmath.logistic import logistic_regression
from mlmath.network import Dense, ReLU, Sequential, softmax_cross_entropy
from mlmath.training import train

RUNS, SPINNING = 5, 2
FLOAT = {"dtype": np.float32}


def works():
    """Everything that takes long, by name: functions without arguments."""
    rng = np.random.default_rng(0)
    layer = Conv2D(16, 32, 3, rng=rng, **FLOAT)
    x = rng.random((64, 28, 28, 16), dtype=np.float32)
    y, pullback = layer.forward(x)
    images, classes = rng.random((2560, 28, 28, 1), dtype=np.float32), rng.integers(10, size=2560)
    digits = data.digits()
    scans = (digits.X.reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    text = rng.integers(30, size=(128, 64))
    X = rng.normal(size=(100_000, 50))
    target = X @ rng.normal(size=50) + rng.normal(size=len(X))
    label = (rng.random(len(X)) < 1 / (1 + np.exp(-X[:, :20].sum(axis=1)))).astype(int)
    return {
        "convolution, 64 × 28 × 28, 16 to 32 channels": partial(layer.forward, x),
        "its pullback": partial(pullback, y),
        "convolutional network, an epoch of 2560 × 28 × 28": lambda: epoch(convolutional(7 * 7), images, classes, 128),
        "convolutional network, an epoch of the digits": lambda: epoch(convolutional(2 * 2), scans, digits.y, 64),
        "network of characters, an epoch of 128 × 64": lambda: epoch(characters(), np.eye(30)[text], text, 16),
        "784-128-10 network, an epoch of 2560": lambda: epoch(dense(784, 128), images.reshape(2560, -1), classes, 128),
        "64-32-10 network, an epoch of the digits": lambda: epoch(dense(64, 32), digits.X, digits.y, 32),
        "least squares, 100 000 × 50, normal equations": partial(regression.least_squares, X, target, solver="normal"),
        "QR": partial(regression.least_squares, X, target, solver="qr"),
        "SVD": partial(regression.least_squares, X, target, solver="svd"),
        "ridge regression": partial(regression.ridge, X, target, alpha=1.0),
        "standard errors": partial(regression.standard_errors, X, target, X[0]),
        "least squares, 400 × 200": partial(regression.least_squares, X[:1600].reshape(400, 200), target[:400]),
        "logistic regression, 100 000 × 20": partial(logistic_regression, X[:, :20], label),
        "by descent, 10 000 × 20": partial(logistic_regression, X[:10_000, :20], label[:10_000], solver="descent"),
        "softmax regression on the digits": partial(logistic_regression, digits.X / 16, digits.y, alpha=1.0, steps=3),
    }


def convolutional(places):
    rng = np.random.default_rng(0)
    return Sequential(
        Conv2D(1, 8, 3, padding=1, rng=rng, **FLOAT),
        ReLU(),
        MaxPool2D(),
        Conv2D(8, 16, 3, padding=1, rng=rng, **FLOAT),
        ReLU(),
        MaxPool2D(),
        Flatten(),
        Dense(16 * places, 10, rng=rng, **FLOAT),
    )


def characters():
    rng = np.random.default_rng(0)
    first = Conv1D(30, 32, 3, padding="causal", rng=rng, **FLOAT)
    return Sequential(
        first, ReLU(), Conv1D(32, 32, 3, padding="causal", rng=rng, **FLOAT), Conv1D(32, 30, 1, rng=rng, **FLOAT)
    )


def dense(d, hidden):
    rng = np.random.default_rng(0)
    return Sequential(Dense(d, hidden, rng=rng, **FLOAT), ReLU(), Dense(hidden, 10, rng=rng, **FLOAT))


def epoch(network, X, y, batch_size):
    rng = np.random.default_rng(0)
    train(network, X, y, softmax_cross_entropy, Adam(0.001), epochs=1, batch_size=batch_size, rng=rng)


def serve():
    """Do the works whose names come in, and answer with the seconds."""
    warnings.simplefilter("ignore")
    runs = works()
    for run in runs.values():
        run()
    for line in sys.stdin:
        start = time.perf_counter()
        runs[line.rstrip("\n")]()
        print(time.perf_counter() - start, flush=True)


def started(stack, *arguments, **variables):
    """A process that is ended with the stack."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=os.environ | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def seconds(process, name):
    print(name, file=process.stdin, flush=True)
    return float(process.stdout.readline())


def main():
    spinning = 0 if "--quiet" in sys.argv else SPINNING
    with ExitStack() as stack:
        settings = [started(stack, __file__, "--serve", OPENBLAS_NUM_THREADS="1"), started(stack, __file__, "--serve")]
        for _ in range(spinning):
            started(stack, "-c", "while True: pass")
        print(f"{spinning} other processes spinning on {os.cpu_count()} cores, median of {RUNS} runs that take turns")
        print(f"({platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__})\n")
        print("| | one thread | as it is | times as long |\n|---|---:|---:|---:|")
        for name in works():
            rounds = [[seconds(process, name) for process in settings] for _ in range(RUNS)]
            one, default = (median(times) for times in zip(*rounds, strict=True))
            print(f"| {name} | {1e3 * one:.1f} ms | {1e3 * default:.1f} ms | {default / one:.1f} |", flush=True)


if __name__ == "__main__":
    serve() if "--serve" in sys.argv else main()
