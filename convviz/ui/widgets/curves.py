"""Curves that grow while something learns: a loss, an error, an accuracy over steps, epochs or time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QEvent, QLineF, QPointF, QRectF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from convviz.core.numbers import format_number
from convviz.core.plotting import even_ticks, log_ticks, round_spacing, whole_spacing, with_room
from convviz.ui import theme
from convviz.ui.widgets.curve_lines import LOOKS, PIECE, Curve, Line, Scale, Values, draw_pieces
from convviz.ui.widgets.growing_picture import GrowingPicture
from convviz.ui.widgets.numerals import draw_line

SHARE_OF_PLOT = 0.2
"""A list of curves in the corner that takes more of the plot is shown only while it is read."""

LEAST_TICKS = 2
"""So many numbers an axis has, which says how steep a curve is."""

SAMPLE = 3.0
"""How far from the left of a curve's entry its name stands, beside a piece of its line, in units."""

REACH = 0.5
"""How far from its points a curve is seen, in units: its dots and half its line."""


def _number(value: float) -> str:
    return format_number(value, 6)


@dataclass(frozen=True)
class Axis:
    """What is counted along a plot.

    Attributes:
        title: its word.
        text: returns a place as it is written.
        spacing: returns a round distance of ticks that is not below the given one.
    """

    title: str
    text: Callable[[float], str] = _number
    spacing: Callable[[float], float] = whole_spacing


@dataclass(frozen=True)
class Marker:
    """A place where something was changed, and the words for it."""

    x: float
    text: str


def _draw_upright(painter: QPainter, area: QRectF, px: float) -> None:
    """Draw a crisp line from the top to the bottom of an area."""
    middle = math.floor(px) + 0.5
    painter.drawLine(QLineF(middle, area.top(), middle, area.bottom()))


