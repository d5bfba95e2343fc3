"""Runs so small that the page trains them in a moment."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from pathlib import Path
from typing import cast

from convviz.core.control import StopToken
from convviz.nn.data import Dataset
from convviz.nn.settings import TrainSettings
from convviz.ui.train.model import TrainModel
from convviz.ui.train.session import NewRun, Session, Update
from tests.nn.train_cases import SETTINGS, tiny_dataset, tiny_stack

Job = Generator[Update, None, Update | None]


def new_run(folder: Path, settings: TrainSettings = SETTINGS) -> NewRun:
    """Three epochs of six batches."""
    return NewRun("tiny", tiny_stack(), "tiny", settings, folder, tiny_dataset())


def begun_job(session: Session, token: StopToken | None = None) -> Job:
    """The session's training, as its thread would run it."""
    return cast(Job, session.train_job()(token or StopToken()))


def ended(job: Job) -> tuple[list[Update], Update | None]:
    """All that a training yields, and what it returns."""
    updates = []
    while True:
        try:
            updates.append(next(job))
        except StopIteration as end:
            return updates, end.value


def losses(update: Update | None) -> bytes:
    """The losses of all batches, bit for bit."""
    assert update is not None
    assert update.snapshot is not None
    return update.snapshot.curve["loss"].tobytes()


def prepare(model: TrainModel, runs: Path, **changes: object) -> Dataset:
    """Let a model train the small network on the small pictures, which are there already."""
    model.runs = runs
    model.use_stack(tiny_stack())
    model.cancel_data()
    model.dataset = tiny_dataset()
    model.settings = dataclasses.replace(SETTINGS, **changes)  # type: ignore[arg-type]
    model.chosen.emit()
    return model.dataset
