from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QLabel, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

from convviz.core.inputs import make_input
from convviz.core.kernels import make_kernel
from convviz.core.layers import Conv2d
from convviz.ui import theme
from convviz.ui.lab.grid_panel import GridPanel
from convviz.ui.lab.shift import MOST_SHIFT, DifferenceStrip, Line, ShiftView, Slot, cell_sizes
from convviz.ui.lab.state import Array
from convviz.ui.widgets.buttons import FlatButton

SOBEL = Conv2d(1, 1, 3, padding=1, weight=make_kernel("sobel_x", (3, 3))[None, None])
EDGES = Conv2d(1, 1, (1, 2), weight=[[[[1, -1]]]])
BLOB = make_input("blob", (7, 7))
STRIPES = make_input("vertical_edges", (6, 8))


@pytest.fixture
def view(qtbot: QtBot, light: QApplication) -> ShiftView:
    view = ShiftView()
    qtbot.addWidget(view)
    view.resize(1280, 640)
    return view


@pytest.fixture
def shown(qtbot: QtBot, view: ShiftView) -> ShiftView:
    view.set_lab(BLOB, SOBEL, 0, 0)
    with qtbot.waitActive(view):
        view.show()
        view.activateWindow()
    return view


def values(panel: GridPanel) -> list[list[float]]:
    rows: list[list[float]] = panel.grid.content.values.tolist()
    return rows


def results(strip: DifferenceStrip) -> list[str]:
    return [f"{line.name.text()}: {line.count.text()}" for line in (strip.first, strip.max, strip.avg)]


def panels(view: ShiftView) -> list[GridPanel]:
    table = view.table
    return [panel for group in (table.input, table.conv, table.max, table.avg) for panel in group.shown]


def button(view: ShiftView, name: str) -> FlatButton:
    return next(found for found in view.findChildren(FlatButton) if found.accessibleName() == name)


def test_edges_that_move_by_one(view: ShiftView) -> None:
    view.set_lab(STRIPES, EDGES, 0, 0)
    view.move_by(0, 1)
    table = view.table
    assert values(table.input.panels[0])[0] == [1, 1, 0, 0, 0, 0, 1, 1]
    assert values(table.input.panels[1])[0] == [0, 1, 1, 0, 0, 0, 0, 1]
    assert values(table.conv.panels[0])[0] == [0, 1, 0, 0, 0, -1, 0]
    assert values(table.conv.panels[1])[0] == [-1, 0, 1, 0, 0, 0, -1]
    assert values(table.conv.panels[2])[0] == [-1, -1, 1, 0, 0, 1, -1]
    assert [values(panel)[0] for panel in table.max.panels] == [[1, 0, 0], [0, 1, 0], [-1, 1, 0]]
    assert [values(panel)[0] for panel in table.avg.panels] == [[0.5, 0, -0.5], [-0.5, 0.5, 0], [-1, 0.5, 0.5]]
    assert results(view.strip) == [
        "Convolution: 30 of 42 changed",
        "Max 2×2: 6 of 9 changed",
        "Average 2×2: 9 of 9 changed",
    ]
    assert [line.bar.share for line in (view.strip.first, view.strip.max)] == [30 / 42, 6 / 9]
    assert view.strip.first.words.text() == "All 36 inside cells are the old ones, moved 1 right."
    assert view.strip.max.words.text() == "Windows step by 2: cells cannot just move by this shift."


def test_changed_cells_are_marked_after_the_shift_and_on_the_difference(view: ShiftView) -> None:
    view.set_lab(STRIPES, EDGES, 0, 0)
    view.move_by(0, 1)
    for group in (view.table.input, view.table.conv, view.table.max, view.table.avg):
        before, after = (panel.grid.content.values for panel in group.panels[:2])
        for corners in group.corners:
            assert np.array_equal(corners.cells, before != after)


def test_the_corner_can_be_seen_without_colour(shown: ShiftView) -> None:
    """In the light theme nothing on a cell is as dark as the corner, but the digits in the middle."""
    shown.move_by(0, 1)
    grid = shown.table.conv.panels[1].grid
    image = grid.grab().toImage()
    for row, col in np.ndindex(*grid.content.values.shape):
        corner = grid.geometry_of_cells.cell_rect(row, col).topRight().toPoint()
        is_dark = image.pixelColor(corner.x() - 3, corner.y() + 3).lightness() < 80
        assert is_dark == shown.table.conv.corners[0].cells[row, col], (row, col)


def test_windows_that_step_as_far_as_the_shift_only_move(view: ShiftView) -> None:
    view.set_lab(BLOB, SOBEL, 0, 0)
    for _ in range(2):
        view.move_by(1, 0)
    assert view.strip.max.words.text() == "All 2 inside cells are the old ones, moved 1 down."
    view.pool.buttons[1].click()
    assert view.strip.max.name.text() == "Max 3×3"
    assert view.strip.max.words.text() == "Windows step by 3: cells cannot just move by this shift."


