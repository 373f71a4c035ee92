"""True derivations of the chapters are proved; planted wrong steps are refused, with the step shown."""

import subprocess
import sys

import pytest
import sympy as sp

from mlmath.derivation import (
    Derivation,
    UnprovedStep,
    argmax,
    argmin,
    at_least,
    at_most,
    by_induction,
    equals,
    for_all,
    gradient,
    hessian,
    iff,
    less_than,
    more_than,
    must_equal,
    same_optimum,
    solution,
    squared_norm,
    start,
)

w, b, xbar, ybar, Sxy = sp.symbols("w b xbar ybar S_xy", real=True)
Sxx, sigma, tau, L, mu, lam = sp.symbols("S_xx sigma tau L mu lambda", positive=True)
rate = sp.Symbol("eta", positive=True)
n, d = sp.symbols("n d", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
k = sp.Symbol("k", integer=True, nonnegative=True)
x, y, u, v = (sp.IndexedBase(name, real=True) for name in "xyuv")
error = sp.Function("e", real=True)


def total(summand, index=i):
    return sp.Sum(summand, (index, 1, n))


S = total((y[i] - w * x[i] - b) ** 2)
MEANS = {xbar: total(x[i]) / n, ybar: total(y[i]) / n}
SPREAD = {Sxx: total((x[i] - xbar) ** 2), Sxy: total((x[i] - xbar) * (y[i] - ybar))}
X, Y, W = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("y", n, 1), sp.MatrixSymbol("w", d, 1)
A = sp.MatrixSymbol("A", d, d)
SIZES = {n: 3, d: 2}
SSE = squared_norm(Y - X * W)
NORMAL_DENSITY = sp.exp(-((y[i] - w * x[i] - b) ** 2) / (2 * sigma**2)) / sp.sqrt(2 * sp.pi * sigma**2)


def intercept():
    return Derivation(
        start(sp.Derivative(S, b)),
        equals(-2 * total(y[i] - w * x[i] - b), "the chain rule, term by term"),
        equals(-2 * n * (ybar - w * xbar - b), r"write $\bar x$ and $\bar y$ for the means", where=MEANS),
        must_equal(0, "at a minimum the derivative vanishes"),
        solution({b: ybar - w * xbar}, "solve for $b$"),
        label="eq-intercept",
    )


def slope():
    return Derivation(
        start(sp.Derivative(S, w)),
        equals(-2 * total(x[i] * (y[i] - w * x[i] - b)), "the chain rule, term by term"),
        equals(-2 * total(x[i] * (y[i] - ybar - w * (x[i] - xbar))), "insert $b$", where={b: ybar - w * xbar}),
        equals(-2 * total((x[i] - xbar) * (y[i] - ybar - w * (x[i] - xbar))), "deviations add up to zero", where=MEANS),
        equals(-2 * (Sxy - w * Sxx), "split the sum", where=SPREAD),
        must_equal(0, "at a minimum the derivative vanishes"),
        solution({w: Sxy / Sxx}, "divide by $S_{xx} > 0$"),
    )


def both_at_once():
    determinant = sp.Ne(n * total(x[i] ** 2) - total(x[i]) ** 2, 0)
    means = {b: ybar - w * xbar}
    numerator = n * total(x[i] * y[i]) - total(x[i]) * total(y[i])
    slope = numerator / (n * total(x[i] ** 2) - total(x[i]) ** 2)
    return (
        Derivation(
            start([sp.Eq(sp.diff(S, w), 0), sp.Eq(sp.diff(S, b), 0)]),
            solution({w: slope, b: (ybar - slope * xbar)}, "two linear equations", where=MEANS),
            given=[determinant],
        )
        and means
    )


def centered_sums():
    return Derivation(
        start(total((x[i] - xbar) * (y[i] - ybar))),
        equals(total(x[i] * y[i]) - n * xbar * ybar, "multiply out", where=MEANS),
    )


def normal_equations():
    return Derivation(
        start(gradient(SSE, W)),
        equals(2 * X.T * (X * W - Y), "by components"),
        must_equal(0, "at a minimum"),
        iff(sp.Eq(X.T * X * W, X.T * Y), "divide by 2"),
        solution({W: (X.T * X).inv() * X.T * Y}, "the columns are independent"),
        given=[sp.Ne(sp.Determinant(X.T * X), 0)],
        sizes=SIZES,
        label="eq-normal",
    )


def explicit_matrices():
    A = sp.Matrix(2, 2, lambda r, c: sp.Symbol(f"a_{r}{c}", real=True))
    z = sp.Matrix(sp.symbols("z1:3", real=True))
    form = (z.T * A * z)[0]
    return Derivation(start(sp.Matrix([form.diff(s) for s in z])), equals((A + A.T) * z, "by components"))


def hessian_is_positive():
    direction = sp.MatrixSymbol("v", d, 1)
    return Derivation(
        start(direction.T * hessian(SSE, W) * direction),
        equals(2 * direction.T * X.T * X * direction, r"the Hessian is $2X^\top X$"),
        equals(2 * squared_norm(X * direction), "a squared length"),
        at_least(0, "a sum of squares"),
        sizes=SIZES,
    )


def likelihood():
    return Derivation(
        start(argmax(sp.Product(NORMAL_DENSITY, (i, 1, n)), w, b)),
        same_optimum(argmax(-n * sp.log(2 * sp.pi * sigma**2) / 2 - S / (2 * sigma**2), w, b), "log is increasing"),
        same_optimum(argmin(S, w, b), "a constant and a negative factor"),
    )


def log_likelihood():
    return Derivation(
        start(sp.log(sp.Product(NORMAL_DENSITY, (i, 1, n)))),
        equals(-n * sp.log(2 * sp.pi * sigma**2) / 2 - S / (2 * sigma**2), "the log of a product is the sum of logs"),
    )


def ridge_is_map():
    prior = sp.exp(-(w**2) / (2 * tau**2)) / sp.sqrt(2 * sp.pi * tau**2)
    alpha = sp.Symbol("alpha", positive=True)
    return Derivation(
        start(argmax(sp.Product(NORMAL_DENSITY, (i, 1, n)) * prior, w, b)),
        same_optimum(argmin(S / (2 * sigma**2) + w**2 / (2 * tau**2), w, b), "minus the logarithm"),
        same_optimum(argmin(S + alpha * w**2, w, b), "times $2σ^2$", where={alpha: sigma**2 / tau**2}),
    )


def ridge_normal_equations():
    alpha = sp.Symbol("alpha", positive=True)
    return Derivation(
        start(gradient(SSE + alpha * squared_norm(W), W)),
        equals(2 * (X.T * X * W + alpha * W - X.T * Y), "by components"),
        must_equal(0, "at a minimum"),
        iff(sp.Eq((X.T * X + alpha * sp.Identity(d)) * W, X.T * Y), "divide by 2"),
        sizes=SIZES,
    )


def condition_number():
    phi, psi = sp.symbols("phi psi", real=True)
    s, t = sp.symbols("sigma_1 sigma_2", positive=True)
    U = sp.Matrix([[sp.cos(phi), -sp.sin(phi)], [sp.sin(phi), sp.cos(phi)], [0, 0]])
    V = sp.Matrix([[sp.cos(psi), -sp.sin(psi)], [sp.sin(psi), sp.cos(psi)]])
    A = U * sp.diag(s, t) * V.T
    return Derivation(
        start(A.T * A, name=r"X^\top X"),
        equals(V * sp.diag(s**2, t**2) * V.T, r"$U^\top U = I$"),
    ) and Derivation(start((s / t) ** 2), equals(s**2 / t**2, "the singular values are squared"))


def cauchy_schwarz():
    return Derivation(
        start(total(u[i] * v[i]) ** 2),
        at_most(
            total(u[i] ** 2) * total(v[i] ** 2),
            "Lagrange's identity",
            gap=sp.Sum((u[i] * v[j] - u[j] * v[i]) ** 2, (i, 1, n), (j, 1, n)) / 2,
        ),
    )


def steepest_ascent():
    unit = sp.Eq(total(v[i] ** 2), 1)
    return Derivation(
        start(total(u[i] * v[i]) ** 2),
        at_most(
            total(u[i] ** 2),
            "Cauchy and Schwarz, and $v$ is a unit vector",
            using={unit: -total(u[i] ** 2)},
            gap=sp.Sum((u[i] * v[j] - u[j] * v[i]) ** 2, (i, 1, n), (j, 1, n)) / 2,
        ),
        given=[unit],
    )


def recursion():
    return Derivation(
        start(sp.Eq(error(k + 1), error(k) - rate * lam * error(k))),
        iff(sp.Eq(error(k + 1), (1 - rate * lam) * error(k)), "collect"),
        by_induction(sp.Eq(error(k), (1 - rate * lam) ** k * error(0)), "induction over $k$"),
    )


def convergence():
    step = sp.Symbol("eta", real=True)
    return Derivation(
        start(sp.Abs(1 - step * lam) < 1),
        iff([1 - step * lam < 1, -(1 - step * lam) < 1], "$|u|<1$ means $-1<u<1$"),
        iff([step > 0, step < 2 / lam], r"divide by $\lambda > 0$"),
    )


def best_rate():
    low, high = sp.symbols("lambda_1 lambda_n", positive=True)
    step = sp.Symbol("eta", real=True)
    kappa = sp.Symbol("kappa", positive=True)
    return Derivation(
        start(sp.Eq(1 - step * low, -(1 - step * high))),
        solution({step: 2 / (low + high)}, "both ends shrink alike"),
    ) and Derivation(
        start(1 - step * low),
        equals((high - low) / (high + low), "insert the rate", where={step: 2 / (low + high)}),
        equals((kappa - 1) / (kappa + 1), "divide by the smallest eigenvalue", where={kappa: high / low}),
    )


def no_rate_is_better():
    # max(a, b) ≥ any weighted mean of a and b: with the weights below, η drops out.
    low, high = sp.symbols("lambda_1 lambda_n", positive=True)
    step, worst = sp.symbols("eta q", real=True)
    slow, fast = sp.Ge(worst, 1 - step * low), sp.Ge(worst, step * high - 1)
    return Derivation(
        start(worst),
        at_least(
            (high - low) / (high + low),
            "a weighted mean of both",
            using={slow: high / (low + high), fast: low / (low + high)},
        ),
        given=[slow, fast],
    )


def descent_lemma():
    old, new, g = sp.symbols("f_0 f_1 g", real=True)
    smooth, small = sp.Le(new, old - rate * g**2 + L * rate**2 * g**2 / 2), sp.Le(rate, 1 / L)
    return Derivation(
        start(new),
        at_most(old - rate * g**2 + L * rate**2 * g**2 / 2, "smoothness", using={smooth: 1}),
        equals(old - rate * (1 - L * rate / 2) * g**2, "collect"),
        at_most(old - rate * g**2 / 2, r"$\eta \le 1/L$", using={small: L * rate * g**2 / 2}),
        given=[smooth, small],
    )


def sublinear():
    K = sp.Symbol("k", integer=True, positive=True)
    f, distance = sp.Function("f", real=True), sp.Function("d", nonnegative=True)
    best = sp.Symbol("f_*", real=True)
    progress = for_all(i, sp.Le(f(i) - best, (distance(i - 1) - distance(i)) / (2 * rate)))
    monotone = for_all(i, sp.Le(f(K), f(i)))
    return Derivation(
        start(K * (f(K) - best)),
        equals(sp.Sum(f(K) - best, (i, 1, K)), "the same term $k$ times"),
        at_most(sp.Sum(f(i) - best, (i, 1, K)), "the last is the least"),
        at_most(sp.Sum((distance(i - 1) - distance(i)) / (2 * rate), (i, 1, K)), "progress of each step"),
        equals((distance(0) - distance(K)) / (2 * rate), "the sum telescopes"),
        at_most(distance(0) / (2 * rate), "a distance is not negative"),
        given=[monotone, progress],
    )


def linear_rate():
    gap = sp.Function("Delta", real=True)
    small = sp.Le(mu, L)
    return Derivation(
        start(sp.Le(gap(k + 1), (1 - mu / L) * gap(k))),
        by_induction(sp.Le(gap(k), (1 - mu / L) ** k * gap(0)), "induction"),
        given=[small, sp.Ge(1 - mu / L, 0)],
    )


def momentum():
    beta = sp.Symbol("beta", nonnegative=True)
    z, curvature, step = sp.symbols("z lambda eta", real=True)
    M = sp.Matrix([[1 + beta - step * curvature, -beta], [1, 0]])
    return Derivation(
        start((M - z * sp.eye(2)).det()),
        equals(z**2 - (1 + beta - step * curvature) * z + beta, "the characteristic polynomial"),
    ) and Derivation(
        start(sp.Abs(1 + beta - step * curvature) < 1 + beta),
        iff([step * curvature > 0, step * curvature < 2 + 2 * beta], "$|u| < c$ means $-c < u < c$"),
    )


def all_roots():
    z = sp.Symbol("z", real=True)
    return Derivation(start(z**3 - 3 * z + 2), must_equal(0, "roots"), solution({z: [1, -2]}, "one of them twice"))


def monotonic_equation():
    z = sp.Symbol("z", real=True)
    return Derivation(start(sp.exp(z) + z), must_equal(1, "set to 1"), solution({z: 0}, "the left side increases"))


def calculus():
    z = sp.Symbol("z", real=True)
    return Derivation(
        start(sp.Limit((sp.exp(z) - 1) / z, z, 0)), equals(1, "the derivative of exp at 0")
    ) and Derivation(start(sp.Integral(sp.exp(-(z**2) / 2), (z, -sp.oo, sp.oo))), equals(sp.sqrt(2 * sp.pi), "Gauss"))


def rectified_variance():
    z, p = sp.Symbol("z", real=True), sp.Function("p", nonnegative=True)
    return Derivation(
        start(sp.Integral(sp.Max(0, z) ** 2 * p(sp.Abs(z)), (z, -sp.oo, sp.oo))),
        equals(sp.Integral(z**2 * p(sp.Abs(z)), (z, 0, sp.oo)), "a negative z contributes nothing"),
        equals(sp.Integral(z**2 * p(sp.Abs(z)), (z, -sp.oo, 0)), "turn around"),
        equals(sp.Integral(z**2 * p(sp.Abs(z)), (z, -sp.oo, sp.oo)) / 2, "half of an even integral"),
    )


def geometric_sum():
    q, K = sp.Symbol("q", positive=True), sp.Symbol("k", integer=True, positive=True)
    return Derivation(
        start(sp.Sum(q**i, (i, 0, K - 1))),
        equals((1 - q**K) / (1 - q), "the geometric sum"),
        less_than(1 / (1 - q), "$q^k > 0$"),
        given=[sp.Lt(q, 1)],
    )


def logistic_gradient():
    return Derivation(
        start(sp.Derivative(total(sp.log(1 + sp.exp(w * x[i])) - y[i] * w * x[i]), w)),
        equals(total((1 / (1 + sp.exp(-w * x[i])) - y[i]) * x[i]), "the chain rule"),
    )


def everywhere(term, *indices):
    """Σ over all integers, as for a signal that is zero outside of its range."""
    return sp.Sum(term, *((index, -sp.oo, sp.oo) for index in indices))


def turned_kernel():
    size, pad, dilation = sp.symbols("k p d", integer=True)
    place, at = sp.symbols("t s", integer=True)
    moved = everywhere(u[i] * everywhere(v[at] * x[at + dilation * i - pad], at), i)
    turned = u[size - 1 - i] * v[place + pad - dilation * (size - 1) + dilation * i]
    return Derivation(
        start(moved),
        equals(everywhere(everywhere(u[i] * v[place + pad - dilation * i], i) * x[place], place), "by place"),
        equals(everywhere(everywhere(turned, i) * x[place], place), "from the other end"),
    )


TRUE = [
    *(
        intercept,
        slope,
        both_at_once,
        centered_sums,
        normal_equations,
        explicit_matrices,
        hessian_is_positive,
        likelihood,
    ),
    *(
        log_likelihood,
        ridge_is_map,
        ridge_normal_equations,
        condition_number,
        cauchy_schwarz,
        steepest_ascent,
        recursion,
    ),
    *(convergence, best_rate, no_rate_is_better, descent_lemma, sublinear, linear_rate, momentum, all_roots),
    *(monotonic_equation, calculus, rectified_variance, geometric_sum, logistic_gradient, turned_kernel),
]


@pytest.mark.parametrize("derive", TRUE)
def test_true_derivations_are_proved(derive):
    assert derive()


def chain(before, step, **options):
    return lambda: Derivation(start(before), step, **options)


z = sp.Symbol("z", real=True)
HALF_SPREAD = sp.Sum((u[i] * v[j] - u[j] * v[i]) ** 2, (i, 1, n), (j, 1, n)) / 2
SQUARES = total(u[i] ** 2) * total(v[i] ** 2)
gap_k = sp.Function("Delta", real=True)
LINEAR = sp.Eq(error(k + 1), (1 - rate * lam) * error(k))
P = sp.Symbol("p", integer=True, positive=True)
ANY_DENSITY = sp.Function("p", nonnegative=True)(z)
WRONG = {
    "a sign": chain(sp.Derivative(S, b), equals(2 * total(y[i] - w * x[i] - b), "wrong")),
    "a sign inside a sum": chain(
        total((x[i] - xbar) * (y[i] - ybar)), equals(total(x[i] * y[i]) + n * xbar * ybar, "wrong", where=MEANS)
    ),
    "a factor one half": chain(sp.Derivative(S / 2, w), equals(-2 * total(x[i] * (y[i] - w * x[i] - b)), "wrong")),
    "a dropped term": chain(sp.Derivative(S, b), equals(-2 * total(y[i] - w * x[i]), "wrong")),
    "an index": chain(
        sp.Sum(u[i] * v[j] * sp.IndexedBase("A", real=True)[i, j], (i, 1, n), (j, 1, n)),
        equals(sp.Sum(u[i] * v[j] * sp.IndexedBase("A", real=True)[j, i], (i, 1, n), (j, 1, n)), "wrong"),
    ),
    "a sum of products for a product of sums": chain(total(u[i]) * total(v[i]), equals(total(u[i] * v[i]), "wrong")),
    "a range": chain(sp.Sum(error(i) - error(i + 1), (i, 0, k)), equals(error(0) - error(k), "wrong")),
    "a place in an endless sum": chain(
        everywhere(u[i] * v[j - i], i), equals(everywhere(u[j - i + 1] * v[i], i), "wrong")
    ),
    "every second term for all": chain(everywhere(u[2 * i], i), equals(everywhere(u[i], i), "wrong")),
    "a shift by half a place": chain(everywhere(u[i + z], i), equals(everywhere(u[i], i), "wrong")),
    "n forgotten": chain(total(b), equals(b, "wrong")),
    "a root that may be negative": chain(sp.sqrt(w**2), equals(w, "wrong")),
    "a logarithm of a negative": chain(sp.log(w**2), equals(2 * sp.log(w), "wrong")),
    "a transpose": chain(gradient(SSE, W), equals(2 * X.T * (Y - X * W), "wrong"), sizes=SIZES),
    "a matrix product turned around": chain(X.T * X * A, equals(A * X.T * X, "wrong"), sizes=SIZES),
    "a shape": chain(sp.Matrix([w, b]), equals(sp.Matrix([[w, b]]), "wrong")),
    "Gauss without 2": chain(sp.Integral(sp.exp(-(z**2)), (z, -sp.oo, sp.oo)), equals(sp.sqrt(2 * sp.pi), "wrong")),
    "a half line for the line": chain(
        sp.Integral(z**2 * sp.exp(-sp.Abs(z)), (z, -sp.oo, sp.oo)),
        equals(sp.Integral(z**2 * sp.exp(-sp.Abs(z)), (z, 0, sp.oo)), "wrong"),
    ),
    "a density that is not even": chain(
        sp.Integral(ANY_DENSITY, (z, -sp.oo, sp.oo)), equals(2 * sp.Integral(ANY_DENSITY, (z, 0, sp.oo)), "wrong")
    ),
    "a definition of itself": chain(b, equals(b + 1, "wrong", where={b: b + 1})),
    "an impossible definition": chain(sigma, equals(-1, "wrong", where={sigma: sp.Integer(-1)})),
    "a bound turned around": chain(total(u[i] * v[i]) ** 2, at_least(SQUARES, "wrong", gap=-HALF_SPREAD)),
    "a bound with the wrong gap": chain(total(u[i] * v[i]) ** 2, at_most(SQUARES, "wrong", gap=2 * HALF_SPREAD)),
    "a bound that needs a sign": chain(w, at_most(2 * w, "wrong")),
    "a strict bound that may be an equality": chain(-(w**2), less_than(0, "wrong")),
    "a sum is not positive when it may be empty of positives": chain(
        sp.Integer(0), less_than(total(u[i] ** 2), "wrong")
    ),
    "an unstated hypothesis": chain(w, at_most(b, "wrong", using={sp.Le(w, b): 1})),
    "a negative factor": chain(-w, at_most(-b, "wrong", using={sp.Le(w, b): -1}), given=[sp.Le(w, b)]),
    "a factor of unknown sign": chain(z * w, at_most(z * b, "wrong", using={sp.Le(w, b): z}), given=[sp.Le(w, b)]),
    "one index for every index": chain(total(u[i]), at_most(total(v[i]), "wrong"), given=[sp.Le(u[i], v[i])]),
    "division by what may vanish": chain(sp.Eq(z * w, z * b), iff(sp.Eq(w, b), "wrong")),
    "an inequality times what may be negative": chain(z * w < z * b, iff(w < b, "wrong")),
    "an inequality turned": chain(lam * w < b, iff(w > b / lam, "wrong")),
    "strict for weak": chain(lam * w <= b, iff(w < b / lam, "wrong")),
    "one half of an absolute value": chain(sp.Abs(z) < lam, iff(z < lam, "wrong")),
    "an equation scaled wrongly": chain(sp.Eq(2 * w, b), iff(sp.Eq(w, 2 * b), "wrong")),
    "no solution": chain(sp.Eq(2 * w, b), solution({w: b}, "wrong")),
    "one of two solutions": chain(sp.Eq(w**2, 4), solution({w: 2}, "wrong")),
    "a missing root": chain(sp.Eq(w * (w - 1) * (w + b), 0), solution({w: [0, 1]}, "wrong")),
    "a slope that may not be unique": chain(
        sp.Eq(total(x[i] * (y[i] - w * x[i])), 0), solution({w: total(x[i] * y[i]) / total(x[i] ** 2)}, "wrong")
    ),
    "dependent equations": chain([sp.Eq(w + b, 2), sp.Eq(2 * w + 2 * b, 4)], solution({w: 1, b: 1}, "wrong")),
    "a singular system": chain(
        sp.Eq(X.T * X * W, X.T * Y), solution({W: (X.T * X).inv() * X.T * Y}, "wrong"), sizes=SIZES
    ),
    "a solution out of bounds": chain(sp.Eq(sigma + 1, 0), solution({sigma: -1}, "wrong")),
    "a false closed form": chain(
        LINEAR, by_induction(sp.Eq(error(k), (1 - rate * lam) ** (k + 1) * error(0)), "wrong")
    ),
    "a recursion over the reals": chain(
        sp.Eq(error(z + 1), error(z)), by_induction(sp.Eq(error(z), error(0)), "wrong")
    ),
    "an equation for an expression": chain(sp.Eq(w, b), equals(w, "wrong")),
    "a false start": chain(LINEAR, by_induction(sp.Eq(error(k), (1 - rate * lam) ** k), "wrong")),
    "a bound that does not carry over": chain(
        sp.Le(gap_k(k + 1), (1 - mu / L) * gap_k(k)),
        by_induction(sp.Le(gap_k(k), (1 - mu / L) ** k * gap_k(0)), "wrong"),
    ),
    "a maximum for a minimum": chain(argmax(-S, w, b), same_optimum(argmax(S, w, b), "wrong")),
    "a factor that depends on the variable": chain(argmin(w**2, w), same_optimum(argmin(w**3, w), "wrong")),
    "a logarithm of what may be negative": chain(argmax(w, w), same_optimum(argmax(sp.log(w), w), "wrong")),
    "a prior left out": chain(argmin(S + lam * w**2, w, b), same_optimum(argmin(S, w, b), "wrong")),
    "a geometric sum one short": chain(
        sp.Sum(mu**i, (i, 0, P)), equals((1 - mu**P) / (1 - mu), "wrong"), given=[sp.Lt(mu, 1)]
    ),
}


@pytest.mark.parametrize("derive", WRONG.values(), ids=WRONG)
def test_wrong_steps_are_refused(derive):
    with pytest.raises(UnprovedStep, match=r"(?s)step 2 \(wrong\) is not proved:\n  before: .*\n  after: .*\n  .+"):
        derive()


def test_the_refusal_shows_both_sides_what_is_left_and_a_counterexample():
    with pytest.raises(UnprovedStep) as refusal:
        Derivation(start((w + b) ** 2), equals(w**2 + 2 * w * b + b**2, "expand"), equals(w**2 + b**2, "drop"))
    message = str(refusal.value)
    assert "step 3 (drop)" in message
    assert "2*b*w" in message
    assert "for example at {b: " in message


def test_strict_bounds_are_proved():
    assert Derivation(start(w**2 + sigma), more_than(0, "a square and something positive"))


def test_must_start_with_start():
    with pytest.raises(ValueError, match="must begin with start"):
        Derivation(equals(w, "nothing before"))
    with pytest.raises(TypeError, match="steps must be made by start, equals"):
        Derivation(start(w), w)


def test_display_is_one_labeled_block_with_reasons_and_assumptions():
    bundle = intercept()._repr_mimebundle_()
    assert set(bundle) == {"text/markdown", "text/plain"}
    text = bundle["text/markdown"]
    assert text.startswith("$$\n\\begin{aligned}\n")
    assert text.endswith("\n\\end{aligned}\n$$ (eq-intercept)")
    assert r"\text{the chain rule, term by term}" in text
    assert r"\text{with } \bar{x} = \frac{\sum_{i=1}^{n} {x}_{i}}{n}" in text
    assert r"\text{for } n \in \{1, 2, \dots\}" in text
    assert bundle["text/plain"] == r"Derivation: 4 steps proved, to b = -w*xbar + ybar"


def test_hypotheses_and_sizes_are_displayed():
    text = normal_equations().latex()
    assert r"\text{given } \left|{X^\top X}\right| \neq 0" in text
    assert r"\text{proved entry by entry for } n = 3,\ d = 2" in text
    assert r"\text{ for every } i" in sublinear().latex()


def test_weighted_least_squares_shows_its_weights_as_a_diagonal_matrix():
    weights = sp.DiagMatrix(sp.MatrixSymbol("s", n, 1))
    gap = Y - X * W
    weighted = Derivation(
        start(gradient(gap.T * weights * gap, W)), equals(-2 * X.T * weights * gap, "by components"), sizes=SIZES
    )
    assert r"= - 2 X^\top \operatorname{diag}(s) \left(y - X w\right)" in weighted.latex()


def test_long_reasons_are_broken_outside_of_formulas():
    reason = "a reason of many words that goes on and on until $a + b + c + d$ and then even further than that"
    rows = Derivation(start(w), equals(w, reason)).latex().split("\\\\")
    assert all(row.count("$") % 2 == 0 for row in rows)
    assert max(map(len, rows)) < 100


def test_output_is_the_same_in_every_run():
    program = (
        "import sys; sys.path.insert(0, 'tests'); import test_derivation as t; print([f().latex() for f in t.SHOWN])"
    )
    runs = [
        subprocess.run([sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True)
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout


SHOWN = [intercept, slope, cauchy_schwarz, likelihood, sublinear, normal_equations]
