"""A training at one moment, as a file: tensors and plain data only."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn, TypeVar

import torch

from convviz.core.elementwise import BatchNorm2d
from convviz.core.explain import FloatArray
from convviz.core.layers import Conv2d, Shape, Weighted
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.core.stack_file import from_json
from convviz.nn.settings import TrainSettings
from convviz.nn.source import result_of
from convviz.nn.tensor_file import load

FORMAT: Final = "convviz checkpoint"
VERSION: Final = 1

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class DataInfo:
    """Which data set a network is trained on.

    Attributes:
        key: what `load_dataset` takes.
        name: for people.
        classes: what the network's outputs stand for.
        fingerprint: of the pictures and labels.
    """

    key: str
    name: str
    classes: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True)
class Change:
    """A value that was changed while the training ran.

    Attributes:
        step: how many batches had been done.
        name: "lr", "momentum" or "epochs".
        value: what it became.
    """

    step: int
    name: str
    value: float


@dataclass(frozen=True)
class EpochResult:
    """How an epoch ended.

    Attributes:
        epoch: counted from 1.
        step: batches done since the start.
        seconds: since the start, pauses not counted.
        train_loss: mean over the epoch's batches, each before its step: augmented pictures, label smoothing included.
        train_accuracy: likewise, 0 to 1.
        test_loss: mean cross-entropy of the test pictures.
        test_accuracy: 0 to 1.
    """

    epoch: int
    step: int
    seconds: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        lr: the learning rate, with a schedule its highest value.
        momentum: see `TrainSettings`.
        step: batches done.
        seconds: since the start, pauses not counted.
        loss_average: exponential moving average of the loss that starts at 0, see `smoothed_loss`.
        seen: pictures in this epoch so far.
        loss_sum: their losses, added up.
        correct: how many of them were recognised.
        changes: of rate, momentum and number of epochs, in order.
        epochs: the results of the epochs that are over and evaluated.
    """

    lr: float
    momentum: float
    step: int = 0
    seconds: float = 0.0
    loss_average: float = 0.0
    seen: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    changes: tuple[Change, ...] = ()
    epochs: tuple[EpochResult, ...] = ()


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training at one moment: all that is needed to go on, bit for bit.

    Attributes:
        stack: the network's geometry as `stack_file` writes it.
        weights: the `state_dict` of the stack built in torch, on the CPU.
        optimizer: what the optimizer remembers of each parameter, by its index.
        progress: how far the training was.
        settings: with which it was begun, and the number of epochs as it is now.
        data: on which it was trained.
    """

    stack: str
    weights: Tensors
    optimizer: dict[int, dict[str, Any]]
    progress: Progress
    settings: TrainSettings
    data: DataInfo

    def trained_stack(self) -> Stack:
        """Return the stack with the trained weights."""
        return with_weights(from_json(self.stack), self.weights)


def with_weights(stack: Stack, weights: Mapping[str, torch.Tensor]) -> Stack:
    """Return the stack with the weights of its module's `state_dict`, converted to float32 if lower."""
    for index, layer in enumerate(stack.layers):
        if isinstance(layer, Weighted) and stack.is_on(index):
            arrays = {
                name: _array(weights[f"{index}.{name}"]) for name in layer.array_names if f"{index}.{name}" in weights
            }
            if isinstance(layer, Conv2d) and layer.flip:
                arrays["weight"] = arrays["weight"][..., ::-1, ::-1]
            stack = stack.replace(index, layer.changed(**arrays))
    return stack


