import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QHelpEvent, QImage, QMouseEvent, QPalette
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QScrollArea, QToolTip
from pytestqt.qtbot import QtBot

from convviz.core.numbers import format_number
from convviz.core.plotting import LARGEST, clock_spacing, clock_text
from convviz.ui import theme
from convviz.ui.widgets.curve_lines import LOOKS, NARROW_LINE, Curve, CurveLook, Ink
from convviz.ui.widgets.curves import Axis, CurvePlot, Marker
from tests.ui.paints import PaintCounter, look_alike


@pytest.fixture
def plot(qtbot: QtBot, light: QApplication) -> CurvePlot:
    plot = CurvePlot("Loss", "step")
    qtbot.addWidget(plot)
    plot.resize(400, 300)
    plot.show()
    return plot


def point_at(plot: CurvePlot, share: float) -> None:
    """Move the pointer over the plot, from its left (0) to its right (1)."""
    place = QPointF(share * plot.width(), plot.height() / 2)
    no, keys = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    event = QMouseEvent(QEvent.Type.MouseMove, place, plot.mapToGlobal(place), no, no, keys)
    QApplication.sendEvent(plot, event)


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


def test_it_is_painted_only_if_something_is_new(qtbot: QtBot, plot: CurvePlot) -> None:
    paints = PaintCounter(plot)

    def show(y: list[float], *markers: Marker, end: float = 4.0) -> int:
        before = paints.count
        plot.show_curves([Curve("train", np.arange(3.0), np.array(y), LOOKS[0])], markers, end)
        QApplication.processEvents()
        return paints.count - before

    qtbot.waitExposed(plot)
    assert show([1, 2, math.nan]) == 1
    assert show([1, 2, math.nan]) == 0
    assert show([1, 3, math.nan]) == 1
    assert show([1, 3, math.nan], Marker(1, "rate 0.1")) == 1
    assert show([1, 3, math.nan], end=5.0) == 1
    assert show([1, 3, math.nan], end=5.0) == 0


