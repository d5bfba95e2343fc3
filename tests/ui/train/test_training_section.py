from __future__ import annotations

from PySide6.QtWidgets import QDoubleSpinBox, QSpinBox
from pytestqt.qtbot import QtBot

from convviz.nn.settings import RANGES
from convviz.ui.train.locks import Locks
from convviz.ui.train.model import TrainModel
from convviz.ui.train.training_section import TrainingSection


def test_a_number_can_be_what_the_settings_accept(qtbot: QtBot, model: TrainModel) -> None:
    section = TrainingSection(model, Locks(""))
    qtbot.addWidget(section)
    limits = {
        name: (field.minimum(), field.maximum())
        for name, field in section.fields.items()
        if isinstance(field, (QSpinBox, QDoubleSpinBox))
    }
    assert limits == RANGES
    for name, numbers in RANGES.items():
        for number in numbers:
            model.set_setting(name, number)
            field = section.fields[name]
            assert isinstance(field, (QSpinBox, QDoubleSpinBox))
            assert field.value() == getattr(model.settings, name) == number
