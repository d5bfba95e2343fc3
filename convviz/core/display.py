"""Arrays ready to be shown: levels, the colour table for signed data, 8-bit pictures.

One colour table serves all data: blue – neutral – orange with zero exactly neutral. Data without negative values
simply uses the orange half. Each half is a straight line in OKLab and both ends have the same lightness and chroma, so
equal steps of the value look equal and neither sign looks stronger. Source of OKLab: Björn Ottosson, "A perceptual
color space for image processing", 2020.
"""

import math
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float64]
Bytes = NDArray[np.uint8]

ZERO = 128
"""Index of the value zero in a colour table."""

WHITE_TEXT = (255, 255, 255)
BLACK_TEXT = (0, 0, 0)
"""The two text colours: only with pure black and white does the better one reach 4.5:1 on every colour there is."""

_STEPS = 127
_NEUTRAL_LIGHT, _NEUTRAL_DARK = (255, 255, 255), (29, 33, 44)
_BLUE_HUE, _ORANGE_HUE = 262.0, 60.0  # degrees, the hues of #2F6BE0 and #E8871E
_END_LIGHT, _END_DARK = (0.65, 0.15), (0.74, 0.133)  # OKLab lightness and chroma; more chroma leaves sRGB

_LMS_FROM_RGB = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB_FROM_LMS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def is_signed(a: NDArray[np.floating]) -> bool:
    """Whether any finite value of `a` (any shape) is negative."""
    return bool(np.any((a < 0) & np.isfinite(a)))


def signed_levels(a: NDArray[np.floating]) -> float:
    """Return the largest finite |value| of `a` (any shape), or 1 where that is 0 or there is none."""
    if not a.size:
        return 1.0
    level = max(float(a.max()), -float(a.min()))
    if not np.isfinite(level):
        level = float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
    return level or 1.0


def levels(a: NDArray[np.floating]) -> tuple[float, float]:
    """Return the range a colour bar shows for `a`: symmetric when a finite value is negative, else from zero."""
    level = signed_levels(a)
    return (-level if is_signed(a) else 0.0), level


@cache
def diverging_lut(dark: bool) -> Bytes:
    """Return the colour table as a read-only `(256, 3)` sRGB array: blue at 1, neutral at `ZERO`, orange at 255.

    `dark` chooses the table whose neutral is the dark look's panel colour and whose ends are brighter than it; in the
    other one the neutral is white. Index 0 repeats index 1: `to_index` never returns it.
    """
    neutral = _oklab(np.array(_NEUTRAL_DARK if dark else _NEUTRAL_LIGHT))
    lightness, chroma = _END_DARK if dark else _END_LIGHT
    share = np.linspace(0, 1, _STEPS + 1)[:, None]

    def half(hue: float) -> Bytes:
        angle = np.radians(hue)
        end = np.array([lightness, chroma * np.cos(angle), chroma * np.sin(angle)])
        return _srgb(neutral + share * (end - neutral))

    blue, orange = half(_BLUE_HUE), half(_ORANGE_HUE)
    lut = np.concatenate([blue[-1:], blue[:0:-1], orange])
    lut.flags.writeable = False
    return lut


@cache
def grey_lut() -> Bytes:
    """Return the colour table for brightness as a read-only `(256, 3)` sRGB array: black up to `ZERO`, white at 255."""
    grey = np.clip((np.arange(256) - ZERO) * 255 / _STEPS, 0, 255).round().astype(np.uint8)
    lut = np.repeat(grey[:, None], 3, axis=1)
    lut.flags.writeable = False
    return lut


def to_index(a: NDArray[np.floating], level: float) -> Bytes:
    """Return the colour-table index of every value of `a` (any shape): 0 → `ZERO`, −level → 1, +level → 255.

    Values beyond ±`level` (above 0) take the end colour, infinities too; NaN is shown as zero.
    """
    index = _rounded(a, _STEPS / level, -_STEPS, _STEPS)
    index += ZERO
    return index.astype(np.uint8)


def text_on(lut: Bytes) -> NDArray[np.bool_]:
    """Return, for each of the `(N, 3)` colours, whether `WHITE_TEXT` has more contrast on it than `BLACK_TEXT`."""
    return contrast(lut, WHITE_TEXT) > contrast(lut, BLACK_TEXT)


def contrast(colours: Bytes, text: tuple[int, int, int]) -> Grid:
    """Return the WCAG 2 contrast ratio, 1 to 21, between each of the `(N, 3)` sRGB colours and the colour `text`."""
    first, second = _luminance(colours) + 0.05, _luminance(np.array(text)) + 0.05
    ratio: Grid = np.maximum(first, second) / np.minimum(first, second)
    return ratio


