"""Every layer's output: as many as are quickly had at once, the others layer by layer. No Qt in here."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from typing import TypeAlias

import numpy as np

from convviz.core.control import StopToken
from convviz.core.elementwise import GELU
from convviz.core.explain import FloatArray
from convviz.core.layers import Drawn, Layer, Shape, Weighted
from convviz.core.stack import Stack
from convviz.ui.lab.state import LabState

Outputs: TypeAlias = tuple[FloatArray, ...]

BUDGET_S = 0.05
"""What takes longer is left to the background."""
FEW_CELLS, MANY_CELLS = 64, 4096
"""Up to so many changed input cells, and cells changed by them in a layer, only what reads them is computed anew."""
LARGE_MULTIPLY_ADDS = 10**8
"""From here on float32 does; below, every digit shown is exact."""

SECONDS_A_PRODUCT = 4e-10
SECONDS_A_CELL = 4e-9
SECONDS_A_TAP = 1.5e-9
SECONDS_A_GELU = 2e-7
SECONDS_A_DRAW = 5e-9
"""Rough times on two slow cores, to tell quick layers from slow ones."""


def outputs_at_once(state: LabState, old: LabState | None = None, old_outputs: Outputs = ()) -> Outputs:
    """Return the first layers' outputs, as many as the budget allows; those of ``old`` serve where they can."""
    start = time.perf_counter()
    outputs = _kept(state, old, old_outputs) if old is not None else []
    stack, shapes = state.stack, state.stack.shapes
    for index in range(len(outputs), len(shapes) - 1):
        if stack.is_on(index):
            expected = _expected_seconds(stack.layers[index], shapes[index], shapes[index + 1])
            if time.perf_counter() - start + expected > BUDGET_S:
                break
        outputs.append(_next_output(state, outputs))
    return tuple(outputs)


def is_complete(state: LabState, outputs: Outputs) -> bool:
    """Whether every layer that fits has its output."""
    return len(outputs) == len(state.stack.shapes) - 1


def remaining_outputs(state: LabState, outputs: Outputs, token: StopToken) -> Generator[Outputs, None, Outputs]:
    """Compute the other outputs, yield all there are after each layer, and return them all; stop when asked to."""
    computed = list(outputs)
    while not is_complete(state, tuple(computed)) and not token.stop_requested:
        computed.append(_next_output(state, computed))
        yield tuple(computed)
    return tuple(computed)


def _next_output(state: LabState, outputs: Sequence[FloatArray]) -> FloatArray:
    stack, index = state.stack, len(outputs)
    x = outputs[-1] if outputs else state.input.astype(_dtype(stack), copy=False)
    return np.asarray(stack.layers[index].forward(x)) if stack.is_on(index) else x


def _dtype(stack: Stack) -> type[np.floating]:
    return np.float32 if stack.multiply_adds > LARGE_MULTIPLY_ADDS else np.float64


def _expected_seconds(layer: Layer, input_shape: Shape, output_shape: Shape) -> float:
    cells = math.prod(output_shape)
    seconds = SECONDS_A_PRODUCT * layer.multiply_adds(input_shape) + SECONDS_A_CELL * cells
    if isinstance(layer, Weighted):
        drawn = [name for name, array in layer.arrays.items() if isinstance(array, Drawn) and name not in vars(layer)]
        seconds += SECONDS_A_DRAW * sum(math.prod(layer.array_shapes[name]) for name in drawn)
    elif isinstance(layer, GELU):
        seconds += SECONDS_A_GELU * cells
    else:
        rows, cols = layer.axes(input_shape)
        seconds += SECONDS_A_TAP * cells * (rows.kernel_size + cols.kernel_size)
    return seconds


def _kept(state: LabState, old: LabState, old_outputs: Outputs) -> list[FloatArray]:
    """Return the first outputs that are as they were, or differ in the few cells that a few input cells changed."""
    if state.input.shape != old.input.shape or _dtype(state.stack) != _dtype(old.stack):
        return []
    count = _same_layers(state.stack, old.stack, len(old_outputs))
    if state.input is old.input:
        return list(old_outputs[:count])
    changed = (state.input != old.input).any(axis=0)
    if np.count_nonzero(changed) > FEW_CELLS:
        return []
    rows, cols = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    outputs: list[FloatArray] = []
    x: FloatArray = state.input.astype(_dtype(state.stack), copy=False)
    for index in range(count):
        output = old_outputs[index]
        if state.stack.is_on(index) and rows.size:
            layer = state.stack.layers[index]
            if output.ndim != 3:
                break
            row_axis, col_axis = layer.axes(x.shape)
            rows = np.flatnonzero(np.isin(row_axis.sources, rows).any(axis=1))
            cols = np.flatnonzero(np.isin(col_axis.sources, cols).any(axis=1))
            if rows.size * cols.size > MANY_CELLS:
                break
            if rows.size and cols.size:
                output = output.copy()
                output[:, rows[:, None], cols] = layer.forward_at(x, rows, cols)
        elif not state.stack.is_on(index):
            output = x
        outputs.append(output)
        x = output
    return outputs


def _same_layers(stack: Stack, old: Stack, most: int) -> int:
    """Return how many layers at the front are the same, up to ``most``."""
    count = 0
    for index, (layer, other) in enumerate(zip(stack.layers[:most], old.layers, strict=False)):
        if stack.is_on(index) != old.is_on(index) or (stack.is_on(index) and layer is not other and layer != other):
            break
        count += 1
    return min(count, len(stack.shapes) - 1)
