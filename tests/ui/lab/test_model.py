import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QCoreApplication
from pytestqt.qtbot import QtBot

from convviz.core.dense import Flatten, Linear
from convviz.core.display import wrapped_shape
from convviz.core.elementwise import ReLU
from convviz.core.explain import FloatArray
from convviz.core.layers import Conv2d, Drawn, GlobalAvgPool2d, Layer, MaxPool2d
from convviz.core.presets import PRESETS
from convviz.core.stack import INPUT, Stack
from convviz.core.window import Pair
from convviz.ui.jobs import JobThread
from convviz.ui.lab import compute
from convviz.ui.lab import state as lab
from convviz.ui.lab.model import LabModel, take_snapshot
from convviz.ui.lab.state import LabState
from tests.ui.lab.lab_cases import same_state, stack_changed, stack_states, starts, states

pytestmark = pytest.mark.usefixtures("qapp")


@pytest.fixture(autouse=True, scope="module")
def _without_haste() -> Iterator[None]:
    """However busy the machine is, everything is computed at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compute, "BUDGET_S", math.inf)
        yield


@pytest.fixture
def model() -> LabModel:
    return LabModel(lab.initial_state())


def model_of(*layers: Layer, shape: tuple[int, int, int] = (1, 8, 8), current: int = 0) -> LabModel:
    state = lab.with_stack(lab.initial_state(), Stack(shape, layers))
    return LabModel(replace(state, current=current))


def input_cells(state: LabState) -> st.SearchStrategy[Pair]:
    return st.tuples(st.integers(0, state.size[0] - 1), st.integers(0, state.size[1] - 1))


def assert_whole(model: LabModel) -> None:
    """The model shows the outputs of a whole pass."""
    outputs, expected = model.snapshot.outputs, model.state.stack.forward(model.state.input)
    assert len(outputs) == len(expected)
    for output, other in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, other, rtol=1e-9, atol=1e-9)


# ---- undo


@given(data=st.data())
@settings(max_examples=40)
def test_undo_and_redo_restore_every_state_exactly(data: st.DataObject) -> None:
    model = LabModel(data.draw(starts()))
    history = [model.state]
    for number in range(data.draw(st.integers(1, 7))):
        match data.draw(st.sampled_from(["change", "input", "kernel"])):
            case "input":
                cells = data.draw(st.lists(input_cells(model.state), min_size=1, max_size=4))
                model.edit_input(cells, float(data.draw(st.integers(-9, 9))), "edit", key=("edit", number))
            case "kernel":
                model.edit_kernel([(0, 0)], float(data.draw(st.integers(-9, 9))), "edit")
            case _:
                model.change(data.draw(stack_changed(model.state)), "change")
        if model.undo_stack.count() == len(history):  # a cell given the value it has is no step
            history.append(model.state)
    for _ in range(2):
        for state in reversed(history[:-1]):
            model.undo_stack.undo()
            assert same_state(model.state, state)
        assert not model.undo_stack.canUndo()
        for state in history[1:]:
            model.undo_stack.redo()
            assert same_state(model.state, state)
        assert not model.undo_stack.canRedo()
    assert model.snapshot.is_complete


def test_an_edit_that_changes_nothing_is_no_step(model: LabModel) -> None:
    before = model.state
    model.edit_input([(2, 2)], float(before.input[0, 2, 2]), "edit")
    model.change(before, "nothing")
    assert model.state is before
    assert not model.undo_stack.canUndo()


def test_what_does_not_fit_fails_before_it_is_a_step(model: LabModel) -> None:
    misshapen = replace(model.state, input=np.zeros((2, 3, 3)))
    with pytest.raises(ValueError, match="The input has 2 channels"):
        model.change(misshapen, "misshapen")
    assert not model.undo_stack.canUndo()


def test_weights_made_by_hand_in_place_of_drawn_ones_can_be_undone() -> None:
    model = model_of(Conv2d(1, 2, 3, weight=Drawn(1), bias=Drawn(1)), ReLU())
    before = model.state
    model.edit_kernel([(0, 0)], 5.0, "edit")
    assert lab.conv_of(model.state).weight[0, 0, 0, 0] == 5
    model.undo_stack.undo()
    assert same_state(model.state, before)
    assert_whole(model)


def test_a_stroke_is_one_step_and_the_next_stroke_another(model: LabModel) -> None:
    first = model.state
    for stroke in (0, 1):
        for col in range(5):
            model.edit_input([(stroke, col), (stroke, col + 1)], 4.0, "Paint", key=("paint", stroke))
    assert model.undo_stack.count() == 2
    assert (model.state.input[0, :2, :6] == 4).all()
    model.undo_stack.undo()
    assert (model.state.input[0, 0, :6] == 4).all()
    assert np.array_equal(model.state.input[0, 1], first.input[0, 1])
    model.undo_stack.undo()
    assert same_state(model.state, first)
    model.undo_stack.redo()
    model.undo_stack.redo()
    assert (model.state.input[0, :2, :6] == 4).all()
    assert_whole(model)


def test_a_stroke_over_the_same_cells_is_undone_in_reverse(model: LabModel) -> None:
    first = model.state
    for value, nudge in ((5.0, False), (2.0, True), (-9.0, False)):
        model.edit_input([(0, 0), (0, 1)], value, "Paint", "stroke", nudge)
    last = model.state
    assert model.undo_stack.count() == 1
    model.undo_stack.undo()
    assert same_state(model.state, first)
    model.undo_stack.redo()
    assert same_state(model.state, last)


def test_numbers_and_another_size_are_two_steps_in_one_drag_too(model: LabModel) -> None:
    first = model.state
    model.change(lab.with_input_size(model.state, (5, 5)), "Size", key="size")
    model.change(lab.with_input(model.state, model.state.input + 1, lab.Source("custom")), "Size", key="size")
    model.change(lab.with_input_size(model.state, (4, 4)), "Size", key="size")
    assert model.undo_stack.count() == 3
    for _ in range(3):
        model.undo_stack.undo()
    assert same_state(model.state, first)


def test_changes_without_a_key_stay_apart(model: LabModel) -> None:
    for value in (1.0, 2.0, 3.0):
        model.edit_input([(0, 0)], value, "Edit")
        model.edit_kernel([(0, 0)], value, "Edit")
    assert model.undo_stack.count() == 6


def test_the_same_control_on_another_layer_is_another_step() -> None:
    model = model_of(MaxPool2d(2), MaxPool2d(2))
    before = model.state
    for layer in (0, 1):
        model.choose_layer(layer)
        for stride in (1, 3):
            model.change(lab.with_parameter(model.state, "stride", (stride, stride)), "Stride", key="stride")
    assert model.undo_stack.count() == 2
    model.undo_stack.undo()
    assert [layer.settings["stride"] for layer in model.state.stack.layers] == [(3, 3), (2, 2)]
    model.undo_stack.undo()
    assert model.state.stack == before.stack


def test_undo_goes_back_to_the_layer_that_was_changed() -> None:
    model = model_of(MaxPool2d(2), ReLU(), current=0)
    model.change(lab.with_parameter(model.state, "stride", (1, 1)), "Stride")
    model.choose_layer(1)
    model.undo_stack.undo()
    assert model.state.current == 0
    model.choose_layer(1)
    model.undo_stack.redo()
    assert model.state.current == 0


def test_choosing_a_layer_is_no_step(model: LabModel) -> None:
    model.change(lab.with_added_layer(model.state, "relu"), "Add")
    model.choose_layer(0)
    assert model.undo_stack.count() == 1


def test_an_edited_picture_becomes_custom_numbers_and_undo_brings_the_picture_back(model: LabModel) -> None:
    source = lab.Source("picture", picture=b"bytes", path="/a.png")
    model.change(lab.with_input(model.state, np.ones((1, 4, 4)), source), "Picture")
    model.edit_input([(1, 2)], 5.0, "Edit")
    assert model.state.source == lab.Source("custom")
    model.undo_stack.undo()
    assert model.state.source == source


# ---- edits


def test_a_nudge_in_colour_moves_every_channel() -> None:
    model = LabModel(lab.with_made_input(lab.initial_state(), "ramp", (4, 4), 0, 3))
    assert model.shows_colour
    model.edit_input([(1, 1)], 2.0, "nudge", nudge=True)
    assert model.state.input[:, 1, 1].tolist() == [7.0, 8.0, 9.0]


def test_an_edit_reaches_the_chosen_channel_or_in_colour_all(model: LabModel) -> None:
    model.change(lab.with_made_input(model.state, "ramp", (4, 4), 0, 3), "Input")
    model.choose_channel(1)
    assert not model.shows_colour
    model.edit_input([(0, 0)], 70.0, "Edit")
    assert model.state.input[:, 0, 0].tolist() == [0, 70, 2]
    model.edit_kernel([(1, 1)], 8.0, "Edit")
    assert lab.conv_of(model.state).weight[0, :, 1, 1].tolist() == [0, 8, 0]
    model.show_colour()
    model.edit_input([(0, 0)], 9.0, "Edit")
    assert model.state.input[:, 0, 0].tolist() == [9, 9, 9]


def test_an_edit_of_the_input_reaches_its_own_channel_while_another_layer_is_stepped() -> None:
    model = model_of(Conv2d(2, 3, 1, weight=np.ones((3, 2, 1, 1))), ReLU(), shape=(2, 4, 4), current=1)
    model.choose_channel(2)
    model.choose_map(0, 1)
    model.edit_input([(0, 0)], 50.0, "Edit")
    assert model.state.input[1, 0, 0] == 50
    assert model.state.input[0, 0, 0] != 50
    assert_whole(model)


def test_a_flipped_kernel_is_edited_where_it_is_shown(model: LabModel) -> None:
    model.change(lab.with_switch(model.state, "flip", True), "flip")
    model.edit_kernel([(0, 0)], 5.0, "edit")
    assert lab.conv_of(model.state).weight[0, 0, 2, 2] == 5.0


def test_the_slice_of_the_chosen_channels_is_edited() -> None:
    model = model_of(Conv2d(4, 4, 1, groups=2), shape=(4, 4, 4))
    model.choose_map(1, 3)
    assert (model.channel, model.out_channel, model.slice) == (2, 3, 0)
    model.choose_channel(3)
    assert (model.channel, model.out_channel, model.slice) == (3, 3, 1)
    model.edit_kernel([(0, 0)], 5.0, "edit")
    assert np.argwhere(lab.conv_of(model.state).weight).tolist() == [[3, 1, 0, 0]]


def test_weights_of_the_unit_at_the_position_are_edited_where_they_are_shown() -> None:
    model = model_of(Flatten(), Linear(10, 6), shape=(1, 2, 5), current=1)
    model.go_to(4)
    rows, cols = wrapped_shape(10)
    cells = [(row, col) for row in range(rows) for col in range(cols)]
    model.edit_kernel([cells[7]], 3.0, "edit")
    model.edit_kernel([cells[7]], 0.5, "edit", nudge=True)
    assert isinstance(model.state.layer, Linear)
    assert np.argwhere(model.state.layer.weight).tolist() == [[4, 7]]
    assert model.state.layer.weight[4, 7] == 3.5


@pytest.mark.parametrize("features", [1, 7, 13])
def test_cells_that_stand_for_no_weight_are_left_out(features: int) -> None:
    model = model_of(Flatten(), Linear(features, 2), shape=(1, 1, features), current=1)
    rows, cols = wrapped_shape(features)
    model.edit_kernel([(row, col) for row in range(rows) for col in range(cols)], 1.0, "edit")
    assert isinstance(model.state.layer, Linear)
    assert model.state.layer.weight.tolist() == [[1] * features, [0] * features]


def test_a_layer_without_weights_has_no_kernel_to_edit() -> None:
    model = model_of(MaxPool2d(2))
    model.edit_kernel([(0, 0)], 3.0, "edit")
    assert not model.undo_stack.canUndo()


def test_a_convolution_that_is_off_can_be_edited_whatever_map_is_shown() -> None:
    model = model_of(Conv2d(1, 4, 1), Conv2d(4, 2, 1), current=1)
    model.change(lab.with_switched_layer(model.state, 1, False), "Off")
    model.choose_map(2, 3)
    assert (model.out_channel, model.weights_index) == (3, 1)
    model.edit_kernel([(0, 0)], 3.0, "edit")
    assert np.argwhere(lab.conv_of(model.state).weight).tolist() == [[1, 0, 0, 0]]


def test_a_convolution_that_does_not_fit_can_be_edited_and_have_fewer_maps() -> None:
    model = model_of(MaxPool2d(1), Conv2d(1, 4, 5), current=1)
    model.choose_map(2, 3)
    model.change(lab.with_parameter(replace(model.state, current=0), "kernel_size", (8, 8)), "Kernel size")
    model.choose_layer(1)
    assert model.step is None
    model.change(lab.with_out_channels(model.state, 2), "Maps")
    assert model.weights_index == 1
    model.edit_kernel([(0, 0)], 3.0, "edit")
    assert lab.conv_of(model.state).weight[1, 0, 0, 0] == 3


def test_a_linear_layer_that_is_off_can_be_edited_at_any_position() -> None:
    model = model_of(Flatten(), Linear(64, 2), current=1)
    model.change(lab.with_switched_layer(model.state, 1, False), "Off")
    model.go_to(50)
    assert model.weights_index == 1
    model.edit_kernel([(0, 0)], 3.0, "edit")
    assert isinstance(model.state.layer, Linear)
    assert np.argwhere(model.state.layer.weight).tolist() == [[1, 0]]


# ---- position


@given(data=st.data())
@settings(max_examples=40)
def test_the_position_stays_in_the_output(data: st.DataObject) -> None:
    model = LabModel(data.draw(starts()))
    for _ in range(6):
        model.go_to(data.draw(st.integers(-3, 300)))
        cell = data.draw(st.tuples(st.integers(0, 9), st.integers(0, 9)))
        model.pin(cell)
        model.hover(cell)
        model.probe(data.draw(input_cells(model.state)))
        model.change(data.draw(stack_changed(model.state)), "change")
        height, width = model.output_size
        assert 0 <= model.index < model.num_positions <= height * width
        for shown in (model.position, model.pinned or (0, 0), model.hovered or (0, 0), model.compared):
            assert shown[0] * width + shown[1] < model.num_positions
            assert shown[1] < width
        step = model.step
        if step is None:
            assert model.explain(model.position) is None
            continue
        assert (height, width) == step.output_size
        assert model.num_positions == step.num_positions
        explanation = model.explain(model.position)
        assert explanation is not None
        assert explanation.result == pytest.approx(
            step.output[(model.out_channel, *model.position)], rel=1e-9, abs=1e-9, nan_ok=True
        )


def test_a_change_keeps_row_and_column(model: LabModel) -> None:
    model.go_to_cell(2, 3)
    model.change(lab.with_parameter(model.state, "stride", (1, 1)), "Stride")
    assert model.position == (2, 3)
    model.change(lab.with_input_size(model.state, (7, 3)), "Size")
    assert model.position == (2, 2)


def test_a_change_of_a_vector_keeps_the_position_where_there_is_one() -> None:
    model = model_of(Flatten(), Linear(64, 20), current=1)
    model.go_to(19)
    model.change(lab.with_units(model.state, 3), "Units")
    assert model.index < model.num_positions == 3
    assert model.explain(model.position) is not None


@pytest.mark.parametrize("units", [1, 2, 120, 4096])
def test_every_unit_of_a_vector_is_a_position(units: int) -> None:
    model = model_of(Flatten(), Linear(64, units, weight=Drawn(0)), current=1)
    assert model.num_positions == units
    model.go_to(10**9)
    assert model.index == units - 1
    explanation = model.explain(model.position)
    assert explanation is not None
    assert explanation.position == (units - 1,)
    assert model.unit == (1, units - 1)
    model.go_to_cell(0, 0)
    assert model.index == 0


def test_another_layer_starts_at_its_first_position_or_where_it_is_asked_to() -> None:
    model = model_of(MaxPool2d(2), ReLU())
    model.go_to(5)
    model.choose_layer(1)
    assert (model.state.current, model.index) == (1, 0)
    model.choose_layer(0, 7)
    assert (model.state.current, model.index) == (0, 7)
    model.choose_layer(1, 10**6)
    assert model.index == 15
    model.choose_layer(1, 3)
    assert model.index == 3


@pytest.mark.parametrize(("asked", "index"), [(-1, 0), (0, 0), (1, 1), (2, 1)])
def test_a_layer_that_is_not_there_is_the_nearest_that_is(asked: int, index: int) -> None:
    model = model_of(MaxPool2d(2), ReLU())
    model.choose_layer(asked)
    assert model.state.current == index


def test_a_unit_is_gone_to_in_its_layer() -> None:
    model = model_of(MaxPool2d(2), Flatten(), Linear(16, 3))
    model.go_to_unit((0, (2, 1)))
    assert (model.state.current, model.position) == (0, (2, 1))
    model.go_to_unit((2, 1))
    assert (model.state.current, model.index) == (2, 1)
    model.go_to_unit((INPUT, (3, 3)))
    assert (model.state.current, model.index) == (2, 1)


def test_a_layer_that_was_added_is_stepped_from_its_start() -> None:
    model = model_of(MaxPool2d(2))
    model.go_to(9)
    model.change(lab.with_added_layer(model.state, "relu"), "Add")
    assert (model.state.current, model.index) == (1, 0)
    model.undo_stack.undo()
    assert (model.state.current, model.index) == (0, 0)


def test_a_layer_added_or_removed_behind_leaves_the_position() -> None:
    model = model_of(MaxPool2d(2), ReLU())
    model.go_to(9)
    model.change(lab.without_layer(model.state, 1), "Remove")
    assert (model.state.current, model.index) == (0, 9)


def test_there_is_one_position_where_a_layer_does_not_fit() -> None:
    model = model_of(MaxPool2d(2), Conv2d(1, 1, 5), current=1)
    assert model.step is None
    assert (model.num_positions, model.index, model.position) == (1, 0, (0, 0))
    model.go_to(5)
    assert model.index == 0
    assert model.explain((0, 0)) is None


def test_only_a_move_is_announced(qtbot: QtBot, model: LabModel) -> None:
    with qtbot.assertNotEmitted(model.position_changed):
        model.go_to(0)
        model.go_to(-5)
    with qtbot.waitSignal(model.position_changed):
        model.go_to(10**9)
    assert model.position == (3, 3)


@given(state=states())
@settings(max_examples=30)
def test_readers_are_the_outputs_that_an_input_cell_changes(state: LabState) -> None:
    state = lab.with_operation(state, "conv")
    model = LabModel(lab.with_weight(state, np.ones_like(lab.conv_of(state).weight)))
    layer, cell = model.state.layer, (state.size[0] // 2, state.size[1] - 1)
    values = state.input.copy()
    values[(0, *cell)] += 1000
    grown = layer.forward(values)[0] - layer.forward(state.input)[0] > 1
    assert model.step is not None
    assert {(int(row), int(col)) for row, col in np.argwhere(grown)} == set(product(*model.step.readers(cell)))


# ---- cells looked at


def test_pin_and_hover(qtbot: QtBot, model: LabModel) -> None:
    with qtbot.assertNotEmitted(model.view_changed):
        model.hover((1, 1))
    model.pin((3, 3))
    assert model.pinned == (3, 3)
    with qtbot.assertNotEmitted(model.view_changed):
        model.hover((2, 2))  # not computed yet: nothing is given away
    assert model.compared == model.position
    model.show_all(True)
    with qtbot.waitSignal(model.view_changed):
        model.hover((2, 2))
    assert model.compared == (2, 2)
    model.pin((9, 9))
    assert model.pinned is None
    model.pin((3, 3))
    model.change(lab.with_input_size(model.state, (4, 4)), "Size")
    assert model.pinned is None
    assert model.hovered is None


def test_cells_behind_the_last_unit_cannot_be_pinned() -> None:
    model = model_of(Flatten(), Linear(64, 13), current=1)
    rows, cols = wrapped_shape(13)
    model.pin((rows - 1, cols - 1))
    assert (model.pinned is None) == (rows * cols > 13)
    model.pin(divmod(12, cols))
    assert model.pinned == divmod(12, cols)


def test_a_pin_does_not_go_along_to_another_layer() -> None:
    model = model_of(ReLU(), ReLU())
    model.pin((1, 1))
    model.probe((1, 1))
    model.choose_layer(1)
    assert model.pinned is None
    assert model.probed is None


def test_outputs_are_shown_as_far_as_the_window_has_come(model: LabModel) -> None:
    model.go_to_cell(1, 1)
    assert [model.is_computed(cell) for cell in ((0, 3), (1, 1), (1, 2))] == [True, True, False]
    assert model.shown == 6
    model.show_all(True)
    assert model.is_computed((3, 3))
    assert model.shown is None


def test_a_vector_shows_no_more_units_than_it_has() -> None:
    model = model_of(Flatten(), Linear(64, 13), current=1)
    assert model.shown == 1
    model.show_all(True)
    assert model.shown == 13


def test_the_unit_under_the_pointer_is_the_one_whose_field_is_shown(qtbot: QtBot) -> None:
    model = model_of(ReLU(), ReLU())
    model.go_to(9)
    assert model.unit == (0, (1, 1))
    with qtbot.waitSignal(model.position_changed):
        model.hover_unit((1, (2, 3)))
    assert model.unit == (1, (2, 3))
    model.choose_view("stack")
    assert model.unit == (0, (1, 1))


@pytest.mark.parametrize(("view", "found"), [("stack", "stack"), ("learn", "learn"), ("nonsense", "layer")])
def test_views(view: str, found: str, model: LabModel) -> None:
    model.choose_view(view)
    assert model.view == found


# ---- channels


@given(data=st.data(), state=stack_states())
@settings(max_examples=60)
def test_input_and_output_channel_go_together(state: LabState, data: st.DataObject) -> None:
    model = LabModel(state)
    step = model.step
    if step is None or step.y.ndim == 1:
        return
    for _ in range(4):
        if data.draw(st.booleans()):
            channel = data.draw(st.integers(0, step.x.shape[0] - 1))
            model.choose_channel(channel)
            assert model.channel == channel
        else:
            channel = data.draw(st.integers(0, step.y.shape[0] - 1))
            model.choose_map(state.current + 1, channel)
            assert model.out_channel == channel
        read = step.channels_read(model.out_channel)
        assert model.channel in read
        assert read[model.slice] == model.channel


def test_in_a_depthwise_layer_the_channels_are_the_same() -> None:
    model = model_of(Conv2d(3, 3, 1, groups=3), shape=(3, 4, 4))
    model.choose_channel(2)
    assert (model.channel, model.out_channel, model.slice) == (2, 2, 0)
    model.choose_map(1, 1)
    assert (model.channel, model.out_channel, model.slice) == (1, 1, 0)


def test_a_group_keeps_the_output_channel_where_it_reads_the_chosen_one() -> None:
    model = model_of(Conv2d(4, 6, 1, groups=2), shape=(4, 4, 4))
    model.choose_map(1, 2)
    model.choose_channel(1)
    assert (model.channel, model.out_channel) == (1, 2)
    model.choose_channel(3)
    assert (model.channel, model.out_channel) == (3, 3)
    model.choose_map(1, 5)
    assert (model.channel, model.out_channel) == (3, 5)
    model.choose_map(1, 0)
    assert (model.channel, model.out_channel) == (0, 0)


def test_the_channel_of_another_map_leaves_the_current_layers_alone() -> None:
    model = model_of(Conv2d(1, 3, 1), Conv2d(3, 2, 1), MaxPool2d(2))
    model.choose_map(3, 1)
    assert model.channels == (0, 0, 0, 1)
    model.choose_map(1, 2)
    assert model.channels == (0, 2, 0, 1)


def test_flatten_shows_the_channel_that_its_unit_comes_from() -> None:
    model = model_of(Flatten(), shape=(3, 2, 2))
    channels = []
    for index in range(12):
        model.go_to(index)
        channels.append(model.channel)
    assert channels == [0] * 4 + [1] * 4 + [2] * 4


def test_channels_that_are_gone_give_way_to_the_first() -> None:
    model = model_of(Conv2d(1, 4, 1), ReLU())
    model.choose_map(1, 3)
    model.choose_map(2, 3)
    model.change(lab.with_out_channels(model.state, 2), "Maps")
    assert model.channels == (0, 0, 0)


def test_every_map_of_a_changed_stack_has_a_channel() -> None:
    model = model_of(Conv2d(1, 4, 1))
    model.choose_map(1, 2)
    model.change(lab.with_added_layer(model.state, "relu"), "Add")
    assert len(model.channels) == 3
    assert model.channel == model.out_channel
    model.change(lab.without_layer(model.state, 1), "Remove")
    assert len(model.channels) == 2
    model.change(lab.with_added_layer(model.state, "linear"), "Add")
    assert model.channels[2:] == (0, 0)


def test_only_the_networks_input_is_shown_in_colour() -> None:
    model = model_of(ReLU(), MaxPool2d(2), shape=(3, 4, 4))
    model.show_colour()
    assert (model.shows_colour, model.shows_colour_step) == (True, True)
    model.choose_layer(1)
    assert (model.shows_colour, model.shows_colour_step) == (True, False)
    model.choose_channel(2)
    assert model.shows_colour
    model.choose_map(0, 1)
    assert not model.shows_colour


# ---- snapshots


@given(state=stack_states(), data=st.data())
@settings(max_examples=40)
def test_an_edit_computes_what_a_whole_pass_would(state: LabState, data: st.DataObject) -> None:
    before = take_snapshot(state)
    values = state.input.copy()
    channel = data.draw(st.integers(0, state.channels - 1))
    for cell in data.draw(st.lists(input_cells(state), max_size=5)):
        values[(channel, *cell)] = data.draw(st.integers(-9, 9))
    after = replace(state, input=values)
    edited, whole = take_snapshot(after, before), take_snapshot(after)
    for one, other in zip(edited.outputs, whole.outputs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-9)
    if edited.step is not None and whole.step is not None:
        assert np.array_equal(edited.state.input, whole.state.input)
        assert edited.step.input_level == pytest.approx(whole.step.input_level)
        assert edited.step.output_level == pytest.approx(whole.step.output_level)


def test_another_layer_is_stepped_without_computing_anything_anew() -> None:
    model = model_of(ReLU(), GlobalAvgPool2d())
    outputs = model.snapshot.outputs
    model.choose_layer(1)
    assert model.snapshot.outputs is outputs


# ---- in the background


@pytest.fixture
def _slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is computed at once."""
    monkeypatch.setattr(compute, "BUDGET_S", 0)


