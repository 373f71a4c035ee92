"""Proofs for `mlmath.derivation`: when is an expression zero, nonnegative, positive or nonzero?

Every answer True is a proof, in exact arithmetic and under the assumptions that the symbols
carry; False means "not proved". `counterexample` is the one place that computes with numbers,
and it can only refute.

    Σ       a sum over data of general length n is `Sum(x[i], (i, 1, n))` with `x = IndexedBase("x", real=True)`
    facts   what is given: g > 0, g ≥ 0 or g ≠ 0, for one value of its symbols or for every value of an index
"""

from collections.abc import Iterable, Iterator
from functools import reduce
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef


class Fact(NamedTuple):
    """What is given: `g` > 0 ("<"), ≥ 0 ("<=") or ≠ 0 ("!="), for every value of the symbols `every`."""

    op: str
    g: sp.Expr
    every: tuple[sp.Symbol, ...] = ()


Facts = tuple[Fact, ...]


def canonical(expr: sp.Expr) -> sp.Expr:
    """Return `expr` expanded, with every sum over data split into coefficients and sums of monomials.

    Σ(a·fᵢ + gᵢ) = a·Σfᵢ + Σgᵢ, Σᵢ1 = n, ΣᵢΣⱼ fᵢgⱼ = Σf·Σg; the names of the indices do not matter.
    """
    expr = _evaluate(sp.sympify(expr))
    expr = expr.replace(lambda e: isinstance(e, sp.Product), _split_product)
    expr = sp.expand(expr)
    expr = expr.replace(lambda e: isinstance(e, sp.Sum), _split_sum)
    return _merge_ranges(sp.expand(expr))


def _evaluate(expr: sp.Expr) -> sp.Expr:
    kinds = (sp.Derivative, sp.Limit, sp.Integral)
    expr = expr.replace(lambda e: isinstance(e, kinds), lambda e: e.doit())
    return expr.replace(lambda e: isinstance(e, sp.Integral), _fold_integral)


_HALVES = {(-sp.oo, sp.oo): (1, -1), (sp.S.Zero, sp.oo): (1,), (-sp.oo, sp.S.Zero): (-1,)}


def _fold_integral(integral: sp.Integral) -> sp.Expr:
    """∫ g(z) dz over all z = ∫ (g(u) + g(−u)) du over u > 0: what is even counts twice, what is odd vanishes."""
    (z, *ends), *more = integral.limits
    if more or integral.function.has(sp.Integral) or tuple(ends) not in _HALVES:
        return integral
    u = sp.Symbol("ι", positive=True)
    both = sp.expand(sp.Add(*(integral.function.subs(z, sign * u) for sign in _HALVES[tuple(ends)])))
    terms = (term.as_independent(u, as_Add=False) for term in sp.Add.make_args(both))
    return sp.Add(*(factor * sp.Integral(part, (u, 0, sp.oo)) for factor, part in terms))


def _split_product(product: sp.Product) -> sp.Expr:
    """∏ aᵢbᵢ = ∏aᵢ ∏bᵢ, ∏ c = cⁿ, ∏ exp(aᵢ) = exp(Σaᵢ)."""
    (index, low, high), *outer = reversed(product.limits)
    if outer:
        return product
    result = sp.Integer(1)
    for factor in sp.Mul.make_args(sp.powsimp(product.function)):
        if not factor.has(index):
            result *= factor ** (high - low + 1)
        elif isinstance(factor, sp.exp):
            result *= sp.exp(sp.Sum(factor.exp, (index, low, high)))
        else:
            result *= sp.Product(factor, (index, low, high))
    return result


def _split_sum(total: sp.Sum) -> sp.Expr:
    if not all(len(limit) == 3 for limit in total.limits):
        return total
    body = sp.expand(total.function)
    return sp.Add(*(_split_term(term, list(total.limits)) for term in sp.Add.make_args(body)))


def _split_term(term: sp.Expr, limits: list[sp.Tuple]) -> sp.Expr:
    """Sum one monomial: factors that share no index are summed apart."""
    factors, limits = _flatten(term, limits)
    result = sp.Integer(1)
    while limits:
        group = _connected(limits[0], factors, limits)
        indices = {limit[0] for limit in group}
        inside = [f for f in factors if f.free_symbols & indices]
        factors = [f for f in factors if not f.free_symbols & indices]
        limits = [limit for limit in limits if limit not in group]
        result *= _named(inside, group)
    return result * sp.Mul(*factors)


