from collections.abc import Callable, Generator

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QTableView
from pytestqt.qtbot import QtBot

from convviz.core.control import StopToken
from convviz.core.dense import Flatten, Linear
from convviz.core.layers import Conv2d
from convviz.core.presets import PRESETS
from convviz.core.refusal import RefusalError
from convviz.core.stack import INPUT, Stack
from convviz.nn.effective_field import EffectiveField, effective_field
from convviz.ui import theme
from convviz.ui.jobs import Job
from convviz.ui.lab import compute, stack_view
from convviz.ui.lab import state as lab
from convviz.ui.lab.effective import NUM_INPUTS
from convviz.ui.lab.map_panel import MapPanel
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.stack_canvas import StackPicture, seen_cells
from convviz.ui.lab.stack_view import StackView
from tests.ui.lab.driving import LEFT, MISFIT, at, button, click, open_stack, sobel, texts, wait_for_threads

LOADING_MS = 60_000
"""The first import of torch takes seconds."""


@pytest.fixture
def model(qapp: QApplication) -> LabModel:
    """Four layers, of which the last is stepped; all cells are shown."""
    model = LabModel(lab.with_preset(lab.initial_state(), "four_layers"))
    model.choose_view("stack")
    model.show_all(True)
    return model


@pytest.fixture
def view(qtbot: QtBot, light: QApplication, model: LabModel) -> StackView:
    view = StackView(model)
    qtbot.addWidget(view)
    view.resize(1100, 760)
    with qtbot.waitActive(view):
        view.show()
        view.activateWindow()
    return view


def panel(view: StackView, index: int) -> MapPanel:
    found = view.canvas.panel(index)
    assert found is not None
    return found


def numbers(view: StackView, index: int) -> lab.Array:
    """The numbers of a map (0: the input) as shown."""
    shown: lab.Array = panel(view, index).grid.content.values.astype(np.float64)
    return shown


# ---- what is shown


def test_every_map_is_shown(view: StackView, model: LabModel) -> None:
    assert np.array_equal(numbers(view, 0), model.state.input[0])
    for index, output in enumerate(model.snapshot.outputs, 1):
        assert panel(view, index).title.text().startswith(f"{index} ")
        assert np.array_equal(numbers(view, index), output[0])


def test_a_change_is_shown_at_once(view: StackView, model: LabModel) -> None:
    before = numbers(view, 4)
    model.edit_input([(5, 5)], 40.0, "Edit")
    assert numbers(view, 0)[5, 5] == 40
    assert not np.array_equal(numbers(view, 4), before)
    assert np.array_equal(numbers(view, 4), model.snapshot.outputs[3][0])


def test_nothing_is_drawn_while_another_view_is_shown(view: StackView, model: LabModel) -> None:
    before = numbers(view, 0)
    model.choose_view("layer")
    model.edit_input([(5, 5)], 40.0, "Edit")
    assert np.array_equal(numbers(view, 0), before)
    model.choose_view("stack")
    assert numbers(view, 0)[5, 5] == 40


def test_what_the_window_has_not_reached_is_blank(
    view: StackView, model: LabModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[int | None, ...]] = []
    monkeypatch.setattr(view.canvas, "set_picture", lambda picture: shown.append(picture.shown))
    model.choose_layer(2, 3)
    model.show_all(False)
    model.go_to(7)
    assert shown == [(None,) * 5, (None, None, None, 4, 0), (None, None, None, 8, 0)]


def test_a_stack_that_does_not_fit_is_shown_up_to_there(view: StackView, model: LabModel) -> None:
    open_stack(model, MISFIT)
    problem = MISFIT.problem
    assert problem is not None
    headings = ("Receptive field of unit (0, 0) in layer 1", "Layer 2 does not fit", "Layer 3 is not reached")
    for index, heading in enumerate(headings):
        model.choose_layer(index)
        assert problem.message in texts(view)
        assert view.table.field.heading == heading
        assert view.canvas.panel(1) is not None
        assert view.canvas.panel(2) is None
        view.grab()


