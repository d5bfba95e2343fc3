from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from convviz.core.control import StoppedError, StopToken
from convviz.core.refusal import RefusalError
from convviz.nn.data import Dataset, load_dataset
from convviz.nn.image_folder import image_folder
from convviz.nn.source import LOOKING, READING, DataProgress
from tests.nn.steps import followed, result_of


def make_pictures(folder: Path, names: Iterable[str] = ("a.png", "b.png", "c.png")) -> None:
    """Lossless pictures of 4×4, each of a colour of its own."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = np.random.default_rng(list(str(path.relative_to(folder.parent.parent)).encode())).integers(256, size=3)
        Image.new("RGB", (4, 4), tuple(colour.tolist())).save(path)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    folder = tmp_path / "pets"
    for part in ("train", "test"):
        for name in ("dog", "cat"):
            make_pictures(folder / part / name)
    make_pictures(folder / "train" / "dog", ["d.png"])
    return folder


def load(folder: Path, channels: int = 3, seed: int = 0) -> Dataset:
    return result_of(load_dataset(str(folder), (4, 4), channels, folder.parent / "cache", seed))


def test_it_is_what_torchvision_reads(pets: Path) -> None:
    dataset = load(pets)
    assert (dataset.key, dataset.name, dataset.shape) == (str(pets), "pets", (3, 4, 4))
    for part, split in (("train", dataset.train), ("test", dataset.test)):
        expected = ImageFolder(pets / part)
        assert dataset.classes == tuple(expected.classes)
        assert split.labels.tolist() == expected.targets
        for index, (picture, _) in enumerate(expected):
            np.testing.assert_array_equal(split.images[index], np.asarray(picture).transpose(2, 0, 1))


def test_pictures_are_fitted_to_the_input(pets: Path) -> None:
    dataset = result_of(load_dataset(str(pets), (6, 2), 1, pets.parent / "cache"))
    assert dataset.shape == (1, 6, 2)
    assert np.ptp(dataset.train.images, axis=(1, 2, 3)).max() == 0


def test_the_second_time_nothing_is_read(pets: Path) -> None:
    steps = [followed(load_dataset(str(pets), cache=pets.parent / "cache")) for _ in range(2)]
    first, second = ({progress.what for progress in steps} for _, steps in steps)
    assert READING in first - second
    assert steps[0][0].fingerprint == steps[1][0].fingerprint


def test_a_changed_picture_is_read_again(pets: Path) -> None:
    before = load(pets)
    Image.new("RGB", (4, 4), "white").save(pets / "train" / "cat" / "a.png")
    after = load(pets)
    assert (after.train.images[0] == 255).all()
    assert after.fingerprint != before.fingerprint
    assert len(list((pets.parent / "cache").iterdir())) == 1


def test_folders_do_not_share_a_place(pets: Path) -> None:
    other = pets.with_name("copy")
    shutil.copytree(pets, other)
    assert load(pets).fingerprint == load(other).fingerprint
    assert len(list((pets.parent / "cache").iterdir())) == 2


def test_what_is_no_picture_is_passed_over(pets: Path) -> None:
    before = load(pets)
    for name in ("Thumbs.db", ".a.png", "notes.txt", ".hidden/a.png"):
        path = pets / "train" / "cat" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("no picture")
    (pets / "train" / ".cache").mkdir()
    (pets / "train" / "readme.md").touch()
    assert load(pets).fingerprint == before.fingerprint


def test_pictures_may_lie_deeper(pets: Path) -> None:
    make_pictures(pets / "train" / "cat", ["one/two/x.png"])
    assert np.bincount(load(pets).train.labels).tolist() == [4, 4]


def test_val_does_for_test(pets: Path) -> None:
    expected = load(pets)
    (pets / "test").rename(pets / "val")
    found = load(pets)
    np.testing.assert_array_equal(found.test.images, expected.test.images)


@pytest.mark.parametrize("below", [".", "train"])
def test_without_a_test_folder_a_fifth_of_each_class_is_kept(tmp_path: Path, below: str) -> None:
    folder = tmp_path / "pets"
    for name, count in (("cat", 10), ("dog", 25), ("emu", 2)):
        make_pictures(folder / below / name, (f"{index:02}.png" for index in range(count)))
    dataset = load(folder)
    assert np.bincount(dataset.test.labels).tolist() == [2, 5, 1]
    assert np.bincount(dataset.train.labels).tolist() == [8, 20, 1]
    colours = np.concatenate([dataset.train.images, dataset.test.images])[:, :, 0, 0]
    assert len(np.unique(colours, axis=0)) == 37
    assert load(folder).fingerprint == dataset.fingerprint != load(folder, seed=1).fingerprint


def refusal(folder: Path) -> str:
    with pytest.raises(RefusalError) as caught:
        load(folder)
    assert not list((folder.parent / "cache").glob("*"))
    return str(caught.value)


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone") == f"{tmp_path / 'gone'} is neither a folder nor a file."


def test_a_folder_without_classes_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "flat"
    make_pictures(folder)
    assert refusal(folder).startswith(f"{folder} has no folders of pictures. Expected is a folder of pictures for each")


def test_one_class_only_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "pets"
    make_pictures(folder / "cat")
    assert refusal(folder).startswith(f"{folder} has one class only, “cat”; two or more are needed.")


def test_an_empty_class_is_named(pets: Path) -> None:
    shutil.rmtree(pets / "test" / "dog")
    (pets / "test" / "dog").mkdir()
    (pets / "test" / "dog" / "a.gif").touch()
    assert refusal(pets) == (
        f"The class “dog” has no pictures in {pets / 'test'}. PNG, JPEG, WebP and BMP pictures are accepted."
    )


@pytest.mark.parametrize(("has", "lacks"), [("train", "test"), ("test", "train")])
def test_a_class_that_lacks_a_part_is_named(pets: Path, has: str, lacks: str) -> None:
    make_pictures(pets / has / "emu")
    assert refusal(pets).startswith(f"The class “emu” is in “{has}”, but not in “{lacks}”.")


def test_a_class_of_one_picture_cannot_be_split(tmp_path: Path) -> None:
    folder = tmp_path / "pets"
    make_pictures(folder / "cat")
    make_pictures(folder / "dog", ["a.png"])
    assert refusal(folder) == "The class “dog” has one picture only. Two are needed, one of them for testing."


def test_a_damaged_picture_is_named(pets: Path) -> None:
    (pets / "train" / "dog" / "b.png").write_bytes(b"no picture")
    assert refusal(pets) == (
        "“train/dog/b.png” is damaged or of another kind. "
        "PNG, JPEG, WebP and BMP pictures of up to 50 megapixels are accepted."
    )


def test_all_damaged_pictures_are_counted(pets: Path) -> None:
    (pets / "train" / "dog" / "b.png").write_bytes(b"no picture")
    (pets / "test" / "dog" / "c.png").write_bytes(b"")
    (pets / "test" / "cat" / "a.png").write_bytes((pets / "test" / "cat" / "b.png").read_bytes()[:50])
    message = refusal(pets)
    assert message.startswith("“train/dog/b.png” is damaged or of another kind.")
    assert message.endswith("2 more of 13 pictures cannot be used either, first among them “test/cat/a.png”.")


def test_a_decompression_bomb_is_refused(pets: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(pets / "train" / "cat" / "bomb.png")
    assert refusal(pets).startswith("“train/cat/bomb.png” has too many pixels.")


def test_a_folder_that_vanishes_is_named(pets: Path) -> None:
    make_pictures(pets / "train" / "cat", (f"{index}.png" for index in range(100)))
    for step in (steps := load_dataset(str(pets), cache=pets.parent / "cache")):
        if step.what == READING and step.done:
            break
    shutil.rmtree(pets)
    with pytest.raises(RefusalError, match=r"pets is gone: check its drive, then load it again\."):
        result_of(steps)
    assert not list((pets.parent / "cache").iterdir())


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Two classes of more files than are looked at between two steps."""
    folder = tmp_path / "many"
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for index in range(1010):
            (folder / name / f"{index}.png").touch()
    return folder


def test_many_files_are_counted(many: Path) -> None:
    _, progress = followed(image_folder(many, (4, 4), 3, 0, StopToken()))
    assert progress == [DataProgress(1000, 0, LOOKING), DataProgress(2000, 0, LOOKING)]


def test_looking_can_be_stopped(many: Path) -> None:
    token = StopToken()
    steps = image_folder(many, (4, 4), 3, 0, token)
    next(steps)
    token.request_stop()
    with pytest.raises(StoppedError):
        next(steps)


def test_a_folder_that_vanishes_while_it_is_looked_through_is_named(many: Path) -> None:
    steps = image_folder(many, (4, 4), 3, 0, StopToken())
    next(steps)
    shutil.rmtree(many)
    with pytest.raises(RefusalError, match=r"many.* cannot be read: check its permissions and its drive\."):
        next(steps)
