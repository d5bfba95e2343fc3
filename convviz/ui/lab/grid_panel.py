"""A grid with a title and a line about it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRect, Qt
from PySide6.QtWidgets import QLabel, QWidget

from convviz.ui import theme
from convviz.ui.widgets.number_grid import NumberGrid


class GridPanel(QWidget):
    """A titled grid: what it is, one line about it, the numbers."""

    def __init__(self, name: str, editable: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = QLabel(self)
        self._subtitle = QLabel(self)
        self.grid = NumberGrid(editable, self)
        self.grid.setAccessibleName(name)
        for label in (self._title, self._subtitle):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._restyle()

    def set_texts(self, title: str, subtitle: str) -> None:
        """Show another title and another line (or two) under it."""
        self._title.setText(title)
        self._subtitle.setText(subtitle)

    @property
    def header_height(self) -> int:
        """The height that the texts need, px."""
        return self._title.sizeHint().height() + self._subtitle.sizeHint().height() + round(theme.unit() / 2)

    @property
    def text_width(self) -> int:
        """The width that the texts need, px."""
        texts = max(self._title.sizeHint().width(), self._subtitle.sizeHint().width())
        return round(self.grid.frame.left() + max(texts, self.grid.legend_width))

    def arrange(self, box: QRect, header_height: int) -> None:
        """Take a place on the canvas, with the grid below ``header_height`` px of text."""
        self.setGeometry(box)
        left, first = round(self.grid.frame.left()), self._title.sizeHint().height()
        self._title.setGeometry(left, 0, box.width() - left, first)
        self._subtitle.setGeometry(left, first, box.width() - left, header_height - first)
        self.grid.setGeometry(0, header_height, box.width(), box.height() - header_height)

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange} and hasattr(self, "grid"):
            self._restyle()
        super().changeEvent(event)

    def _restyle(self) -> None:
        self._title.setFont(theme.font(1.25, bold=True))
        self._subtitle.setFont(theme.font(0.9))
        theme.mute(self._subtitle)
