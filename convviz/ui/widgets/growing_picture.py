"""A picture of lines that grow to the right: only what is new of them is painted."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSizeF
from PySide6.QtGui import QPainter, QPixmap

from convviz.ui.widgets.kept_picture import KeptPicture

Values = npt.NDArray[np.float64]


class GrowingPicture:
    """Keeps what it painted last: a ground, and lines on it."""

    def __init__(self) -> None:
        self._kept_ground = KeptPicture()
        self._ground = QPixmap()
        self._picture = QPixmap()
        self._lines: Sequence[Values] = ()

    def get(
        self,
        key: Hashable,
        size: QSizeF,
        ratio: float,
        paint_ground: Callable[[QPainter], object],
        lines: Sequence[Values],
        paint_lines: Callable[[QPainter, float], object],
        reach: float,
    ) -> QPixmap:
        """Return the ground with the lines on it.

        Args:
            key: stands for all that is seen but the points of the lines.
            size: in px.
            ratio: pixels a px on the screen.
            paint_ground: paints what lies below the lines.
            lines: the points (2, N) px of each line, from left to right.
            paint_lines: paints the lines from an x on; what lies left of it is not seen.
            reach: how far from its points a line is seen, px.

        """
        ground = self._kept_ground.get(key, size, ratio, paint_ground)
        if ground.cacheKey() == self._ground.cacheKey():
            changed = _first_change(self._lines, lines)
        else:
            changed, self._picture = 0.0, ground.copy()
        self._ground, self._lines = ground, lines
        if changed < math.inf:
            first = max(0, math.floor((changed - reach) * ratio))  # a whole pixel
            strip = QRectF(first, 0, ground.width() - first, ground.height())
            left = QPointF(first / ratio, 0)
            painter = QPainter(self._picture)
            painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
            painter.drawPixmap(left, ground, strip)
            painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceOver)
            painter.setClipRect(QRectF(left, strip.size() / ratio))
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            paint_lines(painter, left.x())
            painter.end()
        return self._picture


def _first_change(before: Sequence[Values], after: Sequence[Values]) -> float:
    """Return the least x from which on lines (2, N) differ; inf if they do not."""
    if len(before) != len(after):
        return 0.0
    return min((_first_difference(*pair) for pair in zip(before, after, strict=True)), default=math.inf)


def _first_difference(before: Values, after: Values) -> float:
    count = min(before.shape[1], after.shape[1])
    differs = (before[:, :count] != after[:, :count]).any(axis=0)
    equal = int(differs.argmax()) if differs.any() else count
    if equal == before.shape[1] == after.shape[1]:
        return math.inf
    return float(after[0, equal - 1]) if equal else 0.0
