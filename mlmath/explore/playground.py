"""The explorers of chapter 4 that learn: a playground of small networks, and long chains of layers.

Every formula that runs on the page is derived here: a unit and its derivative, the loss and what it asks of the
output, and, from z = aW + b alone, the sums over units and samples by which a gradient goes back through a layer.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp

from mlmath import arguments, data, figures
from mlmath import descent as rules
from mlmath.explore.explorer import Button, Choice, Explorer, Panel, Play, Slider, mark
from mlmath.explore.logistic import labeled
from mlmath.explore.network import ACTIVATIONS
from mlmath.explore.stage import stage
from mlmath.javascript import javascript_loops, numpy_function

_z = sp.Symbol("z", real=True)
UNITS: dict[str, sp.Expr] = {name: ACTIVATIONS[name] for name in ("tanh", "ReLU", "sigmoid")} | {"none": _z}


def layer_program() -> list[str]:
    """Return JavaScript for a batch: through a layer and back, a unit of each kind, the log loss, a step downhill.

    The layer is z_sj = Σ_i W_ij a_si + b_j for sample s. The batch's loss L changes with it as S = Σ_sj d_sj z_sj does,
    where d = ∂L/∂z; the derivatives of S by a, W and b are backpropagation.
    """
    r, n, m = sp.symbols("r n m", integer=True)  # rows, inputs and units
    s, i, j, k = sp.Idx("s", r), sp.Idx("i", n), sp.Idx("j", m), sp.Idx("k", r)
    W, dW = (sp.IndexedBase(name, shape=(n, m)) for name in ("W", "dW"))
    a, slope, before = (sp.IndexedBase(name, shape=(r, n)) for name in ("a", "slope", "before"))
    z, d = (sp.IndexedBase(name, shape=(r, m)) for name in ("z", "d"))
    b, db, w, g, y, losses = (sp.IndexedBase(name) for name in ("b", "db", "w", "g", "y", "losses"))
    term = d[s, j] * (W[i, j] * a[s, i] + b[j])
    back = {
        before[s, i]: slope[s, i] * sp.Sum(sp.diff(term, a[s, i]), j),
        dW[i, j]: sp.Sum(sp.diff(term, W[i, j]), s),
        db[j]: sp.Sum(sp.diff(term, b[j]), s),
    }
    rate, alpha = sp.symbols("rate alpha", real=True)
    one = {name: sp.IndexedBase(name)[k] for name in ("z", "a", "slope", "d")}
    log_loss = sp.log(1 + sp.exp(_z)) - y[k] * _z
    return [
        javascript_loops("weigh", [r, n, m, "W", "b", "a", "z"], {z[s, j]: b[j] + sp.Sum(W[i, j] * a[s, i], i)}),
        javascript_loops("pull", [r, n, m, "W", "a", "slope", "d", "before", "dW", "db"], back),
        javascript_loops(
            "judge",
            [r, "z", "y", "losses", "d"],
            {losses[k]: log_loss.subs(_z, one["z"]) / r, one["d"]: sp.diff(log_loss, _z).subs(_z, one["z"]) / r},
        ),
        javascript_loops("descend", [r, "w", "g", "rate", "alpha"], {w[k]: w[k] - rate * (g[k] + alpha * w[k])}),
        *(
            javascript_loops(
                f"act{kind}",
                [r, "z", "a", "slope"],
                {one["a"]: phi.subs(_z, one["z"]), one["slope"]: sp.diff(phi, _z).subs(_z, one["z"])},
            )
            for kind, phi in enumerate(UNITS.values())
        ),
    ]


def theory_program() -> list[str]:
    """Return JavaScript for the sizes that theory expects in wide layers: one `expect` for each kind of unit.

    With z = σ q u for a standard normal u, a layer turns the size q of its input into √E φ(z)², and a gradient on its
    way back grows by σ √E φ′(z)²; the expectation is a sum over `nodes` with `shares`.
    """
    r, n = sp.symbols("r n", integer=True)
    scale = sp.Symbol("scale", real=True)
    k, i = sp.Idx("k", r), sp.Idx("i", n)
    before, after, growth, nodes, shares = map(sp.IndexedBase, ("before", "after", "growth", "nodes", "shares"))
    here = scale * before[k] * nodes[i]

    def size(f: sp.Expr) -> sp.Expr:
        return sp.sqrt(sp.Sum(shares[i] * f.subs(_z, here) ** 2, i))

    return [
        javascript_loops(
            f"expect{kind}",
            [r, n, scale, "nodes", "shares", "before", "after", "growth"],
            {after[k]: size(phi), growth[k]: scale * size(sp.diff(phi, _z))},
        )
        for kind, phi in enumerate(UNITS.values())
    ]


def _halves(X: np.ndarray, y: np.ndarray) -> dict[str, dict[str, list]]:
    """Return half of the points, shuffled, for training, the others for the test, and all of them as marks."""
    train, test, y_train, y_test = data.hold_out(X, y.astype(int), share=0.5, rng=np.random.default_rng(0))
    marks = {
        f"{name}{k}": part[labels == k].tolist()
        for name, part, labels in (("train", train, y_train), ("test", test, y_test))
        for k in (0, 1)
    }
    return {
        "train": {"X": train.ravel().tolist(), "y": y_train.tolist()},
        "test": {"X": test.ravel().tolist(), "y": y_test.tolist()},
        "marks": marks | {"holes": test.tolist()},
    }


PROBLEMS = {"circle": "circle", "XOR": "xor", "Gaussians": "gaussians", "spiral": "spiral"}
MOST_UNITS, CELLS, EPOCHS = 8, 40, 100_000


def playground(X: Any = None, y: Any = None, *, layers: int = 1, units: int = 4) -> Explorer:
    """Train a small network in the page: its decision field, the field of every unit, and the loss curves.

    X, y: shape (n, 2), of a size near 1, and (n,) of 0 and 1; half of them train, the others test. Without them, four
    classic problems of 200 points. An epoch is one step on all training points, w ← w − η(∂L/∂w + λw); biases know
    no λ.
    """
    layers, units = arguments.count("layers", layers, minimum=0), arguments.count("units", units)
    if X is None and y is None:
        drawn = {}
        for name, problem in PROBLEMS.items():
            X, y = data.two_dimensional(problem, 200, rng=np.random.default_rng(0))
            drawn[name] = X.round(2), y
    else:
        drawn = {"your data": labeled("X", X, y, ndim=2)}
        if np.shape(X)[1] != 2 or len(X) < 4:
            raise ValueError(f"X must have shape (n, 2) with n at least 4, but its shape is {np.shape(X)}")
    reach = 1.1 * max(float(np.abs(points).max()) for points, _ in drawn.values()) or 1.0
    sets = {name: _halves(points, labels) for name, (points, labels) in drawn.items()}
    rng = np.random.default_rng(4)
    shapes = [(2, MOST_UNITS), (MOST_UNITS, MOST_UNITS), (MOST_UNITS, 1)]
    starts = [[rng.normal(size=shape).round(3).tolist() for shape in shapes] for _ in range(6)]
    chosen = next(iter(drawn))

    def plane(axes):
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="x₁", ylabel="x₂")

    def plane_first(axes):
        for name, points in sets[chosen]["marks"].items():
            if name != "holes":
                color = figures.COLORS[int(name[-1])]
                axes.plot(*np.transpose(points), "o", color=color, ms=4, mfc=color if "train" in name else "none")

    def graph(axes):
        axes.set(xlim=(-0.45, 3.45), ylim=(-4.1, 4.1))
        axes.axis("off")

    def graph_first(axes):
        sizes = [2, *[units] * layers, 1]
        pitch = min(1.6, 8 / max(sizes))
        columns = [pitch * ((size - 1) / 2 - np.arange(size)) for size in sizes]
        places = np.linspace(0, 3, len(sizes))
        for (x0, left), (x1, right) in pairwise(zip(places, columns, strict=True)):
            for start in left:
                axes.plot([x0, x1], [np.full(len(right), start), right], color=figures.INK, lw=0.6)
        for x, column in zip(places, columns, strict=True):
            axes.plot(np.full(len(column), x), column, "s", color=figures.COLORS[0], ms=20 * pitch)

    def losses(axes):
        axes.set(xscale="log", xlim=(1, EPOCHS), yscale="log", ylim=(1e-4, 3), xlabel="epoch", ylabel="log loss")
        figures.powers_of_ten(axes.xaxis)
        figures.powers_of_ten(axes.yaxis)
        axes.plot([], color=figures.COLORS[2], label="training")
        axes.plot([], "--", color=figures.COLORS[3], label="test")
        axes.legend(loc="lower left")

    edges = {
        f"{sign}{size}": mark("segments", color, width=width, opacity=0.7)
        for color, sign in enumerate(("minus", "plus"))
        for size, width in enumerate((0.6, 1.6, 3.2))
    }
    nodes = {
        f"unit{layer}_{j}": mark("field") for layer, m in enumerate((2, MOST_UNITS, MOST_UNITS, 1)) for j in range(m)
    }
    return Explorer(
        "playground",
        caption="Press Play. Filled points train, hollow ones test; the plane is colored by what the network answers, "
        "each small square by what one unit says. A thick line is a large weight, orange if positive. Layers are "
        "hidden ones, speed is epochs a frame, and each start draws its own weights.",
        controls={
            "data": Choice(chosen, list(drawn), label="data"),
            "activation": Choice("tanh", list(UNITS), label="activation"),
            "play": Play(),
            "reset": Button("Reset"),
            "layers": Slider(layers, 0, 2, label="layers", step=1, narrow=True),
            "units": Slider(units, 1, MOST_UNITS, label="units", step=1, narrow=True),
            "rate": Slider(0.3, 0.001, 10, label="rate η", log=True, narrow=True),
            "alpha": Slider(0.0, 0, 0.1, label="decay λ", step=0.001, narrow=True),
            "start": Slider(1, 1, len(starts), label="start", step=1, narrow=True),
            "speed": Slider(20, 1, 100, label="speed", step=1, narrow=True),
        },
        panels=[
            Panel(
                "the points and the network's answer everywhere",
                [stage(plane, first_frame=plane_first, figsize=(3.8, 3.6))],
                {
                    "field": mark("field"),
                    **{f"{half}{k}": mark("points", k, width=5.5) for half in ("train", "test") for k in (0, 1)},
                    "holes": mark("points", 8, width=3),
                },
            ),
            Panel(
                "the network: every unit as a picture of what it says",
                [stage(graph, first_frame=graph_first, figsize=(3.8, 3.6))],
                edges | nodes,
            ),
            Panel(
                "training and test loss against the epoch",
                [stage(losses, figsize=(4.4, 2.8))],
                {"losses": mark("path", 2), "test_losses": mark("path", 3, dash="6 3")},
            ),
        ],
        readouts={"epoch": "epoch", "loss": "training loss", "test_loss": "test loss", "accuracy": "right in the test"},
        program=layer_program(),
        data={
            "sets": sets,
            "names": list(UNITS),
            "rests": [float(phi.subs(_z, 0)) for phi in UNITS.values()],
            "xavier": [0 if name == "ReLU" else 1 for name in UNITS],
            "starts": starts,
            "cells": CELLS,
            "reach": reach,
            "most": EPOCHS,
            "largest": rules.LARGEST,
        },
    )


DEEPEST, WIDTH, BATCH = 24, 12, 8


def depth(activation: str = "tanh", *, layers: int = 16, scale: float = 0.7) -> Explorer:
    """Send a signal through many layers and a gradient back: both vanish or explode unless the weights' variance fits.

    A layer has twelve units and weights of variance σ²/12; σ is `scale`. Dashed: what theory expects of wide layers.
    """
    layers, scale, rng = (
        arguments.count("layers", layers),
        arguments.positive("scale", scale),
        np.random.default_rng(11),
    )
    if layers > DEEPEST:
        raise ValueError(f"layers must be at most {DEEPEST}, but it is {layers}")
    draws = rng.normal(size=(DEEPEST + 1) * WIDTH**2).round(2)
    inputs, errors = rng.normal(size=(2, BATCH * WIDTH)).round(2)
    nodes = np.arange(-59.5, 60) / 10
    shares = np.exp(-(nodes**2) / 2)
    phi = numpy_function([_z], UNITS[arguments.one_of("activation", activation, UNITS)])

    def axes_of(ylabel: str, free_corner: str) -> Callable:
        def draw(axes):
            axes.set(xlim=(0, DEEPEST + 1), yscale="log", ylim=(1e-8, 1e8), xlabel="layer l", ylabel=ylabel)
            figures.powers_of_ten(axes.yaxis)
            axes.axhline(1, color=figures.INK, lw=0.5, alpha=0.5)
            axes.plot([], "o-", color=figures.COLORS[0], label="measured")
            axes.plot([], "--", color=figures.COLORS[1], label="theory")
            axes.legend(loc=free_corner)

        return draw

    def forward_first(axes):
        a, sizes = inputs.reshape(BATCH, WIDTH), []
        for W in draws.reshape(-1, WIDTH, WIDTH)[: layers + 1]:
            sizes.append(np.sqrt(np.mean(a**2)))
            a = phi(a @ W * scale / np.sqrt(WIDTH))
        axes.plot(sizes, "o-", color=figures.COLORS[0], ms=4)

    def marks_of(measured: str, theory: str) -> dict[str, dict[str, Any]]:
        return {
            theory: mark("path", 1, dash="6 3"),
            measured: mark("path", 0, width=1.4),
            f"{measured}_dots": mark("points", 0, width=6),
        }

    return Explorer(
        "depth",
        caption="A weight scale a little off multiplies up, layer by layer. Xavier's σ = 1 keeps a tanh signal alive, "
        "He's σ = √2 a ReLU signal; a sigmoid's gradient fades all the same. Size: the root mean square of a layer.",
        controls={
            "activation": Choice(activation, list(UNITS), label="activation"),
            "depth": Slider(layers, 1, DEEPEST, label="hidden layers", step=1),
            "scale": Slider(scale, 0.2, 4, label="weight scale σ", log=True),
            "xavier": Button("Xavier: σ = 1"),
            "he": Button("He: σ = √2"),
        },
        panels=[
            Panel(
                "size of the activations, layer by layer",
                [stage(axes_of("size of the activations", "upper left"), first_frame=forward_first)],
                marks_of("forward", "waves"),
            ),
            Panel(
                "size of the gradients, layer by layer",
                [stage(axes_of("size of the gradients δ", "upper right"))],
                marks_of("backward", "echoes"),
            ),
        ],
        readouts={"forward_factor": "activations, factor a layer", "backward_factor": "gradients, factor a layer"},
        program=[*layer_program(), *theory_program()],
        data={
            "names": list(UNITS),
            "width": WIDTH,
            "draws": draws.tolist(),
            "inputs": inputs.tolist(),
            "errors": errors.tolist(),
            "nodes": nodes.tolist(),
            "shares": (shares / shares.sum()).tolist(),
        },
    )
