"""What is asked of a training while it runs: pause, one batch, another rate, more epochs, a save. Needs no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from threading import Condition

from convviz.nn.settings import TrainSettings


@dataclass(frozen=True)
class Wishes:
    """What was asked for since the training last looked.

    Attributes:
        lr: the new learning rate, None for the one there is.
        momentum: the new momentum, None for the one there is.
        epochs: the new number of epochs, None for the one there is.
        save: whether to save now.
    """

    lr: float | None = None
    momentum: float | None = None
    epochs: int | None = None
    save: bool = False


class TrainControl:
    """Wishes made by one thread and looked at by the training, in another, between two batches.

    To stop is asked for with the `StopToken`.
    """

    def __init__(self, paused: bool = False) -> None:
        self._changed = Condition()
        self._paused = paused
        self._batches = 0
        self._wishes = Wishes()

    @property
    def paused(self) -> bool:
        """Whether the training stands still, or will after the batch it is at."""
        return self._paused

    def pause(self) -> None:
        """Let the training stand still after this batch."""
        self._set(paused=True)

    def resume(self) -> None:
        """Let the training go on."""
        self._set(paused=False)

    def step(self) -> None:
        """Let the training do one batch and then stand still."""
        self._set(paused=True, batches=1)

    def set_lr(self, lr: float) -> None:
        """Change the learning rate, with a schedule its highest value; RefusalError if it is out of range."""
        TrainSettings(lr=lr)
        self._wish(lr=lr)

    def set_momentum(self, momentum: float) -> None:
        """Change the momentum; RefusalError if it is out of range."""
        TrainSettings(momentum=momentum)
        self._wish(momentum=momentum)

    def set_epochs(self, epochs: int) -> None:
        """Change the number of epochs, which becomes no less than have begun; RefusalError if it is out of range."""
        TrainSettings(epochs=epochs)
        self._wish(epochs=epochs)

    def save(self) -> None:
        """Let the training save a checkpoint now."""
        self._wish(save=True)

    def take(self) -> Wishes:
        """Return what was asked for since the last look."""
        with self._changed:
            wishes, self._wishes = self._wishes, Wishes()
            return wishes

    def may_go_on(self, timeout: float) -> bool:
        """Return whether the next batch may be done; if not, after a change or after `timeout` seconds."""
        with self._changed:
            if self._paused and not self._batches:
                self._changed.wait(timeout)
                return False
            self._batches = 0
            return True

    def _set(self, paused: bool, batches: int = 0) -> None:
        with self._changed:
            self._paused, self._batches = paused, batches
            self._changed.notify()

    def _wish(self, **wishes: float) -> None:
        with self._changed:
            self._wishes = dataclasses.replace(self._wishes, **wishes)  # type: ignore[arg-type]  # save is a bool
            self._changed.notify()
