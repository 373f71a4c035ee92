"""Logistic regression against high precision, scikit-learn, statsmodels, linear programming, and its own geometry."""

import re
import warnings
from functools import cache

import mpmath
import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mlmath import data
from mlmath.logistic import (
    ROWS,
    SeparableWarning,
    auc,
    confusion_matrix,
    log_loss,
    log_sigmoid,
    log_softmax,
    logistic_regression,
    precision,
    recall,
    roc_curve,
    sigmoid,
    softmax,
    standard_errors,
)

SOLVERS = ("newton", "descent")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On a busy machine, threads that wait for each other take longer than one that does not."""
    with threadpool_limits(1):
        yield


def problem(n=80, d=3, k=2, seed=0):
    """Samples whose classes overlap."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    Z = X @ rng.normal(size=(d, k)) + rng.gumbel(size=(n, k))
    return X, Z.argmax(axis=1)


def quiet(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeparableWarning)
        return logistic_regression(*arguments, **options)


# --- Stable forms, against 60 digits ----------------------------------------------------------------------------------

MAGNITUDES = [
    0,
    1e-300,
    1e-40,
    1e-20,
    1e-8,
    1e-3,
    0.3,
    1,
    5,
    16.7,
    17,
    36.7,
    37,
    80,
    88.7,
    103,
    500,
    709,
    740,
    1e3,
    1e4,
]


def logits(dtype):
    rng = np.random.default_rng(0)
    z = np.concatenate([MAGNITUDES, rng.uniform(0, 40, 60), 10 ** rng.uniform(-6, 4, 60)])
    return np.concatenate([z, -z]).astype(dtype)


def in_ulps(computed, exact):
    """The largest error in units of eps · |exact|; below the normal range, of eps times the smallest normal number."""
    info = np.finfo(computed.dtype)
    worst = 0.0
    for number, value in zip(computed.ravel(), exact, strict=True):
        size = max(abs(value), mpmath.mpf(float(info.tiny)))
        worst = max(worst, float(abs(mpmath.mpf(float(number)) - value) / size / float(info.eps)))
    return worst


def exactly(function, numbers):
    with mpmath.workdps(60):
        return [function(mpmath.mpf(float(x))) for x in numbers]


def exact_log_softmax(rows):
    """The logarithms, row after row: zⱼ − m − log(1 + r), as log1p keeps the digits of even the smallest r."""
    with mpmath.workdps(60):
        result = []
        for row in rows:
            z = sorted(map(float, row))
            m = mpmath.mpf(z[-1])
            log_sum = mpmath.log1p(mpmath.fsum(mpmath.exp(x - m) for x in z[:-1]))
            result += [mpmath.mpf(float(x)) - m - log_sum for x in row]
        return result


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_and_its_logarithm_are_right_to_the_last_bits(dtype):
    z = logits(dtype)
    p, log_p = sigmoid(z), log_sigmoid(z)
    assert p.dtype == log_p.dtype == dtype
    assert in_ulps(p, exactly(lambda x: 1 / (1 + mpmath.exp(-x)), z)) < 4
    assert in_ulps(log_p, exactly(lambda x: -mpmath.log1p(mpmath.exp(-x)), z)) < 4


