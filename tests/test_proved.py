"""What was proved is remembered by its content: a changed derivation or checker is proved anew."""

import subprocess
import sys

import pytest
import sympy as sp

from mlmath import derivation, proved
from mlmath.derivation import Derivation, UnprovedStep, at_least, equals, start

x, p = sp.Symbol("x", real=True), sp.Symbol("p", positive=True)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MLMATH_PROOFS", str(tmp_path))
    return tmp_path


@pytest.fixture
def proofs(folder, monkeypatch):
    """How many derivations were proved so far."""
    made = []
    prove = Derivation.prove
    monkeypatch.setattr(Derivation, "prove", lambda self: (made.append(self), prove(self))[1])
    return made


def square(symbol=x, claim=None, **options):
    expanded = symbol**2 + 2 * symbol + 1 if claim is None else claim
    return Derivation(start((symbol + 1) ** 2), equals(expanded, "expand"), **options)


def test_the_same_derivation_is_proved_once(proofs, folder):
    square()
    square()
    assert len(proofs) == 1
    assert len(list(folder.iterdir())) == 1


def test_another_process_finds_it(folder):
    square()
    code = """
import sympy as sp
from mlmath.derivation import Derivation, equals, start
def refuse(self): raise AssertionError("proved again")
Derivation.prove = refuse
x = sp.Symbol("x", real=True)
Derivation(start((x + 1)**2), equals(x**2 + 2*x + 1, "expand"))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


f, g = sp.Function("f", real=True), sp.Function("f", positive=True)
y = sp.IndexedBase("y", real=True)
OTHERS = {
    "an assumption": lambda: square(p),
    "an assumption of a function": lambda: square(f(x)),
    "another assumption of the function": lambda: square(g(x)),
    "an index": lambda: square(y[1]),
    "the claim": lambda: square(claim=(1 + x) * (x + 1)),
    "a hypothesis": lambda: square(given=[sp.Gt(x, 0)]),
    "sizes": lambda: square(sizes={sp.Symbol("n"): 2}),
    "a definition": lambda: Derivation(
        start((x + 1) ** 2), equals(p, "write $p$", where={p: (x + 1) ** 2}), given=[sp.Ne(x, -1)]
    ),
    "a bound": lambda: Derivation(start((x + 1) ** 2), at_least(0, "a square")),
    "its gap": lambda: Derivation(start((x + 1) ** 2), at_least(0, "a square", gap=(x + 1) ** 2)),
}


def test_whatever_decides_a_proof_is_in_its_key(proofs):
    square()
    for number, make in enumerate(OTHERS.values(), 2):
        make()
        assert len(proofs) == number
    for make in OTHERS.values():
        make()
    assert len(proofs) == len(OTHERS) + 1


def test_a_false_step_is_refused_each_time(proofs, folder):
    for _ in range(2):
        with pytest.raises(UnprovedStep):
            square(claim=x**2 + 1)
    assert len(proofs) == 2
    assert not list(folder.iterdir())


def test_a_weaker_assumption_does_not_find_the_proof_of_a_stronger_one(folder):
    """What is proved of f > 0 is not known of any other f, though SymPy's srepr writes both alike."""
    assert sp.srepr(f(x)) == sp.srepr(g(x))
    Derivation(start(g(x)), derivation.more_than(0, "by assumption"))
    with pytest.raises(UnprovedStep):
        Derivation(start(f(x)), derivation.more_than(0, "by assumption"))


def test_a_changed_checker_proves_everything_anew(proofs, monkeypatch):
    square()
    monkeypatch.setattr(proved, "_checker", lambda: "another")
    square()
    assert len(proofs) == 2


def test_the_checker_is_its_source_and_sympys_version(monkeypatch):
    now = proved._checker()
    assert sp.__version__ in now
    monkeypatch.setattr(proved, "CHECKER", proved.CHECKER[:-1])
    assert proved._checker.__wrapped__() != now


def test_a_function_of_the_readers_own_is_proved_each_time(proofs):
    class twice(sp.Function):  # noqa: N801
        @classmethod
        def eval(cls, argument):
            return 2 * argument if argument.is_Symbol else None

    for _ in range(2):
        Derivation(start(twice(2 * x)), equals(twice(2 * x), "the same"))
    assert len(proofs) == 2


def test_without_a_folder_nothing_is_remembered(proofs, monkeypatch):
    monkeypatch.delenv("MLMATH_PROOFS")
    square()
    square()
    assert len(proofs) == 2
