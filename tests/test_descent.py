import json
import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mlmath.data import diabetes
from mlmath.descent import (
    LARGEST,
    Adam,
    AdamW,
    Backtracking,
    GradientDescent,
    Momentum,
    Nesterov,
    Newton,
    Optimizer,
    RMSProp,
    batches,
    minimize,
    minimize_stochastic,
)
from mlmath.explore.descent import LOSSES
from mlmath.explore.regression import bmi_and_progression
from mlmath.regression import ridge

# The quadratic L(w) = ½ Σ λᵢ wᵢ², turned so that no axis is an eigenvector.
EIGENVALUES = np.array([1.0, 3.0, 10.0])
Q = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
H = Q @ np.diag(EIGENVALUES) @ Q.T
START = Q @ np.ones(3)


def quadratic(w):
    return 0.5 * w @ H @ w


def quadratic_gradient(w):
    return H @ w


def square(w):
    return 0.5 * np.sum(w**2)


def square_gradient(w):
    return 1.0 * w


def parabola(eigenvalue):
    """The loss and gradient along one eigenvector."""
    return lambda w: eigenvalue * w**2 / 2, lambda w: eigenvalue * w


def heavy_ball_matrix(rate, momentum, eigenvalue):
    """What carries (w, v) to the next (w, v)."""
    return np.array([[1 - rate * eigenvalue, momentum], [-rate * eigenvalue, momentum]])


def rosenbrock(w):
    return (1 - w[0]) ** 2 + 5 * (w[1] - w[0] ** 2) ** 2


def rosenbrock_gradient(w):
    x, y = w
    return np.array([-2 * (1 - x) - 20 * x * (y - x**2), 10 * (y - x**2)])


def rosenbrock_hessian(w):
    x, y = w
    return np.array([[2 - 20 * y + 60 * x**2, -20 * x], [-20 * x, 10.0]])


ELEMENTWISE = [
    GradientDescent(0.02),
    Momentum(0.05),
    Nesterov(0.02),
    RMSProp(0.01),
    Adam(0.02),
    AdamW(0.02, alpha=1e-4),
]
EVERY_RULE = [*ELEMENTWISE, Newton(rosenbrock_hessian), Backtracking(rosenbrock)]


def names(rule):
    return type(rule).__name__


# Known rates on the quadratic


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.15, 2 / 11, 0.19])
def test_each_eigencomponent_contracts_by_its_factor(rate):
    run = minimize(quadratic, quadratic_gradient, START, GradientDescent(rate), steps=20)
    components = run.iterates @ Q
    expected = (1 - rate * EIGENVALUES) ** np.arange(len(components))[:, None]
    np.testing.assert_allclose(components, expected, rtol=1e-9, atol=1e-13)


def test_the_best_rate_contracts_by_kappa_minus_one_over_kappa_plus_one():
    best = 2 / (EIGENVALUES[0] + EIGENVALUES[-1])
    kappa = EIGENVALUES[-1] / EIGENVALUES[0]

    def factor(rate):
        run = minimize(quadratic, quadratic_gradient, START, GradientDescent(rate), steps=60)
        return (run.losses[-1] / run.losses[-21]) ** (1 / 40)

    assert factor(best) == pytest.approx((kappa - 1) / (kappa + 1), rel=1e-6)
    assert factor(0.97 * best) > factor(best) < factor(1.03 * best)


def test_below_two_over_the_largest_eigenvalue_it_converges_at_the_predicted_factor():
    rate = 1.9 / EIGENVALUES[-1]
    run = minimize(quadratic, quadratic_gradient, START, GradientDescent(rate))
    assert run.outcome == "converged"
    assert run.gradient_norms[-1] <= 1e-8 < run.gradient_norms[-2]
    assert run.gradient_norms[101] / run.gradient_norms[100] == pytest.approx(0.9, rel=1e-6)


def test_at_two_over_the_largest_eigenvalue_it_bounces_for_ever():
    run = minimize(quadratic, quadratic_gradient, START, GradientDescent(2 / EIGENVALUES[-1]), steps=300)
    assert run.outcome == "step limit"
    assert run.steps == 300
    last = run.iterates[-2:] @ Q[:, -1]
    np.testing.assert_allclose(last, [-1, 1], rtol=1e-6)
    assert run.gradient_norms[-1] / run.gradient_norms[-2] == pytest.approx(1, rel=1e-6)


def test_above_two_over_the_largest_eigenvalue_it_diverges_at_the_predicted_factor():
    run = minimize(quadratic, quadratic_gradient, START, GradientDescent(2.1 / EIGENVALUES[-1]))
    assert run.outcome == "diverged"
    assert run.gradient_norms[-1] / run.gradient_norms[-2] == pytest.approx(1.1, rel=1e-6)
    assert np.abs(run.w).max() <= LARGEST < 1.1 * np.linalg.norm(run.w)


@pytest.mark.parametrize(("rate", "momentum"), [(0.12, 0.5), (0.3, 0.8)])
@pytest.mark.parametrize("eigenvalue", EIGENVALUES)
def test_momentum_follows_its_two_by_two_matrix(eigenvalue, rate, momentum):
    run = minimize(*parabola(eigenvalue), 1.0, Momentum(rate, momentum=momentum), steps=40, tolerance=1e-300)
    M = heavy_ball_matrix(rate, momentum, eigenvalue)
    expected = [(np.linalg.matrix_power(M, k) @ [1, 0])[0] for k in range(41)]
    np.testing.assert_allclose(run.iterates, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("margin", "outcome"), [(0.995, "converged"), (1.005, "diverged")])
@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.7])
def test_momentum_converges_up_to_two_plus_two_beta(momentum, margin, outcome):
    rate = margin * (2 + 2 * momentum) / 4
    run = minimize(*parabola(4.0), 1.0, Momentum(rate, momentum=momentum), steps=20_000)
    radius = np.abs(np.linalg.eigvals(heavy_ball_matrix(rate, momentum, 4.0))).max()
    assert run.outcome == outcome
    assert (run.losses[-1] / run.losses[-101]) ** (1 / 200) == pytest.approx(radius, rel=1e-6)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.15, 0.199])
