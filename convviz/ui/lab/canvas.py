"""The three grids of the Lab — input, kernel, output — and the connectors between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QLineF, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QRegion, QResizeEvent
from PySide6.QtWidgets import QLabel, QWidget

from convviz.core import display
from convviz.core.explain import MaxExplanation
from convviz.core.layers import Conv2d
from convviz.core.numbers import format_number
from convviz.core.window import Axis
from convviz.ui import theme
from convviz.ui.lab.model import LabModel, Snapshot
from convviz.ui.lab.strip import CHANNEL_NAMES, span_text
from convviz.ui.widgets.grid_content import GridContent, Mark, Role
from convviz.ui.widgets.grid_painter import DIGITS_FROM_PX, connector_pen, line_box
from convviz.ui.widgets.number_grid import NumberGrid

CELL_LIMIT = 84.0
"""Cells are not made larger than this by themselves, px at 100 %."""


@dataclass(frozen=True)
class Column:
    """What a grid asks for: its cells, the room around them and the width of its texts, in px."""

    rows: int
    cols: int
    frame: float
    text: float


def column_widths(columns: tuple[Column, Column, Column], width: float, height: float, gap: float) -> list[float]:
    """Return the widths of input, kernel and output for cells in ``height`` px, with two gaps in ``width`` px.

    Every column is as wide as its texts at least; where the cells do not fit, input and output give way.
    """
    unit = theme.unit()
    cells = [min(CELL_LIMIT * unit / 8, height / column.rows) for column in columns]
    if cells[0] >= DIGITS_FROM_PX:
        cells[1:] = [min(cell, 1.3 * cells[0]) for cell in cells[1:]]
    cells[1] = min(cells[1], max(cells[0], 6 * unit), 0.24 * width / columns[1].cols)
    wanted = [max(column.text, column.cols * cell + column.frame) for column, cell in zip(columns, cells, strict=True)]
    spare = width - 2 * gap - sum(wanted)
    if spare < 0:
        grids = [wanted[0] - columns[0].text, wanted[2] - columns[2].text]
        share = max(0.0, 1 + spare / max(1.0, sum(grids)))
        wanted[0], wanted[2] = columns[0].text + share * grids[0], columns[2].text + share * grids[1]
    return wanted


class GridPanel(QWidget):
    """A titled grid: what it is, one line about it, the numbers."""

    def __init__(self, name: str, editable: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = QLabel(self)
        self._subtitle = QLabel(self)
        self.grid = NumberGrid(editable, self)
        self.grid.setAccessibleName(name)
        for label in (self._title, self._subtitle):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._restyle()

    def set_texts(self, title: str, subtitle: str) -> None:
        """Show another title and another line (or two) under it."""
        self._title.setText(title)
        self._subtitle.setText(subtitle)

    @property
    def header_height(self) -> int:
        """The height that the texts need, px."""
        return self._title.sizeHint().height() + self._subtitle.sizeHint().height() + round(theme.unit() / 2)

    @property
    def text_width(self) -> int:
        """The width that the texts need, px."""
        texts = max(self._title.sizeHint().width(), self._subtitle.sizeHint().width())
        return round(self.grid.frame.left() + max(texts, self.grid.legend_width))

    def arrange(self, box: QRect, header_height: int) -> None:
        """Take a place on the canvas, with the grid below ``header_height`` px of text."""
        self.setGeometry(box)
        left, first = round(self.grid.frame.left()), self._title.sizeHint().height()
        self._title.setGeometry(left, 0, box.width() - left, first)
        self._subtitle.setGeometry(left, first, box.width() - left, header_height - first)
        self.grid.setGeometry(0, header_height, box.width(), box.height() - header_height)

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange} and hasattr(self, "grid"):
            self._restyle()
        super().changeEvent(event)

    def _restyle(self) -> None:
        self._title.setFont(theme.font(1.25, bold=True))
        self._subtitle.setFont(theme.font(0.9))
        theme.mute(self._subtitle)


class Canvas(QWidget):
    """Draws the model's snapshot and turns the pointer into changes of the model."""

    def __init__(self, model: LabModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.input = GridPanel(self.tr("Input grid"), editable=True, parent=self)
        self.kernel = GridPanel(self.tr("Kernel grid"), editable=True, parent=self)
        self.output = GridPanel(self.tr("Output grid"), editable=False, parent=self)
        self.input.grid.setToolTip(
            self.tr("Click a cell to see who reads it; then type a number, turn the wheel, or drag to paint.")
        )
        self.kernel.grid.setToolTip(
            self.tr("The weights: click one and type a number, turn the wheel, or drag to paint.")
        )
        self.output.grid.setToolTip(self.tr("Click a cell to move the window there."))
        self._panels = (self.input, self.kernel, self.output)
        self._lines: list[QLineF] = []
        self._announced = QSize()
        for panel in self._panels:
            panel.grid.view_changed.connect(self._place_connectors)
        model.state_changed.connect(self.show_state)
        model.position_changed.connect(self.show_position)
        model.view_changed.connect(self.show_state)
        self.output.grid.cell_clicked.connect(model.go_to_cell)
        self.output.grid.cell_hovered.connect(model.hover)
        self.input.grid.cell_clicked.connect(lambda row, col: model.probe((row, col)))
        self.input.grid.cursor_released.connect(lambda: model.probe(None))
        self.show_state()

    # ---- from the model

    def show_state(self) -> None:
        """Draw everything anew."""
        snapshot = self._model.snapshot
        self._show_input(snapshot)
        self._show_kernel(snapshot)
        self._show_output(snapshot)
        self._arrange()
        self._show_marks()

    def show_position(self) -> None:
        """Move the window; of the grids only the cells it leaves and enters are painted."""
        if self._model.state.is_pooling:
            self._show_kernel(self._model.snapshot)  # without a kernel, the numbers in the window stand there
        self._show_marks()

    def _show_marks(self) -> None:
        model = self._model
        self.output.grid.set_shown(None if model.shows_all else model.index + 1)
        self.input.grid.set_marks(*self._input_marks())
        self.kernel.grid.set_marks(*self._kernel_marks())
        self.output.grid.set_marks(*self._output_marks())
        if self.input.grid.cell_px >= 1:
            rows, cols = self._taps(model.position)
            self.input.grid.ensure_visible(rows, cols)
            row, col = model.position
            self.output.grid.ensure_visible((row,), (col,))
        self._place_connectors()

    def _show_input(self, snapshot: Snapshot) -> None:
        state, model = snapshot.state, self._model
        height, width = state.size
        rows, cols = snapshot.rows, snapshot.cols
        colour = model.shows_colour
        padded = np.asarray(snapshot.padded, dtype=np.float64)
        picture = display.rgb_image(np.nan_to_num(padded, neginf=0.0), snapshot.input_level) if colour else None
        self.input.grid.set_content(
            GridContent(
                values=padded[model.channel],
                level=snapshot.input_level,
                signed=display.is_signed(state.input),
                grey=snapshot.is_grey,
                size=(height, width),
                origin=(-rows.pad_before, -cols.pad_before),
                unread_rows=~rows.covered,
                unread_cols=~cols.covered,
                picture=picture,
            )
        )
        what = self.tr("Input {size}").format(size=_size_text(height, width))
        if state.channels > 1:
            what = f"{what} × {state.channels}"
        self.input.set_texts(what, self._padding_text(snapshot))

    def _padding_text(self, snapshot: Snapshot) -> str:
        rows, cols, state = snapshot.rows, snapshot.cols, snapshot.state
        if not any((rows.pad_before, rows.pad_after, cols.pad_before, cols.pad_after)):
            return self.tr("no padding")
        fill = {"max": "−∞", "avg": self.tr("zeros")}.get(state.operation, self._mode_name(state.padding_mode))
        return self.tr("padding {amount} ({fill}) → {size}").format(
            amount=_padding_amount(rows, cols), fill=fill, size=_size_text(rows.padded_size, cols.padded_size)
        )

    def _mode_name(self, mode: str) -> str:
        return {
            "zeros": self.tr("zeros"),
            "reflect": self.tr("reflect"),
            "replicate": self.tr("replicate"),
            "circular": self.tr("circular"),
        }[mode]

    def _show_kernel(self, snapshot: Snapshot) -> None:
        state = snapshot.state
        kernel_size = _size_text(*state.kernel_size)
        size, origin, grey = state.kernel_size, (0, 0), snapshot.is_grey and state.is_pooling
        self.kernel.grid.editable = not state.is_pooling
        if isinstance(snapshot.layer, Conv2d):
            channel = self._model.channel
            values = state.weight[0, channel]
            level, signed = snapshot.kernel_level, display.is_signed(state.weight)
            title = self.tr("Kernel {size}").format(size=kernel_size)
            sign = "−" if state.bias < 0 else "+"
            subtitle = self.tr("bias {sign} {bias}").format(sign=sign, bias=format_number(abs(state.bias)))
            if state.channels > 1:
                subtitle = self.tr("channel {channel}").format(channel=CHANNEL_NAMES[channel]) + " · " + subtitle
            if state.flip:
                values = values[::-1, ::-1].copy()
                subtitle = self.tr("turned by 180°") + " · " + subtitle
        else:
            explanation = self._model.explain(self._model.compared)
            values = np.asarray(explanation.values[0], dtype=np.float64)
            real = ~explanation.is_padding
            size = int(real.any(axis=1).sum()), int(real.any(axis=0).sum())
            origin = -int(real.any(axis=1).argmax()), -int(real.any(axis=0).argmax())
            level, signed = snapshot.input_level, display.is_signed(state.input)
            title = self.tr("Window {size}").format(size=kernel_size)
            subtitle = (
                self.tr("no weights: the largest wins") if state.operation == "max" else self.tr("no weights: the mean")
            )
        self.kernel.grid.set_content(GridContent(values, level, signed, grey, size, origin))
        self.kernel.set_texts(title, subtitle)

    def _show_output(self, snapshot: Snapshot) -> None:
        state, model = snapshot.state, self._model
        output = np.asarray(snapshot.output, dtype=np.float64)
        colour = model.shows_colour and state.is_pooling
        channel = model.channel if state.is_pooling else 0
        picture = display.rgb_image(np.nan_to_num(output, neginf=0.0), snapshot.input_level) if colour else None
        level = snapshot.input_level if state.is_pooling else snapshot.output_level
        signed = display.is_signed(state.input if state.is_pooling else output)
        self.output.grid.set_content(
            GridContent(output[channel], level, signed, snapshot.is_grey and state.is_pooling, picture=picture),
            None if model.shows_all else model.index + 1,
        )
        title = self.tr("Output {size}").format(size=_size_text(*snapshot.output_size))
        if output.shape[0] > 1:
            title = f"{title} × {output.shape[0]}"
        self.output.set_texts(title, size_formula(snapshot))

    def _taps(self, cell: tuple[int, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the input rows and columns that an output cell's window covers, padding included."""
        snapshot = self._model.snapshot
        last_row = snapshot.state.size[0] + snapshot.rows.pad_after - 1
        last_col = snapshot.state.size[1] + snapshot.cols.pad_after - 1
        rows = tuple(int(row) for row in snapshot.rows.taps_at(cell[0]) if row <= last_row)
        cols = tuple(int(col) for col in snapshot.cols.taps_at(cell[1]) if col <= last_col)
        return rows, cols

    def _window_mark(self, cell: tuple[int, int], role: Role, captions: bool) -> Mark:
        rows, cols = self._taps(cell)
        layer = self._model.snapshot.layer
        texts: tuple[tuple[str, ...], ...] = ()
        if captions and isinstance(layer, Conv2d):
            weights = layer.applied_weight[0, self._model.channel].tolist()
            texts = tuple(tuple(f"×{format_number(weight, 3)}" for weight in row) for row in weights)
        return Mark(rows, cols, role, texts)

    def _input_marks(self) -> list[Mark]:
        model = self._model
        marks = [self._window_mark(model.compared, Role.WINDOW, captions=not model.shows_colour)]
        if model.pinned is not None:
            marks.insert(0, self._window_mark(model.pinned, Role.PINNED, captions=False))
        explanation = model.explain(model.compared) if model.state.is_pooling else None
        if isinstance(explanation, MaxExplanation):
            for a, b in explanation.ties:
                marks.append(Mark((int(explanation.rows[a]),), (int(explanation.cols[b]),), Role.WINDOW))
        if model.shows_receptive_field:
            field = receptive_field(model)
            if field is not None:
                marks.insert(0, Mark(*field, Role.RECEPTIVE_FIELD))
        return marks

    def _kernel_marks(self) -> list[Mark]:
        if not self._model.state.is_pooling:
            return []
        content = self.kernel.grid.content
        marks = [Mark(*_all_cells(content), Role.WINDOW)]
        explanation = self._model.explain(self._model.compared)
        if isinstance(explanation, MaxExplanation):
            top, left = content.origin
            marks += [Mark((a + top,), (b + left,), Role.WINDOW) for a, b in explanation.ties]
        return marks

    def _output_marks(self) -> list[Mark]:
        model = self._model
        marks = []
        if model.probed is not None:
            rows, cols = model.readers(model.probed)
            if rows and cols:
                marks.append(Mark(rows, cols, Role.READER))
        if model.pinned is not None:
            marks.append(Mark((model.pinned[0],), (model.pinned[1],), Role.PINNED))
        row, col = model.compared
        marks.append(Mark((row,), (col,), Role.WINDOW))
        return marks

    # ---- layout and connectors

    def sizeHint(self) -> QSize:
        """Return a size that leaves the strip below its share of the height."""
        unit = theme.unit()
        return QSize(round(100 * unit), round(50 * unit))

    def minimumSizeHint(self) -> QSize:
        """Return the least size at which no text is cut and a 3×3 grid can be read."""
        unit = theme.unit()
        width = sum(max(panel.text_width, round(12 * unit)) for panel in self._panels) + 7 * unit
        return QSize(round(width), round(24 * unit))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Arrange the grids in the new room."""
        self._arrange()

    def _arrange(self) -> None:
        """Place the three grids side by side in the middle, with room between them for the connectors."""
        unit = theme.unit()
        area = QRectF(self.rect()).adjusted(unit, unit, -unit, 0)
        header = max(panel.header_height for panel in self._panels)
        columns, cell_height = [], 1.0
        for panel in self._panels:
            rows, cols = panel.grid.content.values.shape
            frame = panel.grid.frame
            cell_height = area.height() - header - frame.top() - frame.bottom()
            columns.append(Column(rows, cols, frame.left() + frame.right() + 1, panel.text_width))
        gap = 2 * unit
        widths = column_widths((columns[0], columns[1], columns[2]), area.width(), max(1.0, cell_height), gap)
        spare = max(0.0, area.width() - 2 * gap - sum(widths))
        gap += min(9 * unit, spare / 3)
        x = area.left() + max(0.0, area.width() - 2 * gap - sum(widths)) / 2
        for panel, width in zip(self._panels, widths, strict=True):
            panel.arrange(QRect(round(x), round(area.top()), round(width), round(area.height())), header)
            x += width + gap
        least = self.minimumSizeHint()
        if least != self._announced:
            self._announced = least
            self.updateGeometry()
        self._place_connectors()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_panels"):
            self._arrange()
        super().changeEvent(event)

    def _connectors(self) -> list[QLineF]:
        """Return the lines from the window to the kernel and from the kernel to the output cell, on this widget."""
        model = self._model
        rows, cols = self._taps(model.compared)
        window = self._on_canvas(self.input.grid, self.input.grid.box_in_view(rows, cols))
        kernel = self._on_canvas(self.kernel.grid, self.kernel.grid.box_in_view(*_all_cells(self.kernel.grid.content)))
        row, col = model.compared
        cell = self._on_canvas(self.output.grid, self.output.grid.box_in_view((row,), (col,)))
        if window.isEmpty() or kernel.isEmpty() or cell.isEmpty():
            return []
        return [
            QLineF(window.topRight(), kernel.topLeft()),
            QLineF(window.bottomRight(), kernel.bottomLeft()),
            QLineF(kernel.topRight(), cell.topLeft()),
            QLineF(kernel.bottomRight(), cell.bottomLeft()),
        ]

    def _on_canvas(self, grid: NumberGrid, box: QRectF) -> QRectF:
        return box.translated(QPointF(grid.mapTo(self, grid.rect().topLeft())))

    def _place_connectors(self) -> None:
        """Draw the connectors anew: in the gaps here, over the cells by the grids themselves."""
        before, self._lines = self._lines, self._connectors()
        if self._lines == before:
            return
        changed = QRegion()
        for line in (*before, *self._lines):
            if line not in before or line not in self._lines:
                changed += line_box(line)
        for panel in self._panels:
            corner = panel.grid.mapTo(self, panel.grid.rect().topLeft())
            lines = tuple(line.translated(-QPointF(corner)) for line in self._lines)
            panel.grid.set_connectors(lines, changed.translated(-corner))
            changed -= QRect(corner, panel.grid.size())
        self.update(changed)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the connectors in the gaps between the grids."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(connector_pen(self.palette()))
        painter.drawLines(self._lines)


def receptive_field(model: LabModel) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return the real input rows and columns that feed the current output cell, or None where all is padding."""
    snapshot = model.snapshot
    row, col = model.position
    rows = np.unique(snapshot.rows.source_of(snapshot.rows.taps_at(row)))
    cols = np.unique(snapshot.cols.source_of(snapshot.cols.taps_at(col)))
    rows, cols = rows[rows >= 0], cols[cols >= 0]
    if not rows.size or not cols.size:
        return None
    return tuple(int(r) for r in rows), tuple(int(c) for c in cols)


def receptive_field_text(model: LabModel, template: str, nothing: str) -> str:
    """Return the receptive field in words; ``template`` has {rows}, {cols} and {size}."""
    field = receptive_field(model)
    if field is None:
        return nothing
    rows, cols = field
    size = _size_text(rows[-1] - rows[0] + 1, cols[-1] - cols[0] + 1)
    return template.format(rows=span_text(rows), cols=span_text(cols), size=size)


def size_formula(snapshot: Snapshot) -> str:
    """Return ⌊(n + 2p − d(k − 1) − 1)/s⌋ + 1 with today's numbers, a line an axis where the axes differ."""
    rows, cols = _axis_formula(snapshot.rows), _axis_formula(snapshot.cols)
    return rows if rows == cols else f"{rows}\n{cols}"


def _axis_formula(axis: Axis) -> str:
    even = axis.pad_before == axis.pad_after
    padding = f"2·{axis.pad_before}" if even else f"{axis.pad_before} + {axis.pad_after}"
    left, right = ("⌈", "⌉") if axis.ceil_mode else ("⌊", "⌋")
    inner = f"{axis.size} + {padding} − {axis.dilation}·({axis.kernel_size} − 1) − 1"
    return f"{left}({inner})/{axis.stride}{right} + 1 = {axis.output_size}"


def _padding_amount(rows: Axis, cols: Axis) -> str:
    amounts = {rows.pad_before, rows.pad_after, cols.pad_before, cols.pad_after}
    if len(amounts) == 1:
        return str(rows.pad_before)
    if rows.pad_before == rows.pad_after and cols.pad_before == cols.pad_after:
        return _size_text(rows.pad_before, cols.pad_before)
    return f"{rows.pad_before}+{rows.pad_after} × {cols.pad_before}+{cols.pad_after}"


def _all_cells(content: GridContent) -> tuple[tuple[int, ...], tuple[int, ...]]:
    (height, width), (top, left) = content.values.shape, content.origin
    return tuple(range(top, top + height)), tuple(range(left, left + width))


def _size_text(height: int, width: int) -> str:
    return f"{height}×{width}"
