import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QHelpEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QToolTip
from pytestqt.qtbot import QtBot

from convviz.ui import theme
from convviz.ui.train.confusion import FLATTEST, ConfusionMatrix, MatrixLayout, cell_size, row_shares

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BESIDE_MAPS_AT_720 = (366, 213)
"""The room that a window of 1280 × 720 leaves."""


@pytest.fixture
def matrix(qtbot: QtBot, light: QApplication) -> ConfusionMatrix:
    matrix = ConfusionMatrix()
    qtbot.addWidget(matrix)
    return matrix


def show(matrix: ConfusionMatrix, classes: tuple[str, ...], size: tuple[int, int], count: int = 1000) -> None:
    """Show a matrix of a size that has the same number in each cell."""
    matrix.resize(*size)
    matrix.show_confusion(np.full((len(classes), len(classes)), count), classes)
    matrix.show()
    QApplication.processEvents()


def numbers_are_written(matrix: ConfusionMatrix) -> bool:
    """Whether another number, of which the shares and so the colours are the same, looks different."""
    classes = matrix.cells.num_classes
    seen = []
    for count in (1000, 2000):
        matrix.show_confusion(np.full((classes, classes), count), tuple(f"class {k}" for k in range(classes)))
        seen.append(matrix.viewport().grab(matrix.cells.view.toRect()).toImage())
    return seen[0] != seen[1]


