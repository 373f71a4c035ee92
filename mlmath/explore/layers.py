"""A network's layers as loops over indices, each written in SymPy, for the page: what they do to one image."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from mlmath import arguments
from mlmath.convolution import Conv2D, Flatten, MaxPool2D, output_size
from mlmath.explore.convolution import within
from mlmath.network import Dense, Dropout, Layer, ReLU, Sequential, Sigmoid, Tanh

SIDE, BLOCK = 32, 4  # dots of a drawing, each way, and of the blocks that are counted


@dataclass(frozen=True)
class Step:
    """Something that a network does to one image: the array y that it fills from x, W and b, and y's shape."""

    name: str
    assignments: dict[sp.Indexed, sp.Expr]
    shape: tuple[int, ...]
    parameters: tuple[np.ndarray, ...] = ()


def _entries(names: str, shape: tuple[int, ...]) -> list[sp.Idx]:
    """Return an index of its own for each axis of an array."""
    return [sp.Idx(name, size) for name, size in zip(names.split(), shape, strict=False)]


def array(name: str, shape: tuple[int, ...]) -> sp.IndexedBase:
    """Return an array that lies flat in memory, row by row."""
    return sp.IndexedBase(name, shape=shape)


def _padded(shape: tuple[int, ...], layer: Conv2D | MaxPool2D, value: Any) -> Step:
    """Return the step that puts rows and columns of `value` around an image."""
    (above, below), (before, after) = layer.padding
    h, w, c = shape
    wide = h + above + below, w + before + after, c
    r, s, k = _entries("r s k", wide)
    inside = sp.And(r >= above, r < above + h, s >= before, s < before + w)
    return Step(
        "padding",
        {array("y", wide)[r, s, k]: within(inside, array("x", shape)[r - above, s - before, k], value)},
        wide,
    )


def convolved(layer: Conv2D, shape: tuple[int, ...]) -> list[Step]:
    """Return the steps y_uvl = b_l + Σ_ijk W_ijkl x_{su + di, sv + dj, k} of a convolution of one image."""
    W, b = layer.parameters["W"], layer.parameters["b"]
    first = [_padded(shape, layer, 0)] if layer.padding != ((0, 0), (0, 0)) else []
    h, w, _ = shape = first[0].shape if first else shape
    (s, t), (d, e) = layer.stride, layer.dilation
    rows = output_size(h, W.shape[0], stride=s, dilation=d)
    columns = output_size(w, W.shape[1], stride=t, dilation=e)
    out = rows, columns, W.shape[3]
    u, v, o = _entries("u v o", out)
    i, j, k = _entries("i j k", W.shape)
    term = array("W", W.shape)[i, j, k, o] * array("x", shape)[s * u + d * i, t * v + e * j, k]
    value = sp.IndexedBase("b")[o] + sp.Sum(term, i, j, k)
    return [*first, Step("convolution", {array("y", out)[u, v, o]: value}, out, (W, b))]


def pooled(layer: MaxPool2D, shape: tuple[int, ...]) -> list[Step]:
    """Return the steps y_uvk = max_ij x_{su + i, sv + j, k} of max-pooling one image."""
    first = [_padded(shape, layer, -sp.oo)] if layer.padding != ((0, 0), (0, 0)) else []
    h, w, c = shape = first[0].shape if first else shape
    rows, columns = (output_size(n, k, stride=s) for n, k, s in zip((h, w), layer.size, layer.stride, strict=True))
    out = rows, columns, c
    u, v, k = _entries("u v k", out)
    x = array("x", shape)
    under = [
        x[layer.stride[0] * u + i, layer.stride[1] * v + j, k]
        for i in range(layer.size[0])
        for j in range(layer.size[1])
    ]
    return [*first, Step("max-pooling", {array("y", out)[u, v, k]: sp.Max(*under)}, out)]


