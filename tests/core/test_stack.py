import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import BatchNorm2d, Dropout, ReLU
from convviz.core.layers import Conv2d, Drawn, GlobalAvgPool2d, MaxPool2d
from convviz.core.stack import INPUT, Problem, Stack
from convviz.core.window import ShapeError
from tests.core.stack_cases import any_layers, inputs_of, stacks, torch_outputs

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # torch's own remark

STACK = Stack((1, 6, 6), [Conv2d(1, 2, 3, weight=Drawn(0), bias=Drawn(1)), ReLU(), MaxPool2d(2), Flatten()])


@settings(max_examples=150)
@given(stacks())
def test_outputs_are_what_torch_computes(stack: Stack) -> None:
    x = inputs_of(stack)
    outputs = stack.forward(x)
    assert len(outputs) == len(stack.shapes) - 1 == len(stack.table)
    for output, shape, expected in zip(
        outputs, stack.shapes[1:], torch_outputs(stack, torch.tensor(x)[None]), strict=True
    ):
        assert output.shape == shape
        np.testing.assert_allclose(output, expected[0].numpy(), rtol=1e-9, atol=1e-9)


@given(stacks())
def test_a_problem_is_where_the_layers_end(stack: Stack) -> None:
    if stack.problem is None:
        assert len(stack.shapes) == len(stack.layers) + 1
    else:
        assert stack.problem.index == len(stack.shapes) - 1
        with pytest.raises(ShapeError) as caught:
            stack.layers[stack.problem.index].forward(np.zeros(stack.shapes[-1]))
        assert str(caught.value) == stack.problem.message


def test_everything_works_up_to_the_problem() -> None:
    stack = Stack((1, 6, 6), [ReLU(), Conv2d(2, 1, 3), ReLU()])
    assert stack.problem == Problem(1, "The input has 1 channels, but the convolution takes 2.")
    assert stack.shapes == ((1, 6, 6), (1, 6, 6))
    assert len(stack.forward(np.zeros((1, 6, 6)))) == len(stack.table) == 1
    assert stack.num_parameters == stack.multiply_adds == 0
    with pytest.raises(IndexError, match="There is no layer 1 among 1"):
        stack.receptive_field(1)
    with pytest.raises(IndexError, match="There is no layer 1 among 1"):
        stack.input_region(1, (0, 0))


def test_two_results_cannot_be_passed_on() -> None:
    problem = Stack((1, 4, 4), [MaxPool2d(2, return_indices=True)]).problem
    assert problem is not None
    assert "return_indices" in problem.message


def test_layers_switched_off_pass_their_input_on() -> None:
    stack = STACK.switch(0, on=False).switch(3, on=False)
    x = inputs_of(stack)
    first, _, third, last = stack.forward(x)
    assert first is x
    assert last is third
    assert stack.shapes == ((1, 6, 6), (1, 6, 6), (1, 6, 6), (1, 3, 3), (1, 3, 3))
    assert (stack.num_parameters, stack.table[0].dense_parameters) == (0, None)
    assert stack.receptive_field(0).rows.size == 1
    assert stack.switch(0, on=True).switch(3, on=True) == STACK
    impossible = Stack((1, 2, 2), [Conv2d(5, 5, 9)])
    assert impossible.problem is not None
    assert impossible.switch(0, on=False).problem is None


def test_weight_sharing_in_numbers() -> None:
    (row,) = Stack((1, 4, 4), [Conv2d(1, 1, 3, bias=[0])]).table
    assert (row.num_parameters, row.dense_parameters) == (9 + 1, 16 * 4 + 4)
    assert row.multiply_adds == 9 * 4
    (without_bias,) = Stack((1, 4, 4), [Conv2d(1, 1, 3)]).table
    assert without_bias.dense_parameters == 16 * 4


def test_layer_by_layer() -> None:
    x = inputs_of(STACK)
    steps = STACK.forward_steps(x)
    index, output = next(steps)
    assert index == 0
    np.testing.assert_array_equal(output, STACK.layers[0].forward(x))
    assert [index for index, _ in steps] == [1, 2, 3]


def test_inputs_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match="The input is 1×5×6; this stack takes 1×6×6"):
        STACK.forward(np.zeros((1, 5, 6)))
    with pytest.raises(ShapeError, match="The input is 6×6; it must be channels × height × width"):
        Stack((6, 6))
    with pytest.raises(ShapeError, match="input width is 0; it must be at least 1"):
        Stack((1, 6, 0))


