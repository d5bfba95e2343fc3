import dataclasses
import os
import pickle
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies

from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.core.stack_file import from_json, to_json
from convviz.nn.build import build
from convviz.nn.checkpoint import (
    Change,
    Checkpoint,
    DataInfo,
    EpochResult,
    Progress,
    load_checkpoint,
    save_checkpoint,
    with_weights,
    write_atomically,
)
from convviz.nn.settings import TrainSettings
from convviz.nn.train import Trainer
from tests.nn.train_cases import SETTINGS, norm_stack, tiny_dataset, tiny_stack, trained

PROGRESS = Progress(
    lr=0.1,
    momentum=0.8,
    step=12,
    seconds=1.5,
    loss_average=0.25,
    seen=8,
    loss_sum=9.5,
    correct=3,
    changes=(Change(7, "lr", 0.1), Change(9, "momentum", 0.8)),
    epochs=(EpochResult(1, 6, 0.7, 1.0, 0.25, 0.9, 0.5),),
)


def checkpoint_of(stack: Stack, optimizer: str = "adam") -> Checkpoint:
    trainer = Trainer(stack, tiny_dataset(), dataclasses.replace(SETTINGS, optimizer=optimizer, epochs=1))
    trained(trainer)
    return dataclasses.replace(trainer.checkpoint(), progress=PROGRESS)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "a.pt"
    save_checkpoint(path, checkpoint_of(norm_stack()))
    return path.read_bytes()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("stack", [tiny_stack(), norm_stack()], ids=["tiny", "norm"])
def test_a_checkpoint_comes_back(tmp_path: Path, stack: Stack, optimizer: str) -> None:
    checkpoint = checkpoint_of(stack, optimizer)
    save_checkpoint(tmp_path / "a.pt", checkpoint)
    loaded = load_checkpoint(tmp_path / "a.pt")
    for name in ("stack", "progress", "settings", "data"):
        assert getattr(loaded, name) == getattr(checkpoint, name)
    assert loaded.weights.keys() == checkpoint.weights.keys()
    assert all(torch.equal(loaded.weights[name], tensor) for name, tensor in checkpoint.weights.items())
    assert loaded.optimizer.keys() == checkpoint.optimizer.keys() != set()
    for index, memory in checkpoint.optimizer.items():
        for name, value in memory.items():
            assert torch.equal(loaded.optimizer[index][name], value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_torch_reads_it_as_tensors_and_plain_data(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pt", checkpoint_of(tiny_stack()))
    document = torch.load(tmp_path / "a.pt", weights_only=True)
    module = build(from_json(document["stack"]))
    module.load_state_dict(document["state_dict"])


@pytest.mark.parametrize("stack", [tiny_stack(), norm_stack()], ids=["tiny", "norm"])
def test_the_trained_stack_computes_what_the_module_does(stack: Stack) -> None:
    checkpoint = checkpoint_of(stack)
    module = build(stack)
    module.load_state_dict(checkpoint.weights)
    x = np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)[None])[0].numpy()
    trained_stack = checkpoint.trained_stack()
    np.testing.assert_allclose(trained_stack.forward(x)[-1], expected, rtol=1e-4, atol=1e-5)
    assert to_json(trained_stack, geometry_only=True) == to_json(stack, geometry_only=True)


def test_weights_of_lower_precision_become_float32() -> None:
    checkpoint = checkpoint_of(tiny_stack())
    halves = {name: tensor.half() for name, tensor in checkpoint.weights.items()}
    weight = with_weights(tiny_stack(), halves).layers[0].arrays["weight"]
    assert isinstance(weight, np.ndarray)
    assert weight.dtype == np.float32
    np.testing.assert_allclose(weight, checkpoint.weights["0.weight"], rtol=1e-3, atol=1e-4)


# Written whole or not at all


def test_a_write_that_fails_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(b"earlier")

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_what_is_written_is_on_the_drive_before_it_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def noted_replace(path: Path, target: Path) -> Path:
        events.append("replace")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    write_atomically(tmp_path / "a", lambda file: file.write(b"new"))
    assert events == (["file", "replace", "folder"] if os.name == "posix" else ["file", "replace"])
    assert (tmp_path / "a").read_bytes() == b"new"


def test_it_has_the_mode_of_any_other_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_atomically(tmp_path / "a", lambda file: file.write(b""))
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


# Files from strangers


def refusal(path: Path) -> str:
    with pytest.raises(RefusalError) as refused:
        load_checkpoint(path)
    message = str(refused.value)
    assert path.name in message
    assert "weights_only" not in message
    return message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "There is no file" in refusal(tmp_path / "none.pt")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with a name")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    assert "is a pipe" in refusal(tmp_path / "pipe.pt")


