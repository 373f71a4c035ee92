"""The explorers of chapter 5 in a browser: their numbers are those of mlmath.convolution, on any image and drawing."""

import base64
from itertools import pairwise

import numpy as np
import pytest

from mlmath import data, explore
from mlmath.convolution import AvgPool2D, Conv1D, Conv2D, Flatten, MaxPool2D, correlate, output_size
from mlmath.explore.convolution import KERNELS
from mlmath.explore.drawing import PEN, digits_network, dots
from mlmath.network import Dense, Dropout, ReLU, Sequential, Sigmoid, Tanh

NAMES = [f"w{i}{j}" for i in range(3) for j in range(3)]


@pytest.mark.parametrize("shape", [None, (5, 9), (32, 12)])
def test_the_window_computes_the_correlation(play, shape):
    rng = np.random.default_rng(1)
    own = None if shape is None else rng.normal(size=shape)
    explorer = explore.convolution(own)
    images = explorer.spec["data"]["images"]
    h, w = explorer.spec["data"]["shape"]
    deepest = next(c["high"] for c in explorer.spec["controls"] if c["name"] == "dilation")
    most = next(c["high"] for c in explorer.spec["controls"] if c["name"] == "step")
    settings = [
        {
            "image": str(rng.choice(list(images))),
            "stride": int(rng.integers(1, 4)),
            "padding": int(rng.integers(0, 3)),
            "dilation": int(rng.integers(1, deepest + 1)),
            "step": int(rng.integers(1, most + 1)),
            **dict(zip(NAMES, rng.uniform(-8, 8, size=9).tolist(), strict=True)),
        }
        for _ in range(30)
    ]
    for setting, frame in zip(settings, play(explorer, settings), strict=True):
        x = np.reshape(images[setting["image"]], (1, h, w, 1))
        W = np.reshape([setting[name] for name in NAMES], (3, 3, 1, 1))
        options = {name: setting[name] for name in ("stride", "padding", "dilation")}
        y = correlate(x, W, **options)[0, :, :, 0]
        drawn = frame["marks"]["output"]
        assert (drawn["rows"], drawn["columns"]) == y.shape == tuple(output_size(n, 3, **options) for n in (h, w))
        np.testing.assert_allclose(listed(drawn["values"]), y.ravel() / np.abs(y).max(), atol=1e-9)
        place = (setting["step"] - 1) % y.size
        u, v = divmod(place, y.shape[1])
        assert frame["readouts"]["sum"] == pytest.approx(y[u, v], rel=1e-9, abs=1e-9)
        assert frame["readouts"]["place"] == f"row {u}, column {v}"
        assert frame["readouts"]["size"].split(" = ")[-1].startswith(f"{y.shape[1]}")
        under = [(row + 0.5, column + 0.5) for column, row, *_ in frame["marks"]["under"]]
        stride, padding, dilation = options.values()
        rows, columns = (stride * at + dilation * np.arange(3) - padding for at in (u, v))
        assert under == [(row, column) for row in rows for column in columns]
        seen = np.pad(x[0, :, :, 0], padding)[np.ix_(rows + padding, columns + padding)]
        scale = 2 * np.abs(x).max() * np.abs(W).max()
        np.testing.assert_allclose(
            listed(frame["marks"]["products"]["values"]), (seen * W[:, :, 0, 0]).ravel() / scale, atol=1e-12
        )


def listed(values):
    """A typed array comes from the browser as {index: number}."""
    return list(values.values()) if isinstance(values, dict) else values


def test_every_kernel_of_the_list_moves_the_sliders():
    along = next(c["along"] for c in explore.convolution().spec["controls"] if c["name"] == "kernel")
    assert along == {name: dict(zip(NAMES, W, strict=True)) for name, W in KERNELS.items()}
    blurred = explore.convolution(kernel="blur", stride=2, padding=1)
    assert (blurred.w00, blurred.stride, blurred.padding) == (1 / 9, 2, 1)


def test_a_kernel_of_zeros_and_an_empty_image_are_no_trouble(play):
    for explorer, setting in (
        (explore.convolution(), dict.fromkeys(NAMES, 0.0)),
        (explore.convolution(np.zeros((6, 6))), {"padding": 2}),
    ):
        frame = play(explorer, [setting])[0]
        assert set(listed(frame["marks"]["output"]["values"])) == {0}
        assert frame["readouts"]["sum"] == 0


