"""The page side: write explorers and figures into a built book, alive with no kernel.

`PageRenderer` is registered with MyST-NB (entry point `myst_nb.mime_renderers`): it turns an explorer's
saved state into `<figure class="explorer">` with its first frame as SVG and the rest as JSON, and puts other SVG
figures into the page itself, so that their ink follows the theme. As a Sphinx extension this module
adds the one script and style sheet that all explorers share, to the pages that hold one.
"""

import json
from html import escape
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes

from mlmath.explore.explorer import FRONT, script
from mlmath.figures import themed

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
SVG = "image/svg+xml"
STILL = "This is the first frame of a picture that comes alive where JavaScript runs."


class PageRenderer:
    """Write explorers and SVG figures into the page (a MyST-NB MIME renderer)."""

    mime_priority_overrides: ClassVar = [("html", VIEW, 1), ("html", SVG, 2)]

    @staticmethod
    def handle_mime(renderer: Any, data: Any, inline: bool) -> list[nodes.Element] | None:
        """Return the page's node for an explorer or an SVG figure, None for anything else."""
        prefix = f"p{data.cell_index}-{data.output_index}"
        if data.mime_type == SVG:
            option = renderer.renderer.get_cell_level_config
            alt = (option("render_image_options", data.cell_metadata, data.line) or {}).get("alt", "")
            html = f'<div class="picture" role="img" aria-label="{escape(alt)}">{themed(data.content, prefix)}</div>'
            return [nodes.raw(text=html, format="html")]
        if data.mime_type == VIEW:
            widgets = renderer.renderer.nb_client.nb_metadata["widgets"][STATE]["state"]
            state = widgets[data.content["model_id"]]["state"]
            if "spec" in state and "stages" in state:
                return [nodes.raw(text=figure(state, prefix), format="html")]
        return None


def figure(state: dict[str, Any], prefix: str) -> str:
    """Return an explorer's saved `state` as HTML: its first frame, and the rest as JSON for the script."""
    spec, numbers = state["spec"], count()
    panels = "".join(
        f'<div class="panel" role="group" aria-label="{escape(panel["label"])}">'
        + "".join(themed(svg, f"{prefix}-{next(numbers)}") for svg in stages)
        + "</div>"
        for panel, stages in zip(spec["panels"], state["stages"], strict=True)
    )
    values = {control["name"]: state[control["name"]] for control in spec["controls"] if control["name"] in state}
    saved = json.dumps({"spec": spec, "program": state["program"], **values}, ensure_ascii=False, separators=(",", ":"))
    saved = saved.replace("</", "<\\/")
    return (
        f'<figure class="explorer" data-explorer="{escape(spec["name"])}"><div class="panels">{panels}</div>'
        f"<figcaption>{escape(spec['caption'])}</figcaption><p class='still'>{STILL}</p>"
        f'<script type="application/json">{saved}</script></figure>'
    )


def write_assets(app: Any, config: Any) -> None:
    """Write the shared script and style sheet where Sphinx picks up static files."""
    folder = Path(app.doctreedir) / "explorers"
    folder.mkdir(parents=True, exist_ok=True)
    host = (FRONT / "host.js").read_text()
    (folder / "explorers.js").write_text(f"(() => {{\n{script()}\n{host}\n}})();\n")
    (folder / "explorers.css").write_text((FRONT / "explorer.css").read_text())
    config.html_static_path.append(str(folder))


def add_assets(app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Add the style, and to a page with explorers the script; leave out MyST-NB's copy of all widgets' state."""
    if 'class="explorer"' in context.get("body", ""):
        app.add_js_file("explorers.js", loading_method="defer")
    app.add_css_file("explorers.css")
    scripts = context["script_files"]
    scripts[:] = [file for file in scripts if getattr(file, "attributes", {}).get("type") != STATE]


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("config-inited", write_assets)
    app.connect("html-page-context", add_assets, priority=900)  # after MyST-NB
    return {"parallel_read_safe": True, "parallel_write_safe": True}
