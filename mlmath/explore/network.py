"""The explorers of chapter 4: an activation and its neuron, bumps that add up, backpropagation step by step."""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from mlmath import arguments, figures
from mlmath.explore.descent import function_of, interval
from mlmath.explore.explorer import Choice, Control, Explorer, Panel, Play, Slider, handle, mark
from mlmath.explore.regression import limits
from mlmath.explore.stage import stage
from mlmath.javascript import javascript_function, numpy_function

_z, _x, _t = sp.symbols("z x t", real=True)
ACTIVATIONS: dict[str, sp.Expr] = {
    "sigmoid": 1 / (1 + sp.exp(-_z)),
    "tanh": sp.tanh(_z),
    "ReLU": sp.Piecewise((0, _z <= 0), (_z, True)),
    "leaky ReLU": sp.Piecewise((_z / 10, _z <= 0), (_z, True)),
    "softplus": sp.log(1 + sp.exp(_z)),
    "SiLU": _z / (1 + sp.exp(-_z)),
}


def activation(own: Any = None, variable: sp.Symbol = _z) -> Explorer:
    """Look at an activation function, its derivative and its tangent, and at a neuron a = φ(wx + b) made of it.

    own: a SymPy expression in `variable`, which joins the classics under the name "your own".
    """
    choices = dict(ACTIVATIONS)
    if own is not None:
        choices["your own"] = function_of(own, [variable], name="own").subs(variable, _z)
    chosen, reach, more = "tanh" if own is None else "your own", 4.0, sp.symbols("w b", real=True)
    phi = numpy_function([_z], [choices[chosen], sp.diff(choices[chosen], _z)])
    t = np.linspace(-reach, reach, 200)
    value, slope = (np.broadcast_to(part, t.shape) for part in phi(t))
    if not np.isfinite(value).all():
        raise ValueError(f"own must be finite between {-reach:g} and {reach:g}, but it is not everywhere")

    def axes_of(xlabel: str, first: str, second: str) -> Callable:
        def draw(axes):
            axes.set(xlim=(-reach, reach), ylim=(-1.6, 3.1), xlabel=xlabel)
            axes.axhline(0, color=figures.INK, lw=0.5, alpha=0.5)
            axes.axvline(0, color=figures.INK, lw=0.5, alpha=0.5)
            axes.plot([], color=figures.COLORS[0], label=first)
            axes.plot([], "--", color=figures.COLORS[1], label=second)
            axes.legend(loc="upper left")

        return draw

    def curves(axes):
        axes.plot(t, value, color=figures.COLORS[0], lw=2.4)
        axes.plot(t, slope, "--", color=figures.COLORS[1])

    return Explorer(
        "activation",
        caption="Drag the point along the curve: the slope of its tangent is the height of the dashed line. Where that "
        "is near zero, a unit hardly learns. A weight stretches the neuron's curve, a bias shifts it.",
        controls={
            "activation": Choice(chosen, list(choices), label="activation φ"),
            "z": Slider(1.0, -reach, reach, label="pre-activation z", step=0.05),
            "w": Slider(1.0, -4, 4, label="weight w", step=0.1),
            "b": Slider(0.0, -4, 4, label="bias b", step=0.1),
        },
        panels=[
            Panel(
                "the activation, its derivative and a tangent",
                [stage(axes_of("z", "φ(z)", "φ′(z)"), first_frame=curves)],
                {
                    "slope": mark("path", 1, dash="6 3"),
                    "tangent": mark("path", 2, width=1.4),
                    "graph": mark("path", 0, width=2.4),
                    "at": mark("points", 1, width=8),
                    "grip": handle("z", label="pre-activation z", color=3),
                },
            ),
            Panel(
                "the neuron's output against its input",
                [stage(axes_of("x", "a = φ(wx + b)", "da/dx"), first_frame=curves)],
                {"neuron_slope": mark("path", 1, dash="6 3"), "neuron": mark("path", 0, width=2.4)},
            ),
        ],
        readouts={"value": "φ(z)", "derivative": "φ′(z)"},
        program=[
            javascript_function(f"{name}{k}", [(_z, *more), _t], formula)
            for k, phi in enumerate(choices.values())
            for name, formula in unit_formulas(phi, *more).items()
        ],
        data={
            "names": list(choices),
            "given": ["z", "w", "b"],
            "curves": [
                *([name, [-reach, reach], 240] for name in ("graph", "slope", "tangent", "neuron", "neuron_slope")),
                *([name, [0, 0], 0] for name in ("at", "grip")),
            ],
            "readouts": ["value", "derivative"],
        },
    )


