"""A moving window on one axis: its output size, positions and taps, and the limits of its parameters.

Sizes follow the tables of `torch.nn.Conv2d` and `torch.nn.MaxPool2d`. A *tap* is one cell of the window; its *virtual*
coordinate counts from the first real input cell, so that padding before the input is negative.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args

import numpy as np
import numpy.typing as npt

IntArray: TypeAlias = npt.NDArray[np.intp]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Pair: TypeAlias = tuple[int, int]
PaddingMode: TypeAlias = Literal["zeros", "reflect", "replicate", "circular"]
AnyArray = TypeVar("AnyArray", bound=npt.NDArray[Any])
Padding: TypeAlias = int | Literal["same", "valid"]

UNLIMITED = 2**31 - 1
"""What the limits below return where every value is legal: the greatest value that a spin box holds."""


class ShapeError(ValueError):
    """Sizes that do not go together; the message says which collide and what would fit."""


def integer(value: object, name: str, least: int = 1) -> int:
    """Return `value` as an int of at least `least`; anything else, booleans and floats included, is a `ShapeError`."""
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise ShapeError(f"{name} is {value!r}; it must be a whole number of at least {least}.")
    number = operator.index(value)
    if number < least:
        raise ShapeError(f"{name} is {number}; it must be at least {least}.")
    return number


def pair(value: int | Sequence[int], name: str, least: int = 1) -> Pair:
    """Return (vertical, horizontal) from one int for both axes or from two ints, each at least `least`."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 2:
            raise ShapeError(f"{name} has {len(value)} values; it takes one, or two (vertical, horizontal).")
        return integer(value[0], name, least), integer(value[1], name, least)
    number = integer(value, name, least)
    return number, number


def padding_mode_name(value: str) -> PaddingMode:
    """Return `value` if it names a padding mode; otherwise raise `ShapeError`."""
    modes = get_args(PaddingMode)
    if value not in modes:
        raise ShapeError(f"padding_mode is {value!r}; it must be one of {', '.join(modes)}.")
    return cast(PaddingMode, value)


def same_padding(kernel_size: int, dilation: int) -> Pair:
    """Return the cells (before, after) that keep the size at stride 1; an odd one goes after, as in torch."""
    total = dilation * (kernel_size - 1)
    return total // 2, total - total // 2


