"""Where the maps of a stack lie on its canvas: side by side, or in rows that use the window best. Lengths are px."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRect, QSize, QSizeF

from convviz.ui import theme
from convviz.ui.widgets.grid_painter import DIGITS_FROM_PX, LINES_FROM_PX

COMFORTABLE_SIDE, LEAST_SIDE = 34.0, 14.0
"""The side of the largest map where all do not fit: side by side, and in rows; in spacing units, as all these."""
SMALLEST_SIDE = 11.0
"""The side that every map has at least."""
COMFORTABLE_SHARE = 0.45
"""Side by side, the largest map takes at least as much of the height."""
DIGITS_SIDE = 48.0
"""A map that fits in as much with digits is shown with digits, if all have the room."""
FEW_CELLS_SIDE, FEW_CELLS_LIMIT = 30.0, 6.0
"""Side by side, a map of a few cells takes as much, unless a cell would be larger than the second number."""
FAIR_SHARE = 0.75
"""In rows, digits on small maps may make the largest map smaller by as much."""
CELL_LIMIT, ENLARGED_CELL_LIMIT = 7.0, 20.0
GAP, MARGIN = 2.0, 2.0


@dataclass(frozen=True)
class MapRoom:
    """The room a map asks for: its cells, the px around them, and the least px across for its texts."""

    rows: int
    cols: int
    around: QSizeF
    least_width: float

    def size(self, side: float, largest: int, most: QSizeF, digits: bool, spacious: bool) -> QSizeF:
        """Return the panel's size where a map of ``largest`` cells across takes ``side`` px.

        A map's side grows with the root of its cells, so that small maps have larger cells. With ``digits``, cells of
        small maps are large enough for them; where ``spacious``, cells fill the room that the texts take anyway.
        ``most`` is never exceeded.
        """
        unit, count = theme.unit(), max(self.rows, self.cols)
        cell = max(side / math.sqrt(largest * count), SMALLEST_SIDE * unit / count)
        if digits and count * DIGITS_FROM_PX <= DIGITS_SIDE * unit:
            cell = max(cell, DIGITS_FROM_PX)
        if spacious:
            cell = max(cell, min(FEW_CELLS_SIDE / count, FEW_CELLS_LIMIT) * unit)
            cell = max(cell, (self.least_width - self.around.width()) / count)
        return self._of_cell(min(cell, CELL_LIMIT * unit), most)

    def enlarged(self, most: QSizeF) -> QSizeF:
        """Return the size of the panel when it is alone on the canvas."""
        return self._of_cell(ENLARGED_CELL_LIMIT * theme.unit(), most)

    def _of_cell(self, cell: float, most: QSizeF) -> QSizeF:
        room = most - self.around
        cell = max(min(cell, room.width() / self.cols, room.height() / self.rows), 1 / 8)
        if cell >= LINES_FROM_PX:
            cell = math.floor(cell)
        cells = QSizeF(math.ceil(self.cols * cell), math.ceil(self.rows * cell))
        return (cells + self.around).expandedTo(QSizeF(self.least_width, 0))


@dataclass(frozen=True)
class Layout:
    """Boxes of maps and of others behind them, the side of the largest map, and the room that all take."""

    boxes: list[QRect]
    side: float
    size: QSize


def lay_out(maps: Sequence[MapRoom], others: Sequence[QSizeF], area: QSizeF, wrap: bool) -> Layout:
    """Return the places of maps and, behind them, of others, as large as fit in the area.

    With ``wrap`` they may take several rows. Where even small ones do not fit, they take more than the area.
    """
    unit = theme.unit()
    gap, margin = GAP * unit, MARGIN * unit
    inner = QSizeF(area.width() - 2 * margin, area.height() - margin)
    largest = max(max(room.rows, room.cols) for room in maps)

    def rows_at(side: float, digits: bool) -> list[list[QSizeF]]:
        sizes = [room.size(side, largest, inner, digits, spacious=not wrap) for room in maps]
        return _in_rows([*sizes, *others], inner.width() if wrap else math.inf, gap)

    def fits(side: float, digits: bool) -> bool:
        extent = _extent(rows_at(side, digits), gap)
        return extent.width() <= inner.width() and extent.height() <= inner.height()

    def largest_side(least: float, digits: bool) -> float | None:
        """Return the side at which all just fits, None where not even the least does."""
        if not fits(least, digits):
            return None
        side, most = least, max(inner.height(), inner.width())
        while most - side > 1:
            middle = (side + most) / 2
            side, most = (middle, most) if fits(middle, digits) else (side, middle)
        return side

    if wrap:
        without = largest_side(LEAST_SIDE * unit, digits=False) or LEAST_SIDE * unit
        with_digits = largest_side(FAIR_SHARE * without, digits=True)
        digits, side = with_digits is not None, with_digits or without
    else:
        comfortable = max(COMFORTABLE_SIDE * unit, COMFORTABLE_SHARE * inner.height())
        digits, side = True, largest_side(COMFORTABLE_SIDE * unit, digits=True) or comfortable
    rows = rows_at(side, digits)
    extent = _extent(rows, gap)
    x0 = margin + max(0.0, inner.width() - extent.width()) / 2
    y = margin / 2 + max(0.0, inner.height() - extent.height()) / 2
    boxes = []
    for row in rows:
        x, height = x0, max(size.height() for size in row)
        for size in row:
            top = y + (height - size.height()) / 2
            boxes.append(QRect(round(x), round(top), math.ceil(size.width()), math.ceil(size.height())))
            x += size.width() + gap
        y += height + gap
    room = QSize(math.ceil(extent.width() + 2 * margin), math.ceil(extent.height() + margin))
    return Layout(boxes, side, room)


def _in_rows(sizes: Sequence[QSizeF], width: float, gap: float) -> list[list[QSizeF]]:
    rows: list[list[QSizeF]] = []
    left = -1.0
    for size in sizes:
        if size.width() > left:
            rows.append([])
            left = width
        rows[-1].append(size)
        left -= size.width() + gap
    return rows


def _extent(rows: Sequence[Sequence[QSizeF]], gap: float) -> QSizeF:
    widths = [sum(size.width() + gap for size in row) - gap for row in rows]
    heights = [max(size.height() for size in row) + gap for row in rows]
    return QSizeF(max(widths), sum(heights) - gap)
