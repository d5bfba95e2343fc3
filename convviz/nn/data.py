"""Data sets to train on: Shapes-10, CIFAR-10, or any folder of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from convviz.core.control import StopToken
from convviz.core.refusal import RefusalError
from convviz.nn.cache import default_cache, read, write
from convviz.nn.cifar10 import cifar10, find_cifar10
from convviz.nn.image_folder import image_folder
from convviz.nn.shapes10 import shapes10
from convviz.nn.source import Labels, Pixels, Source, Steps

SHAPES10 = "shapes10"
CIFAR10 = "cifar10"


@dataclass(frozen=True, eq=False)
class Split:
    """Pictures and the class of each.

    Attributes:
        images: (N, C, H, W), memory-mapped; nobody writes to them.
        labels: (N,), counting through the classes.
    """

    images: Pixels
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pictures to train on and to test on.

    Attributes:
        key: what `load_dataset` was asked for.
        name: for people.
        classes: what the labels stand for.
        train: the pictures to train on.
        test: the pictures to test on.
        fingerprint: SHA-256 of the pictures, labels and classes.
    """

    key: str
    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    fingerprint: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every picture."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


def load_dataset(
    key: str,
    size: tuple[int, int] = (32, 32),
    channels: int = 3,
    cache: Path | None = None,
    seed: int = 0,
    token: StopToken | None = None,
) -> Steps[Dataset]:
    """Yield how far the work is and return the data set.

    The first time its pictures are drawn or read, which may take a while; afterwards they come from the cache. They
    are made anew when a file of theirs has changed or the cache is damaged.

    Args:
        key: "shapes10", "cifar10" (from the cache folder), or the path of a folder of pictures, of the CIFAR-10 archive
            or of a folder with CIFAR-10.
        size: (H, W) that pictures are stretched to.
        channels: 3, or 1 for grey.
        cache: a folder of the caller's instead of `default_cache()`.
        seed: of Shapes-10 and of the split of a folder that has none; not of a training run. Another seed makes the
            pictures anew.
        token: asked whether to stop.

    Raises:
        MissingError: CIFAR-10 is to be downloaded first.
        RefusalError: the data set cannot be read, or the cache not be written.
        StoppedError: the token asked for it.

    """
    token = token or StopToken()
    cache = cache or default_cache()
    if channels not in (1, 3):
        raise RefusalError("The input has {channels} channels; pictures have 1 or 3.", channels=channels)
    source = yield from _source(key, size, channels, cache, seed, token)
    entry = cache / source.entry
    stored = yield from read(entry, source.version, token)
    if stored is None:
        pictures = yield from source.pictures(token)
        yield from write(entry, source.version, pictures, token)
        stored = yield from read(entry, source.version, token)
    if stored is None:
        raise RefusalError("What was written to {folder} cannot be read back: check its drive.", folder=entry)
    num_train = len(stored.train_labels)
    train = Split(stored.images[:num_train], stored.train_labels)
    test = Split(stored.images[num_train:], stored.test_labels)
    return Dataset(key, source.name, stored.classes, train, test, stored.fingerprint)


def _source(key: str, size: tuple[int, int], channels: int, cache: Path, seed: int, token: StopToken) -> Steps[Source]:
    if key == SHAPES10:
        return shapes10(size, channels, seed)
    path = cache if key == CIFAR10 else Path(key).absolute()
    if key == CIFAR10 or find_cifar10(path) is not None:
        return (yield from cifar10(path, cache, size, channels, token))
    if not path.is_dir():
        raise RefusalError("{path} is neither a folder nor a file.", path=path)
    return (yield from image_folder(path, size, channels, seed, token))
