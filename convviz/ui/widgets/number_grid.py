"""A grid of numbers: digits when cells are large, grid lines when they are medium, a plain image when they are small.

The picture of the cells is kept in a pixmap; what moves (windows, receptive fields, the cell cursor) is painted over
it, so a step repaints a few cells only. Rows and columns are counted from the first real cell: padding has negative
indices or indices past the end.
"""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QEvent, QLineF, QMarginsF, QObject, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPixmap,
    QRegion,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QLineEdit, QSizePolicy, QWidget

from convviz.core import display
from convviz.core.numbers import NumberError, format_number, parse_number
from convviz.ui import theme
from convviz.ui.refusals import said
from convviz.ui.widgets.grid_content import Cell, GridContent, GridGeometry, Mark
from convviz.ui.widgets.grid_painter import LINES_FROM_PX, GridPainter, connector_pen

MAX_ZOOM_PX = 160
FEW_CELLS = 256
"""Up to this many changed cells are painted by themselves."""
ARROWS = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}


def frame_around(first_row: int, last_row: int, overhang: float = 0.0) -> QMarginsF:
    """Return the room that a grid takes around its cells, px: for numbers from one row's to another's, a colour bar.

    ``overhang`` is the room for marks that reach outside the cells, in spacing units.
    """
    unit = theme.unit()
    digits = max(len(str(first_row)), len(str(last_row)), 2)
    ruler = theme.text_width(theme.font(0.75), "0" * digits) + 0.75 * unit
    around = overhang * unit
    return QMarginsF(ruler + around, 2.0 * unit + around, 3.0 + around, 3.5 * unit + around)


