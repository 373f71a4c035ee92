"""Chapter 2, gradient descent and its relatives: the rules that step downhill and the loop that runs them.

    w           where we are: the weights, an array of any shape
    g           the gradient of the loss at w, of w's shape
    η           the `rate`
    v, m, s     what a rule remembers: velocity (β is its `momentum`), mean gradient, mean squared gradient

A rule is an `Optimizer`. Its arithmetic is spelled out in its docstring, in the order in which it is done, and
is the same for one number, for the two coordinates of a picture and for the weights of a network:

    state = optimizer.start(w)
    for _ in range(steps):
        optimizer.step(w, gradient(w), state)

`minimize` and `minimize_stochastic` are this loop with a record kept and a reason to stop.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

import numpy as np

from mlmath.arguments import (
    count,
    fraction,
    function,
    generator,
    non_negative,
    positive,
    real_array,
    returned,
    same_length,
)

State = tuple[np.ndarray, ...]

# A run whose weights grow beyond this has diverged: float64 then hardly tells w from w + 0.1,
# while squares of w are still finite, even in float32.
LARGEST = 1e15


def _open_fraction(name: str, value: Any) -> float:
    """Return `value` as a float in (0, 1)."""
    return positive(name, fraction(name, value))


# What the parameters of the rules have to be, the same in every rule.
CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "rate": positive,
    "momentum": fraction,
    "decay": fraction,
    "alpha": non_negative,
    "beta1": fraction,
    "beta2": fraction,
    "epsilon": positive,
    "shrink": _open_fraction,
    "sufficient": _open_fraction,
    "loss": function,
    "hessian": function,
}


class Optimizer:
    """A rule that carries the weights w and its own state one step on, given the gradient g.

    A rule is a dataclass of its parameters that defines `_update(w, g, *state)`, which changes these arrays in place,
    and `start` if it remembers anything.
    """

    _update: Callable[..., None]

    def __setattr__(self, name: str, value: Any) -> None:
        # A parameter is checked whenever it is set: when the rule is made, and when somebody changes it later.
        super().__setattr__(name, CHECKS[name](name, value) if name in CHECKS else value)

    def start(self, w: np.ndarray) -> State:
        """Return the state before the first step: nothing to remember, unless a rule says otherwise."""
        return ()

    def step(self, w: np.ndarray, g: np.ndarray, state: State) -> None:
        """Take one step: update the float array w and the arrays of the state in place, leaving g alone.

        Raises TypeError if w is not an array of floats, ValueError if g or the state is not of its shape.
        """
        if not isinstance(w, np.ndarray) or w.dtype.kind != "f":
            raise TypeError(f"w must be an array of floats, to be updated in place, but it is {w!r}")
        g = real_array("g", g, finite=False)
        if g.shape != w.shape:
            raise ValueError(f"g must have the shape {w.shape} of w, but its shape is {g.shape}")
        if any(np.shape(s) not in (w.shape, ()) for s in state):
            raise ValueError(f"state must be what start(w) returned, but its shapes are {[np.shape(s) for s in state]}")
        self._update(w, g, *state)


@dataclass
class GradientDescent(Optimizer):
    """Steepest descent: w ← w − ηg (Cauchy, 1847)."""

    rate: float

    def _update(self, w, g):
        w -= self.rate * g


@dataclass
class Momentum(Optimizer):
    """Gradient descent with the inertia of a heavy ball: v ← βv − ηg, then w ← w + v (Polyak, 1964)."""

    rate: float
    _: KW_ONLY
    momentum: float = 0.9

    def start(self, w: np.ndarray) -> State:
        """Return (v,), a ball at rest."""
        return (np.zeros_like(w),)

    def _update(self, w, g, v):
        v *= self.momentum
        v -= self.rate * g
        w += v


@dataclass
class Nesterov(Momentum):
    """Momentum whose gradient is taken where the ball is heading: v ← βv − ηg, then w ← w + (βv − ηg).

    Nesterov's method (1983) takes the gradient at the look-ahead point u + βv, then v ← βv − ηg and u ← u + v.
    Here w is that point: with w = u + βv the rule above is the same method, and needs no second set of weights.
    """

    def _update(self, w, g, v):
        v *= self.momentum
        v -= self.rate * g
        w += self.momentum * v - self.rate * g


@dataclass
class RMSProp(Optimizer):
    """A rate for each weight, from the size of its recent gradients: s ← ρs + (1−ρ)g², then w ← w − ηg / (√s + ε).

    ρ is `decay`, ε `epsilon` (Tieleman and Hinton, 2012).
    """

    rate: float
    _: KW_ONLY
    decay: float = 0.9
    epsilon: float = 1e-8

    def start(self, w: np.ndarray) -> State:
        """Return (s,), no gradients seen."""
        return (np.zeros_like(w),)

    def _update(self, w, g, s):
        s *= self.decay
        s += (1 - self.decay) * g**2
        w -= self.rate * g / (np.sqrt(s) + self.epsilon)


@dataclass
class Adam(Optimizer):
    """Momentum and RMSProp together, both freed of the bias of starting from zero (Kingma and Ba, 2015).

    t ← t + 1, m ← β₁m + (1−β₁)g, s ← β₂s + (1−β₂)g², then w ← w − η m̂ / (√ŝ + ε)
    with m̂ = m / (1−β₁ᵗ) and ŝ = s / (1−β₂ᵗ).
    """

    rate: float
    _: KW_ONLY
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def start(self, w: np.ndarray) -> State:
        """Return (m, s, t), all zero."""
        return np.zeros_like(w), np.zeros_like(w), np.zeros((), dtype=int)

    def _update(self, w, g, m, s, t):
        t += 1
        m *= self.beta1
        m += (1 - self.beta1) * g
        s *= self.beta2
        s += (1 - self.beta2) * g**2
        m_hat = m / (1 - self.beta1 ** int(t))
        s_hat = s / (1 - self.beta2 ** int(t))
        w -= self.rate * m_hat / (np.sqrt(s_hat) + self.epsilon)


@dataclass
class AdamW(Adam):
    """Adam with decay beside its step: w ← w − η m̂ / (√ŝ + ε) − ηλw (Loshchilov and Hutter, 2019, Algorithm 2).

    λ is `alpha`. A penalty λ/2 · ‖w‖² in the loss would add λw to g, and Adam would divide it by √ŝ like the rest: the
    weights with the largest gradients would decay least. Here every entry of w, biases too, shrinks by the same share.
    As in PyTorch, λ is multiplied by the rate; the paper multiplies it by the schedule of the rate alone.
    """

    _: KW_ONLY
    alpha: float = 0.01

    def _update(self, w, g, m, s, t):
        lost = self.rate * self.alpha * w
        super()._update(w, g, m, s, t)
        w -= lost


@dataclass
class Newton(Optimizer):
    """Jump to where the local quadratic model is flat: w ← w − d with Hd = g (Nocedal and Wright, 2006, section 3.3).

    `hessian(w)` has shape w.shape + w.shape: (d, d) for a vector. The step is the plain one: where H is indefinite
    it is drawn to a saddle or a maximum as willingly as to a minimum. A Hessian that returns H + λI damps it.
    Raises LinAlgError (a ValueError) if H is singular, which ends a run of `minimize` as "diverged".
    """

    hessian: Callable[[np.ndarray], np.ndarray] = field(repr=False)

    def _update(self, w, g):
        H = returned("hessian", self.hessian(w.copy()), w.shape + w.shape).reshape(w.size, w.size)
        try:
            w -= np.linalg.solve(H, np.ravel(g)).reshape(w.shape)
        except np.linalg.LinAlgError:
            raise np.linalg.LinAlgError("hessian must be invertible for a Newton step, but it is singular") from None


@dataclass
class Backtracking(Optimizer):
    """Gradient descent that finds its rate η anew at each step: w ← w − ηg (Armijo, 1966).

    η starts at `rate` and is multiplied by `shrink` until L(w − ηg) ≤ L(w) − c η ‖g‖², where c is `sufficient`.
    A loss that rises along −g, however short the step, ends the search at η ≤ 1e-300, in effect leaving w as it is.
    """

    loss: Callable[[np.ndarray], float] = field(repr=False)
    _: KW_ONLY
    rate: float = 1.0
    shrink: float = 0.5
    sufficient: float = 1e-4

    def _update(self, w, g):
        rate, slope, here = self.rate, float(np.vdot(g, g)), self._loss(w)
        # "not ≤" rather than ">", so that a trial whose loss is NaN is refused as well.
        while rate > 1e-300 and not self._loss(w - rate * g) <= here - self.sufficient * rate * slope:
            rate *= self.shrink
        w -= rate * g

    def _loss(self, w):
        return float(returned("loss", self.loss(w.copy()), ()))


@dataclass(frozen=True, eq=False)
class Run:
    """The record of a run, all of it finite: where it went, what was measured there and why it stopped.

    iterates        (k+1, *w.shape), the start and the weights after each of the k steps
    measured        (p,), the indices of the iterates at which loss and gradient were measured: all k+1 of them by
                    `minimize`, the start and the end of each epoch by `minimize_stochastic`
    losses          (p,), the loss at iterates[measured]
    gradient_norms  (p,), the Euclidean norm of the gradient there
    outcome         "converged", "step limit" or "diverged"
    """

    iterates: np.ndarray
    measured: np.ndarray
    losses: np.ndarray
    gradient_norms: np.ndarray
    outcome: Literal["converged", "step limit", "diverged"]

    @property
    def w(self) -> np.ndarray:
        """The last weights that were finite."""
        return self.iterates[-1]

    @property
    def steps(self) -> int:
        """The number of steps taken."""
        return len(self.iterates) - 1

    def __repr__(self) -> str:
        # The digits of a loss that has reached zero differ from machine to machine.
        loss = self.losses[-1] if abs(self.losses[-1]) > 1e-12 else 0
        return f"Run({self.outcome!r}, steps={self.steps}, loss={loss:.4g})"


def minimize(
    loss: Callable[[np.ndarray], float],
    gradient: Callable[[np.ndarray], np.ndarray],
    start: Any,
    optimizer: Optimizer,
    *,
    steps: int = 1000,
    tolerance: float = 1e-8,
) -> Run:
    """Minimize the loss from `start` by the optimizer's steps, and return the record of the run.

    The outcome is "converged" once ‖gradient(w)‖ ≤ tolerance, "diverged" when the loss, the gradient or w is no
    longer finite, an entry of w exceeds `LARGEST` or a Newton step does not exist, and otherwise "step limit".
    `start` has any shape and is not changed; `gradient` returns its shape. float32 stays float32. Both functions get
    a copy of w: what they write into it changes neither the run nor its record.

    Raises ValueError or TypeError for arguments of the wrong kind, and if loss or gradient is not finite at `start`.
    """
    function("loss", loss)
    function("gradient", gradient)
    return _descend(
        loss, gradient, lambda w, g: g, start, optimizer, steps=count("steps", steps), every=1, tolerance=tolerance
    )


def batches(n: int, *, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Deal the rows 0, …, n−1, shuffled, into batches of `batch_size`, the last of which may be shorter.

    One permutation is drawn, whatever the batch size: the batches are its consecutive slices.
    """
    n, batch_size = count("n", n), count("batch_size", batch_size)
    order = generator("rng", rng).permutation(n)
    return [order[i : i + batch_size] for i in range(0, n, batch_size)]


