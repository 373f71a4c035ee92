r"""Derivations whose every step is proved when they are displayed, for all chapters.

A derivation is a list of steps; each makes a claim and gives the reason why it follows from the claim before.

    Derivation(
        start(sp.Derivative(S, b)),
        equals(-2 * sp.Sum(y[i] - w * x[i] - b, (i, 1, n)), "the chain rule, term by term"),
        equals(-2 * n * (y_mean - w * x_mean - b), "write $\bar x, \bar y$ for the means",
               where={x_mean: sp.Sum(x[i], (i, 1, n)) / n, y_mean: sp.Sum(y[i], (i, 1, n)) / n}),
        must_equal(0, "at a minimum the derivative vanishes"),
        solution({b: y_mean - w * x_mean}, "solve for $b$"),
        label="eq-intercept",
    )

A claim is an expression or a matrix, an equation or inequality (`sp.Eq`, `sp.Lt`, ..., or a list of them), or
`argmin(f, over)`. The steps:

    start(claim, name=None)                 where it begins; `name` is TeX for what stands on the left
    equals(claim, reason)                   the expression before is identically this one
    at_most / at_least(claim, reason)       the expression before is ≤ / ≥ this one
    less_than / more_than(claim, reason)    ... and strictly so
    must_equal(value, reason)               demand that the expression before has this value: an equation
    iff(claim, reason)                      the equations or inequalities before say the same as these
    solution({unknown: value}, reason)      the one solution of the equations before; a list of values for all roots
    by_induction(claim, reason)             e(k+1) = F(e(k)) for all k ≥ 0 has this closed form e(k) = ...
    same_optimum(argmin(f, over), reason)   the same points are optimal

Each takes `where={symbol: definition}`, which holds from that step on and is displayed. Hypotheses are listed in
`Derivation(..., given=[...])`; `for_all(i, relation)` is one that holds for every i. `equals` and the bounds take
`using={hypothesis: factor}`, what the hypotheses are multiplied with before they are added; bounds take `gap=`, the
difference written so that it is plainly nonnegative. What the symbols are assumed to be (positive, an integer) is
displayed too.

Statements about matrices are written with `sp.MatrixSymbol("X", n, d)`, `squared_norm(y - X * w)`, `gradient(f, w)`
and `hessian(f, w)`, displayed as written, and proved entry by entry for the sizes that are given:
`Derivation(..., sizes={n: 3, d: 2})`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from mlmath import proof, proved
from mlmath.claims import (
    Every,
    Optimum,
    RefusedError,
    argmax,
    argmin,
    explicit,
    for_all,
    gradient,
    hessian,
    squared_norm,
)
from mlmath.typesetting import conditions, plain, rows, tex

_DEMAND = r"\overset{!}{=}"
__all__ = [
    "Derivation",
    "UnprovedStep",
    "argmax",
    "argmin",
    "at_least",
    "at_most",
    "by_induction",
    "equals",
    "for_all",
    "gradient",
    "hessian",
    "iff",
    "less_than",
    "more_than",
    "must_equal",
    "same_optimum",
    "solution",
    "squared_norm",
    "start",
]

Definitions = Mapping[sp.Symbol, sp.Expr]


class UnprovedStep(ValueError):  # noqa: N818 (it says what it is)
    """A step of a derivation that does not follow from the one before, or could not be proved to."""


@dataclass(frozen=True)
class Facts:
    """What a step may use: the definitions so far, the hypotheses, and the sizes of matrices."""

    where: dict[sp.Symbol, sp.Expr]
    given: tuple[Any, ...]
    sizes: Mapping[sp.Symbol, int]

    def expand(self, expr: Any) -> Any:
        """Return `expr` with every defined symbol replaced by its definition."""
        for symbol, meaning in reversed(self.where.items()):
            expr = expr.xreplace({symbol: meaning})
        return expr

    def share(self, using: Mapping[Any, Any] | None, *, signed: bool) -> Any:
        """Return Σ factor·g over the hypotheses g ≥ 0 (with factor ≥ 0, if `signed`) or g = 0."""
        total = sp.Integer(0)
        for hypothesis, factor in (using or {}).items():
            if hypothesis not in self.given:
                raise RefusedError(f"{hypothesis} is not given")
            op, g = _normal(explicit(getattr(hypothesis, "relation", hypothesis), self.sizes))
            if op != "==" and not (signed and op != "!=" and proof.nonnegative(sp.sympify(factor), self.signs)):
                raise RefusedError(f"the factor {sp.sstr(factor)} of {hypothesis} is not proved nonnegative")
            total += explicit(sp.sympify(factor), self.sizes) * g
        return total

    @cached_property
    def signs(self) -> proof.Facts:
        """The inequalities among the hypotheses."""
        facts = []
        for hypothesis in self.given:
            every = (hypothesis.index,) if isinstance(hypothesis, Every) else ()
            op, g = _normal(explicit(getattr(hypothesis, "relation", hypothesis), self.sizes))
            if op != "==":
                meaning = self.expand(g)
                facts += [proof.Fact(op, form, every) for form in (g, meaning, proof.canonical(meaning))]
        return tuple(facts)


@dataclass(frozen=True)
class Step:
    """A claim, the relation it stands in to the one before, and the reason."""

    relation: str
    claim: Any
    reason: str = ""
    prove: Callable[[Any, Any, Facts], None] = field(default=lambda before, claim, facts: None, repr=False)
    where: Definitions = field(default_factory=dict)
    name: str = ""
    hints: tuple[Any, ...] = ()


def start(claim: Any, *, name: str = "", where: Definitions | None = None) -> Step:
    """Begin with an expression, a matrix, an equation, an inequality, a list of these, or an optimum."""
    return Step("", _claim(claim), where=where or {}, name=name)


def equals(
    claim: Any, reason: str, *, using: Mapping[Any, Any] | None = None, where: Definitions | None = None
) -> Step:
    """The expression before is identically `claim`, or is so after adding multiples of the equations `using`."""

    def prove(before: Any, claim: Any, facts: Facts) -> None:
        _prove_equal(before, claim + facts.share(using, signed=False) if using else claim, facts)

    return Step("=", _claim(claim), reason, prove, where or {}, hints=(using,))


def at_most(claim: Any, reason: str, **hints: Any) -> Step:
    """The expression before is ≤ `claim`; hints: `gap`, `using`, `where`."""
    return _bound(r"\le", +1, claim, reason, **hints)


def at_least(claim: Any, reason: str, **hints: Any) -> Step:
    """The expression before is ≥ `claim`; hints: `gap`, `using`, `where`."""
    return _bound(r"\ge", -1, claim, reason, **hints)


def less_than(claim: Any, reason: str, **hints: Any) -> Step:
    """The expression before is < `claim`; hints: `gap`, `using`, `where`."""
    return _bound("<", +1, claim, reason, **hints)


def more_than(claim: Any, reason: str, **hints: Any) -> Step:
    """The expression before is > `claim`; hints: `gap`, `using`, `where`."""
    return _bound(">", -1, claim, reason, **hints)


def _bound(
    relation: str,
    sign: int,
    claim: Any,
    reason: str,
    *,
    gap: sp.Expr | None = None,
    using: Mapping[Any, sp.Expr] | None = None,
    where: Definitions | None = None,
) -> Step:
    def prove(before: Any, claim: sp.Expr, facts: Facts) -> None:
        difference = sign * (claim - before) - facts.share(using, signed=True)
        if gap is not None:
            written = explicit(sp.sympify(gap), facts.sizes)
            _prove_equal(difference, written, facts)
            difference = written
        holds = proof.positive if relation in "<>" else proof.nonnegative
        if not (holds(difference, facts.signs) or holds(facts.expand(difference), facts.signs)):
            kind = "positive" if relation in "<>" else "nonnegative"
            raise RefusedError(f"not proved {kind}: {sp.sstr(difference)}")

    return Step(relation, _claim(claim), reason, prove, where or {}, hints=(gap, using))


def must_equal(value: Any, reason: str) -> Step:
    """Demand that the expression before equals `value`: from here on the claim is that equation."""
    return Step(_DEMAND, sp.sympify(value), reason)


def iff(claim: Any, reason: str, *, where: Definitions | None = None) -> Step:
    """The equations or inequalities before hold exactly when `claim` does."""
    return Step(r"\iff", _claim(claim), reason, _prove_equivalent, where or {})


def solution(values: Mapping[sp.Expr, Any], reason: str, *, where: Definitions | None = None) -> Step:
    """The equations before hold exactly for these values of the unknowns; a list of values names all roots."""
    claim = {u: sp.Tuple(*value) if isinstance(value, list) else sp.sympify(value) for u, value in values.items()}
    return Step(r"\iff", claim, reason, _prove_solution, where or {})


def by_induction(claim: Any, reason: str, *, where: Definitions | None = None) -> Step:
    """The recursion e(k+1) = F(e(k)), or ≤ with F increasing, gives e(k) = (or ≤) a closed form that starts at e(0)."""
    return Step(r"\Longrightarrow", claim, reason, _prove_induction, where or {})


def same_optimum(claim: Optimum, reason: str, *, where: Definitions | None = None) -> Step:
    """The optimum before is attained at exactly the points of `claim`."""
    return Step("=", claim, reason, _prove_same_optimum, where or {})


def _claim(claim: Any) -> Any:
    if isinstance(claim, Optimum):
        return claim
    return tuple(map(sp.sympify, claim)) if isinstance(claim, list | tuple) else sp.sympify(claim)


def _normal(relation: Any) -> tuple[str, Any]:
    """Return a relation as (op, g): g == 0, g != 0, g > 0 ("<") or g >= 0 ("<=")."""
    if isinstance(relation, sp.Eq | sp.Ne):
        return relation.rel_op, relation.lhs - relation.rhs
    if isinstance(relation, sp.Lt | sp.Le):
        return relation.rel_op, relation.rhs - relation.lhs
    if isinstance(relation, sp.Gt | sp.Ge):
        return relation.reversed.rel_op, relation.lhs - relation.rhs
    raise RefusedError(f"{relation} is no equation or inequality in its symbols")


def _prove_equal(before: Any, claim: Any, facts: Facts) -> None:
    if any(isinstance(side, tuple | dict | Optimum | sp.core.relational.Relational) for side in (before, claim)):
        raise RefusedError("only expressions and matrices can be equal; equations are transformed with iff")
    before, claim = facts.expand(before), facts.expand(claim)
    if getattr(before, "shape", None) != getattr(claim, "shape", None):
        raise RefusedError("the shapes differ")
    difference = before - claim
    for entry in difference if isinstance(difference, sp.MatrixBase) else [difference]:
        if left := proof.residue(entry):
            raise RefusedError(f"before - after = {sp.sstr(left)}{_at(entry)}")


def _at(difference: sp.Expr) -> str:
    point = proof.counterexample(difference)
    return f", for example at {sp.sstr(point)}" if point else ""


def _relations(claim: Any) -> list[tuple[str, sp.Expr]]:
    """Return the relations that `claim` joins by "and": two for |u| < c, one for each entry of a matrix."""
    result = []
    for relation in claim if isinstance(claim, tuple) else (claim,):
        if relation == sp.true:
            continue
        op, g = _normal(relation)
        if isinstance(g, sp.MatrixBase):
            result += [(op, entry) for entry in g]
        elif op in ("<", "<=") and (inner := [t for t in sp.Add.make_args(g) if isinstance(-t, sp.Abs)]):
            result += [(op, g.subs(inner[0], s * (-inner[0]).args[0])) for s in (1, -1)]
        else:
            result.append((op, g))
    return [(op, g) for op, g in result if g != 0]


def _prove_equivalent(before: Any, claim: Any, facts: Facts) -> None:
    old, new = _relations(before), _relations(claim)
    for these, those in ((old, new), (new, old)):
        for number, (op, g) in enumerate(these):
            nearest = those[number:] + those[:number]
            if not _known(op, g, facts) and not any(op == other and _multiple(g, h, op, facts) for other, h in nearest):
                raise RefusedError(f"{sp.sstr(g)} is no {_FACTOR[op]} multiple of {[sp.sstr(h) for _, h in those]}")


def _known(op: str, g: sp.Expr, facts: Facts) -> bool:
    holds = {"<": proof.positive, "<=": proof.nonnegative}.get(op)
    return holds is not None and holds(g, facts.signs)


_FACTOR = {"==": "provably nonzero", "!=": "provably nonzero", "<": "provably positive", "<=": "provably positive"}


def _multiple(g: sp.Expr, h: sp.Expr, op: str, facts: Facts) -> bool:
    ratio = sp.factor(sp.cancel(sp.together(g / h)))
    allowed = proof.positive if op in ("<", "<=") else proof.nonzero
    if allowed(ratio, facts.signs) and proof.zero(facts.expand(g - ratio * h)):
        return True
    g, h = proof.canonical(facts.expand(g)), proof.canonical(facts.expand(h))
    ratio = sp.factor(sp.cancel(sp.together(g / h)))
    return allowed(ratio, facts.signs) and proof.zero(g - ratio * h)


def _prove_solution(before: Any, claim: dict[sp.Expr, sp.Expr], facts: Facts) -> None:
    equations = [g for _, g in _relations(before)]
    if any(op != "==" for op, _ in _relations(before)):
        raise RefusedError("only equations are solved")
    unknowns = list(claim)
    if len(unknowns) == 1 and len(equations) == 1:
        values = claim[unknowns[0]]
        return _prove_roots(
            equations[0], unknowns[0], list(values) if isinstance(values, sp.Tuple) else [values], facts
        )
    for g in equations:
        _prove_equal(g.xreplace(claim), sp.Integer(0), facts)
    jacobian = sp.Matrix([[proof.canonical(g).diff(u) for u in unknowns] for g in equations])
    if jacobian.has(*unknowns) or jacobian.rows != jacobian.cols:
        raise RefusedError("the equations are not linear in as many unknowns")
    if not _nonzero(jacobian.det(), facts):
        raise RefusedError(
            f"the solution may not be unique: {sp.sstr(sp.factor(jacobian.det()))} is not proved nonzero"
        )
    return None


def _prove_roots(g: sp.Expr, unknown: sp.Expr, values: list[sp.Expr], facts: Facts) -> None:
    """Divide the roots out and prove that what remains never vanishes; or prove that g is strictly monotonic."""
    for value in values:
        if value.has(unknown):
            raise RefusedError(f"the solution {sp.sstr(value)} contains {unknown} itself")
        for assumed, holds in (("positive", proof.positive), ("nonnegative", proof.nonnegative)):
            if getattr(unknown, f"is_{assumed}") and not holds(value, facts.signs):
                raise RefusedError(f"{unknown} is assumed {assumed}, but {sp.sstr(value)} is not proved to be")
        _prove_equal(g.subs(unknown, value), sp.Integer(0), facts)
    if not any(_only_roots(form, unknown, values, facts) for form in (sp.expand(g), proof.canonical(facts.expand(g)))):
        raise RefusedError(
            f"there may be other solutions of {sp.sstr(g)} = 0 for {unknown}, or it may vanish altogether"
        )


def _only_roots(g: sp.Expr, unknown: sp.Expr, values: list[sp.Expr], facts: Facts) -> bool:
    rest = g
    for value in map(facts.expand, values):
        rest = sp.cancel(sp.together(rest / (unknown - value)))
        while rest.has(unknown) and rest.is_polynomial(unknown) and proof.zero(facts.expand(rest.subs(unknown, value))):
            rest = sp.cancel(sp.together(rest / (unknown - value)))
    if not rest.has(unknown):
        return _nonzero(rest, facts)
    slope = sp.diff(g, unknown)
    return len(values) == 1 and _continuous(g, unknown) and any(proof.positive(s, facts.signs) for s in (slope, -slope))


def _continuous(g: sp.Expr, unknown: sp.Expr) -> bool:
    """Return True if g is built from `unknown` by +, ·, whole powers and functions without poles, on an interval."""
    smooth = (sp.Add, sp.Mul, sp.exp, sp.tanh, sp.sinh, sp.atan, sp.Symbol)
    nodes = [node for node in sp.postorder_traversal(g) if node.has(unknown)]
    powers = all(node.exp.is_Integer and node.exp > 0 for node in nodes if isinstance(node, sp.Pow))
    interval = unknown.is_extended_real and (unknown.is_positive or not unknown.is_nonzero)
    return bool(interval) and powers and all(isinstance(node, (*smooth, sp.Pow)) for node in nodes)


def _nonzero(expr: sp.Expr, facts: Facts) -> bool:
    return proof.nonzero(expr, facts.signs) or proof.nonzero(sp.factor(proof.canonical(expr)), facts.signs)


def _prove_induction(before: Any, claim: Any, facts: Facts) -> None:
    if type(before) is not type(claim) or not isinstance(claim, sp.Eq | sp.Le):
        raise RefusedError("the recursion and its closed form must both be sp.Eq or both sp.Le")
    if not isinstance(claim.lhs, AppliedUndef) or not all(k.is_Symbol and k.is_nonnegative for k in claim.lhs.args):
        raise RefusedError("the closed form must be for e(k) with a symbol k that is a nonnegative integer")
    sequence, (k,) = claim.lhs, claim.lhs.args
    closed, step = facts.expand(claim.rhs), facts.expand(before.rhs)
    if before.lhs != sequence.subs(k, k + 1):
        raise RefusedError(f"the recursion must give {sequence.subs(k, k + 1)}")
    if closed.has(sequence):
        raise RefusedError(f"the closed form contains {sequence} itself")
    slot = sp.Dummy(real=True)
    if isinstance(claim, sp.Le) and not proof.nonnegative(step.subs(sequence, slot).diff(slot), facts.signs):
        raise RefusedError("the right-hand side of the recursion is not proved to increase")
    _prove_equal(closed.subs(k, 0), sequence.subs(k, 0), facts)
    _prove_equal(step.subs(sequence, closed), closed.subs(k, k + 1), facts)


def _prove_same_optimum(before: Optimum, claim: Optimum, facts: Facts) -> None:
    if set(before.over) != set(claim.over):
        raise RefusedError("the optima are over different variables")
    sign = 1 if before.kind == claim.kind else -1
    old, new = facts.expand(before.value), sign * facts.expand(claim.value)
    increasing = [old, sp.expand_log(sp.log(old))] if proof.positive(old, facts.signs) else [old]
    if not any(_affine(form, new, claim.over, facts) for form in increasing):
        raise RefusedError(f"{sp.sstr(new)} is not recognized as an increasing function of {sp.sstr(old)}")


def _affine(old: sp.Expr, new: sp.Expr, over: tuple[sp.Expr, ...], facts: Facts) -> bool:
    """Prove new = a·old + c with a > 0, where neither a nor c contains `over`."""
    a, b = (_coefficients(proof.canonical(e), over) for e in (old, new))
    if set(a) != set(b) or not a:
        return False
    scale = sp.simplify(next(b[k] / a[k] for k in a))
    return proof.positive(scale, facts.signs) and all(proof.zero(b[k] - scale * a[k]) for k in a)


def _coefficients(expr: sp.Expr, over: tuple[sp.Expr, ...]) -> dict[sp.Expr, sp.Expr]:
    result: dict[sp.Expr, sp.Expr] = {}
    for term in sp.Add.make_args(expr):
        coefficient, part = term.as_independent(*over, as_Add=False)
        if part.has(*over):
            result[part] = result.get(part, sp.Integer(0)) + coefficient
    return {part: c for part, c in result.items() if not proof.zero(c)}


class Derivation:
    """Steps that are proved, then displayed as one aligned block of TeX.

    `given` lists the hypotheses, `sizes` the sizes for which statements about matrices are proved, `label` is how the
    text refers to the block. Raises UnprovedStep, at once, at the first step that does not follow: an exception raised
    while displaying would not stop a notebook.
    """

    def __init__(
        self,
        *steps: Step,
        given: Sequence[Any] = (),
        sizes: Mapping[sp.Symbol, int] | None = None,
        label: str | None = None,
    ) -> None:
        for step in steps:
            if not isinstance(step, Step):
                raise TypeError(f"steps must be made by start, equals, ..., but one is {step!r}")
        if not steps or steps[0].relation or not all(step.relation for step in steps[1:]):
            raise ValueError("a derivation must begin with start(...), and only there")
        self.steps, self.given, self.sizes, self.label = steps, tuple(given), dict(sizes or {}), label
        if not proved.known(self):
            self.prove()
            proved.remember(self)

    def prove(self) -> "Derivation":
        """Prove every step from the one before; raises UnprovedStep, which shows the step."""
        where: dict[sp.Symbol, sp.Expr] = {}
        before: Any = None
        for number, step in enumerate(self.steps, 1):
            try:
                claim = explicit(step.claim, self.sizes)
                where |= _definitions(step.where, where)
                if number > 1 and isinstance(before, Optimum) is not isinstance(claim, Optimum):
                    raise RefusedError("an optimum and something else cannot be compared")
                step.prove(before, claim, Facts(where, self.given, self.sizes))
            except RefusedError as refusal:
                raise UnprovedStep(
                    f"step {number} ({step.reason or 'start'}) is not proved:\n"
                    f"  before:  {plain(self.steps[number - 2].claim) if number > 1 else 'nothing'}\n"
                    f"  after:   {step.relation} {plain(step.claim)}\n  {refusal}"
                ) from None
            before = _next(before, step.relation, claim)
        return self

    def __repr__(self) -> str:
        last = self.steps[-1]
        return f"Derivation: {len(self.steps) - 1} steps proved, to {plain(last.claim)}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        label = f" ({self.label})" if self.label else ""
        return {"text/markdown": f"$$\n{self.latex()}\n$$" + label, "text/plain": repr(self)}

    def latex(self) -> str:
        """Return the block: every step on its line, its reason in small print on the line above."""
        lines = [rf"&{{\small\text{{given }} {tex(hypothesis)}}}" for hypothesis in self.given]
        lines += [line for step in self.steps for line in rows(step)]
        lines += conditions([step.claim for step in self.steps], self.given, self.sizes)
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def _next(before: Any, relation: str, claim: Any) -> Any:
    """Return the claim from which the next step sets out."""
    if relation == _DEMAND:
        zeros = isinstance(before, sp.MatrixBase) and claim == 0
        return sp.Eq(before, sp.zeros(*before.shape) if zeros else claim, evaluate=False)
    if isinstance(claim, dict):
        return tuple(sp.Eq(u, v, evaluate=False) for u, v in claim.items())
    return claim


def _definitions(new: Definitions, old: Definitions) -> dict[sp.Symbol, sp.Expr]:
    for symbol, meaning in new.items():
        if symbol in old and old[symbol] != meaning:
            raise RefusedError(f"{symbol} is already defined as {old[symbol]}")
        if sp.sympify(meaning).has(symbol):
            raise RefusedError(f"the definition of {symbol} contains {symbol} itself")
        for name, value in symbol.assumptions0.items():
            if value and getattr(sp.sympify(meaning), f"is_{name}", None) is False:
                raise RefusedError(f"{symbol} is assumed {name}, but its definition {meaning} is not")
    return {symbol: sp.sympify(meaning) for symbol, meaning in new.items()}
