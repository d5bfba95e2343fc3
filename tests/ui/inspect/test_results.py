import numpy as np
import pytest

from convviz.core.receptive_field import Region
from convviz.nn.patches import Patch
from convviz.ui.inspect.results import GREY, cut_out


def patch(rows: range, cols: range) -> Patch:
    return Patch(1.0, 0, 0, (0, 0), Region(rows, cols, rows, cols))


@pytest.fixture
def picture() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """8 × 8 pixels that are all different."""
    return np.arange(64, dtype=np.uint8).reshape(1, 8, 8)


def test_what_a_unit_sees_is_cut_out(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    cut = cut_out(picture, patch(range(2, 5), range(1, 3)), (8, 8))
    assert np.array_equal(cut, picture[:, 2:5, 1:3])


def test_what_lies_outside_is_grey(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    cut = cut_out(picture, patch(range(-2, 2), range(6, 10)), (8, 8))
    assert np.array_equal(cut[:, 2:, :2], picture[:, :2, 6:])
    assert (cut[:, :2] == GREY).all()
    assert (cut[:, :, 2:] == GREY).all()


def test_a_picture_that_was_scaled_and_cut_is_cut_out_in_its_own_pixels(
    picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> None:
    """A network reads 16 × 8 of it: all rows twice as large, and of the columns the middle half."""
    cut = cut_out(picture, patch(range(0, 4), range(0, 8)), (16, 8))
    assert np.array_equal(cut, picture[:, 0:2, 2:6])