def test_edits() -> None:
    a, b, c = ReLU(), Dropout(0.1), Dropout(0.2)
    stack = Stack((1, 2, 2), [a, b, c], switched_off=[1])

    def kinds(edited: Stack) -> list[tuple[object, bool]]:
        return [(layer, edited.is_on(index)) for index, layer in enumerate(edited.layers)]

    d = Dropout(0.3)
    assert kinds(stack.insert(0, d)) == [(d, True), (a, True), (b, False), (c, True)]
    assert kinds(stack.insert(3, d)) == [(a, True), (b, False), (c, True), (d, True)]
    assert kinds(stack.remove(0)) == [(b, False), (c, True)]
    assert kinds(stack.remove(1)) == [(a, True), (c, True)]
    assert kinds(stack.duplicate(1)) == [(a, True), (b, False), (b, False), (c, True)]
    assert kinds(stack.move(1, 0)) == [(b, False), (a, True), (c, True)]
    assert kinds(stack.move(0, 2)) == [(b, False), (c, True), (a, True)]
    assert kinds(stack.replace(1, d)) == [(a, True), (d, False), (c, True)]
    assert kinds(stack.switch(0, on=False)) == [(a, False), (b, False), (c, True)]
    assert kinds(stack) == [(a, True), (b, False), (c, True)]
    assert stack.with_input_shape((3, 4, 5)).shapes[-1] == (3, 4, 5)


def test_edits_of_layers_that_are_not_there() -> None:
    for index in (-1, 4):
        for edit in (STACK.remove, STACK.duplicate, lambda i: STACK.move(i, 0), lambda i: STACK.move(0, i)):
            with pytest.raises(IndexError, match=f"There is no layer {index} among 4"):
                edit(index)
    with pytest.raises(IndexError, match="There is no layer 5 among 5"):
        STACK.insert(5, ReLU())
    with pytest.raises(IndexError, match="There is no layer 4"):
        Stack((1, 6, 6), STACK.layers, switched_off=[4])


def test_fitting_follows_the_shapes() -> None:
    layers = [
        Conv2d(1, 4, 3, bias=[1, 2, 3, 4]),
        BatchNorm2d(9, 0.5),
        Conv2d(6, 6, 1, groups=6, weight=Drawn(8)),
        Conv2d(2, 1, 1, weight=[[[[1]], [[2]]]]),
        Flatten(),
        Linear(7, 2),
    ]
    stack = Stack((1, 5, 5), layers).fitted()
    conv, norm, depthwise, known, _, linear = stack.layers
    assert stack.problem is None
    assert conv is layers[0]
    assert norm == BatchNorm2d(4, 0.5)
    assert isinstance(depthwise, Conv2d)
    assert (depthwise.in_channels, depthwise.out_channels, depthwise.groups, depthwise.bias) == (4, 6, 2, None)
    assert depthwise.arrays["weight"] == Drawn(2)
    assert isinstance(known, Conv2d)
    assert known.weight.ravel().tolist() == [1, 2, 1, 2, 1, 2]
    assert isinstance(linear, Linear)
    assert linear.in_features == 9
    assert stack.fitted(seed=9) is stack
    assert Stack((1, 5, 5), layers).fitted(seed=9) != stack


@given(stacks(), st.integers(0, 5))
def test_fitting_mends_channels_and_nothing_else(stack: Stack, seed: int) -> None:
    fitted = stack.fitted(seed)
    assert fitted.fitted(seed) == fitted
    assert len(fitted.shapes) >= len(stack.shapes)
    kept = len(stack.shapes) - 1
    assert fitted.layers[:kept] == stack.layers[:kept]
    assert [type(layer) for layer in fitted.layers] == [type(layer) for layer in stack.layers]
    if fitted.problem is not None:
        assert "channels, but" not in fitted.problem.message
        assert "but the linear layer takes" not in fitted.problem.message


@given(stacks(), any_layers(), st.data())
def test_an_edit_can_be_undone_by_another(stack: Stack, layer: ReLU, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(stack.layers)))
    assert stack.insert(index, layer).remove(index) == stack
    assume(stack.layers)
    index, other = (data.draw(st.integers(0, len(stack.layers) - 1)) for _ in range(2))
    assert stack.duplicate(index).remove(index + 1) == stack
    assert stack.move(index, other).move(other, index) == stack
    assert hash(dataclasses.replace(stack)) == hash(stack)


def test_regions() -> None:
    region = STACK.input_region(2, (1, 1))
    assert (region.rows, region.real_cols) == (range(2, 6), range(2, 6))
    assert STACK.input_region(2, (1, 1), at=0).rows == range(2, 4)
    assert STACK.input_region(2, (1, 1), at=2).rows == range(1, 2)
    assert STACK.receptive_field(INPUT).cols.start == 0.5
    flat = STACK.input_region(3, (5,))  # channel 1, row 0, column 1
    assert flat == STACK.input_region(2, (0, 1))
    assert STACK.input_region(3, (5,), at=2) == (range(1), range(1, 2), range(1), range(1, 2))
    whole = STACK.insert(4, Linear(8, 2)).insert(5, ReLU())
    assert whole.input_region(5, (0,)).rows == range(6)
    assert whole.input_region(5, (0,), at=3).rows == range(1)
    assert Stack((3, 5, 4), [GlobalAvgPool2d(), Flatten()]).input_region(1, (2,)).cols == range(4)


@pytest.mark.parametrize(("layer", "position", "at"), [(2, (2, 0), -1), (3, (8,), -1), (3, (0, 0), -1), (2, (0, 0), 3)])
def test_regions_of_units_that_are_not_there(layer: int, position: tuple[int, ...], at: int) -> None:
    with pytest.raises(IndexError, match="There is no"):
        STACK.input_region(layer, position, at)