@pytest.mark.parametrize("log", [False, True])
def test_curves_that_grew_look_as_if_shown_at_once(qtbot: QtBot, light: QApplication, log: bool) -> None:
    looks = (
        CurveLook(Ink.BLUE),
        CurveLook(Ink.AMBER, (4, 2), points=True),
        CurveLook(Ink.BLUE, width=NARROW_LINE, strength=0.5),
        CurveLook(Ink.MUTED, (6, 2, 1, 2), NARROW_LINE, beside=True),
    )
    y = np.random.default_rng(0).uniform(0.5, 2, (4, 3000))

    def pictured(plot: CurvePlot, count: int) -> QImage:
        steps = (1, 200, 1, 30)
        curves = [
            Curve(f"curve {k}", np.arange(0, count, step) / 100, y[k, : -(-count // step)], look)
            for k, (look, step) in enumerate(zip(looks, steps, strict=True))
        ]
        plot.show_curves(curves, [Marker(3, "rate 0.1")], 30.0, (None, 3.0))
        return plot.grab().toImage()

    growing, at_once = (CurvePlot("Loss", "epoch") for _ in range(2))
    for plot in (growing, at_once):
        qtbot.addWidget(plot)
        plot.resize(500, 300)
        plot.set_log_y(log)
    for count in (150, 700, 701, 1450, 2999, 1200):
        pictured(growing, count)
        at_once.clear()
        at_once.grab()
        assert look_alike(pictured(growing, count), pictured(at_once, count))


def test_a_place_is_read_where_there_are_points(plot: CurvePlot) -> None:
    plot.set_curve("train", [1, 2, 3], [12, 5, 2])
    plot.set_curve("test", [0, 2], [0.5, 0.25])
    plot.read_at(1.8)
    assert plot.reading == "step 2, train 5, test 0.25"
    plot.read_at(100)
    assert plot.reading == "step 3, train 2, test 0.25"
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
    QApplication.sendEvent(plot, QEvent(QEvent.Type.Leave))
    assert plot.reading == "step 100, loss 100"
    point_at(plot, 0.5)
    point_at(plot, 0.01)  # over the numbers of the axis
    assert plot.reading == "step 100, loss 100"


@pytest.mark.qt_log_ignore("This plugin does not support", extend=True)
def test_what_is_read_is_not_covered_by_a_tooltip(qtbot: QtBot, plot: CurvePlot) -> None:
    plot.setToolTip("what it shows")

    def ask_at(y: int) -> None:
        place = QPoint(plot.width() // 2, y)
        QApplication.sendEvent(plot, QHelpEvent(QEvent.Type.ToolTip, place, plot.mapToGlobal(place)))

    ask_at(plot.height() // 2)
    assert QToolTip.text() == "what it shows"  # as there is nothing to be read
    plot.set_curve("loss", [1, 2, 3], [12, 5, 2])
    ask_at(plot.height() // 2)
    qtbot.waitUntil(lambda: not QToolTip.isVisible())
    ask_at(12)
    assert QToolTip.text() == "what it shows"
    QToolTip.hideText()


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
    shown = [
        (k, value) for k, value in enumerate(values) if abs(value) <= LARGEST and (value >= 1 / LARGEST or not log_y)
    ]
    k, value = shown[-1] if shown else (0, 0.0)
    assert plot.reading == (f"step {k}, loss {format_number(value)}" if shown else "loss")


@pytest.mark.parametrize("num_points", [2, 300, 5000])
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
    qtbot.mousePress(plot, Qt.MouseButton.LeftButton, pos=QPoint(150, 100))
    point_at(plot, 0.8)
    qtbot.mouseRelease(plot, Qt.MouseButton.LeftButton, pos=QPoint(300, 150))
    qtbot.mouseClick(plot, Qt.MouseButton.RightButton, pos=QPoint(150, 100))
    qtbot.mouseDClick(plot, Qt.MouseButton.LeftButton, pos=QPoint(150, 100))
    assert QApplication.activePopupWidget() is None
    QApplication.sendEvent(plot, QEvent(QEvent.Type.Leave))
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


def test_a_sparse_curve_is_read_until_its_next_point_is_due(plot: CurvePlot) -> None:
    plot.set_curve("batch", np.arange(1, 41), np.arange(1, 41))
    plot.set_curve("epoch", [10, 20], [0.5, 0.25])
    for place, reading in (
        (9, "step 9, batch 9, epoch"),
        (10, "step 10, batch 10, epoch 0.5"),
        (19, "step 19, batch 19, epoch 0.5"),
        (29, "step 29, batch 29, epoch 0.25"),
        (30, "step 30, batch 30, epoch"),
    ):
        plot.read_at(place)
        assert plot.reading == reading


def test_one_plot_follows_another(qtbot: QtBot, plot: CurvePlot) -> None:
    other = CurvePlot("Accuracy", "step")
    qtbot.addWidget(other)
    plot.pointed.connect(other.follow)
    plot.set_curve("loss", np.arange(101), np.arange(101))
    other.set_curve("test", [50, 100], [7, 8])
    plot.read_at(72.2)
    assert other.reading == "step 72, test 7"
    with qtbot.assertNotEmitted(plot.pointed):
        plot.read_at(72.1)
    plot.read_at(None)
    assert other.reading == "step 100, test 8"


def test_the_arrow_keys_move_at_least_a_pixel(qtbot: QtBot, plot: CurvePlot) -> None:
    plot.set_curve("loss", np.arange(40_001), np.zeros(40_001))
    qtbot.keyClick(plot, Qt.Key.Key_Left)
    place = int(plot.reading.split(",")[0].removeprefix("step "))
    assert 40_000 / 400 <= 40_000 - place <= 40_000 / 200
    qtbot.keyClick(plot, Qt.Key.Key_Right)
    assert plot.reading == "step 40000, loss 0"


def test_the_axis_is_named_and_read_in_its_own_way(plot: CurvePlot) -> None:
    plot.set_axis(Axis("time", clock_text, clock_spacing))
    plot.set_curve("loss", [0, 30, 65], [3, 2, 1])
    assert plot.reading == "time 1:05, loss 1"


def test_other_curves_are_named_beside_the_plot_and_read_with_it(plot: CurvePlot) -> None:
    own = Curve("train", np.array([1.0, 2.0]), np.array([3.0, 2.0]), LOOKS[0])
    beside = Curve("earlier", np.array([1.0, 5.0]), np.array([4.0, 1.0]), CurveLook(Ink.MUTED, beside=True))
    plot.show_curves([own, beside])
    assert plot.reading == "step 2, train 2, earlier 1"
    plot.read_at(1)
    assert plot.reading == "step 1, train 3, earlier 4"
    plot.show_curves([own])
    assert plot.reading == "step 1, train 3"


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_change_is_marked_where_it_was_made(plot: CurvePlot, mode: theme.Mode) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, mode, 1.0)
    curve = Curve("train", np.array([0.0, 10.0]), np.array([1.0, 1.0]), LOOKS[0])
    plot.show_curves([curve])
    before = plot.grab().toImage()
    plot.show_curves([curve], [Marker(5.0, "rate 0.01")])
    after = plot.grab().toImage()
    columns = {
        x
        for x in range(after.width())
        if sum(after.pixel(x, y) != before.pixel(x, y) for y in range(after.height())) > 0.2 * after.height()
    }
    assert len(columns) == 1
    assert abs(min(columns) - after.width() * 0.54) < 0.05 * after.width()


def test_what_leaves_the_range_is_not_drawn_over_the_frame(plot: CurvePlot) -> None:
    steep = Curve("loss", np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 1e90]), CurveLook(Ink.AMBER))
    plot.show_curves([steep], y_range=(0.0, 4.0))
    image, amber = plot.grab().toImage(), theme.colors(plot.palette()).window
    drawn = [(x, y) for y in range(45, 300) for x in range(60, 350) if QColor(image.pixel(x, y)) == amber]
    assert 50 <= min(y for _, y in drawn) <= 54
    assert max(x for x, _ in drawn) <= (52 + 380) / 2 + 3  # upright from its second point on
    assert plot.reading == "step 2, loss 1e90"


def test_an_empty_plot_says_what_will_come(plot: CurvePlot) -> None:
    blank = plot.grab().toImage()
    plot.set_empty_text("Press Start.")
    said = plot.grab().toImage()
    assert said != blank
    plot.set_curve("loss", [1, 2], [math.nan, math.inf])
    plot.set_empty_text("")
    assert plot.reading == "loss"
    plot.clear()
    assert plot.grab().toImage() == blank


@pytest.mark.parametrize("value", [0.0, 2.302585, -1e-200, 1e90, -1e100])
@pytest.mark.parametrize("log_y", [False, True])
def test_a_constant_curve_is_a_level_line(plot: CurvePlot, value: float, log_y: bool) -> None:
    plot.set_log_y(log_y)
    plot.show_curves([Curve("loss", np.arange(9.0), np.full(9, value), CurveLook(Ink.AMBER, width=4 * NARROW_LINE))])
    image, amber = plot.grab().toImage(), theme.colors(plot.palette()).window
    rows = {y for y in range(60, 250) if QColor(image.pixel(200, y)) == amber}
    if log_y and value <= 0:
        assert not rows
    else:
        assert 3 <= len(rows) == max(rows) - min(rows) + 1 <= 4
        assert 140 < min(rows) < 170
