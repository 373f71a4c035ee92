"""The explorers in Python: controls as traits, the reader's own data and losses, and errors that speak."""

import numpy as np
import pytest
import sympy as sp

from mlmath import explore
from mlmath.exercises import ask, check
from mlmath.explore import static

x, y, t = sp.symbols("x y t", real=True)
EXPLORERS = [
    "activation",
    "backprop",
    "boundary",
    "bowl",
    "bumps",
    "conditioning",
    "convolution",
    "depth",
    "descent",
    "draw_a_digit",
    "first_descent",
    "fit_a_line",
    "newton_vs_descent",
    "playground",
    "polynomial",
    "rate_1d",
    "sgd",
    "sigmoid",
    "threshold",
]


@pytest.mark.parametrize("name", EXPLORERS)
def test_an_explorer_is_the_same_each_time_and_its_first_frame_can_be_seen_without_a_script(name):
    one, two = (getattr(explore, name)() for _ in range(2))
    assert repr(one) == repr(two)
    assert repr(one).startswith(f"<{name.replace('_', '-')}: ")
    assert len(repr(one)) < 300
    assert one.stages == two.stages
    assert one.program == two.program
    page = static.figure(one.get_state(), "p")
    assert f'data-explorer="{name.replace("_", "-")}"' in page
    assert 'class="first-frame"' in page
    assert static.STILL in page
    assert "#10141a" not in page, "ink follows the page's theme"


@pytest.fixture(scope="module")
def race():
    return explore.descent()


def test_a_control_is_a_trait(race):
    race.rate = 0.1
    race.loss = "Himmelblau"
    race.start = (1, 2)
    race.adam = False
    race.steps = 20
    assert (race.rate, race.loss, race.start, race.adam, race.steps) == (0.1, "Himmelblau", [1.0, 2.0], False, 20)
    assert "rate=0.1" in repr(race)


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("rate", 0, ValueError, "rate must be between 0.0001 and 1"),
        ("rate", float("nan"), ValueError, "rate must be finite"),
        ("rate", "fast", TypeError, "rate must be a real number"),
        ("steps", -1, ValueError, "steps must be between 0 and 200"),
        ("loss", "Ackley", ValueError, "loss must be one of 'narrow valley', 'Rosenbrock'"),
        ("start", [1, 2, 3], ValueError, r"start must be a point \(x, y\)"),
        ("start", [1, np.inf], ValueError, "start must be finite"),
        ("start", "here", TypeError, "start must hold real numbers"),
        ("adam", "yes", TypeError, "adam must be True or False"),
    ],
)
def test_a_control_says_what_it_takes(race, name, value, error, message):
    with pytest.raises(error, match=message):
        setattr(race, name, value)


def test_the_readers_own_loss():
    race = explore.descent((1 - t) ** 2 + 3 * y**4, (t, y), start=(-1, 1), rate=0.05, xlim=(-2, 2), ylim=(-1.5, 1.5))
    assert race.start == [-1.0, 1.0]
    assert race.loss == "your loss"
    assert "function gradient0([t, y])" in race.program
    hill = explore.rate_1d(t**4 - t**2, t, start=-1.2, rate=0.05, xlim=(-1.5, 1.5))
    assert hill.rate == 0.05


def test_the_readers_own_data():
    rng = np.random.default_rng(0)
    a = rng.normal(size=30)
    b = 2 * a + 1 + rng.normal(size=30)
    assert explore.fit_a_line(a, b).points == np.column_stack([a, b]).tolist()
    assert explore.sgd(a, b).batch_size == 4
    assert explore.polynomial(a, b).degree == 3
    near = explore.conditioning(np.column_stack([a, a + 1e-3 * b]))
    assert 1e-4 < near.epsilon < 1e-2
    assert explore.bowl(500).kappa == 500


