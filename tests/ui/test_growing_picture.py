import numpy as np
import pytest
from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QImage, QPainter, QPen
from PySide6.QtWidgets import QApplication

from convviz.ui.widgets.growing_picture import GrowingPicture, Values
from tests.ui.paints import look_alike

SIZE = QSizeF(120, 60)
REACH = 3.0


class Drawing:
    """Lines (2, N) on a grey ground; it counts what is asked of it."""

    def __init__(self) -> None:
        self.picture = GrowingPicture()
        self.grounds = 0
        self.starts: list[float] = []

    def get(self, *lines: Values, key: object = None, ratio: float = 1.0) -> QImage:
        def paint_ground(painter: QPainter) -> None:
            self.grounds += 1
            painter.fillRect(QRectF(QPointF(0, 0), SIZE), Qt.GlobalColor.lightGray)

        def paint_lines(painter: QPainter, start: float) -> None:
            self.starts.append(start)
            for line in lines:
                painter.setPen(QPen(Qt.GlobalColor.darkBlue, 3))
                for first, last in zip(line.T[:-1].tolist(), line.T[1:].tolist(), strict=True):
                    painter.drawLine(QPointF(*first), QPointF(*last))

        return self.picture.get(key, SIZE, ratio, paint_ground, lines, paint_lines, REACH).toImage()


def noisy(count: int, seed: int = 0) -> Values:
    y = np.random.default_rng(seed).uniform(5, 55, 100)
    return np.stack([np.arange(count, dtype=np.float64), y[:count]])


@pytest.mark.parametrize("ratio", [1.0, 1.25, 1.5, 2.0])
def test_what_grew_looks_as_if_it_was_painted_at_once(qapp: QApplication, ratio: float) -> None:
    growing = Drawing()
    for count in (2, 3, 40, 41, 41, 97):
        lines = noisy(count), noisy(max(1, count - 30), seed=1)
        assert look_alike(growing.get(*lines, ratio=ratio), Drawing().get(*lines, ratio=ratio))
    assert growing.grounds == 1


def test_only_what_is_new_is_painted(qapp: QApplication) -> None:
    drawing = Drawing()
    drawing.get(noisy(50), noisy(20, seed=1))
    drawing.get(noisy(60), noisy(20, seed=1))
    drawing.get(noisy(60), noisy(20, seed=1))
    assert drawing.starts == [0, 49 - REACH]
    drawing.get(noisy(60), noisy(30, seed=1))
    assert drawing.starts[2:] == [19 - REACH]
    changed = noisy(60)
    changed[1, 40] += 1
    drawing.get(changed, noisy(30, seed=1))
    assert drawing.starts[3:] == [39 - REACH]
    drawing.get(changed)
    assert drawing.starts[4:] == [0]
    assert drawing.grounds == 1
    drawing.get(changed, key="other")
    assert drawing.grounds == 2
    assert drawing.starts[5:] == [0]


def test_what_goes_back_is_taken_away(qapp: QApplication) -> None:
    drawing = Drawing()
    drawing.get(noisy(60))
    assert look_alike(drawing.get(noisy(20)), Drawing().get(noisy(20)))
    assert look_alike(drawing.get(), Drawing().get())
    assert not look_alike(Drawing().get(noisy(20)), Drawing().get())
