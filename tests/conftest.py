import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # read once, when the first test makes the application

from PySide6.QtCore import QCoreApplication, QEvent, QSettings, QThread, QTimer
from PySide6.QtWidgets import QApplication
from shiboken6 import isValid

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if "CI" in os.environ else "here")


def pytest_collection_finish() -> None:
    gc.freeze()  # what the imports made need not be looked through after every test


@pytest.fixture(scope="session", autouse=True)
def _isolated_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither the tests nor the programs they start see the user's own settings and files."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
            patch.setenv(variable, str(home / variable))
        yield


@pytest.fixture(autouse=True)
def _isolated_gui(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test that uses the application starts with empty settings and leaves no window, thread or timer behind."""
    if not {"qapp", "qtbot"} & set(request.fixturenames):
        yield
        return
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path_factory.mktemp("settings")))
    yield
    if leftovers():
        gc.collect()
    assert leftovers() == []


def leftovers() -> list[str]:
    """What the finished test left in the application: windows, running threads, active timers."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    objects = [found for found in gc.get_objects() if issubclass(type(found), (QThread, QTimer)) and isValid(found)]
    return [
        *(f"window {window!r}" for window in QApplication.topLevelWidgets()),
        *(f"running {thread!r}" for thread in objects if isinstance(thread, QThread) and thread.isRunning()),
        *(f"active {timer!r}" for timer in objects if isinstance(timer, QTimer) and timer.isActive()),
    ]
