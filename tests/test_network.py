"""Layers and losses: every gradient against the complex step and central differences, and what each layer promises."""

import copy
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from mlmath import explore, logistic
from mlmath.convolution import AvgPool2D, Conv2D, Flatten, MaxPool2D
from mlmath.network import (
    BatchNorm,
    Dense,
    Dropout,
    KinkWarning,
    Layer,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
    gradient_check,
    initial_weights,
    logistic_loss,
    loss_and_gradients,
    numerical_gradient,
    softmax_cross_entropy,
    squared_error,
)

LOSSES = [softmax_cross_entropy, logistic_loss, squared_error]


def generator(seed=0):
    return np.random.default_rng(seed)


def every_layer(d, rng, dtype=np.float64):
    """Each layer for (n, d) inputs, alone and stacked."""
    dense = {"rng": rng, "dtype": dtype}
    layers = {
        "dense": Dense(d, 3, **dense),
        "relu": ReLU(),
        "tanh": Tanh(),
        "sigmoid": Sigmoid(),
        "dropout": Dropout(0.4),
        "batch norm": BatchNorm(d, dtype=dtype),
        "residual": Residual(Dense(d, d + 1, **dense), Tanh(), Dense(d + 1, d, **dense)),
        "stack": Sequential(
            Dense(d, 5, **dense),
            BatchNorm(5, dtype=dtype),
            ReLU(),
            Dropout(0.2),
            Residual(Dense(5, 5, **dense), Sigmoid()),
            Sequential(Tanh(), Dense(5, 2, **dense)),
        ),
    }
    for layer in layers.values():
        for w in layer.parameters.values():
            w += rng.normal(scale=0.3, size=w.shape)  # scale, shift and biases away from 1 and 0
    return layers


# --- Gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", every_layer(2, generator()))
@settings(max_examples=6, derandomize=True)
@given(n=st.integers(2, 5), d=st.integers(1, 4), seed=st.integers(0, 99))
def test_every_pullback_agrees_with_central_differences(name, training, n, d, seed):
    rng = generator(seed)
    layer = every_layer(d, rng)[name]
    errors = gradient_check(layer, rng.normal(size=(n, d)), rng=rng, training=training)
    assert set(errors) == {"x", *layer.parameters}
    assert max(errors.values()) < 1e-7


@pytest.mark.parametrize("name", ["dense", "relu", "tanh", "sigmoid", "residual"])
def test_pullbacks_agree_with_the_complex_step_to_the_last_digits(name):
    rng = generator(1)
    layer, x = every_layer(3, rng)[name], rng.normal(size=(4, 3))
    y, pullback = layer.forward(x)
    dy = rng.normal(size=y.shape)
    dx, gradients = pullback(dy)
    parameters = layer.parameters
    for where, exact in {"x": dx, **gradients}.items():
        direction = rng.normal(size=exact.shape)
        shifted = {"x": x, **parameters}
        shifted[where] = shifted[where] + 1e-30j * direction
        layer.parameters = {key: shifted[key] for key in parameters}
        derivative = np.vdot(dy, layer.forward(shifted["x"])[0].imag) / 1e-30
        assert np.vdot(exact, direction) == pytest.approx(derivative, rel=1e-12)
    layer.parameters = parameters


@pytest.mark.parametrize("layer", [ReLU(), Tanh(), Sigmoid(), Dropout(0.3), BatchNorm(3, axis=1), BatchNorm(3, axis=0)])
def test_image_arrays_pass_through_every_layer_but_dense(layer):
    x = generator().normal(size=(3, 3, 4, 2))
    assert max(gradient_check(layer, x, rng=generator()).values()) < 1e-7


