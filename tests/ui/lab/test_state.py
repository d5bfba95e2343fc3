from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import BatchNorm2d, ReLU
from convviz.core.inputs import make_input
from convviz.core.kernels import make_kernel
from convviz.core.layers import AvgPool2d, Conv2d, Drawn, GlobalAvgPool2d, Layer, MaxPool2d, Shape
from convviz.core.presets import PRESETS
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.ui.lab import limits
from convviz.ui.lab import state as lab
from convviz.ui.lab.layer_text import LAYER_KINDS, kind_of
from convviz.ui.lab.limits import kernel_name
from convviz.ui.lab.state import LabState
from tests.ui.lab.lab_cases import (
    changed,
    check,
    same_state,
    stack_changed,
    stack_states,
    states,
    window_ranges,
)


def stack_of(*layers: Layer, shape: tuple[int, int, int] = (1, 8, 8), current: int = 0) -> LabState:
    """A state of these layers."""
    return replace(lab.with_stack(lab.initial_state(), Stack(shape, layers)), current=current)


# ---- one operation


@given(data=st.data())
@settings(max_examples=60)
def test_every_change_of_one_operation_leads_to_one_that_fits_with_parameters_in_their_ranges(
    data: st.DataObject,
) -> None:
    state = lab.initial_state()
    for _ in range(10):
        state = data.draw(changed(state))
        check(state)
        assert state.stack.problem is None
        for name, axis, span in window_ranges(state):
            value = limits.parameter(lab.window_of(state), name)[axis]
            assert span.least <= value <= span.most, f"{name} {value} on axis {axis} is not in {span}"
        for axis in (0, 1):
            size = limits.ranges(lab.window_of(state), state.size, axis).size
            assert size.least <= state.size[axis] <= size.most


def test_the_first_state_in_numbers() -> None:
    state = lab.initial_state()
    assert (state.size, state.channels, state.current, state.operation) == ((7, 7), 1, 0, "conv")
    layer = lab.conv_of(state)
    assert (layer.kernel_size, layer.stride, layer.padding, kernel_name(layer, 0)) == (
        (3, 3),
        (2, 2),
        (1, 1),
        "sobel_x",
    )
    assert state.stack.shapes == ((1, 7, 7), (1, 4, 4))


@pytest.mark.parametrize("operation", ["max", "avg"])
def test_an_operation_keeps_kernel_size_stride_and_padding(operation: lab.Operation) -> None:
    state = lab.with_operation(lab.initial_state(), operation)
    layer = lab.window_of(state)
    assert (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (2, 2), (1, 1))
    assert state.operation == operation
    assert lab.with_operation(state, "conv").stack == lab.initial_state().stack


@given(state=states(), operation=st.sampled_from(["conv", "max", "avg"]))
def test_the_operation_that_is_chosen_already_changes_nothing(state: LabState, operation: lab.Operation) -> None:
    chosen = lab.with_operation(state, operation)
    assert lab.with_operation(chosen, operation) is chosen


def test_the_kernel_comes_back_after_pooling_with_another_size() -> None:
    pooling = lab.with_parameter(lab.with_operation(lab.initial_state(), "max"), "kernel_size", (5, 5))
    layer = lab.conv_of(lab.with_operation(pooling, "conv"))
    assert np.array_equal(layer.weight[0, 0], make_kernel("sobel_x", (5, 5)))
    assert layer.bias is not None
    assert layer.bias.tolist() == [1.0]


def test_the_kernel_comes_back_after_both_poolings() -> None:
    state = lab.with_weight(lab.initial_state(), np.arange(9.0).reshape(1, 1, 3, 3))
    pooled = lab.with_operation(lab.with_operation(state, "max"), "avg")
    assert lab.with_operation(pooled, "conv").stack == state.stack


def test_a_kernel_for_other_channels_does_not_come_back() -> None:
    pooling = lab.with_operation(lab.initial_state(), "avg")
    layer = lab.conv_of(lab.with_operation(lab.with_input_channels(pooling, 3), "conv"))
    assert (layer.in_channels, layer.out_channels, kernel_name(layer, 0)) == (3, 1, "sobel_x")


