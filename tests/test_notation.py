"""The table of notation is complete and gives a letter one meaning a chapter; words that are used are explained."""

import re
from pathlib import Path

import nbformat
import pytest

BOOK = Path(__file__).parents[1] / "book"
CHAPTERS = [
    f"{name}.ipynb"
    for name in (
        "refresher",
        "linear-regression",
        "gradient-descent",
        "logistic-regression",
        "neural-networks",
        "convolutional-networks",
    )
]
# What a chapter still uses in two ways; its rows of the table say which is meant.
TWO_MEANINGS = set()
# Letters that several chapters use, in one sense.
ONE_SENSE = {"W", "X", "Z", "\\kappa", "\\nabla", "b", "e", "w", "x", "y", "z"}
# Nouns that say what a letter is: who writes "the angle $v$" gives the letter $v$ this reading.
NOUNS = re.findall(
    r"\w+",
    """activation angle bias class constant correlation cost covariance curvature degree density deviation dilation
    direction distance eigenvalue eigenvector error excess factor gradient intercept kernel label leak length leverage
    logit loss margin mean momentum noise padding penalty phase place prediction probability radius rate residual root
    scale share size slope speed spread step stride surprise target threshold time variance velocity weight""",
)
# These number what the noun before them is: "direction $i$", "a vector of length $n$".
COUNTING = {"i", "j", "k", "l", "n"}
# Words in bold that stress something and name nothing.
STRESS = {
    "both",
    "by counting",
    "dividing by the standard deviation",
    "from",
    "more data",
    "no perceptron computes xor",
    "plain",
    "row",
    "to",
    "turned",
    "unless",
    "you should know",
    "you will be able to",
    "κ has become √κ",
}
# Words of mathematics that are used and not always in bold; not those that only name a method of this book.
WORDS = [
    "accuracy",
    "basis",
    "Bernoulli distribution",
    "chain rule",
    "condition number",
    "convex",
    "correlation",
    "covariance",
    "density",
    "determinant",
    "dot product",
    "eigenvalue",
    "expectation",
    "false positive rate",
    "fold",
    "Gauss–Markov theorem",
    "generalized linear model",
    "Gram–Schmidt",
    "gradient",
    "Hessian",
    "independent",
    "Jensen",
    "likelihood",
    "logarithm",
    "normal distribution",
    "orthogonal",
    "partial derivative",
    "positive semidefinite",
    "projection",
    "pseudoinverse",
    "rank",
    "singular value",
    "spectral theorem",
    "standard deviation",
    "standard error",
    "template",
    "trace",
    "unbiased",
    "variance",
]


def source(name):
    """The text and the code of a chapter."""
    return "\n\n".join(cell.source for cell in nbformat.read(BOOK / name, as_version=4).cells)


def rows():
    """The heading and the cells of each row of the tables of letters."""
    heading, found = "", []
    for line in (BOOK / "notation.md").read_text().splitlines():
        heading = line.removeprefix("## ") if line.startswith("## ") else heading
        if line.startswith("|") and not line.startswith(("|---", "| Symbol", "| Where")):
            found.append((heading, [cell.strip() for cell in line.strip("|").split(" |")]))
    return [(heading, cells) for heading, cells in found if len(cells) == 5]


def symbols(cell):
    """The letters that a row is about: what follows "in" or "of" only says where."""
    return re.findall(r"\$([^$]+)\$", re.split(r" (?:in|of) ", cell)[0])


@pytest.mark.parametrize(("heading", "cells"), rows())
def test_each_letter_has_a_meaning_and_is_used_where_it_is_said_to_be_met(heading, cells):
    symbol, meaning, shape, _, met = cells
    assert symbols(symbol)
    assert meaning
    assert shape or symbol.startswith(("$U$", "$Q$"))
    chapter = re.search(r"\((\S+)\)$", met)[1]
    assert chapter in CHAPTERS
    text = source(chapter).replace(" ", "")
    letters = [re.match(r"[^ =(]+", letter)[0] for letter in symbols(symbol)]
    assert any(letter.replace(" ", "") in text for letter in letters), (heading, symbol)


def test_the_tables_are_read():
    assert len(rows()) > 60
    assert len({heading for heading, _ in rows()}) == 6


def test_a_letter_has_one_meaning_a_chapter():
    seen, twice = set(), set()
    for heading, cells in rows():
        for letter in symbols(cells[0]):
            (twice if (heading, letter) in seen else seen).add((heading, letter))
    assert twice == TWO_MEANINGS


def test_a_letter_that_means_several_things_is_in_the_list_of_those():
    listed = (BOOK / "notation.md").read_text().split("## Letters with")[1]
    chapters = {}
    for heading, cells in rows():
        for letter in symbols(cells[0]):
            name = re.match(r"\\[A-Za-z]+|\w", re.sub(r"\\(hat|bar|dot) ", "", letter))[0]
            chapters.setdefault(name, set()).add(heading)
    several = {name for name, headings in chapters.items() if len(headings) > 1} - ONE_SENSE
    assert len(several) > 10
    assert several <= set(re.findall(r"^\| \$(\\?[a-zA-Z]+)", listed, flags=re.MULTILINE))


def letter(symbol):
    """The letter of a symbol without hats and indices, None if it is more than one letter."""
    accents = r"\\(?:hat|bar|tilde) ?\{?"
    found = re.fullmatch(rf"(?:{accents})?(\\?[A-Za-z]+|\\?[A-Za-z])\}}?(?:[_^](?:\{{[^}}]*\}}|\\?\w+))*", symbol)
    return found[1] if found and (found[1].startswith("\\") or len(found[1]) == 1) else None


