"""Chapter 5, convolutional networks: convolution, pooling, and the way from images to a dense layer.

    x, y      images (n, height, width, channels), or sequences (n, length, channels): one sample a row and the
              channels last, like the features of `Dense`
    W, b      kernels (k_h, k_w, c_in, c_out) and biases (c_out,): each W[i, j] is a dense layer between channels
    i, j      row and column in the kernel;  u, v  in the output
    s, p, d   stride, padding, dilation: one number, or a pair for rows and columns
    dy, dx    the gradients of the loss with respect to a layer's output and input

In memory the batch comes last, (height, channels, width, n), so that every copy and every sum runs along many numbers
that are neighbors. `_inside` turns an array at the door of a layer, and `_outside` turns it back, which moves nothing.
What is computed entry by entry between two layers keeps the order, so a batch is turned once.

A convolution is then one matrix product for each row of the output. When the rows of the image are stored k_w times,
shifted by j = 0, …, k_w − 1, the patches under the kernel at all places in one row of the output are k_h of them: they
are neighbors already, and no patch is copied a second time (Cho and Brand, Memory-efficient convolution, 2017). The
shifted rows exist for a few rows of the output at a time; these chunks are shared out over the cores (`mlmath.cores`).
"""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from mlmath.arguments import array, count, layer_input, real_array, whole
from mlmath.cores import share
from mlmath.network import Layer, Pullback, initial_weights

Pair = tuple[int, int]

CHUNK = 2**21
"""About so many bytes of shifted rows exist at a time on each core (or those for k_h rows of the output, if these are
more): a processor keeps them close."""


