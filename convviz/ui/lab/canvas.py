"""The three grids of the Lab — input, kernel, output — and the connectors between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QLineF, QPointF, QRect, QRectF, QSize
from PySide6.QtGui import QPainter, QPaintEvent, QRegion, QResizeEvent
from PySide6.QtWidgets import QWidget

from convviz.core import display
from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import GELU, BatchNorm2d, Dropout, Elementwise, ReLU, Sigmoid, Tanh
from convviz.core.explain import FloatArray, MaxExplanation
from convviz.core.layers import AvgPool2d, Conv2d, GlobalAvgPool2d, GlobalMaxPool2d, Layer, MaxPool2d
from convviz.core.numbers import format_number
from convviz.core.pixel_use import pixel_use
from convviz.core.window import Axis
from convviz.ui import theme
from convviz.ui.lab.grid_panel import GridPanel
from convviz.ui.lab.limits import is_pooling
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.snapshot import Cell, Step
from convviz.ui.widgets.grid_content import GridContent, Mark, Role
from convviz.ui.widgets.grid_painter import DIGITS_FROM_PX, connector_pen, line_box
from convviz.ui.widgets.mosaic import Mosaic
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


MAPS_UNITS = 9.5
"""Height of a strip of thumbnails, in spacing units."""


class Canvas(QWidget):
    """Draws the current layer — input, kernel, output — and turns the pointer into changes of the model."""

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
        self.input_maps = self._mosaic(self.tr("Input channels"), self.tr("Click an input channel to show it."))
        self.kernel_maps = self._mosaic(
            self.tr("Kernel slices"), self.tr("One slice of the kernel for each input channel: click one to show it.")
        )
        self.output_maps = self._mosaic(
            self.tr("Feature maps"), self.tr("Each kernel makes one feature map: click one to show it.")
        )
        self._mosaics = (self.input_maps, self.kernel_maps, self.output_maps)
        self._lines: list[QLineF] = []
        self._announced = QSize()
        for panel in self._panels:
            panel.grid.view_changed.connect(self._place_connectors)
        model.state_changed.connect(self.show_state)
        model.position_changed.connect(self.show_position)
        model.view_changed.connect(self.show_state)
        model.outputs_changed.connect(self.show_state)
        self.output.grid.cell_clicked.connect(model.go_to_cell)
        self.output.grid.cell_hovered.connect(model.hover)
        self.input.grid.cell_clicked.connect(lambda row, col: model.probe((row, col)))
        self.input.grid.cursor_released.connect(lambda: model.probe(None))
        self.input_maps.chosen.connect(model.choose_channel)
        self.kernel_maps.chosen.connect(self._on_slice)
        self.output_maps.chosen.connect(lambda channel: model.choose_map(model.state.current + 1, channel))
        self.show_state()

    def _mosaic(self, name: str, tooltip: str) -> Mosaic:
        mosaic = Mosaic(wrapped=False, parent=self)
        mosaic.setAccessibleName(name)
        mosaic.setToolTip(tooltip)
        mosaic.hide()
        return mosaic

    # ---- from the model

    def show_state(self) -> None:
        """Draw everything anew."""
        step = self._model.step
        if step is None or self._model.view != "layer":
            return
        self._show_input(step)
        self._show_kernel(step)
        self._show_output(step)
        self._show_maps(step)
        self._arrange()
        self._show_marks(step)

    def show_position(self) -> None:
        """Move the window; of the grids only the cells it leaves and enters are painted."""
        step = self._model.step
        if step is None or self._model.view != "layer":
            return
        if step.shows_window or isinstance(step.layer, Linear):
            self._show_kernel(step)
        if self._model.channel != self._shown_channel:
            self._show_input(step)
        self._show_marks(step)

    def _show_marks(self, step: Step) -> None:
        model = self._model
        self.output.grid.set_shown(model.shown)
        self.input.grid.set_marks(*self._input_marks(step))
        self.kernel.grid.set_marks(*self._kernel_marks(step))
        self.output.grid.set_marks(*self._output_marks(step))
        row, col = model.position
        if self.output_maps.isVisibleTo(self):
            self.output_maps.set_shown(model.shown)
            self.output_maps.set_mark((row,), (col,))
        if self.input.grid.cell_px >= 1:
            rows, cols = step.taps(model.position)
            self.input.grid.ensure_visible(rows, cols)
            self.output.grid.ensure_visible((row,), (col,))
        self._place_connectors()

    def _show_input(self, step: Step) -> None:
        model = self._model
        height, width = step.input_size
        self._shown_channel = model.channel
        windowed = step.x.ndim == 3
        rows, cols = step.rows, step.cols
        self.input.grid.editable = step.reads_network_input and not model.shows_pixel_use
        name, subtitle = self.input_name(), self._padding_text(step)
        if model.shows_pixel_use and windowed:
            counts = pixel_use(step.axes).astype(np.float64)
            content = GridContent(counts, display.signed_levels(counts), signed=False)
            name, subtitle = self.tr("Pixel use"), self.tr("how many windows read each cell")
        else:
            colour = model.shows_colour_step
            picture = display.rgb_image(np.nan_to_num(step.padded, neginf=0.0), step.input_level) if colour else None
            content = GridContent(
                values=step.padded[model.channel],
                level=step.input_level,
                signed=step.input_is_signed,
                grey=step.is_grey,
                size=(height, width),
                origin=(-rows.pad_before, -cols.pad_before) if windowed else (0, 0),
                unread_rows=~rows.covered if windowed else np.zeros(0, bool),
                unread_cols=~cols.covered if windowed else np.zeros(0, bool),
                picture=picture,
                row_step=1 if windowed else width,
            )
        self.input.grid.set_content(content, None if windowed else step.x.size)
        self.input.set_texts(f"{name} {shape_of_maps(step.x)}", subtitle)

    def input_name(self) -> str:
        """Return what the current layer reads: the input, or the output of a layer before it."""
        current = self._model.state.current
        return self.tr("Input") if current == 0 else self.tr("Layer {number} ·").format(number=current)

    def _padding_text(self, step: Step) -> str:
        if step.x.ndim == 1:
            return self.tr("a vector, in rows")
        rows, cols = step.rows, step.cols
        if isinstance(step.layer, Elementwise | Flatten):
            return self.tr("each cell by itself")
        if not any((rows.pad_before, rows.pad_after, cols.pad_before, cols.pad_after)):
            return self.tr("no padding")
        layer = step.layer
        if isinstance(layer, Conv2d):
            fill = self._mode_name(layer.padding_mode)
        else:
            fill = "−∞" if isinstance(layer, MaxPool2d) else self.tr("zeros")
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

    def _show_kernel(self, step: Step) -> None:
        layer, model = step.layer, self._model
        self.kernel.grid.editable = not step.shows_window
        if isinstance(layer, Conv2d):
            shown = layer.applied_weight[model.out_channel, model.slice].astype(np.float64)
            content = GridContent(shown, step.kernel_level, step.kernel_is_signed)
            title = self.tr("Kernel {size}").format(size=_size_text(*layer.kernel_size))
            subtitle = self._bias_text(None if layer.bias is None else float(layer.bias[model.out_channel]))
            if step.input.shape[0] > 1:
                subtitle = self.tr("channel {channel}").format(channel=self._names()[model.channel]) + " · " + subtitle
            if layer.flip:
                subtitle = self.tr("turned by 180°") + " · " + subtitle
        elif isinstance(layer, Linear):
            content = GridContent(
                display.as_maps(layer.weight[model.index])[0].astype(np.float64),
                step.kernel_level,
                step.kernel_is_signed,
            )
            title = self.tr("Weights of unit {unit}").format(unit=model.index)
            subtitle = self._bias_text(None if layer.bias is None else float(layer.bias[model.index]))
        else:
            content = self._window_content(step)
            title = self.tr("Window {size}").format(size=_size_text(*content.values.shape))
            if isinstance(layer, Elementwise | Flatten):
                title = self.tr("One cell")
            subtitle = self._function_text(layer)
        count = layer.in_features if isinstance(layer, Linear) else None
        self.kernel.grid.set_content(content, count)
        self.kernel.set_texts(title, subtitle)

    def _window_content(self, step: Step) -> GridContent:
        """Return the numbers in the window of a layer without weights."""
        explanation = self._model.explain(self._model.compared)
        if explanation is None:
            raise ValueError("a layer at work explains every cell")
        real = ~explanation.is_padding
        return GridContent(
            np.asarray(explanation.values[0], dtype=np.float64),
            step.input_level,
            step.input_is_signed,
            step.is_grey,
            (int(real.any(axis=1).sum()), int(real.any(axis=0).sum())),
            (-int(real.any(axis=1).argmax()), -int(real.any(axis=0).argmax())),
        )

    def _bias_text(self, bias: float | None) -> str:
        if bias is None:
            return self.tr("no bias")
        return self.tr("bias {sign} {bias}").format(sign="−" if bias < 0 else "+", bias=format_number(abs(bias)))

    def _function_text(self, layer: Layer) -> str:
        """Return what a layer without a kernel makes of its window, in a few words."""
        texts: tuple[tuple[tuple[type[Layer], ...], str], ...] = (
            ((MaxPool2d, GlobalMaxPool2d), self.tr("no weights: the largest wins")),
            ((AvgPool2d, GlobalAvgPool2d), self.tr("no weights: the mean")),
            ((ReLU,), self.tr("no weights: max(0, x)")),
            ((Sigmoid,), self.tr("no weights: 1 / (1 + e⁻ˣ)")),
            ((Tanh,), self.tr("no weights: tanh x")),
            ((GELU,), self.tr("no weights: x · Φ(x)")),
            ((BatchNorm2d,), self.tr("(x − mean) / √(variance + ε) · weight + bias")),
            ((Dropout,), self.tr("passes its input on")),
        )
        return next((text for kinds, text in texts if isinstance(layer, kinds)), self.tr("one cell, one unit"))

    def _show_output(self, step: Step) -> None:
        model = self._model
        colour = model.shows_colour_step and is_pooling(step.layer)
        picture = display.rgb_image(np.nan_to_num(step.output, neginf=0.0), step.input_level) if colour else None
        self.output.grid.set_content(
            GridContent(
                step.output[model.out_channel].astype(np.float64, copy=False),
                step.output_level,
                step.output_is_signed,
                step.is_grey and step.keeps_scale,
                picture=picture,
                row_step=1 if step.y.ndim == 3 else step.output_size[1],
            ),
            model.shown,
        )
        formula = size_formula(step) if step.y.ndim == 3 else self.tr("a vector, in rows")
        if isinstance(step.layer, Elementwise) and step.y.ndim == 3:
            formula = self.tr("as large as the input")
        self.output.set_texts(self.tr("Output {size}").format(size=shape_of_maps(step.y)), formula)

    # ---- thumbnails

    def _show_maps(self, step: Step) -> None:
        model, layer = self._model, step.layer
        names, grey = self._names(), step.is_grey
        numbers = [str(channel) for channel in range(step.output.shape[0])]
        out_names = names if step.keeps_channels and step.y.ndim == 3 else numbers
        self._show_thumbnails(
            self.input_maps, step.input, step.input_level, step.input_is_signed, grey, None, names, model.channel
        )
        self._show_thumbnails(
            self.output_maps,
            step.output,
            step.output_level,
            step.output_is_signed,
            grey and step.keeps_scale,
            model.shown,
            out_names,
            model.out_channel,
        )
        slices, slice_names = step.input[:0], names
        if isinstance(layer, Conv2d):
            slices = layer.applied_weight[model.out_channel]
            slice_names = [names[channel] for channel in step.channels_read(model.out_channel)]
        self._show_thumbnails(
            self.kernel_maps, slices, step.kernel_level, step.kernel_is_signed, False, None, slice_names, model.slice
        )

    def _show_thumbnails(
        self,
        mosaic: Mosaic,
        maps: FloatArray,
        level: float,
        signed: bool,
        grey: bool,
        shown: int | None,
        names: list[str],
        chosen: int,
    ) -> None:
        """Show several maps as thumbnails; a single one is the grid above them."""
        several = maps.shape[0] > 1
        mosaic.setVisible(several)
        if several:
            mosaic.set_maps(maps, level, signed, grey, shown, names)
            mosaic.set_chosen(chosen)

    def _names(self) -> list[str]:
        return channel_names(self._model)

    def _on_slice(self, index: int) -> None:
        step = self._model.step
        if step is not None:
            self._model.choose_channel(step.channels_read(self._model.out_channel).start + index)

    # ---- marks

    def _window_mark(self, step: Step, cell: Cell, role: Role, captions: bool) -> Mark:
        rows, cols = step.taps(cell)
        texts: tuple[tuple[str, ...], ...] = ()
        if captions and isinstance(step.layer, Conv2d):
            weights = step.layer.applied_weight[self._model.out_channel, self._model.slice].tolist()
            texts = tuple(tuple(f"×{format_number(weight, 3)}" for weight in row) for row in weights)
        return Mark(rows, cols, role, texts)

    def _input_marks(self, step: Step) -> list[Mark]:
        model = self._model
        captions = not model.shows_colour_step and not model.shows_pixel_use
        marks = [self._window_mark(step, model.compared, Role.WINDOW, captions)]
        if model.pinned is not None:
            marks.insert(0, self._window_mark(step, model.pinned, Role.PINNED, captions=False))
        explanation = model.explain(model.compared) if step.shows_window else None
        if isinstance(explanation, MaxExplanation):
            for a, b in explanation.ties:
                marks.append(Mark((int(explanation.rows[a]),), (int(explanation.cols[b]),), Role.WINDOW))
        if model.shows_receptive_field:
            field = step.real_taps(model.position)
            if field is not None:
                marks.insert(0, Mark(*field, Role.RECEPTIVE_FIELD))
        return marks

    def _kernel_marks(self, step: Step) -> list[Mark]:
        if not step.shows_window:
            return []
        content = self.kernel.grid.content
        marks = [Mark(*_all_cells(content), Role.WINDOW)]
        explanation = self._model.explain(self._model.compared)
        if isinstance(explanation, MaxExplanation):
            top, left = content.origin
            marks += [Mark((a + top,), (b + left,), Role.WINDOW) for a, b in explanation.ties]
        return marks

    def _output_marks(self, step: Step) -> list[Mark]:
        model = self._model
        marks = []
        if model.probed is not None:
            rows, cols = step.readers(model.probed, model.channel)
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
        maps = MAPS_UNITS if any(mosaic.isVisibleTo(self) for mosaic in self._mosaics) else 0
        return QSize(round(width), round((24 + maps) * unit))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Arrange the grids in the new room."""
        self._arrange()

    def _arrange(self) -> None:
        """Place the three grids side by side in the middle, with room between them for the connectors."""
        unit = theme.unit()
        area = QRectF(self.rect()).adjusted(unit, unit, -unit, 0)
        maps_height = round(MAPS_UNITS * unit) if any(mosaic.isVisibleTo(self) for mosaic in self._mosaics) else 0
        area.setHeight(area.height() - maps_height)
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
        for panel, mosaic, width in zip(self._panels, self._mosaics, widths, strict=True):
            panel.arrange(QRect(round(x), round(area.top()), round(width), round(area.height())), header)
            left = panel.grid.frame.left()
            mosaic.setGeometry(round(x + left), round(area.bottom()), round(width - left), maps_height)
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
        if model.step is None:
            return []
        rows, cols = model.step.taps(model.compared)
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


def channel_names(model: LabModel) -> list[str]:
    """Return what the channels of the current layer's input are called."""
    step = model.step
    if step is None:
        return []
    count = step.input.shape[0]
    return display.names_of_channels(count) if step.reads_network_input else [str(channel) for channel in range(count)]


def shape_of_maps(array: FloatArray) -> str:
    """Return rows × columns, with the channels where there are several: “7×7”, “7×7 × 3”; “120” of a vector."""
    if array.ndim == 1:
        return str(array.size)
    channels, *size = array.shape
    return _size_text(size[0], size[1]) + (f" × {channels}" if channels > 1 else "")


def size_formula(step: Step) -> str:
    """Return ⌊(n + 2p − d(k − 1) − 1)/s⌋ + 1 with today's numbers, a line an axis where the axes differ."""
    rows, cols = _axis_formula(step.rows), _axis_formula(step.cols)
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
