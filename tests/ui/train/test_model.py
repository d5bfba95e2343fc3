from __future__ import annotations

import dataclasses
import json
from collections.abc import Generator
from pathlib import Path

import pytest
from PySide6.QtCore import QThread
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from convviz.core.control import StopToken
from convviz.core.layers import AvgPool2d, Conv2d, GlobalAvgPool2d, MaxPool2d
from convviz.core.presets import PRESETS
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.nn.data import Dataset
from convviz.nn.run_folder import RunFolder
from convviz.nn.settings import RECOMMENDED, TrainSettings
from convviz.nn.source import DataProgress
from convviz.ui.lab import state as lab
from convviz.ui.train.model import CIFAR10, OWN_MODEL, TrainModel, pooling_of, with_pooling
from convviz.ui.train.session import View
from tests.nn.train_cases import SETTINGS, tiny_dataset, tiny_stack
from tests.ui.train.run_cases import prepare

LONG_MS = 30_000


def loads_tiny(*_: object, token: StopToken) -> Generator[DataProgress, None, Dataset]:
    yield DataProgress(1, 2, "Drawing pictures")
    return tiny_dataset()


def wait(qtbot: QtBot, model: TrainModel, *phases: str) -> None:
    qtbot.waitUntil(lambda: model.phase in phases, timeout=LONG_MS)


def step(model: TrainModel) -> int:
    return 0 if model.update.snapshot is None else model.update.snapshot.progress.step


def paused(qtbot: QtBot, model: TrainModel) -> TrainModel:
    model.one_batch()
    wait(qtbot, model, "paused")
    return model


# ---- networks


@pytest.mark.parametrize("preset", ["small_cnn", "tutorial_cnn", "lenet5", "lenet5_rgb", "fast_cnn"])
def test_pooling_can_be_turned_into_the_other_and_back(preset: str) -> None:
    stack = PRESETS[preset]()
    first = pooling_of(stack)
    assert first is not None
    other = with_pooling(stack, "avg" if first == "max" else "max")
    assert pooling_of(other) not in (None, first)
    assert other.shapes == stack.shapes
    assert other.num_parameters == stack.num_parameters
    assert with_pooling(other, first).layers == stack.layers


def test_pooling_keeps_its_window() -> None:
    stack = Stack((1, 9, 9), [MaxPool2d(3, 2, 1, ceil_mode=True), MaxPool2d(2, dilation=2)])
    avg, dilated = with_pooling(stack, "avg").layers
    assert avg == AvgPool2d(3, 2, 1, ceil_mode=True)
    assert dilated is stack.layers[1]
    assert pooling_of(with_pooling(stack, "avg")) is None
    assert pooling_of(Stack((1, 4, 4), [GlobalAvgPool2d()])) == "avg"
    assert pooling_of(Stack((1, 4, 4))) is None


def test_a_preset_brings_its_settings_but_not_seed_and_device(model: TrainModel) -> None:
    model.set_setting("seed", 5)
    model.choose_preset("fast_cnn")
    assert model.settings.batch_size == RECOMMENDED["fast_cnn"].batch_size
    assert (model.settings.seed, model.settings.device) == (5, "cpu")
    assert (model.model, model.stack.num_parameters) == ("fast_cnn", 427_178)
    model.cancel_data()


def test_an_edited_network_is_ones_own(model: TrainModel) -> None:
    model.choose_preset("small_cnn")
    model.choose_layer(3)
    assert model.model == "small_cnn"
    model.edit(lambda state: lab.with_out_channels(state, 5))
    assert model.model == OWN_MODEL
    edited = model.stack.layers[3]
    assert isinstance(edited, Conv2d)
    assert edited.out_channels == 5
    assert model.stack.problem is None
    model.set_pooling("avg")
    assert pooling_of(model.stack) == "avg"
    model.cancel_data()


# ---- training


def test_a_run_goes_from_loading_to_its_end(qtbot: QtBot, model: TrainModel) -> None:
    phases: list[str] = []
    model.phase_changed.connect(lambda: phases.append(model.phase))
    with qtbot.waitSignal(model.begun, timeout=LONG_MS):
        model.start()
    assert phases[0] == "loading"
    wait(qtbot, model, "finished")
    assert step(model) == 18
    assert model.run_folder is not None
    assert RunFolder.open(model.run_folder).load().progress.step == 18
    assert not model.can_go_on