def test_a_network_and_its_loss_agree_with_central_differences():
    rng = generator(3)
    X, y = rng.normal(size=(6, 4)), rng.integers(3, size=6)
    network = Sequential(Dense(4, 5, rng=rng), Tanh(), Dense(5, 3, rng=rng))
    gradients = loss_and_gradients(network, X, y, softmax_cross_entropy)[1]
    for name, w in network.parameters.items():

        def value(array, name=name):
            other = copy.deepcopy(network)
            other.parameters[name][...] = array
            return loss_and_gradients(other, X, y, softmax_cross_entropy)[0]

        np.testing.assert_allclose(gradients[name], numerical_gradient(value, w), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("name", ["dense", "batch norm", "residual", "stack"])
def test_leaving_out_the_gradient_to_the_input_changes_no_other(name):
    rng = generator()
    network = Sequential(Tanh(), Dropout(0.5), every_layer(3, rng)[name], Tanh())
    for layer in (network, Sequential(network)):
        y, pullback = layer.forward(rng.normal(size=(4, 3)), generator(2))
        dx, gradients = pullback(np.ones_like(y))
        nothing, same = pullback(np.ones_like(y), to_input=False)
        assert dx.shape == (4, 3)
        assert nothing is None
        assert gradients.keys() == same.keys() == layer.parameters.keys()
        for key, gradient in gradients.items():
            np.testing.assert_array_equal(gradient, same[key])


def test_a_pullback_can_be_called_twice_and_its_layer_used_in_between():
    rng = generator()
    network = every_layer(3, rng)["stack"]
    y, pullback = network.forward(rng.normal(size=(4, 3)), generator(2))
    dx, first = pullback(np.ones_like(y))
    network.forward(rng.normal(size=(7, 3)), generator(5))
    again, second = pullback(np.ones_like(y))
    np.testing.assert_array_equal(dx, again)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


class Wrong(Layer):
    """2x, whose slope is said to be 1."""

    def forward(self, x, rng=None):
        return 2 * x, lambda dy: (dy, {})


class Shapeless(Layer):
    def forward(self, x, rng=None):
        return 2 * x, lambda dy: (2 * dy.sum(), {})


def test_the_gradient_check_finds_a_wrong_pullback_and_leaves_the_layer_alone():
    assert gradient_check(Wrong(), generator().normal(size=(3, 2)), rng=generator())["x"] == pytest.approx(1)
    with pytest.raises(ValueError, match=r"gradients of the shapes .*\(3, 2\).*, but it returned"):
        gradient_check(Shapeless(), np.ones((3, 2)), rng=generator())
    layer = BatchNorm(2, dtype=np.float32)
    before = copy.deepcopy(layer)
    assert max(gradient_check(layer, generator().normal(size=(4, 2)), rng=generator()).values()) < 1e-7
    for arrays, kept in ((layer.parameters, before.parameters), (layer.statistics, before.statistics)):
        for name in arrays:
            np.testing.assert_array_equal(arrays[name], kept[name])
            assert arrays[name].dtype == np.float32


def xor_network(bend):
    network = Sequential(Dense(2, 2, rng=generator()), bend, Dense(2, 1, rng=generator()))
    arrays = [[[1.0, 1], [1, 1]], [0.0, -1], [[1.0], [-2]], [0.0]]
    network.parameters = dict(zip(network.parameters, map(np.array, arrays), strict=True))
    return network


CORNERS = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])


class AlwaysOn(ReLU):
    """A rectifier whose pullback forgets that half of it is off."""

    def forward(self, x, rng=None):
        return super().forward(x, rng)[0], lambda dy: (dy, {})


def test_the_gradient_check_steps_around_kinks_and_says_so():
    for seed in range(5):
        with pytest.warns(KinkWarning, match=r"compared a little beside it: .* of 0.W, 2 of 0.b, "):
            errors = gradient_check(xor_network(ReLU()), CORNERS, rng=generator(seed))
        assert max(errors.values()) < 1e-7


@pytest.mark.filterwarnings("ignore::mlmath.network.KinkWarning")
def test_a_wrong_pullback_is_found_on_a_kink_too():
    for seed in range(5):
        errors = gradient_check(xor_network(AlwaysOn()), CORNERS, rng=generator(seed))
        assert {name for name, error in errors.items() if error > 1e-7} == {"x", "0.W", "0.b"}


@pytest.mark.parametrize("name", every_layer(2, generator()))
def test_a_pullback_refuses_slopes_of_another_shape(name):
    rng = generator()
    layer = every_layer(3, rng)[name]
    y, pullback = layer.forward(rng.normal(size=(4, 3)), generator())
    for dy in (1.0, y[0], y[:, :1], y[None]):
        with pytest.raises(ValueError, match=r"^dy must have the shape \(4, \d\) of the output, but its shape is"):
            pullback(dy)