def test_a_test_digit_becomes_dots_that_count_to_it_again():
    X = data.digits().X[:300].reshape(-1, 8, 8)
    for counts in X:
        drawing = dots(counts)
        assert np.isin(drawing, (0, 1)).all()
        np.testing.assert_array_equal(drawing.reshape(8, 4, 8, 4).sum(axis=(1, 3)), counts)


def network_of(*middle, rng, dtype=np.float32):
    """A network of other sizes than the chapter's, with random weights and biases."""
    network = Sequential(*middle)
    x = network.forward(np.zeros((1, 8, 8, 1), dtype))[0]
    network = Sequential(*middle, Dense(x.shape[1], 10, rng=rng, dtype=dtype))
    for name, w in network.parameters.items():
        if name.endswith("b"):
            w[:] = rng.normal(size=w.shape)
    return network


def kinds():
    rng = np.random.default_rng(5)
    lopsided = {"stride": (1, 2), "padding": (2, 0), "dilation": (2, 1), "rng": rng}
    return {
        "the chapter's": digits_network(),
        "lopsided": network_of(
            Conv2D(1, 3, (2, 3), **lopsided), Tanh(), MaxPool2D(2, stride=1, padding=1), Flatten(), rng=rng
        ),
        "dense": network_of(
            Flatten(), Dense(64, 5, rng=rng), Sigmoid(), Dropout(0.2), Dense(5, 7, rng=rng), ReLU(), rng=rng
        ),
    }


FORWARD = """drawings => {
  const { explorer } = document.querySelector("figure"), { loop } = explorer, { pictures } = explorer.spec.data;
  return drawings.map(drawing => {
    const { marks, readouts } = loop.frame({ ...explorer.values(), drawing });
    return { p: marks.bars.map(bar => bar[3]), readouts, ink: [...marks.ink.values],
      layers: pictures.map(({ most }, k) => [...marks[`picture${k}`].values].map(v => v * most)) };
  });
}"""


@pytest.mark.parametrize("kind", ["the chapter's", "lopsided", "dense"])
def test_every_layer_says_what_it_says_in_mlmath(opened, kind):
    network = kinds()[kind]
    explorer = explore.draw_a_digit(network)
    rng = np.random.default_rng(2)
    drawings = (rng.random((12, 32, 32)) < rng.uniform(0, 1, size=(12, 1, 1))).astype(int)
    drawings[0], drawings[1] = 0, 1
    pictures = explorer.spec["data"]["pictures"]
    for drawing, page in zip(drawings, opened(explorer).evaluate(FORWARD, drawings.tolist()), strict=True):
        x = drawing.reshape(8, 4, 8, 4).sum(axis=(1, 3)).astype(np.float32).reshape(1, 8, 8, 1) / 16
        said = [x]
        for layer in network.layers:
            x = layer.forward(x)[0]
            if isinstance(layer, ReLU | Tanh | Sigmoid):
                said[-1] = x
            elif not isinstance(layer, Flatten | Dropout):
                said.append(x)
        assert page["ink"] == drawing.ravel().tolist()
        assert len(page["layers"]) == len(pictures) == len(said) - 1
        for picture, output, layer in zip(pictures, said, page["layers"], strict=False):
            h, w, n = output.shape[1:] if output.ndim == 4 else (1, 1, output.shape[1])
            maps = np.reshape(layer, (picture["rows"] // (h + 1), h + 1, -1, w + 1)).transpose(0, 2, 1, 3)
            assert (maps[:, :, h:] == 0).all()
            assert (maps[:, :, :, w:] == 0).all()
            found = maps[:, :, :h, :w].reshape(-1, h, w)
            np.testing.assert_allclose(found[:n].transpose(1, 2, 0), output.reshape(h, w, n), rtol=1e-5, atol=1e-5)
            assert (found[n:] == 0).all()
        p = np.exp(x[0] - x[0].max()) / np.exp(x[0] - x[0].max()).sum()
        np.testing.assert_allclose(page["p"], p, atol=1e-5)
        best = "an empty page" if not drawing.any() else f"{p.argmax()} ({100 * p.max():.1f} %)"
        assert page["readouts"]["best"] == best


def test_all_test_digits_are_read_on_the_page_as_in_mlmath(opened):
    known, network = data.digits(), digits_network()
    _, X, _, y = data.hold_out(known.X, known.y, rng=np.random.default_rng(0))
    read = network.forward((X.reshape(-1, 8, 8, 1) / 16).astype(np.float32))[0].argmax(axis=1)
    explorer = explore.draw_a_digit(network)
    drawings = ["".join(map(str, dots(x).ravel())) for x in X.reshape(-1, 8, 8)]
    page = opened(explorer)
    assert page.evaluate(READ, drawings) == read.tolist()
    gallery = next(c["along"] for c in explorer.spec["controls"] if c["name"] == "gallery")
    assert [name for name in gallery if name.isdigit()] == [str(k) for k in range(10)]
    misread = [name for name in gallery if not name.isdigit()]
    assert len(misread) == (read != y).sum()
    for name, kept in gallery.items():
        page.locator("select").select_option(name)
        page.wait_for_function("n => document.querySelector('output').value.startsWith(n)", arg=name.split(" ")[-1])
        assert page.evaluate(VALUES)["drawing"] == kept["drawing"]


READ = """drawings => {
  const { explorer } = document.querySelector("figure"), { loop } = explorer;
  const rows = drawing => drawing.match(/.{32}/g).map(row => [...row].map(Number));
  return drawings.map(drawing => loop.frame({ ...explorer.values(), drawing: rows(drawing) }).marks.best[0][0]);
}"""
VALUES = "document.querySelector('figure').explorer.values()"
SETTLED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))"


