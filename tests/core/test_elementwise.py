import math

import numpy as np
import pytest
from hypothesis import given

from convviz.core.elementwise import GELU, BatchNorm2d, Dropout, Elementwise, ReLU, Sigmoid, Tanh
from convviz.core.explain import NormExplanation, PointwiseExplanation
from convviz.core.window import ShapeError
from tests.core.layer_cases import Case, norm_cases, vector_cases


@pytest.mark.parametrize(
    ("layer", "at_minus_two", "at_two"),
    [
        (ReLU(), 0, 2),
        (Sigmoid(), 0.11920292202211755, 0.8807970779778823),
        (Tanh(), -0.9640275800758169, 0.9640275800758169),
        (GELU(), -0.04550026389635842, 1.9544997361036416),
        (Dropout(), -2, 2),
    ],
)
def test_known_values(layer: Elementwise, at_minus_two: float, at_two: float) -> None:
    np.testing.assert_allclose(layer.forward([-2, 2]), [at_minus_two, at_two], rtol=1e-12)
    assert layer.explain([-2, 2], (1,)).result == layer.forward([-2, 2])[1]


@pytest.mark.parametrize("layer", [Sigmoid(), Tanh(), GELU()])
def test_far_from_zero(layer: Elementwise) -> None:
    low, high = layer.forward([-1000, 1000])
    assert low == (-1 if isinstance(layer, Tanh) else 0)
    assert high == (1000 if isinstance(layer, GELU) else 1)


def test_the_shape_stays() -> None:
    for shape in ((5,), (2, 3, 4)):
        assert ReLU().output_shape(shape) == shape
        assert ReLU().forward(np.zeros(shape)).shape == shape


@given(vector_cases())
def test_a_cell_depends_on_the_cell_in_its_place(case: Case) -> None:
    if isinstance(case.layer, Elementwise):
        for position in np.ndindex(case.x.shape):
            e = case.layer.explain(case.x, position)
            assert isinstance(e, PointwiseExplanation)
            assert e.value == case.x[position]
            assert list(e.input_channels) == [position[0]]


@given(norm_cases())
def test_normalising_adds_up(case: Case) -> None:
    for position in np.ndindex(case.x.shape):
        e = case.layer.explain(case.x, position)
        assert isinstance(e, NormExplanation)
        np.testing.assert_allclose(e.normalised * e.weight + e.bias, e.result)
        if math.isfinite(e.value):
            assert e.normalised * math.sqrt(e.variance + e.eps) + e.mean == pytest.approx(e.value)


def test_batch_normalisation_without_numbers() -> None:
    layer = BatchNorm2d(2, eps=0)
    x = np.arange(8.0).reshape(2, 2, 2)
    np.testing.assert_array_equal(layer.forward(x), x)
    assert layer.num_parameters == 4
    assert layer.multiply_adds(x.shape) == 8
    assert layer == BatchNorm2d(2, 0, weight=[1, 1], bias=[0, 0], running_mean=[0, 0], running_var=[1, 1])
    assert layer != BatchNorm2d(2, 0, running_mean=[0, 1])


def test_impossible_arguments() -> None:
    with pytest.raises(ShapeError, match=r"p is 1\.5; it must be a number, between 0 and 1"):
        Dropout(1.5)
    with pytest.raises(ShapeError, match="eps is nan; it must be a number, at least 0"):
        BatchNorm2d(1, eps=math.nan)
    with pytest.raises(ShapeError, match="running_var is 2; this layer takes 3"):
        BatchNorm2d(3, running_var=[1, 1])


def test_inputs_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match="The input has 2 channels, but the batch normalisation takes 3"):
        BatchNorm2d(3).forward(np.zeros((2, 1, 1)))
    with pytest.raises(ShapeError, match="The input is a vector of 3; it must be channels × height × width"):
        BatchNorm2d(3).forward(np.zeros(3))
    with pytest.raises(IndexError, match=r"There is no cell \(3,\) in an output of 3"):
        ReLU().explain(np.zeros(3), (3,))