@dataclass(frozen=True)
class Axis:
    """A window moving along one axis of `size` input cells.

    `padding_mode="zeros"` stands for any constant: 0 for convolution and average, −∞ for the maximum. With `ceil_mode`
    the last window may run past the padding; such taps read neither input nor padding.

    Raises:
        ShapeError: the window does not fit, or the padding mode cannot fill the padding from so few cells.

    """

    size: int
    kernel_size: int
    stride: int = 1
    dilation: int = 1
    pad_before: int = 0
    pad_after: int = 0
    ceil_mode: bool = False
    padding_mode: PaddingMode = "zeros"
    name: str = "axis"

    def __post_init__(self) -> None:
        for field in ("size", "kernel_size", "stride", "dilation"):
            integer(getattr(self, field), f"{self.name}: {field}")
        for field in ("pad_before", "pad_after"):
            integer(getattr(self, field), f"{self.name}: {field}", least=0)
        pad, most = max(self.pad_before, self.pad_after), max_padding(self.size, padding_mode=self.padding_mode)
        if pad > most:
            raise ShapeError(
                f"{self.name}: {self.padding_mode} padding of {pad} does not fit an input of {self.size}; "
                f"at most {most} would."
            )
        if self.span > self.padded_size + self._slack:
            raise ShapeError(self._misfit())

    def _misfit(self) -> str:
        room = self.padded_size + self._slack
        fitting = [f"a kernel size of at most {_max_kernel_size(room, self.dilation)}"]
        if self.kernel_size <= room:
            fitting.append(f"a dilation of at most {(room - 1) // (self.kernel_size - 1)}")
        fitting.append(f"an input of at least {self.size + self.span - room}")
        padding = self.padded_size - self.size
        input_size = f"{self.size} ({padding} more as padding)" if padding else str(self.size)
        return (
            f"A kernel of {self.kernel_size} with dilation {self.dilation} spans {self.span} cells along the "
            f"{self.name}, but the input has {input_size}; {' or '.join(fitting)} would fit."
        )

    @property
    def span(self) -> int:
        """Cells from the first tap to the last, both included."""
        return self.dilation * (self.kernel_size - 1) + 1

    @property
    def padded_size(self) -> int:
        """Cells of input and padding together."""
        return self.pad_before + self.size + self.pad_after

    @property
    def _slack(self) -> int:
        return self.stride - 1 if self.ceil_mode else 0

    @cached_property
    def output_size(self) -> int:
        """Positions of the window; with `ceil_mode` the last still starts inside the input or the padding before."""
        positions = (self.padded_size + self._slack - self.span) // self.stride + 1
        if self.ceil_mode and (positions - 1) * self.stride >= self.pad_before + self.size:
            positions -= 1
        return positions

    def taps_at(self, positions: npt.ArrayLike) -> IntArray:
        """Return the virtual input coordinates of the taps, `positions.shape + (kernel_size,)`."""
        taps: IntArray = np.asarray(positions, dtype=np.intp)[..., None] * self.stride + self._first_taps
        return taps

    @cached_property
    def _first_taps(self) -> IntArray:
        return np.arange(-self.pad_before, self.span - self.pad_before, self.dilation)

    def is_inside(self, coordinates: IntArray) -> BoolArray:
        """Return which virtual coordinates lie on the real input."""
        return (coordinates >= 0) & (coordinates < self.size)

    def source_of(self, coordinates: IntArray) -> IntArray:
        """Return the real input index that each virtual coordinate reads, −1 where it reads a constant or nothing."""
        match self.padding_mode:
            case "zeros":
                return np.where(self.is_inside(coordinates), coordinates, -1)
            case "reflect":
                last = self.size - 1
                return np.asarray(last - np.abs(last - np.abs(coordinates)), dtype=np.intp)
            case "replicate":
                return np.clip(coordinates, 0, self.size - 1)
            case "circular":
                return np.asarray(coordinates % self.size, dtype=np.intp)

    @cached_property
    def taps(self) -> IntArray:
        """Virtual input coordinates of every tap, (output_size, kernel_size): below 0 or from `size` on is padding."""
        return _frozen(self.taps_at(np.arange(self.output_size)))

    @cached_property
    def sources(self) -> IntArray:
        """The real input index each tap reads, (output_size, kernel_size); −1 where it reads a constant or nothing."""
        return _frozen(self.source_of(self.taps))

    @cached_property
    def covered(self) -> BoolArray:
        """Which input cells any tap reads, (size,)."""
        covered = np.zeros(self.size, dtype=np.bool_)
        covered[self.sources[self.sources >= 0]] = True
        return _frozen(covered)

    def readers(self, index: int) -> IntArray:
        """Return the output positions that read input cell `index`, ascending."""
        if not 0 <= index < self.size:
            raise IndexError(f"{self.name}: input cell {index} is outside 0 to {self.size - 1}.")
        return np.flatnonzero((self.sources == index).any(axis=1))

    def reach(self, tap: int) -> tuple[slice, slice]:
        """Return the output positions whose tap number `tap` lies on the real input, and the cells it reads there."""
        offset = tap * self.dilation - self.pad_before
        first = max(0, -(offset // self.stride))
        stop = max(first, min(self.output_size, (self.size - 1 - offset) // self.stride + 1))
        start = first * self.stride + offset
        return slice(first, stop), slice(start, start + (stop - first) * self.stride, self.stride)


def _frozen(array: AnyArray) -> AnyArray:
    array.flags.writeable = False
    return array


def _max_kernel_size(room: int, dilation: int) -> int:
    return max(0, (room - 1) // dilation + 1)


def _room(size: int, padding: int, stride: int, ceil_mode: bool) -> int:
    return size + 2 * padding + (stride - 1 if ceil_mode else 0)


def _room_for_same(size: int, padding_mode: PaddingMode) -> int:
    """Return the widest span whose "same" padding the mode can fill."""
    most = max_padding(size, padding_mode=padding_mode)
    return UNLIMITED if most == UNLIMITED else 2 * most + 1


def max_padding(size: int, *, kernel_size: int | None = None, padding_mode: PaddingMode = "zeros") -> int:
    """Return the greatest legal padding of an axis; give `kernel_size` for pooling, which allows half the kernel."""
    if kernel_size is not None:
        return kernel_size // 2
    match padding_mode:
        case "reflect":
            return size - 1
        case "circular":
            return size
        case _:
            return UNLIMITED


def min_padding(size: int, *, kernel_size: int, dilation: int = 1, stride: int = 1, ceil_mode: bool = False) -> int:
    """Return the least padding with which the kernel fits. No padding is legal where this exceeds `max_padding`."""
    missing = dilation * (kernel_size - 1) + 1 - _room(size, 0, stride, ceil_mode)
    return max(0, (missing + 1) // 2)


def max_kernel_size(
    size: int,
    *,
    padding: Padding = 0,
    dilation: int = 1,
    stride: int = 1,
    ceil_mode: bool = False,
    padding_mode: PaddingMode = "zeros",
) -> int:
    """Return the greatest kernel size that fits."""
    if padding == "same":
        room = _room_for_same(size, padding_mode)
        return UNLIMITED if room == UNLIMITED else _max_kernel_size(room, dilation)
    return _max_kernel_size(_room(size, 0 if padding == "valid" else padding, stride, ceil_mode), dilation)


def min_kernel_size(*, padding: int) -> int:
    """Return the least kernel size with which pooling allows `padding`."""
    return max(1, 2 * padding)


def max_dilation(
    size: int,
    *,
    kernel_size: int,
    padding: Padding = 0,
    stride: int = 1,
    ceil_mode: bool = False,
    padding_mode: PaddingMode = "zeros",
) -> int:
    """Return the greatest dilation with which the kernel fits, 0 if it fits with none."""
    if kernel_size == 1:
        return UNLIMITED
    if padding == "same":
        room = _room_for_same(size, padding_mode)
        return UNLIMITED if room == UNLIMITED else (room - 1) // (kernel_size - 1)
    room = _room(size, 0 if padding == "valid" else padding, stride, ceil_mode)
    return max(0, (room - 1) // (kernel_size - 1))