def test_maps_come_from_the_background(
    qtbot: QtBot, view: StackView, model: LabModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute, "BUDGET_S", 0.0)
    model.change(lab.with_preset(model.state, "dilations"), "Preset")
    assert [panel(view, index).grid.isVisible() for index in range(4)] == [True, False, False, False]
    qtbot.waitUntil(lambda: model.snapshot.is_complete)
    for index, output in enumerate(model.snapshot.outputs, 1):
        assert np.array_equal(numbers(view, index), output[0])
    wait_for_threads(qtbot)


# ---- pointing and choosing


@pytest.mark.parametrize(("index", "cell"), [(1, (9, 0)), (2, (4, 7)), (3, (0, 4)), (4, (2, 2))])
def test_a_click_on_a_cell_steps_its_layer_from_there(
    qtbot: QtBot, view: StackView, model: LabModel, index: int, cell: tuple[int, int]
) -> None:
    click(qtbot, panel(view, index).grid, cell)
    assert (model.state.current, model.position) == (index - 1, cell)
    assert f"unit ({cell[0]}, {cell[1]}) in layer {index}" in view.table.field.heading


def test_the_input_has_no_layer_to_step(qtbot: QtBot, view: StackView, model: LabModel) -> None:
    before = model.state.current, model.index
    click(qtbot, panel(view, 0).grid, (3, 3))
    assert (model.state.current, model.index) == before


def test_pointing_shows_what_a_unit_sees_until_the_pointer_leaves(
    qtbot: QtBot, view: StackView, model: LabModel
) -> None:
    model.go_to(4)
    assert "unit (1, 1) in layer 4" in view.table.field.heading
    grid = panel(view, 2).grid
    qtbot.mouseMove(grid, pos=at(grid, (2, 3)))
    assert model.unit == (1, (2, 3))
    assert "unit (2, 3) in layer 2" in view.table.field.heading
    assert (model.state.current, model.index) == (3, 4)
    grid.cell_hovered.emit(None)
    assert model.unit == (3, (1, 1))
    assert "unit (1, 1) in layer 4" in view.table.field.heading


def test_a_unit_of_a_vector_is_chosen(qtbot: QtBot, view: StackView, model: LabModel) -> None:
    weight = np.arange(24.0).reshape(4, 6)
    open_stack(model, Stack((1, 2, 3), [Flatten(), Linear(6, 4, weight=weight)]))
    click(qtbot, panel(view, 2).grid, (1, 0))
    columns = numbers(view, 2).shape[1]
    assert (model.state.current, model.index) == (1, columns)
    assert model.unit == (1, columns)


def test_a_title_and_a_row_of_the_table_choose_a_layer(qtbot: QtBot, view: StackView, model: LabModel) -> None:
    qtbot.mouseClick(panel(view, 2).title, LEFT)
    assert model.state.current == 1
    table = view.table.findChild(QTableView)
    assert isinstance(table, QTableView)
    for row, current in ((1, 0), (0, 0), (4, 3)):
        index = table.model().index(row, 0)
        table.scrollTo(index)
        qtbot.mouseClick(table.viewport(), LEFT, pos=table.visualRect(index).center())
        assert model.state.current == current


def test_the_channel_of_a_map_is_chosen(qtbot: QtBot, view: StackView, model: LabModel) -> None:
    weight = np.arange(27.0).reshape(3, 1, 3, 3)
    open_stack(model, Stack((1, 6, 6), [Conv2d(1, 3, 3, weight=weight)]))
    qtbot.mouseClick(panel(view, 1).selector.next, LEFT)
    assert model.channels == (0, 1)
    assert np.array_equal(numbers(view, 1), model.snapshot.outputs[0][1])


