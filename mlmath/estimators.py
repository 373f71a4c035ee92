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
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from mlmath.arguments import boolean, converted, count, one_of, positive
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
from mlmath.training import evaluate, train


class _LinearModel(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """ŷ = Xw + b."""

    fit_intercept: bool

    def predict(self, X: Any) -> np.ndarray:
        """Return ŷ = Xw + b, (n,) or (n, k), for X (n, d)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return X @ self.coef_.T + self.intercept_

    def _validate(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        boolean("fit_intercept", self.fit_intercept)
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], multi_output=True, y_numeric=True)
        return X, converted("y", y, X.dtype)


class LinearRegression(_LinearModel):
    """Least squares, by `mlmath.regression.least_squares`.

    With `fit_intercept` the bias is the weight of a column of ones. Where a constant or collinear column leaves many
    equally good fits, `"qr"` and `"normal"` warn (`RankWarning`) and, as `"svd"` does, take the one of least ‖(b, w)‖.
    """

    def __init__(self, *, solver: str = "qr", fit_intercept: bool = True) -> None:
        self.solver = solver
        self.fit_intercept = fit_intercept

    def fit(self, X: Any, y: Any) -> Self:
        """Fit w and b to X (n, d) and y (n,) or (n, k)."""
        X, y = self._validate(X, y)
        A = with_intercept(X) if self.fit_intercept else X
        try:
            w = least_squares(A, y, solver=self.solver)
        except np.linalg.LinAlgError as error:
            warnings.warn(str(error), np.exceptions.RankWarning, stacklevel=2)
            w = least_squares(A, y, solver="svd")
        self.coef_ = w[-X.shape[1] :].T
        self.intercept_ = w[0] if self.fit_intercept else np.zeros_like(w[0])
        return self


class Ridge(_LinearModel):
    """Least squares with the penalty α‖w‖², by `mlmath.regression.ridge`.

    With `fit_intercept` X and y are centered first, so that the bias is not penalized. The weight of a constant
    column is then 0, and collinear columns share theirs.
    """

    def __init__(self, *, alpha: float = 1.0, fit_intercept: bool = True) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept

    def fit(self, X: Any, y: Any) -> Self:
        """Fit w and b to X (n, d) and y (n,) or (n, k)."""
        X, y = self._validate(X, y)
        x_mean, y_mean = X.mean(axis=0), y.mean(axis=0)
        if not self.fit_intercept:
            x_mean, y_mean = np.zeros_like(x_mean), np.zeros_like(y_mean)
        self.coef_ = ridge(X - x_mean, y - y_mean, alpha=self.alpha).T
        self.intercept_ = y_mean - x_mean @ self.coef_.T
        return self


class LogisticRegression(ClassifierMixin, BaseEstimator):
    """Logistic and softmax regression with the penalty α/2 ‖w‖², by `mlmath.logistic.logistic_regression`.

    α is 1/C of scikit-learn's model of the same name. `coef_` is (1, d) for two classes and (k, d) for more, and
    `n_iter_` counts the steps. Warns with `SeparableWarning` as the function does, and with `ConvergenceWarning` if
    the steps do not suffice. With float32 the probabilities are float32.
    """

    def __init__(self, *, alpha: float = 1.0, solver: str = "newton", steps: int = 1000) -> None:
        self.alpha = alpha
        self.solver = solver
        self.steps = steps

    def fit(self, X: Any, y: Any) -> Self:
        """Fit w and b to X (n, d) and the labels y (n,)."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError(f"y must hold at least two classes, but it has 1 class: {self.classes_[0]}")
        fit = logistic_regression(X, labels, alpha=self.alpha, solver=self.solver, steps=self.steps)
        if fit.run.outcome == "step limit":
            warnings.warn(
                f"steps={self.steps} did not suffice for the minimum; allow more, or scale the columns of X",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.coef_, self.intercept_ = np.atleast_2d(fit.w.T), np.atleast_1d(fit.b)
        self.n_iter_ = fit.run.steps
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logits z = Xw + b, (n,) for two classes and (n, k) for more."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        z = X @ self.coef_.T + self.intercept_
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

    alpha: float
    rate: float
    epochs: int
    batch_size: int
    random_state: Any

    _layers: Callable[[np.ndarray, int, np.random.Generator], list[Layer]]

    def _inputs(self, X: np.ndarray) -> np.ndarray:
        return X

    def _train(self, X: np.ndarray, y: np.ndarray, outputs: int, loss: Loss) -> None:
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        self.network_ = Sequential(*self._layers(X, outputs, rng))
        self.history_ = train(
            self.network_,
            self._inputs(X),
            y,
            loss,
            Adam(positive("rate", self.rate)),
            epochs=self.epochs,
            batch_size=self.batch_size,
            alpha=self.alpha,
            rng=rng,
        )

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return evaluate(self.network_, self._inputs(X))


class _SoftmaxClassifier(ClassifierMixin, _TrainedNetwork):
    """A network with a logit for each class."""

    def fit(self, X: Any, y: Any) -> Self:
        """Train a network on X (n, d) and the labels y (n,)."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError(f"y must hold at least two classes, but it has 1 class: {self.classes_[0]}")
        self._train(X, labels, len(self.classes_), softmax_cross_entropy)
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

    def __init__(
        self,
        hidden: tuple[int, ...] = (100,),
        *,
        activation: str = "relu",
        alpha: float = 1e-4,
        rate: float = 1e-3,
        epochs: int = 200,
        batch_size: int = 32,
        random_state: Any = None,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.alpha = alpha
        self.rate = rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state

    def _layers(self, X: np.ndarray, outputs: int, rng: np.random.Generator) -> list[Layer]:
        if not isinstance(self.hidden, tuple | list):
            raise TypeError(f"hidden must be a tuple of layer sizes such as (100,), but it is {self.hidden!r}")
        activation = ACTIVATIONS[one_of("activation", self.activation, ACTIVATIONS)]
        initialization = "he" if activation is ReLU else "xavier"
        layers: list[Layer] = []
        d = X.shape[1]
        for size in (count("hidden", size) for size in self.hidden):
            layers += [Dense(d, size, rng=rng, initialization=initialization, dtype=X.dtype), activation()]
            d = size
        return [*layers, Dense(d, outputs, rng=rng, initialization="xavier", dtype=X.dtype)]


class MLPClassifier(_SoftmaxClassifier, _MultilayerPerceptron):
    """A network with a softmax at its end, by `mlmath.network` and `mlmath.training`.

    `hidden` holds the sizes of the hidden layers, `activation` is "relu", "tanh" or "sigmoid", and the objective is the
    mean cross-entropy + α/2 Σ W². (scikit-learn's α is divided by the batch size.) `network_` is the trained network,
    `history_` the record of its training. float32 stays float32. Columns of X should be of similar size.
    """


class MLPRegressor(MultiOutputMixin, RegressorMixin, _MultilayerPerceptron):
    """A network whose outputs are the predictions, by `mlmath.network` and `mlmath.training`.

    As `MLPClassifier`, with the mean of ½‖ŷ − y‖² as the loss. The network learns the targets with mean 0 and variance
    1, so that rate and α need not know their units; `predict` returns theirs.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train a network on X (n, d) and the targets y (n,) or (n, k)."""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], multi_output=True, y_numeric=True)
        y = converted("y", y, X.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            self.target_mean_, scale = y.mean(axis=0), y.std(axis=0)
        if not np.isfinite(scale).all():
            raise ValueError("y must be of moderate size, but its variance overflows; change the units")
        self.target_scale_ = np.where(scale > 0, scale, 1).astype(X.dtype)
        self._train(X, (y - self.target_mean_) / self.target_scale_, y[0].size, squared_error)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions, (n,) or (n, k)."""
        outputs = self._outputs(X)
        return outputs.reshape(len(outputs), *self.target_mean_.shape) * self.target_scale_ + self.target_mean_


class ConvNetClassifier(_SoftmaxClassifier):
    """The network of chapter 5, by `mlmath.convolution`, `mlmath.network` and `mlmath.training`.

    For each of `channels` a convolution with kernels 3 × 3 and a ReLU, and between two of them maximum pooling 2 × 2;
    then dropout, a dense layer and the softmax. A row of X (n, d) is an image, row by row, of `image_shape` (height,
    width) or (height, width, channels); if that is None, a square one, or where d is no square, one of a single row.
    Pixels are divided by the largest in the training set. `network_` is the trained network, `history_` the record of
    its training. float32 stays float32, and is twice as fast.
    """

    def __init__(
        self,
        channels: tuple[int, ...] = (16, 32),
        *,
        image_shape: tuple[int, ...] | None = None,
        drop: float = 0.5,
        alpha: float = 0.0,
        rate: float = 0.003,
        epochs: int = 30,
        batch_size: int = 32,
        random_state: Any = None,
    ) -> None:
        self.channels = channels
        self.image_shape = image_shape
        self.drop = drop
        self.alpha = alpha
        self.rate = rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state

    def _layers(self, X: np.ndarray, outputs: int, rng: np.random.Generator) -> list[Layer]:
        if not isinstance(self.channels, tuple | list):
            raise TypeError(
                f"channels must be a tuple of numbers of channels such as (16, 32), but it is {self.channels!r}"
            )
        height, width, c_in = self.image_shape_ = self._image_shape(X.shape[1])
        self.scale_ = float(np.abs(X).max()) or 1.0
        layers: list[Layer] = []
        for i, c_out in enumerate(count("channels", c) for c in self.channels):
            if i > 0:
                pool = min(2, height), min(2, width)
                layers.append(MaxPool2D(pool))
                height, width = height // pool[0], width // pool[1]
            kernel = min(3, 2 * height - 1), min(3, 2 * width - 1)
            padding = kernel[0] // 2, kernel[1] // 2
            layers += [Conv2D(c_in, c_out, kernel, padding=padding, rng=rng, dtype=X.dtype), ReLU()]
            c_in = c_out
        dense = Dense(height * width * c_in, outputs, rng=rng, initialization="xavier", dtype=X.dtype)
        return [*layers, Flatten(), Dropout(self.drop), dense]

    def _image_shape(self, d: int) -> tuple[int, int, int]:
        if self.image_shape is None:
            side = math.isqrt(d)
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

    def _inputs(self, X: np.ndarray) -> np.ndarray:
        return (X / self.scale_).reshape(len(X), *self.image_shape_)
