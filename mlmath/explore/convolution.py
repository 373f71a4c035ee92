"""The first explorer of chapter 5: a kernel that slides over an image.

All that runs on the page is a sum over indices, written here in SymPy and printed as loops: the correlation, and its
terms at one place.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from mlmath import arguments, data, figures
from mlmath.convolution import correlate
from mlmath.explore.explorer import Choice, Control, Explorer, Panel, Play, Slider, mark
from mlmath.explore.stage import stage
from mlmath.javascript import javascript_function, javascript_loops

INK, POSITIVE = 4, 1  # colors of what is written on paper, and of positive numbers


def painted(values: np.ndarray, color: int = POSITIVE) -> np.ndarray:
    """Return an image (h, w) of numbers in [-1, 1] as (h, w, 4), as a "field" is painted: negative ones are blue."""
    pixels = np.empty((*values.shape, 4))
    rgb = np.array([list(bytes.fromhex(figures.COLORS[c][1:])) for c in (0, color)]) / 255
    pixels[..., :3] = rgb[(values >= 0).astype(int)]
    pixels[..., 3] = 0.85 * np.clip(np.abs(values), 0, 1)
    return pixels


def show_image(axes: Any, values: np.ndarray, extent: tuple[float, float, float, float], color: int = POSITIVE) -> None:
    """Paint `values` on axes, between (left, right, bottom, top)."""
    xlim, ylim = axes.get_xlim(), axes.get_ylim()
    axes.imshow(painted(values, color), extent=extent, interpolation="nearest")
    axes.set(xlim=xlim, ylim=ylim)


def bare(axes: Any, xlim: tuple[float, float], ylim: tuple[float, float], title: str) -> None:
    """Lay out axes that show nothing of their own but a title: x to the right, y down, in equal units."""
    axes.set(xlim=xlim, ylim=ylim[::-1], aspect="equal", title=title)
    axes.axis("off")


MOST_PADDING, MOST_STRIDE, MOST_DILATION = 2, 3, 3
KERNELS: dict[str, list[float]] = {  # row by row
    "vertical edges (Sobel)": [-1, 0, 1, -2, 0, 2, -1, 0, 1],
    "horizontal edges (Sobel)": [-1, -2, -1, 0, 0, 0, 1, 2, 1],
    "all edges (Laplace)": [-1, -1, -1, -1, 8, -1, -1, -1, -1],
    "blur": [1 / 9] * 9,
    "sharpen": [0, -1, 0, -1, 5, -1, 0, -1, 0],
    "identity": [0, 0, 0, 0, 1, 0, 0, 0, 0],
    "one to the left": [0, 0, 0, 0, 0, 1, 0, 0, 0],
}


def kernel_program() -> list[str]:
    """Return JavaScript for a 3 × 3 kernel W on an image of h × w pixels: what it computes and where that is drawn.

    `slide` is the correlation y_uv = Σ_ij W_ij x_{su + di, sv + dj} on the image x that `pad` surrounds by p rows and
    columns of 0; `look` gives the nine pixels under the kernel at one place, and its nine products.
    """
    h, w, p, s, d, m, n, u, v = sp.symbols("h w p s d m n u v", integer=True)
    r, c = sp.Idx("r", h + 2 * p), sp.Idx("c", w + 2 * p)
    i, j = sp.Idx("i", 3), sp.Idx("j", 3)
    U, V = sp.Idx("U", m), sp.Idx("V", n)
    W, seen, products = (sp.IndexedBase(name, shape=(3, 3)) for name in ("W", "seen", "products"))
    pixels, y = sp.IndexedBase("pixels", shape=(h, w)), sp.IndexedBase("y", shape=(m, n))
    x = sp.IndexedBase("x", shape=(h + 2 * p, w + 2 * p))

    def under(u: sp.Expr, v: sp.Expr) -> sp.Expr:
        return x[s * u + d * i, s * v + d * j]

    size = sp.floor((h + 2 * p - d * 2 - 1) / s) + 1
    inside = sp.And(r >= p, r < p + h, c >= p, c < p + w)

    def corners(left: Any, bottom: Any, right: Any, top: Any) -> list[list[Any]]:
        return [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]

    def square(column: sp.Expr, row: sp.Expr) -> list[sp.Expr]:
        return [column - half, row - half, row + half, sp.S.One]

    half = sp.S.Half
    image = [-half, h - half, w - half, -half]
    ring = corners(-half - p, h - half + p, w - half + p, -half - p)
    cells = [square(s * v + d * b - p, s * u + d * a - p) for a in range(3) for b in range(3)]
    left, top = (w - n) / 2, (h - m) / 2  # the output in the middle, its pixels as large as the image's
    output = [left - half, top + m - half, left + n - half, top - half]
    places = [image, ring, cells, output, corners(*output), [square(left + v, top + u)]]
    return [
        javascript_function("size", [h, s, p, d], size),
        javascript_function("places", [h, w, s, p, d, m, n, u, v], places),
        javascript_loops("pad", [h, w, p, "pixels", "x"], {x[r, c]: within(inside, pixels[r - p, c - p])}),
        javascript_loops("slide", [w, s, p, d, m, n, "W", "x", "y"], {y[U, V]: sp.Sum(W[i, j] * under(U, V), i, j)}),
        javascript_loops(
            "look",
            [w, s, p, d, u, v, "W", "x", "seen", "products"],
            {seen[i, j]: under(u, v), products[i, j]: W[i, j] * under(u, v)},
        ),
    ]


def within(condition: Any, value: sp.Expr, otherwise: Any = 0) -> sp.Expr:
    """Return `value` where the condition holds, `otherwise` elsewhere."""
    return sp.Piecewise((value, condition), (otherwise, True))


def convolution(
    image: Any = None, *, kernel: str = "vertical edges (Sobel)", stride: int = 1, padding: int = 0, dilation: int = 1
) -> Explorer:
    """Slide a 3 × 3 kernel over an image, pixel by pixel, with its nine products and their sum.

    image: shape (h, w), 5 to 32 pixels each way; without it, ten digits of the data set. `kernel` is the one to start
    with, one of those that the explorer offers.
    """
    if image is None:
        X, y = data.digits().X, data.digits().y
        images = {f"digit {k}": X[y == k][0].reshape(8, 8) for k in (3, 0, 1, 2, 4, 5, 6, 7, 8, 9)}
    else:
        images = {"your image": arguments.real_array("image", image, ndim=2).astype(float)}
    chosen, x = next(iter(images.items()))
    h, w = x.shape
    if not 5 <= min(h, w) <= max(h, w) <= 32:
        raise ValueError(f"image must have 5 to 32 rows and columns, but its shape is {x.shape}")
    weights = KERNELS[arguments.one_of("kernel", kernel, KERNELS)]
    names = [f"w{i}{j}" for i in range(3) for j in range(3)]
    margin = MOST_PADDING + 0.6
    figsize = (3.4, 0.3 + 3.3 * (h - 1 + 2 * margin) / (w - 1 + 2 * margin))
    longest = (h + 2 * MOST_PADDING - 2) * (w + 2 * MOST_PADDING - 2)
    most = np.abs(x).max() or 1.0

    y = correlate(x.reshape(1, h, w, 1), np.reshape(weights, (3, 3, 1, 1)))[0, :, :, 0]

    def plane(title: str) -> Callable:
        return lambda axes: bare(axes, (-margin, w - 1 + margin), (-margin, h - 1 + margin), title)

    def rectangle(axes, left, top, right, bottom, color=figures.INK, lw=0.6):
        axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=color, lw=lw)

    def image_stage(axes):
        plane("image")(axes)
        rectangle(axes, -0.5, -0.5, w - 0.5, h - 0.5)

    def image_first(axes):
        show_image(axes, x / most, (-0.5, w - 0.5, h - 0.5, -0.5), INK)
        rectangle(axes, -0.5, -0.5, 2.5, 2.5, figures.COLORS[3], 1.6)

    def output_first(axes):
        show_image(axes, y / (np.abs(y).max() or 1.0), (0.5, w - 1.5, h - 1.5, 0.5))
        rectangle(axes, 0.5, 0.5, w - 1.5, h - 1.5)
        rectangle(axes, 0.5, 0.5, 1.5, 1.5, figures.COLORS[3], 1.6)

    def products_stage(axes):
        bare(axes, (-0.6, 2.6), (-0.6, 3.3), "pixels × weights")
        for k in range(4):
            axes.plot([k - 0.5, k - 0.5], [-0.5, 2.5], color=figures.INK, lw=0.6)
            axes.plot([-0.5, 2.5], [k - 0.5, k - 0.5], color=figures.INK, lw=0.6)

    def products_first(axes):
        def write(column, row, text, size, color=figures.INK):
            axes.text(column, row, text.replace("-", "−"), ha="center", va="center", fontsize=size, color=color)

        for k, (pixel, weight) in enumerate(zip(x[:3, :3].ravel(), weights, strict=True)):
            write(k % 3, k // 3 - 0.2, f"{pixel:.3g} × {weight:.3g}", 8.5)
            write(k % 3, k // 3 + 0.2, f"{pixel * weight + 0:.3g}", 13)
        write(1, 2.85, f"sum {y[0, 0]:.3g}", 14, figures.COLORS[3])

    controls: dict[str, Control] = {
        "image": Choice(chosen, list(images), label="image"),
        "kernel": Choice(
            kernel,
            list(KERNELS),
            label="kernel to start from",
            along={name: dict(zip(names, W, strict=True)) for name, W in KERNELS.items()},
        ),
        "stride": Slider(arguments.whole("stride", stride), 1, MOST_STRIDE, label="stride s", step=1, narrow=True),
        "padding": Slider(arguments.whole("padding", padding), 0, MOST_PADDING, label="padding p", step=1, narrow=True),
        "dilation": Slider(
            arguments.whole("dilation", dilation),
            1,
            min(MOST_DILATION, (min(h, w) - 1) // 2),
            label="dilation d",
            step=1,
            narrow=True,
        ),
        "play": Play("step", longest / 8),
        "step": Slider(1, 1, longest, label="step", step=1),
    }
    for name, weight in zip(names, weights, strict=True):
        label = "w" + name[1:].translate(str.maketrans("012", "₀₁₂"))
        controls[name] = Slider(weight, -8, 8, label=label, step=0.5, narrow=True)
    return Explorer(
        "convolution",
        caption="The kernel stands on nine pixels of the image; each is multiplied by its weight, and the sum is one "
        "pixel of the output: orange if positive, blue if negative. Press Play; then see how stride, padding (the "
        "dashed frame, full of zeros) and dilation change the output. After its last place the kernel starts again.",
        controls=controls,
        panels=[
            Panel(
                "the image with the pixels under the kernel outlined",
                [stage(image_stage, first_frame=image_first, figsize=figsize)],
                {
                    "image": mark("field", 0, other=INK, crisp=True),
                    "ring": mark("path", 7, width=1, dash="4 3", opacity=0.6),
                    "under": mark("squares", 3, width=1.8),
                },
            ),
            Panel(
                "the output with the pixel that is computed outlined",
                [stage(plane("output"), first_frame=output_first, figsize=figsize)],
                {
                    "output": mark("field", crisp=True),
                    "edge": mark("path", 7, width=0.8),
                    "now": mark("squares", 3, width=1.8),
                },
            ),
            Panel(
                "the nine pixels, each times its weight, and their sum",
                [stage(products_stage, first_frame=products_first, figsize=(3.2, 3.6))],
                {
                    "products": mark("field", crisp=True),
                    "factors": mark("texts", width=8.5),
                    "results": mark("texts", width=13),
                    "sum": mark("texts", 3, width=14),
                },
            ),
        ],
        readouts={"size": "output size", "place": "output pixel at", "sum": "the sum"},
        program=kernel_program(),
        data={
            "images": {name: pixels.ravel().tolist() for name, pixels in images.items()},
            "shape": [h, w],
            "kernel": names,
        },
    )
