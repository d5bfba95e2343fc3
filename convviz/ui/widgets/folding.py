"""Parts beside each other where there is room, else below each other."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QWidget

from convviz.ui import theme


class FoldingRow(QWidget):
    """Lays its parts out in a row from ``units`` of width on, and in a column below that."""

    def __init__(self, units: float, *parts: tuple[QWidget, int]) -> None:
        """Make a row of parts, each with its stretch."""
        super().__init__()
        self._units = units
        self._box = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._box.setContentsMargins(0, 0, 0, 0)
        for part, stretch in parts:
            self._box.addWidget(part, stretch)
        self._fold()

    def _fold(self) -> None:
        unit = theme.unit()
        self._box.setSpacing(round(unit))
        is_wide = self.width() >= self._units * unit
        self._box.setDirection(QBoxLayout.Direction.LeftToRight if is_wide else QBoxLayout.Direction.TopToBottom)

    def minimumSizeHint(self) -> QSize:
        """Return the width that a column needs, and the height that the parts need as they are now."""
        parts = [item.widget() for k in range(self._box.count()) if (item := self._box.itemAt(k)) is not None]
        width = max(part.minimumSizeHint().width() for part in parts if part is not None)
        return QSize(width, self._box.minimumSize().height())

    def heightForWidth(self, width: int) -> int:
        """Return the height that is needed at least, where a scroll area would else take the one that is wished for."""
        return self._box.minimumHeightForWidth(width)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fold to the new width."""
        self._fold()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_box"):
            self._fold()
