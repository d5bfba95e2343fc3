"""The one road of every unexpected error: hooks → log → one signal → one dialog."""

import logging
import platform
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import (
    QMessageLogContext,
    QObject,
    QStandardPaths,
    Qt,
    QtMsgType,
    Signal,
    Slot,
    qInstallMessageHandler,
    qVersion,
)
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout

from convviz import __version__

LOGGER = logging.getLogger("convviz")
QUIET_S = 5.0
"""An error that comes again within this time of its last appearance belongs to the same burst."""
LONGEST_SUMMARY = 200

_QT_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


@dataclass(frozen=True)
class ErrorReport:
    """One unexpected exception: what it says, its traceback, and where it was raised."""

    summary: str
    traceback: str
    place: tuple[str, ...]

    @classmethod
    def of(cls, error: BaseException) -> "ErrorReport":
        """Describe `error`; reports of one error raised again and again share their `place`."""
        frames = traceback.extract_tb(error.__traceback__)
        return cls(
            summary=" ".join(traceback.format_exception_only(error)).strip()[:LONGEST_SUMMARY],
            traceback="".join(traceback.format_exception(error)),
            place=(type(error).__name__, *(f"{frame.filename}:{frame.lineno}" for frame in frames)),
        )


class ErrorReporter(QObject):
    """Logs every unexpected exception, whatever thread raised it, and shows a burst of them in one dialog.

    Qt's own messages go to the same log, which is a rotating file in the user's data folder if that can be written.
    """

    reported = Signal(object)
    """An `ErrorReport`; emitted in the thread that raised the error."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last_seen: dict[tuple[str, ...], float] = {}
        self._dialog: ErrorDialog | None = None
        self._log_handlers = _log_handlers()
        self.reported.connect(self._show, Qt.ConnectionType.QueuedConnection)

    def install(self) -> None:
        """Take over the hooks of Python, its threads and Qt."""
        LOGGER.setLevel(logging.INFO)
        for handler in self._log_handlers:
            LOGGER.addHandler(handler)
        self._excepthook, sys.excepthook = sys.excepthook, self._on_exception
        self._thread_excepthook, threading.excepthook = threading.excepthook, self._on_thread_exception
        self._qt_handler = qInstallMessageHandler(_log_qt_message)

    def uninstall(self) -> None:
        """Give the hooks back to whom they belonged."""
        qInstallMessageHandler(self._qt_handler)
        threading.excepthook = self._thread_excepthook
        sys.excepthook = self._excepthook
        for handler in self._log_handlers:
            LOGGER.removeHandler(handler)
            handler.close()

    def _on_exception(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            self._excepthook(kind, error, trace)
            return
        LOGGER.critical("Unexpected error", exc_info=(kind, error, trace))
        self.reported.emit(ErrorReport.of(error))

    def _on_thread_exception(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
            self._on_exception(args.exc_type, args.exc_value, args.exc_traceback)

    @Slot(object)
    def _show(self, report: ErrorReport) -> None:
        now = self._clock()
        is_repetition = now - self._last_seen.get(report.place, float("-inf")) < QUIET_S
        self._last_seen[report.place] = now
        if is_repetition:
            return
        if self._dialog is None:
            self._dialog = ErrorDialog()
            self._dialog.finished.connect(self._on_dialog_closed)
        self._dialog.add(report)
        self._dialog.show()

    @Slot()
    def _on_dialog_closed(self) -> None:
        # Closing repaints the window: an error of its painting comes again at once, however long the dialog was open.
        self._last_seen = dict.fromkeys(self._last_seen, self._clock())
        if self._dialog is not None:
            self._dialog.deleteLater()
            self._dialog = None


class ErrorDialog(QDialog):
    """Says calmly that something went wrong; the details can be opened and copied."""

    def __init__(self) -> None:
        super().__init__()
        self.setModal(True)
        self.setWindowTitle("convviz")
        headline = QLabel(self.tr("Something went wrong in convviz; your work is still open."))
        font = headline.font()
        font.setBold(True)
        headline.setFont(font)
        headline.setWordWrap(True)
        self._summary = QLabel()
        self._summary.setTextFormat(Qt.TextFormat.PlainText)
        self._summary.setWordWrap(True)
        self._details = QPlainTextEdit(_environment())
        self._details.setReadOnly(True)
        self._details.setAccessibleName(self.tr("Error details"))
        fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        fixed.setPixelSize(self.fontInfo().pixelSize())
        self._details.setFont(fixed)
        room = self.screen().availableSize()
        self._details.setMinimumHeight(min(self.fontMetrics().lineSpacing() * 12, room.height() // 3))
        self._details.hide()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        self._show_details = QPushButton(self.tr("Show details"))
        self._show_details.clicked.connect(self._toggle_details)
        copy_details = QPushButton(self.tr("Copy details"))
        copy_details.clicked.connect(self._copy_details)
        for button in (self._show_details, copy_details):
            buttons.addButton(button, QDialogButtonBox.ButtonRole.ActionRole)
        layout = QVBoxLayout(self)
        for widget in (headline, self._summary, self._details, buttons):
            layout.addWidget(widget)
        self.setMinimumWidth(min(self.fontMetrics().averageCharWidth() * 60, room.width() * 3 // 4))
        self._count = 0

    def add(self, report: ErrorReport) -> None:
        """Show `report`; after the first one, only in the details."""
        self._count += 1
        self._details.appendPlainText("\n" + report.traceback)
        if self._count == 1:
            self._summary.setText(report.summary)
            self._first_summary = report.summary
        else:
            others = self.tr("Other errors followed: %n", "", self._count - 1)
            self._summary.setText(f"{self._first_summary}\n{others}")

    @Slot()
    def _toggle_details(self) -> None:
        self._details.setVisible(self._details.isHidden())
        self._show_details.setText(self.tr("Show details") if self._details.isHidden() else self.tr("Hide details"))
        self.adjustSize()

    @Slot()
    def _copy_details(self) -> None:
        QGuiApplication.clipboard().setText(self._details.toPlainText())


def log_file() -> Path:
    """Return the file that errors are logged to."""
    folder = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.AppLocalDataLocation)
    return Path(folder) / "convviz.log"


class _LogFileHandler(RotatingFileHandler):
    """A log file that is given up silently when it cannot be written: there is nowhere else to say so."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def _log_handlers() -> list[logging.Handler]:
    handlers: list[logging.Handler] = []
    try:
        log_file().parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_LogFileHandler(log_file(), maxBytes=1_000_000, backupCount=1, encoding="utf-8", delay=True))
    except OSError:
        pass
    if sys.stderr is not None:  # pythonw has none
        to_terminal = logging.StreamHandler()
        to_terminal.setLevel(logging.WARNING)
        handlers.append(to_terminal)
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handlers


def _log_qt_message(kind: QtMsgType, _context: QMessageLogContext, message: str) -> None:
    LOGGER.getChild("qt").log(_QT_LEVELS[kind], "%s", message)


def _environment() -> str:
    return f"convviz {__version__}, Python {platform.python_version()}, Qt {qVersion()}, {platform.platform()}"
