"""SymPy expressions as JavaScript functions and as NumPy functions, for the explorers of all chapters.

One expression is typeset on the page, checked in NumPy and runs under a slider; here it gets its two
programs. Both share subexpressions and replace what overflows when it is computed as it is written:

    σ(z) = 1/(1 + exp(-z))          sigmoid(z)
    log(1 + exp(z))                 softplus(z)
    log(exp(a) + exp(b) + ...)      logsumexp(a, b, ...)

The JavaScript helpers of the same names stand in `explore/front/mathematics.js`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.cache import cacheit
from sympy.printing.codeprinter import PrintMethodNotImplementedError
from sympy.printing.jscode import JavascriptCodePrinter
from sympy.printing.numpy import NumPyPrinter


class _Stable(sp.Function):
    """A function of real arguments that SymPy evaluates through its naive form."""

    def _eval_evalf(self, prec: int) -> sp.Expr:
        return self._naive()._eval_evalf(prec)

    def _eval_rewrite(self, rule: Any, args: Any, **hints: Any) -> sp.Expr | None:
        return self._naive() if rule in (sp.exp, sp.log) else None


class sigmoid(_Stable):  # noqa: N801 (SymPy's functions are lower case)
    """σ(z) = 1/(1 + exp(-z)), with σ′ = σ(z) σ(-z)."""

    nargs = 1
    is_positive = True

    @classmethod
    def eval(cls, z: sp.Expr) -> sp.Expr | None:
        """Return σ(0) = ½ and the limits at ±∞."""
        return {sp.S.Zero: sp.S.Half, sp.oo: sp.S.One, -sp.oo: sp.S.Zero}.get(z)

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return σ(z) σ(-z), which keeps its digits where 1 - σ(z) loses them."""
        return sigmoid(self.args[0]) * sigmoid(-self.args[0])

    def _naive(self) -> sp.Expr:
        return 1 / (1 + sp.exp(-self.args[0]))

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        power = f"^{{{exp}}}" if exp else ""
        return rf"\sigma{power}\left({printer._print(self.args[0])}\right)"


class softplus(_Stable):  # noqa: N801
    """log(1 + exp(z)), whose derivative is σ(z)."""

    nargs = 1
    is_positive = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return σ(z)."""
        return sigmoid(self.args[0])

    def _naive(self) -> sp.Expr:
        return sp.log(1 + sp.exp(self.args[0]))


class logsumexp(_Stable):  # noqa: N801
    """log(exp(a) + exp(b) + ...), whose derivative is the softmax."""

    is_extended_real = True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return the softmax's entry exp(a - logsumexp(a, b, ...))."""
        return sp.exp(self.args[argindex - 1] - self)

    def _naive(self) -> sp.Expr:
        return sp.log(sp.Add(*map(sp.exp, self.args)))


@cacheit
def stable(expr: sp.Basic) -> sp.Basic:
    """Return `expr` with sigmoids, softplus and log-sum-exp in place of the naive forms, innermost first."""
    if not expr.args:
        return expr
    args = [stable(arg) for arg in expr.args]
    expr = expr if list(expr.args) == args else expr.func(*args)
    for kind, rewrite in ((sp.Pow, _reciprocal), (sp.Mul, _quotient), (sp.Add, _complement), (sp.log, _logarithm)):
        if isinstance(expr, kind):
            return rewrite(expr)
    return expr


def _exponents(total: sp.Expr) -> list[sp.Expr] | None:
    """Return [a, b, ...] if `total` is exp(a) + exp(b) + ...; a positive number c counts as exp(log c)."""
    exponents = []
    for term in sp.Add.make_args(total):
        number, rest = term.as_coeff_Mul()
        exponent = rest.as_powers_dict().get(sp.E, sp.S.Zero)
        if not number.is_positive or rest != sp.exp(exponent):
            return None
        exponents.append(sp.log(number) + exponent)
    return exponents if len(exponents) > 1 and total.free_symbols else None


def _reciprocal(power: sp.Expr) -> sp.Expr:
    """(exp(a) + exp(b))⁻ᵐ = exp(-ma) σ(a - b)ᵐ; with more terms exp(-m·logsumexp)."""
    base, m = power.as_base_exp()
    exponents = _exponents(base) if m.is_Integer and m < 0 else None
    if exponents is None:
        return power
    if len(exponents) > 2:
        return sp.exp(m * logsumexp(*exponents))
    a, b = sorted(exponents, key=lambda e: (bool(e.free_symbols), sp.default_sort_key(e)))
    return sp.exp(m * a) * sigmoid(a - b) ** -m


