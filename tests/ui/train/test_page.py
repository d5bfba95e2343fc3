from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QFileDialog, QScrollArea
from pytestqt.qtbot import QtBot

from convviz.core import stack_file
from convviz.core.presets import PRESETS
from convviz.nn.look import ForLab
from convviz.nn.run_folder import RunFolder
from convviz.ui import theme
from convviz.ui.main_window import MainWindow
from convviz.ui.settings import Settings
from convviz.ui.train.model import Phase, TrainModel
from convviz.ui.train.page import TrainPage
from convviz.ui.train.session import View
from convviz.ui.widgets.live_text import LiveText
from tests.ui.lab.driving import button
from tests.ui.train.run_cases import prepare
from tests.ui.train.test_model import LONG_MS, paused, step, wait


def drawn(qtbot: QtBot, page: TrainPage) -> None:
    """Wait until the newest is drawn."""
    qtbot.waitUntil(lambda: page._shown is page.model.update, timeout=LONG_MS)


def test_torch_is_not_needed_to_show_the_page() -> None:
    code = "import sys, convviz.ui.train.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_is_made_when_it_is_first_shown(window: MainWindow, qtbot: QtBot, threads: None) -> None:
    assert window.findChildren(TrainPage) == []
    qtbot.keyClick(window, Qt.Key.Key_2)
    assert window.train.isVisible()
    assert not window.lab.isVisible()
    qtbot.keyClick(window, Qt.Key.Key_1)
    assert window.lab.isVisible()
    assert window.findChildren(TrainPage) == [window.train]


def test_one_key_starts_a_training_that_is_watched_to_its_end(qtbot: QtBot, page: TrainPage) -> None:
    qtbot.keyClick(page, Qt.Key.Key_Space)
    assert page.model.phase == "loading"
    assert page.progress.isVisible()
    wait(qtbot, page.model, "finished")
    drawn(qtbot, page)
    assert not page.progress.isVisible()
    assert page.results._evaluation is not None
    assert page.maps._probe is not None
    texts = " ".join(text.text for text in page.run_bar.findChildren(LiveText))
    assert texts.startswith("epoch 3 / 3")
    assert "saved" in texts


