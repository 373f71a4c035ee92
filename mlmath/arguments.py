"""What the public functions ask of their arguments, and the errors that say so.

Every check takes the argument's name first, so that the message can name it, and returns
the argument in the form that the function computes with.
"""

import math
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np


def array(name: str, value: Any) -> np.ndarray:
    """Return `value` as an array of any type; raises ValueError if rows differ in length or entries are masked."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} must have all of its entries, but some are masked")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from None


def real_array(name: str, value: Any, *, ndim: int | tuple[int, ...] | None = None, finite: bool = True) -> np.ndarray:
    """Return `value` as a finite, non-empty array of floats with `ndim` axes.

    float32 stays float32; every other kind of number becomes float64. `finite=False` skips the look at every entry.
    Raises TypeError if the entries are not real numbers, ValueError for anything else.
    """
    numbers = array(name, value)
    if numbers.dtype == object and numbers.ndim == 0:
        raise TypeError(f"{name} must hold real numbers, but it is {value!r}")
    if numbers.dtype == object:
        try:
            numbers = np.array([_float(entry) for entry in numbers.flat]).reshape(numbers.shape)
        except (TypeError, ValueError):
            raise TypeError(f"{name} must hold real numbers, but some entries are not numbers") from None
    if numbers.dtype.kind not in "buif":
        raise TypeError(f"{name} must hold real numbers, but its type is {numbers.dtype}")
    if numbers.dtype.kind != "f" or numbers.dtype.itemsize not in (4, 8):
        numbers = converted(name, numbers, np.dtype(float))
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if allowed is not None and numbers.ndim not in allowed:
        expected = " or ".join(map(str, allowed))
        raise ValueError(f"{name} must have {expected} dimension(s), but its shape is {numbers.shape}")
    if numbers.size == 0:
        raise ValueError(f"{name} must not be empty, but its shape is {numbers.shape}")
    # A finite sum of squares proves every entry finite at a quarter of the price; it may also overflow, so look again.
    if finite and not np.isfinite(np.vdot(numbers, numbers)) and not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be finite, but it contains NaN or infinity")
    return numbers


def converted(name: str, numbers: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the numbers in another type of float; raises ValueError if some are beyond its range."""
    if numbers.dtype == dtype:
        return numbers
    with np.errstate(over="ignore"):
        result = numbers.astype(dtype)
    if numbers.dtype.itemsize > dtype.itemsize and (np.isinf(result) & np.isfinite(numbers)).any():
        raise ValueError(f"{name} must be within the range of {dtype}, but some of its numbers are not")
    return result


def layer_input(x: Any) -> np.ndarray:
    """Return what goes into a layer as an array of floats, float32 for float16; complex ones pass, for their steps."""
    x = array("x", x)
    if x.dtype.kind not in "buifc":
        raise TypeError(f"x must hold numbers, but its type is {x.dtype}")
    if x.dtype == np.float16:
        return x.astype(np.float32)
    return x if x.dtype.kind in "fc" else x.astype(float)


def point(name: str, value: Any) -> list[float]:
    """Return `value` as a list of two floats, the point (x, y)."""
    array = real_array(name, value, ndim=1)
    if len(array) != 2:
        raise ValueError(f"{name} must be a point (x, y), but it has {len(array)} entries")
    return array.tolist()


def same_length(first: str, a: np.ndarray, second: str, b: np.ndarray) -> None:
    """Raise ValueError unless `a` and `b` have as many rows as each other."""
    for name, rows in ((first, a), (second, b)):
        if np.ndim(rows) == 0:
            raise ValueError(f"{name} must have one entry for each sample, but it is {rows}")
    if len(a) != len(b):
        raise ValueError(f"{first} and {second} must have the same length, but they have {len(a)} and {len(b)}")


def real(name: str, value: Any) -> float:
    """Return `value` as a finite float; raises TypeError for what is no real number."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, but it is {value!r}")
    number = _float(value)
    if not np.isfinite(number):
        raise ValueError(f"{name} must be finite, but it is {value!r}")
    return number


def _float(value: Any) -> float:
    """Return the number as a float, infinite if it is a larger one; strings are no numbers, even if they look so."""
    if isinstance(value, str | bytes):
        raise TypeError(f"{value!r} is a string")
    try:
        return float(value)
    except OverflowError:
        return math.inf


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
    number = whole(name, value)
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, but it is {value!r}")
    return number


def whole(name: str, value: Any) -> int:
    """Return `value` as an int."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, but it is {value!r}")
    return int(value)


def boolean(name: str, value: Any) -> bool:
    """Return `value` if it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, but it is {value!r}")
    return bool(value)


def one_of(name: str, value: Any, options: Iterable[str]) -> str:
    """Return `value` if it is one of `options`."""
    options = list(options)
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, but it is {value!r}")
    return value


def function(name: str, value: Any) -> Callable:
    """Return `value` if it can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, but it is {value!r}")
    return value


def returned(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return what the function `name` gave back as an array, which may well be infinite."""
    result = np.asarray(value)
    if result.dtype.kind not in "buif":
        raise TypeError(f"{name} must return real numbers, but their type is {result.dtype}")
    if result.shape != shape:
        raise ValueError(f"{name} must return an array of shape {shape}, but its shape is {result.shape}")
    return result


def generator(name: str, value: Any) -> np.random.Generator:
    """Return `value` if it is a random number generator."""
    if not isinstance(value, np.random.Generator):
        raise TypeError(f"{name} must be a numpy.random.Generator, but it is {value!r}")
    return value
