from __future__ import annotations

import dataclasses
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

import convviz.nn.data
from convviz.core.control import StoppedError, StopToken
from convviz.core.refusal import RefusalError
from convviz.nn.look import look, preprocessed
from convviz.nn.tensor_file import TensorFile, TensorInfo
from convviz.nn.weights import Kind
from convviz.ui.inspect import session
from convviz.ui.inspect.session import (
    Cover,
    FactsQueue,
    Picture,
    Seen,
    Wanted,
    counterpart,
    data_job,
    facts_job,
    kernels_of,
    look_job,
    tensor_job,
)
from convviz.ui.jobs import Job
from tests.nn.inspect_cases import tiny_network
from tests.nn.train_cases import tiny_dataset


def done(job: Job, token: StopToken | None = None) -> Any:
    """What a job returns, run here and now."""
    value = job(token or StopToken())
    if isinstance(value, Generator):
        while True:
            try:
                next(value)
            except StopIteration as end:
                return end.value
    return value


def info(name: str, shape: tuple[int, ...], kind: Kind = "weight") -> TensorInfo:
    return TensorInfo(f"model.{name}", name, shape, "float32", kind, 0)


def file_of(**arrays: np.ndarray[Any, Any]) -> TensorFile:
    """A file of these arrays, of which "unreadable" cannot be read."""

    def values(index: int) -> np.ndarray[Any, Any]:
        name = list(arrays)[index]
        if name == "unreadable":
            raise RefusalError("Too large.")
        return arrays[name]

    infos = tuple(info(name, array.shape) for name, array in arrays.items())
    return cast(TensorFile, SimpleNamespace(infos=infos, values=values, document=None))


# ---- tensors


def test_what_is_in_view_is_taken_first_and_everything_once() -> None:
    queue = FactsQueue(range(6))
    assert queue.take() == 0
    queue.prefer([4, 0, 3])
    assert [queue.take(), queue.take()] == [4, 3]
    queue.prefer([5, 5])
    assert [queue.take() for _ in range(4)] == [5, 1, 2, None]


def test_facts_are_found_one_by_one_and_a_refusal_is_one() -> None:
    file = file_of(a=np.ones((2, 1, 1, 1)), unreadable=np.ones(3), b=np.arange(3.0))
    found = done(facts_job(file, FactsQueue(range(3))))
    assert [index for index, _ in found] == [0, 1, 2]
    first, second, third = (facts for _, facts in found)
    assert first.filters.duplicates == ((0, 1),)
    assert str(second.refusal) == "Too large."
    assert (third.statistics.maximum, third.filters) == (2, None)


def test_finding_facts_stops_when_it_is_asked_to() -> None:
    token = StopToken()
    token.request_stop()
    assert done(facts_job(file_of(a=np.ones(3)), FactsQueue(range(1))), token) == []


def test_work_on_a_large_tensor_stops_when_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    token, file = StopToken(), file_of(a=np.ones(3), b=np.ones(3))

    def stopped(values: object, token: StopToken) -> None:
        token.request_stop()
        raise StoppedError

    monkeypatch.setattr(session, "statistics", stopped)
    assert done(facts_job(file, FactsQueue(range(2))), token) == []
    assert tensor_job(file, 0, None, None)(StopToken()) is None


@pytest.mark.parametrize(
    ("shape", "kind", "kernels"),
    [
        ((4, 3, 5, 5), "weight", (4, 3, 5, 5)),
        ((4, 3, 5), "weight", (4, 3, 1, 5)),
        ((4, 3, 2, 5, 5), "weight", (4, 6, 5, 5)),
        ((4, 3), "weight", None),
        ((4,), "weight", None),
        ((), "weight", None),
        ((4, 3, 5, 5), "optimizer", None),
        ((4, 3, 5, 5), "buffer", None),
    ],
)
def test_only_weights_of_convolutions_are_filters(
    shape: tuple[int, ...], kind: Kind, kernels: tuple[int, ...] | None
) -> None:
    found = kernels_of(np.zeros(shape, np.float32), info("x", shape, kind))
    assert (None if found is None else found.shape) == kernels


def test_whole_numbers_become_filters_and_complex_ones_do_not() -> None:
    shape = (2, 1, 2, 2)
    found = kernels_of(np.full(shape, 7, np.int8), info("x", shape))
    assert found is not None
    assert found.dtype.kind == "f"
    assert (found == 7).all()
    assert kernels_of(np.zeros(shape, np.complex64), info("x", shape)) is None


def test_a_weight_too_large_to_be_copied_is_not_shown_as_filters() -> None:
    shape = (1 << 14, 1 << 14, 1, 1)
    assert kernels_of(np.broadcast_to(np.int8(1), shape), info("x", shape)) is None  # a file of a few bytes may say so


