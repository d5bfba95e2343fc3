"""What the Lab remembers until the next start, as JSON text. No Qt in here."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np

from convviz.core.inputs import INPUTS, make_input
from convviz.core.kernels import KERNELS
from convviz.ui.lab.state import (
    MAX_CHANNELS,
    MAX_INPUT,
    MAX_KERNEL,
    MAX_SEED,
    Array,
    LabState,
    Source,
    initial_state,
    ranges,
)


@dataclass(frozen=True)
class LabView:
    """How the Lab is looked at, apart from what it shows."""

    speed: float = 2.0  # steps a second
    shows_all: bool = False
    shows_receptive_field: bool = False
    position: int = 0
    controls: bool | None = None  # shown, hidden, or shown where there is room


def view_to_json(view: LabView) -> str:
    """Return the view as text."""
    return json.dumps(asdict(view))


def view_from_json(text: str) -> LabView:
    """Return the stored view, or the first one where the text is damaged."""
    try:
        stored = json.loads(text)
        speed = float(stored["speed"])
        controls = stored["controls"] if isinstance(stored["controls"], bool) else None
        switches = bool(stored["shows_all"]), bool(stored["shows_receptive_field"])
        return LabView(speed if isfinite(speed) else LabView.speed, *switches, int(stored["position"]), controls)
    except Exception:  # whatever was wrong with it, the first view does
        return LabView()


_STORED = (
    "operation",
    "bias",
    "kernel_size",
    "stride",
    "padding",
    "same",
    "dilation",
    "padding_mode",
    "flip",
    "ceil_mode",
    "count_include_pad",
    "kernel",
    "kernel_seed",
)


def to_json(state: LabState) -> str:
    """Return the state as text, with the numbers of inputs that cannot be made anew."""
    stored: dict[str, Any] = {name: getattr(state, name) for name in _STORED}
    stored |= {
        "input": state.source.kind,
        "seed": state.source.seed,
        "path": state.source.path,
        "is_brightness": state.source.is_brightness,
        "size": state.size,
        "channels": state.channels,
        "weight": state.weight.tolist(),
        # A pasted picture is nowhere else; one from a file is read again when another size is wanted.
        "picture": "" if state.source.path else base64.b64encode(state.source.picture).decode(),
    }
    if state.source.kind not in INPUTS:
        stored["values"] = base64.b64encode(zlib.compress(state.input.astype("<f8").tobytes(), 1)).decode()
    return json.dumps(stored)


def from_json(text: str) -> LabState | None:
    """Return the stored state, or None where the text is damaged."""
    try:
        state = _restored(json.loads(text))
        state.layer.output_shape(state.input.shape)
        return state if _can_be_shown(state) else None
    except Exception:  # whatever was wrong with it, the Lab starts with its first state
        return None


def _restored(stored: dict[str, Any]) -> LabState:
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v := stored[name], list) else v for name in _STORED}
    channels, size = stored["channels"], tuple(stored["size"])
    if channels not in {1, MAX_CHANNELS} or max(size) > MAX_INPUT:
        raise ValueError("an input that the Lab cannot show")
    source = Source(
        stored["input"],
        int(stored["seed"]),
        base64.b64decode(stored["picture"]),
        str(stored["path"]),
        bool(stored["is_brightness"]),
    )
    if source.kind in INPUTS:
        values = make_input(source.kind, size, source.seed, channels)
    else:
        values = _unpacked(stored["values"], 8 * channels * size[0] * size[1])
    return LabState(
        source=source,
        input=values.reshape(channels, *size),
        weight=np.array(stored["weight"], dtype=np.float64),
        **fields,
    )


def _unpacked(text: str, expected: int) -> Array:
    """Return the numbers in ``expected`` packed bytes; text that holds more is not unpacked further."""
    data = zlib.decompressobj().decompress(base64.b64decode(text), expected + 1)
    return np.frombuffer(data, dtype="<f8").astype(np.float64)


def _can_be_shown(state: LabState) -> bool:
    first = initial_state()
    limits = ranges(state, 0), ranges(state, 1)
    return (
        all(type(getattr(state, name)) is type(getattr(first, name)) for name in _STORED)
        and state.source.kind in {*INPUTS, "picture", "custom"}
        and 0 <= state.source.seed <= MAX_SEED
        and state.kernel in {*KERNELS, "custom"}
        and state.kernel_seed >= 0
        and state.weight.ndim == 4
        and state.weight.shape[:2] == (1, state.channels)
        and 1 <= min(state.weight.shape[2:]) <= max(state.weight.shape[2:]) <= MAX_KERNEL
        and not (state.same and state.is_pooling)
        and all(np.isfinite(numbers).all() for numbers in (state.input, state.weight, state.bias))
        and all(
            getattr(limits[axis], name).least <= getattr(state, name)[axis] <= getattr(limits[axis], name).most
            for axis in (0, 1)
            for name in ("size", "kernel_size", "stride", "padding", "dilation")
        )
    )
