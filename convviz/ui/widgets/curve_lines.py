"""Curves: their points, the looks that are theirs, and the lines that are drawn of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QByteArray, QDataStream, Qt
from PySide6.QtGui import QColor, QPainter, QPalette, QPen, QPolygonF

from convviz.core.plotting import LARGEST, thinned
from convviz.ui import theme

Values = npt.NDArray[np.float64]

FAR = 50
"""So many times the height of a plot a line may leave it: Qt paints up to 32 767 px."""

PIECE = 8
"""So many segments of a wide or dashed line are drawn at once."""

NARROW_LINE = 0.125
"""Width of a thin line in spacing units: one pixel at 100 %."""


class Ink(Enum):
    """A colour of the theme."""

    BLUE = "blue"
    AMBER = "amber"
    TEAL = "teal"
    TEXT = "text"
    MUTED = "muted"

    def color(self, palette: QPalette) -> QColor:
        """Return the colour that goes with a palette."""
        match self:
            case Ink.BLUE:
                return palette.color(QPalette.ColorRole.Highlight)
            case Ink.AMBER:
                return theme.colors(palette).window
            case Ink.TEAL:
                return theme.colors(palette).receptive_field
            case Ink.TEXT:
                return palette.color(QPalette.ColorRole.WindowText)
            case Ink.MUTED:
                return theme.colors(palette).muted


@dataclass(frozen=True)
class CurveLook:
    """How a curve is drawn.

    Attributes:
        ink: its colour.
        dashes: lengths of lines and gaps in turn, in line widths; none for a solid line.
        width: in spacing units.
        strength: 1 for the colour itself, less for one nearer to the background.
        points: whether its points are marked.
        beside: whether it is named in the corner of the plot instead of in the heading.
    """

    ink: Ink
    dashes: tuple[float, ...] = ()
    width: float = 2 * NARROW_LINE
    strength: float = 1.0
    points: bool = False
    beside: bool = False

    def pen(self, palette: QPalette) -> QPen:
        """Return the pen for a palette, at today's scale; it is kept, and not to be changed."""
        return _pen(self, self.ink.color(palette).rgb(), theme.colors(palette).surface.rgb(), self.line_px())

    def line_px(self) -> float:
        """Return the width of the line in px."""
        return max(1.0, self.width * theme.unit())


LOOKS = (
    CurveLook(Ink.BLUE),
    CurveLook(Ink.AMBER, (4, 2)),
    CurveLook(Ink.TEAL, (1, 2)),
    CurveLook(Ink.TEXT, (4, 2, 1, 2)),
)
"""The looks that curves are given in turn, different in more than their colour."""


@lru_cache(maxsize=64)
def _pen(look: CurveLook, ink: int, ground: int, width: float) -> QPen:
    pen = QPen(_mixed(QColor(ink), QColor(ground), look.strength), width)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    if look.dashes:
        pen.setDashPattern(look.dashes)
    return pen


def _mixed(color: QColor, ground: QColor, share: float) -> QColor:
    """Return an opaque colour between two: a transparent pen is many times as slow."""
    pairs = ((color.red(), ground.red()), (color.green(), ground.green()), (color.blue(), ground.blue()))
    return QColor(*(round(share * one + (1 - share) * other) for one, other in pairs))


@dataclass(frozen=True, eq=False)
class Curve:
    """A named curve.

    Attributes:
        name: how it is called in the heading.
        x: the places (N,), ascending.
        y: the values (N,).
        look: how it is drawn.
    """

    name: str
    x: Values
    y: Values
    look: CurveLook

    def __eq__(self, other: object) -> bool:
        """Return whether another curve has the same name, look and points."""
        return (
            isinstance(other, Curve)
            and (self.name, self.look) == (other.name, other.look)
            and np.array_equal(self.x, other.x)
            and np.array_equal(self.y, other.y, equal_nan=True)
        )

    __hash__ = None  # type: ignore[assignment]  # the points may be many

    def shown(self, log_y: bool) -> Curve:
        """Return the curve without the points that have no place: see `CurvePlot.show_curves`."""
        kept = np.isfinite(self.x) & (np.abs(self.y) <= LARGEST)
        if log_y:
            kept &= self.y >= 1 / LARGEST
        return self if kept.all() else Curve(self.name, self.x[kept], self.y[kept], self.look)

    def read(self, x: float) -> int | None:
        """Return the index of the last point up to ``x``, unless another one were due by then."""
        k = int(np.searchsorted(self.x, x, side="right")) - 1
        if k < 0:
            return None
        if k < len(self.x) - 1:
            return k
        last = float(self.x[k])
        return k if x == last or x < 2 * last - (float(self.x[k - 1]) if k else 0.0) else None


