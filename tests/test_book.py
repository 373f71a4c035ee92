"""The built book: it stands on its own, its links resolve, and its pages are in order in a browser."""

import json
import re
from collections import Counter
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup

from tools.serve import server

ROOT = Path(__file__).parents[1]
CONTENTS = yaml.safe_load((ROOT / "_toc.yml").read_text())
CHAPTERS = [CONTENTS["root"], *(chapter["file"] for part in CONTENTS["parts"] for chapter in part["chapters"])]
PAGES = [f"{page}.html" for page in [*CHAPTERS, "genindex", "search"]]
PHONE, DESK = 360, 1280
LOADED = {
    "script": "src",
    "img": "src",
    "link": "href",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
}
# The theme's two search fields; nothing refers to the id.
REPEATED_IDS = {"search-input"}


@pytest.fixture(scope="session")
def pages(book: Path) -> dict[Path, BeautifulSoup]:
    """Every page of the book, parsed."""
    return {path: BeautifulSoup(path.read_text(), "html.parser") for path in sorted(book.rglob("*.html"))}


@pytest.fixture(scope="session")
def address(book: Path):
    """The book's address while it is served."""
    with server(book) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/"
        http.shutdown()


def test_every_page_is_there(book: Path):
    assert [page for page in PAGES if not (book / page).is_file()] == []
    assert CHAPTERS[0] in (book / "index.html").read_text(), "the first page leads to the book"


def test_every_module_is_in_the_reference():
    reference = (ROOT / "book" / "api.md").read_text()
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "mlmath").rglob("*.py")}
    modules = {module.removesuffix(".__init__") for module in modules} - {"mlmath"}
    assert modules == set(re.findall(r"automodule:: (\S+)", reference))


def test_internal_links_resolve(book: Path, pages: dict[Path, BeautifulSoup]):
    targets = {path: {tag["id"] for tag in page.find_all(id=True)} for path, page in pages.items()}
    broken = []
    for path, page in pages.items():
        for tag in page.find_all(href=True):
            link = urlsplit(tag["href"])
            if link.scheme or link.netloc:
                continue
            target = (path.parent / unquote(link.path)).resolve() if link.path else path
            lost = link.fragment and target in targets and unquote(link.fragment) not in targets[target]
            if not target.is_file() or lost:
                broken.append(f"{path.relative_to(book)}: {tag['href']}")
    assert broken == []


def test_ids_are_unique(pages: dict[Path, BeautifulSoup]):
    for path, page in pages.items():
        uses = Counter(tag["id"] for tag in page.find_all(id=True))
        assert [name for name, count in uses.items() if count > 1 and name not in REPEATED_IDS] == [], path.name


def test_pictures_are_described(pages: dict[Path, BeautifulSoup]):
    for path, page in pages.items():
        for image in page.find_all("img"):
            assert image.get("alt", "").strip(), f"{path.name}: {image}"
        for picture in page.select(".picture"):
            assert picture.get("aria-label", "").strip(), f"{path.name}: a figure has no alt text"
            assert picture.find_parent("figure"), f"{path.name}: a figure has no caption"
        for figure in page.find_all("figure"):
            assert figure.find("figcaption"), f"{path.name}: {str(figure)[:200]}"


def test_nothing_is_loaded_from_elsewhere(book: Path, pages: dict[Path, BeautifulSoup]):
    for path, page in pages.items():
        for name, attribute in LOADED.items():
            for tag in page.find_all(name, attrs={attribute: True}):
                link = urlsplit(tag[attribute])
                assert not link.netloc, f"{path.name}: {tag}"
                assert link.scheme == "data" or (path.parent / (link.path or ".")).exists(), f"{path.name}: {tag}"
    for sheet in book.rglob("*.css"):
        for link in re.findall(r"url\(['\"]?([^'\")]+)", sheet.read_text()):
            assert not urlsplit(link).netloc, f"{sheet.name}: {link}"


def open_page(chromium, address: str, width: int, theme: str):
    """Open `address`; return the page, laid out, and what went wrong meanwhile."""
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
    page = context.new_page()
    wrong = []
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    origin = urlsplit(address)[:2]
    page.on("request", lambda asked: wrong.append(asked.url) if is_elsewhere(asked.url, origin) else None)
    page.goto(address)
    page.evaluate("window.MathJax && MathJax.startup.promise")
    page.wait_for_function("[...document.querySelectorAll('figure.explorer')].every(f => f.dataset.ready === 'true')")
    page.evaluate("new Promise(requestAnimationFrame)")
    return page, wrong


def is_elsewhere(url: str, origin: tuple[str, str]) -> bool:
    """Say whether `url` belongs to another host than the page."""
    link = urlsplit(url)
    return link.scheme not in ("data", "blob") and link[:2] != origin


def violations(page, *but: str) -> list[str]:
    """Return the accessibility rules that axe finds broken in a serious or critical way, `but` in some elements."""
    # Without `preload`, it does not fetch the style sheets again, from places where they are not.
    options = {"preload": False, "resultTypes": ["violations"]}
    found = Axe().run(page, {"exclude": list(but)} if but else None, options).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:200]} {json.dumps(node['any'] and node['any'][0]['message'])}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


