"""Least squares against certified data, SciPy, statsmodels, exact arithmetic, and its own geometry."""

import re
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from pathlib import Path

import nbformat
import numpy as np
import pytest
import scipy.linalg
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.linear_model import Ridge as SklearnRidge

from mlmath import data, explore
from mlmath.regression import least_squares, r_squared, residual_variance, ridge, standard_errors, with_intercept

SOLVERS = ("normal", "qr", "svd")
NIST = Path(data.__file__).parent
SETS = data.CERTIFIED


def problem(n=60, d=4, k=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, rng.normal(size=n if k is None else (n, k))


# --- Certified data ---------------------------------------------------------------------------------------------------


@cache
def certificate(name):
    """The numbers of a file as printed: weights, their standard errors, s, R², and the rows (y, x, ...)."""
    lines = (NIST / f"{name}.dat").read_text().splitlines()
    certified, rows = lines[30:60], [line.split() for line in lines[60:] if line.strip()]
    pairs = [match.groups() for line in certified if (match := re.match(r"\s*B\d+\s+(\S+)\s+(\S+)", line))]
    weights, errors = zip(*pairs, strict=True)
    s, R2 = (
        next(line.split()[-1] for line in certified if line.strip().startswith(label))
        for label in ("Standard Deviation", "R-Squared")
    )
    return weights, errors, s, R2, rows


def design(name, number):
    """X, a column of ones first where the model has an intercept, and y."""
    weights, *_, table = certificate(name)
    y, rows = [number(row[0]) for row in table], [[number(x) for x in row[1:]] for row in table]
    if name == "Longley":
        rows = [[number(1), *row] for row in rows]
    elif not name.startswith("NoInt"):
        rows = [[row[0] ** power for power in range(len(weights))] for row in rows]
    return rows, y


def correct_digits(computed, printed):
    """-log10 of the relative error of the worst number, at most 15.

    The certificate gives 15 digits: a number that rounds to them has all 15.
    """
    digits = 15.0
    for number, text in zip(np.ravel(computed), np.ravel(printed), strict=True):
        value = Decimal(str(text))
        error = abs(Decimal(float(number)) - value)
        if error > Decimal(5).scaleb(value.adjusted() - 15):
            digits = min(digits, -float((error / abs(value)).log10()) if value else -float(error.log10()))
    return digits


def exact_fit(name):
    """Weights, diagonal of (XᵀX)⁻¹, residual and total sum of squares, as fractions: Gauss-Jordan on [XᵀX Xᵀy I]."""
    X, y = design(name, Fraction)
    d = len(X[0])
    H = [
        [sum(row[i] * row[j] for row in X) for j in range(d)]
        + [sum(row[i] * t for row, t in zip(X, y, strict=True))]
        + [Fraction(i == j) for j in range(d)]
        for i in range(d)
    ]
    for i in range(d):
        H[i] = [value / H[i][i] for value in H[i]]
        for j in range(d):
            if j != i:
                H[j] = [a - H[j][i] * b for a, b in zip(H[j], H[i], strict=True)]
    w = [row[d] for row in H]
    rss = sum((t - sum(a * b for a, b in zip(row, w, strict=True))) ** 2 for row, t in zip(X, y, strict=True))
    center = 0 if name.startswith("NoInt") else sum(y) / len(y)
    return w, [H[i][d + 1 + i] for i in range(d)], rss, sum((t - center) ** 2 for t in y)


@pytest.mark.parametrize("name", SETS)
def test_the_certificates_follow_from_the_data(name):
    weights, errors, s, R2, rows = certificate(name)
    w, variances, rss, total = exact_fit(name)
    s2 = rss / (len(rows) - len(w))

    def agree(text, exact):
        with localcontext(prec=40):
            value = Decimal(exact.numerator) / exact.denominator
            return abs(Decimal(text) - value) <= Decimal("5e-15") * abs(value)

    assert all(map(agree, weights, w))
    # A standard error is a square root: compare squares, as fractions.
    for text, exact in zip((*errors, s), (*(s2 * v for v in variances), s2), strict=True):
        assert abs(Fraction(text) ** 2 - exact) <= Fraction(1, 10**14) * exact
    assert agree(R2, 1 - rss / total)


def peers(name):
    """Digits of mlmath's QR, of NumPy and of scikit-learn, the latter also without its own intercept."""
    X, y = map(np.array, design(name, float))
    fits = {"mlmath qr": least_squares(X, y), "numpy lstsq": np.linalg.lstsq(X, y)[0]}
    fits["scikit-learn, no intercept"] = LinearRegression(fit_intercept=False).fit(X, y).coef_
    model = LinearRegression(fit_intercept=not name.startswith("NoInt"))
    if model.fit_intercept:
        model.fit(X[:, 1:], y)
        fits["scikit-learn"] = np.r_[model.intercept_, model.coef_]
    else:
        fits["scikit-learn"] = model.fit(X, y).coef_
    return {peer: correct_digits(w, certificate(name)[0]) for peer, w in fits.items()}


def test_qr_has_at_least_the_digits_of_its_peers_on_every_certified_set(capsys):
    table = {name: peers(name) for name in SETS}
    with capsys.disabled():
        print("\n\nCorrect digits  " + "  ".join(table["Norris"]))
        for name, row in table.items():
            print(f"{name:14}  " + "  ".join(f"{digits:{len(peer)}.1f}" for peer, digits in row.items()))
    for name, row in table.items():
        assert row["mlmath qr"] >= max(row.values()), name


@pytest.mark.parametrize("name", SETS)
def test_qr_is_nearly_exact_for_the_numbers_it_is_given(name):
    # What is lost on Filip is lost before the fit begins, when the powers of x are rounded to 53 bits.
    digits = correct_digits(least_squares(*map(np.array, design(name, float))), certificate(name)[0])
    assert digits >= {"Filip": 7.5, "Wampler5": 12}.get(name, 13)


@pytest.mark.parametrize("name", SETS)
def test_standard_errors_variance_and_r_squared_are_the_certified_ones(name):
    _, errors, s, R2, _ = certificate(name)
    X, y = map(np.array, design(name, float))
    w = least_squares(X, y)
    at_least = 7.5 if name == "Filip" else 12
    if float(s) == 0:
        assert residual_variance(X, y, w) < 1e-24
        assert standard_errors(X, y, w).max() < 1e-12
    else:
        assert correct_digits(np.sqrt(residual_variance(X, y, w)), s) >= at_least
        assert correct_digits(standard_errors(X, y, w), errors) >= at_least
    if not name.startswith("NoInt"):  # without intercept NIST compares with 0, not with the mean
        assert correct_digits(r_squared(y, X @ w), R2) >= at_least


@pytest.mark.parametrize("name", SETS)
def test_the_loader_returns_the_numbers_of_the_file(name):
    weights, errors, s, R2, _ = certificate(name)
    X, y = design(name, float)
    problem = data.certified(name)
    np.testing.assert_allclose(problem.X, X, rtol=1e-15)
    np.testing.assert_array_equal(problem.y, y)
    np.testing.assert_array_equal(problem.weights, np.array(weights, float))
    np.testing.assert_array_equal(problem.standard_errors, np.array(errors, float))
    assert (problem.s, problem.r_squared) == (float(s), float(R2))
    assert problem.intercept == (problem.X[:, 0] == 1).all() == (not name.startswith("NoInt"))
    with pytest.raises(ValueError, match="read-only"):
        problem.X[0, 0] = 0


def test_a_problem_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"name must be one of 'Norris', .* but it is 'Hald'"):
        data.certified("Hald")


