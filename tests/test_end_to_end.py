from collections.abc import Callable, Iterator
from pathlib import Path

import PySide6.QtWidgets
import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

import convviz.ui.terminal
from convviz.app import main
from convviz.core import stack_file
from convviz.core.explain import FloatArray
from convviz.core.presets import PRESETS
from convviz.ui import theme
from convviz.ui.errors import ErrorDialog
from convviz.ui.lab.state import conv_of
from convviz.ui.main_window import MainWindow

Start = Callable[[list[str], Callable[[MainWindow], None]], None]


@pytest.fixture
def start(qapp: QApplication, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Run the program with these arguments, let a function use its window, and close it."""

    class TheApplication(QApplication):
        def __new__(cls, _: list[str]) -> QApplication:  # type: ignore[misc]  # there can be only one
            return qapp

    monkeypatch.setattr(PySide6.QtWidgets, "QApplication", TheApplication)
    monkeypatch.setattr(convviz.ui.terminal, "TerminalSignals", lambda *_: None)  # would outlive the test
    name = qapp.applicationName()

    def run(arguments: list[str], use: Callable[[MainWindow], None]) -> None:
        failures: list[BaseException] = []

        def begin() -> None:
            try:
                (window,) = (one for one in qapp.topLevelWidgets() if isinstance(one, MainWindow) and one.isVisible())
                use(window)
                assert not any(isinstance(one, ErrorDialog) for one in qapp.topLevelWidgets())
            except BaseException as error:
                failures.append(error)
            finally:
                qapp.closeAllWindows()  # which quits; a second request to quit would wait for the next event loop

        QTimer.singleShot(0, begin)
        code = main(arguments)
        for one in qapp.topLevelWidgets():
            if isinstance(one, MainWindow):
                one.deleteLater()
        for failure in failures:
            raise failure
        assert code == 0

    yield run
    qapp.setApplicationName(name)
    theme.apply(qapp, "light", 1.0)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "teal.png"
    image = QImage(24, 16, QImage.Format.Format_RGB32)
    image.fill(QColor("teal"))
    assert image.save(str(path))
    return path


def press(qtbot: QtBot, window: MainWindow, *keys: Qt.Key, ctrl: bool = False) -> None:
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    for key in keys:
        modifiers = Qt.KeyboardModifier.ControlModifier if ctrl else Qt.KeyboardModifier.NoModifier
        qtbot.keyClick(window.lab, key, modifiers)


def test_a_picture_is_stepped_through_and_everything_comes_back(qtbot: QtBot, start: Start, picture: Path) -> None:
    output = []

    def first(window: MainWindow) -> None:
        model = window.lab.model
        qtbot.waitUntil(lambda: model.state.source.kind == "picture")
        assert model.state.size == (16, 24)
        press(qtbot, window, Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_M)
        assert model.index == 2
        assert model.state.operation == "max"
        press(qtbot, window, Qt.Key.Key_Left, Qt.Key.Key_A)
        assert model.index == 1
        press(qtbot, window, Qt.Key.Key_T, Qt.Key.Key_Plus, ctrl=True)
        window.resize(780, 640)  # Qt's offscreen screen is 800 × 800
        output.append(model.snapshot.outputs[0])

    def second(window: MainWindow) -> None:
        model = window.lab.model
        assert model.state.operation == "avg"
        assert theme.is_dark(window.palette())
        assert QApplication.font().pixelSize() > theme.BASE_FONT_PX
        assert window.size().toTuple() == (780, 640)
        assert model.state.source.path == str(picture)
        assert (model.snapshot.outputs[0] == output[0]).all()

    start([str(picture)], first)
    start([], second)


def test_a_stack_is_opened_stepped_through_and_comes_back(qtbot: QtBot, start: Start, tmp_path: Path) -> None:
    path = tmp_path / "some.convviz"
    text = stack_file.to_json(PRESETS["lenet5"]())
    path.write_text(text, encoding="utf-8")
    outputs: list[FloatArray] = []

    def first(window: MainWindow) -> None:
        model = window.lab.model
        qtbot.waitUntil(lambda: stack_file.to_json(model.state.stack) == text)
        qtbot.waitUntil(lambda: model.snapshot.is_complete)
        assert model.view == "stack"
        press(qtbot, window, Qt.Key.Key_End, Qt.Key.Key_Right)
        assert (model.state.current, model.index) == (1, 0)
        press(qtbot, window, Qt.Key.Key_Period, Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_S)
        assert (model.state.current, model.index) == (2, 2)
        outputs.extend(model.snapshot.outputs)

    def second(window: MainWindow) -> None:
        model = window.lab.model
        assert stack_file.to_json(model.state.stack) == text
        assert (model.view, model.state.current, model.index) == ("stack", 2, 2)
        assert model.shows_all
        assert window.lab.stack_view.isVisible()
        qtbot.waitUntil(lambda: model.snapshot.is_complete)
        for before, now in zip(outputs, model.snapshot.outputs, strict=True):
            assert (before == now).all()
        press(qtbot, window, Qt.Key.Key_L)
        assert window.lab.layer_view.isVisible()
        window.lab.choose_view("learn")

    def third(window: MainWindow) -> None:
        assert window.lab.learn_view.isVisible()
        assert stack_file.to_json(window.lab.model.state.stack) == text

    start([str(path)], first)
    path.unlink()
    start([], second)
    start([], third)


def test_a_file_that_is_no_stack_leaves_the_lab_as_it_was(qtbot: QtBot, start: Start, tmp_path: Path) -> None:
    path = tmp_path / "notes.convviz"
    path.write_text("not a stack")

    def use(window: MainWindow) -> None:
        before = window.lab.model.state
        qtbot.waitUntil(lambda: "not a stack file" in window.lab.info_bar.message)
        assert window.lab.model.state is before
        assert window.lab.layer_view.isVisible()

    start([str(path)], use)


def test_hand_made_numbers_come_back(qtbot: QtBot, start: Start) -> None:
    def first(window: MainWindow) -> None:
        window.lab.model.edit_input([(2, 3)], -7.5, "Edit")
        window.lab.model.edit_kernel([(0, 0)], 0.25, "Edit")

    def second(window: MainWindow) -> None:
        state = window.lab.model.state
        assert state.input[0, 2, 3] == -7.5
        assert conv_of(state).weight[0, 0, 0, 0] == 0.25

    start([], first)
    start([], second)


def test_a_picture_that_went_away_keeps_its_numbers_and_says_so_when_resized(
    qtbot: QtBot, start: Start, picture: Path
) -> None:
    def first(window: MainWindow) -> None:
        qtbot.waitUntil(lambda: window.lab.model.state.source.kind == "picture")

    def second(window: MainWindow) -> None:
        before = window.lab.model.state
        assert before.size == (16, 24)
        window.lab.controls.input.picture_size_requested.emit(8, 12)
        qtbot.waitUntil(lambda: "teal.png" in window.lab.info_bar.message)
        assert window.lab.model.state is before

    start([str(picture)], first)
    picture.unlink()
    start([], second)


def test_a_file_that_is_no_picture_leaves_the_lab_as_it_was(qtbot: QtBot, start: Start, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a picture")

    def use(window: MainWindow) -> None:
        before = window.lab.model.state
        qtbot.waitUntil(lambda: "notes.txt" in window.lab.info_bar.message)
        assert window.lab.model.state is before

    start([str(path)], use)


def test_closing_while_playing_or_reading_a_picture_is_clean(qtbot: QtBot, start: Start, picture: Path) -> None:
    def use(window: MainWindow) -> None:
        window.lab.toggle_play()
        window.open_file(picture)

    start([], use)


def test_closing_while_layers_are_computed_is_clean(qtbot: QtBot, start: Start) -> None:
    def use(window: MainWindow) -> None:
        window.lab.choose_preset("alexnet")
        assert window.lab.model.forward.busy

    start([], use)
