"""The explorers of chapter 1: a line and its squares, nearly collinear columns, polynomials of every degree."""

from typing import Any

import numpy as np
import sympy as sp

from mlmath import arguments, data, figures
from mlmath.explore.explorer import Button, Explorer, Panel, Points, Slider, handle, mark
from mlmath.explore.stage import stage
from mlmath.javascript import javascript_function
from mlmath.regression import least_squares


def paired(x: Any, y: Any, *, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the reader's x and y as float arrays of the same length, at least `least` with different x."""
    x, y = arguments.real_array("x", x, ndim=1), arguments.real_array("y", y, ndim=1)
    arguments.same_length("x", x, "y", y)
    moderate("x", x)
    moderate("y", y)
    if len(np.unique(x)) < least:
        raise ValueError(f"x must have at least {least} different values, but it has {len(np.unique(x))}")
    return x, y


def moderate(name: str, values: np.ndarray) -> None:
    """Raise ValueError where squares of the values, or of their differences, would leave the range of numbers."""
    if np.abs(values).max() > 1e100 or 0 < np.ptp(values) < 1e-100:
        raise ValueError(f"{name} must be of moderate size, but a picture of it overflows; change the units")


def limits(values: np.ndarray, margin: float = 0.1) -> tuple[float, float]:
    """Return where an axis that shows `values` begins and ends."""
    low, high = float(np.min(values)), float(np.max(values))
    gap = margin * (high - low) or 1.0
    return low - gap, high + gap


def bmi_and_progression(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return body-mass index, less its mean, and disease progression of `size` patients drawn from diabetes."""
    patients = data.diabetes()
    bmi = patients.X[:, patients.feature_names.index("bmi")]
    chosen = np.random.default_rng(seed).choice(len(bmi), size, replace=False)
    return (bmi - bmi.mean())[chosen].round(1), patients.y[chosen]


def column(x: np.ndarray) -> np.ndarray:
    """Return the design matrix [x 1] of a line."""
    return np.column_stack([x, np.ones_like(x)])


def fit_a_line(
    x: Any = None, y: Any = None, *, xlabel: str = "body-mass index − mean", ylabel: str = "disease progression"
) -> Explorer:
    """Fit a line ŷ = wx + b by hand: sliders, draggable data (x, y), squares of the residuals, and the loss bowl.

    x, y: shape (n,), n ≥ 2 with different x; without them, twelve diabetes patients.
    """
    if x is None and y is None:
        x, y = bmi_and_progression(12, seed=4)
    x, y = paired(x, y, least=2)
    X = column(x)
    best = least_squares(X, y)
    # The bowl falls to its bottom by one "height" at these distances along each axis.
    height = float(np.sum((y - y.mean()) ** 2)) or 1.0
    reach = np.sqrt(height / np.diag(X.T @ X))
    (w0, w1), (b0, b1) = ((float(v - 1.6 * r), float(v + 1.6 * r)) for v, r in zip(best, reach, strict=True))
    xlim, ylim = limits(x), limits(y, 0.25)
    start = (
        float(np.clip(round(best[0] - reach[0], 1), w0, w1)),
        float(np.clip(round(best[1] - 0.6 * reach[1], 1), b0, b1)),
    )

    def scatter(axes):
        axes.set(xlim=xlim, ylim=ylim, xlabel=xlabel, ylabel=ylabel)

    def scatter_first(axes):
        axes.plot(x, y, "o", color=figures.COLORS[0])
        axes.axline((0, start[1]), slope=start[0], color=figures.COLORS[1])

    def bowl(axes):
        axes.set(xlim=(w0, w1), ylim=(b0, b1), xlabel="slope w", ylabel="intercept b")

    def bowl_first(axes):
        W, B = np.meshgrid(np.linspace(w0, w1, 60), np.linspace(b0, b1, 60))
        S = ((y[:, None, None] - W * x[:, None, None] - B) ** 2).sum(0)
        levels = S.min() + height * np.array(LEVELS)
        axes.contour(W, B, S, levels=levels, colors=figures.COLORS[0], linewidths=0.8)
        axes.plot(*start, "o", color=figures.COLORS[1])

    return Explorer(
        "fit-a-line",
        caption="Move the line with the sliders or the handle in the bowl until the squares cover the least area. "
        "Then drag a point and see the whole bowl move.",
        controls={
            "slope": Slider(start[0], w0, w1, label="slope w"),
            "intercept": Slider(start[1], b0, b1, label="intercept b"),
            "points": Points(np.column_stack([x, y]).tolist()),
            "best_fit": Button("Best fit"),
        },
        panels=[
            Panel(
                "data, line and the squares of the residuals",
                [stage(scatter, first_frame=scatter_first)],
                {
                    "squares": mark("squares", 3),
                    "line": mark("path", 1, width=2.2),
                    "data": handle("points", label="data point"),
                },
            ),
            Panel(
                "contours of the sum of squared errors over slope and intercept",
                [stage(bowl, first_frame=bowl_first)],
                {f"level{i}": mark("path", 0, width=1, opacity=0.8) for i in range(len(LEVELS))}
                | {
                    "bottom": mark("points", 2, width=8),
                    "current": handle("slope", "intercept", label="line", color=1),
                },
            ),
        ],
        readouts={"sse": "sum of squared errors", "least": "the least possible", "best": "best line"},
        program=line_program(),
        data={"levels": [height * level for level in LEVELS], "x": xlim},
    )


LEVELS = [0.03, 0.15, 0.4, 0.8, 1.4, 2.2, 3.2]


def line_program() -> list[str]:
    """Return JavaScript for a line's sum of squares S(w, b) and its lowest point.

    All are functions of the moments of the data: n, Σx, Σy, Σx², Σxy, Σy².
    """
    w, b, x, y = sp.symbols("w b x y", real=True)
    moments = sp.symbols("n s_x s_y s_xx s_xy s_yy", real=True)
    total = dict(zip([(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)], moments, strict=True))
    S = sum(part * total[powers] for powers, part in sp.Poly((y - w * x - b) ** 2, x, y).terms())
    gradient = [sp.diff(S, w), sp.diff(S, b)]
    best = sp.solve(gradient, [w, b], dict=True)[0]
    return [
        javascript_function("squares", [(w, b), moments], S),
        javascript_function("best", [moments], [best[w], best[b]]),
    ]


def conditioning(X: Any = None) -> Explorer:
    """Two columns at a shrinking angle: how many digits each solver keeps as they become collinear.

    X: shape (n, 2), the reader's own columns, at whose angle it starts; without it, two at random.
    """
    rng = np.random.default_rng(1)
    own = rng.normal(size=(20, 2)) if X is None else arguments.real_array("X", X, ndim=2)
    if own.shape[1] != 2 or np.linalg.matrix_rank(own) < 2:
        rank = np.linalg.matrix_rank(own)
        raise ValueError(f"X must have two independent columns, but its shape is {own.shape} and its rank {rank}")
    Q, R = np.linalg.qr(own)
    first, second = Q.T
    weights = rng.uniform(0.5, 1.5, size=(12, 2))
    with np.errstate(divide="ignore"):
        start = 1e-4 if X is None else float(np.clip(abs(R[1, 1] / R[0, 1]), 1e-14, 1))
    conditions = np.logspace(0, 15, 60)

    def arrows(axes):
        axes.set(xlim=(-0.15, 1.15), ylim=(-0.35, 1.05), aspect="equal", xlabel="direction of column 1")
        axes.set_ylabel("perpendicular to it")

    def arrows_first(axes):
        axes.plot([0, 1], [0, 0], color=figures.COLORS[0])
        axes.plot([0, 1], [0, start], color=figures.COLORS[1])

    def digits(axes):
        axes.set(
            xscale="log", xlim=(1, 1e15), ylim=(-0.5, 16.5), xlabel="condition number of X", ylabel="correct digits"
        )
        figures.powers_of_ten(axes.xaxis)
        lost = np.log10(conditions)
        axes.plot(conditions, 16 - lost, "--", color=figures.INK, lw=0.8, label="16 − log₁₀ cond X")
        axes.plot(conditions, np.maximum(16 - 2 * lost, 0), ":", color=figures.INK, lw=0.8, label="16 − 2 log₁₀ cond X")
        axes.legend(loc="upper right")

    def digits_first(axes):
        X = np.column_stack([first, first + start * second])
        for color, solver in enumerate(("normal", "qr", "svd")):
            found = least_squares(X, X @ weights.T, solver=solver)
            error = np.sqrt(np.mean((found - weights.T) ** 2 / np.mean(weights.T**2)))
            axes.plot(np.linalg.cond(X), -np.log10(error), "o", color=figures.COLORS[color])

    solvers = {"normal": "normal equations", "qr": "QR", "svd": "SVD"}
    return Explorer(
        "conditioning",
        caption="The second column is the first plus ε times a perpendicular one. Make ε small, and watch the normal "
        "equations lose digits twice as fast as QR and SVD, because cond(XᵀX) = cond(X)².",
        controls={"epsilon": Slider(start, 1e-14, 1, label="distance ε of the columns", log=True)},
        panels=[
            Panel(
                "the two columns as arrows in their plane",
                [stage(arrows, first_frame=arrows_first)],
                {"columns0": mark("path", 0, width=6), "columns1": mark("path", 1, width=2.5)},
            ),
            Panel(
                "correct digits of each solver against the condition number",
                [stage(digits, first_frame=digits_first)],
                {name: mark("points", color, width=11, opacity=0.9) for color, name in enumerate(solvers)},
            ),
        ],
        readouts={"cond": "cond X", "square": "cond XᵀX"}
        | {name: f"{label}, digits" for name, label in solvers.items()},
        data={"first": first.tolist(), "second": second.tolist(), "weights": weights.tolist()},
    )


DEGREES = 12


def polynomial(
    x: Any = None, y: Any = None, *, xlabel: str = "body-mass index − mean", ylabel: str = "disease progression"
) -> Explorer:
    """Fit polynomials of every degree with ridge penalty λ to half of the data; the other half tests them.

    x, y: shape (n,), every second pair trains; without them, diabetes patients. The intercept is not penalized.
    """
    if x is None and y is None:
        x, y = bmi_and_progression(40, seed=18)
    x, y = paired(x, y, least=4)
    train, test = slice(0, None, 2), slice(1, None, 2)
    xlim, ylim = limits(x, 0.04), limits(y, 0.35)
    t = (2 * x - xlim[0] - xlim[1]) / (xlim[1] - xlim[0])
    spread = float(np.std(y)) or 1.0

    def fitted(axes):
        axes.set(xlim=xlim, ylim=ylim, xlabel=xlabel, ylabel=ylabel)
        axes.plot(x[train], y[train], "o", color=figures.COLORS[0], ms=5, label="training")
        axes.plot(x[test], y[test], "o", color=figures.COLORS[3], ms=5, mfc="none", label="test")
        axes.legend(loc="upper left", ncols=2)

    def fitted_first(axes):
        powers = t[:, None] ** np.arange(4)
        w = least_squares(powers[train], y[train])
        order = np.argsort(x)
        axes.plot(x[order], (powers @ w)[order], color=figures.COLORS[1])

    def errors(axes):
        axes.set(xlim=(-0.4, DEGREES + 0.4), yscale="log", ylim=(spread / 20, spread * 30), xlabel="degree")
        axes.set_ylabel("root mean squared error")
        figures.powers_of_ten(axes.yaxis)

    return Explorer(
        "polynomial",
        caption="Raise the degree: the training error can only fall, the test error turns and rises. "
        "Then raise λ, and a wild polynomial of high degree calms down.",
        controls={
            "degree": Slider(3, 0, DEGREES, step=1, label="degree"),
            "alpha": Slider(1e-8, 1e-8, 100, label="penalty λ", log=True),
        },
        panels=[
            Panel(
                "data and the fitted polynomial",
                [stage(fitted, first_frame=fitted_first)],
                {"curve": mark("path", 1, width=2.4)},
            ),
            Panel(
                "training and test error against the degree",
                [stage(errors)],
                {
                    "train": mark("path", 0),
                    "test": mark("path", 3),
                    "train_now": mark("points", 0, width=9),
                    "test_now": mark("points", 3, width=9),
                },
            ),
        ],
        readouts={"train_error": "training error", "test_error": "test error", "size": "largest |weight|"},
        data={
            "degrees": DEGREES,
            "xlim": xlim,
            "train": np.column_stack([t, y])[train].tolist(),
            "test": np.column_stack([t, y])[test].tolist(),
        },
    )
