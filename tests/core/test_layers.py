import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convviz.core.elementwise import ReLU
from convviz.core.explain import FloatArray
from convviz.core.layers import AvgPool2d, Conv2d, GlobalAvgPool2d, GlobalMaxPool2d, Layer, MaxPool2d
from convviz.core.window import PaddingMode, ShapeError
from tests.core.layer_cases import (
    PADDING_MODES,
    Case,
    all_cases,
    conv_cases,
    max_cases,
    torch_module,
    vector_cases,
)

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # torch's own remark


def grid(rows: int, cols: int, start: int = 0) -> FloatArray:
    return np.arange(start, start + rows * cols, dtype=np.float64).reshape(1, rows, cols)


def conv(weight: Any, **arguments: Any) -> Conv2d:
    kernel = np.asarray(weight, dtype=np.float64)[None, None]
    return Conv2d(1, 1, kernel.shape[2:], weight=kernel, **arguments)


KERNEL = [[0, 1], [2, 3]]


def test_convolution_of_a_ramp() -> None:
    np.testing.assert_array_equal(conv(KERNEL).forward(grid(3, 3)), [[[19, 25], [37, 43]]])


def test_flipped_kernel() -> None:
    np.testing.assert_array_equal(conv(KERNEL, flip=True).forward(grid(3, 3)), [[[5, 11], [23, 29]]])


def test_padding_of_one() -> None:
    output = conv(KERNEL, padding=1).forward(grid(3, 3))
    np.testing.assert_array_equal(output, [[[0, 3, 8, 4], [9, 19, 25, 10], [21, 37, 43, 16], [6, 7, 8, 0]]])


def test_stride_of_three_by_two_on_the_padded_ramp() -> None:
    np.testing.assert_array_equal(conv(KERNEL, padding=1, stride=(3, 2)).forward(grid(3, 3)), [[[0, 8], [6, 8]]])


def test_edge_detector() -> None:
    image = np.ones((1, 6, 8))
    image[:, :, 2:6] = 0
    np.testing.assert_array_equal(conv([[1, -1]]).forward(image), [[[0, 1, 0, 0, 0, -1, 0]] * 6])


def test_two_input_channels() -> None:
    x = np.concatenate([grid(3, 3), grid(3, 3, start=1)])
    layer = Conv2d(2, 1, 2, weight=[[[[0, 1], [2, 3]], [[1, 2], [3, 4]]]])
    np.testing.assert_array_equal(layer.forward(x), [[[56, 72], [104, 120]]])


def test_dot_product() -> None:
    assert conv([[4, 5]]).forward([[[2, 3]]]).item() == 23


@pytest.mark.parametrize(
    ("layer", "x", "expected"),
    [
        (MaxPool2d(2), grid(4, 4, start=1), [[6, 8], [14, 16]]),
        (MaxPool2d(3), grid(4, 4), [[10]]),
        (MaxPool2d(3, padding=1, stride=2), grid(4, 4), [[5, 7], [13, 15]]),
        (MaxPool2d((2, 3), padding=(1, 1), stride=(2, 3)), grid(4, 4), [[1, 3], [9, 11], [13, 15]]),
        (AvgPool2d(2, stride=1), grid(3, 3), [[2, 3], [5, 6]]),
        (GlobalMaxPool2d(), grid(3, 3), [[8]]),
        (GlobalAvgPool2d(), grid(3, 3), [[4]]),
        (ReLU(), grid(1, 3, start=-1), [[0, 0, 1]]),
    ],
)
def test_known_outputs(layer: Layer, x: FloatArray, expected: list[list[float]]) -> None:
    np.testing.assert_array_equal(layer.forward(x), [expected])


@settings(max_examples=300)
@given(all_cases() | vector_cases())
def test_forward_is_what_torch_computes(case: Case) -> None:
    expected = torch_module(case.layer)(torch.tensor(case.x)[None])[0].numpy()
    output = case.layer.forward(case.x)
    assert output.dtype == np.float64
    assert case.layer.output_shape(case.x.shape) == expected.shape
    np.testing.assert_allclose(output, expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=150)
@given(max_cases(return_indices=True))
@example(Case(MaxPool2d(2, 1, 1, 3, True), np.zeros((1, 2, 2))))  # every window lies in the padding altogether
@example(Case(MaxPool2d(2, return_indices=True), np.full((1, 2, 2), -np.inf)))
def test_indices_are_what_torch_finds(case: Case) -> None:
    maxima, indices = torch_module(case.layer)(torch.tensor(case.x)[None])
    output, found = case.layer.forward(case.x)
    np.testing.assert_array_equal(output, maxima[0].numpy())
    np.testing.assert_array_equal(found, indices[0].numpy())


