"""The kernels everybody knows, at any size.

Where the classic is defined for 3×3 only, the larger ones follow the same rule, so that 3×3 is the textbook's kernel.
On an even side the centre is cell `(k − 1) // 2`, as in torch's padding="same".
"""

from collections.abc import Callable
from math import comb

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float64]


def make_kernel(kind: str, size: tuple[int, int], seed: int = 0) -> Grid:
    """Return the kernel `kind` (a key of `KERNELS`) as a `(kh, kw)` array.

    `size` is `(kh, kw)`, each at least 1. `seed` (0 or more) matters for "random" only. Where `kernel_fits` says no,
    the rule has nothing to work on: at 1×1 "sharpen" and "emboss" are then the identity, and a difference is all zeros.
    """
    return KERNELS[kind](size[0], size[1], np.random.default_rng(seed))


def kernel_fits(kind: str, size: tuple[int, int]) -> bool:
    """Whether the kernel `kind` does at this `(kh, kw)` what its name says: a difference needs two cells to compare."""
    height, width = size
    match kind:
        case "sobel_x" | "prewitt_x":
            return width > 1
        case "sobel_y" | "prewitt_y":
            return height > 1
        case "sharpen" | "outline" | "laplacian":
            return height * width > 1
        case "emboss":
            return max(size) > 2
    return True


def recognise(kernel: NDArray[np.floating]) -> str | None:
    """Return the kind that equals this `(kh, kw)` kernel, or None for one made by hand (or "random").

    Where several are equal (a 1×3 Sobel is a 1×3 Prewitt), the first in `KERNELS` is returned.
    """
    height, width = kernel.shape
    for kind in KERNELS:
        fits = kind != "random" and kernel_fits(kind, (height, width))
        if fits and np.array_equal(kernel, make_kernel(kind, (height, width))):
            return kind
    return None


def _identity(height: int, width: int, rng: np.random.Generator) -> Grid:
    """One in the centre: the output is the input."""
    kernel = np.zeros((height, width))
    kernel[(height - 1) // 2, (width - 1) // 2] = 1
    return kernel


def _box(height: int, width: int, rng: np.random.Generator) -> Grid:
    """Mean of all cells."""
    return np.full((height, width), 1 / (height * width))


def _gaussian(height: int, width: int, rng: np.random.Generator) -> Grid:
    """Binomial weights that sum to one: [1, 2, 1] ⊗ [1, 2, 1] / 16 at 3×3."""
    return np.outer(_binomial(height), _binomial(width)) / 2.0 ** (height + width - 2)


def _sharpen(height: int, width: int, rng: np.random.Generator) -> Grid:
    """Picture minus its Laplacian."""
    return _identity(height, width, rng) - _laplacian(height, width, rng)


def _outline(height: int, width: int, rng: np.random.Generator) -> Grid:
    """Centre against every other cell: −1 all round, sum zero."""
    return height * width * _identity(height, width, rng) - 1


def _emboss(height: int, width: int, rng: np.random.Generator) -> Grid:
    """Picture plus a slope from the top left to the bottom right; the sum is one."""
    down, across = (np.arange(length) - (length - 1) / 2 for length in (height, width))
    return down[:, None] + across + _identity(height, width, rng)


def _sobel_x(height: int, width: int, rng: np.random.Generator) -> Grid:
    """Right minus left, both sides and the rows weighted binomially."""
    return np.outer(_binomial(height), _binomial_difference(width))


def _sobel_y(height: int, width: int, rng: np.random.Generator) -> Grid:
    """Below minus above: the transposed `_sobel_x`."""
    return _sobel_x(width, height, rng).T.copy()


def _prewitt_x(height: int, width: int, rng: np.random.Generator) -> Grid:
    """Right half minus left half, all weights one."""
    return np.tile(np.sign(np.arange(width) - (width - 1) / 2), (height, 1))


def _prewitt_y(height: int, width: int, rng: np.random.Generator) -> Grid:
    """Lower half minus upper half: the transposed `_prewitt_x`."""
    return _prewitt_x(width, height, rng).T.copy()


def _laplacian(height: int, width: int, rng: np.random.Generator) -> Grid:
    """Cross of ones round a negative centre: the cells straight above, below, left and right of it; sum zero."""
    kernel = np.zeros((height, width))
    row, column = (height - 1) // 2, (width - 1) // 2
    kernel[row, :] = 1
    kernel[:, column] = 1
    kernel[row, column] = 2 - height - width
    return kernel


def _random(height: int, width: int, rng: np.random.Generator) -> Grid:
    """Whole numbers from −2 to 2."""
    return rng.integers(-2, 3, (height, width)).astype(np.float64)


def _binomial(length: int) -> Grid:
    return np.array([comb(length - 1, k) for k in range(length)], dtype=np.float64)


def _binomial_difference(length: int) -> Grid:
    """[−1, 1] smoothed to `length` cells: [−1, 0, 1], [−1, −2, 0, 2, 1], …; a single cell has no difference: [0]."""
    return np.convolve([-1.0, 1.0], _binomial(length - 1)) if length > 1 else np.zeros(1)


KERNELS: dict[str, Callable[[int, int, np.random.Generator], Grid]] = {
    "identity": _identity,
    "box": _box,
    "gaussian": _gaussian,
    "sharpen": _sharpen,
    "outline": _outline,
    "emboss": _emboss,
    "sobel_x": _sobel_x,
    "sobel_y": _sobel_y,
    "prewitt_x": _prewitt_x,
    "prewitt_y": _prewitt_y,
    "laplacian": _laplacian,
    "random": _random,
}