def test_fit_shows_all_layers_or_each_at_a_readable_size(qtbot: QtBot, view: StackView) -> None:
    assert view.canvas.fit
    assert all(view.canvas.panel(index) is not None for index in range(5))
    view.resize(600, 500)
    fitted = panel(view, 4).grid.cell_px
    qtbot.mouseClick(button(view, "Fit"), LEFT)
    assert not view.canvas.fit
    assert panel(view, 4).grid.cell_px > fitted
    assert view.canvas.panel(0) is None


def test_no_cell_is_marked_where_the_layer_does_not_fit(
    view: StackView, model: LabModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[StackPicture] = []
    monkeypatch.setattr(view.canvas, "set_picture", shown.append)
    open_stack(model, MISFIT)
    model.choose_layer(1)
    picture = shown[-1]
    assert picture.cell is None
    assert all(seen_cells(picture, index) is None for index in range(len(picture.maps)))


# ---- the effective receptive field


def choose(qtbot: QtBot, view: StackView, kind: str) -> None:
    qtbot.mouseClick(button(view, kind), LEFT)


def test_the_effective_field_of_a_unit_is_computed(qtbot: QtBot, view: StackView, model: LabModel) -> None:
    model.go_to(4)
    choose(qtbot, view, "Effective")
    assert view.shows_effective
    qtbot.waitUntil(lambda: "95 % of the gradient" in texts(view), timeout=LOADING_MS)
    qtbot.waitUntil(lambda: not view.runner.busy, timeout=LOADING_MS)
    *_, field = effective_field(model.state.stack, 3, (0, 1, 1), model.state.input, NUM_INPUTS, 0, StopToken())
    np.testing.assert_allclose(numbers(view, 0), field.heat)
    rows, cols = field.extent
    assert f"{len(rows)}×{len(cols)} of the 8×8 cells" in texts(view)
    assert not view.progress.isVisible()
    choose(qtbot, view, "Theory")
    assert np.array_equal(numbers(view, 0), model.state.input[0])
    assert "gradient" not in texts(view)
    wait_for_threads(qtbot)


def field_of(heat: lab.Array, done: int) -> EffectiveField:
    region = PRESETS["four_layers"]().input_region(3, (0, 0))
    return EffectiveField(heat, region, done, NUM_INPUTS)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Job], list[tuple[object, ...]]]:
    """Let another job do the computing, and return a list of what it was asked for."""

    def answer_with(job: Job) -> list[tuple[object, ...]]:
        asked: list[tuple[object, ...]] = []

        def make_job(_: Stack, layer: int, position: tuple[int, ...], x: lab.Array) -> Job:
            asked.append((layer, position))
            return job

        monkeypatch.setattr(stack_view, "effective_job", make_job)
        return asked

    return answer_with


def endless(token: StopToken) -> Generator[EffectiveField, None, EffectiveField]:
    """Tell of the first input until asked to stop."""
    field = field_of(np.ones((12, 12)), 1)
    while not token.stop_requested:
        yield field
    return field


Answer = Callable[[Job], list[tuple[object, ...]]]


def test_the_effective_field_is_seen_growing_and_can_be_cancelled(
    qtbot: QtBot, view: StackView, model: LabModel, answer: Answer
) -> None:
    answer(endless)
    choose(qtbot, view, "Effective")
    qtbot.waitUntil(lambda: f"input 1 of {NUM_INPUTS}" in texts(view.progress))
    assert (numbers(view, 0) == 1).all()
    qtbot.mouseClick(button(view.progress, "Cancel"), LEFT)
    assert (view.shows_effective, view.runner.busy, view.progress.isVisible()) == (False, False, False)
    assert np.array_equal(numbers(view, 0), model.state.input[0])
    wait_for_threads(qtbot)


