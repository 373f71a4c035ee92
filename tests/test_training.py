"""Training against chapter 2's loops and a network written out by hand, and how it ends."""

import copy
import re
import warnings
from functools import partial

import numpy as np
import pytest

from mlmath.convolution import Conv2D, Flatten
from mlmath.descent import Adam, GradientDescent, Momentum, RMSProp, minimize, minimize_stochastic
from mlmath.network import (
    BatchNorm,
    Dense,
    Dropout,
    Layer,
    ReLU,
    Residual,
    Sequential,
    Tanh,
    logistic_loss,
    loss_and_gradients,
    softmax_cross_entropy,
    squared_error,
)
from mlmath.training import accuracy, evaluate, train


def generator(seed=0):
    return np.random.default_rng(seed)


def classes(n=60, d=3, seed=1):
    rng = generator(seed)
    X = rng.normal(size=(n, d))
    return X, (X[:, 0] * X[:, 1] > 0).astype(int)


def perceptron(d=3, hidden=8, outputs=2, dtype=np.float64, seed=2):
    rng = generator(seed)
    return Sequential(Dense(d, hidden, rng=rng, dtype=dtype), Tanh(), Dense(hidden, outputs, rng=rng, dtype=dtype))


# --- The same as other ways to compute it -----------------------------------------------------------------------------


def test_one_dense_layer_takes_the_steps_of_chapter_2():
    """Full-batch descent on the log loss is `minimize`; small batches on squares are `minimize_stochastic`."""
    X, y = classes()
    network = Sequential(Dense(3, 1, rng=generator()))
    start = network.parameters["0.W"].ravel().copy()

    def loss(w):
        return np.mean(np.logaddexp(0, X @ w) - y * (X @ w))

    def gradient(w):
        return X.T @ (1 / (1 + np.exp(-X @ w)) - y) / len(y)

    class NoBias(Momentum):
        """The bias, which comes last, stays 0: chapter 2's model has none."""

        def _update(self, w, g, v):
            super()._update(w[:-1], g[:-1], v[:-1])

    history = train(network, X, y, logistic_loss, NoBias(0.5), epochs=20, batch_size=60, rng=generator())
    run = minimize(loss, gradient, start, Momentum(0.5), steps=20)
    np.testing.assert_allclose(history.losses, run.losses[:-1], rtol=1e-12)
    np.testing.assert_allclose(network.parameters["0.W"].ravel(), run.w, rtol=1e-12)

    network = Sequential(Dense(3, 1, rng=generator()))
    target = X @ [1.0, 2, 3]
    train(network, X, target, squared_error, NoBias(0.05), epochs=5, batch_size=16, rng=generator(7))
    run = minimize_stochastic(
        lambda w, X, y: np.mean((X @ w - y) ** 2) / 2,
        lambda w, X, y: X.T @ (X @ w - y) / len(y),
        X,
        target,
        start,
        Momentum(0.05),
        batch_size=16,
        epochs=5,
        rng=generator(7),
    )
    np.testing.assert_allclose(network.parameters["0.W"].ravel(), run.w, rtol=1e-12)


def test_a_network_with_weight_decay_takes_the_steps_written_out_by_hand():
    X, y = classes()
    network = perceptron(outputs=1)
    W1, b1, W2, b2 = (w.copy() for w in network.parameters.values())
    rate, alpha, n, losses = 0.3, 0.02, len(X), []
    for _ in range(30):
        a = np.tanh(X @ W1 + b1)
        z = (a @ W2 + b2)[:, 0]
        losses.append(np.mean(np.log(1 + np.exp(z)) - y * z))
        delta2 = ((1 / (1 + np.exp(-z)) - y) / n)[:, None]
        delta1 = delta2 @ W2.T * (1 - a**2)
        W2, b2 = W2 - rate * (a.T @ delta2 + alpha * W2), b2 - rate * delta2.sum(0)
        W1, b1 = W1 - rate * (X.T @ delta1 + alpha * W1), b1 - rate * delta1.sum(0)
    history = train(
        network, X, y, logistic_loss, GradientDescent(rate), epochs=30, batch_size=n, rng=generator(), alpha=alpha
    )
    np.testing.assert_allclose(history.losses, losses, rtol=1e-12)
    for trained, expected in zip(network.parameters.values(), (W1, b1, W2, b2), strict=True):
        np.testing.assert_allclose(trained, expected, rtol=1e-9, atol=1e-12)


