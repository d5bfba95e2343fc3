"""Which number the strongest colour of maps and kernels stands for."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from convviz.core import display

EACH, LAYER, FIXED = "each", "layer", "fixed"


def own_levels(maps_CHW: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the largest finite |value| of each map (C, 1, 1), 1 where there is none or it is 0."""
    levels = np.abs(maps_CHW).max(axis=(1, 2), initial=0.0, keepdims=True)
    if not np.isfinite(levels).all():
        levels = np.array([display.signed_levels(one) for one in maps_CHW], maps_CHW.dtype)[:, None, None]
    return np.where(levels > 0, levels, 1)


class ColourScope:
    """Chooses levels by map, by layer, or as they were when a layer was seen first."""

    def __init__(self) -> None:
        self.kind = LAYER
        self._first: dict[Hashable, float] = {}

    def forget(self) -> None:
        """Let every layer be seen for the first time again."""
        self._first.clear()

    def level(self, layer: Hashable, values: NDArray[np.floating]) -> float | None:
        """Return the level of a layer's values (any shape), or None where each map has its own."""
        now = display.signed_levels(values)
        first = self._first.setdefault(layer, now)
        if self.kind == EACH:
            return None
        return first if self.kind == FIXED else now
