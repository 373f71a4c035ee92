"""What the tests of the notebooks and of the built book have in common."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell

ROOT = Path(__file__).parent


# One worker begins by building the book; what is long comes before what is short, so that both end at the same time.
ORDER = ["test_book.py", "test_d*.py", "test_e*.py", "test_pages.py", "test_lab.py", "*.ipynb"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have nbval compare every text of the notebooks, but not the pictures, which are not stored; order the tests."""
    items.sort(key=lambda item: next((k for k, name in enumerate(ORDER) if item.path.match(name)), len(ORDER)))
    for notebook in {item.parent for item in items if isinstance(item, IPyNbCell)}:
        notebook.skip_compare += ("image/svg+xml",)


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
