"""How often the pictures of each class were taken for each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from convviz.core import display
from convviz.ui import theme
from convviz.ui.lab.stack_table import grouped
from convviz.ui.widgets.bars import percent
from convviz.ui.widgets.color_map import color_map, image_of
from convviz.ui.widgets.numerals import draw_centered, draw_line

Counts = NDArray[np.int64]

NAME_SIZE, MOST_NAME, LINE = 0.85, 12.0, 2.25
"""Size of the class names, the room that they may take and the height of a line, in units."""
LINES_FROM_PX = 8
MOST_CELL = 8.0
"""The largest side of a cell in units."""
STEPS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}


@dataclass(frozen=True)
class MatrixLayout:
    """Where the cells of a square matrix lie."""

    num_classes: int
    corner: QPointF
    cell: float  # px

    @property
    def box(self) -> QRectF:
        """The place of all cells."""
        return QRectF(self.corner.x(), self.corner.y(), self.num_classes * self.cell, self.num_classes * self.cell)

    def cell_rect(self, row: int, col: int) -> QRectF:
        """Return the place of a cell."""
        return QRectF(self.corner.x() + col * self.cell, self.corner.y() + row * self.cell, self.cell, self.cell)

    def cell_at(self, point: QPointF) -> tuple[int, int] | None:
        """Return row and column of the cell at a point."""
        row, col = int((point.y() - self.corner.y()) // self.cell), int((point.x() - self.corner.x()) // self.cell)
        return (row, col) if 0 <= row < self.num_classes and 0 <= col < self.num_classes else None


def row_shares(confusion: Counts) -> NDArray[np.float64]:
    """Return each count (K, K) as a share of its row, 0 where a row has none."""
    shares: NDArray[np.float64] = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
    return shares


class ConfusionMatrix(QWidget):
    """Shows a confusion matrix, truth down and prediction across. Colours are shares of a row, numbers are counts.

    The pointer or the arrow keys choose a cell, which is said in words below; a click or Return activates it.
    """

    cell_activated = Signal(int, int)  # truth, prediction

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._confusion: Counts = np.zeros((1, 1), np.int64)
        self._classes: tuple[str, ...] = ("",)
        self._current: tuple[int, int] | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("Confusion matrix"))
        self.setToolTip(self.tr("A click or Return shows the pictures behind a cell; the arrow keys move."))

    def show_confusion(self, confusion: Counts, classes: tuple[str, ...]) -> None:
        """Show how often pictures of class i were taken for class j, (K, K)."""
        self._confusion, self._classes = confusion, classes
        if self._current is not None and max(self._current) >= len(classes):
            self._current = None
        self.update()

    def set_current(self, cell: tuple[int, int] | None) -> None:
        """Choose a cell (truth, prediction), or none."""
        if cell != self._current:
            self._current = cell
            self.setAccessibleDescription(self.words)
            self.update()

    @property
    def words(self) -> str:
        """What the current cell means, or how to read the matrix."""
        if self._current is None:
            return self.tr("Numbers count pictures; colours are shares of a row.")
        row, col = self._current
        count, total = int(self._confusion[row, col]), int(self._confusion[row].sum())
        share = percent(count / total, 1) if total else percent(float("nan"))
        template = (
            self.tr("{truth} recognised: {count} of {total} ({percent})")
            if row == col
            else self.tr("{truth} taken for {prediction}: {count} of {total} ({percent})")
        )
        return template.format(
            truth=self._classes[row],
            prediction=self._classes[col],
            count=grouped(count),
            total=grouped(total),
            percent=share,
        )

    # ---- geometry

    def sizeHint(self) -> QSize:
        """Return room for ten classes with their names and numbers."""
        return QSize(round(60 * theme.unit()), round(56 * theme.unit()))

    def minimumSizeHint(self) -> QSize:
        """Return the least room in which the colours can be told apart."""
        return QSize(round(30 * theme.unit()), round(26 * theme.unit()))

    def _font(self) -> QFont:
        return theme.font(NAME_SIZE)

    def _longest_name(self) -> float:
        font = self._font()
        return min(MOST_NAME * theme.unit(), max(theme.text_width(font, name) for name in self._classes))

    @property
    def cells(self) -> MatrixLayout:
        """Where the cells lie: with names around them if a line of text is no higher than a cell."""
        unit, count = theme.unit(), len(self._classes)
        title = LINE * unit
        for names in (self._longest_name() + 1.5 * unit, 0.0):
            across, down = self.width() - title - names - 2, self.height() - 2 * title - names - 2
            cell = min(across / count, down / count, MOST_CELL * unit)
            if names and cell >= QFontMetricsF(self._font()).height():
                break
        cell = max(1.0, float(int(cell)))
        return MatrixLayout(count, QPointF(round(title + names), round(title + names)), cell)

    # ---- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint names, cells, numbers, the current cell and what it means."""
        painter, unit, cells = QPainter(self), theme.unit(), self.cells
        index = display.to_index(row_shares(self._confusion), 1.0)
        colors = color_map(theme.is_dark(self.palette()))
        painter.drawImage(cells.box, image_of(colors.pixels(index)))
        painter.setPen(QPen(theme.colors(self.palette()).border, 1))
        if cells.cell >= LINES_FROM_PX:
            for k in range(cells.num_classes + 1):
                along = k * cells.cell
                painter.drawLine(cells.corner + QPointF(along, 0), cells.corner + QPointF(along, cells.box.height()))
                painter.drawLine(cells.corner + QPointF(0, along), cells.corner + QPointF(cells.box.width(), along))
        else:
            painter.drawRect(cells.box)
        self._paint_counts(painter, cells, index)
        self._paint_names(painter, cells)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        painter.setFont(theme.font())
        line = QRectF(0, cells.box.bottom() + 0.25 * unit, self.width(), LINE * unit)
        words = QFontMetricsF(theme.font()).elidedText(self.words, Qt.TextElideMode.ElideMiddle, line.width())
        draw_line(painter, line, words, theme.font())
        if self._current is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(theme.colors(self.palette()).window, 0.3 * unit))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(cells.cell_rect(*self._current))

    def _paint_counts(self, painter: QPainter, cells: MatrixLayout, index: NDArray[np.uint8]) -> None:
        colors = color_map(theme.is_dark(self.palette()))
        font, widest = theme.font(NAME_SIZE), str(int(self._confusion.max()))
        room = 0.86 * cells.cell / max(1.0, theme.text_width(font, widest))
        size = int(font.pixelSize() * min(1.0, room))
        if size < 0.62 * theme.font().pixelSize():
            return
        font.setPixelSize(size)
        painter.setFont(font)
        for row, line in enumerate(self._confusion.tolist()):
            for col, count in enumerate(line):
                if count:
                    painter.setPen(colors.ink(int(index[row, col])))
                    draw_centered(painter, cells.cell_rect(row, col).center(), str(count), font)

    def _paint_names(self, painter: QPainter, cells: MatrixLayout) -> None:
        """Name rows and columns where there is room, and say which are which."""
        unit, font, title = theme.unit(), self._font(), LINE * theme.unit()
        painter.setFont(font)
        painter.setPen(theme.colors(self.palette()).muted)
        draw_line(painter, QRectF(cells.corner.x(), 0, cells.box.width(), title), self.tr("prediction →"), font)
        painter.save()
        painter.translate(0, cells.box.bottom())
        painter.rotate(-90)
        draw_line(painter, QRectF(0, 0, cells.box.height(), title), self.tr("← truth"), font, right=True)
        painter.restore()
        room = cells.corner.x() - title - 0.75 * unit
        if room <= 0:
            return
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        metrics = QFontMetricsF(font)
        upright = max(theme.text_width(font, name) for name in self._classes) <= cells.cell - 0.5 * unit
        for k, name in enumerate(self._classes):
            shown = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, room)
            row = QRectF(title, cells.corner.y() + k * cells.cell, room + 0.25 * unit, cells.cell)
            draw_line(painter, row, shown, font, right=True)
            middle = cells.corner.x() + (k + 0.5) * cells.cell
            if upright:
                draw_centered(painter, QPointF(middle, cells.corner.y() - 0.5 * title), shown, font)
                continue
            painter.save()
            painter.translate(middle, cells.corner.y() - 0.75 * unit)
            painter.rotate(-90)
            draw_line(painter, QRectF(0, -title / 2, room, title), shown, font)
            painter.restore()

    # ---- events

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Say what is under the pointer."""
        self.set_current(self.cells.cell_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        """Say how to read the matrix again."""
        self.set_current(None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Activate the cell under the pointer."""
        cell = self.cells.cell_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and cell is not None:
            self.set_current(cell)
            self.cell_activated.emit(*cell)

    def event(self, event: QEvent) -> bool:
        """Keep the arrow keys, which step elsewhere, for the matrix that has the focus."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and event.key() in STEPS:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move to a neighbour, or activate the current cell."""
        if event.key() in STEPS:
            last, (down, right) = len(self._classes) - 1, STEPS[Qt.Key(event.key())]
            row, col = self._current or (-down, -right)
            self.set_current((min(last, max(0, row + down)), min(last, max(0, col + right))))
        elif event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter} and self._current is not None:
            self.cell_activated.emit(*self._current)
        else:
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        """Follow palette and font."""
        if event.type() in {QEvent.Type.PaletteChange, QEvent.Type.FontChange}:
            self.updateGeometry()
            self.update()
        super().changeEvent(event)
