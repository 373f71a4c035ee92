"""The bibliography as it is printed: capitals that a style must not take away, issue numbers, DOIs."""

import re
from collections import Counter
from pathlib import Path

import pytest
from pybtex.database import parse_file
from pybtex.plugin import find_plugin

ENTRIES = parse_file(Path(__file__).parents[1] / "book" / "references.bib").entries
WITHOUT_ISSUE = {"bengio2003", "cauchy1847", "srivastava2014"}  # journals that appeared in volumes alone


@pytest.fixture(scope="module")
def printed():
    """Each entry as the book's style prints it."""
    style, text = find_plugin("pybtex.style.formatting", "plain")(), find_plugin("pybtex.backends", "plaintext")()
    return {entry.key: entry.text.render(text) for entry in style.format_entries(list(ENTRIES.values()))}


def test_titles(printed):
    """Styles print titles in small letters: what must stay a capital stands in braces in the file."""
    assert "convergence rate O(1/k²)." in printed["nesterov1983"]
    for key, entry in ENTRIES.items():
        if entry.type != "book":
            written = re.sub(r"[{}]", "", entry.fields["title"].replace(r"{\L}", "Ł"))
            kept = re.findall(r"[A-Z]\w*", re.sub(r"^\W*\w+|(?<=[:?.] )[A-Z](?=[a-z]* )", "", written))
            assert [word for word in kept if word not in printed[key]] == [], key


def test_issues(printed):
    """An article has its volume, its issue and its pages, so that all of them are printed."""
    for key, entry in ENTRIES.items():
        if entry.type == "article":
            issue = "" if key in WITHOUT_ISSUE else r"\([^)]+\)"
            assert re.search(rf", \d+{issue}:[e\d]", printed[key]), printed[key]


def test_dois():
    """DOIs look like DOIs, belong to one entry, and most articles have one."""
    dois = {key: entry.fields["doi"] for key, entry in ENTRIES.items() if "doi" in entry.fields}
    assert all(re.fullmatch(r"10\.\d{4,5}/\S+", doi) for doi in dois.values())
    assert max(Counter(map(str.lower, dois.values())).values()) == 1
    articles = {key for key, entry in ENTRIES.items() if entry.type == "article"}
    assert len(articles & dois.keys()) > 0.75 * len(articles)
