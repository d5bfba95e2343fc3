import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget

ROUNDING = 4
"""Levels of a colour, of 255."""


class PaintCounter(QObject):
    """Counts the times that a widget was painted."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.count = 0
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Count what is painted."""
        self.count += event.type() == QEvent.Type.Paint
        return False


def look_alike(one: QImage, other: QImage) -> bool:
    """Whether two pictures differ by no more than Qt's rounding where painting is clipped."""
    first, second = (channels_of(image).astype(int) for image in (one, other))
    return first.shape == second.shape and bool((abs(first - second) <= ROUNDING).all())


def channels_of(image: QImage) -> NDArray[np.uint8]:
    """Return the colours (H, 4 W) of a picture."""
    plain = image.convertToFormat(QImage.Format.Format_ARGB32)
    return np.frombuffer(plain.constBits(), np.uint8).reshape(plain.height(), -1).copy()


def on_screen(window: QWidget) -> QImage:
    """Return what a window has painted so far, piece by piece."""
    return window.screen().grabWindow(window.winId()).toImage()
