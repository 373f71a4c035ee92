"""The second explorer of chapter 5: draw a digit, and see what every layer of a network makes of it.

A drawing has 32 × 32 dots, as the scans had from which the data set was made; the network sees how many dots of each
block of 4 × 4 hold ink.
"""

import base64
import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from mlmath import arguments, data, figures
from mlmath.convolution import Conv2D, Flatten, MaxPool2D, shifted
from mlmath.descent import Adam
from mlmath.explore.convolution import INK, POSITIVE, bare, show_image, within
from mlmath.explore.explorer import Button, Choice, Drawing, Explorer, Panel, Point, Switch, handle, mark
from mlmath.explore.layers import BLOCK, SIDE, Step, array, outputs_of, steps_of
from mlmath.explore.stage import stage
from mlmath.javascript import javascript_loops
from mlmath.network import Dense, Dropout, ReLU, Sequential, softmax_cross_entropy
from mlmath.training import train

PEN = 2.1  # half the width of a stroke, in dots: as wide as most strokes of the data set
MOST_MISREAD = 20


def dots(counts: np.ndarray) -> np.ndarray:
    """Return a drawing (32, 32) of 0 and 1 whose blocks of 4 × 4 dots hold `counts` (8, 8) dots of ink, 0 to 16.

    A block is inked where most ink is around, first by the gray of the blocks, then six times by the dots found so
    far: of equals the first, row by row. Strokes come out much as they must have been.
    """
    place, size = np.arange(SIDE), SIDE // BLOCK
    near = np.exp(-(((place[:, np.newaxis] - place) / 1.5) ** 2) / 2)
    drawing = np.kron(counts, np.ones((BLOCK, BLOCK)))
    for _ in range(7):
        around = (near @ drawing @ near).round(6).reshape(size, BLOCK, size, BLOCK).swapaxes(1, 2)
        order = np.argsort(-around.reshape(size, size, -1), axis=2, kind="stable")
        inked = np.argsort(order, axis=2) < counts[..., np.newaxis]
        drawing = inked.reshape(size, size, BLOCK, BLOCK).swapaxes(1, 2).reshape(SIDE, SIDE).astype(int)
    return drawing


def stroke_program() -> str:
    """Return JavaScript for a stroke from (x0, y0) to (x1, y1): each dot less than `width` away from it becomes `ink`.

    A dot's nearest point of the stroke lies at the share t of the way, its projection, if that is on the way.
    """
    x0, y0, x1, y1, width, ink = sp.symbols("x0 y0 x1 y1 width ink", real=True)
    r, c = sp.Idx("r", SIDE), sp.Idx("c", SIDE)
    before, after = (array(name, (SIDE, SIDE)) for name in ("before", "after"))
    a, b = c + sp.S.Half - x0, r + sp.S.Half - y0
    along = a * (x1 - x0) + b * (y1 - y0)
    t = sp.Max(0, sp.Min(1, along / ((x1 - x0) ** 2 + (y1 - y0) ** 2 + sp.Float(1e-12))))
    gap = (a - t * (x1 - x0)) ** 2 + (b - t * (y1 - y0)) ** 2
    return javascript_loops(
        "stroke",
        [x0, y0, x1, y1, width, ink, "before", "after"],
        {after[r, c]: within(gap < width**2, ink, before[r, c])},
    )


@dataclass(frozen=True)
class Montage:
    """The picture of a layer's output: its maps side by side, a gap of one pixel after each, in a box of the panel."""

    layer: int
    title: str
    shape: tuple[int, int, int]  # of a map, and how many there are
    left: float
    top: float

    @property
    def grid(self) -> tuple[int, int]:
        """Return how many rows and columns of maps there are."""
        columns = math.ceil(math.sqrt(self.shape[2]))
        return math.ceil(self.shape[2] / columns), columns

    @property
    def pixels(self) -> tuple[int, int]:
        """Return how many rows and columns of pixels there are."""
        (rows, columns), (h, w, _) = self.grid, self.shape
        return rows * (h + 1), columns * (w + 1)

    @property
    def unit(self) -> float:
        """Return the size of a pixel, for which all maps fill a square of side 10."""
        return 10 / (max(self.pixels) - 1)

    @property
    def box(self) -> list[float]:
        """Return where the picture is, [left, bottom, right, top]."""
        rows, columns = self.pixels
        return [self.left, self.top + rows * self.unit, self.left + columns * self.unit, self.top]

    def frames(self) -> list[tuple[float, float, float, float]]:
        """Return the place (left, top, width, height) of each map."""
        (_, columns), (h, w, n), unit = self.grid, self.shape, self.unit
        return [
            (
                self.left + k % columns * (w + 1) * unit,
                self.top + k // columns * (h + 1) * unit,
                w * unit,
                h * unit,
            )
            for k in range(n)
        ]

    def arranged(self, output: np.ndarray) -> np.ndarray:
        """Return the output of the layer for one image, (h, w, n) or (n,), as one picture."""
        (rows, columns), (h, w, n) = self.grid, self.shape
        maps = np.zeros((h + 1, w + 1, rows * columns))
        maps[:h, :w, :n] = output.reshape(h, w, n)
        return maps.reshape(h + 1, w + 1, rows, columns).transpose(2, 0, 3, 1).reshape(self.pixels)

    def program(self, name: str) -> str:
        """Return JavaScript that arranges the output x of the layer in `picture`; the gaps stay as they are."""
        (rows, columns), (h, w, n) = self.grid, self.shape
        r, i, c, j = sp.Idx("r", rows), sp.Idx("i", h), sp.Idx("c", columns), sp.Idx("j", w)
        k = columns * r + c
        value = within(k < n, array("x", (h, w, n))[i, j, k])
        return javascript_loops(
            name, ["x", "picture"], {array("picture", (rows, h + 1, columns, w + 1))[r, i, c, j]: value}
        )