# --- Against references -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("k", [None, 1, 3])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (4, 4), (60, 4), (3000, 7), (700, 100)])
def test_all_solvers_agree_with_scipy(solver, k, n, d):
    X, y = problem(n, d, k)
    w = least_squares(X, y, solver=solver)
    assert w.shape == X.shape[1:] + y.shape[1:]
    np.testing.assert_allclose(w, scipy.linalg.lstsq(X, y)[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("n", [327, 328, 612, 1000, 8193, 20011])
def test_the_blocks_leave_no_row_out(solver, n):
    X, y = problem(n, 49)
    w = least_squares(X, y, solver=solver)
    np.testing.assert_allclose(w, scipy.linalg.lstsq(X, y)[0], rtol=1e-9, atol=1e-12)
    y[-1] += 1e6
    w = least_squares(X, y, solver=solver)
    np.testing.assert_allclose(w, scipy.linalg.lstsq(X, y)[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_float32_stays_float32(solver):
    X, y = (a.astype(np.float32) for a in problem(2000, 6))
    w = least_squares(X, y, solver=solver)
    assert w.dtype == np.float32
    assert ridge(X, y, alpha=1).dtype == np.float32
    assert with_intercept(X).dtype == np.float32
    np.testing.assert_allclose(w, scipy.linalg.lstsq(X.astype(float), y.astype(float))[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("alpha", [1e-6, 0.1, 10, 1e8])
@pytest.mark.parametrize("k", [None, 2])
def test_ridge_agrees_with_scikit_learn_and_its_formula(alpha, k):
    X, y = problem(40, 5, k)
    w = ridge(X, y, alpha=alpha)
    np.testing.assert_allclose(w, np.linalg.solve(X.T @ X + alpha * np.eye(5), X.T @ y), rtol=1e-9)
    np.testing.assert_allclose(w, SklearnRidge(alpha=alpha, fit_intercept=False).fit(X, y).coef_.T, rtol=1e-9)


def test_ridge_needs_neither_independent_columns_nor_many_samples():
    X, y = problem(5, 12)
    X[:, 3] = X[:, 2]
    w = ridge(X, y, alpha=0.5)
    assert w[2] == pytest.approx(w[3])
    np.testing.assert_allclose(X.T @ (y - X @ w), 0.5 * w, atol=1e-12)


def test_statistics_agree_with_statsmodels():
    X, y = problem(50, 3)
    X = with_intercept(X)
    reference = sm.OLS(y, X).fit()
    w = least_squares(X, y)
    assert r_squared(y, X @ w) == pytest.approx(reference.rsquared, rel=1e-12)
    assert residual_variance(X, y, w) == pytest.approx(reference.scale, rel=1e-12)
    np.testing.assert_allclose(standard_errors(X, y, w), reference.bse, rtol=1e-12)


def test_with_intercept_puts_ones_first():
    np.testing.assert_array_equal(with_intercept([3, 4]), [[1, 3], [1, 4]])
    np.testing.assert_array_equal(with_intercept([[3, 5], [4, 6]]), [[1, 3, 5], [1, 4, 6]])


# --- Geometry ---------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(0, 30), st.sampled_from(SOLVERS))
def test_the_residual_is_perpendicular_to_every_column(seed, d, extra, solver):
    X, y = problem(d + 2 + extra, d, seed=seed)
    r = y - X @ least_squares(X, y, solver=solver)
    lengths = np.linalg.norm(X, axis=0) * np.linalg.norm(y)
    assert np.abs(X.T @ r / lengths).max() < 1e-8


@settings(max_examples=60)
@given(st.lists(st.integers(-60, 60), min_size=3, max_size=3), st.sampled_from(SOLVERS))
def test_units_do_not_matter(powers, solver):
    X, y = problem(30, 3)
    units = 10.0 ** np.array(powers)
    w = least_squares(X * units, y, solver=solver)
    np.testing.assert_allclose(w * units, least_squares(X, y, solver=solver), rtol=1e-11)


def test_qr_solves_what_rounding_spoils_for_the_normal_equations():
    x = np.linspace(0, 1, 50)
    X = x[:, None] ** np.arange(10)
    w = np.arange(1.0, 11)
    y = X @ w
    errors = {solver: np.abs(least_squares(X, y, solver=solver) - w).max() for solver in SOLVERS}
    assert errors["qr"] < 1e-8
    assert errors["svd"] < 1e-8
    assert errors["normal"] > 1000 * errors["qr"]


# --- Dependent columns ------------------------------------------------------------------------------------------------


def dependent(n=40):
    X, y = problem(n, 4)
    X[:, 3] = X[:, 0] * 0.1 + X[:, 1] * 0.3
    return X, y


@pytest.mark.parametrize("solver", ["normal", "qr"])
@pytest.mark.parametrize("n", [3, 40, 20_000])
def test_dependent_or_too_many_columns_are_refused_with_advice(solver, n):
    X, y = dependent(n)
    with pytest.raises(
        np.linalg.LinAlgError, match=r"X must have linearly independent columns.* 3 of its 4.*svd.*ridge"
    ):
        least_squares(X, y, solver=solver)


@pytest.mark.parametrize("scale", [1, 1e-7])
@pytest.mark.parametrize("n", [2, 3, 40, 20_000])
def test_svd_finds_the_shortest_of_many_solutions(n, scale):
    X, y = dependent(n)
    X *= [1, scale, 1, 1]
    X[:, 3] = X[:, 0] * 0.1 + X[:, 1] * 0.3
    w = least_squares(X, y, solver="svd")
    lengths = np.linalg.norm(X, axis=0)
    null = scipy.linalg.null_space(np.linalg.qr(X / lengths, mode="r"), rcond=1e-12) / lengths[:, None]
    null /= np.linalg.norm(null, axis=0)
    np.testing.assert_allclose(null.T @ w, 0, atol=1e-9 * np.linalg.norm(w))
    assert np.abs(X.T @ (y - X @ w)).max() < 1e-12 * n * (1 + np.linalg.norm(w))
    if scale == 1:
        np.testing.assert_allclose(w, np.linalg.pinv(X, rcond=1e-12) @ y, atol=1e-10)


def test_svd_of_nothing_but_zeros_is_zero():
    np.testing.assert_array_equal(least_squares(np.zeros((3, 2)), [1, 2, 3], solver="svd"), [0, 0])


# --- Bad input --------------------------------------------------------------------------------------------------------

GOOD_X, GOOD_Y = problem(6, 2)
BAD_X = [
    (np.ones(6), ValueError, "X must have 2 dimension"),
    (np.ones((6, 2, 1)), ValueError, "X must have 2 dimension"),
    (np.ones((0, 2)), ValueError, "X must not be empty"),
    (np.ones((6, 0)), ValueError, "X must not be empty"),
    (np.full((6, 2), np.nan), ValueError, "X must be finite"),
    (np.full((6, 2), -np.inf), ValueError, "X must be finite"),
    (np.ones((6, 2)) * 1j, TypeError, "X must hold real numbers"),
    ([["a", "b"]] * 6, TypeError, "X must hold real numbers"),
    ([[1, 2], [3]], ValueError, "X must be a rectangular array"),
]
BAD_Y = [
    (1.0, ValueError, "y must have"),
    (np.ones((6, 1, 1)), ValueError, "y must have"),
    (np.ones(5), ValueError, "6 and 5"),
    ([], ValueError, "y must not be empty"),
    ([1, 2, 3, 4, 5, np.nan], ValueError, "y must be finite"),
    (["a"] * 6, TypeError, "y must hold real numbers"),
    (np.ones(6) * 1j, TypeError, "y must hold real numbers"),
]
FITS = {
    **{solver: lambda X, y, solver=solver: least_squares(X, y, solver=solver) for solver in SOLVERS},
    "ridge": lambda X, y: ridge(X, y, alpha=1),
}
STATISTICS = {
    "variance": lambda X, y: residual_variance(X, y, [1, 2]),
    "errors": lambda X, y: standard_errors(X, y, [1, 2]),
}


@pytest.mark.parametrize("call", [*FITS.values(), *STATISTICS.values()], ids=[*FITS, *STATISTICS])
@pytest.mark.parametrize(("X", "error", "message"), BAD_X)
def test_bad_features_are_named(call, X, error, message):
    with pytest.raises(error, match=message):
        call(X, GOOD_Y)


@pytest.mark.parametrize("call", [*FITS.values(), *STATISTICS.values()], ids=[*FITS, *STATISTICS])
@pytest.mark.parametrize(("y", "error", "message"), BAD_Y)
def test_bad_targets_are_named(call, y, error, message):
    with pytest.raises(error, match=message):
        call(GOOD_X, y)


@pytest.mark.parametrize("solver", ["lu", "QR", "", None, 3])
def test_an_unknown_solver_is_named(solver):
    with pytest.raises(ValueError, match="solver must be one of 'normal', 'qr', 'svd'"):
        least_squares(GOOD_X, GOOD_Y, solver=solver)


@pytest.mark.parametrize(
    ("alpha", "error", "message"),
    [
        (0, ValueError, "alpha must be greater than 0.*least_squares"),
        (-1, ValueError, "alpha must be greater than 0, but it is -1"),
        (np.inf, ValueError, "alpha must be finite"),
        (np.nan, ValueError, "alpha must be finite"),
        ("1", TypeError, "alpha must be a real number"),
        (True, TypeError, "alpha must be a real number"),
        ([1, 2], TypeError, "alpha must be a real number"),
        (1j, TypeError, "alpha must be a real number"),
    ],
)
def test_a_bad_alpha_is_named(alpha, error, message):
    with pytest.raises(error, match=message):
        ridge(GOOD_X, GOOD_Y, alpha=alpha)


@pytest.mark.parametrize(("solver", "size"), [("normal", 1e200), ("normal", 1e308), ("qr", 1e308), ("svd", 1e308)])
def test_overflow_is_an_error_and_no_nan(solver, size):
    with pytest.raises(ValueError, match="X and y must be of moderate size, but the computation overflows"):
        least_squares(np.sign(GOOD_X) * size, GOOD_Y, solver=solver)


def test_one_sample_and_a_constant_column():
    np.testing.assert_allclose(least_squares([[2.0]], [3.0]), [1.5])
    with pytest.raises(ValueError, match="n_samples=1"):
        least_squares([[2.0, 1.0]], [3.0])
    with pytest.raises(ValueError, match="independent columns"):
        least_squares(with_intercept(np.full(5, 0.1)), np.arange(5))
    with pytest.raises(ValueError, match="X must have more samples than columns"):
        residual_variance([[2.0]], [3.0], [1.5])


@pytest.mark.parametrize(
    ("y", "y_hat", "error", "message"),
    [
        ([1, 1, 1], [1, 2, 3], ValueError, "y must hold at least two different values"),
        ([1], [1], ValueError, "y must hold at least two different values"),
        ([1, 2], [1, 2, 3], ValueError, "y and y_hat must have the same length"),
        ([1, 2], [[1], [2]], ValueError, "y_hat must have 1 dimension"),
        ([1, np.nan], [1, 2], ValueError, "y must be finite"),
        ([1, 2], ["a", "b"], TypeError, "y_hat must hold real numbers"),
    ],
)
def test_r_squared_names_bad_input(y, y_hat, error, message):
    with pytest.raises(error, match=message):
        r_squared(y, y_hat)


@pytest.mark.parametrize("size", [1e-300, 1.0, 1e200])
def test_r_squared_does_not_depend_on_the_units(size):
    assert r_squared(np.array([1, 2, 4]) * size, np.array([1, 2, 3]) * size) == pytest.approx(1 - 3 / 14)


def test_a_variance_beyond_the_largest_number_is_refused():
    with pytest.raises(ValueError, match="X, y and w must be of moderate size"):
        residual_variance(GOOD_X, GOOD_Y * 1e200, [1, 2])


@pytest.mark.parametrize("kind", [int, bool, np.float16, np.longdouble])
def test_other_kinds_of_numbers_become_float64(kind):
    X, y = np.array([[1, 0], [0, 1], [1, 1]]).astype(kind), np.array([1, 0, 1]).astype(kind)
    w = least_squares(X, y)
    assert w.dtype == np.float64
    np.testing.assert_allclose(w, [1, 0], atol=1e-15)


@pytest.mark.parametrize(
    ("w", "error", "message"),
    [
        ([1, 2, 3], ValueError, "w must have one weight for each of the 2 columns of X, but it has 3"),
        ([[1], [2]], ValueError, "w must have 1 dimension"),
        ([1, np.inf], ValueError, "w must be finite"),
        (["a", "b"], TypeError, "w must hold real numbers"),
    ],
)
@pytest.mark.parametrize("statistic", [residual_variance, standard_errors])
def test_bad_weights_are_named(statistic, w, error, message):
    with pytest.raises(error, match=message):
        statistic(GOOD_X, GOOD_Y, w)


@pytest.mark.parametrize(("X", "error", "message"), BAD_X[2:])
def test_with_intercept_names_bad_input(X, error, message):
    with pytest.raises(error, match=message):
        with_intercept(X)


def test_standard_errors_of_dependent_columns_are_refused():
    X, y = dependent()
    with pytest.raises(ValueError, match="independent columns"):
        standard_errors(X, y, least_squares(X, y, solver="svd"))


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (
            np.ma.array([[1.0], [2.0]], mask=[[0], [1]]),
            ValueError,
            "X must have all of its entries, but some are masked",
        ),
        (np.array([["1"], ["2"]], dtype=object), TypeError, "X must hold real numbers"),
        ([[None], [1]], TypeError, "X must hold real numbers"),
        ([[10**400], [1]], ValueError, "X must be finite"),
    ],
)
def test_what_only_looks_like_numbers_is_refused(bad, error, message):
    with pytest.raises(error, match=message):
        least_squares(bad, [1.0, 2.0], solver="svd")


@pytest.mark.parametrize(
    ("dtype", "size"), [(np.float32, 1e-18), (np.float32, 1e-30), (float, 1e-160), (float, 1e-200)]
)
def test_the_normal_equations_refuse_squares_that_underflow_and_the_others_do_not_mind(dtype, size):
    X = np.array([[1.0, 2.0], [3.0, 1.0], [2.0, 2.0]])
    y = X @ [1.0, 2.0]
    with pytest.raises(ValueError, match="X must be of moderate size, but its squares underflow"):
        least_squares((size * X).astype(dtype), y.astype(dtype), solver="normal")
    for solver in ("qr", "svd"):
        w = least_squares((size * X).astype(dtype), y.astype(dtype), solver=solver)
        assert w * size == pytest.approx([1, 2], rel=1e-5)


def test_ridge_names_a_penalty_that_is_out_of_range_or_too_small_to_tell_columns_apart():
    X, y = np.ones((3, 2)), np.arange(3.0)
    with pytest.raises(ValueError, match="alpha must be within the range of float32"):
        ridge(X.astype(np.float32), y.astype(np.float32), alpha=1e300)
    with pytest.raises(np.linalg.LinAlgError, match=r"alpha must be larger for the dependent columns of X .* 1e-40"):
        ridge(X, y, alpha=1e-40)


def test_r_squared_of_predictions_out_of_range_says_so():
    with pytest.raises(ValueError, match="y and y_hat must be of moderate size"):
        r_squared([1.0, 2.0], [1e308, -1e308])


def test_standard_errors_of_float32_are_float32():
    X, y = np.array([[1, 0], [1, 1], [1, 3]], np.float32), np.array([1, 2, 2], np.float32)
    assert standard_errors(X, y, least_squares(X, y)).dtype == np.float32


# --- What chapter 1 says ----------------------------------------------------------------------------------------------


@cache
def chapter():
    return nbformat.read(Path(__file__).parents[1] / "book/linear-regression.ipynb", as_version=4).cells


def said():
    return "\n".join(cell.source for cell in chapter() if cell.cell_type == "markdown")


def test_no_section_of_the_chapter_stops_at_a_colon():
    assert not re.findall(r".*:\n\s*\n(?:\(sec-|#).*", said())


def test_what_a_reader_tries_does_not_hold_the_answer():
    code = [cell.source for cell in chapter() if cell.cell_type == "code"]
    assert any(source.startswith("explore.fit_a_line(np.arange(5), [0, 0, 10, 0, 0],") for source in code)
    typical = next(source for source in code if "def hat_diagonal" in source).split("wrong = {")[1]
    assert "QQ" not in typical
    assert ".qr" not in typical
    assert not re.search(r"rows? of Q", typical)


def test_the_condition_numbers_in_the_text_are_those_of_the_data():
    X = data.diabetes().X
    ones, Z = with_intercept(X), (X - X.mean(axis=0)) / X.std(axis=0)
    scaled = ones / np.linalg.norm(ones, axis=0)
    found = [round(float(np.linalg.cond(A)), digits) for A, digits in ((ones, 0), (scaled, 0), (Z, 1))]
    assert found == [7236, 200, 21.7]
    assert "Most of the 7236 came from the units: with the columns scaled to length 1, it is 200." in said()
    narrower = np.sqrt(np.diag(np.linalg.inv(np.corrcoef(X.T))))
    s1 = data.diabetes().feature_names.index("s1")
    assert f"its interval would be {narrower[s1]:.1f} times narrower" in said()


def test_scaling_all_rows_beforehand_changes_the_errors_by_as_little_as_the_text_says():
    patients, folds = data.diabetes(), np.array_split(np.random.default_rng(0).permutation(442), 10)
    pairs = [(j, k) for j in range(10) for k in range(j, 10) if (j, k) != (1, 1)]

    def scaled(A, rows):
        return (A - A[rows].mean(axis=0)) / A[rows].std(axis=0)

    def features(count, rows):
        Z = scaled(patients.X, rows)
        return Z if count == 10 else scaled(np.hstack([Z, *(Z[:, [j]] * Z[:, [k]] for j, k in pairs)]), rows)

    def error(count, alpha, leak):
        missed = np.empty(442)
        for test in folds:
            train = np.setdiff1d(np.arange(442), test)
            A, level = features(count, slice(None) if leak else train), patients.y[train].mean()
            missed[test] = patients.y[test] - level - A[test] @ ridge(A[train], patients.y[train] - level, alpha=alpha)
        return np.sqrt(np.mean(missed**2))

    printed = [(64, 1e-2), (64, 100), (10, 1e-2)]
    honest = np.array([error(*setting, leak=False) for setting in printed])
    assert honest.round(1).tolist() == [59.9, 55.6, 54.8]
    changed = np.abs(honest - [error(*setting, leak=True) for setting in printed]).max()
    assert 0.2 < changed < 0.3
    assert "no error printed above would change by more than 0.3." in said()


def test_the_polynomials_err_as_the_text_says():
    shown = explore.polynomial().spec["data"]
    halves = np.array(shown["train"]), np.array(shown["test"])

    def errors(degree, alpha, first=0):
        powers = [half[:, :1] ** np.arange(degree + 1) for half in halves]
        fitted, y = powers[first], halves[first][:, 1]
        penalty = np.sqrt(alpha) * np.eye(degree + 1)[1:]
        w = np.linalg.lstsq(np.vstack([fitted, penalty]), np.append(y, np.zeros(degree)), rcond=None)[0]
        root_mean_square = [np.sqrt(np.mean((half[:, 1] - P @ w) ** 2)) for half, P in zip(halves, powers, strict=True)]
        return root_mean_square[first], root_mean_square[1 - first], np.abs(w).max()

    train, test, size = np.array([errors(degree, 1e-8) for degree in range(13)]).T
    assert (np.diff(train) < 1e-3).all()
    assert [round(train[0]), round(train[-1])] == [80, 53]
    assert test[1:4].round().tolist() == [61] * 3
    assert min(test) == min(test[1:4])
    assert round(test[10] / min(test)) == 5
    assert (np.argwhere(test < train).ravel() == range(6)).all()
    assert np.all(np.abs(size[:4] - 160) < 2)
    calm = errors(12, 0.1)
    assert calm[1] < min(test) + 1
    assert calm[2] < 200
    assert np.allclose(errors(1, 1e-8, first=1)[:2], [61, 70], atol=0.6)


def test_the_residuals_spread_and_bend_as_the_text_says():
    patients = data.diabetes()
    X, y = with_intercept(patients.X), patients.y
    y_hat = X @ least_squares(X, y)
    fifths = np.array_split((y - y_hat)[np.argsort(y_hat)], 5)
    spreads, means = [round(float(r.std())) for r in fifths], [round(float(r.mean())) for r in fifths]
    low, high = min(spreads[1:]), max(spreads)
    assert f"it is {spreads[0]} in the lowest fifth of the predictions and between {low} and {high} in" in said()
    between = round(-float(np.concatenate(fifths[1:4]).mean()))
    assert f"{means[0]} and {means[4]} above zero on average, and in between {between} below." in said()
