"""Chapter 3: logistic and softmax regression.

    X  (n, d)          one sample a row, one feature a column
    y  (n,)            the class of each sample: 0 or 1, or one of 0, …, k−1
    w  (d,) or (d, k)  the weights; b, a number or (k,), the bias
    z  (n,) or (n, k)  the logits, z = Xw + b
    p  (n,) or (n, k)  the probabilities, p = σ(z) of class 1 or softmax(z) of every class
    α                  the `alpha` of the penalty

With two classes there is one logit for a sample, and σ; with more there is one for each class, and the softmax.
The fit finds bias and weights together: A is X with a column of ones in front, W is w with b in front, and Z = AW.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from mlmath.arguments import count, non_negative, one_of, real_array, same_length
from mlmath.cores import one_blas_thread
from mlmath.descent import Nesterov, Run, minimize

ROWS = 1024  # samples in a block: their share of A stays in a processor core's own cache
ENOUGH = 50  # samples for each weight make a minimum that more samples move only a little
EPSILON = float(np.finfo(float).eps)
ASKED = 500  # weights of which Newton's method is asked, after a descent, whether there is a minimum
Outcome = Literal["converged", "step limit", "diverged"]


class SeparableWarning(UserWarning):
    """The likelihood has no maximum: larger weights always raise it, since a boundary separates the classes."""


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """The weights w, (d,) or (d, k), the bias b, a number or (k,), and the record of the run that found them.

    `run.iterates[i]` holds b in its first row and w in the others; `run.losses` are what the fit minimizes, and
    `run.gradient_norms` its gradients in the scaled columns of the fit. `separable` says that no minimum exists:
    the outcome of the run is then "diverged", and w and b are where it was stopped.
    """

    w: np.ndarray
    b: np.floating | np.ndarray
    run: Run
    separable: bool


def sigmoid(z: Any) -> Any:
    """Return σ(z) = 1 / (1 + e⁻ᶻ), of z's shape, right to the last few bits for every z.

    For z < 0 it is computed as eᶻ / (1 + eᶻ), so that no exponential overflows.
    """
    z = real_array("z", z)
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def log_sigmoid(z: Any) -> Any:
    """Return log σ(z) = −log(1 + e⁻ᶻ), of z's shape, as min(z, 0) − log(1 + e^−|z|)."""
    z = real_array("z", z)
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))


def softmax(z: Any) -> np.ndarray:
    """Return the probabilities e^zⱼ / Σᵢ e^zᵢ of each row of z, (n, k) or (k,)."""
    _, e = _below_largest(real_array("z", z, ndim=(1, 2)))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(z: Any) -> np.ndarray:
    """Return the logarithms zⱼ − log Σᵢ e^zᵢ of `softmax(z)` for each row of z, (n, k) or (k,).

    With m the largest of the zᵢ the sum is eᵐ (1 + r): r, what the others add, is kept apart from the 1.
    """
    z = real_array("z", z, ndim=(1, 2))
    d, e = _below_largest(z)
    np.put_along_axis(e, z.argmax(axis=-1, keepdims=True), 0, axis=-1)
    return d - np.log1p(e.sum(axis=-1, keepdims=True))


def log_loss(y: Any, z: Any) -> float:
    """Return the mean log loss −log p(yᵢ) of the logits z, the cross-entropy of y and p.

    y is (n,). For logits z (n,) the classes are 0 and 1, and a sample's loss is log(1 + eᶻ) − yz;
    for z (n, k) they are 0, …, k−1, and it is log Σⱼ e^zⱼ − z_y. Raises ValueError for labels that are no classes.
    """
    z = real_array("z", z, ndim=(1, 2))
    y = _classes("y", y, 2 if z.ndim == 1 else z.shape[1])
    same_length("y", y, "z", z)
    with np.errstate(over="ignore"):
        total = _sum_of_losses(y, z)
    if not np.isfinite(total):
        raise ValueError("z must be of moderate size, but the sum of the losses overflows")
    return total / len(y)


