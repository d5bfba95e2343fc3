"""Shares of classes as horizontal bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent, QPalette, QResizeEvent
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QSizePolicy, QToolTip, QWidget

from convviz.ui import theme
from convviz.ui.widgets.numerals import draw_line
from convviz.ui.widgets.tooltips import plain

ROW, LEAST_BAR = 2.5, 5.0
"""Height of a row and least length of a bar, in units."""
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


class ClassBars(QAbstractScrollArea):
    """Shows a share, 0 to 1 or NaN, for each name: the name, a bar, the percentage. Scrolls where rows have no room."""

    def __init__(self, name: str, tooltip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: tuple[str, ...] = ()
        self._shares: list[float] = []
        self._bold: int | None = None
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

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the rows in view."""
        painter, unit, row = QPainter(self.viewport()), theme.unit(), self._row
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        top, width = self.verticalScrollBar().value(), self._width
        name_width, percent_width = self._name_width(), self._percent_width()
        groove = QRectF(name_width + unit, 0, width - name_width - percent_width - 2 * unit, 1.25 * unit)
        first, last = top // row, min(len(self._names), (top + self.viewport().height()) // row + 1)
        for k in range(first, last):
            line = QRectF(0, k * row - top, width, row)
            groove.moveTop(line.center().y() - groove.height() / 2)
            self._paint_row(painter, k, line, groove, name_width)

    def _paint_row(self, painter: QPainter, k: int, line: QRectF, groove: QRectF, name_width: float) -> None:
        share, corner = self._shares[k], 0.35 * theme.unit()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colors(self.palette()).border)
        painter.drawRoundedRect(groove, corner, corner)
        if share > 0:
            painter.setBrush(self.palette().color(QPalette.ColorRole.Highlight))
            painter.drawRoundedRect(
                QRectF(groove.topLeft(), QPointF(groove.left() + share * groove.width(), groove.bottom())),
                corner,
                corner,
            )
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        font = theme.font(bold=k == self._bold)
        painter.setFont(font)
        draw_line(painter, line, shortened(self._names[k], font, name_width), font)
        font = theme.font()
        painter.setFont(font)
        draw_line(painter, line, percent(share), font, right=True)

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
