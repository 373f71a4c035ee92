"""Chapter 1: linear regression by least squares.

    X  (n, d)          one sample a row, one feature a column
    y  (n,) or (n, k)  the targets, k of them for every sample
    w  (d,) or (d, k)  the weights; in upper case (Y, W) they are always matrices
    R                  triangular, XᵀX = RᵀR

The three solvers are one thread. The normal equations XᵀXw = Xᵀy are quickest, but forming XᵀX squares the
condition number κ of X. QR works on X itself. The singular value decomposition also copes with columns that depend
on each other. All three first scale the columns of X to about length 1: the units in which a feature is measured
then change neither the accuracy nor the verdict on whether the columns are independent.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from mlmath.arguments import converted, one_of, positive, real, real_array, same_length
from mlmath.cores import one_blas_thread, share

SMALL = 750_000  # multiplications in a matrix product that BLAS is quickest at
CACHE = 8192  # numbers in a block: 64 kB, which a processor core keeps close at hand
BITS = 22  # of a number are its leading part; a product of two such parts needs 42, and a float has 53, so that
EXACT = 2048  # products, 2¹¹ of them, add up without rounding


def least_squares(X: Any, y: Any, *, solver: str = "qr") -> np.ndarray:
    """Return the weights w that minimize ‖y - Xw‖².

    X is (n, d), y is (n,) or (n, k), and w is (d,) or (d, k). float32 stays float32.

    - `"normal"`: XᵀXw = Xᵀy by Cholesky; quickest, and loses twice as many digits as the others to collinearity.
    - `"qr"`: Rw = Qᵀy, refined once; as many digits as X and y determine.
    - `"svd"`: the w of least norm ‖w‖ where the columns of X are dependent or outnumber the samples.

    Raises ValueError for bad shapes, NaN, infinity and overflow; its kind `numpy.linalg.LinAlgError` for
    dependent columns, except with `"svd"`.
    Reference: Å. Björck, Numerical Methods for Least Squares Problems (1996), chapters 1, 2.
    """
    X, y = real_array("X", X, ndim=2, finite=False), real_array("y", y, ndim=(1, 2), finite=False)
    same_length("X", X, "y", y)
    solve = SOLVERS[one_of("solver", solver, SOLVERS)]
    try:
        with np.errstate(over="ignore", invalid="ignore"), one_blas_thread():
            W = solve(X, y.reshape(len(y), -1))
        _require_finite("X and y", W)
    except ValueError:  # NaN and infinity come out of every solver, so a look at all of X beforehand is saved
        real_array("X", X), real_array("y", y)
        raise
    return W.reshape(X.shape[1:] + y.shape[1:]).astype(np.result_type(X, y), copy=False)


def ridge(X: Any, y: Any, *, alpha: float) -> np.ndarray:
    """Return the weights w that minimize ‖y - Xw‖² + α‖w‖².

    They are the least-squares weights of the longer system [X; √α I] w = [y; 0].
    X is (n, d), y is (n,) or (n, k), α > 0. Every weight is penalized: center X and y rather than add a column of ones.

    Raises ValueError for what `least_squares` refuses and for α ≤ 0.
    Reference: A. Hoerl, R. Kennard, Ridge regression, Technometrics 12 (1970).
    """
    X, y = real_array("X", X, ndim=2), real_array("y", y, ndim=(1, 2))
    same_length("X", X, "y", y)
    if real("alpha", alpha) == 0:
        raise ValueError("alpha must be greater than 0, but it is 0; least_squares fits without a penalty")
    d = X.shape[1]
    penalty = converted("alpha", np.sqrt(positive("alpha", alpha)) * np.eye(d), X.dtype)
    nothing = np.zeros((d, *y.shape[1:]), y.dtype)
    try:
        return least_squares(np.concatenate([X, penalty]), np.concatenate([y, nothing]))
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError(
            f"alpha must be larger for the dependent columns of X to have weights, but it is {alpha!r}"
        ) from None


def with_intercept(X: Any) -> np.ndarray:
    """Return [1 X]: a column of ones in front of X, (n,) or (n, d), so that w[0] is the bias b."""
    X = real_array("X", X, ndim=(1, 2))
    return np.column_stack([np.ones(len(X), dtype=X.dtype), X])


def r_squared(y: Any, y_hat: Any) -> float:
    """Return R² = 1 - Σ(y - ŷ)² / Σ(y - ȳ)², the share of the variance of y that the predictions ŷ explain.

    y and y_hat are (n,). Raises ValueError if y is constant: there is nothing to explain.
    """
    y, y_hat = real_array("y", y, ndim=1), real_array("y_hat", y_hat, ndim=1)
    same_length("y", y, "y_hat", y_hat)
    if (y == y[0]).all():
        raise ValueError(f"y must hold at least two different values, but all of its {len(y)} are {y[0]}")
    deviation = y - y.mean()
    unit = np.abs(deviation).max()  # so that no square overflows or vanishes
    with np.errstate(over="ignore", invalid="ignore"):
        residual = (y - y_hat) / unit
    return 1 - _sum_of_squares("y and y_hat", residual) / _sum_of_squares("y", deviation / unit)


def residual_variance(X: Any, y: Any, w: Any) -> float:
    """Return s² = ‖y - Xw‖² / (n - d), the unbiased estimate of the variance of the noise.

    X is (n, d) with n > d, y is (n,), w is (d,), the least-squares weights. Raises ValueError for other shapes.
    """
    X, y, w = real_array("X", X, ndim=2), real_array("y", y, ndim=1), real_array("w", w, ndim=1)
    same_length("X", X, "y", y)
    n, d = X.shape
    if len(w) != d:
        raise ValueError(f"w must have one weight for each of the {d} columns of X, but it has {len(w)}")
    if n <= d:
        raise ValueError(f"X must have more samples than columns, but its shape is {X.shape}")
    return _sum_of_squares("X, y and w", y - X @ w) / (n - d)


def standard_errors(X: Any, y: Any, w: Any) -> np.ndarray:
    """Return the standard errors s √diag((XᵀX)⁻¹) of the least-squares weights w.

    With XᵀX = RᵀR the diagonal of (XᵀX)⁻¹ holds the squared lengths of the rows of R⁻¹.
    X is (n, d) with n > d, y is (n,), w is (d,), and so is the result.
    Raises ValueError for other shapes and for dependent columns.
    """
    s = math.sqrt(residual_variance(X, y, w))
    X = real_array("X", X, ndim=2)
    R, _, scale = _triangular_system(X, X[:, :0])
    _require_independent(R, len(X))
    R_inverse = _solve_upper(R, np.eye(len(R), dtype=R.dtype)) / scale[:, None]
    return s * np.hypot.reduce(R_inverse, axis=1)


def _solve_normal(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """XᵀX = LLᵀ, so LV = XᵀY, then LᵀW = V."""
    H, C = _products(X, Y)
    _require_finite("X and y", H)
    _require_accurate(H.diagonal(), X)
    scale = _power_of_two(np.sqrt(H.diagonal()))
    H = H / np.outer(scale, scale)
    _require_independent(H, len(X))
    L = np.linalg.cholesky(H)
    return _solve_upper(L.T, _solve_lower(L, C / scale[:, None])) / scale[:, None]


def _solve_qr(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """RW = C, and once more for what rounding left of the gradient: RᵀR ΔW = Xᵀ(Y - XW)."""
    R, C, scale = _triangular_system(X, Y)
    _require_independent(R, len(X))
    W = _solve_upper(R, C) / scale[:, None]
    G = _gradient(X, Y, W, scale) / scale[:, None]
    return W + _solve_upper(R, _solve_lower(R.T, G)) / scale[:, None]


def _solve_svd(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """R = UΣVᵀ without the zeros of Σ, so VᵀW = Σ⁻¹UᵀC; where many W solve this, the shortest does."""
    R, C, scale = _triangular_system(X, Y)
    U, sigma, Vt = np.linalg.svd(R, full_matrices=False)
    rank = np.count_nonzero(sigma > _tolerance(R) * sigma[0])
    Z = U[:, :rank].T @ C / sigma[:rank, None]
    if rank == X.shape[1]:
        return Vt.T @ Z / scale[:, None]
    Q, T = np.linalg.qr((Vt[:rank] * scale).T)
    return Q @ _solve_lower(T.T, Z)


SOLVERS = {"normal": _solve_normal, "qr": _solve_qr, "svd": _solve_svd}


def _triangular_factor(X: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """R of [X Y] = QR: blocks that fit the cache become triangles, and stacked triangles smaller ones, as in a tree.

    J. Demmel and others, Communication-optimal parallel and sequential QR, SIAM J. Sci. Comput. 34 (2012).
    """
    d = X.shape[1] + Y.shape[1]
    rows = CACHE // d
    if len(X) < 2 * rows or rows < 2 * d:
        return np.asarray(np.linalg.qr(np.hstack([X, Y]), mode="r"))
    triangles = _blockwise(lambda blocks: np.asarray(np.linalg.qr(blocks, mode="r")), X, Y, rows)
    R = np.concatenate([triangle for some in triangles for triangle in some])
    return _triangular_factor(R, R[:, :0])


def _products(X: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """XᵀX and XᵀY: with few columns, the sums of [XᵀX XᵀY] over blocks of rows, so that X is read once."""
    d, columns = X.shape[1], X.shape[1] + Y.shape[1]
    rows = SMALL // (d * columns)
    if len(X) < 2 * rows or rows < 2 * d:
        return X.T @ X, X.T @ Y
    products = np.sum(_blockwise(lambda XY: (XY[..., :d].swapaxes(1, 2) @ XY).sum(axis=0), X, Y, rows), axis=0)
    return products[:, :d], products[:, d:]


def _blockwise(work: Callable[[np.ndarray], np.ndarray], X: np.ndarray, Y: np.ndarray, rows: int) -> list[np.ndarray]:
    """Do the work on [X Y] in blocks of so many rows (count, rows, d + k), and on the rest; no block waits for another.

    Some blocks are copied at a time: a copy of all of X would cost more than it saves.
    """
    n, whole = len(X), len(X) // rows * rows

    def part(edge):
        first, last = edge
        XY = np.hstack([X[first:last], Y[first:last]])
        return work(XY.reshape(-1, min(rows, last - first), XY.shape[1]))

    edges = sorted({*range(0, whole, 16 * rows), whole, n})
    return share(part, pairwise(edges))


def _solve_lower(L: np.ndarray, B: np.ndarray) -> np.ndarray:
    """LV = B, row by row from the top."""
    V = np.zeros_like(B)
    for i in range(len(L)):
        V[i] = (B[i] - L[i, :i] @ V[:i]) / L[i, i]
    return V


def _solve_upper(R: np.ndarray, B: np.ndarray) -> np.ndarray:
    """RV = B, row by row from the bottom: upside down, R is lower triangular."""
    return _solve_lower(R[::-1, ::-1], B[::-1])[::-1]


def _triangular_system(X: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[X Y] = Q [R C; 0 S], so RW = C: Q is never needed. Returns R with its columns scaled, C, and the scale."""
    d = X.shape[1]
    triangle = _triangular_factor(X, Y)
    _require_finite("X and y", triangle)
    R, C = triangle[:d, :d], triangle[:d, d:]
    scale = _power_of_two(np.hypot.reduce(R))
    _require_finite("X and y", scale)
    return R / scale, C, scale


