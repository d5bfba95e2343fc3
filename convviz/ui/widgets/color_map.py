"""Colour tables in the forms that painting needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QImage

from convviz.core import display

WHITE, BLACK = QColor(*display.WHITE_TEXT), QColor(*display.BLACK_TEXT)


@dataclass(frozen=True, eq=False)
class ColorMap:
    """A colour table: the colours by index, the text ink each one asks for, and the colours as Qt takes them."""

    lut: NDArray[np.uint8]  # (256, 3)
    white_ink: list[bool]
    argb: NDArray[np.uint32]  # (256,)

    def ink(self, index: int) -> QColor:
        """Return the text colour that can be read on a colour."""
        return WHITE if self.white_ink[index] else BLACK

    def pixels(self, index: NDArray[np.uint8]) -> NDArray[np.uint32]:
        """Return colour indices (H, W) as pixels, which Qt scales ten times faster than an indexed image."""
        return np.take(self.argb, index, mode="wrap")  # no index is out of range; unchecked it is twice as fast


def image_of(pixels: NDArray[np.uint32]) -> QImage:
    """Return the picture of pixels (H, W) 0xffRRGGBB. The array must outlive it."""
    height, width = pixels.shape
    return QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32)


@cache
def color_map(dark: bool, grey: bool = False) -> ColorMap:
    """Return the table for signed data in a theme, or for brightness."""
    lut = display.grey_lut() if grey else display.diverging_lut(dark)
    red, green, blue = lut.astype(np.uint32).T
    argb = 0xFF000000 | red << 16 | green << 8 | blue
    return ColorMap(lut, display.text_on(lut).tolist(), argb)
