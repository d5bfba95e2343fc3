import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import GELU, BatchNorm2d, Dropout, ReLU
from convviz.core.layers import AvgPool2d, Conv2d, Drawn, GlobalAvgPool2d, GlobalMaxPool2d, Layer, MaxPool2d, Weighted
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.core.window import ShapeError
from convviz.nn.build import build, stack_of
from tests.core.layer_cases import Case, all_cases, vector_cases
from tests.core.stack_cases import inputs_of, stacks

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # torch's own remark

RNG = np.random.default_rng(5)


def spelled_out(layer: Layer) -> Layer:
    """The layer with all arrays as numbers and its kernel as it lies on the input."""
    match layer:
        case Conv2d():
            return layer.changed(weight=layer.applied_weight, bias=layer.bias, flip=False)
        case Weighted():
            return layer.changed(**{name: getattr(layer, name) for name in layer.array_names})
        case _:
            return layer


@settings(max_examples=150)
@given(stacks(), st.sampled_from([(torch.float64, 1e-9), (torch.float32, 1e-4)]))
def test_the_module_computes_what_the_stack_does(stack: Stack, precision: tuple[torch.dtype, float]) -> None:
    assume(stack.problem is None)
    dtype, tolerance = precision
    x = inputs_of(stack)
    module = build(stack, dtype)
    assert len(module) == len(stack.layers)
    output = torch.tensor(x, dtype=dtype)[None]
    with torch.no_grad():
        for part, expected in zip(module, stack.forward(x), strict=True):
            output = part(output)
            assert output.dtype == dtype
            np.testing.assert_allclose(output[0].numpy(), expected, rtol=tolerance, atol=tolerance)


@given(stacks())
def test_a_stack_comes_back(stack: Stack) -> None:
    assume(stack.problem is None)
    back = stack_of(build(stack, torch.float64), stack.input_shape)
    expected = [spelled_out(layer) if stack.is_on(index) else Dropout(0) for index, layer in enumerate(stack.layers)]
    assert back == Stack(stack.input_shape, expected)
    assert back.shapes == stack.shapes
    assert stack_of(build(back, torch.float64), stack.input_shape) == back


@given(all_cases() | vector_cases().filter(lambda case: case.x.ndim == 3))
def test_every_layer_comes_back_with_all_its_arguments(case: Case) -> None:
    stack = Stack(case.x.shape, [case.layer])
    try:
        module = build(stack, torch.float64)
    except ShapeError:
        assume(False)
    assert stack_of(module, case.x.shape).layers == (spelled_out(case.layer),)


def test_single_precision_comes_back_as_it_is() -> None:
    stack = Stack((1, 4, 4), [Conv2d(1, 2, 3, weight=Drawn(3), bias=Drawn(4))])
    (conv,) = stack_of(build(stack), stack.input_shape).layers
    (given,) = stack.layers
    assert isinstance(conv, Conv2d)
    assert isinstance(given, Conv2d)
    assert conv.weight.dtype == np.float32
    np.testing.assert_array_equal(conv.weight, given.weight)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_comes_back_in_single(dtype: torch.dtype) -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False).to(dtype))
    (conv,) = stack_of(module, (1, 2, 2)).layers
    assert isinstance(conv, Conv2d)
    assert conv.weight.dtype == np.float32
    assert conv.weight.item() == module.state_dict()["0.weight"].item()


def test_modules_are_those_of_torch() -> None:
    layers = [
        Conv2d(4, 2, (3, 1), (1, 2), (1, 0), (1, 2), groups=2, padding_mode="reflect"),
        BatchNorm2d(2, 0.1),
        ReLU(),
        MaxPool2d(2, ceil_mode=True),
        AvgPool2d(2, 1, divisor_override=3),
        GlobalMaxPool2d(),
        GlobalAvgPool2d(),
        GELU(),
        Dropout(0.25),
        Flatten(),
        Linear(2, 3, bias=[1, 2, 3]),
    ]
    module = build(Stack((4, 9, 9), layers, switched_off=[2]), torch.float64)
    expected = nn.Sequential(
        nn.Conv2d(4, 2, (3, 1), (1, 2), (1, 0), (1, 2), groups=2, padding_mode="reflect", bias=False),
        nn.BatchNorm2d(2, 0.1),
        nn.Identity(),
        nn.MaxPool2d((2, 2), (2, 2), (0, 0), (1, 1), ceil_mode=True),
        nn.AvgPool2d((2, 2), (1, 1), (0, 0), divisor_override=3),
        nn.AdaptiveMaxPool2d(1),
        nn.AdaptiveAvgPool2d(1),
        nn.GELU(),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(2, 3),
    )
    assert repr(module) == repr(expected)
    assert module.state_dict().keys() == expected.state_dict().keys()
    assert not any(part.training for part in module.modules())
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_the_module_has_its_own_numbers() -> None:
    weight = np.ones((1, 1, 2, 2))
    stack = Stack((1, 2, 2), [Conv2d(1, 1, 2, weight=weight)])
    module = build(stack, torch.float64)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert stack.forward(weight[0])[0].item() == 4
    assert math.isclose(build(stack)(torch.ones(1, 1, 2, 2)).item(), 4)


