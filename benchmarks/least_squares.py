"""Least squares on 100 000 samples and 50 features, beside NumPy and scikit-learn.

`python benchmarks/least_squares.py` prints a Markdown table. The runs are interleaved, so that whatever
else the machine does meanwhile slows all alike.
"""

import os
import platform
import time
from functools import partial
from statistics import median

import numpy as np
import sklearn
from sklearn.linear_model import LinearRegression

from mlmath.regression import least_squares

N, D, RUNS = 100_000, 50, 15


def competitors(X, y):
    return {
        "mlmath, normal equations": partial(least_squares, X, y, solver="normal"),
        "mlmath, QR": partial(least_squares, X, y, solver="qr"),
        "mlmath, SVD": partial(least_squares, X, y, solver="svd"),
        "numpy.linalg.lstsq": partial(np.linalg.lstsq, X, y),
        "`LinearRegression()`": partial(LinearRegression().fit, X, y),
        "`LinearRegression(fit_intercept=False)`": partial(LinearRegression(fit_intercept=False).fit, X, y),
    }


def seconds(run):
    time.sleep(0.1)  # a library's threads spin for a while after its work, and would take a core from the next one
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D))
    y = X @ rng.normal(size=D) + rng.normal(size=N)
    runs = competitors(X, y)
    for run in runs.values():
        run()
    rounds = [{name: seconds(run) for name, run in runs.items()} for _ in range(RUNS)]
    times = {name: median(each[name] for each in rounds) for name in runs}

    print(f"Least squares, {N} × {D}, median of {RUNS} interleaved runs on {os.cpu_count()} cores")
    print(f"({platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}, ", end="")
    print(f"scikit-learn {sklearn.__version__})\n")
    peers = [name for name in times if name.startswith("`")]
    print("How many times as fast as scikit-learn's:\n")
    print(f"| | time | {' | '.join(peers)} |\n|---|---:|---:|---:|")
    for name, elapsed in times.items():
        ratios = " | ".join(f"{times[peer] / elapsed:.1f}" for peer in peers)
        print(f"| {name} | {1e3 * elapsed:.1f} ms | {ratios} |")


if __name__ == "__main__":
    main()
