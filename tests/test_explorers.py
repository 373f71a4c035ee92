"""The explorers in a browser: their numbers are mlmath's."""

import numpy as np
import pytest
import sympy as sp

from mlmath import descent, explore
from mlmath.explore.descent import LOSSES
from mlmath.explore.regression import column
from mlmath.javascript import numpy_function
from mlmath.regression import least_squares

ALL = 1e-300  # a tolerance that no run meets before its last step


def close(found, expected):
    expected = np.asarray(expected)
    found = np.array(found, dtype=float)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(expected).max()))


def rule(method, rate, momentum, loss, hessian):
    return {
        "gradient_descent": lambda: descent.GradientDescent(rate),
        "heavy_ball": lambda: descent.Momentum(rate, momentum=momentum),
        "nesterov": lambda: descent.Nesterov(rate, momentum=momentum),
        "rmsprop": lambda: descent.RMSProp(rate),
        "adam": lambda: descent.Adam(rate),
        "newton": lambda: descent.Newton(hessian),
        "line_search": lambda: descent.Backtracking(loss),
    }[method]()


@pytest.fixture(scope="module")
def race():
    return explore.descent()


@pytest.mark.parametrize("name", LOSSES)
def test_the_race_runs_as_mlmath_does(play, race, name):
    variables, expr, xlim, ylim, _ = LOSSES[name]
    loss = numpy_function([variables], expr)
    slope, curvature = (
        numpy_function([variables], list(f))
        for f in ([sp.diff(expr, v) for v in variables], sp.hessian(expr, variables))
    )
    methods = list(race.spec["data"]["methods"])
    rng = np.random.default_rng(len(name))
    settings = [
        {
            "loss": name,
            "rate": float(10 ** rng.uniform(-4, 0)),
            "momentum": float(rng.uniform(0, 0.99)),
            "steps": int(rng.integers(1, 201)),
            "start": [float(rng.uniform(*xlim)), float(rng.uniform(*ylim))],
            **dict.fromkeys(methods, True),
        }
        for _ in range(25)
    ]
    diverged = 0
    for setting, frame in zip(settings, play(race, settings), strict=True):
        for method in methods:
            optimizer = rule(
                method, setting["rate"], setting["momentum"], loss, lambda w: np.reshape(curvature(w), (2, 2))
            )
            run = descent.minimize(
                loss, lambda w: np.array(slope(w)), setting["start"], optimizer, steps=setting["steps"], tolerance=ALL
            )
            if run.outcome == "converged":  # at a gradient of exactly 0 the page stays where it is
                continue
            drawn = frame["marks"][f"path_{method}"]
            close(drawn[: run.steps + 1], run.iterates)
            close(frame["marks"][f"loss_{method}"], np.column_stack([np.arange(run.steps + 1), run.losses]))
            diverged += run.outcome == "diverged"
            assert np.isfinite(float(frame["readouts"][method])) == (run.outcome != "diverged")
    assert diverged or name == "saddle", "some of the settings should diverge, or the test says little"


def test_one_dimension_runs_as_mlmath_does(play):
    w = sp.Symbol("w", real=True)
    hill = w**4 / 4 - w**2
    loss, slope = numpy_function([w], hill), numpy_function([w], sp.diff(hill, w))
    rng = np.random.default_rng(0)
    settings = [
        {"rate": float(rng.uniform(0.01, 1)), "start": float(rng.uniform(-2, 2)), "steps": int(rng.integers(1, 41))}
        for _ in range(40)
    ]
    for setting, frame in zip(settings, play(explore.rate_1d(hill, w, start=1.5, xlim=(-2, 2)), settings), strict=True):
        optimizer = descent.GradientDescent(setting["rate"])
        run = descent.minimize(loss, slope, setting["start"], optimizer, steps=setting["steps"], tolerance=ALL)
        close(frame["marks"]["path"][: run.steps + 1], np.column_stack([run.iterates, run.losses]))
        assert (frame["readouts"]["verdict"] == "diverges") >= (run.outcome == "diverged")


