"""One look for every picture of the book: matplotlib's settings, and SVG that follows the page's theme.

Text and axes are drawn in one color, the *ink*. On the page the ink becomes `currentColor`,
so that the same picture is dark on a light page and light on a dark one; the series colors
were chosen to stand out from both. Seven hues of like lightness cannot all be told apart by everybody: for some eyes
blue and violet, orange and olive, green and red, red and olive are nearly one. What such a pair shows needs a second
difference, the dashes of `DASHES` or a shape.
"""

import io
import math
import re
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.axis import Axis
from matplotlib.figure import Figure

INK = "#10141a"
COLORS = ["#2f7fd6", "#dd6b10", "#2a9d5c", "#d8434e", "#9266d9", "#8a7a1f", "#0f9aa8"]
DASHES = [None, None, None, "6 3", "6 3", "2 3", None]  # of the paths that an explorer draws, color by color

STYLE: Any = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11.5,
    "axes.labelsize": 11.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.prop_cycle": cycler(color=COLORS),
    "axes.facecolor": "none",
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "figure.figsize": (5.6, 3.4),
    "font.family": "sans-serif",
    "font.size": 11,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "patch.edgecolor": INK,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "mlmath",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
}


def use() -> None:
    """Give every figure drawn from now on the book's look; in a notebook, show figures as SVG."""
    matplotlib.rcParams.update(STYLE)
    if matplotlib.get_backend().endswith("inline"):
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", metadata={"Date": None})


def svg(figure: Figure) -> str:
    """Return `figure` as the text of an SVG element, the same for the same figure."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def powers_of_ten(axis: Axis) -> None:
    """Label a logarithmic axis 10⁻³, 10⁰, … in plain text, which any font of the page can show."""
    superscript = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    axis.set_major_formatter(lambda value, _: "10" + f"{math.log10(value):.0f}".translate(superscript))


def themed(svg: str, prefix: str) -> str:
    """Return `svg` ready to stand inside a page: ink and font are the page's, numbers short, ids its own.

    `prefix` keeps the ids of this picture apart from those of the page's other pictures.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>|<defs>\s*</defs>", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))

    def rewrite(tag: re.Match[str]) -> str:
        text = tag[0].replace(INK, "currentColor")
        text = re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.{1 if float(number[0]) > 1 else 2}f}", text)
        text = re.sub(r' id="first-frame[^"]*"', ' class="first-frame"', text)
        text = re.sub(r' id="([^"]+)"', lambda id: f' id="{prefix}-{id[1]}"' if id[1] in used else "", text)
        text = re.sub(r'(url\(|href=")#', rf"\1#{prefix}-", text)
        text = re.sub(r"font-family: [^;\"]*;? ?| transform=\"rotate\(-0 [^\"]*\"", "", text)
        return re.sub(r"\s+", " ", text)

    svg = re.sub(r"<[^>]+>", rewrite, svg)
    svg = re.sub(
        r'^<svg [^>]*viewBox="(0 0 ([0-9.]+) [^"]*)"[^>]*>',
        r'<svg viewBox="\1" style="--natural:\2px" stroke-linejoin="round">',  # letters of one size, however wide it is
        svg,
    )
    return re.sub(r">\s+<", "><", svg)