@dataclass(frozen=True)
class Scale:
    """The straight way from numbers, or their logarithms, to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def numbers(self, values: Values) -> Values:
        """Return values as numbers along the axis."""
        numbers: Values = np.log10(values) if self.log else values
        return numbers

    def px(self, numbers: Values) -> Values:
        """Return pixels; what lies far outside is brought as near as Qt can paint it."""
        span = self.high - self.low
        inside = np.clip(numbers, self.low - FAR * span, self.high + FAR * span)
        pixels: Values = self.start + (inside - self.low) * ((self.end - self.start) / span)
        return pixels

    def at(self, number: float) -> float:
        """Return the pixel of a number."""
        return self.start + (number - self.low) / (self.high - self.low) * (self.end - self.start)

    def number(self, px: float) -> float:
        """Return the number at a pixel."""
        return self.low + (px - self.start) / (self.end - self.start) * (self.high - self.low)


@dataclass(frozen=True, eq=False)
class Line:
    """A curve as it is drawn.

    Attributes:
        curve: what is drawn.
        scales: of both axes.
        pixels: the points (2, N) px that the line passes.
        begin: the index of the curve's point at which its last column of pixels begins, see `thinned`.
        dotted: whether its points are marked.
    """

    curve: Curve
    scales: tuple[Scale, Scale]
    pixels: Values
    begin: int
    dotted: bool

    @classmethod
    def of(cls, curve: Curve, scales: tuple[Scale, Scale], before: Line | None) -> Line:
        """Return the line of a curve with points; where it is that of ``before``, only grown, the rest is made anew."""
        (x, y), look = scales, curve.look
        start = before.begin if before is not None and before.goes_on_as(curve, scales) else 0
        columns = max(1, int((x.end - x.start) / look.line_px()))
        xs, ys, begin = thinned(curve.x, curve.y, x.low, x.high, columns, start)
        pixels = np.stack([x.px(xs), y.px(y.numbers(ys))])
        if before is not None and start:
            pixels = np.concatenate([before.pixels[:, :-3], pixels], axis=1)
        dotted = look.points and pixels.shape[1] * 1.5 * theme.unit() < x.end - x.start
        return cls(curve, scales, pixels, begin, dotted)

    def goes_on_as(self, curve: Curve, scales: tuple[Scale, Scale]) -> bool:
        """Return whether a curve is this one with more points, in the same place."""
        count = len(self.curve.x)
        return (
            (self.curve.look, self.scales) == (curve.look, scales)
            and np.array_equal(self.curve.x, curve.x[:count])
            and np.array_equal(self.curve.y, curve.y[:count])
        )


def _polygon(pixels: Values) -> QPolygonF:
    """Return points (2, N) for a painter, read as a whole: made one by one, they take longer than to be drawn."""
    numbers = np.ascontiguousarray(pixels.T, dtype=">f8").tobytes()
    polygon = QPolygonF()
    stream = QDataStream(QByteArray(pixels.shape[1].to_bytes(4, "big") + numbers))
    stream >> polygon
    return polygon


def draw_pieces(painter: QPainter, pen: QPen, pixels: Values, first: int) -> None:
    """Draw a line through points (2, N), from the point ``first`` on, a multiple of `PIECE`.

    A wide one is drawn piece by piece: Qt forms the outline of the whole, and for a noisy curve of 400 points that
    takes 20 ms, its pieces 1.5 ms. So is a dashed one: its dashes are then the same wherever it is begun.
    """
    polygon = _polygon(pixels[:, first:])
    starts = range(0, polygon.size() - 1, PIECE)
    painter.setPen(pen)
    if pen.style() == Qt.PenStyle.CustomDashLine:
        pen = QPen(pen)
        lengths = np.hypot(*np.diff(pixels, axis=1)) / pen.widthF()
        along = np.concatenate([[0], np.cumsum(lengths)])[first:].tolist()
        for start in starts:
            pen.setDashOffset(along[start])
            painter.setPen(pen)
            painter.drawPolyline(polygon.mid(start, PIECE + 1))
    elif pen.widthF() > 1:
        for start in starts:
            painter.drawPolyline(polygon.mid(start, PIECE + 1))
    else:
        painter.drawPolyline(polygon)
