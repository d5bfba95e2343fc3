"""Batches of pictures for training: gathered, augmented and normalised a whole batch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from convviz.nn.data import Split
from convviz.nn.source import Labels, Pixels

_GREY = 128

MADE_AT_ONCE = 256
"""Pictures; measured with batches of 64, a hundredth of a training's time less than with one batch at a time, and with
batches of 4 a twentieth. More no longer fit the processor's caches."""

Batch = tuple[torch.Tensor, torch.Tensor]
"""Pictures, (B, C, H, W), and labels, (B,)."""
Draws = NDArray[np.void]
"""What was drawn for each of N pictures, (N,) of `DRAW`."""
DRAW = np.dtype(
    [("flipped", np.bool_), ("top", np.int64), ("left", np.int64), ("cut_top", np.int64), ("cut_left", np.int64)]
)


@dataclass(frozen=True)
class Augment:
    """How pictures are varied, each picture of a batch in its own way. What is left open is mid-grey.

    Attributes:
        flip: mirror every other picture, on the average, left to right.
        crop: shift by up to so many pixels in both directions.
        cutout: cover a square of this side that lies in the picture; at most the picture's shorter side.
    """

    flip: bool = False
    crop: int = 0
    cutout: int = 0

    def drawn(self, count: int, height: int, width: int, rng: np.random.Generator) -> Draws:
        """Draw how each of so many pictures is varied."""
        draws = np.zeros(count, DRAW)
        if self.flip:
            draws["flipped"] = rng.random(count) < 0.5
        if self.crop:
            draws["top"], draws["left"] = rng.integers(2 * self.crop + 1, size=(2, count))
        if self.cutout:
            draws["cut_top"] = rng.integers(height - self.cutout + 1, size=count)
            draws["cut_left"] = rng.integers(width - self.cutout + 1, size=count)
        return draws


@dataclass(frozen=True, eq=False)
class _Epoch:
    """The order of an epoch's pictures and, in this order, what was drawn for each, (N,)."""

    number: int
    order: Labels
    draws: Draws


class Batches:
    """The batches of a split, anew in each epoch.

    What is in batch b of epoch e depends on (seed, e, b) and the size of batches alone: a run that is resumed goes on
    with the same numbers.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        seed: int,
        augment: Augment = Augment(),
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        drop_last: bool = False,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self._split = split
        self._batch_size = batch_size
        self._seed = seed
        self._augment = augment
        self._device = torch.device(device)
        self._dtype = dtype
        self._drop_last = drop_last
        self._memory_format = memory_format
        self._epoch: _Epoch | None = None
        self._made: dict[tuple[int, int], Batch] = {}

    def __len__(self) -> int:
        """Return the number of batches in an epoch; the last may be smaller unless it is dropped."""
        whole, rest = divmod(len(self._split), self._batch_size)
        return whole + (rest > 0 and not self._drop_last)

    def batch(self, epoch: int, index: int) -> Batch:
        """Return a batch's pictures in [−1, 1], (B, C, H, W), and labels, (B,). Raises IndexError.

        Nobody may write to them.
        """
        if (epoch, index) not in self._made:
            self._made = self._make(epoch, index)
        return self._made[epoch, index]

    def _make(self, epoch: int, first: int) -> dict[tuple[int, int], Batch]:
        """Return a batch and, if batches are small, some that follow: many of them cost little more than one."""
        if not 0 <= first < len(self):
            raise IndexError(f"There is no batch {first} among {len(self)}.")
        size = self._batch_size
        numbers = range(first, min(first + max(1, MADE_AT_ONCE // size), len(self)))
        drawn, span = self._drawn(epoch), slice(first * size, numbers.stop * size)
        chosen = drawn.order[span]
        pixels = augmented(self._split.images[chosen], self._augment, drawn.draws[span])
        x = normalised(torch.from_numpy(pixels).to(self._device), self._dtype, self._memory_format)
        labels = torch.from_numpy(self._split.labels[chosen]).to(self._device)
        parts = zip(numbers, torch.split(x, size), torch.split(labels, size), strict=True)
        return {(epoch, number): (part, its_labels) for number, part, its_labels in parts}

    def _drawn(self, epoch: int) -> _Epoch:
        """Return what was drawn for an epoch, all of it at once.

        To make a generator for each batch took a fifth of the time in which a batch of 64 is made.
        """
        if self._epoch is None or self._epoch.number != epoch:
            rng = np.random.default_rng((self._seed, epoch, 0))
            count, _, height, width = self._split.images.shape
            order = rng.permutation(count)
            self._epoch = _Epoch(epoch, order, self._augment.drawn(count, height, width, rng))
        return self._epoch


def normalised(
    pixels: torch.Tensor,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> torch.Tensor:
    """Return pixels from 0 to 255, (N, C, H, W), as numbers from −1 to 1."""
    return pixels.to(dtype, copy=True).div_(127.5).sub_(1).contiguous(memory_format=memory_format)


def augmented(pixels: Pixels, augment: Augment, draws: Draws) -> Pixels:
    """Return the pictures (N, C, H, W) varied as was drawn, (N,); those given may be overwritten.

    numpy copies windows of bytes three times as fast as torch does, which in turn mirrors them faster.
    """
    count, height, width = len(pixels), *pixels.shape[2:]
    each = np.arange(count)
    if augment.flip:
        flipped = np.flatnonzero(draws["flipped"])
        pixels[flipped] = torch.from_numpy(pixels[flipped]).flip(3).numpy()
    if augment.crop:
        most = augment.crop
        padded = np.full((*pixels.shape[:2], height + 2 * most, width + 2 * most), _GREY, np.uint8)
        padded[..., most : most + height, most : most + width] = pixels
        windows = sliding_window_view(padded, (height, width), axis=(2, 3))
        pixels = windows[each, :, draws["top"], draws["left"]]
    if augment.cutout:
        side = augment.cutout
        squares = sliding_window_view(pixels, (side, side), axis=(2, 3), writeable=True)
        squares[each, :, draws["cut_top"], draws["cut_left"]] = _GREY
    return pixels
