"""The parts that the strip is painted from: lines of text, small grids, signs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QPainter, QPalette, QPen

from convviz.core import display
from convviz.core.numbers import format_number
from convviz.ui import theme
from convviz.ui.widgets.color_map import color_map, image_of
from convviz.ui.widgets.kept_picture import KeptPicture
from convviz.ui.widgets.numerals import draw_centered, draw_line, draw_table

TEXT_UNITS, RESULT_UNITS = 2.5, 4.0
"""Heights of a line of text and of the line with the result."""
SIGN_UNITS = 3.0
"""Least width of a sign between two grids."""
LEAST_LINED_PX = 3.0
"""From this size on cells get lines between them."""

Pieces: TypeAlias = list[tuple[str, str]]
"""One line of (text, style); the styles are "plain", "strong" and "result"."""


@dataclass(frozen=True, eq=False)
class Tile:
    """A small grid of numbers (H, W), taps in the padding among them; the last ``blanks`` cells are none."""

    values: NDArray[np.floating]
    level: float
    grey: bool = False
    is_padding: NDArray[np.bool_] | None = None
    blanks: int = 0

    @cached_property
    def index(self) -> NDArray[np.uint8]:
        """The numbers' colours, (H, W)."""
        return display.to_index(np.asarray(self.values, dtype=np.float64), self.level)

    @cached_property
    def hatched(self) -> list[list[int]]:
        """The taps in the padding."""
        return [] if self.is_padding is None else np.argwhere(self.is_padding).tolist()