def test_another_unit_has_another_field(qtbot: QtBot, view: StackView, model: LabModel, answer: Answer) -> None:
    asked = answer(lambda _: field_of(np.ones((12, 12)), NUM_INPUTS))
    choose(qtbot, view, "Effective")
    qtbot.waitUntil(lambda: bool((numbers(view, 0) == 1).all()))
    model.go_to(5)
    assert np.array_equal(numbers(view, 0), model.state.input[0])
    qtbot.waitUntil(lambda: bool((numbers(view, 0) == 1).all()))
    model.choose_layer(1, 13)
    qtbot.waitUntil(lambda: len(asked) == 3)
    assert asked == [(3, (0, 0, 0)), (3, (0, 1, 2)), (1, (0, 1, 3))]
    model.edit_input([(0, 0)], 3.0, "Edit")
    assert numbers(view, 0)[0, 0] == 3
    qtbot.waitUntil(lambda: len(asked) == 4)
    wait_for_threads(qtbot)


def test_the_input_and_what_does_not_fit_have_no_field(
    qtbot: QtBot, view: StackView, model: LabModel, answer: Answer
) -> None:
    asked = answer(endless)
    open_stack(model, MISFIT)
    model.choose_layer(1)
    view.compute_effective()
    grid = panel(view, 0).grid
    qtbot.mouseMove(grid, pos=at(grid, (2, 3)))
    assert model.unit == (INPUT, (2, 3))
    view.compute_effective()
    assert asked == []
    view.stop()


def test_a_unit_that_nothing_moves_is_told(qtbot: QtBot, view: StackView, answer: Answer) -> None:
    answer(lambda _: field_of(np.zeros((12, 12)), NUM_INPUTS))
    choose(qtbot, view, "Effective")
    qtbot.waitUntil(lambda: "no input cell moves this unit" in texts(view))
    wait_for_threads(qtbot)


def test_a_refusal_is_told(qtbot: QtBot, view: StackView, answer: Answer) -> None:
    def refuse(_: StopToken) -> object:
        raise RefusalError("The weights are too {size}.", size="large")

    answer(refuse)
    with qtbot.waitSignal(view.rejected) as rejected:
        choose(qtbot, view, "Effective")
    assert rejected.args == ["The weights are too large."]
    assert not view.shows_effective
    wait_for_threads(qtbot)


def test_an_error_is_not_swallowed(qtbot: QtBot, view: StackView, answer: Answer) -> None:
    def fail(_: StopToken) -> object:
        raise ZeroDivisionError

    answer(fail)
    with qtbot.captureExceptions() as errors:
        choose(qtbot, view, "Effective")
        qtbot.waitUntil(lambda: bool(errors))
    assert [kind for kind, *_ in errors] == [ZeroDivisionError]
    assert not view.shows_effective
    wait_for_threads(qtbot)


def test_the_effective_field_of_one_convolution_is_its_kernel(qtbot: QtBot, view: StackView, model: LabModel) -> None:
    open_stack(model, Stack((1, 12, 12), [sobel()]))
    view.compute_effective()
    qtbot.waitUntil(lambda: "95 % of the gradient" in texts(view), timeout=LOADING_MS)
    expected = np.zeros((12, 12))
    expected[:3, :3] = [[1, 0, 1], [2, 0, 2], [1, 0, 1]]
    np.testing.assert_allclose(numbers(view, 0), expected)
    view.stop()
    wait_for_threads(qtbot)


# ---- looks


@pytest.mark.parametrize("scale", [0.75, 2.0])
def test_it_follows_the_font(qtbot: QtBot, view: StackView, scale: float) -> None:
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    theme.apply(application, "light", scale)
    fit = button(view, "Fit")
    qtbot.waitUntil(lambda: fit.font().pixelSize() == round(theme.BASE_FONT_PX * scale))
    view.resize(round(1100 * scale), round(760 * scale))
    QApplication.processEvents()
    for tool in (fit, button(view, "Theory"), button(view, "Effective")):
        assert view.rect().contains(tool.rect().translated(tool.mapTo(view, tool.rect().topLeft())))
        assert tool.width() >= tool.minimumSizeHint().width()
        assert tool.focusPolicy() & Qt.FocusPolicy.TabFocus