def _power_of_two(lengths: np.ndarray) -> np.ndarray:
    """The powers of two just above the lengths: to divide by them rounds nothing. 1 for a length of 0."""
    return np.ldexp(np.ones_like(lengths), np.frexp(lengths)[1])


def _tolerance(R: np.ndarray) -> float:
    """Singular values below this share of the largest one are rounding errors."""
    return 10 * R.shape[1] * float(np.finfo(R.dtype).eps)


def _require_independent(R: np.ndarray, n: int) -> None:
    d = R.shape[1]
    rank = np.linalg.matrix_rank(R, rtol=_tolerance(R))
    if rank < d:
        raise np.linalg.LinAlgError(
            f"X must have linearly independent columns, but with n_samples={n} only {rank} of its {d} are, "
            "to working precision; use solver='svd' for the smallest weights, or ridge"
        )


def _require_finite(names: str, result: np.ndarray) -> None:
    if not np.isfinite(result).all():
        raise ValueError(f"{names} must be of moderate size, but the computation overflows; change the units")


def _require_accurate(squares: np.ndarray, X: np.ndarray) -> None:
    """Below a certain size the sums of squares of X's columns lose digits, then vanish, without a word."""
    number = np.finfo(X.dtype)
    if X[:, squares < number.tiny / number.eps].any():
        raise ValueError("X must be of moderate size, but its squares underflow; change the units, or use solver='qr'")