def logistic_regression(
    X: Any, y: Any, *, weight: Any = None, alpha: float = 0.0, solver: str = "newton", steps: int = 1000
) -> LogisticFit:
    """Return the weights w and the bias b that minimize Σ log loss + α/2 ‖w‖², a *sum* over the samples.

    X is (n, d); y is (n,), the classes 0 and 1, or 0, …, k−1, each of which must occur. α is scikit-learn's 1/C, and
    the bias is not penalized. With `weight` (n,) the sum is weighted: a sample of weight 2 counts like two, one of
    weight 0 is left out. Computed in float64, float32 in and out.

    - `"newton"`: w ← w − H⁻¹g, halved where the loss would not fall; for two classes the iteratively re-weighted
      least squares with g = Xᵀ(p − y) and H = XᵀSX, S = diag(p(1 − p)). Converges from everywhere in a few steps.
      The run starts at zero, or, where samples abound, at the minimum for an eighth of them.
    - `"descent"`: chapter 2's `Nesterov`, at the rate that the largest curvature allows. May need many steps.

    The columns of X are centered and scaled for the computation; w and b are those of X as it is. Where many fits are
    equally good, one is returned: b, and without a penalty w, may be shifted for all of k > 2 classes alike, and their
    sum over the classes is made 0; without a penalty, a constant column gets no weight, dependent columns share theirs.

    Warns with `SeparableWarning` if α = 0 and some boundary separates the classes, or has samples on it and none on
    the wrong side: whatever the weights, larger ones are better. `"newton"` then stops where W separates the classes,
    or where only the logits of the separated samples still move, for which an overlap by less than a millionth of the
    spread may be taken, too; `"descent"` looks at its last W, and where there are no more
    than 500 weights, asks Newton's method from there.
    Raises ValueError for bad shapes, NaN, infinity, a negative α or weight, a single class and labels that are no
    classes.
    Reference: T. Hastie and others, The Elements of Statistical Learning (2009), section 4.4.
    """
    X = real_array("X", X, ndim=2)
    y = _classes("y", y)
    same_length("X", X, "y", y)
    weight = np.ones(len(y)) if weight is None else real_array("weight", weight, ndim=1).astype(float)
    same_length("X", X, "weight", weight)
    if weight.min() < 0 or weight.max() == 0:
        raise ValueError("weight must be at least 0, and not 0 for all samples")
    if weight.min() == 0:
        X, y, weight = (a[weight > 0] for a in (X, y, weight))
    alpha, steps = non_negative("alpha", alpha), count("steps", steps)
    run_from = SOLVERS[one_of("solver", solver, SOLVERS)]
    counts = np.bincount(y)
    if len(counts) == 1:
        raise ValueError(f"y must hold at least two classes, but all of its {len(y)} labels are 0")
    if not counts.all():
        raise ValueError(
            f"y must hold every class up to {len(counts) - 1}, but none of its labels is {counts.argmin()}"
        )

    A, mean, scale = _standardized(X, weight, alpha)
    W = np.zeros(A.shape[1:] if len(counts) == 2 else (A.shape[1], len(counts)))
    penalty = np.append(0, alpha / scale**2).reshape(-1, *(1,) * (W.ndim - 1))
    run, separable = run_from(_Objective(A, y, weight.reshape(-1, *(1,) * (W.ndim - 1)), penalty), W, steps)
    iterates = run.iterates.copy()
    iterates[:, 1:] /= scale if iterates.ndim == 2 else scale[:, None]
    iterates[:, 0] -= np.tensordot(iterates[:, 1:], mean, axes=(1, 0))
    W = iterates[-1].astype(X.dtype)
    if separable:
        warnings.warn(
            "the classes of y can be separated in X, wholly or in part, so that larger weights always fit better; "
            f"stopped after {run.steps} steps. Use alpha > 0, which makes the best weights finite",
            SeparableWarning,
            stacklevel=2,
        )
    return LogisticFit(W[1:], W[0], replace(run, iterates=iterates), separable)


