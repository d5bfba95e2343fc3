from collections.abc import Callable
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QHelpEvent, QImage, QKeyEvent, QPalette, QShortcut, QWheelEvent
from PySide6.QtWidgets import QApplication, QToolTip, QWidget
from pytestqt.qtbot import QtBot

from convviz.core import display
from convviz.ui import theme
from convviz.ui.widgets.color_map import color_map
from convviz.ui.widgets.mosaic import Mosaic, TileLayout, fitted_size
from tests.ui.paints import look_alike, on_screen

LEFT = Qt.MouseButton.LeftButton
CTRL, NO_MODIFIER = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.NoModifier
LEVEL = 10.0


def maps_of(num_maps: int, height: int, width: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-LEVEL, LEVEL, (num_maps, height, width))


Opened = Callable[[bool, NDArray[np.float64]], Mosaic]


@pytest.fixture
def opened(qtbot: QtBot, light: QApplication) -> Opened:
    """Opens a mosaic of 800 × 400 px, or a strip of 800 × 160 px."""

    def opened(wrapped: bool, maps: NDArray[np.float64]) -> Mosaic:
        mosaic = Mosaic(wrapped)
        qtbot.addWidget(mosaic)
        mosaic.resize(800, 400 if wrapped else 160)
        mosaic.set_maps(maps, LEVEL, signed=True)
        with qtbot.waitActive(mosaic):
            mosaic.show()
            mosaic.activateWindow()
        mosaic.setFocus()
        return mosaic

    return opened


def center(mosaic: Mosaic, cell: tuple[int, int, int]) -> QPoint:
    index, row, col = cell
    side = mosaic.cell_px
    return (mosaic.map_rect(index).topLeft() + QPointF((col + 0.5) * side, (row + 0.5) * side)).toPoint()


def picture(mosaic: Mosaic) -> QImage:
    return mosaic.viewport().grab().toImage()


def colors_of(mosaic: Mosaic, index: int, shape: tuple[int, int]) -> list[int]:
    """The colours of a map's cells in reading order."""
    image = picture(mosaic)
    return [image.pixel(center(mosaic, (index, row, col))) for row, col in product(*map(range, shape))]


def expected_colors(values: NDArray[np.float64], dark: bool = False, grey: bool = False) -> list[int]:
    colors: list[int] = color_map(dark, grey).argb[display.to_index(values.ravel(), LEVEL)].tolist()
    return colors


def in_view(mosaic: Mosaic, index: int) -> bool:
    return mosaic.viewport().rect().contains(mosaic.map_rect(index).toAlignedRect())


def press(qtbot: QtBot, mosaic: Mosaic, *keys: Qt.Key) -> None:
    for key in keys:
        qtbot.keyClick(mosaic, key)


