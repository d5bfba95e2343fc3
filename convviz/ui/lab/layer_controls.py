"""The controls of the Lab's current layer: its channels, its weights and its window."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QEvent, Signal
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from convviz.core.dense import Linear
from convviz.core.kernels import KERNELS, kernel_fits
from convviz.core.layers import AvgPool2d, Conv2d, MaxPool2d
from convviz.core.stack import Stack
from convviz.core.window import PaddingMode, Pair
from convviz.ui import theme
from convviz.ui.lab import limits
from convviz.ui.lab import state as lab
from convviz.ui.lab.input_controls import enable_item
from convviz.ui.lab.layer_text import layer_name
from convviz.ui.lab.limits import PARAMETERS, Range, WindowLayer
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.state import LabState
from convviz.ui.widgets.buttons import Choices, FlatButton
from convviz.ui.widgets.fields import PairSpin, Section, combo_box, decimal_number, show_value, whole_number


class LayerControls(QWidget):
    """The sections of the panel that set the current layer. No control reaches a window that does not fit."""

    noted = Signal(str)  # a parameter was looked at or changed

    def __init__(self, model: LabModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._shown_stack: Stack | None = None
        self._shown_place = (0, 0, 0)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._column = column
        self._plain = Section("")
        self._plain_text = QLabel()
        self._plain_text.setWordWrap(True)
        self._plain.add_wide(self._plain_text)
        self._units_section = self._make_units()
        self._kernel_section = self._make_kernel()
        self._window_section = self._make_window()
        for section in (self._plain, self._units_section, self._kernel_section, self._window_section):
            column.addWidget(section)
        model.position_changed.connect(self._show_unit_bias)
        self._rescale()

    # ---- making

    def _make_units(self) -> Section:
        section = Section("")
        self._units = whole_number(
            self.tr("Units"), self.tr("Outputs of the layer: each has a weight for every input."), 1, lab.MAX_UNITS
        )
        self._units.valueChanged.connect(
            lambda count: self._change(lab.with_units(self._state, count), self.tr("Units"))
        )
        section.add_row(self.tr("Units"), self._units)
        self._unit_bias = decimal_number(self.tr("Bias"), self.tr("A number added to the current unit."))
        self._unit_bias.valueChanged.connect(self._on_bias)
        section.add_row(self.tr("Bias"), self._unit_bias)
        return section

    def _make_kernel(self) -> Section:
        section = Section("")
        self._maps = whole_number(
            self.tr("Feature maps"),
            self.tr("out_channels: how many kernels there are; each makes one feature map."),
            1,
            lab.MAX_MAPS,
        )
        self._maps.valueChanged.connect(self._on_maps)
        section.add_row(self.tr("Maps"), self._maps)
        self._groups = combo_box(
            self.tr("Groups"),
            self.tr("Each group of kernels reads its own share of the channels; as many as channels is depthwise."),
        )
        self._groups.activated.connect(self._on_groups)
        self._groups_label = section.add_row(self.tr("Groups"), self._groups)
        self._kernel = combo_box(self.tr("Kernel"), self.tr("The weights that the window is multiplied with."))
        for kind, text in self._kernel_names().items():
            self._kernel.addItem(text, kind)
        self._kernel.activated.connect(self._on_kernel)
        section.add_row(self.tr("Weights"), self._kernel)
        self._bias = decimal_number(self.tr("Bias"), self.tr("A number added to every output cell."))
        self._bias.valueChanged.connect(self._on_bias)
        section.add_row(self.tr("Bias"), self._bias)
        self._flip = self._switch("flip", self.tr("Flip kernel"), "flip")
        self._flip.setToolTip(
            self.tr("True convolution turns the kernel by 180°; networks use cross-correlation, which does not.")
        )
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
            pair.changed.connect(partial(self._on_pair, name))
            pair.focused.connect(partial(self.noted.emit, name))
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
        self._mode = combo_box(self.tr("Padding mode"), self.tr("Which numbers the padding cells hold."))
        for mode, text in (
            ("zeros", self.tr("Zeros")),
            ("reflect", self.tr("Reflect")),
            ("replicate", self.tr("Replicate")),
            ("circular", self.tr("Circular")),
        ):
            self._mode.addItem(text, mode)
        self._mode.activated.connect(self._on_mode)
        self._mode_label = section.add_row(self.tr("Pad with"), self._mode)
        self._ceil = self._switch("", self.tr("Round size up"), "ceil_mode")
        self._ceil.setToolTip(self.tr("ceil_mode: also use a last window that runs past the edge."))
        section.add_wide(self._ceil)
        self._count_pad = self._switch("", self.tr("Count padding"), "count_include_pad")
        self._count_pad.setToolTip(self.tr("count_include_pad: padding cells count as zeros in the mean."))
        section.add_wide(self._count_pad)
        return section

    def _switch(self, icon: str, text: str, name: str) -> FlatButton:
        button = FlatButton(icon, text)
        button.setCheckable(True)
        button.setAccessibleName(text)
        button.clicked.connect(lambda on: self._change(lab.with_switch(self._state, name, on), text))
        return button

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

    def parameter_field(self, name: str) -> PairSpin:
        """Return the boxes of a parameter of the window."""
        return self._pairs[name]

    def parameter_range(self, name: str, axis: int) -> Range | None:
        """Return what a parameter may be on an axis, None where the current layer has no such window."""
        layer, size = self._state.layer, self._state.window_size
        if size is None or not isinstance(layer, WindowLayer):
            return None
        found: Range = getattr(limits.ranges(layer, size, axis), name)
        return found

    def show_state(self) -> None:
        """Show the model's state in every control; an edit of the input changes none of them."""
        state, layer = self._state, self._state.layer
        place = state.current, state.kernel_seed, self._model.weights_index
        if state.stack is self._shown_stack and place == self._shown_place:
            return
        self._shown_stack, self._shown_place = state.stack, place
        heading = self.tr("LAYER {number} · {name}").format(number=state.current + 1, name=layer_name(layer).upper())
        has_window = isinstance(layer, WindowLayer)
        self._kernel_section.setVisible(isinstance(layer, Conv2d))
        self._units_section.setVisible(isinstance(layer, Linear))
        self._window_section.setVisible(has_window)
        self._plain.setVisible(not has_window and not isinstance(layer, Linear))
        for section in (self._plain, self._units_section, self._kernel_section):
            section.set_heading(heading)
        self._window_section.set_heading(self.tr("WINDOW") if isinstance(layer, Conv2d) else heading)
        self._plain_text.setText(self.tr("This layer has nothing to set."))
        if isinstance(layer, Conv2d):
            self._show_kernel(layer)
        elif isinstance(layer, Linear):
            show_value(self._units, layer.out_features)
            self._show_unit_bias()
        if isinstance(layer, WindowLayer):
            self._show_window(layer)

    def _show_unit_bias(self) -> None:
        layer = self._state.layer
        if isinstance(layer, Linear):
            bias = 0.0 if layer.bias is None else float(layer.bias[self._model.weights_index])
            show_value(self._unit_bias, bias)

    def _show_kernel(self, layer: Conv2d) -> None:
        state, out_channel = self._state, self._model.weights_index
        show_value(self._maps, layer.out_channels)
        shape = state.stack.shapes[state.current + 1 :][:1]
        cells = shape[0][1] * shape[0][2] if shape else 1
        self._maps.setMaximum(max(layer.out_channels, min(lab.MAX_MAPS, lab.MOST_CELLS // cells)))
        common = [k for k in range(1, layer.in_channels + 1) if layer.in_channels % k == layer.out_channels % k == 0]
        if [self._groups.itemData(k) for k in range(self._groups.count())] != common:
            self._groups.clear()
            for k in common:
                depthwise = k == layer.in_channels and k > 1
                self._groups.addItem(self.tr("{count} (depthwise)").format(count=k) if depthwise else str(k), k)
        self._groups.setCurrentIndex(self._groups.findData(layer.groups))
        several = len(common) > 1
        self._groups.setVisible(several)
        self._groups_label.setVisible(several)
        kind = limits.kernel_name(layer, out_channel, state.kernel_seed) or "custom"
        self._kernel.setCurrentIndex(self._kernel.findData(kind))
        enable_item(self._kernel, "custom", kind == "custom")
        for known in KERNELS:
            enable_item(self._kernel, known, kernel_fits(known, layer.kernel_size))
        show_value(self._bias, 0.0 if layer.bias is None else float(layer.bias[out_channel]))
        self._flip.setChecked(layer.flip)

    def _show_window(self, layer: WindowLayer) -> None:
        size, is_conv, same = self._state.window_size, isinstance(layer, Conv2d), limits.is_same(layer)
        values = {name: limits.parameter(layer, name) for name in PARAMETERS}
        fixed = {"padding": same, "dilation": isinstance(layer, AvgPool2d)}
        for name, pair in self._pairs.items():
            pair.setEnabled(size is not None and not fixed.get(name, False))
            if size is not None:
                row, col = values[name]
                rows, cols = (getattr(limits.ranges(layer, size, axis), name) for axis in (0, 1))
                pair.show_values(
                    values[name],
                    ((min(rows.least, row), max(rows.most, row)), (min(cols.least, col), max(cols.most, col))),
                )
        self._padding_kind.choose("same" if same else "valid" if values["padding"] == (0, 0) else "number")
        for widget in (self._padding_kind, self._padding_kind_label, self._mode, self._mode_label):
            widget.setVisible(is_conv)
        if isinstance(layer, Conv2d):
            self._mode.setCurrentIndex(self._mode.findData(layer.padding_mode))
        self._ceil.setVisible(not is_conv)
        self._ceil.setChecked(isinstance(layer, (MaxPool2d, AvgPool2d)) and layer.ceil_mode)
        self._count_pad.setVisible(isinstance(layer, AvgPool2d))
        self._count_pad.setChecked(isinstance(layer, AvgPool2d) and layer.count_include_pad)

    # ---- changing

    @property
    def _state(self) -> LabState:
        return self._model.state

    def _change(self, state: LabState, text: str, key: object = None) -> None:
        self._model.change(state, text, (text, key) if key is not None else None)

    def _on_maps(self, count: int) -> None:
        self._change(lab.with_out_channels(self._state, count), self.tr("Feature maps"), key="maps")

    def _on_groups(self, index: int) -> None:
        self._change(lab.with_groups(self._state, self._groups.itemData(index)), self.tr("Groups"))

    def _on_kernel(self, index: int) -> None:
        kind, state = self._kernel.itemData(index), self._state
        if kind in KERNELS:
            seed = state.kernel_seed + 1 if kind == "random" else state.kernel_seed
            self._change(lab.with_kernel(state, kind, self._model.weights_index, seed), self.tr("Kernel"))

    def _on_bias(self, bias: float) -> None:
        channel = self._model.weights_index
        self._change(lab.with_bias(self._state, channel, bias), self.tr("Bias"), key=("bias", channel))

    def _on_pair(self, name: str, rows: int, cols: int) -> None:
        text = self._pairs[name].spin(0).accessibleName()
        self._change(lab.with_parameter(self._state, name, (rows, cols)), text, key=name)
        self.noted.emit(name)

    def _on_padding_kind(self, kind: str) -> None:
        before = self._state
        padding: Pair = (0, 0)
        if kind == "number" and self._model.step is not None:
            padding = self._model.step.rows.pad_before or 1, self._model.step.cols.pad_before or 1
        after = lab.with_padding(before, "same" if kind == "same" else padding)
        same_stride = lab.window_of(after).stride == lab.window_of(before).stride
        self._change(after, self.tr("Padding"))
        self.noted.emit("padding" if same_stride else "stride")

    def _on_mode(self, index: int) -> None:
        mode: PaddingMode = self._mode.itemData(index)
        self._change(lab.with_padding_mode(self._state, mode), self.tr("Padding mode"))

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange} and hasattr(self, "_window_section"):
            self._rescale()

    def _rescale(self) -> None:
        self._column.setSpacing(round(theme.unit()))
        theme.mute(self._plain_text)
