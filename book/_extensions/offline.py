"""A Sphinx extension: everything a page needs comes from the book itself, trimmed to what it uses.

- MathJax is assembled from the components that the book's formulas need (from PyPI: `sphinx-mathjax-offline`).
- A page that is not written again still names the style sheets and scripts of today, by their checksums.
- The icons of the theme become one style sheet that carries a font of just the icons on the book's pages.
"""

import base64
import io
import re
import shutil
from functools import cache, partial
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from zlib import crc32

import pydata_sphinx_theme
import sphinx_book_theme
from fontTools import subset

MATHJAX = Path(str(distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax")))
FONTS = "output/chtml/fonts/woff-v2"
COMPONENTS = {
    "core": "core",
    "input/tex-base": "input/tex-base",
    "[tex]/ams": "input/tex/extensions/ams",
    "[tex]/boldsymbol": "input/tex/extensions/boldsymbol",
    "[tex]/newcommand": "input/tex/extensions/newcommand",
    "output/chtml": "output/chtml",
    "output/chtml/fonts/tex": "output/chtml/fonts/tex",
    "a11y/assistive-mml": "a11y/assistive-mml",
}

CARRIAGE_RETURN = b"\r"

THEME = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
BOOK_THEME = Path(sphinx_book_theme.__file__).parent / "theme/sphinx_book_theme/static"
ICONS = """\
@font-face {
  font-family: "Font Awesome 6 Free";
  font-weight: 900;
  src: url(data:font/woff;base64,FONT) format("woff");
}
:root { --fa-font-solid: normal 900 1em/1 "Font Awesome 6 Free"; }
.fa-solid, .fas { display: inline-block; font: var(--fa-font-solid); -webkit-font-smoothing: antialiased; }
.fa-lg { font-size: 1.25em; line-height: .05em; vertical-align: -.075em; }
"""


def write_mathjax(static: Path) -> None:
    """Write MathJax's script, as one file, and its fonts."""
    parts = [(MATHJAX / "startup.js").read_text(), f"MathJax.loader.preLoad(...{list(COMPONENTS)});"]
    parts += [(MATHJAX / f"{file}.js").read_text() for file in COMPONENTS.values()]
    folder = static / "mathjax"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mathjax.js").write_text("\n".join(parts))
    shutil.copytree(MATHJAX / FONTS, folder / FONTS, dirs_exist_ok=True)


def glyphs(sheet: str) -> dict[str, str]:
    """Return the character of each icon that a Font Awesome style sheet names."""
    rules = re.findall(r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\(\w+)"\}', sheet)
    return {name: chr(int(code, 16)) for names, code in rules for name in re.findall(r"\.fa-([\w-]+):", names)}


def trimmed_font(file: Path, characters: str) -> str:
    """Return the font in `file`, with no more than `characters`, as base64 of WOFF."""
    options = subset.Options(flavor="woff", layout_features=[], name_IDs=[])
    font = subset.load_font(file, options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(text=characters)
    subsetter.subset(font)
    trimmed = io.BytesIO()
    subset.save_font(font, trimmed, options)
    return base64.b64encode(trimmed.getvalue()).decode()


def write_icons(static: Path) -> None:
    """Write the style sheet of the icons that stand on a page or in the theme's own style sheets."""
    (fontawesome,) = (THEME / "vendor/fontawesome").iterdir()
    icons = glyphs((fontawesome / "css/all.min.css").read_text())
    pages = "".join(page.read_text() for page in static.parent.rglob("*.html"))
    used = {name: icons[name] for name in sorted(icons.keys() & set(re.findall(r"\bfa-([\w-]+)", pages)))}
    sheets = "".join(sheet.read_text() for theme in (THEME, BOOK_THEME) for sheet in theme.glob("styles/*theme.css"))
    in_sheets = re.findall("[\ue000-\uf8ff]", sheets) + [chr(int(c, 16)) for c in re.findall(r'"\\(f\w+)"', sheets)]
    font = trimmed_font(fontawesome / "webfonts/fa-solid-900.ttf", "".join([*used.values(), *in_sheets]))
    rules = (f'.fa-{name}::before {{ content: "\\{ord(icon):x}"; }}\n' for name, icon in used.items())
    (static / "icons.css").write_text(ICONS.replace("FONT", font) + "".join(rules))


def name_versions(site: Path) -> None:
    """Have every page ask for its style sheets and scripts by their present checksums, as Sphinx writes them."""

    @cache
    def checksum(file: Path) -> str:
        return f"{crc32(file.read_bytes().translate(None, CARRIAGE_RETURN)):08x}"

    def named(page: Path, link: re.Match[str]) -> str:
        return f"{link[1]}?v={checksum((page.parent / link[1]).resolve())}"

    for page in site.rglob("*.html"):
        text = page.read_text()
        now = re.sub(r'((?:\.\./)*_static/[^"?]+)\?v=\w{8}', partial(named, page), text)
        if now != text:
            page.write_text(now)


def renewed(app: Any, env: Any, *_: Any) -> list[str]:
    """Have the first page written if a style sheet or script has changed: Sphinx copies them only beside a page."""
    files = [file for folder in app.config.html_static_path for file in Path(app.srcdir, folder).rglob("*.*")]
    before, env.assets = getattr(env, "assets", None), {str(file): crc32(file.read_bytes()) for file in files}
    return [] if env.assets == before else [app.config.root_doc]


def finish(app: Any, exception: Exception | None) -> None:
    """Put the trimmed files beside the pages, and take away what no page uses."""
    if exception is None and app.builder.format == "html":
        static = Path(app.outdir) / "_static"
        write_mathjax(static)
        write_icons(static)
        name_versions(Path(app.outdir))
        shutil.rmtree(static / "vendor", ignore_errors=True)
        for template in static.glob("*webpack-macros.html"):
            template.unlink()


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("env-get-outdated", renewed)
    app.connect("build-finished", finish, priority=900)  # after the theme, which rewrites a style sheet
    return {"parallel_read_safe": True, "parallel_write_safe": True}
