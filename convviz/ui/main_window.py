"""The main window: a table of contents. It holds the pages, the bar above them and what concerns them all."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QCloseEvent, QGuiApplication, QPainter, QPaintEvent, QPen, QPixmap, QResizeEvent
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLabel, QMainWindow, QMenu, QVBoxLayout, QWidget

from convviz.resources import resource
from convviz.ui import theme
from convviz.ui.actions import WINDOW_ACTIONS, Action, make_actions
from convviz.ui.lab.page import LabPage
from convviz.ui.settings import Settings
from convviz.ui.widgets.buttons import FlatButton, Kind

SCALE_STEPS = (0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
FIRST_SIZE = QSize(1280, 800)
NAME_UNITS = 90
BAR_UNITS, TOOL_UNITS = 28, 4.3
"""Width of the bar without its tools, and of a tool, in spacing units."""


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

    def open_picture(self, path: Path) -> None:
        """Use a picture file as the Lab's input."""
        self.lab.open_picture(path)

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
        self.lab.player.stop()
        self.lab.save()
        self._settings.window_geometry = self.saveGeometry()
        self._settings.save()
        super().closeEvent(event)


class TopBar(QWidget):
    """The bar at the top: the name, the pages, and tools for the whole window; what has no room goes into a menu."""

    TOOLS = ("undo", "redo", "copy", "paste", "zoom_out", "zoom_in", "fit", "smaller", "larger", "theme")

    def __init__(self, actions: dict[str, Action], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._logo = QLabel(self)
        self._name = QLabel("convviz", self)
        self._tools = [FlatButton.for_action(actions[name], kind=Kind.PLAIN) for name in self.TOOLS]
        self._menu = QMenu(self)
        self._more = FlatButton("more", kind=Kind.PLAIN)
        self._more.setToolTip(self.tr("More actions"))
        self._more.setAccessibleName(self.tr("More actions"))
        self._more.clicked.connect(self._open_menu)
        self._row = QHBoxLayout(self)
        self._row.addWidget(self._logo)
        self._row.addWidget(self._name)
        self._row.addWidget(FlatButton.for_action(actions["controls"], kind=Kind.PLAIN))
        self._row.addWidget(FlatButton.for_action(actions["page_lab"], with_text=True, kind=Kind.PLAIN))
        self._row.addStretch(1)
        for button in (*self._tools, self._more):
            self._row.addWidget(button)
        self._rescale()

    def minimumSizeHint(self) -> QSize:
        """Return the least size: pages and the menu."""
        return QSize(round(40 * theme.unit()), super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the bar's surface."""
        painter = QPainter(self)
        colors = theme.colors(self.palette())
        painter.fillRect(self.rect(), colors.surface)
        painter.setPen(QPen(colors.border, 1))
        painter.drawLine(0, self.height() - 1, self.width(), self.height() - 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fold what has no room."""
        self._fold()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_row"):
            self._rescale()
        super().changeEvent(event)

    def _fold(self) -> None:
        """Leave out the name, then the tools that have no room; those go into the menu."""
        units = self.width() / theme.unit()
        self._name.setVisible(units >= NAME_UNITS)
        room = max(0, int((units - BAR_UNITS) / TOOL_UNITS))
        folded = self._tools[: max(0, len(self._tools) - room)]
        for button in self._tools:
            button.setVisible(button not in folded)
        self._more.setVisible(bool(folded))
        self._menu.clear()
        self._menu.addActions([button.defaultAction() for button in folded])

    def _open_menu(self) -> None:
        self._menu.popup(self._more.mapToGlobal(self._more.rect().bottomLeft()))

    def _rescale(self) -> None:
        unit = theme.unit()
        self._row.setContentsMargins(round(2 * unit), round(0.75 * unit), round(2 * unit), round(0.75 * unit))
        self._row.setSpacing(round(0.5 * unit))
        self._name.setFont(theme.font(1.25, bold=True))
        ratio = self.devicePixelRatioF()
        side = 3 * unit
        logo = QPixmap(round(side * ratio), round(side * ratio))
        logo.fill(Qt.GlobalColor.transparent)
        painter = QPainter(logo)
        QSvgRenderer(str(resource("icons/app.svg"))).render(painter)
        painter.end()
        logo.setDevicePixelRatio(ratio)
        self._logo.setPixmap(logo)
        self._fold()
