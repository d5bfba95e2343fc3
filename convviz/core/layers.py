"""Layers with the names and arguments of `torch.nn`: shapes, forward passes and explanations of single cells.

Arrays are (C, H, W). float32 stays float32; everything else is computed in float64.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from convviz.core.explain import (
    AvgExplanation,
    ConvExplanation,
    Explanation,
    FloatArray,
    MaxExplanation,
    PointwiseExplanation,
    Position,
    cosine_between,
    winning_tap,
)
from convviz.core.window import (
    Axis,
    IntArray,
    PaddingMode,
    Pair,
    ShapeError,
    integer,
    max_padding,
    padding_mode_name,
    pair,
    same_padding,
)

Shape: TypeAlias = tuple[int, int, int]
Axes: TypeAlias = tuple[Axis, Axis]
Indices: TypeAlias = Sequence[int] | npt.NDArray[np.integer[Any]]

BLOCK_BYTES = 1 << 20
"""A convolution unrolls the input in blocks of about this size, which stay in the processor's cache."""

NUMPY_PADDING_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


class Layer(Protocol):
    """What every layer can do. A pointwise layer is a window of one cell."""

    @property
    def num_parameters(self) -> int:
        """Weights and biases, counted."""

    def output_shape(self, input_shape: Sequence[int]) -> Shape:
        """Return the output's (C, H, W); `ShapeError` if the input does not fit."""

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        """Return how many products of a weight and an input a forward pass adds up; 0 for a layer without weights."""

    def axes(self, input_shape: Sequence[int]) -> Axes:
        """Return the window's vertical and horizontal axis."""

    def padded(self, x: npt.ArrayLike) -> FloatArray:
        """Return the input with its padding as the window reads it."""

    def forward(self, x: npt.ArrayLike) -> FloatArray:
        """Return the output of `x` (C, H, W)."""

    def forward_at(self, x: npt.ArrayLike, rows: Indices, cols: Indices) -> FloatArray:
        """Return only the named output rows × columns, (C, len(rows), len(cols))."""

    def explain(self, x: npt.ArrayLike, position: Position) -> Explanation:
        """Take the output cell `position` (c, i, j) apart."""


class _Window:
    """What layers with a moving window share."""

    def _axes(self, height: int, width: int) -> Axes:
        raise NotImplementedError

    def _output_channels(self, channels: int) -> int:
        return channels

    def axes(self, input_shape: Sequence[int]) -> Axes:
        """Return the vertical and horizontal axis of the window over an input of this shape (C, H, W)."""
        channels, height, width = _checked_shape(input_shape)
        self._output_channels(channels)
        return self._axes(height, width)

    def output_shape(self, input_shape: Sequence[int]) -> Shape:
        """Return the output's (C, H, W); `ShapeError` if the input does not fit."""
        rows, cols = self.axes(input_shape)
        return self._output_channels(input_shape[0]), rows.output_size, cols.output_size

    def _cell(self, x: npt.ArrayLike, position: Position) -> tuple[FloatArray, Axes, dict[str, Any]]:
        """Return the input, the axes and what all explanations of `position` share."""
        array = np.asarray(x)
        axes = rows, cols = self.axes(array.shape)
        shape = (self._output_channels(array.shape[0]), rows.output_size, cols.output_size)
        if len(position) != 3 or not all(0 <= at < size for at, size in zip(position, shape, strict=True)):
            raise IndexError(f"There is no cell {tuple(position)} in an output of {_times(shape)}.")
        row_taps, col_taps = rows.taps_at(position[1]), cols.taps_at(position[2])
        outside_rows = (row_taps < 0) | (row_taps >= rows.size)
        outside_cols = (col_taps < 0) | (col_taps >= cols.size)
        return (
            array,
            axes,
            {
                "position": position,
                "rows": row_taps,
                "cols": col_taps,
                "source_rows": rows.source_of(row_taps),
                "source_cols": cols.source_of(col_taps),
                "is_padding": outside_rows[:, None] | outside_cols,
            },
        )


class _Weightless:
    """What layers without parameters share."""

    @property
    def num_parameters(self) -> int:
        """0: nothing is learnt."""
        return 0

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        """Return 0: there are no weights to multiply with."""
        _checked_shape(input_shape)
        return 0