def standard_errors(X: Any, w: Any, b: float) -> np.ndarray:
    """Return the standard errors √diag(H⁻¹), H = AᵀSA, of the bias and the weights of an unpenalized fit.

    X is (n, d), w is (d,), and the result is (d+1,), the bias first. Raises LinAlgError, a ValueError, if H is
    singular: dependent columns, or probabilities that are all 0 or 1.
    Reference: T. Hastie and others, The Elements of Statistical Learning (2009), section 4.4.3.
    """
    X, w, b = real_array("X", X, ndim=2), real_array("w", w, ndim=1), float(real_array("b", b, ndim=0))
    if len(w) != X.shape[1]:
        raise ValueError(f"w must have one weight for each of the {X.shape[1]} columns of X, but it has {len(w)}")
    A, mean, scale = _standardized(X, np.ones(len(X)), 0)
    H = _curvature(A, sigmoid(X @ w + b), np.ones(len(X)))
    if np.linalg.matrix_rank(H, hermitian=True) < len(H):
        raise np.linalg.LinAlgError(
            "X must have independent columns, none of them constant, and some p must lie between 0 and 1 for standard "
            "errors to exist, but the Hessian is singular"
        )
    # (b, w) = T (b', w'), where b' and w' belong to the columns of A, so that their covariance is T H⁻¹ Tᵀ.
    T = np.diag(np.append(1, 1 / scale))
    T[0, 1:] = -mean / scale
    L = np.linalg.cholesky(H)
    return np.linalg.norm(np.linalg.solve(L, T.T), axis=0).astype(X.dtype)


def confusion_matrix(y: Any, predicted: Any) -> np.ndarray:
    """Return how many samples of class i, its row, are predicted to be of class j, its column: (k, k) counts."""
    y, predicted = _classes("y", y), _classes("predicted", predicted)
    same_length("y", y, "predicted", predicted)
    k = max(2, y.max() + 1, predicted.max() + 1)
    return np.bincount(k * y + predicted, minlength=k * k).reshape(k, k)


def precision(y: Any, predicted: Any) -> float:
    """Return the share of the samples predicted to be 1 that are 1. Raises ValueError if there are none."""
    (_, false), (_, true) = _binary_confusion(y, predicted)
    if true + false == 0:
        raise ValueError("predicted must contain a 1 for a precision to exist, but all of it is 0")
    return true / (true + false)


def recall(y: Any, predicted: Any) -> float:
    """Return the share of the samples that are 1 that are predicted to be. Raises ValueError if there are none."""
    _, (missed, found) = _binary_confusion(y, predicted)
    if missed + found == 0:
        raise ValueError("y must contain a 1 for a recall to exist, but all of it is 0")
    return found / (missed + found)


