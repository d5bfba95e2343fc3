"""How often the pictures of each class were taken for each class."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import (
    QFont,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QSizePolicy, QStyle, QToolTip, QWidget

from convviz.core import display
from convviz.core.numbers import grouped
from convviz.ui import theme
from convviz.ui.widgets.bars import percent, shortened
from convviz.ui.widgets.color_map import color_map, image_of
from convviz.ui.widgets.numerals import draw_centered, draw_line
from convviz.ui.widgets.tooltips import plain

Counts = NDArray[np.int64]

NAME_SIZE, LEAST_NUMBER_SIZE = 0.85, 0.7
"""Sizes of names and numbers, and of numbers that have little room, as shares of the application's."""
NUMBER_ROOM = 0.94
"""How much of a cell's width a number may take."""
LEAST_NAME, MOST_NAME, GAP = 4.0, 12.0, 0.75
"""The room that names take, and their distance from the cells, in units."""
NAMES_SHARE = 0.33
"""How much of the height the names of columns may take."""
MOST_CELL, FLATTEST = 8.0, 2.0
"""The longest side of a cell in units, and how many times as wide as high it may be."""
LINES_FROM_PX = 8
LINE = 2.0
"""The height of a line of words in units."""
STEPS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}
WHOLE = {Qt.Key.Key_Minus: True, Qt.Key.Key_Plus: False, Qt.Key.Key_Equal: False}


