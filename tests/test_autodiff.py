"""Automatic differentiation against backpropagation, central differences and derivatives found by hand."""

import operator

import numpy as np
import pytest

from mlmath.autodiff import RULES, Variable, gradient
from mlmath.network import Dense, ReLU, Sequential, Tanh, loss_and_gradients, numerical_gradient, softmax_cross_entropy

rng = np.random.default_rng(0)
A, B, V, U = rng.normal(size=(3, 4)), rng.normal(size=(4, 2)), rng.normal(size=4), rng.normal(size=3)
POSITIVE = rng.uniform(0.5, 2, size=(3, 4))

# Every rule, with operands of every shape that it takes, and what broadcasting makes of them.
FUNCTIONS = {
    "add": (lambda a, b: (A * (a + b)).sum(), (A, V)),
    "add a number": (lambda a: ((2 + a + 3) * A).sum(), (A,)),
    "subtract": (lambda a, b: (A * (a - b)).sum(), (V, A)),
    "subtract from a number": (lambda a: (A * (1 - a - V)).sum(), (A,)),
    "multiply": (lambda a, b: (a * b * A).sum(), (A, U[:, None])),
    "multiply twice the same": (lambda a: (a * a * a).sum(), (A,)),
    "scalar times matrix": (lambda a, b: (a * b * A).sum(), (np.array(1.7), A)),
    "divide": (lambda a, b: (A * (a / b)).sum(), (V, POSITIVE)),
    "divide a number": (lambda a: (A * (2 / a / 3)).sum(), (POSITIVE,)),
    "negative": (lambda a: (A * -a).sum(), (A,)),
    "power": (lambda a: (A * a**3 + a**-2).sum(), (POSITIVE,)),
    "power of both": (lambda a, b: (a**b).sum(), (POSITIVE, V)),
    "exponent": (lambda b: (2.0**b).sum(), (A,)),
    "exp": (lambda a: (A * np.exp(a)).sum(), (A,)),
    "log": (lambda a: (A * np.log(a)).sum(), (POSITIVE,)),
    "tanh": (lambda a: (A * np.tanh(a)).sum(), (A,)),
    "maximum": (lambda a, b: (A * np.maximum(a, b)).sum(), (A, V)),
    "relu": (lambda a: (A * np.maximum(a, 0)).sum(), (A,)),
    "matrix matrix": (lambda a, b: (U @ (a @ b) ** 2).sum(), (A, B)),
    "matrix vector": (lambda a, b: U @ (a @ b), (A, V)),
    "vector matrix": (lambda a, b: ((a @ b) ** 2).sum(), (U, A)),
    "vector vector": (lambda a, b: (a @ b) ** 2, (V, V + 1)),
    "array first": (lambda b: (U[:, None] * (A @ b)).sum(), (B,)),
    "transpose": (lambda a, b: ((a.T * b.T) @ U).sum() ** 2 + (np.transpose(a) @ (A @ V)).sum(), (A, POSITIVE)),
    "dot": (lambda a, b: (U @ np.dot(a, b) ** 2).sum(), (A, B)),
    "dot, array first": (lambda b: (np.dot(A, b) ** 2).sum(), (V,)),
    "dot with a number": (lambda a, b: np.dot(A, np.dot(a, b)).sum(), (np.array(1.7), V)),
    "mean": (lambda a: np.mean(a**2) + (a.mean(axis=0) ** 2 @ V), (A,)),
    "mean that keeps its axis": (lambda a: ((a - np.mean(a, axis=1, keepdims=True)) ** 2 * A).sum(), (A,)),
    "numpy's sum": (lambda a: (np.sum(a, axis=0) * V).sum() + np.sum(a**2), (A,)),
    "sum along an axis": (lambda a: (a.sum(axis=0) * V).sum() + (a.sum(axis=-1) ** 2 @ U), (A,)),
    "sum that keeps its axis": (lambda a: (a / a.sum(axis=1, keepdims=True) * A).sum(), (POSITIVE,)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_rule_agrees_with_central_differences_and_its_value_with_numpy(name):
    f, arguments = FUNCTIONS[name]
    found = gradient(f)(*arguments)
    found = found if isinstance(found, tuple) else (found,)
    for i, (g, w) in enumerate(zip(found, arguments, strict=True)):
        expected = numerical_gradient(lambda v, i=i: f(*arguments[:i], v, *arguments[i + 1 :]), w)
        assert g.shape == w.shape
        np.testing.assert_allclose(g, expected, rtol=1e-7, atol=1e-8)
    assert f(*map(Variable, arguments)).value == f(*arguments)


def test_it_gives_the_gradients_of_backpropagation():
    network = Sequential(Dense(3, 5, rng=rng), Tanh(), Dense(5, 4, rng=rng), ReLU(), Dense(4, 3, rng=rng))
    X, y = rng.normal(size=(7, 3)), rng.integers(3, size=7)

    def loss(W1, b1, W2, b2, W3, b3):
        z = np.maximum(np.tanh(X @ W1 + b1) @ W2 + b2, 0) @ W3 + b3
        return (np.log(np.exp(z).sum(axis=1)) - (z * np.eye(3)[y]).sum(axis=1)).sum() / len(y)

    value, gradients = loss_and_gradients(network, X, y, softmax_cross_entropy)
    parameters = network.parameters.values()
    assert loss(*parameters) == pytest.approx(value, rel=1e-14)
    for name, mine in zip(network.parameters, gradient(loss)(*parameters), strict=True):
        np.testing.assert_allclose(mine, gradients[name], rtol=1e-12, atol=1e-14)


def test_calling_twice_does_not_double_the_gradients():
    df = gradient(lambda w: (w**2).sum())
    for _ in range(3):
        np.testing.assert_array_equal(df(np.array([1.0, -2])), [2, -4])


def test_a_value_used_many_times_is_gone_through_once():
    """2^60 paths lead from the result to w."""

    def f(w):
        for _ in range(60):
            w = w / 2 + w / 2
        return w

    assert gradient(f)(3.0) == pytest.approx(1)


def test_a_long_computation_needs_no_deep_recursion():
    def f(w):
        for _ in range(1500):
            w = w + 0.5 * w * (1 - w) * 1e-3
        return w

    assert gradient(f)(0.3) == pytest.approx(numerical_gradient(f, 0.3), rel=1e-7)


def test_float32_stays_float32_and_an_unused_argument_has_gradient_zero():
    a, b = gradient(lambda a, b: (2.5 * np.exp(a) / 3).sum() ** 2)(A.astype(np.float32), V)
    assert a.dtype == np.float32
    np.testing.assert_array_equal(b, np.zeros(4))


def test_slopes_where_there_are_two():
    for f in (lambda a: np.maximum(a, 0).sum(), lambda a: np.maximum(0, a).sum()):
        np.testing.assert_array_equal(gradient(f)([-1.0, 0, 2]), [0, 0.5, 1])
    assert gradient(np.maximum)(2.0, 2.0) == (0.5, 0.5)
    assert gradient(lambda a: np.maximum(a, a))(2.0) == 1
    assert gradient(lambda a: a**0 + a**1 + a**2)(0.0) == 1


@pytest.mark.parametrize(
    ("f", "w", "error", "message"),
    [
        (lambda w: w, [1.0, 2], TypeError, "f must return one number that is computed from its arguments"),
        (lambda w: 3.0, 1.0, TypeError, "f must return one number .* returned 3.0"),
        (lambda w: np.sin(w), 1.0, TypeError, "no backward rule for numpy.sin"),
        (lambda w: np.add.reduce(w), [1.0], TypeError, "no backward rule for numpy.add"),
        (lambda w: np.average(w, weights=[1, 2]), [1.0, 2], TypeError, "no backward rule for numpy.average"),
        (lambda w: np.where([True, False], w, 0).sum(), [1.0, 2], TypeError, "no backward rule for numpy.where"),
        (lambda w: np.linalg.norm(w), [1.0, 2], TypeError, "no backward rule for numpy.norm"),
        (lambda w: np.mean(w, dtype=int), [1.0, 2], TypeError, "unexpected keyword argument 'dtype'"),
        (lambda w: operator.iadd(w, 1), 1.0, TypeError, r"cannot be changed in place.*write a = a \+ b"),
        (lambda w: operator.imul(np.ones(2), w), [1.0, 2], TypeError, "cannot be changed in place"),
        (lambda w: w > 0, 1.0, TypeError, "no backward rule for numpy.greater"),
        (lambda w: (np.ones((2, 2, 2)) @ w).sum(), [1.0, 2], ValueError, r"@ takes matrices and vectors.*\(2, 2, 2\)"),
        (lambda w: w, np.nan, ValueError, "argument 0 of f must be finite"),
    ],
)
def test_what_it_cannot_do_is_said(f, w, error, message):
    with pytest.raises(error, match=message):
        gradient(f)(w)


def test_there_is_a_rule_for_each_operand():
    assert all(len(rules) == operation.nin for operation, rules in RULES.items())


def test_the_gradient_has_its_arguments_type_whatever_f_mixes_in():
    w = np.ones(3, np.float32)
    assert gradient(lambda w: (w * np.arange(3.0)).sum())(w).dtype == np.float32
    with pytest.raises(TypeError, match="f must return one number"):
        gradient(lambda w: (w * 1j).sum())(w)
    with pytest.raises(TypeError, match="f must be a function"):
        gradient(3)
