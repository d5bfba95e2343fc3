from pathlib import Path

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from convviz.core import stack_file
from convviz.core.layers import AvgPool2d, Layer
from convviz.core.presets import PRESETS
from convviz.ui.lab import compute, limits
from convviz.ui.lab import state as lab
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.page import LabPage
from convviz.ui.lab.stack_cards import CardState
from convviz.ui.main_window import MainWindow
from convviz.ui.settings import Settings
from convviz.ui.widgets.fields import FlatSlider
from convviz.ui.widgets.live_text import LiveText
from tests.ui.lab.driving import (
    ALT,
    CTRL,
    LEFT,
    MISFIT,
    SHIFT,
    TWO_LAYERS,
    Key,
    Modifier,
    at,
    button,
    choose_from_menu,
    click,
    kernel_of,
    open_stack,
    press,
    random_conv,
    step_of,
    text_of,
    texts,
    use_conv,
    wait_for_threads,
)

VIEWS = {"layer": Key.Key_L, "stack": Key.Key_K, "shift": Key.Key_H, "learn": Key.Key_E}

opens_a_menu = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
"""The offscreen platform neither raises a menu nor lets it grab the keyboard."""


# ---- operations


@pytest.mark.parametrize(("key", "operation"), [(Key.Key_M, "max"), (Key.Key_A, "avg")])
def test_an_operation_is_one_key_and_keeps_what_is_legal(
    qtbot: QtBot, page: LabPage, model: LabModel, key: Key, operation: str
) -> None:
    before = model.state
    press(qtbot, key)
    after = model.state
    assert after.operation == operation
    for name in limits.PARAMETERS:
        assert limits.parameter(lab.window_of(after), name) == limits.parameter(lab.window_of(before), name)
    assert after.input is before.input
    assert page.layer_view.strip.describe().startswith({"max": "Maximum", "avg": "Average"}[operation])
    press(qtbot, Key.Key_C)
    assert model.state.operation == "conv"
    assert model.state.layer == before.layer
    assert page.layer_view.strip.describe().startswith("Dot product")