def minimize_stochastic(
    loss: Callable[[np.ndarray, np.ndarray, np.ndarray], float],
    gradient: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    X: Any,
    y: Any,
    start: Any,
    optimizer: Optimizer,
    *,
    batch_size: int = 32,
    epochs: int = 10,
    tolerance: float = 1e-8,
    rng: np.random.Generator,
) -> Run:
    """Minimize loss(w, X, y) by steps along the gradients of small batches, dealt anew in each epoch.

    `loss` and `gradient` are means over the rows they are given, so that a random batch's gradient is unbiased.
    X has shape (n, d), y (n,) or (n, c). Loss and gradient over all the rows are measured only at the start and after
    each epoch, since a measurement costs as much as an epoch does. Otherwise as `minimize`
    (Robbins and Monro, 1951).
    """
    function("loss", loss)
    function("gradient", gradient)
    X, y = real_array("X", X, ndim=2), real_array("y", y, ndim=(1, 2))
    same_length("X", X, "y", y)
    X, y = _read_only(X), _read_only(y)
    epochs, batch_size, rng = count("epochs", epochs), count("batch_size", batch_size), generator("rng", rng)
    deal = (rows for _ in range(epochs) for rows in batches(len(X), batch_size=batch_size, rng=rng))
    every = math.ceil(len(X) / batch_size)

    def batch_gradient(w, g):
        rows = next(deal)
        return gradient(w.copy(), X[rows], y[rows])

    return _descend(
        lambda w: loss(w, X, y),
        lambda w: gradient(w, X, y),
        batch_gradient,
        start,
        optimizer,
        steps=epochs * every,
        every=every,
        tolerance=tolerance,
    )


