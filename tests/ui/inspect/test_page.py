from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage, QPalette
from PySide6.QtWidgets import QApplication, QFileDialog, QWidget
from pytestqt.qtbot import QtBot
from torch import nn

import convviz.nn.tensor_file
from convviz.core.control import StopToken
from convviz.nn.file_format import TooLargeError
from convviz.nn.source import DataProgress
from convviz.nn.tensor_file import Contents, TensorFile
from convviz.ui import theme
from convviz.ui.inspect.file_panel import size_text
from convviz.ui.inspect.page import InspectPage
from convviz.ui.inspect.tensor_tree import MINIMUM, TensorTree
from convviz.ui.main_window import MainWindow
from convviz.ui.settings import Settings
from tests.ui.inspect.file_cases import LONG_MS, opened, saved, settled, tutorial, tutorial_state, until


def drop(page: InspectPage, data: QMimeData) -> None:
    about = (QPoint(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    entering = QDragEnterEvent(*about)
    page.dragEnterEvent(entering)
    assert entering.isAccepted()
    page.dropEvent(QDropEvent(*about))


def files(*paths: Path) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return data


def test_torch_is_not_needed_to_show_the_page() -> None:
    code = "import sys, convviz.ui.inspect.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_is_made_when_it_is_first_shown(window: MainWindow, qtbot: QtBot, threads: None) -> None:
    assert window.findChildren(InspectPage) == []
    qtbot.keyClick(window, Qt.Key.Key_3)
    assert window.inspect.isVisible()
    assert window.page is window.inspect
    assert window.inspect.empty.isVisible()
    assert not window.inspect.panel.isVisible()
    for key, page in ((Qt.Key.Key_2, window.train), (Qt.Key.Key_1, window.lab), (Qt.Key.Key_3, window.inspect)):
        qtbot.keyClick(window, key)
        assert window.page is page
    window.train.stop()


def test_a_shipped_network_is_one_click_away(page: InspectPage, qtbot: QtBot) -> None:
    page.empty.shipped["small_cnn"].click()
    assert page.progress.isVisible()
    settled(qtbot, page.model)
    assert not page.progress.isVisible()
    assert page.panel.isVisible()
    section = page.panel.file
    assert section.name.text == "small_cnn.pt"
    assert section.size_and_format.text.startswith("313 KB · ")
    assert "float32 · no code inside" in section.contents.text()
    assert section.network.text() == "Recognised as: Small CNN"
    assert not section.networks.isVisible()
    assert page.filters.isVisible()
    assert page.panel.facts.values["counts"].text() == "0 · 0 · 0"
    assert page._settings.recent_files == ()


def test_a_file_is_opened_by_dialog_drop_recent_and_clipboard(
    page: InspectPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tutorial(tmp_path, f"{name}.pt") for name in ("dialog", "dropped", "pasted")]
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(paths[0]), ""))
    qtbot.keyClick(page, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)
    until(qtbot, lambda: page.model.file is not None and page.model.file.path == paths[0])
    drop(page, files(paths[1]))
    until(qtbot, lambda: page.model.file is not None and page.model.file.path == paths[1])
    QGuiApplication.clipboard().setMimeData(files(paths[2]))
    qtbot.keyClick(page, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    until(qtbot, lambda: page.model.file is not None and page.model.file.path == paths[2])
    assert page._settings.recent_files == tuple(reversed(paths))
    page._recent.aboutToShow.emit()
    (action,) = (action for action in page._recent.actions() if action.text() == "dialog.pt")
    action.trigger()
    until(qtbot, lambda: page.model.file is not None and page.model.file.path == paths[0])
    settled(qtbot, page.model)


def test_recent_files_are_offered_at_the_next_start(
    page: InspectPage, qtbot: QtBot, tmp_path: Path, threads: None
) -> None:
    path = tutorial(tmp_path)
    opened(qtbot, page.model, path)
    page._settings.save()
    again = InspectPage(Settings(page._settings.path))
    qtbot.addWidget(again)
    (button,) = again.empty.recent
    button.click()
    settled(qtbot, again.model)
    assert again.model.file is not None
    assert again.model.file.path == path


def test_a_refusal_is_said_and_a_later_success_takes_it_away(page: InspectPage, qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "a\u202eb.pt").write_text("hello")
    page.open(tmp_path / "a\u202eb.pt")
    until(qtbot, lambda: bool(page.message.message))
    assert "a‹U+202E›b.pt" in page.message.message
    assert page.message.remedy.isHidden()
    assert page.empty.isVisible()
    opened(qtbot, page.model, tutorial(tmp_path))
    assert page.message.message == ""


def test_only_the_memory_ceiling_can_be_raised(
    page: InspectPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, first, needed = tutorial(tmp_path), convviz.nn.tensor_file.open_tensor_file, 6_000_000_000
    asked: list[int] = []

    def opens(path: Path, most_bytes: int, token: StopToken) -> Generator[DataProgress | Contents, None, TensorFile]:
        asked.append(most_bytes)
        yield DataProgress(0, 1, "Reading the file")
        if most_bytes < needed:
            raise TooLargeError(path.name, needed, most_bytes)
        return (yield from first(path, most_bytes, token))

    monkeypatch.setattr(convviz.nn.tensor_file, "open_tensor_file", opens)
    page.open(path)
    until(qtbot, lambda: bool(page.message.message))
    assert page.message.remedy.text() == "Open anyway with 6 GB"
    page.message.remedy.click()
    settled(qtbot, page.model)
    assert asked[1] == needed
    assert page.model.file is not None
    assert page.message.message == ""


def test_an_opening_can_be_cancelled_by_its_button(page: InspectPage, qtbot: QtBot, tmp_path: Path) -> None:
    page.open(tutorial(tmp_path))
    assert page.progress.isVisible()
    page.progress.cancelled.emit()
    assert not page.progress.isVisible()
    assert page.empty.isVisible()


@pytest.fixture
def may_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Until it is set, no file's numbers are read."""
    event, torch_load = Event(), torch.load

    def load(*args: Any, **kwargs: Any) -> Any:
        assert event.wait(LONG_MS / 1000)
        return torch_load(*args, **kwargs)

    monkeypatch.setattr(torch, "load", load)
    yield event
    event.set()


def names_listed(page: InspectPage) -> list[str]:
    tensors = page.panel.tree.tensors
    return [tensors.index(row, 0).data() for row in range(tensors.rowCount())]


def facts_listed(page: InspectPage) -> list[str]:
    tensors = page.panel.tree.tensors
    return [tensors.index(row, MINIMUM).data() for row in range(tensors.rowCount())]


def test_tensors_are_listed_before_they_are_read(
    page: InspectPage, qtbot: QtBot, tmp_path: Path, may_read: Event
) -> None:
    may_read.set()
    first = opened(qtbot, page.model, saved(tmp_path / "a.pt", {"a.weight": torch.ones(2, 1, 3, 3)})).file
    may_read.clear()
    weight = torch.arange(150.0).reshape(3, 2, 5, 5)
    other = {"b.weight": weight, "b.bias": torch.ones(3), "c.bias": torch.full((3,), torch.nan)}
    page.open(saved(tmp_path / "b.pt", other))
    until(qtbot, lambda: names_listed(page) == list(other))
    assert page.panel.file.name.text == "b.pt"
    assert page.panel.file.contents.text() == "3 tensors · 156 parameters · float32 · no code inside"
    assert facts_listed(page) == ["…"] * 3
    assert page.progress.isVisible()
    assert page.model.file is first
    assert page.filters.shown_filters == [0, 1]
    assert page.panel.file.network.text() == "Looking for its network…"
    page.panel.search.setText("bias")
    page.panel.tree.setCurrentIndex(page.panel.tree.tensors.index_of(2))
    may_read.set()
    settled(qtbot, page.model)
    assert page.panel.facts.name.text == "c.bias · 3"
    assert page.panel.search.text() == "bias"
    assert names_listed(page) == ["b.bias", "c.bias"]
    assert facts_listed(page) == ["1", "–"]
    assert page.panel.found.text() == "2 found\n⚠ Something is wrong with 1 tensor."


@pytest.mark.parametrize("ends", ["refused", "cancelled"])
def test_what_was_listed_comes_back_if_the_numbers_are_not_read(
    page: InspectPage, qtbot: QtBot, tmp_path: Path, may_read: Event, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        assert may_read.wait(LONG_MS / 1000)
        raise RuntimeError("unknown")

    may_read.set()
    names = {"a.weight": torch.ones(2, 1, 3, 3), "b.bias": torch.full((3,), torch.inf), "c.bias": torch.ones(3)}
    opened(qtbot, page.model, saved(tmp_path / "a.pt", names))
    page.panel.tree.setCurrentIndex(page.panel.tree.tensors.index_of(2))
    settled(qtbot, page.model)
    may_read.clear()
    monkeypatch.setattr(torch, "load", fail)
    page.open(saved(tmp_path / "b.pt", {"d.weight": torch.ones(3)}))
    until(qtbot, lambda: names_listed(page) == ["d.weight"])
    if ends == "cancelled":
        page.progress.cancelled.emit()
    may_read.set()
    settled(qtbot, page.model)
    assert page.message.message.startswith("b.pt is damaged" if ends == "refused" else "")
    assert page.panel.file.name.text == "a.pt"
    assert names_listed(page) == list(names)
    assert facts_listed(page) == ["1", "–", "1"]
    assert page.panel.found.text() == "⚠ Something is wrong with 2 tensors."
    assert page.panel.tree.tensors.tensor_at(page.panel.tree.currentIndex()) == 2
    assert page.panel.facts.name.text == "c.bias · 3"


def test_a_first_file_that_is_not_read_leaves_the_page_empty(
    page: InspectPage, qtbot: QtBot, tmp_path: Path, may_read: Event
) -> None:
    page.open(saved(tmp_path / "b.pt", {"d.weight": torch.ones(3)}))
    until(qtbot, lambda: names_listed(page) == ["d.weight"])
    assert not page.empty.isVisible()
    assert page.filters._hint.text() == "The filters appear here once a file is open."
    page.progress.cancelled.emit()
    assert page.empty.isVisible()


def test_filters_follow_the_tensor_or_say_why_there_are_none(page: InspectPage, qtbot: QtBot, tmp_path: Path) -> None:
    unlike = {"<b>conv</b>.weight": torch.ones(2, 1, 3, 3), "fc.weight": torch.zeros(3, 4)}
    opened(qtbot, page.model, saved(tmp_path / "a.pt", unlike))
    assert page.filters.shown_filters == [0, 1]
    page.model.choose_tensor(1)
    settled(qtbot, page.model)
    assert page.filters._hint.text() == "fc.weight has no filters: it is no convolution's weight."
    assert page.panel.facts.name.text == "fc.weight · 3×4"
    page.model.choose_tensor(0)
    settled(qtbot, page.model)
    assert page.panel.facts.wrong.text() == "⚠ 1 duplicate filter (1)"
    assert page.panel.found.text() == "⚠ Something is wrong with 1 tensor."


def test_two_files_are_compared(
    page: InspectPage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(qtbot, page.model, tutorial(tmp_path))
    other = saved(tmp_path / "other.pt", {"conv1.weight": tutorial_state(1)["conv1.weight"]})
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(other), ""))
    page.filters.compare_wanted.emit()
    settled(qtbot, page.model)
    assert page.panel.facts.compared.text() == "Compared with other.pt."
    page.model.choose_tensor(1)
    settled(qtbot, page.model)
    assert page.panel.facts.compared.text() == "other.pt has no such tensor of this shape."
    page.model.choose_tensor(0)
    twin = tmp_path / "elsewhere" / "cifar_net.pt"
    twin.parent.mkdir()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(saved(twin, tutorial_state())), ""))
    page.filters.compare_wanted.emit()
    settled(qtbot, page.model)
    assert [title.text for title in page.filters._titles] == [
        f"{tmp_path.name}/cifar_net.pt",
        "elsewhere/cifar_net.pt",
        "Second − first",
    ]
    page.filters.compare_ended.emit()
    settled(qtbot, page.model)
    assert page.panel.facts.compared.text() == ""


