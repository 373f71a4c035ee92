"""How the derivations of all chapters are typeset: TeX that a phone can show, the same in every run."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.printing.latex import LatexPrinter

from mlmath.claims import Every, Optimum, parts


def plain(claim: Any) -> str:
    """Return `claim` on one line, as SymPy writes it."""
    if isinstance(claim, dict):
        return ", ".join(f"{sp.sstr(u)} = {sp.sstr(value)}" for u, value in claim.items())
    if isinstance(claim, Optimum):
        return f"arg{claim.kind} {sp.sstr(claim.value)}"
    return sp.sstr(claim)


class _Printer(LatexPrinter):
    """TeX in the letters of the book, with the terms of a sum in an order that does not begin with a minus sign."""

    def _print_Add(self, expr: sp.Add, order: Any = None) -> str:
        terms = self._as_ordered_terms(expr, order=order)
        terms.sort(key=lambda term: term.could_extract_minus_sign())
        result = self._print(terms[0])
        for term in terms[1:]:
            minus = term.could_extract_minus_sign()
            body = self._print(-term if minus else term)
            result += (" - " if minus else " + ") + (
                f"\\left({body}\\right)" if (-term if minus else term).is_Add else body
            )
        return result

    def _print_Transpose(self, expr: sp.Transpose) -> str:
        return super()._print_Transpose(expr).removesuffix("^{T}") + r"^\top"

    def _print_Identity(self, expr: sp.Identity) -> str:
        return "I"

    def _print_DiagMatrix(self, expr: sp.DiagMatrix) -> str:
        return rf"\operatorname{{diag}}({self._print(expr.args[0])})"


def tex(claim: Any) -> str:
    """Return `claim` as TeX."""
    if isinstance(claim, Optimum):
        over = ", ".join(map(tex, claim.over))
        return rf"\operatorname*{{arg\,{claim.kind}}}_{{{over}}}\ {tex(claim.value)}"
    if isinstance(claim, Every):
        return rf"{tex(claim.relation)}\ \text{{ for every }} {tex(claim.index)}"
    if isinstance(claim, dict):
        return r",\quad ".join(f"{tex(u)} = {tex(v)}" for u, v in claim.items())
    if isinstance(claim, tuple | sp.Tuple):
        return r",\quad ".join(map(tex, claim))
    return _Printer({"mat_delim": "(", "mat_str": "matrix"}).doprint(claim)


def rows(step: Any) -> list[str]:
    """Return the reason in small print, the definitions and the formula of a step."""
    if not step.relation:
        left = f"{step.name} &= " if step.name else "& "
        return [left + tex(step.claim)]
    return [*_small(step.reason), *_where(step.where), rf"&{step.relation} {tex(step.claim)}"]


def _small(text: str) -> list[str]:
    """Return rows of small print, at most 34 characters (a phone) wide, that break at no blank inside of $...$."""
    glued = re.sub(r"\$[^$]*\$", lambda formula: formula[0].replace(" ", "\0"), text)
    lines = textwrap.wrap(glued, 34, break_long_words=False, break_on_hyphens=False)
    return [rf"&\quad{{\small\text{{{line}}}}}".replace("\0", " ") for line in lines]


def _where(where: Mapping[sp.Symbol, Any]) -> list[str]:
    return [rf"&\quad{{\small\text{{with }} {tex(s)} = {tex(sp.sympify(m))}}}" for s, m in where.items()]


_SIGNS = {
    "positive": "> 0",
    "negative": "< 0",
    "nonnegative": r"\ge 0",
    "nonpositive": r"\le 0",
    "integer": r"\in \mathbb{Z}",
    "nonzero": r"\ne 0",
}


def conditions(claims: Sequence[Any], given: Sequence[Any], sizes: Mapping[sp.Symbol, int]) -> list[str]:
    """Return the rows that say what the symbols are assumed to be and for which sizes it is proved."""
    lines = []
    if assumed := _assumptions([*claims, *given]):
        lines.append(rf"&{{\small\text{{for }} {assumed}}}")
    if sizes:
        shown = r",\ ".join(f"{tex(symbol)} = {size}" for symbol, size in sizes.items())
        lines.append(rf"&{{\small\text{{proved entry by entry for }} {shown}}}")
    return lines


def _assumptions(claims: Sequence[Any]) -> str:
    symbols: set[sp.Basic] = set()
    for part in (part for claim in claims for part in parts(claim)):
        symbols |= part.atoms(sp.Indexed, AppliedUndef) | {s for s in part.free_symbols if isinstance(s, sp.Symbol)}
    symbols -= {s.base.label for s in symbols if isinstance(s, sp.Indexed)}  # x of x[i] is no number
    found: dict[Any, str] = {}
    for symbol in sorted(symbols, key=sp.default_sort_key):
        sign = next((tex for name, tex in _SIGNS.items() if getattr(symbol, f"is_{name}")), "")
        if symbol.is_integer and symbol.is_nonnegative:
            sign = rf"\in \{{{'1' if symbol.is_positive else '0'}, {'2' if symbol.is_positive else '1'}, \dots\}}"
        if sign:
            found.setdefault(getattr(symbol, "base", symbol.func if symbol.args else symbol), f"{tex(symbol)} {sign}")
    return r",\ ".join(found.values())
