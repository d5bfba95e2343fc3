"""A panel of controls at the left of a page, and a page that shares its width between the two."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPen, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from convviz.ui import theme

MOST_UNITS = 60.0
"""The greatest width of a panel in spacing units, whatever word it holds."""


class SidePanel(QScrollArea):
    """Parts below each other, which scroll where they have no room, with an edge towards what stands at the right."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._width = 0
        self._panel = QWidget(self)
        self._column = QVBoxLayout(self._panel)
        self.setWidget(self._panel)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._panel.setAutoFillBackground(True)
        self._panel.setBackgroundRole(QPalette.ColorRole.Base)
        self._panel.installEventFilter(self)
        self._rescale()

    def set_parts(self, *parts: QWidget, stretched: QWidget | None = None) -> None:
        """Take the parts, of which one may be stretched over the height that the others leave."""
        for part in parts:
            self._column.addWidget(part, int(part is stretched))
        if stretched is None:
            self._column.addStretch(1)

    def sizeHint(self) -> QSize:
        """Return a width at which labels and fields stand in one line; it only grows, so that nothing beside moves."""
        bar = self.verticalScrollBar().sizeHint().width()
        most = round(MOST_UNITS * theme.unit())
        self._width = max(self._width, min(most, self._panel.minimumSizeHint().width() + bar))
        return QSize(self._width, round(80 * theme.unit()))

    def minimumSizeHint(self) -> QSize:
        """Return the same width, and a height that scrolls."""
        return QSize(self.sizeHint().width(), round(10 * theme.unit()))

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_column"):
            self._rescale()
        super().changeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the edge."""
        super().paintEvent(event)
        painter = QPainter(self.viewport())
        painter.setPen(QPen(theme.colors(self.palette()).border, 1))
        right = self.viewport().width() - 1
        painter.drawLine(right, 0, right, self.viewport().height())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Tell the page when the panel needs another width."""
        if watched is self._panel and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def _rescale(self) -> None:
        unit = theme.unit()
        self._column.setContentsMargins(round(2 * unit), round(1.5 * unit), round(2 * unit), round(unit))
        self._column.setSpacing(round(unit))
        self._width = 0
        self.updateGeometry()


class PanelPage(QWidget):
    """A page with a panel of controls at the left of its content. Below a width they take turns."""

    def __init__(self, narrow_units: float, parent: QWidget | None = None) -> None:
        """Make an empty page; below ``narrow_units`` spacing units the two parts have no room beside each other."""
        super().__init__(parent)
        self._narrow_units = narrow_units
        self._controls_wanted: bool | None = None

    def set_parts(self, panel: QWidget, content: QWidget) -> None:
        """Take the two parts."""
        self._panel, self._content = panel, content
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(panel)
        row.addWidget(content, 1)

    def show_controls(self, on: bool | None) -> None:
        """Show the panel, hide it, or (None) show it where there is room for both."""
        self._controls_wanted = on
        narrow = self.width() < self._narrow_units * theme.unit()
        shown = on if on is not None else not narrow
        self._panel.setVisible(shown)
        self._content.setVisible(not (narrow and shown))
        self._panel.setFixedWidth(self.width() if narrow and shown else self._panel.sizeHint().width())

    @property
    def shows_controls(self) -> bool:
        """Whether the panel is shown."""
        return self._panel.isVisibleTo(self)

    def minimumSizeHint(self) -> QSize:
        """Return the least size, that without the panel, which gives way when it is reached."""
        return self._content.minimumSizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Make room."""
        super().resizeEvent(event)
        self.show_controls(self._controls_wanted)

    def event(self, event: QEvent) -> bool:
        """Give the panel the width that it asks for."""
        if event.type() in {QEvent.Type.LayoutRequest, QEvent.Type.FontChange} and hasattr(self, "_content"):
            self.show_controls(self._controls_wanted)
        return super().event(event)
