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
TWO_MEANINGS = {("Convolutional networks", "v")}
# Words of mathematics, and how they may be written; not those that only name a method of this book.
WORDS = [
    "basis",
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


def test_each_estimator_and_function_with_a_penalty_says_which():
    table = (BOOK / "notation.md").read_text().split("## One penalty")[1].split("## Signs")[0]
    assert all(name in table for name in ("`ridge`", "`logistic_regression`", "`train`"))
    assert table.count(r"$\lambda_{\text{sum}}$ |") == table.count(r"$\lambda_{\text{mean}}$ |") == 2


def test_words_of_mathematics_are_in_the_glossary_or_the_refresher():
    glossary = (BOOK / "glossary.md").read_text()
    entries = {line.lower() for line in glossary.splitlines() if re.match(r"\w", line)}
    explained = " ".join([*entries, *re.findall(r"\*{1,2}([^*\n]+)\*", source(CHAPTERS[0]) + glossary)]).lower()
    used = "\n".join(map(source, CHAPTERS))
    assert [word for word in WORDS if word not in used] == [], "not used at all: take it off the list"
    assert [word for word in WORDS if word.lower() not in explained] == []


def test_chapter_1_links_to_the_refresher_where_it_needs_it():
    text = source("linear-regression.ipynb")
    for label in ("proved", "refresher-demand", "refresher-basis", "refresher-log", "refresher-density"):
        assert f"<sec-{label}>" in text
    for label in re.findall(r"sec-refresher-\w+|sec-proved", text):
        assert f"({label})=" in source("refresher.ipynb")
