"""The part of the control panel that chooses the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QCoreApplication, QEvent, Qt, Signal, Slot
from PySide6.QtWidgets import QLabel, QWidget

from convviz.core.layers import times
from convviz.core.numbers import grouped
from convviz.ui import theme
from convviz.ui.train.locks import Locks
from convviz.ui.train.model import CIFAR10, SHAPES10, TrainModel
from convviz.ui.widgets.buttons import FlatButton
from convviz.ui.widgets.fields import Section, combo_box
from convviz.ui.widgets.progress_row import progress_text

FOLDER: Final = "folder"
ARCHIVE: Final = "archive"
"""The items that ask for a folder and for a file."""


class DataSection(Section):
    """Chooses a data set, says what is in it, and how far it is prepared or downloaded."""

    folder_wanted = Signal()
    archive_wanted = Signal()

    def __init__(self, model: TrainModel, locks: Locks, parent: QWidget | None = None) -> None:
        super().__init__(QCoreApplication.translate("DataSection", "DATA"), parent)
        self._model = model
        self.choice = combo_box(self.tr("Data set"), self.tr("The pictures that the network learns from."))
        self.choice.activated.connect(self._on_chosen)
        self.facts = QLabel()
        self.facts.setWordWrap(True)
        self.facts.setTextFormat(Qt.TextFormat.PlainText)
        self.facts.setAccessibleName(self.tr("About the data set"))
        self.cancel = _button("close", self.tr("Cancel"), self.tr("Stop preparing the pictures; what is there stays."))
        self.cancel.clicked.connect(model.cancel_data)
        self.download = _button(
            "", self.tr("Download CIFAR-10…"), self.tr("Fetch CIFAR-10 (170 MB) from the University of Toronto.")
        )
        self.download.clicked.connect(lambda: model.load_data(download=True))
        for part in (self.choice, self.facts, self.cancel, self.download):
            self.add_wide(part)
        locks.add(self.choice, self.download)
        self._mute()
        model.chosen.connect(self.show_state)
        model.data_progressed.connect(self.show_state)
        self.show_state()

    @Slot()
    def show_state(self) -> None:
        """Show what is chosen and what is known of it."""
        model, choice = self._model, self.choice
        items = [(self.tr("Shapes-10 (synthetic)"), SHAPES10), ("CIFAR-10", CIFAR10)]
        if model.data not in (SHAPES10, CIFAR10):
            items.append((Path(model.data).name, model.data))
        items += [(self.tr("Choose folder…"), FOLDER), (self.tr("Choose archive…"), ARCHIVE)]
        if [choice.itemData(index) for index in range(choice.count())] != [key for _, key in items]:
            choice.clear()
            for text, key in items:
                choice.addItem(text, key)
        choice.setCurrentIndex(choice.findData(model.data))
        self.facts.setText(self._text())
        self.cancel.setVisible(model.is_loading_data)
        self.download.setVisible(model.data == CIFAR10 and model.dataset is None and not model.is_loading_data)

    def _text(self) -> str:
        model, data = self._model, self._model.dataset
        if data is not None:
            return self.tr("{train} train · {test} test · {shape}").format(
                train=grouped(len(data.train)), test=grouped(len(data.test)), shape=times(data.shape)
            )
        if model.data_progress is not None:
            return progress_text(model.data_progress)
        return self.tr("Preparing…") if model.is_loading_data else self.tr("Not loaded yet.")

    def _on_chosen(self, index: int) -> None:
        key = self.choice.itemData(index)
        if key in (FOLDER, ARCHIVE):
            self.show_state()
            (self.folder_wanted if key == FOLDER else self.archive_wanted).emit()
        elif key != self._model.data:
            self._model.choose_data(key)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the palette."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "facts"):
            self._mute()

    def _mute(self) -> None:
        theme.mute(self.facts)


def _button(icon: str, text: str, tooltip: str) -> FlatButton:
    button = FlatButton(icon, text)
    button.setToolTip(tooltip)
    button.setAccessibleName(text)
    return button