def test_below_two_over_the_largest_curvature_a_step_gains_what_the_descent_lemma_promises(rate):
    run = minimize(quadratic, quadratic_gradient, START, GradientDescent(rate), steps=30)
    promised = rate * (1 - EIGENVALUES[-1] * rate / 2) * run.gradient_norms[:-1] ** 2
    assert (promised > 0).all()
    assert (-np.diff(run.losses) >= promised * (1 - 1e-9)).all()


def test_no_rate_and_no_momentum_beat_the_best_factor_on_both_ends():
    kappa = 25.0
    bound = (np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1)

    def factor(rate, momentum):
        ends = [heavy_ball_matrix(rate, momentum, eigenvalue) for eigenvalue in (1.0, kappa)]
        return np.abs(np.linalg.eigvals(np.array(ends))).max()

    rates, momenta = np.geomspace(1e-3, 4 / kappa, 100), np.linspace(0, 0.99, 100)
    assert min(factor(rate, momentum) for rate in rates for momentum in momenta) > bound
    # At the best rate the roots coincide, which costs half of the digits.
    assert factor(4 / (1 + np.sqrt(kappa)) ** 2, bound**2) == pytest.approx(bound, abs=1e-6)


def test_nesterov_is_the_textbook_method_seen_from_the_look_ahead_point():
    rate, beta = 0.02, 0.8
    run = minimize(rosenbrock, rosenbrock_gradient, (-1.0, 1.0), Nesterov(rate, momentum=beta), steps=100)
    u, v = np.array([-1.0, 1.0]), np.zeros(2)
    for w in run.iterates:
        np.testing.assert_allclose(w, u + beta * v, rtol=1e-9)
        v = beta * v - rate * rosenbrock_gradient(u + beta * v)
        u = u + v


# Newton and the line search


def test_newton_solves_a_quadratic_in_one_step():
    run = minimize(quadratic, quadratic_gradient, START, Newton(lambda w: H))
    assert (run.outcome, run.steps) == ("converged", 1)


def test_newton_converges_quadratically():
    run = minimize(rosenbrock, rosenbrock_gradient, (1.5, 1.5), Newton(rosenbrock_hessian), tolerance=1e-12)
    errors = np.linalg.norm(run.iterates - 1, axis=1)
    errors = errors[errors > 1e-9]  # beyond which rounding shows
    assert run.outcome == "converged"
    assert len(errors) == 6
    assert np.all(errors[1:] < 3 * errors[:-1] ** 2)


def test_newton_goes_uphill_where_the_curvature_is_negative():
    def loss(w):
        return float(w**4 - 2 * w**2)

    run = minimize(loss, lambda w: 4 * w**3 - 4 * w, 0.1, Newton(lambda w: 12 * w**2 - 4), steps=1)
    assert run.w == pytest.approx(2 * 0.1**3 / (3 * 0.1**2 - 1))
    assert run.losses[1] > run.losses[0] + 0.01


def test_newton_takes_any_shape():
    A = np.random.default_rng(1).normal(size=(6, 6))
    A = (A @ A.T + np.eye(6)).reshape(2, 3, 2, 3)
    B = np.ones((2, 3))

    def gradient(W):
        return np.einsum("ijkl,kl->ij", A, W) - B

    run = minimize(lambda W: np.sum(W * (gradient(W) - B)) / 2, gradient, np.zeros((2, 3)), Newton(lambda W: A))
    assert (run.outcome, run.steps) == ("converged", 1)


def test_newton_without_a_step_ends_the_run():
    # x⁴ + y has the Hessian diag(12x², 0), singular everywhere.
    run = minimize(
        lambda w: w[0] ** 4 + w[1],
        lambda w: np.array([4 * w[0] ** 3, 1.0]),
        (1.0, 1.0),
        Newton(lambda w: np.diag([12 * w[0] ** 2, 0.0])),
    )
    assert (run.outcome, run.steps) == ("diverged", 0)
    with pytest.raises(ValueError, match="hessian must be invertible"):
        Newton(lambda w: np.zeros((2, 2))).step(np.ones(2), np.ones(2), ())


def test_newton_goes_to_a_saddle_and_a_damped_hessian_does_not():
    def loss(w):
        return w[0] ** 2 + (w[1] ** 2 - 1) ** 2

    def gradient(w):
        return np.array([2 * w[0], 4 * w[1] * (w[1] ** 2 - 1)])

    def hessian(w):
        return np.diag([2.0, 12 * w[1] ** 2 - 4])

    plain = minimize(loss, gradient, (1.0, 0.2), Newton(hessian))
    damped = minimize(loss, gradient, (1.0, 0.2), Newton(lambda w: hessian(w) + 5 * np.eye(2)))
    np.testing.assert_allclose(plain.w, [0, 0], atol=1e-8)
    np.testing.assert_allclose(damped.w, [0, 1], atol=1e-8)


@given(start=arrays(float, 2, elements=st.floats(-3, 3)), shrink=st.floats(0.1, 0.9), sufficient=st.floats(1e-4, 0.5))
def test_every_accepted_step_meets_armijos_condition_and_the_longer_one_does_not(start, shrink, sufficient):
    rule = Backtracking(rosenbrock, shrink=shrink, sufficient=sufficient)
    run = minimize(rosenbrock, rosenbrock_gradient, start, rule, steps=10, tolerance=1e-3)

    def excess(w, t):
        """By how much a step of length t misses Armijo's bound."""
        g = rosenbrock_gradient(w)
        return rosenbrock(w - t * g) - (rosenbrock(w) - sufficient * t * g @ g)

    for before, after in pairwise(run.iterates):
        t = np.linalg.norm(after - before) / np.linalg.norm(rosenbrock_gradient(before))
        slack = 1e-9 * (1 + rosenbrock(before))
        assert excess(before, t) <= slack
        assert t > 0.99 or excess(before, t / shrink) > -slack
        assert math.log(t, shrink) == pytest.approx(round(math.log(t, shrink)), abs=1e-3)


