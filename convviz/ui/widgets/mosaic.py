"""Maps of one shape (channels) as thumbnails in one colour scale, or pictures: in a strip, or wrapped to the width.

The pictures of the maps in view are kept: scrolling and marking only copy them, and a newly computed cell colours one
pixel of each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QFontMetricsF,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QFrame, QSizePolicy, QStyle, QToolTip, QWidget

from convviz.core import display
from convviz.core.numbers import format_number
from convviz.ui import theme
from convviz.ui.widgets.color_map import color_map, image_of
from convviz.ui.widgets.grid_painter import LEAST_MARK_PX
from convviz.ui.widgets.kept_picture import KeptPicture
from convviz.ui.widgets.numerals import draw_centered
from convviz.ui.widgets.tooltips import plain

DEFAULT_SIDE, LEAST_SIDE, MOST_SIDE = 12.0, 4.0, 96.0
"""The longer side of a wrapped map in units."""
STRETCH = 1.25
"""How much longer a wrapped map may be where that gives its cells whole pixels."""
MARKS_FROM_PX = 2.0
NAME_SIZE = 0.85
NAME_LINE = 1.75
"""How far the lines of a name are apart in units."""
ENTER_KEYS = frozenset({Qt.Key.Key_Return, Qt.Key.Key_Enter})


@dataclass(frozen=True)
class TileLayout:
    """Where the maps lie: tiles of one size in rows, with a map and its name in each. In px from the first tile."""

    num_maps: int
    shape: tuple[int, int]  # rows and columns of a map
    columns: int  # tiles in a row
    tile: QSize
    map_size: QSizeF
    margin: int  # between a map and the edge of its tile

    @property
    def size(self) -> QSize:
        """The size of all tiles together."""
        return QSize(self.columns * self.tile.width(), -(-self.num_maps // self.columns) * self.tile.height())

    def tile_rect(self, index: int) -> QRect:
        """Return the place of a map and its name."""
        row, col = divmod(index, self.columns)
        return QRect(QPoint(col * self.tile.width(), row * self.tile.height()), self.tile)

    def map_rect(self, index: int) -> QRectF:
        """Return the place of a map; it is kept, and not to be changed."""
        box = self._map_rects.get(index)
        if box is None:
            tile = self.tile_rect(index)
            left = tile.left() + (tile.width() - self.map_size.width()) // 2
            box = self._map_rects[index] = QRectF(QPointF(left, tile.top() + self.margin), self.map_size)
        return box

    @cached_property
    def _map_rects(self) -> dict[int, QRectF]:
        return {}

    def names_rect(self, row: int) -> QRect:
        """Return the place of the names below a row of maps."""
        top = self.margin + math.ceil(self.map_size.height()) + 1
        width, height = self.columns * self.tile.width(), self.tile.height()
        return QRect(0, row * height + top, width, height - top)

    def visible(self, area: QRect) -> list[int]:
        """Return the maps whose tiles meet an area."""
        rows = range(max(0, area.top() // self.tile.height()), area.bottom() // self.tile.height() + 1)
        first, last = max(0, area.left() // self.tile.width()), area.right() // self.tile.width()
        cols = range(first, min(last + 1, self.columns))
        return [k for row in rows for col in cols if (k := row * self.columns + col) < self.num_maps]

    def map_at(self, point: QPointF) -> int | None:
        """Return the map whose tile contains a point."""
        row, col = int(point.y() // self.tile.height()), int(point.x() // self.tile.width())
        index = row * self.columns + col
        return index if row >= 0 and 0 <= col < self.columns and index < self.num_maps else None

    def cell_at(self, point: QPointF) -> tuple[int, int, int] | None:
        """Return map, row and column of the cell at a point."""
        index = self.map_at(point)
        if index is None:
            return None
        place = point - self.map_rect(index).topLeft()
        row = int(place.y() / self.map_size.height() * self.shape[0] // 1)
        col = int(place.x() / self.map_size.width() * self.shape[1] // 1)
        return (index, row, col) if 0 <= row < self.shape[0] and 0 <= col < self.shape[1] else None


def _margin() -> int:
    """Return the room between a map and the edge of its tile in px."""
    return round(theme.unit())


def _tile_frame(lines: int = 1) -> QSize:
    """Return by how much a tile is larger than its map: margins and the lines of the name, in px."""
    return QSize(2 * _margin(), 2 * _margin() + round((0.5 + lines * NAME_LINE) * theme.unit()))


def _name_font(bold: bool) -> QFont:
    return theme.font(NAME_SIZE, bold)


def fitted_size(shape: tuple[int, int], side: float, most: float, ratio: float) -> QSizeF:
    """Return the size of a map in px on a screen with ``ratio`` pixels a px.

    Its cells have whole pixels where its longer side can then be at most ``most`` px long; else it is ``side`` px long.
    """
    pixels = float(int(most * ratio / max(shape))) or side * ratio / max(shape)
    return QSizeF(max(1, round(shape[1] * pixels)) / ratio, max(1, round(shape[0] * pixels)) / ratio)


def pixels_of(pictures_NCHW: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return pictures (N, 3 or 1, H, W) of red, green and blue, or of grey, as pixels (N, H, W) 0xffRRGGBB."""
    channels = pictures_NCHW.shape[1]
    red, green, blue = (pictures_NCHW[:, k % channels].astype(np.uint32) for k in range(3))
    return np.asarray(0xFF000000 | red << 16 | green << 8 | blue, np.uint32)


