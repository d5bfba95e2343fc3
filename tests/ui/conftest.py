from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QThread
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from convviz.ui import theme
from convviz.ui.main_window import MainWindow
from convviz.ui.settings import Settings


@pytest.fixture
def light(qapp: QApplication) -> Iterator[QApplication]:
    """The application in the light theme at 100 %, whatever a test makes of it."""
    theme.apply(qapp, "light", 1.0)
    yield qapp
    theme.apply(qapp, "light", 1.0)


@pytest.fixture
def threads(qapp: QApplication) -> Iterator[None]:
    """Threads that were asked to stop have ended before the next test."""
    yield
    for thread in qapp.findChildren(QThread):
        assert thread.wait(20_000)


@pytest.fixture
def window(qtbot: QtBot, light: QApplication, tmp_path: Path) -> MainWindow:
    """The main window as at a first start, shown and active."""
    settings = Settings(tmp_path / "convviz.ini")
    settings.theme = "light"
    window = MainWindow(settings)
    qtbot.addWidget(window)
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    return window
