from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convviz.core.inputs import make_input
from convviz.core.kernels import make_kernel
from convviz.core.layers import Conv2d
from convviz.ui.lab import state as lab
from convviz.ui.lab.state import LabState
from tests.ui.lab.lab_cases import PARAMETERS, changed, check, same_state, states, with_parameter


@given(data=st.data())
@settings(max_examples=60)
def test_every_change_leads_to_a_state_that_can_be_shown(data: st.DataObject) -> None:
    state = lab.initial_state()
    for _ in range(10):
        state = data.draw(changed(state))
        check(state)


@given(state=states())
@settings(max_examples=60)
def test_both_ends_of_every_range_are_legal_while_the_rest_stays(state: LabState) -> None:
    for axis in (0, 1):
        limits = lab.ranges(state, axis)
        for value in (limits.size.least, limits.size.most):
            shape = [state.channels, *state.size]
            shape[1 + axis] = value
            assert min(state.layer.output_shape(shape)) >= 1
        for name in PARAMETERS:
            span = getattr(limits, name)
            for value in (span.least, span.most):
                other = with_parameter(state, name, axis, value)
                assert min(other.layer.output_shape(other.input.shape)) >= 1


@given(state=states())
@settings(max_examples=60)
def test_what_is_legal_is_left_alone(state: LabState) -> None:
    assert same_state(lab.legal(state), state)


@pytest.mark.parametrize("operation", ["max", "avg"])
def test_an_operation_keeps_kernel_size_stride_and_padding(operation: lab.Operation) -> None:
    state = lab.with_operation(lab.initial_state(), operation)
    assert (state.kernel_size, state.stride, state.padding) == ((3, 3), (2, 2), (1, 1))
    assert same_state(lab.with_operation(state, "conv"), lab.initial_state())


def test_the_kernel_comes_back_after_pooling_with_another_size() -> None:
    pooling = lab.with_kernel_size(lab.with_operation(lab.initial_state(), "max"), (5, 5))
    state = lab.with_operation(pooling, "conv")
    assert np.array_equal(state.weight[0, 0], make_kernel("sobel_x", (5, 5)))


def test_same_padding_becomes_the_nearest_that_pooling_allows() -> None:
    same = lab.legal(replace(lab.initial_state(), same=True))
    pooling = lab.with_operation(same, "max")
    assert (same.stride, pooling.same, pooling.padding) == ((1, 1), False, (1, 1))


def test_a_known_kernel_is_made_anew_at_another_size_and_a_custom_one_is_cut_or_filled() -> None:
    known = lab.with_kernel_size(lab.initial_state(), (5, 4))
    assert np.array_equal(known.weight[0, 0], make_kernel("sobel_x", (5, 4)))
    custom = lab.with_weight(lab.initial_state(), np.arange(1.0, 10.0).reshape(1, 1, 3, 3))
    grown = lab.with_kernel_size(custom, (2, 4))
    assert grown.weight.tolist() == [[[[1, 2, 3, 0], [4, 5, 6, 0]]]]


def test_values_that_make_a_known_kernel_take_its_name() -> None:
    box = lab.with_weight(lab.initial_state(), np.full((1, 1, 3, 3), 1 / 9))
    assert box.kernel == "box"
    assert lab.with_weight(box, box.weight * 2).kernel == "custom"


def test_a_ready_made_input_is_made_anew_at_another_size_and_a_custom_one_is_cut_or_filled() -> None:
    made = lab.with_input_size(lab.with_made_input(lab.initial_state(), "random", (5, 5), 7, 3), (6, 4))
    assert np.array_equal(made.input, make_input("random", (6, 4), 7, 3))
    custom = lab.with_input(lab.initial_state(), np.arange(9.0).reshape(1, 3, 3), lab.Source("custom"))
    assert lab.with_input_size(custom, (2, 4)).input.tolist() == [[[0, 1, 2, 0], [3, 4, 5, 0]]]


def test_a_window_that_only_ceil_mode_lets_in_bounds_the_stride() -> None:
    state = lab.with_made_input(lab.with_operation(lab.initial_state(), "max"), "ramp", (2, 2), 0, 1)
    state = replace(state, kernel_size=(3, 3), padding=(0, 0), stride=(2, 2), ceil_mode=True)
    assert lab.ranges(state, 0).stride.least == 2
    assert lab.legal(replace(state, ceil_mode=False)).kernel_size == (2, 2)


def test_the_layer_is_what_the_parameters_say() -> None:
    layer = lab.legal(replace(lab.initial_state(), same=True, flip=True)).layer
    assert isinstance(layer, Conv2d)
    assert (layer.padding, layer.flip, layer.in_channels, layer.out_channels) == ("same", True, 1, 1)