def roc_curve(y: Any, scores: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return false positive rates, true positive rates and the thresholds, from the highest to the lowest.

    A sample is predicted to be 1 if its score, a probability or a logit, is at least the threshold; the first
    threshold is infinite, the others are the different scores. y (n,) must hold both 0 and 1, scores are (n,).
    Reference: T. Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 27 (2006).
    """
    y, scores = _classes("y", y, 2), real_array("scores", scores, ndim=1)
    same_length("y", y, "scores", scores)
    if y.min() == y.max():
        raise ValueError(f"y must hold both classes, but all of its {len(y)} labels are {y[0]}")
    order = np.argsort(-scores, kind="stable")
    y, scores = y[order], scores[order]
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(y) - 1)  # of the samples that share a score
    true = np.append(0, np.cumsum(y)[last])
    false = np.append(0, np.cumsum(1 - y)[last])
    return false / false[-1], true / true[-1], np.append(scores.dtype.type(np.inf), scores[last])


def auc(false_positive_rate: Any, true_positive_rate: Any) -> float:
    """Return the area under the ROC curve: the probability that a sample of class 1 scores above one of class 0.

    Of samples of the two classes that share a score, half count as in order.
    """
    x = real_array("false_positive_rate", false_positive_rate, ndim=1)
    y = real_array("true_positive_rate", true_positive_rate, ndim=1)
    same_length("false_positive_rate", x, "true_positive_rate", y)
    for name, rate in (("false_positive_rate", x), ("true_positive_rate", y)):
        if len(rate) < 2 or rate[0] < 0 or rate[-1] > 1 or (np.diff(rate) < 0).any():
            raise ValueError(f"{name} must hold two or more numbers that do not fall, from 0 to 1")
    return float(np.trapezoid(y, x))


def _below_largest(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """d = z − m and eᵈ, where m is the largest entry of each row.

    Rounding d would be an error of many bits in eᵈ: the bits that d lost are put back as eᵈ⁺ᵟ = eᵈ(1 + δ) (Knuth).
    """
    m = z.max(axis=-1, keepdims=True)
    with np.errstate(over="ignore"):
        d = z - m
    if not np.isfinite(d).all():
        raise ValueError("z must be of moderate size, but its entries lie farther apart than any number says")
    m_part = z - d
    lost = (z - (d + m_part)) - (m - m_part)
    return d, np.exp(d) * (1 + lost)


def _classes(name: str, value: Any, k: int = 1000) -> np.ndarray:
    """Return labels as an array (n,) of the whole numbers from 0 to k − 1."""
    labels = real_array(name, value, ndim=1)
    wrong = (labels < 0) | (labels >= k) | (labels != np.floor(labels))
    if wrong.any():
        raise ValueError(f"{name} must hold classes, whole numbers from 0 to {k - 1}, but has a {labels[wrong][0]:g}")
    return labels.astype(int)


def _binary_confusion(y: Any, predicted: Any) -> list[list[int]]:
    return confusion_matrix(_classes("y", y, 2), _classes("predicted", predicted, 2)).tolist()


def _standardized(X: np.ndarray, weight: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[1 X] with its columns centered, and scaled so that the loss curves alike along all of them; mean and scale.

    Where all p are 1/2, a column of variance v contributes nv/4 to the curvature, and the penalty adds α.
    """
    n = weight.sum()
    with np.errstate(over="ignore", invalid="ignore"):
        mean = weight / n @ X
        A = np.empty((len(X), X.shape[1] + 1))
        A[:, 0] = 1
        centered = np.subtract(X, mean, out=A[:, 1:])
        variance = np.einsum("i,ij,ij->j", weight, centered, centered) / n
    flat = np.flatnonzero(np.sqrt(variance) <= 1e-6 * np.abs(mean))
    constant = flat[(X[:, flat] == X[0, flat]).all(axis=0)]
    centered[:, constant] = 0
    variance[constant] = 1
    scale = np.sqrt(variance + 4 * alpha / n)
    if not (np.isfinite(scale).all() and scale.all()):
        raise ValueError(
            f"X{' and alpha' if alpha > 0 else ''} must be of moderate size, "
            "but the computation leaves the range of numbers; change the units"
        )
    centered /= scale
    return A, mean, scale


def _sum_of_losses(y: np.ndarray, Z: np.ndarray, weight: Any = 1) -> float:
    if Z.ndim == 1:
        return -float((weight * log_sigmoid(np.where(y == 1, Z, -Z))).sum())
    return -float((weight * np.take_along_axis(log_softmax(Z), y[:, None], axis=1)).sum())


def _curvature(A: np.ndarray, P: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """AᵀSA with S = diag(p(1 − p)), weighted; for k classes the block i, j has S = diag(pᵢ([i = j] − pⱼ))."""
    if P.ndim == 1:
        return _weighted_squares(A, weight * P * (1 - P))
    k, d = P.shape[1], A.shape[1]
    H = np.zeros((k, d, k, d))
    for i in range(0, len(A), ROWS):
        B = (P[i : i + ROWS, :, None] * A[i : i + ROWS, None, :]).reshape(-1, k * d)
        H -= (B.T @ (weight[i : i + ROWS] * B)).reshape(H.shape)
    for j in range(k):
        H[j, :, j] += _weighted_squares(A, weight[:, 0] * P[:, j])
    return H.reshape(k * d, k * d)


def _weighted_squares(A: np.ndarray, s: np.ndarray) -> np.ndarray:
    """AᵀSA, a block of samples at a time."""
    H = np.zeros((A.shape[1], A.shape[1]))
    for i in range(0, len(A), ROWS):
        block = A[i : i + ROWS]
        H += (block * s[i : i + ROWS, None]).T @ block
    return H


def _leads(y: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """By how much the logit of each sample's class is above those of the others, z_y − zⱼ; for two classes ±z."""
    if Z.ndim == 1:
        return np.where(y == 1, Z, -Z)
    others = np.arange(Z.shape[1]) != y[:, None]
    return (np.take_along_axis(Z, y[:, None], axis=1) - Z)[others]


class _Point(NamedTuple):
    """What is known of the objective at W: logits, probabilities, F and its gradient."""

    W: np.ndarray
    Z: np.ndarray
    P: np.ndarray
    loss: float
    gradient: np.ndarray


@dataclass(frozen=True, eq=False)
class _Objective:
    """F(W) = Σ weight · log loss + ½ Σ penalty · W², where W holds the bias and the weights of the columns of A."""

    A: np.ndarray
    y: np.ndarray
    weight: np.ndarray  # (n,) or (n, 1), as Z
    penalty: np.ndarray  # (d+1,) or (d+1, 1)

    def at(self, W: np.ndarray) -> _Point:
        """Return F and its gradient Aᵀ(weight · (P − Y)) + penalty · W; row i of Y is 1 for class yᵢ and else 0."""
        Z = self.A @ W
        P, Y = (sigmoid(Z), self.y) if Z.ndim == 1 else (softmax(Z), np.eye(Z.shape[1])[self.y])
        force = self.penalty * W
        loss = _sum_of_losses(self.y, Z, self.weight) + float(np.vdot(W, force)) / 2
        return _Point(W, Z, P, loss, self.A.T @ (self.weight * (P - Y)) + force)

    def every(self, m: int) -> "_Objective":
        """Return the objective of every m-th sample, whose minimum is near that of all: quickly found, a good start."""
        return _Objective(self.A[::m].copy(), self.y[::m], self.weight[::m], self.penalty / m)

    def newton_step(self, P: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return the function that solves H step = g, where H is the Hessian for W.T.ravel(): class after class.

        What is added to all classes alike changes no probability, and the gradient is zero along it. Some curvature
        there makes the Hessian regular without changing a step.
        """
        k, d = P[0].size, len(self.penalty)
        H = _curvature(self.A, P, self.weight) + np.diag(np.tile(self.penalty.ravel(), k))
        if k > 1:
            H += np.kron(np.full((k, k), self.weight.sum() / k), np.eye(d))
        if self.penalty.any():
            return lambda g: np.linalg.solve(H, g.T.ravel()).reshape(g.T.shape).T
        V = np.linalg.pinv(H, rtol=10 * len(H) * EPSILON, hermitian=True)
        return lambda g: (V @ g.T.ravel()).reshape(g.T.shape).T


@one_blas_thread()
def _newton(objective: _Objective, W: np.ndarray, steps: int) -> tuple[Run, bool]:
    """W ← W − tH⁻¹g, where t = 1, or ½, ¼, … until the loss falls (S. Boyd, L. Vandenberghe, 2004, section 9.5).

    The end is where the loss stays, or the fall that a step promises, δ²/2 with δ² = g·H⁻¹g, is less than its rounding.
    Without a penalty δ is also the distance to the minimum in standard errors.
    """
    if len(objective.y) > 8 * ENOUGH * W.size:
        part, _ = _newton(objective.every(8), W, steps)
        W = part.w if part.outcome == "converged" else W
    here, delta = objective.at(W), np.inf
    record = [(here.W, here.loss, np.linalg.norm(here.gradient))]
    outcome: Outcome = "step limit"
    proved = False
    while len(record) <= steps and outcome == "step limit":
        solve = objective.newton_step(here.P)
        step, previous = solve(here.gradient), delta
        delta = np.sqrt(max(np.vdot(here.gradient, step), 0))
        if not objective.penalty.any():
            proved = proved or _favors(objective, -step)
            if _runs_away(objective, here, step, previous, delta):
                outcome = "diverged"
                break
        there, t = objective.at(here.W - step), 1.0
        while not there.loss <= here.loss - 1e-4 * t * delta**2 + 16 * EPSILON * here.loss:
            t /= 2
            there = objective.at(here.W - t * step)
        if there.loss >= here.loss or np.vdot(there.gradient, solve(there.gradient)) <= EPSILON * there.loss:
            outcome = "converged"
        here = there
        record.append((here.W, here.loss, np.linalg.norm(here.gradient)))
    if proved:
        outcome = "diverged"
    iterates, losses, norms = map(np.array, zip(*record, strict=True))
    return Run(iterates, np.arange(len(record)), losses, norms, outcome), outcome == "diverged"


def _favors(objective: _Objective, change: np.ndarray) -> bool:
    """Whether this change of W proves that no minimum exists: it helps another class in no sample, and its own in some.

    With three or more classes a step may move some logits by hundreds, until rounding hides that they never rest.
    """
    gains = _leads(objective.y, objective.A @ change)
    return bool(gains.max() > 0.5 and gains.min() > -1e-9 * gains.max())


def _runs_away(objective: _Objective, here: _Point, step: np.ndarray, previous: float, delta: float) -> bool:
    """Whether no minimum exists: W separates the classes, or steps without end separate some of the samples.

    Steps of the latter kind move logits by about 1 each, and gain less and less: δ falls, but by less than a half. This
    can happen on the way to a minimum, too, but there δ² does not become so small that rounding soon takes over.
    """
    A, y, n = objective.A, objective.y, objective.weight.sum()
    if _leads(y, here.Z).min() > 0:
        return True
    return previous / 2 < delta < np.sqrt(1e-9 * n) and bool(np.abs(A @ step).max() > 0.5)


@one_blas_thread()
def _descent(objective: _Objective, W: np.ndarray, steps: int) -> tuple[Run, bool]:
    """Nesterov's descent on F / n. The curvature is at most AᵀA/4 for two classes, AᵀA/2 for more, weighted."""
    A, y, n = objective.A, objective.y, objective.weight.sum()
    bound = _weighted_squares(A, objective.weight.ravel()) / (4 if W.ndim == 1 else 2)
    bound += np.diag(objective.penalty.ravel())
    rate = n / np.linalg.eigvalsh(bound)[-1]
    run = minimize(
        lambda W: objective.at(W).loss / n,
        lambda W: objective.at(W).gradient / n,
        W,
        Nesterov(rate),
        steps=steps,
    )
    separable = not objective.penalty.any() and _leads(y, A @ run.w).min() > 0
    if not (separable or objective.penalty.any()) and W.size <= ASKED:
        _, separable = _newton(objective, run.w, 100)
    outcome = "diverged" if separable else run.outcome
    return replace(run, losses=n * run.losses, gradient_norms=n * run.gradient_norms, outcome=outcome), separable


SOLVERS = {"newton": _newton, "descent": _descent}