def test_the_bowl_shrinks_by_the_factors_that_theory_names(play):
    rng = np.random.default_rng(1)
    settings = [
        {"kappa": float(10 ** rng.uniform(0, 2)), "rate": float(rng.uniform(0.01, 2.4)), "steps": 30, "start": [-9, 4]}
        for _ in range(30)
    ]
    for setting, frame in zip(settings, play(explore.bowl(), settings), strict=True):
        k = np.arange(31)[:, None]
        eigenvalues = np.array([1 / setting["kappa"], 1.0])
        close(frame["marks"]["path"], (1 - setting["rate"] * eigenvalues) ** k * np.array(setting["start"]))
        assert frame["readouts"]["factor"] == pytest.approx(np.abs(1 - setting["rate"] * eigenvalues).max(), rel=1e-12)
        best = (setting["kappa"] - 1) / (setting["kappa"] + 1)
        assert frame["readouts"]["best_factor"] == pytest.approx(best, rel=1e-9, abs=1e-12)


def test_stochastic_descent_runs_as_mlmath_does(play):
    rng = np.random.default_rng(3)
    x = rng.normal(size=12)
    y = 3 * x - 1 + rng.normal(size=12)
    A = column(x)
    settings = [
        {"batch_size": size, "rate": 0.05, "steps": 5 * -(-12 // size), "start": [-1.0, 2.0]} for size in range(1, 13)
    ]
    for setting, frame in zip(settings, play(explore.sgd(x, y), settings), strict=True):
        run = descent.minimize_stochastic(
            lambda w, X, y: ((y - X @ w) ** 2).mean() / 2,
            lambda w, X, y: X.T @ (X @ w - y) / len(y),
            A,
            y,
            setting["start"],
            descent.GradientDescent(0.05),
            batch_size=setting["batch_size"],
            epochs=5,
            tolerance=ALL,
            rng=np.random.default_rng(0),
        )
        close(frame["marks"]["path"], run.iterates)
        w = least_squares(A, y)
        assert frame["readouts"]["least"] == pytest.approx(((y - A @ w) ** 2).mean() / 2, rel=1e-9)


def test_a_line_fitted_by_hand(play):
    rng = np.random.default_rng(4)
    settings = [
        {
            "slope": float(rng.normal()),
            "intercept": float(rng.normal()),
            "points": rng.normal(size=(n, 2)).tolist(),
        }
        for n in range(2, 30)
    ]
    explorer = explore.fit_a_line()
    for setting, frame in zip(settings, play(explorer, settings), strict=True):
        x, y = np.array(setting["points"]).T
        r = y - setting["slope"] * x - setting["intercept"]
        assert frame["readouts"]["sse"] == pytest.approx(r @ r, rel=1e-9)
        w = least_squares(column(x), y)
        close(frame["marks"]["bottom"], [w])
        least = ((y - column(x) @ w) ** 2).sum()
        assert frame["readouts"]["least"] == pytest.approx(least, rel=1e-9, abs=1e-9)
        for i, level in enumerate(explorer.spec["data"]["levels"]):
            a, b = np.array(frame["marks"][f"level{i}"]).T
            S = ((y[:, None] - x[:, None] * a - b) ** 2).sum(0)
            np.testing.assert_allclose(S, least + level, rtol=1e-9)


def test_equal_x_have_no_best_line(play):
    frame = play(explore.fit_a_line(), [{"points": [[1, 2], [1, 3], [1, 5]]}])[0]
    assert "not unique" in frame["readouts"]["best"]


def test_polynomials_are_ridge_fits_with_a_free_intercept(play):
    explorer = explore.polynomial()
    training = np.array(explorer.spec["data"]["train"])
    t, y = training.T
    for degree, alpha in ((0, 1e-8), (1, 1.0), (4, 1e-3), (9, 1e-2), (12, 10.0)):
        frame = play(explorer, [{"degree": degree, "alpha": alpha}])[0]
        P = t[:, None] ** np.arange(degree + 1)
        penalty = np.sqrt(alpha) * np.eye(degree + 1)[1:]
        w = np.linalg.lstsq(np.vstack([P, penalty]), np.append(y, np.zeros(degree)), rcond=None)[0]
        assert frame["readouts"]["train_error"] == pytest.approx(np.sqrt(np.mean((y - P @ w) ** 2)), rel=1e-6)


def test_the_normal_equations_lose_digits_twice_as_fast(play):
    explorer = explore.conditioning()
    for epsilon in (1e-2, 1e-4, 1e-6):
        readouts = play(explorer, [{"epsilon": epsilon}])[0]["readouts"]
        lost = np.log10(readouts["cond"])
        assert readouts["cond"] == pytest.approx(2 / epsilon, rel=1e-2)
        assert float(readouts["normal"]) == pytest.approx(16 - 2 * lost, abs=1.5)
        assert float(readouts["qr"]) == pytest.approx(16 - lost, abs=1.5)
        assert float(readouts["svd"]) == pytest.approx(16 - lost, abs=1.5)
