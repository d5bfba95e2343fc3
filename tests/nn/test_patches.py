from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from convviz.core.control import StoppedError, StopToken
from convviz.core.layers import Conv2d
from convviz.core.receptive_field import Region
from convviz.core.stack import Stack
from convviz.nn.build import build
from convviz.nn.data import Dataset, Split
from convviz.nn.look import look, preprocessed, regions
from convviz.nn.network import Network, Preprocessing, network_of
from convviz.nn.patches import SEARCHING, Patch, Patches, layer_output, stored_patches, strongest_patches
from convviz.nn.probe import Floats
from convviz.nn.source import DataProgress, Pixels
from tests.nn.inspect_cases import branched_network, tiny_network, untouched
from tests.nn.network_cases import picture
from tests.nn.steps import followed, result_of
from tests.nn.train_cases import tiny_dataset

MANY = 900
"""More pictures of 8×8 than are computed at a time."""


def pixels_network(weight: float, height: int, width: int) -> Network:
    """One convolution that multiplies each pixel, from 0 to 255, with a number."""
    stack = Stack((1, height, width), [Conv2d(1, 1, 1, weight=np.full((1, 1, 1, 1), weight))])
    return network_of("pixels", "preset", build(stack), Preprocessing((height, width), (0.0,), (1 / 255,)))


def split_of(images: Pixels) -> Split:
    return Split(images, np.arange(len(images), dtype=np.int64))


def expected_units(maps: Floats, count: int) -> list[list[tuple[float, int, tuple[int, int]]]]:
    """Value, picture and position of the strongest units in maps (N, C, H, W), channel by channel."""
    channels = []
    for maps_NHW in maps.swapaxes(0, 1):
        units = []
        for index, values in enumerate(maps_NHW):
            i, j = np.unravel_index(values.argmax(), values.shape)
            units.append((float(values.max()), index, (int(i), int(j))))
        channels.append(sorted(units, key=lambda unit: -unit[0])[:count])
    return channels


def units_of(patches: Patches) -> list[list[tuple[float, int, tuple[int, int]]]]:
    return [[(patch.value, patch.sample_index, patch.position) for patch in channel] for channel in patches]


def test_the_brightest_pixel_of_each_picture() -> None:
    images = np.zeros((3, 1, 2, 3), np.uint8)
    images[0, 0, 1, 2] = 10
    images[1, 0, 0, 1] = 30
    images[2, 0, 1, 0] = 20
    network = pixels_network(2, 2, 3)
    ((strongest, second),) = result_of(strongest_patches(network, "0", split_of(images), 2))
    pixel = Region(range(0, 1), range(1, 2), range(0, 1), range(1, 2))
    assert strongest == Patch(strongest.value, 1, 1, (0, 1), pixel)
    assert (second.sample_index, second.position) == (2, (1, 0))
    assert [strongest.value, second.value] == pytest.approx([60, 40])


@pytest.mark.parametrize("index", range(5))
def test_each_layer_is_searched_as_if_all_maps_were_kept(index: int) -> None:
    network, split = tiny_network(), tiny_dataset(num_test=MANY).test
    name = network.layers[index].name
    patches = result_of(strongest_patches(network, name, split, 4))
    chain = cast(nn.Sequential, network.module)
    maps = chain[: index + 1](torch.from_numpy(split.images / np.float32(127.5) - 1))
    expected = expected_units(maps.reshape(*maps.shape[:2], *(maps.shape[2:] or (1, 1))).numpy(), 4)
    assert [[unit[1:] for unit in channel] for channel in units_of(patches)] == [
        [unit[1:] for unit in channel] for channel in expected
    ]
    values = [[patch.value for patch in channel] for channel in patches]
    np.testing.assert_allclose(values, [[unit[0] for unit in channel] for channel in expected], rtol=1e-4, atol=1e-5)
    for patch in sum(patches, ()):
        assert patch.label == split.labels[patch.sample_index]
        assert patch.region == regions(network, name, (0, *patch.position))[0][1]


@settings(max_examples=60)
@given(
    st.tuples(st.integers(1, 12), st.just(1), st.integers(1, 3), st.integers(1, 3)).flatmap(
        lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 2))
    ),
    st.integers(1, 9),
)
def test_of_equals_the_first_picture_and_the_first_unit(images: Pixels, count: int) -> None:
    network = pixels_network(1, *images.shape[2:])
    patches = result_of(strongest_patches(network, "0", split_of(images), count))
    maps = np.concatenate([look(network, preprocessed(each, network.preprocessing), "0").maps for each in images])
    assert units_of(patches) == expected_units(maps[:, None], count)


def test_a_nan_is_never_the_strongest() -> None:
    images = np.zeros((3, 1, 2, 2), np.uint8)  # 0 · inf is NaN
    images[1, 0, 1, 0] = 5
    ((patch,),) = result_of(strongest_patches(pixels_network(np.inf, 2, 2), "0", split_of(images)))
    assert (patch.value, patch.sample_index, patch.position) == (np.inf, 1, (1, 0))
    assert result_of(strongest_patches(pixels_network(np.nan, 2, 2), "0", split_of(images))) == ((),)


def test_pictures_of_another_size_are_scaled_and_cut() -> None:
    network = tiny_network()
    images = np.stack([picture((1, 20, 24), seed) for seed in range(3)])
    for channel, patches in enumerate(result_of(strongest_patches(network, "1", split_of(images)))):
        for patch in patches:
            seen = look(network, preprocessed(images[patch.sample_index], network.preprocessing), "1")
            assert patch.value == pytest.approx(seen.maps[channel].max(), rel=1e-5)
            assert patch.value == pytest.approx(seen.maps[channel][patch.position], rel=1e-5)