def test_one_batch_begins_a_run_and_stands_still(qtbot: QtBot, model: TrainModel) -> None:
    paused(qtbot, model)
    assert step(model) == 1
    model.one_batch()
    qtbot.waitUntil(lambda: step(model) == 2, timeout=LONG_MS)
    model.resume()
    wait(qtbot, model, "finished")
    assert step(model) == 18


def test_rate_and_momentum_change_while_it_runs(qtbot: QtBot, model: TrainModel) -> None:
    paused(qtbot, model)
    model.set_setting("lr", 0.003)
    model.set_setting("momentum", 0.5)
    model.resume()
    wait(qtbot, model, "finished")
    assert model.update.snapshot is not None
    changes = [(change.step, change.name, change.value) for change in model.update.snapshot.progress.changes]
    assert changes == [(1, "lr", 0.003), (1, "momentum", 0.5)]
    assert (model.settings.lr, model.settings.momentum) == (0.003, 0.5)


def test_a_stopped_run_goes_on(qtbot: QtBot, model: TrainModel) -> None:
    paused(qtbot, model)
    model.stop()
    wait(qtbot, model, "stopped")
    assert model.can_go_on
    model.go_on()
    wait(qtbot, model, "finished")
    assert step(model) == 18


def test_a_finished_run_can_be_given_more_epochs(qtbot: QtBot, model: TrainModel) -> None:
    model.start()
    wait(qtbot, model, "finished")
    told: list[bool] = []
    model.phase_changed.connect(lambda: told.append(model.can_go_on))
    model.set_setting("epochs", 2)
    assert model.settings.epochs == 3
    for epochs in (4, 5, 3, 5):
        model.set_setting("epochs", epochs)
    assert told == [True, False, True]
    folder = model.run_folder
    model.go_on()
    assert model.phase == "loading"
    wait(qtbot, model, "finished")
    assert (step(model), model.run_folder, model.can_go_on) == (30, folder, False)


def test_epochs_change_while_it_runs(qtbot: QtBot, model: TrainModel, tmp_path: Path) -> None:
    prepare(model, tmp_path / "runs", epochs=10_000)
    paused(qtbot, model)
    model.set_setting("epochs", 2)
    model.resume()
    wait(qtbot, model, "finished")
    assert step(model) == 12
    assert model.update.begun is not None
    assert model.update.begun.settings == model.settings


def test_a_run_goes_on_with_what_was_changed_while_it_stood(qtbot: QtBot, model: TrainModel) -> None:
    paused(qtbot, model)
    model.stop()
    wait(qtbot, model, "stopped")
    model.set_setting("lr", 0.003)
    model.set_setting("epochs", 4)
    model.go_on()
    wait(qtbot, model, "finished")
    assert model.update.snapshot is not None
    changes = [(change.step, change.name, change.value) for change in model.update.snapshot.progress.changes]
    assert changes == [(1, "lr", 0.003), (1, "epochs", 4)]


def test_a_run_that_goes_on_is_chosen_again(qtbot: QtBot, model: TrainModel) -> None:
    """What was chosen since for another run has no part in it."""
    paused(qtbot, model)
    model.set_setting("lr", 0.004)
    model.resume()
    wait(qtbot, model, "finished")
    chosen = model.model, model.data, model.settings
    model.choose_preset("fast_cnn")
    model.set_setting("epochs", 20)
    assert not model.can_go_on
    model.go_on()
    assert (model.model, model.data, model.settings) == chosen
    assert model.stack.shapes == tiny_stack().shapes
    wait(qtbot, model, "finished")
    assert model.update.snapshot is not None
    assert [change.name for change in model.update.snapshot.progress.changes] == ["lr"]


def test_a_run_is_saved_when_asked_for(qtbot: QtBot, model: TrainModel) -> None:
    paused(qtbot, model)
    assert model.run_folder is not None
    folder = RunFolder.open(model.run_folder)
    assert folder.load().progress.step == 0
    model.save_now()
    qtbot.waitUntil(lambda: folder.load().progress.step == 1, timeout=LONG_MS)
    model.stop()
    wait(qtbot, model, "stopped")


