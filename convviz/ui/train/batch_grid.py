"""The training batch as the network sees it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSize
from PySide6.QtWidgets import QWidget

from convviz.ui import theme
from convviz.ui.widgets.card import Card, Hint
from convviz.ui.widgets.mosaic import Mosaic
from convviz.ui.widgets.tool_row import Heading


class BatchGrid(Card):
    """Shows the pictures of a batch with their labels, as large as all have room."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._heading = Heading(self.tr("Training batch"))
        self.pictures = Mosaic(wrapped=True, fits=True)
        self.pictures.setAccessibleName(self.tr("Training batch"))
        self.pictures.setToolTip(self.tr("The pictures of one batch, augmented as they are trained on."))
        self._hint = Hint(self.tr("The next batch that is trained on appears here."))
        self.add(self._hint, 1)
        self.add(self._heading)
        self.add(self.pictures, 1)
        self._heading.hide()
        self.pictures.hide()

    def show_batch(self, images_BCHW: NDArray[np.uint8], labels_B: NDArray[np.int64], classes: Sequence[str]) -> None:
        """Show the pictures (B, 3 or 1, H, W) of a batch and the names of their classes (B,)."""
        self._hint.hide()
        self._heading.show()
        self.pictures.show()
        self._heading.setText(self.tr("Training batch of {count}").format(count=len(labels_B)))
        self.pictures.set_pictures(images_BCHW, [classes[label] for label in labels_B])

    def minimumSizeHint(self) -> QSize:
        """Return a size in which a few pictures can be seen."""
        return QSize(round(30 * theme.unit()), round(24 * theme.unit()))
