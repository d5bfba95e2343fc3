from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox, QScrollArea
from pytestqt.qtbot import QtBot

from convviz.nn.run_folder import RunFolder
from convviz.ui import theme
from convviz.ui.main_window import MainWindow
from convviz.ui.settings import Settings
from convviz.ui.train.page import TrainPage
from convviz.ui.widgets.live_text import LiveText
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
    assert "step" in page.info_bar.message
    assert page.remedy.text() == "Go on with rate 200"
    page.model.set_setting("lr", 0.05)
    page.remedy.click()
    assert not page.remedy.isVisible()
    wait(qtbot, page.model, "finished")
    assert page.model.settings.lr == 0.01


def test_a_folder_that_vanished_can_be_tried_again(qtbot: QtBot, page: TrainPage) -> None:
    paused(qtbot, page.model)
    assert page.model.run_folder is not None
    shutil.rmtree(page.model.run_folder)
    page.model.save_now()
    wait(qtbot, page.model, "failed")
    assert "The network is kept in memory." in page.info_bar.message
    page.remedy.click()
    wait(qtbot, page.model, "finished")
    assert page.info_bar.message == ""
    assert RunFolder.open(page.model.run_folder).load().progress.step == 18


def test_pictures_that_cannot_be_used_are_a_message(qtbot: QtBot, page: TrainPage, tmp_path: Path) -> None:
    with qtbot.waitSignal(page.model.data_failed, timeout=LONG_MS):
        page.model.choose_data(str(tmp_path / "nowhere"))
    assert "nowhere" in page.info_bar.message
    assert not page.remedy.isVisible()
    page.model.choose_data("shapes10")
    assert page.info_bar.message == ""
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


# ---- window


def answer_question(words: str) -> None:
    """Answer the question that is about to be asked."""

    def press() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        next(button for button in box.buttons() if button.text() == words).click()

    QTimer.singleShot(0, press)


def test_closing_asks_while_a_training_runs(qtbot: QtBot, page: TrainPage, window: MainWindow) -> None:
    paused(qtbot, page.model)
    answer_question("Keep training")
    window.close()
    assert window.isVisible()
    assert page.model.is_running
    answer_question("Stop and close")
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=LONG_MS)
    assert page.model.phase == "stopped"
    assert page.model.run_folder is not None
    assert RunFolder.open(page.model.run_folder).load().progress.step == 1


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