def rows_of_logits(dtype):
    rng = np.random.default_rng(1)
    rows = [
        *(rng.normal(size=(12, 4)) * 10.0 ** np.linspace(-3, 3.9, 12)[:, None]),
        *(rng.normal(size=(6, 4)) + rng.uniform(-1e4, 1e4, size=(6, 1))),
        [0.1234567, 700.3, 0.5, -2.1],
        [9876.543, 9900.1, 9300.7, 1e-3],
        [0, -30, -36, -37],
        [0, -80.1, -500.3, -1e4],
        [1e4, -1e4, 1e4, 0],
        [5, 5, 5, 5],
    ]
    return np.array(rows, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_and_its_logarithm_are_right_to_the_last_bits(dtype):
    rows = rows_of_logits(dtype)
    p, log_p, exact = softmax(rows), log_softmax(rows), exact_log_softmax(rows)
    assert p.dtype == log_p.dtype == dtype
    with mpmath.workdps(60):
        assert in_ulps(p, [mpmath.exp(x) for x in exact]) < 6
    assert in_ulps(log_p, exact) < 4
    np.testing.assert_array_equal(softmax(rows[3]), p[3])
    np.testing.assert_array_equal(log_softmax(rows[3]), log_p[3])


@pytest.mark.parametrize("function", [sigmoid, log_sigmoid])
def test_numbers_and_arrays_of_any_shape_keep_their_shape(function):
    assert np.shape(function(0.5)) == ()
    assert np.shape(function([[1, 2], [3, 4]])) == (2, 2)
    assert function(np.float32(0.5)).dtype == np.float32


@settings(max_examples=40, derandomize=True)
@given(st.floats(-1e4, 1e4))
def test_the_sigmoid_is_the_softmax_of_two_logits_and_symmetric(z):
    assert sigmoid(z) == pytest.approx(softmax([z, 0.0])[0], rel=1e-14, abs=1e-307)
    assert log_sigmoid(z) == pytest.approx(log_softmax([z, 0.0])[0], rel=1e-14, abs=1e-307)
    assert sigmoid(z) + sigmoid(-z) == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_is_the_mean_over_the_samples(dtype):
    z, rows = logits(dtype), rows_of_logits(dtype)
    y, labels = np.arange(len(z)) % 2, np.arange(len(rows)) % 4
    exact = exactly(lambda x: mpmath.log1p(mpmath.exp(-x)), np.where(y == 1, z, -z))
    assert log_loss(y, z) == pytest.approx(float(mpmath.fsum(exact) / len(z)), rel=4 * float(np.finfo(dtype).eps))
    exact = [-exact_log_softmax([row])[label] for row, label in zip(rows, labels, strict=True)]
    assert log_loss(labels, rows) == pytest.approx(
        float(mpmath.fsum(exact) / len(rows)), rel=4 * float(np.finfo(dtype).eps)
    )


def test_log_loss_agrees_with_scikit_learn_where_that_is_accurate():
    rng = np.random.default_rng(0)
    z, rows, y, labels = rng.normal(size=30), rng.normal(size=(30, 5)), rng.integers(0, 2, 30), rng.integers(0, 5, 30)
    assert log_loss(y, z) == pytest.approx(metrics.log_loss(y, sigmoid(z)), rel=1e-12)
    assert log_loss(labels, rows) == pytest.approx(metrics.log_loss(labels, softmax(rows), labels=range(5)), rel=1e-12)


# --- The fit, against scikit-learn and statsmodels --------------------------------------------------------------------


@cache
def breast_cancer():
    """The ten mean features, which do not separate the classes."""
    return data.breast_cancer().X[:, :10], data.breast_cancer().y


@cache
def digits(k):
    """The digits below k, as few as make a quick test."""
    some = np.flatnonzero(data.digits().y < k)[:300]
    return data.digits().X[some], data.digits().y[some]


def scikit_learns(X, y, alpha):
    model = LogisticRegression(C=1 / alpha if alpha else np.inf, solver="newton-cholesky", tol=1e-11, max_iter=500)
    model.fit(X, y)
    return (model.coef_[0], model.intercept_[0]) if len(model.classes_) == 2 else (model.coef_.T, model.intercept_)


def agree(fit, w, b, digits=6):
    np.testing.assert_allclose(fit.w, w, rtol=10.0**-digits, atol=10.0**-digits * np.abs(w).max())
    np.testing.assert_allclose(fit.b, b, rtol=10.0**-digits, atol=10.0**-digits * np.abs(w).max())
    assert fit.w.shape == np.shape(w)
    assert np.shape(fit.b) == np.shape(b)


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 100.0])
def test_breast_cancer_agrees_with_scikit_learn(alpha):
    X, y = breast_cancer()
    fit = logistic_regression(X, y, alpha=alpha)
    agree(fit, *scikit_learns(X, y, alpha))
    assert fit.run.outcome == "converged"
    assert not fit.separable


def test_breast_cancer_and_its_standard_errors_agree_with_statsmodels():
    X, y = breast_cancer()
    fit = logistic_regression(X, y)
    theirs = sm.Logit(y, sm.add_constant(X)).fit(method="newton", maxiter=50, tol=1e-10, disp=False)
    np.testing.assert_allclose(np.append(fit.b, fit.w), theirs.params, rtol=1e-8)
    np.testing.assert_allclose(standard_errors(X, fit.w, fit.b), theirs.bse, rtol=1e-7)
    assert fit.run.losses[-1] == pytest.approx(-theirs.llf, rel=1e-12)


def test_digits_agree_with_scikit_learn():
    X, y = digits(10)
    agree(logistic_regression(X, y, alpha=10.0), *scikit_learns(X, y, 10.0), digits=7)


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_random_problems_agree_with_scikit_learn(k, alpha):
    for seed in range(3):
        X, y = problem(n=150, d=4, k=k, seed=seed)
        fit = logistic_regression(X, y, alpha=alpha)
        w, b = scikit_learns(X, y, alpha)
        if k > 2:
            w, b = w - w.mean(axis=1, keepdims=True), b - b.mean()
        agree(fit, w, b, digits=7)


