"""Legal layers with an input each, and the same layer in torch."""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import GELU, BatchNorm2d, Dropout, ReLU, Sigmoid, Tanh
from convviz.core.explain import FloatArray
from convviz.core.layers import AvgPool2d, Conv2d, GlobalAvgPool2d, GlobalMaxPool2d, Layer, MaxPool2d
from convviz.core.window import Padding, PaddingMode, Pair, max_dilation, max_padding

PADDING_MODES: tuple[PaddingMode, ...] = ("zeros", "reflect", "replicate", "circular")


@dataclass(frozen=True)
class Case:
    layer: Layer
    x: FloatArray


@st.composite
def inputs(draw: st.DrawFn, shape: tuple[int, ...], special_values: bool = False) -> FloatArray:
    """Whole numbers full of ties, or reals; on request with NaN and ±∞ among them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.integers(-3, 4, shape).astype(np.float64) if draw(st.booleans()) else rng.normal(size=shape)
    if special_values:
        share = draw(st.sampled_from([0.0, 0.1, 0.9]))
        odd = rng.choice([np.nan, np.inf, -np.inf], shape)
        x = np.where(rng.random(shape) < share, odd, x)
    return x


@st.composite
def conv_cases(draw: st.DrawFn) -> Case:
    groups = draw(st.integers(1, 3))
    channels_read, out_of_group = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    sizes = draw(st.tuples(st.integers(1, 8), st.integers(1, 8)))
    mode = draw(st.sampled_from(PADDING_MODES))
    named_padding = draw(st.sampled_from([None, None, None, "same", "valid"]))
    kernel, pads, dilation = [], [], []
    for size in sizes:
        pads.append(draw(st.integers(0, min(4, max_padding(size, padding_mode=mode)))))
        padding: Padding = named_padding or pads[-1]  # type: ignore[assignment]  # a str among literals
        legal = [k for k in range(1, 5) if max_dilation(size, kernel_size=k, padding=padding, padding_mode=mode) > 0]
        kernel.append(draw(st.sampled_from(legal)))
        most = max_dilation(size, kernel_size=kernel[-1], padding=padding, padding_mode=mode)
        dilation.append(draw(st.integers(1, min(3, most))))
    stride = (1, 1) if named_padding == "same" else draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    out_channels = groups * out_of_group
    layer = Conv2d(
        groups * channels_read,
        out_channels,
        kernel,
        stride,
        named_padding or pads,  # type: ignore[arg-type]  # a str among literals
        dilation,
        groups,
        mode,
        draw(st.booleans()),
        rng.normal(size=(out_channels, channels_read, *kernel)),
        rng.normal(size=out_channels) if draw(st.booleans()) else None,
    )
    return Case(layer, draw(inputs((layer.in_channels, *sizes))))


@st.composite
def _pool_windows(draw: st.DrawFn) -> tuple[tuple[int, int, int], Pair, Pair | None, Pair, bool]:
    """An input shape, kernel size, stride, padding and ceil_mode that fit at dilation 1."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.none() | st.tuples(st.integers(1, 5), st.integers(1, 5)))
    ceil_mode = draw(st.booleans())
    pads, sizes = [], []
    for k, s in zip(kernel, stride or kernel, strict=True):
        pads.append(draw(st.integers(0, k // 2)))
        least = max(1, k - 2 * pads[-1] - (s - 1 if ceil_mode else 0))
        sizes.append(draw(st.integers(least, least + 7)))
    return (draw(st.integers(1, 3)), sizes[0], sizes[1]), kernel, stride, (pads[0], pads[1]), ceil_mode


@st.composite
def max_cases(draw: st.DrawFn, return_indices: bool = False) -> Case:
    shape, kernel, stride, padding, ceil_mode = draw(_pool_windows())
    dilation = [
        draw(st.integers(1, min(3, max_dilation(size, kernel_size=k, padding=p, stride=s, ceil_mode=ceil_mode))))
        for size, k, p, s in zip(shape[1:], kernel, padding, stride or kernel, strict=True)
    ]
    layer = MaxPool2d(kernel, stride, padding, dilation, return_indices, ceil_mode)
    return Case(layer, draw(inputs(shape, special_values=True)))


@st.composite
def avg_cases(draw: st.DrawFn) -> Case:
    shape, kernel, stride, padding, ceil_mode = draw(_pool_windows())
    divisor = draw(st.none() | st.integers(1, 9))
    layer = AvgPool2d(kernel, stride, padding, ceil_mode, draw(st.booleans()), divisor)
    return Case(layer, draw(inputs(shape, special_values=True)))


@st.composite
def other_cases(draw: st.DrawFn) -> Case:
    kinds = [ReLU(), Sigmoid(), Tanh(), GELU(), Dropout(0.2), GlobalMaxPool2d(), GlobalAvgPool2d()]
    layer = draw(st.sampled_from(kinds))
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)))
    return Case(layer, draw(inputs(shape, special_values=True)))