@dataclass(frozen=True, eq=False, init=False)
class Conv2d(_Window):
    """Cross-correlation as in `torch.nn.Conv2d`; with `flip` the kernel is turned by 180°: a true convolution.

    `weight` is (out_channels, in_channels / groups, kh, kw), all zeros if not given; `bias` is (out_channels,), None for
    none. Both are copied and read-only. `padding` is one int, a pair (vertical, horizontal), "same" or "valid".

    Raises:
        ShapeError: the arguments do not go together.

    """

    in_channels: int
    out_channels: int
    kernel_size: Pair
    stride: Pair
    padding: Pair | Literal["same", "valid"]
    dilation: Pair
    groups: int
    padding_mode: PaddingMode
    flip: bool
    weight: FloatArray
    bias: FloatArray | None

    def __init__(  # noqa: PLR0917 - torch.nn's own argument list
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | Literal["same", "valid"] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        padding_mode: PaddingMode = "zeros",
        flip: bool = False,
        weight: npt.ArrayLike | None = None,
        bias: npt.ArrayLike | None = None,
    ) -> None:
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ShapeError(f'padding is {padding!r}; it must be a whole number, two of them, "same" or "valid".')
        _assign(
            self,
            in_channels=integer(in_channels, "in_channels"),
            out_channels=integer(out_channels, "out_channels"),
            kernel_size=pair(kernel_size, "kernel_size"),
            stride=pair(stride, "stride"),
            padding=padding if isinstance(padding, str) else pair(padding, "padding", least=0),
            dilation=pair(dilation, "dilation"),
            groups=integer(groups, "groups"),
            padding_mode=padding_mode_name(padding_mode),
            flip=bool(flip),
        )
        if self.padding == "same" and self.stride != (1, 1):
            raise ShapeError(f'padding "same" needs stride 1, but the stride is {_times(self.stride)}.')
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                fitting = ", ".join(str(n) for n in range(1, channels + 1) if channels % n == 0)
                raise ShapeError(f"groups = {self.groups} does not divide {name} = {channels}; {fitting} would.")
        weight_shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        _assign(
            self,
            weight=np.zeros(weight_shape) if weight is None else _parameter(weight, weight_shape, "weight"),
            bias=None if bias is None else _parameter(bias, (self.out_channels,), "bias"),
        )
        self.weight.flags.writeable = False

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Conv2d):
            return NotImplemented
        return self._settings == other._settings and all(
            np.array_equal(mine, theirs) if mine is not None and theirs is not None else mine is theirs
            for mine, theirs in ((self.weight, other.weight), (self.bias, other.bias))
        )

    def __hash__(self) -> int:
        return hash(self._settings)

    @property
    def _settings(self) -> tuple[object, ...]:
        fields = dataclasses.fields(self)
        return tuple(getattr(self, field.name) for field in fields if field.name not in ("weight", "bias"))

    @property
    def padding_sides(self) -> tuple[Pair, Pair]:
        """The padding in cells: ((top, bottom), (left, right))."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        if self.padding == "same":
            (kh, kw), (dh, dw) = self.kernel_size, self.dilation
            return same_padding(kh, dh), same_padding(kw, dw)
        vertical, horizontal = self.padding
        return (vertical, vertical), (horizontal, horizontal)

    @property
    def applied_weight(self) -> FloatArray:
        """The weight as it lies on the input: turned by 180° if the layer flips, (O, C / groups, kh, kw)."""
        return self.weight[:, :, ::-1, ::-1] if self.flip else self.weight

    @property
    def num_parameters(self) -> int:
        """Weights and biases, counted."""
        return self.weight.size + (0 if self.bias is None else self.bias.size)

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        """Return how many products of a weight and an input a forward pass adds up, padding included."""
        _, height, width = self.output_shape(input_shape)
        return height * width * self.weight.size

    def _output_channels(self, channels: int) -> int:
        if channels != self.in_channels:
            raise ShapeError(f"The input has {channels} channels, but the convolution takes {self.in_channels}.")
        return self.out_channels

    def _axes(self, height: int, width: int) -> Axes:
        vertical, horizontal = (
            Axis(size, k, s, d, before, after, padding_mode=self.padding_mode, name=name)
            for name, size, k, s, d, (before, after) in zip(
                ("height", "width"),
                (height, width),
                self.kernel_size,
                self.stride,
                self.dilation,
                self.padding_sides,
                strict=True,
            )
        )
        return vertical, horizontal

    def padded(self, x: npt.ArrayLike) -> FloatArray:
        """Return the input with its padding, (C, top + H + bottom, left + W + right)."""
        array = _floating(x)
        rows, cols = self.axes(array.shape)
        return _pad(array, rows, cols, NUMPY_PADDING_MODES[self.padding_mode])

    @np.errstate(invalid="ignore", over="ignore")
    def forward(self, x: npt.ArrayLike) -> FloatArray:
        """Return the output (out_channels, H, W) of `x` (in_channels, H, W)."""
        array = _floating(x)
        rows, cols = self.axes(array.shape)
        padded = self.padded(array)
        height, width = rows.output_size, cols.output_size
        # Only the window's columns are unrolled. Rows of the result overlap in memory, so that one output row is one
        # matrix product without a copy (unless rows are dilated).
        columns = sliding_window_view(padded, cols.span, axis=2)[:, :, :: cols.stride, :: cols.dilation]
        columns = columns.reshape(self.groups, -1, *columns.shape[1:]) if self.groups > 1 else columns[None]
        columns = columns.transpose(0, 2, 1, 4, 3)
        kernels = self.applied_weight.astype(array.dtype, copy=False).transpose(0, 2, 1, 3)
        kernels = kernels.reshape(self.groups, 1, self.out_channels // self.groups, -1)
        output = np.empty((self.out_channels, height, width), dtype=array.dtype)
        output_rows = output.reshape(self.groups, -1, height, width).swapaxes(1, 2)
        unrolled_row_bytes = array.itemsize * self.in_channels * cols.kernel_size * width * rows.stride
        step = max(4 * rows.span, BLOCK_BYTES // unrolled_row_bytes)
        for first in range(0, height, step):
            stop = min(first + step, height)
            band = columns[:, first * rows.stride : (stop - 1) * rows.stride + rows.span]
            band = band.reshape(*band.shape[:2], -1, width)
            windows = sliding_window_view(band, rows.span, axis=1)[:, :: rows.stride, :, :, :: rows.dilation]
            windows = windows.transpose(0, 1, 4, 2, 3)
            windows = windows.reshape(*windows.shape[:2], -1, width)
            np.matmul(kernels, windows, out=output_rows[:, first:stop])
        if self.bias is not None:
            output += self.bias.astype(array.dtype)[:, None, None]
        return output

    @np.errstate(invalid="ignore", over="ignore")
    def forward_at(self, x: npt.ArrayLike, rows: Indices, cols: Indices) -> FloatArray:
        """Return only the named output rows × columns, (out_channels, len(rows), len(cols))."""
        array = np.asarray(x)
        windows = _windows_at(array, self.axes(array.shape), rows, cols, 0.0)
        grouped = windows.reshape(self.groups, -1, *windows.shape[1:])
        kernels = self.applied_weight.astype(windows.dtype, copy=False)
        kernels = kernels.reshape(self.groups, -1, *self.weight.shape[1:])
        output = np.stack(
            [
                np.tensordot(kernel, window, ((1, 2, 3), (0, 2, 4)))
                for kernel, window in zip(kernels, grouped, strict=True)
            ]
        ).reshape(self.out_channels, *windows.shape[1:4:2])
        if self.bias is not None:
            output += self.bias.astype(windows.dtype)[:, None, None]
        return output

    @np.errstate(invalid="ignore", over="ignore")
    def explain(self, x: npt.ArrayLike, position: Position) -> ConvExplanation:
        """Take the output cell `position` (c, i, j) apart."""
        array, _, common = self._cell(x, position)
        channels_read = self.weight.shape[1]
        group = position[0] // (self.out_channels // self.groups)
        channels = range(group * channels_read, (group + 1) * channels_read)
        values = _read(array[channels.start : channels.stop], common["source_rows"], common["source_cols"], 0.0)
        weights = self.applied_weight[position[0]]
        products = values * weights
        channel_sums = products.sum(axis=(1, 2))
        total = float(channel_sums.sum())
        bias = 0.0 if self.bias is None else float(self.bias[position[0]])
        value_norm, weight_norm = float(np.linalg.norm(values.ravel())), float(np.linalg.norm(weights.ravel()))
        return ConvExplanation(
            **common,
            values=values,
            result=total + bias,
            input_channels=channels,
            weights=weights,
            products=products,
            channel_sums=channel_sums,
            total=total,
            bias=bias,
            value_norm=value_norm,
            weight_norm=weight_norm,
            cosine=cosine_between(total, value_norm, weight_norm),
        )


class _Pool(_Window, _Weightless):
    """What max and average pooling share."""

    kernel_size: Pair
    stride: Pair
    padding: Pair
    ceil_mode: bool

    def _assign_window(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None,
        padding: int | Sequence[int],
        ceil_mode: bool,
    ) -> None:
        kernel = pair(kernel_size, "kernel_size")
        _assign(
            self,
            kernel_size=kernel,
            stride=kernel if stride is None else pair(stride, "stride"),
            padding=pair(padding, "padding", least=0),
            ceil_mode=bool(ceil_mode),
        )
        for name, size, pad in zip(("height", "width"), self.kernel_size, self.padding, strict=True):
            most = max_padding(1, kernel_size=size)
            if pad > most:
                raise ShapeError(
                    f"{name}: pooling padding {pad} is more than half the kernel size {size}; at most {most} would fit."
                )

    def _axes(self, height: int, width: int, dilation: Pair = (1, 1)) -> Axes:
        vertical, horizontal = (
            Axis(size, k, s, d, pad, pad, self.ceil_mode, name=name)
            for name, size, k, s, d, pad in zip(
                ("height", "width"), (height, width), self.kernel_size, self.stride, dilation, self.padding, strict=True
            )
        )
        return vertical, horizontal


@dataclass(frozen=True, init=False)
class MaxPool2d(_Pool):
    """Greatest value of each window as in `torch.nn.MaxPool2d`; padding is −∞, `stride=None` means the kernel size.

    Raises:
        ShapeError: the arguments do not go together.

    """

    kernel_size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    return_indices: bool
    ceil_mode: bool

    def __init__(  # noqa: PLR0917 - torch.nn's own argument list
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self._assign_window(kernel_size, stride, padding, ceil_mode)
        _assign(self, dilation=pair(dilation, "dilation"), return_indices=bool(return_indices))

    def _axes(self, height: int, width: int, dilation: Pair | None = None) -> Axes:
        return super()._axes(height, width, dilation or self.dilation)

    def padded(self, x: npt.ArrayLike) -> FloatArray:
        """Return the input framed by −∞; cells that `ceil_mode` windows reach beyond that are not part of it."""
        array = _floating(x)
        return _pad(array, *self.axes(array.shape), "constant", -np.inf)

    def forward(self, x: npt.ArrayLike) -> FloatArray | Any:
        """Return the maxima (C, H, W), or the pair (maxima, indices) if `return_indices`.

        The return type names `Any` because a type checker cannot follow the field.
        """
        return self.forward_with_indices(x) if self.return_indices else self._maxima(_floating(x))

    def _maxima(self, array: FloatArray) -> FloatArray:
        rows, cols = self.axes(array.shape)
        return _along_columns(np.maximum, _along_rows(np.maximum, array, rows, -np.inf), cols, -np.inf)

    def forward_with_indices(self, x: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
        """Return the maxima and the flat index row · W + column of each in its input channel, both (C, H, W).

        Ties and NaN as in torch on the CPU: the first of the greatest wins, or the last NaN. In a window that lies in
        the padding altogether the maximum is −∞ and the index has no meaning (it is torch's).
        """
        array = _floating(x)
        rows, cols = self.axes(array.shape)
        first_rows, first_cols = (
            starts + -(np.minimum(starts, 0) // axis.dilation) * axis.dilation
            for axis, starts in ((rows, rows.taps[:, 0]), (cols, cols.taps[:, 0]))
        )
        shape = (array.shape[0], rows.output_size, cols.output_size)
        indices = np.broadcast_to(first_rows[:, None] * cols.size + first_cols, shape).copy()
        maxima = np.full(shape, -np.inf, dtype=array.dtype)
        input_indices = np.arange(rows.size * cols.size).reshape(rows.size, cols.size)
        for a in range(rows.kernel_size):
            for b in range(cols.kernel_size):
                (out_rows, in_rows), (out_cols, in_cols) = rows.reach(a), cols.reach(b)
                values, best = array[:, in_rows, in_cols], maxima[:, out_rows, out_cols]
                wins = (values > best) | np.isnan(values)
                np.copyto(best, values, where=wins)
                np.copyto(indices[:, out_rows, out_cols], input_indices[in_rows, in_cols], where=wins)
        return maxima, indices

    def forward_at(self, x: npt.ArrayLike, rows: Indices, cols: Indices) -> FloatArray:
        """Return only the maxima of the named output rows × columns, (C, len(rows), len(cols))."""
        array = np.asarray(x)
        maxima: FloatArray = _windows_at(array, self.axes(array.shape), rows, cols, -np.inf).max(axis=(2, 4))
        return maxima

    def explain(self, x: npt.ArrayLike, position: Position) -> MaxExplanation:
        """Take the output cell `position` (c, i, j) apart."""
        array, _, common = self._cell(x, position)
        channel = array[position[0] : position[0] + 1]
        values = _read(channel, common["source_rows"], common["source_cols"], -np.inf)
        winner, tied = winning_tap(values[0], common["is_padding"])
        result = -np.inf if winner is None else float(values[0][winner])
        return MaxExplanation(**common, values=values, result=result, winner=winner, tied=tied)


@dataclass(frozen=True, init=False)
class AvgPool2d(_Pool):
    """Mean of each window as in `torch.nn.AvgPool2d`; padding is 0 and counts unless `count_include_pad` is off.

    `stride=None` means the kernel size; `divisor_override` divides every sum instead of the number of cells counted.

    Raises:
        ShapeError: the arguments do not go together.

    """

    kernel_size: Pair
    stride: Pair
    padding: Pair
    ceil_mode: bool
    count_include_pad: bool
    divisor_override: int | None

    def __init__(  # noqa: PLR0917 - torch.nn's own argument list
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self._assign_window(kernel_size, stride, padding, ceil_mode)
        divisor = None if divisor_override is None else integer(divisor_override, "divisor_override")
        _assign(self, count_include_pad=bool(count_include_pad), divisor_override=divisor)

    def _counted(self, axis: Axis, taps: IntArray) -> npt.NDArray[np.bool_]:
        margin = axis.pad_before if self.count_include_pad else 0
        return (taps >= -margin) & (taps < axis.size + margin)

    def _divisors(self, axes: Axes, rows: Indices, cols: Indices) -> int | IntArray:
        """Return the divisors of the named output rows × columns."""
        if self.divisor_override is not None:
            return self.divisor_override
        counts = (
            self._counted(axis, axis.taps_at(positions)).sum(axis=-1)
            for axis, positions in zip(axes, (rows, cols), strict=True)
        )
        return cast(IntArray, np.multiply.outer(*counts))

    def padded(self, x: npt.ArrayLike) -> FloatArray:
        """Return the input framed by zeros; cells that `ceil_mode` windows reach beyond that are not part of it."""
        array = _floating(x)
        return _pad(array, *self.axes(array.shape), "constant")

    @np.errstate(invalid="ignore", over="ignore")
    def forward(self, x: npt.ArrayLike) -> FloatArray:
        """Return the means (C, H, W) of `x` (C, H, W)."""
        array = _floating(x)
        axes = rows, cols = self.axes(array.shape)
        sums = _along_columns(np.add, _along_rows(np.add, array, rows, 0.0), cols, 0.0)
        divisors = self._divisors(axes, np.arange(rows.output_size), np.arange(cols.output_size))
        return np.divide(sums, divisors, out=sums, casting="same_kind")

    @np.errstate(invalid="ignore", over="ignore")
    def forward_at(self, x: npt.ArrayLike, rows: Indices, cols: Indices) -> FloatArray:
        """Return only the means of the named output rows × columns, (C, len(rows), len(cols))."""
        array = np.asarray(x)
        axes = self.axes(array.shape)
        sums: FloatArray = _windows_at(array, axes, rows, cols, 0.0).sum(axis=(2, 4))
        return np.divide(sums, self._divisors(axes, rows, cols), out=sums, casting="same_kind")

    @np.errstate(invalid="ignore", over="ignore")
    def explain(self, x: npt.ArrayLike, position: Position) -> AvgExplanation:
        """Take the output cell `position` (c, i, j) apart."""
        array, (rows, cols), common = self._cell(x, position)
        channel = array[position[0] : position[0] + 1]
        values = _read(channel, common["source_rows"], common["source_cols"], 0.0)
        counted = self._counted(rows, common["rows"])[:, None] & self._counted(cols, common["cols"])
        total = float(values.sum())
        divisor = int(counted.sum()) if self.divisor_override is None else self.divisor_override
        return AvgExplanation(
            **common, values=values, result=total / divisor, counted=counted, total=total, divisor=divisor
        )


@dataclass(frozen=True)
class GlobalMaxPool2d(_Window, _Weightless):
    """Greatest value of each channel, `torch.nn.AdaptiveMaxPool2d(1)`: one window as large as the input."""

    def _axes(self, height: int, width: int) -> Axes:
        return _whole_axes(height, width)

    def padded(self, x: npt.ArrayLike) -> FloatArray:
        """Return the input: there is no padding."""
        return _floating(x)

    def forward(self, x: npt.ArrayLike) -> FloatArray:
        """Return the maxima (C, 1, 1) of `x` (C, H, W)."""
        array = _floating(x)
        self.axes(array.shape)
        maxima: FloatArray = array.max(axis=(1, 2), keepdims=True)
        return maxima

    def forward_at(self, x: npt.ArrayLike, rows: Indices, cols: Indices) -> FloatArray:
        """Return only the named output rows × columns, (C, len(rows), len(cols))."""
        return self.forward(x)[:, rows][:, :, cols]

    def explain(self, x: npt.ArrayLike, position: Position) -> MaxExplanation:
        """Take the output cell `position` (c, 0, 0) apart."""
        return MaxPool2d(np.shape(x)[1:]).explain(x, position)


@dataclass(frozen=True)
class GlobalAvgPool2d(_Window, _Weightless):
    """Mean of each channel, `torch.nn.AdaptiveAvgPool2d(1)`: one window as large as the input."""

    def _axes(self, height: int, width: int) -> Axes:
        return _whole_axes(height, width)

    def padded(self, x: npt.ArrayLike) -> FloatArray:
        """Return the input: there is no padding."""
        return _floating(x)

    @np.errstate(invalid="ignore", over="ignore")
    def forward(self, x: npt.ArrayLike) -> FloatArray:
        """Return the means (C, 1, 1) of `x` (C, H, W)."""
        array = _floating(x)
        self.axes(array.shape)
        means: FloatArray = array.mean(axis=(1, 2), keepdims=True)
        return means

    def forward_at(self, x: npt.ArrayLike, rows: Indices, cols: Indices) -> FloatArray:
        """Return only the named output rows × columns, (C, len(rows), len(cols))."""
        return self.forward(x)[:, rows][:, :, cols]

    def explain(self, x: npt.ArrayLike, position: Position) -> AvgExplanation:
        """Take the output cell `position` (c, 0, 0) apart."""
        return AvgPool2d(np.shape(x)[1:]).explain(x, position)


@dataclass(frozen=True)
class ReLU(_Window, _Weightless):
    """The greater of 0 and each value, `torch.nn.ReLU`: a window of one cell."""

    def _axes(self, height: int, width: int) -> Axes:
        return Axis(height, 1, name="height"), Axis(width, 1, name="width")

    def padded(self, x: npt.ArrayLike) -> FloatArray:
        """Return the input: there is no padding."""
        return _floating(x)

    def forward(self, x: npt.ArrayLike) -> FloatArray:
        """Return the positive part of `x` (C, H, W)."""
        array = _floating(x)
        self.axes(array.shape)
        return np.maximum(array, 0)

    def forward_at(self, x: npt.ArrayLike, rows: Indices, cols: Indices) -> FloatArray:
        """Return only the named rows × columns, (C, len(rows), len(cols))."""
        return np.maximum(_floating(np.asarray(x)[:, rows][:, :, cols]), 0)

    def explain(self, x: npt.ArrayLike, position: Position) -> PointwiseExplanation:
        """Take the output cell `position` (c, i, j) apart."""
        array, _, common = self._cell(x, position)
        c, i, j = position
        values = _floating(array[c : c + 1, i : i + 1, j : j + 1])
        return PointwiseExplanation(**common, values=values, result=float(np.maximum(values, 0)[0, 0, 0]))


def _assign(layer: object, **fields: object) -> None:
    """Set fields of a frozen dataclass from its own constructor."""
    for name, value in fields.items():
        object.__setattr__(layer, name, value)


def _times(sizes: Sequence[int]) -> str:
    return "×".join(map(str, sizes))


def _parameter(value: npt.ArrayLike, shape: tuple[int, ...], name: str) -> FloatArray:
    array = _floating(value).copy()
    if array.shape != shape:
        raise ShapeError(f"{name} is {_times(array.shape)}; this layer takes {_times(shape)}.")
    array.flags.writeable = False
    return array


def _floating(x: npt.ArrayLike) -> FloatArray:
    array = np.asarray(x)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _checked_shape(shape: Sequence[int]) -> Shape:
    if len(shape) != 3 or min(shape) < 1:
        raise ShapeError(f"The input is {_times(shape) or 'a single number'}; it must be channels × height × width.")
    channels, height, width = shape
    return channels, height, width


def _whole_axes(height: int, width: int) -> Axes:
    return Axis(height, height, height, name="height"), Axis(width, width, width, name="width")


def _pad(array: FloatArray, rows: Axis, cols: Axis, mode: str, constant: float = 0.0) -> FloatArray:
    sides = ((0, 0), (rows.pad_before, rows.pad_after), (cols.pad_before, cols.pad_after))
    if not any(map(any, sides)):
        return array
    options = {"constant_values": constant} if mode == "constant" else {}
    return cast(FloatArray, np.pad(array, sides, cast(Any, mode), **options))


def _read(array: npt.NDArray[Any], source_rows: IntArray, source_cols: IntArray, constant: float) -> FloatArray:
    """Return `array` at the open mesh of the two index arrays, `constant` where one is −1."""
    outer_rows = source_rows[(...,) + (None,) * source_cols.ndim]
    values = _floating(array[:, outer_rows, source_cols])
    outside = (outer_rows < 0) | (source_cols < 0)
    if outside.any():
        values[:, outside] = constant
    return values


def _windows_at(array: npt.NDArray[Any], axes: Axes, rows: Indices, cols: Indices, constant: float) -> FloatArray:
    """Return the values that the named outputs read, (C, len(rows), kh, len(cols), kw)."""
    for axis, positions in zip(axes, (rows, cols), strict=True):
        outside = [at for at in positions if not 0 <= at < axis.output_size]
        if outside:
            raise IndexError(f"{axis.name}: there is no output {outside[0]}; the last one is {axis.output_size - 1}.")
    row_sources, col_sources = (
        axis.source_of(axis.taps_at(positions)) for axis, positions in zip(axes, (rows, cols), strict=True)
    )
    return _read(array, row_sources, col_sources, constant)


def _along_rows(combine: np.ufunc, array: FloatArray, axis: Axis, start: float) -> FloatArray:
    """Combine the taps of the vertical axis, tap by tap: (C, H, W) → (C, output_size, W)."""
    result = np.full((array.shape[0], axis.output_size, array.shape[2]), start, dtype=array.dtype)
    for tap in range(axis.kernel_size):
        outputs, inputs = axis.reach(tap)
        combine(result[:, outputs], array[:, inputs], out=result[:, outputs])
    return result


def _along_columns(combine: np.ufunc, array: FloatArray, axis: Axis, start: float) -> FloatArray:
    """Combine the taps of the horizontal axis, tap by tap: (C, H, W) → (C, H, output_size)."""
    result = np.full((*array.shape[:2], axis.output_size), start, dtype=array.dtype)
    for tap in range(axis.kernel_size):
        outputs, inputs = axis.reach(tap)
        combine(result[:, :, outputs], array[:, :, inputs], out=result[:, :, outputs])
    return result
