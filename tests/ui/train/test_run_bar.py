from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from convviz.nn.train import TrainSnapshot
from convviz.ui import theme
from convviz.ui.actions import TRAIN_ACTIONS, Action, make_actions
from convviz.ui.train.model import Phase
from convviz.ui.train.run_bar import RunBar, clock
from convviz.ui.train.session import Session
from convviz.ui.widgets.buttons import FlatButton
from convviz.ui.widgets.live_text import LiveText
from tests.ui.train.run_cases import begun_job, ended, new_run

PHASES: tuple[Phase, ...] = (
    "idle",
    "loading",
    "training",
    "evaluating",
    "paused",
    "finished",
    "stopped",
    "failed",
)


@pytest.fixture
def owner(qtbot: QtBot, light: QApplication) -> QWidget:
    owner = QWidget()
    qtbot.addWidget(owner)
    return owner


@pytest.fixture
def bar(owner: QWidget) -> RunBar:
    bar = RunBar(make_actions(TRAIN_ACTIONS, owner), owner)
    bar.resize(1600, 60)
    return bar


@pytest.fixture
def snapshot(tmp_path: Path) -> TrainSnapshot:
    _, last = ended(begun_job(Session(new_run(tmp_path / "run"))))
    assert last is not None
    assert last.snapshot is not None
    return last.snapshot


def test_durations_are_read_as_on_a_clock() -> None:
    assert [clock(seconds) for seconds in (0, 7.4, 59.6, 125, 3600, 3723)] == [
        "0:00",
        "0:07",
        "1:00",
        "2:05",
        "1:00:00",
        "1:02:03",
    ]


@pytest.mark.parametrize("phase", PHASES)
def test_what_can_be_done_follows_the_phase(owner: QWidget, phase: Phase) -> None:
    actions = make_actions(TRAIN_ACTIONS, owner)
    bar = RunBar(actions, owner)
    bar.show_phase(phase, can_go_on=phase == "stopped", saves=True)
    enabled = {name for name, action in actions.items() if action.isEnabled()}
    assert (
        enabled
        == {
            "idle": {"run", "one_batch", "open_run"},
            "loading": {"stop", "save_now"},
            "training": {"run", "one_batch", "stop", "save_now"},
            "evaluating": {"run", "one_batch", "stop", "save_now"},
            "paused": {"run", "one_batch", "stop", "save_now"},
            "finished": {"run", "one_batch", "open_run"},
            "stopped": {"run", "one_batch", "go_on", "open_run"},
            "failed": {"run", "one_batch", "open_run"},
        }[phase]
    )
    words = {"training": "Pause", "evaluating": "Pause", "loading": "Pause", "paused": "Resume"}
    assert actions["run"].text() == words.get(phase, "Start")


def later(snapshot: TrainSnapshot, seconds: float = 75.0) -> TrainSnapshot:
    """Return a snapshot after so many seconds of training."""
    return dataclasses.replace(snapshot, progress=dataclasses.replace(snapshot.progress, seconds=seconds))


def texts(bar: RunBar) -> str:
    return " · ".join(text.text for text in bar.findChildren(LiveText))


def test_progress_is_said_in_words(bar: RunBar, snapshot: TrainSnapshot) -> None:
    running = dataclasses.replace(
        snapshot, phase="training", images_per_second=7_943.0, seconds_left=72.0, saved_at=None
    )
    bar.show_phase("training", can_go_on=False, saves=True)
    bar.show_snapshot(running, 3)
    assert texts(bar) == "epoch 3 / 3 · 7\u202f940 images/s · 1:12 left"
    bar.show_snapshot(dataclasses.replace(later(running), seconds_left=float("nan"), images_per_second=0.0), 3)
    assert texts(bar) == "epoch 3 / 3 · 0 images/s"
    bar.show_snapshot(later(snapshot), 3)
    bar.show_phase("failed", can_go_on=True, saves=True)  # of which no snapshot tells
    assert texts(bar) == "epoch 3 / 3 · 1:15 trained · saved"


def test_numbers_stand_until_they_are_read(bar: RunBar, snapshot: TrainSnapshot) -> None:
    bar.show_phase("training", can_go_on=False, saves=True)
    bar.show_snapshot(dataclasses.replace(later(snapshot), images_per_second=7_940.0), 3)
    said = texts(bar)
    assert "7\u202f940 images/s" in said
    faster = dataclasses.replace(snapshot, images_per_second=8_120.0)
    bar.show_snapshot(later(faster, 75.4), 3)
    assert texts(bar) == said
    bar.show_snapshot(later(faster, 75.5), 3)
    assert "8\u202f120 images/s" in texts(bar)


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.4, "saved 3 s ago"), (-1.0, "saved 0 s ago"), (130, "saved 2 min ago")]
)
def test_the_last_save_is_said(
    bar: RunBar, snapshot: TrainSnapshot, monkeypatch: pytest.MonkeyPatch, seconds: float, words: str
) -> None:
    monkeypatch.setattr("convviz.ui.train.run_bar.time.time", lambda: 1000.0 + seconds)
    bar.show_phase("training", can_go_on=False, saves=True)
    bar.show_snapshot(dataclasses.replace(snapshot, saved_at=1000.0), 3)
    assert texts(bar).endswith(words)


@pytest.mark.parametrize("scale", [0.75, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("units", [50, 70, 90, 110, 130, 160, 200])
def test_nothing_is_cut_at_any_width(
    owner: QWidget, bar: RunBar, light: QApplication, snapshot: TrainSnapshot, units: int, scale: float
) -> None:
    theme.apply(light, "light", scale)
    bar.show_phase("training", can_go_on=True, saves=True)
    bar.show_snapshot(dataclasses.replace(snapshot, seconds_left=100.0), 3)
    bar.resize(round(units * theme.unit()), bar.sizeHint().height())
    owner.show()
    for _ in range(4):
        QApplication.processEvents()
    bar.resize(bar.width(), bar.sizeHint().height())
    QApplication.processEvents()
    parts = [part for part in (*bar.findChildren(FlatButton), *bar.findChildren(LiveText)) if part.isVisible()]
    assert len(parts) == 7
    boxes = [part.geometry() for part in parts]
    assert all(bar.rect().contains(box) for box in boxes)
    assert not any(one.intersects(other) for one in boxes for other in boxes if one is not other)


def test_actions_have_words_and_keys_of_their_own(owner: QWidget) -> None:
    actions: dict[str, Action] = make_actions(TRAIN_ACTIONS, owner)
    keys = [action.shortcut().toString() for action in actions.values()]
    assert all(keys)
    assert len(set(keys)) == len(keys)
    assert all(record.tooltip.endswith(".") for record in TRAIN_ACTIONS)
