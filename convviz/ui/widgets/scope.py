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
    """Chooses levels by map, by layer, or for each layer the one it had when that was asked for, or was seen next."""

    def __init__(self) -> None:
        self.kind = LAYER
        self._fixed: dict[Hashable, float] = {}

    def choose(self, kind: str) -> None:
        """Choose `EACH`, `LAYER` or `FIXED`, from now on."""
        self.kind = kind
        self.forget()

    def forget(self) -> None:
        """Let every layer be seen for the first time again."""
        self._fixed.clear()

    def level(self, layer: Hashable, values: NDArray[np.floating]) -> float | None:
        """Return the level of a layer's values (any shape), or None where each map has its own."""
        if self.kind == EACH:
            return None
        now = display.signed_levels(values)
        return self._fixed.setdefault(layer, now) if self.kind == FIXED else now
