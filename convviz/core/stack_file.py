"""A stack as text: JSON with a version.

Weights are base64 of little-endian numbers, or the seed that draws them.
"""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any, Final

import numpy as np

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import GELU, BatchNorm2d, Dropout, ReLU, Sigmoid, Tanh
from convviz.core.explain import FloatArray
from convviz.core.layers import (
    AvgPool2d,
    Conv2d,
    Drawn,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Layer,
    MaxPool2d,
    Shape,
    Weighted,
)
from convviz.core.stack import Stack
from convviz.core.window import integer

FORMAT: Final = "convviz stack"
VERSION: Final = 1
SUFFIX: Final = ".convviz"
"""Of the files that hold a stack."""

MOST_BYTES: Final = 2**28
"""The greatest size of a file."""
LARGEST_SIZE: Final = 1_000_000
"""The greatest whole number of any setting in a file."""
MOST_LAYERS: Final = 1000
MOST_CELLS: Final = 2**28
"""The most cells of the input or of one layer's output, so that no file asks for more memory than computers have."""
MOST_PARAMETERS: Final = 2**30

KINDS: Final[dict[str, type[Layer]]] = {
    kind.__name__: kind
    for kind in (
        Conv2d,
        MaxPool2d,
        AvgPool2d,
        GlobalMaxPool2d,
        GlobalAvgPool2d,
        ReLU,
        Sigmoid,
        Tanh,
        GELU,
        BatchNorm2d,
        Dropout,
        Flatten,
        Linear,
    )
}


class StackFileError(ValueError):
    """Text that is not a stack; the message says what is wrong with it."""


def to_json(stack: Stack, geometry_only: bool = False) -> str:
    """Return the stack as text that `from_json` restores exactly; with `geometry_only` weights are drawn anew there."""
    lines = []
    for index, layer in enumerate(stack.layers):
        entry: dict[str, Any] = {"kind": type(layer).__name__, **layer.settings}
        for name, array in layer.arrays.items():
            if geometry_only and isinstance(array, np.ndarray):
                if not isinstance(layer, BatchNorm2d):
                    entry[name] = _code(Drawn(index))
            elif array is not None:
                entry[name] = _code(array)
        if not stack.is_on(index):
            entry["switched_off"] = True
        lines.append(json.dumps(entry))
    head = json.dumps({"format": FORMAT, "version": VERSION, "input_shape": stack.input_shape})
    return f'{head[:-1]}, "layers": [\n' + ",\n".join(lines) + "\n]}\n"


def _code(array: FloatArray | Drawn) -> dict[str, Any]:
    if isinstance(array, Drawn):
        return {"seed": array.seed}
    data = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return {array.dtype.name: base64.b64encode(data).decode()}


def from_json(text: str) -> Stack:
    """Return the stack that `to_json` wrote; `StackFileError` for anything else."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise StackFileError("This is not a stack file: its text is not JSON. Nothing was changed.") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StackFileError(f'This is not a stack file: it lacks the mark "{FORMAT}". Nothing was changed.')
    version = document.get("version")
    if isinstance(version, int) and version > VERSION:
        raise StackFileError(
            f"This stack was saved by a newer convviz; this one reads file version {VERSION}. Nothing was changed."
        )
    try:
        return _stack(document)
    except (ValueError, TypeError, IndexError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split()).removesuffix(".")
        reason = reason if len(reason) <= 200 else f"{reason[:199]}…"
        raise StackFileError(f"This stack file is damaged: {reason}. Nothing was changed.") from None


def load(path: Path) -> Stack:
    """Return the stack of a file.

    Raises:
        StackFileError: it is not one, or cannot be read.

    """
    try:
        if not path.is_file():  # opening a named pipe would wait for ever
            raise StackFileError(f"“{path.name}” is not a file. Nothing was changed.")
        if path.stat().st_size > MOST_BYTES:
            raise StackFileError("This is not a stack file: it is too large for one. Nothing was changed.")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise StackFileError("This is not a stack file: it is not text. Nothing was changed.") from None
    except OSError:
        raise StackFileError(
            f"“{path.name}” cannot be read: check its permissions and its drive. Nothing was changed."
        ) from None
    return from_json(text)


def _stack(document: dict[str, Any]) -> Stack:
    if document.keys() != {"format", "version", "input_shape", "layers"} or document["version"] != VERSION:
        raise ValueError("its parts are not those of a stack")
    input_shape, entries = document["input_shape"], document["layers"]
    if not isinstance(input_shape, list) or not isinstance(entries, list) or len(entries) > MOST_LAYERS:
        raise ValueError(f"it must have an input shape and at most {MOST_LAYERS} layers")
    _check_sizes(input_shape)
    layers, switched_off = [], []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ValueError(f"layer {index + 1} is not described")
        try:
            if entry.get("switched_off", False) is not False:
                switched_off.append(index)
            layers.append(_layer({name: value for name, value in entry.items() if name != "switched_off"}))
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"layer {index + 1}: {error}") from None
    stack = Stack(input_shape, layers, switched_off)
    if max(map(math.prod, stack.shapes)) > MOST_CELLS:
        raise ValueError(f"an output has more than {MOST_CELLS} cells")
    if stack.num_parameters > MOST_PARAMETERS:
        raise ValueError(f"it has more than {MOST_PARAMETERS} parameters")
    return stack


def _layer(entry: dict[str, Any]) -> Layer:
    name = entry.pop("kind", None)
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError("its kind is not known")
    encoded = {name: entry.pop(name) for name in kind.array_names if name in entry}
    for value in entry.values():
        _check_sizes(value if isinstance(value, list) else [value])
    try:
        layer = kind(**entry)
    except TypeError:
        raise ValueError(f"the settings are not those of {name}") from None
    if any(isinstance(kept, bool) and entry.get(setting, kept) is not kept for setting, kept in layer.settings.items()):
        raise ValueError("a switch is neither true nor false")
    if isinstance(layer, Weighted) and encoded:
        return layer.changed(**{name: _array(layer.array_shapes[name], code) for name, code in encoded.items()})
    return layer


def _check_sizes(values: list[Any]) -> None:
    if any(isinstance(value, int) and value > LARGEST_SIZE for value in values):
        raise ValueError(f"a size is greater than {LARGEST_SIZE}")


def _array(shape: Shape, code: object) -> FloatArray | Drawn:
    """Return an array of this shape from its only entry: {"seed": 3} or {"float32": base64}."""
    if not isinstance(code, dict) or len(code) != 1:
        raise ValueError("weights are neither numbers nor a seed")
    ((key, value),) = code.items()
    if key == "seed":
        seed = integer(value, "seed", least=0)
        if seed >= 2**64:
            raise ValueError("a seed is too great")
        return Drawn(seed)
    if key not in ("float32", "float64") or not isinstance(value, str):
        raise ValueError("weights are neither numbers nor a seed")
    dtype = np.dtype(key)
    count = math.prod(shape)
    data = base64.b64decode(value, validate=True)
    if len(data) != count * dtype.itemsize:
        raise ValueError(f"there are {len(data)} bytes of weights where {count * dtype.itemsize} belong")
    return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
