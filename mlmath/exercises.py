"""Exercises that check themselves: a number typed into the page, or a function written in the notebook."""

import inspect
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from numbers import Integral, Real
from typing import Any

import numpy as np

from mlmath import arguments
from mlmath.explore.explorer import Explorer, Number

ROUNDING = 1e-9  # a whole number that was computed may be off by so much of itself


def ask(
    label: str,
    answer: float,
    *,
    hint: str | Sequence[str],
    digits: int = 3,
    tolerance: float | None = None,
    wrong: Mapping[float, str] | None = None,
) -> Explorer:
    """Return a field for the reader's number, which tells whether it is `answer`, and gives a hint if not.

    A whole number must be hit exactly; another is right within one unit of the last of `digits` significant digits.
    With a `tolerance` it is right within `tolerance` · |answer|, unless `answer` is an int. Of several hints the next
    one comes with each new try. `wrong` maps typical wrong answers to the sentence that helps there.
    """
    if isinstance(answer, Integral):
        tolerance = None
    if tolerance is not None:
        tolerance = arguments.positive("tolerance", tolerance)
    answer, digits = arguments.real("answer", answer), arguments.whole("digits", digits)
    if digits < 1:
        raise ValueError(f"digits must be at least 1, but it is {digits}")
    exact = tolerance is None and _is_whole(answer)
    within, listed = _room(answer, digits, tolerance), []
    for number, sentence in (wrong or {}).items():
        number = arguments.real("wrong", number)
        if abs(number - answer) <= within:
            raise ValueError(f"wrong must hold wrong answers, but {number:g} is right")
        about = _room(number, max(digits - 1, 1), tolerance)  # whoever is wrong may also be short of a digit
        listed.append([number, min(about, abs(number - answer) / 2), sentence])
    if tolerance is not None:
        asked = f"within {100 * tolerance:.3g} %"
    else:
        asked = "exactly" if exact else f"{digits} digit{'s' * (digits > 1)}"
    return Explorer(
        "question",
        caption="",
        controls={"answer": Number(label=f"{label} ({asked})")},
        panels=[],
        readouts={"verdict": ""},
        data={"answer": answer, "within": within, "exact": exact, "hints": _hints(hint), "wrong": listed},
    )


def check(
    yours: Callable | None,
    ours: Callable,
    cases: Iterable[tuple],
    *,
    hint: str | Sequence[str],
    tolerance: float = 1e-6,
    entrywise: bool = False,
    wrong: Mapping[str, Callable] | None = None,
) -> None:
    """Print whether `yours(*case)` equals `ours(*case)` for each case, else the first that differs and a hint.

    Numbers are compared to `tolerance` times the largest entry of the answer, or with `entrywise` times each entry;
    whole numbers exactly; tuples and dictionaries part by part. `wrong` maps what helps to the function that needs
    it: a typical wrong answer, for which that sentence is printed. Of several hints the next comes with each new try.
    """
    ours, hints = arguments.function("ours", ours), _hints(hint)
    if yours is not None and yours is not ...:
        yours = arguments.function("yours", yours)
    cases, tolerance = list(cases), arguments.positive("tolerance", tolerance)
    if not cases or not all(isinstance(case, tuple) for case in cases):
        raise ValueError(f"cases must be tuples of arguments, one or more, but they are {cases!r:.60}")
    if yours is None or yours is ...:
        print(f"Not yet: there is no function so far.\nHint: {hints[0]}")
        return
    for case in cases:
        problem, found = _called(yours, case)
        expected = ours(*deepcopy(case))
        if not problem and found is None:
            print(f"Not yet: {_name(yours)} returns nothing so far.\nHint: {hints[0]}")
            return
        problem = problem or _difference(found, expected, tolerance, entrywise)
        if problem:
            print(_cause(yours, cases, wrong or {}, tolerance, entrywise) or f"Not yet: {problem}")
            print(f"For {_short(case)}\nthe answer is {_short(expected)}", end="")
            print("." if found is None else f", yours is {_short(found)}.")
            print(f"Hint: {hints[min(_tries[hints], len(hints) - 1)]}")
            _tries[hints] += 1
            return
    print(f"Right, in all {len(cases)} cases." if len(cases) > 1 else "Right.")


_tries: Counter[tuple[str, ...]] = Counter()  # by an exercise's hints


def _hints(hint: str | Sequence[str]) -> tuple[str, ...]:
    hints = (hint,) if isinstance(hint, str) else tuple(hint)
    if not hints or not all(isinstance(one, str) for one in hints):
        raise TypeError(f"hint must be a string or several, but it is {hint!r}")
    return hints


def _is_whole(number: float) -> bool:
    return abs(number - round(number)) <= ROUNDING * abs(number)


def _room(number: float, digits: int, tolerance: float | None) -> float:
    """Return how far from `number` it is still taken for it."""
    if tolerance is not None:
        return tolerance * abs(number)
    if _is_whole(number):
        return min(ROUNDING * abs(number), 0.25)
    return 1.000001 * 10.0 ** (math.floor(math.log10(abs(number))) - digits + 1)


