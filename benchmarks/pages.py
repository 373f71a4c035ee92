"""A chapter's page beside the same page as stock Jupyter Book makes it: bytes, and time until it is ready.

`python benchmarks/pages.py [NOTEBOOK]` prints a Markdown table (needs npm and its registry). The notebook is executed
once and built twice in a temporary folder: as the book is, and with Jupyter Book's defaults, whose page loads MathJax
and the widget manager from other hosts. Here both are served from this machine, so the network favors neither: the
widget manager's files are those of the npm registry in the versions that MyST-NB names, MathJax's those of PyPI.

A page is ready when every explorer is alive and every formula in the window is typeset, plus one frame. (The stock page
typesets all of its formulas before it shows one; the book's page typesets the others as the reader comes to them.)
Each load has a cold cache; the loads are interleaved, so that whatever else the machine does slows both alike.
"""

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution, version
from pathlib import Path
from statistics import median
from threading import Thread

import nbformat
import yaml
from anywidget import AnyWidget
from explorers import chromium
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
MATHJAX = Path(distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax"))
MANAGER, REQUIRE = "@jupyter-widgets/html-manager@1.0.6", "requirejs@2.3.4"
RUNS = 15

# Our renderer is an entry point of the installed package: the stock page has to send it away.
WITHOUT_OURS = """
from mlmath.explore.static import PageRenderer

def setup(app):
    PageRenderer.handle_mime = staticmethod(lambda *_: None)
"""
READY = """
(async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const alive = () => document.querySelectorAll("figure.explorer[data-ready]").length === EXPLORERS;
  while (!alive() || document.readyState === "loading") await frame();
  const seen = [...document.querySelectorAll(".math")].filter(formula => {
    const { top, bottom } = formula.getBoundingClientRect();
    return top < innerHeight && bottom > 0;
  });
  while (!seen.every(formula => formula.querySelector("mjx-math"))) await frame();
  await frame();
  window.readyAfter = performance.now();
})();
"""


class Handler(SimpleHTTPRequestHandler):
    """Serves files without a line of log for each."""

    def log_message(self, format, *args):
        """Say nothing."""


def serve(site):
    """Serve the folder `site` on a free port, and return its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site)))
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def fetch(package, folder):
    """Unpack an npm package into `folder`."""
    folder.mkdir(parents=True)
    quiet = {"cwd": folder, "check": True, "capture_output": True}
    packed = subprocess.run(["npm", "pack", "--silent", package], text=True, **quiet).stdout.strip()
    subprocess.run(["tar", "--extract", "--file", packed, "--strip-components", "1"], **quiet)


def mirror(site):
    """Put what the stock page loads from other hosts into `site`, under the same names."""
    fetch(MANAGER, site / MANAGER)
    fetch(REQUIRE, site / REQUIRE)
    fetch(f"anywidget@{version('anywidget')}", site / f"anywidget@{AnyWidget._view_module_version.default_value}")
    minify = "-o baseUrl=. paths.requireLib=require name=requireLib skipModuleInsertion=true out=require.min.js"
    subprocess.run(["node", "bin/r.js", *minify.split()], cwd=site / REQUIRE, check=True, capture_output=True)
    (site / "mathjax").symlink_to(MATHJAX)


def executed(notebook):
    """Return the notebook with its outputs, and how many explorers it shows."""
    content = nbformat.read(notebook, as_version=4)
    NotebookClient(content, timeout=600, resources={"metadata": {"path": str(notebook.parent)}}).execute()
    widgets = content.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    return content, sum("stages" in widget["state"] for widget in widgets.values())


def as_the_book(config):
    return config | {"execute": {"execute_notebooks": "off"}}


def as_stock(config, address):
    """Return Jupyter Book's defaults, plus what the chapter's text needs to be read at all."""
    loaded = {
        f"{address}/{REQUIRE}/require.min.js": {},
        f"{address}/{MANAGER}/dist/embed-amd.js": {"data-jupyter-widgets-cdn": f"{address}/"},
    }
    sphinx = {
        "extra_extensions": ["sphinx_exercise", "sphinx_proof"],
        "local_extensions": {"without_ours": "."},
        "config": {
            "mathjax_path": f"{address}/mathjax/tex-mml-chtml.js",
            "nb_ipywidgets_js": loaded,
            "nb_render_markdown_format": "myst",
        },
    }
    kept = {name: config[name] for name in ("title", "only_build_toc_files", "parse", "bibtex_bibfiles")}
    return kept | {"execute": {"execute_notebooks": "off"}, "sphinx": sphinx}


def build(folder, config, notebook, name):
    """Build a book of this one chapter in `folder`, and return the path of its page there."""
    folder.mkdir()
    for part in ("book", "mlmath"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("*.ipynb", "__pycache__"))
    shutil.copy(ROOT / "requirements.txt", folder)
    nbformat.write(notebook, folder / "book" / f"{name}.ipynb")
    (folder / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False))
    (folder / "_toc.yml").write_text(f"format: jb-book\nroot: book/{name}\n")
    (folder / "without_ours.py").write_text(WITHOUT_OURS)
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "--quiet", folder]
    subprocess.run(command, check=True, capture_output=True)
    return f"_build/html/book/{name}.html"


@contextmanager
def cold(browser, explorers):
    """A new page with an empty cache, which will know when its explorers and its formulas are ready."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.add_init_script(READY.replace("EXPLORERS", str(explorers)))
    yield page
    context.close()


def weigh(browser, address, explorers):
    """Return the number of formulas on the page and the size of each file that it loads, raw and compressed."""
    with cold(browser, explorers) as page:
        loaded = []
        page.on("response", lambda response: loaded.append(response))
        page.goto(address)
        page.wait_for_function("window.readyAfter")
        page.wait_for_load_state("networkidle")
        # A widget's module comes as a blob, from the page itself; the stock manager looks for anywidget there, in vain.
        bodies = [response.body() for response in loaded if response.url.startswith("http") and response.ok]
        return page.locator(".math").count(), [(len(body), len(gzip.compress(body))) for body in bodies]


def milliseconds(browser, address, explorers):
    """Return how long the page takes from the start of its navigation until it is ready."""
    with cold(browser, explorers) as page:
        page.goto(address)
        return page.wait_for_function("window.readyAfter").json_value()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", nargs="?", type=Path, default=ROOT / "book" / "gradient-descent.ipynb")
    chapter = parser.parse_args().notebook
    with tempfile.TemporaryDirectory() as temporary, chromium() as browser:
        site = Path(temporary)
        address = serve(site)
        mirror(site)
        notebook, explorers = executed(chapter)
        config = yaml.safe_load((ROOT / "_config.yml").read_text())
        configs = {"book": as_the_book(config), "stock": as_stock(config, address)}
        pages = {}
        for name, its in configs.items():
            pages[name] = f"{address}/{name}/{build(site / name, its, notebook, chapter.stem)}"
        weights = {name: weigh(browser, page, explorers) for name, page in pages.items()}
        rounds = [{name: milliseconds(browser, page, explorers) for name, page in pages.items()} for _ in range(RUNS)]
        chrome = browser.version
    formulas, files = ({name: weight[i] for name, weight in weights.items()} for i in (0, 1))
    if formulas["book"] != formulas["stock"]:
        sys.exit(f"The pages differ in their number of formulas: {formulas}")

    print(f"`{chapter.name}`: {explorers} explorers, {formulas['book']} formulas; median of {RUNS} interleaved loads,")
    print(f"Chromium {chrome} on {os.cpu_count()} cores\n")
    print("| | the book's page | stock page | stock / book |\n|---|---:|---:|---:|")
    rows = {
        "ready, ms": {name: median(each[name] for each in rounds) for name in pages},
        "kB": {name: sum(raw for raw, _ in files[name]) / 1e3 for name in pages},
        "kB, each file gzipped": {name: sum(packed for _, packed in files[name]) / 1e3 for name in pages},
        "files": {name: len(files[name]) for name in pages},
    }
    for label, row in rows.items():
        print(f"| {label} | {row['book']:.0f} | {row['stock']:.0f} | {row['stock'] / row['book']:.2f} |")


if __name__ == "__main__":
    main()
