"""Work beside the interface thread: the only threading code of the program."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from threading import Lock

from PySide6.QtCore import QCoreApplication, QObject, QThread, QTimer, Signal, Slot

from convviz.core.control import StopToken

Job = Callable[[StopToken], object]
"""A Qt-free function that looks at its token between steps and returns its result.

It may be a generator function: what it yields on the way is its progress, what it returns its result.
"""

UPDATE_MS = 50
"""How often the progress of a job is looked at."""


class LatestValue:
    """A mailbox between threads that holds one thing: a newer one replaces what was not taken in time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._values: list[object] = []

    def put(self, value: object) -> None:
        """Leave something to be taken."""
        with self._lock:
            self._values = [value]

    def take(self) -> list[object]:
        """Return what lies there, if anything, and leave the mailbox empty."""
        with self._lock:
            values, self._values = self._values, []
            return values


@dataclass(frozen=True)
class Outcome:
    """What a job ended with (its result, or the exception it raised) and which of its runner's jobs it was."""

    generation: int
    value: object


class JobThread(QThread):
    """Runs one job and emits its `Outcome`; on application quit it asks the job to stop and waits for it.

    The application owns the thread until it has ended, because a QThread destroyed while it runs aborts the process.
    """

    finished_with = Signal(object)
    failed = Signal(object)

    def __init__(self, job: Job, generation: int) -> None:
        application = QCoreApplication.instance()
        super().__init__(application)
        self._job = job
        self._generation = generation
        self._token = StopToken()
        self.progress = LatestValue()
        self.finished.connect(self.deleteLater)
        if application is not None:
            application.aboutToQuit.connect(self._stop_and_wait)

    def request_stop(self) -> None:
        """Ask the job to stop; it is never forced to."""
        self._token.request_stop()

    def run(self) -> None:
        """Do the job (called by Qt in the new thread)."""
        try:
            value = self._job(self._token)
            if isinstance(value, Generator):
                value = self._followed(value)
        except Exception as error:  # whatever the job raises belongs to whoever started it
            self.failed.emit(Outcome(self._generation, error))
        else:
            self.finished_with.emit(Outcome(self._generation, value))

    def _followed(self, steps: Generator[object, None, object]) -> object:
        """Run a generator to its end, its progress laid out to be taken, and return its result."""
        while True:
            try:
                self.progress.put(next(steps))
            except StopIteration as end:
                return end.value

    @Slot()
    def _stop_and_wait(self) -> None:
        self.request_stop()
        self.wait()


class JobRunner(QObject):
    """Runs one job at a time: a newer job replaces the running one, whose result is then dropped."""

    progressed = Signal(object)
    """The newest thing that the newest job has yielded, a few times a second."""
    succeeded = Signal(object)
    """The result of the newest job."""
    failed = Signal(object)
    """The exception that the newest job raised."""
    busy_changed = Signal(bool)
    """Whether there is a job whose outcome is awaited."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._generation = 0
        self._thread: JobThread | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(UPDATE_MS)
        self._timer.timeout.connect(self._look)

    @property
    def busy(self) -> bool:
        """Whether there is a job whose outcome is awaited."""
        return self._thread is not None

    def start(self, job: Job) -> None:
        """Run `job` in a thread of its own; an earlier job is asked to stop and its result dropped."""
        was_busy = self.busy
        self._abandon()
        self._thread = JobThread(job, self._generation)
        self._thread.finished_with.connect(self._succeed)
        self._thread.failed.connect(self._fail)
        self._thread.start()
        self._timer.start()
        if not was_busy:
            self.busy_changed.emit(True)

    def cancel(self) -> None:
        """Ask the running job to stop and drop its result."""
        if self.busy:
            self._abandon()
            self.busy_changed.emit(False)

    def _abandon(self) -> None:
        self._generation += 1
        if self._thread is not None:
            self._thread.request_stop()
            self._end()

    def _end(self) -> None:
        self._thread = None
        self._timer.stop()

    @Slot()
    def _look(self) -> None:
        if self._thread is not None:
            for value in self._thread.progress.take():
                self.progressed.emit(value)

    @Slot(object)
    def _succeed(self, outcome: Outcome) -> None:
        if self._accept(outcome):
            self.succeeded.emit(outcome.value)

    @Slot(object)
    def _fail(self, outcome: Outcome) -> None:
        if self._accept(outcome):
            self.failed.emit(outcome.value)

    def _accept(self, outcome: Outcome) -> bool:
        if outcome.generation != self._generation:
            return False
        self._end()
        self.busy_changed.emit(False)
        return True
