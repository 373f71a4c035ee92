"""What every explorer is made of: named controls, panels with marks that move, read-outs, and a program.

A control is a trait of the widget, so that `explorer.rate = 0.1` moves the slider and moving
the slider changes `explorer.rate`. Panels and marks are declared here as data; the *loop*
(one short JavaScript file per kind of explorer) turns the controls' values into the marks'
data, calling the *program*: functions that were derived in SymPy and printed as JavaScript.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import numpy as np
import traitlets

from mlmath import arguments, figures
from mlmath.explore.stage import Stage

FRONT = Path(__file__).parent / "front"


def script() -> str:
    """Return the one script that all explorers share: mathematics, explorer and loops."""
    files = [FRONT / "mathematics.js", FRONT / "explorer.js", *sorted(FRONT.glob("loops/*.js"))]
    return "\n".join(file.read_text() for file in files)


class Slider(traitlets.TraitType[float, float]):
    """A number between `low` and `high`, moved by a slider; `log` spaces the slider by powers of ten.

    `narrow` makes room for many beside each other.
    """

    def __init__(
        self,
        value: float,
        low: float,
        high: float,
        *,
        label: str,
        step: float = 0.0,
        log: bool = False,
        narrow: bool = False,
    ):
        self.low, self.high = arguments.real("low", low), arguments.real("high", high)
        self.whole = step >= 1
        self.front = {"kind": "slider", "label": label, "low": low, "high": high, "step": step, "log": log}
        if narrow:
            self.front["narrow"] = True
        super().__init__(value)

    def validate(self, obj: Any, value: Any) -> float:
        """Return `value` as a float, or an int where the slider's step is whole."""
        number = arguments.real(self.name or "value", value)
        if not self.low <= number <= self.high:
            raise ValueError(f"{self.name} must be between {self.low:g} and {self.high:g}, but it is {value!r}")
        return int(number) if self.whole and number.is_integer() else number


class Number(traitlets.TraitType[str | None, Any]):
    """A number as the reader types it, 7/6 say: its text, which the loop reads; None until then."""

    allow_none = True

    def __init__(self, *, label: str):
        self.front = {"kind": "number", "label": label}
        super().__init__(None)

    def validate(self, obj: Any, value: Any) -> str | None:
        """Return `value` as text, or None."""
        return value if value is None or isinstance(value, str) else f"{arguments.real(self.name or 'value', value)!r}"


class Choice(traitlets.TraitType[str, str]):
    """One of several options, chosen from a list; `along` says which other controls the reader's choice of one sets."""

    def __init__(self, value: str, options: list[str], *, label: str, along: dict[str, dict[str, Any]] | None = None):
        self.options = list(options)
        self.front = {"kind": "choice", "label": label, "options": self.options, "along": along or {}}
        super().__init__(value)

    def validate(self, obj: Any, value: Any) -> str:
        """Return `value` if it is one of the options."""
        return arguments.one_of(self.name or "value", value, self.options)


class Switch(traitlets.TraitType[bool, bool]):
    """Something that is on or off; `color` is that of the series it shows."""

    def __init__(self, value: bool, *, label: str, color: int | None = None):
        self.front = {"kind": "switch", "label": label, "color": color}
        super().__init__(value)

    def validate(self, obj: Any, value: Any) -> bool:
        """Return `value` if it is True or False."""
        if not isinstance(value, bool):
            raise TypeError(f"{self.name} must be True or False, but it is {value!r}")
        return value


class Point(traitlets.TraitType[list[float], Any]):
    """A point (x, y) of a picture, moved by a handle."""

    front: ClassVar = {"kind": "point"}

    def validate(self, obj: Any, value: Any) -> list[float]:
        """Return `value` as a list of two floats."""
        return arguments.point(self.name or "value", value)


class Points(traitlets.TraitType[list[list[float]], Any]):
    """Points [(x, y), …] of a picture, each moved by a handle of its own."""

    front: ClassVar = {"kind": "points"}

    def validate(self, obj: Any, value: Any) -> list[list[float]]:
        """Return `value` as a list of pairs of floats."""
        points = arguments.real_array(self.name or "value", value, ndim=2)
        if points.shape[1] != 2:
            raise ValueError(f"{self.name} must have shape (n, 2), but its shape is {points.shape}")
        return points.tolist()


class Drawing(traitlets.TraitType[list[list[int]], Any]):
    """A drawing in dots, rows of 0 (paper) and 1 (ink) from the top, made with a pen: see `handle`."""

    front: ClassVar = {"kind": "drawing"}

    def validate(self, obj: Any, value: Any) -> list[list[int]]:
        """Return `value` as rows of ints, as many as there were before."""
        name, shape = self.name or "value", np.shape(self.default_value)
        dots = arguments.real_array(name, value)
        if dots.shape != shape or not np.isin(dots, (0, 1)).all():
            raise ValueError(f"{name} must be {shape[0]} rows of {shape[1]} dots, 0 or 1, but it is {value!r:.40}")
        return dots.astype(int).tolist()


