"""A message above the work, and buttons that do something about it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from convviz.ui import theme
from convviz.ui.widgets.buttons import FlatButton, Kind
from convviz.ui.widgets.info_bar import InfoBar

Remedy = tuple[str, Callable[[], None]]
"""What a button says, and what it does."""


class OfferBar(QWidget):
    """An `InfoBar` with up to two remedies. It takes no room while empty."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.info_bar = InfoBar()
        self.remedy = FlatButton(text=" ", kind=Kind.PRIMARY)
        self.other_remedy = FlatButton(text=" ")
        self._remedies: tuple[Remedy, ...] = ()
        self._row = QHBoxLayout(self)
        self._row.addWidget(self.info_bar, 1)
        for place, button in enumerate(self._buttons):
            button.hide()
            button.clicked.connect(partial(self._use, place))
            self._row.addWidget(button)
        self._rescale()

    @property
    def _buttons(self) -> tuple[FlatButton, FlatButton]:
        return self.remedy, self.other_remedy

    @property
    def message(self) -> str:
        """The message shown, or nothing."""
        return self.info_bar.message

    def show_message(self, message: str, *remedies: Remedy) -> None:
        """Show a message, and for each remedy a button."""
        self.info_bar.show_message(message)
        self._remedies = remedies
        for place, button in enumerate(self._buttons):
            button.setVisible(place < len(remedies))
            if place < len(remedies):
                text, _ = remedies[place]
                button.setText(text)
                button.setAccessibleName(text)
                button.setToolTip(self.tr("Do this about what the message says."))

    def clear(self) -> None:
        """Take the message away."""
        self.info_bar.clear()
        for button in self._buttons:
            button.hide()

    def _use(self, place: int) -> None:
        _, do = self._remedies[place]
        self.clear()
        do()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_row"):
            self._rescale()

    def _rescale(self) -> None:
        unit = theme.unit()
        self._row.setContentsMargins(round(2 * unit), 0, round(2 * unit), 0)
        self._row.setSpacing(round(unit))
