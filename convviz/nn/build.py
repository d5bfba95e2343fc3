"""A stack as a torch module, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from convviz.core.elementwise import BatchNorm2d, Dropout
from convviz.core.explain import FloatArray
from convviz.core.layers import Conv2d, GlobalAvgPool2d, GlobalMaxPool2d, Layer, MaxPool2d, Weighted
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.core.stack_file import KINDS
from convviz.core.window import ShapeError

KIND_OF_MODULE: dict[type[nn.Module], type[Layer]] = {
    getattr(nn, name): kind for name, kind in KINDS.items() if hasattr(nn, name)
}
"""The layers that torch has under the same name, with the same arguments and attributes."""


def build(stack: Stack, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """Return the stack in torch: module i does to (N, C, H, W), or to (N, features), what layer i does.

    Weights are copied; where the stack draws them, they are the numbers it draws. The kernels of a convolution that
    flips are turned by 180°. A layer that is switched off becomes `nn.Identity`, so that indices agree.

    The module is in evaluation mode, in which it computes what the stack does: call `train()` before training it.
    torch's random state stays as it was.

    Raises:
        ShapeError: the stack has a problem, or a window of max pooling holds nothing but padding. torch's backward
            pass through such a window writes outside its memory.

    """
    module = skeleton(stack)
    numbers = {
        f"{index}.{name}": tensor
        for index, layer in enumerate(stack.layers)
        if isinstance(layer, Weighted) and stack.is_on(index)
        for name, tensor in _numbers(layer, dtype).items()
    }
    module.load_state_dict(numbers, assign=True)
    return module


def skeleton(stack: Stack) -> nn.Sequential:
    """Return what `build` does, without its numbers: the weights are on torch's meta device, to be replaced.

    Raises:
        ShapeError: as `build`.

    """
    if stack.problem is not None:
        raise ShapeError(f"Layer {stack.problem.index + 1}: {stack.problem.message}")
    modules: list[nn.Module] = []
    for index, layer in enumerate(stack.layers):
        if stack.is_on(index):
            _check_windows(layer, stack.shapes[index], index + 1)
            modules.append(_module(layer))
        else:
            modules.append(nn.Identity())
    return nn.Sequential(*modules).eval()


def _check_windows(layer: Layer, input_shape: Sequence[int], number: int) -> None:
    if not isinstance(layer, MaxPool2d):
        return
    if any((axis.sources < 0).all(axis=1).any() for axis in layer.axes(input_shape)):
        raise ShapeError(
            f"Layer {number}: a window of the max pooling holds nothing but padding; a smaller dilation would fit."
        )


def _module(layer: Layer) -> nn.Module:
    module: nn.Module
    match layer:
        case GlobalMaxPool2d():
            return nn.AdaptiveMaxPool2d(1)
        case GlobalAvgPool2d():
            return nn.AdaptiveAvgPool2d(1)
        case Weighted():
            settings = layer.settings
            settings.pop("flip", None)
            if not isinstance(layer, BatchNorm2d):
                settings["bias"] = layer.arrays["bias"] is not None
            # On the meta device torch draws no weights, which would be overwritten at once.
            module = getattr(nn, type(layer).__name__)(**settings, device="meta")
        case _:
            module = getattr(nn, type(layer).__name__)(**layer.settings)
    return module


def _numbers(layer: Weighted, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Return the `state_dict` of the layer's module."""
    arrays = {name: getattr(layer, name) for name in layer.array_names}
    if isinstance(layer, Conv2d):
        arrays["weight"] = layer.applied_weight
    numbers = {name: torch.from_numpy(np.array(array)).to(dtype) for name, array in arrays.items() if array is not None}
    if isinstance(layer, BatchNorm2d):
        numbers["num_batches_tracked"] = torch.tensor(0)
    return numbers


def stack_of(module: nn.Sequential, input_shape: Sequence[int]) -> Stack:
    """Return the stack that computes, on inputs (C, H, W), what `module` does in evaluation mode.

    Weights are copied in their own dtype, float32 or float64; lower precisions become float32, which holds them. What
    only a stack knows does not come back from the module that was built of it: `nn.Identity` becomes `Dropout(0)`,
    whichever layer was switched off there; a turned kernel is one that is not flipped; drawn weights are numbers. If
    the modules do not fit one another or the input, the stack has a `problem`.

    Raises:
        RefusalError: one of the modules is none that a stack has.
        ShapeError: the input shape is not three numbers of at least 1.

    """
    return Stack(input_shape, [_layer(part, number) for number, part in enumerate(module, 1)])


def _layer(module: nn.Module, number: int) -> Layer:
    layer = layer_of(module)
    if layer is None:
        raise RefusalError(
            "Module {number} is {name}({arguments}), which is none of the layers that a stack has.",
            number=number,
            name=type(module).__name__,
            arguments=module.extra_repr(),
        )
    if not isinstance(layer, Weighted):
        return layer
    return layer.changed(**{name: _array(getattr(module, name)) for name in layer.array_names})


def layer_of(module: nn.Module) -> Layer | None:
    """Return the layer that does what the module does in evaluation mode, but for its numbers; None if there is none.

    Its weights are those of a layer that was given none.
    """
    match module:
        case nn.Identity():
            return Dropout(0)
        case nn.AdaptiveMaxPool2d(output_size=1 | (1, 1), return_indices=False):
            return GlobalMaxPool2d()
        case nn.AdaptiveAvgPool2d(output_size=1 | (1, 1)):
            return GlobalAvgPool2d()
        case nn.GELU(approximate="tanh") | nn.BatchNorm2d(running_mean=None):
            return None
        case nn.Flatten(start_dim=start, end_dim=end) if (start, end) != (1, -1):
            return None
    kind = KIND_OF_MODULE.get(type(module))
    if kind is None:
        return None
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]  # every layer is a dataclass
    names = [field.name for field in fields if field.name not in ("flip", *kind.array_names)]
    return kind(**{name: getattr(module, name) for name in names})


def _array(tensor: torch.Tensor | None) -> FloatArray | None:
    """Return a tensor as a layer takes it."""
    if tensor is None:
        return None
    tensor = tensor.detach().cpu()
    array: FloatArray = (tensor if tensor.dtype == torch.float64 else tensor.float()).numpy()
    return array
