"""The Lab page: it puts grids, strip, transport and controls together and connects them to the model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
from PySide6.QtCore import QBuffer, QEvent, QIODevice, QMimeData, QSize, Qt, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage, QResizeEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QScrollArea, QSplitter, QVBoxLayout, QWidget

from convviz.core.control import StopToken
from convviz.core.numbers import NumberError, format_number, format_table, parse_table
from convviz.core.pictures import PictureError, load_picture
from convviz.ui import theme
from convviz.ui.actions import LAB_ACTIONS, make_actions
from convviz.ui.jobs import JobRunner
from convviz.ui.lab import state as lab
from convviz.ui.lab import stored
from convviz.ui.lab.canvas import Canvas, receptive_field_text
from convviz.ui.lab.controls import Controls
from convviz.ui.lab.model import Cell, LabModel
from convviz.ui.lab.state import Array, Operation
from convviz.ui.lab.strip import CHANNEL_NAMES, LINE_UNITS, DotProductStrip, Levels, span_text
from convviz.ui.refusals import said
from convviz.ui.settings import Settings
from convviz.ui.widgets.info_bar import InfoBar
from convviz.ui.widgets.number_grid import NumberGrid
from convviz.ui.widgets.transport import Player, Transport

NARROW_UNITS = 120
SHORT_UNITS = 62
TRANSPORT_UNITS = 6.5
FIRST_PICTURE_SIDE = 64
PICTURE_FILTER = "*.png *.jpg *.jpeg *.webp *.bmp"

PictureMode = Literal["grey", "rgb"]


class _Picture(NamedTuple):
    values: Array
    data: bytes
    path: str


class LabPage(QWidget):
    """The first page of the application."""

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self.model = LabModel(stored.from_json(settings.lab_state) or lab.initial_state(), self)
        self.actions_by_name = make_actions(LAB_ACTIONS, self)
        self.player = Player(self)
        self._pictures = JobRunner(self)
        self._stroke = 0
        self._controls_wanted: bool | None = None
        self._make_widgets()
        self._connect()
        self.setAcceptDrops(True)
        self._rescale()
        view = stored.view_from_json(settings.lab_view)
        self.model.go_to(view.position)
        self._controls_wanted = view.controls
        self.model.show_all(view.shows_all)
        self.model.show_receptive_field(view.shows_receptive_field)
        self._on_speed(view.speed)
        self.show_state()
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setFocus()

    # ---- making

    def _make_widgets(self) -> None:
        self.controls = Controls(self.model, self.actions_by_name, self)
        self.canvas = Canvas(self.model)
        self.strip = DotProductStrip()
        self.info_bar = InfoBar()
        self.transport = Transport(self.actions_by_name)
        self._readout = QLabel()
        self._readout.setTextFormat(Qt.TextFormat.PlainText)
        self._readout.setMinimumWidth(1)
        self._splitter = QSplitter(Qt.Orientation.Vertical)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(self.canvas)
        self._splitter.addWidget(self.strip)
        self._splitter_moved = False
        self._splitter.splitterMoved.connect(self._on_splitter_moved)
        work = QWidget()
        self._work_column = QVBoxLayout(work)
        self._work_column.addWidget(self._splitter, 1)
        self._work_column.addWidget(self._readout)
        scroll = QScrollArea()
        scroll.setWidget(work)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._content = QWidget()
        content = QVBoxLayout(self._content)
        content.setContentsMargins(0, 0, 0, 0)
        content.setSpacing(0)
        self._info_row = QVBoxLayout()
        self._info_row.addWidget(self.info_bar)
        content.addLayout(self._info_row)
        content.addWidget(scroll, 1)
        content.addWidget(self.transport)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.controls)
        row.addWidget(self._content, 1)

    def _connect(self) -> None:
        model, act = self.model, self.actions_by_name
        model.state_changed.connect(self.show_state)
        model.state_changed.connect(self.info_bar.clear)
        model.state_changed.connect(self._pictures.cancel)  # a picture still being read must not undo a newer choice
        model.view_changed.connect(self.show_state)
        model.position_changed.connect(self.show_position)
        self.transport.moved.connect(self._on_moved)
        self.transport.speed_changed.connect(self._on_speed)
        self.player.step_requested.connect(self._on_step)
        self.player.playing_changed.connect(self.transport.show_playing)
        act["play"].triggered.connect(self.toggle_play)
        act["next"].triggered.connect(lambda: self._step_by_hand(model.index + 1))
        act["previous"].triggered.connect(lambda: self._step_by_hand(model.index - 1))
        act["first"].triggered.connect(lambda: self._step_by_hand(0))
        act["last"].triggered.connect(lambda: self._step_by_hand(model.snapshot.num_positions - 1))
        act["faster"].triggered.connect(lambda: self._on_speed(self.player.speed * 1.5))
        act["slower"].triggered.connect(lambda: self._on_speed(self.player.speed / 1.5))
        for name in ("conv", "max", "avg"):
            act[name].triggered.connect(partial(self._set_operation, name))
        act["pin"].triggered.connect(lambda on: model.pin(model.position if on else None))
        act["receptive_field"].triggered.connect(model.show_receptive_field)
        act["show_all"].triggered.connect(model.show_all)
        act["open"].triggered.connect(self.choose_picture)
        act["copy"].triggered.connect(self.copy)
        act["paste"].triggered.connect(self.paste)
        act["undo"].triggered.connect(model.undo_stack.undo)
        act["redo"].triggered.connect(model.undo_stack.redo)
        act["zoom_in"].triggered.connect(lambda: self._active_grid().zoom(1.25))
        act["zoom_out"].triggered.connect(lambda: self._active_grid().zoom(0.8))
        act["fit"].triggered.connect(self._fit)
        model.undo_stack.canUndoChanged.connect(act["undo"].setEnabled)
        model.undo_stack.canRedoChanged.connect(act["redo"].setEnabled)
        self._grid_in_use = self.canvas.input.grid
        for panel in (self.canvas.input, self.canvas.kernel, self.canvas.output):
            panel.grid.entered.connect(partial(self._use_grid, panel.grid))
        self.controls.noted.connect(self._readout.setText)
        act["undo"].setEnabled(False)
        act["redo"].setEnabled(False)
        self.controls.fill_requested.connect(self._on_fill)
        self.controls.random_requested.connect(self._on_random)
        self.controls.picture_size_requested.connect(self._on_picture_size)
        self.controls.picture_mode_requested.connect(self._on_picture_mode)
        self._pictures.succeeded.connect(self._on_picture)
        self._pictures.failed.connect(self._on_picture_failed)
        self._pictures.busy_changed.connect(self._on_busy)
        self._connect_grid(self.canvas.input.grid, self.model.edit_input)
        self._connect_grid(self.canvas.kernel.grid, self.model.edit_kernel)
        for panel in (self.canvas.input, self.canvas.kernel, self.canvas.output):
            panel.grid.cell_hovered.connect(partial(self._on_hovered, panel.grid))

    def _connect_grid(self, grid: NumberGrid, edit: Callable[..., None]) -> None:
        def enter(row: int, col: int, value: float) -> None:
            edit([(row, col)], value, self.tr("Edit a cell"))

        def nudge(row: int, col: int, amount: float) -> None:
            edit([(row, col)], amount, self.tr("Nudge a cell"), ("nudge", id(grid), row, col), nudge=True)

        def paint(cells: list[Cell]) -> None:
            edit(cells, self.controls.brush, self.tr("Paint"), ("paint", id(grid), self._stroke))

        grid.value_entered.connect(enter)
        grid.nudged.connect(nudge)
        grid.cells_painted.connect(paint)
        grid.stroke_finished.connect(self._on_stroke_finished)
        grid.rejected.connect(self._on_rejected)

    # ---- showing

    @Slot()
    def show_state(self) -> None:
        """Show state and position in the parts that do not listen to the model themselves."""
        model, act = self.model, self.actions_by_name
        for name in ("conv", "max", "avg"):
            act[name].setChecked(model.state.operation == name)
        act["pin"].setChecked(model.pinned is not None)
        act["receptive_field"].setChecked(model.shows_receptive_field)
        act["show_all"].setChecked(model.shows_all)
        self.show_position()
        self._readout.setText(self._readout_text(None, None))

    @Slot()
    def show_position(self) -> None:
        """Show the position in the strip and the transport."""
        model = self.model
        self.transport.show_position(model.index, model.snapshot.num_positions)
        cells = [model.position]
        if model.pinned is not None:
            cells = [model.pinned, model.compared]
        sees = ""
        if model.shows_receptive_field:
            sees = receptive_field_text(
                model,
                self.tr("receptive field: input rows {rows}, columns {cols} · {size}"),
                self.tr("receptive field: nothing but padding"),
            )
        snapshot = model.snapshot
        self.strip.set_content(
            [model.explain(cell) for cell in cells],
            Levels(snapshot.input_level, snapshot.kernel_level, snapshot.is_grey),
            model.channel,
            model.state.channels,
            sees,
        )

    def _readout_text(self, grid: NumberGrid | None, cell: Cell | None) -> str:
        """Return one line about the cell under the pointer, or about the chosen input cell, or what can be done."""
        model = self.model
        if grid is not None and cell is not None:
            return self._cell_text(grid, cell)
        if model.probed is not None:
            rows, cols = model.readers(model.probed)
            row, col = model.probed
            if not rows or not cols:
                return self.tr("Input ({row}, {col}) is read by no window.").format(row=row, col=col)
            if len(rows) == len(cols) == 1:
                return self.tr("Input ({row}, {col}) is read by one output cell: ({out_row}, {out_col}).").format(
                    row=row, col=col, out_row=rows[0], out_col=cols[0]
                )
            return self.tr("Input ({row}, {col}) is read by {count} output cells: rows {rows}, columns {cols}.").format(
                row=row, col=col, count=len(rows) * len(cols), rows=span_text(rows), cols=span_text(cols)
            )
        return self.tr(
            "Space plays · ← → step · click an output cell to go there · click an input cell to see who reads it"
        )

    def _cell_text(self, grid: NumberGrid, cell: Cell) -> str:
        model, (row, col) = self.model, cell
        content = grid.content
        names = {
            self.canvas.input.grid: self.tr("input"),
            self.canvas.kernel.grid: self.tr("kernel") if not model.state.is_pooling else self.tr("window"),
            self.canvas.output.grid: self.tr("output"),
        }
        top, left = content.origin
        where = f"{names[grid]} ({row}, {col})".replace("-", "−")
        if not content.is_real(row, col):
            where += " · " + self.tr("padding")
        if grid is self.canvas.output.grid and not model.is_computed(cell):
            return f"{where} · " + self.tr("not computed yet")
        if content.picture is not None:
            source = model.snapshot.padded if grid is self.canvas.input.grid else model.snapshot.output
            parts = [
                f"{name} {format_number(float(value))}"
                for name, value in zip(CHANNEL_NAMES, source[:, row - top, col - left], strict=True)
            ]
            return f"{where} = {'  '.join(parts)}"
        return f"{where} = {format_number(float(content.values[row - top, col - left]), 6)}"

    @Slot(bool)
    def _on_busy(self, busy: bool) -> None:
        self._readout.setText(self.tr("Reading the picture…") if busy else self._readout_text(None, None))

    def _on_hovered(self, grid: NumberGrid, cell: Cell | None) -> None:
        self._readout.setText(self._readout_text(grid, cell))

    # ---- stepping

    def toggle_play(self) -> None:
        """Play, from the start when at the end, or pause."""
        if self.player.is_playing:
            self.player.stop()
            return
        if self.model.index == self.model.snapshot.num_positions - 1:
            self.model.go_to(0)
        self.player.start()

    @Slot()
    def _on_step(self) -> None:
        self.model.go_to(self.model.index + 1)
        if self.model.index == self.model.snapshot.num_positions - 1:
            self.player.stop()

    def _step_by_hand(self, index: int) -> None:
        self.player.stop()
        self.model.go_to(index)

    @Slot(int)
    def _on_moved(self, index: int) -> None:
        self._step_by_hand(index)

    @Slot(float)
    def _on_speed(self, speed: float) -> None:
        self.player.set_speed(speed)
        self.transport.show_speed(self.player.speed)

    # ---- changing

    def _set_operation(self, operation: Operation) -> None:
        if operation != self.model.state.operation:
            self.model.change(lab.with_operation(self.model.state, operation), self.tr("Operation"))
        self.show_state()

    @Slot()
    def _on_stroke_finished(self) -> None:
        self._stroke += 1

    @Slot(str)
    def _on_rejected(self, message: str) -> None:
        self.info_bar.show_message(message + " " + self.tr("The grid is as it was."))

    def _active_grid(self) -> NumberGrid:
        """Return the grid that had the keyboard last."""
        return self._grid_in_use

    def _use_grid(self, grid: NumberGrid) -> None:
        self._grid_in_use = grid

    def _fit(self) -> None:
        for panel in (self.canvas.input, self.canvas.kernel, self.canvas.output):
            panel.grid.fit()

    @Slot(float)
    def _on_fill(self, value: float) -> None:
        """Put one number into every cell of the grid in use."""
        state = self.model.state
        if self._edits_kernel():
            after = lab.with_weight(state, np.full_like(state.weight, value))
        else:
            after = lab.with_input(state, np.full_like(state.input, value), lab.Source("custom"))
        self.model.change(after, self.tr("Fill"))

    @Slot()
    def _on_random(self) -> None:
        """Put random numbers of the next seed into the grid in use."""
        state = self.model.state
        if self._edits_kernel():
            after = lab.with_kernel(state, "random", state.kernel_seed + 1)
        else:
            seed = state.source.seed + 1 if state.source.kind == "random" else state.source.seed
            after = lab.with_made_input(state, "random", state.size, seed % (lab.MAX_SEED + 1), state.channels)
        self.model.change(after, self.tr("Random numbers"))

    def _edits_kernel(self) -> bool:
        return self._active_grid() is self.canvas.kernel.grid and not self.model.state.is_pooling

    # ---- clipboard

    @Slot()
    def copy(self) -> None:
        """Copy the grid in use as a table: the kernel or the output if it has the focus, else the input."""
        grid, model = self._active_grid(), self.model
        if grid is self.canvas.input.grid:
            values = model.state.input[model.channel]
        elif grid is self.canvas.kernel.grid and not model.state.is_pooling:
            values = model.state.weight[0, model.channel]
        else:
            values = grid.content.values
        QGuiApplication.clipboard().setText(format_table(values))
        self._readout.setText(
            self.tr("Copied {rows}×{cols} numbers as a table.").format(rows=values.shape[0], cols=values.shape[1])
        )

    @Slot()
    def paste(self) -> None:
        """Paste a table into the kernel if it has the focus, else into the input; or a picture into the input."""
        self._take(QGuiApplication.clipboard().mimeData())

    def _take(self, data: QMimeData | None) -> None:
        if data is None:
            data = QMimeData()
        if (urls := data.urls()) and urls[0].isLocalFile():
            self.open_picture(Path(urls[0].toLocalFile()))
            return
        if data.hasText():
            try:
                self._paste_table(data.text())
            except NumberError as error:
                if not data.hasImage():
                    self._on_rejected(said(error))
                    return
            else:
                return
        if data.hasImage():
            self._paste_image(cast(QImage, data.imageData()))
        else:
            self._on_rejected(self.tr("There is nothing to paste. A table of numbers or a picture is accepted."))

    def _paste_table(self, text: str) -> None:
        state = self.model.state
        if self._edits_kernel():
            values = parse_table(text, (lab.MAX_KERNEL, lab.MAX_KERNEL))
            weight = state.weight
            if weight.shape[2:] == values.shape:
                weight = weight.copy()
                weight[0, self.model.channel] = values
            else:
                weight = np.broadcast_to(values, (1, state.channels, *values.shape)).copy()
            after = lab.with_weight(state, weight)
            if after.kernel_size != values.shape:
                most = " × ".join(str(lab.ranges(state, axis).kernel_size.most) for axis in (0, 1))
                raise NumberError(
                    self.tr("A {rows} × {cols} kernel does not fit this input. Up to {most} is accepted."),
                    rows=values.shape[0],
                    cols=values.shape[1],
                    most=most,
                )
            self.model.change(after, self.tr("Paste"))
            return
        values = parse_table(text, (lab.MAX_INPUT, lab.MAX_INPUT))
        source = lab.Source("custom", is_brightness=state.source.is_brightness)
        if values.shape == state.size:
            channels = state.input.copy()
            channels[self.model.channel] = values
            self.model.change(lab.with_input(state, channels, source), self.tr("Paste"))
        else:
            self.model.change(lab.with_input(state, values[None], source), self.tr("Paste"))

    def _paste_image(self, image: QImage) -> None:
        buffer = QBuffer()
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        image.save(buffer, "PNG")  # type: ignore[call-overload]  # the stub asks for bytes, the function for text
        self._load(bytes(buffer.data().data()), "", None, "rgb" if self.model.state.channels == 3 else "grey")

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept files, pictures and tables."""
        data = event.mimeData()
        if data.hasUrls() or data.hasImage() or data.hasText():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        self._take(event.mimeData())
        event.acceptProposedAction()

    # ---- pictures

    @Slot()
    def choose_picture(self) -> None:
        """Ask for a picture file and use it as the input."""
        path, _ = QFileDialog.getOpenFileName(
            self,
            self.tr("Open picture"),
            str(self._settings.last_folder),
            self.tr("Pictures ({patterns})").format(patterns=PICTURE_FILTER) + ";;" + self.tr("All files (*)"),
        )
        if path:
            self._settings.last_folder = Path(path).parent
            self.open_picture(Path(path))

    def open_picture(self, path: Path) -> None:
        """Use a picture file as the input, grey or RGB as the input is now; it is read in the background."""
        self._load(path, str(path), None, "rgb" if self.model.state.channels == 3 else "grey")

    def _load(self, source: Path | bytes, path: str, size: Cell | None, mode: PictureMode) -> None:
        def job(_: StopToken) -> _Picture:
            values = load_picture(source, size, mode, FIRST_PICTURE_SIDE)
            return _Picture(values, source if isinstance(source, bytes) else source.read_bytes(), path)

        self._pictures.start(job)

    @Slot(object)
    def _on_picture(self, picture: _Picture) -> None:
        source = lab.Source("picture", picture=picture.data, path=picture.path, is_brightness=True)
        self.model.choose_channel(0, colour=picture.values.shape[0] == 3)
        if self.model.state.source.kind != "picture":
            self.model.show_all(True)  # stepping through a picture fills it in too slowly to be seen
        self.model.change(lab.with_input(self.model.state, picture.values, source), self.tr("Picture"))

    @Slot(object)
    def _on_picture_failed(self, error: Exception) -> None:
        if not isinstance(error, (PictureError, OSError)):
            raise error
        self.controls.show_state()
        self._on_rejected(said(error) if isinstance(error, PictureError) else str(error))

    @Slot(int, int)
    def _on_picture_size(self, rows: int, cols: int) -> None:
        self._reload((rows, cols), "grey" if self.model.state.channels == 1 else "rgb")

    @Slot(str)
    def _on_picture_mode(self, mode: PictureMode) -> None:
        self._reload(self.model.state.size, mode)

    def _reload(self, size: Cell, mode: PictureMode) -> None:
        source = self.model.state.source
        self._load(source.picture or Path(source.path), source.path, size, mode)

    # ---- window

    def save(self) -> None:
        """Remember state and view for the next start."""
        model = self.model
        view = stored.LabView(
            self.player.speed, model.shows_all, model.shows_receptive_field, model.index, self._controls_wanted
        )
        self._settings.lab_view = stored.view_to_json(view)
        self._settings.lab_state = stored.to_json(self.model.state)

    def show_controls(self, on: bool | None) -> None:
        """Show the controls, hide them, or (None) show them where there is room for both."""
        self._controls_wanted = on
        narrow = self.width() < NARROW_UNITS * theme.unit()
        visible = on if on is not None else not narrow
        self.controls.setVisible(visible)
        self._content.setVisible(not (narrow and visible))
        self.controls.setFixedWidth(self.width() if narrow and visible else self.controls.sizeHint().width())

    @property
    def shows_controls(self) -> bool:
        """Whether the controls are shown."""
        return self.controls.isVisibleTo(self)

    def minimumSizeHint(self) -> QSize:
        """Return the least size, that without the controls, which give way when it is reached."""
        return self._content.minimumSizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Make room: below a width the controls give way to the grids, below a height the strip becomes a line."""
        self.show_controls(self._controls_wanted)
        self._share_height()

    def _on_splitter_moved(self) -> None:
        self._splitter_moved = True

    def _share_height(self) -> None:
        """Divide the height between grids and strip, unless the user has done so."""
        units = self.height() / theme.unit() - TRANSPORT_UNITS
        self._readout.setVisible(units >= SHORT_UNITS)
        if not self._splitter_moved:
            strip = 0.27 * units if units >= SHORT_UNITS else LINE_UNITS
            self._splitter.setSizes([round(100 * (units - strip)), round(100 * strip)])

    def event(self, event: QEvent) -> bool:
        """Give the controls the width that they ask for."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.show_controls(self._controls_wanted)
        return super().event(event)

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "transport"):
            theme.mute(self._readout)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "transport"):
            self._rescale()
            self.show_controls(self._controls_wanted)
            self._share_height()
            self.show_state()
        super().changeEvent(event)

    def _rescale(self) -> None:
        unit = theme.unit()
        self._work_column.setContentsMargins(round(unit), round(unit / 2), round(unit), round(unit / 2))
        self._info_row.setContentsMargins(round(2 * unit), 0, round(2 * unit), 0)
        self._work_column.setSpacing(round(0.75 * unit))
        self._splitter.setHandleWidth(round(unit))
        theme.mute(self._readout)