def test_keys_pause_step_and_go_on(qtbot: QtBot, page: TrainPage) -> None:
    qtbot.keyClick(page, Qt.Key.Key_Right)
    wait(qtbot, page.model, "paused")
    assert step(page.model) == 1
    assert page.actions_by_name["run"].text() == "Resume"
    qtbot.keyClick(page, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: step(page.model) == 2, timeout=LONG_MS)
    qtbot.keyClick(page, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    assert page.model.run_folder is not None
    folder = RunFolder.open(page.model.run_folder)
    qtbot.waitUntil(lambda: folder.load().progress.step == 2, timeout=LONG_MS)
    page.actions_by_name["stop"].trigger()
    wait(qtbot, page.model, "stopped")
    page.actions_by_name["go_on"].trigger()
    wait(qtbot, page.model, "paused", "training", "finished")
    wait(qtbot, page.model, "finished")


def test_a_training_can_be_paused(qtbot: QtBot, page: TrainPage, tmp_path: Path) -> None:
    prepare(page.model, tmp_path / "runs", epochs=10_000)
    page.actions_by_name["run"].trigger()
    wait(qtbot, page.model, "training")
    page.actions_by_name["run"].trigger()
    wait(qtbot, page.model, "paused")
    at = step(page.model)
    page.actions_by_name["run"].trigger()
    qtbot.waitUntil(lambda: step(page.model) > at, timeout=LONG_MS)
    page.model.stop()
    wait(qtbot, page.model, "stopped")


def test_choices_in_the_panels_lead_to_another_look(qtbot: QtBot, page: TrainPage) -> None:
    paused(qtbot, page.model)
    page.maps.layer_chosen.emit(2)
    page.maps.sample_chosen.emit(7)
    page.beside.chosen.emit("batch")
    qtbot.waitUntil(lambda: page.model.update.batch is not None, timeout=LONG_MS)
    probe = page.model.update.probe
    assert probe is not None
    assert (probe.layer_index, probe.sample_index) == (2, 7)
    drawn(qtbot, page)
    assert page.batch.isVisible()
    page.beside.chosen.emit("results")
    page.results.sample_chosen.emit(3)
    qtbot.waitUntil(
        lambda: page.model.update.probe is not None and page.model.update.probe.sample_index == 3, timeout=LONG_MS
    )
    assert page.results.isVisible()
    page.model.stop()
    wait(qtbot, page.model, "stopped")


def test_an_earlier_run_stays_for_comparison(qtbot: QtBot, page: TrainPage) -> None:
    for _ in range(2):
        page.actions_by_name["run"].trigger()
        wait(qtbot, page.model, "loading")
        wait(qtbot, page.model, "finished")
        drawn(qtbot, page)
    assert len(page.plots._earlier) == 1


def test_nothing_is_looked_at_while_the_page_is_hidden(qtbot: QtBot, page: TrainPage, window: MainWindow) -> None:
    paused(qtbot, page.model)
    window.show_page(window.lab)
    session = page.model._session
    assert session is not None
    assert session.view is None
    window.show_page(page)
    assert session.view == page.model.view
    page.model.stop()
    wait(qtbot, page.model, "stopped")


# ---- what goes wrong


def test_a_runaway_loss_offers_a_smaller_rate(qtbot: QtBot, page: TrainPage, tmp_path: Path) -> None:
    prepare(page.model, tmp_path / "runs", lr=1000, schedule="constant", epochs=20)
    page.actions_by_name["run"].trigger()
    wait(qtbot, page.model, "failed")
    assert "step" in page.message.message
    assert page.message.remedy.text() == "Go on with rate 0.02"
    page.model.set_setting("lr", 0.05)
    page.message.remedy.click()
    assert not page.message.remedy.isVisible()
    wait(qtbot, page.model, "finished")
    assert page.model.settings.lr == 0.01


def test_a_folder_that_vanished_can_be_tried_again(qtbot: QtBot, page: TrainPage) -> None:
    paused(qtbot, page.model)
    assert page.model.run_folder is not None
    shutil.rmtree(page.model.run_folder)
    page.model.save_now()
    wait(qtbot, page.model, "failed")
    assert "The network is kept in memory." in page.message.message
    page.message.remedy.click()
    wait(qtbot, page.model, "finished")
    assert page.message.message == ""
    assert RunFolder.open(page.model.run_folder).load().progress.step == 18


def test_pictures_that_cannot_be_used_are_a_message(qtbot: QtBot, page: TrainPage, tmp_path: Path) -> None:
    with qtbot.waitSignal(page.model.data_failed, timeout=LONG_MS):
        page.model.choose_data(str(tmp_path / "nowhere"))
    assert "nowhere" in page.message.message
    assert not page.message.remedy.isVisible()
    page.model.choose_data("shapes10")
    assert page.message.message == ""
    page.model.cancel_data()


@pytest.mark.parametrize(
    ("dialog", "method", "answer"),
    [
        ("getExistingDirectory", TrainPage.choose_folder, str),
        ("getOpenFileName", TrainPage.choose_archive, lambda path: (str(path), "")),
    ],
)
def test_pictures_are_chosen_in_a_dialog(
    page: TrainPage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dialog: str,
    method: Callable[[TrainPage], None],
    answer: Callable[[Path], object],
) -> None:
    chosen: list[str] = []
    monkeypatch.setattr(page.model, "choose_data", chosen.append)
    monkeypatch.setattr(QFileDialog, dialog, lambda *_: answer(tmp_path))
    method(page)
    assert chosen == [str(tmp_path)]


def test_the_labs_stack_can_be_trained(page: TrainPage, window: MainWindow) -> None:
    page.controls.network.lab_stack_wanted.emit()
    assert page.model.stack is window.lab.model.state.stack
    page.model.cancel_data()


def test_a_stack_of_a_file_can_be_trained(
    qtbot: QtBot, page: TrainPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.convviz"
    path.write_text(stack_file.to_json(PRESETS["lenet5_rgb"]()), encoding="utf-8")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    page.controls.network.stack_file_wanted.emit()
    qtbot.waitUntil(lambda: page.model.stack == PRESETS["lenet5_rgb"]())
    assert page.message.message == ""
    page.model.cancel_data()


def test_a_file_that_is_no_stack_changes_nothing(
    qtbot: QtBot, page: TrainPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, path = page.model.stack, tmp_path / "mine.convviz"
    path.write_text("hello", encoding="utf-8")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    page.choose_stack()
    qtbot.waitUntil(lambda: bool(page.message.message))
    assert page.message.message == "This is not a stack file: its text is not JSON. Nothing was changed."
    assert page.model.stack is before


@pytest.mark.parametrize("phase", ["paused", "finished"])
def test_a_trained_network_is_given_to_the_lab_as_it_is(qtbot: QtBot, page: TrainPage, phase: Phase) -> None:
    if phase == "paused":
        page.model.one_batch()
    else:
        page.model.start()
    wait(qtbot, page.model, phase)
    page.model.look(View(sample_index=3, layer_index=2))
    qtbot.waitUntil(lambda: page.maps._probe is not None and page.maps._probe.layer_index == 2, timeout=LONG_MS)
    probe = page.model.update.probe
    assert probe is not None
    with qtbot.waitSignal(page.lab_wanted, timeout=LONG_MS) as given:
        button(page.maps, "Open in Lab").click()
    assert given.args is not None
    for_lab: ForLab = given.args[0]
    assert for_lab.current == 2
    np.testing.assert_allclose(for_lab.input, probe.picture / 127.5 - 1, atol=1e-6)
    maps = for_lab.stack.forward(for_lab.input)[for_lab.current]
    np.testing.assert_allclose(maps, probe.maps, atol=1e-5)
    page.model.stop()


# ---- window


def answer(page: TrainPage, words: str) -> None:
    """Answer the question that is asked."""
    assert page._question is not None
    next(button for button in page._question.buttons() if button.text() == words).click()


def test_closing_asks_while_a_training_runs(qtbot: QtBot, page: TrainPage, window: MainWindow) -> None:
    paused(qtbot, page.model)
    window.close()
    answer(page, "Keep training")
    assert window.isVisible()
    assert page.model.is_running
    window.close()
    answer(page, "Stop and close")
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=LONG_MS)
    assert page.model.phase == "stopped"
    assert page.model.run_folder is not None
    assert RunFolder.open(page.model.run_folder).load().progress.step == 1


def test_a_signal_stops_and_closes_even_while_that_is_asked(qtbot: QtBot, page: TrainPage, window: MainWindow) -> None:
    paused(qtbot, page.model)
    window.close()
    window.close_at_once()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=LONG_MS)
    assert page.model.phase == "stopped"


def test_the_window_closes_while_the_pictures_of_a_run_are_prepared(page: TrainPage, window: MainWindow) -> None:
    page.model.load_data()
    page.model.start()
    assert page.model.phase == "loading"
    window.close_at_once()
    assert not window.isVisible()


def test_a_run_is_remembered_as_soon_as_it_begins(
    qtbot: QtBot, page: TrainPage, window: MainWindow, tmp_path: Path
) -> None:
    paused(qtbot, page.model)
    page.model.set_setting("epochs", 7)
    again = TrainModel()
    again.restore(Settings(tmp_path / "convviz.ini").train_state)  # as after the program was killed
    assert again.can_go_on
    assert (again.run_folder, again.settings.epochs) == (page.model.run_folder, 7)


def test_what_could_not_be_saved_is_saved_elsewhere(
    qtbot: QtBot, page: TrainPage, window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused(qtbot, page.model)
    assert page.model.run_folder is not None
    shutil.rmtree(page.model.run_folder)
    page.model.save_now()
    wait(qtbot, page.model, "failed")
    window.close()
    answer(page, "Keep it")
    assert window.isVisible()
    page.actions_by_name["run"].trigger()
    answer(page, "Keep it")
    assert page.model.phase == "failed"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(elsewhere))
    page.message.other_remedy.click()
    wait(qtbot, page.model, "paused")
    assert page.model.run_folder.parent == elsewhere
    page.model.stop()
    wait(qtbot, page.model, "stopped")
    run = RunFolder.open(page.model.run_folder)
    assert run.load().progress.step == len(run.metrics().batches) == 2


def test_any_run_can_be_gone_on_with(qtbot: QtBot, page: TrainPage, monkeypatch: pytest.MonkeyPatch) -> None:
    paused(qtbot, page.model)
    first = page.model.run_folder
    page.model.stop()
    wait(qtbot, page.model, "stopped")
    page.model.start(paused=True)
    wait(qtbot, page.model, "paused")
    assert page.model.run_folder != first
    page.model.stop()
    wait(qtbot, page.model, "stopped")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(first))
    page.actions_by_name["open_run"].trigger()
    wait(qtbot, page.model, "failed")  # its data set is not one that can be loaded
    assert "tiny" in page.message.message


