"""Curves that grow while something learns: a loss, an error, an accuracy over steps or epochs."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QEvent, QLineF, QObject, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from convviz.core.numbers import format_number
from convviz.ui import theme
from convviz.ui.widgets.numerals import draw_line

Values = npt.NDArray[np.float64]

SMOOTH_UP_TO = 300
"""Longer curves are drawn one pixel thin and not smoothed: a smooth one of 2 000 points takes 0.1 s."""

LINES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine)

LARGEST = 1e100
"""Values up to this magnitude are shown; the axes have no numbers for much larger ones."""


@cache
def _pyqtgraph() -> Any:
    """Return the plotting library, loaded with the first plot: that takes a third of a second."""
    return importlib.import_module("pyqtgraph")


def log_ticks(low: float, high: float) -> list[float]:
    """Return the places of the ticks of a logarithmic axis that shows 10 to the power of ``low`` to that of ``high``.

    They stand at powers of ten; where few are in view also at 2 and 5 times those; within less at even distances.
    """
    if high - low >= 3:
        step = math.ceil((high - low) / 7)
        return [float(k) for k in range(step * math.ceil(low / step), math.floor(high) + 1, step)]
    places = [k + math.log10(m) for k in range(math.floor(low), math.ceil(high)) for m in (1, 2, 5)]
    places = [place for place in places if low <= place <= high]
    if len(places) >= 2:
        return places
    least = (10**high - 10**low) / 4
    power = 10 ** math.floor(math.log10(least))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= least)
    return [math.log10(k * step) for k in range(math.ceil(10**low / step), math.floor(10**high / step) + 1)]


@dataclass(frozen=True, eq=False)
class _Curve:
    """The points of one curve, the ones that cannot be shown left out, and the item that draws them."""

    x: Values
    y: Values
    item: Any

    def at(self, x: float) -> float | None:
        """Return the value at ``x``, if there is a point exactly there."""
        k = int(np.searchsorted(self.x, x))
        return float(self.y[k]) if k < len(self.x) and self.x[k] == x else None


class CurvePlot(QWidget):
    """Named curves over one axis. The heading reads their last values, or those at the pointer or the arrow keys.

    Without Qt's own interaction: it always shows all points, and no menu or drag can change that.
    """

    def __init__(self, title: str, x_title: str, parent: QWidget | None = None) -> None:
        """Make a plot without curves; ``x_title`` names what is counted along the axis, "step" or "epoch"."""
        super().__init__(parent)
        pg = _pyqtgraph()
        self._title, self._x_title = title, x_title
        self._log_y = False
        self._curves: dict[str, _Curve] = {}
        self._chosen_x: float | None = None
        self._heading = _Heading(title, self)
        self._view = pg.ViewBox(enableMenu=False, enableMouse=False)
        self._left, self._bottom = pg.AxisItem("left"), pg.AxisItem("bottom")
        self._left.tickStrings = self._value_texts
        self._left.logTickValues = lambda low, high, size, ticks: [(None, log_ticks(low, high))]
        self._bottom.tickStrings = lambda values, scale, spacing: [format_number(value) for value in values]
        self._bottom.tickSpacing = self._whole_spacing
        self._bottom.enableAutoSIPrefix(False)  # steps are counted as they are
        self._bottom.setLabel(x_title)
        self._cursor = pg.InfiniteLine(angle=90)
        self._points = pg.ScatterPlotItem()
        self._points.setZValue(1)
        for item in (self._cursor, self._points):
            self._view.addItem(item, ignoreBounds=True)
        self._graphics = pg.GraphicsLayoutWidget(self)
        for row, col, item in ((0, 0, self._left), (0, 1, self._view), (1, 1, self._bottom)):
            self._graphics.addItem(item, row, col)
        for axis in (self._left, self._bottom):
            axis.linkToView(self._view)
            axis.setZValue(self._view.zValue() - 1)  # its grid lies under the curves
        self._graphics.ci.layout.setSpacing(0)
        for part in (self._graphics, self._graphics.viewport()):
            part.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._graphics.viewport().installEventFilter(self)
        self._column = QVBoxLayout(self)
        self._column.addWidget(self._heading)
        self._column.addWidget(self._graphics, 1)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._restyle()

    # ---- content

    def set_curve(self, name: str, x: npt.ArrayLike, y: npt.ArrayLike) -> None:
        """Show a curve through the points ``x`` (ascending) and ``y``, of one length, in place of the one of that name.

        Points that are not finite or beyond `LARGEST`, or on a logarithmic axis not positive, are left out.
        """
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if name in self._curves:
            item = self._curves[name].item
        else:
            item = _pyqtgraph().PlotDataItem()
            item.setDownsampling(auto=True, method="peak")
            self._view.addItem(item)
        shown = np.isfinite(x) & (np.abs(y) <= LARGEST) & ((y > 0) | (not self._log_y))
        self._curves[name] = _Curve(x[shown], y[shown], item)
        self._draw(name)
        self._read()

    def clear(self) -> None:
        """Take all curves away."""
        for curve in self._curves.values():
            self._view.removeItem(curve.item)
        self._curves.clear()
        self._view.setRange(xRange=(0, 1), yRange=(0, 1))
        self._view.enableAutoRange()
        self.read_at(None)

    def set_log_y(self, on: bool) -> None:
        """Make the value axis logarithmic, or linear, and take all curves away."""
        self._log_y = on
        self._left.setLogMode(None, on)
        self.clear()

    def read_at(self, x: float | None) -> None:
        """Read the curves at the point nearest to ``x``, or at their ends."""
        points = self._all_x()
        self._chosen_x = float(points[np.abs(points - x).argmin()]) if x is not None and points.size else None
        self._read()

    @property
    def reading(self) -> str:
        """What the heading says: the place on the axis, and each curve with its value there."""
        return self._heading.text

    def _all_x(self) -> Values:
        return np.unique(np.concatenate([curve.x for curve in self._curves.values()] or [np.empty(0)]))

    def _axis_y(self, y: npt.ArrayLike) -> Values:
        """Return values as places on the axis."""
        return np.log10(y) if self._log_y else np.asarray(y, dtype=np.float64)

    def _draw(self, name: str) -> None:
        curve = self._curves[name]
        smooth = len(curve.x) <= SMOOTH_UP_TO
        pen = self._pen(name, 0.25 * theme.unit() if smooth else 1.0)
        curve.item.setData(curve.x, self._axis_y(curve.y), pen=pen, antialias=smooth)

    def _read(self) -> None:
        """Say the values, and mark where they are read."""
        x, marks, entries = self._chosen_x, [], []
        for name, curve in self._curves.items():
            place = x if x is not None else curve.x[-1] if curve.x.size else None
            value = curve.at(place) if place is not None else None
            text = name if value is None else f"{name} {format_number(value)}"
            entries.append((self._pen(name, 0.25 * theme.unit()), text))
            if value is not None:
                color = self._color(name)
                marks.append({"pos": (place, self._axis_y(value)), "pen": color, "brush": color})
        self._points.setData(marks, size=0.9 * theme.unit(), antialias=True)
        self._cursor.setVisible(x is not None)
        if x is not None:
            self._cursor.setPos(x)
        points = self._all_x()
        at = "" if not points.size else f"{self._x_title} {format_number(points[-1] if x is None else x, 6)}"
        self._heading.show_reading(at, entries)
        self.setAccessibleName(f"{self._title}: {self.reading}")

    # ---- axes

    def _value_texts(self, values: list[float], scale: float, spacing: float | None) -> list[str]:
        return [format_number(10**value if self._log_y else value, 3) for value in values]

    def _whole_spacing(self, low: float, high: float, size: float) -> list[tuple[float, float]]:
        """Return the distances of ticks along the axis, which counts in whole numbers."""
        spacing = type(self._bottom).tickSpacing(self._bottom, low, high, size)
        return [level for level in spacing if level[0] >= 1] or [(1.0, 0.0)]

    # ---- look

    def sizeHint(self) -> QSize:
        """Return a size at which a curve can be followed."""
        unit = theme.unit()
        return QSize(round(48 * unit), round(34 * unit))

    def minimumSizeHint(self) -> QSize:
        """Return the least size at which axes and heading can be read."""
        unit = theme.unit()
        return QSize(round(31 * unit), round(20 * unit))

    def _color(self, name: str) -> QColor:
        colors = theme.colors(self.palette())
        inks = (
            self.palette().color(QPalette.ColorRole.Highlight),
            colors.window,
            colors.receptive_field,
            self.palette().color(QPalette.ColorRole.WindowText),
        )
        return inks[list(self._curves).index(name) % len(inks)]

    def _pen(self, name: str, width: float) -> QPen:
        """Return the line of a curve, which differs from the others in more than its colour."""
        pen = QPen(self._color(name), width, LINES[list(self._curves).index(name) % len(LINES)])
        pen.setCosmetic(True)
        return pen

    def _restyle(self) -> None:
        unit, colors = theme.unit(), theme.colors(self.palette())
        for axis in (self._left, self._bottom):
            axis.setPen(QPen(colors.border, 1))
            axis.setTickPen(QPen(colors.border, 1))
            axis.setTextPen(QPen(colors.muted, 1))
            axis.setStyle(tickFont=theme.font(0.75), tickLength=0, maxTickLevel=0)
        self._left.setGrid(255)
        self._left.setWidth(5 * unit)
        self._bottom.setHeight(4 * unit)
        self._bottom.label.setFont(theme.font(0.85))
        self._bottom.label.setDefaultTextColor(colors.muted)
        self._cursor.setPen(color=colors.muted, width=1)
        self._graphics.setBackground(colors.surface)
        self._column.setContentsMargins(round(1.5 * unit), round(unit), round(unit), round(unit / 2))
        self._column.setSpacing(0)
        for name in self._curves:
            self._draw(name)
        self._read()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the card and, with the keyboard here, its frame."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors, unit = theme.colors(self.palette()), theme.unit()
        highlight = self.palette().color(QPalette.ColorRole.Highlight)
        painter.setPen(QPen(highlight, 2) if self.hasFocus() else QPen(colors.border, 1))
        painter.setBrush(colors.surface)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), unit, unit)

    # ---- events

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange} and hasattr(self, "_column"):
            self._restyle()
            self.updateGeometry()
        super().changeEvent(event)

    def event(self, event: QEvent) -> bool:
        """Keep the arrow keys, which step elsewhere, for the plot that has the focus."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and event.key() in _TURNS:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Read one point further left or right; Escape reads the ends again."""
        points = self._all_x()
        if event.key() in _TURNS and points.size:
            now = int(np.searchsorted(points, points[-1] if self._chosen_x is None else self._chosen_x))
            self.read_at(points[min(len(points) - 1, max(0, now + _TURNS[Qt.Key(event.key())]))])
        elif event.key() == Qt.Key.Key_Escape and self._chosen_x is not None:
            self.read_at(None)
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Read under the pointer, and keep the pointer from everything else that the library would do with it."""
        if event.type() == QEvent.Type.Leave:
            self.read_at(None)
        elif event.type() == QEvent.Type.MouseMove and isinstance(event, QMouseEvent):
            place = self._graphics.mapToScene(event.position().toPoint())
            inside = self._view.sceneBoundingRect().contains(place)
            self.read_at(self._view.mapSceneToView(place).x() if inside else None)
            return True
        elif event.type() in _POINTER_EVENTS:
            event.ignore()
            return True
        return super().eventFilter(watched, event)


_TURNS: Mapping[Qt.Key, int] = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
_POINTER_EVENTS = frozenset(
    {
        QEvent.Type.MouseButtonPress,
        QEvent.Type.MouseButtonRelease,
        QEvent.Type.MouseButtonDblClick,
        QEvent.Type.Wheel,
        QEvent.Type.ContextMenu,
        QEvent.Type.ToolTip,  # the plot's own is shown
    }
)


class _Heading(QWidget):
    """The title, where the curves are read, and each curve's line with its name and value."""

    def __init__(self, title: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._title = title
        self._at = ""
        self._entries: list[tuple[QPen, str]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @property
    def text(self) -> str:
        return ", ".join(part for part in (self._at, *(text for _, text in self._entries)) if part)

    def show_reading(self, at: str, entries: list[tuple[QPen, str]]) -> None:
        self._at, self._entries = at, entries
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(round(20 * theme.unit()), round(5 * theme.unit()))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, unit = QPainter(self), theme.unit()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        first = QRectF(0, 0, self.width() - unit, 2.5 * unit)
        for text, font, color, right in (
            (self._title, theme.font(bold=True), self.palette().color(QPalette.ColorRole.WindowText), False),
            (self._at, theme.font(0.9), theme.colors(self.palette()).muted, True),
        ):
            painter.setFont(font)
            painter.setPen(color)
            draw_line(painter, first, text, font, right)
        font = theme.font(0.85)
        painter.setFont(font)
        column = self.width() / max(1, len(self._entries))
        for k, (line, text) in enumerate(self._entries):
            box = QRectF(k * column, 2.5 * unit, column, 2.5 * unit)
            painter.setPen(line)
            painter.drawLine(QLineF(box.left(), box.center().y(), box.left() + 2.25 * unit, box.center().y()))
            painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
            draw_line(painter, box.adjusted(2.75 * unit, 0, 0, 0), text, font)
