"""The explorers of chapter 4 in a browser: their numbers are those of mlmath.network, or of theory."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
import sympy as sp

from mlmath import explore
from mlmath.descent import GradientDescent
from mlmath.explore.network import ACTIVATIONS, shapes
from mlmath.explore.playground import UNITS
from mlmath.javascript import numpy_function
from mlmath.network import Dense, ReLU, Sequential, Sigmoid, Tanh, logistic_loss, loss_and_gradients
from mlmath.training import accuracy, evaluate, train

z, x = sp.symbols("z x", real=True)
LAYERS = {"tanh": Tanh, "ReLU": ReLU, "sigmoid": Sigmoid}


@pytest.fixture
def learn(opened):
    """`learn(explorer, setting, epochs)` gives what a playground draws after so many epochs."""
    return lambda explorer, setting, epochs: opened(explorer).evaluate(TRAIN, [setting, epochs])


@pytest.fixture(scope="module")
def playground():
    return explore.playground()


TRAIN = """([setting, epochs]) => {
  const { explorer } = document.querySelector("figure"), { loop } = explorer;
  const values = { ...explorer.values(), ...setting, speed: 1 };
  let frame = loop.frame(values), before = -1;
  while (frame.readouts.epoch < epochs && frame.readouts.epoch > before) {
    before = frame.readouts.epoch;
    if (!loop.actions.play(values, false)) break;
    frame = loop.frame(values);
  }
  frame = loop.frame(values);
  const { loss } = frame.readouts, nulls = JSON.stringify(frame).split("null").length - 1;
  return { ...frame, field: [...frame.marks.field.values], loss: String(loss), nulls };
}"""


def network_at_start(explorer, layers, units, activation, start):
    """mlmath's network with the weights with which the page starts."""
    sizes = [2, *[units] * layers, 1]
    draws = explorer.spec["data"]["starts"][start - 1]
    parts = []
    for k, (d_in, d_out) in enumerate(pairwise(sizes)):
        dense = Dense(d_in, d_out, rng=np.random.default_rng(0))
        normal = np.array(draws[k if k < layers else 2])[:d_in, :d_out]
        dense.parameters["W"][:] = normal * np.sqrt(2 / d_in if activation == "ReLU" else 2 / (d_in + d_out))
        parts += [dense] + ([LAYERS[activation]()] if k < layers and activation in LAYERS else [])
    return Sequential(*parts)


@pytest.mark.parametrize(
    ("data", "layers", "units", "activation", "rate", "alpha"),
    [
        ("circle", 1, 8, "tanh", 0.3, 0.0),
        ("spiral", 2, 8, "tanh", 0.5, 0.003),
        ("XOR", 1, 5, "ReLU", 0.1, 0.01),
        ("circle", 2, 3, "ReLU", 0.05, 0.0),
        ("XOR", 2, 4, "sigmoid", 2.0, 0.001),
        ("Gaussians", 0, 1, "tanh", 0.5, 0.1),
        ("Gaussians", 2, 2, "none", 0.1, 0.02),
    ],
)
def test_the_playground_learns_as_mlmath_does(playground, learn, data, layers, units, activation, rate, alpha):
    explorer = playground
    setting = {"data": data, "layers": layers, "units": units, "activation": activation}
    setting |= {"rate": rate, "alpha": alpha, "start": 2}
    frame = learn(explorer, setting, 100)
    network = network_at_start(explorer, layers, units, activation, 2)
    halves = explorer.spec["data"]["sets"][data]
    (X, y), (X_test, y_test) = (
        (np.reshape(halves[h]["X"], (-1, 2)), np.array(halves[h]["y"])) for h in ("train", "test")
    )
    losses = []
    for _ in range(100):
        loss, gradients = loss_and_gradients(network, X, y, logistic_loss)
        losses.append(loss)
        for name, w in network.parameters.items():
            w -= rate * (gradients[name] + (alpha * w if name.endswith("W") else 0))
    assert frame["readouts"]["epoch"] == 100
    assert frame["readouts"]["loss"] == pytest.approx(logistic_loss(evaluate(network, X), y)[0], rel=1e-9)
    assert frame["readouts"]["test_loss"] == pytest.approx(
        logistic_loss(evaluate(network, X_test), y_test)[0], rel=1e-9
    )
    assert frame["readouts"]["accuracy"] == f"{100 * accuracy(evaluate(network, X_test), y_test):.0f} %"
    reach, side = (explorer.spec["data"][name] for name in ("reach", "cells"))
    middles = reach * ((2 * np.arange(side) + 1) / side - 1)
    grid = np.array([[a, -b] for b in middles for a in middles])
    np.testing.assert_allclose(frame["field"], np.tanh(evaluate(network, grid)[:, 0] / 2), rtol=1e-9, atol=1e-9)
    epochs, drawn = np.array(frame["marks"]["losses"])[:, :2].T
    np.testing.assert_allclose(drawn, np.array(losses)[epochs.astype(int)], rtol=1e-9)
    assert epochs[-1] > 90
    assert frame["nulls"] == 0
    edges = [e for sign in ("minus", "plus") for k in range(3) for e in frame["marks"].get(f"{sign}{k}", [])]
    assert len(edges) == sum(w.size for name, w in network.parameters.items() if name.endswith("W"))