def unit_formulas(phi: sp.Expr, w: sp.Symbol, b: sp.Symbol) -> dict[str, Any]:
    """Return what `activation` draws, as points (x, y) that depend on t, and reads out, for φ(z) and φ(wx + b)."""
    slope = sp.diff(phi, _z)
    neuron = phi.subs(_z, w * _t + b)
    return {
        "graph": [_t, phi.subs(_z, _t)],
        "slope": [_t, slope.subs(_z, _t)],
        "tangent": [_t, phi + slope * (_t - _z)],
        "at": [_z, slope],
        "grip": [_z, phi],
        "neuron": [_t, neuron],
        "neuron_slope": [_t, w * slope.subs(_z, w * _t + b)],
        "value": phi,
        "derivative": slope,
    }


def shapes() -> dict[str, sp.Expr]:
    """Return the bumps around m, of width h and height 1, that two steep sigmoids or three ReLUs make.

    Each is an expression in x, m, h and the steepness s.
    """
    x, m, h, s = sp.symbols("x m h s", real=True)
    sigma, ramp = (lambda v: 1 / (1 + sp.exp(-v))), (lambda v: sp.Max(0, v))
    return {
        "sigmoids": sigma(s * ((x - m) / h + sp.S.Half)) - sigma(s * ((x - m) / h - sp.S.Half)),
        "ReLUs": (ramp(x - m + h) - 2 * ramp(x - m) + ramp(x - m - h)) / h,
    }


def bumps(target: Any = None, variable: sp.Symbol = _x, *, xlim: tuple[float, float] = (-3.0, 3.0)) -> Explorer:
    """Approximate a function by a network of one hidden layer, as a sum of bumps, each made of two or three units.

    target: a SymPy expression in `variable`, or a Python function of a number.
    """
    low, high = interval("xlim", xlim)
    if target is None:
        target = sp.sin(2 * variable) + variable / 3
    f = target if callable(target) else numpy_function([variable], function_of(target, [variable], name="target"))
    x, count = np.linspace(low, high, 181), 12
    heights = arguments.real_array("target", [float(f(v)) for v in x], ndim=1)
    ylim, size = limits(heights, 0.25), float(np.ptp(heights)) or 1.0
    symbols = sp.symbols("x m h s", real=True)

    def picture(axes):
        axes.set(xlim=(low, high), ylim=ylim, xlabel=str(variable))
        axes.plot(x, heights, color=figures.INK, lw=1.2, label="target")
        axes.plot([], color=figures.COLORS[1], label="network")
        axes.plot([], color=figures.COLORS[0], lw=1, label="bumps")
        axes.legend(loc="upper left", ncols=3)

    def picture_first(axes):
        middles, h = np.linspace(low, high, count, retstep=True)
        bump = numpy_function(symbols, shapes()["sigmoids"])
        pieces = np.interp(middles, x, heights)[:, None] * bump(x, middles[:, None], h, 20.0)
        axes.plot(x, pieces.T, color=figures.COLORS[0], lw=0.8, alpha=0.7)
        axes.plot(x, pieces.sum(0), color=figures.COLORS[1], lw=2.4)

    def errors(axes):
        axes.set(xscale="log", xlim=(2, 70), yscale="log", ylim=(size * 1e-4, size * 2), xlabel="number of bumps")
        axes.set_ylabel("largest error")
        axes.set_xticks([2, 4, 8, 16, 32, 64], ["2", "4", "8", "16", "32", "64"])
        axes.minorticks_off()
        figures.powers_of_ten(axes.yaxis)

    return Explorer(
        "bumps",
        caption="Two sigmoid units side by side, one switched on and the other off again, make a bump; three ReLUs "
        "make a tent. Bumps next to each other, as high as the target, come as near to it as you like.",
        controls={
            "shape": Choice("sigmoids", list(shapes()), label="bumps made of"),
            "bumps": Slider(count, 2, 64, label="number of bumps", step=1),
            "steepness": Slider(20.0, 2, 200, label="steepness of the sigmoids", log=True),
            "play": Play("bumps", 6),
        },
        panels=[
            Panel(
                "the target, the bumps and their sum",
                [stage(picture, first_frame=picture_first)],
                {"pieces": mark("path", 0, width=1, opacity=0.7), "curve": mark("path", 1, width=2.4)},
            ),
            Panel(
                "largest error against the number of bumps",
                [stage(errors)],
                {"errors": mark("path", 0), "now": mark("points", 1, width=11)},
            ),
        ],
        readouts={"error": "largest error"},
        program=[javascript_function(f"bump{k}", symbols, bump) for k, bump in enumerate(shapes().values())],
        data={
            "shapes": list(shapes()),
            "xlim": [low, high],
            "target": [float(f"{height:.6g}") for height in heights],
            "counts": [2, 3, 4, 6, 8, 12, 16, 32, 64],
        },
    )


