import numpy as np
import pytest

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
        ("tutorial_cnn", 62_006),
        ("small_cnn", 76_922),
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
    for name in ("lenet5", "tutorial_cnn", "small_cnn"):
        stack = PRESETS[name]()
        logits = stack.forward(np.ones(stack.input_shape))[-1]
        assert logits.shape == (10,)
        assert np.ptp(logits) > 0


def test_the_main_path_ends_in_a_global_average() -> None:
    stack = PRESETS["resnet50_main_path"]()
    assert isinstance(stack.layers[-3], GlobalAvgPool2d)
    assert stack.shapes[-4] == (2048, 7, 7)