def test_a_picture_that_wraps_round_moves_as_a_whole(view: ShiftView) -> None:
    view.set_lab(BLOB, SOBEL.changed(padding_mode="circular"), 0, 0)
    view.fill.buttons[1].click()
    view.move_by(0, -1)
    assert view.strip.first.words.text() == "Every cell is an old one, moved 1 left."
    view.fill.buttons[0].click()
    assert view.strip.first.words.text() == "All 20 inside cells are the old ones, moved 1 left."


def test_without_a_convolution_the_input_is_pooled(view: ShiftView) -> None:
    x = make_input("random", (6, 6), channels=3)
    view.set_lab(x, None, 2, 0)
    view.move_by(0, 1)
    table = view.table
    assert not table.conv.shown
    assert len(table.input.shown) == 3
    assert values(table.input.panels[0]) == x[2].tolist()
    assert values(table.max.panels[0]) == x[2].reshape(3, 2, 3, 2).max(axis=(1, 3)).tolist()
    assert view.strip.first.name.text() == "Input"
    view.set_lab(BLOB, SOBEL, 0, 0)
    assert len(table.input.shown) == 2
    assert len(table.conv.shown) == 3


def test_the_chosen_map_alone_is_shown(view: ShiftView) -> None:
    x = make_input("random", (9, 9), channels=3)
    conv = Conv2d(3, 4, 3, weight=np.random.default_rng(0).normal(size=(4, 3, 3, 3)))
    view.set_lab(x, conv, 1, 2)
    np.testing.assert_allclose(view.table.conv.panels[0].grid.content.values, conv.forward(x)[2])
    assert values(view.table.input.panels[0]) == x[1].tolist()
    assert view.strip.first.count.text() == "0 of 49 changed"


def test_a_map_smaller_than_the_window_is_not_pooled(view: ShiftView) -> None:
    view.set_lab(BLOB[:, :1], None, 0, 0)
    assert not view.table.max.shown
    assert view.strip.avg.words.text() == "The map is smaller than the window."
    view.set_lab(BLOB, None, 0, 0)
    assert len(view.table.max.shown) == 3


def test_maps_and_differences_share_their_levels(view: ShiftView) -> None:
    view.set_lab(BLOB, SOBEL, 0, 0)
    view.move_by(1, -1)
    groups = (view.table.conv, view.table.max, view.table.avg)
    assert len({panel.grid.content.level for group in groups for panel in group.panels[:2]}) == 1
    assert len({group.panels[2].grid.content.level for group in groups}) == 1
    assert {panel.grid.content.signed for group in groups for panel in group.panels} == {True}


def test_arrows_move_within_limits_and_back(view: ShiftView) -> None:
    view.set_lab(BLOB, SOBEL, 0, 0)
    assert not view.back.isEnabled()
    for _ in range(MOST_SHIFT):
        assert button(view, "Move right").isEnabled()
        button(view, "Move right").click()
    button(view, "Move up").click()
    assert view.shift == (-1, MOST_SHIFT)
    assert view.moved.text == "moved 3 right, 1 up"
    assert not button(view, "Move right").isEnabled()
    view.move_by(0, 1)
    assert view.shift == (-1, MOST_SHIFT)
    view.back.click()
    assert view.shift == (0, 0)
    assert view.moved.text == "not moved"
    assert results(view.strip)[0] == "Convolution: 0 of 49 changed"
    assert view.strip.first.words.text() == ""


def test_the_shift_stays_for_another_input(view: ShiftView) -> None:
    view.set_lab(BLOB, SOBEL, 0, 0)
    view.move_by(0, 1)
    view.set_lab(STRIPES, EDGES, 0, 0)
    assert results(view.strip)[0] == "Convolution: 30 of 42 changed"


def test_the_same_objects_are_not_computed_again(view: ShiftView) -> None:
    view.set_lab(BLOB, SOBEL, 0, 0)
    contents = [panel.grid.content for panel in panels(view)]
    view.set_lab(BLOB, SOBEL, 0, 0)
    assert all(panel.grid.content is content for panel, content in zip(panels(view), contents, strict=True))
    view.set_lab(BLOB.copy(), SOBEL, 0, 0)
    assert not any(panel.grid.content is content for panel, content in zip(panels(view), contents, strict=True))


@pytest.mark.parametrize("name", ["", "Move left", "Wrap round", "Pool 3×3"])
def test_arrow_keys_move_the_input_from_everywhere(qtbot: QtBot, shown: ShiftView, name: str) -> None:
    target: QWidget = button(shown, name) if name else shown
    target.setFocus()
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Right, Qt.Key.Key_Up):
        qtbot.keyClick(target, key)
    assert shown.shift == (1, 1)
    assert target.hasFocus()
    qtbot.keyClick(target, Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier)
    assert shown.shift == (1, 1)


@pytest.mark.parametrize(
    ("key", "modifier", "kept"),
    [
        (Qt.Key.Key_Left, Qt.KeyboardModifier.NoModifier, True),
        (Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier, False),
        (Qt.Key.Key_P, Qt.KeyboardModifier.NoModifier, False),
    ],
)
def test_plain_arrow_keys_are_kept_from_shortcuts(
    shown: ShiftView, key: Qt.Key, modifier: Qt.KeyboardModifier, kept: bool
) -> None:
    event = QKeyEvent(QEvent.Type.ShortcutOverride, key, modifier)
    event.ignore()
    QApplication.sendEvent(shown, event)
    assert event.isAccepted() == kept