def test_mlmaths_own_training_loop_goes_the_same_way(playground, learn):
    explorer = playground
    frame = learn(explorer, {"units": 3, "alpha": 0.01}, 60)
    network = network_at_start(explorer, 1, 3, "tanh", 1)
    half = explorer.spec["data"]["sets"]["circle"]["train"]
    X, y = np.reshape(half["X"], (-1, 2)), np.array(half["y"])
    rng = np.random.default_rng(0)
    train(network, X, y, logistic_loss, GradientDescent(0.3), epochs=60, batch_size=len(X), rng=rng, alpha=0.01)
    assert frame["readouts"]["loss"] == pytest.approx(logistic_loss(evaluate(network, X), y)[0], rel=1e-9)


def test_a_playground_that_diverges_says_so_and_stays_finite(learn):
    setting = {"layers": 2, "units": 8, "activation": "none", "rate": 10, "alpha": 0.1, "data": "spiral"}
    rng = np.random.default_rng(0)
    X = 1e4 * rng.normal(size=(60, 2))
    frame = learn(explore.playground(X, rng.permutation(60) % 2), setting | {"data": "your data"}, 5000)
    assert frame["loss"] == "NaN", "shown as 'diverges'"
    assert frame["readouts"]["epoch"] < 5000
    assert np.isfinite(frame["field"]).all()
    assert frame["nulls"] == 2, "no number but the two losses is missing"


def test_resetting_or_choosing_anew_starts_from_the_first_weights(playground, play, learn):
    explorer = playground
    fresh = learn(explorer, {"start": 3}, 0)
    again = play(explorer, [{"start": 1}, {"start": 3}])[1]
    assert fresh["readouts"]["loss"] == again["readouts"]["loss"]
    assert fresh["readouts"]["epoch"] == 0


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_play_trains_until_pause_while_controls_move(opened, playground, motion):
    page = opened(playground, reduced_motion=motion)
    epoch = page.locator("output[name=epoch]").element_handle()
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("output => +output.value > 0", arg=epoch)
    if motion == "reduce":  # all at once, and done
        page.wait_for_function("document.querySelector('button[name=play]').textContent === 'Play'")
    else:
        page.locator("input[name=rate]").fill("0")
        before = int(epoch.inner_text())
        page.wait_for_function("([output, before]) => +output.value > before", arg=[epoch, before])
        page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("output => output.value === '0'", arg=epoch)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backprop_finds_the_derivatives_that_differences_find(play, activation):
    rng = np.random.default_rng(len(activation))
    explorer = explore.backprop(activation)
    names = [name for name, *_ in explorer.spec["data"]["inputs"]]
    values = dict(zip(names, rng.uniform(-2, 2, size=12).round(2).tolist(), strict=True)) | {"y": 1}
    frame = play(explorer, [{**values, "step": 19}])[0]
    phi = sp.lambdify(z, ACTIVATIONS[activation], "mpmath")
    mpmath.mp.dps = 40

    def run(**now):
        v = {name: mpmath.mpf(value) for name, value in (values | now).items()}
        z1, z2 = (v[f"w1{j}"] * v["x1"] + v[f"w2{j}"] * v["x2"] + v[f"b{j}"] for j in (1, 2))
        out = v["v1"] * phi(z1) + v["v2"] * phi(z2) + v["c"]
        p = 1 / (1 + mpmath.exp(-out))
        return z1, phi(z1), z2, phi(z2), out, p, -mpmath.log(p if v["y"] else 1 - p)

    def slope(name):
        h = mpmath.mpf(10) ** -15
        return (run(**{name: values[name] + h})[-1] - run(**{name: values[name] - h})[-1]) / (2 * h)

    expected = [*run(), slope("c"), *map(slope, ("v1", "v2", "c", "b1", "b2", "w11", "w21", "b1", "w12", "w22", "b2"))]
    texts = frame["marks"]["forward"] + frame["marks"]["backward"]
    for (_, _, text), number in zip(texts, expected, strict=True):
        shown = (
            text.split(" ")[-1]
            .replace("−", "-")
            .translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
            .replace("×10", "e")
        )
        assert float(shown) == pytest.approx(float(number), rel=6e-3, abs=1e-12), text
    assert frame["readouts"]["loss"] == pytest.approx(float(expected[6]), rel=1e-12)
    assert frame["readouts"]["p"] == pytest.approx(float(expected[5]), rel=1e-12)


