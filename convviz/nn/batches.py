"""Batches of pictures for training: gathered, augmented and normalised a whole batch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view

from convviz.nn.data import Split
from convviz.nn.source import Labels, Pixels

_GREY = 128


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


class Batches:
    """The batches of a split, anew in each epoch.

    What is in batch b of epoch e depends on (seed, e, b) alone: a run that is resumed goes on with the same numbers.
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
        self._order: tuple[int, Labels] = (-1, np.array([], np.int64))

    def __len__(self) -> int:
        """Return the number of batches in an epoch; the last may be smaller unless it is dropped."""
        whole, rest = divmod(len(self._split), self._batch_size)
        return whole + (rest > 0 and not self._drop_last)

    def indices(self, epoch: int, index: int) -> Labels:
        """Return which pictures of the split are in a batch. Raises IndexError."""
        if not 0 <= index < len(self):
            raise IndexError(f"There is no batch {index} among {len(self)}.")
        if self._order[0] != epoch:
            self._order = epoch, self._rng(epoch, 0).permutation(len(self._split))
        return self._order[1][index * self._batch_size : (index + 1) * self._batch_size]

    def batch(self, epoch: int, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a batch's pictures in [−1, 1], (B, C, H, W), and labels, (B,). Raises IndexError."""
        chosen = self.indices(epoch, index)
        pixels = augmented(self._split.images[chosen], self._augment, self._rng(epoch, 1 + index))
        labels = torch.from_numpy(self._split.labels[chosen])
        x = torch.from_numpy(pixels).to(self._device)
        return normalised(x, self._dtype, self._memory_format), labels.to(self._device)

    def _rng(self, epoch: int, number: int) -> np.random.Generator:
        """Return the source of an epoch's order (number 0) or of a batch's augmentation (1 + index)."""
        return np.random.default_rng((self._seed, epoch, number))


def normalised(
    pixels: torch.Tensor,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> torch.Tensor:
    """Return pixels from 0 to 255, (N, C, H, W), as numbers from −1 to 1."""
    return pixels.to(dtype, copy=True).div_(127.5).sub_(1).contiguous(memory_format=memory_format)


def augmented(pixels: Pixels, augment: Augment, rng: np.random.Generator) -> Pixels:
    """Return the pictures (N, C, H, W) varied; those given may be overwritten.

    numpy copies windows of bytes three times as fast as torch does.
    """
    count, height, width = len(pixels), *pixels.shape[2:]
    each = np.arange(count)
    if augment.flip:
        flipped = np.flatnonzero(rng.random(count) < 0.5)
        pixels[flipped] = np.ascontiguousarray(pixels[flipped, ..., ::-1])
    if augment.crop:
        most = augment.crop
        padded = np.full((*pixels.shape[:2], height + 2 * most, width + 2 * most), _GREY, np.uint8)
        padded[..., most : most + height, most : most + width] = pixels
        windows = sliding_window_view(padded, (height, width), axis=(2, 3))
        top, left = rng.integers(2 * most + 1, size=(2, count))
        pixels = windows[each, :, top, left]
    if augment.cutout:
        side = augment.cutout
        squares = sliding_window_view(pixels, (side, side), axis=(2, 3), writeable=True)
        top, left = rng.integers((height - side + 1, width - side + 1), size=(count, 2)).T
        squares[each, :, top, left] = _GREY
    return pixels
