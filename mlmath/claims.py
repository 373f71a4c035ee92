"""What the derivations of all chapters may claim, beside SymPy's expressions, equations and inequalities.

Optimum          the points where a value is least or greatest
Every            a hypothesis that holds for every value of an index
gradient, hessian, squared_norm     of matrices with names, written for general sizes; `explicit` puts in small ones
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp


class RefusedError(Exception):
    """Why a step is not proved: what was compared and the difference that is left."""


@dataclass(frozen=True)
class Optimum:
    """The points `over` at which `value` is least ("min") or greatest ("max")."""

    kind: str
    value: sp.Expr
    over: tuple[sp.Expr, ...]


def argmin(value: sp.Expr, *over: sp.Expr) -> Optimum:
    """Return the claim "the points `over` where `value` is least"."""
    return Optimum("min", sp.sympify(value), over)


def argmax(value: sp.Expr, *over: sp.Expr) -> Optimum:
    """Return the claim "the points `over` where `value` is greatest"."""
    return Optimum("max", sp.sympify(value), over)


@dataclass(frozen=True)
class Every:
    """A hypothesis that holds for every value of the index."""

    index: sp.Symbol
    relation: Any


def for_all(index: sp.Symbol, relation: Any) -> Every:
    """Return the hypothesis "`relation` holds for every `index`"."""
    return Every(index, relation)


class _Calculus(sp.MatrixExpr):
    """Derivatives of a scalar (or 1 × 1 matrix) with respect to the entries of a column."""

    def __new__(cls, value: Any, over: Any) -> "_Calculus":
        return super().__new__(cls, sp.sympify(value), sp.sympify(over))

    def doit(self, **hints: Any) -> Any:
        """Return the explicit matrix once `over` is explicit."""
        value, over = (arg.doit(**hints) for arg in self.args)
        if not isinstance(over, sp.MatrixBase):
            return self.func(value, over)
        return self._differentiate(_scalar(value), over)

    def _latex(self, printer: Any) -> str:
        value = printer._print(self.args[0])
        return rf"{self._operator}_{{{printer._print(self.args[1])}}} \left({value}\right)"


class gradient(_Calculus):  # noqa: N801 (used as a function, as SymPy's are)
    """The column of the partial derivatives of `value` with respect to the entries of `over`."""

    _operator = r"\nabla"
    shape = property(lambda self: self.args[1].shape)

    @staticmethod
    def _differentiate(value: sp.Expr, over: sp.MatrixBase) -> sp.MatrixBase:
        return sp.Matrix([sp.diff(value, entry) for entry in over])


class hessian(_Calculus):  # noqa: N801
    """The square matrix of the second derivatives of `value` with respect to the entries of `over`."""

    _operator = r"\nabla^2"
    shape = property(lambda self: (self.args[1].shape[0],) * 2)

    @staticmethod
    def _differentiate(value: sp.Expr, over: sp.MatrixBase) -> sp.MatrixBase:
        return sp.hessian(value, list(over))


class squared_norm(sp.Expr):  # noqa: N801 (used as a function, as SymPy's are)
    """‖v‖² = vᵀv of a column v."""

    is_commutative = True
    is_nonnegative = True

    def doit(self, **hints: Any) -> sp.Expr:
        """Return the sum of the squares once the column is explicit."""
        column = self.args[0].doit(**hints)
        return sp.Add(*(entry**2 for entry in column)) if isinstance(column, sp.MatrixBase) else self.func(column)

    def _latex(self, printer: Any) -> str:
        return rf"\lVert {printer._print(self.args[0])} \rVert^2"


def _scalar(value: Any) -> Any:
    return value[0, 0] if isinstance(value, sp.MatrixBase) and value.shape == (1, 1) else value


def explicit(claim: Any, sizes: Mapping[sp.Symbol, int]) -> Any:
    """Return `claim` with every matrix symbol replaced by a matrix of real symbols of the given sizes."""
    if not sizes:
        return claim
    if isinstance(claim, tuple):
        return tuple(explicit(part, sizes) for part in claim)
    if isinstance(claim, Every):
        return Every(claim.index, explicit(claim.relation, sizes))
    if isinstance(claim, Optimum):
        over = [explicit(o, sizes) for o in claim.over]
        entries = [e for o in over for e in (o if isinstance(o, sp.MatrixBase) else [o])]
        return Optimum(claim.kind, explicit(claim.value, sizes), tuple(entries))
    if isinstance(claim, dict):
        pairs = [(explicit(u, sizes), explicit(v, sizes)) for u, v in claim.items()]
        columns = [(u, v) if isinstance(u, sp.MatrixBase) else ([u], [v]) for u, v in pairs]
        return {u: v for us, vs in columns for u, v in zip(us, vs, strict=True)}
    if isinstance(claim, sp.core.relational.Relational):
        sides = (sp.sympify(explicit(side, sizes)) for side in (claim.lhs, claim.rhs))
        return claim.func(*sides, evaluate=False)
    claim = claim.subs(sizes)
    names = {symbol: _entries(symbol) for symbol in claim.atoms(sp.MatrixSymbol)}
    names |= {constant: constant.as_explicit() for constant in claim.atoms(sp.Identity, sp.ZeroMatrix)}
    return _scalar(sp.sympify(claim.subs(names).doit()))


def _entries(symbol: sp.MatrixSymbol) -> sp.Matrix:
    if not all(size.is_Integer for size in symbol.shape):
        raise RefusedError(f"sizes must give the shape of {symbol}, which is {symbol.shape}")
    return sp.ImmutableMatrix(*symbol.shape, lambda r, c: sp.Symbol(f"{symbol.name}_{r + 1}{c + 1}", real=True))


def parts(claim: Any) -> list[sp.Basic]:
    """Return the SymPy expressions that `claim` consists of."""
    if isinstance(claim, Optimum):
        return [claim.value, *claim.over]
    if isinstance(claim, Every):
        return [claim.relation]
    if isinstance(claim, dict):
        return [*claim.keys(), *claim.values()]
    return list(claim) if isinstance(claim, tuple) else [claim]
