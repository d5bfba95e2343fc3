from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convviz.core.layers import AvgPool2d, Conv2d, MaxPool2d
from convviz.core.window import (
    UNLIMITED,
    Axis,
    Padding,
    PaddingMode,
    ShapeError,
    integer,
    max_dilation,
    max_kernel_size,
    max_padding,
    min_kernel_size,
    min_padding,
    pair,
    same_padding,
)
from tests.core.layer_cases import PADDING_MODES, Case, all_cases

NUMPY_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def fits(make: Callable[[], object]) -> bool:
    try:
        make()
    except ShapeError:
        return False
    return True


@pytest.mark.parametrize(
    ("axis", "taps"),
    [
        (Axis(5, 3), [[0, 1, 2], [1, 2, 3], [2, 3, 4]]),
        (Axis(6, 3, stride=2), [[0, 1, 2], [2, 3, 4]]),
        (Axis(6, 3, stride=2, ceil_mode=True), [[0, 1, 2], [2, 3, 4], [4, 5, 6]]),
        (Axis(5, 2, dilation=3, pad_before=1), [[-1, 2], [0, 3], [1, 4]]),
        (Axis(2, 3, stride=2, ceil_mode=True), [[0, 1, 2]]),
    ],
)
def test_taps(axis: Axis, taps: list[list[int]]) -> None:
    np.testing.assert_array_equal(axis.taps, taps)
    assert axis.output_size == len(taps)


def test_the_last_window_of_ceil_mode_starts_inside_the_input_or_the_padding_before() -> None:
    assert Axis(3, 2, stride=3, pad_before=1, pad_after=1, ceil_mode=True).output_size == 2
    assert Axis(2, 2, stride=3, pad_before=1, pad_after=1, ceil_mode=True).output_size == 1


@given(all_cases())
def test_sources_are_where_numpy_padding_finds_the_value(case: Case) -> None:
    for axis in case.layer.axes(case.x.shape):
        fill = {"constant_values": -1} if axis.padding_mode == "zeros" else {}
        cells = np.pad(np.arange(axis.size), (axis.pad_before, axis.pad_after), NUMPY_MODES[axis.padding_mode], **fill)  # type: ignore[call-overload]  # a str among literals
        beyond = np.full(axis.stride + axis.span, -1)
        np.testing.assert_array_equal(axis.sources, np.concatenate([cells, beyond])[axis.taps + axis.pad_before])


@given(all_cases())
def test_covered_readers_and_reach_agree_with_sources(case: Case) -> None:
    for axis in case.layer.axes(case.x.shape):
        for index in range(axis.size):
            expected = [o for o in range(axis.output_size) if index in axis.sources[o]]
            assert axis.readers(index).tolist() == expected
            assert axis.covered[index] == bool(expected)
        for tap in range(axis.kernel_size):
            outputs, inputs = axis.reach(tap)
            on_input = axis.is_inside(axis.taps[:, tap])
            np.testing.assert_array_equal(np.arange(axis.output_size)[outputs], np.flatnonzero(on_input))
            np.testing.assert_array_equal(np.arange(axis.size)[inputs], axis.taps[on_input, tap])


def test_readers_of_a_cell_outside() -> None:
    with pytest.raises(IndexError, match="cell 5 is outside 0 to 4"):
        Axis(5, 3).readers(5)


def test_shared_arrays_cannot_be_changed() -> None:
    axis = Axis(5, 3)
    for array in (axis.taps, axis.sources, axis.covered):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_same_padding_puts_the_odd_cell_after() -> None:
    assert same_padding(3, 1) == (1, 1)
    assert same_padding(4, 1) == (1, 2)
    assert same_padding(2, 3) == (1, 2)


def test_a_misfit_names_all_sizes_and_what_would_fit() -> None:
    with pytest.raises(ShapeError) as raised:
        Axis(4, 3, dilation=3, pad_before=1, pad_after=1, name="height")
    assert str(raised.value) == (
        "A kernel of 3 with dilation 3 spans 7 cells along the height, but the input has 4 (2 more as padding); "
        "a kernel size of at most 2 or a dilation of at most 2 or an input of at least 5 would fit."
    )


@pytest.mark.parametrize("mode", ["reflect", "circular"])
def test_padding_that_the_mode_cannot_fill(mode: PaddingMode) -> None:
    most = max_padding(4, padding_mode=mode)
    with pytest.raises(ShapeError, match=f"{mode} padding of {most + 1} does not fit an input of 4; at most {most}"):
        Axis(4, 3, pad_before=0, pad_after=most + 1, padding_mode=mode)


