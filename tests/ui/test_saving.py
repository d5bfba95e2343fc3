from pathlib import Path
from threading import current_thread, main_thread

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from convviz.ui.widgets.saving import Saver


@pytest.fixture
def saver(qtbot: QtBot, threads: None) -> Saver:
    window = QWidget()
    qtbot.addWidget(window)
    saver = Saver(window)
    window.saver = saver  # type: ignore[attr-defined]  # keeps the window as long as the saver
    return saver


def test_what_takes_a_while_is_made_in_another_thread(qtbot: QtBot, saver: Saver, tmp_path: Path) -> None:
    made_in = []

    def make() -> bytes:
        made_in.append(current_thread())
        return b"1,2\n"

    with qtbot.waitSignal(saver.said, check_params_cb=lambda text: text == f"Saved {tmp_path / 'table.csv'}."):
        saver.write_later(tmp_path / "table.csv", make)
    assert (tmp_path / "table.csv").read_bytes() == b"1,2\n"
    assert main_thread() not in made_in


def test_what_cannot_be_made_is_an_error_and_no_file(qtbot: QtBot, saver: Saver, tmp_path: Path) -> None:
    with qtbot.captureExceptions() as raised:
        saver.write_later(tmp_path / "table.csv", lambda: bytes(1 // 0))
        qtbot.waitUntil(lambda: bool(raised))
    assert [kind for kind, _, _ in raised] == [ZeroDivisionError]
    assert list(tmp_path.iterdir()) == []
