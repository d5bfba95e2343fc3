"""A data set and networks so small that a test trains them in a moment."""

from collections.abc import Generator
from typing import TypeVar

import numpy as np

from convviz.core.control import StopToken
from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import BatchNorm2d, Dropout, ReLU
from convviz.core.layers import Conv2d, Drawn, MaxPool2d
from convviz.core.stack import Stack
from convviz.nn.control import TrainControl
from convviz.nn.data import Dataset, Split
from convviz.nn.run_folder import RunFolder, RunInfo
from convviz.nn.settings import TrainSettings
from convviz.nn.train import Trainer, TrainSnapshot, train

CLASSES = ("red", "green", "blue")
SETTINGS = TrainSettings(
    lr=0.05, schedule="one-cycle", batch_size=8, epochs=3, device="cpu", mixed_precision=False, flip=False
)

_Result = TypeVar("_Result")


def tiny_dataset(num_train: int = 44, num_test: int = 15, fingerprint: str = "tiny") -> Dataset:
    """8×8 pictures in which one channel is a little brighter."""
    return Dataset("tiny", "Tiny", CLASSES, _split(num_train, 1), _split(num_test, 2), fingerprint)


def _split(count: int, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    images = rng.integers(0, 160, (count, 3, 8, 8), np.uint8)
    images[np.arange(count), labels] += 60
    return Split(images, labels)


def tiny_stack() -> Stack:
    """One convolution and one dense layer, in the order of most networks."""
    return Stack(
        (3, 8, 8),
        [
            Conv2d(3, 4, 3, weight=Drawn(0), bias=Drawn(0)),
            ReLU(),
            MaxPool2d(2),
            Flatten(),
            Linear(36, 3, Drawn(4), Drawn(4)),
        ],
    )


def norm_stack() -> Stack:
    """A flipped convolution, batch normalisation, dropout, and a layer that is switched off."""
    layers = [
        Conv2d(3, 4, 3, padding=1, flip=True, weight=Drawn(0)),
        BatchNorm2d(4),
        ReLU(),
        Conv2d(4, 4, 3, padding=1, weight=Drawn(3)),
        MaxPool2d(2),
        Dropout(0.25),
        Flatten(),
        Linear(64, 3, Drawn(7), Drawn(7)),
    ]
    return Stack((3, 8, 8), layers, [3])


def result_of(steps: Generator[object, None, _Result]) -> _Result:
    """Run a generator to its end and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: _Result = end.value
            return result


def trained(trainer: Trainer, folder: RunFolder | None = None, stop_after: int | None = None) -> TrainSnapshot:
    """Train to the end, or ask to stop after so many batches, and return the last snapshot."""
    token = StopToken()

    def watched() -> Generator[TrainSnapshot, None, TrainSnapshot]:
        steps = train(trainer, token, TrainControl(), folder)
        while True:
            try:
                snapshot = next(steps)
            except StopIteration as end:
                last: TrainSnapshot = end.value
                return last
            if snapshot.progress.step == stop_after:
                token.request_stop()
            yield snapshot

    return result_of(watched())


def info_of(trainer: Trainer) -> RunInfo:
    """What a run folder is begun with."""
    return RunInfo("tiny", trainer.data_info, trainer.settings)
