"""Build the book into `_build/html`: warnings are errors, and a reference that leads nowhere is one."""

import shutil
import sys
from pathlib import Path

# jsonschema would compile a grammar of web addresses, which takes longer than all of its checks; nothing here uses it.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

from jupyter_book.cli.main import build  # noqa: E402 (after that)

ROOT = Path(__file__).parents[1]
READ = ROOT / "_build" / ".doctrees"


def main() -> None:
    """Build, and forget what was read where that would mislead the next build."""
    read, settings = READ / "environment.pickle", [ROOT / "_toc.yml", ROOT / "_config.yml"]
    if read.exists() and any(file.stat().st_mtime > read.stat().st_mtime for file in settings):
        shutil.rmtree(READ)  # pages that did not change would keep the old contents list
    try:
        build([str(ROOT), "--quiet", "--warningiserror", "--nitpick", "--keep-going"], standalone_mode=False)
    except (RuntimeError, SystemExit):  # what is wrong has been said
        shutil.rmtree(READ, ignore_errors=True)  # Sphinx would not repeat its warnings about pages that it has read
        sys.exit(1)


if __name__ == "__main__":
    main()
