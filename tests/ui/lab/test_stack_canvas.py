from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QWheelEvent
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import Dropout, ReLU
from convviz.core.explain import FloatArray
from convviz.core.inputs import make_input
from convviz.core.layers import Conv2d, MaxPool2d
from convviz.core.presets import PRESETS
from convviz.core.stack import INPUT, Stack
from convviz.ui import theme
from convviz.ui.lab.map_panel import MapPanel, Unit
from convviz.ui.lab.stack_canvas import StackCanvas, StackPicture, seen_cells
from convviz.ui.widgets.number_grid import NumberGrid

LEFT = Qt.MouseButton.LeftButton
TEAL, AMBER = theme.LIGHT.receptive_field, theme.LIGHT.window


def picture_of(stack: Stack, x: FloatArray, current: int, cell: Unit) -> StackPicture:
    maps = (x, *stack.forward(x))
    return StackPicture(stack, maps, (0,) * len(maps), current, cell, (None,) * len(maps))


def four_layers(current: int = 3, cell: Unit = (1, 1)) -> StackPicture:
    return picture_of(PRESETS["four_layers"](), make_input("letter", (12, 12)), current, cell)


def dense(current: int, cell: Unit) -> StackPicture:
    """4 × 4 cells, then 16, 16, 7, 7 and 3 units."""
    layers = [Flatten(), ReLU(), Linear(16, 7), Dropout(), Linear(7, 3)]
    return picture_of(Stack((1, 4, 4), layers), make_input("ramp", (4, 4)), current, cell)


def many_maps(current: int = 0) -> StackPicture:
    """VGG-16 with zeros, of which no page is ever touched."""
    stack = PRESETS["vgg16"]()
    maps = tuple(np.zeros(shape, np.float32) for shape in stack.shapes)
    return StackPicture(stack, maps, (0,) * len(maps), current, (0, 0), (None,) * len(maps))


@pytest.fixture
def canvas(qtbot: QtBot, light: QApplication) -> StackCanvas:
    canvas = StackCanvas()
    qtbot.addWidget(canvas)
    canvas.resize(1640, 800)
    with qtbot.waitActive(canvas):
        canvas.show()
        canvas.activateWindow()
    return canvas


class Log:
    """What a canvas said, in order."""

    def __init__(self, canvas: StackCanvas) -> None:
        self.chosen: list[tuple[int, Unit]] = []
        self.hovered: list[tuple[int, Unit | None]] = []
        self.layers: list[int] = []
        self.channels: list[tuple[int, int]] = []
        canvas.cell_chosen.connect(lambda layer, cell: self.chosen.append((layer, cell)))
        canvas.cell_hovered.connect(lambda layer, cell: self.hovered.append((layer, cell)))
        canvas.layer_chosen.connect(self.layers.append)
        canvas.channel_chosen.connect(lambda index, channel: self.channels.append((index, channel)))


@pytest.fixture
def log(canvas: StackCanvas) -> Log:
    return Log(canvas)


def panel(canvas: StackCanvas, index: int) -> MapPanel:
    found = canvas.panel(index)
    assert found is not None
    return found


def at(grid: NumberGrid, row: int, col: int) -> QPoint:
    return grid.geometry_of_cells.cell_rect(row, col).center().toPoint()


