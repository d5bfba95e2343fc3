import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from convviz.core.control import StoppedError, StopToken
from convviz.core.refusal import RefusalError
from convviz.nn import tensor_file
from convviz.nn.checkpoint import FORMAT
from convviz.nn.file_format import TooLargeError
from convviz.nn.source import DataProgress, result_of
from convviz.nn.tensor_file import Contents, TensorFile, open_tensor_file
from convviz.resources import resource
from tests.nn import file_corpus
from tests.nn.file_corpus import (
    CASES,
    LONG_NAME,
    MARKER,
    ODD_NAMES,
    Case,
    all_dtypes,
    in_dict,
    quantized,
    state_dict,
    strange_tensors,
    training,
    with_pickle,
    write_corpus,
    zipped,
)
from tests.nn.steps import followed

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    return folder


def file_of(tmp_path: Path, document: object, most_bytes: int = tensor_file.MOST_BYTES) -> TensorFile:
    path = tmp_path / "a.pt"
    path.write_bytes(zipped(document))
    return result_of(open_tensor_file(path, most_bytes))


def values(file: TensorFile, name: str) -> np.ndarray[Any, Any]:
    return file.values([info.name for info in file.infos].index(name))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_file_opens_or_is_refused_in_our_words(corpus: Path, case: Case) -> None:
    if case.name == "unreadable.pt" and IS_ROOT:
        pytest.skip("root may read anything")
    try:
        file = result_of(open_tensor_file(corpus / case.name))
    except RefusalError as refusal:
        message = str(refusal)
        assert case.says, message
        assert case.says in message
        assert case.name in message
        assert len(message) < 300
        assert message.isprintable()
        assert "weights_only" not in message
    else:
        assert not case.says
        assert file.infos
        for index, info in enumerate(file.infos):
            if info.name not in ("huge", "meta"):
                assert file.values(index).shape == info.shape
    assert not (corpus / MARKER).exists()


def test_tensors_are_listed_in_the_files_order(corpus: Path) -> None:
    for name in ("weights.pt", "legacy.pth", "weights.safetensors"):
        file = result_of(open_tensor_file(corpus / name))
        weights = state_dict()
        if name.endswith(".safetensors"):
            assert {info.name for info in file.infos} == weights.keys()
        else:
            assert [info.name for info in file.infos] == list(weights)
        for index, info in enumerate(file.infos):
            tensor = weights[info.short]
            assert (info.shape, f"torch.{info.dtype}") == (tuple(tensor.shape), str(tensor.dtype))
            assert (info.count, info.num_bytes) == (tensor.numel(), tensor.nbytes)
            assert torch.from_numpy(file.values(index)).equal(tensor)
        assert file.state_dict().keys() == weights.keys()
        assert file.num_bytes == file.path.stat().st_size
    assert file.format == "safetensors"


@pytest.mark.parametrize("case", [case for case in CASES if not case.says], ids=lambda case: case.name)
def test_contents_are_known_before_the_numbers_are_read(
    corpus: Path, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    was_read = False
    torch_load = torch.load

    def load(*args: Any, **kwargs: Any) -> Any:
        nonlocal was_read
        was_read = True
        return torch_load(*args, **kwargs)

    monkeypatch.setattr(torch, "load", load)
    steps = open_tensor_file(corpus / case.name)
    contents = next((step for step in steps if isinstance(step, Contents)), None)
    assert not was_read
    file = result_of(open_tensor_file(corpus / case.name))
    if file.format == "safetensors":
        assert contents is None
    else:
        assert contents is not None
        assert (contents.path, contents.num_bytes, contents.format) == (file.path, file.num_bytes, file.format)
        assert contents.infos == file.infos


def test_what_only_torch_can_tell_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(with_pickle(in_dict(file_corpus.tensor(1, 1 << 62, stride=0))))
    assert not any(isinstance(step, Contents) for step in open_tensor_file(path))


def test_a_network_is_loaded_from_what_was_found(tmp_path: Path) -> None:
    file = file_of(tmp_path, training())
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(36, 2)
    )
    network.load_state_dict(file.state_dict())
    assert {info.kind for info in file.infos} == {"weight", "buffer", "optimizer", "other"}