def stroke(drawing, points, ink=1):
    """The drawing with what lies nearer than the pen's half width to the way from point to point."""
    rows, columns = np.mgrid[:32, :32] + 0.5
    dot = np.stack([columns, rows], axis=-1)
    for a, b in pairwise(points):
        way = np.subtract(b, a)
        share = np.clip((dot - a) @ way / max(way @ way, 1e-12), 0, 1)[..., np.newaxis]
        drawing = np.where(np.linalg.norm(dot - a - share * way, axis=-1) < PEN, ink, drawing)
    return drawing


def at(page, x, y):
    """Where on the page the place (x, y) of the paper is."""
    box = page.locator(".sheet").bounding_box()
    return box["x"] + x / 32 * box["width"], box["y"] + y / 32 * box["height"]


def test_drawing_with_the_mouse(opened):
    page = opened(explore.draw_a_digit())
    page.get_by_role("button", name="Clear").click()
    page.evaluate(SETTLED)
    assert page.locator("output[name=best]").inner_text() == "an empty page"
    places = [(6, 8), (24, 9), (13, 29)]
    page.mouse.move(*at(page, *places[0]))
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*at(page, *place))
    page.mouse.up()
    page.mouse.move(*at(page, 2, 2))  # in the air
    page.evaluate(SETTLED)
    drawn = np.array(page.evaluate(VALUES)["drawing"])
    expected = stroke(np.zeros((32, 32), int), places)
    assert (drawn != expected).sum() < 6, "but for dots on the very edge of the stroke"
    assert page.locator("output[name=best]").inner_text().startswith("7")
    page.get_by_label("erase").check()
    page.mouse.click(*at(page, 24, 9))
    page.evaluate(SETTLED)
    erased = np.array(page.evaluate(VALUES)["drawing"])
    assert (erased != stroke(drawn, [(24, 9), (24, 9)], ink=0)).sum() < 4
    for before in (drawn, np.zeros((32, 32), int)):
        page.get_by_role("button", name="Undo").click()
        page.evaluate(SETTLED)
        assert page.evaluate(VALUES)["drawing"] == before.tolist()


def test_drawing_with_a_finger_does_not_scroll_the_page(opened):
    page = opened(explore.draw_a_digit(), has_touch=True, viewport={"width": 360, "height": 500})
    page.get_by_role("button", name="Clear").click()
    touch = page.context.new_cdp_session(page)
    page.evaluate("scrollTo(0, 30)")
    start = page.evaluate("scrollY")
    places = [(16, 4), (16, 16), (16, 29)]
    for k, place in enumerate([*places, None]):
        kind = "touchEnd" if place is None else "touchMove" if k else "touchStart"
        points = [] if place is None else [dict(zip("xy", at(page, *place), strict=True))]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.evaluate(SETTLED)
    drawn = np.array(page.evaluate(VALUES)["drawing"])
    assert drawn[4:29, 15:17].all()
    assert not drawn[:, :12].any()
    assert page.evaluate("scrollY") == start == 30


