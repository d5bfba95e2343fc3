"""One output cell taken apart: what its window reads and how the numbers become the result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convviz.core.window import BoolArray, IntArray

FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]
Position: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Explanation:
    """What every explanation tells: the window (kh × kw taps) over the input cells that it reads.

    Attributes:
        position: the output cell (c, i, j), or (n,) of a vector.
        input_channels: the input channels read; a vector is N channels of one cell.
        rows, cols: virtual input coordinates of the taps, (kh,) and (kw,); outside the input they lie in the padding.
        source_rows, source_cols: the real input rows and columns read, −1 where the tap reads a constant or nothing.
        is_padding: taps outside the real input, whatever the padding mode, (kh, kw).
        values: the numbers read, (channels read, kh, kw).
        result: the output cell's value.

    """

    position: Position
    input_channels: range
    rows: IntArray
    cols: IntArray
    source_rows: IntArray
    source_cols: IntArray
    is_padding: BoolArray
    values: FloatArray
    result: float


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvExplanation(Explanation):
    """A convolution's cell: products, their sum over each channel, over all channels, plus the bias.

    A unit of `Linear` is one too: its kernel is 1×1 over as many channels as it has inputs. As a dot product of the
    window and the kernel, `total` = `value_norm` · `weight_norm` · `cosine`.

    Attributes:
        weights: the kernel as applied, turned by 180° where the layer flips, (channels read, kh, kw).
        products: `values` · `weights`, (channels read, kh, kw).
        channel_sums: the sum of each channel's products, (channels read,).
        total: the sum of all products, before the bias.
        bias: 0.0 for a layer without one.
        value_norm, weight_norm: Euclidean lengths of the window and the kernel as vectors.
        cosine: cosine of the angle between them, None when either is all zeros.

    """

    weights: FloatArray
    products: FloatArray
    channel_sums: FloatArray
    total: float
    bias: float
    value_norm: float
    weight_norm: float
    cosine: float | None


@dataclass(frozen=True, eq=False, kw_only=True)
class MaxExplanation(Explanation):
    """A maximum's cell. Padding is −∞ and never wins.

    Attributes:
        winner: the winning tap (a, b): the first of the greatest, or the last NaN, as in torch on the CPU; None when
            the window lies in the padding altogether.
        tied: every tap on the input that holds the result, (kh, kw).

    """

    winner: tuple[int, int] | None
    tied: BoolArray

    @property
    def ties(self) -> tuple[tuple[int, int], ...]:
        """The taps of `tied` in reading order, the winner among them."""
        return tuple((int(a), int(b)) for a, b in np.argwhere(self.tied))


@dataclass(frozen=True, eq=False, kw_only=True)
class AvgExplanation(Explanation):
    """An average's cell: `result` = `total` / `divisor`.

    Attributes:
        counted: taps that the divisor counts, (kh, kw): the real ones, and those in the padding where the layer
            includes it; a tap past the padding (`ceil_mode`) reads nothing and never counts. `divisor_override`
            replaces their number.
        total: the sum of the values.
        divisor: what the sum is divided by.

    """

    counted: BoolArray
    total: float
    divisor: int


@dataclass(frozen=True, eq=False, kw_only=True)
class PointwiseExplanation(Explanation):
    """A cell that depends on one input cell alone: a window of 1×1."""

    @property
    def value(self) -> float:
        """The input cell's value."""
        return float(self.values[0, 0, 0])


@dataclass(frozen=True, eq=False, kw_only=True)
class NormExplanation(PointwiseExplanation):
    """A batch-normalised cell: `result` = `normalised` · `weight` + `bias`.

    Attributes:
        mean, variance, eps: of the cell's channel; `normalised` = (`value` − `mean`) / √(`variance` + `eps`).
        normalised: the value before weight and bias.
        weight, bias: of the cell's channel.

    """

    mean: float
    variance: float
    eps: float
    normalised: float
    weight: float
    bias: float


def dot_product(window: dict[str, Any], weights: FloatArray, biases: FloatArray | None) -> ConvExplanation:
    """Return the explanation of a `window` (an `Explanation`'s fields but the result) under `weights` (C, kh, kw).

    `biases` are those of all output channels, None for none.
    """
    values, weights = window["values"], weights.astype(np.float64, copy=False)
    products = values * weights
    channel_sums = products.sum(axis=(1, 2))
    total = float(channel_sums.sum())
    bias = 0.0 if biases is None else float(biases[window["position"][0]])
    value_norm, weight_norm = (float(np.sqrt(np.vdot(vector, vector))) for vector in (values, weights))
    return ConvExplanation(
        **window,
        result=total + bias,
        weights=weights,
        products=products,
        channel_sums=channel_sums,
        total=total,
        bias=bias,
        value_norm=value_norm,
        weight_norm=weight_norm,
        cosine=cosine_between(total, value_norm, weight_norm),
    )


def cosine_between(total: float, value_norm: float, weight_norm: float) -> float | None:
    """Return the cosine of the angle between two vectors with this dot product and these lengths, None if one is 0."""
    if value_norm == 0 or weight_norm == 0:
        return None
    return total / value_norm / weight_norm if math.isfinite(total) else math.nan


def winning_tap(values: FloatArray, is_padding: BoolArray) -> tuple[tuple[int, int] | None, BoolArray]:
    """Return the winning tap of `values` (kh, kw) among those not padding, and all taps tied with it."""
    real = ~is_padding
    if not real.any():
        return None, real
    nans = np.isnan(values)
    if nans.any():
        return _tap(values.shape[1], int(nans.size - 1 - nans.ravel()[::-1].argmax())), nans
    tied = real & (values == values.max())
    return _tap(values.shape[1], int(tied.argmax())), tied


def _tap(width: int, flat: int) -> tuple[int, int]:
    return divmod(flat, width)