def montages(steps: list[Step]) -> list[Montage]:
    """Return a picture for each layer, after its activation if it has one; the probabilities have their own panel."""
    shown: list[tuple[int, str]] = []
    for k, step in enumerate(steps[:-1]):
        if step.name in ("ReLU", "tanh", "sigmoid") and shown:
            shown[-1] = k, f"{shown[-1][1]}, {step.name}"
        elif step.name != "padding" and k < len(steps) - 2:
            shown.append((k, step.name))
    pictures = []
    for place, (k, name) in enumerate(shown):
        shape = steps[k].shape
        h, w, n = shape if len(shape) == 3 else (1, 1, *shape)
        size = f"{h} × {w}" if n == 1 else f"{n} maps of {h} × {w}" if h * w > 1 else f"{n} units"
        pictures.append(Montage(k + 1, f"{name}\n{size}", (h, w, n), 11.5 * (place % 2), 13.2 * (place // 2)))
    return pictures


@cache
def digits_network() -> Sequential:
    """Return the chapter's network, trained by the chapter's recipe on three quarters of the digits."""
    rng, held = np.random.default_rng(0), data.digits()
    X, _, y, _ = data.hold_out(held.X, held.y, rng=np.random.default_rng(0))
    X = X.reshape(-1, 8, 8, 1) / 16
    network = Sequential(
        Conv2D(1, 16, 3, padding=1, rng=rng, dtype=np.float32),
        ReLU(),
        MaxPool2D(),
        Conv2D(16, 32, 3, padding=1, rng=rng, dtype=np.float32),
        ReLU(),
        Flatten(),
        Dropout(0.5),
        Dense(512, 10, rng=rng, dtype=np.float32),
    )
    moves = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
    X, y = np.concatenate([shifted(X, *move) for move in moves]), np.tile(y, len(moves))
    for epochs, rate in [(7, 0.004), (3, 0.0005)]:
        train(network, X, y, softmax_cross_entropy, Adam(rate), epochs=epochs, batch_size=64, rng=rng, alpha=1e-4)
    return network


def _gallery(X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the reader's test digits, or the book's fixed quarter, as images (n, 8, 8, 1) and classes."""
    if X is None and y is None:
        known = data.digits()
        _, X, _, y = data.hold_out(known.X, known.y, rng=np.random.default_rng(0))
        return X.reshape(-1, 8, 8, 1) / 16, y
    X, y = arguments.real_array("X", X), arguments.real_array("y", y, ndim=1)
    if X.shape[1:] != (8, 8, 1) or not np.isin(16 * X, np.arange(17)).all():
        raise ValueError(f"X must hold images (n, 8, 8, 1) of 0, 1/16, …, 1, but its shape is {X.shape}")
    arguments.same_length("X", X, "y", y)
    if not np.isin(y, np.arange(10)).all():
        raise ValueError(f"y must hold digits 0 to 9, but it holds {np.unique(y)[:5]}")
    return X, y.astype(int)


def draw_a_digit(network: Sequential | None = None, X: Any = None, y: Any = None) -> Explorer:
    """Draw a digit and see what every layer of a network makes of it, and the ten probabilities.

    network: from images (n, 8, 8, 1) to ten logits (n, 10), made of Conv2D, MaxPool2D, Dense, ReLU, Tanh, Sigmoid,
    Flatten and Dropout; without it, the chapter's own is trained, in a second or two. Its weights go along as float32.
    X (n, 8, 8, 1), y (n,): test digits for the gallery, pixels in sixteenths; without them, the book's fixed quarter.
    `drawing` holds 32 × 32 dots, 0 or 1; as the data set was made, the dots of each block of 4 × 4 are counted, and
    the counts, divided by 16, are the network's input.
    """
    network = digits_network() if network is None else network
    steps = steps_of(network)
    X, y = _gallery(X, y)
    outputs = outputs_of(network, X)
    read = outputs[-1].argmax(axis=1)
    right = {
        f"{k}": int(np.flatnonzero((y == k) & (read == k))[0]) for k in range(10) if ((y == k) & (read == k)).any()
    }
    wrong = np.flatnonzero(y != read)[:MOST_MISREAD]
    rows = right | {f"misread {n}: a {y[i]}, read as {read[i]}": int(i) for n, i in enumerate(wrong, 1)}
    gallery = {name: dots(16 * X[i, :, :, 0]) for name, i in rows.items()}
    chosen = "3" if "3" in gallery else next(iter(gallery))
    first = [output[rows[chosen]] for output in outputs]
    pictures = montages(steps)
    tops = [1.0, *(float(np.quantile(np.abs(outputs[p.layer - 1]), 0.995)) or 1.0 for p in pictures[1:])]
    width, height = (21.5 if len(pictures) > 1 else 10), 13.2 * math.ceil(len(pictures) / 2)

    weights: list[np.ndarray] = [np.zeros(0, "<f4")]
    starts: list[list[int]] = []
    for step in steps:
        starts.append([])
        for w in step.parameters or ((), ()):
            starts[-1].append(sum(map(len, weights)))
            weights.append(np.ravel(w).astype("<f4"))

    def paper(axes):
        bare(axes, (0, SIDE), (0, SIDE), "your drawing")
        for k in range(0, SIDE + 1, BLOCK):
            style = {"color": figures.INK, "lw": 0.4 if k % SIDE else 1.0, "alpha": 0.35 if k % SIDE else 1.0}
            axes.plot([k, k], [0, SIDE], **style)
            axes.plot([0, SIDE], [k, k], **style)

    def paper_first(axes):
        show_image(axes, gallery[chosen], (0, SIDE, SIDE, 0), INK)

    def layers(axes):
        bare(axes, (-0.2, width + 0.2), (-3, height - 3), "")
        for picture in pictures:
            axes.text(picture.left + 5, picture.top - 0.3, picture.title, ha="center", va="bottom", fontsize=9.5)
            for left, top, w, h in picture.frames():
                corners = [left, left + w, left + w, left, left], [top, top, top + h, top + h, top]
                axes.plot(*corners, color=figures.INK, lw=0.4, alpha=0.5)

    def layers_first(axes):
        for k, (picture, top) in enumerate(zip(pictures, tops, strict=True)):
            left, bottom, right, above = picture.box
            values = picture.arranged(first[picture.layer - 1]) / top
            show_image(axes, values, (left, right, bottom, above), POSITIVE if k else INK)

    def bars(axes):
        axes.set(xlim=(-0.7, 9.7), ylim=(0, 1.05), xlabel="digit", ylabel="probability", xticks=range(10))

    def bars_first(axes):
        colors = [figures.COLORS[int(k == first[-1].argmax())] for k in range(10)]
        axes.bar(range(10), first[-1], width=0.6, color=colors)

    return Explorer(
        "draw-a-digit",
        caption="Draw in the first picture, as large as it is: with the mouse, a pen or a finger; or let the Tab "
        "key bring you to the pen, and draw with the arrow keys (Shift takes larger steps). The network sees 8 × 8 "
        "counts of dots; every layer's maps answer at once, in a stronger color for more. The digits to choose from "
        "were not trained on.",
        controls={
            "gallery": Choice(
                chosen,
                list(gallery),
                label="a digit of the test set",
                along={name: {"drawing": drawing.tolist()} for name, drawing in gallery.items()},
            ),
            "drawing": Drawing(gallery[chosen].tolist()),
            "pen": Point([SIDE / 2, SIDE / 2]),
            "clear": Button("Clear"),
            "undo": Button("Undo"),
            "erase": Switch(False, label="erase"),
            "down": Switch(True, label="arrow keys draw"),
        },
        panels=[
            Panel(
                "the drawing, 32 by 32 dots",
                [stage(paper, first_frame=paper_first, figsize=(3.6, 3.8))],
                {
                    "ink": mark("field", 0, other=INK, crisp=True),
                    "pen": handle("pen", label="pen", color=3, draws="draw"),
                },
            ),
            Panel(
                "what each layer of the network says",
                [stage(layers, first_frame=layers_first, figsize=(3.6, 3.6 * height / width))],
                {
                    f"picture{k}": mark("field", 0, other=POSITIVE if k else INK, crisp=True)
                    for k, _ in enumerate(pictures)
                },
            ),
            Panel(
                "the probability of each digit",
                [stage(bars, first_frame=bars_first, figsize=(4.4, 2.4))],
                {"bars": mark("segments", 0, width=16), "best": mark("segments", 1, width=16)},
            ),
        ],
        readouts={"best": "read as", "next": "or"},
        program=[
            *(javascript_loops(f"step{k}", ["W", "b", "x", "y"], step.assignments) for k, step in enumerate(steps)),
            *(picture.program(f"picture{k}") for k, picture in enumerate(pictures)),
            stroke_program(),
        ],
        data={
            "side": SIDE,
            "pen": PEN,
            "sizes": [SIDE**2, *(math.prod(step.shape) for step in steps)],
            "starts": starts,
            "weights": base64.b64encode(np.concatenate(weights).tobytes()).decode(),
            "pictures": [
                {
                    "layer": picture.layer,
                    "rows": picture.pixels[0],
                    "columns": picture.pixels[1],
                    "most": top,
                    "box": picture.box,
                }
                for picture, top in zip(pictures, tops, strict=True)
            ],
        },
    )
