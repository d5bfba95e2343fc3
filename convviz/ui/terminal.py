"""Ctrl+C in the terminal, and a request to terminate, close the program as its window's close button does."""

import signal
import socket
from types import FrameType

from PySide6.QtCore import QCoreApplication, QObject, QSocketNotifier, Slot


class TerminalSignals(QObject):
    """Ends the application's event loop at SIGINT or SIGTERM.

    Python runs a signal's handler only between two of its own instructions, and while Qt waits there are none: the
    signal's number, which Python writes to a socket at once, wakes Qt.
    """

    def __init__(self, application: QCoreApplication) -> None:
        super().__init__(application)
        self._written_by_python, self._read_by_qt = socket.socketpair()
        for end in (self._written_by_python, self._read_by_qt):
            end.setblocking(False)
        self._notifier = QSocketNotifier(self._read_by_qt.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._quit)
        signal.set_wakeup_fd(self._written_by_python.fileno())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave_to_the_event_loop)

    @Slot()
    def _quit(self) -> None:
        self._read_by_qt.recv(1)
        QCoreApplication.quit()


def _leave_to_the_event_loop(_number: int, _frame: FrameType | None) -> None:
    pass
