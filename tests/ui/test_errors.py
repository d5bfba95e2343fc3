import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QStandardPaths, Qt, QThread, QTimer, qWarning
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QPlainTextEdit, QPushButton
from pytestqt.qtbot import QtBot

from convviz.ui import errors
from convviz.ui.errors import ErrorDialog, ErrorReporter


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "data" / "convviz.log"
    monkeypatch.setattr(errors, "log_file", lambda: path)
    return path


@pytest.fixture
def reporter(qtbot: QtBot, log_file: Path, clock: Clock) -> Iterator[ErrorReporter]:
    reporter = ErrorReporter(clock)
    reporter.install()
    yield reporter
    reporter.uninstall()
    for dialog in dialogs():
        dialog.close()


def dialogs() -> list[ErrorDialog]:
    QApplication.processEvents()
    return [
        widget for widget in QApplication.topLevelWidgets() if isinstance(widget, ErrorDialog) and widget.isVisible()
    ]


def details(dialog: ErrorDialog) -> QPlainTextEdit:
    found = dialog.findChild(QPlainTextEdit)
    assert found is not None
    return found


def button(dialog: ErrorDialog, text: str) -> QPushButton:
    return next(found for found in dialog.findChildren(QPushButton) if found.text() == text)


def hit(message: str) -> None:
    """Report an error as the interpreter does with one that nobody caught."""
    try:
        raise ValueError(message)
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)


def hit_elsewhere() -> None:
    try:
        raise LookupError("from another line")
    except LookupError as error:
        sys.excepthook(type(error), error, error.__traceback__)


@pytest.mark.usefixtures("reporter")
def test_an_error_is_logged_and_shown_once(log_file: Path) -> None:
    hit("first")
    (dialog,) = dialogs()
    assert "ValueError: first" in details(dialog).toPlainText()
    assert "Traceback" in details(dialog).toPlainText()
    assert "ValueError: first" in log_file.read_text()


@pytest.mark.usefixtures("reporter")
def test_an_error_in_a_slot_is_shown(qtbot: QtBot, qapp: QApplication) -> None:
    def slot() -> None:
        hit("in a slot")

    QTimer.singleShot(0, slot)
    qtbot.waitUntil(lambda: len(dialogs()) == 1)


def test_an_error_in_a_python_thread_is_shown_by_the_gui_thread(qtbot: QtBot, reporter: ErrorReporter) -> None:
    with qtbot.waitSignal(reporter.reported):
        thread = threading.Thread(target=lambda: 1 // 0)
        thread.start()
        thread.join()
    (dialog,) = dialogs()
    assert "ZeroDivisionError" in details(dialog).toPlainText()
    assert dialog.thread() is QThread.currentThread()


@pytest.mark.usefixtures("reporter")
def test_a_burst_makes_one_dialog() -> None:
    for number in range(200):
        hit(f"number {number}")
    (dialog,) = dialogs()
    assert details(dialog).toPlainText().count("Traceback") == 1


@pytest.mark.usefixtures("reporter")
def test_a_different_error_joins_the_open_dialog() -> None:
    hit("first")
    hit_elsewhere()
    (dialog,) = dialogs()
    assert "ValueError: first" in details(dialog).toPlainText()
    assert "LookupError: from another line" in details(dialog).toPlainText()


@pytest.mark.usefixtures("reporter")
def test_a_closed_dialog_returns_only_after_a_quiet_time(clock: Clock) -> None:
    hit("painting")
    clock.now = 100.0
    dialogs()[0].close()
    clock.now += errors.QUIET_S / 2
    hit("painting")
    assert dialogs() == []
    clock.now += errors.QUIET_S
    hit("painting")
    assert len(dialogs()) == 1


@pytest.mark.usefixtures("reporter")
def test_details_open_and_are_copied(qtbot: QtBot) -> None:
    hit("first")
    (dialog,) = dialogs()
    assert not details(dialog).isVisible()
    qtbot.mouseClick(button(dialog, "Show details"), Qt.MouseButton.LeftButton)
    assert details(dialog).isVisible()
    qtbot.mouseClick(button(dialog, "Hide details"), Qt.MouseButton.LeftButton)
    assert not details(dialog).isVisible()
    qtbot.mouseClick(button(dialog, "Copy details"), Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == details(dialog).toPlainText()


@pytest.mark.usefixtures("reporter")
def test_escape_closes_the_dialog(qtbot: QtBot) -> None:
    hit("first")
    (dialog,) = dialogs()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert dialogs() == []


@pytest.mark.usefixtures("reporter")
def test_qt_messages_are_logged_without_a_dialog(log_file: Path) -> None:
    qWarning("something about fonts")
    assert "WARNING convviz.qt: something about fonts" in log_file.read_text()
    assert dialogs() == []


def test_an_interrupt_passes_through(monkeypatch: pytest.MonkeyPatch, qapp: QApplication, log_file: Path) -> None:
    passed: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, *_: passed.append(kind))
    reporter = ErrorReporter()
    reporter.install()
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    reporter.uninstall()
    assert passed == [KeyboardInterrupt]
    assert dialogs() == []


def test_hooks_are_given_back(qapp: QApplication, log_file: Path) -> None:
    before = sys.excepthook, threading.excepthook, logging.getLogger("convviz").handlers.copy()
    reporter = ErrorReporter()
    reporter.install()
    assert sys.excepthook != before[0]
    reporter.uninstall()
    assert (sys.excepthook, threading.excepthook, logging.getLogger("convviz").handlers) == before


@pytest.mark.parametrize("obstacle", ["folder", "file"])
def test_a_log_that_cannot_be_written_changes_nothing(
    qapp: QApplication, log_file: Path, capfd: pytest.CaptureFixture[str], obstacle: str
) -> None:
    if obstacle == "folder":
        log_file.mkdir(parents=True)  # where the log should be
    else:
        log_file.parent.touch()  # where its folder should be
    reporter = ErrorReporter()
    reporter.install()
    hit("first")
    reporter.uninstall()
    (dialog,) = dialogs()
    dialog.close()
    assert "Logging error" not in capfd.readouterr().err


def test_the_log_lies_in_the_users_data_folder() -> None:
    folder = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.AppLocalDataLocation)
    assert errors.log_file() == Path(folder) / "convviz.log"
