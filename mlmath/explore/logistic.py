"""The explorers of chapter 3: a curve of probabilities, Newton beside descent, a boundary, a threshold."""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from mlmath import arguments, data, figures
from mlmath import descent as rules
from mlmath.explore.explorer import (
    Button,
    Choice,
    Control,
    Explorer,
    Panel,
    Play,
    Point,
    Points,
    Slider,
    Switch,
    handle,
    mark,
)
from mlmath.explore.regression import column, limits, moderate
from mlmath.explore.stage import Stage, stage
from mlmath.javascript import javascript_function, numpy_function, stable
from mlmath.logistic import auc, logistic_regression, roc_curve
from mlmath.logistic import sigmoid as probability


def labeled(name: str, X: Any, y: Any, *, ndim: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the reader's X, called `name`, and y as float arrays of the same length; y holds 0 and 1, both of them."""
    X, y = arguments.real_array(name, X, ndim=ndim), arguments.real_array("y", y, ndim=1)
    arguments.same_length(name, X, "y", y)
    moderate(name, X)
    if set(np.unique(y)) != {0, 1}:
        raise ValueError(f"y must hold the classes 0 and 1, and both of them, but it holds {np.unique(y)[:5]}")
    return X, y


def separates(x: np.ndarray, y: np.ndarray) -> bool:
    """Return whether a point of the axis has the classes on either side of it, at most touching it."""
    negative, positive = x[y == 0], x[y == 1]
    return bool(negative.max() <= positive.min() or positive.max() <= negative.min())


def one_feature(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the reader's x, with different values, and y of 0 and 1 as float arrays of the same length."""
    x, y = labeled("x", x, y, ndim=1)
    if np.ptp(x) == 0:
        raise ValueError(f"x must have at least 2 different values, but all of them are {x[0]:g}")
    return x, y


def tumors(names: list[str], per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the named features of as many benign as malignant tumors, drawn at random, and which are malignant."""
    known = data.breast_cancer()
    columns = [known.feature_names.index(name) for name in names]
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.choice(np.flatnonzero(known.y == k), per_class, replace=False) for k in (0, 1)])
    return known.X[rows][:, columns], known.y[rows]


def standardized(X: np.ndarray) -> np.ndarray:
    """Return X with columns of mean 0 and standard deviation 1."""
    return (X - X.mean(axis=0)) / X.std(axis=0)


def model(d: int) -> tuple[tuple[sp.Symbol, ...], tuple[sp.Symbol, ...], sp.Symbol, sp.Expr, sp.Expr]:
    """Return the logistic model of d features: its unknowns (w, b), the features x, the label y, p and the log loss."""
    w, x = (sp.symbols(f"{letter}1:{d + 1}", real=True) for letter in "wx")
    b, y = sp.symbols("b y", real=True)
    p = 1 / (1 + sp.exp(-sum(a * c for a, c in zip(w, x, strict=True)) - b))
    return (*w, b), x, y, p, stable(-y * sp.log(p) - (1 - y) * sp.log(1 - p))


def program(d: int) -> list[str]:
    """Return JavaScript for the logistic model of d features: its probability, and loss and penalty with derivatives.

    `sample` and `penalty` return the value, the d + 1 partial derivatives and the Hessian, row by row.
    """
    unknowns, x, y, p, loss = model(d)
    alpha = sp.Symbol("alpha", real=True)

    def with_derivatives(expr: sp.Expr) -> list[sp.Expr]:
        return [expr, *(sp.diff(expr, v) for v in unknowns), *sp.hessian(expr, unknowns)]

    return [
        javascript_function("probability", [unknowns, x], p),
        javascript_function("sample", [unknowns, (*x, y)], with_derivatives(loss)),
        javascript_function(
            "penalty", [unknowns, alpha], with_derivatives(alpha / 2 * sum(a**2 for a in unknowns[:-1]))
        ),
    ]


def sigmoid(x: Any = None, y: Any = None, *, xlabel: str = "x") -> Explorer:
    """Fit p = σ(wx + b) by hand: the likelihood of each label as a bar, and its surprise, minus the logarithm.

    x, y: shape (n,), y of 0 and 1; without them, twelve benign (0) and twelve malignant tumors (1).
    """
    if x is None and y is None:
        X, y = tumors(["mean radius"], 12, seed=0)
        x, xlabel = standardized(X)[:, 0].round(2), "mean radius, standardized"
    x, y = one_feature(x, y)
    center, spread, separable = float(x.mean()), float(x.std()), separates(x, y)
    steepest = 0.0 if separable else abs(float(logistic_regression(x[:, None], y, alpha=0.0).w[0]))
    steepest = max(2 * steepest, 8 / spread)
    weight = float(f"{1 / spread:.1g}")
    start = weight, round(-weight * center, 1) + 0.0
    xlim = limits(x)

    def labels(axes):
        axes.set(xlim=xlim, ylim=(-0.06, 1.06), xlabel=xlabel, ylabel="label y, and probability p that y = 1")
        for k in (0, 1):
            axes.plot(x[y == k], y[y == k], "o", color=figures.COLORS[k], ms=5)

    def labels_first(axes):
        t = np.linspace(*xlim, 100)
        axes.plot(t, probability(start[0] * t + start[1]), color=figures.INK)
        for k in (0, 1):
            own = x[y == k]
            axes.vlines(own, 1 - k, probability(start[0] * own + start[1]), color=figures.COLORS[k], alpha=0.65)

    def surprises(axes):
        axes.set(xlim=xlim, ylim=(0, 5), xlabel=xlabel, ylabel="surprise: −log of the likelihood")
        for k in (0, 1):
            axes.plot([], "o-", color=figures.COLORS[k], label=f"y = {k}")
        axes.legend(loc="upper center", ncols=2)

    def surprises_first(axes):
        z = start[0] * x + start[1]
        for k in (0, 1):
            heights = np.logaddexp(0, (1 - 2 * k) * z[y == k])
            axes.vlines(x[y == k], 0, heights, color=figures.COLORS[k], lw=2)

    return Explorer(
        "sigmoid",
        caption="In the first picture each bar is the likelihood of one label: p, up to the curve, where y = 1; 1 − p, "
        "down to it, where y = 0. Move w and b until the bars are long. The second shows the same as surprise, whose "
        "sum is to be small: one confident mistake costs more than many hesitant answers.",
        controls={
            "weight": Slider(start[0], -steepest, steepest, label="weight w"),
            "bias": Slider(start[1], *limits(np.array([-1, 1]) * (8 + steepest * abs(center))), label="bias b"),
            "best_fit": Button("Best fit"),
        },
        panels=[
            Panel(
                "the labels, the curve of the probability, and the likelihood of each label as a bar",
                [stage(labels, first_frame=labels_first)],
                {f"likelihood{k}": mark("segments", k, width=3, opacity=0.65) for k in (0, 1)}
                | {"curve": mark("path", 7, width=2.2)},
            ),
            Panel(
                "the surprise of each label, and of every label that could be",
                [stage(surprises, first_frame=surprises_first)],
                {f"surprise{k}": mark("path", k, width=1.2, opacity=0.7) for k in (0, 1)}
                | {f"bar{k}": mark("segments", k, width=3, opacity=0.65) for k in (0, 1)}
                | {f"tip{k}": mark("points", k, width=7) for k in (0, 1)},
            ),
        ],
        readouts={
            "likelihood": "likelihood of all labels",
            "log_likelihood": "log-likelihood",
            "loss": "mean log loss",
            "least": "the least possible",
            "best": "best curve",
        },
        program=program(1),
        data={"samples": np.column_stack([x, y]).tolist(), "xlim": xlim, "separable": separable},
    )


def newton_vs_descent(x: Any = None, y: Any = None) -> Explorer:
    """Minimize the mean log loss over (w, b) by gradient descent and by Newton's method, which ignores units.

    x, y: shape (n,), y of 0 and 1 that no point of the axis separates; without them, twelve benign and twelve
    malignant tumors. The feature is taken as it was measured, and standardized.
    """
    if x is None and y is None:
        X, y = tumors(["mean radius"], 12, seed=0)
        x = X[:, 0]
    x, y = one_feature(x, y)
    if separates(x, y):
        raise ValueError(
            "x must overlap between the classes, but a point of the axis separates them: no weight is best"
        )
    sets = {"standardized feature": standardized(x), "feature as measured": x}
    # Where the weights are 0, every p is ½ and the Hessian XᵀX/4n is as steep as it gets.
    steepest = [float(np.linalg.norm(column(values), 2)) ** 2 / (4 * len(values)) for values in sets.values()]
    rates, start, steps = [float(f"{1 / value:.1g}") for value in steepest], [0.0, 0.0], 100
    value, gradient, hessian = _mean_loss(standardized(x), y)
    runs = [
        rules.minimize(value, gradient, start, rule, steps=20)
        for rule in (rules.GradientDescent(rates[0]), rules.Newton(hessian))
    ]

    def paths_first(axes):
        for color, run in enumerate(runs):
            axes.plot(*run.iterates.T, "o-", color=figures.COLORS[color], ms=3)

    def curves(axes):
        axes.set(xlim=(0, steps), yscale="log", ylim=(1e-15, 10), xlabel="step", ylabel="loss above the least")
        figures.powers_of_ten(axes.yaxis)

    def curves_first(axes):
        for color, run in enumerate(runs):
            axes.plot(run.losses - runs[1].losses.min(), color=figures.COLORS[color])

    along = {name: {"rate": rate, "start": start} for name, rate in zip(sets, rates, strict=True)}
    methods = {"gradient_descent": "gradient descent", "newton": "Newton"}
    controls: dict[str, Control] = {
        "loss": Choice(next(iter(sets)), list(sets), label="data", along=along),
        "rate": Slider(rates[0], min(rates) / 10, max(rates) * 10, label="learning rate η", log=True),
        "steps": Slider(20, 0, steps, label="steps", step=1),
        "start": Point(start),
        "play": Play("steps", 8),
    }
    return Explorer(
        "newton-vs-descent",
        caption="Both start at the handle. Near the bottom, Newton's method doubles its correct digits at each step, "
        "and does not care in which units the feature comes; descent does. Drag the start far away: where the loss "
        "hardly curves, the plain Newton step overshoots.",
        controls=controls | {m: Switch(True, label=label, color=c) for c, (m, label) in enumerate(methods.items())},
        panels=[
            Panel(
                "contours of the mean log loss over weight and bias, with the path of each method",
                [_plane(standardized(x), y, first_frame=paths_first), _plane(x, y, first_frame=None)],
                {f"path_{m}": mark("path", c, width=1.8) for c, m in enumerate(methods)}
                | {f"dots_{m}": mark("points", c, width=5) for c, m in enumerate(methods)}
                | {f"end_{m}": mark("points", c, width=9) for c, m in enumerate(methods)}
                | {"grip": handle("start", label="start", color=7)},
                switch="loss",
            ),
            Panel(
                "mean log loss above its least value, step by step",
                [stage(curves, first_frame=curves_first)],
                {f"loss_{m}": mark("path", c, width=2) for c, m in enumerate(methods)},
            ),
        ],
        readouts={m: f"{label}, loss above the least" for m, label in methods.items()},
        program=program(1),
        data={
            "samples": [np.column_stack([values, y]).tolist() for values in sets.values()],
            "methods": list(methods),
            "losses": list(sets),
            "largest": rules.LARGEST,
        },
    )


def _mean_loss(x: np.ndarray, y: np.ndarray) -> tuple[Callable, Callable, Callable]:
    """Return the mean log loss over the samples as a function of (w, b), its gradient and its Hessian."""
    unknowns, (feature,), label, _, loss = model(1)

    def mean(formula: Any) -> Callable:
        each = numpy_function([unknowns, feature, label], formula)
        return lambda w: np.mean(each(w, x, y), axis=-1)

    return mean(loss), mean([sp.diff(loss, v) for v in unknowns]), mean(sp.hessian(loss, unknowns))


def _plane(x: np.ndarray, y: np.ndarray, *, first_frame: Callable | None) -> Stage:
    """Return the contours of the mean log loss over (w, b) around its lowest point."""
    value, _, hessian = _mean_loss(x, y)
    fit = logistic_regression(x[:, None], y, alpha=0.0)
    best = np.array([fit.w[0], fit.b])
    reach = np.sqrt(2 * np.diag(np.linalg.inv(hessian(best))))
    corners = np.array([best - 0.4 * reach, best + 0.6 * reach, -0.2 * reach, 0.2 * reach])
    xlim, ylim = (limits(corners[:, k], 0) for k in (0, 1))

    def contours(axes):
        axes.set(xlim=xlim, ylim=ylim, xlabel="weight w", ylabel="bias b")
        # Over w and the logit at the mean of x the valley lies along an axis, however narrow it is over w and b.
        middle = x.mean()
        span = ylim[1] - ylim[0] + abs(middle) * (xlim[1] - xlim[0])
        w, logit = np.meshgrid(np.linspace(*xlim, 80), best @ [middle, 1] + span * np.linspace(-1, 1, 80) ** 3)
        b = logit - middle * w
        levels = value(best) + 0.012 * 2.2 ** np.arange(9)
        values = value([w[..., None], b[..., None]])
        axes.contour(w, b, values, levels=levels, colors=figures.INK, linewidths=0.7, alpha=0.45)
        axes.plot(*best, "+", color=figures.INK, ms=9)

    return stage(contours, first_frame=first_frame)


def boundary(X: Any = None, y: Any = None, *, labels: tuple[str, str] = ("x₁", "x₂")) -> Explorer:
    """Move the points of two classes, and see the boundary of the penalized logistic fit and its probabilities follow.

    X: shape (n, 2), at most 100 points, y: (n,) of 0 and 1, `labels` the names of the two features; without them, ten
    benign (0) and ten malignant tumors (1), standardized. The loss is the sum of log losses and λ/2 ‖w‖².
    """
    if X is None and y is None:
        X, y = tumors(["mean radius", "mean texture"], 10, seed=31)
        X, labels = standardized(X).round(2), ("mean radius, standardized", "mean texture, standardized")
    X, y = labeled("X", X, y, ndim=2)
    if X.shape[1] != 2 or len(X) > 100:
        raise ValueError(
            f"X must have shape (n, 2) with n at most 100, to be moved by hand, but its shape is {X.shape}"
        )
    xlim, ylim = limits(X[:, 0], 0.2), limits(X[:, 1], 0.2)
    alpha, alphas = 0.1, np.geomspace(100, 1e-6, 25)
    fit = logistic_regression(X, y, alpha=alpha)
    unit = 2 / float(np.mean(X.std(axis=0)) or 1)

    def plane(axes):
        axes.set(xlim=xlim, ylim=ylim, xlabel=labels[0], ylabel=labels[1])

    def plane_first(axes):
        a, b = np.meshgrid(np.linspace(*xlim, 60), np.linspace(*ylim, 60))
        z = fit.w[0] * a + fit.w[1] * b + fit.b
        axes.contour(a, b, z, levels=[0], colors=figures.INK)
        for k in (0, 1):
            axes.plot(*X[y == k].T, "o", color=figures.COLORS[k], ms=6)

    def norms(axes):
        axes.set(xscale="log", xlim=(alphas[-1], alphas[0]), xlabel="penalty λ")
        axes.set(yscale="log", ylim=(0.01 * unit, 100 * unit), ylabel="length ‖w‖ of the weights")
        for axis in (axes.xaxis, axes.yaxis):
            figures.powers_of_ten(axis)

    def norms_first(axes):
        axes.plot(alphas, [np.linalg.norm(logistic_regression(X, y, alpha=a).w) for a in alphas], color=figures.INK)
        axes.plot(alpha, np.linalg.norm(fit.w), "o", color=figures.COLORS[3])

    return Explorer(
        "boundary",
        caption="Drag the points. While the classes overlap, ‖w‖ levels off as λ shrinks. Bring every point to its own "
        "side, and ‖w‖ grows without end: the colors turn from a slope into a cliff. A larger λ brings the slope back.",
        controls={
            "alpha": Slider(alpha, float(alphas[-1]), float(alphas[0]), label="penalty λ", log=True),
            "negative": Points(X[y == 0].tolist()),
            "positive": Points(X[y == 1].tolist()),
        },
        panels=[
            Panel(
                "points of two classes, the probability of class 1 as color, and the boundary where it is one half",
                [stage(plane, first_frame=plane_first)],
                {
                    "field": mark("field", 0, other=1),
                    "line": mark("path", 7, width=2),
                    "negative": handle("negative", label="point of class 0", color=0),
                    "positive": handle("positive", label="point of class 1", color=1),
                },
            ),
            Panel(
                "length of the weights against the penalty",
                [stage(norms, first_frame=norms_first)],
                {"path": mark("path", 7, width=1.6), "now": mark("points", 3, width=10)},
            ),
        ],
        readouts={
            "norm": "‖w‖",
            "loss": "mean log loss",
            "wrong": "on the wrong side",
            "limit": "as λ → 0",
        },
        program=program(2),
        data={"xlim": xlim, "ylim": ylim, "alphas": alphas.tolist(), "columns": 48, "rows": 40},
    )


def threshold(y: Any = None, p: Any = None) -> Explorer:
    """Move the threshold above which a case is flagged, and see what is found, what is missed and at what cost.

    y: shape (n,) of 0 and 1, what is true; p: (n,) in [0, 1], the predicted probability of 1. Without them, tumors
    held out from a model that knows only their mean texture and compactness. A case is flagged if p ≥ threshold.
    """
    if y is None and p is None:
        y, p = _held_out()
    p, y = labeled("p", p, y, ndim=1)
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"p must lie between 0 and 1, but it goes from {p.min():g} to {p.max():g}")
    bins, start = 20, 0.5
    centers = (np.arange(bins) + 0.5) / bins
    bars = np.minimum((p * bins).astype(int), bins - 1)
    heights = [np.bincount(bars[y == k], minlength=bins) for k in (0, 1)]
    top = 1.25 * float(np.max(heights))
    fall, found, _ = roc_curve(y, p)
    curves = ["ROC", "precision and recall"]

    def shares(axes):
        axes.set(xlim=(0, 1), ylim=(-1.1 * top, 1.1 * top), xlabel="predicted probability p")
        axes.set_ylabel("cases:  y = 0 down,  y = 1 up")
        axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        for k in (0, 1):
            axes.bar(centers, (2 * k - 1) * heights[k], 0.8 / bins, color=figures.COLORS[k], alpha=0.55, lw=0)
        axes.axhline(0, color=figures.INK, lw=0.8)

    def shares_first(axes):
        axes.axvline(start, color=figures.INK, lw=2)

    def roc(axes):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.set(xlabel="false positive rate: y = 0, yet flagged", ylabel="true positive rate, or recall")
        axes.plot([0, 1], [0, 1], ":", color=figures.INK, lw=1)
        axes.plot(fall, found, color=figures.COLORS[4])
        axes.text(0.98, 0.06, f"area {auc(fall, found):.3f}", ha="right")

    def roc_first(axes):
        flagged = p >= start
        axes.plot(flagged[y == 0].mean(), flagged[y == 1].mean(), "o", color=figures.COLORS[4])

    def both(axes):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="threshold", ylabel="share")
        t = np.linspace(0, 1, 201)
        flagged = p >= t[:, None]
        right = flagged @ y
        some = flagged.any(axis=1)
        axes.plot(t, right / np.sum(y == 1), color=figures.COLORS[4], label="recall")
        axes.plot(t[some], right[some] / flagged.sum(axis=1)[some], "--", color=figures.COLORS[2], label="precision")
        axes.legend(loc="lower left")

    tp, fp, fn, tn = sp.symbols("TP FP FN TN")
    scores = [
        (tp + tn) / (tp + fp + fn + tn),
        tp / (tp + fp),
        tp / (tp + fn),
        2 * tp / (2 * tp + fp + fn),
        fp / (fp + tn),
    ]
    return Explorer(
        "threshold",
        caption="Cases to the right of the line are flagged: of those with y = 1, drawn upward, the rest is missed; of "
        "those with y = 0, drawn downward, the flagged are false alarms. Mistakes are red. Move the line to the "
        "left, and fewer are missed, at the price of more false alarms.",
        controls={
            "threshold": Slider(start, 0, 1, label="threshold", step=0.005),
            "curve": Choice(curves[0], curves, label="curve"),
        },
        panels=[
            Panel(
                "how many cases of either class have which probability, cut by the threshold",
                [stage(shares, first_frame=shares_first)],
                {
                    "wrong": mark("segments", 3, width=10),
                    "cut": mark("path", 7, width=2),
                    "counts": mark("texts", width=11),
                    "grip": handle("threshold", label="threshold", color=7),
                },
            ),
            Panel(
                "what each threshold finds and what it costs, with the threshold of now",
                [stage(roc, first_frame=roc_first), stage(both)],
                {"now": mark("points", 4, width=11), "other": mark("points", 2, width=11)},
                switch="curve",
            ),
        ],
        readouts={
            "accuracy": "accuracy",
            "precision": "precision",
            "recall": "recall",
            "f1": "F₁",
            "fall": "false positive rate",
        },
        program=[javascript_function("scores", [tp, fp, fn, tn], scores)],
        data={
            "y": y.astype(int).tolist(),
            "p": p.tolist(),
            "bars": np.column_stack([centers[bars], 2 * y - 1]).tolist(),
            "top": top,
            "curves": curves,
        },
    )


def _held_out() -> tuple[np.ndarray, np.ndarray]:
    """Return which tumors of a held-out quarter are malignant, and how probable two weak features make it."""
    known = data.breast_cancer()
    columns = [known.feature_names.index(name) for name in ("mean texture", "mean compactness")]
    X, X_test, y, y_test = data.hold_out(known.X[:, columns], known.y, rng=np.random.default_rng(0))
    fit = logistic_regression(standardized(X), y, alpha=1.0)
    return y_test, probability((X_test - X.mean(axis=0)) / X.std(axis=0) @ fit.w + fit.b)
