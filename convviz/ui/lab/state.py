"""What the Lab shows, as frozen data, and the pure functions that change it. No Qt in here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import BatchNorm2d
from convviz.core.explain import FloatArray
from convviz.core.inputs import INPUTS, make_input
from convviz.core.kernels import make_kernel
from convviz.core.layers import AvgPool2d, Conv2d, Drawn, Layer, MaxPool2d, Shape
from convviz.core.presets import PRESETS
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.core.window import PaddingMode, Pair
from convviz.ui.lab import limits
from convviz.ui.lab.layer_text import LAYER_KINDS
from convviz.ui.lab.limits import MAX_INPUT, PARAMETERS, WindowLayer, parameter

Array: TypeAlias = NDArray[np.float64]
Operation: TypeAlias = Literal["conv", "max", "avg"]

MAX_CHANNELS = 64
"""The most channels of a ready-made input."""
MAX_MAPS = 512
"""The most output channels that a convolution is given by hand."""
MAX_UNITS = 4096
"""The most units that a linear layer is given by hand."""
MOST_CELLS = 2**24
"""The most cells that one layer's output may come to have by hand."""
MAX_SEED = 9999
RGB = 3


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
    """An input, a stack of at least one layer, and the layer that is stepped. Arrays are never written again."""

    source: Source
    input: Array  # (C, H, W), the stack's input shape
    stack: Stack
    current: int = 0
    kernel_seed: int = 0  # of the random kernel drawn last
    aside: Conv2d | None = None  # the convolution that pooling took the place of, so that it can come back

    @property
    def size(self) -> Pair:
        """Rows and columns of the input."""
        return int(self.input.shape[1]), int(self.input.shape[2])

    @property
    def channels(self) -> int:
        """Channels of the input."""
        return int(self.input.shape[0])

    @property
    def layer(self) -> Layer:
        """The layer that is stepped."""
        return self.stack.layers[self.current]

    @property
    def input_shape(self) -> Shape | None:
        """The shape of what the current layer reads, None where an earlier layer does not fit."""
        shapes = self.stack.shapes
        return shapes[self.current] if self.current < len(shapes) else None

    @property
    def window_size(self) -> Pair | None:
        """Rows and columns of what the current layer's window moves over; None where it has no window to be set."""
        shape = self.input_shape
        if shape is None or len(shape) != 3 or not limits.has_window(self.layer):
            return None
        return shape[1], shape[2]

    @property
    def operation(self) -> Operation | None:
        """The current layer as one of the operations that take each other's place, None for another layer."""
        kinds: tuple[tuple[type[Layer], Operation], ...] = ((Conv2d, "conv"), (MaxPool2d, "max"), (AvgPool2d, "avg"))
        return next((operation for kind, operation in kinds if isinstance(self.layer, kind)), None)


def initial_state() -> LabState:
    """Return the state of a first start: a blob under Sobel x, padding 1, stride 2."""
    weight = make_kernel("sobel_x", (3, 3))[None, None]
    conv = Conv2d(1, 1, 3, stride=2, padding=1, weight=weight, bias=[1.0])
    return LabState(Source("blob"), make_input("blob", (7, 7)), Stack((1, 7, 7), [conv]))


# ---- the current layer


def with_layer(state: LabState, layer: Layer) -> LabState:
    """Return the state with another layer in the current one's place; the layers behind follow its channels."""
    return replace(state, stack=state.stack.replace(state.current, layer).fitted())


def window_of(state: LabState) -> WindowLayer:
    """Return the current layer, which must have a window to be set."""
    layer = state.layer
    assert isinstance(layer, (Conv2d, MaxPool2d, AvgPool2d))
    return layer


def conv_of(state: LabState) -> Conv2d:
    """Return the current layer, which must be a convolution."""
    layer = state.layer
    assert isinstance(layer, Conv2d)
    return layer


def _with_legal(state: LabState, layer: WindowLayer) -> LabState:
    size = state.window_size
    return with_layer(state, layer if size is None else limits.legal(layer, size, state.kernel_seed))


def with_parameter(state: LabState, name: str, value: Pair) -> LabState:
    """Return the state with another of the window's ``PARAMETERS``."""
    layer = window_of(state)
    if name == "kernel_size" and isinstance(layer, Conv2d):
        return with_layer(state, limits.with_kernel_size(layer, value, state.kernel_seed))
    changed: dict[str, Any] = {name: value}
    return with_layer(state, layer.changed(**changed))


def with_padding(state: LabState, padding: Pair | Literal["same"]) -> LabState:
    """Return the state with another padding of the convolution; "same" brings the stride to 1."""
    layer = conv_of(state)
    if padding == "same":
        return _with_legal(state, layer.changed(padding="same", stride=1))
    return _with_legal(state, layer.changed(padding=padding))


def with_padding_mode(state: LabState, mode: PaddingMode) -> LabState:
    """Return the state with other numbers in the convolution's padding."""
    return _with_legal(state, conv_of(state).changed(padding_mode=mode))


