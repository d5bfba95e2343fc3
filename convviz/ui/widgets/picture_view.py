"""A picture enlarged, with what is marked on it, which can be pointed at and dragged over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from convviz.core import display
from convviz.ui import theme
from convviz.ui.widgets.color_map import color_map, image_of
from convviz.ui.widgets.mosaic import pixels_of

LEAST_SIDE, WANTED_SIDE = 12.0, 28.0
"""The longer side of the picture in units."""
MARGIN = 0.75
"""Room around the picture, in units, for marks that reach beyond it."""
OVERLAY_OPACITY = 0.72


class PictureView(QWidget):
    """Shows a picture, an outlined region of it, and values over it in their colours."""

    dragged = Signal(int, int)  # row and column under the pressed pointer
    hovered = Signal(object)  # (row, col), or None

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pixels = np.zeros((0, 0), np.uint32)
        self._region: tuple[range, range] | None = None
        self._overlay: NDArray[np.uint32] | None = None
        self._values: tuple[NDArray[np.floating], float] | None = None
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_picture(self, picture_CHW: NDArray[np.uint8]) -> None:
        """Show another picture (3 or 1, H, W)."""
        before = self._pixels.shape
        self._pixels = pixels_of(picture_CHW[None])[0]
        if self._pixels.shape != before:
            self.updateGeometry()
        self.update()

    def show_region(self, rows: range | None, cols: range | None) -> None:
        """Outline some rows and columns, which may reach beyond the picture; None: nothing."""
        region = None if rows is None or cols is None else (rows, cols)
        if region != self._region:
            self._region = region
            self.update()

    def show_values(self, values_HW: NDArray[np.floating] | None, level: float = 1.0) -> None:
        """Lay values over the whole picture, whatever their own size; ``level`` has the strongest colour."""
        self._values = None if values_HW is None else (values_HW, level)
        self._overlay = None
        self.update()

    # ---- geometry

    def sizeHint(self) -> QSize:
        """Return room for a picture that can be recognised from afar."""
        return self._size(WANTED_SIDE)

    def minimumSizeHint(self) -> QSize:
        """Return room for a small picture."""
        return self._size(LEAST_SIDE)

    def _size(self, side: float) -> QSize:
        height, width = self._pixels.shape if self._pixels.size else (1, 1)
        scale, margin, unit = side / max(height, width), 2 * MARGIN, theme.unit()
        return QSize(round((width * scale + margin) * unit), round((height * scale + margin) * unit))

    @property
    def picture_rect(self) -> QRectF:
        """The place of the picture."""
        height, width = self._pixels.shape
        margin = MARGIN * theme.unit()
        room = QRectF(self.rect()).adjusted(margin, margin, -margin, -margin)
        scale = max(0.0, min(room.width() / max(1, width), room.height() / max(1, height)))
        return QRectF(room.left(), room.top(), width * scale, height * scale)

    def cell_at(self, point: QPointF) -> tuple[int, int] | None:
        """Return row and column of the pixel at a point."""
        box = self.picture_rect
        if not self._pixels.size or not box.contains(point):
            return None
        height, width = self._pixels.shape
        row = int((point.y() - box.top()) / box.height() * height)
        col = int((point.x() - box.left()) / box.width() * width)
        return min(row, height - 1), min(col, width - 1)

    # ---- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the picture, the values over it and the outline."""
        if not self._pixels.size:
            return
        painter, colors, box = QPainter(self), theme.colors(self.palette()), self.picture_rect
        painter.setPen(QPen(colors.border, 1))
        painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
        ratio = self.devicePixelRatioF()
        is_reduced = box.height() * ratio < self._pixels.shape[0]
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, is_reduced)
        painter.drawImage(box, image_of(self._pixels))
        if self._values is not None:
            painter.setOpacity(OVERLAY_OPACITY)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(box, image_of(self._overlay_pixels(*self._values)))
            painter.setOpacity(1)
        if self._region is not None:
            self._paint_region(painter, box, *self._region)

    def _overlay_pixels(self, values: NDArray[np.floating], level: float) -> NDArray[np.uint32]:
        if self._overlay is None:
            self._overlay = color_map(theme.is_dark(self.palette())).pixels(display.to_index(values, level))
        return self._overlay

    def _paint_region(self, painter: QPainter, box: QRectF, rows: range, cols: range) -> None:
        if not rows or not cols:
            return
        unit, colors = theme.unit(), theme.colors(self.palette())
        height, width = box.height() / self._pixels.shape[0], box.width() / self._pixels.shape[1]
        region = QRectF(
            box.left() + cols.start * width, box.top() + rows.start * height, len(cols) * width, len(rows) * height
        ).intersected(QRectF(self.rect()).adjusted(1, 1, -1, -1))
        halo = QColor(colors.surface)
        halo.setAlpha(200)
        line = max(2.0, 0.3 * unit)
        for color, pen_width in ((halo, line + 2), (colors.receptive_field, line)):
            pen = QPen(color, pen_width)
            pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
            painter.setPen(pen)
            painter.drawRect(region)

    # ---- events

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin to drag."""
        self._drag(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag, or say what is pointed at."""
        self._drag(event)
        self.hovered.emit(self.cell_at(event.position()))

    def _drag(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position())
        if event.buttons() & Qt.MouseButton.LeftButton and cell is not None:
            self.dragged.emit(*cell)

    def leaveEvent(self, event: QEvent) -> None:
        """Say that nothing is pointed at."""
        self.hovered.emit(None)

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange}:
            self._overlay = None
            self.updateGeometry()
            self.update()
