from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QSpinBox,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from convviz.core.layers import Conv2d
from convviz.nn.settings import RECOMMENDED, TrainSettings
from convviz.ui import theme
from convviz.ui.lab.stack_cards import CardList
from convviz.ui.train.controls import Controls
from convviz.ui.train.data_section import ARCHIVE, FOLDER
from convviz.ui.train.model import CIFAR10, LIVE_SETTINGS, OWN_MODEL, SHAPES10, TrainModel
from convviz.ui.train.model_section import LAB, model_name
from convviz.ui.train.training_section import RateSpin
from convviz.ui.widgets.buttons import FlatButton
from tests.ui.train.test_model import paused, wait

NAMES = tuple(field.name for field in dataclasses.fields(TrainSettings))
OTHERS: dict[str, object] = {
    "optimizer": "adam",
    "lr": 0.002,
    "schedule": "constant",
    "momentum": 0.5,
    "nesterov": False,
    "weight_decay": 0.01,
    "batch_size": 4,
    "epochs": 2,
    "label_smoothing": 0.1,
    "seed": 7,
    "device": "auto",
    "mixed_precision": True,
    "flip": True,
    "crop": 2,
    "cutout": 3,
}


@pytest.fixture
def controls(qtbot: QtBot, model: TrainModel) -> Controls:
    controls = Controls(model)
    qtbot.addWidget(controls)
    controls.resize(controls.sizeHint())
    controls.show()
    return controls


def choose(combo: QComboBox, key: str) -> None:
    """Choose an item as its user does."""
    combo.setCurrentIndex(combo.findData(key))
    combo.activated.emit(combo.currentIndex())


def enter(field: QWidget, value: object) -> None:
    """Give a field another value as its user does."""
    if isinstance(field, QComboBox):
        choose(field, str(value))
    elif isinstance(field, (QSpinBox, QDoubleSpinBox)):
        field.setValue(value)  # type: ignore[arg-type]
    else:
        assert isinstance(field, FlatButton)
        if field.isChecked() is not value:
            field.click()


def value_of(field: QWidget) -> object:
    if isinstance(field, QComboBox):
        return field.currentData()
    if isinstance(field, (QSpinBox, QDoubleSpinBox)):
        return field.value()
    assert isinstance(field, FlatButton)
    return field.isChecked()


# ---- settings


def test_every_setting_has_a_control(controls: Controls) -> None:
    assert set(controls.training.fields) == set(NAMES) == set(OTHERS)


@pytest.mark.parametrize("name", NAMES)
def test_a_control_changes_its_setting_and_shows_it(controls: Controls, model: TrainModel, name: str) -> None:
    enter(controls.training.fields[name], OTHERS[name])
    assert getattr(model.settings, name) == OTHERS[name]
    model.set_setting(name, getattr(TrainSettings(), name))
    assert value_of(controls.training.fields[name]) == getattr(TrainSettings(), name)


@pytest.mark.parametrize("preset", RECOMMENDED)
def test_recommended_settings_are_shown_as_they_are(controls: Controls, model: TrainModel, preset: str) -> None:
    model.choose_preset(preset)
    for name, field in controls.training.fields.items():
        assert value_of(field) == getattr(model.settings, name), name
    assert model.settings == dataclasses.replace(RECOMMENDED[preset], device="cpu")


def test_only_sgd_can_look_ahead(controls: Controls, model: TrainModel) -> None:
    model.set_setting("optimizer", "adam")
    assert not controls.training.fields["nesterov"].isEnabled()
    model.set_setting("optimizer", "sgd")
    assert controls.training.fields["nesterov"].isEnabled()


def test_a_rate_of_any_size_can_be_typed_and_stepped(qtbot: QtBot, light: QApplication) -> None:
    spin = RateSpin(1e-9, 1000)
    qtbot.addWidget(spin)
    spin.setValue(0.05)
    for steps, text in ((1, "0.1"), (-1, "0.05"), (-2, "0.01"), (-3, "0.001"), (-1, "5e−4"), (9, "0.5"), (2, "2")):
        spin.stepBy(steps)
        assert spin.text() == text
    spin.setValue(0.03)
    spin.stepBy(-1)
    assert spin.value() == 0.02
    for text in ("0.0005", "5e-4", "5e−4", "0,0005", "1/2000"):
        assert spin.validate(text, 0)[0] is QValidator.State.Acceptable
        assert spin.valueFromText(text) == 0.0005
    for text in ("", "-", "2000", "0", "-1", "x"):
        assert spin.validate(text, 0)[0] is QValidator.State.Intermediate


def test_the_smallest_number_is_the_last_step(qtbot: QtBot, light: QApplication) -> None:
    spin = RateSpin(0, 10)
    qtbot.addWidget(spin)
    spin.setValue(1e-6)
    spin.stepBy(-1)
    assert spin.value() == 0
    spin.stepBy(1)
    assert spin.value() == 1e-6
    spin.setValue(10)
    spin.stepBy(1)
    assert spin.value() == 10


# ---- while it runs


def test_while_it_runs_only_rate_and_momentum_can_be_changed(
    qtbot: QtBot, controls: Controls, model: TrainModel
) -> None:
    before = {name: field.toolTip() for name, field in controls.training.fields.items()}
    paused(qtbot, model)
    for name, field in controls.training.fields.items():
        assert field.isEnabled() is (name in LIVE_SETTINGS)
        assert ("stop it to change this" in field.toolTip()) is (name not in LIVE_SETTINGS)
    network = controls.network
    for widget in (controls.data.choice, network.preset, network.cards, network.maps):
        assert not widget.isEnabled()
        assert "stop it" in widget.toolTip()
    enter(controls.training.fields["lr"], 0.004)
    model.stop()
    wait(qtbot, model, "stopped")
    assert {name: field.toolTip() for name, field in controls.training.fields.items()} == before
    assert all(field.isEnabled() for field in controls.training.fields.values())
    assert model.settings.lr == 0.004