def test_backprop_shows_what_is_known_at_each_step(play):
    explorer = explore.backprop()
    for step, frame in enumerate(play(explorer, [{"step": step} for step in range(20)])):
        assert len(frame["marks"]["forward"]) == min(step, 7)
        assert len(frame["marks"]["backward"]) == max(step - 7, 0)
        assert len(frame["marks"]["now"]) == min(step, 1)
        assert frame["readouts"]["says"] == explorer.spec["data"]["says"][step]


def test_activations_and_their_tangents(play):
    own = sp.sin(z)
    explorer, points = explore.activation(own, z), (-4.0, -0.7, 0.0, 1.3)
    for name, phi in {**ACTIVATIONS, "your own": own}.items():
        value, slope = (numpy_function([z], f) for f in (phi, sp.diff(phi, z)))
        settings = [{"activation": name, "z": at, "w": -2.0, "b": 0.5} for at in points]
        for at, frame in zip(points, play(explorer, settings), strict=True):
            assert frame["readouts"]["value"] == pytest.approx(value(at), rel=1e-12, abs=1e-15)
            assert frame["readouts"]["derivative"] == pytest.approx(slope(at), rel=1e-12, abs=1e-15)
            t, tangent = np.array(frame["marks"]["tangent"]).T
            np.testing.assert_allclose(tangent, value(at) + slope(at) * (t - at), atol=1e-12)
            t, neuron = np.array(frame["marks"]["neuron"]).T
            np.testing.assert_allclose(neuron, value(0.5 - 2 * t), rtol=1e-12, atol=1e-14)


def test_bumps_add_up_to_the_network_and_come_near(play):
    explorer = explore.bumps(sp.exp(-(x**2)) + x / 4, x, xlim=(-2, 2))
    target, symbols = np.array(explorer.spec["data"]["target"]), sp.symbols("x m h s", real=True)
    for shape, bump in shapes().items():
        one = numpy_function(symbols, bump)
        counts = (2, 9, 64)
        settings = [{"shape": shape, "bumps": count, "steepness": 30.0} for count in counts]
        for count, frame in zip(counts, play(explorer, settings), strict=True):
            places, curve = np.array(frame["marks"]["curve"]).T
            middles, h = np.linspace(-2, 2, count, retstep=True)
            heights = np.interp(middles, places, target)
            np.testing.assert_allclose(curve, heights @ one(places, middles[:, None], h, 30.0), atol=1e-12)
            assert frame["readouts"]["error"] == pytest.approx(np.abs(curve - target).max(), rel=1e-9)
        assert frame["readouts"]["error"] < {"sigmoids": 0.05, "ReLUs": 0.003}[shape]


def test_bumps_take_a_python_function():
    assert explore.bumps(abs).spec["data"]["target"][0] == 3
    with pytest.raises(ValueError, match="target must be finite"):
        explore.bumps(1 / x, x, xlim=(-1, 1))


@pytest.mark.parametrize("activation", UNITS)
def test_the_depth_of_a_network_multiplies_its_scale(play, activation):
    explorer = explore.depth(activation)
    known = explorer.spec["data"]
    width, phi = known["width"], numpy_function([z], [UNITS[activation], sp.diff(UNITS[activation], z)])
    for layers, scale in ((1, 0.2), (7, 1.3), (24, 4.0)):
        frame = play(explorer, [{"depth": layers, "scale": scale}])[0]
        a, slopes, sizes = np.reshape(known["inputs"], (-1, width)), [], []
        weights = scale / np.sqrt(width) * np.reshape(known["draws"], (-1, width, width))[: layers + 1]
        for W in weights:
            sizes.append(np.sqrt(np.mean(a**2)))
            value, slope = phi(a @ W)
            a, _ = np.broadcast_to(value, a.shape), slopes.append(np.broadcast_to(slope, a.shape))
        delta = np.reshape(known["errors"], (-1, width))
        norms = [np.sqrt(np.mean(delta**2))]
        for W, slope in zip(weights[:0:-1], slopes[-2::-1], strict=True):
            delta = (delta @ W.T) * slope
            norms.insert(0, np.sqrt(np.mean(delta**2)))
        np.testing.assert_allclose(np.array(frame["marks"]["forward"])[:, 1], sizes, rtol=1e-9)
        np.testing.assert_allclose(np.array(frame["marks"]["backward"])[:, 1], norms, rtol=1e-9)
        factors = {"none": scale, "ReLU": scale / np.sqrt(2)}
        if activation in factors:  # theory in closed form
            waves, echoes = (np.array(frame["marks"][name])[:, 1] for name in ("waves", "echoes"))
            np.testing.assert_allclose(waves / waves[0], factors[activation] ** np.arange(layers + 1), rtol=1e-6)
            np.testing.assert_allclose(echoes / echoes[-1], factors[activation] ** np.arange(layers, -1, -1), rtol=1e-6)