def with_switch(state: LabState, name: str, on: bool) -> LabState:
    """Return the state with one of the layer's switches (flip, ceil_mode, count_include_pad) on or off."""
    changed: dict[str, Any] = {name: on}
    return _with_legal(state, window_of(state).changed(**changed))


def with_kernel(state: LabState, kind: str, out_channel: int = 0, seed: int = 0) -> LabState:
    """Return the state with a known kernel on every input channel of one output channel."""
    layer = conv_of(state)
    weight = layer.weight.astype(np.float64)
    weight[out_channel] = make_kernel(kind, layer.kernel_size, seed)
    return replace(with_layer(state, layer.changed(weight=weight)), kernel_seed=seed)


def with_weight(state: LabState, weight: FloatArray) -> LabState:
    """Return the state with other weights (out_channels, in_channels / groups, kh, kw) of the convolution."""
    layer = conv_of(state).changed(kernel_size=weight.shape[2:], weight=weight)
    return _with_legal(state, layer)


def with_units_weight(state: LabState, weight: FloatArray) -> LabState:
    """Return the state with other weights (out_features, in_features) of the linear layer."""
    assert isinstance(state.layer, Linear)
    return with_layer(state, state.layer.changed(weight=weight))


def with_bias(state: LabState, out_channel: int, value: float) -> LabState:
    """Return the state with another bias of one output channel, or unit, of the current layer."""
    layer = state.layer
    assert isinstance(layer, (Conv2d, Linear))
    count = layer.out_channels if isinstance(layer, Conv2d) else layer.out_features
    bias = np.zeros(count) if layer.bias is None else layer.bias.astype(np.float64)
    bias[out_channel] = value
    return with_layer(state, layer.changed(bias=bias))


def with_out_channels(state: LabState, count: int) -> LabState:
    """Return the state with another number of output channels; the groups become what divides them."""
    layer = conv_of(state)
    groups = int(np.gcd(layer.groups, count))
    if groups != layer.groups:
        layer = layer.regrouped(layer.in_channels, groups)
    return with_layer(state, limits.with_out_channels(layer, count))


def with_groups(state: LabState, groups: int) -> LabState:
    """Return the state with the convolution's channels in other groups."""
    layer = conv_of(state)
    return with_layer(state, layer.regrouped(layer.in_channels, groups))


def with_units(state: LabState, count: int) -> LabState:
    """Return the state with another number of units of the linear layer, drawn anew."""
    assert isinstance(state.layer, Linear)
    drawn = Drawn(state.current)
    bias = None if state.layer.arrays["bias"] is None else drawn
    return with_layer(state, state.layer.changed(out_features=count, weight=drawn, bias=bias))