def test_search_says_how_many_are_found(page: InspectPage, qtbot: QtBot, tmp_path: Path) -> None:
    opened(qtbot, page.model, tutorial(tmp_path))
    qtbot.keyClicks(page.panel.search, "conv 5x5")
    assert page.panel.found.text() == "2 found"
    assert page.panel.tree.tensors.rowCount() == 2
    assert page.isVisible()  # 5 and x are typed, not taken as keys of the window


def test_of_several_networks_one_is_chosen(page: InspectPage, qtbot: QtBot, tmp_path: Path) -> None:
    opened(qtbot, page.model, tutorial(tmp_path))
    networks = page.panel.file.networks
    assert networks.isVisible()
    networks.setCurrentIndex(1)
    networks.activated.emit(1)
    settled(qtbot, page.model)
    assert page.model.network is page.model.networks[1]


def test_a_plain_chain_is_confirmed_and_then_seen(page: InspectPage, qtbot: QtBot, tmp_path: Path) -> None:
    chain = nn.Sequential(nn.Conv2d(1, 7, 3), nn.Conv2d(7, 9, 3), nn.Linear(9 * 5 * 5, 11))
    opened(qtbot, page.model, saved(tmp_path / "chain.pt", chain.state_dict()))
    fields = page.panel.file.proposal
    assert fields.isVisible()
    assert "×" in fields.shapes.currentText()
    fields.pooling.setCurrentIndex(fields.pooling.findData("avg"))
    fields.activation.setCurrentIndex(fields.activation.findData("tanh"))
    fields.confirm.click()
    settled(qtbot, page.model)
    kinds = [layer.kind for layer in page.model.layers]
    assert {"AvgPool2d", "Tanh"} <= set(kinds)
    assert page.panel.file.network.text() == "Seen as: Plain chain, as confirmed"
    assert page.model.seen is not None


