"""The Lab's model: the state with undo and redo, what follows from it, and the position that is looked at."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack

from convviz.core import display
from convviz.core.explain import Explanation
from convviz.core.layers import Layer
from convviz.core.window import Axis
from convviz.ui.lab import state as lab
from convviz.ui.lab.state import Array, LabState

FEW_CELLS = 64
"""Up to this many changed input cells, only the output cells that read them are computed anew."""

Cell = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A state and everything computed from it, ready to be drawn."""

    state: LabState
    layer: Layer
    rows: Axis
    cols: Axis
    padded: Array  # (C, H + padding, W + padding), as the layer reads it
    output: Array  # (C_out, H_out, W_out)
    input_level: float
    is_grey: bool  # the input is shown as brightness
    kernel_level: float
    output_level: float

    @property
    def output_size(self) -> Cell:
        """Rows and columns of the output."""
        return int(self.output.shape[1]), int(self.output.shape[2])

    @property
    def num_positions(self) -> int:
        """Positions of the window."""
        return self.output_size[0] * self.output_size[1]


def take_snapshot(state: LabState, previous: Snapshot | None = None) -> Snapshot:
    """Compute what follows from a state; after an edit of a few input cells, only the output cells that read them."""
    old = previous.state if previous is not None else None
    if previous is not None and old is not None and old.layer == state.layer and old.input.shape == state.input.shape:
        layer, (rows, cols) = previous.layer, (previous.rows, previous.cols)
        changed = np.flatnonzero((old.input != state.input).any(axis=0))
        if len(changed) <= FEW_CELLS:
            output = previous.output.copy()
            for row, col in (divmod(int(cell), state.size[1]) for cell in changed):
                read_rows, read_cols = rows.readers(row), cols.readers(col)
                if read_rows.size and read_cols.size:
                    patch = layer.forward_at(state.input, read_rows, read_cols)
                    output[:, read_rows[:, None], read_cols] = patch
        else:
            output = np.asarray(layer.forward(state.input))
    else:
        layer, (rows, cols) = state.layer, state.axes
        output = np.asarray(layer.forward(state.input))
    return Snapshot(
        state=state,
        layer=layer,
        rows=rows,
        cols=cols,
        padded=np.asarray(layer.padded(state.input)),
        output=output,
        input_level=display.signed_levels(state.input),
        is_grey=state.source.is_brightness and not display.is_signed(state.input),
        kernel_level=display.signed_levels(state.weight),
        output_level=display.signed_levels(output),
    )


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
        self._model, self._key = model, key
        self._first: Snapshot | None = snapshot
        self._patches: list[_Patch] = []
        if before.input is not after.input and before.input.shape == after.input.shape:
            self._patches = [_Patch(before.input, after.input)]
            before, after = replace(before, input=_ELSEWHERE), replace(after, input=_ELSEWHERE)
        self._before, self._after = before, after

    def id(self) -> int:
        return -1 if self._key is None else 1

    def mergeWith(self, other: QUndoCommand) -> bool:
        if not isinstance(other, _Change) or other._key != self._key or bool(self._patches) != bool(other._patches):
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
    view_changed = Signal()  # channel, pin, hovered and probed cells, switches

    def __init__(self, state: LabState, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.undo_stack = QUndoStack(self)
        self.undo_stack.setUndoLimit(200)
        self.snapshot = take_snapshot(state)
        self._position = 0
        self._channel = 0
        self._colour = state.channels == 3
        self._pinned: Cell | None = None
        self._hovered: Cell | None = None
        self._explained: tuple[Snapshot, tuple[int, int, int], Explanation] | None = None  # the last, asked for often
        self._probed: Cell | None = None
        self._show_all = False
        self._show_receptive_field = False

    # ---- state

    @property
    def state(self) -> LabState:
        """The input, the operation and its parameters."""
        return self.snapshot.state

    def change(self, state: LabState, text: str, key: Hashable = None) -> None:
        """Go to another state as one undoable step; consecutive steps with the same ``key`` become one."""
        snapshot = take_snapshot(state, self.snapshot)  # what does not fit fails here, not inside the undo stack
        self.undo_stack.push(_Change(self, text, snapshot, key))

    def edit_input(self, cells: list[Cell], value: float, text: str, key: Hashable = None, nudge: bool = False) -> None:
        """Give input cells of the chosen channel (in a colour picture, of all) a value, or ``nudge`` them by it."""
        values = self.state.input.copy()
        channels = slice(None) if self.shows_colour else self.channel
        for row, col in cells:
            values[channels, row, col] = values[channels, row, col] + value if nudge else value
        if np.array_equal(values, self.state.input):
            return
        source = replace(self.state.source, kind="custom", picture=b"", path="")
        self.change(replace(self.state, input=values, source=source), text, key)

    def edit_kernel(
        self, cells: list[Cell], value: float, text: str, key: Hashable = None, nudge: bool = False
    ) -> None:
        """Give cells of the kernel's slice for the chosen channel (as shown) a value, or ``nudge`` them by it."""
        weight = self.state.weight.copy()
        for row, col in cells:
            shown = weight[0, self.channel, ::-1, ::-1] if self.state.flip else weight[0, self.channel]
            shown[row, col] = shown[row, col] + value if nudge else value
        self.change(lab.with_weight(self.state, weight), text, key)

    def _show(self, snapshot: Snapshot) -> None:
        row, col = self.position
        before, self.snapshot, state = self.state, snapshot, snapshot.state
        height, width = self.snapshot.output_size
        self._position = min(row, height - 1) * width + min(col, width - 1)
        if self._channel >= state.channels:
            self._channel = 0
        self._pinned = self._inside(self._pinned)
        self._hovered = None
        if state.size != before.size or state.operation != before.operation or state.source.kind != before.source.kind:
            self._probed = None
        self.state_changed.emit()

    def _inside(self, cell: Cell | None) -> Cell | None:
        height, width = self.snapshot.output_size
        return cell if cell is not None and cell[0] < height and cell[1] < width else None

    # ---- position

    @property
    def index(self) -> int:
        """The position of the window in reading order, from 0."""
        return self._position

    @property
    def position(self) -> Cell:
        """The output cell (row, column) that is looked at."""
        row, col = divmod(self._position, self.snapshot.output_size[1])
        return row, col

    def go_to(self, index: int) -> None:
        """Move the window to a position in reading order, kept within the output."""
        index = min(self.snapshot.num_positions - 1, max(0, index))
        if index != self._position:
            self._position = index
            self.position_changed.emit()

    def go_to_cell(self, row: int, col: int) -> None:
        """Move the window to an output cell."""
        self.go_to(row * self.snapshot.output_size[1] + col)

    def is_computed(self, cell: Cell) -> bool:
        """Whether an output cell is shown: the window has reached it, or all are."""
        return self._show_all or cell[0] * self.snapshot.output_size[1] + cell[1] <= self._position

    def explain(self, cell: Cell) -> Explanation:
        """Take one output cell apart: the only channel of a convolution, the chosen channel of a pooling."""
        place = (self.channel if self.state.is_pooling else 0, *cell)
        if self._explained is None or self._explained[:2] != (self.snapshot, place):
            self._explained = self.snapshot, place, self.snapshot.layer.explain(self.state.input, place)
        return self._explained[2]

    # ---- view

    @property
    def channel(self) -> int:
        """The input channel whose numbers are shown."""
        return self._channel

    @property
    def shows_colour(self) -> bool:
        """Whether the input is shown as a colour picture in place of one channel's numbers."""
        return self._colour and self.state.channels == 3

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
    def probed(self) -> Cell | None:
        """The input cell whose readers are shown."""
        return self._probed

    @property
    def shows_all(self) -> bool:
        """Whether all output cells are shown, not only those the window has reached."""
        return self._show_all

    @property
    def shows_receptive_field(self) -> bool:
        """Whether the cells that feed the current output cell are outlined."""
        return self._show_receptive_field

    def choose_channel(self, channel: int, colour: bool) -> None:
        """Show one input channel's numbers, or the colour picture."""
        self._channel, self._colour = channel, colour
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

    def readers(self, cell: Cell) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the output rows and columns whose windows read an input cell."""
        rows, cols = self.snapshot.rows.readers(cell[0]), self.snapshot.cols.readers(cell[1])
        return tuple(int(row) for row in rows), tuple(int(col) for col in cols)
