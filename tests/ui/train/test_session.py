from __future__ import annotations

import dataclasses
import shutil
import threading
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout

from convviz.core.control import StopToken
from convviz.core.refusal import RefusalError
from convviz.nn import data as nn_data
from convviz.nn.data import Dataset
from convviz.nn.probe import Probe
from convviz.nn.run_folder import LOCK_FILE, RunFolder
from convviz.nn.source import DataProgress
from convviz.nn.train import DivergedError
from convviz.ui.train import session as train_session
from convviz.ui.train.session import Session, Update, View, data_job
from tests.nn.steps import followed
from tests.nn.train_cases import SETTINGS, tiny_dataset, tiny_stack
from tests.ui.train.run_cases import begun_job, ended, losses, new_run


@pytest.fixture
def loads_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures come from the tests, with progress."""

    def load(*_: object, token: StopToken) -> Generator[DataProgress, None, Dataset]:
        yield DataProgress(1, 2, "Drawing pictures")
        return tiny_dataset()

    monkeypatch.setattr(nn_data, "load_dataset", load)


@pytest.fixture
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_session, "LOOK_SECONDS", 0.0)


def test_a_run_is_followed_from_its_pictures_to_its_end(tmp_path: Path, loads_tiny: None) -> None:
    session = Session(dataclasses.replace(new_run(tmp_path / "run"), dataset=None))
    updates, last = ended(begun_job(session))
    assert updates[0].data == DataProgress(1, 2, "Drawing pictures")
    first = next(update for update in updates if update.begun is not None)
    assert first.begun is not None
    assert first.begun.dataset.name == "Tiny"
    assert all(update.begun is first.begun for update in updates[updates.index(first) :])
    assert last is not None
    assert last.snapshot is not None
    assert last.snapshot.phase == "finished"
    assert RunFolder.open(tmp_path / "run").load().progress.step == 18


def test_a_session_that_is_stopped_before_it_has_a_network_returns_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    session = Session(dataclasses.replace(new_run(tmp_path / "run"), data="shapes10", dataset=None))
    job = begun_job(session)
    next(job)
    session.stop()
    assert ended(job)[1] is None
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("by_runner", [False, True])
def test_a_stopped_run_goes_on_to_the_same_curve(tmp_path: Path, by_runner: bool) -> None:
    """Both the page and the runner's thread, which asks at the application's end, can stop it."""
    _, whole = ended(begun_job(Session(new_run(tmp_path / "whole"))))
    session, token = Session(new_run(tmp_path / "run")), StopToken()
    job = begun_job(session, token)
    for _ in range(8):
        next(job)
    (token.request_stop if by_runner else session.stop)()
    _, stopped = ended(job)
    assert stopped is not None
    assert stopped.snapshot is not None
    assert stopped.snapshot.phase == "stopped"
    assert RunFolder.open(tmp_path / "run").load().progress.step == stopped.snapshot.progress.step
    _, last = ended(begun_job(session))
    assert losses(last) == losses(whole)


def test_a_run_goes_on_from_its_folder(tmp_path: Path, loads_tiny: None) -> None:
    _, whole = ended(begun_job(Session(new_run(tmp_path / "whole"))))
    session = Session(new_run(tmp_path / "run"))
    job = begun_job(session)
    for _ in range(8):
        next(job)
    session.stop()
    ended(job)
    again = Session(tmp_path / "run")
    _, last = ended(begun_job(again))
    assert losses(last) == losses(whole)
    assert last is not None
    assert last.begun is not None
    assert (last.begun.model, last.begun.settings) == ("tiny", SETTINGS)


def test_the_network_is_looked_at_only_if_that_is_wanted(tmp_path: Path, looks_at_once: None) -> None:
    curves = []
    for view in (None, View(3, 2, batch=True)):
        session = Session(new_run(tmp_path / f"{view is None}"))
        session.view = view
        updates, last = ended(begun_job(session))
        probes = {id(update.probe): update.probe for update in updates if update.probe is not None}
        assert len(probes) == (0 if view is None else 18)
        curves.append(losses(last))
    assert curves[0] == curves[1]
    probe = next(iter(probes.values()))
    assert isinstance(probe, Probe)
    assert (probe.sample_index, probe.layer_index) == (3, 2)


def test_it_is_known_how_it_is_trained_now(tmp_path: Path) -> None:
    session = Session(new_run(tmp_path / "run"))
    job = begun_job(session)
    for _ in range(3):
        update = next(job)
    first = update.begun
    assert first is not None
    assert first.settings == SETTINGS
    session.control.set_lr(0.01)
    session.control.set_epochs(2)
    updates, last = ended(job)
    assert last is not None
    assert last.begun is updates[0].begun
    assert last.begun is not None
    assert last.begun.settings == dataclasses.replace(SETTINGS, lr=0.01, epochs=2)
    assert last.begun.dataset is first.dataset
    assert last.snapshot is not None
    assert last.snapshot.progress.step == 12


def test_looks_are_apart_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_session, "LOOK_SECONDS", 1e9)
    session = Session(new_run(tmp_path / "run"))
    session.view = View()
    updates, last = ended(begun_job(session))
    assert len({id(update.probe) for update in updates}) == 1
    assert last is not None
    assert last.probe is not updates[-1].probe  # the last state is always seen


def test_another_view_is_looked_at_while_the_training_stands_still(tmp_path: Path, looks_at_once: None) -> None:
    session = Session(new_run(tmp_path / "run"))
    session.view = View(0, 0)
    session.control.step()
    job = begun_job(session)
    assert next(job).begun is not None
    first = next(job)
    assert first.probe is not None
    assert next(job).probe is first.probe  # nothing new to see
    session.view = View(5, 4)
    update = next(job)
    assert update.probe is not None
    assert (update.probe.sample_index, update.probe.layer_index) == (5, 4)
    session.stop()
    ended(job)


def test_the_batch_is_the_one_that_was_trained_with(tmp_path: Path, looks_at_once: None) -> None:
    session = Session(new_run(tmp_path / "run", dataclasses.replace(SETTINGS, epochs=1)))
    session.view = View(batch=True)
    updates, _ = ended(begun_job(session))
    seen = [update.batch for update in updates if update.snapshot is not None and update.snapshot.phase == "training"]
    batches = {id(batch): batch for batch in seen if batch is not None}.values()
    images = np.concatenate([batch.images for batch in batches])
    train = tiny_dataset().train
    assert sorted(image.tobytes() for image in images) == sorted(image.tobytes() for image in train.images)
    assert sorted(np.concatenate([batch.labels for batch in batches])) == sorted(train.labels)


def test_a_network_can_be_looked_at_after_its_training(tmp_path: Path) -> None:
    session = Session(new_run(tmp_path / "run"))
    _, last = ended(begun_job(session))
    session.view = View(7, 1)
    update = session.look_job()(StopToken())
    assert isinstance(update, Update)
    assert update.probe is not None
    assert (update.probe.sample_index, update.probe.layer_index) == (7, 1)
    assert last is not None
    assert last.probe is None


def test_a_look_waits_until_the_training_has_ended(tmp_path: Path) -> None:
    session = Session(new_run(tmp_path / "run"))
    job = begun_job(session)
    next(job)
    session.view = View()
    looks: list[object] = []
    thread = threading.Thread(target=lambda: looks.append(session.look_job()(StopToken())))
    thread.start()
    assert looks == []
    ended(job)
    thread.join()
    assert len(looks) == 1


def test_after_the_loss_ran_away_it_goes_on_with_a_smaller_rate(tmp_path: Path) -> None:
    wild = dataclasses.replace(SETTINGS, lr=1000, schedule="constant", epochs=20)
    session = Session(new_run(tmp_path / "run", wild))
    session.view = View()
    with pytest.raises(DivergedError):
        ended(begun_job(session))
    assert session.diverged is not None
    assert session.newest.probe is not None
    assert session._trainer is not None
    for index, kernels in session.newest.probe.kernels:  # of what is kept
        assert np.array_equal(kernels, session._trainer.module.state_dict()[f"{index}.weight"].numpy())
    session.control.set_lr(0.01)
    _, last = ended(begun_job(session))
    assert session.diverged is None
    assert last is not None
    assert last.snapshot is not None
    assert last.snapshot.phase == "finished"
    assert last.snapshot.progress.lr == 0.01


def test_a_folder_that_vanishes_is_made_anew(tmp_path: Path) -> None:
    session = Session(new_run(tmp_path / "run"))
    job = begun_job(session)
    for _ in range(4):
        next(job)
    shutil.rmtree(tmp_path / "run")
    session.control.save()
    with pytest.raises(RefusalError, match="folder"):
        ended(job)
    _, last = ended(begun_job(session))
    assert last is not None
    assert RunFolder.open(tmp_path / "run").load().progress.step == 18
    assert len(RunFolder.open(tmp_path / "run").metrics().batches) == 18


def test_too_little_memory_for_a_look_is_said_and_the_run_goes_on(
    tmp_path: Path, looks_at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    _, whole = ended(begun_job(Session(new_run(tmp_path / "whole"))))
    session = Session(new_run(tmp_path / "run"))
    session.view = View()
    with monkeypatch.context() as patch:
        patch.setattr("convviz.nn.probe.probe", fail)
        with pytest.raises(RefusalError, match="memory does not suffice"):
            ended(begun_job(session))
    _, last = ended(begun_job(session))
    assert losses(last) == losses(whole)


def test_a_run_is_open_to_others_once_its_session_is_gone(tmp_path: Path) -> None:
    session = Session(new_run(tmp_path / "run"))
    ended(begun_job(session))
    lock = FileLock(tmp_path / "run" / LOCK_FILE)  # another one than the session's, as another process has
    with pytest.raises(Timeout):
        lock.acquire(blocking=False)
    del session
    lock.acquire(blocking=False)
    lock.release()


def test_data_can_be_prepared_or_stopped(loads_tiny: None, tmp_path: Path) -> None:
    steps = data_job("tiny", tiny_stack())(StopToken())
    assert isinstance(steps, Generator)
    dataset, progress = followed(steps)
    assert isinstance(dataset, Dataset)
    assert progress == [DataProgress(1, 2, "Drawing pictures")]


def test_preparing_data_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    token = StopToken()
    steps = data_job("shapes10", tiny_stack())(token)
    assert isinstance(steps, Generator)
    next(steps)
    token.request_stop()
    assert followed(steps)[0] is None
