"""Ctrl+C in the terminal, and a request to terminate, end the program."""

import signal
import socket
from collections.abc import Callable
from types import FrameType

from PySide6.QtCore import QCoreApplication, QObject, QSocketNotifier, Slot


class TerminalSignals(QObject):
    """Calls ``end`` at SIGINT or SIGTERM; a second one ends the application's event loop.

    Python runs a signal's handler only between two of its own instructions, and while Qt waits there are none: the
    signal's number, which Python writes to a socket at once, wakes Qt.
    """

    def __init__(self, application: QCoreApplication, end: Callable[[], None]) -> None:
        super().__init__(application)
        self._end_application = end
        self._was_asked = False
        self._written_by_python, self._read_by_qt = socket.socketpair()
        for side in (self._written_by_python, self._read_by_qt):
            side.setblocking(False)
        self._notifier = QSocketNotifier(self._read_by_qt.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._end)
        signal.set_wakeup_fd(self._written_by_python.fileno())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave_to_the_event_loop)

    @Slot()
    def _end(self) -> None:
        self._read_by_qt.recv(1)
        if self._was_asked:
            QCoreApplication.exit()
        else:
            self._was_asked = True
            self._end_application()


def _leave_to_the_event_loop(_number: int, _frame: FrameType | None) -> None:
    pass
