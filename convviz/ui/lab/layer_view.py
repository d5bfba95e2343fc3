"""The Lab's view of one layer: its grids, and the strip that takes one output cell apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from PySide6.QtCore import QEvent, Qt, Signal, Slot
from PySide6.QtWidgets import QLabel, QStackedLayout, QWidget

from convviz.core.dense import Linear
from convviz.core.kernels import make_kernel
from convviz.core.layers import Conv2d
from convviz.core.numbers import NumberError, format_number, parse_table
from convviz.ui import theme
from convviz.ui.lab import limits
from convviz.ui.lab import state as lab
from convviz.ui.lab.canvas import Canvas, channel_names
from convviz.ui.lab.layer_text import kind_of
from convviz.ui.lab.limits import MAX_INPUT, MAX_KERNEL
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.snapshot import Cell, Step
from convviz.ui.lab.state import Array
from convviz.ui.lab.strip import LINE_UNITS, DotProductStrip
from convviz.ui.lab.strip_grids import Levels
from convviz.ui.lab.strip_words import OFF, span_text
from convviz.ui.widgets.number_grid import NumberGrid
from convviz.ui.widgets.share_splitter import ShareSplitter

SHORT_UNITS = 51.5


def strip_units(height: float) -> float:
    """Return the height of the strip below the grids, in spacing units: below a height it becomes a line."""
    return 0.29 * height if height >= SHORT_UNITS else LINE_UNITS


class LayerView(QWidget):
    """The grids of the current layer above the strip; in place of a layer that cannot be shown, why."""

    said = Signal(str)  # about what is under the pointer, or what was done
    rejected = Signal(str)

    def __init__(self, model: LabModel, brush: Callable[[], float], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model, self._brush = model, brush
        self._stroke = 0
        self.canvas = Canvas(model)
        self.strip = DotProductStrip()
        self._splitter = ShareSplitter(self.canvas, self.strip, strip_units)
        self._note = QLabel()
        self._note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._note.setTextFormat(Qt.TextFormat.PlainText)
        self._note.setWordWrap(True)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self._splitter)
        self._pages.addWidget(self._note)
        self._grid_in_use = self.canvas.input.grid
        self._connect_grid(self.canvas.input.grid, model.edit_input)
        self._connect_grid(self.canvas.kernel.grid, model.edit_kernel)
        for panel in (self.canvas.input, self.canvas.kernel, self.canvas.output):
            panel.grid.entered.connect(partial(self._use_grid, panel.grid))
            panel.grid.cell_hovered.connect(partial(self._on_hovered, panel.grid))
        model.state_changed.connect(self.show_state)
        model.view_changed.connect(self.show_state)
        model.outputs_changed.connect(self.show_state)
        model.forward.busy_changed.connect(self.show_state)
        model.position_changed.connect(self.show_position)
        self._rescale()
        self.show_state()

    def _connect_grid(self, grid: NumberGrid, edit: Callable[..., None]) -> None:
        def enter(row: int, col: int, value: float) -> None:
            edit([(row, col)], value, self.tr("Edit a cell"))

        def nudge(row: int, col: int, amount: float) -> None:
            edit([(row, col)], amount, self.tr("Nudge a cell"), ("nudge", id(grid), row, col), nudge=True)

        def paint(cells: list[Cell]) -> None:
            edit(cells, self._brush(), self.tr("Paint"), ("paint", id(grid), self._stroke))

        grid.value_entered.connect(enter)
        grid.nudged.connect(nudge)
        grid.cells_painted.connect(paint)
        grid.stroke_finished.connect(self._on_stroke_finished)
        grid.rejected.connect(self.rejected)

    @Slot()
    def _on_stroke_finished(self) -> None:
        self._stroke += 1

    # ---- showing

    @Slot()
    def show_state(self) -> None:
        """Show the current layer, or why it cannot be shown."""
        model = self._model
        if model.view != "layer":
            return
        if model.step is None:
            self._note.setText(self._why_not())
            self._pages.setCurrentWidget(self._note)
            self.said.emit("")
            return
        self._pages.setCurrentWidget(self._splitter)
        self.show_position()
        self.said.emit(self.readout(None, None))

    def _why_not(self) -> str:
        stack, number = self._model.state.stack, self._model.state.current + 1
        problem = stack.problem
        if problem is not None and problem.index < number:
            return self.tr("Layer {number} does not fit. {reason}").format(
                number=problem.index + 1, reason=problem.message
            )
        if self._model.forward.busy:
            return self.tr("The output of layer {number} is being computed.").format(number=number)
        return self.tr("The output of layer {number} was not computed.").format(number=number)

    @Slot()
    def show_position(self) -> None:
        """Show the position in the strip."""
        model, step = self._model, self._model.step
        if step is None or model.view != "layer":
            return
        cells = [model.position]
        if model.pinned is not None:
            cells = [model.pinned, model.compared]
        explanations = [explanation for cell in cells if (explanation := model.explain(cell)) is not None]
        self.strip.set_content(
            explanations,
            Levels(step.input_level, step.kernel_level, step.is_grey),
            model.channel,
            channel_names(model),
            step.output.shape[0],
            self._receptive_field(step) if model.shows_receptive_field else "",
            kind=kind_of(step.layer) if model.state.stack.is_on(model.state.current) else OFF,
        )

    def _receptive_field(self, step: Step) -> str:
        """Return what the current unit sees of the network's input, in words."""
        model, stack = self._model, self._model.state.stack
        if model.state.current == 0 and step.y.ndim == 3:
            found = step.real_taps(model.position)
            rows, cols = found or ((), ())
        else:
            place = step.place(model.position, model.out_channel)
            region = stack.input_region(model.state.current, place[-2:])
            rows, cols = tuple(region.real_rows), tuple(region.real_cols)
        if not rows or not cols:
            return self.tr("receptive field: nothing but padding")
        return self.tr("receptive field: input rows {rows}, columns {cols} · {size}").format(
            rows=span_text(rows), cols=span_text(cols), size=f"{rows[-1] - rows[0] + 1}×{cols[-1] - cols[0] + 1}"
        )

    def readout(self, grid: NumberGrid | None, cell: Cell | None) -> str:
        """Return one line about the cell under the pointer, or about the chosen input cell, or what can be done."""
        model, step = self._model, self._model.step
        if step is None:
            return ""
        if grid is not None and cell is not None:
            return self._cell_text(step, grid, cell)
        if model.probed is not None:
            rows, cols = step.readers(model.probed, model.channel)
            row, col = model.probed
            if not rows or not cols:
                return self.tr("Input ({row}, {col}) is read by no window.").format(row=row, col=col)
            if len(rows) == len(cols) == 1:
                return self.tr("Input ({row}, {col}) is read by one output cell: ({out_row}, {out_col}).").format(
                    row=row, col=col, out_row=rows[0], out_col=cols[0]
                )
            return self.tr("Input ({row}, {col}) is read by {count} output cells: rows {rows}, columns {cols}.").format(
                row=row,
                col=col,
                count=min(len(rows) * len(cols), step.num_positions),
                rows=span_text(rows),
                cols=span_text(cols),
            )
        return self.tr(
            "Space plays · ← → step · click an output cell to go there · click an input cell to see who reads it"
        )

    def _cell_text(self, step: Step, grid: NumberGrid, cell: Cell) -> str:
        model, (row, col) = self._model, cell
        content = grid.content
        counts_use = model.shows_pixel_use and step.x.ndim == 3
        names = {
            self.canvas.input.grid: self.tr("pixel use") if counts_use else self.tr("input"),
            self.canvas.kernel.grid: self.tr("window") if step.shows_window else self.tr("kernel"),
            self.canvas.output.grid: self.tr("output"),
        }
        top, left = content.origin
        where = f"{names[grid]} ({row}, {col})".replace("-", "−")
        if not content.is_real(row, col):
            where += " · " + self.tr("padding")
        if grid is self.canvas.output.grid and not model.is_computed(cell):
            return f"{where} · " + self.tr("not computed yet")
        if content.picture is not None:
            source = step.padded if grid is self.canvas.input.grid else step.output
            parts = [
                f"{name} {format_number(float(value))}"
                for name, value in zip(channel_names(model), source[:, row - top, col - left], strict=True)
            ]
            return f"{where} = {'  '.join(parts)}"
        return f"{where} = {format_number(float(content.values[row - top, col - left]), 6)}"

    def _on_hovered(self, grid: NumberGrid, cell: Cell | None) -> None:
        self.said.emit(self.readout(grid, cell))

    # ---- the grid in use

    @property
    def grid_in_use(self) -> NumberGrid:
        """The grid that had the keyboard last."""
        return self._grid_in_use

    def _use_grid(self, grid: NumberGrid) -> None:
        self._grid_in_use = grid

    @property
    def edits_kernel(self) -> bool:
        """Whether the grid in use is that of a convolution's kernel."""
        return self._grid_in_use is self.canvas.kernel.grid and isinstance(self._model.state.layer, Conv2d)

    @property
    def _edits_unit(self) -> bool:
        """Whether the grid in use is that of a linear unit's weights."""
        return self._grid_in_use is self.canvas.kernel.grid and isinstance(self._model.state.layer, Linear)

    def _with_unit(self, weights: Array) -> lab.LabState:
        """Return the state with other weights of the current unit: one for all, or enough of them."""
        state = self._model.state
        assert isinstance(state.layer, Linear)
        weight = state.layer.weight.astype(np.float64)
        weight[self._model.weights_index] = weights[: weight.shape[1]]
        return lab.with_units_weight(state, weight)

    def fit(self) -> None:
        """Show whole grids."""
        for panel in (self.canvas.input, self.canvas.kernel, self.canvas.output):
            panel.grid.fit()

    @property
    def table_in_use(self) -> Array:
        """The numbers of the grid in use, without padding."""
        grid, step = self._grid_in_use, self._model.step
        if grid is self.canvas.input.grid and step is not None:
            return np.asarray(step.input[self._model.channel], np.float64)
        if grid is self.canvas.kernel.grid and isinstance(layer := self._model.state.layer, Conv2d):
            return np.asarray(layer.weight[self._model.weights_index, self._model.slice], np.float64)
        return grid.content.values.astype(np.float64)

    def fill(self, value: float) -> None:
        """Put one number into every cell of the grid in use."""
        state = self._model.state
        if self.edits_kernel:
            weight = lab.conv_of(state).weight.astype(np.float64)
            weight[self._model.weights_index] = value
            after = lab.with_weight(state, weight)
        elif self._edits_unit:
            after = self._with_unit(np.full(1, value))
        else:
            after = lab.with_input(state, np.full_like(state.input, value), lab.Source("custom"))
        self._model.change(after, self.tr("Fill"))

    def fill_randomly(self) -> None:
        """Put random numbers of the next seed into the grid in use."""
        state = self._model.state
        if self.edits_kernel:
            after = lab.with_kernel(state, "random", self._model.weights_index, state.kernel_seed + 1)
        elif self._edits_unit:
            count, seed = self._grid_in_use.content.values.size, state.kernel_seed + 1
            after = replace(self._with_unit(make_kernel("random", (1, count), seed)[0]), kernel_seed=seed)
        else:
            seed = state.source.seed + 1 if state.source.kind == "random" else state.source.seed
            after = lab.with_made_input(state, "random", state.size, seed % (lab.MAX_SEED + 1), state.channels)
        self._model.change(after, self.tr("Random numbers"))

    def paste_table(self, text: str) -> None:
        """Paste a table into the kernel if that is in use, else into the input; `NumberError` if it does not fit."""
        state, model = self._model.state, self._model
        if self.edits_kernel:
            values = parse_table(text, (MAX_KERNEL, MAX_KERNEL))
            layer = lab.conv_of(state)
            if layer.kernel_size == values.shape:
                weight = layer.weight.astype(np.float64)
                weight[model.weights_index, model.slice] = values
            else:
                grown = limits.with_kernel_size(layer, (values.shape[0], values.shape[1]), state.kernel_seed)
                weight = grown.weight.astype(np.float64)
                weight[model.weights_index] = values
            after = lab.with_weight(state, weight)
            if lab.conv_of(after).kernel_size != values.shape:
                raise NumberError(
                    self.tr("A {rows} × {cols} kernel does not fit this input. Up to {most} is accepted."),
                    rows=values.shape[0],
                    cols=values.shape[1],
                    most=" × ".join(map(str, self._most_kernel(layer))),
                )
            model.change(after, self.tr("Paste"))
            return
        values = parse_table(text, (MAX_INPUT, MAX_INPUT))
        if self._edits_unit:
            model.change(self._pasted_unit(values), self.tr("Paste"))
            return
        source = lab.Source("custom", is_brightness=state.source.is_brightness)
        channels = values[None]
        if values.shape == state.size:
            channels = state.input.copy()
            channels[model.channels[0]] = values
        model.change(lab.with_input(state, channels, source), self.tr("Paste"))

    def _pasted_unit(self, values: Array) -> lab.LabState:
        layer = self._model.state.layer
        assert isinstance(layer, Linear)
        rows, cols = self._grid_in_use.content.values.shape
        if values.shape != (rows, cols) and values.size != layer.in_features:
            raise NumberError(
                self.tr("A {rows} × {cols} table does not fit this unit, which has {count} weights."),
                rows=values.shape[0],
                cols=values.shape[1],
                count=layer.in_features,
            )
        return self._with_unit(values.ravel())

    def _most_kernel(self, layer: Conv2d) -> list[int]:
        size = self._model.state.window_size
        return [limits.ranges(layer, size, axis).kernel_size.most for axis in (0, 1)] if size else []

    # ---- look

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_grid_in_use"):
            self._rescale()
            self.show_state()

    def _rescale(self) -> None:
        self._note.setFont(theme.font(1.1))
        self._note.setContentsMargins(*[round(4 * theme.unit())] * 4)