def test_a_flipped_kernel_is_turned() -> None:
    stack = Stack((1, 2, 2), [Conv2d(1, 1, 2, flip=True, weight=[[[[1, 2], [3, 4]]]])])
    assert build(stack).state_dict()["0.weight"].tolist() == [[[[4, 3], [2, 1]]]]


def test_nothing_random_is_used_up() -> None:
    before = torch.get_rng_state()
    build(Stack((1, 4, 4), [Conv2d(1, 2, 3, weight=Drawn(0)), Flatten(), Linear(8, 2, weight=Drawn(1))]))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_stack_that_does_not_fit_says_where() -> None:
    with pytest.raises(ShapeError, match="Layer 2: The input has 1 channels, but the convolution takes 2"):
        build(Stack((1, 6, 6), [ReLU(), Conv2d(2, 1, 3)]))


def test_windows_of_padding_only_are_kept_from_torch() -> None:
    pool = MaxPool2d(2, stride=1, padding=1, dilation=4)
    stack = Stack((1, 3, 3), [ReLU(), pool])
    with pytest.raises(ShapeError, match="Layer 2: a window of the max pooling holds nothing but padding"):
        build(stack)
    build(stack.replace(1, pool.changed(dilation=3)))
    build(stack.switch(1, on=False))


def test_modules_that_do_not_fit_make_a_stack_with_a_problem() -> None:
    stack = stack_of(nn.Sequential(nn.ReLU(), nn.Conv2d(2, 1, 3)), (1, 6, 6))
    assert stack.problem is not None
    assert stack.problem.index == 1


def test_normalisation_without_weights_has_the_defaults() -> None:
    stack = stack_of(nn.Sequential(nn.BatchNorm2d(2, affine=False)), (2, 3, 3))
    assert stack.layers == (BatchNorm2d(2),)


class OwnReLU(nn.ReLU):
    """Might do anything."""


@pytest.mark.parametrize(
    "module",
    [
        nn.LeakyReLU(0.1),
        nn.Conv1d(1, 1, 3),
        nn.ConvTranspose2d(1, 1, 3),
        nn.GELU(approximate="tanh"),
        nn.BatchNorm2d(1, track_running_stats=False),
        nn.Flatten(0),
        nn.Flatten(1, 2),
        nn.AdaptiveAvgPool2d(7),
        nn.AdaptiveMaxPool2d((1, 2)),
        nn.AdaptiveMaxPool2d(1, return_indices=True),
        nn.Sequential(nn.ReLU()),
        OwnReLU(),
    ],
    ids=repr,
)
def test_modules_that_no_stack_has_are_named(module: nn.Module) -> None:
    with pytest.raises(RefusalError, match=f"Module 2 is {type(module).__name__}\\("):
        stack_of(nn.Sequential(nn.ReLU(), module), (1, 8, 8))


def test_input_shapes_are_checked() -> None:
    with pytest.raises(ShapeError, match="channels × height × width"):
        stack_of(nn.Sequential(nn.ReLU()), (8, 8))


def test_the_stack_has_its_own_numbers() -> None:
    module = nn.Sequential(nn.Linear(1, 1, bias=False, dtype=torch.float64))
    stack = stack_of(module, (1, 1, 1))
    before = dataclasses.replace(stack)
    with torch.no_grad():
        module.state_dict()["0.weight"].add_(1)
    assert stack == before
    assert stack != stack_of(module, (1, 1, 1))