def _flatten(term: sp.Expr, limits: list[sp.Tuple]) -> tuple[list[sp.Expr], list[sp.Tuple]]:
    """Return the factors of `term` and all indices they are summed over, each with a name of its own."""
    factors: list[sp.Expr] = []
    queue = [f for f in sp.Mul.make_args(term)]
    fresh = {limit[0]: sp.Dummy(integer=True) for limit in limits}
    queue = [f.xreplace(fresh) for f in queue]
    limits = [sp.Tuple(*(part.xreplace(fresh) for part in limit)) for limit in limits]
    while queue:
        factor = queue.pop()
        base, exponent = factor.as_base_exp()
        if isinstance(base, sp.Sum) and exponent.is_Integer and exponent > 0:
            for _ in range(int(exponent)):
                inner = {limit[0]: sp.Dummy(integer=True) for limit in base.limits}
                queue += [f.xreplace(inner) for f in sp.Mul.make_args(base.function)]
                limits = [sp.Tuple(*(part.xreplace(inner) for part in limit)) for limit in base.limits] + limits
        else:
            factors.append(factor)
    return factors, limits


def _connected(first: sp.Tuple, factors: list[sp.Expr], limits: list[sp.Tuple]) -> list[sp.Tuple]:
    """Return the limits whose indices hang together with `first` through a factor or a bound."""
    indices, grown = {first[0]}, True
    while grown:
        linked = [f.free_symbols for f in factors] + [limit.free_symbols for limit in limits]
        everything = {limit[0] for limit in limits}
        wider = indices | reduce(set.union, ((s & everything) for s in linked if s & indices), set())
        grown, indices = wider != indices, wider
    return [limit for limit in limits if limit[0] in indices]


def _named(factors: list[sp.Expr], limits: list[sp.Tuple]) -> sp.Expr:
    """Return Σ of the product of `factors`, with the names of the indices that sort first."""
    if not factors:
        (_, low, high), *more = limits
        if not more:
            return high - low + 1
    names = [sp.Symbol(f"ι{k}", integer=True) for k in range(len(limits))]
    body = _counted_alike(sp.Mul(*factors), limits)

    def renamed(order: Iterable[sp.Symbol]) -> sp.Sum:
        names_of = dict(zip((limit[0] for limit in limits), order, strict=True))
        bounds = [sp.Tuple(*(part.xreplace(names_of) for part in limit)) for limit in limits]
        if not any(limit.free_symbols & {n} for n in names for limit in bounds if limit[0] != n):
            bounds.sort(key=sp.default_sort_key)
        return sp.Sum(body.xreplace(names_of), *bounds)

    return min((renamed(order) for order in permutations(names)), key=sp.default_sort_key)


def _counted_alike(body: sp.Expr, limits: list[sp.Tuple]) -> sp.Expr:
    """Return the summand with its indices over all integers counted so that they are the subscript of the first letter.

    Σ_i f(c ± i) = Σ_i f(i): over all integers (with few terms that are not zero) it does not matter where one begins to
    count, nor in which direction.
    """
    for index, *ends in limits:
        if tuple(ends) == (-sp.oo, sp.oo) and not any(limit.has(index) for limit in limits if limit[0] != index):
            subscripts = [s for e in sorted(body.atoms(sp.Indexed), key=str) for s in e.indices if s.has(index)]
            signed = ((sign, sp.expand(s - sign * index)) for s in subscripts for sign in (1, -1))
            whole = ((sign, start) for sign, start in signed if start.is_integer and not start.has(index))
            sign, start = next(whole, (1, sp.Integer(0)))
            body = body.subs(index, sign * (index - start))
    return body.replace(lambda e: isinstance(e, sp.Indexed), lambda e: e.func(e.base, *map(sp.expand, e.indices)))


def _merge_ranges(expr: sp.Expr) -> sp.Expr:
    """Return `expr` with sums of one summand over ranges that differ by a few terms taken over their common part.

    Σ_{i=0}^{k-1} f(i+1) - Σ_{i=0}^{k-1} f(i) = f(k) - f(0): sums telescope.
    """
    shifted = expr.replace(lambda e: isinstance(e, sp.Sum) and len(e.limits) == 1, _from_zero_shift)
    ranges: dict[sp.Expr, list[sp.Tuple]] = {}
    for total in shifted.atoms(sp.Sum):
        if len(total.limits) == 1:
            ranges.setdefault(total.function, []).append(total.limits[0])
    common = {body: _common(limits) for body, limits in ranges.items() if len(limits) > 1}
    return sp.expand(shifted.xreplace(dict(_cut(common)))) if common else shifted


def _from_zero_shift(total: sp.Sum) -> sp.Sum:
    """Shift the index so that its least whole offset in the subscripts and arguments is zero."""
    (index, low, high), body = total.limits[0], total.function
    arguments = [a for e in body.atoms(sp.Indexed, AppliedUndef) for a in e.args if a.has(index)]
    offsets = [a - index for a in arguments]
    if not offsets or not all(o.is_Integer for o in offsets):
        return total
    shift = min(offsets)
    return sp.Sum(sp.expand(body.subs(index, index - shift)), (index, low + shift, high + shift))