def wheel(widget: QWidget, turns: int) -> bool:
    """Turn the wheel over a widget; return whether it used it, or leaves it to its parent."""
    middle = QPointF(widget.rect().center())
    no_button, no_key = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    where, turned = QPointF(widget.mapToGlobal(middle.toPoint())), QPoint(0, 120 * turns)
    event = QWheelEvent(middle, where, QPoint(), turned, no_button, no_key, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


def picture_on(grid: NumberGrid) -> QImage:
    return grid.grab().toImage()


def boxes_of(image: QImage, color: QColor) -> QRect:
    """Return the box around all pixels of exactly this colour."""
    pixels = np.frombuffer(image.convertToFormat(QImage.Format.Format_RGB32).constBits(), np.uint32)
    rows, cols = np.nonzero(pixels.reshape(image.height(), image.width()) == color.rgb())
    if not rows.size:
        return QRect()
    return QRect(QPoint(int(cols.min()), int(rows.min())), QPoint(int(cols.max()), int(rows.max())))


def outlined(grid: NumberGrid, color: QColor, rows: range, cols: range) -> bool:
    """Whether the outline in a colour lies around some cells."""
    box, cells = QRectF(boxes_of(picture_on(grid), color)), grid.geometry_of_cells.box(tuple(rows), tuple(cols))
    return cells.adjusted(-6, -6, 6, 6).contains(box) and box.contains(cells.adjusted(3, 3, -3, -3))


# ---- what is seen


def test_a_unit_is_followed_back_to_the_input() -> None:
    picture = four_layers()
    assert seen_cells(picture, 0) == (range(2, 10), range(2, 10))
    assert seen_cells(picture, 1) == seen_cells(picture, 2) == (range(2, 8), range(2, 8))
    assert seen_cells(picture, 3) == (range(1, 4), range(1, 4))
    assert seen_cells(picture, 4) == (range(1, 2), range(1, 2))
    assert seen_cells(replace(picture, current=1), 3) is None
    assert seen_cells(replace(picture, current=INPUT, cell=(4, 7)), 0) == (range(4, 5), range(7, 8))


def test_what_lies_in_the_padding_is_seen_too() -> None:
    stack = Stack((1, 6, 6), [Conv2d(1, 1, 3, padding=2, weight=np.ones((1, 1, 3, 3)))])
    assert seen_cells(picture_of(stack, np.zeros((1, 6, 6)), 0, (0, 7)), 0) == (range(-2, 1), range(5, 8))


def test_linear_layers_see_all_units_and_others_one() -> None:
    after_first = dense(current=3, cell=5)
    assert seen_cells(after_first, 4) == seen_cells(after_first, 3) == (range(1, 2), range(1, 2))
    assert seen_cells(after_first, 2) == seen_cells(after_first, 1) == (range(4), range(4))
    assert seen_cells(after_first, 0) == (range(4), range(4))
    before_first = dense(current=1, cell=6)
    assert seen_cells(before_first, 1) == seen_cells(before_first, 0) == (range(1, 2), range(2, 3))
    off = replace(after_first, stack=after_first.stack.switch(2, on=False))
    assert seen_cells(off, 2) == (range(1, 2), range(1, 2))


# ---- what is shown


def test_every_map_has_a_title_and_its_facts(canvas: StackCanvas) -> None:
    canvas.set_picture(four_layers())
    said = [(panel(canvas, i).title.text(), panel(canvas, i).grid.accessibleDescription()) for i in range(5)]
    assert said == [
        ("Input", "1×12×12"),
        ("1 Conv 3×3", "1×10×10 · RF 3 · jump 1"),
        ("2 ReLU", "1×10×10 · RF 3 · jump 1"),
        ("3 MaxPool 2×2", "1×5×5 · RF 4 · jump 2"),
        ("4 Conv 3×3", "1×3×3 · RF 8 · jump 2"),
    ]


def test_a_layer_that_is_off_and_uneven_fields_are_named(canvas: StackCanvas) -> None:
    stack = Stack((1, 9, 9), [MaxPool2d((3, 1), (2, 1)), ReLU()], switched_off=[1])
    canvas.set_picture(picture_of(stack, np.zeros((1, 9, 9)), 0, (0, 0)))
    assert panel(canvas, 1).grid.accessibleDescription() == "1×4×9 · RF 3×1 · jump 2×1"
    assert panel(canvas, 2).title.text() == "2 ReLU (off)"


def test_the_field_is_outlined_on_every_map_before_the_unit(canvas: StackCanvas) -> None:
    picture = four_layers(current=2, cell=(3, 1))
    canvas.set_picture(picture)
    for index in range(4):
        seen = seen_cells(picture, index)
        assert seen is not None
        assert outlined(panel(canvas, index).grid, TEAL, *seen)
    assert outlined(panel(canvas, 3).grid, AMBER, range(3, 4), range(1, 2))
    for index in (0, 1, 2, 4):
        assert boxes_of(picture_on(panel(canvas, index).grid), AMBER).isEmpty()
    assert boxes_of(picture_on(panel(canvas, 4).grid), TEAL).isEmpty()
    moved = replace(picture, cell=(0, 4))
    canvas.set_picture(moved)
    assert outlined(panel(canvas, 0).grid, TEAL, range(4), range(8, 12))


def test_the_part_in_the_padding_is_dashed_outside_the_cells(canvas: StackCanvas) -> None:
    stack = Stack((1, 6, 6), [Conv2d(1, 1, 3, padding=2, weight=np.ones((1, 1, 3, 3)))])
    canvas.set_picture(picture_of(stack, np.ones((1, 6, 6)), 0, (1, 3)))  # rows −1 to 1, columns 1 to 3
    grid = panel(canvas, 0).grid
    image, cells = picture_on(grid), grid.geometry_of_cells.box((0, 1), (1, 2, 3))
    box = boxes_of(image, TEAL)
    assert cells.top() - 1.5 * theme.unit() <= box.top() < cells.top() - 4
    row = [image.pixelColor(x, box.top() + 1) == TEAL for x in range(box.left(), box.right() + 1)]
    assert 0.4 < np.mean(row) < 0.8
    bottom = [image.pixelColor(x, box.bottom() - 1) == TEAL for x in range(box.left(), box.right() + 1)]
    assert all(bottom)


def test_levels_reach_over_all_channels_and_are_kept_while_the_array_stays(canvas: StackCanvas) -> None:
    x = np.stack([np.ones((4, 4)), -5 * np.ones((4, 4)), 2 * np.ones((4, 4))])
    picture = picture_of(Stack((3, 4, 4), [ReLU()]), x, 0, (0, 0))
    canvas.set_picture(picture)
    first = panel(canvas, 0).grid.content
    assert (first.level, first.signed) == (5.0, True)
    canvas.set_picture(replace(picture, cell=(2, 2)))
    assert panel(canvas, 0).grid.content is first
    canvas.set_picture(replace(picture, channels=(2, 1)))
    other = panel(canvas, 0).grid.content
    assert (other.level, float(other.values[0, 0])) == (5.0, 2.0)
    assert panel(canvas, 0).selector.label.text() == "channel 3 / 3"
    assert panel(canvas, 1).selector.label.text() == "map 2 / 3"
    canvas.set_picture(replace(picture, maps=(2 * x, picture.maps[1])))
    assert panel(canvas, 0).grid.content.level == 10.0


def test_brightness_colour_and_heat_are_for_the_input_alone(canvas: StackCanvas) -> None:
    picture = picture_of(Stack((3, 4, 4), [ReLU()]), np.ones((3, 4, 4)), 0, (0, 0))
    canvas.set_picture(replace(picture, grey=True))
    assert panel(canvas, 0).grid.content.grey
    assert not panel(canvas, 1).grid.content.grey
    assert panel(canvas, 0).selector.isVisible()
    canvas.set_picture(replace(picture, colour=True))
    assert panel(canvas, 0).grid.content.picture is not None
    assert panel(canvas, 1).grid.content.picture is None
    assert not panel(canvas, 0).selector.isVisible()
    heat = np.arange(16.0).reshape(4, 4)
    canvas.set_picture(replace(picture, colour=True, grey=True, heat=heat))
    content = panel(canvas, 0).grid.content
    assert (content.picture, content.grey, content.level) == (None, False, 15.0)
    assert content.values is heat
    assert "effective receptive field" in panel(canvas, 0).grid.accessibleDescription()


def test_cells_not_computed_yet_are_blank(canvas: StackCanvas) -> None:
    picture = four_layers()
    canvas.set_picture(replace(picture, shown=(None, 3, None, None, None)))
    grid = panel(canvas, 1).grid
    image, blank = picture_on(grid), theme.LIGHT.blank
    corner = QPoint(-10, 8)
    assert image.pixelColor(at(grid, 0, 2) + corner) != blank
    assert image.pixelColor(at(grid, 0, 3) + corner) == blank
    assert image.pixelColor(at(grid, 9, 9) + corner) == blank


def test_a_map_being_computed_has_a_place_but_no_numbers(canvas: StackCanvas) -> None:
    picture = four_layers()
    maps = picture.maps
    canvas.set_picture(replace(picture, maps=(*maps[:3], None, None)))
    box = panel(canvas, 3).geometry()
    assert not panel(canvas, 3).grid.isVisible()
    assert panel(canvas, 2).grid.isVisible()
    canvas.set_picture(replace(picture, maps=maps))
    assert panel(canvas, 3).grid.isVisible()
    assert panel(canvas, 3).geometry() == box


def test_a_stack_that_does_not_fit_says_why_after_its_last_map(canvas: StackCanvas) -> None:
    stack = Stack((1, 6, 6), [ReLU(), Conv2d(3, 1, 3), ReLU()])
    canvas.set_picture(picture_of(stack, np.zeros((1, 6, 6)), 0, (0, 0)))
    assert canvas.panel(2) is None
    said = [label.text() for label in canvas.findChildren(QLabel) if label.isVisible()]
    assert stack.problem is not None
    assert {"2 Conv 3×3 does not fit", stack.problem.message} <= set(said)
    canvas.set_picture(four_layers())
    assert "2 Conv 3×3 does not fit" not in [label.text() for label in canvas.findChildren(QLabel) if label.isVisible()]


def test_a_vector_is_shown_in_rows_with_blanks_behind_its_last_unit(canvas: StackCanvas) -> None:
    picture = dense(current=2, cell=6)
    canvas.set_picture(picture)
    content = panel(canvas, 3).grid.content
    assert content.values.shape == (2, 4)
    assert content.row_step == 4
    np.testing.assert_array_equal(content.values.ravel()[:7], picture.maps[3])
    grid = panel(canvas, 3).grid
    image = picture_on(grid)
    assert image.pixelColor(at(grid, 1, 3)) == theme.LIGHT.blank
    assert outlined(grid, AMBER, range(1, 2), range(2, 3))


# ---- what is said


def test_a_click_chooses_a_cell_or_a_unit(qtbot: QtBot, canvas: StackCanvas, log: Log) -> None:
    canvas.set_picture(dense(current=0, cell=0))
    for index, cell in ((0, (2, 3)), (1, (1, 2)), (3, (1, 2)), (3, (1, 3))):
        grid = panel(canvas, index).grid
        qtbot.mouseClick(grid, LEFT, pos=at(grid, *cell))
    assert log.chosen == [(INPUT, (2, 3)), (0, 6), (2, 6)]  # behind the last unit there is none


def test_hovering_says_each_cell_once_and_when_it_ends(qtbot: QtBot, canvas: StackCanvas, log: Log) -> None:
    canvas.set_picture(four_layers())
    grid = panel(canvas, 1).grid
    qtbot.mouseMove(grid, at(grid, 2, 3))
    qtbot.mouseMove(grid, at(grid, 2, 3) + QPoint(1, 1))
    qtbot.mouseMove(grid, at(grid, 2, 4))
    QApplication.sendEvent(grid, QEvent(QEvent.Type.Leave))
    assert log.hovered == [(0, (2, 3)), (0, (2, 4)), (0, None)]


def test_a_title_chooses_its_layer(qtbot: QtBot, canvas: StackCanvas, log: Log) -> None:
    canvas.set_picture(four_layers())
    qtbot.mouseClick(panel(canvas, 0).title, LEFT)
    qtbot.mouseClick(panel(canvas, 3).title, LEFT)
    panel(canvas, 2).title.setFocus()
    qtbot.keyClick(panel(canvas, 2).title, Qt.Key.Key_Return)
    assert log.layers == [INPUT, 2, 1]


def test_channels_are_chosen_by_button_and_by_wheel(qtbot: QtBot, canvas: StackCanvas, log: Log) -> None:
    picture = picture_of(Stack((5, 4, 4), [ReLU()]), np.ones((5, 4, 4)), 0, (0, 0))
    canvas.set_picture(replace(picture, channels=(0, 3)))
    selector = panel(canvas, 1).selector
    assert not panel(canvas, 0).selector.previous.isEnabled()
    qtbot.mouseClick(selector.next, LEFT)
    qtbot.mouseClick(selector.previous, LEFT)
    assert log.channels == [(1, 4), (1, 2)]
    assert not wheel(selector, -1)  # the pointer has not come here: the wheel scrolls the canvas
    selector.setAttribute(Qt.WidgetAttribute.WA_UnderMouse)
    assert wheel(selector, -1)
    wheel(selector, 2)
    wheel(selector, -9)
    assert log.channels[2:] == [(1, 4), (1, 1), (1, 4)]


# ---- where it is shown


def test_only_maps_in_view_have_panels(canvas: StackCanvas) -> None:
    picture = many_maps()
    canvas.set_picture(picture)
    last = len(picture.maps) - 1
    made = len(canvas.findChildren(MapPanel))
    assert made < 10
    assert canvas.panel(last) is None
    canvas.horizontalScrollBar().setValue(canvas.horizontalScrollBar().maximum())
    assert canvas.panel(0) is None
    assert panel(canvas, last).isVisible()
    assert panel(canvas, last).title.text() == "39 Linear 1000"
    assert len(canvas.findChildren(MapPanel)) < 2 * made


def test_the_focus_does_not_scroll_the_canvas_back(canvas: StackCanvas) -> None:
    canvas.set_picture(many_maps())
    panel(canvas, 0).title.setFocus()
    bar = canvas.horizontalScrollBar()
    bar.setValue(bar.maximum())
    assert bar.value() == bar.maximum()
    assert canvas.hasFocus()


def test_the_wheel_scrolls_sideways(canvas: StackCanvas) -> None:
    canvas.set_picture(many_maps())
    assert not wheel(panel(canvas, 1).grid, -2)
    assert not wheel(panel(canvas, 1), -2)
    assert wheel(canvas.viewport(), -2)
    assert canvas.horizontalScrollBar().value() > 0


def test_the_current_layer_is_brought_into_view_but_not_the_hovered_one(qtbot: QtBot, canvas: StackCanvas) -> None:
    picture = many_maps(current=30)
    canvas.set_picture(picture)
    view = QRect(QPoint(), canvas.viewport().size())
    current = panel(canvas, 31)
    assert view.contains(QRect(current.mapTo(canvas.viewport(), QPoint()), current.size()))
    bar = canvas.horizontalScrollBar()
    bar.setValue(0)
    grid = panel(canvas, 1).grid
    canvas.cell_hovered.connect(
        lambda layer, cell: canvas.set_picture(picture if cell is None else replace(picture, current=layer, cell=cell))
    )
    qtbot.mouseMove(grid, at(grid, 5, 5))
    assert outlined(grid, TEAL, range(2, 9), range(2, 9))  # at least so large that it can be seen
    QApplication.sendEvent(grid, QEvent(QEvent.Type.Leave))
    assert boxes_of(picture_on(grid), AMBER).isEmpty()
    assert bar.value() == 0
    canvas.set_picture(replace(picture, current=12))
    assert canvas.panel(13) is not None


def test_a_hovered_map_that_scrolls_away_is_no_longer_hovered(qtbot: QtBot, canvas: StackCanvas, log: Log) -> None:
    canvas.set_picture(many_maps())
    grid = panel(canvas, 1).grid
    qtbot.mouseMove(grid, at(grid, 80, 90))
    canvas.horizontalScrollBar().setValue(canvas.horizontalScrollBar().maximum())
    assert [layer for layer, _ in log.hovered] == [0, 0]
    assert log.hovered[-1] == (0, None)


def test_fit_shows_all_maps_in_the_width(canvas: StackCanvas) -> None:
    canvas.set_picture(many_maps())
    assert not canvas.fit
    canvas.set_fit(True)
    assert canvas.fit
    assert canvas.horizontalScrollBar().maximum() == 0
    tops = {panel(canvas, index).y() for index in range(12)}
    assert len(tops) > 1
    canvas.set_fit(False)
    assert canvas.horizontalScrollBar().maximum() > 0


def test_one_map_can_have_the_canvas_for_itself(qtbot: QtBot, canvas: StackCanvas) -> None:
    canvas.set_picture(four_layers())
    before = panel(canvas, 3).grid.cell_px
    qtbot.mouseDClick(panel(canvas, 3).title, LEFT)
    assert canvas.enlarged == 3
    assert panel(canvas, 3).grid.cell_px > 2 * before
    assert [index for index in range(5) if canvas.panel(index) is not None] == [3]
    qtbot.keyClick(canvas, Qt.Key.Key_Escape)
    assert canvas.enlarged is None
    assert panel(canvas, 3).grid.cell_px == before
    qtbot.mouseClick(panel(canvas, 0).enlarge, LEFT)
    assert canvas.enlarged == 0
    qtbot.mouseClick(panel(canvas, 0).enlarge, LEFT)
    assert canvas.enlarged is None
    with pytest.raises(IndexError, match="no map 5 among 5"):
        canvas.enlarge(5)


def test_a_map_that_is_gone_is_not_enlarged(canvas: StackCanvas) -> None:
    canvas.set_picture(four_layers())
    canvas.enlarge(4)
    canvas.set_picture(picture_of(Stack((1, 4, 4), [ReLU()]), np.zeros((1, 4, 4)), 0, (0, 0)))
    assert canvas.enlarged is None
    assert panel(canvas, 1).isVisible()


@pytest.mark.parametrize("scale", [0.75, 2.0, 3.0])
def test_titles_and_selectors_are_not_cut_at_any_scale(canvas: StackCanvas, qapp: QApplication, scale: float) -> None:
    picture = picture_of(PRESETS["tutorial_cnn"](), np.zeros((3, 32, 32)), 2, (0, 0))
    canvas.set_picture(picture)
    theme.apply(qapp, "dark", scale)
    for fit in (False, True):
        canvas.set_fit(fit)
        for index in range(len(picture.maps)):
            shown = canvas.panel(index)
            if shown is not None:
                text = theme.text_width(theme.font(1.25, bold=True), shown.title.text())
                assert text + theme.unit() / 2 <= shown.title.width()
                assert not shown.title.geometry().intersects(shown.enlarge.geometry())
                if shown.selector.isVisible():
                    assert shown.selector.sizeHint().width() <= shown.selector.width()
                    assert shown.selector.geometry().bottom() <= shown.grid.y()
