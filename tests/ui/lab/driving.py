"""What hands and eyes do in the Lab."""

from typing import TypeAlias

import numpy as np
from PySide6.QtCore import QPoint, Qt, QThread
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QWidget
from pytestqt.qtbot import QtBot

from convviz.core import stack_file
from convviz.core.elementwise import ReLU
from convviz.core.kernels import make_kernel
from convviz.core.layers import Conv2d
from convviz.core.stack import Stack
from convviz.ui.lab import state as lab
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.snapshot import Cell, Step
from convviz.ui.lab.state import Array
from convviz.ui.widgets.buttons import FlatButton
from convviz.ui.widgets.mosaic import Mosaic
from convviz.ui.widgets.number_grid import NumberGrid

Key: TypeAlias = Qt.Key
Modifier: TypeAlias = Qt.KeyboardModifier
LEFT = Qt.MouseButton.LeftButton
CTRL, SHIFT, ALT = Modifier.ControlModifier, Modifier.ShiftModifier, Modifier.AltModifier


def press(qtbot: QtBot, key: Key, modifiers: Modifier = Modifier.NoModifier) -> None:
    qtbot.keyClick(QApplication.focusWidget(), key, modifiers)


def at(grid: NumberGrid, cell: Cell) -> QPoint:
    return grid.geometry_of_cells.cell_rect(*cell).center().toPoint()


def click(qtbot: QtBot, grid: NumberGrid, cell: Cell) -> None:
    qtbot.mouseClick(grid, LEFT, pos=at(grid, cell))


def click_map(qtbot: QtBot, maps: Mosaic, index: int) -> None:
    qtbot.mouseClick(maps.viewport(), LEFT, pos=maps.map_rect(index).center().toPoint())


def button(widget: QWidget, text: str) -> FlatButton:
    (found,) = (one for one in widget.findChildren(FlatButton) if one.text() == text)
    return found


def choose_from_menu(qtbot: QtBot, opener: FlatButton, text: str) -> None:
    """Open a button's menu with the mouse and choose an entry with the keyboard."""
    qtbot.mouseClick(opener, LEFT)
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    (entry,) = (action for action in menu.actions() if action.text() == text)
    menu.setActiveAction(entry)
    qtbot.keyClick(menu, Key.Key_Return)


def texts(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


def wait_for_threads(qtbot: QtBot) -> None:
    application = QApplication.instance()
    assert application is not None
    qtbot.waitUntil(lambda: not any(one.isRunning() for one in application.findChildren(QThread)), timeout=60_000)


# ---- states

TWO_LAYERS = Stack((1, 3, 3), [Conv2d(1, 1, 2, weight=[[[[1, -1], [2, 0]]]], bias=[1.0]), ReLU()])


def text_of(model: LabModel) -> str:
    """The stack as its file has it."""
    return stack_file.to_json(model.state.stack)


def open_stack(model: LabModel, stack: Stack) -> None:
    model.change(lab.with_stack(model.state, stack), "Open")


def use_conv(model: LabModel, conv: Conv2d, size: Cell = (6, 6)) -> None:
    """Let the model have a convolution as its only layer, over random numbers."""
    stack = Stack((conv.in_channels, *size), [conv])
    values = np.random.default_rng(0).integers(-3, 4, stack.input_shape).astype(np.float64)
    model.change(lab.LabState(lab.Source("custom"), values, stack), "Open")


def random_conv(in_channels: int, out_channels: int, groups: int = 1) -> Conv2d:
    weight = np.random.default_rng(1).integers(-2, 3, (out_channels, in_channels // groups, 3, 3)).astype(np.float64)
    return Conv2d(in_channels, out_channels, 3, groups=groups, weight=weight, bias=np.arange(float(out_channels)))


def sobel(channels: int = 1) -> Conv2d:
    weight = np.broadcast_to(make_kernel("sobel_x", (3, 3)), (1, channels, 3, 3))
    return Conv2d(channels, 1, 3, weight=weight, bias=[0.0])


MISFIT = Stack((1, 7, 7), [sobel(), Conv2d(1, 1, 9), ReLU()])


def step_of(model: LabModel) -> Step:
    assert model.step is not None
    return model.step


def kernel_of(model: LabModel) -> Array:
    """The kernel's slice that is shown, (kh, kw)."""
    kernel: Array = lab.conv_of(model.state).weight[model.out_channel, model.slice].astype(np.float64)
    return kernel
