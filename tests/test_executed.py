"""A notebook is run again when what it can see has changed, and then alone; a page when what it shows has."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import executed
from tools.executed import Store
from tools.notebooks import normalize

ROOT = Path(__file__).parents[1]
CONFIG = """\
title: Small
author: ""
only_build_toc_files: true
execute: {execute_notebooks: "off"}
sphinx:
  local_extensions: {executed: tools, offline: extensions}
  config:
    html_static_path: [assets]
    html_css_files: [book.css]
    html_js_files: [book.js]
"""
RENDERER = """\
class PageRenderer:
    mime_priority_overrides = []
    handle_mime = staticmethod(lambda *_: None)
"""
CODE = {
    "slow": ["from mlmath import regression\nregression.WHO", "1 + 1"],
    "apart": ["from mlmath.explore import picture\npicture.name"],
}
FILES = {
    "requirements.txt": "numpy==2.4.6\n",
    "mlmath/__init__.py": "",
    "mlmath/arguments.py": "CHECKED = True\n",
    "mlmath/regression.py": "from mlmath import arguments\nWHO = 'regression'\n",
    "mlmath/explore/__init__.py": "from mlmath.explore import picture\n",
    "mlmath/explore/picture.py": "from mlmath import data\nname = 'picture'\n",
    "mlmath/explore/static.py": RENDERER,
    "mlmath/explore/front/explorer.js": "let x = 1;\n",
    "mlmath/data/__init__.py": "",
    "mlmath/data/table.csv.gz": "1, 2\n",
    "mlmath/data/README.md": "Sources\n",
    "assets/book.css": "p { color: black }\n",
    "assets/book.js": "let y = 1;\n",
    "_config.yml": CONFIG,
    "_toc.yml": "format: jb-book\nroot: book/index\nchapters:\n  - file: book/slow\n  - file: book/apart\n",
    "book/index.md": "# Small\n",
}


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def notebook(name: str, *, word: str = "Word", metadata: dict | None = None) -> str:
    cells = [new_markdown_cell(f"# {name}\n\n{word}")]
    cells += [new_code_cell(source, metadata=metadata or {}) for source in CODE[name]]
    return nbformat.writes(new_notebook(cells=cells))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A book of two notebooks with a package of its own, laid out as this one."""
    for name, text in FILES.items():
        write(tmp_path, name, text)
    for name in CODE:
        write(tmp_path, f"book/{name}.ipynb", notebook(name))
    return tmp_path


def keys(root: Path) -> dict[str, str]:
    return {name: Store(root).file(root / f"book/{name}.ipynb").name for name in CODE}


