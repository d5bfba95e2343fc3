"""Between which numbers the parameters of a window may be, so that no control reaches a misfit. No Qt in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from convviz.core.explain import FloatArray
from convviz.core.kernels import make_kernel, recognise
from convviz.core.layers import AvgPool2d, Conv2d, Drawn, Layer, MaxPool2d
from convviz.core.window import PaddingMode, Pair, max_dilation, max_kernel_size, max_padding, min_padding

WindowLayer: TypeAlias = Conv2d | MaxPool2d | AvgPool2d

MAX_INPUT = 512
MAX_KERNEL = 15
MAX_STRIDE = 16
MAX_PADDING = 16
MAX_DILATION = 16

PARAMETERS = ("kernel_size", "stride", "padding", "dilation")
"""The parameters of a window, each a pair for rows and columns."""


def has_window(layer: Layer) -> bool:
    """Whether a layer's window has parameters: a convolution, or max or average pooling."""
    return isinstance(layer, (Conv2d, MaxPool2d, AvgPool2d))


def is_pooling(layer: Layer) -> bool:
    """Whether a layer is max or average pooling with a window of its own."""
    return isinstance(layer, (MaxPool2d, AvgPool2d))


def is_same(layer: Layer) -> bool:
    """Whether the padding follows the kernel and keeps the size."""
    return isinstance(layer, Conv2d) and layer.padding == "same"


def parameter(layer: WindowLayer, name: str) -> Pair:
    """Return a parameter of the window by name; the padding in cells, before the input where the sides differ."""
    if name == "padding" and isinstance(layer, Conv2d):
        (top, _), (left, _) = layer.padding_sides
        return top, left
    if name == "dilation" and isinstance(layer, AvgPool2d):
        return 1, 1
    row, col = getattr(layer, name)
    return int(row), int(col)


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


@dataclass
class _AxisValues:
    """The parameters of a window on one axis, to be looked at or made to fit."""

    kernel: int
    stride: int
    padding: int
    dilation: int
    same: bool
    pooling: bool
    fixed_dilation: bool
    ceil_mode: bool
    mode: PaddingMode

    @property
    def amount(self) -> int | Literal["same"]:
        """The padding as the limits take it."""
        return "same" if self.same else self.padding

    def most_kernel(self, size: int) -> int:
        """Return the greatest kernel that fits."""
        return max_kernel_size(
            size,
            padding=self.amount,
            dilation=self.dilation,
            stride=self.stride,
            ceil_mode=self.ceil_mode,
            padding_mode=self.mode,
        )

    def most_dilation(self, size: int) -> int:
        """Return the greatest dilation that fits."""
        return max_dilation(
            size,
            kernel_size=self.kernel,
            padding=self.amount,
            stride=self.stride,
            ceil_mode=self.ceil_mode,
            padding_mode=self.mode,
        )


def _axis_values(layer: WindowLayer, axis: int) -> _AxisValues:
    kernel, stride, padding, dilation = (parameter(layer, name)[axis] for name in PARAMETERS)
    return _AxisValues(
        kernel,
        stride,
        padding,
        dilation,
        same=is_same(layer),
        pooling=is_pooling(layer),
        fixed_dilation=isinstance(layer, AvgPool2d),
        ceil_mode=not isinstance(layer, Conv2d) and layer.ceil_mode,
        mode=layer.padding_mode if isinstance(layer, Conv2d) else "zeros",
    )


