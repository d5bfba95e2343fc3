import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from convviz.core.display import (
    BLACK_TEXT,
    WHITE_TEXT,
    ZERO,
    as_maps,
    as_pictures,
    contrast,
    diverging_lut,
    is_signed,
    kernel_names,
    laid_out,
    levels,
    rgb_image,
    signed_levels,
    text_on,
    to_index,
    wrapped_shape,
)

both_looks = pytest.mark.parametrize("dark", [False, True])


def oklab(lut: np.ndarray) -> np.ndarray:
    """Convert sRGB to OKLab by the matrices that start from CIE XYZ, not the ones the module uses."""
    share = lut / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    xyz_from_rgb = [
        [0.4123908, 0.3575843, 0.1804808],
        [0.2126390, 0.7151687, 0.0721923],
        [0.0193308, 0.1191948, 0.9505322],
    ]
    lms_from_xyz = [
        [0.8189330101, 0.3618667424, -0.1288597137],
        [0.0329845436, 0.9293118715, 0.0361456387],
        [0.0482003018, 0.2643662691, 0.6338517070],
    ]
    lab_from_lms = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    lms = linear @ np.transpose(xyz_from_rgb) @ np.transpose(lms_from_xyz)
    return np.asarray(np.cbrt(lms) @ np.transpose(lab_from_lms))


def test_levels_are_symmetric_for_signed_data_and_start_at_zero_otherwise() -> None:
    assert levels(np.array([[1.0, 4.0]])) == (0, 4)
    assert levels(np.array([[-1.0, 4.0]])) == (-4, 4)
    assert levels(np.array([[-6.0, 4.0]])) == (-6, 6)
    assert levels(np.zeros((2, 2))) == (0, 1)


def test_levels_ignore_what_is_not_finite() -> None:
    assert levels(np.array([-np.inf, 2.0, np.nan])) == (0, 2)
    assert levels(np.array([np.inf, -3.0])) == (-3, 3)
    assert levels(np.array([np.nan, -np.inf])) == (0, 1)


def test_levels_of_nothing() -> None:
    assert signed_levels(np.empty((0, 3))) == 1
    assert not is_signed(np.empty((0, 3)))


@both_looks
def test_table_is_exactly_neutral_at_zero_and_blue_and_orange_at_the_ends(dark: bool) -> None:
    lut = diverging_lut(dark).astype(int)
    assert lut[ZERO].tolist() == ([29, 33, 44] if dark else [255, 255, 255])
    assert (lut[1, 2] - lut[1, 0]) > 100
    assert (lut[255, 0] - lut[255, 2]) > 100
    assert np.array_equal(lut[0], lut[1])


@both_looks
def test_both_halves_are_even_and_their_lightness_is_monotone_and_symmetric(dark: bool) -> None:
    lab = oklab(diverging_lut(dark))
    steps = np.arange(128)
    blue, orange = lab[ZERO - steps[:-1]], lab[ZERO + steps]
    direction = 1 if dark else -1
    for half in (blue, orange):
        assert (direction * np.diff(half[:, 0]) > 0).all()
        distance = np.linalg.norm(half - half[0], axis=1)
        assert np.abs(distance / distance[-1] - np.linspace(0, 1, len(half))).max() < 0.01
    orange = orange[: len(blue)]
    assert np.abs(blue[:, 0] - orange[:, 0]).max() < 0.005
    distance_blue, distance_orange = (np.linalg.norm(half - half[0], axis=1) for half in (blue, orange))
    assert np.abs(distance_blue - distance_orange).max() < (0.02 if dark else 0.005)


@both_looks
def test_the_better_text_colour_is_readable_on_every_entry(dark: bool) -> None:
    lut = diverging_lut(dark)
    white, black = contrast(lut, WHITE_TEXT), contrast(lut, BLACK_TEXT)
    assert np.where(text_on(lut), white, black).min() >= 4.5


