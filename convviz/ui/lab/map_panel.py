"""One map on the stack view's canvas: its title, one line about it, the choice of its channel, its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from PySide6.QtCore import QEvent, QMarginsF, QRect, QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import (
    QFont,
    QFontMetricsF,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from convviz.core import display
from convviz.ui import theme
from convviz.ui.lab.stack_layout import MapRoom
from convviz.ui.widgets.buttons import FlatButton, Kind
from convviz.ui.widgets.grid_content import Cell, GridContent
from convviz.ui.widgets.number_grid import NumberGrid, frame_around

Unit: TypeAlias = tuple[int, int] | int
"""A cell (i, j) of every channel of a map, or the unit n of a vector."""

OVERHANG = 1.25
"""Room around the cells in which a field's part in the padding is outlined, in spacing units, as all lengths here."""
TITLE_HEIGHT, FACTS_HEIGHT, SELECTOR_HEIGHT, BUTTON = 3.25, 2.5, 3.5, 3.0
TITLE_INDENT = 0.5
LEAST_WIDTH = 14.0
"""The colour bar with its numbers needs as much."""


@dataclass(frozen=True)
class MapFacts:
    """What is said of a map, and the room it asks for.

    Attributes:
        title: “Input”, or the layer with its number.
        facts: what there is to know about it, the most important first.
        shape: (C, H, W) or (N,).
        channels: how many there are to choose from, 1 where there is no choice.

    """

    title: str
    facts: tuple[str, ...]
    shape: tuple[int, ...]
    channels: int

    @cached_property
    def grid_shape(self) -> tuple[int, int]:
        """Rows and columns shown."""
        return display.grid_shape(self.shape)

    @property
    def row_step(self) -> int:
        """What a row counts for in the numbers beside it."""
        return self.grid_shape[1] if len(self.shape) == 1 else 1

    @property
    def frame(self) -> QMarginsF:
        """The room that the grid takes around its cells, px."""
        return frame_around(0, (self.grid_shape[0] - 1) * self.row_step, OVERHANG)

    def header_height(self, selector: bool) -> int:
        """Return the height of what is above the grid, px."""
        height = TITLE_HEIGHT + FACTS_HEIGHT + (SELECTOR_HEIGHT if selector and self.channels > 1 else 0)
        return round(height * theme.unit())

    def room(self, brief: bool, selector: bool) -> MapRoom:
        """Return the room it asks for: with all its facts or, where ``brief``, with as many as happen to fit."""
        unit, frame = theme.unit(), self.frame
        facts = _joined(self.facts[:1] if brief else self.facts)
        wanted = [LEAST_WIDTH * unit, theme.text_width(_title_font(), self.title) + unit]
        wanted.append(theme.text_width(_facts_font(), facts) + (BUTTON + 1) * unit)
        if selector and self.channels > 1:
            wanted.append(theme.text_width(_facts_font(), f"channel {self.channels} / {self.channels}"))
            wanted[-1] += (2 * BUTTON + 2) * unit
        across = frame.left() + frame.right() + 1
        down = self.header_height(selector) + frame.top() + frame.bottom() + 1
        return MapRoom(*self.grid_shape, QSizeF(across, down), math.ceil(frame.left() + max(wanted)))


def _title_font() -> QFont:
    return theme.font(1.25, bold=True)


def _facts_font() -> QFont:
    return theme.font(0.9)


def _joined(facts: Sequence[str]) -> str:
    return " · ".join(facts)


class TitleButton(FlatButton):
    """A map's title: a click chooses the layer, a double click enlarges the map."""

    double_clicked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(text=" ", kind=Kind.PLAIN, parent=parent)
        self._emphasised = False
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip(self.tr("Click to choose this layer, double-click to enlarge its map."))

    def show_title(self, title: str, emphasised: bool) -> None:
        """Show another title; an emphasised one is underlined in the colour of the current cell."""
        if (title, emphasised) != (self.text(), self._emphasised):
            self.setText(title)
            self.setAccessibleName(title)
            self._emphasised = emphasised
            self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Ask for the map to be enlarged."""
        self.double_clicked.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the title, shortened where it does not fit, and the focus ring."""
        painter, unit, colors = QPainter(self), theme.unit(), theme.colors(self.palette())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = _title_font()
        box = QRectF(self.rect()).adjusted(TITLE_INDENT * unit, 0, 0, 0)
        text = QFontMetricsF(font).elidedText(self.text(), Qt.TextElideMode.ElideRight, box.width())
        painter.setFont(font)
        painter.setPen(colors.window_text if self._emphasised else self.palette().color(QPalette.ColorRole.WindowText))
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
        if self._emphasised or self.underMouse():
            width, line = min(box.width(), theme.text_width(font, text)), 0.25 * unit
            color = colors.window if self._emphasised else colors.border
            painter.fillRect(QRectF(box.left(), box.bottom() - line, width, line), color)
        if self.hasFocus():
            painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Highlight), 2))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 0.5 * unit, 0.5 * unit)