def test_what_is_recorded_is_what_was_measured():
    X, y = classes()
    network = perceptron()
    states, after = [], []

    def keep(epoch):
        after.append(epoch)
        states.append(copy.deepcopy(network))

    start = copy.deepcopy(network)
    options = {
        "epochs": 4,
        "batch_size": 60,
        "rng": generator(),
        "validation": classes(40, seed=5),
        "after_epoch": keep,
    }
    history = train(network, X, y, softmax_cross_entropy, Adam(0.05), **options)
    assert after == [1, 2, 3, 4]
    assert (history.outcome, history.epochs, history.steps) == ("epoch limit", 4, 4)
    Xv, yv = options["validation"]
    for k in range(4):
        before = [start, *states][k]
        assert history.losses[k] == pytest.approx(loss_and_gradients(before, X, y, softmax_cross_entropy)[0], rel=1e-12)
        assert history.accuracies[k] == accuracy(evaluate(before, X), y)
        outputs = evaluate(states[k], Xv)
        assert history.validation_losses[k] == pytest.approx(softmax_cross_entropy(outputs, yv)[0], rel=1e-12)
        assert history.validation_accuracies[k] == accuracy(outputs, yv)
    assert history.best == np.argmin(history.validation_losses) + 1
    assert repr(history).startswith(f"History('epoch limit', epochs=4, best={history.best}: loss 0.")


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples():
    """With a rate of almost 0 the network stays, so that batches of 60 = 3 × 16 + 12 give the loss of all samples."""
    X, y = classes()
    network = perceptron()
    expected = loss_and_gradients(network, X, y, softmax_cross_entropy)[0]
    history = train(
        network, X, y, softmax_cross_entropy, GradientDescent(1e-300), epochs=2, batch_size=16, rng=generator()
    )
    np.testing.assert_allclose(history.losses, [expected, expected], rtol=1e-13)
    np.testing.assert_allclose(history.accuracies, accuracy(evaluate(network, X), y), rtol=1e-13)
    assert history.steps == 8


def test_without_classes_there_is_no_accuracy_and_without_validation_none_of_it():
    X, y = classes()
    network = Sequential(Dense(3, 1, rng=generator()))
    for targets in (y, y.astype(float)):
        history = train(network, X, targets, squared_error, Adam(0.1), epochs=2, batch_size=20, rng=generator())
        assert [len(a) for a in (history.losses, history.accuracies, history.validation_losses)] == [2, 0, 0]
        assert history.best == np.argmin(history.losses) + 1


def test_the_same_generator_gives_the_same_network_and_training_draws_from_it_alone():
    X, y = classes()
    trained = []
    for _ in range(2):
        rng = generator(3)
        network = Sequential(Dense(3, 8, rng=rng), ReLU(), Dropout(0.5), Dense(8, 2, rng=rng))
        train(network, X, y, softmax_cross_entropy, Adam(0.01), epochs=3, batch_size=16, rng=rng)
        trained.append(network.parameters["3.W"])
        np.random.seed(len(trained))
    np.testing.assert_array_equal(*trained)


# --- How it learns and ends -------------------------------------------------------------------------------------------


def test_a_hidden_layer_learns_xor():
    X = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    y = np.array([0, 1, 1, 0])
    network = perceptron(d=2, outputs=1)
    history = train(network, X, y, logistic_loss, Adam(0.1), epochs=200, batch_size=4, rng=generator())
    assert history.losses[-1] < 0.01
    assert accuracy(evaluate(network, X), y) == 1
    linear = Sequential(Dense(2, 1, rng=generator()))
    train(linear, X, y, logistic_loss, Adam(0.1), epochs=200, batch_size=4, rng=generator())
    assert accuracy(evaluate(linear, X), y) <= 0.75