@dataclass(frozen=True)
class Button:
    """A button that runs the loop's action of its own name."""

    label: str

    @property
    def front(self) -> dict[str, Any]:
        """Return what the page needs to know of it."""
        return {"kind": "button", "label": self.label}


@dataclass(frozen=True)
class Play:
    """A button that moves the slider `target` from its lowest to its highest value in `seconds`.

    Without a target it runs the loop's action of its own name in every frame, until that returns false.
    """

    target: str | None = None
    seconds: float = 6.0

    @property
    def front(self) -> dict[str, Any]:
        """Return what the page needs to know of it."""
        return {"kind": "play", "label": "Play", "target": self.target, "seconds": self.seconds}


Control = Slider | Number | Choice | Switch | Point | Points | Drawing | Button | Play


def mark(kind: str, color: int | None = None, *, other: int = 1, crisp: bool = False, **style: Any) -> dict[str, Any]:
    """Declare something that moves, by what its data are; drawn in a series color, 7 for ink, 8 for paper.

    "path" [[x, y], …], "points" [[x, y], …], "segments" [[x₀, y₀, x₁, y₁], …], "squares" [[x, y from, y to, ±1], …],
    "texts" [[x, y, text], …] and "field" {columns, rows, values, box?}, a heat map behind the axes: `values` in
    [-1, 1] row by row from the top, from `color` at -1 through nothing at 0 to the color `other` at 1; it fills the
    axes, or `box` = [x₀, y₀, x₁, y₁], and shows its cells if it is `crisp`. `style` may hold `width` (of a line, a
    point, a letter), `dash` and `opacity`.
    """
    arguments.one_of("kind", kind, ["path", "points", "segments", "squares", "texts", "field"])
    for key in style:
        arguments.one_of("style", key, ["width", "dash", "opacity"])
    color = (7 if kind == "texts" else 0) if color is None else color
    if kind == "field":
        colors = [list(bytes.fromhex(figures.COLORS[c][1:])) for c in (color, other)]
        return {"kind": kind, "colors": colors, "look": "crisp" if crisp else "smooth"}
    return {"kind": kind, "color": color, **style}


def handle(*moves: str, label: str, color: int = 0, draws: str | None = None) -> dict[str, Any]:
    """Declare a handle that the reader drags, or moves by the arrow keys.

    `moves` names the control it moves: a `Point`, `Points`, one slider (by the handle's x),
    or two sliders (by its x and y). With `draws` it is a pen, which comes down wherever the axes are pressed, and
    each of its moves runs the loop's action of that name.
    """
    return {"kind": "handle", "color": color, "moves": list(moves), "label": label, "draws": draws}


@dataclass(frozen=True)
class Panel:
    """One picture: its stage (or one for each option of the choice `switch`) and the marks that move over it."""

    label: str
    stages: list[Stage]
    marks: dict[str, dict[str, Any]] = field(default_factory=dict)
    switch: str | None = None


class Explorer(anywidget.AnyWidget):
    """Controls, pictures and read-outs that a reader plays with, in a notebook and on the rendered page.

    `name` is the explorer's name on the page; `loop` names the JavaScript loop that moves it, `program` holds
    the JavaScript functions that loop calls and `data` the constants. Read-outs are `{name: label}`.
    """

    _esm = script() + "\nexport default { render };\n"
    _css = FRONT / "explorer.css"
    spec = traitlets.Dict().tag(sync=True)
    stages: traitlets.List = traitlets.List().tag(sync=True)
    program = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        name: str,
        *,
        caption: str,
        controls: Mapping[str, Control],
        panels: list[Panel],
        readouts: dict[str, str],
        program: Sequence[str] = (),
        data: dict[str, Any] | None = None,
        loop: str | None = None,
    ):
        traits = {key: control.tag(sync=True) for key, control in controls.items() if hasattr(control, "tag")}
        for key, trait in traits.items():  # a trait learns its name too late to use it in an error about its default
            trait.name = key
            trait.validate(None, trait.default_value)
        self.add_traits(**traits)
        # Where order matters there are lists: a saved notebook sorts the keys of its dictionaries.
        spec = {
            "name": name,
            "loop": loop or name,
            "caption": caption,
            "controls": [{"name": key, **control.front} for key, control in controls.items()],
            "panels": [
                {
                    "label": panel.label,
                    "switch": panel.switch,
                    "axes": [{"x": stage.x, "y": stage.y} for stage in panel.stages],
                    "marks": list(panel.marks.items()),
                }
                for panel in panels
            ],
            "readouts": list(readouts.items()),
            "data": data or {},
        }
        # matplotlib names what a picture refers to by its content, so that explorers may share these ids.
        stages = [[figures.themed(stage.svg, "stage") for stage in panel.stages] for panel in panels]
        super().__init__(spec=spec, stages=stages, program="\n".join(program))

    def __repr__(self) -> str:
        values = (f"{c['name']}={getattr(self, c['name'])!r}" for c in self.spec["controls"] if c["kind"] in _SHORT)
        return f"<{self.spec['name']}: {', '.join(values)}>"


_SHORT = {"slider", "number", "choice", "switch", "point"}