def output_size(size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Return how many places a kernel has along an axis: ⌊(size + 2p − d(kernel − 1) − 1) / s⌋ + 1.

    Raises ValueError if there is none.
    """
    size = count("size", size) + 2 * count("padding", padding, minimum=0)
    return _places(size, count("kernel", kernel), count("stride", stride), count("dilation", dilation), name="size")


def correlate(
    x: np.ndarray, W: np.ndarray, *, stride: int | Pair = 1, padding: int | Pair = 0, dilation: int | Pair = 1
) -> np.ndarray:
    """Return what `Conv2D` computes, but for its biases, by four loops: the definition.

    y[:, u, v] = Σ_i Σ_j x[:, su + di − p, sv + dj − p] W[i, j] with 0 for x outside of the image, for x
    (n, h, w, c_in), W (k_h, k_w, c_in, c_out) and y (n, h', w', c_out). This is the cross-correlation; the convolution
    of mathematics is the same with the kernel turned by half a circle.
    """
    x, W = real_array("x", x), real_array("W", W, ndim=4)
    k_h, k_w, c_in, c_out = W.shape
    (stride_h, stride_w), (dilation_h, dilation_w) = _pair("stride", stride), _pair("dilation", dilation)
    x = _padded(_images(x, c_in), _both_sides(padding), axes=(1, 2))
    height = _places(x.shape[1], k_h, stride_h, dilation_h)
    width = _places(x.shape[2], k_w, stride_w, dilation_w)
    y = np.zeros((len(x), height, width, c_out), np.result_type(x, W))
    for u in range(height):
        for v in range(width):
            for i in range(k_h):
                for j in range(k_w):
                    y[:, u, v] += x[:, stride_h * u + dilation_h * i, stride_w * v + dilation_w * j] @ W[i, j]
    return y


class Conv2D(Layer):
    """Every output is the weighted sum of the pixels under the kernel, with the same weights everywhere, plus a bias.

    `kernel_size`, `stride`, `padding` and `dilation` are one number, or a pair for rows and columns. W starts with
    `initial_weights`, b with 0.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        *,
        rng: np.random.Generator,
        initialization: str = "he",
        dtype: Any = np.float64,
    ) -> None:
        super().__init__()
        channels = count("in_channels", in_channels), count("out_channels", out_channels)
        shape = *_pair("kernel_size", kernel_size), *channels
        self.stride, self.dilation = _pair("stride", stride), _pair("dilation", dilation)
        self.padding = _both_sides(padding)
        W = initial_weights(shape, rng=rng, initialization=initialization, dtype=dtype)
        self.parameters = {"W": W, "b": np.zeros(out_channels, W.dtype)}

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Pullback]:
        """Return the correlation of x (n, h, w, c_in) with W, plus b, (n, h', w', c_out), and its pullback.

        dW is the correlation of x with dy, dx that of dy, widely padded, with W turned by half a circle, db = Σ dy.
        """
        W, b = self.parameters["W"], self.parameters["b"]
        k_h, k_w, c_in, c_out = W.shape
        x = _padded(_inside(_images(x, c_in)), self.padding)
        height = _places(len(x), k_h, self.stride[0], self.dilation[0])
        shifted = self._shifted(x, k_w)
        width, n = shifted.shape[3:]
        y = np.empty((height, c_out, width * n), np.result_type(x, W))
        chunks = _chunks(height, k_h, self.stride[0] * shifted[0].nbytes)

        def outputs(rows):
            patches = self._patches(shifted, k_h, rows)
            np.matmul(W.reshape(-1, c_out).T, patches, out=y[rows])
            y[rows] += b[:, np.newaxis]

        share(outputs, chunks)

        def pullback(dy, to_input=True):
            dy = _inside(_slopes(dy, (n, height, width, c_out))).reshape(height, c_out, width * n)

            def slopes(rows):
                return (self._patches(shifted, k_h, rows) @ dy[rows].swapaxes(1, 2)).sum(axis=0)

            dW = sum(share(slopes, chunks))
            dx = self._to_input(dy, W, x.shape) if to_input else None
            return dx, {"W": dW.reshape(W.shape), "b": dy.sum(axis=2).sum(axis=0)}

        return _outside(y.reshape(height, c_out, width, n)), pullback

    def _shifted(self, x: np.ndarray, k_w: int) -> np.ndarray:
        """Return the view (h, k_w, c, w', n) of x: its rows, shifted by each j, as far as the kernel goes."""
        return np.moveaxis(_windows(x, k_w, axis=2, stride=self.stride[1], dilation=self.dilation[1]), 3, 1)

    def _patches(self, shifted: np.ndarray, k_h: int, rows: slice) -> np.ndarray:
        """Return the patches that some rows of the output see: (rows, k_h · k_w · c_in, w' · n)."""
        stride, dilation = self.stride[0], self.dilation[0]
        reach = dilation * (k_h - 1) + 1
        stored = np.ascontiguousarray(shifted[stride * rows.start : stride * (rows.stop - 1) + reach])
        patches = _windows(stored, k_h, axis=0, stride=stride, dilation=dilation)
        return patches.reshape(len(patches), -1, stored.shape[3] * stored.shape[4])

    def _to_input(self, dy: np.ndarray, W: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return dx for dy (h', c_out, w' · n): row by row what was multiplied, turned round, and shifted back.

        Where the kernel strode over rows, rows of 0 are put between those of dy.
        """
        k_h, k_w, c_in, c_out = W.shape
        stride, dilation, (top, bottom) = self.stride[0], self.dilation[0], self.padding[0]
        wide = np.zeros((shape[0] + dilation * (k_h - 1), *dy.shape[1:]), dy.dtype)
        wide[dilation * (k_h - 1) :: stride][: len(dy)] = dy
        patches = _windows(wide, k_h, axis=0, stride=1, dilation=dilation)[top : shape[0] - bottom]
        turned = W[::-1].transpose(1, 2, 0, 3).reshape(k_w * c_in, k_h * c_out)
        dx = np.zeros((len(patches), *shape[1:]), dy.dtype)
        shifted = self._shifted(dx, k_w)

        def inputs(rows):
            products = turned @ patches[rows].reshape(-1, k_h * c_out, dy.shape[2])
            products = products.reshape(shifted[rows].shape)
            for j in range(k_w):
                shifted[rows, j] += products[:, j]

        share(inputs, _chunks(len(dx), k_h, k_w * c_in * dy[0, 0].nbytes))
        return _outside(_cropped(dx, ((0, 0), self.padding[1])))


class Conv1D(Conv2D):
    """The same along a sequence (n, length, channels), which is an image of one row: W is (1, k, c_in, c_out).

    With `padding="causal"` the sequence is padded at its start alone, so much that no output has seen what comes after
    it, and that with stride 1 the output is as long.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        *,
        rng: np.random.Generator,
        initialization: str = "he",
        dtype: Any = np.float64,
    ) -> None:
        causal = isinstance(padding, str) and padding == "causal"
        on_both_sides: Any = 0 if causal else padding
        super().__init__(
            in_channels,
            out_channels,
            (1, kernel_size),
            (1, stride),
            (0, on_both_sides),
            (1, dilation),
            rng=rng,
            initialization=initialization,
            dtype=dtype,
        )
        if causal:
            self.padding = (0, 0), (dilation * (kernel_size - 1), 0)

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Pullback]:
        """Return the correlation of x (n, length, c_in) with W, plus b, (n, length', c_out), and its pullback."""
        x, c_in = _floats(x), self.parameters["W"].shape[2]
        if x.ndim != 3 or x.shape[2] != c_in or not x.size:
            raise ValueError(f"x must have shape (n, length, {c_in}){_none(x)}, but its shape is {x.shape}")
        image, of_image = super().forward(x[:, np.newaxis])
        y = image[:, 0]

        def pullback(dy, to_input=True):
            dx, gradients = of_image(_slopes(dy, y.shape)[:, np.newaxis], to_input)
            return dx[:, 0] if to_input else None, gradients

        return y, pullback


