"""CIFAR-10 (Krizhevsky 2009): downloaded on request, or from the archive or folder that the user has."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import requests
from PIL import Image

from convviz.core.control import StopToken, go_on
from convviz.core.refusal import RefusalError
from convviz.nn.cache import default_cache, draft_folder
from convviz.nn.source import (
    CHECKING,
    DOWNLOADING,
    READING,
    UNPACKING,
    DataProgress,
    Pictures,
    Pixels,
    Source,
    Steps,
    entry_name,
)

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
ARCHIVE = "cifar-10-python.tar.gz"
MD5 = "c58f30108f718f92721af3b95e74349a"
FOLDER = "cifar-10-batches-py"
"""What the archive unpacks to."""
BLOCK = 1 << 18
"""How many bytes are read before progress is told, and a stop looked for."""

_READ_AT_ONCE = 1000
_PATIENCE_S = 10
_BY_HAND = "Without a network: put {archive} from {url} into {folder}."


class MissingError(RefusalError):
    """CIFAR-10 is not on this computer; it can be downloaded."""


def find_cifar10(path: Path) -> Path | None:
    """Return the archive or the unpacked folder that `path` is or, as a folder, holds.

    Any file is taken for the archive, which shows when it is opened.
    """
    if path.is_file() or (path.name == FOLDER and path.is_dir()):
        return path
    return next((path / name for name in (FOLDER, ARCHIVE) if (path / name).exists()), None)


def cifar10(path: Path, cache: Path, size: tuple[int, int], channels: int, token: StopToken) -> Steps[Source]:
    """Yield how far the check of an archive is and return CIFAR-10, whose pictures are fitted to `size` = (H, W).

    Args:
        path: as for `find_cifar10`, or the cache.
        cache: where the archive is unpacked for a moment.
        size: of the pictures.
        channels: 1 or 3.
        token: asked whether to stop.

    Raises:
        RefusalError: `path` is a file, but not the archive.
        StoppedError: the token asked for it.

    """
    if path.is_file():
        yield from _check(path, token)

    def pictures(token: StopToken) -> Steps[Pictures]:
        place = find_cifar10(path)
        if place is None:
            raise MissingError("CIFAR-10 is not on this computer yet.", _BY_HAND, **_by_hand(path))
        if place.is_dir():
            return _pictures(place, size, channels)
        try:
            yield from _check(place, token)
            with draft_folder(cache) as draft:
                yield from _unpack(place, draft, token)
                return _pictures(draft / FOLDER, size, channels)
        except OSError as error:
            raise RefusalError(
                "{archive} cannot be unpacked in {folder} ({reason}).",
                archive=place,
                folder=cache,
                reason=error.strerror,
            ) from error

    shape = (channels, *size)
    return Source("CIFAR-10", entry_name("cifar10", shape), MD5, pictures)


def download_cifar10(cache: Path | None = None, token: StopToken | None = None) -> Steps[Path]:
    """Yield how many bytes have arrived and return the archive, which then lies in the cache.

    What arrived before the download was stopped or broken off is kept, and the next one goes on from there.

    Raises:
        RefusalError: the server cannot be reached, or what it sent is damaged; says what to do by hand.
        StoppedError: the token asked for it.

    """
    token = token or StopToken()
    folder = cache or default_cache()
    archive = folder / ARCHIVE
    part = archive.with_name(f"{ARCHIVE}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield from _fetch(part, token)
        yield from _check(part, token)
        part.replace(archive)
    except requests.HTTPError as error:
        raise RefusalError(
            "{host} answered with the error {status}.",
            _BY_HAND,
            host=urlsplit(URL).hostname,
            status=error.response.status_code,
            **_by_hand(folder),
        ) from error
    except requests.RequestException as error:
        raise RefusalError(
            "{host} cannot be reached, or the connection broke.",
            "What has arrived is kept, and the next download goes on from there.",
            _BY_HAND,
            host=urlsplit(URL).hostname,
            **_by_hand(folder),
        ) from error
    except RefusalError:
        part.unlink()
        raise
    except OSError as error:
        raise RefusalError(
            "The folder {folder} cannot be written ({reason}): check its permissions and its drive.",
            folder=folder,
            reason=error.strerror,
        ) from error
    return archive


def _fetch(part: Path, token: StopToken) -> Steps[None]:
    """Get what `part` lacks, which neither pooch nor torchvision does: they begin anew each time."""
    done = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity", "Range": f"bytes={done}-"}
    with requests.get(URL, headers=headers, stream=True, timeout=_PATIENCE_S) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is lacking
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            done = 0
        total = done + int(response.headers.get("Content-Length", -done))
        with part.open("ab" if done else "wb") as stream:
            for block in response.iter_content(BLOCK):
                stream.write(block)
                done += len(block)
                yield DataProgress(done, total, DOWNLOADING)
                go_on(token)


def _check(archive: Path, token: StopToken) -> Steps[None]:
    digest = md5(usedforsecurity=False)
    done, total = 0, archive.stat().st_size
    with archive.open("rb") as stream:
        while block := stream.read(BLOCK):
            go_on(token)
            digest.update(block)
            done += len(block)
            yield DataProgress(done, total, CHECKING)
    if digest.hexdigest() != MD5:
        raise RefusalError(
            "{file} is damaged, or is not the archive of CIFAR-10.",
            "Expected is {archive} with the MD5 sum {md5}.",
            file=archive,
            archive=ARCHIVE,
            md5=MD5,
        )


def _unpack(archive: Path, folder: Path, token: StopToken) -> Steps[None]:
    done = 0
    with tarfile.open(archive) as members:
        for member in members:
            go_on(token)
            members.extract(member, folder, filter="data")
            done += member.size
            yield DataProgress(done, 0, UNPACKING)


def _pictures(folder: Path, size: tuple[int, int], channels: int) -> Pictures:
    """Return what lies in the unpacked folder; torchvision checks the sums of its files before it opens them."""
    # Imported late: it takes a second or two, and the cache does without.
    from torchvision.datasets import CIFAR10  # noqa: PLC0415

    try:
        train, test = (CIFAR10(folder.parent, train=train) for train in (True, False))
    except (RuntimeError, OSError) as error:
        raise RefusalError(
            "The files of CIFAR-10 in {place} are damaged or incomplete.", _BY_HAND, place=folder, **_by_hand(folder)
        ) from error
    return Pictures(
        classes=tuple(train.classes),
        train_labels=np.array(train.targets, np.int64),
        test_labels=np.array(test.targets, np.int64),
        shape=(channels, *size),
        chunks=_chunks([train.data, test.data], size, channels),
        what=READING,
    )


def _chunks(parts: list[Pixels], size: tuple[int, int], channels: int) -> Iterator[Pixels]:
    for images_NHWC in parts:
        for begin in range(0, len(images_NHWC), _READ_AT_ONCE):
            chunk = images_NHWC[begin : begin + _READ_AT_ONCE]
            if chunk.shape[1:] != (*size, channels):
                chunk = np.stack([_fitted(image, size, channels) for image in chunk])
            yield np.ascontiguousarray(chunk.transpose(0, 3, 1, 2))


def _fitted(image_HWC: Pixels, size: tuple[int, int], channels: int) -> Pixels:
    """Stretch a picture as `load_picture` does."""
    image = Image.fromarray(image_HWC)
    enlarged = size[0] > image.height or size[1] > image.width
    image = image.resize(size[::-1], Image.Resampling.BICUBIC if enlarged else Image.Resampling.BOX)
    return np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(*size, channels)


def _by_hand(folder: Path) -> dict[str, object]:
    return {"archive": ARCHIVE, "url": URL, "folder": folder}