def rgb_image(x_CHW: NDArray[np.floating], level: float) -> Bytes:
    """Return a 3-channel picture with values 0 to `level` (above 0) as `(H, W, 3)`; others are clipped, NaN is 0."""
    bytes_CHW: Bytes = _rounded(x_CHW, 255 / level, 0, 255).astype(np.uint8)
    return np.stack(list(bytes_CHW), axis=-1)  # seven times faster than a copy of the transposed array


def _rounded(a: NDArray[np.floating], scale: float, low: int, high: int) -> NDArray[np.floating]:
    """Return `a * scale` with NaN as 0, clipped to `low` … `high` and rounded to whole numbers."""
    with np.errstate(over="ignore"):
        steps: NDArray[np.floating] = a * scale
    if steps.size and np.isnan(steps.min()):
        steps[np.isnan(steps)] = 0
    np.clip(steps, low, high, out=steps)
    np.rint(steps, out=steps)
    return steps


def _luminance(colours: NDArray[np.integer]) -> Grid:
    """Return the relative luminance, 0 to 1, of `(…, 3)` sRGB colours."""
    luminance: Grid = _linear(colours) @ np.array([0.2126, 0.7152, 0.0722])
    return luminance


def _oklab(colours: NDArray[np.integer]) -> Grid:
    """Return `(…, 3)` 8-bit sRGB colours as OKLab lightness, a, b."""
    lab: Grid = np.cbrt(_linear(colours) @ _LMS_FROM_RGB.T) @ _LAB_FROM_LMS.T
    return lab


def _srgb(lab: Grid) -> Bytes:
    """Return `(…, 3)` OKLab colours as 8-bit sRGB, clipped to what sRGB can show."""
    linear = ((lab @ np.linalg.inv(_LAB_FROM_LMS).T) ** 3 @ np.linalg.inv(_LMS_FROM_RGB).T).clip(0, 1)
    gamma = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    colours: Bytes = np.rint(255 * gamma).astype(np.uint8)
    return colours


def _linear(colours: NDArray[np.integer]) -> Grid:
    """Return 8-bit sRGB values as linear light, 0 to 1."""
    share = colours / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def wrapped_shape(count: int) -> tuple[int, int]:
    """Return the rows and columns in which a vector of `count` numbers is shown: about square, with few blank cells."""
    root = math.isqrt(count - 1) + 1
    cols = min(range(root, root + root // 2 + 1), key=lambda cols: -count % cols)
    return -(-count // cols), cols


def grid_shape(shape: Sequence[int]) -> tuple[int, int]:
    """Return the rows and columns in which maps (C, H, W), or a vector (N,), are shown."""
    return wrapped_shape(shape[0]) if len(shape) == 1 else (shape[1], shape[2])


def as_maps(a: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return `a` (C, H, W) as it is, and a vector (N,) as one map of `wrapped_shape`, filled up with zeros."""
    if a.ndim == 3:
        return a
    rows, cols = wrapped_shape(a.size)
    wrapped = np.zeros((1, rows, cols), a.dtype)
    wrapped.flat[: a.size] = a
    return wrapped


def laid_out(maps_CHW: NDArray[np.floating]) -> tuple[NDArray[np.floating], int | None]:
    """Return maps as they are shown, and how many cells of each there are: single numbers become one wrapped map."""
    if maps_CHW.shape[1:] != (1, 1):
        return maps_CHW, None
    return as_maps(maps_CHW.reshape(-1)), len(maps_CHW)


def as_pictures(weight_OIHW: NDArray[np.floating], levels: NDArray[np.floating] | float) -> Bytes:
    """Return kernels of three channels as colours: zero is a middle grey, ±level the darkest and the brightest."""
    share = np.nan_to_num(weight_OIHW / levels).clip(-1, 1)
    colours: Bytes = np.rint(127.5 + 127.5 * share).astype(np.uint8)
    return colours


def names_of_channels(count: int) -> list[str]:
    """Return what the channels of a picture are called: three are red, green and blue."""
    return ["R", "G", "B"] if count == 3 else [str(channel) for channel in range(count)]


@lru_cache(maxsize=16)
def kernel_names(kernels: Sequence[int], num_channels: int) -> tuple[str, ...]:
    """Return the names of all channels of some kernels: “0 R”, “0 G”, …; “0, 0”, “0, 1”, …; “0”, “1” of one channel."""
    if num_channels == 1:
        return tuple(map(str, kernels))
    join = " " if num_channels == 3 else ", "
    channels = names_of_channels(num_channels)
    return tuple(f"{kernel}{join}{channel}" for kernel in kernels for channel in channels)