def test_same_padding_becomes_the_nearest_that_pooling_allows() -> None:
    same = lab.with_padding(lab.initial_state(), "same")
    layer = lab.conv_of(same)
    assert (layer.padding, layer.stride) == ("same", (1, 1))
    assert lab.window_of(lab.with_operation(same, "max")).padding == (1, 1)


def test_ceil_mode_stays_from_pooling_to_pooling() -> None:
    pooling = lab.with_switch(lab.with_operation(lab.initial_state(), "max"), "ceil_mode", True)
    average = lab.with_operation(pooling, "avg")
    assert average.layer == AvgPool2d(3, 2, 1, ceil_mode=True)


def test_switches_and_padding_mode_reach_the_layer() -> None:
    state = lab.with_padding_mode(lab.with_switch(lab.initial_state(), "flip", True), "reflect")
    layer = lab.conv_of(state)
    assert (layer.flip, layer.padding_mode) == (True, "reflect")
    state = lab.with_switch(lab.with_operation(state, "avg"), "count_include_pad", False)
    assert state.layer == AvgPool2d(3, 2, 1, count_include_pad=False)


def test_padding_that_another_mode_cannot_fill_becomes_smaller() -> None:
    state = lab.with_padding(lab.with_made_input(lab.initial_state(), "ramp", (3, 9), 0, 1), (6, 6))
    assert lab.conv_of(lab.with_padding_mode(state, "circular")).padding == (3, 6)
    assert lab.conv_of(lab.with_padding_mode(state, "reflect")).padding == (2, 6)


def test_values_that_make_a_known_kernel_take_its_name() -> None:
    box = lab.with_weight(lab.initial_state(), np.full((1, 1, 3, 3), 1 / 9))
    assert kernel_name(lab.conv_of(box), 0) == "box"
    assert kernel_name(lab.conv_of(lab.with_weight(box, 2 * lab.conv_of(box).weight)), 0) is None


def test_a_kernel_is_chosen_for_one_output_channel() -> None:
    state = lab.with_out_channels(lab.with_input_channels(lab.initial_state(), 2), 3)
    layer = lab.conv_of(lab.with_kernel(state, "random", 1, seed=4))
    assert np.array_equal(layer.weight[1], np.stack([make_kernel("random", (3, 3), 4)] * 2))
    assert np.array_equal(layer.weight[[0, 2]], lab.conv_of(state).weight[[0, 2]])
    assert lab.with_kernel(state, "random", 1, seed=4).kernel_seed == 4


def test_a_window_that_only_ceil_mode_lets_in_shrinks_without_it() -> None:
    pooling = stack_of(MaxPool2d(3, 2, ceil_mode=True), shape=(1, 2, 2))
    assert lab.window_of(lab.with_switch(pooling, "ceil_mode", False)).kernel_size == (2, 2)


# ---- channels, groups, bias, units


def test_more_output_channels_are_followed_by_the_layers_behind() -> None:
    state = stack_of(Conv2d(1, 1, 3), BatchNorm2d(1), ReLU(), Conv2d(1, 1, 3, weight=np.ones((1, 1, 3, 3))))
    more = lab.with_out_channels(state, 3)
    assert more.stack.shapes == ((1, 8, 8), (3, 6, 6), (3, 6, 6), (3, 6, 6), (1, 4, 4))
    last = more.stack.layers[3]
    assert isinstance(last, Conv2d)
    assert np.array_equal(last.weight, np.ones((1, 3, 3, 3)))
    assert lab.with_out_channels(more, 1).stack == state.stack


def test_groups_follow_the_channels_and_a_depthwise_layer_stays_one_where_it_can() -> None:
    state = stack_of(Conv2d(4, 4, 3, weight=Drawn(1), bias=Drawn(1)), shape=(4, 8, 8))
    depthwise = lab.with_groups(state, 4)
    layer = lab.conv_of(depthwise)
    assert (layer.groups, layer.weight.shape) == (4, (4, 1, 3, 3))
    assert lab.conv_of(lab.with_out_channels(depthwise, 8)).groups == 4
    assert lab.conv_of(lab.with_out_channels(depthwise, 6)).groups == 2
    assert lab.conv_of(lab.with_out_channels(depthwise, 1)).groups == 1
    assert lab.conv_of(lab.with_input_channels(depthwise, 3)).groups == 1


