"""Proofs that need not be found again: what was proved once is remembered by its content.

The key of a derivation holds everything that decides whether it is proved: its steps with their hints and hypotheses,
the source of the checker, and the version of SymPy. So a changed checker proves everything anew. The folder is named by
the environment variable `MLMATH_PROOFS`; without it, nothing is remembered.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

CHECKER = ("claims.py", "derivation.py", "proof.py", "proved.py")


def known(derivation: Any) -> bool:
    """Return True if this derivation was proved before, by the checker as it is now."""
    file = _file(derivation)
    return file is not None and file.is_file()


def remember(derivation: Any) -> None:
    """Keep that this derivation is proved."""
    if file := _file(derivation):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def _file(derivation: Any) -> Path | None:
    folder = os.environ.get("MLMATH_PROOFS")
    if not folder:
        return None
    try:
        content = described((derivation.steps, derivation.given, derivation.sizes))
    except _UnknownError:
        return None
    return Path(folder, hashlib.sha256(f"{_checker()}\0{content}".encode()).hexdigest())


@cache
def _checker() -> str:
    source = b"\0".join(Path(__file__).with_name(name).read_bytes() for name in CHECKER)
    return f"{sp.__version__} {hashlib.sha256(source).hexdigest()}"


class _UnknownError(Exception):
    """The value has a meaning that its text does not show."""


def described(value: Any) -> str:
    """Return a text that is the same for the same mathematics, and for that alone.

    Symbols and functions are written with all that they are assumed to be, which SymPy's own `srepr` leaves out of
    functions. What is defined elsewhere, and may mean anything, raises an error.
    """
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{described(key)}: {described(entry)}' for key, entry in value.items())}}}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(described, value))}]"
    if isinstance(value, sp.MatrixBase):
        value = value.as_immutable()
    undefined = isinstance(value, AppliedUndef)
    if not undefined and type(value).__module__.split(".")[0] not in ("sympy", "mlmath", "builtins"):
        raise _UnknownError
    if is_dataclass(value) and not isinstance(value, type):
        parts = (f"{field.name}={described(getattr(value, field.name))}" for field in fields(value))
        return f"{type(value).__name__}({', '.join(parts)})"
    if callable(value) and hasattr(value, "__qualname__") and not isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if not isinstance(value, sp.Basic):
        return repr(value)
    name = type(value).__name__
    if isinstance(value, sp.Symbol) or undefined:
        assumed = type(value)._kwargs if undefined else value.assumptions0
        name += repr(sorted(assumed.items()))
    return f"{name}({', '.join(map(described, value.args))})" if value.args else f"{name} {sp.srepr(value)}"