def test_backtracking_stays_where_no_step_descends():
    w = np.array([1.0, 2.0])
    Backtracking(square).step(w, -w, ())  # a gradient of the wrong sign
    np.testing.assert_array_equal(w, [1, 2])
    origin = np.zeros(1)  # where even the smallest number is a step, and 0.9 of it rounds to itself
    Backtracking(lambda w: w[0], shrink=0.9).step(origin, np.array([-1.0]), ())
    assert origin <= 1e-300


def test_backtracking_refuses_a_trial_whose_loss_is_not_a_number():
    def loss(w):
        return float(w) - math.log(w) if w > 0 else math.nan

    run = minimize(loss, lambda w: 1 - 1 / w, 2.0, Backtracking(loss, rate=10.0))
    assert run.iterates[1] == 0.75  # t = 10 and 5 lead to where there is no logarithm
    assert run.outcome == "converged"
    assert run.w == pytest.approx(1)


# RMSProp and Adam, number by number


def rmsprop_by_hand(gradients, w, rate, decay, epsilon):
    mean_square = 0.0
    for g in gradients:
        mean_square = decay * mean_square + (1 - decay) * g * g
        w = w - rate * g / (math.sqrt(mean_square) + epsilon)
    return w


def adam_by_hand(gradients, w, alpha, beta1, beta2, epsilon):
    """Algorithm 1 of Kingma and Ba, with the moments as the sums of their equation (1)."""
    for t in range(1, len(gradients) + 1):
        seen = gradients[:t]
        m = (1 - beta1) * math.fsum(beta1 ** (t - i) * g for i, g in enumerate(seen, 1))
        v = (1 - beta2) * math.fsum(beta2 ** (t - i) * g * g for i, g in enumerate(seen, 1))
        w -= alpha * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + epsilon)
    return w


GRADIENTS = arrays(float, (7, 2, 3), elements=st.floats(-1e3, 1e3).filter(lambda g: g == 0 or abs(g) > 1e-6))


@given(gradients=GRADIENTS, rate=st.floats(1e-4, 1), a=st.floats(0, 0.99), b=st.floats(0, 0.999))
def test_rmsprop_and_adam_equal_the_papers_scalar_by_scalar(gradients, rate, a, b):
    cases = [
        (RMSProp(rate, decay=b, epsilon=1e-6), lambda gs: rmsprop_by_hand(gs, 0.5, rate, b, 1e-6)),
        (Adam(rate, beta1=a, beta2=b, epsilon=1e-6), lambda gs: adam_by_hand(gs, 0.5, rate, a, b, 1e-6)),
    ]
    for rule, by_hand in cases:
        w = np.full((2, 3), 0.5)
        state = rule.start(w)
        for g in gradients:
            rule.step(w, g, state)
        expected = np.array([by_hand(gradients[:, i, j].tolist()) for i, j in np.ndindex(2, 3)]).reshape(2, 3)
        np.testing.assert_allclose(w, expected, rtol=1e-9, atol=1e-9)


def adamw_by_hand(gradients, w, rate, alpha):
    """Line 12 of Algorithm 2 of Loshchilov and Hutter: the step of Adam at the old w, and apart from it −ηλw."""
    m = s = 0.0
    for t, g in enumerate(gradients, 1):
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
        w = w - rate * (m / (1 - 0.9**t)) / (math.sqrt(s / (1 - 0.999**t)) + 1e-8) - rate * alpha * w
    return w


@given(gradients=GRADIENTS, rate=st.floats(1e-4, 1), alpha=st.floats(0, 0.5))
def test_adamw_equals_the_paper_scalar_by_scalar(gradients, rate, alpha):
    rule, w = AdamW(rate, alpha=alpha), np.full((2, 3), 0.5)
    state = rule.start(w)
    for g in gradients:
        rule.step(w, g, state)
    expected = [adamw_by_hand(gradients[:, i, j].tolist(), 0.5, rate, alpha) for i, j in np.ndindex(2, 3)]
    np.testing.assert_allclose(w.ravel(), expected, rtol=1e-9, atol=1e-9)


def test_adamw_decays_every_weight_alike_and_a_penalty_in_adams_gradient_does_not():
    """Two weights, one with gradients ±1 and one with ±100, whose mean is 0; without decay both would stay about 1."""

    def decayed(rule, penalty):
        w, state = np.ones(2), rule.start(np.ones(2))
        for sign in [1, -1] * 500:
            rule.step(w, sign * np.array([1.0, 100.0]) + penalty * w, state)
        return w

    small, large = decayed(AdamW(0.01, alpha=0.1), 0)
    assert small == pytest.approx((1 - 0.001) ** 1000, rel=0.02) == large
    small, large = decayed(Adam(0.01), 0.1)
    assert 1 - small > 20 * (1 - large) > 0


def test_adams_first_step_is_the_rate_whatever_the_gradient():
    w = np.zeros(3)
    rule = Adam(0.01)
    rule.step(w, np.array([1e-3, -5.0, 1e6]), rule.start(w))
    np.testing.assert_allclose(w, [-0.01, 0.01, -0.01], rtol=1e-4)


# Any shape, in place


@pytest.mark.parametrize("rule", [*ELEMENTWISE, Backtracking(square), Newton(lambda w: np.eye(2))], ids=names)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_changes_w_and_the_state_in_place_and_nothing_else(rule, dtype):
    w, g = np.array([1, -2], dtype), np.array([0.5, 0.25], dtype)
    state = rule.start(w)
    buffers = [id(array) for array in state]
    before = [array.copy() for array in state]
    alias = w
    assert rule.step(w, g, state) is None
    assert alias is w
    assert w.dtype == dtype
    assert not np.array_equal(w, [1, -2])
    np.testing.assert_array_equal(g, [0.5, 0.25])
    assert [id(array) for array in state] == buffers
    assert all(not np.array_equal(old, new) for old, new in zip(before, state, strict=True))
    assert all(array.dtype == dtype for array in state if array.shape)


