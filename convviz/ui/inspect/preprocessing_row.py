"""How a picture is prepared for a network, to be read and changed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from convviz.core.numbers import NumberError, format_number, parse_number
from convviz.ui import theme
from convviz.ui.widgets.fields import PairSpin

if TYPE_CHECKING:
    from convviz.nn.network import Preprocessing

LEAST_SIDE, MOST_SIDE = 1, 1024
LEAST_DEVIATION = 1e-6
FIELD_UNITS = 24.0


def preprocessing_text(preprocessing: Preprocessing) -> str:
    """Return what becomes of a picture in short: “32×32, (x − 0.5) / 0.5”, x from 0 to 1."""
    height, width = preprocessing.size
    mean, std = preprocessing.mean, preprocessing.std
    if len(set(mean)) > 1 or len(set(std)) > 1:
        return f"{height}×{width}, (x − μ) / σ"
    return f"{height}×{width}, (x − {_numbers_text(mean)}) / {_numbers_text(std)}"


def _numbers_text(values: tuple[float, ...]) -> str:
    """Return one number where all channels have the same, else all of them."""
    texts = [format_number(value, 5) for value in values]  # 0.4914 has four below 1
    return texts[0] if len(set(values)) == 1 else ", ".join(texts)


class PreprocessingRow(QWidget):
    """Fields for size, mean and standard deviation. What cannot be used is said below, and nothing is changed by it."""

    chosen = Signal(object)  # a Preprocessing

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._preprocessing: Preprocessing | None = None
        self.size_field = PairSpin(
            self.tr("Size"), self.tr("The picture is scaled until it covers this size; its centre is cut out.")
        )
        self.mean_field = self._field(
            self.tr("Mean"), self.tr("Taken off pixels from 0 to 1: one number, or one a channel.")
        )
        self.std_field = self._field(
            self.tr("Standard deviation"), self.tr("What is left is divided by it: one number, or one a channel.")
        )
        self._problem = QLabel()
        self._problem.hide()
        row = QHBoxLayout()
        for text, field in (
            (self.tr("Size"), self.size_field),
            (self.tr("Mean"), self.mean_field),
            (self.tr("Deviation"), self.std_field),
        ):
            label = QLabel(text)
            label.setBuddy(field)
            row.addWidget(label)
            row.addWidget(field)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self._problem)
        self.size_field.changed.connect(self._on_size)
        for field in (self.mean_field, self.std_field):
            field.editingFinished.connect(self._on_numbers)

    @staticmethod
    def _field(name: str, tooltip: str) -> QLineEdit:
        field = QLineEdit()
        field.setAccessibleName(name)
        field.setToolTip(tooltip)
        field.setFixedWidth(round(FIELD_UNITS * theme.unit()))
        return field

    def show_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Show how pictures are prepared."""
        if preprocessing == self._preprocessing:
            return
        self._preprocessing = preprocessing
        sides = LEAST_SIDE, MOST_SIDE
        self.size_field.show_values(preprocessing.size, (sides, sides))
        self.mean_field.setText(_numbers_text(preprocessing.mean))
        self.std_field.setText(_numbers_text(preprocessing.std))
        self._problem.hide()

    @Slot(int, int)
    def _on_size(self, height: int, width: int) -> None:
        if self._preprocessing is not None:
            self._choose(dataclasses.replace(self._preprocessing, size=(height, width)))

    @Slot()
    def _on_numbers(self) -> None:
        if self._preprocessing is None:
            return
        mean = _typed(self.mean_field, self._preprocessing.mean)
        std = _typed(self.std_field, self._preprocessing.std)
        if mean is None or std is None or min(std) < LEAST_DEVIATION:
            self._problem.setText(
                self.tr(
                    "One number is accepted, or {channels} with commas; the deviation is {least} or more. "
                    "Nothing was changed."
                ).format(channels=len(self._preprocessing.mean), least=format_number(LEAST_DEVIATION))
            )
            self._problem.show()
            return
        self._problem.hide()
        self._choose(dataclasses.replace(self._preprocessing, mean=mean, std=std))

    def _choose(self, preprocessing: Preprocessing) -> None:
        if preprocessing != self._preprocessing:
            self.chosen.emit(preprocessing)


def _typed(field: QLineEdit, before: tuple[float, ...]) -> tuple[float, ...] | None:
    """Return the numbers that were typed, one a channel; None where these are none.

    What was not touched is ``before``, of which the text may show fewer digits.
    """
    if not field.isModified():
        return before
    try:
        numbers = tuple(parse_number(part) for part in field.text().split(","))
    except NumberError:
        return None
    if len(numbers) == 1:
        return numbers * len(before)
    return numbers if len(numbers) == len(before) else None