@given(all_cases(), st.data())
def test_forward_at_is_a_part_of_forward(case: Case, data: st.DataObject) -> None:
    output = case.layer.forward(case.x)
    rows, cols = (data.draw(st.lists(st.integers(0, size - 1), max_size=4)) for size in output.shape[1:])
    np.testing.assert_allclose(
        case.layer.forward_at(case.x, rows, cols), output[:, np.array(rows, int)][:, :, np.array(cols, int)], atol=1e-12
    )


@given(all_cases())
def test_an_edited_cell_changes_only_its_readers(case: Case) -> None:
    before, edited = np.nan_to_num(case.x, posinf=2, neginf=-2), np.nan_to_num(case.x, posinf=2, neginf=-2)
    i, j = case.x.shape[1] // 2, case.x.shape[2] // 2
    edited[:, i, j] += 1
    output = case.layer.forward(before)
    row_axis, col_axis = case.layer.axes(case.x.shape)
    rows, cols = row_axis.readers(i), col_axis.readers(j)
    output[:, rows[:, None], cols] = case.layer.forward_at(edited, rows, cols)
    np.testing.assert_allclose(output, case.layer.forward(edited), atol=1e-12)


@given(all_cases() | vector_cases())
def test_float32_stays_float32(case: Case) -> None:
    x = case.x.astype(np.float32)
    output = case.layer.forward(x)
    assert output.dtype == case.layer.forward_at(x, [0], [0]).dtype == np.float32
    np.testing.assert_allclose(output, case.layer.forward(case.x), rtol=1e-4, atol=1e-4)


def test_whole_numbers_are_computed_in_float64() -> None:
    for layer in (conv(KERNEL), MaxPool2d(2), AvgPool2d(2), ReLU(), GlobalAvgPool2d()):
        x = np.array([[[250, 3], [4, 5]]], dtype=np.uint8)
        assert layer.forward(x).dtype == np.float64
        np.testing.assert_array_equal(layer.forward(x), layer.forward(x.astype(np.float64)))


@given(conv_cases())
def test_a_convolution_moves_over_its_padded_input(case: Case) -> None:
    assert isinstance(case.layer, Conv2d)
    plain = dataclasses.replace(case.layer, padding=(0, 0))
    np.testing.assert_allclose(plain.forward(case.layer.padded(case.x)), case.layer.forward(case.x), atol=1e-12)


def test_padded() -> None:
    np.testing.assert_array_equal(
        MaxPool2d(2, padding=(1, 0)).padded([[[1, 2]]]), [[[-np.inf, -np.inf], [1, 2], [-np.inf, -np.inf]]]
    )
    np.testing.assert_array_equal(AvgPool2d((1, 2), padding=(0, 1)).padded([[[1, 2]]]), [[[0, 1, 2, 0]]])
    np.testing.assert_array_equal(Conv2d(1, 1, (1, 4), padding="same").padded([[[1, 2]]]), [[[0, 1, 2, 0, 0]]])
    assert ReLU().padded([[[1, 2]]]).shape == (1, 1, 2)


def test_results_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    layer = Conv2d(2, 4, (3, 2), (2, 1), 1, (2, 1), groups=2, weight=rng.normal(size=(4, 1, 3, 2)))
    x = rng.normal(size=(2, 90, 7))
    whole = layer.forward(x)
    monkeypatch.setattr("convviz.core.layers.BLOCK_BYTES", 1)
    np.testing.assert_array_equal(layer.forward(x), whole)


@given(
    size=st.integers(1, 6),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 3),
    padding=st.integers(0, 4) | st.sampled_from(["same", "valid"]),
    dilation=st.integers(1, 3),
    mode=st.sampled_from(PADDING_MODES),
)
def test_a_convolution_refuses_what_torch_refuses(
    *, size: int, kernel: int, stride: int, padding: Any, dilation: int, mode: PaddingMode
) -> None:
    try:
        module = torch.nn.Conv2d(1, 1, kernel, stride, padding, dilation, padding_mode=mode)
        with torch.no_grad():
            module(torch.zeros(1, 1, size, size))
    except (RuntimeError, ValueError):
        with pytest.raises(ShapeError):
            Conv2d(1, 1, kernel, stride, padding, dilation, padding_mode=mode).output_shape((1, size, size))
    else:
        Conv2d(1, 1, kernel, stride, padding, dilation, padding_mode=mode).forward(np.zeros((1, size, size)))


