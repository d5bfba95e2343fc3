from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from convviz.core.plotting import (
    clock_spacing,
    clock_text,
    even_ticks,
    log_ticks,
    round_spacing,
    rounded_end,
    thinned,
    whole_spacing,
    with_room,
)

NUMBERS = st.floats(-1e6, 1e6)


@given(low=st.floats(-100, 99), span=st.floats(0.01, 100))
def test_ticks_of_a_logarithmic_axis(low: float, span: float) -> None:
    ticks = log_ticks(low, low + span)
    assert 1 <= len(ticks) <= 10
    assert ticks == sorted(set(ticks))
    assert low - 1e-9 <= ticks[0]
    assert ticks[-1] <= low + span + 1e-9


def test_known_ticks() -> None:
    assert log_ticks(-3.5, 1.2) == [-3, -2, -1, 0, 1]
    assert log_ticks(-15, 1) == [-15, -12, -9, -6, -3, 0]
    assert [round(10**tick, 6) for tick in log_ticks(-1, 0.4)] == [0.1, 0.2, 0.5, 1, 2]
    assert [round(10**tick, 6) for tick in log_ticks(np.log10(2.1), np.log10(2.9))] == [2.2, 2.4, 2.6, 2.8]


@given(least=st.floats(1e-9, 1e9))
def test_distances_of_ticks_are_round_and_not_too_small(least: float) -> None:
    spacing = round_spacing(least)
    assert least <= spacing <= 2.5 * least * (1 + 1e-9)
    assert f"{spacing:e}"[0] in "125"
    assert whole_spacing(least) == max(1, round_spacing(max(1, least)))
    assert clock_spacing(least) >= least


def test_known_clock_ticks() -> None:
    assert [clock_spacing(least) for least in (0.2, 3, 11, 61, 1801, 8000)] == [1, 5, 15, 120, 3600, 18000]
    assert [clock_text(seconds) for seconds in (0, 5.9, 65, 3605)] == ["0:00", "0:05", "1:05", "1:00:05"]
    assert even_ticks(-1, 2.2, 0.5) == [-1, -0.5, 0, 0.5, 1, 1.5, 2]


@given(
    points=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=300),
    columns=st.integers(1, 40),
    ends=st.tuples(NUMBERS, st.floats(1e-3, 1e6)),
)
def test_a_thinned_curve_keeps_the_extremes_of_every_column(
    points: list[tuple[float, float]], columns: int, ends: tuple[float, float]
) -> None:
    x, y = np.array(sorted(points)).T
    low, high = ends[0], ends[0] + ends[1]
    thin_x, thin_y, _ = thinned(x, y, low, high, columns)
    assert len(thin_x) == len(thin_y) <= 2 * (columns + 1) + 1
    assert (np.diff(thin_x) >= 0).all()
    assert (thin_x[-1], thin_y[-1]) == (x[-1], y[-1])
    edges = np.linspace(low, high, columns, endpoint=False)
    column, thin_column = np.searchsorted(edges, x, "right"), np.searchsorted(edges, thin_x, "right")
    assert set(column) == set(thin_column)
    for one in set(column):
        assert y[column == one].min() == thin_y[thin_column == one].min()
        assert y[column == one].max() == thin_y[thin_column == one].max()


def test_a_short_curve_is_not_thinned() -> None:
    x, y = np.arange(20.0), np.arange(20.0) ** 2
    thin_x, thin_y, begin = thinned(x, y, 0, 19, 10)
    np.testing.assert_array_equal((thin_x, thin_y), (x, y))
    assert begin == 0


@given(
    points=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=300),
    share=st.floats(0.01, 0.99),
    columns=st.integers(1, 40),
    ends=st.tuples(NUMBERS, st.floats(1e-3, 1e6)),
)
def test_a_curve_that_has_grown_is_thinned_from_its_last_column_on(
    points: list[tuple[float, float]], share: float, columns: int, ends: tuple[float, float]
) -> None:
    x, y = np.array(sorted(points)).T
    scale = ends[0], ends[0] + ends[1], columns
    count = max(1, int(share * len(x)))
    before_x, before_y, begin = thinned(x[:count], y[:count], *scale)
    more_x, more_y, more_begin = thinned(x, y, *scale, start=begin)
    kept = len(before_x) - 3 if begin else 0
    grown = np.append(before_x[:kept], more_x), np.append(before_y[:kept], more_y)
    *whole, whole_begin = thinned(x, y, *scale)
    np.testing.assert_array_equal(grown, whole)
    assert more_begin == whole_begin


@given(low=NUMBERS, span=st.floats(0, 1e6))
def test_a_range_has_room_at_both_ends(low: float, span: float) -> None:
    least, most = with_room(low, low + span, log=False)
    assert least < low
    assert most > low + span
    assert most - least >= 1.06 * span * (1 - 1e-9)
    assert most - least >= 0.1 * max(abs(low), abs(low + span)) * (1 - 1e-9)


def test_known_ranges_with_room() -> None:
    assert with_room(0, 10, log=False) == (-0.5, 10.5)
    assert with_room(0, 0, log=False) == (-0.5, 0.5)
    assert with_room(-2, -2, log=True) == (-2.05078125, -1.94921875)


def test_a_range_grows_in_steps() -> None:
    ranges = [with_room(low, 2.0, log=False) for low in np.linspace(1, 0, 500).tolist()]
    assert len(set(ranges)) < 30
    assert all(wide[0] <= low and wide[1] >= high for (low, high), wide in pairwise(ranges))


@given(end=st.floats(1e-9, 1e9), share=st.floats(0, 1))
def test_an_axis_grows_in_steps(end: float, share: float) -> None:
    rounded = rounded_end(end)
    assert end <= rounded <= end * (1 + 1 / 8)
    assert rounded_end(end + share * (rounded - end)) == rounded
    assert rounded_end(rounded) == rounded


def test_known_ends() -> None:
    assert [rounded_end(end) for end in (0.1, 1.0, 3.3, 782.0, 7820.0)] == [0.1015625, 1.0, 3.5, 832.0, 8192.0]
