"""The Lab page: it puts the views, transport and controls together and connects them to the model."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
from PySide6.QtCore import QEvent, QMimeData, Qt, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage, QResizeEvent
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from convviz.core import stack_file
from convviz.core.control import StopToken
from convviz.core.explain import Position
from convviz.core.layers import Conv2d
from convviz.core.numbers import NumberError, format_table
from convviz.core.pictures import PictureError, load_picture
from convviz.core.pytorch_code import as_pytorch
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.core.stack_file import StackFileError
from convviz.ui import theme
from convviz.ui.actions import LAB_ACTIONS, make_actions
from convviz.ui.file_dialogs import PICTURE_FILTER, ask_for_file
from convviz.ui.jobs import JobRunner
from convviz.ui.lab import state as lab
from convviz.ui.lab import stored
from convviz.ui.lab.controls import Controls
from convviz.ui.lab.layer_view import LayerView
from convviz.ui.lab.learn import LearnView
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.shift import ShiftView
from convviz.ui.lab.snapshot import Cell
from convviz.ui.lab.stack_view import StackView
from convviz.ui.lab.state import RGB, Array, Operation
from convviz.ui.refusals import said
from convviz.ui.settings import Settings
from convviz.ui.widgets.info_bar import InfoBar
from convviz.ui.widgets.page_stack import PageStack
from convviz.ui.widgets.progress_row import ProgressRow
from convviz.ui.widgets.saving import Saver, as_png
from convviz.ui.widgets.scrolled import scrolled
from convviz.ui.widgets.side_panel import PanelPage
from convviz.ui.widgets.transport import Player, Transport

NARROW_UNITS = 124
SHORT_UNITS = 62
TRANSPORT_UNITS = 6.5
FIRST_PICTURE_SIDE = 64

PictureMode = Literal["grey", "rgb"]


class _Picture(NamedTuple):
    values: Array
    data: bytes
    path: str


class LabPage(PanelPage):
    """The first page of the application."""

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(NARROW_UNITS, parent)
        self._settings = settings
        self.model = LabModel(stored.from_json(settings.lab_state) or lab.initial_state(), self)
        self.actions_by_name = make_actions(LAB_ACTIONS, self)
        self.player = Player(self)
        self._files = JobRunner(self)
        self._saver = Saver(self)
        self._stack_view: StackView | None = None
        self._shift_view: ShiftView | None = None
        self._learn_view: LearnView | None = None
        self._make_widgets()
        self._connect()
        self.setAcceptDrops(True)
        self._rescale()
        view = stored.view_from_json(settings.lab_view)
        self.model.go_to(view.position)
        self._controls_wanted = view.controls
        self.model.show_all(view.shows_all)
        self.model.show_receptive_field(view.shows_receptive_field)
        self.model.choose_view(view.view)
        self._on_speed(view.speed)
        self.show_state()
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setFocus()

    # ---- making

    def _make_widgets(self) -> None:
        self.controls = Controls(self.model, self.actions_by_name, self)
        self.layer_view = LayerView(self.model, lambda: self.controls.brush)
        self.info_bar = InfoBar()
        self.progress = ProgressRow()
        self.transport = Transport(self.actions_by_name)
        self._readout = QLabel()
        self._readout.setTextFormat(Qt.TextFormat.PlainText)
        self._readout.setMinimumWidth(1)
        self._views = PageStack()
        self._views.add(self.layer_view)
        work = QWidget()
        self._work_column = QVBoxLayout(work)
        self._work_column.addWidget(self._views, 1)
        self._work_column.addWidget(self._readout)
        right = QWidget()
        content = QVBoxLayout(right)
        content.setContentsMargins(0, 0, 0, 0)
        content.setSpacing(0)
        self._info_row = QVBoxLayout()
        self._info_row.addWidget(self.info_bar)
        content.addLayout(self._info_row)
        content.addWidget(self.progress)
        content.addWidget(scrolled(work), 1)
        content.addWidget(self.transport)
        self.set_parts(self.controls, right)

    def _connect(self) -> None:
        model, act = self.model, self.actions_by_name
        model.state_changed.connect(self.info_bar.clear)
        model.state_changed.connect(self.show_state)
        model.undo_stack.indexChanged.connect(self._files.cancel)  # a file being read must not undo a newer change
        model.view_changed.connect(self.show_state)
        model.outputs_changed.connect(self.show_state)
        model.position_changed.connect(self.show_position)
        model.forward.busy_changed.connect(self._show_forward)
        self.progress.cancelled.connect(model.forward.cancel)
        self.progress.asked_again.connect(model.compute)
        self.transport.moved.connect(self._on_moved)
        self.transport.speed_changed.connect(self._on_speed)
        self.player.step_requested.connect(self._on_step)
        self.player.playing_changed.connect(self.transport.show_playing)
        act["play"].triggered.connect(self.toggle_play)
        act["next"].triggered.connect(lambda: self._step_by_hand(1))
        act["previous"].triggered.connect(lambda: self._step_by_hand(-1))
        act["first"].triggered.connect(lambda: self._on_moved(0))
        act["last"].triggered.connect(lambda: self._on_moved(model.num_positions - 1))
        act["faster"].triggered.connect(lambda: self._on_speed(self.player.speed * 1.5))
        act["slower"].triggered.connect(lambda: self._on_speed(self.player.speed / 1.5))
        act["previous_layer"].triggered.connect(lambda: model.choose_layer(model.state.current - 1))
        act["next_layer"].triggered.connect(lambda: model.choose_layer(model.state.current + 1))
        for name in ("layer", "stack", "shift", "learn"):
            act[f"view_{name}"].triggered.connect(partial(self.choose_view, name))
        operations: tuple[Operation, ...] = ("conv", "max", "avg")
        for operation in operations:
            act[operation].triggered.connect(partial(self._set_operation, operation))
        act["pin"].triggered.connect(lambda on: model.pin(model.position if on else None))
        act["receptive_field"].triggered.connect(model.show_receptive_field)
        act["pixel_use"].triggered.connect(model.show_pixel_use)
        act["show_all"].triggered.connect(model.show_all)
        act["open"].triggered.connect(self.choose_file)
        act["save_stack"].triggered.connect(self.choose_stack_file)
        act["copy"].triggered.connect(self.copy)
        act["copy_pytorch"].triggered.connect(self.copy_as_pytorch)
        act["paste"].triggered.connect(self.paste)
        act["undo"].triggered.connect(model.undo_stack.undo)
        act["redo"].triggered.connect(model.undo_stack.redo)
        act["zoom_in"].triggered.connect(lambda: self.layer_view.grid_in_use.zoom(1.25))
        act["zoom_out"].triggered.connect(lambda: self.layer_view.grid_in_use.zoom(0.8))
        act["fit"].triggered.connect(self.layer_view.fit)
        model.undo_stack.canUndoChanged.connect(act["undo"].setEnabled)
        model.undo_stack.canRedoChanged.connect(act["redo"].setEnabled)
        act["undo"].setEnabled(False)
        act["redo"].setEnabled(False)
        self.controls.noted.connect(self._readout.setText)
        self.controls.input.fill_requested.connect(self.layer_view.fill)
        self.controls.input.random_requested.connect(self.layer_view.fill_randomly)
        self.controls.input.picture_size_requested.connect(self._on_picture_size)
        self.controls.input.picture_mode_requested.connect(self._on_picture_mode)
        self._connect_cards()
        self.layer_view.said.connect(self._readout.setText)
        self.layer_view.rejected.connect(self._on_grid_rejected)
        self._files.succeeded.connect(self._on_file)
        self._files.failed.connect(self._on_file_failed)
        self._files.busy_changed.connect(self._on_busy)
        self._saver.said.connect(self._readout.setText)
        self._saver.rejected.connect(self._reject)

    def _connect_cards(self) -> None:
        model, cards = self.model, self.controls.stack
        cards.chosen.connect(model.choose_layer)
        cards.add_requested.connect(
            lambda kind: model.change(lab.with_added_layer(model.state, kind), self.tr("Add a layer"))
        )
        cards.removed.connect(
            lambda index: model.change(lab.without_layer(model.state, index), self.tr("Remove a layer"))
        )
        cards.duplicated.connect(
            lambda index: model.change(lab.with_duplicate(model.state, index), self.tr("Duplicate a layer"))
        )
        cards.moved.connect(
            lambda old, new: model.change(lab.with_moved_layer(model.state, old, new), self.tr("Move a layer"))
        )
        cards.switched.connect(
            lambda index, on: model.change(lab.with_switched_layer(model.state, index, on), self.tr("Switch a layer"))
        )
        cards.preset_chosen.connect(self.choose_preset)
        cards.open_requested.connect(self.choose_file)
        cards.save_requested.connect(self.choose_stack_file)

    # ---- showing

    def choose_view(self, name: str) -> None:
        """Show the current layer, the stack, or one of the lessons."""
        self.player.stop()
        self.model.choose_view(name)
        self.show_state()
        (self.shift_view if name == "shift" else self).setFocus()  # the arrow keys move its input

    def choose_preset(self, key: str) -> None:
        """Show one of the ready-made stacks, all layers of it."""
        self.model.change(lab.with_preset(self.model.state, key), self.tr("Preset"))
        self.choose_view("stack")

    @property
    def stack_view(self) -> StackView:
        """The view of all layers, made when first asked for."""
        if self._stack_view is None:
            self._stack_view = StackView(self.model)
            self._stack_view.rejected.connect(self._reject)
            self._views.add(self._stack_view)
        return self._stack_view

    @property
    def shift_view(self) -> ShiftView:
        """The lesson on shifts, made when first asked for."""
        if self._shift_view is None:
            self._shift_view = ShiftView()
            self._views.add(self._shift_view)
        return self._shift_view

    @property
    def learn_view(self) -> LearnView:
        """The lesson on learning a kernel, made when first asked for."""
        if self._learn_view is None:
            self._learn_view = LearnView()
            self._learn_view.rejected.connect(self._reject)
            self._views.add(self._learn_view)
        return self._learn_view

    @Slot()
    def show_state(self) -> None:
        """Show state and position in the parts that do not listen to the model themselves."""
        model, act = self.model, self.actions_by_name
        for name in ("layer", "stack", "shift", "learn"):
            act[f"view_{name}"].setChecked(model.view == name)
        shape = model.state.input_shape
        for name in ("conv", "max", "avg"):
            act[name].setChecked(model.state.operation == name)
            act[name].setEnabled(shape is not None and len(shape) == 3)
        act["pin"].setChecked(model.pinned is not None)
        act["receptive_field"].setChecked(model.shows_receptive_field)
        act["pixel_use"].setChecked(model.shows_pixel_use)
        act["show_all"].setChecked(model.shows_all)
        self._show_view()
        self._show_forward()
        self.show_position()

    def _show_view(self) -> None:
        view = self.model.view
        steps = view in {"layer", "stack"}
        for name in ("play", "next", "previous", "first", "last"):
            self.actions_by_name[name].setEnabled(steps and self.model.output_shape is not None)
        for name in ("pin", "receptive_field", "pixel_use", "zoom_in", "zoom_out", "fit"):
            self.actions_by_name[name].setEnabled(view == "layer")
        self.transport.setVisible(steps)
        self._readout.setVisible(steps and self._has_height)
        if view == "layer":
            self._views.show_page(self.layer_view)
        elif view == "stack":
            self._views.show_page(self.stack_view)
            self._readout.setText(
                self.tr(
                    "Point at a unit to see what it sees · click one to step from there · "
                    "the keys “,” and “.” change the layer"
                )
            )
        elif view == "shift":
            self._views.show_page(self.shift_view)
            self._show_shift()
        else:
            self._views.show_page(self.learn_view)
            self._show_learn()
        self._set_margins()

    def _show_shift(self) -> None:
        model, first = self.model, self.model.state.stack.layers[0]
        fits = len(model.state.stack.shapes) > 1 and model.state.stack.is_on(0)
        conv = first if isinstance(first, Conv2d) and fits else None
        self.shift_view.set_lab(model.state.input, conv, model.channels[0], model.channels[1])

    def _show_learn(self) -> None:
        model, layer = self.model, self.model.state.layer
        kernel = None
        if isinstance(layer, Conv2d) and model.step is not None:
            kernel = layer.applied_weight[model.out_channel, model.slice].astype(np.float64)
        self.learn_view.set_lab(model.state.input[model.channels[0]], kernel)

    @Slot()
    def show_position(self) -> None:
        """Show the position in the transport."""
        self.transport.show_position(self.model.index, self.model.num_positions, self._layer_number())

    def _layer_number(self) -> int | None:
        """Return the number of the current layer where there are several."""
        return self.model.state.current + 1 if len(self.model.state.stack.layers) > 1 else None

    @Slot()
    def _show_forward(self) -> None:
        """Show how far the layers are computed, where that takes time."""
        model = self.model
        count, total = len(model.snapshot.outputs), len(model.state.stack.shapes) - 1
        if model.forward.busy:
            text = self.tr("Computing layer {number} of {total}").format(number=count + 1, total=total)
            self.progress.show_progress(text, count / max(1, total))
        elif not model.snapshot.is_complete:
            text = self.tr("Layers {first} to {total} were not computed.").format(first=count + 1, total=total)
            self.progress.show_cancelled(text)
        else:
            self.progress.hide()

    @Slot(bool)
    def _on_busy(self, busy: bool) -> None:
        self._readout.setText(self.tr("Reading the file…") if busy else self.layer_view.readout(None, None))

    # ---- stepping

    def toggle_play(self) -> None:
        """Play, from the start when at the end, or pause."""
        if self.player.is_playing:
            self.player.stop()
            return
        if self.model.index == self.model.num_positions - 1 and not self._has_layer(1):
            self.model.choose_layer(0 if self.model.view == "stack" else self.model.state.current)
        self.player.start()

    @Slot()
    def _on_step(self) -> None:
        self._step(1)
        if self.model.index == self.model.num_positions - 1 and not self._has_layer(1):
            self.player.stop()

    def _step(self, steps: int) -> None:
        """Move the window; where all layers are shown, go on into the next layer, or back into the one before."""
        model = self.model
        index = model.index + steps
        if not 0 <= index < model.num_positions and self._has_layer(steps):
            model.choose_layer(model.state.current + steps, 0 if steps > 0 else lab.MOST_CELLS)
        else:
            model.go_to(index)

    def _has_layer(self, steps: int) -> bool:
        """Whether stepping goes on in the next layer, or the one before."""
        layers_that_fit = len(self.model.state.stack.shapes) - 1
        return self.model.view == "stack" and 0 <= self.model.state.current + steps < layers_that_fit

    def _step_by_hand(self, steps: int) -> None:
        self.player.stop()
        self._step(steps)

    @Slot(int)
    def _on_moved(self, index: int) -> None:
        self.player.stop()
        self.model.go_to(index)

    @Slot(float)
    def _on_speed(self, speed: float) -> None:
        self.player.set_speed(speed)
        self.transport.show_speed(self.player.speed)

    # ---- changing

    def _set_operation(self, operation: Operation) -> None:
        if operation != self.model.state.operation:
            self.model.change(lab.with_operation(self.model.state, operation), self.tr("Operation"))
        self.show_state()

    @Slot(str)
    def _reject(self, message: str) -> None:
        self.info_bar.show_message(message)

    @Slot(str)
    def _on_grid_rejected(self, message: str) -> None:
        self._reject(message + " " + self.tr("The grid is as it was."))

    # ---- clipboard

    @Slot()
    def copy(self) -> None:
        """Copy the grid in use as a table: the kernel or the output if it has the focus, else the input."""
        values = self.layer_view.table_in_use
        QGuiApplication.clipboard().setText(format_table(values))
        self._readout.setText(
            self.tr("Copied {rows}×{cols} numbers as a table.").format(rows=values.shape[0], cols=values.shape[1])
        )

    @Slot()
    def copy_as_pytorch(self) -> None:
        """Copy a PyTorch program that rebuilds stack and input and prints the current output cell."""
        model, step = self.model, self.model.step
        if step is None:
            self._reject(self.tr("This layer has no output yet, so there is no number to be printed."))
            return
        x = model.state.input.astype(step.y.dtype)
        place = step.place(model.position, model.out_channel)
        QGuiApplication.clipboard().setText(as_pytorch(model.state.stack, x, model.state.current, place))
        self._readout.setText(
            self.tr("Copied a PyTorch program that prints output ({place}).").format(place=", ".join(map(str, place)))
        )

    @Slot()
    def paste(self) -> None:
        """Paste a table into the kernel if it has the focus, else into the input; or a picture into the input."""
        self._take(QGuiApplication.clipboard().mimeData())

    def _take(self, data: QMimeData | None) -> None:
        if data is None:
            data = QMimeData()
        if (urls := data.urls()) and urls[0].isLocalFile():
            self.open_file(Path(urls[0].toLocalFile()))
            return
        if data.hasText():
            try:
                self.layer_view.paste_table(data.text())
            except NumberError as error:
                if not data.hasImage():
                    self._on_grid_rejected(said(error))
                    return
            else:
                return
        if data.hasImage():
            self._paste_image(cast(QImage, data.imageData()))
        else:
            self._on_grid_rejected(self.tr("There is nothing to paste. A table of numbers or a picture is accepted."))

    def _paste_image(self, image: QImage) -> None:
        self._load(as_png(image), "", self._fixed_size, self._picture_mode)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept files, pictures and tables."""
        data = event.mimeData()
        if data.hasUrls() or data.hasImage() or data.hasText():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        self._take(event.mimeData())
        event.acceptProposedAction()

    # ---- files

    @Slot()
    def choose_file(self) -> None:
        """Ask for a picture, which becomes the input, or a stack."""
        kinds = self.tr("Pictures and stacks ({patterns})").format(patterns=f"{PICTURE_FILTER} *{stack_file.SUFFIX}")
        path = ask_for_file(self, self._settings, self.tr("Open"), kinds)
        if path is not None:
            self.open_file(path)

    def open_file(self, path: Path) -> None:
        """Open a stack, or use a picture as the input; the file is read in the background."""
        if path.suffix.lower() == stack_file.SUFFIX:
            self._files.start(lambda _: stack_file.load(path))
        else:
            self._load(path, str(path), self._fixed_size, self._picture_mode)

    @property
    def _fixed_size(self) -> Cell | None:
        """The size that a picture must have, because several layers were made for it."""
        return self.model.state.size if len(self.model.state.stack.layers) > 1 else None

    @property
    def _picture_mode(self) -> PictureMode:
        return "rgb" if self.model.state.channels == RGB else "grey"

    def _load(self, source: Path | bytes, path: str, size: Cell | None, mode: PictureMode) -> None:
        def job(_: StopToken) -> _Picture:
            values = load_picture(source, size, mode, FIRST_PICTURE_SIDE)
            return _Picture(values, source if isinstance(source, bytes) else source.read_bytes(), path)

        self._files.start(job)

    @Slot(object)
    def _on_file(self, content: _Picture | Stack) -> None:
        if isinstance(content, Stack):
            self._on_stack(content)
        else:
            self._on_picture(content)

    def _on_stack(self, stack: Stack) -> None:
        try:
            state = lab.with_stack(self.model.state, stack)
        except RefusalError as error:
            self._reject(said(error) + " " + self.tr("Nothing was changed."))
            return
        self.model.change(state, self.tr("Open a stack"))
        self.choose_view("stack")

    def open_unit(self, stack: Stack, values: Array, current: int, unit: Position) -> None:
        """Step one unit of a network by hand, on what the network reads; see `LabModel.open_unit`."""
        self.model.open_unit(stack, values, current, unit, self.tr("Open a unit"))
        self.choose_view("layer")

    def _on_picture(self, picture: _Picture) -> None:
        source = lab.Source("picture", picture=picture.data, path=picture.path, is_brightness=True)
        if self.model.state.source.kind != "picture":
            self.model.show_all(True)  # stepping through a picture fills it in too slowly to be seen
        self.model.change(lab.with_input(self.model.state, picture.values, source), self.tr("Picture"))
        if picture.values.shape[0] == RGB:
            self.model.show_colour()

    @Slot(object)
    def _on_file_failed(self, error: Exception) -> None:
        self.controls.show_state()
        if isinstance(error, StackFileError):
            self._reject(str(error))
        elif isinstance(error, (PictureError, OSError)):
            self._on_grid_rejected(said(error) if isinstance(error, PictureError) else str(error))
        else:
            raise error

    @Slot(int, int)
    def _on_picture_size(self, rows: int, cols: int) -> None:
        self._reload((rows, cols), self._picture_mode)

    @Slot(str)
    def _on_picture_mode(self, mode: PictureMode) -> None:
        self._reload(self.model.state.size, mode)

    def _reload(self, size: Cell, mode: PictureMode) -> None:
        source = self.model.state.source
        self._load(source.picture or Path(source.path), source.path, size, mode)

    @Slot()
    def choose_stack_file(self) -> None:
        """Ask where to save the stack."""
        self._saver.folder = self._settings.last_folder
        path = self._saver.ask_where(
            self.tr("Save stack"), self.tr("stack"), stack_file.SUFFIX, self.tr("Stacks ({patterns})")
        )
        if path is not None:
            self._settings.last_folder = path.parent
            self.save_stack(path)

    def save_stack(self, path: Path) -> None:
        """Save the stack as text; a file that is there is replaced once the new one is complete."""
        self._saver.write(path, stack_file.to_json(self.model.state.stack).encode())

    # ---- window

    def save(self) -> None:
        """Remember state and view for the next start."""
        model = self.model
        view = stored.LabView(
            self.player.speed,
            model.shows_all,
            model.shows_receptive_field,
            model.index,
            self._controls_wanted,
            model.view,
        )
        self._settings.lab_view = stored.view_to_json(view)
        self._settings.lab_state = stored.to_json(self.model.state)

    def stop(self) -> None:
        """End what plays and what is being computed."""
        self.player.stop()
        self.model.forward.cancel()
        if self._stack_view is not None:
            self._stack_view.stop()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave the readout out where there is no height for it."""
        super().resizeEvent(event)
        self._readout.setVisible(self.transport.isVisibleTo(self) and self._has_height)

    @property
    def _has_height(self) -> bool:
        return self.height() / theme.unit() - TRANSPORT_UNITS >= SHORT_UNITS

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "transport"):
            theme.mute(self._readout)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "transport"):
            self._rescale()
            self.show_state()
        super().changeEvent(event)

    def _rescale(self) -> None:
        unit = theme.unit()
        self._work_column.setSpacing(round(0.75 * unit))
        self._set_margins()
        theme.mute(self._readout)

    def _set_margins(self) -> None:
        """Leave room around the work, unless the view has bars of its own that reach to the edges."""
        side = round(2 * theme.unit())
        unit = 0.0 if self.model.view == "learn" else theme.unit()
        self._info_row.setContentsMargins(side, round(unit / 2), side, 0)
        self._work_column.setContentsMargins(round(unit), 0, round(unit), round(unit / 2))