def _quotient(product: sp.Expr) -> sp.Expr:
    """exp(kz) σ(-z)ᵐ = σ(z)ᵏ σ(-z)ᵐ⁻ᵏ for 0 < k ≤ m, and one exponential of all exponents: nothing overflows early."""
    factors = product.as_powers_dict()
    exponent = factors.pop(sp.E, sp.S.Zero)
    for base, m in list(factors.items()):
        if isinstance(base, sigmoid) and m.is_Integer:
            z = -base.args[0]
            k = min(max(_multiple_of(z, exponent), 0), int(m))
            exponent -= k * z
            factors[base] -= k
            factors[sigmoid(z)] += k
    return sp.exp(exponent) * sp.Mul(*(base**power for base, power in factors.items()))


def _multiple_of(z: sp.Expr, exponent: sp.Expr) -> int:
    """Return the whole k up to which `exponent` contains k·z, judged by a term of z."""
    term, coefficient = max(z.as_coefficients_dict().items(), key=lambda item: bool(item[0].free_symbols))
    return int(sp.floor(exponent.as_coefficients_dict()[term] / coefficient))


def _complement(total: sp.Expr) -> sp.Expr:
    """t - t σ(z) = t σ(-z); t - t exp(a - l) = t exp(logsumexp(b, ...) - l), where l = logsumexp(a, b, ...)."""
    terms = set(sp.Add.make_args(total))
    for term in sp.Add.make_args(total):
        for whole, complement in _complements(term):
            if whole in terms and isinstance(total, sp.Add):
                return _complement(total - term - whole + stable(whole * complement))
    return total


def _complements(term: sp.Expr) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    """For each factor of `term` that is a probability p, where term = -t p, yield t and 1 - p."""
    factors = sp.Mul.make_args(term)
    for k, factor in enumerate(factors):
        base, power = factor.as_base_exp()
        whole = -sp.Mul(*factors[:k], *factors[k + 1 :])
        if isinstance(base, sigmoid) and power.is_Integer and power > 0:
            yield whole * base ** (power - 1), sigmoid(-base.args[0])
        for total in factor.exp.atoms(logsumexp) if isinstance(factor, sp.exp) else ():
            if (a := factor.exp + total) in total.args:
                others = [arg for arg in total.args if arg != a]
                yield whole, sp.exp(logsumexp(*others) - total)


def _logarithm(log: sp.Expr) -> sp.Expr:
    """log(σ(z)) = -softplus(-z), log(exp(a) r) = a + log(r), and the sums of exponentials."""
    (argument,) = log.args
    if exponents := _exponents(argument):
        return softplus(sp.Add(*exponents)) if 0 in exponents and len(exponents) == 2 else logsumexp(*exponents)
    factors = argument.as_powers_dict()
    result = factors.pop(sp.E, sp.S.Zero)
    for base in [base for base in factors if isinstance(base, sigmoid)]:
        result -= factors.pop(base) * softplus(-base.args[0])
    return result + sp.log(sp.Mul(*(base**power for base, power in factors.items()))) if result != 0 else log


_SAME_NAME = "sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh exp log floor sign"
_FUNCTIONS = {
    **{name: f"Math.{name}" for name in _SAME_NAME.split()},
    **{"ceiling": "Math.ceil", "Abs": "Math.abs", "Max": "Math.max", "Min": "Math.min"},
    **{"sigmoid": "sigmoid", "softplus": "softplus", "logsumexp": "logsumexp"},
}
_NODES = (sp.Symbol, sp.Add, sp.Mul, sp.Pow, sp.Heaviside, sp.Piecewise, sp.functions.elementary.piecewise.ExprCondPair)
_NUMBERS = (sp.Rational, sp.Float, sp.NumberSymbol, sp.core.numbers.Infinity, sp.core.numbers.NegativeInfinity)
_LOGIC = (sp.And, sp.Or, sp.Not, sp.core.relational.Relational, sp.logic.boolalg.BooleanAtom)