def test_a_dropped_picture_is_looked_at(page: InspectPage, qtbot: QtBot, tmp_path: Path) -> None:
    opened(qtbot, page.model, tutorial(tmp_path))
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    drop(page, files(tmp_path / "noise.png"))
    settled(qtbot, page.model)
    assert page.model.seen is not None
    assert (page.model.seen.read == pixels.transpose(2, 0, 1)).all()
    assert page.model.picture is not None
    assert page.model.picture.name == "noise.png"


def test_a_pasted_picture_is_looked_at_and_nothing_is_said_to_be_nothing(
    page: InspectPage, qtbot: QtBot, tmp_path: Path
) -> None:
    opened(qtbot, page.model, tutorial(tmp_path))
    image = QImage(32, 32, QImage.Format.Format_RGB32)
    image.fill(0xFF102030)
    QGuiApplication.clipboard().setImage(image)
    page.paste()
    settled(qtbot, page.model)
    assert page.model.seen is not None
    assert (page.model.seen.read == np.array([0x10, 0x20, 0x30])[:, None, None]).all()
    QGuiApplication.clipboard().setText("words")
    page.paste()
    assert page.message.message.startswith("There is nothing to paste.")


@pytest.mark.parametrize("layer", ["0", "1", "2", "3", "7", "11"])
def test_a_unit_opens_in_the_lab_with_its_own_value(
    page: InspectPage, window: MainWindow, qtbot: QtBot, tmp_path: Path, layer: str
) -> None:
    model = opened(qtbot, page.model, tutorial(tmp_path))
    model.choose_layer(layer)
    vector = len(next(each for each in model.layers if each.name == layer).shape) == 1
    model.choose_unit((3, 0, 0) if vector else (3, 2, 1))
    settled(qtbot, model)
    seen = model.seen
    assert seen is not None
    model.open_in_lab()
    until(qtbot, lambda: window.page is window.lab)
    until(qtbot, lambda: not window.lab.model.forward.busy)
    lab = window.lab.model
    assert lab.step is not None
    explanation = lab.explain(lab.position)
    assert explanation is not None
    assert explanation.result == pytest.approx(seen.value, rel=1e-5, abs=1e-7)
    lab.undo_stack.undo()


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (313_485, "313 KB"),
        (999_999, "1 MB"),
        (46_800_000, "46.8 MB"),
        (2 * 10**12, "2000 GB"),
    ],
)
def test_sizes_are_written_with_three_digits(num_bytes: int, text: str) -> None:
    assert size_text(num_bytes) == text


