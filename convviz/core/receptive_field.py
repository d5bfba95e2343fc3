"""How far a unit sees, layer by layer and on each axis.

After Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019, with the
kernel size k of every formula replaced by the span dilation · (k − 1) + 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from convviz.core.layers import Axes
from convviz.core.window import Axis


@dataclass(frozen=True)
class AxisField:
    """The receptive fields of one layer's units on one axis of the input; by default those of the input itself.

    Attributes:
        size: input cells that one unit sees.
        jump: input cells from one unit's field to the next one's, the product of all strides.
        padding: input cells by which the first unit's field starts before the input.

    """

    size: int = 1
    jump: int = 1
    padding: int = 0

    @property
    def start(self) -> float:
        """The middle of the first unit's field; the first input cell reaches from 0 to 1, its middle is 0.5."""
        return self.size / 2 - self.padding

    def through(self, axis: Axis) -> AxisField:
        """Return the field of the units behind a window that moves over these."""
        return AxisField(
            self.size + (axis.span - 1) * self.jump, self.jump * axis.stride, self.padding + axis.pad_before * self.jump
        )


class ReceptiveField(NamedTuple):
    """The receptive fields of one layer's units on the input; by default those of the input itself."""

    rows: AxisField = AxisField()
    cols: AxisField = AxisField()

    def through(self, window: Axes) -> ReceptiveField:
        """Return the fields of the units behind a window that moves over these."""
        return ReceptiveField(self.rows.through(window[0]), self.cols.through(window[1]))


class Region(NamedTuple):
    """What one unit sees of an earlier layer or of the input: rows × columns.

    `rows` and `cols` count from the first real cell and may reach into the padding on both sides, as the formulas
    have it. `real_rows` and `real_cols` are the least ranges that hold every real cell it depends on: padding of any
    layer in between, and cells that a stride leaves out at the end, are left out; cells that reflected, replicated
    or circular padding repeats are included. They are empty for a unit that sees padding only.
    """

    rows: range
    cols: range
    real_rows: range
    real_cols: range


def receptive_fields(windows: Sequence[Axes]) -> list[ReceptiveField]:
    """Return the receptive fields on the input of the units behind each of these windows, the first one first."""
    fields = accumulate(windows, ReceptiveField.through, initial=ReceptiveField())
    return list(fields)[1:]


def cells_seen(axes: Sequence[Axis], position: int) -> tuple[range, range]:
    """Return what the unit at `position` behind these windows sees of the first one's input: all of it, and the real.

    See `Region`. `axes` are one axis of each window, the first one first; without any the unit sees itself.
    """
    seen = range(position, position + 1), range(position, position + 1)
    for axis in reversed(axes):
        seen = seen_through(axis, *seen)
    return seen


def seen_through(axis: Axis, cells: range, real_cells: range) -> tuple[range, range]:
    """Return what these cells behind a window see of its input: all of it, and the real; see `Region`.

    Of `cells` all are looked through, of `real_cells`, which may be empty, those that exist.
    """
    stride, before, reach = axis.stride, axis.pad_before, axis.span - 1 - axis.pad_before
    seen = range(cells[0] * stride - before, cells[-1] * stride + reach + 1)
    if not real_cells:
        return seen, real_cells
    first, last = _real_ends(axis, real_cells[0] * stride - before, real_cells[-1] * stride + reach)
    return seen, range(first, last + 1)


def _real_ends(axis: Axis, first: int, last: int) -> tuple[int, int]:
    """Return the first and the last real cell read between two virtual ones; the first is greater if there is none."""
    if axis.padding_mode == "zeros" or (first >= 0 and last < axis.size):
        return max(first, 0), min(last, axis.size - 1)
    sources = axis.source_of(np.arange(first, last + 1))
    return int(sources.min()), int(sources.max())
