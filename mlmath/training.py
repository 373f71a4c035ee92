"""Chapter 4, training a network: chapter 2's optimizers on small batches, with a record of the run.

w           all parameters of the network in one vector, of which the layers' arrays are views: a step of an
            optimizer is then a few operations on one vector, whatever the network looks like
g           the gradient, in the same order
α           `alpha`, the weight decay: the penalty is α/2 times the sum of squares of all weight matrices
"""

import copy
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mlmath.arguments import array, converted, count, function, generator, non_negative, real_array, same_length
from mlmath.cores import one_blas_thread
from mlmath.descent import Optimizer, batches
from mlmath.network import Layer, Loss, layer_like, logistic_loss, softmax_cross_entropy, squared_error
from mlmath.progress import Progress

Samples = tuple[np.ndarray, ...]  # X and y, and where samples differ in it their weight, of mean 1
Outcome = Literal["epoch limit", "early stopping", "diverged"]
FAR = 3  # times the loss of a constant answer: a training that ends above this has failed


@dataclass(frozen=True, eq=False)
class History:
    """The record of a training, all of it finite; epoch k is entry k − 1.

    losses                 (epochs,), the mean loss over the samples of the epoch, without the penalty, each measured in
                           training, just before the step that its batch led to
    accuracies             (epochs,), the share of samples whose class was right, likewise; empty without classes
    validation_losses      (epochs,), the loss over the validation set after the epoch; empty without such a set
    validation_accuracies  (epochs,), likewise; empty without classes
    best                   the epoch of the least validation loss, of the least loss without such a set; 0 before any
    steps                  the number of steps taken
    outcome                "epoch limit", "early stopping" or "diverged"
    """

    losses: np.ndarray
    accuracies: np.ndarray
    validation_losses: np.ndarray
    validation_accuracies: np.ndarray
    best: int
    steps: int
    outcome: Outcome

    @property
    def epochs(self) -> int:
        """The number of epochs that were completed."""
        return len(self.losses)

    def __repr__(self) -> str:
        return f"History({self.outcome!r}, epochs={self.epochs}, best={self.best}: {self.last})"

    @property
    def last(self) -> str:
        """What was measured in the last epoch, in words."""
        columns = {name: getattr(self, field) for name, field in FIELDS.items()}
        return _text({name: values[-1] for name, values in columns.items() if len(values)}) or "nothing measured"


FIELDS = {
    "loss": "losses",
    "accuracy": "accuracies",
    "validation loss": "validation_losses",
    "validation accuracy": "validation_accuracies",
}


def _text(measured: dict[str, float]) -> str:
    """What was measured, in words."""
    return ", ".join(f"{name} {value:.3g}" for name, value in measured.items())


def accuracy(outputs: np.ndarray, y: np.ndarray) -> float:
    """Return the share of the samples whose class is right.

    The outputs are logits: with (n, c) the class is the largest of c, with (n,) or (n, 1) it is 1 where z > 0.
    """
    outputs, y = array("outputs", outputs), array("y", y)
    if y.dtype.kind not in "buif" or not outputs.ndim or y.shape not in (outputs.shape, outputs.shape[:-1]):
        raise ValueError(f"y must hold a class for each output, but {y.dtype} {y.shape} is for {outputs.shape}")
    binary = outputs.shape in (y.shape, (*y.shape, 1))
    predicted = outputs.reshape(y.shape) > 0 if binary else outputs.argmax(axis=-1)
    return float((predicted == y).mean())


@one_blas_thread()
def evaluate(network: Layer, X: Any, *, batch_size: int = 1000) -> np.ndarray:
    """Return the outputs for X (n, ...) of the network in use, computed `batch_size` rows at a time.

    X is converted to the type of the network's parameters.
    """
    X, batch_size = real_array("X", X), count("batch_size", batch_size)
    if X.ndim == 0:
        raise ValueError(f"X must have one entry for each sample, but it is {X}")
    X = converted("X", X, next((w.dtype for w in layer_like("network", network).parameters.values()), X.dtype))
    return np.concatenate([network.forward(X[i : i + batch_size])[0] for i in range(0, len(X), batch_size)])