ALT = {"mystnb": {"image": {"alt": "a line"}, "figure": {"caption": "A line."}}, "tags": ["hide-input"]}
CHANGES = {
    "a word": ("book/slow.ipynb", notebook("slow", word="Other"), set()),
    "an alt text, a caption, a tag": ("book/slow.ipynb", notebook("slow", metadata=ALT), set()),
    "a style": ("assets/book.css", "p { color: red }\n", set()),
    "a script": ("mlmath/explore/front/explorer.js", "let x = 2;\n", set()),
    "the sources of the data": ("mlmath/data/README.md", "Other sources\n", set()),
    "a comment among the pins": ("requirements.txt", "# by hand\nnumpy==2.4.6\n", set()),
    "a module": ("mlmath/regression.py", "from mlmath import arguments\nWHO = 'else'\n", {"slow"}),
    "a module behind another": ("mlmath/arguments.py", "CHECKED = False\n", {"slow"}),
    "a module of a package": ("mlmath/explore/picture.py", "from mlmath import data\nname = 'else'\n", {"apart"}),
    "a module that nobody imports": ("mlmath/network.py", "LAYERS = 2\n", set()),
    "data": ("mlmath/data/table.csv.gz", "1, 3\n", {"apart"}),
    "data in a folder": ("mlmath/data/certified/Norris.dat", "1, 2\n", {"apart"}),
    "a pin": ("requirements.txt", "numpy==2.4.7\n", {"slow", "apart"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_notebook_is_run_again_for_what_it_can_see(small: Path, change: str):
    name, text, again = CHANGES[change]
    before = keys(small)
    write(small, name, text)
    after = keys(small)
    assert {name for name in CODE if after[name] != before[name]} == again


def test_a_cell_is_run_again_when_its_code_changes(small: Path, monkeypatch):
    before = keys(small)
    monkeypatch.setitem(CODE, "slow", [*CODE["slow"], "2 + 2"])
    write(small, "book/slow.ipynb", notebook("slow"))
    assert keys(small)["slow"] != before["slow"]


def test_the_modules_of_the_book_import_each_other_by_their_whole_names():
    """Relative imports would not be followed; ruff refuses them (TID252)."""
    assert '"TID"' in (ROOT / "pyproject.toml").read_text()


def build(root: Path) -> tuple[list[str], set[str]]:
    """Build the small book; return the notebooks that were run, and the pages that were read."""
    write(root, "tools/executed.py", (ROOT / "tools/executed.py").read_text())
    write(root, "extensions/offline.py", OFFLINE)
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "."]
    made = subprocess.run(command, cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr
    plain = re.sub(r"\x1b\[[\d;]*m", "", made.stdout)
    return re.findall(r"(\w+): running", made.stderr), set(re.findall(r"reading sources... \[ *\d+%\] (\S+)", plain))


# The part of the book's own extension that looks after style sheets, without the book's theme and fonts.
OFFLINE = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("whole", {str(ROOT / "book/_extensions/offline.py")!r})
whole = importlib.util.module_from_spec(spec)
spec.loader.exec_module(whole)
from pathlib import Path
def setup(app):
    app.connect("env-get-outdated", whole.renewed)
    app.connect("build-finished", lambda app, error: whole.name_versions(Path(app.outdir)), priority=900)
"""


def test_a_build_does_what_has_changed_and_nothing_else(small: Path):
    ran, read = build(small)
    assert sorted(ran) == ["apart", "slow"]
    assert read == {"book/index", "book/slow", "book/apart"}
    pages = small / "_build/html/book"
    assert "'regression'" in (pages / "slow.html").read_text()
    asked = re.findall(r"book\.css\?v=\w+", (pages / "apart.html").read_text())
    write(small, "book/slow.ipynb", notebook("slow", word="Another"))
    write(small, "assets/book.css", "p { color: red }\n")
    assert build(small) == ([], {"book/slow", "book/index"})
    assert "Another" in (pages / "slow.html").read_text()
    assert "'regression'" in (pages / "slow.html").read_text()
    assert "red" in (small / "_build/html/_static/book.css").read_text()
    assert re.findall(r"book\.css\?v=\w+", (pages / "apart.html").read_text()) != asked
    write(small, "mlmath/regression.py", "from mlmath import arguments\nWHO = 'changed'\n")
    assert build(small) == (["slow"], {"book/slow"})
    assert "'changed'" in (pages / "slow.html").read_text()
    assert len(list((small / "_build/executed").glob("slow.*.json"))) == 1, "what was is gone"


def test_a_cell_that_fails_is_named_and_the_other_notebooks_are_kept(small: Path, monkeypatch):
    monkeypatch.setitem(CODE, "slow", ["1 / 0"])
    write(small, "book/slow.ipynb", notebook("slow"))
    monkeypatch.setenv("PYTHONPATH", str(small))
    store = Store(small)
    with pytest.raises(RuntimeError, match=r"(?s)book/slow\.ipynb cannot be run.*1 / 0.*ZeroDivisionError"):
        store.run([small / f"book/{name}.ipynb" for name in CODE])
    assert store.file(small / "book/apart.ipynb").exists()
    assert not store.file(small / "book/slow.ipynb").exists()


def test_a_cell_that_warns_is_an_error(small: Path, monkeypatch):
    monkeypatch.setitem(CODE, "slow", ["import warnings\nwarnings.warn('too small')"])
    write(small, "book/slow.ipynb", notebook("slow"))
    with pytest.raises(RuntimeError, match=r"(?s)slow\.ipynb cannot be run: it warns.*too small"):
        Store(small).run([small / "book/slow.ipynb"])


def test_who_asks_at_the_same_time_waits_and_finds_it_done(small: Path, monkeypatch, capfd):
    monkeypatch.setenv("PYTHONPATH", str(small))
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: Store(small).run([small / "book/slow.ipynb"]), range(2)))
    assert capfd.readouterr().err.count("running") == 1


def test_the_longest_begins_first(small: Path):
    store, paths = Store(small), [small / f"book/{name}.ipynb" for name in CODE]
    store.folder.mkdir(parents=True)
    for path, seconds in zip(paths, (3.0, 8.0), strict=True):
        (store.folder / f"{path.stem}.earlier.json").write_text(
            nbformat.writes(new_notebook(metadata={"seconds": seconds}))
        )
    assert sorted(paths, key=store.effort)[-1].stem == "apart"


@pytest.mark.long
@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("path", sorted((ROOT / "book").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_output_is_the_same_whatever_blas_does(path: Path, threads: str):
    stored = nbformat.read(path, as_version=4)
    ran = normalize(executed.run(stored, path.parent, OPENBLAS_NUM_THREADS=threads))
    for cell, now in zip(stored.cells, ran.cells, strict=True):
        if "nbval-ignore-output" not in cell.metadata.get("tags", []):
            assert now.get("outputs") == cell.get("outputs"), cell.source


def test_ctrl_c_ends_the_kernels(small: Path, monkeypatch):
    monkeypatch.setitem(CODE, "slow", ["import time\nopen('begun', 'w').close()\ntime.sleep(600)"])
    write(small, "book/slow.ipynb", notebook("slow"))
    code = "import signal, sys; from pathlib import Path; from tools.executed import Store\n"
    code += (
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored by what a shell runs in the background
    )
    code += "Store(Path(sys.argv[1])).run([Path(sys.argv[1]) / 'book/slow.ipynb'])"
    with subprocess.Popen(
        [sys.executable, "-c", code, small], cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
    ) as run:
        while not (small / "book/begun").exists():
            assert run.poll() is None
            time.sleep(0.05)
        kernels = psutil.Process(run.pid).children(recursive=True)
        assert kernels
        run.send_signal(signal.SIGINT)
        assert run.wait() != 0
    assert not [kernel for kernel in kernels if kernel.is_running() and kernel.status() != psutil.STATUS_ZOMBIE]
