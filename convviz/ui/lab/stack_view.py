"""The Lab's view of all layers: their maps side by side, what one unit sees, and the table of the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from PySide6.QtCore import QEvent, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from convviz.core.explain import Position
from convviz.core.refusal import RefusalError
from convviz.core.stack import INPUT
from convviz.core.window import ShapeError
from convviz.ui import theme
from convviz.ui.jobs import JobRunner
from convviz.ui.lab.effective import effective_job
from convviz.ui.lab.model import LabModel, Unit
from convviz.ui.lab.stack_canvas import StackCanvas, StackPicture
from convviz.ui.lab.stack_table import StackTable
from convviz.ui.refusals import said
from convviz.ui.widgets.buttons import Choices, FlatButton
from convviz.ui.widgets.progress_row import ProgressRow
from convviz.ui.widgets.share_splitter import ShareSplitter

if TYPE_CHECKING:
    from convviz.nn.effective_field import EffectiveField

PAUSE_MS = 200
"""How long a unit must stay the same before its effective receptive field is computed."""


TABLE_SHARE = 0.36
"""The share of the height that the table has."""


class StackView(QWidget):
    """Shows the model's stack; a click on a unit steps its layer from there, pointing at one shows what it sees."""

    rejected = Signal(str)

    def __init__(self, model: LabModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._is_effective = False
        self._effective: EffectiveField | None = None
        self._effective_unit: tuple[Unit, int] = ((INPUT, (0, 0)), 0)  # whose field was asked for last
        self.runner = JobRunner(self)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._make_widgets()
        self._connect()
        self._rescale()
        self.show_state()

    def _make_widgets(self) -> None:
        self.canvas = StackCanvas()
        self.table = StackTable()
        self.progress = ProgressRow()
        self._kind = Choices(
            (
                ("theory", self.tr("Theory"), self.tr("The cells that can reach the unit at all.")),
                (
                    "effective",
                    self.tr("Effective"),
                    self.tr("How much each input cell moves the unit: the gradient, averaged over inputs."),
                ),
            )
        )
        self._kind.choose("theory")
        self._kind.setAccessibleName(self.tr("Receptive field"))
        self._kind_label = QLabel(self.tr("Receptive field"))
        self._words = QLabel()
        self._words.setTextFormat(Qt.TextFormat.PlainText)
        self._words.setMinimumWidth(1)
        self._fit = FlatButton("fit", self.tr("Fit"))
        self._fit.setCheckable(True)
        self._fit.setChecked(True)
        self.canvas.set_fit(True)
        self._fit.setAccessibleName(self.tr("Fit"))
        self._fit.setToolTip(self.tr("Show all layers in the window, or each at a readable size."))
        self._tools = QHBoxLayout()
        for widget, stretch in ((self._kind_label, 0), (self._kind, 0), (self._words, 1), (self._fit, 0)):
            self._tools.addWidget(widget, stretch)
        self._splitter = ShareSplitter(self.canvas, self.table, lambda height: TABLE_SHARE * height)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addLayout(self._tools)
        self._column.addWidget(self.progress)
        self._column.addWidget(self._splitter, 1)

    def _connect(self) -> None:
        model = self._model
        model.state_changed.connect(self._on_state)
        model.outputs_changed.connect(self.show_state)
        model.view_changed.connect(self.show_state)
        model.position_changed.connect(self.show_position)
        self.canvas.cell_chosen.connect(self._on_chosen)
        self.canvas.cell_hovered.connect(self._on_hovered)
        self.canvas.layer_chosen.connect(self._on_layer)
        self.canvas.channel_chosen.connect(model.choose_map)
        self.table.row_chosen.connect(self._on_layer)
        self._kind.chosen.connect(self.show_kind)
        self._fit.toggled.connect(self.canvas.set_fit)
        self._pause.timeout.connect(self._compute_effective)
        self.runner.progressed.connect(self._on_effective)
        self.runner.succeeded.connect(self._on_effective)
        self.runner.failed.connect(self._on_failed)
        self.runner.busy_changed.connect(self._on_busy)
        self.progress.cancelled.connect(self._on_cancelled)
        self.progress.asked_again.connect(self._compute_effective)

    # ---- showing

    @property
    def shows_effective(self) -> bool:
        """Whether the effective receptive field is shown beside the theoretical one."""
        return self._is_effective

    def show_kind(self, kind: str) -> None:
        """Show the "theory" or the "effective" receptive field."""
        self._is_effective = kind == "effective"
        self._kind.choose(kind)
        self._forget_effective()
        self.show_position()

    @Slot()
    def show_state(self) -> None:
        """Show the stack, its maps and the unit."""
        if self._model.view == "stack":
            self.show_position()

    @Slot()
    def _on_state(self) -> None:
        self._forget_effective()
        self.show_state()

    @Slot()
    def show_position(self) -> None:
        """Show another unit."""
        model = self._model
        if model.view != "stack":
            return
        state = model.state
        layer, cell = model.unit
        if self._effective is not None and self._effective_unit != self._unit_and_channel():
            self._forget_effective()
        computed = model.snapshot.maps
        missing = len(state.stack.shapes) - len(computed)
        fits = layer < len(state.stack.shapes) - 1  # else there is no unit to be looked at
        self.canvas.set_picture(
            StackPicture(
                stack=state.stack,
                maps=(*computed, *[None] * missing),
                channels=model.channels[: len(state.stack.shapes)],
                current=layer if fits else INPUT,
                cell=cell if fits else None,
                shown=self._shown(),
                grey=state.source.is_brightness,
                colour=model.shows_colour,
                heat=self._effective.heat if self._effective is not None else None,
            )
        )
        self.table.show_stack(state.stack, layer, cell if fits else None)
        self._say_effective()
        if self._is_effective and self._effective is None and not self.runner.busy:
            self._pause.start()

    def _shown(self) -> tuple[int | None, ...]:
        """Return how many cells of each map count as computed: all before the current layer, none behind it."""
        model = self._model
        count, current = len(model.state.stack.shapes), model.state.current
        if model.shows_all:
            return (None,) * count
        return tuple(None if k <= current else model.shown if k == current + 1 else 0 for k in range(count))

    # ---- the pointer

    def _on_chosen(self, layer: int, cell: tuple[int, int] | int) -> None:
        self._model.hover_unit(None)
        self._model.go_to_unit((layer, cell))

    def _on_hovered(self, layer: int, cell: tuple[int, int] | int | None) -> None:
        self._model.hover_unit(None if cell is None else (layer, cell))

    @Slot(int)
    def _on_layer(self, layer: int) -> None:
        if layer != INPUT:
            self._model.choose_layer(layer)

    # ---- the effective receptive field

    def _unit_and_channel(self) -> tuple[Unit, int]:
        layer, _ = unit = self._model.unit
        return unit, self._model.channels[layer + 1]

    def _forget_effective(self) -> None:
        self._effective = None
        self._pause.stop()
        self.runner.cancel()
        self.progress.hide()

    def compute_effective(self) -> None:
        """Show the effective receptive field, without waiting for the pointer to rest."""
        self.show_kind("effective")
        self._pause.stop()
        self._compute_effective()

    @Slot()
    def _compute_effective(self) -> None:
        (layer, cell), channel = self._effective_unit = self._unit_and_channel()
        state = self._model.state
        if layer == INPUT or layer >= len(state.stack.shapes) - 1:
            return
        position: Position = (cell,) if isinstance(cell, int) else (channel, *cell)
        self.runner.start(effective_job(state.stack, layer, position, state.input))

    @Slot(object)
    def _on_effective(self, result: object) -> None:
        field = cast("EffectiveField", result)
        self._effective = field if field.done else None
        if self.runner.busy:
            text = self.tr("Effective receptive field: input {done} of {total}")
            self.progress.show_progress(
                text.format(done=field.done, total=field.total), field.done / max(1, field.total)
            )
        self.show_position()

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        self.show_kind("theory")
        if not isinstance(error, (RefusalError, ShapeError)):
            raise error
        self.rejected.emit(said(error) if isinstance(error, RefusalError) else str(error))

    @Slot(bool)
    def _on_busy(self, busy: bool) -> None:
        if busy:
            self.progress.show_progress(self.tr("Effective receptive field: PyTorch is being loaded"), 0.0)
        else:
            self.progress.hide()

    @Slot()
    def _on_cancelled(self) -> None:
        self.show_kind("theory")

    def _say_effective(self) -> None:
        field = self._effective
        if field is None:
            self._words.setText("")
        elif field.vanishes:
            self._words.setText(self.tr("no input cell moves this unit: its gradient is zero everywhere"))
        else:
            rows, cols = field.extent
            whole = field.region
            inner, outer = f"{len(rows)}×{len(cols)}", f"{len(whole.real_rows)}×{len(whole.real_cols)}"
            text = self.tr("95 % of the gradient comes from {inner} of the {outer} cells")
            if theme.text_width(self._words.font(), text.format(inner=inner, outer=outer)) > self._words.width():
                text = self.tr("95 % from {inner} of {outer}")
            self._words.setText(text.format(inner=inner, outer=outer))

    # ---- look

    def stop(self) -> None:
        """End what is being computed."""
        self._pause.stop()
        self.runner.cancel()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Say it in fewer words where the width is short."""
        super().resizeEvent(event)
        self._say_effective()

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange} and hasattr(self, "_column"):
            self._rescale()

    def _rescale(self) -> None:
        unit = theme.unit()
        self._tools.setContentsMargins(round(unit), round(0.5 * unit), round(unit), 0)
        self._tools.setSpacing(round(1.5 * unit))
        self._column.setSpacing(round(0.5 * unit))
        theme.mute(self._kind_label)
