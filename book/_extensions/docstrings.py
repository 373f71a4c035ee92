"""A Sphinx extension: docstrings are read as what they are, plain text with `code` and indented formulas.

They are written for the reader of the source; without this, a product a*b or a norm |a| would be markup.
"""

import re
from itertools import groupby
from typing import Any

INDENT = "    "


def escaped(text: str) -> str:
    """Return `text` as reStructuredText that shows it as it is, with its `code` as code."""
    parts = re.split(r"`+([^`]+)`+", text)
    parts[::2] = [re.sub(r"([*|_\\])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [rf"\ ``{part}``\ " for part in parts[1::2]]
    return "".join(parts)


def as_text(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Replace the docstring in `lines`: prose is escaped, what is indented by four is set as it stands."""
    blocks = groupby(lines, key=lambda line: line.startswith(INDENT))
    shown: list[str] = []
    for formula, block in blocks:
        shown += ["", ".. code-block:: text", "", *block, ""] if formula else escaped("\n".join(block)).split("\n")
    lines[:] = shown


def without_objects(app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returns: str) -> tuple:
    """Write defaults that are objects, like <function f at 0x…>, as an ellipsis: Sphinx could not parse them."""
    return signature and re.sub(r"= <.*?>(?=, \w+:|\))", "= ...", signature), returns


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", as_text)
    app.connect("autodoc-process-signature", without_objects)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
