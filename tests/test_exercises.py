"""Exercises that check themselves: what may be typed, what is right, and what is said when it is not."""

import ast
import functools
import math
import re
import symtable
from fractions import Fraction
from pathlib import Path

import nbformat
import numpy as np
import pytest

from mlmath import exercises
from mlmath.exercises import ask, check

BOOK = Path(__file__).parents[1] / "book"
NOTEBOOKS = [path.stem for path in sorted(BOOK.glob("*.ipynb")) if "mlmath.exercises" in path.read_text()]

# What asks for a proof, and has no field.
PROOFS = {"ex-gd-dependent"}

# What is typed and what it is; None for what cannot be read.
TYPED = {
    "7/6": 7 / 6,
    "2^10": 1024,
    "2**10": 1024,
    "-2^2": -4,
    "(-2)^2": 4,
    "2^-1": 0.5,
    "2^3^2": 512,
    "1/e": 1 / math.e,
    "e^(-1)": 1 / math.e,
    "sqrt(2/1.01)": math.sqrt(2 / 1.01),
    "√(4)": 2,
    "1e-3": 1e-3,
    "1E−3": 1e-3,
    "-1.5e+2": -150,
    "5 %": 0.05,
    "5%": 0.05,
    "(1 + 4) %": 0.05,
    "0,5": 0.5,
    "-0,024": -0.024,
    "2,5": 2.5,
    "1234,567": 1234.567,
    "−12": -12,
    "–12": -12,
    "1 024": 1024,
    "1\u2009024": 1024,
    "1\u00a0024": 1024,
    "1\u202f024": 1024,
    "1 024,567": 1024.567,
    "1 719 582": 1719582,
    "1.024": 1.024,
    "  3 ": 3,
    ".5": 0.5,
    "5.": 5,
    "+4": 4,
    "--4": 4,
    "2 - -3": 5,
    "1 - 2 - 3": -4,
    "8/2/2": 2,
    "2 + 3*4": 14,
    "2·3": 6,
    "2 × 3 ÷ 4": 1.5,
    "ln(e)": 1,
    "log(exp(2))": 2,
    "pi": math.pi,
    "2*π": 2 * math.pi,
    "-(1/2 - 1)": 0.5,
    "(" * 99 + "7" + ")" * 99: 7,
    "0.1 + 0.2": 0.1 + 0.2,
    "７／６": 7 / 6,
    "－１，５": -1.5,
    "½": 0.5,
    "√2": math.sqrt(2),
    "1/√2": 1 / math.sqrt(2),
    "√½": math.sqrt(0.5),
    "√(2)/2": math.sqrt(2) / 2,
    "-√ 4 + 1": -1,
    "2^√4": 4,
    "√√16": 2,
    "10²": 100,
    "-2²": -4,
    "2⁻¹⁰": 2**-10,
    "1.5×10⁻³": 1.5e-3,
    "1,5 · 10^−3": 1.5e-3,
    "10**3": 1000,
    "1'000": 1000,
    "1’234’567": 1234567,
    "1_000": 1000,
    "7∕6": 7 / 6,
    "7⁄6": 7 / 6,
    "2∗3": 6,
    "‑3": -3,
    "\u200b3\u2060": 3,
    "LN(E)": 1,
    "Sqrt(4)": 2,
    "Pi": math.pi,
    "1 - sinh(1)": 1 - math.sinh(1),
    "1/(2 %)": 50,
    "(1/2) %": 0.005,
    "0,5 %": 0.005,
    "-0": 0,
    "1e-400": 0,
    "0^0": 1,
    "": None,
    "   ": None,
    "1,024": None,
    "12,345,678": None,
    "1,024.5": None,
    "1/": None,
    "1/0": None,
    "1/(2-2)": None,
    "0^-1": None,
    "(-8)^(1/3)": None,
    "1e999": None,
    "10^400": None,
    "2e": None,
    "2 3": None,
    "1 02": None,
    "12 34": None,
    "2(3)": None,
    "(1": None,
    "1)": None,
    "()": None,
    "sqrt": None,
    "sqrt(-1)": None,
    "log(0)": None,
    "%": None,
    "*2": None,
    ".": None,
    "1..2": None,
    "NaN": None,
    "Infinity": None,
    "x": None,
    "alert(1)": None,
    "this": None,
    "__proto__": None,
    "constructor": None,
    "constructor(1)": None,
    "toString()": None,
    "Math.PI": None,
    "window['x']": None,
    "`1`": None,
    "<img src=x onerror=alert(1)>": None,
    "1;2": None,
    "1.024,5": None,
    "1.024.567": None,
    "1,024 000": None,
    "10 00": None,
    "0 000": None,
    "1  000": None,
    "1'00": None,
    "1_0": None,
    "1 1/2": None,
    "1½": None,
    "2²%": None,
    "²": None,
    "2π": None,
    "2√3": None,
    "√": None,
    "√-1": None,
    "√(-1)": None,
    "√1/2": None,
    "√4^2": None,
    "√4²": None,
    "√4 %": None,
    "1/2 %": None,
    "2^10 %": None,
    "5%%": None,
    "%5": None,
    "0/0": None,
    "1e308*10/10": None,
    "9^9^9^9": None,
    "2:3": None,
    "2x3": None,
    "2—3": None,
    "3 mm": None,
    "3mm": None,
    "3€": None,
    "x = 3": None,
    "=3": None,
    "≈3": None,
    "〜3": None,
    "|−3|": None,
    "3!": None,
    "[1+2]/3": None,
    "sqrt 2": None,
    "sqrt2": None,
    "log10(100)": None,
    "log₂(8)": None,
    "5₁": None,
    "\\frac{7}{6}": None,
    "np.sqrt(2)": None,
    "-Infinity": None,
    "1n": None,
    "0b1": None,
    "1e5e5": None,
    "1e1.5": None,
    "1,2,3": None,
    "3?": None,
    "0.333…": None,
    "\0": None,
    "hasOwnProperty": None,
    "1)+(2": None,
    "x" * 100_000: None,
    "0x10": None,
    "١٢": None,
    "😀": None,
    "2😀": None,
    "\ud800": None,
    "9" * 201: None,
    "(" * 10_000 + "1" + ")" * 10_000: None,
    "-" * 10_000 + "1": None,
}