def test_the_pullback_of_a_layer_of_ones_own_refuses_them_too():
    with pytest.raises(ValueError, match=r"^dy must have the shape \(2, 3\) of the output, but its shape is \(3,\)"):
        Wrong().forward(np.ones((2, 3)))[1](np.ones(3))


def test_numerical_gradient_of_a_cubic():
    w = generator().normal(size=(2, 3))
    np.testing.assert_allclose(numerical_gradient(lambda v: (v**3).sum(), w), 3 * w**2, rtol=1e-8, atol=1e-9)
    assert numerical_gradient(lambda v: v**2, 3).shape == ()


# --- What each layer promises -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", every_layer(2, generator()))
def test_float32_stays_float32_through_every_layer(name):
    rng = generator()
    layer = every_layer(3, rng, np.float32)[name]
    x = rng.normal(size=(4, 3)).astype(np.float32)
    for given_rng in (None, generator()):
        y, pullback = layer.forward(x, given_rng)
        dx, gradients = pullback(np.ones_like(y))
        assert {a.dtype for a in (y, dx, *gradients.values(), *layer.statistics.values())} == {np.dtype(np.float32)}


@pytest.mark.parametrize(("initialization", "variance"), [("he", 2 / 300), ("xavier", 2 / 500)])
def test_weights_start_with_the_variance_that_keeps_signals_alive(initialization, variance):
    layer = Dense(300, 200, rng=generator(), initialization=initialization)
    W = layer.parameters["W"]
    assert W.var() == pytest.approx(variance, rel=0.02)
    assert abs(W.mean()) < 4 * np.sqrt(variance / W.size)
    np.testing.assert_array_equal(layer.parameters["b"], np.zeros(200))
    single = Dense(300, 200, rng=generator(), initialization=initialization, dtype="float32")
    np.testing.assert_array_equal(single.parameters["W"], W.astype(np.float32))


def test_activations_and_their_values():
    z = np.array([[-1e4, -2.0, 0.0, 2.0, 1e4]])
    np.testing.assert_array_equal(ReLU().forward(z)[0], [[0, 0, 0, 2, 1e4]])
    np.testing.assert_array_equal(ReLU().forward(z)[1](np.ones_like(z))[0], [[0, 0, 0, 1, 1]])
    np.testing.assert_allclose(Sigmoid().forward(z)[0], logistic.sigmoid(z), rtol=1e-15, atol=1e-16)
    np.testing.assert_array_equal(Tanh().forward(z)[0], np.tanh(z))


def test_dropout_thins_out_in_training_alone_and_keeps_the_mean():
    x = np.ones((400, 500))
    layer = Dropout(0.3)
    assert layer.forward(x)[0] is x
    y, pullback = layer.forward(x, generator())
    assert set(np.unique(y)) == {0, 1 / 0.7}
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.005)
    assert y.mean() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(pullback(x)[0], y)
    np.testing.assert_array_equal(Dropout(0.0).forward(x, generator())[0], x)