@given(shape=array_shapes(min_dims=0, max_dims=4, max_side=3), data=st.data())
@settings(max_examples=40)
def test_a_rule_treats_every_entry_alike_in_any_shape(shape, data):
    start = data.draw(arrays(float, shape, elements=st.floats(-2, 2)))
    loss, gradient = lambda w: np.sum(w**4 / 4 + w**2), lambda w: w**3 + 2 * w
    for rule in ELEMENTWISE:
        together = minimize(loss, gradient, start, rule, steps=5, tolerance=1e-300)
        assert together.iterates.shape[1:] == shape
        for index in np.ndindex(shape):
            alone = minimize(loss, gradient, start[index], rule, steps=5, tolerance=1e-300)
            path = together.iterates[(slice(None), *index)][: len(alone.iterates)]
            np.testing.assert_array_equal(alone.iterates, path)


@pytest.mark.parametrize("rule", EVERY_RULE, ids=names)
def test_a_gradient_that_returns_w_itself_is_not_overwritten_midway(rule):
    if isinstance(rule, Newton):
        rule = Newton(lambda w: np.eye(2))
    aliased = minimize(square, lambda w: w, (3.0, -1.0), rule, steps=10)
    copied = minimize(square, lambda w: w.copy(), (3.0, -1.0), rule, steps=10)
    np.testing.assert_array_equal(aliased.iterates, copied.iterates)


@pytest.mark.parametrize("rule", [Adam(0.1), Backtracking(lambda w: 0.5 * np.sum(clobbered(w) ** 2))], ids=names)
def test_a_loss_or_gradient_that_writes_into_its_argument_changes_nothing(rule):
    tidy = Backtracking(square) if isinstance(rule, Backtracking) else rule
    careless = minimize(lambda w: square(clobbered(w)), lambda w: clobbered(w), [3.0, -1.0], rule, steps=10)
    careful = minimize(square, square_gradient, [3.0, -1.0], tidy, steps=10)
    np.testing.assert_array_equal(careless.iterates, careful.iterates)
    np.testing.assert_array_equal(careless.losses, careful.losses)


def clobbered(w):
    """A copy of w, which is overwritten."""
    copy = w.copy()
    w[...] = 7
    return copy


def test_a_stochastic_gradient_cannot_write_into_the_data_or_the_weights():
    X, y = np.eye(4, 2), np.ones(4)

    def run(gradient):
        options = {"batch_size": 2, "epochs": 3, "rng": np.random.default_rng(0)}
        return minimize_stochastic(mean_square, gradient, X, y, np.zeros(2), GradientDescent(0.1), **options)

    careless = run(lambda w, X, y: mean_square_gradient(clobbered(w), X, y))
    np.testing.assert_array_equal(careless.iterates, run(mean_square_gradient).iterates)
    with pytest.raises(ValueError, match="read-only"):
        run(lambda w, X, y: mean_square_gradient(w, clobbered(X), y))
    np.testing.assert_array_equal(X, np.eye(4, 2))


# The record