def test_numbers_of_every_type_are_read(tmp_path: Path) -> None:
    tensors = all_dtypes()
    file = file_of(tmp_path, tensors)
    for info, (name, tensor) in zip(file.infos, tensors.items(), strict=True):
        array = values(file, name)
        expected = tensor.dequantize() if tensor.is_quantized else tensor
        assert torch.from_numpy(array).to(torch.complex128).equal(expected.to(torch.complex128))
        assert info.dtype == str(tensor.dtype).removeprefix("torch.")
        if tensor.is_floating_point() and tensor.dtype != torch.float64:
            assert array.dtype == np.float32


def test_quantised_numbers_are_multiplied_out(tmp_path: Path) -> None:
    numbers = torch.tensor([[0.5, 1.0], [-0.25, 0.75]])
    file = file_of(tmp_path, quantized(numbers))
    assert values(file, "per_channel").tolist() == numbers.tolist()
    assert values(file, "per_tensor").tolist() == [[0.5, 1.0], [0.0, 1.0]]
    assert file.state_dict()["per_channel"].is_quantized


def test_strange_tensors_are_shown_as_they_are(tmp_path: Path) -> None:
    tensors = strange_tensors()
    file = file_of(tmp_path, tensors)
    for name in ("number", "five", "none", "shared", "transposed", "parameter", "with attribute"):
        assert values(file, name).tolist() == tensors[name].tolist()
    assert values(file, "sparse").tolist() == np.eye(3).tolist()
    np.testing.assert_array_equal(values(file, "broken"), [np.nan, np.inf, -np.inf, 1])
    assert np.shares_memory(values(file, "whole"), values(file, "shared"))
    with pytest.raises(RefusalError, match="The numbers of meta cannot be read"):
        values(file, "meta")
    with pytest.raises(TooLargeError, match=r"huge takes 40 GB of memory, and 4 GB are allowed"):
        values(file, "huge")


def test_numbers_are_refused_above_the_users_ceiling(tmp_path: Path) -> None:
    document = {
        "weight": torch.ones(1).expand(50_000),
        "sparse": torch.ones(1).to_sparse().sparse_resize_((50_000,), 1, 0),
    }
    file = file_of(tmp_path, document, most_bytes=100_000)
    for index in range(2):
        with pytest.raises(TooLargeError) as refused:
            file.values(index)
        assert refused.value.num_bytes == 200_000
    assert file_of(tmp_path, document, most_bytes=200_000).values(1).shape == (50_000,)


def test_names_are_kept_as_they_are(corpus: Path) -> None:
    file = result_of(open_tensor_file(corpus / "names.pt"))
    assert [info.name for info in file.infos] == list(ODD_NAMES)
    assert LONG_NAME in file.state_dict()


def test_the_rest_of_our_own_checkpoints_is_there() -> None:
    file = result_of(open_tensor_file(resource("weights/small_cnn.pt")))
    assert isinstance(file.document, dict)
    assert file.document["format"] == FORMAT
    assert {info.kind for info in file.infos} == {"weight"}


def test_progress_is_told_and_the_work_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(zipped({"weight": torch.ones(1 << 20)}))
    _, yielded = followed(open_tensor_file(path))
    done = [step.done for step in yielded if isinstance(step, DataProgress)]
    assert done[:-1] == sorted(set(done[:-1]))
    for count in range(len(yielded)):
        token = StopToken()
        steps = open_tensor_file(path, token=token)
        for _ in range(count + 1):
            next(steps)
        token.request_stop()
        with pytest.raises(StoppedError):
            result_of(steps)


def test_a_disk_that_fails_is_named(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(RefusalError, match=r"weights\.pt cannot be read: Input/output error"):
        result_of(open_tensor_file(corpus / "weights.pt"))


def test_memory_that_does_not_suffice_is_named(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(RefusalError, match="does not fit in this computer's memory"):
        result_of(open_tensor_file(corpus / "weights.pt"))


def test_infos_are_plain_values(corpus: Path) -> None:
    file = result_of(open_tensor_file(corpus / "weights.pt"))
    assert dataclasses.asdict(file.infos[0]) == {
        "name": "0.weight",
        "short": "0.weight",
        "shape": (4, 3, 3, 3),
        "dtype": "float32",
        "kind": "weight",
        "num_bytes": 432,
    }
