"""What a network makes of one test picture, and its kernels, while it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from convviz.core import display
from convviz.core.stack import Stack
from convviz.ui import theme
from convviz.ui.lab.layer_text import layer_name
from convviz.ui.train.sample_view import SampleView
from convviz.ui.widgets.bars import ClassBars
from convviz.ui.widgets.buttons import Choices, FlatButton
from convviz.ui.widgets.card import Card, Hint
from convviz.ui.widgets.color_bar import ColorBar
from convviz.ui.widgets.enlarged import EnlargedView
from convviz.ui.widgets.fields import ComboBox, combo_box
from convviz.ui.widgets.folding import FoldingRow
from convviz.ui.widgets.grid_content import GridContent
from convviz.ui.widgets.mosaic import Mosaic
from convviz.ui.widgets.page_stack import PageStack
from convviz.ui.widgets.scope import EACH, FIXED, LAYER, ColourScope, own_levels
from convviz.ui.widgets.share_splitter import ShareSplitter
from convviz.ui.widgets.tool_row import Heading, Stepper, ToolRow

if TYPE_CHECKING:
    from convviz.nn.probe import Probe

Maps = NDArray[np.floating]

MOST_IN_ORDER = 12
"""Up to this many classes are listed in their own order; of more, only as many, the most probable first."""
BESIDE_UNITS, PICTURE_BESIDE_BARS_UNITS = 62.0, 40.0
"""Widths from which the sample stands beside the maps, and its picture beside the bars."""
KERNELS_SHARE = 0.46


class MapsPanel(Card):
    """Shows a `Probe`: the feature maps of a layer, the picture they were made of with the answer to it, the kernels.

    A click on a map or a kernel, or Return, enlarges it with its numbers; Escape shows all again.
    """

    layer_chosen = Signal(int)
    sample_chosen = Signal(int)
    lab_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._probe: Probe | None = None
        self._classes: tuple[str, ...] = ()
        self._stack: Stack | None = None
        self._scope = ColourScope()
        self._in_colour = True
        self._enlarged: tuple[Literal["map", "kernel"], int] | None = None
        self._pointed: tuple[int, int, int] | None = None  # map or kernel, row and column under the pointer
        self._make_controls()
        self._make_views()
        self._connect()

    def _make_controls(self) -> None:
        self._layer = _layer_box(self.tr("Layer"), self.tr("The layer whose feature maps are shown."))
        self._convolution = _layer_box(self.tr("Convolution"), self.tr("The convolution whose kernels are shown."))
        self._sample = Stepper(self.tr("Sample"), self.tr("Which test picture the maps are made of."), first=0)
        self._scopes = Choices(
            (
                (EACH, self.tr("Each"), self.tr("Each map has colours up to its own largest number.")),
                (LAYER, self.tr("Layer"), self.tr("All maps of a layer share the colours of its largest number.")),
                (FIXED, self.tr("Fixed"), self.tr("The colours stay as they are now.")),
            )
        )
        self._scopes.choose(self._scope.kind)
        self._scopes.setAccessibleName(self.tr("Colour scope"))
        self._kinds = Choices(
            (
                ("colour", self.tr("Colour"), self.tr("Kernels as pictures: red, green and blue together.")),
                ("channels", self.tr("Channels"), self.tr("Kernels as signed numbers, a map for each channel.")),
            )
        )
        self._kinds.choose("colour")
        self._kinds.setAccessibleName(self.tr("Kernels"))
        self._lab = FlatButton(text=self.tr("Open in Lab"))
        self._lab.setToolTip(self.tr("Step this layer by hand on this picture, with the weights as they are now."))
        self._lab.setAccessibleName(self._lab.text())

    def _make_views(self) -> None:
        self.sample = SampleView()
        self.probabilities = ClassBars(
            self.tr("Probabilities"), self.tr("How probable the network finds each class of this picture.")
        )
        self.maps = Mosaic(wrapped=True, fits=True)
        self.maps.setAccessibleName(self.tr("Feature maps"))
        self.kernels = Mosaic(wrapped=True, fits=True)
        self.kernels.setAccessibleName(self.tr("Kernels"))
        for mosaic in (self.maps, self.kernels):
            mosaic.setToolTip(
                self.tr("A click or Return enlarges one with its numbers; Ctrl with the wheel changes the size.")
            )
        self.maps_bar, self.kernels_bar = ColorBar(self.tr("Feature maps")), ColorBar(self.tr("Kernels"))
        self.enlarged = EnlargedView()
        self._kernel_tools = ToolRow(Heading(self.tr("Kernels")), self._convolution, self._kinds, self.kernels_bar)
        self._kernel_part = QWidget()
        column = QVBoxLayout(self._kernel_part)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._kernel_tools)
        column.addWidget(self.kernels, 1)
        self._views = ShareSplitter(self.maps, self._kernel_part, lambda height: KERNELS_SHARE * height)
        sample = FoldingRow(PICTURE_BESIDE_BARS_UNITS, (self.sample, 2), (self.probabilities, 3))
        self._all = FoldingRow(BESIDE_UNITS, (sample, 1), (self._views, 3))
        self._pages = PageStack()
        self._pages.add(self._all)
        self._pages.add(self.enlarged)
        self._tools = ToolRow(
            Heading(self.tr("Feature maps")), self._layer, self._sample, self._scopes, self.maps_bar, self._lab
        )
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._tools)
        column.addWidget(self._pages, 1)
        self._scroller = QScrollArea()
        self._scroller.setFrameShape(QFrame.Shape.NoFrame)
        self._scroller.setWidgetResizable(True)
        self._scroller.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroller.setWidget(content)
        self._hint = Hint(self.tr("The feature maps appear here when training starts."))
        self.add(self._hint, 1)
        self.add(self._scroller, 1)
        self._scroller.hide()

    def _connect(self) -> None:
        self._layer.activated.connect(self._on_layer)
        self._convolution.activated.connect(self._show_kernels)
        self._sample.chosen.connect(self.sample_chosen)
        self._scopes.chosen.connect(self._on_scope)
        self._lab.clicked.connect(self.lab_wanted)
        self._kinds.chosen.connect(self._on_kind)
        for mosaic in (self.maps, self.kernels):
            mosaic.hovered.connect(self._on_pointed)
        self.maps.activated.connect(self._on_map)
        self.kernels.activated.connect(self._on_kernel)
        self.enlarged.closed.connect(self.show_all)

    # ---- content

    def set_num_samples(self, count: int) -> None:
        """Let the samples 0 … count − 1 be chosen."""
        self._sample.set_count(count)

    def show_probe(self, probe: Probe, classes: tuple[str, ...], stack: Stack) -> None:
        """Show a network of the layers of a stack anew; meant to be called some ten times a second."""
        before, self._probe = self._probe, probe
        self._classes = classes
        if stack is not self._stack:
            self._stack = stack
            self._name_layers(stack, probe)
        if before is None or before.layer_index != probe.layer_index:  # else a choice may be under way to the network
            self._choose_layer(probe.layer_index)
        if before is None or before.sample_index != probe.sample_index:
            self._sample.show_number(probe.sample_index)
        self._hint.hide()
        self._scroller.show()
        self._show_sample(probe)
        self._show_maps()
        self._show_kernels()

    def clear(self) -> None:
        """Show nothing, and forget which colours were fixed."""
        self._probe = self._stack = None
        self._scope.forget()
        self.show_all()
        self._scroller.hide()
        self._hint.show()

    @Slot()
    def show_all(self) -> None:
        """Show all maps and kernels again, in place of the enlarged one."""
        if self._enlarged is None:
            return
        kind, _ = self._enlarged
        self._enlarged = None
        self._pages.show_page(self._all)
        (self.maps if kind == "map" else self.kernels).setFocus(Qt.FocusReason.OtherFocusReason)

    def _name_layers(self, stack: Stack, probe: Probe) -> None:
        self._scope.forget()
        shown = [index for index in range(len(stack.shapes) - 1) if stack.is_on(index)]
        for box, indices in ((self._layer, shown), (self._convolution, [index for index, _ in probe.kernels])):
            box.clear()
            for index in indices:
                box.addItem(f"{index + 1} {layer_name(stack.layers[index])}", index)
        self._kernel_part.setVisible(bool(probe.kernels))
        self._choose_layer(probe.layer_index)

    def _choose_layer(self, index: int) -> None:
        """Name a layer as the shown one; if it is a convolution, show its kernels."""
        for box in (self._layer, self._convolution):
            place = box.findData(index)
            if place >= 0:
                box.setCurrentIndex(place)
        if self._enlarged is not None and self._enlarged[0] == "map":
            self.show_all()

    def _show_sample(self, probe: Probe) -> None:
        self.sample.show_sample(
            probe.picture,
            self._classes[probe.truth],
            self._classes[probe.prediction],
            float(probe.probabilities[probe.prediction]),
            probe.truth == probe.prediction,
        )
        order = np.arange(len(self._classes))
        if len(order) > MOST_IN_ORDER:
            order = np.argsort(-probe.probabilities, kind="stable")[:MOST_IN_ORDER]
        truth = np.flatnonzero(order == probe.truth)
        self.probabilities.show_shares(
            [self._classes[k] for k in order], probe.probabilities[order], int(truth[0]) if truth.size else None
        )

    def _show_maps(self) -> None:
        if self._probe is None:
            return
        maps, shown = display.laid_out(self._probe.maps)
        level = self._scope.level(("maps", self._probe.layer_index), maps)
        signed = display.is_signed(maps)
        self.maps_bar.show_scale(level, signed)
        scaled, level_shown = (maps / own_levels(maps), 1.0) if level is None else (maps, level)
        self.maps.set_maps(scaled, level_shown, signed, shown=shown)
        if self._enlarged is not None and self._enlarged[0] == "map":
            self._show_enlarged()

    @Slot()
    def _show_kernels(self) -> None:
        kernels = self._kernels()
        if kernels is None:
            return
        index, weight = kernels
        level = self._scope.level(("kernels", index), weight)
        in_colour = self._in_colour and self._has_colours(weight)
        self._kernel_tools.set_tool_visible(self._kinds, self._has_colours(weight))
        self.kernels_bar.show_scale(level, signed=True, grey=in_colour)
        count, channels, height, width = weight.shape
        if in_colour:
            levels = own_levels(weight.reshape(count, 1, -1))[..., None] if level is None else level
            self.kernels.set_pictures(display.as_pictures(weight, levels))
        else:
            maps = weight.reshape(-1, height, width)
            scaled, level_shown = (maps / own_levels(maps), 1.0) if level is None else (maps, level)
            names = display.kernel_names(range(count), channels)
            self.kernels.set_maps(scaled, level_shown, signed=True, names=names, group=channels)
        if self._enlarged is not None and self._enlarged[0] == "kernel":
            self._show_enlarged()

    def _kernels(self) -> tuple[int, Maps] | None:
        """Return the index of the convolution whose kernels are shown, and its weights (O, I, kh, kw)."""
        if self._probe is None or not self._probe.kernels:
            return None
        found = [kernels for kernels in self._probe.kernels if kernels[0] == self._convolution.currentData()]
        return (found or self._probe.kernels)[0]

    def _has_colours(self, weight: Maps) -> bool:
        """Whether kernels read red, green and blue."""
        return self._stack is not None and self._stack.input_shape[0] == 3 and weight.shape[1] == 3

    # ---- one of them enlarged

    @Slot(object)
    def _on_pointed(self, cell: tuple[int, int, int] | None) -> None:
        self._pointed = cell

    @Slot(int)
    def _on_map(self, index: int) -> None:
        self._enlarge("map", index)

    @Slot(int)
    def _on_kernel(self, index: int) -> None:
        self._enlarge("kernel", index)

    def _enlarge(self, kind: Literal["map", "kernel"], index: int) -> None:
        around = self._pointed[1:] if self._pointed is not None and self._pointed[0] == index else None
        self._enlarged = (kind, index)
        self._show_enlarged()
        self._pages.show_page(self.enlarged)
        self.enlarged.open(around)

    def _show_enlarged(self) -> None:
        if self._enlarged is None or self._probe is None or self._stack is None:
            return
        kind, index = self._enlarged
        kernels = self._kernels()
        if kind == "map":
            self._show_enlarged_map(self._probe, self._stack, index)
        elif kernels is not None:
            self._show_enlarged_kernel(kernels[0], kernels[1], self._stack, index)

    def _show_enlarged_map(self, probe: Probe, stack: Stack, index: int) -> None:
        maps, shown = display.laid_out(probe.maps)
        layer = f"{probe.layer_index + 1} {layer_name(stack.layers[probe.layer_index])}"
        title = self.tr("Map {map} of {layer}") if shown is None else self.tr("All numbers of {layer}")
        level = self._scope.level(("maps", probe.layer_index), maps) or display.signed_levels(maps[index])
        row_step = 1 if shown is None else maps.shape[2]
        content = GridContent(maps[index], level, display.is_signed(maps), row_step=row_step)
        self.enlarged.show_grids(title.format(map=index, layer=layer), [("", content)], shown)

    def _show_enlarged_kernel(self, layer_index: int, weight: Maps, stack: Stack, index: int) -> None:
        layer = f"{layer_index + 1} {layer_name(stack.layers[layer_index])}"
        level = self._scope.level(("kernels", layer_index), weight)
        if self._in_colour and self._has_colours(weight):
            level = level or display.signed_levels(weight[index])
            channels = [
                (name, GridContent(weight[index, k], level)) for k, name in enumerate(display.names_of_channels(3))
            ]
            title = self.tr("Kernel {kernel} of {layer}").format(kernel=index, layer=layer)
            self.enlarged.show_grids(title, channels, None)
            return
        kernel, channel = divmod(index, weight.shape[1])
        values = weight[kernel, channel]
        title = self.tr("Kernel {kernel} of {layer}, channel {channel}").format(
            kernel=kernel, layer=layer, channel=display.names_of_channels(weight.shape[1])[channel]
        )
        self.enlarged.show_grids(title, [("", GridContent(values, level or display.signed_levels(values)))], None)

    # ---- choices

    @Slot(int)
    def _on_layer(self, place: int) -> None:
        index = self._layer.itemData(place)
        self._choose_layer(index)
        self._show_kernels()
        self.layer_chosen.emit(index)

    @Slot(str)
    def _on_scope(self, kind: str) -> None:
        self._scope.choose(kind)
        self._show_maps()
        self._show_kernels()

    @Slot(str)
    def _on_kind(self, kind: str) -> None:
        self._in_colour = kind == "colour"
        if self._enlarged is not None and self._enlarged[0] == "kernel":
            self.show_all()
        self._show_kernels()

    def minimumSizeHint(self) -> QSize:
        """Return a size in which maps and kernels can be seen; what has no room is scrolled to."""
        unit = theme.unit()
        return QSize(round(44 * unit), round(42 * unit))


def _layer_box(name: str, tooltip: str) -> ComboBox:
    box = combo_box(name, tooltip)
    box.setMinimumContentsLength(12)
    return box