def test_fewer_groups_repeat_the_slices_and_more_leave_them_out() -> None:
    weight = np.arange(4.0).reshape(2, 2, 1, 1)
    state = stack_of(Conv2d(2, 2, 1, weight=weight), shape=(2, 4, 4))
    depthwise = lab.with_groups(state, 2)
    assert lab.conv_of(depthwise).weight.ravel().tolist() == [0, 2]
    assert lab.conv_of(lab.with_groups(depthwise, 1)).weight.ravel().tolist() == [0, 0, 2, 2]


@pytest.mark.parametrize("bias", [None, [1.0, 2.0], Drawn(0)])
def test_the_bias_of_one_output_channel_or_unit(bias: list[float] | Drawn | None) -> None:
    conv, linear = Conv2d(1, 2, 1, bias=bias), Linear(64, 2, bias=bias)
    for state in (stack_of(conv), stack_of(Flatten(), linear, current=1)):
        before, now = state.layer, lab.with_bias(state, 1, 7.5).layer
        assert isinstance(before, (Conv2d, Linear))
        assert isinstance(now, (Conv2d, Linear))
        assert now.bias is not None
        assert now.bias[1] == 7.5
        assert now.bias[0] == (0 if before.bias is None else before.bias[0])
        assert np.array_equal(now.weight, before.weight)


def test_drawn_weights_with_a_bias_made_by_hand_can_have_more_output_channels() -> None:
    state = lab.with_bias(stack_of(Conv2d(1, 2, 3, weight=Drawn(1), bias=Drawn(1))), 0, 3.0)
    layer = lab.conv_of(lab.with_out_channels(state, 5))
    assert layer.bias is not None
    assert (layer.bias[0], layer.bias[2:].tolist()) == (3.0, [0, 0, 0])


def test_units_are_drawn_anew_and_the_layers_behind_follow() -> None:
    state = stack_of(Flatten(), Linear(64, 3, weight=np.ones((3, 64)), bias=[1, 2, 3]), Linear(3, 2), current=1)
    more = lab.with_units(state, 5)
    assert more.layer == Linear(64, 5, weight=Drawn(1), bias=Drawn(1))
    assert more.stack.shapes == ((1, 8, 8), (64,), (5,), (2,))
    last = more.stack.layers[2]
    assert isinstance(last, Linear)
    assert last.in_features == 5


def test_units_without_a_bias_stay_without_one() -> None:
    state = stack_of(Flatten(), Linear(64, 3), current=1)
    assert lab.with_units(state, 5).layer == Linear(64, 5, weight=Drawn(1))


def test_weights_of_a_linear_layer() -> None:
    state = stack_of(Flatten(), Linear(64, 2), current=1)
    weight = np.arange(128.0).reshape(2, 64)
    assert lab.with_units_weight(state, weight).layer == Linear(64, 2, weight=weight)


# ---- the stack

NEEDS_MAPS = {"conv", "max", "avg", "global_max", "global_avg", "batch_norm"}


@given(data=st.data())
@settings(max_examples=80)
def test_every_change_of_any_stack_leads_to_a_state_that_can_be_shown(data: st.DataObject) -> None:
    state = lab.initial_state()
    for _ in range(12):
        state = data.draw(stack_changed(state))
        check(state)


@given(state=stack_states(), kind=st.sampled_from(list(LAYER_KINDS)))
@settings(max_examples=80)
def test_a_layer_of_every_kind_can_be_added_behind_any_other(state: LabState, kind: str) -> None:
    added = lab.with_added_layer(state, kind)
    assert kind_of(added.layer) == kind
    first_shapes = state.stack.shapes[: state.current + 2]
    assert added.stack.shapes[: len(first_shapes)] == first_shapes
    through_a_vector = state.input_shape is not None and len(first_shapes[-1]) == 1
    flattens_first = kind == "linear" and not through_a_vector
    assert len(added.stack.layers) == len(state.stack.layers) + 1 + flattens_first
    assert added.current == state.current + 1 + flattens_first
    if state.stack.problem is None and (not through_a_vector or kind not in NEEDS_MAPS):
        assert added.input_shape is not None
        assert len(added.stack.shapes) > added.current + 1


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 5), (2, 2, 2), (4, 9, 9)])
@pytest.mark.parametrize("kind", [kind for kind in LAYER_KINDS if kind != "linear"])
def test_a_new_layer_fits_the_maps_before_it(kind: str, shape: Shape) -> None:
    assert min(lab.new_layer(kind, shape, 0).output_shape(shape)) >= 1