def test_early_stopping_goes_back_to_the_best_epoch_statistics_and_all():
    X, y = classes(40)
    Xv, yv = classes(200, seed=9)
    rng = generator()
    network = Sequential(Dense(3, 60, rng=rng), BatchNorm(60), ReLU(), Dense(60, 2, rng=rng))
    kept = []
    history = train(
        network,
        X,
        y,
        softmax_cross_entropy,
        Adam(0.02),
        epochs=300,
        batch_size=20,
        rng=rng,
        validation=(Xv, yv),
        patience=5,
        after_epoch=lambda epoch: kept.append(copy.deepcopy(network)),
    )
    assert history.outcome == "early stopping"
    assert history.epochs == history.best + 5 == len(kept) < 300
    assert history.best == np.argmin(history.validation_losses) + 1
    value = softmax_cross_entropy(evaluate(network, Xv), yv)[0]
    assert value == pytest.approx(history.validation_losses.min(), rel=1e-12)
    best = kept[history.best - 1]
    for name, s in network.statistics.items():
        np.testing.assert_array_equal(s, best.statistics[name])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [1e3, 1e30, 1e300])
def test_a_diverging_training_stops_says_where_and_keeps_finite_weights(dtype, rate):
    rng = generator()
    X, y = classes()
    dense = partial(Dense, rng=rng, dtype=dtype)
    network = Sequential(dense(3, 8), BatchNorm(8, dtype=dtype), Residual(dense(8, 8)), dense(8, 1))
    with pytest.warns(RuntimeWarning, match="the loss is no longer finite") as caught:
        history = train(network, X, 1e3 * y, squared_error, GradientDescent(rate), epochs=90, batch_size=20, rng=rng)
    assert len(caught) == 1
    message = str(caught[0].message)
    where = re.search(
        r"(at|after) step (\d+) \(epoch (\d+)\) with GradientDescent\(rate=(.*)\): try a smaller", message
    )
    assert int(where[2]) == history.steps + (where[1] == "at")
    assert int(where[3]) == history.epochs + 1
    assert float(where[4]) == rate
    assert caught[0].filename == __file__
    assert history.outcome == "diverged"
    assert np.isfinite(history.losses).all()
    for array in (*network.parameters.values(), *network.statistics.values()):
        assert np.isfinite(array).all()
        assert array.dtype == dtype


def test_the_weights_kept_are_the_last_at_which_the_loss_was_finite():
    """w ← w − 4 · 1e100 w from w = 1: the loss 1e100 w²/2 overflows after the second step."""
    network = Sequential(Dense(1, 1, rng=generator()))
    network.parameters = {"0.W": np.array([[1.0]]), "0.b": np.zeros(1)}

    class Free(GradientDescent):
        def _update(self, w, g):
            w[0] -= self.rate * g[0]

    with pytest.warns(RuntimeWarning, match=r"at step 3 \(epoch 3\) with .*Free"):
        history = train(network, [[1e50]], [0.0], squared_error, Free(4), epochs=9, batch_size=1, rng=generator())
    np.testing.assert_allclose(network.parameters["0.W"], [[-4e100]], rtol=1e-12)
    np.testing.assert_allclose(history.losses, [0.5e100, 8e300], rtol=1e-12)
    assert history.steps == 2


def test_a_validation_loss_that_overflows_ends_the_training_too():
    network = Sequential(Dense(1, 1, rng=generator()))
    with pytest.warns(RuntimeWarning, match=r"after step 1 \(epoch 1\)"):
        history = train(
            network,
            [[1.0]],
            [1.0],
            squared_error,
            GradientDescent(0.1),
            epochs=2,
            batch_size=1,
            rng=generator(),
            validation=([[1e300]], [0.0]),
        )
    assert repr(history) == "History('diverged', epochs=0, best=0: nothing measured)"


def test_a_loss_that_is_not_finite_at_the_start_is_an_error():
    network = perceptron(outputs=1)
    before = network.parameters["0.W"].copy()
    network.parameters["2.W"][:] = 1e200
    with pytest.raises(ValueError, match="the loss must be finite at the start, but it is inf"):
        train(network, *classes(), squared_error, Adam(0.1), epochs=1, batch_size=9, rng=generator())
    np.testing.assert_array_equal(network.parameters["0.W"], before)


