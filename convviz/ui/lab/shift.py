"""The Shift view: nudge the input, and see which cells change after a convolution, after max and average pooling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QObject, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent, QPen, QPolygonF, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from convviz.core import display
from convviz.core.layers import AvgPool2d, Conv2d, MaxPool2d, times
from convviz.core.shift import Fill, ShiftEffect, only_map, shift_input
from convviz.core.window import Pair
from convviz.ui import theme
from convviz.ui.lab.grid_panel import GridPanel
from convviz.ui.lab.state import Array
from convviz.ui.widgets.buttons import Choices, FlatButton
from convviz.ui.widgets.grid_content import GridContent
from convviz.ui.widgets.grid_painter import LINES_FROM_PX
from convviz.ui.widgets.live_text import LiveText
from convviz.ui.widgets.number_grid import ARROWS, NumberGrid

MOST_SHIFT = 3
"""Cells by which the input can be moved each way."""
POOL_SIZES = (2, 3)
CORNERS_FROM_PX = 10
"""Smaller cells have no room for the corner that marks a change."""
LEAST_CELLS, MOST_CELL = 8.0, 10.5
"""The least height of all cells of a map, and the largest side of a cell by itself, in units."""
MOST_BETWEEN = 4.0
"""The most room between two lines of grids, in units."""


@dataclass(frozen=True)
class Slot:
    """What a grid asks for: its cells, the room beside, above and below them, and that of its texts, in px."""

    rows: int
    cols: int
    beside: float
    frame: float
    text: QSize

    def width(self, cell: float) -> float:
        """Return the width with cells of this side."""
        return max(self.text.width(), self.beside + self.cols * cell)


@dataclass(frozen=True)
class Line:
    """Grids side by side, with cells of one size and some px between them altogether."""

    slots: tuple[Slot, ...]
    gaps: float

    def width(self, cell: float) -> float:
        """Return the width with cells of this side."""
        return self.gaps + sum(slot.width(cell) for slot in self.slots)

    def height(self, cell: float) -> float:
        """Return the height with cells of this side."""
        return self.header + max(slot.frame + slot.rows * cell for slot in self.slots)

    @property
    def header(self) -> int:
        """The height of the texts."""
        return max(slot.text.height() for slot in self.slots)


def cell_sizes(blocks: Sequence[Sequence[Line]], width: float, height: float, most: float) -> list[float]:
    """Return the side of the cells of each block of lines, up to ``most`` px: equal ones as large as they all fit.

    Room that is then left lets the cells of a block grow, those of the last one first.
    """

    def fits(cells: Sequence[float]) -> bool:
        lines = [(line, cell) for block, cell in zip(blocks, cells, strict=True) for line in block]
        heights = sum(line.height(cell) for line, cell in lines)
        return heights <= height and all(line.width(cell) <= width for line, cell in lines)

    def fits_in(k: int, cell: float) -> bool:
        return fits([*cells[:k], cell, *cells[k + 1 :]])

    cells = [_largest(lambda cell: fits([cell] * len(blocks)), most)] * len(blocks)
    for k in reversed(range(len(blocks))):
        cells[k] = _largest(partial(fits_in, k), most)
    return cells


def _largest(fits: Callable[[float], bool], most: float) -> float:
    """Return the largest cell that fits, whole px where cells have lines."""
    low, high = 0.0, most
    for _ in range(16):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return float(math.floor(low + 0.01)) if low >= LINES_FROM_PX else low


class CornerMarks(QWidget):
    """Turns down a corner of some cells of a grid, so that they are told apart without colour."""

    def __init__(self, grid: NumberGrid) -> None:
        super().__init__(grid)
        self._grid = grid
        self._cells: NDArray[np.bool_] = np.zeros((1, 1), bool)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        grid.view_changed.connect(self.update)
        grid.installEventFilter(self)

    @property
    def cells(self) -> NDArray[np.bool_]:
        """Which cells (H, W) are marked."""
        return self._cells

    def set_cells(self, cells: NDArray[np.bool_]) -> None:
        """Mark other cells (H, W)."""
        self._cells = cells
        self.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Cover the grid."""
        if event.type() == QEvent.Type.Resize:
            self.resize(self._grid.size())
        return super().eventFilter(watched, event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint a corner on each marked cell in view that is large enough."""
        geometry = self._grid.geometry_of_cells
        if geometry.cell < CORNERS_FROM_PX:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(geometry.viewport)
        view = geometry.visible_cells()
        rows, cols = slice(view.top(), view.bottom() + 1), slice(view.left(), view.right() + 1)
        for row, col in np.argwhere(self._cells[rows, cols]).tolist():
            box = geometry.array_rect(QRect(view.left() + col, view.top() + row, 1, 1))
            paint_corner(painter, self, box)


def paint_corner(painter: QPainter, widget: QWidget, cell: QRectF) -> None:
    """Paint the turned-down corner that marks a changed cell."""
    side = min(1.25 * theme.unit(), 0.4 * cell.width())
    corner = cell.topRight() + QPointF(-0.5, 1)
    painter.setPen(QPen(theme.colors(widget.palette()).surface, 1))
    painter.setBrush(widget.palette().windowText())
    painter.drawPolygon(QPolygonF([corner, corner - QPointF(side, 0), corner + QPointF(0, side)]))


@dataclass(frozen=True)
class Levels:
    """|value| of the strongest colour, of the maps and of their differences, and whether the maps have signs."""

    maps: float
    differences: float
    signed: bool


class Comparison(QObject):
    """Maps of one kind, side by side: before the shift, after it, and the difference."""

    def __init__(self, name: str, parent: QWidget) -> None:
        """Make the three grids; ``name`` is told to screen readers."""
        super().__init__(parent)
        roles = (self.tr("{name} before"), self.tr("{name} after"), self.tr("{name}, difference"))
        self.panels = tuple(GridPanel(role.format(name=name), editable=False, parent=parent) for role in roles)
        self.corners = tuple(CornerMarks(panel.grid) for panel in self.panels[1:])
        for panel in self.panels:
            panel.grid.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            panel.grid.setToolTip(self.tr("Cells with a dark corner changed; Ctrl and the wheel make cells larger."))

    @property
    def shown(self) -> tuple[GridPanel, ...]:
        """The grids that are not hidden."""
        return tuple(panel for panel in self.panels if not panel.isHidden())

    def set_visible(self, on: bool, with_difference: bool = True) -> None:
        """Show or hide the grids."""
        for panel in self.panels[:2]:
            panel.setVisible(on)
        self.panels[2].setVisible(on and with_difference)

    def show_effect(self, effect: ShiftEffect, channel: int, levels: Levels, title: str, details: str) -> None:
        """Show what a shift changed in one channel of some maps; ``details`` follow "before" and "after"."""
        before, after, difference = (maps[channel] for maps in (effect.before, effect.after, effect.difference))
        contents = (
            GridContent(before, levels.maps, levels.signed),
            GridContent(after, levels.maps, levels.signed),
            GridContent(difference, levels.differences),
        )
        texts = (
            (title, self.tr("before") + details),
            (title, self.tr("after") + details),
            (self.tr("Difference"), self.tr("after − before")),
        )
        for panel, content, text in zip(self.panels, contents, texts, strict=True):
            panel.set_texts(*text)
            panel.grid.set_content(content)
        for corners in self.corners:
            corners.set_cells(effect.changed[channel])


class ComparisonTable(QWidget):
    """Places comparisons in lines of two, or below each other where the width is short."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.input = Comparison(self.tr("Input"), self)
        self.conv = Comparison(self.tr("Convolution"), self)
        self.max = Comparison(self.tr("Maximum"), self)
        self.avg = Comparison(self.tr("Average"), self)
        self._announced = QSize()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def minimumSizeHint(self) -> QSize:
        """Return the room that the texts and the smallest cells need."""
        alone = max(line.width(0) for block in self._blocks(paired=False) for line in map(self._line, block))
        width = self.width() if self.testAttribute(Qt.WidgetAttribute.WA_Resized) else math.inf
        lines = [self._line(groups) for block in self._fitting_blocks(width) for groups in block]
        return QSize(round(alone), round(sum(line.height(0) + LEAST_CELLS * theme.unit() for line in lines)))

    def arrange(self) -> None:
        """Place the grids anew, in the middle of the width."""
        blocks = self._fitting_blocks(self.width())
        lines = [[self._line(groups) for groups in block] for block in blocks]
        cells = cell_sizes(lines, self.width(), self.height(), MOST_CELL * theme.unit())
        heights = [line.height(cell) for block, cell in zip(lines, cells, strict=True) for line in block]
        between = min(MOST_BETWEEN * theme.unit(), max(0.0, self.height() - sum(heights)) / max(1, len(heights)))
        y = 0.0
        for block, cell in zip(blocks, cells, strict=True):
            for groups in block:
                y += self._arrange_line(groups, y, cell) + between
        least = self.minimumSizeHint()
        if least != self._announced:
            self._announced = least
            self.updateGeometry()

    def _arrange_line(self, groups: Sequence[Comparison], y: float, cell: float) -> float:
        """Place one line and return its height."""
        line = self._line(groups)
        spare = max(0.0, self.width() - line.width(cell))
        extra = min(2 * theme.unit(), spare / (len(line.slots) + 1))
        x = (spare - extra * (len(line.slots) - 1)) / 2
        for group in groups:
            for panel, slot in zip(group.shown, _slots(group), strict=True):
                height = line.header + slot.frame + slot.rows * cell
                panel.arrange(QRectF(x, y, slot.width(cell), height).toRect(), line.header)
                x += slot.width(cell) + self._gap + extra
            x += self._group_gap - self._gap
        return line.height(cell)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the grids to the new size."""
        self.arrange()

    @property
    def _gap(self) -> float:
        return 0.5 * theme.unit()

    @property
    def _group_gap(self) -> float:
        return 3 * theme.unit()

    def _blocks(self, paired: bool) -> list[list[list[Comparison]]]:
        """Return the comparisons shown, line by line, in blocks whose cells are of one size."""
        pairs = [[self.input, self.conv], [self.max, self.avg]]
        shown = [pair for pair in ([group for group in pair if group.shown] for pair in pairs) if pair]
        return [[pair] if paired else [[group] for group in pair] for pair in shown]

    def _fitting_blocks(self, width: float) -> list[list[list[Comparison]]]:
        paired = self._blocks(paired=True)
        fits = all(self._line(groups).width(0) <= width for block in paired for groups in block)
        return paired if fits else self._blocks(paired=False)

    def _line(self, groups: Sequence[Comparison]) -> Line:
        slots = tuple(slot for group in groups for slot in _slots(group))
        gaps = self._gap * (len(slots) - len(groups)) + self._group_gap * (len(groups) - 1)
        return Line(slots, gaps)


def _slots(group: Comparison) -> list[Slot]:
    slots = []
    for panel in group.shown:
        (rows, cols), frame = panel.grid.content.values.shape, panel.grid.frame
        beside, around = frame.left() + frame.right() + 1, frame.top() + frame.bottom() + 1
        slots.append(Slot(rows, cols, beside, around, QSize(panel.text_width, panel.header_height)))
    return slots


class ShareBar(QWidget):
    """A bar that is filled as far as a share says, behind a cell with the corner that marks what is counted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._share = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @property
    def share(self) -> float:
        """How far the bar is filled, 0 to 1."""
        return self._share

    def set_share(self, share: float) -> None:
        """Fill the bar as far as another share says."""
        self._share = share
        self.update()

    def sizeHint(self) -> QSize:
        """Return a bar about as high as small text."""
        unit = theme.unit()
        return QSize(round(20 * unit), round(1.75 * unit))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the cell, the groove and its filled part."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors, side = theme.colors(self.palette()), float(self.height() - 1)
        cell = QRectF(0.5, 0.5, side, side)
        painter.setPen(QPen(colors.hatch, 1))
        painter.drawRect(cell)
        paint_corner(painter, self, cell)
        groove = QRectF(self.rect()).adjusted(side + theme.unit(), 0.2 * side, 0, -0.2 * side)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.border)
        painter.drawRect(groove)
        painter.setBrush(self.palette().windowText())
        painter.drawRect(QRectF(groove.topLeft(), groove.size()).adjusted(0, 0, (self._share - 1) * groove.width(), 0))