def wheel(matrix: ConfusionMatrix, down: int, modifiers: Qt.KeyboardModifier) -> None:
    place = QPointF(matrix.cells.view.center())
    event = QWheelEvent(
        place,
        matrix.viewport().mapToGlobal(place),
        QPoint(),
        QPoint(0, -120 * down),
        Qt.MouseButton.NoButton,
        modifiers,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(matrix.viewport(), event)


# ---- numbers


@given(
    counts=st.lists(st.lists(st.integers(0, 100), min_size=4, max_size=4), min_size=4, max_size=4).map(
        lambda rows: np.array(rows, np.int64)
    )
)
def test_shares_of_a_row_add_up(counts: NDArray[np.int64]) -> None:
    shares = row_shares(counts)
    assert shares.sum(axis=1) == pytest.approx((counts.sum(axis=1) > 0).astype(float))
    assert (shares * counts.sum(axis=1, keepdims=True)).ravel() == pytest.approx(counts.ravel())


@given(
    num_classes=st.integers(1, 100),
    cell=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seen=st.floats(0.1, 1.0),
    scrolled=st.floats(0.0, 1.0),
    data=st.data(),
)
def test_every_cell_in_view_is_found_at_its_place(
    num_classes: int, cell: tuple[int, int], seen: float, scrolled: float, data: st.DataObject
) -> None:
    whole = QSizeF(*cell) * num_classes
    view = QRectF(QPointF(30, 20), whole * seen)
    beyond = whole - view.size()
    cells = MatrixLayout(num_classes, view, QSizeF(*cell), QPointF(beyond.width(), beyond.height()) * scrolled)
    row, col = (data.draw(st.integers(0, num_classes - 1)) for _ in range(2))
    middle = cells.cell_rect(row, col).center()
    is_in_view = view.left() <= middle.x() < view.right() and view.top() <= middle.y() < view.bottom()
    assert cells.cell_at(middle) == ((row, col) if is_in_view else None)
    assert cells.cell_at(view.topLeft() - QPointF(1, 0)) is None
    assert cells.cell_at(view.bottomRight() + QPointF(1, 0)) is None


@given(
    num_classes=st.integers(1, 100),
    room=st.tuples(st.floats(-50, 2000), st.floats(-50, 2000)),
    least=st.tuples(st.integers(14, 40), st.just(14)),
)
def test_cells_fill_their_room_and_are_never_too_small(
    num_classes: int, room: tuple[float, float], least: tuple[int, int]
) -> None:
    cell = cell_size(num_classes, QSizeF(*room), QSizeF(*least), 64.0)
    for side, have, most in zip((cell.width(), cell.height()), room, least, strict=True):
        assert most <= side <= 64
        assert side * num_classes <= have or side == most
    assert cell.height() <= cell.width()
    assert cell.width() <= max(least[0], FLATTEST * (cell.height() + 1))


# ---- look


@pytest.mark.parametrize(("scale", "size"), [(1.0, BESIDE_MAPS_AT_720), (2.0, (732, 426)), (1.0, (640, 480))])
def test_ten_classes_have_their_names_and_numbers_in_little_room(
    light: QApplication, matrix: ConfusionMatrix, scale: float, size: tuple[int, int]
) -> None:
    theme.apply(light, "dark", scale)
    show(matrix, CIFAR10, size)
    cells = matrix.cells
    assert cells.view.contains(cells.box)
    assert cells.view.top() > 4 * theme.unit()
    assert cells.view.left() > theme.text_width(theme.font(0.85), "automobile")
    assert numbers_are_written(matrix)


def test_what_a_cell_means_has_room_in_little_room(matrix: ConfusionMatrix) -> None:
    show(matrix, CIFAR10, BESIDE_MAPS_AT_720)
    for cell in (None, (1, 0), (1, 1)):
        matrix.set_current(cell)
        assert matrix.shown_words == matrix.words


@pytest.mark.parametrize("scale", [0.75, 1.0, 3.0])
@pytest.mark.parametrize("num_classes", [1, 2, 10, 100])
@pytest.mark.parametrize("size", [(560, 300), (1200, 900)])
def test_the_matrix_stays_in_its_room(
    light: QApplication, matrix: ConfusionMatrix, scale: float, num_classes: int, size: tuple[int, int]
) -> None:
    theme.apply(light, "dark", scale)
    least = matrix.minimumSizeHint()
    size = max(size[0], least.width()), max(size[1], least.height())
    show(matrix, tuple(f"a class with a long name {k}" for k in range(num_classes)), size)
    view, words_below = matrix.cells.view, 2 * theme.unit()
    assert matrix.viewport().rect().toRectF().contains(view.adjusted(0, 0, 0, words_below))
    assert numbers_are_written(matrix)


def test_many_classes_scroll_and_can_all_be_seen(qtbot: QtBot, matrix: ConfusionMatrix) -> None:
    show(matrix, tuple(f"class {k}" for k in range(100)), (640, 480))
    assert not matrix.cells.view.contains(matrix.cells.box)
    wheel(matrix, 1, Qt.KeyboardModifier.NoModifier)
    assert matrix.verticalScrollBar().value() > 0
    wheel(matrix, 1, Qt.KeyboardModifier.ControlModifier)
    assert matrix.cells.view.contains(matrix.cells.box)
    assert not numbers_are_written(matrix)
    wheel(matrix, -1, Qt.KeyboardModifier.ControlModifier)
    assert numbers_are_written(matrix)
    qtbot.keyClick(matrix, Qt.Key.Key_Minus)
    assert matrix.cells.view.contains(matrix.cells.box)
    qtbot.keyClick(matrix, Qt.Key.Key_Plus)
    assert numbers_are_written(matrix)


def test_the_arrow_keys_scroll_to_their_cell(qtbot: QtBot, matrix: ConfusionMatrix) -> None:
    show(matrix, tuple(f"class {k}" for k in range(100)), (640, 480))
    for key, cell in ((Qt.Key.Key_Down, (60, 0)), (Qt.Key.Key_Right, (60, 60)), (Qt.Key.Key_Up, (20, 60))):
        while matrix.current != cell:
            qtbot.keyClick(matrix, key)
        assert matrix.cells.view.contains(matrix.cells.cell_rect(*cell))


def test_a_shortened_name_is_told_in_full(matrix: ConfusionMatrix, monkeypatch: pytest.MonkeyPatch) -> None:
    classes = tuple(f"a class with a <b>long</b> name {k}" for k in range(10))
    show(matrix, classes, BESIDE_MAPS_AT_720)
    told: list[str] = []
    monkeypatch.setattr(QToolTip, "showText", lambda place, text, widget: told.append(text))
    cells = matrix.cells
    for place in (QPointF(5, cells.cell_rect(2, 0).center().y()), QPointF(cells.cell_rect(0, 3).center().x(), 5)):
        point = place.toPoint()
        event = QHelpEvent(QEvent.Type.ToolTip, point, matrix.viewport().mapToGlobal(point))
        QApplication.sendEvent(matrix.viewport(), event)
    assert told == [f"<span>a class with a &lt;b&gt;long&lt;/b&gt; name {k}</span>" for k in (2, 3)]