def test_batch_norm_normalizes_the_batch_and_remembers_the_running_means():
    rng = generator()
    layer = BatchNorm(3, momentum=0.75, epsilon=1e-12)
    batches = rng.normal(loc=[1, -2, 5], scale=[1, 3, 0.1], size=(40, 16, 3))
    mean, variance = np.zeros(3), np.ones(3)
    for x in batches:
        y = layer.forward(x, rng)[0]
        np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-13)
        np.testing.assert_allclose(y.var(axis=0), 1, rtol=1e-9)
        mean, variance = 0.75 * mean + 0.25 * x.mean(axis=0), 0.75 * variance + 0.25 * x.var(axis=0)
    np.testing.assert_allclose(layer.statistics["mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(layer.statistics["variance"], variance, rtol=1e-12)
    x = batches[0]
    layer.parameters["scale"][:], layer.parameters["shift"][:] = [1, 2, 3], [4, 5, 6]
    expected = (x - mean) / np.sqrt(variance) * [1, 2, 3] + [4, 5, 6]
    np.testing.assert_allclose(layer.forward(x)[0], expected, rtol=1e-9)
    np.testing.assert_allclose(layer.forward(x[:1])[0], expected[:1], rtol=1e-9)


def test_batch_norm_along_any_axis_is_batch_norm_along_the_last():
    rng = generator()
    x = rng.normal(size=(5, 3, 4, 2))
    expected = BatchNorm(3).forward(x.transpose(0, 2, 3, 1).reshape(-1, 3), rng)[0].reshape(5, 4, 2, 3)
    np.testing.assert_allclose(BatchNorm(3, axis=1).forward(x, rng)[0], expected.transpose(0, 3, 1, 2), atol=1e-13)


def test_parameters_of_a_network_are_found_and_set_by_name():
    rng = generator()
    network = Sequential(
        Dense(2, 3, rng=rng), BatchNorm(3), Residual(Dense(3, 3, rng=rng), Tanh()), Dense(3, 1, rng=rng)
    )
    names = ["0.W", "0.b", "1.scale", "1.shift", "2.0.W", "2.0.b", "3.W", "3.b"]
    assert list(network.parameters) == names
    assert list(network.statistics) == ["1.mean", "1.variance"]
    assert network.parameters["2.0.W"] is network.layers[2].layers[0].parameters["W"]
    network.parameters = {name: w + 1 for name, w in network.parameters.items()}
    assert network.layers[2].layers[0].parameters["b"].tolist() == [1, 1, 1]
    x = rng.normal(size=(4, 3))
    inner = Sequential(*network.layers[2].layers)
    np.testing.assert_array_equal(network.layers[2].forward(x)[0], x + inner.forward(x)[0])


DENSE = Dense(2, 2, rng=generator())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Dense(0, 2, rng=generator()), ValueError, "d_in must be at least 1"),
        (lambda: Dense(2, 2.5, rng=generator()), TypeError, "d_out must be a whole number"),
        (lambda: Dense(2, 2, rng=0), TypeError, "rng must be a numpy.random.Generator"),
        (lambda: Dense(2, 2, rng=generator(), initialization="zero"), ValueError, "initialization must be one of 'he'"),
        (lambda: Dense(2, 2, rng=generator(), dtype=int), ValueError, "dtype must be float32 or float64, but.*int"),
        (lambda: Dropout(1.0), ValueError, "drop must be at least 0 and less than 1"),
        (lambda: BatchNorm(3, momentum=1), ValueError, "momentum must be at least 0 and less than 1"),
        (lambda: BatchNorm(3, epsilon=0), ValueError, "epsilon must be greater than 0"),
        (lambda: Sequential(), ValueError, "at least one layer"),
        (lambda: Sequential(DENSE, np.tanh), TypeError, "every layer must be a Layer such as ReLU()"),
        (
            lambda: Sequential(DENSE, Sequential(ReLU(), DENSE)),
            ValueError,
            "in the network once, but one is there twice",
        ),
        (lambda: DENSE.forward(np.ones(2)), ValueError, r"x must have shape \(n, 2\).*its shape is \(2,\)"),
        (lambda: DENSE.forward(np.ones((2, 3))), ValueError, r"x must have shape \(n, 2\).*\(2, 3\)"),
        (lambda: BatchNorm(3).forward(np.ones((4, 2))), ValueError, r"x must have 3 features along axis -1.*\(4, 2\)"),
        (lambda: BatchNorm(3, axis=2).forward(np.ones((4, 3))), ValueError, "x must have 3 features along axis 2"),
        (lambda: BatchNorm(3).forward(np.ones((1, 3)), generator()), ValueError, "two or more values of each feature"),
        (
            lambda: Residual(Dense(2, 1, rng=generator())).forward(np.ones((4, 2))),
            ValueError,
            r"keep the shape \(4, 2\) of x, but returned \(4, 1\)",
        ),
        (lambda: Layer().forward(np.ones(2)), NotImplementedError, "Layer must define forward"),
    ],
)
def test_what_cannot_be_a_layer_says_so(make, error, message):
    with pytest.raises(error, match=message):
        make()


