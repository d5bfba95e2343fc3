from itertools import pairwise, product

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QKeyEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from convviz.ui import theme
from convviz.ui.widgets.grid_content import Cell, GridContent, Mark, Role
from convviz.ui.widgets.number_grid import NumberGrid

LEFT = Qt.MouseButton.LeftButton
CTRL, SHIFT, NO_MODIFIER = (
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.NoModifier,
)
VALUES = np.pad(np.arange(30.0).reshape(5, 6) - 7, 1)


class Log:
    """What a grid said, in order."""

    def __init__(self, grid: NumberGrid) -> None:
        self.clicked: list[Cell] = []
        self.entered: list[tuple[int, int, float]] = []
        self.painted: list[list[Cell]] = []
        self.nudged: list[tuple[int, int, float]] = []
        self.rejected: list[str] = []
        self.strokes = 0
        grid.cell_clicked.connect(lambda row, col: self.clicked.append((row, col)))
        grid.value_entered.connect(lambda row, col, value: self.entered.append((row, col, value)))
        grid.cells_painted.connect(self.painted.append)
        grid.nudged.connect(lambda row, col, amount: self.nudged.append((row, col, amount)))
        grid.rejected.connect(self.rejected.append)
        grid.stroke_finished.connect(self._on_stroke)

    def _on_stroke(self) -> None:
        self.strokes += 1


def shown(qtbot: QtBot, editable: bool, content: GridContent) -> NumberGrid:
    grid = NumberGrid(editable)
    qtbot.addWidget(grid)
    grid.resize(520, 480)
    grid.set_content(content)
    with qtbot.waitActive(grid):
        grid.show()
        grid.activateWindow()
    return grid


@pytest.fixture
def grid(qtbot: QtBot, light: QApplication) -> NumberGrid:
    """An editable grid of 5 × 6 cells with padding 1."""
    return shown(qtbot, True, GridContent(VALUES, level=22.0, size=(5, 6), origin=(-1, -1)))


@pytest.fixture
def large(qtbot: QtBot, light: QApplication) -> NumberGrid:
    """A read-only grid of 200 × 300 cells."""
    return shown(qtbot, False, GridContent(np.arange(60000.0).reshape(200, 300), level=60000.0))


@pytest.fixture
def log(grid: NumberGrid) -> Log:
    return Log(grid)


def at(grid: NumberGrid, cell: Cell) -> QPoint:
    return grid.geometry_of_cells.cell_rect(*cell).center().toPoint()


def click(qtbot: QtBot, grid: NumberGrid, cell: Cell) -> None:
    qtbot.mouseClick(grid, LEFT, pos=at(grid, cell))


def drag(qtbot: QtBot, grid: NumberGrid, cells: list[Cell]) -> None:
    qtbot.mousePress(grid, LEFT, pos=at(grid, cells[0]))
    for cell in cells[1:]:
        qtbot.mouseMove(grid, pos=at(grid, cell))
    qtbot.mouseRelease(grid, LEFT, pos=at(grid, cells[-1]))


