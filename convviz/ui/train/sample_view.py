"""A test picture with its truth and the network's answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from convviz.ui import theme
from convviz.ui.widgets.bars import percent
from convviz.ui.widgets.color_map import image_of
from convviz.ui.widgets.mosaic import pixels_of
from convviz.ui.widgets.numerals import draw_line
from convviz.ui.widgets.tooltips import plain

LEAST_PICTURE, WANTED_PICTURE = 10.0, 20.0
"""The side of the picture, in units as all lengths here."""
LINE, LABEL_GAP = 2.25, 1.0


class SampleView(QWidget):
    """Shows a picture enlarged, and below it the truth, the prediction and whether it is right."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pixels = np.zeros((1, 1), np.uint32)
        self._facts: tuple[tuple[str, str], ...] = ()
        self._is_right = True
        self._verdict = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setAccessibleName(self.tr("Test picture"))

    def show_sample(
        self, picture_CHW: NDArray[np.uint8], truth: str, prediction: str, probability: float, is_right: bool
    ) -> None:
        """Show another picture or another answer to it."""
        self._pixels = pixels_of(picture_CHW[None])[0]
        self._facts = ((self.tr("truth"), truth), (self.tr("predicted"), prediction))
        self._is_right = is_right
        self._verdict = (self.tr("✓ right, {percent}") if is_right else self.tr("✗ wrong, {percent}")).format(
            percent=percent(probability)
        )
        words = ", ".join([*(f"{label} {name}" for label, name in self._facts), self._verdict])
        if words != self.accessibleDescription():
            self.setAccessibleDescription(words)
            self.setToolTip(plain(words))
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for a picture that can be recognised from afar, and its three lines."""
        return self._size(WANTED_PICTURE)

    def minimumSizeHint(self) -> QSize:
        """Return room for a small picture and its three lines."""
        return QSize(self._size(WANTED_PICTURE).width(), self._size(LEAST_PICTURE).height())

    @staticmethod
    def _size(side: float) -> QSize:
        unit = theme.unit()
        return QSize(round(side * unit), round((side + 3 * LINE + 0.75) * unit))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the picture and the lines."""
        if not self._facts:
            return
        painter, unit, line = QPainter(self), theme.unit(), LINE * theme.unit()
        height, width = self._pixels.shape
        room = min(self.width() - 2, self.height() - round(3 * line + 0.75 * unit) - 2) / max(height, width)
        box = QRectF(1, 1, round(width * room), round(height * room))
        painter.setPen(QPen(theme.colors(self.palette()).border, 1))
        painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
        painter.drawImage(box, image_of(self._pixels))
        top = box.bottom() + 0.75 * unit
        label_font, font = theme.font(), theme.font(bold=True)
        indent = max(theme.text_width(label_font, label) for label, _ in self._facts) + LABEL_GAP * unit
        text = self.palette().color(QPalette.ColorRole.WindowText)
        colors = theme.colors(self.palette())
        for k, (label, name) in enumerate(self._facts):
            row = QRectF(0, top + k * line, self.width(), line)
            painter.setFont(label_font)
            painter.setPen(colors.muted)
            draw_line(painter, row, label, label_font)
            painter.setFont(font)
            painter.setPen(text)
            shown = QFontMetricsF(font).elidedText(name, Qt.TextElideMode.ElideMiddle, self.width() - indent)
            draw_line(painter, row.translated(QPointF(indent, 0)), shown, font)
        painter.setPen(text if self._is_right else colors.error)
        draw_line(painter, QRectF(0, top + 2 * line, self.width(), line), self._verdict, font)

    def changeEvent(self, event: QEvent) -> None:
        """Ask for another size with another font."""
        if event.type() == QEvent.Type.FontChange:
            self.updateGeometry()
        super().changeEvent(event)
