from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytestqt.qtbot import QtBot

from convviz.core.window import PaddingMode, Pair
from convviz.ui.lab import state as lab
from convviz.ui.lab.model import FEW_CELLS, LabModel, take_snapshot
from convviz.ui.lab.state import LabState
from tests.ui.lab.lab_cases import PADDING_MODES, changed, same_state, states

pytestmark = pytest.mark.usefixtures("qapp")


@pytest.fixture
def model() -> LabModel:
    return LabModel(lab.initial_state())


def input_cells(state: LabState) -> st.SearchStrategy[Pair]:
    return st.tuples(st.integers(0, state.size[0] - 1), st.integers(0, state.size[1] - 1))


# ---- snapshot


@given(state=states(), data=st.data())
@settings(max_examples=60)
def test_an_edit_computes_what_a_whole_pass_would(state: LabState, data: st.DataObject) -> None:
    before = take_snapshot(state)
    values = state.input.copy()
    channel = data.draw(st.integers(0, state.channels - 1))
    for cell in data.draw(st.lists(input_cells(state), max_size=5)):
        values[(channel, *cell)] = data.draw(st.integers(-9, 9))
    after = replace(state, input=values)
    edited, whole = take_snapshot(after, before), take_snapshot(after)
    np.testing.assert_allclose(edited.output, whole.output, rtol=1e-12, atol=1e-9)
    assert np.array_equal(edited.padded, whole.padded)
    assert edited.input_level == whole.input_level
    assert edited.output_level == pytest.approx(whole.output_level)


@pytest.mark.parametrize("mode", PADDING_MODES)
@pytest.mark.parametrize("num_cells", [1, FEW_CELLS, FEW_CELLS + 1])
def test_an_edit_at_the_border_reaches_its_copies_in_the_padding(mode: PaddingMode, num_cells: int) -> None:
    state = lab.with_made_input(lab.initial_state(), "random", (9, 11), 3, 3)
    state = lab.legal(replace(state, padding=(2, 3), stride=(1, 2), padding_mode=mode))
    values = state.input.copy()
    values[1].flat[:num_cells] += 5
    after = replace(state, input=values)
    np.testing.assert_allclose(
        take_snapshot(after, take_snapshot(state)).output, state.layer.forward(values), rtol=1e-12, atol=1e-9
    )


# ---- undo


@given(data=st.data())
@settings(max_examples=30)
def test_undo_and_redo_restore_every_state_exactly(data: st.DataObject) -> None:
    model = LabModel(lab.initial_state())
    history = [model.state]
    for number in range(data.draw(st.integers(1, 7))):
        match data.draw(st.sampled_from(["change", "input", "kernel"])):
            case "input":
                cells = data.draw(st.lists(input_cells(model.state), min_size=1, max_size=4))
                model.edit_input(cells, float(data.draw(st.integers(-9, 9))), "edit", key=("edit", number))
            case "kernel" if not model.state.is_pooling:
                model.edit_kernel([(0, 0)], float(data.draw(st.integers(-9, 9))), "edit")
            case _:
                model.change(data.draw(changed(model.state)), "change")
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
    np.testing.assert_allclose(
        model.snapshot.output, model.state.layer.forward(model.state.input), rtol=1e-12, atol=1e-9
    )


def test_an_edit_that_changes_nothing_is_no_step(model: LabModel) -> None:
    before = model.state
    model.edit_input([(2, 2)], float(before.input[0, 2, 2]), "edit")
    assert model.state is before
    assert not model.undo_stack.canUndo()


def test_a_nudge_in_colour_moves_every_channel(qtbot: QtBot) -> None:
    model = LabModel(lab.with_made_input(lab.initial_state(), "ramp", (4, 4), 0, 3))
    model.choose_channel(0, colour=True)
    model.edit_input([(1, 1)], 2.0, "nudge", nudge=True)
    assert model.state.input[:, 1, 1].tolist() == [7.0, 8.0, 9.0]


