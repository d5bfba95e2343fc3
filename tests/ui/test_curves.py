import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QMouseEvent, QPalette
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QGraphicsView, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

from convviz.core.numbers import format_number
from convviz.ui import theme
from convviz.ui.widgets.curves import LARGEST, SMOOTH_UP_TO, CurvePlot, log_ticks


@pytest.fixture
def plot(qtbot: QtBot, light: QApplication) -> CurvePlot:
    plot = CurvePlot("Loss", "step")
    qtbot.addWidget(plot)
    plot.resize(400, 300)
    plot.show()
    return plot


def viewport(plot: CurvePlot) -> QWidget:
    view = plot.findChild(QGraphicsView)
    assert isinstance(view, QGraphicsView)
    return view.viewport()


def point_at(plot: CurvePlot, share: float) -> None:
    """Move the pointer over the plot, from its left (0) to its right (1)."""
    target = viewport(plot)
    place = QPointF(share * target.width(), target.height() / 2)
    no, keys = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    event = QMouseEvent(QEvent.Type.MouseMove, place, target.mapToGlobal(place), no, no, keys)
    QApplication.sendEvent(target, event)


def colors_in(plot: CurvePlot) -> set[str]:
    QApplication.processEvents()
    image = plot.grab().toImage()
    return {QColor(image.pixel(x, y)).name() for x in range(image.width()) for y in range(60, image.height() - 50)}


def test_the_heading_reads_the_last_values(plot: CurvePlot) -> None:
    assert plot.reading == ""
    plot.set_curve("train", [1, 2, 3], [12, 4.915, -0.825])
    plot.set_curve("test", [0, 2], [0.5, 0.25])
    assert plot.reading == "step 3, train −0.825, test 0.25"
    plot.set_curve("train", [1, 2, 3, 4], [12, 4.915, 2, 1])
    assert plot.reading == "step 4, train 1, test 0.25"
    assert plot.accessibleName() == "Loss: step 4, train 1, test 0.25"
    plot.clear()
    assert plot.reading == ""


def test_a_place_is_read_where_there_are_points(plot: CurvePlot) -> None:
    plot.set_curve("train", [1, 2, 3], [12, 5, 2])
    plot.set_curve("test", [0, 2], [0.5, 0.25])
    plot.read_at(1.8)
    assert plot.reading == "step 2, train 5, test 0.25"
    plot.read_at(100)
    assert plot.reading == "step 3, train 2, test"
    plot.read_at(None)
    assert plot.reading == "step 3, train 2, test 0.25"


def test_the_pointer_reads_and_leaves(plot: CurvePlot) -> None:
    plot.set_curve("loss", np.arange(101), np.arange(101))
    QApplication.processEvents()
    readings = []
    for share in (0.3, 0.6, 0.9):
        point_at(plot, share)
        readings.append(int(plot.reading.split()[-1]))
        assert plot.reading == f"step {readings[-1]}, loss {readings[-1]}"
    assert 0 < readings[0] < readings[1] < readings[2] < 100
    QApplication.sendEvent(viewport(plot), QEvent(QEvent.Type.Leave))
    assert plot.reading == "step 100, loss 100"
    point_at(plot, 0.5)
    point_at(plot, 0.01)  # over the numbers of the axis
    assert plot.reading == "step 100, loss 100"


def test_the_arrow_keys_read(qtbot: QtBot, plot: CurvePlot) -> None:
    qtbot.keyClick(plot, Qt.Key.Key_Left)
    assert plot.reading == ""
    plot.set_curve("loss", [1, 2, 3], [12, 5, 2])
    for key, reading in (
        (Qt.Key.Key_Left, "step 2, loss 5"),
        (Qt.Key.Key_Left, "step 1, loss 12"),
        (Qt.Key.Key_Left, "step 1, loss 12"),
        (Qt.Key.Key_Right, "step 2, loss 5"),
        (Qt.Key.Key_Escape, "step 3, loss 2"),
    ):
        qtbot.keyClick(plot, key)
        assert plot.reading == reading


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.floats(), max_size=20), log_y=st.booleans())
def test_points_that_have_no_place_are_left_out(plot: CurvePlot, values: list[float], log_y: bool) -> None:
    plot.clear()
    plot.set_log_y(log_y)
    plot.set_curve("loss", np.arange(len(values)), values)
    plot.grab()
    shown = [(k, value) for k, value in enumerate(values) if abs(value) <= LARGEST and (value > 0 or not log_y)]
    k, value = shown[-1] if shown else (0, 0.0)
    assert plot.reading == (f"step {k}, loss {format_number(value)}" if shown else "loss")


