"""What the tests share: one browser for the whole session, and a page to try an explorer on."""

import json
import shutil

import pytest
from hypothesis import settings
from playwright.sync_api import sync_playwright

from mlmath.explore import static
from mlmath.explore.explorer import FRONT, script

settings.register_profile("book", deadline=None)  # a busy machine is not an error
settings.load_profile("book")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--num-raster-threads=1",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium():
    """Chromium, started once; a test opens its own context or page in it."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.fail(f"the browser tests need Chromium: none of {', '.join(names)} is on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def play(chromium):
    """A page with one explorer: `play(explorer, settings)` gives what its loop draws at each of the settings."""
    page = chromium.new_page()
    host = (FRONT / "host.js").read_text()

    def frames(explorer, settings):
        figure = static.figure(explorer.get_state(), "p")
        page.set_content(f"<!doctype html>{figure}<script>(() => {{{script()}\n{host}}})()</script>")
        frame = "settings => { const { explorer } = document.querySelector('figure');"
        # As text: Playwright would look at each number by itself. JSON has none that is not finite.
        frame += " const plain = (_, x) => typeof x === 'number' && !isFinite(x) ? String(x) : x;"
        frame += " const frames = settings.map(s => explorer.loop.frame({ ...explorer.values(), ...s }));"
        frame += " return JSON.stringify(frames, plain); }"
        return json.loads(page.evaluate(frame, settings))

    yield frames
    page.close()


@pytest.fixture
def opened(chromium):
    """`opened(explorer)` gives a page with this explorer alone."""
    pages = []

    def show(explorer, **context):
        pages.append(chromium.new_page(**context))
        figure, css = static.figure(explorer.get_state(), "p"), (FRONT / "explorer.css").read_text()
        code = f"(() => {{{script()}\n{(FRONT / 'host.js').read_text()}}})()"
        pages[-1].set_content(f"<!doctype html><style>{css}</style>{figure}<script>{code}</script>")
        return pages[-1]

    yield show
    for page in pages:
        page.close()