# ---- data


def test_facts_are_said(controls: Controls, model: TrainModel) -> None:
    assert controls.data.facts.text() == "44 train · 15 test · 3×8×8"
    assert controls.data.choice.currentText() == "Shapes-10 (synthetic)"


def test_a_folder_is_asked_for(qtbot: QtBot, controls: Controls, model: TrainModel, tmp_path: Path) -> None:
    for key, signal in ((FOLDER, controls.data.folder_wanted), (ARCHIVE, controls.data.archive_wanted)):
        with qtbot.waitSignal(signal):
            choose(controls.data.choice, key)
        assert controls.data.choice.currentData() == SHAPES10
    model.choose_data(str(tmp_path / "flowers"))
    assert controls.data.choice.currentText() == "flowers"
    assert not controls.data.cancel.isHidden()
    controls.data.cancel.click()
    assert not model.is_loading_data
    assert controls.data.cancel.isHidden()
    assert controls.data.facts.text() == "Not loaded yet."


def test_cifar_10_can_be_downloaded(
    qtbot: QtBot, controls: Controls, model: TrainModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    assert controls.data.download.isHidden()
    with qtbot.waitSignal(model.data_failed, timeout=30_000):
        choose(controls.data.choice, CIFAR10)
    assert not controls.data.download.isHidden()
    monkeypatch.setattr(model, "load_data", lambda download=False: asked.append(download))
    controls.data.download.click()
    assert asked == [True]


# ---- network


def test_a_network_can_be_chosen_and_changed(controls: Controls, model: TrainModel) -> None:
    network = controls.network
    choose(network.preset, "small_cnn")
    assert (network.count.text(), network.preset.currentText()) == ("76\u202f922 parameters", "Small CNN")
    model.choose_layer(3)
    network.maps.setValue(10)
    changed = model.stack.layers[3]
    assert isinstance(changed, Conv2d)
    assert (changed.out_channels, network.preset.currentData()) == (10, OWN_MODEL)
    network.windows["kernel_size"].spin(0).setValue(5)
    changed = model.stack.layers[3]
    assert isinstance(changed, Conv2d)
    assert changed.kernel_size == (5, 5)
    assert model.stack.problem is None
    model.choose_layer(7)
    assert not network.maps.isVisible()
    network.units.setValue(32)
    assert model.stack.shapes[8] == (32,)
    choose(network.preset, "tutorial_cnn")
    assert network.preset.findData(OWN_MODEL) == -1
    model.cancel_data()


def test_one_switch_turns_every_pooling(controls: Controls, model: TrainModel) -> None:
    model.choose_preset("small_cnn")
    maximum, average = controls.network.pooling.buttons
    assert (maximum.isChecked(), average.isChecked()) == (True, False)
    average.click()
    assert [card.title for card in controls.network.cards.cards if "Pool" in card.title] == [
        "3 AvgPool 2×2",
        "6 AvgPool 2×2",
    ]
    maximum.click()
    assert "MaxPool" in controls.network.cards.cards[2].title
    model.cancel_data()


def test_layers_can_be_added_and_removed(controls: Controls, model: TrainModel) -> None:
    cards = controls.network.findChild(CardList)
    assert isinstance(cards, CardList)
    count = len(model.stack.layers)
    menu = controls.network.add_menu
    next(action for action in menu.actions() if action.text() == "ReLU").trigger()
    assert len(model.stack.layers) == count + 1
    cards.removed.emit(1)
    assert len(model.stack.layers) == count
    cards.duplicated.emit(1)
    cards.moved.emit(1, 0)
    cards.switched.emit(0, False)
    assert not model.stack.is_on(0)


def test_the_labs_stack_is_asked_for(qtbot: QtBot, controls: Controls) -> None:
    with qtbot.waitSignal(controls.network.lab_stack_wanted):
        choose(controls.network.preset, LAB)
    assert controls.network.preset.currentData() == OWN_MODEL


def test_every_network_has_a_name() -> None:
    names = [model_name(key) for key in (*RECOMMENDED, OWN_MODEL)]
    assert len(set(names)) == len(names)
    assert model_name("/runs/mine.convviz") == "mine"


# ---- look


def test_every_control_says_what_it_is(controls: Controls) -> None:
    kinds = (QToolButton, QComboBox, QAbstractSpinBox, CardList)
    parts = [
        part for kind in kinds for part in controls.findChildren(kind) if part.focusPolicy() & Qt.FocusPolicy.TabFocus
    ]
    assert len(parts) > 25
    for part in parts:
        assert part.accessibleName(), part
        assert part.toolTip(), part


@pytest.mark.parametrize("scale", [0.75, 1.0, 2.0, 3.0])
def test_nothing_is_cut(controls: Controls, light: QApplication, scale: float) -> None:
    theme.apply(light, "dark", scale)
    for _ in range(6):
        QApplication.processEvents()
        controls.resize(controls.sizeHint())
    assert controls.horizontalScrollBar().maximum() == 0
    for label in controls.findChildren(QLabel):
        if label.isVisible() and not label.wordWrap():
            assert label.width() >= label.sizeHint().width(), label.text()
