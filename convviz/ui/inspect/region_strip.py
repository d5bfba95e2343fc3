"""What a unit sees of every layer before it, as small drawings side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from convviz.ui import theme
from convviz.ui.widgets.numerals import draw_centered

SIDE, GAP, LINE = 7.0, 1.5, 2.0
"""The longer side of a drawing, the room between two, the height of a line of text; in units."""


@dataclass(frozen=True)
class SeenPart:
    """What is seen of one layer.

    Attributes:
        name: what the layer is called.
        kind: what it is; said where there is room beside the name.
        size: rows and columns of its maps.
        rows: those that are seen; they may reach beyond the maps, into padding.
        cols: likewise.
    """

    name: str
    kind: str
    size: tuple[int, int]
    rows: range
    cols: range


class RegionStrip(QWidget):
    """Draws each layer's maps as a frame with the part that is seen in it. It is as wide as its drawings."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._parts: tuple[SeenPart, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("What the unit sees of the layers before it"))

    def show_parts(self, parts: Sequence[SeenPart]) -> None:
        """Show what is seen of some layers."""
        self._parts = tuple(parts)
        self.setAccessibleDescription(
            "; ".join(f"{part.name} {part.kind}: {_span(part.rows)} × {_span(part.cols)}" for part in self._parts)
        )
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for all drawings."""
        unit = theme.unit()
        return QSize(round(len(self._parts) * (SIDE + GAP) * unit), round((SIDE + 2 * LINE + 0.5) * unit))

    def minimumSizeHint(self) -> QSize:
        """Return the same: what has no room is scrolled to."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint a frame, the part seen, name and extent for each layer."""
        painter, unit, colors = QPainter(self), theme.unit(), theme.colors(self.palette())
        font = theme.font(0.85)
        painter.setFont(font)
        fill = QColor(colors.receptive_field)
        fill.setAlpha(70)
        for k, part in enumerate(self._parts):
            room = QRectF(k * (SIDE + GAP) * unit + 1, 1, SIDE * unit - 2, SIDE * unit - 2)
            scale = min(room.width() / part.size[1], room.height() / part.size[0])
            frame = QRectF(0, 0, part.size[1] * scale, part.size[0] * scale)
            frame.moveCenter(room.center())
            painter.setPen(QPen(colors.muted, 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(frame)
            seen = QRectF(
                frame.left() + part.cols.start * scale,
                frame.top() + part.rows.start * scale,
                max(2.0, len(part.cols) * scale),
                max(2.0, len(part.rows) * scale),
            ).intersected(frame.adjusted(-2, -2, 2, 2))
            painter.setPen(QPen(colors.receptive_field, max(1.5, 0.2 * unit)))
            painter.setBrush(fill)
            painter.drawRect(seen)
            name, most = f"{part.name} {part.kind}", (SIDE + GAP - 0.5) * unit
            if theme.text_width(font, name) > most:
                name = QFontMetricsF(font).elidedText(part.name, Qt.TextElideMode.ElideLeft, most)
            for line, text, color in (
                (0, name, self.palette().color(QPalette.ColorRole.WindowText)),
                (1, f"{len(part.rows)}×{len(part.cols)}", colors.muted),
            ):
                painter.setPen(color)
                place = QRectF(room.left(), room.bottom() + line * LINE * unit, room.width(), LINE * unit).center()
                draw_centered(painter, place, text, font)

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange}:
            self.updateGeometry()
            self.update()


def _span(cells: range) -> str:
    return f"{cells.start}–{cells.stop - 1}" if cells else "–"
