"""A calm line above the work that says what was wrong; it stays until it is dismissed or the next thing goes well."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, Qt
from PySide6.QtGui import QAccessible, QAccessibleEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QWidget

from convviz.ui import theme
from convviz.ui.widgets.buttons import FlatButton, Kind


class InfoBar(QFrame):
    """Shows one message as plain text. It has no text of its own and takes no room while empty."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = QLabel(self)
        self._label.setWordWrap(True)
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._close = FlatButton("close", kind=Kind.PLAIN, parent=self)
        self._close.setToolTip(self.tr("Dismiss"))
        self._close.setAccessibleName(self.tr("Dismiss the message"))
        self._close.clicked.connect(self.clear)
        self._row = QHBoxLayout(self)
        self._row.addWidget(self._label, 1)
        self._row.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        self._rescale()
        self.hide()

    @property
    def message(self) -> str:
        """The message shown, or nothing."""
        return self._label.text()

    def show_message(self, text: str) -> None:
        """Show a message in place of the last one, and tell screen readers."""
        self._label.setText(text)
        self.setAccessibleName(text)
        self.show()
        QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.Alert))

    def clear(self) -> None:
        """Take the message away."""
        self._label.clear()
        self.hide()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint a card with the error colour at its edge."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors, unit = theme.colors(self.palette()), theme.unit()
        box = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.setPen(QPen(colors.error, 1.5))
        painter.setBrush(colors.surface)
        painter.drawRoundedRect(box, unit, unit)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colors.error)
        painter.drawRoundedRect(QRectF(box.left(), box.top(), unit, box.height()), unit / 2, unit / 2)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_row"):
            self._rescale()
        super().changeEvent(event)

    def _rescale(self) -> None:
        unit = theme.unit()
        self._row.setContentsMargins(round(2.5 * unit), round(0.75 * unit), round(unit), round(0.75 * unit))