def wheel(grid: NumberGrid, position: QPointF, turns: int, modifiers: Qt.KeyboardModifier = NO_MODIFIER) -> None:
    event = QWheelEvent(
        position,
        QPointF(grid.mapToGlobal(position.toPoint())),
        QPoint(),
        QPoint(0, 120 * turns),
        Qt.MouseButton.NoButton,
        modifiers,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(grid, event)


def type_text(text: str) -> None:
    """Press the key of every character, wherever the focus is by then."""
    for character in text:
        for kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
            focus = QApplication.focusWidget()
            assert focus is not None
            QApplication.sendEvent(focus, QKeyEvent(kind, 0, NO_MODIFIER, character))


def press(qtbot: QtBot, key: Qt.Key, modifiers: Qt.KeyboardModifier = NO_MODIFIER) -> None:
    qtbot.keyClick(QApplication.focusWidget(), key, modifiers)


def editors(grid: NumberGrid) -> list[QLineEdit]:
    return [editor for editor in grid.findChildren(QLineEdit) if editor.isVisible()]


# ---- pointer


def test_a_click_chooses_a_cell(qtbot: QtBot, grid: NumberGrid, log: Log) -> None:
    for cell in product(range(5), range(6)):
        click(qtbot, grid, cell)
        assert grid.cursor_cell == cell
    assert log.clicked == list(product(range(5), range(6)))
    assert (log.painted, log.strokes, log.entered) == ([], 0, [])


@pytest.mark.parametrize("cell", [(-1, 0), (0, -1), (5, 5), (4, 6)])
def test_a_click_on_padding_does_nothing(qtbot: QtBot, grid: NumberGrid, log: Log, cell: Cell) -> None:
    before = grid.cursor_cell
    click(qtbot, grid, cell)
    assert log.clicked == []
    assert grid.cursor_cell == before


@pytest.mark.parametrize(
    "corners",
    [[(0, 0), (4, 5)], [(4, 5), (0, 0)], [(4, 0), (1, 5)], [(2, 5), (2, 0)], [(0, 0), (4, 1), (0, 5), (3, 3)]],
)
def test_a_fast_stroke_leaves_no_gaps(qtbot: QtBot, grid: NumberGrid, log: Log, corners: list[Cell]) -> None:
    drag(qtbot, grid, corners)
    cells = [cell for part in log.painted for cell in part]
    assert (cells[0], cells[-1]) == (corners[0], corners[-1])
    assert set(corners) <= set(cells)
    assert all(max(abs(a[0] - b[0]), abs(a[1] - b[1])) == 1 for a, b in pairwise(cells))
    assert log.strokes == 1


def test_a_stroke_leaves_padding_alone(qtbot: QtBot, grid: NumberGrid, log: Log) -> None:
    drag(qtbot, grid, [(0, 0), (-1, 2), (0, 4)])
    assert all(grid.content.is_real(*cell) for part in log.painted for cell in part)


def test_dragging_over_a_grid_that_is_not_editable_scrubs(qtbot: QtBot, large: NumberGrid) -> None:
    log = Log(large)
    large.zoom(40)
    cells = [
        cell for cell in product(range(200), range(300)) if large.geometry_of_cells.cell_at(QPointF(at(large, cell)))
    ]
    drag(qtbot, large, cells[:4])
    assert log.clicked == [cells[0], *cells[1:4]]
    assert (log.painted, log.strokes, large.cursor_cell) == ([], 0, None)


def test_hovering_names_the_cell_and_leaving_none(qtbot: QtBot, grid: NumberGrid) -> None:
    with qtbot.waitSignal(grid.cell_hovered, check_params_cb=lambda cell: cell == (-1, 3)):
        qtbot.mouseMove(grid, pos=at(grid, (-1, 3)))
    with qtbot.waitSignal(grid.cell_hovered, check_params_cb=lambda cell: cell is None):
        QApplication.sendEvent(grid, QEvent(QEvent.Type.Leave))


@pytest.mark.parametrize("turns", [1, -1])
def test_the_wheel_nudges_the_chosen_cell(qtbot: QtBot, grid: NumberGrid, log: Log, turns: int) -> None:
    click(qtbot, grid, (2, 3))
    wheel(grid, QPointF(at(grid, (2, 3))), turns)
    assert log.nudged == [(2, 3, float(turns))]
    wheel(grid, QPointF(at(grid, (1, 1))), turns)
    assert len(log.nudged) == 1


# ---- keyboard


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7.0), ("−1,5", -1.5), ("-0.25", -0.25), ("1/3", 1 / 3), (".5", 0.5), ("2e−3", 0.002), ("12345", 12345.0)],
)
def test_typing_a_number_enters_it_and_moves_down(
    qtbot: QtBot, grid: NumberGrid, log: Log, text: str, value: float
) -> None:
    click(qtbot, grid, (1, 2))
    type_text(text)
    assert len(editors(grid)) == 1
    assert log.entered == []
    press(qtbot, Qt.Key.Key_Return)
    assert log.entered == [(1, 2, value)]
    assert (editors(grid), grid.cursor_cell, log.rejected) == ([], (2, 2), [])
    assert grid.hasFocus()


@pytest.mark.parametrize("text", ["twelve", "nan", "inf", "-inf", "", "  ", "1/0", "1e13", "1,2,3", "0x10", "1 2"])
def test_a_refused_text_stays_to_be_corrected(qtbot: QtBot, grid: NumberGrid, log: Log, text: str) -> None:
    click(qtbot, grid, (1, 2))
    press(qtbot, Qt.Key.Key_Return)
    (editor,) = editors(grid)
    assert editor.text() == "1"
    editor.clear()
    type_text(text)
    for number_of_tries in (1, 2):
        press(qtbot, Qt.Key.Key_Return)
        assert len(log.rejected) == number_of_tries
    assert editors(grid) == [editor]
    assert editor.text() == text
    assert log.entered == []
    assert np.array_equal(grid.content.values, VALUES)
    type_text("4")
    press(qtbot, Qt.Key.Key_Return)
    assert log.entered == [(1, 2, 4.0)]