def weighed(layer: Dense, shape: tuple[int, ...]) -> list[Step]:
    """Return the step y_j = b_j + Σ_i W_ij x_i of a dense layer, for one sample."""
    W, b = layer.parameters["W"], layer.parameters["b"]
    i, j = _entries("i j", W.shape)
    value = sp.IndexedBase("b")[j] + sp.Sum(array("W", W.shape)[i, j] * sp.IndexedBase("x")[i], i)
    return [Step("dense", {sp.IndexedBase("y")[j]: value}, (W.shape[1],), (W, b))]


def _each(name: str, phi: Callable[[sp.Expr], sp.Expr]) -> Callable[[Layer, tuple[int, ...]], list[Step]]:
    """Return what gives the step y_k = φ(x_k) for all entries of any array."""

    def step(layer: Layer, shape: tuple[int, ...]) -> list[Step]:
        k = sp.Idx("k", math.prod(shape))
        z = sp.Symbol("z", real=True)
        value = phi(z).subs(z, sp.IndexedBase("x")[k])
        return [Step(name, {sp.IndexedBase("y")[k]: value}, shape)]

    return step


STEPS: dict[type[Layer], Callable[..., list[Step]]] = {
    Conv2D: convolved,
    MaxPool2D: pooled,
    Dense: weighed,
    ReLU: _each("ReLU", lambda z: sp.Max(0, z)),
    Tanh: _each("tanh", sp.tanh),
    Sigmoid: _each("sigmoid", lambda z: 1 / (1 + sp.exp(-z))),
    Flatten: lambda layer, shape: [],
    Dropout: lambda layer, shape: [],
}


def steps_of(network: Sequential) -> list[Step]:
    """Return what happens to a drawing: it is counted by blocks, goes through the network, and becomes probabilities.

    Raises TypeError or ValueError, in the words of `draw_a_digit`, for a network that the page cannot compute.
    """
    if not isinstance(network, Sequential):
        raise TypeError(f"network must be a Sequential of layers, but it is {network!r:.60}")
    size = SIDE // BLOCK
    r, c, i, j = sp.Idx("r", size), sp.Idx("c", size), sp.Idx("i", BLOCK), sp.Idx("j", BLOCK)
    ink = sp.Sum(array("x", (SIDE, SIDE))[BLOCK * r + i, BLOCK * c + j], i, j) / BLOCK**2
    steps = [Step("input", {array("y", (size, size))[r, c]: ink}, (size, size, 1))]
    x = np.zeros((1, size, size, 1), np.float32)
    for layer in network.layers:
        if type(layer) not in STEPS:
            known = ", ".join(kind.__name__ for kind in STEPS)
            raise ValueError(f"network must be made of {known}, but it has a {type(layer).__name__}")
        for name, w in layer.parameters.items():
            arguments.real_array(f"{name} of the network's {type(layer).__name__}", w)
        try:
            y, _ = layer.forward(x)
        except ValueError as error:
            raise ValueError(f"network must take images (n, {size}, {size}, 1), but {error}") from None
        steps += STEPS[type(layer)](layer, x.shape[1:])
        x = y
    if x.shape != (1, 10):
        raise ValueError(f"network must return 10 logits for an image, but it returns the shape {x.shape[1:]}")
    k, l = sp.Idx("k", 10), sp.Idx("l", 10)  # noqa: E741
    z = sp.IndexedBase("x")
    softmax = 1 / sp.Sum(sp.exp(z[l] - z[k]), l)  # e^z_k / Σ e^z_l, which nothing can overflow in
    return [*steps, Step("softmax", {sp.IndexedBase("y")[k]: softmax}, (10,))]


def outputs_of(network: Sequential, X: np.ndarray) -> list[np.ndarray]:
    """Return what each layer says to the images X, and the probabilities, one array for each of `steps_of`."""
    x = X.astype(next((w.dtype for w in network.parameters.values()), np.float64))
    outputs = [x]
    for layer in network.layers:
        x, _ = layer.forward(x)
        if isinstance(layer, Conv2D | MaxPool2D) and layer.padding != ((0, 0), (0, 0)):
            outputs.append(x)  # in place of the padded image, which no picture shows
        if not isinstance(layer, Flatten | Dropout):
            outputs.append(x)
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return [*outputs, e / e.sum(axis=1, keepdims=True)]
