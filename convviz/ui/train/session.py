"""One training beside the window: the one place of the page that reaches torch. No Qt in here."""

from __future__ import annotations

import ctypes
import dataclasses
import importlib.util
import os
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from convviz.core.control import StopToken
from convviz.core.stack import Stack
from convviz.core.stack_file import from_json
from convviz.nn.control import TrainControl
from convviz.nn.settings import TrainSettings
from convviz.nn.source import DataProgress, StoppedError

if TYPE_CHECKING:
    from convviz.nn.data import Dataset
    from convviz.nn.probe import Probe
    from convviz.nn.run_folder import RunFolder
    from convviz.nn.source import Labels, Pixels
    from convviz.nn.train import DivergedError, Trainer, TrainSnapshot
    from convviz.ui.jobs import Job

STARTING: Final = "Starting PyTorch"
"""Stands in `DataProgress.what` while torch is imported."""

LOOK_SECONDS: Final = 0.1
"""The shortest time between two looks at the network while it is trained."""


@dataclass(frozen=True, eq=False)
class NewRun:
    """A run that is to be begun.

    Attributes:
        data: what `load_dataset` takes.
        stack: the network; its last dense layer gets as many outputs as there are classes.
        model: its name in the run's settings.
        settings: how it is trained.
        folder: where the run is written, which must hold none yet.
        dataset: the pictures, where they are there already.
    """

    data: str
    stack: Stack
    model: str
    settings: TrainSettings
    folder: Path
    dataset: Dataset | None = None


@dataclass(frozen=True)
class View:
    """What is to be seen of the network: a layer's maps of a test picture, and the training batch if asked for."""

    sample_index: int = 0
    layer_index: int = 0
    batch: bool = False


@dataclass(frozen=True, eq=False)
class Begun:
    """What is trained, once it is known.

    Attributes:
        dataset: the pictures.
        stack: the network.
        model: its name in the run's settings.
        settings: how it is trained, with rate and momentum as they were when the session began.
        folder: where the run is written.
    """

    dataset: Dataset
    stack: Stack
    model: str
    settings: TrainSettings
    folder: Path


@dataclass(frozen=True, eq=False)
class BatchPictures:
    """The pictures of a training batch as the network sees them, (B, C, H, W), and their labels, (B,)."""

    images: Pixels
    labels: Labels


@dataclass(frozen=True, eq=False)
class Update:
    """The newest of everything that is known of a training.

    Attributes:
        data: what is being prepared, before the first batch.
        begun: what is trained.
        snapshot: how far it is.
        probe: the last look at the network.
        batch: the last batch that was looked at.
    """

    data: DataProgress | None = None
    begun: Begun | None = None
    snapshot: TrainSnapshot | None = None
    probe: Probe | None = None
    batch: BatchPictures | None = None