def test_softmax_regression_without_a_penalty_agrees_with_statsmodels():
    X, y = problem(n=200, d=3, k=4)
    fit = logistic_regression(X, y)
    theirs = sm.MNLogit(y, sm.add_constant(X)).fit(method="newton", tol=1e-12, disp=False).params
    W = np.vstack([fit.b, fit.w])
    np.testing.assert_allclose(W[:, 1:] - W[:, :1], theirs, rtol=1e-8)
    np.testing.assert_allclose(W.sum(axis=1), 0, atol=1e-12)


def test_standard_errors_agree_with_the_spread_of_many_fits():
    # The law of large numbers knows nothing of Hessians: 200 draws of y from one model.
    rng = np.random.default_rng(0)
    X, w, b = rng.normal(size=(400, 2)) * [1, 5] + [0, 20], np.array([1.0, -0.2]), 3.0
    draws = [logistic_regression(X, (rng.random(400) < sigmoid(X @ w + b)).astype(int)) for _ in range(200)]
    spread = np.std([np.append(fit.b, fit.w) for fit in draws], axis=0)
    np.testing.assert_allclose(standard_errors(X, w, b), spread, rtol=0.15)


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_descent_arrives_where_newton_does(k, alpha):
    X, y = problem(k=k)
    X = X * [1e-2, 1, 1e4]
    descent = logistic_regression(X, y, alpha=alpha, solver="descent")
    assert descent.run.outcome == "converged"
    newton = logistic_regression(X, y, alpha=alpha)
    agree(descent, newton.w, newton.b)
    assert newton.run.steps < 10 < descent.run.steps


# --- What the minimum is ----------------------------------------------------------------------------------------------


def objective(W, X, y, alpha):
    """Σ log loss + α/2 ‖w‖², from the definition."""
    total = 0.0
    for x, label in zip(X, y, strict=True):
        z = x @ W[1:] + W[0]
        p = np.exp(z) / np.exp(z).sum() if W.ndim == 2 else 1 / (1 + np.exp(-z))
        total -= np.log(p[label] if W.ndim == 2 else (p if label else 1 - p))
    return total + alpha / 2 * (W[1:] ** 2).sum()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("k", [2, 3])
def test_the_record_holds_the_iterates_in_the_units_of_x_and_what_the_loss_is_there(solver, k):
    X, y = problem(k=k)
    X = X * [1, 30, 0.2] + [5, -100, 0]
    fit = logistic_regression(X, y, alpha=0.7, solver=solver)
    np.testing.assert_array_equal(fit.run.w, np.concatenate([[fit.b], fit.w]))
    np.testing.assert_array_equal(fit.run.iterates[0], np.zeros_like(fit.run.w))
    for i in (0, 1, fit.run.steps):
        assert fit.run.losses[i] == pytest.approx(objective(fit.run.iterates[i], X, y, 0.7), rel=1e-12)
    assert fit.run.steps + 1 == len(fit.run.losses) == len(fit.run.gradient_norms)


@pytest.mark.parametrize("k", [2, 3])
def test_every_move_away_from_the_fit_raises_the_loss(k):
    X, y = problem(k=k)
    fit = logistic_regression(X, y, alpha=0.7)
    rng = np.random.default_rng(0)
    least = objective(fit.run.w, X, y, 0.7)
    for _ in range(20):
        assert objective(fit.run.w + 1e-3 * rng.normal(size=fit.run.w.shape), X, y, 0.7) > least


def test_newton_converges_quadratically():
    X, y = breast_cancer()
    norms = logistic_regression(X, y).run.gradient_norms
    assert norms[-2] < 1e-2 * norms[-3]
    assert norms[-1] < 1e-4 * norms[-2]


def plain_newton(X, y):
    """Losses along undamped Newton steps from zero."""
    A, w, losses = np.column_stack([np.ones(len(X)), X]), np.zeros(X.shape[1] + 1), []
    for _ in range(20):
        z = A @ w
        losses.append(-log_sigmoid(np.where(y == 1, z, -z)).sum())
        p = sigmoid(z)
        w = w - np.linalg.lstsq((A * (p * (1 - p))[:, None]).T @ A, A.T @ (p - y))[0]
    return losses


