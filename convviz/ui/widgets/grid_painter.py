"""Paints a number grid: its cells, hatches, lines, digits, rulers, colour bar, and the marks over them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QCoreApplication, QLineF, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QImage, QLinearGradient, QPainter, QPainterPath, QPalette, QPen

from convviz.core.numbers import format_number
from convviz.ui import theme
from convviz.ui.widgets.color_map import ColorMap, color_map, image_of
from convviz.ui.widgets.grid_content import GridContent, GridGeometry, Mark, Role
from convviz.ui.widgets.numerals import draw_table

DIGITS_FROM_PX = 28
LINES_FROM_PX = 6
SMOOTH_BELOW_PX = 1.0
CAPTIONS_FROM_PX = 34
LEAST_MARK_PX = 6
FIELD_ALPHA = 36
"""How strongly a receptive field is tinted, of 255: the digits under it stay readable."""

LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight


@dataclass(frozen=True, eq=False)
class GridPainter:
    """Paints one content at one geometry in one palette."""

    content: GridContent
    geometry: GridGeometry
    palette: QPalette
    index: NDArray[np.uint8]  # colour-table index of every cell

    @cached_property
    def _colors(self) -> theme.Colors:
        return theme.colors(self.palette)

    @cached_property
    def _map(self) -> ColorMap:
        return color_map(theme.is_dark(self.palette), self.content.grey)

    def paint_all(self, painter: QPainter, bounds: QRectF, shown: int | None) -> None:
        """Paint everything that does not move; ``shown`` cells in reading order count as computed (None: all)."""
        cells = self.geometry.visible_cells()
        painter.save()
        self.paint_cells(painter, cells, shown)
        painter.restore()
        self._paint_rulers(painter)
        self._paint_legend(painter, bounds)

    def paint_cells(self, painter: QPainter, cells: QRect, shown: int | None) -> None:
        """Paint some cells, counted from the first one of the array."""
        if cells.isEmpty():
            return
        view = self.geometry.viewport
        painter.setClipRect(self.geometry.array_rect(cells).intersected(view).adjusted(-1, -1, 1, 1))
        self._paint_image(painter, cells, shown)
        self._paint_hatches(painter, cells)
        if self.geometry.cell >= LINES_FROM_PX:
            self._paint_lines(painter, cells)
        if self.geometry.cell >= DIGITS_FROM_PX and self.content.picture is None:
            self._paint_digits(painter, cells, shown)

    def _paint_image(self, painter: QPainter, cells: QRect, shown: int | None) -> None:
        rows, cols = slice(cells.top(), cells.bottom() + 1), slice(cells.left(), cells.right() + 1)
        if self.content.picture is not None:
            red, green, blue = np.moveaxis(self.content.picture[rows, cols].astype(np.uint32), 2, 0)
            pixels = 0xFF000000 | red << 16 | green << 8 | blue
        else:
            pixels = self._map.pixels(self.index[rows, cols])
        self._blank(pixels, cells, shown)
        image = image_of(pixels)
        smooth = self.geometry.cell < SMOOTH_BELOW_PX
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, smooth)
        painter.drawImage(self.geometry.array_rect(cells), image, QRectF(0, 0, cells.width(), cells.height()))

    def _blank(self, pixels: NDArray[np.uint32], cells: QRect, shown: int | None) -> None:
        """Blank the pixels of cells that are not computed yet."""
        if shown is None:
            return
        blank, (row, col) = self._colors.blank.rgb(), divmod(shown, self.content.values.shape[1])
        pixels[max(0, row + 1 - cells.top()) :] = blank
        if cells.top() <= row <= cells.bottom():
            pixels[row - cells.top(), max(0, col - cells.left()) :] = blank

    def _paint_hatches(self, painter: QPainter, cells: QRect) -> None:
        colors = self._colors
        padding = self._padding_path(cells)
        if not padding.isEmpty():
            painter.fillPath(padding, colors.padding)
            painter.fillPath(padding, hatch_brush(colors.hatch, theme.unit(), rising=True))
        unread = self._unread_path(cells)
        if not unread.isEmpty():
            veil = QColor(self.palette.color(QPalette.ColorRole.Window))
            veil.setAlpha(130)
            painter.fillPath(unread, veil)
            painter.fillPath(unread, hatch_brush(colors.muted, theme.unit(), rising=False))

    def _padding_path(self, cells: QRect) -> QPainterPath:
        top, left = self.content.origin
        height, width = self.content.real_size
        path = QPainterPath()
        if self.content.values.shape == (height, width):
            return path
        path.addRect(self.geometry.array_rect(cells))
        inside = QPainterPath()
        inside.addRect(self.geometry.array_rect(QRect(-left, -top, width, height)))
        return path.subtracted(inside)

    def _unread_path(self, cells: QRect) -> QPainterPath:
        path = QPainterPath()
        path.setFillRule(Qt.FillRule.WindingFill)
        top, left = self.content.origin
        height, width = self.content.real_size
        for row in np.flatnonzero(self.content.unread_rows):
            path.addRect(self.geometry.array_rect(QRect(-left, int(row) - top, width, 1) & cells))
        for col in np.flatnonzero(self.content.unread_cols):
            path.addRect(self.geometry.array_rect(QRect(int(col) - left, -top, 1, height) & cells))
        return path

    def _paint_lines(self, painter: QPainter, cells: QRect) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(QPen(self._colors.border, 1))
        box = self.geometry.array_rect(cells)
        for col in range(cells.left(), cells.right() + 2):
            x = self.geometry.corner.x() + col * self.geometry.cell
            painter.drawLine(QPointF(x, box.top()), QPointF(x, box.bottom()))
        for row in range(cells.top(), cells.bottom() + 2):
            y = self.geometry.corner.y() + row * self.geometry.cell
            painter.drawLine(QPointF(box.left(), y), QPointF(box.right(), y))

    @property
    def digit_size(self) -> tuple[int, int] | None:
        """The size of the digits in px and how many a number may have; None where there are none."""
        if self.geometry.cell < DIGITS_FROM_PX or self.content.picture is not None:
            return None
        font, digits = self._digit_font
        return font.pixelSize(), digits

    def _paint_digits(self, painter: QPainter, cells: QRect, shown: int | None) -> None:
        font, digits = self._digit_font
        (top, left), width = self.content.origin, self.content.values.shape[1]
        values = self.content.values[cells.top() : cells.bottom() + 1, cells.left() : cells.right() + 1].tolist()
        texts = [[format_number(value, digits) for value in row] for row in values]
        if shown is not None:
            first = cells.top() * width + cells.left()
            for row, line in enumerate(texts):
                computed = min(len(line), max(0, shown - first - row * width))
                line[computed:] = [""] * (len(line) - computed)
        inks = [
            [self._ink(row + top, col + left) for col in range(cells.left(), cells.right() + 1)]
            for row in range(cells.top(), cells.bottom() + 1)
        ]
        draw_table(painter, self.geometry.array_rect(cells).topLeft(), self.geometry.cell, texts, inks, font)

    def _ink(self, row: int, col: int) -> QColor:
        """Return the text colour that can be read on a cell."""
        if not self.content.is_real(row, col):
            return self._colors.muted
        if self.content.is_unread(row, col):
            return self.palette.color(QPalette.ColorRole.WindowText)
        index = self.index[row - self.content.origin[0], col - self.content.origin[1]]
        return self._map.ink(index)

    @cached_property
    def _digit_font(self) -> tuple[QFont, int]:
        """The font in which the longest number in view fits its cell, and the digits it may have."""
        cells = self.geometry.visible_cells()
        values = self.content.values[cells.top() : cells.bottom() + 1, cells.left() : cells.right() + 1]
        unique = np.unique(values).tolist()
        base = QFont(theme.font())
        for digits in (4, 3, 2):
            longest = max((format_number(value, digits) for value in unique), key=len, default="0")
            base.setPixelSize(max(1, int(0.42 * self.geometry.cell)))
            room = 0.84 * self.geometry.cell / max(1.0, theme.text_width(base, longest))
            size = int(base.pixelSize() * min(1.0, room))
            if size >= 11 or digits == 2:
                break
        base.setPixelSize(max(7, size))
        return base, digits

    def _paint_rulers(self, painter: QPainter) -> None:
        font = theme.font(0.75)
        painter.setFont(font)
        painter.setPen(self._colors.muted)
        area, cells, unit = self.geometry.viewport, self.geometry.visible_cells(), theme.unit()
        overhang, (top, left) = self.geometry.overhang, self.content.origin
        widest = max(theme.text_width(font, str(left)), theme.text_width(font, str(cells.right() + left))) + unit
        step = next(
            s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if s * self.geometry.cell >= widest or s == 1000
        )
        for col in _multiples(cells.left() + left, cells.right() + left, step):
            x = self.geometry.corner.x() + (col - left + 0.5) * self.geometry.cell
            if area.left() <= x <= area.right():
                box = QRectF(x - widest, area.top() - overhang - 2 * unit, 2 * widest, 2 * unit - 3)
                painter.drawText(box, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom, _index_text(col))
        for row in _multiples(cells.top() + top, cells.bottom() + top, step):
            y = self.geometry.corner.y() + (row - top + 0.5) * self.geometry.cell
            if area.top() <= y <= area.bottom():
                box = QRectF(0, y - unit, area.left() - overhang - 0.5 * unit, 2 * unit)
                text = _index_text(row * self.content.row_step)
                painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)

    def _paint_legend(self, painter: QPainter, bounds: QRectF) -> None:
        """Paint the colour bar, and what the hatches stand for."""
        unit, area, colors = theme.unit(), self.geometry.viewport, self._colors
        y = min(area.bottom(), self.geometry.all_cells.bottom()) + self.geometry.overhang + 1.25 * unit
        x = area.left()
        font = theme.font(0.78)
        painter.setFont(font)
        level = format_number(self.content.level, 3)
        text = self.palette.color(QPalette.ColorRole.WindowText)
        if self.content.picture is None:
            low = f"−{level}" if self.content.signed else "0"
            x = self._legend_text(painter, x, y, low, text)
            room = bounds.right() - x - theme.text_width(font, level) - 1.5 * unit
            bar = QRectF(x, y, max(2 * unit, min(9 * unit, room)), 1.25 * unit)
            gradient = QLinearGradient(bar.topLeft(), bar.topRight())
            lut = self._map.lut
            first = 1 if self.content.signed else 128
            for k in range(33):
                red, green, blue = lut[first + round((255 - first) * k / 32)]
                gradient.setColorAt(k / 32, QColor(int(red), int(green), int(blue)))
            painter.setPen(QPen(colors.border, 1))
            painter.setBrush(gradient)
            painter.drawRect(bar)
            x = self._legend_text(painter, bar.right() + 0.75 * unit, y, level, text) + unit
        for path, label, rising in (
            (
                self._padding_path(self.geometry.visible_cells()),
                QCoreApplication.translate("GridPainter", "padding"),
                True,
            ),
            (
                self._unread_path(self.geometry.visible_cells()),
                QCoreApplication.translate("GridPainter", "not read"),
                False,
            ),
        ):
            if path.isEmpty() or x + 2 * unit + theme.text_width(font, label) > bounds.right():
                continue
            swatch = QRectF(x, y, 1.75 * unit, 1.25 * unit)
            painter.fillRect(swatch, colors.padding)
            painter.fillRect(swatch, hatch_brush(colors.hatch if rising else colors.muted, theme.unit() / 2, rising))
            x = self._legend_text(painter, swatch.right() + 0.5 * unit, y, label, text) + unit

    def _legend_text(self, painter: QPainter, x: float, y: float, text: str, color: QColor) -> float:
        painter.setPen(color)
        width = theme.text_width(painter.font(), text)
        box = QRectF(x, y - 0.5 * theme.unit(), width + 2, 2.25 * theme.unit())
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
        return x + width + 0.75 * theme.unit()

    def mark_rect(self, mark: Mark) -> QRectF:
        """Return the box of a mark; on tiny cells it is kept large enough to be seen, outside the cells short."""
        reach = max(0.0, self.geometry.overhang - 1.5 * _line_width(mark.role))
        bounds = self.geometry.all_cells.adjusted(-reach, -reach, reach, reach)
        box = _clamped(self.geometry.box(mark.rows, mark.cols), bounds)
        grow_x, grow_y = max(0.0, LEAST_MARK_PX - box.width()) / 2, max(0.0, LEAST_MARK_PX - box.height()) / 2
        return box.adjusted(-grow_x, -grow_y, grow_x, grow_y)

    def _mark_color(self, role: Role) -> QColor:
        colors = self._colors
        return {
            Role.WINDOW: colors.window,
            Role.PINNED: colors.window,
            Role.RECEPTIVE_FIELD: colors.receptive_field,
            Role.READER: colors.reader,
        }[role]

    def paint_mark(self, painter: QPainter, mark: Mark) -> None:
        """Outline some cells in the colour of their meaning."""
        color, line = self._mark_color(mark.role), _line_width(mark.role)
        box = self.mark_rect(mark)
        halo = QColor(self._colors.surface)
        halo.setAlpha(200)
        if mark.role is Role.RECEPTIVE_FIELD:
            box.adjust(-line, -line, line, line)  # outside the window's frame
            if mark.tinted and not mark.has_gaps:
                tint = QColor(color)
                tint.setAlpha(FIELD_ALPHA)
                painter.fillRect(box, tint)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if mark.role is Role.PINNED:
            _outline(painter, box, line + 2, halo)
            painter.setPen(QPen(color, line, Qt.PenStyle.DotLine))
            painter.drawRect(box)
        else:
            around = 1.5 * line
            cells = self.geometry.all_cells.adjusted(-around, -around, around, around)
            outside = not cells.contains(box)
            if outside:
                _outline(painter, box, line, *dash_brushes(color, 2 * line))
                painter.save()
                painter.setClipRect(cells, Qt.ClipOperation.IntersectClip)
            _outline(painter, box, line + 2, halo)
            _outline(painter, box, line, color)
            if outside:
                painter.restore()
        if mark.has_gaps and self.geometry.cell >= LINES_FROM_PX:
            painter.setPen(QPen(color, max(1.5, 0.2 * theme.unit())))
            for row in mark.rows:
                for col in mark.cols:
                    painter.drawRect(self.geometry.cell_rect(row, col).adjusted(2, 2, -2, -2))
        if mark.captions and self.geometry.cell >= CAPTIONS_FROM_PX:
            self._paint_captions(painter, mark)

    def _paint_captions(self, painter: QPainter, mark: Mark) -> None:
        """Write the kernel's weights in the corners of the window's cells, or none where the longest does not fit."""
        font = QFont(theme.font())
        least = font.pixelSize() / 2
        longest = max((text for row in mark.captions for text in row), key=len)
        font.setPixelSize(max(1, int(0.23 * self.geometry.cell)))
        room = 0.9 * self.geometry.cell / max(1.0, theme.text_width(font, longest))
        size = int(font.pixelSize() * min(1.0, room))
        if size < least:
            return  # too small to be read beside the interface's text
        font.setPixelSize(size)
        painter.setFont(font)
        for a, row in enumerate(mark.rows):
            for b, col in enumerate(mark.cols):
                painter.setPen(self._ink(row, col))
                box = self.geometry.cell_rect(row, col).adjusted(0, 0, -4, -3)
                painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom, mark.captions[a][b])


@lru_cache(maxsize=16)
def _hatch_tile(rgba: int, side: int, rising: bool) -> QImage:
    tile = QImage(side, side, QImage.Format.Format_ARGB32_Premultiplied)
    tile.fill(Qt.GlobalColor.transparent)
    painter = QPainter(tile)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor.fromRgba(rgba), 1))
    low, high = (side, 0) if rising else (0, side)
    painter.drawLines([QLineF(x, low, x + side, high) for x in (-side, 0, side)])
    painter.end()
    return tile


def hatch_brush(color: QColor, spacing: float, rising: bool) -> QBrush:
    """Return a brush of diagonal lines ``spacing`` px apart, many times faster than drawing the lines."""
    return QBrush(_hatch_tile(color.rgba(), max(2, round(spacing)), rising))


@lru_cache(maxsize=16)
def _dash_tile(rgba: int, length: int, across: bool) -> QImage:
    period = 7 * length // 4
    tile = QImage(*((period, 1) if across else (1, period)), QImage.Format.Format_ARGB32_Premultiplied)
    tile.fill(Qt.GlobalColor.transparent)
    painter = QPainter(tile)
    painter.fillRect(QRect(0, 0, length, length), QColor.fromRgba(rgba))
    painter.end()
    return tile


def dash_brushes(color: QColor, length: float) -> tuple[QBrush, QBrush]:
    """Return brushes of dashes ``length`` px long for lines that go across and down, faster than a dashed pen."""
    side = max(1, round(length))
    return QBrush(_dash_tile(color.rgba(), side, True)), QBrush(_dash_tile(color.rgba(), side, False))


def _outline(
    painter: QPainter, box: QRectF, width: float, across: QColor | QBrush, down: QColor | QBrush | None = None
) -> None:
    """Draw a frame of ``width`` px along a box as four filled bars, which is several times faster than a pen."""
    half, down = width / 2, across if down is None else down
    outer, inner = box.adjusted(-half, -half, half, half), box.adjusted(half, half, -half, -half)
    painter.fillRect(QRectF(outer.left(), outer.top(), outer.width(), width), across)
    painter.fillRect(QRectF(outer.left(), inner.bottom(), outer.width(), width), across)
    painter.fillRect(QRectF(outer.left(), inner.top(), width, inner.height()), down)
    painter.fillRect(QRectF(inner.right(), inner.top(), width, inner.height()), down)


def _clamped(box: QRectF, bounds: QRectF) -> QRectF:
    """Return the box with every edge moved to the nearest place within bounds."""
    if bounds.contains(box):
        return box
    left, top, right, bottom = bounds.left(), bounds.top(), bounds.right(), bounds.bottom()
    return QRectF(
        QPointF(min(max(box.left(), left), right), min(max(box.top(), top), bottom)),
        QPointF(min(max(box.right(), left), right), min(max(box.bottom(), top), bottom)),
    )


def _line_width(role: Role) -> float:
    """Return how thick the frame of a mark is, px."""
    return max(1.5, 0.25 * theme.unit()) if role is Role.READER else max(2.0, 0.375 * theme.unit())


def _multiples(first: int, last: int, step: int) -> range:
    """Return the multiples of ``step`` from ``first`` to ``last``."""
    return range(-(-first // step) * step, last + 1, step)


def _index_text(index: int) -> str:
    return str(index).replace("-", "−")


def connector_pen(palette: QPalette, alpha: int = 255) -> QPen:
    """Return the pen of the lines that tie a window to the kernel and the kernel to its output cell."""
    color = QColor(theme.colors(palette).window)
    color.setAlpha(alpha)
    pen = QPen(color, max(1.5, 0.2 * theme.unit()))
    pen.setDashPattern([4, 3])
    return pen


def line_box(line: QLineF) -> QRect:
    """Return the box to paint anew when a line comes or goes."""
    return QRectF(line.p1(), line.p2()).normalized().adjusted(-3, -3, 3, 3).toAlignedRect()
