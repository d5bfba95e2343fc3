"""Data sets decoded once: all pictures as one array in a file that is memory-mapped, checked each time it is opened."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import platformdirs

from convviz.core.control import StopToken, go_on
from convviz.core.refusal import RefusalError
from convviz.nn.source import CHECKING, DataProgress, Labels, Pictures, Pixels, Steps

_IMAGES = "images.npy"
_ABOUT = "about.json"
_DRAFT = ".draft"
_DAY = 24 * 60 * 60
_CHECKED_AT_ONCE = 1 << 24


def default_cache() -> Path:
    """Return the folder for data that can be made or fetched again."""
    return platformdirs.user_cache_path("convviz", appauthor=False) / "datasets"


@contextmanager
def draft_folder(cache: Path) -> Iterator[Path]:
    """Make a folder in the cache, which is made if there is none, and remove it in the end. Raises OSError."""
    cache.mkdir(parents=True, exist_ok=True)
    for left in cache.glob(f"*{_DRAFT}"):  # by a process that was killed
        if time.time() - left.stat().st_mtime > _DAY:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(suffix=_DRAFT, dir=cache, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@dataclass(frozen=True, eq=False)
class Stored:
    """A data set as it lies in the cache.

    Attributes:
        images: all pictures, (N, C, H, W), memory-mapped: those to train on, then those to test on.
        train_labels: the class of each picture to train on.
        test_labels: the class of each picture to test on.
        classes: their names.
        fingerprint: SHA-256 of all of the above.
    """

    images: Pixels
    train_labels: Labels
    test_labels: Labels
    classes: tuple[str, ...]
    fingerprint: str


def read(entry: Path, version: str, token: StopToken) -> Steps[Stored | None]:
    """Yield how far the check is and return the data set in the folder `entry`.

    Returns None if there is none, if it is of another version or if it is damaged. Raises StoppedError.
    """
    try:
        about = json.loads((entry / _ABOUT).read_text("utf-8"))
        if about["version"] != version:
            return None
        # Copy-on-write, as torch warns of arrays that nobody may write to.
        images = np.asarray(np.load(entry / _IMAGES, mmap_mode="c"))
        train_labels, test_labels = (np.array(about[name], np.int64) for name in ("train_labels", "test_labels"))
        classes = tuple(map(str, about["classes"]))
        fingerprint = str(about["fingerprint"])
    except (OSError, EOFError, ValueError, LookupError, TypeError, OverflowError):
        return None
    if images.dtype != np.uint8 or images.ndim != 4 or images.size == 0:
        return None
    digest = sha256(_labelling(classes, train_labels, test_labels, images.shape[1:]))
    at_once = max(1, _CHECKED_AT_ONCE // images[0].nbytes)
    for begin in range(0, len(images), at_once):
        go_on(token)
        yield DataProgress(begin, len(images), CHECKING)
        digest.update(images[begin : begin + at_once].data)
    if digest.hexdigest() != fingerprint:
        return None
    return Stored(images, train_labels, test_labels, classes, fingerprint)


def write(entry: Path, version: str, pictures: Pictures, token: StopToken) -> Steps[None]:
    """Yield how far the pictures are, and put them into the folder `entry` once all are made.

    Raises:
        RefusalError: the folder cannot be written, or has no room; or a picture cannot be made.
        StoppedError: the token asked for it; nothing is left behind.

    """
    total = len(pictures.train_labels) + len(pictures.test_labels)
    header = {"descr": "|u1", "fortran_order": False, "shape": (total, *pictures.shape)}
    digest = sha256(_labelling(pictures.classes, pictures.train_labels, pictures.test_labels, pictures.shape))
    try:
        with draft_folder(entry.parent) as folder:
            _check_room(folder, total * int(np.prod(pictures.shape)))
            draft = folder / entry.name
            draft.mkdir()
            # Written, not memory-mapped: a full disk is then an error instead of the end of the process.
            with (draft / _IMAGES).open("wb") as stream:
                np.lib.format.write_array_header_1_0(stream, header)
                done = 0
                go_on(token)
                for chunk in pictures.chunks:
                    stream.write(chunk.data)
                    digest.update(chunk.data)
                    done += len(chunk)
                    yield DataProgress(done, total, pictures.what)
                    go_on(token)
            about = {
                "version": version,
                "classes": pictures.classes,
                "train_labels": pictures.train_labels.tolist(),
                "test_labels": pictures.test_labels.tolist(),
                "fingerprint": digest.hexdigest(),
            }
            (draft / _ABOUT).write_text(json.dumps(about), "utf-8")
            shutil.rmtree(entry, ignore_errors=True)
            draft.rename(entry)
    except OSError as error:
        raise RefusalError(
            "The folder {folder} cannot be written ({reason}): check its permissions and its drive.",
            folder=entry.parent,
            reason=error.strerror,
        ) from error


def _labelling(classes: tuple[str, ...], train: Labels, test: Labels, shape: tuple[int, ...]) -> bytes:
    return json.dumps([classes, train.tolist(), test.tolist(), shape]).encode()


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RefusalError(
            "The pictures need {needed} MB in {folder}, where {free} MB are free.",
            "Free some room, or take a smaller input.",
            needed=-(-needed // 1_000_000),
            folder=folder,
            free=free // 1_000_000,
        )
