"""One map or kernel in place of the panel, with its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from convviz.ui import theme
from convviz.ui.widgets.buttons import FlatButton
from convviz.ui.widgets.folding import FoldingRow
from convviz.ui.widgets.grid_content import Cell, GridContent
from convviz.ui.widgets.number_grid import ARROWS, NumberGrid
from convviz.ui.widgets.tool_row import Heading

CHANNELS = 3
GRID_UNITS = 18.0
LEAST_CELL, READABLE_CELL = 3.5, 5.0
"""Sides of a cell in units: the least with which all cells are shown at first, and that which is shown instead."""
ZOOM_KEYS = {Qt.Key.Key_Plus: 1.25, Qt.Key.Key_Equal: 1.25, Qt.Key.Key_Minus: 0.8}


class ReadableGrid(NumberGrid):
    """Starts with cells whose numbers can be read, around a cell if all have no room, and stays as it was moved.

    The arrow keys scroll, plus and minus zoom.
    """

    def __init__(self) -> None:
        super().__init__(editable=False)
        self._start: Cell | None = None
        self._moved = False

    def open(self, around: Cell | None) -> None:
        """Start again, with a cell in view, or the middle."""
        self._start, self._moved = around, False
        self._show_start()

    def set_content(self, content: GridContent, shown: int | None = None) -> None:
        """Show other values; start again where they are more or fewer."""
        before = self.content.values.shape
        super().set_content(content, shown)
        if content.values.shape != before:
            self.open(None)

    def _show_start(self) -> None:
        if self._moved:
            return
        self.fit()
        unit = theme.unit()
        if self.cell_px >= LEAST_CELL * unit:
            return
        factor = READABLE_CELL * unit / self.cell_px
        if self._start is None:
            self.zoom(factor)
        else:
            row, col = self._start
            self.zoom(factor, self.geometry_of_cells.cell_rect(row, col).center())
            self.ensure_visible((row,), (col,))

    def _scroll(self, down: int, right: int) -> None:
        """Show what is beyond an edge."""
        seen, (height, width) = self.geometry_of_cells.visible_cells(), self.content.values.shape
        middle = seen.center()
        row = (seen.top() - 1, middle.y(), seen.bottom() + 1)[down + 1]
        col = (seen.left() - 1, middle.x(), seen.right() + 1)[right + 1]
        self.ensure_visible((min(height - 1, max(0, row)),), (min(width - 1, max(0, col)),))

    # ---- events

    def event(self, event: QEvent) -> bool:
        """Keep the keys that scroll and zoom from being taken as shortcuts."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and self._moves(event):
            event.accept()
            return True
        return super().event(event)

    @staticmethod
    def _moves(event: QKeyEvent) -> bool:
        others = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
        return not event.modifiers() & others and (event.key() in ARROWS or event.key() in ZOOM_KEYS)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Scroll or zoom."""
        if not self._moves(event):
            super().keyPressEvent(event)
            return
        self._moved = True
        if event.key() in ARROWS:
            self._scroll(*ARROWS[Qt.Key(event.key())])
        else:
            self.zoom(ZOOM_KEYS[Qt.Key(event.key())])

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom or scroll."""
        self._moved = True
        super().wheelEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin to pan."""
        self._moved |= event.button() == Qt.MouseButton.MiddleButton
        super().mousePressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Start anew in another room."""
        super().resizeEvent(event)
        self._show_start()

    def changeEvent(self, event: QEvent) -> None:
        """Start anew in another scale."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._show_start()


class EnlargedView(QWidget):
    """Shows a grid of numbers, or one for each of red, green and blue, until it is closed by its button or Escape."""

    closed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._title = Heading("")
        close = FlatButton("close", self.tr("Close"))
        close.setToolTip(self.tr("Show all maps and kernels again (Esc)."))
        close.setAccessibleName(self.tr("Show all maps and kernels"))
        close.clicked.connect(self.closed)
        self.grids = tuple(ReadableGrid() for _ in range(CHANNELS))
        self._names = tuple(QLabel() for _ in range(CHANNELS))
        columns = [QWidget() for _ in range(CHANNELS)]
        for column, name, grid in zip(columns, self._names, self.grids, strict=True):
            layout = QVBoxLayout(column)
            layout.setContentsMargins(0, 0, 0, 0)
            layout.addWidget(name)
            layout.addWidget(grid, 1)
            grid.setToolTip(
                self.tr("The wheel or the arrow keys scroll what has no room; Ctrl with the wheel, + and − zoom.")
            )
        self._columns = tuple(columns)
        header = QHBoxLayout()
        header.addWidget(self._title, 1)
        header.addWidget(close)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addLayout(header)
        whole.addWidget(FoldingRow(CHANNELS * GRID_UNITS, *((column, 1) for column in columns)), 1)

    @property
    def title(self) -> str:
        """What is enlarged."""
        return self._title.text()

    def show_grids(self, title: str, contents: Sequence[tuple[str, GridContent]], shown: int | None) -> None:
        """Show up to three named grids, of whose cells the first ``shown`` are there (None: all)."""
        if title != self._title.text():
            self._title.setText(title)
        for k, (column, label, grid) in enumerate(zip(self._columns, self._names, self.grids, strict=True)):
            column.setVisible(k < len(contents))
            if k < len(contents):
                name, content = contents[k]
                if name != label.text():
                    label.setText(name)
                label.setVisible(bool(name))
                grid.setAccessibleName(f"{title}, {name}" if name else title)
                grid.set_content(content, shown)

    def open(self, around: Cell | None = None) -> None:
        """Take the keyboard and show numbers that can be read: all, or those around a cell where all have no room."""
        for grid in self.grids:
            grid.open(around)
        self.grids[0].setFocus(Qt.FocusReason.OtherFocusReason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Close with Escape."""
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)