@pytest.mark.parametrize("kind", [kind for kind in LAYER_KINDS if kind not in NEEDS_MAPS])
def test_a_new_layer_fits_the_vector_before_it(kind: str) -> None:
    assert min(lab.new_layer(kind, (6,), 0).output_shape((6,))) >= 1


def test_a_new_convolution_and_new_units() -> None:
    conv = lab.new_layer("conv", (3, 9, 9), 0)
    assert isinstance(conv, Conv2d)
    assert (conv.in_channels, conv.out_channels, conv.kernel_size, kernel_name(conv, 0)) == (3, 1, (3, 3), "sobel_x")
    assert lab.new_layer("max", (3, 9, 9), 0) == MaxPool2d(2)
    assert lab.new_layer("linear", (12,), 4) == Linear(12, 10, weight=Drawn(4), bias=Drawn(4))


def test_a_linear_layer_brings_its_flatten() -> None:
    state = lab.with_added_layer(lab.initial_state(), "linear")
    assert [kind_of(layer) for layer in state.stack.layers] == ["conv", "flatten", "linear"]
    assert (state.current, state.stack.shapes[-1]) == (2, (10,))
    again = lab.with_added_layer(state, "linear")
    assert [kind_of(layer) for layer in again.stack.layers] == ["conv", "flatten", "linear", "linear"]


def test_layers_in_between_are_followed_by_those_behind() -> None:
    state = stack_of(ReLU(), Flatten(), Linear(64, 2))
    pooled = lab.with_added_layer(state, "max")
    assert pooled.stack.shapes[1:] == ((1, 8, 8), (1, 4, 4), (16,), (2,))
    assert lab.without_layer(pooled, 1).stack.shapes == state.stack.shapes


@given(state=stack_states(), data=st.data())
def test_the_current_layer_stays_current_when_another_is_removed(state: LabState, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(state.stack.layers) - 1))
    fewer = lab.without_layer(state, index)
    if len(state.stack.layers) == 1:
        assert fewer is state
        return
    assert len(fewer.stack.layers) == len(state.stack.layers) - 1
    if index != state.current:
        assert kind_of(fewer.layer) == kind_of(state.layer)
    check(fewer)


def test_the_last_layer_that_is_removed_gives_way_to_the_one_before() -> None:
    state = stack_of(ReLU(), MaxPool2d(2), current=1)
    assert lab.without_layer(state, 1).current == 0
    assert lab.without_layer(state, 0).current == 0


def test_a_duplicate_takes_what_the_layer_gives() -> None:
    weight = np.arange(18.0).reshape(2, 1, 3, 3)
    state = lab.with_duplicate(stack_of(ReLU(), Conv2d(1, 2, 3, weight=weight)), 1)
    assert state.current == 2
    layer = lab.conv_of(state)
    assert (layer.in_channels, state.stack.shapes[-1]) == (2, (2, 4, 4))
    assert np.array_equal(layer.weight, np.repeat(weight, 2, axis=1))


def test_a_moved_layer_becomes_the_current_one() -> None:
    state = lab.with_moved_layer(stack_of(ReLU(), MaxPool2d(2), Conv2d(1, 2, 3), current=1), 2, 0)
    assert [kind_of(layer) for layer in state.stack.layers] == ["conv", "relu", "max"]
    assert state.current == 0
    assert state.stack.shapes[1:] == ((2, 6, 6), (2, 6, 6), (2, 3, 3))