class NumberGrid(QWidget):
    """Shows a :class:`GridContent`, marks on it, and lets cells be chosen, edited and painted.

    ``overhang`` is the room around the cells, in spacing units, for marks on what lies outside them.
    """

    cell_clicked = Signal(int, int)
    cursor_released = Signal()
    entered = Signal()  # it has the keyboard now
    cell_hovered = Signal(object)  # (row, col), or None when the pointer left
    value_entered = Signal(int, int, float)
    cells_painted = Signal(object)  # list of (row, col)
    stroke_finished = Signal()
    nudged = Signal(int, int, float)
    rejected = Signal(str)
    view_changed = Signal()

    def __init__(self, editable: bool, parent: QWidget | None = None, overhang: float = 0.0) -> None:
        super().__init__(parent)
        self._editable = editable
        self._overhang = overhang
        self._turned = 0  # eighths of a degree of the wheel that have not made a nudge yet
        self._content = GridContent(np.zeros((1, 1)))
        self._index = np.full((1, 1), 128, np.uint8)
        self._shown: int | None = None
        self._marks: tuple[Mark, ...] = ()
        self._connectors: tuple[QLineF, ...] = ()
        self._cursor: Cell | None = None
        self._layer: QPixmap | None = None
        self._kept_painter: GridPainter | None = None
        self._geometry = GridGeometry((1, 1), (0, 0), QRectF(), QPointF(), 1.0)
        self._fitted = True
        self._stroke: list[Cell] | None = None
        self._stroke_moved = False
        self._pan_from: QPointF | None = None
        self._editor: QLineEdit | None = None
        self._edited: Cell = (0, 0)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    # ---- content

    @property
    def editable(self) -> bool:
        """Whether cells can be chosen and changed."""
        return self._editable

    @editable.setter
    def editable(self, on: bool) -> None:
        self._editable = on
        if not on:
            self._close_editor()
            self.set_cursor_cell(None)

    @property
    def content(self) -> GridContent:
        """What is shown."""
        return self._content

    @property
    def cursor_cell(self) -> Cell | None:
        """The chosen cell, if any."""
        return self._cursor

    def set_content(self, content: GridContent, shown: int | None = None) -> None:
        """Show other values; ``shown`` cells in reading order count as computed (None: all)."""
        before, self._content = self._content, content
        if content.looks_like(before):
            changed = np.flatnonzero(before.values != content.values)
            self._index = display.to_index(content.values, content.level)
            digits = self._painter.digit_size if self._layer is not None else None
            self._kept_painter = None
            if len(changed) > FEW_CELLS or (self._layer is not None and self._painter.digit_size != digits):
                self._invalidate()
            elif len(changed):
                rows, cols = np.divmod(changed, content.values.shape[1])
                corner, opposite = QPoint(cols.min(), rows.min()), QPoint(cols.max(), rows.max())
                self._repaint(QRect(corner, opposite), shown)
            self.set_shown(shown)
            return
        self._shown = shown
        self._index = display.to_index(content.values, content.level)
        self._kept_painter = None
        self._invalidate()
        if self._cursor and not content.is_real(*self._cursor):
            self._cursor = None
        if content.values.shape != before.values.shape or content.origin != before.origin:
            self._close_editor()
            self._fitted = True
        self._lay_out()

    def set_shown(self, shown: int | None) -> None:
        """Count another number of cells as computed; one cell more or less repaints just that cell."""
        before, self._shown = self._shown, shown
        if before == shown:
            return
        if before is None or shown is None or abs(before - shown) != 1:
            self._invalidate()
        else:
            row, col = divmod(min(before, shown), self._content.values.shape[1])
            self._repaint(QRect(col, row, 1, 1), shown)

    def _repaint(self, cells: QRect, shown: int | None) -> None:
        """Paint some cells, counted from the first one of the array, anew in the kept picture."""
        if self._layer is None:
            return
        height, width = self._content.values.shape
        if self.cell_px < 2:  # cells share pixels with their neighbours
            cells = cells.adjusted(-2, -2, 2, 2) & QRect(0, 0, width, height)
        painter = QPainter(self._layer)
        self._painter.paint_cells(painter, cells, shown)
        painter.end()
        self.update(self._geometry.array_rect(cells).toAlignedRect().adjusted(-1, -1, 1, 1))

    def set_marks(self, *marks: Mark) -> None:
        """Replace the marks that are painted over the cells."""
        if marks == self._marks:
            return
        painter, margin = self._painter, round(theme.unit())
        for mark in {*self._marks} ^ {*marks}:
            self.update(painter.mark_rect(mark).toAlignedRect().adjusted(-margin, -margin, margin, margin))
        self._marks = marks

    def set_connectors(self, lines: tuple[QLineF, ...], changed: QRegion) -> None:
        """Paint dashed lines, in widget coordinates, over the cells: they tie a window to another grid.

        ``changed`` is the region around the lines that come or go.
        """
        self._connectors = lines
        self.update(changed & QRegion(self.rect()))

    def set_cursor_cell(self, cell: Cell | None) -> None:
        """Choose a cell, or none."""
        self._cursor = cell if cell is not None and self._content.is_real(*cell) else None
        self.update()

    # ---- geometry

    def sizeHint(self) -> QSize:
        """Return a size at which a small grid shows its digits."""
        unit = theme.unit()
        return QSize(round(34 * unit), round(34 * unit))

    def minimumSizeHint(self) -> QSize:
        """Return the least size at which a 3×3 grid can be read."""
        unit = theme.unit()
        return QSize(round(15 * unit), round(17 * unit))

    @property
    def cell_px(self) -> float:
        """The side of a cell in px."""
        return self._geometry.cell

    @property
    def geometry_of_cells(self) -> GridGeometry:
        """Where the cells lie, in widget coordinates."""
        return self._geometry

    def box_in_view(self, rows: tuple[int, ...], cols: tuple[int, ...]) -> QRectF:
        """Return the box around some cells, as far as it is in view, in widget coordinates."""
        return self._geometry.box(rows, cols).intersected(self._geometry.viewport.adjusted(-2, -2, 2, 2))

    def fit(self) -> None:
        """Show all cells, as large as they can be."""
        self._fitted = True
        self._lay_out()

    def zoom(self, factor: float, center: QPointF | None = None) -> None:
        """Make cells larger or smaller around a point of the widget."""
        geometry = self._geometry
        center = center or geometry.viewport.center()
        cell = min(MAX_ZOOM_PX * theme.unit() / 8, max(self._fitting_cell(), geometry.cell * factor))
        self._fitted = cell <= self._fitting_cell()
        self._move(center - (center - geometry.corner) / geometry.cell * cell, cell)

    def ensure_visible(self, rows: tuple[int, ...], cols: tuple[int, ...]) -> None:
        """Scroll, if need be, so that some cells are in view."""
        if self._fitted:
            return
        box, area = self._geometry.box(rows, cols), self._geometry.viewport
        dx = min(0.0, area.right() - box.right()) or max(0.0, area.left() - box.left())
        dy = min(0.0, area.bottom() - box.bottom()) or max(0.0, area.top() - box.top())
        half = QPointF(area.width() / 2, area.height() / 2)  # so that most steps need not scroll
        if dx or dy:
            shift = QPointF(dx + math.copysign(half.x(), dx) * bool(dx), dy + math.copysign(half.y(), dy) * bool(dy))
            self._move(self._geometry.corner + shift, self._geometry.cell)

    @property
    def frame(self) -> QMarginsF:
        """The room around the cells for row and column numbers and the colour bar, px."""
        first, step = self._content.origin[0], self._content.row_step
        last = first + self._content.values.shape[0] - 1
        return frame_around(first * step, last * step, self._overhang)

    @property
    def legend_width(self) -> float:
        """The least width of the colour bar with its two numbers, px."""
        level = format_number(self._content.level, 3)
        return 2 * theme.text_width(theme.font(0.78), "−" + level) + 5 * theme.unit()

    def _viewport(self) -> QRectF:
        return QRectF(self.rect()).marginsRemoved(self.frame)

    def _fitting_cell(self) -> float:
        height, width = self._content.values.shape
        area = self._viewport()
        cell = min(area.width() / width, area.height() / height, MAX_ZOOM_PX * theme.unit() / 8)
        return max(0.05, float(int(cell)) if cell >= LINES_FROM_PX else cell)

    def _lay_out(self) -> None:
        self._move(self._geometry.corner, self._fitting_cell() if self._fitted else self._geometry.cell)

    def _move(self, corner: QPointF, cell: float) -> None:
        height, width = self._content.values.shape
        overhang = self._overhang * theme.unit()
        fresh = GridGeometry((height, width), self._content.origin, self._viewport(), corner, cell, overhang)
        fresh = fresh.moved(corner, cell)
        if fresh != self._geometry:
            self._geometry = fresh
            self._kept_painter = None
            self._invalidate()
            self._place_editor()
            self.view_changed.emit()

    def _invalidate(self) -> None:
        self._layer = None
        self.update()

    # ---- painting

    @property
    def _painter(self) -> GridPainter:
        """The painter of what is shown now, kept until content, geometry or palette change."""
        if self._kept_painter is None:
            self._kept_painter = GridPainter(self._content, self._geometry, self.palette(), self._index)
        return self._kept_painter

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the kept picture of the cells and, over it, what moves."""
        if self._layer is None:
            self._layer = self._render_layer()
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._layer)
        if self._connectors:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(connector_pen(self.palette(), alpha=110))  # the numbers under them stay readable
            painter.drawLines(self._connectors)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)  # upright frames are several times faster
        painter.setClipRect(self._geometry.mark_area, Qt.ClipOperation.IntersectClip)
        grid = self._painter
        for mark in self._marks:
            grid.paint_mark(painter, mark)
        if self._cursor is not None and self._editor is None:
            self._paint_cursor(painter, self._cursor)

    def _render_layer(self) -> QPixmap:
        ratio = self.devicePixelRatioF()
        layer = QPixmap(round(self.width() * ratio), round(self.height() * ratio))
        layer.setDevicePixelRatio(ratio)
        layer.fill(self.palette().color(QPalette.ColorRole.Window))
        painter = QPainter(layer)
        self._painter.paint_all(painter, QRectF(self.rect()), self._shown)
        painter.end()
        return layer

    def _paint_cursor(self, painter: QPainter, cell: Cell) -> None:
        box = self._geometry.cell_rect(*cell).adjusted(1.5, 1.5, -1.5, -1.5)
        pen = QPen(self.palette().color(QPalette.ColorRole.Highlight), 2)
        if not self.hasFocus():
            pen.setStyle(Qt.PenStyle.DashLine)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(pen)
        painter.drawRect(box)

    # ---- events

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the cells to the new size."""
        self._lay_out()

    def changeEvent(self, event: QEvent) -> None:
        """Repaint in the new palette or font."""
        if event.type() in {QEvent.Type.PaletteChange, QEvent.Type.FontChange, QEvent.Type.StyleChange}:
            self._close_editor()
            self._kept_painter = None
            self._invalidate()
            self._lay_out()
            self.updateGeometry()
        super().changeEvent(event)

    def event(self, event: QEvent) -> bool:
        """Keep the keys that edit the chosen cell from being taken as shortcuts."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and self._takes_key(event):
            event.accept()
            return True
        return super().event(event)

    def _takes_key(self, event: QKeyEvent) -> bool:
        if not self.editable or self._cursor is None:
            return False
        if event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier):
            return False
        editing = {Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_F2, Qt.Key.Key_Delete, Qt.Key.Key_Backspace}
        return (
            event.key() in ARROWS
            or event.key() in editing
            or event.key() == Qt.Key.Key_Escape
            or self._starts_number(event.text())
        )

    @staticmethod
    def _starts_number(text: str) -> bool:
        return len(text) == 1 and text in "0123456789-−+.,nNiI"  # "nan" and "inf" are refused with a message

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move the cell cursor, nudge or edit its cell."""
        if not self._takes_key(event) or self._cursor is None:
            super().keyPressEvent(event)
            return
        row, col = self._cursor
        if event.key() in ARROWS:
            down, right = ARROWS[Qt.Key(event.key())]
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier and down:
                self.nudged.emit(row, col, float(-down))
            else:
                self._choose(row + down, col + right)
        elif event.key() == Qt.Key.Key_Escape:
            self.set_cursor_cell(None)
            self.cursor_released.emit()
            self.clearFocus()
        elif event.key() in {Qt.Key.Key_Delete, Qt.Key.Key_Backspace}:
            self.value_entered.emit(row, col, 0.0)
        else:
            self._open_editor(event.text() if self._starts_number(event.text()) else None)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Give keyboard users a cell cursor as soon as they arrive."""
        if self.editable and self._cursor is None:
            self.set_cursor_cell((0, 0))
        self.entered.emit()
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Show the cursor as resting."""
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose a cell and begin a stroke, or begin to pan (middle button)."""
        if event.button() == Qt.MouseButton.MiddleButton:
            self._pan_from = event.position()
            return
        cell = self._geometry.cell_at(event.position())
        if event.button() != Qt.MouseButton.LeftButton or cell is None or not self._content.is_real(*cell):
            return
        if self.editable:
            self._stroke, self._stroke_moved = [cell], False
            self.set_cursor_cell(cell)
        self.cell_clicked.emit(*cell)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Pan, paint, scrub or hover."""
        if self._pan_from is not None:
            if not self._fitted:
                self._move(self._geometry.corner + event.position() - self._pan_from, self._geometry.cell)
            self._pan_from = event.position()
            return
        cell = self._geometry.cell_at(event.position())
        self.cell_hovered.emit(cell if cell is not None else None)
        if not event.buttons() & Qt.MouseButton.LeftButton or cell is None or not self._content.is_real(*cell):
            return
        if not self.editable:
            self.cell_clicked.emit(*cell)
        elif self._stroke and cell != self._stroke[-1]:
            new = _line(self._stroke[-1], cell)
            self.cells_painted.emit(new if self._stroke_moved else [self._stroke[0], *new])
            self._stroke_moved = True
            self._stroke.append(cell)
            self.set_cursor_cell(cell)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End a stroke or a pan."""
        if event.button() == Qt.MouseButton.MiddleButton:
            self._pan_from = None
        elif event.button() == Qt.MouseButton.LeftButton and self._stroke is not None:
            self._stroke = None
            if self._stroke_moved:
                self.stroke_finished.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Edit the cell."""
        if self.editable and self._geometry.cell_at(event.position()) == self._cursor and self._cursor is not None:
            self._open_editor(None)

    def leaveEvent(self, event: QEvent) -> None:
        """Say that nothing is hovered."""
        self.cell_hovered.emit(None)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom (Ctrl), nudge the chosen cell, or pan."""
        turns = event.angleDelta().y() / 120
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom(1.25**turns, event.position())
        elif self.editable and self._cursor is not None and self._geometry.cell_at(event.position()) == self._cursor:
            self._turned += event.angleDelta().y()
            nudges = int(self._turned / 120)
            self._turned -= 120 * nudges
            if nudges:
                self.nudged.emit(*self._cursor, float(nudges))
        elif not self._fitted:
            delta = QPointF(event.angleDelta()) / 2
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                delta = QPointF(delta.y(), delta.x())
            self._move(self._geometry.corner + delta, self._geometry.cell)
        else:
            event.ignore()
            return
        event.accept()

    # ---- editing

    def _choose(self, row: int, col: int) -> None:
        height, width = self._content.real_size
        cell = min(height - 1, max(0, row)), min(width - 1, max(0, col))
        self.set_cursor_cell(cell)
        self.ensure_visible((cell[0],), (cell[1],))
        self.cell_clicked.emit(*cell)

    def _open_editor(self, text: str | None) -> None:
        if self._cursor is None:
            return
        self._close_editor()
        row, col = self._edited = self._cursor
        top, left = self._content.origin
        editor = QLineEdit(self)
        editor.setAccessibleName(self.tr("Value of row {row}, column {col}").format(row=row, col=col))
        editor.setAlignment(Qt.AlignmentFlag.AlignCenter)
        editor.setText(
            text if text is not None else repr(float(self._content.values[row - top, col - left])).removesuffix(".0")
        )
        if text is None:
            editor.selectAll()
        editor.installEventFilter(self)
        self._editor = editor
        self._place_editor()
        editor.show()
        editor.setFocus()

    def _place_editor(self) -> None:
        """Lay the editor over its cell, in the size of the cell's digits."""
        if self._editor is None:
            return
        unit, box = theme.unit(), self._geometry.cell_rect(*self._edited)
        size = QSize(max(round(box.width()), round(9 * unit)), max(round(box.height()), round(4 * unit)))
        place = QRect(QPoint(0, 0), size)
        place.moveCenter(box.center().toPoint())
        place.moveLeft(min(max(0, place.left()), max(0, self.width() - size.width())))
        place.moveTop(min(max(0, place.top()), max(0, self.height() - size.height())))
        font = theme.font()
        font.setPixelSize(max(font.pixelSize(), (self._painter.digit_size or (0, 0))[0]))
        self._editor.setFont(font)
        self._editor.setGeometry(place)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let Return and Tab commit the number and move on; let Escape or a lost focus leave the cell as it was."""
        if watched is self._editor:
            if event.type() == QEvent.Type.FocusOut:
                self._close_editor()
            elif event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
                if event.key() == Qt.Key.Key_Escape:
                    self._close_editor()
                    self.setFocus()
                    return True
                moves = {Qt.Key.Key_Return: (1, 0), Qt.Key.Key_Enter: (1, 0), Qt.Key.Key_Tab: (0, 1)}
                if event.key() in moves:
                    self._commit_editor(moves[Qt.Key(event.key())])
                    return True
        return super().eventFilter(watched, event)

    def _commit_editor(self, move: Cell) -> None:
        if self._editor is None:
            return
        try:
            value = parse_number(self._editor.text())
        except NumberError as error:
            self._editor.selectAll()
            self.rejected.emit(said(error))
            return
        row, col = self._edited
        self._close_editor()
        self.setFocus()
        self.value_entered.emit(row, col, value)
        self._choose(row + move[0], col + move[1])

    def _close_editor(self) -> None:
        if self._editor is not None:
            editor, self._editor = self._editor, None
            editor.removeEventFilter(self)
            editor.hide()
            editor.deleteLater()
            self.update()


def _line(start: Cell, end: Cell) -> list[Cell]:
    """Return the cells on the way from ``start`` (left out) to ``end``, so that a fast stroke leaves no gaps."""
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    return [
        (round(start[0] + (end[0] - start[0]) * k / steps), round(start[1] + (end[1] - start[1]) * k / steps))
        for k in range(1, steps + 1)
    ]