@pytest.mark.parametrize("explorer", [explore.fit_a_line, explore.sgd, explore.polynomial])
@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        ([1.0, 2, 3, 4], [1.0, 2, 3], ValueError, "x and y must have the same length"),
        ([], [], ValueError, "x must not be empty"),
        ([1.0, 2, 3, np.nan], [1.0, 2, 3, 4], ValueError, "x must be finite"),
        ([1.0, 2, 3, 4], [1.0, 2, np.inf, 4], ValueError, "y must be finite"),
        ([1j, 2, 3, 4], [1.0, 2, 3, 4], TypeError, "x must hold real numbers"),
        (["a", "b", "c", "d"], [1.0, 2, 3, 4], TypeError, "x must hold real numbers"),
        ([[1.0, 2], [3, 4]], [1.0, 2], ValueError, "x must have 1 dimension"),
        ([5.0, 5, 5, 5], [1.0, 2, 3, 4], ValueError, "x must have at least . different values, but it has 1"),
        ([1.0], [1.0], ValueError, "x must have at least . different values, but it has 1"),
        ([1.0, 2, 3, 4], None, TypeError, "y must hold real numbers"),
    ],
)
def test_data_explorers_say_what_they_take(explorer, a, b, error, message):
    with pytest.raises(error, match=message):
        explorer(a, b)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: explore.descent("x +", (x, y)), TypeError, "loss must be a SymPy expression"),
        (lambda: explore.descent(x * t, (x, y)), ValueError, "loss must depend on x, y only"),
        (lambda: explore.descent(x**2, (x,)), ValueError, "variables must be two SymPy symbols"),
        (lambda: explore.descent(x**2, ("x", "y")), TypeError, "variables must be SymPy symbols"),
        (lambda: explore.descent(x**2 + y**2, (x, y), xlim=(1, 1)), ValueError, "xlim must be a pair"),
        (lambda: explore.descent(x**2 + y**2, (x, y), rate=-1), ValueError, "rate must be greater than 0"),
        (lambda: explore.descent(x**2 + y**2, (x, y), start=(1, "a")), TypeError, "start must hold real numbers"),
        (lambda: explore.descent(sp.log(-1 - x**2), (x, y)), ValueError, "loss must be finite somewhere"),
        (lambda: explore.rate_1d(x**2, y), ValueError, "loss must depend on y only"),
        (lambda: explore.rate_1d(x**2), TypeError, "variable must be a SymPy symbol"),
        (lambda: explore.descent(x**2, (x, x)), ValueError, "variables must be two SymPy symbols"),
        (lambda: explore.descent([x, y], (x, y)), TypeError, "loss must be a SymPy expression"),
        (lambda: explore.descent(sp.Eq(x, y), (x, y)), TypeError, "loss must be a SymPy expression"),
        (lambda: explore.sgd([1e200, 2e200], [1.0, 2.0]), ValueError, "x must be of moderate size"),
        (lambda: explore.sigmoid([1e-300, 2e-300], [0, 1]), ValueError, "x must be of moderate size"),
        (lambda: explore.depth(layers=1000), ValueError, "layers must be at most"),
        (lambda: explore.backprop(step=0.5), TypeError, "step must be a whole number"),
        (lambda: explore.convolution(stride=1.5), TypeError, "stride must be a whole number"),
        (lambda: check(3, abs, [(1,)], hint=""), TypeError, "yours must be a function"),
        (lambda: check(abs, abs, [], hint=""), ValueError, "cases must be tuples of arguments"),
        (lambda: explore.rate_1d(x**2, x, rate=0), ValueError, "rate must be greater than 0"),
        (lambda: explore.rate_1d(x**2, x, start="left"), TypeError, "start must be a real number"),
        (lambda: explore.rate_1d(x**2, x, start=9), ValueError, "start must be between"),
        (lambda: explore.rate_1d(x**2, x, xlim=(3, 1)), ValueError, "xlim must be a pair"),
        (lambda: explore.bowl(0.5), ValueError, "kappa must be at least 1"),
        (lambda: explore.bowl("steep"), TypeError, "kappa must be a real number"),
        (lambda: explore.bowl(start=(1, 2, 3)), ValueError, "start must"),
        (lambda: explore.conditioning([[1.0, 2], [2, 4], [3, 6]]), ValueError, "X must have two independent columns"),
        (lambda: explore.conditioning(np.ones((4, 3))), ValueError, "X must have two independent columns"),
        (lambda: explore.conditioning([1.0, 2]), ValueError, "X must have 2 dimension"),
        (lambda: ask("b", np.nan, hint=""), ValueError, "answer must be finite"),
        (lambda: ask("b", 1.5, hint="", tolerance=0), ValueError, "tolerance must be greater than 0"),
    ],
)
def test_explorers_say_what_they_take(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_data_far_from_zero_can_be_fitted_by_hand():
    x = np.arange(5.0) + 1e12
    line = explore.fit_a_line(x, x - 1e12)
    assert np.isfinite([line.slope, line.intercept]).all()
