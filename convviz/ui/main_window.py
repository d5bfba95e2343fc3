"""The main window: a table of contents. It holds the pages, the bar above them and what concerns them all."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QCloseEvent, QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QApplication, QMainWindow, QVBoxLayout, QWidget

from convviz.ui import theme
from convviz.ui.actions import WINDOW_ACTIONS, make_actions
from convviz.ui.lab.page import LabPage
from convviz.ui.settings import Settings
from convviz.ui.top_bar import TopBar

SCALE_STEPS = (0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
FIRST_SIZE = QSize(1280, 800)


class MainWindow(QMainWindow):
    """The application's window."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.setWindowTitle("convviz")
        self._actions = make_actions(WINDOW_ACTIONS, self)
        self.lab = LabPage(settings, self)
        self._bar = TopBar(self._actions | self.lab.actions_by_name, self)
        middle = QWidget(self)
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._bar)
        column.addWidget(self.lab, 1)
        self.setCentralWidget(middle)
        self._connect()
        self._restore()
        self.lab.setFocus()

    def open_file(self, path: Path) -> None:
        """Open a picture or a stack in the Lab."""
        self.lab.open_file(path)

    def _connect(self) -> None:
        act = self._actions
        act["page_lab"].setChecked(True)
        act["page_lab"].triggered.connect(self._show_lab)
        act["controls"].setChecked(True)
        act["controls"].triggered.connect(self.lab.show_controls)
        act["theme"].triggered.connect(self._switch_theme)
        act["larger"].triggered.connect(lambda: self._step_scale(1))
        act["smaller"].triggered.connect(lambda: self._step_scale(-1))
        act["normal_size"].triggered.connect(lambda: self._set_scale(1.0))
        act["full_screen"].triggered.connect(self._switch_full_screen)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._on_system_scheme)

    def _show_lab(self) -> None:
        self._actions["page_lab"].setChecked(True)
        self.lab.setFocus()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Say on the controls button whether there was room for them."""
        super().resizeEvent(event)
        self._actions["controls"].setChecked(self.lab.shows_controls)

    # ---- look

    def _switch_theme(self) -> None:
        dark = not theme.is_dark(self.palette())
        chosen: theme.Mode = "dark" if dark else "light"
        self._settings.theme = "system" if dark == theme.system_is_dark() else chosen
        self._apply_theme()

    def _on_system_scheme(self) -> None:
        if self._settings.theme == "system":
            self._apply_theme()

    def _step_scale(self, direction: int) -> None:
        now = self._settings.scale
        wider = [step for step in SCALE_STEPS if (step - now) * direction > 1e-6]
        if wider:
            self._set_scale(min(wider, key=lambda step: abs(step - now)))

    def _set_scale(self, scale: float) -> None:
        self._settings.scale = scale
        self._apply_theme()

    def _apply_theme(self) -> None:
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        theme.apply(application, self._settings.theme, self._settings.scale)
        self._actions["controls"].setChecked(self.lab.shows_controls)

    def _switch_full_screen(self) -> None:
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    # ---- life

    def _restore(self) -> None:
        self.resize(FIRST_SIZE)
        self.restoreGeometry(self._settings.window_geometry)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember the window and the page."""
        self.lab.stop()
        self.lab.save()
        self._settings.window_geometry = self.saveGeometry()
        self._settings.save()
        super().closeEvent(event)
