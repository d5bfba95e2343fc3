from collections.abc import Generator

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from convviz.core.control import StopToken
from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import ReLU, Tanh
from convviz.core.explain import FloatArray, Position
from convviz.core.layers import Conv2d, Drawn, MaxPool2d
from convviz.core.pixel_use import pixel_use
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.core.window import ShapeError
from convviz.nn.effective_field import EffectiveField, Heat, effective_field, extent_of
from tests.core.stack_cases import inputs_of, stacks, torch_outputs

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # torch's own remark

ONES = Conv2d(1, 1, 3, weight=np.ones((1, 1, 3, 3)))


def started(
    stack: Stack, layer_index: int, position: Position, x: FloatArray | None = None, num_inputs: int = 3, seed: int = 0
) -> Generator[EffectiveField, None, EffectiveField]:
    x = inputs_of(stack) if x is None else x
    return effective_field(stack, layer_index, position, x, num_inputs, seed, StopToken())


def found(
    stack: Stack, layer_index: int, position: Position, x: FloatArray | None = None, num_inputs: int = 3, seed: int = 0
) -> EffectiveField:
    *_, last = started(stack, layer_index, position, x, num_inputs, seed)
    return last


def test_a_kernel_is_its_own_field() -> None:
    weight = np.array([[[[1.0, -2.0], [0.0, 4.0]], [[0.0, 1.0], [0.5, -1.0]]]])
    field = found(Stack((2, 3, 4), [Conv2d(2, 1, 2, weight=weight)]), 0, (0, 1, 2))
    np.testing.assert_array_equal(field.heat, [[0, 0, 0, 0], [0, 0, 1, 3], [0, 0, 0.5, 5]])
    assert field.heat.dtype == np.float64
    assert not field.vanishes
    assert field.share_inside == 1


def test_two_layers_of_ones_pile_up_in_the_middle() -> None:
    field = found(Stack((1, 5, 5), [ONES, ONES]), 1, (0, 0, 0))
    np.testing.assert_array_equal(field.heat, np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1]))
    np.testing.assert_array_equal(field.heat, pixel_use(ONES.axes((1, 5, 5))))
    assert field.extent == (range(5), range(5))  # an edge holds 9 of 81


def test_the_unit_is_that_of_its_own_channel() -> None:
    weight = np.array([1.0, 0, 0, 3]).reshape(4, 1, 1, 1)
    stack = Stack((1, 1, 1), [Conv2d(1, 4, 1, weight=weight)])
    assert [found(stack, 0, (channel, 0, 0)).heat.item() for channel in range(4)] == [1, 0, 0, 3]


def test_max_pooling_hands_everything_to_the_winner() -> None:
    field = found(Stack((1, 2, 2), [MaxPool2d(2)]), 0, (0, 0, 0), np.array([[[1.0, 2], [9, 3]]]), num_inputs=1)
    np.testing.assert_array_equal(field.heat, [[0, 0], [1, 0]])
    assert field.extent == (range(1, 2), range(1))


def test_units_of_vectors() -> None:
    weight = np.arange(8.0).reshape(2, 4)
    stack = Stack((1, 2, 2), [Flatten(), Linear(4, 2, weight=weight)])
    np.testing.assert_array_equal(found(stack, 1, (1,)).heat, [[4, 5], [6, 7]])
    np.testing.assert_array_equal(found(stack, 0, (2,)).heat, [[0, 0], [1, 0]])


def test_a_dead_unit_says_so() -> None:
    stack = Stack((1, 4, 4), [ONES.changed(bias=[-1e6]), ReLU()])
    field = found(stack, 1, (0, 0, 0))
    assert field.vanishes
    assert not field.heat.any()
    assert field.share_inside == 1
    assert field.extent == (range(0), range(0))
    assert not found(stack, 0, (0, 0, 0)).vanishes


def test_layers_after_the_unit_are_not_looked_at() -> None:
    stack = Stack((1, 4, 4), [ONES, Conv2d(5, 5, 9), ReLU()], switched_off=[2])
    assert stack.problem is not None
    assert found(stack, 0, (0, 1, 1)).heat.sum() == 9


def test_layers_switched_off_pass_on() -> None:
    stack = Stack((1, 4, 4), [ONES, ONES], switched_off=[0])
    assert found(stack, 1, (0, 0, 0)).heat.sum() == 9
    assert found(stack, 0, (0, 2, 2)).heat.sum() == 1


def test_single_precision_is_computed_as_such() -> None:
    weight = np.full((1, 1, 1, 1), 1 / 3)
    stack = Stack((1, 1, 1), [Conv2d(1, 1, 1, weight=weight)])
    assert found(stack, 0, (0, 0, 0)).heat.item() == 1 / 3
    assert found(stack, 0, (0, 0, 0), np.ones((1, 1, 1), dtype=np.float32)).heat.item() == np.float32(1 / 3)


CURVED = Stack((2, 6, 6), [Conv2d(2, 3, 3, weight=Drawn(0), bias=Drawn(1)), Tanh(), Conv2d(3, 1, 3, weight=Drawn(2))])