def test_newton_converges_where_its_undamped_step_overshoots():
    rng = np.random.default_rng(219)
    n, d = int(rng.integers(8, 60)), int(rng.integers(1, 4))
    X = np.sign(rng.normal(size=(n, d))) * 10.0 ** rng.uniform(-3, 3, size=(n, d))
    y = (rng.random(n) < rng.uniform(0.05, 0.95)).astype(int)
    assert (np.diff(plain_newton(X, y)) > 1e-6).any()
    run = logistic_regression(X, y).run
    assert run.outcome == "converged"
    assert (np.diff(run.losses) < 1e-12).all()


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_many_samples_are_fitted_like_few(k, alpha):
    # More than one block of rows, and a start from a part of the samples.
    X, y = problem(n=8 * 50 * 3 * k + ROWS + 1, d=2, k=k)
    fit = logistic_regression(X, y, alpha=alpha)
    w, b = scikit_learns(X, y, alpha)
    if k > 2:
        w, b = w - w.mean(axis=1, keepdims=True), b - b.mean()
    agree(fit, w, b, digits=8)
    assert fit.run.steps <= 4


# --- Units, constant and dependent columns ----------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 3])
def test_units_change_the_weights_and_nothing_else(k):
    X, y = problem(k=k)
    unit, zero = np.array([1e-8, 1, 1e6]), np.array([0, 1e7, -3])
    fit, scaled = logistic_regression(X, y), logistic_regression(X * unit + zero, y)
    np.testing.assert_allclose((scaled.w.T * unit).T, fit.w, rtol=1e-7)
    np.testing.assert_allclose(scaled.run.losses[-1], fit.run.losses[-1], rtol=1e-9)
    np.testing.assert_allclose(scaled.b, fit.b - zero / unit @ fit.w, rtol=1e-6)


def test_standard_errors_follow_the_units():
    X, y = problem()
    fit = logistic_regression(X, y)
    errors = standard_errors(X, fit.w, fit.b)
    np.testing.assert_allclose(
        standard_errors(X * [1e-6, 1, 1e6], fit.w / [1e-6, 1, 1e6], fit.b)[1:], errors[1:] / [1e-6, 1, 1e6], rtol=1e-9
    )


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("constant", [0.1, -1.1e9])
def test_a_constant_column_gets_no_weight(solver, alpha, constant):
    X, y = problem()
    with_constant = logistic_regression(np.column_stack([X, np.full(80, constant)]), y, alpha=alpha, solver=solver)
    fit = logistic_regression(X, y, alpha=alpha)
    np.testing.assert_allclose(with_constant.w[:3], fit.w, rtol=1e-6)
    np.testing.assert_allclose(with_constant.b, fit.b, rtol=1e-6)
    assert with_constant.w[3] == 0


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_equal_columns_share_their_weight(k, alpha):
    X, y = problem(k=k)
    fit = logistic_regression(X[:, [0, 1, 2, 0]], y, alpha=alpha)
    np.testing.assert_allclose(fit.w[0], fit.w[3], rtol=1e-9)
    if not alpha:
        np.testing.assert_allclose(2 * fit.w[0], logistic_regression(X, y).w[0], rtol=1e-7)


def test_columns_that_tell_nothing_give_the_share_of_each_class():
    y = np.array([0, 1, 1, 1] * 5)
    fit = logistic_regression(np.zeros((20, 2)), y)
    np.testing.assert_array_equal(fit.w, 0)
    assert sigmoid(fit.b) == pytest.approx(0.75, rel=1e-12)


@pytest.mark.parametrize("k", [2, 3])
def test_float32_stays_float32(k):
    X, y = problem(k=k)
    fit, exact = logistic_regression(X.astype(np.float32), y, alpha=1.0), logistic_regression(X, y, alpha=1.0)
    assert fit.w.dtype == fit.b.dtype == np.float32
    np.testing.assert_allclose(fit.w, exact.w, rtol=1e-5)
    if k == 2:
        assert standard_errors(X.astype(np.float32), fit.w, fit.b).dtype == np.float32


def test_the_arguments_are_left_alone():
    X, y = problem()
    X.flags.writeable = y.flags.writeable = False
    for solver in SOLVERS:
        logistic_regression(X, y, solver=solver)
    standard_errors(X, np.zeros(3), 0.0)


# --- Separable data ---------------------------------------------------------------------------------------------------


def linear_program_separates(X, y):
    """Whether some W ≠ 0 favors another class in no sample, and in some sample its own class."""
    A, k = np.column_stack([np.ones(len(X)), X]), y.max() + 1
    leads = []
    for a, label in zip(A, y, strict=True):
        for j in set(range(k)) - {label}:
            W = np.zeros((k, len(a)))
            W[label], W[j] = a, -a
            leads.append(W.ravel())
    leads = np.array(leads)
    m, size = leads.shape
    result = linprog(
        np.append(np.zeros(size), -np.ones(m)),
        A_ub=np.hstack([-leads, np.eye(m)]),
        b_ub=np.zeros(m),
        bounds=[(None, None)] * size + [(0, 1)] * m,
    )
    return -result.fun > 0.5


