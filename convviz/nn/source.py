"""Where the pictures of a data set come from: what the drawn, the published and a user's own have in common."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from convviz.core.control import StopToken

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

DRAWING = "Drawing pictures"
LOOKING = "Looking for pictures"
READING = "Reading pictures"
CHECKING = "Checking pictures"
DOWNLOADING = "Downloading CIFAR-10"
UNPACKING = "Unpacking CIFAR-10"


@dataclass(frozen=True)
class DataProgress:
    """How far the work is.

    Attributes:
        done: pictures or bytes that are done.
        total: how many there are, or 0 while nobody knows.
        what: what is being done: one of this module's phrases, in English.
    """

    done: int
    total: int
    what: str


_Result = TypeVar("_Result")
Steps: TypeAlias = Generator[DataProgress, None, _Result]
"""Work that yields how far it is and returns a result."""


def result_of(steps: Generator[object, None, _Result]) -> _Result:
    """Do the work to its end and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: _Result = end.value
            return result


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures about to be made.

    Attributes:
        classes: the names that labels count through.
        train_labels: the class of each picture to train on.
        test_labels: the class of each picture to test on.
        shape: of every picture, (C, H, W).
        chunks: makes the pictures, (n, C, H, W) at a time: those to train on, then those to test on.
        what: what making them is, one of this module's phrases.
    """

    classes: tuple[str, ...]
    train_labels: Labels
    test_labels: Labels
    shape: tuple[int, int, int]
    chunks: Iterator[Pixels]
    what: str


@dataclass(frozen=True)
class Source:
    """One way to a data set.

    Attributes:
        name: for people.
        entry: the name of its place in the cache.
        version: what its pictures are made of; a cached data set of another version is out of date.
        pictures: makes them, or raises RefusalError or StoppedError.
    """

    name: str
    entry: str
    version: str
    pictures: Callable[[StopToken], Steps[Pictures]]


def entry_name(kind: str, shape: tuple[int, int, int]) -> str:
    """Return the name in the cache of the data set `kind` with pictures of one shape."""
    return f"{kind}-{'x'.join(map(str, shape))}"
