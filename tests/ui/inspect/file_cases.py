"""Small files of weights, and waiting for what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import torch
from pytestqt.qtbot import QtBot

from convviz.core.presets import PRESETS
from convviz.nn.build import build
from convviz.nn.data import Dataset
from convviz.nn.source import DataProgress
from convviz.ui.inspect.model import InspectModel
from convviz.ui.inspect.session import Picture
from tests.nn.train_cases import tiny_dataset

LONG_MS = 60_000

TUTORIAL_NAMES = {"0": "conv1", "3": "conv2", "7": "fc1", "9": "fc2", "11": "fc3"}


def loads_tiny(*_: object, **__: object) -> Generator[DataProgress, None, Dataset]:
    yield DataProgress(1, 2, "Drawing pictures")
    return tiny_dataset()


def tutorial_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """The weights of PyTorch's tutorial network, by the names they have there."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = build(PRESETS["tutorial_cnn"]()).state_dict()
    names = dict(zip(dict.fromkeys(name.split(".")[0] for name in state), TUTORIAL_NAMES.values(), strict=True))
    return {f"{names[layer]}.{last}": state[f"{layer}.{last}"] for layer, last in (name.split(".") for name in state)}


def saved(path: Path, document: object) -> Path:
    torch.save(document, path)
    return path


def tutorial(folder: Path, name: str = "cifar_net.pt", seed: int = 0) -> Path:
    return saved(folder / name, tutorial_state(seed))


def picture(seed: int = 0, size: int = 32) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (3, size, size), np.uint8)
    return Picture(pixels, f"picture {seed}")


def until(qtbot: QtBot, condition: Callable[[], bool]) -> None:
    qtbot.waitUntil(condition, timeout=LONG_MS)


def settled(qtbot: QtBot, model: InspectModel) -> None:
    """Wait until nothing is computed any more."""
    until(qtbot, lambda: not model.is_busy)


def opened(qtbot: QtBot, model: InspectModel, path: Path) -> InspectModel:
    model.open(path)
    settled(qtbot, model)
    assert model.file is not None
    assert model.file.path == path
    return model
