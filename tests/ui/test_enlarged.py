import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QSize, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from convviz.ui import theme
from convviz.ui.widgets.enlarged import LEAST_CELL, READABLE_CELL, EnlargedView
from convviz.ui.widgets.grid_content import Cell, GridContent
from convviz.ui.widgets.grid_painter import DIGITS_FROM_PX
from convviz.ui.widgets.number_grid import NumberGrid


@pytest.fixture
def view(qtbot: QtBot, light: QApplication) -> EnlargedView:
    view = EnlargedView()
    qtbot.addWidget(view)
    view.resize(560, 260)
    return view


def content(side: int, offset: float = 0.0) -> GridContent:
    return GridContent(np.arange(float(side * side)).reshape(side, side) + offset, float(side * side))


def enlarge(view: EnlargedView, side: int, around: Cell | None = None) -> NumberGrid:
    """Enlarge a map before it has been laid out, as a page does that shows it for the first time."""
    view.show_grids("Map", [("", content(side))], None)
    view.open(around)
    view.show()
    QApplication.processEvents()
    return view.grids[0]


def is_seen(grid: NumberGrid, cell: Cell) -> bool:
    geometry = grid.geometry_of_cells
    return geometry.viewport.contains(geometry.cell_rect(*cell))


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("cell", [(0, 0), (10, 21), (27, 27)])
def test_a_large_map_shows_its_numbers_around_the_cell_that_was_clicked(
    light: QApplication, view: EnlargedView, scale: float, cell: Cell
) -> None:
    theme.apply(light, "light", scale)
    view.resize(round(560 * scale), round(260 * scale))
    grid = enlarge(view, 28, cell)
    assert grid.cell_px == pytest.approx(READABLE_CELL * theme.unit())
    assert grid.cell_px >= DIGITS_FROM_PX
    assert is_seen(grid, cell)
    assert grid.geometry_of_cells.all_cells.width() > grid.geometry_of_cells.viewport.width()


def test_a_map_whose_numbers_have_room_is_shown_whole(view: EnlargedView) -> None:
    grid = enlarge(view, 5)
    assert grid.cell_px >= LEAST_CELL * theme.unit()
    assert is_seen(grid, (0, 0))
    assert is_seen(grid, (4, 4))


def test_new_numbers_leave_the_view_where_it_is(qtbot: QtBot, view: EnlargedView) -> None:
    grid = enlarge(view, 28)
    qtbot.keyClick(grid, Qt.Key.Key_Down)
    moved = grid.geometry_of_cells
    view.show_grids("Map", [("", content(28, offset=1.0))], None)
    view.resize(view.size() + QSize(0, 8))
    QApplication.processEvents()
    assert (grid.geometry_of_cells.corner, grid.cell_px) == (moved.corner, moved.cell)


def test_another_room_is_filled_until_the_view_is_moved(view: EnlargedView) -> None:
    grid = enlarge(view, 12)
    assert not is_seen(grid, (11, 11)) or not is_seen(grid, (0, 0))
    view.resize(900, 900)
    QApplication.processEvents()
    assert is_seen(grid, (0, 0))
    assert is_seen(grid, (11, 11))
    assert grid.cell_px > READABLE_CELL * theme.unit()


def test_keys_scroll_to_all_corners_and_zoom(qtbot: QtBot, view: EnlargedView) -> None:
    grid = enlarge(view, 28)
    for keys, corner in (
        ((Qt.Key.Key_Down, Qt.Key.Key_Right), (27, 27)),
        ((Qt.Key.Key_Up, Qt.Key.Key_Left), (0, 0)),
    ):
        for key in keys * 6:
            qtbot.keyClick(grid, key)
        assert is_seen(grid, corner)
    before = grid.cell_px
    qtbot.keyClick(grid, Qt.Key.Key_Plus)
    assert grid.cell_px == pytest.approx(1.25 * before)
    for _ in range(12):
        qtbot.keyClick(grid, Qt.Key.Key_Minus)
    assert is_seen(grid, (0, 0))
    assert is_seen(grid, (27, 27))


def test_the_wheel_zooms_out_to_the_whole_map_and_it_stays(view: EnlargedView) -> None:
    grid = enlarge(view, 28)
    place = QPointF(grid.rect().center())
    for _ in range(12):
        event = QWheelEvent(
            place,
            grid.mapToGlobal(place),
            QPoint(),
            QPoint(0, -120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.ControlModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(grid, event)
    view.resize(view.size() + QSize(8, 8))
    QApplication.processEvents()
    assert is_seen(grid, (0, 0))
    assert is_seen(grid, (27, 27))


def test_another_map_starts_again(qtbot: QtBot, view: EnlargedView) -> None:
    grid = enlarge(view, 28)
    for _ in range(12):
        qtbot.keyClick(grid, Qt.Key.Key_Minus)
    view.open((14, 14))
    assert grid.cell_px == pytest.approx(READABLE_CELL * theme.unit())
    assert is_seen(grid, (14, 14))
