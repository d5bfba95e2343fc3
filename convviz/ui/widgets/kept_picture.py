"""A picture of something that is painted often and changes seldom."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable

from PySide6.QtCore import QSizeF, Qt
from PySide6.QtGui import QPainter, QPixmap


class KeptPicture:
    """Keeps the last picture that was painted, for as long as its key stays the same."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._picture = QPixmap()

    def get(self, key: Hashable, size: QSizeF, ratio: float, paint: Callable[[QPainter], object]) -> QPixmap:
        """Return what ``paint`` paints on ``size`` px, on a screen with ``ratio`` pixels a px."""
        key = (key, size.width(), size.height(), ratio)
        if key != self._key:
            self._picture = QPixmap(math.ceil(size.width() * ratio), math.ceil(size.height() * ratio))
            self._key = key
            if self._picture.isNull():  # there is no room
                return self._picture
            self._picture.setDevicePixelRatio(ratio)
            self._picture.fill(Qt.GlobalColor.transparent)
            painter = QPainter(self._picture)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            paint(painter)
            painter.end()
        return self._picture
