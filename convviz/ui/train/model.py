"""The Train page's model: what is to be trained and how, the training itself, and the newest that is known of it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import platformdirs
from PySide6.QtCore import QObject, Signal, Slot

from convviz.core import stack_file
from convviz.core.layers import AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, Layer, MaxPool2d
from convviz.core.presets import PRESETS
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.core.stack_file import StackFileError
from convviz.core.window import ShapeError
from convviz.nn.settings import RECOMMENDED, TrainSettings
from convviz.ui.jobs import JobRunner
from convviz.ui.lab import state as lab
from convviz.ui.lab.state import LabState
from convviz.ui.train.session import NewRun, Session, Update, View, data_job

if TYPE_CHECKING:
    from convviz.nn.data import Dataset
    from convviz.nn.source import DataProgress
    from convviz.ui.jobs import Job

Phase = Literal["idle", "loading", "training", "evaluating", "paused", "finished", "stopped", "failed"]
RUNNING: Final[frozenset[Phase]] = frozenset({"loading", "training", "evaluating", "paused"})

SHAPES10: Final = "shapes10"
CIFAR10: Final = "cifar10"
FIRST_MODEL: Final = "small_cnn"
OWN_MODEL: Final = "own"
"""The model's key once its layers were changed, or came from elsewhere."""

SMALLER: Final = 0.2
"""What the rate is multiplied with after the loss ran away."""

LIVE_SETTINGS: Final = ("lr", "momentum", "epochs")
"""The settings that may be changed while a training runs."""

Pooling = Literal["max", "avg"]
_POOLING: Final[dict[type[Layer], Pooling]] = {
    MaxPool2d: "max",
    GlobalMaxPool2d: "max",
    AvgPool2d: "avg",
    GlobalAvgPool2d: "avg",
}


def default_runs() -> Path:
    """Return the folder in which each run gets a folder of its own."""
    return platformdirs.user_data_path("convviz", appauthor=False) / "runs"


def pooling_of(stack: Stack) -> Pooling | None:
    """Return which pooling a stack has; None if it has none, or both."""
    kinds = {_POOLING[type(layer)] for layer in stack.layers if type(layer) in _POOLING}
    return kinds.pop() if len(kinds) == 1 else None


def with_pooling(stack: Stack, kind: Pooling) -> Stack:
    """Return the stack with every max pooling turned into average pooling with the same window, or back.

    A dilated max pooling stays, as average pooling has no dilation.
    """
    for index, layer in enumerate(stack.layers):
        stack = stack.replace(index, _pooled(layer, kind))
    return stack


