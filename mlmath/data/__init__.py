"""The data sets of the book, in the units in which they were measured; README.md has their sources and licences."""

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from mlmath.arguments import array, count, fraction, generator, non_negative, one_of, same_length


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples with their targets; the arrays are read-only, so that no chapter changes what the next one reads.

    X (n, d) features, one sample a row; y (n,) targets, whole numbers where they are classes; `feature_names` and
    `units` describe the d columns.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    feature_names: tuple[str, ...]
    units: tuple[str, ...]
    target: str
    source: str

    def __repr__(self) -> str:
        (n, d), names = self.X.shape, self.feature_names
        listed = ", ".join(names if d <= 10 else (*names[:3], "…", names[-1]))
        return f"{self.name}: {n} samples, {d} features ({listed}), target: {self.target}"


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


@cache
def breast_cancer() -> Dataset:
    """Return the 569 breast tumors of chapter 3: X (569, 30), y 1 for malignant (212 of them) and 0 for benign (357).

    Ten properties of the cell nuclei in an image: columns 0 to 9 hold their means, 10 to 19 the standard errors of
    the means, 20 to 29 the means of the three largest values. scikit-learn's `load_breast_cancer()` counts the other
    way, 0 for malignant: here y = 1 is what the test looks for.
    Reference: W. Street and others, Nuclear feature extraction for breast tumor diagnosis, SPIE 1905 (1993).
    """
    names, table = _read("breast_cancer.csv.gz")
    return Dataset(
        name="breast cancer",
        X=table[:, :-1],
        y=_classes(table),
        feature_names=names[:-1],
        units=("length", "gray levels", "length", "length²", *["ratio"] * 6) * 3,
        target="1 malignant, 0 benign",
        source="https://doi.org/10.24432/C5DW2B",
    )


@cache
def digits() -> Dataset:
    """Return the 1797 handwritten digits of chapters 3 to 5: X (1797, 64), y the digit, 0 to 9.

    A row of X is an image of 8 × 8 pixels, `X[i].reshape(8, 8)`, whose values 0 (paper) to 16 (ink) count the inked
    dots of a block of 4 × 4. Equal to scikit-learn's `load_digits()`.
    Reference: E. Alpaydin, C. Kaynak, Cascading classifiers, Kybernetika 34 (1998).
    """
    names, table = _read("digits.csv.gz")
    return Dataset(
        name="digits",
        X=table[:, :-1],
        y=_classes(table),
        feature_names=names[:-1],
        units=("dots",) * 64,
        target="the digit, 0 to 9",
        source="https://doi.org/10.24432/C50P49",
    )


@cache
def prose() -> str:
    """Return 59 000 characters of this book's own prose, for the language model of chapter 5: 75 different, all ASCII.

    Paragraphs end with a line feed. The text is a copy, so that a chapter may change without changing what is learned
    from it; README.md says what was left out.
    """
    return gzip.decompress((resources.files(__name__) / "prose.txt.gz").read_bytes()).decode("ascii")