def _called(function: Callable, case: tuple) -> tuple[str, Any]:
    """Return what hinders the function from giving an answer, if anything, and its answer."""
    try:
        takes = inspect.signature(function)
    except (TypeError, ValueError):  # a function written in C that does not say what it takes
        takes = inspect.signature(lambda *anything: None)
    try:
        takes.bind(*case)
    except TypeError:
        return f"{_name(function)} takes {takes}, but it is given {len(case)} argument(s).", None
    try:
        return "", function(*deepcopy(case))
    except Exception as error:  # whatever the reader's function does
        said = " ".join(str(error).split()) or "no message"
        return f"{_name(function)} raised {type(error).__name__}: {said:.200}", None


def _cause(yours: Callable, cases: list[tuple], wrong: Mapping[str, Callable], *how: Any) -> str | None:
    """Return the sentence for the typical wrong answer that `yours` gives in all cases, if it is one."""
    for sentence, other in wrong.items():
        answers = ((_called(yours, case), _called(other, case)) for case in cases)
        if all(not a and not b and not _difference(mine, theirs, *how) for (a, mine), (b, theirs) in answers):
            return sentence
    return None


def _difference(found: Any, expected: Any, tolerance: float, entrywise: bool) -> str:
    """Return in one line how `found` differs from `expected`; nothing if it does not."""
    if isinstance(expected, dict | tuple):
        return _parts_differ(found, expected, tolerance, entrywise)
    if isinstance(expected, str) or callable(expected) or expected is None:
        return "" if type(found) is type(expected) and found == expected else "that is not the answer."
    try:
        found, expected = np.asarray(found), np.asarray(expected)
    except ValueError:
        return "your rows differ in length."
    except Exception:  # whatever the reader's object does
        return f"yours is {type(found).__name__}, not numbers."
    if found.dtype == object and expected.dtype != object and all(isinstance(entry, Real) for entry in found.flat):
        found = found.astype(float)  # fractions, and integers of more than 64 bits
    kinds = {"b": "True or False", "c": "complex", "U": "text", "S": "text", "O": f"{_kind(found)}, not numbers"}
    if found.dtype.kind != expected.dtype.kind and found.dtype.kind in kinds:
        return f"yours is {kinds[found.dtype.kind]}."
    if found.shape != expected.shape:
        return f"yours has the shape {found.shape}, the answer {expected.shape}."
    if expected.dtype.kind not in "iufc" or found.dtype.kind not in "iufc":
        return "" if np.array_equal(found, expected) else "that is not the answer."
    return _numbers_differ(found, expected, tolerance, entrywise)


def _kind(found: np.ndarray) -> str:
    return type(found.item()).__name__ if found.size == 1 else "an array of objects"


def _parts_differ(found: Any, expected: dict | tuple, *how: Any) -> str:
    if isinstance(expected, dict):
        if not isinstance(found, dict) or found.keys() != expected.keys():
            return f"the answer is a dictionary with the keys {', '.join(map(repr, expected))}."
        parts = [(repr(key), found[key], expected[key]) for key in expected]
    else:
        if not isinstance(found, tuple | list) or len(found) != len(expected):
            return f"the answer is a tuple of {len(expected)} parts."
        parts = [(str(k), *pair) for k, pair in enumerate(zip(found, expected, strict=True), start=1)]
    for name, mine, theirs in parts:
        if problem := "it is None." if mine is None else _difference(mine, theirs, *how):
            return f"in part {name}, {problem}"
    return ""


def _numbers_differ(found: np.ndarray, expected: np.ndarray, tolerance: float, entrywise: bool) -> str:
    if np.any(np.isnan(found) & ~np.isnan(expected)):
        return "yours contains NaN, which is no number."
    whole, same = expected.dtype.kind in "iu", (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(all="ignore"):
        gap = np.abs(found.astype(np.result_type(found, float)) - expected)
        size = np.abs(np.where(np.isfinite(expected), expected, 0)).astype(float)
        if whole and found.dtype.kind in "iu":
            room = np.full(size.shape, -1.0)  # only what is the same: floats lose the last digits of large numbers
        elif whole:
            room = np.minimum(ROUNDING * size, 0.25)
        else:
            # Where the whole answer is zero nothing says what is small: rounding errors of ordinary numbers are.
            room = tolerance * size if entrywise else np.full(size.shape, tolerance * size.max(initial=0) or 1e-12)
        close = same | (np.isfinite(expected) & (gap <= room))
    if close.all():
        return ""
    if close.ndim == 0:
        return "that is another number."
    first = ", ".join(map(str, np.argwhere(~close)[0]))
    return f"{np.sum(~close)} of {close.size} entries differ, the first at [{first}]."


def _name(function: Callable) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _short(value: Any) -> str:
    return np.array2string(value, precision=4, threshold=8) if isinstance(value, np.ndarray) else _listed(value)


def _listed(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_short(part) for part in value) + ")"
    if callable(value):
        return _name(value)  # repr shows where it is in memory
    return f"{value:.4g}" if isinstance(value, float) else f"{value!r:.200}"