def _check(expr: sp.Basic) -> None:
    """Raise ValueError for the first subexpression that is not a real number's formula."""
    for node in sp.preorder_traversal(expr):
        known = isinstance(node, (*_NODES, *_NUMBERS, *_LOGIC)) or (
            isinstance(node, sp.Function | sp.Max | sp.Min) and type(node).__name__ in _FUNCTIONS
        )
        if isinstance(node, sp.Derivative | sp.Integral | sp.Sum | sp.Product | sp.Limit):
            raise ValueError(f"{node} cannot be printed: it is not evaluated, call .doit() first")
        if not known:
            raise ValueError(f"{node} cannot be printed: there is no JavaScript for {type(node).__name__}")
        if isinstance(node, sp.Rational | sp.Float) and not np.isfinite(_float(node)):
            raise ValueError(f"{node} cannot be printed: it is beyond the range of floating point")


def _float(number: sp.Expr) -> float:
    try:
        return float(number)
    except OverflowError:
        return np.inf


class _JavaScript(JavascriptCodePrinter):
    """Prints one expression whose symbols are valid names."""

    def __init__(self) -> None:
        super().__init__({"user_functions": _FUNCTIONS})

    def doprint(self, expr: Any, assign_to: Any = None) -> str:
        """Return the expression in JavaScript; raises ValueError if there is none for a part of it."""
        try:
            return str(super().doprint(expr, assign_to))
        except PrintMethodNotImplementedError as error:
            raise ValueError(f"{expr} cannot be printed: {str(error).splitlines()[0]}") from None

    def _print_Pow(self, power: sp.Pow) -> str:
        base, exponent = power.args
        if exponent == -1:
            return f"1/{self.parenthesize(base, sp.printing.precedence.PRECEDENCE['Pow'])}"
        if abs(exponent) in (sp.S.Half, 0.5):
            root = f"Math.sqrt({self._print(base)})"
            return root if exponent > 0 else f"1/{root}"
        if exponent in _PRODUCTS:
            return _PRODUCTS[exponent].format(self._print(base))
        name = "Math.pow" if exponent.is_number else "power"
        return f"{name}({self._print(base)}, {self._print(exponent)})"

    def _print_Float(self, number: sp.Float) -> str:
        return repr(float(number))

    def _print_Rational(self, number: sp.Rational) -> str:
        return f"{number.p}/{number.q}" if max(abs(number.p), number.q) < 2**53 else repr(float(number))

    def _print_NumberSymbol(self, number: sp.NumberSymbol) -> str:
        return repr(float(number))

    def _print_Pi(self, number: sp.Expr) -> str:
        return "Math.PI"

    def _print_Exp1(self, number: sp.Expr) -> str:
        return "Math.E"

    def _print_BooleanTrue(self, truth: sp.Basic) -> str:
        return "true"

    def _print_BooleanFalse(self, truth: sp.Basic) -> str:
        return "false"

    def _print_Infinity(self, number: sp.Expr) -> str:
        return "Infinity"

    def _print_NegativeInfinity(self, number: sp.Expr) -> str:
        return "(-Infinity)"

    def _print_Heaviside(self, step: sp.Heaviside) -> str:
        return f"heaviside({self._print(step.args[0])}, {self._print(step.args[1])})"

    def _print_Piecewise(self, pieces: sp.Piecewise) -> str:
        *_, (last, otherwise) = pieces.args
        cases = pieces.args[:-1] if otherwise == sp.true else pieces.args
        branches = [f"({self._print(condition)}) ? {self._print(value)} : " for value, condition in cases]
        return f"({''.join(branches)}{self._print(last) if otherwise == sp.true else 'NaN'})"


# Small powers as products, which round alike everywhere; `pow` does not.
_PRODUCTS = {2: "square({})", 3: "cube({})", 4: "square(square({}))"}