def _descend(loss, gradient, step_gradient, start, optimizer, *, steps, every, tolerance) -> Run:
    """Run the optimizer along step_gradient(w, g), measuring the loss and its gradient g every so many steps."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an Optimizer such as GradientDescent(0.1), but it is {optimizer!r}")
    tolerance = positive("tolerance", tolerance)
    w = real_array("start", start).copy()
    state, g, norm = optimizer.start(w), np.zeros_like(w), np.inf
    iterates, record = [], []
    outcome: Literal["converged", "step limit", "diverged"] = "step limit"
    try:
        with np.errstate(all="ignore"):  # overflow is how a run diverges: no reason for a warning
            for k in range(steps + 1):
                if k > 0:
                    optimizer.step(w, step_gradient(w, g), state)
                _bounded("the largest entry of w", np.abs(w).max(), LARGEST)
                if k % every == 0:
                    value, g = returned("loss", loss(w.copy()), ()), returned("gradient", gradient(w.copy()), w.shape)
                    norm = _bounded("the norm of the gradient", np.linalg.norm(g))
                    record.append((k, _bounded("the loss", value), norm))
                iterates.append(w.copy())
                if norm <= tolerance:
                    outcome = "converged"
                    break
    except (OverflowError, np.linalg.LinAlgError) as error:
        if not iterates:
            raise ValueError(f"start must have a finite loss and gradient and be within range, but {error}") from None
        outcome = "diverged"
    measured, losses, norms = map(np.array, zip(*record, strict=True))
    return Run(np.array(iterates), measured, losses, norms, outcome)


def _read_only(data: np.ndarray) -> np.ndarray:
    """Return a view of the data into which nothing can be written."""
    view = data.view()
    view.flags.writeable = False
    return view


def _bounded(name: str, value: Any, largest: float = sys.float_info.max) -> float:
    """Return the number if it lies within ± `largest`; raise OverflowError if it does not or is NaN."""
    if not abs(float(value)) <= largest:
        raise OverflowError(f"{name} is {float(value):.4g}")
    return float(value)