def _array(tensor: torch.Tensor) -> FloatArray:
    array: FloatArray = (tensor if tensor.dtype == torch.float64 else tensor.float()).detach().cpu().numpy()
    return array


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint so that at any moment `path` is either the earlier file or the whole new one. OSError."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "stack": checkpoint.stack,
        "state_dict": checkpoint.weights,
        "optimizer": checkpoint.optimizer,
        "progress": dataclasses.asdict(checkpoint.progress),
        "settings": checkpoint.settings.as_dict(),
        "data": dataclasses.asdict(checkpoint.data),
    }
    # By way of memory, because torch says of a full disk only that its own writer failed.
    data = io.BytesIO()
    torch.save(document, data)
    write_atomically(path, lambda file: file.write(data.getbuffer()))


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace a file by what `write` writes, all of it or nothing, even if the power fails. Raises OSError."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def load_checkpoint(path: Path) -> Checkpoint:
    """Return what `save_checkpoint` wrote, on the CPU.

    The file may come from anyone: only tensors and plain data are read, and what would not fit together is refused.

    Raises:
        RefusalError: there is no such file, or it is no checkpoint of this program, or damaged.

    """
    _, document = result_of(load(path))
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise RefusalError("{file} is not a checkpoint of convviz.", file=path.name)
    version = document.get("version")
    if isinstance(version, int) and version > VERSION:
        raise RefusalError(
            "{file} was saved by a newer convviz; this one reads version {version}.", file=path.name, version=VERSION
        )
    try:
        checkpoint = Checkpoint(
            document["stack"],
            dict(document["state_dict"]),
            dict(document["optimizer"]),
            _progress(document["progress"]),
            TrainSettings.from_dict(document["settings"]),
            data_info(document["data"]),
        )
        _check(checkpoint)
    except (LookupError, TypeError, ValueError, AttributeError):
        _refuse_damaged(path)
    return checkpoint


def _refuse_damaged(path: Path) -> NoReturn:
    raise RefusalError("{file} is damaged and cannot be used.", file=path.name) from None


_Plain = TypeVar("_Plain", DataInfo, Change, EpochResult, Progress)


def _plain(kind: type[_Plain], values: dict[str, Any]) -> _Plain:
    """Return a dataclass of strings and numbers from plain data, each number in its own type."""
    types: dict[object, type] = {"int": int, "float": float, "str": str}
    own = {field.name: types[field.type] for field in dataclasses.fields(kind) if field.type in types}
    return kind(**{name: own[name](value) if name in own else value for name, value in values.items()})


def data_info(values: dict[str, Any]) -> DataInfo:
    """Return the data set that `dataclasses.asdict` turned to plain data. Raises KeyError, TypeError."""
    return _plain(DataInfo, {**values, "classes": tuple(str(name) for name in values["classes"])})


def _progress(values: dict[str, Any]) -> Progress:
    changes = tuple(_plain(Change, change) for change in values["changes"])
    epochs = tuple(_plain(EpochResult, epoch) for epoch in values["epochs"])
    return _plain(Progress, {**values, "changes": changes, "epochs": epochs})


def _check(checkpoint: Checkpoint) -> None:
    """Raise ValueError unless the weights, and what the optimizer remembers of them, are those of the stack."""
    stack = from_json(checkpoint.stack)
    weights = checkpoint.weights
    # First of all, before anything of the stack's size is made: whoever names a size has to bring as many numbers.
    if stack.problem is not None or sum(map(_count, weights.values())) < stack.num_parameters:
        raise ValueError("the weights are too few")
    if {name: tuple(tensor.shape) for name, tensor in weights.items()} != _shapes(stack):
        raise ValueError("the weights are not those of the stack")
    parameters = dict(
        enumerate(tensor for name, tensor in weights.items() if name.rpartition(".")[2] in ("weight", "bias"))
    )
    for index, memory in checkpoint.optimizer.items():
        for value in memory.values():
            if isinstance(value, torch.Tensor) and (
                not _count(value) or value.shape not in (torch.Size(), parameters[index].shape)
            ):
                raise ValueError("the optimizer's memory is not that of the weights")


def _count(tensor: torch.Tensor) -> int:
    """Return how many numbers a tensor really holds: 0 unless they are real and lie one by one in memory."""
    whole = tensor.layout == torch.strided and tensor.is_contiguous() and not tensor.is_complex()
    return tensor.numel() if whole else 0


def _shapes(stack: Stack) -> dict[str, Shape]:
    """Return what the `state_dict` of the built stack holds."""
    shapes: dict[str, Shape] = {}
    for index, layer in enumerate(stack.layers):
        if isinstance(layer, Weighted) and stack.is_on(index):
            for name in layer.array_names:
                if getattr(layer, name) is not None:
                    shapes[f"{index}.{name}"] = layer.array_shapes[name]
            if isinstance(layer, BatchNorm2d):
                shapes[f"{index}.num_batches_tracked"] = ()
    return shapes