class Gate:
    """Holds the background up before a layer until it may go on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.reached, self.open = Event(), Event()
        forward = GlobalAvgPool2d.forward

        def held(layer: GlobalAvgPool2d, x: lab.Array) -> FloatArray:
            self.reached.set()
            assert self.open.wait(60)
            return forward(layer, x)

        patch.setattr(GlobalAvgPool2d, "forward", held)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, _slow: None) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.open.set()


def wait_until_done(qtbot: QtBot, model: LabModel) -> None:
    qtbot.waitUntil(lambda: not model.forward.busy, timeout=30_000)
    wait_for_threads(qtbot)


def wait_for_threads(qtbot: QtBot) -> None:
    application = QCoreApplication.instance()
    assert application is not None
    qtbot.waitUntil(lambda: application.findChildren(JobThread) == [], timeout=30_000)


@pytest.mark.usefixtures("_slow")
def test_what_takes_longer_comes_from_the_background(qtbot: QtBot) -> None:
    model = model_of(ReLU(), Conv2d(1, 2, 3, weight=Drawn(1)), MaxPool2d(2), current=2)
    assert model.step is None
    assert model.snapshot.outputs == ()
    assert model.forward.busy
    with qtbot.waitSignal(model.outputs_changed, timeout=30_000):
        pass
    wait_until_done(qtbot, model)
    assert model.step is not None
    assert_whole(model)


@pytest.mark.usefixtures("_slow")
def test_position_and_channels_are_those_of_a_layer_still_to_be_computed(qtbot: QtBot) -> None:
    model = model_of(ReLU(), Conv2d(1, 2, 3), current=1)
    assert (model.num_positions, model.output_size) == (36, (6, 6))
    model.go_to_cell(5, 5)
    model.choose_map(2, 1)
    assert model.explain(model.position) is None
    wait_until_done(qtbot, model)
    assert (model.position, model.out_channel, model.channel) == ((5, 5), 1, 0)
    assert model.explain(model.position) is not None


def test_layers_that_are_there_are_shown_while_the_others_are_computed(qtbot: QtBot, gate: Gate) -> None:
    model = model_of(ReLU(), GlobalAvgPool2d())
    assert gate.reached.wait(30)
    qtbot.waitUntil(lambda: len(model.snapshot.outputs) == 1, timeout=30_000)
    assert model.step is not None
    model.choose_layer(1)
    assert model.step is None
    assert model.forward.busy
    gate.open.set()
    wait_until_done(qtbot, model)
    assert model.step is not None


def test_another_layer_is_chosen_without_starting_anew(qtbot: QtBot, gate: Gate) -> None:
    model = model_of(GlobalAvgPool2d(), ReLU())
    with qtbot.assertNotEmitted(model.forward.busy_changed):
        model.choose_layer(1)
    application = QCoreApplication.instance()
    assert application is not None
    assert len(application.findChildren(JobThread)) == 1
    gate.open.set()
    wait_until_done(qtbot, model)
    assert model.snapshot.is_complete


def test_an_outdated_result_is_dropped(qtbot: QtBot, gate: Gate) -> None:
    model = model_of(GlobalAvgPool2d(), ReLU())
    assert gate.reached.wait(30)
    model.change(lab.without_layer(model.state, 0), "Remove")
    with qtbot.waitSignal(model.outputs_changed, timeout=30_000):
        gate.open.set()
    assert [output.shape for output in model.snapshot.outputs] == [(1, 8, 8)]
    outputs = model.snapshot.outputs
    wait_until_done(qtbot, model)
    assert np.array_equal(model.snapshot.outputs[0], outputs[0])
    assert_whole(model)


def test_what_is_had_at_once_stops_the_background(qtbot: QtBot, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(GlobalAvgPool2d())
    assert gate.reached.wait(30)
    monkeypatch.setattr(compute, "BUDGET_S", math.inf)
    model.change(lab.with_operation(model.state, "max"), "Operation")
    assert not model.forward.busy
    assert model.snapshot.is_complete
    outputs = model.snapshot.outputs
    gate.open.set()
    wait_for_threads(qtbot)
    assert model.snapshot.outputs is outputs


def test_undo_computes_what_was_left_unfinished(qtbot: QtBot, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(GlobalAvgPool2d())
    assert gate.reached.wait(30)
    monkeypatch.setattr(compute, "BUDGET_S", math.inf)
    model.change(lab.with_operation(model.state, "max"), "Operation")
    gate.open.set()
    wait_for_threads(qtbot)
    monkeypatch.setattr(compute, "BUDGET_S", 0)
    model.undo_stack.undo()
    assert not model.snapshot.is_complete
    assert model.forward.busy
    wait_until_done(qtbot, model)
    assert_whole(model)


def test_what_was_cancelled_is_computed_when_asked_for_or_for_another_state(qtbot: QtBot, gate: Gate) -> None:
    model = model_of(ReLU(), GlobalAvgPool2d())
    assert gate.reached.wait(30)
    model.forward.cancel()
    gate.open.set()
    wait_for_threads(qtbot)
    assert not model.snapshot.is_complete
    model.choose_layer(1)
    assert not model.forward.busy  # the next layer is no reason to start what was cancelled
    model.compute()
    wait_until_done(qtbot, model)
    assert_whole(model)


def test_a_change_after_a_cancel_is_computed(qtbot: QtBot, gate: Gate) -> None:
    model = model_of(ReLU(), GlobalAvgPool2d())
    assert gate.reached.wait(30)
    model.forward.cancel()
    gate.open.set()
    model.edit_input([(0, 0)], 100.0, "Edit")
    wait_until_done(qtbot, model)
    assert_whole(model)


@pytest.mark.usefixtures("_slow")
def test_undo_in_a_slow_stack_gives_the_outputs_of_its_state(qtbot: QtBot) -> None:
    model = model_of(ReLU(), Conv2d(1, 2, 3, weight=Drawn(1)))
    wait_until_done(qtbot, model)
    before = model.state
    model.edit_kernel([(0, 0)], 5.0, "edit")
    model.edit_input([(3, 3)], 5.0, "edit")
    model.change(lab.with_added_layer(model.state, "flatten"), "Add")
    for _ in range(3):
        model.undo_stack.undo()
    assert same_state(model.state, before)
    wait_until_done(qtbot, model)
    assert_whole(model)


@pytest.mark.usefixtures("_slow")
def test_weights_can_be_edited_before_there_is_an_output(qtbot: QtBot) -> None:
    model = model_of(Flatten(), Linear(64, 9), current=1)
    model.go_to(8)
    model.change(lab.with_units(model.state, 3), "Units")
    model.edit_kernel([(0, 0)], 5.0, "edit")
    assert isinstance(model.state.layer, Linear)
    assert model.state.layer.weight[2, 0] == 5
    wait_until_done(qtbot, model)
    assert_whole(model)


def test_a_unit_of_another_network_is_opened_and_undone(model: LabModel) -> None:
    before = model.state
    stack = PRESETS["small_cnn"]()
    picture = np.random.default_rng(0).normal(size=(3, 32, 32))
    model.open_unit(stack, picture, 3, (11, 4, 7), "Open a unit")
    explanation = model.explain(model.position)
    assert (model.state.current, model.out_channel, model.position) == (3, 11, (4, 7))
    assert explanation is not None
    assert explanation.result == pytest.approx(stack.forward(picture)[3][11, 4, 7])
    model.open_unit(stack, picture, 9, (5, 0, 0), "Open a unit")
    assert model.explain(model.position) is not None
    assert model.unit == (9, 5)
    model.undo_stack.undo()
    model.undo_stack.undo()
    assert model.state is before