@pytest.mark.parametrize("rule", [RMSProp(0.1), Adam(0.1)], ids=names)
def test_along_the_axes_rmsprop_and_adam_do_not_feel_the_curvature(rule):
    curvatures = np.array([1.0, 100.0, 1e4])
    run = minimize(lambda w: w @ (curvatures * w) / 2, lambda w: curvatures * w, np.ones(3), rule, steps=20)
    np.testing.assert_allclose(run.iterates[:, 1:], run.iterates[:, :1].repeat(2, axis=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("start", [(1.0, 0.5), (0.0, 1.4), (-1.0, 0.2)])
def test_in_a_turned_valley_rmsprop_at_a_constant_rate_does_not_come_to_rest(start):
    turned = np.array([[50.5, 49.5], [49.5, 50.5]])
    run = minimize(lambda w: w @ turned @ w / 2, lambda w: turned @ w, start, RMSProp(0.1), steps=1000)
    assert run.outcome == "step limit"
    np.testing.assert_allclose(run.losses[-5:], 0.25, rtol=1e-3)


@pytest.mark.parametrize("rule", EVERY_RULE, ids=names)
def test_every_rule_finds_the_minimum_of_rosenbrocks_valley_and_records_the_way(rule):
    start = np.array([-0.5, 1.0])
    run = minimize(rosenbrock, rosenbrock_gradient, start, rule, steps=3000, tolerance=1e-6)
    np.testing.assert_array_equal(start, [-0.5, 1.0])
    np.testing.assert_array_equal(run.iterates[0], start)
    assert run.iterates.shape == (run.steps + 1, 2)
    np.testing.assert_array_equal(run.measured, np.arange(run.steps + 1))
    np.testing.assert_array_equal(run.losses, [rosenbrock(w) for w in run.iterates])
    np.testing.assert_array_equal(run.gradient_norms, [np.linalg.norm(rosenbrock_gradient(w)) for w in run.iterates])
    np.testing.assert_array_equal(run.w, run.iterates[-1])
    # RMSProp, whose steps do not shrink with the gradient, ends in a small cycle about the minimum, and AdamW rests
    # where its decay and the gradient balance.
    assert run.outcome == ("step limit" if isinstance(rule, RMSProp | AdamW) else "converged")
    np.testing.assert_allclose(run.w, [1, 1], atol=0.02)


def test_a_start_at_the_minimum_has_converged():
    run = minimize(square, square_gradient, np.zeros((2, 2)), GradientDescent(0.1))
    assert (run.outcome, run.steps) == ("converged", 0)
    assert run.losses.shape == run.gradient_norms.shape == (1,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "rule", [GradientDescent(5.0), Momentum(9.0), Nesterov(9.0), Newton(lambda w: -0.1 * np.eye(2))]
)
def test_a_diverged_run_holds_finite_numbers_only_and_warns_of_nothing(rule, dtype):
    def loss(w):
        return np.sum(np.exp(w**2))

    def gradient(w):
        return 2 * w * np.exp(w**2)

    run = minimize(loss, gradient, np.array([1, 2], dtype), rule)
    assert run.outcome == "diverged"
    assert run.iterates.dtype == dtype
    assert run.iterates.shape[0] == run.losses.size == run.gradient_norms.size
    assert all(np.isfinite(part).all() for part in (run.iterates, run.losses, run.gradient_norms))


def test_a_loss_that_falls_without_end_diverges():
    run = minimize(lambda w: -square(w), lambda w: -w, [1.0], GradientDescent(1.0))
    assert run.outcome == "diverged"
    assert run.w == 2.0**49  # the last power of two below 1e15


def test_a_loss_that_overflows_in_pure_python_diverges():
    run = minimize(lambda w: math.exp(w), lambda w: -1.0, 0.0, GradientDescent(100.0))
    assert (run.outcome, run.steps) == ("diverged", 7)


def test_repr_is_short_and_stable():
    run = minimize(quadratic, quadratic_gradient, START, GradientDescent(0.1), steps=3)
    assert repr(run) == "Run('step limit', steps=3, loss=0.4422)"
    run = minimize(square, square_gradient, START, GradientDescent(0.5))
    assert repr(run) == "Run('converged', steps=28, loss=0)"
    run = minimize(square, square_gradient, START, GradientDescent(0.5), steps=18)
    assert repr(run) == "Run('step limit', steps=18, loss=2.183e-11)"
    assert repr(Momentum(np.float64(0.1))) == "Momentum(rate=0.1, momentum=0.9)"
    assert repr(Backtracking(square)) == "Backtracking(rate=1.0, shrink=0.5, sufficient=0.0001)"
    assert repr(Newton(square)) == "Newton()"


def test_a_record_is_frozen():
    run = minimize(square, square_gradient, 1.0, GradientDescent(0.5))
    with pytest.raises(AttributeError):
        run.outcome = "converged"


# Stochastic descent


def mean_square(w, X, y):
    return np.mean((X @ w - y) ** 2)


def mean_square_gradient(w, X, y):
    return 2 * X.T @ (X @ w - y) / len(X)


@pytest.fixture
def data():
    rng = np.random.default_rng(2)
    X = np.column_stack([np.ones(103), rng.normal(size=(103, 2))])
    return X, X @ [1.0, -2.0, 0.5] + rng.normal(size=103)


@given(n=st.integers(1, 50), batch_size=st.integers(1, 60), seed=st.integers(0, 2**32))
def test_batches_deal_every_row_once_in_the_same_order_for_every_batch_size(n, batch_size, seed):
    dealt = batches(n, batch_size=batch_size, rng=np.random.default_rng(seed))
    assert [len(rows) for rows in dealt[:-1]] == [batch_size] * (len(dealt) - 1)
    assert 1 <= len(dealt[-1]) <= batch_size
    order = np.concatenate(dealt)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    np.testing.assert_array_equal(order, np.random.default_rng(seed).permutation(n))


def test_a_run_over_batches_is_the_loop_written_out(data):
    X, y = data
    run = minimize_stochastic(
        mean_square, mean_square_gradient, X, y, np.zeros(3), Adam(0.05), batch_size=10, epochs=4,
        rng=np.random.default_rng(3),
    )  # fmt: skip
    w, rng, rule = np.zeros(3), np.random.default_rng(3), Adam(0.05)
    state, path, orders = rule.start(w), [w.copy()], []
    for _ in range(4):
        order = rng.permutation(103)
        orders.append(order)
        for i in range(0, 103, 10):
            rows = order[i : i + 10]
            rule.step(w, mean_square_gradient(w, X[rows], y[rows]), state)
            path.append(w.copy())
    assert not np.array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(run.iterates, path)
    np.testing.assert_array_equal(run.measured, [0, 11, 22, 33, 44])
    np.testing.assert_array_equal(run.losses, [mean_square(path[k], X, y) for k in run.measured])
    assert (run.outcome, run.steps) == ("step limit", 44)


def test_one_batch_of_all_rows_is_gradient_descent(data):
    X, y = data
    stochastic = minimize_stochastic(
        mean_square, mean_square_gradient, X, y, np.zeros(3), GradientDescent(0.1), batch_size=103, epochs=30,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    full = minimize(
        lambda w: mean_square(w, X, y), lambda w: mean_square_gradient(w, X, y), np.zeros(3), GradientDescent(0.1),
        steps=30,
    )  # fmt: skip
    np.testing.assert_allclose(stochastic.iterates, full.iterates, rtol=1e-12)
    np.testing.assert_allclose(stochastic.losses, full.losses, rtol=1e-12)


def test_the_gradient_of_a_random_batch_is_unbiased_with_the_known_variance(data):
    X, y = data
    w, size, rng = np.array([0.3, 0.2, -0.1]), 8, np.random.default_rng(4)
    per_row = np.array([mean_square_gradient(w, X[i : i + 1], y[i : i + 1]) for i in range(103)])
    first = [batches(103, batch_size=size, rng=rng)[0] for _ in range(20_000)]
    drawn = per_row[np.array(first)].mean(axis=1)
    # A mean of 8 out of 103 without replacement has variance σ²/8 · (103 − 8)/(103 − 1).
    variance = per_row.var(axis=0) / size * (103 - size) / (103 - 1)
    error = (drawn.mean(axis=0) - mean_square_gradient(w, X, y)) / np.sqrt(variance / len(drawn))
    assert np.abs(error).max() < 4
    np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=0.05)


def test_stochastic_descent_ends_in_a_noise_ball_that_shrinks_with_the_rate(data):
    X, y = data
    best = np.linalg.lstsq(X, y)[0]
    floor = mean_square(best, X, y)

    def excess(rate):
        run = minimize_stochastic(
            mean_square, mean_square_gradient, X, y, np.zeros(3), GradientDescent(rate), batch_size=1, epochs=200,
            rng=np.random.default_rng(5),
        )  # fmt: skip
        tail = run.iterates[-50 * 103 :]
        return np.mean([mean_square(w, X, y) for w in tail]) - floor

    large, small = excess(0.02), excess(0.005)
    assert 1e-3 < small < large < 0.1 < mean_square(np.zeros(3), X, y) - floor
    assert large / small > 4  # reshuffling shrinks the ball faster than in proportion to the rate


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("rate", "momentum", "curvature"), [(0.1, 0, 1.0), (0.1, 0.9, 1.0), (0.5, 0.5, 4.0)])
def test_with_noisy_gradients_momentum_ends_in_the_ball_of_its_formula(seed, rate, momentum, curvature):
    rng, walkers, rule = np.random.default_rng(seed), np.zeros(20_000), Momentum(rate, momentum=momentum)
    state = rule.start(walkers)
    for _ in range(300):
        rule.step(walkers, curvature * walkers + rng.normal(size=walkers.shape), state)
    limit = 2 + 2 * momentum - rate * curvature
    formula = rate * (1 + momentum) / (curvature * (1 - momentum) * limit)
    # The mean of 20,000 squares of normal numbers is right to 1 %: five of its standard deviations.
    assert np.mean(walkers**2) == pytest.approx(formula, rel=0.05)


def test_without_noise_in_the_data_there_is_no_ball(data):
    X, _ = data
    truth = np.array([1.0, -2.0, 0.5])
    run = minimize_stochastic(
        mean_square, mean_square_gradient, X, X @ truth, np.zeros(3), GradientDescent(0.05), batch_size=4, epochs=100,
        rng=np.random.default_rng(6),
    )  # fmt: skip
    assert run.outcome == "converged"
    np.testing.assert_allclose(run.w, truth, atol=1e-7)


def test_a_stochastic_run_that_diverges_says_so(data):
    X, y = data
    run = minimize_stochastic(
        mean_square, mean_square_gradient, X, y, np.zeros(3), GradientDescent(2.0), rng=np.random.default_rng(0)
    )
    assert run.outcome == "diverged"
    assert np.isfinite(run.iterates).all()
    assert run.measured[-1] <= run.steps


@pytest.mark.parametrize("rule", [GradientDescent(0.3), Momentum(0.1), Nesterov(0.1)], ids=names)
def test_regression_by_descent_equals_least_squares(data, rule):
    X, y = data
    run = minimize(
        lambda w: mean_square(w, X, y), lambda w: mean_square_gradient(w, X, y), np.zeros(3), rule, tolerance=1e-12
    )
    assert run.outcome == "converged"
    np.testing.assert_allclose(run.w, np.linalg.lstsq(X, y)[0], rtol=1e-10)


def test_a_penalty_on_the_mean_is_n_times_as_large_on_the_sum(data):
    X, y = data
    X, y, alpha = X[:, 1:], y - y.mean(), 0.3
    X = X - X.mean(axis=0)
    run = minimize(
        lambda w: ((X @ w - y) ** 2).mean() / 2 + alpha * w @ w / 2,
        lambda w: X.T @ (X @ w - y) / len(y) + alpha * w,
        np.zeros(2),
        GradientDescent(0.5),
    )
    np.testing.assert_allclose(run.w, ridge(X, y, alpha=len(y) * alpha), rtol=1e-6)


def test_the_patients_are_ill_conditioned_for_the_reason_that_the_book_gives():
    patients = diabetes()
    column = dict(zip(patients.feature_names, patients.X.T, strict=True))
    computed = column["s1"] - column["s3"] - np.exp(column["s5"]) / 5
    assert np.sum(np.abs(column["s2"] - computed) < 0.1) == 438

    def condition(names):
        X = np.column_stack([column[name] for name in names])
        return np.linalg.cond((X - X.mean(axis=0)) / X.std(axis=0))

    assert condition(column) == pytest.approx(21.7, abs=0.05)
    assert condition(["s1", "s2"]) == pytest.approx(4.3, abs=0.05)
    assert condition([name for name in column if name != "s5"]) == pytest.approx(9.7, abs=0.05)


def cells(kind):
    """The sources of the chapter's cells of one kind, with their tags."""
    chapter = Path(__file__).parents[1] / "book" / "gradient-descent.ipynb"
    found = (cell for cell in json.loads(chapter.read_text())["cells"] if cell["cell_type"] == kind)
    return [("".join(cell["source"]), cell["metadata"].get("tags", [])) for cell in found]


def prose():
    return "\n\n".join(source for source, _ in cells("markdown"))


def test_the_chapter_names_the_extreme_eigenvalues_by_what_they_are():
    source = prose() + "".join(code for code, _ in cells("code"))
    assert r"\lambda_{\max}" in source
    # n is the number of patients: an index n would read as another eigenvalue.
    assert [name for name in (r"\lambda_n", r"\lambda_1", "λₙ", "λ₁") if name in source] == []


@pytest.mark.parametrize("word", ["spectral theorem", "logarithms", "determinant", "covariance", "Jensen"])
def test_the_chapter_links_a_word_of_the_refresher_where_it_first_needs_it(word):
    text = prose()
    assert re.match(r"{ref}`[^`]*<sec-refresher-\w+>`", text[text.index(word) - len("{ref}`") :])


def test_where_a_derivation_is_first_called_proved_the_reader_learns_what_that_covers():
    (introduced,) = [source for source, _ in cells("markdown") if "*proved derivation*" in source]
    assert "<sec-proved>" in introduced


def test_what_helps_with_the_noise_ball_does_not_give_it_away():
    (stub,) = [code for code, _ in cells("code") if code.startswith("def noise_ball") and "wrong = {" in code]
    assert "rate * variance" not in stub


def test_the_numbers_that_the_chapter_names_beside_its_explorers():
    (x, y), loss, *_ = LOSSES["Rosenbrock"]
    slope = sp.lambdify([(x, y)], [loss.diff(x), loss.diff(y)])
    curvature = sp.lambdify([(x, y)], sp.hessian(loss, (x, y)))
    newton = minimize(
        sp.lambdify([(x, y)], loss), lambda w: np.array(slope(w)), (-1.5, 1.5), Newton(lambda w: np.array(curvature(w)))
    )
    assert (newton.outcome, newton.steps) == ("converged", 8)

    index, progression = bmi_and_progression(40, seed=7)
    X = np.column_stack([index, np.ones(40)])
    least = np.linalg.lstsq(X, progression)[0]
    assert np.linalg.eigvalsh(X.T @ X / 40)[-1] == pytest.approx(14.2, abs=0.05)

    def excess(batch_size, epochs):
        run = minimize_stochastic(
            mean_square, mean_square_gradient, X, progression, (-27.4, 19.8), GradientDescent(0.03 / 2),
            batch_size=batch_size, epochs=epochs, rng=np.random.default_rng(0),
        )  # fmt: skip
        above = [mean_square(w, X, progression) - mean_square(least, X, progression) for w in run.iterates]
        return np.array(above) / 2  # the explorer's loss has the chapter's ½, and so has its rate

    assert excess(40, 100)[100] == pytest.approx(20, abs=0.5)
    last = excess(1, 3)[51:101]
    assert min(last) == pytest.approx(30, rel=0.1)
    assert max(last) == pytest.approx(5000, rel=0.1)


def test_a_rule_of_ones_own_runs_like_the_others():
    class SignDescent(Optimizer):
        def _update(self, w, g):
            w -= 0.25 * np.sign(g)

    run = minimize(square, square_gradient, [1.0, -0.5], SignDescent())
    np.testing.assert_array_equal(run.iterates, [[1, -0.5], [0.75, -0.25], [0.5, 0], [0.25, 0], [0, 0]])


# Bad input


@pytest.mark.parametrize(
    ("make", "argument", "good", "bad"),
    [
        (lambda v: GradientDescent(v), "rate", 0.1, (0, -1)),
        (lambda v: Momentum(v), "rate", 0.1, (0, -1)),
        (lambda v: Momentum(0.1, momentum=v), "momentum", 0, (-0.1, 1)),
        (lambda v: Nesterov(v), "rate", 0.1, (0, -1)),
        (lambda v: Nesterov(0.1, momentum=v), "momentum", 0, (-0.1, 1)),
        (lambda v: RMSProp(v), "rate", 0.1, (0, -1)),
        (lambda v: RMSProp(0.1, decay=v), "decay", 0, (-0.1, 1)),
        (lambda v: RMSProp(0.1, epsilon=v), "epsilon", 1e-8, (0, -1)),
        (lambda v: Adam(v), "rate", 0.1, (0, -1)),
        (lambda v: Adam(0.1, beta1=v), "beta1", 0, (-0.1, 1)),
        (lambda v: Adam(0.1, beta2=v), "beta2", 0, (-0.1, 1)),
        (lambda v: Adam(0.1, epsilon=v), "epsilon", 1e-8, (0, -1)),
        (lambda v: AdamW(0.1, alpha=v), "alpha", 0, (-0.1, -1)),
        (lambda v: Backtracking(square, rate=v), "rate", 1, (0, -1)),
        (lambda v: Backtracking(square, shrink=v), "shrink", 0.5, (0, 1)),
        (lambda v: Backtracking(square, sufficient=v), "sufficient", 0.5, (0, 1)),
        (lambda v: minimize(square, square_gradient, 1.0, Adam(0.1), tolerance=v), "tolerance", 1e-3, (0, -1)),
        (lambda v: minimize(square, square_gradient, 1.0, Adam(0.1), steps=v), "steps", 1, (0, -1)),
    ],
)
def test_numbers_out_of_range_are_named(make, argument, good, bad):
    make(good)
    make(np.array([good])[0])
    for value in (*bad, math.nan, math.inf):
        with pytest.raises((ValueError, TypeError), match=f"^{argument} must be"):
            make(value)
    for value in ("0.1", None, 1j, [0.1], True):
        with pytest.raises(TypeError, match=f"^{argument} must be"):
            make(value)


def test_parameters_are_checked_when_they_are_set_later_too():
    rule = Adam(0.1)
    rule.rate = 1
    assert rule.rate == 1.0
    for name, bad in [("rate", -1), ("rate", "0.1"), ("beta1", 1), ("epsilon", 0), ("beta2", math.nan)]:
        with pytest.raises((ValueError, TypeError), match=f"^{name} must be"):
            setattr(rule, name, bad)
    assert rule == Adam(1.0)


@pytest.mark.parametrize(
    ("start", "error", "message"),
    [
        ([], ValueError, "must not be empty"),
        ([1.0, math.nan], ValueError, "must be finite"),
        ([math.inf], ValueError, "must be finite"),
        ([1j], TypeError, "must hold real numbers"),
        (["1"], TypeError, "must hold real numbers"),
        ({}, TypeError, "must hold real numbers"),
        ([[1.0], [1.0, 2.0]], ValueError, "must be a rectangular array"),
        ([1e16], ValueError, r"within range, but the largest entry of w is 1e\+16"),
    ],
)
def test_a_bad_start_is_named(start, error, message):
    with pytest.raises(error, match=f"^start .*{message}"):
        minimize(square, square_gradient, start, GradientDescent(0.1))


@pytest.mark.parametrize(
    ("loss", "gradient", "error", "message"),
    [
        (None, square_gradient, TypeError, "^loss must be a function"),
        (square, 1.0, TypeError, "^gradient must be a function"),
        (lambda w: w, square_gradient, ValueError, r"^loss must return an array of shape \(\), .* \(2,\)"),
        (lambda w: 1j, square_gradient, TypeError, "^loss must return real numbers"),
        (lambda w: None, square_gradient, TypeError, "^loss must return real numbers"),
        (square, lambda w: w[:1], ValueError, r"^gradient must return an array of shape \(2,\), .* \(1,\)"),
        (square, lambda w: w[:, None], ValueError, r"^gradient must return an array of shape \(2,\), .* \(2, 1\)"),
        (square, lambda w: w * 1j, TypeError, "^gradient must return real numbers"),
        (lambda w: np.nan, square_gradient, ValueError, "^start must have a finite loss .* the loss is nan"),
        (square, lambda w: w * np.inf, ValueError, "^start .* the norm of the gradient is inf"),
    ],
)
def test_a_bad_loss_or_gradient_is_named(loss, gradient, error, message):
    with pytest.raises(error, match=message):
        minimize(loss, gradient, [1.0, 2.0], GradientDescent(0.1))


@pytest.mark.parametrize("optimizer", [None, 0.1, GradientDescent, "adam"])
def test_a_bad_optimizer_is_named(optimizer):
    with pytest.raises(TypeError, match=r"^optimizer must be an Optimizer"):
        minimize(square, square_gradient, 1.0, optimizer)


def test_bad_functions_of_the_rules_are_named():
    with pytest.raises(TypeError, match=r"^hessian must be a function"):
        Newton(np.eye(2))
    with pytest.raises(TypeError, match=r"^loss must be a function"):
        Backtracking(0.1)
    with pytest.raises(ValueError, match=r"^hessian must return an array of shape \(2, 2\)"):
        minimize(square, square_gradient, [1.0, 2.0], Newton(lambda w: np.eye(3)))
    with pytest.raises(ValueError, match=r"^loss must return an array of shape \(\)"):
        minimize(square, square_gradient, [1.0, 2.0], Backtracking(lambda w: w))


@pytest.mark.parametrize("rule", ELEMENTWISE, ids=names)
def test_a_step_names_what_it_cannot_use(rule):
    w = np.ones(2)
    for g in (np.ones(1), np.ones(3), np.ones((2, 1)), 1.0):
        with pytest.raises(ValueError, match=r"^g must have the shape \(2,\) of w"):
            rule.step(w, g, rule.start(w))
    for bad in ([1.0, 2.0], np.array([1, 2]), np.array([1j, 2])):
        with pytest.raises(TypeError, match=r"^w must be an array of floats"):
            rule.step(bad, np.ones(2), rule.start(w))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"X": np.ones(4)}, ValueError, "^X must have 2"),
        ({"X": np.ones((4, 2)) * np.nan}, ValueError, "^X must be finite"),
        ({"X": np.ones((4, 2)) * 1j}, TypeError, "^X must hold real"),
        ({"X": np.ones((0, 2))}, ValueError, "^X must not be empty"),
        ({"X": [["a", "b"]] * 4}, TypeError, "^X must hold real"),
        ({"y": np.ones(3)}, ValueError, "^X and y must have the same length"),
        ({"y": [1, 2, 3, np.inf]}, ValueError, "^y must be finite"),
        ({"y": 1.0}, ValueError, "^y must have 1 or 2"),
        ({"loss": 1}, TypeError, "^loss must be a function"),
        ({"gradient": 1}, TypeError, "^gradient must be a function"),
        ({"start": []}, ValueError, "^start must not be empty"),
        ({"optimizer": Adam}, TypeError, "^optimizer must be"),
        ({"batch_size": 0}, ValueError, "^batch_size must be at least 1"),
        ({"batch_size": 2.0}, TypeError, "^batch_size must be a whole number"),
        ({"epochs": 0}, ValueError, "^epochs must be at least 1"),
        ({"epochs": "3"}, TypeError, "^epochs must be a whole number"),
        ({"tolerance": 0}, ValueError, "^tolerance must be greater than 0"),
        ({"rng": 0}, TypeError, "^rng must be a numpy.random.Generator"),
        ({"rng": None}, TypeError, "^rng must be a numpy.random.Generator"),
        ({"rng": np.random.RandomState(0)}, TypeError, "^rng must be a numpy.random.Generator"),
    ],
)
def test_bad_stochastic_arguments_are_named(change, error, message):
    good = {
        "loss": mean_square,
        "gradient": mean_square_gradient,
        "X": np.eye(4, 2),
        "y": np.ones(4),
        "start": np.zeros(2),
        "optimizer": GradientDescent(0.1),
        "rng": np.random.default_rng(0),
    }
    minimize_stochastic(**good)
    good["start"] = [1.0, 1.0]  # where it has converged before any batch is dealt
    with pytest.raises(error, match=message):
        minimize_stochastic(**(good | change))


