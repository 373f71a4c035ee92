"""Generated JavaScript against the same expression in NumPy, in Chromium, and both against exact values."""

import re

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlmath.javascript import (
    javascript_function,
    javascript_loops,
    logsumexp,
    numpy_function,
    prelude,
    sigmoid,
    softplus,
    stable,
)

x, y, z = XYZ = sp.symbols("x y z", real=True)
EXTREMES = [0.0, -0.0, 5e-324, 1e-300, -1e-20, 1e-9, -1e-3, 0.5, -1.0, 1.0, 2.0, 3.7, -20.0, 36.8, 100.0]
EXTREMES += [sign * size for size in (700.0, 709.9, 745.0, 745.2, 1e4) for sign in (1, -1)]
HALF_ULP = 2.0**-53


@pytest.fixture(scope="module")
def run(chromium):
    """Evaluate JavaScript functions at many points in one browser call."""
    page = chromium.new_page()
    page.add_script_tag(content=prelude())

    def evaluate(arguments, expressions, points):
        sources = [javascript_function("f", arguments, expr) for expr in expressions]
        # As text, because JSON has no -0, NaN or infinity.
        return np.array(
            page.evaluate(
                """([sources, points]) => sources.map(source => {
                    const f = new Function(source + "; return f;")();
                    return points.map(point => String(f(...point.map(Number))));
                })""",
                [sources, [[repr(float(v)) for v in point] for point in points]],
            )
        ).astype(float)

    yield evaluate
    page.close()


def agree(ours, numpys, slack=0.0):
    """Equal to 1e-12 relative, or to the rounding `slack`; where NumPy overflows or has no number, so may the page."""
    ours, numpys = np.asarray(ours), np.asarray(numpys)
    with np.errstate(all="ignore"):
        close = np.abs(ours - numpys) <= 1e-12 * np.abs(numpys) + slack + 1e-307
    return close | (ours == numpys) | np.isnan(numpys)


NAIVE = {
    "sigmoid": (1 / (1 + sp.exp(-x)), sigmoid(x)),
    "sigmoid from exp(z)": (sp.exp(x) / (1 + sp.exp(x)), sigmoid(x)),
    "its complement": (1 - 1 / (1 + sp.exp(-x)), sigmoid(-x)),
    "its derivative": (sp.diff(1 / (1 + sp.exp(-x)), x), sigmoid(x) * sigmoid(-x)),
    "of a difference": (sp.exp(x) / (sp.exp(x) + sp.exp(y)), sigmoid(x - y)),
    "a power": (sp.exp(3 * x) / (1 + sp.exp(x)), sp.exp(2 * x) * sigmoid(x)),
    "softplus": (sp.log(1 + sp.exp(x)), softplus(x)),
    "log of the sigmoid": (sp.log(1 / (1 + sp.exp(-x))), -softplus(-x)),
    "log of its complement": (sp.log(1 - 1 / (1 + sp.exp(-x))), -softplus(x)),
    "second derivative": (sp.diff(sp.log(1 + sp.exp(x * y)), x, 2), y**2 * sigmoid(x * y) * sigmoid(-x * y)),
    "log-sum-exp": (sp.log(sp.exp(x) + sp.exp(y) + sp.exp(z)), logsumexp(x, y, z)),
    "softmax": (sp.exp(x) / (sp.exp(x) + sp.exp(y) + sp.exp(z)), sp.exp(x - logsumexp(x, y, z))),
    "log of the softmax": (sp.log(sp.exp(x) / (sp.exp(x) + sp.exp(y) + sp.exp(z))), x - logsumexp(x, y, z)),
    "softmax's complement": (
        1 - sp.exp(x) / (sp.exp(x) + sp.exp(y) + sp.exp(z)),
        sp.exp(logsumexp(y, z) - logsumexp(x, y, z)),
    ),
}


@pytest.mark.parametrize(("naive", "expected"), NAIVE.values(), ids=NAIVE)
def test_naive_forms_are_recognized(naive, expected):
    assert stable(naive) == expected


def test_stable_forms_keep_their_digits_where_naive_ones_overflow():
    mpmath.mp.dps = 60
    exact = {
        sigmoid(x): lambda v: 1 / (1 + mpmath.exp(-v)),
        softplus(x): lambda v: mpmath.log1p(mpmath.exp(v)),
        sp.log(1 / (1 + sp.exp(-x))): lambda v: -mpmath.log1p(mpmath.exp(-v)),
        sigmoid(x).diff(x): lambda v: 1 / (1 + mpmath.exp(-v)) / (1 + mpmath.exp(v)),
    }
    for expr, function in exact.items():
        ours = numpy_function([x], expr)(np.array(EXTREMES))
        reference = np.array([float(function(mpmath.mpf(v))) for v in EXTREMES])
        assert agree(ours, reference).all(), expr


