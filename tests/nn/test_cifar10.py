from __future__ import annotations

import pickle
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from convviz.core.control import StoppedError, StopToken
from convviz.core.refusal import RefusalError
from convviz.nn import cifar10
from convviz.nn.cifar10 import ARCHIVE, FOLDER, MissingError, download_cifar10, find_cifar10
from convviz.nn.data import Dataset, load_dataset
from convviz.nn.source import CHECKING, DOWNLOADING, READING, UNPACKING, DataProgress, Pixels
from tests.nn.steps import followed, result_of

NUM_A_FILE = 10
NAMES = ["airplane", "ship"]


def rows(index: int) -> Pixels:
    """The pictures of one of the six files, as they lie in it: (n, 3·32·32)."""
    return np.random.default_rng(index).integers(0, 256, (NUM_A_FILE, 3 * 32 * 32), dtype=np.uint8)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small archive of the published form, with the sums that belong to it."""
    folder = tmp_path / "published" / FOLDER
    folder.mkdir(parents=True)
    sums = {}
    files: dict[str, object] = {"batches.meta": {"label_names": NAMES}}
    for index, name in enumerate([*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]):
        files[name] = {"data": rows(index), "labels": [(index + i) % 2 for i in range(NUM_A_FILE)]}
    for name, content in files.items():
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = md5((folder / name).read_bytes()).hexdigest()
    path = tmp_path / "published" / ARCHIVE
    with tarfile.open(path, "w:gz") as members:
        members.add(folder, FOLDER)
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name in files if name.startswith("data")])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
    monkeypatch.setattr(cifar10, "MD5", md5(path.read_bytes()).hexdigest())
    monkeypatch.setattr(cifar10, "BLOCK", 10_000)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def check(dataset: Dataset) -> None:
    """The pictures, labels and names are those of the archive."""
    assert (dataset.name, dataset.classes, dataset.shape) == ("CIFAR-10", ("airplane", "ship"), (3, 32, 32))
    train = np.concatenate([rows(index) for index in range(5)])
    np.testing.assert_array_equal(dataset.train.images.reshape(50, -1), train)
    np.testing.assert_array_equal(dataset.test.images.reshape(10, -1), rows(5))
    assert dataset.train.labels.tolist() == [(index + i) % 2 for index in range(5) for i in range(10)]
    assert dataset.test.labels.tolist() == [1, 0] * 5


def test_the_archive_is_the_one_torchvision_knows() -> None:
    assert CIFAR10.url == cifar10.URL
    assert CIFAR10.filename == ARCHIVE
    assert CIFAR10.tgz_md5 == cifar10.MD5
    assert CIFAR10.base_folder == FOLDER


def test_the_archive_may_lie_anywhere_under_any_name(archive: Path, cache: Path) -> None:
    elsewhere = archive.with_name("mine.tgz")
    archive.rename(elsewhere)
    dataset, progress = followed(load_dataset(str(elsewhere), cache=cache))
    check(dataset)
    assert dataset.key == str(elsewhere)
    assert {step.what for step in progress} == {CHECKING, UNPACKING, READING}
    assert [path.name for path in cache.iterdir()] == ["cifar10-3x32x32"]


@pytest.mark.parametrize("below", [".", FOLDER])
def test_the_unpacked_folder_will_do(archive: Path, cache: Path, below: str) -> None:
    archive.unlink()
    check(result_of(load_dataset(str(archive.parent / below), cache=cache)))


def test_a_folder_with_the_archive_will_do(archive: Path, cache: Path) -> None:
    folder = archive.parent.with_name("folder")
    folder.mkdir()
    archive.rename(folder / ARCHIVE)
    check(result_of(load_dataset(str(folder), cache=cache)))


def test_from_the_cache_it_needs_neither_archive_nor_folder(archive: Path, cache: Path) -> None:
    result_of(load_dataset(str(archive.parent), cache=cache))
    dataset, progress = followed(load_dataset("cifar10", cache=cache))
    check(dataset)
    assert {step.what for step in progress} == {CHECKING}


def test_pictures_are_fitted_to_the_input(archive: Path, cache: Path) -> None:
    dataset = result_of(load_dataset(str(archive), (16, 8), 1, cache))
    assert dataset.shape == (1, 16, 8)
    blocks = rows(5).reshape(10, 3, 16, 2, 8, 4).mean(axis=(3, 5))
    luma = np.tensordot([0.299, 0.587, 0.114], blocks, (0, 1))
    np.testing.assert_allclose(dataset.test.images[:, 0], luma, atol=1.51)
    assert result_of(load_dataset(str(archive), (64, 64), 3, cache)).shape == (3, 64, 64)


def test_what_is_missing_can_be_downloaded_or_put_by_hand(archive: Path, cache: Path) -> None:
    with pytest.raises(MissingError) as caught:
        result_of(load_dataset("cifar10", cache=cache))
    assert str(caught.value) == (
        "CIFAR-10 is not on this computer yet. "
        f"Without a network: put cifar-10-python.tar.gz from {cifar10.URL} into {cache}."
    )
    cache.mkdir()
    archive.rename(cache / ARCHIVE)
    check(result_of(load_dataset("cifar10", cache=cache)))


def test_another_file_is_refused_even_if_the_cache_has_cifar10(archive: Path, cache: Path) -> None:
    result_of(load_dataset(str(archive), cache=cache))
    other = archive.with_name("notes.txt")
    other.write_text("no archive")
    with pytest.raises(RefusalError, match=re.escape(f"{other} is damaged, or is not the archive of CIFAR-10.")):
        result_of(load_dataset(str(other), cache=cache))


def test_damaged_files_are_never_unpickled(archive: Path, cache: Path) -> None:
    (archive.parent / FOLDER / "data_batch_3").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(RefusalError, match=r"The files of CIFAR-10 in .* are damaged or incomplete"):
        result_of(load_dataset(str(archive.parent), cache=cache))


def test_unpacking_can_be_stopped(archive: Path, cache: Path) -> None:
    token = StopToken()
    steps = load_dataset(str(archive), cache=cache, token=token)
    while next(steps).what != UNPACKING:
        pass
    token.request_stop()
    with pytest.raises(StoppedError):
        next(steps)
    assert not list(cache.iterdir())


def test_nothing_else_is_taken_for_cifar10(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    assert find_cifar10(tmp_path) is None
    assert find_cifar10(tmp_path / FOLDER) is None


@dataclass
class Served:
    """What the server sends, how it behaves, and which ranges it was asked for."""

    content: bytes
    knows_ranges: bool = True
    breaks_off_after: int | None = None
    status: int = 200
    ranges: list[str | None] = field(default_factory=list)


@pytest.fixture
def served(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    served = Served(archive.read_bytes())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            served.ranges.append(asked)
            begin = int(asked.removeprefix("bytes=").removesuffix("-")) if served.knows_ranges else 0
            if served.status != 200:
                self.send_error(served.status)
            elif begin >= len(served.content):
                self.send_error(416)
            else:
                body = served.content[begin:]
                self.send_response(206 if served.knows_ranges else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body[: served.breaks_off_after])
                except (BrokenPipeError, ConnectionResetError):  # the download was stopped
                    self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        monkeypatch.setattr(cifar10, "URL", f"http://127.0.0.1:{server.server_port}/{ARCHIVE}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        server.shutdown()
        thread.join()


def part_of(cache: Path) -> Path:
    return cache / f"{ARCHIVE}.part"


def test_a_download_ends_in_the_cache(served: Served, cache: Path) -> None:
    archive, progress = followed(download_cifar10(cache))
    assert archive == cache / ARCHIVE
    assert archive.read_bytes() == served.content
    assert not part_of(cache).exists()
    total = len(served.content)
    assert DataProgress(10_000, total, DOWNLOADING) in progress
    assert DataProgress(total, total, DOWNLOADING) in progress
    check(result_of(load_dataset("cifar10", cache=cache)))


def stop_early(cache: Path) -> int:
    """Stop a download after its first step; return how many bytes have arrived."""
    token = StopToken()
    steps = download_cifar10(cache, token)
    done = next(steps).done
    token.request_stop()
    with pytest.raises(StoppedError):
        next(steps)
    assert part_of(cache).stat().st_size == done
    return done


def test_a_stopped_download_goes_on_where_it_was(served: Served, cache: Path) -> None:
    done = stop_early(cache)
    archive, progress = followed(download_cifar10(cache))
    assert served.ranges == ["bytes=0-", f"bytes={done}-"]
    assert progress[0] == DataProgress(2 * done, len(served.content), DOWNLOADING)
    assert archive.read_bytes() == served.content


def test_a_server_without_ranges_sends_all_again(served: Served, cache: Path) -> None:
    stop_early(cache)
    served.knows_ranges = False
    assert result_of(download_cifar10(cache)).read_bytes() == served.content


def test_a_broken_connection_keeps_what_has_arrived(served: Served, cache: Path) -> None:
    served.breaks_off_after = 25_000
    with pytest.raises(RefusalError) as caught:
        result_of(download_cifar10(cache))
    assert str(caught.value) == (
        "127.0.0.1 cannot be reached, or the connection broke. "
        "What has arrived is kept, and the next download goes on from there. "
        f"Without a network: put {ARCHIVE} from {cifar10.URL} into {cache}."
    )
    kept = part_of(cache).stat().st_size
    assert kept in (20_000, 25_000)
    served.breaks_off_after = None
    assert result_of(download_cifar10(cache)).read_bytes() == served.content
    assert served.ranges[-1] == f"bytes={kept}-"


def test_a_complete_part_is_not_fetched_again(served: Served, cache: Path) -> None:
    cache.mkdir()
    part_of(cache).write_bytes(served.content)
    archive, progress = followed(download_cifar10(cache))
    assert {step.what for step in progress} == {CHECKING}
    assert archive.read_bytes() == served.content


def test_a_damaged_download_is_thrown_away(served: Served, cache: Path) -> None:
    cache.mkdir()
    part_of(cache).write_bytes(b"something else")
    with pytest.raises(RefusalError, match=f"is damaged, or is not the archive .* MD5 sum {cifar10.MD5}"):
        result_of(download_cifar10(cache))
    assert not list(cache.iterdir())
    result_of(download_cifar10(cache))


def test_an_answer_that_is_an_error_is_named(served: Served, cache: Path) -> None:
    served.status = 503
    with pytest.raises(RefusalError, match=r"127\.0\.0\.1 answered with the error 503\. Without a network: put"):
        result_of(download_cifar10(cache))
    assert not list(cache.iterdir())


def test_a_server_that_is_not_there_is_named(archive: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        port = server.server_port
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(cifar10, "URL", f"http://127.0.0.1:{port}/{ARCHIVE}")
    with pytest.raises(RefusalError, match=r"127\.0\.0\.1 cannot be reached"):
        result_of(download_cifar10(cache))


def test_a_cache_that_cannot_be_written_is_named(served: Served, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RefusalError, match=r"The folder .*file cannot be written"):
        result_of(download_cifar10(tmp_path / "file"))