class _NumPy(NumPyPrinter):
    """NumPy's side: extremes broadcast, and a power of whole numbers is computed in floating point."""

    def _print_Pow(self, power: sp.Pow, rational: bool = False) -> str:
        base, exponent = power.args
        if exponent in _PRODUCTS:
            return _PRODUCTS[exponent].format(self._print(base))
        return super()._print_Pow(power, rational)

    def _extreme(self, function: str, expr: sp.Expr) -> str:
        result = self._print(expr.args[0])
        for arg in expr.args[1:]:
            result = f"{function}({result}, {self._print(arg)})"
        return result

    def _print_Max(self, expr: sp.Expr) -> str:
        return self._extreme("maximum", expr)

    def _print_Min(self, expr: sp.Expr) -> str:
        return self._extreme("minimum", expr)

    def _print_Heaviside(self, step: sp.Heaviside) -> str:
        return f"heaviside({self._print(step.args[0])}, {self._print(step.args[1])})"


def _numpy_sigmoid(z: np.ndarray) -> np.ndarray:
    small = np.exp(-np.abs(z))
    return np.where(np.less(z, 0), small, 1.0) / (1 + small)


def _numpy_logsumexp(*values: np.ndarray) -> np.ndarray:
    result = values[0]
    for value in values[1:]:
        result = np.logaddexp(result, value)
    return result


_HELPERS = {
    "square": np.square,
    "cube": lambda z: z * z * z,
    "sigmoid": _numpy_sigmoid,
    "softplus": lambda z: np.logaddexp(0, z),
    "logsumexp": _numpy_logsumexp,
}

_RESERVED = """
    arguments await break case catch class const continue debugger default delete do else enum eval export extends
    false finally for function if implements import in instanceof interface let new null package private protected
    public return static super switch this throw true try typeof var void while with yield
    Math NaN Infinity undefined sigmoid softplus logaddexp logsumexp heaviside power square cube
"""


def _names(symbols: Sequence[sp.Symbol]) -> dict[sp.Symbol, sp.Symbol]:
    """Give every symbol a name that JavaScript accepts and no other symbol has: x_{1} is x_1, class is class_."""
    taken = set(_RESERVED.split())
    names = {}
    for symbol in sorted(symbols, key=lambda s: (not s.name.isidentifier(), s.name)):
        name = re.sub(r"[\W_]+", "_", symbol.name.replace("'", "_prime")).strip("_") or "_"
        name = symbol.name if symbol.name.isidentifier() else name
        name = name if name.isidentifier() else f"_{name}"
        while name in taken:
            name += "_"
        taken.add(name)
        names[symbol] = sp.Symbol(name)
    return names


def _flat(nested: Any) -> list[Any]:
    return [leaf for item in nested for leaf in _flat(item)] if isinstance(nested, list) else [nested]


def _listed(value: Any) -> Any:
    """Return nested lists of SymPy objects for nested sequences and matrices."""
    if isinstance(value, sp.MatrixBase):
        return value.tolist()
    if isinstance(value, list | tuple | sp.Tuple | np.ndarray):
        return [_listed(item) for item in value]
    try:
        return sp.sympify(value, strict=True)
    except sp.SympifyError:
        raise TypeError(f"arguments and expressions must be SymPy's, but one is {value!r}") from None


def _prepared(arguments: Sequence[Any], expressions: Any) -> tuple[list[Any], Any]:
    """Return the arguments and the stable expressions, checked, as nested lists."""
    if not isinstance(arguments, list | tuple | sp.Tuple):
        raise TypeError(f"arguments must be a list of symbols, but they are {arguments!r}")
    nested, expressions = [_listed(argument) for argument in arguments], _listed(expressions)
    symbols = _flat(nested)
    for symbol in symbols:
        if not isinstance(symbol, sp.Symbol):
            raise TypeError(f"arguments must be symbols or tuples of symbols, but one is {symbol!r}")
    if len(set(symbols)) < len(symbols):
        raise ValueError(f"arguments must differ from each other, but they are {symbols}")
    for expr in _flat(expressions):
        if missing := sorted(map(str, expr.free_symbols - set(symbols))):
            raise ValueError(f"{expr} contains {', '.join(missing)}, which is not among the arguments {symbols}")
    prepared = _mapped(expressions, stable)
    for expr in _flat(prepared):
        _check(expr)
    return nested, prepared


def _mapped(nested: Any, function: Callable[[Any], Any]) -> Any:
    return [_mapped(item, function) for item in nested] if isinstance(nested, list) else function(nested)


