import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPointF, QRectF

from convviz.ui.widgets.grid_content import GridContent, GridGeometry, Mark, Role

VIEWPORT = QRectF(30, 20, 400, 300)


@st.composite
def geometries(draw: st.DrawFn) -> GridGeometry:
    shape = draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    origin = draw(st.tuples(st.integers(-5, 0), st.integers(-5, 0)))
    corner = QPointF(draw(st.floats(-900, 900)), draw(st.floats(-900, 900)))
    cell = draw(st.floats(0.5, 160))
    return GridGeometry(shape, origin, VIEWPORT, corner, cell).moved(corner, cell)


@given(geometry=geometries(), data=st.data())
def test_a_cell_is_found_where_it_lies(geometry: GridGeometry, data: st.DataObject) -> None:
    row = geometry.origin[0] + data.draw(st.integers(0, geometry.shape[0] - 1))
    col = geometry.origin[1] + data.draw(st.integers(0, geometry.shape[1] - 1))
    center = geometry.cell_rect(row, col).center()
    assert geometry.cell_at(center) == ((row, col) if VIEWPORT.contains(center) else None)


@given(geometry=geometries())
def test_the_cells_in_view_are_those_that_touch_the_viewport(geometry: GridGeometry) -> None:
    shown = geometry.array_rect(geometry.visible_cells())
    every = geometry.box(
        (geometry.origin[0], geometry.origin[0] + geometry.shape[0] - 1),
        (geometry.origin[1], geometry.origin[1] + geometry.shape[1] - 1),
    )
    assert shown.adjusted(-0.01, -0.01, 0.01, 0.01).contains(every.intersected(VIEWPORT))
    assert shown.width() <= VIEWPORT.width() + 2 * geometry.cell
    assert shown.height() <= VIEWPORT.height() + 2 * geometry.cell


@given(geometry=geometries())
def test_cells_never_leave_room_that_they_could_fill(geometry: GridGeometry) -> None:
    width, height = geometry.shape[1] * geometry.cell, geometry.shape[0] * geometry.cell
    assert geometry.corner.x() <= VIEWPORT.left() + 1
    assert geometry.corner.y() <= VIEWPORT.top() + 1
    assert geometry.corner.x() + width >= min(VIEWPORT.right(), VIEWPORT.left() + width) - 1
    assert geometry.corner.y() + height >= min(VIEWPORT.bottom(), VIEWPORT.top() + height) - 1


def test_a_point_beside_the_cells_has_none() -> None:
    geometry = GridGeometry((2, 3), (-1, -1), VIEWPORT, VIEWPORT.topLeft(), 10.0)
    assert geometry.cell_at(VIEWPORT.topLeft()) == (-1, -1)
    assert geometry.cell_at(QPointF(61, 25)) is None
    assert geometry.cell_at(QPointF(35, 41)) is None
    assert geometry.cell_at(QPointF(29, 25)) is None


def test_gaps_are_seen_on_either_axis() -> None:
    assert not Mark((0, 1, 2), (5,), Role.WINDOW).has_gaps
    assert Mark((0, 2), (5,), Role.WINDOW).has_gaps
    assert Mark((0,), (-1, 1, 3), Role.WINDOW).has_gaps


def test_real_cells_are_those_that_are_not_padding() -> None:
    content = GridContent(np.zeros((5, 6)), size=(3, 4), origin=(-1, -1))
    assert content.real_size == (3, 4)
    assert content.is_real(0, 0)
    assert content.is_real(2, 3)
    assert not any(content.is_real(*cell) for cell in [(-1, 0), (0, -1), (3, 0), (0, 4)])
    assert GridContent(np.zeros((5, 6))).real_size == (5, 6)