def verdicts(play, question, *texts):
    return [frame["readouts"]["verdict"] for frame in play(question, [{"answer": text} for text in texts])]


def test_what_is_typed_is_read_as_python_reads_it(play):
    readable = {text: value for text, value in TYPED.items() if value is not None}
    for text, value in readable.items():
        assert verdicts(play, ask("?", float(value), hint="h", tolerance=1e-12), text) == ["Right."], text
    unreadable = [text for text, value in TYPED.items() if value is None]
    for text, said in zip(unreadable, verdicts(play, ask("?", 1, hint="h"), *unreadable), strict=True):
        assert said.startswith("Could not read that: "), text
        assert said.endswith("."), said
    assert len(TYPED) >= 180


def test_a_field_is_judged_when_the_reader_is_done(opened):
    page = opened(ask("slope", 7 / 6, hint=("First.", "Second.")))
    field, verdict = page.get_by_label("slope (3 digits)"), page.locator("output")
    field.press("Tab")
    assert verdict.text_content() == ""
    field.press("Enter")
    page.wait_for_function("document.querySelector('output').value === 'Could not read that: the field is empty.'")
    field.press_sequentially("7")
    page.evaluate("new Promise(requestAnimationFrame)")
    assert verdict.text_content() == "Could not read that: the field is empty."
    field.press_sequentially("/6")
    field.press("Enter")
    page.wait_for_function("document.querySelector('output').value === 'Right.'")
    assert field.input_value() == "7/6"
    for text, said in [
        ("3", "Not yet. First."),
        ("4", "Not yet. Second."),
        ("5", "Not yet. Second."),
        ("3", "Not yet. First."),
        ("-7/6", "The size is right. Look at the sign."),
        ("1.17", "Right."),
        ("1.16", "Right."),
        ("1.2", "Not yet. Second."),
        ("1.15", "Nearly: the field wants more digits, or a step was rounded too soon."),
        ("", "Could not read that: the field is empty."),
        ("<b>1</b>", "Could not read that: something is missing at its end."),
    ]:
        field.fill(text)
        field.evaluate("field => field.blur()")
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if not text.startswith("<"):
            assert verdict.text_content() == said, text
        assert field.input_value() == text
    assert verdict.inner_html().startswith("Could not read that")


