import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from convviz.ui import theme
from convviz.ui.widgets.picture_view import PictureView

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def view(qtbot: QtBot, light: QApplication) -> PictureView:
    """A view of a red picture of 10 × 20 pixels."""
    view = PictureView()
    qtbot.addWidget(view)
    view.resize(400, 400)
    picture = np.zeros((3, 10, 20), np.uint8)
    picture[0] = 255
    view.show_picture(picture)
    with qtbot.waitExposed(view):
        view.show()
    return view


def color_at(view: PictureView, row: float, col: float) -> QColor:
    """What is painted in the middle of a pixel of the picture."""
    box = view.picture_rect
    image = view.grab().toImage()
    x = box.left() + (col + 0.5) * box.width() / 20
    y = box.top() + (row + 0.5) * box.height() / 10
    return image.pixelColor(round(x), round(y))


def test_a_picture_keeps_its_shape(view: PictureView) -> None:
    assert view.picture_rect.width() == pytest.approx(2 * view.picture_rect.height())
    assert color_at(view, 5, 5) == QColor(255, 0, 0)


def test_a_region_is_outlined_even_where_it_reaches_beyond_the_picture(view: PictureView) -> None:
    view.show_region(range(-3, 5), range(4, 12))
    cell = view.picture_rect.width() / 20
    edge = QPointF(view.picture_rect.left() + 4 * cell, view.picture_rect.top() + 2 * cell).toPoint()
    assert view.grab().toImage().pixelColor(edge) == theme.colors(view.palette()).receptive_field
    view.show_region(None, None)
    assert view.grab().toImage().pixelColor(edge) == QColor(255, 0, 0)


def test_values_are_laid_over_the_picture(view: PictureView) -> None:
    view.show_values(np.array([[1.0, -1.0]]), 1.0)
    left, right = color_at(view, 5, 1), color_at(view, 5, 18)
    assert left.blue() < right.blue()
    view.show_values(None)
    assert color_at(view, 5, 18) == QColor(255, 0, 0)


def test_pressing_and_dragging_say_where(view: PictureView, qtbot: QtBot) -> None:
    cells: list[tuple[int, int]] = []
    view.dragged.connect(lambda row, col: cells.append((row, col)))
    corner, cell = view.picture_rect.topLeft(), view.picture_rect.width() / 20

    def at(row: int, col: int) -> QPoint:
        return (corner + QPointF((col + 0.5) * cell, (row + 0.5) * cell)).toPoint()

    qtbot.mousePress(view, LEFT, pos=at(2, 3))
    qtbot.mouseMove(view, at(4, 19))
    qtbot.mouseRelease(view, LEFT, pos=at(4, 19))
    assert cells[0] == (2, 3)
    assert view.cell_at(QPointF(at(9, 0))) == (9, 0)
    assert view.cell_at(QPointF(399, 399)) is None
