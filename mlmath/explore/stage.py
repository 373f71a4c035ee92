"""The stage of an explorer: what stands still, drawn once by matplotlib, and the maps from data to picture."""

from collections.abc import Callable
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mlmath import figures

Draw = Callable[[Axes], object]


@dataclass(frozen=True)
class Stage:
    """A drawn pair of axes: its SVG, and for each axis how data becomes a place in the picture."""

    svg: str
    x: dict[str, float | bool]
    y: dict[str, float | bool]


def stage(draw: Draw, *, first_frame: Draw | None = None, figsize: tuple[float, float] = (4.4, 3.6)) -> Stage:
    """Let `draw(axes)` paint what stands still and `first_frame(axes)` what will move.

    What moves is seen where no script runs: on paper, and before the page is live.
    """
    with matplotlib.rc_context({**figures.STYLE, "image.composite_image": False}):  # each actor stays by itself
        figure = Figure(figsize=figsize)
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        draw(axes)
        axes.autoscale(False)
        scenery = set(axes.get_children())
        if first_frame is not None:
            first_frame(axes)
        for k, actor in enumerate(artist for artist in axes.get_children() if artist not in scenery):
            actor.set_gid(f"first-frame-{k}")
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # everything has its place: no second look
        return Stage(figures.svg(figure), _axis(figure, axes, 0), _axis(figure, axes, 1))


def _axis(figure: Figure, axes: Axes, index: int) -> dict[str, float | bool]:
    """Return the affine map of one axis: picture = offset + scale · (data, or log₁₀ data)."""
    log = (axes.get_xscale(), axes.get_yscale())[index] == "log"
    low, high = (axes.get_xlim(), axes.get_ylim())[index]
    corners = np.full((2, 2), 1.0)
    corners[:, index] = low, high
    places = axes.transData.transform(corners)[:, index] * 72 / figure.dpi
    if index == 1:
        places = figure.get_size_inches()[1] * 72 - places
    start, end = np.log10([low, high]) if log else (low, high)
    scale = (places[1] - places[0]) / (end - start)
    return {"log": log, "low": low, "high": high, "offset": places[0] - scale * start, "scale": scale}
