"""The classifiers on twelve small tables beside scikit-learn's, each with its defaults and the table as it is.

`PYTHONPATH=. python benchmarks/tables.py` prints a Markdown table of the share of held-out samples that are classified
right, in percent: five folds, dealt three times, with a random start for each. Behind the difference stands its
standard error over the samples of the table, each of which both models have been asked about three times. A last
column shows scikit-learn's model with the columns scaled first, which ours does by itself.
"""

import platform
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import sklearn
from sklearn import datasets, linear_model, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlmath import estimators

SEEDS = 3
made = partial(datasets.make_classification, random_state=0)
TABLES: dict[str, Callable] = {
    "iris": partial(datasets.load_iris, return_X_y=True),
    "wine": partial(datasets.load_wine, return_X_y=True),
    "breast cancer": partial(datasets.load_breast_cancer, return_X_y=True),
    "digits": partial(datasets.load_digits, return_X_y=True),
    "two classes": partial(made, n_samples=200),
    "three classes": partial(made, n_samples=300, n_features=10, n_informative=5, n_classes=3),
    "one in ten": partial(made, n_samples=400, n_informative=4, weights=[0.9]),
    "noisy labels": partial(made, n_samples=500, n_features=10, n_informative=5, flip_y=0.2),
    "many columns": partial(made, n_samples=100, n_features=60, n_informative=10),
    "moons": partial(datasets.make_moons, 300, noise=0.3, random_state=0),
    "circles": partial(datasets.make_circles, 300, noise=0.15, factor=0.5, random_state=0),
    "blobs": partial(datasets.make_blobs, 300, centers=5, cluster_std=2.0, random_state=0),
}
MODELS = {
    "LogisticRegression": (
        lambda seed: estimators.LogisticRegression(),
        lambda seed: linear_model.LogisticRegression(),
    ),
    "MLPClassifier": (
        lambda seed: estimators.MLPClassifier(random_state=seed),
        lambda seed: neural_network.MLPClassifier(random_state=seed),
    ),
}


def right(model, X, y):
    """The share of the seeds for which each sample, held out, was classified right: (n,)."""
    share = np.zeros(len(y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for seed in range(SEEDS):
            for fit, held in StratifiedKFold(5, shuffle=True, random_state=seed).split(X, y):
                share[held] += (model(seed).fit(X[fit], y[fit]).predict(X[held]) == y[held]) / SEEDS
    return share


def main():
    print(f"({platform.machine()}, scikit-learn {sklearn.__version__})\n")
    for name, (ours, theirs) in MODELS.items():
        print(f"| `{name}` | mlmath | scikit-learn | difference | with scaled columns |\n|---|---:|---:|---:|---:|")
        for table, load in TABLES.items():
            X, y = load()
            a, b = right(ours, X, y), right(theirs, X, y)
            scaled = right(lambda seed, theirs=theirs: make_pipeline(StandardScaler(), theirs(seed)), X, y)
            error = (a - b).std() / np.sqrt(len(y))
            shares = f"{a.mean():.1%} | {b.mean():.1%} | {100 * (a - b).mean():+.1f} ± {100 * error:.1f}"
            print(f"| {table}, {len(y)} × {X.shape[1]} | {shares} | {scaled.mean():.1%} |", flush=True)
        print()


if __name__ == "__main__":
    main()