class ResultLine(QWidget):
    """What a shift changed in maps of one kind, in words and as a bar."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name, self.count, self.bar, self.words = QLabel(), QLabel(), ShareBar(), QLabel()
        for label in (self.name, self.count, self.words):
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.words.setWordWrap(True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._head, self._column = QHBoxLayout(), QVBoxLayout(self)
        self._head.addWidget(self.name)
        self._head.addWidget(self.count, 1)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addLayout(self._head)
        self._column.addWidget(self.bar)
        self._column.addWidget(self.words)

    def show_result(self, name: str, count: str, share: float, words: str) -> None:
        """Show how many cells changed, and a sentence about them."""
        self.name.setText(name)
        self.count.setText(count)
        self.bar.set_share(share)
        self.words.setText(words)

    @property
    def head_width(self) -> int:
        """The width that name and count need, px."""
        return self._head.sizeHint().width()

    def restyle(self) -> None:
        """Follow font and palette."""
        unit = theme.unit()
        self.name.setFont(theme.font(bold=True))
        self.count.setFont(theme.font())
        self.words.setFont(theme.font(0.9))
        theme.mute(self.words)
        self.words.setFixedHeight(round(2 * self.words.fontMetrics().lineSpacing() + 0.5 * unit))
        self._head.setSpacing(round(unit))
        self._column.setSpacing(round(0.5 * unit))


class DifferenceStrip(QWidget):
    """The results side by side, or below each other where the width is short, with bars of one length."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.first, self.max, self.avg = ResultLine(), ResultLine(), ResultLine()
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        for result in self._results:
            self._row.addWidget(result, 1)
        self.setAccessibleName(self.tr("What changed"))
        self._restyle()

    def align(self) -> None:
        """Give all bars one length, after names or counts changed."""
        for result in self._results:
            result.setMinimumWidth(self._result_width)
        self._fold()

    @property
    def _results(self) -> tuple[ResultLine, ...]:
        return self.first, self.max, self.avg

    @property
    def _result_width(self) -> int:
        return max(result.head_width for result in self._results)

    def minimumSizeHint(self) -> QSize:
        """Return room for the results below each other in width, and as they lie in height."""
        margins = self._row.contentsMargins()
        return QSize(self._result_width + margins.left() + margins.right(), self._row.minimumSize().height())

    def _fold(self) -> None:
        margins, count = self._row.contentsMargins(), len(self._results)
        needed = count * self._result_width + (count - 1) * self._row.spacing() + margins.left() + margins.right()
        fits = needed <= self.width()
        self._row.setDirection(QBoxLayout.Direction.LeftToRight if fits else QBoxLayout.Direction.TopToBottom)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fold to the new width."""
        self._fold()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint a card."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors, unit = theme.colors(self.palette()), theme.unit()
        painter.setPen(QPen(colors.border, 1))
        painter.setBrush(colors.surface)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 1.5 * unit, 1.5 * unit)

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange} and hasattr(self, "_row"):
            self._restyle()
        super().changeEvent(event)

    def _restyle(self) -> None:
        unit = theme.unit()
        self._row.setContentsMargins(round(2 * unit), round(unit), round(2 * unit), round(unit))
        self._row.setSpacing(round(3 * unit))
        for result in self._results:
            result.restyle()
        self.align()


class ShiftView(QWidget):
    """Moves the Lab's input by a few cells and shows what that changes, before and after pooling."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._input: Array = np.zeros((1, 1, 1))
        self._conv: Conv2d | None = None
        self._channel = self._map_index = 0
        self._shift = (0, 0)
        self._fill: Fill = "zeros"
        self._pool_size = POOL_SIZES[0]
        self.table, self.strip = ComparisonTable(), DifferenceStrip()
        self._make_bar()
        self._column = QVBoxLayout(self)
        self._column.addLayout(self._bar)
        self._column.addWidget(self.table, 1)
        self._column.addWidget(self.strip)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._rescale()
        self._show()

    def _make_bar(self) -> None:
        self.arrows = {
            (0, -1): self._arrow("arrow-left", self.tr("Move left"), self.tr("Move the input one cell left (←).")),
            (-1, 0): self._arrow("arrow-up", self.tr("Move up"), self.tr("Move the input one cell up (↑).")),
            (1, 0): self._arrow("arrow-down", self.tr("Move down"), self.tr("Move the input one cell down (↓).")),
            (0, 1): self._arrow("arrow-right", self.tr("Move right"), self.tr("Move the input one cell right (→).")),
        }
        for (down, right), button in self.arrows.items():
            button.clicked.connect(partial(self.move_by, down, right))
        self.back = self._arrow("center", self.tr("Back"), self.tr("Move the input back to where it was."))
        self.back.clicked.connect(self.move_back)
        self.moved = LiveText()
        self.fill = Choices(
            (
                ("zeros", self.tr("Zeros come in"), self.tr("Cells that come in at the edge are 0.")),
                ("wrap", self.tr("Wrap round"), self.tr("What leaves at one edge comes in at the opposite one.")),
            )
        )
        tip = self.tr("Pool windows of {size} cells, side by side.")
        self.pool = Choices(
            [
                (str(size), self.tr("Pool {size}").format(size=_square(size)), tip.format(size=_square(size)))
                for size in POOL_SIZES
            ]
        )
        self.fill.chosen.connect(self._on_fill)
        self.pool.chosen.connect(self._on_pool)
        self._nudges, self._options = QHBoxLayout(), QHBoxLayout()
        buttons = list(self.arrows.values())
        for part in (*buttons[:2], self.back, *buttons[2:], self.moved):
            self._nudges.addWidget(part)
        self._nudges.addStretch(1)
        self._options.addWidget(self.fill)
        self._options.addWidget(self.pool)
        self._options.addStretch(1)
        self._bar = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._bar.addLayout(self._nudges, 1)
        self._bar.addLayout(self._options)
        for choices in (self.fill, self.pool):
            for button in choices.buttons:
                button.installEventFilter(self)

    def _arrow(self, icon: str, name: str, tooltip: str) -> FlatButton:
        button = FlatButton(icon)
        button.setAccessibleName(name)
        button.setToolTip(tooltip)
        button.installEventFilter(self)
        return button

    # ---- what is shown

    @property
    def shift(self) -> tuple[int, int]:
        """By how many cells the input is moved down and right."""
        return self._shift

    def set_lab(self, input_CHW: Array, conv: Conv2d | None, channel: int, map_index: int) -> None:
        """Show an input (C, H, W) under a convolution, or pooled as it is; the shift stays.

        ``channel`` of the input and map ``map_index`` of the convolution are shown. Nothing is computed anew for the
        same objects.

        Raises:
            ShapeError: the input does not fit the convolution.

        """
        if input_CHW is self._input and conv is self._conv and (channel, map_index) == (self._channel, self._map_index):
            return
        self._input, self._conv, self._channel, self._map_index = input_CHW, conv, channel, map_index
        self._show()

    def move_by(self, down: int, right: int) -> None:
        """Move the input further, up to ``MOST_SHIFT`` cells each way."""
        rows, cols = (
            min(MOST_SHIFT, max(-MOST_SHIFT, at + by)) for at, by in zip(self._shift, (down, right), strict=True)
        )
        self._move_to(rows, cols)

    def move_back(self) -> None:
        """Move the input to where it was."""
        self._move_to(0, 0)

    def _move_to(self, down: int, right: int) -> None:
        if (down, right) != self._shift:
            self._shift = down, right
            self._show()

    def _on_fill(self, fill: str) -> None:
        self._fill = "wrap" if fill == "wrap" else "zeros"
        self._show()

    def _on_pool(self, size: str) -> None:
        self._pool_size = int(size)
        self._show()

    # ---- showing

    def _show(self) -> None:
        self._show_bar()
        effect = shift_input(self._input, *self._shift, self._fill)
        if self._conv is None:
            maps, steps = shift_input(self._input[[self._channel]], *self._shift, self._fill), (1, 1)
            name = self.tr("Input")
        else:
            maps, steps = effect.through(only_map(self._conv, self._map_index)), self._conv.stride
            name = self.tr("Convolution")
        size, table, strip = self._pool_size, self.table, self.strip
        pools = (
            (MaxPool2d(size), table.max, strip.max, self.tr("Max {size}").format(size=_square(size))),
            (AvgPool2d(size), table.avg, strip.avg, self.tr("Average {size}").format(size=_square(size))),
        )
        pooled = [maps.through(layer) if _holds(maps, size) else None for layer, *_ in pools]
        levels = _levels([maps, *filter(None, pooled)])
        self._show_input(effect, levels)
        self._show_conv(maps, levels)
        self._show_result(strip.first, name, maps, steps)
        for (_, comparison, result, title), shown in zip(pools, pooled, strict=True):
            comparison.set_visible(shown is not None)
            if shown is not None:
                comparison.show_effect(shown, 0, levels, title, " · " + times(shown.after.shape[1:]))
            self._show_result(result, title, shown, (steps[0] * size, steps[1] * size))
        table.arrange()
        strip.align()

    def _show_bar(self) -> None:
        down, right = self._shift
        for (by_down, by_right), button in self.arrows.items():
            button.setEnabled(abs(down + by_down) <= MOST_SHIFT and abs(right + by_right) <= MOST_SHIFT)
        self.back.setEnabled(self._shift != (0, 0))
        moved = self.tr("moved {where}")
        text = moved.format(where=self._where(down, right)) if any(self._shift) else self.tr("not moved")
        self.moved.set_text(text, moved.format(where=self._where(MOST_SHIFT, MOST_SHIFT)))
        self.fill.choose(self._fill)
        self.pool.choose(str(self._pool_size))

    def _where(self, down: int, right: int, with_zeros: bool = True) -> str:
        """Return a move in words: "1 right, 0 down", or "1 right" alone."""
        across = self.tr("{count} left") if right < 0 else self.tr("{count} right")
        along = self.tr("{count} up") if down < 0 else self.tr("{count} down")
        parts = [(across, abs(right)), (along, abs(down))]
        return ", ".join(text.format(count=count) for text, count in parts if count or with_zeros)

    def _show_input(self, effect: ShiftEffect, levels: Levels) -> None:
        """Show the input, at ``levels`` where it is what is pooled."""
        channels, comparison = len(self._input), self.table.input
        names = display.names_of_channels(channels)
        details = " · " + self.tr("channel {channel}").format(channel=names[self._channel]) if channels > 1 else ""
        title = self.tr("Input {size}").format(size=times(self._input.shape[1:]))
        comparison.set_visible(True, with_difference=self._conv is None)
        own = _levels([effect]) if self._conv is not None else levels
        comparison.show_effect(effect, self._channel, own, title, details)

    def _show_conv(self, maps: ShiftEffect, levels: Levels) -> None:
        self.table.conv.set_visible(self._conv is not None)
        if self._conv is not None:
            details = " · " + times(maps.after.shape[1:])
            if self._conv.out_channels > 1:
                details += " · " + self.tr("map {index}").format(index=self._map_index)
            self.table.conv.show_effect(maps, 0, levels, self.tr("Convolution"), details)

    def _show_result(self, result: ResultLine, name: str, maps: ShiftEffect | None, steps: Pair) -> None:
        if maps is None:
            result.show_result(name, "", 0.0, self.tr("The map is smaller than the window."))
            return
        count = self.tr("{changed} of {cells} changed").format(changed=maps.num_changed, cells=maps.after.size)
        result.show_result(name, count, maps.share_changed, self._words(maps, steps))

    def _words(self, maps: ShiftEffect, steps: Pair) -> str:
        """Return a sentence about the cells that just moved."""
        if not any(self._shift):
            return ""
        if maps.move is None:
            step = str(steps[0]) if steps[0] == steps[1] else times(steps)
            return self.tr("Windows step by {step}: cells cannot just move by this shift.").format(step=step)
        where = self._where(*maps.move, with_zeros=False)
        if maps.just_moved.all():
            return self.tr("Every cell is an old one, moved {where}.").format(where=where)
        inside = int(np.count_nonzero(maps.inside))
        if not inside:
            return self.tr("Every window reads the border.")
        return self.tr("All {count} inside cells are the old ones, moved {where}.").format(count=inside, where=where)

    # ---- events

    def event(self, event: QEvent) -> bool:
        """Keep the arrow keys, which step the window elsewhere."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and _is_arrow(event):
            event.accept()
            return True
        return super().event(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the arrow keys move the input from a button, too, where they would move the focus."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent) and _is_arrow(event):
            self.keyPressEvent(event)
            return True
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move the input with the arrow keys."""
        if _is_arrow(event):
            self.move_by(*ARROWS[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    def minimumSizeHint(self) -> QSize:
        """Return the width without which something would be cut, and the height at today's width."""
        margins = self._column.contentsMargins()
        rows = [layout.minimumSize() for layout in (self._nudges, self._options)]
        width = max(size.width() for size in (*rows, self.table.minimumSizeHint(), self.strip.minimumSizeHint()))
        return QSize(width + margins.left() + margins.right(), self._column.minimumSize().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the options below the arrows where the width is short."""
        self._fold()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_column"):
            self._rescale()
            self._show_bar()
        super().changeEvent(event)

    def _fold(self) -> None:
        margins, unit = self._column.contentsMargins(), theme.unit()
        needed = self._nudges.sizeHint().width() + self._options.sizeHint().width() + 2 * unit
        fits = needed <= self.width() - margins.left() - margins.right()
        direction = QBoxLayout.Direction.LeftToRight if fits else QBoxLayout.Direction.TopToBottom
        self._bar.setDirection(direction)

    def _rescale(self) -> None:
        unit = round(theme.unit())
        self._column.setContentsMargins(unit, unit, unit, unit)
        for layout in (self._column, self._bar):
            layout.setSpacing(unit)
        self._nudges.setSpacing(round(0.5 * unit))
        self._options.setSpacing(2 * unit)
        self._fold()


def _is_arrow(event: QKeyEvent) -> bool:
    plain = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier
    return event.key() in ARROWS and event.modifiers() in plain


def _holds(maps: ShiftEffect, size: int) -> bool:
    """Whether a pooling window fits the maps."""
    return bool(min(maps.before.shape[1:]) >= size)


def _square(size: int) -> str:
    return times((size, size))


def _levels(effects: Sequence[ShiftEffect]) -> Levels:
    """Return the levels at which all these maps, and all their differences, can be compared."""
    maps = [array for effect in effects for array in (effect.before, effect.after)]
    return Levels(
        max(map(display.signed_levels, maps)),
        max(display.signed_levels(effect.difference) for effect in effects),
        any(map(display.is_signed, maps)),
    )
