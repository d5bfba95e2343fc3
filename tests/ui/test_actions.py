import re
from pathlib import Path

import pytest
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QApplication, QFileDialog

from convviz.resources import resource
from convviz.ui.actions import INSPECT_ACTIONS, LAB_ACTIONS, TRAIN_ACTIONS, WINDOW_ACTIONS, ActionRecord
from convviz.ui.main_window import MainWindow

RECORDS = LAB_ACTIONS + WINDOW_ACTIONS
README = Path(__file__).parents[2] / "README.md"
NAMES_IN_README = {"←": "Left", "→": "Right", "Page Up": "PgUp", "Page Down": "PgDown", "plus": "+", "minus": "-"}


@pytest.mark.parametrize("record", [*RECORDS, *TRAIN_ACTIONS, *INSPECT_ACTIONS], ids=lambda record: record.name)
def test_every_action_says_what_it_does(record: ActionRecord) -> None:
    assert record.text
    assert record.tooltip.endswith(".")
    assert record.tooltip != record.text
    if record.icon:
        assert "currentColor" in resource(f"icons/{record.icon}.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [LAB_ACTIONS, TRAIN_ACTIONS, INSPECT_ACTIONS], ids=["lab", "train", "inspect"])
def test_names_and_keys_of_a_page_are_unique(page: tuple[ActionRecord, ...]) -> None:
    records = page + WINDOW_ACTIONS
    names = [record.name for record in records]
    keys = [QKeySequence(key).toString() for record in records for key in record.keys]
    assert all(keys)
    assert len(set(names)) == len(names)
    assert len(set(keys)) == len(keys)


def test_every_action_can_be_reached_by_key() -> None:
    assert [record.name for record in RECORDS if not record.keys] == []


def test_tooltips_name_the_key(window: MainWindow) -> None:
    for action in (*window.actions(), *window.lab.actions()):
        key = action.shortcuts()[0].toString(QKeySequence.SequenceFormat.NativeText)
        assert action.toolTip().endswith(f"({key})")


VIEWS = ("view_layer", "view_stack", "view_shift", "view_learn")


@pytest.mark.parametrize("preset", [None, "four_layers"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_action_works_in_every_view(
    window: MainWindow, threads: None, monkeypatch: pytest.MonkeyPatch, view: str, preset: str | None
) -> None:
    for dialog in ("getOpenFileName", "getSaveFileName"):
        monkeypatch.setattr(QFileDialog, dialog, lambda *_: ("", ""))
    actions = {action.objectName(): action for action in (*window.actions(), *window.lab.actions())}
    assert set(actions) == {record.name for record in RECORDS}
    if preset is not None:
        window.lab.choose_preset(preset)
    actions[view].trigger()
    for _ in range(2):
        for name, action in actions.items():
            if name not in VIEWS:
                action.trigger()
                QApplication.processEvents()
    assert actions[view].isChecked()
    window.lab.player.stop()


def test_views_lead_from_one_to_any_other(window: MainWindow) -> None:
    actions = {action.objectName(): action for action in window.lab.actions()}
    for first in VIEWS:
        for second in VIEWS:
            for name in (first, second):
                actions[name].trigger()
                QApplication.processEvents()
                assert [one for one in VIEWS if actions[one].isChecked()] == [name]


def keys_in_readme() -> set[str]:
    table = README.read_text(encoding="utf-8").split("## Keyboard", 1)[1].split("\n## ", 1)[0]
    cells = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")][2:]
    keys = set()
    for key in re.split(r" / | or ", " / ".join(cells)):
        *modifiers, last = key.strip().split("+")
        keys.add("+".join([*modifiers, NAMES_IN_README.get(last, last)]))
    return {QKeySequence(key).toString() for key in keys}


def test_the_readme_names_every_key() -> None:
    """The key "=" carries the "+" on many keyboards and is not named apart."""
    keys = {QKeySequence(key).toString() for record in RECORDS for key in record.keys if not key.endswith("=")}
    assert keys_in_readme() == keys
