"""The main window: a table of contents. It holds the pages, the bar above them and what concerns them all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QCloseEvent, QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QApplication, QMainWindow, QVBoxLayout, QWidget

from convviz.ui import theme
from convviz.ui.actions import WINDOW_ACTIONS, make_actions
from convviz.ui.lab.page import LabPage
from convviz.ui.settings import Settings
from convviz.ui.top_bar import TopBar
from convviz.ui.widgets.page_stack import PageStack

if TYPE_CHECKING:
    from convviz.nn.look import ForLab
    from convviz.ui.inspect.page import InspectPage
    from convviz.ui.inspect.session import LabUnit
    from convviz.ui.train.page import TrainPage

    Page = LabPage | TrainPage | InspectPage

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
        self._asks, self._closes_once_stopped = True, False
        self._train: TrainPage | None = None
        self._inspect: InspectPage | None = None
        self._pages = PageStack()
        self._pages.add(self.lab)
        self._bar = TopBar(self._actions | self.lab.actions_by_name, self)
        middle = QWidget(self)
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._bar)
        column.addWidget(self._pages, 1)
        self.setCentralWidget(middle)
        self._connect()
        self._restore()
        self.lab.setFocus()

    @property
    def train(self) -> TrainPage:
        """The Train page, made when first asked for."""
        if self._train is None:
            from convviz.ui.train.page import TrainPage

            self._train = TrainPage(self._settings, lambda: self.lab.model.state.stack, self)
            self._train.model.phase_changed.connect(self._close_once_stopped)
            self._train.lab_wanted.connect(self._open_trained)
            self._pages.add(self._train)
        return self._train

    @property
    def inspect(self) -> InspectPage:
        """The Inspect page, made when first asked for."""
        if self._inspect is None:
            from convviz.ui.inspect.page import InspectPage

            self._inspect = InspectPage(self._settings, self)
            self._inspect.lab_wanted.connect(self._show_in_lab)
            self._pages.add(self._inspect)
        return self._inspect

    @property
    def page(self) -> Page:
        """The page that is shown."""
        shown = self._pages.currentWidget()
        return next((page for page in (self._train, self._inspect) if page is not None and page is shown), self.lab)

    def show_page(self, page: Page) -> None:
        """Show a page, with its own tools in the bar."""
        self.lab.player.stop()
        self._pages.show_page(page)
        self._actions["page_lab"].setChecked(page is self.lab)
        self._actions["page_train"].setChecked(page is self._train)
        self._actions["page_inspect"].setChecked(page is self._inspect)
        self._actions["controls"].setChecked(page.shows_controls)
        self._bar.show_lab_tools(page is self.lab)
        page.setFocus()

    def open_file(self, path: Path) -> None:
        """Open a picture or a stack in the Lab."""
        self.show_page(self.lab)
        self.lab.open_file(path)

    def _open_trained(self, for_lab: ForLab) -> None:
        """Step a layer of the network that is trained in the Lab."""
        self.show_page(self.lab)
        self.lab.open_unit(for_lab.stack, for_lab.input, for_lab.current, (0, 0, 0))

    def _show_in_lab(self, unit: LabUnit) -> None:
        """Step a unit of an inspected network in the Lab."""
        self.show_page(self.lab)
        self.lab.open_unit(unit.for_lab.stack, unit.for_lab.input, unit.for_lab.current, unit.unit)

    def _connect(self) -> None:
        act = self._actions
        act["page_lab"].setChecked(True)
        act["page_lab"].triggered.connect(lambda: self.show_page(self.lab))
        act["page_train"].triggered.connect(lambda: self.show_page(self.train))
        act["page_inspect"].triggered.connect(lambda: self.show_page(self.inspect))
        act["controls"].setChecked(True)
        act["controls"].triggered.connect(self._show_controls)
        act["theme"].triggered.connect(self._switch_theme)
        act["larger"].triggered.connect(lambda: self._step_scale(1))
        act["smaller"].triggered.connect(lambda: self._step_scale(-1))
        act["normal_size"].triggered.connect(lambda: self._set_scale(1.0))
        act["full_screen"].triggered.connect(self._switch_full_screen)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._on_system_scheme)

    def _show_controls(self, on: bool) -> None:
        self.page.show_controls(on)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Say on the controls button whether there was room for them."""
        super().resizeEvent(event)
        self._actions["controls"].setChecked(self.page.shows_controls)

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
        self._actions["controls"].setChecked(self.page.shows_controls)

    def _switch_full_screen(self) -> None:
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    # ---- life

    def close_at_once(self) -> None:
        """Close without a question; a training that runs is stopped first, saved."""
        self._asks = False
        self.close()

    def _close_once_stopped(self) -> None:
        """Close if only a training was in the way; one that has failed shows why instead."""
        if self._closes_once_stopped and not self.train.model.is_running:
            self._closes_once_stopped = False
            if self.train.model.phase == "failed":
                self._asks = True
            else:
                self.close()

    def _restore(self) -> None:
        self.resize(FIRST_SIZE)
        self.restoreGeometry(self._settings.window_geometry)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember the window and the pages. A training that runs is stopped first, if its user wants that."""
        train = self._train
        if train is not None:
            if self._asks and train.must_ask_to_close:
                event.ignore()
                train.ask_to_close(self.close_at_once)
                return
            train.model.stop()
            if train.model.is_running:
                event.ignore()
                self._closes_once_stopped = True
                return
            train.stop()
            train.save()
        if self._inspect is not None:
            self._inspect.stop()
        self.lab.stop()
        self.lab.save()
        self._settings.window_geometry = self.saveGeometry()
        self._settings.save()
        super().closeEvent(event)
