"""States of the Lab that its user can reach, by way of the changes that its controls make."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import BatchNorm2d, ReLU, Sigmoid
from convviz.core.inputs import INPUTS
from convviz.core.kernels import KERNELS
from convviz.core.layers import AvgPool2d, Conv2d, Drawn, GlobalAvgPool2d, MaxPool2d
from convviz.core.stack import Stack
from convviz.core.window import PaddingMode, Pair
from convviz.ui.lab import limits
from convviz.ui.lab import state as lab
from convviz.ui.lab.layer_text import LAYER_KINDS
from convviz.ui.lab.limits import PARAMETERS, Range, WindowLayer
from convviz.ui.lab.state import LabState

PADDING_MODES: tuple[PaddingMode, ...] = ("zeros", "reflect", "replicate", "circular")
LARGEST_SIDE = 16
MOST_LAYERS = 7
MOST_PRODUCTS = 10**6
MOST_CELLS = 20_000

Change = Callable[[st.DrawFn, LabState], LabState]


def within(draw: st.DrawFn, span: Range) -> int:
    """A number of a range, its ends more often than others."""
    return draw(st.sampled_from([span.least, span.most]) | st.integers(span.least, span.most))


def sizes(most: int = LARGEST_SIDE) -> st.SearchStrategy[Pair]:
    return st.tuples(st.integers(1, most), st.integers(1, most))


# ---- the window


def settable(layer: WindowLayer) -> list[str]:
    """The parameters of a window that its user can set."""
    fixed = {"padding"} if limits.is_same(layer) else {"dilation"} if isinstance(layer, AvgPool2d) else set()
    return [name for name in PARAMETERS if name not in fixed]


def window_ranges(state: LabState) -> Iterator[tuple[str, int, Range]]:
    """Every parameter of the current layer's window that can be set, on both axes, with its range."""
    layer, size = state.layer, state.window_size
    if size is not None and isinstance(layer, WindowLayer):
        for axis in (0, 1):
            found = limits.ranges(layer, size, axis)
            for name in settable(layer):
                yield name, axis, getattr(found, name)


def with_parameter(state: LabState, name: str, axis: int, value: int) -> LabState:
    """The state with one parameter on one axis replaced."""
    pair = list(limits.parameter(lab.window_of(state), name))
    pair[axis] = value
    return lab.with_parameter(state, name, (pair[0], pair[1]))


def _parameter(draw: st.DrawFn, state: LabState) -> LabState:
    found = list(window_ranges(state))
    if not found:
        return state
    name, axis, span = draw(st.sampled_from(found))
    value = limits.parameter(lab.window_of(state), name)[axis]
    span = Range(min(span.least, value), max(span.most, value))  # as the boxes have it where a layer does not fit
    return with_parameter(state, name, axis, within(draw, span))