class CurvePlot(QWidget):
    """Named curves over one axis. The heading reads their last values, or those at the pointer or the arrow keys.

    Signals:
        pointed(object): the place that is read now, or None for the ends.
    """

    pointed = Signal(object)

    def __init__(self, title: str, x_title: str, parent: QWidget | None = None) -> None:
        """Make a plot without curves; ``x_title`` names what is counted along the axis, "step" or "epoch"."""
        super().__init__(parent)
        self._title = title
        self._axis = Axis(x_title)
        self._empty_text = ""
        self._log_y = False
        self._curves: tuple[Curve, ...] = ()
        self._shown: tuple[Curve, ...] = ()
        self._at, self._entries = "", list[str]()  # the place that is read, and what is said of each curve
        self._markers: tuple[Marker, ...] = ()
        self._wanted_x: float | None = None
        self._wanted_y: tuple[float | None, float | None] = (None, None)
        self._x_range, self._y_range = (0.0, 1.0), (0.0, 1.0)
        self._chosen_x: float | None = None
        self._picture = GrowingPicture()
        self._kept_lines: dict[str, Line] = {}
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._refresh()

    # ---- content

    def set_curve(self, name: str, x: npt.ArrayLike, y: npt.ArrayLike) -> None:
        """Show a curve through the points ``x`` (ascending) and ``y``, of one length, in place of the one of that name.

        Points that are not finite or beyond `LARGEST`, or on a logarithmic axis not above 0, are left out.
        """
        names = [curve.name for curve in self._curves]
        index = names.index(name) if name in names else len(names)
        look = LOOKS[index % len(LOOKS)]
        curve = Curve(name, np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64), look)
        self.show_curves((*self._curves[:index], curve, *self._curves[index + 1 :]), self._markers)

    def show_curves(
        self,
        curves: Sequence[Curve],
        markers: Sequence[Marker] = (),
        x_end: float | None = None,
        y_range: tuple[float | None, float | None] = (None, None),
    ) -> None:
        """Show these curves and no others; the first is painted on top.

        Points that are not finite or beyond `LARGEST`, or on a logarithmic axis not above 0, are left out.

        Args:
            curves: of different names.
            markers: in ascending order.
            x_end: where the axis ends, which begins at 0; None for the last point.
            y_range: the lowest and highest value in view; None for that of the curves, with some room.
        """
        content = tuple(curves), tuple(markers), x_end, y_range
        if content != (self._curves, self._markers, self._wanted_x, self._wanted_y):
            self._curves, self._markers, self._wanted_x, self._wanted_y = content
            self._refresh()

    def clear(self) -> None:
        """Take all curves and markers away."""
        self._chosen_x = None
        self.show_curves(())

    def set_log_y(self, on: bool) -> None:
        """Make the value axis logarithmic, or linear."""
        self._log_y = on
        self._refresh()

    def set_axis(self, axis: Axis) -> None:
        """Say what is counted along the plot; the curves shown so far are taken away."""
        self._axis = axis
        self.clear()

    def set_title(self, title: str) -> None:
        """Show another title."""
        self._title = title
        self._refresh()

    def set_empty_text(self, text: str) -> None:
        """Set what is said as long as there is no point to show."""
        if text != self._empty_text:
            self._empty_text = text
            self.update()

    def _refresh(self) -> None:
        self._shown = tuple(curve.shown(self._log_y) for curve in self._curves)
        filled = [curve for curve in self._shown if curve.x.size]
        if filled:
            x_low = min(0.0, *(float(curve.x[0]) for curve in filled))
            x_high = max(float(curve.x[-1]) for curve in filled) if self._wanted_x is None else self._wanted_x
            self._x_range = (x_low, x_high if x_high > x_low else x_low + 1)
            self._y_range = self._values_in_view(filled)
        self._say()

    def _values_in_view(self, curves: list[Curve]) -> tuple[float, float]:
        """Return the range of the value axis, as numbers along it."""
        low = min(float(curve.y.min()) for curve in curves)
        high = max(float(curve.y.max()) for curve in curves)
        least, most = self._wanted_y
        low, high = min(low, high if most is None else most), high if most is None else min(high, most)
        if self._log_y:
            low, high = math.log10(low), math.log10(high)
        padded = with_room(low, high, self._log_y)
        return padded[0] if least is None else least, padded[1] if most is None else most

    # ---- reading

    @property
    def reading(self) -> str:
        """What is said: the place on the axis, and each curve with its value there."""
        return ", ".join(part for part in (self._at, *self._entries) if part)

    def read_at(self, x: float | None) -> None:
        """Read the curves at the point nearest to ``x``, or at their ends."""
        place = None
        if x is not None:
            near = [
                float(curve.x[k])
                for curve in self._shown
                for k in (int(np.searchsorted(curve.x, x)) - 1, int(np.searchsorted(curve.x, x)))
                if 0 <= k < len(curve.x)
            ]
            place = min(near, key=lambda point: abs(point - x), default=None)
        if place != self._chosen_x:
            self.follow(place)
            self.pointed.emit(place)

    def follow(self, x: float | None) -> None:
        """Read the curves at ``x`` as another plot does, whether or not there is a point."""
        self._chosen_x = x
        self._say()

    def _say(self) -> None:
        self._at, self._entries = self._at_text(), [self._entry(curve) for curve in self._shown]
        name = f"{self._title}: {self.reading}" if self._shown else self._title
        if name != self.accessibleName():
            self.setAccessibleName(name)
        self.update()

    def _last_x(self) -> float | None:
        filled = [curve for curve in self._shown if curve.x.size]
        named = [curve for curve in filled if not curve.look.beside]
        return max((float(curve.x[-1]) for curve in named or filled), default=None)

    def _at_text(self) -> str:
        last = self._last_x()
        place = last if self._chosen_x is None else self._chosen_x
        return "" if last is None or place is None else f"{self._axis.title} {self._axis.text(place)}"

    def _read(self, curve: Curve) -> int | None:
        """Return the index of the point at which a curve is read."""
        if self._chosen_x is not None:
            return curve.read(self._chosen_x)
        return len(curve.x) - 1 if curve.x.size else None

    def _entry(self, curve: Curve) -> str:
        index = self._read(curve)
        return curve.name if index is None else f"{curve.name} {format_number(curve.y[index])}"

    # ---- look

    def sizeHint(self) -> QSize:
        """Return a size at which a curve can be followed."""
        unit = theme.unit()
        return QSize(round(48 * unit), round(34 * unit))

    def minimumSizeHint(self) -> QSize:
        """Return the least size at which axes and heading can be read."""
        unit = theme.unit()
        return QSize(round(31 * unit), round(16 * unit))

    def _is_empty(self) -> bool:
        return not any(curve.x.size for curve in self._shown)

    def _area(self, size: QSize) -> QRectF:
        """Return the part of the plot in which the curves lie."""
        unit = theme.unit()
        return QRectF(0, 0, size.width(), size.height()).adjusted(
            6.5 * unit, 6.5 * unit, -2.5 * unit, -4.5 * unit if self._names_axis(size) else -2.75 * unit
        )

    @staticmethod
    def _names_axis(size: QSize) -> bool:
        """Whether there is room for the axis's title; the heading says it too."""
        return size.height() >= 22 * theme.unit()

    def _scales(self, area: QRectF) -> tuple[Scale, Scale]:
        return (
            Scale(*self._x_range, area.left(), area.right()),
            Scale(*self._y_range, area.bottom(), area.top(), self._log_y),
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint everything; of the curves only what is new."""
        painter, size, focused = QPainter(self), self.size(), self.hasFocus()
        lines, named = self._lines(size, self._kept_lines), self._named(size)
        self._kept_lines = {line.curve.name: line for line in lines}
        key = (
            *(self.palette().cacheKey(), theme.unit(), focused, self._title, self._empty_text),
            *(self._x_range, self._y_range, self._log_y, self._axis, self._markers),
            *(curve.look for curve in self._shown),
            *((line.curve.look, line.dotted) for line in lines),
            *named,
        )
        picture = self._picture.get(
            key,
            QSizeF(size),
            self.devicePixelRatioF(),
            lambda painter: self._draw_ground(painter, size, named, focused),
            [line.pixels for line in lines],
            lambda painter, start: self._draw_lines(painter, size, lines, start),
            REACH * theme.unit(),
        )
        painter.drawPixmap(0, 0, picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_words(painter, size, named, lines)

    def draw(self, painter: QPainter, size: QSize) -> None:
        """Draw the plot with its card from the origin on, in any size."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        lines, named = self._lines(size, {}), self._named(size)
        self._draw_ground(painter, size, named, focused=False)
        self._draw_lines(painter, size, lines)
        self._draw_words(painter, size, named, lines)

    def _draw_ground(self, painter: QPainter, size: QSize, named: list[tuple[int, float]], focused: bool) -> None:
        """Draw what lies below the curves and their values; with the keyboard here the frame is marked."""
        colors, unit = theme.colors(self.palette()), theme.unit()
        highlight = self.palette().color(QPalette.ColorRole.Highlight)
        painter.setPen(QPen(highlight, 2) if focused else QPen(colors.border, 1))
        painter.setBrush(colors.surface)
        painter.drawRoundedRect(QRectF(0, 0, size.width(), size.height()).adjusted(1, 1, -1, -1), unit, unit)
        title, entry = self._heading(size)
        font = theme.font(bold=True)
        painter.setFont(font)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        draw_line(painter, title, self._title, font)
        for k, left in named:
            self._draw_sample(painter, entry.translated(left, 0), self._shown[k])
        area = self._area(size)
        if self._is_empty():
            painter.setFont(theme.font())
            painter.setPen(colors.muted)
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._empty_text)
            return
        x, y = self._scales(area)
        self._draw_values(painter, area, y)
        self._draw_places(painter, area, x, self._names_axis(size))
        self._draw_markers(painter, area, x)

    def _draw_words(self, painter: QPainter, size: QSize, named: list[tuple[int, float]], lines: list[Line]) -> None:
        """Draw what is read of the curves."""
        (title, entry), small = self._heading(size), theme.font(0.9)
        painter.setFont(small)
        painter.setPen(theme.colors(self.palette()).muted)
        draw_line(painter, title, self._at, small, right=True)
        font = theme.font(0.85)
        painter.setFont(font)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        for k, left in named:
            draw_line(painter, entry.translated(left + SAMPLE * theme.unit(), 0), self._entries[k], font)
        if lines:
            area = self._area(size)
            x, y = self._scales(area)
            self._draw_reading(painter, area, x, y)
            self._draw_beside(painter, area, x, lines)

    @staticmethod
    def _heading(size: QSize) -> tuple[QRectF, QRectF]:
        """Return the place of the title and, below it, that of the curves' names."""
        unit = theme.unit()
        title = QRectF(1.5 * unit, unit, size.width() - 3 * unit, 2.5 * unit)
        return title, title.translated(0, title.height())

    def _named(self, size: QSize) -> list[tuple[int, float]]:
        """Return the indices of the curves that the heading has room for, and how far from its left each is named."""
        unit, width_of = theme.unit(), theme.line_metrics(theme.font(0.85)).width
        named, left, room = [], 0.0, size.width() - 3 * unit
        for k, (curve, text) in enumerate(zip(self._shown, self._entries, strict=True)):
            width = SAMPLE * unit + max(width_of(text), width_of(f"{curve.name} 0.0000"))
            if not curve.look.beside and left + width <= room:
                named.append((k, left))
                left += width + 1.25 * unit
        return named

    def _draw_sample(self, painter: QPainter, box: QRectF, curve: Curve) -> None:
        """Draw a piece of a curve's line, at the left of its entry."""
        painter.setPen(curve.look.pen(self.palette()))
        painter.drawLine(
            QLineF(box.left(), box.center().y(), box.left() + (SAMPLE - 0.5) * theme.unit(), box.center().y())
        )

    def _draw_values(self, painter: QPainter, area: QRectF, y: Scale) -> None:
        """Draw the numbers and lines of the value axis."""
        unit, colors = theme.unit(), theme.colors(self.palette())
        most = max(2, int(area.height() / (2 * unit)))
        if self._log_y:
            ticks = log_ticks(y.low, y.high)
            ticks = ticks[:: -(-len(ticks) // most)]
            texts = [format_number(10**tick, 3) for tick in ticks]
        else:
            spacing = round_spacing((y.high - y.low) / min(most, 6))
            ticks = even_ticks(y.low, y.high, spacing)
            if len(ticks) < LEAST_TICKS:
                spacing = round_spacing(0.4 * spacing)  # the next smaller one
                ticks = even_ticks(y.low, y.high, spacing)
            digits = math.floor(math.log10(max(abs(y.low), abs(y.high)) / spacing)) + 2
            texts = [format_number(tick, max(3, digits)) for tick in ticks]
        font = theme.font(0.75)
        painter.setFont(font)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for tick, text in zip(ticks, texts, strict=True):
            px = y.at(tick)
            painter.setPen(QPen(colors.border, 1))
            painter.drawLine(QLineF(area.left(), px, area.right(), px))
            painter.setPen(colors.muted)
            draw_line(painter, QRectF(0, px - unit, area.left() - 0.75 * unit, 2 * unit), text, font, right=True)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)

    def _draw_places(self, painter: QPainter, area: QRectF, x: Scale, named: bool) -> None:
        """Draw the numbers of the axis below, and its title."""
        unit = theme.unit()
        painter.setPen(theme.colors(self.palette()).muted)
        font = theme.font(0.75)
        painter.setFont(font)
        widest = theme.text_width(font, self._axis.text(x.high)) + 2 * unit
        spacing = self._axis.spacing((x.high - x.low) * max(widest, 6 * unit) / area.width())
        for tick in even_ticks(x.low, x.high, spacing):
            text = self._axis.text(tick)
            width = theme.text_width(font, text)
            left = min(x.at(tick) - width / 2, area.right() + 1.5 * unit - width)
            draw_line(painter, QRectF(left, area.bottom() + 0.25 * unit, width, 2 * unit), text, font)
        if named:
            font = theme.font(0.85)
            painter.setFont(font)
            left = area.center().x() - theme.text_width(font, self._axis.title) / 2
            draw_line(painter, QRectF(left, area.bottom() + 2 * unit, 0, 2 * unit), self._axis.title, font)

    def _draw_markers(self, painter: QPainter, area: QRectF, x: Scale) -> None:
        """Draw a line where something was changed, with words as long as they have room; the newest come first."""
        unit, font = theme.unit(), theme.font(0.75)
        painter.setFont(font)
        painter.setPen(QPen(theme.colors(self.palette()).muted, 1, Qt.PenStyle.DotLine))
        places = [x.at(marker.x) for marker in self._markers]
        for px in places:
            _draw_upright(painter, area, px)
        free = [area.right() + unit] * 2
        for marker, px in reversed(list(zip(self._markers, places, strict=True))):
            width = theme.text_width(font, marker.text)
            left = px + 0.5 * unit if px + width + 0.5 * unit < area.right() else px - width - 0.5 * unit
            row = next((row for row, end in enumerate(free) if left + width < end), None)
            if row is not None and left >= area.left():
                box = QRectF(left, area.top() + 1.5 * row * unit, width, 1.5 * unit)
                painter.fillRect(box, theme.colors(self.palette()).surface)
                draw_line(painter, box, marker.text, font)
                free[row] = min(left, px) - unit / 2

    def _lines(self, size: QSize, before: Mapping[str, Line]) -> list[Line]:
        """Return the curves that have points as they are drawn, the first on top of the others and so last.

        Those drawn ``before``, by the names of their curves, only go on where they have grown.
        """
        scales = self._scales(self._area(size))
        return [Line.of(curve, scales, before.get(curve.name)) for curve in reversed(self._shown) if curve.x.size]

    def _draw_lines(self, painter: QPainter, size: QSize, lines: list[Line], start: float = 0.0) -> None:
        """Draw curves, as much as is seen of them from an x on."""
        painter.save()
        painter.setClipRect(self._area(size).adjusted(-1, -1, 1, 1), Qt.ClipOperation.IntersectClip)
        for line in lines:
            pixels = line.pixels
            if pixels[0, -1] + REACH * theme.unit() < start:
                continue
            first = max(0, int(np.searchsorted(pixels[0], start)) - 2) // PIECE * PIECE
            pen = line.curve.look.pen(self.palette())
            draw_pieces(painter, pen, pixels, first)
            if line.dotted:
                points = list(map(QPointF, *pixels[:, first:].tolist()))
                self._draw_dots(painter, points, pen.color(), 0.3 * theme.unit())
        painter.restore()

    @staticmethod
    def _draw_dots(painter: QPainter, points: list[QPointF], color: QColor, radius: float) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        for point in points:
            painter.drawEllipse(point, radius, radius)

    def _draw_reading(self, painter: QPainter, area: QRectF, x: Scale, y: Scale) -> None:
        """Mark the points that are read, as far as they are in view."""
        if self._chosen_x is not None and x.low <= self._chosen_x <= x.high:
            px = x.at(self._chosen_x)
            painter.setPen(QPen(theme.colors(self.palette()).muted, 1))
            _draw_upright(painter, area, px)
        for curve in reversed(self._shown):
            index = self._read(curve)
            if index is not None and (self._chosen_x is not None or not curve.look.beside):
                value = y.numbers(curve.y[index : index + 1])
                point = QPointF(x.at(float(curve.x[index])), y.at(float(value[0])))
                if area.adjusted(-1, -1, 1, 1).contains(point):
                    self._draw_dots(painter, [point], curve.look.pen(self.palette()).color(), 0.45 * theme.unit())

    def _draw_beside(self, painter: QPainter, area: QRectF, x: Scale, lines: list[Line]) -> None:
        """List the curves that the heading does not name in an empty corner; in a small plot only while it is read."""
        unit, font = theme.unit(), theme.font(0.75)
        row = 1.75 * unit
        entries = [pair for pair in zip(self._shown, self._entries, strict=True) if pair[0].look.beside]
        del entries[int((area.height() - unit) / row) :]
        texts = [_elided(curve.name, entry) for curve, entry in entries]
        width = 4 * unit + max((theme.text_width(font, text) for text in texts), default=0.0)
        height = len(entries) * row + 0.5 * unit
        is_small = width * height > SHARE_OF_PLOT * area.width() * area.height()
        if not entries or (is_small and self._chosen_x is None):
            return
        below_words = area.top() + (3.25 if self._markers else 0.25) * unit
        corners = [
            QRectF(left, top, width, height)
            for left in (area.right() - width, area.left() + unit / 2)
            for top in (min(below_words, area.bottom() - height), area.bottom() - height - unit / 2)
        ]
        cursor = None if self._chosen_x is None else x.at(self._chosen_x)
        drawn = np.concatenate([line.pixels for line in lines], axis=1)
        box = min(corners, key=lambda corner: _num_hidden(corner.adjusted(-unit, 0, unit, 0), drawn, cursor))
        painter.setPen(QPen(theme.colors(self.palette()).border, 1))
        painter.setBrush(theme.colors(self.palette()).surface)
        painter.drawRoundedRect(box, unit / 2, unit / 2)
        painter.setFont(font)
        for k, ((curve, _), text) in enumerate(zip(entries, texts, strict=True)):
            line = QRectF(box.left() + 0.5 * unit, box.top() + 0.25 * unit + k * row, width - unit, row)
            self._draw_sample(painter, line, curve)
            painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
            draw_line(painter, line.adjusted(SAMPLE * unit, 0, 0, 0), text, font)

    # ---- events

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange}:
            self.updateGeometry()
            self.update()
        super().changeEvent(event)

    def event(self, event: QEvent) -> bool:
        """Keep the arrow keys, which step elsewhere, for the plot that has the focus, and tooltips off the curves."""
        kind = event.type()
        if kind == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and event.key() in _TURNS:
            event.accept()
            return True
        if kind == QEvent.Type.ToolTip and isinstance(event, QHelpEvent) and self._reads_at(QPointF(event.pos())):
            QToolTip.hideText()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Read one point, or a pixel, further left or right; Escape reads the ends again."""
        if event.key() in _TURNS and not self._is_empty():
            self._turn(_TURNS[Qt.Key(event.key())])
        elif event.key() == Qt.Key.Key_Escape and self._chosen_x is not None:
            self.read_at(None)
        else:
            super().keyPressEvent(event)

    def _turn(self, direction: int) -> None:
        now = self._last_x() if self._chosen_x is None else self._chosen_x
        if now is None:
            return
        area = self._area(self.size())
        pixel = (self._x_range[1] - self._x_range[0]) / max(1.0, area.width())
        found = []
        for curve in self._shown:
            if direction > 0:
                k = max(int(np.searchsorted(curve.x, now, "right")), int(np.searchsorted(curve.x, now + pixel)))
            else:
                k = min(int(np.searchsorted(curve.x, now)), int(np.searchsorted(curve.x, now - pixel, "right"))) - 1
            if 0 <= k < len(curve.x):
                found.append(float(curve.x[k]))
        if found:
            self.read_at(min(found, key=lambda point: abs(point - now)))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Read under the pointer."""
        place = event.position()
        x, _ = self._scales(self._area(self.size()))
        self.read_at(x.number(place.x()) if self._reads_at(place) else None)

    def _reads_at(self, place: QPointF) -> bool:
        """Return whether curves are read at a place."""
        return not self._is_empty() and self._area(self.size()).contains(place)

    def leaveEvent(self, event: QEvent) -> None:
        """Read the ends again."""
        self.read_at(None)
        super().leaveEvent(event)


_TURNS: Mapping[Qt.Key, int] = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}

_LONGEST_NAME = 20


def _num_hidden(box: QRectF, drawn: Values, cursor: float | None) -> float:
    """Return how many of the pixels (2, N) lie in a box; it must not lie over the cursor."""
    if cursor is not None and box.left() < cursor < box.right():
        return math.inf
    x, y = drawn
    return int(((x > box.left()) & (x < box.right()) & (y > box.top()) & (y < box.bottom())).sum())


def _elided(name: str, entry: str) -> str:
    """Return an entry with the middle of its name left out where that is long."""
    if len(name) <= _LONGEST_NAME:
        return entry
    half = _LONGEST_NAME // 2
    return f"{name[: half - 1]}…{name[-half:]}{entry[len(name) :]}"
