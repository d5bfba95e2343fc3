"""Layers with the names and arguments of `torch.nn`: shapes, forward passes and explanations of single cells.

What all layers share, convolution and pooling; `elementwise` and `dense` have the others. Arrays are (C, H, W), or
vectors (N,) from `Flatten` on: a vector is N channels of one cell, on which a window has one position, (0, 0). float32
stays float32; everything else is computed in float64.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from convviz.core.explain import (
    AvgExplanation,
    ConvExplanation,
    Explanation,
    FloatArray,
    MaxExplanation,
    Position,
    dot_product,
    winning_tap,
)
from convviz.core.window import (
    Axis,
    BoolArray,
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

Shape: TypeAlias = tuple[int, ...]
Axes: TypeAlias = tuple[Axis, Axis]
Indices: TypeAlias = Sequence[int] | npt.NDArray[np.integer[Any]]

BLOCK_BYTES = 1 << 20
"""A convolution unrolls the input in blocks of about this size, which stay in the processor's cache."""

NUMPY_PADDING_MODES: Final[dict[PaddingMode, Literal["reflect", "edge", "wrap"]]] = {
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}

AXIS_NAMES = ("height", "width")

cached_axis = lru_cache(maxsize=256)(Axis)


class Layer(ABC):
    """A window that moves over the input, one output cell a position; immutable.

    Wherever an input or its shape is given, `ShapeError` says that it does not fit the layer.
    """

    array_names: ClassVar[tuple[str, ...]] = ()
    _padding_value: ClassVar[float] = 0.0
    _takes_vectors: ClassVar[bool] = False

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments by name, without weights and other arrays."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]  # every layer is a dataclass
        return {each.name: getattr(self, each.name) for each in fields if each.name not in self.array_names}

    @property
    def arrays(self) -> dict[str, FloatArray | Drawn | None]:
        """The constructor's other arguments: its arrays as given, None or `Drawn` among them."""
        return {}

    def changed(self, **arguments: Any) -> Self:
        """Return the layer with some of its constructor's arguments replaced."""
        return type(self)(**{**self.settings, **self.arrays, **arguments})

    @abstractmethod
    def _axes(self, height: int, width: int) -> Axes:
        """Return the window's vertical and horizontal axis."""

    def _output_channels(self, channels: int) -> int:
        return channels

    @property
    def num_parameters(self) -> int:
        """Weights and biases, counted."""
        return 0

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        """Return how many products of a weight and an input a forward pass sums up; 0 for a layer without weights."""
        self.axes(input_shape)
        return 0

    def dense_parameters(self, input_shape: Sequence[int]) -> int | None:
        """Return how many parameters a dense layer in this one's place would have; None for a layer without weights."""
        self.axes(input_shape)
        return None

    def axes(self, input_shape: Sequence[int]) -> Axes:
        """Return the vertical and horizontal axis of the window over an input of this shape (C, H, W)."""
        channels, height, width = self._grid_shape(input_shape)
        self._output_channels(channels)
        return self._axes(height, width)

    def _grid_shape(self, input_shape: Sequence[int]) -> tuple[int, int, int]:
        """Return the input's (C, H, W), which is (N, 1, 1) for a vector."""
        if len(input_shape) == 1 and self._takes_vectors and input_shape[0] > 0:
            return input_shape[0], 1, 1
        if len(input_shape) != 3 or min(input_shape) < 1:
            shape = times(input_shape) or "a single number"
            if len(input_shape) == 1:
                shape = f"a vector of {shape}"
            raise ShapeError(f"The input is {shape}; it must be channels × height × width, each at least 1.")
        channels, height, width = input_shape
        return channels, height, width

    def _as_grid(self, x: npt.ArrayLike) -> npt.NDArray[Any]:
        array = np.asarray(x)
        return array.reshape(self._grid_shape(array.shape))

    def output_shape(self, input_shape: Sequence[int]) -> Shape:
        """Return the output's shape, (C, H, W) or (N,)."""
        rows, cols = self.axes(input_shape)
        return self._output_channels(input_shape[0]), rows.output_size, cols.output_size

    def padded(self, x: npt.ArrayLike) -> FloatArray:
        """Return the input with its padding as the window reads it, (C, top + H + bottom, left + W + right) or (N,).

        Cells beyond it, which the last windows of `ceil_mode` reach, are neither input nor padding. Without padding
        this is the input itself, not a copy.
        """
        array = floating(x)
        rows, cols = self.axes(array.shape)
        sides = ((0, 0), (rows.pad_before, rows.pad_after), (cols.pad_before, cols.pad_after))
        if not any(map(any, sides)):
            return array
        if rows.padding_mode == "zeros":
            return np.pad(array, sides, constant_values=self._padding_value)
        return np.pad(array, sides, NUMPY_PADDING_MODES[rows.padding_mode])

    @abstractmethod
    def forward(self, x: npt.ArrayLike) -> FloatArray:
        """Return the output of `x`."""

    def forward_at(self, x: npt.ArrayLike, rows: Indices, cols: Indices) -> FloatArray:
        """Return only the named output rows × columns, (C, len(rows), len(cols))."""
        row_axis, col_axis = self.axes(np.shape(x))
        output = self.forward(x).reshape(-1, row_axis.output_size, col_axis.output_size)
        return output[:, _positions(rows, row_axis)][:, :, _positions(cols, col_axis)]

    @abstractmethod
    def explain(self, x: npt.ArrayLike, position: Position) -> Explanation:
        """Take the output cell `position`, (c, i, j) or (n,), apart; `IndexError` if there is none."""

    def _read(self, array: npt.NDArray[Any], source_rows: IntArray, source_cols: IntArray) -> FloatArray:
        """Return a copy of `array` at the open mesh of the two index arrays, the padding value where one is −1."""
        source_rows = source_rows[(...,) + (None,) * source_cols.ndim]
        values = floating(array[:, source_rows, source_cols])
        outside = (source_rows < 0) | (source_cols < 0)
        if outside.any():
            values[:, outside] = self._padding_value
        return values

    def _windows_at(self, x: npt.ArrayLike, rows: Indices, cols: Indices) -> FloatArray:
        """Return what the named outputs read, (C, len(rows), kh, len(cols), kw)."""
        row_axis, col_axis = self.axes(np.shape(x))
        row_sources = row_axis.source_of(row_axis.taps_at(_positions(rows, row_axis)))
        col_sources = col_axis.source_of(col_axis.taps_at(_positions(cols, col_axis)))
        return self._read(self._as_grid(x), row_sources, col_sources)

    def _window(self, x: npt.ArrayLike, position: Position, channels: range | None = None) -> dict[str, Any]:
        """Return the part that all explanations share, with the values in float64.

        Without `channels`, the input channels to be read, it is the position's own.
        """
        input_shape = np.shape(x)
        rows, cols = self.axes(input_shape)
        check_position(position, self.output_shape(input_shape))
        channel, i, j = position if len(position) == 3 else (position[0], 0, 0)
        if channels is None:
            channels = range(channel, channel + 1)
        row_taps, col_taps = rows.taps_at(i), cols.taps_at(j)
        row_sources, col_sources = rows.source_of(row_taps), cols.source_of(col_taps)
        values = self._read(self._as_grid(x)[channels.start : channels.stop], row_sources, col_sources)
        return {
            "position": position,
            "input_channels": channels,
            "rows": row_taps,
            "cols": col_taps,
            "source_rows": row_sources,
            "source_cols": col_sources,
            "is_padding": ~(rows.is_inside(row_taps)[:, None] & cols.is_inside(col_taps)),
            "values": values.astype(np.float64, copy=False),
        }