@given(strategies.data())
def test_a_file_cut_off_is_refused(
    tmp_path_factory: pytest.TempPathFactory, saved: bytes, data: strategies.DataObject
) -> None:
    path = tmp_path_factory.mktemp("cut") / "a.pt"
    path.write_bytes(saved[: data.draw(strategies.integers(4, len(saved) - 1))])
    assert "is cut short" in refusal(path)


@given(strategies.data())
def test_a_bit_that_turned_is_found_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, saved: bytes, data: strategies.DataObject
) -> None:
    path = tmp_path_factory.mktemp("turned") / "a.pt"
    turned = bytearray(saved)
    turned[data.draw(strategies.integers(0, len(saved) - 1))] ^= 1 << data.draw(strategies.integers(0, 7))
    path.write_bytes(turned)
    try:
        loaded = load_checkpoint(path)
    except RefusalError:
        return
    assert loaded.progress == PROGRESS  # the bit was in the zip's own margins


def test_a_packed_archive_is_refused(tmp_path: Path, saved: bytes) -> None:
    """4 MB of it could become 4 GB."""
    (tmp_path / "a.pt").write_bytes(saved)
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as plain,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    assert "holds compressed parts" in refusal(tmp_path / "b.pt")


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("evil",)


def test_code_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": "convviz checkpoint", "evil": Evil()}, "a.pt")
    assert "would run code" in refusal(tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Evil()))
    assert "would run code" in refusal(tmp_path / "b.pt")
    assert not (tmp_path / "evil").exists()


def test_other_files_of_torch_are_no_checkpoints(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "a.pt")
    assert "is not a checkpoint of convviz" in refusal(tmp_path / "a.pt")


HUGE = '{"format": "convviz stack", "version": 1, "input_shape": [3, 8, 8], "layers": [{"kind": "Flatten"}, %s]}'
LAYER = '{"kind": "Linear", "in_features": 192, "out_features": 1000000, "weight": {"seed": 1}}'


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0, "stack": None},
        {"stack": "{}"},
        {"stack": HUGE % LAYER},
        {"stack": to_json(tiny_stack())},
        {"state_dict": {}},
        {"state_dict": [1, 2]},
        {"optimizer": None},
        {"optimizer": {0: {"exp_avg": torch.zeros(5)}}},
        {"optimizer": {99: {"exp_avg": torch.zeros(5)}}},
        {"optimizer": {0: 3}},
        {"progress": {"lr": "fast", "momentum": 0.9}},
        {"progress": []},
        {"settings": {"lr": -1}},
        {"data": {}},
    ],
    ids=str,
)
def test_parts_that_do_not_fit_together_are_refused(tmp_path: Path, saved: bytes, change: dict[str, Any]) -> None:
    (tmp_path / "a.pt").write_bytes(saved)
    document = torch.load(tmp_path / "a.pt", weights_only=True)
    torch.save({**document, **change}, tmp_path / "b.pt")
    assert "is damaged" in refusal(tmp_path / "b.pt")


@pytest.mark.parametrize(
    "weight",
    [
        torch.zeros(1).expand(4, 3, 3, 3),
        torch.zeros(4, 3, 3, 3).to_sparse(),
        torch.zeros(4, 3, 3, 3, dtype=torch.complex64),
        torch.zeros(4, 3, 3),
        3,
    ],
    ids=["one number claiming to be many", "sparse", "complex", "shape", "no tensor"],
)
def test_other_weights_are_refused(tmp_path: Path, saved: bytes, weight: object) -> None:
    (tmp_path / "a.pt").write_bytes(saved)
    document = torch.load(tmp_path / "a.pt", weights_only=True)
    document["state_dict"]["0.weight"] = weight
    torch.save(document, tmp_path / "b.pt")
    assert "is damaged" in refusal(tmp_path / "b.pt")


def test_a_newer_version_is_named(tmp_path: Path, saved: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(saved)
    document = torch.load(tmp_path / "a.pt", weights_only=True)
    torch.save({**document, "version": 2}, tmp_path / "b.pt")
    assert "newer convviz" in refusal(tmp_path / "b.pt")


def test_plain_values_keep_their_types(tmp_path: Path) -> None:
    """JSON and old files may hold 1 for 1.0."""
    checkpoint = dataclasses.replace(
        checkpoint_of(tiny_stack()),
        settings=TrainSettings(lr=1),
        progress=dataclasses.replace(PROGRESS, lr=1, seconds=2),
        data=DataInfo("k", "n", ("a", "b", "c"), "f"),
    )
    save_checkpoint(tmp_path / "a.pt", checkpoint)
    progress = load_checkpoint(tmp_path / "a.pt").progress
    assert (type(progress.lr), type(progress.seconds), type(progress.step)) == (float, float, int)