def test_diverging_after_early_best_goes_back_to_it_with_patience():
    rng = generator()
    X, y = classes()
    network = Sequential(Dense(3, 8, rng=rng), Dense(8, 8, rng=rng), Dense(8, 1, rng=rng))
    start = copy.deepcopy(network)
    with pytest.warns(RuntimeWarning, match="no longer finite"):
        history = train(
            network,
            X,
            y,
            squared_error,
            GradientDescent(50),
            epochs=90,
            batch_size=60,
            rng=rng,
            validation=(X, y),
            patience=90,
        )
    assert history.best == 1
    value = squared_error(evaluate(network, X), y)[0]
    assert value == pytest.approx(history.validation_losses[0], rel=1e-12)
    assert value > squared_error(evaluate(start, X), y)[0]


# --- Types, views and the way data comes in ---------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [GradientDescent(0.1), Momentum(0.1), RMSProp(0.01), Adam(0.01)])
def test_float32_stays_float32_in_training(optimizer):
    seen = set()

    class Watch(Layer):
        def forward(self, x, rng=None):
            def pullback(dy):
                seen.add(dy.dtype)
                return dy, {}

            seen.add(x.dtype)
            return x, pullback

    rng = generator()
    layers = (Dense(3, 8, rng=rng, dtype=np.float32), BatchNorm(8, dtype=np.float32), Tanh(), Dropout(0.1))
    network = Sequential(*layers, Watch(), Dense(8, 2, rng=rng, dtype=np.float32))
    train(network, *classes(), softmax_cross_entropy, optimizer, epochs=2, batch_size=16, rng=rng, alpha=0.01)
    arrays = (*network.parameters.values(), *network.statistics.values(), evaluate(network, classes()[0]))
    assert {array.dtype for array in arrays} | seen == {np.dtype(np.float32)}


def test_a_network_can_be_trained_on_copied_and_changed_between():
    X, y = classes()
    whole, parts = perceptron(), perceptron()
    train(whole, X, y, softmax_cross_entropy, GradientDescent(0.1), epochs=4, batch_size=60, rng=generator())
    for _ in range(2):
        train(parts, X, y, softmax_cross_entropy, GradientDescent(0.1), epochs=2, batch_size=60, rng=generator())
        parts = copy.deepcopy(parts)
    for name, w in whole.parameters.items():
        np.testing.assert_allclose(parts.parameters[name], w, rtol=1e-11, atol=1e-13)
    parts.layers[0].parameters["W"] = np.zeros((3, 8))
    train(parts, X, y, softmax_cross_entropy, GradientDescent(1e-300), epochs=1, batch_size=60, rng=generator())
    np.testing.assert_allclose(parts.parameters["0.W"], 0, atol=1e-290)


def test_a_single_layer_and_samples_of_any_shape_can_be_trained():
    class Flatten(Layer):
        def forward(self, x, rng=None):
            return x.reshape(len(x), -1), lambda dy: (dy.reshape(x.shape), {})

    X, y = classes(d=6)
    layer, network = Dense(6, 2, rng=generator()), Sequential(Flatten(), Dense(6, 2, rng=generator()))
    options = {"epochs": 3, "batch_size": 16}
    train(layer, X, y, softmax_cross_entropy, Adam(0.1), rng=generator(), **options)
    images = X.reshape(-1, 2, 3).tolist()
    train(network, images, y.tolist(), softmax_cross_entropy, Adam(0.1), rng=generator(), **options)
    np.testing.assert_array_equal(layer.parameters["W"], network.parameters["1.W"])


def test_evaluating_in_pieces_changes_nothing():
    rng = generator()
    network = Sequential(Dense(3, 8, rng=rng), BatchNorm(8), Dropout(0.5), Dense(8, 2, rng=rng))
    X = classes(50)[0]
    whole = network.forward(X)[0]
    np.testing.assert_allclose(evaluate(network, X, batch_size=7), whole, rtol=1e-13)
    np.testing.assert_allclose(evaluate(network, X), whole, rtol=1e-13)
    np.testing.assert_array_equal(evaluate(Tanh(), X.astype(np.float32)), np.tanh(X.astype(np.float32)))


