from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convviz.core.kernels import KERNELS, make_kernel
from convviz.core.layers import AvgPool2d, Conv2d, Drawn, MaxPool2d, Shape
from convviz.core.window import Pair, ShapeError
from convviz.ui.lab import limits
from convviz.ui.lab.limits import PARAMETERS, WindowLayer
from convviz.ui.lab.state import LabState
from tests.ui.lab.lab_cases import PADDING_MODES, settable, sizes, states


@st.composite
def window_layers(draw: st.DrawFn) -> WindowLayer:
    """Windows of which many fit no small input."""
    many, shown = st.integers(1, 20), st.integers(1, limits.MAX_STRIDE)
    kernel, stride, dilation = draw(st.tuples(many, many)), draw(st.tuples(shown, shown)), draw(st.tuples(shown, shown))
    kind = draw(st.sampled_from([Conv2d, MaxPool2d, AvgPool2d]))
    if kind is Conv2d:
        same, most = draw(st.booleans()), st.integers(0, 20)
        return Conv2d(
            1,
            1,
            kernel,
            (1, 1) if same else stride,
            "same" if same else draw(st.tuples(most, most)),
            dilation,
            padding_mode=draw(st.sampled_from(PADDING_MODES)),
        )
    padding = draw(st.integers(0, kernel[0] // 2)), draw(st.integers(0, kernel[1] // 2))
    if kind is AvgPool2d:
        return AvgPool2d(kernel, stride, padding, draw(st.booleans()), draw(st.booleans()))
    return MaxPool2d(kernel, stride, padding, dilation, ceil_mode=draw(st.booleans()))


def fits(layer: WindowLayer, shape: Shape) -> bool:
    try:
        return min(layer.output_shape(shape)) >= 1
    except ShapeError:
        return False


def with_value(layer: WindowLayer, name: str, axis: int, value: int) -> WindowLayer:
    pair = list(limits.parameter(layer, name))
    pair[axis] = value
    if name == "kernel_size" and isinstance(layer, Conv2d):
        return limits.with_kernel_size(layer, (pair[0], pair[1]))
    changed: dict[str, Any] = {name: tuple(pair)}
    return layer.changed(**changed)


# ---- ranges


@given(state=states())
@settings(max_examples=60)
def test_both_ends_of_every_range_are_legal_while_the_rest_stays(state: LabState) -> None:
    layer, channels = state.layer, state.channels
    assert isinstance(layer, WindowLayer)
    for axis in (0, 1):
        found = limits.ranges(layer, state.size, axis)
        for value in (found.size.least, found.size.most):
            shape = [channels, *state.size]
            shape[1 + axis] = value
            assert fits(layer, tuple(shape))
        for name in settable(layer):
            for value in (getattr(found, name).least, getattr(found, name).most):
                assert fits(with_value(layer, name, axis, value), state.input.shape), f"{name} {value} on axis {axis}"


@given(state=states())
@settings(max_examples=60)
def test_one_beyond_a_range_does_not_fit_or_is_more_than_is_shown(state: LabState) -> None:
    layer = state.layer
    assert isinstance(layer, WindowLayer)
    for axis in (0, 1):
        found = limits.ranges(layer, state.size, axis)
        for name in settable(layer):
            span = getattr(found, name)
            for value, bound in ((span.least - 1, span.below), (span.most + 1, span.above)):
                if bound not in {"one", "zero", "shown"}:
                    with pytest.raises(ShapeError):
                        with_value(layer, name, axis, value).output_shape(state.input.shape)


def test_ranges_of_a_known_window() -> None:
    conv = limits.ranges(Conv2d(1, 1, 3, stride=2, padding=1), (7, 9), 0)
    assert (conv.kernel_size.least, conv.kernel_size.most, conv.kernel_size.above) == (1, 9, "fit")
    assert (conv.stride.least, conv.stride.most, conv.stride.above) == (1, limits.MAX_STRIDE, "shown")
    assert (conv.padding.least, conv.padding.most, conv.padding.below) == (0, limits.MAX_PADDING, "zero")
    assert (conv.dilation.least, conv.dilation.most, conv.dilation.above) == (1, 4, "fit")
    assert (conv.size.least, conv.size.most) == (1, limits.MAX_INPUT)
    pooling = limits.ranges(MaxPool2d(3, padding=1), (7, 9), 1)
    assert (pooling.kernel_size.least, pooling.kernel_size.below) == (2, "half_kernel")
    assert (pooling.padding.most, pooling.padding.above) == (1, "half_kernel")


@pytest.mark.parametrize(("mode", "most"), [("reflect", 6), ("circular", 7), ("replicate", 16)])
def test_the_padding_mode_bounds_padding_and_size(mode: Any, most: int) -> None:
    found = limits.ranges(Conv2d(1, 1, 3, padding=4, padding_mode=mode), (7, 7), 0)
    assert found.padding.most == most
    assert found.size.least == {"reflect": 5, "circular": 4, "replicate": 1}[mode]


def test_a_window_that_only_ceil_mode_lets_in_bounds_the_stride() -> None:
    layer = MaxPool2d(3, 2, ceil_mode=True)
    assert limits.ranges(layer, (2, 2), 0).stride.least == 2
    assert limits.legal(layer.changed(ceil_mode=False), (2, 2)).kernel_size == (2, 2)


def test_same_padding_holds_the_stride_and_average_pooling_the_dilation() -> None:
    same = limits.ranges(Conv2d(1, 1, 3, padding="same"), (7, 7), 0)
    assert (same.stride.most, same.stride.above) == (1, "same")
    average = limits.ranges(AvgPool2d(3), (7, 7), 0)
    assert (average.dilation.most, average.dilation.above) == (1, "no_dilation")


# ---- legal


@given(layer=window_layers(), size=sizes(12))
@settings(max_examples=200)
def test_legal_makes_a_window_fit_by_making_parameters_smaller_and_no_more_than_needed(
    layer: WindowLayer, size: Pair
) -> None:
    made = limits.legal(layer, size)
    shape = (1, *size)
    assert fits(made, shape)
    assert limits.legal(made, size) == made
    for name in settable(made):
        for axis in (0, 1):
            before, after = limits.parameter(layer, name)[axis], limits.parameter(made, name)[axis]
            span = getattr(limits.ranges(made, size, axis), name)
            assert span.least <= after <= span.most
            assert after <= before
            one_cell_window = name == "dilation" and made.kernel_size[axis] == 1
            if after < before and not one_cell_window:
                assert after == span.most, f"{name} on axis {axis} could have stayed greater"


@given(state=states())
@settings(max_examples=60)
def test_what_is_legal_is_left_alone(state: LabState) -> None:
    layer = state.layer
    assert isinstance(layer, WindowLayer)
    assert limits.legal(layer, state.size, state.kernel_seed) == layer


def test_legal_keeps_what_has_nothing_to_do_with_size() -> None:
    pooling = AvgPool2d(5, 2, 2, count_include_pad=False, divisor_override=3)
    assert limits.legal(pooling, (3, 9)) == pooling
    assert limits.legal(AvgPool2d(9, 2, count_include_pad=False, divisor_override=3), (3, 9)) == pooling.changed(
        kernel_size=(3, 9), padding=0
    )
    conv = Conv2d(2, 4, 5, groups=2, flip=True, bias=[1, 2, 3, 4])
    assert limits.legal(conv, (3, 9)) == Conv2d(2, 4, (3, 5), groups=2, flip=True, bias=[1, 2, 3, 4])


# ---- parameters


def test_parameters_are_read_in_cells() -> None:
    assert limits.parameter(Conv2d(1, 1, (3, 4), padding="same"), "padding") == (1, 1)
    assert limits.parameter(Conv2d(1, 1, 3, padding="valid"), "padding") == (0, 0)
    assert limits.parameter(AvgPool2d(3), "dilation") == (1, 1)
    layer = MaxPool2d((3, 4), (1, 2), (1, 2), (5, 6))
    assert [limits.parameter(layer, name) for name in PARAMETERS] == [(3, 4), (1, 2), (1, 2), (5, 6)]


# ---- kernels


@given(kind=st.sampled_from(list(KERNELS)), size=sizes(5), other=sizes(5), seed=st.integers(0, 9))
def test_a_known_kernel_is_made_anew_at_another_size(kind: str, size: Pair, other: Pair, seed: int) -> None:
    weight = np.broadcast_to(make_kernel(kind, size, seed), (1, 2, *size))
    layer = Conv2d(2, 1, size, weight=weight)
    name = limits.kernel_name(layer, 0, seed)
    resized = limits.with_kernel_size(layer, other, seed)
    assert resized.kernel_size == other
    if other != size and name is not None:
        for kernel in resized.weight[0]:
            assert np.array_equal(kernel, make_kernel(name, other, seed))


def test_only_known_kernels_of_a_layer_are_made_anew_the_others_are_cut_or_filled() -> None:
    custom = np.arange(1.0, 10.0).reshape(3, 3)
    layer = Conv2d(1, 2, 3, weight=np.stack([make_kernel("box", (3, 3)), custom])[:, None])
    box, cut = limits.with_kernel_size(layer, (2, 4)).weight[:, 0]
    assert np.array_equal(box, make_kernel("box", (2, 4)))
    assert cut.tolist() == [[1, 2, 3, 0], [4, 5, 6, 0]]


def test_a_kernel_is_known_only_on_all_channels() -> None:
    sobel, box = make_kernel("sobel_x", (3, 3)), make_kernel("box", (3, 3))
    layer = Conv2d(2, 2, 3, weight=[[sobel, sobel], [sobel, box]])
    assert limits.kernel_name(layer, 0) == "sobel_x"
    assert limits.kernel_name(layer, 1) is None


def test_a_random_kernel_is_known_by_its_seed() -> None:
    layer = Conv2d(1, 1, 3, weight=make_kernel("random", (3, 3), 4)[None, None])
    assert limits.kernel_name(layer, 0, 4) == "random"
    assert limits.kernel_name(layer, 0, 5) is None


def test_drawn_weights_have_no_name_and_stay_drawn_at_another_size() -> None:
    layer = Conv2d(1, 2, 3, weight=Drawn(3), bias=Drawn(3))
    assert limits.kernel_name(layer, 0) is None
    resized = limits.with_kernel_size(layer, (5, 5))
    assert resized.arrays == {"weight": Drawn(3), "bias": Drawn(3)}
    assert resized.kernel_size == (5, 5)


def test_new_output_channels_get_the_classic_kernels_and_the_others_stay() -> None:
    layer = Conv2d(1, 2, 3, weight=np.arange(18.0).reshape(2, 1, 3, 3), bias=[5, 6])
    grown = limits.with_out_channels(layer, 4)
    assert np.array_equal(grown.weight[:2], layer.weight)
    assert limits.kernel_name(grown, 2) == limits.CLASSIC_KERNELS[2]
    assert limits.kernel_name(grown, 3) == limits.CLASSIC_KERNELS[3]
    assert grown.arrays["bias"] is not None
    assert grown.bias is not None
    assert grown.bias.tolist() == [5, 6, 0, 0]
    assert limits.with_out_channels(grown, 2) == layer


@pytest.mark.parametrize("weight", [Drawn(2), np.ones((2, 1, 3, 3))])
@pytest.mark.parametrize("bias", [Drawn(2), None, [5.0, 6.0]])
@pytest.mark.parametrize("count", [1, 5])
def test_every_kind_of_weights_can_have_more_or_fewer_output_channels(weight: Any, bias: Any, count: int) -> None:
    layer = Conv2d(1, 2, 3, weight=weight, bias=bias)
    other = limits.with_out_channels(layer, count)
    assert other.weight.shape == (count, 1, 3, 3)
    assert (other.bias is None) == (bias is None)
    if layer.bias is not None and other.bias is not None:
        assert np.array_equal(other.bias[:2], layer.bias[:count])
