import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convviz.core.dense import Linear
from convviz.core.elementwise import BatchNorm2d, Dropout, Elementwise
from convviz.core.layers import AvgPool2d, Conv2d, GlobalAvgPool2d, GlobalMaxPool2d, Layer, MaxPool2d
from convviz.core.receptive_field import AxisField, cells_seen
from convviz.core.stack import Stack
from convviz.core.window import Axis
from tests.core.stack_cases import stacks, torch_outputs

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # torch's own remark


def test_the_table_of_the_four_layer_example() -> None:
    field = AxisField()
    told = [(field.size, field.jump, field.start)]
    for axis in (Axis(12, 3), Axis(10, 1), Axis(10, 2, stride=2), Axis(5, 3)):
        field = field.through(axis)
        told.append((field.size, field.jump, field.start))
    assert told == [(1, 1, 0.5), (3, 1, 1.5), (3, 1, 1.5), (4, 2, 2.0), (8, 2, 4.0)]


def test_dilation_counts_in_size_and_start() -> None:
    field = AxisField().through(Axis(20, 3, stride=2, dilation=4, pad_before=1, pad_after=1))
    assert (field.size, field.jump, field.padding, field.start) == (9, 2, 1, 3.5)
    assert field.through(Axis(7, 3, dilation=2)).size == 9 + 4 * 2


def test_padding_only() -> None:
    rows, real_rows = cells_seen([Axis(3, 1, pad_before=2, pad_after=2)], 0)
    assert rows == range(-2, -1)
    assert len(real_rows) == 0


def test_padding_of_a_later_layer_hides_nothing_that_is_seen() -> None:
    first, second = Axis(6, 2, stride=4), Axis(2, 3, pad_before=1, pad_after=1)
    rows, real_rows = cells_seen([first, second], 1)
    assert rows == range(10)
    assert real_rows == range(6)
    assert cells_seen([Axis(5, 2, stride=4), Axis(1, 3, pad_before=1, pad_after=1)], 0) == (range(-4, 6), range(2))


def test_padding_that_repeats_cells_shows_where_they_are() -> None:
    assert cells_seen([Axis(9, 3, pad_before=2, pad_after=2, padding_mode="circular")], 0) == (range(-2, 1), range(9))
    assert cells_seen([Axis(9, 2, pad_before=3, pad_after=3, padding_mode="reflect")], 0) == (
        range(-3, -1),
        range(2, 4),
    )
    assert cells_seen([Axis(9, 2, pad_before=3, pad_after=3, padding_mode="replicate")], 0)[1] == range(1)


@given(stacks())
def test_regions_follow_from_size_jump_and_padding(stack: Stack) -> None:
    for index, shape in enumerate(stack.shapes[1:]):
        if len(shape) == 3:
            field, last = stack.receptive_field(index), (shape[1] - 1, shape[2] - 1)
            for i, j in ((0, 0), last):
                region = stack.input_region(index, (i, j))
                for axis, seen, at in ((field.rows, region.rows, i), (field.cols, region.cols, j)):
                    assert seen.start == at * axis.jump - axis.padding
                    assert len(seen) == axis.size
                    assert at or axis.start == (seen.start + seen.stop) / 2


def all_open(layer: Layer) -> Layer:
    """The layer with every path from input to output open: positive weights, averages, no activations."""
    match layer:
        case Conv2d() | Linear():
            return layer.changed(weight=np.ones(layer.array_shapes["weight"]))
        case MaxPool2d():
            return AvgPool2d(layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
        case GlobalMaxPool2d():
            return GlobalAvgPool2d()
        case Elementwise() if not isinstance(layer, BatchNorm2d):
            return Dropout()
        case _:
            return layer


def leaves_no_gaps(layer: Layer) -> bool:
    match layer:
        case Conv2d():
            return layer.dilation == (1, 1) and all(map(int.__le__, layer.stride, layer.kernel_size))
        case AvgPool2d():
            return all(map(int.__le__, layer.stride, layer.kernel_size))
        case _:
            return True


@settings(max_examples=200)
@given(stacks(), st.data())
def test_the_region_is_where_the_gradient_can_be(stack: Stack, data: st.DataObject) -> None:
    stack = Stack(stack.input_shape, [all_open(layer) for layer in stack.layers], stack.switched_off)
    x = torch.ones((1, *stack.input_shape), dtype=torch.float64, requires_grad=True)
    outputs = torch_outputs(stack, x)
    if not outputs:
        return
    index = data.draw(st.integers(0, len(outputs) - 1))
    shape = stack.shapes[index + 1]
    unit = tuple(data.draw(st.integers(0, size - 1)) for size in shape)
    region = stack.input_region(index, unit if len(unit) == 1 else unit[1:])
    (gradient,) = torch.autograd.grad(outputs[index][(0, *unit)], x)
    seen = (gradient[0] != 0).any(dim=0).numpy()
    mask = np.zeros_like(seen)
    mask[region.real_rows.start : region.real_rows.stop, region.real_cols.start : region.real_cols.stop] = True
    assert not (seen & ~mask).any()
    window_layers = [layer for i, layer in enumerate(stack.layers[: index + 1]) if stack.is_on(i)]
    if all(map(leaves_no_gaps, window_layers)) and not any(repeats(layer) for layer in window_layers):
        np.testing.assert_array_equal(seen, mask)


def repeats(layer: Layer) -> bool:
    return isinstance(layer, Conv2d) and layer.padding_mode != "zeros"


def test_a_first_block_by_hand() -> None:
    stack = Stack((1, 8, 8), [Conv2d(1, 1, 3, padding=1), Conv2d(1, 1, 3, padding=1), MaxPool2d(2)])
    fields = [stack.receptive_field(index).rows for index in range(3)]
    assert [(field.size, field.jump, field.padding) for field in fields] == [(3, 1, 1), (5, 1, 2), (6, 2, 2)]