def test_theory_is_the_average_over_wide_layers(play):
    rng = np.random.default_rng(0)
    u = rng.normal(size=400_000)
    frame = play(explore.depth("tanh"), [{"depth": 2, "scale": 2.0}])[0]
    q = [size for _, size in frame["marks"]["waves"]]
    for before, after in pairwise(q):
        assert after == pytest.approx(np.sqrt(np.mean(np.tanh(2 * before * u) ** 2)), rel=3e-3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: explore.activation(z * x, z), ValueError, "own must depend on z only"),
        (lambda: explore.activation(sp.log(z), z), ValueError, "own must be finite"),
        (lambda: explore.bumps(x * z, x), ValueError, "target must depend on x only"),
        (lambda: explore.bumps(x, x, xlim=(2, 1)), ValueError, "xlim must be a pair"),
        (lambda: explore.backprop("step"), ValueError, "activation must be one of 'sigmoid'"),
        (lambda: explore.backprop(step=99), ValueError, "step must be between 0 and 19"),
        (lambda: explore.playground(np.ones((5, 3)), np.arange(5) % 2), ValueError, "X must have shape"),
        (lambda: explore.playground(np.ones((5, 2)), np.ones(5)), ValueError, "y must hold the classes 0 and 1"),
        (lambda: explore.playground(np.ones((5, 2)), np.arange(4) % 2), ValueError, "X and y must have the same"),
        (lambda: explore.playground(np.ones((5, 2))), TypeError, "y must hold real numbers, but it is None"),
        (lambda: explore.playground(units=9), ValueError, "units must be between 1 and 8"),
        (lambda: explore.playground(units="many"), TypeError, "units must be a whole number"),
        (lambda: explore.depth(scale=-1), ValueError, "scale must be greater than 0"),
        (lambda: explore.depth("softplus"), ValueError, "activation must be one of 'tanh'"),
        (lambda: explore.depth(layers=99), ValueError, "layers must be at most 24"),
    ],
)
def test_explorers_say_what_they_take(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_field_is_painted_behind_the_axes(opened, playground):
    page = opened(playground)
    sizes, pixel, canvas, axes, value = page.evaluate(
        """() => {
            const { explorer } = document.querySelector("figure"), canvases = [...document.querySelectorAll("canvas")];
            const pixel = [...canvases[0].getContext("2d").getImageData(0, 0, 1, 1).data];
            const picture = document.querySelector("svg"), rect = picture.querySelector("clipPath rect");
            const box = ({ x, y, width, height }) => [x, y, width, height];
            const outer = picture.getBoundingClientRect(), scale = outer.width / picture.viewBox.baseVal.width;
            const axes = ["x", "y", "width", "height"].map(name => scale * rect.getAttribute(name));
            return [
                canvases.map(({ width, height }) => [width, height]), pixel, box(canvases[0].getBoundingClientRect()),
                [axes[0] + outer.x, axes[1] + outer.y, axes[2], axes[3]],
                explorer.loop.frame(explorer.values()).marks.field.values[0],
            ];
        }"""
    )
    assert sizes[0] == [40, 40]
    assert [20, 20] in sizes[1:]
    assert pixel[3] == pytest.approx(255 * abs(value), abs=1)
    np.testing.assert_allclose(canvas, axes, atol=0.5)


def test_texts_come_and_go_with_the_steps(opened):
    page = opened(explore.backprop(step=19))
    for step in (19, 2, 12):
        page.locator("input[name=step]").fill(str(step))
        page.wait_for_function("n => document.querySelectorAll('g.texts text').length === n", arg=12 + step)
    assert page.locator("g.texts.color-1 text").last.text_content() == "δ₁ −0.319"
