"""Chapter 4, reverse-mode automatic differentiation in a page: `gradient(f)` of an f written in NumPy.

    a, b, y, dy    an operation's operands, its value y, and the gradient of the final result with respect to y

Operators and NumPy's functions on a `Variable` arrive at `__array_ufunc__`, which computes the value as NumPy does and
notes where it came from, or at `__array_function__`. So f is written once, for arrays and for variables alike:
`np.tanh(X @ W + b)`. What has no rule is refused, never guessed.
"""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from mlmath.arguments import function, real_array

# What an operation hands back to its operands: dy times the derivative of y with respect to a, then to b.
RULES: dict[np.ufunc, tuple[Callable[..., Any], ...]] = {
    np.add: (lambda dy, y, a, b: dy, lambda dy, y, a, b: dy),
    np.subtract: (lambda dy, y, a, b: dy, lambda dy, y, a, b: -dy),
    np.multiply: (lambda dy, y, a, b: dy * b, lambda dy, y, a, b: dy * a),
    np.divide: (lambda dy, y, a, b: dy / b, lambda dy, y, a, b: -dy * y / b),
    # The exponent b − 1, but 0 where b is 0: a⁰ has slope 0 at a = 0, too.
    np.power: (lambda dy, y, a, b: dy * b * a ** (b - (b != 0)), lambda dy, y, a, b: dy * y * np.log(a)),
    np.matmul: (
        lambda dy, y, a, b: dy @ b.T if np.ndim(b) == 2 else np.multiply.outer(dy, b),
        lambda dy, y, a, b: a.T @ dy if np.ndim(a) == 2 else np.multiply.outer(a, dy),
    ),
    # Where both are equal, each gets half, so that the order of the operands does not matter.
    np.maximum: (
        lambda dy, y, a, b: dy * np.heaviside(a - b, 0.5),
        lambda dy, y, a, b: dy * np.heaviside(b - a, 0.5),
    ),
    np.negative: (lambda dy, y, a: -dy,),
    np.exp: (lambda dy, y, a: dy * y,),
    np.log: (lambda dy, y, a: dy / a,),
    np.tanh: (lambda dy, y, a: dy * (1 - y**2),),
}


class Variable(np.lib.mixins.NDArrayOperatorsMixin):
    """A value, its origin (the variables it was computed from, with their rules), and a number, higher than theirs."""

    _numbers = count()

    def __init__(self, value: Any, origin: Sequence[tuple["Variable", Callable[..., Any]]] = (), at: Any = ()) -> None:
        self.value, self.origin, self.at, self.number = np.asarray(value), origin, at, next(self._numbers)

    def __array_ufunc__(self, operation: np.ufunc, method: str, *operands: Any, **options: Any) -> "Variable":
        if "out" in options:
            raise TypeError(
                "a variable cannot be changed in place, since others remember it: write a = a + b for a += b"
            )
        if operation not in RULES or method != "__call__" or options:
            raise TypeError(f"there is no backward rule for numpy.{operation.__name__} used like this; see RULES")
        values = [operand.value if isinstance(operand, Variable) else operand for operand in operands]
        if operation is np.matmul and not all(np.ndim(value) in (1, 2) for value in values):
            raise ValueError(f"@ takes matrices and vectors, but the shapes are {[np.shape(v) for v in values]}")
        y = operation(*values)
        rules = zip(operands, RULES[operation], strict=True)
        return Variable(y, [(a, rule) for a, rule in rules if isinstance(a, Variable)], (y, *values))

    def __array_function__(self, function: Callable, types: Any, arguments: tuple, options: dict) -> "Variable":
        if function not in FUNCTIONS:
            raise TypeError(f"there is no backward rule for numpy.{function.__name__}; see RULES and FUNCTIONS")
        return FUNCTIONS[function](*arguments, **options)

    @property
    def T(self) -> "Variable":
        """The transpose: the slopes are transposed back."""
        return Variable(self.value.T, [(self, lambda dy: dy.T)])

    def mean(self, axis: Any = None, *, keepdims: bool = False) -> "Variable":
        """Return the mean of all entries, or along an axis."""
        total = self.sum(axis, keepdims=keepdims)
        return total * (total.value.size / self.value.size)

    def sum(self, axis: Any = None, *, keepdims: bool = False) -> "Variable":
        """Return the sum of all entries, or along an axis: each entry has slope 1."""
        kept = self.value.sum(axis=axis, keepdims=True)
        y = kept if keepdims else self.value.sum(axis=axis)
        return Variable(y, [(self, lambda dy: np.broadcast_to(dy.reshape(kept.shape), self.value.shape))])


# NumPy's functions that are no ufuncs, by what they do to a variable; all others are refused.
FUNCTIONS: dict[Callable[..., Any], Callable[..., Variable]] = {
    np.sum: lambda a, axis=None, *, keepdims=False: a.sum(axis, keepdims=keepdims),
    np.mean: lambda a, axis=None, *, keepdims=False: a.mean(axis, keepdims=keepdims),
    np.transpose: lambda a: a.T,
    np.dot: lambda a, b: a @ b if _axes(a) and _axes(b) else a * b,
}


def _axes(a: Any) -> int:
    """The number of axes of an array or a variable."""
    return np.ndim(a.value if isinstance(a, Variable) else a)


def gradient(f: Callable[..., Variable]) -> Callable[..., Any]:
    """Return the function that maps arrays w₁, w₂, … to the gradients of the number f(w₁, w₂, …) there.

    For one argument it returns one array, for several a tuple, each of its argument's shape and type. The call keeps
    them, not the variables: a second call does not double them (Griewank and Walther, 2008, section 3.2).
    """

    function("f", f)

    def gradients(*arguments: Any) -> Any:
        variables = [Variable(real_array(f"argument {i} of f", w)) for i, w in enumerate(arguments)]
        result = f(*variables)
        if not isinstance(result, Variable) or result.value.ndim > 0 or result.value.dtype.kind != "f":
            raise TypeError(f"f must return one number that is computed from its arguments, but it returned {result}")
        dys = {variable.number: np.zeros_like(variable.value) for variable in variables}
        dys[result.number] = np.ones_like(result.value)
        for variable in _back_from(result):
            for operand, rule in variable.origin:
                dy = _summed_to(operand.value.shape, rule(dys[variable.number], *variable.at))
                dys[operand.number] = dys.get(operand.number, 0) + dy
        found = tuple(dys[variable.number].astype(variable.value.dtype, copy=False) for variable in variables)
        return found if len(found) > 1 else found[0]

    return gradients


def _back_from(result: Variable) -> list[Variable]:
    """The variables that went into the result, the last computed first."""
    found, waiting = {}, [result]
    while waiting:
        variable = waiting.pop()
        if variable.number not in found:
            found[variable.number] = variable
            waiting += [operand for operand, _ in variable.origin]
    return [found[number] for number in sorted(found, reverse=True)]


def _summed_to(shape: tuple[int, ...], dy: Any) -> Any:
    """What was copied by broadcasting gets the sum over its copies."""
    dy = dy.sum(axis=tuple(range(dy.ndim - len(shape))))
    return dy.sum(axis=tuple(i for i, size in enumerate(shape) if size == 1), keepdims=True)