def train(
    network: Layer,
    X: Any,
    y: Any,
    loss: Loss,
    optimizer: Optimizer,
    *,
    epochs: int,
    batch_size: int,
    rng: np.random.Generator,
    weight: Any = None,
    validation: tuple | None = None,
    alpha: float = 0.0,
    patience: int | None = None,
    progress: bool = False,
    after_epoch: Callable[[int], None] | None = None,
) -> History:
    """Train the network in place by the optimizer's steps on batches dealt anew in each epoch, and return the record.

    X has shape (n, ...), y holds classes (whole numbers; their accuracy is recorded, unless the loss is
    `squared_error`) or targets; X and targets are converted to the type of the parameters. The objective is the loss
    plus α/2 · Σ W² over all parameters of two or more axes. With `weight` (n,) the loss is the weighted mean over the
    samples: its slopes on a batch are right on average. With `patience` training stops once the loss over
    `validation`, a pair (X, y) or (X, y, weight), has not fallen for so many epochs, and the network goes back to its
    best epoch. `after_epoch(k)` is called after epoch k; `progress` shows a bar.

    A loss that is no longer finite ends the run as "diverged": a `RuntimeWarning` names the step, and the network goes
    back to the last weights at which it was finite. If there are none, at the first step, ValueError is raised.
    A `RuntimeWarning`, too, says when the last loss is more than three times that of the best constant answer.
    """
    epochs, batch_size = count("epochs", epochs), count("batch_size", batch_size)
    if patience is not None:
        patience = count("patience", patience)
        if validation is None:
            raise ValueError("patience needs a validation set to watch, but validation is None")
    if after_epoch is not None:
        function("after_epoch", after_epoch)
    run = _Run(network, loss, optimizer, non_negative("alpha", alpha), generator("rng", rng))
    samples = run.samples(X, y, weight)
    if validation is not None:
        if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
            raise TypeError(f"validation must be a pair (X, y) or (X, y, weight), but it is {validation!r}")
        validation = run.samples(*validation, which="validation ")
    _require_batches(network, samples[0], batch_size, rng)
    bar = Progress(epochs * math.ceil(len(samples[0]) / batch_size)) if progress else None
    # Large arrays come and go in every step. Once it has seen a block of 32 MB freed, Linux's allocator keeps such
    # memory for the next step instead of giving it back and having it cleared anew: Adam is five times as quick then.
    np.empty(2**25 - 2**16, np.uint8)

    outcome: Outcome = "epoch limit"
    for epoch in range(1, epochs + 1):
        try:
            for so_far in run.epoch(samples, batch_size):
                if bar and bar.due():
                    bar.draw(run.steps, f"epoch {epoch} of {epochs}: {_text(so_far)}")
            run.record(so_far, validation)
        except _NotFiniteError as error:
            outcome = "diverged"
            message = f"the loss is no longer finite {error} (epoch {epoch}) with {optimizer}: try a smaller rate"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
            break
        if after_epoch is not None:
            after_epoch(epoch)
        if patience is not None and epoch - run.best >= patience:
            outcome = "early stopping"
            break
    if patience is not None:
        run.values[:] = run.best_values
    history = run.history(outcome)
    if bar:
        bar.close(f"{outcome} after {history.epochs} epochs: {history.last}")
    chance = _chance(loss, *samples[1:])
    if outcome != "diverged" and chance is not None and history.losses[-1] > FAR * chance:
        warnings.warn(
            f"the training ended at a loss of {history.losses[-1]:.3g}, far above the {chance:.3g} of a constant "
            "answer: scale X and y, or try a smaller rate or more epochs",
            RuntimeWarning,
            stacklevel=2,
        )
    return history


def _chance(loss: Loss, y: np.ndarray, weight: np.ndarray | None = None) -> float | None:
    """Return the loss of the best answer that is the same for all samples; None if the loss is not one of chapter 4's.

    Where there is but one class or target, the best is 0, and nothing can be said.
    """
    rows = y.reshape(len(y), -1)
    share = np.ones(len(y)) if weight is None else weight
    if loss is squared_error:
        with np.errstate(all="ignore"):
            mean = share @ rows / len(rows)
            best = float((share @ (rows - mean) ** 2).sum()) / (2 * len(rows))
    elif loss in (softmax_cross_entropy, logistic_loss):
        which = np.unique(rows, return_inverse=True)[1].ravel()
        of_class = np.bincount(which, np.repeat(share, rows.shape[1])) / rows.size
        best = -sum(p * math.log(p) for p in of_class if p > 0)
    else:
        return None
    return best if 1e-12 < best < math.inf else None


def _require_batches(network: Layer, X: np.ndarray, batch_size: int, rng: np.random.Generator) -> None:
    """Raise ValueError if the last batch is a single sample that batch normalization cannot take."""
    if (len(X) - 1) % batch_size > 0:
        return
    try:
        copy.deepcopy(network).forward(X[:1], copy.deepcopy(rng))
    except ValueError as error:
        if "BatchNorm needs" not in str(error):
            raise
        raise ValueError(
            f"batch_size must leave no batch of a single sample for BatchNorm, but with {len(X)} samples "
            f"batch_size={batch_size} does: choose another"
        ) from None


class _NotFiniteError(ArithmeticError):
    """The loss is no longer finite."""


