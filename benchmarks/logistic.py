"""Logistic regression on 100 000 samples and 20 features, beside scikit-learn and statsmodels.

`python benchmarks/logistic.py` prints a Markdown table. Nobody penalizes, so that all have the same optimum; each
peer is given the loosest tolerance that brings its weights to within 1e-6 of it, while mlmath runs as it is. The runs
are interleaved, so that whatever else the machine does meanwhile slows all alike.
"""

import os
import platform
import time
from functools import partial
from statistics import median

import numpy as np
import sklearn
import statsmodels
import statsmodels.api as sm
from sklearn.linear_model import LogisticRegression

from mlmath.logistic import logistic_regression

N, D, RUNS, GOAL = 100_000, 20, 15, 1e-6


def mlmath(X, y):
    fit = logistic_regression(X, y)
    return np.append(fit.b, fit.w)


def scikit_learn(X, y, solver, tol):
    model = LogisticRegression(C=np.inf, solver=solver, tol=tol, max_iter=1000).fit(X, y)
    return np.append(model.intercept_, model.coef_)


def logit(X, y, tol):
    return sm.Logit(y, sm.add_constant(X)).fit(method="newton", tol=tol, disp=False).params


def distance(w, optimum):
    return np.abs(w - optimum).max() / np.abs(optimum).max()


def loosest(run, optimum):
    """The run with the first tolerance that reaches the goal."""
    for tol in 10.0 ** -np.arange(2, 13):
        if distance(run(tol=tol), optimum) <= GOAL:
            return partial(run, tol=tol), f", tol={tol:.0e}"
    raise SystemExit(f"{run} does not come within {GOAL} of the optimum")


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D))
    y = (rng.random(N) < 1 / (1 + np.exp(-(X @ rng.normal(size=D))))).astype(int)
    optimum = scikit_learn(X, y, "newton-cholesky", 1e-12)
    runs = {"mlmath, Newton": partial(mlmath, X, y)}
    for solver in ("newton-cholesky", "lbfgs"):
        run, tol = loosest(partial(scikit_learn, X, y, solver), optimum)
        runs[f"scikit-learn, {solver}{tol}"] = run
    run, tol = loosest(partial(logit, X, y), optimum)
    runs[f"statsmodels, Logit{tol}"] = run
    distances = {name: distance(run(), optimum) for name, run in runs.items()}
    rounds = [{name: seconds(run) for name, run in runs.items()} for _ in range(RUNS)]
    times = {name: median(each[name] for each in rounds) for name in runs}
    quickest_peer = min(elapsed for name, elapsed in times.items() if not name.startswith("mlmath"))

    print(f"Logistic regression, {N} × {D}, median of {RUNS} interleaved runs on {os.cpu_count()} cores")
    print(f"({platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}, ", end="")
    print(f"scikit-learn {sklearn.__version__}, statsmodels {statsmodels.__version__})\n")
    print("| | distance to the optimum | time | as fast as the quickest peer, times |\n|---|---:|---:|---:|")
    for name, elapsed in times.items():
        print(f"| {name} | {distances[name]:.0e} | {1e3 * elapsed:.1f} ms | {quickest_peer / elapsed:.2f} |")


if __name__ == "__main__":
    main()