# The network 2-2-1 as a drawing: what is given and where it stands, what is found and where, and the edges it uses.
_NODES = {"x1": (0.8, 8.0), "x2": (0.8, 2.0), "a1": (5.0, 8.0), "a2": (5.0, 2.0), "p": (9.2, 5.0)}
_EDGES = {"w11": ("x1", "a1"), "w12": ("x1", "a2"), "w21": ("x2", "a1"), "w22": ("x2", "a2"), "v1": ("a1", "p")}
_EDGES["v2"] = ("a2", "p")
_GIVEN = {
    "x1": (1.0, 0.8, 9.15, "x₁"),
    "x2": (-0.5, 0.8, 0.85, "x₂"),
    "w11": (0.6, 2.9, 8.4, "w₁₁"),
    "w12": (-0.8, 2.95, 6.6, "w₁₂"),
    "w21": (1.2, 2.95, 3.95, "w₂₁"),
    "w22": (0.5, 2.9, 2.4, "w₂₂"),
    "b1": (0.1, 3.4, 9.6, "b₁"),
    "b2": (-0.2, 3.4, 0.95, "b₂"),
    "v1": (1.5, 7.55, 7.6, "v₁"),
    "v2": (-1.0, 7.55, 2.95, "v₂"),
    "c": (0.3, 9.2, 8.65, "c"),
    "y": (1.0, 9.2, 0.3, "y"),
}
_FOUND = [  # name, place, label, where it comes from, its edges
    ("z1", 5.0, 9.95, "z₁", "z₁ = w₁₁x₁ + w₂₁x₂ + b₁", "w11 w21"),
    ("a1", 5.0, 9.2, "a₁", "a₁ = φ(z₁)", "w11 w21"),
    ("z2", 5.0, 0.8, "z₂", "z₂ = w₁₂x₁ + w₂₂x₂ + b₂", "w12 w22"),
    ("a2", 5.0, 0.05, "a₂", "a₂ = φ(z₂)", "w12 w22"),
    ("z", 9.2, 6.6, "z", "z = v₁a₁ + v₂a₂ + c", "v1 v2"),
    ("p", 9.2, 6.05, "p", "p = σ(z)", "v1 v2"),
    ("L", 9.2, 1.05, "L", "L = −y log p − (1 − y) log(1 − p)", ""),
    ("delta", 9.2, 3.9, "δ", "δ = ∂L/∂z = p − y", ""),
    ("dv1", 7.55, 7.05, "", "∂L/∂v₁ = a₁ δ", "v1"),
    ("dv2", 7.55, 2.4, "", "∂L/∂v₂ = a₂ δ", "v2"),
    ("dc", 9.2, 8.05, "", "∂L/∂c = δ", ""),
    ("delta1", 5.3, 6.85, "δ₁", "δ₁ = ∂L/∂z₁ = φ′(z₁) v₁ δ", "v1"),
    ("delta2", 5.3, 3.15, "δ₂", "δ₂ = ∂L/∂z₂ = φ′(z₂) v₂ δ", "v2"),
    ("dw11", 2.9, 7.6, "", "∂L/∂w₁₁ = x₁ δ₁", "w11"),
    ("dw21", 2.95, 3.35, "", "∂L/∂w₂₁ = x₂ δ₁", "w21"),
    ("db1", 3.4, 9.0, "", "∂L/∂b₁ = δ₁", ""),
    ("dw12", 2.95, 6.0, "", "∂L/∂w₁₂ = x₁ δ₂", "w12"),
    ("dw22", 2.9, 1.6, "", "∂L/∂w₂₂ = x₂ δ₂", "w22"),
    ("db2", 3.4, 0.35, "", "∂L/∂b₂ = δ₂", ""),
]
_FORWARD = 7


