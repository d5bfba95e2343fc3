"""A test picture with its truth and the network's answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QRectF, QSize, QSizeF
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from convviz.ui import theme
from convviz.ui.widgets.bars import percent, shortened
from convviz.ui.widgets.color_map import image_of
from convviz.ui.widgets.kept_picture import KeptPicture
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
        self._picture = KeptPicture()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setAccessibleName(self.tr("Test picture"))

    def show_sample(
        self, picture_CHW: NDArray[np.uint8], truth: str, prediction: str, probability: float, is_right: bool
    ) -> None:
        """Show another picture or another answer to it."""
        before = self._pixels, self._facts
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
            self.update(self._line(len(self._facts)).toAlignedRect())
        if self._facts != before[1] or not np.array_equal(self._pixels, before[0]):
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
        """Paint the picture and the lines; all but the last of them is kept, which changes often."""
        if not self._facts:
            return
        painter, font = QPainter(self), theme.font(bold=True)
        key = self._pixels.tobytes(), self._facts, self.palette().cacheKey(), theme.unit()
        picture = self._picture.get(key, QSizeF(self.size()), self.devicePixelRatioF(), self._paint_picture)
        painter.drawPixmap(0, 0, picture)
        painter.setFont(font)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        painter.setPen(text if self._is_right else theme.colors(self.palette()).error)
        draw_line(painter, self._line(len(self._facts)), self._verdict, font)

    @property
    def _box(self) -> QRectF:
        """Where the picture lies."""
        height, width = self._pixels.shape
        lines = 3 * LINE * theme.unit() + 0.75 * theme.unit()
        room = min(self.width() - 2, self.height() - round(lines) - 2) / max(height, width)
        return QRectF(1, 1, round(width * room), round(height * room))

    def _line(self, index: int) -> QRectF:
        """Return the place of a line below the picture."""
        unit = theme.unit()
        return QRectF(0, self._box.bottom() + (0.75 + index * LINE) * unit, self.width(), LINE * unit)

    def _paint_picture(self, painter: QPainter) -> None:
        """Paint the picture, with truth and prediction below it."""
        unit, box, font, bold = theme.unit(), self._box, theme.font(), theme.font(bold=True)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(QPen(theme.colors(self.palette()).border, 1))
        painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
        painter.drawImage(box, image_of(self._pixels))
        beside = max(theme.text_width(font, label) for label, _ in self._facts) + LABEL_GAP * unit
        for k, (label, name) in enumerate(self._facts):
            line = self._line(k)
            painter.setFont(font)
            painter.setPen(theme.colors(self.palette()).muted)
            draw_line(painter, line, label, font)
            painter.setFont(bold)
            painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
            draw_line(painter, line.adjusted(beside, 0, 0, 0), shortened(name, bold, line.width() - beside), bold)

    def changeEvent(self, event: QEvent) -> None:
        """Ask for another size with another font."""
        if event.type() == QEvent.Type.FontChange:
            self.updateGeometry()
        super().changeEvent(event)