def test_a_layer_switched_off_is_passed_by_and_comes_back_as_it_was() -> None:
    state = stack_of(Conv2d(1, 3, 3), Conv2d(3, 1, 3, weight=np.ones((1, 3, 3, 3))), current=1)
    off = lab.with_switched_layer(state, 0, False)
    assert off.stack.shapes == ((1, 8, 8), (1, 8, 8), (1, 6, 6))
    assert off.current == 1
    assert lab.with_switched_layer(off, 0, True).stack == state.stack


def test_a_change_in_front_may_leave_a_layer_that_does_not_fit_and_its_window_can_then_be_set() -> None:
    state = stack_of(MaxPool2d(4), Conv2d(1, 1, 3), shape=(1, 8, 8), current=1)
    assert state.stack.problem is not None
    assert state.window_size == (2, 2)
    fitting = lab.with_parameter(state, "kernel_size", (2, 2))
    assert fitting.stack.problem is None
    behind = replace(lab.with_added_layer(state, "max"), current=2)
    assert behind.input_shape is None
    assert behind.window_size is None
    assert lab.with_operation(behind, "avg") is behind


@given(state=stack_states(), data=st.data())
@settings(max_examples=60)
def test_one_change_of_the_window_is_enough_where_a_layer_does_not_fit(state: LabState, data: st.DataObject) -> None:
    problem = state.stack.problem
    if problem is None:
        return
    at_problem = replace(state, current=problem.index)
    if at_problem.window_size is not None:
        mended = lab.with_operation(at_problem, "avg" if at_problem.operation == "max" else "max")
        assert len(mended.stack.shapes) > problem.index + 1


@pytest.mark.parametrize("kind", [kind for kind in LAYER_KINDS if kind not in {"conv", "max", "avg"}])
def test_only_layers_with_a_window_are_operations(kind: str) -> None:
    state = lab.with_added_layer(lab.initial_state(), kind)
    assert state.operation is None
    assert state.window_size is None


def test_an_operation_takes_the_place_of_a_layer_without_a_window() -> None:
    state = stack_of(ReLU(), GlobalAvgPool2d(), current=1)
    assert lab.with_operation(state, "max").layer == MaxPool2d(2)
    layer = lab.conv_of(lab.with_operation(state, "conv"))
    assert (layer.kernel_size, layer.stride) == ((3, 3), (1, 1))


# ---- presets and stacks from elsewhere


@pytest.mark.parametrize("key", list(PRESETS))
def test_a_preset_fits_its_input(key: str) -> None:
    state = lab.with_preset(lab.initial_state(), key)
    assert state.stack == PRESETS[key]()
    assert state.input.shape == state.stack.input_shape
    assert state.stack.problem is None
    assert 0 <= state.current < len(state.stack.layers)


def test_the_small_presets_start_at_their_last_window() -> None:
    first = lab.initial_state()
    assert lab.with_preset(first, "four_layers").current == 3
    assert lab.with_preset(first, "dilations").current == 2
    assert lab.with_preset(first, "lenet5").current == 5
    assert lab.with_preset(first, "vgg16").current == 0


def test_a_stack_keeps_an_input_that_has_its_shape() -> None:
    state = lab.with_input(lab.initial_state(), np.ones((1, 4, 5)), lab.Source("custom"))
    opened = lab.with_stack(state, Stack((1, 4, 5), [ReLU()]))
    assert opened.input is state.input
    assert opened.source == state.source


def test_a_stack_gets_an_input_of_the_same_kind_where_the_shape_is_another() -> None:
    state = lab.with_made_input(lab.initial_state(), "random", (5, 5), 7, 1)
    assert np.array_equal(
        lab.with_stack(state, Stack((3, 4, 5), [ReLU()])).input, make_input("random", (4, 5), 7, channels=3)
    )
    custom = lab.with_input(state, np.ones((1, 4, 5)), lab.Source("custom"))
    assert lab.with_stack(custom, Stack((3, 4, 5), [ReLU()])).source.kind == "blob"