# --- Losses -----------------------------------------------------------------------------------------------------------


def outputs_and_targets(loss, dtype=np.float64, n=5):
    rng = generator(4)
    if loss is softmax_cross_entropy:
        return rng.normal(size=(n, 3)).astype(dtype), rng.integers(3, size=n)
    y = rng.integers(2, size=n) if loss is logistic_loss else rng.normal(size=n)
    return rng.normal(size=(n, 1)).astype(dtype), y


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_of_a_loss_agrees_with_central_differences(loss):
    z, y = outputs_and_targets(loss)
    value, dz = loss(z, y)
    assert isinstance(value, float)
    np.testing.assert_allclose(dz, numerical_gradient(lambda v: loss(v, y)[0], z), rtol=1e-7, atol=1e-10)


def test_losses_agree_with_chapter_3_and_chapter_2():
    z, y = outputs_and_targets(softmax_cross_entropy)
    assert softmax_cross_entropy(z, y)[0] == pytest.approx(logistic.log_loss(y, z), rel=1e-14)
    z, y = outputs_and_targets(logistic_loss)
    assert logistic_loss(z, y)[0] == pytest.approx(logistic.log_loss(y, z[:, 0]), rel=1e-14)
    assert logistic_loss(z[:, 0], y)[0] == logistic_loss(z, y)[0]
    z, y = outputs_and_targets(squared_error)
    assert squared_error(z, y)[0] == pytest.approx(np.mean((z[:, 0] - y) ** 2) / 2, rel=1e-14)
    assert squared_error(np.eye(2), np.zeros((2, 2)))[0] == 0.5


