from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QImage
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication, QFileDialog, QMenu
from pytestqt.qtbot import QtBot
from safetensors.numpy import load_file

from convviz.core.statistics import filter_facts
from convviz.ui.inspect.filters import Filters, FiltersPanel
from convviz.ui.widgets.buttons import FlatButton
from tests.ui.inspect.widgets import press


def filters_of(shape: Sequence[int] = (4, 3, 5, 5), seed: int = 0, other: bool = False) -> Filters:
    """Random filters; beside them, if asked for, the same a little larger."""
    weight = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return Filters("conv.weight", tuple(shape), weight, filter_facts(weight), 1.5 * weight if other else None)


@pytest.fixture
def panel(qtbot: QtBot, light: QApplication) -> FiltersPanel:
    """The panel with four filters of three channels."""
    panel = FiltersPanel()
    qtbot.addWidget(panel)
    panel.resize(1000, 500)
    panel.show_filters(filters_of())
    with qtbot.waitActive(panel):
        panel.show()
        panel.activateWindow()
    return panel


def test_filters_of_three_channels_are_shown_in_colour_and_by_channel(panel: FiltersPanel) -> None:
    mosaic = panel.mosaics[0]
    assert mosaic.num_maps == 4
    assert mosaic.name(2).startswith("2\n‖w‖ ")
    press(panel, "Channels")
    assert mosaic.num_maps == 12
    assert [mosaic.name(k).split("\n")[0] for k in range(4)] == ["0 R", "0 G", "0 B", "1 R"]


def test_small_kernels_are_never_hidden(panel: FiltersPanel) -> None:
    panel.show_filters(filters_of((6, 8, 3, 3)))
    assert panel.mosaics[0].num_maps == 48
    panel.show_filters(filters_of((6, 64, 1, 1)))
    assert panel.mosaics[0].num_maps == 6


def test_of_many_maps_one_channel_is_shown_at_a_time(panel: FiltersPanel, qtbot: QtBot) -> None:
    filters = filters_of((128, 64, 3, 3))
    panel.show_filters(filters)
    assert panel.mosaics[0].num_maps == 128
    panel._channel.chosen.emit(0)
    panel._channel.show_number(7)
    panel._show()
    panel._enlarge(5)
    assert panel.enlarged.title == "Filter 5 of conv.weight, channel 7"
    assert np.array_equal(panel.enlarged.grids[0].content.values, filters.weight[5, 7])


def test_filters_are_sorted(panel: FiltersPanel) -> None:
    norms = filters_of().facts.norms
    press(panel, "Norm")
    assert panel.shown_filters == np.argsort(-norms, kind="stable").tolist()
    assert panel.mosaics[0].name(0).startswith(f"{panel.shown_filters[0]}\n")


def test_a_click_enlarges_a_filter_with_its_numbers_and_escape_goes_back(panel: FiltersPanel, qtbot: QtBot) -> None:
    place = panel.mosaics[0].map_rect(1).center().toPoint()
    with qtbot.waitSignal(panel.filter_chosen, check_params_cb=lambda index: index == 1):
        qtbot.mouseClick(panel.mosaics[0].viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert panel.enlarged.isVisible()
    assert panel.enlarged.title == "Filter 1 of conv.weight"
    for k in range(3):
        assert np.array_equal(panel.enlarged.grids[k].content.values, filters_of().weight[1, k])
    qtbot.keyClick(panel.enlarged.grids[0], Qt.Key.Key_Escape)
    assert not panel.enlarged.isVisible()


def test_what_is_wrong_is_said_below_a_filter(panel: FiltersPanel) -> None:
    weight = filters_of().weight.copy()
    weight[1], weight[2], weight[3, 0, 0, 0] = 0, weight[0], np.nan
    panel.show_filters(Filters("conv.weight", weight.shape, weight, filter_facts(weight)))
    names = [panel.mosaics[0].name(k) for k in range(4)]
    assert names[1:] == ["1\n⚠ dead: all 0", "2\n⚠ same as 0", "3\n⚠ NaN or inf"]


def test_two_files_are_shown_side_by_side_with_the_difference(panel: FiltersPanel) -> None:
    assert [mosaic.isVisible() for mosaic in panel.mosaics] == [True, False, False]
    filters = filters_of(other=True)
    panel.show_filters(filters)
    assert [mosaic.isVisible() for mosaic in panel.mosaics] == [True, True, True]
    panel._enlarge(4)
    assert filters.other is not None
    shown = [grid.content.values for grid in panel.enlarged.grids]
    for values, expected in zip(shown, (filters.weight, filters.other, filters.other - filters.weight), strict=True):
        assert np.array_equal(values, expected[1, 1])
    levels = [grid.content.level for grid in panel.enlarged.grids]
    assert levels[:2] == [pytest.approx(max(np.abs(filters.weight).max(), np.abs(filters.other).max()))] * 2
    assert levels[2] == pytest.approx(np.abs(filters.other - filters.weight).max())


def test_the_colour_scope_is_that_of_filter_layer_or_fixed(panel: FiltersPanel) -> None:
    level = f"{np.abs(filters_of().weight).max():.2f}"
    assert panel.bar.ends == (f"−{level}", level)
    press(panel, "Filter")
    assert panel.bar.ends == ("−max", "max")
    press(panel, "Fixed")
    larger = filters_of(seed=1)
    panel.show_filters(Filters("other", larger.shape, 10 * larger.weight, larger.facts))
    assert panel.bar.ends == (f"−{level}", level)


def test_without_filters_it_says_why(panel: FiltersPanel) -> None:
    panel.clear("A vector has no filters.")
    assert panel._hint.isVisible()
    assert panel._hint.text() == "A vector has no filters."
    assert not panel.mosaics[0].isVisible()


# ---- files


def menu_action(panel: FiltersPanel, text: str) -> QAction:
    (menu,) = panel.findChildren(QMenu)
    return next(action for action in menu.actions() if action.text() == text)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "mine"), ""))
    return tmp_path / "mine"


@pytest.mark.parametrize("kind", ["PNG", "SVG", "CSV", "safetensors"])
def test_filters_are_saved(qtbot: QtBot, panel: FiltersPanel, chosen: Path, kind: str) -> None:
    with qtbot.waitSignal(panel.saver.said):
        menu_action(panel, f"Save as {kind}…").trigger()
    path = chosen.with_suffix(f".{kind.lower()}")
    weight = filters_of().weight
    match kind:
        case "PNG":
            assert QImage(str(path)).size() == panel.mosaics[0].drawing_size * 2
        case "SVG":
            assert QSvgRenderer(str(path)).isValid()
        case "CSV":
            assert len(path.read_text(encoding="utf-8").splitlines()) == 1 + weight.size
        case _:
            assert np.array_equal(load_file(path)["conv.weight"], weight)


def test_every_button_says_what_it_does(panel: FiltersPanel) -> None:
    for button in panel.findChildren(FlatButton):
        if button.focusPolicy() is not Qt.FocusPolicy.NoFocus:  # the arrows of a number field
            assert button.accessibleName()
            assert button.toolTip()


def test_of_very_many_filters_the_first_are_shown(panel: FiltersPanel) -> None:
    panel.show_filters(filters_of((5000, 1, 1, 1)))
    assert panel.mosaics[0].num_maps == 4096
    assert panel._heading.text.endswith("5000 of 1×1×1, the first 4096 of this order")
