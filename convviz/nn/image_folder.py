"""A user's folder of pictures as a data set, laid out as for `torchvision.datasets.ImageFolder`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from convviz.core.control import StopToken, go_on
from convviz.core.pictures import PictureError, load_picture
from convviz.core.refusal import RefusalError
from convviz.nn.source import LOOKING, READING, DataProgress, Pictures, Pixels, Source, Steps, entry_name

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
TEST_NAMES = ("test", "val")
TEST_SHARE = 0.2
"""Of a class's pictures, where the folder has none for testing."""

_READ_AT_ONCE = 64
_LAYOUT = "Expected is a folder of pictures for each class, either in “train” and “test” or side by side."


@dataclass(frozen=True)
class _File:
    """A picture file: its path below the data set's folder, its class, and what tells whether it has changed."""

    path: str
    label: int
    num_bytes: int
    modified_ns: int


def image_folder(folder: Path, size: tuple[int, int], channels: int, seed: int, token: StopToken) -> Steps[Source]:
    """Yield how many pictures were found and return the data set in a folder.

    Every folder is a class, named by it; its pictures may lie in folders of their own. If there is no “test” (or
    “val”) beside “train”, or neither, a fifth of each class, drawn from `seed`, is kept for testing. Hidden files and
    files of other kinds than `SUFFIXES` are passed over.

    Raises:
        RefusalError: the folder cannot be read or is not laid out like this.
        StoppedError: the token asked for it.

    """
    try:
        classes, train, test = yield from _found(folder, seed, token)
    except OSError as error:
        raise RefusalError(
            "{path} cannot be read: check its permissions and its drive.", path=error.filename or folder
        ) from error
    shape = (channels, *size)
    files = train + test

    def pictures(token: StopToken) -> Steps[Pictures]:
        yield DataProgress(0, len(files), READING)
        return Pictures(
            classes=classes,
            train_labels=np.array([file.label for file in train], np.int64),
            test_labels=np.array([file.label for file in test], np.int64),
            shape=shape,
            chunks=_chunks(folder, files, size, channels),
            what=READING,
        )

    place = sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    version = sha256(repr((classes, train, test)).encode()).hexdigest()
    return Source(folder.name, entry_name(f"folder-{place}", shape), version, pictures)


def _found(folder: Path, seed: int, token: StopToken) -> Steps[tuple[tuple[str, ...], list[_File], list[_File]]]:
    """Return the names of the classes, the pictures to train on and those to test on."""
    train = folder / "train"
    if not train.is_dir():
        train = folder
    classes = _class_names(train)
    test = next((folder / name for name in TEST_NAMES if train != folder and (folder / name).is_dir()), None)
    if test is not None and (odd := sorted(set(classes) ^ set(_class_names(test)))):
        where, other = (train, test) if odd[0] in classes else (test, train)
        raise RefusalError(
            "The class “{name}” is in “{where}”, but not in “{other}”.",
            _LAYOUT,
            name=odd[0],
            where=where.name,
            other=other.name,
        )
    if not classes:
        raise RefusalError("{folder} has no folders of pictures.", _LAYOUT, folder=train)
    if len(classes) == 1:
        raise RefusalError(
            "{folder} has one class only, “{name}”; two or more are needed.", _LAYOUT, folder=train, name=classes[0]
        )
    train_files = yield from _files(folder, train, classes, 0, token)
    if test is not None:
        return classes, train_files, (yield from _files(folder, test, classes, len(train_files), token))
    return classes, *_split(train_files, classes, seed)


def _class_names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))


def _files(root: Path, folder: Path, classes: tuple[str, ...], found: int, token: StopToken) -> Steps[list[_File]]:
    """Return the pictures of every class in one folder, in the order of their names."""
    files: list[_File] = []
    for label, name in enumerate(classes):
        before = len(files)
        below = folder / name
        for path, entry in _pictures_below(below, below.relative_to(root).as_posix()):
            status = entry.stat()
            files.append(_File(path, label, status.st_size, status.st_mtime_ns))
            if len(files) % 1000 == 0:
                go_on(token)
                yield DataProgress(found + len(files), 0, LOOKING)
        if len(files) == before:
            raise RefusalError(
                "The class “{name}” has no pictures in {folder}.",
                "PNG, JPEG, WebP and BMP pictures are accepted.",
                name=name,
                folder=folder,
            )
    return files


def _pictures_below(folder: Path | str, path: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield the pictures in a folder and in those within, each with its path, which begins with the folder's `path`."""
    with os.scandir(folder) as unordered:
        entries = sorted(unordered, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _pictures_below(entry.path, f"{path}/{entry.name}")
        elif entry.name.lower().endswith(SUFFIXES):
            yield f"{path}/{entry.name}", entry


def _split(files: list[_File], classes: tuple[str, ...], seed: int) -> tuple[list[_File], list[_File]]:
    """Draw a fifth of each class, and at least one picture, for testing."""
    rng = np.random.default_rng(seed)
    labels = np.array([file.label for file in files])
    for_test = np.zeros(len(files), bool)
    for label, name in enumerate(classes):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            raise RefusalError(
                "The class “{name}” has one picture only.", "Two are needed, one of them for testing.", name=name
            )
        for_test[rng.permutation(members)[: max(1, round(len(members) * TEST_SHARE))]] = True
    return [files[i] for i in np.flatnonzero(~for_test)], [files[i] for i in np.flatnonzero(for_test)]


def _chunks(folder: Path, files: list[_File], size: tuple[int, int], channels: int) -> Iterator[Pixels]:
    """Read all pictures; refuse in the end, so that the message can count what is wrong."""
    refused: list[tuple[str, PictureError]] = []
    for begin in range(0, len(files), _READ_AT_ONCE):
        chunk = files[begin : begin + _READ_AT_ONCE]
        pixels = np.zeros((len(chunk), channels, *size), np.uint8)
        for picture, file in zip(pixels, chunk, strict=True):
            try:
                picture[:] = load_picture(folder / file.path, size, "grey" if channels == 1 else "rgb")
            except PictureError as error:
                if not folder.is_dir():
                    raise RefusalError(
                        "{folder} is gone: check its drive, then load it again.", folder=folder
                    ) from error
                refused.append((file.path, error))
        yield pixels
    if refused:
        (path, first), *others = refused
        sentences = first.sentences
        if others:
            sentences += ("{others} more of {total} pictures cannot be used either, first among them “{second}”.",)
        raise RefusalError(
            *sentences,
            **first.values | {"name": f"“{path}”"},
            others=len(others),
            total=len(files),
            second=others[0][0] if others else "",
        )