def test_a_flipped_kernel_is_edited_where_it_is_shown(model: LabModel) -> None:
    model.change(replace(model.state, flip=True), "flip")
    model.edit_kernel([(0, 0)], 5.0, "edit")
    assert model.state.weight[0, 0, 2, 2] == 5.0


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


def test_changes_without_a_key_stay_apart(model: LabModel) -> None:
    for value in (1.0, 2.0, 3.0):
        model.edit_input([(0, 0)], value, "Edit")
        model.edit_kernel([(0, 0)], value, "Edit")
    assert model.undo_stack.count() == 6


def test_an_edited_picture_becomes_custom_numbers_and_undo_brings_the_picture_back(model: LabModel) -> None:
    source = lab.Source("picture", picture=b"bytes", path="/a.png")
    model.change(lab.with_input(model.state, np.ones((1, 4, 4)), source), "Picture")
    model.edit_input([(1, 2)], 5.0, "Edit")
    assert model.state.source == lab.Source("custom")
    model.undo_stack.undo()
    assert model.state.source == source


def test_an_edit_reaches_the_chosen_channel_or_in_colour_all(model: LabModel) -> None:
    model.change(lab.with_made_input(model.state, "ramp", (4, 4), 0, 3), "Input")
    model.choose_channel(1, colour=False)
    model.edit_input([(0, 0)], 70.0, "Edit")
    assert model.state.input[:, 0, 0].tolist() == [0, 70, 2]
    model.edit_kernel([(1, 1)], 8.0, "Edit")
    assert model.state.weight[0, :, 1, 1].tolist() == [0, 8, 0]
    model.choose_channel(0, colour=True)
    model.edit_input([(0, 0)], 9.0, "Edit")
    assert model.state.input[:, 0, 0].tolist() == [9, 9, 9]


# ---- position and view


@given(data=st.data())
@settings(max_examples=30)
def test_the_position_stays_in_the_output(data: st.DataObject) -> None:
    model = LabModel(lab.initial_state())
    for _ in range(6):
        model.go_to(data.draw(st.integers(-3, 300)))
        cell = data.draw(st.tuples(st.integers(0, 9), st.integers(0, 9)))
        model.pin(cell)
        model.hover(cell)
        model.probe(data.draw(input_cells(model.state)))
        model.change(data.draw(changed(model.state)), "change")
        height, width = model.snapshot.output_size
        assert 0 <= model.index < model.snapshot.num_positions == height * width
        for shown in (model.position, model.pinned or (0, 0), model.hovered or (0, 0)):
            assert 0 <= shown[0] < height
            assert 0 <= shown[1] < width
        if model.probed is not None:
            model.readers(model.probed)
        assert 0 <= model.channel < model.state.channels
        assert model.explain(model.position).result == pytest.approx(
            model.snapshot.output[(model.channel if model.state.is_pooling else 0, *model.position)], abs=1e-9
        )


def test_a_change_keeps_row_and_column(model: LabModel) -> None:
    model.go_to_cell(2, 3)
    model.change(replace(model.state, stride=(1, 1)), "Stride")
    assert model.position == (2, 3)
    model.change(lab.with_input_size(model.state, (7, 3)), "Size")
    assert model.position == (2, 2)


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
    model = LabModel(replace(state, weight=np.ones_like(state.weight)))
    layer, cell = model.state.layer, (state.size[0] // 2, state.size[1] - 1)
    values = state.input.copy()
    values[(0, *cell)] += 1000
    grown = layer.forward(values)[0] - layer.forward(state.input)[0] > 1
    assert {(int(row), int(col)) for row, col in np.argwhere(grown)} == set(product(*model.readers(cell)))


def test_readers_of_a_cell_that_no_window_covers_are_none(model: LabModel) -> None:
    model.change(lab.legal(replace(model.state, padding=(0, 0), stride=(3, 3))), "Stride")
    assert model.readers((6, 6)) == ((), ())
    assert model.readers((0, 0)) == ((0,), (0,))


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
