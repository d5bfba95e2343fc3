import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convviz.core.filters import as_filters, filter_maps, filter_order, filters_csv


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((4, 3, 5, 5), (4, 3, 5, 5)),
        ((4, 3, 7), (4, 3, 1, 7)),
        ((4, 3, 2, 5, 5), (4, 6, 5, 5)),
        ((4, 3), None),
        ((4,), None),
        ((), None),
        ((0, 3, 5, 5), None),
        ((1, 2, 3, 4, 5, 6), None),
    ],
)
def test_only_kernels_are_filters(shape: tuple[int, ...], expected: tuple[int, ...] | None) -> None:
    filters = as_filters(np.zeros(shape))
    assert (None if filters is None else filters.shape) == expected


def test_filters_are_sorted_with_the_largest_first_and_what_is_no_number_before() -> None:
    norms, variances = np.array([1.0, np.nan, 3.0, 3.0]), np.array([0.5, np.nan, 0.1, 0.7])
    assert filter_order("index", norms, variances).tolist() == [0, 1, 2, 3]
    assert filter_order("norm", norms, variances).tolist() == [1, 2, 3, 0]
    assert filter_order("variance", norms, variances).tolist() == [1, 3, 0, 2]


@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 4))
def test_all_numbers_are_on_the_maps(count: int, channels: int, side: int) -> None:
    filters = np.arange(1.0, 1 + count * channels * side * side).reshape(count, channels, side, side)
    maps, shown = filter_maps(filters)
    if shown is None:
        assert maps.shape == (count * channels, side, side)
        assert np.array_equal(maps.reshape(filters.shape), filters)
    else:
        assert (side, shown, len(maps)) == (1, channels, count)
        assert np.array_equal(maps.reshape(count, -1)[:, :shown], filters.reshape(count, channels))


def test_a_table_has_every_number_exactly() -> None:
    filters = np.random.default_rng(0).normal(size=(2, 3, 2, 2)).astype(np.float32)
    rows = list(csv.DictReader(io.StringIO(filters_csv(filters).decode())))
    assert len(rows) == filters.size
    for row in rows:
        place = tuple(int(row[name]) for name in ("filter", "channel", "row", "column"))
        assert np.float32(row["value"]) == filters[place]
