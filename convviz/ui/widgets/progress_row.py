"""A line that says what is being computed, how far it is, and lets it be cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from convviz.ui import theme
from convviz.ui.widgets.buttons import FlatButton

if TYPE_CHECKING:
    from convviz.nn.source import DataProgress


class _Bar(QWidget):
    """A flat progress bar that follows the font."""

    def __init__(self) -> None:
        super().__init__()
        self.share = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(round(20 * theme.unit()), round(1.5 * theme.unit()))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        unit = theme.unit()
        groove = QRectF(self.rect()).adjusted(0, 0.4 * unit, 0, -0.4 * unit)
        for width, color in (
            (groove.width(), theme.colors(self.palette()).border),
            (self.share * groove.width(), self.palette().color(QPalette.ColorRole.Highlight)),
        ):
            painter.setBrush(color)
            painter.drawRoundedRect(
                QRectF(groove.left(), groove.top(), width, groove.height()), 0.35 * unit, 0.35 * unit
            )


class ProgressRow(QWidget):
    """Hidden while nothing is being computed; after a cancel it offers to go on."""

    cancelled = Signal()
    asked_again = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label, self._bar = QLabel(), _Bar()
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._cancel = FlatButton("close", self.tr("Cancel"))
        self._cancel.setToolTip(self.tr("Stop computing; everything else stays as it is."))
        self._cancel.clicked.connect(self.cancelled)
        self._again = FlatButton("play", self.tr("Compute"))
        self._again.setToolTip(self.tr("Compute what is missing."))
        self._again.clicked.connect(self.asked_again)
        for button in (self._cancel, self._again):
            button.setAccessibleName(button.text())
        self._row = QHBoxLayout(self)
        for widget, stretch in ((self._label, 0), (self._bar, 1), (self._cancel, 0), (self._again, 0)):
            self._row.addWidget(widget, stretch)
        self._rescale()
        self.hide()

    def show_progress(self, text: str, share: float) -> None:
        """Show what is being computed, and how much of it is done (0 to 1)."""
        self._show(text, running=True)
        self._bar.share = share
        self._bar.update()

    def show_data(self, progress: DataProgress) -> None:
        """Show what is being prepared."""
        self.show_progress(progress_text(progress), progress.done / progress.total if progress.total else 0.0)

    def show_cancelled(self, text: str) -> None:
        """Show what was not computed, and offer to do so."""
        self._show(text, running=False)

    def _show(self, text: str, running: bool) -> None:
        self._label.setText(text)
        self.setAccessibleName(text)
        for widget, on in ((self._bar, running), (self._cancel, running), (self._again, not running)):
            widget.setVisible(on)
        self._row.setStretchFactor(self._label, 0 if running else 1)
        self.show()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_row"):
            self._rescale()

    def _rescale(self) -> None:
        unit = theme.unit()
        self._row.setContentsMargins(round(2 * unit), round(0.5 * unit), round(2 * unit), round(0.5 * unit))
        self._row.setSpacing(round(1.5 * unit))


def progress_text(progress: DataProgress) -> str:
    """Return what is being prepared, and how much of it is done where that is known."""
    what = QCoreApplication.translate("Data", progress.what)
    if not progress.total:
        return QCoreApplication.translate("Data", "{what}…").format(what=what)
    percent = int(100 * progress.done / progress.total)
    return QCoreApplication.translate("Data", "{what}… {percent} %").format(what=what, percent=percent)