def test_escape_leaves_the_editor_and_then_the_cell(qtbot: QtBot, grid: NumberGrid, log: Log) -> None:
    click(qtbot, grid, (1, 2))
    type_text("99")
    press(qtbot, Qt.Key.Key_Escape)
    assert editors(grid) == []
    assert grid.cursor_cell == (1, 2)
    press(qtbot, Qt.Key.Key_Escape)
    assert grid.cursor_cell is None
    assert not grid.hasFocus()
    assert (log.entered, log.rejected) == ([], [])


def test_tab_enters_the_number_and_moves_right(qtbot: QtBot, grid: NumberGrid, log: Log) -> None:
    click(qtbot, grid, (1, 2))
    type_text("8")
    press(qtbot, Qt.Key.Key_Tab)
    type_text("9")
    press(qtbot, Qt.Key.Key_Tab)
    assert log.entered == [(1, 2, 8.0), (1, 3, 9.0)]
    assert grid.cursor_cell == (1, 4)


@pytest.mark.parametrize("key", [Qt.Key.Key_Delete, Qt.Key.Key_Backspace])
def test_delete_enters_zero(qtbot: QtBot, grid: NumberGrid, log: Log, key: Qt.Key) -> None:
    click(qtbot, grid, (1, 2))
    press(qtbot, key)
    assert log.entered == [(1, 2, 0.0)]


def test_arrows_move_the_cursor_inside_the_real_cells(qtbot: QtBot, grid: NumberGrid) -> None:
    click(qtbot, grid, (0, 0))
    for key, end in (
        (Qt.Key.Key_Right, (0, 5)),
        (Qt.Key.Key_Down, (4, 5)),
        (Qt.Key.Key_Left, (4, 0)),
        (Qt.Key.Key_Up, (0, 0)),
    ):
        for _ in range(8):
            press(qtbot, key)
        assert grid.cursor_cell == end


def test_shift_and_an_arrow_nudge(qtbot: QtBot, grid: NumberGrid, log: Log) -> None:
    click(qtbot, grid, (1, 1))
    press(qtbot, Qt.Key.Key_Up, SHIFT)
    press(qtbot, Qt.Key.Key_Down, SHIFT)
    assert log.nudged == [(1, 1, 1.0), (1, 1, -1.0)]
    assert grid.cursor_cell == (1, 1)


def test_keyboard_focus_brings_a_cursor(grid: NumberGrid) -> None:
    grid.clearFocus()
    grid.set_cursor_cell(None)
    grid.setFocus(Qt.FocusReason.TabFocusReason)
    assert grid.cursor_cell == (0, 0)


def test_a_grid_that_is_not_editable_takes_no_number(qtbot: QtBot, grid: NumberGrid, log: Log) -> None:
    grid.editable = False
    grid.set_cursor_cell((1, 1))
    grid.setFocus()
    type_text("5")
    press(qtbot, Qt.Key.Key_Return)
    qtbot.mouseDClick(grid, LEFT, pos=at(grid, (1, 1)))
    assert editors(grid) == []
    assert (log.entered, log.painted) == ([], [])


def test_a_double_click_edits(qtbot: QtBot, grid: NumberGrid) -> None:
    click(qtbot, grid, (3, 3))
    qtbot.mouseDClick(grid, LEFT, pos=at(grid, (3, 3)))
    assert [editor.text() for editor in editors(grid)] == ["14"]


@pytest.mark.parametrize("content", [GridContent(VALUES[1:]), GridContent(VALUES, origin=(-2, -2), size=(4, 5))])
def test_another_shape_ends_the_editing(qtbot: QtBot, grid: NumberGrid, log: Log, content: GridContent) -> None:
    click(qtbot, grid, (1, 2))
    type_text("8")
    grid.set_content(content)
    assert editors(grid) == []
    assert log.entered == []


# ---- zoom and pan