def test_whole_numbers_are_exact_and_others_have_digits(play):
    assert verdicts(play, ask("?", 100, hint="h", tolerance=1e-2), "100", "99", "99.9999") == [
        "Right.",
        "Not yet. h",
        "Not yet. h",
    ]
    assert verdicts(play, ask("?", -0.00206, hint="h"), "0", "0.00206", "-0.00206") == [
        "Not yet. h",
        "The size is right. Look at the sign.",
        "Right.",
    ]
    assert verdicts(play, ask("?", 0, hint="h"), "0", "1e-9") == ["Right.", "Not yet. h"]
    assert verdicts(play, ask("?", 1 / 3, hint="h", digits=2), "0.33", "0,34", "0.3") == [
        "Right.",
        "Right.",
        "Not yet. h",
    ]
    assert ask("?", 3.0000000001, hint="h").spec["controls"][0]["label"] == "? (exactly)"
    assert ask("?", 1 / 3, hint="h", digits=1).spec["controls"][0]["label"] == "? (1 digit)"
    assert ask("?", 1 / 3, hint="h", tolerance=0.05).spec["controls"][0]["label"] == "? (within 5 %)"


def test_a_typical_wrong_answer_hears_its_cause(play):
    question = ask("?", 1 / 3, hint="h", wrong={2 / 3: "Divide by 2.", -1 / 3: "Uphill.", 3: "Upside down."})
    assert verdicts(play, question, "2/3", "-1/3", "3", "0.667") == [
        "Divide by 2.",
        "Uphill.",
        "Upside down.",
        "Divide by 2.",
    ]
    assert verdicts(play, question, "0.67", "0.7") == ["Divide by 2.", "Not yet. h"]
    close = ask("?", 0.6738, hint="h", digits=4, wrong={0.6723: "Not n.", 0.6730: "Not n − 1."})
    assert verdicts(play, close, "0.6723", "0.673", "0.6737") == ["Not n.", "Not n − 1.", "Right."]
    with pytest.raises(ValueError, match=r"wrong must hold wrong answers, but 0\.3333 is right"):
        ask("?", 1 / 3, hint="h", wrong={0.3333: "Hm."})


def test_a_field_keeps_its_text():
    question = ask("?", 2.5, hint="h")
    question.answer = 0.1
    assert question.answer == "0.1"
    question.answer = "5/2"
    assert repr(question) == "<question: answer='5/2'>"
    with pytest.raises(TypeError, match="answer must be a real number"):
        question.answer = [1]


def said(capsys, yours, ours, *cases, hint="h", **options):
    check(yours, ours, [case if isinstance(case, tuple) else (case,) for case in cases], hint=hint, **options)
    return capsys.readouterr().out


def test_an_answer_in_place_is_judged_on_copies(capsys):
    def doubled(a):
        a *= 2
        return a

    cases = [(np.ones(3),), (np.arange(3.0),)]
    for _ in range(5):
        assert said(capsys, doubled, lambda a: 2 * a, *cases) == "Right, in all 2 cases.\n"
        assert said(capsys, lambda a: a, doubled, *cases).startswith("Not yet")
    np.testing.assert_array_equal(cases[0][0], 1)


class Stubborn:
    def __array__(self, *dtype, **copy):
        raise RuntimeError("no numbers from me")


def raised(error):
    raise error


def test_what_is_no_answer_is_not_swallowed_and_what_is_printed_or_kept_does_no_harm(capsys):
    with pytest.raises(KeyboardInterrupt):
        check(lambda a: raised(KeyboardInterrupt()), lambda a: a, [(1.0,)], hint="h")
    assert said(capsys, lambda a: print("here") or 2 * a, lambda a: 2 * a, 1.0, 2.0) == (
        "here\nhere\nRight, in all 2 cases.\n"
    )
    calls, buffer = [], np.zeros(2)

    def counting(a):
        calls.append(a)
        return len(calls) * a

    def into_the_same_array(a):
        buffer[:] = a
        return buffer

    assert said(capsys, counting, lambda a: a, 1.0, 2.0).splitlines()[:2] == [
        "Not yet: that is another number.",
        "For (2)",
    ]
    assert said(capsys, into_the_same_array, lambda a: a + 0, np.ones(2), np.zeros(2)) == "Right, in all 2 cases.\n"


