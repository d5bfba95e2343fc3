"""Shares of classes as horizontal bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QRect, QRectF, QSize, Qt
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
    bold: bool
    percent: str
    bar: float


class ClassBars(QAbstractScrollArea):
    """Shows a share, 0 to 1 or NaN, for each name: the name, a bar, the percentage. Scrolls where rows have no room."""

    def __init__(self, name: str, tooltip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: tuple[str, ...] = ()
        self._shares: list[float] = []
        self._bold: int | None = None
        self._groove = (0.0, 0.0)  # where bars begin, and where the room for the percentages ends them
        self._rows: list[_Row] = []
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setBackgroundRole(QPalette.ColorRole.Window)
        self.setAccessibleName(name)
        self.setToolTip(tooltip)

    def show_shares(self, names: Sequence[str], shares: NDArray[np.floating], bold: int | None = None) -> None:
        """Show other shares (K,) of as many names, one of which may be bold."""
        rows, groove, self._names = self._rows, self._groove, tuple(names)
        self._shares, self._bold = shares.tolist(), bold
        if len(self._names) != len(rows):
            self.updateGeometry()
            self._range()
        self._lay_out()
        self.setAccessibleDescription(", ".join(f"{row.name} {row.percent}" for row in self._rows))
        if len(self._rows) != len(rows) or self._groove != groove:
            self.viewport().update()
            return
        top, height, width = self.verticalScrollBar().value(), self._row, self.viewport().width()
        for k, (row, before) in enumerate(zip(self._rows, rows, strict=True)):
            if row != before:
                left = int(groove[0]) if row[:2] == before[:2] else 0
                self.viewport().update(left, k * height - top, width - left, height)

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

    def _lay_out(self) -> None:
        """Find out what is to be seen of all rows, in today's width."""
        left = self._name_width() + theme.unit()
        right = self._width - self._percent_width() - theme.unit()
        self._groove = left, right
        lengths = (0.0 if math.isnan(share) else round(2 * share * (right - left)) / 2 for share in self._shares)
        bold = (k == self._bold for k in range(len(self._names)))
        self._rows = list(map(_Row, self._names, bold, map(percent, self._shares), lengths))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint what is to be painted anew of the rows in view: where only shares have changed, not the names."""
        region, font, name_end = event.region(), theme.font(), self._groove[0] - theme.unit()
        top, height, width = self.verticalScrollBar().value(), self._row, self.viewport().width()
        first, last = top // height, (top + self.viewport().height()) // height + 1
        lines = [
            (QRectF(0, k * height - top, self._width, height), row)
            for k, row in enumerate(self._rows[first:last], first)
            if region.intersects(QRect(0, k * height - top, width, height))
        ]
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_bars(painter, lines)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        if region.boundingRect().left() < name_end:
            self._paint_names(painter, lines, name_end)
        painter.setFont(font)
        for line, row in lines:
            draw_line(painter, line, row.percent, font, right=True)

    def _paint_bars(self, painter: QPainter, lines: list[tuple[QRectF, _Row]]) -> None:
        (left, right), thickness, corner = self._groove, GROOVE * theme.unit(), 0.35 * theme.unit()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colors(self.palette()).border)
        for line, _ in lines:
            painter.drawRoundedRect(
                QRectF(left, line.center().y() - thickness / 2, right - left, thickness), corner, corner
            )
        painter.setBrush(self.palette().color(QPalette.ColorRole.Highlight))
        for line, row in lines:
            if row.bar:
                painter.drawRoundedRect(
                    QRectF(left, line.center().y() - thickness / 2, row.bar, thickness), corner, corner
                )

    def _paint_names(self, painter: QPainter, lines: list[tuple[QRectF, _Row]], room: float) -> None:
        for bold in (False, True):
            font = theme.font(bold=bold)
            painter.setFont(font)
            for line, row in lines:
                if row.bold == bold:
                    draw_line(painter, line, shortened(row.name, font, room), font)

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
        """Fill another width, and scroll over another height."""
        self._range()
        self._lay_out()

    def changeEvent(self, event: QEvent) -> None:
        """Follow palette and font."""
        if event.type() in {QEvent.Type.PaletteChange, QEvent.Type.FontChange}:
            self._range()
            self._lay_out()
            self.updateGeometry()
            self.viewport().update()
        super().changeEvent(event)
