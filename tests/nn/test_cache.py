from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from convviz.core.control import StoppedError, StopToken
from convviz.core.refusal import RefusalError
from convviz.nn.cache import Stored, default_cache, draft_folder, read, write
from convviz.nn.source import CHECKING, DRAWING, DataProgress, Pictures, Pixels
from tests.nn.steps import followed, result_of

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 2, 3, 4), dtype=np.uint8)


def pictures(chunks: Iterator[Pixels] | None = None) -> Pictures:
    return Pictures(
        classes=("cat", "狗"),
        train_labels=np.array([0, 1, 1]),
        test_labels=np.array([1, 0]),
        shape=(2, 3, 4),
        chunks=iter((IMAGES[:2], IMAGES[2:])) if chunks is None else chunks,
        what=DRAWING,
    )


def stored(entry: Path, version: str = "1") -> Stored | None:
    return result_of(read(entry, version, StopToken()))


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """A folder in a new cache with the pictures in it."""
    entry = tmp_path / "datasets" / "pets"
    result_of(write(entry, "1", pictures(), StopToken()))
    return entry


def test_what_was_written_is_read(entry: Path) -> None:
    found, progress = followed(read(entry, "1", StopToken()))
    assert found is not None
    np.testing.assert_array_equal(found.images, IMAGES)
    assert found.train_labels.tolist() == [0, 1, 1]
    assert found.test_labels.tolist() == [1, 0]
    assert found.classes == ("cat", "狗")
    assert progress == [DataProgress(0, 5, CHECKING)]


def test_progress_counts_the_pictures(tmp_path: Path) -> None:
    _, progress = followed(write(tmp_path / "pets", "1", pictures(), StopToken()))
    assert progress == [DataProgress(2, 5, DRAWING), DataProgress(5, 5, DRAWING)]


def test_the_fingerprint_tells_the_content(entry: Path) -> None:
    first = stored(entry)
    result_of(write(entry, "1", pictures(iter([IMAGES])), StopToken()))
    same = stored(entry)
    result_of(write(entry, "1", pictures(iter([IMAGES[::-1].copy()])), StopToken()))
    other = stored(entry)
    assert first is not None
    assert same is not None
    assert other is not None
    assert first.fingerprint == same.fingerprint != other.fingerprint


def test_writing_to_what_was_read_does_not_reach_the_file(entry: Path) -> None:
    first = stored(entry)
    assert first is not None
    first.images[:] = 0
    second = stored(entry)
    assert second is not None
    np.testing.assert_array_equal(second.images, IMAGES)


def test_another_version_is_out_of_date(entry: Path) -> None:
    assert stored(entry, "2") is None
    result_of(write(entry, "2", pictures(), StopToken()))
    assert stored(entry, "1") is None
    assert stored(entry, "2") is not None


def flip_a_bit(entry: Path) -> None:
    content = bytearray((entry / "images.npy").read_bytes())
    content[-7] ^= 1
    (entry / "images.npy").write_bytes(content)


def change(**entries: object) -> Callable[[Path], None]:
    def damage(entry: Path) -> None:
        about = json.loads((entry / "about.json").read_text("utf-8"))
        (entry / "about.json").write_text(json.dumps(about | entries), "utf-8")

    return damage


def truncate(name: str, size: int) -> Callable[[Path], None]:
    return lambda entry: os.truncate(entry / name, size)


@pytest.mark.parametrize(
    "damage",
    [
        shutil.rmtree,
        flip_a_bit,
        truncate("images.npy", 200),
        truncate("images.npy", 0),
        truncate("about.json", 20),
        lambda entry: (entry / "images.npy").unlink(),
        lambda entry: np.save(entry / "images.npy", IMAGES.astype(np.int64)),
        lambda entry: np.save(entry / "images.npy", np.uint8(3)),
        lambda entry: np.save(entry / "images.npy", IMAGES[:0]),
        lambda entry: np.save(entry / "images.npy", IMAGES[:4]),
        lambda entry: (entry / "about.json").write_text("[]"),
        lambda entry: (entry / "about.json").write_bytes(b"\xff"),
        change(classes=["dog", "cat"]),
        change(classes=None),
        change(test_labels=[0, 0]),
        change(test_labels=[]),
        change(test_labels=[2**70, 0]),
        change(test_labels=["a", "b"]),
    ],
)
def test_damage_is_noticed(entry: Path, damage: Callable[[Path], None]) -> None:
    damage(entry)
    assert stored(entry) is None
    result_of(write(entry, "1", pictures(), StopToken()))
    assert stored(entry) is not None


def test_a_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    token = StopToken()
    steps = write(tmp_path / "pets", "1", pictures(), token)
    next(steps)
    token.request_stop()
    with pytest.raises(StoppedError):
        next(steps)
    assert not list(tmp_path.iterdir())


def test_a_failure_keeps_what_was_there(entry: Path) -> None:
    def failing() -> Iterator[Pixels]:
        yield IMAGES[:2]
        raise RefusalError("Broken.")

    with pytest.raises(RefusalError, match=r"^Broken.$"):
        result_of(write(entry, "1", pictures(failing()), StopToken()))
    assert stored(entry) is not None
    assert list(entry.parent.iterdir()) == [entry]


def test_the_check_can_be_stopped(entry: Path) -> None:
    token = StopToken()
    token.request_stop()
    with pytest.raises(StoppedError):
        next(read(entry, "1", token))


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RefusalError, match=r"The folder .*file cannot be written \(.+\): check its permissions"):
        result_of(write(tmp_path / "file" / "pets", "1", pictures(), StopToken()))


def test_a_full_disk_is_named_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=119))
    with pytest.raises(RefusalError, match=r"The pictures need 1 MB in .*, where 0 MB are free\. Free some room"):
        next(write(tmp_path / "pets", "1", pictures(), StopToken()))
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=120))
    result_of(write(tmp_path / "pets", "1", pictures(), StopToken()))


def test_old_drafts_are_removed(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in ("old.draft", "new.draft", "pets"))
    for folder in (old, new, other):
        (folder / "inner").mkdir(parents=True)
    for folder in (old, other):
        os.utime(folder, (0, 0))
    with draft_folder(tmp_path) as draft:
        assert set(tmp_path.iterdir()) == {new, other, draft}
    assert set(tmp_path.iterdir()) == {new, other}


def test_the_default_cache_is_the_users() -> None:
    assert default_cache().is_absolute()
    assert "convviz" in default_cache().parts
