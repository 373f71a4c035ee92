"""The colors of the book's pictures: which pairs of them not everybody can tell apart, and what stands in for them."""

import base64
import io
import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import imread

from mlmath import explore, figures
from mlmath.explore.explorer import FRONT
from tools.executed import Store

BOOK = Path(__file__).parents[1] / "book"
APART = 20  # CIE 1976 ΔE; what is nearer needs a second difference
# G. M. Machado and others, A physiologically-based model for simulation of color vision deficiency (2009): linear RGB,
# as seen without the cones for red (protanopia) or for green (deuteranopia).
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(color: str) -> np.ndarray:
    """sRGB "#rrggbb" as linear RGB."""
    c = np.array(list(bytes.fromhex(color[1:]))) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB, white at D65."""
    t = XYZ @ np.clip(rgb, 0, 1) / XYZ.sum(axis=1)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one: str, other: str, vision: str) -> float:
    """ΔE between two colors as they are seen."""
    return float(np.linalg.norm(lab(VISION[vision] @ linear(one)) - lab(VISION[vision] @ linear(other))))


def near() -> set[tuple[int, int]]:
    """The pairs of series colors that somebody cannot tell apart well."""
    return {
        (i, j)
        for i, j in combinations(range(len(figures.COLORS)), 2)
        for vision in VISION
        if distance(figures.COLORS[i], figures.COLORS[j], vision) < APART
    }


def test_lab():
    """Reference values of CIE L*a*b*, and no vision that changes white."""
    assert lab(linear("#ffffff")) == pytest.approx([100, 0, 0], abs=0.01)
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    for matrix in VISION.values():
        assert matrix.sum(axis=1) == pytest.approx(1, abs=1e-4)


def test_distances():
    """Everybody with three kinds of cones sees seven colors; who has two kinds needs dashes for these four pairs."""
    for one, other in combinations(figures.COLORS, 2):
        assert distance(one, other, "normal") > 35
    assert near() == {(0, 4), (1, 5), (2, 3), (3, 5)}


def test_contrast():
    """Colors stand out from white and from black paper, by 3 : 1 at least."""
    for color in figures.COLORS:
        luminance = XYZ[1] @ linear(color)
        assert 1.05 / (luminance + 0.05) > 3
        assert (luminance + 0.05) / 0.056 > 3


def test_dashes():
    """Colors that are near have different dashes, on the paths and on the switches beside them."""
    for i, j in near():
        assert figures.DASHES[i] != figures.DASHES[j]
    css = (FRONT / "explorer.css").read_text()
    for i, (color, dash) in enumerate(zip(figures.COLORS, figures.DASHES, strict=True)):
        assert f"--color-{i}: {color};" in css
        styled = re.findall(rf"switch[^{{]*color-{i}\b[^{{]*{{ border-top-style: (\w+)", css)
        assert styled == {None: [], "6 3": ["dashed"], "2 3": ["dotted"]}[dash]


@pytest.mark.parametrize("name", sorted({*explore.__all__} - {"Explorer"}))
def test_explorers(name):
    """No two paths of a picture differ by nothing but two colors that are near."""
    for panel in getattr(explore, name)().spec["panels"]:
        paths = [(mark["color"], mark.get("dash")) for _, mark in panel["marks"] if mark["kind"] == "path"]
        for (one, dash), (other, other_dash) in combinations(paths, 2):
            assert (min(one, other), max(one, other)) not in near() or dash != other_dash, panel["label"]


SVG, HREF = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
# Pictures in which the place says what the color says: in a Toeplitz matrix each diagonal is one number.
TOLD_BY_PLACE = {"fig-cnn-matrix"}


def outline(path: str) -> tuple:
    """The shape of a marker, whatever its size."""
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", path)]
    return re.sub(r"[^A-Za-z]", "", path), *(round(number / max(map(abs, numbers)), 1) + 0 for number in numbers)


def regions(png: bytes) -> set[str]:
    """The series colors that fill more than a hundredth of an image."""
    pixels = 255 * imread(io.BytesIO(png))[..., :3].reshape(-1, 3)
    rgb = {color: np.array(list(bytes.fromhex(color[1:]))) for color in figures.COLORS}
    return {color for color in rgb if np.mean(np.all(np.abs(pixels - rgb[color]) < 3, axis=1)) > 0.01}


def looks(artist: ElementTree.Element, markers: dict[str, tuple]) -> dict[str, set[tuple]]:
    """What one thing looks like that was drawn, its dashes and its markers, color by color."""
    found: dict[str, set[tuple]] = {}
    for element in artist.iter():
        style = dict(re.findall(r"([\w-]+): ([^;]+)", element.get("style", "")))
        fill, stroke = style.get("fill", "none"), style.get("stroke", "none")
        if element.tag == f"{SVG}text":
            found.setdefault(fill, set()).add(("text",))
        elif element.tag == f"{SVG}use":
            color, kind = (stroke, "hollow") if fill == "none" else (fill, "full")
            found.setdefault(color, set()).add((kind, *markers[element.get(HREF)[1:]]))
        elif element.tag == f"{SVG}path" and not element.get("id"):
            dashes = [float(length) for length in re.findall(r"[\d.]+", style.get("stroke-dasharray", ""))]
            look = ("area",) if stroke == "none" else ("line", *(round(length / dashes[0], 1) for length in dashes))
            found.setdefault(fill if stroke == "none" else stroke, set()).add(look)
    return found


def drawn(axes: ElementTree.Element, markers: dict[str, tuple]) -> set[tuple[str, frozenset]]:
    """What stands in one set of axes: each color, but no gray, with what else tells it from others."""
    pngs = [base64.b64decode(image.get(HREF).split(",")[1]) for image in axes.iter(f"{SVG}image")]
    marks = {(color, frozenset({("region",)})) for png in pngs for color in regions(png)}
    for artist in axes.iter(f"{SVG}g"):
        if re.search(r"_\d+$", artist.get("id", "")) and not any(
            inner.get("id") for inner in artist.findall(f".//{SVG}g")
        ):
            marks |= {(color, frozenset(look)) for color, look in looks(artist, markers).items()}
    gray = {figures.INK, "none"}
    return {mark for mark in marks if mark[0] not in gray and len(set(re.findall("[^#]{2}", mark[0]))) > 1}


def alike(svg: str) -> list[tuple[str, str]]:
    """The pairs of colors in a picture that somebody takes for each other: nothing else differs, neither has a label.

    A label is a text in the color itself, at the curve; a legend shows dashes and markers, and else the color again.
    """
    root = ElementTree.fromstring(re.sub("<!DOCTYPE[^>]*>", "", svg))
    markers = {path.get("id"): outline(path.get("d")) for path in root.iter(f"{SVG}path") if path.get("id")}
    found = []
    for axes in root.iter(f"{SVG}g"):
        if re.fullmatch(r"axes_\d+", axes.get("id", "")):
            marks = drawn(axes, markers)
            labeled = {color for color, look in marks if ("text",) in look}
            for (one, look), (other, other_look) in combinations(sorted(marks, key=str), 2):
                if one != other and look == other_look and not {one, other} & labeled:
                    found += [(one, other)] * (min(distance(one, other, vision) for vision in VISION) < APART)
    return found


def test_alike():
    """What is drawn in a loop is found; dashes, markers and labels at the curves help, and a legend does not."""
    near = green, red = figures.COLORS[2:4]

    def each(*styles, label=None, **options):
        return lambda axes: [
            axes.plot([0, k], style, color=color, label=label, **options)
            for k, (color, style) in enumerate(zip(near, styles, strict=True))
        ]

    cases = {
        "lines": (each("-", "-", label="line"), 1),
        "dashes": (each("-", "--", label="line"), 0),
        "points": (each("o", "o"), 1),
        "markers": (each("^", "v"), 0),
        "hollow points": (each("o", "o", markerfacecolor="none"), 1),
        "points on dashes": (each("o-", "o--"), 0),
        "scatter": (lambda axes: axes.scatter([0, 1], [0, 1], c=near), 1),
        "bars": (lambda axes: axes.bar([0, 1], [1, 2], color=near), 1),
        "labels": (lambda axes: [axes.plot([0, 1], color=c) and axes.text(0, 0, "a", color=c) for c in near], 0),
        "others": (lambda axes: [axes.plot([0, 1], color=figures.COLORS[k]) for k in (0, 1, 2, 6)], 0),
        "regions": (lambda axes: axes.imshow([[0, 1]], cmap=ListedColormap([green, red]), alpha=0.85), 1),
        "values": (lambda axes: axes.imshow(np.arange(100.0).reshape(10, 10), cmap="viridis"), 0),
    }
    with matplotlib.rc_context(figures.STYLE):
        for name, (draw, found) in cases.items():
            figure = Figure()
            axes = figure.subplots()
            draw(axes)
            if axes.get_legend_handles_labels()[1]:
                axes.legend()
            assert len(alike(figures.svg(figure))) == found, name


@pytest.fixture(scope="module")
def pictures() -> list[tuple[str, str]]:
    """The pictures of all notebooks as they were drawn, each with the name of its notebook and of the picture."""
    paths, store = sorted(BOOK.glob("*.ipynb")), Store()
    store.run(paths)
    return [
        (f"{path.stem} {cell.metadata.get('mystnb', {}).get('figure', {}).get('name')}", output.data["image/svg+xml"])
        for path in paths
        for cell in store.executed(path).cells
        for output in cell.get("outputs", [])
        if "image/svg+xml" in output.get("data", {})
    ]


def test_pictures(pictures):
    """No two colors that are near stand for two things in one set of axes, if nothing else tells these apart."""
    assert len(pictures) > 40
    found = {name: pairs for name, svg in pictures if (pairs := alike(svg))}
    assert {name for name in found if name.split()[1] in TOLD_BY_PLACE} == {
        f"convolutional-networks {name}" for name in TOLD_BY_PLACE
    }
    assert {name: pairs for name, pairs in found.items() if name.split()[1] not in TOLD_BY_PLACE} == {}