@st.composite
def norm_cases(draw: st.DrawFn) -> Case:
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weight, bias, mean = rng.normal(size=(3, shape[0]))
    layer = BatchNorm2d(shape[0], draw(st.sampled_from([1e-5, 0.1])), weight, bias, mean, rng.uniform(size=shape[0]))
    return Case(layer, draw(inputs(shape, special_values=True)))


@st.composite
def vector_cases(draw: st.DrawFn) -> Case:
    """Layers that take or make vectors."""
    size, outputs = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bias = rng.normal(size=outputs) if draw(st.booleans()) else None
    kinds: list[Layer] = [
        Linear(size, outputs, rng.normal(size=(outputs, size)), bias),
        Flatten(),
        ReLU(),
        Sigmoid(),
        Tanh(),
        GELU(),
        Dropout(),
    ]
    layer = draw(st.sampled_from(kinds))
    grids = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
    shape: tuple[int, ...] = draw(grids) if isinstance(layer, Flatten) and draw(st.booleans()) else (size,)
    return Case(layer, draw(inputs(shape)))


def all_cases() -> st.SearchStrategy[Case]:
    """Every layer that moves over (C, H, W)."""
    return st.one_of(conv_cases(), max_cases(), avg_cases(), other_cases(), norm_cases())


def torch_module(layer: Layer) -> torch.nn.Module:
    match layer:
        case Conv2d():
            module = torch.nn.Conv2d(
                layer.in_channels,
                layer.out_channels,
                layer.kernel_size,
                layer.stride,
                layer.padding,
                layer.dilation,
                layer.groups,
                layer.bias is not None,
                layer.padding_mode,
                dtype=torch.float64,
            ).requires_grad_(False)
            weight = torch.tensor(layer.weight)
            module.weight.copy_(weight.flip(2, 3) if layer.flip else weight)
            if module.bias is not None:
                module.bias.copy_(torch.tensor(layer.bias))
            return module
        case MaxPool2d():
            return torch.nn.MaxPool2d(
                layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.return_indices, layer.ceil_mode
            )
        case AvgPool2d():
            return torch.nn.AvgPool2d(
                layer.kernel_size,
                layer.stride,
                layer.padding,
                layer.ceil_mode,
                layer.count_include_pad,
                layer.divisor_override,
            )
        case GlobalMaxPool2d():
            return torch.nn.AdaptiveMaxPool2d(1)
        case GlobalAvgPool2d():
            return torch.nn.AdaptiveAvgPool2d(1)
        case ReLU() | Sigmoid() | Tanh() | GELU() | Flatten():
            module_type: type[torch.nn.Module] = getattr(torch.nn, type(layer).__name__)
            return module_type()
        case Dropout():
            return torch.nn.Dropout(layer.p).eval()
        case BatchNorm2d():
            norm = torch.nn.BatchNorm2d(layer.num_features, layer.eps, dtype=torch.float64).requires_grad_(False)
            for name in layer.array_names:
                getattr(norm, name).copy_(torch.tensor(getattr(layer, name)))
            return norm.eval()
        case Linear():
            linear = torch.nn.Linear(
                layer.in_features, layer.out_features, layer.bias is not None, dtype=torch.float64
            ).requires_grad_(False)
            linear.weight.copy_(torch.tensor(layer.weight))
            if layer.bias is not None:
                linear.bias.copy_(torch.tensor(layer.bias))
            return linear
        case _:
            raise TypeError(layer)
