import numpy as np
import pytest

from convviz.core.inputs import INPUTS, make_input

SIZES = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 5), (1, 40), (17, 4), (512, 512)]


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("size", SIZES)
def test_every_size_gives_whole_numbers_that_are_small_except_for_the_ramp(kind: str, size: tuple[int, int]) -> None:
    x_CHW = make_input(kind, size, channels=3)
    assert x_CHW.shape == (3, *size)
    assert x_CHW.dtype == np.float64
    assert np.array_equal(x_CHW, np.rint(x_CHW))
    assert x_CHW.min() >= 0
    assert x_CHW.max() <= (size[0] * size[1] + 1 if kind == "ramp" else 9)


@pytest.mark.parametrize("kind", INPUTS)
def test_channels_differ_and_the_first_does_not_depend_on_their_number(kind: str) -> None:
    one, three = make_input(kind, (7, 7), seed=3), make_input(kind, (7, 7), seed=3, channels=3)
    assert np.array_equal(one[0], three[0])
    assert not np.array_equal(three[0], three[1])


@pytest.mark.parametrize("kind", INPUTS)
def test_only_letter_and_random_follow_the_seed(kind: str) -> None:
    first, again, other = (make_input(kind, (9, 9), seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert np.array_equal(first, other) == (kind not in {"letter", "random"})


def test_ramp_counts_row_by_row_and_later_channels_start_later() -> None:
    assert make_input("ramp", (3, 3)).tolist() == [[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]
    assert make_input("ramp", (2, 2), channels=2)[1].tolist() == [[1, 2], [3, 4]]


def test_vertical_edges_at_6_by_8_have_columns_2_to_5_zero() -> None:
    expected = np.ones((6, 8))
    expected[:, 2:6] = 0
    assert np.array_equal(make_input("vertical_edges", (6, 8))[0], expected)
    assert np.array_equal(make_input("horizontal_edges", (8, 6))[0], expected.T)


@pytest.mark.parametrize("length", range(2, 20))
def test_edges_have_an_edge_at_every_length_above_one(length: int) -> None:
    assert set(make_input("vertical_edges", (1, length)).flat) == {0, 1}


def test_checkerboard_blocks_grow_with_the_picture() -> None:
    assert make_input("checkerboard", (2, 3)).tolist() == [[[0, 1, 0], [1, 0, 1]]]
    assert make_input("checkerboard", (32, 32))[0, 0, :9].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0]


def test_diagonal_edge_is_the_upper_triangle_and_its_mirror_image() -> None:
    x_CHW = make_input("diagonal_edge", (4, 4), channels=2)
    assert np.array_equal(x_CHW[0], np.triu(np.ones((4, 4))))
    assert np.array_equal(x_CHW[1], x_CHW[0][:, ::-1])


def test_blob_is_round_with_nine_in_the_middle() -> None:
    blob = make_input("blob", (7, 7))[0]
    assert blob[3, 3] == blob.max() == 9
    assert np.array_equal(blob, blob.T)
    assert np.array_equal(blob, blob[::-1, ::-1])


def test_letter_is_an_f_under_a_little_noise() -> None:
    letter = make_input("letter", (7, 7), seed=5)[0]
    rows = ["       ", " FFFFF ", " F     ", " FFFF  ", " F     ", " F     ", "       "]
    expected = np.array([[7 if mark == "F" else 0 for mark in row] for row in rows])
    noise = letter - expected
    assert set(noise.flat) == {0, 1}
    assert 0 < noise.mean() < 1 / 3


def test_random_is_numpys_own_generator() -> None:
    expected = np.random.default_rng(11).integers(0, 10, (4, 6))
    assert np.array_equal(make_input("random", (4, 6), seed=11)[0], expected)