def test_separable_and_partly_separable_data_are_told_from_others_as_linear_programming_does():
    # Points on a small grid: samples on the boundary, and several at one place, are frequent.
    verdicts = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        k, n, d = rng.integers(2, 4), rng.integers(6, 18), rng.integers(1, 4)
        X, y = rng.integers(-2, 3, size=(n, d)).astype(float), rng.integers(0, k, size=n)
        y[:k] = range(k)
        fit = quiet(X, y)
        verdicts.append(linear_program_separates(X, y))
        assert fit.separable == verdicts[-1], seed
        assert fit.run.outcome == ("diverged" if fit.separable else "converged"), seed
        assert np.isfinite(fit.w).all()
    assert 20 < sum(verdicts) < 100


@pytest.mark.parametrize("seed", [0, 243, 490])
def test_partly_separable_data_of_many_classes_are_told_though_steps_are_long(seed):
    # Of 500 problems like these, the ones that had been said to converge.
    rng = np.random.default_rng(seed)
    k, d = int(rng.integers(2, 6)), int(rng.integers(1, 6))
    n, kind = int(rng.integers(2 * k, 14 * k)), rng.integers(0, 4)
    X = rng.normal(size=(n, d)) * (1 if kind < 3 else 10.0 ** rng.integers(-3, 4, size=d))
    y = (X / X.std(axis=0) @ rng.normal(size=(d, k)) * rng.choice([0, 1, 5, 50]) + rng.gumbel(size=(n, k))).argmax(1)
    y[:k] = range(k)
    assert linear_program_separates(X, y)
    assert quiet(X, y).separable


def test_partly_separable_data_are_told_after_a_descent_too():
    dummy, rng = np.arange(60) < 10, np.random.default_rng(0)
    y = np.where(dummy, 1, rng.integers(0, 2, 60))
    X = np.column_stack([rng.normal(size=60), dummy])
    with pytest.warns(SeparableWarning):
        fit = logistic_regression(X, y, solver="descent", steps=300)
    assert fit.separable
    assert fit.run.outcome == "diverged"
    for k in (2, 3):
        X, y = rng.normal(size=(60, 2)), rng.integers(0, k, 60)
        fit = logistic_regression(X + X[:, ::-1] * 0.9, y, solver="descent", steps=5)
        assert not fit.separable
        assert fit.run.outcome == "step limit"


@pytest.mark.parametrize("solver", SOLVERS)
def test_separable_data_stop_with_a_warning_that_says_what_to_do(solver):
    X, y = data.breast_cancer().X, data.breast_cancer().y
    if solver == "descent":  # which takes its time on 30 columns
        X, y = np.array([[0.0, 1], [1, 0], [3, 1], [4, 2]]), np.array([0, 0, 1, 1])
    with pytest.warns(SeparableWarning, match=r"can be separated in X, .*stopped after \d+ steps\. Use alpha > 0"):
        fit = logistic_regression(X, y, solver=solver)
    assert fit.separable
    assert fit.run.outcome == "diverged"
    assert np.isfinite(fit.w).all()
    np.testing.assert_array_equal(X @ fit.w + fit.b > 0, y == 1)
    penalized = logistic_regression(X, y, alpha=0.1)
    assert penalized.run.outcome == "converged"
    assert not penalized.separable


def test_digits_are_separable():
    X, y = digits(4)
    with pytest.warns(SeparableWarning):
        fit = logistic_regression(X, y)
    np.testing.assert_array_equal((X @ fit.w + fit.b).argmax(axis=1), y)
    assert fit.run.steps < 10


def test_a_category_that_only_one_class_has_is_partly_separable():
    # The dummy variable is 1 in class 1 only; the other column overlaps.
    rng = np.random.default_rng(0)
    dummy = np.arange(200) < 20
    y = np.where(dummy, 1, rng.integers(0, 2, 200))
    X = np.column_stack([rng.normal(size=200), dummy])
    with pytest.warns(SeparableWarning):
        fit = logistic_regression(X, y)
    rest = logistic_regression(X[~dummy, :1], y[~dummy])
    assert fit.w[0] == pytest.approx(rest.w[0], rel=1e-4)
    assert fit.w[1] > 10
    assert fit.run.losses[-1] == pytest.approx(rest.run.losses[-1], rel=1e-6)


def numbers_of_any_size(seed, decades):
    """Samples whose classes overlap near zero at most; logits of the large ones grow for many steps."""
    rng = np.random.default_rng(seed)
    X = rng.choice([-1, 1], size=30) * 10.0 ** rng.uniform(-1, decades, 30)
    y = (X > 0).astype(int)
    y[np.abs(X) < np.sort(np.abs(X))[6]] ^= rng.integers(0, 2)
    y[np.argsort(np.abs(X))[:4]] = [0, 1, 0, 1]
    return X, y


