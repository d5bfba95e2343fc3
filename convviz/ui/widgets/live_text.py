"""A line of text that changes many times a second."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from convviz.ui import theme
from convviz.ui.widgets.numerals import draw_line


class LiveText(QWidget):
    """Shows one line. Unlike a label, it does not have the window laid out anew with every text."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)

    @property
    def text(self) -> str:
        """The line shown."""
        return self._text

    def set_text(self, text: str, widest: str) -> None:
        """Show another line, in the room that the ``widest`` one needs."""
        width = round(theme.text_width(theme.font(), widest) + theme.unit())
        if width != self.width():
            self.setFixedWidth(width)
        if text != self._text:
            self._text = text
            self.setAccessibleName(text)
            self.update()

    def sizeHint(self) -> QSize:
        """Return the height of a line."""
        return QSize(self.width(), round(2.5 * theme.unit()))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the line."""
        painter, font = QPainter(self), theme.font()
        painter.setFont(font)
        painter.setPen(self.palette().color(self.foregroundRole()))
        draw_line(painter, QRectF(self.rect()), self._text, font)
