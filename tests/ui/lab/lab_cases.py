"""States of the Lab that its user can reach, by way of the changes that its controls make."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from convviz.core.inputs import INPUTS
from convviz.core.kernels import KERNELS
from convviz.core.window import PaddingMode, Pair
from convviz.ui.lab import state as lab
from convviz.ui.lab.state import LabState, Range

PADDING_MODES: tuple[PaddingMode, ...] = ("zeros", "reflect", "replicate", "circular")
PARAMETERS = ("kernel_size", "stride", "padding", "dilation")
LIMITED = ("size", *PARAMETERS)
LARGEST_SIDE = 16

Change = Callable[[st.DrawFn, LabState], LabState]


def within(draw: st.DrawFn, limits: Range) -> int:
    """A number of a range, its ends more often than others."""
    return draw(st.sampled_from([limits.least, limits.most]) | st.integers(limits.least, limits.most))


def sizes(most: int = LARGEST_SIDE) -> st.SearchStrategy[Pair]:
    return st.tuples(st.integers(1, most), st.integers(1, most))


def with_parameter(state: LabState, name: str, axis: int, value: int) -> LabState:
    """The state with one parameter on one axis replaced and everything else as it is."""
    pair = list(getattr(state, name))
    pair[axis] = value
    if name == "kernel_size":
        return lab.with_kernel_size(state, (pair[0], pair[1]))
    fields: dict[str, Any] = {name: (pair[0], pair[1])}
    return replace(state, **fields)


def _parameter(draw: st.DrawFn, state: LabState) -> LabState:
    name, axis = draw(st.sampled_from(PARAMETERS)), draw(st.integers(0, 1))
    return with_parameter(state, name, axis, within(draw, getattr(lab.ranges(state, axis), name)))


def _kernel(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.with_kernel(state, draw(st.sampled_from(list(KERNELS))), draw(st.integers(0, 9)))


def _weight(draw: st.DrawFn, state: LabState) -> LabState:
    if state.is_pooling:
        return state
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return lab.with_weight(state, rng.integers(-3, 4, (1, state.channels, *draw(sizes(6)))).astype(np.float64))


def _made_input(draw: st.DrawFn, state: LabState) -> LabState:
    kind, seed = draw(st.sampled_from(list(INPUTS))), draw(st.integers(0, 9))
    return lab.with_made_input(state, kind, draw(sizes()), seed, draw(st.sampled_from([1, 3])))


def _custom_input(draw: st.DrawFn, state: LabState) -> LabState:
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    shape = (draw(st.sampled_from([1, 3])), *draw(sizes()))
    return lab.with_input(state, rng.integers(-3, 4, shape).astype(np.float64), lab.Source("custom"))


def _input_size(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.with_input_size(state, draw(sizes()))


def _operation(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.with_operation(state, draw(st.sampled_from(["conv", "max", "avg"])))


def _padding_kind(draw: st.DrawFn, state: LabState) -> LabState:
    if state.is_pooling:
        return state
    same = draw(st.booleans())
    return lab.legal(replace(state, same=same, padding=state.padding if same else (0, 0)))


def _padding_mode(draw: st.DrawFn, state: LabState) -> LabState:
    return lab.legal(replace(state, padding_mode=draw(st.sampled_from(PADDING_MODES))))


def _switches(draw: st.DrawFn, state: LabState) -> LabState:
    flip, ceil_mode, count = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    changed = replace(state, flip=flip, ceil_mode=ceil_mode, count_include_pad=count)
    return lab.legal(replace(changed, bias=float(draw(st.integers(-2, 2)))))


CHANGES: tuple[Change, ...] = (
    _parameter,
    _kernel,
    _weight,
    _made_input,
    _custom_input,
    _input_size,
    _operation,
    _padding_kind,
    _padding_mode,
    _switches,
)


@st.composite
def changed(draw: st.DrawFn, state: LabState) -> LabState:
    """`state` after one change; every second one is a step of a parameter."""
    change = draw(st.just(_parameter) | st.sampled_from(CHANGES))
    return change(draw, state)


@st.composite
def states(draw: st.DrawFn, most_changes: int = 8) -> LabState:
    """The first state after some changes."""
    state = lab.initial_state()
    for _ in range(draw(st.integers(0, most_changes))):
        state = draw(changed(state))
    return state


def same_state(one: LabState, other: LabState) -> bool:
    """Whether two states agree in everything."""
    names = [name for name in LabState.__dataclass_fields__ if name not in {"input", "weight"}]
    return (
        all(getattr(one, name) == getattr(other, name) for name in names)
        and np.array_equal(one.input, other.input)
        and np.array_equal(one.weight, other.weight)
    )


def check(state: LabState) -> None:
    """A state that can be shown: its layer runs, and every parameter lies in a range whose ends are legal."""
    output = state.layer.forward(state.input)
    assert np.shape(output) == state.layer.output_shape(state.input.shape)
    assert state.weight.shape[1] == state.channels
    for axis in (0, 1):
        limits = lab.ranges(state, axis)
        for name in LIMITED:
            span, value = getattr(limits, name), getattr(state, name)[axis]
            assert span.least <= value <= span.most, f"{name} {value} on axis {axis} is not in {span}"