@pytest.mark.parametrize("value", [True, 1.0, "3", None, np.float64(2)])
def test_only_whole_numbers_are_sizes(value: object) -> None:
    with pytest.raises(ShapeError, match="must be a whole number"):
        integer(value, "stride")


def test_pair() -> None:
    assert pair(3, "stride") == (3, 3)
    assert pair([2, np.int64(5)], "stride") == (2, 5)  # type: ignore[list-item]  # numpy's integers are welcome
    for value, message in ((0, "stride is 0"), ((1, 0), "stride is 0"), ((1, 2, 3), "stride has 3 values")):
        with pytest.raises(ShapeError, match=message):
            pair(value, "stride")


sizes = st.integers(1, 12)
conv_paddings: st.SearchStrategy[Padding] = st.integers(0, 4) | st.sampled_from(["same", "valid"])


@given(
    size=sizes,
    kernel=st.integers(1, 6),
    padding=conv_paddings,
    dilation=st.integers(1, 4),
    stride=st.integers(1, 4),
    mode=st.sampled_from(PADDING_MODES),
)
def test_limits_of_a_convolution(
    *, size: int, kernel: int, padding: Padding, dilation: int, stride: int, mode: PaddingMode
) -> None:
    stride = 1 if padding == "same" else stride
    if isinstance(padding, int):
        padding = min(padding, max_padding(size, padding_mode=mode))

    def accepted(kernel: int = kernel, padding: Padding = padding, dilation: int = dilation) -> bool:
        layer = Conv2d(1, 1, kernel, stride, padding, dilation, padding_mode=mode)
        return fits(lambda: layer.output_shape((1, size, size)))

    greatest = max_kernel_size(size, padding=padding, dilation=dilation, padding_mode=mode)
    assert accepted(kernel=min(greatest, 50))
    assert greatest == UNLIMITED or not accepted(kernel=greatest + 1)
    widest = max_dilation(size, kernel_size=kernel, padding=padding, padding_mode=mode)
    assert widest == 0 or accepted(dilation=min(widest, 50))
    assert widest == UNLIMITED or not accepted(dilation=widest + 1)
    least, most = min_padding(size, kernel_size=kernel, dilation=dilation), max_padding(size, padding_mode=mode)
    assert least == 0 or not accepted(padding=least - 1)
    assert most == UNLIMITED or not accepted(padding=most + 1)
    assert accepted(padding=least) == (least <= most)
    assert accepted(padding=min(most, 50)) == (least <= most)


@given(
    size=sizes,
    kernel=st.integers(1, 6),
    padding=st.integers(0, 3),
    dilation=st.integers(1, 4),
    stride=st.integers(1, 4),
    ceil_mode=st.booleans(),
)
def test_limits_of_pooling(
    *, size: int, kernel: int, padding: int, dilation: int, stride: int, ceil_mode: bool
) -> None:
    kernel = max(kernel, min_kernel_size(padding=padding))

    def accepted(kernel: int = kernel, padding: int = padding, dilation: int = dilation) -> bool:
        return fits(
            lambda: MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil_mode).output_shape((1, size, size))
        )

    greatest = max_kernel_size(size, padding=padding, dilation=dilation, stride=stride, ceil_mode=ceil_mode)
    assert not accepted(kernel=greatest + 1)
    assert accepted(kernel=greatest) == (greatest >= min_kernel_size(padding=padding))
    assert padding == 0 or not accepted(kernel=min_kernel_size(padding=padding) - 1)
    widest = max_dilation(size, kernel_size=kernel, padding=padding, stride=stride, ceil_mode=ceil_mode)
    assert widest == 0 or accepted(dilation=min(widest, 50))
    assert widest == UNLIMITED or not accepted(dilation=widest + 1)
    least = min_padding(size, kernel_size=kernel, dilation=dilation, stride=stride, ceil_mode=ceil_mode)
    most = max_padding(size, kernel_size=kernel)
    assert least == 0 or not accepted(padding=least - 1)
    assert not accepted(padding=most + 1)
    assert accepted(padding=least) == accepted(padding=most) == (least <= most)


def test_average_pooling_has_the_same_limits() -> None:
    assert fits(lambda: AvgPool2d(5, padding=2).output_shape((1, 1, 1)))
    assert not fits(lambda: AvgPool2d(5, padding=3))