@dataclass(frozen=True)
class Drawn:
    """Numbers that are drawn when first read: uniform within ±1/√fan_in, as `torch.nn` draws by default; float32.

    A layer of any size is thus made at once, and known by its seed (0 or more) without its numbers.
    """

    seed: int

    def draw(self, shape: Shape, fan_in: int, stream: int) -> FloatArray:
        """Return the numbers; the arrays of a layer (weight: stream 0, bias: stream 1) differ."""
        numbers = np.random.default_rng([self.seed, stream]).random(shape, dtype=np.float32)
        numbers -= np.float32(0.5)
        numbers *= np.float32(2 / math.sqrt(fan_in))
        return numbers


class Weighted(Layer):
    """A layer with weights or other arrays of numbers.

    Each is given and copied, or `Drawn`, or None; all are read-only. Layers are equal if their settings and arrays are.
    """

    array_names: ClassVar[tuple[str, ...]] = ("weight", "bias")
    _defaults: ClassVar[dict[str, float]] = {"weight": 0.0}

    array_shapes: Mapping[str, Shape]
    """The shape of every array that the layer has, or would have if it were not None."""
    fan_in: int | None
    """Inputs of one output, by which `Drawn` scales; None where nothing can be drawn."""
    _given: dict[str, FloatArray | Drawn | None]

    def _assign_arrays(
        self, shapes: Mapping[str, Shape], arrays: Mapping[str, npt.ArrayLike | Drawn | None], fan_in: int | None = None
    ) -> None:
        """Set the arrays; without `fan_in` nothing can be drawn."""
        assign(self, array_shapes=shapes, fan_in=fan_in, _given={})
        for name, array in arrays.items():
            if isinstance(array, Drawn):
                if fan_in is None:
                    raise ShapeError(f"{name} of {type(self).__name__} cannot be drawn; give its numbers.")
                self._given[name] = array
            elif array is None and name in self._defaults:
                self._given[name] = None
                assign(self, **{name: np.broadcast_to(self._defaults[name], shapes[name])})
            else:
                self._given[name] = None if array is None else _parameter(array, shapes[name], name)
                assign(self, **{name: self._given[name]})

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> FloatArray:
            """Draw an array that has not been read before."""
            recipe = self.__dict__.get("_given", {}).get(name)
            if recipe is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            array = recipe.draw(self.array_shapes[name], self.fan_in, self.array_names.index(name))
            array.flags.writeable = False
            assign(self, **{name: array})
            return array

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Weighted) or type(self) is not type(other):
            return NotImplemented
        return self.settings == other.settings and all(self._has_same(name, other) for name in self.array_names)

    def _has_same(self, name: str, other: Weighted) -> bool:
        """Whether both have the same array; one to be drawn is the same as none but itself."""
        mine, theirs = self._given[name], other._given[name]
        if isinstance(mine, Drawn) or isinstance(theirs, Drawn):
            return isinstance(mine, Drawn) and isinstance(theirs, Drawn) and mine == theirs
        return mine is theirs or np.array_equal(getattr(self, name), getattr(other, name))

    def __hash__(self) -> int:
        return hash((type(self), *self.settings.values()))

    @property
    def arrays(self) -> dict[str, FloatArray | Drawn | None]:
        """The constructor's other arguments: its arrays as given, None or `Drawn` among them."""
        return dict(self._given)

    @property
    def num_parameters(self) -> int:
        """Weights and biases, counted."""
        present = [name for name in ("weight", "bias") if name in self._defaults or self._given[name] is not None]
        return sum(math.prod(self.array_shapes[name]) for name in present)


