"""The explorers of chapter 2: one step at a time, a bowl, a race of optimizers, stochastic descent."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp

from mlmath import arguments, figures
from mlmath import descent as rules
from mlmath.explore.explorer import Button, Choice, Control, Explorer, Panel, Play, Point, Slider, Switch, handle, mark
from mlmath.explore.regression import bmi_and_progression, column, limits, line_program, paired
from mlmath.explore.stage import stage
from mlmath.javascript import javascript_function, javascript_loops, numpy_function


def function_of(loss: Any, variables: Sequence[sp.Symbol], *, name: str = "loss") -> sp.Expr:
    """Return the reader's `loss`, or what else its `name` is, as an expression in nothing but `variables`."""
    if not all(isinstance(variable, sp.Symbol) for variable in variables):
        named = "variable must be a SymPy symbol" if len(variables) == 1 else "variables must be SymPy symbols"
        raise TypeError(f"{named}, but found {variables!r}")
    try:
        expr = sp.sympify(loss)
    except sp.SympifyError:
        expr = None
    if not getattr(expr, "is_scalar", False):
        raise TypeError(f"{name} must be a SymPy expression, but it is {loss!r}")
    others = expr.free_symbols - set(variables)
    if others:
        raise ValueError(
            f"{name} must depend on {', '.join(map(str, variables))} only, but it has {sorted(map(str, others))}"
        )
    return expr


def interval(name: str, value: Any) -> tuple[float, float]:
    """Return `value` as a pair of floats, the lower first."""
    low, high = arguments.real_array(name, value, ndim=1).tolist() if np.size(value) == 2 else (np.nan, np.nan)
    if not low < high:
        raise ValueError(f"{name} must be a pair (low, high) with low < high, but it is {value!r}")
    return low, high


