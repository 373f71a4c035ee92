"""The explorers of chapter 3: in a browser their numbers are mlmath's; in Python they say what they take."""

import numpy as np
import pytest
from scipy.optimize import linprog
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlmath import data, descent, explore
from mlmath.explore.logistic import tumors
from mlmath.logistic import log_loss, logistic_regression, roc_curve, sigmoid

ALL = 1e-300  # a tolerance that no run meets before its last step


def fitted(X, y, alpha):
    """The weights and, last, the bias."""
    fit = logistic_regression(X, y, alpha=alpha)
    return np.append(fit.w, fit.b)


def overlapping(rng, n):
    """One feature, and labels that no point separates."""
    x = rng.normal(size=n)
    y = (x + rng.logistic(size=n) > 0).astype(int)
    y[[np.argmin(x), np.argmax(x)]] = 1, 0
    return x, y


def test_the_likelihood_of_each_label_is_a_bar(play):
    x, y = overlapping(np.random.default_rng(0), 30)
    settings = [{"weight": w, "bias": b} for w in (-9.0, -0.3, 0.0, 2.0, 9.0) for b in (-10.0, 0.0, 1.5)]
    explorer = explore.sigmoid(x, y)
    for setting, frame in zip(settings, play(explorer, settings), strict=True):
        z = setting["weight"] * x + setting["bias"]
        bars = np.concatenate([frame["marks"][f"likelihood{k}"] for k in (0, 1)])
        lengths = np.abs(bars[:, 3] - bars[:, 1])
        assert frame["readouts"]["likelihood"] == pytest.approx(np.prod(lengths), rel=1e-9)
        assert frame["readouts"]["log_likelihood"] == pytest.approx(-len(x) * log_loss(y, z), rel=1e-12)
        assert frame["readouts"]["loss"] == pytest.approx(log_loss(y, z), rel=1e-12)
        heights = np.concatenate([np.array(frame["marks"][f"bar{k}"])[:, 3] for k in (0, 1)])
        assert heights.sum() == pytest.approx(len(x) * log_loss(y, z), rel=1e-12)
        for t, p in (np.array(frame["marks"]["curve"]).T, bars[:, [0, 3]].T):
            np.testing.assert_allclose(p, sigmoid(setting["weight"] * t + setting["bias"]), rtol=1e-12, atol=0)


def test_the_best_curve_is_the_fit_and_separable_labels_have_none(play):
    x, y = overlapping(np.random.default_rng(1), 40)
    w, b = fitted(x[:, None], y, 0.0)
    frame = play(explore.sigmoid(x, y), [{"weight": w, "bias": b}])[0]
    assert frame["readouts"]["loss"] == pytest.approx(frame["readouts"]["least"], rel=1e-14)
    assert frame["readouts"]["best"] == f"p = σ({w:.4g} x {'−' if b < 0 else '+'} {abs(b):.4g})".replace("(-", "(−")
    frame = play(explore.sigmoid([1, 2, 3, 4], [0, 0, 1, 1]), [{}])[0]
    assert "separable" in frame["readouts"]["best"]


def test_newton_and_descent_run_as_mlmath_does(play):
    x, y = overlapping(np.random.default_rng(2), 30)
    features = {"standardized feature": (x - x.mean()) / x.std(), "feature as measured": x}
    explorer = explore.newton_vs_descent(x, y)
    rng = np.random.default_rng(3)
    settings = [
        {"loss": name, "rate": rate, "steps": int(rng.integers(1, 101)), "start": rng.normal(size=2).tolist()}
        for name in features
        for rate in (0.2, 4.0, 30.0)
    ]
    for setting, frame in zip(settings, play(explorer, settings), strict=True):
        A = np.column_stack([features[setting["loss"]], np.ones(30)])
        least = log_loss(y, A @ fitted(A[:, :1], y, 0.0))

        def gradient(w, A=A):
            return A.T @ (sigmoid(A @ w) - y) / 30

        def hessian(w, A=A):
            p = sigmoid(A @ w)
            return (A.T * (p * (1 - p))) @ A / 30

        rules = {"gradient_descent": descent.GradientDescent(setting["rate"]), "newton": descent.Newton(hessian)}
        for method, rule in rules.items():
            run = descent.minimize(
                lambda w, A=A: log_loss(y, A @ w),
                gradient,
                setting["start"],
                rule,
                steps=setting["steps"],
                tolerance=ALL,
            )
            np.testing.assert_allclose(
                frame["marks"][f"path_{method}"][: run.steps + 1], run.iterates, rtol=1e-7, atol=1e-7
            )
            drawn = np.array(frame["marks"][f"loss_{method}"])[: run.steps + 1, 1]
            np.testing.assert_allclose(drawn, run.losses - least, rtol=1e-7, atol=1e-12)


