"""From feature maps to a vector, and dense layers on it; names as in `torch.nn`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from convviz.core.elementwise import Dropout
from convviz.core.explain import ConvExplanation, FloatArray, PointwiseExplanation, Position, dot_product
from convviz.core.layers import (
    Axes,
    Drawn,
    Shape,
    Weighted,
    WholeInput,
    assign,
    check_position,
    floating,
    one_cell_windows,
    times,
)
from convviz.core.window import ShapeError, integer


@dataclass(frozen=True)
class Flatten(WholeInput):
    """All cells in reading order, channel by channel, as a vector (C · H · W,): `torch.nn.Flatten`."""

    _takes_vectors: ClassVar[bool] = True

    def output_shape(self, input_shape: Sequence[int]) -> Shape:
        """Return the output's (N,)."""
        self.axes(input_shape)
        return (math.prod(input_shape),)

    def forward(self, x: npt.ArrayLike) -> FloatArray:
        """Return the cells of `x` as a vector (N,)."""
        array = floating(x)
        self.axes(array.shape)
        return array.reshape(-1)

    def explain(self, x: npt.ArrayLike, position: Position) -> PointwiseExplanation:
        """Show the one cell that became unit `position` (n,); `IndexError` if there is none."""
        shape = np.shape(x)
        check_position(position, self.output_shape(shape))
        cell = tuple(map(int, np.unravel_index(position[0], shape)))
        return dataclasses.replace(Dropout().explain(x, cell), position=position)


@dataclass(frozen=True, eq=False, init=False)
class Linear(Weighted):
    """Weighted sums of a whole vector as in `torch.nn.Linear`, but of a vector only: put `Flatten` before it.

    `weight` is (out_features, in_features), all zeros if not given; `bias` is (out_features,), None for none. A unit's
    explanation is that of a 1×1 convolution over in_features channels of one cell.

    Raises:
        ShapeError: the arguments do not go together.

    """

    in_features: int
    out_features: int
    weight: FloatArray = field(repr=False)
    bias: FloatArray | None = field(repr=False)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        weight: npt.ArrayLike | Drawn | None = None,
        bias: npt.ArrayLike | Drawn | None = None,
    ) -> None:
        assign(
            self,
            in_features=integer(in_features, "in_features"),
            out_features=integer(out_features, "out_features"),
        )
        self._assign_arrays(
            {"weight": (self.out_features, self.in_features), "bias": (self.out_features,)},
            {"weight": weight, "bias": bias},
            fan_in=self.in_features,
        )

    def _grid_shape(self, input_shape: Sequence[int]) -> tuple[int, int, int]:
        if len(input_shape) != 1:
            shape = times(input_shape) or "a single number"
            raise ShapeError(f"The input is {shape}; a linear layer takes a vector: put Flatten before it.")
        return input_shape[0], 1, 1

    def _output_channels(self, channels: int) -> int:
        if channels != self.in_features:
            raise ShapeError(f"The input is a vector of {channels}, but the linear layer takes {self.in_features}.")
        return self.out_features

    def _axes(self, height: int, width: int) -> Axes:
        return one_cell_windows(height, width)

    def output_shape(self, input_shape: Sequence[int]) -> Shape:
        """Return the output's (out_features,)."""
        self.axes(input_shape)
        return (self.out_features,)

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        """Return how many products of a weight and an input a forward pass adds up."""
        self.axes(input_shape)
        return self.in_features * self.out_features

    def dense_parameters(self, input_shape: Sequence[int]) -> int:
        """Return the layer's own number of parameters: it is dense."""
        self.axes(input_shape)
        return self.num_parameters

    @np.errstate(invalid="ignore", over="ignore")
    def forward(self, x: npt.ArrayLike) -> FloatArray:
        """Return the output (out_features,) of `x` (in_features,)."""
        array = floating(x)
        self.axes(array.shape)
        output: FloatArray = self.weight.astype(array.dtype, copy=False) @ array
        if self.bias is not None:
            output = output + self.bias.astype(array.dtype, copy=False)
        return output

    @np.errstate(invalid="ignore", over="ignore")
    def explain(self, x: npt.ArrayLike, position: Position) -> ConvExplanation:
        """Take the unit `position` (n,) apart; `IndexError` if there is none."""
        window = self._window(x, position, range(self.in_features))
        return dot_product(window, self.weight[position[0]][:, None, None], self.bias)
