"""The models of the chapters in scikit-learn's form: estimators for a `Pipeline`, `cross_val_score` or `GridSearchCV`.

They only validate as scikit-learn does and call the functions of the chapters; this is the one module of mlmath that
needs scikit-learn (`pip install mlmath[estimators]`).

    coef_       (d,) or (k, d)   the weights w, one row for each target or class
    intercept_  a number or (k,) the bias b
    classes_    (k,)             the labels of a classifier; two classes share one row of weights
"""

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from mlmath.arguments import boolean, converted, count, fraction, one_of, positive
from mlmath.convolution import Conv2D, Flatten, MaxPool2D
from mlmath.descent import Adam
from mlmath.logistic import logistic_regression, sigmoid, softmax
from mlmath.network import (
    Dense,
    Dropout,
    Layer,
    Loss,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    softmax_cross_entropy,
    squared_error,
)
from mlmath.regression import least_squares, ridge, with_intercept
from mlmath.training import History, evaluate, train

BLOCK = 1 << 20  # numbers that are looked at, or computed, at a time
FLOATS = [np.float64, np.float32]
STILL_FALLING = 0.01  # of the loss of guessing: a training that gains more in its last tenth has not converged


def _blocks(n: int, numbers: int) -> list[slice]:
    """Cut n rows of so many numbers each into blocks of about BLOCK numbers."""
    rows = max(1, BLOCK // max(numbers, 1))
    return [slice(i, i + rows) for i in range(0, n, rows)]


def _moments(A: np.ndarray, weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each column of A (n, …), in float64; exact for a constant column."""
    share = np.full(len(A), 1 / len(A)) if weight is None else weight / weight.sum()
    columns, blocks = A.reshape(len(A), -1), _blocks(len(A), A[0].size)
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = (extreme(axis=0).astype(float) for extreme in (columns.min, columns.max))
        mean = sum(share[rows] @ columns[rows].astype(float) for rows in blocks)
        mean = np.where(low == high, low, mean)
        unit = np.where(low == high, 1, high - low)  # so that no square overflows or vanishes
        variance = sum(share[rows] @ ((columns[rows] - mean) / unit) ** 2 for rows in blocks)
        return mean.reshape(A.shape[1:]), (unit * np.sqrt(variance)).reshape(A.shape[1:])


def _far(A: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Return the means of the columns that are far from 0 for their spread, and 0 for the others.

    These differences are exact, or nearly: numbers within a factor of 2 lose no digit when they are subtracted.
    """
    mean, spread = _moments(A, weight)
    return np.where(np.abs(mean) > 10 * spread, mean, 0)


def _less(A: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return A − mean in A's type, though the mean is in float64."""
    return np.subtract(A, mean, out=np.empty_like(A), casting="same_kind") if np.any(mean) else A


def _affine(X: np.ndarray, w: np.ndarray, b: Any) -> np.ndarray:
    """Return Xwᵀ + b in X's type, computed in float64: in float32 a large mean would take most of the digits."""
    if X.dtype == float:
        return X @ w.T + b
    parts = [X[rows].astype(float) @ w.T.astype(float) + b for rows in _blocks(len(X), X.shape[1])]
    return np.concatenate(parts).astype(X.dtype)


def _weighing(X: np.ndarray, y: np.ndarray, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the samples whose weight is not 0, and their weights as floats; None if there are none."""
    if sample_weight is None:
        return X, y, None
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weight < 0).any():
        raise ValueError(f"sample_weight must be at least 0, but it holds {weight.min():g}")
    if not weight.any():
        raise ValueError("sample_weight must be greater than 0 for some samples, but all are zero")
    return X[weight > 0], y[weight > 0], weight[weight > 0]


def _distinct(X: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the different samples, in an order of their own, and their weights: equal ones are one that weighs more.

    So a weight of k is the sample k times, to the last bit, also where samples are drawn and units dropped at random.
    The order knows neither the type nor the units: bytes of positive floats are sorted as the numbers are.
    """
    rows = (X + 0).astype(np.result_type(X, np.float16).newbyteorder(">"), order="C")  # −0 + 0 = 0
    rows = rows.view(np.dtype((np.void, rows[0].nbytes))).ravel()
    which = np.unique(rows, return_inverse=True)[1]
    pairs = np.column_stack([which, y.reshape(len(y), -1)])
    _, first, which = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    return X[first], y[first], np.bincount(which.ravel(), weight).astype(float)


class _LinearModel(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """ŷ = Xw + b."""

    fit_intercept: bool

    def predict(self, X: Any) -> np.ndarray:
        """Return ŷ = Xw + b, (n,) or (n, k), for X (n, d)."""
        check_is_fitted(self)
        return _affine(validate_data(self, X, dtype=FLOATS, reset=False), self.coef_, self.intercept_)

    def _validate(self, X: Any, y: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return X, y and the weights without the samples whose weight is 0."""
        boolean("fit_intercept", self.fit_intercept)
        X, y = validate_data(self, X, y, dtype=FLOATS, multi_output=True, y_numeric=True)
        return _weighing(X, converted("y", y, X.dtype), sample_weight)


def _rooted(A: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return √s A for the weights s: squares of its rows are weighted by s."""
    return A if weight is None else (A.T * np.sqrt(weight).astype(A.dtype)).T


class LinearRegression(_LinearModel):
    """Least squares, by `mlmath.regression.least_squares`; the squares are weighted by `sample_weight`.

    With `fit_intercept` the bias is the weight of a column of ones, beside columns from which means that are far from
    0 have been taken. Where a constant or collinear column leaves many equally good fits, `"qr"` and `"normal"` warn
    (`RankWarning`) and, as `"svd"` does, take the one of least ‖w‖. The bias is float64 even for float32.
    """

    def __init__(self, *, solver: str = "qr", fit_intercept: bool = True) -> None:
        self.solver = solver
        self.fit_intercept = fit_intercept

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit w and b to X (n, d) and y (n,) or (n, k), with weights (n,) or all alike."""
        X, y, weight = self._validate(X, y, sample_weight)
        if self.solver != "svd":
            try:
                return self._fit(X, y, weight, self.solver)
            except np.linalg.LinAlgError as error:
                warnings.warn(str(error), np.exceptions.RankWarning, stacklevel=2)
        return self._fit(X, y, weight, "svd")

    def _fit(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray | None, solver: str) -> Self:
        shift, level, b = np.zeros(X.shape[1]), np.zeros(y.shape[1:]), np.zeros(y.shape[1:])
        if self.fit_intercept and solver == "svd":  # a bias that is not part of ‖w‖
            shift, level = _moments(X, weight)[0], _moments(y, weight)[0]
        elif self.fit_intercept:
            shift, level = _far(X, weight), _far(y, weight)
        A, target = _less(X, shift), _less(y, level)
        if self.fit_intercept and solver != "svd":
            A = with_intercept(A)
        w = least_squares(_rooted(A, weight), _rooted(target, weight), solver=solver)
        if len(w) > X.shape[1]:
            b, w = w[0], w[1:]
        self.coef_ = w.T
        self.intercept_ = b + (level - shift @ w)
        return self


class Ridge(_LinearModel):
    """Least squares with the penalty α‖w‖², by `mlmath.regression.ridge`; the squares are weighted by `sample_weight`.

    With `fit_intercept` X and y are centered first, so that the bias is not penalized. The weight of a constant
    column is then 0, and collinear columns share theirs. The bias is float64 even for float32.
    """

    def __init__(self, *, alpha: float = 1.0, fit_intercept: bool = True) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit w and b to X (n, d) and y (n,) or (n, k), with weights (n,) or all alike."""
        X, y, weight = self._validate(X, y, sample_weight)
        x_mean, y_mean = np.zeros(X.shape[1]), np.zeros(y.shape[1:])
        if self.fit_intercept:
            x_mean, y_mean = _moments(X, weight)[0], _moments(y, weight)[0]
        A, target = _rooted(_less(X, x_mean), weight), _rooted(_less(y, y_mean), weight)
        self.coef_ = ridge(A, target, alpha=self.alpha).T
        self.intercept_ = y_mean - x_mean @ self.coef_.T
        return self


class _Classifier(ClassifierMixin, BaseEstimator):
    """Labels of any kind, whose classes may have weights."""

    class_weight: Any

    def _labelled(
        self, X: np.ndarray, y: np.ndarray, sample_weight: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Learn the classes; return X, the numbers 0, …, k−1 of the labels, and the weights, without those that are 0.

        A sample's weight is its own times that of its class; "balanced" makes the classes weigh alike, and the samples
        as much as before.
        """
        check_classification_targets(y)
        X, y, weight = _weighing(X, y, sample_weight)
        self.classes_, labels = np.unique(y, return_inverse=True)
        k = len(self.classes_)
        if k == 1:
            raise ValueError(f"y must hold at least two classes, but it has 1 class: {self.classes_[0]}")
        if self.class_weight is None:
            return X, labels, weight
        if isinstance(self.class_weight, dict):
            labels_of_y = self.classes_.tolist()
            if unknown := set(self.class_weight).difference(labels_of_y):
                raise ValueError(f"class_weight must name labels of y, but {unknown} is not among them")
            of_class = np.array([positive("class_weight", self.class_weight.get(label, 1)) for label in labels_of_y])
        elif isinstance(self.class_weight, str) and self.class_weight == "balanced":
            size = np.bincount(labels, weight)
            of_class = size.sum() / (k * size)
        else:
            raise ValueError(
                f"class_weight must be 'balanced', a dict of weights by label or None, but it is {self.class_weight!r}"
            )
        return X, labels, of_class[labels] * (1 if weight is None else weight)


class LogisticRegression(_Classifier):
    """Logistic and softmax regression with the penalty α/2 ‖w‖², by `mlmath.logistic.logistic_regression`.

    α is 1/C of scikit-learn's model of the same name. `coef_` is (1, d) for two classes and (k, d) for more, and
    `n_iter_` counts the steps. A sample's loss is multiplied by its `sample_weight` and the weight of its class, from
    `class_weight`: "balanced", or a dict of weights by label, 1 for what is not there. Warns with `SeparableWarning` as
    the function does, and with `ConvergenceWarning` if the steps do not suffice. With float32 the probabilities are
    float32, but the bias is float64.
    """

    def __init__(
        self, *, alpha: float = 1.0, solver: str = "newton", steps: int = 1000, class_weight: Any = None
    ) -> None:
        self.alpha = alpha
        self.solver = solver
        self.steps = steps
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit w and b to X (n, d) and the labels y (n,), with weights (n,) or all alike."""
        X, y = validate_data(self, X, y, dtype=FLOATS)
        X, labels, weight = self._labelled(X, y, sample_weight)
        shift = _far(X, weight)
        fit = logistic_regression(
            _less(X, shift), labels, weight=weight, alpha=self.alpha, solver=self.solver, steps=self.steps
        )
        if fit.run.outcome == "step limit":
            warnings.warn(
                f"steps={self.steps} did not suffice for the minimum; allow more, or scale the columns of X",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.coef_ = np.atleast_2d(fit.w.T)
        self.intercept_ = np.atleast_1d(fit.run.w[0]) - self.coef_ @ shift
        self.n_iter_ = fit.run.steps
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits z = Xw + b, (n,) for two classes and (n, k) for more."""
        check_is_fitted(self)
        z = _affine(validate_data(self, X, dtype=FLOATS, reset=False), self.coef_, self.intercept_)
        return z[:, 0] if len(self.classes_) == 2 else z

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (n, k)."""
        z = self.decision_function(X)
        return softmax(z) if z.ndim == 2 else np.column_stack([sigmoid(-z), sigmoid(z)])

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each sample, (n,)."""
        z = self.decision_function(X)
        return self.classes_[z.argmax(axis=1) if z.ndim == 2 else (z > 0).astype(int)]


ACTIVATIONS: dict[str, type[Layer]] = {"relu": ReLU, "tanh": Tanh, "sigmoid": Sigmoid}


class _TrainedNetwork(BaseEstimator):
    """A network that Adam trains on shuffled batches; its `_layers` are another matter."""

    STEPS: int

    alpha: float | None
    rate: float
    epochs: int | None
    batch_size: int
    validation_fraction: float
    patience: int
    verbose: bool
    random_state: Any

    _layers: Callable[[np.ndarray, int, np.random.Generator], list[Layer]]

    def _rows(self, X: Any, *, fitted: bool) -> Any:
        """Return X as the table (n, d) that it is, or holds."""
        return X

    def _measure(self, X: np.ndarray, weight: np.ndarray) -> None:
        """Learn what `_inputs` needs to know of the training set.

        It is each column's mean and its deviation, or a fifth of its range, if more: rare values are not blown up.
        """
        self.mean_, deviation = _moments(X, weight)
        with np.errstate(over="ignore"):
            extent = X.max(axis=0).astype(float) - X.min(axis=0).astype(float)
        self.scale_ = np.maximum(deviation, extent / 5)
        if not np.isfinite(self.scale_).all():
            raise ValueError("X must be of moderate size, but its variance overflows; change the units")
        self.scale_[self.scale_ == 0] = 1

    def _inputs(self, X: np.ndarray) -> np.ndarray:
        """Return what the network is given for X, in its type."""
        inputs = np.subtract(X, self.mean_, out=np.empty(X.shape, self._dtype), casting="same_kind")
        inputs /= self.scale_
        return inputs

    def _train(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray, outputs: int, loss: Loss) -> None:
        boolean("verbose", self.verbose)
        self._dtype = np.dtype(np.float32 if X.dtype == np.float32 else float)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        self.network_ = Sequential(*self._layers(X, outputs, rng))
        held = self._held_out(y, rng)
        validation = None
        if held.any():
            validation, (X, y, weight) = (tuple(a[rows] for a in (X, y, weight)) for rows in (held, ~held))
        self._measure(X, weight)
        batches = math.ceil(len(X) / count("batch_size", self.batch_size))
        self.history_ = train(
            self.network_,
            self._inputs(X),
            y,
            loss,
            Adam(positive("rate", self.rate)),
            epochs=math.ceil(self.STEPS / batches) if self.epochs is None else self.epochs,
            batch_size=self.batch_size,
            weight=weight,
            validation=validation and (self._inputs(validation[0]), *validation[1:]),
            patience=count("patience", self.patience) if validation else None,
            alpha=1 / weight.sum() if self.alpha is None else self.alpha,
            progress=self.verbose,
            rng=rng,
        )
        self.n_iter_ = self.history_.epochs
        self._warn_unless_converged(self.history_, outputs)

    def _held_out(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Choose the validation set, the same share of every class, and of small and large targets: True where held."""
        share = fraction("validation_fraction", self.validation_fraction)
        held = np.zeros(len(y), bool)
        order = np.lexsort((rng.random(len(y)), y.reshape(len(y), -1)[:, 0]))
        held[order] = np.diff(np.floor(np.arange(len(y) + 1) * share))
        if share > 0 and not held.any():
            raise ValueError(
                f"validation_fraction must leave some samples to hold out, but it is {share} of {len(y)} different ones"
            )
        return held

    def _warn_unless_converged(self, history: History, outputs: int) -> None:
        """Warn if the training stopped at its limit, and its loss had still fallen in the last tenth of the epochs."""
        losses = history.validation_losses if len(history.validation_losses) else history.losses
        last = max(1, len(losses) // 10)
        before = losses[-2 * last : -last].mean() if len(losses) > 1 else math.inf
        chance = math.log(outputs) if isinstance(self, ClassifierMixin) else outputs / 2
        if history.outcome == "epoch limit" and before - losses[-last:].mean() > STILL_FALLING * chance:
            warnings.warn(
                f"epochs={history.epochs} did not suffice: the loss was still falling; allow more, or a larger rate",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, self._rows(X, fitted=True), dtype="numeric", reset=False)
        blocks = _blocks(len(X), self._numbers())
        return np.concatenate([evaluate(self.network_, self._inputs(X[rows])) for rows in blocks])

    def _numbers(self) -> int:
        """Return how many numbers the largest layer makes of a sample."""
        return max(self.n_features_in_, *(w.shape[-1] for w in self.network_.parameters.values()))


class _SoftmaxClassifier(_Classifier, _TrainedNetwork):
    """A network with a logit for each class."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a network on X (n, d) and the labels y (n,), with weights (n,) or all alike."""
        X, y = validate_data(self, self._rows(X, fitted=False), y, dtype="numeric")
        X, labels, weight = _distinct(*self._labelled(X, y, sample_weight))
        self._train(X, labels, weight, len(self.classes_), softmax_cross_entropy)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (n, k)."""
        return softmax(self._outputs(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each sample, (n,)."""
        outputs = self._outputs(X)
        return self.classes_[outputs.argmax(axis=1)]


class _MultilayerPerceptron(_TrainedNetwork):
    """Dense layers with an activation between them."""

    STEPS = 3000

    hidden: tuple[int, ...]
    activation: str

    def _layers(self, X: np.ndarray, outputs: int, rng: np.random.Generator) -> list[Layer]:
        if not isinstance(self.hidden, tuple | list):
            raise TypeError(f"hidden must be a tuple of layer sizes such as (100,), but it is {self.hidden!r}")
        activation = ACTIVATIONS[one_of("activation", self.activation, ACTIVATIONS)]
        initialization = "he" if activation is ReLU else "xavier"
        layers: list[Layer] = []
        d = X.shape[1]
        for size in (count("hidden", size) for size in self.hidden):
            layers += [Dense(d, size, rng=rng, initialization=initialization, dtype=self._dtype), activation()]
            d = size
        return [*layers, Dense(d, outputs, rng=rng, initialization="xavier", dtype=self._dtype)]


class MLPClassifier(_SoftmaxClassifier, _MultilayerPerceptron):
    """A network with a softmax at its end, by `mlmath.network` and `mlmath.training`.

    `hidden` holds the sizes of the hidden layers, `activation` is "relu", "tanh" or "sigmoid", and the objective is the
    mean cross-entropy + α/2 Σ W², where α is 1/n unless it is given: for the sum of the losses that is a penalty of
    ½ Σ W², the same as `LogisticRegression`'s. (scikit-learn's α is divided by the batch size.) `network_` is the
    trained network, `history_` the record of its training. float32 stays float32. The columns of X are centered and
    scaled inside.

    Without `epochs` there are as many as make 3000 steps. If the mean loss still fell in the last tenth of the epochs,
    by more than a hundredth of what guessing costs, log k, the training has not converged, and `ConvergenceWarning`
    says so, for a number of epochs that was asked for, too. With `validation_fraction` such a share of the samples, the
    same of every class, is held out: training ends when the loss on them has not fallen for `patience` epochs, and goes
    back to the best epoch. `verbose` shows a bar.

    A sample's loss is multiplied by its `sample_weight` and by the weight of its class, from `class_weight`:
    "balanced", or a dict of weights by label, 1 for what is not there. Equal samples are made one that weighs more,
    and it does not matter in which order the samples are given.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (100,),
        *,
        activation: str = "relu",
        alpha: float | None = None,
        rate: float = 1e-3,
        epochs: int | None = None,
        batch_size: int = 32,
        validation_fraction: float = 0.0,
        patience: int = 10,
        verbose: bool = False,
        class_weight: Any = None,
        random_state: Any = None,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.alpha = alpha
        self.rate = rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.verbose = verbose
        self.class_weight = class_weight
        self.random_state = random_state


class MLPRegressor(MultiOutputMixin, RegressorMixin, _MultilayerPerceptron):
    """A network whose outputs are the predictions, by `mlmath.network` and `mlmath.training`.

    As `MLPClassifier`, with the mean of ½‖ŷ − y‖² as the loss, which for guessing is k/2. The network learns the
    targets with mean 0 and variance 1, so that rate and α need not know their units; `predict` returns theirs.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (100,),
        *,
        activation: str = "relu",
        alpha: float | None = None,
        rate: float = 1e-3,
        epochs: int | None = None,
        batch_size: int = 32,
        validation_fraction: float = 0.0,
        patience: int = 10,
        verbose: bool = False,
        random_state: Any = None,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.alpha = alpha
        self.rate = rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a network on X (n, d) and the targets y (n,) or (n, k), with weights (n,) or all alike."""
        X, y = validate_data(self, X, y, dtype=FLOATS, multi_output=True, y_numeric=True)
        X, y, weight = _distinct(*_weighing(X, converted("y", y, X.dtype), sample_weight))
        self.target_mean_, self.target_scale_ = _moments(y, weight)
        if not np.isfinite(self.target_scale_).all():
            raise ValueError("y must be of moderate size, but its variance overflows; change the units")
        scale = np.where(self.target_scale_ > 0, self.target_scale_, 1)
        self._train(X, (y - self.target_mean_) / scale, weight, y[0].size, squared_error)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions, (n,) or (n, k)."""
        outputs = self._outputs(X)
        outputs = outputs.reshape(len(outputs), *self.target_mean_.shape)
        return (outputs * self.target_scale_ + self.target_mean_).astype(self._dtype)


class ConvNetClassifier(_SoftmaxClassifier):
    """The network of chapter 5, by `mlmath.convolution`, `mlmath.network` and `mlmath.training`.

    For each of `channels` a convolution with kernels 3 × 3 and a ReLU, and between two of them maximum pooling 2 × 2;
    then dropout, a dense layer and the softmax. X holds images, (n, height, width) or (n, height, width, channels), or
    a row (n, d) for each of them, pixel after pixel, of `image_shape` (height, width) or (height, width, channels).
    Without it d must be a square, of a gray square image, or less than 64, a line. Each channel is centered and scaled
    by the level and the contrast of the usual image, and pixels ten times farther out than its farthest are clipped.
    `predict` takes as many images at a time as a few dozen megabytes hold. `network_` is the trained network,
    `history_` the record of its training. float32 stays float32, and is twice as fast. What is not said here is as for
    `MLPClassifier`; without `epochs` there are as many as make 1500 steps.
    """

    STEPS = 1500

    def __init__(
        self,
        channels: tuple[int, ...] = (16, 32),
        *,
        image_shape: tuple[int, ...] | None = None,
        drop: float = 0.5,
        alpha: float | None = 0.0,
        rate: float = 0.003,
        epochs: int | None = None,
        batch_size: int = 32,
        validation_fraction: float = 0.0,
        patience: int = 10,
        verbose: bool = False,
        class_weight: Any = None,
        random_state: Any = None,
    ) -> None:
        self.channels = channels
        self.image_shape = image_shape
        self.drop = drop
        self.alpha = alpha
        self.rate = rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.verbose = verbose
        self.class_weight = class_weight
        self.random_state = random_state

    def _layers(self, X: np.ndarray, outputs: int, rng: np.random.Generator) -> list[Layer]:
        if not isinstance(self.channels, tuple | list):
            raise TypeError(
                f"channels must be a tuple of numbers of channels such as (16, 32), but it is {self.channels!r}"
            )
        height, width, c_in = self.image_shape_ = self._image_shape(X.shape[1])
        layers: list[Layer] = []
        for i, c_out in enumerate(count("channels", c) for c in self.channels):
            if i > 0:
                pool = min(2, height), min(2, width)
                layers.append(MaxPool2D(pool))
                height, width = height // pool[0], width // pool[1]
            kernel = min(3, 2 * height - 1), min(3, 2 * width - 1)
            padding = kernel[0] // 2, kernel[1] // 2
            layers += [Conv2D(c_in, c_out, kernel, padding=padding, rng=rng, dtype=self._dtype), ReLU()]
            c_in = c_out
        dense = Dense(height * width * c_in, outputs, rng=rng, initialization="xavier", dtype=self._dtype)
        return [*layers, Flatten(), Dropout(self.drop), dense]

    def _numbers(self) -> int:
        height, width, c_in = self.image_shape_
        return height * width * max(c_in, *self.channels) if self.channels else super()._numbers()

    def _rows(self, X: Any, *, fitted: bool) -> Any:
        if (X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim) not in (3, 4):
            if not fitted:
                self._images_shape = None
            return X
        X = np.asarray(X)
        shape = (*X.shape[1:], 1)[:3]
        expected = self.image_shape_ if fitted else self.image_shape and (*self.image_shape, 1)[:3]
        if expected:
            if shape != tuple(expected):
                raise ValueError(f"X must hold images of shape {tuple(expected)}, but its shape is {X.shape}")
        elif X.ndim == 4 and shape[0] in (1, 3, 4) and shape[2] > 4:
            raise ValueError(
                f"X must hold images (n, height, width, channels), but its shape {X.shape} looks like channels first: "
                "use np.moveaxis(X, 1, -1), or say image_shape if this is what you mean"
            )
        if not fitted:
            self._images_shape = shape
        return X.reshape(len(X), math.prod(shape))

    def _image_shape(self, d: int) -> tuple[int, int, int]:
        if self._images_shape is not None:
            return self._images_shape
        if self.image_shape is None:
            side = math.isqrt(d)
            if side**2 != d and (d >= 64 or (d > 3 and d % 3 == 0 and math.isqrt(d // 3) ** 2 == d // 3)):
                raise ValueError(
                    f"image_shape must be given for rows of {d} numbers, which are no square of gray pixels: "
                    f"(height, width, 3) for colors, (1, {d}) for a line"
                )
            return (side, side, 1) if side**2 == d else (1, d, 1)
        if not isinstance(self.image_shape, tuple | list):
            raise TypeError(f"image_shape must be a tuple such as (8, 8), but it is {self.image_shape!r}")
        shape = tuple(count("image_shape", size) for size in self.image_shape)
        if len(shape) not in (2, 3) or math.prod(shape) != d:
            raise ValueError(
                f"image_shape must be a (height, width) or (height, width, channels) of {d} pixels, "
                f"but it is {self.image_shape}"
            )
        height, width, channels = (*shape, 1)[:3]
        return height, width, channels

    def _measure(self, X: np.ndarray, weight: np.ndarray) -> None:
        """Learn the level and the contrast of the usual image in each channel: a single strange one changes neither."""
        images = X.reshape(len(X), -1, self.image_shape_[2])
        blocks = _blocks(len(X), X.shape[1])
        median = partial(np.quantile, q=0.5, axis=0, weights=weight, method="inverted_cdf")
        self.mean_ = median(np.concatenate([images[rows].mean(axis=1, dtype=float) for rows in blocks]))
        contrast, farthest = np.empty((2, len(X), images.shape[2]))
        for rows in blocks:
            off = np.abs(images[rows] - self.mean_)
            farthest[rows] = off.max(axis=1)
            unit = np.where(farthest[rows] > 0, farthest[rows], 1)  # so that no square overflows or vanishes
            contrast[rows] = unit * np.sqrt(((off / unit[:, np.newaxis]) ** 2).mean(axis=1))
        self.scale_ = median(contrast)
        self.scale_ = np.where(self.scale_ > 0, self.scale_, np.average(contrast, axis=0, weights=weight))
        self.scale_ = np.where(self.scale_ > 0, self.scale_, 1)
        usual = median(farthest)
        self.farthest_ = np.where(usual > 0, 10 * usual, farthest.max(axis=0)) / self.scale_

    def _inputs(self, X: np.ndarray) -> np.ndarray:
        images = X.reshape(len(X), *self.image_shape_)
        images = np.subtract(images, self.mean_, out=np.empty(images.shape, self._dtype), casting="same_kind")
        images /= self.scale_
        return np.clip(images, -self.farthest_, self.farthest_, out=images, casting="same_kind")
