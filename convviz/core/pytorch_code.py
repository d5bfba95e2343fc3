"""The PyTorch program that prints a number on the screen."""

from __future__ import annotations

import base64
import inspect
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convviz.core.dense import Linear
from convviz.core.elementwise import BatchNorm2d
from convviz.core.explain import FloatArray, Position
from convviz.core.layers import (
    AvgPool2d,
    Conv2d,
    Drawn,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Layer,
    MaxPool2d,
    Weighted,
    check_position,
    floating,
)
from convviz.core.stack import INPUT, Stack

MOST_LITERALS: Final = 256
"""Arrays of more numbers are written in base64."""

DECODED: Final = '''def decoded(text, dtype, shape):
    """Numbers from base64."""
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=dtype).reshape(shape)
'''
DRAWN: Final = '''def drawn(seed, stream, fan_in, shape):
    """Random numbers, uniform within ±1/√fan_in."""
    numbers = np.random.default_rng([seed, stream]).random(shape, dtype=np.float32)
    return torch.from_numpy((numbers - np.float32(0.5)) * np.float32(2 / fan_in**0.5))
'''


def as_pytorch(stack: Stack, x: npt.ArrayLike, layer_index: int, position: Position) -> str:
    """Return a program of its own that builds the stack and its input `x` in torch and prints one output cell.

    `position` is (c, i, j), or (n,) in a vector; `IndexError` if the layer has no such cell. It computes in the dtype
    of `x`. Weights and input are written out; those of more than 256 numbers in base64, drawn ones as their seed.
    """
    if not INPUT <= layer_index < len(stack.shapes) - 1:
        raise IndexError(f"There is no layer {layer_index} among {len(stack.shapes) - 1}.")
    check_position(position, stack.shapes[layer_index + 1])
    layers = [stack.layers[index] if stack.is_on(index) else None for index in range(layer_index + 1)]
    modules = "".join(f"    {_module(layer) if layer else 'nn.Identity()'},\n" for layer in layers)
    body = [
        f"x = {_numbers(floating(x))}",
        f"model = nn.Sequential(\n{modules}).to(x.dtype).eval()" if layers else "model = nn.Sequential()",
        "with torch.no_grad():",
        *(f"    model[{index}].{line}" for index, layer in enumerate(layers) for line in _assignments(layer)),
        "    output = model(x[None])[0]",
        f"print(output[{', '.join(map(str, position))}].item())",
    ]
    code = "\n".join(body) + "\n"
    imports, helpers = "import torch\nfrom torch import nn\n", []
    if "drawn(" in code:
        imports = f"import numpy as np\n{imports}"
        helpers.append(DRAWN)
    if "decoded(" in code:
        imports = f"import base64\n\n{imports}"
        helpers.append(DECODED)
    return "\n\n".join([imports, *helpers, code]) if helpers else f"{imports}\n{code}"


def _module(layer: Layer) -> str:
    """Return the call that makes the layer in torch, with the arguments that are not torch's own defaults."""
    match layer:
        case GlobalMaxPool2d():
            return "nn.AdaptiveMaxPool2d(1)"
        case GlobalAvgPool2d():
            return "nn.AdaptiveAvgPool2d(1)"
    settings = layer.settings
    settings.pop("flip", None)
    if isinstance(layer, (MaxPool2d, AvgPool2d)) and layer.stride == layer.kernel_size:
        del settings["stride"]
    arguments = []
    for name, parameter in inspect.signature(type(layer)).parameters.items():
        if name not in settings:
            continue
        value, default = settings[name], parameter.default
        if default is parameter.empty:
            arguments.append(_argument(value))
        elif value not in (default, (default, default)):
            arguments.append(f"{name}={_argument(value)}")
    if isinstance(layer, (Conv2d, Linear)) and layer.arrays["bias"] is None:
        arguments.append("bias=False")
    return f"nn.{type(layer).__name__}({', '.join(arguments)})"


def _argument(value: Any) -> str:
    is_square = isinstance(value, tuple) and value[0] == value[1]
    return repr(value[0] if is_square else value)


def _assignments(layer: Layer | None) -> list[str]:
    """Return what sets each array of the layer, to be written behind the module."""
    if not isinstance(layer, Weighted):
        return []
    lines = []
    for stream, (name, array) in enumerate(layer.arrays.items()):
        if array is None:
            if name == "weight" and not isinstance(layer, BatchNorm2d):  # whose defaults are torch's
                lines.append("weight.zero_()")
            continue
        if isinstance(array, Drawn):
            shape = layer.array_shapes[name]
            numbers = f"drawn({array.seed}, {stream}, {layer.fan_in}, {shape})"
        else:
            numbers = _numbers(array)
        if name == "weight" and isinstance(layer, Conv2d) and layer.flip:
            numbers += ".flip(2, 3)"
        lines.append(f"{name}.copy_({numbers})")
    return lines


def _numbers(array: FloatArray) -> str:
    """Return an expression for a tensor of these numbers."""
    dtype = f"torch.{array.dtype}"
    if array.size <= MOST_LITERALS and np.isfinite(array).all():
        literal = str(array.tolist()).replace("], [", "],\n    [")
        return f"torch.tensor({literal}, dtype={dtype})"
    if array.dtype == np.float64 and np.array_equal(array, array.astype(np.float32), equal_nan=True):
        return f"{_numbers_base64(array.astype(np.float32))}.double()"
    return _numbers_base64(array)


def _numbers_base64(array: FloatArray) -> str:
    text = base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()
    return f'decoded("{text}", torch.{array.dtype}, {array.shape})'
