"""Chapter 4, neural networks: layers, losses and backpropagation.

    x           what goes into a layer, one sample a row: (n, d) for `Dense`; the other layers take arrays of any shape
    W, b        weights (d_in, d_out) and biases (d_out,) of a dense layer, z = xW + b
    dy, dx      δ: the gradients of the loss with respect to a layer's output and to its input, of their shapes
    rng         a random generator. With it a layer is in training, without it (None) the network is in use:
                only `Dropout` and `BatchNorm` know the difference

A layer's `forward(x, rng)` returns its output and its pullback, the function that carries dy back to dx and to the
gradients of the parameters, by their names: `dx, gradients = pullback(dy)`. Backpropagation is the composition of
pullbacks in reverse, and that is what `Sequential` does. Nothing of a forward pass is kept on the layer.

A first layer's dx is the gradient with respect to the data: it costs a matrix product and training has no use for it.
`pullback(dy, to_input=False)`, understood by every layer that has parameters, leaves it out.
"""

import copy
import math
import warnings
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import numpy as np

from mlmath.arguments import (
    count,
    fraction,
    function,
    generator,
    layer_input,
    one_of,
    positive,
    real_array,
    returned,
    whole,
)

Arrays = dict[str, np.ndarray]
Pullback = Callable[..., tuple[Any, Arrays]]
Loss = Callable[..., tuple[float, np.ndarray]]


def _float_type(dtype: Any) -> np.dtype:
    """Return `dtype` as float32 or float64."""
    for known in (np.dtype(np.float32), np.dtype(np.float64)):
        if dtype is not None and known == dtype:
            return known
    raise ValueError(f"dtype must be float32 or float64, but it is {dtype!r}")


class Layer:
    """A function of x with `parameters`, which are trained, and `statistics`, which it collects in training.

    Both are dictionaries of arrays by name, empty unless a layer says otherwise. The pullback of every layer, also of
    one's own, refuses slopes dy that have not the shape of the layer's output: broadcasting would let them pass.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "forward" in vars(cls):
            cls.forward = _with_checked_slopes(cls.forward)  # type: ignore[method-assign]

    def __init__(self) -> None:
        self.parameters: Arrays = {}
        self.statistics: Arrays = {}

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Pullback]:
        """Return the output for x and its pullback; a layer is in training when it is given `rng`."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, rng)")


def _with_checked_slopes(forward: Callable) -> Callable:
    """The same `forward`, but with a pullback that looks at the shape of dy first."""

    @wraps(forward)
    def checked(*args, **options):
        y, pullback = forward(*args, **options)
        shape = np.shape(y)

        def checked_pullback(dy, *args, **options):
            if np.shape(dy) != shape:
                raise ValueError(f"dy must have the shape {shape} of the output, but its shape is {np.shape(dy)}")
            return pullback(dy, *args, **options)

        return y, checked_pullback

    return checked


def layer_like(name: str, value: Any) -> Layer:
    """Return `value` if it is a layer, of which a network is one."""
    if not isinstance(value, Layer):
        raise TypeError(f"{name} must be a Layer such as Sequential(...), but it is {value!r}")
    return value


def initial_weights(shape: tuple[int, ...], *, rng: np.random.Generator, initialization: str, dtype: Any) -> np.ndarray:
    """Draw weights (…, d_in, d_out) from a normal distribution, such that signals neither fade nor grow on their way.

    Their mean is 0 and their variance 2/n_in ("he", for ReLU) or 2/(n_in + n_out) ("xavier", for tanh and sigmoid);
    n_in weights lead to an output and n_out from an input: d_in and d_out, times the size of a kernel, which the first
    axes give. The draw is the same in float32 and float64 (Glorot and Bengio, 2010; He and others, 2015).
    """
    if not isinstance(shape, tuple) or len(shape) < 2:
        raise ValueError(f"shape must be a tuple (…, d_in, d_out), but it is {shape!r}")
    shape = tuple(count("shape", size) for size in shape)
    n_in, n_out = math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1]
    variance = {"he": 2 / n_in, "xavier": 2 / (n_in + n_out)}
    scale = math.sqrt(variance[one_of("initialization", initialization, variance)])
    return generator("rng", rng).normal(scale=scale, size=shape).astype(_float_type(dtype))


