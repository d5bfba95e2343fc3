"""How often a window reads each input cell."""

import numpy as np

from convviz.core.layers import Axes
from convviz.core.window import Axis, IntArray


def pixel_use(window: Axes) -> IntArray:
    """Return how often all positions of a window together read each input cell, (H, W).

    Reflected, replicated and circular padding counts for the cell that it repeats; other padding is no cell.
    """
    rows, cols = map(_axis_use, window)
    use: IntArray = np.multiply.outer(rows, cols)
    return use


def _axis_use(axis: Axis) -> IntArray:
    return np.bincount(axis.sources[axis.sources >= 0], minlength=axis.size)
