"""A Sphinx extension: what Sphinx would do again and again is done once, and what nobody asked for is not done."""

from functools import cache
from typing import Any

from sphinx.domains.std import StandardDomain
from sphinx.errors import PycodeError
from sphinx.pycode import ModuleAnalyzer

analyze, resolve = ModuleAnalyzer.for_module, StandardDomain._resolve_numref_xref


def analyzed(module: str) -> ModuleAnalyzer:
    """Read the source of a module, for the comments on its attributes, if it is one of the book's.

    autodoc asks for those of all base classes too; to parse SymPy and traitlets takes a third of a build.
    """
    if module.split(".")[0] != "mlmath":
        raise PycodeError(f"{module} is not documented here")
    return analyze(module)


class Reader:
    """The build's environment for who reads pages and changes none: a page is loaded from disk once."""

    def __init__(self, env: Any) -> None:
        self.env, self.get_doctree = env, cache(env.get_doctree)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.env, name)


reader = cache(Reader)


def resolved(domain: StandardDomain, env: Any, *reference: Any) -> Any:
    """Resolve a reference by number; by itself Sphinx loads the page that is referred to for each of them."""
    return resolve(domain, reader(env), *reference)


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    ModuleAnalyzer.for_module = analyzed  # type: ignore[method-assign]
    StandardDomain._resolve_numref_xref = resolved  # type: ignore[method-assign]
    return {"parallel_read_safe": True, "parallel_write_safe": True}