def called(text):
    """Pairs of a letter and a noun that says what it is: "the rate $t$", "$t$ is the first rate"."""
    text = " ".join(re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL).replace("*", "").split())
    nouns = "|".join(NOUNS)
    before = re.findall(rf"\b({nouns})s? \$([^$]+)\$", text)
    subject = r"(?<!along )(?<!by )(?<!of )(?<!to )\$([^$]+)\$"
    after = re.findall(rf"{subject} (?:is|be) (?:the|an?|its|some) (?:[a-z]+ )?({nouns})\b", text)
    pairs = [(symbol, noun) for noun, symbol in before] + after
    return {(name, noun) for symbol, noun in pairs if (name := letter(symbol)) and name not in COUNTING}


def readings():
    """What the page of notation calls each letter, in its tables and in its list."""
    found = {}
    for line in (BOOK / "notation.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" |")]
        for symbol in symbols(cells[0]) if line.startswith("|") and len(cells) in (2, 3, 5) else ():
            if name := letter(re.split(r"\s*[(=|]", symbol)[0]):
                found[name] = found.get(name, "") + " " + cells[1]
    return found


def test_nouns_before_and_after_letters_are_found():
    text = "Try the rate $t$. Let $\\hat s_j$ be the second deviation of direction $j$. $$\nthe angle $x$\n$$"
    assert called(text + " A share $1 - c$ and the *step*\n$p$") == {
        ("t", "rate"),
        ("s", "deviation"),
        ("p", "step"),
    }


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_what_a_chapter_calls_a_letter_is_on_the_page_of_notation(chapter):
    page = readings()
    assert len(page) > 50
    said = called(words_only(chapter))
    assert sorted((name, noun) for name, noun in said if not re.search(rf"\b{noun}s?\b", page.get(name, ""))) == []


def test_each_estimator_and_function_with_a_penalty_says_which():
    table = (BOOK / "notation.md").read_text().split("## One penalty")[1].split("## Signs")[0]
    assert all(name in table for name in ("`ridge`", "`logistic_regression`", "`train`"))
    assert table.count(r"$\lambda_{\text{sum}}$ |") == table.count(r"$\lambda_{\text{mean}}$ |") == 2


def emphasized(text, stars=r"\*{1,2}"):
    """What stands between stars in the text of a chapter, outside of displayed formulas."""
    text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL).replace("^*", "")
    found = re.findall(rf"(?<![\w*]){stars}(?=[^\s*])((?:[^*\n]|\n(?!\n))+?){stars}(?![\w*])", text)
    return {" ".join(words.split()) for words in found}


def words_only(name):
    """The text of a chapter without its code."""
    cells = nbformat.read(BOOK / name, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def entries():
    """The words that the glossary explains, in its order."""
    return re.findall(r"^(\w.*)\n  ", (BOOK / "glossary.md").read_text(), flags=re.MULTILINE)


def is_explained(word, explained):
    """Whether a word, or its singular, or what it begins ("Jensen" for "Jensen's inequality") is explained."""
    forms = {word, word.removesuffix("s"), re.sub("ies$", "y", word), word + "s"}
    return bool(forms & explained) or any(known.startswith((word + " ", word + "'s ")) for known in explained)


@pytest.fixture(scope="module")
def explained():
    glossary = (BOOK / "glossary.md").read_text()
    return {word.lower() for word in [*entries(), *emphasized(glossary), *emphasized(words_only(CHAPTERS[0]))]}


def test_the_glossary_is_in_order_and_has_each_word_once():
    words = [word.casefold() for word in entries()]
    assert len(words) > 150
    assert words == sorted(set(words))


def test_words_of_mathematics_are_in_the_glossary_or_the_refresher(explained):
    used = "\n".join(map(source, CHAPTERS))
    assert [word for word in WORDS if word not in used] == [], "not used at all: take it off the list"
    assert [word for word in WORDS if not is_explained(word.lower(), explained)] == []


@pytest.mark.parametrize("chapter", CHAPTERS[1:])
def test_terms_in_bold_are_in_the_glossary_or_the_refresher(chapter, explained):
    bold = {words.lower() for words in emphasized(words_only(chapter), r"\*\*")}
    terms = {words for words in bold - STRESS if len(words.split()) <= 4 and not re.search(r"[\d$.?!:…]", words)}
    assert len(terms) >= 10
    assert sorted(word for word in terms if not is_explained(word, explained)) == []


@pytest.mark.parametrize(
    ("chapter", "needed"),
    [
        ("linear-regression", "proved refresher-demand refresher-basis refresher-log refresher-density"),
        ("logistic-regression", "refresher-log refresher-likelihood refresher-density refresher-covariance"),
    ],
)
def test_a_chapter_links_to_the_refresher_where_it_needs_it(chapter, needed):
    text = source(f"{chapter}.ipynb")
    for label in needed.split():
        assert f"<sec-{label}>" in text
    for label in re.findall(r"sec-refresher-\w+|sec-proved", text):
        assert f"({label})=" in source("refresher.ipynb")


def test_the_sentence_that_the_index_quotes_stands_in_a_chapter():
    quoted = re.search(r'When a sentence says "([^"]+)"', source("index.ipynb"))[1]
    assert any(quoted.lower() in source(chapter).lower() for chapter in CHAPTERS)
