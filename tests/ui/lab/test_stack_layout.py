from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QRect, QSize, QSizeF
from PySide6.QtWidgets import QApplication

from convviz.ui.lab.stack_layout import MapRoom, lay_out
from convviz.ui.widgets.grid_painter import DIGITS_FROM_PX

AROUND = QSizeF(50, 110)
sizes = st.builds(lambda rows, cols: (rows, cols), st.integers(1, 300), st.integers(1, 300))


def room(rows: int, cols: int, least_width: float = 150.0) -> MapRoom:
    return MapRoom(rows, cols, AROUND, least_width)


def cell(box: QRect, cols: int) -> float:
    return (box.width() - AROUND.width()) / cols


@pytest.mark.usefixtures("light")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shapes=st.lists(sizes, min_size=1, max_size=40),
    note=st.booleans(),
    area=st.builds(QSizeF, st.integers(300, 2500), st.integers(300, 1500)),
    wrap=st.booleans(),
)
def test_boxes_are_apart_in_reading_order_and_within_the_room(
    shapes: list[tuple[int, int]], note: bool, area: QSizeF, wrap: bool
) -> None:
    maps, others = [room(*shape) for shape in shapes], [QSizeF(250, 60)] * note
    layout = lay_out(maps, others, area, wrap)
    assert len(layout.boxes) == len(maps) + len(others)
    everything = QRect(QPoint(), layout.size.expandedTo(area.toSize()))
    assert all(everything.contains(box) for box in layout.boxes)
    for before, after in pairwise(layout.boxes):
        assert after.left() > before.right() or after.top() > before.bottom()
    if not wrap:
        centres = [box.top() + box.height() / 2 for box in layout.boxes]
        assert max(centres) - min(centres) <= 2


@pytest.mark.usefixtures("light")
def test_a_map_takes_the_room_there_is() -> None:
    (box,) = lay_out([room(224, 224)], [], QSizeF(2000, 800), wrap=False).boxes
    assert 760 < box.height() <= 800
    assert abs(box.center().x() - 1000) <= 1


@pytest.mark.usefixtures("light")
def test_small_maps_have_larger_cells_and_digits() -> None:
    maps = [room(12, 12), room(10, 10), room(5, 5), room(3, 3)]
    boxes = lay_out(maps, [], QSizeF(900, 500), wrap=False).boxes
    cells = [cell(box, shape.cols) for box, shape in zip(boxes, maps, strict=True)]
    assert cells[:2] == [DIGITS_FROM_PX, DIGITS_FROM_PX]
    assert cells == sorted(cells)
    assert cells[-1] > 40


@pytest.mark.usefixtures("light")
def test_rows_are_as_wide_as_the_window_and_side_by_side_is_one_row() -> None:
    maps = [room(28, 28)] * 12
    area = QSizeF(1200, 800)
    rows = lay_out(maps, [], area, wrap=True)
    assert rows.size == rows.size.boundedTo(QSize(1200, 800))
    assert len({box.top() for box in rows.boxes}) > 1
    side_by_side = lay_out(maps, [], area, wrap=False)
    assert side_by_side.size.width() > 1200
    assert len({box.top() for box in side_by_side.boxes}) == 1


@pytest.mark.usefixtures("light")
def test_many_maps_in_rows_stay_large_enough_to_be_read() -> None:
    layout = lay_out([room(14, 14)] * 150, [], QSizeF(1200, 800), wrap=True)
    assert layout.size.width() <= 1200
    assert layout.size.height() > 800
    assert all(box.height() - AROUND.height() >= 80 for box in layout.boxes)


@pytest.mark.usefixtures("light")
def test_rows_show_digits_where_they_cost_little(qapp: QApplication) -> None:
    four = [room(12, 12), room(10, 10), room(10, 10), room(5, 5), room(3, 3)]
    boxes = lay_out(four, [], QSizeF(1160, 780), wrap=True).boxes
    assert cell(boxes[0], 12) >= DIGITS_FROM_PX
    mixed = [room(100, 100)] * 3 + [room(10, 10)] * 9
    boxes = lay_out(mixed, [], QSizeF(1160, 780), wrap=True).boxes
    assert boxes[3].height() - AROUND.height() < 10 * DIGITS_FROM_PX