def test_a_tensor_comes_with_its_counterpart() -> None:
    weight = np.random.default_rng(0).normal(size=(2, 3, 3, 3)).astype(np.float32)
    other = file_of(bias=np.zeros(2), conv=weight + 1)
    tensor = done(tensor_job(file_of(conv=weight), 0, other, None))
    assert (tensor.values == weight).all()
    assert tensor.other_kernels - tensor.kernels == pytest.approx(1, abs=1e-6)
    assert tensor.facts.filters.norms == pytest.approx(np.linalg.norm(weight.reshape(2, -1), axis=1))
    assert done(tensor_job(file_of(conv=weight[:1]), 0, other, None)).other is None


def test_a_counterpart_has_the_same_short_name_shape_and_kind() -> None:
    wanted = info("a", (2, 3))
    others = [info("b", (2, 3)), info("a", (2,)), info("a", (2, 3), "optimizer"), wanted]
    assert counterpart(wanted, others) == 3
    assert counterpart(wanted, others[:3]) is None


# ---- looking

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8)
NETWORK = tiny_network()
WANTED = Wanted(NETWORK, NETWORK.preprocessing, Picture(PIXELS, "noise"), None, "0", None)


def seen(wanted: Wanted, before: Seen | None = None) -> Seen:
    return cast(Seen, done(look_job(wanted, before)))


def test_what_is_seen_is_what_the_network_computes() -> None:
    found = seen(WANTED)
    expected = look(NETWORK, preprocessed(PIXELS, NETWORK.preprocessing), "0")
    assert (found.look.maps == expected.maps).all()
    assert (found.look.probabilities == expected.probabilities).all()
    assert (found.read == PIXELS).all()
    assert (found.unit, found.value, found.regions) == (None, None, ())


def test_a_cover_is_grey_to_the_network() -> None:
    covered = PIXELS.astype(float)
    covered[:, 0:3, 6:8] = 127.5
    found = seen(dataclasses.replace(WANTED, cover=Cover(-1, 6, 4, 4)))
    with torch.inference_mode():
        output = NETWORK.module(torch.tensor((covered / 255 - 0.5) / 0.5, dtype=torch.float32)[None])
    assert found.look.probabilities == pytest.approx(output.softmax(1)[0].numpy(), abs=1e-6)
    assert found.read == pytest.approx(covered, abs=0.5)


def test_another_unit_does_not_look_again() -> None:
    first = seen(WANTED)
    second = seen(dataclasses.replace(WANTED, unit=(1, 2, 3)), first)
    assert second.look is first.look
    assert second.value == first.look.maps[1, 2, 3]
    name, region = second.regions[0]
    assert (name, region.rows, region.cols) == ("", range(2, 5), range(3, 6))
    for change in ({"layer_name": "1"}, {"cover": Cover(0, 0, 1, 1)}, {"picture": Picture(PIXELS, "again")}):
        assert seen(dataclasses.replace(WANTED, **change), first).look is not first.look


def test_other_preprocessing_makes_another_network_of_the_same_weights_once() -> None:
    wanted = dataclasses.replace(WANTED, preprocessing=dataclasses.replace(NETWORK.preprocessing, mean=(0.0, 0.0, 0.0)))
    first = seen(wanted, seen(WANTED))
    assert first.network is not NETWORK
    assert first.network.module is NETWORK.module
    assert (first.read == PIXELS).all()
    assert seen(dataclasses.replace(wanted, unit=(0, 0, 0)), first).network is first.network
    larger = dataclasses.replace(NETWORK.preprocessing, size=(20, 20))
    with pytest.raises(RefusalError):
        seen(dataclasses.replace(WANTED, preprocessing=larger))


# ---- data sets


def test_the_first_data_set_that_can_be_had_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, tuple[int, int], int]] = []

    def loads(key: str, size: tuple[int, int], channels: int, token: StopToken) -> Any:
        asked.append((key, size, channels))
        yield None
        if key != "shapes10":
            raise RefusalError("Not there.")
        return tiny_dataset()

    monkeypatch.setattr(convviz.nn.data, "load_dataset", loads)
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    network = dataclasses.replace(NETWORK, classes=classes, origin="checkpoint")
    document = {"data": {"key": "own", "name": "Own", "classes": classes, "fingerprint": ""}}
    file = cast(TensorFile, SimpleNamespace(document=document))
    assert done(data_job(file, network, None)).name == "Tiny"
    assert asked == [("own", (8, 8), 3), ("cifar10", (32, 32), 3), ("shapes10", (32, 32), 3)]
    with pytest.raises(RefusalError, match="Not there"):
        done(data_job(file, network, "folder"))


def test_a_folder_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusalError):
        done(data_job(file_of(), NETWORK, str(tmp_path / "gone")))
