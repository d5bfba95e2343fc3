"""The Train page's control panel: the pictures, the network and how it is trained."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QWidget

from convviz.ui.train.data_section import DataSection
from convviz.ui.train.locks import Locks
from convviz.ui.train.model import LIVE_SETTINGS, TrainModel
from convviz.ui.train.model_section import ModelSection
from convviz.ui.train.training_section import TrainingSection
from convviz.ui.widgets.side_panel import SidePanel


class Controls(SidePanel):
    """The panel at the left of the page. While a training runs, only what can change then can be changed."""

    def __init__(self, model: TrainModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._locks = Locks(self.tr("Fixed while a training runs; stop it to change this."))
        self.data = DataSection(model, self._locks)
        self.network = ModelSection(model, self._locks)
        self.training = TrainingSection(model, self._locks)
        self.set_parts(self.data, self.network, self.training)
        model.phase_changed.connect(self._lock)
        model.chosen.connect(self._lock)
        self._lock()

    @Slot()
    def _lock(self) -> None:
        """Let only that be changed which can be."""
        model, fields = self._model, self.training.fields
        self._locks.lock(model.is_running)
        fields["nesterov"].setEnabled(model.settings.optimizer == "sgd" and not model.is_running)
        for name in LIVE_SETTINGS:
            fields[name].setEnabled(model.phase != "loading")