@dataclass(eq=False)
class Thumbnail:
    """The kept picture of a map, and its cells' colours, which it may share."""

    pixels: NDArray[np.uint32]  # (H·W,)
    picture: QImage


class Mosaic(QAbstractScrollArea):
    """Shows the maps of an array (C, H, W), or pictures, as thumbnails with names, one of them chosen.

    A strip is one row as high as the widget and scrolls sideways; a wrapped mosaic scrolls up and down, and Ctrl with
    the wheel makes its maps larger or smaller. One that fits makes them as large as all of them have room, down to
    `LEAST_SIDE`. The background is the viewport's background role.
    """

    chosen = Signal(int)  # by the user
    activated = Signal(int)  # clicked, or chosen and then Return pressed
    hovered = Signal(object)  # (map, row, col), or None where there is no cell

    def __init__(self, wrapped: bool, parent: QWidget | None = None, fits: bool = False) -> None:
        super().__init__(parent)
        self._wrapped = wrapped
        self._fits = fits
        self._side = None if fits else DEFAULT_SIDE  # None: as large as all maps have room
        self._values: NDArray[np.floating] = np.zeros((0, 1))  # (C, H·W)
        self._pictures: NDArray[np.uint32] | None = None  # (N, H·W), shown in place of values
        self._shape = (1, 1)
        self._num_maps, self._group = 0, 1
        self._level, self._signed, self._grey = 1.0, True, False
        self._shown: int | None = None
        self._names: tuple[str, ...] = ()
        self._name_lines = 1
        self._chosen: int | None = None
        self._mark: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
        self._pointer: QPointF | None = None
        self._hovered: tuple[int, int, int] | None = None
        self._thumbnails: dict[int, Thumbnail] = {}
        self._are_stale = False  # the thumbnails
        self._kept_mark = KeptPicture()
        self._tiles = TileLayout(0, (1, 1), 1, QSize(1, 1), QSizeF(1, 1), 0)
        self._laid_out_for = QSize()  # the viewport's size then
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        if wrapped:
            self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
            self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        else:
            self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
            self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setBackgroundRole(QPalette.ColorRole.Window)
        self.viewport().setMouseTracking(True)
        self.setAccessibleName(self.tr("Maps"))
        self.setToolTip(
            self.tr("A click or an arrow key chooses a map; Ctrl with the wheel changes the size.")
            if wrapped
            else self.tr("A click or an arrow key chooses a map.")
        )

    # ---- content

    @property
    def num_maps(self) -> int:
        """How many maps there are."""
        return self._num_maps

    @property
    def chosen_map(self) -> int | None:
        """The chosen map, if any."""
        return self._chosen

    def set_maps(
        self,
        maps_CHW: NDArray[np.floating],
        level: float,
        signed: bool,
        grey: bool = False,
        shown: int | None = None,
        names: Sequence[str] = (),
        group: int = 1,
    ) -> None:
        """Show other maps, with ``level`` (above 0) as the |value| of the strongest colour.

        ``signed`` says whether the colour scale reaches below zero. The first ``shown`` cells of every map, in reading
        order, count as computed (None: all); the others are blank. A map without a name is called by its index; a name
        may have several lines. Every ``group`` maps belong together: a row of a wrapped mosaic breaks no group that it
        has room for. The array must not be written again after it was handed over.
        """
        channels, height, width = maps_CHW.shape
        self._values, self._pictures = maps_CHW.reshape(channels, height * width), None
        self._level, self._signed, self._grey, self._shown = level, signed, grey, shown
        self._replace(channels, (height, width), tuple(names), group)

    def set_pictures(self, pictures_NCHW: NDArray[np.uint8], names: Sequence[str] = ()) -> None:
        """Show pictures (N, 3 or 1, H, W) of red, green and blue, or of grey, as they are."""
        pixels = pixels_of(pictures_NCHW)
        count, height, width = pixels.shape
        self._pictures, self._shown = pixels.reshape(count, height * width), None
        self._replace(count, (height, width), tuple(names), 1)

    def _replace(self, num_maps: int, shape: tuple[int, int], names: tuple[str, ...], group: int) -> None:
        before = (self._num_maps, self._shape, self._names, self._group)
        self._num_maps, self._shape, self._names, self._group = num_maps, shape, names, group
        if self._chosen is not None and self._chosen >= num_maps:
            self._chosen = None
        if before == (num_maps, shape, names, group):
            self._update_maps()
        else:
            self._name_lines = 1 + max((name.count("\n") for name in names), default=0)
            self._lay_out()
        self._describe()

    def set_shown(self, shown: int | None) -> None:
        """Count another number of cells as computed; only the cells that change are coloured anew."""
        before, self._shown = self._shown, shown
        num_cells = math.prod(self._shape)
        first, last = sorted(num_cells if count is None else min(count, num_cells) for count in (before, shown))
        if first == last:
            return
        self._color_again(first, last)
        self.viewport().update()

    def set_chosen(self, index: int | None) -> None:
        """Choose a map, or none, and bring it into view."""
        index = index if index is not None and 0 <= index < self.num_maps else None
        if index == self._chosen:
            return
        self._chosen = index
        self._reveal()
        self._describe()
        self.viewport().update()

    def set_mark(self, rows: tuple[int, ...], cols: tuple[int, ...]) -> None:
        """Outline the current cell, or the box around some rows and columns, in every map; empty: nothing."""
        if (rows, cols) != self._mark:
            self._mark = (rows, cols)
            self.viewport().update()

    def name(self, index: int) -> str:
        """Return what a map is called."""
        return self._names[index] if index < len(self._names) else str(index)

    def _describe(self) -> None:
        height, width = self._shape
        level = format_number(self._level, 3)
        if self._pictures is None:
            template = self.tr("Maps of {height}×{width}: {count}; colours from {low} to {high}")
        else:
            template = self.tr("Pictures of {height}×{width}: {count}")
        text = template.format(
            count=self.num_maps, height=height, width=width, low=f"−{level}" if self._signed else "0", high=level
        )
        if self._chosen is not None:
            one = self.tr("map {name} is chosen") if self._pictures is None else self.tr("{name} is chosen")
            text += "; " + one.format(name=self.name(self._chosen).replace("\n", ", "))
        self.setAccessibleDescription(text)

    # ---- geometry

    def sizeHint(self) -> QSize:
        """Return room for a strip of maps, or for some rows of them."""
        side = round(DEFAULT_SIDE * theme.unit())
        return QSize(6 * side, 4 * side if self._wrapped else side + self._frame.height() + self._bar)

    def minimumSizeHint(self) -> QSize:
        """Return room for one small map."""
        side, frame = round(LEAST_SIDE * theme.unit()), self._frame
        return QSize(2 * side + frame.width() + self._bar, side + frame.height() + self._bar)

    @property
    def _frame(self) -> QSize:
        """By how much a tile is larger than its map, in px."""
        return _tile_frame(self._name_lines)

    @property
    def _bar(self) -> int:
        """The width of a scroll bar in px."""
        return self.style().pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent)

    def _enlarges(self) -> bool:
        """Whether a cell is at least a pixel of the screen."""
        size, ratio = self._tiles.map_size, self.devicePixelRatioF()
        return size.height() * ratio >= self._shape[0] and size.width() * ratio >= self._shape[1]

    @property
    def cell_px(self) -> float:
        """The side of a cell in px."""
        return self._tiles.map_size.width() / self._shape[1]

    def map_rect(self, index: int) -> QRectF:
        """Return the place of a map in the viewport."""
        return self._tiles.map_rect(index).translated(-self._offset())

    def zoom(self, factor: float, center: QPointF | None = None) -> None:
        """Make wrapped maps larger or smaller; the map at a point of the viewport stays there."""
        center = center or QPointF(0, 0)
        place = center + self._offset()
        index, depth = self._tiles.map_at(place), place.y() % self._tiles.tile.height() / self._tiles.tile.height()
        view = self.viewport().size()
        most = min(MOST_SIDE, min(view.width(), view.height()) / theme.unit())
        size = self._tiles.map_size
        side = self._side or max(size.width(), size.height()) / theme.unit()
        self._side = max(LEAST_SIDE, min(most, side * factor))
        self._lay_out()
        if self._fits and factor < 1 and self.verticalScrollBar().maximum() == 0:
            self._side = None
            self._lay_out()
        if index is not None:
            tile = self._tiles.tile_rect(index)
            self.verticalScrollBar().setValue(round(tile.top() + depth * tile.height() - center.y()))

    def _offset(self) -> QPointF:
        return QPointF(self.horizontalScrollBar().value(), self.verticalScrollBar().value())

    def _in_view(self) -> QRect:
        return QRect(self._offset().toPoint(), self.viewport().size())

    def _lay_out(self) -> None:
        """Lay the tiles out anew; a chosen map that was in view stays there."""
        before = QRect(self._offset().toPoint(), self._laid_out_for)
        kept = self._chosen is not None and before.intersects(self._tiles.tile_rect(self._chosen))
        self._tiles = self._wrapped_tiles() if self._wrapped else self._strip_tiles()
        bar = self.verticalScrollBar() if self._wrapped else self.horizontalScrollBar()
        view, size, tile = (
            area.height() if self._wrapped else area.width()
            for area in (self.maximumViewportSize(), self._tiles.size, self._tiles.tile)
        )
        bar.setRange(0, max(0, size - view))
        bar.setPageStep(view)
        bar.setSingleStep(max(1, tile // max(1, QApplication.wheelScrollLines())))  # a tile a notch of the wheel
        if kept:
            self._reveal()
        self._laid_out_for = self.viewport().size()
        self._thumbnails.clear()
        self.viewport().update()
        self._hover()

    def _strip_tiles(self) -> TileLayout:
        room = self.maximumViewportSize()
        for height in (room.height(), room.height() - self._bar):
            side = max(1.0, height - self._frame.height())
            tiles = self._tiles_of(fitted_size(self._shape, side, side, self.devicePixelRatioF()), None)
            if tiles.size.width() <= room.width():
                break
        return tiles

    def _wrapped_tiles(self) -> TileLayout:
        room = self.maximumViewportSize()
        wanted = (self._side or self._fitting_side(room)) * theme.unit()
        for width in (room.width(), room.width() - self._bar):
            view = QSize(width, room.height()) - self._frame
            most = max(1.0, min(view.width() / self._shape[1], view.height() / self._shape[0]) * max(self._shape))
            side = min(wanted, most)
            if self._side is None:
                most = side
            size = fitted_size(self._shape, side, min(STRETCH * side, most), self.devicePixelRatioF())
            tiles = self._tiles_of(size, width)
            if tiles.size.height() <= room.height():
                break
        return tiles

    def _fitting_side(self, room: QSize) -> float:
        """Return the longest side of a map in units with which all maps have room, at least `LEAST_SIDE`."""
        unit, (height, width), frame = theme.unit(), self._shape, self._frame
        least = LEAST_SIDE * unit / max(self._shape)  # px a cell
        narrowest = max(least * width, self._name_width()) + frame.width()
        best = 0.0
        for columns in range(1, min(self.num_maps, int(room.width() // narrowest)) + 1):
            if self._breaks_groups(columns):
                continue
            rows = -(-self.num_maps // columns)
            across = (room.width() // columns - frame.width()) / width
            down = (room.height() // rows - frame.height()) / height
            best = max(best, min(across, down))
        if best < least:  # they scroll, and may then be as wide as their names
            best = max(least, self._name_width() / width)
        return min(MOST_SIDE, best * max(self._shape) / unit)

    def _breaks_groups(self, columns: int) -> bool:
        return columns % self._group != 0 and self._group % columns != 0

    def _name_width(self) -> float:
        """Return the room that names ask for in px."""
        return min(self._longest_name(), DEFAULT_SIDE * theme.unit())

    def _tiles_of(self, size: QSizeF, width: int | None) -> TileLayout:
        """Return tiles around maps of some size, in rows no wider than ``width``, or in one row."""
        name_width, frame = self._name_width(), self._frame
        tile = QSize(
            math.ceil(max(size.width(), name_width)) + frame.width(), math.ceil(size.height()) + frame.height()
        )
        columns = max(1, self.num_maps if width is None else width // tile.width())
        if width is not None:
            while self._breaks_groups(columns):
                columns -= 1
        return TileLayout(self.num_maps, self._shape, columns, tile, size, _margin())

    def _longest_name(self) -> float:
        """Return the width of the longest name in px."""
        font, last_index = _name_font(bold=True), str(self.num_maps - 1)
        names = self._names if len(self._names) >= self.num_maps else (*self._names, last_index)
        return max((theme.text_width(font, line) for name in names for line in name.split("\n")), default=0.0)

    def _reveal(self) -> None:
        """Scroll, if need be, so that the chosen map is in view."""
        if self._chosen is None:
            return
        tile, view = self._tiles.tile_rect(self._chosen), self._in_view()
        dx = min(0, tile.left() - view.left()) or max(0, tile.right() - view.right())
        dy = min(0, tile.top() - view.top()) or max(0, tile.bottom() - view.bottom())
        self.horizontalScrollBar().setValue(view.left() + dx)
        self.verticalScrollBar().setValue(view.top() + dy)

    # ---- pictures

    def _update_maps(self) -> None:
        """Have all maps painted anew, but not the names between their rows."""
        self._are_stale = True
        pitch, height = self._tiles.tile.height(), math.ceil(self._tiles.map_size.height())
        view, scrolled = self.viewport().size(), self.verticalScrollBar().value()
        for tile_top in range(-(scrolled % pitch), view.height(), pitch):
            self.viewport().update(0, tile_top + self._tiles.margin, view.width(), height)

    def _thumbnails_of(self, maps: list[int]) -> dict[int, Thumbnail]:
        """Return the pictures of some maps: those that are kept, the others made together."""
        if self._are_stale:
            self._color_again(0, math.prod(self._shape))
            self._are_stale = False
        missing = [index for index in maps if index not in self._thumbnails]
        if not missing:
            return {index: self._thumbnails[index] for index in maps}
        colors = self._pixels(missing, 0, math.prod(self._shape))
        made = {index: Thumbnail(one, self._picture(one)) for index, one in zip(missing, colors, strict=True)}
        return {index: made.get(index) or self._thumbnails[index] for index in maps}

    def _color_again(self, first: int, last: int) -> None:
        """Colour the cells from ``first`` up to ``last`` of all thumbnails, whose pictures see it where they are."""
        enlarges, colors = self._enlarges(), self._pixels(list(self._thumbnails), first, last)
        for thumbnail, changed in zip(self._thumbnails.values(), colors, strict=True):
            thumbnail.pixels[first:last] = changed
            if not enlarges:
                thumbnail.picture = self._picture(thumbnail.pixels)

    def _pixels(self, maps: list[int], first: int, last: int) -> NDArray[np.uint32]:
        """Return the colours of the cells from ``first`` up to ``last`` in some maps, as (maps, cells)."""
        if self._pictures is not None:
            return self._pictures[maps, first:last]
        colors = color_map(theme.is_dark(self.palette()), self._grey)
        pixels = colors.pixels(display.to_index(self._values[maps, first:last], self._level))
        if self._shown is not None:
            pixels[:, max(0, self._shown - first) :] = theme.colors(self.palette()).blank.rgb()
        return pixels

    def _picture(self, pixels: NDArray[np.uint32]) -> QImage:
        """Return a map's picture: a view of its pixels where cells are enlarged, else their smooth reduction."""
        image = image_of(pixels.reshape(self._shape))
        if self._enlarges():
            return image
        size = (self._tiles.map_size * self.devicePixelRatioF()).toSize()
        return image.scaled(size, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation)

    # ---- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the maps in view and, over them, the choice and the marks."""
        visible = self._tiles.visible(self._in_view())
        self._thumbnails = self._thumbnails_of(visible)
        boxes = {index: self._tiles.map_rect(index) for index in visible}
        painter = QPainter(self.viewport())
        painter.translate(-self._offset())
        self._paint_maps(painter, boxes, self._thumbnails)
        region, tiles = event.region().translated(self._offset().toPoint()), self._tiles
        rows = {row for row in {k // tiles.columns for k in visible} if region.intersects(tiles.names_rect(row))}
        if rows:
            self._paint_names(painter, {k: box for k, box in boxes.items() if k // tiles.columns in rows})
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_choice(painter, boxes)
        if self._mark[0] and self._mark[1] and self.cell_px >= MARKS_FROM_PX:
            self._paint_marks(painter, boxes.values())

    @property
    def drawing_size(self) -> QSize:
        """The size of all maps together, with their names."""
        return self._tiles.size

    def draw(self, painter: QPainter) -> None:
        """Draw all maps with their names, without the choice and the marks."""
        maps = list(range(self.num_maps))
        boxes = {index: self._tiles.map_rect(index) for index in maps}
        painter.fillRect(QRect(QPoint(0, 0), self.drawing_size), self.palette().color(QPalette.ColorRole.Window))
        self._paint_maps(painter, boxes, self._thumbnails_of(maps))
        self._paint_names(painter, boxes)

    def _paint_maps(self, painter: QPainter, boxes: dict[int, QRectF], thumbnails: dict[int, Thumbnail]) -> None:
        painter.setPen(QPen(theme.colors(self.palette()).border, 1))
        painter.drawRects([box.adjusted(-0.5, -0.5, 0.5, 0.5) for box in boxes.values()])
        for index, box in boxes.items():
            painter.drawImage(box, thumbnails[index].picture)

    def _paint_names(self, painter: QPainter, boxes: dict[int, QRectF]) -> None:
        fonts = _name_font(bold=False), _name_font(bold=True)
        unit = theme.unit()
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        for index, box in boxes.items():
            font = fonts[index == self._chosen]
            painter.setFont(font)
            for k, line in enumerate(self.name(index).split("\n")):
                place = QPointF(box.center().x(), box.bottom() + (1.5 + k * NAME_LINE) * unit)
                draw_centered(painter, place, self._shortened(line, font), font)

    def _shortened(self, line: str, font: QFont) -> str:
        """Return a line of a name as it fits its tile."""
        room = self._tiles.tile.width() - _margin()
        if theme.text_width(font, line) <= room:
            return line
        return QFontMetricsF(font).elidedText(line, Qt.TextElideMode.ElideMiddle, room)

    def _paint_marks(self, painter: QPainter, boxes: Iterable[QRectF]) -> None:
        """Outline the current cell as a grid does; the outline is the same in all maps, so it is kept as a picture."""
        (rows, cols), cell = self._mark, self.cell_px
        line = max(1.5, 0.25 * theme.unit())
        size = QSizeF(cell * (cols[-1] - cols[0] + 1), cell * (rows[-1] - rows[0] + 1))
        framed = size.expandedTo(QSizeF(LEAST_MARK_PX, LEAST_MARK_PX))
        around = QSizeF(math.ceil(line) + 2, math.ceil(line) + 2)

        def paint(stamp: QPainter) -> None:
            colors = theme.colors(self.palette())
            halo = QColor(colors.surface)
            halo.setAlpha(200)
            for color, width in ((halo, line + 2), (colors.window, line)):
                pen = QPen(color, width)
                pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
                stamp.setPen(pen)
                stamp.drawRect(QRectF(QPointF(around.width() / 2, around.height() / 2), framed))

        key = theme.is_dark(self.palette()), line
        stamp = self._kept_mark.get(key, framed + around, self.devicePixelRatioF(), paint)
        spill = (framed + around - size) / 2
        corner = QPointF(cell * cols[0] - spill.width(), cell * rows[0] - spill.height())
        for box in boxes:
            painter.drawPixmap(box.topLeft() + corner, stamp)

    def _paint_choice(self, painter: QPainter, boxes: dict[int, QRectF]) -> None:
        """Frame the chosen map, and the tile that the keyboard starts from."""
        unit = theme.unit()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self._chosen in boxes:
            painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Highlight), 0.375 * unit))
            gap = 0.4 * unit
            painter.drawRoundedRect(boxes[self._chosen].adjusted(-gap, -gap, gap, gap), gap, gap)
        if self.hasFocus() and self.num_maps:
            tile = QRectF(self._tiles.tile_rect(self._chosen or 0))
            painter.setPen(QPen(self.palette().color(QPalette.ColorRole.WindowText), 0.125 * unit))
            painter.drawRoundedRect(tile.adjusted(1, 1, -1, -1), 0.65 * unit, 0.65 * unit)

    # ---- events

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fill the new room."""
        self._lay_out()

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        """Show other maps, under a pointer that stays."""
        super().scrollContentsBy(dx, dy)
        self._hover()

    def changeEvent(self, event: QEvent) -> None:
        """Follow palette, font and style."""
        if event.type() in {QEvent.Type.PaletteChange, QEvent.Type.FontChange, QEvent.Type.StyleChange}:
            self._lay_out()
            self.updateGeometry()
        super().changeEvent(event)

    def event(self, event: QEvent) -> bool:
        """Keep the keys that choose a map from being taken as shortcuts, and follow the screen's pixels."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            if self._led_to(event) is not None or (event.key() in ENTER_KEYS and self._chosen is not None):
                event.accept()
                return True
        elif event.type() == QEvent.Type.DevicePixelRatioChange:
            self._lay_out()
        return super().event(event)

    def viewportEvent(self, event: QEvent) -> bool:
        """Notice that the pointer left, and show a name in full that is shortened."""
        if event.type() == QEvent.Type.Leave:
            self._pointer = None
            self._hover()
        elif event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            index = self._tiles.map_at(QPointF(event.pos()) + self._offset())
            if index is not None and self._is_shortened(index):
                QToolTip.showText(event.globalPos(), plain(self.name(index)), self)
                return True
        return super().viewportEvent(event)

    def _is_shortened(self, index: int) -> bool:
        font = _name_font(bold=index == self._chosen)
        return any(self._shortened(line, font) != line for line in self.name(index).split("\n"))

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show the focus frame."""
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Hide the focus frame."""
        self.viewport().update()

    def _led_to(self, event: QKeyEvent) -> int | None:
        """Return the map that a key chooses."""
        if event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier or not self.num_maps:
            return None
        last, current = self.num_maps - 1, self._chosen or 0
        if event.key() in {Qt.Key.Key_Home, Qt.Key.Key_End}:
            return 0 if event.key() == Qt.Key.Key_Home else last
        steps: dict[int, int] = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        if self._wrapped:
            steps |= {Qt.Key.Key_Up: -self._tiles.columns, Qt.Key.Key_Down: self._tiles.columns}
        step = steps.get(event.key())
        if step is None:
            return None
        target = current if self._chosen is None else current + step
        return target if 0 <= target <= last else current

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose another map, or activate the chosen one."""
        target = self._led_to(event)
        if event.key() in ENTER_KEYS and self._chosen is not None:
            self.activated.emit(self._chosen)
        elif target is None:
            super().keyPressEvent(event)
        elif target != self._chosen:
            self.set_chosen(target)
            self.chosen.emit(target)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose and activate the map under the pointer."""
        index = self._tiles.map_at(event.position() + self._offset())
        if event.button() == Qt.MouseButton.LeftButton and index is not None:
            self.set_chosen(index)
            self.chosen.emit(index)
            self.activated.emit(index)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Take the second of two quick clicks as a click."""
        self.mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End a click."""

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Say which cell is under the pointer."""
        self._pointer = event.position()
        self._hover()

    def _hover(self) -> None:
        cell = self._tiles.cell_at(self._pointer + self._offset()) if self._pointer is not None else None
        if cell != self._hovered:
            self._hovered = cell
            self.hovered.emit(cell)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom (Ctrl, where wrapped) or scroll; the wheel also moves a strip sideways."""
        if self._wrapped and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom(1.25 ** (event.angleDelta().y() / 120), event.position())
            event.accept()
        elif self._wrapped:
            super().wheelEvent(event)
        else:
            QApplication.sendEvent(self.horizontalScrollBar(), event)
