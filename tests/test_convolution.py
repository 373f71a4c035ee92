"""The fast convolution against its definition and SciPy, every pullback against differences, and ties once."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import signal

from mlmath import convolution, data
from mlmath.convolution import (
    AvgPool2D,
    Conv1D,
    Conv2D,
    Flatten,
    GlobalAveragePool,
    MaxPool2D,
    correlate,
    output_size,
    shifted,
)
from mlmath.descent import Adam
from mlmath.explore.drawing import digits_network
from mlmath.network import BatchNorm, Dense, Dropout, ReLU, Residual, Sequential, gradient_check, softmax_cross_entropy
from mlmath.training import accuracy, evaluate, train

QUICK = settings(max_examples=20, derandomize=True)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


def generator(seed=0):
    return np.random.default_rng(seed)


@st.composite
def convolutions(draw):
    """A layer, its settings and images that it fits."""
    settings_ = {"stride": draw(pairs), "dilation": draw(pairs)}
    settings_["padding"] = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    rng, kernel = generator(draw(st.integers(0, 99))), draw(pairs)
    layer = Conv2D(draw(st.integers(1, 3)), draw(st.integers(1, 3)), kernel, **settings_, rng=rng)
    layer.parameters["b"][:] = rng.normal(size=layer.parameters["b"].shape)
    size = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    for axis in (0, 1):
        assume(size[axis] + 2 * settings_["padding"][axis] > settings_["dilation"][axis] * (kernel[axis] - 1))
    return layer, settings_, rng.normal(size=(draw(st.integers(1, 3)), *size, layer.parameters["W"].shape[2])), rng


@pytest.fixture(params=["one chunk", "many chunks"])
def chunks(request, monkeypatch):
    """The patches of all rows at once, or of as few rows as there can be."""
    if request.param == "many chunks":
        monkeypatch.setattr(convolution, "CHUNK", 1)


# --- The definition, and the fast one ---------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_the_definition_agrees_with_scipy(padding):
    rng = generator()
    x, W = rng.normal(size=(2, 7, 6, 3)), rng.normal(size=(3, 2, 3, 4))
    y = correlate(x, W, padding=padding)
    for n in range(2):
        for o in range(4):
            image = np.pad(x[n], [(padding, padding), (padding, padding), (0, 0)])
            np.testing.assert_allclose(
                y[n, :, :, o], signal.correlate(image, W[..., o], mode="valid")[:, :, 0], atol=1e-13
            )


def test_strides_and_dilations_pick_from_the_correlation_of_every_place_with_a_thinned_out_kernel():
    rng = generator()
    x, W = rng.normal(size=(1, 11, 12, 1)), rng.normal(size=(3, 2, 1, 1))
    thin = np.zeros((5, 4))
    thin[::2, ::3] = W[:, :, 0, 0]
    expected = signal.correlate2d(x[0, :, :, 0], thin, mode="valid")[::3, ::2]
    np.testing.assert_allclose(correlate(x, W, stride=(3, 2), dilation=(2, 3))[0, :, :, 0], expected, atol=1e-13)


@pytest.mark.usefixtures("chunks")
@settings(QUICK, suppress_health_check=["function_scoped_fixture"])
@given(case=convolutions())
def test_the_layer_agrees_with_its_definition(case):
    layer, options, x, _ = case
    expected = correlate(x, layer.parameters["W"], **options) + layer.parameters["b"]
    np.testing.assert_allclose(layer.forward(x)[0], expected, rtol=0, atol=1e-12)
    assert expected.shape[1:3] == tuple(
        output_size(x.shape[1 + axis], layer.parameters["W"].shape[axis], **{k: v[axis] for k, v in options.items()})
        for axis in (0, 1)
    )


def test_a_convolution_with_one_pixel_and_one_with_the_whole_image_are_dense_layers():
    rng = generator()
    x = rng.normal(size=(5, 4, 3, 2))
    pixel, whole = Conv2D(2, 6, 1, rng=rng), Conv2D(2, 6, (4, 3), rng=rng)
    np.testing.assert_allclose(pixel.forward(x)[0], x @ pixel.parameters["W"][0, 0], atol=1e-13)
    expected = Flatten().forward(x)[0] @ whole.parameters["W"].reshape(-1, 6)
    np.testing.assert_allclose(whole.forward(x)[0][:, 0, 0], expected, atol=1e-13)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation"), [(8, 3, 1, 0, 1), (8, 3, 2, 1, 2), (7, 1, 3, 0, 5)]
)
def test_the_output_has_as_many_places_as_can_be_counted(size, kernel, stride, padding, dilation):
    starts = [s for s in range(-padding, size + padding, stride) if s + dilation * (kernel - 1) < size + padding]
    assert output_size(size, kernel, stride=stride, padding=padding, dilation=dilation) == len(starts)


def test_a_causal_convolution_sees_nothing_that_comes_later():
    rng = generator()
    layer, x = Conv1D(2, 3, 3, padding="causal", dilation=2, rng=rng), rng.normal(size=(4, 9, 2))
    y = layer.forward(x)[0]
    assert y.shape == (4, 9, 3)
    for t in range(9):
        later = x.copy()
        later[:, t + 1 :] += 1
        changed = layer.forward(later)[0]
        np.testing.assert_allclose(changed[:, : t + 1], y[:, : t + 1], atol=1e-13)
        assert t == 8 or not np.allclose(changed[:, t + 1], y[:, t + 1])


def test_along_a_sequence_it_agrees_with_scipy():
    rng = generator()
    layer, x = Conv1D(1, 1, 4, rng=rng), rng.normal(size=(1, 10, 1))
    expected = signal.correlate(x[0, :, 0], layer.parameters["W"][0, :, 0, 0], mode="valid")
    np.testing.assert_allclose(layer.forward(x)[0][0, :, 0], expected, atol=1e-13)


# --- Gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("chunks")
@settings(QUICK, suppress_health_check=["function_scoped_fixture"], max_examples=15)
@given(case=convolutions())
def test_every_pullback_of_a_convolution_agrees_with_differences(case):
    layer, _, x, rng = case
    errors = gradient_check(layer, x, rng=rng)
    assert set(errors) == {"x", "W", "b"}
    assert max(errors.values()) < 1e-7


@pytest.mark.parametrize(
    "layer",
    [
        Conv1D(2, 3, 3, rng=generator()),
        Conv1D(2, 3, 2, 2, 1, 2, rng=generator()),
        Conv1D(2, 3, 3, padding="causal", dilation=2, rng=generator()),
        GlobalAveragePool(),
        Flatten(),
        Residual(Conv1D(2, 2, 3, padding=1, rng=generator()), ReLU()),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_every_pullback_along_a_sequence_agrees_with_differences(layer):
    assert max(gradient_check(layer, generator(1).normal(size=(2, 7, 2)), rng=generator(2)).values()) < 1e-7


@pytest.mark.parametrize("kind", [MaxPool2D, AvgPool2D])
@settings(QUICK, max_examples=12)
@given(size=pairs, stride=st.none() | pairs, height=st.integers(3, 7), width=st.integers(3, 7), data=st.data())
def test_every_pullback_of_a_pool_agrees_with_differences(kind, size, stride, height, width, data):
    padding = data.draw(st.tuples(*(st.integers(0, k - 1) for k in size)))
    x = generator().permutation(np.arange(4.0 * height * width)).reshape(2, height, width, 2)  # no ties, nor nearly
    layer = kind(size, stride=stride, padding=padding)
    assert gradient_check(layer, x, rng=generator())["x"] < 1e-7


def test_a_network_of_all_layers_agrees_with_differences():
    rng = generator()
    network = Sequential(
        Conv2D(2, 3, 3, padding=1, rng=rng),
        BatchNorm(3),
        ReLU(),
        Residual(Conv2D(3, 3, 3, padding=1, rng=rng), ReLU()),
        MaxPool2D(),
        Conv2D(3, 4, 2, rng=rng),
        AvgPool2D((1, 2), stride=1),
        Dropout(0.3),
        Residual(Conv2D(4, 4, 1, rng=rng)),
        Flatten(),
        Dense(8, 3, rng=rng),
    )
    assert max(gradient_check(network, rng.normal(size=(3, 6, 6, 2)), rng=rng).values()) < 1e-7
    assert network.forward(rng.normal(size=(3, 6, 6, 2)))[1](np.ones((3, 3)), to_input=False)[0] is None


@pytest.mark.parametrize("h", range(5, 10))
@pytest.mark.parametrize(("stride", "padding", "dilation"), [(2, 1, 1), (3, 0, 2), (1, 2, 1), (3, 2, 1)])
def test_the_slopes_of_the_pixels_are_the_correlation_that_the_chapter_says_in_words(h, stride, padding, dilation):
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    layer, x = Conv1D(1, 1, 3, **options, rng=generator()), generator(1).normal(size=(1, h, 1))
    y, pullback = layer.forward(x)
    dy = generator(2).normal(size=y.shape)
    stretched = np.zeros(stride * (y.shape[1] - 1) + 1)
    stretched[::stride] = dy[0, :, 0]
    margin, left_over = 2 * dilation - padding, (h + 2 * padding - 2 * dilation - 1) % stride
    padded = np.pad(stretched, 9)[9 - margin : 9 + len(stretched) + margin + left_over]
    turned = layer.parameters["W"][0, ::-1, 0, 0]
    expected = correlate(padded[None, None, :, None], turned.reshape(1, 3, 1, 1), dilation=(1, dilation))
    np.testing.assert_allclose(pullback(dy)[0].ravel(), expected.ravel(), atol=1e-13)


@pytest.mark.parametrize("h", range(5, 10))
@pytest.mark.parametrize(("stride", "padding", "dilation"), [(2, 1, 1), (3, 0, 2), (1, 2, 1), (3, 2, 1)])
def test_the_slopes_of_the_weights_are_the_first_places_of_a_valid_correlation(h, stride, padding, dilation):
    """Stride and dilation change places; of the pixels that the stride leaves over, every d-th makes one place more."""
    layer = Conv1D(1, 1, 3, stride=stride, padding=padding, dilation=dilation, rng=generator())
    x = generator(1).normal(size=(1, h, 1))
    y, pullback = layer.forward(x)
    dy = generator(2).normal(size=y.shape)
    slopes = dy.reshape(1, -1, 1, 1)
    found = correlate(x[:, None], slopes, stride=(1, dilation), padding=(0, padding), dilation=(1, stride)).ravel()
    assert len(found) == 3 + (h + 2 * padding - 2 * dilation - 1) % stride // dilation
    np.testing.assert_allclose(pullback(dy)[1]["W"].ravel(), found[:3], atol=1e-13)


def test_after_batch_normalization_the_slopes_along_the_weights_shrink_as_the_weights_grow():
    x, slopes = generator(1).normal(size=(9, 4, 4, 2)), {}
    for factor in (1, 4):
        network = Sequential(Conv2D(2, 3, 3, rng=generator()), BatchNorm(3, epsilon=1e-12))
        network.layers[0].parameters["W"] *= factor
        y, pullback = network.forward(x, generator())
        dx, gradients = pullback(generator(2).normal(size=y.shape))
        slopes[factor] = y, dx, factor * gradients["0.W"]
        assert abs(np.vdot(gradients["0.W"], network.parameters["0.W"])) < 1e-9
    for one, four in zip(slopes[1], slopes[4], strict=True):
        np.testing.assert_allclose(one, four, atol=1e-9)


# --- Pooling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layer", "reduce"), [(MaxPool2D(2), np.max), (AvgPool2D(2), np.mean)])
def test_pooling_is_the_maximum_or_mean_of_each_block(layer, reduce):
    x = generator().normal(size=(2, 6, 4, 3))
    expected = reduce(x.reshape(2, 3, 2, 2, 2, 3), axis=(2, 4))
    np.testing.assert_allclose(layer.forward(x)[0], expected, atol=1e-15)
    np.testing.assert_allclose(GlobalAveragePool().forward(x)[0], AvgPool2D((6, 4)).forward(x)[0][:, 0, 0], atol=1e-15)


def test_the_gradient_of_equal_maxima_goes_to_the_first_of_them_alone():
    _, pullback = MaxPool2D(2).forward(np.zeros((1, 4, 2, 1)))
    dx, _ = pullback(np.array([5.0, 7.0]).reshape(1, 2, 1, 1))
    np.testing.assert_array_equal(dx[0, :, :, 0], [[5, 0], [0, 0], [7, 0], [0, 0]])


def test_the_padding_is_never_a_maximum_and_counts_in_a_mean():
    x = np.full((1, 2, 2, 1), -4.0)
    np.testing.assert_array_equal(MaxPool2D(2, padding=1).forward(x)[0][0, :, :, 0], np.full((2, 2), -4))
    np.testing.assert_array_equal(AvgPool2D(2, padding=1).forward(x)[0][0, :, :, 0], np.full((2, 2), -1))


@pytest.mark.parametrize("place", range(4))
def test_a_nan_comes_through_every_pool_and_takes_the_slope(place):
    x = np.arange(8.0).reshape(1, 2, 4, 1)
    x[0, place // 2, place % 2, 0] = np.nan
    for layer in (MaxPool2D(2), AvgPool2D(2), MaxPool2D(2, stride=2, padding=0)):
        np.testing.assert_array_equal(np.isnan(layer.forward(x)[0]).ravel(), [True, False])
    assert np.isnan(GlobalAveragePool().forward(x)[0]).all()
    dx, _ = MaxPool2D(2).forward(x)[1](np.array([5.0, 7.0]).reshape(1, 1, 2, 1))
    expected = np.zeros((2, 4))
    expected[place // 2, place % 2], expected[1, 3] = 5, 7
    np.testing.assert_array_equal(dx[0, :, :, 0], expected)


# --- Images and text --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (1, -2), (-1, 3), (9, 0)])
def test_shifted_images_have_every_pixel_in_its_new_place(rows, columns):
    x = generator().normal(size=(2, 4, 5, 1))
    wide = np.pad(x, [(0, 0), (9, 9), (9, 9), (0, 0)])
    expected = np.roll(wide, (rows, columns), axis=(1, 2))[:, 9:-9, 9:-9]
    np.testing.assert_array_equal(shifted(x, rows, columns), expected)


def test_the_network_of_the_chapter_reads_the_held_out_digits():
    known = data.digits()
    _, X, _, y = data.hold_out(known.X, known.y, rng=generator())
    assert accuracy(evaluate(digits_network(), X.reshape(-1, 8, 8, 1) / 16), y) >= 0.985


def test_a_model_of_characters_needs_fewer_bits_than_pairs_of_letters_on_text_that_it_has_not_seen():
    text, rng = data.prose(), generator()
    characters = sorted(set(text))
    codes = np.searchsorted(characters, list(text))
    k, rows = len(characters), (len(codes) - 1) // 64
    X = np.eye(k, dtype=np.float32)[codes[: rows * 64].reshape(rows, 64)]
    y = codes[1 : rows * 64 + 1].reshape(rows, 64)
    X, X_test, y, y_test = data.hold_out(X, y, share=0.1, rng=rng)
    network = Sequential(
        Conv1D(k, 32, 3, padding="causal", rng=rng, dtype=np.float32),
        ReLU(),
        Residual(Conv1D(32, 32, 3, padding="causal", dilation=2, rng=rng, dtype=np.float32), ReLU()),
        Conv1D(32, k, 1, rng=rng, dtype=np.float32),
    )
    run = train(
        network, X, y, softmax_cross_entropy, Adam(0.01), epochs=4, batch_size=16, rng=rng, validation=(X_test, y_test)
    )
    pairs_ = np.zeros((k, k))
    np.add.at(pairs_, (codes[:-1], codes[1:]), 1)
    of_the_first = pairs_ / pairs_.sum(axis=1, keepdims=True)
    bits_of_pairs = -(pairs_[pairs_ > 0] * np.log2(of_the_first[pairs_ > 0])).sum() / pairs_.sum()
    assert 3.3 < bits_of_pairs < 3.6
    assert run.validation_losses[-1] / np.log(2) < bits_of_pairs - 0.4


# --- What every layer promises ----------------------------------------------------------------------------------------


def small_network(rng, dtype):
    return Sequential(
        Conv2D(1, 4, 3, padding=1, rng=rng, dtype=dtype),
        ReLU(),
        MaxPool2D(),
        Conv2D(4, 3, 3, rng=rng, dtype=dtype),
        AvgPool2D(),
        Flatten(),
        Dense(3, 2, rng=rng, dtype=dtype),
    )


def bars(rng, n=200):
    """Noisy images of a horizontal (0) or vertical (1) bar somewhere."""
    y = rng.integers(2, size=n)
    x = 0.3 * rng.normal(size=(n, 8, 8, 1))
    for image, vertical, at in zip(x, y, rng.integers(1, 7, size=n), strict=True):
        (image[:, at] if vertical else image[at])[:] += 1
    return x, y


def every_kind(rng):
    """A layer of each kind, with the shape of an input that it takes."""
    images = (2, 4, 5, 1)
    return [
        (Conv2D(1, 3, (3, 2), stride=2, padding=1, rng=rng), images),
        (Conv1D(1, 3, 2, rng=rng), (2, 6, 1)),
        (Conv1D(1, 3, 2, padding="causal", rng=rng), (2, 6, 1)),
        (MaxPool2D(2, padding=1), images),
        (AvgPool2D(2, padding=1), images),
        (GlobalAveragePool(), images),
        (Flatten(), images),
    ]


def test_a_pullback_refuses_slopes_of_another_shape_than_the_output():
    for layer, shape in every_kind(generator()):
        y, pullback = layer.forward(generator().normal(size=shape))
        for wrong in (y[:1], y[..., :1, np.newaxis], y.swapaxes(0, -1).copy(), y.ravel(), 1.0):
            if np.shape(wrong) != y.shape:
                with pytest.raises(ValueError, match="dy must have the shape"):
                    pullback(wrong)


def test_a_batch_of_none_is_refused_and_says_so():
    for layer, shape in every_kind(generator()):
        with pytest.raises(ValueError, match="one sample or more"):
            layer.forward(np.zeros((0, *shape[1:])))


@pytest.mark.parametrize("kind", [np.float16, np.int64, np.uint8, bool])
def test_half_precision_and_whole_numbers_give_what_floats_give(kind):
    for layer, shape in every_kind(generator()):
        x = generator().integers(0, 2, size=shape).astype(kind)
        y, pullback = layer.forward(x)
        expected, of_floats = layer.forward(x.astype(float))
        dy = generator(1).integers(0, 2, size=y.shape).astype(kind)
        np.testing.assert_allclose(y, expected, rtol=1e-6)
        np.testing.assert_allclose(pullback(dy)[0], of_floats(dy.astype(float))[0], rtol=1e-5, atol=1e-6)
    large = np.full((1, 2, 2, 1), 60000, np.float16)  # two of them are beyond what half precision can hold
    assert AvgPool2D().forward(large)[0].item() == GlobalAveragePool().forward(large)[0].item() == 60000


def test_float32_stays_float32_from_the_first_output_to_the_trained_weights():
    rng = generator()
    network, (X, y) = small_network(rng, np.float32), bars(rng)
    outputs, pullback = network.forward(X.astype(np.float32), rng)
    dx, gradients = pullback(outputs)
    assert {a.dtype for a in (outputs, dx, *gradients.values())} == {np.dtype(np.float32)}
    for layer in (
        GlobalAveragePool(),
        MaxPool2D(padding=1),
        AvgPool2D(padding=1),
        Conv2D(1, 2, 2, 2, rng=rng, dtype="f4"),
    ):
        y_, back = layer.forward(X.astype(np.float32))
        assert y_.dtype == back(y_)[0].dtype == np.float32
    train(network, X, y, softmax_cross_entropy, Adam(0.01), epochs=1, batch_size=50, rng=rng)
    assert {w.dtype for w in network.parameters.values()} == {np.dtype(np.float32)}


def test_a_small_network_learns_to_tell_bars_apart_wherever_they_are():
    rng = generator()
    network = small_network(rng, np.float64)
    run = train(
        network, *bars(rng), softmax_cross_entropy, Adam(0.02), epochs=15, batch_size=20, rng=rng, validation=bars(rng)
    )
    assert run.validation_accuracies[-1] > 0.95
    x = bars(rng, 3)[0]
    np.testing.assert_allclose(evaluate(network, x, batch_size=1), evaluate(network, x), atol=1e-12)


def test_nothing_is_written_to_the_input_or_the_gradient():
    rng = generator()
    for layer in (
        Conv2D(2, 2, 3, padding=1, rng=rng),
        Conv2D(2, 2, 1, rng=rng),
        MaxPool2D(),
        AvgPool2D(1),
        MaxPool2D(1),
    ):
        x = rng.normal(size=(3, 4, 4, 2))
        before = x.copy()
        y, pullback = layer.forward(x)
        dy = rng.normal(size=y.shape)
        dy_before, first = dy.copy(), pullback(dy)[0].copy()
        np.testing.assert_array_equal(x, before)
        np.testing.assert_array_equal(dy, dy_before)
        np.testing.assert_array_equal(pullback(dy)[0], first)


def test_the_memory_stays_a_small_multiple_of_the_activations(monkeypatch):
    monkeypatch.setattr(convolution, "CHUNK", 2**16)
    rng = generator()
    layer = Conv2D(8, 8, 5, padding=2, rng=rng, dtype=np.float32)
    x = rng.random((16, 32, 32, 8), dtype=np.float32)
    layer.forward(x)[1](x)
    tracemalloc.start()
    y, pullback = layer.forward(x)
    pullback(y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * x.nbytes  # all the patches alone would be 25 times as large as x


# --- Bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda rng: Conv2D(0, 1, 3, rng=rng), ValueError, "in_channels must be at least 1, but it is 0"),
        (lambda rng: Conv2D(1, 1.5, 3, rng=rng), TypeError, "out_channels must be a whole number, but it is 1.5"),
        (
            lambda rng: Conv2D(1, 1, (3, 3, 3), rng=rng),
            ValueError,
            r"kernel_size must be a number or a pair.* \(3, 3, 3\)",
        ),
        (lambda rng: Conv2D(1, 1, 3, 0, rng=rng), ValueError, "stride must be at least 1, but it is 0"),
        (lambda rng: Conv2D(1, 1, 3, padding=-1, rng=rng), ValueError, "padding must be at least 0, but it is -1"),
        (lambda rng: Conv2D(1, 1, 3, padding="same", rng=rng), TypeError, "padding must be a whole number.* 'same'"),
        (lambda rng: Conv1D(1, 1, 3, dilation=0, rng=rng), ValueError, "dilation must be at least 1, but it is 0"),
        (lambda rng: Conv2D(1, 1, 3, rng=0), TypeError, "rng must be a numpy.random.Generator"),
        (lambda rng: Conv2D(1, 1, 3, rng=rng, dtype=int), ValueError, "dtype must be float32 or float64"),
        (lambda rng: Conv2D(1, 1, 3, rng=rng, initialization="?"), ValueError, "initialization must be one of"),
        (lambda rng: MaxPool2D(0), ValueError, "size must be at least 1"),
        (lambda rng: AvgPool2D(2, stride=-1), ValueError, "stride must be at least 1"),
        (lambda rng: MaxPool2D(2, padding=2), ValueError, "padding must be less than size"),
    ],
)
def test_bad_settings_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make(generator())


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Conv2D(2, 1, 3, rng=generator()), (5, 8, 8, 1), r"x must have shape \(n, height, width, 2\).* \(5, 8, 8, 1\)"),
        (Conv2D(1, 1, 3, rng=generator()), (5, 64), r"x must have shape \(n, height, width, 1\).* \(5, 64\)"),
        (Conv2D(1, 1, 3, dilation=4, rng=generator()), (5, 8, 8, 1), "9 pixels.* it has 8"),
        (Conv1D(2, 1, 3, rng=generator()), (5, 8, 1), r"x must have shape \(n, length, 2\).* \(5, 8, 1\)"),
        (Conv1D(2, 1, 3, rng=generator()), (5, 8, 8, 2), r"x must have shape \(n, length, 2\)"),
        (MaxPool2D(), (5, 8, 8), r"x must have shape \(n, height, width, channels\).* \(5, 8, 8\)"),
        (MaxPool2D(3), (5, 2, 8, 1), "3 pixels.* it has 2"),
        (GlobalAveragePool(), (5, 8), r"x must have shape \(n, …, channels\).* \(5, 8\)"),
    ],
)
def test_images_that_do_not_fit_are_named(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.forward(np.zeros(shape))


def test_the_definition_names_what_does_not_fit():
    with pytest.raises(ValueError, match=r"x must have shape \(n, height, width, 2\).* \(1, 4, 4, 1\)"):
        correlate(np.zeros((1, 4, 4, 1)), np.zeros((3, 3, 2, 1)))
    with pytest.raises(ValueError, match="W must have 4 dimension"):
        correlate(np.zeros((1, 4, 4, 1)), np.zeros((3, 3)))
    with pytest.raises(ValueError, match="x must be at least the 5 pixels under the kernel"):
        correlate(np.zeros((1, 4, 4, 1)), np.zeros((5, 5, 1, 1)))
    with pytest.raises(ValueError, match="stride must be at least 1"):
        output_size(4, 2, stride=0)


@pytest.mark.parametrize(
    "layer",
    [Conv2D(1, 1, 3, rng=np.random.default_rng(0)), MaxPool2D(padding=1), GlobalAveragePool(), Flatten()],
    ids=lambda layer: type(layer).__name__,
)
def test_image_layers_take_whole_numbers_and_refuse_no_image_at_all(layer):
    x = np.arange(16).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(layer.forward(x)[0], layer.forward(x.astype(float))[0])
    with pytest.raises(ValueError, match="x must have shape"):
        layer.forward(x[:0])
    with pytest.raises(TypeError, match="x must hold numbers"):
        layer.forward(None)


def test_sizes_and_shifts_are_named():
    with pytest.raises(ValueError, match="size must be at least the 3 pixels"):
        output_size(2, 3)
    with pytest.raises(TypeError, match="rows must be a whole number"):
        shifted(np.ones((1, 4, 4, 1)), 0.5, 0)