FUNCTIONS = [
    *(1 / (1 + sp.exp(-x)), sp.log(1 + sp.exp(x)), sp.log(1 / (1 + sp.exp(-x))), sigmoid(x).diff(x, 2)),
    *(
        sp.log(sp.exp(x) + sp.exp(y)),
        sp.log(sp.exp(x) + sp.exp(y) + sp.exp(2 * x)),
        sp.exp(y) / (sp.exp(x) + sp.exp(y)),
    ),
    *(sp.exp(x) / (sp.exp(x) + sp.exp(y) + 1), 1 - sp.exp(x) / (sp.exp(x) + sp.exp(y) + 2)),
    *(sp.tanh(x), 1 - sp.tanh(x) ** 2, sp.exp(x), sp.log(x), sp.sqrt(x), sp.sin(x), sp.cos(x * y), sp.atan2(x, y)),
    *(x**2, x**3, x**-3, x**7, x ** sp.Rational(1, 3), x**0.5, x**-0.5, x**-1.5, 1 / x, 1 / x**2, y / x**2, x**y, 2**x),
    *(x / 3, sp.pi * x, sp.E * x, 0.1 * x, x * 2**70, x * sp.Rational(1, 3**50), x - sp.GoldenRatio, sp.exp(x) ** y),
    *(sp.Abs(x), sp.sign(x), sp.Max(x, y, 0), sp.Min(x, 1), sp.Heaviside(x), sp.Heaviside(x, 0), sp.floor(x)),
    *(sp.Abs(x).diff(x), sp.Max(x, y).diff(x), sp.ceiling(x), sp.asinh(x), sp.sinh(x), sp.acos(x), sp.oo * sp.sign(x)),
    sp.Piecewise((x, x < 0), (sp.sqrt(x), sp.And(x < 1, y > 0)), (1 / x, sp.Or(sp.Eq(y, 1), x > 100)), (y, True)),
    sp.Piecewise((sp.log(x), x > 0), (sp.Piecewise((1, y > 0), (2, sp.Ne(y, -1))), sp.Not(x < -1))),
]


def test_functions_agree_with_numpy_at_extremes(run):
    points = np.array([(a, b) for a in EXTREMES for b in EXTREMES])
    ours = run([x, y], FUNCTIONS, points)
    for expr, values in zip(FUNCTIONS, ours, strict=True):
        numpys = np.broadcast_to(numpy_function([x, y], expr)(*points.T), len(points))
        bad = ~agree(values, numpys)
        assert not bad.any(), f"{expr}: {list(zip(points[bad], values[bad], numpys[bad], strict=True))[:3]}"


SMOOTH = [sp.exp, sp.tanh, sp.sin, sp.cos, sp.atan, sp.Abs, sigmoid, softplus, lambda e: sp.log(1 + sp.exp(e))]
SMOOTH += [
    lambda e: 1 / (1 + sp.exp(-e)),
    lambda e: e**2,
    lambda e: e**3,
    lambda e: sp.sqrt(sp.Abs(e)),
    lambda e: 1 / e,
]
PAIRS = [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: sp.log(sp.exp(a) + sp.exp(b)), sp.Max]
PAIRS += [
    sp.Min,
    lambda a, b: sp.Piecewise((a, x < y), (b, True)),
    lambda a, b: sp.Piecewise((a, sp.And(x > 0, y > z)), (b, True)),
]


def is_number(expr):
    """Say whether the formula has real values: 1/(x − x), say, has none."""
    return not expr.has(sp.nan, sp.zoo, sp.I, sp.oo)


numbers = st.one_of(st.integers(-9, 9), st.fractions(-3, 3, max_denominator=9), st.floats(-8, 8, width=32))
leaves = st.one_of(st.sampled_from(XYZ), st.sampled_from(XYZ), numbers.filter(bool).map(sp.sympify))
formulas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda f, e: f(e), st.sampled_from(SMOOTH), inner.filter(is_number)),
        st.builds(lambda f, a, b: f(a, b), st.sampled_from(PAIRS), inner.filter(is_number), inner.filter(is_number)),
    ),
    max_leaves=6,
)
coordinates = st.one_of(st.sampled_from(EXTREMES), st.floats(-30, 30), st.floats(-1e4, 1e4))


