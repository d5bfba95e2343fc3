"""The controls of the Lab's input: its numbers, size, channels and the brush."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Signal
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QComboBox, QWidget

from convviz.core.inputs import INPUTS
from convviz.ui.actions import Action
from convviz.ui.lab import limits
from convviz.ui.lab import state as lab
from convviz.ui.lab.limits import Range
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.state import RGB
from convviz.ui.widgets.buttons import Choices, FlatButton
from convviz.ui.widgets.fields import FieldRow, PairSpin, Section, combo_box, decimal_number, show_value, whole_number

LARGEST_MADE = 64
"""The side that a ready-made input starts with after a larger picture."""


class InputControls(Section):
    """The INPUT section of the panel."""

    noted = Signal(str)  # "size" was looked at
    fill_requested = Signal(float)
    random_requested = Signal()
    picture_size_requested = Signal(int, int)
    picture_mode_requested = Signal(str)

    def __init__(self, model: LabModel, actions: Mapping[str, Action], parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self.set_heading(self.tr("INPUT"))
        self._model = model
        self._kind = combo_box(self.tr("Input"), self.tr("The numbers that the window moves over."))
        for kind, text in self._names().items():
            self._kind.addItem(text, kind)
        self._kind.activated.connect(self._on_kind)
        self.add_row(self.tr("Grid"), self._kind)
        self._size = PairSpin(self.tr("Input size"), self.tr("Rows × columns of the input, up to 512 × 512."))
        self._size.changed.connect(self._on_size)
        self._size.focused.connect(lambda: self.noted.emit("size"))
        self.add_row(self.tr("Size"), self._size)
        self._channels = whole_number(
            self.tr("Channels"),
            self.tr("Numbers a cell: 1 for grey, 3 for red, green and blue; each has its own slice of every kernel."),
            1,
            lab.MAX_CHANNELS,
        )
        self._channels.valueChanged.connect(self._on_channels)
        self._colours = Choices(
            (
                ("1", self.tr("Grey"), self.tr("One channel: one number a cell.")),
                ("3", self.tr("RGB"), self.tr("Three channels: red, green and blue, each with its own kernel slice.")),
            )
        )
        self._colours.chosen.connect(lambda channels: self._on_channels(int(channels)))
        self.add_row(self.tr("Channels"), FieldRow(self._colours, self._channels))
        self._shown = Choices(
            (
                ("colour", self.tr("Colour"), self.tr("Show the three channels as one colour picture.")),
                ("0", "R", self.tr("Show the numbers of the red channel.")),
                ("1", "G", self.tr("Show the numbers of the green channel.")),
                ("2", "B", self.tr("Show the numbers of the blue channel.")),
            )
        )
        self._shown.chosen.connect(self._on_shown)
        self._shown_label = self.add_row(self.tr("Show"), self._shown)
        self._brush = decimal_number(
            self.tr("Brush"),
            self.tr("The number that dragging over a grid paints, and that Fill puts into every cell."),
        )
        self._brush.setValue(1.0)
        tools: list[QWidget] = [self._brush]
        for icon, tooltip, slot in (
            ("fill", self.tr("Fill the input, or the kernel while in use, with the brush's number."), self._on_fill),
            ("clear", self.tr("Set every cell of the input, or of the kernel while in use, to 0."), self._on_clear),
            ("random", self.tr("New random whole numbers, from the next seed."), self.random_requested.emit),
        ):
            button = FlatButton(icon)
            button.setToolTip(tooltip)
            button.setAccessibleName(tooltip)
            button.clicked.connect(slot)
            tools.append(button)
        self.add_row(self.tr("Brush"), FieldRow(*tools))
        self._seed = whole_number(
            self.tr("Seed of the random input"),
            self.tr("The same seed gives the same random numbers."),
            0,
            lab.MAX_SEED,
        )
        self._seed.valueChanged.connect(self._on_seed)
        self._seed_label = self.add_row(self.tr("Seed"), self._seed)
        self.add_wide(FlatButton.for_action(actions["open"], with_text=True))

    def _names(self) -> dict[str, str]:
        names = {
            "ramp": self.tr("Ramp"),
            "checkerboard": self.tr("Checkerboard"),
            "vertical_edges": self.tr("Vertical edges"),
            "horizontal_edges": self.tr("Horizontal edges"),
            "diagonal_edge": self.tr("Diagonal edge"),
            "blob": self.tr("Blob"),
            "letter": self.tr("Letter F"),
            "random": self.tr("Random"),
        }
        return {kind: names[kind] for kind in INPUTS} | {"picture": self.tr("Picture"), "custom": self.tr("Custom")}

    # ---- showing

    @property
    def brush(self) -> float:
        """The number that a stroke paints."""
        return self._brush.value()

    @property
    def size_field(self) -> PairSpin:
        """The boxes for rows and columns of the input."""
        return self._size

    def size_range(self, axis: int) -> Range:
        """Return what the input's size may be on an axis while the first layer stays as it is."""
        state = self._model.state
        first = state.stack.layers[0]
        if isinstance(first, limits.WindowLayer):
            return limits.ranges(first, state.size, axis).size
        return Range(1, limits.MAX_INPUT)

    def show_state(self) -> None:
        """Show the model's state in every control."""
        state = self._model.state
        self._kind.setCurrentIndex(self._kind.findData(state.source.kind))
        for kind in ("custom", "picture"):
            enable_item(self._kind, kind, state.source.kind == kind)
        self._size.ratio = state.size[1] / state.size[0] if state.source.kind == "picture" else 1.0
        rows, cols = self.size_range(0), self.size_range(1)
        height, width = state.size  # which are less than the least where the first layer does not fit
        self._size.show_values(state.size, ((min(rows.least, height), rows.most), (min(cols.least, width), cols.most)))
        self._colours.choose(str(state.channels))
        show_value(self._channels, state.channels)
        self._channels.setEnabled(state.source.kind != "picture")
        in_colour = state.channels == RGB
        self._shown.setVisible(in_colour)
        self._shown_label.setVisible(in_colour)
        self._shown.choose("colour" if self._model.shows_colour else str(self._model.channels[0]))
        seeded = state.source.kind in {"random", "letter"}
        self._seed.setVisible(seeded)
        self._seed_label.setVisible(seeded)
        show_value(self._seed, state.source.seed)

    # ---- changing

    def _on_kind(self, index: int) -> None:
        kind = self._kind.itemData(index)
        state = self._model.state
        if kind in INPUTS:
            size = state.size
            if state.source.kind == "picture" and len(state.stack.layers) == 1:
                size = min(size[0], LARGEST_MADE), min(size[1], LARGEST_MADE)
            made = lab.with_made_input(state, kind, size, state.source.seed, state.channels)
            self._model.change(made, self.tr("Input"))

    def _on_size(self, rows: int, cols: int) -> None:
        if self._model.state.source.kind == "picture":
            self.picture_size_requested.emit(rows, cols)
        else:
            changed = lab.with_input_size(self._model.state, (rows, cols))
            self._model.change(changed, self.tr("Size"), key="size")
        self.noted.emit("size")

    def _on_channels(self, channels: int) -> None:
        state = self._model.state
        if state.source.kind == "picture":
            self.picture_mode_requested.emit("grey" if channels == 1 else "rgb")
        elif channels != state.channels:
            self._model.change(lab.with_input_channels(state, channels), self.tr("Channels"))

    def _on_shown(self, choice: str) -> None:
        if choice == "colour":
            self._model.show_colour()
        else:
            self._model.choose_map(0, int(choice))

    def _on_seed(self, seed: int) -> None:
        state = self._model.state
        if state.source.kind not in INPUTS:
            return  # typed, but another input was chosen before it was entered
        made = lab.with_made_input(state, state.source.kind, state.size, seed, state.channels)
        self._model.change(made, self.tr("Seed"), "seed")

    def _on_fill(self) -> None:
        self.fill_requested.emit(self.brush)

    def _on_clear(self) -> None:
        self.fill_requested.emit(0.0)


def enable_item(combo: QComboBox, data: str, on: bool) -> None:
    """Let an item of a combo box be chosen, or not."""
    items = combo.model()
    if isinstance(items, QStandardItemModel):
        item = items.item(combo.findData(data))
        if item.isEnabled() != on:
            item.setEnabled(on)