def test_accuracy_of_one_and_of_several_outputs():
    y = np.array([0, 1, 1, 0])
    z = np.array([-1.0, 2, -3, 0])
    assert accuracy(z, y) == accuracy(z[:, None], y) == accuracy(np.column_stack([0 * z, z]), y) == 0.75


NETWORK = perceptron()


def attempt(**changes):
    X, y = classes()
    given = {"network": NETWORK, "X": X, "y": y, "loss": softmax_cross_entropy, "optimizer": Adam(0.1)}
    given |= {"epochs": 1, "batch_size": 20, "rng": generator()}
    return train(**(given | changes))


def mixed():
    return Sequential(Dense(3, 2, rng=generator()), BatchNorm(2, dtype=np.float32))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"network": len}, TypeError, "network must be a Layer"),
        ({"network": Sequential(ReLU())}, ValueError, "network must have parameters, all of one type, but it has none"),
        ({"network": mixed()}, ValueError, "all of one type, but it has 0.W of float64, .*1.scale of float32"),
        ({"optimizer": 0.1}, TypeError, "optimizer must be an Optimizer such as Adam"),
        ({"X": np.ones((60, 4))}, ValueError, r"x must have shape \(n, 3\)"),
        ({"X": np.ones((59, 3))}, ValueError, "X and y must have the same length, but they have 59 and 60"),
        ({"X": np.full((60, 3), np.nan)}, ValueError, "X must be finite"),
        ({"X": np.ones((0, 3)), "y": np.ones(0, int)}, ValueError, "X must not be empty"),
        ({"y": np.full(60, 2)}, ValueError, "y must hold a class 0, …, 1"),
        ({"y": np.full(60, np.inf), "loss": squared_error}, ValueError, "y must be finite"),
        ({"y": ["a"] * 60}, TypeError, "y must hold real numbers"),
        ({"y": 1}, ValueError, "y must have one entry for each sample, but it is 1"),
        ({"X": 1.5}, ValueError, "X must have one entry for each sample"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"batch_size": 1.5}, TypeError, "batch_size must be a whole number"),
        ({"rng": 3}, TypeError, "rng must be a numpy.random.Generator"),
        ({"alpha": -1}, ValueError, "alpha must be at least 0"),
        ({"patience": 2}, ValueError, "patience needs a validation set"),
        ({"patience": 0, "validation": classes()}, ValueError, "patience must be at least 1"),
        ({"validation": classes()[0]}, TypeError, r"validation must be a pair \(X, y\) or \(X, y, weight\)"),
        ({"validation": (np.ones((2, 3)), [0])}, ValueError, "validation X and validation y must have the same length"),
        ({"validation": (np.ones((2, 2)), [0, 0])}, ValueError, r"x must have shape \(n, 3\)"),
    ],
)
def test_bad_input_is_named(changes, error, message):
    with warnings.catch_warnings(), pytest.raises(error, match=message):
        attempt(**changes)


def test_accuracy_refuses_classes_of_another_shape():
    with pytest.raises(ValueError, match=r"y must hold a class for each output, but int64 \(3, 1\) is for \(3, 2\)"):
        accuracy(np.ones((3, 2)), np.zeros((3, 1), int))
    with pytest.raises(ValueError, match="y must hold a class for each output"):
        accuracy(np.ones((3, 2)), np.array(["0", "1", "0"]))


def test_data_beyond_the_range_of_the_network_is_named():
    network = Sequential(Dense(2, 2, rng=np.random.default_rng(0), dtype=np.float32))
    with pytest.raises(ValueError, match="X must be within the range of float32"):
        evaluate(network, np.full((3, 2), 1e200))
    with pytest.raises(TypeError, match="network must be a Layer"):
        evaluate(None, np.ones((3, 2)))