@pytest.mark.parametrize(
    ("stack", "words"),
    [
        (Stack((1, 4, 4)), "no layers"),
        (Stack((65, 4, 4), [ReLU()]), "input of 65×4×4"),
        (Stack((1, 513, 4), [ReLU()]), "up to 64×512×512"),
        (Stack((1, 4, 513), [ReLU()]), "input of 1×4×513"),
    ],
)
def test_a_stack_that_the_lab_cannot_show_is_refused(stack: Stack, words: str) -> None:
    with pytest.raises(RefusalError, match=words):
        lab.with_stack(lab.initial_state(), stack)


def test_the_largest_input_is_accepted() -> None:
    state = lab.with_stack(lab.initial_state(), Stack((lab.MAX_CHANNELS, 2, limits.MAX_INPUT), [ReLU()]))
    assert state.input.shape == (64, 2, 512)


def test_a_stack_with_a_problem_is_shown_up_to_there() -> None:
    state = lab.with_stack(lab.initial_state(), Stack((1, 7, 7), [ReLU(), Conv2d(5, 1, 3)]))
    assert state.stack.problem is not None
    check(state)


# ---- the input


def test_a_ready_made_input_is_made_anew_at_another_size_and_a_custom_one_is_cut_or_filled() -> None:
    made = lab.with_input_size(lab.with_made_input(lab.initial_state(), "random", (5, 5), 7, 3), (6, 4))
    assert np.array_equal(made.input, make_input("random", (6, 4), 7, 3))
    custom = lab.with_input(lab.initial_state(), np.arange(9.0).reshape(1, 3, 3), lab.Source("custom"))
    assert lab.with_input_size(custom, (2, 4)).input.tolist() == [[[0, 1, 2, 0], [3, 4, 5, 0]]]


def test_channels_of_a_ready_made_input_are_made_and_those_of_a_custom_one_repeated_or_left_out() -> None:
    made = lab.with_input_channels(lab.with_made_input(lab.initial_state(), "random", (5, 5), 7, 1), 3)
    assert np.array_equal(made.input, make_input("random", (5, 5), 7, 3))
    custom = lab.with_input(lab.initial_state(), np.arange(2.0).reshape(2, 1, 1), lab.Source("custom"))
    assert lab.with_input_channels(custom, 3).input.ravel().tolist() == [0, 1, 0]
    assert lab.with_input_channels(custom, 1).input.ravel().tolist() == [0]


def test_a_smaller_input_makes_the_first_layers_parameters_smaller_and_reaches_all_layers() -> None:
    state = stack_of(Conv2d(1, 2, 5, weight=np.ones((2, 1, 5, 5))), Flatten(), Linear(32, 3), current=2)
    small = lab.with_made_input(state, "ramp", (4, 3), 0, 2)
    assert small.stack.problem is None
    assert small.stack.shapes == ((2, 4, 3), (2, 1, 1), (2,), (3,))
    first = small.stack.layers[0]
    assert isinstance(first, Conv2d)
    assert np.array_equal(first.weight, np.ones((2, 2, 4, 3)))
    assert small.current == 2


@given(state=stack_states(), data=st.data())
@settings(max_examples=60)
def test_the_first_layer_fits_every_input(state: LabState, data: st.DataObject) -> None:
    small = replace(lab.with_input_size(state, data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))), current=0)
    if small.window_size is not None:
        assert len(small.stack.shapes) > 1


@given(state=stack_states(), data=st.data())
@settings(max_examples=30)
def test_no_change_writes_into_the_state_it_came_from(state: LabState, data: st.DataObject) -> None:
    stack, values = state.stack, state.input.copy()
    weights = [
        (layer, {name: array.copy() for name, array in layer.arrays.items() if isinstance(array, np.ndarray)})
        for layer in stack.layers
    ]
    data.draw(stack_changed(state))
    assert np.array_equal(state.input, values)
    assert state.stack is stack
    for layer, arrays in weights:
        for name, array in arrays.items():
            assert np.array_equal(getattr(layer, name), array)


def test_a_change_of_nothing_is_the_same_state() -> None:
    state = lab.initial_state()
    assert same_state(lab.with_parameter(state, "stride", (2, 2)), state)
    assert same_state(lab.with_kernel(state, "sobel_x"), state)
    assert same_state(lab.with_made_input(state, "blob", (7, 7), 0, 1), state)