class Dense(Layer):
    """Every output is a weighted sum of all inputs: z = xW + b. W starts with `initial_weights`, b with 0."""

    def __init__(
        self,
        d_in: int,
        d_out: int,
        *,
        rng: np.random.Generator,
        initialization: str = "he",
        dtype: Any = np.float64,
    ) -> None:
        super().__init__()
        shape = count("d_in", d_in), count("d_out", d_out)
        W = initial_weights(shape, rng=rng, initialization=initialization, dtype=dtype)
        self.parameters = {"W": W, "b": np.zeros(d_out, W.dtype)}

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Pullback]:
        """Return xW + b (n, d_out), for x (n, d_in), and its pullback: dx = δWᵀ, dW = xᵀδ, db = Σ δ."""
        x, W, b = layer_input(x), self.parameters["W"], self.parameters["b"]
        if x.ndim != 2 or x.shape[1] != len(W):
            raise ValueError(f"x must have shape (n, {len(W)}) for this Dense layer, but its shape is {x.shape}")

        def pullback(dy, to_input=True):
            dx = dy @ W.T if to_input else None
            return dx, {"W": x.T @ dy, "b": dy.sum(axis=0)}

        return x @ W + b, pullback


class ReLU(Layer):
    """The rectifier a = max(z, 0): its slope is 1 where z > 0 and 0 elsewhere, at 0 too."""

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Pullback]:
        """Return max(x, 0) and its pullback."""
        a = np.maximum(layer_input(x), 0)
        return a, lambda dy: (dy * (a > 0), {})


class Tanh(Layer):
    """The hyperbolic tangent a = tanh z, of slope 1 − a²."""

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Pullback]:
        """Return tanh x and its pullback."""
        a = np.tanh(layer_input(x))
        return a, lambda dy: (dy * (1 - a**2), {})


class Sigmoid(Layer):
    """The sigmoid of chapter 3, a = σ(z), of slope a(1 − a)."""

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Pullback]:
        """Return σ(x) and its pullback."""
        a = _sigmoid(layer_input(x))
        return a, lambda dy: (dy * a * (1 - a), {})


def _sigmoid(z: np.ndarray) -> np.ndarray:
    """σ(z) = (1 + tanh(z/2)) / 2, which unlike `mlmath.logistic.sigmoid` lets NaN pass, for training to find it."""
    return (1 + np.tanh(z / 2)) / 2


class Dropout(Layer):
    """In training each entry is set to 0 with probability `drop`, and the others are divided by 1 − drop.

    The expected output is then the input, so that nothing has to be done in use (Srivastava and others, 2014).
    """

    def __init__(self, drop: float) -> None:
        super().__init__()
        self.drop = fraction("drop", drop)

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Pullback]:
        """Return x thinned out by `rng`, or x as it is without it, and the pullback, which thins out likewise."""
        x = layer_input(x)
        if rng is None:
            return x, lambda dy: (dy, {})
        kept = (rng.random(x.shape, dtype=x.dtype) >= self.drop) / x.dtype.type(1 - self.drop)
        return x * kept, lambda dy: (dy * kept, {})