def javascript_function(name: str, arguments: Sequence[Any], expressions: Any) -> str:
    """Return the source of `function name(...)` that computes `expressions`.

    An argument is a symbol or a tuple of symbols (an array, unpacked). One expression returns a number, a list an
    array, a matrix an array of rows. Raises ValueError naming the subexpression that cannot be printed.
    """
    _require_free(name)
    arguments, expressions = _prepared(arguments, expressions)
    names = _names(_flat(arguments))
    leaves = [expr.xreplace(names) for expr in _flat(expressions)]
    shared, leaves = sp.cse(leaves, symbols=_fresh(names.values()))
    show = _JavaScript().doprint
    lines = [f"  const {symbol} = {show(value)};" for symbol, value in shared]
    values = iter(leaves)
    result = _brackets(expressions, lambda _: show(next(values)))
    head = ", ".join(_brackets(argument, lambda s: names[s].name) for argument in arguments)
    return "\n".join([f"function {name}({head}) {{", *lines, f"  return {result};", "}"])


def javascript_loops(name: str, arguments: Sequence[Any], assignments: dict[sp.Indexed, sp.Expr]) -> str:
    """Return the source of `function name(...)` that fills arrays in place, by loops over the indices (`sympy.Idx`).

    In {z[j]: b[j] + Sum(W[i, j] * a[i], i)} the loop over j fills z, the one over i sums up. An array of two dimensions
    lies flat, row by row; the ranges of its indices are its shape.
    """
    _require_free(name)
    show = _JavaScript().doprint
    lines: list[str] = []
    for target, value in assignments.items():
        if not isinstance(target, sp.Indexed) or not all(isinstance(index, sp.Idx) for index in target.indices):
            raise TypeError(f"assignments must fill entries of arrays with sympy.Idx indices, but one fills {target!r}")
        value = sp.sympify(value, strict=True)
        sums = {total: sp.Symbol(f"sum{k}") for k, total in enumerate(sorted(value.atoms(sp.Sum), key=str))}
        lines += map(_loop, target.indices)
        for total, symbol in sums.items():
            term = f"{symbol} += {show(stable(total.function))};"
            lines += [f"let {symbol} = 0;", " ".join([*(_loop(index) for index in total.variables), term])]
            lines[-1] += "}" * len(total.variables)
        lines += [f"{show(target)} = {show(stable(value.xreplace(sums)))};", "}" * len(target.indices)]
    return "\n".join([f"function {name}({', '.join(map(str, arguments))}) {{", *(f"  {line}" for line in lines), "}"])


def _require_free(name: Any) -> None:
    """Raise ValueError unless a function may have this name."""
    if not isinstance(name, str) or not name.isidentifier() or name in _RESERVED.split():
        raise ValueError(f"name must be a JavaScript identifier that is not taken, but it is {name!r}")


def _loop(index: sp.Idx) -> str:
    return f"for (let {index} = 0; {index} < {index.upper + 1}; {index}++) {{"


def _fresh(taken: Iterable[sp.Symbol]) -> Iterator[sp.Symbol]:
    """Yield the names t0, t1, … of shared subexpressions, the same in both programs: names decide the order of sums."""
    others = {symbol.name for symbol in taken}
    return (symbol for symbol in sp.numbered_symbols("t") if symbol.name not in others)


def _brackets(nested: Any, show: Callable[[Any], str]) -> str:
    return f"[{', '.join(_brackets(item, show) for item in nested)}]" if isinstance(nested, list) else show(nested)


def numpy_function(arguments: Sequence[Any], expressions: Any) -> Callable[..., Any]:
    """Return the same program as a NumPy function: arguments broadcast, one array for each expression.

    Raises ValueError for what `javascript_function` cannot print, so that page and kernel agree.
    """
    arguments, expressions = _prepared(arguments, expressions)
    names = {name: name for name in _HELPERS}
    printer = _NumPy({"fully_qualified_modules": False, "inline": True, "user_functions": names})
    function = sp.lambdify(
        arguments,
        expressions,
        modules=[_HELPERS, "numpy"],
        cse=lambda leaves: sp.cse(leaves, symbols=_fresh(_flat(arguments)), list=False),
        printer=printer,
    )

    def evaluate(*values: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*(np.asarray(value, dtype=float) for value in values))

    return evaluate


def prelude() -> str:
    """Return the JavaScript helpers that the generated functions call."""
    return files("mlmath").joinpath("explore/front/mathematics.js").read_text(encoding="utf-8")