def test_the_cross_entropy_of_sequences_is_the_mean_over_every_place():
    rng = generator()
    z, y = rng.normal(size=(4, 5, 3)), rng.integers(3, size=(4, 5))
    value, dz = softmax_cross_entropy(z, y)
    flat, dflat = softmax_cross_entropy(z.reshape(20, 3), y.ravel())
    assert value == flat
    np.testing.assert_array_equal(dz, dflat.reshape(4, 5, 3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_keep_the_type_and_stay_finite_for_huge_outputs(loss, dtype):
    z, y = outputs_and_targets(loss, dtype)
    for scale in (1, 1e4, -1e4):
        value, dz = loss(dtype(scale) * z, y)
        assert np.isfinite(value)
        assert np.isfinite(dz).all()
        assert dz.dtype == dtype


@pytest.mark.parametrize(
    ("loss", "outputs", "y", "message"),
    [
        (softmax_cross_entropy, np.ones((2, 3)), np.array([0, 3]), r"a class 0, …, 2 .* its range 0 to 3"),
        (softmax_cross_entropy, np.ones((2, 3)), np.array([-1, 0]), "a class 0, …, 2 .* its range -1 to 0"),
        (softmax_cross_entropy, np.ones((2, 3)), np.array([0.0, 1.0]), "its type float64"),
        (softmax_cross_entropy, np.ones((2, 3)), np.array([[0], [1]]), r"its shape is \(2, 1\)"),
        (logistic_loss, np.ones(3), np.array([0, 1, 2]), "y must hold the labels 0 and 1 alone, but it holds.*2"),
        (logistic_loss, np.ones((3, 2)), np.array([0, 1, 1]), r"y must have the shape \(3, 2\)"),
        (squared_error, np.ones((3, 2)), np.ones(3), r"y must have the shape \(3, 2\) of the network's outputs"),
        (squared_error, np.ones(3), np.ones((3, 1)), r"y must have the shape \(3,\)"),
    ],
)
def test_targets_that_do_not_fit_the_outputs_are_refused(loss, outputs, y, message):
    with pytest.raises(ValueError, match=message):
        loss(outputs, y)


@pytest.mark.parametrize(
    "layer",
    [Dense(3, 3, rng=generator()), ReLU(), Tanh(), Sigmoid(), Dropout(0.5), BatchNorm(3)],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_take_whole_numbers_and_lists_and_refuse_what_is_no_number(layer):
    x = [[1, -2, 3], [0, 1, 2]]
    y, pullback = layer.forward(x, generator())
    expected, _ = layer.forward(np.array(x, float), generator())
    assert y.dtype == pullback(np.ones((2, 3)))[0].dtype == float
    np.testing.assert_array_equal(y, expected)
    for bad in (None, "abc", [["1", "2", "3"]]):
        with pytest.raises(TypeError, match="x must hold numbers"):
            layer.forward(bad)


def test_an_empty_training_batch_leaves_the_running_means_alone():
    layer = BatchNorm(3)
    with pytest.raises(ValueError, match="two or more values"):
        layer.forward(np.ones((0, 3)), generator())
    assert np.isfinite(layer.statistics["mean"]).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: softmax_cross_entropy(np.ones((2, 3)), np.array(["0", "1"])), ValueError, "y must hold a class"),
        (lambda: softmax_cross_entropy(np.ones((2, 3)), np.zeros(0, int)), ValueError, "y must hold a class"),
        (lambda: softmax_cross_entropy(np.float64(1), np.array(0)), ValueError, "y must hold a class"),
        (lambda: squared_error(np.ones(2) * 1j, np.ones(2)), TypeError, "outputs must hold real numbers"),
        (lambda: logistic_loss(np.ones(2), None), TypeError, "y must hold real numbers"),
        (lambda: numerical_gradient(lambda w: w, np.ones(2)), ValueError, "f must return an array of shape"),
        (lambda: numerical_gradient(lambda w: np.nan, np.ones(2)), ValueError, "f must be finite"),
        (lambda: numerical_gradient(3, np.ones(2)), TypeError, "f must be a function"),
        (lambda: gradient_check(ReLU, np.ones(2), rng=generator()), TypeError, "layer must be a Layer"),
        (lambda: BatchNorm(3, axis=0.5), TypeError, "axis must be a whole number"),
        (lambda: Dense(2, 2, rng=generator(), dtype="abc"), ValueError, "dtype must be float32 or float64"),
        (lambda: Dense(2, 2, rng=generator(), dtype=None), ValueError, "dtype must be float32 or float64"),
        (
            lambda: initial_weights((3,), rng=generator(), initialization="he", dtype=float),
            ValueError,
            "shape must be a tuple",
        ),
        (
            lambda: loss_and_gradients(None, np.ones(2), np.ones(2), squared_error),
            TypeError,
            "network must be a Layer",
        ),
        (lambda: loss_and_gradients(ReLU(), np.ones(2), np.ones(2), "mse"), TypeError, "loss must be a function"),
    ],
)
def test_losses_and_gradients_name_what_they_cannot_take(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("arrays", [{}, {"0.W": np.ones((2, 2))}, {"0.W": np.ones((3, 2)), "0.b": np.ones(2)}])
def test_a_network_refuses_parameters_of_other_names_or_shapes(arrays):
    network = Sequential(Dense(2, 2, rng=generator()))
    with pytest.raises(ValueError, match="parameters must be arrays of the shapes"):
        network.parameters = arrays


# --- What chapter 4 asks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3])
def test_one_layer_needs_as_many_units_as_a_sawtooth_has_pieces(k):
    """Exercise "What depth is good for": with a unit less, whichever way each of them looks, one slope is wrong."""
    x = np.linspace(0, 1, 2 ** (k + 4) + 1)
    sawtooth = x
    for _ in range(k):
        sawtooth = 2 * np.maximum(sawtooth, 0) - 4 * np.maximum(sawtooth - 0.5, 0)

    def error(kinks, directions):
        units = [np.ones_like(x)] + [np.maximum(s * (x - t), 0) for s, t in zip(directions, kinks, strict=True)]
        A = np.column_stack(units)
        return np.abs(A @ np.linalg.lstsq(A, sawtooth)[0] - sawtooth).max()

    kinks = np.arange(2**k) / 2**k
    assert error(kinks, [1] * 2**k) < 1e-12
    assert min(error(kinks[1:], directions) for directions in product([1, -1], repeat=2**k - 1)) > 0.05


@pytest.mark.parametrize(("depth", "share"), [(16, 0.88), (20, 0.91)])
def test_most_narrow_deep_networks_stay_below_the_mean_square_of_theory(depth, share):
    """The explorer `depth` shows one draw; most lie below the dashed line, though their mean square is on it."""
    rng = np.random.default_rng(0)
    a = start = rng.normal(size=(4000, 8, 12))
    for _ in range(depth):
        a = np.maximum(a @ rng.normal(scale=np.sqrt(2 / 12), size=(len(a), 12, 12)), 0)
    q = (a**2).mean(axis=(1, 2)) / (start**2).mean(axis=(1, 2))
    assert np.mean(q < 1) == pytest.approx(share, abs=0.03)


def test_the_depth_explorer_shows_what_the_text_says_it_does():
    known = explore.depth("ReLU").spec["data"]
    draws = np.reshape(known["draws"], (-1, 12, 12))
    inputs, errors = (np.reshape(known[name], (8, 12)) for name in ("inputs", "errors"))

    def factors(variance, depth):
        weights = np.sqrt(variance / 12) * draws[: depth + 1]
        a, on = inputs, []
        for W in weights[:-1]:
            a = np.maximum(a @ W, 0)
            on.append(a > 0)
        delta = errors
        for W, alive in zip(weights[:0:-1], on[::-1], strict=True):
            delta = (delta @ W.T) * alive
        ends = ((a, inputs), (delta, errors))
        return [np.sqrt(np.sum(last**2) / np.sum(first**2)) for last, first in ends]

    assert np.array(factors(1, 16)) ** (1 / 16) == pytest.approx([0.66, 0.69], abs=0.01), "about two thirds"
    assert np.array(factors(2, 16)) ** (1 / 16) == pytest.approx([0.93, 0.97], abs=0.01), "a slow decline"
    assert 2.0**-10 / factors(1, 20)[0] == pytest.approx(7, abs=0.2), "the last dot, at a seventh of the line"


@pytest.mark.parametrize(("f", "curvature"), [(np.sin, 1.0), (lambda x: x**3, 18.0), (np.square, 2.0)])
def test_lines_between_points_of_a_curve_stay_within_a_parabola(f, curvature):
    knots, share = np.linspace(-3, 3, 9), np.linspace(0, 1, 41)
    left, right = knots[:-1, None], knots[1:, None]
    x = left + share * (right - left)
    error = np.abs((1 - share) * f(left) + share * f(right) - f(x))
    parabola = curvature / 2 * (x - left) * (right - x)
    assert (error <= parabola + 1e-12).all()
    assert parabola.max() == pytest.approx(curvature * 0.75**2 / 8)
    assert error.max() > 0.8 * parabola.max()


@pytest.mark.parametrize(
    "layer",
    [
        Dense(4, 2, rng=np.random.default_rng(0)),
        *(ReLU(), Tanh(), Sigmoid(), Dropout(0.0), BatchNorm(4)),
        Conv2D(1, 2, 2, rng=np.random.default_rng(0)),
        *(MaxPool2D(2), AvgPool2D(2), Flatten()),
    ],
    ids=lambda layer: type(layer).__name__,
)
@pytest.mark.parametrize("training", [True, False])
def test_halves_and_whole_numbers_are_taken_and_what_is_sparse_or_empty_is_understood_or_refused(layer, training):
    images = isinstance(layer, Conv2D | MaxPool2D | AvgPool2D | Flatten)
    x = np.arange(32.0).reshape((2, 4, 4, 1) if images else (8, 4)) % 5

    def passed(x):
        y, pullback = layer.forward(x, np.random.default_rng(0) if training else None)
        return y, pullback(np.ones_like(y))[0]

    expected = passed(x)
    for dtype in (np.float16, np.uint8, int):
        for result, exact in zip(passed(x.astype(dtype)), expected, strict=True):
            assert result.dtype in (np.float32, np.float64)
            np.testing.assert_allclose(result, exact, rtol=1e-6, atol=1e-7)
    with pytest.raises(TypeError, match="x must hold numbers, but its type is object"):
        passed(sparse.csr_array(x.reshape(len(x), -1)))
    if images or (training and isinstance(layer, BatchNorm)):
        with pytest.raises(ValueError, match=r"one sample or more|two or more values"):
            passed(x[:0])
    else:
        assert [len(a) for a in passed(x[:0])] == [0, 0]
