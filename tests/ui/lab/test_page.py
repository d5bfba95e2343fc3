import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QThread, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication, QImage
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QSpinBox
from pytestqt.qtbot import QtBot

from convviz.core.numbers import format_table
from convviz.ui.lab import state as lab
from convviz.ui.lab.model import Cell, LabModel
from convviz.ui.lab.page import FIRST_PICTURE_SIDE, LabPage
from convviz.ui.main_window import MainWindow
from convviz.ui.widgets.buttons import FlatButton
from convviz.ui.widgets.fields import FlatSlider
from convviz.ui.widgets.number_grid import NumberGrid

Key: TypeAlias = Qt.Key
Modifier: TypeAlias = Qt.KeyboardModifier
LEFT = Qt.MouseButton.LeftButton
CTRL, SHIFT = Modifier.ControlModifier, Modifier.ShiftModifier


@pytest.fixture
def page(window: MainWindow) -> LabPage:
    return window.lab


@pytest.fixture
def model(page: LabPage) -> LabModel:
    return page.model


def press(qtbot: QtBot, key: Key, modifiers: Modifier = Modifier.NoModifier) -> None:
    qtbot.keyClick(QApplication.focusWidget(), key, modifiers)


def at(grid: NumberGrid, cell: Cell) -> QPoint:
    return grid.geometry_of_cells.cell_rect(*cell).center().toPoint()


def click(qtbot: QtBot, grid: NumberGrid, cell: Cell) -> None:
    qtbot.mouseClick(grid, LEFT, pos=at(grid, cell))


def texts(page: LabPage) -> str:
    return "\n".join(label.text() for label in page.findChildren(QLabel))


def paste(qtbot: QtBot, text: str) -> None:
    QGuiApplication.clipboard().setText(text)
    press(qtbot, Key.Key_V, CTRL)


# ---- operations


@pytest.mark.parametrize(("key", "operation"), [(Key.Key_M, "max"), (Key.Key_A, "avg")])
def test_an_operation_is_one_key_and_keeps_what_is_legal(
    qtbot: QtBot, page: LabPage, model: LabModel, key: Key, operation: str
) -> None:
    before = model.state
    press(qtbot, key)
    after = model.state
    assert after.operation == operation
    assert (after.kernel_size, after.stride, after.padding) == (before.kernel_size, before.stride, before.padding)
    assert after.input is before.input
    assert page.strip.describe().startswith({"max": "Maximum", "avg": "Average"}[operation])
    press(qtbot, Key.Key_C)
    assert model.state.operation == "conv"
    assert model.state.weight is before.weight
    assert page.strip.describe().startswith("Dot product")