# Axe cannot tell the background of code that scrolls: it is shown a token of each kind that does not.
ONE_OF_EACH_TOKEN = """() => {
  const tokens = [...document.querySelectorAll(".highlight pre span[class]")];
  const kinds = new Map(tokens.map(token => [token.className, token]));
  for (const token of kinds.values()) {
    const block = token.closest(".highlight").cloneNode(), line = document.createElement("p");
    line.append(token.cloneNode(true), " in code");
    block.append(line);
    document.querySelector("article").append(block);
  }
}"""

# Axe would spend most of its time on MathJax's glyphs, which are hidden from those who hear the page, and on the inner
# structure of formulas and code, for which it has no rules.
PLAIN = """() => {
  document.querySelectorAll("mjx-math").forEach(glyphs => glyphs.replaceChildren());
  document.querySelectorAll("pre, math").forEach(node => { node.textContent = node.textContent; });
  [...document.querySelectorAll("dl.py")].slice(60).forEach(entry => entry.remove());  // of the reference: all alike
}"""


EVERYWHERE = [(DESK, "light"), (PHONE, "dark")]
THE_OTHER_WAY = [(DESK, "dark"), (PHONE, "light")]


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("looks", [EVERYWHERE, pytest.param(THE_OTHER_WAY, marks=pytest.mark.long)], ids=["", "other"])
def test_page_served(chromium, address: str, name: str, looks: list[tuple[int, str]]):
    page, wrong = open_page(chromium, address + name, *looks[0])
    page.evaluate("dispatchEvent(new Event('beforeprint'))")  # to print the page, the book typesets every formula
    assert page.locator(".math:not(:has(mjx-math))").all_inner_texts() == []
    assert page.locator("mjx-merror").all_inner_texts() == []
    for width in (DESK, PHONE):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.add_style_tag(content="* { transition: none !important }")  # colors on their way from theme to theme
    page.evaluate(ONE_OF_EACH_TOKEN)
    page.evaluate(PLAIN)
    for width, theme in looks:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=theme)
        page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
        # A paragraph is on a phone what it is on a desk, narrower.
        assert violations(page, *(["article p"] if width == PHONE else [])) == []
    assert wrong == []
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_page_from_disk(chromium, book: Path, name: str):
    page, wrong = open_page(chromium, (book / name).as_uri(), PHONE, "dark")
    formulas = page.locator(".math:visible")
    if formulas.count():
        formulas.first.scroll_into_view_if_needed()
        formulas.first.locator("mjx-math").wait_for()
    assert wrong == []
    page.context.close()


def test_buttons_show_their_icons_and_work(chromium, address: str):
    page, wrong = open_page(chromium, address + PAGES[0], DESK, "light")
    assert page.evaluate("document.fonts.check('900 16px \"Font Awesome 6 Free\"', '\\uf002')")
    for icon in page.locator("i.fa-solid:visible").all():
        assert icon.evaluate("node => getComputedStyle(node, '::before').content") not in ("none", "normal")
        assert icon.bounding_box()["width"] > 4
    switch = page.locator(".theme-switch-button:visible").first
    seen = set()
    for _ in range(3):
        switch.click()
        seen.add(page.evaluate("document.documentElement.dataset.mode"))
    assert seen == {"light", "dark", "auto"}
    assert wrong == []
    page.context.close()


def test_search_finds_a_word(chromium, book: Path):
    page, wrong = open_page(chromium, (book / "search.html").as_uri() + "?q=bibliography", DESK, "light")
    page.wait_for_selector("#search-results li a")
    assert wrong == []
    page.context.close()


def test_formulas_are_typeset_as_the_reader_comes_to_them(chromium, book: Path):
    context = chromium.new_context(viewport={"width": DESK, "height": 800})
    page = context.new_page()
    page.goto((book / "book/gradient-descent.html").as_uri())
    page.locator(".math:visible").first.scroll_into_view_if_needed()
    page.wait_for_selector(".math mjx-math")
    waiting = page.locator(".math:not(:has(mjx-math))")
    assert waiting.count() > 100
    last = page.locator("div.math:visible").last
    last.scroll_into_view_if_needed()
    last.locator("mjx-math").wait_for()
    assert waiting.count() > 100
    page.pdf()
    assert waiting.count() == 0
    context.close()


def test_wide_formula_scrolls_by_keyboard(chromium, book: Path):
    page, _ = open_page(chromium, (book / PAGES[0]).as_uri(), PHONE, "light")
    page.evaluate(
        """() => {
            const box = document.createElement("div"), wide = document.createElement("div");
            box.className = "pst-scrollable-table-container";
            wide.style.width = "900px"; wide.style.height = "2em";
            box.append(wide);
            document.querySelector("article").prepend(box);
            dispatchEvent(new Event("resize"));
        }"""
    )
    box = page.locator(".pst-scrollable-table-container").first
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.pst-scrollable-table-container').scrollLeft > 0")
    page.context.close()