class StripPainter:
    """Paints parts of the strip in the sizes and colours of one look; ``zoom`` enlarges text and spacing."""

    def __init__(self, painter: QPainter, palette: QPalette, zoom: float) -> None:
        self.painter = painter
        self.zoom, self.unit = zoom, zoom * theme.unit()
        self.is_dark, self.colors = theme.is_dark(palette), theme.colors(palette)
        self.ink = palette.color(QPalette.ColorRole.WindowText)
        self.accent = palette.color(QPalette.ColorRole.Highlight)
        self._palette = palette

    def font(self, size: float = 1.0, bold: bool = False) -> QFont:
        """Return the application's font, ``size`` and the zoom times as large; it is kept, and not to be changed."""
        return theme.font(size * self.zoom, bold)

    def kept(self, picture: KeptPicture, key: Hashable, box: QRectF, paint: Callable[[StripPainter], object]) -> None:
        """Draw what ``paint`` paints around (0, 0), from a picture for as long as key, look and size stay the same."""
        pixmap = picture.get(
            (key, self.is_dark, self.zoom, theme.unit()),
            box.size(),
            self.painter.device().devicePixelRatioF(),
            lambda painter: paint(StripPainter(painter, self._palette, self.zoom)),
        )
        self.painter.drawPixmap(box.topLeft(), pixmap)

    # ---- text

    def write(self, box: QRectF, text: str, font: QFont, color: QColor, right: bool = False) -> float:
        """Write one line, in a smaller font where the box is too narrow for it, and return its width."""
        if not text or box.width() <= 0:
            return 0.0
        width = theme.text_width(font, text)
        if width > box.width():
            font = QFont(font)
            font.setPixelSize(max(7, int(font.pixelSize() * box.width() / width)))
            width = theme.text_width(font, text)
        self.painter.setFont(font)
        self.painter.setPen(color)
        draw_line(self.painter, box, text, font, right)
        return width

    @property
    def _styles(self) -> dict[str, tuple[QFont, QColor]]:
        return {
            "plain": (self.font(1.1), self.colors.muted),
            "strong": (self.font(1.2, bold=True), self.ink),
            "result": (self.font(2.0, bold=True), self.colors.window_text),
        }

    def pieces_width(self, line: Pieces) -> float:
        """Return the width of a line of pieces at its natural size."""
        styles = self._styles
        return sum(theme.text_width(styles[style][0], text) for text, style in line)

    def write_pieces(self, box: QRectF, line: Pieces) -> float:
        """Write one line of differently styled pieces, smaller where the box is too narrow, and return its width."""
        styles = self._styles
        shrink = min(1.0, box.width() / max(1.0, self.pieces_width(line)))
        x = box.left()
        for text, style in line:
            font, color = styles[style]
            if shrink < 1:
                font = QFont(font)
                font.setPixelSize(max(7, int(font.pixelSize() * shrink)))
            width = theme.text_width(font, text)
            self.write(QRectF(x, box.top(), width + 4, box.height()), text, font, color)
            x += width
        return x - box.left()

    def sign_width(self, sign: str, least: float = SIGN_UNITS) -> float:
        """Return the room in px that a sign takes between two grids, ``least`` units or more."""
        return max(least * self.unit, theme.text_width(self._sign_font(sign, least), sign) + least / 2 * self.unit)

    def sign(self, x: float, top: float, height: float, sign: str, least: float = SIGN_UNITS) -> float:
        """Write a sign between two grids and return where it ends."""
        font, width = self._sign_font(sign, least), self.sign_width(sign, least)
        self.painter.setFont(font)
        self.painter.setPen(self.colors.muted)
        draw_centered(self.painter, QPointF(x + width / 2, top + height / 2), sign, font)
        return x + width

    def _sign_font(self, sign: str, least: float) -> QFont:
        return self.font(1.4 if len(sign) == 1 and least >= SIGN_UNITS else 1.0)

    # ---- grids

    def tile(self, corner: QPointF, cell: float, tile: Tile) -> float:
        """Paint a small grid and return where it ends."""
        self.cells(corner, cell, tile)
        self.lines(corner, cell, tile)
        self.digits(corner, cell, tile)
        return float(corner.x() + tile.values.shape[1] * cell)

    def cells(self, corner: QPointF, cell: float, tile: Tile) -> None:
        """Paint the colours of a small grid, taps in the padding hatched."""
        painter, (rows, cols) = self.painter, tile.values.shape
        pixels = color_map(self.is_dark, tile.grey).pixels(tile.index)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.drawImage(QRectF(corner.x(), corner.y(), cols * cell, rows * cell), image_of(pixels))
        hatch = QBrush(self.colors.hatch, Qt.BrushStyle.BDiagPattern)
        for row, col in tile.hatched:
            place = QRectF(corner.x() + col * cell, corner.y() + row * cell, cell, cell)
            painter.fillRect(place, self.colors.padding)
            painter.fillRect(place, hatch)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)

    def lines(self, corner: QPointF, cell: float, tile: Tile) -> None:
        """Paint the lines around the cells of a small grid, or only around the grid where cells are tiny."""
        painter, (rows, cols) = self.painter, tile.values.shape
        box = QRectF(corner.x(), corner.y(), cols * cell, rows * cell)
        across, down = (cols, rows) if cell >= LEAST_LINED_PX else (1, 1)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        xs = [box.left() + k * box.width() / across for k in range(across + 1)]
        ys = [box.top() + k * box.height() / down for k in range(down + 1)]
        painter.setPen(QPen(self.colors.border, 1))
        painter.drawLines(
            [QLineF(x, box.top(), x, box.bottom()) for x in xs] + [QLineF(box.left(), y, box.right(), y) for y in ys]
        )
        if tile.blanks:
            empty = QRectF(box.right() - tile.blanks * cell, box.bottom() - cell, tile.blanks * cell, cell)
            painter.fillRect(empty.adjusted(1, 1, 1, 1), self.colors.surface)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)

    def digits(self, corner: QPointF, cell: float, tile: Tile) -> None:
        """Write the numbers of a small grid in one size, or none where the longest would be too small to read."""
        if cell < 2 * self.unit:
            return
        font = QFont(self.font())
        font.setPixelSize(max(6, int(0.42 * cell)))
        width = theme.line_metrics(font).width
        for digits in (4, 3):
            texts = [[format_number(value, digits) for value in row] for row in tile.values.tolist()]
            widest = max(width(text) for row in texts for text in row)
            fitting = font.pixelSize() * min(1.0, 0.92 * cell / max(1.0, widest))
            if fitting >= self.unit:
                break
        if fitting < 0.75 * self.unit:
            return
        ink = color_map(self.is_dark, tile.grey).ink
        inks = [[ink(k) for k in row] for row in tile.index.tolist()]
        for row, col in tile.hatched:
            inks[row][col] = self.colors.muted
        if tile.blanks:
            texts[-1][-tile.blanks :] = [""] * tile.blanks
        font.setPixelSize(max(6, int(fitting)))
        draw_table(self.painter, corner, cell, texts, inks, font)

    def mark(self, corner: QPointF, cell: float, taps: Sequence[tuple[int, int]]) -> None:
        """Frame cells of a small grid, the first one solid, others dashed."""
        self.painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for k, (row, col) in enumerate(taps):
            style = Qt.PenStyle.DashLine if k else Qt.PenStyle.SolidLine
            self.painter.setPen(QPen(self.colors.window, 1.5 if k else 3, style))
            place = QRectF(corner.x() + col * cell, corner.y() + row * cell, cell, cell)
            self.painter.drawRect(place.adjusted(1, 1, -1, -1))
        self.painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
