import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convviz.core.explain import FloatArray
from convviz.core.inputs import make_input
from convviz.core.kernels import make_kernel
from convviz.core.layers import AvgPool2d, Conv2d, MaxPool2d
from convviz.core.shift import Fill, only_map, shift_input, shifted
from convviz.core.window import ShapeError
from tests.core.layer_cases import Case, conv_cases, inputs

FILLS: tuple[Fill, ...] = ("zeros", "wrap")
RAMP = np.arange(1.0, 10.0).reshape(1, 3, 3)

steps = st.integers(-3, 3)
fills = st.sampled_from(FILLS)


def sizes(least: int = 1) -> st.SearchStrategy[tuple[int, int, int]]:
    return st.tuples(st.integers(1, 2), st.integers(least, 8), st.integers(least, 8))


def maps(least: int = 1) -> st.SearchStrategy[FloatArray]:
    return sizes(least).flatmap(inputs)


@pytest.mark.parametrize(
    ("down", "right", "fill", "expected"),
    [
        (0, 1, "zeros", [[0, 1, 2], [0, 4, 5], [0, 7, 8]]),
        (-1, 0, "zeros", [[4, 5, 6], [7, 8, 9], [0, 0, 0]]),
        (1, -1, "zeros", [[0, 0, 0], [2, 3, 0], [5, 6, 0]]),
        (0, 3, "zeros", [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
        (-5, 0, "zeros", [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
        (0, 1, "wrap", [[3, 1, 2], [6, 4, 5], [9, 7, 8]]),
        (4, 0, "wrap", [[7, 8, 9], [1, 2, 3], [4, 5, 6]]),
    ],
)
def test_a_picture_moves(down: int, right: int, fill: Fill, expected: list[list[int]]) -> None:
    assert shifted(RAMP, down, right, fill).tolist() == [expected]
    assert RAMP[0, 0].tolist() == [1, 2, 3]


@given(maps(), st.integers(-9, 9), st.integers(-9, 9))
def test_a_shift_is_torchs_roll_and_zeros_where_cells_came_in(x: FloatArray, down: int, right: int) -> None:
    rolled = torch.roll(torch.tensor(x), (down, right), (1, 2)).numpy()
    assert np.array_equal(shifted(x, down, right, "wrap"), rolled)
    rows, cols = (np.arange(size) - by for size, by in zip(x.shape[1:], (down, right), strict=True))
    stayed = ((rows >= 0) & (rows < rows.size))[:, None] & ((cols >= 0) & (cols < cols.size))
    assert np.array_equal(shifted(x, down, right, "zeros"), np.where(stayed, rolled, 0))


def test_an_edge_that_moves_by_one() -> None:
    picture = np.tile([0.0, 0, 0, 1, 1, 1, 1, 1], (4, 1))[None]
    effect = shift_input(picture, 0, 1)
    assert effect.num_changed == 4
    assert effect.share_changed == 1 / 8

    edges = effect.through(Conv2d(1, 1, (1, 2), weight=[[[[-1, 1]]]]))
    assert edges.before[0, 0].tolist() == [0, 0, 1, 0, 0, 0, 0]
    assert edges.after[0, 0].tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert edges.difference[0, 0].tolist() == [0, 0, -1, 1, 0, 0, 0]
    assert edges.move == (0, 1)
    assert edges.num_changed == 8
    assert edges.inside[0].tolist() == [False, True, True, True, True, True, True]
    assert edges.just_moved[0, 0].tolist() == [False, True, True, True, True, True, True]

    pooled = edges.through(MaxPool2d(2))  # windows of columns 0–1, 2–3, 4–5: the edge stays in the second
    assert pooled.move is None
    assert pooled.num_changed == 0
    assert not pooled.just_moved.any()
    assert not pooled.inside.any()


def test_the_average_notices_what_the_maximum_does_not() -> None:
    x = np.array([[[9.0, 1, 2, 3], [1, 1, 3, 3]]])
    effect = shift_input(x, 0, 1, "wrap")  # 3 9 1 2 / 3 1 1 3
    assert effect.through(MaxPool2d(2)).difference.tolist() == [[[0, 0]]]
    assert effect.through(AvgPool2d(2)).difference.tolist() == [[[1, -1]]]


def test_strides_divide_the_shift_or_nothing_just_moves() -> None:
    effect = shift_input(make_input("random", (12, 12)), 4, 0)
    conv = Conv2d(1, 1, 3, stride=2, padding=1, weight=make_kernel("sobel_x", (3, 3))[None, None])
    output = effect.through(conv)
    assert output.move == (2, 0)
    assert output.through(MaxPool2d(2)).move == (1, 0)
    assert output.through(MaxPool2d(3)).move is None
    assert output.through(MaxPool2d(3)).through(MaxPool2d(1)).move is None


def test_without_a_shift_every_cell_stays() -> None:
    effect = shift_input(make_input("blob", (7, 7)), 0, 0).through(
        Conv2d(1, 1, 3, padding=1, weight=np.ones((1, 1, 3, 3)))
    )
    assert effect.num_changed == 0
    assert effect.just_moved.all()
    assert effect.inside.sum() == 25


def test_a_window_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match="would fit"):
        shift_input(np.ones((1, 1, 5)), 0, 1).through(MaxPool2d(2))


@given(maps(2), steps, steps, st.integers(0, 2))
def test_a_circular_convolution_is_equivariant(x: FloatArray, down: int, right: int, padding: int) -> None:
    kernel = 2 * padding + 1
    weight = np.random.default_rng(0).normal(size=(2, len(x), kernel, kernel))
    layer = Conv2d(len(x), 2, kernel, padding=padding, padding_mode="circular", weight=weight, bias=[0.5, -1])
    assert shift_input(x, down, right, "wrap").through(layer).just_moved.all()


@given(conv_cases(), steps, steps, fills)
def test_away_from_the_border_a_convolution_only_moves(case: Case, down: int, right: int, fill: Fill) -> None:
    layer = case.layer
    assert isinstance(layer, Conv2d)
    effect = shift_input(case.x, down, right, fill).through(layer)
    strides = layer.stride
    assert (effect.move is None) == bool(down % strides[0] or right % strides[1])
    assert effect.just_moved[:, effect.inside].all()
    assert effect.just_moved.shape == effect.changed.shape == layer.output_shape(case.x.shape)


@given(maps(3), steps, steps, fills, st.integers(1, 3), st.booleans())
def test_away_from_the_border_pooling_moves_by_whole_windows(
    x: FloatArray, down: int, right: int, fill: Fill, size: int, takes_max: bool
) -> None:
    layer = MaxPool2d(size) if takes_max else AvgPool2d(size)
    effect = shift_input(x, size * down, size * right, fill).through(layer)
    assert effect.move == (down, right)
    assert effect.just_moved[:, effect.inside].all()


@given(maps(2), st.integers(-2, 2), st.integers(-2, 2))
def test_pooling_of_whole_windows_rolls_round(x: FloatArray, down: int, right: int) -> None:
    even = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    effect = shift_input(even, 2 * down, 2 * right, "wrap")
    assert effect.through(MaxPool2d(2)).just_moved.all()
    assert effect.through(AvgPool2d(2)).just_moved.all()


@given(maps(3), steps, steps, fills, st.integers(2, 3), st.booleans())
def test_pooling_changes_no_cell_whose_window_stayed(
    x: FloatArray, down: int, right: int, fill: Fill, size: int, takes_max: bool
) -> None:
    effect = shift_input(x, down, right, fill)
    pooled = effect.through(MaxPool2d(size) if takes_max else AvgPool2d(size))
    touched = MaxPool2d(size).forward(effect.changed.astype(np.float64)) > 0
    assert not (pooled.changed & ~touched).any()


def test_rounding_is_no_change() -> None:
    """Every window sums up the same three numbers, in another order after the shift."""
    layer = Conv2d(1, 1, (1, 3), padding=(0, 1), padding_mode="circular", weight=np.ones((1, 1, 1, 3)))
    effect = shift_input(np.array([[[0.1, 0.7, 0.3]]]), 0, 1, "wrap").through(layer)
    assert not np.array_equal(effect.before, effect.after)
    assert effect.num_changed == 0
    assert effect.just_moved.all()


@given(conv_cases(), st.data())
def test_one_map_alone_is_what_it_is_among_all(case: Case, data: st.DataObject) -> None:
    layer = case.layer
    assert isinstance(layer, Conv2d)
    index = data.draw(st.integers(0, layer.out_channels - 1))
    alone = only_map(layer, index).forward(case.x)
    assert alone.shape[0] == 1
    np.testing.assert_allclose(alone[0], layer.forward(case.x)[index], atol=1e-12)