class ChannelSelector(QWidget):
    """Chooses one of a map's channels: a step back, which one it is, a step on; the wheel steps too."""

    chosen = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._channel, self._channels = 0, 1
        self._widest = ""
        self._turned = 0  # eighths of a degree of the wheel that have not made a step yet
        self.previous = FlatButton("previous", kind=Kind.PLAIN, parent=self)
        self.next = FlatButton("next", kind=Kind.PLAIN, parent=self)
        self.previous.setToolTip(self.tr("Show the channel before this one."))
        self.next.setToolTip(self.tr("Show the channel after this one."))
        self.previous.setAccessibleName(self.tr("Previous channel"))
        self.next.setAccessibleName(self.tr("Next channel"))
        self.previous.clicked.connect(lambda: self._step(-1))
        self.next.clicked.connect(lambda: self._step(1))
        self.label = QLabel(self)
        self.label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for widget in (self.previous, self.label, self.next):
            layout.addWidget(widget)
        layout.addStretch()
        self._restyle()

    def show_channel(self, channel: int, channels: int, template: str) -> None:
        """Show which channel it is; ``template`` has {channel}, counted from 1, and {channels}."""
        self._channel, self._channels = channel, channels
        self.label.setText(template.format(channel=channel + 1, channels=channels))
        self._widest = template.format(channel=channels, channels=channels)
        self._restyle()
        self.previous.setEnabled(channel > 0)
        self.next.setEnabled(channel < channels - 1)

    def _step(self, by: int) -> None:
        channel = min(self._channels - 1, max(0, self._channel + by))
        if channel != self._channel:
            self.chosen.emit(channel)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Step, unless the wheel was scrolling the canvas and brought this under the resting pointer."""
        if not self.underMouse():
            event.ignore()
            return
        self._turned -= event.angleDelta().y()
        steps = int(self._turned / 120)
        self._turned -= 120 * steps
        self._step(steps)
        event.accept()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        if event.type() == QEvent.Type.FontChange and hasattr(self, "label"):
            self._restyle()
        super().changeEvent(event)

    def _restyle(self) -> None:
        side = round(BUTTON * theme.unit())
        self.previous.setFixedSize(side, side)
        self.next.setFixedSize(side, side)
        self.label.setFont(_facts_font())
        self.label.setMinimumWidth(math.ceil(theme.text_width(_facts_font(), self._widest) + theme.unit()))


class MapPanel(QWidget):
    """A map of a stack. Which one, and what of it is shown, can be changed, so that few panels serve many maps."""

    cell_chosen = Signal(int, object)  # layer (`INPUT` for the input), cell
    cell_hovered = Signal(int, object)
    layer_chosen = Signal(int)
    channel_chosen = Signal(int, int)  # map (0: the input), channel
    enlarge_requested = Signal(int)  # map

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._index = -1
        self._facts = MapFacts("", (), (1,), 1)
        self._header = 0
        self._state: tuple[object, ...] = ()
        self._hovered: Unit | None = None
        self.title = TitleButton(self)
        self.enlarge = FlatButton("zoom-in", kind=Kind.PLAIN, parent=self)
        self.selector = ChannelSelector(self)
        self.grid = NumberGrid(False, self, OVERHANG)
        self.grid.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.grid.setToolTip(self.tr("Point at a cell to see what it depends on; click it to go there."))
        self.title.clicked.connect(lambda: self.layer_chosen.emit(self._layer))
        self.title.double_clicked.connect(lambda: self.enlarge_requested.emit(self._index))
        self.enlarge.clicked.connect(lambda: self.enlarge_requested.emit(self._index))
        self.selector.chosen.connect(lambda channel: self.channel_chosen.emit(self._index, channel))
        self.grid.cell_clicked.connect(lambda row, col: self._choose((row, col)))
        self.grid.cell_hovered.connect(self._hover)

    @property
    def _layer(self) -> int:
        return self._index - 1

    def show_map(self, index: int, facts: MapFacts, content: GridContent | None, shown: int | None) -> None:
        """Show map ``index`` (0: the input); without content it is still being computed."""
        if index != self._index:
            self.leave()
            self.grid.fit()
            self._index = index
        if facts is not self._facts:
            self._facts = facts
            self.grid.setAccessibleName(facts.title)
            self.grid.setAccessibleDescription(_joined(facts.facts))
            self.update()
        self.grid.setHidden(content is None)
        if content is not None and content is not self.grid.content:
            self.grid.set_content(content, shown)
        else:
            self.grid.set_shown(shown)

    def show_state(self, channel: int, chosen: bool, enlarged: bool) -> None:
        """Show which channel it is, whether its layer is the chosen one, and whether it is alone on the canvas."""
        before, self._state = self._state, (self._index, self._facts, channel, chosen, enlarged)
        if self._state == before:
            return
        self.title.show_title(self._facts.title, chosen)
        one_of = self.tr("map {channel} / {channels}") if self._index else self.tr("channel {channel} / {channels}")
        self.selector.show_channel(channel, self._facts.channels, one_of)
        self.enlarge.set_icon("zoom-out" if enlarged else "zoom-in")
        name = self.tr("Show all maps") if enlarged else self.tr("Enlarge {title}").format(title=self._facts.title)
        self.enlarge.setAccessibleName(name)
        self.enlarge.setToolTip(
            self.tr("Show all maps again (Esc).") if enlarged else self.tr("Show this map alone, as large as can be.")
        )

    def arrange(self, box: QRect, selector: bool) -> None:
        """Take a place on the canvas, with or without the choice of the channel."""
        self.setGeometry(box)
        unit, left = theme.unit(), round(self._facts.frame.left())
        button, header = round(BUTTON * unit), self._facts.header_height(selector)
        start = round(left - TITLE_INDENT * unit)
        self.title.setGeometry(start, 0, box.width() - start, round(TITLE_HEIGHT * unit))
        self.enlarge.setGeometry(box.width() - button, round(TITLE_HEIGHT * unit), button, round(FACTS_HEIGHT * unit))
        self.selector.setVisible(selector and self._facts.channels > 1)
        top = round((TITLE_HEIGHT + FACTS_HEIGHT) * unit)
        self.selector.setGeometry(left, top, box.width() - left, button)
        self.grid.setGeometry(0, header, box.width(), box.height() - header)
        self._header = header
        self.update()

    def leave(self) -> None:
        """Count no cell as being under the pointer."""
        self._hover(None)

    def _unit(self, cell: Cell | None) -> Unit | None:
        if cell is None or len(self._facts.shape) != 1:
            return cell
        unit = cell[0] * self._facts.row_step + cell[1]
        return unit if unit < self._facts.shape[0] else None

    def _choose(self, cell: Cell) -> None:
        unit = self._unit(cell)
        if unit is not None:
            self.cell_chosen.emit(self._layer, unit)

    def _hover(self, cell: Cell | None) -> None:
        unit = self._unit(cell)
        if unit != self._hovered:
            self._hovered = unit
            self.cell_hovered.emit(self._layer, unit)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Write what there is to know; where there are no numbers yet, say so in their place."""
        painter, unit, colors, frame = QPainter(self), theme.unit(), theme.colors(self.palette()), self._facts.frame
        font = _facts_font()
        painter.setFont(font)
        painter.setPen(colors.muted)
        room = self.width() - frame.left() - BUTTON * unit
        line = QRectF(frame.left(), TITLE_HEIGHT * unit, room, FACTS_HEIGHT * unit)
        if event.rect().intersects(line.toAlignedRect()):
            facts = list(self._facts.facts)
            while len(facts) > 1 and theme.text_width(font, _joined(facts)) > line.width():
                facts.pop()
            painter.drawText(line, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, _joined(facts))
        if self.grid.isHidden():
            box = QRectF(self.rect()).adjusted(0, self._header, 0, 0).marginsRemoved(frame)
            painter.fillRect(box, colors.blank)
            text = self.tr("not computed yet")
            if theme.text_width(font, text) > box.width() - unit:
                text = "…"
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
            painter.setPen(colors.border)
            painter.drawRect(box)