@pytest.mark.parametrize("across", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("down", [0.1, 0.5, 0.9])
def test_zooming_keeps_the_cell_under_the_pointer(large: NumberGrid, across: float, down: float) -> None:
    smallest = large.cell_px
    large.zoom(8)
    area = large.geometry_of_cells.viewport
    cell = large.geometry_of_cells.cell_at(
        QPointF(area.left() + across * area.width(), area.top() + down * area.height())
    )
    assert cell is not None
    pointer = large.geometry_of_cells.cell_rect(*cell).center()
    for _ in range(9):
        wheel(large, pointer, 1, CTRL)
        assert large.geometry_of_cells.cell_at(pointer) == cell
    assert large.cell_px > 60
    for _ in range(30):
        wheel(large, pointer, -1, CTRL)
    assert large.cell_px == smallest


def test_zoom_has_limits(large: NumberGrid) -> None:
    smallest = large.cell_px
    large.zoom(1e6)
    assert 100 <= large.cell_px <= 1000
    large.zoom(1e-6)
    assert large.cell_px == smallest
    large.zoom(30)
    large.fit()
    assert large.cell_px == smallest


def test_what_is_looked_at_is_scrolled_into_view(large: NumberGrid) -> None:
    large.zoom(40)
    for row, col in [(0, 0), (199, 299), (100, 3), (4, 250), (198, 1)]:
        rows, cols = (row, min(199, row + 1)), (col, min(299, col + 1))
        large.ensure_visible(rows, cols)
        area = large.geometry_of_cells.viewport.adjusted(-1, -1, 1, 1)
        assert area.contains(large.geometry_of_cells.box(rows, cols))


def test_the_wheel_pans_only_when_zoomed(large: NumberGrid) -> None:
    middle = large.geometry_of_cells.viewport.center()
    before = large.geometry_of_cells
    wheel(large, middle, -1)
    assert large.geometry_of_cells == before
    large.zoom(40)
    before = large.geometry_of_cells
    wheel(large, middle, -1)
    assert large.geometry_of_cells.corner.y() < before.corner.y()
    wheel(large, middle, -1, SHIFT)
    assert large.geometry_of_cells.corner.x() < before.corner.x()


def test_the_middle_button_pans(qtbot: QtBot, large: NumberGrid) -> None:
    large.zoom(40)
    corner = large.geometry_of_cells.corner
    start = large.rect().center()
    qtbot.mousePress(large, Qt.MouseButton.MiddleButton, pos=start)
    qtbot.mouseMove(large, pos=start + QPoint(-30, -20))
    qtbot.mouseRelease(large, Qt.MouseButton.MiddleButton, pos=start + QPoint(-30, -20))
    assert large.geometry_of_cells.corner - corner == QPointF(-30, -20)


def test_the_largest_cell_grows_with_the_interface(qtbot: QtBot, qapp: QApplication, grid: NumberGrid) -> None:
    grid.zoom(1e6)
    largest = grid.cell_px
    theme.apply(qapp, "light", 2.0)
    qtbot.waitUntil(lambda: grid.font().pixelSize() == 2 * theme.BASE_FONT_PX)
    grid.zoom(1e6)
    assert grid.cell_px == 2 * largest


# ---- painting


def painted(grid: NumberGrid) -> QImage:
    return grid.grab().toImage()


def test_cells_that_fill_in_one_by_one_look_like_those_painted_at_once(grid: NumberGrid) -> None:
    grid.set_content(GridContent(VALUES, level=22.0))
    num_cells = VALUES.size
    grid.set_shown(0)
    pictures = [painted(grid)]
    for number in range(1, num_cells + 1):
        grid.set_shown(number)
        pictures.append(painted(grid))
    for number in (0, 1, 17, num_cells):
        grid.set_content(grid.content, number)
        assert painted(grid) == pictures[number]
    assert len({bytes(picture.constBits()) for picture in pictures}) > num_cells // 2
    for number in reversed(range(num_cells)):
        grid.set_shown(number)
    assert painted(grid) == pictures[0]
    grid.set_shown(None)
    assert painted(grid) == pictures[-1]


@pytest.mark.parametrize("role", Role)
def test_a_mark_can_be_seen_and_leaves_no_trace(grid: NumberGrid, role: Role) -> None:
    clean = painted(grid)
    grid.set_marks(Mark((1, 2), (3, 5), role))
    assert painted(grid) != clean
    grid.set_marks()
    assert painted(grid) == clean


def test_digits_appear_only_where_cells_are_large(qtbot: QtBot, light: QApplication) -> None:
    """Equal colours, different digits: pictures differ only while the digits are painted."""
    grid = shown(qtbot, False, GridContent(np.full((4, 4), 5.0), level=1.0))
    other = GridContent(np.full((4, 4), 8.0), level=1.0)
    for side, has_digits in ((480, True), (110, False)):
        grid.resize(side, side)
        grid.set_content(GridContent(np.full((4, 4), 5.0), level=1.0))
        before = painted(grid)
        grid.set_content(other)
        assert (grid.cell_px >= 28) is has_digits
        assert (painted(grid) != before) is has_digits
