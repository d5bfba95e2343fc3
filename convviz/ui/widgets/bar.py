"""A bar along an edge of the window."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QWidget

from convviz.ui import theme


class Bar(QWidget):
    """Paints a surface with a line towards the work. Subclasses say how they fold when narrow and follow the font."""

    def __init__(self, edge: Qt.Edge, parent: QWidget | None = None) -> None:
        """Make a bar at the top or the bottom ``edge`` of the window."""
        super().__init__(parent)
        self._edge = edge

    def fold(self) -> None:
        """Leave out or move what has no room in today's width."""

    def rescale(self) -> None:
        """Follow the font's size, then fold. Called once by the subclass when its layout is complete."""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the surface and the line."""
        painter = QPainter(self)
        colors = theme.colors(self.palette())
        painter.fillRect(self.rect(), colors.surface)
        painter.setPen(QPen(colors.border, 1))
        y = self.height() - 1 if self._edge is Qt.Edge.TopEdge else 0
        painter.drawLine(0, y, self.width(), y)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fold to the new width."""
        self.fold()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        if event.type() == QEvent.Type.FontChange and self.layout() is not None:
            self.rescale()
        super().changeEvent(event)
