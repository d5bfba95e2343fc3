"""What the Lab shows, as frozen data, and the pure functions that change it. No Qt in here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convviz.core.inputs import INPUTS, make_input
from convviz.core.kernels import KERNELS, make_kernel, recognise
from convviz.core.layers import AvgPool2d, Conv2d, MaxPool2d
from convviz.core.window import Axis, PaddingMode, Pair, max_dilation, max_kernel_size, max_padding, min_padding

Array: TypeAlias = NDArray[np.float64]
Operation: TypeAlias = Literal["conv", "max", "avg"]
WindowLayer: TypeAlias = Conv2d | MaxPool2d | AvgPool2d

MAX_INPUT = 512
MAX_CHANNELS = 3
MAX_KERNEL = 15
MAX_STRIDE = 16
MAX_PADDING = 16
MAX_DILATION = 16
MAX_SEED = 9999
MAX_SEED = 9999


@dataclass(frozen=True)
class Source:
    """Where the input's numbers come from: a kind of ``INPUTS``, a "picture", or "custom" numbers."""

    kind: str = "blob"
    seed: int = 0
    picture: bytes = field(default=b"", repr=False)  # the encoded file, so that other sizes can be made from it
    path: str = ""  # where a picture was opened from
    is_brightness: bool = False  # the numbers come from a picture, edited or not, and are shown as one


@dataclass(frozen=True, eq=False)
class LabState:
    """An input, an operation and its parameters. Arrays are never written again.

    ``weight`` (1, C, kh, kw) is kept while pooling, so that switching back finds the kernel as it was.
    """

    source: Source
    input: Array  # (C, H, W)
    operation: Operation
    weight: Array
    bias: float
    kernel_size: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    same: bool = False  # convolution: padding follows the kernel and keeps the size
    dilation: Pair = (1, 1)
    padding_mode: PaddingMode = "zeros"
    flip: bool = False
    ceil_mode: bool = False
    count_include_pad: bool = True
    kernel: str = "custom"  # a key of KERNELS, or "custom"
    kernel_seed: int = 0

    @property
    def size(self) -> Pair:
        """Rows and columns of the input."""
        return int(self.input.shape[1]), int(self.input.shape[2])

    @property
    def channels(self) -> int:
        """Channels of the input."""
        return int(self.input.shape[0])

    @property
    def is_pooling(self) -> bool:
        """Whether the operation is max or average pooling."""
        return self.operation != "conv"

    @cached_property
    def layer(self) -> WindowLayer:
        """The operation as a layer of ``core``."""
        match self.operation:
            case "conv":
                return Conv2d(
                    self.channels,
                    1,
                    self.kernel_size,
                    stride=self.stride,
                    padding="same" if self.same else self.padding,
                    dilation=self.dilation,
                    padding_mode=self.padding_mode,
                    flip=self.flip,
                    weight=self.weight,
                    bias=np.array([self.bias]),
                )
            case "max":
                return MaxPool2d(
                    self.kernel_size,
                    stride=self.stride,
                    padding=self.padding,
                    dilation=self.dilation,
                    ceil_mode=self.ceil_mode,
                )
            case "avg":
                return AvgPool2d(
                    self.kernel_size,
                    stride=self.stride,
                    padding=self.padding,
                    ceil_mode=self.ceil_mode,
                    count_include_pad=self.count_include_pad,
                )

    @cached_property
    def axes(self) -> tuple[Axis, Axis]:
        """The window on the rows and on the columns."""
        return self.layer.axes(self.input.shape)


def initial_state() -> LabState:
    """Return the state of a first start: a blob, Sobel x, padding 1, stride 2."""
    weight = make_kernel("sobel_x", (3, 3))[None, None]
    return LabState(
        source=Source("blob"),
        input=make_input("blob", (7, 7)),
        operation="conv",
        weight=weight,
        bias=1.0,
        kernel_size=(3, 3),
        stride=(2, 2),
        padding=(1, 1),
        kernel="sobel_x",
    )


@dataclass(frozen=True)
class Range:
    """The values a parameter may take on one axis, and what bounds it on either side: keys of sentences."""

    least: int
    most: int
    below: str = "one"
    above: str = "shown"


