"""Name the tests of what has changed since the last commit, for `make check`: one path a line.

A changed test file is its own test, a changed notebook too. A module is tested by the files that import it by its name,
or that bear its name; the scripts of the explorers by the tests of the explorers. Tests of the built book are left to
`make test`.
"""

import subprocess
from pathlib import Path

from tools.executed import imports

ROOT = Path(__file__).parents[1]
OF_THE_BOOK = {"test_book.py", "test_pages.py", "test_lab.py"}
SCRIPTS = {"test_explore.py", "test_explorers.py"}


def changed(root: Path = ROOT) -> list[Path]:
    """Return the files that differ from the last commit, new ones too; what was removed is not among them."""
    tracked = ["git", "diff", "--name-only", "--diff-filter=d", "HEAD"]
    new = ["git", "ls-files", "--others", "--exclude-standard"]
    lists = (
        subprocess.run(command, cwd=root, capture_output=True, text=True, check=True) for command in (tracked, new)
    )
    return [Path(name) for listed in lists for name in listed.stdout.splitlines()]


def concerned(file: Path, tests: dict[Path, frozenset[str]]) -> set[Path]:
    """Return the tests, given with what each imports, that concern a changed file."""
    if file in tests or (file.suffix == ".ipynb" and file.parts[0] == "book"):
        return {file}
    if file.parts[:3] == ("mlmath", "explore", "front"):
        return {test for test in tests if test.name in SCRIPTS}
    if file.suffix == ".py" and file.parts[0] in ("mlmath", "tools"):
        module = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
        named = f"test_{file.stem}.py"
        by_name = {test for test, names in tests.items() if any(f"{name}.".startswith(f"{module}.") for name in names)}
        return {test for test in tests if test.name == named} | by_name
    return set()


def main() -> None:
    """Print the tests of what has changed."""
    files = [file for file in (ROOT / "tests").glob("test_*.py") if file.name not in OF_THE_BOOK]
    tests = {file.relative_to(ROOT): imports(file.read_text()) for file in files}
    print("\n".join(sorted({str(test) for file in changed() for test in concerned(file, tests)})))


if __name__ == "__main__":
    main()