def _operation(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.with_operation(state, draw(st.sampled_from(["conv", "max", "avg"])))


def _padding_kind(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.with_padding(state, draw(st.sampled_from(["same", (0, 0), (1, 2)]))) if is_conv(state) else state


def _padding_mode(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.with_padding_mode(state, draw(st.sampled_from(PADDING_MODES))) if is_conv(state) else state


def _switch(draw: st.DrawFn, state: LabState) -> LabState:
    names = {Conv2d: ["flip"], MaxPool2d: ["ceil_mode"], AvgPool2d: ["ceil_mode", "count_include_pad"]}
    found = names.get(type(state.layer))
    return lab.with_switch(state, draw(st.sampled_from(found)), draw(st.booleans())) if found else state


# ---- weights


def is_conv(state: LabState) -> bool:
    return isinstance(state.layer, Conv2d)


def whole_numbers(draw: st.DrawFn, shape: tuple[int, ...]) -> lab.Array:
    return np.random.default_rng(draw(st.integers(0, 99))).integers(-3, 4, shape).astype(np.float64)


def _kernel(draw: st.DrawFn, state: LabState) -> LabState:
    if not is_conv(state):
        return state
    out_channel = draw(st.integers(0, lab.conv_of(state).out_channels - 1))
    return lab.with_kernel(state, draw(st.sampled_from(list(KERNELS))), out_channel, draw(st.integers(0, 9)))


def _weight(draw: st.DrawFn, state: LabState) -> LabState:
    layer = state.layer
    if isinstance(layer, Linear):
        return lab.with_units_weight(state, whole_numbers(draw, (layer.out_features, layer.in_features)))
    if not isinstance(layer, Conv2d):
        return state
    shape = (layer.out_channels, layer.in_channels // layer.groups, *draw(sizes(6)))
    return lab.with_weight(state, whole_numbers(draw, shape))


def _bias(draw: st.DrawFn, state: LabState) -> LabState:
    layer = state.layer
    if not isinstance(layer, (Conv2d, Linear)):
        return state
    count = layer.out_channels if isinstance(layer, Conv2d) else layer.out_features
    return lab.with_bias(state, draw(st.integers(0, count - 1)), float(draw(st.integers(-2, 2))))


def _out_channels(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.with_out_channels(state, draw(st.integers(1, 6))) if is_conv(state) else state


def _groups(draw: st.DrawFn, state: LabState) -> LabState:
    if not is_conv(state):
        return state
    layer = lab.conv_of(state)
    common = math.gcd(layer.in_channels, layer.out_channels)
    return lab.with_groups(state, draw(st.sampled_from([k for k in range(1, common + 1) if common % k == 0])))


def _units(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.with_units(state, draw(st.integers(1, 12))) if isinstance(state.layer, Linear) else state


# ---- the input


def _made_input(draw: st.DrawFn, state: LabState) -> LabState:
    kind, seed = draw(st.sampled_from(list(INPUTS))), draw(st.integers(0, 9))
    return lab.with_made_input(state, kind, draw(sizes()), seed, draw(st.sampled_from([1, 3])))


def _custom_input(draw: st.DrawFn, state: LabState) -> LabState:
    shape = (draw(st.sampled_from([1, 3])), *draw(sizes()))
    return lab.with_input(state, whole_numbers(draw, shape), lab.Source("custom"))


def _input_size(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.with_input_size(state, draw(sizes()))


def _input_channels(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.with_input_channels(state, draw(st.integers(1, 4)))


# ---- the stack


def _add(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.with_added_layer(state, draw(st.sampled_from(list(LAYER_KINDS))))


def _any_index(draw: st.DrawFn, state: LabState) -> int:
    return draw(st.integers(0, len(state.stack.layers) - 1))


def _remove(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.without_layer(state, _any_index(draw, state))


def _duplicate(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.with_duplicate(state, _any_index(draw, state))


def _move(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.with_moved_layer(state, _any_index(draw, state), _any_index(draw, state))


def _switch_layer(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.with_switched_layer(state, _any_index(draw, state), draw(st.booleans()))


def _preset(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.with_preset(state, draw(st.sampled_from(["four_layers", "dilations", "lenet5"])))


def _current(draw: st.DrawFn, state: LabState) -> LabState:
    return replace(state, current=_any_index(draw, state))


WINDOW_CHANGES: tuple[Change, ...] = (
    _parameter,
    _kernel,
    _weight,
    _bias,
    _operation,
    _padding_kind,
    _padding_mode,
    _switch,
)
LAYER_CHANGES: tuple[Change, ...] = (*WINDOW_CHANGES, _out_channels, _groups, _units)
INPUT_CHANGES: tuple[Change, ...] = (_made_input, _custom_input, _input_size)
STACK_INPUT_CHANGES: tuple[Change, ...] = (*INPUT_CHANGES, _input_channels)
STACK_CHANGES: tuple[Change, ...] = (_add, _remove, _duplicate, _move, _switch_layer, _preset)


def starts() -> st.SearchStrategy[LabState]:
    """The first state, and stacks of several layers with several channels, groups and vectors."""
    drawn = Drawn(3)
    conv = Conv2d(1, 4, 3, padding=1, weight=drawn, bias=drawn)
    depthwise = Conv2d(4, 4, 3, groups=4, weight=drawn, bias=drawn)
    in_pairs = Conv2d(4, 6, (1, 2), (2, 1), groups=2, padding_mode="circular", weight=drawn)
    dense = [Flatten(), Linear(16, 5, weight=drawn, bias=drawn), Sigmoid(), Linear(5, 2, weight=drawn)]
    first = lab.initial_state()
    stacks = [
        Stack((1, 7, 7), [conv, ReLU(), depthwise, MaxPool2d(2)]),
        Stack((4, 6, 5), [in_pairs, BatchNorm2d(6), AvgPool2d(2, 1), Conv2d(6, 3, 1, weight=drawn), GlobalAvgPool2d()]),
        Stack((1, 6, 6), [conv, MaxPool2d(3, ceil_mode=True), *dense]),
        Stack((1, 2, 2), dense).fitted(),
    ]
    return st.sampled_from([first, *(lab.with_stack(first, stack) for stack in stacks)])


def affordable(state: LabState) -> bool:
    """Whether a test can compute it many times."""
    return (
        len(state.stack.layers) <= MOST_LAYERS
        and state.stack.multiply_adds <= MOST_PRODUCTS
        and max(map(math.prod, state.stack.shapes)) <= MOST_CELLS
    )


@st.composite
def after(draw: st.DrawFn, changes: tuple[Change, ...], state: LabState) -> LabState:
    """The state after one of the changes, or as it was where that would be too large for a test."""
    result = draw(st.sampled_from(changes))(draw, state)
    return result if affordable(result) else state


@st.composite
def changed(draw: st.DrawFn, state: LabState) -> LabState:
    """A state of one window layer after one change; every second one is a step of a parameter."""
    change = draw(st.just(_parameter) | st.sampled_from((*WINDOW_CHANGES, *INPUT_CHANGES)))
    return change(draw, state)


@st.composite
def stack_changed(draw: st.DrawFn, state: LabState) -> LabState:
    """A state of any stack after one change."""
    changes = draw(st.sampled_from([LAYER_CHANGES, STACK_INPUT_CHANGES, STACK_CHANGES, (_current,)]))
    return draw(after(changes, state))


@st.composite
def states(draw: st.DrawFn, most_changes: int = 8) -> LabState:
    """The first state after some changes: one convolution or pooling on 1 or 3 channels."""
    state = lab.initial_state()
    for _ in range(draw(st.integers(0, most_changes))):
        state = draw(changed(state))
    return state


@st.composite
def stack_states(draw: st.DrawFn, most_changes: int = 12) -> LabState:
    """A start after some changes: any stack, any layer of it the current one."""
    state = draw(starts())
    for _ in range(draw(st.integers(0, most_changes))):
        state = draw(stack_changed(state))
    return state


def same_state(one: LabState, other: LabState) -> bool:
    """Whether two states agree in everything."""
    names = [name for name in LabState.__dataclass_fields__ if name != "input"]
    return all(getattr(one, name) == getattr(other, name) for name in names) and np.array_equal(one.input, other.input)


def check(state: LabState) -> None:
    """A state that can be shown: its layers run up to the first that does not fit."""
    stack = state.stack
    assert state.input.shape == stack.input_shape
    assert 0 <= state.current < len(stack.layers)
    assert (stack.problem is None) == (len(stack.shapes) == len(stack.layers) + 1)
    assert [output.shape for output in stack.forward(state.input)] == list(stack.shapes[1:])
