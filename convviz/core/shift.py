"""What a small shift of the input changes: convolution moves its output along, pooling evens some of it out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from convviz.core.explain import FloatArray
from convviz.core.layers import AvgPool2d, Conv2d, MaxPool2d
from convviz.core.window import Axis, BoolArray, Pair

Fill: TypeAlias = Literal["zeros", "wrap"]
"""What comes in at the edge: zeros, or the cells that left at the opposite edge."""

Number = TypeVar("Number", bound=np.generic)

ROUNDING = 64 * np.finfo(np.float64).eps
"""Results that differ by less than this share of what was summed up differ by rounding only."""


def shifted(x_CHW: npt.NDArray[Number], down: int, right: int, fill: Fill = "zeros") -> npt.NDArray[Number]:
    """Return maps (…, H, W) moved by whole cells; negative numbers move up and left."""
    if fill == "wrap":
        return np.roll(x_CHW, (down, right), axis=(-2, -1))
    height, width = x_CHW.shape[-2:]
    result = np.zeros_like(x_CHW)
    result[..., _kept(height, down), _kept(width, right)] = x_CHW[..., _kept(height, -down), _kept(width, -right)]
    return result


def _kept(size: int, shift: int) -> slice:
    """Return the cells of an axis to which a shift moves cells that were there before."""
    return slice(max(0, shift), max(0, size + min(0, shift)))


@dataclass(frozen=True, eq=False)
class ShiftEffect:
    """Maps before and after the input was shifted. Arrays are never written again.

    Attributes:
        before: the maps (C, H, W) of the input as it was.
        after: the maps (C, H, W) of the shifted input.
        fill: what came in at the input's edge.
        move: by how many cells (down, right) the shift moves these maps; None where some stride does not divide it.
        inside_rows: rows (H,) whose windows read, before and after, neither padding nor what came in or went out.
        inside_cols: columns (W,) of the same kind. On both, `after` is `before` moved, whatever the input.
        rounding: differences up to this are rounding errors.

    """

    before: FloatArray
    after: FloatArray
    fill: Fill
    move: Pair | None
    inside_rows: BoolArray
    inside_cols: BoolArray
    rounding: float = 0.0

    @cached_property
    def difference(self) -> FloatArray:
        """After − before, (C, H, W), with rounding errors as 0."""
        with np.errstate(invalid="ignore", over="ignore"):
            difference: FloatArray = self.after - self.before
        difference[np.abs(difference) <= self.rounding] = 0
        return difference

    @property
    def changed(self) -> BoolArray:
        """The cells (C, H, W) that have another value now."""
        changed: BoolArray = self.difference != 0
        return changed

    @property
    def num_changed(self) -> int:
        """How many cells have another value now."""
        return int(np.count_nonzero(self.difference))

    @property
    def share_changed(self) -> float:
        """The changed cells' share of all, 0 to 1."""
        return self.num_changed / self.difference.size

    @cached_property
    def just_moved(self) -> BoolArray:
        """The cells (C, H, W) that equal the old map moved by `move`; where zeros came in, there is no old cell."""
        if self.move is None:
            return np.zeros(self.after.shape, bool)
        has_old = shifted(np.ones(self.after.shape, bool), *self.move, self.fill)
        return has_old & (np.abs(self.after - shifted(self.before, *self.move, self.fill)) <= self.rounding)

    @property
    def inside(self) -> BoolArray:
        """The cells (H, W) away from every border, where the old map is moved whatever the input."""
        return self.inside_rows[:, None] & self.inside_cols

    def through(self, layer: Conv2d | MaxPool2d | AvgPool2d) -> ShiftEffect:
        """Return the effect on the output of a layer that reads these maps.

        Raises:
            ShapeError: the maps do not fit the layer.

        """
        axes = layer.axes(self.before.shape)
        move = self.move
        if move is not None:
            whole = all(by % axis.stride == 0 for by, axis in zip(move, axes, strict=True))
            move = (move[0] // axes[0].stride, move[1] // axes[1].stride) if whole else None
        rows, cols = (
            _reads_only(axis, inside) if move is not None else np.zeros(axis.output_size, bool)
            for axis, inside in zip(axes, (self.inside_rows, self.inside_cols), strict=True)
        )
        gain, added = 1.0, 0.0
        if isinstance(layer, Conv2d):
            gain = float(np.abs(layer.weight).sum(axis=(1, 2, 3)).max())
            added = 0.0 if layer.bias is None else float(np.abs(layer.bias).max())
        summed_up = gain * float(np.abs(self.before).max()) + added
        rounding = gain * self.rounding + ROUNDING * summed_up
        return ShiftEffect(layer.forward(self.before), layer.forward(self.after), self.fill, move, rows, cols, rounding)


def shift_input(x_CHW: FloatArray, down: int, right: int, fill: Fill = "zeros") -> ShiftEffect:
    """Return the effect of a shift on the input itself: (C, H, W), finite numbers in float64."""
    rows, cols = (np.zeros(size, bool) for size in x_CHW.shape[1:])
    rows[_kept(rows.size, down)] = True
    cols[_kept(cols.size, right)] = True
    return ShiftEffect(x_CHW, shifted(x_CHW, down, right, fill), fill, (down, right), rows, cols)


def _reads_only(axis: Axis, cells: BoolArray) -> BoolArray:
    """Return the positions whose window reads only some of an axis's cells, and no padding."""
    real = axis.is_inside(axis.taps)
    reads_only: BoolArray = np.all(real & cells[np.where(real, axis.taps, 0)], axis=1)
    return reads_only


def only_map(conv: Conv2d, index: int) -> Conv2d:
    """Return the convolution that computes one map of `conv` alone, from the same input."""
    channels_read = conv.weight.shape[1]
    first = index // (conv.out_channels // conv.groups) * channels_read
    weight = np.zeros((1, conv.in_channels, *conv.kernel_size), dtype=conv.weight.dtype)
    weight[0, first : first + channels_read] = conv.weight[index]
    bias = None if conv.bias is None else conv.bias[index : index + 1]
    return conv.changed(out_channels=1, groups=1, weight=weight, bias=bias)
