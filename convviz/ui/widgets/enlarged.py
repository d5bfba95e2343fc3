"""One map or kernel in place of the panel, with its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from convviz.ui.widgets.buttons import FlatButton
from convviz.ui.widgets.folding import FoldingRow
from convviz.ui.widgets.grid_content import GridContent
from convviz.ui.widgets.number_grid import NumberGrid
from convviz.ui.widgets.tool_row import Heading

CHANNELS = 3
GRID_UNITS = 18.0


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
        self.grids = tuple(NumberGrid(editable=False) for _ in range(CHANNELS))
        self._names = tuple(QLabel() for _ in range(CHANNELS))
        columns = [QWidget() for _ in range(CHANNELS)]
        for column, name, grid in zip(columns, self._names, self.grids, strict=True):
            layout = QVBoxLayout(column)
            layout.setContentsMargins(0, 0, 0, 0)
            layout.addWidget(name)
            layout.addWidget(grid, 1)
            grid.setToolTip(self.tr("Ctrl with the wheel zooms; the wheel scrolls what is larger than its room."))
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

    def open(self) -> None:
        """Take the keyboard and show all cells."""
        for grid in self.grids:
            grid.fit()
        self.grids[0].setFocus(Qt.FocusReason.OtherFocusReason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Close with Escape."""
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)