def test_samples_far_out_on_their_right_side_are_no_separation():
    for seed in range(40):
        X, y = numbers_of_any_size(seed, decades=3)
        separated = X[y == 0].max() < X[y == 1].min()
        fit = quiet(X[:, None], y)
        assert fit.separable == separated, seed
        assert fit.run.outcome == ("diverged" if separated else "converged"), seed


def test_where_rounding_ends_the_progress_the_run_has_converged():
    # Samples beyond 60 000 leave few digits to the ones near zero, which determine the weight.
    X, y = numbers_of_any_size(28, decades=5)
    fit = logistic_regression(X[:, None], y)
    assert fit.run.outcome == "converged"
    assert fit.run.steps < 40
    near = np.abs(X) < 20
    assert fit.w[0] == pytest.approx(logistic_regression(X[near, None], y[near]).w[0], rel=1e-6)


# --- How good the predictions are -------------------------------------------------------------------------------------


@cache
def scored(ties):
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 60)
    scores = rng.normal(size=60) + y
    return y, np.round(scores, 1) if ties else scores


@pytest.mark.parametrize("ties", [False, True])
def test_the_roc_curve_agrees_with_scikit_learn(ties):
    y, scores = scored(ties)
    theirs = metrics.roc_curve(y, scores, drop_intermediate=False)
    for ours, their in zip(roc_curve(y, scores), theirs, strict=True):
        np.testing.assert_allclose(ours, their, rtol=1e-15)
    false, true, _ = roc_curve(y, scores)
    assert auc(false, true) == pytest.approx(metrics.roc_auc_score(y, scores), rel=1e-14)


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    y, scores = scored(ties=True)
    pairs = [(a > b) + (a == b) / 2 for a in scores[y == 1] for b in scores[y == 0]]
    false, true, thresholds = roc_curve(y, scores)
    assert auc(false, true) == pytest.approx(np.mean(pairs), rel=1e-14)
    for rate, threshold in zip(true, thresholds, strict=True):
        if rate > 0:
            assert recall(y, scores >= threshold) == pytest.approx(rate, rel=1e-15)


def test_precision_and_recall_agree_with_scikit_learn():
    y, scores = scored(ties=False)
    for threshold in (-1, 0, 0.5, 1):
        predicted = (scores > threshold).astype(int)
        assert precision(y, predicted) == pytest.approx(metrics.precision_score(y, predicted), rel=1e-15)
        assert recall(y, predicted) == pytest.approx(metrics.recall_score(y, predicted), rel=1e-15)


