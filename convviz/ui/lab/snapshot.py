"""A state with everything computed from it, ready to be drawn. No Qt in here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convviz.core import display
from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import Dropout, ReLU
from convviz.core.explain import FloatArray, Position
from convviz.core.layers import Conv2d, GlobalAvgPool2d, GlobalMaxPool2d, Layer
from convviz.core.window import Axis
from convviz.ui.lab.compute import Outputs, is_complete
from convviz.ui.lab.limits import is_pooling
from convviz.ui.lab.state import LabState

Cell = tuple[int, int]
Cells = tuple[tuple[int, ...], tuple[int, ...]]
"""Rows and columns of a window."""


@dataclass(frozen=True, eq=False)
class Step:
    """The current layer with its input and its output. A vector is one map, its units in rows in reading order.

    Attributes:
        layer: the layer; one that is switched off passes its input on, as `Dropout` does.
        x: what it reads, (C, H, W) or (N,).
        y: its output.
        reads_network_input: whether `x` is the stack's input, which can be edited.
        is_grey: `x` is shown as brightness.

    """

    layer: Layer
    x: FloatArray
    y: FloatArray
    reads_network_input: bool
    is_grey: bool

    @cached_property
    def axes(self) -> tuple[Axis, Axis]:
        """The layer's window on the rows and on the columns of its input."""
        return self.layer.axes(self.x.shape)

    @property
    def rows(self) -> Axis:
        """The window on the rows."""
        return self.axes[0]

    @property
    def cols(self) -> Axis:
        """The window on the columns."""
        return self.axes[1]

    @cached_property
    def input(self) -> FloatArray:
        """The input as maps (C, H, W)."""
        return display.as_maps(self.x)

    @cached_property
    def padded(self) -> FloatArray:
        """The input as the window reads it: (C, H, W) with its padding."""
        return display.as_maps(np.asarray(self.layer.padded(self.x)))

    @cached_property
    def output(self) -> FloatArray:
        """The output as maps (C, H, W)."""
        return display.as_maps(self.y)

    @property
    def input_size(self) -> Cell:
        """Rows and columns of the input's maps."""
        return int(self.input.shape[1]), int(self.input.shape[2])

    @property
    def output_size(self) -> Cell:
        """Rows and columns of the output's maps."""
        return int(self.output.shape[1]), int(self.output.shape[2])

    @property
    def num_positions(self) -> int:
        """Positions of the window: cells of a map, or units of a vector."""
        return int(self.y.shape[0]) if self.y.ndim == 1 else self.output_size[0] * self.output_size[1]

    @property
    def keeps_channels(self) -> bool:
        """Whether every output channel is made from the input channel of the same number alone."""
        return not isinstance(self.layer, (Conv2d, Linear, Flatten))

    @property
    def shows_window(self) -> bool:
        """Whether the numbers in the window are shown where a layer with weights has its kernel."""
        return not isinstance(self.layer, (Conv2d, Linear))

    @property
    def keeps_scale(self) -> bool:
        """Whether output and input share a colour scale: the output's numbers are among, or between, the input's."""
        kinds = (ReLU, Dropout, Flatten, GlobalMaxPool2d, GlobalAvgPool2d)
        return is_pooling(self.layer) or isinstance(self.layer, kinds)

    @cached_property
    def input_level(self) -> float:
        """|value| of the input's strongest colour."""
        return display.signed_levels(self.x)

    @cached_property
    def input_is_signed(self) -> bool:
        """Whether the input holds negative numbers."""
        return display.is_signed(self.x)

    @cached_property
    def output_level(self) -> float:
        """|value| of the output's strongest colour."""
        return self.input_level if self.keeps_scale else display.signed_levels(self.y)

    @cached_property
    def output_is_signed(self) -> bool:
        """Whether the output's colour bar reaches below zero."""
        return self.input_is_signed if self.keeps_scale else display.is_signed(self.y)

    @cached_property
    def kernel_level(self) -> float:
        """|value| of the weights' strongest colour."""
        return display.signed_levels(self.layer.weight) if isinstance(self.layer, (Conv2d, Linear)) else 1.0

    @cached_property
    def kernel_is_signed(self) -> bool:
        """Whether there are negative weights."""
        return isinstance(self.layer, (Conv2d, Linear)) and display.is_signed(self.layer.weight)

    def place(self, cell: Cell, out_channel: int) -> Position:
        """Return the output position, (c, i, j) or (n,), that a cell of the output's map shows."""
        return (cell[0] * self.output_size[1] + cell[1],) if self.y.ndim == 1 else (out_channel, *cell)

    def channels_read(self, out_channel: int) -> range:
        """Return the input channels, as shown, that an output channel reads."""
        if isinstance(self.layer, Conv2d):
            count = self.layer.in_channels // self.layer.groups
            first = out_channel // (self.layer.out_channels // self.layer.groups) * count
            return range(first, first + count)
        if self.keeps_channels and self.y.ndim == 3:
            return range(out_channel, out_channel + 1)
        return range(self.input.shape[0])

    def taps(self, cell: Cell) -> Cells:
        """Return the rows and columns of the input's map that an output cell's window covers, padding included."""
        (height, width), layer = self.input_size, self.layer
        if isinstance(layer, Linear):
            return tuple(range(height)), tuple(range(width))
        if isinstance(layer, Flatten):
            unit = min(self.place(cell, 0)[0], self.x.size - 1)
            _, row, col = np.unravel_index(unit, self.input.shape)
            return (int(row),), (int(col),)
        if self.y.ndim == 1:
            return (cell[0],), (cell[1],)
        return tuple(
            tuple(tap for tap in axis.taps_at(position).tolist() if tap <= size + axis.pad_after - 1)
            for axis, position, size in zip(self.axes, cell, (height, width), strict=True)
        )  # type: ignore[return-value]  # a tuple of two

    def real_taps(self, cell: Cell) -> Cells | None:
        """Return the real input rows and columns that an output cell reads, None where all is padding."""
        rows, cols = self.taps(cell)
        if self.y.ndim == 3:
            sources = [
                np.unique(axis.source_of(np.asarray(taps, dtype=np.intp)))
                for axis, taps in zip(self.axes, (rows, cols), strict=True)
            ]
            rows, cols = (tuple(found[found >= 0].tolist()) for found in sources)
        return (rows, cols) if rows and cols else None

    def readers(self, cell: Cell, channel: int = 0) -> Cells:
        """Return the output rows and columns whose windows read a cell of an input channel."""
        if isinstance(self.layer, Linear):
            height, width = self.output_size
            return tuple(range(height)), tuple(range(width))
        if self.y.ndim == 1:
            height, width = self.input_size
            unit = (channel * height + cell[0]) * width + cell[1]
            row, col = divmod(unit, self.output_size[1])
            return (row,), (col,)
        rows, cols = self.rows.readers(cell[0]), self.cols.readers(cell[1])
        return tuple(rows.tolist()), tuple(cols.tolist())


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A state and the outputs of its layers, as many as have been computed."""

    state: LabState
    outputs: Outputs

    @property
    def maps(self) -> tuple[FloatArray, ...]:
        """The input, then every output there is."""
        return (self.state.input, *self.outputs)

    @property
    def is_complete(self) -> bool:
        """Whether every layer that fits has its output."""
        return is_complete(self.state, self.outputs)

    @cached_property
    def step(self) -> Step | None:
        """The current layer at work; None where it does not fit, or its output is not there yet."""
        state, at = self.state, self.state.current
        if at >= len(self.outputs):
            return None
        x = self.maps[at]
        is_grey = at == 0 and state.source.is_brightness and not display.is_signed(state.input)
        layer = state.layer if state.stack.is_on(at) else Dropout()
        return Step(layer, x, self.outputs[at], at == 0, is_grey)