class BatchNorm(Layer):
    """Each feature with mean 0 and variance 1 over the batch, then scaled and shifted: y = γ(x − μ)/√(σ² + ε) + β.

    γ and β are the parameters "scale" and "shift". Features lie along `axis`; μ and σ² are taken over all other axes.
    In use they are the running means kept in `statistics`: m ← momentum · m + (1 − momentum) · (the batch's)
    (Ioffe and Szegedy, 2015; σ² is divided by the number of values, not by one less).
    """

    def __init__(
        self,
        features: int,
        *,
        axis: int = -1,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        dtype: Any = np.float64,
    ) -> None:
        super().__init__()
        features, dtype = count("features", features), _float_type(dtype)
        self.axis = whole("axis", axis)
        self.momentum, self.epsilon = fraction("momentum", momentum), positive("epsilon", epsilon)
        self.parameters = {"scale": np.ones(features, dtype), "shift": np.zeros(features, dtype)}
        self.statistics = {"mean": np.zeros(features, dtype), "variance": np.ones(features, dtype)}

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Pullback]:
        """Return the normalized x and its pullback, through the batch's mean and variance when in training.

        Raises ValueError if x has not the features of this layer, or a training batch but one value of each.
        """
        x, gamma, beta = layer_input(x), self.parameters["scale"], self.parameters["shift"]
        if not -x.ndim <= self.axis < x.ndim or x.shape[self.axis] != len(gamma):
            raise ValueError(f"x must have {len(gamma)} features along axis {self.axis}, but its shape is {x.shape}")
        x, axes = np.moveaxis(x, self.axis, -1), tuple(range(x.ndim - 1))
        if rng is None:
            mu, variance = self.statistics["mean"], self.statistics["variance"]
        else:
            mu, variance = self._collect(x, axes)
        sigma = np.sqrt(variance + self.epsilon)
        x_hat = (x - mu) / sigma

        def pullback(dy, to_input=True):
            dy = np.moveaxis(dy, self.axis, -1)
            dx_hat = dy * gamma
            if rng is not None:
                dx_hat -= dx_hat.mean(axes) + x_hat * (dx_hat * x_hat).mean(axes)
            return np.moveaxis(dx_hat / sigma, -1, self.axis), {"scale": (dy * x_hat).sum(axes), "shift": dy.sum(axes)}

        return np.moveaxis(x_hat * gamma + beta, -1, self.axis), pullback

    def _collect(self, x: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return the batch's mean and variance, and let the running ones follow them."""
        if x.size <= x.shape[-1]:
            raise ValueError(
                f"BatchNorm needs two or more values of each feature in a batch, but x has shape {x.shape}"
            )
        now = {"mean": x.mean(axes), "variance": x.var(axes)}
        for name, running in self.statistics.items():
            running += (1 - self.momentum) * (now[name] - running)
        return now["mean"], now["variance"]


class Sequential(Layer):
    """Layers one after the other: y = f_L(… f_2(f_1(x))), and the gradient through their pullbacks in reverse.

    The parameters of layer i are found under "i.name": `network.parameters["0.W"]`. To set them, assign a whole
    dictionary or write into the arrays (`network.parameters["0.W"][:] = 0`).
    """

    def __init__(self, *layers: Layer) -> None:
        if not layers:
            raise ValueError("a network must have at least one layer, but there is none")
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TypeError(f"every layer must be a Layer such as ReLU(), but one is {layer!r}")
        self.layers = layers
        if len(set(map(id, self.parameters.values()))) < len(self.parameters):
            raise ValueError("every layer with parameters must be in the network once, but one is there twice")

    @property
    def parameters(self) -> Arrays:  # type: ignore[override]
        """The parameters of all layers."""
        return {f"{i}.{name}": w for i, layer in enumerate(self.layers) for name, w in layer.parameters.items()}

    @parameters.setter
    def parameters(self, arrays: Arrays) -> None:
        if not isinstance(arrays, dict):
            raise TypeError(f"parameters must be a dict of arrays, but they are {arrays!r}")
        found, expected = ({name: np.shape(w) for name, w in some.items()} for some in (arrays, self.parameters))
        if found != expected:
            raise ValueError(f"parameters must be arrays of the shapes {expected}, but they are {found}")
        for i, layer in enumerate(self.layers):
            layer.parameters = {name: arrays[f"{i}.{name}"] for name in layer.parameters}

    @property
    def statistics(self) -> Arrays:  # type: ignore[override]
        """The statistics of all layers."""
        return {f"{i}.{name}": s for i, layer in enumerate(self.layers) for name, s in layer.statistics.items()}

    @statistics.setter
    def statistics(self, arrays: Arrays) -> None:
        for i, layer in enumerate(self.layers):
            layer.statistics = {name: arrays[f"{i}.{name}"] for name in layer.statistics}

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Pullback]:
        """Return the last layer's output and the pullback through all layers."""
        pullbacks = []
        for layer in self.layers:
            x, layer_pullback = layer.forward(x, rng)
            pullbacks.append(layer_pullback)
        trained = [i for i, layer in enumerate(self.layers) if layer.parameters]

        def pullback(dy, to_input=True):
            gradients = {}
            first = 0 if to_input else min(trained, default=len(pullbacks))
            for i in reversed(range(first, len(pullbacks))):
                wanted = to_input or i > first
                dy, own = pullbacks[i](dy) if wanted else pullbacks[i](dy, to_input=False)
                gradients |= {f"{i}.{name}": dw for name, dw in own.items()}
            return dy if to_input else None, gradients

        return x, pullback