@pytest.mark.parametrize("name", ["conv", "relu", "relu_1"])
def test_the_uses_of_a_module_in_a_branched_network_are_told_apart(name: str) -> None:
    network, split = branched_network(), tiny_dataset(num_test=MANY).test
    patches = result_of(strongest_patches(network, name, split, 2))
    for channel in (0, 3):
        for patch in patches[channel]:
            x = preprocessed(split.images[patch.sample_index], network.preprocessing)
            assert patch.value == pytest.approx(look(network, x, name).maps[channel].max(), rel=1e-4)
            assert patch.region == regions(network, name, (channel, *patch.position))[0][1]


def test_layers_behind_do_not_run_and_the_network_stays_as_it_was() -> None:
    network = tiny_network()
    ran: list[str] = []
    for path in ("0", "2"):
        part = network.module.get_submodule(path)
        part.register_forward_hook(lambda *_, path=path: ran.append(path))
    with untouched(network):
        result_of(strongest_patches(network, "1", tiny_dataset().test))
        assert layer_output(network, "1", torch.zeros(2, 3, 8, 8)).shape == (2, 4, 6, 6)
    assert ran == ["0", "0"]
    network.module(torch.zeros(1, 3, 8, 8))
    assert ran[2:] == ["0", "2"]


def test_an_error_of_the_network_is_not_taken_for_the_end_of_the_pass() -> None:
    with pytest.raises(RuntimeError, match="channels"):
        layer_output(tiny_network(), "1", torch.zeros(1, 2, 8, 8))


def test_progress_and_stopping() -> None:
    network, split = tiny_network(), tiny_dataset(num_test=MANY).test
    token = StopToken()
    _, progress = followed(strongest_patches(network, "0", split, token=token))
    assert progress == [DataProgress(begin, MANY, SEARCHING) for begin in (0, 400, 800)]
    steps = strongest_patches(network, "0", split, token=token)
    next(steps)
    token.request_stop()
    with pytest.raises(StoppedError):
        next(steps)


def test_layers_that_are_not_there() -> None:
    with pytest.raises(KeyError):
        result_of(strongest_patches(tiny_network(), "9", tiny_dataset().test))
    with pytest.raises(KeyError):
        result_of(stored_patches(tiny_network(), "9", tiny_dataset()))


def stored(folder: Path, network: Network, layer: str = "0", dataset: Dataset | None = None, count: int = 3) -> bool:
    """Search, compare with a search that stores nothing, and say whether the result lay there already."""
    dataset = dataset or tiny_dataset()
    patches, progress = followed(stored_patches(network, layer, dataset, count, folder))
    assert patches == result_of(strongest_patches(network, layer, dataset.test, count))
    return not progress


def test_a_second_search_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "patches"
    assert not stored(folder, tiny_network())
    assert stored(folder, tiny_network())
    (file,) = folder.iterdir()
    assert file.suffix == ".npz"


def test_what_is_stored_belongs_to_weights_preprocessing_layer_pictures_and_count(tmp_path: Path) -> None:
    network = tiny_network()
    assert not stored(tmp_path, network)
    assert not stored(tmp_path, network, "1")
    assert not stored(tmp_path, network, count=4)
    assert not stored(tmp_path, network, dataset=tiny_dataset(num_test=14, fingerprint="other"))
    assert not stored(tmp_path, network.with_preprocessing(Preprocessing((8, 8), (0.4,) * 3, (0.5,) * 3)))
    conv = cast(nn.Conv2d, network.module.get_submodule("0"))
    sigmoid = network_of("tiny", "proposed", nn.Sequential(conv, nn.Sigmoid()), network.preprocessing)
    assert not stored(tmp_path, sigmoid)
    with torch.no_grad():
        conv.weight[1, 1, 1, 1] += 0.5
    assert not stored(tmp_path, network)
    assert stored(tmp_path, tiny_network())


def test_fewer_pictures_than_asked_for_are_stored_too(tmp_path: Path) -> None:
    assert not stored(tmp_path, tiny_network(), count=20)
    assert stored(tmp_path, tiny_network(), count=20)


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    stored(tmp_path, tiny_network())
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    with np.load(file) as arrays_in_file:
        found = arrays_in_file["found"]
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (b"", b"nonsense", whole[: len(whole) // 2], bytes(flipped)):
        file.write_bytes(damaged)
        assert not stored(tmp_path, tiny_network())
        assert file.read_bytes() == whole
    beyond = found.copy()
    beyond["sample"][1, 1] = 15
    for wrong in (beyond, found[:, :2], found["value"]):
        np.savez(file, found=wrong)
        assert not stored(tmp_path, tiny_network())
    np.savez(file, other=found)
    assert not stored(tmp_path, tiny_network())
    assert stored(tmp_path, tiny_network())


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert not stored(tmp_path / "file", tiny_network())


def test_a_stopped_search_stores_nothing(tmp_path: Path) -> None:
    token = StopToken()
    token.request_stop()
    with pytest.raises(StoppedError):
        result_of(stored_patches(tiny_network(), "0", tiny_dataset(), folder=tmp_path, token=token))
    assert not list(tmp_path.iterdir())
