"""The data sets of the book, in the units in which they were measured; README.md has their sources and licences."""

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples with their targets; the arrays are read-only, so that no chapter changes what the next one reads.

    X (n, d) features, one sample a row; y (n,) targets; `feature_names` and `units` describe the d columns.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    feature_names: tuple[str, ...]
    units: tuple[str, ...]
    target: str
    source: str

    def __repr__(self) -> str:
        n, d = self.X.shape
        return f"{self.name}: {n} samples, {d} features ({', '.join(self.feature_names)}), target: {self.target}"


@cache
def diabetes() -> Dataset:
    """Return the 442 diabetes patients of chapter 1: X (442, 10) in raw units, y how far the disease went in a year.

    `(X - X.mean(axis=0)) / X.std(axis=0)` gives columns of mean 0 and variance 1; divided by √442 as well, they are
    what scikit-learn's `load_diabetes()` returns.
    Reference: B. Efron and others, Least angle regression, Annals of Statistics 32 (2004).
    """
    names, table = _read("diabetes.csv.gz")
    return Dataset(
        name="diabetes",
        X=table[:, :-1],
        y=table[:, -1],
        feature_names=names[:-1],
        units=("years", "1 or 2", "kg/m²", "mmHg", "mg/dL", "mg/dL", "mg/dL", "ratio", "log", "mg/dL"),
        target="disease progression one year after baseline",
        source="https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
    )


def _read(file: str) -> tuple[tuple[str, ...], np.ndarray]:
    """The column names and the read-only table of a compressed CSV file."""
    with resources.as_file(resources.files(__name__) / file) as path:
        names = tuple(str(name) for name in np.loadtxt(path, str, delimiter=",", max_rows=1))
        table = np.loadtxt(path, delimiter=",", skiprows=1)
    table.flags.writeable = False
    return names, table