def _sum_of_squares(names: str, r: np.ndarray) -> float:
    total = np.vdot(r, r)
    _require_finite(names, total)
    return float(total)


def _gradient(X: np.ndarray, Y: np.ndarray, W: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Xᵀ(Y - XW), which is 0 at the minimum, in nearly twice the working precision.

    Each factor is split in a leading part and a rest. Products of leading parts add up without rounding;
    only what is 2⁻²² times smaller is rounded.
    K. Ozaki and others, Error-free transformations of matrix multiplication, Numer. Algorithms 59 (2012).
    """
    W, scale = W.astype(float), scale.astype(float)
    scaled = W * scale[:, None]
    W1 = _leading(scaled, np.abs(scaled).max(axis=0)) / scale[:, None]
    G, rest = np.zeros_like(W), np.zeros_like(W)
    for i in range(0, len(X), EXACT):
        A, B = X[i : i + EXACT].astype(float, copy=False), Y[i : i + EXACT].astype(float, copy=False)
        A1 = _leading(A, scale)
        A2 = A - A1
        D, error = _two_sum(B, -(A1 @ W1))
        D, error = _two_sum(D, error - (A1 @ (W - W1) + A2 @ W))
        D1 = _leading(D, np.abs(D).max(axis=0))
        D2 = D - D1 + error
        G, error = _two_sum(G, A1.T @ D1)
        rest += error + A1.T @ D2 + A2.T @ (D1 + D2)
    return G + rest


def _leading(A: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """The leading bits of A, whose columns stay within the bound: to add a large number rounds the others away."""
    large = np.ldexp(1.5, np.frexp(bound)[1] + 53 - BITS)
    leading = A + large
    leading -= large
    return leading


def _two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rounded sum a + b and its rounding error, exactly (Knuth)."""
    total = a + b
    b_part = total - a
    return total, (a - (total - b_part)) + (b - b_part)