# --- Honest ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "batch_size"), [(33, 32), (21, 5), (4, 1)])
def test_a_batch_of_one_is_refused_before_the_first_step_where_it_cannot_be_normalized(n, batch_size):
    rng = generator()
    inner = Residual(Dense(3, 3, rng=rng), BatchNorm(3))
    network = Sequential(inner, Dense(3, 2, rng=rng))
    before = {name: w.copy() for name, w in network.parameters.items()}
    with pytest.raises(
        ValueError, match=f"batch_size must leave no batch of a single sample .*batch_size={batch_size}"
    ):
        train(network, *classes(n), softmax_cross_entropy, Adam(0.1), epochs=1, batch_size=batch_size, rng=rng)
    for name, w in network.parameters.items():
        np.testing.assert_array_equal(w, before[name])
    train(network, *classes(n), softmax_cross_entropy, Adam(0.1), epochs=1, batch_size=n, rng=rng)


def test_one_image_is_enough_for_batch_normalization():
    rng = generator()
    network = Sequential(Conv2D(1, 2, 3, rng=rng), BatchNorm(2), Flatten(), Dense(8, 2, rng=rng))
    X, y = rng.normal(size=(5, 4, 4, 1)), np.arange(5) % 2
    assert train(network, X, y, softmax_cross_entropy, Adam(0.01), epochs=1, batch_size=2, rng=rng).steps == 3


@pytest.mark.parametrize("loss", [softmax_cross_entropy, squared_error, logistic_loss])
def test_a_training_that_ends_far_above_chance_says_so(loss):
    X, y = classes()
    network = perceptron(outputs=2 if loss is softmax_cross_entropy else 1)
    options = {"epochs": 3, "batch_size": 20, "rng": generator()}
    train(copy.deepcopy(network), X, y, loss, GradientDescent(0.1), **options)
    with pytest.warns(RuntimeWarning, match=r"the training ended at a loss of .*, far above the 0\.\d+ of a constant"):
        train(network, X, y, loss, GradientDescent(1e6 if loss is squared_error else 1e3), **options)


# --- Weights of the samples -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [softmax_cross_entropy, squared_error, logistic_loss])
def test_a_weight_of_k_is_the_sample_k_times_and_a_weight_of_0_none(loss):
    X, y = classes()
    weight = generator().integers(0, 4, size=60)
    networks = [perceptron(outputs=2 if loss is softmax_cross_entropy else 1) for _ in range(2)]
    options = {"epochs": 50, "batch_size": 1000, "rng": generator(), "alpha": 0.01}
    weighted = train(networks[0], X, y, loss, GradientDescent(0.1), **options, weight=weight)
    repeated = train(networks[1], X.repeat(weight, axis=0), y.repeat(weight), loss, GradientDescent(0.1), **options)
    np.testing.assert_allclose(weighted.losses, repeated.losses, rtol=1e-10)
    for name, w in networks[0].parameters.items():
        np.testing.assert_allclose(w, networks[1].parameters[name], rtol=1e-8)


def test_the_validation_set_may_have_weights_too():
    X, y = classes()
    weight = generator().integers(1, 4, size=60)
    options = {"epochs": 2, "batch_size": 20, "weight": weight}
    runs = [
        train(perceptron(), X, y, softmax_cross_entropy, Adam(0.01), rng=generator(), validation=some, **options)
        for some in ((X, y, weight), (X.repeat(weight, axis=0), y.repeat(weight)))
    ]
    np.testing.assert_allclose(runs[0].validation_losses, runs[1].validation_losses, rtol=1e-12)


@pytest.mark.parametrize("weight", [-np.ones(60), np.zeros(60), np.ones(59), np.ones((60, 1)), np.full(60, np.nan)])
def test_weights_that_are_none_are_named(weight):
    options = {"epochs": 1, "batch_size": 20, "rng": generator()}
    for name, more in (("weight", {"weight": weight}), ("validation weight", {"validation": (*classes(), weight)})):
        with pytest.raises(ValueError, match=name):
            train(perceptron(), *classes(), softmax_cross_entropy, Adam(0.1), **options, **more)