def _common(limits: list[sp.Tuple]) -> list[tuple[sp.Tuple, sp.Tuple]]:
    """Pair each range with the common part of all ranges that lie a whole number apart from it."""
    pairs = []
    for limit in limits:
        near = [m for m in limits if (m[1] - limit[1]).is_Integer and sp.expand(m[2] - limit[2]).is_Integer]
        low = limit[1] + max(m[1] - limit[1] for m in near)
        high = limit[2] + min(sp.expand(m[2] - limit[2]) for m in near)
        pairs.append((limit, sp.Tuple(limit[0], low, high)))
    return pairs


def _cut(common: dict[sp.Expr, list[tuple[sp.Tuple, sp.Tuple]]]) -> Iterator[tuple[sp.Sum, sp.Expr]]:
    for body, pairs in common.items():
        for whole, part in pairs:
            index = whole[0]
            before = [body.subs(index, whole[1] + k) for k in range(int(part[1] - whole[1]))]
            after = [body.subs(index, part[2] + k) for k in range(1, int(sp.expand(whole[2] - part[2])) + 1)]
            yield sp.Sum(body, whole), sp.Add(sp.Sum(body, part), *before, *after)


def zero(expr: Any) -> bool:
    """Return True if `expr` (an expression or a matrix) is proved to vanish wherever it is defined."""
    if isinstance(expr, sp.MatrixBase):
        return all(zero(entry) for entry in expr)
    return residue(expr) == 0


def residue(expr: sp.Expr) -> sp.Expr:
    """Return `expr` simplified as far as the proofs go; 0 means that it is proved to vanish."""
    expr = canonical(expr)
    if expr == 0 or _numerator(expr) == 0:
        return sp.Integer(0)
    expr = _one_sum(expr)
    if expr == 0 or refuted(expr):
        return expr
    hidden = {total: sp.Dummy(real=total.is_real) for total in expr.atoms(sp.Sum)}
    opened = sp.simplify(expr.xreplace(hidden))
    if opened == 0:
        return sp.Integer(0)
    closed = sp.simplify(sp.piecewise_fold(expr.doit()))
    # A branch that is nan is where one side is not defined.
    branches = {value for value, _ in closed.args} if isinstance(closed, sp.Piecewise) else {closed}
    return sp.Integer(0) if branches <= {sp.nan, sp.S.Zero} and branches != {sp.nan} else closed


def _numerator(expr: sp.Expr) -> sp.Expr:
    return canonical(sp.fraction(sp.together(expr))[0])


def _one_sum(expr: sp.Expr) -> sp.Expr:
    """Σf + c·Σg = Σ(f + c·g), simplified inside: for summands that are no polynomials."""
    rest, bodies = sp.Integer(0), dict[tuple, sp.Expr]()
    for term in sp.Add.make_args(expr):
        sums = [f for f in sp.Mul.make_args(term) if isinstance(f, sp.Sum)]
        if len(sums) == 1:
            body = sums[0].function * term / sums[0]
            bodies[sums[0].limits] = bodies.get(sums[0].limits, sp.Integer(0)) + body
        else:
            rest += term
    return rest + sp.Add(*(sp.Sum(sp.simplify(body), *limits) for limits, body in bodies.items()))


def nonnegative(expr: sp.Expr, facts: Facts = ()) -> bool:
    """Return True if `expr` is proved to be ≥ 0: a sum of products of squares, of what is assumed or of `facts`."""
    return any(_sign(form, facts, strict=False) for form in _forms(expr))


def positive(expr: sp.Expr, facts: Facts = ()) -> bool:
    """Return True if `expr` is proved to be > 0."""
    return any(_sign(form, facts, strict=True) for form in _forms(expr))


def nonzero(expr: sp.Expr, facts: Facts = ()) -> bool:
    """Return True if `expr` is proved to be defined and not zero."""
    top, bottom = sp.fraction(sp.together(expr))
    return all(
        f.is_nonzero
        or any(fact.op == "!=" and _constant_ratio(f, fact.g).is_nonzero for fact in facts)
        or positive(f, facts)
        or positive(-f, facts)
        for part in (top, bottom)
        for f in sp.Mul.make_args(sp.factor_terms(part))
    )


def _forms(expr: sp.Expr) -> Iterator[sp.Expr]:
    expr = sp.sympify(expr)
    yield expr
    yield sp.expand(expr)
    yield sp.factor(expr)
    yield _one_sum(expr)
    yield sp.factor(canonical(expr))