def test_every_control_says_what_it_does_and_is_reached_by_tab(shown: ShiftView) -> None:
    buttons = shown.findChildren(FlatButton)
    assert len(buttons) == 9
    for found in buttons:
        assert found.accessibleName()
        assert found.toolTip().endswith(".")
        assert found.focusPolicy() & Qt.FocusPolicy.TabFocus
    names = {panel.grid.accessibleName() for panel in panels(shown)}
    assert len(names) == len(panels(shown))


@pytest.mark.parametrize("scale", [0.75, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("size", [(480, 900), (900, 560), (1280, 640), (1600, 900)])
@pytest.mark.parametrize("x", [BLOB, make_input("checkerboard", (64, 64)), BLOB[:, :2]], ids=["7×7", "64×64", "2×7"])
def test_nothing_is_cut_or_overlaps(
    qtbot: QtBot, light: QApplication, scale: float, size: tuple[int, int], x: Array
) -> None:
    scroll, shown = QScrollArea(), ShiftView()
    qtbot.addWidget(scroll)
    scroll.setWidget(shown)
    scroll.setWidgetResizable(True)
    scroll.resize(*size)
    scroll.show()
    theme.apply(light, "light", scale)
    shown.set_lab(x, SOBEL, 0, 0)
    shown.move_by(-1, 2)
    light.processEvents()
    for child in shown.findChildren(QWidget):
        parent = child.parentWidget()
        assert parent is not None
        if child.isVisible():
            assert parent.rect().contains(child.geometry()), child
    for panel in panels(shown):
        assert panel.width() >= panel.text_width
        geometry = panel.grid.geometry_of_cells
        assert geometry.viewport.adjusted(-1, -1, 1, 1).contains(geometry.all_cells)
    for one, other in combinations(panels(shown), 2):
        assert not one.geometry().intersects(other.geometry())
    for label in shown.findChildren(QLabel):
        if label.isVisible() and not label.wordWrap():
            assert label.width() >= label.sizeHint().width(), label.text()
    words = shown.strip.first.words
    assert words.heightForWidth(words.width()) <= words.height()


def test_cells_that_are_compared_are_of_one_size(shown: ShiftView) -> None:
    shown.set_lab(BLOB, SOBEL.changed(stride=2), 0, 0)
    shown.resize(900, 560)
    QApplication.processEvents()
    for groups in ((shown.table.input, shown.table.conv), (shown.table.max, shown.table.avg)):
        assert len({panel.grid.cell_px for group in groups for panel in group.shown}) == 1


def test_results_follow_the_theme(shown: ShiftView, light: QApplication) -> None:
    theme.apply(light, "dark", 2.0)
    light.processEvents()
    assert shown.strip.first.words.palette().windowText().color() == theme.DARK.muted
    assert shown.strip.first.name.font().pixelSize() == 2 * theme.BASE_FONT_PX
    places = [panel.geometry() for panel in panels(shown)]
    shown.table.arrange()
    assert places == [panel.geometry() for panel in panels(shown)]


def line(rows: int, cols: int, count: int) -> Line:
    return Line((Slot(rows, cols, 20, 40, QSize(50, 30)),) * count, 8)


def test_cells_are_equal_where_all_lines_are_short_of_room() -> None:
    """Heights: 70 + 7 cells and 70 + 3 cells in 300 px, the width to spare."""
    assert cell_sizes([[line(7, 7, 5)], [line(3, 3, 6)]], 5000, 300, 84) == [16, 16]


def test_the_last_line_grows_where_the_first_is_as_wide_as_it_can_be() -> None:
    """Widths: 8 + 5 · (20 + 7 cells) and 8 + 6 · (20 + 3 cells) in 500 px, the height to spare."""
    assert cell_sizes([[line(7, 7, 5)], [line(3, 3, 6)]], 500, 5000, 84) == [11, 20]


def test_lines_of_one_block_keep_one_size() -> None:
    assert cell_sizes([[line(7, 7, 2), line(7, 7, 3)], [line(3, 3, 3), line(2, 2, 3)]], 500, 5000, 84) == [20, 48]


@given(
    st.lists(st.builds(line, st.integers(1, 512), st.integers(1, 512), st.integers(1, 6)), min_size=1, max_size=4),
    st.integers(400, 3000),
    st.integers(400, 2000),
)
def test_lines_fit_and_are_never_smaller_than_equal_cells(lines: list[Line], width: int, height: int) -> None:
    cells = cell_sizes([[each] for each in lines], width, height, 84)
    assert all(0 <= cell <= 84 for cell in cells)
    slack = 0.01 * 512 * 6
    assert sum(each.height(cell) for each, cell in zip(lines, cells, strict=True)) <= height + slack
    assert all(each.width(cell) <= width + slack for each, cell in zip(lines, cells, strict=True))
    assert min(cells) >= cell_sizes([lines], width, height, 84)[0]
