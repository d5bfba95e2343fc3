import numpy as np
import pytest
from hypothesis import given

from convviz.core.dense import Flatten, Linear
from convviz.core.explain import ConvExplanation
from convviz.core.layers import Conv2d, Drawn, Layer
from convviz.core.window import ShapeError
from tests.core.layer_cases import Case, vector_cases


def test_flatten_reads_channel_by_channel() -> None:
    x = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(Flatten().forward(x), range(12))
    e = Flatten().explain(x, (10,))
    assert (list(e.input_channels), e.rows.tolist(), e.cols.tolist()) == ([1], [1], [1])
    assert (e.position, e.result) == ((10,), 10)


def test_a_weighted_sum() -> None:
    layer = Linear(2, 2, weight=[[4, 5], [1, -1]], bias=[0, 10])
    np.testing.assert_array_equal(layer.forward([2, 3]), [23, 9])
    e = layer.explain([2, 3], (1,))
    assert e.values.ravel().tolist() == [2, 3]
    assert e.products.ravel().tolist() == [2, -3]
    assert (e.total, e.bias, e.result) == (-1, 10, 9)


@given(vector_cases())
def test_a_linear_layer_is_a_1x1_convolution_of_one_cell(case: Case) -> None:
    layer = case.layer
    if isinstance(layer, Linear):
        same = Conv2d(layer.in_features, layer.out_features, 1, weight=layer.weight[:, :, None, None], bias=layer.bias)
        x_N11 = case.x[:, None, None]
        np.testing.assert_allclose(layer.forward(case.x), same.forward(x_N11).ravel(), atol=1e-12)
        for unit in range(layer.out_features):
            mine, theirs = layer.explain(case.x, (unit,)), same.explain(x_N11, (unit, 0, 0))
            assert isinstance(mine, ConvExplanation)
            np.testing.assert_array_equal(mine.products, theirs.products)
            assert mine.result == theirs.result


@given(vector_cases())
def test_forward_at_is_forward_on_one_cell(case: Case) -> None:
    rows, cols = case.layer.axes(case.x.shape)
    output = case.layer.forward_at(case.x, range(rows.output_size), range(cols.output_size))
    np.testing.assert_allclose(output.ravel(), case.layer.forward(case.x).ravel(), atol=1e-12)


def test_counts() -> None:
    layer = Linear(400, 120, bias=np.zeros(120))
    assert layer.num_parameters == layer.dense_parameters((400,)) == 48_120
    assert layer.multiply_adds((400,)) == 48_000
    assert Flatten().num_parameters == Flatten().multiply_adds((16, 5, 5)) == 0
    assert Flatten().output_shape((16, 5, 5)) == (400,)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Linear(4, 1), (1, 2, 2), "The input is 1×2×2; a linear layer takes a vector: put Flatten before it"),
        (Linear(4, 1), (5,), "The input is a vector of 5, but the linear layer takes 4"),
        (Conv2d(4, 1, 1), (4,), "The input is a vector of 4; it must be channels × height × width"),
        (Flatten(), (2, 2), "The input is 2×2; it must be channels × height × width"),
    ],
)
def test_inputs_that_do_not_fit(layer: Layer, shape: tuple[int, ...], message: str) -> None:
    for use in (layer.forward, lambda x: layer.explain(x, (0,)), lambda x: layer.output_shape(x.shape)):
        with pytest.raises(ShapeError, match=message):
            use(np.zeros(shape))


@pytest.mark.parametrize("layer", [Linear(4, 2), Flatten()])
def test_units_outside_the_output(layer: Layer) -> None:
    for position in ((4,), (-1,), (0, 0, 0), ()):
        with pytest.raises(IndexError, match="There is no cell"):
            layer.explain(np.zeros(4), position)


def test_drawn_weights_cost_nothing_until_read() -> None:
    layer = Linear(10**6, 10**6, weight=Drawn(1), bias=Drawn(1))
    assert layer.num_parameters == 10**12 + 10**6
    assert layer.changed(out_features=3).changed(out_features=10**6) == layer != layer.changed(weight=Drawn(2))
    assert layer.arrays == {"weight": Drawn(1), "bias": Drawn(1)}
    assert "weight" not in repr(layer)


def test_drawn_weights_are_as_torch_draws_them() -> None:
    layer = Conv2d(4, 50, 5, weight=Drawn(3), bias=Drawn(3))
    assert layer.weight is layer.weight
    assert layer.weight.dtype == np.float32
    assert layer.bias is not None
    assert layer.bias.shape == (50,)
    assert layer.bias[0] != layer.weight.flat[0]
    for array in (layer.weight, layer.bias):
        assert 0.08 < np.abs(array).max() <= 0.1
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    np.testing.assert_array_equal(layer.weight, Conv2d(4, 50, 5, weight=Drawn(3)).weight)
    assert layer.arrays["weight"] == Drawn(3)
