"""One epoch of a network 784-128-10 in float32, 60 000 random samples in batches of 128, beside its peers.

`PYTHONPATH=. python benchmarks/network.py` prints a Markdown table: mlmath, scikit-learn's `MLPClassifier` and PyTorch
in eager mode, each with plain stochastic gradient descent and with Adam, on all cores. Every run is the whole call that
a user would write, with shuffled batches. The runs are interleaved, so that whatever else the machine does meanwhile
slows all alike, with a pause before each: one library's threads go on spinning for a moment after its last product.
"""

import os
import platform
import sys
import time
import warnings
from functools import partial
from statistics import median

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from mlmath.descent import Adam, GradientDescent
from mlmath.network import Dense, ReLU, Sequential, softmax_cross_entropy
from mlmath.training import train

try:
    import torch
except ImportError:
    sys.exit(
        "This benchmark needs PyTorch, which nothing else here does. Give it an environment of its own:\n"
        "  python3 -m venv ../torch && ../torch/bin/pip install torch==2.13.0 -c requirements.txt numpy scikit-learn\n"
        "  PYTHONPATH=. ../torch/bin/python benchmarks/network.py"
    )

N, D, HIDDEN, CLASSES, BATCH, RATE, RUNS = 60_000, 784, 128, 10, 128, 0.001, 9


def mlmath_epoch(optimizer, X, y):
    rng = np.random.default_rng(0)
    network = Sequential(
        Dense(D, HIDDEN, rng=rng, dtype=np.float32), ReLU(), Dense(HIDDEN, CLASSES, rng=rng, dtype=np.float32)
    )
    train(network, X, y, softmax_cross_entropy, optimizer, epochs=1, batch_size=BATCH, rng=rng)


def sklearn_epoch(solver, X, y):
    model = MLPClassifier(
        (HIDDEN,), solver=solver, batch_size=BATCH, learning_rate_init=RATE, momentum=0, alpha=0, max_iter=1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)


def torch_epoch(optimizer_of, X, y):
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    network = torch.nn.Sequential(torch.nn.Linear(D, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, CLASSES))
    optimizer = optimizer_of(network.parameters(), lr=RATE)
    for rows in torch.randperm(N).split(BATCH):
        loss = torch.nn.functional.cross_entropy(network(X[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def seconds(run):
    time.sleep(0.5)
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main():
    rng = np.random.default_rng(0)
    X, y = rng.random((N, D), dtype=np.float32), rng.integers(CLASSES, size=N)
    runs = {
        "SGD": {
            "mlmath": partial(mlmath_epoch, GradientDescent(RATE), X, y),
            "PyTorch, eager": partial(torch_epoch, torch.optim.SGD, X, y),
            "scikit-learn": partial(sklearn_epoch, "sgd", X, y),
        },
        "Adam": {
            "mlmath": partial(mlmath_epoch, Adam(RATE), X, y),
            "PyTorch, eager": partial(torch_epoch, torch.optim.Adam, X, y),
            "scikit-learn": partial(sklearn_epoch, "adam", X, y),
        },
    }
    for rule in runs.values():
        for run in rule.values():
            run()
    rounds = [
        {(rule, name): seconds(run) for rule, of in runs.items() for name, run in of.items()} for _ in range(RUNS)
    ]

    print(f"One epoch, {D}-{HIDDEN}-{CLASSES}, float32, {N} samples, batches of {BATCH}: ", end="")
    print(f"median of {RUNS} interleaved runs on {os.cpu_count()} cores")
    print(f"({platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}, ", end="")
    print(f"scikit-learn {sklearn.__version__}, PyTorch {torch.__version__})\n")
    print("| | | time | of mlmath's, times |\n|---|---|---:|---:|")
    for rule, of in runs.items():
        times = {name: median(each[rule, name] for each in rounds) for name in of}
        for name, elapsed in times.items():
            print(f"| {rule} | {name} | {1e3 * elapsed:.0f} ms | {elapsed / times['mlmath']:.2f} |")


if __name__ == "__main__":
    main()
