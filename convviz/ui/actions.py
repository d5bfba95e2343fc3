"""Every action of the application as a record: its words, its keys, its icon. The window makes QActions of them."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget


@dataclass(frozen=True)
class ActionRecord:
    """One action: what it is called, what it does in one sentence, its keys and whether it stays on."""

    name: str
    text: str
    tooltip: str
    keys: tuple[str, ...] = ()
    icon: str = ""
    checkable: bool = False


def _record(
    name: str, text: object, tooltip: object, *keys: str, icon: str = "", checkable: bool = False
) -> ActionRecord:
    return ActionRecord(name, str(text), str(tooltip), keys, icon, checkable)


_N = QT_TRANSLATE_NOOP
LAB_ACTIONS = (
    _record("play", _N("Actions", "Play"), _N("Actions", "Move the window by itself, or pause."), "Space", icon="play"),
    _record("previous", _N("Actions", "Previous"), _N("Actions", "Step back."), "Left", "PgUp", icon="previous"),
    _record("next", _N("Actions", "Next"), _N("Actions", "Step forward."), "Right", "PgDown", icon="next"),
    _record("first", _N("Actions", "First"), _N("Actions", "Go to the first position."), "Home", icon="first"),
    _record("last", _N("Actions", "Last"), _N("Actions", "Go to the last position."), "End", icon="last"),
    _record("slower", _N("Actions", "Slower"), _N("Actions", "Play fewer steps a second."), "["),
    _record("faster", _N("Actions", "Faster"), _N("Actions", "Play more steps a second."), "]"),
    _record(
        "conv",
        _N("Actions", "Conv"),
        _N("Actions", "Convolution: multiply the window with the kernel cell by cell, add up, add the bias."),
        "C",
        checkable=True,
    ),
    _record(
        "max",
        _N("Actions", "Max"),
        _N("Actions", "Max pooling: keep the largest number of each window."),
        "M",
        checkable=True,
    ),
    _record(
        "avg",
        _N("Actions", "Average"),
        _N("Actions", "Average pooling: keep the mean of each window."),
        "A",
        checkable=True,
    ),
    _record(
        "pin",
        _N("Actions", "Pin"),
        _N("Actions", "Keep this position explained; point at another output cell to see it beside."),
        "P",
        icon="pin",
        checkable=True,
    ),
    _record(
        "receptive_field",
        _N("Actions", "Receptive field"),
        _N("Actions", "Outline the input cells that feed the current output cell."),
        "R",
        icon="receptive-field",
        checkable=True,
    ),
    _record(
        "show_all",
        _N("Actions", "Show all"),
        _N("Actions", "Show every output cell, or only those the window has reached."),
        "S",
        icon="show-all",
        checkable=True,
    ),
    _record(
        "open",
        _N("Actions", "Open picture…"),
        _N("Actions", "Use a PNG, JPEG, WebP or BMP file as the input."),
        "Ctrl+O",
        icon="open",
    ),
    _record(
        "copy",
        _N("Actions", "Copy grid"),
        _N("Actions", "Copy the grid as text for a spreadsheet."),
        "Ctrl+C",
        icon="copy",
    ),
    _record(
        "paste", _N("Actions", "Paste"), _N("Actions", "Paste a table of numbers or a picture."), "Ctrl+V", icon="paste"
    ),
    _record("undo", _N("Actions", "Undo"), _N("Actions", "Take the last change back."), "Ctrl+Z", icon="undo"),
    _record(
        "redo", _N("Actions", "Redo"), _N("Actions", "Make the change again."), "Ctrl+Shift+Z", "Ctrl+Y", icon="redo"
    ),
    _record(
        "zoom_in", _N("Actions", "Zoom in"), _N("Actions", "Make the cells larger."), "Alt++", "Alt+=", icon="zoom-in"
    ),
    _record("zoom_out", _N("Actions", "Zoom out"), _N("Actions", "Make the cells smaller."), "Alt+-", icon="zoom-out"),
    _record("fit", _N("Actions", "Fit"), _N("Actions", "Show whole grids."), "Alt+0", icon="fit"),
)
WINDOW_ACTIONS = (
    _record("page_lab", _N("Actions", "Lab"), _N("Actions", "Step a window across a grid."), "1", checkable=True),
    _record(
        "controls",
        _N("Actions", "Controls"),
        _N("Actions", "Show or hide the controls."),
        "Ctrl+B",
        icon="controls",
        checkable=True,
    ),
    _record("theme", _N("Actions", "Theme"), _N("Actions", "Switch between light and dark."), "Ctrl+T", icon="theme"),
    _record(
        "larger",
        _N("Actions", "Larger"),
        _N("Actions", "Make the interface larger."),
        "Ctrl++",
        "Ctrl+=",
        icon="text-larger",
    ),
    _record(
        "smaller", _N("Actions", "Smaller"), _N("Actions", "Make the interface smaller."), "Ctrl+-", icon="text-smaller"
    ),
    _record("normal_size", _N("Actions", "Normal size"), _N("Actions", "Show the interface at 100 %."), "Ctrl+0"),
    _record("full_screen", _N("Actions", "Full screen"), _N("Actions", "Use the whole screen, or the window."), "F11"),
)


class Action(QAction):
    """A QAction that knows its icon's name, so that buttons can tint it."""

    def __init__(self, record: ActionRecord, parent: QWidget) -> None:
        super().__init__(QCoreApplication.translate("Actions", record.text), parent)
        self.icon_name = record.icon
        self.setObjectName(record.name)
        self.setCheckable(record.checkable)
        self.setShortcuts([QKeySequence(key) for key in record.keys])
        tooltip = QCoreApplication.translate("Actions", record.tooltip)
        if record.keys:
            tooltip += f" ({QKeySequence(record.keys[0]).toString(QKeySequence.SequenceFormat.NativeText)})"
        self.setToolTip(tooltip)


def make_actions(records: tuple[ActionRecord, ...], parent: QWidget) -> dict[str, Action]:
    """Make an action of every record, working while ``parent`` is in the active window."""
    actions = {record.name: Action(record, parent) for record in records}
    parent.addActions(list(actions.values()))
    return actions