def _sign(expr: sp.Expr, facts: Facts, *, strict: bool) -> bool:
    """Prove expr > 0 (`strict`) or expr ≥ 0 from the form of `expr` as it is written."""
    if expr.is_positive or (not strict and expr.is_nonnegative):
        return True
    if _given(expr, facts, strict=strict):
        return True
    if isinstance(expr, sp.Add):
        weak = all(_sign(term, facts, strict=False) for term in expr.args)
        return weak and (not strict or any(_sign(term, facts, strict=True) for term in expr.args))
    if isinstance(expr, sp.Mul):
        others = [f for f in expr.args if not _sign(f, facts, strict=strict)]
        return len(others) % 2 == 0 and all(_opposite_sign(f, facts, strict=strict) for f in others)
    if isinstance(expr, sp.Pow):
        return _sign_of_power(expr, facts, strict=strict)
    if isinstance(expr, sp.Product) or (isinstance(expr, sp.Sum) and not strict):
        bound = {limit[0] for limit in expr.limits}
        inside = tuple(fact for fact in facts if not (fact.g.free_symbols & bound) - set(fact.every))
        return _sign(expr.function, inside, strict=strict)
    if isinstance(expr, sp.Max):
        return any(_sign(a, facts, strict=strict) for a in expr.args)
    return isinstance(expr, sp.Min) and all(_sign(a, facts, strict=strict) for a in expr.args)


def _opposite_sign(factor: sp.Expr, facts: Facts, *, strict: bool) -> bool:
    """Prove -factor > 0 or ≥ 0, where turning the sign opens something: a number, an assumption, a sum, a fact."""
    if factor.is_negative or (not strict and factor.is_nonpositive):
        return True
    if factor.is_Add:
        return _sign(sp.expand_mul(-factor), facts, strict=strict)
    return _given(-factor, facts, strict=strict)


def _sign_of_power(power: sp.Pow, facts: Facts, *, strict: bool) -> bool:
    base, exponent = power.args
    if exponent.is_even and real(base) and (nonzero(base, facts) or (exponent.is_nonnegative and not strict)):
        return True
    return exponent.is_real and _sign(base, facts, strict=strict or not exponent.is_nonnegative)


def real(expr: sp.Expr) -> bool:
    """Return True if `expr` is proved to be a real number wherever it is defined."""
    if expr.is_extended_real:
        return True
    hidden = {e: sp.Dummy(real=True) for e in expr.atoms(sp.Sum, sp.Product) if real(e.function)}
    return bool(hidden) and bool(expr.xreplace(hidden).is_extended_real)


def _given(expr: sp.Expr, facts: Facts, *, strict: bool) -> bool:
    """Prove that `expr` is a positive multiple of a fact."""
    strong = ("<",) if strict else ("<", "<=")
    return any(fact.op in strong and _constant_ratio(expr, fact.g).is_positive for fact in facts)


def _constant_ratio(expr: sp.Expr, to: sp.Expr) -> sp.Expr:
    same = expr.free_symbols == to.free_symbols
    return sp.cancel(sp.together(expr / to)) if same and to != 0 else sp.nan


def refuted(expr: sp.Expr) -> bool:
    """Return True if `expr` is not zero at some point that satisfies the symbols' assumptions."""
    return counterexample(expr) is not None


def counterexample(expr: sp.Expr) -> dict[sp.Expr, sp.Expr] | None:
    """Return values at which `expr` is not zero, if a few random points find some; infinite sums are not tried."""
    if any(bound.is_infinite for total in expr.atoms(sp.Sum) for _, *ends in total.limits for bound in ends):
        return None
    rng = np.random.default_rng(0)
    for _ in range(3):
        point, value = _evaluated(expr, rng)
        if value is not None and abs(value) > 1e-9:
            return point
    return None


def _evaluated(expr: sp.Expr, rng: np.random.Generator) -> tuple[dict[sp.Expr, sp.Expr], Any]:
    point: dict[sp.Expr, sp.Expr] = {}
    integers = sorted((s for s in expr.free_symbols if s.is_integer), key=sp.default_sort_key)
    for symbol in integers:
        point[symbol] = sp.Integer(rng.integers(2, 5))
    expr = expr.xreplace(point).doit().doit()  # once more for sums whose range depends on another index
    unknowns = expr.atoms(sp.Indexed, AppliedUndef) | expr.free_symbols
    unknowns -= {part for base in expr.atoms(sp.IndexedBase) for part in (base, base.label)}
    for unknown in sorted(unknowns, key=sp.default_sort_key):
        size = sp.Rational(int(rng.integers(1, 40)), int(rng.integers(5, 16)))
        negative = unknown.is_negative or (not unknown.is_extended_nonnegative and rng.random() < 0.5)
        point[unknown] = -size if negative else size
    value = expr.xreplace({k: v for k, v in point.items() if isinstance(k, sp.Indexed | AppliedUndef)})
    value = sp.N(value.xreplace(point), 30)
    return point, complex(value) if value.is_number and value.is_finite and not value.has(sp.Sum, sp.Product) else None