class _Pool2D(Layer):
    """Windows of `size` pixels, `stride` apart (side by side if it is None), each channel for itself."""

    def __init__(self, size: int | Pair = 2, *, stride: int | Pair | None = None, padding: int | Pair = 0) -> None:
        super().__init__()
        self.size = _pair("size", size)
        self.stride = self.size if stride is None else _pair("stride", stride)
        self.padding = _both_sides(padding)
        if any(p >= k for (p, _), k in zip(self.padding, self.size, strict=True)):
            raise ValueError(
                f"padding must be less than size {self.size}, but it is {padding}: a window would be empty"
            )

    def _corners(self, x: np.ndarray) -> list[np.ndarray]:
        """Return for each place in the window the pixels there in all windows, views (h', c, w', n) of x."""
        over_rows = _windows(x, self.size[0], axis=0, stride=self.stride[0], dilation=1)
        windows = _windows(over_rows, self.size[1], axis=3, stride=self.stride[1], dilation=1)
        return [windows[:, i, :, :, j] for i in range(self.size[0]) for j in range(self.size[1])]


class MaxPool2D(_Pool2D):
    """The largest pixel of each window; the padding never is. Its gradient goes to that pixel, the first of equals.

    A window with a NaN in it has the maximum NaN, and the gradient goes to the first NaN.
    """

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Pullback]:
        """Return the maxima (n, h', w', c) of x (n, h, w, c) and the pullback."""
        x = _padded(_inside(_images(x)), self.padding, value=-np.inf)
        first, *others = corners = self._corners(x)
        y = first.copy()
        for corner in others:
            np.maximum(y, corner, out=y)

        def pullback(dy):
            left = _inside(_slopes(dy, _outside(y).shape)).copy()
            dx, with_nan = np.zeros(x.shape, left.dtype), np.isnan(y).any()
            for corner, d_corner in zip(corners, self._corners(dx), strict=True):
                won = (corner == y) | np.isnan(corner) if with_nan else corner == y
                here = left * won
                d_corner += here
                left -= here
            return _outside(_cropped(dx, self.padding)), {}

        return _outside(y), pullback


class AvgPool2D(_Pool2D):
    """The mean of each window, in which padding counts as 0. Its gradient is shared out evenly."""

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Pullback]:
        """Return the means (n, h', w', c) of x (n, h, w, c) and the pullback."""
        x = _padded(_inside(_images(x)), self.padding)
        corners = self._corners(x)
        y = sum(corners[1:], corners[0]) / len(corners)

        def pullback(dy):
            share = _inside(_slopes(dy, _outside(y).shape)) / len(corners)
            dx = np.zeros(x.shape, share.dtype)
            for d_corner in self._corners(dx):
                d_corner += share
            return _outside(_cropped(dx, self.padding)), {}

        return _outside(y), pullback


class GlobalAveragePool(Layer):
    """The mean of each channel over the image, or the sequence: what was seen, wherever it was."""

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Pullback]:
        """Return the means (n, c) of x (n, …, c) and the pullback."""
        x = _floats(x)
        if x.ndim < 3 or not x.size:
            raise ValueError(f"x must have shape (n, …, channels){_none(x)}, but its shape is {x.shape}")
        places = tuple(range(1, x.ndim - 1))
        y = x.mean(axis=places)

        def pullback(dy):
            dy = np.expand_dims(_slopes(dy, y.shape), places)
            return np.broadcast_to(dy * (y.size / x.size), x.shape), {}

        return y, pullback


class Flatten(Layer):
    """Each sample as one row of numbers, for `Dense`."""

    def forward(self, x: np.ndarray, rng: np.random.Generator | None = None) -> tuple[np.ndarray, Pullback]:
        """Return x (n, …) as (n, pixels · channels) and the pullback."""
        x = _floats(x)
        if not x.size or not x.ndim:
            raise ValueError(f"x must have shape (n, …){_none(x)}, but its shape is {x.shape}")
        y = x.reshape(len(x), -1)
        return y, lambda dy: (_slopes(dy, y.shape).reshape(x.shape), {})


