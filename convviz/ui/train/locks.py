"""Controls that cannot be used for a while, and say why."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget


class Locks:
    """Disables its controls together; meanwhile their tooltips give the reason."""

    def __init__(self, reason: str) -> None:
        self._reason = reason
        self._tooltips: dict[QWidget, str] = {}

    def add(self, *widgets: QWidget) -> None:
        """Take controls, which have their tooltips already."""
        for widget in widgets:
            self._tooltips[widget] = widget.toolTip()

    def lock(self, on: bool) -> None:
        """Disable the controls, or enable them."""
        for widget, tooltip in self._tooltips.items():
            widget.setEnabled(not on)
            widget.setToolTip(self._reason if on else tooltip)