def test_bad_batches_are_named():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"^n must be at least 1"):
        batches(0, batch_size=1, rng=rng)
    with pytest.raises(ValueError, match=r"^batch_size must be at least 1"):
        batches(3, batch_size=0, rng=rng)
    with pytest.raises(TypeError, match=r"^rng must be a numpy\.random\.Generator"):
        batches(3, batch_size=1, rng=np.random)


@pytest.mark.parametrize(
    ("g", "error", "message"),
    [
        (["1", "2"], TypeError, "g must hold real numbers"),
        ([1j, 2], TypeError, "g must hold real numbers"),
        ([[1], [1, 2]], ValueError, "g must be a rectangular array"),
        ([1.0, 2.0, 3.0], ValueError, r"g must have the shape \(2,\) of w"),
    ],
)
def test_a_step_names_a_gradient_that_is_none(g, error, message):
    optimizer, w = Momentum(0.1), np.zeros(2)
    with pytest.raises(error, match=message):
        optimizer.step(w, g, optimizer.start(w))


def test_a_step_takes_a_list_of_numbers_and_refuses_the_state_of_other_weights():
    optimizer, w = Momentum(0.1), np.zeros(2)
    optimizer.step(w, [1, 2], optimizer.start(w))
    assert w == pytest.approx([-0.1, -0.2])
    with pytest.raises(ValueError, match=r"state must be what start\(w\) returned, but its shapes are \[\(3,\)\]"):
        optimizer.step(w, w, optimizer.start(np.zeros(3)))