def test_another_run_has_another_folder(qtbot: QtBot, model: TrainModel) -> None:
    folders = set()
    for _ in range(2):
        model.start()
        wait(qtbot, model, "loading")
        wait(qtbot, model, "finished")
        folders.add(model.run_folder)
    assert len(folders) == 2


def test_a_runaway_loss_is_offered_a_smaller_rate(qtbot: QtBot, model: TrainModel, tmp_path: Path) -> None:
    prepare(model, tmp_path / "runs", lr=1000, schedule="constant", epochs=20)
    with qtbot.waitSignal(model.failed, timeout=LONG_MS) as signal:
        model.start()
    assert signal.args is not None
    assert isinstance(signal.args[0], RefusalError)
    assert (model.phase, model.has_diverged, model.can_go_on) == ("failed", True, True)
    assert model.smaller_rate == 0.02  # what is recommended
    model.set_setting("lr", 0.05)
    model.go_back_with_smaller_rate()
    assert model.settings.lr == 0.01
    wait(qtbot, model, "finished")
    assert not model.has_diverged


def test_a_rate_that_was_well_is_gone_back_to(qtbot: QtBot, model: TrainModel, tmp_path: Path) -> None:
    prepare(model, tmp_path / "runs", lr=0.01, schedule="constant", epochs=10_000)
    paused(qtbot, model)
    model.set_setting("lr", 1000.0)
    model.resume()
    wait(qtbot, model, "failed")
    assert model.smaller_rate == 0.01


def test_what_does_not_fit_is_a_message(qtbot: QtBot, model: TrainModel) -> None:
    model.edit(lambda state: lab.without_layer(state, 4))
    with qtbot.waitSignal(model.failed, timeout=LONG_MS):
        model.start()
    assert (model.phase, model.can_go_on) == ("failed", False)


def test_a_job_is_ended_by_the_application(qtbot: QtBot, model: TrainModel, qapp: QApplication) -> None:
    paused(qtbot, model)
    assert model.run_folder is not None
    qapp.aboutToQuit.emit()
    assert not any(thread.isRunning() for thread in qapp.findChildren(QThread))
    assert RunFolder.open(model.run_folder).load().progress.step == 1


# ---- looking


def test_the_network_is_looked_at_during_and_after_the_run(qtbot: QtBot, model: TrainModel) -> None:
    paused(qtbot, model)
    model.look(View(4, 1))
    qtbot.waitUntil(lambda: model.update.probe is not None and model.update.probe.layer_index == 1, timeout=LONG_MS)
    model.stop()
    wait(qtbot, model, "stopped")
    with qtbot.waitSignal(model.updated, timeout=LONG_MS):
        model.look(View(9, 2, batch=True))
    assert model.update.probe is not None
    assert (model.update.probe.sample_index, model.update.probe.layer_index) == (9, 2)
    assert model.update.batch is not None
    assert step(model) == 1


def test_a_look_that_fails_is_said(qtbot: QtBot, model: TrainModel, monkeypatch: pytest.MonkeyPatch) -> None:
    paused(qtbot, model)
    model.stop()
    wait(qtbot, model, "stopped")
    monkeypatch.setattr("convviz.nn.probe.probe", lambda *_: 1 / 0)
    with qtbot.captureExceptions() as exceptions:
        model.look(View(4, 1))
        qtbot.waitUntil(lambda: bool(exceptions), timeout=LONG_MS)
    assert exceptions[0][0] is ZeroDivisionError


def test_nothing_is_looked_at_before_there_is_a_network(model: TrainModel) -> None:
    model.look(View(4, 1))
    assert model.view == View(4, 1)
    assert model.update.probe is None


# ---- data


def test_a_folder_that_is_none_is_a_message(qtbot: QtBot, model: TrainModel, tmp_path: Path) -> None:
    with qtbot.waitSignal(model.data_failed, timeout=LONG_MS) as signal:
        model.choose_data(str(tmp_path / "nowhere"))
    assert signal.args is not None
    assert "nowhere" in str(signal.args[0])
    assert (model.dataset, model.is_loading_data) == (None, False)