def test_the_confusion_matrix_has_the_truth_in_its_rows():
    np.testing.assert_array_equal(confusion_matrix([0, 0, 1, 1, 1], [0, 1, 1, 1, 0]), [[1, 1], [1, 2]])
    np.testing.assert_array_equal(confusion_matrix([0, 2], [0, 1]), [[1, 0, 0], [0, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(confusion_matrix([0, 0], [0, 0]), [[2, 0], [0, 0]])
    rng = np.random.default_rng(0)
    y, predicted = rng.integers(0, 10, size=(2, 300))
    np.testing.assert_array_equal(confusion_matrix(y, predicted), metrics.confusion_matrix(y, predicted))


def test_a_good_model_of_the_held_out_digits():
    X_train, X_test, y_train, y_test = data.hold_out(*digits(4), rng=np.random.default_rng(0))
    fit = logistic_regression(X_train, y_train, alpha=10.0)
    counts = confusion_matrix(y_test, (X_test @ fit.w + fit.b).argmax(axis=1))
    assert counts.sum() == 75
    assert counts.trace() >= 72


# --- Bad input --------------------------------------------------------------------------------------------------------

X4, Y4 = np.array([[0.0, 1], [1, 0], [2, 2], [3, 1]]), np.array([0, 1, 0, 1])


def error(kind, message):
    return pytest.raises(kind, match=re.escape(message))


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"X": X4[0]}, ValueError, "X must have 2 dimension(s), but its shape is (2,)"),
        ({"X": X4[:0], "y": Y4[:0]}, ValueError, "X must not be empty, but its shape is (0, 2)"),
        ({"X": X4 * [1, np.nan]}, ValueError, "X must be finite, but it contains NaN or infinity"),
        ({"X": np.where(X4 == 3, np.inf, X4)}, ValueError, "X must be finite, but it contains NaN or infinity"),
        ({"X": X4 + 1j}, TypeError, "X must hold real numbers, but its type is complex128"),
        ({"X": X4.astype(str)}, TypeError, "X must hold real numbers, but its type is <U32"),
        ({"X": [[1, 2], [3]]}, ValueError, "X must be a rectangular array of numbers"),
        ({"X": X4 * 1e200}, ValueError, "X must be of moderate size"),
        ({"X": X4 * 1e-200}, ValueError, "X must be of moderate size"),
        ({"y": Y4[:3]}, ValueError, "X and y must have the same length, but they have 4 and 3"),
        ({"y": Y4[:, None]}, ValueError, "y must have 1 dimension(s), but its shape is (4, 1)"),
        ({"y": Y4 + 0.5}, ValueError, "y must hold classes, whole numbers from 0 to 999, but has a 0.5"),
        ({"y": 2 * Y4 - 1}, ValueError, "y must hold classes, whole numbers from 0 to 999, but has a -1"),
        ({"y": Y4 * 1e300}, ValueError, "y must hold classes, whole numbers from 0 to 999, but has a 1e+300"),
        ({"y": ["a", "b", "a", "b"]}, TypeError, "y must hold real numbers, but its type is <U1"),
        ({"y": Y4 * np.nan}, ValueError, "y must be finite, but it contains NaN or infinity"),
        ({"y": 0 * Y4}, ValueError, "y must hold at least two classes, but all of its 4 labels are 0"),
        ({"y": 0 * Y4 + 1}, ValueError, "y must hold every class up to 1, but none of its labels is 0"),
        ({"y": 2 * Y4}, ValueError, "y must hold every class up to 2, but none of its labels is 1"),
        ({"X": X4[:1], "y": Y4[:1]}, ValueError, "y must hold at least two classes, but all of its 1 labels are 0"),
        ({"alpha": -1}, ValueError, "alpha must be at least 0, but it is -1"),
        ({"alpha": "1"}, TypeError, "alpha must be a real number, but it is '1'"),
        ({"alpha": np.nan}, ValueError, "alpha must be finite, but it is nan"),
        ({"solver": "lbfgs"}, ValueError, "solver must be one of 'newton', 'descent', but it is 'lbfgs'"),
        ({"steps": 0}, ValueError, "steps must be at least 1, but it is 0"),
        ({"weight": [1, -1, 1, 1]}, ValueError, "weight must be at least 0, and not 0 for all samples"),
        ({"weight": [0, 0, 0, 0]}, ValueError, "weight must be at least 0, and not 0 for all samples"),
        ({"weight": [1, 1]}, ValueError, "X and weight must have the same length, but they have 4 and 2"),
        ({"steps": 1.5}, TypeError, "steps must be a whole number, but it is 1.5"),
    ],
)
def test_logistic_regression_says_what_is_wrong(arguments, kind, message):
    with error(kind, message):
        logistic_regression(**{"X": X4, "y": Y4} | arguments)


@pytest.mark.parametrize("function", [sigmoid, log_sigmoid, softmax, log_softmax])
def test_the_stable_forms_say_what_is_wrong(function):
    for bad, kind, message in [
        ([0, np.nan], ValueError, "z must be finite"),
        ([0, np.inf], ValueError, "z must be finite"),
        ([], ValueError, "z must not be empty"),
        ([1j, 2], TypeError, "z must hold real numbers"),
        (["0"], TypeError, "z must hold real numbers"),
    ]:
        with error(kind, message):
            function(bad)
    if function in (softmax, log_softmax):
        with error(ValueError, "z must have 1 or 2 dimension(s), but its shape is ()"):
            function(1.0)
        with error(ValueError, "z must be of moderate size"):
            function([1e308, -1e308])


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: log_loss([0, 2], [0.1, 0.2]),
            ValueError,
            "y must hold classes, whole numbers from 0 to 1, but has a 2",
        ),
        (lambda: log_loss([0, 3], np.zeros((2, 3))), ValueError, "whole numbers from 0 to 2, but has a 3"),
        (lambda: log_loss([0, 1], [0.1]), ValueError, "y and z must have the same length, but they have 2 and 1"),
        (lambda: standard_errors(X4, [1.0], 0), ValueError, "w must have one weight for each of the 2 columns of X"),
        (lambda: standard_errors(X4, np.ones((2, 2)), 0), ValueError, "w must have 1 dimension(s)"),
        (lambda: standard_errors(X4[:, [0, 0]], [1, 1], 0), np.linalg.LinAlgError, "X must have independent columns"),
        (lambda: standard_errors(X4 * [1, 0], [1, 1], 0), np.linalg.LinAlgError, "none of them constant"),
        (lambda: standard_errors(X4, [1e4, 1e4], 1), np.linalg.LinAlgError, "some p must lie between 0 and 1"),
        (lambda: confusion_matrix([0, 1], [0]), ValueError, "y and predicted must have the same length"),
        (lambda: confusion_matrix([0, 1], [0, 0.5]), ValueError, "predicted must hold classes"),
        (lambda: precision([0, 1], [0, 0]), ValueError, "predicted must contain a 1 for a precision to exist"),
        (lambda: precision([0, 2], [0, 1]), ValueError, "y must hold classes, whole numbers from 0 to 1, but has a 2"),
        (lambda: recall([0, 0], [0, 1]), ValueError, "y must contain a 1 for a recall to exist"),
        (lambda: roc_curve([1, 1], [0.1, 0.2]), ValueError, "y must hold both classes, but all of its 2 labels are 1"),
        (lambda: roc_curve([0, 1], [0.1, np.nan]), ValueError, "scores must be finite"),
        (lambda: roc_curve([0, 1], [0.1]), ValueError, "y and scores must have the same length"),
        (lambda: auc([0, 1], [0, 1, 1]), ValueError, "must have the same length, but they have 2 and 3"),
        (lambda: auc([0], [0]), ValueError, "false_positive_rate must hold two or more numbers that do not fall"),
        (lambda: auc([0, 1, 0.5], [0, 1, 1]), ValueError, "two or more numbers that do not fall"),
    ],
)
def test_the_others_say_what_is_wrong(call, kind, message):
    with error(kind, message):
        call()


