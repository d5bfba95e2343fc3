"""Pictures of a data set with captions, a page at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from convviz.ui.widgets.mosaic import Mosaic
from convviz.ui.widgets.tool_row import Stepper, ToolRow

PAGE = 60

Pixels = NDArray[np.uint8]
Indices = NDArray[np.int64]


class PicturePages(QWidget):
    """Shows some pictures out of many; only those of the page that is seen are read."""

    picture_chosen = Signal(int)  # its index among all

    def __init__(self, name: str, *tools: QWidget) -> None:
        """Make empty pages; ``tools`` stand before what is said about the pictures."""
        super().__init__()
        self._images: Pixels = np.zeros((0, 1, 1, 1), np.uint8)
        self._indices: Indices = np.zeros(0, np.int64)
        self._caption: Callable[[int], str] = str
        self._words = QLabel()
        self._words.setTextFormat(Qt.TextFormat.PlainText)
        self._page = Stepper(self.tr("Page"), self.tr("Which page of pictures is shown."), first=1)
        self.pictures = Mosaic(wrapped=True)
        self.pictures.setAccessibleName(name)
        self.pictures.setToolTip(
            self.tr("A click or Return shows the feature maps of a picture; Ctrl with the wheel changes the size.")
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._tools = ToolRow(*tools, self._words, self._page)
        column.addWidget(self._tools)
        column.addWidget(self.pictures, 1)
        self._page.chosen.connect(self._show_page)
        self.pictures.activated.connect(self._on_activated)

    @property
    def shown(self) -> list[int]:
        """The indices of the pictures on this page."""
        first = (self._page.number - 1) * PAGE
        shown: list[int] = self._indices[first : first + PAGE].tolist()
        return shown

    def show_pictures(self, words: str, images: Pixels, indices: Indices, caption: Callable[[int], str]) -> None:
        """Show the pictures of some indices out of images (N, 3 or 1, H, W), with ``words`` about them all.

        The page stays the same where there still is one.
        """
        self._words.setText(words)
        self._images, self._indices, self._caption = images, indices, caption
        self._page.set_count(-(-len(indices) // PAGE), named=True)
        self._tools.set_tool_visible(self._page, len(indices) > PAGE)
        self._show_page()

    def show_first_page(self) -> None:
        """Go back to the first page."""
        self._page.show_number(1)
        self._show_page()

    @Slot()
    def _show_page(self) -> None:
        shown = self.shown
        self.pictures.set_pictures(self._images[shown], [self._caption(index) for index in shown])

    @Slot(int)
    def _on_activated(self, place: int) -> None:
        self.picture_chosen.emit(self.shown[place])
