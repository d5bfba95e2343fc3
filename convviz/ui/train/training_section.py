"""The part of the control panel that says how the network is trained."""

from __future__ import annotations

from functools import partial
from typing import Final

from PySide6.QtCore import QEvent, Slot
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QSpinBox, QVBoxLayout, QWidget

from convviz.core.numbers import NumberError, format_number, parse_number
from convviz.nn.settings import DEVICES, OPTIMIZERS, RANGES, SCHEDULES
from convviz.ui import theme
from convviz.ui.train.locks import Locks
from convviz.ui.train.model import LIVE_SETTINGS, TrainModel
from convviz.ui.widgets.buttons import FlatButton
from convviz.ui.widgets.fields import Section, combo_box, scaling, show_value, whole_number

ROUND_NUMBERS: Final = tuple(digit * 10.0**power for power in range(-6, 4) for digit in (1, 2, 5))


class RateSpin(QDoubleSpinBox):
    """A box for a number of any size, 0.0005 as well as 5; the arrows lead along 1, 2, 5, 10 and so on."""

    def __init__(self, least: float, most: float) -> None:
        super().__init__()
        self.setDecimals(12)
        self.setRange(least, most)

    def textFromValue(self, value: float) -> str:
        """Return the number as people write it."""
        return format_number(value)

    def valueFromText(self, text: str) -> float:
        """Return what a text spells."""
        try:
            return parse_number(text)
        except NumberError:
            return self.value()

    def validate(self, text: str, pos: int) -> tuple[QValidator.State, str, int]:
        """Accept what spells a number in the range; anything else may become one."""
        try:
            fits = self.minimum() <= parse_number(text) <= self.maximum()
        except NumberError:
            fits = False
        return (QValidator.State.Acceptable if fits else QValidator.State.Intermediate), text, pos

    def stepBy(self, steps: int) -> None:
        """Go on to the next round number."""
        value = self.value()
        for _ in range(abs(steps)):
            if steps > 0:
                value = min((number for number in ROUND_NUMBERS if number > value * 1.0001), default=value)
            else:
                value = max((number for number in ROUND_NUMBERS if number < value * 0.9999), default=0.0)
        self.setValue(value)


class TrainingSection(QWidget):
    """A control for each of `TrainSettings`. Those of `LIVE_SETTINGS` can be changed while a training runs."""

    def __init__(self, model: TrainModel, locks: Locks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._locks = locks
        self.fields: dict[str, QWidget] = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self._make_training())
        self._column.addWidget(self._make_augmentation())
        self._rescale()
        model.chosen.connect(self.show_state)
        self.show_state()

    # ---- making

    def _make_training(self) -> Section:
        section = Section(self.tr("TRAINING"))
        self._add_choice(
            section,
            "optimizer",
            self.tr("Optimizer"),
            self.tr("How the weights follow the gradient."),
            dict(zip(OPTIMIZERS, ("SGD", "Adam", "AdamW"), strict=True)),
        )
        self._add_number(
            section,
            "lr",
            self.tr("Learning rate"),
            self.tr("How far a step goes; with a schedule its highest value. It can be changed while training."),
        )
        self._add_choice(
            section,
            "schedule",
            self.tr("Schedule"),
            self.tr("How the learning rate changes over the run."),
            dict(zip(SCHEDULES, (self.tr("Constant"), self.tr("Cosine"), self.tr("One cycle")), strict=True)),
        )
        self._add_number(
            section,
            "momentum",
            self.tr("Momentum"),
            self.tr("How much of the last step goes on; Adam's first beta. It can be changed while training."),
        )
        self._add_switch(section, "nesterov", self.tr("Nesterov"), self.tr("Look ahead before each step (SGD only)."))
        self._add_number(
            section,
            "weight_decay",
            self.tr("Weight decay"),
            self.tr("A share of every weight that is taken off with each step, times the rate."),
        )
        self._add_whole(section, "batch_size", self.tr("Batch size"), self.tr("Pictures a step."))
        self._add_whole(
            section,
            "epochs",
            self.tr("Epochs"),
            self.tr("Passes through all training pictures. It can be changed while training, and afterwards."),
        )
        self._add_number(
            section,
            "label_smoothing",
            self.tr("Smoothing"),
            self.tr("Label smoothing: the share of the target that is spread evenly over all classes."),
        )
        self._add_whole(
            section,
            "seed",
            self.tr("Seed"),
            self.tr("The same seed gives the same weights, batches and curve on the CPU."),
        )
        self._add_choice(
            section,
            "device",
            self.tr("Device"),
            self.tr("Where to compute; automatic takes a graphics card if there is one."),
            dict(zip(DEVICES, (self.tr("Automatic"), "CPU", "CUDA", "MPS"), strict=True)),
        )
        self._add_switch(
            section,
            "mixed_precision",
            self.tr("Mixed precision"),
            self.tr("Compute in bfloat16 where the device is faster in it; weights stay float32."),
        )
        return section

    def _make_augmentation(self) -> Section:
        section = Section(self.tr("VARIED PICTURES"))
        self._add_switch(section, "flip", self.tr("Flip"), self.tr("Mirror every other picture left to right."))
        self._add_whole(
            section, "crop", self.tr("Crop"), self.tr("Shift each picture by up to so many pixels; 0 is off.")
        )
        self._add_whole(
            section, "cutout", self.tr("Cutout"), self.tr("Cover a square of this side in each picture; 0 is off.")
        )
        return section

    def _add_choice(self, section: Section, name: str, text: str, tooltip: str, items: dict[str, str]) -> None:
        combo = combo_box(text, tooltip)
        for key, item in items.items():
            combo.addItem(item, key)
        combo.activated.connect(lambda index: self._model.set_setting(name, combo.itemData(index)))
        section.add_row(text, combo)
        self._add(name, combo)

    def _add_number(self, section: Section, name: str, text: str, tooltip: str) -> None:
        spin = scaling(RateSpin(*RANGES[name]))
        spin.setAccessibleName(text)
        spin.setToolTip(tooltip)
        spin.valueChanged.connect(partial(self._model.set_setting, name))
        section.add_row(text, spin)
        self._add(name, spin)

    def _add_whole(self, section: Section, name: str, text: str, tooltip: str) -> None:
        spin = whole_number(text, tooltip, *map(int, RANGES[name]))
        spin.valueChanged.connect(partial(self._model.set_setting, name))
        section.add_row(text, spin)
        self._add(name, spin)

    def _add_switch(self, section: Section, name: str, text: str, tooltip: str) -> None:
        button = FlatButton(text=text)
        button.setCheckable(True)
        button.setAccessibleName(text)
        button.setToolTip(tooltip)
        button.clicked.connect(lambda on: self._model.set_setting(name, on))
        section.add_wide(button)
        self._add(name, button)

    def _add(self, name: str, field: QWidget) -> None:
        self.fields[name] = field
        if name not in LIVE_SETTINGS:
            self._locks.add(field)

    # ---- showing

    @Slot()
    def show_state(self) -> None:
        """Show the settings."""
        for name, field in self.fields.items():
            value = getattr(self._model.settings, name)
            if isinstance(field, QComboBox):
                field.setCurrentIndex(field.findData(value))
            elif isinstance(field, (QSpinBox, QDoubleSpinBox)):
                show_value(field, value)
            elif isinstance(field, FlatButton):
                field.setChecked(value)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_column"):
            self._rescale()

    def _rescale(self) -> None:
        self._column.setSpacing(round(theme.unit()))
