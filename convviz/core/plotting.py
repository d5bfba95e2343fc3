"""The arithmetic of plots: round places of ticks, ranges with room around, curves with as many points as are seen."""

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

LARGEST = 1e100
"""Values up to this magnitude are shown, on a logarithmic axis from its inverse on; the axes end there."""

CLOCK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)
"""Distances of ticks on a clock; above, whole hours."""


def round_spacing(least: float) -> float:
    """Return the least of 1, 2 or 5 times a power of ten that is not below ``least`` (above 0)."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= least)


def whole_spacing(least: float) -> float:
    """Return the like for what is counted in whole numbers."""
    return round_spacing(max(1.0, least))


def clock_spacing(least: float) -> float:
    """Return the like for seconds that are read as on a clock."""
    fitting = (float(seconds) for seconds in CLOCK_SECONDS if seconds >= least)
    return next(fitting, 3600 * whole_spacing(least / 3600))


def clock_text(seconds: float) -> str:
    """Return seconds as "1:05" or, from an hour on, "1:00:05"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def even_ticks(low: float, high: float, spacing: float) -> list[float]:
    """Return the multiples of ``spacing`` from ``low`` to ``high``."""
    return [k * spacing for k in range(math.ceil(low / spacing), math.floor(high / spacing) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return the places of the ticks of a logarithmic axis that shows 10 to the power of ``low`` to that of ``high``.

    They stand at powers of ten; where few are in view also at 2 and 5 times those; within less at even distances.
    """
    if high - low >= 3:
        step = math.ceil((high - low) / 7)
        return [float(k) for k in range(step * math.ceil(low / step), math.floor(high) + 1, step)]
    places = [k + math.log10(m) for k in range(math.floor(low), math.ceil(high)) for m in (1, 2, 5)]
    places = [place for place in places if low <= place <= high]
    if len(places) >= 2:
        return places
    spacing = round_spacing((10**high - 10**low) / 4)
    return [math.log10(place) for place in even_ticks(10**low, 10**high, spacing)]


def with_room(low: float, high: float, log: bool) -> tuple[float, float]:
    """Return a range with some room around, and not so small that what hardly changes would look wild.

    With ``log`` its ends are logarithms. As values grow it grows in steps, of a sixteenth or less.
    """
    size = max(abs(low), abs(high))
    least = 0.1 if log else 0.1 * size if size >= 1 / LARGEST else 1.0
    more = max(0.03 * (high - low), (least - (high - low)) / 2)
    step = 2.0 ** math.floor(math.log2(high - low + 2 * more)) / 16
    return math.floor((low - more) / step) * step, math.ceil((high + more) / step) * step


def rounded_end(end: float) -> float:
    """Return where an axis ends that grows in steps: at ``end`` (above 0) or up to an eighth beyond."""
    step = 2.0 ** math.floor(math.log2(end)) / 8
    return math.ceil(end / step) * step


def thinned(x: Values, y: Values, low: float, high: float, columns: int, start: int = 0) -> tuple[Values, Values, int]:
    """Return points that draw the same picture in ``columns`` columns of pixels from ``low`` to ``high``.

    Of each column the least and the greatest value are kept, in the order in which the curve rises or falls, and the
    last point of all.

    Args:
        x: the places (N,), ascending, N above 0.
        y: the values (N,).
        low: where the first column begins.
        high: where the last one ends.
        columns: how many there are.
        start: leaves out the points before this one, at which a column begins.

    Returns:
        The places and the values, and the index in ``x`` at which the last column begins: when the curve has grown, its
        points up to there are the same but for their last three. It is 0 where all points are kept.

    """
    if len(x) <= 2 * columns:
        return x[start:], y[start:], 0
    x, y = x[start:], y[start:]
    width = (high - low) / columns
    first, last = (min(columns - 1, max(0, math.floor((end - low) / width))) for end in (x[0], x[-1]))
    is_start = np.zeros(len(x) + 1, dtype=bool)
    is_start[np.searchsorted(x, low + width * np.arange(first, min(last + 2, columns)))] = True
    is_start[0] = True
    starts = np.flatnonzero(is_start[:-1])
    ends = np.append(starts[1:], len(x)) - 1
    pairs = np.stack([np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)], axis=1)
    falls = y[starts] > y[ends]
    pairs[falls] = pairs[falls, ::-1]
    places = np.stack([x[starts], x[ends]], axis=1)
    return np.append(places, x[-1]), np.append(pairs, y[-1]), start + int(starts[-1])
