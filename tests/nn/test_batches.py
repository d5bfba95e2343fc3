from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from convviz.nn.batches import Augment, Batches, augmented, normalised
from convviz.nn.data import Split
from convviz.nn.source import Pixels

GREY = 128
ALL = Augment(flip=True, crop=2, cutout=3)


def some_pixels(count: int, channels: int = 3, height: int = 7, width: int = 6) -> Pixels:
    """Pictures without the grey that augmentation leaves."""
    return np.random.default_rng(4).integers(0, GREY, (count, channels, height, width), dtype=np.uint8)


def varied(pixels: Pixels, augment: Augment, seed: int) -> Pixels:
    count, _, height, width = pixels.shape
    return augmented(pixels, augment, augment.drawn(count, height, width, np.random.default_rng(seed)))


def some_split(count: int) -> Split:
    return Split(some_pixels(count), np.arange(count))


def indices(batches: Batches, epoch: int, index: int) -> list[int]:
    """Return which pictures of `some_split` are in a batch."""
    indices: list[int] = batches.batch(epoch, index)[1].tolist()
    return indices


seeds = st.integers(0, 2**31)


@given(st.integers(1, 40), st.integers(1, 12), seeds, st.integers(0, 50))
def test_an_epoch_has_every_picture_once(count: int, batch_size: int, seed: int, epoch: int) -> None:
    batches = Batches(some_split(count), batch_size, seed)
    chosen = [indices(batches, epoch, index) for index in range(len(batches))]
    assert sorted(np.concatenate(chosen)) == list(range(count))
    assert {len(part) for part in chosen[:-1]} <= {batch_size}


@given(st.integers(1, 40), st.integers(1, 12))
def test_the_last_batch_is_dropped_if_it_is_smaller(count: int, batch_size: int) -> None:
    batches = Batches(some_split(count), batch_size, seed=0, drop_last=True)
    assert len(batches) == count // batch_size
    assert all(len(indices(batches, 0, index)) == batch_size for index in range(len(batches)))


@given(seeds, st.integers(0, 50), st.integers(0, 4), st.booleans())
def test_a_batch_depends_on_nothing_that_came_before(seed: int, epoch: int, index: int, in_turn: bool) -> None:
    split = some_split(22)
    used = Batches(split, 5, seed, ALL)
    for before in [(epoch, number) for number in range(index)] if in_turn else [(epoch + 1, 2), (epoch, 1)]:
        used.batch(*before)
    fresh = Batches(split, 5, seed, ALL)
    for mine, other in zip(used.batch(epoch, index), fresh.batch(epoch, index), strict=True):
        assert torch.equal(mine, other)


def test_the_order_is_known() -> None:
    """A run that an earlier version has begun goes on in the same order."""
    batches = Batches(some_split(10), 5, seed=3)
    assert [indices(batches, epoch, 0) for epoch in (0, 1)] == [[9, 6, 0, 2, 1], [4, 1, 2, 8, 5]]


@pytest.mark.parametrize("index", [-1, 3])
def test_there_are_no_more_batches(index: int) -> None:
    with pytest.raises(IndexError, match=f"no batch {index} among 3"):
        Batches(some_split(11), 4, seed=0).batch(0, index)


def test_pictures_and_labels_belong_together() -> None:
    split = some_split(20)
    x, labels = Batches(split, 6, seed=1).batch(2, 1)
    assert x.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert torch.equal(x, normalised(torch.from_numpy(split.images[labels.numpy()])))


def test_pixels_become_numbers_from_minus_one_to_one() -> None:
    pixels = torch.tensor([0, 51, 102, 255], dtype=torch.uint8).reshape(1, 1, 2, 2)
    for dtype, tolerance in ((torch.float32, 1e-7), (torch.bfloat16, 1e-2)):
        x = normalised(pixels, dtype)
        assert x.dtype == dtype
        torch.testing.assert_close(
            x.flatten().double(), torch.tensor([-1, -0.6, -0.2, 1.0]).double(), rtol=0, atol=tolerance
        )
        assert (x.min().item(), x.max().item()) == (-1, 1)
    assert pixels.flatten().tolist() == [0, 51, 102, 255]


def test_the_memory_may_hold_channels_last() -> None:
    split = some_split(8)
    x, _ = Batches(split, 8, 0, ALL, memory_format=torch.channels_last).batch(0, 0)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(x, Batches(split, 8, 0, ALL).batch(0, 0)[0])


def test_the_split_stays_as_it_is() -> None:
    split = some_split(8)
    Batches(split, 8, 0, ALL).batch(0, 0)
    np.testing.assert_array_equal(split.images, some_pixels(8))


@given(seeds)
def test_a_flip_mirrors_some_of_the_pictures(seed: int) -> None:
    before = torch.from_numpy(some_pixels(64))
    after = torch.from_numpy(varied(some_pixels(64), Augment(flip=True), seed))
    same, mirrored = ((after == other).flatten(1).all(1) for other in (before, before.flip(3)))
    assert (same ^ mirrored).all()
    assert 10 < mirrored.sum() < 54


@given(seeds, st.integers(1, 9))
def test_a_crop_is_a_window_of_the_padded_picture(seed: int, most: int) -> None:
    before = some_pixels(4)
    after = varied(before.copy(), Augment(crop=most), seed)
    padded = functional.pad(torch.from_numpy(before), (most,) * 4, value=GREY)
    windows = padded.unfold(2, 7, 1).unfold(3, 6, 1)
    for picture, places in zip(torch.from_numpy(after), windows, strict=True):
        assert (places == picture[:, None, None]).all(-1).all(-1).all(0).any()


def test_a_crop_shifts_in_all_directions() -> None:
    dot = np.zeros((400, 1, 5, 5), np.uint8)
    dot[:, :, 2, 2] = 1
    shifted = varied(dot, Augment(crop=1), 0)
    assert {tuple(place) for place in np.argwhere(shifted == 1)[:, 2:]} == {
        (i, j) for i in (1, 2, 3) for j in (1, 2, 3)
    }


@given(seeds, st.integers(1, 6))
def test_a_cutout_covers_one_square(seed: int, side: int) -> None:
    before = some_pixels(5)
    after = varied(before.copy(), Augment(cutout=side), seed)
    covered = after == GREY
    assert (covered == covered[:, :1]).all()
    np.testing.assert_array_equal(after[~covered], before[~covered])
    for square in covered[:, 0]:
        rows, cols = np.flatnonzero(square.any(1)), np.flatnonzero(square.any(0))
        assert (len(rows), len(cols), square.sum()) == (side, side, side**2)
        assert rows[-1] - rows[0] == cols[-1] - cols[0] == side - 1


def test_cutouts_reach_every_corner() -> None:
    covered = varied(np.zeros((400, 1, 4, 3), np.uint8), Augment(cutout=2), 0) == GREY
    assert all(covered[:, 0, i, j].any() for i in (0, -1) for j in (0, -1))
