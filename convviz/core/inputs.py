"""Ready-made input pictures in small whole numbers, so that a class can check the arithmetic by head."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float64]


def make_input(kind: str, size: tuple[int, int], seed: int = 0, channels: int = 1) -> Grid:
    """Return the picture `kind` (a key of `INPUTS`) as a `(channels, H, W)` array of whole numbers.

    `size` is `(H, W)`, each at least 1. `seed` (0 or more) matters for "letter" and "random" only. The first channel
    does not depend on how many channels there are; what the later ones show is said at each kind's function.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    return np.stack([INPUTS[kind](height, width, channel, rng) for channel in range(channels)]).astype(np.float64)


def _ramp(height: int, width: int, channel: int, rng: np.random.Generator) -> NDArray[np.integer]:
    """Count row by row from 0; channel c counts from c."""
    return np.arange(height * width).reshape(height, width) + channel


def _checkerboard(height: int, width: int, channel: int, rng: np.random.Generator) -> NDArray[np.integer]:
    """Zeros and ones in square blocks, about eight to the shorter side; every other channel swaps them."""
    block = max(1, min(height, width) // 8)
    rows, columns = np.arange(height)[:, None] // block, np.arange(width) // block
    return (rows + columns + channel) % 2


def _vertical_edges(height: int, width: int, channel: int, rng: np.random.Generator) -> NDArray[np.integer]:
    """Ones with the middle half of the columns zero; every other channel swaps ones and zeros."""
    return np.tile(_gap(width, channel), (height, 1))


def _horizontal_edges(height: int, width: int, channel: int, rng: np.random.Generator) -> NDArray[np.integer]:
    """Ones with the middle half of the rows zero; every other channel swaps ones and zeros."""
    return np.tile(_gap(height, channel)[:, None], (1, width))


def _gap(length: int, channel: int) -> NDArray[np.integer]:
    """`length` ones whose middle half is zero (at least one of them)."""
    line = np.ones(length, dtype=int)
    start = (length + 2) // 4
    line[start : max(length - start, start + 1)] = 0
    return (line + channel) % 2


def _diagonal_edge(height: int, width: int, channel: int, rng: np.random.Generator) -> NDArray[np.integer]:
    """Ones on and above the diagonal from the top left, zeros below; every other channel is mirrored left to right."""
    picture = (np.arange(width) * height >= np.arange(height)[:, None] * width).astype(int)
    return picture[:, ::-1] if channel % 2 else picture


def _blob(height: int, width: int, channel: int, rng: np.random.Generator) -> NDArray[np.floating]:
    """Round bump from 0 to 9 in the middle; each further channel moves it a quarter of the width, round the edge."""
    down = _bell(height)[:, None]
    across = np.roll(_bell(width), channel * max(1, width // 4))
    return np.rint(9 * down * across)


def _bell(length: int) -> NDArray[np.float64]:
    """Gaussian over `length` cells whose highest cell is 1."""
    offset = np.arange(length) - (length - 1) // 2
    return np.exp(-0.5 * (5 * offset / length) ** 2)


def _letter(height: int, width: int, channel: int, rng: np.random.Generator) -> NDArray[np.integer]:
    """Draw an F of sevens with 1 added to about one cell in six; every other channel is upside down."""
    stroke = max(1, min(height, width) // 7)
    top, bottom, left, right = height // 7, height - height // 7, width // 4, width - width // 4
    middle = (top + bottom) // 2
    picture = np.zeros((height, width), dtype=int)
    picture[top:bottom, left : left + stroke] = 7
    picture[top : top + stroke, left:right] = 7
    picture[middle : middle + stroke, left : right - stroke] = 7
    if channel % 2:
        picture = picture[::-1]
    return picture + (rng.random((height, width)) < 1 / 6)


def _random(height: int, width: int, channel: int, rng: np.random.Generator) -> NDArray[np.integer]:
    """Whole numbers from 0 to 9, every channel a new draw."""
    return rng.integers(0, 10, (height, width))


INPUTS: dict[str, Callable[[int, int, int, np.random.Generator], NDArray[np.number]]] = {
    "ramp": _ramp,
    "checkerboard": _checkerboard,
    "vertical_edges": _vertical_edges,
    "horizontal_edges": _horizontal_edges,
    "diagonal_edge": _diagonal_edge,
    "blob": _blob,
    "letter": _letter,
    "random": _random,
}
