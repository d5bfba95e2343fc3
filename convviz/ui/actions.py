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


LAB_ACTIONS = (
    _record(
        "play",
        QT_TRANSLATE_NOOP("Actions", "Play"),
        QT_TRANSLATE_NOOP("Actions", "Move the window by itself, or pause."),
        "Space",
        icon="play",
    ),
    _record(
        "previous",
        QT_TRANSLATE_NOOP("Actions", "Previous"),
        QT_TRANSLATE_NOOP("Actions", "Step back."),
        "Left",
        "PgUp",
        icon="previous",
    ),
    _record(
        "next",
        QT_TRANSLATE_NOOP("Actions", "Next"),
        QT_TRANSLATE_NOOP("Actions", "Step forward."),
        "Right",
        "PgDown",
        icon="next",
    ),
    _record(
        "first",
        QT_TRANSLATE_NOOP("Actions", "First"),
        QT_TRANSLATE_NOOP("Actions", "Go to the first position."),
        "Home",
        icon="first",
    ),
    _record(
        "last",
        QT_TRANSLATE_NOOP("Actions", "Last"),
        QT_TRANSLATE_NOOP("Actions", "Go to the last position."),
        "End",
        icon="last",
    ),
    _record(
        "slower",
        QT_TRANSLATE_NOOP("Actions", "Slower"),
        QT_TRANSLATE_NOOP("Actions", "Play fewer steps a second."),
        "[",
    ),
    _record(
        "faster", QT_TRANSLATE_NOOP("Actions", "Faster"), QT_TRANSLATE_NOOP("Actions", "Play more steps a second."), "]"
    ),
    _record(
        "conv",
        QT_TRANSLATE_NOOP("Actions", "Conv"),
        QT_TRANSLATE_NOOP(
            "Actions", "Convolution: multiply the window with the kernel cell by cell, add up, add the bias."
        ),
        "C",
        checkable=True,
    ),
    _record(
        "max",
        QT_TRANSLATE_NOOP("Actions", "Max"),
        QT_TRANSLATE_NOOP("Actions", "Max pooling: keep the largest number of each window."),
        "M",
        checkable=True,
    ),
    _record(
        "avg",
        QT_TRANSLATE_NOOP("Actions", "Average"),
        QT_TRANSLATE_NOOP("Actions", "Average pooling: keep the mean of each window."),
        "A",
        checkable=True,
    ),
    _record(
        "view_layer",
        QT_TRANSLATE_NOOP("Actions", "Layer"),
        QT_TRANSLATE_NOOP("Actions", "Step the current layer: input, kernel and output."),
        "L",
        checkable=True,
    ),
    _record(
        "view_stack",
        QT_TRANSLATE_NOOP("Actions", "Stack"),
        QT_TRANSLATE_NOOP("Actions", "See all layers side by side, and how far a unit sees."),
        "K",
        checkable=True,
    ),
    _record(
        "view_shift",
        QT_TRANSLATE_NOOP("Actions", "Shift"),
        QT_TRANSLATE_NOOP("Actions", "Move the input by a pixel and see which outputs change."),
        "H",
        checkable=True,
    ),
    _record(
        "view_learn",
        QT_TRANSLATE_NOOP("Actions", "Learn"),
        QT_TRANSLATE_NOOP("Actions", "Find a hidden kernel by gradient descent."),
        "E",
        checkable=True,
    ),
    _record(
        "previous_layer",
        QT_TRANSLATE_NOOP("Actions", "Previous layer"),
        QT_TRANSLATE_NOOP("Actions", "Step the layer before."),
        ",",
    ),
    _record(
        "next_layer",
        QT_TRANSLATE_NOOP("Actions", "Next layer"),
        QT_TRANSLATE_NOOP("Actions", "Step the layer behind."),
        ".",
    ),
    _record(
        "pin",
        QT_TRANSLATE_NOOP("Actions", "Pin"),
        QT_TRANSLATE_NOOP("Actions", "Keep this position explained; point at another output cell to see it beside."),
        "P",
        icon="pin",
        checkable=True,
    ),
    _record(
        "receptive_field",
        QT_TRANSLATE_NOOP("Actions", "Receptive field"),
        QT_TRANSLATE_NOOP("Actions", "Outline the input cells that feed the current output cell."),
        "R",
        icon="receptive-field",
        checkable=True,
    ),
    _record(
        "pixel_use",
        QT_TRANSLATE_NOOP("Actions", "Pixel use"),
        QT_TRANSLATE_NOOP("Actions", "Show how often each input cell is read."),
        "U",
        icon="pixel-use",
        checkable=True,
    ),
    _record(
        "show_all",
        QT_TRANSLATE_NOOP("Actions", "Show all"),
        QT_TRANSLATE_NOOP("Actions", "Show every output cell, or only those the window has reached."),
        "S",
        icon="show-all",
        checkable=True,
    ),
    _record(
        "open",
        QT_TRANSLATE_NOOP("Actions", "Open picture…"),
        QT_TRANSLATE_NOOP("Actions", "Use a PNG, JPEG, WebP or BMP file as the input, or open a .convviz stack."),
        "Ctrl+O",
        icon="open",
    ),
    _record(
        "save_stack",
        QT_TRANSLATE_NOOP("Actions", "Save stack…"),
        QT_TRANSLATE_NOOP("Actions", "Save input shape, layers and weights as a .convviz file."),
        "Ctrl+S",
        icon="save",
    ),
    _record(
        "copy",
        QT_TRANSLATE_NOOP("Actions", "Copy grid"),
        QT_TRANSLATE_NOOP("Actions", "Copy the grid as text for a spreadsheet."),
        "Ctrl+C",
        icon="copy",
    ),
    _record(
        "copy_pytorch",
        QT_TRANSLATE_NOOP("Actions", "Copy as PyTorch"),
        QT_TRANSLATE_NOOP("Actions", "Copy a PyTorch program that prints the number shown."),
        "Ctrl+Shift+C",
        icon="code",
    ),
    _record(
        "paste",
        QT_TRANSLATE_NOOP("Actions", "Paste"),
        QT_TRANSLATE_NOOP("Actions", "Paste a table of numbers or a picture."),
        "Ctrl+V",
        icon="paste",
    ),
    _record(
        "undo",
        QT_TRANSLATE_NOOP("Actions", "Undo"),
        QT_TRANSLATE_NOOP("Actions", "Take the last change back."),
        "Ctrl+Z",
        icon="undo",
    ),
    _record(
        "redo",
        QT_TRANSLATE_NOOP("Actions", "Redo"),
        QT_TRANSLATE_NOOP("Actions", "Make the change again."),
        "Ctrl+Shift+Z",
        "Ctrl+Y",
        icon="redo",
    ),
    _record(
        "zoom_in",
        QT_TRANSLATE_NOOP("Actions", "Zoom in"),
        QT_TRANSLATE_NOOP("Actions", "Make the cells larger."),
        "Alt++",
        "Alt+=",
        icon="zoom-in",
    ),
    _record(
        "zoom_out",
        QT_TRANSLATE_NOOP("Actions", "Zoom out"),
        QT_TRANSLATE_NOOP("Actions", "Make the cells smaller."),
        "Alt+-",
        icon="zoom-out",
    ),
    _record(
        "fit",
        QT_TRANSLATE_NOOP("Actions", "Fit"),
        QT_TRANSLATE_NOOP("Actions", "Show whole grids."),
        "Alt+0",
        icon="fit",
    ),
)
TRAIN_ACTIONS = (
    _record(
        "run",
        QT_TRANSLATE_NOOP("Actions", "Start"),
        QT_TRANSLATE_NOOP("Actions", "Start a training, pause it, or let it go on."),
        "Space",
        icon="play",
    ),
    _record(
        "one_batch",
        QT_TRANSLATE_NOOP("Actions", "One batch"),
        QT_TRANSLATE_NOOP("Actions", "Train with one batch of pictures, then pause."),
        "Right",
        icon="next",
    ),
    _record(
        "stop",
        QT_TRANSLATE_NOOP("Actions", "Stop"),
        QT_TRANSLATE_NOOP("Actions", "End the training; its weights are saved."),
        "Ctrl+.",
        icon="stop",
    ),
    _record(
        "go_on",
        QT_TRANSLATE_NOOP("Actions", "Go on"),
        QT_TRANSLATE_NOOP("Actions", "Go on with the training that was stopped last."),
        "Ctrl+R",
        icon="redo",
    ),
    _record(
        "open_run",
        QT_TRANSLATE_NOOP("Actions", "Open run…"),
        QT_TRANSLATE_NOOP("Actions", "Go on with a run that was saved in a folder."),
        "Ctrl+O",
        icon="open",
    ),
    _record(
        "save_now",
        QT_TRANSLATE_NOOP("Actions", "Save now"),
        QT_TRANSLATE_NOOP("Actions", "Save weights and progress; this also happens by itself."),
        "Ctrl+S",
        icon="save",
    ),
)
INSPECT_ACTIONS = (
    _record(
        "open_weights",
        QT_TRANSLATE_NOOP("Actions", "Open…"),
        QT_TRANSLATE_NOOP("Actions", "Open a file of weights."),
        "Ctrl+O",
        icon="open",
    ),
    _record(
        "paste_picture",
        QT_TRANSLATE_NOOP("Actions", "Paste"),
        QT_TRANSLATE_NOOP("Actions", "Look at the picture on the clipboard."),
        "Ctrl+V",
        icon="paste",
    ),
)
WINDOW_ACTIONS = (
    _record(
        "page_lab",
        QT_TRANSLATE_NOOP("Actions", "Lab"),
        QT_TRANSLATE_NOOP("Actions", "Step a window across a grid."),
        "1",
        checkable=True,
    ),
    _record(
        "page_train",
        QT_TRANSLATE_NOOP("Actions", "Train"),
        QT_TRANSLATE_NOOP("Actions", "Watch a network learn."),
        "2",
        checkable=True,
    ),
    _record(
        "page_inspect",
        QT_TRANSLATE_NOOP("Actions", "Inspect"),
        QT_TRANSLATE_NOOP("Actions", "Look inside a file of weights."),
        "3",
        checkable=True,
    ),
    _record(
        "controls",
        QT_TRANSLATE_NOOP("Actions", "Controls"),
        QT_TRANSLATE_NOOP("Actions", "Show or hide the controls."),
        "Ctrl+B",
        icon="controls",
        checkable=True,
    ),
    _record(
        "theme",
        QT_TRANSLATE_NOOP("Actions", "Theme"),
        QT_TRANSLATE_NOOP("Actions", "Switch between light and dark."),
        "Ctrl+T",
        icon="theme",
    ),
    _record(
        "larger",
        QT_TRANSLATE_NOOP("Actions", "Larger"),
        QT_TRANSLATE_NOOP("Actions", "Make the interface larger."),
        "Ctrl++",
        "Ctrl+=",
        icon="text-larger",
    ),
    _record(
        "smaller",
        QT_TRANSLATE_NOOP("Actions", "Smaller"),
        QT_TRANSLATE_NOOP("Actions", "Make the interface smaller."),
        "Ctrl+-",
        icon="text-smaller",
    ),
    _record(
        "normal_size",
        QT_TRANSLATE_NOOP("Actions", "Normal size"),
        QT_TRANSLATE_NOOP("Actions", "Show the interface at 100 %."),
        "Ctrl+0",
    ),
    _record(
        "full_screen",
        QT_TRANSLATE_NOOP("Actions", "Full screen"),
        QT_TRANSLATE_NOOP("Actions", "Use the whole screen, or the window."),
        "F11",
    ),
)


class Action(QAction):
    """A QAction that knows its icon's name, so that buttons can tint it."""

    def __init__(self, record: ActionRecord, parent: QWidget) -> None:
        super().__init__(QCoreApplication.translate("Actions", record.text), parent)
        self.icon_name = record.icon
        self.setObjectName(record.name)
        self.setCheckable(record.checkable)
        self.setAutoRepeat(record.name in {"next", "previous"})
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
