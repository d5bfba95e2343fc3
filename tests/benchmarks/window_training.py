"""A training on the Train page, all of it live in an open window, and how smooth the window stays meanwhile."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from PySide6.QtCore import QEventLoop, Qt, QThread, QTimer

from convviz.ui.train.page import TrainPage
from convviz.ui.widgets.curves import CurvePlot
from tests.benchmarks.bench_lab import opened_window, the_application
from tests.benchmarks.report import Result
from tests.ui.paints import PaintCounter

TIMER_MS = 16
UNCOUNTED = 10
"""Batches after which the window updates as steadily as it does later on."""


class WindowTraining:
    """A training on a page, which stands still between two rounds."""

    def __init__(self, page: TrainPage, data: str, model: str, batch_size: int) -> None:
        """Choose what is trained, do the first batch and stand still."""
        self._page = page
        self._model = page.model
        self._loop = QEventLoop()
        self._reached: Callable[[], bool] = bool
        self._failures: list[object] = []
        for failed in (self._model.failed, self._model.data_failed):
            failed.connect(self._failures.append)
        for changed in (
            *(self._model.chosen, self._model.updated, self._model.phase_changed),
            *(self._model.failed, self._model.data_failed),
        ):
            changed.connect(self._on_change)
        self._model.choose_preset(model)
        self._model.set_setting("batch_size", batch_size)
        self._model.choose_data(data)
        self._wait_until(lambda: self._model.dataset is not None)
        page.actions_by_name["one_batch"].trigger()
        self._wait_until(lambda: self._model.phase == "paused")

    def do(self, num_batches: int) -> Result:
        """Do some batches that do not count, then at least so many that do.

        Returns how many were done, the seconds they took, how many seconds too late a timer in the window's thread came
        each time, how often a plot was painted and how often the network was looked at.
        """
        self._model.resume()
        self._wait_for(UNCOUNTED)
        with _Watch(self._page) as watch:
            done = self._wait_for(num_batches)
        self._model.pause()
        self._wait_until(lambda: self._model.phase == "paused")
        return {"batches": done} | watch.seen

    def _wait_for(self, num_batches: int) -> int:
        """Wait until so many more batches are seen; return how many there were."""
        before = self._step
        self._wait_until(lambda: self._step >= before + num_batches)
        return self._step - before

    def end(self) -> None:
        """Stop the training."""
        self._model.stop()
        self._wait_until(lambda: not self._model.is_running)

    @property
    def _step(self) -> int:
        snapshot = self._model.update.snapshot
        return 0 if snapshot is None else snapshot.progress.step

    def _wait_until(self, reached: Callable[[], bool]) -> None:
        self._reached = reached
        if not self._is_over():
            self._loop.exec()
        if not reached():
            raise RuntimeError(f"the training has ended: {self._failures or self._model.phase}")

    def _on_change(self) -> None:
        if self._is_over():
            self._loop.quit()

    def _is_over(self) -> bool:
        """Whether what is waited for has come, or never will."""
        return self._reached() or bool(self._failures) or self._model.phase in {"finished", "stopped"}


class _Watch:
    """Sees what a page does from its beginning to its end."""

    def __init__(self, page: TrainPage) -> None:
        self.seen: Result = {}
        self._model = page.model
        self._painted = PaintCounter(page.plots.findChildren(CurvePlot)[0])
        self._probes: list[object] = []
        self._ticks: list[float] = []
        self._timer = QTimer(page)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(lambda: self._ticks.append(time.perf_counter()))

    def __enter__(self) -> _Watch:
        self._model.updated.connect(self._on_update)
        self._ticks.append(time.perf_counter())
        self._timer.start(TIMER_MS)
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.perf_counter() - self._ticks[0]
        self._timer.stop()
        self._model.updated.disconnect(self._on_update)
        self.seen = {
            "seconds": seconds,
            "late": [later - earlier - TIMER_MS / 1000 for earlier, later in pairwise(self._ticks)],
            "painted": self._painted.count,
            "looked": len(self._probes),
        }

    def _on_update(self) -> None:
        probe = self._model.update.probe
        if not self._probes or probe is not self._probes[-1]:
            self._probes.append(probe)


@contextmanager
def window_training(data: str, model: str, batch_size: int, folder: Path) -> Iterator[WindowTraining]:
    """Open the application's window on the Train page and begin a training there, which is written into a folder."""
    with opened_window() as window:
        window.train.model.runs = folder / "runs"
        window.show_page(window.train)
        window.show()
        gc.freeze()  # as the application does
        try:
            training = WindowTraining(window.train, data, model, batch_size)
            yield training
            training.end()
        finally:
            window.train.model.stop()
            window.train.model.cancel()
            for thread in the_application().findChildren(QThread):
                thread.wait()
