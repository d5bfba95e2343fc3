from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convviz.core.control import StoppedError, StopToken
from convviz.core.refusal import RefusalError
from convviz.nn.data import load_dataset
from convviz.nn.source import CHECKING, DRAWING, DataProgress
from tests.nn.steps import followed, result_of

SIZE = (8, 8)


def test_shapes10_needs_nothing_but_the_cache(tmp_path: Path) -> None:
    dataset, progress = followed(load_dataset("shapes10", SIZE, cache=tmp_path))
    assert (dataset.key, dataset.name, dataset.shape) == ("shapes10", "Shapes-10 (synthetic)", (3, 8, 8))
    assert len(dataset.classes) == 10
    assert np.bincount(dataset.train.labels).tolist() == [2000] * 10
    assert np.bincount(dataset.test.labels).tolist() == [400] * 10
    assert len(dataset.train) == len(dataset.train.images) == 20_000
    assert progress[0] == DataProgress(0, 24_000, DRAWING)
    again, progress = followed(load_dataset("shapes10", SIZE, cache=tmp_path))
    assert {step.what for step in progress} == {CHECKING}
    assert again.fingerprint == dataset.fingerprint
    np.testing.assert_array_equal(again.train.images, dataset.train.images)


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    before = result_of(load_dataset("shapes10", SIZE, cache=tmp_path))
    (path,) = tmp_path.glob("*/images.npy")
    content = bytearray(path.read_bytes())
    content[5000] ^= 255
    path.unlink()
    path.write_bytes(content)
    after, progress = followed(load_dataset("shapes10", SIZE, cache=tmp_path))
    assert DRAWING in {step.what for step in progress}
    assert after.fingerprint == before.fingerprint


def test_drawing_can_be_stopped(tmp_path: Path) -> None:
    token = StopToken()
    steps = load_dataset("shapes10", SIZE, cache=tmp_path, token=token)
    next(steps)
    token.request_stop()
    with pytest.raises(StoppedError):
        next(steps)
    assert not list(tmp_path.iterdir())


def test_the_number_of_channels_is_checked(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match=r"The input has 2 channels; pictures have 1 or 3\."):
        result_of(load_dataset("shapes10", SIZE, channels=2, cache=tmp_path))