def is_separable(X, y):
    """Linear programming: is there a line with no sample on its wrong side, and not all of them on it?"""
    A = (2 * y - 1)[:, None] * np.column_stack([X, np.ones(len(X))])
    return -linprog(-A.sum(0), A_ub=-A, b_ub=np.zeros(len(X)), bounds=[(-1, 1)] * 3).fun > 1e-9


def test_the_boundary_is_that_of_the_penalized_fit(play):
    rng = np.random.default_rng(4)
    explorer = explore.boundary()
    data = explorer.spec["data"]
    columns, rows = data["columns"], data["rows"]
    settings, seen = [], set()
    for k in range(24):
        gap = 3 * rng.random()
        negative, positive = rng.normal(size=(5 + k % 4, 2)) - gap / 2, rng.normal(size=(4 + k % 3, 2)) + gap / 2
        alpha = float(10 ** rng.uniform(-6, 2))
        if k % 5 == 0:
            negative[0] = positive[0]  # at most touching
        settings.append({"alpha": alpha, "negative": negative.tolist(), "positive": positive.tolist()})
    for setting, frame in zip(settings, play(explorer, settings), strict=True):
        X = np.array(setting["negative"] + setting["positive"])
        y = np.repeat([0, 1], [len(setting["negative"]), len(setting["positive"])])
        *w, b = fitted(X, y, setting["alpha"])
        z = X @ w + b
        assert frame["readouts"]["norm"] == pytest.approx(np.linalg.norm(w), rel=1e-6)
        assert frame["readouts"]["loss"] == pytest.approx(log_loss(y, z), rel=1e-6)
        assert frame["readouts"]["wrong"] == f"{np.sum((z > 0) != y)} of {len(y)}"
        separable = is_separable(X, y)
        assert frame["readouts"]["limit"] == "‖w‖ " + ("runs to infinity: separable" if separable else "stays finite")
        seen.add(separable)
        np.testing.assert_allclose(np.array(frame["marks"]["line"]) @ w + b, 0, atol=1e-6 * np.linalg.norm([*w, b]))
        cells = [
            low + (high - low) * (np.arange(n) + 0.5) / n
            for (low, high), n in ((data["xlim"], columns), (data["ylim"][::-1], rows))
        ]
        a, c = np.meshgrid(*cells)
        expected = 2 * sigmoid(w[0] * a + w[1] * c + b) - 1
        np.testing.assert_allclose(np.reshape(frame["marks"]["field"]["values"], (rows, columns)), expected, atol=1e-6)
        alphas, norms = np.array(frame["marks"]["path"]).T
        assert norms[8] == pytest.approx(np.linalg.norm(fitted(X, y, alphas[8])[:2]), rel=1e-6)
        assert (np.diff(norms) >= -1e-9 * norms[1:]).all(), "a smaller penalty never makes the weights shorter"
    assert seen == {True, False}


def test_points_in_one_place_have_a_boundary_too(play):
    settings = [
        {"alpha": alpha, "negative": [[0, 0]] * n, "positive": [[x, 0]] * m}
        for alpha in (1e-6, 0.1, 100.0)
        for n, m, x in ((1, 1, 0), (3, 1, 0), (1, 1, 1e-9), (2, 5, 1.0), (1, 1, 1e3))
    ]
    for frame in play(explore.boundary(), settings):
        numbers = [*frame["marks"]["field"]["values"], *np.ravel(frame["marks"]["line"]), frame["readouts"]["norm"]]
        assert np.isfinite(np.array(numbers, dtype=float)).all()


def test_the_held_out_tumors_have_no_say_in_the_model():
    known, shown = data.breast_cancer(), explore.threshold().spec["data"]
    columns = [known.feature_names.index(f"mean {name}") for name in ("texture", "compactness")]
    X, X_test, y, y_test = data.hold_out(known.X[:, columns], known.y, rng=np.random.default_rng(0))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1, tol=1e-10)).fit(X, y)
    np.testing.assert_array_equal(shown["y"], y_test)
    np.testing.assert_allclose(shown["p"], model.predict_proba(X_test)[:, 1], atol=1e-5)


