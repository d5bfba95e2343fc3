"""Shares of classes as horizontal bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent, QPalette, QResizeEvent
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QSizePolicy, QToolTip, QWidget

from convviz.ui import theme
from convviz.ui.widgets.numerals import draw_line
from convviz.ui.widgets.tooltips import plain

ROW, GROOVE, LEAST_BAR = 2.5, 1.25, 5.0
"""Height of a row and of a bar, and its least length, in units."""
MOST_NAME = 16.0
FEWEST_ROWS = 4


def percent(share: float, digits: int = 0) -> str:
    """Return a share as a percentage: “71 %”, “<1 %” for what is next to nothing; “–” where there is none (NaN)."""
    if math.isnan(share):
        return "–"
    text = f"{100 * share:.{digits}f}"
    return f"<{10**-digits:g} %" if share > 0 and not float(text) else f"{text} %"


def shortened(text: str, font: QFont, room: float) -> str:
    """Return a line of text as it fits a room in px: with an ellipsis in its middle if it is longer."""
    if theme.text_width(font, text) <= room:
        return text
    return QFontMetricsF(font).elidedText(text, Qt.TextElideMode.ElideMiddle, room)


class _Row(NamedTuple):
    """What a row shows; the bar's length is in px."""

    name: str
    percent: str
    bold: bool
    bar: float


class ClassBars(QAbstractScrollArea):
    """Shows a share, 0 to 1 or NaN, for each name: the name, a bar, the percentage. Scrolls where rows have no room."""

    def __init__(self, name: str, tooltip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: tuple[str, ...] = ()
        self._shares: list[float] = []
        self._bold: int | None = None
        self._painted: dict[int, _Row] = {}
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setBackgroundRole(QPalette.ColorRole.Window)
        self.setAccessibleName(name)
        self.setToolTip(tooltip)

    def show_shares(self, names: Sequence[str], shares: NDArray[np.floating], bold: int | None = None) -> None:
        """Show other shares (K,) of as many names, one of which may be bold."""
        rows_before, self._names = len(self._names), tuple(names)
        self._shares, self._bold = shares.tolist(), bold
        self.setAccessibleDescription(
            ", ".join(f"{name} {percent(share)}" for name, share in zip(self._names, self._shares, strict=True))
        )
        if len(self._names) != rows_before:
            self.updateGeometry()
            self._range()
            self.viewport().update()
        groove = self._groove
        for k in range(len(self._names)):
            if self._painted.get(k) != self._row_of(k, groove):
                self.viewport().update(self._line(k).toAlignedRect())

    @property
    def _row(self) -> int:
        return round(ROW * theme.unit())

    def sizeHint(self) -> QSize:
        """Return room for all rows."""
        return QSize(round(24 * theme.unit()), self._row * max(FEWEST_ROWS, len(self._names)))

    def minimumSizeHint(self) -> QSize:
        """Return room for a few rows."""
        return QSize(round(22 * theme.unit()), self._row * min(FEWEST_ROWS, max(1, len(self._names))))

    def _range(self) -> None:
        bar, height = self.verticalScrollBar(), self.maximumViewportSize().height()
        bar.setRange(0, max(0, self._row * len(self._names) - height))
        bar.setPageStep(height)
        bar.setSingleStep(self._row)

    def _name_width(self) -> float:
        unit, font = theme.unit(), theme.font(bold=True)
        longest = max((theme.text_width(font, name) for name in self._names), default=0.0)
        room = self._width - self._percent_width() - (LEAST_BAR + 2) * unit
        return max(4 * unit, min(longest, MOST_NAME * unit, room))

    @property
    def _width(self) -> float:
        """The width of a row, which keeps its distance from the scroll bar."""
        return self.viewport().width() - 0.5 * theme.unit()

    @staticmethod
    def _percent_width() -> float:
        return theme.text_width(theme.font(), percent(1.0))

    @property
    def _groove(self) -> QRectF:
        """Where bars lie in a row, which ends where the percentages begin."""
        unit, left = theme.unit(), self._name_width() + theme.unit()
        height = GROOVE * unit
        return QRectF(left, (self._row - height) / 2, self._width - self._percent_width() - unit - left, height)

    def _line(self, k: int) -> QRectF:
        """Return where a row lies."""
        return QRectF(0, k * self._row - self.verticalScrollBar().value(), self._width, self._row)

    def _row_of(self, k: int, groove: QRectF) -> _Row:
        share = self._shares[k]
        bar = 0.0 if math.isnan(share) else round(2 * share * groove.width()) / 2
        return _Row(self._names[k], percent(share), k == self._bold, bar)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the rows in view that are to be painted anew."""
        first = self.verticalScrollBar().value() // self._row
        last = min(len(self._names), first + self.viewport().height() // self._row + 2)
        lines = {
            k: line for k in range(first, last) if event.region().intersects((line := self._line(k)).toAlignedRect())
        }
        groove = self._groove
        self._painted |= {k: self._row_of(k, groove) for k in lines}
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_bars(painter, lines, groove)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        self._paint_names(painter, lines, groove.left() - theme.unit())
        font = theme.font()
        painter.setFont(font)
        for k, line in lines.items():
            draw_line(painter, line, self._painted[k].percent, font, right=True)

    def _paint_bars(self, painter: QPainter, lines: dict[int, QRectF], groove: QRectF) -> None:
        corner = 0.35 * theme.unit()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colors(self.palette()).border)
        for line in lines.values():
            painter.drawRoundedRect(groove.translated(line.topLeft()), corner, corner)
        painter.setBrush(self.palette().color(QPalette.ColorRole.Highlight))
        for k, line in lines.items():
            if length := self._painted[k].bar:
                bar = QRectF(groove.topLeft() + line.topLeft(), QSizeF(length, groove.height()))
                painter.drawRoundedRect(bar, corner, corner)

    def _paint_names(self, painter: QPainter, lines: dict[int, QRectF], room: float) -> None:
        fonts = theme.font(), theme.font(bold=True)
        for bold, font in enumerate(fonts):
            painter.setFont(font)
            for k, line in lines.items():
                if self._painted[k].bold == bold:
                    draw_line(painter, line, shortened(self._names[k], font, room), font)

    def viewportEvent(self, event: QEvent) -> bool:
        """Show a name in full that is shortened."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            k = (event.pos().y() + self.verticalScrollBar().value()) // self._row
            if k < len(self._names):
                name = self._names[k]
                if shortened(name, theme.font(bold=k == self._bold), self._name_width()) != name:
                    QToolTip.showText(event.globalPos(), plain(name), self)
                    return True
        return super().viewportEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Scroll over another height."""
        self._range()

    def changeEvent(self, event: QEvent) -> None:
        """Follow palette and font."""
        if event.type() in {QEvent.Type.PaletteChange, QEvent.Type.FontChange}:
            self._range()
            self.updateGeometry()
            self.viewport().update()
        super().changeEvent(event)