def widths(page: InspectPage) -> dict[str, int]:
    return {
        name: widget.width()
        for name, widget in (("panel", page.panel), ("content", page._content))
        if widget.isVisible()
    }


def test_panel_and_cards_take_turns_where_there_is_no_room(
    page: InspectPage, window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    opened(qtbot, page.model, tutorial(tmp_path))
    window.resize(1400, 800)
    until(qtbot, lambda: widths(page).keys() == {"panel", "content"})
    window.resize(700, 600)
    until(qtbot, lambda: widths(page).keys() == {"content"})
    qtbot.keyClick(page, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    assert widths(page).keys() == {"panel"}
    qtbot.keyClick(page, Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    assert widths(page).keys() == {"content"}


@pytest.mark.parametrize("scale", [0.75, 2.0])
def test_nothing_is_cut_when_the_font_changes(
    page: InspectPage, window: MainWindow, light: QApplication, qtbot: QtBot, tmp_path: Path, scale: float
) -> None:
    opened(qtbot, page.model, tutorial(tmp_path))
    window.resize(2400, 1600)
    theme.apply(light, "light", scale)

    def cut() -> list[QWidget]:
        parts = [page.panel, *page.panel.file.findChildren(QWidget)]
        return [part for part in parts if part.isVisible() and part.width() < part.minimumSizeHint().width()]

    until(qtbot, lambda: not cut())


def test_all_follow_another_theme_at_once(page: InspectPage, qtbot: QtBot, light: QApplication, tmp_path: Path) -> None:
    page.open(tutorial(tmp_path))
    settled(qtbot, page.model)
    theme.apply(light, "dark", 1.0)
    QApplication.processEvents()
    tree = page.findChild(TensorTree)
    assert tree is not None
    for role in (QPalette.ColorRole.Base, QPalette.ColorRole.Text):
        assert tree.palette().color(role) == light.palette().color(role)
    assert tree.palette().color(QPalette.ColorRole.Highlight) == theme.colors(light.palette()).border