def wheel(mosaic: Mosaic, turns: int, modifiers: Qt.KeyboardModifier = NO_MODIFIER) -> None:
    position = QPointF(100, 100)
    event = QWheelEvent(
        position,
        QPointF(mosaic.viewport().mapToGlobal(position.toPoint())),
        QPoint(),
        QPoint(0, 120 * turns),
        Qt.MouseButton.NoButton,
        modifiers,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(mosaic.viewport(), event)


# ---- where the maps lie

shapes = st.tuples(st.integers(1, 300), st.integers(1, 300))


@given(shape=shapes, side=st.floats(8, 400), stretch=st.floats(1, 1.5), ratio=st.sampled_from([1.0, 1.25, 1.5, 2.0]))
def test_maps_keep_their_shape_and_their_room(
    shape: tuple[int, int], side: float, stretch: float, ratio: float
) -> None:
    most = side * stretch
    size = fitted_size(shape, side, most, ratio)
    height, width = size.height() * ratio, size.width() * ratio
    assert max(size.height(), size.width()) <= most + 1 / ratio
    if most * ratio >= max(shape):  # whole pixels a cell, as many as there is room for
        assert height % shape[0] == pytest.approx(0) or height % shape[0] == pytest.approx(shape[0])
        assert height / shape[0] == pytest.approx(width / shape[1])
        assert (height / shape[0] + 1) * max(shape) > most * ratio * (1 - 1e-9)
    else:
        assert max(height, width) == pytest.approx(side * ratio, abs=1)
        assert height == pytest.approx(max(1, width * shape[0] / shape[1]), abs=1 + shape[0] / shape[1])


layouts = st.builds(
    lambda num_maps, shape, columns, cell: TileLayout(
        num_maps,
        shape,
        columns,
        QSize(shape[1] * cell + 30, shape[0] * cell + 40),
        QSizeF(shape[1] * cell, shape[0] * cell),
        margin=8,
    ),
    st.integers(0, 40),
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.integers(1, 9),
    st.integers(1, 20),
)


@pytest.mark.usefixtures("qapp")
@given(tiles=layouts)
def test_every_cell_is_found_at_its_place(tiles: TileLayout) -> None:
    height, width = tiles.shape
    for index, row, col in product(range(tiles.num_maps), range(height), range(width)):
        box = tiles.map_rect(index)
        assert tiles.tile_rect(index).contains(box.toAlignedRect())
        point = box.topLeft() + QPointF((col + 0.5) * box.width() / width, (row + 0.5) * box.height() / height)
        assert tiles.cell_at(point) == (index, row, col)
        assert tiles.map_at(point) == index
        name = QPointF(point.x(), box.bottom() + 2)
        assert (tiles.cell_at(name), tiles.map_at(name)) == (None, index)
    assert tiles.map_at(QPointF(tiles.size.width() + 1, 1)) is None
    assert tiles.map_at(QPointF(1, tiles.size.height() + 1)) is None
    assert tiles.map_at(QPointF(-1, 1)) is None


@given(tiles=layouts, area=st.builds(QRect, *[st.integers(0, 400)] * 2, *[st.integers(1, 400)] * 2))
def test_the_maps_in_view_are_those_whose_tiles_meet_it(tiles: TileLayout, area: QRect) -> None:
    meeting = [index for index in range(tiles.num_maps) if tiles.tile_rect(index).intersects(area)]
    assert tiles.visible(area) == meeting


@pytest.mark.parametrize("scale", [0.75, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("shape", [(3, 5, 5), (64, 7, 9), (4096, 1, 1), (1, 512, 512), (5, 1, 300)])
def test_nothing_is_cut_at_any_scale(
    light: QApplication, opened: Opened, scale: float, shape: tuple[int, int, int]
) -> None:
    for wrapped in (False, True):
        mosaic = opened(wrapped, maps_of(*shape))
        theme.apply(light, "light", scale)
        light.processEvents()
        mosaic.resize(mosaic.sizeHint())
        for index in {0, shape[0] - 1}:
            mosaic.set_chosen(index)
            assert in_view(mosaic, index)
        other = mosaic.horizontalScrollBar() if wrapped else mosaic.verticalScrollBar()
        assert other.maximum() == 0
        mosaic.resize(mosaic.minimumSizeHint())
        assert in_view(mosaic, shape[0] - 1)


# ---- what they show


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_cells_have_the_colours_of_their_values(opened: Opened, wrapped: bool, grey: bool) -> None:
    maps = maps_of(3, 4, 6)
    mosaic = opened(wrapped, maps)
    mosaic.set_maps(maps, LEVEL, signed=True, grey=grey)
    for index in range(3):
        assert colors_of(mosaic, index, (4, 6)) == expected_colors(maps[index], grey=grey)


def test_special_values_have_sane_colours(opened: Opened) -> None:
    maps = np.array([np.full((2, 2), value) for value in (np.nan, np.inf, -np.inf, 0.0, LEVEL)])
    mosaic = opened(True, maps)
    table = color_map(False).argb
    for index, color in enumerate(table[[128, 255, 1, 128, 255]].tolist()):
        assert colors_of(mosaic, index, (2, 2)) == [color] * 4


def test_the_first_cells_count_as_computed_in_every_map(opened: Opened) -> None:
    maps = maps_of(3, 4, 6)
    mosaic = opened(True, maps)
    mosaic.set_maps(maps, LEVEL, signed=True, shown=8)
    blank = theme.colors(mosaic.palette()).blank.rgb()
    for index in range(3):
        assert colors_of(mosaic, index, (4, 6)) == expected_colors(maps[index])[:8] + [blank] * 16


@pytest.mark.parametrize("side", [5, 300])  # enlarged, and smoothly reduced
def test_filling_in_looks_as_if_shown_at_once(opened: Opened, side: int) -> None:
    maps = maps_of(7, side, side)
    mosaic, fresh = opened(True, maps), opened(True, maps)
    fresh.clearFocus()
    for shown in (0, 1, 2, 7, 6, side, 3, None, 4, side * side, side * side - 1, None):
        mosaic.set_shown(shown)
        fresh.set_maps(maps, LEVEL, signed=True, shown=shown)
        assert picture(mosaic) == picture(fresh)


def test_only_what_is_seen_is_coloured(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    mosaic = opened(True, maps_of(4096, 4, 4))
    to_index, coloured = display.to_index, []

    def counted(values: NDArray[np.floating], level: float) -> NDArray[np.uint8]:
        coloured.append(values.size)
        return to_index(values, level)

    monkeypatch.setattr(display, "to_index", counted)
    visible = sum(mosaic.viewport().rect().intersects(mosaic.map_rect(k).toRect()) for k in range(4096))
    mosaic.set_maps(maps_of(4096, 4, 4, seed=1), LEVEL, signed=True, shown=5)
    picture(mosaic)
    assert visible * 16 <= sum(coloured) <= (visible + 10) * 16
    coloured.clear()
    mosaic.set_shown(6)
    picture(mosaic)
    assert visible <= sum(coloured) <= visible + 10
    coloured.clear()
    mosaic.set_mark((1,), (1,))
    mosaic.set_chosen(3)
    picture(mosaic)
    assert coloured == []


def test_marks_are_outlined_in_every_map_in_view(opened: Opened) -> None:
    mosaic = opened(False, np.zeros((3, 4, 4)))
    amber = theme.colors(mosaic.palette()).window.rgb()

    def amber_around(index: int, row: int, col: int) -> bool:
        image, side = picture(mosaic), mosaic.cell_px
        corner = (mosaic.map_rect(index).topLeft() + QPointF(col * side, row * side)).toPoint()
        return image.pixel(corner + QPoint(round(side / 2), 0)) == amber

    mosaic.set_mark((1,), (2,))
    assert [amber_around(index, 1, 2) for index in range(3)] == [True] * 3
    mosaic.set_mark((2, 3), (0, 1))
    assert [amber_around(index, 1, 2) for index in range(3)] == [False] * 3
    assert [amber_around(index, 2, 0) for index in range(3)] == [True] * 3
    mosaic.set_mark((), ())
    assert [amber_around(index, 2, 0) for index in range(3)] == [False] * 3


def test_tiny_cells_have_no_mark(opened: Opened) -> None:
    mosaic = opened(True, np.zeros((3, 100, 100)))
    before = picture(mosaic)
    mosaic.set_mark((50,), (50,))
    assert picture(mosaic) == before


def test_pictures_follow_the_theme(light: QApplication, opened: Opened) -> None:
    maps = maps_of(3, 4, 6)
    mosaic = opened(True, maps)
    theme.apply(light, "dark", 1.0)
    light.processEvents()
    assert colors_of(mosaic, 1, (4, 6)) == expected_colors(maps[1], dark=True)


def test_no_maps_are_an_empty_picture(qtbot: QtBot, opened: Opened) -> None:
    mosaic = opened(True, np.zeros((0, 3, 3)))
    press(qtbot, mosaic, Qt.Key.Key_Right, Qt.Key.Key_End)
    mosaic.set_chosen(0)
    mosaic.set_shown(2)
    assert (mosaic.num_maps, mosaic.chosen_map) == (0, None)
    image = picture(mosaic)
    assert image.pixelColor(5, 5) == mosaic.palette().color(QPalette.ColorRole.Window)


# ---- choosing


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_click_on_a_map_or_its_name_chooses_it(qtbot: QtBot, opened: Opened, wrapped: bool) -> None:
    mosaic = opened(wrapped, maps_of(5, 6, 6))
    chosen: list[int] = []
    mosaic.chosen.connect(chosen.append)
    for index in (3, 0, 4):
        qtbot.mouseClick(mosaic.viewport(), LEFT, pos=center(mosaic, (index, 2, 2)))
        assert mosaic.chosen_map == index
    name = mosaic.map_rect(1).bottomLeft().toPoint() + QPoint(30, 10)
    qtbot.mouseClick(mosaic.viewport(), LEFT, pos=name)
    qtbot.mouseClick(mosaic.viewport(), LEFT, pos=QPoint(mosaic.viewport().width() - 5, 5))
    assert (chosen, mosaic.chosen_map) == ([3, 0, 4, 1], 1)


@pytest.mark.parametrize("wrapped", [False, True])
def test_keys_choose_and_bring_into_view(qtbot: QtBot, opened: Opened, wrapped: bool) -> None:
    mosaic = opened(wrapped, maps_of(100, 6, 6))
    chosen: list[int] = []
    mosaic.chosen.connect(chosen.append)
    keys = (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Left)
    press(qtbot, mosaic, *keys, Qt.Key.Key_End, Qt.Key.Key_Right)
    assert in_view(mosaic, 99)
    assert not in_view(mosaic, 0)
    press(qtbot, mosaic, Qt.Key.Key_Home, Qt.Key.Key_Left)
    assert in_view(mosaic, 0)
    assert chosen == [0, 1, 2, 1, 99, 0]


def test_up_and_down_move_by_rows(qtbot: QtBot, opened: Opened) -> None:
    mosaic = opened(True, maps_of(20, 6, 6))
    columns = next(k for k in range(1, 20) if mosaic.map_rect(k).top() > mosaic.map_rect(0).top())
    mosaic.set_chosen(1)
    for key, index in (
        (Qt.Key.Key_Down, 1 + columns),
        (Qt.Key.Key_Up, 1),
        (Qt.Key.Key_Up, 1),
        (Qt.Key.Key_End, 19),
        (Qt.Key.Key_Down, 19),
    ):
        press(qtbot, mosaic, key)
        assert mosaic.chosen_map == index


def test_keys_that_choose_are_not_taken_as_shortcuts(qtbot: QtBot, light: QApplication) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    taken: list[str] = []
    for key in ("Right", "Up", "Ctrl+Right"):
        shortcut = QShortcut(key, window)
        shortcut.activated.connect(lambda key=key: taken.append(key))
    mosaic = Mosaic(False, window)
    mosaic.set_maps(maps_of(5, 3, 3), LEVEL, signed=True)
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    mosaic.setFocus()
    press(qtbot, mosaic, Qt.Key.Key_Right, Qt.Key.Key_Up)
    qtbot.keyClick(mosaic, Qt.Key.Key_Right, CTRL)
    assert (taken, mosaic.chosen_map) == (["Up", "Ctrl+Right"], 0)


def test_choosing_by_program_is_silent_and_brings_into_view(qtbot: QtBot, opened: Opened) -> None:
    mosaic = opened(True, maps_of(200, 6, 6))
    with qtbot.assertNotEmitted(mosaic.chosen):
        mosaic.set_chosen(150)
        assert in_view(mosaic, 150)
        mosaic.set_chosen(200)
    assert mosaic.chosen_map is None


def test_the_chosen_map_is_framed_and_its_name_bold(opened: Opened) -> None:
    mosaic = opened(False, np.zeros((3, 5, 5)))
    mosaic.clearFocus()
    highlight = mosaic.palette().color(QPalette.ColorRole.Highlight)

    def framed(index: int) -> bool:
        edge = QPoint(round(mosaic.map_rect(index).left()) - 3, round(mosaic.map_rect(index).center().y()))
        return picture(mosaic).pixelColor(edge) == highlight

    def name_ink(index: int) -> int:
        box = mosaic.map_rect(index).toRect()
        name = picture(mosaic).copy(box.left(), box.bottom() + 7, box.width(), 13)
        return sum(
            255 - QColor(name.pixel(x, y)).lightness() for x in range(name.width()) for y in range(name.height())
        )

    plain = name_ink(1)
    mosaic.set_chosen(1)
    assert [framed(index) for index in range(3)] == [False, True, False]
    assert name_ink(1) > plain
    unfocused = picture(mosaic)
    mosaic.setFocus()
    assert picture(mosaic) != unfocused


def test_other_maps_keep_the_choice_while_it_exists(opened: Opened) -> None:
    mosaic = opened(True, maps_of(10, 6, 6))
    mosaic.set_chosen(7)
    mosaic.set_maps(maps_of(8, 3, 3), LEVEL, signed=True)
    assert mosaic.chosen_map == 7
    mosaic.set_maps(maps_of(7, 3, 3), LEVEL, signed=True)
    assert mosaic.chosen_map is None


def test_another_size_keeps_the_chosen_map_in_view(opened: Opened) -> None:
    mosaic = opened(True, maps_of(200, 6, 6))
    mosaic.set_chosen(150)
    for width in (400, 1200, 300):
        mosaic.resize(width, 300)
        assert in_view(mosaic, 150)


def test_a_choice_made_before_it_appears_is_in_view(qtbot: QtBot, light: QApplication) -> None:
    for wrapped in (False, True):
        mosaic = Mosaic(wrapped)
        qtbot.addWidget(mosaic)
        mosaic.set_maps(maps_of(200, 6, 6), LEVEL, signed=True)
        mosaic.set_chosen(150)
        mosaic.resize(500, 300)
        mosaic.show()
        assert in_view(mosaic, 150)


def test_keys_without_a_name_are_left_alone(opened: Opened) -> None:
    mosaic = opened(True, maps_of(5, 6, 6))
    QApplication.sendEvent(mosaic, QKeyEvent(QEvent.Type.KeyPress, 0, NO_MODIFIER, "ß"))
    assert mosaic.chosen_map is None


# ---- pointer


def test_the_cell_under_the_pointer_is_told_once(qtbot: QtBot, opened: Opened) -> None:
    mosaic = opened(True, maps_of(60, 6, 6))
    hovered: list[tuple[int, int, int] | None] = []
    mosaic.hovered.connect(hovered.append)
    for cell in ((2, 1, 5), (2, 1, 5), (0, 5, 0)):
        qtbot.mouseMove(mosaic.viewport(), center(mosaic, cell))
    mosaic.verticalScrollBar().setValue(round(mosaic.map_rect(20).top() - mosaic.map_rect(0).top()))
    assert hovered[:2] == [(2, 1, 5), (0, 5, 0)]
    assert hovered[-1] is not None
    assert hovered[-1][0] > 5
    QApplication.sendEvent(mosaic.viewport(), QEvent(QEvent.Type.Leave))
    assert hovered[-1] is None
    assert len(hovered) == 4


def test_the_wheel_scrolls_a_strip_sideways(opened: Opened) -> None:
    mosaic = opened(False, maps_of(60, 6, 6))
    wheel(mosaic, -1)
    pitch = mosaic.map_rect(1).left() - mosaic.map_rect(0).left()
    assert mosaic.horizontalScrollBar().value() == pytest.approx(pitch, abs=3)
    wheel(mosaic, 1)
    assert mosaic.horizontalScrollBar().value() == 0


def test_ctrl_and_the_wheel_make_wrapped_maps_larger(opened: Opened) -> None:
    mosaic = opened(True, maps_of(60, 6, 6))
    before = mosaic.cell_px
    wheel(mosaic, 3, CTRL)
    assert mosaic.cell_px > 1.5 * before
    wheel(mosaic, -3, CTRL)
    assert mosaic.cell_px == before
    wheel(mosaic, 100, CTRL)
    assert mosaic.map_rect(0).width() <= mosaic.viewport().width()
    wheel(mosaic, -100, CTRL)
    assert 0 < mosaic.cell_px < before


# ---- words


def test_names_are_indices_unless_given(opened: Opened) -> None:
    mosaic = opened(False, maps_of(4, 6, 6))
    assert [mosaic.name(k) for k in range(4)] == ["0", "1", "2", "3"]
    mosaic.set_maps(maps_of(4, 6, 6), LEVEL, signed=True, names="RGB")
    assert [mosaic.name(k) for k in range(4)] == ["R", "G", "B", "3"]


def test_long_names_stay_in_their_tiles(opened: Opened) -> None:
    mosaic = opened(True, maps_of(3, 4, 4))
    mosaic.set_maps(maps_of(3, 4, 4), LEVEL, signed=True, names=["a name much longer than its map is wide " * 3] * 3)
    image, background = picture(mosaic), mosaic.palette().color(QPalette.ColorRole.Window)
    first, second = mosaic.map_rect(0), mosaic.map_rect(1)
    between, under = round((first.right() + second.left()) / 2), round(first.bottom())
    assert all(image.pixelColor(between, y) == background for y in range(under, under + 20))


def test_a_screen_reader_is_told_what_there_is(opened: Opened) -> None:
    mosaic = opened(True, maps_of(4, 6, 8))
    assert mosaic.accessibleDescription() == "Maps of 6×8: 4; colours from −10 to 10"
    mosaic.set_maps(maps_of(3, 6, 8), 2.5, signed=False, names="RGB")
    mosaic.set_chosen(1)
    assert mosaic.accessibleDescription() == "Maps of 6×8: 3; colours from 0 to 2.5; map G is chosen"
    assert mosaic.accessibleName()
    assert mosaic.toolTip()


@pytest.mark.parametrize(("wrapped", "shape"), [(True, (40, 6, 8)), (False, (5, 6, 6)), (True, (3, 300, 1000))])
def test_other_numbers_are_painted_wherever_maps_are_scrolled_to(
    opened: Opened, light: QApplication, wrapped: bool, shape: tuple[int, int, int]
) -> None:
    mosaic = opened(wrapped, maps_of(*shape))
    for seed, scrolled in enumerate((0, 0, 35, 35, 10_000, 10_000), 1):
        mosaic.verticalScrollBar().setValue(scrolled)
        light.processEvents()
        before = on_screen(mosaic)
        mosaic.set_maps(maps_of(*shape, seed), LEVEL, signed=True)
        light.processEvents()
        assert not look_alike(on_screen(mosaic), before)
        assert look_alike(on_screen(mosaic), mosaic.grab().toImage())


# ---- pictures, names of several lines, groups, and the largest size with which all fit


def pictures_of(count: int, channels: int, side: int = 6) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, channels, side, side), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_have_their_own_colours(opened: Opened, channels: int) -> None:
    pictures = pictures_of(3, channels)
    mosaic = opened(True, maps_of(3, 6, 6))
    mosaic.set_pictures(pictures, names=["a", "b", "c\nd"])
    for index in range(3):
        rgb = np.broadcast_to(pictures[index], (3, 6, 6)).reshape(3, -1).T.tolist()
        assert colors_of(mosaic, index, (6, 6)) == [QColor(*color).rgb() for color in rgb]
    mosaic.set_chosen(2)
    assert mosaic.accessibleDescription() == "Pictures of 6×6: 3; c, d is chosen"
    maps = maps_of(3, 6, 6)
    mosaic.set_maps(maps, LEVEL, signed=True)
    assert colors_of(mosaic, 1, (6, 6)) == expected_colors(maps[1])


def test_every_line_of_a_name_has_its_room(opened: Opened) -> None:
    mosaic = opened(True, maps_of(3, 6, 6))
    before = mosaic.map_rect(0).height()
    mosaic.set_maps(maps_of(3, 6, 6), LEVEL, signed=True, names=["one", "two\nlines", "three"])
    box, image = mosaic.map_rect(1).toRect(), picture(mosaic)
    background = mosaic.palette().color(QPalette.ColorRole.Window)
    inked = [
        any(image.pixelColor(x, y) != background for x in range(box.left(), box.right()))
        for y in range(box.bottom() + 3, box.bottom() + 36)
    ]
    starts = sum(now and not before for before, now in pairwise(inked))
    assert starts >= 2
    assert mosaic.map_rect(0).height() == before


@pytest.mark.parametrize("num_maps", [1, 7, 24])
def test_maps_that_fit_are_all_in_view_and_grow_with_the_room(qtbot: QtBot, light: QApplication, num_maps: int) -> None:
    mosaic = Mosaic(wrapped=True, fits=True)
    qtbot.addWidget(mosaic)
    mosaic.set_maps(maps_of(num_maps, 5, 5), LEVEL, signed=True)
    mosaic.show()
    sides = []
    for size in ((500, 400), (1200, 900)):
        mosaic.resize(*size)
        assert all(in_view(mosaic, index) for index in range(num_maps))
        assert mosaic.verticalScrollBar().maximum() == 0
        sides.append(mosaic.cell_px)
    assert sides[0] < sides[1]


def test_maps_that_do_not_fit_scroll(qtbot: QtBot, light: QApplication) -> None:
    mosaic = Mosaic(wrapped=True, fits=True)
    qtbot.addWidget(mosaic)
    mosaic.set_maps(maps_of(1000, 5, 5), LEVEL, signed=True)
    mosaic.resize(400, 300)
    mosaic.show()
    assert mosaic.verticalScrollBar().maximum() > 0
    assert mosaic.map_rect(0).width() >= 4 * theme.unit() - 5


def test_zooming_out_of_maps_that_fit_ends_where_they_fit(qtbot: QtBot, light: QApplication) -> None:
    mosaic = Mosaic(wrapped=True, fits=True)
    qtbot.addWidget(mosaic)
    mosaic.set_maps(maps_of(12, 5, 5), LEVEL, signed=True)
    mosaic.resize(600, 400)
    mosaic.show()
    before = mosaic.cell_px
    wheel(mosaic, 2, CTRL)
    assert mosaic.cell_px > before
    assert mosaic.verticalScrollBar().maximum() > 0
    wheel(mosaic, -5, CTRL)
    assert mosaic.cell_px == before


@pytest.mark.parametrize("fits", [False, True])
def test_groups_are_not_broken(qtbot: QtBot, light: QApplication, fits: bool) -> None:
    mosaic = Mosaic(wrapped=True, fits=fits)
    qtbot.addWidget(mosaic)
    mosaic.show()
    for width in range(200, 1200, 50):
        mosaic.resize(width, 300)
        mosaic.set_maps(maps_of(24, 5, 5), LEVEL, signed=True, group=3)
        top = mosaic.map_rect(0).top()
        columns = sum(mosaic.map_rect(k).top() == top for k in range(24))
        assert columns % 3 == 0 or columns == 1


def test_a_click_and_return_activate(qtbot: QtBot, opened: Opened) -> None:
    mosaic = opened(True, maps_of(5, 6, 6))
    activated: list[int] = []
    mosaic.activated.connect(activated.append)
    press(qtbot, mosaic, Qt.Key.Key_Return)
    qtbot.mouseClick(mosaic.viewport(), LEFT, pos=center(mosaic, (3, 2, 2)))
    press(qtbot, mosaic, Qt.Key.Key_Right, Qt.Key.Key_Enter)
    assert activated == [3, 4]


def test_a_shortened_name_is_shown_in_full(qtbot: QtBot, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    mosaic = opened(True, maps_of(2, 6, 6))
    mosaic.set_maps(maps_of(2, 6, 6), LEVEL, signed=True, names=["<b>" * 40, "short"])
    shown: list[str] = []
    monkeypatch.setattr(QToolTip, "showText", lambda place, text, widget: shown.append(text))
    for index in (0, 1):
        place = center(mosaic, (index, 3, 3))
        event = QHelpEvent(QEvent.Type.ToolTip, place, mosaic.viewport().mapToGlobal(place))
        mosaic.viewportEvent(event)
        if index == 0:
            assert shown == ["<span>" + "&lt;b&gt;" * 40 + "</span>"]
    assert "short" not in "".join(shown)
