"""How a network is trained: the settings of a run, checked, and as plain data. Needs no torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from convviz.core.refusal import RefusalError

OPTIMIZERS: Final = ("sgd", "adam", "adamw")
SCHEDULES: Final = ("constant", "cosine", "one-cycle")
DEVICES: Final = ("auto", "cpu", "cuda", "mps")

CHOICES: Final = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "device": DEVICES}
"""What the settings that are words may be."""
RANGES: Final[dict[str, tuple[float, float]]] = {
    "lr": (1e-9, 1000),
    "momentum": (0, 0.9999),
    "weight_decay": (0, 10),
    "label_smoothing": (0, 0.99),
    "batch_size": (1, 65536),
    "epochs": (1, 10_000),
    "seed": (0, 2**31 - 1),
    "crop": (0, 1024),
    "cutout": (0, 1024),
}
"""The least and the most that the settings that are numbers may be."""

_RISING: Final = 0.25
"""The share of a one-cycle run in which the rate rises."""
_FIRST_FACTOR: Final = 0.1
"""What a one-cycle run starts with, as a share of its highest rate."""


@dataclass(frozen=True)
class TrainSettings:
    """The settings of a training run. They are checked when they are made.

    Attributes:
        optimizer: one of `OPTIMIZERS`.
        lr: the learning rate; with a schedule its highest value.
        schedule: one of `SCHEDULES`, see `scheduled`.
        momentum: of SGD, or the first beta of Adam.
        nesterov: whether SGD looks ahead (Nesterov's momentum).
        weight_decay: a share of every parameter, times the rate, taken off with each step; of Adam, added to its
            gradient.
        batch_size: pictures a step.
        epochs: passes through the training pictures.
        label_smoothing: the share of the target that is spread evenly over all classes.
        seed: of the initial weights, the order of the pictures, their augmentation and dropout.
        device: one of `DEVICES`; "auto" is CUDA, MPS or the CPU, whichever is there first.
        mixed_precision: compute in bfloat16 where the device is faster in it; weights stay float32.
        flip: mirror every other picture left to right.
        crop: shift pictures by up to so many pixels.
        cutout: cover a square of this side in each picture.

    Raises:
        RefusalError: a value is out of its range; the message names what is accepted.

    """

    optimizer: str = "sgd"
    lr: float = 0.02
    schedule: str = "cosine"
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    batch_size: int = 64
    epochs: int = 10
    label_smoothing: float = 0.0
    seed: int = 0
    device: str = "auto"
    mixed_precision: bool = True
    flip: bool = True
    crop: int = 0
    cutout: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            checked = _checked(field.name, getattr(self, field.name), type(field.default))
            object.__setattr__(self, field.name, checked)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain data, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> TrainSettings:
        """Return the settings that `as_dict` gave; those that are missing have their default. Raises RefusalError."""
        if not isinstance(values, Mapping):
            raise RefusalError("These are no settings of a training run.")
        for name in values:
            if name not in cls.__dataclass_fields__:
                raise RefusalError(
                    "There is no setting {name}; there are {names}.",
                    name=str(name)[:40],
                    names=", ".join(cls.__dataclass_fields__),
                )
        return cls(**values)


def _checked(name: str, value: object, kind: type) -> object:
    """Return a setting in its own type; RefusalError if it is none of those accepted."""
    if kind is str:
        if value in CHOICES[name]:
            return value
        raise RefusalError(
            "{name} is {value}; it must be one of {accepted}.",
            name=name,
            value=_shown(value),
            accepted=", ".join(CHOICES[name]),
        )
    if kind is bool:
        if isinstance(value, bool):
            return value
        raise RefusalError("{name} is {value}; it must be true or false.", name=name, value=_shown(value))
    least, most = RANGES[name]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most:
        number = kind(value)
        if number == value:
            return number
    raise RefusalError(
        "{name} is {value}; it must be a whole number from {least} to {most}."
        if kind is int
        else "{name} is {value}; it must be a number from {least} to {most}.",
        name=name,
        value=_shown(value),
        least=least,
        most=most,
    )


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def scheduled(lr: float, schedule: str, step: int, num_steps: int) -> float:
    """Return the learning rate of a step (0 to num_steps − 1) of a run whose highest rate is `lr`.

    "constant" is `lr` throughout. "cosine" falls from `lr` along half a cosine to almost 0. "one-cycle" rises evenly
    from a tenth of `lr` for the first quarter of the steps, then falls evenly to almost 0: Smith and Topin,
    "Super-Convergence", 2018.
    """
    match schedule:
        case "cosine":
            return lr * (1 + math.cos(math.pi * step / num_steps)) / 2
        case "one-cycle":
            peak = _RISING * num_steps
            if step < peak:
                return lr * (_FIRST_FACTOR + (1 - _FIRST_FACTOR) * step / peak)
            return lr * (num_steps - step) / (num_steps - peak)
    return lr


RECOMMENDED: Final[dict[str, TrainSettings]] = {
    "small_cnn": TrainSettings(),
    "tutorial_cnn": TrainSettings(),
    "lenet5": TrainSettings("adam", lr=0.003, weight_decay=0.0),
    "lenet5_rgb": TrainSettings("adam", lr=0.003, weight_decay=0.0),
    "fast_cnn": TrainSettings(lr=0.1, schedule="one-cycle", batch_size=128, epochs=12, label_smoothing=0.1, crop=2),
}
"""The presets that are there to be trained, with settings that suit them."""
