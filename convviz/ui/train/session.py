"""One training beside the window: the one place of the page that reaches torch. No Qt in here."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

import numpy as np

from convviz.core.control import StoppedError, StopToken
from convviz.core.stack import Stack
from convviz.core.stack_file import from_json
from convviz.nn.control import TrainControl
from convviz.nn.settings import TrainSettings
from convviz.nn.source import DataProgress
from convviz.ui.torch_start import STARTING, import_torch, is_torch_there

if TYPE_CHECKING:
    from convviz.nn.checkpoint import Change
    from convviz.nn.data import Dataset
    from convviz.nn.look import ForLab
    from convviz.nn.probe import Probe
    from convviz.nn.run_folder import RunFolder
    from convviz.nn.source import Labels, Pixels
    from convviz.nn.train import DivergedError, Trainer, TrainSnapshot
    from convviz.ui.jobs import Job

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
        settings: how it is trained, with rate, momentum and number of epochs as they are now.
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
        for_lab: the network when `Session.lab_wanted` was last set, with the picture and the layer in view then.
    """

    data: DataProgress | None = None
    begun: Begun | None = None
    snapshot: TrainSnapshot | None = None
    probe: Probe | None = None
    batch: BatchPictures | None = None
    for_lab: ForLab | None = None


class Session:
    """A run from its beginning, or from where it was saved, over all its pauses and stops.

    It outlives its jobs, of which one runs at a time: the network stays in memory, to be looked at and gone on with.

    Attributes:
        control: what is asked of the training while it runs.
        view: what of the network is to be seen, None for nothing; another one may be put here from any thread.
        lab_wanted: whether the next look is to give the network to the Lab; may be set from any thread.
        diverged: why the last job ended, if the loss ran away; the network is back in its last good state.
        newest: what a job has yielded last, which also stays when it ends with an error.
    """

    def __init__(self, run: NewRun | Path) -> None:
        """Prepare a new run, or to go on with the one in a folder."""
        self.control = TrainControl()
        self.view: View | None = None
        self.lab_wanted = False
        self.diverged: DivergedError | None = None
        self.newest = Update()
        self._run = run
        self._stop = StopToken()
        self._in_use = Lock()
        self._trainer: Trainer | None = None
        self._folder: RunFolder | None = None
        self._begun: Begun | None = None
        self._changes: tuple[Change, ...] = ()
        self._moves_to: Path | None = None
        self._seen: tuple[View, int] | None = None
        self._seen_at = 0.0
        self._probe: Probe | None = None
        self._batch: BatchPictures | None = None
        self._for_lab: ForLab | None = None

    def stop(self) -> None:
        """Ask the job to end after this batch, saved; its outcome is still delivered."""
        self._stop.request_stop()

    @property
    def lr(self) -> float | None:
        """The learning rate, with a schedule its highest value, in the state of the network; None without one."""
        return None if self._trainer is None else self._trainer.progress.lr

    def move(self, folder: Path) -> None:
        """Write the run into another folder from the next job on; the job makes it, with all that is known so far."""
        self._moves_to = folder

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
                    self._look(at_once=True)  # at the last good weights, which the trainer has gone back to
                    self._update(self.newest.snapshot)
                    raise
                self._look()
                yield self._update(snapshot)

    def _begin(self, token: StopToken) -> Generator[Update, None, None]:
        """Load the pictures and make the trainer. Raises StoppedError, RefusalError."""
        run = self._run
        if not is_torch_there():
            yield Update(DataProgress(0, 0, STARTING))
            import_torch()
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
        self._changes = trainer.progress.changes
        self._begun = Begun(dataset, stack, folder.info.model, trainer.settings_now, folder.path)
        yield self._update(None)

    def _restore_folder(self) -> None:
        """Make the run's folder anew if it is gone, or another one; training on writes all that is known into it."""
        from convviz.nn.run_folder import RunFolder

        folder, moves_to = self._folder, self._moves_to
        if folder is None or self._begun is None or (moves_to is None and folder.path.exists()):
            return
        folder.release()
        self._folder = RunFolder.create(moves_to or folder.path, folder.info)
        self._begun = dataclasses.replace(self._begun, folder=self._folder.path)
        self._moves_to = None

    def _look_once(self) -> Update:
        with self._in_use:
            self._look(at_once=True)
            return self._update(None)

    def _update(self, snapshot: TrainSnapshot | None) -> Update:
        trainer, begun = self._trainer, self._begun
        if trainer is not None and begun is not None and trainer.progress.changes != self._changes:
            self._changes = trainer.progress.changes
            self._begun = dataclasses.replace(begun, settings=trainer.settings_now)
        self.newest = Update(None, self._begun, snapshot, self._probe, self._batch, self._for_lab)
        return self.newest

    def _look(self, at_once: bool = False) -> None:
        """Look at the network if that is asked for, there is something new to see and the last look is long ago."""
        view, trainer, now = self.view, self._trainer, time.monotonic()
        if view is None or trainer is None or (now - self._seen_at < LOOK_SECONDS and not at_once):
            return
        from convviz.nn.probe import probe
        from convviz.nn.threads import using_threads
        from convviz.nn.train import enough_memory

        layer = min(view.layer_index, len(trainer.module) - 1)
        sample = min(view.sample_index, len(trainer.dataset.test) - 1)
        if self.lab_wanted:
            self.lab_wanted = False
            self._for_lab = self._given_to_lab(trainer, sample, layer)
        seen = view, trainer.progress.step
        if seen == self._seen:
            return
        self._seen, self._seen_at = seen, now
        with enough_memory(trainer.settings), using_threads(trainer.work // trainer.settings.batch_size):
            self._probe = probe(trainer.module, trainer.dataset.test, sample, layer)
            self._batch = BatchPictures(*trainer.pictures()) if view.batch else None

    def _given_to_lab(self, trainer: Trainer, sample: int, layer: int) -> ForLab:
        """Return a layer of the network with its weights as they are now, on a test picture."""
        from convviz.nn.checkpoint import with_weights
        from convviz.nn.look import ForLab, preprocessed
        from convviz.nn.network import to_unit_range

        assert self._begun is not None
        stack = with_weights(self._begun.stack, trainer.module.state_dict())
        x = preprocessed(trainer.dataset.test.images[sample], to_unit_range(stack.input_shape))
        return ForLab(stack, x.astype(np.float64), layer)


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

    Afterwards all that a training needs is imported.

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
            dataset = yield from load_dataset(key, (height, width), channels, token=token)
        except StoppedError:
            return None
        yield from _warming_up()
        return dataset

    return job


def _warming_up() -> Generator[DataProgress, None, None]:
    """Import what training needs while its user still looks around: torch takes seconds, its first optimizer one more.

    The first batch then comes within a second of the press.
    """
    if not is_torch_there():
        yield DataProgress(0, 0, STARTING)
        import_torch()
    from convviz.nn.train import warm_up

    warm_up()


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