def ranges(layer: WindowLayer, size: Pair, axis: int) -> Ranges:
    """Return what the parameters may be on axis 0 (rows) or 1 (columns) of an input of this size."""
    n, at = size[axis], _axis_values(layer, axis)
    span = at.dilation * (at.kernel - 1) + 1
    most_kernel, most_dilation = at.most_kernel(n), at.most_dilation(n)
    most_padding = max_padding(n, kernel_size=at.kernel if at.pooling else None, padding_mode=at.mode)
    if at.same:
        least_stride, least_padding = 1, 0
        asked = at.dilation * (at.kernel - 1)
        least_size = {"reflect": (asked + 1) // 2 + 1, "circular": (asked + 1) // 2}.get(at.mode, 1)
    else:
        least_stride = max(1, span - n - 2 * at.padding + 1)  # above 1 where only ceil_mode lets the window in
        least_padding = min_padding(
            n, kernel_size=at.kernel, dilation=at.dilation, stride=at.stride, ceil_mode=at.ceil_mode
        )
        least_size = max(1, span - 2 * at.padding - (at.stride - 1 if at.ceil_mode else 0))
        least_size = max(least_size, {"reflect": at.padding + 1, "circular": at.padding}.get(at.mode, 1))
    return Ranges(
        size=Range(max(1, least_size), MAX_INPUT, "size" if least_size > 1 else "one"),
        kernel_size=Range(
            max(1, 2 * at.padding) if at.pooling else 1,
            min(MAX_KERNEL, most_kernel),
            "half_kernel" if at.pooling and at.padding else "one",
            "fit" if most_kernel < MAX_KERNEL else "shown",
        ),
        stride=Range(
            least_stride,
            1 if at.same else MAX_STRIDE,
            "fit" if least_stride > 1 else "one",
            "same" if at.same else "shown",
        ),
        padding=Range(
            least_padding,
            min(MAX_PADDING, most_padding),
            "fit" if least_padding else "zero",
            ("half_kernel" if at.pooling else at.mode) if most_padding < MAX_PADDING else "shown",
        ),
        dilation=Range(
            1,
            1 if at.fixed_dilation else min(MAX_DILATION, max(1, most_dilation)),
            above="no_dilation" if at.fixed_dilation else "fit" if most_dilation < MAX_DILATION else "shown",
        ),
    )


def legal(layer: WindowLayer, size: Pair, kernel_seed: int = 0) -> WindowLayer:
    """Return the layer with the smallest changes that make every parameter fit an input of this size."""
    values = [_axis_values(layer, axis) for axis in (0, 1)]
    for n, at in zip(size, values, strict=True):
        if at.same:
            at.stride = 1
        at.kernel = min(at.kernel, MAX_KERNEL)
        at.padding = min(at.padding, MAX_PADDING, max_padding(n, padding_mode=at.mode))
        if at.pooling:
            at.padding = min(at.padding, at.kernel // 2)
        at.dilation = max(1, min(at.dilation, at.most_dilation(n)))
        at.kernel = min(at.kernel, at.most_kernel(n))
        if at.pooling:
            at.padding = min(at.padding, at.kernel // 2)
    rows, cols = values
    fitting: dict[str, Any] = {
        "kernel_size": (rows.kernel, cols.kernel),
        "stride": (rows.stride, cols.stride),
        "padding": "same" if rows.same else (rows.padding, cols.padding),
        "dilation": (rows.dilation, cols.dilation),
    }
    if isinstance(layer, Conv2d):
        return with_kernel_size(layer, fitting.pop("kernel_size"), kernel_seed).changed(**fitting)
    if isinstance(layer, AvgPool2d):
        del fitting["dilation"]
    return layer.changed(**fitting)


def kernel_name(layer: Conv2d, out_channel: int, seed: int = 0) -> str | None:
    """Return which known kernel an output channel has on all its input channels; None for one made by hand.

    "random" is known by the ``seed`` it was last drawn from.
    """
    if isinstance(layer.arrays["weight"], Drawn):
        return None
    first, *others = layer.weight[out_channel]
    if not all(np.array_equal(first, other) for other in others):
        return None
    drawn = make_kernel("random", layer.kernel_size, seed)
    return recognise(first) or ("random" if np.array_equal(first, drawn) else None)


def with_kernel_size(layer: Conv2d, size: Pair, seed: int = 0) -> Conv2d:
    """Return the convolution with another kernel size: known kernels are made anew, others cut or filled with 0."""
    if size == layer.kernel_size:
        return layer
    if isinstance(layer.arrays["weight"], Drawn):
        return layer.changed(kernel_size=size)
    weight = np.zeros((*layer.weight.shape[:2], *size))
    kh, kw = (min(pair) for pair in zip(size, layer.kernel_size, strict=True))
    weight[:, :, :kh, :kw] = layer.weight[:, :, :kh, :kw]
    for out_channel in range(layer.out_channels):
        known = kernel_name(layer, out_channel, seed)
        if known is not None:
            weight[out_channel] = make_kernel(known, size, seed)
    return layer.changed(kernel_size=size, weight=weight)


def with_out_channels(layer: Conv2d, count: int) -> Conv2d:
    """Return the convolution with another number of output channels; new ones get the classic kernels in turn."""
    kept = min(count, layer.out_channels)
    bias = _resized_bias(layer, kept, count)
    if isinstance(layer.arrays["weight"], Drawn):
        return layer.changed(out_channels=count, bias=bias)
    weight = np.empty((count, *layer.weight.shape[1:]))
    weight[:kept] = layer.weight[:kept]
    for out_channel in range(kept, count):
        weight[out_channel] = make_kernel(CLASSIC_KERNELS[out_channel % len(CLASSIC_KERNELS)], layer.kernel_size)
    return layer.changed(out_channels=count, weight=weight, bias=bias)


def _resized_bias(layer: Conv2d, kept: int, count: int) -> FloatArray | Drawn | None:
    given = layer.arrays["bias"]
    if not isinstance(given, np.ndarray):
        return given
    bias = np.zeros(count)
    bias[:kept] = given[:kept]
    return bias


CLASSIC_KERNELS = ("sobel_x", "sobel_y", "laplacian", "gaussian", "sharpen", "emboss", "outline", "box")
"""The kernels that new output channels get, so that more kernels make visibly different feature maps."""