def _pooled(layer: Layer, kind: Pooling) -> Layer:
    match layer, kind:
        case MaxPool2d(dilation=(1, 1)), "avg":
            return AvgPool2d(layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
        case AvgPool2d(), "max":
            return MaxPool2d(layer.kernel_size, layer.stride, layer.padding, ceil_mode=layer.ceil_mode)
        case GlobalMaxPool2d(), "avg":
            return GlobalAvgPool2d()
        case GlobalAvgPool2d(), "max":
            return GlobalMaxPool2d()
    return layer


class TrainModel(QObject):
    """What is chosen, how far the training is, and what was last seen of it; every change is announced."""

    chosen = Signal()
    """Another data set, network or setting was chosen, or the data set became known."""
    data_progressed = Signal()
    """The chosen data set is being prepared; `data_progress` says how far it is."""
    data_failed = Signal(object)
    """The chosen data set cannot be used: a RefusalError."""
    phase_changed = Signal()
    """The phase is another one, or there is a run to go on with, or no longer."""
    begun = Signal()
    """A training has begun, or goes on: what is trained is known."""
    updated = Signal()
    """`update` is newer."""
    lab_ready = Signal(object)
    """The network as it was when `open_in_lab` was called, a `ForLab`."""
    failed = Signal(object)
    """The training ended with this RefusalError or ShapeError; the network, if there was one, is kept."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.runs = default_runs()
        self.data: str = SHAPES10
        self.dataset: Dataset | None = None
        self.data_progress: DataProgress | None = None
        self.model: str = FIRST_MODEL
        self.editor = _editor(PRESETS[FIRST_MODEL]())
        self.settings = RECOMMENDED[FIRST_MODEL]
        self.phase: Phase = "idle"
        self.update = Update()
        self.view = View()
        self.run_folder: Path | None = None
        self._session: Session | None = None
        self._shows_run = False
        """Whether what is chosen is what the run is trained with."""
        self._known: TrainSettings | None = None
        """What the run was trained with when an earlier start saw it last; it may have gone on since."""
        self._could_go_on = False
        self._starts: Literal["run", "one batch"] | None = None
        """What begins once the pictures are there."""
        self._loader = JobRunner(self)
        self._loader.progressed.connect(self._on_data_progress)
        self._loader.succeeded.connect(self._on_data)
        self._loader.failed.connect(self._on_data_failed)
        self._trainer = JobRunner(self)
        self._trainer.progressed.connect(self._on_update)
        self._trainer.succeeded.connect(self._on_ended)
        self._trainer.failed.connect(self._on_failed)
        self.chosen.connect(self._tell_whether_it_can_go_on)
        self._looker = JobRunner(self)
        self._looker.succeeded.connect(self._on_look)
        self._looker.failed.connect(self._on_look_failed)

    # ---- what is chosen

    @property
    def stack(self) -> Stack:
        """The network that is to be trained."""
        return self.editor.stack

    @property
    def is_running(self) -> bool:
        """Whether there is a training that has not ended; it may be paused."""
        return self.phase in RUNNING

    def choose_data(self, key: str) -> None:
        """Take what `load_dataset` calls `key`, and prepare it."""
        self.data = key
        self._shows_run = False
        self.load_data()

    def load_data(self, download: bool = False) -> None:
        """Prepare the chosen data set, or download it first."""
        self.dataset = None
        self._load(data_job(self.data, self.stack, download))

    def _load(self, job: Job) -> None:
        self.data_progress = None
        self._loader.start(job)
        self.chosen.emit()

    def cancel_data(self) -> None:
        """Stop preparing the data set; a download goes on from where it was the next time."""
        self._loader.cancel()
        self.data_progress = None
        self._forget_start()
        self.chosen.emit()

    @property
    def is_loading_data(self) -> bool:
        """Whether the chosen data set is being prepared."""
        return self._loader.busy

    def choose_preset(self, key: str) -> None:
        """Take a ready-made network, with the settings that suit it if there are any; seed and device stay."""
        if key in RECOMMENDED:
            now = self.settings
            self.settings = dataclasses.replace(RECOMMENDED[key], seed=now.seed, device=now.device)
        self._take(PRESETS[key](), key)

    def use_stack(self, stack: Stack) -> None:
        """Take a network from elsewhere."""
        self._take(stack, OWN_MODEL)

    def _take(self, stack: Stack, model: str) -> None:
        before = self.stack.input_shape
        self.model = model
        self.editor = _editor(stack)
        self._shows_run = False
        if stack.input_shape != before:
            self.load_data()
        else:
            self.chosen.emit()

    def edit(self, change: Callable[[LabState], LabState]) -> None:
        """Change the layers, or which of them is the current one."""
        before = self.stack
        self.editor = change(self.editor)
        if self.stack is not before:
            self.model = OWN_MODEL
            self._shows_run = False
        self.chosen.emit()

    def choose_layer(self, index: int) -> None:
        """Make another layer the current one, which is edited."""
        self.edit(lambda state: dataclasses.replace(state, current=index))

    def set_pooling(self, kind: Pooling) -> None:
        """Turn every max pooling into average pooling, or back."""
        self.edit(lambda state: dataclasses.replace(state, stack=with_pooling(state.stack, kind)))

    def set_setting(self, name: str, value: object) -> None:
        """Change one of `TrainSettings`; those in `LIVE_SETTINGS` also of a run that has begun. RefusalError.

        A run has no fewer epochs than have begun.
        """
        changed: dict[str, Any] = {name: value}
        settings = dataclasses.replace(self.settings, **changed)
        if name not in LIVE_SETTINGS:
            self._shows_run = False
        elif self._shows_run and self.update.snapshot is not None:
            settings = dataclasses.replace(settings, epochs=max(settings.epochs, self.update.snapshot.epoch))
        self.settings = settings
        if self._session is not None and self.is_running:
            self._ask_for_live_settings(self._session)
        self.chosen.emit()

    def _ask_for_live_settings(self, session: Session) -> None:
        """Let a run go on with the rate, momentum and number of epochs that are chosen."""
        for name in LIVE_SETTINGS:
            self._ask_for(session, name, getattr(self.settings, name))

    @staticmethod
    def _ask_for(session: Session, name: str, value: Any) -> None:
        control = session.control
        {"lr": control.set_lr, "momentum": control.set_momentum, "epochs": control.set_epochs}[name](value)

    def _chosen_for_known(self) -> dict[str, Any]:
        """Return what was chosen of `LIVE_SETTINGS` for a run of an earlier start; the others it knows better."""
        if self._known is None or not self._shows_run:
            return {}
        chosen = {name: getattr(self.settings, name) for name in LIVE_SETTINGS}
        return {name: value for name, value in chosen.items() if value != getattr(self._known, name)}

    def _choose_run(self) -> None:
        """Choose what the run is trained with, but where that is chosen already, leave its settings as they are."""
        begun = self.update.begun
        if begun is None:
            return
        if self._known is not None or not self._shows_run:
            self.settings = dataclasses.replace(begun.settings, **self._chosen_for_known())
        self._known = None
        self.dataset, self.data, self.model = begun.dataset, begun.dataset.key, begun.model
        if begun.stack is not self.stack:
            self.editor = _editor(begun.stack)
        self._shows_run = True
        self.chosen.emit()

    # ---- training

    def start(self, paused: bool = False) -> None:
        """Begin a new run with what is chosen, once its pictures are there."""
        if self._loader.busy:
            self._starts = "one batch" if paused else "run"
            self.update = Update(self.data_progress)
            self._set_phase("loading")
            return
        run = NewRun(self.data, self.stack, self.model, self.settings, self._new_folder(), self.dataset)
        session = Session(run)
        if paused:
            session.control.step()
        self._shows_run = False
        self._begin(session)

    def go_on(self, paused: bool = False) -> None:
        """Go on with the run that was stopped, has ended or failed, or was saved by an earlier start of the program.

        The settings in `LIVE_SETTINGS` are those that are chosen; but if something else than the run is chosen, it
        gives way to what the run is trained with.
        """
        self.cancel_data()
        session = self._session
        if session is not None:
            self._choose_run()
            session.control.resume()
            self._ask_for_live_settings(session)
            if paused:
                session.control.step()
            self._train(session)
        elif self.run_folder is not None:
            session = Session(self.run_folder)
            for name, value in self._chosen_for_known().items():
                self._ask_for(session, name, value)
            if paused:
                session.control.step()
            self._begin(session)

    def open_run(self, folder: Path) -> None:
        """Go on with the run in a folder, whichever program began it."""
        self._shows_run = False
        self._begin(Session(folder))

    def go_back_with_smaller_rate(self) -> None:
        """Go on from the last good weights after the loss ran away, with a smaller rate."""
        rate = self.smaller_rate
        self._choose_run()
        self.set_setting("lr", rate)
        self.go_on()

    @property
    def has_diverged(self) -> bool:
        """Whether the training ended because its loss ran away."""
        return self._session is not None and self._session.diverged is not None

    @property
    def smaller_rate(self) -> float:
        """The rate to go on with after the loss ran away: no larger than the recommended and the last good one."""
        recommended = RECOMMENDED.get(self.model, TrainSettings()).lr
        good = None if self._session is None else self._session.lr
        return min(float(f"{SMALLER * self.settings.lr:.3g}"), recommended, recommended if good is None else good)

    @property
    def can_go_on(self) -> bool:
        """Whether there is a run that has begun and has not come to its end, or has been given more epochs since."""
        if self.phase == "finished":
            snapshot = self.update.snapshot
            return self._shows_run and snapshot is not None and self.settings.epochs > snapshot.epoch
        return self.run_folder is not None and self.phase in {"idle", "stopped", "failed"}

    @Slot()
    def _tell_whether_it_can_go_on(self) -> None:
        if self.can_go_on != self._could_go_on:
            self._could_go_on = self.can_go_on
            self.phase_changed.emit()

    def pause(self) -> None:
        """Stand still after this batch."""
        if self._session is not None:
            self._session.control.pause()

    def resume(self) -> None:
        """Go on after a pause."""
        if self._session is not None:
            self._session.control.resume()

    def one_batch(self) -> None:
        """Do one batch and then stand still: of the run that there is, or of a new one."""
        if self._session is not None and self.is_running:
            self._session.control.step()
        elif self.can_go_on and self._shows_run:
            self.go_on(paused=True)
        else:
            self.start(paused=True)

    def stop(self) -> None:
        """End the training after this batch, saved."""
        if self._starts is not None:
            self._forget_start()
        elif self._session is not None:
            self._session.stop()

    def _forget_start(self) -> None:
        if self._starts is not None:
            self._starts = None
            self._set_phase("idle")

    @property
    def has_unsaved(self) -> bool:
        """Whether the newest weights are in memory only: a training has ended because they could not be saved."""
        return self.phase == "failed" and self.update.begun is not None and not self.has_diverged

    def save_elsewhere(self, folder: Path) -> None:
        """Go on with the training that could not be saved in another folder, which gets all that is known of it."""
        if self._session is not None:
            self._session.move(folder)
            self.go_on(paused=True)

    def save_now(self) -> None:
        """Save a checkpoint."""
        if self._session is not None:
            self._session.control.save()

    def _begin(self, session: Session) -> None:
        self._session = session
        self.update = Update()
        self._train(session)

    def _train(self, session: Session) -> None:
        session.view = self.view
        self._looker.cancel()
        self._trainer.start(session.train_job())
        self._set_phase("loading")

    def _new_folder(self) -> Path:
        data = self.data if self.data in (SHAPES10, CIFAR10) else Path(self.data).name
        name = re.sub(r"[^\w.-]+", "-", f"{datetime.now():%Y-%m-%d-%H%M%S}-{self.model}-{data}")
        folder, number = self.runs / name, 2
        while folder.exists():
            folder, number = self.runs / f"{name}-{number}", number + 1
        return folder

    def cancel(self) -> None:
        """Drop what is prepared or looked at while no training runs."""
        self._loader.cancel()
        self._looker.cancel()

    # ---- looking

    def look(self, view: View | None) -> None:
        """Look at another picture or layer; None while nothing is to be seen."""
        if view is not None:
            self.view = view
        session = self._session
        if session is None:
            return
        session.view = view
        if view is not None and not self.is_running:
            self._looker.start(session.look_job())

    def open_in_lab(self) -> None:
        """Give the layer and the picture in view to the Lab, with the weights as they are now: see `lab_ready`."""
        if self._session is not None:
            self._session.lab_wanted = True
            self.look(self.view)

    # ---- what comes from the threads

    @Slot(object)
    def _on_data_progress(self, progress: DataProgress) -> None:
        self.data_progress = progress
        self.data_progressed.emit()
        if self._starts is not None:
            self.update = Update(progress)
            self.updated.emit()

    @Slot(object)
    def _on_data(self, dataset: Dataset | None) -> None:
        self.dataset, self.data_progress = dataset, None
        self.chosen.emit()
        starts, self._starts = self._starts, None
        if starts is not None:
            self.start(paused=starts == "one batch")

    @Slot(object)
    def _on_data_failed(self, error: Exception) -> None:
        self.data_progress = None
        self._forget_start()
        self.chosen.emit()
        if not isinstance(error, RefusalError):
            raise error
        self.data_failed.emit(error)

    @Slot(object)
    def _on_update(self, update: Update) -> None:
        before, self.update = self.update, update
        begun = update.begun
        if begun is not None and begun is not before.begun:
            self.run_folder = begun.folder
        if begun is not None and before.begun is None:
            self._choose_run()
            self.begun.emit()
        self.updated.emit()
        self._give_to_lab(before)
        if update.snapshot is not None:
            self._set_phase(update.snapshot.phase)

    @Slot(object)
    def _on_ended(self, update: Update | None) -> None:
        if update is None:
            self._session = None
            self._set_phase("idle")
        else:
            self._on_update(update)

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        if self._session is not None:
            self._on_update(self._session.newest)  # which may not have been looked at before the error
            if self.update.begun is None:
                self._session = None
        self._set_phase("failed")
        if not isinstance(error, (RefusalError, ShapeError)):
            raise error
        self.failed.emit(error)

    @Slot(object)
    def _on_look(self, update: Update) -> None:
        before = self.update
        self.update = dataclasses.replace(before, probe=update.probe, batch=update.batch, for_lab=update.for_lab)
        self.updated.emit()
        self._give_to_lab(before)

    @Slot(object)
    def _on_look_failed(self, error: Exception) -> None:
        raise error

    def _give_to_lab(self, before: Update) -> None:
        if self.update.for_lab is not None and self.update.for_lab is not before.for_lab:
            self.lab_ready.emit(self.update.for_lab)

    def _set_phase(self, phase: Phase) -> None:
        if phase != self.phase:
            self.phase = phase
            self._could_go_on = self.can_go_on
            self.phase_changed.emit()

    # ---- kept until the next start

    def to_json(self) -> str:
        """Return what is chosen, and the run that can be gone on with, as text."""
        own, begun = None, self.update.begun
        known = self._known if begun is None else begun.settings
        if self.model == OWN_MODEL:
            own = stack_file.to_json(self.stack, geometry_only=True)
        return json.dumps(
            {
                "data": self.data,
                "model": self.model,
                "stack": own,
                "settings": self.settings.as_dict(),
                "run": str(self.run_folder) if self.is_running or self.can_go_on else None,
                "run_settings": known.as_dict() if self._shows_run and known is not None else None,
            }
        )

    def restore(self, text: str) -> None:
        """Take what `to_json` returned; where it is damaged, nothing changes."""
        try:
            stored = json.loads(text)
            model, own = str(stored["model"]), stored["stack"]
            stack = PRESETS[model]() if own is None else stack_file.from_json(own)
            settings, data = TrainSettings.from_dict(stored["settings"]), str(stored["data"])
            run = None if stored["run"] is None else Path(str(stored["run"]))
            known = None if stored["run_settings"] is None else TrainSettings.from_dict(stored["run_settings"])
        except (ValueError, TypeError, KeyError, StackFileError):
            return
        self.model, self.editor, self.settings, self.data = model, _editor(stack), settings, data
        self.run_folder, self._known, self._shows_run = run, known, known is not None


def _editor(stack: Stack) -> LabState:
    """Return the stack for the functions that edit one; they need an input of its shape, whose numbers are not used."""
    values = np.broadcast_to(0.0, stack.input_shape)
    return LabState(lab.Source("custom"), values, stack)
