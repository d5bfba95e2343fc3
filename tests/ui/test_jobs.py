from collections.abc import Generator
from threading import Event

import pytest
from PySide6.QtCore import QCoreApplication, QThread
from pytestqt.qtbot import QtBot

from convviz.core.control import StopToken
from convviz.ui.jobs import JobRunner, JobThread, LatestValue

PATIENCE_S = 30


class Recorder:
    """Everything a runner has said, in order."""

    def __init__(self, runner: JobRunner) -> None:
        self.said: list[tuple[str, object]] = []
        runner.succeeded.connect(lambda value: self.said.append(("succeeded", value)))
        runner.failed.connect(lambda value: self.said.append(("failed", value)))
        runner.busy_changed.connect(lambda value: self.said.append(("busy", value)))


@pytest.fixture
def runner(qapp: QCoreApplication) -> JobRunner:
    return JobRunner()


def threads() -> list[JobThread]:
    application = QCoreApplication.instance()
    assert application is not None
    return application.findChildren(JobThread)


def wait_for_threads(qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: threads() == [], timeout=PATIENCE_S * 1000)


def until_stopped(token: StopToken) -> str:
    while not token.stop_requested:
        QThread.msleep(1)
    return "stopped"


def test_a_token_stays_stopped() -> None:
    token = StopToken()
    assert not token.stop_requested
    token.request_stop()
    assert token.stop_requested


def test_result_arrives_from_another_thread(qtbot: QtBot, runner: JobRunner) -> None:
    recorder = Recorder(runner)
    with qtbot.waitSignal(runner.succeeded):
        runner.start(lambda _: QThread.currentThread())
        assert runner.busy
    assert not runner.busy
    assert [kind for kind, _ in recorder.said] == ["busy", "busy", "succeeded"]
    assert recorder.said[-1][1] is not QThread.currentThread()
    wait_for_threads(qtbot)


def test_failure_arrives_as_the_exception(qtbot: QtBot, runner: JobRunner) -> None:
    recorder = Recorder(runner)
    error = ValueError("no picture")

    def fail(_: StopToken) -> None:
        raise error

    with qtbot.waitSignal(runner.failed):
        runner.start(fail)
    assert recorder.said == [("busy", True), ("busy", False), ("failed", error)]
    wait_for_threads(qtbot)


def test_newer_job_replaces_the_running_one(qtbot: QtBot, runner: JobRunner) -> None:
    recorder = Recorder(runner)
    runner.start(until_stopped)
    with qtbot.waitSignal(runner.succeeded):
        runner.start(lambda _: "newer")
    wait_for_threads(qtbot)
    assert recorder.said == [("busy", True), ("busy", False), ("succeeded", "newer")]


def test_result_finished_before_its_replacement_is_dropped(qtbot: QtBot, runner: JobRunner) -> None:
    recorder = Recorder(runner)
    runner.start(lambda _: "older")
    (thread,) = threads()
    assert thread.wait(PATIENCE_S * 1000)  # its result is on the way, not yet delivered
    with qtbot.waitSignal(runner.succeeded):
        runner.start(lambda _: "newer")
    wait_for_threads(qtbot)
    assert ("succeeded", "older") not in recorder.said


def test_cancelled_job_stops_and_says_nothing(qtbot: QtBot, runner: JobRunner) -> None:
    recorder = Recorder(runner)
    runner.cancel()
    assert recorder.said == []
    runner.start(until_stopped)
    runner.cancel()
    assert not runner.busy
    wait_for_threads(qtbot)
    assert recorder.said == [("busy", True), ("busy", False)]


def test_next_job_may_start_from_the_result_of_the_last(qtbot: QtBot, runner: JobRunner) -> None:
    results: list[object] = []

    def again(value: object) -> None:
        results.append(value)
        if len(results) < 3:
            runner.start(lambda _: len(results))

    runner.succeeded.connect(again)
    runner.start(lambda _: 0)
    qtbot.waitUntil(lambda: len(results) == 3, timeout=PATIENCE_S * 1000)
    assert results == [0, 1, 2]
    wait_for_threads(qtbot)


def test_a_job_outlives_its_runner(qtbot: QtBot) -> None:
    release = Event()
    runner = JobRunner()
    runner.start(lambda _: release.wait(PATIENCE_S))
    del runner
    assert len(threads()) == 1
    release.set()
    wait_for_threads(qtbot)


def test_quitting_stops_the_job_and_waits_for_it(qtbot: QtBot, runner: JobRunner) -> None:
    runner.start(until_stopped)
    (thread,) = threads()
    application = QCoreApplication.instance()
    assert application is not None
    application.aboutToQuit.emit()
    assert thread.isFinished()
    wait_for_threads(qtbot)


def test_the_latest_value_replaces_what_was_not_taken() -> None:
    mailbox = LatestValue()
    assert mailbox.take() == []
    mailbox.put(1)
    mailbox.put(None)
    assert mailbox.take() == [None]
    assert mailbox.take() == []


def test_what_a_generator_yields_is_progress_and_what_it_returns_the_result(qtbot: QtBot, runner: JobRunner) -> None:
    seen = Event()

    def job(_: StopToken) -> Generator[str, None, str]:
        yield "half"
        assert seen.wait(PATIENCE_S)
        return "whole"

    said: list[object] = []
    runner.progressed.connect(said.append)
    runner.progressed.connect(lambda _: seen.set())
    runner.succeeded.connect(said.append)
    with qtbot.waitSignal(runner.succeeded, timeout=PATIENCE_S * 1000):
        runner.start(job)
    assert said == ["half", "whole"]
    wait_for_threads(qtbot)