def rounding(expr, values):
    """Return the value and how far one rounding at every operation may move it, carried to first order."""
    if not expr.args:
        value = values[expr] if expr in values else float(expr)
        return value, 0 if expr.is_Integer else abs(value) * HALF_ULP
    if isinstance(expr, sp.Piecewise):
        truths = [(e, c if isinstance(c, sp.logic.boolalg.BooleanAtom) else c.subs(values)) for e, c in expr.args]
        return rounding(next(e for e, c in truths if c == sp.true), values)
    parts = [rounding(arg, values) for arg in expr.args]
    slots = sp.symbols(f"s:{len(parts)}", real=True)
    outer = expr.func(*slots)
    at = [v for v, _ in parts]
    value = float(numpy_function(slots, outer)(*at))
    partials = [float(numpy_function(slots, sp.diff(outer, s))(*at)) for s in slots]
    inner = sum(abs(p) * e for p, (_, e) in zip(partials, parts, strict=True) if p and e)
    return value, inner + (abs(value) + (sum(map(abs, at)) if expr.is_Add else 0)) * HALF_ULP


@settings(max_examples=40, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.lists(formulas, min_size=30, max_size=30), st.lists(st.tuples(*[coordinates] * 3), min_size=8, max_size=8))
def test_random_expressions_agree_with_numpy(run, expressions, points):
    expressions = list(filter(is_number, expressions))
    points = np.array(points)
    for expr, values in zip(expressions, run(XYZ, expressions, points), strict=True):
        numpys = np.broadcast_to(numpy_function(XYZ, expr)(*points.T), len(points))
        for point, ours, numpys_value in zip(points, values, numpys, strict=True):
            if not agree(ours, numpys_value):
                _, slack = rounding(stable(expr), dict(zip(XYZ, map(float, point), strict=True)))
                assert agree(ours, numpys_value, 16 * slack), (expr, point, ours, numpys_value, slack)


def test_shapes_of_arguments_and_results(run):
    w, b = sp.symbols("w b", real=True)
    loss = (1 - w) ** 2 + 5 * (b - w**2) ** 2
    expressions = [loss, [loss.diff(w), loss.diff(b)], sp.hessian(loss, (w, b))]
    source = javascript_function("loss", [(w, b), x], expressions)
    assert source.startswith("function loss([w, b], x) {\n  const t0 = ")
    value, gradient, hessian = numpy_function([(w, b), x], expressions)([0.5, 2.0], 0.0)
    assert value == pytest.approx(0.25 + 5 * 1.75**2)
    assert gradient == pytest.approx([-1 - 20 * 0.5 * 1.75, 17.5])
    assert np.array(hessian) == pytest.approx(np.array([[2 - 20 * 2 + 15, -10], [-10, 10]]))


def test_numpy_functions_broadcast():
    f = numpy_function([x, y], [sp.Max(x, y, 0), sp.Piecewise((x, x > y), (y, True))])
    column, row = np.arange(3.0)[:, None], np.arange(4.0)
    for result in f(column, row):
        np.testing.assert_array_equal(result, np.maximum(column, row))


NAMES = ["lambda", "class", "η", "x_{1}", "x_1", "w'", "w''", "2nd", "Math", "sigmoid", "t0", "a b", "{}", r"\bar{x}"]


def test_every_name_becomes_a_name_of_its_own(run):
    symbols = [sp.Symbol(name, real=True) for name in NAMES]
    weights = np.arange(1.0, len(symbols) + 1)
    expr = sum(a * sp.exp(s) + sp.sin(symbols[0] * s) for a, s in zip(map(int, weights), symbols, strict=True))
    points = np.linspace(-1, 1, len(symbols))[None, :]
    assert agree(run(symbols, [expr], points)[0], numpy_function(symbols, expr)(*points.T)).all()


UNPRINTABLE = {
    "gamma(x)": 1 + 2 * sp.gamma(x),
    "erf(x)": sp.erf(x) ** 2,
    "f(x)": sp.Function("f")(x),
    "Derivative": sp.Derivative(sp.sin(x), x),
    "Integral": sp.Integral(sp.sin(x) / x, x),
    "Sum": sp.Sum(x ** sp.Symbol("i"), (sp.Symbol("i"), 0, 3)),
    "ImaginaryUnit": sp.I * x,
    "zoo": sp.zoo * x,
    "DiracDelta": sp.Max(x, 0).diff(x, 2),
    "beyond the range": x + sp.Integer(10) ** 400,
}


