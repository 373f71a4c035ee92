"""The colors of the book's pictures: which pairs of them not everybody can tell apart, and what stands in for them."""

import json
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from mlmath import explore, figures
from mlmath.explore.explorer import FRONT

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


def test_notebooks():
    """In a cell's picture, lines with a label of their own differ by more than two colors that are near."""
    for path in sorted(BOOK.glob("*.ipynb")):
        for cell in json.loads(path.read_text())["cells"]:
            lines = [line for line in cell["source"] if cell["cell_type"] == "code" and "label=" in line]
            drawn = [
                (int(color[1]), re.findall(r'"[-:.ox^+]+"|ls=[^,)]+|linestyle=[^,)]+', line))
                for line in lines
                if (color := re.search(r"color=figures\.COLORS\[(\d)\]", line))
            ]
            for (one, style), (other, other_style) in combinations(drawn, 2):
                assert (min(one, other), max(one, other)) not in near() or style != other_style, (path.name, lines)