def test_contrast_is_that_of_the_web_guidelines() -> None:
    greys = np.array([[0, 0, 0], [255, 255, 255], [118, 118, 118]], dtype=np.uint8)
    assert contrast(greys, WHITE_TEXT) == pytest.approx([21, 1, 4.54], abs=0.01)


def test_tables_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        diverging_lut(False)[0] = 0


def test_index_puts_zero_in_the_middle_and_the_levels_at_the_ends() -> None:
    a = np.array([[-2.0, -1.0, 0.0], [-0.0, 1.0, 2.0]])
    assert to_index(a, 2.0).tolist() == [[1, 64, 128], [128, 192, 255]]
    assert to_index(a, 2.0).dtype == np.uint8


def test_index_clips_infinities_and_shows_nan_as_zero() -> None:
    a = np.array([np.nan, np.inf, -np.inf, 1e308, 5.0])
    assert to_index(a, 1.0).tolist() == [128, 255, 1, 255, 255]
    assert np.isnan(a[0])


@settings(max_examples=100)
@given(
    hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=5), elements=st.floats(allow_nan=False)),
    st.floats(1e-300, 1e300),
)
def test_index_is_symmetric_and_monotone(a: np.ndarray, level: float) -> None:
    index = to_index(a, level).astype(int)
    assert np.array_equal(index - ZERO, ZERO - to_index(-a, level).astype(int))
    assert (np.diff(index.ravel()[np.argsort(a, axis=None)]) >= 0).all()


def test_rgb_image_moves_channels_last_and_clips() -> None:
    x_CHW = np.array([[[0.0, 300.0]], [[127.6, -4.0]], [[255.0, np.nan]]])
    image = rgb_image(x_CHW, 255.0)
    assert image.tolist() == [[[0, 128, 255], [255, 0, 0]]]
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert rgb_image(x_CHW, 510.0)[0, 0].tolist() == [0, 64, 128]


@given(units=st.integers(1, 30_000))
def test_a_vector_is_wrapped_about_square(units: int) -> None:
    rows, cols = wrapped_shape(units)
    assert (rows - 1) * cols < units <= rows * cols
    assert math.sqrt(units) <= cols <= 1.5 * math.sqrt(units) + 2


def test_a_vector_is_wrapped_without_blank_cells_where_that_can_be() -> None:
    assert [wrapped_shape(units) for units in (1, 7, 10, 84, 120, 1000, 4096)] == [
        (1, 1), (2, 4), (2, 5), (7, 12), (10, 12), (25, 40), (64, 64)
    ]  # fmt: skip


def test_maps_stay_and_vectors_become_one_map() -> None:
    maps = np.arange(12.0).reshape(3, 2, 2)
    assert as_maps(maps) is maps
    assert as_maps(np.arange(1.0, 8)).tolist() == [[[1, 2, 3, 4], [5, 6, 7, 0]]]


def test_colours_of_kernels_have_zero_in_the_middle() -> None:
    weight = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, np.nan]).reshape(1, 1, 1, 6)
    assert as_pictures(weight, 1.0).ravel().tolist() == [0, 0, 128, 255, 255, 128]


def test_single_numbers_become_one_wrapped_map() -> None:
    shown, count = laid_out(np.arange(10.0).reshape(10, 1, 1))
    assert (shown.shape[0], count) == (1, 10)
    assert shown.ravel()[:10].tolist() == list(range(10))
    square = np.zeros((4, 3, 3))
    assert laid_out(square) == (square, None)


def test_kernels_are_named_by_their_number_and_their_channel() -> None:
    assert kernel_names(range(2), 3) == ("0 R", "0 G", "0 B", "1 R", "1 G", "1 B")
    assert kernel_names((4, 1), 2) == ("4, 0", "4, 1", "1, 0", "1, 1")
    assert kernel_names(range(3), 1) == ("0", "1", "2")