@pytest.mark.parametrize(
    ("yours", "expected", "message"),
    [
        (None, 1.0, "there is no function so far"),
        (lambda a: None, 1.0, "returns nothing so far"),
        (lambda: 1.0, 1.0, "takes (), but it is given 1 argument(s)"),
        (lambda a: 1 / 0, 1.0, "raised ZeroDivisionError: division by zero"),
        (lambda a: "1", 1.0, "yours is text"),
        (lambda a: True, 1.0, "yours is True or False"),
        (lambda a: 1j, 1.0, "yours is complex"),
        (lambda a: math.nan, 1.0, "yours contains NaN"),
        (lambda a: math.inf, 1.0, "that is another number"),
        (lambda a: object, 1.0, "yours is type, not numbers"),
        (lambda a: [[1], [1, 2]], 1.0, "your rows differ in length"),
        (lambda a: np.ones((3, 1)), np.ones(3), "yours has the shape (3, 1), the answer (3,)"),
        (lambda a: 1.0, np.ones(3), "yours has the shape (), the answer (3,)"),
        (lambda a: np.array([1, 2.1]), np.array([1.0, 2]), "1 of 2 entries differ, the first at [1]"),
        (lambda a: (1.0, 3.0), (1.0, 2.0), "in part 2, that is another number"),
        (lambda a: (1.0, None), (1.0, 2.0), "in part 2, it is None"),
        (lambda a: 1.0, (1.0, 2.0), "the answer is a tuple of 2 parts"),
        (lambda a: {"w": 1.0}, {"w": 1.0, "b": 2.0}, "a dictionary with the keys 'w', 'b'"),
        (lambda a: {"w": 1.0, "b": 1.0}, {"w": 1.0, "b": 2.0}, "in part 'b', that is another number"),
        (lambda a: 99, 100, "that is another number"),
        (lambda a: 99.9999, 100, "that is another number"),
        (lambda a: 0.0, -0.00206, "that is another number"),
        (lambda a: 1e-9, np.zeros(2), "yours has the shape"),
        (lambda a: np.full(2, 1e-9), np.zeros(2), "2 of 2 entries differ"),
        (lambda a: "b", "a", "that is not the answer"),
        (lambda a: 2**60, 2**60 + 1, "that is another number"),
        (lambda a: np.array([-1]), np.array([2**64 - 1], dtype=np.uint64), "1 of 1 entries differ"),
        (lambda a: 1 + 1j, 1 - 1j, "that is another number"),
        (lambda a: -math.inf, math.inf, "that is another number"),
        (lambda a: 1e308, math.inf, "that is another number"),
        (lambda a: 1.0, math.nan, "that is another number"),
        (lambda a: True, 1, "yours is True or False"),
        (lambda a: [2.0], 2.0, "yours has the shape (1,), the answer ()"),
        (lambda a: np.ones((3, 1)), np.ones((3, 3)), "yours has the shape (3, 1), the answer (3, 3)"),
        (lambda a: (a for _ in range(2)), np.ones(2), "yours is generator, not numbers"),
        (lambda a: map(float, [1, 1]), np.ones(2), "yours is map, not numbers"),
        (lambda a: Stubborn(), 1.0, "yours is Stubborn, not numbers"),
        (Stubborn, 1.0, "Stubborn takes (), but it is given 1 argument(s)"),
        (lambda *, a: a, 1.0, "takes (*, a), but it is given 1 argument(s)"),
        (np.add, 1.0, "add takes (x1, x2, "),
        (max, 1.0, "max raised TypeError: 'float' object is not iterable"),
        (functools.partial(lambda b, a: b, 3.0), 1.0, "that is another number"),
        (lambda a: {"w": 1.0, "b": 2.0, "c": 0.0}, {"w": 1.0, "b": 2.0}, "a dictionary with the keys 'w', 'b'."),
        (lambda a: raised(ValueError("one\ntwo")), 1.0, "raised ValueError: one two"),
        (lambda a: raised(ValueError("x" * 5000)), 1.0, "raised ValueError: " + "x" * 200),
        (lambda a: raised(NotImplementedError()), 1.0, "raised NotImplementedError: no message"),
    ],
)
def test_check_says_what_is_wrong_in_one_line(capsys, yours, expected, message):
    first, *rest = said(capsys, yours, lambda a: expected, 2.0).splitlines()
    assert first.startswith("Not yet: ")
    assert message in first
    assert rest[-1] == "Hint: h"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([1, 2], np.array([1.0, 2])),
        ([1.0, 2.0], (1.0, 2.0)),
        (np.float32(0.5), 0.5),
        (100.0, 100),
        (np.array([np.nan, np.inf]), np.array([np.nan, np.inf])),
        (np.array([1e6, 1e-3]), np.array([1e6, 0.0])),
        ({"b": 2.0, "w": np.ones(2)}, {"w": np.ones(2), "b": 2.0}),
        (np.array([True]), np.array([True])),
        (np.zeros(0), np.zeros(0)),
        ("a", "a"),
        (Fraction(1, 2), 0.5),
        (2**70, 2.0**70),
        ((1 + 1e-12) * (1 + 1j), 1 + 1j),
        (np.array(2.0), 2.0),
        (-math.inf, -math.inf),
    ],
)
def test_check_takes_what_is_right(capsys, found, expected):
    assert said(capsys, lambda a: found, lambda a: expected, 2.0) == "Right.\n"


