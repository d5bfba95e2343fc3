"""A line of text that gives way: what has no room becomes an ellipsis."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from convviz.ui import theme


class ElidedLabel(QWidget):
    """Shows one line of plain text in the room there is, however long it is; it never asks for more."""

    def __init__(self, size: float = 1.0, bold: bool = False, muted: bool = False) -> None:
        """Make an empty line with a font ``size`` times as large as the application's."""
        super().__init__()
        self._size, self._bold, self._muted = size, bold, muted
        self._text = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @property
    def text(self) -> str:
        """The line shown."""
        return self._text

    def set_text(self, text: str) -> None:
        """Show another line."""
        self._text = text
        self.setAccessibleName(text)
        self.update()

    def sizeHint(self) -> QSize:
        """Return the height of a line."""
        return QSize(round(10 * theme.unit()), round(QFontMetricsF(theme.font(self._size, self._bold)).height()))

    def minimumSizeHint(self) -> QSize:
        """Return the same height."""
        return QSize(round(4 * theme.unit()), self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the line."""
        painter, font = QPainter(self), theme.font(self._size, self._bold)
        painter.setFont(font)
        ink = theme.colors(self.palette()).muted if self._muted else self.palette().color(self.foregroundRole())
        painter.setPen(ink)
        text = QFontMetricsF(font).elidedText(self._text, Qt.TextElideMode.ElideMiddle, self.width())
        painter.drawText(QRectF(self.rect()), Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
