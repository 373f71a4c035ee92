"""The explorers: what the reader plays with, alive in a notebook and on the rendered page.

Each is a function that takes the reader's own loss or data and returns an `Explorer`, an ipywidgets widget.
"""

from mlmath.explore.descent import bowl, descent, first_descent, rate_1d, sgd
from mlmath.explore.explorer import Explorer
from mlmath.explore.regression import conditioning, fit_a_line, polynomial

__all__ = [
    "Explorer",
    "bowl",
    "conditioning",
    "descent",
    "first_descent",
    "fit_a_line",
    "polynomial",
    "rate_1d",
    "sgd",
]
