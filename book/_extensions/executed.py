"""A Sphinx extension: notebooks are executed again when the code that they import has changed.

jupyter-cache knows a notebook by the source of its cells alone, so the book would go on showing what
an older `mlmath` had printed. Here each state of the package and of its dependencies gets a cache of its own.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any


def fingerprint(root: Path) -> str:
    """Return a hash of `mlmath` and the pinned dependencies."""
    files = [file for file in (root / "mlmath").rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    digest = hashlib.sha256()
    for file in [root / "requirements.txt", *sorted(files)]:
        digest.update(f"{file.relative_to(root)}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def choose_cache(app: Any, config: Any) -> None:
    """Point jupyter-cache to the folder of this state of the code, and drop those of earlier states."""
    caches = Path(app.outdir).parent / "executed"
    current = caches / fingerprint(Path(app.srcdir))
    for cache in caches.glob("*"):
        if cache != current:
            shutil.rmtree(cache)
    config.nb_execution_cache_path = str(current)


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("config-inited", choose_cache)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
