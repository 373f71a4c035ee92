"""`make check` runs the tests of what has changed since the last commit."""

import subprocess
from pathlib import Path

import pytest

from tools.changed import changed, concerned

TESTS = {
    Path("tests/test_network.py"): frozenset({"mlmath.network.Dense", "mlmath.network"}),
    Path("tests/test_training.py"): frozenset({"mlmath.training.train", "mlmath.network.Dense"}),
    Path("tests/test_explore.py"): frozenset({"mlmath.explore"}),
    Path("tests/test_executed.py"): frozenset(),
}
FOUND = {
    "mlmath/network.py": {"tests/test_network.py", "tests/test_training.py"},
    "mlmath/training.py": {"tests/test_training.py"},
    "mlmath/explore/__init__.py": {"tests/test_explore.py"},
    "mlmath/explore/front/explorer.js": {"tests/test_explore.py"},
    "tests/test_training.py": {"tests/test_training.py"},
    "tools/executed.py": {"tests/test_executed.py"},
    "book/refresher.ipynb": {"book/refresher.ipynb"},
    "README.md": set(),
    "mlmath/net.py": set(),
}


@pytest.mark.parametrize("file", FOUND)
def test_a_changed_file_has_its_tests(file):
    assert {str(test) for test in concerned(Path(file), TESTS)} == FOUND[file]


def test_new_and_changed_files_are_found_and_removed_ones_are_not(tmp_path):
    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True)

    git("init", "--quiet")
    for name in ("kept", "changed", "removed", ".gitignore"):
        (tmp_path / name).write_text("ignored\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "all")
    (tmp_path / "changed").write_text("else")
    (tmp_path / "removed").unlink()
    (tmp_path / "new").write_text("")
    (tmp_path / "ignored").write_text("")
    assert sorted(map(str, changed(tmp_path))) == ["changed", "new"]
