"""What a tensor's numbers are like, and those of a layer's filters."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from convviz.core.control import StopToken, go_on

Floats = NDArray[np.float64]

BINS: Final = 64
"""Bars of a histogram."""

_CHUNK: Final = 1 << 20
"""So many numbers are converted at once: a huge tensor is never copied."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """What a tensor's numbers are like: all but the counts is said of the finite ones, NaN where there are none.

    Of complex numbers it is said of their magnitudes.

    Attributes:
        count: how many numbers there are.
        minimum: the smallest.
        maximum: the largest.
        mean: Σx / n.
        std: √(Σ(x − mean)² / (n − 1)) as `torch.std` has it, NaN for a single number.
        zeros: how many are 0.
        nans: how many are NaN.
        infs: how many are infinite.
        histogram: how many fall between two edges, (BINS,); the last edge belongs to the last bar.
        edges: of the bars, evenly from minimum to maximum, (BINS + 1,); around the number, ± ½, if there is only one.
    """

    count: int
    minimum: float
    maximum: float
    mean: float
    std: float
    zeros: int
    nans: int
    infs: int
    histogram: NDArray[np.int64]
    edges: Floats


@dataclass(frozen=True, eq=False)
class FilterFacts:
    """How the O filters of a layer compare, and what is wrong with them. Of complex numbers, it is their magnitudes.

    Attributes:
        norms: Euclidean, (O,).
        variances: of each filter's numbers, Σ(x − mean)² / n, (O,).
        dead: those that are 0 throughout.
        duplicates: (first, copy) for each that equals an earlier one; only among filters neither dead nor broken.
        broken: those with NaN or inf; their norm and variance are no numbers either.
    """

    norms: Floats
    variances: Floats
    dead: tuple[int, ...]
    duplicates: tuple[tuple[int, int], ...]
    broken: tuple[int, ...]


def statistics(values: NDArray[Any], token: StopToken | None = None) -> Statistics:
    """Return what numbers of any shape are like: real, integer, bool or complex. Raises StoppedError."""
    token = token or StopToken()
    zeros = nans = infs = count = 0
    total, minimum, maximum = 0.0, np.inf, -np.inf
    with np.errstate(all="ignore"):  # sums of huge numbers overflow here as they do in torch
        for chunk in _chunks(values):
            go_on(token)
            zeros += int(np.count_nonzero(chunk == 0))
            nans += int(np.count_nonzero(np.isnan(chunk)))
            infs += int(np.count_nonzero(np.isinf(chunk)))
            finite = _finite(chunk)
            if finite.size:
                count += finite.size
                total += float(finite.sum())
                minimum, maximum = min(minimum, float(finite.min())), max(maximum, float(finite.max()))
        if not count:
            minimum = maximum = np.nan
        mean = total / count if count else np.nan
        squares = 0.0
        histogram = np.zeros(BINS, np.int64)
        for chunk in _chunks(values):
            go_on(token)
            finite = _finite(chunk)
            squares += float(((finite - mean) ** 2).sum())
            histogram += np.bincount(_bars(finite, minimum, maximum), minlength=BINS)
        std = float(np.sqrt(squares / (count - 1))) if count > 1 else np.nan
        if minimum == maximum:
            edges = minimum + np.linspace(-0.5, 0.5, BINS + 1)
        else:
            edges = 2 * np.linspace(minimum / 2, maximum / 2, BINS + 1)
    return Statistics(values.size, minimum, maximum, mean, std, zeros, nans, infs, histogram, edges)


def filter_facts(weight_OIHW: NDArray[Any]) -> FilterFacts:
    """Return what is said of a weight's filters, one for each index of its first axis."""
    rows = weight_OIHW.reshape(len(weight_OIHW), weight_OIHW[:1].size)
    num_filters, num_numbers = rows.shape
    sums, squares, deviations = np.zeros((3, num_filters))
    is_finite, is_dead = np.ones((2, num_filters), bool)
    with np.errstate(all="ignore"):
        for block in _blocks(rows):
            sums += block.sum(axis=1)
            squares += (block**2).sum(axis=1)
            is_finite &= np.isfinite(block).all(axis=1)
            is_dead &= (block == 0).all(axis=1)
        means = sums[:, None] / num_numbers
        for block in _blocks(rows):
            deviations += ((block - means) ** 2).sum(axis=1)
        variances = deviations / num_numbers
    return FilterFacts(
        np.sqrt(squares),
        variances,
        _indices(is_dead),
        tuple(_duplicates(rows, is_finite & ~is_dead)),
        _indices(~is_finite),
    )


def _chunks(values: NDArray[Any]) -> Iterator[Floats]:
    """Yield all numbers, (n,) at a time."""
    in_order = values.flags.c_contiguous or values.flags.f_contiguous
    flat = values.ravel("K") if in_order else values.flat  # which is slower, but never copies the whole
    for start in range(0, values.size, _CHUNK):
        yield _real(np.asarray(flat[start : start + _CHUNK]))


def _real(numbers: NDArray[Any]) -> Floats:
    return (np.abs(numbers) if np.iscomplexobj(numbers) else numbers).astype(np.float64, copy=False)


def _finite(chunk: Floats) -> Floats:
    is_finite = np.isfinite(chunk)
    return chunk if is_finite.all() else chunk[is_finite]


def _bars(numbers: Floats, minimum: float, maximum: float) -> NDArray[np.int64]:
    """Return which bar each number belongs to. By halves, because the whole span of float64 is no float64."""
    half_span = maximum / 2 - minimum / 2
    if not half_span > 0:
        return np.full(numbers.shape, BINS // 2)
    return np.clip((numbers / 2 - minimum / 2) / half_span * BINS, 0, BINS - 1).astype(np.int64)


def _blocks(rows: NDArray[Any]) -> Iterator[Floats]:
    """Yield some columns of every row at a time."""
    num_rows, num_columns = rows.shape
    width = max(1, _CHUNK // max(1, num_rows))
    for start in range(0, num_columns, width):
        yield _real(rows[:, start : start + width])


def _indices(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(mask).tolist())


def _duplicates(rows: NDArray[Any], mask: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield (first, copy) for each row in the mask that equals an earlier one in it."""
    firsts: dict[bytes, int] = {}
    for index in _indices(mask):
        digest = hashlib.sha256((rows[index] + 0).tobytes()).digest()  # −0 becomes 0
        first = firsts.setdefault(digest, index)
        if first != index:
            yield first, index