class Residual(Sequential):
    """Layers with a shortcut past them: y = x + F(x), so that the gradient has a way on which nothing shrinks it.

    F must return the shape that it is given (He and others, 2016).
    """

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Pullback]:
        """Return x + F(x) and its pullback, dy + dy ∂F/∂x."""
        x = layer_input(x)
        y, inner = super().forward(x, rng)
        if y.shape != x.shape:
            raise ValueError(f"the layers of a Residual must keep the shape {x.shape} of x, but returned {y.shape}")

        def pullback(dy, to_input=True):
            dx, gradients = inner(dy, to_input)
            return dy + dx if to_input else None, gradients

        return x + y, pullback


# --- Losses: the value, and the gradient with respect to the network's outputs ------------------------------------
#
# Each may be given a `weight` (n,): the loss of sample i, and so its slopes, is then multiplied by weight[i].


def softmax_cross_entropy(
    outputs: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Return the mean of −log softmax(z)_y over the samples, and its gradient (softmax(z) − one-hot(y)) / n.

    The outputs z (..., c) are logits, y (...) holds classes 0, …, c−1; other labels raise ValueError.
    """
    outputs, y = real_array("outputs", outputs, finite=False), np.asarray(y)
    n, c = outputs.shape[:-1], outputs.shape[-1] if outputs.ndim else 0
    if y.shape != n or y.dtype.kind not in "iu" or not 0 <= y.min() <= y.max() < c:
        extent = f" and its range {y.min()} to {y.max()}" if y.size and y.dtype.kind in "iuf" else ""
        raise ValueError(
            f"y must hold a class 0, …, {c - 1} for each of the {n} samples, "
            f"but its shape is {y.shape}, its type {y.dtype}{extent}"
        )
    z = (outputs - outputs.max(axis=-1, keepdims=True)).reshape(-1, c)
    e = np.exp(z)
    total = e.sum(axis=1)
    of_the_class = np.arange(len(z)), y.ravel()
    losses = np.log(total) - z[of_the_class]
    p = e / total[:, np.newaxis]
    p[of_the_class] -= 1
    value = _weighted(losses.reshape(n), weight).mean()
    return float(value), _weighted((p / len(z)).reshape(outputs.shape), weight)


def logistic_loss(outputs: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """Return the mean over the samples of log(1 + e^z) − yz, the log loss, and its gradient (σ(z) − y) / n.

    The outputs z are logits, (n,) or (n, 1) for y (n,); y holds 0 and 1, other labels raise ValueError.
    """
    outputs, y = _targets(outputs, y)
    if not ((y == 0) | (y == 1)).all():
        raise ValueError(f"y must hold the labels 0 and 1 alone, but it holds {np.unique(y)}")
    value = _weighted(np.logaddexp(0, outputs) - y * outputs, weight).sum() / len(y)
    return float(value), _weighted((_sigmoid(outputs) - y) / len(y), weight)


def squared_error(outputs: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """Return the mean over the samples of ½‖ŷ − y‖² and its gradient (ŷ − y) / n; outputs (n, 1) go with y (n,) too."""
    outputs, y = _targets(outputs, y)
    error = outputs - y
    return float(_weighted(error**2, weight).sum() / (2 * len(error))), _weighted(error / len(error), weight)


def _weighted(rows: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the rows (n, ...), each multiplied by its weight."""
    return rows if weight is None else rows * weight.reshape(-1, *(1,) * (rows.ndim - 1)).astype(rows.dtype)


def _targets(outputs: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs and y, in their shape and type; the outputs may have one more axis, of length 1."""
    outputs, y = real_array("outputs", outputs, finite=False), real_array("y", y, finite=False)
    if outputs.shape not in (y.shape, (*y.shape, 1)):
        raise ValueError(f"y must have the shape {outputs.shape} of the network's outputs, but its shape is {y.shape}")
    return outputs, y.reshape(outputs.shape).astype(outputs.dtype, copy=False)


def loss_and_gradients(
    network: Layer, X: np.ndarray, y: np.ndarray, loss: Loss, rng: np.random.Generator | None = None
) -> tuple[float, Arrays]:
    """Return the loss of the network on X, y and its gradient with respect to every parameter, by name."""
    outputs, pullback = layer_like("network", network).forward(X, rng)
    value, dy = function("loss", loss)(outputs, y)
    return value, pullback(dy, to_input=False)[1]


# --- Is a gradient right? ------------------------------------------------------------------------------------------


def numerical_gradient(f: Callable[[np.ndarray], float], w: Any, *, step: float = 1e-5) -> np.ndarray:
    """Return the gradient of f at w by central differences, (f(w + h) − f(w − h)) / 2h for each entry of w.

    w has any shape; the result has it too. `step` is h, and the error is of the order of h² + 1e-16 / h.
    """
    w, h, f = real_array("w", w).astype(float), positive("step", step), function("f", f)
    g = np.empty_like(w)
    for i in np.ndindex(w.shape):
        g[i] = _central_difference(f, w, i, h)
    return g


def _central_difference(f: Callable[[np.ndarray], float], w: np.ndarray, i: tuple[int, ...], h: float) -> float:
    """The slope of f along entry i of w."""
    here = w[i]
    w[i] = here + h
    ahead = returned("f", f(w), ())
    w[i] = here - h
    with np.errstate(invalid="ignore", over="ignore"):
        slope = (ahead - returned("f", f(w), ())) / (2 * h)
    w[i] = here
    if not np.isfinite(slope):
        raise ValueError("f must be finite within a step of w, but it is not")
    return slope


# A pullback whose error is below this is right.
RIGHT = 1e-7


class KinkWarning(UserWarning):
    """A slope was asked for where there is none: the gradient was compared beside a kink."""


def gradient_check(
    layer: Layer, x: Any, *, rng: np.random.Generator, training: bool = True, step: float = 1e-5
) -> dict[str, float]:
    """Compare a layer's pullback with central differences at x, for a random dy; return the errors by name.

    The names are "x" and those of the parameters; an error is ‖g − numerical g‖ divided by the largest ‖g‖ of them all
    (by 1 if all are 0). Below 1e-7 the pullback is right. The layer, or network, may be of either dtype; it is copied,
    computed with in float64 and left as it is.

    Within `step` of a kink a difference is no slope. So where an entry disagrees, it is compared again at random places
    nearby, about 100 steps away in every direction: a wrong pullback is wrong there too. If the entry agrees there, it
    counts as right, and a `KinkWarning` says so; which slope the pullback takes *on* the kink is not judged.
    """
    layer = copy.deepcopy(layer_like("layer", layer))
    x, seed = real_array("x", x).astype(float), int(generator("rng", rng).integers(2**32))
    parameters = {name: w.astype(float) for name, w in layer.parameters.items()}
    layer.statistics = {name: s.astype(float) for name, s in layer.statistics.items()}

    def forward(arrays):
        layer.parameters = {name: arrays[name] for name in parameters}
        return layer.forward(arrays["x"], np.random.default_rng(seed) if training else None)

    at = parameters | {"x": x}
    dy = rng.normal(size=forward(at)[0].shape)

    def pulled_back(arrays):
        dx, gradients = forward(arrays)[1](dy)
        gradients = gradients | {"x": dx}
        shapes, expected = ({name: np.shape(a) for name, a in some.items()} for some in (gradients, at))
        if shapes != expected:
            raise ValueError(f"the pullback must return gradients of the shapes {expected}, but it returned {shapes}")
        return gradients

    def value(arrays, name, array):
        return np.vdot(dy, forward(arrays | {name: array})[0])

    gradients = pulled_back(at)
    largest = max(np.linalg.norm(g) for g in gradients.values()) or 1.0
    errors = {
        name: g - numerical_gradient(partial(value, at, name), at[name], step=step) for name, g in gradients.items()
    }
    wrong = RIGHT / 10 * largest
    suspects = [(name, tuple(i)) for name, e in errors.items() for i in np.argwhere(np.abs(e) > wrong)]
    beside = dict.fromkeys(suspects, 0.0)
    for _ in range(5 if suspects else 0):
        near = {name: a + 100 * step * rng.normal(size=a.shape) for name, a in at.items()}
        there = pulled_back(near)
        for name, i in suspects:
            error = there[name][i] - _central_difference(partial(value, near, name), near[name], i, step)
            beside[name, i] = max(beside[name, i], abs(error))
    on_a_kink = {name: [i for other, i in suspects if other == name and beside[name, i] <= wrong] for name in at}
    for name, entries in on_a_kink.items():
        for i in entries:
            errors[name][i] = beside[name, i]
    if any(on_a_kink.values()):
        found = ", ".join(f"{len(entries)} of {name}" for name, entries in on_a_kink.items() if entries)
        warnings.warn(f"slopes on a kink were compared a little beside it: {found}", KinkWarning, stacklevel=2)
    return {name: float(np.linalg.norm(error) / largest) for name, error in errors.items()}
