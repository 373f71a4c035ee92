"""The explorers: what the reader plays with, alive in a notebook and on the rendered page.

Each is a function that takes the reader's own loss or data and returns an `Explorer`, an ipywidgets widget.
"""

from mlmath.explore.convolution import convolution
from mlmath.explore.descent import bowl, descent, first_descent, rate_1d, sgd
from mlmath.explore.drawing import draw_a_digit
from mlmath.explore.explorer import Explorer
from mlmath.explore.logistic import boundary, newton_vs_descent, sigmoid, threshold
from mlmath.explore.network import activation, backprop, bumps
from mlmath.explore.playground import depth, playground
from mlmath.explore.regression import conditioning, fit_a_line, polynomial

__all__ = [
    "Explorer",
    "activation",
    "backprop",
    "boundary",
    "bowl",
    "bumps",
    "conditioning",
    "convolution",
    "depth",
    "descent",
    "draw_a_digit",
    "first_descent",
    "fit_a_line",
    "newton_vs_descent",
    "playground",
    "polynomial",
    "rate_1d",
    "sgd",
    "sigmoid",
    "threshold",
]