@dataclass(frozen=True, eq=False)
class Certified:
    """A least-squares problem whose answer NIST has certified to 15 digits; the arrays are read-only.

    X (n, d), its first column ones if the model has an `intercept`; y (n,); `weights` and `standard_errors` (d,); `s`,
    the residual standard deviation; `r_squared`, measured from 0 and not from the mean where there is no intercept.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    intercept: bool
    weights: np.ndarray
    standard_errors: np.ndarray
    s: float
    r_squared: float

    def __repr__(self) -> str:
        n, d = self.X.shape
        return f"{self.name}: {n} samples, {d} certified weights"


CERTIFIED = ("Norris", "Pontius", "NoInt1", "NoInt2", "Filip", "Longley", *(f"Wampler{k}" for k in range(1, 6)))


@cache
def certified(name: str) -> Certified:
    """Return one of the eleven problems named in `CERTIFIED`, as floats; README.md has their source.

    Raises ValueError for another name.
    Reference: NIST Statistical Reference Datasets, https://doi.org/10.18434/T43G6C.
    """
    name = one_of("name", name, CERTIFIED)
    lines = (resources.files(__name__) / f"{name}.dat").read_text(encoding="ascii").splitlines()
    heads, rows = [line.split() for line in lines[30:60]], [line.split() for line in lines[60:] if line.strip()]
    answers = np.array([words[1:3] for words in heads if words and re.fullmatch(r"B\d+", words[0])], dtype=float)
    s, r_squared = (
        next(float(words[-1]) for words in heads if words[:1] == [label]) for label in ("Standard", "R-Squared")
    )
    table = np.array(rows, dtype=float)
    y, features, intercept = table[:, 0], table[:, 1:], not name.startswith("NoInt")
    if intercept and features.shape[1] == 1:  # a polynomial
        X = features ** np.arange(len(answers))
    else:
        X = np.column_stack([np.ones(len(y)), features]) if intercept else features
    weights, errors = answers.T
    for array_ in (X, y, weights, errors):
        array_.flags.writeable = False
    return Certified(name, X, y, intercept, weights, errors, s, r_squared)


def hold_out(
    X: np.ndarray, y: np.ndarray, *, share: float = 0.25, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Shuffle the samples and set a share of them aside: return X_train, X_test, y_train, y_test.

    The first `round(share * n)` of the n samples, shuffled, are held out. The fixed quarter of the digits in chapters 4
    and 5 is the one that `rng=numpy.random.default_rng(0)` picks.
    Raises ValueError if no sample would be left on one of the two sides.
    """
    X, y, share = array("X", X), array("y", y), fraction("share", share)
    same_length("X", X, "y", y)
    held_out = round(share * len(X))
    if not 0 < held_out < len(X):
        raise ValueError(f"share must leave samples to train and to test, but it is {share}, {held_out} of {len(X)}")
    order = generator("rng", rng).permutation(len(X))
    test, train = order[:held_out], order[held_out:]
    return X[train], X[test], y[train], y[test]


def two_dimensional(
    name: str, n: int = 200, *, noise: float = 0.1, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return n points of the plane, X (n, 2), in two classes, y (n,) of 0 and 1 in turn: chapter 4's problems.

    - `"circle"`: a disk (1) in a ring (0).
    - `"xor"`: four squares; 1 where the signs of the coordinates differ.
    - `"gaussians"`: two round clouds, the only problem that a straight line solves.
    - `"spiral"`: two arms wound around each other, one and a half turns each.

    Without noise every point lies in the square [-3, 3]², or, of a cloud, nearly always. `noise` is the standard
    deviation of what is added to each coordinate; labels are those from before. Any run of rows is a fair sample.
    Raises ValueError for an unknown name or negative noise.
    """
    shape = SHAPES[one_of("name", name, SHAPES)]
    n, noise, rng = count("n", n, minimum=2), non_negative("noise", noise), generator("rng", rng)
    y = np.arange(n) % 2
    return shape(y, rng) + noise * rng.normal(size=(n, 2)), y


def _circle(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    r, t = rng.uniform(size=(2, len(y)))
    return _polar(np.where(y == 1, 1.5 * np.sqrt(r), 2 + r), 2 * np.pi * t)


def _xor(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    X = rng.uniform(0.2, 3, size=(len(y), 2))
    sign = rng.choice([-1, 1], size=len(y))
    return X * np.column_stack([sign, np.where(y == 1, -sign, sign)])


def _gaussians(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    center = np.where(y == 1, 1.2, -1.2)[:, None]
    return center + 0.6 * rng.normal(size=(len(y), 2))


def _spiral(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    t = rng.uniform(0.05, 1, size=len(y))
    return _polar(3 * t, 3 * np.pi * t + np.pi * y)


SHAPES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "circle": _circle,
    "xor": _xor,
    "gaussians": _gaussians,
    "spiral": _spiral,
}


def _polar(r: np.ndarray, angle: np.ndarray) -> np.ndarray:
    return np.column_stack([r * np.cos(angle), r * np.sin(angle)])


def _read(file: str) -> tuple[tuple[str, ...], np.ndarray]:
    """The column names and the read-only table of a compressed CSV file."""
    with resources.as_file(resources.files(__name__) / file) as path:
        names = tuple(str(name) for name in np.loadtxt(path, str, delimiter=",", max_rows=1))
        table = np.loadtxt(path, delimiter=",", skiprows=1)
    table.flags.writeable = False
    return names, table


def _classes(table: np.ndarray) -> np.ndarray:
    """The last column as read-only whole numbers."""
    y = table[:, -1].astype(int)
    y.flags.writeable = False
    return y