@dataclass(frozen=True)
class MatrixLayout:
    """Where the cells of a square matrix lie, of which a part is seen."""

    num_classes: int
    view: QRectF  # where cells are seen: right of the names of rows, below those of columns
    cell: QSizeF  # px
    scrolled: QPointF  # how far the first cell is left of and above the view, px

    @property
    def box(self) -> QRectF:
        """The place of all cells."""
        return QRectF(self.view.topLeft() - self.scrolled, self.cell * self.num_classes)

    def cell_rect(self, row: int, col: int) -> QRectF:
        """Return the place of a cell."""
        place = QPointF(col * self.cell.width(), row * self.cell.height())
        return QRectF(self.box.topLeft() + place, self.cell)

    def cell_at(self, point: QPointF) -> tuple[int, int] | None:
        """Return row and column of the cell that is seen at a point."""
        row, col = self.row_at(point.y()), self.col_at(point.x())
        return None if row is None or col is None else (row, col)

    def row_at(self, y: float) -> int | None:
        """Return the row that is seen at a height."""
        row = int((y - self.box.top()) // self.cell.height())
        return row if self.view.top() <= y < self.view.bottom() and row < self.num_classes else None

    def col_at(self, x: float) -> int | None:
        """Return the column that is seen there."""
        col = int((x - self.box.left()) // self.cell.width())
        return col if self.view.left() <= x < self.view.right() and col < self.num_classes else None


def cell_size(num_classes: int, room: QSizeF, least: QSizeF, most: float) -> QSizeF:
    """Return the size of a cell in whole px: no higher than wide, and ``least`` at least where all have no room."""
    high = max(least.height(), min(most, room.height() / num_classes))
    wide = max(least.width(), min(most, room.width() / num_classes, FLATTEST * high))
    return QSizeF(int(wide), int(max(least.height(), min(high, wide))))


def row_shares(confusion: Counts) -> NDArray[np.float64]:
    """Return each count (K, K) as a share of its row, 0 where a row has none."""
    shares: NDArray[np.float64] = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
    return shares


class ConfusionMatrix(QAbstractScrollArea):
    """Shows a confusion matrix, truth down and prediction across. Colours are shares of a row, numbers are counts.

    It scrolls under its names where numbers have no room otherwise; Ctrl with the wheel down, or minus, shows all
    cells instead. The pointer or the arrow keys choose a cell, which is said in words below; a click or Return
    activates it.
    """

    cell_activated = Signal(int, int)  # truth, prediction

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._confusion: Counts = np.zeros((1, 1), np.int64)
        self._classes: tuple[str, ...] = ("",)
        self._current: tuple[int, int] | None = None
        self._whole = False
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.viewport().setBackgroundRole(QPalette.ColorRole.Window)
        self.viewport().setMouseTracking(True)
        self.setAccessibleName(self.tr("Confusion matrix"))
        self.setToolTip(
            self.tr(
                "A click or Return shows the pictures behind a cell; the arrow keys move. "
                "Where it scrolls, Ctrl with the wheel, − and + show all cells or their numbers."
            )
        )

    def show_confusion(self, confusion: Counts, classes: tuple[str, ...]) -> None:
        """Show how often pictures of class i were taken for class j, (K, K)."""
        self._confusion, self._classes = confusion, classes
        if self._current is not None and max(self._current) >= len(classes):
            self._current = None
        self._lay_out()

    def show_whole(self, on: bool) -> None:
        """Show all cells, however small, or cells that have room for their numbers."""
        self._whole = on
        self._lay_out()

    @property
    def current(self) -> tuple[int, int] | None:
        """The chosen cell (truth, prediction), if any."""
        return self._current

    def set_current(self, cell: tuple[int, int] | None) -> None:
        """Choose a cell (truth, prediction), or none."""
        if cell != self._current:
            self._current = cell
            self.setAccessibleDescription(self.words)
            self.viewport().update()

    @property
    def words(self) -> str:
        """What the current cell means, or how to read the matrix."""
        if self._current is None:
            return self._how_to_read
        row, col = self._current
        truth, prediction = self._classes[row], self._classes[col]
        return self._words_of(truth, prediction, int(self._confusion[row, col]), int(self._confusion[row].sum()))

    @property
    def _how_to_read(self) -> str:
        return self.tr("Numbers count pictures; colours are shares of a row.")

    def _words_of(self, truth: str, prediction: str, count: int, total: int) -> str:
        template = (
            self.tr("{truth} recognised: {count} of {total} ({percent})")
            if truth == prediction
            else self.tr("{truth} taken for {prediction}: {count} of {total} ({percent})")
        )
        share = percent(count / total if total else float("nan"), 1)
        return template.format(
            truth=truth, prediction=prediction, count=grouped(count), total=grouped(total), percent=share
        )

    # ---- geometry

    def sizeHint(self) -> QSize:
        """Return room for ten classes with their names and numbers."""
        return QSize(round(60 * theme.unit()), round(56 * theme.unit()))

    def minimumSizeHint(self) -> QSize:
        """Return the least room in which some cells can be read."""
        return QSize(round(30 * theme.unit()), round(18 * theme.unit()))

    @property
    def _axis_names(self) -> tuple[str, str]:
        return self.tr("prediction →"), self.tr("truth ↓")

    @property
    def _line_height(self) -> int:
        """The height of a line of names, or of numbers, px."""
        return math.ceil(QFontMetricsF(theme.font(NAME_SIZE)).height())

    def _longest_name(self) -> float:
        """Return the width of the longest name, px."""
        font = theme.font(NAME_SIZE)
        return max(theme.text_width(font, name) for name in self._classes)

    def _least_cell(self) -> QSizeF:
        if self._whole:
            return QSizeF(1, 1)
        widest = theme.text_width(theme.font(LEAST_NUMBER_SIZE), str(int(self._confusion.max())))
        side = self._line_height
        return QSizeF(max(side, math.ceil(widest / NUMBER_ROOM)), side)

    def _words_font(self) -> tuple[QFont, int]:
        """Return the font of the words below, and in how many lines the longest of them have room."""
        *_, second, first = sorted(("", *self._classes), key=len)
        total = int(self._confusion.sum(axis=1).max())
        longest = max(self._how_to_read, self._words_of(first, second, total, total), key=len)
        room, small = self.maximumViewportSize().width() - self._bar, theme.font(NAME_SIZE)
        if theme.text_width(theme.font(), longest) <= room:
            return theme.font(), 1
        return small, 1 if theme.text_width(small, longest) <= room else 2

    @property
    def _bar(self) -> int:
        return self.style().pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent, None, self)

    def _room_beside_bars(self, needed: QSizeF) -> QSizeF:
        """Return the room that scroll bars leave, where what is shown takes at least the ``needed`` room."""
        room, bar = QSizeF(self.maximumViewportSize()), self._bar
        down = needed.height() > room.height()
        across = needed.width() > room.width() - bar * down
        down = down or needed.height() > room.height() - bar * across
        return QSizeF(room.width() - bar * down, room.height() - bar * across)

    @property
    def cells(self) -> MatrixLayout:
        """Where the cells lie, beside names that are shortened where the cells need the room."""
        unit, count, least = theme.unit(), len(self._classes), self._least_cell()
        font, small = theme.font(NAME_SIZE), LEAST_NAME * unit
        longest = min(MOST_NAME * unit, self._longest_name())
        gap, below = GAP * unit, (0.5 + LINE * self._words_font()[1]) * unit
        left = math.ceil(max(longest, *(theme.text_width(font, name) for name in self._axis_names)) + gap)
        around = QSizeF(left + 2, math.ceil(small + gap) + below + 2)
        room = self._room_beside_bars(around + least * count)
        cell = cell_size(count, room - around, least, MOST_CELL * unit)
        top = small
        if longest > cell.width() - gap:  # names of columns stand upright
            top = min(longest + 2, NAMES_SHARE * room.height())
            left_over = room.height() - below - 2 - gap - count * least.height()
            if left_over >= small:  # all rows have room, and keep it
                top = min(top, left_over)
            top = max(small, top)
            around.setHeight(math.ceil(top + gap) + below + 2)
            cell = cell_size(count, room - around, least, MOST_CELL * unit)
        seen = (cell * count).boundedTo(room - around)
        view = QRectF(QPointF(left, math.ceil(top + gap)), seen.expandedTo(QSizeF(1, 1)))
        scrolled = QPointF(self.horizontalScrollBar().value(), self.verticalScrollBar().value())
        return MatrixLayout(count, view, cell, scrolled)

    def _lay_out(self) -> None:
        """Scroll over all cells."""
        cells = self.cells
        for bar, length, seen, step in (
            (self.horizontalScrollBar(), cells.box.width(), cells.view.width(), cells.cell.width()),
            (self.verticalScrollBar(), cells.box.height(), cells.view.height(), cells.cell.height()),
        ):
            bar.setRange(0, math.ceil(length - seen))
            bar.setPageStep(int(seen))
            bar.setSingleStep(int(step))
        self.viewport().update()

    def _reveal(self, row: int, col: int) -> None:
        """Scroll, if need be, so that a cell is in view."""
        cells = self.cells
        box, view = cells.cell_rect(row, col), cells.view
        for bar, before, behind in (
            (self.horizontalScrollBar(), view.left() - box.left(), box.right() - view.right()),
            (self.verticalScrollBar(), view.top() - box.top(), box.bottom() - view.bottom()),
        ):
            bar.setValue(bar.value() - math.ceil(max(0.0, before)) + math.ceil(max(0.0, behind)))

    # ---- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint names, cells, numbers, the current cell and what it means."""
        painter, cells = QPainter(self.viewport()), self.cells
        index = display.to_index(row_shares(self._confusion), 1.0)
        painter.setClipRect(cells.view.adjusted(0, 0, 1, 1))
        painter.drawImage(cells.box, image_of(color_map(theme.is_dark(self.palette())).pixels(index)))
        self._paint_lines(painter, cells)
        self._paint_counts(painter, cells, index)
        if self._current is not None:
            margin = 0.15 * theme.unit()
            painter.setClipRect(cells.view.adjusted(-margin, -margin, margin + 1, margin + 1))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(theme.colors(self.palette()).window, 2 * margin))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(cells.cell_rect(*self._current))
        painter.setClipping(False)
        self._paint_axes(painter, cells)
        self._paint_names(painter, cells)
        self._paint_words(painter, cells)

    def _paint_lines(self, painter: QPainter, cells: MatrixLayout) -> None:
        box, cell = cells.box, cells.cell
        painter.setPen(QPen(theme.colors(self.palette()).border, 1))
        if min(cell.width(), cell.height()) < LINES_FROM_PX:
            painter.drawRect(box)
            return
        for k in range(cells.num_classes + 1):
            right, down = QPointF(k * cell.width(), 0), QPointF(0, k * cell.height())
            painter.drawLine(box.topLeft() + right, box.bottomLeft() + right)
            painter.drawLine(box.topLeft() + down, box.topRight() + down)

    def _number_font(self, cells: MatrixLayout) -> QFont | None:
        """Return the largest font in which each number has room in its cell, if there is one."""
        if cells.cell.height() < self._line_height:
            return None
        font, widest = QFont(theme.font(NAME_SIZE)), str(int(self._confusion.max()))
        for size in range(font.pixelSize(), theme.font(LEAST_NUMBER_SIZE).pixelSize() - 1, -1):
            font.setPixelSize(size)
            if theme.text_width(font, widest) <= NUMBER_ROOM * cells.cell.width():
                return font
        return None

    def _paint_counts(self, painter: QPainter, cells: MatrixLayout, index: NDArray[np.uint8]) -> None:
        font = self._number_font(cells)
        if font is None:
            return
        painter.setFont(font)
        colors = color_map(theme.is_dark(self.palette()))
        for row, col in np.argwhere(self._confusion).tolist():
            box = cells.cell_rect(row, col)
            if box.intersects(cells.view):
                painter.setPen(colors.ink(int(index[row, col])))
                draw_centered(painter, box.center(), str(self._confusion[row, col]), font)

    def _paint_axes(self, painter: QPainter, cells: MatrixLayout) -> None:
        """Say in the corner what runs across and what down."""
        font, line = theme.font(NAME_SIZE), self._line_height
        painter.setFont(font)
        painter.setPen(theme.colors(self.palette()).muted)
        right, over = cells.view.left() - GAP * theme.unit(), max(0.0, line - cells.cell.height()) / 2
        bottom = cells.view.top() - over  # the first row's name may be higher than its cell
        for k, name in enumerate(self._axis_names):
            draw_line(painter, QRectF(0, bottom - (2 - k) * line, right, line), name, font, right=True)

    def _paint_names(self, painter: QPainter, cells: MatrixLayout) -> None:
        """Name rows and columns: all of them, or every second, third, … where lines are higher than cells."""
        font, view, cell, gap = theme.font(NAME_SIZE), cells.view, cells.cell, GAP * theme.unit()
        painter.setFont(font)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        over_y, over_x = (max(0.0, (self._line_height - side) / 2) for side in (cell.height(), cell.width()))
        painter.setClipRect(QRectF(0, view.top(), view.left(), view.height()).adjusted(0, -over_y, 0, over_y))
        rows, cols = self._names_as_shown(cells)
        for k in range(0, cells.num_classes, math.ceil(self._line_height / cell.height())):
            row = QRectF(0, cells.cell_rect(k, 0).top(), view.left() - gap, cell.height())
            draw_line(painter, row, rows[k], font, right=True)
        painter.setClipRect(QRectF(view.left(), 0, view.width(), view.top()).adjusted(-over_x, 0, over_x, 0))
        fit = self._longest_name() <= cell.width() - gap
        for k in range(0, cells.num_classes, 1 if fit else math.ceil(self._line_height / cell.width())):
            middle = cells.cell_rect(0, k).center().x()
            if fit:
                draw_centered(painter, QPointF(middle, view.top() - self._line_height / 2), cols[k], font)
                continue
            painter.save()
            painter.translate(middle, view.top() - gap)
            painter.rotate(-90)
            draw_line(painter, QRectF(0, -1, view.top(), 2), cols[k], font)
            painter.restore()
        painter.setClipping(False)

    def _names_as_shown(self, cells: MatrixLayout) -> tuple[list[str], list[str]]:
        """Return the names of rows and of columns, shortened to their room."""
        font, gap = theme.font(NAME_SIZE), GAP * theme.unit()
        rows = [shortened(name, font, cells.view.left() - gap) for name in self._classes]
        if self._longest_name() <= cells.cell.width() - gap:
            return rows, list(self._classes)
        return rows, [shortened(name, font, cells.view.top() - gap) for name in self._classes]

    def _paint_words(self, painter: QPainter, cells: MatrixLayout) -> None:
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        painter.setFont(self._words_font()[0])
        wrapped = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft
        top = cells.view.bottom() + 0.5 * theme.unit()
        painter.drawText(QRectF(0, top, self.viewport().width(), self.height()), int(wrapped), self.shown_words)

    @property
    def shown_words(self) -> str:
        """Return what is said below the cells, shortened where it has no room there."""
        font, lines = self._words_font()
        return shortened(self.words, font, self.viewport().width() * (1 if lines == 1 else 1.7))  # lines break early

    # ---- events

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Say what is under the pointer."""
        self.set_current(self.cells.cell_at(event.position()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Activate the cell under the pointer."""
        cell = self.cells.cell_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and cell is not None:
            self.set_current(cell)
            self.cell_activated.emit(*cell)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll, or (Ctrl) show all cells or their numbers."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier and event.angleDelta().y():
            self.show_whole(event.angleDelta().y() < 0)
            event.accept()
        else:
            super().wheelEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:
        """Say how to read the matrix again when the pointer left, and in full what is shortened."""
        if event.type() == QEvent.Type.Leave:
            self.set_current(None)
        elif event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            text = self._in_full(QPointF(event.pos()))
            if text:
                QToolTip.showText(event.globalPos(), plain(text), self)
                return True
        return super().viewportEvent(event)

    def _in_full(self, point: QPointF) -> str:
        """Return what is shortened at a point, or on behalf of it."""
        cells = self.cells
        row, col = cells.row_at(point.y()), cells.col_at(point.x())
        rows, cols = self._names_as_shown(cells)
        if row is not None and col is not None:
            shown, full = self.shown_words, self.words
        elif row is not None:
            shown, full = rows[row], self._classes[row]
        elif col is not None:
            shown, full = cols[col], self._classes[col]
        else:
            return ""
        return full if shown != full else ""

    def event(self, event: QEvent) -> bool:
        """Keep the keys that step and zoom elsewhere for the matrix that has the focus."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            others = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
            if event.key() in {*STEPS, *WHOLE} and not event.modifiers() & others:
                event.accept()
                return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move to a neighbour, activate the current cell, or show all cells or their numbers."""
        if event.key() in STEPS:
            last, (down, right) = len(self._classes) - 1, STEPS[Qt.Key(event.key())]
            row, col = self._current or (-down, -right)
            cell = min(last, max(0, row + down)), min(last, max(0, col + right))
            self._reveal(*cell)
            self.set_current(cell)
        elif event.key() in WHOLE:
            self.show_whole(WHOLE[Qt.Key(event.key())])
        elif event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter} and self._current is not None:
            self.cell_activated.emit(*self._current)
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fill the new room."""
        self._lay_out()

    def changeEvent(self, event: QEvent) -> None:
        """Follow palette and font."""
        if event.type() in {QEvent.Type.PaletteChange, QEvent.Type.FontChange}:
            self.updateGeometry()
            self._lay_out()
        super().changeEvent(event)