def with_operation(state: LabState, operation: Operation) -> LabState:
    """Return the state with another operation, keeping kernel size, stride and padding where they are legal.

    A layer without a window gives way to one with the window that a new layer has.
    """
    layer, shape = state.layer, state.input_shape
    if state.operation == operation or shape is None:
        return state
    if not isinstance(layer, (Conv2d, MaxPool2d, AvgPool2d)):
        return with_layer(state, new_layer(operation, shape, state.current))
    kernel, stride, padding, dilation = (parameter(layer, name) for name in PARAMETERS)
    if limits.is_same(layer):
        padding = _pairwise(lambda k, d: d * (k - 1) // 2, kernel, dilation)
    half_kernel = kernel[0] // 2, kernel[1] // 2
    aside = layer if isinstance(layer, Conv2d) else state.aside
    state = replace(state, aside=aside)
    match operation:
        case "conv":
            if aside is None or aside.in_channels != shape[0]:
                aside = _first_conv(shape[0], kernel)
            conv = limits.with_kernel_size(aside.changed(padding=0), kernel, state.kernel_seed)
            return _with_legal(state, conv.changed(stride=stride, padding=padding, dilation=dilation))
        case "max":
            padding = _pairwise(min, padding, half_kernel)
            return _with_legal(state, MaxPool2d(kernel, stride, padding, dilation, ceil_mode=_ceils(layer)))
        case "avg":
            padding = _pairwise(min, padding, half_kernel)
            return _with_legal(state, AvgPool2d(kernel, stride, padding, ceil_mode=_ceils(layer)))


def _pairwise(function: Callable[[int, int], int], one: Pair, other: Pair) -> Pair:
    return function(one[0], other[0]), function(one[1], other[1])


def _ceils(layer: WindowLayer) -> bool:
    return not isinstance(layer, Conv2d) and layer.ceil_mode


# ---- the stack


def new_layer(kind: str, input_shape: Shape, seed: int) -> Layer:
    """Return a layer of a kind (a key of ``LAYER_KINDS``) as it is added behind an output of this shape."""
    match kind:
        case "conv":
            return _first_conv(input_shape[0], _fitting(3, input_shape))
        case "max":
            return MaxPool2d(_fitting(2, input_shape))
        case "avg":
            return AvgPool2d(_fitting(2, input_shape))
        case "batch_norm":
            return BatchNorm2d(input_shape[0])
        case "linear":
            return Linear(int(np.prod(input_shape)), 10, weight=Drawn(seed), bias=Drawn(seed))
        case _:
            return LAYER_KINDS[kind]()


def _first_conv(in_channels: int, kernel_size: Pair) -> Conv2d:
    weight = np.broadcast_to(make_kernel("sobel_x", kernel_size), (1, in_channels, *kernel_size))
    return Conv2d(in_channels, 1, kernel_size, weight=weight, bias=[0.0])


def _fitting(kernel_size: int, input_shape: Shape) -> Pair:
    rows, cols = input_shape[1:] if len(input_shape) == 3 else (1, 1)
    return min(kernel_size, rows), min(kernel_size, cols)


def with_added_layer(state: LabState, kind: str) -> LabState:
    """Return the state with a new layer behind the current one, which it becomes; a linear one brings its Flatten."""
    stack, at = state.stack, state.current + 1
    shape = stack.shapes[at] if at < len(stack.shapes) else stack.shapes[-1]
    if kind == "linear" and len(shape) == 3:
        stack, at = stack.insert(at, Flatten()), at + 1
    stack = stack.insert(at, new_layer(kind, shape, at))
    return replace(state, stack=stack.fitted(), current=at)


def without_layer(state: LabState, index: int) -> LabState:
    """Return the state without a layer; the last one left stays."""
    if len(state.stack.layers) == 1:
        return state
    stack = state.stack.remove(index).fitted()
    current = state.current - (state.current > index)
    return replace(state, stack=stack, current=min(current, len(stack.layers) - 1))


def with_duplicate(state: LabState, index: int) -> LabState:
    """Return the state with a layer once more behind itself."""
    return replace(state, stack=state.stack.duplicate(index).fitted(), current=index + 1)


def with_moved_layer(state: LabState, index: int, new_index: int) -> LabState:
    """Return the state with a layer at another place; it becomes the current one."""
    return replace(state, stack=state.stack.move(index, new_index).fitted(), current=new_index)


def with_switched_layer(state: LabState, index: int, on: bool) -> LabState:
    """Return the state with a layer switched on or off."""
    return replace(state, stack=state.stack.switch(index, on).fitted())


def with_preset(state: LabState, key: str) -> LabState:
    """Return the state with one of the ready-made stacks (a key of ``PRESETS``) and an input made for it."""
    kinds = {"four_layers": "letter", "dilations": "blob", "lenet5": "letter"}
    stack = PRESETS[key]()
    channels, *size = stack.input_shape
    kind = kinds.get(key, "blob")
    values = make_input(kind, (size[0], size[1]), 0, channels)
    return LabState(Source(kind), values, stack, _last_window(stack) if key in kinds else 0)


def _last_window(stack: Stack) -> int:
    return max(index for index, layer in enumerate(stack.layers) if limits.has_window(layer))


def with_stack(state: LabState, stack: Stack) -> LabState:
    """Return the state with another stack; where the input does not have its shape, one of the same kind is made.

    Raises:
        RefusalError: the stack is empty, or its input is larger than the Lab can show.

    """
    channels, height, width = stack.input_shape
    if not stack.layers:
        raise RefusalError("This stack has no layers. One or more are accepted.")
    if channels > MAX_CHANNELS or max(height, width) > MAX_INPUT:
        raise RefusalError(
            "This stack takes an input of {channels}×{height}×{width}. The Lab shows up to {most}×{side}×{side}.",
            channels=channels,
            height=height,
            width=width,
            most=MAX_CHANNELS,
            side=MAX_INPUT,
        )
    if state.input.shape == stack.input_shape:
        return LabState(state.source, state.input, stack)
    kind = state.source.kind if state.source.kind in INPUTS else "blob"
    values = make_input(kind, (height, width), state.source.seed, channels)
    return LabState(Source(kind, state.source.seed), values, stack)


# ---- the input


def with_input(state: LabState, values: Array, source: Source) -> LabState:
    """Return the state with another input; the first layer's parameters become smaller where they must."""
    stack = state.stack
    if values.shape != stack.input_shape:
        stack = stack.with_input_shape(values.shape).fitted()
        first = stack.layers[0]
        if isinstance(first, (Conv2d, MaxPool2d, AvgPool2d)):
            stack = stack.replace(0, limits.legal(first, values.shape[1:], state.kernel_seed)).fitted()
    return replace(state, input=values, source=source, stack=stack)


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


def with_input_channels(state: LabState, channels: int) -> LabState:
    """Return the state with another number of input channels; hand-made ones are repeated or left out."""
    if state.source.kind in INPUTS:
        return with_made_input(state, state.source.kind, state.size, state.source.seed, channels)
    values = np.take(state.input, range(channels), axis=0, mode="wrap")
    return with_input(state, values, replace(state.source, kind="custom", picture=b""))
