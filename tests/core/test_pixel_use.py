import numpy as np
import pytest
import torch
from hypothesis import given

from convviz.core.elementwise import ReLU
from convviz.core.layers import AvgPool2d, Conv2d, GlobalAvgPool2d, MaxPool2d
from convviz.core.pixel_use import pixel_use
from tests.core.layer_cases import Case, avg_cases, conv_cases, max_cases, torch_module

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # torch's own remark


@pytest.mark.parametrize(
    ("layer", "use"),
    [
        (Conv2d(1, 1, 2), [[1, 2, 1], [2, 4, 2], [1, 2, 1]]),
        (Conv2d(1, 1, 2, stride=2), [[1, 1, 0], [1, 1, 0], [0, 0, 0]]),
        (Conv2d(1, 1, (1, 2), dilation=(1, 2)), [[1, 0, 1], [1, 0, 1], [1, 0, 1]]),
        (Conv2d(1, 1, 3, padding=1), [[4, 6, 4], [6, 9, 6], [4, 6, 4]]),
        (Conv2d(1, 1, 3, padding=1, padding_mode="circular"), [[9, 9, 9], [9, 9, 9], [9, 9, 9]]),
        (Conv2d(1, 1, (1, 3), padding=(0, 1), padding_mode="reflect"), [[2, 5, 2], [2, 5, 2], [2, 5, 2]]),
        (Conv2d(1, 1, (1, 3), padding=(0, 1), padding_mode="replicate"), [[3, 3, 3], [3, 3, 3], [3, 3, 3]]),
        (MaxPool2d(2, ceil_mode=True), [[1, 1, 1], [1, 1, 1], [1, 1, 1]]),
        (AvgPool2d((3, 1), padding=(1, 0), stride=1), [[2, 2, 2], [3, 3, 3], [2, 2, 2]]),
        (GlobalAvgPool2d(), [[1, 1, 1], [1, 1, 1], [1, 1, 1]]),
        (ReLU(), [[1, 1, 1], [1, 1, 1], [1, 1, 1]]),
    ],
)
def test_known_counts(layer: Conv2d, use: list[list[int]]) -> None:
    np.testing.assert_array_equal(pixel_use(layer.axes((1, 3, 3))), use)


def test_rows_and_columns_are_not_mixed_up() -> None:
    np.testing.assert_array_equal(pixel_use(Conv2d(1, 1, (1, 2)).axes((1, 2, 4))), [[1, 2, 2, 1], [1, 2, 2, 1]])


@given(conv_cases())
def test_a_kernel_of_ones_lets_the_gradient_count(case: Case) -> None:
    layer = case.layer
    assert isinstance(layer, Conv2d)
    ones = layer.changed(in_channels=1, out_channels=1, groups=1, weight=np.ones((1, 1, *layer.kernel_size)), bias=None)
    _, height, width = case.x.shape
    x = torch.zeros((1, 1, height, width), dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(torch_module(ones)(x).sum(), x)
    np.testing.assert_array_equal(pixel_use(ones.axes((1, height, width))), gradient[0, 0].numpy())


@given(avg_cases())
def test_sums_let_the_gradient_count(case: Case) -> None:
    layer = case.layer
    assert isinstance(layer, AvgPool2d)
    x = torch.zeros((1, *case.x.shape), dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(torch_module(layer.changed(divisor_override=1))(x).sum(), x)
    np.testing.assert_array_equal(pixel_use(layer.axes(case.x.shape)), gradient[0, 0].numpy())


@given(max_cases())
def test_a_single_one_wins_wherever_it_is_read(case: Case) -> None:
    _, height, width = case.x.shape
    each_cell = torch.eye(height * width, dtype=torch.float64).reshape(-1, 1, height, width)
    wins = (torch_module(case.layer)(each_cell) == 1).sum(dim=(1, 2, 3)).reshape(height, width)
    np.testing.assert_array_equal(pixel_use(case.layer.axes(case.x.shape)), wins.numpy())
