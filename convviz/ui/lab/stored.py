"""What the Lab remembers until the next start, as JSON text. No Qt in here."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np

from convviz.core import stack_file
from convviz.core.inputs import INPUTS, make_input
from convviz.ui.lab.limits import MAX_INPUT
from convviz.ui.lab.state import MAX_CHANNELS, MAX_SEED, Array, LabState, Source

MOST_PARAMETERS = 1_000_000
"""Stacks with more numbers of their own come back without them."""


@dataclass(frozen=True)
class LabView:
    """How the Lab is looked at, apart from what it shows."""

    speed: float = 2.0  # steps a second
    shows_all: bool = False
    shows_receptive_field: bool = False
    position: int = 0
    controls: bool | None = None  # shown, hidden, or shown where there is room
    view: str = "layer"


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
        return LabView(
            speed if isfinite(speed) else LabView.speed,
            *switches,
            int(stored["position"]),
            controls,
            str(stored["view"]),
        )
    except Exception:  # whatever was wrong with it, the first view does
        return LabView()


def to_json(state: LabState) -> str:
    """Return the state as text, with the numbers of inputs that cannot be made anew."""
    own = sum(
        array.size for layer in state.stack.layers for array in layer.arrays.values() if isinstance(array, np.ndarray)
    )
    stored: dict[str, Any] = {
        "stack": stack_file.to_json(state.stack, geometry_only=own > MOST_PARAMETERS),
        "current": state.current,
        "kernel_seed": state.kernel_seed,
        "input": state.source.kind,
        "seed": state.source.seed,
        "path": state.source.path,
        "is_brightness": state.source.is_brightness,
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
        return state if _can_be_shown(state) else None
    except Exception:  # whatever was wrong with it, the Lab starts with its first state
        return None


def _restored(stored: dict[str, Any]) -> LabState:
    stack = stack_file.from_json(stored["stack"])
    channels, height, width = stack.input_shape
    if channels > MAX_CHANNELS or max(height, width) > MAX_INPUT:
        raise ValueError("an input that the Lab cannot show")
    source = Source(
        stored["input"],
        int(stored["seed"]),
        base64.b64decode(stored["picture"]),
        str(stored["path"]),
        bool(stored["is_brightness"]),
    )
    if source.kind in INPUTS:
        values = make_input(source.kind, (height, width), source.seed, channels)
    else:
        values = _unpacked(stored["values"], 8 * channels * height * width).reshape(channels, height, width)
    return LabState(source, values, stack, int(stored["current"]), int(stored["kernel_seed"]))


def _unpacked(text: str, expected: int) -> Array:
    """Return the numbers in ``expected`` packed bytes; text that holds more is not unpacked further."""
    data = zlib.decompressobj().decompress(base64.b64decode(text), expected + 1)
    return np.frombuffer(data, dtype="<f8").astype(np.float64)


def _can_be_shown(state: LabState) -> bool:
    arrays = [array for layer in state.stack.layers for array in layer.arrays.values()]
    return (
        state.source.kind in {*INPUTS, "picture", "custom"}
        and 0 <= state.source.seed <= MAX_SEED
        and 0 <= state.current < len(state.stack.layers)
        and state.kernel_seed >= 0
        and bool(np.isfinite(state.input).all())
        and all(np.isfinite(array).all() for array in arrays if isinstance(array, np.ndarray))
    )