@dataclass(frozen=True, eq=False, init=False)
class Conv2d(Weighted):
    """Cross-correlation as in `torch.nn.Conv2d`; with `flip` the kernel is turned by 180°: a true convolution.

    `weight` is (out_channels, in_channels / groups, kh, kw), all zeros if not given; `bias` is (out_channels,), None
    for none. `padding` is one int, a pair (vertical, horizontal), "same" or "valid".

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
    weight: FloatArray = field(repr=False)
    bias: FloatArray | None = field(repr=False)

    def __init__(
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
        weight: npt.ArrayLike | Drawn | None = None,
        bias: npt.ArrayLike | Drawn | None = None,
    ) -> None:
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ShapeError(f'padding is {padding!r}; it must be a whole number, two of them, "same" or "valid".')
        assign(
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
            raise ShapeError(f'padding "same" needs stride 1, but the stride is {times(self.stride)}.')
        common = math.gcd(self.in_channels, self.out_channels)
        if common % self.groups:
            raise ShapeError(
                f"groups is {self.groups}, but it must divide in_channels {self.in_channels} and out_channels "
                f"{self.out_channels}; any divisor of {common} would fit."
            )
        weight_shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self._assign_arrays(
            {"weight": weight_shape, "bias": (self.out_channels,)},
            {"weight": weight, "bias": bias},
            fan_in=math.prod(weight_shape[1:]),
        )

    def regrouped(self, in_channels: int, groups: int, drawn: Drawn | None = None) -> Conv2d:
        """Return the convolution for other input channels or groups, with the slices of each kernel repeated or cut.

        Weights and bias that are `Drawn` are drawn anew, from ``drawn`` where it is given. `ShapeError` if the groups
        do not divide the channels.
        """
        given = self.arrays["weight"]
        if isinstance(given, np.ndarray):
            given = np.take(given, range(in_channels // max(1, groups)), axis=1, mode="wrap")
        arrays = {
            name: drawn if isinstance(array, Drawn) and drawn is not None else array
            for name, array in {**self.arrays, "weight": given}.items()
        }
        return self.changed(in_channels=in_channels, groups=groups, **arrays)

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

    def multiply_adds(self, input_shape: Sequence[int]) -> int:
        """Return how many products of a weight and an input a forward pass adds up, padding included."""
        _, height, width = self.output_shape(input_shape)
        return height * width * math.prod(self.array_shapes["weight"])

    def dense_parameters(self, input_shape: Sequence[int]) -> int:
        """Return how many parameters the same connections take unshared: a weight from every input to every output."""
        outputs = math.prod(self.output_shape(input_shape))
        return math.prod(input_shape) * outputs + (0 if self.arrays["bias"] is None else outputs)

    def _output_channels(self, channels: int) -> int:
        if channels != self.in_channels:
            raise ShapeError(f"The input has {channels} channels, but the convolution takes {self.in_channels}.")
        return self.out_channels

    def _axes(self, height: int, width: int) -> Axes:
        vertical, horizontal = (
            cached_axis(size, k, s, d, before, after, padding_mode=self.padding_mode, name=name)
            for name, size, k, s, d, (before, after) in zip(
                AXIS_NAMES,
                (height, width),
                self.kernel_size,
                self.stride,
                self.dilation,
                self.padding_sides,
                strict=True,
            )
        )
        return vertical, horizontal

    @np.errstate(invalid="ignore", over="ignore")
    def forward(self, x: npt.ArrayLike) -> FloatArray:
        """Return the output (out_channels, H, W) of `x` (in_channels, H, W)."""
        array = floating(x)
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
        windows = self._windows_at(x, rows, cols)
        windows_of_group = windows.reshape(self.groups, self.weight.shape[1], *windows.shape[1:])
        kernels = self.applied_weight.astype(windows.dtype, copy=False)
        kernels_of_group = kernels.reshape(self.groups, -1, *kernels.shape[1:])
        output = np.concatenate(
            [
                np.tensordot(group_kernels, group_windows, ((1, 2, 3), (0, 2, 4)))
                for group_kernels, group_windows in zip(kernels_of_group, windows_of_group, strict=True)
            ]
        )
        if self.bias is not None:
            output += self.bias.astype(output.dtype)[:, None, None]
        return output

    @np.errstate(invalid="ignore", over="ignore")
    def explain(self, x: npt.ArrayLike, position: Position) -> ConvExplanation:
        """Take the output cell `position` (c, i, j) apart; `IndexError` if there is none."""
        channels_read = self.weight.shape[1]
        first = position[0] // (self.out_channels // self.groups) * channels_read
        channels = range(first, first + channels_read)
        window = self._window(x, position, channels)
        return dot_product(window, self.applied_weight[position[0]], self.bias)


class _Pool(Layer):
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
        pads = pair(padding, "padding", least=0)
        for name, size, pad in zip(AXIS_NAMES, kernel, pads, strict=True):
            most = max_padding(1, kernel_size=size)
            if pad > most:
                raise ShapeError(
                    f"{name}: pooling padding {pad} is more than half the kernel size {size}; at most {most} would fit."
                )
        assign(
            self,
            kernel_size=kernel,
            stride=kernel if stride is None else pair(stride, "stride"),
            padding=pads,
            ceil_mode=bool(ceil_mode),
        )

    @property
    def _dilation(self) -> Pair:
        return 1, 1

    def _axes(self, height: int, width: int) -> Axes:
        vertical, horizontal = (
            cached_axis(size, k, s, d, pad, pad, self.ceil_mode, name=name)
            for name, size, k, s, d, pad in zip(
                AXIS_NAMES, (height, width), self.kernel_size, self.stride, self._dilation, self.padding, strict=True
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

    _padding_value: ClassVar[float] = -np.inf

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self._assign_window(kernel_size, stride, padding, ceil_mode)
        assign(self, dilation=pair(dilation, "dilation"), return_indices=bool(return_indices))

    @property
    def _dilation(self) -> Pair:
        return self.dilation

    def forward(self, x: npt.ArrayLike) -> FloatArray | Any:
        """Return the maxima (C, H, W), or the pair (maxima, indices) if `return_indices`.

        The type names `Any` because a type checker cannot see which of the two it is.
        """
        if self.return_indices:
            return self.forward_with_indices(x)
        array = floating(x)
        rows, cols = self.axes(array.shape)
        return _accumulate(np.maximum, _accumulate(np.maximum, array, rows, 1, -np.inf), cols, 2, -np.inf)

    def forward_with_indices(self, x: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
        """Return the maxima and the flat index row · W + column of each in its input channel, both (C, H, W).

        Ties and NaN as in torch on the CPU: the first of the greatest wins, or the last NaN. In a window that lies in
        the padding altogether the maximum is −∞ and the index, which means nothing, is torch's.
        """
        array = floating(x)
        rows, cols = self.axes(array.shape)
        first_rows, first_cols = (
            starts + -(np.minimum(starts, 0) // axis.dilation) * axis.dilation
            for axis, starts in ((rows, rows.taps[:, 0]), (cols, cols.taps[:, 0]))
        )
        input_indices = np.arange(rows.size * cols.size).reshape(rows.size, cols.size)
        row_maxima, row_indices = _choose(array, input_indices, cols, 2, first_cols)
        return _choose(row_maxima, row_indices, rows, 1, first_rows[:, None] * cols.size + first_cols)

    def forward_at(self, x: npt.ArrayLike, rows: Indices, cols: Indices) -> FloatArray:
        """Return only the maxima of the named output rows × columns, (C, len(rows), len(cols))."""
        maxima: FloatArray = self._windows_at(x, rows, cols).max(axis=(2, 4))
        return maxima

    def explain(self, x: npt.ArrayLike, position: Position) -> MaxExplanation:
        """Take the output cell `position` (c, i, j) apart; `IndexError` if there is none."""
        window = self._window(x, position)
        winner, tied = winning_tap(window["values"][0], window["is_padding"])
        result = -np.inf if winner is None else float(window["values"][0][winner])
        return MaxExplanation(**window, result=result, winner=winner, tied=tied)


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

    def __init__(
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
        assign(self, count_include_pad=bool(count_include_pad), divisor_override=divisor)

    def _counted(self, axis: Axis, taps: IntArray) -> BoolArray:
        margin = axis.pad_before if self.count_include_pad else 0
        return (taps >= -margin) & (taps < axis.size + margin)

    def _means(self, sums: FloatArray, axes: Axes, rows: Indices, cols: Indices) -> FloatArray:
        """Divide the sums of the named output rows × columns, in place."""
        divisors: int | IntArray
        if self.divisor_override is not None:
            divisors = self.divisor_override
        else:
            row_counts, col_counts = (
                self._counted(axis, axis.taps_at(positions)).sum(axis=-1)
                for axis, positions in zip(axes, (rows, cols), strict=True)
            )
            divisors = np.multiply.outer(row_counts, col_counts)
        return np.divide(sums, divisors, out=sums, casting="same_kind")

    @np.errstate(invalid="ignore", over="ignore")
    def forward(self, x: npt.ArrayLike) -> FloatArray:
        """Return the means (C, H, W) of `x` (C, H, W)."""
        array = floating(x)
        axes = rows, cols = self.axes(array.shape)
        sums = _accumulate(np.add, _accumulate(np.add, array, rows, 1, 0.0), cols, 2, 0.0)
        return self._means(sums, axes, range(rows.output_size), range(cols.output_size))

    @np.errstate(invalid="ignore", over="ignore")
    def forward_at(self, x: npt.ArrayLike, rows: Indices, cols: Indices) -> FloatArray:
        """Return only the means of the named output rows × columns, (C, len(rows), len(cols))."""
        sums: FloatArray = self._windows_at(x, rows, cols).sum(axis=(2, 4))
        return self._means(sums, self.axes(np.shape(x)), rows, cols)

    @np.errstate(invalid="ignore", over="ignore")
    def explain(self, x: npt.ArrayLike, position: Position) -> AvgExplanation:
        """Take the output cell `position` (c, i, j) apart; `IndexError` if there is none."""
        window = self._window(x, position)
        rows, cols = self.axes(np.shape(x))
        counted = self._counted(rows, window["rows"])[:, None] & self._counted(cols, window["cols"])
        total = float(window["values"].sum())
        divisor = int(counted.sum()) if self.divisor_override is None else self.divisor_override
        return AvgExplanation(**window, result=total / divisor, counted=counted, total=total, divisor=divisor)


class WholeInput(Layer):
    """A layer whose one window is as large as the input."""

    def _axes(self, height: int, width: int) -> Axes:
        return cached_axis(height, height, name=AXIS_NAMES[0]), cached_axis(width, width, name=AXIS_NAMES[1])


@dataclass(frozen=True)
class GlobalMaxPool2d(WholeInput):
    """Greatest value of each channel, `torch.nn.AdaptiveMaxPool2d(1)`."""

    def forward(self, x: npt.ArrayLike) -> FloatArray:
        """Return the maxima (C, 1, 1) of `x` (C, H, W)."""
        array = floating(x)
        self.axes(array.shape)
        maxima: FloatArray = array.max(axis=(1, 2), keepdims=True)
        return maxima

    def explain(self, x: npt.ArrayLike, position: Position) -> MaxExplanation:
        """Take the output cell `position` (c, 0, 0) apart; `IndexError` if there is none."""
        rows, cols = self.axes(np.shape(x))
        return MaxPool2d((rows.size, cols.size)).explain(x, position)


@dataclass(frozen=True)
class GlobalAvgPool2d(WholeInput):
    """Mean of each channel, `torch.nn.AdaptiveAvgPool2d(1)`."""

    @np.errstate(invalid="ignore", over="ignore")
    def forward(self, x: npt.ArrayLike) -> FloatArray:
        """Return the means (C, 1, 1) of `x` (C, H, W)."""
        array = floating(x)
        self.axes(array.shape)
        means: FloatArray = array.mean(axis=(1, 2), keepdims=True)
        return means

    def explain(self, x: npt.ArrayLike, position: Position) -> AvgExplanation:
        """Take the output cell `position` (c, 0, 0) apart; `IndexError` if there is none."""
        rows, cols = self.axes(np.shape(x))
        return AvgPool2d((rows.size, cols.size)).explain(x, position)


def assign(layer: object, **fields: object) -> None:
    """Set fields of a frozen dataclass from its own constructor."""
    for name, value in fields.items():
        object.__setattr__(layer, name, value)


def times(sizes: Sequence[int]) -> str:
    """Return sizes as people write them: 3×28×28."""
    return "×".join(map(str, sizes))


def one_cell_windows(height: int, width: int) -> Axes:
    """Return the axes of a window of one cell that visits every cell."""
    return cached_axis(height, 1, name=AXIS_NAMES[0]), cached_axis(width, 1, name=AXIS_NAMES[1])


def check_position(position: Position, output_shape: Shape) -> None:
    """Raise `IndexError` unless the output has this cell."""
    if len(position) != len(output_shape) or not all(
        0 <= at < size for at, size in zip(position, output_shape, strict=True)
    ):
        raise IndexError(f"There is no cell {tuple(position)} in an output of {times(output_shape)}.")


def floating(x: npt.ArrayLike) -> FloatArray:
    """Return `x` as it is if float32 or float64, otherwise in float64."""
    array = np.asarray(x)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _parameter(value: npt.ArrayLike, shape: tuple[int, ...], name: str) -> FloatArray:
    array = floating(value).copy()
    if array.shape != shape:
        raise ShapeError(f"{name} is {times(array.shape)}; this layer takes {times(shape)}.")
    array.flags.writeable = False
    return array


def _positions(positions: Indices, axis: Axis) -> IntArray:
    """Return output positions as an array; `IndexError` if one is outside."""
    array = np.asarray(positions, dtype=np.intp)
    outside = array[(array < 0) | (array >= axis.output_size)]
    if outside.size:
        raise IndexError(f"{axis.name}: there is no output {outside[0]}; the last one is {axis.output_size - 1}.")
    return array


def _accumulate(combine: np.ufunc, array: FloatArray, axis: Axis, dim: int, start: float) -> FloatArray:
    """Combine the taps of one axis, tap by tap: dimension `dim` shrinks to the axis's output size."""
    inputs = array.swapaxes(0, dim)
    shape = list(array.shape)
    shape[dim] = axis.output_size
    result = np.full(shape, start, dtype=array.dtype)
    outputs = result.swapaxes(0, dim)
    for tap in range(axis.kernel_size):
        reached, read = axis.reach(tap)
        combine(outputs[reached], inputs[read], out=outputs[reached])
    return result


def _choose(
    values: FloatArray, labels: IntArray, axis: Axis, dim: int, first_labels: IntArray
) -> tuple[FloatArray, IntArray]:
    """Return the maxima along one axis and their labels: of the first greatest value or the last NaN of the taps.

    `first_labels` stay where no tap exceeds −∞.
    """
    shape = list(values.shape)
    shape[dim] = axis.output_size
    maxima = np.full(shape, -np.inf, dtype=values.dtype)
    winners = np.broadcast_to(first_labels, shape).copy()
    candidates, candidate_labels = values.swapaxes(0, dim), np.broadcast_to(labels, values.shape).swapaxes(0, dim)
    best, best_labels = maxima.swapaxes(0, dim), winners.swapaxes(0, dim)
    for tap in range(axis.kernel_size):
        reached, read = axis.reach(tap)
        wins = (candidates[read] > best[reached]) | np.isnan(candidates[read])
        np.copyto(best[reached], candidates[read], where=wins)
        np.copyto(best_labels[reached], candidate_labels[read], where=wins)
    return maxima, winners
