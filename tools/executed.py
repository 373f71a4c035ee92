"""The outputs of the book's notebooks: run once for what they can see, kept, and given to whoever asks.

What a notebook can see is the source of its code cells, the Python and the data of `mlmath` that it imports, and the
pinned packages; not its text, not the metadata of its cells (alt texts, captions, tags), not the style sheets and
scripts of the page. As a Sphinx extension this module runs what has to be run, two notebooks at a time, and puts the
outputs into the pages; `make notebooks` and the tests take the same outputs.
"""

import ast
import asyncio
import fcntl
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import psutil
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sphinx.errors import ExtensionError

ROOT = Path(__file__).parents[1]
FOLDER = Path("_build/executed")
AT_A_TIME = 2
DATA = {".gz", ".dat"}
WIDGETS = "application/vnd.jupyter.widget-state+json"


def code_of(notebook: NotebookNode) -> list[str]:
    """Return the sources of the code cells."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


@cache
def imports(code: str) -> frozenset[str]:
    """Return the names of `mlmath` that this Python imports: modules, packages, and what it takes from them."""
    names = set()
    for node in ast.walk(ast.parse(TransformerManager().transform_cell(code))):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{name.name}" for name in node.names}
    return frozenset(name for name in names if name.split(".")[0] == "mlmath")


def seen(code: str, root: Path) -> list[Path]:
    """Return the files of `mlmath` that this Python imports, directly or not, and the data beside them."""
    files: set[Path] = set()
    names = set(imports(code))
    while names:
        parts = names.pop().split(".")
        for end in range(1, len(parts) + 1):  # to import a.b.c runs a and a.b first
            place = root.joinpath(*parts[:end])
            for file in {place.with_suffix(".py"), place / "__init__.py"} - files:
                if file.is_file():
                    files.add(file)
                    names |= imports(file.read_text())
    folders = {module.parent for module in files} - {root / "mlmath"}
    data = {file for folder in folders for file in folder.rglob("*") if file.suffix in DATA}
    return sorted(files | data)


@cache
def pins(requirements: str) -> str:
    """Return the lines of a requirements file that name a version."""
    return "\n".join(line for line in requirements.splitlines() if line.strip() and not line.lstrip().startswith("#"))


def key(notebook: NotebookNode, root: Path = ROOT) -> str:
    """Return a hash of all that the outputs of `notebook` depend on."""
    cells = code_of(notebook)
    digest = hashlib.sha256(json.dumps([sys.version_info[:2], cells]).encode())
    digest.update(pins((root / "requirements.txt").read_text()).encode())
    for file in seen("\n".join(cells), root):
        digest.update(f"\0{file.relative_to(root)}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:20]


def run(notebook: NotebookNode, folder: Path, after_cell: Any = None, **environment: str) -> NotebookNode:
    """Return `notebook` with its outputs, run in `folder`; a cell that warns, or writes to stderr, is an error."""
    ran = deepcopy(notebook)
    client = NotebookClient(ran, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.on_cell_executed = after_cell
    # A kernel is another process and a loop of events of its own belongs to each thread.
    asyncio.run(client.async_execute(env=os.environ | environment))
    for cell in ran.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise RuntimeError(f"it warns:\n{output.text}\nin the cell\n{cell.source}")
    for widget in ran.metadata.get("widgets", {}).get(WIDGETS, {}).get("state", {}).values():
        for front in ("_esm", "_css"):  # what every explorer shares, and the page has in files of its own
            widget["state"].pop(front, None)
    return ran


def with_outputs(notebook: NotebookNode, ran: NotebookNode) -> NotebookNode:
    """Return `notebook` as it stands now, with the outputs and widgets of the time when its code was run."""
    merged, cells = deepcopy(notebook), iter(ran.cells)
    for cell in merged.cells:
        if cell.cell_type == "code":
            outputs = next(cells)
            cell.outputs, cell.execution_count = outputs.outputs, outputs.execution_count
    merged.metadata["widgets"] = ran.metadata.get("widgets", {})
    return merged


class Store:
    """What was run in a checkout: `_build/executed/NAME.KEY.json` holds a notebook's code cells and their outputs."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root, self.folder = root, root / FOLDER

    def file(self, path: Path) -> Path:
        """Return where the outputs of the notebook at `path` are, or will be."""
        return self.folder / f"{path.stem}.{key(nbformat.read(path, as_version=4), self.root)}.json"

    def executed(self, path: Path) -> NotebookNode:
        """Return the notebook at `path` with its outputs, which have been made."""
        return with_outputs(nbformat.read(path, as_version=4), nbformat.read(self.file(path), as_version=4))

    def run(self, paths: Iterable[Path]) -> dict[Path, Path]:
        """Run the notebooks that have no outputs yet, and return the file of each one's outputs.

        Raises RuntimeError that names the notebook, its cell and what went wrong; what the others gave is kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # whoever asks for the same at the same time waits, and finds it done
            files = {path: self.file(path) for path in paths}
            missing = sorted((path for path in files if not files[path].exists()), key=self.effort, reverse=True)
            if missing:
                self.run_all({path: files[path] for path in missing})
        return files

    def effort(self, path: Path) -> float:
        """Return how many seconds the notebook took last time, or a guess by its length."""
        before = list(self.folder.glob(f"{path.stem}.*.json"))
        return nbformat.read(before[0], as_version=4).metadata.seconds if before else path.stat().st_size / 2e4

    def run_all(self, files: dict[Path, Path]) -> None:
        """Run notebooks into their files, some at a time, and show how far they are."""
        failed = []
        with shown() as progress, ThreadPoolExecutor(AT_A_TIME) as pool:
            futures = {path: pool.submit(self.run_one, path, file, progress) for path, file in files.items()}
            try:
                for path, future in futures.items():
                    if error := future.exception():
                        failed.append(f"{path.relative_to(self.root)} cannot be run: {error}")
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                for kernel in psutil.Process().children(recursive=True):  # they hear no Ctrl-C
                    kernel.kill()
                raise
        if failed:
            raise RuntimeError("\n".join(failed))

    def run_one(self, path: Path, file: Path, progress: Any) -> None:
        """Run one notebook, and keep its outputs in place of those of its earlier code."""
        notebook, began = nbformat.read(path, as_version=4), time.monotonic()
        cells = len(code_of(notebook))
        task = progress.add_task(path.stem, total=cells)
        ran = run(
            notebook,
            path.parent,
            lambda **_: progress.advance(task),
            OPENBLAS_NUM_THREADS="1",
            MLMATH_PROOFS=str(self.root / "_build/proofs"),
        )
        ran.cells = [cell for cell in ran.cells if cell.cell_type == "code"]
        ran.metadata["seconds"] = round(time.monotonic() - began, 1)
        for old in self.folder.glob(f"{path.stem}.*.json"):
            old.unlink()
        partly = file.with_suffix(".part")
        partly.write_text(nbformat.writes(ran))
        partly.rename(file)
        progress.done(f"{path.stem}: {cells} cells in {ran.metadata.seconds:.0f} s")


class Lines:
    """Progress where nobody watches: a line when a notebook begins, and one when it is done."""

    def __init__(self) -> None:
        self.writing = threading.Lock()

    def add_task(self, name: str, total: int) -> None:
        """Say that a notebook begins."""
        self.done(f"{name}: running {total} cells")

    def advance(self, task: Any) -> None:
        """Say nothing of a cell."""

    def done(self, line: str) -> None:
        """Write a line."""
        with self.writing:
            print(line, file=sys.stderr, flush=True)


@contextmanager
def shown() -> Any:
    """Progress on stderr: bars in a terminal, lines elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines()
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as progress:
        progress.done = lambda line: None  # the full bar stays
        yield progress


def outdated(app: Any, env: Any, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Run what has to be run, and return the pages whose outputs are not those of the last build."""
    notebooks = {name: Path(env.doc2path(name)) for name in env.found_docs if env.doc2path(name).endswith(".ipynb")}
    app.executed = Store(Path(app.srcdir))
    try:
        files = app.executed.run(notebooks.values())
    except RuntimeError as error:
        raise ExtensionError(str(error)) from None
    now = {name: files[path].name for name, path in notebooks.items()}
    before, env.executed = getattr(env, "executed", {}), now
    return [name for name in now if now[name] != before.get(name)]


def fill(app: Any, name: str, source: list[str]) -> None:
    """Give a page the outputs of its notebook."""
    if app.env.doc2path(name).endswith(".ipynb"):
        source[0] = nbformat.writes(app.executed.executed(Path(app.env.doc2path(name))))


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("env-get-outdated", outdated)
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
