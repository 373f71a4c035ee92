"""A Sphinx extension: mends what Sphinx and its extensions write against the accessibility rules."""

import re
from typing import Any

MENDED = {
    # The entries of a list are list items; the role that docutils gives them is deprecated.
    'role="doc-biblioentry"': 'role="listitem"',
    # sphinx-proof gives every proof the same id.
    'class="proof admonition" id="proof"': 'class="proof without-number admonition"',
}


def mend(app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Replace what is wrong in the page's body."""
    for wrong, right in MENDED.items():
        context["body"] = context.get("body", "").replace(wrong, right)
    # sphinx-proof and sphinx-exercise give the content of each proof, exercise and solution the same id.
    context["body"] = re.sub(r' id="(proof|exercise|solution)-content"', "", context["body"])


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("html-page-context", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
