"""What the tests of the notebooks and of the built book have in common."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell, IPyNbFile

from tools.executed import Store, code_of

ROOT = Path(__file__).parent


# One worker begins by building the book; what is long comes before what is short, so that both end at the same time.
ORDER = ["test_book.py", "test_d*.py", "test_e*.py", "test_pages.py", "test_lab.py", "*.ipynb"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have nbval compare every text of the notebooks, but not the pictures, which are not stored; order the tests."""
    items.sort(key=lambda item: next((k for k, name in enumerate(ORDER) if item.path.match(name)), len(ORDER)))
    for notebook in {item.parent for item in items if isinstance(item, IPyNbCell)}:
        notebook.skip_compare += ("image/svg+xml",)


class Recorded:
    """A kernel for nbval that has run the notebook before: it gives the outputs that the book shows."""

    def __init__(self, ran: NotebookNode) -> None:
        self.sources, self.cells = code_of(ran), [cell for cell in ran.cells if cell.cell_type == "code"]
        self.messages: list[tuple[str, dict]] = []

    def is_alive(self) -> bool:
        """It cannot die."""
        return True

    def execute_cell_input(self, source: str, allow_stdin: bool | None = None) -> int:
        """Get ready to tell what this cell gave; cells with the same source are told apart by their order."""
        cell = self.sources.index(source)
        self.sources[cell] = None
        self.messages = [(output.output_type, output) for output in self.cells[cell].outputs]
        self.messages.append(("status", {"execution_state": "idle"}))
        return 0

    def await_reply(self, message: int, timeout: float | None = None) -> None:
        """The outputs are there already."""

    await_idle = await_reply

    def get_message(self, stream: str, timeout: float | None = None) -> dict:
        """Give the next output of the cell, then say that it is done."""
        kind, content = self.messages.pop(0)
        return {"msg_type": kind, "content": content, "parent_header": {"msg_id": 0}}

    def stop(self) -> None:
        """Nothing runs."""


def record(notebook: IPyNbFile) -> None:
    """Have nbval compare what the build's run of the notebook gave; it is run now if it was not."""
    store = Store()
    store.run(sorted(notebook.path.parent.glob("*.ipynb")))
    notebook.kernel = Recorded(store.executed(notebook.path))
    notebook.setup_sanitize_files()


IPyNbFile.setup = record


@pytest.fixture(scope="session")
def book() -> Path:
    """Build the book, with warnings as errors, and return the folder of its pages.

    It is built once in a run, by whichever worker asks first; the others wait.
    """
    build = ROOT / "_build"
    build.mkdir(exist_ok=True)
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    stamp = build / "tested"
    with open(build / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != run:
            environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
            made = subprocess.run(["make", "book"], cwd=ROOT, env=environment, capture_output=True, text=True)
            assert made.returncode == 0, made.stdout + made.stderr
            stamp.write_text(run)
    return build / "html"