def test_the_same_operation_again_is_no_step(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    press(qtbot, Key.Key_C)
    assert not model.undo_stack.canUndo()
    assert page.actions_by_name["conv"].isChecked()


# ---- stepping


def test_playing_visits_every_position(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    visited: list[int] = []
    model.position_changed.connect(lambda: visited.append(model.index))
    page.player.set_speed(60)
    press(qtbot, Key.Key_Space)
    assert page.player.is_playing
    qtbot.waitUntil(lambda: not page.player.is_playing)
    assert visited == list(range(1, model.snapshot.num_positions))
    press(qtbot, Key.Key_Space)
    assert model.index == 0
    press(qtbot, Key.Key_Space)
    assert not page.player.is_playing


@pytest.mark.parametrize("key", [Key.Key_Right, Key.Key_PageDown, Key.Key_End, Key.Key_Home])
def test_a_step_by_hand_pauses(qtbot: QtBot, page: LabPage, key: Key) -> None:
    press(qtbot, Key.Key_Space)
    press(qtbot, key)
    assert not page.player.is_playing


@pytest.mark.parametrize(
    ("forward", "back"),
    [(Key.Key_Right, Key.Key_Left), (Key.Key_PageDown, Key.Key_PageUp), (Key.Key_End, Key.Key_Home)],
)
def test_keys_step(qtbot: QtBot, page: LabPage, model: LabModel, forward: Key, back: Key) -> None:
    last = model.snapshot.num_positions - 1
    steps = 1 if forward == Key.Key_End else last
    for _ in range(steps):
        press(qtbot, forward)
    assert model.index == last
    press(qtbot, forward)
    assert model.index == last
    for _ in range(steps + 1):
        press(qtbot, back)
    assert model.index == 0


def test_the_slider_and_the_strip_follow(page: LabPage, model: LabModel) -> None:
    (slider,) = (one for one in page.findChildren(FlatSlider) if one.accessibleName() == "Position of the window")
    for index in (7, 15, 0):
        slider.setValue(index)
        assert model.index == index
        assert f"({index // 4}, {index % 4})" in page.strip.describe()
    model.go_to(9)
    assert slider.value() == 9


def test_clicking_an_output_cell_goes_there(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    for cell in [(0, 0), (3, 3), (1, 2)]:
        click(qtbot, page.canvas.output.grid, cell)
        assert model.position == cell


def test_clicking_an_input_cell_tells_who_reads_it(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    click(qtbot, page.canvas.input.grid, (3, 3))
    assert model.probed == (3, 3)
    qtbot.mouseMove(page, pos=QPoint(1, 1))
    page.canvas.input.grid.cell_hovered.emit(None)
    assert "Input (3, 3) is read by 4 output cells: rows 1–2, columns 1–2." in texts(page)


def test_hovering_names_the_cell_and_its_value(page: LabPage, model: LabModel) -> None:
    page.canvas.input.grid.cell_hovered.emit((3, 3))
    assert "input (3, 3) = 9" in texts(page)
    page.canvas.input.grid.cell_hovered.emit((-1, 0))
    assert "input (−1, 0) · padding = 0" in texts(page)
    page.canvas.output.grid.cell_hovered.emit((0, 0))
    assert "output (0, 0) = 2" in texts(page)


def test_a_pinned_cell_stays_beside_the_one_hovered(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    press(qtbot, Key.Key_P)
    assert model.pinned == (0, 0)
    press(qtbot, Key.Key_End)
    model.hover((2, 1))
    page.show_position()
    told = page.strip.describe()
    assert "(0, 0)" in told
    assert "(2, 1)" in told
    press(qtbot, Key.Key_P)
    assert model.pinned is None


def test_switches(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    for on in (True, False):
        press(qtbot, Key.Key_R)
        press(qtbot, Key.Key_S)
        assert (model.shows_receptive_field, model.shows_all) == (on, on)


def test_speed_keys(qtbot: QtBot, page: LabPage) -> None:
    before = page.player.speed
    press(qtbot, Key.Key_BracketRight)
    assert page.player.speed > before
    press(qtbot, Key.Key_BracketLeft)
    assert page.player.speed == pytest.approx(before)


# ---- editing


def test_a_typed_number_changes_input_and_output(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    before = model.snapshot.output
    click(qtbot, page.canvas.input.grid, (1, 1))
    qtbot.keyClicks(page.canvas.input.grid, "7")
    press(qtbot, Key.Key_Return)
    assert model.state.input[0, 1, 1] == 7
    assert model.state.source.kind == "custom"
    assert not np.array_equal(model.snapshot.output, before)
    click(qtbot, page.canvas.kernel.grid, (1, 1))
    qtbot.keyClicks(page.canvas.kernel.grid, "5")
    press(qtbot, Key.Key_Return)
    assert model.state.weight[0, 0, 1, 1] == 5
    np.testing.assert_allclose(model.snapshot.output, model.state.layer.forward(model.state.input))


def test_a_refused_number_says_so_and_changes_nothing(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    before = model.state
    click(qtbot, page.canvas.input.grid, (0, 0))
    press(qtbot, Key.Key_Return)
    editor = QApplication.focusWidget()
    assert isinstance(editor, QLineEdit)
    for text in ("inf", "nan", "x", ""):
        editor.setText(text)
        press(qtbot, Key.Key_Return)
        assert "The grid is as it was." in page.info_bar.message
        assert page.info_bar.isVisible()
    assert model.state is before
    press(qtbot, Key.Key_Escape)
    press(qtbot, Key.Key_Escape)
    press(qtbot, Key.Key_M)
    assert page.info_bar.message == ""
    assert not page.info_bar.isVisible()


def test_a_stroke_paints_and_is_one_step(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    before, grid = model.state.input, page.canvas.input.grid
    qtbot.mousePress(grid, LEFT, pos=at(grid, (0, 0)))
    for cell in [(0, 3), (4, 3), (6, 6)]:
        qtbot.mouseMove(grid, pos=at(grid, cell))
    qtbot.mouseRelease(grid, LEFT, pos=at(grid, (6, 6)))
    assert (model.state.input[0, 0, :4] == 1).all()
    assert (model.state.input[0, :5, 3] == 1).all()
    press(qtbot, Key.Key_Z, CTRL)
    assert np.array_equal(model.state.input, before)


@pytest.mark.parametrize(("key", "modifiers"), [(Key.Key_Y, CTRL), (Key.Key_Z, CTRL | SHIFT)])
def test_undo_and_redo(qtbot: QtBot, page: LabPage, model: LabModel, key: Key, modifiers: Modifier) -> None:
    press(qtbot, Key.Key_M)
    press(qtbot, Key.Key_A)
    for _ in range(3):
        press(qtbot, Key.Key_Z, CTRL)
    assert not model.state.is_pooling
    assert not page.actions_by_name["undo"].isEnabled()
    for _ in range(3):
        press(qtbot, key, modifiers)
    assert model.state.operation == "avg"
    assert not page.actions_by_name["redo"].isEnabled()


# ---- clipboard: tables


@pytest.mark.parametrize("name", ["input", "kernel"])
def test_a_grid_goes_through_the_clipboard(qtbot: QtBot, page: LabPage, model: LabModel, name: str) -> None:
    grid = getattr(page.canvas, name).grid
    model.change(replace(model.state, weight=np.arange(9.0).reshape(1, 1, 3, 3) / 3), "Kernel")
    before = model.state
    click(qtbot, grid, (0, 0))
    press(qtbot, Key.Key_C, CTRL)
    shown = before.input[0] if name == "input" else before.weight[0, 0]
    assert QGuiApplication.clipboard().text() == format_table(shown)
    press(qtbot, Key.Key_Delete)
    model.change(lab.with_operation(model.state, "conv"), "Nothing")
    press(qtbot, Key.Key_V, CTRL)
    assert np.array_equal(model.state.input, before.input)
    assert np.array_equal(model.state.weight, before.weight)


def test_the_output_can_be_copied(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    click(qtbot, page.canvas.output.grid, (1, 1))
    press(qtbot, Key.Key_C, CTRL)
    assert QGuiApplication.clipboard().text() == format_table(model.snapshot.output[0])


@pytest.mark.parametrize("text", ["1\t2\t3\r\n4\t-5,5\t6\r\n", "1;2;3\n4;−5,5;6", "1,2,3\n4,-5.5,6\n\n"])
def test_a_table_of_another_program_becomes_input_or_kernel(
    qtbot: QtBot, page: LabPage, model: LabModel, text: str
) -> None:
    table = [[1, 2, 3], [4, -5.5, 6]]
    paste(qtbot, text)
    assert model.state.input[0].tolist() == table
    assert model.state.source.kind == "custom"
    click(qtbot, page.canvas.kernel.grid, (0, 0))
    paste(qtbot, text)
    assert model.state.weight[0, 0].tolist() == table
    assert model.state.kernel_size == (2, 3)


def table(rows: int, cols: int) -> str:
    return format_table(np.ones((rows, cols)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            (name, text)
            for name in ("input", "kernel")
            for text in ("a\tb", "1\t2\n3", "1\tnan", "inf", "", "1\t\t2", "hi")
        ),
        ("input", table(513, 2)),
        ("input", table(2, 513)),
        ("kernel", table(16, 2)),
        ("kernel", table(15, 15)),
    ],
)
def test_what_is_no_table_for_a_grid_changes_nothing(
    qtbot: QtBot, page: LabPage, model: LabModel, name: str, text: str
) -> None:
    click(qtbot, getattr(page.canvas, name).grid, (0, 0))
    before = model.state
    paste(qtbot, text)
    assert page.info_bar.message.endswith("The grid is as it was.")
    assert "accepted" in page.info_bar.message or "Write a number" in page.info_bar.message
    assert model.state is before


# ---- pictures


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def gradient(width: int = 40, height: int = 30, mode: str = "RGB") -> Image.Image:
    pixels = np.linspace(0, 255, width * height).astype(np.uint8).reshape(height, width)
    return Image.fromarray(pixels).convert(mode)


def bomb() -> bytes:
    """A PNG of a few bytes that claims 60 000 × 60 000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


def animation() -> bytes:
    frames = [gradient(), gradient().rotate(180)]
    return encode(frames[0], "GIF", save_all=True, append_images=frames[1:])


def sixteen_bits() -> bytes:
    return encode(Image.fromarray(np.linspace(0, 65535, 1200).astype(np.uint16).reshape(30, 40)))


@pytest.fixture
def opened(qtbot: QtBot, page: LabPage, tmp_path: Path) -> Callable[[bytes, str], str]:
    """Open a file with these bytes and return the message shown for it, "" where it became the input."""

    def open_and_wait(data: bytes, name: str = "picture.png") -> str:
        path = tmp_path / name
        path.write_bytes(data)
        before = page.model.state
        page.info_bar.clear()
        page.open_picture(path)
        qtbot.waitUntil(lambda: page.model.state is not before or bool(page.info_bar.message))
        assert (page.model.state is before) is bool(page.info_bar.message)
        return page.info_bar.message

    return open_and_wait


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (encode(gradient()), (1, 30, 40)),
        (encode(gradient(300, 150)), (1, FIRST_PICTURE_SIDE // 2, FIRST_PICTURE_SIDE)),
        (encode(gradient(), "JPEG"), (1, 30, 40)),
        (encode(gradient(), "WEBP"), (1, 30, 40)),
        (encode(gradient(), "BMP"), (1, 30, 40)),
        (encode(gradient(20_000, 1)), (1, 1, FIRST_PICTURE_SIDE)),
        (encode(gradient(1, 20_000)), (1, FIRST_PICTURE_SIDE, 1)),
        (encode(gradient(1, 1)), (1, 1, 1)),
        (encode(gradient(mode="CMYK"), "JPEG"), (1, 30, 40)),
        (sixteen_bits(), (1, 30, 40)),
    ],
    ids=["PNG", "large", "JPEG", "WebP", "BMP", "20000×1", "1×20000", "1×1", "CMYK", "16-bit"],
)
def test_a_picture_becomes_the_input(
    model: LabModel, opened: Callable[..., str], data: bytes, shape: tuple[int, int, int]
) -> None:
    assert opened(data) == ""
    assert model.state.input.shape == shape
    assert (model.state.input >= 0).all()
    assert (model.state.input <= 255).all()
    assert model.state.source.kind == "picture"
    assert model.state.source.path.endswith("picture.png")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (encode(gradient())[:-60], "half.png"),
        (encode(gradient(), "JPEG")[:300], "half.jpg"),
        (b"not a picture at all", "renamed.png"),
        (b"", "empty.png"),
        (animation(), "moving.gif"),
        (bomb(), "bomb.png"),
    ],
)
def test_a_bad_picture_says_what_is_wrong_and_changes_nothing(
    model: LabModel, opened: Callable[..., str], data: bytes, name: str
) -> None:
    before = model.state
    message = opened(data, name)
    assert name in message
    assert "PNG, JPEG, WebP and BMP" in message
    assert message.endswith("The grid is as it was.")
    assert model.state is before


@pytest.mark.parametrize("name", ["missing.png", "."])
def test_what_is_no_file_changes_nothing(
    qtbot: QtBot, page: LabPage, model: LabModel, tmp_path: Path, name: str
) -> None:
    before = model.state
    page.open_picture(tmp_path / name)
    qtbot.waitUntil(lambda: "The grid is as it was." in page.info_bar.message)
    assert model.state is before


def test_size_and_channels_of_a_picture_change_afterwards(
    qtbot: QtBot, page: LabPage, model: LabModel, opened: Callable[..., str]
) -> None:
    assert opened(encode(gradient(40, 20).rotate(0))) == ""
    (rows,) = (one for one in page.controls.findChildren(QSpinBox) if one.accessibleName() == "Input size, rows")
    rows.setValue(100)
    qtbot.waitUntil(lambda: model.state.size == (100, 200))
    assert model.state.source.kind == "picture"
    choices = {one.text(): one for one in page.controls.findChildren(FlatButton)}
    choices["RGB"].click()
    qtbot.waitUntil(lambda: model.state.channels == 3)
    assert model.shows_colour
    assert model.state.size == (100, 200)
    choices["Grey"].click()
    qtbot.waitUntil(lambda: model.state.channels == 1)
    assert model.state.size == (100, 200)
    for _ in range(4):
        press(qtbot, Key.Key_Z, CTRL)
    assert model.state.source.kind == "blob"


def test_a_picture_is_pasted_from_the_clipboard(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    image = QImage(12, 8, QImage.Format.Format_RGB32)
    image.fill(0xFF00FF00)
    QGuiApplication.clipboard().setImage(image)
    press(qtbot, Key.Key_V, CTRL)
    qtbot.waitUntil(lambda: model.state.source.kind == "picture")
    assert model.state.input.shape == (1, 8, 12)
    assert set(model.state.input.ravel()) == {150.0}  # ITU-R 601: 0.587 · 255
    QGuiApplication.clipboard().clear()


def drop(page: LabPage, data: QMimeData) -> None:
    page.dropEvent(QDropEvent(QPointF(page.rect().center()), Qt.DropAction.CopyAction, data, LEFT, Modifier.NoModifier))


def test_a_dropped_file_becomes_the_input(qtbot: QtBot, page: LabPage, model: LabModel, tmp_path: Path) -> None:
    path = tmp_path / "dropped ä.png"
    path.write_bytes(encode(gradient()))
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    drop(page, data)
    qtbot.waitUntil(lambda: model.state.source.kind == "picture")
    assert model.state.source.path == str(path)


@pytest.mark.parametrize("address", ["https://example.org/cat.png", "mailto:cat@example.org"])
def test_a_dropped_address_changes_nothing(page: LabPage, model: LabModel, address: str) -> None:
    before = model.state
    data = QMimeData()
    data.setUrls([QUrl(address)])
    drop(page, data)
    assert page.info_bar.message.endswith("The grid is as it was.")
    assert model.state is before


def test_nothing_to_paste_says_so(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    before = model.state
    QGuiApplication.clipboard().clear()
    press(qtbot, Key.Key_V, CTRL)
    assert page.info_bar.message.endswith("The grid is as it was.")
    assert model.state is before


# ---- looks


def test_zoom_keys(qtbot: QtBot, page: LabPage) -> None:
    grid = page.canvas.input.grid
    fitting = grid.cell_px
    press(qtbot, Key.Key_Plus, Modifier.AltModifier)
    assert grid.cell_px > fitting
    press(qtbot, Key.Key_0, Modifier.AltModifier)
    assert grid.cell_px == fitting


def test_the_controls_can_be_hidden(qtbot: QtBot, page: LabPage) -> None:
    for shown in (False, True):
        press(qtbot, Key.Key_B, CTRL)
        assert page.controls.isVisible() is shown


def test_stepping_a_zoomed_grid_keeps_the_window_in_view(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    model.change(lab.with_made_input(replace(model.state, stride=(1, 1)), "ramp", (40, 40), 0, 1), "Input")
    for grid in (page.canvas.input.grid, page.canvas.output.grid):
        grid.zoom(8)
    for index in (1599, 0, 39, 799):
        model.go_to(index)
        row, col = model.position
        for grid in (page.canvas.input.grid, page.canvas.output.grid):
            area = grid.geometry_of_cells.viewport.adjusted(-1, -1, 1, 1)
            assert area.contains(grid.geometry_of_cells.cell_rect(row, col))


def test_a_choice_made_while_a_picture_is_read_wins(
    qtbot: QtBot, page: LabPage, model: LabModel, tmp_path: Path
) -> None:
    path = tmp_path / "late.png"
    assert QImage(8, 8, QImage.Format.Format_RGB32).save(str(path))
    application = QApplication.instance()
    assert application is not None
    page.open_picture(path)
    model.change(lab.with_made_input(model.state, "ramp", (5, 5), 0, 1), "Ramp")
    qtbot.waitUntil(lambda: not any(one.isRunning() for one in application.findChildren(QThread)))
    QApplication.processEvents()
    assert model.state.source.kind == "ramp"