@dataclass(frozen=True)
class Ranges:
    """The legal range of every parameter on one axis while the others stay as they are."""

    size: Range
    kernel_size: Range
    stride: Range
    padding: Range
    dilation: Range


def ranges(state: LabState, axis: int) -> Ranges:
    """Return what the parameters may be on axis 0 (rows) or 1 (columns), so that no control reaches a misfit."""
    size, kernel, stride = state.size[axis], state.kernel_size[axis], state.stride[axis]
    dilation, mode, pooling = state.dilation[axis], state.padding_mode, state.is_pooling
    mode = "zeros" if pooling else mode
    padding = state.padding[axis]
    amount: int | Literal["same", "valid"] = "same" if state.same else padding
    ceil_mode = state.ceil_mode and pooling
    span = dilation * (kernel - 1) + 1

    most_kernel = max_kernel_size(
        size, padding=amount, dilation=dilation, stride=stride, ceil_mode=ceil_mode, padding_mode=mode
    )
    most_dilation = max_dilation(
        size, kernel_size=kernel, padding=amount, stride=stride, ceil_mode=ceil_mode, padding_mode=mode
    )
    most_padding = max_padding(size, kernel_size=kernel if pooling else None, padding_mode=mode)
    if state.same:
        least_stride, least_padding = 1, 0
        asked = dilation * (kernel - 1)
        least_size = {"reflect": (asked + 1) // 2 + 1, "circular": (asked + 1) // 2}.get(mode, 1)
    else:
        least_stride = max(1, span - size - 2 * padding + 1)  # above 1 where only ceil_mode lets the window in
        least_padding = min_padding(size, kernel_size=kernel, dilation=dilation, stride=stride, ceil_mode=ceil_mode)
        least_size = max(1, span - 2 * padding - (stride - 1 if ceil_mode else 0))
        least_size = max(least_size, {"reflect": padding + 1, "circular": padding}.get(mode, 1))
    return Ranges(
        size=Range(max(1, least_size), MAX_INPUT, "size" if least_size > 1 else "one"),
        kernel_size=Range(
            max(1, 2 * padding) if pooling else 1,
            min(MAX_KERNEL, most_kernel),
            "half_kernel" if pooling and padding else "one",
            "fit" if most_kernel < MAX_KERNEL else "shown",
        ),
        stride=Range(
            least_stride,
            1 if state.same else MAX_STRIDE,
            "fit" if least_stride > 1 else "one",
            "same" if state.same else "shown",
        ),
        padding=Range(
            least_padding,
            min(MAX_PADDING, most_padding),
            "fit" if least_padding else "zero",
            ("half_kernel" if pooling else mode) if most_padding < MAX_PADDING else "shown",
        ),
        dilation=Range(
            1,
            1 if state.operation == "avg" else min(MAX_DILATION, max(1, most_dilation)),
            above="no_dilation" if state.operation == "avg" else "fit" if most_dilation < MAX_DILATION else "shown",
        ),
    )


def legal(state: LabState) -> LabState:
    """Return the state with the smallest changes that make every parameter fit the input and the operation."""
    kernel, padding = list(state.kernel_size), list(state.padding)
    dilation, stride = list(state.dilation), list(state.stride)
    same, ceil_mode = state.same and not state.is_pooling, state.ceil_mode and state.is_pooling
    mode: PaddingMode = "zeros" if state.is_pooling else state.padding_mode
    for axis in (0, 1):
        size = state.size[axis]
        if state.operation == "avg":
            dilation[axis] = 1
        if same:
            stride[axis] = 1
        kernel[axis] = min(kernel[axis], MAX_KERNEL)
        padding[axis] = min(padding[axis], MAX_PADDING, max_padding(size, padding_mode=mode))
        if state.is_pooling:
            padding[axis] = min(padding[axis], kernel[axis] // 2)
        amount: int | Literal["same", "valid"] = "same" if same else padding[axis]
        most = max_dilation(
            size,
            kernel_size=kernel[axis],
            padding=amount,
            stride=stride[axis],
            ceil_mode=ceil_mode,
            padding_mode=mode,
        )
        dilation[axis] = max(1, min(dilation[axis], most))
        most = max_kernel_size(
            size,
            padding=amount,
            dilation=dilation[axis],
            stride=stride[axis],
            ceil_mode=ceil_mode,
            padding_mode=mode,
        )
        kernel[axis] = min(kernel[axis], most)
        if state.is_pooling:
            padding[axis] = min(padding[axis], kernel[axis] // 2)
    result = replace(
        state,
        same=same,
        stride=(stride[0], stride[1]),
        padding=(padding[0], padding[1]),
        dilation=(dilation[0], dilation[1]),
    )
    return with_kernel_size(result, (kernel[0], kernel[1]))


def with_kernel_size(state: LabState, size: Pair) -> LabState:
    """Return the state with another kernel size: a known kernel is made anew, a custom one is cut or filled with 0."""
    if state.weight.shape[2:] != size and not state.is_pooling:
        state = replace(state, weight=_resized_weight(state, size))
    return replace(state, kernel_size=size)


def with_kernel(state: LabState, kind: str, seed: int = 0) -> LabState:
    """Return the state with a known kernel on every channel."""
    kernel = make_kernel(kind, state.kernel_size, seed)
    return replace(state, weight=_on_all_channels(kernel, state.channels), kernel=kind, kernel_seed=seed)


def with_weight(state: LabState, weight: Array) -> LabState:
    """Return the state with kernel values (1, C, kh, kw) made by hand."""
    first = weight[0, 0]
    kind = recognise(first) if all(np.array_equal(first, other) for other in weight[0, 1:]) else None
    return legal(replace(state, weight=weight, kernel_size=first.shape, kernel=kind or "custom"))


def with_input(state: LabState, values: Array, source: Source) -> LabState:
    """Return the state with another input; parameters that do not fit it any more are made smaller."""
    state = replace(state, input=values, source=source)
    if state.weight.shape[1] != state.channels:
        first = state.weight[:, :1]
        state = replace(state, weight=np.repeat(first, state.channels, axis=1))
    return legal(state)


def with_made_input(state: LabState, kind: str, size: Pair, seed: int, channels: int) -> LabState:
    """Return the state with a ready-made input."""
    return with_input(state, make_input(kind, size, seed, channels), Source(kind, seed))


def with_input_size(state: LabState, size: Pair) -> LabState:
    """Return the state with a ready-made input made anew, or custom numbers cut or filled with 0, at another size."""
    if state.source.kind in INPUTS:
        return with_made_input(state, state.source.kind, size, state.source.seed, state.channels)
    values = np.zeros((state.channels, *size))
    rows, cols = min(size[0], state.size[0]), min(size[1], state.size[1])
    values[:, :rows, :cols] = state.input[:, :rows, :cols]
    return with_input(state, values, replace(state.source, kind="custom", picture=b""))


def with_operation(state: LabState, operation: Operation) -> LabState:
    """Return the state with another operation, keeping kernel size, stride and padding where they are legal."""
    was_same = state.same and operation != "conv"
    if was_same:
        half = tuple(min(d * (k - 1) // 2, k // 2) for d, k in zip(state.dilation, state.kernel_size, strict=True))
        state = replace(state, same=False, padding=(half[0], half[1]))
    state = replace(state, operation=operation)
    if operation == "conv" and state.weight.shape[2:] != state.kernel_size:
        state = replace(state, weight=_resized_weight(state, state.kernel_size))
    return legal(state)


def _on_all_channels(kernel: Array, channels: int) -> Array:
    return np.broadcast_to(kernel, (1, channels, *kernel.shape)).copy()


def _resized_weight(state: LabState, size: Pair) -> Array:
    if state.kernel in KERNELS:
        return _on_all_channels(make_kernel(state.kernel, size, state.kernel_seed), state.channels)
    weight = np.zeros((1, state.channels, *size))
    kh, kw = min(size[0], state.weight.shape[2]), min(size[1], state.weight.shape[3])
    weight[:, :, :kh, :kw] = state.weight[:, :, :kh, :kw]
    return weight