def gradient_magnitude(stack: Stack, layer_index: int, position: Position, x: FloatArray) -> Heat:
    tensor = torch.tensor(x[None], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(torch_outputs(stack, tensor)[layer_index][(0, *position)], tensor)
    magnitude: Heat = gradient[0].abs().sum(dim=0).numpy()
    return magnitude


def test_the_input_comes_first_then_noise_like_it() -> None:
    x = inputs_of(CURVED) * 2 + 5
    fields = list(started(CURVED, 2, (0, 1, 1), x, num_inputs=3, seed=8))
    noise = np.random.default_rng(8)
    samples = [x, *(noise.normal(x.mean(), x.std(), x.shape) for _ in range(2))]
    heats = [gradient_magnitude(CURVED, 2, (0, 1, 1), sample) for sample in samples]
    assert [(field.done, field.total) for field in fields] == [(1, 3), (2, 3), (3, 3)]
    for done, field in enumerate(fields, 1):
        np.testing.assert_allclose(field.heat, np.mean(heats[:done], axis=0), rtol=1e-12)


def test_the_seed_decides() -> None:
    heats = [found(CURVED, 2, (0, 1, 1), seed=seed).heat for seed in (1, 1, 2)]
    np.testing.assert_array_equal(heats[0], heats[1])
    assert (heats[0] != heats[2]).any()


@settings(max_examples=150)
@given(stacks(), st.data())
def test_nothing_lies_outside_the_theoretical_field(stack: Stack, data: st.DataObject) -> None:
    assume(len(stack.shapes) > 1)
    index = data.draw(st.integers(0, len(stack.shapes) - 2))
    position = tuple(data.draw(st.integers(0, size - 1)) for size in stack.shapes[index + 1])
    field = found(stack, index, position, num_inputs=2)
    region = stack.input_region(index, position[-2:])
    assert field.region == region
    outside = field.heat.copy()
    outside[region.real_rows.start : region.real_rows.stop, region.real_cols.start : region.real_cols.stop] = 0
    assert not outside.any()
    assert (field.heat >= 0).all()
    assert field.share_inside == pytest.approx(1)
    rows, cols = field.extent
    held = field.heat[rows.start : rows.stop, cols.start : cols.stop].sum()
    assert held >= 0.95 * field.heat.sum() * (1 - 1e-9)


def test_the_first_input_alone_is_the_gradient() -> None:
    x = inputs_of(CURVED)
    field = found(CURVED, 1, (2, 3, 0), x, num_inputs=1)
    np.testing.assert_allclose(field.heat, gradient_magnitude(CURVED, 1, (2, 3, 0), x), rtol=1e-12)


def test_stopping_keeps_what_is_done() -> None:
    token = StopToken()
    steps = effective_field(CURVED, 2, (0, 0, 0), inputs_of(CURVED), 100, 0, token)
    first = next(steps)
    token.request_stop()
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value is first
    assert (first.done, first.total) == (1, 100)


def test_stopped_before_it_began() -> None:
    token = StopToken()
    token.request_stop()
    with pytest.raises(StopIteration) as end:
        next(effective_field(CURVED, 2, (0, 0, 0), inputs_of(CURVED), 5, 0, token))
    assert end.value.value.done == 0
    assert end.value.value.vanishes


@pytest.mark.parametrize(("layer", "position"), [(3, (0, 0, 0)), (-1, (0, 0, 0)), (2, (1, 0, 0)), (2, (0, 0))])
def test_units_that_are_not_there(layer: int, position: Position) -> None:
    with pytest.raises(IndexError, match="There is no"):
        found(CURVED, layer, position)


def test_inputs_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match="The input is 2×5×6; this stack takes 2×6×6"):
        found(CURVED, 0, (0, 0, 0), np.zeros((2, 5, 6)))
    with pytest.raises(ShapeError, match="num_inputs is 0"):
        found(CURVED, 0, (0, 0, 0), num_inputs=0)


def test_a_gradient_that_is_no_number_is_refused() -> None:
    stack = Stack((1, 1, 1), [Conv2d(1, 1, 1, weight=np.full((1, 1, 1, 1), 1e200))] * 2)
    with pytest.raises(RefusalError, match="not finite"):
        found(stack, 1, (0, 0, 0))


def test_the_extent_of_a_known_heat() -> None:
    heat = np.array([[0, 0, 0, 0], [0, 50, 46, 1], [0, 1, 2, 0]], dtype=np.float64)
    assert extent_of(heat, 0.95) == (range(1, 2), range(1, 3))
    assert extent_of(heat, 1) == (range(1, 3), range(1, 4))
    assert extent_of(heat, 0.5) == (range(1, 2), range(1, 2))


@given(arrays(np.float64, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.integers(0, 9).map(float)))
def test_no_edge_of_the_extent_can_be_left_out(heat: Heat) -> None:
    rows, cols = extent_of(heat, 0.75)
    needed = 0.75 * heat.sum()

    def held(rows: range, cols: range) -> float:
        return float(heat[rows.start : rows.stop, cols.start : cols.stop].sum())

    assert held(rows, cols) >= needed
    if not heat.any():
        assert (len(rows), len(cols)) == (0, 0)
        return
    for smaller in ((rows[1:], cols), (rows[:-1], cols), (rows, cols[1:]), (rows, cols[:-1])):
        assert held(*smaller) < needed