def test_digits_are_compared_entry_by_entry_where_they_are_the_point(capsys):
    found, expected = np.array([0.0, 800.0]), np.array([4.2e-18, 800.0])
    assert said(capsys, lambda a: found, lambda a: expected, 0) == "Right.\n"
    assert "1 of 2 entries differ" in said(capsys, lambda a: found, lambda a: expected, 0, entrywise=True)


def test_check_knows_typical_wrong_functions(capsys):
    wrong = {"Divide by n.": lambda a: a.sum(), "Look at the sign.": lambda a: -a.mean(), "Fails.": lambda a: 1 / 0}
    cases, ours = [np.ones(3), np.arange(4.0)], np.mean
    first, second, *_ = said(capsys, np.sum, ours, *cases, wrong=wrong).splitlines()
    assert (first, second) == ("Divide by n.", "For ([1. 1. 1.])")
    assert said(capsys, lambda a: -a.sum() / len(a), ours, *cases, wrong=wrong).startswith("Look at the sign.")
    assert said(capsys, np.median, ours, *cases, np.array([0.0, 0, 1]), wrong=wrong).startswith("Not yet: that is")
    assert said(capsys, np.mean, ours, *cases, wrong=wrong) == "Right, in all 2 cases.\n"


def test_the_next_hint_comes_with_the_next_try(capsys):
    def last(answer):
        return said(capsys, lambda a: answer, lambda a: a, 2.0, hint=("one", "two", "three")).splitlines()[-1]

    assert [last(answer) for answer in (None, 1.0, 3.0, 4.0, 5.0)] == [
        f"Hint: {hint}" for hint in ("one", "one", "two", "three", "three")
    ]