def curve_limits(curve: Callable, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points between `low` and `high` and the values there of `curve`, which must have some."""
    x = np.linspace(low, high, 300)
    with np.errstate(all="ignore"):
        values = np.broadcast_to(curve(x), x.shape)
    if not np.isfinite(values).any():
        raise ValueError("loss must be finite somewhere between the limits, but it is nowhere")
    return x, values


def rate_1d(
    loss: Any = None,
    variable: sp.Symbol | None = None,
    *,
    start: float = 2.5,
    rate: float = 0.3,
    xlim: tuple[float, float] = (-3.0, 3.0),
) -> Explorer:
    """Descend a function of one variable: the tangent at each iterate and the step that it asks for.

    loss: a SymPy expression in `variable`; without it, w²/2, whose curvature is 1.
    """
    if loss is None:
        variable = sp.Symbol("w")
        loss = variable**2 / 2
    loss, (low, high) = function_of(loss, [variable]), interval("xlim", xlim)
    value, slope = numpy_function([variable], loss), numpy_function([variable], sp.diff(loss, variable))
    x, curve = curve_limits(value, low, high)
    ylim = limits(curve[np.isfinite(curve)], 0.15)
    steps = 40
    run = rules.minimize(
        value, slope, arguments.real("start", start), rules.GradientDescent(rate), steps=3, tolerance=1e-300
    )

    def hill(axes):
        axes.set(xlim=(low, high), ylim=ylim, xlabel=str(variable), ylabel="loss")
        axes.plot(x, curve, color=figures.INK, lw=1.2)
        axes.plot([], color=figures.COLORS[1], label="tangent")
        axes.plot([], "--", color=figures.COLORS[2], label="next step")
        axes.legend(loc="upper center")

    def hill_first(axes):
        axes.plot(run.iterates, run.losses, "o-", color=figures.COLORS[0], lw=1.2, ms=4)

    def losses(axes):
        axes.set(xlim=(0, steps), ylim=ylim, xlabel="step", ylabel="loss")

    def losses_first(axes):
        axes.plot(run.losses, "o-", color=figures.COLORS[0], lw=1.2, ms=4)

    return Explorer(
        "rate-1d",
        caption="Drag the start. Small rates creep, larger ones stride, still larger ones jump across the valley, "
        "and past a limit each jump ends higher than the last.",
        controls={
            "rate": Slider(rate, min(0.01, rate), max(3, rate), label="learning rate η", step=0.01),
            "steps": Slider(3, 0, steps, label="steps", step=1),
            "start": Slider(start, low, high, label=f"start {variable}₀"),
            "play": Play("steps", 5),
        },
        panels=[
            Panel(
                "the loss with the iterates, the tangent at the last one and the next step",
                [stage(hill, first_frame=hill_first)],
                {
                    "path": mark("path", 0, width=1.2),
                    "tangent": mark("path", 1, width=2),
                    "next": mark("path", 2, width=2, dash="5 3"),
                    "iterates": mark("points", 0, width=7),
                    "last": mark("points", 1, width=10),
                    "grip": handle("start", label="start", color=3),
                },
            ),
            Panel(
                "loss at each step",
                [stage(losses, first_frame=losses_first)],
                {"losses": mark("path", 0), "dots": mark("points", 0, width=6)},
            ),
        ],
        readouts={"x": f"{variable}", "loss": "loss", "slope": "slope", "verdict": "the run"},
        program=[
            javascript_function("loss", [variable], loss),
            javascript_function("slope", [variable], sp.diff(loss, variable)),
        ],
        data={"xlim": [low, high], "largest": rules.LARGEST},
    )


def bowl(kappa: float = 10.0, *, start: Any = (-9.0, 4.0)) -> Explorer:
    """Descend the quadratic ½(x²/κ + y²): one error for each eigenvalue, shrinking by its own factor.

    kappa: the condition number to begin with, at least 1; `np.linalg.cond(H)` is that of the reader's own Hessian H.
    """
    condition = arguments.real("kappa", kappa)
    if condition < 1:
        raise ValueError(f"kappa must be at least 1, but it is {kappa!r}")
    lam, x, y = sp.symbols("lambda x y", positive=True)
    loss = (lam * x**2 + y**2) / 2
    gradient = [sp.diff(loss, v) for v in (x, y)]
    value, slope = numpy_function([lam, (x, y)], loss), numpy_function([lam, (x, y)], gradient)
    start, steps = arguments.point("start", start), 100

    def plane(axes):
        axes.set(xlim=(-11, 11), ylim=(-6, 6), xlabel="x, eigenvalue 1/κ", ylabel="y, eigenvalue 1")

    def plane_first(axes):
        run = rules.minimize(
            lambda w: value(1 / condition, w),
            lambda w: np.array(slope(1 / condition, w)),
            start,
            rules.GradientDescent(1.7),
            steps=20,
        )
        axes.plot(*run.iterates.T, "o-", color=figures.COLORS[0], ms=3, lw=1.2)

    def errors(axes):
        axes.set(xlim=(0, steps), yscale="log", ylim=(1e-8, 1e3), xlabel="step", ylabel="size of the error")
        figures.powers_of_ten(axes.yaxis)
        axes.plot([], color=figures.COLORS[1], label="along x, eigenvalue 1/κ")
        axes.plot([], "--", color=figures.COLORS[2], label="along y, eigenvalue 1")
        axes.legend(loc="upper right")

    def factors(axes):
        axes.set(xlim=(0, 2.4), ylim=(0, 1.5), xlabel="learning rate η", ylabel="factor per step")
        axes.axhline(1, ls=":", color=figures.INK, lw=0.8)
        axes.plot([], "o", color=figures.COLORS[0], label="η now")
        axes.plot([], "o", color=figures.COLORS[3], label="best η")
        axes.legend(loc="lower left")

    return Explorer(
        "bowl",
        caption="Each eigenvalue λ shrinks its part of the error by |1 − ηλ| a step; the slower of the two decides. "
        "The best rate makes them equally slow, and past η = 2 the steep direction explodes.",
        controls={
            "kappa": Slider(condition, 1, max(100, condition), label="condition number κ", log=True),
            "rate": Slider(1.7, 0.01, 2.4, label="learning rate η", step=0.01),
            "steps": Slider(20, 0, steps, label="steps", step=1),
            "start": Point(start),
            "best_rate": Button("Best rate"),
            "play": Play("steps", 5),
        },
        panels=[
            Panel(
                "contours of the loss with the path of the descent",
                [stage(plane, first_frame=plane_first)],
                {f"level{i}": mark("path", 7, width=0.8, opacity=0.45) for i in range(6)}
                | {
                    "path": mark("path", 0, width=1.4),
                    "iterates": mark("points", 0, width=5),
                    "grip": handle("start", label="start", color=3),
                },
            ),
            Panel(
                "error along each eigenvector, step by step",
                [stage(errors)],
                {"flat": mark("path", 1, width=2.2), "steep": mark("path", 2, width=2.2, dash="6 3")},
            ),
            Panel(
                "the factor per step of each eigenvalue against the learning rate",
                [stage(factors)],
                {
                    "flat_factor": mark("path", 1),
                    "steep_factor": mark("path", 2, dash="6 3"),
                    "best": mark("points", 3, width=9),
                    "now": mark("points", 0, width=11),
                },
            ),
        ],
        readouts={"factor": "factor per step", "best_factor": "the best possible", "best_at": "best η", "loss": "loss"},
        program=[
            javascript_function("loss", [lam, (x, y)], loss),
            javascript_function("gradient", [lam, (x, y)], gradient),
        ],
        data={"largest": rules.LARGEST},
    )


_x, _y = sp.symbols("x y", real=True)
Pair = tuple[float, float]
# name: (variables, loss, limits of x, limits of y, start)
LOSSES: dict[str, tuple[Sequence[sp.Symbol], sp.Expr, Pair, Pair, Pair]] = {
    "narrow valley": ((_x, _y), _x**2 / 2 + 10 * _y**2, (-4.5, 4.5), (-3.0, 3.0), (-4.0, 1.2)),
    "Rosenbrock": ((_x, _y), (1 - _x) ** 2 + 5 * (_y - _x**2) ** 2, (-2.2, 2.2), (-1.2, 3.2), (-1.5, 1.5)),
    "Himmelblau": (
        (_x, _y),
        ((_x**2 + _y - 11) ** 2 + (_x + _y**2 - 7) ** 2) / 20,
        (-5.5, 5.5),
        (-5.5, 5.5),
        (-0.5, -1.0),
    ),
    "saddle": ((_x, _y), _x**2 / 2 + (_y**2 - 1) ** 2 / 4, (-2.2, 2.2), (-1.8, 1.8), (-2.0, 0.01)),
}
METHODS = {
    "gradient_descent": ("gradient descent", True),
    "heavy_ball": ("momentum", True),
    "nesterov": ("Nesterov", False),
    "rmsprop": ("RMSProp", False),
    "adam": ("Adam", True),
    "newton": ("Newton", False),
    "line_search": ("line search", False),
}


def contours(expr: sp.Expr, variables: Sequence[sp.Symbol], xlim: Pair, ylim: Pair) -> tuple[Callable, np.ndarray]:
    """Return the function that draws the contours of `expr` on axes, and its finite values on the grid."""
    a, b = np.meshgrid(np.linspace(*xlim, 90), np.linspace(*ylim, 90))
    with np.errstate(all="ignore"):
        values = np.broadcast_to(numpy_function(variables, expr)(a, b), a.shape)
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError("loss must be finite somewhere between the limits, but it is nowhere")
    levels = np.unique(np.quantile(finite, np.linspace(0.05, 1, 13)[:-1] ** 1.7))

    def draw(axes):
        axes.set(xlim=xlim, ylim=ylim, xlabel=str(variables[0]), ylabel=str(variables[1]))
        if len(levels) > 1:
            axes.contour(a, b, values, levels=levels, colors=figures.INK, linewidths=0.7, alpha=0.45)

    return draw, finite


def rules_program() -> list[str]:
    """Return JavaScript for a step of each rule that remembers something, in the order of operations of mlmath.descent.

    v is what `Momentum` and `Adam` call their velocity and mean, s the mean square, p and q last for the step only.
    """
    n, t = sp.symbols("n t", integer=True)
    rate, momentum = sp.symbols("rate momentum", real=True)
    w, g, v, s, p, q = (sp.IndexedBase(name)[sp.Idx("k", n)] for name in "wgvspq")
    adam, rmsprop = rules.Adam(1.0), rules.RMSProp(1.0)
    velocity = {v: momentum * v - rate * g}

    def mean(old: sp.Expr, new: sp.Expr, share: float) -> sp.Expr:
        return share * old + (1 - share) * new

    steps = {
        "heavy_ball": {**velocity, w: w + v},
        "nesterov": {**velocity, p: velocity[v], w: w + p},
        "rmsprop": {s: mean(s, g**2, rmsprop.decay), w: w - rate * g / (sp.sqrt(s) + rmsprop.epsilon)},
        "adam": {
            v: mean(v, g, adam.beta1),
            s: mean(s, g**2, adam.beta2),
            p: v / (1 - adam.beta1**t),
            q: s / (1 - adam.beta2**t),
            w: w - rate * p / (sp.sqrt(q) + adam.epsilon),
        },
    }
    arguments = [n, t, rate, momentum, *"gvspqw"]
    return [javascript_loops(name, arguments, assignments) for name, assignments in steps.items()]


def descent(
    loss: Any = None,
    variables: Sequence[sp.Symbol] = (_x, _y),
    *,
    start: Any = None,
    rate: float = 0.01,
    xlim: tuple[float, float] = (-2.5, 2.5),
    ylim: tuple[float, float] = (-2.5, 2.5),
) -> Explorer:
    """Race gradient descent, momentum, Nesterov, RMSProp, Adam, Newton and a line search on a loss of two variables.

    loss: a SymPy expression in `variables`, drawn over `xlim` × `ylim`; without it, four classics to choose from.
    """
    if loss is None:
        losses, chosen = LOSSES, "Rosenbrock"
    else:
        if not isinstance(variables, tuple | list) or not len(variables) == len(set(variables)) == 2:
            raise ValueError(f"variables must be two SymPy symbols, but they are {variables!r}")
        own = (variables, function_of(loss, variables), interval("xlim", xlim), interval("ylim", ylim), (0.0, 0.0))
        losses, chosen = {"your loss": own}, "your loss"
    start = arguments.point("start", losses[chosen][4] if start is None else start)
    steps, planes, curves, program = 200, [], [], rules_program()
    for i, (pair, expr, xs, ys, _) in enumerate(losses.values()):
        gradient = [sp.diff(expr, v) for v in pair]
        draw, values = contours(expr, pair, xs, ys)
        first = _first_path(pair, expr, gradient, start, rate) if expr is losses[chosen][1] else None
        planes.append(stage(draw, first_frame=first))
        curves.append(stage(_loss_axes(values, steps)))
        program += [
            javascript_function(f"loss{i}", [tuple(pair)], expr),
            javascript_function(f"gradient{i}", [tuple(pair)], gradient),
            javascript_function(f"hessian{i}", [tuple(pair)], list(sp.hessian(expr, pair))),
        ]
    methods = list(METHODS)
    lines: list[dict[str, Any]] = [{"width": 1.6} | ({"dash": dash} if dash else {}) for dash in figures.DASHES]
    paths = {f"path_{m}": mark("path", c, **lines[c]) for c, m in enumerate(methods)}
    ends = {f"end_{m}": mark("points", c, width=8) for c, m in enumerate(methods)}
    controls: dict[str, Control] = {
        "loss": Choice(
            chosen, list(losses), label="loss", along={name: {"start": known[4]} for name, known in losses.items()}
        ),
        "rate": Slider(rate, min(1e-4, rate), max(1, rate), label="learning rate η", log=True),
        "momentum": Slider(0.9, 0, 0.99, label="momentum β", step=0.01),
        "steps": Slider(60, 0, steps, label="steps", step=1),
        "start": Point(start),
        "play": Play("steps", 8),
    }
    return Explorer(
        "descent",
        caption="Drag the start or move it with the arrow keys, choose who races, and press Play. "
        "Each method follows the same gradient; only what it does with it differs.",
        controls=controls | {m: Switch(on, label=label, color=c) for c, (m, (label, on)) in enumerate(METHODS.items())},
        panels=[
            Panel(
                "contours of the loss with the path of each method",
                planes,
                paths | ends | {"grip": handle("start", label="start", color=7)},
                switch="loss",
            ),
            Panel(
                "loss of each method, step by step",
                curves,
                {f"loss_{m}": mark("path", c, **lines[c]) for c, m in enumerate(methods)},
                switch="loss",
            ),
        ],
        readouts={m: label for m, (label, _) in METHODS.items()},
        program=program,
        data={"methods": methods, "losses": list(losses), "largest": rules.LARGEST},
    )


def _first_path(variables, expr, gradient, start, rate):
    """Return the function that draws the first sixty steps of plain gradient descent."""
    value, slope = numpy_function([tuple(variables)], expr), numpy_function([tuple(variables)], gradient)
    run = rules.minimize(value, lambda w: np.array(slope(w)), start, rules.GradientDescent(rate), steps=60)

    def draw(axes):
        axes.plot(*run.iterates.T, color=figures.COLORS[0], lw=1.6)
        axes.plot(*run.w, "o", color=figures.COLORS[0], ms=5)

    return draw


def _loss_axes(values: np.ndarray, steps: int) -> Callable:
    """Return the function that lays out the axes of the loss curves: logarithmic unless the loss can be negative."""
    low, high = float(values.min()), float(values.max())

    def draw(axes):
        axes.set(xlim=(0, steps), xlabel="step", ylabel="loss")
        if low >= 0:
            axes.set(yscale="log", ylim=((high or 1) * 1e-9, (high or 1) * 3))
            figures.powers_of_ten(axes.yaxis)
        else:
            axes.set(ylim=limits(values))

    return draw


def sgd(
    x: Any = None, y: Any = None, *, xlabel: str = "body-mass index − mean", ylabel: str = "disease progression"
) -> Explorer:
    """Fit a line by stochastic gradient descent: the batch size sets how far the path trembles.

    x, y: shape (n,), n ≥ 2 with different x; without them, forty diabetes patients. The loss is the mean of ½(y − ŷ)².
    """
    return _line_descent("sgd", x, y, xlabel, ylabel, batches=True)


def first_descent() -> Explorer:
    """Fit a line to diabetes patients by gradient descent, all of them in each step: the book in one picture."""
    return _line_descent("first-descent", None, None, "body-mass index − mean", "disease progression", batches=False)


def _line_descent(name: str, x: Any, y: Any, xlabel: str, ylabel: str, *, batches: bool) -> Explorer:
    """Return the explorer of a line that learns, by batches of a size that the reader sets or by the full gradient."""
    if x is None and y is None:
        x, y = bmi_and_progression(40, seed=7)
    x, y = paired(x, y, least=2)
    n, A = len(x), column(x)
    H = A.T @ A / n
    best, steepest = np.linalg.solve(H, A.T @ y / n), float(np.linalg.eigvalsh(H)[-1])
    reach = np.sqrt(max(float(np.var(y)), 1e-12) / np.diag(H))
    (w0, w1), (b0, b1) = ((float(v - 2.4 * r), float(v + 2.4 * r)) for v, r in zip(best, reach, strict=True))
    start = [float(f"{best[0] - 1.8 * reach[0]:.3g}"), float(f"{best[1] - 1.8 * reach[1]:.3g}")]
    rate, steps = float(f"{(0.4 if batches else 0.8) / steepest:.1g}"), 100
    excess = float(np.var(y)) or 1.0
    xlim, ylim = limits(x), limits(y)

    def loss(w, X, y):
        return ((y - X @ w) ** 2).mean() / 2

    def gradient(w, X, y):
        return X.T @ (X @ w - y) / len(y)

    run = rules.minimize(
        lambda w: loss(w, A, y), lambda w: gradient(w, A, y), start, rules.GradientDescent(rate), steps=30
    )

    def plane(axes):
        W, B = np.meshgrid(np.linspace(w0, w1, 70), np.linspace(b0, b1, 70))
        values = ((y[:, None, None] - W * x[:, None, None] - B) ** 2).mean(0) / 2
        levels = values.min() + excess * np.array([0.02, 0.1, 0.3, 0.7, 1.3, 2.1, 3.1])
        axes.set(xlim=(w0, w1), ylim=(b0, b1), xlabel="slope w", ylabel="intercept b")
        axes.contour(W, B, values, levels=levels, colors=figures.INK, linewidths=0.7, alpha=0.45)

    def plane_first(axes):
        axes.plot(*run.iterates.T, "o-", color=figures.COLORS[0], lw=1.2, ms=3)

    def scatter(axes):
        axes.set(xlim=xlim, ylim=ylim, xlabel=xlabel, ylabel=ylabel)
        axes.plot(x, y, "o", color=figures.INK, ms=4, alpha=0.55)

    def scatter_first(axes):
        axes.axline((0, run.w[1]), slope=run.w[0], color=figures.COLORS[1], lw=2.2)

    def losses(axes):
        axes.set(xlim=(0, steps), yscale="log", ylim=(excess * 1e-5, excess * 10), xlabel="step")
        axes.set_ylabel("loss above the least")
        figures.powers_of_ten(axes.yaxis)

    data_panel = Panel(
        "the data and the fitted line",
        [stage(scatter, first_frame=scatter_first)],
        {"line": mark("path", 1, width=2.4)},
    )
    plane_panel = Panel(
        "contours of the loss over slope and intercept, with the path of the descent",
        [stage(plane, first_frame=plane_first)],
        {
            "path": mark("path", 0, width=1.3),
            "iterates": mark("points", 0, width=4),
            "now": mark("points", 1, width=10),
            "grip": handle("start", label="start", color=3),
        },
    )
    loss_panel = Panel("loss above its least value, step by step", [stage(losses)], {"losses": mark("path", 0)})
    rng = np.random.default_rng(0)
    controls: dict[str, Control] = {}
    if batches:
        controls["batch_size"] = Slider(min(4, n), 1, n, label="batch size", step=1)
    controls |= {
        "rate": Slider(rate, 0.01 / steepest, 3 / steepest, label="learning rate η", log=True),
        "steps": Slider(60 if batches else 30, 0, steps, label="steps", step=1),
        "start": Point(start),
        "play": Play("steps", 6),
    }
    w, b, x1, y1 = sp.symbols("w b x y", real=True)
    half_square = (y1 - w * x1 - b) ** 2 / 2
    return Explorer(
        name,
        caption="A batch of one patient gives a cheap and trembling gradient, all of them a smooth one. "
        "Near the bottom the trembling wins; a smaller η calms it."
        if batches
        else "Press Play: each step follows the downhill slope of the loss, and the line turns toward "
        "the patients. Drag the start, and try a learning rate that is too large.",
        controls=controls,
        panels=[plane_panel, data_panel, loss_panel] if batches else [plane_panel, data_panel],
        readouts={"loss": "loss", "least": "the least possible", "line": "the line"},
        program=[
            *line_program(),
            javascript_function("gradient", [(w, b), x1, y1], [sp.diff(half_square, v) for v in (w, b)]),
        ],
        loop="sgd",
        data={
            "points": np.column_stack([x, y]).tolist(),
            "order": [row for _ in range(steps) for row in rng.permutation(n).tolist()] if batches else list(range(n)),
            "xlim": xlim,
            "largest": rules.LARGEST,
        },
    )
