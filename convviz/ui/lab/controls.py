"""The Lab's control panel: operation, input, kernel, window. No control can reach a combination that does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPen, QStandardItemModel
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from convviz.core.inputs import INPUTS
from convviz.core.kernels import KERNELS, kernel_fits
from convviz.core.window import PaddingMode
from convviz.ui import theme
from convviz.ui.actions import Action
from convviz.ui.lab import state as lab
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.state import LabState, Range
from convviz.ui.widgets.buttons import Choices, FlatButton, Segmented
from convviz.ui.widgets.fields import ComboBox, PairSpin, Section, scaling

PARAMETERS = ("kernel_size", "stride", "padding", "dilation")


class Controls(QScrollArea):
    """The panel at the left of the Lab."""

    noted = Signal(str)
    fill_requested = Signal(float)
    random_requested = Signal()
    picture_size_requested = Signal(int, int)
    picture_mode_requested = Signal(str)

    def __init__(self, model: LabModel, actions: Mapping[str, Action], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._noted = "kernel_size"
        self._panel = QWidget(self)
        self._column = QVBoxLayout(self._panel)
        self._column.addWidget(self._make_operation(actions))
        self._column.addWidget(self._make_input(actions))
        self._column.addWidget(self._make_kernel())
        self._column.addWidget(self._make_window())
        self._column.addStretch(1)
        self.setWidget(self._panel)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._panel.setAutoFillBackground(True)
        self._panel.setBackgroundRole(QPalette.ColorRole.Base)
        self._rescale()
        model.state_changed.connect(self.show_state)
        model.view_changed.connect(self.show_state)
        self.show_state()

    def sizeHint(self) -> QSize:
        """Return a width at which labels and fields stand in one line."""
        bar = self.verticalScrollBar().sizeHint().width()
        return QSize(self._panel.minimumSizeHint().width() + bar, round(80 * theme.unit()))

    def minimumSizeHint(self) -> QSize:
        """Return the same width, and a height that scrolls."""
        return QSize(self.sizeHint().width(), round(10 * theme.unit()))

    # ---- making

    def _make_operation(self, actions: Mapping[str, Action]) -> Section:
        section = Section(self.tr("OPERATION"))
        buttons = [FlatButton.for_action(actions[name], with_text=True) for name in ("conv", "max", "avg")]
        section.add_wide(Segmented(buttons))
        return section

    def _make_input(self, actions: Mapping[str, Action]) -> Section:
        section = Section(self.tr("INPUT"))
        self._input_kind = self._combo(self.tr("Input"), self.tr("The numbers that the window moves over."))
        for kind, text in self._input_names().items():
            self._input_kind.addItem(text, kind)
        self._input_kind.activated.connect(self._on_input_kind)
        section.add_row(self.tr("Grid"), self._input_kind)
        self._size = PairSpin(self.tr("Input size"), self.tr("Rows × columns of the input, up to 512 × 512."))
        self._size.changed.connect(self._on_size)
        self._size.focused.connect(lambda: self._say("size"))
        section.add_row(self.tr("Size"), self._size)
        self._channels = Choices(
            (
                ("1", self.tr("Grey"), self.tr("One channel: one number a cell.")),
                ("3", self.tr("RGB"), self.tr("Three channels: red, green and blue, each with its own kernel slice.")),
            )
        )
        self._channels.chosen.connect(self._on_channels)
        section.add_row(self.tr("Channels"), self._channels)
        self._shown = Choices(
            (
                ("colour", self.tr("Colour"), self.tr("Show the three channels as one colour picture.")),
                ("0", "R", self.tr("Show the numbers of the red channel.")),
                ("1", "G", self.tr("Show the numbers of the green channel.")),
                ("2", "B", self.tr("Show the numbers of the blue channel.")),
            )
        )
        self._shown.chosen.connect(self._on_shown)
        self._shown_label = section.add_row(self.tr("Show"), self._shown)
        self._brush = self._number(
            self.tr("Brush"),
            self.tr("The number that dragging over a grid paints, and that Fill puts into every cell."),
        )
        self._brush.setValue(1.0)
        tools = QWidget()
        row = QHBoxLayout(tools)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._brush, 1)
        for icon, tooltip, slot in (
            ("fill", self.tr("Fill the input, or the kernel while in use, with the brush's number."), self._on_fill),
            ("clear", self.tr("Set every cell of the input, or of the kernel while in use, to 0."), self._on_clear),
            ("random", self.tr("New random whole numbers, from the next seed."), self.random_requested.emit),
        ):
            button = FlatButton(icon)
            button.setToolTip(tooltip)
            button.setAccessibleName(tooltip)
            button.clicked.connect(slot)
            row.addWidget(button)
        self._tools_row = row
        section.add_row(self.tr("Brush"), tools)
        self._seed = scaling(QSpinBox())
        self._seed.setRange(0, lab.MAX_SEED)
        self._seed.setAccessibleName(self.tr("Seed of the random input"))
        self._seed.setToolTip(self.tr("The same seed gives the same random numbers."))
        self._seed.valueChanged.connect(self._on_seed)
        self._seed_label = section.add_row(self.tr("Seed"), self._seed)
        section.add_wide(FlatButton.for_action(actions["open"], with_text=True))
        return section

    def _make_kernel(self) -> Section:
        section = self._kernel_section = Section(self.tr("KERNEL"))
        self._kernel = self._combo(self.tr("Kernel"), self.tr("The weights that the window is multiplied with."))
        for kind, text in self._kernel_names().items():
            self._kernel.addItem(text, kind)
        self._kernel.activated.connect(self._on_kernel)
        section.add_row(self.tr("Weights"), self._kernel)
        self._bias = self._number(self.tr("Bias"), self.tr("A number added to every output cell."))
        self._bias.valueChanged.connect(self._on_bias)
        section.add_row(self.tr("Bias"), self._bias)
        self._flip = FlatButton("flip", self.tr("Flip kernel"))
        self._flip.setCheckable(True)
        self._flip.setAccessibleName(self.tr("Flip kernel"))
        self._flip.setToolTip(
            self.tr("True convolution turns the kernel by 180°; networks use cross-correlation, which does not.")
        )
        self._flip.clicked.connect(self._on_flip)
        section.add_wide(self._flip)
        return section

    def _make_window(self) -> Section:
        section = Section(self.tr("WINDOW"))
        texts = {
            "kernel_size": (self.tr("Kernel size"), self.tr("Rows × columns of the window.")),
            "stride": (self.tr("Stride"), self.tr("How many cells the window moves at each step.")),
            "padding": (self.tr("Padding"), self.tr("Cells added around the input on every side.")),
            "dilation": (
                self.tr("Dilation"),
                self.tr("Distance between the cells that the window reads; 1 leaves no gaps."),
            ),
        }
        self._pairs: dict[str, PairSpin] = {}
        for name in PARAMETERS:
            text, tooltip = texts[name]
            pair = self._pairs[name] = PairSpin(text, tooltip)
            pair.changed.connect(lambda rows, cols, name=name: self._on_pair(name, rows, cols))
            pair.focused.connect(lambda name=name: self._say(name))
            section.add_row(text, pair)
        self._padding_kind = Choices(
            (
                ("number", self.tr("Number"), self.tr("Padding as the numbers above say.")),
                ("valid", self.tr("Valid"), self.tr("No padding: every window lies on the input.")),
                (
                    "same",
                    self.tr("Same"),
                    self.tr("As much padding as keeps the output at the input's size; needs stride 1."),
                ),
            )
        )
        self._padding_kind.chosen.connect(self._on_padding_kind)
        self._padding_kind_label = section.add_row(self.tr("Pad"), self._padding_kind)
        self._mode = self._combo(self.tr("Padding mode"), self.tr("Which numbers the padding cells hold."))
        for mode, text in (
            ("zeros", self.tr("Zeros")),
            ("reflect", self.tr("Reflect")),
            ("replicate", self.tr("Replicate")),
            ("circular", self.tr("Circular")),
        ):
            self._mode.addItem(text, mode)
        self._mode.activated.connect(self._on_mode)
        self._mode_label = section.add_row(self.tr("Pad with"), self._mode)
        self._ceil = FlatButton(text=self.tr("Round size up"))
        self._ceil.setCheckable(True)
        self._ceil.setAccessibleName(self._ceil.text())
        self._ceil.setToolTip(self.tr("ceil_mode: also use a last window that runs past the edge."))
        self._ceil.clicked.connect(
            lambda on: self._change(lab.legal(replace(self._state, ceil_mode=on)), self._ceil.text())
        )
        section.add_wide(self._ceil)
        self._count_pad = FlatButton(text=self.tr("Count padding"))
        self._count_pad.setCheckable(True)
        self._count_pad.setAccessibleName(self._count_pad.text())
        self._count_pad.setToolTip(self.tr("count_include_pad: padding cells count as zeros in the mean."))
        self._count_pad.clicked.connect(
            lambda on: self._change(replace(self._state, count_include_pad=on), self._count_pad.text())
        )
        section.add_wide(self._count_pad)
        self._note_label = QLabel()
        self._note_label.setWordWrap(True)
        self._note_label.setAccessibleName(self.tr("Legal range"))
        section.add_wide(self._note_label)
        return section

    def _combo(self, name: str, tooltip: str) -> QComboBox:
        combo = ComboBox()
        combo.setAccessibleName(name)
        combo.setToolTip(tooltip)
        combo.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        combo.setMinimumContentsLength(8)
        return combo

    def _number(self, name: str, tooltip: str) -> QDoubleSpinBox:
        spin = scaling(QDoubleSpinBox())
        spin.setRange(-999, 999)
        spin.setDecimals(2)
        spin.setAccessibleName(name)
        spin.setToolTip(tooltip)
        return spin

    def _input_names(self) -> dict[str, str]:
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

    def _kernel_names(self) -> dict[str, str]:
        names = {
            "identity": self.tr("Identity"),
            "box": self.tr("Box blur"),
            "gaussian": self.tr("Gaussian blur"),
            "sharpen": self.tr("Sharpen"),
            "outline": self.tr("Outline"),
            "emboss": self.tr("Emboss"),
            "sobel_x": self.tr("Sobel x"),
            "sobel_y": self.tr("Sobel y"),
            "prewitt_x": self.tr("Prewitt x"),
            "prewitt_y": self.tr("Prewitt y"),
            "laplacian": self.tr("Laplacian"),
            "random": self.tr("Random"),
        }
        return {kind: names[kind] for kind in KERNELS} | {"custom": self.tr("Custom")}

    # ---- showing

    @property
    def brush(self) -> float:
        """The number that a stroke paints."""
        return self._brush.value()

    def show_state(self) -> None:
        """Show the model's state in every control."""
        state = self._state
        self._input_kind.setCurrentIndex(self._input_kind.findData(state.source.kind))
        for kind in ("custom", "picture"):
            _enable_item(self._input_kind, kind, state.source.kind == kind)
        both = lab.ranges(state, 0), lab.ranges(state, 1)
        self._size.ratio = state.size[1] / state.size[0] if state.source.kind == "picture" else 1.0
        self._size.show_values(state.size, _bounds(both[0].size, both[1].size))
        self._channels.choose(str(state.channels))
        in_colour = state.channels == 3
        self._shown.setVisible(in_colour)
        self._shown_label.setVisible(in_colour)
        self._shown.choose("colour" if self._model.shows_colour else str(self._model.channel))
        seeded = state.source.kind in {"random", "letter"}
        self._seed.setVisible(seeded)
        self._seed_label.setVisible(seeded)
        _show_value(self._seed, state.source.seed)
        convolution = not state.is_pooling
        self._kernel_section.setVisible(convolution)
        self._kernel.setCurrentIndex(self._kernel.findData(state.kernel))
        _enable_item(self._kernel, "custom", state.kernel == "custom")
        for kind in KERNELS:
            _enable_item(self._kernel, kind, kernel_fits(kind, state.kernel_size))
        _show_value(self._bias, state.bias)
        self._flip.setChecked(state.flip)
        for name, pair in self._pairs.items():
            pair.show_values(self._values(name), _bounds(getattr(both[0], name), getattr(both[1], name)))
        self._pairs["padding"].setEnabled(not state.same)
        self._pairs["dilation"].setEnabled(state.operation != "avg")
        kind = "same" if state.same else "valid" if state.padding == (0, 0) else "number"
        self._padding_kind.choose(kind)
        for widget in (self._padding_kind, self._padding_kind_label, self._mode, self._mode_label):
            widget.setVisible(convolution)
        self._mode.setCurrentIndex(self._mode.findData(state.padding_mode))
        self._ceil.setVisible(not convolution)
        self._ceil.setChecked(state.ceil_mode)
        self._count_pad.setVisible(state.operation == "avg")
        self._count_pad.setChecked(state.count_include_pad)
        self._note(self._noted)

    def _values(self, name: str) -> tuple[int, int]:
        value = self._state.size if name == "size" else getattr(self._state, name)
        return int(value[0]), int(value[1])

    def _note(self, name: str) -> None:
        """Say between which numbers a parameter may be, and why it stops there."""
        self._noted = name
        names = {"size": self.tr("Size")} | {
            key: self._pairs[key].spin(0).accessibleName().split(",")[0] for key in self._pairs
        }
        axis = self._noted_axis(name)
        limits: Range = getattr(lab.ranges(self._state, axis), name)
        at_least = self._values(name)[axis] == limits.least and limits.below in {"half_kernel", "fit", "size"}
        reason = self._reason(limits.below if at_least else limits.above, axis)
        values = str(limits.least) if limits.least == limits.most else f"{limits.least}–{limits.most}"
        self._note_label.setText(
            self.tr("{name} {values}: {reason}").format(name=names[name], values=values, reason=reason)
        )

    def _say(self, name: str) -> None:
        """Note a parameter's range, and say it where it is seen without scrolling."""
        self._note(name)
        self.noted.emit(self._note_label.text())

    def _noted_axis(self, name: str) -> int:
        """Return the axis whose range is said: the columns while their box has the focus, else the rows."""
        pair = self._size if name == "size" else self._pairs[name]
        return 1 if pair.spin(1).hasFocus() else 0

    def _reason(self, bound: str, axis: int) -> str:
        along = (self._model.snapshot.rows, self._model.snapshot.cols)[axis]
        n, k, d = along.size, along.kernel_size, along.dilation
        padded = f"{n} + 2·{along.pad_before} = {along.padded_size}"
        match bound:
            case "fit":
                return self.tr("d(k − 1) + 1 must fit in n + 2p, {d}·({k} − 1) + 1 ≤ {padded}.").format(
                    d=d, k=k, padded=padded
                )
            case "size":
                return self.tr("the window d(k − 1) + 1 = {span} must fit.").format(span=along.span)
            case "half_kernel":
                return self.tr("pooling allows padding of half the kernel, ⌊{k}/2⌋ = {half}.").format(k=k, half=k // 2)
            case "reflect":
                return self.tr("reflecting repeats the input without its edge, n − 1 = {most}.").format(most=n - 1)
            case "circular":
                return self.tr("going round repeats the input once at most, n = {n}.").format(n=n)
            case "same":
                return self.tr("padding “same” needs stride 1.")
            case "no_dilation":
                return self.tr("average pooling has no dilation.")
            case _:
                return self.tr("what the Lab can show.")

    # ---- changing

    @property
    def _state(self) -> LabState:
        return self._model.state

    def _change(self, state: LabState, text: str, key: object = None) -> None:
        self._model.change(state, text, (text, key) if key is not None else None)

    def _on_input_kind(self, index: int) -> None:
        kind = self._input_kind.itemData(index)
        state = self._state
        if kind in INPUTS:
            size = (min(state.size[0], 64), min(state.size[1], 64)) if state.source.kind == "picture" else state.size
            self._change(lab.with_made_input(state, kind, size, state.source.seed, state.channels), self.tr("Input"))

    def _on_size(self, rows: int, cols: int) -> None:
        if self._state.source.kind == "picture":
            self.picture_size_requested.emit(rows, cols)
        else:
            self._change(lab.with_input_size(self._state, (rows, cols)), self.tr("Size"), key="size")
        self._say("size")

    def _on_channels(self, channels: str) -> None:
        state = self._state
        if state.source.kind == "picture":
            self.picture_mode_requested.emit("grey" if channels == "1" else "rgb")
        elif int(channels) != state.channels:
            if state.source.kind in INPUTS:
                state = lab.with_made_input(state, state.source.kind, state.size, state.source.seed, int(channels))
            else:
                values = np.repeat(state.input[:1], int(channels), axis=0)
                state = lab.with_input(state, values, state.source)
            self._change(state, self.tr("Channels"))

    def _on_shown(self, choice: str) -> None:
        self._model.choose_channel(0 if choice == "colour" else int(choice), choice == "colour")

    def _on_seed(self, seed: int) -> None:
        state = self._state
        if state.source.kind not in INPUTS:
            return  # typed, but another input was chosen before it was entered
        self._change(
            lab.with_made_input(state, state.source.kind, state.size, seed, state.channels), self.tr("Seed"), "seed"
        )

    def _on_fill(self) -> None:
        self.fill_requested.emit(self.brush)

    def _on_clear(self) -> None:
        self.fill_requested.emit(0.0)

    def _on_kernel(self, index: int) -> None:
        kind = self._kernel.itemData(index)
        state = self._state
        if kind in KERNELS:
            seed = state.kernel_seed + 1 if kind == "random" else state.kernel_seed
            self._change(lab.with_kernel(state, kind, seed), self.tr("Kernel"))

    def _on_bias(self, bias: float) -> None:
        self._change(replace(self._state, bias=bias), self.tr("Bias"), key="bias")

    def _on_flip(self, on: bool) -> None:
        self._change(replace(self._state, flip=on), self.tr("Flip kernel"))

    def _on_pair(self, name: str, rows: int, cols: int) -> None:
        state = self._state
        if name == "kernel_size":
            state = lab.with_kernel_size(state, (rows, cols))
        else:
            changed: dict[str, Any] = {name: (rows, cols)}
            state = replace(state, **changed)
        self._change(state, self._pairs[name].spin(0).accessibleName(), key=name)
        self._say(name)

    def _on_padding_kind(self, kind: str) -> None:
        state = self._state
        if kind == "same":
            state = lab.legal(replace(state, same=True))
        elif kind == "valid":
            state = lab.legal(replace(state, same=False, padding=(0, 0)))
        else:
            rows, cols = self._model.snapshot.rows, self._model.snapshot.cols
            padding = (rows.pad_before or 1, cols.pad_before or 1)
            state = lab.legal(replace(state, same=False, padding=padding))
        self._noted = "stride" if state.stride != self._state.stride else "padding"
        self._change(state, self.tr("Padding"))

    def _on_mode(self, index: int) -> None:
        mode: PaddingMode = self._mode.itemData(index)
        self._change(lab.legal(replace(self._state, padding_mode=mode)), self.tr("Padding mode"))

    # ---- look

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange} and hasattr(self, "_column"):
            self._rescale()
        super().changeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the edge towards the grids."""
        super().paintEvent(event)
        painter = QPainter(self.viewport())
        painter.setPen(QPen(theme.colors(self.palette()).border, 1))
        right = self.viewport().width() - 1
        painter.drawLine(right, 0, right, self.viewport().height())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Tell the page when the panel needs another width."""
        if watched is self._panel and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def _rescale(self) -> None:
        unit = theme.unit()
        self._column.setContentsMargins(round(2 * unit), round(1.5 * unit), round(2 * unit), round(unit))
        self._column.setSpacing(round(unit))
        self._tools_row.setSpacing(round(unit / 2))
        theme.mute(self._note_label)
        self.updateGeometry()


def _bounds(rows: Range, cols: Range) -> tuple[tuple[int, int], tuple[int, int]]:
    return (rows.least, rows.most), (cols.least, cols.most)


def _show_value(spin: QSpinBox | QDoubleSpinBox, value: float) -> None:
    if spin.value() == value:
        return
    spin.blockSignals(True)
    spin.setValue(value)  # type: ignore[arg-type]  # the box for whole numbers is given whole numbers
    spin.blockSignals(False)


def _enable_item(combo: QComboBox, data: str, on: bool) -> None:
    items = combo.model()
    if isinstance(items, QStandardItemModel):
        item = items.item(combo.findData(data))
        if item.isEnabled() != on:
            item.setEnabled(on)