def judged(code):
    """Return how often a cell asks and checks, wherever in it, whether as `ask(…)` or as `exercises.ask(…)`."""
    calls = [node.func for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    return sum(getattr(call, "id", getattr(call, "attr", "")) in ("ask", "check") for call in calls)


@pytest.mark.parametrize("notebook", sorted(path.stem for path in BOOK.glob("*.ipynb")))
def test_no_exercise_escapes_the_tests(notebook):
    waiting, cells = [], nbformat.read(BOOK / f"{notebook}.ipynb", 4).cells
    for cell in cells:
        if cell.cell_type == "markdown":
            waiting += set(re.findall(r"\{exercise(?:-start)?\}.*\n:label: (\S+)", cell.source)) - PROOFS
        elif judged(cell.source):
            assert notebook in NOTEBOOKS, "it does not import mlmath.exercises"
            statements = [ast.unparse(statement) for statement in ast.parse(cell.source).body]
            assert sum(one.startswith(("ask(", "check(")) for one in statements) == judged(cell.source), cell.source
            waiting = []
        assert len(waiting) <= 1, f"no field and no check: {waiting}"
    assert not waiting, f"no field and no check: {waiting}"


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_no_click_shows_an_answer(notebook):
    for cell in nbformat.read(BOOK / f"{notebook}.ipynb", 4).cells:
        if cell.cell_type == "code" and re.search(r"^ask\(", cell.source, re.M):
            assert cell.metadata.get("tags") == ["remove-input"], cell.source


def names(code):
    """Return the global names that a statement reads, and those that it makes."""
    tables, read = [symtable.symtable(code, "", "exec")], set()
    made = {symbol.get_name() for symbol in tables[0].get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    while tables:
        table = tables.pop()
        tables += table.get_children()
        top = table.get_type() == "module"
        read |= {s.get_name() for s in table.get_symbols() if s.is_referenced() and (top or s.is_global())}
    return read, made


def needed(notebook):
    """Return the statements of a notebook that ask and check, and those that they need."""
    cells = [cell.source for cell in nbformat.read(BOOK / f"{notebook}.ipynb", 4).cells if cell.cell_type == "code"]
    statements = [ast.unparse(statement) for cell in cells for statement in ast.parse(cell).body]
    wanted, chosen = set(), []
    for statement in reversed(statements):
        read, made = names(statement)
        if statement.startswith(("ask(", "check(")) or made & wanted:
            chosen.append(statement)
            wanted = wanted - made | read
    return reversed(chosen)


@pytest.fixture(scope="module", params=NOTEBOOKS)
def asked(request):
    """The exercises of a notebook, by running them: what `ask` and `check` were given, and the fields."""
    calls, patch = [], pytest.MonkeyPatch()

    def noted(function):
        def note(*args, **options):
            calls.append((function, args, options, function(*args, **options)))

        return note

    patch.setattr(exercises, "ask", noted(ask))
    patch.setattr(exercises, "check", noted(check))
    scope = {"__name__": request.param}
    for statement in needed(request.param):
        exec(statement, scope)
    patch.undo()
    return calls


def test_every_field_knows_its_answer_and_what_goes_wrong(asked, play):
    fields = [(args, options, field) for function, args, options, field in asked if function is ask]
    assert len(fields) >= 7
    for (label, *answer), options, field in fields:
        answer = float(answer[0] if answer else options["answer"])
        assert not isinstance(options["hint"], str), label
        assert len(options["hint"]) >= 2, label
        assert len(options["wrong"]) >= 2, label
        assert len({*options["wrong"].values()}) == len(options["wrong"]), label
        said = verdicts(play, field, repr(answer), *(repr(float(number)) for number in options["wrong"]), "123.456")
        assert said == ["Right.", *options["wrong"].values(), f"Not yet. {options['hint'][0]}"], label
        digits = options.get("digits", 3)
        assert verdicts(play, field, f"{answer:.{digits}g}" if answer % 1 else f"{answer:.0f}") == ["Right."], label


def test_every_function_knows_its_solution_and_what_goes_wrong(asked, capsys):
    functions = {}
    for function, args, options, _ in asked:
        if function is check:
            functions.setdefault(args[1].__name__ + args[0].__name__, []).append((args, options))
    for (stub, ours, cases), options in (attempts[0] for attempts in functions.values()):
        assert len(cases) >= 3, stub
        assert len(options["hint"]) >= 2, stub
        assert len(options["wrong"]) >= 2, stub
        check(stub, ours, cases, **options)
        assert capsys.readouterr().out.startswith(f"Not yet: {stub.__name__} returns nothing so far.")
        for sentence, wrong in options["wrong"].items():
            check(wrong, ours, cases, **options)
            assert capsys.readouterr().out.startswith(f"{sentence}\n"), stub
    for (solution, ours, cases), options in (attempts[-1] for attempts in functions.values()):
        check(solution, ours, cases, **options)
        assert capsys.readouterr().out == f"Right, in all {len(cases)} cases.\n", solution
