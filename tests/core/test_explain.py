import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings

from convviz.core.elementwise import ReLU
from convviz.core.explain import AvgExplanation, ConvExplanation, Explanation, MaxExplanation
from convviz.core.layers import AvgPool2d, Conv2d, GlobalMaxPool2d, Layer, MaxPool2d
from tests.core.layer_cases import Case, all_cases, avg_cases, conv_cases, max_cases, vector_cases

RAMP = np.arange(9.0).reshape(1, 3, 3)


def explained(case: Case) -> Iterator[Explanation]:
    for position in np.ndindex(case.layer.output_shape(case.x.shape)):
        yield case.layer.explain(case.x, position)


@settings(max_examples=150)
@given(all_cases() | vector_cases())
def test_every_cell_adds_up_to_forward(case: Case) -> None:
    output = case.layer.forward(case.x)
    results = np.array([explanation.result for explanation in explained(case)]).reshape(output.shape)
    np.testing.assert_allclose(results, output, rtol=1e-9, atol=1e-9)


@given(all_cases())
def test_values_are_read_where_the_sources_say(case: Case) -> None:
    rows, cols = case.layer.axes(case.x.shape)
    for e in explained(case):
        _, i, j = e.position
        np.testing.assert_array_equal(e.rows, rows.taps[i])
        np.testing.assert_array_equal(e.cols, cols.taps[j])
        np.testing.assert_array_equal(e.source_rows, rows.sources[i])
        np.testing.assert_array_equal(e.source_cols, cols.sources[j])
        np.testing.assert_array_equal(e.is_padding, ~(rows.is_inside(e.rows)[:, None] & cols.is_inside(e.cols)))
        constant = -np.inf if isinstance(e, MaxExplanation) else 0.0
        for (k, c), (a, row), (b, col) in itertools.product(
            enumerate(e.input_channels), enumerate(e.source_rows), enumerate(e.source_cols)
        ):
            expected = constant if min(row, col) < 0 else case.x[c, row, col]
            np.testing.assert_array_equal(e.values[k, a, b], expected)


@given(conv_cases())
def test_a_convolution_is_a_sum_of_products_and_a_dot_product(case: Case) -> None:
    for e in explained(case):
        assert isinstance(e, ConvExplanation)
        np.testing.assert_allclose(e.products, e.values * e.weights)
        np.testing.assert_allclose(e.channel_sums, e.products.sum(axis=(1, 2)), atol=1e-12)
        assert e.total == pytest.approx(sum(e.channel_sums), abs=1e-9)
        assert e.result == e.total + e.bias
        if e.cosine is None:
            assert e.value_norm * e.weight_norm == 0
        else:
            assert abs(e.cosine) <= 1 + 1e-12
            assert e.value_norm * e.weight_norm * e.cosine == pytest.approx(e.total, abs=1e-9)


@given(max_cases())
def test_the_winner_holds_the_maximum_and_is_real(case: Case) -> None:
    for e in explained(case):
        assert isinstance(e, MaxExplanation)
        if e.winner is None:
            assert e.is_padding.all()
            assert e.ties == ()
            continue
        assert not e.is_padding[e.winner]
        assert e.winner == (e.ties[-1] if math.isnan(e.result) else e.ties[0])
        real = e.values[0][~e.is_padding]
        assert len(e.ties) == (np.isnan(real) if math.isnan(e.result) else real == e.result).sum()
        for tap in e.ties:
            np.testing.assert_array_equal(e.values[0][tap], e.result)


@given(avg_cases())
def test_the_divisor_counts_the_counted_taps(case: Case) -> None:
    assert isinstance(case.layer, AvgPool2d)
    rows, cols = case.layer.axes(case.x.shape)
    for e in explained(case):
        assert isinstance(e, AvgExplanation)
        within = (e.rows < rows.size + rows.pad_after)[:, None] & (e.cols < cols.size + cols.pad_after)
        np.testing.assert_array_equal(e.counted, within if case.layer.count_include_pad else ~e.is_padding)
        assert e.divisor == (case.layer.divisor_override or e.counted.sum())
        np.testing.assert_allclose(e.result, e.total / e.divisor)


