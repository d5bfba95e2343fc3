"""Layers that work on each cell by itself: activations, batch normalisation, dropout; names as in `torch.nn`."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from convviz.core.explain import FloatArray, NormExplanation, PointwiseExplanation, Position
from convviz.core.layers import (
    Axes,
    Indices,
    Layer,
    Shape,
    Weighted,
    assign,
    floating,
    one_cell_windows,
)
from convviz.core.window import ShapeError, integer


class Elementwise(Layer):
    """A window of one cell, on (C, H, W) or on a vector (N,); the shape stays."""

    _takes_vectors: ClassVar[bool] = True

    def _axes(self, height: int, width: int) -> Axes:
        return one_cell_windows(height, width)

    def output_shape(self, input_shape: Sequence[int]) -> Shape:
        """Return the input's shape."""
        self.axes(input_shape)
        return tuple(input_shape)

    @abstractmethod
    def _apply(self, values: FloatArray) -> FloatArray:
        """Return the outputs of these inputs, whose first dimension is the channel; may be `values` itself."""

    def forward(self, x: npt.ArrayLike) -> FloatArray:
        """Return the output of `x`, in the same shape."""
        array = floating(x)
        self.axes(array.shape)
        return self._apply(array)

    def forward_at(self, x: npt.ArrayLike, rows: Indices, cols: Indices) -> FloatArray:
        """Return only the named output rows × columns, (C, len(rows), len(cols))."""
        return self._apply(self._windows_at(x, rows, cols)[:, :, 0, :, 0])

    def explain(self, x: npt.ArrayLike, position: Position) -> PointwiseExplanation:
        """Take the output cell `position`, (c, i, j) or (n,), apart; `IndexError` if there is none."""
        window = self._window(x, position)
        return PointwiseExplanation(**window, result=self._apply(window["values"]).item())


@dataclass(frozen=True)
class ReLU(Elementwise):
    """The greater of 0 and each value, `torch.nn.ReLU`."""

    def _apply(self, values: FloatArray) -> FloatArray:
        return np.maximum(values, 0)


@dataclass(frozen=True)
class Sigmoid(Elementwise):
    """1 / (1 + e⁻ˣ), `torch.nn.Sigmoid`."""

    @np.errstate(over="ignore")
    def _apply(self, values: FloatArray) -> FloatArray:
        result: FloatArray = 1 / (1 + np.exp(-values))
        return result


@dataclass(frozen=True)
class Tanh(Elementwise):
    """Hyperbolic tangent, `torch.nn.Tanh`."""

    def _apply(self, values: FloatArray) -> FloatArray:
        return np.tanh(values)


@dataclass(frozen=True)
class GELU(Elementwise):
    """x · Φ(x) with the normal distribution Φ(x) = erfc(−x / √2) / 2, `torch.nn.GELU` without approximation.

    erfc is the math library's, cell by cell: numpy has none.
    """

    @np.errstate(invalid="ignore")
    def _apply(self, values: FloatArray) -> FloatArray:
        scaled = (values / -math.sqrt(2)).ravel().tolist()
        tails = np.fromiter(map(math.erfc, scaled), values.dtype, values.size).reshape(values.shape)
        return values * tails / 2


@dataclass(frozen=True)
class Dropout(Elementwise):
    """The input as it is: what `torch.nn.Dropout` does outside training. In training it clears a share `p` of cells.

    Raises:
        ShapeError: `p` is not between 0 and 1.

    """

    p: float = 0.5

    def __post_init__(self) -> None:
        assign(self, p=_number(self.p, "p", 0, 1))

    def _apply(self, values: FloatArray) -> FloatArray:
        return values


@dataclass(frozen=True, eq=False, init=False)
class BatchNorm2d(Weighted, Elementwise):
    """(x − running_mean) / √(running_var + eps) · weight + bias in each channel: `torch.nn.BatchNorm2d` in use.

    All arrays are (num_features,); as in torch, without them weight and variance are 1, bias and mean 0.

    Raises:
        ShapeError: the arguments do not go together.

    """

    num_features: int
    eps: float
    weight: FloatArray = field(repr=False)
    bias: FloatArray = field(repr=False)
    running_mean: FloatArray = field(repr=False)
    running_var: FloatArray = field(repr=False)

    array_names: ClassVar[tuple[str, ...]] = ("weight", "bias", "running_mean", "running_var")
    _defaults: ClassVar[dict[str, float]] = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
    _takes_vectors: ClassVar[bool] = False

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        weight: npt.ArrayLike | None = None,
        bias: npt.ArrayLike | None = None,
        running_mean: npt.ArrayLike | None = None,
        running_var: npt.ArrayLike | None = None,
    ) -> None:
        assign(self, num_features=integer(num_features, "num_features"), eps=_number(eps, "eps", 0, math.inf))
        arrays = {"weight": weight, "bias": bias, "running_mean": running_mean, "running_var": running_var}
        self._assign_arrays(dict.fromkeys(arrays, (self.num_features,)), arrays)

    def _output_channels(self, channels: int) -> int:
        if channels != self.num_features:
            raise ShapeError(
                f"The input has {channels} channels, but the batch normalisation takes {self.num_features}."
            )
        return channels

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        """Return the number of cells: at inference each is one product and one sum."""
        return math.prod(self.output_shape(input_shape))

    @np.errstate(invalid="ignore", over="ignore", divide="ignore")
    def _apply(self, values: FloatArray) -> FloatArray:
        mean, variance, weight, bias = (
            array.astype(values.dtype, copy=False)[:, None, None]
            for array in (self.running_mean, self.running_var, self.weight, self.bias)
        )
        result: FloatArray = (values - mean) / np.sqrt(variance + values.dtype.type(self.eps)) * weight + bias
        return result

    @np.errstate(invalid="ignore", over="ignore", divide="ignore")
    def explain(self, x: npt.ArrayLike, position: Position) -> NormExplanation:
        """Take the output cell `position` (c, i, j) apart; `IndexError` if there is none."""
        window = self._window(x, position)
        channel = position[0]
        mean, variance, weight, bias = (
            float(array[channel]) for array in (self.running_mean, self.running_var, self.weight, self.bias)
        )
        normalised = float((window["values"].item() - mean) / np.sqrt(variance + self.eps))
        return NormExplanation(
            **window,
            result=normalised * weight + bias,
            mean=mean,
            variance=variance,
            eps=self.eps,
            normalised=normalised,
            weight=weight,
            bias=bias,
        )


def _number(value: float, name: str, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        limits = f"between {least:g} and {most:g}" if math.isfinite(most) else f"at least {least:g}"
        raise ShapeError(f"{name} is {value!r}; it must be a number, {limits}.")
    return float(value)