@given(
    size=st.integers(1, 6),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.integers(0, 4),
    dilation=st.integers(1, 3),
    ceil_mode=st.booleans(),
)
def test_pooling_refuses_what_torch_refuses(
    *, size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> None:
    try:
        torch.nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil_mode)(torch.zeros(1, 1, size, size))
    except RuntimeError:
        with pytest.raises(ShapeError):
            MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil_mode).output_shape((1, size, size))
    else:
        MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil_mode).forward(np.zeros((1, size, size)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": 3}, "groups is 3, but it must divide in_channels 4 and out_channels 6; any divisor of 2 would fit"),
        ({"stride": 0}, "stride is 0; it must be at least 1"),
        ({"dilation": (1, 0)}, "dilation is 0; it must be at least 1"),
        ({"padding": -1}, "padding is -1; it must be at least 0"),
        ({"padding": "full"}, "padding is 'full'"),
        ({"padding": "same", "stride": 2}, 'padding "same" needs stride 1, but the stride is 2×2'),
        ({"padding_mode": "mirror"}, "padding_mode is 'mirror'; it must be one of zeros, reflect, replicate, circular"),
        ({"weight": np.zeros((6, 4, 3, 2))}, "weight is 6×4×3×2; this layer takes 6×4×3×3"),
        ({"bias": np.zeros(4)}, "bias is 4; this layer takes 6"),
    ],
)
def test_impossible_convolutions(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Conv2d(4, 6, 3, **arguments)


def test_impossible_pooling() -> None:
    with pytest.raises(ShapeError, match="width: pooling padding 2 is more than half the kernel size 3; at most 1"):
        MaxPool2d(3, padding=(1, 2))
    with pytest.raises(ShapeError, match="divisor_override is 0"):
        AvgPool2d(2, divisor_override=0)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 5, 5), "The input has 2 channels, but the convolution takes 1"),
        ((1, 2, 5), "A kernel of 3 with dilation 1 spans 3 cells along the height, but the input has 2"),
        ((5, 5), "The input is 5×5; it must be channels × height × width"),
        ((1, 0, 5), "The input is 1×0×5"),
        ((), "The input is a single number"),
    ],
)
def test_inputs_that_do_not_fit(shape: tuple[int, ...], message: str) -> None:
    layer = Conv2d(1, 1, 3)
    for use in (layer.forward, layer.padded, lambda x: layer.explain(x, (0, 0, 0))):
        with pytest.raises(ShapeError, match=message):
            use(np.zeros(shape))


def test_every_layer_refuses_what_is_not_channels_by_height_by_width() -> None:
    for layer in (Conv2d(1, 1, 1), MaxPool2d(1), AvgPool2d(1), ReLU(), GlobalMaxPool2d(), GlobalAvgPool2d()):
        for use in (layer.forward, layer.padded, lambda x, layer=layer: layer.explain(x, (0, 0, 0))):
            with pytest.raises(ShapeError, match="The input is 4×4; it must be channels × height × width"):
                use(np.zeros((4, 4)))


@pytest.mark.parametrize("layer", [conv(KERNEL), MaxPool2d(2), AvgPool2d(2), ReLU(), GlobalMaxPool2d()])
def test_forward_at_outside_the_output(layer: Layer) -> None:
    for rows, cols in (([-1], [0]), ([0], [9])):
        with pytest.raises(IndexError, match="there is no output"):
            layer.forward_at(grid(3, 3), rows, cols)


def test_counts() -> None:
    layer = Conv2d(4, 6, (3, 5), padding=(1, 2), stride=2, groups=2, bias=np.zeros(6))
    assert layer.num_parameters == 6 * 2 * 15 + 6
    assert layer.multiply_adds((4, 8, 8)) == 4 * 4 * 6 * 2 * 15
    for plain in (MaxPool2d(2), AvgPool2d(2), ReLU(), GlobalAvgPool2d()):
        assert plain.num_parameters == plain.multiply_adds((1, 4, 4)) == 0


def test_equality() -> None:
    layer = conv(KERNEL, bias=[1.0])
    assert layer == conv(KERNEL, bias=[1.0])
    assert hash(layer) == hash(conv(KERNEL, bias=[1.0]))
    for other in (conv(KERNEL), conv(KERNEL, bias=[2.0]), conv([[0, 1], [2, 4]], bias=[1.0]), MaxPool2d(2)):
        assert layer != other
    assert dataclasses.replace(layer, stride=(2, 2)) == conv(KERNEL, bias=[1.0], stride=2)
    assert MaxPool2d(2) == MaxPool2d((2, 2), stride=2) != MaxPool2d(2, stride=1)


def test_parameters_are_copies_and_read_only() -> None:
    weight, bias = np.ones((1, 1, 2, 2)), np.ones(1)
    layer = Conv2d(1, 1, 2, weight=weight, bias=bias)
    weight[:], bias[:] = 5, 5
    assert layer.forward(np.ones((1, 2, 2))).item() == 5
    for array in (layer.weight, layer.bias, Conv2d(1, 1, 2).weight):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