def shifted(x: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return images (n, h, w, c) moved down by `rows` and right by `columns` pixels; 0 comes in from outside.

    A digit that has moved by a pixel is the same digit: copies like these are more samples to learn from.
    """
    x = _images(x)
    moved = np.zeros_like(x)
    to_rows, from_rows = _overlap(whole("rows", rows), x.shape[1])
    to_columns, from_columns = _overlap(whole("columns", columns), x.shape[2])
    moved[:, to_rows, to_columns] = x[:, from_rows, from_columns]
    return moved


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    """Return which entries are still there after a shift, by their new and by their old places."""
    new, old = max(shift, 0), max(-shift, 0)
    kept = max(size - abs(shift), 0)
    return slice(new, new + kept), slice(old, old + kept)


# --- Places and layouts -------------------------------------------------------------------------------------------


def _places(size: int, kernel: int, stride: int, dilation: int, *, name: str = "x") -> int:
    """Return how many windows of `kernel` entries there are among `size`; raises ValueError if there is none."""
    reach = dilation * (kernel - 1) + 1
    if size < reach:
        raise ValueError(
            f"{name} must be at least the {reach} pixels under the kernel long, but with its padding it has {size}"
        )
    return (size - reach) // stride + 1


def _images(x: np.ndarray, channels: int | str = "channels") -> np.ndarray:
    """Return x if it holds images, with as many channels as they must have."""
    x = _floats(x)
    if x.ndim != 4 or channels not in ("channels", x.shape[3]) or not x.size:
        raise ValueError(f"x must have shape (n, height, width, {channels}){_none(x)}, but its shape is {x.shape}")
    return x


def _none(x: np.ndarray) -> str:
    """Return what to say of an array without entries."""
    return "" if x.size else " with one sample or more, and one pixel or more"


def _floats(x: np.ndarray) -> np.ndarray:
    """Return x as an array of floats; those of half precision, whose sums end at 65504, become float32."""
    x = layer_input(x)
    return x.astype(np.float32) if x.dtype == np.float16 else x


def _slopes(dy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return dy as an array of floats, if there is a slope for each entry of the output."""
    dy = array("dy", dy)
    if dy.shape != shape:
        raise ValueError(f"dy must have the shape {shape} of the layer's output, but its shape is {dy.shape}")
    return _floats(dy)


def _inside(x: np.ndarray) -> np.ndarray:
    """(n, h, w, c) as it is computed with: (h, c, w, n), neighbors in memory."""
    return np.ascontiguousarray(x.transpose(1, 3, 2, 0))


def _outside(x: np.ndarray) -> np.ndarray:
    """(h, c, w, n) as the view (n, h, w, c)."""
    return x.transpose(3, 0, 2, 1)


def _windows(x: np.ndarray, size: int, *, axis: int, stride: int, dilation: int) -> np.ndarray:
    """Return the view of x in which `axis` has become two: the window and the place in it."""
    shape, strides = list(x.shape), list(x.strides)
    shape[axis : axis + 1] = _places(shape[axis], size, stride, dilation), size
    strides[axis : axis + 1] = stride * strides[axis], dilation * strides[axis]
    return as_strided(x, shape, strides)


def _chunks(height: int, least: int, nbytes: int) -> list[slice]:
    """Cut rows of `nbytes` each into equal chunks of about CHUNK or less, but no fewer than `least` rows."""
    rows = max(least, CHUNK // nbytes)
    rows = -(-height // -(-height // rows))
    return [slice(start, min(start + rows, height)) for start in range(0, height, rows)]


def _padded(x: np.ndarray, padding: tuple[Pair, Pair], *, axes: Pair = (0, 2), value: float = 0) -> np.ndarray:
    """Return x with more rows and columns, along the two `axes`, which hold `value`."""
    if padding == ((0, 0), (0, 0)):
        return x
    shape, middle = list(x.shape), [slice(None)] * x.ndim
    for axis, (before, after) in zip(axes, padding, strict=True):
        shape[axis] += before + after
        middle[axis] = slice(before, before + x.shape[axis])
    padded = np.full(shape, value, x.dtype)
    padded[tuple(middle)] = x
    return padded


def _cropped(x: np.ndarray, padding: tuple[Pair, Pair]) -> np.ndarray:
    """Return the view of x (h, c, w, n) without its padding."""
    (top, bottom), (left, right) = padding
    return x[top : len(x) - bottom, :, left : x.shape[2] - right]


def _pair(name: str, value: int | Pair, *, minimum: int = 1) -> Pair:
    """Return one whole number, or a pair of them, as a pair."""
    pair = value if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"{name} must be a number or a pair of them, but it is {value!r}")
    return count(name, pair[0], minimum=minimum), count(name, pair[1], minimum=minimum)


def _both_sides(padding: int | Pair) -> tuple[Pair, Pair]:
    """Return the padding before and after the rows, and before and after the columns."""
    rows, columns = _pair("padding", padding, minimum=0)
    return (rows, rows), (columns, columns)