class _Run:
    """A network whose arrays have moved into one vector, and what it takes to train it."""

    def __init__(
        self, network: Layer, loss: Loss, optimizer: Optimizer, alpha: float, rng: np.random.Generator
    ) -> None:
        layer_like("network", network), function("loss", loss)
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be an Optimizer such as Adam(0.001), but it is {optimizer!r}")
        self.network, self.loss, self.optimizer, self.alpha, self.rng = network, loss, optimizer, alpha, rng
        # Matrices come first, so that what decays is one slice.
        parameters = dict(sorted(network.parameters.items(), key=lambda item: item[1].ndim < 2))
        statistics = network.statistics
        arrays = [*parameters.values(), *statistics.values()]
        if len({a.dtype for a in arrays}) != 1 or not parameters:
            raise ValueError(
                "network must have parameters, all of one type, "
                f"but it has {', '.join(f'{name} of {w.dtype}' for name, w in parameters.items()) or 'none'}"
            )
        self.values = np.concatenate([a.ravel() for a in arrays])
        ends = np.cumsum([a.size for a in arrays])
        views = [part.reshape(a.shape) for part, a in zip(np.split(self.values, ends[:-1]), arrays, strict=True)]
        network.parameters = dict(zip(parameters, views, strict=False))
        network.statistics = dict(zip(statistics, views[len(parameters) :], strict=True))
        self.names = list(parameters)
        self.w = self.values[: ends[len(parameters) - 1]]
        self.g = np.empty_like(self.w)
        self.decayed = slice(sum(w.size for w in parameters.values() if w.ndim > 1))
        self.finite, self.best_values = self.values.copy(), self.values.copy()
        self.state = optimizer.start(self.w)
        self.steps = self.best = 0
        self.least = math.inf
        self.rows: list[dict[str, float]] = []

    def samples(self, X: Any, y: Any, weight: Any = None, *, which: str = "") -> Samples:
        """Return X as floats of the network's type, y likewise unless it holds whole numbers; the weights, if any."""
        X, y = converted(f"{which}X", real_array(f"{which}X", X), self.w.dtype), array(f"{which}y", y)
        if y.dtype.kind in "biu":
            y = y.astype(int, copy=False)
        else:
            y = converted(f"{which}y", real_array(f"{which}y", y), self.w.dtype)
        same_length(f"{which}X", X, f"{which}y", y)
        if weight is None:
            return X, y
        weight = real_array(f"{which}weight", weight, ndim=1)
        same_length(f"{which}X", X, f"{which}weight", weight)
        if weight.min() < 0 or weight.max() == 0:
            raise ValueError(f"{which}weight must be at least 0, and not 0 for all samples")
        return X, y, weight / weight.mean()

    def epoch(self, samples: Samples, batch_size: int) -> Iterator[dict[str, float]]:
        """Take a step on each batch, and give what was measured in the epoch so far."""
        mean: dict[str, float] = defaultdict(float)
        seen = 0
        for rows in batches(len(samples[0]), batch_size=batch_size, rng=self.rng):
            seen += len(rows)
            for name, value in self.step(*(a.take(rows, axis=0) for a in samples)).items():
                mean[name] += (value - mean[name]) * len(rows) / seen
            yield mean

    @one_blas_thread()
    @np.errstate(all="ignore")  # overflow is how a training diverges: no reason for a warning of its own
    def step(self, X: np.ndarray, *targets: np.ndarray) -> dict[str, float]:
        """Take a step on one batch, and give what was measured before it."""
        outputs, pullback = self.network.forward(X, self.rng)
        value, dy = self.loss(outputs, *targets)
        self.require_finite(value, f"at step {self.steps + 1}")
        self.finite[:] = self.values
        gradients = pullback(dy, to_input=False)[1]
        np.concatenate([gradients[name].ravel() for name in self.names], out=self.g)
        if self.alpha > 0:
            self.g[self.decayed] += self.alpha * self.w[self.decayed]
        self.optimizer.step(self.w, self.g, self.state)
        self.steps += 1
        return self.measured(value, outputs, targets[0])

    def measured(self, value: float, outputs: np.ndarray, y: np.ndarray) -> dict[str, float]:
        """The loss, and the accuracy where y holds classes."""
        classes = y.dtype.kind == "i" and self.loss is not squared_error
        return {"loss": value} | ({"accuracy": accuracy(outputs, y)} if classes else {})

    @np.errstate(all="ignore")
    def record(self, measured: dict[str, float], validation: Samples | None) -> None:
        """Keep what was measured in the epoch, and measure on the validation set."""
        after = f"after step {self.steps}"
        self.require_finite(self.values.sum(), after)
        if validation is not None:
            X, *targets = validation
            outputs = evaluate(self.network, X)
            value = self.loss(outputs, *targets)[0]
            self.require_finite(value, after)
            measured |= {f"validation {name}": v for name, v in self.measured(value, outputs, targets[0]).items()}
        self.rows.append(measured)
        watched = measured.get("validation loss", measured["loss"])
        if watched < self.least:
            self.least, self.best = watched, len(self.rows)
            self.best_values[:] = self.values

    def require_finite(self, value: float, when: str) -> None:
        """Go back to the last weights at which the loss was finite, if this one is not."""
        if not np.isfinite(value):
            self.values[:] = self.finite
            if self.steps == 0:
                raise ValueError(f"the loss must be finite at the start, but it is {value}: scale X, or start smaller")
            raise _NotFiniteError(when)

    def history(self, outcome: Outcome) -> History:
        """The record of the epochs so far."""
        columns = {field: [row[name] for row in self.rows if name in row] for name, field in FIELDS.items()}
        arrays = {field: np.array(column) for field, column in columns.items()}
        return History(**arrays, best=self.best, steps=self.steps, outcome=outcome)