def test_drawing_with_the_keyboard(opened):
    explorer = explore.draw_a_digit()
    explorer.pen, explorer.drawing = (4, 16), np.zeros((32, 32))
    page = opened(explorer)
    pen = page.get_by_role("slider", name="pen")
    pen.focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowDown")
    page.evaluate(SETTLED)
    values = page.evaluate(VALUES)
    np.testing.assert_allclose(values["pen"], [4 + 9.6, 16.64], atol=1e-6)
    expected = stroke(np.zeros((32, 32), int), [(4, 16), (4 + 9.6, 16), (4 + 9.6, 16.64)])
    assert values["drawing"] == expected.tolist()
    page.get_by_label("arrow keys draw").uncheck()
    pen.press("Shift+ArrowDown")
    page.evaluate(SETTLED)
    moved = page.evaluate(VALUES)
    assert moved["drawing"] == values["drawing"]
    assert moved["pen"][1] == pytest.approx(16.64 + 3.2)


def test_the_drawing_is_a_trait():
    explorer = explore.draw_a_digit()
    assert np.array(explorer.drawing).shape == (32, 32)
    explorer.drawing = np.eye(32, dtype=bool)
    assert explorer.drawing == np.eye(32, dtype=int).tolist()
    for wrong in (np.ones((31, 32)), np.full((32, 32), 0.5), np.full((32, 32), np.nan), "dots"):
        with pytest.raises((TypeError, ValueError), match="drawing must"):
            explorer.drawing = wrong
    bytes_of = base64.b64decode(explorer.spec["data"]["weights"])
    weights = np.concatenate([w.ravel() for w in digits_network().parameters.values()])
    assert (np.frombuffer(bytes_of, "<f4") == weights).all()


RNG = np.random.default_rng(0)
BLANK = np.zeros((3, 8, 8, 1))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: explore.convolution(np.ones(9)), ValueError, "image must have 2 dimension"),
        (lambda: explore.convolution(np.ones((4, 9))), ValueError, "image must have 5 to 32 rows and columns"),
        (lambda: explore.convolution(np.ones((5, 33))), ValueError, "image must have 5 to 32 rows and columns"),
        (lambda: explore.convolution(np.full((8, 8), np.nan)), ValueError, "image must be finite"),
        (lambda: explore.convolution("digit"), TypeError, "image must hold real numbers"),
        (lambda: explore.convolution(kernel="Prewitt"), ValueError, "kernel must be one of 'vertical edges"),
        (lambda: explore.convolution(stride=0), ValueError, "stride must be between 1 and 3"),
        (lambda: explore.convolution(padding=9), ValueError, "padding must be between 0 and 2"),
        (lambda: explore.convolution(np.ones((5, 5)), dilation=3), ValueError, "dilation must be between 1 and 2"),
        (lambda: explore.draw_a_digit("mine"), TypeError, "network must be a Sequential"),
        (lambda: explore.draw_a_digit(Sequential(AvgPool2D())), ValueError, "but it has a AvgPool2D"),
        (lambda: explore.draw_a_digit(Sequential(Conv1D(1, 2, 3, rng=RNG))), ValueError, "but it has a Conv1D"),
        (lambda: explore.draw_a_digit(Sequential(Conv2D(3, 2, 3, rng=RNG))), ValueError, "network must take images"),
        (lambda: explore.draw_a_digit(Sequential(Flatten())), ValueError, "network must return 10 logits"),
        (lambda: explore.draw_a_digit(X=BLANK), TypeError, "y must hold real numbers, but it is None"),
        (lambda: explore.draw_a_digit(X=BLANK[:, :4], y=[1, 2, 3]), ValueError, "X must hold images"),
        (lambda: explore.draw_a_digit(X=BLANK + 0.3, y=[1, 2, 3]), ValueError, "X must hold images"),
        (lambda: explore.draw_a_digit(X=BLANK, y=[1, 2]), ValueError, "X and y must have the same length"),
        (lambda: explore.draw_a_digit(X=BLANK, y=[1, 2, 12]), ValueError, "y must hold digits 0 to 9"),
    ],
)
def test_explorers_say_what_they_take(call, error, message):
    with pytest.raises(error, match=message):
        call()