def test_cifar_10_has_to_be_there(qtbot: QtBot, model: TrainModel) -> None:
    with qtbot.waitSignal(model.data_failed, timeout=LONG_MS) as signal:
        model.choose_data(CIFAR10)
    assert signal.args is not None
    assert "CIFAR-10" in str(signal.args[0])


def test_preparing_data_can_be_cancelled(model: TrainModel) -> None:
    model.load_data()
    assert model.is_loading_data
    model.cancel_data()
    assert (model.is_loading_data, model.data_progress) == (False, None)


# ---- kept


def test_choices_are_kept(model: TrainModel) -> None:
    model.choose_preset("tutorial_cnn")
    model.set_setting("epochs", 3)
    model.choose_data("/somewhere")
    model.cancel_data()
    other = TrainModel()
    other.restore(model.to_json())
    assert (other.model, other.data, other.settings) == ("tutorial_cnn", "/somewhere", model.settings)
    assert other.stack.num_parameters == 62_006
    model.edit(lambda state: lab.without_layer(state, 1))
    other.restore(model.to_json())
    assert (other.model, other.stack.shapes) == (OWN_MODEL, model.stack.shapes)


def test_a_run_that_went_on_elsewhere_keeps_its_settings(
    qtbot: QtBot, model: TrainModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convviz.nn.data.load_dataset", loads_tiny)
    paused(qtbot, model)
    before = model.to_json()
    model.set_setting("epochs", 5)
    model.set_setting("momentum", 0.25)
    model.one_batch()
    wait(qtbot, model, "paused")
    model.stop()
    wait(qtbot, model, "stopped")
    other = TrainModel()
    other.restore(before)
    other.set_setting("lr", 0.125)
    other.go_on(paused=True)
    wait(qtbot, other, "paused")
    assert (other.settings.epochs, other.settings.momentum, other.settings.lr) == (5, 0.25, 0.125)
    assert other.update.begun is not None
    assert other.update.begun.settings == other.settings
    other.stop()
    wait(qtbot, other, "stopped")


def test_a_stopped_run_is_kept_for_the_next_start(qtbot: QtBot, model: TrainModel) -> None:
    paused(qtbot, model)
    model.stop()
    wait(qtbot, model, "stopped")
    other = TrainModel()
    other.restore(model.to_json())
    assert (other.run_folder, other.can_go_on) == (model.run_folder, True)
    model.go_on()
    wait(qtbot, model, "finished")
    assert json.loads(model.to_json())["run"] is None


@pytest.mark.parametrize(("choice", "epochs"), [("more", 5), ("as before", 4), ("other preset", 3)])
def test_after_the_next_start_a_run_goes_on_with_what_was_chosen_for_it(
    qtbot: QtBot, model: TrainModel, monkeypatch: pytest.MonkeyPatch, choice: str, epochs: int
) -> None:
    monkeypatch.setattr("convviz.nn.data.load_dataset", loads_tiny)
    model.start()
    wait(qtbot, model, "finished")
    model.set_setting("epochs", 4)
    stored = json.loads(model.to_json())
    assert stored["run"] == str(model.run_folder)
    other = TrainModel()
    other.restore(json.dumps(stored))
    if choice == "other preset":
        other.choose_preset("fast_cnn")
    elif choice == "more":
        other.set_setting("epochs", 5)
    other.go_on()
    wait(qtbot, other, "finished")
    assert step(other) == 6 * epochs
    assert other.settings == dataclasses.replace(SETTINGS, epochs=epochs)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"data": 1}', json.dumps({"data": "a", "model": "none", "stack": None, "run": None})],
)
def test_damaged_choices_change_nothing(model: TrainModel, text: str) -> None:
    before = model.stack, model.settings, model.data
    model.restore(text)
    assert (model.stack, model.settings, model.data) == before


def test_damaged_settings_change_nothing(model: TrainModel) -> None:
    stored = json.loads(model.to_json())
    stored["settings"]["lr"] = -1
    model.restore(json.dumps(stored))
    assert model.settings != TrainSettings()
    assert model.stack.input_shape == tiny_stack().input_shape
