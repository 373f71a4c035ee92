"""Exercises that check themselves: a number typed into the page, or a function written in the notebook."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from mlmath import arguments
from mlmath.explore.explorer import Explorer, Number


def ask(label: str, answer: float, *, hint: str, tolerance: float = 1e-2) -> Explorer:
    """Return a field for the reader's number, which tells whether it is `answer`, and gives the hint if not.

    A number is right within `tolerance` · max(|answer|, 1/10).
    """
    answer, tolerance = arguments.real("answer", answer), arguments.positive("tolerance", tolerance)
    return Explorer(
        "question",
        caption="",
        controls={"answer": Number(label=label)},
        panels=[],
        readouts={"verdict": ""},
        data={"answer": answer, "within": tolerance * max(abs(answer), 0.1), "hint": hint},
    )


def check(yours: Callable, ours: Callable, cases: Iterable[tuple], *, hint: str, tolerance: float = 1e-6) -> None:
    """Print whether `yours(*case)` equals `ours(*case)` for each case, else the first that differs and the hint."""
    yours, ours = arguments.function("yours", yours), arguments.function("ours", ours)
    cases, tolerance = list(cases), arguments.positive("tolerance", tolerance)
    if not cases or not all(isinstance(case, tuple) for case in cases):
        raise ValueError(f"cases must be tuples of arguments, one or more, but they are {cases!r:.60}")
    for case in cases:
        expected, found = ours(*case), yours(*case)
        if found is None or not _close(found, expected, tolerance):
            print(f"Not yet: for {_short(case)}\nthe answer is {_short(expected)}, yours is {_short(found)}.")
            print(f"Hint: {hint}")
            return
    print(f"Right, in all {len(cases)} cases." if len(cases) > 1 else "Right.")


def _close(found: Any, expected: Any, tolerance: float) -> bool:
    try:
        found, expected = np.asarray(found), np.asarray(expected)
        return found.shape == expected.shape and np.allclose(found, expected, rtol=tolerance, atol=tolerance)
    except (TypeError, ValueError):  # not an array of numbers at all
        return False


def _short(value: Any) -> str:
    return np.array2string(value, precision=4, threshold=8) if isinstance(value, np.ndarray) else _listed(value)


def _listed(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_short(part) for part in value) + ")"
    if callable(value):
        return value.__name__  # repr shows where it is in memory
    return f"{value:.4g}" if isinstance(value, float) else repr(value)
