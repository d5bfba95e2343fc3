import numpy as np
import pytest

from convviz.core.elementwise import BatchNorm2d
from convviz.core.inputs import make_input
from convviz.core.layers import Conv2d, GlobalAvgPool2d, MaxPool2d
from convviz.core.presets import PRESETS, four_layers
from convviz.core.stack import Stack


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_fits_and_is_the_same_every_time(name: str) -> None:
    stack = PRESETS[name]()
    assert stack.problem is None
    assert stack == PRESETS[name]()


@pytest.mark.parametrize(
    ("name", "num_parameters"),
    [
        ("four_layers", 20),
        ("dilations", 30),
        ("lenet5", 61_706),
        ("lenet5_rgb", 62_006),
        ("tutorial_cnn", 62_006),
        ("small_cnn", 76_922),
        ("fast_cnn", 427_178),
        ("alexnet", 50_303_912),
        ("vgg16", 138_357_544),
        ("resnet50_main_path", 25_557_032 - 2_776_576),  # without the four projections of its shortcuts
    ],
)
def test_parameters(name: str, num_parameters: int) -> None:
    assert PRESETS[name]().num_parameters == num_parameters


def fields_before_dense(stack: Stack) -> list[tuple[int, int, int]]:
    """Size, jump and padding of convolutions and max pooling."""
    fields = [
        (row.receptive_field.rows, row.receptive_field.cols)
        for row, layer in zip(stack.table, stack.layers, strict=True)
        if isinstance(layer, (Conv2d, MaxPool2d))
    ]
    assert all(rows == cols for rows, cols in fields)
    return [(rows.size, rows.jump, rows.padding) for rows, _ in fields]


def test_published_receptive_fields() -> None:
    """Araujo, Norris and Sim, Distill 2019, and the values that are told for VGG-16 layer by layer."""
    assert fields_before_dense(PRESETS["alexnet"]())[-1] == (195, 32, 64)
    vgg = fields_before_dense(PRESETS["vgg16"]())
    assert vgg[-1] == (212, 32, 90)
    assert [size for size, _, _ in vgg] == [
        *(3, 5, 6, 10, 14, 16, 24, 32, 40, 44, 60, 76, 92, 100, 132, 164, 196, 212),
    ]
    assert fields_before_dense(PRESETS["dilations"]()) == [(3, 1, 0), (7, 1, 0), (15, 1, 0)]
    assert fields_before_dense(PRESETS["resnet50_main_path"]())[-1][:2] == (427, 32)


def test_the_four_layer_example() -> None:
    stack = four_layers()
    edges, rectified, maxima, means = stack.forward(make_input("letter", (12, 12)))
    np.testing.assert_array_equal(rectified, np.maximum(edges, 0))
    assert edges.min() < 0
    assert means[0, 1, 1] == pytest.approx(maxima[0, 1:4, 1:4].mean())
    assert stack.input_region(3, (1, 1)).rows == range(2, 10)


def test_small_presets_run() -> None:
    for name in ("lenet5", "lenet5_rgb", "tutorial_cnn", "small_cnn", "fast_cnn"):
        stack = PRESETS[name]()
        logits = stack.forward(np.ones(stack.input_shape))[-1]
        assert logits.shape == (10,)
        assert np.ptp(logits) > 0


def test_the_main_path_ends_in_a_global_average() -> None:
    stack = PRESETS["resnet50_main_path"]()
    assert isinstance(stack.layers[-3], GlobalAvgPool2d)
    assert stack.shapes[-4] == (2048, 7, 7)


def test_both_forms_of_lenet5_agree_behind_the_first_convolution() -> None:
    grey, colour = PRESETS["lenet5"](), PRESETS["lenet5_rgb"]()
    assert grey.shapes[1:] == colour.shapes[1:]
    assert grey.layers[1:] == colour.layers[1:]


def test_the_fast_cnn_is_small_enough_to_be_shipped() -> None:
    """Below 2 MB in float32, running statistics included."""
    stack = PRESETS["fast_cnn"]()
    statistics = sum(2 * layer.num_features for layer in stack.layers if isinstance(layer, BatchNorm2d))
    assert 4 * (stack.num_parameters + statistics) < 2_000_000
    assert stack.shapes[-4] == (128, 4, 4)
    assert all(layer.bias is None for layer in stack.layers if isinstance(layer, Conv2d))
