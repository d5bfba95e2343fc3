"""A stack: an input shape and layers, the program's only notion of a network."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import BatchNorm2d
from convviz.core.explain import FloatArray, Position
from convviz.core.layers import (
    AXIS_NAMES,
    Axes,
    Conv2d,
    Drawn,
    Layer,
    MaxPool2d,
    Shape,
    cached_axis,
    check_position,
    floating,
    times,
)
from convviz.core.receptive_field import ReceptiveField, Region, cells_seen, receptive_fields
from convviz.core.window import Axis, ShapeError, integer

INPUT: Final = -1
"""The input, where the index of a layer is asked for."""


@dataclass(frozen=True)
class Problem:
    """The first layer that does not fit what comes before it, and why."""

    index: int
    message: str


@dataclass(frozen=True)
class LayerRow:
    """A layer's row in the table of a stack; a layer that is switched off has no parameters and no products.

    Attributes:
        output_shape: (C, H, W) or (N,).
        num_parameters: weights and biases, counted.
        multiply_adds: products of a weight and an input that a forward pass adds up.
        receptive_field: on the input; for a vector that of all units together.
        dense_parameters: what a dense layer from every input to every output cell would have; None without weights.

    """

    output_shape: Shape
    num_parameters: int
    multiply_adds: int
    receptive_field: ReceptiveField
    dense_parameters: int | None


@dataclass(frozen=True, init=False)
class Stack:
    """An input shape (C, H, W) and layers, some of which may be switched off: they pass their input on.

    Layers count from 0; `INPUT` (−1) stands for the input. A stack whose layers do not fit one another has a `problem`
    and works up to there: lists and totals end before that layer.

    Raises:
        ShapeError: the input shape is not three numbers of at least 1.
        IndexError: a layer is switched off that is not there.

    """

    input_shape: Shape
    layers: tuple[Layer, ...] = ()
    switched_off: frozenset[int] = frozenset()

    def __init__(
        self, input_shape: Sequence[int], layers: Iterable[Layer] = (), switched_off: Iterable[int] = ()
    ) -> None:
        if len(input_shape) != 3:
            raise ShapeError(f"The input is {times(input_shape)}; it must be channels × height × width.")
        names = ("channels", *AXIS_NAMES)
        sizes = tuple(integer(size, f"input {name}") for name, size in zip(names, input_shape, strict=True))
        object.__setattr__(self, "input_shape", sizes)
        object.__setattr__(self, "layers", tuple(layers))
        object.__setattr__(self, "switched_off", frozenset(switched_off))
        for index in self.switched_off:
            self._check_index(index)

    def _check_index(self, index: int, stop: int | None = None) -> None:
        stop = len(self.layers) if stop is None else stop
        if not 0 <= index < stop:
            raise IndexError(f"There is no layer {index} among {stop}.")

    # What comes out

    @cached_property
    def _fit(self) -> tuple[tuple[Shape, ...], tuple[Axes, ...], Problem | None]:
        """The shapes from the input on, each layer's window, and the problem at which they end."""
        shapes, windows = [self.input_shape], []
        for index, layer in enumerate(self.layers):
            shape = shapes[-1]
            try:
                if self.is_on(index):
                    if isinstance(layer, MaxPool2d) and layer.return_indices:
                        raise ShapeError("return_indices gives two results; a stack passes one on.")
                    windows.append(layer.axes(shape))
                    shapes.append(layer.output_shape(shape))
                else:
                    _, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
                    windows.append((cached_axis(height, 1), cached_axis(width, 1)))
                    shapes.append(shape)
            except ShapeError as error:
                return tuple(shapes), tuple(windows), Problem(index, str(error))
        return tuple(shapes), tuple(windows), None

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shape of the input, then of every layer's output: that of layer i is `shapes[i + 1]`."""
        return self._fit[0]

    @property
    def problem(self) -> Problem | None:
        """The first layer that does not fit, None if all do."""
        return self._fit[2]

    def is_on(self, index: int) -> bool:
        """Whether the layer is not switched off."""
        return index not in self.switched_off

    def forward_steps(self, x: npt.ArrayLike) -> Iterator[tuple[int, FloatArray]]:
        """Yield (index, output) layer by layer, so that work can stop in between; `ShapeError` if `x` does not fit."""
        array = floating(x)
        if array.shape != self.input_shape:
            raise ShapeError(f"The input is {times(array.shape)}; this stack takes {times(self.input_shape)}.")
        for index in range(len(self.shapes) - 1):
            if self.is_on(index):
                array = self.layers[index].forward(array)
            yield index, array

    def forward(self, x: npt.ArrayLike) -> list[FloatArray]:
        """Return every layer's output of `x`; `ShapeError` if it does not fit."""
        return [output for _, output in self.forward_steps(x)]

    # What it costs and how far it sees

    @cached_property
    def table(self) -> tuple[LayerRow, ...]:
        """One row for each layer."""
        rows = []
        for index, field in enumerate(self._receptive_fields):
            layer, before, after = self.layers[index], self.shapes[index], self.shapes[index + 1]
            if self.is_on(index):
                counts = layer.num_parameters, layer.multiply_adds(before)
                rows.append(LayerRow(after, *counts, field, layer.dense_parameters(before)))
            else:
                rows.append(LayerRow(after, 0, 0, field, None))
        return tuple(rows)

    @property
    def num_parameters(self) -> int:
        """Weights and biases of all layers that are on, counted."""
        return sum(row.num_parameters for row in self.table)

    @property
    def multiply_adds(self) -> int:
        """Products of a weight and an input that a forward pass adds up."""
        return sum(row.multiply_adds for row in self.table)

    @cached_property
    def _receptive_fields(self) -> list[ReceptiveField]:
        return receptive_fields(self._fit[1])

    @cached_property
    def _axes(self) -> tuple[tuple[Axis, ...], tuple[Axis, ...]]:
        """The vertical and the horizontal axis of every layer's window."""
        windows = self._fit[1]
        return tuple(rows for rows, _ in windows), tuple(cols for _, cols in windows)

    def receptive_field(self, layer_index: int) -> ReceptiveField:
        """Return size, jump, padding and start of a layer's fields on the input; `IndexError` without such a layer."""
        if layer_index == INPUT:
            return ReceptiveField()
        self._check_index(layer_index, len(self._receptive_fields))
        return self._receptive_fields[layer_index]

    def input_region(self, layer_index: int, position: Position, at: int = INPUT) -> Region:
        """Return what one unit sees of an earlier layer's output, or of the input.

        `position` is (i, j), or (n,) in a vector: a unit of `Flatten` sees what the cell sees that it was, one behind
        `Linear` all that its inputs see. A vector looked at is one cell, (0, 0). `IndexError` if there is no such unit.
        """
        self._check_index(layer_index, len(self.shapes) - 1)
        if at != INPUT:
            self._check_index(at, layer_index + 1)
        shape = self.shapes[layer_index + 1]
        check_position(position, shape if len(shape) == 1 else shape[1:])
        cell: Sequence[int] = position
        if len(position) == 1:
            layer_index, cell = self._cell_of_unit(layer_index, position[0], at)
        (rows, real_rows), (cols, real_cols) = (
            cells_seen(axes[at + 1 : layer_index + 1], coordinate)
            for axes, coordinate in zip(self._axes, cell, strict=True)
        )
        return Region(rows, cols, real_rows, real_cols)

    def _cell_of_unit(self, layer_index: int, unit: int, at: int) -> tuple[int, tuple[int, int]]:
        """Return the layer and the cell (i, j) that a unit of a vector was before it was flattened, if it was."""
        for index in range(layer_index, at, -1):
            layer = self.layers[index]
            if self.is_on(index) and isinstance(layer, Linear):
                break
            if self.is_on(index) and isinstance(layer, Flatten) and len(self.shapes[index]) == 3:
                _, i, j = np.unravel_index(unit, self.shapes[index])
                return index - 1, (int(i), int(j))
        return layer_index, (0, 0)

    # Edits: each returns a new stack

    def insert(self, index: int, layer: Layer) -> Stack:
        """Return the stack with a layer added before layer `index`, or at the end."""
        self._check_index(index, len(self.layers) + 1)
        return self._rearranged([*range(index), layer, *range(index, len(self.layers))])

    def remove(self, index: int) -> Stack:
        """Return the stack without a layer."""
        self._check_index(index)
        return self._rearranged([other for other in range(len(self.layers)) if other != index])

    def duplicate(self, index: int) -> Stack:
        """Return the stack with a layer once more behind itself."""
        self._check_index(index)
        return self._rearranged([*range(index + 1), *range(index, len(self.layers))])

    def move(self, index: int, new_index: int) -> Stack:
        """Return the stack with a layer moved to where it is layer `new_index`."""
        self._check_index(index)
        self._check_index(new_index)
        order: list[int | Layer] = [other for other in range(len(self.layers)) if other != index]
        order.insert(new_index, index)
        return self._rearranged(order)

    def replace(self, index: int, layer: Layer) -> Stack:
        """Return the stack with another layer in a layer's place, switched off if that was."""
        self._check_index(index)
        layers = (*self.layers[:index], layer, *self.layers[index + 1 :])
        return dataclasses.replace(self, layers=layers)

    def switch(self, index: int, on: bool) -> Stack:
        """Return the stack with a layer switched on or off."""
        self._check_index(index)
        return dataclasses.replace(
            self, switched_off=self.switched_off - {index} if on else self.switched_off | {index}
        )

    def with_input_shape(self, input_shape: Sequence[int]) -> Stack:
        """Return the stack for another input."""
        return Stack(input_shape, self.layers, self.switched_off)

    def _rearranged(self, order: Sequence[int | Layer]) -> Stack:
        """Return a stack of these layers: indices of present ones, which keep their switch, and new ones."""
        layers = [self.layers[item] if isinstance(item, int) else item for item in order]
        switched_off = [index for index, item in enumerate(order) if item in self.switched_off]
        return Stack(self.input_shape, layers, switched_off)

    def fitted(self, seed: int = 0) -> Stack:
        """Return the stack with every in_channels, in_features and num_features as the shape before the layer has it.

        Layers that fit keep their weights. A convolution keeps its kernels: slices for further channels repeat those it
        has, unless they are `Drawn`. Drawn weights and those of `Linear` are drawn anew, from `seed` + index; batch
        normalisation starts as it does in torch. groups become the greatest divisor that the channels allow. What does
        not fit for another reason stays as it is, and so does what follows it.
        """
        stack = self
        for index in range(len(self.layers)):
            if stack.problem is not None and stack.problem.index == index:
                fitting = _fitted(stack.layers[index], stack.shapes[index], Drawn(seed + index))
                stack = stack.replace(index, fitting)
        return stack


def _fitted(layer: Layer, input_shape: Shape, drawn: Drawn) -> Layer:
    match layer:
        case Conv2d() if len(input_shape) == 3 and layer.in_channels != input_shape[0]:
            return layer.regrouped(input_shape[0], math.gcd(layer.groups, input_shape[0]), drawn)
        case Linear() if len(input_shape) == 1:
            bias = None if layer.arrays["bias"] is None else drawn
            return layer.changed(in_features=input_shape[0], weight=drawn, bias=bias)
        case BatchNorm2d() if len(input_shape) == 3:
            return BatchNorm2d(input_shape[0], layer.eps)
        case _:
            return layer