def test_too_few_steps_are_in_the_record():
    X, y = problem()
    for solver in SOLVERS:
        run = logistic_regression(X, y, solver=solver, steps=2).run
        assert (run.outcome, run.steps) == ("step limit", 2)


def test_standardized_breast_cancer_descends_as_newton_does():
    X, y = breast_cancer()
    X = StandardScaler().fit_transform(X)
    newton = logistic_regression(X, y, alpha=10.0)
    agree(logistic_regression(X, y, alpha=10.0, solver="descent"), newton.w, newton.b, digits=5)


def test_numbers_near_the_end_of_the_range_are_named_and_do_not_warn():
    with pytest.raises(ValueError, match="z must be of moderate size, but the sum of the losses overflows"):
        log_loss([0, 0], [1.5e308, 1.5e308])
    with pytest.raises(ValueError, match="X and alpha must be of moderate size"):
        logistic_regression([[1.0], [2.0]], [0, 1], alpha=1.7e308)
    thresholds = roc_curve([0, 1], np.array([-3e38, 3e38], np.float32))[2]
    assert thresholds.dtype == np.float32
    assert thresholds.tolist() == [np.inf, np.float32(3e38), np.float32(-3e38)]


@pytest.mark.parametrize("rates", [[0.0, 2.0], [-0.5, 1.0], [0.0, 0.6, 0.4]])
def test_the_area_is_that_under_rates(rates):
    good = np.linspace(0, 1, len(rates))
    with pytest.raises(ValueError, match=r"true_positive_rate must hold .* from 0 to 1"):
        auc(good, rates)
    with pytest.raises(ValueError, match=r"false_positive_rate must hold .* from 0 to 1"):
        auc(rates, good)


@pytest.mark.parametrize("solver", ["newton", "descent"])
@pytest.mark.parametrize("alpha", [0.0, 0.7])
@pytest.mark.parametrize("k", [2, 3])
def test_a_weight_of_k_is_the_sample_k_times_and_a_weight_of_0_none(k, alpha, solver):
    X, y = problem(200, k=k)
    weight = np.random.default_rng(0).integers(0, 4, size=200)
    options = {"alpha": alpha, "solver": solver, "steps": 20000}
    fit = logistic_regression(X, y, weight=weight, **options)
    same = logistic_regression(X.repeat(weight, axis=0), y.repeat(weight), **options)
    np.testing.assert_allclose(fit.w, same.w, atol=1e-8)
    np.testing.assert_allclose(fit.b, same.b, atol=1e-8)
    assert fit.run.losses[-1] == pytest.approx(same.run.losses[-1], rel=1e-12)


def test_many_weighted_samples_are_fitted_like_repeated_ones():
    X, y = problem(5000)
    weight = np.random.default_rng(0).integers(0, 4, size=5000)
    fit = logistic_regression(X, y, weight=weight)
    np.testing.assert_allclose(fit.w, logistic_regression(X.repeat(weight, axis=0), y.repeat(weight)).w, atol=1e-8)


def test_samples_of_weight_0_do_not_hide_a_separation():
    X, y = np.arange(6.0)[:, None], np.array([0, 0, 1, 0, 1, 1])
    with pytest.warns(SeparableWarning):
        logistic_regression(X, y, weight=[1, 1, 0, 1, 1, 1])
