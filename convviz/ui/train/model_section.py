"""The part of the control panel that chooses the network and changes its layers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from PySide6.QtCore import QCoreApplication, QEvent, Signal, Slot
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from convviz.core.dense import Linear
from convviz.core.layers import AvgPool2d, Conv2d, MaxPool2d
from convviz.core.numbers import grouped
from convviz.core.presets import PRESETS
from convviz.nn.settings import RECOMMENDED
from convviz.ui import theme
from convviz.ui.lab import limits
from convviz.ui.lab import state as lab
from convviz.ui.lab.layer_text import layer_name, preset_name
from convviz.ui.lab.stack_cards import CardList, add_layer_menu, cards_of
from convviz.ui.train.locks import Locks
from convviz.ui.train.model import OWN_MODEL, TrainModel, pooling_of
from convviz.ui.widgets.buttons import Choices, FlatButton
from convviz.ui.widgets.fields import PairSpin, Section, combo_box, show_value, whole_number

LAB: Final = "lab"
FILE: Final = "file"
"""The items that take the Lab's stack and that of a file."""


class ModelSection(QWidget):
    """Chooses a network, shows its layers as cards, and changes the one that is chosen."""

    lab_stack_wanted = Signal()
    stack_file_wanted = Signal()

    def __init__(self, model: TrainModel, locks: Locks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._locks = locks
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self._make_network())
        self._column.addWidget(self._make_layer())
        self._rescale()
        model.chosen.connect(self.show_state)
        self.show_state()

    # ---- making

    def _make_network(self) -> Section:
        section = Section(self.tr("MODEL"))
        self.preset = combo_box(self.tr("Network"), self.tr("The network to be trained; its layers can be changed."))
        for key in RECOMMENDED:
            self.preset.addItem(model_name(key), key)
        self.preset.addItem(self.tr("The Lab's stack"), LAB)
        self.preset.addItem(self.tr("Open stack…"), FILE)
        self.preset.activated.connect(self._on_preset)
        section.add_wide(self.preset)
        self.count = QLabel()
        self.count.setAccessibleName(self.tr("Parameters"))
        section.add_wide(self.count)
        self.pooling = Choices(
            (
                ("max", self.tr("Max"), self.tr("Every pooling keeps the largest number of its window.")),
                ("avg", self.tr("Average"), self.tr("Every pooling keeps the mean of its window.")),
            )
        )
        self.pooling.chosen.connect(self._model.set_pooling)
        self._pooling_label = section.add_row(self.tr("Pooling"), self.pooling)
        self.cards = self._make_cards()
        section.add_wide(self.cards)
        self.add_menu = add_layer_menu(self, self._add_layer)
        self._add = FlatButton("add", self.tr("Add layer"))
        self._add.setToolTip(self.tr("Add a layer behind the chosen one."))
        self._add.setAccessibleName(self._add.text())
        self._add.clicked.connect(lambda: self._add.drop_down(self.add_menu))
        section.add_wide(self._add)
        self._locks.add(self.preset, *self.pooling.buttons, self.cards, self._add)
        return section

    def _make_cards(self) -> CardList:
        cards, model = CardList(), self._model
        cards.setToolTip(self.tr("Choose a layer to change it; drag it to another place."))
        cards.chosen.connect(model.choose_layer)
        cards.removed.connect(lambda index: model.edit(lambda state: lab.without_layer(state, index)))
        cards.duplicated.connect(lambda index: model.edit(lambda state: lab.with_duplicate(state, index)))
        cards.moved.connect(lambda old, new: model.edit(lambda state: lab.with_moved_layer(state, old, new)))
        cards.switched.connect(lambda index, on: model.edit(lambda state: lab.with_switched_layer(state, index, on)))
        return cards

    def _make_layer(self) -> Section:
        self._layer = section = Section("")
        edit = self._model.edit
        self.maps = whole_number(
            self.tr("Feature maps"),
            self.tr("How many kernels the convolution has: each makes one map."),
            1,
            lab.MAX_MAPS,
        )
        self.maps.valueChanged.connect(lambda count: edit(lambda state: lab.with_out_channels(state, count)))
        self.units = whole_number(
            self.tr("Units"), self.tr("Outputs of the dense layer; the last one has one a class."), 1, lab.MAX_UNITS
        )
        self.units.valueChanged.connect(lambda count: edit(lambda state: lab.with_units(state, count)))
        self.windows = {
            "kernel_size": PairSpin(self.tr("Kernel size"), self.tr("Rows × columns of the window.")),
            "stride": PairSpin(self.tr("Stride"), self.tr("How many cells the window moves at each step.")),
            "padding": PairSpin(self.tr("Padding"), self.tr("Cells added around the input on every side.")),
        }
        for name, pair in self.windows.items():
            pair.changed.connect(partial(self._on_window, name))
        texts = (
            (self.tr("Maps"), self.maps),
            (self.tr("Units"), self.units),
            (self.tr("Kernel size"), self.windows["kernel_size"]),
            (self.tr("Stride"), self.windows["stride"]),
            (self.tr("Padding"), self.windows["padding"]),
        )
        self._labels: dict[QWidget, QLabel] = {field: section.add_row(text, field) for text, field in texts}
        self._locks.add(*self._labels)
        return section

    # ---- showing

    @Slot()
    def show_state(self) -> None:
        """Show the network and its chosen layer."""
        model, stack = self._model, self._model.stack
        own = self.preset.findData(OWN_MODEL)
        if self.preset.findData(model.model) < 0:
            self.preset.insertItem(0, model_name(OWN_MODEL), OWN_MODEL)
        elif own >= 0 and model.model != OWN_MODEL:
            self.preset.removeItem(own)
        self.preset.setCurrentIndex(max(0, self.preset.findData(model.model)))
        fits = stack.problem is None
        count = self.tr("{count} parameters").format(count=grouped(stack.num_parameters))
        self.count.setText(count if fits else self.tr("A layer does not fit."))
        pooling = pooling_of(stack)
        self.pooling.choose(pooling or "")
        for widget in (self.pooling, self._pooling_label):
            widget.setVisible(pooling is not None)
        self.cards.show_cards(cards_of(stack), model.editor.current)
        self._show_layer()

    def _show_layer(self) -> None:
        state, layer, size = self._model.editor, self._model.editor.layer, self._model.editor.window_size
        shown: dict[QWidget, bool] = {self.maps: isinstance(layer, Conv2d), self.units: isinstance(layer, Linear)}
        shown |= dict.fromkeys(self.windows.values(), size is not None)
        for field, label in self._labels.items():
            field.setVisible(shown[field])
            label.setVisible(shown[field])
        self._layer.setVisible(any(shown.values()))
        self._layer.set_heading(
            self.tr("LAYER {number} · {name}").format(number=state.current + 1, name=layer_name(layer).upper())
        )
        if isinstance(layer, Conv2d):
            show_value(self.maps, layer.out_channels)
        if isinstance(layer, Linear):
            show_value(self.units, layer.out_features)
        if size is not None and isinstance(layer, (Conv2d, MaxPool2d, AvgPool2d)):
            for name, pair in self.windows.items():
                row, col = limits.parameter(layer, name)
                rows, cols = (getattr(limits.ranges(layer, size, axis), name) for axis in (0, 1))
                pair.show_values(
                    (row, col),
                    ((min(rows.least, row), max(rows.most, row)), (min(cols.least, col), max(cols.most, col))),
                )

    # ---- changing

    def _on_preset(self, index: int) -> None:
        key = self.preset.itemData(index)
        if key in (LAB, FILE):
            self.show_state()
            (self.lab_stack_wanted if key == LAB else self.stack_file_wanted).emit()
        elif key != OWN_MODEL:
            self._model.choose_preset(key)

    def _add_layer(self, kind: str) -> None:
        self._model.edit(lambda state: lab.with_added_layer(state, kind))

    def _on_window(self, name: str, rows: int, cols: int) -> None:
        self._model.edit(lambda state: lab.with_parameter(state, name, (rows, cols)))

    # ---- look

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange} and hasattr(self, "_layer"):
            self._rescale()

    def _rescale(self) -> None:
        self._column.setSpacing(round(theme.unit()))
        theme.mute(self.count)


def model_name(key: str) -> str:
    """Return what a network is called: one of `PRESETS`, `OWN_MODEL`, or the path of a file."""
    if key == OWN_MODEL:
        return QCoreApplication.translate("Model", "Own network")
    return preset_name(key) if key in PRESETS else Path(key).stem
