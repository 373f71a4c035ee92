"""A progress bar in plain characters, for training: chapters 4 and 5.

In a notebook the bar stands in the cell's output while it runs and vanishes when it is done, in a terminal it is one
line that is written anew; what stays, everywhere, is the last line of text. So a cell's stored output does not depend
on how quick the machine was.
"""

import sys
import time
from html import escape
from typing import Any

WIDTH = 30
INTERVAL = 0.1  # seconds between two drawings


class Progress:
    """A bar of `total` steps: `if bar.due(): bar.draw(done, text)` after each step, `bar.close(text)` at the end."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._drawn = -float("inf")
        self._cell = _cell_output()

    def due(self) -> bool:
        """Whether the last drawing is old enough for a new one."""
        return time.monotonic() - self._drawn >= INTERVAL

    def draw(self, done: int, text: str) -> None:
        """Draw the bar with `done` steps filled and the text behind it."""
        self._drawn = time.monotonic()
        filled = WIDTH * done // self.total
        line = f"{'█' * filled}{'░' * (WIDTH - filled)} {text}"
        if self._cell:
            self._cell.update(_shown(line), raw=True)
        elif sys.stdout.isatty():
            print(f"\r{line}\033[K", end="", flush=True)

    def close(self, text: str) -> None:
        """Take the bar away and leave the text."""
        if self._cell:
            self._cell.update(_shown(""), raw=True)
        elif sys.stdout.isatty():
            print("\r\033[K", end="")
        print(text)


def _cell_output() -> Any:
    """The handle of an empty output in the running notebook cell, None outside a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if not hasattr(shell, "kernel"):
        return None
    from IPython.display import display

    return display(_shown(""), raw=True, display_id=True)


def _shown(line: str) -> dict[str, str]:
    """The line as an output of a cell: as HTML, of which nothing is seen on a page when it is empty."""
    return {"text/plain": line, "text/html": line and f"<pre>{escape(line)}</pre>"}
