"""The bar at the top of the window: the name, the pages and the tools."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QWidget

from convviz.resources import resource
from convviz.ui import theme
from convviz.ui.actions import Action
from convviz.ui.widgets.bar import Bar
from convviz.ui.widgets.buttons import FlatButton, Kind

NAME_UNITS = 90
BAR_UNITS, TOOL_UNITS = 42, 4.3
"""Width of the bar without its tools, and of a tool, in spacing units."""


class TopBar(Bar):
    """The bar at the top: the name, the pages, and tools for the whole window; what has no room goes into a menu."""

    LAB_TOOLS = ("undo", "redo", "copy", "paste", "zoom_out", "zoom_in", "fit")
    TOOLS = (*LAB_TOOLS, "smaller", "larger", "theme")

    def __init__(self, actions: dict[str, Action], parent: QWidget | None = None) -> None:
        super().__init__(Qt.Edge.TopEdge, parent)
        self._logo = QLabel(self)
        self._name = QLabel("convviz", self)
        self._tools = [FlatButton.for_action(actions[name], kind=Kind.PLAIN) for name in self.TOOLS]
        self._shows_lab_tools = True
        self._menu = QMenu(self)
        self._more = FlatButton("more", kind=Kind.PLAIN)
        self._more.setToolTip(self.tr("More actions"))
        self._more.setAccessibleName(self.tr("More actions"))
        self._more.clicked.connect(self._open_menu)
        self._row = QHBoxLayout(self)
        self._row.addWidget(self._logo)
        self._row.addWidget(self._name)
        self._row.addWidget(FlatButton.for_action(actions["controls"], kind=Kind.PLAIN))
        for page in ("page_lab", "page_train", "page_inspect"):
            self._row.addWidget(FlatButton.for_action(actions[page], with_text=True, kind=Kind.PLAIN))
        self._row.addStretch(1)
        for button in (*self._tools, self._more):
            self._row.addWidget(button)
        self.rescale()

    def minimumSizeHint(self) -> QSize:
        """Return the least size: pages and the menu."""
        return QSize(round(42 * theme.unit()), super().minimumSizeHint().height())

    def show_lab_tools(self, on: bool) -> None:
        """Show or leave out the tools that only the Lab has."""
        self._shows_lab_tools = on
        self.fold()

    def fold(self) -> None:
        """Leave out the name, then the tools that have no room; those go into the menu."""
        units = self.width() / theme.unit()
        self._name.setVisible(units >= NAME_UNITS)
        room = max(0, int((units - BAR_UNITS) / TOOL_UNITS))
        tools = self._tools if self._shows_lab_tools else self._tools[len(self.LAB_TOOLS) :]
        folded = tools[: max(0, len(tools) - room)]
        for button in self._tools:
            button.setVisible(button in tools and button not in folded)
        self._more.setVisible(bool(folded))
        self._menu.clear()
        self._menu.addActions([button.defaultAction() for button in folded])

    def _open_menu(self) -> None:
        self._menu.popup(self._more.mapToGlobal(self._more.rect().bottomLeft()))

    def rescale(self) -> None:
        """Follow the font."""
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
        self.fold()