@pytest.mark.parametrize(("part", "expr"), UNPRINTABLE.items(), ids=UNPRINTABLE)
def test_what_cannot_be_printed_is_named(part, expr):
    for attempt in (lambda: javascript_function("f", [x], expr), lambda: numpy_function([x], expr)):
        with pytest.raises(ValueError, match=re.escape(part) + r".*cannot be printed|cannot be printed.*" + part):
            attempt()


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="contains y, which is not among the arguments"):
        javascript_function("f", [x], x + y)
    with pytest.raises(ValueError, match="must differ from each other"):
        javascript_function("f", [x, (x, y)], x)
    with pytest.raises(TypeError, match="must be symbols or tuples of symbols"):
        javascript_function("f", [x + y], x)
    for name in ("class", "two words", "sigmoid", ""):
        with pytest.raises(ValueError, match="name must be a JavaScript identifier"):
            javascript_function(name, [x], x)


def test_numbers_keep_all_their_digits():
    source = javascript_function("f", [x], [0.1 + 0.2 * x, sp.Rational(1, 3) * x, 2**70 + x])
    assert "0.1" in source
    assert "0.30000000000000004" in javascript_function("f", [x], x + (0.1 + 0.2))
    assert "(1/3)*x" in source
    assert str(2**70) in source


def test_loops_sum_over_the_indices_of_a_sum(chromium):
    n, m = sp.symbols("n m", integer=True)
    i, j = sp.Idx("i", n), sp.Idx("j", m)
    W, a, z = sp.IndexedBase("W", shape=(n, m)), sp.IndexedBase("a"), sp.IndexedBase("z")
    total, table = sp.IndexedBase("total"), sp.IndexedBase("table", shape=(n, m))
    assignments = {
        z[j]: x * sp.Sum(W[i, j] * a[i], i) - sp.Sum(a[i] ** 2, i),
        table[i, j]: 1 / (1 + sp.exp(-a[i] * z[j])),
        total[j]: sp.Sum(table[i, j], i, j),
    }
    source = javascript_loops("fill", [n, m, x, "W", "a", "z", "table", "total"], assignments)
    rng = np.random.default_rng(0)
    weights, inputs = rng.normal(size=(3, 2)), 400 * rng.normal(size=3)
    page = chromium.new_page()
    page.add_script_tag(content=prelude())
    found = page.evaluate(
        """([source, W, a]) => {
            const fill = new Function(source + "; return fill;")(), [z, table, total] = [[], [], []];
            fill(3, 2, 0.5, W, a, z, table, total);
            return [z, table, total];
        }""",
        [source, weights.ravel().tolist(), inputs.tolist()],
    )
    page.close()
    expected = 0.5 * inputs @ weights - inputs @ inputs
    with np.errstate(over="ignore"):
        squashed = 1 / (1 + np.exp(-np.outer(inputs, expected)))
    for ours, numpys in zip(found, (expected, squashed.ravel(), [squashed.sum()] * 2), strict=True):
        np.testing.assert_allclose(ours, numpys, rtol=1e-12)


def test_a_case_for_all_the_rest_leaves_no_nan():
    relu = sp.Piecewise((0, x <= 0), (x, True))
    assert "NaN" not in javascript_function("f", [x], relu)
    assert "NaN" in javascript_function("f", [x], sp.Piecewise((x, x > 0)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: javascript_function(None, [], 1), ValueError, "name must be a JavaScript identifier"),
        (lambda: javascript_loops("class", [], {}), ValueError, "name must be a JavaScript identifier"),
        (lambda: javascript_function("f", None, 1), TypeError, "arguments must be a list of symbols"),
        (lambda: javascript_function("f", [], None), TypeError, "arguments and expressions must be SymPy's"),
        (lambda: javascript_loops("f", [], {sp.Symbol("x"): 1}), TypeError, "assignments must fill entries of arrays"),
        (
            lambda: javascript_loops("f", [], {sp.IndexedBase("a")[sp.Idx("i", 3)]: sp.gamma(sp.Symbol("x"))}),
            ValueError,
            "gamma.* cannot be printed",
        ),
    ],
)
def test_what_is_no_program_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
