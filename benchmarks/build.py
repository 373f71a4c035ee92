"""How long the book takes to build, from nothing and after a change of one thing.

`python benchmarks/build.py` clones this repository's last commit into a temporary folder, makes its environment there,
and prints a Markdown table: the median and the range of three runs of `make book` from nothing, and after a change of
one chapter's text, of an alt text, of a style sheet, of a script, of a module, and after none; and which notebooks
were run. It needs the packages of `requirements.txt` from their registry.
"""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
RUNS = 3


def replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    """Return a change that writes `new` for the first `old` in a file."""

    def change(book: Path) -> None:
        text = (book / name).read_text()
        if old not in text:
            raise ValueError(f"{name} holds no {old!r}")
        (book / name).write_text(text.replace(old, new, 1))

    return change


def added(name: str, line: str) -> Callable[[Path], None]:
    """Return a change that adds a line to a file."""

    def change(book: Path) -> None:
        with open(book / name, "a") as file:
            file.write(line + "\n")

    return change


CHAPTER = "book/gradient-descent.ipynb"
CHANGES = {
    "nothing": lambda book: None,
    "a word of a chapter": replaced(CHAPTER, " the ", " this very "),
    "an alt text": replaced(CHAPTER, '"alt": "', '"alt": "Drawn: '),
    "a style": added("book/assets/book.css", ".never { color: red; }"),
    "a script": added("mlmath/explore/front/host.js", "// a remark"),
    "a module that one chapter imports": added("mlmath/autodiff.py", "# a remark"),
    "a module that all import": added("mlmath/arguments.py", "# a remark"),
}


def make(book: Path, target: str) -> tuple[float, list[str]]:
    """Run a target of the clone's Makefile; return the seconds it takes and the notebooks that were run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    began = time.perf_counter()
    made = subprocess.run(["make", target], cwd=book, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if made.returncode:
        raise SystemExit(made.stdout + made.stderr)
    return seconds, re.findall(r"^([\w-]+): running", made.stderr, re.MULTILINE)


def main() -> None:
    """Measure, and print the table."""
    seconds: dict[str, list[float]] = {}
    ran: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        book = Path(folder, "book")
        subprocess.run(["git", "clone", "--quiet", ROOT, book], check=True)
        make(book, ".venv/ready")
        for _ in range(RUNS):
            subprocess.run(["git", "checkout", "--quiet", "."], cwd=book, check=True)
            make(book, "clean")
            for what, change in {"everything": lambda book: None, **CHANGES}.items():
                change(book)
                taken, ran[what] = make(book, "book")
                seconds.setdefault(what, []).append(taken)
    load = os.getloadavg()[0]
    print(f"{RUNS} runs of `make book` on {os.cpu_count()} cores; load at the end {load:.1f}\n")
    print("| what has changed | seconds | range | notebooks that were run |\n|---|---:|---:|---|")
    for what, runs in seconds.items():
        again = "all" if len(ran[what]) > 5 else ", ".join(sorted(ran[what])) or "none"
        print(f"| {what} | {median(runs):.1f} | {min(runs):.1f}–{max(runs):.1f} | {again} |")


if __name__ == "__main__":
    main()