def test_a_run_is_there_at_the_next_start(
    qtbot: QtBot, page: TrainPage, window: MainWindow, tmp_path: Path, threads: None
) -> None:
    paused(qtbot, page.model)
    page.model.stop()
    wait(qtbot, page.model, "stopped")
    window.close()
    settings = Settings(tmp_path / "convviz.ini")
    again = MainWindow(settings)
    qtbot.addWidget(again)
    again.train.model.cancel_data()
    assert again.train.model.settings == dataclasses.replace(page.model.settings)
    assert again.train.model.run_folder == page.model.run_folder
    assert again.train.actions_by_name["go_on"].isEnabled()
    again.train.model.cancel()


def test_controls_can_be_hidden(page: TrainPage, window: MainWindow) -> None:
    controls = next(action for action in window.actions() if action.objectName() == "controls")
    assert page.shows_controls
    controls.trigger()
    assert not page.shows_controls
    controls.trigger()
    assert page.shows_controls


@pytest.mark.parametrize(("width", "height", "scale"), [(1280, 720, 1.0), (1920, 1080, 2.0), (640, 480, 1.0)])
def test_all_can_be_reached_in_a_small_window(
    qtbot: QtBot, page: TrainPage, window: MainWindow, light: QApplication, width: int, height: int, scale: float
) -> None:
    page.actions_by_name["run"].trigger()
    wait(qtbot, page.model, "finished")
    theme.apply(light, "dark", scale)
    window.setFixedSize(width, height)
    for _ in range(10):
        QApplication.processEvents()
    assert (window.width(), window.height()) == (width, height)
    assert page.width() == width
    if page.shows_controls:
        assert page.controls.width() + page._content.width() == width
    for area in page._content.findChildren(QScrollArea):
        if area.isVisible():
            assert area.horizontalScrollBar().maximum() == 0