def test_one_cell_of_a_padded_flipped_convolution() -> None:
    e = Conv2d(1, 1, 2, padding=1, flip=True, weight=[[[[0, 1], [2, 3]]]], bias=[10]).explain(RAMP, (0, 0, 1))
    assert e.rows.tolist() == [-1, 0]
    assert e.cols.tolist() == [0, 1]
    assert e.source_rows.tolist() == [-1, 0]
    assert e.is_padding.tolist() == [[True, True], [False, False]]
    assert e.weights.tolist() == [[[3, 2], [1, 0]]]
    assert e.values.tolist() == [[[0, 0], [0, 1]]]
    assert (e.total, e.bias, e.result) == (0, 10, 10)


def test_angle_between_two_vectors() -> None:
    e = Conv2d(1, 1, (1, 2), weight=[[[[4, 5]]]]).explain([[[2, 3]]], (0, 0, 0))
    assert e.total == 23
    assert e.value_norm == pytest.approx(math.sqrt(13))
    assert e.weight_norm == pytest.approx(math.sqrt(41))
    assert e.cosine == pytest.approx(23 / math.sqrt(13 * 41))


def test_no_angle_to_a_kernel_of_zeros() -> None:
    assert Conv2d(1, 1, 2).explain(RAMP, (0, 0, 0)).cosine is None


def test_groups_read_their_own_channels() -> None:
    e = Conv2d(4, 2, 1, groups=2).explain(np.zeros((4, 1, 1)), (1, 0, 0))
    assert e.input_channels == range(2, 4)


def test_circular_padding_reads_the_other_side() -> None:
    e = Conv2d(1, 1, 3, padding=1, padding_mode="circular", weight=np.ones((1, 1, 3, 3))).explain(RAMP, (0, 0, 0))
    assert e.rows.tolist() == [-1, 0, 1]
    assert e.source_rows.tolist() == [2, 0, 1]
    assert e.is_padding.sum() == 5
    assert e.result == RAMP.sum()


def test_ties() -> None:
    e = MaxPool2d(2).explain([[[1, 7], [7, 7]]], (0, 0, 0))
    assert e.winner == (0, 1)
    assert e.ties == ((0, 1), (1, 0), (1, 1))


def test_padding_never_wins() -> None:
    e = MaxPool2d(2, padding=1).explain([[[-np.inf]]], (0, 0, 0))
    assert e.winner == (1, 1)
    assert e.ties == ((1, 1),)
    alone = MaxPool2d(2, 1, 1, dilation=3).explain(np.ones((1, 2, 2)), (0, 0, 0))
    assert (alone.winner, alone.ties, alone.result) == (None, (), -np.inf)


def test_ceil_mode_taps_past_the_padding_do_not_count() -> None:
    e = AvgPool2d(2, padding=1, ceil_mode=True).explain(np.ones((1, 2, 1)), (0, 1, 0))
    assert e.rows.tolist() == [1, 2]
    assert e.counted.tolist() == [[True, True], [True, True]]
    past = AvgPool2d(2, ceil_mode=True).explain(RAMP, (0, 1, 1))
    assert past.counted.tolist() == [[True, False], [False, False]]
    assert (past.divisor, past.result) == (1, 8)


def test_one_window_as_large_as_the_input() -> None:
    e = GlobalMaxPool2d().explain(RAMP, (0, 0, 0))
    assert e.winner == (2, 2)
    assert e.values.shape == (1, 3, 3)


@pytest.mark.parametrize("layer", [Conv2d(1, 1, 2), MaxPool2d(2, 1), AvgPool2d(2, 1), ReLU(), GlobalMaxPool2d()])
def test_cells_outside_the_output(layer: Layer) -> None:
    for position in ((0, 0, 3), (0, -1, 0), (1, 0, 0), (-1, 0, 0)):
        with pytest.raises(IndexError, match="There is no cell"):
            layer.explain(RAMP, position)


def test_an_explanation_does_not_follow_later_edits() -> None:
    for layer in (Conv2d(1, 1, 2), MaxPool2d(2), AvgPool2d(2), ReLU()):
        x = RAMP.copy()
        e = layer.explain(x, (0, 0, 0))
        before = e.values.copy()
        x += 1
        np.testing.assert_array_equal(e.values, before)
