"""The effective receptive field: how much each cell of the input really moves a unit.

After Luo, Li, Urtasun and Zemel, "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks",
2016: the gradient of the unit on the input, averaged over inputs.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from convviz.core.control import StopToken
from convviz.core.explain import FloatArray, Position
from convviz.core.layers import check_position, floating, times
from convviz.core.receptive_field import Region
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.core.window import ShapeError, integer
from convviz.nn.build import build

Heat = npt.NDArray[np.float64]

EXTENT_SHARE: Final = 0.95
"""The share of the gradient that the effective field's extent holds."""


@dataclass(frozen=True, eq=False)
class EffectiveField:
    """How much each input cell moves one unit, averaged over the inputs looked at so far.

    Attributes:
        heat: the unit's gradient on the input, absolute values summed over the input's channels, (H, W); not negative.
        region: what the unit sees in theory.
        done: inputs looked at.
        total: inputs to be looked at.

    """

    heat: Heat
    region: Region
    done: int
    total: int

    @property
    def vanishes(self) -> bool:
        """Whether no input cell moves the unit: a ReLU is shut on every input, say, or the unit sees padding only."""
        return not self.heat.any()

    @property
    def share_inside(self) -> float:
        """The share of the gradient inside the theoretical field: 1, but for rounding."""
        rows, cols = self.region.real_rows, self.region.real_cols
        inside = self.heat[rows.start : rows.stop, cols.start : cols.stop].sum()
        return 1.0 if self.vanishes else float(inside / self.heat.sum())

    @cached_property
    def extent(self) -> tuple[range, range]:
        """The rows and columns that hold 95 % of the gradient, see `extent_of`."""
        return extent_of(self.heat, EXTENT_SHARE)


def extent_of(heat: Heat, share: float) -> tuple[range, range]:
    """Return rows and columns that together hold at least `share` of `heat` (H, W), which is not negative.

    From the whole, the row or column at the edge that holds least is left out, again and again, as long as the rest
    holds enough: no edge of the result can be left out. `share` is more than 0. Both are empty if all of `heat` is 0.
    """
    top, left = 0, 0
    bottom, right = heat.shape
    held = heat.sum()
    needed = share * held
    if not held:
        return range(0), range(0)
    while True:
        edges = [
            heat[top, left:right],
            heat[bottom - 1, left:right],
            heat[top:bottom, left],
            heat[top:bottom, right - 1],
        ]
        sums = [edge.sum() for edge in edges]
        least = int(np.argmin(sums))
        held -= sums[least]
        if held < needed:
            return range(top, bottom), range(left, right)
        match least:
            case 0:
                top += 1
            case 1:
                bottom -= 1
            case 2:
                left += 1
            case _:
                right -= 1


def effective_field(
    stack: Stack, layer_index: int, position: Position, x: npt.ArrayLike, num_inputs: int, seed: int, token: StopToken
) -> Generator[EffectiveField, None, EffectiveField]:
    """Yield the effective receptive field of one unit after every input, and return the last.

    The first input is `x` (C, H, W); the others are normal noise with the mean and the standard deviation of `x`, drawn
    from `seed`. float32 is computed as float32, everything else as float64. Whether to stop is looked at before every
    input; the field then is that of the inputs done. What is wrong is raised with the first step.

    Args:
        stack: the layers, of which only those up to the unit's are built.
        layer_index: the unit's layer.
        position: the unit in that layer's output, (c, i, j) or (n,).
        x: the input that is looked at first.
        num_inputs: how many inputs to average over.
        seed: of the noise, 0 or more.
        token: asked whether to stop.

    Raises:
        IndexError: there is no such unit.
        ShapeError: `x` does not fit the stack, or the stack cannot be built.
        RefusalError: a gradient is not finite.

    """
    region = stack.input_region(layer_index, position[-2:])
    check_position(position, stack.shapes[layer_index + 1])
    total = integer(num_inputs, "num_inputs")
    first = floating(x)
    if first.shape != stack.input_shape:
        raise ShapeError(f"The input is {times(first.shape)}; this stack takes {times(stack.input_shape)}.")
    layers = range(layer_index + 1)
    module = build(
        Stack(stack.input_shape, (stack.layers[index] for index in layers), stack.switched_off.intersection(layers)),
        torch.float32 if first.dtype == np.float32 else torch.float64,
    ).requires_grad_(False)
    height_and_width = stack.input_shape[1:]
    summed: Heat = np.zeros(height_and_width)
    field = EffectiveField(summed, region, 0, total)
    for done, sample in enumerate(_inputs(first, total, seed), 1):
        if token.stop_requested:
            break
        summed = summed + _heat(module, sample, position)
        field = EffectiveField(summed / done, region, done, total)
        yield field
    return field


def _inputs(first: FloatArray, total: int, seed: int) -> Iterator[FloatArray]:
    yield first
    noise = np.random.default_rng(seed)
    for _ in range(total - 1):
        yield noise.normal(first.mean(), first.std(), first.shape).astype(first.dtype)


def _heat(module: torch.nn.Module, sample: FloatArray, position: Position) -> Heat:
    x = torch.from_numpy(sample.copy())[None].requires_grad_()
    (gradient,) = torch.autograd.grad(module(x)[(0, *position)], x)
    heat: Heat = gradient[0].numpy().astype(np.float64)
    heat = np.abs(heat).sum(axis=0)
    if not np.isfinite(heat).all():
        raise RefusalError("The gradient of this unit is not finite: the input or the weights are too large.")
    return heat
