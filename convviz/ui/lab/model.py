"""The Lab's model: the state with undo and redo, what follows from it, and the position that is looked at."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Literal, get_args
from weakref import proxy

import numpy as np
from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QUndoCommand, QUndoStack

from convviz.core import display
from convviz.core.dense import Flatten, Linear
from convviz.core.explain import Explanation, Position
from convviz.core.layers import Conv2d, Shape
from convviz.core.stack import INPUT, Stack
from convviz.ui.jobs import JobRunner
from convviz.ui.lab import state as lab
from convviz.ui.lab.compute import Outputs, outputs_at_once, remaining_outputs
from convviz.ui.lab.snapshot import Cell, Snapshot, Step
from convviz.ui.lab.state import RGB, Array, LabState

View = Literal["layer", "stack", "shift", "learn"]
"""What of the Lab is shown: the current layer, all of them, the lesson on shifts or that on learning."""

Unit = tuple[int, Cell | int]
"""A layer, or `INPUT`, and one of its units: (i, j), or n in a vector."""


def take_snapshot(state: LabState, previous: Snapshot | None = None) -> Snapshot:
    """Compute what quickly follows from a state; what did not change since ``previous`` is kept."""
    if previous is None:
        return Snapshot(state, outputs_at_once(state))
    return Snapshot(state, outputs_at_once(state, previous.state, previous.outputs))


class _Patch:
    """The input cells that differ between two states, so that an undo step need not keep whole inputs."""

    def __init__(self, before: Array, after: Array) -> None:
        self._where = np.flatnonzero(before != after)
        self._before, self._after = before.flat[self._where], after.flat[self._where]

    def applied(self, values: Array, forward: bool) -> Array:
        """Return the input after (or before) the change, from the one before (or after) it."""
        values = values.copy()
        values.flat[self._where] = self._after if forward else self._before
        return values


class _Change(QUndoCommand):
    """One undoable step from a state to another; steps with the same key (one stroke, one drag) merge."""

    def __init__(self, model: LabModel, text: str, snapshot: Snapshot, key: Hashable) -> None:
        super().__init__(text)
        before, after = model.state, snapshot.state
        self._model: LabModel = proxy(model)  # a cycle with the undo stack would let the collector crash
        self._key = key
        self._first: Snapshot | None = snapshot
        self._patches: list[_Patch] = []
        if before.input is not after.input and before.input.shape == after.input.shape:
            self._patches = [_Patch(before.input, after.input)]
            before, after = replace(before, input=_ELSEWHERE), replace(after, input=_ELSEWHERE)
        self._before, self._after = before, after

    def id(self) -> int:
        return -1 if self._key is None else 1

    def mergeWith(self, other: QUndoCommand) -> bool:
        if not isinstance(other, _Change) or (other._key, other._before.current) != (self._key, self._after.current):
            return False
        if bool(self._patches) != bool(other._patches):
            return False
        self._after = other._after
        self._patches += other._patches
        return True

    def undo(self) -> None:
        self._show(self._before, forward=False)

    def redo(self) -> None:
        if self._first is not None:
            first, self._first = self._first, None
            self._model._show(first)
        else:
            self._show(self._after, forward=True)

    def _show(self, state: LabState, forward: bool) -> None:
        if self._patches:
            values = self._model.state.input
            for patch in self._patches if forward else reversed(self._patches):
                values = patch.applied(values, forward)
            state = replace(state, input=values)
        self._model._show(take_snapshot(state, self._model.snapshot))


_ELSEWHERE: Array = np.zeros((0, 0, 0))
"""Stands for an input that a patch makes from the one shown."""


class LabModel(QObject):
    """The state, the position and the choices of view; every change is announced by one signal."""

    state_changed = Signal()
    position_changed = Signal()
    view_changed = Signal()  # channels, pin, hovered and probed cells, switches, the page's view
    outputs_changed = Signal()  # a layer's output came from the background

    def __init__(self, state: LabState, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.undo_stack = QUndoStack(self)
        self.undo_stack.setUndoLimit(200)
        self.snapshot = take_snapshot(state)
        self.forward = JobRunner(self)
        self.forward.progressed.connect(self._on_outputs)
        self.forward.succeeded.connect(self._on_outputs)
        self.forward.failed.connect(self._on_failed)
        self._asked: tuple[Array, Stack] | None = None  # what the background was asked to compute last
        self._position = 0
        self._channels = [0] * (len(state.stack.layers) + 1)  # of the input, then of every layer
        self._colour = state.channels == RGB
        self._view: View = "layer"
        self._pinned: Cell | None = None
        self._hovered: Cell | None = None
        self._hovered_unit: Unit | None = None
        self._explained: tuple[Step, Position, Explanation] | None = None  # the last, asked for often
        self._probed: Cell | None = None
        self._show_all = False
        self._show_receptive_field = False
        self._show_pixel_use = False
        self._compute()

    # ---- state

    @property
    def state(self) -> LabState:
        """The input, the stack and its current layer."""
        return self.snapshot.state

    @property
    def step(self) -> Step | None:
        """The current layer at work, None while that cannot be shown."""
        return self.snapshot.step

    def change(self, state: LabState, text: str, key: Hashable = None) -> None:
        """Go to another state as one undoable step; consecutive steps with the same ``key`` become one."""
        if state is self.state:
            return
        snapshot = take_snapshot(state, self.snapshot)  # what does not fit fails here, not inside the undo stack
        self.undo_stack.push(_Change(self, text, snapshot, key))

    def choose_layer(self, index: int, position: int = 0) -> None:
        """Step another layer, from a position on. This is no change of the state that could be undone."""
        index = min(len(self.state.stack.layers) - 1, max(0, index))
        if index != self.state.current:
            self._show(Snapshot(replace(self.state, current=index), self.snapshot.outputs), position)
        elif position != self._position:
            self.go_to(position)

    def open_unit(self, stack: Stack, values: Array, current: int, unit: Position, text: str) -> None:
        """Step a layer of another stack on an input (C, H, W), from its unit (channel, i, j) on; one undoable step.

        A unit of a vector is its index; what follows it is left out.
        """
        self.change(LabState(lab.Source("custom"), values, stack, current), text)
        self._show_all = True  # to step up to the unit would take too long
        is_vector = len(stack.shapes[current + 1]) == 1
        if not is_vector:
            self.choose_map(current + 1, unit[0])
        self.go_to_unit((current, unit[0] if is_vector else (unit[1], unit[2])))
        self.view_changed.emit()

    def edit_input(self, cells: list[Cell], value: float, text: str, key: Hashable = None, nudge: bool = False) -> None:
        """Give input cells of the chosen channel (in a colour picture, of all) a value, or ``nudge`` them by it."""
        values = self.state.input.copy()
        channels = slice(None) if self.shows_colour else self._channels[0]
        for row, col in cells:
            values[channels, row, col] = values[channels, row, col] + value if nudge else value
        if np.array_equal(values, self.state.input):
            return
        source = replace(self.state.source, kind="custom", picture=b"", path="")
        self.change(replace(self.state, input=values, source=source), text, key)

    def edit_kernel(
        self, cells: list[Cell], value: float, text: str, key: Hashable = None, nudge: bool = False
    ) -> None:
        """Give cells of the kernel's slice for the chosen channels (as shown) a value, or ``nudge`` them by it."""
        layer = self.state.layer
        if not isinstance(layer, (Conv2d, Linear)):
            return
        weight = layer.weight.astype(np.float64)
        if isinstance(layer, Conv2d):
            shown = weight[self.weights_index, self.slice]
            shown = shown[::-1, ::-1] if layer.flip else shown
        else:
            shown = weight[self.weights_index][None]
            step = self.step
            columns = step.input_size[1] if step is not None else layer.in_features
            cells = [(0, row * columns + col) for row, col in cells if row * columns + col < layer.in_features]
        for row, col in cells:
            shown[row, col] = shown[row, col] + value if nudge else value
        change = lab.with_weight if isinstance(layer, Conv2d) else lab.with_units_weight
        self.change(change(self.state, weight), text, key)

    def _show(self, snapshot: Snapshot, position: int | None = None) -> None:
        before, (row, col) = self.state, self.position
        self.snapshot, state = snapshot, snapshot.state
        if position is None and state.current == before.current:
            height, width = self.output_size
            position = min(row, height - 1) * width + min(col, width - 1)
        self._position = position or 0
        self._fit_view(before)
        self._pinned = self._inside(self._pinned) if state.current == before.current else None
        self._hovered = self._hovered_unit = None
        if (
            state.size != before.size
            or state.current != before.current
            or type(state.layer) is not type(before.layer)
            or state.source.kind != before.source.kind
        ):
            self._probed = None
        self._compute()
        self.state_changed.emit()

    def _fit_view(self, before: LabState) -> None:
        """Keep position and channels within those that there are."""
        self._position = min(self._position, self.num_positions - 1)
        count = len(self.state.stack.layers) + 1
        if count != len(before.stack.layers) + 1:
            self._channels = (self._channels + [0] * count)[:count]
        for index, shape in enumerate(self.state.stack.shapes):
            if len(shape) == 1 or self._channels[index] >= shape[0]:
                self._channels[index] = 0
        self._tie_channels()

    def _inside(self, cell: Cell | None) -> Cell | None:
        if cell is None:
            return None
        row, col = cell
        width = self.output_size[1]
        return cell if col < width and row * width + col < self.num_positions else None

    # ---- computing in the background

    def _compute(self) -> None:
        """Have the outputs that are still missing computed, unless that was cancelled; drop those of another state."""
        state = self.state
        if self.snapshot.is_complete:
            self._asked = None
            self.forward.cancel()
        elif self._asked is None or self._asked[0] is not state.input or self._asked[1] is not state.stack:
            self.compute()

    def compute(self) -> None:
        """Compute what is missing."""
        state, outputs = self.state, self.snapshot.outputs
        self._asked = state.input, state.stack
        self.forward.start(lambda token: remaining_outputs(state, outputs, token))

    @Slot(object)
    def _on_outputs(self, outputs: Outputs) -> None:
        self.snapshot = Snapshot(self.state, outputs)
        self._fit_view(self.state)
        self.outputs_changed.emit()

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        raise error  # all that the layers can refuse was refused before; what is left takes the road of every defect

    # ---- position

    @property
    def index(self) -> int:
        """The position of the window in reading order, from 0."""
        return self._position

    @property
    def output_shape(self) -> Shape | None:
        """The shape of the current layer's output, whether it is computed or not; None where the layer does not fit."""
        shapes, index = self.state.stack.shapes, self.state.current + 1
        return shapes[index] if index < len(shapes) else None

    @property
    def output_size(self) -> Cell:
        """Rows and columns in which the current layer's output is shown; a vector is wrapped into rows."""
        shape = self.output_shape
        if shape is None:
            return 1, 1
        return display.grid_shape(shape)

    @property
    def num_positions(self) -> int:
        """How many positions the current layer's window has; 1 where the layer does not fit."""
        shape = self.output_shape
        if shape is None:
            return 1
        return shape[0] if len(shape) == 1 else shape[1] * shape[2]

    @property
    def position(self) -> Cell:
        """The output cell (row, column) that is looked at."""
        row, col = divmod(self._position, self.output_size[1])
        return row, col

    def go_to(self, index: int) -> None:
        """Move the window to a position in reading order, kept within the output."""
        index = min(self.num_positions - 1, max(0, index))
        if index != self._position:
            self._position = index
            self.position_changed.emit()

    def go_to_cell(self, row: int, col: int) -> None:
        """Move the window to an output cell."""
        self.go_to(row * self.output_size[1] + col)

    def go_to_unit(self, unit: Unit) -> None:
        """Step the layer of a unit, from that unit on; the input has no positions."""
        layer, cell = unit
        if layer == INPUT:
            return
        shape = self.state.stack.shapes[layer + 1]
        self.choose_layer(layer, cell if isinstance(cell, int) else cell[0] * shape[-1] + cell[1])

    def is_computed(self, cell: Cell) -> bool:
        """Whether an output cell is shown: the window has reached it, or all are."""
        return self._show_all or cell[0] * self.output_size[1] + cell[1] <= self._position

    @property
    def shown(self) -> int | None:
        """How many cells of each map of the current output count as computed; None for all."""
        if self._show_all:
            return None if self.output_shape is None or len(self.output_shape) == 3 else self.num_positions
        return self._position + 1

    def explain(self, cell: Cell) -> Explanation | None:
        """Take one output cell of the chosen channel apart."""
        step = self.step
        if step is None:
            return None
        place = step.place(cell, self.out_channel)
        if self._explained is None or self._explained[0] is not step or self._explained[1] != place:
            self._explained = step, place, step.layer.explain(step.x, place)
        return self._explained[2]

    # ---- channels

    @property
    def channel(self) -> int:
        """The channel of the current layer's input whose numbers are shown."""
        step = self.step
        if step is not None and isinstance(step.layer, Flatten) and step.x.ndim == 3:
            return self._position // (step.input_size[0] * step.input_size[1])
        return self._channels[self.state.current]

    @property
    def out_channel(self) -> int:
        """The channel of the current layer's output that is shown: the feature map."""
        return self._channels[self.state.current + 1]

    @property
    def weights_index(self) -> int:
        """The output channel, or unit, whose weights can be set.

        It is the one shown, or the last where the layer has fewer because it is switched off or does not fit.
        """
        match self.state.layer:
            case Conv2d() as layer:
                return min(self.out_channel, layer.out_channels - 1)
            case Linear() as layer:
                return min(self._position, layer.out_features - 1)
            case _:
                return self.out_channel

    @property
    def slice(self) -> int:
        """Which slice of the kernel goes with the input channel."""
        step = self.step
        return self.channel - step.channels_read(self.out_channel).start if step is not None else 0

    @property
    def channels(self) -> tuple[int, ...]:
        """The channel shown of the input, then of every layer."""
        return tuple(self._channels)

    @property
    def shows_colour(self) -> bool:
        """Whether the network's input is shown as a colour picture in place of one channel's numbers."""
        return self._colour and self.state.channels == RGB

    @property
    def shows_colour_step(self) -> bool:
        """Whether the current layer's input is shown as a colour picture."""
        return self.shows_colour and self.state.current == 0

    def show_colour(self) -> None:
        """Show the network's input as a colour picture."""
        self._colour = True
        self.view_changed.emit()

    def choose_channel(self, channel: int) -> None:
        """Show one channel of the current layer's input."""
        self.choose_map(self.state.current, channel)

    def choose_map(self, map_index: int, channel: int) -> None:
        """Show one channel of the input (map 0) or of a layer's output (map 1 and so on)."""
        if map_index == 0:
            self._colour = False
        self._channels[map_index] = channel
        self._tie_channels(map_index)
        self.view_changed.emit()

    def _tie_channels(self, chosen: int | None = None) -> None:
        """Let input and output channel of the current layer go together; the one that was ``chosen`` leads."""
        step, at = self.step, self.state.current
        if step is None or step.y.ndim == 1:
            return
        if chosen == at and self._channels[at] not in step.channels_read(self._channels[at + 1]):
            outputs = range(step.y.shape[0])
            self._channels[at + 1] = next(o for o in outputs if self._channels[at] in step.channels_read(o))
        read = step.channels_read(self._channels[at + 1])
        if self._channels[at] not in read:
            self._channels[at] = read.start

    # ---- view

    @property
    def view(self) -> View:
        """What of the Lab is shown."""
        return self._view

    @property
    def pinned(self) -> Cell | None:
        """The output cell that stays explained while others are looked at."""
        return self._pinned

    @property
    def hovered(self) -> Cell | None:
        """The output cell under the pointer."""
        return self._hovered

    @property
    def compared(self) -> Cell:
        """The output cell shown beside the pinned one: that under the pointer, else the position."""
        if self._pinned is not None and self._hovered is not None:
            return self._hovered
        return self.position

    @property
    def unit(self) -> Unit:
        """The unit whose receptive field is shown: that under the pointer in the stack, else the position's."""
        return self._hovered_unit or (self.state.current, self._cell_of_position())

    def _cell_of_position(self) -> Cell | int:
        shape = self.output_shape
        return self._position if shape is not None and len(shape) == 1 else self.position

    @property
    def probed(self) -> Cell | None:
        """The cell of the current layer's input whose readers are shown."""
        return self._probed

    @property
    def shows_all(self) -> bool:
        """Whether all output cells are shown, not only those the window has reached."""
        return self._show_all

    @property
    def shows_receptive_field(self) -> bool:
        """Whether the cells that feed the current output cell are outlined."""
        return self._show_receptive_field

    @property
    def shows_pixel_use(self) -> bool:
        """Whether the input shows how often each of its cells is read."""
        return self._show_pixel_use

    def choose_view(self, view: str) -> None:
        """Show another part of the Lab."""
        found: View | None = next((name for name in get_args(View) if name == view), None)
        if found is not None and found != self._view:
            self._view = found
            self._hovered_unit = None
            self.view_changed.emit()

    def pin(self, cell: Cell | None) -> None:
        """Keep one output cell explained, or let go of it."""
        self._pinned = self._inside(cell)
        self.view_changed.emit()

    def hover(self, cell: Cell | None) -> None:
        """Say which output cell is under the pointer."""
        cell = self._inside(cell)
        if cell is not None and not self.is_computed(cell):
            cell = None
        if cell != self._hovered:
            self._hovered = cell
            if self._pinned is not None:
                self.view_changed.emit()

    def hover_unit(self, unit: Unit | None) -> None:
        """Say which unit of the stack is under the pointer."""
        if unit != self._hovered_unit:
            self._hovered_unit = unit
            self.position_changed.emit()

    def probe(self, cell: Cell | None) -> None:
        """Show which output cells read an input cell, or none."""
        if cell != self._probed:
            self._probed = cell
            self.view_changed.emit()

    def show_all(self, on: bool) -> None:
        """Show all output cells, or only those the window has reached."""
        self._show_all = on
        self.view_changed.emit()

    def show_receptive_field(self, on: bool) -> None:
        """Outline the cells that feed the current output cell, or not."""
        self._show_receptive_field = on
        self.view_changed.emit()

    def show_pixel_use(self, on: bool) -> None:
        """Show how often each input cell is read, or its numbers."""
        self._show_pixel_use = on
        self.view_changed.emit()