@given(low=st.floats(-100, 99), span=st.floats(0.01, 100))
def test_ticks_of_a_logarithmic_axis(low: float, span: float) -> None:
    ticks = log_ticks(low, low + span)
    assert 1 <= len(ticks) <= 10
    assert ticks == sorted(set(ticks))
    assert low - 1e-9 <= ticks[0]
    assert ticks[-1] <= low + span + 1e-9


def test_known_ticks() -> None:
    assert log_ticks(-3.5, 1.2) == [-3, -2, -1, 0, 1]
    assert log_ticks(-15, 1) == [-15, -12, -9, -6, -3, 0]
    assert [round(10**tick, 6) for tick in log_ticks(-1, 0.4)] == [0.1, 0.2, 0.5, 1, 2]
    assert [round(10**tick, 6) for tick in log_ticks(np.log10(2.1), np.log10(2.9))] == [2.2, 2.4, 2.6, 2.8]


@pytest.mark.parametrize("num_points", [2, SMOOTH_UP_TO, SMOOTH_UP_TO + 1, 5000])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_curve_has_its_colour_of_the_theme(plot: CurvePlot, num_points: int, mode: theme.Mode) -> None:
    x = np.linspace(0, 100, num_points)
    plot.set_curve("train", x, x)
    plot.set_curve("test", x, 100 - x)
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, mode, 1.0)
    seen, colors = colors_in(plot), theme.colors(plot.palette())
    assert plot.palette().color(QPalette.ColorRole.Highlight).name() in seen
    assert colors.window.name() in seen
    assert colors.surface.name() in seen
    other = theme.DARK if mode == "light" else theme.LIGHT
    assert not {other.surface.name(), other.window.name()} & seen


def test_it_grows_with_the_font(plot: CurvePlot) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    before = plot.minimumSizeHint()
    theme.apply(app, "light", 2.0)
    assert plot.minimumSizeHint() == before * 2


def test_the_mouse_changes_nothing(qtbot: QtBot, plot: CurvePlot) -> None:
    plot.set_curve("loss", np.arange(101), np.arange(101))
    before = plot.grab().toImage()
    target = viewport(plot)
    qtbot.mousePress(target, Qt.MouseButton.LeftButton, pos=QPoint(150, 100))
    point_at(plot, 0.8)
    qtbot.mouseRelease(target, Qt.MouseButton.LeftButton, pos=QPoint(300, 150))
    qtbot.mouseClick(target, Qt.MouseButton.RightButton, pos=QPoint(150, 100))
    qtbot.mouseDClick(target, Qt.MouseButton.LeftButton, pos=QPoint(150, 100))
    assert QApplication.activePopupWidget() is None
    QApplication.sendEvent(target, QEvent(QEvent.Type.Leave))
    assert plot.grab().toImage() == before


def test_the_wheel_scrolls_what_lies_around(qtbot: QtBot, light: QApplication) -> None:
    scroll = QScrollArea()
    qtbot.addWidget(scroll)
    plot = CurvePlot("Loss", "step")
    plot.setFixedSize(400, 900)
    scroll.setWidget(plot)
    scroll.resize(450, 300)
    with qtbot.waitExposed(scroll):
        scroll.show()
    QTest.wheelEvent(scroll.windowHandle(), QPointF(200, 150), QPoint(0, -120))
    assert scroll.verticalScrollBar().value() > 0


def test_only_a_plot_loads_the_plotting_library() -> None:
    code = "import sys, convviz.ui.widgets.curves; print('pyqtgraph' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"False"
