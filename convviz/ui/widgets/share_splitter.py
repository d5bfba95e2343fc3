"""Two parts above each other that share the height."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSplitter, QWidget

from convviz.ui import theme


class ShareSplitter(QSplitter):
    """Divides its height by a rule until its user moves the handle; then it stays as it was moved."""

    def __init__(self, upper: QWidget, lower: QWidget, lower_units: Callable[[float], float]) -> None:
        """Give the lower part ``lower_units(height)`` of the height, both in spacing units."""
        super().__init__(Qt.Orientation.Vertical)
        self._lower_units = lower_units
        self._moved = False
        self.setChildrenCollapsible(False)
        self.addWidget(upper)
        self.addWidget(lower)
        self.splitterMoved.connect(self._on_moved)
        self.setHandleWidth(round(theme.unit()))

    @Slot()
    def _on_moved(self) -> None:
        self._moved = True

    @Slot()
    def share(self) -> None:
        """Divide the height by the rule, unless the handle was moved."""
        if not self._moved:
            units = self.height() / theme.unit()
            lower = self._lower_units(units)
            self.setSizes([round(100 * (units - lower)), round(100 * lower)])

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Divide the new height."""
        super().resizeEvent(event)
        self.share()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and self.count() == 2:
            self.setHandleWidth(round(theme.unit()))
            self.share()
