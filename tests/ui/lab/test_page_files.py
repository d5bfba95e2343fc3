import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication, QImage
from PySide6.QtWidgets import QApplication, QFileDialog, QSpinBox
from pytestqt.qtbot import QtBot

from convviz.core import stack_file
from convviz.core.elementwise import ReLU
from convviz.core.layers import Conv2d, MaxPool2d
from convviz.core.numbers import format_table
from convviz.core.presets import PRESETS
from convviz.core.stack import Stack
from convviz.ui.lab import state as lab
from convviz.ui.lab.limits import MAX_INPUT
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.page import FIRST_PICTURE_SIDE, LabPage
from convviz.ui.lab.stack_cards import CardState
from tests.ui.lab.driving import (
    CTRL,
    LEFT,
    MISFIT,
    SHIFT,
    TWO_LAYERS,
    Key,
    Modifier,
    button,
    click,
    kernel_of,
    open_stack,
    press,
    random_conv,
    step_of,
    text_of,
    texts,
    use_conv,
    wait_for_threads,
)

SMALL_PRESETS = ("four_layers", "dilations", "lenet5", "tutorial_cnn", "small_cnn")


# ---- stack files


@pytest.fixture
def chosen_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What the file dialogs answer; to the one that saves, without a suffix."""
    path = tmp_path / "my stack.convviz"
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path.with_suffix("")), ""))
    return path


def test_a_saved_stack_is_opened_again(qtbot: QtBot, page: LabPage, model: LabModel, chosen_file: Path) -> None:
    page.choose_preset("lenet5")
    model.choose_layer(0)
    model.edit_kernel([(1, 2)], 0.1, "Edit")
    model.change(lab.with_switched_layer(model.state, 1, False), "Switch")
    saved = text_of(model)
    press(qtbot, Key.Key_S, CTRL)
    assert chosen_file.read_text(encoding="utf-8") == saved
    assert str(chosen_file) in texts(page)
    page.choose_preset("dilations")
    press(qtbot, Key.Key_L)
    press(qtbot, Key.Key_O, CTRL)
    qtbot.waitUntil(lambda: text_of(model) == saved)
    assert model.view == "stack"
    assert page.info_bar.message == ""
    press(qtbot, Key.Key_Z, CTRL)
    assert text_of(model) == stack_file.to_json(PRESETS["dilations"]())


def test_a_stack_with_an_input_like_the_lab_s_keeps_the_numbers(
    qtbot: QtBot, page: LabPage, model: LabModel, tmp_path: Path
) -> None:
    model.edit_input([(2, 2)], -5.0, "Edit")
    before = model.state.input
    path = tmp_path / "one.convviz"
    path.write_text(stack_file.to_json(Stack((1, 7, 7), [ReLU()])), encoding="utf-8")
    page.open_file(path)
    qtbot.waitUntil(lambda: model.state.stack.layers == (ReLU(),))
    assert model.state.input is before


def test_a_stack_that_cannot_be_saved_says_so(page: LabPage, model: LabModel, tmp_path: Path) -> None:
    before = model.state
    page.save_stack(tmp_path / "missing" / "x.convviz")
    assert "x.convviz" in page.info_bar.message
    assert page.info_bar.message.endswith("Nothing was changed.")
    assert model.state is before


def document(**changes: object) -> bytes:
    written = json.loads(stack_file.to_json(TWO_LAYERS))
    return json.dumps(written | changes).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (document(version=stack_file.VERSION + 1), "newer convviz"),
        (document(layers=[{"kind": "Conv3d"}]), "damaged"),
        (document(input_shape=[1, 0, 7]), "damaged"),
        (document(layers=[]), "no layers"),
        (document(input_shape=[lab.MAX_CHANNELS + 1, 3, 3], layers=[{"kind": "ReLU"}]), "The Lab shows up to"),
        (document(input_shape=[1, MAX_INPUT + 1, 3], layers=[{"kind": "ReLU"}]), "The Lab shows up to"),
        (document(format="recipe"), "not a stack file"),
        (document()[:-20], "not a stack file"),
        (b"", "not a stack file"),
        (b"\xff\xfe\x00", "not a stack file"),
    ],
    ids=[
        "newer",
        "unknown layer",
        "no rows",
        "no layers",
        "many channels",
        "many rows",
        "another format",
        "cut off",
        "empty",
        "binary",
    ],
)
def test_a_bad_stack_file_says_what_is_wrong_and_changes_nothing(
    qtbot: QtBot, page: LabPage, model: LabModel, tmp_path: Path, data: bytes, words: str
) -> None:
    before = model.state
    path = tmp_path / "bad.convviz"
    path.write_bytes(data)
    page.open_file(path)
    qtbot.waitUntil(lambda: bool(page.info_bar.message))
    assert words in page.info_bar.message
    assert page.info_bar.message.endswith("Nothing was changed.")
    assert (model.state, model.view) == (before, "layer")


@pytest.mark.parametrize("name", ["missing.convviz", "folder.convviz"])
def test_a_stack_file_that_is_none_changes_nothing(
    qtbot: QtBot, page: LabPage, model: LabModel, tmp_path: Path, name: str
) -> None:
    before = model.state
    (tmp_path / "folder.convviz").mkdir()
    page.open_file(tmp_path / name)
    qtbot.waitUntil(lambda: name in page.info_bar.message)
    assert page.info_bar.message.endswith("Nothing was changed.")
    assert "Errno" not in page.info_bar.message
    assert model.state is before


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e300, 1e-300])
def test_a_stack_with_odd_numbers_is_shown_everywhere(
    qtbot: QtBot, page: LabPage, model: LabModel, tmp_path: Path, number: float
) -> None:
    weight = np.ones((2, 1, 3, 3))
    weight[0, 0, 1, 1] = number
    stack = Stack((1, 7, 7), [Conv2d(1, 2, 3, weight=weight, bias=[0, number]), MaxPool2d(2)])
    path = tmp_path / "odd.convviz"
    path.write_text(stack_file.to_json(stack), encoding="utf-8")
    page.open_file(path)
    qtbot.waitUntil(lambda: len(model.state.stack.layers) == 2)
    model.show_all(True)
    button(page.learn_view, "From the Lab").click()
    for key in (Key.Key_L, Key.Key_K, Key.Key_H, Key.Key_E):
        press(qtbot, key)
        for layer in (1, 0):
            model.choose_layer(layer)
            page.grab()
    page.learn_view.step()
    assert model.state.stack.problem is None


def test_a_stack_that_does_not_fit_itself_opens_and_says_why(
    qtbot: QtBot, page: LabPage, model: LabModel, tmp_path: Path
) -> None:
    path = tmp_path / "misfit.convviz"
    path.write_text(stack_file.to_json(MISFIT), encoding="utf-8")
    page.open_file(path)
    qtbot.waitUntil(lambda: len(model.state.stack.layers) == 3)
    assert page.controls.stack.list.cards[1].state is CardState.MISFIT
    problem = model.state.stack.problem
    assert problem is not None
    assert problem.message in texts(page.stack_view)


# ---- PyTorch


def test_copied_programs_print_the_numbers_shown(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    programs, shown = [], []
    grid = page.layer_view.canvas.output.grid
    for preset in SMALL_PRESETS:
        page.choose_preset(preset)
        for layer in {model.state.current, len(model.state.stack.layers) - 1}:
            model.choose_layer(layer, model.num_positions // 2)
            shape = model.state.stack.shapes[layer + 1]
            if len(shape) == 3:
                model.choose_map(layer + 1, shape[0] - 1)
            press(qtbot, Key.Key_L)
            press(qtbot, Key.Key_C, CTRL | SHIFT)
            programs.append(QGuiApplication.clipboard().text())
            shown.append(float(grid.content.values[model.position]))
            place = ", ".join(map(str, step_of(model).place(model.position, model.out_channel)))
            assert f"prints output ({place})" in texts(page)
    assert len(programs) >= 2 * len(SMALL_PRESETS) - 2
    run_all = "import json, sys\nfor program in json.load(sys.stdin):\n    exec(program, {})"
    done = subprocess.run(
        [sys.executable, "-c", run_all],
        input=json.dumps(programs),
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    assert list(map(float, done.stdout.split())) == pytest.approx(shown, rel=1e-9)


def test_without_a_number_there_is_no_program(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    open_stack(model, MISFIT)
    press(qtbot, Key.Key_Period)
    QGuiApplication.clipboard().setText("before")
    press(qtbot, Key.Key_C, CTRL | SHIFT)
    assert "no output yet" in page.info_bar.message
    assert QGuiApplication.clipboard().text() == "before"


# ---- clipboard: tables


def paste(qtbot: QtBot, text: str) -> None:
    QGuiApplication.clipboard().setText(text)
    press(qtbot, Key.Key_V, CTRL)


@pytest.mark.parametrize("name", ["input", "kernel"])
def test_a_grid_goes_through_the_clipboard(qtbot: QtBot, page: LabPage, model: LabModel, name: str) -> None:
    grid = getattr(page.layer_view.canvas, name).grid
    model.change(lab.with_weight(model.state, np.arange(9.0).reshape(1, 1, 3, 3) / 3), "Kernel")
    before, kernel = model.state.input, kernel_of(model)
    click(qtbot, grid, (1, 1))
    press(qtbot, Key.Key_C, CTRL)
    assert QGuiApplication.clipboard().text() == format_table(before[0] if name == "input" else kernel)
    press(qtbot, Key.Key_Delete)
    assert not (np.array_equal(model.state.input, before) and np.array_equal(kernel_of(model), kernel))
    press(qtbot, Key.Key_V, CTRL)
    assert np.array_equal(model.state.input, before)
    assert np.array_equal(kernel_of(model), kernel)


def test_the_output_can_be_copied(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    click(qtbot, page.layer_view.canvas.output.grid, (1, 1))
    press(qtbot, Key.Key_C, CTRL)
    assert QGuiApplication.clipboard().text() == format_table(step_of(model).y[0])


@pytest.mark.parametrize("text", ["1\t2\t3\r\n4\t-5,5\t6\r\n", "1;2;3\n4;−5,5;6", "1,2,3\n4,-5.5,6\n\n"])
def test_a_table_of_another_program_becomes_input_or_kernel(
    qtbot: QtBot, page: LabPage, model: LabModel, text: str
) -> None:
    table = [[1, 2, 3], [4, -5.5, 6]]
    paste(qtbot, text)
    assert model.state.input[0].tolist() == table
    assert model.state.source.kind == "custom"
    click(qtbot, page.layer_view.canvas.kernel.grid, (0, 0))
    paste(qtbot, text)
    assert kernel_of(model).tolist() == table
    assert lab.conv_of(model.state).kernel_size == (2, 3)


def test_a_table_becomes_the_channel_shown(qtbot: QtBot, page: LabPage, model: LabModel) -> None:
    use_conv(model, random_conv(2, 2))
    model.choose_channel(1)
    model.choose_map(1, 1)
    before, weight = model.state.input, lab.conv_of(model.state).weight
    paste(qtbot, table(6, 6))
    assert np.array_equal(model.state.input[0], before[0])
    assert (model.state.input[1] == 1).all()
    click(qtbot, page.layer_view.canvas.kernel.grid, (0, 0))
    paste(qtbot, table(3, 3))
    assert (kernel_of(model) == 1).all()
    assert np.array_equal(lab.conv_of(model.state).weight[0], weight[0])
    assert np.array_equal(lab.conv_of(model.state).weight[1, 0], weight[1, 0])


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
    click(qtbot, getattr(page.layer_view.canvas, name).grid, (0, 0))
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
        page.open_file(path)
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
    page.open_file(tmp_path / name)
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
    button(page.controls, "RGB").click()
    qtbot.waitUntil(lambda: model.state.channels == 3)
    assert model.shows_colour
    assert model.state.size == (100, 200)
    button(page.controls, "Grey").click()
    qtbot.waitUntil(lambda: model.state.channels == 1)
    assert model.state.size == (100, 200)
    for _ in range(4):
        press(qtbot, Key.Key_Z, CTRL)
    assert model.state.source.kind == "blob"


def test_a_picture_takes_the_size_that_several_layers_were_made_for(
    qtbot: QtBot, page: LabPage, model: LabModel, opened: Callable[..., str]
) -> None:
    page.choose_preset("tutorial_cnn")
    before = model.state.stack
    assert opened(encode(gradient(40, 20))) == ""
    assert model.state.input.shape == (3, 32, 32)
    assert model.state.stack is before
    assert model.shows_colour
    assert model.state.source.is_brightness


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


def test_a_dropped_stack_is_opened(qtbot: QtBot, page: LabPage, model: LabModel, tmp_path: Path) -> None:
    path = tmp_path / "DROPPED.CONVVIZ"
    path.write_text(stack_file.to_json(TWO_LAYERS), encoding="utf-8")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    drop(page, data)
    qtbot.waitUntil(lambda: model.state.stack == TWO_LAYERS)
    assert model.view == "stack"


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


def test_a_choice_made_while_a_picture_is_read_wins(
    qtbot: QtBot, page: LabPage, model: LabModel, tmp_path: Path
) -> None:
    path = tmp_path / "late.png"
    assert QImage(8, 8, QImage.Format.Format_RGB32).save(str(path))
    page.open_file(path)
    model.change(lab.with_made_input(model.state, "ramp", (5, 5), 0, 1), "Ramp")
    wait_for_threads(qtbot)
    QApplication.processEvents()
    assert model.state.source.kind == "ramp"


def test_a_layer_chosen_while_a_picture_is_read_does_not_stop_it(
    qtbot: QtBot, page: LabPage, model: LabModel, tmp_path: Path
) -> None:
    path = tmp_path / "late.png"
    assert QImage(8, 8, QImage.Format.Format_RGB32).save(str(path))
    open_stack(model, TWO_LAYERS)
    page.open_file(path)
    model.choose_layer(1)
    qtbot.waitUntil(lambda: model.state.source.kind == "picture")
    assert (model.state.current, model.state.size) == (1, (3, 3))
