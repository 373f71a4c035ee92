"""What the public functions ask of their arguments, and the errors that say so.

Every check takes the argument's name first, so that the message can name it, and returns
the argument in the form that the function computes with.
"""

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np


def real_array(name: str, value: Any, *, ndim: int | tuple[int, ...] | None = None, finite: bool = True) -> np.ndarray:
    """Return `value` as a finite, non-empty array of floats with `ndim` axes.

    float32 stays float32; every other kind of number becomes float64. `finite=False` skips the look at every entry.
    Raises TypeError if the entries are not real numbers, ValueError for anything else.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from None
    if array.dtype == object:
        try:
            array = array.astype(float)
        except (TypeError, ValueError):
            raise TypeError(f"{name} must hold real numbers, but some entries are not numbers") from None
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name} must hold real numbers, but its type is {array.dtype}")
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        array = array.astype(float)
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and array.ndim not in allowed:
        expected = " or ".join(map(str, allowed))
        raise ValueError(f"{name} must have {expected} dimension(s), but its shape is {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, but its shape is {array.shape}")
    # A finite sum of squares proves every entry finite at a quarter of the price; it may also overflow, so look again.
    if finite and not np.isfinite(np.vdot(array, array)) and not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, but it contains NaN or infinity")
    return array


def point(name: str, value: Any) -> list[float]:
    """Return `value` as a list of two floats, the point (x, y)."""
    array = real_array(name, value, ndim=1)
    if len(array) != 2:
        raise ValueError(f"{name} must be a point (x, y), but it has {len(array)} entries")
    return array.tolist()


def same_length(first: str, a: np.ndarray, second: str, b: np.ndarray) -> None:
    """Raise ValueError unless `a` and `b` have as many rows as each other."""
    if len(a) != len(b):
        raise ValueError(f"{first} and {second} must have the same length, but they have {len(a)} and {len(b)}")


def real(name: str, value: Any) -> float:
    """Return `value` as a finite float; raises TypeError for what is no real number."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, but it is {value!r}")
    if not np.isfinite(float(value)):
        raise ValueError(f"{name} must be finite, but it is {value!r}")
    return float(value)


def positive(name: str, value: Any) -> float:
    """Return `value` as a float greater than zero."""
    number = real(name, value)
    if number <= 0:
        raise ValueError(f"{name} must be greater than 0, but it is {value!r}")
    return number


def non_negative(name: str, value: Any) -> float:
    """Return `value` as a float that is at least zero."""
    number = real(name, value)
    if number < 0:
        raise ValueError(f"{name} must be at least 0, but it is {value!r}")
    return number


def fraction(name: str, value: Any) -> float:
    """Return `value` as a float in [0, 1)."""
    number = real(name, value)
    if not 0 <= number < 1:
        raise ValueError(f"{name} must be at least 0 and less than 1, but it is {value!r}")
    return number


def count(name: str, value: Any, *, minimum: int = 1) -> int:
    """Return `value` as an int that is at least `minimum`."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, but it is {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, but it is {value!r}")
    return int(value)


def one_of(name: str, value: Any, options: Iterable[str]) -> str:
    """Return `value` if it is one of `options`."""
    options = list(options)
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, but it is {value!r}")
    return value


def generator(name: str, value: Any) -> np.random.Generator:
    """Return `value` if it is a random number generator."""
    if not isinstance(value, np.random.Generator):
        raise TypeError(f"{name} must be a numpy.random.Generator, but it is {value!r}")
    return value