def test_a_threshold_counts_as_scikit_learn_does(play):
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, size=80)
    p = sigmoid(2 * y - 1 + 1.5 * rng.normal(size=80)).round(2)
    explorer = explore.threshold(y, p)
    settings = [
        {"threshold": t, "curve": curve}
        for t in (0, 0.005, 0.3, 0.5, 0.77, 0.995, 1)
        for curve in ("ROC", "precision and recall")
    ]
    fall, found, _ = roc_curve(y, p)
    for setting, frame in zip(settings, play(explorer, settings), strict=True):
        flagged, readouts = p >= setting["threshold"], frame["readouts"]
        (tn, fp), (fn, tp) = metrics.confusion_matrix(y, flagged)
        texts = [text.split()[-1] for _, _, text in frame["marks"]["counts"]]
        assert texts == [str(n) for n in (fn, tp, tn, fp)]
        assert readouts["accuracy"] == pytest.approx(metrics.accuracy_score(y, flagged))
        assert readouts["recall"] == pytest.approx(metrics.recall_score(y, flagged))
        assert readouts["f1"] == pytest.approx(metrics.f1_score(y, flagged))
        if flagged.any():
            assert readouts["precision"] == pytest.approx(metrics.precision_score(y, flagged))
        else:
            assert readouts["precision"] == "none flagged"
        bars = np.array(frame["marks"]["wrong"]).reshape(-1, 4)[:, 3]
        assert (bars[bars > 0].sum(), -bars[bars < 0].sum()) == (fn, fp)
        ((x, height),) = frame["marks"]["now"]
        if setting["curve"] == "ROC":
            assert np.hypot(fall - x, found - height).min() < 1e-12, "the point is a corner of the curve"
        else:
            assert (x, height) == (setting["threshold"], readouts["recall"])


def test_the_readers_own_data():
    x, y = overlapping(np.random.default_rng(6), 25)
    X = np.column_stack([x, x**2])
    assert explore.sigmoid(x, y).spec["data"]["samples"] == np.column_stack([x, y]).tolist()
    assert explore.newton_vs_descent(100 + x, y).loss == "standardized feature"
    assert explore.boundary(X, y).positive == X[y == 1].tolist()
    assert explore.threshold(y, sigmoid(x)).threshold == 0.5
    assert explore.sigmoid([1, 2, 2, 3], [0, 0, 1, 1]).spec["data"]["separable"], "the classes only touch"


def test_the_chapters_data_overlap():
    X, y = tumors(["mean radius", "mean texture"], 10, seed=31)
    assert not is_separable(X, y)
    assert y.tolist() == [0] * 10 + [1] * 10


@pytest.mark.parametrize("explorer", [explore.sigmoid, explore.newton_vs_descent])
@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        ([1.0, 2, 3], [0, 1], ValueError, "x and y must have the same length"),
        ([], [], ValueError, "x must not be empty"),
        ([1.0, np.nan], [0, 1], ValueError, "x must be finite"),
        ([1j, 2], [0, 1], TypeError, "x must hold real numbers"),
        ([[1.0, 2]], [0, 1], ValueError, "x must have 1 dimension"),
        ([1.0, 2, 3], [1, 1, 1], ValueError, "y must hold the classes 0 and 1, and both"),
        ([1.0, 2, 3], [1, 2, 1], ValueError, "y must hold the classes 0 and 1, and both"),
        ([1.0, 2, 3], ["a", "b", "a"], TypeError, "y must hold real numbers"),
        ([2.0, 2, 2], [0, 1, 0], ValueError, "x must have at least 2 different values"),
        ([2.0, 3], None, TypeError, "y must hold real numbers, but it is None"),
    ],
)
def test_explorers_of_one_feature_say_what_they_take(explorer, x, y, error, message):
    with pytest.raises(error, match=message):
        explorer(x, y)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: explore.newton_vs_descent([1, 2, 3, 4], [0, 0, 1, 1]),
            ValueError,
            "x must overlap between the classes",
        ),
        (
            lambda: explore.newton_vs_descent([1, 2, 2, 3], [1, 1, 0, 0]),
            ValueError,
            "x must overlap between the classes",
        ),
        (lambda: explore.boundary([1.0, 2], [0, 1]), ValueError, "X must have 2 dimension"),
        (lambda: explore.boundary(np.eye(3), [0, 1, 0]), ValueError, r"X must have shape \(n, 2\)"),
        (lambda: explore.boundary(np.ones((101, 2)), np.arange(101) % 2), ValueError, "n at most 100"),
        (lambda: explore.threshold([0, 1], [0.2, 1.2]), ValueError, "p must lie between 0 and 1"),
        (lambda: explore.threshold([0, 1], [-0.2, 0.2]), ValueError, "p must lie between 0 and 1"),
        (lambda: explore.threshold([0, 1], [0.2]), ValueError, "p and y must have the same length"),
        (lambda: explore.threshold([0, 0], [0.2, 0.3]), ValueError, "y must hold the classes 0 and 1"),
        (lambda: explore.threshold(p=[0.2, 0.3]), TypeError, "y must hold real numbers, but it is None"),
    ],
)
def test_explorers_say_what_they_take(call, error, message):
    with pytest.raises(error, match=message):
        call()