def test_the_same_operation_again_is_no_step(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    press(qtbot, Key.Key_C)
    assert not model.undo_stack.canUndo()
    assert page.actions_by_name["conv"].isChecked()


def test_no_operation_is_marked_at_another_layer(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    open_stack(model, TWO_LAYERS)
    press(qtbot, Key.Key_Period)
    assert not any(page.actions_by_name[name].isChecked() for name in ("conv", "max", "avg"))
    press(qtbot, Key.Key_M)
    assert model.state.operation == "max"
    assert page.actions_by_name["max"].isChecked()
    press(qtbot, Key.Key_Z, CTRL)
    assert model.state.stack == TWO_LAYERS


# ---- views


@pytest.mark.parametrize(("view", "key"), VIEWS.items())
def test_a_view_is_one_key(qtbot: QtBot, page: LabPage, model: LabModel, view: str, key: Key) -> None:
    press(qtbot, Key.Key_K if view == "layer" else Key.Key_L)
    press(qtbot, key)
    assert model.view == view
    assert [name for name in VIEWS if page.actions_by_name[f"view_{name}"].isChecked()] == [view]
    shown = {name: getattr(page, f"{name}_view") for name in VIEWS}
    assert [name for name, widget in shown.items() if widget.isVisible()] == [view]
    press(qtbot, Key.Key_L)
    assert model.view == "layer"


@pytest.mark.parametrize("key", [Key.Key_H, Key.Key_E])
def test_a_lesson_has_no_steps(qtbot: QtBot, page: LabPage, model: LabModel, key: Key) -> None:
    press(qtbot, Key.Key_Space)
    press(qtbot, key)
    assert not page.player.is_playing
    assert not page.transport.isVisible()
    for step in (Key.Key_Space, Key.Key_Right, Key.Key_End):
        press(qtbot, step)
    assert (page.player.is_playing, model.index) == (False, 0)
    press(qtbot, Key.Key_K)
    assert page.transport.isVisible()
    press(qtbot, Key.Key_Right)
    assert model.index == 1


def test_the_shift_view_moves_the_lab_s_input(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    use_conv(model, random_conv(2, 3))
    model.choose_map(1, 2)
    model.choose_channel(1)
    press(qtbot, Key.Key_H)
    table = page.shift_view.table
    before, after = (panel.grid.content.values for panel in table.input.shown[:2])
    assert np.array_equal(before, model.state.input[1])
    assert np.array_equal(after, before)
    assert np.array_equal(table.conv.shown[0].grid.content.values, step_of(model).y[2])
    press(qtbot, Key.Key_Right)
    assert page.shift_view.shift == (0, 1)
    assert np.array_equal(table.input.shown[1].grid.content.values[:, 1:], before[:, :-1])
    assert model.index == 0
    press(qtbot, Key.Key_M)
    assert table.conv.shown == ()


def test_the_shift_view_looks_at_the_first_layer_whichever_is_stepped(
    qtbot: QtBot, page: LabPage, model: LabModel
) -> None:
    page.choose_preset("four_layers")
    press(qtbot, Key.Key_H)
    table = page.shift_view.table
    assert np.array_equal(table.input.shown[0].grid.content.values, model.state.input[0])
    assert np.array_equal(table.conv.shown[0].grid.content.values, model.snapshot.outputs[0][0])


def test_the_learn_view_learns_the_lab_s_kernel(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    use_conv(model, random_conv(2, 2))
    model.choose_map(1, 1)
    press(qtbot, Key.Key_E)
    button(page.learn_view, "From the Lab").click()
    task = page.learn_view.descent.state.task
    assert np.array_equal(task.input, model.state.input[0])
    assert np.array_equal(task.hidden, kernel_of(model))
    model.choose_channel(1)
    task = page.learn_view.descent.state.task
    assert np.array_equal(task.input, model.state.input[1])
    assert np.array_equal(task.hidden, kernel_of(model))


def test_the_learn_view_says_why_pooling_cannot_be_learned(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    press(qtbot, Key.Key_E)
    button(page.learn_view, "From the Lab").click()
    assert page.info_bar.message == ""
    press(qtbot, Key.Key_M)
    assert page.info_bar.message.startswith("Pooling has no kernel to learn.")
    press(qtbot, Key.Key_C)
    assert page.info_bar.message == ""


def test_a_layer_that_does_not_fit_leaves_every_view_at_peace(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    open_stack(model, MISFIT)
    press(qtbot, Key.Key_Period)
    for key in VIEWS.values():
        press(qtbot, key)
        for step in (Key.Key_Space, Key.Key_Right, Key.Key_End):
            press(qtbot, step)
        page.grab()
    assert (model.index, page.player.is_playing) == (0, False)
    press(qtbot, Key.Key_L)
    press(qtbot, Key.Key_Comma)
    assert model.step is not None
    press(qtbot, Key.Key_Right)
    assert model.index == 1


# ---- layers


def test_keys_choose_the_layer(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    page.choose_preset("four_layers")
    reached = []
    for key in (Key.Key_Comma,) * 4 + (Key.Key_Period,) * 4:
        press(qtbot, key)
        reached.append(model.state.current)
    assert reached == [2, 1, 0, 0, 1, 2, 3, 3]


def test_choosing_a_layer_is_no_step_of_undo(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    open_stack(model, TWO_LAYERS)
    press(qtbot, Key.Key_Period)
    press(qtbot, Key.Key_Z, CTRL)
    assert len(model.state.stack.layers) == 1


# ---- the next start


@pytest.mark.parametrize("view", VIEWS)
def test_view_and_stack_come_back_at_the_next_start(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, view: str
) -> None:
    page = window.lab
    page.choose_preset("lenet5")
    page.model.choose_layer(3, 17)
    press(qtbot, VIEWS[view])
    page.player.set_speed(30)
    saved = text_of(page.model)
    window.close()
    again = MainWindow(Settings(tmp_path / "convviz.ini"))
    qtbot.addWidget(again)
    again.show()
    model = again.lab.model
    assert text_of(model) == saved
    assert (model.view, model.state.current, model.index) == (view, 3, 17)
    assert getattr(again.lab, f"{view}_view").isVisible()
    assert again.lab.player.speed == pytest.approx(30)
    assert np.array_equal(model.state.input, page.model.state.input)


# ---- stepping


def test_playing_visits_every_position(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    visited: list[int] = []
    model.position_changed.connect(lambda: visited.append(model.index))
    page.player.set_speed(60)
    press(qtbot, Key.Key_Space)
    assert page.player.is_playing
    qtbot.waitUntil(lambda: not page.player.is_playing)
    assert visited == list(range(1, model.num_positions))
    press(qtbot, Key.Key_Space)
    assert model.index == 0
    press(qtbot, Key.Key_Space)
    assert not page.player.is_playing


def places(model: LabModel) -> list[tuple[int, int]]:
    """A list that grows with every layer and position that is stepped to."""
    visited: list[tuple[int, int]] = []
    for changed in (model.position_changed, model.state_changed):
        changed.connect(lambda: visited.append((model.state.current, model.index)))
    return visited


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (Key.Key_L, [(0, 1), (0, 2), (0, 3)]),
        (Key.Key_K, [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)]),
    ],
)
def test_playing_goes_on_in_the_next_layer_where_all_are_shown(
    qtbot: QtBot, page: LabPage, model: LabModel, key: Key, expected: list[tuple[int, int]]
) -> None:
    open_stack(model, TWO_LAYERS)
    press(qtbot, key)
    page.player.set_speed(60)
    visited = places(model)
    press(qtbot, Key.Key_Space)
    qtbot.waitUntil(lambda: not page.player.is_playing)
    assert visited == expected


def test_stepping_back_leads_to_the_layer_before(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    open_stack(model, TWO_LAYERS)
    press(qtbot, Key.Key_K)
    press(qtbot, Key.Key_Period)
    visited = places(model)
    for key in (Key.Key_Left, Key.Key_Left, Key.Key_Right, Key.Key_Right):
        press(qtbot, key)
    assert visited == [(0, 3), (0, 2), (0, 3), (1, 0)]
    press(qtbot, Key.Key_L)
    press(qtbot, Key.Key_Left)
    assert (model.state.current, model.index) == (1, 0)


def test_the_transport_says_in_which_layer(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    def shown() -> str:
        return next(line.text for line in page.transport.findChildren(LiveText))

    assert "1 / 16" in shown()
    assert "L" not in shown()
    open_stack(model, TWO_LAYERS)
    press(qtbot, Key.Key_Period)
    press(qtbot, Key.Key_Right)
    assert shown() == "L2 · 2 / 4"


@pytest.mark.parametrize("key", [Key.Key_Right, Key.Key_PageDown, Key.Key_End, Key.Key_Home])
def test_a_step_by_hand_pauses(qtbot: QtBot, page: LabPage, key: Key) -> None:
    press(qtbot, Key.Key_Space)
    press(qtbot, key)
    assert not page.player.is_playing


@pytest.mark.parametrize(
    ("forward", "back"),
    [(Key.Key_Right, Key.Key_Left), (Key.Key_PageDown, Key.Key_PageUp), (Key.Key_End, Key.Key_Home)],
)
def test_keys_step(qtbot: QtBot, page: LabPage, model: LabModel, forward: Key, back: Key) -> None:
    last = model.num_positions - 1
    steps = 1 if forward == Key.Key_End else last
    for _ in range(steps):
        press(qtbot, forward)
    assert model.index == last
    press(qtbot, forward)
    assert model.index == last
    for _ in range(steps + 1):
        press(qtbot, back)
    assert model.index == 0


def test_the_slider_and_the_strip_follow(page: LabPage, model: LabModel) -> None:
    (slider,) = (one for one in page.findChildren(FlatSlider) if one.accessibleName() == "Position of the window")
    for index in (7, 15, 0):
        slider.setValue(index)
        assert model.index == index
        assert f"({index // 4}, {index % 4})" in page.layer_view.strip.describe()
    model.go_to(9)
    assert slider.value() == 9


def test_switches(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    for on in (True, False):
        for key in (Key.Key_R, Key.Key_U, Key.Key_S):
            press(qtbot, key)
        assert (model.shows_receptive_field, model.shows_pixel_use, model.shows_all) == (on, on, on)
        for name in ("receptive_field", "pixel_use", "show_all"):
            assert page.actions_by_name[name].isChecked() is on


def test_a_pinned_cell_stays_beside_the_one_hovered(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    press(qtbot, Key.Key_P)
    assert model.pinned == (0, 0)
    press(qtbot, Key.Key_End)
    model.hover((2, 1))
    told = page.layer_view.strip.describe()
    assert "(0, 0)" in told
    assert "(2, 1)" in told
    press(qtbot, Key.Key_P)
    assert model.pinned is None


def test_speed_keys(qtbot: QtBot, page: LabPage) -> None:
    before = page.player.speed
    press(qtbot, Key.Key_BracketRight)
    assert page.player.speed > before
    press(qtbot, Key.Key_BracketLeft)
    assert page.player.speed == pytest.approx(before)


# ---- the stack


@opens_a_menu
@pytest.mark.parametrize(("name", "key"), [("LeNet-5", "lenet5"), ("Four layers", "four_layers")])
def test_a_preset_is_chosen_from_the_menu(qtbot: QtBot, page: LabPage, model: LabModel, name: str, key: str) -> None:
    before = text_of(model)
    choose_from_menu(qtbot, button(page.controls, "Presets"), name)
    assert text_of(model) == stack_file.to_json(PRESETS[key]())
    assert model.view == "stack"
    assert page.stack_view.isVisible()
    press(qtbot, Key.Key_Z, CTRL)
    assert text_of(model) == before


@opens_a_menu
def test_a_layer_is_added_behind_the_current_one(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    for name in ("ReLU", "Linear"):
        choose_from_menu(qtbot, button(page.controls, "Add layer"), name)
    assert [type(layer).__name__ for layer in model.state.stack.layers] == ["Conv2d", "ReLU", "Flatten", "Linear"]
    assert model.state.current == 3
    assert model.state.stack.problem is None
    press(qtbot, Key.Key_Z, CTRL)
    assert [type(layer).__name__ for layer in model.state.stack.layers] == ["Conv2d", "ReLU"]


def test_cards_edit_the_stack(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    open_stack(model, TWO_LAYERS)
    conv, relu = TWO_LAYERS.layers

    def layers() -> list[Layer]:
        return list(model.state.stack.layers)

    cards = page.controls.stack.list
    cards.setFocus()
    press(qtbot, Key.Key_D, CTRL)
    assert layers() == [conv, conv, relu]
    assert model.state.current == 1
    press(qtbot, Key.Key_Down, ALT)
    assert layers() == [conv, relu, conv]
    assert model.state.current == 2
    press(qtbot, Key.Key_Delete)
    assert layers() == [conv, relu]
    cards.menu(0).actions()[0].trigger()
    assert not model.state.stack.is_on(0)
    assert cards.cards[0].state is CardState.OFF
    np.testing.assert_array_equal(model.snapshot.outputs[0], model.state.input)
    for _ in range(4):
        model.undo_stack.undo()
    assert model.state.stack == TWO_LAYERS
    qtbot.mouseClick(cards, LEFT, pos=cards.box(1).center().toPoint())
    assert model.state.current == 1


def test_the_last_layer_stays(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    page.controls.stack.list.setFocus()
    press(qtbot, Key.Key_Delete)
    assert len(model.state.stack.layers) == 1


# ---- in the background


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, page: LabPage) -> LabPage:
    """The page, which from now on finds every layer too slow to be computed at once."""
    monkeypatch.setattr(compute, "BUDGET_S", 0.0)
    return page


def test_slow_layers_are_computed_in_the_background(qtbot: QtBot, slow: LabPage, model: LabModel) -> None:
    slow.choose_preset("four_layers")
    assert slow.progress.isVisible()
    assert "Computing layer 1 of 4" in texts(slow)
    assert not model.snapshot.is_complete
    press(qtbot, Key.Key_Right)
    assert model.index == 1
    qtbot.waitUntil(lambda: model.snapshot.is_complete)
    assert not slow.progress.isVisible()
    assert (model.index, step_of(model).output_size) == (1, (3, 3))
    for output, expected in zip(model.snapshot.outputs, model.state.stack.forward(model.state.input), strict=True):
        np.testing.assert_array_equal(output, expected)
    wait_for_threads(qtbot)


@pytest.mark.parametrize("key", [Key.Key_L, Key.Key_K])
def test_computing_is_cancelled_and_taken_up_again(qtbot: QtBot, slow: LabPage, model: LabModel, key: Key) -> None:
    slow.choose_preset("four_layers")
    press(qtbot, key)
    qtbot.mouseClick(button(slow.progress, "Cancel"), LEFT)
    assert not model.forward.busy
    assert "Layers 1 to 4 were not computed." in texts(slow)
    assert ("was not computed" in texts(slow.layer_view)) is (key == Key.Key_L)
    model.choose_layer(1)
    assert not model.forward.busy
    qtbot.mouseClick(button(slow.progress, "Compute"), LEFT)
    assert "Computing layer 1 of 4" in texts(slow)
    qtbot.waitUntil(lambda: model.snapshot.is_complete)
    assert not slow.progress.isVisible()
    wait_for_threads(qtbot)


def test_a_change_while_computing_counts(qtbot: QtBot, slow: LabPage, model: LabModel) -> None:
    slow.choose_preset("four_layers")
    model.edit_input([(3, 3)], 50.0, "Edit")
    model.choose_layer(1)
    qtbot.waitUntil(lambda: model.snapshot.is_complete)
    np.testing.assert_array_equal(model.snapshot.outputs[-1], model.state.stack.forward(model.state.input)[-1])
    assert model.state.input[0, 3, 3] == 50
    wait_for_threads(qtbot)


# ---- editing


def test_a_refused_number_says_so_and_changes_nothing(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    before = model.state
    click(qtbot, page.layer_view.canvas.input.grid, (0, 0))
    press(qtbot, Key.Key_Return)
    editor = QApplication.focusWidget()
    assert isinstance(editor, QLineEdit)
    for text in ("inf", "nan", "x", ""):
        editor.setText(text)
        press(qtbot, Key.Key_Return)
        assert "The grid is as it was." in page.info_bar.message
        assert page.info_bar.isVisible()
    assert model.state is before
    press(qtbot, Key.Key_Escape)
    press(qtbot, Key.Key_Escape)
    press(qtbot, Key.Key_M)
    assert page.info_bar.message == ""
    assert not page.info_bar.isVisible()


def test_a_stroke_paints_and_is_one_step(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    before, grid = model.state.input, page.layer_view.canvas.input.grid
    qtbot.mousePress(grid, LEFT, pos=at(grid, (0, 0)))
    for cell in [(0, 3), (4, 3), (6, 6)]:
        qtbot.mouseMove(grid, pos=at(grid, cell))
    qtbot.mouseRelease(grid, LEFT, pos=at(grid, (6, 6)))
    assert (model.state.input[0, 0, :4] == page.controls.brush).all()
    assert (model.state.input[0, :5, 3] == page.controls.brush).all()
    press(qtbot, Key.Key_Z, CTRL)
    assert np.array_equal(model.state.input, before)


@pytest.mark.parametrize(("key", "modifiers"), [(Key.Key_Y, CTRL), (Key.Key_Z, CTRL | SHIFT)])
def test_undo_and_redo(qtbot: QtBot, page: LabPage, model: LabModel, key: Key, modifiers: Modifier) -> None:
    press(qtbot, Key.Key_M)
    press(qtbot, Key.Key_A)
    for _ in range(3):
        press(qtbot, Key.Key_Z, CTRL)
    assert model.state.operation == "conv"
    assert not page.actions_by_name["undo"].isEnabled()
    for _ in range(3):
        press(qtbot, key, modifiers)
    assert isinstance(model.state.layer, AvgPool2d)
    assert not page.actions_by_name["redo"].isEnabled()


# ---- looks


def test_zoom_keys(qtbot: QtBot, page: LabPage) -> None:
    grid = page.layer_view.canvas.input.grid
    fitting = grid.cell_px
    press(qtbot, Key.Key_Plus, ALT)
    assert grid.cell_px > fitting
    press(qtbot, Key.Key_0, ALT)
    assert grid.cell_px == fitting


def test_the_controls_can_be_hidden(qtbot: QtBot, page: LabPage) -> None:
    for shown in (False, True):
        press(qtbot, Key.Key_B, CTRL)
        assert page.controls.isVisible() is shown


def test_stepping_a_zoomed_grid_keeps_the_window_in_view(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    state = lab.with_parameter(model.state, "stride", (1, 1))
    model.change(lab.with_made_input(state, "ramp", (40, 40), 0, 1), "Input")
    for grid in (page.layer_view.canvas.input.grid, page.layer_view.canvas.output.grid):
        grid.zoom(8)
    for index in (1599, 0, 39, 799):
        model.go_to(index)
        row, col = model.position
        for grid in (page.layer_view.canvas.input.grid, page.layer_view.canvas.output.grid):
            area = grid.geometry_of_cells.viewport.adjusted(-1, -1, 1, 1)
            assert area.contains(grid.geometry_of_cells.cell_rect(row, col))


def test_play_at_the_end_of_the_stack_begins_with_the_first_layer(page: LabPage, model: LabModel) -> None:
    open_stack(model, TWO_LAYERS)
    page.choose_view("stack")
    model.choose_layer(1, position=lab.MOST_CELLS)
    page.toggle_play()
    assert (model.state.current, model.index, page.player.is_playing) == (0, 0, True)
    page.player.stop()