class Session:
    """A run from its beginning, or from where it was saved, over all its pauses and stops.

    It outlives its jobs, of which one runs at a time: the network stays in memory, to be looked at and gone on with.

    Attributes:
        control: what is asked of the training while it runs.
        view: what of the network is to be seen, None for nothing; another one may be put here from any thread.
        diverged: why the last job ended, if the loss ran away; the network is back in its last good state.
        newest: what a job has yielded last, which also stays when it ends with an error.
    """

    def __init__(self, run: NewRun | Path) -> None:
        """Prepare a new run, or to go on with the one in a folder."""
        self.control = TrainControl()
        self.view: View | None = None
        self.diverged: DivergedError | None = None
        self.newest = Update()
        self._run = run
        self._stop = StopToken()
        self._in_use = Lock()
        self._trainer: Trainer | None = None
        self._folder: RunFolder | None = None
        self._begun: Begun | None = None
        self._seen: tuple[View, int] | None = None
        self._seen_at = 0.0
        self._probe: Probe | None = None
        self._batch: BatchPictures | None = None

    def stop(self) -> None:
        """Ask the job to end after this batch, saved; its outcome is still delivered."""
        self._stop.request_stop()

    @property
    def lr(self) -> float | None:
        """The learning rate, with a schedule its highest value, in the state of the network; None without one."""
        return None if self._trainer is None else self._trainer.progress.lr

    def train_job(self) -> Job:
        """Return a job that trains on from where the session is; it yields an `Update` a batch and returns the last.

        The job returns None if it was stopped before there was a network. It raises RefusalError for what the user can
        put right, and leaves the network as it was before that.
        """
        self._stop = stop = StopToken()
        self.diverged = None
        return lambda token: self._train(_EitherToken(token, stop))

    def look_job(self) -> Job:
        """Return a job that looks at the network while it is not trained, and returns an `Update`."""
        return lambda _: self._look_once()

    # In the job's thread

    def _train(self, token: StopToken) -> Generator[Update, None, Update | None]:
        with self._in_use:
            if self._trainer is None:
                try:
                    yield from self._begin(token)
                except StoppedError:
                    return None
            from convviz.nn.train import DivergedError, train

            assert self._trainer is not None
            self._restore_folder()
            steps = train(self._trainer, token, self.control, self._folder)
            while True:
                try:
                    snapshot = next(steps)
                except StopIteration as end:
                    self._look(at_once=True)
                    return self._update(end.value)
                except DivergedError as error:
                    self.diverged = error
                    raise
                self._look()
                yield self._update(snapshot)

    def _begin(self, token: StopToken) -> Generator[Update, None, None]:
        """Load the pictures and make the trainer. Raises StoppedError, RefusalError."""
        run = self._run
        if "torch" not in sys.modules:
            yield Update(DataProgress(0, 0, STARTING))
            _load_torch_library()
        from convviz.nn.run_folder import RunFolder, RunInfo
        from convviz.nn.train import Trainer, resume, with_classes

        if isinstance(run, NewRun):
            dataset = run.dataset or (yield from _loading(run.data, run.stack, token))
            stack = with_classes(run.stack, len(dataset.classes))
            trainer = Trainer(stack, dataset, run.settings)
            folder = RunFolder.create(run.folder, RunInfo(run.model, trainer.data_info, run.settings))
        else:
            folder = RunFolder.open(run)
            stack = from_json(folder.load().stack)
            dataset = yield from _loading(folder.info.data.key, stack, token)
            trainer = resume(folder, dataset)
        self._trainer, self._folder = trainer, folder
        progress = trainer.progress
        settings = dataclasses.replace(trainer.settings, lr=progress.lr, momentum=progress.momentum)
        self._begun = Begun(dataset, stack, folder.info.model, settings, folder.path)
        yield self._update(None)

    def _restore_folder(self) -> None:
        """Make the run's folder anew if it is gone; training on then writes all that is known into it."""
        from convviz.nn.run_folder import RunFolder

        folder = self._folder
        if folder is not None and not folder.path.exists():
            self._folder = RunFolder.create(folder.path, folder.info)

    def _look_once(self) -> Update:
        with self._in_use:
            self._look(at_once=True)
            return self._update(None)

    def _update(self, snapshot: TrainSnapshot | None) -> Update:
        self.newest = Update(None, self._begun, snapshot, self._probe, self._batch)
        return self.newest

    def _look(self, at_once: bool = False) -> None:
        """Look at the network if that is asked for, there is something new to see and the last look is long ago."""
        from convviz.nn.probe import probe

        view, trainer = self.view, self._trainer
        if view is None or trainer is None:
            return
        now, seen = time.monotonic(), (view, trainer.progress.step)
        if seen == self._seen or (now - self._seen_at < LOOK_SECONDS and not at_once):
            return
        self._seen, self._seen_at = seen, now
        layer = min(view.layer_index, len(trainer.module) - 1)
        sample = min(view.sample_index, len(trainer.dataset.test) - 1)
        self._probe = probe(trainer.module, trainer.dataset.test, sample, layer)
        self._batch = _pictures(trainer) if view.batch else None


def _load_torch_library() -> None:
    """Load torch's library ahead of its import, which would hold Python's lock meanwhile, and so halt the window.

    Measured on two cores: the window stood still for 0.25 s, on a busy machine 0.65 s; with this 0.09 s and 0.18 s.
    Where there is no such file, or it cannot be loaded, the import does everything.
    """
    spec = importlib.util.find_spec("torch")
    if spec is not None and spec.origin is not None:
        library = Path(spec.origin).parent / "lib" / "libtorch_python.so"
        if library.exists():
            ctypes.CDLL(None).dlopen(str(library).encode(), os.RTLD_NOW)  # ctypes lets go of the lock for a call


class _EitherToken(StopToken):
    """Asks to stop as soon as one of two tokens does."""

    def __init__(self, one: StopToken, other: StopToken) -> None:
        super().__init__()
        self._tokens = one, other

    @property
    def stop_requested(self) -> bool:
        return any(token.stop_requested for token in self._tokens)


def data_job(key: str, stack: Stack, download: bool = False) -> Job:
    """Return a job that yields `DataProgress` and returns the data set that fits a stack, None if it was stopped.

    Args:
        key: what `load_dataset` takes.
        stack: whose input the pictures are made for.
        download: fetch CIFAR-10 first.

    """

    def job(token: StopToken) -> Generator[DataProgress, None, Dataset | None]:
        from convviz.nn.cifar10 import download_cifar10
        from convviz.nn.data import load_dataset

        channels, height, width = stack.input_shape
        try:
            if download:
                yield from download_cifar10(token=token)
            return (yield from load_dataset(key, (height, width), channels, token=token))
        except StoppedError:
            return None

    return job


def _loading(key: str, stack: Stack, token: StopToken) -> Generator[Update, None, Dataset]:
    """Yield how far the pictures are and return the data set in the size that the stack takes."""
    from convviz.nn.data import load_dataset

    channels, height, width = stack.input_shape
    steps = load_dataset(key, (height, width), channels, token=token)
    while True:
        try:
            yield Update(next(steps))
        except StopIteration as end:
            dataset: Dataset = end.value
            return dataset


def _pictures(trainer: Trainer) -> BatchPictures:
    """Return the batch that was done last, or the first, made once more as it was."""
    from convviz.nn.batches import Augment, Batches

    settings = trainer.settings
    augment = Augment(settings.flip, settings.crop, settings.cutout)
    batches = Batches(trainer.dataset.train, settings.batch_size, settings.seed, augment)
    epoch, index = divmod(max(0, trainer.progress.step - 1), trainer.batches_per_epoch)
    x, labels = batches.batch(epoch, index)
    images = x.add(1).mul(127.5).round().byte().numpy()
    return BatchPictures(images, labels.numpy())
