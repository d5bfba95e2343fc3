"""The folder of a training run: settings.json, metrics.csv, last.pt and best.pt, and a lock for who writes them.

metrics.csv has one row a batch and, behind the last batch of an epoch, one row for the epoch; each leaves the other's
columns empty. `step` and `epoch` count from 1, `seconds` from the start without pauses; accuracies are 0 to 1. lr and
momentum are those that the batch was trained with; grad_norm is the norm of the whole gradient. All numbers but
`seconds` are written so that they are read back exactly.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from convviz.core.refusal import RefusalError
from convviz.nn.checkpoint import (
    Checkpoint,
    DataInfo,
    EpochResult,
    data_info,
    load_checkpoint,
    save_checkpoint,
    write_atomically,
)
from convviz.nn.settings import TrainSettings

SETTINGS_FILE: Final = "settings.json"
METRICS_FILE: Final = "metrics.csv"
LAST_FILE: Final = "last.pt"
BEST_FILE: Final = "best.pt"
LOCK_FILE: Final = ".lock"

FORMAT: Final = "convviz run"
VERSION: Final = 1

BATCH: Final = np.dtype(
    [
        ("step", np.int64),
        ("epoch", np.int64),
        ("seconds", np.float64),
        ("loss", np.float64),
        ("lr", np.float64),
        ("momentum", np.float64),
        ("grad_norm", np.float64),
    ]
)
"""What is known of each batch."""

BatchRows = npt.NDArray[np.void]
"""An array (N,) of `BATCH`."""

_BATCH_NAMES: Final = tuple(BATCH.names or ())
_EPOCH_NAMES: Final = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
_HEAD: Final = ",".join((*_BATCH_NAMES, *_EPOCH_NAMES)) + "\n"


@dataclass(frozen=True)
class RunInfo:
    """What a run was begun with.

    Attributes:
        model: the network's name: a key of `PRESETS`, or the name of a file.
        data: the pictures.
        settings: how it is trained, and the number of epochs as it is now.
    """

    model: str
    data: DataInfo
    settings: TrainSettings


@dataclass(frozen=True, eq=False)
class Metrics:
    """The course of a run.

    Attributes:
        batches: one row a batch, (N,) of `BATCH`.
        epochs: the epochs that are over.
    """

    batches: BatchRows
    epochs: tuple[EpochResult, ...]


class RunFolder:
    """Reads and writes the folder of one run.

    Only one process at a time may write it; anyone may read it. Whatever goes wrong with the folder is a `RefusalError`
    with a message for the user.
    """

    def __init__(self, path: Path, info: RunInfo) -> None:
        self.path = path
        self._info = info
        self._lines: list[str] = []
        # One for all threads, and for all objects of this process that stand for this folder.
        self._lock = FileLock(path / LOCK_FILE, thread_local=False, is_singleton=True)

    @classmethod
    def create(cls, path: Path, info: RunInfo) -> RunFolder:
        """Begin a run in a new folder, or in one that holds no run, and claim it."""
        with _access(path):
            path.mkdir(parents=True, exist_ok=True)
            folder = cls(path, info)
            folder.claim()
            if any((path / name).exists() for name in (SETTINGS_FILE, METRICS_FILE, LAST_FILE, BEST_FILE)):
                raise RefusalError("{folder} holds a run already.", folder=path)
            folder._write_settings()
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Return the run in a folder."""
        with _access(path):
            if not (path / SETTINGS_FILE).is_file():
                raise RefusalError("{folder} holds no run: it lacks {file}.", folder=path, file=SETTINGS_FILE)
            text = (path / SETTINGS_FILE).read_text(encoding="utf-8", errors="replace")
        try:
            document = json.loads(text)
            if document["format"] != FORMAT or document["version"] > VERSION:
                raise RefusalError("it was written by another program or a newer convviz")
            settings = TrainSettings.from_dict(document["settings"])
            info = RunInfo(str(document["model"]), data_info(document["data"]), settings)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())[:200].removesuffix(".")
            raise RefusalError(
                "{file} in {folder} cannot be used: {reason}.", file=SETTINGS_FILE, folder=path, reason=reason
            ) from error
        return cls(path, info)

    def claim(self) -> None:
        """Keep other processes from writing, until `release` or the end of this process, be it killed.

        Raises:
            RefusalError: another process has claimed it.

        """
        with _access(self.path):
            try:
                self._lock.acquire(blocking=False)
            except Timeout as error:
                raise RefusalError(
                    "The run in {folder} is open in another convviz. Close that one first; nothing was changed here.",
                    folder=self.path,
                ) from error

    def release(self) -> None:
        """Let other processes write again."""
        self._lock.release(force=True)

    @property
    def info(self) -> RunInfo:
        """What the run was begun with."""
        return self._info

    def _write_settings(self) -> None:
        document = {
            "format": FORMAT,
            "version": VERSION,
            "model": self._info.model,
            "data": dataclasses.asdict(self._info.data),
            "settings": self._info.settings.as_dict(),
        }
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        write_atomically(self.path / SETTINGS_FILE, lambda file: file.write(text.encode()))

    # Checkpoints

    def load(self, name: str = LAST_FILE) -> Checkpoint:
        """Return the newest checkpoint, or with `BEST_FILE` the one of the highest test accuracy."""
        return load_checkpoint(self.path / name)

    def save(self, checkpoint: Checkpoint, name: str = LAST_FILE) -> None:
        """Write a checkpoint, and its settings if they are new; the metrics up to it are then on the drive too."""
        self.flush()
        with _access(self.path):
            if checkpoint.settings != self._info.settings:
                self._info = dataclasses.replace(self._info, settings=checkpoint.settings)
                self._write_settings()
            save_checkpoint(self.path / name, checkpoint)

    # Metrics

    def begin(self, metrics: Metrics) -> None:
        """Prepare to go on: write metrics.csv up to there and no further."""
        lines = [(row[0], 0, _batch_line(row)) for row in metrics.batches.tolist()]
        lines += [(result.step, 1, _epoch_line(result)) for result in metrics.epochs]
        text = _HEAD + "".join(line for _, _, line in sorted(lines))
        self._lines.clear()
        with _access(self.path):
            write_atomically(self.path / METRICS_FILE, lambda file: file.write(text.encode()))

    def add_batch(self, row: tuple[float, ...]) -> None:
        """Note a batch, the values of `BATCH`; `flush` writes it."""
        self._lines.append(_batch_line(row))

    def add_epoch(self, result: EpochResult) -> None:
        """Note an epoch; `flush` writes it."""
        self._lines.append(_epoch_line(result))

    def flush(self) -> None:
        """Write what was noted. The file is opened each time: that finds out when the folder is gone."""
        text = "".join(self._lines)
        with _access(self.path), (self.path / METRICS_FILE).open("r+b") as file:
            file.seek(0, os.SEEK_END)
            file.write(text.encode())
        self._lines.clear()

    def metrics(self) -> Metrics:
        """Return what metrics.csv holds; rows that cannot be read, such as one cut off at the end, are left out."""
        if not (self.path / METRICS_FILE).is_file():  # its loss is no reason to refuse a checkpoint
            return Metrics(np.empty(0, BATCH), ())
        with (
            _access(self.path),
            (self.path / METRICS_FILE).open(encoding="utf-8", errors="replace", newline="") as file,
        ):
            rows = [row for row in csv.reader(file) if _is_row(row)]
        batches = [tuple(float(value) for value in row[: len(_BATCH_NAMES)]) for row in rows if row[3]]
        epochs = [
            EpochResult(int(row[1]), int(row[0]), float(row[2]), *map(float, row[len(_BATCH_NAMES) :]))
            for row in rows
            if not row[3]
        ]
        return Metrics(np.array(batches, BATCH), tuple(epochs))


def _batch_line(row: tuple[float, ...]) -> str:
    step, epoch, seconds, *values = row
    return f"{step},{epoch},{seconds:.3f},{','.join(map(repr, values))},,,,\n"


def _epoch_line(result: EpochResult) -> str:
    values = ",".join(repr(getattr(result, name)) for name in _EPOCH_NAMES)
    return f"{result.step},{result.epoch},{result.seconds:.3f},,,,,{values}\n"


def _is_row(row: list[str]) -> bool:
    """Whether it is a whole row of numbers, of a batch or of an epoch."""
    if len(row) != len(_BATCH_NAMES) + len(_EPOCH_NAMES):
        return False
    used = row[: len(_BATCH_NAMES)] if row[3] else row[:3] + row[len(_BATCH_NAMES) :]
    try:
        int(row[0]), int(row[1])
        return all(float(value) is not None for value in used)
    except ValueError:
        return False


@contextmanager
def _access(folder: Path) -> Iterator[None]:
    """Turn what the system says of a folder into a message."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RefusalError(
            "The run's folder {folder} cannot be used: {reason}.", folder=folder, reason=reason
        ) from error
