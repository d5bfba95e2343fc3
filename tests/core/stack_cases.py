"""Random stacks, most of them fitting, and the same stack in torch."""

import math

import numpy as np
import torch
from hypothesis import strategies as st

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import GELU, BatchNorm2d, Dropout, ReLU, Sigmoid, Tanh
from convviz.core.layers import AvgPool2d, Conv2d, Drawn, GlobalAvgPool2d, GlobalMaxPool2d, Layer, MaxPool2d
from convviz.core.stack import Stack
from tests.core.layer_cases import PADDING_MODES, torch_module

SMALL = st.integers(1, 3)


@st.composite
def conv_layers(draw: st.DrawFn) -> Conv2d:
    groups = draw(st.integers(1, 2))
    arrays = st.sampled_from([Drawn(0), Drawn(7), None])
    return Conv2d(
        groups * draw(st.integers(1, 2)),
        groups * draw(st.integers(1, 2)),
        draw(st.tuples(SMALL, SMALL)),
        draw(st.tuples(SMALL, SMALL)),
        draw(st.tuples(st.integers(0, 3), st.integers(0, 3))),
        draw(st.tuples(st.integers(1, 2), st.integers(1, 3))),
        groups,
        draw(st.sampled_from(PADDING_MODES)),
        draw(st.booleans()),
        weight=draw(arrays),
        bias=draw(arrays),
    )


def pool_layers() -> st.SearchStrategy[Layer]:
    strides = st.none() | SMALL
    return st.builds(MaxPool2d, st.integers(2, 3), strides, st.integers(0, 1), ceil_mode=st.booleans()) | st.builds(
        AvgPool2d, st.integers(2, 3), strides, st.integers(0, 1), st.booleans(), st.booleans()
    )


def any_layers() -> st.SearchStrategy[Layer]:
    return st.one_of(
        conv_layers(),
        pool_layers(),
        st.builds(BatchNorm2d, SMALL),
        st.sampled_from([ReLU(), Sigmoid(), Tanh(), GELU(), Dropout(), Flatten()]),
        st.sampled_from([GlobalAvgPool2d(), GlobalMaxPool2d()]),
        st.builds(Linear, st.integers(1, 9), SMALL, weight=st.just(Drawn(1)), bias=st.just(Drawn(2))),
    )


@st.composite
def stacks(draw: st.DrawFn) -> Stack:
    """Any stacks: up to five layers, channels mostly made to fit, some layers switched off."""
    shape = draw(st.tuples(SMALL, st.integers(3, 12), st.integers(3, 12)))
    layers = draw(st.lists(any_layers(), max_size=5))
    switched_off = draw(st.sets(st.integers(0, max(0, len(layers) - 1)), max_size=2)) if layers else set()
    stack = Stack(shape, layers, switched_off)
    return stack.fitted() if draw(st.integers(0, 3)) else stack


def inputs_of(stack: Stack) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    size = math.prod(stack.input_shape)
    return np.random.default_rng(size).normal(size=stack.input_shape)


def torch_outputs(stack: Stack, x: torch.Tensor) -> list[torch.Tensor]:
    """The outputs of the layers that fit, each with the batch dimension."""
    outputs = []
    for index in range(len(stack.shapes) - 1):
        if stack.is_on(index):
            x = torch_module(stack.layers[index])(x)
        outputs.append(x)
    return outputs