def two_two_one(phi: sp.Expr) -> tuple[list[sp.Symbol], list[sp.Expr]]:
    """Return what is given to the network 2-2-1 and all that it finds, values first and then the loss's derivatives.

    `phi` is an expression in the symbol z; the output is σ(z) and the loss L = log(1 + exp z) − yz, the log loss.
    """
    given = {name: sp.Symbol(name, real=True) for name in _GIVEN}
    x1, x2, w11, w12, w21, w22, b1, b2, v1, v2, c, y = given.values()
    s, t = sp.symbols("s t", real=True)  # the units' pre-activations, while L is derived by them
    z1, z2 = w11 * x1 + w21 * x2 + b1, w12 * x1 + w22 * x2 + b2
    output = v1 * phi.subs(_z, s) + v2 * phi.subs(_z, t) + c
    outer = sp.log(1 + sp.exp(_z)) - y * _z
    inner = outer.subs(_z, output)
    here = {s: z1, t: z2}
    loss = inner.subs(here)
    slopes = {name: sp.diff(loss, given[name[1:]]) for name, *_ in _FOUND if name.startswith("d") and name[1:] in given}
    found = slopes | {
        "z1": z1,
        "a1": phi.subs(_z, z1),
        "z2": z2,
        "a2": phi.subs(_z, z2),
        "z": output.subs(here),
        "p": (1 / (1 + sp.exp(-_z))).subs(_z, output.subs(here)),
        "L": loss,
        "delta": sp.diff(outer, _z).subs(_z, output.subs(here)),
        "delta1": sp.diff(inner, s).subs(here),
        "delta2": sp.diff(inner, t).subs(here),
    }
    return list(given.values()), [found[name] for name, *_ in _FOUND]


def backprop(activation: str = "tanh", *, step: int = 0) -> Explorer:
    """Step through a network of two inputs, two units and one output: values forward, then gradients backward.

    activation: "tanh", "ReLU" or another of the activations' names; the output is a sigmoid with log loss.
    """
    phi = ACTIVATIONS[arguments.one_of("activation", activation, ACTIVATIONS)]
    symbols, found = two_two_one(phi)
    numbers = numpy_function([symbols], found)([value for value, *_ in _GIVEN.values()])
    lines = {}
    for name, ends in _EDGES.items():  # from the rim of one circle to the rim of the other
        tail, head = (np.array(_NODES[end]) for end in ends)
        rim = 0.52 * (head - tail) / np.linalg.norm(head - tail)
        lines[name] = [*(tail + rim).round(3).tolist(), *(head - rim).round(3).tolist()]

    def graph(axes):
        axes.set(xlim=(-0.3, 10.3), ylim=(-0.4, 10.4))
        axes.axis("off")
        for x0, y0, x1, y1 in lines.values():
            axes.plot([x0, x1], [y0, y1], color=figures.INK, lw=0.8, alpha=0.5)
        for (x, y), label in zip(_NODES.values(), ("x₁", "x₂", "φ", "φ", "σ"), strict=True):
            axes.plot(x, y, "o", ms=27, mfc="none", mec=figures.INK, mew=1.2)
            axes.text(x, y, label, ha="center", va="center")

    def graph_first(axes):
        for value, x, y, label in _GIVEN.values():
            axes.text(x, y, f"{label} {value:g}".replace("-", "−"), ha="center", va="center", fontsize=10)
        for k, (value, (_, x, y, label, *_)) in enumerate(zip(numbers, _FOUND, strict=True)):
            color = figures.COLORS[0 if k < _FORWARD else 1]
            text = f"{label} {value:.3g}".strip().replace("-", "−")
            axes.text(x, y, text, ha="center", va="center", fontsize=10, color=color)

    controls: dict[str, Control] = {
        "step": Slider(arguments.whole("step", step), 0, len(_FOUND), label="step", step=1),
        "play": Play("step", 14),
    }
    for name, (value, _, _, label) in _GIVEN.items():
        whole = name == "y"
        low, high = (0, 1) if whole else (-2, 2)
        controls[name] = Slider(value, low, high, label=label, step=1 if whole else 0.1, narrow=True)
    return Explorer(
        "backprop",
        caption="Press Play: values run forward (blue), then the derivatives of the loss run backward (orange), each "
        "from what is already there. Below a weight or bias stands the derivative of L by it.",
        controls=controls,
        panels=[
            Panel(
                "the network as a graph, with its values and gradients",
                [stage(graph, first_frame=graph_first, figsize=(4.3, 4.3))],
                {
                    "lit": mark("segments", 3, width=3, opacity=0.5),
                    "now": mark("points", 3, width=30, opacity=0.18),
                    "given": mark("texts"),
                    "forward": mark("texts", 0),
                    "backward": mark("texts", 1),
                },
            )
        ],
        readouts={"p": "p", "loss": "loss L", "says": "this step"},
        program=[javascript_function("network", [symbols], found)],
        data={
            "inputs": [[name, x, y, label] for name, (_, x, y, label) in _GIVEN.items()],
            "found": [[x, y, label] for _, x, y, label, _, _ in _FOUND],
            "forward": _FORWARD,
            "says": ["the inputs, weights and biases are given", *(rule for *_, rule, _ in _FOUND)],
            "lit": [[], *([lines[edge] for edge in edges.split()] for *_, edges in _FOUND)],
        },
    )
